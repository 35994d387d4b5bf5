"""Seeded faults, and what check_gradients must find in each.

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
    Feedback,
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


def is_(array: str, kind: str, **detail: Any) -> list[tuple[str, str, dict[str, Any]]]:
    """What must be found: the array, the kind, and at least this detail."""
    return [(array, kind, detail)]


class Fault(NamedTuple):
    """A layer with a wrong backward, and what must be found.

    Attributes:
        id: the name of the fault in the test report.
        make: returns the layer.
        found: the array, the kind and the detail of each fault; ``{place}`` is the layer's place in the model.
        X: the input.
        target: the target of a loss.
    """

    id: str
    make: Callable[[], nn.Layer]
    found: list[tuple[str, str, dict[str, Any]]]
    X: Any = None
    target: Any = None


T = numbers(N, D, seed=8)
SQUARE = numbers(D, D, seed=9)

FAULTS = [
    # a constant factor
    Fault(
        "batch-size-in-dW",
        lambda: linear(times("W", 1 / N)),
        is_("dW", "wrong factor", factor=1 / N, sizes={"the batch size": N}),
    ),
    Fault(
        "batch-size-in-db",
        lambda: linear(times("b", N)),
        is_("db", "wrong factor", factor=N, sizes={"the batch size": N}),
    ),
    Fault(
        "outputs-in-dW",
        lambda: linear(times("W", M)),
        is_("dW", "wrong factor", factor=M, sizes={"the number of outputs": M}),
    ),
    Fault(
        "features-in-dX",
        lambda: linear(times("X", 1 / D)),
        is_("dX", "wrong factor", factor=1 / D, sizes={"the number of features": D}),
    ),
    Fault(
        "elements-in-dX",
        lambda: spoiled(nn.Tanh, times("X", 15)),
        is_("dX", "wrong factor", factor=N * D, sizes={"the number of elements": N * D}),
    ),
    Fault(
        "twice-in-square",
        lambda: Function(np.square, lambda dY, X, Y: dY * X),
        is_("dX", "wrong factor", factor=1 / 2, sizes={}),
    ),
    Fault(
        "twice-in-softmax", lambda: spoiled(nn.Softmax, times("X", 2)), is_("dX", "wrong factor", factor=2, sizes={})
    ),
    Fault("half-in-mse", lambda: WrongMSE(lambda E: 0.5), is_("dX", "wrong factor", factor=1 / 2, sizes={}), target=T),
    Fault(
        "elements-in-mse",
        lambda: WrongMSE(lambda E: E.size),
        is_("dX", "wrong factor", factor=N * D, sizes={"the number of elements": N * D}),
        target=T,
    ),
    Fault(
        "two-over-n-in-mse",
        lambda: WrongMSE(lambda E: 2 / N),
        is_("dX", "wrong factor", factor=2 / N, sizes={"the batch size": N}),
        target=T,
    ),
    Fault("dJ-in-mse", NoDJ, is_("dX", "missing dY", dY="dJ"), target=T),
    Fault(
        "odd-factor",
        lambda: spoiled(nn.Sigmoid, times("X", 0.7123)),
        is_("dX", "wrong factor", factor=0.7123, sizes={}),
    ),
    Fault("nothing-in-dW", lambda: linear(times("W", 0)), is_("dW", "zero")),
    # the sign
    Fault("sign-of-dW", lambda: linear(times("W", -1)), is_("dW", "wrong sign")),
    Fault("sign-of-db", lambda: linear(times("b", -1)), is_("db", "wrong sign")),
    Fault("sign-of-dX", lambda: spoiled(nn.Exp, times("X", -1)), is_("dX", "wrong sign")),
    Fault("sign-in-subtract", lambda: spoiled(nn.Subtract, times("X2", -1)), is_("dX2", "wrong sign"), X=(X, T)),
    Fault(
        "minus-batch",
        lambda: linear(times("W", -1 / N)),
        is_("dW", "wrong factor", factor=-1 / N, sizes={"the batch size": N}),
    ),
    # order
    Fault("transposed-dW", lambda: linear(put(W=transposed), D, D), is_("dW", "transposed")),
    Fault(
        "reshaped-dW",
        lambda: linear(put(W=lambda L, dY, dW: dW.T.reshape(dW.shape))),
        is_("dW", "order of entries", order="transposed and then reshaped"),
    ),
    Fault(
        "transposed-and-minus",
        lambda: linear(put(W=lambda L, dY, dW: -dW.T), D, D),
        is_("dW", "transposed", factor=-1, sizes={}),
    ),
    Fault("transposed-dX", lambda: spoiled(nn.Tanh, put(X=transposed)), is_("dX", "transposed"), X=SQUARE),
    Fault(
        "reversed-rows",
        lambda: spoiled(nn.Sigmoid, put(X=lambda L, dY, dX: dX[::-1])),
        is_("dX", "order of entries", order="rows reversed"),
    ),
    Fault(
        "shifted-columns",
        lambda: linear(put(W=lambda L, dY, dW: np.roll(dW, 1, 1))),
        is_("dW", "order of entries", order="permuted"),
    ),
    Fault(
        "permuted-db",
        lambda: linear(put(b=lambda L, dY, db: db[[2, 0, 3, 1]])),
        is_("db", "order of entries", order="permuted"),
    ),
    Fault(
        "swapped-parameters",
        Sharing,
        is_("dgamma", "order of gradients", other="delta") + is_("ddelta", "order of gradients", other="gamma"),
    ),
    Fault(
        "swapped-inputs",
        lambda: spoiled(nn.Multiply, swap("X1", "X2")),
        is_("dX1", "order of gradients", other="X2") + is_("dX2", "order of gradients", other="X1"),
        X=(X, T),
    ),
    Fault(
        "one-input-for-both",
        lambda: spoiled(nn.Multiply, put(X1=lambda L, dY, dX: dY * L.X)),
        is_("dX1", "order of gradients", other="X2"),
        X=(X, T),
    ),
    # derivatives
    Fault(
        "no-derivative-of-tanh",
        lambda: Function(np.tanh, lambda dY, X, Y: dY.copy()),
        is_("dX", "missing derivative", term="dY itself"),
    ),
    Fault(
        "no-derivative-of-sigmoid",
        lambda: Function(sigmoid, lambda dY, X, Y: dY.copy()),
        is_("dX", "missing derivative", term="dY itself"),
    ),
    Fault(
        "no-derivative-of-softplus",
        lambda: Function(lambda X: np.log1p(np.exp(X)), lambda dY, X, Y: 1 * dY),
        is_("dX", "missing derivative", term="dY itself"),
    ),
    Fault(
        "no-dY-in-tanh",  # as of pytorch#4355
        lambda: Function(np.tanh, lambda dY, X, Y: 1 - Y * Y),
        is_("dX", "missing dY", dY="dY"),
    ),
    Fault(
        "twice-the-derivative",
        lambda: Function(np.tanh, lambda dY, X, Y: dY * (1 - Y * Y) ** 2),
        is_("dX", "derivative applied twice"),
    ),
    Fault(
        "divided-by-the-derivative",
        lambda: Function(np.exp, lambda dY, X, Y: dY / Y),
        is_("dX", "divided by the derivative"),
    ),
    Fault(
        "tanh-at-the-input",
        lambda: Function(np.tanh, lambda dY, X, Y: dY * (1 - X * X)),
        is_("dX", "wrong point", used="the input X", right="the output Y"),
    ),
    Fault(
        "sigmoid-at-the-input",
        lambda: Function(sigmoid, lambda dY, X, Y: dY * X * (1 - X)),
        is_("dX", "wrong point", used="the input X", right="the output Y"),
    ),
    Fault(
        "exp-at-the-input",
        lambda: Function(np.exp, lambda dY, X, Y: dY * X),
        is_("dX", "wrong point", used="the input X", right="the output Y"),
    ),
    Fault(
        "softmax-at-the-input",
        lambda: Function(
            lambda X: np.exp(X) / np.exp(X).sum(-1, keepdims=True),
            lambda dY, X, Y: X * (dY - (dY * X).sum(-1, keepdims=True)),
        ),
        is_("dX", "wrong point", used="the input X", right="the output Y"),
    ),
    Fault(
        "square-at-the-output",
        lambda: Function(np.square, lambda dY, X, Y: 2 * dY * Y),
        is_("dX", "wrong point", used="the output Y", right="the input X"),
    ),
    Fault(
        "sine-at-the-output",
        lambda: Function(np.sin, lambda dY, X, Y: dY * np.cos(Y)),
        is_("dX", "wrong point", used="the output Y", right="the input X"),
    ),
    Fault(
        "log-at-the-output",
        lambda: Function(np.log, lambda dY, X, Y: dY / Y),
        is_("dX", "wrong point", used="the output Y", right="the input X"),
        X=POSITIVE + 1,
    ),
    Fault(
        "tanh-for-sigmoid",
        lambda: Function(sigmoid, lambda dY, X, Y: dY * (1 - Y * Y)),
        is_("dX", "another derivative", term="dY * (1 - Y^2)", function="tanh"),
    ),
    Fault(
        "sigmoid-for-tanh",
        lambda: Function(np.tanh, lambda dY, X, Y: dY * Y * (1 - Y)),
        is_("dX", "another derivative", term="dY * Y * (1 - Y)", function="a sigmoid"),
    ),
    Fault(
        "relu-for-softplus",
        lambda: Function(lambda X: np.log1p(np.exp(X)), lambda dY, X, Y: dY * (X > 0)),
        is_("dX", "another derivative", term="dY * (X > 0)", function=""),
    ),
    Fault(
        "no-derivative-in-dense",
        lambda: Dense(lambda U, Y: 1),
        is_("dX", "missing derivative", term="dY times W^T")
        + is_("dW", "missing derivative", term="X^T times dY")
        + is_("db", "missing derivative", term="the sum over the rows of dY"),
    ),
    Fault(
        "input-for-output-in-dense",
        lambda: Dense(lambda U, Y: 1 - U * U),
        is_("dX", "another derivative", term="dY * (1 - U^2) times W^T")
        + is_("dW", "another derivative", term="X^T times dY * (1 - U^2)")
        + is_("db", "another derivative", term="the sum over the rows of dY * (1 - U^2)"),
    ),
    Fault("feedback-alignment", lambda: Feedback(D, M, rng=0), is_("dX", "another matrix", term="dY times B^T")),
    Fault(
        "diagonal-of-softmax",
        lambda: spoiled(nn.Softmax, put(X=lambda L, dY, dX: dY * L.Y * (1 - L.Y))),
        is_("dX", "only the diagonal"),
    ),
    # sums
    Fault("fork-without-skip", lambda: Fork(nn.Tanh(), lambda dY, back: back), is_("dX", "missing term", term="dY")),
    Fault(
        "fork-without-path",
        lambda: Fork(nn.Tanh(), lambda dY, back: dY),
        is_("dX", "missing term", term="dX of {place}.inner Tanh()"),
    ),
    Fault(
        "fork-twice",
        lambda: Fork(nn.Sigmoid(), lambda dY, back: 2 * dY + back),
        is_("dX", "extra term", term="dY"),
    ),
    Fault(
        "path-never-called",
        lambda: Two(nn.Linear(D, M, rng=0), nn.Linear(D, M, rng=1)),
        is_("dX", "missing term", term="dX of {place}.g Linear(3 -> 4)")
        + is_("dg.W", "not stored", entries=D * M)
        + is_("dg.b", "not stored", entries=M),
    ),
    Fault(
        "first-term-of-a-product",
        lambda: Swish(lambda dY, X, S: dY * S),
        is_("dX", "missing term", term="dY * Y * (1 - S)"),
    ),
    Fault(
        "second-term-of-a-product",
        lambda: Swish(lambda dY, X, S: dY * X * S * (1 - S)),
        is_("dX", "missing term", term="dY * S"),
    ),
    Fault(
        "last-row-of-dW",
        lambda: linear(put(W=lambda L, dY, dW: L.X[:-1].T @ dY[:-1])),
        is_("dW", "part of dY", part="row 4", use="left out"),
    ),
    Fault(
        "first-row-alone-in-db",
        lambda: linear(put(b=lambda L, dY, db: dY[0])),
        is_("db", "part of dY", part="row 0", use="used alone"),
    ),
    Fault(
        "first-row-twice-in-db",
        lambda: linear(put(b=lambda L, dY, db: db + dY[0])),
        is_("db", "part of dY", part="row 0", use="counted twice"),
    ),
    Fault(
        "last-column-of-dX",
        lambda: linear(put(X=lambda L, dY, dX: dY[:, :-1] @ L.W[:, :-1].T)),
        is_("dX", "part of dY", part="column 3", use="left out"),
    ),
    Fault(
        "one-output-alone",
        lambda: linear(put(X=lambda L, dY, dX: dY[:, :1] @ L.W[:, :1].T)),
        is_("dX", "part of dY", part="column 0", use="used alone"),
    ),
    Fault(
        "wrong-axis-in-db",
        lambda: linear(put(b=lambda L, dY, db: dY.sum(axis=1)), D, D),
        is_("db", "wrong axis", how="summed", axis="axis 1"),
        X=SQUARE,
    ),
    Fault(
        "wrong-axis-in-dgamma",
        lambda: Scale(lambda terms: terms.sum(axis=1)),
        is_("dgamma", "wrong axis", how="summed", axis="axis 1"),
        X=SQUARE,
    ),
    Fault(
        "all-axes-in-db",
        lambda: linear(put(b=lambda L, dY, db: np.full(M, dY.sum()))),
        is_("db", "wrong axis", how="summed", axis="all axes"),
    ),
    Fault(
        "mean-for-sum-in-db",
        lambda: linear(put(b=lambda L, dY, db: dY.mean(axis=0))),
        is_("db", "wrong factor", factor=1 / N, sizes={"the batch size": N}),
    ),
    Fault(
        "dY-left-out",
        lambda: linear(put(W=lambda L, dY, dW: L.X.T @ np.ones_like(dY))),
        is_("dW", "missing dY", dY="dY"),
    ),
    Fault(
        "sign-of-dY-lost",
        lambda: linear(put(X=lambda L, dY, dX: np.abs(dY) @ L.W.T)),
        is_("dX", "another dY", change="its absolute value"),
    ),
    Fault(
        "dY-transposed",
        lambda: linear(put(W=lambda L, dY, dW: L.X.T @ dY.T), D, D),
        is_("dW", "another dY", change="its transpose"),
        X=SQUARE,
    ),
    # what is stored
    Fault(
        "added-not-stored",
        lambda: Accumulating(D, M, rng=0),
        is_("dW", "accumulated", added="right"),
    ),
    Fault("not-stored", lambda: Forgetful(D, M, rng=0), is_("db", "not stored", entries=M, size=M)),
    Fault(
        "one-nan",
        lambda: spoiled(nn.Tanh, put(X=lambda L, dY, dX: np.where(dX == dX.max(), np.nan, dX))),
        is_("dX", "not finite", entries=1, size=N * D),
    ),
    # rounding
    Fault("float32-forward", Single, is_("", "float32", method="forward")),
    Fault("float32-backward", SingleBackward, is_("dX", "float32", method="backward")),
    # nothing explains it
    Fault(
        "one-entry",
        lambda: linear(put(W=lambda L, dY, dW: dW * (1 + (np.arange(D * M).reshape(D, M) == 7)))),
        is_("dW", "wrong entries", entries=1, size=D * M, where="W[1, 3]"),
    ),
    Fault(
        "one-row",
        lambda: linear(put(W=lambda L, dY, dW: dW * (1 + np.array([[0], [1], [0]]) * np.arange(2, 2 + M)))),
        is_("dW", "wrong entries", entries=M, size=D * M, where="row 1"),
    ),
    Fault(
        "below-zero",
        lambda: Function(lambda X: np.where(X > 0, X, 0.1 * X), lambda dY, X, Y: np.where(X > 0, dY, 0.2 * dY)),
        is_("dX", "wrong entries", entries=12, size=N * D, where="where X < 0"),
    ),
]
