"""Fixtures that several test files use, and how hypothesis draws its examples."""

import gc
import os
import signal
import sys

if "PYTEST_XDIST_WORKER" in os.environ:  # as many workers as cores, so threads of OpenBLAS would fight for them
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # which it reads when NumPy is imported

import pytest
from hypothesis import settings
from support.sweeps import examples

import nnlite as nn

# pytest would import the helpers under a second name, to look for doctests in them.
collect_ignore = ["support"]

# A shell ignores Ctrl-C in what it runs in the background, and so would every process of a test.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("nnlite", examples(40))
settings.load_profile("nnlite")


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """No garbage collection while the thousands of tests are made, and none of them in any collection from then on."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


class FiguresAreClosed:
    """After each test pyplot has no figures; a plugin, since hooks of this file leave out doctests of the package."""

    def pytest_runtest_teardown(self):
        pyplot = sys.modules.get("matplotlib.pyplot")
        if pyplot is not None:
            pyplot.close("all")


def pytest_configure(config):
    config.pluginmanager.register(FiguresAreClosed())


@pytest.fixture(scope="session", autouse=True)
def without_waiting_for_the_disk():
    """Nothing here cuts the power; test_atomic_write.py asks whether os.fsync is called, and when."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture
def path(tmp_path):
    return tmp_path / "some.npz"


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("archives")


@pytest.fixture(scope="session")
def small(folder):
    """The bytes of a small model, which is saved in ``folder``, too."""
    path = folder / "small.npz"
    nn.save(nn.Sequential(nn.Linear(2, 1, rng=0), nn.Tanh()), path)
    return path.read_bytes()


@pytest.fixture
def without_matplotlib(monkeypatch):
    """Importing matplotlib fails, as where it is not installed."""
    monkeypatch.delitem(sys.modules, "nnlite.basics.figures", raising=False)
    for name in [*sys.modules, "matplotlib"]:
        if name.split(".")[0] == "matplotlib":
            monkeypatch.setitem(sys.modules, name, None)
