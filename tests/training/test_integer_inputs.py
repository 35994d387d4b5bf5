"""fit, evaluate and predict with inputs that have no gradient: indices of words reach the layer as integers."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import nnlite as nn

RNG = np.random.default_rng(0)
WORDS = RNG.integers(0, 7, (20, 3))
MASK = RNG.integers(0, 2, (20, 3)) == 1
LABELS = (WORDS[:, 0] > 3).astype(np.int64)


class Embedding(nn.Layer, parameters=("W",)):
    """``Y = W[indices]``: a row of W for each index."""

    without_gradient = ("indices",)

    def __init__(self, count, features, rng=None):
        self.W = np.random.default_rng(rng).normal(size=(count, features))
        self.dtypes = []

    def forward(self, indices):
        self.dtypes.append(indices.dtype)
        self.indices = indices
        return self.record_Y(self.W[indices])

    def backward(self, dY):
        dW = np.zeros_like(self.W)
        np.add.at(dW, self.indices, self.check_dY(dY))
        self.dW = dW


class MaskedMean(nn.Layer):
    """The mean of the words that count."""

    without_gradient = ("mask",)

    def forward(self, X, mask):
        assert mask.dtype == bool
        self.weight = mask[..., None] / np.maximum(mask.sum(axis=1), 1)[:, None, None]
        return self.record_Y((self.check_X(X) * self.weight).sum(axis=1))

    def backward(self, dY):
        return self.check_dY(dY)[:, None, :] * self.weight


def sequential():
    return nn.Sequential(Embedding(7, 4, rng=0), nn.Flatten(), nn.Linear(12, 2, rng=0))


def graph():
    words, mask = nn.Input("words"), nn.Input("mask")
    return nn.Graph([words, mask], nn.Linear(4, 2, rng=0)(MaskedMean()(Embedding(7, 4, rng=0)(words), mask)))


def fitted(model, X, **options):
    options = {"loss": nn.CrossEntropyLoss(), "epochs": 60, "batch_size": 8, "verbose": 0, "rng": 0} | options
    return nn.fit(model, X, LABELS, optimizer=nn.SGD(model, lr=0.5), **options)


@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.uint16])
@pytest.mark.parametrize("container", [np.asarray, np.ndarray.tolist], ids=["array", "list"])
def test_indices_stay_integers_in_training_validation_evaluation_and_prediction(dtype, container):
    model, X = sequential(), container(WORDS.astype(dtype))
    history = fitted(model, X, validation_split=0.25, metrics=[nn.accuracy])
    assert history["loss"][-1] < 0.1
    assert nn.evaluate(model, X, LABELS, loss=nn.CrossEntropyLoss())["loss"] < 1.0
    assert nn.predict(model, X, batch_size=7).shape == (20, 2)
    assert {np.dtype(each).kind for each in model[0].dtypes} <= {"i", "u"}


@pytest.mark.parametrize("form", [tuple, lambda pair: dict(zip(("words", "mask"), pair, strict=True))])
def test_indices_and_masks_beside_each_other(form):
    model, X = graph(), form((WORDS, MASK))
    losses = fitted(model, X, accumulate_steps=2)["loss"]
    assert losses[-1] < 0.9 * losses[0]
    assert nn.predict(model, X).shape == (20, 2)


def test_a_stream_of_indices():
    model, same = sequential(), sequential()
    batches = [(WORDS[start : start + 8], LABELS[start : start + 8]) for start in range(0, 20, 8)]
    options = {"loss": nn.CrossEntropyLoss(), "epochs": 3, "verbose": 0}
    nn.fit(model, batches, optimizer=nn.SGD(model, lr=0.5), **options)
    nn.fit(same, WORDS, LABELS, optimizer=nn.SGD(same, lr=0.5), batch_size=8, shuffle=False, **options)
    assert_array_equal(model.Phi, same.Phi)


def test_the_steps_are_those_of_the_loop_by_hand():
    model, by_hand = sequential(), sequential()
    fitted(model, WORDS, epochs=1, batch_size=20, shuffle=False)
    loss = nn.CrossEntropyLoss()
    loss.forward(by_hand.forward(WORDS), LABELS)
    assert by_hand.backward(loss.backward()) is None
    by_hand.Phi -= 0.5 * by_hand.dPhi
    assert_allclose(model.Phi, by_hand.Phi, rtol=1e-6)


def test_an_index_that_is_too_large_is_the_layers_own_error():
    with pytest.raises(IndexError):
        fitted(sequential(), WORDS + 3)
