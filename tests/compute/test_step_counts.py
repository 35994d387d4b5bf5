"""What a training step costs, where that can be counted exactly: its matrix products, and the bytes it allocates."""

import ast
import tracemalloc
from collections import Counter
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import nnlite as nn
from nnlite.compute import blas
from nnlite.compute.blocks import BLOCK

PACKAGE = Path(str(files("nnlite")))


def network(*widths):
    """A Linear from each width to the next, with a Tanh between two of them, as ``fit`` trains it."""
    layers = []
    for D, M in pairwise(widths):
        layers += [nn.Linear(D, M, rng=0), nn.Tanh()]
    model = nn.Sequential(*layers[:-1])
    model.needs_dX = False
    return model


def batch(widths, rows):
    rng = np.random.default_rng(0)
    return rng.standard_normal((rows, widths[0])).astype(np.float32), rng.integers(0, widths[-1], rows)


def forward_and_backward(model, loss, X, target):
    loss.forward(model.forward(X), target)
    return model.backward(loss.backward())


# --------------------------------------------------------------------------------------------- products


@pytest.fixture
def products(monkeypatch):
    """The shapes of the two factors of each product of matrices from now on, with how often it is made."""
    made = Counter()
    matmul = blas.matmul

    def count(A, B, out=None):
        made[A.shape, B.shape] += A.ndim == 2  # a row of ones that sums columns is a vector
        return matmul(A, B, out=out)

    monkeypatch.setattr(blas, "matmul", count)
    return made


def expected(widths, rows):
    """Y = X W in every layer; then dW = X^T dY in every layer, and dX = dY W^T in all but the first."""
    layers = list(pairwise(widths))
    forward = [((rows, D), (D, M)) for D, M in layers]
    dW = [((D, rows), (rows, M)) for D, M in layers]
    dX = [((rows, M), (M, D)) for D, M in layers[1:]]
    return Counter(forward + dW + dX)


@pytest.mark.parametrize("widths", [(30, 2), (30, 16, 8, 2), (7, 6, 5, 4, 3, 2)])
@pytest.mark.parametrize("rows", [1, 300])
def test_a_step_of_L_layers_makes_3L_minus_1_products_and_the_dX_of_the_first_layer_is_not_one(widths, rows, products):
    model, loss = network(*widths), nn.CrossEntropyLoss()
    optimizer = nn.SGD(model, lr=0.1, momentum=0.9)
    dX = forward_and_backward(model, loss, *batch(widths, rows))
    optimizer.step()
    L = len(widths) - 1
    assert +products == expected(widths, rows)
    assert products.total() == 3 * L - 1
    assert ((rows, widths[1]), (widths[1], widths[0])) not in products
    assert dX is None


def test_the_first_dX_is_the_one_product_more_when_it_is_needed(products):
    widths, rows = (30, 16, 8, 2), 32
    model = network(*widths)
    model.needs_dX = True
    dX = forward_and_backward(model, nn.CrossEntropyLoss(), *batch(widths, rows))
    assert dX.shape == (rows, 30)
    assert +products == expected(widths, rows) + Counter([((rows, 16), (16, 30))])


def test_fit_makes_no_product_beyond_those_of_its_steps(products):
    widths, rows, epochs = (30, 16, 8, 2), 32, 3
    model = network(*widths)
    model.needs_dX = True  # fit clears it by itself
    X, target = batch(widths, 2 * rows)
    optimizer = nn.SGD(model, lr=0.1)
    nn.fit(model, X, target, loss=nn.CrossEntropyLoss(), optimizer=optimizer, epochs=epochs, batch_size=rows)
    assert +products == Counter({shapes: 2 * epochs * n for shapes, n in expected(widths, rows).items()})


def test_predict_makes_one_product_a_layer(products):
    widths = (20, 64, 64, 1)
    nn.predict(network(*widths), batch(widths, 5)[0])
    assert products.total() == 3


def test_no_product_of_matrices_is_made_where_it_would_not_be_counted():
    uncounted = []
    for path in PACKAGE.rglob("*.py"):
        # The first makes them, those of the second and third are sparse, and the fourth logs them.
        if path.name in ("blas.py", "sums_of_rows.py", "resampling.py", "logged_numpy.py"):
            continue
        if path.relative_to(PACKAGE).parts[0] in ("diagnostics", "training", "interop", "plot"):  # no part of a step
            continue
        nodes = [ast.parse(path.read_text(encoding="utf-8"))]
        for node in nodes:
            writes_onnx = isinstance(node, ast.FunctionDef) and "graph" in {each.arg for each in node.args.args}
            nodes += () if writes_onnx else ast.iter_child_nodes(node)
            by_name = isinstance(node, ast.Attribute) and node.attr in ("dot", "matmul", "tensordot", "einsum")
            by_sign = isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.MatMult)
            if (by_sign or by_name) and ast.unparse(node) != "blas.matmul":
                uncounted.append(f"{path.name}, line {node.lineno}: {ast.unparse(node)}")
    assert uncounted == []


# ------------------------------------------------------------------------------------------------ bytes

ROWS = 128
COLUMN = ROWS * 4  # bytes of one column of a float32 batch of 128 rows
OBJECTS = 5000  # the Python objects around the arrays, and coverage's; less than the smallest array, 10 columns


@pytest.fixture
def traced():
    """A fresh 784-256-128-10 network, whose every byte is traced, and what trains it."""
    widths = (784, 256, 128, 10)
    X, target = batch(widths, ROWS)
    forward_and_backward(network(*widths), nn.CrossEntropyLoss(), X, target)  # what is made once and for all
    tracemalloc.start()
    model = network(*widths)
    yield model, nn.CrossEntropyLoss(), nn.SGD(model, lr=0.1), X, target
    tracemalloc.stop()


def allocated(call):
    """What the call leaves allocated, and the most that it had allocated at once."""
    before, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    call()
    after, peak = tracemalloc.get_traced_memory()
    return after - before, peak - before


def test_parameters_and_gradients_are_allocated_once(traced):
    # W and b of each layer: 784 * 256 + 256 + 256 * 128 + 128 + 128 * 10 + 10 = 235,146 float32, and their gradients.
    model = traced[0]
    assert model.Phi.nbytes == model.dPhi.nbytes == 4 * 235_146
    again, _ = allocated(lambda: network(784, 256, 128, 10))
    assert again <= OBJECTS  # a model that is dropped leaves nothing
    kept = []
    held, _ = allocated(lambda: kept.append(network(784, 256, 128, 10)))
    assert 2 * 4 * 235_146 <= held <= 2 * 4 * 235_146 + 16 * OBJECTS


def test_forward_and_backward_keep_one_batch_of_each_activation(traced):
    # The first Linear keeps X, which is the caller's; a Tanh keeps Y, which is the next Linear's X: 256 and 128
    # columns. The loss keeps the scores' log-probabilities and the target's distribution: 10 columns each.
    model, loss, _, X, target = traced
    kept, _ = allocated(lambda: forward_and_backward(model, loss, X, target))
    assert (256 + 128) * COLUMN <= kept <= (256 + 128 + 10 + 10) * COLUMN + OBJECTS


def test_the_peak_is_in_the_widest_backward_which_adds_its_dY_and_its_dX(traced):
    # Beside all that is kept (404 columns), the backward of the 256 wide Tanh has dY and dX, and no third array of
    # that size. The forward never needs as much: X W beside its tanh, 2 * 256 columns.
    model, loss, _, X, target = traced
    _, peak = allocated(lambda: forward_and_backward(model, loss, X, target))
    assert (256 + 128 + 2 * 256) * COLUMN <= peak <= (256 + 128 + 10 + 10 + 2 * 256) * COLUMN + OBJECTS


def test_the_next_step_allocates_no_more_than_it_gives_back(traced):
    model, loss, optimizer, X, target = traced
    forward_and_backward(model, loss, X, target)
    optimizer.step()
    kept, peak = allocated(lambda: forward_and_backward(model, loss, X, target))
    assert abs(kept) <= OBJECTS
    assert peak <= 2 * 256 * COLUMN + OBJECTS  # dY and dX of the widest layer, as above


def test_an_update_keeps_nothing_and_needs_arrays_of_the_size_of_a_block(traced):
    model = nn.Linear(1024, 600)
    assert model.Phi.size > 2 * BLOCK
    model.dPhi = np.ones_like(model.Phi)
    optimizer = nn.SGD(model, lr=0.1)
    optimizer.step()  # the first makes its kernel
    kept, peak = allocated(optimizer.step)
    assert kept <= OBJECTS
    assert peak <= 4 * BLOCK + OBJECTS
