"""exp and log of float32 from operations that LLVM vectorizes, for the loops that Numba compiles.

Both split off the power of two, and compute the rest by a polynomial. They are within 2 ulp.

Source of the coefficients: Cephes mathematical library, Moshier, 1984-1992 (expf and logf).
"""

import numpy as np
from numba import njit

_f = np.float32
_ONE, _HALF, _TWO_23 = _f(1), _f(0.5), _f(2**23)
_LOG2_E, _LN2_HIGH, _LN2_LOW = _f(1.4426950408889634), _f(0.693359375), _f(-2.12194440e-4)
_ROUND = _f(1.5 * 2**23)  # added and subtracted, it rounds to a whole number
_LARGEST, _SMALLEST = _f(89), _f(-104)  # exp is inf above, 0 below
_E = [_f(each) for each in (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 0.5)]
_E0, _E1, _E2, _E3, _E4, _E5 = _E


@njit(error_model="numpy")
def exp(x):  # type: ignore[no-untyped-def] # compiled by Numba
    """The exponential: ``2^n e^r`` with x = n log 2 + r."""
    x = _LARGEST if x > _LARGEST else (_SMALLEST if x < _SMALLEST else x)
    shifted = x * _LOG2_E + _ROUND
    n = shifted - _ROUND
    r = x - n * _LN2_HIGH - n * _LN2_LOW
    y = ((((_E0 * r + _E1) * r + _E2) * r + _E3) * r + _E4) * r + _E5
    y = y * (r * r) + r + _ONE
    # 2^n as a product of two powers, since 2^128 overflows and 2^-150 is denormal
    whole = np.int32(_f(shifted).view(np.int32) - np.int32(0x4B400000))
    half = np.int32(whole >> np.int32(1))
    low = np.int32((half + np.int32(127)) << np.int32(23)).view(np.float32)
    high = np.int32((whole - half + np.int32(127)) << np.int32(23)).view(np.float32)
    return y * low * high


_L = [_f(each) for each in (7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
                            -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1)]  # fmt: skip
_L0, _L1, _L2, _L3, _L4, _L5, _L6, _L7, _L8 = _L
_TINY, _SQRT_HALF, _INF, _NAN, _ZERO = _f(1.17549435e-38), _f(0.70710678), _f(np.inf), _f(np.nan), _f(0)


@njit(error_model="numpy")
def log(x):  # type: ignore[no-untyped-def] # compiled by Numba
    """The natural logarithm: that of 2^n and of the rest, 1 + m, from sqrt(1/2) to sqrt(2)."""
    denormal = x < _TINY
    scaled = x * _TWO_23 if denormal else x
    bits = _f(scaled).view(np.int32)
    n = _f(np.int32((bits >> np.int32(23)) - np.int32(126)))
    n = n - _f(23) if denormal else n
    m = np.int32((bits & np.int32(0x007FFFFF)) | np.int32(0x3F000000)).view(np.float32)  # from 0.5 to 1
    low = m < _SQRT_HALF
    n = n - _ONE if low else n
    m = m + m - _ONE if low else m - _ONE
    z = m * m
    y = ((((((((_L0 * m + _L1) * m + _L2) * m + _L3) * m + _L4) * m + _L5) * m + _L6) * m + _L7) * m + _L8) * m * z
    y = y + n * _LN2_LOW - _HALF * z
    y = m + y + n * _LN2_HIGH
    y = x if x == _INF else y
    y = -_INF if x == _ZERO else y
    return y if x >= _ZERO else _NAN


@njit(error_model="numpy")
def log1p(x):  # type: ignore[no-untyped-def] # compiled by Numba
    """``log(1 + x)`` for x from -1 to 1; see log1p.py."""
    u = _ONE + x
    return log(u) + (x - (u - _ONE))


# Reductions of a row.


@njit(error_model="numpy", fastmath={"reassoc", "nsz"})
def plus(x, y):  # type: ignore[no-untyped-def]
    """The sum. LLVM may change the order of sums of these, or it could not vectorize them."""
    return x + y


def _keys(real, integer, infinity):  # type: ignore[no-untyped-def]
    """Functions from numbers of the dtype ``real`` to integers of its size, in the same order, and back; the least one.

    NaN has the largest. LLVM vectorizes the maximum of integers. The bits of floating numbers are in their order, but
    for those of negative numbers, in the opposite one.
    """
    most, shift = integer(np.iinfo(integer).max), integer(np.iinfo(integer).bits - 1)
    infinity, least = integer(infinity), integer(infinity ^ -1)  # the keys of inf and -inf

    @njit(error_model="numpy")
    def key(x):  # type: ignore[no-untyped-def]
        bits = real(x).view(integer)
        same_order = integer(bits ^ ((bits >> shift) & most))
        return most if integer(bits & most) > infinity else same_order

    @njit(error_model="numpy")
    def number(key):  # type: ignore[no-untyped-def]
        own = integer(key)
        return real(np.nan) if own == most else integer(own ^ ((own >> shift) & most)).view(real)

    return key, number, least


key_float32, number_float32, LEAST_float32 = _keys(np.float32, np.int32, 0x7F800000)
key_float64, number_float64, LEAST_float64 = _keys(np.float64, np.int64, 0x7FF0000000000000)
