"""The source of a function of nnlite with all that it needs, for programs that need NumPy alone."""

import ast
import inspect
import textwrap
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from nnlite.compute.call_log import UnwritableError

_MODULES = ("math", "operator", "itertools")
_EVERYWHERE = (np.float32, np.float64)  # long double is another type on each system


class Helpers:
    """The functions that a program contains: each without annotations and docstring, after what it calls."""

    def __init__(self) -> None:
        self.sources: dict[str, str] = {}
        self.modules: set[str] = set()

    def add(self, function: Callable[..., Any]) -> str:
        """Add a function, unless it is there; return its name.

        Raises:
            UnwritableError: it uses what no program with NumPy alone has.
        """
        function = inspect.unwrap(function)
        name: str = function.__name__
        if name in self.sources:
            return name
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
        except (OSError, TypeError, SyntaxError):
            raise UnwritableError(f"the function {name}, whose source is not known") from None
        if not isinstance(tree, ast.FunctionDef):
            raise UnwritableError(f"the function {name}")
        tree = _Plain().visit(tree)
        needed = {each.id for each in ast.walk(tree) if isinstance(each, ast.Name)}
        for each in sorted(needed & function.__globals__.keys()):
            if each != name:
                self._add_global(each, function.__globals__[each], name)
        self.sources[name] = ast.unparse(ast.fix_missing_locations(tree))
        return name

    def _add_global(self, name: str, value: Any, user: str) -> None:
        if value is np:
            return
        if isinstance(value, ModuleType) and value.__name__ in _MODULES:
            self.modules.add(value.__name__)
        elif inspect.isbuiltin(value) and value.__module__ in _MODULES:
            self.sources[name] = f"from {value.__module__} import {name}"
        elif callable(value) and inspect.isfunction(inspect.unwrap(value)):
            self.add(value)
        elif isinstance(value, int | float | str | tuple | frozenset):
            self.sources[name] = f"{name} = {value!r}"
        elif isinstance(value, dict) and all(isinstance(each, np.ndarray) and each.size for each in value.values()):
            items = [f'np.dtype("{key}"): {_uniform(each, user)}' for key, each in value.items() if key in _EVERYWHERE]
            self.sources[name] = f"{name} = {{{', '.join(items)}}}"
        elif value is not None:
            raise UnwritableError(f"the function {user}, which uses {name}")

    def __str__(self) -> str:
        return "\n\n".join(source + "\n" * source.startswith(("def", "@")) for source in self.sources.values())


def _uniform(array: np.ndarray, user: str) -> str:
    if (array != array.flat[0]).any():
        raise UnwritableError(f"the function {user}, which uses a table of numbers")
    return f'np.full({array.shape}, {array.flat[0]}, "{array.dtype}")'


class _Plain(ast.NodeTransformer):
    """Drops annotations, docstrings, decorators, and what is for logged arrays; products are NumPy's."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.returns, node.decorator_list = None, []
        for each in (*node.args.args, *node.args.kwonlyargs):
            each.annotation = None
        if ast.get_docstring(node) is not None:
            node.body = node.body[1:]
        node.body = [each for each in node.body if not (isinstance(each, ast.If) and "StandIn" in ast.dump(each.test))]
        self.generic_visit(node)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        self.generic_visit(node)
        assert node.value is not None
        return ast.Assign([node.target], node.value)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if isinstance(node.value, ast.Name) and node.value.id == "blas" and node.attr == "matmul":
            return ast.Attribute(ast.Name("np", ast.Load()), "dot", ast.Load())
        self.generic_visit(node)
        return node
