"""Losses: the sum of a loss per output, for models of several outputs."""

from typing import Any

from nnlite.basics.trees import each_of, listed
from nnlite.layer.layer import Layer
from nnlite.losses.loss import Loss


class Losses(Layer):
    """Sum of losses, one per output: ``J = J1 + J2 + ...``.

    Args:
        losses: a tuple of losses, or a dict of them by the names of the outputs.

    Attributes:
        Js: the loss of each output, of the last forward.

    Raises:
        TypeError: in forward, the outputs or the targets do not have the form of the losses.

    >>> import numpy as np, nnlite as nn
    >>> losses = Losses((nn.MSELoss(), nn.MSELoss()))
    >>> losses.forward((np.ones(1), np.zeros(1)), (np.zeros(1), np.full(1, 2.0)))
    5.0
    >>> losses.backward()
    (array([2.]), array([-4.]))
    """

    count = logits = None

    def __init__(self, losses: Any) -> None:
        self.losses = losses
        self.Js: list[float] = []
        sums = [getattr(loss, "reduction", "mean") == "sum" for loss in listed(losses)]
        self.reduction = "sum" if all(sums) else "mean"

    def forward(self, Ys: Any, targets: Any, *weight: Any) -> float:
        losses = by_key(self.losses)
        for name, given in ("the model's outputs are", Ys), ("the targets Y are", targets):
            if type(given) is not type(self.losses) or by_key(given).keys() != losses.keys():
                raise TypeError(
                    f"loss: expected a loss for each output, got {_form(self.losses)}; {name} {_form(given)}"
                )
        Ys, targets = by_key(Ys), by_key(targets)
        self.Js = [loss.forward(Ys[key], targets[key], *weight) for key, loss in losses.items()]
        return sum(self.Js)

    def backward(self, dJ: Any = 1.0) -> Any:
        return each_of(lambda loss: loss.backward(dJ), self.losses)


def as_one_loss(loss: Any) -> Layer:
    """Return ``loss`` itself, or :class:`Losses` of those in a tuple or dict, one per output of a model.

    Raises:
        TypeError: one is not a :class:`nnlite.Loss`; the message has the line to write.
        ValueError: the same loss object is used twice.
    """
    losses = listed(loss)
    for number, each in enumerate(losses):
        check_loss(each)
        if any(each is other for other in losses[:number]):
            raise ValueError(f"loss: the same loss object is used twice, {each!r}; write a second one for its output")
    joint: Layer = Losses(loss) if isinstance(loss, tuple | dict) else loss
    return joint


def check_loss(value: Any) -> None:
    """Raise a TypeError unless ``value`` is a loss, or tied to one."""
    if isinstance(getattr(value, "original", None) or value, Loss):
        return
    if isinstance(value, type) and issubclass(value, Loss):
        raise TypeError(f"loss: expected a Loss, got the class itself; write {value.__name__}()")
    if isinstance(value, str):
        word = value.lower().replace("_", "")
        names = [cls.__name__ for cls in Loss.__subclasses__() if word in cls.__name__.lower()]
        raise TypeError(f"loss: expected a Loss, got {value!r}; write loss=nnlite.{(names or ['MSELoss'])[0]}()")
    what = value.one_line() if isinstance(value, Layer) else repr(value)
    raise TypeError(
        f"loss: expected a Loss such as nnlite.MSELoss(), got {what}; for a loss of your own subclass nnlite.Loss"
    )


def by_key(values: Any) -> dict[Any, Any]:
    """Return the entries of a tuple by position, or those of a dict by key."""
    return dict(values) if isinstance(values, dict) else dict(enumerate(values))


def _form(values: Any) -> str:
    if isinstance(values, dict):
        return f"a dict of {', '.join(map(str, values))}"
    return f"a tuple of {len(values)}" if isinstance(values, tuple) else "one array"
