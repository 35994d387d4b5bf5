"""Whether each name in a layer's formulas stands for something."""

import ast
import inspect
from collections.abc import Iterable
from difflib import get_close_matches
from types import FunctionType

from nnlite.diagnostics.formulas.functions import FUNCTIONS, NumPy
from nnlite.diagnostics.formulas.options import SYMBOLS, Attributes
from nnlite.diagnostics.formulas.parse import Formula, names_in
from nnlite.layer.layer import Layer


def check_formula_names(lines: list[Formula], known: set[str], speaker: Layer, layer: Layer) -> None:
    """Raise unless each name in the formulas is known, another line's, a function's, or that of an attribute.

    What forward keeps as an attribute may not be there yet: it is enough that the code of the class speaks of it.

    Args:
        lines: the formulas, with the layer's options in them.
        known: the names of what the layer takes and gives, of its parameters, and of their gradients.
        speaker: whose formulas they are.
        layer: whose attributes they speak of.

    >>> import nnlite as nn
    >>> line = Formula("Y", ast.parse("tanh(X * gama)", mode="eval").body, "line 1")
    >>> check_formula_names([line], {"X", "gamma"}, nn.Tanh(), nn.Tanh())
    Traceback (most recent call last):
        ...
    ValueError: Tanh: line 1: 'gama' is no argument, parameter, attribute or function, and no line gives it; did you
    mean 'gamma'?
    """
    owner, attributes = type(speaker).__name__, Attributes(layer)
    known = {*known, *SYMBOLS, *(line.name for line in lines)}
    spoken_of = _spoken_of(type(speaker)) | _spoken_of(type(layer))
    for line in lines:
        for name in sorted(names_in(line.expression) - known):
            if not (name in attributes or name in spoken_of or name in FUNCTIONS or name in NumPy()):
                raise ValueError(f"{owner}: {line.written}: {_cure(name, known)}")
        if any(isinstance(part.value, str | bytes) for part in _constants(line.expression)):
            raise ValueError(f"{owner}: {line.written}: expected mathematics, such as X * gamma, got a text in quotes")


def _cure(name: str, known: Iterable[str]) -> str:
    if name == "self":
        return "'self' has no place in a formula: an attribute stands there by its name alone, gamma for self.gamma"
    close = get_close_matches(name, sorted(known), n=1)
    meant = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(sorted(known))}"
    return f"{name!r} is no argument, parameter, attribute or function, and no line gives it; {meant}"


def _spoken_of(cls: type) -> set[str]:
    """The attributes that the methods of a class speak of."""
    own = [base for base in cls.__mro__ if not issubclass(Layer, base)]
    methods = [inspect.unwrap(each) for base in own for each in vars(base).values() if callable(each)]
    return {name for each in methods if isinstance(each, FunctionType) for name in each.__code__.co_names}


def _constants(expression: ast.expr) -> Iterable[ast.Constant]:
    """Those that are no options of a function: ``axis=...`` may be anything."""
    options = {id(part) for node in ast.walk(expression) if isinstance(node, ast.keyword) for part in ast.walk(node)}
    return (node for node in ast.walk(expression) if isinstance(node, ast.Constant) and id(node) not in options)
