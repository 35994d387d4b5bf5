"""Where rows come from: pandas, sparse matrices, files, datasets of samples, loaders; and mistakes in them.

The right values are those of the same rows as a plain array, or of pandas or SciPy themselves.
"""

import pickle
import re
import subprocess
import sys
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

import nnlite as nn

rng = np.random.default_rng(0)
X = rng.integers(0, 3, (40, 3)).astype(np.float64)
Y = X @ [[1.0], [-2.0], [0.5]]
LABELS = np.arange(40) % 3


def trained(X, Y=None, *, loss=None, width=1, **options):
    """Phi and the losses of a training with whatever holds the rows."""
    model = nn.Sequential(nn.Linear(3, 4, rng=0), nn.Tanh(), nn.Linear(4, width, rng=1)).astype(np.float64)
    options = {"epochs": 2, "batch_size": 8, "verbose": 0, "rng": 5} | options
    loss = nn.MSELoss() if loss is None else loss
    history = nn.fit(model, X, Y, loss=loss, optimizer=nn.SGD(model, lr=0.05), **options)
    return np.concatenate([model.Phi, *history.to_dict().values()])


def same(one, other):
    np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)


def message_of(use):
    """The message of the error of use(), with its notes."""
    with pytest.raises((TypeError, ValueError)) as caught:
        use()
    return "\n".join([str(caught.value), *getattr(caught.value, "__notes__", [])])


def classify(X, Y, classes=3, **options):
    return trained(X, Y, loss=nn.CrossEntropyLoss(), width=classes, **options)


# ------------------------------------------------------------------------------------------------ 18: pandas


def frame():
    """Columns of numbers of each kind, under labels in no order; right values: those of ``to_numpy``."""
    return pd.DataFrame(
        {
            "float": X[:, 0],
            "nullable": pd.array(X[:, 1].astype(int), dtype="Int64"),
            "small": X[:, 2].astype(np.int8),
        },
        index=np.random.default_rng(1).permutation(40),
    )


def test_frames_train_predict_and_evaluate_by_position():
    df, model = frame(), nn.Linear(3, 1, dtype=np.float64, rng=0)
    target = pd.DataFrame({"y": Y[:, 0]}, index=np.arange(20, 60))  # read by label, few would have a target
    same(trained(df, target), trained(X, Y))
    same(trained(df, target, validation_data=(df, target)), trained(X, Y, validation_data=(X, Y)))
    same(nn.predict(model, df, batch_size=7), model.forward(X))
    one, other = (nn.evaluate(model, *rows, loss=nn.MSELoss()) for rows in [(df, target), (X, Y)])
    assert one == other
    same(model.forward(df), model.forward(X))


@pytest.mark.parametrize(
    ("dtypes", "right"),
    [
        (["float64", "bool"], np.float64),
        (["Float64", "boolean"], np.float64),
        (["Int64", "boolean"], np.int64),
        (["float32", "bool"], np.float32),
        (["Float32", "Int8"], np.float32),
        (["bool", "bool"], np.bool_),
        (["boolean", "boolean"], np.bool_),
        (["UInt8", "uint8"], np.uint8),
        (["Sparse[float]", "int16"], np.float64),
    ],
)
def test_columns_of_numbers_become_an_array_of_their_common_dtype(dtypes, right):
    values = np.array([[1, 0], [0, 1], [1, 1]])
    df = pd.DataFrame({name: pd.Series(values[:, i]).astype(dtypes[i]) for i, name in enumerate("ab")})
    array = nn.basics.arrays.as_array(df, "X")
    assert array.dtype == right  # NumPy's result_type of the columns' own dtypes
    np.testing.assert_array_equal(array, values)
    series = nn.basics.arrays.as_array(df["b"], "X")
    np.testing.assert_array_equal(series, values[:, 1])


def test_dummies_beside_floats_train():
    """pandas#3966: NumPy makes objects of bool beside float."""
    df = pd.get_dummies(pd.DataFrame({"x": X[:, 0], "word": np.where(X[:, 1] > 1, "a", "b")}))
    assert [dtype.kind for dtype in df.dtypes] == ["f", "b", "b"]  # an array of objects, if NumPy is asked
    same(trained(df, Y), trained(np.column_stack([X[:, 0], X[:, 1] > 1, X[:, 1] <= 1]), Y))


def test_a_series_of_class_numbers_and_one_of_weights_train():
    labels = pd.Series(LABELS, index=frame().index)
    weight = pd.Series(np.linspace(0, 1, 40), index=labels.index)
    same(classify(frame(), labels, sample_weight=weight), classify(X, LABELS, sample_weight=weight.to_numpy()))


def test_the_line_to_write_for_a_series_or_frame_of_another_shape_is_right():
    """pytorch#16045: (N,) beside (N, 1) trained on all pairs of rows. The line is evaluated, and trains."""
    df = pd.DataFrame({"y": Y[:, 0], "label": LABELS})
    for y, train in [(df.y, trained), (df[["label"]], classify), (Y[:, 0], trained), (Y[:, 0].tolist(), trained)]:
        message = message_of(lambda train=train, y=y: train(X, y))
        assert re.search(rf"Y, of type {type(y).__name__}, has the shape \(40,", message)
        line = re.search("Y, of type .*; pass (.*)", message)[1]
        assert np.isfinite(train(X, eval(line, {"Y": y, "np": np}))).all()


@pytest.mark.parametrize(
    ("column", "named", "line"),
    [
        (["u", "v"] * 20, "'word' of dtype", "X = pd.get_dummies(X)"),
        (pd.Categorical(["u", "v"] * 20), "'word' of dtype category", "X['word'].cat.codes"),
        (pd.to_datetime(["2020-01-01", "2021-01-01"] * 20), "'word' of dtype datetime64", ".dt.total_seconds()"),
        (pd.to_timedelta([1, 2] * 20), "'word' of dtype timedelta64", "X['word'].dt.total_seconds()"),
        (np.array([1, 2.5] * 20, object), "'word' of dtype object", "X['word'].astype(float)"),
        (np.array([1j, 2] * 20), "'word' of dtype complex128", "convert it to numbers"),
        (pd.period_range("2020", periods=40), "'word' of dtype period[D]", "convert it to numbers"),
    ],
)
def test_a_column_that_holds_no_numbers_is_named_with_its_cure(column, named, line):
    df = frame().assign(word=column)
    for use in (lambda: trained(df, Y), lambda: nn.predict(nn.Linear(4, 1), df)):
        message = message_of(use)
        assert message.startswith("X: expected columns of real numbers, got ")
        assert named in message
        assert line in message


@pytest.mark.parametrize("column", ["float", "nullable"])
def test_a_missing_value_is_named_by_column_and_row(column):
    df = frame()
    df.iloc[17, list(df.columns).index(column)] = pd.NA if column == "nullable" else np.nan
    message = message_of(lambda: trained(df, Y))
    assert f"a missing value in column '{column}' in row 17, X.iloc[17]" in message
    line = re.search("such as X = (.*), or leave out the row", message)[1]  # also where a mean is no whole number
    assert np.isfinite(trained(eval(line, {"X": df}), Y)).all()
    target = pd.Series([1.0, 2.0, np.nan] + [0.0] * 37)
    line = re.search("in row 2, .*; leave out the row: X, Y = (.*)", message_of(lambda: trained(X, target)))[1]
    for rows in X, frame().reset_index(drop=True):
        kept, labels = eval(line, {"X": rows, "Y": target})
        same(np.asarray(kept, dtype=float), np.delete(X, 2, axis=0))
        assert np.isfinite(trained(kept, labels.to_frame())).all()


def test_a_constant_column_that_was_standardized_names_the_column_to_leave_out():
    df = frame().astype(float).assign(constant=1.0)
    df = (df - df.mean()) / df.std()  # 0 / 0
    line = re.search("column 'constant', as in all .*: X = (.*?) [(]", message_of(lambda: trained(df, Y)))[1]
    assert list(eval(line, {"X": df}).columns) == ["float", "nullable", "small"]


def test_a_series_of_text_or_category_labels_has_its_cure():
    words = pd.Series(np.array(["a", "b", "c"])[LABELS])
    message = message_of(lambda: classify(X, words))
    line, further = re.search(
        "dtype [a-z]+; if they are classes, .*classes, Y = (np.unique.*); for other rows Y = (.*)", message
    ).groups()
    classes, numbers = eval(line, {"Y": words, "np": np})
    np.testing.assert_array_equal(numbers, LABELS)
    others = pd.Series(["c", "b", "c"])  # numbered by themselves they would be 1, 0, 1
    np.testing.assert_array_equal(eval(further, {"classes": classes, "Y": others, "np": np}), [2, 1, 2])
    category = words.astype("category")
    line = message_of(lambda: classify(X, category)).split("number the classes: classes, Y = ")[1]
    classes, numbers = eval(line, {"Y": category})
    np.testing.assert_array_equal(classes[numbers], words)


def test_the_same_labels_in_another_order_are_an_error_with_the_line():
    """scikit-learn#25419, statsmodels#206: rows are read by position, so that each X got the target of another row."""
    df = pd.DataFrame(X, columns=["a", "b", "c"])
    target, weight = pd.DataFrame({"y": Y[:, 0]}), pd.Series(np.linspace(0.1, 1, 40))
    shuffled = df.sample(frac=1, random_state=0)
    order = shuffled.index.to_numpy()
    message = message_of(lambda: trained(shuffled, target))
    assert f"expected the index labels in the same order, got {order[0]} and 0 in row 0" in message
    line = re.search("pass (Y.*), or if the rows match by position (Y.*)", message)
    names = {"X": shuffled, "Y": target}
    same(trained(shuffled, eval(line[1], names)), trained(X[order], Y[order]))
    same(trained(shuffled, eval(line[2], names)), trained(X[order], Y))
    message = message_of(lambda: trained(shuffled, Y[order], sample_weight=weight))
    line = re.search("pass (sample_weight.*), or", message)[1]
    by_hand = weight.to_numpy()[order]
    weighted = trained(shuffled, Y[order], sample_weight=eval(line, {"X": shuffled, "sample_weight": weight}))
    same(weighted, trained(X[order], Y[order], sample_weight=by_hand))
    for use in (
        lambda: nn.evaluate(nn.Linear(3, 1), shuffled, target, loss=nn.MSELoss()),
        lambda: trained(X, Y, validation_data=(shuffled, target)),
    ):
        assert "expected the index labels in the same order" in message_of(use)


def test_other_labels_and_labels_that_repeat_are_read_by_position():
    """As of a target whose index was reset, and of rows drawn with replacement."""
    df = pd.DataFrame(X, index=np.arange(40) * 7)
    same(trained(df, pd.DataFrame(Y)), trained(X, Y))
    same(trained(df.set_axis(np.arange(40) // 2), pd.DataFrame(Y, index=np.arange(40)[::-1] // 2)), trained(X, Y))


def test_columns_of_sparse_and_nullable_dtypes_train():
    """skrub#679 and autogluon#567 (sparse), LightGBM#4927 (nullable)."""
    df = pd.DataFrame(
        {
            "a": pd.arrays.SparseArray(X[:, 0]),
            "b": pd.array(X[:, 1].astype(int), dtype="UInt8"),
            "c": pd.array(X[:, 2], dtype="Float32"),
        }
    )
    same(trained(df, Y), trained(X, Y))
    dummies = pd.get_dummies(pd.Series(list("abca") * 10), sparse=True)
    same(trained(dummies, Y), trained(dummies.to_numpy().astype(float), Y))


@pytest.mark.parametrize(
    ("values", "right"),
    [
        (["1.5", "2", "-3e1", "4"], [1.5, 2, -30, 4]),
        (["1,5", "2", "-3,25", "4"], [1.5, 2, -3.25, 4]),
        (["1.5", "?", "3", "4"], [1.5, np.nan, 3, 4]),  # as in files of the UCI repository
    ],
)
def test_numbers_that_are_text_have_their_line(values, right):
    """dtale#239, pycaret#135: one cell that is no number makes the whole column text; get_dummies would be no cure."""
    df = pd.DataFrame({"a": np.arange(4.0), "b": values})
    message = message_of(lambda: nn.predict(nn.Linear(2, 1), df))
    line = re.search("column 'b' of dtype .*; if it holds numbers, (.*)", message)[1]
    code, _, remark = line.partition(", which ")
    np.testing.assert_array_equal(eval(code, {"pd": pd, "X": df}), right)
    assert remark == ("makes '?' a missing value" if "?" in values else "")


@pytest.mark.parametrize("dtype", ["category", "str"])
def test_a_column_of_words_with_a_missing_one_says_what_its_code_would_be(dtype):
    """skorch#507: the codes of pandas make a missing value the number -1, one like the others."""
    df = pd.DataFrame({"a": pd.Series(["u", "v", None, "u"], dtype=dtype), "b": np.arange(4.0)})
    message = message_of(lambda: nn.predict(nn.Linear(2, 1), df))
    assert message.endswith("cat.codes; first fill in the missing value in row 2, whose code is -1")


def test_an_empty_frame_or_series_is_as_an_empty_array():
    assert nn.predict(nn.Linear(3, 1), frame()[:0]).shape == (0, 1)
    assert "X: expected at least one row, got none" in message_of(
        lambda: trained(frame()[:0], pd.Series([], dtype=float))
    )


def test_the_frame_is_not_written_and_pandas_and_scipy_are_not_imported():
    df = frame()
    before = df.copy()
    trained(df, df[["float"]])
    pd.testing.assert_frame_equal(df, before)
    code = "import sys, nnlite; assert not {'pandas', 'scipy', 'torch', 'h5py'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


# ------------------------------------------------------------------------------------------------ 19: sparse


@pytest.mark.parametrize("kind", ["csr_matrix", "csr_array", "csc_array", "coo_matrix", "lil_array", "dok_array"])
def test_a_sparse_matrix_trains_validates_evaluates_and_predicts_as_its_dense_one(kind):
    """skorch#131: the length of a sparse matrix is ambiguous for SciPy; right are the values of its dense one."""
    S, model = getattr(scipy.sparse, kind)(X), nn.Linear(3, 1, dtype=np.float64, rng=0)
    same(trained(S, Y, validation_data=(S, Y)), trained(X, Y, validation_data=(X, Y)))
    same(trained(S, Y, shuffle=False), trained(X, Y, shuffle=False))
    same(nn.predict(model, S, batch_size=7), model.forward(X))
    same(nn.predict(model, S), model.forward(X))
    assert nn.evaluate(model, S, Y, loss=nn.MSELoss()) == nn.evaluate(model, X, Y, loss=nn.MSELoss())
    same(trained([(S, Y)]), trained(X, Y, batch_size=40, shuffle=False))  # a batch of a stream


def test_sparse_targets_train():
    T = (X > 1).astype(float)
    loss = nn.BCEWithLogitsLoss()
    same(trained(X, scipy.sparse.csr_array(T), loss=loss, width=3), trained(X, T, loss=loss, width=3))


def test_a_sparse_matrix_is_never_dense_as_a_whole():
    S = scipy.sparse.random_array((20_000, 500), density=0.001, format="csr", rng=0, dtype=np.float64)
    targets = np.zeros((20_000, 1))
    model = nn.Linear(500, 1, rng=0)
    options = {"loss": nn.MSELoss(), "optimizer": nn.SGD(model, lr=0.1), "batch_size": 50, "verbose": 0}
    tracemalloc.start()
    try:
        nn.fit(model, S, targets, validation_split=0.5, rng=0, **options)
        nn.evaluate(model, S, targets, loss=nn.MSELoss(), batch_size=50)
        nn.predict(model, S, batch_size=50)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # A dense batch is 0.2 MB, the order of the rows 0.2 MB; the whole would be 80 MB.
    assert peak < 5e6 < 20_000 * 500 * 8


def test_a_sparse_matrix_for_a_layer_has_its_cure():
    assert "pass X.toarray()" in message_of(lambda: nn.Linear(3, 1).forward(scipy.sparse.csr_array(X)))


# ------------------------------------------------------------------------------------------------ 20: sources


class Ascending:
    """As h5py: row numbers only in strictly ascending order."""

    def __init__(self, values):
        self.values, self.shape, self.reads = values, values.shape, []

    def __len__(self):
        return len(self.values)

    def __getitem__(self, rows):
        if not isinstance(rows, slice) and not np.all(np.diff(rows) > 0):
            raise TypeError("Indexing elements must be in increasing order")
        self.reads.append(rows)
        return self.values[rows]


class Dataset:
    """As PyTorch's: one sample at a time; a pair if there are targets."""

    def __init__(self, X, Y=None, convert=lambda value: value):
        self.X, self.Y, self.convert, self.reads = X, Y, convert, []

    def __len__(self):
        return len(self.X)

    def __getitem__(self, i):
        if not isinstance(i, int):
            raise TypeError(f"list indices must be integers, not {type(i).__name__}")
        self.reads.append(i)
        x = self.convert(self.X[i])
        return x if self.Y is None else (x, self.convert(self.Y[i]))


class Tensor:
    """What only NumPy can read, as a tensor of another library."""

    def __init__(self, values):
        self.values = np.asarray(values)

    def __len__(self):
        return len(self.values)

    def __getitem__(self, rows):
        return Tensor(self.values[rows])

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype)


class Loader:
    """As PyTorch's DataLoader: an iterable of lists of tensors, of known length."""

    def __len__(self):
        return 5

    def __iter__(self):
        return iter([[Tensor(X[i : i + 8]), Tensor(Y[i : i + 8])] for i in range(0, 40, 8)])


class Sequence:
    """As Keras's: item i is a batch; it never raises IndexError."""

    def __init__(self):
        self.epochs = 0

    def __len__(self):
        return 5

    def __getitem__(self, i):
        return X[8 * i : 8 * i + 8], Y[8 * i : 8 * i + 8]

    def on_epoch_end(self):
        self.epochs += 1


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("kind", [Ascending, Dataset, Tensor])
def test_a_source_trains_predicts_and_evaluates_as_its_array(kind, shuffle):
    """h5py takes ascending row numbers only (keras#390, fuel#91); others one sample at a time."""
    model = nn.Linear(3, 1, dtype=np.float64, rng=0)
    same(trained(kind(X), kind(Y), shuffle=shuffle), trained(X, Y, shuffle=shuffle))
    same(trained(kind(X), Y, validation_split=0.25), trained(X, Y, validation_split=0.25))
    same(nn.predict(model, kind(X), batch_size=7), model.forward(X))
    assert nn.evaluate(model, kind(X), kind(Y), loss=nn.MSELoss()) == nn.evaluate(model, X, Y, loss=nn.MSELoss())


@pytest.mark.parametrize("convert", [np.asarray, Tensor, list], ids=["array", "tensor", "list"])
def test_a_dataset_of_pairs_trains_validates_and_evaluates(convert):
    pairs = Dataset(X, Y, convert)
    same(trained(pairs, validation_data=pairs), trained(X, Y, validation_data=(X, Y)))
    pairs.reads.clear()
    model = nn.Linear(3, 1, dtype=np.float64, rng=0)
    assert nn.evaluate(model, pairs, loss=nn.MSELoss()) == nn.evaluate(model, X, Y, loss=nn.MSELoss())
    assert sorted(pairs.reads) == list(range(40))  # each sample once, since it may be drawn anew at each reading


def test_a_dataset_of_pairs_with_a_class_number_trains():
    same(classify(Dataset(X, LABELS.tolist()), None), classify(X, LABELS))


def test_a_dataset_whose_samples_have_named_inputs_trains_as_the_arrays():
    class Named(Dataset):
        def __getitem__(self, i):
            return {"b": self.X[i, 1:], "a": self.X[i, :1]}, self.Y[i]

    def phi(X, Y):
        a, b = nn.Input("a"), nn.Input("b")
        model = nn.Graph({"a": a, "b": b}, nn.Linear(3, 1, rng=0)(nn.Concat()(a, b))).astype(np.float64)
        nn.fit(model, X, Y, loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1), batch_size=8, rng=5, verbose=0)
        return model.Phi

    same(phi(Named(X, Y), None), phi({"a": X[:, :1], "b": X[:, 1:]}, Y))


@pytest.mark.parametrize("kind", [Loader, Sequence])
def test_a_loader_and_a_sequence_are_streams_of_batches(kind):
    same(trained(kind()), trained(X, Y, shuffle=False))
    same(trained(kind(), validation_data=kind()), trained(X, Y, shuffle=False, validation_data=(X, Y)))


def test_a_sequence_is_told_of_the_end_of_each_epoch():
    sequence = Sequence()
    trained(sequence, epochs=3)
    assert sequence.epochs == 3


@pytest.mark.parametrize("more", [1, -1])
def test_a_source_that_returns_another_number_of_rows_is_noticed(more):
    class Wrong(Ascending):
        def __getitem__(self, rows):
            found = super().__getitem__(rows)
            return found[:more] if more < 0 else np.concatenate([found, found[:more]])

    for shuffle in True, False:
        message = message_of(lambda shuffle=shuffle: trained(Wrong(X), Y, shuffle=shuffle))
        assert f"X: expected 8 rows for 8 row numbers, got shape ({8 + more}, 3) from Wrong.__getitem__" in message
    assert "got shape" in message_of(lambda: nn.predict(nn.Linear(3, 1), Wrong(X)))


@pytest.mark.parametrize("good", [0, 2])
def test_the_error_of_a_source_that_cannot_be_read_is_its_own(good):
    class Broken(Ascending):
        def __getitem__(self, rows):
            if len(self.reads) >= good and (not good or np.ndim(rows)):  # after good batches single rows still work
                raise OSError("the disk is gone")
            return super().__getitem__(rows) if np.ndim(rows) else self.values[rows]

    with pytest.raises(OSError, match="the disk is gone"):
        trained(Broken(X), Y)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (Dataset(X), "X: expected samples that are pairs (x, y), got as sample 0 ndarray"),
        (Dataset([X[0], X[1, :2]], [0.0, 1.0]), "X[0]: expected samples of one shape, got (3,) and (2,)"),
        (Dataset([]), "X: expected at least one row, got none"),
        ([(X[:0], Y[:0])], "X of batch 0: expected at least one row, got none"),
        ([([], [])], "X of batch 0: expected at least one row, got none"),
        ([()], "X: expected batches that are pairs (X, Y), got as batch 0 a tuple of 0"),
        ([(X[0], Y[0, 0])], "Y of batch 0: expected one row per sample, got a single number"),
    ],
)
def test_a_mistake_in_a_dataset_or_stream_is_named(source, message):
    assert message in message_of(lambda: trained(source, shuffle=False))


def test_frames_and_sparse_matrices_without_targets_are_no_streams():
    for rows in frame(), scipy.sparse.csr_array(X):
        assert "Y: expected the targets, got None" in message_of(lambda rows=rows: trained(rows))


def test_a_loader_for_predict_has_its_cure():
    message = message_of(lambda: nn.predict(nn.Linear(3, 1), iter([X])))
    assert "X: expected rows, such as an array" in message
    assert "read its batches one after the other" in message


@pytest.mark.parametrize("nest", [lambda rows: rows, lambda rows: [rows], lambda rows: [[0.0, *rows]]])
def test_a_list_of_masked_arrays_is_refused(nest):
    """np.asarray of it would show the hidden values."""
    hidden = [np.ma.masked_array([1.0, 999.0], [False, True])] * 2
    message = message_of(lambda: nn.predict(nn.Identity(), nest(hidden)))
    assert "got a list of masked arrays; fill them first: [each.filled(...) for each in X]" in message
    assert "masked" in message_of(lambda: nn.predict(nn.Identity(), [1.0, np.ma.masked]))


def test_samples_that_are_dicts_name_their_entries():
    """As those of Hugging Face's datasets (datasets#5946): a dict for each sample, and an iterator over them."""

    class Dicts(Dataset):
        def __getitem__(self, i):
            return {"x": X[i], "label": Y[i]}

    class Iterable(Dicts):
        def __iter__(self):
            return (self[i] for i in range(40))

    cure = "0 a dict of 'x', 'label'; make a pair of two of its entries"
    assert f"samples that are pairs (x, y), got as sample {cure}" in message_of(
        lambda: trained(Dicts(X), shuffle=False)
    )
    assert f"batches that are pairs (X, Y), got as batch {cure}" in message_of(lambda: trained(Iterable(X)))


@pytest.mark.parametrize("y", [lambda row: Y[row], lambda row: Y[row, 0]], ids=["array", "number"])
def test_a_list_of_samples_has_its_lines(y):
    samples = [(X[row], y(row)) for row in range(40)]
    message = message_of(lambda: trained(samples))
    one, other = re.search("for a list of samples pass (.*) and (.*)", message).groups()
    lines = [eval(line, {"X": samples, "np": np}) for line in (one, other)]
    same(trained(lines[0], lines[1].reshape(40, 1)), trained(X, Y))


def test_a_source_that_cannot_be_indexed_by_rows_has_its_line():
    """As a table of pyarrow, which is indexed by the names of its columns."""

    class Table:
        def __init__(self, **columns):
            self.columns_by_name = columns

        def __len__(self):
            return 40

        def __getitem__(self, name):
            return self.columns_by_name[name]

        def to_pandas(self):
            return pd.DataFrame(self.columns_by_name)

    table = Table(a=X[:, 0], b=X[:, 1], c=X[:, 2])
    line = re.search("pass an array or a frame, such as (.*)", message_of(lambda: trained(table, Y)))[1]
    same(trained(eval(line, {"X": table}), Y), trained(X, Y))


def test_a_sparse_array_of_one_axis_has_its_line():
    labels = scipy.sparse.coo_array(LABELS)
    line = re.search("expected a sparse matrix of two axes, .*; pass (Y.*)", message_of(lambda: classify(X, labels)))[1]
    same(classify(X, eval(line, {"Y": labels})), classify(X, LABELS))


# ------------------------------------------------------------------------------------------------ 21: labels


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize(("row", "loss", "width"), [(33, nn.CrossEntropyLoss(), 3), (21, nn.BCEWithLogitsLoss(), 1)])
def test_a_wrong_label_is_named_by_its_row_in_the_users_own_array(row, loss, width, shuffle):
    """Paddle#27095: an index in the shuffled batch says nothing; the right row is where the label was put."""
    labels = LABELS.copy() if width == 3 else (LABELS > 0).astype(float)[:, None]
    labels[row] = 3
    for use in (
        lambda: trained(X, labels, loss=loss, width=width, shuffle=shuffle),
        lambda: nn.evaluate(nn.Linear(3, width), X, labels, loss=loss, batch_size=8),
    ):
        assert f"this is row {row} of Y" in message_of(use)
    use = lambda: trained(X, labels * 0, loss=loss, width=width, validation_data=(X, labels))  # noqa: E731
    assert f"this is row {row} of validation Y" in message_of(use)


def test_the_error_of_a_wrong_label_can_be_pickled():
    error = pickle.loads(pickle.dumps(nn.losses.loss.TargetError("wrong", (3,))))
    assert (str(error), error.index) == ("wrong", (3,))


def test_the_line_for_labels_from_1_is_right():
    labels = LABELS + 1
    message = message_of(lambda: classify(X, labels))
    line = re.search("classes, target = (np.unique[^;]*)", message)[1]
    same(classify(X, eval(line, {"target": labels, "np": np})[1]), classify(X, LABELS))


@pytest.mark.parametrize("kind", [np.asarray, lambda words: words.astype(object), list])
def test_text_labels_have_their_line_before_the_training(kind):
    words = kind(np.array(["ant", "bee", "cat"])[LABELS])
    message = message_of(lambda: classify(X, words))
    line = re.search("classes, Y = (np.unique[^;]*)", message)[1]
    np.testing.assert_array_equal(eval(line, {"Y": words, "np": np})[1], LABELS)


def test_an_object_that_is_no_number_is_named_by_its_place():
    assert "with None at index (1, 0)" in message_of(lambda: nn.predict(nn.Linear(1, 1), [[1.0], [None]]))
    assert "pass np.asarray(X, dtype=float)" in message_of(
        lambda: nn.predict(nn.Linear(1, 1), np.array([[1], [2]], object))
    )


@pytest.mark.parametrize(
    "labels",
    [
        np.array(
            [1, 2, 3, 4, 7, 8, 9, 10] * 5
        ),  # tensorflow#3739: 8 classes with gaps, which trained on nonsense there
        np.array([1, 2, 3, 4, 5] * 8),  # Paddle#27095: as many classes as outputs, but from 1
        np.array([0, 10, 20, 30] * 10),
    ],
)
def test_the_line_for_labels_with_gaps_is_right(labels):
    classes = len(np.unique(labels))
    message = message_of(lambda: classify(X, labels, classes))
    first_wrong = int(re.search(r"this is row (\d+) of Y", message)[1])
    assert labels[first_wrong] >= classes
    numbers = eval(re.search(r"classes, target = (np.unique\([^;]*\))", message)[1], {"target": labels, "np": np})[1]
    np.testing.assert_array_equal(numbers, np.searchsorted(np.unique(labels), labels))
    assert np.isfinite(classify(X, numbers, classes)).all()


def test_the_code_of_a_missing_label_is_named_as_such():
    """happy-transformer#248, skorch#507: pandas codes a missing value as -1, which np.unique would make a class."""
    words = pd.Series(np.array(["ant", "bee", "cat"])[LABELS], dtype="category")
    words[17] = None
    message = message_of(lambda: classify(X, words.cat.codes))
    assert "this is row 17 of Y; -1 is the code of a missing value in pandas: leave out the row" in message
    assert "missing" not in message_of(lambda: classify(X, words.cat.codes.to_numpy()))
    kept = words.notna().to_numpy()
    same(classify(X[kept], words[kept].cat.codes), classify(X[kept], LABELS[kept]))


def test_whole_labels_in_floats_have_their_line():
    """segmentation_models.pytorch#197: class indices that a file or a mask gave as floats."""
    labels = LABELS * 1.0
    line = re.search("pass (target.*)", message_of(lambda: classify(X, labels)))[1].split("\n")[0]
    same(classify(X, eval(line, {"target": labels, "np": np})), classify(X, LABELS))


# ------------------------------------------------------------------------------------------------ 22: shapes


def test_a_sample_in_each_column_is_named_with_the_line():
    """Features in rows and samples in columns, as MATLAB and courses have them."""
    message = message_of(lambda: trained(X.T, Y))
    assert "X of shape (3, 40) has a sample in each column: pass X.T" in message
    message = message_of(lambda: trained(X.T, Y.T))
    assert "they have a sample in each column: pass X.T and Y.T" in message
    message = message_of(lambda: nn.predict(nn.Linear(3, 1), X.T))
    assert "(X has shape (3, 40); rows are samples, so X looks transposed: pass X.T)" in message


def test_a_single_sample_is_named_with_the_line():
    assert "for a single sample pass X[None, :]" in message_of(lambda: trained(X[0], Y[:1]))
    assert "for a single sample pass X[None]" in message_of(lambda: trained(np.zeros((2, 8, 8)), [1]))
    assert "one sample is one row, [[1.0]]" in message_of(lambda: trained(X[:1], 1.0))


def test_a_series_as_X_has_a_line_that_pandas_accepts():
    message = message_of(lambda: trained(pd.Series(X[:, 0]), Y))
    assert "X has the shape (40,), so each number is a row: pass X.to_numpy()[:, None] for a column" in message


@pytest.mark.parametrize("shape", [(40, 1, 1), (40,), (1, 40, 1)])
def test_targets_with_other_axes_of_size_1_have_their_line(shape):
    """DeepTab#441: labels (N, 1, 1) beside predictions (N, 1) trained on all pairs of rows there."""
    target = Y.reshape(shape)
    message = message_of(lambda: trained(X, target))
    if shape[0] == 1:
        assert "got 40 rows in X and 1 in Y" in message
        return
    line = re.search(r"has the shape .*; pass (Y.*)", message)[1]
    assert line == "Y[:, None]" or len(shape) > 1
    same(trained(X, eval(line, {"Y": target})), trained(X, Y))


@pytest.mark.parametrize("images", [X.reshape(40, 3, 1), np.stack([X, X], axis=1)], ids=["3 x 1", "2 x 3"])
def test_images_for_a_linear_layer_have_their_line(images):
    """Samples of several axes: Linear works along the last one."""
    model = nn.Sequential(nn.Linear(images[0].size, 1, rng=0))
    for use in (
        lambda images: nn.predict(model, images),
        lambda images: nn.evaluate(model, images, Y, loss=nn.MSELoss()),
        lambda images: nn.fit(model, images, Y, loss=nn.MSELoss(), optimizer=nn.SGD(model, 0.01), verbose=0),
    ):
        message = message_of(lambda use=use: use(images))
        line = re.search("for a row of numbers pass (.*)", message)[1]
        use(eval(line, {"X": images}))


def test_a_frame_with_a_column_too_many_lists_its_columns():
    """As the index that read_csv makes a column of, "Unnamed: 0"."""
    df = pd.DataFrame(np.column_stack([np.arange(40), X]), columns=["Unnamed: 0", "a", "b", "c"])
    assert "X has the shape (40, 4): a row for each sample, the columns ['Unnamed: 0', 'a', 'b', 'c']" in message_of(
        lambda: trained(df, Y)
    )


# ------------------------------------------------------------------------------------------------ 23: one output


@pytest.mark.parametrize(("kind", "value"), [(nn.Softmax, 1), (nn.LogSoftmax, 0)])
@pytest.mark.parametrize("nested", [False, True])
def test_a_softmax_of_one_output_is_an_error_before_the_first_step(kind, value, nested):
    """keras#500, nolearn#178: exp(x) / exp(x) = 1 and its derivative 0, so that nothing is learnt, without a word."""
    model = nn.Sequential(nn.Linear(3, 1, rng=0), nn.Sequential(kind()) if nested else kind())
    before = model.Phi.copy()
    with pytest.raises(ValueError, match=rf"of a single output is always {value}, so nothing is learnt; use Sigmoid"):
        nn.fit(model, X, (Y > 0) * 1.0, loss=nn.MSELoss(), optimizer=nn.SGD(model, 0.1), verbose=0)
    np.testing.assert_array_equal(model.Phi, before)
    assert (nn.predict(model, X) == value).all()  # it may be used, as in attention to a single key


@pytest.mark.parametrize("labels", [LABELS * 0, (LABELS > 0) * 1], ids=["zeros", "0 and 1"])
def test_cross_entropy_of_one_output_is_an_error_before_the_first_step(labels):
    """keras#500: -log(exp(z) / exp(z)) = 0 whatever the model gives."""
    message = message_of(lambda: classify(X, labels, classes=1))
    assert message.startswith("CrossEntropyLoss(): expected logits of at least 2 classes along axis 1")
    assert "for two classes with one output use BCEWithLogitsLoss" in message


def test_a_softmax_over_the_rows_of_a_column_trains():
    model = nn.Sequential(nn.Linear(3, 1, rng=0), nn.Softmax(dim=0))
    nn.fit(model, X, (Y > 0) * 1.0, loss=nn.MSELoss(), optimizer=nn.SGD(model, 0.1), verbose=0)
