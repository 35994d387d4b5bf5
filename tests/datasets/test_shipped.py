"""The data sets that come with the package are what their sources say."""

import gzip
from importlib.resources import files

import numpy as np
import pytest

import nnlite as nn


@pytest.mark.parametrize("name", ["breast_cancer", "digits"])
def test_the_file_has_no_time_of_packing_and_a_name_for_each_column(name):
    packed = (files("nnlite.datasets") / f"{name}.csv.gz").read_bytes()
    assert packed[4:8] == bytes(4)  # so the same text gives the same bytes
    assert gzip.decompress(packed).decode("ascii").startswith("# ")
    dataset = getattr(nn.datasets, name)()
    assert len(set(dataset.feature_names)) == dataset.X.shape[1]
    assert "Creative Commons Attribution 4.0" in dataset.description


def test_the_breast_cancer_data_are_what_their_source_says():
    X, Y = nn.datasets.breast_cancer()
    assert X.shape == (569, 30)
    assert Y.shape == (569, 1)
    assert np.count_nonzero(Y == 0) == 212  # malignant
    assert np.count_nonzero(Y == 1) == 357  # benign
    lowest = """6.981 9.71 43.79 143.5 0.053 0.019 0 0 0.106 0.05 0.112 0.36 0.757 6.802 0.002 0.002 0 0 0.008 0.001
                7.93 12.02 50.41 185.2 0.071 0.027 0 0 0.156 0.055"""
    highest = """28.11 39.28 188.5 2501 0.163 0.345 0.427 0.201 0.304 0.097 2.873 4.885 21.98 542.2 0.031 0.135 0.396
                 0.053 0.079 0.03 36.04 49.54 251.2 4254 0.223 1.058 1.252 0.291 0.664 0.208"""
    np.testing.assert_allclose(X.min(axis=0), np.array(lowest.split(), float), rtol=0, atol=5.01e-4)
    np.testing.assert_allclose(X.max(axis=0), np.array(highest.split(), float), rtol=0, atol=5.01e-4)


def test_malignant_nuclei_are_larger():
    dataset = nn.datasets.breast_cancer()
    malignant = dataset.Y[:, 0] == dataset.target_names.index("malignant")
    radius = dataset.X[:, dataset.feature_names.index("mean radius")]
    assert radius[malignant].mean() > 1.3 * radius[~malignant].mean()


def test_the_digits_are_what_their_source_says():
    X, Y = nn.datasets.digits()
    assert X.shape == (1797, 64)
    assert np.array_equal(X, X.astype(int))
    assert (X.min(), X.max()) == (0, 16)
    assert np.bincount(Y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_they_are_those_of_scikit_learn():
    sklearn = pytest.importorskip("sklearn.datasets")
    for ours, theirs in (
        (nn.datasets.digits(), sklearn.load_digits()),
        (nn.datasets.breast_cancer(), sklearn.load_breast_cancer()),
    ):
        assert (theirs.data == ours.X).all()
        assert (ours.Y.ravel() == theirs.target).all()
    assert ours.feature_names == tuple(theirs.feature_names)


def test_windows_of_the_text_overlap_and_cover_it():
    dataset = nn.datasets.text(length=10, step=10)
    poem = (files("nnlite.datasets") / "the_raven.txt").read_text(encoding="utf-8")
    read = ["".join(dataset.target_names[code] for code in row) for row in dataset.X]
    assert "".join(read) == poem[: 10 * len(read)]
    assert (dataset.X[:, 1:] == dataset.Y[:, :-1]).all()
    assert (dataset.X[1:, 0] == dataset.Y[:-1, -1]).all()
    assert repr(dataset).endswith(r"'\n', ' ', !, ...; a poem, letter by letter)")
    assert poem.lower().count("nevermore") == 11
    assert poem.count("\n\n") == 17  # 18 stanzas
    with pytest.raises(ValueError, match="text: length: expected less than"):
        nn.datasets.text(length=10**6)


@pytest.mark.parametrize("name", ["breast_cancer", "digits", "text"])
def test_what_is_changed_in_one_copy_is_not_in_the_next(name):
    make = getattr(nn.datasets, name)
    first = make()
    before = first.X[0, 0]
    first.X[0, 0] = 77
    assert make().X[0, 0] == before
