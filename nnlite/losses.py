"""Losses: layers with a second input, the target, and one number for an output.

``forward(Y, target)`` returns the loss J, and ``backward(dJ=1.0)`` the derivative dY of exactly that number.
With ``reduction="none"`` J is an array and dJ one of its shape.
"""

import operator
from typing import Any, NoReturn

import numpy as np
from numpy import ndarray

from nnlite import kernels
from nnlite.arrays import FLOATING, Array, as_array, as_floating
from nnlite.blocks import elementwise
from nnlite.errors import ShapeError, StateError
from nnlite.layer import Layer

_LOG_FLOOR = kernels.constants(-100)
_SPREAD_FLOOR = {dtype: np.array(max(1e-12, np.finfo(dtype).tiny), dtype) for dtype in FLOATING}


class Loss(Layer):
    """What the losses share: the reduction, and the checks at their doors.

    Args:
        reduction: "mean" over all elements, "sum", or "none" for the array of the elements' losses.

    Attributes:
        count: what the last forward divided the sum of the elements' losses by; the weight that its mean has beside
            those of other batches.

    Raises:
        ValueError: another reduction.

    >>> MSELoss(reduction="sum").forward(np.array([1.0, 2.0]), np.array([0.0, 0.0]))
    5.0
    """

    count: float | None = None  # what the sum of the elements' losses was divided by; None before forward
    _J_shape: tuple[int, ...] = ()
    _J_dtype: np.dtype[Any] | None = None

    def __init__(self, *, reduction: str = "mean") -> None:
        if reduction not in ("mean", "sum", "none"):
            name = type(self).__name__
            raise ValueError(f"{name}: reduction: expected 'mean', 'sum' or 'none', got {reduction!r}")
        self.reduction = reduction

    def extra_repr(self) -> str:
        """The reduction, unless it is the mean."""
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

    def reduce(self, J: Array, count: float | None = None) -> Any:
        """J's mean or sum as a float, or J itself. The mean divides by ``count``, by default the size of J.

        Raises:
            ValueError: the mean of nothing.
        """
        if self.reduction != "mean":
            count = 1
        elif count is None:
            count = J.size
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


class MSELoss(Loss):
    """The mean squared error: ``J = mean((Y - target)^2)``; ``dY = 2 (Y - target) / n``.

    Args:
        reduction: "mean" over all n elements, "sum" or "none".

    Y and target have one shape, any; J is a float, or an array of that shape.

    Raises:
        ShapeError: the shapes differ.
        ValueError: the mean over no element.

    >>> loss = MSELoss()
    >>> loss.forward(np.array([1.0, 3.0]), np.array([0.0, 1.0]))
    2.5
    >>> loss.backward()
    array([1., 2.])
    """

    def forward(self, Y: Any, target: Any) -> Any:
        """``J = mean((Y - target)^2)``."""
        Y, target = self.check_pair(Y, target)
        self.error = Y - target
        return self.reduce(self.error * self.error)

    def backward(self, dJ: Any = 1.0) -> Array:
        """``dY = 2 (Y - target) / n``."""
        scale = self.scale(dJ)
        dY: Array = self.error * (2 * scale)
        return dY


class BCELoss(Loss):
    """Binary cross-entropy of probabilities: ``J = mean(-(t log Y + (1 - t) log(1 - Y)))``.

    Backward: ``dY = (Y - t) / (Y (1 - Y)) / n``. The logarithms are kept above -100 and Y (1 - Y) above 1e-12, so
    that a wrong certainty costs 100 and not infinity. After a saturated Sigmoid (inputs above 17 in float32, 37 in
    float64) no gradient is left: :class:`BCEWithLogitsLoss` does both at once without that limit.

    Args:
        weight: factor of each element's loss, of a shape that broadcasts to Y's. The mean still divides by n.
        reduction: "mean" over all n elements, "sum" or "none".

    Y, with values from 0 to 1, and target t, likewise, have one shape, any; J is a float, or an array of that shape.

    Raises:
        ShapeError: the shapes differ, or the weight's does not broadcast.
        ValueError: a value outside [0, 1] or NaN, with its index; the mean over no element.

    >>> loss = BCELoss()
    >>> loss.forward(np.array([[0.89], [0.32]]), np.array([[1.0], [0.0]]))
    0.2510...
    >>> loss.backward()
    array([[-0.56179775],
           [ 0.73529412]])
    """

    def __init__(self, *, weight: Any = None, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.weight = _finite(weight, "BCELoss: weight")

    def forward(self, Y: Any, target: Any) -> Any:
        """``J = mean(-(t log Y + (1 - t) log(1 - Y)))``."""
        self.Y, self.target = Y, t = self.check_pair(Y, target)
        _check_target(self, t)
        J = elementwise(_bce, Y, t)
        J = self.reduce(J if self.weight is None else _weighted(self, self.weight, J))
        if _any_nan(J):  # the logarithm of a negative number, or Y was NaN
            _not_a_probability(self, "prediction", Y, "put a Sigmoid before it, or take BCEWithLogitsLoss")
        return J

    def backward(self, dJ: Any = 1.0) -> Array:
        """``dY = (Y - t) / (Y (1 - Y)) / n``."""
        scale = self.scale(dJ)
        dY = elementwise(_bce_backward, self.Y, self.target)
        dY *= scale
        return _weighted(self, self.weight, dY)

    def extra_repr(self) -> str:
        """What differs from the defaults."""
        return _listing(super().extra_repr(), weight=self.weight)


@np.errstate(divide="ignore", invalid="ignore")  # log 0 is -inf, and NaN is looked for
def _bce(Y: Array, t: Array, out: Array | None = None) -> Array:
    floor = _LOG_FLOOR[Y.dtype]
    log_Y, log_not_Y = np.maximum(np.log(Y), floor), np.maximum(np.log1p(-Y), floor)
    J: Array = np.subtract((t - kernels.ONE[t.dtype]) * log_not_Y, t * log_Y, out)
    return J


def _bce_backward(Y: Array, t: Array, out: Array | None = None) -> Array:
    spread = Y * (kernels.ONE[Y.dtype] - Y)
    dY: Array = np.divide(Y - t, np.maximum(spread, _SPREAD_FLOOR[Y.dtype]), out)
    return dY


class BCEWithLogitsLoss(Loss):
    """Binary cross-entropy of scores: a Sigmoid and a :class:`BCELoss` in one, exact for every finite score.

    ``J = mean((1 - t) Z + (1 + (p - 1) t) log(1 + exp(-Z)))`` with p = ``pos_weight``. Backward:
    ``dZ = ((1 + (p - 1) t) sigmoid(Z) - p t) / n``, which is ``(sigmoid(Z) - t) / n`` for p = 1.

    Args:
        weight: factor of each element's loss, of a shape that broadcasts to Z's. The mean still divides by n.
        pos_weight: factor p of the positive part (t = 1), of a shape that broadcasts to Z's; above 1 it favours
            recall, below 1 precision.
        reduction: "mean" over all n elements, "sum" or "none".

    Scores Z and target t, with values from 0 to 1, have one shape, any; J is a float, or an array of that shape.

    Raises:
        ShapeError: the shapes differ, or a weight's does not broadcast.
        ValueError: a target outside [0, 1] or NaN, with its index; the mean over no element.

    >>> loss = BCEWithLogitsLoss()
    >>> loss.forward(np.array([-1000.0, 0.0]), np.array([1.0, 1.0]))
    500.346...
    >>> loss.backward()
    array([-0.5 , -0.25])
    """

    def __init__(self, *, weight: Any = None, pos_weight: Any = None, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.weight = _finite(weight, "BCEWithLogitsLoss: weight")
        self.pos_weight = _finite(pos_weight, "BCEWithLogitsLoss: pos_weight")

    def forward(self, Y: Any, target: Any) -> Any:
        """``J = mean((1 - t) Z + (1 + (p - 1) t) log(1 + exp(-Z)))``."""
        Z, t = self.check_pair(Y, target)
        self.Z, self.target = Z, t
        # pt = p t and q = (1 - t) + p t; without pos_weight they are t and 1.
        self.pt = t if self.pos_weight is None else _weighted(self, self.pos_weight, t)
        self.q = 1 if self.pos_weight is None else 1 - t + self.pt
        _check_target(self, t)
        with np.errstate(invalid="ignore", under="ignore"):
            J = np.asarray((1 - t) * Z + self.q * kernels.softplus(-Z))
        infinite = np.isinf(Z)
        if infinite.any():  # 0 * inf above: the limit is 0 where the target agrees
            J[infinite] = np.where(t == (Z > 0), 0, np.inf)[infinite]
        return self.reduce(_weighted(self, self.weight, J))

    def backward(self, dJ: Any = 1.0) -> Array:
        """``dZ = ((1 + (p - 1) t) sigmoid(Z) - p t) / n``."""
        scale = self.scale(dJ)
        dZ: Array = self.q * elementwise(kernels.sigmoid, self.Z) - self.pt
        dZ *= scale
        return _weighted(self, self.weight, dZ)

    def extra_repr(self) -> str:
        """What differs from the defaults."""
        return _listing(super().extra_repr(), weight=self.weight, pos_weight=self.pos_weight)


class CrossEntropyLoss(Loss):
    """Cross-entropy of scores: a LogSoftmax over the classes and a weighted sum, ``J = mean(-sum(Q log P))``.

    P is the softmax of the scores Z; Q is the target as a distribution over the classes (1 at the class index, or
    the given probabilities), smoothed, times the class weights. Backward: ``dZ = (P sum(Q) - Q) / n``.

    Args:
        weight: factor of each class, of shape (C,).
        ignore_index: a class index whose samples do not count, neither in J nor in n. For index targets only.
        label_smoothing: share of Q, from 0 to 1, that is spread evenly over all classes.
        reduction: "mean", "sum" or "none". The mean divides by n, the number of samples, or with index targets by
            the sum of their classes' weights.

    Shapes, with C classes:
        scores Z (N, C) or (N, C, d1, d2, ...) or (C,); target: whole-number class indices of Z's shape without the
        axis of the classes, or probabilities of Z's shape; J a float, or an array like the class indices.

    Raises:
        TypeError: class indices that are not whole numbers.
        ShapeError: the target's or the weight's shape does not fit.
        ValueError: a class index outside 0 ... C-1, a probability outside [0, 1], the mean over no sample.

    Source of label smoothing: Szegedy et al., Rethinking the Inception architecture, 2016.

    >>> loss = CrossEntropyLoss()
    >>> loss.forward(np.array([[0.0, 0.0], [0.0, 1000.0]]), np.array([0, 1]))
    0.34657...
    >>> loss.backward()
    array([[-0.25,  0.25],
           [ 0.  ,  0.  ]])
    """

    def __init__(
        self,
        *,
        weight: Any = None,
        ignore_index: int = -100,
        label_smoothing: float = 0.0,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction=reduction)
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"CrossEntropyLoss: label_smoothing: expected 0 to 1, got {label_smoothing}")
        self.weight = _finite(weight, "CrossEntropyLoss: weight")
        self.ignore_index = _whole("CrossEntropyLoss: ignore_index", ignore_index)
        self.label_smoothing = float(label_smoothing)

    def forward(self, Y: Any, target: Any) -> Any:
        """``J = mean(-sum(Q log P))``."""
        self.count = None  # no gradient until this forward has ended well
        Z = self.check_X(Y, "Y")
        if Z.ndim == 0:
            raise ShapeError(f"{self}: expected scores of shape (N, C), got a scalar")
        self.axis = 0 if Z.ndim == 1 else 1
        # Inside, the classes come first: NumPy is far quicker along the first axis than along many short rows.
        Z = np.ascontiguousarray(Z.swapaxes(0, self.axis))
        self.Q, count = self._distribution(Z, as_array(target, "CrossEntropyLoss: target"))
        self.log_P = kernels.log_softmax(Z, axis=0)
        with np.errstate(invalid="ignore"):
            terms = self.Q * self.log_P
        J = self.reduce(-np.add.reduce(terms, axis=0), count)
        if _any_nan(J):  # perhaps of 0 log 0, which is 0
            terms[self.Q == 0] = 0
            J = self.reduce(-np.add.reduce(terms, axis=0), count)
        return J

    def backward(self, dJ: Any = 1.0) -> Array:
        """``dZ = (P sum(Q) - Q) / n``."""
        scale = self.scale(dJ)
        with np.errstate(under="ignore"):
            dZ: Array = np.exp(self.log_P)
        dZ *= np.add.reduce(self.Q, axis=0)
        dZ -= self.Q
        dZ *= scale
        return np.ascontiguousarray(dZ.swapaxes(0, self.axis))

    def extra_repr(self) -> str:
        """What differs from the defaults."""
        ignore_index = None if self.ignore_index == -100 else self.ignore_index
        smoothing = self.label_smoothing or None
        return _listing(super().extra_repr(), weight=self.weight, ignore_index=ignore_index, label_smoothing=smoothing)

    def _distribution(self, Z: Array, target: Array) -> tuple[Array, float | None]:
        """Q, and what the mean divides by if that is not the number of samples. The classes are Z's first axis."""
        classes, *samples = Z.shape
        shape = (*samples[: self.axis], classes, *samples[self.axis :])  # of the scores as they came
        along = (classes, *[1] * len(samples))
        weight: Any = 1.0
        if self.weight is not None:
            if self.weight.shape != (classes,):
                raise ShapeError(f"{self}: weight: expected shape ({classes},), one a class, got {self.weight.shape}")
            weight = self.weight.astype(Z.dtype).reshape(along)

        counted: Any = True
        count = None
        if target.shape == shape:
            target = target.astype(Z.dtype, copy=False)
            _check_target(self, target)
            Q = target.swapaxes(0, self.axis) * weight
        elif target.shape == tuple(samples):
            counted = self._check_indices(target, classes)
            Q = (target == np.arange(classes).reshape(along)).astype(Z.dtype)
            if counted is not True or self.weight is not None:
                Q *= weight * counted
                count = float(np.add.reduce(Q, axis=None))
        else:
            cure = "; pass target[..., 0]" if target.shape == (*samples, 1) else ""
            raise ShapeError(
                f"{self}: expected class indices of shape {tuple(samples)} or probabilities of shape {shape}, "
                f"got a target of shape {target.shape}{cure}"
            )
        if self.label_smoothing:
            Q = (1 - self.label_smoothing) * Q + (self.label_smoothing / classes) * weight * counted
        return Q, count

    def _check_indices(self, target: Array, classes: int) -> Any:
        """Which samples count; True if all do."""
        if target.dtype.kind not in "iu":
            raise TypeError(
                f"{self}: expected class indices of a whole-number dtype, got {target.dtype}; "
                "pass target.astype(np.int64)"
            )
        outside = target.astype(np.uint64) >= classes  # without its sign, -1 is a large number
        if 0 <= self.ignore_index < classes or np.count_nonzero(outside):
            counted = target != self.ignore_index
            wrong = outside & counted
            if wrong.any():
                index = tuple(map(int, np.argwhere(wrong)[0]))
                raise ValueError(
                    f"{self}: expected class indices from 0 to {classes - 1}, got {target[index]} at {index}"
                )
            return counted
        return True


def _finite(weight: Any, name: str) -> Array | None:
    """The weight as a floating array, in the precision it came in."""
    if weight is None:
        return None
    weight = as_array(weight, name).astype(np.float64)
    if not np.isfinite(weight).all():
        raise ValueError(f"{name}: expected finite numbers, got {weight}")
    return weight  # type: ignore[no-any-return]


def _whole(name: str, value: int) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name}: expected a whole number, got {value!r}") from None


def _weighted(loss: Loss, weight: Array | None, J: Array) -> Array:
    """``weight * J`` in J's dtype and shape; J itself if there is no weight."""
    if weight is None:
        return J
    try:
        return J * np.broadcast_to(weight, J.shape).astype(J.dtype)  # type: ignore[no-any-return]
    except ValueError:
        raise ShapeError(
            f"{loss}: a weight of shape {weight.shape} does not broadcast to Y's shape {J.shape}"
        ) from None


def _any_nan(J: Any) -> bool:
    return J != J if type(J) is float else bool(np.isnan(J).any())


def _check_target(loss: Loss, target: Array) -> None:
    spread = target * (kernels.ONE[target.dtype] - target)  # negative, or NaN, exactly where it is not a probability
    if np.count_nonzero(spread) and not spread.min() >= 0:
        _not_a_probability(loss, "target", target, "code the two classes as 0 and 1")


def _not_a_probability(loss: Loss, name: str, values: Array, cure: str) -> NoReturn:
    index = tuple(map(int, np.argwhere(~((values >= 0) & (values <= 1)))[0]))
    raise ValueError(f"{loss}: expected each {name} from 0 to 1, got {values[index]} at index {index}; {cure}")


def _listing(*parts: str, **options: Any) -> str:
    """The options that are set, as they stand in a repr."""
    given = {key: value for key, value in options.items() if value is not None}
    shown = [f"{key}={getattr(value, 'tolist', lambda value=value: value)()}" for key, value in given.items()]
    return ", ".join([part for part in parts if part] + shown)
