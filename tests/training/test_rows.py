"""The rows to train on: any layout gives the same result, is read a batch at a time and never written."""

import tracemalloc

import numpy as np
import pytest

import nnlite as nn
from nnlite.training.rows import Rows

# Small whole numbers are the same in every dtype, so every layout must give the same training.
X = np.random.default_rng(0).integers(-3, 4, (11, 3)).astype(np.float64)
Y = X @ [[2.0], [-4.0], [1.0]]


class Counted:
    """Nothing but len and row indexing; it notes how many rows each reading took."""

    def __init__(self, values):
        self.values = values
        self.counts = []

    def __len__(self):
        return len(self.values)

    def __getitem__(self, rows):
        taken = self.values[rows]
        self.counts.append(len(taken))
        return taken


def read_only(A):
    A = A.copy()
    A.setflags(write=False)
    return A


def unaligned(A):
    room = np.zeros(A.nbytes + 1, np.uint8)
    result = room[1:].view(A.dtype).reshape(A.shape)
    result[...] = A
    assert not result.flags.aligned
    return result


def on_disk(A, path, dtype=np.float64, order="C"):
    stored = np.memmap(path, dtype, "w+", shape=A.shape, order=order)
    stored[...] = A
    stored.flush()
    return np.memmap(path, dtype, "r", shape=A.shape, order=order)


LAYOUTS = {
    "nested list": lambda A, path: A.tolist(),
    "list of rows": lambda A, path: list(A),
    "nested tuple": lambda A, path: tuple(map(tuple, A.tolist())),
    "float32": lambda A, path: A.astype(np.float32),
    "int64": lambda A, path: A.astype(np.int64),
    "int8": lambda A, path: A.astype(np.int8),
    "read-only": lambda A, path: read_only(A),
    "Fortran": lambda A, path: np.asfortranarray(A),
    "every second row": lambda A, path: np.repeat(A, 2, axis=0)[::2],
    "every second column": lambda A, path: np.repeat(A, 2, axis=1)[:, ::2],
    "negative stride": lambda A, path: A[::-1].copy()[::-1],
    "columns backwards": lambda A, path: A[:, ::-1].copy()[:, ::-1],
    "big-endian": lambda A, path: A.astype(">f8"),
    "unaligned": lambda A, path: unaligned(A),
    "memmap": on_disk,
    "memmap, Fortran, big-endian": lambda A, path: on_disk(A, path, ">f4", "F"),
    "len and row indexing": lambda A, path: Counted(A),
}


def trained(X, Y, **options):
    model = nn.Sequential(nn.Linear(3, 4, rng=0), nn.Tanh(), nn.Linear(4, 1, rng=1)).astype(np.float64)
    history = nn.fit(
        model,
        X,
        Y,
        loss=nn.MSELoss(),
        optimizer=nn.SGD(model, 0.05),
        epochs=2,
        batch_size=4,
        verbose=0,
        rng=5,
        **options,
    )
    return np.append(model.Phi, history["loss"])


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_trains_the_same_and_is_not_written(layout, shuffle, tmp_path):
    X_given, Y_given = LAYOUTS[layout](X, tmp_path / "X"), LAYOUTS[layout](Y, tmp_path / "Y")
    before = [np.asarray(part).tobytes() for part in (X_given, Y_given)]
    np.testing.assert_allclose(
        trained(X_given, Y_given, shuffle=shuffle), trained(X, Y, shuffle=shuffle), rtol=1e-12, atol=1e-14
    )
    assert [np.asarray(part).tobytes() for part in (X_given, Y_given)] == before


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_validates_evaluates_and_predicts_the_same(layout, tmp_path):
    X_given, Y_given = LAYOUTS[layout](X, tmp_path / "X"), LAYOUTS[layout](Y, tmp_path / "Y")
    model = nn.Linear(3, 1, dtype=np.float64, rng=0)
    J = nn.MSELoss().forward(model.forward(X), Y)
    evaluated = nn.evaluate(model, X_given, Y_given, loss=nn.MSELoss(), batch_size=4)
    history = nn.fit(
        model, X, Y, loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.0), validation_data=(X_given, Y_given), verbose=0
    )
    np.testing.assert_allclose([evaluated["loss"], *history["val_loss"]], [J, J], rtol=1e-12)
    np.testing.assert_allclose(nn.predict(model, X_given, batch_size=4), model.forward(X), rtol=1e-12)


@pytest.mark.parametrize("shuffle", [True, False])
def test_a_row_object_is_read_a_batch_at_a_time_and_each_row_once_an_epoch(shuffle):
    X_counted, Y_counted = Counted(X), Counted(Y)
    trained(X_counted, Y_counted, shuffle=shuffle)
    assert X_counted.counts == Y_counted.counts == [4, 4, 3] * 2


def test_a_row_object_is_predicted_a_batch_at_a_time():
    rows = Counted(X)
    nn.predict(nn.Linear(3, 1), rows, batch_size=4)
    assert rows.counts == [4, 4, 3]


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize(("dtype", "order"), [("<f4", "C"), (">f8", "C"), ("u1", "C"), ("<f4", "F")])
def test_a_memmap_is_never_in_memory_whole(dtype, order, shuffle, tmp_path):
    stored = np.memmap(tmp_path / "X", dtype, "w+", shape=(20_000, 100), order=order)
    model = nn.Linear(100, 1)
    options = {"loss": nn.MSELoss(), "optimizer": nn.SGD(model, 0.1), "batch_size": 50, "verbose": 0}
    targets = np.zeros((20_000, 1), np.float32)
    tracemalloc.start()
    try:
        nn.fit(model, stored, targets, shuffle=shuffle, validation_split=0.5, rng=0, **options)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # 20,000 row numbers and the held-back order are 0.3 MB; a batch in three precisions is below 0.1 MB.
    assert peak < 1e6 < stored.nbytes


def test_batches_cover_the_rows_in_order_and_the_last_is_short():
    batches = list(Rows(np.arange(10), np.arange(10, 20)).batches(4))
    assert [batch.count for batch in batches] == [4, 4, 2]
    assert np.concatenate([batch.X for batch in batches]).tolist() == list(range(10))
    assert np.concatenate([batch.Y for batch in batches]).tolist() == list(range(10, 20))


def test_a_subset_keeps_X_and_Y_together_and_its_order():
    part = Rows(np.arange(5), np.arange(5) * 10).subset(np.array([4, 0, 3]))
    assert len(part) == 3
    assert [(batch.count, batch.X.tolist(), batch.Y.tolist()) for batch in part.batches(2)] == [
        (2, [4, 0], [40, 0]),
        (1, [3], [30]),
    ]


def test_a_subset_shuffles_its_own_rows_only():
    part = Rows(np.arange(100)).subset(np.arange(50, 90))
    (batch,) = part.batches(64, part.order(np.random.default_rng(0)))
    assert (batch.count, batch.Y) == (40, None)
    assert sorted(batch.X) == list(range(50, 90))
    assert list(batch.X) != list(range(50, 90))


def test_no_rows_give_no_batches():
    assert list(Rows(np.zeros((0, 3))).batches(4)) == []


def test_an_unequal_number_of_rows_is_an_error_that_names_both():
    with pytest.raises(ValueError, match=r"^X and Y: expected the same number of rows, got 10 rows in X and 9 in Y$"):
        Rows(np.zeros((10, 2)), np.zeros(9))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (3.0, "X: expected one row per sample, got a single number"),
        (np.float64(3), "X: expected one row per sample, got a single number"),
        (np.array(3.0), "X: expected one row per sample, got a single number"),
        ([["a"]], "X: expected real numbers"),
        ([1j], "X: expected real numbers"),
        (np.array([None]), "X: expected real numbers"),
        (None, "X: expected real numbers"),
        (np.ma.masked_array([1.0, 2.0], [True, False]), "X: expected an ndarray, got a masked array"),
    ],
)
def test_what_has_no_rows_of_real_numbers_is_an_error(values, message):
    with pytest.raises(TypeError, match=message):
        Rows(values)


def test_a_ragged_list_is_an_error_that_names_it():
    with pytest.raises(ValueError, match="Y: cannot be converted to an array"):
        Rows([[1], [2]], [[1], [2, 3]])


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_a_matrix_is_an_error():
    with pytest.raises(TypeError, match=r"X: expected an ndarray, got np\.matrix"):
        Rows(np.asmatrix([[1.0]]))


# ------------------------------------------------------------------------------------------- shapes, and what to write


def fit(X, Y, model):
    nn.fit(model, X, Y, loss=nn.MSELoss(), optimizer=nn.SGD(model, 0.1), batch_size=32, verbose=0)


@pytest.mark.parametrize(
    "use",
    [fit, lambda X, Y, model: nn.evaluate(model, X, Y, loss=nn.MSELoss()), lambda X, Y, model: nn.predict(model, X)],
    ids=["fit", "evaluate", "predict"],
)
@pytest.mark.parametrize(("X", "features"), [(np.zeros(200), 1), ([0.5, -1.0], 2)], ids=["a column", "one sample"])
def test_X_of_one_axis_is_named_by_its_own_shape_with_what_to_write(use, X, features):
    with pytest.raises(nn.ShapeError) as caught:
        use(X, np.zeros((len(X), 1)), nn.Linear(features, 1))
    line = "np.asarray(X)" if isinstance(X, list) else "X"
    note = f"X has the shape ({len(X)},), so each number is a row: pass {line}[:, None] for a column, or {line}[None"
    assert any(note in each for each in caught.value.__notes__)
    shaped = np.asarray(X)[:, None] if features == 1 else np.asarray(X)[None, :]
    use(shaped, np.zeros((len(shaped), 1)), nn.Linear(features, 1))


@pytest.mark.parametrize(
    ("X", "Y", "cure"),
    [
        (np.zeros((3, 200)), np.zeros((200, 1)), "X of shape (3, 200) has a sample in each column: pass X.T"),
        (np.zeros((200, 3)), np.zeros((1, 200)), "Y of shape (1, 200) has a sample in each column: pass Y.T"),
        (np.zeros(3), np.zeros((1, 1)), "for a single sample pass X[None, :]"),
        (
            (np.zeros(3), np.zeros(4)),
            np.zeros((3, 1)),
            "a tuple of arrays means several inputs, so pass rows as a list",
        ),
    ],
)
def test_rows_that_do_not_match_come_with_what_to_write(X, Y, cure):
    with pytest.raises(ValueError, match="expected the same number of rows") as caught:
        fit(X, Y, nn.Linear(3, 1))
    assert str(caught.value).endswith("; " + cure)
