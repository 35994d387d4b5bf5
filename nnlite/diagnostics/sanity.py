"""sanity: ten checks of a model, its loss and its data before training."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from nnlite.basics.checks import whole
from nnlite.basics.generators import Rng, generator
from nnlite.diagnostics.sanity_checks.check import Check
from nnlite.diagnostics.sanity_checks.correctness import correct_gradients, independent_rows
from nnlite.diagnostics.sanity_checks.data import finite_data, input_scale
from nnlite.diagnostics.sanity_checks.initialization import active_units, unequal_units
from nnlite.diagnostics.sanity_checks.overfitting import overfits_small_batch
from nnlite.diagnostics.sanity_checks.rehearsal import Rehearsal
from nnlite.diagnostics.sanity_checks.targets import initial_loss, targets_in_range
from nnlite.diagnostics.sanity_checks.updates import relative_updates
from nnlite.layer.layer import Layer
from nnlite.optim.optimizer import Optimizer

TITLES = {"scale": "input scale", "initial_loss": "initial loss"}  # where they are not the name of the check


@dataclass(frozen=True)
class Sanity:
    """The result of :func:`sanity`: ten checks, each with ``right``, ``found`` and ``cure``; ``print`` shows a table.

    ``right`` is None where a check does not apply, where it was skipped because of another fault, and where the result
    may be intended.

    Attributes:
        data: are all numbers finite, and do the rows differ?
        scale: is the RMS of each input column near 1?
        targets: does the loss accept the targets, and can the last layer output them?
        initial_loss: is the loss that of uniform probabilities, ln 2 or ln K?
        gradients: is backward the derivative of forward, in evaluation and in training mode?
        rows: is the output for a sample the same alone as in a batch?
        units: are there dead or saturated units?
        symmetry: are there units with equal weights, which stay equal?
        updates: is the relative update of each layer about 1e-3?
        overfitting: can the model overfit a small batch, and does the optimizer reduce its loss?

    >>> Sanity(*[Check(True, "fine")] * 10).right
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
        """The checks by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def wrong(self) -> list[str]:
        """The names of the checks that failed."""
        return [name for name, check in self.checks.items() if check.right is False]

    @property
    def right(self) -> bool:
        """Whether no check failed."""
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
    """Check a model, its loss and its data before training, and say what is wrong and what to do.

    Runs on copies in evaluation mode, and for the gradients in training mode, too; the model stays unchanged. Of more
    than 1,000 rows, 1,000 drawn at random are used, except for the targets and the search for non-finite values. A
    small network takes less than a second.

    Args:
        model: any Layer with one row per sample.
        loss: such as ``BCELoss()``; for a model with several outputs a tuple or dict of losses, as in ``fit``.
        X: the inputs; a tuple or dict if there are several.
        Y: the targets.
        optimizer: one, or a list of several, as in ``fit``, to check the size of its first step, and that it reduces
            the loss of a few rows.
        batch_size: of that step.
        rng: seed or generator for the choice of rows and entries.

    Returns:
        Ten checks, which print as a table; see :class:`Sanity`.

    Raises:
        TypeError, ValueError: the model rejects X, X and Y do not have one row per sample each, or the optimizer
            belongs to another model.

    Source of most of the checks: Karpathy, A recipe for training neural networks, 2019.

    >>> import nnlite as nn
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(100, 2))
    >>> Y = (X[:, :1] > 0) * 1
    >>> model = nn.Sequential(nn.Linear(2, 8, rng=rng), nn.Tanh(), nn.Linear(8, 1, rng=rng), nn.Sigmoid())
    >>> sanity(model, nn.BCELoss(), X, Y).right
    True
    >>> print(sanity(model, nn.BCELoss(), 1000 * X, 2 * Y - 1).targets)
    WRONG  targets        BCELoss(): expected each target from 0 to 1, got -1.0 at index ...
           -> make the last layer, the loss and the targets match
    """
    given: Any = [] if optimizer is None else optimizer
    optimizers = list(given) if isinstance(given, list | tuple) else [given]
    for each in optimizers:
        if not isinstance(each, Optimizer):
            raise TypeError(f"optimizer: expected one such as SGD(model, lr=0.1), got {each!r}")
    batch_size, rng = whole(batch_size, "batch_size", least=1), generator(rng, "sanity: rng")
    with np.errstate(all="ignore"):  # overflow is reported by the checks
        run = Rehearsal(model, loss, X, Y, rng)
        # One generator for each check, so that none depends on what another draws.
        rngs = [np.random.default_rng(seed) for seed in rng.integers(2**63, size=4)]
        checks = {
            "data": finite_data(run),
            "scale": input_scale(run),
            "targets": targets_in_range(run),
            "initial_loss": initial_loss(run),
            "gradients": correct_gradients(run, rngs[0]),
            "rows": independent_rows(run, rngs[1]),
            "units": active_units(run),
            "symmetry": unequal_units(run),
            "updates": relative_updates(run, optimizers, model, batch_size, rngs[2]),
            "overfitting": overfits_small_batch(run, rngs[3], optimizers, model),
        }
    return Sanity(**{name: replace(check, title=TITLES.get(name, name)) for name, check in checks.items()})
