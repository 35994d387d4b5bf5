"""Layout of a derivation: as text that fits a terminal, and as Markdown with LaTeX."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nnlite.diagnostics.array_text import array_text
from nnlite.diagnostics.formulas.latex import latex
from nnlite.diagnostics.formulas.operation_formulas import Line
from nnlite.diagnostics.formulas.plain_text import Piece, lines, number_text, pieces

MOST_NUMBERS = 30  # of an array that is shown in numbers
WIDTH = 80  # columns of a terminal

Sections = Mapping[str, Sequence[Line]]


def as_text(sections: Sections, remarks: Sequence[str], values: bool = False) -> str:
    """Return the sections with their headings, the notes in a column to the right, and then the remarks.

    A formula that is wider than a terminal is broken between its terms; a note that does not fit beside its formula has
    a line of its own.

    >>> from nnlite.diagnostics.formulas.terms import Number
    >>> from nnlite.diagnostics.formulas.symbols import symbol
    >>> print(as_text({"Forward": [Line(symbol("L"), Number(1), "loss")]}, ["That is all."]))
    Forward
      L = 1  loss
    <BLANKLINE>
    That is all.
    """
    written = {title: [(_text_of(line), line) for line in found] for title, found in sections.items() if found}
    noted = [(len(rows[0]), len(line.note)) for found in written.values() for rows, line in found if line.note]
    column = max([width for width, note in noted if 4 + width + note <= WIDTH], default=0)
    blocks = []
    for title, found in written.items():
        block = [title]
        for (first, *more), line in found:
            formula, *note = _beside(first, line.note, column)
            block += [f"  {each}".rstrip() for each in (formula, *more, *note)]
            if values and line.reading is not None:
                block += _numbers_of(line, "     ")
        blocks.append("\n".join(block))
    wrapped = [textwrap.fill(each, WIDTH, break_long_words=False, break_on_hyphens=False) for each in remarks]
    return "\n\n".join([*blocks, *(["\n".join(wrapped)] if wrapped else [])])


def _beside(formula: str, note: str, column: int) -> list[str]:
    """Return the formula with its note in the column, or closer to the formula, or on a second line, where it fits."""
    for width in column, len(formula):
        if 4 + max(width, len(formula)) + len(note) <= WIDTH:
            return [f"{formula:<{width}}  {note}"]
    return [formula, f"    {note}"] if note else [formula]


def _text_of(line: Line) -> list[str]:
    start = Piece(line.symbol.plain, None if line.value is None else np.shape(line.value))
    if line.reading is None:
        return _numbers_of(line, line.symbol.plain) or [f"{line.symbol.plain}  {np.shape(line.value)}"]
    indent = " " * len(line.symbol.plain)
    rows = _broken(lines(start, Piece(" = "), *pieces(line.reading)), f"{indent}   ")
    for reading in line.then:
        rows += _broken(lines(Piece(f"{indent} = "), *pieces(reading)), f"{indent}   ")
    return rows


def _broken(rows: list[str], indent: str) -> list[str]:
    """Return the text, and the shapes below it, broken before an operator where they are wider than a terminal."""
    text, shapes = (*rows, "")[:2]
    done: list[str] = []
    while max(len(text), len(shapes)) > WIDTH - 2:
        places = [
            place
            for place in range(len(indent) + 1, WIDTH - 2)
            if text[place : place + 3] in (" + ", " - ", " * ") and _end_of_shape(shapes, place) <= WIDTH - 2
        ]
        if not places:
            break
        place, end = places[-1], _end_of_shape(shapes, places[-1])
        done += [text[:place], shapes[:end]]
        text, shapes = indent + text[place + 1 :], indent + " " * (end - place - 1) + shapes[max(end, place + 1) :]
    return [row for row in (*done, text, shapes) if row.strip()]


def _end_of_shape(shapes: str, place: int) -> int:
    """Return the place itself, or the end of the shape that it is in."""
    return place if shapes[place : place + 1] in ("", " ") else shapes.index(")", place) + 1


def _numbers_of(line: Line, start: str) -> list[str]:
    """Return the value behind an equals sign, if it is known and not long."""
    if line.value is None or line.then:
        return []
    with np.printoptions(linewidth=WIDTH - len(start) - 5):
        shown = array_text(line.value, MOST_NUMBERS)
    if shown is None:
        return []
    first, *more = shown.split("\n")
    return [f"{start} = {first}", *(" " * len(start) + f"   {row}" for row in more)]


def as_markdown(sections: Sections, remarks: Sequence[str], values: bool = False, notation: str = "") -> str:
    r"""Return the derivation in Markdown, with the formulas of each section in an ``aligned`` block of LaTeX.

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
        return number_text(round(array.item(), 6))
    rows = [" & ".join(f"{value:.4g}" for value in row) for row in np.atleast_2d(array)]
    inner = r" \\ ".join(rows)
    return rf"\begin{{pmatrix}} {inner} \end{{pmatrix}}"


def _escaped(text: str) -> str:
    for sign in "_&%#$":
        text = text.replace(sign, "\\" + sign)
    return text.replace("->", r"$\to$")
