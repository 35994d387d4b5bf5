"""Files that every version wrote: today's nnlite reads them all, and writes those of its own version to the byte."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal, assert_equal
from support import kept_files
from support.kept_files import FOLDER, X

import nnlite as nn

VERSIONS = sorted(path.stem.removeprefix("model-") for path in FOLDER.glob("model-*.npz"))


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


@pytest.mark.parametrize("version", VERSIONS)
def test_a_training_stopped_in_the_middle_of_an_epoch_goes_on_to_the_same_end(version, tmp_path):
    found = kept_files.train(tmp_path / "next.npz", resume=FOLDER / f"training-{version}.npz", epochs=2)
    assert_equal(found, expected(version, *found))
    assert_array_equal(nn.load(FOLDER / f"training-{version}.npz").forward([[0.0, 0.0]]).shape, (1, 1))
