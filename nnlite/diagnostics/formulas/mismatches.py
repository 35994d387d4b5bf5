"""Whether a layer's formulas come to what the layer itself gave, where it ran."""

from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from nnlite.diagnostics.formulas.options import evaluated
from nnlite.diagnostics.formulas.parse import Formula
from nnlite.diagnostics.samples import largest


class Mismatch(NamedTuple):
    """A formula, and the entry at which it is farthest from what the layer gave.

    >>> Mismatch(None, 1.0, 2.0).found
    1.0
    """

    line: Formula
    found: float
    expected: float


def mismatches(
    lines: Iterable[Formula], names: Mapping[str, Any], given: Mapping[str, Any], taken: Iterable[Any], owner: str
) -> Iterator[Mismatch]:
    """The formulas that come to something else than what was given under their names.

    Args:
        lines: a layer's formulas.
        names: what the names in them stand for.
        given: what the layer's forward and backward gave, by name.
        taken: the arrays that they took.
        owner: what to call the layer in an error.

    Raises:
        ValueError: a formula cannot be evaluated, or comes to another shape.

    >>> from nnlite.diagnostics.formulas.parse import parse
    >>> list(mismatches(parse("Y = 2 * X", "Twice"), {"X": 3.0}, {"Y": 6.0}, [3.0], "Twice"))
    []
    """
    lines, taken = list(lines), list(taken)
    last = {line.name: line for line in lines}
    known: ChainMap[str, Any] = ChainMap({}, names)  # type: ignore[arg-type]
    for line in lines:
        value = computed(line, known, owner)
        if value is None:
            continue
        if last[line.name] is not line or line.name not in given:
            known[line.name] = value
            continue
        known[line.name] = expected = given[line.name]
        if np.shape(value) != np.shape(expected):
            raise ValueError(
                f"{owner}: {line.written}: expected an array of shape {np.shape(expected)}, "
                f"as the layer itself gives it, got {np.shape(value)}"
            )
        yield from (Mismatch(line, *entry) for entry in farthest(value, expected, taken))


def computed(line: Formula, names: Mapping[str, Any], owner: str) -> Any:
    """What a formula comes to; None where a name in it stands for nothing, as N in a loss that does not count.

    Raises:
        ValueError: it cannot be evaluated.

    >>> from nnlite.diagnostics.formulas.parse import parse
    >>> computed(parse("Y = X @ X", "Own")[0], {"X": np.ones(2)}, "Own")
    np.float64(2.0)
    """
    try:
        return evaluated(line.expression, names)
    except NameError:
        return None
    except Exception as error:
        raise ValueError(f"{owner}: {line.written}: {type(error).__name__}: {error}") from error


def farthest(found: Any, expected: Any, given: Iterable[Any]) -> Iterator[tuple[float, float]]:
    """The entries that are farthest from each other, unless they all agree but for rounding.

    Args:
        found: an array.
        expected: another one.
        given: what they are computed from, whose sizes and precision say what rounding is.

    >>> list(farthest(np.ones(2), np.array([1.0, 3.0]), [])), list(farthest(1.0, 1.0 + 1e-12, []))
    ([(1.0, 3.0)], [])
    """
    floating = [array for array in map(np.asarray, (found, expected, *given)) if array.dtype.kind == "f"]
    eps = max([float(np.finfo(array.dtype).eps) for array in floating], default=0.0)
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    size = max(largest(found), largest(expected))
    from_terms = max([largest(array) for array in floating], default=0.0)  # which may all but cancel
    within = np.sqrt(eps) * size + 1000 * eps * from_terms
    apart = ~np.isclose(found, expected, rtol=0, atol=within, equal_nan=True)
    if apart.any():
        with np.errstate(invalid="ignore"):
            distance = np.where(apart, np.nan_to_num(np.abs(found - expected), nan=np.inf), -1)
        at = np.unravel_index(distance.argmax(), distance.shape)
        yield float(found[at]), float(expected[at])
