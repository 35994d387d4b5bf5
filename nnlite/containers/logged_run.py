"""A step of a model run on logged arrays: what it computes, with the symbols of explain.

The layers themselves run, in a copy of the model in which parameters, gradients and buffers are logged arrays; so
containers, ties and layers of a user's own need nothing beside their forward and backward.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.trees import listed
from nnlite.compute.call_log import CallLog, LoggedArray, UnwritableError
from nnlite.compute.logged_numpy import running
from nnlite.compute.logged_size import Size
from nnlite.layer.described import can_skip_dX, with_gradient
from nnlite.layer.layer import Layer
from nnlite.layers.activations import Activation


class LoggedRun:
    """A model, and the loss behind it, run once on logged arrays.

    Args:
        model: the model.
        loss: its loss; None for the forward alone.
        X: an example of its input, or a tuple of several.
        target: of the loss.
        training: whether in training mode; None for the mode that each layer is in.
        flipped: see :class:`CallLog`.
        log: one for the calls; by default a new one.

    Attributes:
        log: the calls.
        model: the copy that ran.
        inputs: the names of the inputs, and last of the target.
        Y: the output, or a tuple.
        L: the loss.
        count: what the loss divides by.
        arrays: parameters, gradients and buffers of the model itself, by their symbols.
        parameters, buffers: those of the model itself, by their symbols.
        generators: the random generators of its layers, by their symbols.
    """

    def __init__(
        self,
        model: Layer,
        loss: Layer | None,
        X: Any,
        target: Any = None,
        *,
        training: bool | None = False,
        flipped: int = -1,
        log: CallLog | None = None,
    ) -> None:
        self.model, own = deepcopy((model, loss))
        if training is not None:
            self.model.train(training)
        self.log = log or CallLog(len(listed(X)[0]), flipped)
        self.parameters: dict[str, Array] = {}
        self.buffers: dict[str, Array] = {}
        self.arrays: dict[str, Array] = {}
        self.generators: dict[str, np.random.Generator] = {}
        self.places = _Places(model)
        self.model.needs_dX = not can_skip_dX(self.model)
        self._replace_states(model, self.model, "")
        if loss is not None and own is not None:
            self._replace_states(loss, own, "loss")
        several = isinstance(X, tuple)
        Xs = [self.log.give(f"X{n}" if several else "X", each) for n, each in enumerate(listed(X), start=1)]
        self.inputs = [each.node.name for each in Xs]
        with running(self.log):
            self._run(Xs, own, target)

    def _run(self, Xs: list[LoggedArray], loss: Any, target: Any) -> None:
        self.Y = self.model.forward(*Xs)
        for n, each in enumerate(listed(self.Y), start=1):
            each.node.name = "y_hat" if not isinstance(self.Y, tuple) else f"y{n}_hat"
        if loss is None:
            return
        y = self.log.give("y", target)
        self.inputs.append("y")
        self.L = loss.forward(self.Y, y)
        if isinstance(loss.count, Size):
            loss.count = loss.count.number()
        self.count = loss.count
        dY = loss.backward()
        for each, name in (self.L, "L"), (dY, "dy_hat"):
            each.node.name, each.node.note = each.node.name or name, each.node.note or f"loss {loss.one_line()}"
        self.model.backward(dY)

    def _replace_states(self, real: Layer, copy: Layer, prefix: str) -> None:
        """Put logged arrays in the place of the copy's parameters, gradients and buffers, and note its calls."""
        pairs = zip(real.named_layers(), copy.named_layers(), strict=True)
        for (path, original), (_, layer) in pairs:
            number = self.places.number(layer, leaf=not list(layer.named_children()))
            for kind, stems in ("_parameters", ("", "d")), ("_buffers", ("",)):
                for name in getattr(layer, kind):
                    if getattr(original, name) is None:
                        continue
                    for stem in stems:
                        symbol = self.places.unused(f"{stem}{name}{number}")
                        self.arrays[symbol] = getattr(original, stem + name)
                        if stem == "":
                            states = self.parameters if kind == "_parameters" else self.buffers
                            states[symbol] = getattr(original, name)
                        vars(layer)[f"_{stem}{name}"] = self.log.give(symbol, getattr(layer, stem + name))
            if original.original is not None:
                for _, twin in layer.twin.named_layers():  # type: ignore[attr-defined] # its gradients are no state
                    for name in twin._parameters:
                        if getattr(twin, name) is not None:
                            node = self.log.give("", getattr(twin, "d" + name)).node
                            vars(twin)["_d" + name] = LoggedArray(self.log, node)
            for name, value in vars(original).items():
                if isinstance(value, np.random.Generator):
                    vars(layer)[name] = self._generator(value, vars(layer)[name])
            if not list(layer.named_children()) and not prefix:
                self._note_calls(layer, path, number)

    def _generator(self, original: np.random.Generator, copy: np.random.Generator) -> LoggedArray:
        """What stands for a random generator, the same one for all layers that share it."""
        name = next((name for name, each in self.generators.items() if each is original), "")
        if not name:
            name = self.places.unused("rng")
            self.generators[name] = original
            return self.log.give(name, copy)
        return LoggedArray(self.log, self.log.given[name])

    def _note_calls(self, layer: Layer, path: str, number: int) -> None:
        """Name what forward and backward of a layer return, in place of its methods."""
        forward, backward = layer.forward, layer.backward
        stem = "h" if isinstance(layer.original or layer, Activation) else "u"
        note = f"{path} {layer.one_line()}".strip()
        takes: list[Any] = []
        given: list[Any] = []

        def logged_forward(*Xs: Any, **named: Any) -> Any:
            given[:] = [*Xs, *named.values()]
            takes[:] = [each.node if isinstance(each, LoggedArray) else None for each in given]
            with _placed(note):
                Y = forward(*Xs, **named)
            for n, each in enumerate(listed(Y)):
                letter = chr(ord("a") + n) if layer.num_outputs > 1 else ""
                self._name(each, f"{stem}{number}{letter}", note)
            return Y

        def logged_backward(*dYs: Any, **named: Any) -> Any:
            with _placed(note):
                dX = backward(*dYs, **named)
            differentiable = with_gradient(layer, given) if given else ()
            for place, each in zip(differentiable, listed(dX), strict=False):
                if isinstance(each, LoggedArray) and takes[place] is not None and takes[place].name:
                    self._name(each, "d" + takes[place].name, note)
            return dX

        vars(layer)["forward"], vars(layer)["backward"] = logged_forward, logged_backward

    def _name(self, array: Any, name: str, note: str) -> None:
        if isinstance(array, LoggedArray) and not array.node.name:
            array.node.name, array.node.note = self.places.unused(name), note


@contextmanager
def _placed(note: str) -> Iterator[None]:
    """Note the layer on an error that says what cannot be written."""
    try:
        yield
    except UnwritableError as error:
        error.place = error.place or note
        raise


class _Places:
    """The numbers of layers, and the symbols in use."""

    def __init__(self, model: Layer) -> None:
        self.count = 0
        self.taken: set[str] = {"X", "y", "L", "N", "np", "lr"}
        self.last = ""

    def number(self, layer: Layer, leaf: bool) -> int:
        stem = "h" if isinstance(layer.original or layer, Activation) else "u"
        if leaf and (stem == "u" or self.count == 0 or self.last == "h"):
            self.count += 1
        self.last = stem if leaf else self.last
        return self.count

    def unused(self, name: str) -> str:
        new, tries = name, 0
        while new in self.taken:
            tries += 1
            new = f"{name}_{tries}"
        self.taken.add(new)
        return new


def example_rows(model: Layer) -> int:
    """A number of rows for an example: a prime that divides no size of the model's arrays.

    >>> import nnlite as nn
    >>> example_rows(nn.Linear(101, 3))
    103
    """
    sizes = {size for _, P in (*model.named_parameters(), *model.named_buffers()) for size in P.shape}
    return next(
        prime for prime in (101, 103, 107, 109, 113, 127) if not any(size and size % prime == 0 for size in sizes)
    )
