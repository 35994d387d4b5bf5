"""Formulas as Python's own syntax trees: parsing, the symbols of a network in them, and their values."""

import ast
import operator
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, cached_property, reduce
from inspect import isgenerator
from textwrap import dedent
from typing import Any, TypeVar

import numpy as np

from nnlite.diagnostics.formulas.functions import function_named

Node = TypeVar("Node", bound=ast.AST)

_SUPPORTED = """
    Assign BinOp UnaryOp Compare IfExp BoolOp And Or Call keyword Name Constant Attribute Subscript Slice Tuple List Set
    Starred GeneratorExp comprehension Load Store Add Sub Mult Div FloorDiv MatMult Pow USub UAdd Not Gt GtE Lt LtE Eq
    NotEq Is IsNot
"""
SUPPORTED = tuple([getattr(ast, name) for name in _SUPPORTED.split()])  # in formulas


@dataclass(frozen=True)
class Formula:
    """One assignment.

    Attributes:
        name: the left side.
        expression: the right side.
        written: the line and its number, for errors.
    """

    name: str
    expression: ast.expr
    written: str = field(default="", compare=False)

    @cached_property
    def names(self) -> set[str]:
        """The names on the right side; see :func:`names_in`."""
        return names_in(self.expression)

    @cached_property
    def called(self) -> set[str]:
        """The functions that it calls."""
        calls = [node.func for node in ast.walk(self.expression) if isinstance(node, ast.Call)]
        return {function.id for function in calls if isinstance(function, ast.Name)}

    def __str__(self) -> str:
        return f"{self.name} = {ast.unparse(self.expression)}"


class Leaf(ast.Name):
    """A symbol of a network, such as u1 or dL/du1, in place of the name that a layer has for it.

    Attributes:
        value: its array; None if it is unknown.
        transposed: whether it is the transpose of what the symbol stands for.
        scalar: whether it is a number, so that a product with it needs no sign.
    """

    def __init__(self, symbol: str, value: Any = None, transposed: bool = False, scalar: bool = False) -> None:
        super().__init__(symbol, ast.Load())
        self.value, self.transposed, self.scalar = value, transposed, scalar


class Entry(ast.Subscript):
    """One entry of an array; its index has numbers and letters."""

    def __init__(self, of: ast.expr, index: Sequence[int | str]) -> None:
        places = [ast.Name(each, ast.Load()) if isinstance(each, str) else ast.Constant(each) for each in index]
        super().__init__(of, ast.Tuple(places, ast.Load()), ast.Load())  # type: ignore[arg-type]
        self.index = tuple(index)


class Dot(ast.operator):
    """The product with a vector, or of two, in the last axes; it is written as the product of matrices is."""


@cache
def parse(text: str, owner: str) -> tuple[Formula, ...]:
    """Return the assignments in ``text``; one of several names, ``dX, dY = split(dZ)``, becomes one for each.

    Raises:
        ValueError: a line is not such an assignment; the message has the owner, the line and its number.
    """
    text = dedent(text)
    try:
        statements = ast.parse(text).body
    except SyntaxError as error:
        raise _not_a_formula(owner, text, error.lineno, error.msg) from None
    found = []
    for statement in statements:
        if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
            raise _not_a_formula(owner, text, statement.lineno, "it is not a single assignment")
        for node in ast.walk(statement):
            if not isinstance(node, SUPPORTED):
                raise _not_a_formula(owner, text, statement.lineno, f"{type(node).__name__} is not supported")
            for part in ast.iter_child_nodes(node):
                is_text = isinstance(part, ast.Constant) and isinstance(part.value, str)
                if is_text and isinstance(node, ast.Assign | ast.BinOp | ast.UnaryOp | ast.IfExp | ast.Attribute):
                    where = _written(text, statement.lineno)
                    raise ValueError(f"{owner}: {where}: expected a formula such as X * gamma, got a string")
        target, value = statement.targets[0], _WithoutNp().visit(statement.value)
        parts = target.elts if isinstance(target, ast.Tuple | ast.List) else [target]
        for number, part in enumerate(parts):
            name = part.value if isinstance(part, ast.Starred) else part
            if not isinstance(name, ast.Name):
                raise _not_a_formula(owner, text, statement.lineno, f"{ast.unparse(target)!r} is not a name")
            own = value if part is target else part_of(value, number)
            found.append(Formula(name.id, own, _written(text, statement.lineno)))
    return tuple(found)


class _WithoutNp(ast.NodeTransformer):
    """Replaces ``np.exp`` by ``exp``."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if isinstance(node.value, ast.Name) and node.value.id in ("np", "numpy"):
            return ast.Name(node.attr, ast.Load())
        return self.generic_visit(node)


def _not_a_formula(owner: str, text: str, line: int | None, why: str) -> ValueError:
    return ValueError(
        f"{owner}: {_written(text, line)}: {why}; expected an assignment in plain Python and NumPy, "
        "such as 'dW = X.T @ dY'"
    )


def _written(text: str, line: int | None) -> str:
    lines = text.split("\n")
    return f"formulas, line {line}: {lines[min(line or 1, len(lines)) - 1].strip()!r}"


def part_of(value: ast.expr, number: int) -> ast.expr:
    """Return one of several values of an expression: ``value[number]``."""
    return ast.Subscript(value, ast.Constant(number), ast.Load())


def call(name: str, *args: ast.expr, **options: Any) -> ast.Call:
    """Return the call of a function; the options are constants."""
    keywords = [ast.keyword(key, ast.Constant(value)) for key, value in options.items()]
    return ast.Call(ast.Name(name, ast.Load()), list(args), keywords)


def sum_over(letter: str, size: int | None, term: ast.expr) -> ast.Call:
    """Return the sum of a term over a letter from 0 to ``size - 1``; ``size`` is None if it is unknown."""
    over = ast.comprehension(ast.Name(letter, ast.Store()), call("range", ast.Constant(size)), [], 0)
    return call("sum", ast.GeneratorExp(term, [over]))


def mapped(node: Node, change: Callable[[Any], Any]) -> Node:
    """Return a copy of an expression in which each part for which ``change`` returns another one is replaced by it."""
    new: Node | None = change(node)
    if new is not None:
        return new
    return node if isinstance(node, Leaf | Entry) else rebuilt(node, lambda part: [mapped(part, change)])


def rebuilt(node: Node, parts: Callable[[Any], list[Any]]) -> Node:
    """Return a copy of an expression with what ``parts`` returns for each part: one, or where there may be, several."""
    fields: dict[str, Any] = {}
    for name, value in ast.iter_fields(node):
        if isinstance(value, list):
            fields[name] = [new for part in value for new in (parts(part) if isinstance(part, ast.AST) else [part])]
        else:
            fields[name] = next(iter(parts(value)), None) if isinstance(value, ast.AST) else value
    return type(node)(**fields)


def names_in(expression: ast.expr) -> set[str]:
    """Return every name in an expression but those of functions and those that a sum defines, ``for t in range(T)``."""
    found: Counter[str] = Counter()
    stored = set()
    for node in ast.walk(expression):
        if isinstance(node, ast.Name):
            found[node.id] += 1
            if isinstance(node.ctx, ast.Store):
                stored.add(node.id)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found[node.func.id] -= 1
    return {name for name, count in found.items() if count > 0} - stored


def evaluated(expression: ast.expr, names: Mapping[str, Any]) -> Any:
    """Return the value of an expression; it may call the functions of functions.py.

    Raises:
        NameError: a name in it is not among ``names``, or the value of a symbol is unknown.

    >>> evaluated(ast.parse("sum(a * t for t in range(3))", mode="eval").body, {"a": 2})
    6
    """
    values: dict[str, Any] = {"__builtins__": {}}

    def place(name: str, value: Any) -> ast.expr:
        values[name] = value
        return ast.Name(name, ast.Load())

    def named(part: Any) -> Any:
        """Return a part whose names are those of ``values``: one symbol may have several, such as its transpose."""
        match part:
            case Leaf(id=name, value=None):
                raise NameError(name)
            case Leaf() | ast.Constant(value=tuple()):
                return place(f"value {len(values)}", part.value)
            case Entry(value=of, slice=index):
                return ast.Subscript(mapped(of, named), mapped(index, named), ast.Load())
            case ast.BinOp(op=Dot()):
                raise NotImplementedError("the product of vectors has no value")
            case ast.Name(id=name):
                with suppress(KeyError):
                    values[name] = names[name]
            case ast.Call(func=ast.Name(id=name)) if called := function_named(name):
                new = rebuilt(part, lambda each: [mapped(each, named)])
                new.func = place(f"{name}()", _sum if name == "sum" else called)
                return new
        return None

    code = compile(ast.fix_missing_locations(ast.Expression(mapped(expression, named))), "<formula>", "eval")
    with np.errstate(all="ignore"):  # layers handle log 0, formulas do not
        return eval(code, values)


def _sum(A: Any, *axis: Any, **options: Any) -> Any:
    """Return the sum of an array, or of the terms over a letter."""
    return reduce(operator.add, A) if isgenerator(A) else np.sum(A, *axis, **options)
