"""Losses: the sum of a loss per output, for models of several outputs."""

from typing import Any

import numpy as np

from nnlite.basics.checks import non_negative
from nnlite.layer.layer import Layer
from nnlite.losses.loss import Loss
from nnlite.losses.loss_arguments import arguments_of


class Losses(Layer):
    """Sum of losses, one per output: ``J = w1 J1 + w2 J2 + ...``.

    Args:
        losses: a tuple of losses, or a dict of them by the names of the outputs; None for an output without a loss.
        weights: the weights by output; 1 for those that are not in it.

    Attributes:
        by_output: the losses by output, without those that are None.
        Js: the loss of each of these outputs, of the last forward, not multiplied by its weight.

    Raises:
        TypeError: in forward, the outputs or the targets do not have the form of the losses.

    >>> import numpy as np, nnlite as nn
    >>> losses = Losses((nn.MSELoss(), nn.MSELoss()))
    >>> losses.forward((np.ones(1), np.zeros(1)), (np.zeros(1), np.full(1, 2.0)))
    5.0
    >>> losses.backward()
    (array([2.]), array([-4.]))
    >>> losses = Losses((nn.MSELoss(), None), weights={0: 0.5})
    >>> losses.forward((np.ones(1), np.zeros(1)), (np.zeros(1), None)), losses.backward()
    (0.5, (array([1.]), array([0.])))
    """

    count = logits = None

    def __init__(self, losses: Any, weights: dict[Any, float] | None = None) -> None:
        self.losses = losses
        self.weights = weights or {}
        self.Js: list[float] = []
        sums = [getattr(loss, "reduction", "mean") == "sum" for loss in self.by_output.values()]
        self.reduction = "sum" if all(sums) else "mean"

    @property
    def by_output(self) -> dict[Any, Any]:
        return {key: loss for key, loss in by_key(self.losses).items() if loss is not None}

    def weighted_sum(self, Js: Any) -> float:
        """Return ``w1 J1 + w2 J2 + ...`` of the losses of the outputs that have one."""
        return float(sum(J * self.weights.get(key, 1.0) for key, J in zip(self.by_output, Js, strict=True)))

    def forward(self, Ys: Any, targets: Any, **weight: Any) -> float:
        all_keys, losses = by_key(self.losses).keys(), self.by_output
        for name, given in ("the model's outputs are", Ys), ("the targets Y are", targets):
            keys = by_key(given).keys() if type(given) is type(self.losses) else None
            # An output without a loss may have a target, for metrics.
            if keys is None or (keys != all_keys and not (given is targets and losses.keys() <= keys <= all_keys)):
                raise TypeError(
                    f"loss: expected a loss for each output, got {_form(self.losses)}; {name} {_form(given)}"
                )
        Ys, targets = by_key(Ys), by_key(targets)
        self.without_loss = {key: np.zeros_like(Y) for key, Y in Ys.items() if key not in losses}
        self.Js = [self._of_output(key, loss, Ys[key], targets[key], weight) for key, loss in losses.items()]
        return self.weighted_sum(self.Js)

    def _of_output(self, key: Any, loss: Any, Y: Any, target: Any, weight: dict[str, Any]) -> float:
        try:
            J: float = loss.forward(*arguments_of(loss, Y, target), **weight)
        except (TypeError, ValueError) as error:
            error.add_note(f"in the loss of output {key!r}")
            raise
        return J

    def backward(self, dJ: Any = 1.0) -> Any:
        losses = self.by_output
        dYs = {
            key: losses[key].backward(dJ * self.weights.get(key, 1.0)) if key in losses else self.without_loss[key]
            for key in by_key(self.losses)
        }
        return dYs if isinstance(self.losses, dict) else tuple(dYs.values())


def as_one_loss(loss: Any) -> Layer:
    """Return ``loss`` itself, or :class:`Losses` of those in a tuple or dict, one per output of a model.

    Raises:
        TypeError: one is not a :class:`nnlite.Loss`; the message has the line to write.
        ValueError: the same loss object is used twice, no output has one, or a weight is negative or not finite.
    """
    if isinstance(loss, Losses):
        return loss
    if not isinstance(loss, tuple | dict):
        if isinstance(loss, list) and all(isinstance(each, Loss) for each in loss):
            raise TypeError(
                f"loss: expected a tuple or dict of losses, one for each output, got a list; pass {tuple(loss)!r}"
            )
        check_loss(loss)
        joint: Layer = loss
        return joint
    entries, weights = by_key(loss), {}
    for key, each in entries.items():
        if isinstance(each, tuple) and len(each) == 2 and isinstance(each[0], int | float | np.number):
            weights[key], entries[key] = non_negative(float(each[0]), f"loss: weight of output {key!r}"), each[1]
    losses = [each for each in entries.values() if each is not None]
    if not losses:
        raise ValueError(f"loss: expected a loss for at least one output, got {loss!r}")
    for number, each in enumerate(losses):
        check_loss(each)
        if any(each is other for other in losses[:number]):
            raise ValueError(f"loss: the same loss object is used twice, {each!r}; write a second one for its output")
    return Losses(entries if isinstance(loss, dict) else tuple(entries.values()), weights)


def check_loss(value: Any) -> None:
    """Raise a TypeError unless ``value`` is a loss, or tied to one."""
    if isinstance(getattr(value, "original", None) or value, Loss):
        return
    if isinstance(value, type) and issubclass(value, Loss):
        raise TypeError(f"loss: expected a Loss, got the class itself; write {value.__name__}()")
    if isinstance(value, tuple | dict):
        raise TypeError(
            "loss: expected one loss, got several; build a graph that has the targets as inputs and returns the sum of "
            "the losses, such as nn.Graph([x, t1, t2], nn.MSELoss()(y1, t1) + nn.MSELoss()(y2, t2))"
        )
    if isinstance(value, str):
        word = value.lower().replace("_", "")
        own = [cls for cls in _subclasses(Loss) if cls.__module__.startswith("nnlite.losses.")]
        names = [cls.__name__ for cls in own if word in cls.__name__.lower() and cls.forward is not Loss.forward]
        names.sort(key=len)  # "l1" is L1Loss and not SmoothL1Loss
        raise TypeError(f"loss: expected a Loss, got {value!r}; write loss=nnlite.{(names or ['MSELoss'])[0]}()")
    what = value.one_line() if isinstance(value, Layer) else repr(value)
    raise TypeError(
        f"loss: expected a Loss such as nnlite.MSELoss(), got {what}; for a loss of your own subclass nnlite.Loss"
    )


def check_target(loss: Layer | None, target: Any) -> None:
    """Raise a ValueError if there is a loss, but no target for it."""
    if loss is not None and target is None:
        raise ValueError(f"target: {loss.one_line()} needs a target as well as X; pass target=")


def _subclasses(cls: type[Loss]) -> list[type[Loss]]:
    direct = cls.__subclasses__()
    return direct + [each for subclass in direct for each in _subclasses(subclass)]


def by_key(values: Any) -> dict[Any, Any]:
    """Return the entries of a tuple by position, or those of a dict by key."""
    return dict(values) if isinstance(values, dict) else dict(enumerate(values))


def _form(values: Any) -> str:
    if isinstance(values, dict):
        return f"a dict of {', '.join(map(str, values))}"
    return f"a tuple of {len(values)}" if isinstance(values, tuple) else "one array"
