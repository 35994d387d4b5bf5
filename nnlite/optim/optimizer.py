"""Optimizer: the base class of all optimizers."""

import math
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

import numpy as np

from nnlite.basics.checks import non_negative, whole
from nnlite.layer.flat import check_whole
from nnlite.layer.layer import Layer

Schedule = Callable[[int], float]


class Optimizer:
    """Base class of optimizers, which update the parameters of a layer: of a model, or of a part of it.

    Two optimizers on two parts of a model have separate learning rates; a part without an optimizer is frozen. A
    subclass defines ``move(lr)``. If that needs arrays of earlier steps, the class lists their names in ``arrays``,
    and they are saved and loaded.

    Args:
        layer: a Layer with parameters.
        lr: learning rate, a number >= 0, or a schedule such as :class:`nnlite.StepLR`: a function of the step, which
            counts from 0. ``optimizer.lr`` can be changed at any time.

    Attributes:
        steps: number of steps done.
        arrays: names of the attributes that later steps use, each None or an array of Phi's shape and dtype.

    Raises:
        TypeError: ``layer`` is not a Layer, or ``lr`` is neither a number nor a function.
        ValueError: ``lr`` is negative or not finite, or the layer has no parameters.

    >>> import nnlite as nn
    >>> class SignDescent(Optimizer):
    ...     def move(self, lr):
    ...         self.layer.Phi -= lr * np.sign(self.layer.dPhi)
    >>> import numpy as np
    >>> layer = nn.Linear(1, 1)
    >>> layer.dPhi = [2.0, -3.0]
    >>> layer.Phi = [0.0, 0.0]
    >>> optimizer = SignDescent(layer, lr=0.01)
    >>> optimizer.step()
    >>> layer.Phi, optimizer.steps
    (array([-0.01,  0.01], dtype=float32), 1)
    """

    arrays: tuple[str, ...] = ()

    def __init__(self, layer: Layer, lr: float | Schedule = 1.0) -> None:
        name = type(self).__name__
        if not isinstance(layer, Layer):
            raise TypeError(f"{name}: layer: expected a Layer, the model itself, got {layer!r}")
        check_whole(layer)
        if not layer.Phi.size:
            raise ValueError(f"{name}: {layer.one_line()} has no parameters")
        self.layer = layer
        self.lr = lr
        self.steps = 0

    def step(self) -> None:
        """Update Phi with the gradient in dPhi, which is not changed."""
        lr = self._lr
        self.move(lr if type(lr) is float else self._scheduled())  # current_lr, without the call of a property
        self.steps += 1

    def move(self, lr: float) -> None:
        """Update Phi in place with this learning rate; each optimizer defines it."""
        raise NotImplementedError(f"{type(self).__name__} has no method move; define move(self, lr)")

    def __getattr__(self, name: str) -> Any:  # called only for an attribute that does not exist
        cls = type(self).__name__
        if name in ("layer", "_lr", "steps"):
            raise AttributeError(
                f"{cls}: {name.lstrip('_')} is not set; call super().__init__(layer, lr) in {cls}.__init__"
            )
        raise AttributeError(f"{cls!r} object has no attribute {name!r}")

    @property
    def lr(self) -> float | Schedule:
        """The learning rate: a number, or the schedule."""
        return self._lr

    @lr.setter
    def lr(self, value: float | Schedule) -> None:
        self._lr: float | Schedule
        if isinstance(value, type):
            raise TypeError(
                f"{type(self).__name__}: lr: expected a number, got the class itself; write {value.__name__}(...)"
            )
        self._lr = value if callable(value) else non_negative(value, f"{type(self).__name__}: lr")
        self._scheduled_step, self._scheduled_lr = -1, 0.0  # of the last call of the schedule

    @property
    def current_lr(self) -> float:
        """The learning rate of the next step.

        Raises:
            ValueError: the schedule returns something else than a finite number >= 0.
        """
        lr = self._lr
        return lr if type(lr) is float else self._scheduled()

    def _scheduled(self) -> float:
        if self._scheduled_step == self.steps:  # asked again: a schedule is called once a step
            return self._scheduled_lr
        lr: Any = self._lr(self.steps)  # type: ignore[operator]
        if isinstance(lr, Real) and 0 <= float(lr) < math.inf:
            self._scheduled_step, self._scheduled_lr = self.steps, float(lr)
            return self._scheduled_lr
        raise ValueError(
            f"{type(self).__name__}: lr: expected a finite number >= 0 from the schedule {self._lr!r}, "
            f"got {lr!r} for step {self.steps}"
        )

    def check_steps(self, count: int) -> None:
        """Check that the schedule, if it has an end, does not end within the next ``count`` steps.

        Raises:
            ValueError: it does.
        """
        last: int | None = getattr(self._lr, "last_step", None)
        needed = self.steps + count
        if last is not None and needed - 1 > last:
            raise ValueError(
                f"{type(self).__name__}: lr: the schedule {type(self._lr).__name__} ends after {last} steps, "
                f"but training takes {needed}; make it {needed} steps long"
            )

    def state_dict(self) -> dict[str, Any]:
        """Return what the next steps depend on: numbers, and copies of arrays or None before the first step.

        A learning rate that is a number is included. A schedule and the other options are not: the program sets them.
        """
        state: dict[str, Any] = {"steps": self.steps}
        if not callable(self._lr):
            state["lr"] = self._lr
        for name in self.arrays:
            array = getattr(self, name)
            state[name] = None if array is None else array.copy()
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore ``state``, as :meth:`state_dict` returned it. If anything does not match, nothing is changed.

        Raises:
            ValueError: a name is missing or unknown, a value is not a number, or an array has another shape or dtype
                than Phi; the message lists all faults.
        """
        own = self.state_dict()
        wrong = [f"{name}: missing" for name in own if name not in state]
        for name, value in state.items():
            if name not in own:
                scheduled = ", since the learning rate is a schedule" if name == "lr" else ""
                wrong.append(f"{name}: unknown{scheduled}")
            elif problem := self._misfit(name, value):
                wrong.append(problem)
        if wrong:
            raise ValueError(
                f"{type(self).__name__}: the state does not fit, nothing was loaded:\n  " + "\n  ".join(wrong)
            )
        new = {name: state[name] if state[name] is None else state[name].copy() for name in self.arrays}
        self.steps = int(state["steps"])
        if "lr" in own:
            self.lr = state["lr"]
        for name, array in new.items():
            stored = getattr(self, name)
            if stored is None or array is None or stored.shape != array.shape or stored.dtype != array.dtype:
                setattr(self, name, array)
            else:
                stored[...] = array

    def _misfit(self, name: str, value: Any) -> str | None:
        """Return what is wrong with a value of a state; None if nothing is."""
        if name not in self.arrays:
            try:
                whole(value, name, least=0) if name == "steps" else non_negative(value, name)
            except (TypeError, ValueError) as error:
                return str(error)
            return None
        Phi = self.layer.Phi
        if value is None or (isinstance(value, np.ndarray) and (value.shape, value.dtype) == (Phi.shape, Phi.dtype)):
            return None
        got = f"{value.shape} {value.dtype}" if isinstance(value, np.ndarray) else repr(value)
        return f"{name}: expected {Phi.shape} {Phi.dtype}, got {got}"
