"""Formulas as Python's own syntax trees: parsing, the symbols of a network in them, and their values."""

import ast
import operator
from collections import ChainMap, Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, reduce
from textwrap import dedent
from typing import Any, TypeVar

import numpy as np

from nnlite.diagnostics.formulas.functions import function_named

Node = TypeVar("Node", bound=ast.AST)

_NODES = """
    Assign BinOp UnaryOp Compare IfExp BoolOp And Or Call keyword Name Constant Attribute Subscript Slice Tuple List Set
    Starred GeneratorExp comprehension Load Store
"""
_OPERATORS = """
    Add:add Sub:sub Mult:mul Div:truediv FloorDiv:floordiv MatMult:matmul Pow:pow USub:neg UAdd:pos Not:not_
    Gt:gt GtE:ge Lt:lt LtE:le Eq:eq NotEq:ne Is:is_ IsNot:is_not
"""
_PAIRS = [pair.split(":") for pair in _OPERATORS.split()]
OPERATORS: dict[type, Any] = {getattr(ast, node): getattr(operator, name) for node, name in _PAIRS}
SUPPORTED = (*OPERATORS, *[getattr(ast, name) for name in _NODES.split()])  # in formulas


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
    with np.errstate(all="ignore"):  # layers handle log 0, formulas do not
        return _value(expression, names)


def _value(node: ast.expr, names: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case Leaf(value=value):
            if value is None:
                raise NameError(node.id)
            return value
        case ast.Name(id=name):
            try:
                return names[name]
            except KeyError:
                raise NameError(f"name {name!r} is not defined", name=name) from None
        case ast.BinOp(left=left, op=op, right=right):
            return OPERATORS[type(op)](_value(left, names), _value(right, names))
        case ast.UnaryOp(op=op, operand=operand):
            return OPERATORS[type(op)](_value(operand, names))
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return OPERATORS[type(op)](_value(left, names), _value(right, names))
        case ast.BoolOp(op=op, values=values):
            each = (_value(value, names) for value in values)
            return all(each) if isinstance(op, ast.And) else any(each)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return _value(body if _value(test, names) else orelse, names)
        case ast.Call(func=ast.Name(id="sum"), args=[ast.GeneratorExp() as terms]):
            return reduce(operator.add, _each(terms, names))
        case ast.Call(func=func, args=args, keywords=keywords):
            options = {keyword.arg or "": _value(keyword.value, names) for keyword in keywords}
            called = function_named(func.id) if isinstance(func, ast.Name) else None
            return (called or _value(func, names))(*_listed(args, names), **options)
        case ast.Attribute(value=value, attr=attr):
            return getattr(_value(value, names), attr)
        case ast.Subscript(value=value, slice=index):
            return _value(value, names)[_value(index, names)]
        case ast.Slice():
            return slice(*(part and _value(part, names) for part in (node.lower, node.upper, node.step)))
        case ast.Tuple(elts=elts):
            return tuple(_listed(elts, names))
        case ast.List(elts=elts) | ast.Set(elts=elts):
            return _listed(elts, names)
    raise NotImplementedError(f"{type(node).__name__} has no value")


def _listed(nodes: list[ast.expr], names: Mapping[str, Any]) -> list[Any]:
    each = [(node, _value(node.value if isinstance(node, ast.Starred) else node, names)) for node in nodes]
    return [part for node, value in each for part in (value if isinstance(node, ast.Starred) else [value])]


def _each(terms: ast.GeneratorExp, names: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the terms of a sum over one letter."""
    (over,) = terms.generators
    for number in _value(over.iter, names):
        yield _value(terms.elt, ChainMap({ast.unparse(over.target): number}, names))  # type: ignore[arg-type]
