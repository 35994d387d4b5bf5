"""Cases of padding, resampling and shuffling."""

from support.oracle.table import add_layer

PADDING = "ReflectionPad", "ReplicationPad", "CircularPad", "ZeroPad"


def add_layers():
    for kind in PADDING:
        add_layer(f"{kind}1d", (2,), (3, 2, 4))
        add_layer(f"{kind}2d", ((1, 2, 0, 3),), (2, 3, 4, 5))
        add_layer(f"{kind}3d", ((1, 0, 2, 1, 0, 1),), (2, 2, 3, 3, 2))
    add_layer("ConstantPad1d", ((-1, 2), 0.75), (3, 2, 4))
    add_layer("ConstantPad2d", (1, -2.5), (2, 3, 3))
    add_layer("ConstantPad3d", ((1, 0, -2, 1, 0, 1), 3.0), (2, 2, 2, 4, 2))
    add_layer("ReflectionPad1d", ((-1, 2),), (2, 5))
    for mode in "nearest", "nearest-exact":
        add_layer("Upsample", (), (2, 3, 5), scale_factor=2.0, mode=mode)
        add_layer("Upsample", (), (2, 3, 5, 7), size=(9, 4), mode=mode)
        add_layer("Upsample", (), (1, 2, 3, 4, 2), scale_factor=(1.7, 0.6, 3.0), mode=mode)
    for mode, shape in ("linear", (2, 3, 5)), ("bilinear", (2, 3, 5, 4)), ("bicubic", (2, 1, 5, 4)):
        add_layer("Upsample", (), shape, scale_factor=2.3, mode=mode)
        add_layer("Upsample", (), shape, scale_factor=2.3, mode=mode, recompute_scale_factor=True)
        add_layer("Upsample", (), shape, scale_factor=0.45, mode=mode, align_corners=True)
        add_layer("Upsample", (), shape, size=1, mode=mode, align_corners=True)
        add_layer("Upsample", (), shape, size=11, mode=mode)
    add_layer("Upsample", (), (1, 2, 3, 2, 4), size=(2, 5, 4), mode="trilinear")
    add_layer("PixelShuffle", (2,), (3, 8, 2, 3))
    add_layer("PixelShuffle", (3,), (9, 1, 2))
    add_layer("PixelUnshuffle", (2,), (2, 2, 2, 4, 6))
    add_layer("ChannelShuffle", (3,), (2, 6, 2, 3))


add_layers()
