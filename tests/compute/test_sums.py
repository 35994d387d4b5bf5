"""Sums over axes: accurate in float32 over a million rows."""

import numpy as np
import pytest

from nnlite.compute.sums import column_sum

both_precisions = pytest.mark.parametrize("dtype", [np.float32, np.float64])


# The constants are those whose rounding errors all go one way: 0.9863144 is the worst of 150 that were drawn.
@pytest.mark.parametrize("value", [0.1, 0.2697867, 0.6066358, 0.9863144159317017, 1 / 3, -123.4])
@pytest.mark.parametrize("width", [1, 2, 7])
def test_column_sums_of_a_million_equal_float32_rows(value, width):
    Y, out = np.full((1_000_000, width), value, np.float32), np.empty(width, np.float32)
    column_sum(Y, out)
    np.testing.assert_allclose(out, 1e6 * float(np.float32(value)), rtol=1e-5)


@pytest.mark.parametrize("rows", [1, 2, 511, 512, 513, 1024, 1025, 262_145])
@both_precisions
def test_column_sums_are_exact_for_whole_numbers(rows, dtype):
    """Every row enters once: the sums are whole numbers below 2^24, so that no order of adding can round them."""
    Y = np.arange(rows * 3).reshape(rows, 3) % np.array([7, 11, 13]) - 5
    out = np.empty(3, dtype)
    column_sum(Y.astype(dtype), out)
    np.testing.assert_array_equal(out, Y.sum(0))


def test_column_sums_of_no_rows_are_0():
    out = np.full(3, np.nan)
    column_sum(np.empty((0, 3)), out)
    np.testing.assert_array_equal(out, 0)


def test_column_sums_pass_nan_and_inf_on():
    Y, out = np.ones((600, 3)), np.empty(3)
    Y[550, 0], Y[3, 1] = np.nan, np.inf
    column_sum(Y, out)
    np.testing.assert_array_equal(out, [np.nan, np.inf, 600])
