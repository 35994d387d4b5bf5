"""Rows of the contract table: convolutions."""

import numpy as np
from support.contract_row import Row, numbers

import nnlite as nn


def filled(make, *args, **options):
    """A layer in float64 whose b is not 0."""

    def new():
        layer = make(*args, dtype=np.float64, rng=0, **options)
        if layer.b is not None:
            layer.b = np.linspace(-0.3, 0.4, len(layer.b))
        return layer

    return new


ROWS = [
    Row("Conv1d", filled(nn.Conv1d, 2, 3, 3), numbers(4, 2, 6)),
    Row("Conv1d-all-options", filled(nn.Conv1d, 2, 4, 3, 2, 2, 2, 2, bias=False), numbers(4, 2, 5)),
    Row("Conv1d-of-one-sample", filled(nn.Conv1d, 2, 3, 2), numbers(2, 5), rows_apart=False, takes_no_rows=False),
    Row("Conv2d", filled(nn.Conv2d, 2, 3, 2), numbers(4, 2, 3, 4)),
    Row("Conv2d-same", filled(nn.Conv2d, 1, 2, (3, 2), padding="same"), numbers(4, 1, 3, 4)),
    Row("Conv2d-of-points", filled(nn.Conv2d, 2, 3, 1, padding="valid"), numbers(4, 2, 2, 3)),
    Row("Conv2d-depthwise", filled(nn.Conv2d, 2, 2, 2, (2, 1), groups=2), numbers(4, 2, 4, 3)),
    *(
        Row(f"Conv2d-{mode}", filled(nn.Conv2d, 1, 2, 2, padding=(2, 1), padding_mode=mode), numbers(2, 1, 3, 2))
        for mode in ("reflect", "replicate", "circular")
    ),
    Row(
        "Conv2d-of-one-sample",
        filled(nn.Conv2d, 2, 2, 2, groups=2, padding=1, padding_mode="replicate"),
        numbers(2, 2, 3),
        rows_apart=False,
        takes_no_rows=False,
    ),
    Row("Conv3d", filled(nn.Conv3d, 1, 2, (2, 1, 2), padding=(0, 1, 0), dilation=(1, 1, 2)), numbers(2, 1, 2, 2, 3)),
    Row("ConvTranspose1d", filled(nn.ConvTranspose1d, 2, 3, 3), numbers(4, 2, 4)),
    Row(
        "ConvTranspose1d-all-options",
        filled(nn.ConvTranspose1d, 4, 2, 3, 2, 3, 1, 2, bias=False, dilation=3),
        numbers(2, 4, 4),
    ),
    Row("ConvTranspose2d", filled(nn.ConvTranspose2d, 2, 3, (2, 3), (2, 1), (0, 1), (1, 0)), numbers(4, 2, 3, 2)),
    Row(
        "ConvTranspose2d-of-one-sample",
        filled(nn.ConvTranspose2d, 2, 2, 2, groups=2),
        numbers(2, 2, 3),
        rows_apart=False,
        takes_no_rows=False,
    ),
    Row("ConvTranspose3d", filled(nn.ConvTranspose3d, 1, 2, (2, 1, 2), 2), numbers(2, 1, 1, 2, 2)),
    Row("Unfold", lambda: nn.Unfold((3, 2), 1, 1, 2), numbers(4, 2, 3, 4)),
    Row("Unfold-of-signals", lambda: nn.Unfold((3,), dilation=2), numbers(4, 2, 6)),
    Row("Unfold-of-one-sample", lambda: nn.Unfold(2), numbers(2, 3, 3), rows_apart=False, takes_no_rows=False),
    Row("Fold", lambda: nn.Fold((3, 4), (3, 2), stride=2), numbers(4, 12, 2)),
    Row("Fold-of-signals", lambda: nn.Fold((6,), (3,), dilation=2), numbers(4, 6, 2)),
    Row("Fold-of-one-sample", lambda: nn.Fold(3, 2), numbers(8, 4), rows_apart=False, takes_no_rows=False),
]
