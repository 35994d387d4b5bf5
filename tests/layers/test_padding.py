"""Padding layers: PyTorch's numbers for all options, and what they refuse."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from support.case import case

import nnlite as nn

CLASSES = (
    *(nn.ConstantPad1d, nn.ConstantPad2d, nn.ConstantPad3d, nn.ZeroPad1d, nn.ZeroPad2d, nn.ZeroPad3d),
    *(nn.ReflectionPad1d, nn.ReflectionPad2d, nn.ReflectionPad3d, nn.CircularPad1d, nn.CircularPad2d),
    *(nn.ReplicationPad1d, nn.ReplicationPad2d, nn.ReplicationPad3d, nn.CircularPad3d),
)
LOWER = {"Reflection": 1, "Circular": 0}


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (nn.ConstantPad1d((2, 1), 9), [9, 9, 1, 2, 3, 4, 9]),
        (nn.ZeroPad1d((0, 2)), [1, 2, 3, 4, 0, 0]),
        (nn.ReflectionPad1d((3, 1)), [4, 3, 2, 1, 2, 3, 4, 3]),
        (nn.ReplicationPad1d((1, 2)), [1, 1, 2, 3, 4, 4, 4]),
        (nn.CircularPad1d((4, 1)), [1, 2, 3, 4, 1, 2, 3, 4, 1]),
        (nn.ConstantPad1d((-1, 1), 9), [2, 3, 4, 9]),
        (nn.ReplicationPad1d((2, -3)), [1, 1, 1]),
        (nn.CircularPad1d((-1, 2)), [2, 3, 4, 2, 3]),
        (nn.CircularPad1d((2, -2)), [1, 2, 1, 2]),
    ],
)
def test_of_a_row_written_out(layer, expected):
    X = np.array([[1.0, 2.0, 3.0, 4.0]])
    assert_array_equal(layer.forward(X), [expected])
    counts = [[expected.count(x) for x in (1, 2, 3, 4)]]
    assert_array_equal(layer.backward(np.ones((1, len(expected)))), counts)


def test_the_last_axis_is_named_first():
    X = np.ones((1, 2, 3))
    assert nn.ZeroPad2d((1, 2, 3, 4)).forward(X).shape == (1, 9, 6)
    assert nn.ZeroPad3d((1, 0, 0, 0, 0, 5)).output_shape((7, 1, 2, 3, 4)) == (7, 1, 7, 3, 5)
    assert nn.ZeroPad2d((1, 2, 3, 4)).pairs == ((3, 4), (1, 2))


@given(data=st.data())
def test_equal_to_pytorch(data):
    torch = pytest.importorskip("torch")
    cls = data.draw(st.sampled_from(CLASSES))
    axes, kind = cls.axes, cls.__name__[:-5]
    sizes = data.draw(st.tuples(*[st.integers(2, 5)] * axes))
    least = -1 if kind in ("Constant", "Zero") else 0
    padding = [data.draw(st.integers(least, size - LOWER.get(kind, -2))) for size in sizes[::-1] for _ in range(2)]
    if min(size + a + b for size, a, b in zip(sizes[::-1], padding[::2], padding[1::2], strict=True)) < 1:
        return
    value = (2.5,) if kind == "Constant" else ()
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2, 3, *sizes))
    layer = cls(tuple(padding), *value)
    Y = layer.forward(X)
    dY = rng.normal(size=Y.shape)
    tensor = torch.tensor(X, requires_grad=True)
    expected = getattr(torch.nn, cls.__name__)(tuple(padding), *value)(tensor)
    expected.backward(torch.tensor(dY))
    with case(f"{layer}"):
        assert_array_equal(Y, expected.detach())
        assert_allclose(layer.backward(dY), tensor.grad, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.ZeroPad2d(1.5), TypeError, "ZeroPad2d: padding: expected a whole number"),
        (lambda: nn.ZeroPad2d((1, 2)), ValueError, "ZeroPad2d: padding: expected a whole number, or 4 of them"),
        (lambda: nn.ConstantPad1d(1, "0"), TypeError, "ConstantPad1d: value: expected a number"),
    ],
)
def test_bad_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (nn.ReflectionPad1d(3), (1, 3), "expected L of at least 4, got 3"),
        (nn.CircularPad2d((0, 0, 4, 0)), (1, 3, 9), "expected H of at least 4, got 3"),
        (nn.ConstantPad1d((-2, -2), 0), (1, 4), "expected L of at least 5, got 4"),
        (nn.ConstantPad1d((-4, 4), 0), (1, 3), "expected L of at least 5, got 3"),
        (nn.ReplicationPad1d(1), (2, 0), "expected L of at least 1, got 0"),
        (nn.ZeroPad1d(1), (3,), r"expected X of shape \(N, C, L\) or \(C, L\), got \(3,\)"),
    ],
)
def test_what_cannot_be_padded(layer, shape, message):
    with pytest.raises(nn.ShapeError, match=message):
        layer.forward(np.ones(shape))
    with pytest.raises(nn.ShapeError, match=message):
        layer.output_shape(shape)


def test_infinite_numbers_stay_where_they_are():
    X = np.array([[1.0, np.inf, np.nan]])
    assert_array_equal(nn.ZeroPad1d(1).forward(X), [[0, 1, np.inf, np.nan, 0]])


def test_operations_are_those_of_the_copies():
    X = np.ones((2, 3, 4))
    assert [each.total for each in nn.ReflectionPad1d(1).flops(X, np.ones((2, 3, 6)))] == [0, 12]
    assert [each.total for each in nn.ZeroPad1d(1).flops(X, np.ones((2, 3, 6)))] == [0, 0]
