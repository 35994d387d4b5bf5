"""Rows of the contract table: padding, resampling and shuffling."""

from support.contract_row import Row, numbers

import nnlite as nn


def rows_of(kind: str, *more: float) -> list[Row]:
    """The layers on one, two and three spatial axes, and on one sample."""
    one, two, three = (getattr(nn, f"{kind}{axes}d") for axes in (1, 2, 3))
    return [
        Row(f"{kind}1d", lambda: one(2, *more), numbers(4, 2, 3)),
        Row(f"{kind}1d-of-one-sample", lambda: one(1, *more), numbers(2, 3), rows_apart=False, takes_no_rows=False),
        Row(f"{kind}2d", lambda: two((1, 2, 0, -1), *more), numbers(3, 2, 4, 3)),
        Row(f"{kind}3d", lambda: three((1, 0, 0, 1, 1, 1), *more), numbers(2, 2, 2, 2, 2)),
    ]


ROWS = [
    *rows_of("ConstantPad", 0.7),
    *rows_of("ZeroPad"),
    *rows_of("ReflectionPad"),
    *rows_of("ReplicationPad"),
    *rows_of("CircularPad"),
    Row("Upsample", lambda: nn.Upsample(scale_factor=2), numbers(4, 2, 3)),
    Row("Upsample-nearest-exact", lambda: nn.Upsample((3, 5), mode="nearest-exact"), numbers(3, 2, 2, 3)),
    Row("Upsample-linear", lambda: nn.Upsample(5, mode="linear", align_corners=True), numbers(4, 2, 3)),
    Row("Upsample-bilinear", lambda: nn.Upsample(scale_factor=(2, 1.5), mode="bilinear"), numbers(3, 2, 2, 3)),
    Row("Upsample-bicubic", lambda: nn.Upsample((4, 2), mode="bicubic"), numbers(3, 1, 3, 4)),
    Row("Upsample-trilinear", lambda: nn.Upsample(3, mode="trilinear"), numbers(2, 1, 2, 2, 2)),
    Row("PixelShuffle", lambda: nn.PixelShuffle(2), numbers(4, 4, 2, 1)),
    Row(
        "PixelShuffle-of-one",
        lambda: nn.PixelShuffle(2),
        numbers(4, 1, 2),
        rows_apart=False,
        takes_no_rows=False,
    ),
    Row("PixelUnshuffle", lambda: nn.PixelUnshuffle(2), numbers(4, 2, 2, 4)),
    Row("ChannelShuffle", lambda: nn.ChannelShuffle(2), numbers(4, 6, 2)),
]
