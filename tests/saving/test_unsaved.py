"""A state that a file would lose is an error when it is saved, and names the line that declares it."""

import numpy as np
import pytest

import nnlite as nn
from nnlite.saving import registry

ROWS = np.arange(6.0).reshape(3, 2)


class Own(nn.Layer):
    """A layer of one's own without parameters."""

    def backward(self, dY):
        return self.check_dY(dY)


class FixedNoise(Own):
    """The array comes from a random generator."""

    def __init__(self, rng=None):
        self.offset = nn.generator(rng).normal(size=2)

    def forward(self, X):
        return self.record_Y(self.check_X(X) + self.offset)


class Positions(Own):
    """The array follows from the arguments."""

    def __init__(self, features):
        self.features = features
        self.offset = np.sin(np.arange(features))

    def forward(self, X):
        return self.record_Y(self.check_X(X) + self.offset)


class FixedMask(Own):
    """The array is an argument; and one follows from it."""

    def __init__(self, mask, more=()):
        self.mask, self.more, self.kept = np.asarray(mask), more, np.flatnonzero(mask)

    def forward(self, X):
        return self.record_Y(self.check_X(X) * self.mask)


class PlainMean(Own):
    """A running mean, as a plain attribute."""

    def __init__(self, features):
        self.features, self.mean = features, np.zeros(features)

    def forward(self, X):
        X = self.check_X(X)
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * X.mean(axis=0)
        return self.record_Y(X - self.mean)


class PlainMeanInPlace(PlainMean):
    def forward(self, X):
        X = self.check_X(X)
        self.mean[0] += X.mean()
        return self.record_Y(X - self.mean)


class Annealed(Own):
    """A counter that the output depends on."""

    step = 0

    def forward(self, X):
        self.step += 1
        return self.record_Y(self.check_X(X) / self.step)


class Declared(Own, buffers=("mean", "step")):
    def __init__(self, features):
        self.features, self.mean, self.step = features, np.zeros(features), 0

    def forward(self, X):
        X = self.check_X(X)
        self.mean = 0.9 * self.mean + 0.1 * X.mean(axis=0)
        self.step += 1
        return self.record_Y(X - self.mean)


class Initialized(Own):
    """The cache is set to None, or to an array, by the constructor; and a mask is made again for each length."""

    def __init__(self):
        self.X, self.work, self.triangle = None, np.zeros(1), None

    def forward(self, X):
        self.X = self.check_X(X)
        self.work = self.X * 2
        if self.triangle is None or len(self.triangle) != len(X):
            self.triangle = np.tri(len(X))
        return self.record_Y(self.work / 2)


class Holder(Own):
    """Makes a layer."""

    def __init__(self, rng=None):
        self.inner = FixedNoise(rng)

    def forward(self, X):
        return self.record_Y(self.inner.forward(X))


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    monkeypatch.setattr(registry, "_KINDS", dict(registry._KINDS))
    for cls in Own.__subclasses__() + PlainMean.__subclasses__():
        nn.register(cls)


@pytest.mark.parametrize("make", [lambda: Positions(2), lambda: FixedMask([1, 0], [np.ones(2)]), lambda: Declared(2)])
def test_what_is_made_again_or_declared_is_loaded(make, tmp_path):
    for model in make(), nn.Sequential(make(), nn.Tanh()):
        model.forward(ROWS)
        nn.save(model, tmp_path / "m.npz")
        np.testing.assert_array_equal(nn.load(tmp_path / "m.npz").forward(ROWS), model.forward(ROWS))


@pytest.mark.parametrize("make", [FixedNoise, Holder])
def test_an_array_that_is_not_made_again_is_an_error(make, tmp_path):
    text = (
        r"the array offset of FixedNoise\(\) would not be saved, and the constructor makes another one; declare it, "
        r'class FixedNoise\(nnlite.Layer, buffers=\("offset",\)\), or make it an argument of the constructor'
    )
    for model in make(), nn.Sequential(nn.Linear(2, 2), make()):
        with pytest.raises(TypeError, match=text):
            nn.save(model, tmp_path / "m.npz")
    nn.manual_seed(3)
    expected = nn.generator().bit_generator.state
    with pytest.raises(TypeError, match="would not be saved"):
        nn.save(model, tmp_path / "m.npz")
    assert nn.generator().bit_generator.state == expected
    assert not (tmp_path / "m.npz").exists()


def test_an_array_that_was_set_from_outside_is_an_error(tmp_path):
    model = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
    model[0].mask = np.ones(2)
    with pytest.raises(TypeError, match=r"^0 Linear\(2 -> 2\): the array mask of Linear\(2 -> 2\) would not be saved"):
        nn.save(model, tmp_path / "m.npz")
    positions = Positions(2)
    positions.offset[0] = 7
    with pytest.raises(TypeError, match="the array offset of Positions"):
        nn.save(positions, tmp_path / "m.npz")


@pytest.mark.parametrize("make", [lambda: PlainMean(2), lambda: PlainMeanInPlace(2), Annealed])
def test_state_that_is_not_declared_is_an_error_in_files_and_checkpoints(make, tmp_path):
    name = "step" if make is Annealed else "mean"
    text = rf'1 \w+\(\): forward changes {name} and goes on from it .*\n?.*buffers=\("{name}",\)\)'
    model = nn.Sequential(nn.Linear(2, 2, rng=0), make())
    with pytest.raises(TypeError, match=text):
        nn.save(model, tmp_path / "m.npz")
    Phi = model.Phi.copy()
    with pytest.raises(TypeError, match=text):
        nn.fit(model, ROWS, ROWS, loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1), verbose=0,
               callbacks=[nn.Checkpoint(tmp_path / "c.npz")])  # fmt: skip
    np.testing.assert_array_equal(model.Phi, Phi)
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_the_constructor_mentions_is_no_state(tmp_path):
    model = nn.Sequential(nn.Linear(2, 2, rng=0), Initialized())
    nn.fit(model, ROWS, ROWS, loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1), verbose=0,
           callbacks=[nn.Checkpoint(tmp_path / "c.npz")])  # fmt: skip
    np.testing.assert_array_equal(nn.load(tmp_path / "c.npz").forward(ROWS), model.forward(ROWS))
