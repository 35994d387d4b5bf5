"""The size of NumPy's buffers is changed while a kernel with rows is computed, and never after it."""

import numpy as np
import pytest

import nnlite as nn
from nnlite.compute.blocks import BLOCK
from nnlite.compute.unbuffered import unbuffered

ROW = 1024


def test_the_size_is_put_back_also_after_an_error():
    before = np.getbufsize()
    with unbuffered(ROW):
        assert np.getbufsize() < before
    with pytest.raises(ZeroDivisionError), unbuffered(ROW):
        _ = 1 / 0
    with unbuffered(3):
        assert np.getbufsize() == before
    assert np.getbufsize() == before


@pytest.mark.parametrize("threads", [1, 2])
def test_in_each_thread_of_a_kernel(threads, monkeypatch):
    sizes = set()
    monkeypatch.setattr("nnlite.compute.blocks._threads", lambda: threads)
    monkeypatch.setattr("nnlite.compute.kernel.column_sum", lambda X: sizes.add(np.getbufsize()) or X.sum(axis=0))
    X = np.ones((8 * BLOCK // ROW, ROW), np.float32)
    before = np.getbufsize()
    sums = nn.kernel(lambda X: np.sum(X * X, axis=0))(X)
    np.testing.assert_array_equal(sums, len(X))
    assert max(sizes) < before == np.getbufsize()
