"""Bounds of parameters by name, over Phi."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import nnlite as nn
from nnlite.optim.bounds import bounds_over_Phi

MODEL = nn.Sequential(nn.Linear(2, 1), nn.Tanh(), nn.Linear(1, 1))  # W of 2, b, W, b
inf = np.inf


@pytest.mark.parametrize(
    ("bounds", "low", "high"),
    [
        ((-1, 2), [-1] * 5, [2] * 5),
        ([None, 2], [-inf] * 5, [2] * 5),
        ((0.5, None), [0.5] * 5, [inf] * 5),
        ({}, [-inf] * 5, [inf] * 5),
        ({"W": (0, None), "2.b": (-1, 1)}, [0, 0, -inf, 0, -1], [inf, inf, inf, inf, 1]),
        ({"0": (-2, -1), "0.W": (3, 3), "b": (-2, -1)}, [3, 3, -2, -inf, -2], [3, 3, -1, inf, -1]),
        ({"W": (None, None), "2": (0, np.float32(1))}, [-inf] * 3 + [0] * 2, [inf] * 3 + [1] * 2),
    ],
)
def test_each_entry_of_phi_has_those_of_the_most_specific_name(bounds, low, high):
    if bounds == {"W": (None, None), "2": (0, 1)}:
        with pytest.raises(ValueError, match=r"^here: 'W' and '2' both name 2\.W, with different values; add '2\.W'"):
            bounds_over_Phi(MODEL, bounds, "here")
        bounds |= {"2.W": (0, 1)}
    own = bounds_over_Phi(MODEL, bounds, "here")
    assert_array_equal(own, [low, high])
    assert own[0].dtype == own[1].dtype == np.float64


@pytest.mark.parametrize(
    ("error", "message", "bounds"),
    [
        (TypeError, r"here: expected a pair \(low, high\), such as .*, got 3", 3),
        (TypeError, r"here: expected a pair .* got \(1, 2, 3\)", (1, 2, 3)),
        (TypeError, r"here\['W'\]: expected a pair .* got None", {"W": None}),
        (TypeError, "here: expected a number, got 'a'", ("a", 1)),
        (ValueError, r"here: expected low <= high, got \(1, 0\)", (1, 0)),
        (ValueError, r"here\['b'\]: expected low <= high, got \(nan, 0\)", {"b": (np.nan, 0)}),
        (ValueError, "here: 'V' names no parameter of .*; the parameters are 0.W, 0.b, 2.W, 2.b", {"V": (0, 1)}),
        (TypeError, "here: expected names of parameters or parts as keys, got 0; write '0'", {0: (0, 1)}),
    ],
)
def test_what_is_no_bound_is_an_error(error, message, bounds):
    with pytest.raises(error, match=f"^{message}"):
        bounds_over_Phi(MODEL, bounds, "here")


def test_bounds_are_rounded_inward_to_the_dtype_of_the_parameters():
    layer = nn.Linear(1, 1)
    least, most = (float(bound[0]) for bound in bounds_over_Phi(layer, (-0.1, 0.1), "bounds"))
    assert most == np.float32(most)
    assert -0.1 < least == -most
    assert most < 0.1 < float(np.nextafter(np.float32(most), np.float32(1)))
    largest = float(np.finfo(np.float32).max)
    for pair, expected in ((0.1, 0.1), np.float32([0.1, 0.1])), ((-1e300, 1e300), (-largest, largest)):
        assert_array_equal(np.array(bounds_over_Phi(layer, pair, "bounds"))[:, 0], expected)
    layer.astype(np.float64)
    assert_array_equal(np.array(bounds_over_Phi(layer, {"W": (0.1, 1e300)}, "bounds"))[:, 0], [0.1, 1e300])
