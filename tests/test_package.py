"""The package as a whole: what it exports and imports, and how its files are named."""

import ast
import inspect
import pydoc
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib.resources import files
from pathlib import Path

import pytest

import nnlite as nn

PACKAGE = Path(str(files("nnlite")))
TESTS = Path(__file__).parent


@cache
def trees(folder):
    """The syntax tree of each Python file in the folder and below."""
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.py"))}


# ------------------------------------------------------------------------------------------------ what it exports


def test_dir_lists_the_public_names_each_once():
    assert [name for name in dir(nn) if not name.startswith("__")] == sorted(nn.__all__)
    assert len(set(nn.__all__)) == len(nn.__all__)


def test_every_public_name_has_a_docstring_of_its_own_with_an_example():
    public = {name: getattr(nn, name) for name in nn.__all__ if not inspect.ismodule(getattr(nn, name))}
    public |= {
        f"initializers.{name}": value
        for name, value in vars(nn.initializers).items()
        if inspect.isfunction(value) and value.__module__ == "nnlite.initializers" and not name.startswith("_")
    }
    rooms = [getattr(nn, name) for name in nn.__all__ if hasattr(getattr(nn, name), "__all__")]
    public |= {f"{room.__name__}.{name}": getattr(room, name) for room in rooms for name in room.__all__}
    assert len(public) > 100
    assert [name for name, value in public.items() if ">>> " not in (value.__doc__ or "")] == []
    assert all(ast.get_docstring(tree) for tree in trees(PACKAGE).values())


def test_the_docstring_of_the_package_lists_every_public_name_once():
    listed = re.findall(r"^ {4}((?:\w+, )*\w+) {2}", nn.__doc__, re.MULTILINE)
    assert sorted(", ".join(listed).split(", ")) == sorted(nn.__all__)


def test_help_says_what_parameters_gradients_and_buffers_are():
    class Own(nn.Layer, parameters=("W",), buffers=("count",)):
        pass

    docs = {name: inspect.getdoc(getattr(Own, name)) for name in ("W", "dW", "count")}
    assert docs == {
        "W": "The parameter W, an array; assignment writes into it.",
        "dW": "The gradient of W, which backward stores.",
        "count": "The buffer count, an array; assignment writes into it.",
    }
    assert "attrgetter" not in pydoc.plain(pydoc.render_doc(nn.Linear))


def test_every_public_method_has_a_docstring():
    methods = [
        (name, key)
        for name in nn.__all__
        if inspect.isclass(getattr(nn, name))
        for key, value in vars(getattr(nn, name)).items()
        if not key.startswith("_") and inspect.isfunction(value)
    ]
    assert len(methods) > 100
    assert [f"{name}.{key}" for name, key in methods if not inspect.getdoc(getattr(getattr(nn, name), key))] == []


def test_every_public_name_is_tested():
    tests = "\n".join(path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py"))
    imported = " ".join(re.findall(r"^from nnlite\S* import \(?([\w, \n]+)", tests, re.MULTILINE))
    assert set(nn.__all__) - set(re.findall(r"\bnn\.(\w+)", tests)) - set(re.findall(r"\w+", imported)) == set()
    rooms = [room for room in nn.__all__ if hasattr(getattr(nn, room), "__all__")]
    in_rooms = {f"{room}.{name}" for room in rooms for name in getattr(nn, room).__all__}
    assert in_rooms
    assert in_rooms - set(re.findall(r"\bnn\.(\w+\.\w+)", tests)) == set()


def test_types_are_shipped():
    assert (PACKAGE / "py.typed").is_file()


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'nnlite' has no attribute 'Shampoo'"):
        _ = nn.Shampoo


# ------------------------------------------------------------------------------------------------ what it imports


def test_importing_loads_nothing_slow():
    code = "import sys, nnlite; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"nnlite", "numpy"} <= set(loaded)
    slow = {"scipy", "tqdm", "matplotlib", "torch", "pandas", "sklearn", "onnx"}
    slow |= {"numpy.random", "importlib.metadata", "concurrent.futures"}  # each a tenth of NumPy's own time, or more
    assert not slow & set(loaded)


def test_the_public_names_are_those_that_the_type_checker_sees():
    stub = ast.parse((PACKAGE / "__init__.pyi").read_text(encoding="utf-8"))
    seen = {alias.asname: (node.module, alias.name) for node in stub.body for alias in node.names}
    assert sorted(seen) == sorted(nn.__all__)
    for name, (module, imported) in seen.items():
        value = getattr(nn, name)
        assert value.__name__ == (f"nnlite.{name}" if inspect.ismodule(value) else imported)
        assert inspect.ismodule(value) or value.__module__ == module


def imports_between_files():
    """The files that each file of the package imports: anywhere in it, for type checking or in a function as well."""
    modules = {".".join(["nnlite", *path.relative_to(PACKAGE).with_suffix("").parts]): path for path in trees(PACKAGE)}
    modules |= {name.removesuffix(".__init__"): path for name, path in modules.items()}
    found = {}
    for path, tree in trees(PACKAGE).items():
        names = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names |= {f"{node.module}.{alias.name}" for alias in node.names}
        # "from nnlite.layer.layer import Layer" imports the file nnlite/layer/layer.py.
        found[path] = {modules.get(name) or modules.get(name.rpartition(".")[0]) for name in names} - {None}
    return found


def test_no_two_files_import_each_other_in_a_cycle():
    try:
        TopologicalSorter(imports_between_files()).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(str(path.relative_to(PACKAGE)) for path in reversed(error.args[1])))


# ------------------------------------------------------------------------------------------------ its files


def test_no_two_files_have_the_same_name():
    names = Counter(path.name for path in trees(PACKAGE) if path.name != "__init__.py")
    assert [name for name, count in names.items() if count > 1] == []


def test_the_folders_of_the_tests_are_those_of_the_package():
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    tested = {path.parent.name for path in TESTS.glob("*/test_*.py")}
    assert tested == rooms
    modules = {path.stem for path in PACKAGE.glob("*.py")}
    whole = {"benchmarks", "contract", "course", "debugger", "examples", "formulas", "oracle", "package", "readme"}
    assert {path.stem.removeprefix("test_") for path in TESTS.glob("test_*.py")} <= modules | whole


def test_no_test_is_defined_twice():
    for path in TESTS.rglob("test_*.py"):
        names = Counter(re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE))
        assert [name for name, count in names.items() if count > 1] == [], path.name
