"""tied: a second layer on the same parameters."""

from collections.abc import Iterator
from typing import Any, ClassVar, Self

import numpy as np

from nnlite.basics.arrays import Array, as_floating
from nnlite.basics.shapes import UNKNOWN, Shape, width
from nnlite.compute import blas
from nnlite.compute.sums import column_sum
from nnlite.containers.nodes import Parameter
from nnlite.errors import ShapeError
from nnlite.initializers import zeros
from nnlite.layer.described import can_skip_dX
from nnlite.layer.hidden import Reference
from nnlite.layer.layer import Layer, check_layer
from nnlite.layers.linear import Linear


def tied(layer: Layer, *, transpose: bool = False) -> Layer:
    """A second layer on the same parameters, with a cache of its own.

    The parameters are once in ``Phi``, the buffers once in ``state_dict``. The Sequential or Graph that contains both
    layers adds the gradients of the second to those of the first at the end of its backward, so one step uses their
    sum.

    Args:
        layer: the layer, with or without others in it.
        transpose: for a Linear, ``Y = X W^T + b`` with a b of its own, as in the decoder of an autoencoder; without b
            if the Linear has none.

    Raises:
        TypeError: not a Layer; or with ``transpose`` not a Linear.

    >>> import nnlite as nn
    >>> encoder = nn.Linear(64, 2, rng=0)
    >>> model = nn.Sequential(encoder, nn.Tanh(), tied(encoder, transpose=True))
    >>> model.Phi.size == 64 * 2 + 2 + 64
    True
    >>> model.forward(np.ones((5, 64))).shape
    (5, 64)
    """
    check_layer(layer, "tied")
    if isinstance(layer, Parameter):
        raise TypeError("tied: a Parameter caches nothing, so it can be used any number of times without tied")
    if isinstance(layer, Tied):
        layer = layer.original
    if not transpose:
        return Tied(layer)
    if not isinstance(layer, Linear):
        raise TypeError(f"tied: transpose: expected a Linear, got {layer.one_line()}")
    return TiedTranspose(layer)


class Tied(Layer):
    """A second use of any layer, as :func:`tied` returns it: the same forward and backward on its parameters.

    >>> import nnlite as nn
    >>> layer = nn.Linear(2, 2, rng=0)
    >>> X = np.ones((1, 2))
    >>> np.array_equal(Tied(layer).forward(X), layer.forward(X))
    True
    """

    def __init__(self, layer: Layer) -> None:
        self._original = Reference(layer)
        self._twin = Reference(_with_its_own_ties(layer))  # with a cache and gradients of its own
        self.num_outputs = layer.num_outputs
        self._share()

    def forward(self, *Xs: Any, **named: Any) -> Any:
        self._share()
        return self._twin.layer.forward(*Xs, **named)

    def backward(self, *dYs: Any, **named: Any) -> Any:
        dX = self._twin.layer.backward(*dYs, **named)
        return dX if self.needs_dX else None

    def onnx(self, graph: Any, *Xs: Any) -> Any:
        return graph.layer(self.twin, *Xs)

    def own_gradients(self) -> Iterator[tuple[Array, Array]]:
        ours, theirs = self._twin.layer.named_gradients(), self.original.named_gradients()
        for (_, own), (_, dP) in zip(ours, theirs, strict=True):
            yield dP, own
        for part in _ties_out_of(self._twin.layer):
            yield from part.own_gradients()

    def _share(self) -> None:
        """Use the layer's parameters and buffers as they are now: they move when it joins a model or changes dtype."""
        for (_, own), (_, theirs) in zip(self._twin.layer.named_layers(), self.original.named_layers(), strict=True):
            own.training, own.dtype = self.training, theirs.dtype
            for name in theirs._parameters:
                P, dP = getattr(theirs, name), getattr(own, "d" + name)
                vars(own)["_" + name] = P
                if P is not None and (dP.dtype != P.dtype or not dP.flags.writeable):
                    vars(own)["_d" + name] = np.zeros_like(P)
            for name in theirs._buffers:
                vars(own)["_" + name] = getattr(theirs, name)

    @property
    def original(self) -> Layer:  # type: ignore[override]
        """The layer that this one is tied to."""
        layer: Layer = self._original.layer
        return layer

    @property
    def twin(self) -> Layer:
        """The layer that runs: on the original's parameters, with a cache and gradients of its own."""
        layer: Layer = self._twin.layer
        return layer

    @property
    def needs_dX(self) -> bool:
        """See :class:`nnlite.Layer`."""
        needed: bool = self._twin.layer.needs_dX
        return needed

    @needs_dX.setter
    def needs_dX(self, value: bool) -> None:
        self._twin.layer.needs_dX = value or not can_skip_dX(self._twin.layer)

    def output_shape(self, *shapes: Shape) -> Any:
        return self.original.output_shape(*shapes)

    def differentiable_inputs(self, count: int) -> tuple[int, ...]:
        return self.original.differentiable_inputs(count)

    def clear_cache(self) -> None:
        super().clear_cache()
        self._twin.layer.clear_cache()

    def extra_repr(self) -> str:
        return self.original.one_line()

    def evaluation_twin(self) -> Self:
        twin = super().evaluation_twin()
        twin._twin = Reference(self.original.evaluation_twin())
        return twin

    def saved_arguments(self) -> dict[str, Any]:
        """For files: the layer that this one is tied to."""
        return {"original": self.original}

    @classmethod
    def from_saved(cls, original: Layer) -> Layer:
        """See :func:`tied`."""
        return tied(original)


def _with_its_own_ties(layer: Layer) -> Layer:
    """A twin of the layer in which a layer tied to another part of it is tied to that part's twin.

    Its gradients are placeholders: whatever is tied makes its own in :meth:`Tied._share`.
    """
    twin = layer.evaluation_twin()
    parts = [part for _, part in layer.named_layers()]
    twins = dict(zip(map(id, parts), [part for _, part in twin.named_layers()], strict=True))
    for part, own in zip(parts, twins.values(), strict=True):
        for name in part._parameters:
            if (dP := getattr(part, "d" + name)) is not None:
                vars(own)["_d" + name] = placeholder(dP)
        if isinstance(own, Tied):
            own._twin = Reference(_with_its_own_ties(own.original))
        if isinstance(own, Tied | TiedTranspose) and id(own.original) in twins:
            own._original = Reference(twins[id(own.original)])
        own._tied = tuple([Reference(twins[id(tied.layer)]) for tied in part._tied])
    return twin


def placeholder(array: Array) -> Array:
    """A read-only array of the same shape and dtype that takes no memory."""
    return np.broadcast_to(np.zeros((), array.dtype), array.shape)


def _ties_out_of(twin: Layer) -> list[Layer]:
    """The layers in the twin that are tied to one outside of it."""
    parts = [part for _, part in twin.named_layers()]
    here = set(map(id, parts))
    return [part for part in parts if part.original is not None and id(part.original) not in here]


class TiedTranspose(Layer, parameters=("b",)):
    """A Linear used transposed, as :func:`tied` returns it: ``Y = X W^T + b``.

    Backward: ``dW = dY^T X``, ``db`` = the sum of dY over its rows, ``dX = dY W``.

    >>> import nnlite as nn
    >>> encoder = nn.Linear(3, 2, rng=0)
    >>> X = np.ones((1, 2), np.float32)
    >>> np.allclose(TiedTranspose(encoder).forward(X), X @ encoder.W.T)
    True
    """

    formulas = """
        Y = X @ W.T + b
        dW = rows(dY).T @ rows(X)
        db = sum(rows(dY), axis=0)
        dX = dY @ W
    """
    torch_names: ClassVar = {"b": "bias", "original.W": "weight"}
    onnx = "Gemm(X, original.W, b, transB=1) if X.ndim == 2 else X @ Transpose(original.W, perm=(1, 0)) + b"

    b: Array | None
    db: Array | None

    def __init__(self, layer: Linear) -> None:
        self._original = Reference(layer)
        self.in_features, self.out_features = layer.out_features, layer.in_features
        self.dtype = layer.dtype
        self.b = None if layer.b is None else zeros(self.out_features, dtype=layer.dtype)

    def forward(self, X: Any) -> Array:
        W = self.original.W
        X = as_floating(X, f"{self.one_line()}: X", W.dtype)
        self.X_shape = X.shape
        if not X.ndim or X.shape[-1] != self.in_features:
            raise ShapeError(f"{self}: expected {self.in_features} features, got X of shape {X.shape}")
        self.X = X.reshape(-1, self.in_features)
        Y = blas.matmul(self.X, W.T)
        if self.b is not None:
            Y += self.b
        return self.record_Y(Y.reshape(*X.shape[:-1], self.out_features))

    def backward(self, dY: Any) -> Array | None:
        dY = self.check_dY(dY).reshape(-1, self.out_features)
        self.dW = blas.matmul(dY.T, self.X)
        if self.db is not None:
            column_sum(dY, out=self.db)
        return blas.matmul(dY, self.original.W).reshape(self.X_shape) if self.needs_dX else None

    def own_gradients(self) -> Iterator[tuple[Array, Array]]:
        yield self.original.dW, self.dW

    @property
    def original(self) -> Linear:  # type: ignore[override]
        """The Linear that this one is tied to."""
        layer: Linear = self._original.layer
        return layer

    def output_shape(self, *shapes: Shape) -> Any:
        (X,) = shapes
        if width(X) not in (None, self.in_features):
            raise ShapeError(f"{self}: expected {self.in_features} features, got {width(X)}")
        return (*(X[:-1] if X and X != UNKNOWN else (...,)), self.out_features)

    def extra_repr(self) -> str:
        return f"{self.in_features} -> {self.out_features}, of {self.original.one_line()}"

    def saved_arguments(self) -> dict[str, Any]:
        """For files: the Linear that this one is tied to; b is a parameter like others."""
        return {"original": self.original}

    @classmethod
    def from_saved(cls, original: Linear) -> Layer:
        """See :func:`tied`."""
        return tied(original, transpose=True)
