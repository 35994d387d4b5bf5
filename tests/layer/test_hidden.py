"""Layers and random generators in objects: found, or an error that names the cure."""

import collections
import copy
import dataclasses
import functools
import types
import weakref

import numpy as np
import pytest

import nnlite as nn


@dataclasses.dataclass
class Block:
    inner: object


@dataclasses.dataclass(slots=True, eq=False)
class Slotted:
    inner: object


class Plain:
    def __init__(self, inner):
        self.some, self.inner = 3, inner


class CallablePlain(Plain):
    def __call__(self, X):
        return self.inner.forward(X)


class Net(nn.Layer):
    """A model of one's own that holds something, and a layer beside it."""

    def __init__(self, held):
        self.first, self.held = nn.Linear(2, 2, rng=0), held

    def forward(self, X):
        return self.first.forward(X)

    def backward(self, dY):
        return self.both(dY)

    def both(self, dY):
        return dY if self.held == "nothing" else self.first.backward(dY)


def objects(one):
    array = np.empty(1, object)
    array[0] = one
    return {
        "Block": Block(one),
        "Slotted": Slotted(one),
        "Plain": Plain(one),
        "CallablePlain": CallablePlain(one),
        "SimpleNamespace": types.SimpleNamespace(inner=[{"a": one}]),
        "set": {one},
        "frozenset": frozenset([one]),
        "deque": collections.deque([one]),
        "UserList": collections.UserList([one]),
        "UserDict": collections.UserDict(a=one),
        "mappingproxy": types.MappingProxyType({"a": one}),
        "ndarray": array,
    }


@pytest.mark.parametrize("kind", objects(1))
@pytest.mark.parametrize("within", [lambda held: held, lambda held: [held], lambda held: {"a": (3, held)}])
def test_a_layer_in_an_object_is_an_error_before_training(kind, within):
    def make():
        return Net(within(objects(nn.Linear(2, 2, rng=0))[kind]))

    text = rf"^Net\(1 layers\): held holds Linear\(2 -> 2\) in a {kind}, which is no Layer, so it would not be trained"
    uses = [
        lambda: make().Phi,
        lambda: nn.SGD(make(), lr=0.1),
        lambda: nn.SGD(nn.Sequential(nn.Tanh(), make()), lr=0.1),
        lambda: nn.fit(nn.Sequential(make()), [[1, 2]], [[1, 2]], loss=nn.MSELoss(), optimizer=None, verbose=0),
    ]
    for use in uses:
        with pytest.raises(TypeError, match=text):
            use()


def test_a_layer_that_backward_does_not_go_through_may_be_held_in_an_object():
    class Distilled(nn.Linear):
        def forward(self, X):
            self.aim = self.teacher.inner.forward(X)
            return super().forward(X)

    model = Distilled(2, 2)
    model.teacher = Plain(nn.Linear(2, 2))
    nn.SGD(model, lr=0.1)


def test_lists_tuples_and_dicts_are_searched_at_any_depth():
    nn.SGD(Net([{"a": (nn.Linear(2, 2), 3)}]), lr=0.1)


def test_state_that_is_no_parameter_is_hidden_too():
    class Dropout(nn.Layer):
        def __init__(self):
            self.rng = np.random.default_rng(0)

    class Running(nn.Layer, buffers=("mean",)):
        def __init__(self):
            self.mean = np.zeros(2)

    for layer in Dropout(), Running(), nn.Sequential(nn.Linear(2, 2)):
        with pytest.raises(TypeError, match="held holds"):
            nn.SGD(Net(Plain(layer)), lr=0.1)


class Lookalike:
    """Has the attributes of what does not matter here."""

    def __init__(self):
        self.loss, self.epochs, self.log = nn.MSELoss(), 3, open


def test_what_is_no_hidden_layer():
    other = nn.Linear(2, 2)
    held = [
        lambda: other,
        functools.partial(other.forward),
        other.forward,
        weakref.ref(other),
        np,
        nn,
        Block,
        nn.Linear,
        Plain(nn.Tanh()),
        Plain(lambda: other),
        Lookalike(),
        nn.initializers.he_normal if hasattr(nn, "initializers") else None,
        {"set of names": {"a", "b"}, "deque": collections.deque([1])},
        np.float32(3),
        np.dtype("f4"),
        nn.EarlyStopping(),
    ]
    nn.SGD(Net(held), lr=0.1)


def test_parts_and_models_around_may_be_held_anywhere():
    model = nn.Sequential(Net(None), nn.Linear(2, 2))
    model[0].held = [Plain(model), Plain(model[1]), {model[0].first}, nn.SGD(model, lr=0.1)]
    nn.SGD(model, lr=0.1)
    other = copy.deepcopy(model)
    assert other[0].held[0].inner is other
    nn.SGD(other, lr=0.1)


def test_a_generator_in_an_object_is_an_error_when_it_is_saved(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    model = Net(Plain(rng))
    nn.fit(model, [[1, 2]], [[1, 2]], loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1), verbose=0)
    with pytest.raises(TypeError, match="held holds a random generator in a Plain, where it is not found, so it would"):
        nn.fit(model, [[1, 2]], [[1, 2]], loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1), verbose=0,
               callbacks=[nn.Checkpoint(tmp_path / "c.npz")])  # fmt: skip
    model.rng = rng  # beside it, it is found
    with pytest.warns(UserWarning, match="will not hold the architecture"):
        nn.fit(model, [[1, 2]], [[1, 2]], loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1), verbose=0,
               callbacks=[nn.Checkpoint(tmp_path / "c.npz")])  # fmt: skip
    nn.fit(model, [[1, 2]], [[1, 2]], loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1), verbose=0,
           resume=tmp_path / "c.npz")  # fmt: skip


def test_a_layer_in_an_object_is_an_error_when_it_is_saved(tmp_path, monkeypatch):
    monkeypatch.setattr(nn.saving.registry, "_KINDS", dict(nn.saving.registry._KINDS))
    nn.register(Net, arguments=lambda layer: {"held": None})
    model = nn.Sequential(Net(None))
    model[0].held = Plain(nn.Linear(2, 2))
    with pytest.raises(TypeError, match=r"held holds Linear\(2 -> 2\) in a Plain"):
        nn.save(model, tmp_path / "m.npz")
