"""Loss: the base class of all losses, and the checks that they share."""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NoReturn

import numpy as np
from numpy import ndarray

from nnlite.basics.arrays import FLOATING, Array, StandIn, as_array, as_floating
from nnlite.basics.shapes import UNKNOWN, Shape
from nnlite.compute.kernel import SUMMED_WHOLE, Kernel
from nnlite.errors import ShapeError, StateError
from nnlite.layer.layer import Layer


class Loss(Layer):
    """Base class of losses: layers with a second input, the target, whose output is a number.

    ``forward(Y, target)`` returns the loss J, and ``backward(dJ=1.0)`` returns dY, the derivative of exactly that
    number times dJ. With ``reduction="none"`` J is an array of the elements' losses, and dJ has its shape.

    A loss of your own defines these two with the help of :meth:`check_pair`, :meth:`reduce` and :meth:`scale`. It then
    supports every reduction and sample weights, and works in a :class:`nnlite.Graph`; after
    :func:`nnlite.register` models that contain it can be saved.

    A loss may have several inputs, ``forward(X1, X2, target)``; backward then returns the tuple of the gradients of
    those that are not named in ``without_gradient``, in order. In :func:`nnlite.fit` these are the outputs of the
    model, a tuple, and the others the targets Y: one array, a tuple of several, or ``()``.

    Args:
        reduction: "mean" over all elements, "sum" or "none", or what else the class has in ``reductions``: "batchmean"
            is the sum divided by the number of rows.

    Attributes:
        logits: whether Y holds logits, so that metrics such as :func:`nnlite.f1` know it; None if it is not known.
        same_scale: whether Y and the target are of one scale, so that :func:`nnlite.sanity` compares their values;
            False for logits and classes, for instance; None if it is not known.
        Y_range: the smallest and the largest value of Y that it is made for, such as (-inf, 0) for log-probabilities.
        batch_axis, class_axis: the axes of Y with the samples and, where it has some, the classes.
        combined_formulas: simpler formulas of a gradient, for :func:`nnlite.explain`: that of the X of a layer before
            the loss, by the layer's forward formula, as ``Y = sigmoid(X)``, or of Y, by ``""``; and why they hold.
        bounds: how forward bounds its result, as "clips logarithms at -100"; for :func:`nnlite.explain`.
        uniform_value: the value of Y that favours no class, 0 for logits; None if it is not a loss of classes.
        count: what the last forward divided the sum of the elements' losses by; None before forward.
        mean_divides_by: what the loss of each element is divided by in a mean, beside that; None for 1.

    Raises:
        ValueError: another reduction.

    >>> import math, nnlite as nn
    >>> class LogCoshLoss(nn.Loss):
    ...     def forward(self, Y, target):
    ...         Y, target = self.check_pair(Y, target)
    ...         self.error = Y - target
    ...         return self.reduce(np.logaddexp(self.error, -self.error) - math.log(2))
    ...     def backward(self, dJ=1.0):
    ...         return self.scale(dJ) * np.tanh(self.error)
    >>> loss = LogCoshLoss()
    >>> loss.forward(np.array([[1.0], [3.0]]), np.array([[1.0], [1.0]]))
    0.66250...
    >>> loss.backward()
    array([[0.        ],
           [0.48201379]])
    """

    without_gradient: tuple[str, ...] = ("target",)

    reduction: str = "mean"
    reductions: tuple[str, ...] = ("mean", "sum", "none")
    logits: bool | None = None
    same_scale: bool | None = None
    Y_range: tuple[float, float] = (-math.inf, math.inf)
    batch_axis: int = 0
    class_axis: int = 1
    combined_formulas: Mapping[str, tuple[str, str]] = MappingProxyType({})
    bounds: str = ""
    uniform_value: float | None = None
    count: float | None = None
    counts: Array | None = None
    mean_divides_by: Array | None = None
    _J_shape: tuple[int, ...] = ()
    _J_dtype: np.dtype[Any] | None = None

    def __init__(self, *, reduction: str = "mean") -> None:
        if reduction not in self.reductions:
            *others, last = map(repr, self.reductions)
            expected = f"{', '.join(others)} or {last}"
            raise ValueError(f"{type(self).__name__}: reduction: expected {expected}, got {reduction!r}")
        self.reduction = reduction

    def output_shape(self, *shapes: Shape) -> Shape:
        return UNKNOWN if self.reduction == "none" else ()

    def extra_repr(self) -> str:
        return "" if self.reduction == "mean" else f"reduction={self.reduction!r}"

    def uniform_prediction(self, Y: Array) -> Array | None:
        """Predictions in place of Y that favour no class, for :func:`nnlite.sanity`; None if there are no classes."""
        return None if self.uniform_value is None else np.full_like(Y, self.uniform_value)

    def class_counts(self, Y: Array, target: Array) -> Array | None:
        """How often each class occurs, for :func:`nnlite.sanity`; None if the target holds no class indices."""
        return None

    def best_prediction(self, target: Array, constant: bool) -> Array | None:
        """The predictions, or the ``constant`` one, with the smallest loss, for :func:`nnlite.sanity`, where known."""
        return None

    def probabilities(self, Y: Array) -> Array | None:
        """The probabilities that predictions Y stand for, of the classes or of class 1; None if there are none."""
        return None

    def too_narrow(self, low: float, high: float) -> bool:
        """Whether it expects logits, and outputs from ``low`` to ``high`` are none, for :func:`nnlite.sanity`."""
        return self.uniform_value == 0 and max(low, -high) > -math.inf

    def check_pair(self, Y: Any, target: Any) -> tuple[Array, Array]:
        """Return Y and target as floating arrays of the same shape and dtype, that of Y.

        Raises:
            TypeError: one of them does not hold real numbers.
            ShapeError: the shapes differ. NumPy would broadcast (N,) and (N, 1) to (N, N) without an error.
        """
        self.count = None  # backward is an error until this forward has succeeded
        if self._parameters or type(Y) is not ndarray or Y.dtype not in FLOATING:
            Y = self.check_X(Y, "Y")
        if type(target) is not ndarray or target.dtype != Y.dtype:
            target = as_floating(target, lambda: f"{self}: target", Y.dtype)
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
        """Return the mean or the sum of J, the array of the elements' losses, as a float, or J itself.

        Args:
            J: the elements' losses.
            counts: how much each element counts in the mean, which divides by their sum; 1 by default.

        Raises:
            ValueError: the mean of no elements.
        """
        self._record(J.shape, J.dtype, counts)
        return J if self.reduction == "none" else np.add.reduce(J, axis=None).item() / self.count

    def reduce_kernel(self, elements: Kernel, *arguments: Any, weight: Array | None = None) -> Any:
        """Return :meth:`reduce` of ``weight * elements(*arguments)``, without an array of all elements if it is large.

        Raises:
            ShapeError: the weight cannot be broadcast.
            ValueError: the mean of no elements.
        """
        if weight is not None or self.reduction == "none":
            return self.reduce(times_weight(self, weight, elements(*arguments)))
        self._record(arguments[0].shape, arguments[0].dtype, None)
        if arguments[0].size < SUMMED_WHOLE:
            return np.add.reduce(elements(*arguments), axis=None).item() / self.count
        return elements.sum(*arguments) / self.count  # type: ignore[operator]

    def _record(self, shape: tuple[int, ...], dtype: np.dtype[Any], counts: Array | None) -> None:
        """Set what the sum of the elements is divided by, and what backward must know of J."""
        self.counts = counts
        if self.reduction == "mean":
            count = math.prod(shape) if counts is None else np.add.reduce(counts, axis=None).item()
        elif self.reduction == "batchmean" and shape:
            count = shape[0] if math.prod(shape) else 0
        else:
            count = 1.0
        if not count:
            of = "rows" if self.reduction == "batchmean" else "elements"
            raise ValueError(f"{self.one_line()}: empty batch: the mean over no {of} is undefined")
        self.count = count
        self._J_shape = shape if self.reduction == "none" else ()
        self._J_dtype = dtype

    def scale(self, dJ: Any) -> Any:
        """Return the factor of the elements' derivatives: dJ divided by :attr:`count`.

        Raises:
            StateError: forward has not been called.
            ShapeError: dJ has another shape than the last J.
        """
        if self.count is None:
            raise StateError(f"{self.one_line()}: backward was called before forward; call forward(Y, target) first")
        if type(dJ) is not float:
            dJ = as_floating(dJ, lambda: f"{self.one_line()}: dJ", self._J_dtype)
            if dJ.shape not in ((), self._J_shape):
                raise ShapeError(f"{self.one_line()}: expected dJ of shape {self._J_shape}, got {dJ.shape}")
            dJ = dJ if dJ.shape else float(dJ)
        return dJ / self.count


class TargetError(ValueError):
    """An entry of the target is wrong.

    Attributes:
        index: its index in the target of this batch, from which :func:`nnlite.fit` finds the row.
    """

    def __init__(self, message: str, index: tuple[int, ...] = ()) -> None:
        super().__init__(message)
        self.index = index


def original_loss(loss: Layer) -> Loss:
    """Return the loss itself, or the one that it is tied to: what describes it."""
    original: Any = loss.original or loss
    return original  # type: ignore[no-any-return]


def is_loss(layer: Layer) -> bool:
    """Return whether the layer is a loss, or tied to one."""
    return isinstance(layer.original or layer, Loss)


def finite_weight(weight: Any, name: str) -> Array | None:
    """Return ``weight`` as a float64 array, or None if it is None.

    Raises:
        ValueError: a weight is not finite.
    """
    if weight is None:
        return None
    weight = as_array(weight, name).astype(np.float64)
    if not np.isfinite(weight).all():
        raise ValueError(f"{name}: expected finite numbers, got {weight}")
    return weight  # type: ignore[no-any-return]


def times_weight(loss: Loss, weight: Array | None, J: Array) -> Array:
    """Return ``weight * J`` in J's dtype and shape, or J itself if there is no weight.

    Raises:
        ShapeError: the weight cannot be broadcast to J's shape.
    """
    if weight is None:
        return J
    try:
        return J * np.broadcast_to(weight, J.shape).astype(J.dtype)  # type: ignore[no-any-return]
    except ValueError:
        raise ShapeError(
            f"{loss}: a weight of shape {weight.shape} cannot be broadcast to Y's shape {J.shape}"
        ) from None


def any_nan(J: Any) -> bool:
    """Return whether J, a float or an array, is or contains NaN."""
    if isinstance(J, StandIn):
        return False  # what is logged holds for finite numbers
    return J != J if type(J) is float else bool(np.isnan(J).any())


_FEW = 512  # elements, beyond which the variance below takes up to five times as long as two reductions
_ONE = {dtype: np.array(1, dtype) for dtype in FLOATING}  # as an operand twice as fast as the number


def check_probabilities(loss: Loss, target: Array) -> None:
    """Check that every target is from 0 to 1.

    Raises:
        ValueError: one is not; it is named with its index.
    """
    if target.size <= _FEW:
        variance = target * (_ONE[target.dtype] - target)  # negative or NaN exactly where it is not a probability
        right = not np.count_nonzero(variance) or variance.min() >= 0
    else:
        right = np.minimum.reduce(target, axis=None) >= 0 and np.maximum.reduce(target, axis=None) <= 1
    if not right:
        not_a_probability(loss, "target", target, "code the two classes as 0 and 1")


def not_a_probability(loss: Loss, name: str, values: Array, cure: str) -> NoReturn:
    """Raise the ValueError that names the first of the values outside [0, 1], and the cure."""
    refuse(loss, name, values, (values >= 0) & (values <= 1), "from 0 to 1", cure)


def refuse(loss: Loss, name: str, values: Array, right: Array, expected: str, cure: str) -> NoReturn:
    """Raise the ValueError that names the first of the values that is not ``right``, and the cure."""
    index = tuple(map(int, np.argwhere(~right)[0]))
    message = f"{loss}: expected each {name} {expected}, got {values[index]} at index {index}; {cure}"
    raise TargetError(message, index) if name == "target" else ValueError(message)


def listing(*parts: str, **options: Any) -> str:
    """Return the parts, and the options that are not None, as a repr shows them."""
    given = {key: value for key, value in options.items() if value is not None}
    shown = [f"{key}={getattr(value, 'tolist', lambda value=value: value)()}" for key, value in given.items()]
    return ", ".join([part for part in parts if part] + shown)
