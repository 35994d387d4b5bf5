"""Witness: what every layer of a model really received in one forward and backward, and whether it wrote into it."""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.trees import listed
from nnlite.diagnostics.trace import place, wrapping
from nnlite.layer.layer import Layer
from nnlite.losses.loss import Loss


@dataclass
class Visit:
    """A layer's forward and backward.

    Attributes:
        place: ``Sequential[2] Linear(16 -> 8)``.
        layer: itself.
        X: what forward received, a copy; of several a tuple, or a dict by name.
        target: of a loss.
        Y: what forward gave.
        dY: what backward received, a copy; None before backward.
        dX: what backward gave.

    >>> import nnlite as nn
    >>> Visit("Tanh()", nn.Tanh(), X=np.zeros(2), target=None, Y=np.zeros(2)).narrow is None
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
        """The dtype of a Y that is narrower than float64, where every input was float64."""
        given = {dtype for A in listed(self.X) if (dtype := np.result_type(*listed(A))).kind == "f"}
        got = np.result_type(*listed(self.Y))
        return got if given == {np.dtype(np.float64)} and got.kind == "f" and got.itemsize < 8 else None


class Witness:
    """What :func:`witnessed` saw.

    Attributes:
        forwards: the visits in the order in which their forwards ended, so that parts come before their whole.
        visits: those among them that backward came to, in the order in which it ended.
        written: "Sequential[1] Own(): forward writes into its input", for each layer that does so.
        learnt_in: "Sequential[1] Own(): backward writes into W", likewise.

    >>> Witness().visits
    []
    """

    def __init__(self) -> None:
        self.forwards: list[Visit] = []
        self.visits: list[Visit] = []
        self.written: list[str] = []
        self.learnt_in: list[str] = []
        self._given: dict[int, tuple[Any, Any]] = {}  # by layer: what forward was given, itself and as it was then

    def wrap(self, where: str, layer: Layer, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        """``method``, which now also leaves its visit here."""

        def forward(*args: Any, **kwargs: Any) -> Any:
            given = copy.deepcopy((args, kwargs))
            Y = method(*args, **kwargs)
            if not _same((args, kwargs), given):
                self.written.append(f"{where}: forward writes into its input")
            self._given[id(layer)] = (args, kwargs), given
            self.forwards.append(Visit(where, layer, *_X_and_target(layer, *given), copy.deepcopy(Y)))
            return Y

        def backward(*args: Any, **kwargs: Any) -> Any:
            given = copy.deepcopy((args, kwargs))
            learnt = {name: getattr(layer, name).copy() for name in _own_parameters(layer)}
            dX = method(*args, **kwargs)
            for name, P in learnt.items():
                if not np.array_equal(getattr(layer, name), P, equal_nan=True):
                    self.learnt_in.append(f"{where}: backward writes into {name}; updates belong to the optimizer")
            if not _same((args, kwargs), given):
                self.written.append(f"{where}: backward writes into its dY")
            if not _same(*self._given[id(layer)]):
                self.written.append(f"{where}: backward writes into its X")
            visit = next(visit for visit in reversed(self.forwards) if visit.layer is layer)
            visit.dY = _one_or_all(*given) if any(given) else np.ones(())
            visit.dX = copy.deepcopy(dX)
            self.visits.append(visit)
            return dX

        return forward if name == "forward" else backward


@contextmanager
def witnessed(model: Layer, loss: Layer | None = None, originals: Sequence[Layer | None] = ()) -> Iterator[Witness]:
    """While it lasts, each forward and backward in ``model`` and ``loss`` leaves a visit with the witness.

    Of copies, ``originals`` are the model and the loss that are named in their place.

    >>> import nnlite as nn
    >>> model = nn.Sequential(nn.Linear(3, 2), nn.Tanh())
    >>> with witnessed(model) as witness:
    ...     dX = model.backward(model.forward(np.ones((5, 3))))
    >>> [visit.place for visit in witness.visits]
    ['Sequential[1] Tanh()', 'Sequential[0] Linear(3 -> 2)', 'Sequential(2 layers)']
    """
    witness = Witness()
    with ExitStack() as stack:
        for whole, original in zip((model, loss), originals or (model, loss), strict=True):
            if whole is not None and original is not None:
                stack.enter_context(
                    wrapping(whole, partial(_wrap, witness, _places(original), dict(whole.named_layers())))
                )
        yield witness


def _places(model: Layer) -> dict[str, str]:
    return {path: place(model, path, layer) for path, layer in model.named_layers()}


def _wrap(
    witness: Witness, places: dict[str, str], layers: dict[str, Layer], path: str, name: str, method: Callable[..., Any]
) -> Callable[..., Any]:
    return witness.wrap(places[path], layers[path], name, method)


def _X_and_target(layer: Layer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
    """What forward was given, and of a loss the target."""
    if isinstance(layer, Loss) and len(args) + len(kwargs) == 2:
        return args[0] if args else kwargs["Y"], args[1] if len(args) == 2 else kwargs.get("target")
    return _one_or_all(args, kwargs), None


def _one_or_all(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The one argument, all of them, or those by name; a number as an array."""
    args = tuple([np.asarray(arg) if isinstance(arg, float) else arg for arg in args])
    if kwargs:
        return kwargs if not args else (*args, *kwargs.values())
    return args[0] if len(args) == 1 else args


def _arrays(given: tuple[tuple[Any, ...], dict[str, Any]]) -> list[Array]:
    args, kwargs = given
    return [arg for arg in (*args, *kwargs.values()) if isinstance(arg, np.ndarray)]


def _own_parameters(layer: Layer) -> list[str]:
    """The names of those that the layer has itself and not through a part; one that is left out is None."""
    return [name for name in layer._parameters if getattr(layer, name, None) is not None]


def _same(one: Any, other: Any) -> bool:
    """Whether all the arrays hold the same numbers."""
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(_arrays(one), _arrays(other), strict=True))
