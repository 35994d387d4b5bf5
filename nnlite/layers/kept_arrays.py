"""Arrays that a layer keeps from one call to the next.

The cache of a recurrent layer is large. The C allocator returns large arrays to the operating system when they are
freed, and the next call pays for each new page. With arrays that are kept, forward and backward of an LSTM take up to
5 % less time.
"""

from typing import Any, Self
from weakref import ref

import numpy as np
from numpy.typing import DTypeLike

from nnlite.basics.arrays import Array


class KeptArrays(dict[str, Array]):
    """Arrays by name, of one layer alone.

    A twin of the layer, as ``predict`` makes in each thread, shares its attributes. Arrays that belong to another layer
    must not be written into, so the twin makes its own.
    """

    __slots__ = ("layer",)

    def __init__(self, layer: Any) -> None:
        self.layer = ref(layer)

    @classmethod
    def of(cls, layer: Any) -> Self:
        """Those of the layer's last call, or new ones."""
        kept = vars(layer).get("kept")
        return kept if isinstance(kept, cls) and kept.layer() is layer else cls(layer)

    def room(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
        """An uninitialized array: the one of this name, if it is large enough along the first axis, else a new one."""
        array = self.get(name)
        if array is None or array.shape[1:] != shape[1:] or len(array) < shape[0] or array.dtype != dtype:
            array = self[name] = np.empty(shape, dtype)
        return array[: shape[0]]
