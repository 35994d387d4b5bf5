"""Text in columns, no wider than a terminal of 80 columns where possible."""

import html
from collections.abc import Sequence

WIDTH = 80
NARROWEST = 8  # columns of text are not shortened below this


def text_table(rows: Sequence[Sequence[str]], left: int, foot: int = 0) -> str:
    """Format rows of text in columns, with a rule below the header.

    If a line would exceed 80 columns, the longest texts in the widest of the left columns are cut, and end in "…".

    Args:
        rows: the header, then the other rows.
        left: the first ``left`` columns are aligned to the left, the others, which hold numbers, to the right.
        foot: the number of rows at the end that are separated by a second rule, such as totals.

    >>> print(text_table([("layer", "bytes"), ("Tanh()", "0"), ("total", "12")], left=1, foot=1))
    layer   bytes
    -------------
    Tanh()      0
    -------------
    total      12
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    widest = max(range(left), key=widths.__getitem__)
    excess = sum(widths) + 2 * (len(widths) - 1) - WIDTH
    if excess > 0:
        widths[widest] = max(widths[widest] - excess, min(widths[widest], NARROWEST))
    lines = [
        "  ".join(
            shortened(cell, width).ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    rule = "-" * max(map(len, lines))
    last = len(lines) - foot
    return "\n".join([lines[0], rule, *lines[1:last], *([rule] if foot else []), *lines[last:]])


def html_table(rows: Sequence[Sequence[str]], left: int, foot: int = 0) -> str:
    """The table of :func:`text_table` in HTML, for notebooks; nothing is cut.

    >>> html_table([("layer", "bytes"), ("Linear(3 -> 2)", "32")], left=1)
    "<table><tr><th style='text-align:left'>layer</th><th style='text-align:right'>bytes</th></tr><tr><td
    style='text-align:left'>Linear(3 -&gt; 2)</td><td style='text-align:right'>32</td></tr></table>"
    """
    lines = []
    for number, row in enumerate(rows):
        tag = "th" if number == 0 or number >= len(rows) - foot else "td"
        cells = [
            f"<{tag} style='text-align:{'left' if column < left else 'right'}'>{html.escape(cell)}</{tag}>"
            for column, cell in enumerate(row)
        ]
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return f"<table>{''.join(lines)}</table>"


def shortened(text: str, most: int) -> str:
    """``text`` cut to ``most`` characters, the last of which is then "…".

    >>> shortened("Linear(3 -> 2)", 8), shortened("Tanh()", 8)
    ('Linear(…', 'Tanh()')
    """
    return text if len(text) <= most else text[: most - 1] + "…"
