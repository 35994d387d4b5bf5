"""Divergence: found at once, placed, with likely causes; the parameters are those from before."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import nnlite as nn


def model():
    rng = np.random.default_rng(0)
    return nn.Sequential(nn.Linear(3, 4, rng=rng), nn.Tanh(), nn.Linear(4, 1, rng=rng))


def train(net, X, Y, lr=0.1, loss=None, **options):
    options = {"verbose": 0, "shuffle": False, "batch_size": 2} | options
    return nn.fit(net, X, Y, loss=loss or nn.MSELoss(), optimizer=nn.SGD(net, lr=lr), **options)


X = np.random.default_rng(1).normal(size=(6, 3))
Y = X[:, :1].copy()


def test_a_bad_number_in_X_is_found_at_its_batch():
    bad, net = X.copy(), model()
    bad[4, 1] = np.nan
    Phi = []
    with pytest.raises(nn.DivergenceError) as caught:
        train(net, bad, Y, callbacks=[type("Keep", (), {"on_batch_end": lambda self, s: Phi.append(net.Phi.copy())})()])
    assert "the loss is nan in epoch 1, batch 3: X itself holds a value that is not finite" in str(caught.value)
    assert "before this step" in str(caught.value)
    assert_array_equal(net.Phi, Phi[1])


def test_a_bad_number_in_Y():
    bad = Y.copy()
    bad[0] = np.nan
    with pytest.raises(nn.DivergenceError, match="batch 1: Y itself holds a value that is not finite"):
        train(model(), X, bad)


def test_columns_that_are_not_scaled_are_named_the_largest_first():
    large = X * [1.0, 2e4, 5e3]
    with pytest.raises(nn.DivergenceError) as caught:
        train(nn.Sequential(nn.Linear(3, 1, rng=0)), large, Y, lr=1e6, epochs=50)
    text = str(caught.value)
    assert "a learning rate that is too large; inputs that are not scaled: column 1 of X goes up to" in text
    assert text.index("column 1") < text.index("column 2")
    assert "column 0" not in text
    assert any(f"column 1 of X goes up to {np.abs(row[1]):.3g}" in text for row in large)


def test_inputs_that_are_scaled_are_not_accused():
    with pytest.raises(nn.DivergenceError, match=r"not scaled \(those of this batch are\)"):
        train(nn.Sequential(nn.Linear(3, 1, rng=0)), X, Y, lr=1e30, epochs=50)


def test_inputs_of_several_are_named():
    a, b = nn.Input("a"), nn.Input("b")
    net = nn.Graph({"a": a, "b": b}, nn.Linear(3, 1, rng=0)(a + b))
    with pytest.raises(nn.DivergenceError, match=r"column 0 of X\['b'\] goes up to"):
        nn.fit(net, {"a": X, "b": X * 1e5}, Y, loss=nn.MSELoss(), optimizer=nn.SGD(net, lr=1e6), epochs=50, verbose=0)


def test_stop_warns_and_returns_what_there_is():
    bad, net = X.copy(), model()
    bad[4, 1] = np.nan
    with pytest.warns(RuntimeWarning, match="batch 3"):
        history = train(net, bad, Y, on_nan="stop", epochs=3)
    assert history.epochs == 0
    assert np.isfinite(net.Phi).all()


def test_early_stopping_gives_the_best_weights_back_also_then():
    rows, net, kept = X.copy(), model(), {}

    def spoil(state):
        kept[state.epoch] = net.Phi.copy()
        if state.epoch == 3:
            rows[:] = np.nan

    with pytest.raises(nn.DivergenceError, match="epoch 4, batch 1"):
        train(net, rows, Y, epochs=9, callbacks=[spoil, nn.EarlyStopping("loss", patience=5)])
    assert_array_equal(net.Phi, kept[3])
