"""Replacing, inserting and removing layers of a Sequential (pytorch#54765): what users of a list of layers try."""

import copy
import re

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from support.own_layers import OwnEmbedding

import nnlite as nn


def model():
    return nn.Sequential(nn.Linear(3, 4, rng=0), nn.Tanh(), nn.Linear(4, 2, rng=1))


def names(whole):
    return [repr(layer) for layer in whole]


def check(whole):
    """Phi holds every parameter, in order, and a step moves all of them."""
    assert_array_equal(whole.Phi, np.concatenate([P.ravel() for _, P in whole.named_parameters()]))
    assert all(np.shares_memory(whole.Phi, P) for _, P in whole.named_parameters())
    before = whole.Phi.copy()
    nn.fit(whole, np.ones((4, 3)), np.zeros((4, 2)), loss=nn.MSELoss(), optimizer=nn.SGD(whole, lr=0.1), verbose=0)
    assert (whole.Phi != before).any()


def test_a_layer_is_replaced_and_the_old_one_is_free():
    whole, head = model(), nn.Linear(4, 2, rng=2)
    old, W = whole[2], whole[0].W.copy()
    old_W = old.W.copy()
    whole[2] = head
    assert whole[2] is head
    assert_array_equal(whole[0].W, W)
    check(whole)
    assert_array_equal(old.W, old_W)
    other = nn.Sequential(old)
    assert other.Phi.size == 10


def test_layers_are_removed_and_inserted():
    whole = model()
    del whole[1]
    assert names(whole) == ["Linear(3 -> 4)", "Linear(4 -> 2)"]
    check(whole)
    assert whole.insert(1, nn.ReLU()) is whole
    assert whole.insert(-1, nn.Linear(4, 4)).extend([nn.Tanh(), nn.Tanh()]) is whole
    assert names(whole) == ["Linear(3 -> 4)", "ReLU()", "Linear(4 -> 4)", "Linear(4 -> 2)", "Tanh()", "Tanh()"]
    check(whole)
    whole[1:3] = [nn.Sigmoid()]
    del whole[-2:]
    assert names(whole) == ["Linear(3 -> 4)", "Sigmoid()", "Linear(4 -> 2)"]
    check(whole)


def test_a_new_model_of_copies_of_a_slice():
    whole = model()
    other = nn.Sequential(*copy.deepcopy(whole[:2]), nn.Linear(4, 2, rng=5))
    assert_array_equal(other[0].W, whole[0].W)
    check(other)
    assert not np.shares_memory(other.Phi, whole.Phi)


def test_the_layers_of_a_model_that_is_gone_are_free():
    layer = nn.Sequential(nn.Linear(3, 2, rng=0))[0]
    check(nn.Sequential(layer))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda m: m.__setitem__(2, nn.Linear(5, 2)), nn.ShapeError, "Sequential[2] Linear(5 -> 2) does not accept it"),
        (lambda m: m.insert(1, m[1]), ValueError, "the same layer object is used twice"),
        (lambda m: m.__setitem__(1, "tanh"), TypeError, "Sequential: layer 1: expected a Layer, got 'tanh'"),
        (lambda m: m.__delitem__(7), IndexError, "out of range"),
        (lambda m: m.insert(0, nn.Linear(3, 3, dtype=np.float64)), ValueError, "one model, one dtype"),
        (lambda m: m[:2] + m[2:], TypeError, "write nnlite.Sequential(*copy.deepcopy(a), *copy.deepcopy(b))"),
    ],
)
def test_a_change_that_fails_leaves_the_model_unchanged(change, error, message):
    whole = model()
    Phi, layers = whole.Phi, list(whole)
    with pytest.raises(error, match=re.escape(message)):
        change(whole)
    assert whole.Phi is Phi
    assert list(whole) == layers
    check(whole)


def test_a_part_of_a_larger_model_cannot_change():
    inner = model()
    outer = nn.Sequential(inner)
    with pytest.raises(ValueError, match="is part of a larger model, whose Phi is fixed; change it before that"):
        inner[2] = nn.Linear(4, 2)
    assert len(outer[0]) == 3


def test_appending_moves_the_other_parameters_seldom_and_copies_few():
    """1,000 appends took 15 s when each copied all of Phi: with room to grow, the copies add up to a few times Phi."""
    whole = nn.Sequential(nn.Linear(4, 4, rng=0))
    moves = 0
    for seed in range(1, 200):
        held = whole[0].W
        whole.append(nn.Linear(4, 4, rng=seed))
        moves += whole[0].W is not held
        assert whole.Phi.size == 20 * (seed + 1)
    assert moves <= 8  # 200 = 2^7.6: each move doubles the room
    assert_array_equal(whole.Phi, np.concatenate([P.ravel() for _, P in whole.named_parameters()]))
    assert all(np.shares_memory(whole.Phi, P) for _, P in whole.named_parameters())
    assert whole.Phi.flags.c_contiguous
    whole.dPhi = np.arange(whole.Phi.size)
    assert_array_equal(whole[199].db, np.arange(3996, 4000))
    assert copy.deepcopy(whole).Phi.size == 4000


def test_a_model_that_has_grown_keeps_no_room_as_a_part():
    inner = nn.Sequential(nn.Linear(4, 4)).append(nn.Linear(4, 4)).append(nn.Linear(4, 4))
    assert inner._room[0].size > inner.Phi.size
    outer = nn.Sequential(inner)
    assert inner._room is None
    assert np.shares_memory(outer.Phi, inner.Phi)


def test_a_slice_follows_its_layers_or_says_that_they_have_changed():
    whole = model()
    tail = whole[1:]
    assert_array_equal(tail.Phi, whole[2].Phi)
    whole.insert(0, nn.Linear(3, 3, rng=7))
    assert_array_equal(tail.Phi, whole[3].Phi)
    assert np.shares_memory(tail.Phi, whole[3].W)
    whole[3] = nn.Linear(4, 2, rng=8)
    with pytest.raises(nn.StateError, match="this slice of a Sequential is out of date"):
        _ = tail.Phi
    assert whole[1:1].Phi.size == 0


def test_a_slice_of_indices_ends_its_backward_where_there_is_no_gradient():
    class Reverse(nn.Layer):
        def forward(self, X):
            return X[::-1]

    whole = nn.Sequential(Reverse(), OwnEmbedding(5, 2, rng=0), nn.Linear(2, 1, rng=0))
    part = whole[:2]
    part.forward(np.array([1, 4]))
    assert part.backward(np.ones((2, 2), np.float32)) is None
    assert_array_equal(whole[1].dW.sum(axis=1), [0, 2, 0, 0, 2])


def test_a_tied_layer_that_is_taken_out_adds_no_gradients_any_more():
    layer = nn.Linear(3, 3, rng=0)
    whole = nn.Sequential(layer, nn.Tanh(), nn.tied(layer))
    X, dY = np.ones((2, 3), np.float32), np.ones((2, 3), np.float32)
    whole.forward(X)
    whole.backward(dY)
    del whole[1:]
    whole.forward(X)
    whole.backward(dY)
    assert_array_equal(layer.dW, X.T @ dY)
