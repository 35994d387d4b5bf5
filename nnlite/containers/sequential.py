"""Sequential: layers in a chain."""

import operator
from collections.abc import Callable, Iterator
from typing import Any, Self, overload

import numpy as np
from numpy import ndarray

from nnlite.basics.arrays import Array
from nnlite.basics.trees import listed, spread
from nnlite.errors import ShapeError
from nnlite.layer.flat import adopt, tied_in
from nnlite.layer.layer import Layer, check_layer, learns, may_leave_out_dX


class Sequential(Layer):
    """A chain of layers: forward walks it from the first to the last, backward from the last to the first.

    ``model[i]`` is a layer, ``model[i:j]`` a Sequential of the same layers whose Phi is a slice of the whole's.
    A Sequential is itself a layer, so it nests.

    Args:
        layers: any number of them. Each belongs to this model from now on.

    Raises:
        TypeError: something that is not a Layer.
        ShapeError: the widths of two neighbours do not meet, where both are known.
        ValueError: a layer stands twice or belongs to another model, or the layers differ in dtype.

    >>> import numpy as np, nnlite as nn
    >>> model = Sequential(nn.Linear(3, 2, rng=0), nn.Tanh())
    >>> model
    Sequential(
      (0): Linear(3 -> 2)
      (1): Tanh()
    )
    >>> Y = model.forward(np.ones((5, 3)))
    >>> dX = model.backward(np.ones((5, 2)))
    >>> Y.shape, dX.shape, model[0].dW.shape
    ((5, 2), (5, 3), (3, 2))
    """

    sums_tied = True
    _Y_keys: tuple[str, ...] = ()  # of the last output, where that is a dict

    def __init__(self, *layers: Layer) -> None:
        for index, layer in enumerate(layers):
            _check_layer(layer, f"Sequential: layer {index}", unpack="Sequential(*layers)")
        self.layers = list(layers)
        self._check_widths()
        adopt(self, layers)

    def forward(self, X: Any = None, *more: Any, **named: Any) -> Any:
        """Each layer's Y is the next layer's X; where there are several, they go on side by side."""
        if named or more or type(X) is tuple:
            X = self._gathered(X, more, named)
        if not self.layers:
            X = self.check_X(X).copy()
        layer: Layer = self
        try:
            for layer in self.layers:
                X = layer.forward(X) if type(X) is ndarray else spread(layer.forward, X)
                if X is None:
                    raise TypeError("forward returned None; did it forget to return Y?")
            return self.record_Y(X) if type(X) is ndarray else self._record(X)
        except Exception as error:
            self._Y_shape = self._Ys = (
                None  # some layers hold this X and some the one before: no backward until a whole forward
            )
            self._note_place(error, layer)
            raise

    def _gathered(self, X: Any, more: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """The arguments of forward as one layer hands them to the next: an array, or several in a tuple or dict."""
        if named:
            return named if X is None else {"X": X, **named}
        if more:
            return (X, *more)
        return list(X) if type(X) is tuple else X  # a nested sequence, and not what one layer hands to the next

    def _record(self, Y: Any) -> Any:
        """As :meth:`record_Y`, for several outputs, or the number of a loss."""
        Ys = listed(Y)
        if len(Ys) != self.num_outputs:
            raise TypeError(f"expected forward to return {self.num_outputs} arrays (num_outputs), got {len(Ys)}")
        if len(Ys) > 1:
            self.record_Ys(tuple(Ys))
        else:
            self._Y_shape, self._Y_dtype = np.shape(Ys[0]), np.result_type(Ys[0])
        self._Y_keys = tuple(Y) if isinstance(Y, dict) else ()
        return Y

    def backward(self, dY: Any = None, *more: Any, **named: Any) -> Any:
        """Each layer's dX is the dY of the one before it; returns the first one's, or None unless it is needed."""
        dY = self._several_dYs(dY, more, named) if named or more else self.check_dY(dY)
        if not self.layers:
            dY = dY.copy()
        layer: Layer = self
        try:
            for layer in reversed(self.layers[self._first_of_backward :]):
                dY = layer.backward(dY) if type(dY) is ndarray else spread(layer.backward, dY)
                if dY is None and layer.needs_dX:
                    raise TypeError("backward returned None; did it forget to return dX?")
        except Exception as error:
            self._note_place(error, layer)
            raise
        if self._tied:
            self.add_tied()
        return dY if self._needs_dX else None

    def _several_dYs(self, dY: Any, more: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """The outputs' gradients, by position or by key, checked."""
        if named:
            named = named if dY is None else {"dY": dY, **named}
            if more or named.keys() != set(self._Y_keys):
                keys = ", ".join(self._Y_keys) or "no names"
                raise TypeError(f"{self.one_line()}: expected the gradients of {keys}, got {', '.join(named)}")
            dY, *more = [named[key] for key in self._Y_keys]  # type: ignore[assignment]
        return self.check_dYs((dY, *more)) if more else self.check_dY(dY)

    @property
    def num_outputs(self) -> int:  # type: ignore[override]
        """That of the last layer."""
        return self.layers[-1].num_outputs if self.layers else 1

    # ------------------------------------------------------------------------------------ needs_dX

    _needs_dX = True
    _first_of_backward = 0

    @property
    def needs_dX(self) -> bool:
        """False when nobody will read dX; then the backward walk ends at the first layer with parameters.

        >>> import numpy as np, nnlite as nn
        >>> model = Sequential(nn.Linear(3, 2))
        >>> model.needs_dX = False
        >>> Y = model.forward(np.ones((1, 3)))
        >>> model.backward(np.ones((1, 2))) is None
        True
        """
        return self._needs_dX

    @needs_dX.setter
    def needs_dX(self, value: bool) -> None:
        self._needs_dX = value or not may_leave_out_dX(self)
        self._first_of_backward = 0
        if self._needs_dX:
            for layer in self.layers:
                layer.needs_dX = True
        else:
            with_parameters = (i for i, layer in enumerate(self.layers) if learns(layer))
            self._first_of_backward = next(with_parameters, len(self.layers))
            for layer in self.layers[: self._first_of_backward + 1]:
                layer.needs_dX = not may_leave_out_dX(layer)

    # ------------------------------------------------------------------------------------ a list of layers

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    @overload
    def __getitem__(self, index: int) -> Layer: ...
    @overload
    def __getitem__(self, index: slice) -> "Sequential": ...
    def __getitem__(self, index: int | slice) -> Layer:
        if not isinstance(index, slice):
            return self.layers[operator.index(index)]
        start, stop, step = index.indices(len(self.layers))
        if step != 1:
            raise ValueError(f"Sequential: a slice takes neighbouring layers, expected step 1, got {step}")
        return _Slice(self, start, stop)

    def append(self, layer: Layer) -> Self:
        """Add a layer at the end; returns the model. Phi grows, so it is a new array from now on.

        Raises:
            TypeError, ShapeError, ValueError: as when the model is built; the model then stays as it was.
            ValueError: this Sequential is part of a larger model already.

        >>> import nnlite as nn
        >>> len(Sequential(nn.Linear(3, 2)).append(nn.Tanh()))
        2
        """
        _check_layer(layer, "Sequential.append", unpack="one append for each")
        if self._adopted:
            raise ValueError(f"{self.one_line()} is part of a larger model, whose Phi cannot grow; append to it before")
        self.Phi  # noqa: B018 - a deepcopy adopts its parts only now
        self.layers.append(layer)
        try:
            self._check_widths()
            adopt(self, [layer])
        except Exception:
            self.layers.pop()
            raise
        self.needs_dX = self._needs_dX
        return self

    # ------------------------------------------------------------------------------------ for the base class

    def named_children(self) -> Iterator[tuple[str, Layer]]:
        """("0", first layer), ("1", second layer) and so on."""
        return ((str(index), layer) for index, layer in enumerate(self.layers))

    def output_features(self, in_features: int | None) -> int | None:
        """That of the last layer."""
        for layer in self.layers:
            in_features = layer.output_features(in_features)
        return in_features

    def _check_widths(self) -> None:
        width, giver = None, ""
        for index, layer in enumerate(self.layers):
            try:
                after = layer.output_features(width)
            except ShapeError as error:
                taker = f"Sequential[{index}] {layer.one_line()}"
                raise ShapeError(f"{giver} gives {width} features, but {taker} does not fit: {error}") from None
            if layer.output_features(None) is not None:  # else it passes the width on
                giver = f"Sequential[{index}] {layer.one_line()}"
            width = after

    def _note_place(self, error: Exception, layer: Layer) -> None:
        """Say in ``error`` which layer it comes from; notes of nested containers add up to the whole path."""
        if layer is not self:
            error.add_note(f"in {type(self).__name__}[{self.layers.index(layer)}] {layer.one_line()}")


class _Slice(Sequential):
    """Neighbouring layers of a Sequential; Phi is a slice of the whole's, also after that has grown or changed dtype.

    A copy of it is a Sequential of its own.
    """

    _adopted = True
    _views: tuple[Array, Array, Array] | None = None  # the whole's Phi when they were made, and our Phi and dPhi

    def __init__(self, whole: Sequential, start: int, stop: int) -> None:
        self.layers = whole.layers[start:stop]
        self.training = whole.training
        self._place = slice(start, stop)
        self._tied = tied_in(self)
        self._whole: Callable[[], Sequential] = lambda: whole  # a function, so that it is not taken for a part

    def _view(self) -> tuple[Array, Array, Array]:
        whole = self._whole()
        if self._views is None or self._views[0] is not whole.Phi:
            after = sum(layer.Phi.size for layer in whole.layers[self._place.stop :])
            stop = whole.Phi.size - after  # a subclass's own parameters come first
            place = slice(stop - sum(layer.Phi.size for layer in self.layers), stop)
            self._views = whole.Phi, whole.Phi[place], whole.dPhi[place]
        return self._views

    _Phi = property(lambda self: self._view()[1])
    _dPhi = property(lambda self: self._view()[2])
    dtype = property(lambda self: self._whole().dtype)

    def __reduce__(self) -> tuple[type[Sequential], tuple[Layer, ...]]:
        return Sequential, tuple(self.layers)


_Slice.__name__ = "Sequential"  # what reprs and messages call it


def _check_layer(layer: Any, name: str, unpack: str) -> None:
    if isinstance(layer, list | tuple):
        raise TypeError(f"{name}: expected a Layer, got a {type(layer).__name__}; write {unpack}")
    check_layer(layer, name)
