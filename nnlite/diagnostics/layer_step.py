"""Step: one layer's forward or backward, or one sum of gradients."""

import textwrap
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.containers.argument_names import input_names_of
from nnlite.diagnostics.array_text import array_range, array_text
from nnlite.diagnostics.formulas.layer_formulas import formulas_of
from nnlite.layer.layer import Layer

WIDTH = 80  # columns of a terminal


@dataclass(frozen=True, eq=False)
class Step:
    """One layer's forward or backward, or one sum of gradients.

    The arrays are the model's own, not copies: a later step or a later forward may change them.

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
        if self.own_formulas:
            return self.own_formulas
        if self.name == "forward":
            return tuple(map(str, formulas_of(self.layer, len(self.inputs)).forward))
        formulas = formulas_of(self.layer, max(len(self.outputs), len(input_names_of(self.layer))))
        left_out = {"d" + name for name in formulas.inputs} - self.outputs.keys()
        return tuple([str(line) for line in formulas.backward if line.name not in left_out])

    @property
    def arrays(self) -> dict[str, Any]:
        """All arrays by name: inputs, outputs and parameter gradients."""
        return self.inputs | self.outputs | self.gradients

    def __str__(self) -> str:
        lines = [self._title()]
        for formula in self.formulas:
            lines += textwrap.wrap(
                formula, WIDTH, initial_indent="  ", subsequent_indent=" " * 6, break_long_words=False
            )
        shapes = {name: str(np.shape(A)) for name, A in self.arrays.items()}
        widths = max(map(len, shapes), default=0), max(map(len, shapes.values()), default=0)
        for name, A in self.arrays.items():
            start = f"  {name:<{widths[0]}}  {shapes[name]:<{widths[1]}}  "
            with np.printoptions(linewidth=WIDTH - len(start)):
                values = array_text(A) or array_range(A)
            lines.append(start + values.replace("\n", "\n" + " " * len(start)))
        return "\n".join(line.rstrip() for line in lines)

    __repr__ = __str__

    def _repr_markdown_(self) -> str:
        """Return the step as Markdown with a table, for notebooks."""
        lines = [f"**{_escaped(self._title())}**", "", *(f"`{formula}`  " for formula in self.formulas), ""]
        lines += ["| | shape | |", "|---|---|---|"]
        for name, A in self.arrays.items():
            values = (array_text(A) or array_range(A)).replace("\n", "")
            lines.append(f"| `{name}` | {np.shape(A)} | {_escaped(values)} |")
        return "\n".join(lines)

    def _title(self) -> str:
        of = "" if self.name == "sum" else self.layer.one_line()
        return f"{self.name:<8}  {self.path}{'  ' if self.path and of else ''}{of}"


def sum_step(container: Layer, path: str, terms: dict[str, Any], total: Any) -> Step:
    """Return the step in which the container sums the gradients of what is at ``path``.

    >>> import nnlite as nn
    >>> sum_step(nn.Tanh(), "b", {"0.dY": 2.0, "1.dX": 3.0}, 5.0).formulas
    ('db = 0.dY + 1.dX',)
    """
    name = gradient_name(path)
    return Step("sum", path, container, terms, {name: total}, own_formulas=(f"{name} = {' + '.join(terms)}",))


def gradient_name(path: str) -> str:
    """Return the name of the gradient of what is called ``path``.

    >>> gradient_name("W"), gradient_name("0.W")
    ('dW', '0.dW')
    """
    before, dot, name = path.rpartition(".")
    return f"{before}{dot}d{name}"


def _escaped(line: str) -> str:
    return line.replace("|", "\\|").replace("*", "\\*")
