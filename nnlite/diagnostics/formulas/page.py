"""A derivation on a page: as text, and as Markdown with LaTeX."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nnlite.diagnostics.array_text import array_text
from nnlite.diagnostics.formulas.latex import latex
from nnlite.diagnostics.formulas.operation_formulas import Line
from nnlite.diagnostics.formulas.plain_text import Piece, lines, number, pieces

MOST_NUMBERS = 30  # of an array that is shown in numbers
WIDEST = 72  # of a formula beside which its note stands

Sections = Mapping[str, Sequence[Line]]


def as_text(sections: Sections, remarks: Sequence[str], values: bool = False) -> str:
    """The sections under their headings, with the notes in a column to the right; then the remarks.

    >>> from nnlite.diagnostics.formulas.terms import Number
    >>> from nnlite.diagnostics.formulas.symbols import symbol
    >>> print(as_text({"Forward": [Line(symbol("L"), Number(1), "loss")]}, ["That is all."]))
    Forward
      L = 1  loss
    <BLANKLINE>
    That is all.
    """
    written = {title: [(_text_of(line), line) for line in found] for title, found in sections.items() if found}
    widths = [len(rows[0]) for found in written.values() for rows, _ in found]
    width = max([width for width in widths if width <= WIDEST], default=0)
    blocks = []
    for title, found in written.items():
        block = [title]
        for (first, *more), line in found:
            block.append(f"  {first:<{width}}  {line.note}".rstrip())
            block += [f"  {each}".rstrip() for each in more]
            if values and line.reading is not None:
                block += _numbers_of(line, "     ")
        blocks.append("\n".join(block))
    return "\n\n".join([*blocks, *(["\n".join(remarks)] if remarks else [])])


def _text_of(line: Line) -> list[str]:
    start = Piece(line.symbol.plain, None if line.value is None else np.shape(line.value))
    if line.reading is None:
        return _numbers_of(line, line.symbol.plain) or [f"{line.symbol.plain}  {np.shape(line.value)}"]
    rows = lines(start, Piece(" = "), *pieces(line.reading))
    for reading in line.then:
        rows += lines(Piece(" " * len(line.symbol.plain) + " = "), *pieces(reading))
    return rows


def _numbers_of(line: Line, start: str) -> list[str]:
    """The value behind a sign of equality, if it is known and not long."""
    shown = None if line.value is None or line.then else array_text(line.value, MOST_NUMBERS)
    if shown is None:
        return []
    first, *more = shown.split("\n")
    return [f"{start} = {first}", *(" " * len(start) + f"   {row}" for row in more)]


def as_markdown(sections: Sections, remarks: Sequence[str], values: bool = False, notation: str = "") -> str:
    r"""The same in Markdown: the formulas of each section in an ``aligned`` block of LaTeX.

    >>> from nnlite.diagnostics.formulas.terms import Number
    >>> from nnlite.diagnostics.formulas.symbols import symbol
    >>> as_markdown({"Forward": [Line(symbol("L"), Number(1), "loss")]}, []).splitlines()[4]
    'L &= 1 && \\text{loss}'
    """
    blocks = []
    for title, found in sections.items():
        if found:
            rows = [row for line in found for row in _latex_of(line, values)]
            block = " \\\\\n".join(rows)
            blocks.append(f"**{title}**\n\n$$\n\\begin{{aligned}}\n{block}\n\\end{{aligned}}\n$$")
    blocks += [notation] * bool(notation)  # which is in LaTeX already
    blocks += [remark.replace("*", r"\*").replace("_", r"\_") for remark in remarks]
    return "\n\n".join(blocks)


def _latex_of(line: Line, values: bool) -> list[str]:
    name = line.symbol.latex
    shape = () if line.value is None else np.shape(line.value)
    if shape:
        under = r" \times ".join(map(str, shape))
        name = rf"\underset{{{under}}}{{{name}}}"
    note = rf" && \text{{{_escaped(line.note)}}}" if line.note else ""
    matrix = _matrix(line.value) if values and line.value is not None and not line.then else None
    if line.reading is None:
        return [f"{name} &{'=' + matrix if matrix else ''}{note}"]
    rows = [f"{name} &= {latex(line.reading)}{note}"]
    rows += [f"&= {latex(reading)}" for reading in line.then]
    return rows + ([f"&= {matrix}"] if matrix else [])


def _matrix(values: Any) -> str | None:
    array = np.asarray(values)
    if array.size > MOST_NUMBERS or array.ndim > 2 or not array.size:
        return None
    if array.ndim == 0:
        return number(round(array.item(), 6))
    rows = [" & ".join(f"{value:.4g}" for value in row) for row in np.atleast_2d(array)]
    inner = r" \\ ".join(rows)
    return rf"\begin{{pmatrix}} {inner} \end{{pmatrix}}"


def _escaped(text: str) -> str:
    for sign in "_&%#$":
        text = text.replace(sign, "\\" + sign)
    return text.replace("->", r"$\to$")
