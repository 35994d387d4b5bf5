"""Branches, for those who want no graph: a way around some layers, and several ways side by side."""

from typing import Any

from nnlite.basics.arrays import Array
from nnlite.containers.graph import Graph
from nnlite.containers.nodes import Input
from nnlite.containers.sequential import Sequential
from nnlite.errors import ShapeError
from nnlite.layer.layer import Layer, check_layer
from nnlite.layers.arrangement import Concat


class Residual(Sequential):
    """A chain of layers f and a way around it: ``Y = X + f(X)``; ``dX = dY + dX_f``, with dX_f from f's backward.

    Args:
        layers: f, whose output has the shape of its input.

    Raises:
        TypeError, ValueError: as :class:`nnlite.Sequential`.
        ShapeError: f gives another shape than it takes.

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
        self.output_features(getattr(layers[0], "in_features", None) if layers else None)

    def forward(self, X: Any) -> Array:  # type: ignore[override]
        """``Y = X + f(X)``."""
        return self._joined(X, super().forward(X))

    def _joined(self, X: Any, f: Array) -> Array:
        X = self.check_X(X)
        if f.shape != X.shape:
            self._Y_shape = None
            raise ShapeError(f"{self.one_line()}: expected layers that keep X's shape {X.shape}, got {f.shape}")
        return self.record_Y(X.astype(f.dtype, copy=False) + f)

    def backward(self, dY: Any) -> Array:  # type: ignore[override]
        """``dX = dY + dX_f``."""
        dY = self.check_dY(dY)
        dX: Array = dY + super().backward(dY)
        return dX

    def output_features(self, in_features: int | None) -> int | None:
        """That of X."""
        after = super().output_features(in_features)
        if None not in (in_features, after) and after != in_features:
            raise ShapeError(f"{self.one_line()}: expected layers that keep the width {in_features}, got {after}")
        return after


class Parallel(Graph):
    """Branches side by side on the same X, whose outputs are merged; their gradients are summed.

    Args:
        branches: layers, each of which gets X.
        merge: the layer of several inputs that joins what the branches give, such as ``Add()``; by default
            ``Concat()``, which joins features.

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
