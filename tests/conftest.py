"""What several test files begin with."""

import sys

import pytest

import nnlite as nn


@pytest.fixture
def path(tmp_path):
    return tmp_path / "some.npz"


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("archives")


@pytest.fixture(scope="session")
def small(folder):
    """The bytes of a small model, which stands in ``folder``, too."""
    path = folder / "small.npz"
    nn.save(nn.Sequential(nn.Linear(2, 1, rng=0), nn.Tanh()), path)
    return path.read_bytes()


@pytest.fixture
def without_matplotlib(monkeypatch):
    """As if it were not installed."""
    for name in [*sys.modules, "matplotlib"]:
        if name.split(".")[0] == "matplotlib":
            monkeypatch.setitem(sys.modules, name, None)
