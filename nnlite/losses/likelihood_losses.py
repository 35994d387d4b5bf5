"""Negative log-likelihoods and a divergence: NLLLoss, KLDivLoss, PoissonNLLLoss, GaussianNLLLoss."""

import math
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array, as_array, as_floating
from nnlite.basics.checks import non_negative, positive, whole
from nnlite.compute import kernels, loss_kernels
from nnlite.compute.row_reductions import row_starts
from nnlite.compute.softmax import from_rows, rows
from nnlite.compute.sums import sum_to
from nnlite.errors import ShapeError
from nnlite.layer.flops import Flops, rows_along
from nnlite.losses.class_loss import ClassLoss
from nnlite.losses.loss import Loss, any_nan, finite_weight, listing, refuse


class NLLLoss(ClassLoss):
    """Negative log-likelihood of log-probabilities: ``J = mean(-Y[target])``; ``dY`` is ``-1 / n`` at the target.

    Behind a :class:`nnlite.LogSoftmax` it is :class:`nnlite.CrossEntropyLoss`, which does both in one.

    Args:
        weight: factor of each class, of shape (C,).
        ignore_index: class index of samples that count neither in J nor in n.
        dim: the axis of the classes: 1 as in PyTorch, or -1 for the last, as of sequences (N, T, C).
        reduction: "mean", "sum" or "none". The mean divides by n, the sum of the weights of the samples' classes.

    Shapes, with C classes, at least 2:
        log-probabilities Y (N, C) or (N, C, d1, d2, ...) or (C,), with ``dim=-1`` (N, T, C); target: class indices of
        Y's shape without the axis of the classes; J a float, or an array of the target's shape.

    Raises:
        TypeError: class indices that are not whole numbers.
        ShapeError: the shape of the target or of the weight does not match.
        ValueError: a class index outside 0 ... C-1, or the mean over no samples, for instance because all are ignored.

    >>> loss = NLLLoss()
    >>> loss.forward(np.log([[0.5, 0.5], [0.2, 0.8]]), np.array([0, 1]))
    0.45814...
    >>> loss.backward()
    array([[-0.5,  0. ],
           [ 0. , -0.5]])
    """

    logits, Y_range = False, (-math.inf, 0.0)
    predictions = "log-probabilities"
    formulas = """
        Q = along(weight, axis=axis, like=Y) * one_hot(target, like=Y, axis=axis, ignored=ignore_index)
        J = -1 / N * sum(Q * Y, axis=axis if reduction == "none" else None)
        dY = -(expand_dims(dJ, axis=axis) if reduction == "none" else dJ) / N * Q
    """

    def __init__(self, *, weight: Any = None, ignore_index: int = -100, dim: int = 1, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.set_dim(dim)
        self.weight = finite_weight(weight, "NLLLoss: weight")
        self.ignore_index = whole(ignore_index, "NLLLoss: ignore_index")

    def forward(self, Y: Any, target: Any) -> Any:
        self.count = None  # no gradient until this forward has ended well
        Y = self.check_X(Y, "Y")
        self.axis = self.axis_of_classes(Y)
        self.shape, classes = Y.shape, Y.shape[self.axis]
        target = as_array(target, "NLLLoss: target")
        if target.shape != Y.shape[: self.axis] + Y.shape[self.axis + 1 :]:
            raise self.target_error(target.shape, Y.shape)
        labels, counted = self.indices(target, classes)
        self.weights = weights = self.weights_of(labels, counted, classes, Y.dtype)
        if weights is not None and self.reduction == "mean" and labels.size and not weights.any():
            raise ValueError(f"{self}: empty batch: each sample is ignored or has weight 0; use larger batches")
        self.index, self.Y_dtype = row_starts(labels.size, classes) + labels, Y.dtype
        J = -rows(Y, self.axis).reshape(-1).take(self.index)
        if weights is None:
            return self.reduce(J.reshape(target.shape))
        J[weights == 0] = 0  # also where J is not finite
        return self.reduce((J * weights).reshape(target.shape), weights.reshape(target.shape))

    def backward(self, dJ: Any = 1.0) -> Array:
        each = np.ravel(self.scale(dJ))
        dY = np.zeros((self.index.size, self.shape[self.axis]), self.Y_dtype)
        dY.reshape(-1)[self.index] = -each if self.weights is None else -each * self.weights
        return from_rows(dY, self.shape, self.axis)

    def flops(self, X: Any, Y: Any) -> tuple[Flops, Flops]:
        rows = rows_along(X, self.axis)  # -, *, sum; *, -
        return Flops(elementwise=(2 + (self.reduction != "none")) * rows), Flops(elementwise=2 * rows)

    def probabilities(self, Y: Array) -> Array:
        return kernels.exp(Y)

    def uniform_prediction(self, Y: Array) -> Array:
        return np.full_like(Y, -np.log(Y.shape[self.axis_of_classes(Y)]))

    def extra_repr(self) -> str:
        ignore_index = None if self.ignore_index == -100 else self.ignore_index
        return listing(super().extra_repr(), weight=self.weight, ignore_index=ignore_index, dim=self.shown_dim)


class KLDivLoss(Loss):
    """Kullback-Leibler divergence of log-probabilities Y: ``J = mean(t (log t - Y))``; ``dY = -t / n``.

    Args:
        log_target: whether the target t holds log-probabilities too; then ``J = mean(exp(t) (t - Y))``.
        reduction: "mean" over all elements, "batchmean", "sum" or "none". The mathematical definition, the divergence
            of each row's distribution, is "batchmean": the sum divided by the number n of rows.

    Y and target have the same shape, any; J is a float, or an array of that shape. Where t is 0, J is 0.

    Raises:
        ShapeError: the shapes differ.
        ValueError: a target that is no probability, or with ``log_target`` no log-probability, with its index; or the
            mean over no elements.

    Source: Kullback and Leibler, On information and sufficiency, 1951.

    >>> loss = KLDivLoss(reduction="batchmean")
    >>> loss.forward(np.log([[0.5, 0.5]]), np.array([[1.0, 0.0]]))
    0.693147...
    >>> loss.backward()
    array([[-1., -0.]])
    """

    reductions = ("mean", "batchmean", "sum", "none")
    logits, same_scale, Y_range = False, False, (-math.inf, 0.0)
    formulas = """
        J = 1 / N * sum(
            exp(target) * (target - Y) if log_target else target * (log(target) - Y),
            axis=() if reduction == "none" else None,
        )
        dY = -dJ / N * (exp(target) if log_target else target)
    """
    flops_per_element = (4, 1)

    def __init__(self, *, log_target: bool = False, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.log_target = bool(log_target)
        if log_target:
            self.flops_per_element = (3, 2)

    def forward(self, Y: Any, target: Any) -> Any:
        Y, self.target = Y, t = self.check_pair(Y, target)
        self._check(t)
        elements = loss_kernels.kl_divergence_of_logarithms if self.log_target else loss_kernels.kl_divergence
        J = self.reduce_kernel(elements, Y, t)
        if any_nan(J):  # perhaps of 0 * inf, whose limit is 0
            each = elements(Y, t)
            each[(t == (-np.inf if self.log_target else 0)) & ~np.isnan(Y)] = 0
            J = self.reduce(each)
        return J

    def backward(self, dJ: Any = 1.0) -> Array:
        scale = self.scale(dJ)
        if self.log_target:
            return loss_kernels.kl_divergence_of_logarithms_backward(self.target, scale)
        return loss_kernels.kl_divergence_backward(self.target, scale)

    def _check(self, t: Array) -> None:
        if self.log_target:
            right = t < 1e-3  # above 0 by rounding only; NaN is not
            expected, cure = "to be a log-probability, at most 0", "for probabilities leave out log_target=True"
        else:
            right = (t >= 0) & (t <= 1)
            expected, cure = "from 0 to 1", "for log-probabilities pass log_target=True"
        if not right.all():
            refuse(self, "target", t, right, expected, cure)

    def extra_repr(self) -> str:
        return listing(super().extra_repr(), log_target=self.log_target or None)


class PoissonNLLLoss(Loss):
    """Negative log-likelihood of counts t under a Poisson distribution: ``J = mean(exp(Y) - t Y)``.

    Y is the logarithm of the expected count; ``dY = (exp(Y) - t) / n``. Without ``log_input``, Y is the expected count
    itself: ``J = mean(Y - t log(Y + eps))`` and ``dY = (1 - t / (Y + eps)) / n``.

    Args:
        log_input: whether Y is the logarithm of the expected count.
        full: whether to add Stirling's approximation of log t!, ``t log t - t + log(2 pi t) / 2``, where t is above 1.
        eps: what is added to Y so that its logarithm is finite; without ``log_input``.
        reduction: "mean" over all n elements, "sum" or "none".

    Y and target have the same shape, any; J is a float, or an array of that shape. With ``log_input``, J is inf where
    exp(Y) is not a number of the dtype, from Y = 89 on in float32 and Y = 710 in float64.

    Raises:
        ShapeError: the shapes differ.
        ValueError: a target is negative or NaN, or without ``log_input`` an expected count negative, with its index; or
            the mean over no elements.

    >>> loss = PoissonNLLLoss()
    >>> loss.forward(np.array([0.0, 1.0]), np.array([2.0, 3.0]))
    0.35914...
    >>> loss.backward()
    array([-0.5       , -0.14085909])
    """

    logits, same_scale = False, False
    formulas = """
        J = 1 / N * sum(
            (exp(Y) - target * Y if log_input else Y - target * log(Y + eps))
            + ((target > 1) * (
                target * log(maximum(target, 1)) - target + log(2 * pi * maximum(target, 1)) / 2
            ) if full else 0),
            axis=() if reduction == "none" else None,
        )
        dY = dJ / N * (exp(Y) - target if log_input else 1 - target / (Y + eps))
    """
    flops_per_element = (3, 3)

    def __init__(
        self, *, log_input: bool = True, full: bool = False, eps: float = 1e-8, reduction: str = "mean"
    ) -> None:
        super().__init__(reduction=reduction)
        self.log_input, self.full = bool(log_input), bool(full)
        self.eps = non_negative(eps, "PoissonNLLLoss: eps")
        if not self.log_input:
            self.same_scale, self.Y_range = True, (0.0, math.inf)
        self.flops_per_element = (3 + 10 * self.full, 3) if self.log_input else (4 + 11 * self.full, 5)

    def forward(self, Y: Any, target: Any) -> Any:
        self.Y, self.target = Y, t = self.check_pair(Y, target)
        if t.size and not np.minimum.reduce(t, axis=None) >= 0:
            refuse(self, "target", t, t >= 0, "to be a count, at least 0", "remove the row, or use another loss")
        if self.log_input:
            elements = loss_kernels.full_poisson_of_log_rate if self.full else loss_kernels.poisson_of_log_rate
            return self.reduce_kernel(elements, Y, t)
        J = self.reduce_kernel(loss_kernels.full_poisson if self.full else loss_kernels.poisson, Y, t, self.eps)
        if any_nan(J) and (Y < 0).any():  # the logarithm of a negative number
            self.count = None
            cure = "end the model with Exp(), or use log_input=True for the logarithm of the expected count"
            refuse(self, "prediction", Y, ~(Y < 0), "to be an expected count, at least 0", cure)
        return J

    def backward(self, dJ: Any = 1.0) -> Array:
        scale = self.scale(dJ)
        if self.log_input:
            return loss_kernels.poisson_of_log_rate_backward(self.Y, self.target, scale)
        return loss_kernels.poisson_backward(self.Y, self.target, self.eps, scale)

    def extra_repr(self) -> str:
        log_input = None if self.log_input else False
        eps = None if self.eps == 1e-8 else self.eps
        return listing(super().extra_repr(), log_input=log_input, full=self.full or None, eps=eps)


class GaussianNLLLoss(Loss):
    """Negative log-likelihood under a normal distribution: ``J = mean(log v + (Y - target)^2 / v) / 2``.

    Y is the mean, and v the larger of the variance ``var``, a third input, and eps. With E = (Y - target) / v,
    ``dY = E / n`` and ``dvar = (1 / v - E^2) / (2 n)``, summed where var is broadcast. As in PyTorch,
    that is dvar where var is below eps too, so that it can increase again.

    Args:
        full: whether to add the constant ``log(2 pi) / 2``.
        eps: the smallest variance.
        reduction: "mean" over all n elements, "sum" or "none".

    Shapes:
        Y and target the same, any; var the same, or Y's without the last axis, or with size 1 for one of the axes, or a
        number; J a float, or an array of Y's shape.

    Raises:
        ShapeError: the shapes differ.
        ValueError: a variance is negative, with its index; eps is not above 0; or the mean over no elements.

    Source: Nix and Weigend, Estimating the mean and variance of the target probability distribution, 1994.

    >>> loss = GaussianNLLLoss()
    >>> loss.forward(np.array([1.0, 3.0]), np.array([0.0, 3.0]), np.array([1.0, 1.0]))
    0.25
    >>> loss.backward()
    (array([0.5, 0. ]), array([0.  , 0.25]))
    """

    logits, same_scale = False, True
    formulas = """
        v = maximum(view(var, shape=var_shape), eps)
        J = 1 / N * sum(
            (log(v) + (Y - target) ** 2 / v) / 2 + (log(2 * pi) / 2 if full else 0),
            axis=() if reduction == "none" else None,
        )
        dY = dJ / N * (Y - target) / v
        dvar = view(sum_to(dJ / N * (1 / v - ((Y - target) / v) ** 2) / 2, v), shape=var.shape)
    """
    flops_per_element = (7, 9)

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.full, self.eps = bool(full), positive(eps, "GaussianNLLLoss: eps")

    def forward(self, Y: Any, target: Any, var: Any) -> Any:
        self.Y, self.target = Y, target = self.check_pair(Y, target)
        var = as_floating(var, lambda: f"{self}: var", Y.dtype)
        self.given_shape, self.var_shape = var.shape, self._broadcast(var.shape, Y.shape)
        if var.size and np.minimum.reduce(var, axis=None) < 0:
            refuse(self, "variance", var, ~(var < 0), "to be at least 0", "end its branch with Exp() or Softplus()")
        self.var = np.broadcast_to(var.reshape(self.var_shape), Y.shape)
        J = self.reduce_kernel(loss_kernels.gaussian, Y, target, self.var, self.eps)
        constant = 0.5 * math.log(2 * math.pi) * (Y.size if self.reduction == "sum" else 1) if self.full else 0.0
        return J + constant if type(J) is float else np.asarray(J + constant)

    def backward(self, dJ: Any = 1.0) -> tuple[Array, Array]:
        scale = self.scale(dJ)
        dY, dvar = loss_kernels.gaussian_backward(self.Y, self.target, self.var, self.eps, scale)
        return dY, sum_to(dvar, self.var_shape).reshape(self.given_shape)

    def differentiable_inputs(self, count: int) -> tuple[int, ...]:
        return (0, 1) if count == 2 else super().differentiable_inputs(count)  # Y and var, if the target is apart

    def extra_repr(self) -> str:
        return listing(super().extra_repr(), full=self.full or None, eps=None if self.eps == 1e-6 else self.eps)

    def _broadcast(self, var: tuple[int, ...], Y: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape in which the variance is broadcast to Y's."""
        if var in (Y, ()):
            return var
        if var == Y[:-1]:
            return (*var, 1)
        if len(var) == len(Y) and [one for one, other in zip(var, Y, strict=True) if one != other] == [1]:
            return var
        raise ShapeError(
            f"{self}: var: expected Y's shape {Y}, or {Y[:-1]}, or with size 1 for one axis, or a number, got {var}"
        )
