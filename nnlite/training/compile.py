"""compile: the step of a tiny network as straight-line NumPy, without the time that layers and their checks take."""

import math
from copy import deepcopy
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array, as_array
from nnlite.compute.call_log import CallLog, LoggedArray, UnwritableError
from nnlite.compute.kernel import SUMMED_WHOLE, Kernel, numpy_function
from nnlite.containers.argument_names import input_names_of
from nnlite.containers.logged_run import LoggedRun, example_rows
from nnlite.containers.stateful import stateful_layers
from nnlite.errors import DivergenceError
from nnlite.layer.layer import Layer, check_layer
from nnlite.losses.loss import Loss, is_loss
from nnlite.losses.per_output import Losses, check_loss
from nnlite.optim.optimizer import Optimizer
from nnlite.training.layer_options import options_of, refuse_counters
from nnlite.training.straight_line import StraightLine
from nnlite.training.weighted_loss import WeightedLoss

MOST_LINES = 64  # those of so many shapes, and values of options, are kept
ANY_ROWS = 2**61 - 1  # no size is a multiple of it: the sizes of arrays are numbers in the lines


class Passes:
    """Forward and backward of a model and its loss in straight lines, made for each shape of a batch.

    Each of the layers' decisions on values, such as the checks of a target, is made as in the first batch of its shape;
    where one would be made in another way, the layers run instead. Options of layers and of the loss are numbers in the
    lines, which are made anew when one has changed.

    Args:
        model: a model with one input and one output.
        loss: its loss, without weights of samples.

    Raises:
        TypeError: the loss is of another kind; in the first forward, the layers cannot be written so.
    """

    def __init__(self, model: Layer, loss: Layer) -> None:
        if isinstance(loss, Losses | WeightedLoss) or not is_loss(loss):
            raise TypeError(
                f"compiled: expected one loss without sample_weight and class_weight, got {loss.one_line()}; "
                "leave compiled out"
            )
        if loss.reduction == "none":  # type: ignore[attr-defined] # of every Loss
            raise ValueError(f"compiled: expected a loss with reduction mean or sum, got {loss.one_line()}")
        if len(input_names_of(model)) != 1 or model.num_outputs != 1:
            raise TypeError(f"compiled: expected a model of one input and one output, got {model.one_line()}")
        for _, layer in stateful_layers(model):
            raise TypeError(
                f"compiled: {layer.one_line()} carries its state from one step to the next; leave out compiled"
            )
        self.model, self.loss = model, loss
        self.lines: dict[Any, Any] = {}
        self.by_numba: dict[Any, Any] = {}  # without the number of rows
        self.Phi: Array | None = None
        self.options: Any = tuple  # the options of all layers, as a function
        self.seen: Any = None  # the lines of the last batch, and what it was like
        self.last: Any = None  # the lines, and the batch, of the last forward

    def __getstate__(self) -> Any:
        return self.model, self.loss

    def __setstate__(self, state: Any) -> None:  # of a copy, whose lines are made for its own arrays
        self.__init__(*state)  # type: ignore[misc]

    def forward(self, X: Any, target: Any) -> float | None:
        """The loss; None where the layers would decide otherwise than in the lines."""
        X, target = (each if type(each) is np.ndarray else as_array(each, "compiled: X") for each in (X, target))
        line = self.lines_for(X, target)
        self.last = line, X, target
        return line.forward(X, target)  # type: ignore[no-any-return]

    def lines_for(self, X: Array, target: Array) -> Any:
        """The lines for a batch of this shape."""
        model, seen = self.model, self.seen
        if seen is not None:  # a look that is faster than a dict
            line, X_shape, X_dtype, shape, dtype, options, Phi = seen
            same = X.shape == X_shape and target.shape == shape and X.dtype is X_dtype and target.dtype is dtype
            if same and model.Phi is Phi and self.options() == options:
                return line
        if self.Phi is not model.Phi:  # it joined a model, or changed its dtype
            self.lines.clear()
            self.by_numba.clear()
            self.Phi, self.options = model.Phi, options_of(model, self.loss)
        key = X.shape, X.dtype, target.shape, target.dtype, self.options()
        if key not in self.lines:
            if len(self.lines) == MOST_LINES:
                self.lines.clear()
                self.by_numba.clear()
            self.lines[key] = self._made(X, target)
        self.seen = (self.lines[key], *key, model.Phi)
        return self.lines[key]

    def backward(self) -> None:
        """Store the gradients of the last forward."""
        line, X, target = self.last
        line.backward(X, target)

    def outputs(self) -> tuple[Array, float]:
        """The output of the model in the last forward, and the ``count`` of the loss."""
        line, _, _ = self.last
        Y, count = line.outputs
        return Y.copy(), float(count)

    def _made(self, X: Array, target: Array) -> Any:
        """The lines for batches of this shape."""
        if Kernel.make is not numpy_function:
            key = X.shape[1:], target.shape[1:], X.dtype, target.dtype, self.options()
            if key not in self.by_numba:
                self.by_numba[key] = self._by_numba(X, target)
            if (by_numba := self.by_numba[key]) is not None:
                return by_numba
        if target.size >= SUMMED_WHOLE:  # a tiny network is what the lines are for
            return _ByLayers
        log = CallLog(ANY_ROWS, whole_kernels=True)
        try:
            refuse_counters(self.model, self.loss)
            run = LoggedRun(self.model, self.loss, X, target, training=None, log=log)
            outputs = run.Y.node, _node(run.count)
            line = StraightLine(log, run.L.node, outputs, run.inputs, run.arrays | run.generators)
        except Exception as error:
            model, loss = deepcopy((self.model, self.loss))
            loss.forward(model.forward(X), target)  # raises, where the batch is what is wrong
            place = getattr(error, "place", "") or f"{self.model.one_line()} with {self.loss.one_line()}"
            what = error if isinstance(error, UnwritableError) else f"calls that cannot be logged ({error})"
            raise UnwritableError(
                f"compiled: {place}: what it computes cannot be written as lines of NumPy: {what}; train the layers "
                "themselves, without compile"
            ) from error
        self._check(line, X, target, exact=Kernel.make is numpy_function)
        return line

    def _by_numba(self, X: Array, target: Array) -> Any:
        """The lines compiled by Numba, for any number of rows; None if they cannot be."""
        from nnlite.training.numba_lines import NumbaLines

        rows, Phi = example_rows(self.model), self.model.Phi
        log = CallLog(rows, whole_kernels=True)
        example = np.resize(X, (rows, *X.shape[1:])), np.resize(target, (rows, *target.shape[1:]))
        try:
            refuse_counters(self.model, self.loss)
            run = LoggedRun(self.model, self.loss, *example, training=None, log=log)
            places = {}
            for name, P in run.parameters.items():
                start = (P.__array_interface__["data"][0] - Phi.__array_interface__["data"][0]) // Phi.itemsize
                places[name] = slice(start, start + P.size), P.shape
            outputs = run.Y.node, _node(run.count)
            lines = NumbaLines(log, run.L.node, outputs, run.inputs, places, Phi, self.model.dPhi)
            self._check(lines, X, target, exact=False)
        except Exception:  # NumPy's lines do for these, or say what is wrong
            return None
        return lines

    def _check(self, line: Any, X: Array, target: Array, exact: bool) -> None:
        """Compare the lines with the layers, to the last bit or to rounding; only gradients are changed.

        Raises:
            UnwritableError: they differ.
        """
        generators = [generator for _, generator in self.model.named_generators()]
        buffers = [(buffer, buffer.copy()) for _, buffer in self.model.named_buffers()]
        states = [generator.bit_generator.state for generator in generators]
        model, loss = deepcopy((self.model, self.loss))
        expected = loss.forward(model.forward(X), target)
        model.backward(loss.backward())
        J = line.forward(X, target)
        line.backward(X, target)
        for buffer, before in buffers:
            buffer[...] = before
        for generator, state in zip(generators, states, strict=True):
            generator.bit_generator.state = state
        pairs, same = ((J, expected), (self.model.dPhi, model.dPhi)), np.array_equal if exact else _close
        if J is None or not all(same(found, known, equal_nan=True) for found, known in pairs):
            raise UnwritableError(
                f"compiled: {self.model.one_line()} with {loss.one_line()}: the lines differ from the layers"
            )


class _ByLayers:
    """The lines for large batches, whose losses the layers sum in blocks: none."""

    @staticmethod
    def forward(X: Array, target: Array) -> None:
        """None: the layers run."""

    both = forward


def _node(count: Any) -> Any:
    return count.node if isinstance(count, LoggedArray) else count


def _close(found: Any, expected: Any, equal_nan: bool) -> bool:
    """Whether they are equal up to the rounding of sums of float32."""
    size = np.max(np.abs(expected), initial=0)
    return np.allclose(found, expected, rtol=1e-4, atol=1e-4 * size, equal_nan=equal_nan)


class Compiled:
    """A training step in straight-line NumPy; see :func:`compile`.

    Calling it with a batch makes a step, and returns the loss.
    """

    def __init__(self, model: Layer, loss: Layer, optimizer: Optimizer) -> None:
        self.passes, self.optimizer = Passes(model, loss), optimizer

    def __call__(self, X: Any, target: Any) -> float:
        if not type(X) is type(target) is np.ndarray:
            X, target = as_array(X, "compiled: X"), as_array(target, "compiled: target")
        passes = self.passes
        J = passes.lines_for(X, target).both(X, target)
        by_layers = J is None
        if by_layers:
            J = float(passes.loss.forward(passes.model.forward(X), target))
        if not math.isfinite(J):
            raise DivergenceError(f"compiled: the loss is {J}; the step was not made: the parameters are as before")
        if by_layers:
            passes.model.backward(passes.loss.backward())
        self.optimizer.step()
        return J  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"compile({self.passes.model.one_line()}, {self.passes.loss.one_line()}, {self.optimizer!r})"


def compile(model: Layer, loss: Loss, optimizer: Optimizer) -> Compiled:
    """Return the training step of a tiny network as one call, which takes half the time of the layers' own.

    The lines are those of :func:`nnlite.to_numpy`, with results in arrays that are made once for each shape of a batch;
    also the last bits are those of the layers. The step works on the model's own parameters, gradients, buffers and
    random generators, and calls the optimizer, so that both can be used, saved and changed in between, also options and
    modes of single layers; layers cache nothing. What the layers check of values, and where they then compute something
    else or raise an error, they do themselves for such a batch. :func:`nnlite.fit` has an option ``compiled``.

    After ``nn.set_kernels("numba")`` Numba compiles the lines, in some seconds, to one function that is cached as
    kernels are; the step then takes half the time again, and its results may differ by rounding. Where it cannot, as
    with random numbers, buffers, cross-entropy or float64, the lines are NumPy's.

    Args:
        model: a model with one input and one output.
        loss: its loss.
        optimizer: what moves parameters of it.

    Returns:
        A function of a batch, ``step(X, target)``, that returns the loss.

    Raises:
        TypeError: ``model`` is not a Layer, ``loss`` not a Loss, or ``optimizer`` not an optimizer of parameters of the
            model; or, of the step, layers do what cannot be written as NumPy calls.
        ValueError: the loss has reduction "none".
        DivergenceError: of the step, the loss is not finite; the parameters are then as before.

    >>> import numpy as np, nnlite as nn
    >>> model = nn.Sequential(nn.Linear(2, 8, rng=0), nn.Tanh(), nn.Linear(8, 1, rng=1))
    >>> step = nn.compile(model, nn.MSELoss(), nn.SGD(model, lr=0.1))
    >>> X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    >>> losses = [step(X, X[:, :1] * X[:, 1:]) for _ in range(500)]
    >>> losses[-1] < 0.01 * losses[0]
    True
    """
    check_layer(model, "model")
    check_loss(loss)
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"compile: optimizer: expected one such as SGD(model, lr=0.1), got {optimizer!r}")
    compiled = Compiled(model, loss, optimizer)
    if not any(np.may_share_memory(optimizer.layer.Phi, each.Phi) for each in (model, loss)):
        raise TypeError(f"compile: optimizer: expected one of this model or of parts of it, got {optimizer!r}")
    return compiled
