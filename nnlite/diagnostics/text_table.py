"""Text in columns."""

from collections.abc import Sequence


def text_table(rows: Sequence[Sequence[str]], left: int, foot: int = 0) -> str:
    """Format rows of text in columns, with a rule below the header.

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
    lines = [
        "  ".join(
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    rule = "-" * max(map(len, lines))
    last = len(lines) - foot
    return "\n".join([lines[0], rule, *lines[1:last], *([rule] if foot else []), *lines[last:]])
