"""to_c: a network, and a step of gradient descent, as a header of C."""

import os
import re
import textwrap
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.compute.call_log import CallLog, Node, UnwritableError
from nnlite.containers.logged_run import LoggedRun
from nnlite.interop.c_program.c_lines import CLines, c_float
from nnlite.interop.numpy_program.examples import example_of
from nnlite.interop.numpy_program.unwritable import unwritable
from nnlite.layer.layer import Layer, check_layer
from nnlite.losses.loss import Loss
from nnlite.losses.per_output import check_loss
from nnlite.losses.regression_losses import MSELoss

ANY_ROWS = 2**61 - 1  # sizes of arrays are numbers in the statements


class CSource(str):
    """A header of C, as text."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a file."""
        Path(path).write_text(self, encoding="utf-8")


def to_c(model: Layer, loss: Loss | None = None, *, training: bool = False, name: str = "network") -> CSource:
    """Write a network of one input vector out as a header of C99: no allocation, floats, weights in static tables.

    It has ``void network_forward(const float *X, float *y)`` for one sample, in evaluation mode. With training=True
    also ``float network_step(const float *X, const float *y, int n, float lr)``: a step of gradient descent, in
    training mode, on the n rows of X and y, which returns the loss before it. The weights are then no constants.
    Include it in one file of a program, and link the library ``m``; one thread at a time may call it. Its results are
    those of the layers to the rounding of floats.

    Args:
        model: layers whose calls are products with weights and elementwise functions: :class:`nnlite.Linear`,
            activations, softmaxes and the norms of a sample.
        loss: the loss of a step, elementwise, such as :class:`nnlite.BCEWithLogitsLoss`, or
            :class:`nnlite.CrossEntropyLoss`, where y has the number of the class of each row, from 0, which is not
            checked; by default :class:`nnlite.MSELoss`.
        training: whether there is a step.
        name: what the names of functions begin with.

    Returns:
        The header, a string, whose method ``save("network.h")`` writes it.

    Raises:
        TypeError: ``model`` is not a Layer, ``loss`` not a Loss; or a layer or the loss computes what has no form here.
        ValueError: the name is no identifier of C; the loss has reduction "none"; a loss without training=True; or
            the model takes no vector, or does not tell of how many numbers.

    >>> import nnlite as nn
    >>> layer = nn.Linear(2, 1)
    >>> layer.W, layer.b = [[1.5], [-2.0]], [0.25]
    >>> header = nn.to_c(nn.Sequential(layer, nn.Tanh()))
    >>> print(header[header.index("static inline") : header.index("#endif")].rstrip())
    static inline void network_forward(const float *X, float *y)
    {
        static float t1[1];
        float u1;
        float y_hat;
        for (int j = 0; j < 1; j++) {
            float s = 0.0f;
            for (int k = 0; k < 2; k++) s += X[k] * network_W1[k * 1 + j];
            t1[j] = s;
        }
        u1 = t1[0] + network_b1[0];
        y_hat = tanhf(u1);
        for (int j = 0; j < 1; j++) y[j] = y_hat;
    }
    """
    check_layer(model, "model")
    if not (name.isidentifier() and name.isascii()):
        raise ValueError(f"to_c: name: expected an identifier, got {name!r}")
    if loss is not None and not training:
        raise ValueError("to_c: a loss is for a step; pass training=True")
    loss = loss or MSELoss()
    check_loss(loss)
    if loss.reduction == "none":
        raise ValueError('to_c: loss: expected reduction "mean" or "sum", got "none"')
    model = deepcopy(model).astype(np.float32)
    if not model.Phi.size and not list(model.named_buffers()):
        raise ValueError(
            f"to_c: {model.one_line()}: nothing in it tells the number of features of X; begin with a Linear"
        )
    try:
        X, target = example_of(model, loss if training else None, None, None)
    except ValueError as error:
        raise ValueError(f"to_c: expected a model of one vector of numbers: {error.__context__ or error}") from error
    X, target = X[:1], None if target is None else target[:1]
    try:
        return _header(model, loss, X, target, training, name)
    except UnwritableError as error:
        model.train(training)
        layers = unwritable(model, X, ANY_ROWS, backward=training, write=_lines) or [f"{loss}: {error}"]
        raise UnwritableError("to_c: not to be written in C:\n  " + "\n  ".join(layers)) from error
    except ValueError as error:  # of BatchNorm
        raise ValueError(f"to_c: a step computes with one sample after another: {error}") from error


def _lines(run: LoggedRun, results: list[Node]) -> object:
    return CLines(run.log, results, run.log.stored).written()


def _header(model: Layer, loss: Loss, X: Array, target: Any, training: bool, name: str) -> CSource:
    run = LoggedRun(model, None, X, log=CallLog(ANY_ROWS))
    lines = CLines(run.log, [run.Y.node], [])
    body = lines.written()
    size = np.size(run.Y.node.value)
    out = lines.element(run.Y.node)
    forward = [*_declared(lines), *body, f"for (int j = 0; j < {size}; j++) y[j] = {out};"]
    const = "" if training else "const "
    guard = f"{name.upper()}_H"
    text = [f"/* {model.one_line()}, written out by nnlite. */", f"#ifndef {guard}", f"#define {guard}", ""]
    text += ["#include <math.h>", ""]
    for symbol, array in (run.parameters | run.buffers).items():
        table = textwrap.fill(_values(array), 110, initial_indent="    ", subsequent_indent="    ")
        text += [f"static {const}float {name}_{symbol}[{array.size}] = {{", table, "};"]
    own = [*run.parameters, *run.buffers]
    text += ["", f"static inline void {name}_forward(const float *X, float *y)", "{"]
    text += [*(f"    {line}" for line in _prefixed(forward, own, name)), "}", ""]
    if training:
        text += _step(model, loss, X, target, name)
    return CSource("\n".join([*text, "#endif"]) + "\n")


def _step(model: Layer, loss: Loss, X: Array, target: Any, name: str) -> Iterator[str]:
    """The function of a step: the gradients of one sample after another, and then the update."""
    run = LoggedRun(model, loss, X, target, training=True, log=CallLog(ANY_ROWS))
    lines = CLines(run.log, [run.L.node], run.log.stored)
    body = lines.written()
    L, own = lines.element(run.L.node), [*run.parameters, *run.buffers]
    yield from (f"static float {name}_d{symbol}[{array.size}];" for symbol, array in run.parameters.items())
    yield ""
    yield f"static inline float {name}_step(const float *X, const float *y, int n, float lr)"
    yield "{"
    yield "    float J = 0.0f;"
    for symbol, array in run.parameters.items():
        yield f"    for (int j = 0; j < {array.size}; j++) {name}_d{symbol}[j] = 0.0f;"
    yield f"    for (int row = 0; row < n; row++, X += {X.size}, y += {np.size(target)}) {{"
    gradients = [*own, *(f"d{symbol}" for symbol in run.parameters)]
    for line in _prefixed([*_declared(lines), *body, f"J += {L};"], gradients, name):
        yield f"        {line}"
    yield "    }"
    if loss.reduction == "mean":
        yield "    lr /= (float)n;"
        yield "    J /= (float)n;"
    for symbol, array in run.parameters.items():
        yield f"    for (int j = 0; j < {array.size}; j++) {name}_{symbol}[j] -= lr * {name}_d{symbol}[j];"
    yield "    return J;"
    yield "}"
    yield ""


def _values(array: Array) -> str:
    return ", ".join(c_float(float(each)) for each in array.reshape(-1))


def _declared(lines: CLines) -> Iterator[str]:
    """The declarations of what the statements write."""
    for symbol, table in lines.tables.items():
        yield f"static const float {symbol}[{table.size}] = {{{_values(table)}}};"
    for symbol, size in lines.arrays.items():
        yield f"static float {symbol}[{size}];" if size else f"float {symbol};"


def _prefixed(lines: list[str], symbols: list[str], name: str) -> list[str]:
    """The statements with the names of tables, which begin with that of the network."""
    pattern = re.compile(rf"\b({'|'.join(map(re.escape, symbols))})\[") if symbols else None
    return [pattern.sub(rf"{name}_\1[", line) if pattern else line for line in lines]
