"""Options by name: one value for each parameter, as in ``weight_decay={"W": 1e-4, "0": 0.0}``."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.checks import non_negative
from nnlite.layer.layer import Layer

LISTED = 12  # parameters, at most, in an error

Match = tuple[int, bool]
T = TypeVar("T")


class ByName:
    """The values of an option that is a dict from names to numbers, over Phi.

    Args:
        layer: the layer, whose parameters have the names of ``layer.named_parameters()``.
        values: numbers >= 0 by names; see :class:`nnlite.Optimizer`.
        default: the value of parameters that no key names.
        option: what to call the option in an error, such as "SGD: weight_decay".

    Attributes:
        runs: (slice of Phi, value) for each stretch of Phi with one value, in order.

    Raises:
        TypeError: a key is not a string, or a value not a number.
        ValueError: a value is negative or not finite, a key names no parameter, or two keys name the same one and
            neither is more specific.

    >>> import nnlite as nn
    >>> model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    >>> ByName(model, {"W": 0.5, "2.W": 0.25}, 0.0, "weight_decay").runs
    [(slice(0, 6, None), 0.5), (slice(6, 9, None), 0.0), (slice(9, 12, None), 0.25), (slice(12, 13, None), 0.0)]
    """

    def __init__(self, layer: Layer, values: Mapping[str, float], default: float, option: str) -> None:
        self.Phi = layer.Phi
        self.values = dict(values)
        self.option = option
        for key, value in values.items():
            if not isinstance(key, str):
                raise TypeError(f"{option}: expected names of parameters or parts as keys, got {key!r}; write '{key}'")
            non_negative(value, f"{option}[{key!r}]")
        self.parameters = [(path, P.size) for path, P in layer.named_parameters()]
        for key in values:
            if not any(_match(key, path) for path, _ in self.parameters):
                listed = [path for path, _ in self.parameters[:LISTED]]
                names = ", ".join(listed + ["..."] * (len(self.parameters) > LISTED))
                raise ValueError(
                    f"{option}: {key!r} names no parameter of {layer.one_line()}; the parameters are {names}"
                )
        self.runs: list[tuple[slice, float]] = self._runs([self._value(path, default) for path, _ in self.parameters])
        self._factor = 0.0
        self._array: Array | None = None

    def _runs(self, values: Sequence[T]) -> list[tuple[slice, T]]:
        """(slice of Phi, value) for each stretch of parameters with one value, given that of each parameter."""
        runs: list[tuple[slice, T]] = []
        stop = 0
        for (_, size), value in zip(self.parameters, values, strict=True):
            start, stop = stop, stop + size
            if runs and runs[-1][1] == value:
                start = runs.pop()[0].start
            runs.append((slice(start, stop), value))
        return runs

    def _value(self, path: str, default: float) -> float:
        """The value that the most specific of the keys has that name the parameter."""
        keys = self._keys(path)
        if len({float(self.values[key]) for key in keys}) > 1:
            raise self._ambiguous(path, keys, ", with different values")
        return float(self.values[keys[0]]) if keys else default

    def _keys(self, path: str) -> list[str]:
        """The keys that name the parameter: the one that is more specific than all others, or all if there is none."""
        matches = {key: match for key in self.values if (match := _match(key, path))}
        for key, (depth, own) in matches.items():
            if all(depth >= other_depth and own >= other_own for other_depth, other_own in matches.values()):
                return [key]
        return list(matches)

    def _ambiguous(self, path: str, keys: list[str], why: str) -> ValueError:
        part = max((key for key in keys if path.startswith(f"{key}.")), key=len)
        return ValueError(
            f"{self.option}: {' and '.join(map(repr, keys))} both name {path}{why}; add "
            f"'{part}.{path.rpartition('.')[2]}', which is more specific"
        )

    def groups(self) -> list[tuple[float, list[slice]]]:
        """(value, stretches of Phi) for each key: the parameters of which it is the most specific one.

        Raises:
            ValueError: two keys name the same parameter and neither is more specific.

        >>> import nnlite as nn
        >>> model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
        >>> ByName(model, {"W": 0.5, "2": 0.25, "2.W": 1.0}, 0.0, "clip_norm").groups()
        [(0.5, [slice(0, 6, None)]), (0.25, [slice(12, 13, None)]), (1.0, [slice(9, 12, None)])]
        """
        found: list[str | None] = []
        for path, _ in self.parameters:
            keys = self._keys(path)
            if len(keys) > 1:
                raise self._ambiguous(path, keys, "")
            found.append(keys[0] if keys else None)
        runs = self._runs(found)
        return [(float(value), [part for part, name in runs if name == key]) for key, value in self.values.items()]

    def fits(self, layer: Layer, values: Mapping[str, float]) -> bool:
        """Whether layer and values are still those that the runs are of; a model may have grown."""
        return self.Phi is layer.Phi and self.values == values

    def times(self, factor: float) -> Array:
        """The values, each times the factor, as a read-only array over Phi."""
        if self._array is None or factor != self._factor:
            self._factor, self._array = factor, np.empty_like(self.Phi)
            for part, value in self.runs:
                self._array[part] = factor * value
            self._array.setflags(write=False)
        return self._array


def _match(key: str, path: str) -> Match | None:
    """How specific the key is for the parameter: (depth of the part that it names, whether it names it in there).

    None if it does not name the parameter.

    >>> [_match(key, "encoder.0.W") for key in ["W", "encoder", "encoder.W", "encoder.0.W", "0", "b"]]
    [(0, True), (1, False), (1, True), (2, True), None, None]
    """
    if path.startswith(f"{key}."):
        return key.count(".") + 1, False
    part, _, own = key.rpartition(".")
    if path == key or (own == path.rpartition(".")[2] and (not part or path.startswith(f"{part}."))):
        return (part.count(".") + 1 if part else 0), True
    return None


def option(values: Any, name: str) -> float | dict[str, float]:
    """An option as a float, or as a dict of floats in the order of its keys, which :class:`ByName` has checked.

    Raises:
        TypeError, ValueError: it is neither a number >= 0 nor a dict.
    """
    if not isinstance(values, Mapping):
        return non_negative(values, name)
    return {key: float(values[key]) for key in sorted(values)}
