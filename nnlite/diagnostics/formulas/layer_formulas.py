"""The formulas of a layer, from its attribute ``formulas``, with its options substituted."""

import ast
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from inspect import signature, unwrap
from itertools import zip_longest
from types import FunctionType, MethodType
from typing import Any

from nnlite.containers.argument_names import argument_names
from nnlite.diagnostics.formulas.functions import function_named
from nnlite.diagnostics.formulas.substitution import COUNT, Attributes, Options, Substitution
from nnlite.diagnostics.formulas.tree import Formula, parse
from nnlite.layer.layer import Layer


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


def formulas_of(layer: Layer, inputs: int | None = None, omitted: Collection[int] = ()) -> Formulas:
    """Return a layer's formulas with its options substituted.

    A name whose value is None, such as ``b`` in a Linear without bias, is dropped from its sum, product or call;
    ``A if reduction == "sum" else B`` becomes one of the two; the name of a number becomes the number. Where forward
    takes any number of inputs, ``X, *more``, these are called X2, X3 ... in place of ``more``.

    Args:
        layer: any Layer. Those of a layer made by :func:`nnlite.tied` are those of the layer that it is tied to.
        inputs: the number of inputs; by default those that its forward names.
        omitted: the positions of those that are None; further arguments of forward whose default is None count as None.

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
    source = layer if layer.formulas or layer.original is None else layer.original
    owner = type(source).__name__
    if not isinstance(source.formulas, str):
        raise TypeError(f"{owner}: formulas: expected a string of lines such as 'Y = X * gamma', got {source.formulas}")
    lines: Sequence[Formula] = parse(source.formulas, owner)
    names, more = argument_names(MethodType(type(source).forward, source), "X", inputs)
    stem = "dJ" if "Y" in names else "dY"  # for a backward without arguments, such as that of a loss
    outputs, several = argument_names(MethodType(type(source).backward, source), stem, layer.num_outputs)
    if several:
        outputs = [name.removeprefix("d") for name in outputs]
    else:
        lines, outputs = _with_gradients_named(lines, outputs, names)
    lists = more | {name.removeprefix("d"): [each.removeprefix("d") for each in Ys] for name, Ys in several.items()}
    parameters = [name for name in _parameter_names(layer) if getattr(source, name, 0) is not None]
    optional = [each.name for each in signature(type(source).forward).parameters.values() if each.default is None]
    none = {*(names[place] for place in omitted), *(name for name in optional if name not in names)}
    options = Options(layer, {*names, *outputs, *(line.name for line in lines)}, lists, none)
    lines = [each for line in lines for each in _with_options(options, line, owner)]
    gradients = {"d" + name for name in (*names, *outputs, *parameters)}
    _check_names(lines, {*names, *outputs, *parameters, *gradients}, source, layer)
    first = next((i for i, line in enumerate(lines) if gradients & {line.name, *line.names}), len(lines))
    missing = [name for name in outputs if name not in {line.name for line in lines[:first]}]
    if first and missing:
        raise ValueError(f"{owner}: formulas: no line defines {' or '.join(missing)}, whose gradient backward takes")
    return Formulas(tuple(names), tuple(outputs), tuple(parameters), tuple(lines[:first]), tuple(lines[first:]))


def one_formula(layer: Layer, text: str, formulas: Formulas) -> Formula:
    """Return one more formula of a layer, in the names of its others, with its options substituted."""
    (line,) = parse(text, type(layer).__name__)
    names = {*formulas.inputs, *formulas.outputs, *(each.name for each in formulas.forward)}
    (line,) = _with_options(Options(layer, names, {}), line, type(layer).__name__)
    return line


def _with_options(options: Options, line: Formula, owner: str) -> list[Formula]:
    try:
        return options.put_into(line)
    except ValueError as error:
        raise ValueError(f"{owner}: {line.written}: {error}") from None


def _with_gradients_named(
    lines: Sequence[Formula], arguments: list[str], inputs: list[str]
) -> tuple[list[Formula], list[str]]:
    """Return the lines and the names of the outputs: Y for backward's argument dY.

    Where the argument is called ``grad``, for example, the last lines before it is used define the outputs, and it is
    renamed to dY.
    """
    used = {name for line in lines for name in (line.name, *line.names)}
    ends = {"d" + name for name in inputs}
    uses = (i for i, line in enumerate(lines) if line.name in ends or line.names & set(arguments))
    before = [line.name for line in lines[: next(uses, len(lines))]][-len(arguments) :]
    outputs, renamed = [], {}
    for argument, last in zip_longest(arguments, before[: len(arguments)]):
        name = argument.removeprefix("d")
        if last is None or (name != argument and name in used):
            outputs.append(name)
        else:
            outputs.append(last)
            renamed[argument] = [ast.Name("d" + last, ast.Load())]
    new = Substitution(renamed)
    return [Formula(line.name, new.parts(line.expression)[0], line.written) for line in lines], outputs


def _parameter_names(layer: Layer) -> tuple[str, ...]:
    """Return the names of the layer's parameters and of those of the layer that it is tied to."""
    own = layer._parameters
    theirs = () if layer.original is None else layer.original._parameters
    return (*own, *(name for name in theirs if name not in own))


def _check_names(lines: Sequence[Formula], known: set[str], owner: Layer, layer: Layer) -> None:
    """Raise a ValueError unless each name is known, defined by a line, a function, or an attribute.

    An attribute that forward assigns may not exist yet; it is enough that a method of the class uses its name.
    """
    name_of_owner, attributes = type(owner).__name__, Attributes(layer)
    known = {*known, COUNT, "pi", *(line.name for line in lines)}
    used = _names_in_methods(type(owner)) | _names_in_methods(type(layer))  # type: ignore[arg-type]
    for line in lines:
        for name in sorted((line.names | line.called) - known):
            if not ((name in line.called and function_named(name)) or name in used or name in attributes):
                raise ValueError(f"{name_of_owner}: {line.written}: {_cure(name, known)}")


def _cure(name: str, known: Iterable[str]) -> str:
    if name == "self":
        return "write attributes in a formula without self, gamma for self.gamma"
    close = get_close_matches(name, sorted(known), n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known names are {', '.join(sorted(known))}"
    return f"{name!r} is not an argument, parameter, attribute or function, and no line defines it; {hint}"


@cache
def _names_in_methods(cls: Any) -> set[str]:
    """Return the names of attributes that the methods of a class use, and of its properties."""
    own = [base for base in cls.__mro__ if not issubclass(Layer, base)]
    methods = [unwrap(each) for base in own for each in vars(base).values() if callable(each)]
    properties = {name for base in own for name, each in vars(base).items() if isinstance(each, property)}
    return properties.union(*(each.__code__.co_names for each in methods if isinstance(each, FunctionType)))
