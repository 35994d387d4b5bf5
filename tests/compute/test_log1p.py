"""log1p: NumPy's, and the one for processors on which NumPy's is slow."""

import numpy as np
import pytest
from numpy.lib.introspect import opt_func_info

from nnlite.compute import log1p as module
from nnlite.compute.log1p import fast_log1p, vectorized


@pytest.fixture(params=[False, True], ids=["not vectorized", "vectorized"])
def _machine(request, monkeypatch):
    monkeypatch.setattr(module, "vectorized", lambda function: request.param)


@pytest.mark.usefixtures("_machine")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_is_within_4_ulp_for_small_numbers_and_near_minus_1_too(dtype):
    X = np.concatenate([np.geomspace(1e-30, 1, 500), -np.geomspace(1e-30, 1, 500), [-1 + 1e-6, 0.0]]).astype(dtype)
    with np.errstate(divide="ignore"):
        right, Y = np.log1p(X.astype(np.longdouble)), fast_log1p(X)
    finite = X != -1
    assert Y.dtype == dtype
    assert (Y[~finite] == -np.inf).all()
    assert (np.abs(Y[finite] - right[finite]) <= 4 * np.spacing(np.abs(right[finite].astype(dtype)))).all()


@pytest.mark.usefixtures("_machine")
def test_it_may_write_into_its_argument():
    X = np.linspace(-0.5, 1, 1000)
    expected = np.log1p(X)
    assert fast_log1p(X, X) is X
    np.testing.assert_allclose(X, expected, rtol=1e-15)


def test_what_numpy_says_of_its_functions_is_read():
    assert vectorized("exp") is not opt_func_info(func_name="^exp$")["exp"]["ff"]["current"].startswith("baseline")
    assert not vectorized("no such function")
