"""Checks of the layers: whether backward is the derivative of forward, and whether samples are independent."""

import copy
import math
from typing import Any

import numpy as np

from nnlite.basics.trees import each_of, listed, spread
from nnlite.diagnostics.check_gradients import check_gradients
from nnlite.diagnostics.gradients.trial import is_floating
from nnlite.diagnostics.samples import copies, count_of, first_that_mixes, pick
from nnlite.diagnostics.sanity_checks.check import Check, counted, first_few
from nnlite.diagnostics.sanity_checks.rehearsal import Rehearsal
from nnlite.errors import GradientError, ShapeError
from nnlite.losses.loss import original_loss

CURE = "see nn.check_gradients(model, X, Y, loss)"
TRIES = 5  # to find a point at which no unit is at a kink


def correct_gradients(run: Rehearsal, rng: "np.random.Generator") -> Check:
    """Check that backward is the derivative of forward, on four rows and ten entries of each array.

    In evaluation mode and, if the output is another one then, in training mode. The weights are first moved a little,
    since with b = 0 an input of zeros is at the kink of a ReLU; if there still is a kink, as where a maximum is taken
    over a constant part of an image, the rows too.
    """
    for write in run.run.recording.writes:
        found = f"{write.place}: {write.method} modifies {write.array} in place"
        return Check(False, found, "compute a new array instead")
    if run.failure:
        return Check(False, f"backward fails: {run.failure}", CURE)
    if run.J is None or not math.isfinite(run.J):
        return Check(None, "skipped: no finite loss")
    check = _gradients(run, rng, training=False)
    if check.right and _depends_on_mode(run):
        in_training = _gradients(run, rng, training=True)
        return in_training if in_training.right is False else check
    return check


def _gradients(run: Rehearsal, rng: "np.random.Generator", *, training: bool) -> Check:
    count, problem = count_of(run.X), ""
    for attempt in range(TRIES):
        rows = rng.choice(count, min(count, 4), replace=False)
        model, loss = run.float64_twins()
        model.train(training)
        model.Phi = model.Phi + 0.01 * rng.standard_normal(model.Phi.shape)
        X = pick(run.X, rows)
        X = _moved(X, rng) if attempt and run.differentiable_inputs else X
        try:
            report = check_gradients(model, X, pick(run.Y, rows), loss, max_entries=10, rng=rng)
        except GradientError as error:
            verdict = error.report.verdict if error.report else str(error)
            mode = "in training mode: " * training
            return Check(False, mode + verdict.removeprefix(f"{model.one_line()}: "), CURE)
        except Exception as error:  # a kink, or an error raised by a layer of the user's own
            problem = str(error)
            continue
        parameters = dict(model.named_parameters())
        inputs = sorted({comparison.name for comparison in report.comparisons} - parameters.keys())
        both = " and ".join([first_few(inputs)] * bool(inputs) + [counted(len(parameters), "parameter")])
        return Check(True, f"match finite differences for {both}")
    return Check(None, f"skipped: {problem}")


def _moved(X: Any, rng: "np.random.Generator") -> Any:
    """Inputs that have a gradient, their floating numbers moved by some thousandths of their standard deviation."""

    def move(A: Any) -> Any:
        return A + 0.003 * np.std(A) * rng.standard_normal(A.shape) if is_floating(A) else A

    return (
        each_of(move, X) if isinstance(X, tuple | dict) else move(X * 1.0)
    )  # integers alone are numbers, as of images


def _depends_on_mode(run: Rehearsal) -> bool:
    """Whether the model computes another output in training mode, as with dropout."""
    model = copy.deepcopy(run.model).train()
    try:
        Y = spread(model.forward, copies(run.X))
    except Exception:  # it needs more rows, for instance
        return False
    return not all(map(np.array_equal, listed(Y), listed(run.Y_pred)))


def independent_rows(run: Rehearsal, rng: "np.random.Generator") -> Check:
    """Check that the output for a sample is the same alone as in a batch."""
    count, axis = count_of(run.X), getattr(original_loss(run.loss), "batch_axis", 0)
    if count == 1:
        return Check(None, "skipped: only one row")
    numbers = rng.choice(count, min(count, 4), replace=False).tolist()
    try:
        mixing = first_that_mixes(copy.deepcopy(run.model), run.X, numbers, axis)
    except ShapeError as error:
        return Check(False, str(error), f"check the axes of the layers: axis {axis} holds the samples")
    if mixing:
        found = f"{mixing}: the output for a sample depends on the other samples in the batch"
        return Check(False, found, f"check its axes: axis {axis} holds the samples")
    return Check(True, "the output for a sample does not depend on other samples")
