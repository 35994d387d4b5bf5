"""Trainings by several processes: each case returns arrays that do not depend on the number of ranks.

    mpiexec -n 2 python tests/support/parallel_cases.py FOLDER

writes those of each rank to FOLDER/RANK of RANKS.npz; where there is one rank, also those without DataParallel.
"""

import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import nnlite as nn

ROWS = 23  # of 8 a batch; the last one has 7
CASES: dict[str, Any] = {}


def case(function: Any) -> Any:
    CASES[function.__name__] = function
    return function


def rows(outputs: int = 1, count: int = ROWS) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    return rng.normal(size=(count, 4)), rng.normal(size=(count, outputs))


def classes(count: int = ROWS) -> tuple[np.ndarray, np.ndarray]:
    return rows(count=count)[0], np.random.default_rng(6).integers(0, 3, count)


def mlp(*middle: nn.Layer, outputs: int = 1, end: tuple[nn.Layer, ...] = ()) -> nn.Sequential:
    rng = np.random.default_rng(7)
    model = nn.Sequential(nn.Linear(4, 6, rng=rng), *middle, nn.Tanh(), nn.Linear(6, outputs, rng=rng), *end)
    return model.astype(np.float64)


def train(first: list[Any], model: nn.Layer, X: Any, Y: Any = None, **options: Any) -> dict[str, Any]:
    defaults = {"loss": nn.MSELoss(), "epochs": 2, "batch_size": 8, "rng": 1, "verbose": 0}
    own = options.pop("callbacks", [])
    optimizer = options.pop("optimizer", nn.Adam)(model, lr=options.pop("lr", 0.05))
    history = nn.fit(model, X, Y, optimizer=optimizer, callbacks=[*first, *own], **(defaults | options))
    arrays = {"Phi": model.Phi.copy(), **history.to_dict()}
    return arrays | {name: buffer.copy() for name, buffer in model.named_buffers()}


def in_order(P: np.ndarray, Y: np.ndarray) -> float:
    """A metric that depends on the order of the rows."""
    return float(np.sum((P - Y)[:, 0] * np.arange(len(P))))


@case
def plain(first: Any) -> Any:
    metrics = [nn.r2, in_order, nn.mean_over_batches(lambda P, Y: float(np.mean(P - Y)))]
    return train(first(), mlp(), *rows(), metrics=metrics, validation_data=rows(count=19))


@case
def short_batches(first: Any) -> Any:
    return train(first(), mlp(), *rows(count=9), batch_size=8)  # the last batch has one row


@case
def sums(first: Any) -> Any:
    return train(first(), mlp(), *rows(), loss=nn.MSELoss(reduction="sum"), lr=0.01, metrics=[nn.r2])


@case
def validation(first: Any) -> Any:
    X, Y = classes()
    metrics = [nn.accuracy, partial(nn.f1, average="macro")]
    return train(
        first(), mlp(outputs=3), X, Y, loss=nn.CrossEntropyLoss(), validation_split=0.4, batch_size=4, metrics=metrics
    )


@case
def weights(first: Any) -> Any:
    X, Y = classes()
    w = np.random.default_rng(8).random(ROWS)
    w[::3] = 0
    balance = {"sample_weight": w, "class_weight": "balanced"}
    return train(first(), mlp(outputs=3), X, Y, loss=nn.CrossEntropyLoss(), **balance)


@case
def ignored(first: Any) -> Any:
    X, Y = classes()
    Y[::2] = -100
    Y[8:14] = -100  # so that the share of a rank has none that counts
    loss = nn.CrossEntropyLoss(weight=[1.0, 3.0, 0.5], label_smoothing=0.1)
    return train(first(), mlp(outputs=3), X, Y, loss=loss, shuffle=False)


@case
def fewer_rows_than_ranks(first: Any) -> Any:
    return several_outputs(first, ignored=0, batch_size=2)


def several_outputs(first: Any, ignored: int = ROWS, **options: Any) -> Any:
    X, Y = classes()
    Y[1:ignored:2] = -100
    x = nn.Input()
    h = nn.Tanh()(nn.Linear(4, 5, rng=2)(x))
    model = nn.Graph(x, (nn.Linear(5, 3, rng=3)(h), nn.Linear(5, 1, rng=4)(h))).astype(np.float64)
    losses = ((0.3, nn.CrossEntropyLoss()), nn.MSELoss())
    return train(first(), model, X, (Y, rows()[1]), loss=losses, metrics=([], [nn.r2]), accumulate_steps=3, **options)


CASES["several_outputs"] = several_outputs


@case
def accumulated(first: Any) -> Any:
    X, Y = classes()
    Y[::2] = -100
    return train(
        first(), mlp(outputs=3), X, Y, loss=nn.CrossEntropyLoss(), batch_size=4, accumulate_steps=4, clip_norm=0.1
    )


@case
def clipped_and_penalized(first: Any) -> Any:
    class Penalty(nn.Callback):
        def on_backward_end(self, state: Any) -> None:
            state.model.dPhi += 0.1 * state.model.Phi

    schedule = nn.StepLR(0.1, step_size=3, gamma=0.5)
    return train(first(), mlp(), *rows(), lr=schedule, clip_value=0.05, callbacks=[Penalty(), nn.LearningRateLogger()])


@case
def synchronised(first: Any) -> Any:
    model = mlp(nn.BatchNorm1d(6))
    # SGD: Adam would make steps of the rounding error of the gradient of a bias before BatchNorm, which is 0.
    options = {"optimizer": nn.SGD, "callbacks": [nn.WeightAverage()]}
    return train(first(sync_batchnorm=True), model, *rows(count=18), **options)


@case
def synchronised_images(first: Any) -> Any:
    rng = np.random.default_rng(3)
    layers = nn.Conv2d(1, 3, 3, rng=rng), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 1, rng=rng)
    model = nn.Sequential(*layers).astype(np.float64)
    X = 100 + rng.normal(size=(9, 1, 4, 4))  # the last batch has one image
    return train(first(sync_batchnorm=True), model, X, rng.normal(size=(9, 1)), optimizer=nn.SGD)


@case
def local_statistics(first: Any) -> Any:
    """The mean of all ranks' means is that of the batch; variances, and so the training, are not."""
    found = train(first(), mlp(nn.BatchNorm1d(6)), *rows(), epochs=1, batch_size=ROWS)
    return {name: found[name] for name in ("1.running_mean", "1.num_batches_tracked")}


class Scaled(nn.Loss, parameters=("s",)):
    """A loss with a parameter, which is trained as well: ``(s Y - target)^2``."""

    def __init__(self) -> None:
        super().__init__()
        self.dtype = np.dtype(np.float64)
        self.s = np.ones(1)

    def forward(self, Y: Any, target: Any) -> Any:
        self.Y, self.error = Y, self.s * Y - target
        return self.reduce(self.error**2)

    def backward(self, dJ: Any = 1.0) -> Any:
        slope = self.scale(dJ) * 2 * self.error
        self.ds = np.sum(slope * self.Y).reshape(1)
        return slope * self.s


@case
def a_loss_with_a_parameter(first: Any) -> Any:
    loss, model = Scaled(), mlp()
    X, Y = rows(count=9)
    optimizers = [nn.SGD(model, lr=0.1), nn.SGD(loss, lr=0.1)]
    options = {"epochs": 2, "batch_size": 8, "rng": 1, "verbose": 0, "callbacks": first()}
    nn.fit(model, X, Y, loss=loss, optimizer=optimizers, **options)
    return {"Phi": model.Phi, "s": loss.s}


@case
def several_callbacks(first: Any) -> Any:
    model = mlp()
    optimizer = nn.SGD(model, lr=0.5, momentum=0.9)
    callbacks = [nn.ReduceLROnPlateau(optimizer, patience=0), nn.WeightAverage(0.9), nn.EarlyStopping(patience=6)]
    options = {"validation_data": rows(count=7), "epochs": 12, "callbacks": callbacks}
    return train(first(), model, *rows(), optimizer=lambda model, lr: optimizer, **options)


@case
def dropout(first: Any) -> Any:
    X, Y = rows(count=18)  # the last batch has two rows
    model = mlp(nn.Dropout(0.5, rng=9), nn.RReLU(rng=10))
    return train(first(), model, X, Y)


@case
def batches(first: Any) -> Any:
    X, Y = rows()
    return train(first(), mlp(), lambda: ((X[i : i + 5], Y[i : i + 5]) for i in range(0, ROWS, 5)))


@case
def stopped(first: Any) -> Any:
    stopping = nn.EarlyStopping("val_loss", patience=2)
    data = {"validation_data": rows(count=5), "lr": 0.5, "epochs": 30, "callbacks": [stopping]}
    arrays = train(first(), mlp(nn.BatchNorm1d(6).eval() and nn.Identity()), *rows(), **data)
    return arrays | {"best epoch": stopping.best_epoch}


@case
def sequences(first: Any) -> Any:
    """Of different lengths: the mean is over the steps of all processes."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 9, ROWS)
    X, Y = ([rng.normal(size=(length, width)) for length in lengths] for width in (2, 3))
    x, steps = nn.Input("x"), nn.Input("lengths")
    h = nn.GRU(2, 4, dtype=np.float64, rng=1)(x, steps)
    model = nn.Graph([x, steps], nn.Linear(4, 3, dtype=np.float64, rng=2)(h))
    options = {"batch_size": 5, "validation_data": nn.Sequences(X[:7], Y[:7])}
    return train(first(), model, nn.Sequences(X, Y), None, loss=nn.MSELoss(), **options)


def pieces(first: Any, **options: Any) -> Any:
    """Each process carries the states of its own sequences."""
    rng = np.random.default_rng(0)
    data = nn.Pieces(rng.normal(size=(7, 12, 2)), rng.integers(0, 3, (7, 12)), steps=3)
    layer = nn.Stateful(nn.GRU(2, 4, return_state=True, dtype=np.float64, rng=1))
    model = nn.Sequential(layer, nn.Linear(4, 3, dtype=np.float64, rng=2))
    options = {"epochs": 2, "batch_size": 4} | options
    return train(first, model, data, None, loss=nn.CrossEntropyLoss(dim=-1), **options)


class Stop(nn.Callback):
    """Ends the training after three batches of the second epoch, where one is left of two that make a step."""

    def on_batch_end(self, state: Any) -> bool:
        return (state.epoch, state.batch) == (2, 3)


def interrupted(first: Any, stopped: Path | None = None, resumed: Path | None = None) -> Any:
    """A training that is stopped in the middle of an epoch, or is resumed there, or neither."""
    X, Y = classes()
    callbacks = [nn.Checkpoint(stopped), Stop()] if stopped else []
    options = {"epochs": 2, "resume": resumed} if resumed else {"epochs": 3}
    options |= {"batch_size": 4, "accumulate_steps": 2, "metrics": [nn.accuracy, partial(nn.f1, average="macro")]}
    model = mlp(nn.Dropout(0.2, rng=9), outputs=3)
    return train(first, model, X, Y, loss=nn.CrossEntropyLoss(), callbacks=callbacks, **options)


def main(folder: Path) -> None:
    parallel = nn.DataParallel()
    found = {}
    for name, function in CASES.items():
        firsts: dict[str, Any] = {"": lambda **options: [nn.DataParallel(**options)]}
        if parallel.ranks == 1:
            firsts["one process, "] = lambda **options: []
        for prefix, first in firsts.items():
            found |= {f"{prefix}{name}: {key}": value for key, value in function(first).items()}
    ranks = parallel.ranks
    interrupted([parallel], stopped=folder / f"stopped by {ranks}.npz")
    for path in sorted(folder.glob("stopped by *.npz")):
        found |= {f"{path.stem}: {key}": value for key, value in interrupted([parallel], resumed=path).items()}
    found |= {f"pieces: {key}": value for key, value in pieces([parallel]).items()}
    file = folder / f"pieces of {ranks}.npz"
    pieces([parallel], callbacks=[nn.Checkpoint(file), Stop()], epochs=3)
    for path in sorted(folder.glob("pieces of *.npz")):
        resumed = pieces([parallel], resume=path, epochs=1)
        found |= {f"{path.stem}, resumed: {key}": resumed[key] for key in resumed}
    np.savez(folder / f"{parallel.rank} of {ranks}.npz", **found)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
