"""How many entries are wrong, and which, where no simple mistake explains them."""

import numpy as np

from nnlite.diagnostics.comparison import entry_name
from nnlite.diagnostics.evidence import Evidence


def wrong_entries(evidence: Evidence, name: str) -> str:
    """Return how many entries differ, and which: one, a row, those where X is negative."""
    finding = evidence.findings[name]
    count, checked = int(np.count_nonzero(finding.wrong)), finding.comparison.checked
    if count == checked:
        return f"differs in {f'all {count} entries' if count > 1 else 'its one entry'}"
    return f"differs in {count} of {checked} entries{_hint(evidence, name)}"


def _hint(evidence: Evidence, name: str) -> str:
    finding = evidence.findings[name]
    wrong, compared = finding.wrong, np.isfinite(finding.numeric)
    places = np.argwhere(wrong)
    if len(places) == 1:
        return f", at {entry_name(name, tuple(map(int, places[0])))}"
    for label, K in {"X": evidence.X, "Y": evidence.Y, "dY": evidence.dY}.items():
        if K is not None and K.shape == wrong.shape:
            for sign, there in (("<", K < 0), ("<=", K <= 0), (">", K > 0), (">=", K >= 0), ("=", K == 0)):
                if np.array_equal(wrong[compared], there[compared]):
                    return f", exactly where {label} {sign} 0"
    for axis in range(wrong.ndim):
        lines = sorted({int(place[axis]) for place in places})
        if wrong.ndim > 1 and len(lines) == 1:
            what = ("row", "column")[axis] if wrong.ndim == 2 else f"axis {axis}, at"
            return f", all in {what} {lines[0]}"
    return f", most at {entry_name(name, finding.comparison.index)}"
