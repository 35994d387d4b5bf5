"""WeightAverage: the average of the weights during a training, exponential or equal."""

from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.checks import one_of, share, whole
from nnlite.compute.kernel import kernel
from nnlite.errors import CheckpointError, StateError
from nnlite.layer.layer import Layer
from nnlite.training.callbacks import Callback
from nnlite.training.checkpoint import check_reached
from nnlite.training.streams import Stream
from nnlite.training.training_state import Training
from nnlite.training.update_bn import update_statistics, with_statistics


class WeightAverage(Callback):
    """Average the weights of the model while it trains; when training ends, the model has the average.

    The n-th weights Phi, counted from 0, change the average A to

        A <- Phi                                       (n = 0)
        A <- decay A + (1 - decay) Phi                 (with a decay: exponential moving average)
        A <- (n A + Phi) / (n + 1)                     (without: equal mean, stochastic weight averaging)

    as ``torch.optim.swa_utils.AveragedModel`` does. Training itself is not changed. At the end of each epoch the
    model has the average during the validation and ``on_epoch_end`` of all callbacks, so that "val_loss" and the
    best weights of :class:`nnlite.EarlyStopping` are those of the average; "loss" is that of the trained weights.
    Afterwards the trained weights are put back. :class:`nnlite.Checkpoint` saves both: training is resumed with the
    trained weights, and :func:`nnlite.load` gives the average, as it was evaluated. When training ends, whatever
    ends it, the model gets the average, or the best weights that EarlyStopping restores.

    Args:
        decay: from 0 to 1, such as 0.99 for an exponential average; None for an equal mean. It averages over about
            ``1 / (1 - decay)`` updates, and needs several times as many to forget the first weights.
        warmup: use the decay ``min(decay, (1 + n) / (10 + n))``, which forgets the first weights sooner.
        start_from_epoch: the number of epochs to wait before averaging. An equal mean usually starts after three
            quarters of the training, which goes on with a constant, rather large learning rate.
        every: number of steps or epochs between two updates of the average.
        unit: "step" or "epoch"; by default each step updates an exponential average, each epoch an equal mean.
        use_buffers: average buffers that are floating as well, and copy others. Otherwise the model keeps its own, but
            with an equal mean the running statistics of BatchNorm are computed anew with the averaged weights, see
            :func:`nnlite.update_bn`: one more pass over the training rows for each evaluation.
        evaluate: whether the average is evaluated at the end of each epoch; otherwise the trained weights are.

    Attributes:
        Phi: the averaged parameters; None before the first update.
        buffers: the buffers that belong to them, by name.
        updates: the number of weights that have been averaged.

    Raises:
        TypeError, ValueError: an argument is out of range; before training, there are two of them, it ends before the
            first update, or running statistics cannot be computed anew.

    Sources: Polyak and Juditsky, Acceleration of stochastic approximation by averaging, 1992; Izmailov, Podoprikhin,
    Garipov, Vetrov and Wilson, Averaging weights leads to wider optima and better generalization, 2018. The warm-up is
    that of ``tf.train.ExponentialMovingAverage``.

    >>> import nnlite as nn
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(100, 2))
    >>> model = nn.Sequential(nn.Linear(2, 8, rng=rng), nn.Tanh(), nn.Linear(8, 1, rng=rng))
    >>> average = WeightAverage(decay=0.9)
    >>> history = nn.fit(model, X, X[:, :1], loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1), epochs=5, rng=rng,
    ...                  validation_split=0.2, callbacks=[average, nn.EarlyStopping(patience=3)], verbose=0)
    >>> average.updates, np.array_equal(model.Phi, average.Phi)  # 5 epochs of 3 steps
    (15, True)

    In a loop by hand, call :meth:`update` after each step, and :meth:`apply` at the end.
    """

    _recomputes = False  # running statistics, before each evaluation

    def __init__(
        self,
        decay: float | None = None,
        *,
        warmup: bool = False,
        start_from_epoch: int = 0,
        every: int = 1,
        unit: str | None = None,
        use_buffers: bool = False,
        evaluate: bool = True,
    ) -> None:
        self.decay = None if decay is None else share(decay, "WeightAverage: decay")
        if warmup and decay is None:
            raise ValueError("WeightAverage: warmup: expected a decay, such as decay=0.999, got None")
        self.warmup = bool(warmup)
        self.start_from_epoch = whole(start_from_epoch, "WeightAverage: start_from_epoch", least=0)
        self.every = whole(every, "WeightAverage: every", least=1)
        default = "epoch" if decay is None else "step"
        self.unit = one_of(default if unit is None else unit, "WeightAverage: unit", ("step", "epoch"))
        self.use_buffers, self.evaluate = bool(use_buffers), bool(evaluate)
        self._forget()

    def _forget(self) -> None:
        self.Phi: Array | None = None
        self.buffers: dict[str, Array] = {}
        self.updates = self.waited = 0
        self._trained: tuple[Array, dict[str, Array]] | None = None  # what the model had, while it has the average

    def update(self, model: Layer) -> None:
        """Add the present weights of the model to the average.

        Raises:
            StateError: the parameters have another shape or dtype than before.
        """
        Phi, buffers = model.Phi, _buffers(model) if self.use_buffers else {}
        if self.Phi is None:
            self.Phi = Phi.copy()
            self.buffers = {name: buffer.copy() for name, buffer in buffers.items()}
        else:
            if (Phi.shape, Phi.dtype) != (self.Phi.shape, self.Phi.dtype):
                raise StateError(
                    f"WeightAverage: expected parameters of shape {self.Phi.shape} and {self.Phi.dtype}, as in the "
                    f"first update, got {Phi.shape} and {Phi.dtype}; use a new WeightAverage"
                )
            weight = self._weight()
            _move(self.Phi, Phi, weight)
            self.buffers = {name: _moved(self.buffers[name], buffer, weight) for name, buffer in buffers.items()}
        self.updates += 1

    def _weight(self) -> float:
        """How far the next weights move the average towards them."""
        n = self.updates
        if self.decay is None:
            return 1 / (n + 1)
        return 1 - (min(self.decay, (1 + n) / (10 + n)) if self.warmup else self.decay)

    def apply(self, model: Layer) -> None:
        """Write the averaged parameters, and the buffers that belong to them, into the model.

        Raises:
            StateError: nothing has been averaged.
        """
        if self.Phi is None:
            raise StateError("WeightAverage: nothing has been averaged; call update(model) first")
        _write(model, self.Phi, self.buffers)

    def evaluated(self, model: Layer) -> dict[str, Array]:
        """The averaged parameters and their buffers by name, if the model has them while it is evaluated; else none.

        :class:`nnlite.Checkpoint` saves them for :func:`nnlite.load`.
        """
        if self.Phi is None or not self.evaluate or (self._recomputes and not self.buffers):
            return {}
        own = dict(model.named_parameters())
        parts = np.split(self.Phi, np.cumsum([P.size for P in own.values()])[:-1])
        return {name: part.reshape(P.shape) for (name, P), part in zip(own.items(), parts, strict=True)} | self.buffers

    # ------------------------------------------------------------------------------------------- in a training

    def on_train_begin(self, state: Training) -> None:
        """Start again, unless a training is resumed."""
        if sum(isinstance(each, WeightAverage) for each in state.callbacks) > 1:
            raise ValueError("WeightAverage: the model can have one average when training ends; pass one, not several")
        if self.unit == "step" and not state.optimizers:  # as in nn.minimize
            raise ValueError('WeightAverage: unit: there are no steps of optimizers; pass unit="epoch"')
        first = self.start_from_epoch + (self.every if self.unit == "epoch" else 1)
        check_reached(state, first, f"WeightAverage: start_from_epoch={self.start_from_epoch}: the first update is")
        if state.epoch == state.batch == 0:
            self._forget()
        else:
            self._check_fits(state.model)
        self._steps = _steps(state)
        self._recomputes = self.decay is None and not self.use_buffers and bool(with_statistics(state.model))
        if self._recomputes and isinstance(state.rows, Stream) and hasattr(state.rows.source, "__next__"):
            raise ValueError(
                "WeightAverage: running statistics need one more pass over X, and a generator can be read only once; "
                "pass the function that makes it, or use_buffers=True"
            )

    def _check_fits(self, model: Layer) -> None:
        own, averages = {"Phi": model.Phi, **_buffers(model)}, {"Phi": self.Phi, **self.buffers}
        for name, average in averages.items():
            if average is not None and (name not in own or average.shape != own[name].shape):
                raise CheckpointError(f"WeightAverage: {name} does not fit {model.one_line()}")

    def on_batch_end(self, state: Training) -> None:
        """Update the average after a step."""
        self._count_step(state)

    def on_evaluation_begin(self, state: Training) -> None:
        """Update the average after an epoch, and put it into the model."""
        self._count_step(state)  # that of the batches that were left at the end of the epoch
        if self.unit == "epoch":
            self._count(state)
        if self.evaluate and self.updates:
            self._trained = self._put_in(state)
            state.averaged = self.updates

    def on_evaluation_end(self, state: Training) -> None:
        """Put the trained weights back."""
        if self._trained is not None:
            _write(state.model, *self._trained)
            self._trained = None
            state.averaged = 0

    def on_train_end(self, state: Training) -> None:
        """Put the average into the model, unless it has the best weights of an epoch."""
        if self.updates and not state.restored:
            self._put_in(state)
            state.averaged = self.updates

    def _count_step(self, state: Training) -> None:
        """Count a step, if the last batch made one: several batches may be accumulated."""
        steps = _steps(state)
        if self.unit == "step" and steps != self._steps:
            self._count(state)
        self._steps = steps

    def _count(self, state: Training) -> None:
        if state.epoch > self.start_from_epoch:
            self.waited += 1
            if self.waited >= self.every:
                self.waited = 0
                self.update(state.model)

    def _put_in(self, state: Training) -> tuple[Array, dict[str, Array]]:
        """Put the average into the model; return what it had. After an error it has that again."""
        model = state.model
        trained = model.Phi.copy(), {name: buffer.copy() for name, buffer in _buffers(model).items()}
        try:
            self.apply(model)
            if self._recomputes and not self.buffers:
                self.buffers = update_statistics(model, state.rows.batches(state.batch_size))
        except BaseException:
            _write(model, *trained)
            raise
        return trained

    def state_dict(self) -> dict[str, Any]:
        """What a resumed training needs."""
        Phi = None if self.Phi is None else self.Phi.copy()
        return {"Phi": Phi, "buffers": dict(self.buffers), "updates": self.updates, "waited": self.waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned.

        Raises:
            TypeError, ValueError: a name is missing or unknown, or a value is not a number or array; nothing is loaded.
        """
        names = "Phi", "buffers", "updates", "waited"
        if {*names} != {*state}:
            raise ValueError(f"WeightAverage: expected a state with {', '.join(names)}, got {', '.join(state)}")
        arrays = [*([] if state["Phi"] is None else [state["Phi"]]), *state["buffers"].values()]
        if not all(isinstance(array, np.ndarray) for array in arrays):
            raise TypeError("WeightAverage: Phi, buffers: expected arrays")
        whole(state["updates"], "WeightAverage: updates", least=0)
        whole(state["waited"], "WeightAverage: waited", least=0)
        Phi = None if state["Phi"] is None else np.array(state["Phi"])  # a copy: the average is updated in place
        vars(self).update(state, Phi=Phi, buffers=dict(state["buffers"]))

    def __repr__(self) -> str:
        return f"WeightAverage({'' if self.decay is None else f'decay={self.decay}, '}every={self.every} {self.unit})"


@kernel(into=("average",))
def _move(average: Array, Phi: Array, weight: float) -> Array:
    return average + weight * (Phi - average)


def _moved(average: Array, buffer: Array, weight: float) -> Array:
    """The average of a buffer after the next one; the buffer itself if it is not floating."""
    return np.array(average + weight * (buffer - average) if buffer.dtype.kind == "f" else buffer, buffer.dtype)


def _steps(state: Training) -> int:
    return sum(optimizer.steps for optimizer in state.optimizers)


def _buffers(model: Layer) -> dict[str, Array]:
    return dict(model.named_buffers())


def _write(model: Layer, Phi: Array, buffers: dict[str, Array]) -> None:
    model.Phi = Phi
    for name, buffer in model.named_buffers():
        if name in buffers:
            buffer[...] = buffers[name]
