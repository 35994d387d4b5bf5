"""Names in a layer's formulas that nothing defines."""

import ast
import inspect
from collections.abc import Iterable
from difflib import get_close_matches
from types import FunctionType

from nnlite.diagnostics.formulas.functions import FUNCTIONS, NumPy
from nnlite.diagnostics.formulas.options import SYMBOLS, Attributes
from nnlite.diagnostics.formulas.parse import Formula, names_in
from nnlite.layer.layer import Layer


def check_formula_names(lines: list[Formula], known: set[str], owner: Layer, layer: Layer) -> None:
    """Raise unless each name is known, defined by a line, a function, or an attribute.

    An attribute that forward assigns may not exist yet; it is enough that a method of the class uses its name.

    Args:
        lines: the formulas, with the layer's options in them.
        known: the names of the layer's inputs, outputs and parameters, and of their gradients.
        owner: the layer that has the formulas.
        layer: the layer whose attributes they use.

    Raises:
        ValueError: a name is unknown, or a string is used as a value.

    >>> import nnlite as nn
    >>> line = Formula("Y", ast.parse("tanh(X * gama)", mode="eval").body, "line 1")
    >>> check_formula_names([line], {"X", "gamma"}, nn.Tanh(), nn.Tanh())
    Traceback (most recent call last):
        ...
    ValueError: Tanh: line 1: 'gama' is not an argument, parameter, attribute or function, and no line defines it; did
    you mean 'gamma'?
    """
    name_of_owner, attributes = type(owner).__name__, Attributes(layer)
    known = {*known, *SYMBOLS, *(line.name for line in lines)}
    used = _names_in_methods(type(owner)) | _names_in_methods(type(layer))
    for line in lines:
        for name in sorted(names_in(line.expression) - known):
            if not (name in attributes or name in used or name in FUNCTIONS or name in NumPy()):
                raise ValueError(f"{name_of_owner}: {line.written}: {_cure(name, known)}")
        if any(isinstance(part.value, str | bytes) for part in _constants(line.expression)):
            raise ValueError(f"{name_of_owner}: {line.written}: expected a formula such as X * gamma, got a string")


def _cure(name: str, known: Iterable[str]) -> str:
    if name == "self":
        return "write attributes in a formula without self, gamma for self.gamma"
    close = get_close_matches(name, sorted(known), n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known names are {', '.join(sorted(known))}"
    return f"{name!r} is not an argument, parameter, attribute or function, and no line defines it; {hint}"


def _names_in_methods(cls: type) -> set[str]:
    """Return the names of attributes that the methods of a class use, and of its properties."""
    own = [base for base in cls.__mro__ if not issubclass(Layer, base)]
    methods = [inspect.unwrap(each) for base in own for each in vars(base).values() if callable(each)]
    properties = {name for base in own for name, each in vars(base).items() if isinstance(each, property)}
    return properties.union(*(each.__code__.co_names for each in methods if isinstance(each, FunctionType)))


def _constants(expression: ast.expr) -> Iterable[ast.Constant]:
    """Yield the constants that are not in a keyword argument: ``axis=...`` may be anything."""
    options = {id(part) for node in ast.walk(expression) if isinstance(node, ast.keyword) for part in ast.walk(node)}
    return (node for node in ast.walk(expression) if isinstance(node, ast.Constant) and id(node) not in options)
