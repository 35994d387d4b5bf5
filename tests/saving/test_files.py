"""save and load: what goes in comes out, and nothing else happens."""

import copy
import tracemalloc
import zipfile

import numpy as np
import pytest
from numpy.testing import assert_array_equal, assert_equal
from support import own_layers
from support.contract import ROWS, numbers, run, with_ties
from support.contract_row import one_of_each

import nnlite as nn
from nnlite.basics.generators import default_generator
from nnlite.saving import registry


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.npz"


@pytest.fixture
def own_classes(monkeypatch):
    """Forget after the test what is registered in it."""
    monkeypatch.setattr(registry, "_KINDS", dict(registry._KINDS))


def there_and_back(model, path):
    nn.save(model, path)
    return nn.load(path)


def trained(model, X, target=None):
    """The model after a forward and backward and a step: with caches, and weights that no constructor gives."""
    run(model, X, target)
    model.Phi -= 0.01 * np.cos(np.arange(model.Phi.size))
    return model


@pytest.mark.parametrize("row", one_of_each(ROWS), ids=lambda row: row.id)
def test_a_model_comes_back_as_it_was(row, path):
    model = trained(row.make(), row.X, row.target)
    loaded = there_and_back(model, path)
    assert type(loaded) is type(model)
    assert repr(loaded) == repr(model)
    assert loaded.dtype == model.dtype
    assert loaded.num_outputs == model.num_outputs
    assert_equal(dict(loaded.named_parameters()), dict(model.named_parameters()))
    assert list(loaded.state_dict()) == list(model.state_dict())
    written = path.read_bytes()
    nn.save(loaded, path)
    assert path.read_bytes() == written
    assert_equal(run(loaded, row.X, row.target), run(model, row.X, row.target))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble])
@pytest.mark.parametrize("row", [row for row in ROWS if row.layer.Phi.size][::3], ids=lambda row: row.id)
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


# -------------------------------------------------------------------------------- state that is no parameter


def trained_network():
    """Layers of a user's own, with buffers and a generator, after a few batches."""
    model, (X, Y), loss = own_layers.network(), own_layers.data(), own_layers.OwnLoss()
    optimizer = nn.SGD(model, lr=0.1)
    for start in range(0, 24, 8):
        loss.forward(model.forward(X[start : start + 8]), Y[start : start + 8])
        model.backward(loss.backward())
        optimizer.step()
    return model, X


def test_buffers_and_generators_come_back_bit_for_bit(path):
    model, X = trained_network()
    loaded = there_and_back(model, path)
    assert_equal(loaded.state_dict(), model.state_dict())
    assert loaded[3].batches == 3
    assert loaded[3].batches.dtype == model[3].batches.dtype
    for _ in range(2):  # in training mode: the same masks, statistics and generators
        assert_array_equal(loaded.forward(X), model.forward(X))
    assert_equal(loaded.state_dict(), model.state_dict())
    assert_array_equal(loaded.eval().forward(X), model.eval().forward(X))


def test_layers_that_know_no_dtype_come_back_in_that_of_the_model(path):
    model, X = trained_network()
    model.astype(np.float64)
    loaded = there_and_back(model, path)
    assert {array.dtype for array in loaded.state_dict().values()} == {np.dtype("f8"), np.dtype(int)}
    assert_array_equal(loaded.forward(X), model.forward(X))


def test_saving_changes_nothing_and_loading_draws_nothing(path):
    model, X = trained_network()
    twin = copy.deepcopy(model)
    nn.manual_seed(3)
    expected = np.random.Generator(np.random.PCG64(np.random.SeedSequence(3))).random()
    there_and_back(model, path)
    assert default_generator().random() == expected
    assert_array_equal(model.forward(X), twin.forward(X))


def test_a_generator_that_several_layers_share_is_shared_again(path):
    rng = np.random.Generator(np.random.MT19937(0))
    model = nn.Sequential(own_layers.OwnDropout(rng=rng), nn.Tanh(), own_layers.OwnDropout(rng=rng))
    model.forward(np.ones(3))
    loaded = there_and_back(model, path)
    assert loaded[0].rng is loaded[2].rng
    assert loaded[0].rng is not rng
    for _ in range(2):
        assert_array_equal(loaded.forward(np.ones((9, 9))), model.forward(np.ones((9, 9))))


def test_a_tied_layer_draws_from_the_generator_of_the_layer_it_is_tied_to(path):
    first = own_layers.OwnDropout(rng=0)
    model = nn.Sequential(first, nn.tied(first))
    loaded = there_and_back(model, path)
    for _ in range(2):
        assert_array_equal(loaded.forward(np.ones((9, 9))), model.forward(np.ones((9, 9))))


def test_a_tied_layer_uses_the_buffers_of_the_layer_it_is_tied_to(path):
    first = own_layers.OwnBatchNorm(3)
    model = nn.Sequential(first, nn.tied(first))
    X = numbers(4, 3)
    model.forward(X)
    loaded = there_and_back(model, path)
    assert_array_equal(loaded.forward(X), model.forward(X))
    assert_equal(loaded.state_dict(), model.state_dict())
    assert loaded[0].batches == 4


def test_a_generator_under_any_name_comes_back(path, own_classes):
    @nn.register
    class SourceNoise(nn.Layer):
        def __init__(self, std, seed=None):
            self.std, self.seed = std, seed
            self.source = np.random.default_rng(seed)

        def forward(self, X):
            return X + self.std * self.source.normal(size=np.shape(X))

    model = SourceNoise(0.1, seed=5)
    model.forward(np.zeros(3))
    loaded = there_and_back(model, path)
    assert_array_equal(loaded.forward(np.zeros(3)), model.forward(np.zeros(3)))


def test_the_state_of_another_bit_generator_is_an_error_when_it_is_saved(path):
    class Mine(np.random.PCG64):
        pass

    model = nn.Sequential(own_layers.OwnDropout(rng=np.random.Generator(Mine(0))))
    with pytest.raises(TypeError, match=r"Sequential\(1 layers\): 0\.rng: expected a generator with .*got Mine, whose"):
        nn.save(model, path)
    assert not path.exists()


def test_a_constructor_may_draw_from_the_generator_that_it_keeps(path, own_classes):
    @nn.register
    class Random(nn.Layer, parameters=("W",)):
        def __init__(self, rng):
            self.rng = rng
            self.W = rng.normal(size=3)

        def forward(self, X):
            return X * self.W * self.rng.random()

    model = Random(np.random.default_rng(0))
    loaded = there_and_back(model, path)
    for _ in range(2):
        assert_array_equal(loaded.forward(np.ones(3)), model.forward(np.ones(3)))


def test_a_buffer_that_the_constructor_is_given_is_in_the_file_once(path, own_classes):
    @nn.register
    class Standardize(nn.Layer, buffers=("mean", "std")):
        def __init__(self, mean, std):
            self.mean, self.std = mean, std

        def forward(self, X):
            return (X - self.mean) / self.std

    model = Standardize([1.0, 2.0], [0.5, 0.25])
    loaded = there_and_back(model, path)
    assert_array_equal(loaded.forward([1.0, 1.0]), model.forward([1.0, 1.0]))
    with np.load(path) as file:
        assert file.files == ["manifest", "mean", "std"]


# -------------------------------------------------------------------------------- state dicts


def test_a_state_dict_comes_back(path):
    state = {
        "a": np.arange(6, dtype=np.int8).reshape(2, 3)[:, ::-1],
        "b/c": np.float32(0.1),
        "é": [True, False],
        "big-endian": np.arange(3, dtype=">f8"),
        "long double": np.longdouble([1, 2]) / 3,
        "half": np.float16([1.5]),
        "nothing": np.zeros((0, 3), np.uint64),
        "columns": np.asfortranarray(numbers(3, 2)),  # as of safetensors#825, which writes it in its order in memory
        "rows": np.broadcast_to(numbers(2), (4, 2)),  # as of mlx#369
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


def test_what_torch_save_wrote_is_told_from_a_damaged_file(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("model/data.pkl", b"\x80\x02}")
    with pytest.raises(nn.CheckpointError, match=r"torch.save wrote it; nnlite.from_torch takes what torch.load\("):
        nn.load(path)


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


@pytest.mark.parametrize("text", ["a text", b"a text", np.array("a text"), np.array([b"a"])], ids=repr)
@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_a_text_among_the_arrays(text, suffix, tmp_path):
    pytest.importorskip("safetensors")
    with pytest.raises(TypeError, match="array 'a': expected real numbers, got text; leave it out"):
        nn.save({"a": text}, tmp_path / f"file{suffix}")
    assert not list(tmp_path.iterdir())
