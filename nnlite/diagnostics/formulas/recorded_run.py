"""The arrays of one forward and backward, by the edges and operations of a program."""

import copy
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np

from nnlite.basics.arrays import as_array
from nnlite.basics.shapes import Shape, is_open, sizes
from nnlite.basics.trees import each_of, listed
from nnlite.containers.branches import Residual
from nnlite.containers.program import Program
from nnlite.containers.sequential import Sequential
from nnlite.containers.tied import Tied, tied
from nnlite.diagnostics.run import Run
from nnlite.layer.layer import Layer


@dataclass(eq=False)
class Recorded:
    """A model's program, and its run if it ran.

    Attributes:
        model: the model, or the copy of it that ran.
        program: the operations.
        run: what every layer received and returned.
        dYs: the gradients of the outputs, if they were given.

    >>> import nnlite as nn
    >>> record(nn.Sequential(nn.Tanh()), np.zeros((1, 2))).values[1]
    array([[0., 0.]])
    """

    model: Layer
    program: Program
    run: Run | None = None
    dYs: list[Any] = field(default_factory=list)

    @property
    def values(self) -> dict[int, Any]:
        """The array on each edge, if it ran."""
        return {} if self.run is None else self.run.values

    @cached_property
    def shapes(self) -> dict[int, Shape]:
        """The shape of each edge as far as it is known without running; empty if it ran."""
        return self.program.shapes() if self.run is None else {}


def record(model: Layer, X: Any = None, target: Any = None, loss: Layer | None = None, dY: Any = None) -> Recorded:
    """Run a copy of the model and the loss forward and backward; without X only find the operations.

    Without a loss the gradient of the output is ``dY``, or 1, that of its sum.

    >>> import nnlite as nn
    >>> record(nn.Linear(2, 1)).run is None
    True
    """
    model, loss = _with_tied_chains_apart(model, loss)
    count = len(X) if isinstance(X, tuple) and (target is None or loss is not None) else None
    if X is None:
        return Recorded(model, Program.of(model, loss, inputs=count))
    run = Run(model, loss)
    run.model.needs_dX = True
    target = None if target is None else each_of(partial(as_array, name="target"), target)
    Y = run.forward(each_of(partial(as_array, name="X"), X), target)
    dYs = None if dY is None else each_of(partial(as_array, name="dY"), dY)
    run.backward(dYs if dYs is not None or loss is not None or isinstance(Y, float) else each_of(np.ones_like, Y))
    return Recorded(run.model, run.program, run, [] if dYs is None else listed(dYs))


def _with_tied_chains_apart(model: Layer, loss: Layer | None) -> tuple[Layer, Layer | None]:
    """Return the model, or a copy in which each chain that is tied as a whole is a chain of tied layers."""
    if not any(map(_is_tied_chain, dict(model.named_layers()).values())):
        return model, loss
    model, loss = copy.deepcopy((model, loss))
    for part in list(dict(model.named_layers()).values()):
        if isinstance(part, Sequential):
            part.layers[:] = [_apart(layer) if _is_tied_chain(layer) else layer for layer in part.layers]
    return _apart(model) if _is_tied_chain(model) else model, loss


def _is_tied_chain(layer: Layer) -> bool:
    return isinstance(layer, Tied) and type(layer.original) in (Sequential, Residual)


def _apart(chain: Any) -> Layer:
    layers = [tied(layer) for layer in chain.original.layers]
    each = [_apart(layer) if _is_tied_chain(layer) else layer for layer in layers]
    return type(chain.original)(*each)  # type: ignore[no-any-return]


def is_broadcast(shape: Shape, to: Shape) -> bool:
    """Return whether an array of the one shape is certainly broadcast to the other.

    >>> is_broadcast((3,), (..., 3)), is_broadcast((..., 1), (..., 3)), is_broadcast((...,), (..., 3))
    (True, True, False)
    """
    own, other = sizes(shape), sizes(to)
    longer = not is_open(shape) and (is_open(to) or len(other) > len(own))
    pairs = zip(reversed(own), reversed(other), strict=False)
    return longer or any(size == 1 and wide is not None and wide != 1 for size, wide in pairs)
