"""Loss for several classes: CrossEntropyLoss."""

from typing import Any

import numpy as np

from nnlite.basics.arrays import Array, as_array
from nnlite.basics.checks import share, whole
from nnlite.basics.frames import numbered
from nnlite.compute import kernels
from nnlite.errors import ShapeError
from nnlite.losses.loss import Loss, TargetError, any_nan, check_probabilities, finite_weight, listing


class CrossEntropyLoss(Loss):
    """Cross-entropy of logits: ``J = mean(-sum(Q log P))``; ``dZ = (P sum(Q) - Q) / n``.

    P is the softmax of the logits Z over the classes. Q is the target distribution (1 at the class index, or the given
    probabilities), smoothed and multiplied by the class weights.

    Args:
        weight: factor of each class, of shape (C,).
        ignore_index: class index of samples that count neither in J nor in n. For targets that are class indices.
        label_smoothing: share of Q, from 0 to 1, that is spread evenly over all classes.
        reduction: "mean", "sum" or "none". The mean divides by n, the number of samples, or with class indices by the
            sum of the weights of the samples' classes.

    Shapes, with C classes, at least 2:
        logits Z (N, C) or (N, C, d1, d2, ...) or (C,); target: class indices of Z's shape without the axis of the
        classes, or probabilities of Z's shape; J a float, or an array of the shape of the class indices.

    Raises:
        TypeError: class indices that are not whole numbers.
        ShapeError: the shape of the target or of the weight does not match.
        ValueError: a class index outside 0 ... C-1, a probability outside [0, 1], ``ignore_index`` with probabilities,
            or the mean over no samples, for instance because all are ignored.

    Source of label smoothing: Szegedy et al., Rethinking the Inception architecture, 2016.

    >>> loss = CrossEntropyLoss()
    >>> loss.forward(np.array([[0.0, 0.0], [0.0, 1000.0]]), np.array([0, 1]))
    0.34657...
    >>> loss.backward()
    array([[-0.25,  0.25],
           [ 0.  ,  0.  ]])
    """

    logits = True
    formulas = """
        P = exp(Y) / sum(exp(Y), axis=axis, keepdims=True)
        Q = one_hot(target, like=Y, axis=axis, ignored=ignore_index)
        Q = (1 - label_smoothing) * Q + label_smoothing * mean(Q, axis=axis, keepdims=True) if label_smoothing else Q
        Q = along(weight, axis=axis, like=Y) * Q
        J = -1 / N * sum(Q * log(P), axis=axis if reduction == "none" else None)
        dY = (expand_dims(dJ, axis=axis) if reduction == "none" else dJ) / N * (
            P * sum(Q, axis=axis, keepdims=True) - Q
        )
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
        self.weight = finite_weight(weight, "CrossEntropyLoss: weight")
        self.ignore_index = whole(ignore_index, "CrossEntropyLoss: ignore_index")
        self.label_smoothing = share(label_smoothing, "CrossEntropyLoss: label_smoothing")

    def forward(self, Y: Any, target: Any) -> Any:
        self.count = None  # no gradient until this forward has ended well
        Z = self.check_X(Y, "Y")
        if Z.ndim == 0:
            raise ShapeError(f"{self}: expected logits of shape (N, C), got a scalar")
        self.axis = 0 if Z.ndim == 1 else 1
        if Z.shape[self.axis] < 2:
            raise ShapeError(
                f"{self}: expected logits of at least 2 classes along axis {self.axis}, got shape {Z.shape}; "
                "for two classes with one output use BCEWithLogitsLoss"
            )
        # Inside, the classes are the first axis: NumPy reduces along it much faster than along many short rows.
        Z = np.ascontiguousarray(Z.swapaxes(0, self.axis))
        self.Q, counts = self._distribution(Z, as_array(target, "CrossEntropyLoss: target"))
        if counts is not None and Z.size and self.reduction == "mean" and not counts.any():
            raise ValueError(f"{self}: empty batch: each sample is ignored or has weight 0; use larger batches")
        self.log_P = kernels.log_softmax(Z, axis=0)
        with np.errstate(invalid="ignore"):
            terms = self.Q * self.log_P
        J = self.reduce(-np.add.reduce(terms, axis=0), counts)
        if any_nan(J):  # perhaps of 0 log 0, which is 0
            terms[self.Q == 0] = 0
            J = self.reduce(-np.add.reduce(terms, axis=0), counts)
        return J

    def backward(self, dJ: Any = 1.0) -> Array:
        scale = self.scale(dJ)
        with np.errstate(under="ignore"):
            dZ: Array = np.exp(self.log_P)
        dZ *= np.add.reduce(self.Q, axis=0)
        dZ -= self.Q
        dZ *= scale
        return np.ascontiguousarray(dZ.swapaxes(0, self.axis))

    def extra_repr(self) -> str:
        ignore_index = None if self.ignore_index == -100 else self.ignore_index
        smoothing = self.label_smoothing or None
        return listing(super().extra_repr(), weight=self.weight, ignore_index=ignore_index, label_smoothing=smoothing)

    def _distribution(self, Z: Array, target: Array) -> tuple[Array, Array | None]:
        """Return Q, and how much each sample counts in the mean, or None if each counts 1.

        The classes are the first axis of Z and Q.
        """
        classes, *samples = Z.shape
        shape = (*samples[: self.axis], classes, *samples[self.axis :])  # of the logits as they were given
        along = (classes, *[1] * len(samples))
        weight: Any = 1.0
        if self.weight is not None:
            if self.weight.shape != (classes,):
                raise ShapeError(f"{self}: weight: expected shape ({classes},), one per class, got {self.weight.shape}")
            weight = self.weight.astype(Z.dtype).reshape(along)

        counted: Any = True
        counts = None
        if target.shape == shape:
            if self.ignore_index != -100:
                raise ValueError(
                    f"{self}: ignore_index is for class indices, got probabilities of shape {shape}; pass "
                    f"target.argmax({self.axis}), or leave ignore_index out"
                )
            target = target.astype(Z.dtype, copy=False)
            check_probabilities(self, target)
            Q = target.swapaxes(0, self.axis) * weight
        elif target.shape == tuple(samples):
            counted = self._counted(target, classes, Z.dtype)
            Q = (target == np.arange(classes).reshape(along)).astype(Z.dtype)
            if counted is not True or self.weight is not None:
                Q *= weight * counted
                counts = np.add.reduce(Q, axis=0)
        else:
            raise self._target_error(target.shape, tuple(samples), shape)
        if self.label_smoothing:
            Q = (1 - self.label_smoothing) * Q + (self.label_smoothing / classes) * weight * counted
        return Q, counts

    def _target_error(self, target: tuple[int, ...], indices: tuple[int, ...], logits: tuple[int, ...]) -> ShapeError:
        cure = ""
        if target == (*indices, 1):
            cure = "; pass target[..., 0]"
        elif len(logits) > 2 and target == logits[:-1]:
            cure = "; the classes must be axis 1 of Y: pass np.moveaxis(Y, -1, 1)"
            if len(logits) == 3:
                cure += ", or end the model with Transpose(1, 2)"
        return ShapeError(
            f"{self}: expected class indices of shape {indices} or probabilities of shape {logits}, "
            f"got a target of shape {target}{cure}"
        )

    def _counted(self, target: Array, classes: int, dtype: Any) -> Any:
        """Return 1 for each sample that counts and 0 for those that are ignored; True if all count.

        Raises:
            TypeError, ValueError: the target is not a class index.
        """
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
                raise TargetError(
                    f"{self}: expected class indices from 0 to {classes - 1}, got {target[index]} at {index}; "
                    f"{numbered('target')}",
                    index,
                )
            return counted.astype(dtype)
        return True
