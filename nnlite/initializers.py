"""Initializers: functions that return a new array of initial weights.

Each is called as ``initializer(shape, dtype=..., rng=...)`` and passed to a layer as it is, or with options and without
a shape:

    Linear(64, 32, weight_init=initializers.he_normal)
    Linear(64, 32, weight_init=initializers.normal(std=0.01))

Numbers are drawn in float64 and rounded to ``dtype``, so one seed gives the same weights in every dtype.

``fan_in`` and ``fan_out`` of a weight matrix of shape (in_features, out_features) are its two sizes. Of a convolution's
weights, of shape (out_channels, in_channels, *kernel), they are ``in_channels * prod(kernel)`` and
``out_channels * prod(kernel)``, as in PyTorch.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import Any, Concatenate, ParamSpec, Protocol, cast, overload

import numpy as np
from numpy.typing import DTypeLike

from nnlite.basics.arrays import Array, floating_dtype
from nnlite.basics.generators import Rng, generator

Shape = int | Sequence[int]
P = ParamSpec("P")


class _Initializer(Protocol[P]):
    @overload
    def __call__(self, shape: Shape, *args: P.args, **options: P.kwargs) -> Array: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, *args: P.args, **options: P.kwargs) -> Callable[..., Array]: ...


def _initializer(function: Callable[Concatenate[Shape, P], Array]) -> _Initializer[P]:
    """Make ``function``, when it is called without a shape, return an initializer with the given options."""

    @wraps(function)
    def called(*args: Any, **options: Any) -> Any:
        if args or "shape" in options:
            return function(*args, **options)
        for name in "dtype", "rng":
            if name in options:
                raise TypeError(f"{function.__name__}: {name} goes with the shape; pass {name}= to the layer instead")
        return partial(called, **options)

    return cast(_Initializer[P], called)


@_initializer
def zeros(shape: Shape, *, dtype: DTypeLike = np.float32, rng: Rng = None) -> Array:
    """All 0: for biases. Not for weights: the units of a layer would stay equal to each other.

    >>> zeros(2)
    array([0., 0.], dtype=float32)
    """
    return constant(shape, 0.0, dtype=dtype, rng=rng)


@_initializer
def constant(shape: Shape, value: float, *, dtype: DTypeLike = np.float32, rng: Rng = None) -> Array:
    """All ``value``.

    >>> constant((1, 2), 0.5)
    array([[0.5, 0.5]], dtype=float32)
    """
    return np.full(shape, value, floating_dtype(dtype))


@_initializer
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


@_initializer
def normal(
    shape: Shape, *, mean: float = 0.0, std: float = 1.0, dtype: DTypeLike = np.float32, rng: Rng = None
) -> Array:
    """Normal with the given mean and standard deviation.

    Raises:
        ValueError: ``std`` is negative, or one of the two is not finite.

    >>> import nnlite as nn
    >>> layer = nn.Linear(64, 32, weight_init=normal(std=0.01), rng=0)
    >>> layer.W.std().round(3)
    np.float32(0.01)
    """
    if not (math.isfinite(mean) and math.isfinite(std) and std >= 0):
        raise ValueError(f"normal: expected a finite mean and a finite std >= 0, got mean={mean}, std={std}")
    return generator(rng, "normal: rng").normal(mean, std, shape).astype(floating_dtype(dtype))


@_initializer
def glorot_uniform(shape: Shape, *, gain: float = 1.0, dtype: DTypeLike = np.float32, rng: Rng = None) -> Array:
    """Uniform on ``gain * sqrt(6 / (fan_in + fan_out)) * [-1, 1)``: for tanh, sigmoid and softmax.

    While the units work near 0, the variances of the outputs and of the gradients stay about the same from layer to
    layer.

    Source: Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks, 2010,
    equation 16.

    >>> bool(abs(glorot_uniform((3, 3), rng=0)).max() <= 1)
    True
    """
    fan_in, fan_out = _fans(shape)
    return _centred_uniform(shape, gain * math.sqrt(2 / (fan_in + fan_out)), dtype, rng)


@_initializer
def glorot_normal(shape: Shape, *, gain: float = 1.0, dtype: DTypeLike = np.float32, rng: Rng = None) -> Array:
    """Normal with standard deviation ``gain * sqrt(2 / (fan_in + fan_out))`` (Glorot and Bengio, 2010).

    >>> glorot_normal((3, 2), rng=0).shape
    (3, 2)
    """
    fan_in, fan_out = _fans(shape)
    return normal(shape, std=gain * math.sqrt(2 / (fan_in + fan_out)), dtype=dtype, rng=rng)


@_initializer
def he_uniform(shape: Shape, *, dtype: DTypeLike = np.float32, rng: Rng = None) -> Array:
    """Uniform on ``sqrt(6 / fan_in) * [-1, 1)``: for ReLU, which halves the second moment of its input.

    Source: He, Zhang, Ren and Sun, Delving deep into rectifiers, 2015, equation 10.

    >>> he_uniform((3, 2), rng=0).shape
    (3, 2)
    """
    return _centred_uniform(shape, math.sqrt(2 / _fans(shape)[0]), dtype, rng)


@_initializer
def he_normal(shape: Shape, *, dtype: DTypeLike = np.float32, rng: Rng = None) -> Array:
    """Normal with standard deviation ``sqrt(2 / fan_in)``: for ReLU (He et al., 2015).

    >>> he_normal((3, 2), rng=0).shape
    (3, 2)
    """
    return normal(shape, std=math.sqrt(2 / _fans(shape)[0]), dtype=dtype, rng=rng)


@_initializer
def lecun_uniform(shape: Shape, *, dtype: DTypeLike = np.float32, rng: Rng = None) -> Array:
    """Uniform on ``sqrt(3 / fan_in) * [-1, 1)``, of variance ``1 / fan_in``.

    Source: LeCun, Bottou, Orr and Mueller, Efficient backprop, 1998, section 4.6.

    >>> lecun_uniform((3, 2), rng=0).shape
    (3, 2)
    """
    return _centred_uniform(shape, math.sqrt(1 / _fans(shape)[0]), dtype, rng)


@_initializer
def lecun_normal(shape: Shape, *, dtype: DTypeLike = np.float32, rng: Rng = None) -> Array:
    """Normal with standard deviation ``sqrt(1 / fan_in)`` (LeCun et al., 1998).

    >>> lecun_normal((3, 2), rng=0).shape
    (3, 2)
    """
    return normal(shape, std=math.sqrt(1 / _fans(shape)[0]), dtype=dtype, rng=rng)


@_initializer
def orthogonal(shape: Shape, *, gain: float = 1.0, dtype: DTypeLike = np.float32, rng: Rng = None) -> Array:
    """``gain`` times a random matrix with orthonormal columns, or rows where there are fewer rows than columns.

    Uniformly distributed over all such matrices: the Q of the QR decomposition of a normal matrix, with the signs of
    R's diagonal multiplied into Q. Weights of more than two axes are orthogonal as a matrix of shape[0] rows.

    Sources: Saxe, McClelland and Ganguli, Exact solutions to the nonlinear dynamics of learning in deep linear neural
    networks, 2014; Mezzadri, How to generate random matrices from the classical compact groups, 2007.

    >>> Q = orthogonal((4, 2), dtype=np.float64, rng=0)
    >>> np.allclose(Q.T @ Q, np.eye(2))
    True
    """
    if not math.isfinite(gain):
        raise ValueError(f"orthogonal: expected a finite gain, got {gain}")
    rows, *others = _weight_shape(shape)
    columns = math.prod(others)
    A = generator(rng, "orthogonal: rng").normal(size=(max(rows, columns), min(rows, columns)))
    Q, R = np.linalg.qr(A)
    Q = Q * np.sign(np.diag(R))
    Q = gain * (Q if rows >= columns else Q.T)
    return np.ascontiguousarray(Q.reshape(rows, *others), floating_dtype(dtype))


def _fans(shape: Shape) -> tuple[int, int]:
    """Fan-in and fan-out of weights of this shape."""
    first, second, *kernel = _weight_shape(shape)
    if not kernel:
        return first, second
    return second * math.prod(kernel), first * math.prod(kernel)


def _weight_shape(shape: Shape) -> tuple[int, ...]:
    """``shape`` as a tuple, if it has two axes or more."""
    sizes = tuple(shape) if isinstance(shape, Sequence) else (shape,)
    if len(sizes) < 2 or min(sizes) < 1:
        raise ValueError(
            "shape: expected (in_features, out_features) or (out_channels, in_channels, *kernel), all at least 1, "
            f"got {shape}"
        )
    return sizes


def _centred_uniform(shape: Shape, std: float, dtype: DTypeLike, rng: Rng) -> Array:
    """Uniform around 0 with standard deviation ``std``, which is that of an interval of half-width sqrt(3) std."""
    bound = math.sqrt(3) * std
    return uniform(shape, low=-bound, high=bound, dtype=dtype, rng=rng)
