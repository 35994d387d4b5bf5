"""The arguments of a loss: what a model returned and its targets, in the order of forward."""

from functools import cache
from inspect import signature
from typing import Any

from nnlite.layer.layer import Layer
from nnlite.losses.loss import Loss


def arguments_of(loss: Layer, Y: Any, target: Any) -> list[Any]:
    """Return the arguments of the loss's forward for what a model returned and its targets.

    Of a loss of several inputs Y is a tuple, one array for each that has a gradient; where it has several inputs
    ``without_gradient``, or none, target is a tuple of these.

    Raises:
        TypeError: there are more or fewer arrays than inputs.

    >>> import nnlite as nn
    >>> arguments_of(nn.MSELoss(), 1, 2), arguments_of(nn.MarginRankingLoss(), (1, 2), 3)
    ([1, 2], [1, 2, 3])
    >>> arguments_of(nn.TripletMarginLoss(), (1, 2), ())
    Traceback (most recent call last):
        ...
    TypeError: TripletMarginLoss(): expected as outputs of the model a tuple (anchor, positive, negative), got a tuple
    of 2
    """
    cls: Any = type(loss.original or loss)
    names = _input_names(cls) if issubclass(cls, Loss) else ()
    if not names or (len(names) == 2 and not isinstance(Y, tuple) and not isinstance(target, tuple)):
        return [Y, target]
    with_gradient = [name for name in names if name not in cls.without_gradient]
    without = [name for name in names if name in cls.without_gradient]
    given = {}
    for what, values, own in ("outputs of the model", Y, with_gradient), ("targets", target, without):
        if len(own) == 1:
            given[own[0]] = values
            continue
        if not isinstance(values, tuple) or len(values) != len(own):
            came = f"a tuple of {len(values)}" if isinstance(values, tuple) else type(values).__name__
            raise TypeError(f"{loss.one_line()}: expected as {what} a tuple ({', '.join(own)}), got {came}")
        given |= zip(own, values, strict=True)
    return [given[name] for name in names]


@cache
def _input_names(cls: Any) -> tuple[str, ...]:
    """The names of the arguments of forward that have no default."""
    parameters = list(signature(cls.forward).parameters.values())[1:]  # without self
    return tuple(
        [
            each.name
            for each in parameters
            if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD) and each.default is each.empty
        ]
    )
