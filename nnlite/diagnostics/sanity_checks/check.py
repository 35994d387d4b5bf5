"""Check: the result of one check of nnlite.sanity."""

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

WIDTH = 80  # columns of a terminal


@dataclass(frozen=True)
class Check:
    """The result of one check; ``print`` shows it in lines of 80 columns.

    Attributes:
        right: True if it passed, False if it failed, None if it was skipped or the result may be intended.
        found: what was found.
        cure: what to do, if it failed.
        title: what is checked.

    >>> print(Check(False, "X[3, 0] is nan", "remove the row", title="data"))
    WRONG  data           X[3, 0] is nan
           -> remove the row
    """

    right: bool | None
    found: str
    cure: str = ""
    title: str = ""

    def __str__(self) -> str:
        verdict = {True: "right", False: "WRONG", None: "-"}[self.right]
        lines = _wrapped(f"{verdict:5}  {self.title:13}  ", self.found)
        return "\n".join(lines + _wrapped("       -> ", self.cure) * bool(self.cure))


def _wrapped(start: str, text: str) -> list[str]:
    """Wrap to 80 columns, between words only, so that names and numbers can be searched for and copied."""
    return textwrap.wrap(text, WIDTH, initial_indent=start, subsequent_indent=" " * len(start),
                         break_long_words=False, break_on_hyphens=False)  # fmt: skip


def first_few(names: Iterable[Any], most: int = 3) -> str:
    """The first names, separated by commas, and "..." if there are more.

    >>> first_few([1, 2, 3, 4, 5])
    '1, 2, 3 ...'
    """
    names = list(map(str, names))
    return ", ".join(names[:most]) + " ..." * (len(names) > most)


def counted(count: int, noun: str) -> str:
    """A number with its noun.

    >>> counted(1, "row"), counted(2000, "row")
    ('1 row', '2,000 rows')
    """
    return f"{count:,} {noun}{'s' * (count != 1)}"


def standardize(name: str, ndim: int = 2) -> str:
    """The line that scales an array by its training rows: its columns, or the channels of images and volumes.

    >>> standardize("X")
    'standardize: X = (X - X.mean(axis=0)) / X.std(axis=0) (training rows)'
    >>> standardize("X", ndim=4)
    'standardize each channel: axes = (0, 2, 3); X = (X - X.mean(axes, keepdims=True)) / X.std(axes, keepdims=True)
    (training rows)'
    """
    if ndim < 4:
        return f"standardize: {name} = ({name} - {name}.mean(axis=0)) / {name}.std(axis=0) (training rows)"
    mean, deviation = (f"{name}.{method}(axes, keepdims=True)" for method in ("mean", "std"))
    axes = (0, *range(2, ndim))
    return f"standardize each channel: axes = {axes}; {name} = ({name} - {mean}) / {deviation} (training rows)"
