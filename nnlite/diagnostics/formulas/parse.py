"""Parsing of formulas: assignments in plain Python and NumPy, one a line.

They are kept as syntax trees, so that they can be printed as text and LaTeX, renamed and evaluated.
"""

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from textwrap import dedent

SUPPORTED = (
    *(ast.BinOp, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.MatMult, ast.Pow, ast.UnaryOp, ast.USub, ast.UAdd),
    *(ast.Compare, ast.Gt, ast.GtE, ast.Lt, ast.LtE, ast.Eq, ast.NotEq, ast.Is, ast.IsNot, ast.IfExp),
    *(ast.BoolOp, ast.And, ast.Or, ast.Not, ast.Call, ast.keyword, ast.Name, ast.Constant, ast.Attribute, ast.Load),
    *(ast.Subscript, ast.Slice, ast.Tuple, ast.List, ast.Set, ast.Starred),
)


@dataclass(frozen=True)
class Formula:
    """One assignment.

    Attributes:
        name: the left side.
        expression: the right side, as a tree of ``ast``.
        written: the line and its number, for errors.

    >>> print(Formula("Y", ast.parse("X @ W + b", mode="eval").body))
    Y = X @ W + b
    """

    name: str
    expression: ast.expr
    written: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.name} = {ast.unparse(self.expression)}"


def parse(text: str, owner: str) -> list[Formula]:
    """Return the assignments in ``text``; one of several names, ``dX, dY = split(dZ)``, becomes one for each.

    Args:
        text: a layer's attribute ``formulas``.
        owner: the layer's name in an error.

    Raises:
        TypeError: it is not a string.
        ValueError: a line is not such an assignment; the message has the line and its number.

    >>> for formula in parse("Y = np.tanh(X); dX = dY * (1 - Y * Y)", "Tanh"):
    ...     print(formula)
    Y = tanh(X)
    dX = dY * (1 - Y * Y)
    """
    if not isinstance(text, str):
        raise TypeError(f"{owner}: formulas: expected a string of lines such as 'Y = X * gamma', got {text!r}")
    text = dedent(text)
    try:
        statements = ast.parse(text).body
    except SyntaxError as error:
        raise _not_a_formula(owner, text, error.lineno, error.msg) from None
    found = []
    for statement in statements:
        if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
            raise _not_a_formula(owner, text, statement.lineno, "it is not a single assignment")
        for node in ast.walk(statement.value):
            if not isinstance(node, SUPPORTED):
                raise _not_a_formula(owner, text, statement.lineno, f"{type(node).__name__} is not supported")
        found += _each_target(statement, owner, text)
    return found


def part_of(value: ast.expr, number: int) -> ast.expr:
    """Return one of several values of an expression: ``value[number]``.

    >>> ast.unparse(part_of(ast.Name("Ys"), 1))
    'Ys[1]'
    """
    return ast.Subscript(value, ast.Constant(number), ast.Load())


def names_in(expression: ast.expr) -> set[str]:
    """Return every name in an expression.

    >>> sorted(names_in(ast.parse("X @ W + b", mode="eval").body))
    ['W', 'X', 'b']
    """
    return {node.id for node in ast.walk(expression) if isinstance(node, ast.Name)}


def with_names(expression: ast.expr, names: Mapping[str, str]) -> ast.expr:
    """Return a copy of an expression with names replaced.

    >>> ast.unparse(with_names(ast.parse("X @ W", mode="eval").body, {"X": "h1"}))
    'h1 @ W'
    """
    return _Renamed(names).visit(ast.parse(ast.unparse(expression), mode="eval").body)  # type: ignore[no-any-return]


class _Renamed(ast.NodeTransformer):
    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(self.names.get(node.id, node.id), ast.Load())


def _each_target(statement: ast.Assign, owner: str, text: str) -> list[Formula]:
    target, value = statement.targets[0], _WithoutNp().visit(statement.value)
    parts = target.elts if isinstance(target, ast.Tuple | ast.List) else [target]
    found, written = [], _written(text, statement.lineno)
    for number, part in enumerate(parts):
        name = part.value if isinstance(part, ast.Starred) else part
        if not isinstance(name, ast.Name):
            raise _not_a_formula(owner, text, statement.lineno, f"{ast.unparse(target)!r} is not a name")
        found.append(Formula(name.id, value if part is target else part_of(value, number), written))
    return found


class _WithoutNp(ast.NodeTransformer):
    """Replaces ``np.exp`` by ``exp``."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        if isinstance(node.value, ast.Name) and node.value.id in ("np", "numpy"):
            return ast.Name(node.attr, ast.Load())
        return self.generic_visit(node)  # type: ignore[return-value]


def _not_a_formula(owner: str, text: str, line: int | None, why: str) -> ValueError:
    return ValueError(
        f"{owner}: {_written(text, line)}: {why}; expected an assignment in plain Python and NumPy, "
        "such as 'dW = X.T @ dY'"
    )


def _written(text: str, line: int | None) -> str:
    lines = text.split("\n")
    return f"formulas, line {line}: {lines[min(line or 1, len(lines)) - 1].strip()!r}"
