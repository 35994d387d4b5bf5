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
    for options in (
        {},
        {"stride": 3, "padding": 1, "output_padding": 2},
        {"stride": 2, "dilation": 3, "padding": 2, "output_padding": 2, "groups": 2},
        {"groups": 4, "bias": False},
    ):
        add("ConvTranspose1d", (4, 8, 3), (3, 4, 5), **options)
        add("ConvTranspose2d", (4, 4, (3, 2)), (2, 4, 3, 4), **options)
        add("ConvTranspose3d", (4, 4, (1, 2, 2)), (1, 4, 2, 3, 3), **options)
    add("ConvTranspose1d", (2, 3, 4), (2, 9))
    add("ConvTranspose2d", (2, 3, (4, 1)), (2, 3, 4), stride=(2, 3), padding=(1, 0), output_padding=(0, 2))
    add("ConvTranspose3d", (1, 2, 2), (1, 2, 3, 4), stride=(2, 1, 3))
    for options in {}, {"dilation": 2, "padding": 1, "stride": (2, 1)}, {"padding": 2, "stride": 3}:
        add_layer("Unfold", ((2, 3),), (3, 2, 5, 6), **options)
    add_layer("Unfold", (2,), (3, 2, 4), stride=2)
    add_layer("Fold", ((5, 6), (2, 3)), (3, 12, 16))
    add_layer("Fold", ((5, 6), (2, 3)), (3, 6, 8), dilation=2, padding=1, stride=(3, 1))
    add_layer("Fold", (4, 2), (8, 4), stride=2)


add_layers()
