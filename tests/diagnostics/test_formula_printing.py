"""Formulas as text and LaTeX: brackets where they are needed and only there."""

import ast
import itertools
import re

import numpy as np
import pytest
from support.contract import ROWS

import nnlite as nn
from nnlite.diagnostics.formulas.notation import in_notation, known
from nnlite.diagnostics.formulas.one_entry import entry, with_values
from nnlite.diagnostics.formulas.page import shapes_below
from nnlite.diagnostics.formulas.printing import Text
from nnlite.diagnostics.formulas.substitution import Substitution
from nnlite.diagnostics.formulas.tree import Leaf
from nnlite.diagnostics.formulas.typeset import LaTeX

SYMBOLS = {
    "N": Leaf("N", scalar=True),
    "one": Leaf("1", 1),
    "Y": Leaf("y^"),
    "W": Leaf("W1"),
    "X": Leaf("x"),
    "dY": Leaf("dL/du1"),
    **{name: Leaf(name) for name in "bP"},
}
plain, latex = Text(), LaTeX()


def read(formula, symbols=SYMBOLS):
    replacements = {name: [leaf] for name, leaf in symbols.items()}
    (tree,) = Substitution(replacements).parts(ast.parse(formula, mode="eval").body)
    return in_notation(tree)


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        ("X @ W + b", "x W1 + b"),
        ("(X + W) @ W", "(x + W1) W1"),
        ("X @ (2 * W)", "x (2 W1)"),
        ("X - (W + Y)", "x - (W1 + y^)"),
        ("X - (W - Y)", "x - (W1 - y^)"),
        ("X - W + Y", "x - W1 + y^"),
        ("X - W - Y", "x - W1 - y^"),
        ("X + (W - Y)", "x + W1 - y^"),
        ("X / (W * Y)", "x / (W1 * y^)"),
        ("X / (W / Y)", "x / (W1 / y^)"),
        ("X * (W / Y)", "x * W1 / y^"),
        ("(X * W) / Y", "x * W1 / y^"),
        ("X * W @ Y", "(x * W1) y^"),
        ("X * (W @ Y)", "x * W1 y^"),
        ("-X * W", "-x * W1"),
        ("X * -W", "x * (-W1)"),
        ("X // (W * Y)", "x // (W1 * y^)"),
        ("X - -W", "x - (-W1)"),
        ("X + -W", "x + (-W1)"),
        ("-(X + W)", "-(x + W1)"),
        ("(X + W) ** 2", "(x + W1)^2"),
        ("X ** (P - 1)", "x^(P - 1)"),
        ("Y ** 2", "(y^)^2"),
        ("(-X) ** 2", "(-x)^2"),
        ("X.T @ dY", "x^T dL/du1"),
        ("dY.T @ X", "(dL/du1)^T x"),
        ("(X @ W).mT", "(x W1)^T"),
        ("X.T.T", "x"),
        ("-1 / N * sum(X)", "-1/N sum(x)"),
        ("one / N * (Y - X)", "1/N (y^ - x)"),
        ("2 * one / N * X", "2/N x"),
        ("X * 2", "2 x"),
        ("X / one", "x"),
        ("-1 * X", "-x"),
        ("sum(X, axis=0)", "sum_1(x)"),
        ("sum(X, axis=(0, 2))", "sum_1,3(x)"),
        ("sum(X, axis=-1, keepdims=True)", "sum_last(x)"),
        ("sum(X, axis=())", "x"),
        ("X * (Y > 0)", "x * [y^ > 0]"),
        ("maximum(X, 0)", "max(x, 0)"),
        ("concatenate([X, W], axis=1)", "concatenate(x, W1)"),
        ("split(X, sizes=(1, 2), axis=0)[1]", "split(x)[1]"),
        ("rows(X).T @ rows(dY)", "x^T dL/du1"),
        ("view(X[..., None], shape=(3,))", "x"),
        ("0.1 * X", "0.1 x"),
        ("X / 3", "x / 3"),
        ("X + 1 / 3", "x + 1/3"),
    ],
)
def test_text(formula, text):
    assert plain(read(formula)) == text


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        ("X * W", r"x \odot W_1"),
        ("2 * X", "2 x"),
        ("X / W", r"\frac{x}{W_1}"),
        ("-1 / N * sum(X)", r"-\frac{1}{N} \sum\left(x\right)"),
        ("X - (W + Y)", r"x - \left(W_1 + \hat{y}\right)"),
        ("X - (W - Y)", r"x - \left(W_1 - \hat{y}\right)"),
        ("X - W - Y", r"x - W_1 - \hat{y}"),
        ("Y ** 2", r"\hat{y}^{2}"),
        ("(X / W) ** 2", r"\left(\frac{x}{W_1}\right)^{2}"),
        ("X * (W / Y)", r"x \odot \frac{W_1}{\hat{y}}"),
        ("dY ** 2", r"\left(\frac{\partial L}{\partial u_1}\right)^{2}"),
        ("dY.T @ X", r"\left(\frac{\partial L}{\partial u_1}\right)^\top x"),
        ("(X + W) @ W", r"\left(x + W_1\right) W_1"),
        ("sqrt(abs(X))", r"\sqrt{\left|x\right|}"),
        ("X * (Y >= 0)", r"x \odot \left[\hat{y} \geq 0\right]"),
        ("one_hot(X, like=Y)", r"\operatorname{onehot}\left(x\right)"),
        ("sum(X, axis=1)", r"\sum_{2}\left(x\right)"),
        ("split(X)[1]", r"\operatorname{split}\left(x\right)_{[1]}"),
        ("X * -W", r"x \odot \left(-W_1\right)"),
    ],
)
def test_latex(formula, text):
    assert latex(read(formula)) == text


def test_the_latex_of_every_layer_can_be_typeset():
    """Of all lines those that have a command, or one behind another, that no line before them has: parsing is slow."""
    mathtext = pytest.importorskip("matplotlib.mathtext")
    parser, seen = mathtext.MathTextParser("path"), set()
    for n, row in enumerate({row.kind: row for row in ROWS if not list(row.layer.named_children())}.values()):
        explanation = nn.explain(row.make()) if n % 10 else nn.explain(row.make(), row.X, row.target)
        for line in (*explanation.forward, *explanation.backward):
            text = f"{latex(line.left)} = {latex(line.expression)}"
            commands = re.findall(r"\\[a-zA-Z]+|[_^]", text)
            if new := {*commands, *itertools.pairwise(commands)} - seen:
                seen |= new
                parser.parse(f"${text}$")
    assert len(seen) > 50


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("u12", "u_{12}"),
        ("y2^", r"\hat{y}_2"),
        ("theta", r"\theta"),
        ("gamma3", r"\gamma_3"),
        ("pos_weight", r"\mathrm{pos\_weight}"),
    ],
)
def test_symbols(name, text):
    assert latex.symbol(name) == text


def test_shapes_make_room_for_one_another():
    text = Text(shapes=True)
    u, X, W = (text(Leaf(name, np.zeros(shape))) for name, shape in (("u", (10, 20)), ("X", (10, 30)), ("W", (30, 20))))
    assert shapes_below(f"{u} = {X} {W}") == ["u =     X       W", "(10,20) (10,30) (30,20)"]
    assert shapes_below(f"{text(Leaf('a', 1.0))} = b") == ["a = b"]


def test_a_sum_names_only_the_axes_along_which_something_was_broadcast():
    arrays = {"dZ": np.ones((4, 3)), "x": np.ones((1, 3)), "y": np.ones((4, 3)), "z": np.ones(())}
    symbols = {name: Leaf(name, value) for name, value in arrays.items()}
    texts = {name: plain(read(f"sum_to(dZ, {name})", symbols)) for name in "xyz"}
    assert texts == {"x": "sum_1(dZ)", "y": "dZ", "z": "sum(dZ)"}


@pytest.mark.parametrize(
    ("left", "right", "index", "text"),
    [
        ((4, 3), (3, 2), (1, 0), "sum_n A[1,n] B[n,0]"),
        ((4, 3), (3,), (1,), "sum_n A[1,n] B[n]"),
        ((3,), (3, 2), (1,), "sum_n A[n] B[n,1]"),
        ((3,), (3,), (), "sum_n A[n] B[n]"),
        ((5, 4, 3), (5, 3, 2), (4, 1, 0), "sum_n A[4,1,n] B[4,n,0]"),
        ((5, 4, 3), (3, 2), (4, 1, 0), "sum_n A[4,1,n] B[n,0]"),
    ],
)
def test_an_entry_of_a_product_is_that_of_matmul(left, right, index, text):
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=left), rng.normal(size=right)
    found = entry(ast.BinOp(Leaf("A", A), ast.MatMult(), Leaf("B", B)), index)
    assert plain(found) == text
    assert known(with_values(found)) == pytest.approx((A @ B)[index])
