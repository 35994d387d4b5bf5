"""Formulas whose values differ from what the layer itself computed."""

from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from nnlite.diagnostics.formulas.options import evaluated
from nnlite.diagnostics.formulas.parse import Formula
from nnlite.diagnostics.samples import largest


class Mismatch(NamedTuple):
    """A formula with a wrong value, and the entry at which it is farthest off.

    Attributes:
        line: the formula.
        found: its value there.
        expected: the value that the layer computed.

    >>> Mismatch(None, 1.0, 2.0).found
    1.0
    """

    line: Formula
    found: float
    expected: float


def mismatches(
    lines: Iterable[Formula], names: Mapping[str, Any], given: Mapping[str, Any], taken: Iterable[Any], owner: str
) -> Iterator[Mismatch]:
    """Yield the formulas whose values differ from those of the layer.

    Args:
        lines: a layer's formulas.
        names: the values of the names in them.
        given: what the layer's forward and backward returned, by name.
        taken: the arrays that they received.
        owner: the layer's name in an error.

    Raises:
        ValueError: a formula cannot be evaluated, or has a value of another shape.

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
                f"that of the layer's own result, got {np.shape(value)}"
            )
        yield from (Mismatch(line, *entry) for entry in farthest(value, expected, taken))


def computed(line: Formula, names: Mapping[str, Any], owner: str) -> Any:
    """Return the value of a formula; None if a name in it has no value, such as N in a loss that has no count.

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
    """Yield the two values at the entry where they differ most, unless they agree up to rounding.

    Args:
        found: an array.
        expected: another one.
        given: what they are computed from; sizes and dtypes of these determine the rounding error.

    >>> list(farthest(np.ones(2), np.array([1.0, 3.0]), [])), list(farthest(1.0, 1.0 + 1e-12, []))
    ([(1.0, 3.0)], [])
    """
    floating = [array for array in map(np.asarray, (found, expected, *given)) if array.dtype.kind == "f"]
    eps = max([float(np.finfo(array.dtype).eps) for array in floating], default=0.0)
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    size = max(largest(found), largest(expected))
    from_terms = max([largest(array) for array in floating], default=0.0)  # terms may cancel
    within = np.sqrt(eps) * size + 1000 * eps * from_terms
    apart = ~np.isclose(found, expected, rtol=0, atol=within, equal_nan=True)
    if apart.any():
        with np.errstate(invalid="ignore"):
            distance = np.where(apart, np.nan_to_num(np.abs(found - expected), nan=np.inf), -1)
        at = np.unravel_index(distance.argmax(), distance.shape)
        yield float(found[at]), float(expected[at])
