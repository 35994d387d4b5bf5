"""CTCLoss: connectionist temporal classification, of sequences without an alignment."""

import math
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array, as_array
from nnlite.basics.checks import whole
from nnlite.errors import ShapeError
from nnlite.layer.flops import Flops
from nnlite.losses.loss import Loss, TargetError, listing

SILENT: dict[str, Any] = {"divide": "ignore", "invalid": "ignore", "under": "ignore"}  # log 0 is -inf


class CTCLoss(Loss):
    """Connectionist temporal classification: ``-log`` of the probability of a target sequence in all its alignments.

    An alignment has a class for each of the T frames, and gives the target when equal classes in succession are merged
    and blanks are left out. With l' the target with blanks between its classes and at both ends, and A_t(s) the
    logarithm of the summed probability of all beginnings of alignments that are at l'_s in frame t::

        A_t(s) = log_probs[t, l'_s] + log(exp A_{t-1}(s) + exp A_{t-1}(s-1) + exp A_{t-1}(s-2))

    where the last term is only for an l'_s that is neither a blank nor l'_{s-2}. J is minus the logarithm of the sum of
    the last two A in the last frame. Backward: with B_t(s) that of all ends of alignments, after frame t,
    ``dlog_probs[t, c] = -dJ sum(exp(A_t(s) + B_t(s) + J))`` over the s whose l'_s is c: the probability, given the
    target, that frame t has class c. All of it is computed with logarithms in double precision.

    This is the derivative of J by each number in ``log_probs``. PyTorch's gradient is another one, ``exp(log_probs)``
    larger, since it includes that of a LogSoftmax before it; behind a :class:`nnlite.LogSoftmax` the gradients of its
    input are equal.

    Args:
        blank: the class index of the blank.
        zero_infinity: whether a target that has no alignment, since it is longer than the input, costs 0 instead of
            infinity. Its gradient is 0 in any case.
        reduction: "mean" over the N samples of J divided by the length of the target, at least 1; "sum" or "none".

    Shapes, with T frames, N samples and C classes:
        log_probs (T, N, C), logarithms of probabilities, as :class:`nnlite.LogSoftmax` returns them; targets (N, S),
        class indices padded with anything, or all of them one after another in one axis; input_lengths (N,), at most T;
        target_lengths (N,); J a float, or an array of shape (N,). Without the axis N for one sample: log_probs (T, C),
        targets (S,), and lengths that are numbers.

    In :func:`nnlite.fit` the targets Y are the tuple (targets, input_lengths, target_lengths), with padded targets; a
    model that returns (N, T, C) ends with ``Transpose(0, 1)``.

    It has no ``formulas``: a sum over all alignments in their language would be another algorithm than this recursion.

    Raises:
        TypeError: targets or lengths that are not whole numbers.
        ShapeError: the shapes do not match, or ``target_lengths`` do not add up to the length of joined targets.
        ValueError: a class index outside 0 ... C-1 or that is the blank, with its index; a length that is negative or
            above T or S; or the mean over no samples.

    Source: Graves et al., Connectionist temporal classification, 2006.

    >>> loss = CTCLoss()
    >>> log_probs = np.log([[0.4, 0.6], [0.5, 0.5]])  # of the blank and of class 1, in two frames
    >>> loss.forward(log_probs, [1], 2, 1)  # -log 0.8: 1 1, 1 blank and blank 1
    0.22314...
    >>> loss.backward()
    array([[-0.25 , -0.75 ],
           [-0.375, -0.625]])

    To train a network on sequences of 5 frames, with targets of at most 2 of the classes 1 to 3:

    >>> import nnlite as nn
    >>> model = nn.Sequential(nn.Linear(6, 4, rng=0), nn.LogSoftmax(), nn.Transpose(0, 1))
    >>> X = np.random.default_rng(0).normal(size=(8, 5, 6))
    >>> Y = np.arange(16).reshape(8, 2) % 3 + 1, np.full(8, 5), np.array([2, 1] * 4)
    >>> history = nn.fit(model, X, Y, loss=nn.CTCLoss(), optimizer=nn.SGD(model, lr=0.1), epochs=20, verbose=0)
    >>> history["loss"][-1] < history["loss"][0]
    True
    """

    without_gradient = ("targets", "input_lengths", "target_lengths")
    logits, same_scale, Y_range = False, False, (-math.inf, 0.0)
    batch_axis, class_axis = 1, 2

    def __init__(self, blank: int = 0, *, zero_infinity: bool = False, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.blank = whole(blank, "CTCLoss: blank", least=0)
        self.zero_infinity = bool(zero_infinity)

    def forward(self, log_probs: Any, targets: Any, input_lengths: Any, target_lengths: Any) -> Any:
        self.count = None  # no gradient until this forward has ended well
        X = self.check_X(log_probs, "log_probs")
        if X.ndim not in (2, 3) or X.shape[-1] <= self.blank:
            raise ShapeError(
                f"{self}: expected log_probs of shape (T, N, C) or (T, C) with C above the blank {self.blank}, got "
                f"{X.shape}"
            )
        self.X_shape, self.X_dtype = X.shape, X.dtype
        X = X if X.ndim == 3 else X[:, None]
        T, N, _ = X.shape
        self.frames = self._lengths(input_lengths, "input_lengths", N, T)
        self.sizes = self._lengths(target_lengths, "target_lengths", N, None)
        self.labels = self._labels(targets, X.shape[2])
        end, rows = 2 * self.sizes, np.arange(N)
        # Whether a path may go from s-2 to s: classes that differ, with a blank between them.
        self.skips = np.zeros(self.labels.shape, bool)
        self.skips[:, 2:] = (self.labels[:, 2:] != self.blank) & (self.labels[:, 2:] != self.labels[:, :-2])
        self.E = np.take_along_axis(X, self.labels[None], 2).astype(np.result_type(X, np.float64))
        self.A = A = np.empty((T + 1, *self.labels.shape), self.E.dtype)
        A[0] = -np.inf
        A[0, :, 0] = 0  # before the first frame: as if there were one more blank
        with np.errstate(**SILENT):
            for t in range(T):
                A[t + 1] = self.E[t] + _log_sum(A[t], _moved(A[t], 1), _moved(A[t], 2), self.skips)
            last = A[self.frames, rows, end], np.where(end > 0, A[self.frames, rows, end - 1], -np.inf)
            self.log_P = np.logaddexp(*last)
        J = -self.log_P
        if self.zero_infinity:
            J = np.where(np.isposinf(J), 0, J)
        lengths = np.maximum(self.sizes, 1)
        self.mean_divides_by = lengths.reshape(self.X_shape[1:-1])
        self.divisor = lengths if self.reduction == "mean" else np.ones_like(lengths)
        J = (J / self.divisor).astype(self.X_dtype)
        return self.reduce(J.reshape(self.X_shape[1:-1]))

    def backward(self, dJ: Any = 1.0) -> Array:
        dJ = np.reshape(self.scale(dJ), -1)
        T, N, C = len(self.E), len(self.labels), self.X_shape[-1]
        dJ = np.broadcast_to(dJ, N)
        dJ = dJ / self.divisor
        states, end = np.arange(self.labels.shape[1]), 2 * self.sizes[:, None]
        ends = np.where((states == end) | (states == end - 1), 0.0, -np.inf)
        B = np.full(self.labels.shape, -np.inf, self.E.dtype)
        posterior = np.zeros_like(self.E)
        possible = ~np.isneginf(self.log_P)  # a target without an alignment has no gradient
        log_P = np.where(possible, self.log_P, 0)[:, None]
        skips = np.zeros_like(self.skips)
        skips[:, :-2] = self.skips[:, 2:]
        with np.errstate(**SILENT):
            for t in range(T - 1, -1, -1):
                if t < T - 1:
                    next_B = self.E[t + 1] + B
                    B = _log_sum(next_B, _moved(next_B, -1), _moved(next_B, -2), skips)
                B = np.where((self.frames == t + 1)[:, None], ends, B)
                posterior[t] = np.exp(self.A[t + 1] + B - log_P)
            posterior *= np.where(possible, -dJ, 0)[:, None]
            entries = np.arange(T * N).reshape(T, N, 1) * C + self.labels
            dX = np.bincount(entries.ravel(), posterior.ravel(), T * N * C)
            return dX.reshape(self.X_shape).astype(self.X_dtype)

    def flops(self, X: Any, Y: Any) -> tuple[Flops, Flops]:
        states = self.E.size  # of all frames: + and the sum of three exponentials; +, the sum, +, -, exp, *, +
        return Flops(elementwise=13 * states), Flops(elementwise=18 * states)

    def extra_repr(self) -> str:
        return listing(super().extra_repr(), blank=self.blank or None, zero_infinity=self.zero_infinity or None)

    def _lengths(self, given: Any, name: str, count: int, most: int | None) -> Array:
        lengths = self._whole(given, name)
        if lengths.shape != (count,) and not (len(self.X_shape) == 2 and lengths.shape == ()):
            raise ShapeError(f"{self}: expected {name} of shape ({count},), one for each sample, got {lengths.shape}")
        lengths = lengths.reshape(count)
        wrong = (lengths < 0) | (lengths > (most if most is not None else lengths))
        if wrong.any():
            index = int(wrong.argmax())
            limit = "at least 0" if most is None else f"from 0 to {most}, the number of frames"
            raise TargetError(f"{self}: expected {name} {limit}, got {lengths[index]} at index {index}", (index,))
        return lengths

    def _labels(self, given: Any, classes: int) -> Array:
        """The targets with blanks between them and at both ends, a row for each sample, padded with blanks."""
        targets, N = self._whole(given, "targets"), len(self.sizes)
        longest = int(self.sizes.max(initial=0))
        inside = np.arange(longest) < self.sizes[:, None]
        if targets.ndim == 2 and len(self.X_shape) == 3:
            if len(targets) != N or targets.shape[1] < longest:
                raise ShapeError(
                    f"{self}: expected targets of shape ({N}, {longest}) or wider, as target_lengths say, got "
                    f"{targets.shape}"
                )
            values = targets[:, :longest][inside]
        elif targets.ndim == 1 and targets.size == self.sizes.sum():
            values = targets
        else:
            raise ShapeError(
                f"{self}: expected targets of shape (N, S), or {self.sizes.sum()} of them one after another, as "
                f"target_lengths say, got shape {targets.shape}"
            )
        wrong = (values < 0) | (values >= classes) | (values == self.blank)
        if wrong.any():
            number = int(wrong.argmax())
            row, column = (int(each) for each in np.argwhere(inside)[number])
            raise TargetError(
                f"{self}: expected class indices from 0 to {classes - 1} other than the blank {self.blank}, got "
                f"{values[number]} as number {column} of sample {row}",
                (row, column),
            )
        labels = np.full((N, 2 * longest + 1), self.blank, np.intp)
        labels[:, 1::2][inside] = values
        return labels

    def _whole(self, given: Any, name: str) -> Array:
        array = as_array(given, lambda: f"{self}: {name}")
        if array.dtype.kind not in "iu" and array.size:
            raise TypeError(f"{self}: {name}: expected whole numbers, got dtype {array.dtype}")
        return array.astype(np.intp)


def _moved(A: Array, by: int) -> Array:
    """The columns of A moved to the right, or with a negative number to the left; -inf comes in."""
    moved = np.full_like(A, -np.inf)
    if by > 0:
        moved[:, by:] = A[:, :-by]
    else:
        moved[:, :by] = A[:, -by:]
    return moved


def _log_sum(stay: Array, step: Array, skip: Array, skips: Array) -> Array:
    """``log(exp(stay) + exp(step) + exp(skip))``, with the last term where ``skips``."""
    skip = np.where(skips, skip, -np.inf)
    m = np.maximum(np.maximum(stay, step), skip)
    m = np.where(np.isneginf(m), 0, m)
    return np.asarray(m + np.log(np.exp(stay - m) + np.exp(step - m) + np.exp(skip - m)))
