"""Checkpoints: whatever cuts a training off, it ends in the same bytes."""

import os
import signal
import time

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from support import own_layers
from support.case import case
from support.resumed import finish, killed, start
from support.trainings import BATCHES, EPOCHS, WEIGHT, StopAt, X, Y, train

import nnlite as nn
from nnlite.basics.generators import default_generator
from nnlite.training.resume import read


@pytest.mark.parametrize(
    "options",
    [{}, {"accumulate_steps": 2}, {"sample_weight": WEIGHT}, {"class_weight": {0: 2.0}}, {"shuffle": False}],
    ids=["plain", "accumulate", "sample_weight", "class_weight", "in order"],
)
def test_stopped_after_any_batch_it_ends_in_the_same_bytes(tmp_path, options):
    # also between the batches of one step, whose gradients transformers#22143 loses
    path = tmp_path / "c.npz"
    whole = train(EPOCHS, nn.Checkpoint(tmp_path / "whole.npz", unit="batch"), StopAt(0), **options)
    for stop in range(1, EPOCHS * BATCHES + 1) if not options else (1, 5, 9):
        train(EPOCHS, nn.Checkpoint(path, unit="batch"), StopAt(stop), **options)
        rest = nn.Checkpoint(path, unit="batch")
        assert rest.epochs_done == (stop - 1) // BATCHES
        resumed = train(EPOCHS - rest.epochs_done, rest, StopAt(0), resume=path, **options)
        with case(f"stopped after batch {stop}"):
            assert resumed == whole


@pytest.mark.parametrize("first", [1, 2, 3])
def test_n_epochs_and_m_more_are_n_plus_m(tmp_path, first):
    path = tmp_path / "c.npz"
    train(first, nn.Checkpoint(path))
    assert nn.Checkpoint(path).epochs_done == first
    assert train(5 - first, nn.Checkpoint(path), resume=str(path)) == train(5, nn.Checkpoint(path))


def test_early_stopping_counts_on_after_a_break(tmp_path):
    """A training that stops early does so after a break, too, and knows its best weights from before."""

    class Fake(nn.Callback):
        def on_epoch_begin(self, state):
            state.extra["fake"] = [3.0, 1.0, 2.0, 2.0, 2.0, 2.0][state.epoch - 1]

    def run(epochs, path, **options):
        model = nn.Sequential(nn.Linear(4, 1, rng=0))
        stopping = nn.EarlyStopping("fake", patience=3, mode="min")
        nn.fit(model, X, Y, loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1), epochs=epochs, verbose=0, rng=0,
               callbacks=[Fake(), stopping, nn.Checkpoint(path)], **options)  # fmt: skip
        return model.Phi.tobytes(), stopping.best, stopping.best_epoch

    path = tmp_path / "c.npz"
    whole = run(6, path)
    assert whole[1:] == (1.0, 2)
    run(4, path)
    assert run(2, path, resume=path) == whole


def test_every_so_many_epochs_and_the_last(tmp_path):
    path = tmp_path / "c.npz"
    assert done_before_each(path, 5, nn.Checkpoint(path, every=2)) == [0, 0, 2, 2, 4, 5]


def done_before_each(path, epochs, *callbacks):
    """How many epochs the file has behind it before each epoch, and in the end."""
    seen = []

    class Look(nn.Callback):
        def on_epoch_begin(self, state):
            seen.append(nn.Checkpoint(path).epochs_done)

    train(epochs, *callbacks, Look())
    return [*seen, nn.Checkpoint(path).epochs_done]


def test_every_so_many_batches(tmp_path):
    path, seen = tmp_path / "c.npz", []

    class Look(nn.Callback):
        def on_batch_end(self, state):
            seen.append(path.exists() and (read(path)["epoch"], read(path)["batch"]))

    train(3, nn.Checkpoint(path, every=4, unit="batch"), Look())
    assert seen == [False] * 4 + [(1, 1)] * 4 + [(2, 2)]  # it is written after all callbacks


def test_best_only_keeps_the_best_epoch(tmp_path):
    path = tmp_path / "c.npz"

    class Fake(nn.Callback):
        def on_epoch_begin(self, state):
            state.extra["fake"] = [3.0, 1.0, 2.0, 0.5, 0.7][state.epoch - 1]

    checkpoint = nn.Checkpoint(path, best_only=True, monitor="fake", mode="min")
    assert done_before_each(path, 5, Fake(), checkpoint) == [0, 1, 2, 2, 4, 4]
    path.unlink()
    assert done_before_each(path, 1, Fake(), checkpoint) == [0, 1]  # it starts anew with each training


def test_a_value_that_is_nan_is_never_the_best(tmp_path):
    """As of lightning#2636: a metric that is NaN in the first epoch, after which no number compares as better."""

    class Fake(nn.Callback):
        def on_epoch_begin(self, state):
            state.extra["fake"] = [np.nan, 0.5, np.nan, 0.7, np.inf, 0.6][state.epoch - 1]

    checkpoint = nn.Checkpoint(tmp_path / "c.npz", best_only=True, monitor="fake", mode="max")
    assert done_before_each(checkpoint.path, 6, Fake(), checkpoint) == [0, 0, 2, 2, 4, 4, 4]
    assert checkpoint.best == 0.7


def test_resume_goes_on_with_history_and_epoch_numbers(tmp_path, capsys):
    path = tmp_path / "c.npz"
    train(2, nn.Checkpoint(path))
    _, history = train(2, nn.Checkpoint(path), resume=path, verbose=1)
    assert len(history["loss"]) == 4
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[1] for line in lines] == ["3/4", "4/4"]


@nn.register
class Noise(nn.Layer):
    """Noise, in evaluation too."""

    def __init__(self):
        self.rng = np.random.default_rng(3)

    def forward(self, X):
        return self.record_Y(X + self.rng.normal(size=X.shape) * 0.1)

    def backward(self, dY):
        return self.check_dY(dY).copy()


def test_generators_of_layers_go_on_too(tmp_path):
    def run(epochs, **options):
        model = nn.Sequential(Noise(), nn.Linear(4, 1, rng=0))
        nn.fit(model, X, Y, loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1), epochs=epochs, verbose=0, rng=0,
               callbacks=[nn.Checkpoint(tmp_path / "c.npz")], **options)  # fmt: skip
        return model.Phi.tobytes()

    whole = run(4)
    run(2)
    assert run(2, resume=tmp_path / "c.npz") == whole


def test_streams_go_on_in_the_middle(tmp_path):
    def batches():
        return ((X[start : start + 10], Y[start : start + 10]) for start in range(0, 50, 10))

    def run(epochs, *callbacks, **options):
        model = nn.Sequential(nn.Linear(4, 1, rng=0))
        optimizer = nn.SGD(model, lr=0.1, momentum=0.9)
        callbacks = [nn.Checkpoint(tmp_path / "c.npz", unit="batch"), *callbacks]
        nn.fit(model, batches, loss=nn.MSELoss(), optimizer=optimizer, epochs=epochs, verbose=0, callbacks=callbacks,
               **options)  # fmt: skip
        return model.Phi.tobytes()

    whole = run(2)
    for stop in range(1, 11):
        run(2, lambda state: None, type("Stop", (), {"on_batch_end": lambda self, state, stop=stop: (
            (state.epoch - 1) * 5 + state.batch == stop)})())  # fmt: skip
        done = nn.Checkpoint(tmp_path / "c.npz").epochs_done
        assert run(2 - done, resume=tmp_path / "c.npz") == whole


@pytest.mark.parametrize("wrong", [{"every": 0}, {"unit": "hour"}, {"mode": "best"}, {"best_only": True, "every": 2}])
def test_bad_options(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        nn.Checkpoint("c.npz", **wrong)


# ------------------------------------------------------------------------------------------- real processes


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The weights after the training of support/resumed.py that nobody disturbs."""
    return finish(tmp_path_factory.mktemp("undisturbed") / "c.npz")


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, -signal.SIGINT), (signal.SIGTERM, 143)])
def test_an_interrupt_writes_a_checkpoint_and_the_rest_ends_in_the_same_bytes(tmp_path, undisturbed, signum, code):
    path = tmp_path / "c.npz"
    process = start(path, 0.01)
    while not path.exists():
        time.sleep(0.01)
    process.send_signal(signum)
    out, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert (out, err) == ("", "")
    assert finish(path) == undisturbed


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_killed_again_and_again_it_ends_in_the_same_bytes(tmp_path, undisturbed):
    """Two kills; ``python tests/support/resumed.py`` does thirty."""
    assert killed(tmp_path / "killed.npz", 2, np.random.default_rng(0)) == undisturbed


# ------------------------------------------------------------------------------------------- what else is in it


def test_load_gives_the_model_of_a_checkpoint(tmp_path):
    path, model = tmp_path / "c.npz", nn.Sequential(nn.Linear(4, 1, rng=0), nn.Sigmoid())
    nn.fit(model, X, Y, loss=nn.BCELoss(), optimizer=nn.SGD(model, lr=0.1), callbacks=[nn.Checkpoint(path)], verbose=0)
    assert_array_equal(nn.predict(nn.load(path), X), nn.predict(model, X))


def test_metrics_over_all_rows_go_on_in_the_middle_of_an_epoch(tmp_path):
    path = tmp_path / "c.npz"
    options = {"metrics": [nn.binary_accuracy, nn.f1]}
    whole = train(2, nn.Checkpoint(path, unit="batch"), **options)
    train(2, nn.Checkpoint(path, unit="batch"), StopAt(2), **options)
    assert train(2, nn.Checkpoint(path, unit="batch"), resume=path, **options) == whole


# ------------------------------------------------------------------------------------------- beside other callbacks


def scored(epochs, path, before, after, scores, **options):
    """A training whose epochs have these scores, with callbacks before and after the checkpoint in the list."""

    class Score(nn.Callback):
        def on_epoch_begin(self, state):
            state.extra["score"] = scores[state.epoch - 1]

    model = nn.Sequential(nn.Linear(4, 1, rng=0))
    optimizer = nn.SGD(model, lr=0.1, momentum=0.5)
    made = [[make(optimizer) for make in makers] for makers in (before, after)]
    history = nn.fit(model, X, Y, loss=nn.MSELoss(), optimizer=optimizer, epochs=epochs, verbose=0, rng=0,
                     callbacks=[Score(), *made[0], nn.Checkpoint(path), *made[1]], **options)  # fmt: skip
    return model.Phi.tobytes(), history.to_dict()


def patient(optimizer):
    return nn.EarlyStopping("score", mode="min", patience=2)


def plateau(optimizer):
    return nn.ReduceLROnPlateau(optimizer, monitor="score", mode="min", patience=1)


@pytest.mark.parametrize("make", [patient, plateau])
@pytest.mark.parametrize("first", [True, False])
def test_the_order_of_the_callbacks_makes_no_difference(tmp_path, make, first):
    scores = [5.0, 4.0, 4.5, 3.0, 3.5, 3.6, 3.7, 3.8]
    callbacks = ([make], []) if first else ([], [make])
    whole = scored(8, tmp_path / "whole.npz", *callbacks, scores)
    for cut in range(1, 8):
        path = tmp_path / f"{cut}.npz"
        scored(cut, path, *callbacks, scores)
        with case(f"cut after epoch {cut}"):
            assert scored(8 - cut, path, *callbacks, scores, resume=path) == whole


@pytest.mark.parametrize(("patience", "epochs"), [(0, 3), (1, 3), (2, 4)])
def test_a_training_that_early_stopping_has_ended_is_not_taken_up_again(tmp_path, patience, epochs):
    def stopping(optimizer):
        return nn.EarlyStopping("score", mode="min", patience=patience)

    scores = [5.0, 4.0, 4.5, 4.6, 1.0, 1.0]
    path = tmp_path / "c.npz"
    ended = scored(6, path, [stopping], [], scores)
    assert len(ended[1]["loss"]) == epochs
    for _ in range(2):
        rest = 6 - nn.Checkpoint(path).epochs_done
        assert scored(rest, path, [stopping], [], scores, resume=path) == ended


def test_the_best_file_survives_a_break_beside_the_last(tmp_path):
    best, last = tmp_path / "best.npz", tmp_path / "last.npz"
    scores = [0.5, 0.1, 0.3, 0.4]
    for order in (1, -1):

        def keep(optimizer):
            return nn.Checkpoint(best, best_only=True, monitor="score", mode="min")

        before, after = ([keep], [])[::order]
        scored(2, last, before, after, scores)
        scored(2, last, before, after, scores, resume=last)
        assert nn.Checkpoint(best).epochs_done == 2


@pytest.mark.parametrize(("stop", "done", "batch"), [("on_batch_end", 1, 2), ("on_epoch_end", 2, 0)])
def test_whatever_ends_training_there_is_a_checkpoint(tmp_path, stop, done, batch):
    path = tmp_path / "c.npz"
    where = {"on_batch_end": (2, 2), "on_epoch_end": (2, 0)}[stop]
    callback = type("Stop", (), {stop: lambda self, state: (state.epoch, state.batch) == where})()
    train(9, nn.Checkpoint(path, every=7), callback)
    content = read(path)
    assert (content["epoch"], content["batch"]) == (done, batch)


def test_validation_is_tried_out_before_the_generators_are_taken_up(tmp_path):
    def run(epochs, **options):
        model = nn.Sequential(Noise(), nn.Linear(4, 1, rng=0))
        nn.fit(model, X, Y, loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1), epochs=epochs, verbose=0, rng=0,
               callbacks=[nn.Checkpoint(tmp_path / "c.npz")], validation_data=(X, Y), **options)  # fmt: skip
        return model.Phi.tobytes()

    whole = run(4)
    run(2)
    assert run(2, resume=tmp_path / "c.npz") == whole


def test_the_rows_keep_to_their_sides_of_the_split_also_with_another_seed(tmp_path):
    path = tmp_path / "c.npz"
    train(2, nn.Checkpoint(path), StopAt(4))
    assert train(2, nn.Checkpoint(path), StopAt(0), seed=99, resume=path) == train(3, nn.Checkpoint(path), StopAt(0))


# ------------------------------------------------------------------------------------------- all state of all layers


def own_training(path, epochs, *callbacks, rng=0, **options):
    """Layers and a loss of a user's own: the state of the model, generators included, and the history."""
    model, (inputs, targets) = own_layers.network(rng), own_layers.data()
    optimizer = nn.SGD(model, lr=0.1, momentum=0.9)
    stopping = nn.EarlyStopping("loss", patience=50, restore_best_weights=False)
    history = nn.fit(model, inputs, targets, loss=own_layers.OwnLoss(), optimizer=optimizer, epochs=epochs, rng=rng,
                     batch_size=9, callbacks=[stopping, nn.Checkpoint(path), *callbacks], verbose=0,
                     **options)  # fmt: skip
    state = {name: array.tobytes() for name, array in model.state_dict().items()}
    return state, [each.bit_generator.state for _, each in model.named_generators()], history.to_dict()


@pytest.mark.parametrize("stop", range(1, 7))
def test_buffers_and_generators_of_a_users_layers_go_on_from_the_middle_of_an_epoch(tmp_path, stop):
    path = tmp_path / "c.npz"
    whole = own_training(path, 2)
    assert "3.running_mean" in whole[0]
    own_training(path, 2, StopAt(stop))
    rest = 2 - nn.Checkpoint(path).epochs_done
    assert own_training(path, rest, StopAt(0), resume=path) == whole
    assert_array_equal(nn.load(path)[3].running_mean, np.frombuffer(whole[0]["3.running_mean"], np.float32))


class DefaultDropout(own_layers.OwnDropout):
    """Draws from the default generator."""

    def __init__(self):
        self.p, self.rng = 0.5, default_generator()


nn.register(DefaultDropout)


@pytest.mark.parametrize("stop", [2, 3, 4])
def test_the_default_generator_goes_on_too(tmp_path, stop):
    def run(epochs, *callbacks, seed=1, **options):
        nn.manual_seed(seed)
        model = nn.Sequential(nn.Linear(4, 6), DefaultDropout(), nn.Linear(6, 1))

        class Draw(nn.Callback):
            def on_batch_end(self, state):
                state.model.Phi += 0.01 * default_generator().random()

        nn.fit(model, X, Y, loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1), epochs=epochs, batch_size=20, verbose=0,
               callbacks=[Draw(), nn.Checkpoint(tmp_path / "c.npz"), *callbacks], **options)  # fmt: skip
        return model.Phi.tobytes(), default_generator().random()

    whole = run(3)
    run(3, StopAt(stop))
    assert run(3 - nn.Checkpoint(tmp_path / "c.npz").epochs_done, seed=2, resume=tmp_path / "c.npz") == whole


# ------------------------------------------------------------------------------------------- found before training


class Scale(nn.Layer, parameters=("gamma",), buffers=("largest",)):
    """A layer that is not registered."""

    def __init__(self):
        self.gamma, self.largest = np.ones(4), 0.0

    def forward(self, X):
        self.X = self.check_X(X)
        self.largest = max(float(self.largest), float(np.abs(self.X).max()))
        return self.record_Y(self.X * self.gamma)

    def backward(self, dY):
        dY = self.check_dY(dY)
        self.dgamma = np.sum(dY * self.X, axis=0)
        return dY * self.gamma


def test_a_model_with_an_unregistered_layer_is_saved_without_its_architecture_and_a_warning_says_so(tmp_path):
    path = tmp_path / "c.npz"

    def run(epochs, **options):
        model = nn.Sequential(Scale(), nn.Linear(4, 1, rng=0))
        with pytest.warns(UserWarning, match="Checkpoint: ") as caught:
            nn.fit(model, X, Y, loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1), epochs=epochs, verbose=0, rng=0,
                   callbacks=[nn.Checkpoint(path)], **options)  # fmt: skip
        (warning,) = caught
        assert str(warning.message) == (
            f"Checkpoint: {path} will not hold the architecture of the model, only its state: Scale(): the class Scale "
            "is unregistered, so it cannot be saved; call nnlite.register(Scale) once, where it is defined"
        )
        assert warning.filename == __file__
        return model.Phi.tobytes(), float(model[0].largest)

    whole = run(4)
    run(3)
    assert run(1, resume=path) == whole
    with pytest.raises(nn.CheckpointError, match=r"its model has unregistered layers; use nnlite\.fit"):
        nn.load(path)


class Batches(nn.Callback):
    """Counts batches in whatever it is given."""

    def __init__(self, count):
        self.count = count
        self.seen = 0

    def on_batch_end(self, state):
        self.seen += 1

    def state_dict(self):
        return {"count": self.count}

    def load_state_dict(self, state):
        self.count = state["count"]


def test_the_state_of_a_callback_that_cannot_be_saved_is_found_before_the_first_batch(tmp_path):
    callback = Batches({1, 2})
    with pytest.raises(TypeError, match=r"training\.callbacks\.Batches\.count: expected .*, got set, which cannot be"):
        train(1, callback, nn.Checkpoint(tmp_path / "c.npz"))
    assert callback.seen == 0
    assert os.listdir(tmp_path) == []


def test_numpy_scalars_in_the_state_of_a_callback_come_back_as_such(tmp_path):
    callback = Batches([np.float32(0.1), np.int8(3)])
    train(1, callback, nn.Checkpoint(tmp_path / "c.npz"))
    resumed = Batches(None)
    train(1, resumed, nn.Checkpoint(tmp_path / "c.npz"), resume=tmp_path / "c.npz")
    assert resumed.count == callback.count
    assert [type(value) for value in resumed.count] == [np.float32, np.int8]


def test_a_generator_that_cannot_be_saved_is_found_before_the_first_batch(tmp_path):
    class Mine(np.random.PCG64):
        pass

    callback = Batches(0)
    with pytest.raises(TypeError, match=r"the generator rng: expected a generator with .*got Mine, whose"):
        train(1, callback, nn.Checkpoint(tmp_path / "c.npz"), rng=np.random.Generator(Mine(0)))
    assert callback.seen == 0


def test_a_path_that_cannot_be_written_is_found_before_the_first_batch(tmp_path):
    """Not after the first batch or epoch."""
    callback = Batches(0)
    wrong = {tmp_path: IsADirectoryError, tmp_path / "no" / "c.npz": FileNotFoundError, tmp_path / ("x" * 250): OSError}
    for path, error in wrong.items():
        with pytest.raises(error):
            train(1, callback, nn.Checkpoint(path))
    assert callback.seen == 0


# ------------------------------------------------------------------------------------------- nothing good is replaced


def test_an_infinite_gradient_leaves_the_last_good_parameters_in_model_and_file(tmp_path):
    """|w x| has the derivative 0 / 0 at x = 0 after the root: the third row is as far as it gets."""
    path = tmp_path / "c.npz"
    model = nn.Sequential(nn.Linear(1, 1, bias=False, rng=0), nn.Abs(), nn.Sqrt())
    model[0].W = [[0.5]]
    with pytest.raises(nn.DivergenceError):
        nn.fit(model, [[1.0], [2.0], [0.0], [3.0]], [[1.0]] * 4, loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1),
               batch_size=1, shuffle=False, callbacks=[nn.Checkpoint(path, unit="batch")], verbose=0)  # fmt: skip
    w = 0.5
    for x in 1.0, 2.0:  # dJ/dw = 2 (sqrt(w x) - 1) x / (2 sqrt(w x))
        w -= 0.1 * (np.sqrt(w * x) - 1) * x / np.sqrt(w * x)
    assert model[0].W.item() == pytest.approx(w, rel=1e-6)
    assert nn.load(path)[0].W == model[0].W
    assert read(path)["batch"] == 2


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_parameters_that_are_not_finite_do_not_replace_good_ones(tmp_path, bad):
    path = tmp_path / "c.npz"

    class Spoil(nn.Callback):
        def on_batch_end(self, state):
            state.model[0].W[0, 0] = bad if state.batch == 2 else 0.5
            return state.batch == 2

    train(1, nn.Checkpoint(path, unit="batch"), Spoil())
    assert np.isfinite(nn.load(path).Phi).all()
    assert read(path)["batch"] == 1


def test_a_path_with_braces_is_refused_since_nothing_fills_them_in():
    """Keras fills in ModelCheckpoint's path; here the braces would be part of the file's name."""
    with pytest.raises(ValueError, match=r"path: one file is replaced each time, nothing is filled in, got 'w-\{epoch"):
        nn.Checkpoint("w-{epoch}.npz")


def test_two_checkpoints_on_one_path_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = nn.Sequential(nn.Linear(1, 1, rng=0))
    both = [nn.Checkpoint("a.npz"), nn.Checkpoint(tmp_path / "a.npz", best_only=True, monitor="loss")]
    with pytest.raises(ValueError, match=r"Checkpoint: two write to .*a\.npz; give each a path of its own"):
        nn.fit(model, [[1.0]], [[2.0]], loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1), callbacks=both, verbose=0)
    assert list(tmp_path.iterdir()) == []
