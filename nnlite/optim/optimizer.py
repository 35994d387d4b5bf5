"""Optimizer: the base class of all optimizers."""

import math
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

import numpy as np

from nnlite.basics.checks import non_negative, whole
from nnlite.layer.flat import check_whole
from nnlite.layer.layer import Layer
from nnlite.optim.optimizer_state import check_declared, kept, kind_of

Schedule = Callable[[int], float]


class Optimizer:
    """Base class of optimizers, which update the parameters of a layer: of a model, or of a part of it.

    Two optimizers on two parts of a model have separate learning rates; a part without an optimizer is frozen. A
    subclass defines ``move(lr)``. If that needs arrays of earlier steps, the class lists their names in ``arrays``,
    and they are saved and loaded. Random generators held as attributes are part of checkpoints, too.

    Args:
        layer: a Layer with parameters.
        lr: learning rate, a number >= 0, or a schedule such as :class:`nnlite.StepLR`: a function of the step, which
            counts from 0. ``optimizer.lr`` can be changed at any time.

    Attributes:
        steps: number of steps done.
        arrays: names of the attributes that later steps use: arrays of a fixed shape and dtype, or None until the first
            step, or numbers.

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

        Raises:
            TypeError: ``arrays`` does not name all that later steps depend on, or names what is no array or number.
        """
        if type(self).state_dict is Optimizer.state_dict:  # else the class sees to it
            check_declared(self)
        state: dict[str, Any] = {"steps": self.steps}
        if not callable(self._lr):
            state["lr"] = self._lr
        state |= {name: kept(getattr(self, name), f"{type(self).__name__}: {name}") for name in self.arrays}
        if any(state[name] is not None and kind_of(state[name]) != kind_of(self.layer.Phi) for name in self.arrays):
            state["Phi"] = kind_of(self.layer.Phi)  # tells whether they fit where a new optimizer has none yet
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore ``state``, as :meth:`state_dict` returned it. If anything does not match, nothing is changed.

        Raises:
            ValueError: a name is missing or unknown, a value is not a number, or an array has another shape or dtype
                than that in this optimizer, or than Phi; the message lists all faults.
        """
        own, Phi = self.state_dict(), kind_of(self.layer.Phi)
        wrong = [f"{name}: missing" for name in own if name not in state and name != "Phi"]
        for name, value in state.items():
            if name == "Phi":
                wrong += [] if value == Phi else [f"Phi: expected {Phi}, got {value}"]
            elif name not in own:
                scheduled = ", since the learning rate is a schedule" if name == "lr" else ""
                wrong.append(f"{name}: unknown{scheduled}")
            elif name in self.arrays and own[name] is None and "Phi" in state and kind_of(value):
                pass  # it will be made in the first step, from the same Phi
            elif problem := self._misfit(name, value):
                wrong.append(problem)
        if wrong:
            raise ValueError(
                f"{type(self).__name__}: the state does not fit, nothing was loaded:\n  " + "\n  ".join(wrong)
            )
        new = {name: kept(state[name], name) for name in self.arrays}
        self.steps = int(state["steps"])
        if "lr" in own:
            self.lr = state["lr"]
        for name, value in new.items():
            stored = getattr(self, name)
            if isinstance(value, np.ndarray) and kind_of(stored) == kind_of(value):
                stored[...] = value
            else:
                setattr(self, name, value)

    def _misfit(self, name: str, value: Any) -> str | None:
        """Return what is wrong with a value of a state; None if nothing is."""
        if name not in self.arrays:
            try:
                whole(value, name, least=0) if name == "steps" else non_negative(value, name)
            except (TypeError, ValueError) as error:
                return str(error)
            return None
        own, Phi = getattr(self, name), self.layer.Phi
        fitting = [kind_of(own)]
        if own is None or np.shape(own) == Phi.shape:
            fitting = [kind_of(Phi), None, *fitting]
        if kind_of(value) in fitting and (value is None or kind_of(value)):
            return None
        return f"{name}: expected {fitting[0]}, got {kind_of(value) if isinstance(value, np.ndarray) else repr(value)}"
