"""Where a network starts: functions that fill a new array of a given shape.

Each is called as ``initializer(shape, dtype=..., rng=...)`` and can be handed to a layer as it is
(``Linear(64, 32, weight_init=initializers.he_normal)``); ``functools.partial`` sets its options
(``partial(initializers.normal, std=0.01)``). Numbers are drawn in float64 and then rounded, so one seed
gives the same weights in every dtype.

``fan_in`` and ``fan_out`` are the rows and the columns of a weight matrix of shape (in_features, out_features).
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike

from nnlite.basics.arrays import Array, floating_dtype
from nnlite.basics.generators import Rng, generator

Shape = int | Sequence[int]


def zeros(shape: Shape, *, dtype: DTypeLike = np.float32, rng: Rng = None) -> Array:
    """All 0: right for biases. Weights that are all equal stay equal for ever, so it is wrong for them.

    >>> zeros(2)
    array([0., 0.], dtype=float32)
    """
    return constant(shape, 0.0, dtype=dtype, rng=rng)


def constant(shape: Shape, value: float, *, dtype: DTypeLike = np.float32, rng: Rng = None) -> Array:
    """All ``value``.

    >>> constant((1, 2), 0.5)
    array([[0.5, 0.5]], dtype=float32)
    """
    return np.full(shape, value, floating_dtype(dtype))


def uniform(
    shape: Shape, *, low: float = -1.0, high: float = 1.0, dtype: DTypeLike = np.float32, rng: Rng = None
) -> Array:
    """Uniform on [low, high).

    Raises:
        ValueError: ``low`` is above ``high``, or one of them is not finite.

    >>> uniform((2, 2), low=0, high=0.1, rng=0).max() < 0.1
    np.True_
    """
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise ValueError(f"uniform: expected finite low <= high, got low={low}, high={high}")
    return generator(rng, "uniform: rng").uniform(low, high, shape).astype(floating_dtype(dtype))


def normal(
    shape: Shape, *, mean: float = 0.0, std: float = 1.0, dtype: DTypeLike = np.float32, rng: Rng = None
) -> Array:
    """Normal with the given mean and standard deviation.

    Raises:
        ValueError: ``std`` is negative, or one of the two is not finite.

    >>> normal((2, 2), std=0.01, rng=0).shape
    (2, 2)
    """
    if not (math.isfinite(mean) and math.isfinite(std) and std >= 0):
        raise ValueError(f"normal: expected a finite mean and a finite std >= 0, got mean={mean}, std={std}")
    return generator(rng, "normal: rng").normal(mean, std, shape).astype(floating_dtype(dtype))


def glorot_uniform(shape: Shape, *, gain: float = 1.0, dtype: DTypeLike = np.float32, rng: Rng = None) -> Array:
    """Uniform on ``gain * sqrt(6 / (fan_in + fan_out)) * [-1, 1)``: for tanh, sigmoid and softmax.

    It keeps the variance of both the forward values and the gradients the same from layer to layer as long as
    units work near 0 (Glorot and Bengio, Understanding the difficulty of training deep feedforward neural
    networks, 2010, equation 16).

    >>> bool(abs(glorot_uniform((3, 3), rng=0)).max() <= 1)
    True
    """
    fan_in, fan_out = _fans(shape)
    return _centred_uniform(shape, gain * math.sqrt(2 / (fan_in + fan_out)), dtype, rng)


def glorot_normal(shape: Shape, *, gain: float = 1.0, dtype: DTypeLike = np.float32, rng: Rng = None) -> Array:
    """Normal with deviation ``gain * sqrt(2 / (fan_in + fan_out))`` (Glorot and Bengio, 2010).

    >>> glorot_normal((3, 2), rng=0).shape
    (3, 2)
    """
    fan_in, fan_out = _fans(shape)
    return normal(shape, std=gain * math.sqrt(2 / (fan_in + fan_out)), dtype=dtype, rng=rng)


def he_uniform(shape: Shape, *, dtype: DTypeLike = np.float32, rng: Rng = None) -> Array:
    """Uniform on ``sqrt(6 / fan_in) * [-1, 1)``: for ReLU, which passes half of the variance.

    Source: He, Zhang, Ren and Sun, Delving deep into rectifiers, 2015, equation 10.

    >>> he_uniform((3, 2), rng=0).shape
    (3, 2)
    """
    return _centred_uniform(shape, math.sqrt(2 / _fans(shape)[0]), dtype, rng)


def he_normal(shape: Shape, *, dtype: DTypeLike = np.float32, rng: Rng = None) -> Array:
    """Normal with deviation ``sqrt(2 / fan_in)``: for ReLU (He et al., 2015).

    >>> he_normal((3, 2), rng=0).shape
    (3, 2)
    """
    return normal(shape, std=math.sqrt(2 / _fans(shape)[0]), dtype=dtype, rng=rng)


def lecun_uniform(shape: Shape, *, dtype: DTypeLike = np.float32, rng: Rng = None) -> Array:
    """Uniform on ``sqrt(3 / fan_in) * [-1, 1)``: the variance of a unit's input is 1 / fan_in per weight.

    Source: LeCun, Bottou, Orr and Mueller, Efficient backprop, 1998, section 4.6.

    >>> lecun_uniform((3, 2), rng=0).shape
    (3, 2)
    """
    return _centred_uniform(shape, math.sqrt(1 / _fans(shape)[0]), dtype, rng)


def lecun_normal(shape: Shape, *, dtype: DTypeLike = np.float32, rng: Rng = None) -> Array:
    """Normal with deviation ``sqrt(1 / fan_in)`` (LeCun et al., 1998).

    >>> lecun_normal((3, 2), rng=0).shape
    (3, 2)
    """
    return normal(shape, std=math.sqrt(1 / _fans(shape)[0]), dtype=dtype, rng=rng)


def orthogonal(shape: Shape, *, gain: float = 1.0, dtype: DTypeLike = np.float32, rng: Rng = None) -> Array:
    """``gain`` times a random matrix with orthonormal columns (or rows, where there are fewer of them).

    Drawn evenly from all such matrices: the Q of a normal matrix's QR decomposition, with the signs of R's
    diagonal taken into Q (Saxe, McClelland and Ganguli, Exact solutions to the nonlinear dynamics of learning in
    deep linear neural networks, 2014; Mezzadri, How to generate random matrices from the classical compact
    groups, 2007).

    >>> Q = orthogonal((4, 2), dtype=np.float64, rng=0)
    >>> np.allclose(Q.T @ Q, np.eye(2))
    True
    """
    if not math.isfinite(gain):
        raise ValueError(f"orthogonal: expected a finite gain, got {gain}")
    rows, columns = _fans(shape)
    A = generator(rng, "orthogonal: rng").normal(size=(max(rows, columns), min(rows, columns)))
    Q, R = np.linalg.qr(A)
    Q = Q * np.sign(np.diag(R))
    return np.ascontiguousarray(gain * (Q if rows >= columns else Q.T), floating_dtype(dtype))


def _fans(shape: Shape) -> tuple[int, int]:
    """Fan-in and fan-out of a weight matrix."""
    if isinstance(shape, int) or len(shape) != 2 or min(shape) < 1:
        raise ValueError(f"shape: expected (in_features, out_features), both at least 1, got {shape}")
    fan_in, fan_out = shape
    return fan_in, fan_out


def _centred_uniform(shape: Shape, std: float, dtype: DTypeLike, rng: Rng) -> Array:
    """Uniform around 0 with standard deviation ``std``, which is that of an interval of half-width sqrt(3) std."""
    bound = math.sqrt(3) * std
    return uniform(shape, low=-bound, high=bound, dtype=dtype, rng=rng)
