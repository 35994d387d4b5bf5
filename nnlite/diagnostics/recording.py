"""Recording: what every layer of a model received and returned in a forward and a backward."""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.trees import listed
from nnlite.containers.argument_names import bound
from nnlite.diagnostics.own_parameters import own_parameters, stored_gradients
from nnlite.diagnostics.places import place
from nnlite.layer.layer import Layer
from nnlite.losses.loss import is_loss

Wrap = Callable[[str, str, Callable[..., Any]], Callable[..., Any]]


@dataclass(eq=False)
class LayerCall:
    """One layer's forward, and its backward if there was one.

    Attributes:
        path: of the layer in its model.
        place: ``Sequential[2] Linear(16 -> 8)``.
        layer: the layer.
        args: what forward received by position.
        named: what forward received by name.
        Y: what forward returned.
        dYs: what backward received by position; None before backward.
        named_dYs: what backward received by name.
        dX: what backward returned.
        gradients: copies of the gradients of the layer's parameters, as its backward left them.

    >>> import nnlite as nn
    >>> call = LayerCall("", "MSELoss()", nn.MSELoss(), (np.zeros(2), np.ones(2)), {})
    >>> call.X, call.target
    (array([0., 0.]), array([1., 1.]))
    """

    path: str
    place: str
    layer: Layer
    args: tuple[Any, ...]
    named: dict[str, Any]
    Y: Any = None
    dYs: tuple[Any, ...] | None = None
    named_dYs: dict[str, Any] = field(default_factory=dict)
    dX: Any = None
    gradients: dict[str, Array] = field(default_factory=dict)

    @property
    def inputs(self) -> dict[str, Any]:
        """What forward received, by the names of its arguments."""
        return bound(self.layer, self.args, self.named)

    @property
    def X(self) -> Any:
        """What forward received: one array, or several as a tuple or as a dict by name; without a loss's target."""
        if self._has_target:
            return self.args[0] if self.args else self.named["Y"]
        return one_or_all(self.args, self.named)

    @property
    def target(self) -> Any:
        """The target that a loss received; None for another layer."""
        if not self._has_target:
            return None
        return self.args[1] if len(self.args) == 2 else self.named.get("target")

    @property
    def _has_target(self) -> bool:
        return is_loss(self.layer) and len(self.args) + len(self.named) == 2

    @property
    def dY(self) -> Any:
        """What backward received, in the form of :attr:`X`: 1 if it was nothing, None before backward."""
        if self.dYs is None:
            return None
        return one_or_all(self.dYs, self.named_dYs) if self.dYs or self.named_dYs else np.ones(())

    @property
    def narrow(self) -> np.dtype[Any] | None:
        """The dtype of Y if it is narrower than float64 although every floating input was float64; else None."""
        given = {dtype for A in listed(self.X) if (dtype := np.result_type(*listed(A))).kind == "f"}
        got = np.result_type(*listed(self.Y))
        return got if given == {np.dtype(np.float64)} and got.kind == "f" and got.itemsize < 8 else None


class InPlaceWrite(NamedTuple):
    """A method of a layer that modifies an array in place.

    Attributes:
        place: of the layer.
        method: "forward" or "backward".
        array: "X", "dY", or the name of a parameter.

    >>> print(InPlaceWrite("Own()", "backward", "dY"))
    Own(): backward modifies dY in place; compute a new array instead
    """

    place: str
    method: str
    array: str

    def __str__(self) -> str:
        return f"{self.place}: {self.method} modifies {self.array} in place; compute a new array instead"


class Recording:
    """The calls of the layers of a model, in order.

    Args:
        careful: whether to keep copies of all arrays, and to note what a layer modifies in place or draws.

    Attributes:
        forwards: the calls in the order in which their forwards ended: a part before its whole.
        backwards: those whose backward ran, in the order in which it ended.
        writes: where a layer modified what it was given: X or dY.
        updates: where a backward modified a parameter.
        draws: the places of layers whose backward drew from a generator.
        failed: the innermost call that raised; None if none did.

    >>> import nnlite as nn
    >>> model, recording = nn.Sequential(nn.Linear(3, 2), nn.Tanh()), Recording()
    >>> with recording.of(model):
    ...     dX = model.backward(model.forward(np.ones((5, 3))))
    >>> [call.place for call in recording.backwards]
    ['Sequential[1] Tanh()', 'Sequential[0] Linear(3 -> 2)', 'Sequential(2 layers)']
    """

    def __init__(self, careful: bool = False) -> None:
        self.careful = careful
        self.forwards: list[LayerCall] = []
        self.backwards: list[LayerCall] = []
        self.writes: list[InPlaceWrite] = []
        self.updates: list[InPlaceWrite] = []
        self.draws: list[str] = []
        self.failed: LayerCall | None = None
        self._given: dict[int, Any] = {}  # by layer: the arguments of forward themselves

    @contextmanager
    def of(
        self, model: Layer, loss: Layer | None = None, originals: Sequence[Layer | None] = ()
    ) -> Iterator["Recording"]:
        """Context manager: record each forward and backward in ``model`` and ``loss``.

        Args:
            model: any Layer.
            loss: a loss behind it; its path is "loss".
            originals: the model and the loss to name in messages, where ``model`` and ``loss`` are copies of these.
        """
        seen: set[int] = set()
        with ExitStack() as stack:
            for path, whole, original in zip(("", "loss"), (model, loss), originals or (model, loss), strict=True):
                if whole is not None and original is not None:
                    places = [place(original, each, layer) for each, layer in original.named_layers()]
                    calls = {
                        each: (where, layer)
                        for (each, layer), where in zip(whole.named_layers(path), places, strict=True)
                        if id(layer) not in seen  # a loss may hold the model, to penalize its weights
                    }
                    seen.update(id(layer) for _, layer in calls.values())
                    stack.enter_context(wrapping(whole, partial(self._wrap, calls), path))
            yield self

    def last(self, path: str) -> LayerCall:
        """The last call of the layer at ``path``."""
        return next(call for call in reversed(self.forwards) if call.path == path)

    def _wrap(
        self, calls: dict[str, tuple[str, Layer]], path: str, name: str, method: Callable[..., Any]
    ) -> Callable[..., Any]:
        run = self._forward if name == "forward" else self._backward
        return partial(run, path, *calls[path], method) if path in calls else method

    def _forward(
        self, path: str, where: str, layer: Layer, method: Callable[..., Any], *args: Any, **named: Any
    ) -> Any:
        given = copy.deepcopy((args, named)) if self.careful else (args, named)
        call = LayerCall(path, where, layer, *given)
        Y = self._noting_failure(call, method, args, named)
        if self.careful:
            if not _same((args, named), given):
                self.writes.append(InPlaceWrite(where, "forward", "X"))
            self._given[id(layer)] = args, named
        call.Y = self._kept(Y)
        self.forwards.append(call)
        return Y

    def _backward(
        self, path: str, where: str, layer: Layer, method: Callable[..., Any], *args: Any, **named: Any
    ) -> Any:
        calls = (call for call in reversed(self.forwards) if call.layer is layer)
        call = next(calls, None) or LayerCall(path, where, layer, (), {})  # its forward ran before
        call.dYs, call.named_dYs = given = self._kept((args, named))
        if not self.careful:
            dX = self._noting_failure(call, method, args, named)
        else:
            before = {name: P.copy() for name, P in own_parameters(layer).items()}
            next_draws = _next_draws(layer)
            dX = self._noting_failure(call, method, args, named)
            for name, P in before.items():
                if not np.array_equal(getattr(layer, name), P, equal_nan=True):
                    self.updates.append(InPlaceWrite(where, "backward", name))
            if _next_draws(layer) != next_draws:
                self.draws.append(where)
            if not _same((args, named), given):
                self.writes.append(InPlaceWrite(where, "backward", "dY"))
            if not _same(self._given.get(id(layer), ((), {})), (call.args, call.named)):
                self.writes.append(InPlaceWrite(where, "backward", "X"))
        call.dX = self._kept(dX)
        call.gradients = {name: dP.copy() for name, dP in stored_gradients(layer).items()}
        self.backwards.append(call)
        return dX

    def _kept(self, values: Any) -> Any:
        return copy.deepcopy(values) if self.careful else values

    def _noting_failure(
        self, call: LayerCall, method: Callable[..., Any], args: tuple[Any, ...], named: dict[str, Any]
    ) -> Any:
        try:
            return method(*args, **named)
        except Exception:
            self.failed = self.failed or call
            raise


@contextmanager
def wrapping(model: Layer, wrap: Wrap, path: str = "") -> Iterator[None]:
    """Context manager: replace each forward and backward in ``model`` by ``wrap(path, name, method)``.

    >>> import nnlite as nn
    >>> layer = nn.Tanh()
    >>> with wrapping(layer, lambda path, name, method: lambda X: -method(X)):
    ...     layer.forward(np.zeros(1) + 1)
    array([-0.76159416])
    """
    replaced = []
    for where, layer in list(model.named_layers(path)):
        for name in "forward", "backward":
            replaced.append((vars(layer), name, vars(layer).get(name)))
            vars(layer)[name] = wrap(where, name, getattr(layer, name))
    try:
        yield
    finally:
        for attributes, name, own in replaced:
            del attributes[name]
            if own is not None:
                attributes[name] = own


def one_or_all(args: tuple[Any, ...], named: dict[str, Any]) -> Any:
    """The one argument, all of them as a tuple, or those by name as a dict; a number as an array.

    >>> one_or_all((1.0,), {}), one_or_all((1, 2), {}), one_or_all((), {"a": 3})
    (array(1.), (1, 2), {'a': 3})
    """
    args = tuple([np.asarray(arg) if isinstance(arg, float) else arg for arg in args])
    if named:
        return named if not args else (*args, *named.values())
    return args[0] if len(args) == 1 else args


def _next_draws(layer: Layer) -> list[int]:
    """What each of the layer's generators would draw next."""
    return [int(copy.deepcopy(generator).integers(2**63)) for _, generator in layer.named_generators()]


def _same(one: Any, other: Any) -> bool:
    """Whether all the arrays among two lists of arguments hold the same numbers."""
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(_arrays(one), _arrays(other), strict=True))


def _arrays(given: tuple[Sequence[Any], dict[str, Any]]) -> list[Array]:
    args, named = given
    return [arg for arg in (*args, *named.values()) if isinstance(arg, np.ndarray)]
