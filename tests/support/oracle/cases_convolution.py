"""Cases of convolutions: strides, paddings, dilations, groups, padding modes, and one sample."""

from support.oracle.table import add_layer


def add(*args, **options):
    """A case with small numbers, for gradients that are sums of many."""
    add_layer(*args, scale=0.2, **options)


def add_layers():
    for options in (
        {},
        {"stride": 2, "padding": 1, "dilation": 2},
        {"padding": "same", "dilation": 2, "bias": False},
        {"groups": 2, "padding": "valid"},
        {"stride": 3, "padding": 4, "groups": 4},
        *({"padding": 2, "padding_mode": mode} for mode in ("reflect", "replicate", "circular")),
    ):
        add("Conv1d", (4, 8, 3), (3, 4, 11), **options)
        add("Conv2d", (4, 4, (3, 2)), (2, 4, 5, 7), **options)
        add("Conv3d", (4, 4, (1, 2, 2)), (1, 4, 5, 3, 4), **options)
    add("Conv1d", (2, 3, 4), (2, 9))
    add("Conv2d", (2, 3, 4), (2, 9, 4), padding=(0, 1), padding_mode="reflect")
    add("Conv3d", (1, 2, 2), (1, 2, 3, 4), stride=(2, 1, 3), groups=1)
    add("Conv2d", (3, 2, 1), (4, 3, 2, 5))
    add("Conv2d", (6, 6, 3), (2, 6, 4, 4), groups=6, padding=1)


add_layers()
