"""The update of many parameters in blocks.

Each operation on a large array passes over memory, and makes a new array whose pages the system must map; a block of
each array stays in the cache.
"""

import operator
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.compute.call_log import Node
from nnlite.interop.numpy_program.lines import LARGE, Lines

BLOCK = 1 << 15  # parameters


def in_blocks(lines: Lines, written: list[str], constants: Mapping[str, Array], size: int) -> list[str]:
    """The lines of an update, in a loop over blocks if there are many parameters and each is moved by itself.

    Args:
        lines: the names of the values.
        written: the lines.
        constants: arrays that the lines name.
        size: the number of parameters.
    """
    if size <= LARGE or not all(_is_elementwise(node, size) for node in lines.order):
        return written
    arrays = {name for node, name in lines.names.items() if np.shape(node.value) == (size,)}
    arrays |= {name for name, array in constants.items() if array.shape == (size,)}
    kept = [name for name in arrays if not re.fullmatch(r"t\d+", name)]
    whole = re.compile(rf"\b({'|'.join(kept)})\b(\[\.\.\.\])?")
    of_array = [bool(re.search(rf"\b({'|'.join(arrays)})\b", line)) for line in written]
    first, end = of_array.index(True), len(written) - of_array[::-1].index(True)
    numbers = [line for line, each in zip(written[first:end], of_array[first:end], strict=True) if not each]
    if any(not line.startswith("t") for line in numbers):  # states, which other lines may read before or after
        return written
    return [
        *written[:first],
        *numbers,
        f"for start in range(0, {size}, {BLOCK}):",
        f"    part = slice(start, start + {BLOCK})",
        *("    " + whole.sub(r"\1[part]", line) for line in written[first:end] if line not in numbers),
        *written[end:],
    ]


def _is_elementwise(node: Node, size: int) -> bool:
    """Whether each number of the result is made of single numbers, and of those at its place in arrays of this size."""
    function: Any = node.function
    known = isinstance(function, np.ufunc) or getattr(operator, getattr(function, "__name__", ""), None) is function
    shapes = {np.shape(each) for each in (node.value, *(operand.value for operand in node.nodes()))}
    if np.shape(node.value) == ():
        return shapes == {()}
    return known and function is not operator.setitem and shapes <= {(), (size,)}
