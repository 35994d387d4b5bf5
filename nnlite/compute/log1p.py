"""log1p for formulas: NumPy's where it has one in vector instructions, and else one that is as accurate.

NumPy's log1p and expm1 have vector instructions for processors with AVX-512 only. Elsewhere they take five times as
long as log and exp (microseconds for 16,384 numbers of float32 with and without AVX-512: log1p 7.4 and 101, expm1 5.9
and 93, log 6.3 and 22, exp 7.6 and 17).
"""

from functools import cache
from typing import Any

import numpy as np

from nnlite.basics.arrays import FLOATING, Array
from nnlite.compute.tracing import Symbol

_FEW = 256  # elements up to which the time of np.log1p is less than that of four more calls
_ONE = {dtype: np.array(1, dtype) for dtype in FLOATING}


def log1p(X: Any) -> Any:
    """``log(1 + X)`` in a formula, for X from -1 to 1: of minus a probability, or of exp(-|X|).

    >>> log1p(np.array([1e-20, -0.5]))
    array([ 1.00000000e-20, -6.93147181e-01])
    """
    return X.record("log1p", X) if isinstance(X, Symbol) else np.log1p(X)


def fast_log1p(X: Array, out: Array | None = None) -> Array:
    """``log(1 + X)`` within 4 ulp, in vector instructions.

    >>> fast_log1p(np.full(1000, 1e-20))[0]
    np.float64(1e-20)
    """
    return np.log1p(X, out) if vectorized("log1p") else log1p_by_log(X, out)


def log1p_by_log(X: Array, out: Array | None = None) -> Array:
    """``log(1 + X)`` by a logarithm, for small X too.

    U is 1 + X, rounded. Its rounding error, X - (U - 1) without an error of its own, is added: the derivative of the
    logarithm is 1 near 1, and elsewhere the error is small beside the logarithm.

    >>> log1p_by_log(np.full(1000, 1e-20))[0]
    np.float64(1e-20)
    """
    if X.size <= _FEW:
        return np.log1p(X, out)
    one = _ONE[X.dtype]
    U = np.add(X, one)
    error = np.subtract(U, one)
    np.subtract(X, error, error)
    return np.add(np.log(U, U), error, out)  # type: ignore[no-any-return]


@cache
def vectorized(function: str) -> bool:
    """Whether NumPy's function of that name uses vector instructions of this processor for float32."""
    try:
        from numpy.lib.introspect import opt_func_info
    except ImportError:  # older than NumPy 2.1
        return False
    loops = opt_func_info(func_name=f"^{function}$").get(function, {})
    return not loops.get("ff", {"current": "baseline"})["current"].startswith("baseline")
