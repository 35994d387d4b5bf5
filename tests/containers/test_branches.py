"""Residual and Parallel: branches without names."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import nnlite as nn

X = np.linspace(-1, 1, 12).reshape(4, 3)
DY = np.cos(np.arange(12.0)).reshape(4, 3)


def layers():
    return [nn.Linear(3, 5, rng=0, dtype=np.float64), nn.Tanh(), nn.Linear(5, 3, rng=1, dtype=np.float64)]


copies = pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))], ids=["deepcopy", "pickle"]
)


# ------------------------------------------------------------------------------------ Residual


def test_a_residual_adds_its_input():
    residual, f = nn.Residual(*layers()), nn.Sequential(*layers())
    assert_array_equal(residual.forward(X), X + f.forward(X))
    assert_array_equal(residual.backward(DY), DY + f.backward(DY))
    assert_array_equal(residual.dPhi, f.dPhi)
    assert nn.check_gradients(residual, X).right


def test_a_residual_of_nothing_doubles():
    residual = nn.Residual()
    assert_array_equal(residual.forward(X), 2 * X)
    assert_array_equal(residual.backward(DY), 2 * DY)


def test_a_residual_writes_neither_X_nor_dY():
    residual, A, dY = nn.Residual(nn.Identity()), X.copy(), DY.copy()
    A.setflags(write=False)
    dY.setflags(write=False)
    Y = residual.forward(A)
    dX = residual.backward(dY)
    assert not np.shares_memory(Y, A)
    assert not np.shares_memory(dX, dY)


def test_dtypes_of_a_residual():
    residual = nn.Residual(nn.Linear(3, 3, rng=0))
    assert residual.forward(X).dtype == np.float32  # that of the parameters
    assert nn.Residual(nn.Tanh()).forward(X).dtype == np.float64
    assert nn.Residual(nn.Tanh()).forward([[1, 2]]).dtype == np.float32


def test_residuals_nest_and_train():
    model = nn.Sequential(nn.Residual(nn.Residual(*layers()), nn.Tanh()), nn.Linear(3, 1, rng=2, dtype=np.float64))
    assert nn.check_gradients(model, X).right
    assert [name for name, _ in model.named_parameters()] == [
        "0.0.0.W",
        "0.0.0.b",
        "0.0.2.W",
        "0.0.2.b",
        "1.W",
        "1.b",
    ]
    targets = X.sum(axis=1, keepdims=True)
    optimizer = nn.SGD(model, lr=0.05)
    history = nn.fit(model, X, targets, loss=nn.MSELoss(), optimizer=optimizer, epochs=60, verbose=0, rng=0)
    assert history["loss"][-1] < 0.1 * history["loss"][0]


def test_fit_of_a_residual_that_comes_first_is_the_loop_by_hand():
    """Its backward builds on the dX of its layers, also when nobody needs its own."""
    model, by_hand, loss = nn.Residual(*layers()), nn.Residual(*layers()), nn.MSELoss()
    nn.fit(model, X, 0 * X, loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1), shuffle=False, verbose=0)
    loss.forward(by_hand.forward(X), 0 * X)
    by_hand.backward(loss.backward())
    nn.SGD(by_hand, lr=0.1).step()
    assert_array_equal(model.Phi, by_hand.Phi)


def test_a_residual_keeps_its_shape():
    with pytest.raises(nn.ShapeError, match=r"Residual\(1 layers\): expected layers that keep the width 3, got 2"):
        nn.Residual(nn.Linear(3, 2))
    with pytest.raises(nn.ShapeError, match="expected layers that keep the width 4, got 2"):
        nn.Sequential(nn.Linear(2, 4), nn.Residual(nn.Tanh(), nn.Linear(4, 2)))
    residual = nn.Residual(nn.Sum(dim=0, keepdim=True))
    residual.forward(X[:1])
    with pytest.raises(nn.ShapeError, match=r"expected layers that keep X's shape \(4, 3\), got \(1, 3\)"):
        residual.forward(X)  # NumPy would stretch it
    with pytest.raises(nn.StateError, match="backward was called before forward"):
        residual.backward(DY)
    with pytest.raises(TypeError, match="expected a Layer, got 3"):
        nn.Residual(3)


def test_errors_of_a_residual_name_it():
    residual = nn.Residual(nn.Tanh(), nn.Linear(3, 3))
    with pytest.raises(nn.StateError, match=r"Residual\(2 layers\): backward was called before forward"):
        residual.backward(DY)
    with pytest.raises(nn.ShapeError) as caught:
        residual.forward(np.ones((4, 2)))
    assert caught.value.__notes__ == ["in Residual[1] Linear(3 -> 3)"]
    residual.forward(X)
    with pytest.raises(nn.ShapeError, match=r"expected dY of shape \(4, 3\), that of the last Y, got \(4, 2\)"):
        residual.backward(np.ones((4, 2)))


@copies
def test_copies_of_a_residual(copied):
    model = nn.Residual(*layers())
    Y = model.forward(X)
    twin = copied(model)
    assert type(twin) is nn.Residual
    assert_array_equal(twin.forward(X), Y)
    assert_array_equal(nn.predict(twin, X), Y)
    assert not np.shares_memory(twin.Phi, model.Phi)


# ------------------------------------------------------------------------------------ Parallel


def test_branches_are_joined_and_their_gradients_summed():
    a, b = nn.Linear(3, 2, rng=0, dtype=np.float64), nn.Tanh()
    model = nn.Parallel(a, b)
    Y = model.forward(X)
    assert_array_equal(Y[:, :2], X @ a.W + a.b)
    assert_array_equal(Y[:, 2:], np.tanh(X))
    dY = np.cos(np.arange(20.0)).reshape(4, 5)
    assert_allclose(model.backward(dY), dY[:, :2] @ a.W.T + dY[:, 2:] * (1 - np.tanh(X) ** 2), rtol=1e-13, atol=1e-15)
    assert_allclose(a.dW, X.T @ dY[:, :2], rtol=1e-13)


@pytest.mark.parametrize(
    ("merge", "joined"),
    [
        (nn.Add, lambda a, b: a + b),
        (nn.Multiply, lambda a, b: a * b),
        (nn.Maximum, np.maximum),
        (nn.Stack, lambda a, b: np.stack([a, b], axis=-1)),
        (lambda: nn.Concat(dim=0), lambda a, b: np.concatenate([a, b])),
    ],
)
def test_merge(merge, joined):
    model = nn.Parallel(nn.Tanh(), nn.Square(), merge=merge())
    A = X + 0.03
    assert_array_equal(model.forward(A), joined(np.tanh(A), A * A))
    assert nn.check_gradients(model, A).right


def test_one_branch_and_three():
    assert_array_equal(nn.Parallel(nn.Square()).forward(X), X * X)
    model = nn.Parallel(nn.Square(), nn.Identity(), nn.Tanh(), merge=nn.Add())
    assert_allclose(model.forward(X), X * X + X + np.tanh(X))
    assert nn.check_gradients(model, X).right


def test_parallel_in_a_sequential_and_a_residual_in_parallel():
    model = nn.Sequential(
        nn.Parallel(nn.Residual(*layers()), nn.Sequential(*layers())), nn.Linear(6, 1, rng=3, dtype=np.float64)
    )
    assert nn.check_gradients(model, X).right
    nn.fit(model, X, X[:, :1], loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1), verbose=0)
    assert nn.predict(model, X).shape == (4, 1)


@copies
def test_copies_of_parallel(copied):
    model = nn.Parallel(nn.Linear(3, 2, rng=0), nn.Tanh())
    Y = model.forward(X)
    twin = copied(model)
    assert type(twin) is nn.Parallel
    assert_array_equal(twin.forward(X), Y)
    twin.Phi = np.zeros(8)
    assert_array_equal(model.forward(X), Y)


def test_the_repr_of_parallel():
    assert repr(nn.Parallel(nn.Linear(3, 2), nn.Tanh())) == (
        "Parallel(\n  (0): Linear(3 -> 2) of X\n  (1): Tanh() of X\n  (2): Concat(dim=-1) of 0, 1\n  -> 2\n)"
    )


def test_mistakes_in_parallel():
    with pytest.raises(ValueError, match="Parallel: expected at least one branch"):
        nn.Parallel()
    with pytest.raises(TypeError, match="Parallel: branch 1: expected a Layer, got 3"):
        nn.Parallel(nn.Tanh(), 3)
    with pytest.raises(TypeError, match=r"Parallel: branch 0: expected a Layer, got the class itself; write Tanh\("):
        nn.Parallel(nn.Tanh)
    tanh = nn.Tanh()
    with pytest.raises(ValueError, match=r"the same layer object is used twice.*test_branches.*nnlite\.tied\(layer\)"):
        nn.Parallel(tanh, tanh)
    with pytest.raises(
        nn.ShapeError, match=r"Add\(\): inputs of shapes \(\.\.\., 2\) and \(\.\.\., 4\).*test_branches"
    ):
        nn.Parallel(nn.Linear(3, 2), nn.Linear(3, 4), merge=nn.Add())
    model = nn.Parallel(nn.Linear(3, 2), nn.Linear(4, 2))
    with pytest.raises(nn.ShapeError) as caught:
        model.forward(X)
    assert caught.value.__notes__[0].startswith("in Parallel[1] Linear(4 -> 2) (")
