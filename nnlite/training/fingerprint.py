"""The fingerprint of rows: what tells, when a training is resumed, that X or Y hold other values."""

import math
import zlib
from typing import Any

import numpy as np

from nnlite.training.rows import Rows
from nnlite.training.sources import SourceRows
from nnlite.training.streams import Stream

NUMBERS = 1 << 14  # up to so many, all rows are looked at; of more, about so many
ROWS = 64  # in at most so many rows: in a large file, each is read from another place


def fingerprint(rows: Rows | Stream | None) -> dict[str, str]:
    """The shape and a CRC of some rows of X, Y and the weights, by their names; all rows if they are small.

    Values are compared as float64: integers, booleans and floats of the same values have the same fingerprint. Streams
    and objects that are no arrays (without ``shape`` and ``dtype``) have none: to read a sample may be expensive, and
    may draw random numbers.

    >>> found = fingerprint(Rows([[0, 1], [2, 3]], [4, 5]))
    >>> found
    {'X': 'shape (2, 2), CRC ...', 'Y': 'shape (2,), CRC ...'}
    >>> found == fingerprint(Rows([[0.0, 1.0], [2.0, 3.0]], [4.0, 5.0]))
    True
    """
    if not isinstance(rows, Rows):
        return {}
    found = dict(
        pair for values, name in zip((rows.X, rows.Y), rows.names, strict=True) for pair in _each(values, name)
    )
    if rows.weight is not None:
        found["sample_weight"] = _text(rows.weight, rows.weight.shape)
    return found


def _each(values: Any, name: str) -> list[tuple[str, str]]:
    """(name, fingerprint) of an array, or of each array of a tuple or dict."""
    if isinstance(values, tuple | dict):
        parts = values.items() if isinstance(values, dict) else enumerate(values)
        return [pair for key, part in parts for pair in _each(part, f"{name}[{key!r}]")]
    if isinstance(values, SourceRows):
        is_array = hasattr(values.source, "shape") and hasattr(values.source, "dtype")
        return [(name, _text(values, tuple(values.source.shape)))] if is_array else []
    return [] if values is None else [(name, _text(values, values.shape))]


def _text(rows: Any, shape: tuple[int, ...]) -> str:
    length, size = shape[0], math.prod(shape[1:])
    if length * size <= NUMBERS:
        sample, of = rows[:], ""
    else:
        count = min(length, max(2, min(ROWS, NUMBERS // size)))
        numbers = np.linspace(0, length - 1, count).astype(np.int64)
        sample, of = rows[numbers], f" of {count} rows"
    values = np.ascontiguousarray(sample, "<f8") + 0.0  # -0.0 becomes 0.0
    return f"shape {shape}, CRC {zlib.crc32(values.data):08x}{of}"
