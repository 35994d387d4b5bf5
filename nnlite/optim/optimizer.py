"""Optimizer: the base class of all optimizers."""

import math
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.checks import non_negative, whole
from nnlite.layer.flat import check_whole
from nnlite.layer.layer import Layer
from nnlite.optim.by_name import ByName, option
from nnlite.optim.clipping import sum_of_squares
from nnlite.optim.optimizer_state import array_of_state, check_declared, kept, kind_of, options_text

Schedule = Callable[[int], float]


class Optimizer:
    """Base class of optimizers, which update the parameters of a layer: of a model, or of a part of it.

    Two optimizers on two parts of a model have separate learning rates; a part without an optimizer is frozen. A
    subclass defines ``move(lr)``. If that needs arrays of earlier steps, the class lists their names in ``arrays``,
    and they are saved and loaded. Random generators held as attributes are part of checkpoints, too.

    An option for some of the parameters, such as ``lr_factor`` and ``weight_decay``, is a dict from names to numbers. A
    key is a parameter's own name ("W"), the path of a part ("0", "encoder"), or both ("0.W", "encoder.W"), as in
    ``layer.named_parameters()``; the most specific key that names a parameter counts. So
    ``weight_decay={"W": 1e-4}`` leaves biases out, and ``lr_factor={"0": 0.1, "1": 0}`` moves part 0 slowly and freezes
    part 1. They are PyTorch's parameter groups.

    Args:
        layer: a Layer with parameters.
        lr: learning rate, a number >= 0, or a schedule such as :class:`nnlite.StepLR`: a function of the step, which
            counts from 0; or of the epoch, see :class:`nnlite.PerEpoch`. ``optimizer.lr`` can be changed at any time.
        lr_factor: factors of the learning rate by names of parameters, which are 1 for those that no key names. With
            0 a parameter is frozen: it stays as it is whatever its gradient, also NaN, and clipping does not count it.

    Attributes:
        steps: number of steps done.
        epochs_done: number of epochs done, for a schedule of the epoch. ``fit`` counts them; a loop by hand sets it to
            0, and adds 1 after each epoch.
        arrays: names of the attributes that later steps use: arrays of a fixed shape and dtype, or None until the first
            step, or numbers.

    Raises:
        TypeError: ``layer`` is not a Layer, or ``lr`` is neither a number nor a function.
        ValueError: ``lr`` is negative or not finite, the layer has no parameters, or a key of ``lr_factor`` names none;
            the message lists those that there are.

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
    epochs_done: int | None = None
    _lr_factor: dict[str, float] | None = None

    def __init__(
        self, layer: Layer, lr: float | Schedule = 1.0, *, lr_factor: Mapping[str, float] | None = None
    ) -> None:
        name = type(self).__name__
        if not isinstance(layer, Layer):
            raise TypeError(f"{name}: layer: expected a Layer, the model itself, got {layer!r}")
        check_whole(layer)
        if not layer.Phi.size:
            raise ValueError(f"{name}: {layer.one_line()} has no parameters")
        self.layer = layer
        self.lr = lr
        self.lr_factor = lr_factor
        self.steps = 0

    def step(self) -> None:
        """Update Phi with the gradient in dPhi, which is not changed."""
        lr = self._lr
        if type(lr) is not float:
            lr = self._scheduled()  # current_lr, without the call of a property
        if self._lr_factor is None:
            self.move(lr)
        else:
            self._move_by_name(lr)
        self.steps += 1

    def _move_by_name(self, lr: float) -> None:
        """Move with a learning rate for each entry of Phi, and put frozen ones back."""
        factors, Phi = self._by_name("lr_factor"), self.layer.Phi
        frozen = [(part, Phi[part].copy()) for part, factor in factors.runs if not factor]
        self.move(factors.times(lr))
        for part, before in frozen:
            Phi[part] = before

    def move(self, lr: Any) -> None:
        """Update Phi in place with this learning rate; each optimizer defines it.

        Args:
            lr: a float; with ``lr_factor`` an array with the learning rate of each entry of Phi.
        """
        raise NotImplementedError(f"{type(self).__name__} has no method move; define move(self, lr)")

    def moved_gradients(self) -> list[Array]:
        """The parts of dPhi that a step applies: all of it but those with ``lr_factor`` 0."""
        if self._lr_factor is None:
            return [self.layer.dPhi]
        return [self.layer.dPhi[part] for part, factor in self._by_name("lr_factor").runs if factor]

    def penalty(self) -> float:
        """The penalty on Phi whose gradient a step adds to dPhi, for those that have one: 0.

        ``loss + optimizer.penalty()`` is then what training minimizes.
        """
        return 0.0

    def array(self, name: str, start: float | Array = 0.0, size: int | None = None) -> Array:
        """The attribute of that name, an array over Phi, or of ``size``, to write into; full of ``start`` at first.

        It is converted after ``model.astype``.

        Raises:
            StateError: the layer has more parameters than in the first step.
        """
        return array_of_state(self, name, start, size)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.layer.one_line()}, lr={self.lr}{options_text(self)})"

    # ------------------------------------------------------------------------------------------- options by name

    @property
    def lr_factor(self) -> dict[str, float] | None:
        """Factors of the learning rate by names of parameters; None for 1 everywhere."""
        return self._lr_factor

    @lr_factor.setter
    def lr_factor(self, value: Mapping[str, float] | None) -> None:
        name = f"{type(self).__name__}: lr_factor"
        if not (value is None or isinstance(value, Mapping)):
            raise TypeError(f"{name}: expected a dict from names of parameters to numbers, got {value!r}")
        if value is not None:
            ByName(self.layer, value, 1.0, name)
        self._lr_factor = None if value is None else option(value, name)  # type: ignore[assignment]

    def check_option(self, name: str, value: float | Mapping[str, float]) -> float | dict[str, float]:
        """The value for an option that is a number >= 0, or a dict from names of parameters to such numbers.

        Raises:
            TypeError, ValueError: it is neither, or a key names no parameter.
        """
        name = f"{type(self).__name__}: {name}"
        if isinstance(value, Mapping):
            ByName(self.layer, value, 0.0, name)
        return option(value, name)

    def over_Phi(self, name: str) -> float | Array:
        """The value of such an option: the number, or an array with a value for each entry of Phi.

        Entries that no key names are 0. The array is made once, and again when Phi or the option is another.
        """
        value: float | dict[str, float] = getattr(self, name)
        return self._by_name(name).times(1.0) if isinstance(value, dict) else value

    def l2_penalty(self, name: str) -> float:
        """The sum of ``value / 2 Phi^2`` for such an option, for :meth:`penalty`; frozen parameters do not count."""
        Phi, value = self.layer.Phi, getattr(self, name)
        runs = self._by_name(name).runs if isinstance(value, dict) else [(slice(None), value)]
        if self._lr_factor is not None:
            Phi = np.where(self._by_name("lr_factor").times(1.0) > 0, Phi, Phi.dtype.type(0))
        return float(sum(factor / 2 * sum_of_squares(Phi[part]) for part, factor in runs if factor))

    def _by_name(self, name: str) -> ByName:
        """The option of that name, which is a dict, over Phi."""
        made: dict[str, ByName] = vars(self).setdefault("_made", {})
        values = getattr(self, name)
        if name not in made or not made[name].fits(self.layer, values):
            default = 1.0 if name == "lr_factor" else 0.0
            made[name] = ByName(self.layer, values, default, f"{type(self).__name__}: {name}")
        return made[name]

    def __getstate__(self) -> dict[str, Any]:  # a copy makes arrays of its own
        return {name: value for name, value in vars(self).items() if name != "_made"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        for name in self.arrays:  # another process may have got them read-only
            if isinstance(array := vars(self).get(name), np.ndarray) and not array.flags.writeable:
                setattr(self, name, array.copy())

    # ------------------------------------------------------------------------------------------- the learning rate

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
        self._scheduled_at: tuple[int, int | None] = -1, None  # the step and the epoch of the last call of the schedule
        self._scheduled_lr = 0.0

    @property
    def current_lr(self) -> float:
        """The learning rate of the next step.

        Raises:
            ValueError: the schedule returns something else than a finite number >= 0.
            StateError: the schedule is one of the epoch, and ``epochs_done`` is not counted.
        """
        lr = self._lr
        return lr if type(lr) is float else self._scheduled()

    def _scheduled(self) -> float:
        now = self.steps, self.epochs_done
        if self._scheduled_at == now:  # asked again: a schedule is called once a step
            return self._scheduled_lr
        schedule: Any = self._lr
        lr = schedule.at(*now) if counts_epochs(schedule) else schedule(self.steps)
        if isinstance(lr, Real) and 0 <= float(lr) < math.inf:
            self._scheduled_at, self._scheduled_lr = now, float(lr)
            return self._scheduled_lr
        raise ValueError(
            f"{type(self).__name__}: lr: expected a finite number >= 0 from the schedule {self._lr!r}, "
            f"got {lr!r} for step {self.steps}"
        )

    def check_steps(self, count: int | None, epochs: int = 0) -> None:
        """Check that the schedule, if it has an end, does not end within the next steps or epochs.

        Args:
            count: the number of steps; None if it is not known.
            epochs: the number of epochs, the one that has begun included.

        Raises:
            ValueError: it does.
        """
        for unit, done, more in ("step", self.steps, count), ("epoch", self.epochs_done or 0, epochs):
            last: int | None = getattr(self._lr, f"last_{unit}", None)
            if last is not None and more is not None and done + more - 1 > last:
                raise ValueError(
                    f"{type(self).__name__}: lr: the schedule {type(self._lr).__name__} ends after {last} {unit}s, "
                    f"but training takes {done + more}; make it {done + more} {unit}s long"
                )

    def state_dict(self) -> dict[str, Any]:
        """Return what the next steps depend on: numbers, and copies of arrays or None before the first step.

        A learning rate that is a number is included. A schedule and the other options are not: the program sets them.

        Raises:
            TypeError: ``arrays`` does not name all that later steps depend on, or names what is no array or number.
        """
        if type(self).state_dict is Optimizer.state_dict:  # a class that overrides it checks its own state
            check_declared(self)
        state: dict[str, Any] = {"steps": self.steps}
        if counts_epochs(self._lr):
            state["epochs_done"] = self.epochs_done
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
        if "epochs_done" in own:
            self.epochs_done = state["epochs_done"]
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
                if name == "lr":
                    non_negative(value, name)
                elif name == "steps" or value is not None:
                    whole(value, name, least=0)
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


def counts_epochs(schedule: Any) -> bool:
    """Whether ``schedule.at(step, epoch)`` gives the learning rate; see :class:`nnlite.PerEpoch`."""
    return getattr(schedule, "counts_epochs", False)
