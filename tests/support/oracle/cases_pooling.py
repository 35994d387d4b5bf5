"""Cases of pooling: strides, paddings, dilations, rounded up, one sample, adaptive ones."""

import numpy as np
from support.oracle.table import add_gate, add_layer, draw, seed

SHAPES = {1: (3, 2, 11), 2: (2, 3, 9, 7), 3: (2, 1, 6, 5, 7)}


def add_layers():
    for axes, shape in SHAPES.items():
        kernel = (3, 2, 4)[:axes]
        for options in {}, {"stride": 2, "padding": 1}, {"stride": 3, "ceil_mode": True}:
            add_layer(f"MaxPool{axes}d", (kernel,), shape, **options)
            add_layer(f"AvgPool{axes}d", (kernel,), shape, **options)
        add_layer(f"MaxPool{axes}d", (3,), shape, dilation=2, padding=1, stride=1)
        add_layer(f"MaxPool{axes}d", (2,), shape, padding=1, dilation=2, ceil_mode=True, stride=2)
        add_layer(f"AvgPool{axes}d", (3,), shape, stride=2, padding=1, ceil_mode=True, count_include_pad=False)
        add_layer(f"AvgPool{axes}d", (2,), shape, stride=3, padding=1, ceil_mode=True)
        if axes > 1:
            add_layer(f"AvgPool{axes}d", (3,), shape, divisor_override=-2, ceil_mode=True)
        for kind in f"AdaptiveAvgPool{axes}d", f"AdaptiveMaxPool{axes}d":
            for output_size in 1, 2, 5, (4, 7, 3)[:axes], (13, 1, 2)[:axes]:
                add_layer(kind, (output_size,), shape)
            add_layer(kind, (2,), shape[1:])
        add_layer(f"MaxPool{axes}d", (2,), shape[1:])
        add_layer(f"AvgPool{axes}d", (2,), shape[1:])
    for kind in "AdaptiveAvgPool2d", "AdaptiveMaxPool2d":
        add_layer(kind, ((None, 3),), SHAPES[2])
    for axes, shape in SHAPES.items():
        add_layer(f"LPPool{axes}d", (2, 2), shape, ceil_mode=True)
        add_layer(f"LPPool{axes}d", (4, (3, 1, 2)[:axes] if axes > 1 else 3), shape, stride=1)
        add_layer(f"LPPool{axes}d", (2, 3), shape[1:])
        add_unpooling(f"MaxUnpool{axes}d", (2,), shape)
        add_unpooling(f"MaxUnpool{axes}d", (3, 2, 1), shape)
        add_unpooling(f"MaxUnpool{axes}d", (2,), shape[1:])


def add_unpooling(kind, args, shape):
    """With indices below 5, of which no two in a channel are alike."""
    rng = seed(kind)
    shape = (*shape[: -int(kind[-2])], *(2, 2, 1)[: int(kind[-2])])
    channels = [rng.permutation(4 if kind[-2] != "1" else 3)[: np.prod(shape[-int(kind[-2]) :])] for _ in range(6)]
    channels = np.stack(channels)[: np.prod(shape[: -int(kind[-2])])]
    add_gate(kind, draw(rng, shape), channels.reshape(shape), args=args)


add_layers()
