"""The range that a layer states for its output is the one that its output fills."""

import math

import numpy as np
import pytest
from support.contract import LAYERS

import nnlite as nn
from nnlite.layer.described import described

ROWS = {repr(layer): layer for layer in (row.make().eval() for row in LAYERS) if layer.output_range is not None}
ROWS |= {repr(layer): layer for layer in (nn.ELU(-0.5), nn.Threshold(2.0, -3.0))}


def outputs(layer):
    """Y for inputs of all sizes, in the shape that the layer needs."""
    x = np.concatenate([np.linspace(-20, 20, 40_001), np.linspace(-1e4, 1e4, 2_001)])
    if isinstance(layer, nn.RNN):  # sequences of one step, and large weights, for the second layer of a stack
        layer.Phi = 100 * layer.Phi
        Ys = layer.forward(np.stack([x, x], axis=1)[:, None])
        return Ys[0] if layer.return_state else Ys
    if not isinstance(layer, nn.Softmax):
        return layer.forward(x)
    scores = np.stack([x, -x])
    return layer.forward(scores[:, :, None] if isinstance(layer, nn.Softmax2d) else np.moveaxis(scores, 0, layer.dim))


@pytest.mark.parametrize("layer", ROWS.values(), ids=ROWS)
def test_y_is_in_its_range_and_comes_close_to_its_ends(layer):
    low, high = described(layer, "output_range", "forward")
    Y = outputs(layer)
    assert low <= Y.min() < (low + 2e-3 if math.isfinite(low) else -1e3)
    assert (high - 2e-3 if math.isfinite(high) else 1e3) < Y.max() <= high


def test_layers_that_are_not_bounded_state_no_range():
    for layer in nn.LeakyReLU(), nn.Tanhshrink(), nn.Softshrink(), nn.Hardshrink(), nn.Identity(), nn.Linear(2, 2):
        assert layer.output_range is None
