"""Batches that come ready-made, from lists, generators and functions; and rows larger than the memory."""

import os
import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import nnlite as nn

X = np.random.default_rng(0).normal(size=(10, 3))
Y = X[:, :1] * 2
BATCHES = [(X[:4], Y[:4]), (X[4:8], Y[4:8]), (X[8:], Y[8:])]


def train(X, Y=None, epochs=2, **options):
    model = nn.Sequential(nn.Linear(3, 1, rng=0))
    options = {"verbose": 0} | options
    history = nn.fit(model, X, Y, loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1), epochs=epochs, **options)
    return model.Phi.copy(), history.to_dict()


def same(one, other):
    assert_array_equal(one[0], other[0])
    assert one[1] == other[1]


@pytest.mark.parametrize(
    "source",
    [BATCHES, lambda: iter(BATCHES), lambda: [list(pair) for pair in BATCHES]],
    ids=["list", "function", "lists"],
)
def test_a_stream_trains_as_its_rows_would(source):
    same(train(source), train(X, Y, batch_size=4, shuffle=False))


def test_a_generator_serves_for_one_epoch_and_says_why_not_for_two_before_the_first():
    same(train(iter(BATCHES), epochs=1), train(X, Y, batch_size=4, shuffle=False, epochs=1))
    with pytest.raises(ValueError, match="a generator can be read only once, so pass the function that makes it"):
        train(batches := iter(BATCHES), epochs=2)
    assert len(list(batches)) == 3


def test_the_batches_may_be_of_any_size_and_several_inputs():
    a, b = nn.Input("a"), nn.Input("b")
    graph = nn.Graph([a, b], nn.Linear(3, 1, rng=0)(a + b))
    stream = [((X[:3], X[:3]), Y[:3]), ((X[3:], X[3:]), Y[3:])]
    history = nn.fit(graph, stream, loss=nn.MSELoss(), optimizer=nn.SGD(graph, lr=0.05), epochs=3, verbose=0)
    assert history["loss"][-1] < history["loss"][0]


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ([X], {}, "expected batches that are pairs"),
        ([(X, Y, Y)], {}, "expected batches that are pairs"),
        ([(X, Y[:3])], {}, "got 10 rows in X of batch 0 and 3 in Y of batch 0"),
        (BATCHES, {"validation_split": 0.2}, "validation_split: expected rows X and Y, got batches"),
        (BATCHES, {"sample_weight": np.ones(10)}, "sample_weight"),
        ([], {}, "yielded no batch"),
        (X, {}, "Y: expected the targets, got None"),
        (3, {}, "Y: expected the targets, got None"),
    ],
)
def test_mistakes_are_named(source, options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        train(source, **options)


def test_a_stream_validates_on_rows_of_its_own():
    assert len(train(BATCHES, validation_data=(X, Y))[1]["val_loss"]) == 2


@pytest.mark.parametrize("metrics", [[], [lambda Y_pred, Y: float(len(Y))]], ids=["none", "all rows"])
def test_a_stream_serves_for_validation(metrics):
    calls = []

    def source():
        for batch in BATCHES:
            calls.append(1)
            yield batch

    options = {"metrics": metrics, "shuffle": False, "batch_size": 4}
    same(train(X, Y, validation_data=source, **options), train(X, Y, validation_data=(X, Y), **options))
    assert len(calls) == (3 if metrics else 1) + 2 * 3  # tried out, and after each epoch


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (iter(BATCHES), "validation_data: a generator can be read only once, so pass the function that makes it"),
        ([*BATCHES, 3], "validation_data: expected a pair"),
        (X, "validation_data: expected a pair"),
        (3, "validation_data: expected a pair .* got int"),
        (list, "validation_data: the source yielded no batch"),
        (lambda: None, "validation_data: expected the function to return an iterable of batches, got None"),
        (lambda: [(X, Y[:3])], "got 10 rows in X of batch 0 and 3 in Y of batch 0"),
    ],
    ids=["generator", "list", "array", "number", "empty", "nothing", "lengths"],
)
def test_mistakes_in_a_stream_of_validation_are_named_before_training(data, message):
    model = nn.Sequential(nn.Linear(3, 1, rng=0))
    before = model.Phi.copy()
    with pytest.raises((TypeError, ValueError), match=message):
        nn.fit(model, X, Y, loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1), validation_data=data, verbose=0)
    assert_array_equal(model.Phi, before)


@pytest.mark.parametrize(
    "source", [BATCHES, iter(BATCHES), lambda: iter(BATCHES)], ids=["list", "generator", "function"]
)
def test_a_stream_is_evaluated_as_its_rows_are(source):
    model, options = nn.Linear(3, 1, dtype=np.float64, rng=0), {"loss": nn.MSELoss(), "metrics": [nn.r2]}
    assert nn.evaluate(model, source, **options) == pytest.approx(nn.evaluate(model, X, Y, **options), rel=1e-12)


@pytest.mark.parametrize("batches", [BATCHES[:2], BATCHES])
def test_a_list_of_batches_serves_for_validation_also_where_there_are_two(batches):
    rows = tuple(np.concatenate(parts) for parts in zip(*batches, strict=True))
    options = {"shuffle": False, "batch_size": 4}
    same(train(X, Y, validation_data=batches, **options), train(X, Y, validation_data=rows, **options))


def test_a_mistake_in_a_later_batch_of_validation_says_that_it_is_there():
    with pytest.raises(nn.ShapeError) as caught:
        train(X, Y, validation_data=lambda: [(X, Y), (X, X)])
    assert "on the validation data, at the end of epoch 1" in caught.value.__notes__


def test_a_function_with_targets_beside_it_is_an_error():
    with pytest.raises(TypeError, match="Y: expected None, since X is a function"):
        nn.evaluate(nn.Linear(3, 1), lambda: BATCHES, Y, loss=nn.MSELoss())


def test_what_is_no_stream_needs_targets():
    with pytest.raises(TypeError, match="Y: expected the targets, got None"):
        nn.evaluate(nn.Linear(3, 1), X, loss=nn.MSELoss())


def test_one_batch_is_in_memory_at_a_time():
    alive, most = set(), 0

    class Batch(np.ndarray):
        def __del__(self):
            alive.discard(id(self))

    def source():
        nonlocal most
        for pair in BATCHES * 5:
            batch = pair[0].copy().view(Batch)
            alive.add(id(batch))
            most = max(most, len(alive))
            yield batch, pair[1]
            del batch

    train(source, epochs=1)
    assert most <= 3  # the one that is trained on, the layer's last input, and the one that is made


def test_lines_and_bar_where_the_number_of_batches_is_not_known(capsys):
    train(lambda: iter(BATCHES), verbose=1)
    assert [line.split()[1] for line in capsys.readouterr().err.splitlines()] == ["1/2", "2/2"]


HUGE = """
import resource, sys
import numpy as np, nnlite as nn

def anonymous():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("RssAnon"))

X = np.memmap(sys.argv[1], np.float32, "r", shape=(4 * 2**20, 1024))
Y = np.broadcast_to(np.float32(0), (len(X), 1))
model = nn.Sequential(nn.Linear(1024, 1, rng=0))
steps, most = 0, 0
class Few(nn.Callback):
    def on_batch_end(self, state):
        global steps, most
        steps, most = steps + 1, max(most, anonymous())
        return steps == 5
nn.fit(model, X, Y, loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1), batch_size=16, callbacks=[Few()], verbose=0)
print(steps, most)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="reads Linux's own account of the memory")
def test_16_gib_of_rows_train_in_less_than_300_mib(tmp_path):
    path = tmp_path / "huge.dat"
    with open(path, "wb") as file:
        file.truncate(16 * 2**30)  # a file of holes
    done = subprocess.run([sys.executable, "-c", HUGE, str(path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    steps, most = map(int, done.stdout.split())
    assert steps == 5
    assert most < 300 * 1024
