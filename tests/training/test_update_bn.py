"""update_bn: running statistics computed anew, and nothing else changed."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import nnlite as nn

X = np.random.default_rng(0).normal(2.0, 3.0, size=(20, 3))


def network(dtype=np.float64):
    rng = np.random.default_rng(1)
    layers = nn.BatchNorm1d(3, dtype=dtype), nn.Linear(3, 4, dtype=dtype, rng=rng), nn.Dropout(0.5, rng=2), nn.ReLU()
    return nn.Sequential(*layers, nn.Sequential(nn.BatchNorm1d(4, momentum=0.3, dtype=dtype))).eval()


def test_statistics_are_the_means_over_all_batches():
    model = network()
    model[0].running_mean, model[0].num_batches_tracked = np.full(3, 100.0), np.array(7)
    nn.update_bn(model, X, batch_size=8)
    batches = X[:8], X[8:16], X[16:]
    assert_allclose(model[0].running_mean, np.mean([batch.mean(axis=0) for batch in batches], axis=0), rtol=1e-12)
    assert_allclose(model[0].running_var, np.mean([batch.var(axis=0, ddof=1) for batch in batches], axis=0), rtol=1e-12)
    assert model[0].num_batches_tracked == model[4][0].num_batches_tracked == 3
    assert model[4][0].running_mean.all()


def test_it_is_torchs():
    torch = pytest.importorskip("torch")
    model = nn.Sequential(nn.Linear(3, 4, dtype=np.float64, rng=0), nn.BatchNorm1d(4, dtype=np.float64), nn.Tanh(),
                          nn.Linear(4, 2, dtype=np.float64, rng=1), nn.BatchNorm1d(2, dtype=np.float64))  # fmt: skip
    theirs = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Tanh(), torch.nn.Linear(4, 2),
                                 torch.nn.BatchNorm1d(2)).double()  # fmt: skip
    for i in 0, 3:
        theirs[i].weight.data, theirs[i].bias.data = torch.tensor(model[i].W.T.copy()), torch.tensor(model[i].b)
    torch.optim.swa_utils.update_bn(torch.tensor(X).split(6), theirs)
    nn.update_bn(model, X, batch_size=6)
    for i in 1, 4:
        assert_allclose(model[i].running_mean, theirs[i].running_mean, rtol=1e-12)
        assert_allclose(model[i].running_var, theirs[i].running_var, rtol=1e-12)
        assert model[i].num_batches_tracked == int(theirs[i].num_batches_tracked)


class Counter(nn.Layer, buffers=("forwards",)):
    """A layer with a buffer that is no statistic of the data."""

    def __init__(self):
        self.forwards = np.array(0)

    def forward(self, X):
        self.forwards += self.training
        return self.record_Y(self.check_X(X) * 1.0)


def test_nothing_else_changes():
    model = nn.Sequential(*network(), Counter()).eval()
    model[1].training = True
    before = {name: array.copy() for name, array in model.state_dict().items()}
    generator = str(model[2].rng.bit_generator.state)
    nn.update_bn(model, X)
    changed = {name for name, array in model.state_dict().items() if not np.array_equal(array, before[name])}
    assert changed == {f"{layer}.{name}" for layer in ("0", "4.0") for name in model[0]._buffers}
    assert str(model[2].rng.bit_generator.state) == generator
    assert [layer.training for layer in model] == [False, True, False, False, False, False]
    assert (model[0].momentum, model[4][0].momentum) == (0.1, 0.3)


def test_a_model_without_statistics_reads_no_rows():
    nn.update_bn(nn.Sequential(nn.Linear(3, 1), nn.BatchNorm1d(1, track_running_stats=False)), np.zeros((2, 5)))


def batches_of(X):
    return lambda: ((X[start : start + 8], X[start : start + 8, :1]) for start in range(0, len(X), 8))


class Dataset:
    def __len__(self):
        return len(X)

    def __getitem__(self, i):
        return X[i], X[i, :1]


@pytest.mark.parametrize(
    "source", [batches_of(X), batches_of(X)(), Dataset(), X.tolist()], ids=["function", "generator", "dataset", "list"]
)
def test_rows_may_be_batches_or_a_dataset(source):
    expected, model = network(), network()
    nn.update_bn(expected, X, batch_size=8)
    nn.update_bn(model, source, batch_size=8)
    assert_array_equal(model[4][0].running_var, expected[4][0].running_var)


def test_a_layer_of_ones_own_takes_part():
    class OwnNorm(nn.Layer, buffers=("mean", "count")):
        def __init__(self):
            self.momentum, self.mean, self.count = 0.5, np.ones(3), np.array(0)

        def reset_running_stats(self):
            self.mean, self.count = np.zeros(3), np.array(0)

        def forward(self, X):
            if self.training:
                self.count += 1
                self.mean += (X.mean(axis=0) - self.mean) * (self.momentum or 1 / self.count)
            return self.record_Y(self.check_X(X) - self.mean)

    model = nn.Sequential(OwnNorm())
    nn.update_bn(model, X, batch_size=10)
    assert_allclose(model[0].mean, X.mean(axis=0), rtol=1e-6)  # in float32


def test_rows_that_are_not_finite_are_an_error_that_changes_nothing():
    model, rows = network(), X.copy()
    rows[3, 1] = np.nan
    before = {name: array.copy() for name, array in model.state_dict().items()}
    message = (
        r"^running_mean of Sequential\[0\] BatchNorm1d\(3.* is not finite on these rows, and keeps its old value; "
    )
    with pytest.raises(nn.DivergenceError, match=message):
        nn.update_bn(model, rows)
    for name, array in model.state_dict().items():
        assert_array_equal(array, before[name])


def test_an_error_in_a_batch_changes_nothing():
    model = network()
    generator = str(model[2].rng.bit_generator.state)
    before = {name: array.copy() for name, array in model.state_dict().items()}

    def broken():
        yield X[:8], X[:8]
        raise RuntimeError("out of luck")

    with pytest.raises(RuntimeError, match="out of luck"):
        nn.update_bn(model, broken)
    for name, array in model.state_dict().items():
        assert_array_equal(array, before[name])
    assert str(model[2].rng.bit_generator.state) == generator


def test_a_tied_norm_is_an_error():
    norm = nn.BatchNorm1d(3)
    for twice in nn.tied(norm), nn.Sequential(nn.Tanh(), nn.tied(norm)):
        with pytest.raises(ValueError, match=r"^update_bn: .*Tied\(.* uses running statistics a second time"):
            nn.update_bn(nn.Sequential(norm, twice), X)
        norm = nn.BatchNorm1d(3)
    norm = nn.BatchNorm1d(3, track_running_stats=False)
    linear = nn.Linear(3, 3)
    model = nn.Sequential(norm, nn.tied(norm), linear, nn.tied(linear), nn.BatchNorm1d(3))
    nn.update_bn(model, X)
    assert model[4].num_batches_tracked == 1


def test_what_is_wrong_with_its_arguments():
    with pytest.raises(ValueError, match="batch_size: expected at least 1"):
        nn.update_bn(network(), X, batch_size=0)
    with pytest.raises(TypeError, match="model: expected a Layer"):
        nn.update_bn(X, network())
    with pytest.raises(nn.ShapeError, match=r"expected X of shape .* with C = 3, got \(20, 2\)"):
        nn.update_bn(network(), X[:, :2])


def test_batch_norm_forgets():
    layer = nn.BatchNorm2d(2)
    layer.forward(np.random.default_rng(0).normal(3.0, 2.0, size=(4, 2, 3, 3)))
    layer.reset_running_stats()
    assert_array_equal(layer.running_mean, [0, 0])
    assert_array_equal(layer.running_var, [1, 1])
    assert layer.num_batches_tracked == 0
    nn.BatchNorm1d(2, track_running_stats=False).reset_running_stats()
