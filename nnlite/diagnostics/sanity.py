"""sanity: the checks that a careful person makes before training."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from nnlite.basics.checks import whole
from nnlite.basics.generators import Rng
from nnlite.diagnostics.sanity_checks.data import finite_data, input_scale, targets_in_range
from nnlite.diagnostics.sanity_checks.dry_run import Check, DryRun
from nnlite.diagnostics.sanity_checks.initialization import active_units, initial_loss, unequal_units
from nnlite.diagnostics.sanity_checks.learning import (
    correct_gradients,
    independent_rows,
    overfits_small_batch,
    relative_updates,
)
from nnlite.layer.layer import Layer
from nnlite.optim.optimizer import Optimizer


@dataclass(frozen=True)
class Sanity:
    """What :func:`sanity` found: ten checks, each with ``right``, ``found`` and ``cure``; ``print`` shows a table.

    ``right`` is None where a check does not apply, where it cannot be made because of what is wrong elsewhere, and
    where what it found may be meant so.

    Attributes:
        data: are all numbers finite, and do the rows differ?
        scale: are the columns of the inputs of about one size?
        targets: does the loss take the targets, and can the last layer give them?
        initial_loss: is the loss that of a guess, ln 2 or ln K?
        gradients: is backward the derivative of forward?
        rows: is a sample's output the same alone as among others?
        units: are there dead or saturated ones?
        symmetry: are there equal ones, which stay equal?
        updates: does a step move each layer by about 1e-3 of its weights?
        overfitting: can the model learn a small batch by heart?

    >>> right = Check("data", True, "fine")
    >>> Sanity(*[right] * 10).right
    True
    """

    data: Check
    scale: Check
    targets: Check
    initial_loss: Check
    gradients: Check
    rows: Check
    units: Check
    symmetry: Check
    updates: Check
    overfitting: Check

    @property
    def checks(self) -> dict[str, Check]:
        """Each check by its attribute's name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def wrong(self) -> list[str]:
        """The names of the checks that found something wrong."""
        return [name for name, check in self.checks.items() if check.right is False]

    @property
    def right(self) -> bool:
        """Whether none found anything wrong."""
        return not self.wrong

    def __str__(self) -> str:
        return "\n".join(map(str, self.checks.values()))

    __repr__ = __str__


def sanity(
    model: Layer,
    loss: Any,
    X: Any,
    Y: Any,
    *,
    optimizer: Optimizer | Sequence[Optimizer] | None = None,
    batch_size: int = 32,
    rng: Rng = 0,
) -> Sanity:
    """Look over a model and its data before training, and say what is wrong and what to do.

    All is done on copies, in evaluation mode; nothing is written on the model. Where there are more than 1,000 rows, as
    many drawn at random stand for them, but for targets and numbers that are not finite. It takes some seconds at most
    for a small network.

    Args:
        model: any Layer with a row per sample.
        loss: such as ``BCELoss()``; of a model of several outputs a tuple or dict of losses, as ``fit`` takes it.
        X: its input; of several a tuple or dict.
        Y: the targets.
        optimizer: one, or a list of several, as for ``fit``, to look at the size of its first step.
        batch_size: of that step.
        rng: seed or generator for the choice of rows and entries.

    Returns:
        Ten checks, which print as a table; see :class:`Sanity`.

    Raises:
        TypeError, ValueError: the model does not take X, X and Y have not a row each per sample, or the optimizer is
            not of this model.

    Source of most of the checks: Karpathy, A recipe for training neural networks, 2019.

    >>> import nnlite as nn
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(100, 2))
    >>> Y = (X[:, :1] > 0) * 1
    >>> model = nn.Sequential(nn.Linear(2, 8, rng=rng), nn.Tanh(), nn.Linear(8, 1, rng=rng), nn.Sigmoid())
    >>> sanity(model, nn.BCELoss(), X, Y).right
    True
    >>> print(sanity(model, nn.BCELoss(), 1000 * X, 2 * Y - 1).targets)
    WRONG  targets             BCELoss(): expected each target from 0 to 1, got -1.0 at index ...
           -> the model's last layer, the loss and the targets must fit together
    """
    if optimizer is None:
        optimizer = []
    optimizers = list(optimizer) if isinstance(optimizer, list | tuple) else [optimizer]
    for each in optimizers:
        if not isinstance(each, Optimizer):
            raise TypeError(f"optimizer: expected one such as SGD(model, lr=0.1), got {each!r}")
    batch_size, rng = whole(batch_size, "batch_size", least=1), np.random.default_rng(rng)
    with np.errstate(all="ignore"):  # what overflows is found and said
        run = DryRun.of(model, loss, X, Y, rng)
        return Sanity(
            data=finite_data(run),
            scale=input_scale(run),
            targets=targets_in_range(run),
            initial_loss=initial_loss(run),
            gradients=correct_gradients(run, rng),
            rows=independent_rows(run, rng),
            units=active_units(run),
            symmetry=unequal_units(run),
            updates=relative_updates(run, optimizers, model, batch_size, rng),
            overfitting=overfits_small_batch(run, rng),
        )
