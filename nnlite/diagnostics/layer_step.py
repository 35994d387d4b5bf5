"""Step: what one layer did."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.diagnostics.argument_names import input_names_of
from nnlite.diagnostics.array_text import array_range, array_text
from nnlite.diagnostics.formulas.layer_formulas import formulas_of
from nnlite.layer.layer import Layer


@dataclass(frozen=True, eq=False)
class Step:
    """What one layer did, or one sum of gradients.

    The arrays are those of the model itself and no copies: a later step, or a later forward, may change them.

    Attributes:
        name: "forward", "backward" or "sum".
        path: the layer's; of a sum what the gradients are of: an input, a layer's output, or a parameter.
        layer: the layer; of a sum the container that adds.
        inputs: what came in, by name: X, or dY; of a sum its terms, by the layers that gave them.
        outputs: what went out, by name: Y, or dX; of a sum that one.
        gradients: what backward stored, dW and db, by name.
        said: what was computed, where the layer's own formulas do not say it.

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
    said: tuple[str, ...] = ()

    @property
    def formulas(self) -> tuple[str, ...]:
        """What was computed, a line for each; none for a layer that does not say.

        Raises:
            ValueError: the layer's formulas cannot be understood.
        """
        if self.said:
            return self.said
        if self.name == "forward":
            return tuple(map(str, formulas_of(self.layer, len(self.inputs)).forward))
        formulas = formulas_of(self.layer, max(len(self.outputs), len(input_names_of(self.layer))))
        left_out = {"d" + name for name in formulas.inputs} - self.outputs.keys()
        return tuple([str(line) for line in formulas.backward if line.name not in left_out])

    @property
    def arrays(self) -> dict[str, Any]:
        """All the arrays by name: what came in, what went out, what was stored."""
        return self.inputs | self.outputs | self.gradients

    def __str__(self) -> str:
        lines = [self._title(), *(f"  {formula}" for formula in self.formulas)]
        shapes = {name: str(np.shape(A)) for name, A in self.arrays.items()}
        widths = max(map(len, shapes), default=0), max(map(len, shapes.values()), default=0)
        for name, A in self.arrays.items():
            start = f"  {name:<{widths[0]}}  {shapes[name]:<{widths[1]}}  "
            lines.append(start + (array_text(A) or array_range(A)).replace("\n", "\n" + " " * len(start)))
        return "\n".join(line.rstrip() for line in lines)

    __repr__ = __str__

    def _repr_markdown_(self) -> str:
        """The same as a table, for notebooks."""
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
    """The step in which the container sums the gradients of what is at ``path``.

    >>> import nnlite as nn
    >>> sum_step(nn.Tanh(), "b", {"0.dY": 2.0, "1.dX": 3.0}, 5.0).formulas
    ('db = 0.dY + 1.dX',)
    """
    name = gradient_name(path)
    return Step("sum", path, container, terms, {name: total}, said=(f"{name} = {' + '.join(terms)}",))


def gradient_name(path: str) -> str:
    """What the gradient of something is called.

    >>> gradient_name("W"), gradient_name("0.W")
    ('dW', '0.dW')
    """
    before, dot, name = path.rpartition(".")
    return f"{before}{dot}d{name}"


def stored_gradients(layer: Layer) -> dict[str, Array]:
    """The gradients of the layer's parameters; of a tied layer those that it will add to the other's.

    >>> import nnlite as nn
    >>> list(stored_gradients(nn.Linear(2, 1)))
    ['dW', 'db']
    """
    gradients = dict(layer.named_gradients())
    if layer.original is not None:
        names = {id(dP): name for name, dP in layer.original.named_gradients()}
        gradients |= {names[id(dP)]: own for dP, own in layer.own_gradients() if id(dP) in names}
    return {gradient_name(name): dP for name, dP in gradients.items()}


def _escaped(line: str) -> str:
    return line.replace("|", "\\|").replace("*", "\\*")
