"""Rows of the contract table: dropout, in training and evaluation mode."""

from support.contract_row import Row, numbers

import nnlite as nn

ROWS = [
    Row("Dropout", lambda: nn.Dropout(rng=0), numbers(4, 3), rows_apart=False),
    Row("Dropout-a-third", lambda: nn.Dropout(1 / 3, rng=0), numbers(4, 3), rows_apart=False),
    Row("Dropout-evaluation", lambda: nn.Dropout(rng=0).eval(), numbers(4, 3)),
    Row("Dropout1d", lambda: nn.Dropout1d(rng=0), numbers(4, 3, 2), rows_apart=False),
    Row("Dropout1d-of-one-sequence", lambda: nn.Dropout1d(rng=0), numbers(12, 2), rows_apart=False),
    Row("Dropout2d", lambda: nn.Dropout2d(rng=0), numbers(4, 3, 2, 2), rows_apart=False),
    Row("Dropout3d", lambda: nn.Dropout3d(rng=0), numbers(4, 3, 2, 1, 2), rows_apart=False),
    Row("AlphaDropout", lambda: nn.AlphaDropout(rng=0), numbers(4, 3), rows_apart=False),
    Row("AlphaDropout-evaluation", lambda: nn.AlphaDropout(rng=0).eval(), numbers(4, 3)),
    Row("FeatureAlphaDropout", lambda: nn.FeatureAlphaDropout(0.3, rng=0), numbers(4, 3, 2), rows_apart=False),
]
