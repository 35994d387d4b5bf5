"""Sequences of different lengths: padded, in batches of like lengths, and only their own steps count."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import nnlite as nn

rng = np.random.default_rng(0)
LENGTHS = [5, 2, 7, 1, 4, 2, 6, 3, 3, 5]
X = [rng.normal(size=(length, 2)) for length in LENGTHS]
TAGS = [rng.integers(0, 3, length) for length in LENGTHS]
CURVES = [rng.normal(size=(length, 3)) for length in LENGTHS]
CLASS = np.arange(10) % 3


def tagger():
    """A model of (X, lengths) with three outputs for each step."""
    x, lengths = nn.Input("x"), nn.Input("lengths")
    h = nn.GRU(2, 4, dtype=np.float64, rng=0)(x, lengths)
    return nn.Graph([x, lengths], nn.Linear(4, 3, dtype=np.float64, rng=1)(h))


def classifier():
    return nn.Sequential(nn.GRU(2, 4, last=True, dtype=np.float64, rng=0), nn.Linear(4, 3, dtype=np.float64, rng=1))


def each_alone(model, rows=range(10)):
    """The outputs for the steps of each sequence, run by itself."""
    return [model.evaluation_twin().forward(X[row][None], [LENGTHS[row]])[0] for row in rows]


# ------------------------------------------------------------------------------------------------ pad_sequence


def test_pad_sequence_by_hand():
    padded, lengths = nn.pad_sequence([[1, 2, 3], np.array([4])], -100)
    assert_array_equal(padded, [[1, 2, 3], [4, -100, -100]])
    assert_array_equal(lengths, [3, 1])
    assert padded.dtype.kind == lengths.dtype.kind == "i"


def test_pad_sequence_of_vectors():
    padded, lengths = nn.pad_sequence(X)
    assert padded.shape == (10, 7, 2)
    assert_array_equal(lengths, LENGTHS)
    for row, length, sequence in zip(padded, LENGTHS, X, strict=True):
        assert_array_equal(row[:length], sequence)
        assert not row[length:].any()


@pytest.mark.parametrize(
    ("dtype", "value", "expected"),
    [(np.float32, 0, np.float32), (np.float32, -1.5, np.float32), (np.int32, 0, np.int32), (np.int32, -100, np.int32),
     (np.uint8, -100, np.int64), (np.int64, np.nan, np.float64), (bool, 0, bool), (bool, -1, np.int64)],
)  # fmt: skip
def test_pad_sequence_keeps_the_dtype_if_that_holds_the_padding(dtype, value, expected):
    padded, _ = nn.pad_sequence([np.ones(2, dtype), np.ones(1, dtype)], value)
    assert padded.dtype == expected
    assert_array_equal(padded[1, 1], value)


def test_pad_sequence_is_pytorchs():
    torch = pytest.importorskip("torch")
    other = torch.nn.utils.rnn.pad_sequence([torch.tensor(each) for each in X], batch_first=True, padding_value=2.5)
    assert_array_equal(nn.pad_sequence(X, 2.5)[0], other.numpy())


@pytest.mark.parametrize(
    ("sequences", "error", "message"),
    [
        ([], ValueError, r"^sequences: expected at least one sequence, got none$"),
        ([[1], []], ValueError, r"^sequences\[1\]: expected at least one step, got none; leave the sequence out$"),
        ([1, 2], TypeError, r"^sequences\[0\]: expected a sequence, got a number$"),
        ([["a"]], TypeError, r"sequences\[0\]"),
        ([np.ones((2, 3)), np.ones((2, 4))], nn.ShapeError, r"^sequences\[1\]: expected steps .* \(3,\), got \(4,\)$"),
    ],
)
def test_what_pad_sequence_refuses(sequences, error, message):
    with pytest.raises(error, match=message):
        nn.pad_sequence(sequences)


# ------------------------------------------------------------------------------------------------ batches


def test_batches_are_of_like_lengths_and_have_each_row_once():
    lengths = np.random.default_rng(1).integers(1, 200, 1003)
    rows, drawn = nn.Sequences([np.zeros(length) for length in lengths]), np.random.default_rng(2)
    orders = [rows.order(drawn, 32) for _ in range(3)]
    for order in orders:
        assert_array_equal(np.sort(order), np.arange(1003))
        batches = [lengths[batch.rows] for batch in rows.batches(32, order)]
        assert [len(batch) for batch in batches] == [32] * 31 + [11]
        assert sum(len(batch) * batch.max() for batch in batches) < 1.25 * lengths.sum()  # 2.0 for rows at random
        assert abs(np.corrcoef(np.arange(31), [batch.mean() for batch in batches[:31]])[0, 1]) < 0.6
    members = [{frozenset(order[start : start + 32]) for start in range(0, 992, 32)} for order in orders]
    assert not members[0] & members[1]  # other rows together in each epoch


def test_rows_of_different_lengths_meet_others_in_each_epoch():
    rows, drawn = nn.Sequences([np.zeros(length) for length in range(1, 201)]), np.random.default_rng(0)
    members = [{frozenset(order[start : start + 10]) for start in range(0, 200, 10)} for order in
               (rows.order(drawn, 10), rows.order(drawn, 10))]  # fmt: skip
    assert len(members[0] & members[1]) < 5


@pytest.mark.parametrize(
    "rows", [nn.Sequences(X, TAGS), nn.Pieces(*(nn.pad_sequence(A)[0] for A in (X, TAGS)), steps=3)]
)
def test_processes_that_share_batches_have_each_row_once(rows):
    """Of each batch a share, in training; every other batch, or all pieces of some sequences, in evaluation."""
    whole = list(rows.batches(3))
    shares = [list(rows.batches(3, share=(rank, 2))) for rank in range(2)]
    for batch, *parts in zip(whole, *shares, strict=True):
        assert sum(part.count for part in parts) == batch.count == parts[0].of
        assert {part.starts for part in parts} == {batch.starts}
        assert_array_equal(np.concatenate([np.arange(10)[part.rows] for part in parts]), np.arange(10)[batch.rows])
    turns = [batch for rank in range(2) for batch in rows.batches(3, first=rank, step=2)]
    assert sum(batch.Y.size for batch in turns) == sum(batch.Y.size for batch in whole)
    assert turns[0].starts


@pytest.mark.parametrize("batch_size", [1, 3, 10, 64])
def test_every_batch_size_has_each_row_once(batch_size):
    rows = nn.Sequences(X)
    order = rows.order(np.random.default_rng(0), batch_size)
    assert_array_equal(np.sort(order), np.arange(10))
    assert len(list(rows.batches(batch_size, order))) == rows.count(batch_size)


def test_a_batch_is_padded_to_its_longest_sequence():
    (first, second) = nn.Sequences(X, TAGS).batches(5)
    assert first.X[0].shape == (5, 7, 2)
    assert second.X[0].shape == (5, 6, 2)
    assert_array_equal(second.X[1], LENGTHS[5:])
    assert_array_equal(second.inside.sum(axis=1), LENGTHS[5:])
    assert_array_equal(second.Y[second.inside], np.concatenate(TAGS[5:]))


# ------------------------------------------------------------------------------------------------ evaluate, predict


@pytest.mark.parametrize("batch_size", [1, 3, 10])
def test_evaluate_is_that_of_the_steps_of_each_sequence_alone(batch_size):
    model = tagger()
    outputs, tags = np.concatenate(each_alone(model)), np.concatenate(TAGS)

    def macro_f1(Y_pred, Y):
        return nn.f1(Y_pred, Y, average="macro")

    got = nn.evaluate(model, nn.Sequences(X, TAGS), loss=nn.CrossEntropyLoss(dim=-1), batch_size=batch_size,
                      metrics=[nn.accuracy, nn.perplexity, macro_f1])  # fmt: skip
    assert got["loss"] == pytest.approx(nn.CrossEntropyLoss().forward(outputs, tags), rel=1e-12)
    for metric in nn.accuracy, nn.perplexity, macro_f1:
        assert got[metric.__name__] == pytest.approx(metric(outputs, tags), rel=1e-12)


@pytest.mark.parametrize("loss", [nn.MSELoss, nn.L1Loss, nn.HuberLoss], ids=lambda loss: loss.__name__)
def test_losses_without_ignore_index_leave_out_padded_steps_too(loss):
    model = tagger()
    outputs, curves = np.concatenate(each_alone(model)), np.concatenate(CURVES)
    got = nn.evaluate(model, nn.Sequences(X, CURVES), loss=loss(), metrics=[nn.r2], batch_size=4)
    assert got["loss"] == pytest.approx(loss().forward(outputs, curves), rel=1e-12)
    assert got["r2"] == pytest.approx(nn.r2(outputs, curves), rel=1e-12)


def test_two_classes_at_each_step():
    model = tagger()
    targets = [rng.integers(0, 2, (length, 3)) for length in LENGTHS]
    outputs, true = np.concatenate(each_alone(model)), np.concatenate(targets)
    got = nn.evaluate(model, nn.Sequences(X, targets), loss=nn.BCEWithLogitsLoss(), metrics=[nn.binary_accuracy])
    assert got["loss"] == pytest.approx(nn.BCEWithLogitsLoss().forward(outputs, true), rel=1e-12)
    assert got["binary_accuracy"] == pytest.approx(nn.binary_accuracy(outputs, true, logits=True), rel=1e-14)


def test_a_target_for_each_sequence():
    model = classifier()
    outputs = model.forward(*nn.pad_sequence(X))
    got = nn.evaluate(model, nn.Sequences(X, CLASS), loss=nn.CrossEntropyLoss(), metrics=[nn.accuracy], batch_size=3)
    assert got["loss"] == pytest.approx(nn.CrossEntropyLoss().forward(outputs, CLASS), rel=1e-12)
    assert got["accuracy"] == nn.accuracy(outputs, CLASS)
    listed = nn.evaluate(model, nn.Sequences(X, CLASS.tolist()), loss=nn.CrossEntropyLoss(), batch_size=3)
    assert listed["loss"] == got["loss"]


@pytest.mark.parametrize("batch_size", [3, 100])
def test_predict_pads_to_the_longest(batch_size):
    model = tagger()
    Y = nn.predict(model, nn.Sequences(X), batch_size=batch_size)
    assert Y.shape == (10, 7, 3)
    assert_array_equal(Y, nn.predict(model, nn.pad_sequence(X), batch_size=batch_size))
    for row, alone, length in zip(Y, each_alone(model), LENGTHS, strict=True):
        assert_allclose(row[:length], alone, rtol=1e-12)
    assert nn.predict(classifier(), nn.Sequences(X, CLASS), batch_size=batch_size).shape == (10, 3)


# ------------------------------------------------------------------------------------------------ fit


def test_fit_is_the_loop_by_hand():
    """Without shuffling, in batches of 4, 4 and 2; the loss is the mean over the steps inside."""
    model, by_hand = tagger(), tagger()
    nn.fit(model, nn.Sequences(X, TAGS), loss=nn.CrossEntropyLoss(dim=-1), optimizer=nn.SGD(model, lr=0.3), epochs=2,
           batch_size=4, shuffle=False, verbose=0)  # fmt: skip
    loss, optimizer = nn.CrossEntropyLoss(dim=-1), nn.SGD(by_hand, lr=0.3)
    for _ in range(2):
        for rows in slice(0, 4), slice(4, 8), slice(8, 10):
            (padded, lengths), (targets, _) = nn.pad_sequence(X[rows]), nn.pad_sequence(TAGS[rows], -100)
            loss.forward(by_hand.forward(padded, lengths), targets)
            by_hand.backward(loss.backward())
            optimizer.step()
    assert_allclose(model.Phi, by_hand.Phi, rtol=1e-12)


def test_the_history_is_over_all_steps():
    model = tagger()
    history = nn.fit(model, nn.Sequences(X, TAGS), loss=nn.CrossEntropyLoss(dim=-1), optimizer=nn.SGD(model, lr=0.0),
                     batch_size=4, metrics=[nn.accuracy], verbose=0, rng=0,
                     validation_data=nn.Sequences(X[:3], TAGS[:3]))  # fmt: skip
    outputs, tags = np.concatenate(each_alone(model)), np.concatenate(TAGS)
    assert history["loss"] == [pytest.approx(nn.CrossEntropyLoss().forward(outputs, tags), rel=1e-12)]
    assert history["accuracy"] == [pytest.approx(nn.accuracy(outputs, tags), rel=1e-14)]
    outputs, tags = np.concatenate(each_alone(model, range(3))), np.concatenate(TAGS[:3])
    assert history["val_loss"] == [pytest.approx(nn.CrossEntropyLoss().forward(outputs, tags), rel=1e-12)]


def test_sample_weights_are_those_of_sequences():
    weight = np.arange(10.0)

    def trained(rows, **options):
        model = tagger()
        nn.fit(model, rows, loss=nn.CrossEntropyLoss(dim=-1), optimizer=nn.SGD(model, lr=0.3), batch_size=100,
               verbose=0, **options)  # fmt: skip
        return model.Phi

    twice = nn.Sequences([*X[1:], *X[1:3]], [*TAGS[1:], *TAGS[1:3]])
    counts = np.array([0, 2, 2, *[1] * 7])
    assert_allclose(trained(nn.Sequences(X, TAGS), sample_weight=counts), trained(twice), rtol=1e-12)
    assert not np.allclose(trained(nn.Sequences(X, TAGS), sample_weight=weight), trained(twice))
    with pytest.raises(ValueError, match=r"^sample_weight: expected a weight for each of the sequences, got one for"):
        trained(nn.Sequences(X, TAGS), sample_weight=np.ones((10, 7)))


@pytest.mark.parametrize("accumulate_steps", [1, 2])
def test_batches_accumulate_to_the_step_on_all_their_sequences(accumulate_steps):
    model, at_once = tagger(), tagger()
    options = {"loss": nn.CrossEntropyLoss(dim=-1), "shuffle": False, "verbose": 0}
    nn.fit(model, nn.Sequences(X, TAGS), optimizer=nn.SGD(model, lr=0.3), batch_size=10 // accumulate_steps,
           accumulate_steps=accumulate_steps, **options)  # fmt: skip
    nn.fit(at_once, nn.Sequences(X, TAGS), optimizer=nn.SGD(at_once, lr=0.3), batch_size=10, **options)
    assert_allclose(model.Phi, at_once.Phi, rtol=1e-12)


@pytest.mark.parametrize("stop", [1, 3, 4, 6])
def test_resumed_in_the_middle_of_an_epoch_it_is_bit_identical(stop, tmp_path):
    def train(model, **options):
        options = {"rng": 7} | options
        return nn.fit(model, nn.Sequences(X, TAGS), loss=nn.CrossEntropyLoss(dim=-1), optimizer=nn.Adam(model),
                      batch_size=2, metrics=[nn.accuracy, nn.perplexity], validation_split=0.3, verbose=0,
                      **options)  # fmt: skip

    whole = tagger()
    expected = train(whole, epochs=3)

    class Stop(nn.Callback):
        seen = 0

        def on_batch_end(self, state):
            self.seen += 1
            state.stop = self.seen == stop

    path = tmp_path / "training.npz"
    checkpoint = nn.Checkpoint(path, unit="batch")
    train(tagger(), epochs=3, callbacks=[Stop(), checkpoint])
    model = tagger()
    history = train(model, epochs=3 - checkpoint.epochs_done, resume=path, callbacks=[nn.Checkpoint(path)], rng=99)
    assert_array_equal(model.Phi, whole.Phi)
    assert history.to_dict() == expected.to_dict()


def test_a_sequence_of_words_goes_through_an_embedding():
    words = [[3, 1, 2], [4], [1, 2]]
    x, lengths = nn.Input("x"), nn.Input("lengths")
    h = nn.LSTM(4, 8, last=True, rng=0)(nn.Embedding(5, 4, rng=0)(x), lengths)
    model = nn.Graph([x, lengths], nn.Linear(8, 2, rng=0)(h))
    history = nn.fit(model, nn.Sequences(words, np.array([0, 1, 1])), loss=nn.CrossEntropyLoss(), epochs=40,
                     batch_size=2, optimizer=nn.Adam(model, lr=0.05), metrics=[nn.accuracy], verbose=0)  # fmt: skip
    assert history["accuracy"][-1] == 1


def test_minimize_uses_all_sequences_at_once():
    model = tagger()
    result = nn.minimize(model, nn.Sequences(X, TAGS), loss=nn.CrossEntropyLoss(dim=-1), epochs=5, verbose=0)
    after = nn.evaluate(model, nn.Sequences(X, TAGS), loss=nn.CrossEntropyLoss(dim=-1))["loss"]
    assert result["loss"][-1] == pytest.approx(after, rel=1e-12)
    assert after < nn.evaluate(tagger(), nn.Sequences(X, TAGS), loss=nn.CrossEntropyLoss(dim=-1))["loss"]


def test_lists_of_different_lengths_name_the_cure():
    model = tagger()
    with pytest.raises(ValueError, match="inhomogeneous") as caught:
        nn.fit(model, X, TAGS, loss=nn.CrossEntropyLoss(dim=-1), optimizer=nn.SGD(model, lr=0.1))
    assert "for sequences of different lengths pass nnlite.Sequences(X, Y)" in caught.value.__notes__[0]


def test_what_sequences_refuse():
    with pytest.raises(ValueError, match=r"^Sequences: expected targets of 10 sequences, got those of 9$"):
        nn.Sequences(X, TAGS[1:])
    with pytest.raises(ValueError, match=r"^sequences and targets: expected the same number of rows, got 10 rows"):
        nn.Sequences(X, CLASS[1:])
    with pytest.raises(ValueError, match=r"^Sequences: targets\[0\]: expected one for each of the 5 steps of its"):
        nn.Sequences(X, TAGS[::-1][1:] + TAGS[:1])
    with pytest.raises(ValueError, match=r"^Sequences: sequences\[1\]: expected at least one step, got none; leave"):
        nn.Sequences([X[0], X[1][:0]])
    model = tagger()
    options = {"loss": nn.CrossEntropyLoss(dim=-1), "optimizer": nn.SGD(model, lr=0.1), "verbose": 0}
    with pytest.raises(TypeError, match=r"^Y: expected the targets in Sequences\(sequences, targets\), and no Y"):
        nn.fit(model, nn.Sequences(X), **options)
    with pytest.raises(TypeError, match=r"^Y: expected the targets in Sequences\(sequences, targets\), and no Y"):
        nn.fit(model, nn.Sequences(X), TAGS, **options)


def test_a_model_that_takes_no_lengths_is_told_the_lines():
    model = nn.Sequential(nn.Sequential(nn.Linear(2, 3, rng=0)), nn.Tanh())
    options = {"loss": nn.MSELoss(), "optimizer": nn.SGD(model, lr=0.1), "verbose": 0}
    with pytest.raises(TypeError, match=r"Linear\(2 -> 3\): expected a first layer that takes lengths beside X"):
        nn.fit(model, nn.Sequences(X, CURVES), **options)
    padded, lengths = nn.pad_sequence(X)
    weight = np.arange(padded.shape[1]) < lengths[:, None]
    history = nn.fit(model, padded, nn.pad_sequence(CURVES)[0], sample_weight=weight, **options)
    assert np.isfinite(history["loss"]).all()
