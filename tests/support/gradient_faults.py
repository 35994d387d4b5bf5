"""Seeded faults, and the verdict that check_gradients must reach on each.

Every kind of fault is seeded into several layers.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from support.faulty_layers import (
    POSITIVE,
    Accumulating,
    D,
    Dense,
    Forgetful,
    Fork,
    Function,
    M,
    N,
    NoDJ,
    Scale,
    Sharing,
    Single,
    SingleBackward,
    Swish,
    Two,
    WrongMSE,
    X,
    linear,
    numbers,
    put,
    sigmoid,
    spoiled,
    swap,
    times,
    transposed,
)

import nnlite as nn


class Fault(NamedTuple):
    """A layer with a wrong backward, and the verdict on it.

    Attributes:
        id: the name of the fault in the test report.
        make: returns the layer.
        verdict: the beginning of the reason; ``{place}`` is the layer's place in the model.
        X: the input.
        target: the target of a loss.
    """

    id: str
    make: Callable[[], nn.Layer]
    verdict: str
    X: Any = None
    target: Any = None


T = numbers(N, D, seed=8)
SQUARE = numbers(D, D, seed=9)
BATCH = f"{N} is the batch size"
OUTPUTS = f"{M} is the number of outputs"

FAULTS = [
    # a constant factor
    Fault("batch-size-in-dW", lambda: linear(times("W", 1 / N)), f"dW: 1/5 of the true gradient ({BATCH})"),
    Fault("batch-size-in-db", lambda: linear(times("b", N)), f"db: 5 times the true gradient ({BATCH})"),
    Fault("outputs-in-dW", lambda: linear(times("W", M)), f"dW: 4 times the true gradient ({OUTPUTS})"),
    Fault(
        "features-in-dX",
        lambda: linear(times("X", 1 / D)),
        "dX: 1/3 of the true gradient (3 is the number of features)",
    ),
    Fault(
        "elements-in-dX",
        lambda: spoiled(nn.Tanh, times("X", 15)),
        "dX: 15 times the true gradient (15 is the number of elements)",
    ),
    Fault("twice-in-square", lambda: Function(np.square, lambda dY, X, Y: dY * X), "dX: 1/2 of the true gradient"),
    Fault("twice-in-softmax", lambda: spoiled(nn.Softmax, times("X", 2)), "dX: 2 times the true gradient"),
    Fault("half-in-mse", lambda: WrongMSE(lambda E: 0.5), "dX: 1/2 of the true gradient", target=T),
    Fault(
        "elements-in-mse",
        lambda: WrongMSE(lambda E: E.size),
        "dX: 15 times the true gradient (15 is the number of elements)",
        target=T,
    ),
    Fault("two-over-n-in-mse", lambda: WrongMSE(lambda E: 2 / N), f"dX: 2/5 of the true gradient ({BATCH})", target=T),
    Fault("dJ-in-mse", NoDJ, "dX: the factor dJ is missing", target=T),
    Fault("odd-factor", lambda: spoiled(nn.Sigmoid, times("X", 0.7123)), "dX: 0.7123 times the true gradient"),
    Fault("nothing-in-dW", lambda: linear(times("W", 0)), "dW: zero everywhere"),
    # the sign
    Fault("sign-of-dW", lambda: linear(times("W", -1)), "dW: wrong sign"),
    Fault("sign-of-db", lambda: linear(times("b", -1)), "db: wrong sign"),
    Fault("sign-of-dX", lambda: spoiled(nn.Exp, times("X", -1)), "dX: wrong sign"),
    Fault("sign-in-subtract", lambda: spoiled(nn.Subtract, times("X2", -1)), "dX2: wrong sign", X=(X, T)),
    Fault("minus-batch", lambda: linear(times("W", -1 / N)), f"dW: -1/5 of the true gradient ({BATCH})"),
    # order
    Fault("transposed-dW", lambda: linear(put(W=transposed), D, D), "dW: transposed"),
    Fault(
        "reshaped-dW",
        lambda: linear(put(W=lambda L, dY, dW: dW.T.reshape(dW.shape))),
        "dW: transposed and then reshaped",
    ),
    Fault(
        "transposed-and-minus", lambda: linear(put(W=lambda L, dY, dW: -dW.T), D, D), "dW: transposed, and wrong sign"
    ),
    Fault("transposed-dX", lambda: spoiled(nn.Tanh, put(X=transposed)), "dX: transposed", X=SQUARE),
    Fault(
        "reversed-rows",
        lambda: spoiled(nn.Sigmoid, put(X=lambda L, dY, dX: dX[::-1])),
        "dX: its rows are in reverse order",
    ),
    Fault(
        "shifted-columns",
        lambda: linear(put(W=lambda L, dY, dW: np.roll(dW, 1, 1))),
        "dW: its columns are shifted by one",
    ),
    Fault(
        "permuted-db",
        lambda: linear(put(b=lambda L, dY, db: db[[2, 0, 3, 1]])),
        "db: the right numbers in the wrong order",
    ),
    Fault("swapped-parameters", Sharing, "dgamma: swapped with ddelta; ddelta: swapped with dgamma"),
    Fault(
        "swapped-inputs",
        lambda: spoiled(nn.Multiply, swap("X1", "X2")),
        "dX1: swapped with dX2; dX2: swapped with dX1",
        X=(X, T),
    ),
    Fault(
        "one-input-for-both",
        lambda: spoiled(nn.Multiply, put(X1=lambda L, dY, dX: dY * L.X)),
        "dX1: it is the gradient of X2",
        X=(X, T),
    ),
    # derivatives
    Fault(
        "no-derivative-of-tanh",
        lambda: Function(np.tanh, lambda dY, X, Y: dY.copy()),
        "dX: it is dY itself, the derivative of Y with respect to X is missing",
    ),
    Fault(
        "no-derivative-of-sigmoid",
        lambda: Function(sigmoid, lambda dY, X, Y: dY.copy()),
        "dX: it is dY itself, the derivative of Y with respect to X is missing",
    ),
    Fault(
        "no-derivative-of-softplus",
        lambda: Function(lambda X: np.log1p(np.exp(X)), lambda dY, X, Y: 1 * dY),
        "dX: it is dY itself, the derivative of Y with respect to X is missing",
    ),
    Fault(
        "no-dY-in-tanh",  # as of pytorch#4355
        lambda: Function(np.tanh, lambda dY, X, Y: 1 - Y * Y),
        "dX: it is the derivative of Y with respect to X alone, the factor dY is missing",
    ),
    Fault(
        "twice-the-derivative",
        lambda: Function(np.tanh, lambda dY, X, Y: dY * (1 - Y * Y) ** 2),
        "dX: the derivative of Y with respect to X is applied twice",
    ),
    Fault(
        "divided-by-the-derivative",
        lambda: Function(np.exp, lambda dY, X, Y: dY / Y),
        "dX: dY is divided by the derivative of Y with respect to X; multiply by it",
    ),
    Fault(
        "tanh-at-the-input",
        lambda: Function(np.tanh, lambda dY, X, Y: dY * (1 - X * X)),
        "dX: the derivative is evaluated at the input X instead of the output Y",
    ),
    Fault(
        "sigmoid-at-the-input",
        lambda: Function(sigmoid, lambda dY, X, Y: dY * X * (1 - X)),
        "dX: the derivative is evaluated at the input X instead of the output Y",
    ),
    Fault(
        "exp-at-the-input",
        lambda: Function(np.exp, lambda dY, X, Y: dY * X),
        "dX: the derivative is evaluated at the input X instead of the output Y",
    ),
    Fault(
        "softmax-at-the-input",
        lambda: Function(
            lambda X: np.exp(X) / np.exp(X).sum(-1, keepdims=True),
            lambda dY, X, Y: X * (dY - (dY * X).sum(-1, keepdims=True)),
        ),
        "dX: the derivative is evaluated at the input X instead of the output Y",
    ),
    Fault(
        "square-at-the-output",
        lambda: Function(np.square, lambda dY, X, Y: 2 * dY * Y),
        "dX: the derivative is evaluated at the output Y instead of the input X",
    ),
    Fault(
        "sine-at-the-output",
        lambda: Function(np.sin, lambda dY, X, Y: dY * np.cos(Y)),
        "dX: the derivative is evaluated at the output Y instead of the input X",
    ),
    Fault(
        "log-at-the-output",
        lambda: Function(np.log, lambda dY, X, Y: dY / Y),
        "dX: the derivative is evaluated at the output Y instead of the input X",
        X=POSITIVE + 1,
    ),
    Fault(
        "tanh-for-sigmoid",
        lambda: Function(sigmoid, lambda dY, X, Y: dY * (1 - Y * Y)),
        "dX: it is dY * (1 - Y^2), the derivative of tanh",
    ),
    Fault(
        "sigmoid-for-tanh",
        lambda: Function(np.tanh, lambda dY, X, Y: dY * Y * (1 - Y)),
        "dX: it is dY * Y * (1 - Y), the derivative of a sigmoid",
    ),
    Fault(
        "relu-for-softplus",
        lambda: Function(lambda X: np.log1p(np.exp(X)), lambda dY, X, Y: dY * (X > 0)),
        "dX: it is dY * (X > 0)",
    ),
    Fault(
        "no-derivative-in-dense",
        lambda: Dense(lambda U, Y: 1),
        "dX: it is dY times W^T, a derivative is missing; dW: it is X^T times dY, a derivative is missing; "
        "db: it is the sum over the rows of dY, a derivative is missing",
    ),
    Fault(
        "input-for-output-in-dense",
        lambda: Dense(lambda U, Y: 1 - U * U),
        "dX: it is dY * (1 - U^2) times W^T; dW: it is X^T times dY * (1 - U^2); "
        "db: it is the sum over the rows of dY * (1 - U^2)",
    ),
    Fault(
        "diagonal-of-softmax",
        lambda: spoiled(nn.Softmax, put(X=lambda L, dY, dX: dY * L.Y * (1 - L.Y))),
        "dX: it uses only the diagonal of the Jacobian",
    ),
    # sums
    Fault("fork-without-skip", lambda: Fork(nn.Tanh(), lambda dY, back: back), "dX: the term dY is missing"),
    Fault(
        "fork-without-path",
        lambda: Fork(nn.Tanh(), lambda dY, back: dY),
        "dX: the term dX of {place}.inner Tanh() is missing",
    ),
    Fault(
        "fork-twice",
        lambda: Fork(nn.Sigmoid(), lambda dY, back: 2 * dY + back),
        "dX: the term dY is added once too often",
    ),
    Fault(
        "path-never-called",
        lambda: Two(nn.Linear(D, M, rng=0), nn.Linear(D, M, rng=1)),
        "dX: the term dX of {place}.g Linear(3 -> 4) is missing; dg.W, dg.b: backward does not store it",
    ),
    Fault(
        "first-term-of-a-product", lambda: Swish(lambda dY, X, S: dY * S), "dX: the term dY * Y * (1 - S) is missing"
    ),
    Fault(
        "second-term-of-a-product",
        lambda: Swish(lambda dY, X, S: dY * X * S * (1 - S)),
        "dX: the term dY * S is missing",
    ),
    Fault(
        "last-row-of-dW", lambda: linear(put(W=lambda L, dY, dW: L.X[:-1].T @ dY[:-1])), "dW: row 4 of dY is left out"
    ),
    Fault("first-row-alone-in-db", lambda: linear(put(b=lambda L, dY, db: dY[0])), "db: only row 0 of dY is used"),
    Fault(
        "first-row-twice-in-db", lambda: linear(put(b=lambda L, dY, db: db + dY[0])), "db: row 0 of dY is counted twice"
    ),
    Fault(
        "last-column-of-dX",
        lambda: linear(put(X=lambda L, dY, dX: dY[:, :-1] @ L.W[:, :-1].T)),
        "dX: column 3 of dY is left out",
    ),
    Fault(
        "one-output-alone",
        lambda: linear(put(X=lambda L, dY, dX: dY[:, :1] @ L.W[:, :1].T)),
        "dX: only column 0 of dY is used",
    ),
    Fault(
        "wrong-axis-in-db",
        lambda: linear(put(b=lambda L, dY, db: dY.sum(axis=1)), D, D),
        "db: summed over the wrong axis of dY, axis 1",
        X=SQUARE,
    ),
    Fault(
        "wrong-axis-in-dgamma",
        lambda: Scale(lambda terms: terms.sum(axis=1)),
        "dgamma: summed over the wrong axis of dY, axis 1",
        X=SQUARE,
    ),
    Fault(
        "all-axes-in-db",
        lambda: linear(put(b=lambda L, dY, db: np.full(M, dY.sum()))),
        "db: summed over all axes of dY",
    ),
    Fault(
        "mean-for-sum-in-db",
        lambda: linear(put(b=lambda L, dY, db: dY.mean(axis=0))),
        f"db: 1/5 of the true gradient ({BATCH})",
    ),
    Fault(
        "dY-left-out",
        lambda: linear(put(W=lambda L, dY, dW: L.X.T @ np.ones_like(dY))),
        "dW: dY is ignored: it is the gradient for dY = 1",
    ),
    Fault("sign-of-dY-lost", lambda: linear(put(X=lambda L, dY, dX: np.abs(dY) @ L.W.T)), "dX: the sign of dY is lost"),
    Fault(
        "dY-transposed", lambda: linear(put(W=lambda L, dY, dW: L.X.T @ dY.T), D, D), "dW: dY is transposed", X=SQUARE
    ),
    # what is stored
    Fault(
        "added-not-stored",
        lambda: Accumulating(D, M, rng=0),
        "dW: backward adds to the stored gradient instead of overwriting it; otherwise it is right",
    ),
    Fault("not-stored", lambda: Forgetful(D, M, rng=0), "db: backward does not store it"),
    Fault(
        "one-nan",
        lambda: spoiled(nn.Tanh, put(X=lambda L, dY, dX: np.where(dX == dX.max(), np.nan, dX))),
        "dX: not finite in 1 of 15 entries",
    ),
    # rounding
    Fault("float32-forward", Single, "rounding error, not a wrong backward: forward computes in float32"),
    Fault("float32-backward", SingleBackward, "dX: rounding error, not a wrong formula: backward computes in float32"),
    # nothing explains it
    Fault(
        "one-entry",
        lambda: linear(put(W=lambda L, dY, dW: dW * (1 + (np.arange(D * M).reshape(D, M) == 7)))),
        "dW: differs in 1 of 12 entries, at W[1, 3]",
    ),
    Fault(
        "one-row",
        lambda: linear(put(W=lambda L, dY, dW: dW * (1 + np.array([[0], [1], [0]]) * np.arange(2, 2 + M)))),
        "dW: differs in 4 of 12 entries, all in row 1",
    ),
    Fault(
        "below-zero",
        lambda: Function(lambda X: np.where(X > 0, X, 0.1 * X), lambda dY, X, Y: np.where(X > 0, dY, 0.2 * dY)),
        "dX: differs in 12 of 15 entries, exactly where X < 0",
    ),
]
