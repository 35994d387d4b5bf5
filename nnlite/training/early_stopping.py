"""EarlyStopping: end a training that gets no better, and go back to where it was best."""

import math
from typing import Any

from nnlite.basics.arrays import Array
from nnlite.basics.checks import non_negative, whole
from nnlite.training.callbacks import Callback
from nnlite.training.monitor import better, monitored
from nnlite.training.training_state import Training


class EarlyStopping(Callback):
    """End the training when a value has not become better for some epochs, and go back to the best parameters.

    Args:
        monitor: the value to watch.
        min_delta: what counts as better: by more than this.
        patience: how many epochs without an improvement end it; with 0, as with 1, the first.
        mode: "min", "max", or "auto", by the name: larger is better where there is "acc", "precision", "recall", "f1",
            "auc", "r2" or "score" in it.
        baseline: an improvement that does not beat it does not count for patience.
        restore_best_weights: put the best epoch's parameters back when training ends, whatever ends it.
        start_from_epoch: how many epochs to let pass before the watching begins.

    Attributes:
        best: the best value so far, None before the first.
        best_epoch: when it was.

    Raises:
        KeyError: at the first epoch's end, if there is no such value.
        ValueError: an argument out of its range.

    Source: Prechelt, Early stopping - but when?, 1998.

    >>> import nnlite as nn
    >>> stopping = EarlyStopping("loss", patience=2)
    >>> model = nn.Sequential(nn.Linear(1, 1, rng=0))
    >>> history = nn.fit(model, [[1.0]], [[2.0]], loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.5), epochs=100,
    ...                  callbacks=[stopping], verbose=0)
    >>> history.epochs < 100 and stopping.best == min(history["loss"])
    True
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        *,
        min_delta: float = 0.0,
        patience: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = True,
        start_from_epoch: int = 0,
    ) -> None:
        self.monitor = monitor
        self.min_delta = non_negative(min_delta, "EarlyStopping: min_delta")
        self.patience = whole(patience, "EarlyStopping: patience", least=0)
        self.mode = mode
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = whole(start_from_epoch, "EarlyStopping: start_from_epoch", least=0)
        self.is_better = better(mode, monitor, self.min_delta)
        self._forget()

    def _forget(self) -> None:
        self.best: float | None = None
        self.best_epoch = self.waited = 0
        self.best_Phi: Array | None = None

    def on_train_begin(self, state: Training) -> bool:
        """Start anew; or where a training is resumed that this had ended already, end it again."""
        if state.epoch == state.batch == 0:
            self._forget()
        return self.waited >= max(self.patience, 1) and state.batch == 0

    def on_epoch_end(self, state: Training) -> bool:
        """Keep the parameters if they are the best; stop after too many epochs that were not."""
        value = monitored(state, self.monitor)
        if state.epoch <= self.start_from_epoch:
            return False
        self.waited += 1
        if math.isfinite(value) and (self.best is None or self.is_better(value, self.best)):
            self.best, self.best_epoch = value, state.epoch
            if self.restore_best_weights:
                self.best_Phi = state.model.Phi.copy()
            if self.baseline is None or self.is_better(value, self.baseline):
                self.waited = 0
            return False
        return self.waited >= self.patience

    def on_train_end(self, state: Training) -> None:
        """Put the best parameters back."""
        if self.best_Phi is not None:
            state.model.Phi = self.best_Phi

    def state_dict(self) -> dict[str, Any]:
        """What a resumed training needs."""
        names = "best", "best_epoch", "waited", "best_Phi"
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take what :meth:`state_dict` gave."""
        vars(self).update(state)

    def __repr__(self) -> str:
        return f"EarlyStopping({self.monitor!r}, patience={self.patience})"
