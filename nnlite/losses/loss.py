"""What every loss is: a layer with a second input, the target, and one number for an output.

``forward(Y, target)`` returns the loss J, and ``backward(dJ=1.0)`` the derivative dY of exactly that number.
With ``reduction="none"`` J is an array and dJ one of its shape.
"""

from typing import Any, NoReturn

import numpy as np
from numpy import ndarray

from nnlite.basics.arrays import Array, as_array, as_floating
from nnlite.compute import kernels
from nnlite.errors import ShapeError, StateError
from nnlite.layer.layer import Layer


class Loss(Layer):
    """What the losses share: the reduction, and the checks at their doors.

    Args:
        reduction: "mean" over all elements, "sum", or "none" for the array of the elements' losses.

    Attributes:
        count: what the last forward divided the sum of the elements' losses by; the weight that its mean has beside
            those of other batches.

    Raises:
        ValueError: another reduction.

    >>> import nnlite as nn
    >>> nn.MSELoss(reduction="sum").forward(np.array([1.0, 2.0]), np.array([0.0, 0.0]))
    5.0
    """

    without_gradient: tuple[str, ...] = ("target",)

    count: float | None = None  # what the sum of the elements' losses was divided by; None before forward
    counts: Array | None = None  # how much each element counted in it; None if each counted 1
    _J_shape: tuple[int, ...] = ()
    _J_dtype: np.dtype[Any] | None = None

    def __init__(self, *, reduction: str = "mean") -> None:
        if reduction not in ("mean", "sum", "none"):
            name = type(self).__name__
            raise ValueError(f"{name}: reduction: expected 'mean', 'sum' or 'none', got {reduction!r}")
        self.reduction = reduction

    def extra_repr(self) -> str:
        return "" if self.reduction == "mean" else f"reduction={self.reduction!r}"

    def check_pair(self, Y: Any, target: Any) -> tuple[Array, Array]:
        """Both as floating arrays of one shape, in Y's dtype.

        Raises:
            ShapeError: the shapes differ; NumPy would make an (N, N) array of (N,) and (N, 1) without a word.
        """
        self.count = None  # no gradient until this forward has ended well
        Y = self.check_X(Y, "Y")
        if type(target) is not ndarray or target.dtype != Y.dtype:
            target = as_floating(target, f"{self}: target", Y.dtype)
        if Y.shape != target.shape:
            if target.shape == Y.shape[:-1] and Y.shape[-1] == 1:
                cure = "; pass target[..., None]"
            elif Y.shape == target.shape[:-1] and target.shape[-1] == 1:
                cure = "; pass target[..., 0]"
            else:
                cure = ""
            raise ShapeError(f"{self}: expected a target of Y's shape {Y.shape}, got {target.shape}{cure}")
        return Y, target

    def reduce(self, J: Array, counts: Array | None = None) -> Any:
        """J's mean or sum as a float, or J itself. The mean divides by the sum of ``counts``, by default the size of J.

        Args:
            J: the loss of each element.
            counts: how much each element of J counts in the mean; 1 by default.

        Raises:
            ValueError: the mean of no element.
        """
        self.counts = counts
        if self.reduction != "mean":
            count = 1.0
        else:
            count = J.size if counts is None else float(np.add.reduce(counts, axis=None))
        if not count:
            raise ValueError(f"{self}: empty batch: the mean loss of no element is not defined")
        self.count = count
        self._J_shape = J.shape if self.reduction == "none" else ()
        self._J_dtype = J.dtype
        return J if self.reduction == "none" else float(np.add.reduce(J, axis=None)) / count

    def scale(self, dJ: Any) -> Any:
        """What the elements' derivatives are to be multiplied by: dJ over the count of the mean.

        Raises:
            StateError: forward has not been called.
            ShapeError: dJ has not the shape of the last J.
        """
        if self.count is None:
            raise StateError(f"{self}: backward was called before forward; call forward(Y, target) first")
        if type(dJ) is not float:
            dJ = as_floating(dJ, f"{self}: dJ", self._J_dtype)
            if dJ.shape not in ((), self._J_shape):
                raise ShapeError(f"{self}: expected dJ of shape {self._J_shape}, got {dJ.shape}")
            dJ = dJ if dJ.shape else float(dJ)
        return dJ / self.count


def is_loss(layer: Layer) -> bool:
    """Whether the layer is a loss, or tied to one.

    >>> import nnlite as nn
    >>> is_loss(nn.MSELoss()), is_loss(nn.Add())
    (True, False)
    """
    return isinstance(layer.original or layer, Loss)


def finite_weight(weight: Any, name: str) -> Array | None:
    """``weight`` as float64; None stays None.

    Raises:
        ValueError: a weight is not finite.

    >>> finite_weight([1, 2], "weight")
    array([1., 2.])
    """
    if weight is None:
        return None
    weight = as_array(weight, name).astype(np.float64)
    if not np.isfinite(weight).all():
        raise ValueError(f"{name}: expected finite numbers, got {weight}")
    return weight  # type: ignore[no-any-return]


def weighted(loss: Loss, weight: Array | None, J: Array) -> Array:
    """``weight * J`` in J's dtype and shape; J itself if there is no weight.

    Raises:
        ShapeError: the weight does not broadcast to J's shape.

    >>> weighted(Loss(), np.array([2.0]), np.array([1.0, 3.0], np.float32))
    array([2., 6.], dtype=float32)
    """
    if weight is None:
        return J
    try:
        return J * np.broadcast_to(weight, J.shape).astype(J.dtype)  # type: ignore[no-any-return]
    except ValueError:
        raise ShapeError(
            f"{loss}: a weight of shape {weight.shape} does not broadcast to Y's shape {J.shape}"
        ) from None


def any_nan(J: Any) -> bool:
    """Whether J, a float or an array, is or holds NaN.

    >>> any_nan(float("nan")), any_nan(np.zeros(3))
    (True, False)
    """
    return J != J if type(J) is float else bool(np.isnan(J).any())


def check_probabilities(loss: Loss, target: Array) -> None:
    """Raise unless every target is from 0 to 1.

    >>> check_probabilities(Loss(), np.array([0.0, 0.5, 1.0]))
    """
    spread = target * (kernels.ONE[target.dtype] - target)  # negative, or NaN, exactly where it is not a probability
    if np.count_nonzero(spread) and not spread.min() >= 0:
        not_a_probability(loss, "target", target, "code the two classes as 0 and 1")


def not_a_probability(loss: Loss, name: str, values: Array, cure: str) -> NoReturn:
    """Raise a ValueError that names the first of the values that is not from 0 to 1, and says what to do.

    >>> not_a_probability(Loss(), "target", np.array([0.5, 2.0]), "scale it")
    Traceback (most recent call last):
        ...
    ValueError: Loss(): expected each target from 0 to 1, got 2.0 at index (1,); scale it
    """
    index = tuple(map(int, np.argwhere(~((values >= 0) & (values <= 1)))[0]))
    raise ValueError(f"{loss}: expected each {name} from 0 to 1, got {values[index]} at index {index}; {cure}")


def listing(*parts: str, **options: Any) -> str:
    """The parts and the options that are set, as they stand in a repr.

    >>> listing("reduction='sum'", weight=np.array([1.0]), pos_weight=None)
    "reduction='sum', weight=[1.0]"
    """
    given = {key: value for key, value in options.items() if value is not None}
    shown = [f"{key}={getattr(value, 'tolist', lambda value=value: value)()}" for key, value in given.items()]
    return ", ".join([part for part in parts if part] + shown)
