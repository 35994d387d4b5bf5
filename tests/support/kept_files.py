"""One small file of each kind, as every version of the file format that ever landed has written it.

    PYTHONPATH=. python tests/support/kept_files.py 2

writes ``tests/saving/files/{model,state-dict,training,layers,expected}-2.npz`` with the nnlite that it imports. Those
of a version are written once, by the nnlite whose version it is: ``expected`` holds what that nnlite computed from
them, and ``tests/saving/test_kept_files.py`` asks the same of today's. Those of version 1 were written by the last
commit that wrote it, 6accfba, and have no ``layers``, with buffers and generators. ``training-2-without-fingerprints``
is what version 2 wrote before checkpoints held fingerprints of the data and options of callbacks,
``training-2-without-averages`` before EarlyStopping noted whether its best weights are averages, and
``training-2-without-weights`` before each metric had a weight of its own in the mean of an epoch.

Today's nnlite writes its own version to the byte. Where that test fails, either the change was not meant; or a layer or
optimizer in here has a new option: write the files again, after a look at what differs; or the format has a new
version: raise ``VERSION`` in ``nnlite/saving/archive.py``, write its files, and keep the old ones.

Every number in here is a small multiple of a power of two, and so is every result: they are exact, whatever the
machine, its BLAS and its number of threads.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np

import nnlite as nn

FOLDER = Path(__file__).parents[1] / "saving" / "files"

X = np.array([[1.0, 2.0, -1.0], [0.5, -1.0, 2.0]])


def model() -> nn.Sequential:
    """Nested containers of every kind, ties, an array that is learnt, a constant and layers of different modes."""
    x = nn.Input("x", shape=(None, 3))
    first = nn.Linear(3, 3, dtype=np.float64, rng=0)
    scale = nn.Parameter([1.0, 2.0, 0.5], name="scale", dtype=np.float64)
    graph = nn.Graph(x, nn.Abs()(first(x * scale) + nn.tied(first)(x)) * 0.5)
    around = nn.Residual(nn.Linear(3, 4, dtype=np.float64, rng=0), nn.ReLU(), nn.Linear(4, 3, dtype=np.float64, rng=0))
    encoder = nn.Linear(3, 2, dtype=np.float64, rng=0)
    whole = nn.Sequential(graph, around, encoder, nn.Transpose(-1, -1), nn.tied(encoder, transpose=True))
    whole.Phi = (np.arange(whole.Phi.size) % 7 - 3) / 4
    whole[1].eval()
    return whole


def layers() -> nn.Sequential:
    """Layers of a user's own, with buffers and a generator."""
    from support.own_layers import OwnBatchNorm, OwnDropout

    rng = np.random.Generator(np.random.SFC64(3))
    norm = OwnBatchNorm(3)
    norm.running_mean, norm.running_var, norm.batches = [0.5, -0.25, 1.0], [1.0, 2.0, 0.5], 7
    return nn.Sequential(OwnDropout(0.5, rng=rng), norm, nn.Tanh(), OwnDropout(0.25, rng=rng))


def state_dict() -> dict[str, Any]:
    return {
        "a": np.arange(6, dtype=np.int8).reshape(2, 3)[:, ::-1],
        "b/c": np.float32(0.1),
        "é": [True, False],
        "big-endian": np.arange(3, dtype=">f8"),
        "half": np.float16([1.5]),
        "nothing": np.zeros((0, 3), np.uint64),
    }


def train(path: Any, *callbacks: Any, epochs: int = 3, **options: Any) -> dict[str, np.ndarray]:
    """What three epochs of two batches end with."""
    rows = np.array([[0, 1], [1, -1], [1, 1], [0, 2], [1, 0], [0, -1], [-1, 1], [2, 1]])
    layer = nn.Linear(2, 1, dtype=np.float64, rng=0)
    layer.Phi = [0.5, -0.25, 0.0]
    network = nn.Sequential(layer)
    optimizer = nn.SGD(network, lr=0.125, momentum=0.5)
    callbacks = (nn.EarlyStopping(patience=5), nn.Checkpoint(path), *callbacks)
    options = {"batch_size": 2, "validation_split": 0.5, "callbacks": callbacks, "rng": 7, "verbose": 0} | options
    Y = rows @ [[2.0], [-1.0]] + 0.5
    history = nn.fit(network, rows, Y, loss=nn.MSELoss(), optimizer=optimizer, epochs=epochs, **options)
    return {"Phi": network.Phi.copy(), **{name: np.array(values) for name, values in history.items()}}


class Stop(nn.Callback):
    """Ends the training in the middle of its second epoch, where the checkpoint is then written."""

    def on_batch_end(self, state: Any) -> bool:
        return (state.epoch, state.batch) == (2, 1)


def write(folder: Path, version: str) -> None:
    nn.save(model(), folder / f"model-{version}.npz")
    nn.save(state_dict(), folder / f"state-dict-{version}.npz")
    if version != "1":
        nn.manual_seed(0)  # whose generator is in the file
    train(folder / f"training-{version}.npz", Stop())
    if version != "1":
        nn.save(layers(), folder / f"layers-{version}.npz")


def expected(folder: Path) -> dict[str, np.ndarray]:
    """What the files are to give."""
    network = model()
    outputs = {"Y": network.forward(X), "dX": network.backward(X), "dPhi": network.dPhi}
    return outputs | train(folder / "other.npz")


if __name__ == "__main__":
    import tempfile

    sys.path.insert(0, str(FOLDER.parents[1]))
    write(FOLDER, sys.argv[1])
    with tempfile.TemporaryDirectory() as other:
        np.savez(FOLDER / f"expected-{sys.argv[1]}.npz", **expected(Path(other)))
