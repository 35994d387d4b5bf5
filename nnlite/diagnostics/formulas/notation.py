"""The legend of the signs in the formulas: of those that occur."""

from collections.abc import Sequence

from nnlite.diagnostics.formulas.latex import latex
from nnlite.diagnostics.formulas.plain_text import index, plain
from nnlite.diagnostics.formulas.terms import Applied, BinaryOperation, Reading, Relation, parts_of

ORDINALS = {0: "first", 1: "second", 2: "third", 3: "fourth", -1: "last"}


def notation(readings: Sequence[Reading], in_latex: bool = False) -> str:
    r"""Return a sentence on the signs in the formulas; empty if they need none.

    >>> from nnlite.diagnostics.formulas.symbols import symbol
    >>> from nnlite.diagnostics.formulas.terms import Factor
    >>> X = Factor(symbol("X"))
    >>> product = BinaryOperation("*", X, Applied("sum", (X,), (1,)))
    >>> notation([product])
    '* is elementwise, sum_2 is the sum over the second axis.'
    >>> notation([product], in_latex=True)
    '$\\odot$ is elementwise, $\\sum_{2}$ is the sum over the second axis.'
    """
    parts = [part for reading in readings for part in parts_of(reading)]
    sign = r"\odot" if in_latex else " * "
    legend = []
    if any(sign in (latex if in_latex else plain)(reading) for reading in readings):
        legend.append(f"{f'${sign}$' if in_latex else '*'} is elementwise")
    if any(isinstance(part, BinaryOperation) and part.sign in "@." for part in parts):
        legend.append(f"{'a' if legend else 'A'} matrix product has no sign")
    along = [part for part in parts if isinstance(part, Applied) and part.axes]
    legend += dict.fromkeys(_of_axes(part, part.axes or (), in_latex) for part in along)
    if any(isinstance(part, Relation) for part in parts):
        legend.append(f"{'$[a > b]$' if in_latex else '[a > b]'} is 1 where that holds and 0 elsewhere")
    return f"{', '.join(legend)}." if legend else ""


def _of_axes(applied: Applied, axes: tuple[int, ...], in_latex: bool) -> str:
    """Return the meaning of sum_2."""
    shown = f"{applied.function}{index(axes)}"
    if in_latex:
        name = r"\sum" if applied.function == "sum" else rf"\operatorname{{{applied.function}}}"
        shown = f"${name}_{{{index(axes)[1:]}}}$"
    places = [ORDINALS.get(axis, str(axis + 1 if axis >= 0 else axis)) for axis in axes]
    return f"{shown} is the {applied.function} over the {' and the '.join(places)} axis"
