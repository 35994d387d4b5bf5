"""What every layer of a model received and returned in one forward and backward, and what it modified in place."""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.trees import listed
from nnlite.diagnostics.trace import place, wrapping
from nnlite.layer.layer import Layer
from nnlite.losses.loss import is_loss


@dataclass
class LayerCall:
    """One layer's forward, and its backward if there was one.

    Attributes:
        place: ``Sequential[2] Linear(16 -> 8)``.
        layer: the layer.
        X: a copy of what forward received; several as a tuple, or as a dict by name.
        target: the target that a loss received.
        Y: what forward returned.
        dY: a copy of what backward received; None before backward.
        dX: what backward returned.

    >>> import nnlite as nn
    >>> LayerCall("Tanh()", nn.Tanh(), X=np.zeros(2), target=None, Y=np.zeros(2)).narrow is None
    True
    """

    place: str
    layer: Layer
    X: Any
    target: Any
    Y: Any
    dY: Any = None
    dX: Any = None

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
    """The calls in a model while :func:`recording_calls` lasts.

    Attributes:
        forwards: the calls in the order in which their forwards ended: a part before its whole.
        backwards: those whose backward ran, in the order in which it ended.
        writes: where a layer modified what it was given: X or dY.
        updates: where a backward modified a parameter.
        draws: the places of layers whose backward drew from a generator.
        failed: the innermost call that raised; None if none did.

    >>> Recording().backwards
    []
    """

    def __init__(self) -> None:
        self.forwards: list[LayerCall] = []
        self.backwards: list[LayerCall] = []
        self.writes: list[InPlaceWrite] = []
        self.updates: list[InPlaceWrite] = []
        self.draws: list[str] = []
        self.failed: LayerCall | None = None
        self._given: dict[int, tuple[Any, Any]] = {}  # by layer: the arguments of forward, and a copy from before

    def wrap(self, where: str, layer: Layer, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``method`` such that it also records its call."""

        def forward(*args: Any, **kwargs: Any) -> Any:
            given = copy.deepcopy((args, kwargs))
            call = LayerCall(where, layer, *_X_and_target(layer, *given), Y=None)
            with self._noting_failure(call):
                Y = method(*args, **kwargs)
            if not _same((args, kwargs), given):
                self.writes.append(InPlaceWrite(where, "forward", "X"))
            self._given[id(layer)] = (args, kwargs), given
            call.Y = copy.deepcopy(Y)
            self.forwards.append(call)
            return Y

        def backward(*args: Any, **kwargs: Any) -> Any:
            given = copy.deepcopy((args, kwargs))
            before = {name: getattr(layer, name).copy() for name in _own_parameters(layer)}
            next_draws = _next_draws(layer)
            call = next(call for call in reversed(self.forwards) if call.layer is layer)
            call.dY = _one_or_all(*given) if any(given) else np.ones(())
            with self._noting_failure(call):
                dX = method(*args, **kwargs)
            for name, P in before.items():
                if not np.array_equal(getattr(layer, name), P, equal_nan=True):
                    self.updates.append(InPlaceWrite(where, "backward", name))
            if _next_draws(layer) != next_draws:
                self.draws.append(where)
            if not _same((args, kwargs), given):
                self.writes.append(InPlaceWrite(where, "backward", "dY"))
            if not _same(*self._given[id(layer)]):
                self.writes.append(InPlaceWrite(where, "backward", "X"))
            call.dX = copy.deepcopy(dX)
            self.backwards.append(call)
            return dX

        return forward if name == "forward" else backward

    @contextmanager
    def _noting_failure(self, call: LayerCall) -> Iterator[None]:
        try:
            yield
        except Exception:
            self.failed = self.failed or call
            raise


@contextmanager
def recording_calls(
    model: Layer, loss: Layer | None = None, originals: Sequence[Layer | None] = ()
) -> Iterator[Recording]:
    """Record each forward and backward in ``model`` and ``loss`` while the context lasts.

    Args:
        model: any Layer.
        loss: a loss behind it.
        originals: the model and the loss to name in messages, where ``model`` and ``loss`` are copies of these.

    >>> import nnlite as nn
    >>> model = nn.Sequential(nn.Linear(3, 2), nn.Tanh())
    >>> with recording_calls(model) as recording:
    ...     dX = model.backward(model.forward(np.ones((5, 3))))
    >>> [call.place for call in recording.backwards]
    ['Sequential[1] Tanh()', 'Sequential[0] Linear(3 -> 2)', 'Sequential(2 layers)']
    """
    recording, seen = Recording(), set[int]()
    with ExitStack() as stack:
        for whole, original in zip((model, loss), originals or (model, loss), strict=True):
            if whole is not None and original is not None:
                layers = {path: layer for path, layer in whole.named_layers() if id(layer) not in seen}
                seen.update(map(id, layers.values()))  # a loss may hold the model, to penalize its weights
                stack.enter_context(wrapping(whole, partial(_wrap, recording, _places(original), layers)))
        yield recording


def _places(model: Layer) -> dict[str, str]:
    return {path: place(model, path, layer) for path, layer in model.named_layers()}


def _wrap(
    recording: Recording,
    places: dict[str, str],
    layers: dict[str, Layer],
    path: str,
    name: str,
    method: Callable[..., Any],
) -> Callable[..., Any]:
    return recording.wrap(places[path], layers[path], name, method) if path in layers else method


def _X_and_target(layer: Layer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
    """Return the inputs of a forward, and the target if the layer is a loss."""
    if is_loss(layer) and len(args) + len(kwargs) == 2:
        return args[0] if args else kwargs["Y"], args[1] if len(args) == 2 else kwargs.get("target")
    return _one_or_all(args, kwargs), None


def _one_or_all(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return the one argument, all of them, or those by name; a number as an array."""
    args = tuple([np.asarray(arg) if isinstance(arg, float) else arg for arg in args])
    if kwargs:
        return kwargs if not args else (*args, *kwargs.values())
    return args[0] if len(args) == 1 else args


def _arrays(given: tuple[tuple[Any, ...], dict[str, Any]]) -> list[Array]:
    args, kwargs = given
    return [arg for arg in (*args, *kwargs.values()) if isinstance(arg, np.ndarray)]


def _own_parameters(layer: Layer) -> list[str]:
    """Return the names of the layer's own parameters, without those of its parts."""
    return [name for name in layer._parameters if getattr(layer, name, None) is not None]


def _next_draws(layer: Layer) -> list[int]:
    """Return what each of the layer's generators would draw next."""
    return [int(copy.deepcopy(generator).integers(2**63)) for _, generator in layer.named_generators()]


def _same(one: Any, other: Any) -> bool:
    """Return whether all the arrays hold the same numbers."""
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(_arrays(one), _arrays(other), strict=True))
