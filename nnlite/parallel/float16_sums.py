"""The sum of a large array over the ranks, which sends half as many bytes."""

import math

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.parallel.ranks import Ranks


def add_up_in_float16(ranks: Ranks, array: Array) -> None:
    """Replace a contiguous array by its sum over the ranks, of which each number has travelled as float16.

    Each rank adds up one part of the array, in its own dtype, and sends the sum of this part to all, so that all have
    the same bits. The numbers are multiplied by a power of 2, after which the largest one of all ranks fits: they have
    11 bits, fewer below 2e-9 of the largest, and below 1e-12 of it they become 0. An array with NaN or infinity is
    added up as it is.

    Source of gradients in float16 with a scale: Micikevicius et al., Mixed precision training, 2018.
    """
    largest = float(max(array.max(initial=0), -array.min(initial=0)))
    largest = ranks.largest([largest if math.isfinite(largest) else math.inf])[0]
    if largest == 0 or math.isinf(largest):
        ranks.add_up(array)
        return
    n = ranks.ranks
    scale = 2.0 ** min(15 - math.ceil(math.log2(largest)), 126)  # float16 ends at 65,504, float32 above 2**127
    sent = np.zeros((n, -(-array.size // n)), np.float16)  # a part for each rank
    sent.reshape(-1)[: array.size] = array * array.dtype.type(scale)
    mean = ranks.exchange(sent).mean(axis=0, dtype=array.dtype)  # which fits as well
    gathered = ranks.gather(mean.astype(np.float16))
    np.multiply(gathered.reshape(-1)[: array.size], array.dtype.type(n / scale), out=array)
