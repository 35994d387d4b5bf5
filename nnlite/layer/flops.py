"""Floating-point operations (FLOPs) of a forward or a backward, and the matrices that it multiplies."""

import math
from dataclasses import dataclass
from typing import Any

from nnlite.basics.arrays import Array


@dataclass(frozen=True, eq=False)
class Flops:
    """The floating-point operations of one forward or one backward.

    They are counted from the formula in the layer's docstring, in its numerically stable form, given what forward
    caches. Each ``+ - * /``, comparison or function of a number (such as ``exp``) is one operation; a sum or maximum
    costs one for each number that goes in; a product of an (N, D) and a (D, M) matrix costs ``2 N D M``. Scalars
    computed once per batch, copies, checks and the preparation of the target are not counted.

    Attributes:
        elementwise: operations on single numbers.
        products: the pairs of matrices that are multiplied. Only shape, dtype and memory layout matter, so Y can stand
            for dY. If there are any, these products alone are the roof that a profile measures against.
        reads: the arrays that are read besides the inputs; None for all parameters and the whole cache.

    >>> import numpy as np
    >>> Flops(elementwise=15, products=((np.ones((5, 2)), np.ones((2, 3))),)).total
    75
    """

    elementwise: int = 0
    products: tuple[tuple[Array, Array], ...] = ()
    reads: tuple[Array, ...] | None = None

    @property
    def total(self) -> int:
        """Elementwise operations plus those of the matrix products."""
        return self.elementwise + sum(2 * A.size * int(B.shape[1]) for A, B in self.products)


def rows_along(X: Any, axis: int) -> int:
    """The number of rows of X along an axis.

    >>> import numpy as np
    >>> rows_along(np.ones((2, 3, 4)), 1)
    8
    """
    sizes = list(X.shape)
    del sizes[axis]
    return math.prod(sizes)
