"""The state of an optimizer: what of it can be saved, whether all of it is declared; and its options as text."""

import inspect
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.errors import StateError
from nnlite.layer.carried import carried_names

Optimizer = Any  # the class in optimizer.py, which is built on this file

_OF_THE_BASE = {"steps", "_lr", "_scheduled_at", "_scheduled_lr"}  # saved, or derived from what is


def check_declared(optimizer: Optimizer) -> None:
    """Raise unless ``arrays`` names all that later steps depend on.

    That is what ``move`` assigns and, on some path, reads before, as the next call of it does; and every array among
    the public attributes that is no argument of the constructor, since it may be written into in place.

    Raises:
        TypeError: a name is missing there.
    """
    cls: Any = type(optimizer)
    carried = carried_names(cls, "move") | carried_names(cls, "step")
    arrays = {name for name, value in vars(optimizer).items() if isinstance(value, np.ndarray) and name[0] != "_"}
    arrays -= {*optimizer.arrays}
    names = carried | (arrays and arrays - inspect.signature(cls).parameters.keys())
    missing = sorted(
        name
        for name in names - _OF_THE_BASE - {*optimizer.arrays}
        if not isinstance(getattr(cls, name, None), property)  # as lr is
    )
    if missing:
        declared = ", ".join(f'"{name}"' for name in (*optimizer.arrays, *missing))
        raise TypeError(
            f"{cls.__name__}: later steps may depend on {', '.join(missing)}, which would not be saved; declare what "
            f"is to be saved, arrays = ({declared},), in class {cls.__name__}"
        )


def kept(value: Any, name: str) -> Any:
    """A copy of the value, if it is None, an array of real numbers or a number.

    Raises:
        TypeError: it is something else.

    >>> kept(np.zeros(2), "Adam: m"), kept(0.5, "Adam: product"), kept(None, "Adam: m")
    (array([0., 0.]), 0.5, None)
    """
    if kind_of(value) is None and value is not None:
        raise TypeError(f"{name}: expected None, an array of real numbers or a number, got {type(value).__name__}")
    return value.copy() if isinstance(value, np.ndarray) else value


def kind_of(value: Any) -> str | None:
    """Shape and dtype of an array of real numbers, "a number", or None.

    >>> kind_of(np.zeros(2)), kind_of(1.5), kind_of("1.5")
    ('(2,) float64', 'a number', None)
    """
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        return f"{value.shape} {value.dtype}"
    is_number = isinstance(value, bool | int | float) or (isinstance(value, np.generic) and value.dtype.kind in "fiub")
    return "a number" if is_number else None


def array_of_state(optimizer: Optimizer, name: str, start: float | Array, size: int | None) -> Array:
    """See :meth:`nnlite.Optimizer.array`."""
    array: Array | None = getattr(optimizer, name)
    Phi = optimizer.layer.Phi
    if array is None:
        array = np.full(Phi.size if size is None else size, start, Phi.dtype)
        setattr(optimizer, name, array)
    elif array.size != (Phi.size if size is None else size):
        raise StateError(
            f"{type(optimizer).__name__}: {optimizer.layer.one_line()} has more parameters than in the first step; "
            "make a new optimizer"
        )
    elif array.dtype != Phi.dtype:  # astype was called
        array = array.astype(Phi.dtype)
        setattr(optimizer, name, array)
    return array


def options_text(optimizer: Optimizer) -> str:
    """The options that differ from the constructor's defaults, as in ", momentum=0.9"."""
    parameters = inspect.signature(type(optimizer)).parameters.items()
    options = {name: each.default for name, each in parameters if each.kind is each.KEYWORD_ONLY}
    values = {name: getattr(optimizer, name, default) for name, default in options.items()}
    return "".join(f", {name}={value}" for name, value in values.items() if value != options[name])
