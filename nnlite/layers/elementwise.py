"""Elementwise functions of one input: negative, exponential, logarithm, powers, absolute value and sign."""

from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.compute import kernels
from nnlite.layers.activations import Activation


class Negative(Activation):
    """``Y = -X``; ``dX = -dY``.

    >>> import numpy as np
    >>> layer = Negative()
    >>> layer.forward(np.array([1.0, -2.0]))
    array([-1.,  2.])
    >>> layer.backward(np.array([3.0, 4.0]))
    array([-3., -4.])
    """

    sign = "\N{MINUS SIGN}x"
    formulas = """
        Y = -X
        dX = -dY
    """
    onnx = "Neg(X)"

    def forward(self, X: Any) -> Array:
        return self.record_Y(kernels.negative(self.check_X(X)))

    def backward(self, dY: Any) -> Array:
        return kernels.negative(self.check_dY(dY))


class Exp(Activation):
    """``Y = exp(X)``; ``dX = dY Y``. Y is read-only, because backward uses it.

    >>> import numpy as np
    >>> layer = Exp()
    >>> layer.forward(np.array([0.0, 1.0]))
    array([1.        , 2.71828183])
    >>> layer.backward(np.array([2.0, 2.0]))
    array([2.        , 5.43656366])
    """

    sign = "eˣ"
    formulas = """
        Y = exp(X)
        dX = dY * Y
    """
    onnx = "Exp(X)"

    def forward(self, X: Any) -> Array:
        self.Y = self.keep_Y(kernels.exp(self.check_X(X)))
        return self.Y

    def backward(self, dY: Any) -> Array:
        return kernels.exp_backward(self.check_dY(dY), self.Y)


class Log(Activation):
    """``Y = log(X)``, the natural logarithm; ``dX = dY / X``. log(0) is -inf, and NaN below 0.

    >>> import numpy as np
    >>> layer = Log()
    >>> layer.forward(np.array([1.0, 2.0]))
    array([0.        , 0.69314718])
    >>> layer.backward(np.array([2.0, 2.0]))
    array([2., 1.])
    """

    sign = "ln"
    formulas = """
        Y = log(X)
        dX = dY / X
    """
    onnx = "Log(X)"

    def forward(self, X: Any) -> Array:
        self.X = self.check_X(X)
        return self.record_Y(kernels.log(self.X))

    def backward(self, dY: Any) -> Array:
        return kernels.log_backward(self.check_dY(dY), self.X)


class Square(Activation):
    """``Y = X^2``; ``dX = 2 dY X``.

    >>> import numpy as np
    >>> layer = Square()
    >>> layer.forward(np.array([1.0, -3.0]))
    array([1., 9.])
    >>> layer.backward(np.array([1.0, 1.0]))
    array([ 2., -6.])
    """

    sign = "x²"
    formulas = """
        Y = X ** 2
        dX = 2 * dY * X
    """
    onnx = "X * X"

    def forward(self, X: Any) -> Array:
        self.X = self.check_X(X)
        return self.record_Y(kernels.square(self.X))

    def backward(self, dY: Any) -> Array:
        return kernels.square_backward(self.check_dY(dY), self.X)


class Sqrt(Activation):
    """``Y = sqrt(X)``, NaN below 0; ``dX = dY / (2 Y)``, infinite at 0. Y is read-only, because backward uses it.

    >>> import numpy as np
    >>> layer = Sqrt()
    >>> layer.forward(np.array([1.0, 9.0]))
    array([1., 3.])
    >>> layer.backward(np.array([6.0, 6.0]))
    array([3., 1.])
    """

    sign = "√x"
    formulas = """
        Y = sqrt(X)
        dX = dY / (2 * Y)
    """
    onnx = "Sqrt(X)"

    def forward(self, X: Any) -> Array:
        self.Y = self.keep_Y(kernels.sqrt(self.check_X(X)))
        return self.Y

    def backward(self, dY: Any) -> Array:
        return kernels.sqrt_backward(self.check_dY(dY), self.Y)


class Reciprocal(Activation):
    """``Y = 1 / X``, infinite at 0; ``dX = -dY Y^2``. Y is read-only, because backward uses it.

    >>> import numpy as np
    >>> layer = Reciprocal()
    >>> layer.forward(np.array([1.0, -4.0]))
    array([ 1.  , -0.25])
    >>> layer.backward(np.array([16.0, 16.0]))
    array([-16.,  -1.])
    """

    sign = "1/x"
    formulas = """
        Y = 1 / X
        dX = -dY * Y ** 2
    """
    onnx = "Reciprocal(X)"

    def forward(self, X: Any) -> Array:
        self.Y = self.keep_Y(kernels.reciprocal(self.check_X(X)))
        return self.Y

    def backward(self, dY: Any) -> Array:
        return kernels.reciprocal_backward(self.check_dY(dY), self.Y)


class Abs(Activation):
    """``Y = |X|``; ``dX = dY sign(X)``. The derivative at 0 is 0.

    >>> import numpy as np
    >>> layer = Abs()
    >>> layer.forward(np.array([1.0, 0.0, -3.0]))
    array([1., 0., 3.])
    >>> layer.backward(np.array([2.0, 2.0, 2.0]))
    array([ 2.,  0., -2.])
    """

    sign = "|x|"
    formulas = """
        Y = abs(X)
        dX = dY * sign(X)
    """
    onnx = "Abs(X)"

    def forward(self, X: Any) -> Array:
        self.X = self.check_X(X)
        return self.record_Y(kernels.absolute(self.X))

    def backward(self, dY: Any) -> Array:
        return kernels.absolute_backward(self.check_dY(dY), self.X)


class Sign(Activation):
    """``Y = 1`` where X is positive, -1 where it is negative, and 0 at 0; ``dX = 0``.

    >>> import numpy as np
    >>> layer = Sign()
    >>> layer.forward(np.array([2.0, 0.0, -3.0]))
    array([ 1.,  0., -1.])
    >>> layer.backward(np.array([2.0, 2.0, 2.0]))
    array([0., 0., 0.])
    """

    sign = "sgn"
    formulas = """
        Y = sign(X)
        dX = 0 * dY
    """
    onnx = "Sign(X)"

    def forward(self, X: Any) -> Array:
        return self.record_Y(np.asarray(np.sign(self.check_X(X))))

    def backward(self, dY: Any) -> Array:
        return np.zeros_like(self.check_dY(dY))
