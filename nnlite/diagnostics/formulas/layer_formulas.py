"""The formulas of a layer, from its attribute ``formulas``, with its options substituted."""

import ast
from dataclasses import dataclass
from itertools import zip_longest
from types import MethodType

from nnlite.containers.argument_names import argument_names, is_plain
from nnlite.containers.branches import Residual
from nnlite.diagnostics.formulas.options import Options
from nnlite.diagnostics.formulas.parse import Formula, names_in, parse, with_names
from nnlite.diagnostics.formulas.unknown_names import check_formula_names
from nnlite.layer.layer import Layer
from nnlite.layers.arithmetic import Add


@dataclass(frozen=True)
class Formulas:
    """The formulas of a layer.

    Attributes:
        inputs: the names of the inputs, in the order of its forward.
        outputs: the names of the outputs.
        parameters: the names of its parameters that have a value.
        forward: the formulas before those of gradients.
        backward: the others, in the order of backward. The gradient of ``X`` is called ``dX``.

    >>> import nnlite as nn
    >>> print(formulas_of(nn.Tanh()))
    Y = tanh(X)
    dX = dY * (1 - Y * Y)
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    parameters: tuple[str, ...]
    forward: tuple[Formula, ...]
    backward: tuple[Formula, ...]

    def __str__(self) -> str:
        return "\n".join(map(str, (*self.forward, *self.backward)))

    def of(self, name: str) -> ast.expr | None:
        """Return the right side of the last formula for ``name``; None if there is none.

        >>> import nnlite as nn
        >>> ast.unparse(formulas_of(nn.Exp()).of("dX"))
        'dY * Y'
        """
        lines = (*reversed(self.backward), *reversed(self.forward))
        return next((line.expression for line in lines if line.name == name), None)


def formulas_of(layer: Layer, inputs: int | None = None) -> Formulas:
    """Return a layer's formulas with its options substituted.

    A name whose value is None, such as ``b`` in a Linear without bias, is dropped from its sum, product or call;
    ``A if reduction == "sum" else B`` becomes one of the two; the name of a number becomes the number. Where forward
    takes any number of inputs, ``X, *more``, these are called X2, X3 ... in place of ``more``.

    Args:
        layer: any Layer. Those of a layer made by :func:`nnlite.tied` are those of the layer that it is tied to, those
            of a :class:`nnlite.Residual` those of the sum at its end.
        inputs: the number of inputs; by default those that its forward names.

    Returns:
        The formulas; empty for a layer that has none.

    Raises:
        TypeError: ``formulas`` is not a string.
        ValueError: a line is not a valid formula; the message names the class and the line.

    >>> import nnlite as nn
    >>> print(formulas_of(nn.Add(), 3))
    Z = X + Y + X3
    dX = sum_to(dZ, X)
    dY = sum_to(dZ, Y)
    dX3 = sum_to(dZ, X3)
    """
    if is_plain(layer, Residual):
        layer = Add()
    source = layer if layer.formulas or layer.original is None else layer.original
    owner = type(source).__name__
    lines = parse(source.formulas, owner)
    names, more = argument_names(MethodType(type(source).forward, source), "X", inputs)
    stem = "dJ" if "Y" in names else "dY"  # for a backward without arguments, such as that of a loss
    outputs, several = argument_names(MethodType(type(source).backward, source), stem, layer.num_outputs)
    if several:
        outputs = [name.removeprefix("d") for name in outputs]
    else:
        lines, outputs = _with_gradients_named(lines, outputs, names)
    lists = more | {name.removeprefix("d"): [each.removeprefix("d") for each in Ys] for name, Ys in several.items()}
    parameters = [name for name in _parameter_names(layer) if getattr(source, name, 0) is not None]
    options = Options(layer, {*names, *outputs, *(line.name for line in lines)}, lists)
    lines = [each for line in lines for each in _with_options(options, line, owner)]
    gradients = {"d" + name for name in (*names, *outputs, *parameters)}
    check_formula_names(lines, {*names, *outputs, *parameters, *gradients}, source, layer)
    first = next((i for i, line in enumerate(lines) if gradients & {line.name, *names_in(line.expression)}), len(lines))
    missing = [name for name in outputs if name not in {line.name for line in lines[:first]}]
    if first and missing:
        raise ValueError(f"{owner}: formulas: no line defines {' or '.join(missing)}, whose gradient backward takes")
    return Formulas(tuple(names), tuple(outputs), tuple(parameters), tuple(lines[:first]), tuple(lines[first:]))


def _with_options(options: Options, line: Formula, owner: str) -> list[Formula]:
    try:
        return options.put_into(line)
    except ValueError as error:
        raise ValueError(f"{owner}: {line.written}: {error}") from None


def _with_gradients_named(
    lines: list[Formula], arguments: list[str], inputs: list[str]
) -> tuple[list[Formula], list[str]]:
    """Return the lines and the names of the outputs: Y for backward's argument dY.

    Where the argument is called ``grad``, for example, the last lines before it is used define the outputs, and it is
    renamed to dY.
    """
    used = {name for line in lines for name in (line.name, *names_in(line.expression))}
    ends = {"d" + name for name in inputs}
    uses = (i for i, line in enumerate(lines) if line.name in ends or names_in(line.expression) & set(arguments))
    before = [line.name for line in lines[: next(uses, len(lines))]][-len(arguments) :]
    outputs, renamed = [], {}
    for argument, last in zip_longest(arguments, before[: len(arguments)]):
        name = argument.removeprefix("d")
        if last is None or (name != argument and name in used):
            outputs.append(name)
        else:
            outputs.append(last)
            renamed[argument] = "d" + last
    return [Formula(line.name, with_names(line.expression, renamed), line.written) for line in lines], outputs


def _parameter_names(layer: Layer) -> tuple[str, ...]:
    """Return the names of the layer's parameters and of those of the layer that it is tied to."""
    own = layer._parameters
    theirs = () if layer.original is None else layer.original._parameters
    return (*own, *(name for name in theirs if name not in own))
