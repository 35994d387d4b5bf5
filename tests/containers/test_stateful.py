"""Stateful: a long sequence in pieces is the whole; gradients end at the cuts; checkpoints hold the state."""

import copy
import itertools
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import nnlite as nn

rng = np.random.default_rng(0)
N, T, D, H = 3, 11, 2, 4
X, dY = rng.normal(size=(N, T, D)), rng.normal(size=(N, T, H))
LAYERS = {
    "RNN": lambda: nn.RNN(D, H, return_state=True, dtype=np.float64, rng=0),
    "LSTM": lambda: nn.LSTM(D, H, return_state=True, dtype=np.float64, rng=0),
    "GRU": lambda: nn.GRU(D, H, return_state=True, dtype=np.float64, rng=0),
    "LSTM of 2 layers": lambda: nn.LSTM(D, H, 2, return_state=True, dtype=np.float64, rng=0),
}
PIECES = [slice(0, 4), slice(4, 8), slice(8, 11)]
each = pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)


@each
def test_pieces_give_the_whole_in_forward_and_gradients_end_at_the_cuts(make):
    layer, plain = nn.Stateful(make()), make()
    whole = plain.forward(X)[0]
    states = ()
    for piece in PIECES:
        assert_allclose(layer.forward(X[:, piece]), whole[:, piece], rtol=1e-12)
        dX = layer.backward(dY[:, piece])
        _, *final = plain.forward(X[:, piece], None, *states)  # with the state as a constant
        given = plain.backward(dY[:, piece], *map(np.zeros_like, final))
        assert_array_equal(dX, given[0] if states else given)
        assert_array_equal(layer.dPhi, plain.dPhi)
        states = final
        nn.carry_state(layer)


@each
def test_one_step_at_a_time_is_the_whole(make):
    model = nn.Sequential(nn.Stateful(make()), nn.Linear(H, 2, dtype=np.float64, rng=1))
    whole = nn.predict(model, X)
    for step in range(T):
        assert_allclose(model.forward(X[:, [step]])[:, 0], whole[:, step], rtol=1e-12)
        nn.carry_state(model)


def test_forward_alone_carries_nothing():
    layer = nn.Stateful(LAYERS["LSTM"]())
    first = layer.forward(X)
    assert_array_equal(layer.forward(X), first)
    nn.carry_state(layer)
    second = layer.forward(X)
    assert_array_equal(layer.forward(X), second)
    assert not np.allclose(first, second)
    nn.reset_state(layer)
    assert_array_equal(layer.forward(X), first)


def test_lengths_carry_the_state_after_the_last_step_of_each():
    layer, plain = nn.Stateful(LAYERS["GRU"]()), LAYERS["GRU"]()
    layer.forward(X, [11, 3, 7])
    nn.carry_state(layer)
    assert_array_equal(layer.state[0], plain.forward(X, [11, 3, 7])[1])


def test_copies_keep_the_state_twins_and_files_do_not(tmp_path):
    layer = nn.Stateful(LAYERS["LSTM"]())
    anew = layer.forward(X)
    nn.carry_state(layer)
    later = layer.forward(X)
    for other in copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)):
        assert_array_equal(other.forward(X), later)
    assert_array_equal(nn.predict(layer, X), anew)
    assert_array_equal(layer.forward(X), later)
    nn.save(layer, tmp_path / "layer.npz")
    assert_array_equal(nn.load(tmp_path / "layer.npz").forward(X), anew)


def test_another_dtype_starts_anew():
    layer = nn.Stateful(LAYERS["GRU"]())
    layer.forward(X)
    nn.carry_state(layer)
    assert layer.astype(np.float32).state is None
    assert layer.forward(X.astype(np.float32)).dtype == np.float32


def test_what_it_refuses():
    with pytest.raises(TypeError, match=r"^Stateful: expected an RNN, LSTM or GRU, got Linear\(2 -> 3\)$"):
        nn.Stateful(nn.Linear(2, 3))
    with pytest.raises(TypeError, match=r"^Stateful: .*; write GRU\(\.\.\., return_state=True\)$"):
        nn.Stateful(nn.GRU(2, 3))
    for options in {"reverse": True}, {"bidirectional": True}:
        with pytest.raises(ValueError, match=r"^Stateful: expected a layer from the first step to the last, got LSTM"):
            nn.Stateful(nn.LSTM(2, 3, return_state=True, **options))
    layer = nn.Stateful(LAYERS["GRU"]())
    with pytest.raises(nn.StateError, match=r"carry_state was called before forward; call forward\(X\) first$"):
        nn.carry_state(layer)
    layer.forward(X)
    nn.carry_state(layer)
    with pytest.raises(nn.ShapeError, match=r"expected 3 sequences, as in the piece before, got 2; for others"):
        layer.forward(X[:2])
    for use in nn.carry_state, nn.reset_state:
        with pytest.raises(TypeError, match=rf"^{use.__name__}: expected a model with layers nnlite\.Stateful"):
            use(nn.Tanh())


# ------------------------------------------------------------------------------------------------ in fit and evaluate


TARGET = rng.integers(0, 3, (N, T))
OPTIONS = {"loss": nn.CrossEntropyLoss(dim=-1), "batch_size": 2, "verbose": 0}


def model_of(make=LAYERS["LSTM"]):
    return nn.Sequential(nn.Stateful(make()), nn.Dropout(0.2, rng=4), nn.Linear(H, 3, dtype=np.float64, rng=1))


def test_fit_is_the_loop_by_hand():
    """Batches of 2 sequences and 1, pieces of 4, 4 and 3 steps."""
    model, by_hand = model_of(), model_of()
    nn.fit(model, nn.Pieces(X, TARGET, steps=4), optimizer=nn.SGD(model, lr=0.1), epochs=2, shuffle=False, **OPTIONS)
    loss, optimizer = nn.CrossEntropyLoss(dim=-1), nn.SGD(by_hand, lr=0.1)
    for _, rows in itertools.product(range(2), [slice(0, 2), slice(2, 3)]):
        nn.reset_state(by_hand)
        for piece in PIECES:
            loss.forward(by_hand.forward(X[rows, piece]), TARGET[rows, piece])
            by_hand.backward(loss.backward())
            nn.carry_state(by_hand)
            optimizer.step()
    assert_array_equal(model.Phi, by_hand.Phi)
    assert model[0].state is None


@pytest.mark.parametrize("steps", [1, 4, 11, 50])
def test_evaluate_of_pieces_is_that_of_the_whole(steps):
    model = model_of()
    options = {"loss": OPTIONS["loss"], "metrics": [nn.accuracy, nn.perplexity], "batch_size": 2}
    whole = nn.evaluate(model, X, TARGET, **options)
    pieces = nn.evaluate(model, nn.Pieces(X, TARGET, steps=steps), **options)
    assert pieces == {name: pytest.approx(value, rel=1e-12) for name, value in whole.items()}


def test_rows_that_are_no_pieces_start_anew_in_each_batch():
    model = model_of()
    one = nn.evaluate(model, X, TARGET, loss=OPTIONS["loss"], batch_size=1)
    assert one == {"loss": pytest.approx(nn.evaluate(model, X, TARGET, loss=OPTIONS["loss"])["loss"], rel=1e-12)}
    nn.fit(model, X, TARGET, optimizer=nn.SGD(model, lr=0.1), **OPTIONS)
    assert model[0].state is None


@pytest.mark.parametrize("stop", [1, 2, 4, 6, 8])
def test_resumed_in_the_middle_it_is_bit_identical(stop, tmp_path):
    """With a validation split of pieces, weights of rows and batches that are accumulated."""
    data = nn.Pieces(np.concatenate([X, X[::-1], X]), np.concatenate([TARGET, TARGET, TARGET[::-1]]), steps=4)
    more = {"validation_split": 0.3, "sample_weight": np.arange(1.0, 10.0), "metrics": [nn.perplexity]}

    def train(model, **options):
        return nn.fit(model, data, optimizer=nn.Adam(model), rng=options.pop("rng", 7), **OPTIONS, **more, **options)

    whole = model_of()
    expected = train(whole, epochs=2)

    def interrupt(state):
        nonlocal seen
        seen += 1
        state.stop = seen == stop

    seen = 0
    model, path = model_of(), tmp_path / "training.npz"
    callback = nn.Checkpoint(path, unit="batch", every=1)

    class Stop(nn.Callback):
        on_batch_end = staticmethod(interrupt)

    train(model, epochs=2, callbacks=[Stop(), callback])
    other = model_of()
    other.Phi += 1
    history = train(other, epochs=2 - callback.epochs_done, resume=path, callbacks=[nn.Checkpoint(path)], rng=99)
    assert_array_equal(other.Phi, whole.Phi)
    assert history.to_dict() == expected.to_dict()


@pytest.mark.parametrize("state", [3, [1.0], [np.ones((2, 4))] * 3, [np.ones(4)] * 2, [np.ones((2, 4)), "a"]], ids=str)
def test_a_state_of_another_layer_is_an_error(state):
    with pytest.raises((TypeError, ValueError)):
        nn.Stateful(LAYERS["LSTM"]()).checked_state(state)


def test_a_step_that_diverges_leaves_a_state_that_is_not_used_again():
    model = model_of()
    bad = X.copy()
    bad[0, 9] = np.nan
    with pytest.raises(nn.DivergenceError):
        nn.fit(model, nn.Pieces(bad, TARGET, steps=4), optimizer=nn.SGD(model, lr=0.1), **OPTIONS)
    assert model[0].state is None


def test_compiled_steps_are_refused():
    model = model_of()
    with pytest.raises(TypeError, match=r"^compiled: .* carries its state from one step to the next; leave"):
        nn.fit(model, nn.Pieces(X, TARGET, steps=4), optimizer=nn.SGD(model, lr=0.1), compiled=True, **OPTIONS)


def test_predict_reads_the_sequences_of_pieces_as_a_whole():
    assert_array_equal(nn.predict(model_of(), nn.Pieces(X, TARGET, steps=4)), nn.predict(model_of(), X))


def test_what_pieces_refuse():
    with pytest.raises(TypeError, match=r"^X: expected rows X and Y, got Pieces; pass the whole sequences"):
        nn.minimize(model_of(), nn.Pieces(X, TARGET, steps=4), loss=OPTIONS["loss"], verbose=0)
    with pytest.raises(nn.ShapeError, match=r"^Pieces: expected X and Y with N sequences of T steps, .* one seq"):
        nn.Pieces(X[0, :, 0], TARGET[0, :], steps=2)
    with pytest.raises(nn.ShapeError, match=r"got \(3, 11, 2\) and \(3, 10\)"):
        nn.Pieces(X, TARGET[:, 1:], steps=2)
    with pytest.raises(ValueError, match=r"^Pieces: steps: expected at least 1, got 0$"):
        nn.Pieces(X, TARGET, steps=0)
    with pytest.raises(ValueError, match=r"^Pieces: expected at least one sequence of one step"):
        nn.Pieces(X[:0], TARGET[:0], steps=2)
    with pytest.raises(TypeError, match=r"^Y: expected the targets in Pieces\(sequences, targets\), and no Y"):
        nn.evaluate(model_of(), nn.Pieces(X, TARGET, steps=2), TARGET, loss=OPTIONS["loss"])
