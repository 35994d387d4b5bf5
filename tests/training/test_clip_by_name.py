"""clip_norm by names: each part of the model has a norm and a limit of its own."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import nnlite as nn
from nnlite.optim.clipping import scale_parts_to_norms

X = np.random.default_rng(0).normal(size=(12, 3))
Y = 10 + X[:, :1]


def network():
    rng = np.random.default_rng(1)
    inner = nn.Sequential(
        nn.Linear(4, 2, dtype=np.float64, rng=rng), nn.Tanh(), nn.Linear(2, 2, dtype=np.float64, rng=rng)
    )
    return nn.Sequential(
        nn.Linear(3, 4, dtype=np.float64, rng=rng), nn.Tanh(), inner, nn.Linear(2, 1, dtype=np.float64, rng=rng)
    )


def moves(clip_norm=None, optimizers=lambda model: nn.SGD(model, lr=1.0), **options):
    """How far one step with the learning rate 1 moves each parameter: its gradient after clipping."""
    model = network()
    before = {name: P.copy() for name, P in model.named_parameters()}
    nn.fit(model, X, Y, loss=nn.MSELoss(), optimizer=optimizers(model), clip_norm=clip_norm, verbose=0, rng=0,
           **options)  # fmt: skip
    return {name: before[name] - P for name, P in model.named_parameters()}


def norm(gradients, *names):
    return np.linalg.norm(np.concatenate([gradients[name].ravel() for name in names]))


def expected(limits, free):
    """The gradients of a step without limits, scaled by the groups of (limit, names), as PyTorch scales them."""
    found = dict(free)
    for limit, *names in limits:
        factor = min(1.0, limit / (norm(free, *names) + 1e-6))
        found |= {name: factor * free[name] for name in names}
    return found


@pytest.mark.parametrize(
    ("clip_norm", "groups"),
    [
        ({"0": 0.5}, [(0.5, "0.W", "0.b")]),  # the others are not clipped
        ({"0": 0.5, "2": 0.25}, [(0.5, "0.W", "0.b"), (0.25, "2.0.W", "2.0.b", "2.2.W", "2.2.b")]),
        ({"2": 0.5, "2.0": 0.25}, [(0.25, "2.0.W", "2.0.b"), (0.5, "2.2.W", "2.2.b")]),
        ({"W": 0.5}, [(0.5, "0.W", "2.0.W", "2.2.W", "3.W")]),  # one norm of all of them
        ({"b": 0.5, "3.b": 0.25}, [(0.5, "0.b", "2.0.b", "2.2.b"), (0.25, "3.b")]),
        ({"0": 1e9, "3": 1e9}, []),
        ({"3.W": 0.0}, [(0.0, "3.W")]),
        ({}, []),
    ],
)
def test_each_key_has_a_norm_of_its_own(clip_norm, groups):
    free, clipped = moves(), moves(clip_norm)
    for name, gradient in expected(groups, free).items():
        assert_allclose(clipped[name], gradient, rtol=1e-12, atol=1e-14, err_msg=name)
    assert all(norm(clipped, *names) <= limit for limit, *names in groups)


def test_it_is_what_clip_grad_norm_does_with_parts():
    model = network()
    loss = nn.MSELoss()
    loss.forward(model.forward(X), Y)
    model.backward(loss.backward())
    nn.clip_grad_norm(model[0], 0.5)
    nn.clip_grad_norm(model[2], 0.25)
    clipped = moves({"0": 0.5, "2": 0.25}, shuffle=False)
    for name, dP in model.named_gradients():
        assert_allclose(clipped[name], dP, rtol=1e-9, err_msg=name)


@pytest.mark.parametrize(
    ("optimizers", "frozen"),
    [
        (lambda model: nn.SGD(model, 1.0, lr_factor={"0.W": 0, "2.0": 0}), ["0.W", "2.0.W", "2.0.b"]),
        (lambda model: [nn.SGD(model[2], 1.0, lr_factor={"0.W": 0}), nn.SGD(model[3], 1.0)], ["0.W", "0.b", "2.0.W"]),
    ],
)
def test_only_gradients_that_are_applied_count(optimizers, frozen):
    """The gradients of parameters that nothing moves are in no norm; here the step is the same as without them."""
    groups = [(0.5, "0.W", "0.b", "2.0.W", "2.0.b", "2.2.W", "2.2.b"), (0.25, "3.W", "3.b")]
    groups = [(limit, *[name for name in names if name not in frozen]) for limit, *names in groups]
    free, clipped = moves(optimizers=optimizers), moves({"0": 0.5, "2": 0.5, "3": 0.25}, optimizers)
    parts = [[name for name in groups[0][1:] if name.startswith(part)] for part in ("0", "2")]
    for name, gradient in expected([*[(0.5, *part) for part in parts if part], groups[1]], free).items():
        assert_allclose(clipped[name], gradient, rtol=1e-12, atol=1e-14, err_msg=name)
        assert (name in frozen) == (not clipped[name].any())


def test_a_part_that_a_frozen_one_divides_is_clipped_as_one():
    free = moves(optimizers=lambda model: nn.SGD(model, 1.0, lr_factor={"2.0.b": 0}))
    clipped = moves({"2": 0.25}, lambda model: nn.SGD(model, 1.0, lr_factor={"2.0.b": 0}))
    for name, gradient in expected([(0.25, "2.0.W", "2.2.W", "2.2.b")], free).items():
        assert_allclose(clipped[name], gradient, rtol=1e-12, err_msg=name)


def test_gradients_outside_of_the_model_are_left_alone():
    dPhi, other = np.full(6, 3.0), np.full(2, 3.0)
    scale_parts_to_norms(dPhi, [(1.0, [slice(0, 2), slice(4, 6)])], [dPhi[1:5], other])
    assert_allclose(dPhi, [3, 2**-0.5, 3, 3, 2**-0.5, 3], rtol=1e-6)
    assert_array_equal(other, 3)


def test_accumulated_batches_are_clipped_once():
    whole, parts = moves({"0": 0.5}, batch_size=12), moves({"0": 0.5}, batch_size=4, accumulate_steps=3)
    for name, gradient in whole.items():
        assert_allclose(parts[name], gradient, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("clip_norm", "error", "message"),
    [
        ({"4": 1.0}, ValueError, r"'4' names no parameter of Sequential\(4 layers\); the parameters are 0\.W, 0\.b, 2"),
        ({"lstm": 1.0}, ValueError, "'lstm' names no parameter"),
        ({0: 1.0}, TypeError, "expected names of parameters or parts as keys, got 0; write '0'"),
        ({"2": 1.0, "W": 1.0}, ValueError, r"'2' and 'W' both name 2\.0\.W; add '2\.W', which is more specific"),
        ({"W": 1.0, "2": 3.0}, ValueError, r"'W' and '2' both name 2\.0\.W, with different values; add '2\.W', which"),
        ([1.0], TypeError, r"expected a number, got \[1\.0\]"),
    ],
)
def test_a_wrong_name_is_an_error_before_training(clip_norm, error, message):
    with pytest.raises(error, match=f"^clip_norm: {message}"):
        moves(clip_norm)


@pytest.mark.parametrize(("wrong", "error"), [(-1.0, ValueError), (np.nan, ValueError), ("1", TypeError)])
def test_a_wrong_limit_is_an_error_before_training(wrong, error):
    with pytest.raises(error, match=r"^clip_norm\['0'\]: expected a "):
        moves({"0": wrong})
    with pytest.raises(TypeError, match=r"^clip_value: expected a number, got \{'0': 1\.0\}"):
        moves(clip_value={"0": 1.0})


def test_a_resumed_training_needs_the_same_limits(tmp_path):
    model = network()
    options = {"loss": nn.MSELoss(), "optimizer": nn.SGD(model, lr=0.1), "verbose": 0}
    checkpoint = nn.Checkpoint(tmp_path / "c.npz")
    nn.fit(model, X, Y, clip_norm={"0": 1.0, "2.2": 0.5}, callbacks=[checkpoint], **options)
    nn.fit(model, X, Y, clip_norm={"2.2": np.float64(0.5), "0": 1}, resume=checkpoint.path, **options)
    with pytest.raises(nn.CheckpointError, match=r"clip_norm: \{'0': 1\.0, '2\.2': 0\.5\} in the file, None here"):
        nn.fit(model, X, Y, resume=checkpoint.path, **options)


def test_the_dict_that_was_given_is_not_held():
    limits = {"0": 0.5}
    before = copy.copy(limits)
    assert norm(moves(limits), "0.W", "0.b") <= 0.5
    assert limits == before
