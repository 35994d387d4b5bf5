"""The softmax along an axis that is not the last is that along the last one of the array with its axes moved."""

import numpy as np
import pytest

import nnlite as nn
from nnlite.compute.softmax import arranged

SHAPES = [(2, 3, 16), (2, 3, 15), (1, 1, 20), (3, 5, 4, 6), (2, 130, 17), (5, 40, 2000), (0, 3, 20), (2, 0, 20)]


@pytest.mark.parametrize("make", [nn.Softmax, nn.LogSoftmax, nn.Softmin])
@pytest.mark.parametrize("shape", SHAPES)
def test_along_the_second_axis(shape, make):
    rng = np.random.default_rng(0)
    X, dY = rng.normal(scale=3, size=(2, *shape)).astype(np.float32)
    if X.size:
        X[0, 0, :8], X[0, -1, 4:10], X[-1, -1, 2] = 300, -np.inf, np.nan
    layer, last = make(1), make(-1)
    for axes in (lambda A: A), np.asfortranarray:
        Y, dX = layer.forward(axes(X)), layer.backward(axes(dY))
        expected = last.forward(np.moveaxis(X, 1, -1)), last.backward(np.moveaxis(dY, 1, -1))
        for own, other in zip((Y, dX), expected, strict=True):
            assert own.dtype == np.float32
            assert own.shape == shape
            np.testing.assert_allclose(own, np.moveaxis(other, -1, 1), rtol=1.3e-6, atol=1e-5)


def test_in_several_threads(monkeypatch):
    monkeypatch.setattr("nnlite.compute.blocks._threads", lambda: 2)
    monkeypatch.setattr("nnlite.compute.blocks.LARGE", 2**12)
    X = np.random.default_rng(0).normal(size=(512, 4, 50))
    layer = nn.Softmax(1)
    Y = layer.forward(X)
    np.testing.assert_allclose(Y, np.exp(X) / np.exp(X).sum(axis=1, keepdims=True), rtol=1e-12)
    dY = np.random.default_rng(1).normal(size=X.shape)
    np.testing.assert_allclose(
        layer.backward(dY), Y * (dY - (dY * Y).sum(axis=1, keepdims=True)), rtol=1e-9, atol=1e-12
    )


def test_sums_over_a_million_rows():
    X = np.zeros((1_000_000, 16), np.float32)
    assert arranged(X, 0).shape == (1, 1_000_000, 16)
    np.testing.assert_allclose(nn.Softmax(0).forward(X), 1e-6, rtol=1e-5)
