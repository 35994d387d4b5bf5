"""What profile calls the cache of recurrent layers is the memory that a forward leaves behind."""

import gc
import tracemalloc

import numpy as np
import pytest

import nnlite as nn

rng = np.random.default_rng(0)
X, LENGTHS = rng.normal(size=(64, 20, 24)).astype(np.float32), rng.integers(1, 21, 64)
OPTIONS = [{}, {"num_layers": 2, "dropout": 0.3}, {"bidirectional": True}, {"last": True, "reverse": True}]


def left_behind(layer, *Xs):
    """The bytes that a forward has made and not freed, without Y."""
    layer.forward(*Xs)
    layer.clear_cache()
    gc.collect()
    tracemalloc.start()
    try:
        layer.forward(*Xs)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("make", [nn.RNN, nn.LSTM, nn.GRU], ids=lambda make: make.__name__)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_of_layers(make, options):
    """The objects around the arrays take about 100 bytes each."""
    layer = make(24, 32, rng=0, **options)
    for Xs in (X,), (X, LENGTHS):
        total = nn.profile(layer, Xs if len(Xs) > 1 else X, repeats=1).total.cache_bytes
        assert total == pytest.approx(left_behind(layer, *Xs), rel=0.01)


@pytest.mark.parametrize("make", [nn.RNNCell, nn.LSTMCell, nn.GRUCell], ids=lambda make: make.__name__)
def test_of_cells(make):
    """Their cache has X as well, which the caller has made."""
    x = X.reshape(-1, 24)
    cell = make(24, 32, rng=0)
    assert nn.profile(cell, x, repeats=1).total.cache_bytes - x.nbytes == pytest.approx(left_behind(cell, x), rel=0.01)


@pytest.mark.parametrize("make", [nn.RNN, nn.LSTM, nn.GRU], ids=lambda make: make.__name__)
def test_profile_counts_the_operations_of_layers_but_not_of_a_subclass_with_a_forward_of_its_own(make):
    class Loud(make):
        def forward(self, X, *more):
            return super().forward(2 * X, *more)

    parts = {nn.RNN: 1, nn.LSTM: 4, nn.GRU: 4}[make]  # the new content of a GRU has one from X and one from h
    operations = nn.profile(make(24, 32, rng=0), X, repeats=1).rows[0].forward.operations
    products = 2 * 64 * 20 * (24 + 32 + 1) * parts * 32
    assert products < operations < 1.2 * products
    assert nn.profile(Loud(24, 32, rng=0), X, repeats=1).rows[0].forward.operations is None
