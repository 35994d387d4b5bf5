"""What every optimizer is: a layer, a learning rate, and a step on the layer's Phi."""

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
    """Moves the parameters of one layer; a whole model is a layer, and so is each of its parts.

    Two optimizers on two parts of a model give each its own learning rate; a part without one stays as it is. A
    subclass defines ``move(lr)``; if that keeps arrays from step to step, the class names them in ``arrays``, so that
    they are saved and loaded.

    Args:
        layer: any Layer with parameters.
        lr: learning rate, a number >= 0, or a schedule: any function of the step, the first of which is step 0. See
            :class:`nnlite.StepLR` and its like. ``optimizer.lr`` may be set anew at any time.

    Attributes:
        steps: how many have been done.
        arrays: names of the attributes, each None or an array like Phi, that later steps build on.

    Raises:
        TypeError: ``layer`` is not a Layer, or ``lr`` neither a number nor a function.
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
            raise ValueError(f"{name}: {layer.one_line()} has no parameters to move")
        self.layer = layer
        self.lr = lr
        self.steps = 0

    def step(self) -> None:
        """Move Phi once, by what the last backward left in dPhi; dPhi stays as it is."""
        lr = self._lr
        self.move(lr if type(lr) is float else self._scheduled())  # current_lr, without the call of a property
        self.steps += 1

    def move(self, lr: float) -> None:
        """Move Phi with this learning rate: the mathematics of a step, which each optimizer defines."""
        raise NotImplementedError(f"{type(self).__name__} has no step; give it a method move(self, lr)")

    @property
    def lr(self) -> float | Schedule:
        """The learning rate as it was given: a number, or the schedule."""
        return self._lr

    @lr.setter
    def lr(self, value: float | Schedule) -> None:
        self._lr: float | Schedule
        if isinstance(value, type):
            raise TypeError(
                f"{type(self).__name__}: lr: expected a number, got the class itself; write {value.__name__}(...)"
            )
        self._lr = value if callable(value) else non_negative(value, f"{type(self).__name__}: lr")

    @property
    def current_lr(self) -> float:
        """The learning rate of the next step.

        Raises:
            ValueError: the schedule gives none, or one that is negative or not finite.

        >>> import nnlite as nn
        >>> nn.SGD(nn.Linear(1, 1), lr=nn.StepLR(0.5, step_size=10)).current_lr
        0.5
        """
        lr = self._lr
        return lr if type(lr) is float else self._scheduled()

    def _scheduled(self) -> float:
        lr: Any = self._lr(self.steps)  # type: ignore[operator]
        if isinstance(lr, Real) and 0 <= float(lr) < math.inf:
            return float(lr)
        raise ValueError(
            f"{type(self).__name__}: lr: expected a finite number >= 0 from the schedule {self._lr!r}, "
            f"got {lr!r} for step {self.steps}"
        )

    def state_dict(self) -> dict[str, Any]:
        """What the next steps build on, as numbers and copies of arrays; None stands for an array not begun.

        A learning rate that is a number is part of it; a schedule is not, and neither are the other options: they come
        from the program.

        >>> import nnlite as nn
        >>> nn.SGD(nn.Linear(1, 1), lr=0.5, momentum=0.9).state_dict()
        {'steps': 0, 'lr': 0.5, 'velocity': None}
        """
        state: dict[str, Any] = {"steps": self.steps}
        if not callable(self._lr):
            state["lr"] = self._lr
        for name in self.arrays:
            array = getattr(self, name)
            state[name] = None if array is None else array.copy()
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up ``state``, as :meth:`state_dict` gives it: all of it, or nothing.

        Arrays that are there already are written into; others are copied.

        Raises:
            ValueError: a name is missing or unknown, a number is not one, or an array is not like Phi; the message
                lists every one.

        >>> import nnlite as nn
        >>> a, b = nn.SGD(nn.Linear(1, 1), lr=0.5), nn.SGD(nn.Linear(1, 1), lr=1)
        >>> b.load_state_dict(a.state_dict())
        >>> b.lr
        0.5
        """
        own = self.state_dict()
        wrong = [f"{name}: missing" for name in own if name not in state]
        for name, value in state.items():
            if name not in own:
                scheduled = ", the learning rate is a schedule here" if name == "lr" else ""
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
        """What is wrong with a value of a state; None if nothing is."""
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
