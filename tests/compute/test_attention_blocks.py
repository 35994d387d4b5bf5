"""Attention in blocks of any size is attention in one block, and no larger array is made."""

import tracemalloc

import numpy as np
import pytest
from support.contract import backward, forward, gradients, some_dY
from support.contract_attention import ROWS

import nnlite as nn
from nnlite.basics.trees import listed
from nnlite.compute import attention_blocks
from nnlite.compute.attention_blocks import blocks


def run(row):
    layer = row.make()
    Y = forward(layer, row.X)
    dX = backward(layer, some_dY(Y))
    return [*listed(Y), *gradients(dX), layer.dPhi]


@pytest.mark.parametrize(("size", "rows", "moderate"), [(1, 1, 30.0), (1, 2, 0.0), (30, 2, 30.0), (70, 1, 0.0)])
def test_every_size_of_blocks_gives_the_same_with_and_without_maxima(monkeypatch, size, rows, moderate):
    for row in ROWS:
        whole = run(row)
        with monkeypatch.context() as patch:
            patch.setattr(attention_blocks, "BLOCK", size)
            patch.setattr(attention_blocks, "ROWS", rows)
            patch.setattr(attention_blocks, "MODERATE", moderate)
            for got, expected in zip(run(row), whole, strict=True):
                np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-13, err_msg=row.id)


def test_blocks_cover_each_score_once_but_what_is_later():
    for shape in (3, 2, 100, 700), (2, 700, 100), (1, 1, 1), (5, 2, 3, 70, 70), (200, 4, 8, 8):
        for causal in False, True:
            count = np.zeros(shape, int)
            for block in blocks(shape, causal):
                block.of_scores(count)[...] += 1
            unseen = np.arange(shape[-1]) > np.arange(shape[-2])[:, None]
            assert (count[..., ~unseen] == 1).all()
            assert count.max() == 1
            assert causal or count.all()


@pytest.mark.parametrize("shape", [(0, 2, 3, 4), (2, 0, 4), (2, 3, 0)])
def test_without_samples_queries_or_keys(shape):
    *stack, T, S = shape
    layer, stack = nn.ScaledDotProductAttention(causal=True, need_weights=True), tuple(stack)
    Q, K, V = np.ones((*stack, T, 2)), np.ones((*stack, S, 2)), np.ones((*stack, S, 3))
    Y, weights = layer.forward(Q, K, V)
    assert (Y.shape, weights.shape) == ((*stack, T, 3), shape)
    assert not Y.any()
    dQ, dK, dV = layer.backward(Y, weights)
    assert (dQ.shape, dK.shape, dV.shape) == (Q.shape, K.shape, V.shape)
    assert not any(dX.any() for dX in (dQ, dK, dV))


def test_memory_is_linear_in_the_number_of_steps():
    peaks = []
    for T in 1024, 2048:
        layer = nn.MultiheadAttention(8, 2, causal=True, rng=0)
        X = np.ones((1, T, 8), np.float32)
        tracemalloc.start()
        layer.backward(layer.forward(X))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2.1 * peaks[0] < 2 * 2048 * 2048 * 4
