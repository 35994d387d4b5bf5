"""compile under Numba: one compiled function for batches of any number of rows; to rounding what the layers compute."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import nnlite as nn

pytest.importorskip("numba")


@pytest.fixture(autouse=True)
def numba():
    nn.set_kernels("numba")
    yield
    nn.set_kernels("numpy")


def sequential(*layers, **options):
    return nn.Sequential(nn.Linear(5, 8, rng=0, **options), *layers, nn.Linear(8, 3, rng=1, **options))


CASES = [
    (lambda: nn.Sequential(nn.Linear(5, 3, rng=0, bias=False), nn.Sigmoid()), nn.BCELoss(), True),
    (lambda: sequential(nn.ReLU()), nn.MSELoss(reduction="sum"), True),
    (lambda: sequential(nn.Dropout(0.5, rng=0)), nn.MSELoss(), False),  # draws
]


def batch(rows):
    rng = np.random.default_rng(rows)
    return rng.standard_normal((rows, 5)).astype(np.float32), rng.integers(0, 2, (rows, 3)).astype(np.float32)


@pytest.mark.parametrize(("make", "loss", "by_numba"), CASES)
def test_steps_are_those_of_the_layers_whether_numba_can_compile_them_or_not(make, loss, by_numba):
    model = make()
    other = copy.deepcopy(model)
    step = nn.compile(model, loss, nn.SGD(model, lr=0.1))
    optimizer = nn.SGD(other, lr=0.1)
    for rows in (16, 300, 3):
        X, y = batch(rows)
        J = loss.forward(other.forward(X), y)
        other.backward(loss.backward())
        optimizer.step()
        assert_allclose(step(X, y), J, rtol=1e-5)
        assert_allclose(model.dPhi, other.dPhi, rtol=1e-4, atol=1e-5 * abs(other.dPhi).max())
        model.Phi = other.Phi
    assert [lines is not None for lines in step.passes.by_numba.values()] == [by_numba]


def test_fit_compiled_and_rows_that_are_not_contiguous():
    losses = []
    for compiled in (False, True):
        model = nn.Sequential(nn.Linear(5, 3, rng=0, bias=False), nn.Sigmoid())
        X, y = batch(70)
        options = {"epochs": 3, "batch_size": 16, "verbose": 0, "rng": 0, "compiled": compiled}
        history = nn.fit(model, X, y, loss=nn.BCELoss(), optimizer=nn.SGD(model, lr=0.1), **options)
        losses.append(history["loss"])
    assert_allclose(*losses, rtol=1e-5)
    step = nn.compile(model, nn.BCELoss(), nn.SGD(model, lr=0.0))
    assert_allclose(step(np.asfortranarray(X), np.asfortranarray(y)), step(X, y), rtol=1e-6)


def test_the_checks_of_a_target_are_those_of_the_layers():
    model = nn.Sequential(nn.Linear(5, 3, rng=0, bias=False), nn.Sigmoid())
    step, (X, y) = nn.compile(model, nn.BCELoss(), nn.SGD(model, lr=0.1)), batch(8)
    step(X, y)
    before, y[2, 1] = model.Phi.copy(), 1.5
    with pytest.raises(ValueError, match=r"from 0 to 1, got 1\.5 at index \(2, 1\)"):
        step(X, y)
    assert (model.Phi == before).all()


def test_rows_that_cannot_be_written_are_copied():
    X, y = batch(6)
    X.flags.writeable = False
    model = sequential(nn.ReLU())
    expected = nn.MSELoss().forward(model.forward(X), y)
    assert_allclose(nn.compile(model, nn.MSELoss(), nn.SGD(model, lr=0.1))(X, y), expected, rtol=1e-5)


def test_the_shapes_in_an_error_are_those_of_the_batch():
    X, y = batch(6)
    model = sequential(nn.ReLU())
    with pytest.raises(nn.ShapeError, match=r"of Y's shape \(6, 3\), got \(6, 2\)"):
        nn.compile(model, nn.MSELoss(), nn.SGD(model, lr=0.1))(X, y[:, :2])


@pytest.mark.parametrize("layer", [nn.ReLU, lambda: nn.Dropout(0.5, rng=0)])
def test_a_resumed_training_goes_on_with_the_same_bits(tmp_path, layer):
    X, y = batch(40)

    def train(model, epochs, **options):
        optimizer = nn.Adam(model, lr=0.01)
        nn.fit(
            model, X, y, loss=nn.MSELoss(), optimizer=optimizer, epochs=epochs, batch_size=8, rng=0, verbose=0,
            compiled=True, **options,
        )  # fmt: skip
        return model.Phi

    whole = train(sequential(layer()), 3)
    train(sequential(layer()), 1, callbacks=[nn.Checkpoint(tmp_path / "training.npz")])
    assert_array_equal(train(sequential(layer()), 2, resume=tmp_path / "training.npz"), whole)
