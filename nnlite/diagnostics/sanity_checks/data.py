"""Checks of the data: finite numbers that vary, and the scale of the inputs."""

import numpy as np

from nnlite.basics.trees import listed
from nnlite.diagnostics.samples import count_of
from nnlite.diagnostics.sanity_checks.check import Check, counted, first_few, standardize
from nnlite.diagnostics.sanity_checks.rehearsal import Rehearsal, row_bytes
from nnlite.diagnostics.unscaled import SMALL, Scales, features


def finite_data(run: Rehearsal) -> Check:
    """Check that all numbers are finite and that the rows differ."""
    for name, array in (run.inputs | {output.name: output.target for output in run.outputs}).items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            index = tuple(map(int, np.argwhere(~np.isfinite(array))[0]))
            found = f"{name}[{', '.join(map(str, index))}] is {array[index]}"
            return Check(False, found, "remove or fill in non-finite values")
    count = len(listed(run.all_X)[0])
    found = f"{counted(count, 'row')}, all finite"
    flat = {name: features(array) for name, array in run.inputs.items() if count > 1}
    constant = {name: A.min(axis=0) == A.max(axis=0) for name, (_, A) in flat.items()}
    if constant and all(map(np.all, constant.values())):
        zeros = ", all zeros" * (not any(array.any() for array in run.inputs.values()))
        return Check(False, f"all {count} rows of X are equal{zeros}", "check how X is loaded")
    for name, where in constant.items():
        which = np.flatnonzero(where)
        if len(which):
            found += f"; {flat[name][0]}{'s' * (len(which) > 1)} {first_few(which)} of {name} "
            found += f"{'are' if len(which) > 1 else 'is'} constant"
    if conflicts := _conflicting_rows(run):
        found += f"; {conflicts:,} of {count_of(run.X):,} rows equal another row in X but have a different target"
        return Check(None, f"{found}: no model can fit both")
    return Check(True, found)


def _conflicting_rows(run: Rehearsal) -> int:
    """The number of rows that equal another row in X and have a different target."""
    targets: dict[bytes, list[bytes]] = {}
    for row in range(count_of(run.X)):
        targets.setdefault(row_bytes(run.X, row), []).append(row_bytes(run.Y, row))
    return sum(len(group) for group in targets.values() if len(set(group)) > 1)


def input_scale(run: Rehearsal) -> Check:
    """Check that the RMS of each column, ``sqrt(mean(x^2))``, is within 0.01 to 10, and its mean not far from 0.

    Of images and volumes that of each channel. Inputs without a gradient, such as indices of words, are not checked.

    Source: LeCun, Bottou, Orr and Mueller, Efficient backprop, 1998.
    """
    if not run.differentiable_inputs:
        return Check(None, "skipped: no input has a gradient")
    sizes: list[float] = []
    kinds: list[str] = []
    for name, array in run.differentiable_inputs.items():
        if not np.isfinite(array).all():
            continue
        scales = Scales.of(array)
        feature, rms = scales.feature, scales.rms[scales.varying]
        if scales.unscaled:
            worst, *others = scales.unscaled
            more = f" (and {counted(len(others), f'other {feature}')})" * bool(others)
            found = (
                f"{feature} {worst} of {name}{more} has RMS {scales.rms[worst]:.3g}, mean {scales.mean[worst]:.3g}, "
            )
            constant = f"; first remove the constant {feature}s" * (not scales.varying.all())
            cure = standardize(name, array.ndim) + constant
            return Check(False, f"{found}standard deviation {scales.deviation[worst]:.3g}", cure)
        if rms.size and rms.max() < SMALL:
            found = f"no {feature} of {name} has an RMS above {rms.max():.2g}"
            return Check(False, found, f"divide {name} by its standard deviation, {name}.std()")
        sizes += list(rms)
        kinds += [] if f"{feature}s" in kinds else [f"{feature}s"]
    if not sizes:
        return Check(None, "skipped: no input has finite, varying numbers")
    return Check(True, f"{' and '.join(kinds)} have RMS {min(sizes):.2g} to {max(sizes):.2g}")
