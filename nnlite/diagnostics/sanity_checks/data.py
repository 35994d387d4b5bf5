"""Checks of the data: finite numbers, the scale of the inputs, and targets that match the loss."""

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.trees import listed
from nnlite.diagnostics.last_layer import ONE_OUTPUT, constant_output, last_layer
from nnlite.diagnostics.samples import count_of
from nnlite.diagnostics.sanity_checks.check import Check, first_few, standardize
from nnlite.diagnostics.sanity_checks.dry_run import DryRun, row_bytes
from nnlite.diagnostics.unscaled import SMALL, Scales, columns, unscaled_target
from nnlite.layer.described import described
from nnlite.layer.layer import Layer
from nnlite.losses.class_loss import ClassLoss
from nnlite.losses.loss import original_loss
from nnlite.losses.per_output import Losses

MATCH = "make the last layer, the loss and the targets match"


def finite_data(run: DryRun) -> Check:
    """Check that all numbers are finite and that the rows differ.

    >>> import nnlite as nn
    >>> X = np.array([[1.0, 5.0], [2.0, 5.0]])
    >>> print(finite_data(DryRun.of(nn.Linear(2, 1), nn.MSELoss(), X, X[:, :1])))
    right  data           2 rows, all finite; column 1 of X is constant
    """
    title = "data"
    targets = {name: target for _, _, target, name in run.outputs}
    for name, array in (run.inputs | targets).items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            row, *column = map(int, np.argwhere(~np.isfinite(array))[0])
            there = f"{name}[{', '.join(map(str, [row, *column]))}]"
            return Check(title, False, f"{there} is {array[(row, *column)]}", "remove or fill in non-finite values")
    constant = {name: _constant(array) for name, array in run.inputs.items()}
    count = len(listed(run.all_X)[0])
    if count > 1 and all(map(np.all, constant.values())):
        zeros = ", all zeros" * (not any(array.any() for array in run.inputs.values()))
        return Check(title, False, f"all {count} rows of X are equal{zeros}", "check how X is loaded")
    remarks = [
        f"; column{'s' * (len(which) > 1)} {first_few(which)} of {name} {'are' if len(which) > 1 else 'is'} constant"
        for name, where in constant.items()
        if len(which := np.flatnonzero(where)) and count > 1
    ]
    found = f"{count:,} row{'s' * (count > 1)}, all finite" + "".join(remarks)
    conflicts = _conflicting_rows(run)
    if conflicts:
        found += f"; {conflicts:,} of {count_of(run.X):,} rows equal another row in X but have a different target"
        return Check(title, None, f"{found}: no model can fit both")
    return Check(title, True, found)


def _conflicting_rows(run: DryRun) -> int:
    """The number of rows that equal another row in X and have a different target."""
    targets: dict[bytes, list[bytes]] = {}
    for row in range(count_of(run.X)):
        targets.setdefault(row_bytes(run.X, row), []).append(row_bytes(run.Y, row))
    return sum(len(group) for group in targets.values() if len(set(group)) > 1)


def _constant(array: Array) -> Array:
    flat = columns(array)
    return np.asarray(flat.min(axis=0) == flat.max(axis=0))


def input_scale(run: DryRun) -> Check:
    """Check that the RMS of each column, ``sqrt(mean(x^2))``, is within 0.01 to 10 and its mean not far from 0.

    Inputs without a gradient, such as indices of words, are not checked.

    Source: LeCun, Bottou, Orr and Mueller, Efficient backprop, 1998.

    >>> import nnlite as nn
    >>> X = np.array([[1.0, 500.0], [-1.0, 700.0]])
    >>> check = input_scale(DryRun.of(nn.Linear(2, 1), nn.MSELoss(), X, X[:, :1]))
    >>> check.found
    'column 1 of X has RMS 608, mean 600, standard deviation 100'
    """
    title, sizes = "input scale", []
    if not run.differentiable_inputs:
        return Check(title, None, "skipped: no input has a gradient")
    for name, array in run.differentiable_inputs.items():
        if not np.isfinite(array).all():
            continue
        scales = Scales.of(array)
        rms, varying = scales.rms, scales.varying
        if scales.unscaled:
            worst, more = scales.unscaled[0], len(scales.unscaled) - 1
            others = f" (and {more} other column{'s' * (more > 1)})" * bool(more)
            return Check(
                title,
                False,
                f"column {worst} of {name}{others} has RMS {rms[worst]:.3g}, mean {scales.mean[worst]:.3g}, "
                f"standard deviation {scales.deviation[worst]:.3g}",
                f"standardize: {standardize(name)} (training rows)"
                + "; first remove the constant columns" * (not varying.all()),
            )
        if varying.any() and rms[varying].max() < SMALL:
            found = f"no column of {name} has an RMS above {rms[varying].max():.2g}"
            return Check(title, False, found, f"divide {name} by its standard deviation, {name}.std()")
        sizes += list(rms[varying])
    if not sizes:
        return Check(title, None, "skipped: no input has finite, varying numbers")
    return Check(title, True, f"columns have RMS {min(sizes):.2g} to {max(sizes):.2g}")


def targets_in_range(run: DryRun) -> Check:
    """Check that the loss accepts the targets, and that the last layer can output them.

    >>> import nnlite as nn
    >>> X, Y = np.arange(4.0)[:, None], np.array([[1], [2], [1], [2]])
    >>> model = nn.Sequential(nn.Linear(1, 1), nn.Sigmoid())
    >>> print(targets_in_range(DryRun.of(model, nn.MSELoss(), X, Y)))
    WRONG  targets        Y ranges from 1 to 2, the last layer Sigmoid() from 0 to 1
           -> remove that layer, or scale the targets
    """
    title = "targets"
    if not all(np.isfinite(Y).all() for Y in listed(run.Y_pred)):
        return Check(title, None, "skipped: the model's output is not finite")
    last, remarks, missing = last_layer(run.model), [], False
    for loss, Y, target, name in run.outputs:
        try:
            loss.forward(Y[np.arange(len(target)) % len(Y)], np.array(target))  # all targets, against any predictions
        except (TypeError, ValueError) as error:
            return Check(title, False, str(error), MATCH)
        fault = _out_of_reach(last, loss, Y, target, name)
        if fault is not None:
            return Check(title, False, *fault)
        if len(target) > 1 and np.array_equal(target[1:], target[:-1]):
            return Check(title, False, f"every target in {name} is {target[0]}", "check how the targets are loaded")
        remark, all_occur = _range_or_classes(loss, Y, target, name)
        remarks.append(remark)
        missing = missing or not all_occur
    if run.J is None:
        return Check(title, False, run.refusal, MATCH)
    if not remarks:  # several arrays of targets, whose ranges only the loss knows
        single = isinstance(run.Y_pred, np.ndarray) and not isinstance(run.loss, Losses)
        fault = _outside_Y_range(run.loss, run.Y_pred) if single else None
        return Check(title, False, *fault) if fault else Check(title, True, "the loss accepts them")
    return Check(title, None if missing else True, "; ".join(remarks))  # a class may be rare


def _out_of_reach(last: Layer | None, loss: Layer, Y: Array, target: Array, name: str) -> tuple[str, str] | None:
    """Why the model cannot learn the targets, and the cure; None if it can."""
    limits = described(last, "output_range", "forward") if last else None
    low, high = limits or (-np.inf, np.inf)
    if original_loss(loss).too_narrow(low, high):
        return f"{type(loss).__name__} expects logits, but the last layer is {last}", f"remove {last}"
    if fault := _outside_Y_range(loss, Y):
        return fault
    if constant := constant_output(last, Y) if last else None:
        return constant, ONE_OUTPUT
    output_rms = float(np.sqrt(np.mean(np.square(Y, dtype=np.float64))))
    target_rms = unscaled_target(loss, target, output_rms)
    if limits is None and target_rms:
        found = f"{name} has RMS {target_rms:.3g}, the initial outputs of the model {output_rms:.2g}"
        return found, f"standardize: {standardize(name)} (training rows)"
    if limits is None or original_loss(loss).same_scale is False or not target.size:
        return None
    if target.min() < low or target.max() > high:
        found = f"{name} ranges from {target.min():.4g} to {target.max():.4g}, the last layer {last} from "
        return found + f"{low:g} to {high:g}", "remove that layer, or scale the targets"
    return None


def _outside_Y_range(loss: Layer, Y: Array) -> tuple[str, str] | None:
    """Why the loss is not made for the outputs of the model, and the cure; None if it is."""
    low, high = original_loss(loss).Y_range
    if not Y.size or (Y.min() >= low and Y.max() <= high):
        return None
    if high == 0:
        expected, cure = (
            "log-probabilities, at most 0",
            f"end the model with LogSoftmax(dim={original_loss(loss).class_axis})",
        )
    else:
        expected, cure = "outputs of at least 0", "end the model with Softplus()"
    found = f"{type(loss).__name__} expects {expected}, but the outputs of the model range from "
    return f"{found}{Y.min():.3g} to {Y.max():.3g}", cure


def _range_or_classes(loss: Layer, Y: Array, target: Array, name: str) -> tuple[str, bool]:
    """What values the targets take, in words, and whether every class occurs."""
    if isinstance(loss, ClassLoss) and target.ndim < Y.ndim:
        known = Y.shape[1 if Y.ndim > 1 else 0]
        found, counts = np.unique(target[target != loss.ignore_index], return_counts=True)
        if len(found) < known:
            return f"only {len(found)} of the {known} classes occur in {name}: {first_few(found)}", False
        return f"all {known} classes occur in {name}, {counts.min():,} to {counts.max():,} times each", True
    return f"{name} ranges from {target.min():.4g} to {target.max():.4g}", True
