"""Arithmetic of several inputs: sum, difference, product, quotient, power, maximum and minimum.

``forward(X, Y)`` takes the inputs as arguments, and backward returns a tuple with the gradient of each. Inputs are
broadcast as NumPy does it; the gradient of an input that was broadcast is summed to its shape.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from nnlite.basics.arrays import FLOATING, Array, as_array, as_floating
from nnlite.basics.shapes import Shape, broadcast_shapes, mismatch
from nnlite.compute.sums import sum_to
from nnlite.layer.layer import Layer

Arrays = tuple[Array, ...]


class Gate(Layer):
    """Base class of layers with several inputs; backward returns a tuple with the gradient of each.

    >>> Add().forward(np.ones(2), np.ones((3, 1))).shape
    (3, 2)
    """

    def check_Xs(self, *Xs: Any) -> Arrays:
        """Return the inputs as floating arrays of one dtype: the widest of theirs.

        Raises:
            TypeError: an input does not hold real numbers.
        """
        for X in Xs:
            if type(X) is not np.ndarray or X.dtype != Xs[0].dtype or X.dtype not in FLOATING:
                break
        else:
            return Xs
        name = f"{self.one_line()}: X"
        arrays = [as_array(X, f"{name}{number}") for number, X in enumerate(Xs, start=1)]
        floating = [as_floating(A, name).dtype for A in arrays if A.dtype.kind == "f"]
        dtype = np.result_type(*floating) if floating else self.dtype
        return tuple([as_floating(A, name, dtype) for A in arrays])

    def computed(self, function: Callable[..., Any], *Xs: Array) -> Array:
        """Return ``function(*Xs)``, whose shape and dtype :meth:`check_dY` will expect.

        Raises:
            ShapeError: the shapes of the inputs do not match.
        """
        try:
            return self.record_Y(np.asarray(function(*Xs)))
        except ValueError:
            raise mismatch(self, [X.shape for X in Xs]) from None


class Broadcasting(Gate):
    """Base class of elementwise layers of several inputs, which are broadcast to one shape.

    >>> Multiply().output_shape((..., 3), (2, 1))
    (Ellipsis, 2, 3)
    """

    def output_shape(self, *shapes: Shape) -> Shape:
        return broadcast_shapes(self, *shapes)


class Add(Broadcasting):
    """``Z = X + Y + ...``, elementwise, of two inputs or more, which are broadcast; ``dX = dZ``, ``dY = dZ``.

    >>> layer = Add()
    >>> layer.forward(np.array([1.0, 2.0]), np.array([10.0]))
    array([11., 12.])
    >>> layer.backward(np.array([3.0, 4.0]))
    (array([3., 4.]), array([7.]))
    """

    sign, any_order = "+", True
    formulas = """
        Z = X + Y + more
        dX = sum_to(dZ, X)
        dY = sum_to(dZ, Y)
        dmore = sum_to(dZ, more)
    """
    onnx = "Sum(X, Y, *more) if more else X + Y"

    def forward(self, X: Any, Y: Any, *more: Any) -> Array:
        Xs = self.check_Xs(X, Y, *more)
        self.shapes = [X.shape for X in Xs]
        return self.computed(_sum_of, *Xs)

    def backward(self, dZ: Any) -> Arrays:
        dZ = self.check_dY(dZ)
        return tuple([sum_to(dZ.copy(), shape) for shape in self.shapes])


def _sum_of(X: Array, Y: Array, *more: Array) -> Array:
    Z = np.asarray(X + Y)
    for each in more:
        Z = np.asarray(Z + each)
    return Z


class Subtract(Broadcasting):
    """``Z = X - Y``, elementwise; ``dX = dZ``, ``dY = -dZ``. The inputs are broadcast.

    >>> layer = Subtract()
    >>> layer.forward(np.array([1.0, 2.0]), np.array([10.0]))
    array([-9., -8.])
    >>> layer.backward(np.array([3.0, 4.0]))
    (array([3., 4.]), array([-7.]))
    """

    sign = "\N{MINUS SIGN}"
    formulas = """
        Z = X - Y
        dX = sum_to(dZ, X)
        dY = sum_to(-dZ, Y)
    """
    onnx = "X - Y"

    def forward(self, X: Any, Y: Any) -> Array:
        X, Y = self.check_Xs(X, Y)
        self.shapes = X.shape, Y.shape
        return self.computed(np.subtract, X, Y)

    def backward(self, dZ: Any) -> Arrays:
        dZ = self.check_dY(dZ)
        return sum_to(dZ.copy(), self.shapes[0]), sum_to(-dZ, self.shapes[1])


class Multiply(Broadcasting):
    """``Z = X * Y``, elementwise; ``dX = dZ Y``, ``dY = dZ X``. The inputs are broadcast.

    >>> layer = Multiply()
    >>> layer.forward(np.array([1.0, 2.0]), np.array([10.0]))
    array([10., 20.])
    >>> layer.backward(np.array([3.0, 4.0]))
    (array([30., 40.]), array([11.]))
    """

    sign, any_order = "\N{MULTIPLICATION SIGN}", True
    formulas = """
        Z = X * Y
        dX = sum_to(dZ * Y, X)
        dY = sum_to(dZ * X, Y)
    """
    onnx = "X * Y"

    def forward(self, X: Any, Y: Any) -> Array:
        self.X, self.Y = X, Y = self.check_Xs(X, Y)
        return self.computed(np.multiply, X, Y)

    def backward(self, dZ: Any) -> Arrays:
        dZ = self.check_dY(dZ)
        return sum_to(dZ * self.Y, self.X.shape), sum_to(dZ * self.X, self.Y.shape)


class Divide(Broadcasting):
    """``Z = X / Y``, elementwise; ``dX = dZ / Y``, ``dY = -dZ Z / Y``. The inputs are broadcast.

    Where Y is 0, Z is infinite or NaN.

    >>> layer = Divide()
    >>> layer.forward(np.array([1.0, 2.0]), np.array([4.0]))
    array([0.25, 0.5 ])
    >>> layer.backward(np.array([4.0, 4.0]))
    (array([1., 1.]), array([-0.75]))
    """

    sign = "÷"
    formulas = """
        Z = X / Y
        dX = sum_to(dZ / Y, X)
        dY = sum_to(-dZ * Z / Y, Y)
    """
    onnx = "X / Y"

    def forward(self, X: Any, Y: Any) -> Array:
        self.X, self.Y = X, Y = self.check_Xs(X, Y)
        with np.errstate(all="ignore"):
            self.Z = self.keep_Y(self.computed(np.divide, X, Y))
        return self.Z

    def backward(self, dZ: Any) -> Arrays:
        dZ = self.check_dY(dZ)
        with np.errstate(all="ignore"):
            dX = dZ / self.Y
            return sum_to(dX, self.X.shape), sum_to(-dX * self.Z, self.Y.shape)


class Power(Broadcasting):
    """``Z = X^P``, elementwise; ``dX = dZ P X^(P-1)``, ``dP = dZ Z log(X)``. The inputs are broadcast.

    Where X is negative, Z is NaN unless P is an integer, and dP is NaN. Where Z is 0, dP is 0, its limit for X -> 0;
    it is 0 also for 0^0, which is 1.

    >>> layer = Power()
    >>> layer.forward(np.array([1.0, 2.0]), np.array([3.0]))
    array([1., 8.])
    >>> dX, dP = layer.backward(np.array([1.0, 1.0]))
    >>> dX, dP.round(4)
    (array([ 3., 12.]), array([5.5452]))
    """

    sign = "xʸ"
    formulas = """
        Z = X ** P
        dX = sum_to(dZ * P * X ** (P - 1), X)
        dP = sum_to(dZ * Z * log(X), P)
    """
    onnx = "X**P"

    def forward(self, X: Any, P: Any) -> Array:
        self.X, self.P = X, P = self.check_Xs(X, P)
        with np.errstate(all="ignore"):
            self.Z = self.keep_Y(self.computed(np.power, X, P))
        return self.Z

    def backward(self, dZ: Any) -> Arrays:
        dZ, one = self.check_dY(dZ), self.P.dtype.type(1)
        with np.errstate(all="ignore"):
            slope = np.where(self.P == 0, 0 * one, self.P * self.X ** (self.P - one))  # the derivative of X^0 is 0
            flat = (self.Z == 0) | (self.X == 0) & (self.P == 0)
            log = np.log(np.where(flat, one, self.X))
            return sum_to(dZ * slope, self.X.shape), sum_to(dZ * self.Z * log, self.P.shape)


class Maximum(Broadcasting):
    """``Z = max(X, Y)``, elementwise; the larger input gets the gradient, or each half of it where they are equal.

    The inputs are broadcast. Where an input is NaN, Z is NaN and both gradients are 0.

    >>> layer = Maximum()
    >>> layer.forward(np.array([1.0, 2.0, 3.0]), np.array([2.0]))
    array([2., 2., 3.])
    >>> layer.backward(np.array([4.0, 4.0, 4.0]))
    (array([0., 2., 4.]), array([6.]))
    """

    sign, any_order = "max", True
    formulas = """
        Z = maximum(X, Y)
        dX = sum_to(dZ * ((X > Y) + (X == Y) / 2), X)
        dY = sum_to(dZ * ((Y > X) + (X == Y) / 2), Y)
    """
    onnx = "Max(X, Y)"

    def forward(self, X: Any, Y: Any) -> Array:
        self.X, self.Y = X, Y = self.check_Xs(X, Y)
        return self.computed(np.maximum, X, Y)

    def backward(self, dZ: Any) -> Arrays:
        dZ = self.check_dY(dZ)
        return _routed(dZ, self.X, self.Y, self.X > self.Y, self.Y > self.X)


class Minimum(Broadcasting):
    """``Z = min(X, Y)``, elementwise; the smaller input gets the gradient, or each half of it where they are equal.

    The inputs are broadcast. Where an input is NaN, Z is NaN and both gradients are 0.

    >>> layer = Minimum()
    >>> layer.forward(np.array([1.0, 2.0, 3.0]), np.array([2.0]))
    array([1., 2., 2.])
    >>> layer.backward(np.array([4.0, 4.0, 4.0]))
    (array([4., 2., 0.]), array([6.]))
    """

    sign, any_order = "min", True
    formulas = """
        Z = minimum(X, Y)
        dX = sum_to(dZ * ((X < Y) + (X == Y) / 2), X)
        dY = sum_to(dZ * ((Y < X) + (X == Y) / 2), Y)
    """
    onnx = "Min(X, Y)"

    def forward(self, X: Any, Y: Any) -> Array:
        self.X, self.Y = X, Y = self.check_Xs(X, Y)
        return self.computed(np.minimum, X, Y)

    def backward(self, dZ: Any) -> Arrays:
        dZ = self.check_dY(dZ)
        return _routed(dZ, self.X, self.Y, self.X < self.Y, self.Y < self.X)


def _routed(dZ: Array, X: Array, Y: Array, to_X: Array, to_Y: Array) -> Arrays:
    """Return (dX, dY): dZ where ``to_X`` and ``to_Y`` are true, and half of it in both where X equals Y."""
    zero = dZ.dtype.type(0)
    half = np.where(X == Y, dZ / 2, zero)
    return sum_to(half + np.where(to_X, dZ, zero), X.shape), sum_to(half + np.where(to_Y, dZ, zero), Y.shape)
