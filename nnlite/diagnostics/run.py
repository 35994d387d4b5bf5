"""Run: a model's forward and backward on copies of everything, with what every layer received and returned."""

import copy
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from nnlite.basics.arrays import as_array
from nnlite.basics.trees import each_of, listed, spread
from nnlite.containers.argument_names import by_position
from nnlite.containers.checkpointed import Checkpointed
from nnlite.containers.program import Operation, Program
from nnlite.diagnostics.places import all_finite
from nnlite.diagnostics.recording import LayerCall, Recording
from nnlite.layer.described import with_gradient
from nnlite.layer.layer import Layer, check_layer
from nnlite.losses.loss_arguments import arguments_of
from nnlite.losses.per_output import check_target


class Run:
    """A copy of a model, and of a loss behind it, whose forward and backward are recorded.

    This is the one place where tools run a model: the caller's model and arrays stay as they are, the generators too.

    Args:
        model: any Layer.
        loss: a loss behind it. Without one, a model that is run with a target is itself a loss.
        evaluation: whether to run in evaluation mode; by default in the model's own.
        careful: see :class:`nnlite.diagnostics.recording.Recording`.

    Attributes:
        model: the copy.
        loss: the copy.
        recording: the calls.
        Y: the model's output; None before.
        dX: what its backward returned.

    >>> import nnlite as nn
    >>> run = Run(nn.Sequential(nn.Tanh()), nn.MSELoss())
    >>> run.forward(np.zeros(2), np.ones(2))
    1.0
    >>> run.backward()
    >>> [(call.path, call.dX) for call in run.recording.backwards]
    [('loss', array([-1., -1.])), ('0', array([-1., -1.])), ('', array([-1., -1.]))]
    """

    def __init__(
        self, model: Layer, loss: Layer | None = None, *, evaluation: bool = False, careful: bool = False
    ) -> None:
        check_layer(model, "model")
        self._originals = model, loss
        self.model, self.loss = copy.deepcopy((model, loss))  # together: a loss may hold the model
        for _, part in self.model.named_layers():
            if isinstance(part, Checkpointed):
                part.keeps_cache = True
        if evaluation:
            self.model.eval()
        self.recording = Recording(careful)
        self.Y: Any = None
        self._inputs: Any = None

    def forward(self, X: Any, target: Any = None) -> Any:
        """Run the model, and the loss if there is one; returns the model's output, or the loss.

        Raises:
            TypeError: forward returned None, or an array does not hold real numbers.
            ValueError: there is a loss and no target.
        """
        check_target(self.loss, target)
        X, target = _copies(X, "X"), _copies(target, "target")
        self._inputs = X if target is None or self.loss is not None else tuple(arguments_of(self.model, X, target))
        with self.recording.of(self.model, self.loss, self._originals):
            self.Y = spread(self.model.forward, self._inputs)
            if self.Y is None:
                raise TypeError(f"{self.model.one_line()}: forward returned None; did it forget to return Y?")
            return self.Y if self.loss is None else self.loss.forward(*arguments_of(self.loss, self.Y, target))

    def backward(self, dY: Any = None) -> None:
        """Run the backward of the loss, if there is one, and that of the model, from dY if there is none."""
        with self.recording.of(self.model, self.loss, self._originals):
            if self.loss is not None:
                dY = self.loss.backward()
            self.dX = self.model.backward() if dY is None else spread(self.model.backward, _copies(dY, "dY"))

    # ------------------------------------------------------------------------------------- as a program

    @cached_property
    def program(self) -> Program:
        """The operations of the model and the loss."""
        count = len(self.inputs) if isinstance(self._inputs, tuple | dict) else None
        left_out = [place for place, X in enumerate(self.inputs) if X is None]
        return Program.of(self.model, self.loss, inputs=count, left_out=left_out)

    @cached_property
    def inputs(self) -> list[Any]:
        """The inputs in the order of the model's forward; None for one that is left out before others."""
        if not isinstance(self._inputs, dict):
            return listed(self._inputs)
        return list(by_position(self.model, (), self._inputs))

    @property
    def input_edges(self) -> dict[int, int]:
        """The edge of each input that is given, by its position."""
        places = [place for place, X in enumerate(self.inputs) if X is not None]
        return dict(zip(places, self.program.inputs, strict=False))

    @cached_property
    def values(self) -> dict[int, Any]:
        """The array on each edge of the program."""
        values: dict[int, Any] = dict(self.program.constants)
        values |= {edge: self.inputs[place] for place, edge in self.input_edges.items()}
        for operation in self.program.operations:
            call = self.call(operation)
            if operation.computes is operation.layer:
                values |= zip(operation.takes, call.inputs.values(), strict=True)
            values |= zip(operation.gives, listed(call.Y), strict=True)
        outputs = listed(self.Y if self.loss is None else self.recording.last("loss").Y)
        return values | dict(zip(self.program.outputs, outputs, strict=True))

    def call(self, operation: Operation) -> LayerCall:
        """The call of an operation's layer."""
        return self.recording.last(operation.path)

    @cached_property
    def gradients(self) -> dict[int, Any]:
        """The gradient of the value on each edge, the sum over its uses, where backward computed one."""
        gradients: dict[int, Any] = {}
        for operation in self.program.operations:
            call = self.call(operation)
            if call.dYs is not None:
                gradients |= zip(operation.gives, listed(call.dY), strict=False)
        if not self.recording.backwards:
            return gradients
        edges = [self.input_edges[place] for place in with_gradient(self.model, self.inputs)]
        return gradients | dict(zip(edges, listed(self.dX), strict=False))

    @property
    def dYs(self) -> list[Any]:
        """The gradient of each output that backward started from."""
        return listed(self.recording.last("loss").dY if self.loss is not None else self.recording.last("").dY)

    def gradients_of_inputs(self, operation: Operation) -> dict[int, Any]:
        """The gradient of each input of an operation that has one, by its position; empty if backward skipped it."""
        call, layer = self.call(operation), operation.computes
        if call.dYs is None:
            return {}
        dX = call.dX
        if layer is not operation.layer:  # a part of a container's own backward
            layer = copy.deepcopy(layer)
            layer.forward(*[self.values[edge] for edge in operation.takes])
            dX = layer.backward(*call.dYs)
        dXs = [] if dX is None else listed(dX)
        return dict(zip(with_gradient(layer, [self.values[edge] for edge in operation.takes]), dXs, strict=False))


def _copies(values: Any, name: str) -> Any:
    """Copies of the arrays, since a layer may write into its input."""
    return None if values is None else each_of(lambda A: np.array(as_array(A, name)), values)


def output_not_finite(model: Layer, X: Any) -> str | None:
    """A sentence that names the first layer whose output is not finite; None if all outputs are finite.

    >>> import nnlite as nn
    >>> output_not_finite(nn.Sequential(nn.Negative(), nn.Exp()), np.array([-1e9]))
    'Sequential[1] Exp() is the first layer whose output is not finite'
    """
    run = Run(model, evaluation=True)
    with np.errstate(all="ignore"):
        run.forward(X)
    wrong = next((call for call in run.recording.forwards if not all_finite(call.Y)), None)
    return f"{wrong.place} is the first layer whose output is not finite" if wrong else None


def restorer(*layers: Layer) -> Callable[[], None]:
    """A function that puts every generator and buffer in the layers back to its present state.

    >>> import numpy as np
    >>> class Noise(Layer, buffers=("forwards",)):
    ...     def __init__(self, rng):
    ...         self.rng, self.forwards = np.random.default_rng(rng), 0
    ...     def forward(self, X):
    ...         self.forwards += 1
    ...         return X + self.rng.normal(size=X.shape)
    >>> layer = Noise(0)
    >>> restore = restorer(layer)
    >>> Y = layer.forward(np.zeros(2))
    >>> restore()
    >>> np.array_equal(layer.forward(np.zeros(2)), Y), int(layer.forwards)
    (True, 1)
    """
    originals = [part.original for layer in layers for _, part in layer.named_layers() if part.original is not None]
    used = [*layers, *originals]  # a tied layer uses the state of another one, which may be outside
    generators = [generator for layer in used for _, generator in layer.named_generators()]
    states = [(generator.bit_generator, generator.bit_generator.state) for generator in generators]
    buffers = [(buffer, buffer.copy()) for layer in used for _, buffer in layer.named_buffers()]

    def restore() -> None:
        for bit_generator, state in states:
            bit_generator.state = state
        for buffer, before in buffers:
            buffer[...] = before

    return restore
