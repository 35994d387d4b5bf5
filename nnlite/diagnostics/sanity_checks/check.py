"""Check: the result of one check of nnlite.sanity."""

import textwrap
from dataclasses import dataclass
from typing import Any

WIDTH = 80  # columns of a terminal


@dataclass(frozen=True)
class Check:
    """The result of one check; ``print`` shows it in lines of 80 columns.

    Attributes:
        title: what is checked.
        right: True if it passed, False if it failed, None if it was skipped or the result may be intended.
        found: what was found.
        cure: what to do, if it failed.

    >>> print(Check("data", False, "X[3, 0] is nan", "remove the row"))
    WRONG  data           X[3, 0] is nan
           -> remove the row
    """

    title: str
    right: bool | None
    found: str
    cure: str = ""

    def __str__(self) -> str:
        verdict = {True: "right", False: "WRONG", None: "-"}[self.right]
        lines = _wrapped(f"{verdict:5}  {self.title:13}  ", self.found)
        return "\n".join(lines + _wrapped("       -> ", self.cure) * bool(self.cure))


def _wrapped(start: str, text: str) -> list[str]:
    """Wrap to 80 columns, between words only, so that names and numbers can be searched for and copied."""
    return textwrap.wrap(text, WIDTH, initial_indent=start, subsequent_indent=" " * len(start),
                         break_long_words=False, break_on_hyphens=False)  # fmt: skip


def first_few(names: Any, most: int = 3) -> str:
    """The first names of an iterable, separated by commas, and "..." if there are more.

    >>> first_few([1, 2, 3, 4, 5])
    '1, 2, 3 ...'
    """
    names = list(map(str, names))
    return ", ".join(names[:most]) + " ..." * (len(names) > most)


def standardize(name: str) -> str:
    """The line that scales an array by its training rows.

    >>> standardize("X")
    'X = (X - X.mean(axis=0)) / X.std(axis=0)'
    """
    return f"{name} = ({name} - {name}.mean(axis=0)) / {name}.std(axis=0)"
