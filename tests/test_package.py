"""The package as a whole: what it exports, loads and imports."""

import ast
import inspect
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

import nnlite as nn

PACKAGE = Path(str(files("nnlite")))
TESTS = Path(__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))


def test_importing_loads_nothing_slow():
    code = "import sys, nnlite; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"nnlite", "numpy"} <= set(loaded)
    slow = {"scipy", "tqdm", "matplotlib", "torch", "pandas", "sklearn"}
    slow |= {"numpy.random", "importlib.metadata", "concurrent.futures"}  # each a tenth of NumPy's own time, or more
    assert not slow & set(loaded)


def test_the_public_names_are_all_there_and_in_order():
    public = {name for name in dir(nn) if not name.startswith("_") and not inspect.ismodule(getattr(nn, name))}
    assert public - {"Any", "TYPE_CHECKING", "import_module"} | {"initializers"} == set(nn.__all__)
    assert len(set(nn.__all__)) == len(nn.__all__)

    def kind(name):  # constants, then classes, then the rest, as isort and ruff have it
        return (not name.isupper(), not name[0].isupper(), name)

    assert nn.__all__ == sorted(nn.__all__, key=kind)


@pytest.mark.parametrize("name", nn.__all__)
def test_a_public_name_has_a_docstring_with_an_example(name):
    value = getattr(nn, name)
    text = inspect.getdoc(value)
    assert text
    if not inspect.ismodule(value):
        assert ">>> " in text
        assert value.__doc__.strip(), "an inherited docstring says nothing of its own"


INITIALIZERS = [
    name
    for name, value in vars(nn.initializers).items()
    if inspect.isfunction(value) and value.__module__ == "nnlite.initializers" and not name.startswith("_")
]


@pytest.mark.parametrize("name", INITIALIZERS)
def test_an_initializer_has_a_docstring_with_an_example(name):
    assert ">>> " in getattr(nn.initializers, name).__doc__


@pytest.mark.parametrize("name", [name for name in nn.__all__ if inspect.isclass(getattr(nn, name))])
def test_a_public_method_has_a_docstring(name):
    cls = getattr(nn, name)
    methods = [key for key, value in vars(cls).items() if not key.startswith("_") and inspect.isfunction(value)]
    assert [key for key in methods if not inspect.getdoc(getattr(cls, key))] == []  # an inherited one will do


@pytest.mark.parametrize("name", nn.__all__)
def test_a_public_name_is_tested(name):
    tests = "\n".join(path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py"))
    assert re.search(rf"\bnn\.{name}\b|import .*\b{name}\b", tests)


def test_every_module_says_what_it_is():
    assert all(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) for path in MODULES)


def test_types_are_shipped():
    assert (PACKAGE / "py.typed").is_file()


def test_no_test_is_defined_twice():
    for path in TESTS.rglob("test_*.py"):
        names = [node.name for node in ast.parse(path.read_text("utf-8")).body if isinstance(node, ast.FunctionDef)]
        assert len(names) == len(set(names)), path.name


def test_the_rooms_that_are_opened_later_hold_what_the_type_checker_is_told():
    text = (PACKAGE / "__init__.py").read_text(encoding="utf-8")
    (block,) = (node for node in ast.parse(text).body if isinstance(node, ast.If))
    told = {name.name: node.module for node in block.body for name in node.names}
    assert {name: f"nnlite.{room}" for name, room in nn._ROOM_OF.items()} == told
    assert all(getattr(nn, name).__module__ == room for name, room in told.items())


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'nnlite' has no attribute 'Adam'"):
        _ = nn.Adam
