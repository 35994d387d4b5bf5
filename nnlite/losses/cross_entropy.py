"""Loss for several classes: CrossEntropyLoss."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array, as_array
from nnlite.basics.checks import share, whole
from nnlite.compute.row_reductions import row_starts
from nnlite.compute.softmax import expected_minus_given, exponentials, from_rows, rows, softmax, times_row
from nnlite.layer.flops import Flops, rows_along
from nnlite.losses.class_loss import ClassLoss
from nnlite.losses.loss import check_probabilities, finite_weight, listing


class CrossEntropyLoss(ClassLoss):
    """Cross-entropy of logits: ``J = mean(-sum(Q log P))``; ``dZ = (P sum(Q) - Q) / n``.

    P is the softmax of the logits Z over the classes. Q is the target distribution (1 at the class index, or the given
    probabilities), smoothed and multiplied by the class weights.

    Args:
        weight: factor of each class, of shape (C,).
        ignore_index: class index of samples that count neither in J nor in n. For targets that are class indices.
        label_smoothing: share of Q, from 0 to 1, that is spread evenly over all classes.
        dim: the axis of the classes: 1 as in PyTorch, or -1 for the last, as of sequences (N, T, C).
        reduction: "mean", "sum" or "none". The mean divides by n, the number of samples, or with class indices by the
            sum of the weights of the samples' classes.

    Shapes, with C classes, at least 2:
        logits Z (N, C) or (N, C, d1, d2, ...) or (C,), with ``dim=-1`` (N, T, C); target: class indices of Z's shape
        without the axis of the classes, or probabilities of Z's shape; J a float, or an array of the shape of the class
        indices.

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

    logits, uniform_value = True, 0.0
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

    @property
    def combined_formulas(self) -> Mapping[str, tuple[str, str]]:  # type: ignore[override]
        """See :class:`nnlite.Loss`: where each distribution Q sums to 1, dY is simpler."""
        if self.count is None:
            known = self.weight is None
        elif self.Q is not None:
            known = bool(np.allclose(self.Q.sum(axis=1), 1))
        else:
            known = self.weights is None or bool(np.allclose(self.weights, 1))
        text = 'dY = (expand_dims(dJ, axis=axis) if reduction == "none" else dJ) / N * (P - Q)'
        return {"": (text, "because each row of Q sums to 1")} if known else {}

    def __init__(
        self,
        *,
        weight: Any = None,
        ignore_index: int = -100,
        label_smoothing: float = 0.0,
        dim: int = 1,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction=reduction)
        self.set_dim(dim)
        self.weight = finite_weight(weight, "CrossEntropyLoss: weight")
        self.ignore_index = whole(ignore_index, "CrossEntropyLoss: ignore_index")
        self.label_smoothing = share(label_smoothing, "CrossEntropyLoss: label_smoothing")

    def forward(self, Y: Any, target: Any) -> Any:
        self.count = None  # no gradient until this forward has ended well
        Z = self.check_X(Y, "Y")
        self.axis = self.axis_of_classes(Z)
        self.shape = Z.shape
        target = as_array(target, "CrossEntropyLoss: target")
        self.index, self.weights, self.Q = self._distribution(Z, target)
        if self.weights is not None and Z.size and self.reduction == "mean" and not self.weights.any():
            raise ValueError(f"{self}: empty batch: each sample is ignored or has weight 0; use larger batches")
        Z = rows(Z, self.axis)
        self.E, m, self.s = exponentials(Z)
        J = _samples(Z, m, self.s, self.index, self.weights, self.Q)
        samples = self.shape[: self.axis] + self.shape[self.axis + 1 :]
        counts = None if self.weights is None else self.weights.reshape(samples)
        return self.reduce(J.reshape(samples), counts)

    def backward(self, dJ: Any = 1.0) -> Array:
        share = np.asarray(self.scale(dJ), self.E.dtype).reshape(-1, 1)  # of all samples, or of each
        if self.Q is not None:
            dZ: Array = expected_minus_given(self.E, self.s, self.Q, share + np.zeros_like(self.s))
        else:
            share = share * (1 if self.weights is None else self.weights[:, None])
            dZ = times_row(self.E, share / self.s)
            dZ.reshape(-1)[self.index] -= share[:, 0]
        return from_rows(dZ, self.shape, self.axis)

    def flops(self, X: Any, Y: Any) -> tuple[Flops, Flops]:
        rows, summed = rows_along(X, self.axis), self.reduction != "none"
        return Flops(elementwise=7 * X.size + (1 + summed) * rows), Flops(elementwise=5 * X.size)

    def probabilities(self, Y: Array) -> Array:
        axis = self.axis_of_classes(Y)
        return from_rows(softmax(rows(Y, axis)), Y.shape, axis)

    def too_narrow(self, low: float, high: float) -> bool:
        return low >= 0

    def extra_repr(self) -> str:
        ignore_index = None if self.ignore_index == -100 else self.ignore_index
        options = {"label_smoothing": self.label_smoothing or None, "dim": self.shown_dim}
        return listing(super().extra_repr(), weight=self.weight, ignore_index=ignore_index, **options)

    def _distribution(self, Z: Array, target: Array) -> tuple[Array | None, Array | None, Array | None]:
        """Return what the loss needs of the target; the samples are in one row, the classes of Q in columns.

        Returns:
            The index of each sample's class in the flat logits, for class indices; how much each sample counts in the
            mean, or None if each counts 1; and Q, or None if that is 1 at the class index times how much it counts.
        """
        classes = Z.shape[self.axis]
        samples = Z.shape[: self.axis] + Z.shape[self.axis + 1 :]
        weight = self.weight_of_classes(classes, Z.dtype)
        if target.shape == Z.shape:
            if self.ignore_index != -100:
                raise ValueError(
                    f"{self}: ignore_index is for class indices, got probabilities of shape {Z.shape}; pass "
                    f"target.argmax({self.axis}), or leave ignore_index out"
                )
            target = target.astype(Z.dtype, copy=False)
            check_probabilities(self, target)
            Q = rows(target, self.axis)
            if weight is not None:
                Q = Q * weight
            index, counts, counted = None, None, None
        elif target.shape == samples:
            labels, which = self.indices(target, classes)
            index = row_starts(labels.size, classes) + labels
            counts = self.weights_of(labels, which, classes, Z.dtype)
            if not self.label_smoothing:
                return index, counts, None
            counted = None if which is None else which.astype(Z.dtype)
            Q = np.zeros((labels.size, classes), Z.dtype)
            Q.reshape(-1)[index] = 1 if counts is None else counts
        else:
            raise self.target_error(target.shape, Z.shape, f" or probabilities of shape {Z.shape}")
        if self.label_smoothing:
            spread: Any = self.label_smoothing / classes
            spread = spread if weight is None else spread * weight
            Q = (1 - self.label_smoothing) * Q + (spread if counted is None else spread * counted[:, None])
        return index, counts, Q


@np.errstate(invalid="ignore", divide="ignore")
def _samples(Z: Array, m: Array, s: Array, index: Any, weights: Array | None, Q: Array | None) -> Array:
    """The loss of each row of the logits."""
    log_s = np.log(s)
    if Q is not None:
        terms = Q * (Z - m - log_s)
        terms[Q == 0] = 0  # also of 0 log 0
        return -np.add.reduce(terms, axis=1)  # type: ignore[no-any-return]
    J: Array = m[:, 0] - Z.reshape(-1).take(index) + log_s[:, 0]
    return J if weights is None else np.where(weights != 0, weights * J, J.dtype.type(0))  # also where J is not finite
