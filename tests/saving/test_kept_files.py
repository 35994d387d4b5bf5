"""Files that every version wrote: today's nnlite reads them all, and writes those of its own version to the byte."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal, assert_equal
from support import kept_files, own_layers  # noqa: F401 - registers the layers of a file
from support.kept_files import FOLDER, X

import nnlite as nn
from nnlite.saving.archive import VERSION

VERSIONS = sorted(path.stem.removeprefix("model-") for path in FOLDER.glob("model-*.npz"))
OLDER = ["2-without-fingerprints", "2-without-averages", "2-without-weights"]


def expected(version, *names):
    with np.load(FOLDER / f"expected-{version}.npz") as file:
        return {name: file[name] for name in names or file.files}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_model_computes_what_it_did_when_it_was_saved(version):
    model = nn.load(FOLDER / f"model-{version}.npz")
    assert repr(model) == repr(kept_files.model())
    assert [layer.training for _, layer in model.named_layers()] == [
        layer.training for _, layer in kept_files.model().named_layers()
    ]
    found = {"Y": model.forward(X), "dX": model.backward(X), "dPhi": model.dPhi}
    assert_equal(found, expected(version, *found))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_state_dict_holds_what_was_saved(version):
    loaded = nn.load(FOLDER / f"state-dict-{version}.npz")
    assert_equal(loaded, {name: np.asarray(value) for name, value in kept_files.state_dict().items()})
    for name, value in kept_files.state_dict().items():
        assert loaded[name].dtype == np.asarray(value).dtype.newbyteorder("=")


@pytest.mark.parametrize("version", [*VERSIONS, *OLDER])
def test_a_training_stopped_in_the_middle_of_an_epoch_goes_on_to_the_same_end(version, tmp_path):
    found = kept_files.train(tmp_path / "next.npz", resume=FOLDER / f"training-{version}.npz", epochs=2)
    assert_equal(found, expected(version[0], *found))
    assert_array_equal(nn.load(FOLDER / f"training-{version}.npz").forward([[0.0, 0.0]]).shape, (1, 1))


@pytest.mark.parametrize("version", VERSIONS[1:])
def test_layers_hold_the_buffers_and_generators_that_were_saved(version):
    model = nn.load(FOLDER / f"layers-{version}.npz")
    expected = kept_files.layers()
    assert_equal(model.state_dict(), expected.state_dict())
    assert model[0].rng is model[3].rng
    for _ in range(2):
        assert_array_equal(model.forward(X), expected.forward(X))


def test_todays_files_are_those_that_are_kept_to_the_byte(tmp_path):
    """Where this fails, read ``tests/support/kept_files.py``."""
    kept_files.write(tmp_path, str(VERSION))
    kinds = sorted(path.name for path in FOLDER.glob(f"*-{VERSION}.npz") if path.stem != f"expected-{VERSION}")
    assert sorted(path.name for path in tmp_path.iterdir()) == kinds
    for name in kinds:
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes(), name
