"""Rows of the contract table: pooling."""

import numpy as np
from support.contract_row import Row, numbers, shares

import nnlite as nn


def one_sample(id, make, *shape):
    """A row of one sample, without an axis of samples."""
    return Row(id, make, numbers(*shape), rows_apart=False, takes_no_rows=False)


def indices(*shape, most):
    """Indices below ``most``, no two alike in a channel, for channels along two axes."""
    rng = np.random.default_rng(0)
    rows = [rng.permutation(most)[: int(np.prod(shape[2:]))] for _ in range(shape[0] * shape[1])]
    return np.reshape(rows, shape)


ROWS = [
    Row("MaxPool1d", lambda: nn.MaxPool1d(2), numbers(4, 2, 5)),
    Row("MaxPool1d-all-options", lambda: nn.MaxPool1d(4, 3, 2, 2, ceil_mode=True), numbers(4, 2, 8)),
    one_sample("MaxPool1d-of-one-sample", lambda: nn.MaxPool1d(3, 1), 2, 5),
    Row("MaxPool2d", lambda: nn.MaxPool2d(2), numbers(4, 2, 4, 4)),
    Row("MaxPool2d-overlapping", lambda: nn.MaxPool2d(3, (2, 1), (1, 0)), numbers(4, 1, 4, 5)),
    Row("MaxPool2d-evaluation", lambda: nn.MaxPool2d(2).eval(), numbers(4, 2, 3, 4)),
    Row("MaxPool3d", lambda: nn.MaxPool3d((2, 1, 2), ceil_mode=True), numbers(2, 1, 3, 2, 3)),
    Row("AvgPool1d", lambda: nn.AvgPool1d(2), numbers(4, 2, 5)),
    Row("AvgPool1d-all-options", lambda: nn.AvgPool1d(3, 2, 1, True, False), numbers(4, 2, 6)),
    one_sample("AvgPool1d-of-one-sample", lambda: nn.AvgPool1d(3, 1), 2, 5),
    Row("AvgPool2d", lambda: nn.AvgPool2d(2), numbers(4, 2, 4, 4)),
    Row("AvgPool2d-overlapping", lambda: nn.AvgPool2d(3, (2, 1), (1, 0), ceil_mode=True), numbers(4, 1, 4, 5)),
    Row("AvgPool2d-divisor", lambda: nn.AvgPool2d(2, divisor_override=3), numbers(4, 2, 3, 4)),
    Row("AvgPool3d", lambda: nn.AvgPool3d((2, 1, 2)), numbers(2, 1, 3, 2, 4)),
    Row("AdaptiveAvgPool1d", lambda: nn.AdaptiveAvgPool1d(3), numbers(4, 2, 5)),
    one_sample("AdaptiveAvgPool1d-of-one-sample", lambda: nn.AdaptiveAvgPool1d(2), 2, 5),
    Row("AdaptiveAvgPool2d", lambda: nn.AdaptiveAvgPool2d((2, None)), numbers(4, 2, 3, 4)),
    Row("AdaptiveAvgPool2d-global", lambda: nn.AdaptiveAvgPool2d(1), numbers(4, 2, 3, 4)),
    Row("AdaptiveAvgPool3d", lambda: nn.AdaptiveAvgPool3d((2, 1, 3)), numbers(2, 1, 3, 2, 4)),
    Row("AdaptiveMaxPool1d", lambda: nn.AdaptiveMaxPool1d(3), numbers(4, 2, 5)),
    one_sample("AdaptiveMaxPool1d-of-one-sample", lambda: nn.AdaptiveMaxPool1d(2), 2, 5),
    Row("AdaptiveMaxPool2d", lambda: nn.AdaptiveMaxPool2d((2, None)), numbers(4, 2, 3, 4)),
    Row("AdaptiveMaxPool3d", lambda: nn.AdaptiveMaxPool3d((2, 1, 3)), numbers(2, 1, 3, 2, 4)),
    Row("LPPool1d", lambda: nn.LPPool1d(2, 2), numbers(4, 2, 5)),
    Row("LPPool1d-of-positive-numbers", lambda: nn.LPPool1d(1.5, 3, 2, ceil_mode=True), shares(4, 2, 6)),
    Row("LPPool2d", lambda: nn.LPPool2d(4, (2, 3), stride=1), numbers(4, 2, 3, 4)),
    one_sample("LPPool2d-of-one-sample", lambda: nn.LPPool2d(1, 2), 2, 4, 3),
    Row("LPPool3d", lambda: nn.LPPool3d(2, (2, 1, 2)), numbers(2, 1, 3, 2, 4)),
    Row("MaxUnpool1d", lambda: nn.MaxUnpool1d(3, 2, 1), (numbers(4, 2, 3), indices(4, 2, 3, most=5))),
    Row("MaxUnpool2d", lambda: nn.MaxUnpool2d(2), (numbers(4, 2, 2, 1), indices(4, 2, 2, 1, most=8))),
    Row(
        "MaxUnpool2d-of-one-sample",
        lambda: nn.MaxUnpool2d(2),
        (numbers(2, 1, 2), indices(1, 2, 1, 2, most=8)[0]),
        rows_apart=False,
        takes_no_rows=False,
    ),
    Row("MaxUnpool3d", lambda: nn.MaxUnpool3d(2), (numbers(2, 1, 1, 2, 1), indices(2, 1, 1, 2, 1, most=16))),
]
