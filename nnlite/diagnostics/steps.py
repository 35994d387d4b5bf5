"""forward_steps and backward_steps: a model's forward and backward, one layer at a time."""

import html
import textwrap
from collections.abc import Generator
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array, as_array
from nnlite.basics.trees import each_of, spread
from nnlite.containers.argument_names import input_names_of
from nnlite.containers.stepping import Moves, backward_moves, forward_moves, gradient_name
from nnlite.diagnostics.array_text import array_range, array_text
from nnlite.diagnostics.formulas.layer_formulas import formulas_of
from nnlite.diagnostics.formulas.notation import MEANINGS
from nnlite.diagnostics.formulas.tree import Formula
from nnlite.diagnostics.formulas.typeset import MathML
from nnlite.diagnostics.formulas.worked_step import Worked, worked
from nnlite.diagnostics.own_parameters import stored_gradients
from nnlite.layer.layer import Layer, check_layer
from nnlite.losses.loss import is_loss
from nnlite.losses.loss_arguments import arguments_of
from nnlite.losses.per_output import check_loss, check_target

WIDTH = 80  # columns of a terminal

Steps = Generator["Step", None, Any]


@dataclass(frozen=True, eq=False)
class Step:
    """One layer's forward or backward, or one sum of gradients.

    The arrays are the model's own, not copies: a later step or a later forward may change them. Their names are those
    of the layer's code: dX is what :func:`nnlite.explain` calls dL/dX.

    Attributes:
        name: "forward", "backward" or "sum".
        path: of the layer; for a sum, of the input, layer or parameter whose gradient it is.
        layer: the layer; for a sum, the container that adds.
        inputs: X or dY, by name; for a sum, its terms by the layers that returned them.
        outputs: Y or dX, by name; for a sum, the sum.
        gradients: the parameter gradients that backward stored, dW and db, by name.
        own_formulas: the formulas of the step, if they are not those of the layer.

    >>> import numpy as np, nnlite as nn
    >>> print(next(nn.forward_steps(nn.Tanh(), np.array([0.0, 1.0]))))
    forward   Tanh()
      Y = tanh(X)
          Y[1] = tanh(1) = 0.7616
      X  (2,)  [0. 1.]
      Y  (2,)  [0.     0.7616]
    """

    name: str
    path: str
    layer: Layer
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    gradients: dict[str, Array] = field(default_factory=dict)
    own_formulas: tuple[str, ...] = ()

    @property
    def formulas(self) -> tuple[str, ...]:
        """The formulas of the step; empty for a layer that has none.

        Raises:
            ValueError: the layer's formulas are not valid.
        """
        return self.own_formulas or tuple(map(str, self._lines))

    @cached_property
    def _lines(self) -> list[Formula]:
        if self.own_formulas:
            return []
        if self.name == "forward":
            return list(formulas_of(self.layer, len(self.inputs)).forward)
        formulas = formulas_of(self.layer, max(len(self.outputs), len(input_names_of(self.layer))))
        left_out = {"d" + name for name in formulas.inputs} - self.outputs.keys()
        return [line for line in formulas.backward if line.name not in left_out]

    @property
    def arrays(self) -> dict[str, Any]:
        """All arrays by name: inputs, outputs and parameter gradients."""
        return self.inputs | self.outputs | self.gradients

    def __str__(self) -> str:
        lines = [self._title()]
        shown = [(each.formula, each.entry) for each in self._worked] or [(each, "") for each in self.own_formulas]
        for text, indent in [cell for formula, entry in shown for cell in ((formula, 2), (entry, 6))]:
            lines += textwrap.wrap(
                text, WIDTH, initial_indent=" " * indent, subsequent_indent=" " * 6, break_long_words=False
            )
        arrays = self._shown()
        shapes = {name: str(np.shape(A)) for name, A in arrays.items()}
        widths = max(map(len, shapes), default=0), max(map(len, shapes.values()), default=0)
        for name, A in arrays.items():
            start = f"  {name:<{widths[0]}}  {shapes[name]:<{widths[1]}}  "
            with np.printoptions(linewidth=WIDTH - len(start)):
                values = array_text(A) or array_range(A)
            lines.append(start + values.replace("\n", "\n" + " " * len(start)))
        text = "\n".join(line.rstrip() for line in lines)
        notes = [textwrap.fill(note, WIDTH, initial_indent="  ") for note in self._notes(text, arrays)]
        return "\n".join([text, *notes])

    __repr__ = __str__

    def _notes(self, text: str, arrays: dict[str, Any]) -> list[str]:
        """Return what the names of functions in the text mean, and what ``explain`` calls what a loss compares."""
        called = {name for line in self._lines for name in line.called}
        notes = [f"{meaning}." for name, meaning in MEANINGS.items() if name in called and f"{name}(" in text]
        compared = is_loss(self.layer) and {"Y", "target"} <= arrays.keys()
        return [*notes, *["Y is y^, the target y, and the loss J is L in nn.explain."] * compared]

    @cached_property
    def _worked(self) -> list[Worked]:
        """The formulas with the arrays; what the layer stored as dW may be called otherwise in them."""
        stored = {gradient_name(name): dP for name, dP in self.gradients.items()}
        return list(worked(self._lines, self.arrays | self.inputs | self.outputs | stored, self.layer))

    def _shown(self) -> dict[str, Any]:
        """Return the arrays by name, those that the formulas use besides behind what the layer received."""
        besides = {name: A for each in self._worked for name, A in each.used.items()}
        arrays = self.inputs | besides | self.arrays
        return {name: A for name, A in arrays.items() if A is not None}  # not an argument that was left out

    def _repr_html_(self) -> str:
        """Return the step as HTML for notebooks: its formulas as MathML, and a table of the arrays."""
        arrays, math = self._shown(), MathML()
        parts = [f"<p><b>{html.escape(self._title())}</b></p>"]
        for line, _, _, entry in self._worked:
            formula = "<mo>=</mo>".join(map(math, line.sides))
            parts += [f"<p>{math.whole(formula)}</p>", f"<p><code>{html.escape(entry)}</code></p>" if entry else ""]
        parts += [f"<p><code>{html.escape(formula)}</code></p>" for formula in self.own_formulas]
        parts.append("<table>")
        for name, A in arrays.items():
            shown = html.escape(array_text(A) or array_range(A))
            parts.append(f"<tr><td>{html.escape(name)}</td><td>{np.shape(A)}</td><td><pre>{shown}</pre></td></tr>")
        notes = self._notes("\n".join(self.formulas), arrays)
        return "\n".join(filter(None, [*parts, "</table>", *(f"<p>{html.escape(note)}</p>" for note in notes)]))

    def _title(self) -> str:
        of = "" if self.name == "sum" else self.layer.one_line()
        return f"{self.name:<8}  {self.path}{'  ' if self.path and of else ''}{of}"


def forward_steps(model: Layer, X: Any, target: Any = None, loss: Layer | None = None) -> Steps:
    """Run a model forward, one layer per step.

    Each step runs when it is asked for. After the last one the model is bit-identical to one after
    ``model.forward(X)``, so backward or :func:`backward_steps` may follow; until then, backward is a StateError.
    Sequential, Graph and Residual run layer by layer, at any depth; any other layer is one step. Into the time steps of
    a recurrent layer go those of its :func:`nnlite.unrolled` graph.

    Args:
        model: any Layer; it runs in its current mode.
        X: the input; several as a tuple, or as a dict by name.
        target: the target of the loss.
        loss: a :class:`nnlite.Loss` behind the model. Without it, the model is itself a loss if there is a target.

    Yields:
        A :class:`Step` for each layer, after it ran. The generator returns the model's output.

    Raises:
        TypeError: ``model`` is not a Layer or ``loss`` not a Loss. Errors of a layer are raised at its step.
        ValueError: there is a loss and no target.

    >>> import numpy as np, nnlite as nn
    >>> model = nn.Sequential(nn.Linear(2, 3, rng=0), nn.Tanh())
    >>> for step in forward_steps(model, np.ones((1, 2))):
    ...     print(step.path, step.layer, {name: Y.shape for name, Y in step.outputs.items()})
    0 Linear(2 -> 3) {'Y': (1, 3)}
    1 Tanh() {'Y': (1, 3)}
    >>> model.backward(np.ones((1, 3))).shape
    (1, 2)
    """
    check_layer(model, "model")
    if loss is not None:
        check_loss(loss)
        check_target(loss, target)
    return _forward(model, _as_arrays(X, "X"), _as_arrays(target, "target"), loss)


def backward_steps(model: Layer, dY: Any = None, loss: Layer | None = None) -> Steps:
    """Run a model backward, one layer per step.

    Each step runs when it is asked for. The gradients are bit-identical to those of ``model.backward(dY)``; like that,
    it returns None if ``needs_dX`` is False. Where a value is used several times, the sum of its gradients is a step of
    its own; so are, at the end, the sums of tied gradients.

    Args:
        model: any Layer whose forward, or :func:`forward_steps`, has run.
        dY: the gradient of the output; several as a tuple, or as a dict by name. A model that is a loss or returns a
            single number needs none.
        loss: the loss behind the model, whose forward has run; backward then starts there.

    Yields:
        A :class:`Step` for each layer and each sum. The generator returns dX.

    Raises:
        TypeError: ``model`` is not a Layer or ``loss`` not a Loss. Errors of a layer are raised at its step.

    >>> import nnlite as nn
    >>> a, b = nn.Input("a"), nn.Input("b")
    >>> graph = nn.Graph([a, b], (a + b) * (b + 1))
    >>> J = graph.forward(2.0, 1.0)
    >>> for step in backward_steps(graph):
    ...     print(step.name, step.path, {name: float(dX) for name, dX in step.outputs.items()})
    backward 2 {'dX': 2.0, 'dY': 3.0}
    backward 1 {'dX': 3.0, 'dY': 3.0}
    backward 0 {'dX': 2.0, 'dY': 2.0}
    sum b {'db': 5.0}
    """
    check_layer(model, "model")
    if loss is not None:
        check_loss(loss)
        if dY is not None:
            raise TypeError("backward_steps: got both dY and loss, which computes dY; pass one of them")
    return _backward(model, _as_arrays(dY, "dY"), loss)


def _as_arrays(values: Any, name: str) -> Any:
    """Return lists of numbers as arrays, so that the steps hold what their formulas can be evaluated with."""
    return each_of(lambda each: as_array(each, name) if isinstance(each, list) else each, values)


def _forward(model: Layer, X: Any, target: Any, loss: Layer | None) -> Steps:
    inputs = X if target is None or loss is not None else tuple(arguments_of(model, X, target))
    Y = yield from _steps(spread(partial(forward_moves, model, ""), inputs))
    if loss is None:
        return Y
    return (yield from _steps(forward_moves(loss, "loss", *arguments_of(loss, Y, target))))


def _backward(model: Layer, dY: Any, loss: Layer | None) -> Steps:
    if loss is not None:
        dY = yield from _steps(backward_moves(loss, "loss"))
    if dY is None:
        return (yield from _steps(backward_moves(model, "")))
    return (yield from _steps(spread(partial(backward_moves, model, ""), dY)))


def _steps(moves: Moves) -> Steps:
    """A step for each move; return what the generator returns."""
    while True:
        try:
            name, path, layer, inputs, outputs, formulas = next(moves)
        except StopIteration as end:
            return end.value
        stored = name == "backward" and not formulas
        gradients = {gradient_name(each): dP for each, dP in stored_gradients(layer).items()} if stored else {}
        yield Step(name, path, layer, inputs, outputs, gradients, formulas)
