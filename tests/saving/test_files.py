"""save and load: what goes in comes out, and nothing else happens."""

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_array_equal, assert_equal
from support.contract import ROWS, numbers, run, with_ties

import nnlite as nn


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.npz"


def there_and_back(model, path):
    nn.save(model, path)
    return nn.load(path)


def trained(model, X, target=None):
    """The model after a forward and backward and a step: with caches, and weights that no constructor gives."""
    run(model, X, target)
    model.Phi -= 0.01 * np.cos(np.arange(model.Phi.size))
    return model


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_a_model_comes_back_as_it_was(row, path):
    model = trained(row.make(), row.X, row.target)
    loaded = there_and_back(model, path)
    assert type(loaded) is type(model)
    assert repr(loaded) == repr(model)
    assert loaded.dtype == model.dtype
    assert loaded.num_outputs == model.num_outputs
    assert_equal(dict(loaded.named_parameters()), dict(model.named_parameters()))
    assert list(loaded.state_dict()) == list(model.state_dict())
    assert_equal(run(loaded, row.X, row.target), run(model, row.X, row.target))
    written = path.read_bytes()
    nn.save(loaded, path)
    assert path.read_bytes() == written


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble])
@pytest.mark.parametrize("row", [row for row in ROWS if row.make().Phi.size][::3], ids=lambda row: row.id)
def test_dtypes_come_back(row, dtype, path):
    model = row.make().astype(dtype)
    model.Phi /= 3
    loaded = there_and_back(model, path)
    assert {layer.dtype for _, layer in loaded.named_layers()} == {np.dtype(dtype)}
    assert_array_equal(loaded.Phi, model.Phi)
    assert loaded.Phi.dtype == loaded.dPhi.dtype == dtype
    assert not loaded.dPhi.any()


def test_a_dtype_without_parameters_comes_back(path):
    loaded = there_and_back(nn.Sequential(nn.Tanh()).astype(np.float64), path)
    assert loaded.forward([1]).dtype == loaded[0].dtype == np.float64


def test_each_layer_keeps_its_mode(path):
    model = nn.Sequential(nn.Tanh(), nn.Sequential(nn.ReLU()))
    assert [layer.training for _, layer in there_and_back(model, path).named_layers()] == [True] * 4
    assert [layer.training for _, layer in there_and_back(model.eval(), path).named_layers()] == [False] * 4
    model.train()[1].eval()
    assert [layer.training for _, layer in there_and_back(model, path).named_layers()] == [True, True, False, False]


def test_a_loaded_model_learns(path):
    model = there_and_back(with_ties(), path)
    X = numbers(4, 3)
    loss, optimizer = nn.MSELoss(), nn.SGD(model, lr=0.01)
    before = loss.forward(model.forward(X), X)
    model.backward(loss.backward())
    optimizer.step()
    assert loss.forward(model.forward(X), X) < before
    assert np.shares_memory(model[0].W, model.Phi)
    assert np.shares_memory(model[2].original.W, model[0].W)
    assert nn.check_gradients(model, X).right


def test_a_slice_is_saved_as_a_sequential(path):
    model = nn.Sequential(nn.Linear(3, 2, rng=0), nn.Tanh(), nn.Linear(2, 1, rng=1))
    loaded = there_and_back(model[1:], path)
    assert type(loaded) is nn.Sequential
    assert_array_equal(loaded.Phi, model[1:].Phi)
    assert_array_equal(there_and_back(model[2], path).W, model[2].W)


def test_a_state_dict_comes_back(path):
    state = {
        "a": np.arange(6, dtype=np.int8).reshape(2, 3)[:, ::-1],
        "b/c": np.float32(0.1),
        "é": [True, False],
        "big-endian": np.arange(3, dtype=">f8"),
        "long double": np.longdouble([1, 2]) / 3,
        "half": np.float16([1.5]),
        "nothing": np.zeros((0, 3), np.uint64),
        "columns": np.asfortranarray(numbers(3, 2)),
    }
    loaded = there_and_back(state, path)
    assert_equal(loaded, {name: np.asarray(value) for name, value in state.items()})
    assert list(loaded) == list(state)
    for name, value in loaded.items():
        assert value.dtype == np.asarray(state[name]).dtype.newbyteorder("=")
        assert value.flags.c_contiguous
        assert value.flags.writeable
    assert there_and_back({}, path) == {}


def test_a_state_dict_goes_back_into_a_model(path):
    model = nn.Linear(3, 2, rng=0)
    other = nn.Linear(3, 2, rng=1)
    other.load_state_dict(there_and_back(model.state_dict(), path))
    assert_array_equal(other.Phi, model.Phi)


def test_numpy_opens_the_file(path):
    model = nn.Sequential(nn.Linear(3, 2, rng=0), nn.Tanh())
    nn.save(model, path)
    with np.load(path, allow_pickle=False) as file:
        assert file.files == ["manifest", "0.W", "0.b"]
        assert_array_equal(file["0.W"], model[0].W)
        assert '"class":"Linear"' in str(file["manifest"])


def test_what_is_no_model_is_not_saved(path):
    with pytest.raises(TypeError, match=r"save: expected a Layer or a dict of arrays, got 3"):
        nn.save(3, path)
    with pytest.raises(TypeError, match=r"array 'a': expected real numbers"):
        nn.save({"a": ["text"]}, path)
    assert not path.exists()


def test_arrays_made_by_numpy_alone_are_not_a_checkpoint(path):
    for write in (np.savez, np.savez_compressed):
        write(path, a=np.arange(3))
        with pytest.raises(nn.CheckpointError, match=rf"{path}: it is truncated, or was not written by nnlite"):
            nn.load(path)
    np.save(path.with_suffix(".npy"), np.arange(3))
    with pytest.raises(nn.CheckpointError, match="was not written by nnlite"):
        nn.load(path.with_suffix(".npy"))


def side_by_side(layers):
    return nn.Sequential(*layers)


def nested(layers):
    return nn.Sequential(nn.Sequential(nn.Sequential(*layers[:2]), layers[2]), nn.Residual(layers[3]))


def tied_often(layers):
    return nn.Sequential(*layers, *[nn.tied(layer) for layer in layers for _ in range(4)])


@pytest.mark.parametrize("make", [side_by_side, nested, tied_often])
def test_loading_takes_little_memory(make, path):
    nn.save(make([nn.Linear(300, 300, rng=seed) for seed in range(4)]), path)
    nn.load(path)  # imports
    tracemalloc.start()
    nn.load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3.4 * path.stat().st_size
