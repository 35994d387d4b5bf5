"""Concat, Stack, Split, Transpose and Reshape: where each entry goes. Gradients at large are in test_contract.py."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from support.contract import numbers, shares

import nnlite as nn
from nnlite.basics.shapes import UNKNOWN


def grid(*shape):
    """0, 1, 2 ... so that each entry is known by its number."""
    return np.arange(float(np.prod(shape))).reshape(shape)


def test_concat_puts_features_side_by_side_and_cuts_the_gradient_at_the_same_places():
    gate = nn.Concat()
    Y = gate.forward(grid(2, 2), 10 + grid(2, 1), 20 + grid(2, 2))
    assert_array_equal(Y, [[0, 1, 10, 20, 21], [2, 3, 11, 22, 23]])
    dX1, dX2, dX3 = gate.backward(grid(2, 5))
    assert_array_equal(dX1, [[0, 1], [5, 6]])
    assert_array_equal(dX2, [[2], [7]])
    assert_array_equal(dX3, [[3, 4], [8, 9]])


def test_concat_along_another_axis():
    gate = nn.Concat(dim=0)
    assert_array_equal(gate.forward(grid(1, 2), 10 + grid(2, 2)), [[0, 1], [10, 11], [12, 13]])
    dX1, dX2 = gate.backward(grid(3, 2))
    assert_array_equal(dX1, [[0, 1]])
    assert_array_equal(dX2, [[2, 3], [4, 5]])


def test_stack_makes_a_new_axis():
    for dim, expected in (-1, [[0, 10], [1, 11]]), (0, [[0, 1], [10, 11]]):
        gate = nn.Stack(dim)
        assert_array_equal(gate.forward(grid(2), 10 + grid(2)), expected)
        dX1, dX2 = gate.backward(np.array(expected, float))
        assert_array_equal(dX1, [0, 1])
        assert_array_equal(dX2, [10, 11])


def test_split_cuts_and_joins_again():
    layer = nn.Split([1, 3, 1])
    Y1, Y2, Y3 = layer.forward(grid(2, 5))
    assert_array_equal(Y1, [[0], [5]])
    assert_array_equal(Y2, [[1, 2, 3], [6, 7, 8]])
    assert_array_equal(Y3, [[4], [9]])
    assert_array_equal(layer.backward(-Y1, 10 * Y2, Y3), [[0, 10, 20, 30, 4], [-5, 60, 70, 80, 9]])


def test_split_into_one_part_gives_an_array():
    layer = nn.Split([3])
    assert_array_equal(layer.forward(grid(2, 3)), grid(2, 3))
    assert_array_equal(layer.backward(2 * grid(2, 3)), 2 * grid(2, 3))
    assert layer.num_outputs == 1


def test_split_along_another_axis():
    layer = nn.Split([2, 1], dim=0)
    top, bottom = layer.forward(grid(3, 2))
    assert_array_equal(top, [[0, 1], [2, 3]])
    assert_array_equal(bottom, [[4, 5]])
    assert_array_equal(layer.backward(-top, bottom), [[0, -1], [-2, -3], [4, 5]])


def test_transpose_swaps_two_axes():
    layer = nn.Transpose()
    assert_array_equal(layer.forward(grid(2, 3)), [[0, 3], [1, 4], [2, 5]])
    assert_array_equal(layer.backward(grid(3, 2)), [[0, 2, 4], [1, 3, 5]])
    Y = nn.Transpose(0, 2).forward(grid(2, 3, 4))
    assert Y.shape == (4, 3, 2)
    assert all(Y[k, j, i] == 12 * i + 4 * j + k for i, j, k in np.ndindex(2, 3, 4))


def test_reshape_keeps_the_row_major_order():
    layer = nn.Reshape(-1, 2)
    assert_array_equal(layer.forward(grid(2, 3)), [[0, 1], [2, 3], [4, 5]])
    assert_array_equal(layer.backward(grid(3, 2)), [[0, 1, 2], [3, 4, 5]])
    assert_array_equal(nn.Reshape(-1, 2).forward(np.asfortranarray(grid(2, 3))), [[0, 1], [2, 3], [4, 5]])
    assert nn.Reshape(-1, 3).forward(np.empty((0, 6))).shape == (0, 3)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=4), st.sampled_from([0, 1, -1]))
def test_concat_undoes_split(sizes, dim):
    shape = [2, 3]
    shape[dim] = sum(sizes)
    X = grid(*shape)
    split, concat = nn.Split(sizes, dim), nn.Concat(dim)
    parts = split.forward(X)
    parts = parts if isinstance(parts, tuple) else (parts,)
    assert [part.shape[dim] for part in parts] == sizes
    assert_array_equal(concat.forward(*parts), X)
    assert_array_equal(split.backward(*concat.backward(-X)), -X)


# --------------------------------------------------------------------------------------------- dtypes


@pytest.mark.parametrize("gate", [nn.Concat(), nn.Stack()])
@pytest.mark.parametrize(
    ("one", "other", "result"),
    [("f4", "f8", "f8"), ("i8", "f4", "f4"), ("i8", "?", "f4"), ("f2", "f2", "f4"), (">f8", "f4", "f8")],
)
def test_the_widest_floating_dtype_decides(gate, one, other, result):
    Y = gate.forward(np.ones(2, one), np.ones(2, other))
    assert Y.dtype == np.dtype(result)
    assert Y.dtype.isnative
    assert all(each.dtype == np.dtype(result) for each in gate.backward(np.ones_like(Y)))


@pytest.mark.parametrize("layer", [nn.Split([2]), nn.Transpose(), nn.Reshape(4)])
@pytest.mark.parametrize(("given", "result"), [("i8", "f4"), ("?", "f4"), ("f2", "f4"), (">f8", "f8"), ("g", "g")])
def test_floats_keep_their_dtype_and_the_rest_become_float32(layer, given, result):
    Y = layer.forward(np.ones((2, 2), given))
    assert Y.dtype == layer.backward(np.ones_like(Y)).dtype == np.dtype(result)
    assert Y.dtype.isnative


def test_nothing_is_handed_on_without_a_copy():
    X = numbers(4, 4)
    for layer in nn.Split([4]), nn.Split([4, 0]), nn.Transpose(0, 0), nn.Reshape(4, 4), nn.Concat(), nn.Stack():
        Y = layer.forward(X)
        dY = tuple(np.copy(each) for each in Y) if isinstance(Y, tuple) else np.copy(Y)
        dX = layer.backward(*dY) if isinstance(Y, tuple) else layer.backward(dY)
        for each in [*(Y if isinstance(Y, tuple) else [Y])]:
            assert not np.shares_memory(each, X)
        for each in [*(dX if isinstance(dX, tuple) else [dX])]:
            assert not any(np.shares_memory(each, given) for given in (dY if isinstance(dY, tuple) else [dY]))


# --------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("gate", "shapes"),
    [
        (nn.Concat(), [(4, 3), (5, 3)]),
        (nn.Concat(), [(4, 3), (3,)]),
        (nn.Concat(dim=0), [(4, 3), (4, 2)]),
        (nn.Concat(dim=2), [(4, 3), (4, 3)]),
        (nn.Concat(), [(), ()]),
        (nn.Stack(), [(4, 3), (4, 1)]),
        (nn.Stack(), [(4, 3), (3,)]),
        (nn.Stack(dim=4), [(4, 3), (4, 3)]),
    ],
)
def test_shapes_that_do_not_fit_are_named(gate, shapes):
    with pytest.raises(nn.ShapeError) as caught:
        gate.forward(*[np.ones(shape) for shape in shapes])
    assert str(caught.value) == f"{gate}: inputs of shapes {shapes[0]} and {shapes[1]} do not match"


@pytest.mark.parametrize("kind", [nn.Concat, nn.Stack])
def test_nothing_to_join_is_an_error(kind):
    with pytest.raises(TypeError, match=rf"{kind.__name__}.forward\(\) missing 1 required positional argument: 'X'"):
        kind().forward()


@pytest.mark.parametrize(("dim", "shape"), [(-1, (4, 3)), (1, (4, 3)), (0, (4, 6)), (2, (4, 6)), (-3, (4, 6)), (0, ())])
def test_split_names_the_axis_and_the_sum(dim, shape):
    with pytest.raises(nn.ShapeError) as caught:
        nn.Split([4, 2], dim).forward(np.ones(shape))
    assert str(caught.value) == f"Split([4, 2], dim={dim}): expected 6 along axis {dim}, got X of shape {shape}"


@pytest.mark.parametrize("sizes", [3, "ab", [1.0, 2], [None], 2.5])
def test_sizes_of_a_split_are_whole_numbers(sizes):
    with pytest.raises(TypeError, match=r"^Split: sizes: expected whole numbers such as \[2, 1\], got "):
        nn.Split(sizes)


@pytest.mark.parametrize("sizes", [[], (), [-1, 3]])
def test_sizes_of_a_split_are_at_least_0_and_there_is_one(sizes):
    with pytest.raises(ValueError, match=r"^Split: sizes: expected at least one, and none below 0, got "):
        nn.Split(sizes)


@pytest.mark.parametrize("given", [1, 3])
def test_a_gradient_for_each_part(given):
    layer = nn.Split([1, 2])
    layer.forward(np.ones((4, 3)))
    with pytest.raises(
        TypeError, match=rf"^Split\(\[1, 2\], dim=-1\): expected 2 gradients, one for each Y, got {given}$"
    ):
        layer.backward(*[np.ones((4, 1))] * given)


@pytest.mark.parametrize(("dims", "shape"), [((-2, -1), (3,)), ((0, 2), (4, 3)), ((-3, 0), (4, 3)), ((0, 0), ())])
def test_transpose_names_missing_axes(dims, shape):
    with pytest.raises(nn.ShapeError) as caught:
        nn.Transpose(*dims).forward(np.ones(shape))
    assert str(caught.value) == (
        f"Transpose(dim0={dims[0]}, dim1={dims[1]}): expected X with axes {dims[0]} and {dims[1]}, got shape {shape}"
    )


@pytest.mark.parametrize("shape", [((2, 3),), (2.0, 3), ("2",), (None, 3)])
def test_sizes_of_a_reshape_are_whole_numbers(shape):
    with pytest.raises(TypeError, match=r"^Reshape: expected whole numbers such as Reshape\(-1, 8, 8\), got "):
        nn.Reshape(*shape)


@pytest.mark.parametrize("shape", [(-2,), (3, -5), (-1, -1), (-1, 2, -1)])
def test_one_size_of_a_reshape_may_be_left_open(shape):
    with pytest.raises(
        ValueError, match=r"^Reshape: expected sizes of at least 0, and -1 for at most one of them, got "
    ):
        nn.Reshape(*shape)


@pytest.mark.parametrize("shape", [(4, 2), (-1, 4), (), (7,)])
def test_a_reshape_to_another_number_of_values_is_an_error(shape):
    with pytest.raises(nn.ShapeError, match=r"^Reshape\(.*\): cannot reshape X of shape \(2, 3\)$"):
        nn.Reshape(*shape).forward(np.ones((2, 3)))


# --------------------------------------------------------------------------------------------- shapes


@pytest.mark.parametrize(
    ("layer", "shapes", "known"),
    [
        (nn.Concat(), [(4, 3), (..., 2)], (4, 5)),
        (nn.Concat(), [(4, 3), (4, None)], (4, None)),
        (nn.Concat(), [UNKNOWN, (..., 4, 2)], (..., 4, None)),
        (nn.Concat(dim=-2), [(4, 3), (2, 3)], (6, 3)),
        (nn.Concat(dim=-3), [(..., 3), (..., None)], (..., None, None, 3)),
        (nn.Concat(dim=0), [(4, 3), (2, 3)], (6, 3)),
        (nn.Concat(dim=0), [(..., 3), (..., 3)], UNKNOWN),
        (nn.Stack(), [(4, 3), (4, 3), UNKNOWN], (4, 3, 3)),
        (nn.Stack(), [(..., 4), UNKNOWN], (..., 4, 2)),
        (nn.Stack(dim=-3), [(..., 4), UNKNOWN], (..., 2, None, 4)),
        (nn.Stack(dim=0), [(4, None), (4, 3)], (2, 4, 3)),
        (nn.Stack(dim=1), [(4, 3), (4, 3)], (4, 2, 3)),
        (nn.Stack(dim=0), [(..., 3), (..., 3)], UNKNOWN),
        (nn.Split([1, 2]), [(4, 3)], ((4, 1), (4, 2))),
        (nn.Split([1, 2]), [UNKNOWN], ((..., 1), (..., 2))),
        (nn.Split([3]), [(4, 3)], (4, 3)),
        (nn.Split([1, 3], dim=0), [(4, 3)], ((1, 3), (3, 3))),
        (nn.Split([1, 3], dim=0), [(..., 3)], UNKNOWN),
        (nn.Reshape(-1, 2, 3), [(4, 6)], (4, 2, 3)),
        (nn.Reshape(-1, 2, 3), [(None, 6)], (None, 2, 3)),
        (nn.Reshape(), [(1,)], ()),
        (nn.Transpose(), [(4, 3)], (3, 4)),
        (nn.Transpose(), [(None, 5, 3)], (None, 3, 5)),
        (nn.Transpose(), [(..., 3)], (..., 3, None)),
        (nn.Transpose(0, 1), [(4, 5, 3)], (5, 4, 3)),
        (nn.Transpose(0, 1), [(..., 5, 3)], UNKNOWN),
        (nn.Flatten(), [(None, 8, 8)], (None, 64)),
        (nn.Flatten(), [(5, 0, None)], (5, 0)),
        (nn.Flatten(), [(..., 8, 8)], UNKNOWN),
        (nn.Flatten(0, 1), [(5, 2, 3)], (10, 3)),
        (nn.Flatten(-2), [(..., 8, 3)], (..., 24)),
        (nn.Flatten(0, 1), [(..., 8, 3)], UNKNOWN),
        (nn.Sum(), [(..., 3)], ()),
        (nn.Sum(keepdim=True), [(4, 3)], (1, 1)),
        (nn.Sum(keepdim=True), [(..., 3)], UNKNOWN),
        (nn.Sum(dim=0), [(4, 3)], (3,)),
        (nn.Sum(dim=0), [(..., 3)], UNKNOWN),
        (nn.Sum(dim=(0, -1)), [(None, 5, 3)], (5,)),
        (nn.Mean(dim=-1, keepdim=True), [(..., 5, 3)], (..., 5, 1)),
        (nn.Mean(dim=-2), [(..., 3)], (..., 3)),
        (nn.Outer(), [(..., 3), (5, 2)], (..., 5, 3, 2)),
        (nn.Outer(), [(3,), (None,)], (3, None)),
        (nn.Linear(3, 2), [(4, 3)], (4, 2)),
        (nn.Linear(3, 2), [(None, 5, None)], (None, 5, 2)),
        (nn.Linear(3, 2), [UNKNOWN], (..., 2)),
    ],
)
def test_what_is_known_of_a_shape(layer, shapes, known):
    assert layer.output_shape(*shapes) == known


@pytest.mark.parametrize(
    ("layer", "shapes", "message"),
    [
        (
            nn.Concat(dim=-2),
            [(4, 3), (4, 2)],
            r"^Concat\(dim=-2\): inputs of shapes \(4, 3\) and \(4, 2\) do not match",
        ),
        (nn.Split([1, 2]), [(4, 4)], r"^Split\(\[1, 2\], dim=-1\): expected 3 along axis -1, got X of shape \(4, 4\)$"),
        (nn.Concat(), [(4, 3), (3,)], r"^Concat\(dim=-1\): inputs of shapes \(4, 3\) and \(3,\) do not match"),
        (nn.Concat(dim=2), [(4, 3), (4, 3)], r"^Concat\(dim=2\): inputs of shapes"),
        (nn.Concat(dim=-3), [(4, 3), (4, 3)], r"^Concat\(dim=-3\): inputs of shapes"),
        (nn.Stack(), [(4, 3), (4, 2)], r"^Stack\(dim=-1\): inputs of shapes"),
        (nn.Stack(dim=3), [(4, 3), (4, 3)], r"^Stack\(dim=3\): expected X with axis 3"),
        (nn.Stack(dim=-4), [(4, 3), (4, 3)], r"^Stack\(dim=-4\): expected X with axis -4"),
        (nn.Transpose(), [(3,)], r"^Transpose\(.*\): expected X with axes -2 and -1, got shape \(3,\)$"),
        (nn.Flatten(), [(3,)], r"^Flatten\(.*\): expected X with axes 1 and -1, got shape \(3,\)$"),
        (nn.Flatten(2, 1), [(3, 2, 4)], r"^Flatten\(.*\): axis 2 comes after axis 1 in X of shape \(3, 2, 4\)$"),
        (nn.Sum(dim=1), [(3,)], r"^Sum\(dim=1\): expected X with axis 1, got shape \(3,\)$"),
        (nn.Reshape(-1, 4), [(5, 3)], r"^Reshape\(-1, 4\): cannot reshape X of shape \(5, 3\)$"),
        (nn.Reshape(4, 4), [(5, 3)], r"^Reshape\(4, 4\): cannot reshape X of shape \(5, 3\)$"),
        (nn.Linear(3, 2), [(None, 4)], r"^Linear\(3 -> 2\): expected 3 features, got 4$"),
        (nn.Linear(3, 2), [()], r"^Linear\(3 -> 2\): expected X of shape \(..., 3\), got a scalar$"),
    ],
)
def test_known_shapes_that_do_not_fit_are_found_before_there_are_arrays(layer, shapes, message):
    with pytest.raises(nn.ShapeError, match=message):
        layer.output_shape(*shapes)


def test_concat_takes_nan_and_inf_as_they_are():
    X = np.array([np.nan, np.inf, -np.inf, -0.0])
    for layer in nn.Concat(), nn.Split([4]), nn.Reshape(4):
        Y = layer.forward(X)
        assert_array_equal(Y, X)
        assert np.signbit(Y[-1])
    assert_array_equal(nn.Stack().forward(X, shares(4))[:, 0], X)
