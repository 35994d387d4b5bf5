"""Layout of a derivation: as text that fits a terminal, as Markdown with LaTeX, and as HTML with MathML."""

import html
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from nnlite.diagnostics.array_text import array_text
from nnlite.diagnostics.formulas.notation import legend
from nnlite.diagnostics.formulas.printing import Line, Text
from nnlite.diagnostics.formulas.typeset import LaTeX, MathML

MOST_NUMBERS = 30  # of an array that is shown in numbers
WIDTH = 80  # columns of a terminal

Sections = Mapping[str, Sequence[Line]]


def as_text(sections: Sections, remarks: Sequence[str], values: bool = False) -> str:
    """Return the sections with their headings, the notes in a column to the right, and then the remarks.

    A formula that is wider than a terminal is broken between its terms; a note that does not fit beside its formula has
    a line of its own.
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
            if values and line.expression is not None:
                block += _numbers_of(line, "     ")
        blocks.append("\n".join(block))
    notes = (*filter(None, [sentence(sections, Text())]), *remarks)
    wrapped = [textwrap.fill(each, WIDTH, break_long_words=False, break_on_hyphens=False) for each in notes]
    return "\n\n".join([*blocks, *(["\n".join(wrapped)] if wrapped else [])])


def _beside(formula: str, note: str, column: int) -> list[str]:
    """Return the formula with its note in the column, or closer to the formula, or on a second line, where it fits."""
    for width in column, len(formula):
        if 4 + max(width, len(formula)) + len(note) <= WIDTH:
            return [f"{formula:<{width}}  {note}"]
    return [formula, f"    {note}"] if note else [formula]


def _text_of(line: Line) -> list[str]:
    text = Text(shapes=True)
    if line.expression is None:
        return _numbers_of(line, line.symbol) or [f"{line.symbol}  {np.shape(line.value)}"]
    indent = " " * len(Text()(line.left))
    sides = [f"{text(line.left)} = {text(line.expression)}"]
    sides += [f"{indent} = {text(each)}" for each in line.then]
    return [row for side in sides for row in _broken(shapes_below(side), f"{indent}   ")]


def shapes_below(marked: str) -> list[str]:
    r"""Return a line of text and, if it has shapes, a line with each of them below its symbol.

    >>> print(*shapes_below("\0(4,3)\1X \0(3,2)\1W1"), sep="\n")
    X     W1
    (4,3) (3,2)
    """
    text, *parts = re.split("\0(.*?)\1", marked)
    under = ""
    for shape, part in zip(parts[::2], parts[1::2], strict=True):
        space = len(under) + 1 - len(text) if under else 0
        if space > 0:  # the shape before it is too wide: move the word to the right
            place = text.rfind(" ") + 1
            text = text[:place] + " " * space + text[place:]
        under = under.ljust(len(text)) + shape
        text += part
    return [text, under] if under else [text]


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


def sentence(sections: Sections, style: Text) -> str:
    """Return the legend of the signs that occur; empty if they need none."""
    expressions = [line.expression for found in sections.values() for line in found if line.expression is not None]
    parts = [f"{style.inline(sign)} {meaning}" if sign else meaning for sign, meaning in legend(expressions)]
    if parts and parts[0].startswith("a "):
        parts[0] = f"A{parts[0][1:]}"
    return f"{', '.join(parts)}." if parts else ""


def as_markdown(sections: Sections, remarks: Sequence[str], values: bool = False) -> str:
    """Return the derivation in Markdown, with the formulas of each section in an ``aligned`` block of LaTeX."""
    latex, blocks = LaTeX(), []
    for title, found in sections.items():
        if found:
            cells = [each for line in found for each in _cells(line, values, latex)]
            rows = [
                f"{left}&" + f"= {right}" * bool(right) + rf" && \text{{{note}}}" * bool(note)
                for left, right, note in cells
            ]
            block = " \\\\\n".join(rows)
            blocks.append(f"**{title}**\n\n$$\n\\begin{{aligned}}\n{block}\n\\end{{aligned}}\n$$")
    notes = [remark.replace("*", r"\*").replace("_", r"\_") for remark in remarks]
    return "\n\n".join([*blocks, *filter(None, [sentence(sections, latex)]), *notes])


def as_html(sections: Sections, remarks: Sequence[str], values: bool = False) -> str:
    """Return the derivation in HTML with MathML, which browsers typeset without a script."""
    math, blocks = MathML(), []
    for title, found in sections.items():
        rows = [
            f"<tr><td style='text-align:right'>{math.whole(left)}</td>"
            f"<td style='text-align:left'>{math.whole('<mo>=</mo>' + right if right else '')}</td>"
            f"<td style='text-align:left'>{note}</td></tr>"
            for line in found
            for left, right, note in _cells(line, values, math)
        ]
        blocks += [f"<p><b>{title}</b></p>", "<table>", *rows, "</table>"] if rows else []
    notes = (*filter(None, [sentence(sections, math)]), *map(html.escape, remarks))
    return "\n".join([*blocks, *(f"<p>{note}</p>" for note in notes)])


def _cells(line: Line, values: bool, style: LaTeX) -> Iterator[tuple[str, str, str]]:
    """Yield the left side, the right side and the note; in further rows what the first right side is equal to."""
    left, *sides = map(style, line.sides)
    right = [*sides, *filter(None, [_matrix(line, values, style)])] or [""]
    yield left + style.space, right[0], style.note(line.note) if line.note else ""
    yield from (("", side, "") for side in right[1:])


def _matrix(line: Line, values: bool, style: LaTeX) -> str:
    """Return the value of a line as a matrix; empty if it is unknown or long."""
    array = np.asarray(line.value if values and line.value is not None and not line.then else [])
    if array.size > MOST_NUMBERS or array.ndim > 2 or not array.size:
        return ""
    return style.matrix(np.atleast_2d(array)) if array.ndim else style.number(round(array.item(), 6))
