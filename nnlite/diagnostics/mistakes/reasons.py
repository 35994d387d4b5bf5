"""The mistake that explains a wrong gradient."""

from collections.abc import Callable

import numpy as np

from nnlite.diagnostics.evidence import Evidence
from nnlite.diagnostics.mistakes.derivative import (
    missing_derivative,
    not_transposed,
    only_diagonal,
    wrong_formula,
    wrong_place,
)
from nnlite.diagnostics.mistakes.factor import any_factor, known_factor, single_precision
from nnlite.diagnostics.mistakes.not_stored import not_finite, not_linear, not_stored, nothing
from nnlite.diagnostics.mistakes.order import another_order, swapped
from nnlite.diagnostics.mistakes.wrong_entries import wrong_entries
from nnlite.diagnostics.mistakes.wrong_sums import other_axis, other_dY, part_missing, slices, term_missing

TRIED = (
    not_stored,
    not_finite,
    nothing,
    known_factor,
    single_precision,
    swapped,
    another_order,
    part_missing,
    missing_derivative,
    not_transposed,
    wrong_place,
    other_axis,
    slices,
    any_factor,
    term_missing,
    other_dY,
    only_diagonal,
    wrong_formula,
)


def reason(evidence: Evidence, name: str) -> str:
    """Return the mistake in the gradient of ``name``, or, if none explains it, how many entries are wrong, and which.

    >>> from nnlite.diagnostics.comparison import Tolerance, compare
    >>> from nnlite.diagnostics.central_differences import Differences
    >>> from nnlite.diagnostics.trial import Trial
    >>> from nnlite.diagnostics.recording import Recording
    >>> import nnlite as nn
    >>> differences = Differences(Trial(nn.Square(), np.array([1.0, 3.0]), dY=np.array([1.0, 1.0])))
    >>> found = {"X": compare("X", np.array([-2.0, -6.0]), differences, [(0,), (1,)], Tolerance())}
    >>> reason(Evidence(differences.trial, differences, found, Recording()), "X")
    'wrong sign'
    """
    with np.errstate(all="ignore"):
        found = next((text for function in TRIED if (text := _tried(function, evidence, name))), None)
        return found or wrong_entries(evidence, name) + (_tried(not_linear, evidence, name) or "")


def _tried(function: Callable[[Evidence, str], str | None], evidence: Evidence, name: str) -> str | None:
    """Return what the function finds; None if the layer fails in the experiment."""
    try:
        return function(evidence, name)
    except Exception:
        return None
