"""Branches without writing a graph: a skip connection around a chain, and several layers on the same input."""

from typing import Any

from nnlite.basics.arrays import Array
from nnlite.basics.shapes import UNKNOWN, Shape, width
from nnlite.containers.graph import Graph
from nnlite.containers.nodes import Input
from nnlite.containers.sequential import Sequential
from nnlite.errors import ShapeError
from nnlite.layer.layer import Layer, check_layer
from nnlite.layers.arithmetic import Add
from nnlite.layers.arrangement import Concat


class Residual(Sequential):
    """A chain of layers f with a skip connection: ``Y = X + f(X)``; ``dX = dY + dX_f``, with dX_f from f's backward.

    Args:
        layers: the chain f, whose output has the shape of its input.

    Raises:
        TypeError, ValueError: as :class:`nnlite.Sequential`.
        ShapeError: the output of f has another shape than its input.

    Source: He, Zhang, Ren and Sun, Deep residual learning for image recognition, 2016.

    >>> import numpy as np, nnlite as nn
    >>> layer = Residual(nn.Tanh())
    >>> layer.forward(np.array([0.0, 1.0]))
    array([0.        , 1.76159416])
    >>> layer.backward(np.array([1.0, 1.0]))
    array([2.        , 1.41997434])
    """

    def __init__(self, *layers: Layer) -> None:
        super().__init__(*layers)
        self.output_shape((..., getattr(layers[0], "in_features", None)) if layers else UNKNOWN)

    def forward(self, X: Any) -> Array:  # type: ignore[override]
        return self._joined(X, super().forward(X))

    def _joined(self, X: Any, f: Array) -> Array:
        X = self.check_X(X)
        if f.shape != X.shape:
            self._Y_shape = None
            raise ShapeError(f"{self.one_line()}: expected layers that keep X's shape {X.shape}, got {f.shape}")
        return self.record_Y(X.astype(f.dtype, copy=False) + f)

    def backward(self, dY: Any) -> Array:  # type: ignore[override]
        dY = self.check_dY(dY)
        dX: Array = dY + super().backward(dY)
        return dX

    def forward_through(self, to: Any, *Xs: Any, **named: Any) -> Any:
        (X,) = (*Xs, *named.values())
        return to.own(Add(), X, super().forward_through(to, X))

    def names_of_inputs(self, count: int | None = None) -> list[str | None]:
        return ["X"]

    def output_shape(self, *shapes: Shape) -> Any:
        (X,) = shapes
        Y = super().output_shape(X)
        if None not in (width(X), width(Y)) and width(X) != width(Y):
            raise ShapeError(f"{self.one_line()}: expected layers that keep the width {width(X)}, got {width(Y)}")
        return Y


class Parallel(Graph):
    """Layers on the same X, whose outputs are merged; the gradients of X are summed.

    Args:
        branches: layers, each of which gets X.
        merge: the layer of several inputs that merges the outputs, such as ``Add()``; by default ``Concat()``, which
            concatenates features.

    Raises:
        TypeError, ValueError, ShapeError: as :class:`nnlite.Graph`.

    >>> import numpy as np, nnlite as nn
    >>> layer = Parallel(nn.Linear(3, 2), nn.Identity())
    >>> layer.forward(np.ones((5, 3))).shape
    (5, 5)
    """

    def __init__(self, *branches: Layer, merge: Layer | None = None) -> None:
        if not branches:
            raise ValueError("Parallel: expected at least one branch")
        for index, branch in enumerate(branches):
            check_layer(branch, f"Parallel: branch {index}")
        X = Input("X")
        Ys = [branch(X) for branch in branches]
        super().__init__(X, (Concat() if merge is None else merge)(*Ys))

    def saved_arguments(self) -> dict[str, Any]:
        """For files: the branches and the layer that merges them."""
        return {"branches": self.layers[:-1], "merge": self.layers[-1]}
