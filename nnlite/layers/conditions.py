"""Where, which chooses between two inputs, and comparisons that give its condition as numbers, 1 and 0.

Inputs are broadcast as NumPy does it. Neither a condition nor a comparison has a gradient other than 0.
"""

from typing import Any

import numpy as np

from nnlite.basics.arrays import Array, as_array
from nnlite.compute.sums import sum_to
from nnlite.layers.arithmetic import Arrays, Broadcasting


class Where(Broadcasting):
    """``Z = X`` where the condition is true, else ``Y``, elementwise; each input gets dZ where Z is that input.

    What is not chosen has no influence, also if it is infinite or NaN. The condition, X and Y are broadcast. The
    condition has no gradient; it holds booleans, or numbers, of which all but 0 are true: those of
    :class:`nnlite.Greater` and :class:`nnlite.GreaterEqual`, and in a graph of ``a * b`` for both, ``1 - a`` for not.

    Raises:
        TypeError: an input does not hold real numbers.
        ShapeError: the shapes do not match.

    >>> layer = Where()
    >>> layer.forward(np.array([True, False, True]), np.array([1.0, 2.0, 3.0]), np.array([-1.0]))
    array([ 1., -1.,  3.])
    >>> layer.backward(np.array([10.0, 20.0, 30.0]))
    (array([10.,  0., 30.]), array([20.]))
    """

    sign = "where"
    without_gradient = ("condition",)
    masks = ("condition",)
    formulas = """
        Z = where(condition, X, Y)
        dX = sum_to(where(condition, dZ, 0), X)
        dY = sum_to(where(condition, 0, dZ), Y)
    """

    def forward(self, condition: Any, X: Any, Y: Any) -> Array:
        self.condition = as_array(condition, f"{self.one_line()}: condition") != 0
        self.X, self.Y = X, Y = self.check_Xs(X, Y)
        return self.computed(np.where, self.condition, X, Y)

    def backward(self, dZ: Any) -> Arrays:
        dZ = self.check_dY(dZ)
        zero = dZ.dtype.type(0)
        dX, dY = np.where(self.condition, dZ, zero), np.where(self.condition, zero, dZ)
        return sum_to(dX, self.X.shape), sum_to(dY, self.Y.shape)

    def onnx(self, graph: Any, condition: Any, X: Any, Y: Any) -> Any:
        true = condition if condition.dtype == bool else graph.Cast(condition, to=np.dtype(bool))
        return graph.Where(true, X, Y)


class Greater(Broadcasting):
    """``Z = 1`` where X is greater than Y, else 0, elementwise; ``dX = 0``, ``dY = 0``. The inputs are broadcast.

    Where an input is NaN, Z is 0. It is made as a condition of :class:`nnlite.Where`. With ``Greater()(Y, X)`` Z is 1
    where X is less than Y.

    >>> layer = Greater()
    >>> layer.forward(np.array([1.0, 2.0, 3.0]), np.array([2.0]))
    array([0., 0., 1.])
    >>> layer.backward(np.array([4.0, 4.0, 4.0]))
    (array([0., 0., 0.]), array([0.]))
    """

    sign = ">"
    formulas = """
        Z = 1 * (X > Y)
        dX = sum_to(0 * dZ, X)
        dY = sum_to(0 * dZ, Y)
    """

    def forward(self, X: Any, Y: Any) -> Array:
        self.X, self.Y = X, Y = self.check_Xs(X, Y)
        return self.computed(lambda X, Y: np.greater(X, Y).astype(X.dtype), X, Y)

    def backward(self, dZ: Any) -> Arrays:
        self.check_dY(dZ)
        return np.zeros_like(self.X), np.zeros_like(self.Y)

    def onnx(self, graph: Any, X: Any, Y: Any) -> Any:
        return graph.Cast(graph.Greater(X, Y), to=graph.dtype)


class GreaterEqual(Broadcasting):
    """``Z = 1`` where X is at least Y, else 0, elementwise; ``dX = 0``, ``dY = 0``. The inputs are broadcast.

    Where an input is NaN, Z is 0. It is made as a condition of :class:`nnlite.Where`. With ``GreaterEqual()(Y, X)`` Z
    is 1 where X is at most Y.

    >>> layer = GreaterEqual()
    >>> layer.forward(np.array([1.0, 2.0, 3.0]), np.array([2.0]))
    array([0., 1., 1.])
    >>> layer.backward(np.array([4.0, 4.0, 4.0]))
    (array([0., 0., 0.]), array([0.]))
    """

    sign = "≥"
    formulas = """
        Z = 1 * (X >= Y)
        dX = sum_to(0 * dZ, X)
        dY = sum_to(0 * dZ, Y)
    """

    def forward(self, X: Any, Y: Any) -> Array:
        self.X, self.Y = X, Y = self.check_Xs(X, Y)
        return self.computed(lambda X, Y: np.greater_equal(X, Y).astype(X.dtype), X, Y)

    def backward(self, dZ: Any) -> Arrays:
        self.check_dY(dZ)
        return np.zeros_like(self.X), np.zeros_like(self.Y)

    def onnx(self, graph: Any, X: Any, Y: Any) -> Any:
        if graph.opset >= 16:
            return graph.Cast(graph.GreaterOrEqual(X, Y), to=graph.dtype)
        return graph.Cast(graph.Or(graph.Greater(X, Y), graph.Equal(X, Y)), to=graph.dtype)  # whose shape onnx infers


class Equal(Broadcasting):
    """``Z = 1`` where X is equal to Y, else 0, elementwise, of numbers or of indices. The inputs are broadcast.

    It has no gradient, and the inputs keep their dtype, so that whole numbers are compared exactly. In a graph
    ``1 - Equal()(words, 0)`` marks the words that are no padding. Where an input is NaN, Z is 0.

    >>> layer = Equal()
    >>> layer.forward(np.array([7, 3, 0, 0]), np.array([0]))
    array([0., 0., 1., 1.], dtype=float32)
    >>> layer.backward(np.ones(4)) is None
    True
    """

    sign, any_order = "=", True
    without_gradient = ("X", "Y")
    formulas = "Z = 1 * (X == Y)"

    def forward(self, X: Any, Y: Any) -> Array:
        X, Y = [as_array(each, f"{self.one_line()}: {name}") for name, each in (("X", X), ("Y", Y))]
        floating = [each.dtype for each in (X, Y) if each.dtype.kind == "f"]
        dtype = np.result_type(*floating) if floating else self.dtype
        return self.computed(lambda X, Y: np.equal(X, Y).astype(dtype), X, Y)

    def backward(self, dZ: Any) -> None:
        self.check_dY(dZ)

    def onnx(self, graph: Any, X: Any, Y: Any) -> Any:
        return graph.Cast(graph.Equal(X, Y), to=graph.dtype)
