"""Checks of the data: finite numbers, the scale of the inputs, and targets that fit the loss."""

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.trees import listed
from nnlite.containers.graph import Graph
from nnlite.containers.sequential import Sequential
from nnlite.diagnostics.named_inputs import inputs_by_name
from nnlite.diagnostics.samples import count_of
from nnlite.diagnostics.sanity_checks.dry_run import Check, DryRun, columns, first_few, row_bytes
from nnlite.layer.layer import Layer
from nnlite.layers.activations import ReLU, Sigmoid, Softmax, Tanh
from nnlite.losses.binary_cross_entropy import BCEWithLogitsLoss
from nnlite.losses.cross_entropy import CrossEntropyLoss
from nnlite.losses.regression_losses import MSELoss

LARGE, SMALL = 10.0, 0.01  # a column beyond these sizes is not scaled
FAR = 100.0  # a column that is so many times its deviation away from 0
MUCH = 100.0  # targets that are so many times larger than what the model gives are not scaled
FIT = "the model's last layer, the loss and the targets must fit together"
RANGES = {Sigmoid: (0.0, 1.0), Softmax: (0.0, 1.0), Tanh: (-1.0, 1.0), ReLU: (0.0, np.inf)}


def finite_data(run: DryRun) -> Check:
    """Whether all numbers are finite, and the rows differ.

    >>> import nnlite as nn
    >>> X = np.array([[1.0, 5.0], [2.0, 5.0]])
    >>> print(finite_data(DryRun.of(nn.Linear(2, 1), nn.MSELoss(), X, X[:, :1])))
    right  data                2 rows of finite numbers; column 1 of X is constant and teaches nothing
    """
    title = "data"
    targets = {name: target for _, _, target, name in run.outputs}
    for name, array in (run.inputs | targets).items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            row, *column = map(int, np.argwhere(~np.isfinite(array))[0])
            there = f"{name}[{', '.join(map(str, [row, *column]))}]"
            return Check(
                title, False, f"{there} is {array[(row, *column)]}", "drop or fill the rows that are not finite"
            )
    constant = {name: _constant(array) for name, array in run.inputs.items()}
    count = len(listed(run.all_X)[0])
    if count > 1 and all(map(np.all, constant.values())):
        return Check(title, False, f"all {count} rows of X are the same{_of_zeros(run)}", "look at how X is read")
    remarks = [
        f"; column{'s' * (len(which) > 1)} {first_few(which)} of {name} {'are' if len(which) > 1 else 'is'} constant "
        f"and teach{'es' * (len(which) == 1)} nothing"
        for name, where in constant.items()
        if len(which := np.flatnonzero(where)) and count > 1
    ]
    said = f"{count:,} rows of finite numbers" + "".join(remarks)
    twins = _with_another_target(run)
    if twins:
        said += f"; {twins:,} of {count_of(run.X):,} rows are the same in X as another one, with another target"
        return Check(title, None, f"{said}: no model can learn both")
    return Check(title, True, said)


def _of_zeros(run: DryRun) -> str:
    return "" if any(array.any() for array in run.inputs.values()) else ": 0 throughout"


def _with_another_target(run: DryRun) -> int:
    """How many rows have a twin in X whose target is another one."""
    targets: dict[bytes, list[bytes]] = {}
    for row in range(count_of(run.X)):
        targets.setdefault(row_bytes(run.X, row), []).append(row_bytes(run.Y, row))
    return sum(len(asked) for asked in targets.values() if len(set(asked)) > 1)


def _constant(array: Array) -> Array:
    flat = columns(array)
    return np.asarray(flat.min(axis=0) == flat.max(axis=0))


def input_scale(run: DryRun) -> Check:
    """Whether the columns of the inputs are of about one size, and that near 1; the size is ``sqrt(mean(x^2))``.

    What has no gradient, such as indices of words, has no scale.

    Source: LeCun, Bottou, Orr and Mueller, Efficient backprop, 1998.

    >>> import nnlite as nn
    >>> X = np.array([[1.0, 500.0], [-1.0, 700.0]])
    >>> check = input_scale(DryRun.of(nn.Linear(2, 1), nn.MSELoss(), X, X[:, :1]))
    >>> check.found
    'column 1 of X is 608 in size; its mean is 600, its deviation 100'
    """
    title, sizes = "input scale", []
    for name, array in inputs_by_name(run.model, run.X).items():
        if (run.gradients and name not in run.gradients) or not np.isfinite(array).all():
            continue
        flat = columns(array).astype(np.float64)
        mean, deviation, size = flat.mean(axis=0), flat.std(axis=0), np.sqrt(np.mean(flat**2, axis=0))
        varying = ~_constant(array)
        off = (size > LARGE) | (varying & (np.abs(mean) > FAR * deviation))
        if off.any():
            worst = int(
                np.argmax(np.where(off, np.maximum(size / LARGE, np.abs(mean) / (deviation + 1e-300) / FAR), 0))
            )
            others = f" and {off.sum() - 1} others" * bool(off.sum() > 1)
            verb = "are" if others else "is"
            return Check(
                title,
                False,
                f"column {worst} of {name}{others} {verb} {size[worst]:.3g} in size; its mean is {mean[worst]:.3g}, "
                f"its deviation {deviation[worst]:.3g}",
                f"scale each column by the training rows: ({name} - {name}.mean(axis=0)) / {name}.std(axis=0)",
            )
        if varying.any() and size[varying].max() < SMALL:
            found = f"no column of {name} is larger than {size[varying].max():.2g}"
            return Check(title, False, found, f"divide {name} by its deviation, {name}.std()")
        sizes += list(size[varying])
    if not sizes:
        return Check(title, None, "there is no input of finite numbers that vary")
    return Check(title, True, f"columns are {min(sizes):.2g} to {max(sizes):.2g} in size")


def targets_in_range(run: DryRun) -> Check:
    """Whether the loss takes the targets, and the last layer can give what they ask for.

    >>> import nnlite as nn
    >>> X, Y = np.arange(4.0)[:, None], np.array([[1], [2], [1], [2]])
    >>> model = nn.Sequential(nn.Linear(1, 1), nn.Sigmoid())
    >>> print(targets_in_range(DryRun.of(model, nn.MSELoss(), X, Y)))
    WRONG  targets             Y goes from 1 to 2, but Sigmoid(), the last layer, gives 0 to 1
           -> leave that layer out, or scale the targets
    """
    title = "targets"
    if not all(np.isfinite(Y).all() for Y in listed(run.Y_pred)):
        return Check(title, None, "not done: the model's output is not finite")
    last, remarks, missing = _last_layer(run.model), [], False
    for loss, Y, target, name in run.outputs:
        try:
            loss.forward(Y[np.arange(len(target)) % len(Y)], target)  # all targets, beside any predictions
        except (TypeError, ValueError) as error:
            return Check(title, False, str(error), FIT)
        wrong = _never_reached(last, loss, Y, target, name)
        if wrong is not None:
            return Check(title, False, *wrong)
        if len(target) > 1 and np.array_equal(target[1:], target[:-1]):
            return Check(title, False, f"every target in {name} is {target[0]}", "look at how the targets are read")
        remarks.append(_remark(loss, Y, target, name))
        missing = missing or remarks[-1].startswith("only")
    if run.J is None:
        return Check(title, False, run.refusal, FIT)
    return Check(title, None if missing else True, "; ".join(remarks))  # a class may be rare


def _last_layer(model: Layer) -> Layer | None:
    """What gives the model's one output, as far as it is known."""
    while type(model).forward in (Sequential.forward, Graph.forward) and model.num_outputs == 1:
        parts = [layer for _, layer in model.named_children()]
        if not parts:
            return None
        model = parts[-1]
    return model


def _never_reached(last: Layer | None, loss: Layer, Y: Array, target: Array, name: str) -> tuple[str, str] | None:
    """What is wrong with the last layer, and the cure."""
    if isinstance(loss, CrossEntropyLoss) and isinstance(last, Softmax | Sigmoid | ReLU):
        return f"CrossEntropyLoss takes scores, and {last} before it leaves few of them", "leave that layer out"
    if isinstance(loss, BCEWithLogitsLoss) and isinstance(last, Sigmoid | ReLU | Tanh):
        return f"BCEWithLogitsLoss takes scores, and {last} before it leaves few of them", "leave that layer out"
    size, given = (float(np.sqrt(np.mean(np.square(A, dtype=np.float64)))) for A in (target, Y))
    if isinstance(loss, MSELoss) and type(last) not in RANGES and size > MUCH * max(given, 1.0):
        found = f"{name} is {size:.3g} in size, where the model begins with outputs of {given:.2g}"
        return found, f"scale the targets by the training rows: ({name} - {name}.mean(axis=0)) / {name}.std(axis=0)"
    if type(last) not in RANGES or isinstance(loss, CrossEntropyLoss | BCEWithLogitsLoss) or not target.size:
        return None
    low, high = RANGES[type(last)]
    if target.min() < low or target.max() > high:
        found = f"{name} goes from {target.min():.4g} to {target.max():.4g}, but {last}, the last layer, gives "
        return found + f"{low:g} to {high:g}", "leave that layer out, or scale the targets"
    return None


def _remark(loss: Layer, Y: Array, target: Array, name: str) -> str:
    if isinstance(loss, CrossEntropyLoss) and target.ndim < Y.ndim:
        counted = target[target != loss.ignore_index]
        known = Y.shape[1 if Y.ndim > 1 else 0]
        found, counts = np.unique(counted, return_counts=True)
        if len(found) < known:
            return f"only {len(found)} of the {known} classes occur in {name}: {first_few(found)}"
        return f"all {known} classes occur in {name}, from {counts.min():,} to {counts.max():,} times"
    return f"{name} goes from {target.min():.4g} to {target.max():.4g}"
