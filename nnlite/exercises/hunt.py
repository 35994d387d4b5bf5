"""hunt: a network with one planted bug to find."""

from collections.abc import Callable
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.checks import whole
from nnlite.basics.generators import Rng, generator
from nnlite.containers.sequential import Sequential
from nnlite.diagnostics.check_gradients import check_gradients
from nnlite.diagnostics.gradients.fault import Fault
from nnlite.errors import GradientError
from nnlite.exercises.planted import planted
from nnlite.layer.layer import Layer
from nnlite.layers.activations import Sigmoid, Softmax, Tanh
from nnlite.layers.linear import Linear
from nnlite.losses.loss import Loss
from nnlite.losses.regression_losses import MSELoss

N, WIDTHS = 6, (4, 5, 3)  # no two alike, so that a factor has one name
LEVELS = 3
KINDS = (
    *("zero", "wrong sign", "wrong factor"),
    *("missing dY", "missing derivative", "another derivative"),
    *("missing term", "extra term", "derivative applied twice"),
    *("wrong point", "part of dY", "only the diagonal"),
    *("wrong axis", "transposed", "order of entries"),
)  # of those of check_gradients: what the bug may be


def _put(**new: Callable[[Any, Array, Array], Array]) -> Callable[..., None]:
    """Replace each named gradient by ``new(layer, dY, gradient)``."""

    def spoil(layer: Any, gradients: dict[str, Array], dY: Array) -> None:
        gradients.update({name: np.asarray(function(layer, dY, gradients[name])) for name, function in new.items()})

    return spoil


# A bug each: the level, the number of the layer, its class, and what it does to the gradients.
BUGS: tuple[tuple[int, int, type[Layer], Callable[..., None]], ...] = (
    (1, 1, Tanh, _put(X=lambda layer, dY, dX: -dX)),
    (1, 1, Tanh, _put(X=lambda layer, dY, dX: dY)),
    (1, 1, Tanh, _put(X=lambda layer, dY, dX: 1 - layer.Y * layer.Y)),
    (1, 2, Linear, _put(W=lambda layer, dY, dW: 2 * dW)),
    (1, 2, Linear, _put(b=lambda layer, dY, db: 0 * db)),
    (2, 2, Linear, _put(b=lambda layer, dY, db: dY.mean(axis=0))),
    (2, 2, Linear, _put(W=lambda layer, dY, dW: dW / len(dY))),
    (2, 1, Tanh, _put(X=lambda layer, dY, dX: dY * (1 - layer.Y))),
    (2, 1, Tanh, _put(X=lambda layer, dY, dX: dX * (1 - layer.Y * layer.Y))),
    (2, 3, Sigmoid, _put(X=lambda layer, dY, dX: dY * (layer.Y + (1 - layer.Y)))),
    (3, 3, Softmax, _put(X=lambda layer, dY, dX: dY * layer.Y * (1 - layer.Y))),
    (3, 3, Softmax, _put(X=lambda layer, dY, dX: layer.Y * dY)),
    (3, 2, Linear, _put(b=lambda layer, dY, db: dY[:-1].sum(axis=0))),
    (3, 1, Tanh, _put(X=lambda layer, dY, dX: dY * (1 - np.tanh(layer.Y) ** 2))),
    (3, 0, Linear, _put(W=lambda layer, dY, dW: dW[::-1])),
)


class Hunt:
    """A network with one wrong gradient, and data and a loss to run it with; :meth:`answer` judges a guess.

    Attributes:
        model: a Sequential, in float64.
        loss: a loss behind it.
        X, Y: rows and targets.

    >>> import nnlite as nn
    >>> found = nn.exercises.hunt(level=1, rng=0)
    >>> print(found)
    One gradient of this network is wrong. Which layer, and what kind of mistake?
    ...
    """

    def __init__(self, level: int, model: Layer, loss: Loss, X: Array, Y: Array) -> None:
        self.level, self.model, self.loss, self.X, self.Y = level, model, loss, X, Y
        self._tries = 0
        self._fault: Fault
        try:
            check_gradients(model, X, Y, loss, rng=0)
        except GradientError as error:
            self._fault = error.report.fault
        self._path = self._fault.layer.partition("[")[2].partition("]")[0]

    def __str__(self) -> str:
        rows = [[f'"{kind}"' for kind in KINDS[first : first + 3]] for first in range(0, len(KINDS), 3)]
        kinds = ["  " + "".join(f"{kind:<24}" for kind in row).rstrip() for row in rows]
        return "\n".join(
            [
                "One gradient of this network is wrong. Which layer, and what kind of mistake?",
                "",
                str(self.model),
                "",
                "Run it with .model, .loss, .X and .Y of this hunt: train it, step through it,",
                "compare each gradient with numerical differences. Then answer, such as",
                '.answer(layer=2, kind="wrong sign"), as often as you like; .solution() tells.',
                "The kinds are",
                *kinds,
            ]
        )

    __repr__ = __str__

    def answer(self, layer: int | str, kind: str = "") -> bool:
        """Judge a guess, and print what of it is right; True if all is.

        Args:
            layer: its number in the model.
            kind: the kind of mistake, one of those that ``print`` shows, as :func:`nnlite.check_gradients` has them; ""
                asks for the layer only.

        Raises:
            ValueError: there is no such layer or kind.
        """
        paths = [path for path, _ in self.model.named_layers() if path]
        if str(layer) not in paths:
            raise ValueError(f"hunt.answer: layer: expected one of {', '.join(paths)}, got {layer!r}")
        if kind and kind not in KINDS:
            raise ValueError(f"hunt.answer: kind: expected one of {', '.join(map(repr, KINDS))}, got {kind!r}")
        self._tries += 1
        where, what = str(layer) == self._path, kind == self._fault.kind
        if where and what:
            tries = "at once" if self._tries == 1 else f"after {self._tries} guesses"
            print(f"found {tries}:\n  {self.solution()}")
        elif where:
            print(f"the layer is right; {'it is another kind of mistake' if kind else 'and what is wrong in it?'}")
        elif what:
            print("the kind is right; it is another layer")
        else:
            print("no; compare with numerical differences, from the last layer to the first")
        return where and what

    def solution(self) -> str:
        """The layer and the mistake, as :func:`nnlite.check_gradients` names it."""
        return f"{self._fault.layer}: {self._fault}"


def hunt(level: int = 1, rng: Rng = None) -> Hunt:
    """A network with one planted bug to find.

    Args:
        level: 1 for what a sign or a factor gives away, 2 for mistakes of a line, 3 for those that train almost well.
        rng: seed or generator that chooses the bug; None for the default generator of ``nnlite.manual_seed``.

    Returns:
        The network with data and a loss; ``print`` shows what to do.

    Raises:
        TypeError, ValueError: ``level`` is not 1, 2 or 3.

    >>> import nnlite as nn
    >>> found = nn.exercises.hunt(level=1, rng=0)
    >>> found.answer(layer=0)
    no; compare with numerical differences, from the last layer to the first
    False
    """
    if whole(level, "hunt: level", least=1) > LEVELS:
        raise ValueError(f"hunt: level: expected 1, 2 or 3, got {level}")
    rng = generator(rng, "hunt: rng")
    bugs = [bug for bug in BUGS if bug[0] == level]
    return Hunt(level, *_network(bugs[int(rng.integers(len(bugs)))]))


def _network(bug: tuple[int, int, type[Layer], Callable[..., None]]) -> tuple[Layer, Loss, Array, Array]:
    """The network with the bug in it, the loss, and data."""
    _, place, cls, spoil = bug
    rng = np.random.default_rng(1)
    last = cls if place == 3 else Sigmoid
    sizes = {0: WIDTHS[:2], 2: WIDTHS[1:]}
    layers: list[Layer] = []
    for number, kind in enumerate((Linear, Tanh, Linear, last)):
        options: dict[str, Any] = {"rng": rng, "dtype": np.float64} if kind is Linear else {}
        arguments = sizes.get(number, ())
        layers.append(planted(kind, spoil, *arguments, **options) if number == place else kind(*arguments, **options))
    model = Sequential(*layers)
    model.Phi += 0.1 * rng.standard_normal(model.Phi.size)  # so that no bias is 0
    X, Y = rng.normal(size=(N, WIDTHS[0])), rng.uniform(size=(N, WIDTHS[-1]))
    return model, MSELoss(), X, Y
