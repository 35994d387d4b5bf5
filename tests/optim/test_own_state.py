"""Optimizers of one's own: every state that can be saved is resumed bit for bit, and what cannot is an error."""

import copy

import numpy as np
import pytest

import nnlite as nn

rng = np.random.default_rng(0)
X = rng.normal(size=(12, 3))
Y = X[:, :2] * 2


class RMSprop(nn.Optimizer):
    """The moments are made in the first step, in float64 for parameters in float32."""

    arrays, square = ("square",), None

    def move(self, lr):
        g = self.layer.dPhi.astype(np.float64)
        self.square = 0.01 * g**2 + (0 if self.square is None else 0.99 * self.square)
        self.layer.Phi -= lr * g / (np.sqrt(self.square) + 1e-8)


class Factored(nn.Optimizer):
    """Rows and columns of the second moments of W, as Adafactor has them; and a product of momenta, as NAdam."""

    arrays = ("rows", "columns", "product", "seen")

    def __init__(self, layer, lr, made_at_once=True):
        super().__init__(layer, lr)
        self.rows, self.columns = (np.zeros(3), np.zeros(2)) if made_at_once else (None, None)
        self.product, self.seen = 1.0, np.int64(0)

    def move(self, lr):
        if self.rows is None:
            self.rows, self.columns = np.zeros(3), np.zeros(2)
        g = self.layer.dW
        self.rows += (g**2).mean(axis=1)
        self.columns = self.columns + (g**2).mean(axis=0)
        self.product *= 0.9
        self.seen = np.int64(self.seen + 1)
        self.layer.W -= lr * (1 - self.product) * g / np.sqrt(np.outer(self.rows, self.columns) / self.rows.sum())


class Late(Factored):
    """Made in the first step, in another shape than Phi's."""

    def __init__(self, layer, lr):
        super().__init__(layer, lr, made_at_once=False)


class Noisy(nn.Optimizer):
    """Draws from generators of its own."""

    def __init__(self, layer, lr):
        super().__init__(layer, lr)
        self.rng, self.more = np.random.default_rng(1), [np.random.default_rng(2)]

    def move(self, lr):
        noise = self.rng.normal(size=self.layer.Phi.size) + self.more[0].normal()
        self.layer.Phi -= lr * (self.layer.dPhi + noise)


def train(cls, epochs, **options):
    layer = nn.Linear(3, 2, rng=0)
    optimizer = cls(layer, lr=0.01)
    nn.fit(
        layer, X, Y, loss=nn.MSELoss(), optimizer=optimizer, epochs=epochs, batch_size=5, verbose=0, rng=0, **options
    )
    return layer.Phi.tobytes()


@pytest.mark.parametrize("cls", [RMSprop, Factored, Late, Noisy])
def test_a_resumed_training_ends_where_one_without_a_break_does(cls, tmp_path):
    train(cls, 2, callbacks=[nn.Checkpoint(tmp_path / "c.npz")])
    assert train(cls, 3, resume=tmp_path / "c.npz") == train(cls, 5)


@pytest.mark.parametrize("cls", [RMSprop, Factored, Late])
def test_a_state_goes_on_in_another_optimizer_and_is_a_copy(cls):
    def stepped(optimizer, steps=2):
        for _ in range(steps):
            optimizer.layer.dPhi = np.arange(8) - 3.0
            optimizer.step()
        return optimizer.layer.Phi.tobytes()

    first, second = (cls(nn.Linear(3, 2, rng=0), lr=0.1) for _ in range(2))
    stepped(first)
    state = first.state_dict()
    saved = copy.deepcopy(state)
    second.layer.Phi = first.layer.Phi
    second.load_state_dict(state)
    assert stepped(second, 3) == stepped(first, 3)
    np.testing.assert_equal(state, saved)


def misfits(optimizer, state):
    before = optimizer.state_dict()
    with pytest.raises(ValueError, match="the state does not fit, nothing was loaded") as caught:
        optimizer.load_state_dict(state)
    np.testing.assert_equal(optimizer.state_dict(), before)
    return [line.strip() for line in str(caught.value).splitlines()[1:]]


def test_what_does_not_fit_is_listed():
    optimizer = Factored(nn.Linear(3, 2), lr=0.1)
    state = optimizer.state_dict()
    assert state["Phi"] == "(8,) float32"
    wrong = {"rows": np.zeros(4), "columns": np.zeros(2, np.float32), "product": np.ones(1), "seen": "1"}
    assert misfits(optimizer, state | wrong) == [
        "rows: expected (3,) float64, got (4,) float64",
        "columns: expected (2,) float64, got (2,) float32",
        "product: expected a number, got (1,) float64",
        "seen: expected a number, got '1'",
    ]
    assert misfits(optimizer, state | {"rows": None, "product": None}) == [
        "rows: expected (3,) float64, got None",
        "product: expected a number, got None",
    ]
    assert misfits(Late(nn.Linear(3, 3), lr=0.1), state) == ["Phi: expected (12,) float32, got (8,) float32"]


def test_arrays_made_in_the_first_step_are_those_of_the_same_network():
    """What is not yet there cannot be compared itself: Phi is."""
    first = RMSprop(nn.Linear(3, 2), lr=0.1)
    first.step()
    assert misfits(RMSprop(nn.Linear(3, 3), lr=0.1), first.state_dict()) == [
        "Phi: expected (12,) float32, got (8,) float32"
    ]
    alike = nn.SGD(nn.Linear(3, 2), lr=0.1, momentum=0.9)
    alike.step()
    assert "Phi" not in alike.state_dict()  # as files have always had it
    other = nn.SGD(nn.Linear(3, 3), lr=0.1, momentum=0.9)
    assert misfits(other, alike.state_dict()) == ["velocity: expected (12,) float32, got (8,) float32"]


# ------------------------------------------------------------------------------------------- what would be lost


class Undeclared(nn.Optimizer):
    m = None

    def move(self, lr):
        self._rate = lr
        self.m = self.layer.dPhi + (0 if self.m is None else 0.9 * self.m)
        self._apply()

    def _apply(self):
        self.layer.Phi -= self._rate * self.m


class InPlace(nn.Optimizer):
    arrays = ("v",)

    def __init__(self, layer, lr, mask=None):
        super().__init__(layer, lr)
        self.m, self.v, self.mask = np.zeros_like(layer.Phi), np.zeros_like(layer.Phi), mask
        self._work = np.zeros_like(layer.Phi)

    def move(self, lr):
        m = self.m
        m *= 0.9
        m += self.layer.dPhi
        np.multiply(lr, m, out=self._work)
        self.layer.Phi -= self._work


class Counting(nn.Optimizer):
    t = 0

    def move(self, lr):
        self.t += 1
        self.layer.Phi -= lr / self.t * self.layer.dPhi


@pytest.mark.parametrize(
    ("cls", "name", "line"),
    [
        (Undeclared, "m", 'arrays = ("m",)'),
        (InPlace, "m", 'arrays = ("v", "m",)'),
        (Counting, "t", 'arrays = ("t",)'),
    ],
)  # fmt: skip
def test_state_that_is_not_declared_is_an_error_before_the_first_step(cls, name, line, tmp_path):
    train(cls, 1)  # what is not saved need not be declared
    taken = []

    class Count(nn.Callback):
        def on_batch_end(self, state):
            taken.append(state.batch)

    with pytest.raises(TypeError) as caught:
        train(cls, 1, callbacks=[Count(), nn.Checkpoint(tmp_path / "c.npz")])
    assert str(caught.value) == (
        f"{cls.__name__}: later steps may depend on {name}, which would not be saved; declare what is to be saved, "
        f"{line}, in class {cls.__name__}"
    )
    assert taken == []
    assert not (tmp_path / "c.npz").exists()

    class Declared(cls):
        arrays = (*cls.arrays, name)

    train(Declared, 1, callbacks=[nn.Checkpoint(tmp_path / "c.npz")])
    assert train(Declared, 1, resume=tmp_path / "c.npz") == train(Declared, 2)


def test_a_step_that_overflows_is_taken_back_also_where_state_is_not_declared():
    """The first step makes W 1e38; the second one, by 1e38 times its gradient of 2e38, overflows."""
    layer = nn.Linear(1, 1, bias=False)
    layer.W = [[0.0]]
    optimizer = Undeclared(layer, lr=1e38)
    with pytest.raises(nn.DivergenceError):
        nn.fit(layer, [[1.0]], [[0.5]], loss=nn.MSELoss(reduction="sum"), optimizer=optimizer, epochs=3, verbose=0)
    assert np.isfinite(layer.Phi).all()
    assert optimizer.steps == 1
    np.testing.assert_array_equal(optimizer.m, [-1.0])  # 2 (0 - 0.5)


def test_arguments_of_the_constructor_and_states_of_a_class_of_its_own_need_no_declaration():
    class Masked(InPlace):
        arrays = ("m", "v")

    Masked(nn.Linear(3, 2), lr=0.1, mask=np.ones(8)).state_dict()

    class Saves(Undeclared):
        def state_dict(self):
            return super().state_dict() | {"m": self.m}

    assert Saves(nn.Linear(3, 2), lr=0.1).state_dict()["m"] is None


@pytest.mark.parametrize("value", [{"W": np.zeros(3)}, [np.zeros(3)], 1j, np.zeros(3, complex), "m", np.array(None)])
def test_a_state_that_is_no_array_or_number_is_an_error_when_it_is_saved(value):
    class Odd(nn.Optimizer):
        arrays, m = ("m",), value

    with pytest.raises(TypeError, match=rf"^Odd: m: expected None, an array .* got {type(value).__name__}$"):
        Odd(nn.Linear(3, 2), lr=0.1).state_dict()
