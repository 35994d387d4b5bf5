"""Sequential: layers in a chain."""

import operator
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from inspect import signature
from typing import Any, NoReturn, Self, overload

import numpy as np
from numpy import ndarray

from nnlite.basics.arrays import Array
from nnlite.basics.shapes import UNKNOWN, Shape
from nnlite.basics.trees import listed, spread
from nnlite.containers.argument_names import input_names_of
from nnlite.containers.chain import START, ChainEnd, check_chain
from nnlite.errors import StateError
from nnlite.layer.described import can_skip_dX, learns
from nnlite.layer.flat import adopt, extend, release, tied_in
from nnlite.layer.layer import Layer, check_layer


class Sequential(Layer):
    """A chain of layers: forward runs them from the first to the last, backward from the last to the first.

    ``model[i]`` is a layer, ``model[i:j]`` a Sequential of the same layers whose Phi is a slice of the whole's.
    ``model[i] = layer``, ``del model[i]``, ``append``, ``insert`` and ``extend`` change the model; see :meth:`append`.
    A Sequential is itself a layer, so it nests, as all layers up to 100 deep.

    Args:
        layers: any number of them. Each belongs to this model from now on.

    Raises:
        TypeError: an argument is not a Layer.
        ShapeError: a layer does not accept the output of the one before it, as far as shapes are known.
        ValueError: the same layer is used twice or belongs to another model; the layers differ in dtype, or nest more
            than 100 deep; or a layer with parameters would get no gradient, since a later one has none for its input.

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
    flops_per_element = (0, 0)
    _Y_keys: tuple[str, ...] = ()  # of the last output, where that is a dict

    def __init__(self, *layers: Layer) -> None:
        for index, layer in enumerate(layers):
            _check_layer(layer, f"Sequential: layer {index}", unpack="Sequential(*layers)")
        self.layers = list(layers)
        self._check_chain()
        adopt(self, layers)

    def forward(self, X: Any = None, *more: Any, **named: Any) -> Any:
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
            self._Y_shape = self._Ys = None  # some layers cached this X and some the one before
            self._note_place(error, layer)
            raise

    def _gathered(self, X: Any, more: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """The arguments of forward in the form of a layer's output: an array, or several in a tuple or dict."""
        if named:
            return named if X is None else {"X": X, **named}
        if more:
            return (X, *more)
        return list(X) if type(X) is tuple else X  # a nested sequence, and not the outputs of a layer

    def _record(self, Y: Any) -> Any:
        """:meth:`record_Y` for several outputs, or the number of a loss."""
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
        if named or more:
            dY = self._several_dYs(dY, more, named)
        elif type(dY) is not ndarray or dY.shape != self._Y_shape or dY.dtype != self._Y_dtype:
            dY = self.check_dY(dY)
        if not self.layers:
            dY = dY.copy()
        layer: Layer = self
        try:
            for layer in reversed(self.layers[self._first_of_backward :]):
                dY = layer.backward(dY) if type(dY) is ndarray else spread(layer.backward, dY)
                if dY is None and layer.needs_dX and layer.differentiable_inputs(1):
                    raise TypeError(
                        "backward returned None; did it forget to return dX? (inputs without one: without_gradient)"
                    )
        except Exception as error:
            self._note_place(error, layer)
            raise
        if self._tied:
            self.add_tied()
        return dY if self._needs_dX else None

    def _several_dYs(self, dY: Any, more: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """The gradients of the outputs, by position or by key, checked."""
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
    _end = START  # what is known of the last output
    _barrier = 0  # the last layer without a gradient for its input: nothing before it has one
    _first_of_backward = 0

    def differentiable_inputs(self, count: int) -> tuple[int, ...]:
        if self._barrier:
            return ()
        return self.layers[0].differentiable_inputs(count) if self.layers else tuple(range(count))

    @property
    def needs_dX(self) -> bool:
        """False if nobody will read dX: backward then ends at the first layer with parameters."""
        return self._needs_dX

    @needs_dX.setter
    def needs_dX(self, value: bool) -> None:
        self._needs_dX = value or not can_skip_dX(self)
        self._first_of_backward = self._barrier
        if self._needs_dX:
            for layer in self.layers:
                layer.needs_dX = True
        else:
            with_parameters = (i for i, layer in enumerate(self.layers) if learns(layer))
            self._first_of_backward = max(self._barrier, next(with_parameters, len(self.layers)))
            for layer in self.layers[: self._first_of_backward + 1]:
                layer.needs_dX = not can_skip_dX(layer)

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

    def __setitem__(self, index: Any, layer: Any) -> None:
        layers = list(self.layers)
        layers[index] = layer
        self._change(layers)

    def __delitem__(self, index: Any) -> None:
        layers = list(self.layers)
        del layers[index]
        self._change(layers)

    def __add__(self, other: Any) -> NoReturn:
        raise TypeError(
            "a layer belongs to one model, so two cannot be added; write nnlite.Sequential(*copy.deepcopy(a), "
            "*copy.deepcopy(b)), or a.extend(layers)"
        )

    def insert(self, index: int, layer: Layer) -> Self:
        """Insert a layer before ``index``; return the model. See :meth:`append`."""
        return self._change([*self.layers[:index], layer, *self.layers[index:]])

    def extend(self, layers: Iterable[Layer]) -> Self:
        """Add layers at the end; return the model. See :meth:`append`."""
        return self._change([*self.layers, *layers])

    def append(self, layer: Layer) -> Self:
        """Add a layer at the end; return the model.

        This and ``model[i] = layer``, ``del model[i]``, ``insert`` and ``extend`` make a new Phi: read it and the
        parameters again, and make a new optimizer. A layer that is taken out is free for another model.

        Raises:
            TypeError, ShapeError, ValueError: as when the model is built; the model is then unchanged.
            ValueError: this Sequential is part of a larger model.

        >>> import nnlite as nn
        >>> model = Sequential(nn.Linear(3, 2)).append(nn.Tanh())
        >>> model[1] = nn.ReLU()
        >>> [layer for layer in model]
        [Linear(3 -> 2), ReLU()]
        """
        _check_layer(layer, f"Sequential: layer {len(self)}", unpack="model.extend(layers)")
        self._check_free_to_change()
        self.layers.append(layer)
        try:
            self._check_chain(first=len(self) - 1)
            extend(self, layer)
        except Exception:
            self.layers.pop()
            self._check_chain()
            raise
        self.needs_dX = self._needs_dX
        return self

    def _check_free_to_change(self) -> None:
        if self._adopted:
            raise ValueError(f"{self.one_line()} is part of a larger model, whose Phi is fixed; change it before that")
        self.own_parts()

    def _change(self, layers: list[Layer]) -> Self:
        """Replace the list of layers: completely, or not at all."""
        for index, layer in enumerate(layers):
            _check_layer(layer, f"Sequential: layer {index}", unpack="model.extend(layers)")
        self._check_free_to_change()
        before = self.layers
        kept = set(map(id, before))
        self.layers = layers
        try:
            self._check_chain()
            adopt(self, [layer for layer in layers if id(layer) not in kept or layers.count(layer) > 1])
        except Exception:
            self.layers = before
            self._check_chain()
            raise
        kept = set(map(id, layers))
        for layer in before:
            if id(layer) not in kept:
                release(layer)
        self._tied = tied_in(self)
        self.needs_dX = self._needs_dX
        return self

    # ------------------------------------------------------------------------------------ for programs

    def forward_through(self, to: Any, *Xs: Any, **named: Any) -> Any:
        """For :class:`nnlite.containers.program.Program`: forward, with edges in place of arrays."""
        X = named or (Xs[0] if len(Xs) == 1 else Xs)
        for name, layer in self.named_children():
            X = spread(partial(to.part, name, layer), X)
        return X

    def names_of_inputs(self, count: int | None = None) -> list[str | None]:
        """The names of its ``count`` inputs: those of the first layer."""
        return list(input_names_of(self.layers[0], count)) if self.layers else [None]

    def names_of_outputs(self) -> tuple[str, ...]:
        """The keys of its outputs, if they are a dict: they are not known."""
        return ()

    # ------------------------------------------------------------------------------------ for the base class

    def named_children(self) -> Iterator[tuple[str, Layer]]:
        """("0", first layer), ("1", second layer) and so on."""
        return ((str(index), layer) for index, layer in enumerate(self.layers))

    def output_shape(self, *shapes: Shape) -> Any:
        for layer in self.layers:
            Y = layer.output_shape(*shapes)
            shapes = (Y,) if layer.num_outputs == 1 else (UNKNOWN,) * layer.num_outputs
        return shapes[0] if len(shapes) == 1 else shapes

    def _check_chain(self, first: int = 0) -> None:
        """Raise where a layer does not accept the output of the one before it, or no gradient reaches one that learns.

        Raises:
            ShapeError, ValueError: as when the model is built.
        """
        before = self._end if first else ChainEnd(arrays=_inputs_of(self.layers))
        self._end = check_chain(self.layers, before, first)
        self._barrier = self._first_of_backward = self._end.barrier

    def _note_place(self, error: Exception, layer: Layer) -> None:
        """Add to ``error`` which layer it comes from; the notes of nested containers add up to the whole path."""
        if layer is not self:
            error.add_note(f"in {type(self).__name__}[{self.layers.index(layer)}] {layer.one_line()}")


def _inputs_of(layers: list[Layer]) -> int:
    """How many inputs the first layer must have; 1 if it may have any number."""
    if not layers:
        return 1
    first = layers[0]
    if isinstance(first, Sequential):
        return _inputs_of(first.layers)
    parameters = signature(first.forward).parameters.values()
    needed = [each for each in parameters if each.default is each.empty and each.kind is each.POSITIONAL_OR_KEYWORD]
    return max(1, len(needed))


class _Slice(Sequential):
    """Neighbouring layers of a Sequential; Phi is a slice of the whole's, also after that has grown or changed dtype.

    A copy of it is a Sequential of its own.
    """

    saved_as = Sequential  # in files
    _adopted = property(lambda self: True)
    _views: tuple[Array, Array, Array] | None = None  # the whole's Phi when they were made, and our Phi and dPhi

    def __init__(self, whole: Sequential, start: int, stop: int) -> None:
        self.layers = whole.layers[start:stop]
        self.training = whole.training
        self._check_chain()
        self._tied = tied_in(self)
        self._whole: Callable[[], Sequential] = lambda: whole  # a function, so that it is not taken for a part

    def _view(self) -> tuple[Array, Array, Array]:
        whole = self._whole()
        if self._views is None or self._views[0] is not whole.Phi:
            first = whole.layers.index(self.layers[0]) if self.layers and self.layers[0] in whole.layers else 0
            if whole.layers[first : first + len(self)] != self.layers:
                raise StateError("this slice of a Sequential is out of date: its layers were changed; slice it again")
            after = sum(layer.Phi.size for layer in whole.layers[first + len(self) :])
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
