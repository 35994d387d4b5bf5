"""The report of check_gradients: a verdict and a table."""

import textwrap
from dataclasses import dataclass

from nnlite.diagnostics.gradients.comparison import Comparison
from nnlite.diagnostics.gradients.fault import Fault
from nnlite.diagnostics.text_table import text_table

WIDTH = 80  # columns of a terminal
_HEAD = ["", "gradient", "shape", "wrong", "worst at", "backward", "numerical", "angle"]


@dataclass(frozen=True)
class GradientReport:
    """The result of :func:`nnlite.check_gradients`: a comparison for X and for each parameter, and what is wrong.

    ``print`` shows a table: in how many entries backward and the central differences differ, both at the worst entry,
    and, where they differ, the angle between the two gradients in degrees.

    Attributes:
        comparisons: one for each array.
        faults: what is wrong, all of it in one layer; none if every gradient is right.
        parts_right: whether the layer with the faults has parts, and these are right.
        after: how many layers after it were checked and are right.
        before: how many layers before it were not checked.

    >>> print(GradientReport((Comparison("X", (2,), 2, (0,), 1.0, 1.0, True),)))
           gradient  shape   wrong  worst at  backward  numerical
    -------------------------------------------------------------
    right  dX        (2,)   0 of 2       [0]         1          1
    """

    comparisons: tuple[Comparison, ...] = ()
    faults: tuple[Fault, ...] = ()
    parts_right: bool = False
    after: int = 0
    before: int = 0

    @property
    def fault(self) -> Fault | None:
        """The first fault; None if every gradient is right."""
        return self.faults[0] if self.faults else None

    @property
    def right(self) -> bool:
        """Whether every gradient is right and nothing else is wrong."""
        return not self.faults and all(comparison.right for comparison in self.comparisons)

    @property
    def verdict(self) -> str:
        """One sentence: what is wrong and where, or that every gradient is right."""
        if not self.faults:
            return "every gradient is right" if self.right else "backward is not the derivative of forward"
        arrays: dict[str, list[str]] = {}  # those with the same fault are named together
        for fault in self.faults:
            arrays.setdefault(str(Fault("", "", fault.kind, fault.detail)), []).append(fault.array)
        told = [f"{', '.join(names)}: {text}" if any(names) else text for text, names in arrays.items()]
        for count, where, verb, told_of in (
            (self.after, "after it", ("is", "are"), "right"),
            (self.before, "before it", ("was", "were"), "not checked"),
        ):
            if count:
                told.append(f"the {f'{count} layers' if count > 1 else 'layer'} {where} {verb[count > 1]} {told_of}")
        own = ", although each layer in it is right" if self.parts_right else ""
        return f"{self.faults[0].layer}{own}: {'; '.join(told)}"

    def __str__(self) -> str:
        verdict = "" if self.right else self.verdict
        lines = textwrap.wrap(verdict, WIDTH, break_long_words=False, break_on_hyphens=False)
        return "\n".join([*lines, *self._table()])

    __repr__ = __str__

    def _table(self) -> list[str]:
        if not self.comparisons:
            return []
        rows = [_HEAD, *(comparison.cells() for comparison in self.comparisons)]
        angles = any(row[-1] for row in rows[1:])
        return [text_table([row if angles else row[:-1] for row in rows], left=3)]
