"""Activations made of straight pieces: clipped, cut off below a threshold, and the hard forms of sigmoid and SiLU."""

import math
from typing import Any

from nnlite.basics.arrays import Array
from nnlite.basics.checks import number
from nnlite.compute import activation_kernels as kernels
from nnlite.layers.activations import Activation


class Hardtanh(Activation):
    """``Y = min(max(X, min_val), max_val)``; ``dX = dY`` where X is strictly between the two, else 0.

    X and Y have the same shape, any. Y is read-only, because backward uses it.

    Args:
        min_val: the smallest Y.
        max_val: the largest Y.

    Raises:
        ValueError: ``min_val`` is not below ``max_val``.

    Source: Collobert, Large scale machine learning, 2004.

    >>> import numpy as np
    >>> layer = Hardtanh()
    >>> layer.forward(np.array([-2.0, 0.5, 1.0]))
    array([-1. ,  0.5,  1. ])
    >>> layer.backward(np.array([1.0, 1.0, 1.0]))
    array([0., 1., 0.])
    """

    formulas = """
        Y = minimum(maximum(X, min_val), max_val)
        dX = dY * (X > min_val) * (X < max_val)
    """
    onnx = "Clip(X, min=min_val, max=max_val)"
    flops_per_element = (2, 3)

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0) -> None:
        name = type(self).__name__
        self.min_val, self.max_val = number(min_val, f"{name}: min_val"), number(max_val, f"{name}: max_val")
        if not self.min_val < self.max_val:
            raise ValueError(f"{name}: expected min_val < max_val, got {min_val} and {max_val}")

    @property
    def output_range(self) -> tuple[float, float]:  # type: ignore[override]
        return self.min_val, self.max_val

    def forward(self, X: Any) -> Array:
        self.Y = self.keep_Y(kernels.hardtanh(self.check_X(X), self.min_val, self.max_val))
        return self.Y

    def backward(self, dY: Any) -> Array:
        return kernels.hardtanh_backward(self.check_dY(dY), self.Y, self.min_val, self.max_val)

    def extra_repr(self) -> str:
        return f"min_val={self.min_val}, max_val={self.max_val}"


class ReLU6(Hardtanh):
    """``Y = min(max(X, 0), 6)``; ``dX = dY`` where X is strictly between 0 and 6, else 0.

    X and Y have the same shape, any. Y is read-only, because backward uses it.

    Source: Krizhevsky, Convolutional deep belief networks on CIFAR-10, 2010.

    >>> import numpy as np
    >>> ReLU6().forward(np.array([-1.0, 0.5, 7.0]))
    array([0. , 0.5, 6. ])
    """

    def __init__(self) -> None:
        super().__init__(0.0, 6.0)

    def extra_repr(self) -> str:
        return ""


class Hardsigmoid(Activation):
    """``Y = min(max(X + 3, 0), 6) / 6``; ``dX = dY / 6`` where X is strictly between -3 and 3, else 0.

    X and Y have the same shape, any.

    Source: Courbariaux, Bengio and David, BinaryConnect: training deep neural networks with binary weights, 2015.

    >>> import numpy as np
    >>> layer = Hardsigmoid()
    >>> layer.forward(np.array([-3.0, 0.0, 1.5]))
    array([0.  , 0.5 , 0.75])
    >>> layer.backward(np.array([6.0, 6.0, 6.0]))
    array([0., 1., 1.])
    """

    formulas = """
        Y = minimum(maximum(X + 3, 0), 6) / 6
        dX = dY / 6 * (abs(X) < 3)
    """
    onnx = "HardSigmoid(X, alpha=1 / 6, beta=0.5)"
    output_range = (0.0, 1.0)
    flops_per_element = (4, 3)

    def forward(self, X: Any) -> Array:
        self.X = self.check_X(X)
        return self.record_Y(kernels.hardsigmoid(self.X))

    def backward(self, dY: Any) -> Array:
        return kernels.hardsigmoid_backward(self.check_dY(dY), self.X)


class Hardswish(Activation):
    """``Y = X min(max(X + 3, 0), 6) / 6``; ``dX = dY (X / 3 + 1 / 2)`` strictly between -3 and 3, 0 below, dY above.

    X and Y have the same shape, any.

    Source: Howard et al., Searching for MobileNetV3, 2019.

    >>> import numpy as np
    >>> layer = Hardswish()
    >>> layer.forward(np.array([-4.0, 1.5, 3.0]))
    array([-0.   ,  1.125,  3.   ])
    >>> layer.backward(np.array([1.0, 1.0, 1.0]))
    array([0., 1., 1.])
    """

    formulas = """
        Y = X * minimum(maximum(X + 3, 0), 6) / 6
        dX = dY * ((X / 3 + 1 / 2) * (abs(X) < 3) + (X >= 3))
    """
    onnx = "HardSwish(X) if opset >= 14 else X * HardSigmoid(X, alpha=1 / 6, beta=0.5)"
    output_range = (-0.375, math.inf)
    flops_per_element = (5, 5)

    def forward(self, X: Any) -> Array:
        self.X = self.check_X(X)
        return self.record_Y(kernels.hardswish(self.X))

    def backward(self, dY: Any) -> Array:
        return kernels.hardswish_backward(self.check_dY(dY), self.X)


class Threshold(Activation):
    """``Y = X`` where X is above ``threshold``, else ``value``; ``dX = dY`` above ``threshold``, else 0.

    X and Y have the same shape, any.

    Args:
        threshold: the number that X must exceed.
        value: Y elsewhere.

    >>> import numpy as np
    >>> layer = Threshold(1.0, -5.0)
    >>> layer.forward(np.array([0.5, 1.0, 2.0]))
    array([-5., -5.,  2.])
    >>> layer.backward(np.array([1.0, 1.0, 1.0]))
    array([0., 0., 1.])
    """

    formulas = """
        Y = X * (X > threshold) + value * (X <= threshold)
        dX = dY * (X > threshold)
    """
    onnx = "Where(X > threshold, X, value) if value else ThresholdedRelu(X, alpha=threshold)"
    flops_per_element = (1, 1)

    def __init__(self, threshold: float, value: float) -> None:
        self.threshold = number(threshold, "Threshold: threshold")
        self.value = number(value, "Threshold: value")

    @property
    def output_range(self) -> tuple[float, float]:  # type: ignore[override]
        return min(self.threshold, self.value), math.inf

    def forward(self, X: Any) -> Array:
        self.X = self.check_X(X)
        return self.record_Y(kernels.threshold(self.X, self.threshold, self.value))

    def backward(self, dY: Any) -> Array:
        return kernels.threshold_backward(self.check_dY(dY), self.X, self.threshold)

    def extra_repr(self) -> str:
        return f"threshold={self.threshold}, value={self.value}"
