"""predict: the same in batches and in one go, from many threads, without a trace on the model."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import nnlite as nn

X = np.random.default_rng(0).normal(size=(50, 3))


def network():
    rng = np.random.default_rng(0)
    return nn.Sequential(
        nn.Linear(3, 5, rng=rng), nn.Sequential(nn.Tanh(), nn.Linear(5, 4, rng=rng)), nn.Softmax()
    ).astype(np.float64)


def everything(model):
    """Every attribute of every layer, arrays as their identity and bytes."""
    return [
        {
            key: (id(value), value.tobytes() if isinstance(value, np.ndarray) else value)
            for key, value in vars(layer).items()
        }
        for _, layer in model.named_layers()
    ]


@pytest.mark.parametrize("batch_size", [1, 7, 49, 50, 51])
def test_batches_give_what_one_forward_gives(batch_size):
    model = network()
    np.testing.assert_allclose(nn.predict(model, X, batch_size=batch_size), model.forward(X), rtol=1e-12)


def test_batches_are_of_1024_rows_unless_told_otherwise():
    class Count(nn.Layer):
        def forward(self, X):
            return X * 0 + len(X)

    assert nn.predict(Count(), np.zeros((1030, 1)))[:, 0].tolist() == [1024] * 1024 + [6] * 6


def test_it_predicts_in_evaluation_mode():
    class Mode(nn.Layer):
        def forward(self, X):
            return X * 0 + self.training

    model = nn.Sequential(nn.Sequential(Mode()))
    assert nn.predict(model, [[1.0]]).tolist() == [[0.0]]
    assert model[0][0].training


@pytest.mark.parametrize("used", [False, True])
def test_it_writes_nothing_on_the_model(used):
    model = network()
    if used:  # there are caches, which must stay those of the last forward
        model.forward(X[:2])
        model.backward(np.ones((2, 4)))
    before = everything(model)
    nn.predict(model, X, batch_size=8)
    nn.predict(model, X[:0])
    assert everything(model) == before


def test_8_threads_each_get_their_own_answer():
    model = network()
    parts = [np.random.default_rng(seed).normal(size=(200, 3)) for seed in range(8)]
    expected = [nn.predict(model, part, batch_size=1) for part in parts]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            for result, right in zip(
                pool.map(lambda part: nn.predict(model, part, batch_size=1), parts), expected, strict=True
            ):
                assert np.array_equal(result, right)


@pytest.mark.parametrize("make", [network, nn.Tanh, nn.Identity, nn.Sequential])
@pytest.mark.parametrize("rows", [0, 1, 5])
def test_the_result_is_the_callers_own(make, rows):
    given = X[:rows].copy()
    result = nn.predict(make(), given)
    assert len(result) == rows
    assert result.flags.writeable
    assert result.flags.owndata
    result += 1
    assert np.array_equal(given, X[:rows])


def test_no_rows_give_no_rows_of_the_right_width():
    assert nn.predict(network(), np.zeros((0, 3))).shape == (0, 4)


def test_no_rows_of_an_object_with_len_and_row_indexing_give_no_rows_either():
    class Rows:
        def __len__(self):
            return 0

        def __getitem__(self, rows):
            return np.zeros((0, 3))[rows]

    assert nn.predict(network(), Rows()).shape == (0, 4)


def test_float32_stays_float32():
    assert nn.predict(nn.Linear(3, 2), X).dtype == np.float32


@pytest.mark.parametrize("batch_size", [1, 2, 1024])
def test_a_single_sample_without_its_axis_is_an_error_with_the_cure(batch_size):
    with pytest.raises(nn.ShapeError, match=r"np\.asarray\(X\)\[None, :\]"):
        nn.predict(network(), [1.0, 2.0, 3.0], batch_size=batch_size)


def test_a_model_that_does_not_keep_the_rows_is_an_error_that_says_so():
    class Sum(nn.Layer):
        def forward(self, X):
            return X.sum()

    class Twice(nn.Layer):
        def forward(self, X):
            return np.repeat(X, 2, axis=0)

    for model, shape in [(Sum(), r"\(\)"), (Twice(), r"\(14, 3\)")]:
        with pytest.raises(
            nn.ShapeError, match=f"expected an output row for each of the 7 rows of X, got shape {shape}"
        ):
            nn.predict(model, X, batch_size=7)


@pytest.mark.parametrize(
    ("wrong", "kind", "message"),
    [
        ({"batch_size": 0}, ValueError, "batch_size: expected at least 1, got 0"),
        ({"batch_size": 1.5}, TypeError, "batch_size: expected a whole number, got 1.5"),
        ({"X": "abc"}, TypeError, "X: expected"),
        ({"X": 1.0}, TypeError, "X: expected one row per sample, got a single number"),
        ({"X": np.zeros((2, 4))}, nn.ShapeError, "expected 3 features, got 4"),
    ],
)
def test_a_bad_argument_is_named(wrong, kind, message):
    with pytest.raises(kind, match=message):
        nn.predict(network(), **{"X": X, **wrong})
