"""Nothing outside the containers reads their private members: what tools need of them is public."""

import ast
from pathlib import Path

import nnlite

PACKAGE = Path(nnlite.__file__).parent


def private(name):
    return name.startswith("_") and not name.startswith("__")


def members(folder):
    """The private attributes and methods of the classes in a folder."""
    found = set()
    for file in folder.glob("*.py"):
        for cls in ast.walk(ast.parse(file.read_text())):
            if not isinstance(cls, ast.ClassDef):
                continue
            for node in ast.walk(cls):
                if isinstance(node, ast.FunctionDef):
                    found.add(node.name)
                elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                    found.add(node.attr)
                elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    found.add(node.id)
    return set(filter(private, found))


def reads(file, names):
    """``file:line name`` of each of the names that is read of another object than self or super()."""
    for node in ast.walk(ast.parse(file.read_text())):
        others = isinstance(node, ast.Attribute) and ast.unparse(node.value) not in ("self", "cls", "super()")
        if others and node.attr in names:
            yield f"{file.relative_to(PACKAGE)}:{node.lineno} {node.attr}"


def test_nothing_outside_reads_a_private_member_of_a_container():
    names = members(PACKAGE / "containers") - members(PACKAGE / "layer")
    assert {"_joined", "_plan_backward", "_barrier", "_check_chain", "_twin"} <= names
    outside = [file for file in PACKAGE.rglob("*.py") if file.parent.name != "containers"]
    assert len(outside) > 100
    assert [place for file in outside for place in reads(file, names)] == []
