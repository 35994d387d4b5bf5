"""The samples of a batch: their rows, and whether the output for one depends on the others."""

import copy
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array, as_array
from nnlite.basics.trees import each_of, listed, spread
from nnlite.diagnostics.recording import LayerCall, Recording
from nnlite.diagnostics.run import restorer
from nnlite.errors import ShapeError
from nnlite.layer.layer import Layer


def samples(values: Any, name: str) -> Any:
    """Convert ``values``, or each entry of a tuple or dict, to an array with one row per sample.

    Raises:
        ShapeError: a single number, which has no rows.

    >>> samples([[1, 2], [3, 4]], "X").shape
    (2, 2)
    """

    def rows(values: Any) -> Array:
        array = as_array(values, name)
        if array.ndim == 0:
            raise ShapeError(f"{name}: expected one row per sample, got a single number")
        return array

    return each_of(rows, values)


def count_of(X: Any, name: str = "X", count: int | None = None) -> int:
    """The number of samples, which all arrays must have in common; ``count`` if it is given.

    Raises:
        ShapeError: the arrays differ in their number of rows.

    >>> count_of((np.zeros((5, 3)), np.zeros(5)))
    5
    """
    found = {len(array) for array in listed(X) if array is not None} | ({count} if count is not None else set())
    if len(found) != 1:
        lengths = " and ".join(str(len(array)) for array in listed(X) if array is not None)
        expected = f"{count} rows, one per sample" if count is not None else "one row per sample in each array"
        raise ShapeError(f"{name}: expected {expected}, got {lengths}")
    return found.pop()


def copies(values: Any) -> Any:
    """A copy of an array, or of each array in a tuple or dict, to run a layer on, which may write into its input.

    >>> X = np.zeros(2)
    >>> copies(X) is X
    False
    """
    return each_of(np.array, values)


def pick(values: Any, rows: Any) -> Any:
    """A copy of these rows of an array, or of each array in a tuple or dict.

    >>> pick((np.arange(3), np.arange(3) + 5), slice(1, 2))
    (array([1]), array([6]))
    """
    return copies(each_of(lambda array: array[rows], values))


def alike(one: Any, other: Any, size: float | None = None, eps: float = 0.0) -> bool:
    """Whether two arrays are equal up to rounding: to half of the digits of their largest entry, or of ``size``.

    The digits are those of their dtype, or of a coarser one, whose machine epsilon is ``eps``.

    >>> alike(np.array([1.0, 1e-12]), np.array([1.0, 0.0])), alike(np.array([1.0]), np.array([1.001]))
    (True, False)
    >>> alike(np.ones(2), np.ones((2, 1))), alike(np.array([1, 2]), np.array([1, 2]))
    (False, True)
    """
    one, other = np.asarray(one), np.asarray(other)
    if one.shape != other.shape:
        return False
    if one.dtype.kind != "f":
        return np.array_equal(one, other)
    if size is None:
        size = largest(one)
    atol = np.sqrt(max(np.finfo(one.dtype).eps, eps)) * size
    return np.allclose(one, other, rtol=0, atol=atol, equal_nan=True)


def coarsest(arrays: Iterable[Any]) -> float:
    """The machine epsilon of the coarsest floating dtype among the arrays; 0 without any.

    >>> coarsest([np.zeros(1), np.zeros(1, np.float32)])
    1.1920928955078125e-07
    """
    dtypes = {np.result_type(array) for array in arrays}
    return max((float(np.finfo(dtype).eps) for dtype in dtypes if dtype.kind == "f"), default=0.0)


def largest(array: Array) -> float:
    """The largest absolute value of the finite entries.

    >>> largest(np.array([1.0, -3.0, np.inf]))
    3.0
    """
    return float(np.abs(array[np.isfinite(array)]).max(initial=0))


def check_rows(model: Layer, Y: Any, count: int) -> None:
    """Raise unless each output has one row per sample.

    >>> import nnlite as nn
    >>> check_rows(nn.Sum(), np.ones(()), 5)
    Traceback (most recent call last):
        ...
    nnlite.errors.ShapeError: Sum(dim=None): expected one row of output for each of the 5 samples, got shape ()
    """
    for each in listed(Y):
        if np.shape(each)[:1] != (count,):
            raise ShapeError(
                f"{model.one_line()}: expected one row of output for each of the {count} samples, "
                f"got shape {np.shape(each)}"
            )


def first_that_mixes(model: Layer, X: Any, numbers: list[int], axis: int = 0) -> str | None:
    """The place of the first layer whose output for a sample depends on the other samples; None if there is none.

    A layer that draws more random numbers for several samples than for one is such a layer, whatever it drew.

    Args:
        model: a copy, since it runs, in its current mode.
        X: the inputs.
        numbers: the samples to compare, alone and in the batch.
        axis: of the output that holds the samples.

    Raises:
        ShapeError: the output does not have one row per sample.

    >>> import nnlite as nn
    >>> X = np.arange(6.0).reshape(3, 2)
    >>> first_that_mixes(nn.Sequential(nn.Tanh(), nn.Softmax(dim=0)), X, [0])
    'Sequential[1] Softmax(dim=0)'
    """
    count, restore = count_of(X), restorer(model)
    together = _calls(model, copies(X), axis)
    Ys = [Y for call in together for Y in listed(call.Y)]
    eps = coarsest([*Ys, *(P for _, P in model.named_parameters())])
    check_rows(model, together[-1].Y, count)

    def differ(whole: LayerCall, single: LayerCall, number: int) -> bool:
        return whole.path != single.path or not all(
            _same_sample(Y, one, count=count, number=number, eps=eps)
            for Y, one in zip(listed(whole.Y), listed(single.Y), strict=False)
        )

    for number in numbers:
        restore()
        alone = _calls(model, pick(X, slice(number, number + 1)), axis)
        check_rows(model, alone[-1].Y, 1)
        if differ(together[-1], alone[-1], number):
            for whole, single in zip(together, alone, strict=False):
                if differ(whole, single, number):
                    return whole.place
    return _first_that_draws_for_each(model, X, axis, restore)


def _first_that_draws_for_each(model: Layer, X: Any, axis: int, restore: Callable[[], None]) -> str | None:
    """The place of the first layer that draws more random numbers for many samples than for one; None without one."""
    if count_of(X) == 1 or not any(model.named_generators()):
        return None
    calls, drawn = [], []
    for count in 1, 16:  # a 64-bit number of the generator is enough for the dropout of 8 entries
        restore()
        calls = _calls(model, pick(X, np.zeros(count, int)), axis)
        drawn.append(_next_random_numbers(model))
    return next((call.place for call in calls if drawn[0].get(call.path) != drawn[1].get(call.path)), None)


def _next_random_numbers(model: Layer) -> dict[str, list[bytes]]:
    """What the generators of each layer would draw next, by path: it shows whether they have drawn equally often."""
    return {
        path: [copy.deepcopy(generator).bytes(16) for _, generator in layer.named_generators()]
        for path, layer in model.named_layers()
    }


def _calls(model: Layer, X: Any, axis: int) -> list[LayerCall]:
    """The calls; what the model itself returned has the samples in front."""
    with Recording().of(model) as recording:
        spread(model.forward, X)
    output = recording.forwards[-1]
    output.Y = each_of(lambda Y: np.moveaxis(Y, axis, 0) if np.ndim(Y) > axis else Y, output.Y)
    return recording.forwards


def _same_sample(Y: Any, single: Any, *, count: int, number: int, eps: float) -> bool:
    """Whether they agree; outputs without one row per sample are not compared."""
    if np.shape(Y)[:1] != (count,) or np.shape(single)[:1] != (1,):
        return True
    return alike(Y[number : number + 1], single, eps=eps)
