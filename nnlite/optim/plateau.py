"""ReduceLROnPlateau: reduce the learning rate when a value has stopped improving."""

import math
from collections.abc import Mapping
from typing import Any

from nnlite.basics.checks import non_negative, number, one_of, whole
from nnlite.optim.monitor import Monitor
from nnlite.optim.optimizer import Optimizer


class ReduceLROnPlateau:
    """Reduce the learning rate when a value has stopped improving: ``lr <- max(factor * lr, min_lr)``.

    It is reduced in the first epoch after ``patience`` consecutive epochs without improvement, as
    ``torch.optim.lr_scheduler.ReduceLROnPlateau`` does it. A value improves on the best so far if

        value < best (1 - threshold)      (mode "min", threshold_mode "rel")
        value < best - threshold          (mode "min", threshold_mode "abs")
        value > best (1 + threshold)      (mode "max", threshold_mode "rel")
        value > best + threshold          (mode "max", threshold_mode "abs")

    NaN never improves.

    Args:
        optimizer: the optimizer, whose learning rate must be a number.
        monitor: name of the value among those of an epoch, such as "loss", "val_loss" or the name of a metric.
        mode: "min" if lower is better, "max" if higher is better, or "auto", by the name as in
            :class:`nnlite.EarlyStopping`.
        factor: factor of the learning rate, from 0 to below 1.
        patience: number of consecutive epochs without improvement to tolerate.
        threshold: the least improvement that counts, >= 0.
        threshold_mode: "rel" or "abs".
        cooldown: number of epochs after a reduction that do not count.
        min_lr: the lowest learning rate, >= 0.
        eps: the learning rate stays if it would be reduced by no more than this, >= 0.

    Raises:
        TypeError: ``optimizer`` is not an Optimizer, or another argument is not a number.
        ValueError: the optimizer's learning rate is a schedule, or an argument is out of range.

    Source: the performance scheduling of Senior, Heigold, Ranzato and Yang, An empirical study of learning rates in
    deep neural networks for speech recognition, 2013.

    >>> import nnlite as nn
    >>> optimizer = nn.SGD(nn.Linear(1, 1), lr=1.0)
    >>> plateau = ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    >>> for loss in [3.0, 2.0, 2.0, 2.0, 1.0]:
    ...     plateau.step(loss)
    ...     print(optimizer.lr)
    1.0
    1.0
    1.0
    0.5
    0.5
    """

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        monitor: str = "val_loss",
        mode: str = "auto",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float = 0.0,
        eps: float = 1e-8,
    ) -> None:
        owner = type(self).__name__
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{owner}: optimizer: expected one such as SGD(model, lr=0.1), got {optimizer!r}")
        self.optimizer = optimizer
        self.monitor = monitor
        self.watched = Monitor(owner, monitor, mode)
        self.mode = self.watched.mode
        self.factor = non_negative(factor, f"{owner}: factor")
        if self.factor >= 1:
            raise ValueError(f"{owner}: factor: expected a number below 1, got {factor}")
        self.patience = whole(patience, f"{owner}: patience", least=0)
        self.threshold = non_negative(threshold, f"{owner}: threshold")
        self.threshold_mode = one_of(threshold_mode, f"{owner}: threshold_mode", ("rel", "abs"))
        self.cooldown = whole(cooldown, f"{owner}: cooldown", least=0)
        self.min_lr = non_negative(min_lr, f"{owner}: min_lr")
        self.eps = non_negative(eps, f"{owner}: eps")
        self._lr()
        self._start()

    def _start(self) -> None:
        self.best = math.inf if self.mode == "min" else -math.inf
        self.bad_epochs = 0
        self.cooldown_left = 0

    def step(self, value: float) -> None:
        """Record the value of one epoch, and reduce the learning rate if it is time.

        Raises:
            TypeError: ``value`` is not a number.
            ValueError: the optimizer's learning rate is now a schedule.
        """
        value, lr = number(value, f"{type(self).__name__}: {self.monitor}"), self._lr()
        if self._is_better(value):
            self.best = value
            self.bad_epochs = 0
        else:
            self.bad_epochs += 1
        if self.cooldown_left:
            self.cooldown_left -= 1
            self.bad_epochs = 0
        if self.bad_epochs > self.patience:
            lower = max(lr * self.factor, self.min_lr)
            if lr - lower > self.eps:
                self.optimizer.lr = lower
            self.cooldown_left = self.cooldown
            self.bad_epochs = 0

    def on_train_begin(self, state: Any) -> None:
        """Start again, unless a training is resumed.

        Raises:
            ValueError: a value of the validation is watched, and there are no validation data; or its optimizer is not
                one of the training.
        """
        self.watched.check(state)
        if not any(each is self.optimizer for each in state.optimizers):
            raise ValueError(f"{type(self).__name__}: optimizer: expected one of this training, got {self.optimizer!r}")
        if state.epoch == state.batch == 0:
            self._start()

    def on_epoch_end(self, state: Any) -> None:
        """Call :meth:`step` with the monitored value of ``state.values``, the values of the epoch by name.

        Raises:
            KeyError: there is no such value.
        """
        self.step(self.watched.value(state))

    def state_dict(self) -> dict[str, Any]:
        """Return what the next steps depend on. The learning rate is in the optimizer's state."""
        return {"best": self.best, "bad_epochs": self.bad_epochs, "cooldown_left": self.cooldown_left}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore ``state``, as :meth:`state_dict` returned it. If anything does not match, nothing is changed.

        Raises:
            ValueError: a name is missing or unknown, or a value is not a number; the message lists all faults.
        """
        own = self.state_dict()
        wrong = [f"{name}: missing" for name in own if name not in state]
        for name, value in state.items():
            try:
                if name not in own:
                    wrong.append(f"{name}: unknown")
                elif name == "best":
                    number(value, name)
                else:
                    whole(value, name, least=0)
            except (TypeError, ValueError) as error:
                wrong.append(str(error))
        if wrong:
            raise ValueError(
                f"{type(self).__name__}: the state does not fit, nothing was loaded:\n  " + "\n  ".join(wrong)
            )
        self.best = float(state["best"])
        self.bad_epochs, self.cooldown_left = int(state["bad_epochs"]), int(state["cooldown_left"])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.optimizer!r}, monitor={self.monitor!r}, mode={self.mode!r})"

    def _lr(self) -> float:
        lr = self.optimizer.lr
        if callable(lr):
            raise ValueError(
                f"{type(self).__name__}: optimizer: expected a learning rate that is a number, got the schedule {lr!r}"
            )
        return lr

    def _is_better(self, value: float) -> bool:
        if self.threshold_mode == "rel":
            sign = -1 if self.mode == "min" else 1
            bound = self.best * (1 + sign * self.threshold)
        else:
            bound = self.best - self.threshold if self.mode == "min" else self.best + self.threshold
        return value < bound if self.mode == "min" else value > bound
