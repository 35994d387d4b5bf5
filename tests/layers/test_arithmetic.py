"""Gates of one and of two inputs: their rules, ties, poles and dtypes. Gradients at large are in test_contract.py."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays, mutually_broadcastable_shapes
from numpy.testing import assert_allclose, assert_array_equal
from support.case import case
from support.contract import numbers, shares, some_dY

import nnlite as nn
from nnlite.basics.shapes import UNKNOWN

inf, nan = np.inf, np.nan
TWO = [nn.Add, nn.Subtract, nn.Multiply, nn.Divide, nn.Power, nn.Maximum, nn.Minimum]
ONE = [nn.Negative, nn.Exp, nn.Log, nn.Square, nn.Sqrt, nn.Reciprocal, nn.Abs, nn.Sign]
both_precisions = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def run(gate, *Xs, dY=None):
    """Y and what backward gives, for a dY of ones if none is given."""
    Y = gate.forward(*[np.array(X) if isinstance(X, list) else X for X in Xs])
    return Y, gate.backward(np.ones_like(Y) if dY is None else np.array(dY))


# --------------------------------------------------------------------------------------------- the rules


def test_the_sum_hands_the_gradient_on():
    Z, (dX, dY) = run(nn.Add(), [1.0, 2.0], [30.0, 40.0], dY=[5.0, 6.0])
    assert_array_equal(Z, [31, 42])
    assert_array_equal(dX, [5, 6])
    assert_array_equal(dY, [5, 6])


def test_the_sum_of_many():
    Z, gradients = run(nn.Add(), [1.0, 2.0], [10.0], 100.0, [[1000.0, 2000.0]], dY=[[5.0, 6.0]])
    assert_array_equal(Z, [[1111, 2112]])
    for gradient, expected in zip(gradients, [[5, 6], [11], 11, [[5, 6]]], strict=True):
        assert_array_equal(gradient, expected, strict=False)
        assert gradient.shape == np.shape(expected)


def test_the_difference_turns_the_second_sign():
    Z, (dX, dY) = run(nn.Subtract(), [1.0, 2.0], [30.0, 50.0], dY=[5.0, 6.0])
    assert_array_equal(Z, [-29, -48])
    assert_array_equal(dX, [5, 6])
    assert_array_equal(dY, [-5, -6])


def test_the_product_swaps_its_inputs():
    Z, (dX, dY) = run(nn.Multiply(), [2.0, 3.0], [5.0, 7.0], dY=[10.0, 100.0])
    assert_array_equal(Z, [10, 21])
    assert_array_equal(dX, [50, 700])
    assert_array_equal(dY, [20, 300])


def test_the_quotient():
    # d(x/y) = dx / y - x dy / y^2
    Z, (dX, dY) = run(nn.Divide(), [6.0, 1.0], [2.0, 4.0], dY=[1.0, 8.0])
    assert_array_equal(Z, [3, 0.25])
    assert_array_equal(dX, [0.5, 2])
    assert_array_equal(dY, [-1.5, -0.5])


def test_the_power():
    # d(x^p) = p x^(p-1) dx + x^p log(x) dp
    Z, (dX, dP) = run(nn.Power(), [2.0, 9.0, 1.0], [3.0, 0.5, 7.0], dY=[1.0, 6.0, 1.0])
    assert_allclose(Z, [8, 3, 1], rtol=1e-15)
    assert_allclose(dX, [12, 1, 7], rtol=1e-15)
    assert_allclose(dP, [8 * np.log(2), 18 * np.log(9), 0], rtol=1e-15)


@pytest.mark.parametrize(("gate", "takes"), [(nn.Maximum, max), (nn.Minimum, min)])
def test_the_larger_or_smaller_input_gets_the_gradient_and_equal_ones_half(gate, takes):
    X, Y = [1.0, 5.0, 3.0], [2.0, 4.0, 3.0]
    Z, (dX, dY) = run(gate(), X, Y, dY=[10.0, 20.0, 30.0])
    assert_array_equal(Z, [takes(*pair) for pair in zip(X, Y, strict=True)])
    to_X = np.array([0.0, 20.0, 15.0]) if takes is max else np.array([10.0, 0.0, 15.0])
    assert_array_equal(dX, to_X)
    assert_array_equal(dY, np.array([10.0, 20.0, 30.0]) - to_X)


def test_ties_at_0_and_infinity_are_shared_too():
    for gate in nn.Maximum, nn.Minimum:
        _, (dX, dY) = run(gate(), [0.0, inf, -inf], [-0.0, inf, -inf], dY=[2.0, 4.0, 6.0])
        assert_array_equal(dX, [1, 2, 3])
        assert_array_equal(dY, [1, 2, 3])


@pytest.mark.parametrize(
    ("gate", "X", "Y", "dX"),
    [
        (nn.Negative, [3.0, -4.0], [-3, 4], [-1, -1]),
        (nn.Exp, [0.0, np.log(3), -np.log(4)], [1, 3, 0.25], [1, 3, 0.25]),
        (nn.Log, [1.0, 4.0, 0.5], [0, np.log(4), -np.log(2)], [1, 0.25, 2]),
        (nn.Square, [3.0, -4.0, 0.0], [9, 16, 0], [6, -8, 0]),
        (nn.Sqrt, [1.0, 16.0, 0.25], [1, 4, 0.5], [0.5, 0.125, 1]),
        (nn.Reciprocal, [2.0, -4.0], [0.5, -0.25], [-0.25, -0.0625]),
        (nn.Abs, [3.0, -4.0], [3, 4], [1, -1]),
        (nn.Sign, [3.0, -4.0, 0.0], [1, -1, 0], [0, 0, 0]),
    ],
)
def test_gates_of_one_input_in_closed_form(gate, X, Y, dX):
    dY = np.arange(1, len(X) + 1) * 10.0
    got, gradient = run(gate(), X, dY=dY)
    assert_allclose(got, Y, rtol=1e-15)
    assert_allclose(gradient, dY * dX, rtol=1e-15)


# --------------------------------------------------------------------------------------------- broadcasting


shapes = mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3, min_side=0)


@given(shapes, st.sampled_from(TWO))
def test_gradients_are_summed_over_the_axes_that_were_stretched(shapes, kind):
    """As if each input were stretched by hand before, and its gradient summed by hand after."""
    Xs = [shares(*shape) if np.prod(shape) else np.empty(shape) for shape in shapes.input_shapes]
    stretched = [np.broadcast_to(X, shapes.result_shape) for X in Xs]
    Z, gradients = run(kind(), *Xs, dY=(dZ := some_dY(np.empty(shapes.result_shape))))
    Z_stretched, full = run(kind(), *stretched, dY=dZ)
    assert_array_equal(Z, Z_stretched)
    for X, gradient, each in zip(Xs, gradients, full, strict=True):
        expected = np.zeros(X.shape)
        for index in np.ndindex(each.shape):
            place = index[len(index) - X.ndim :]
            expected[tuple(i if size > 1 else 0 for i, size in zip(place, X.shape, strict=True))] += each[index]
        assert gradient.shape == X.shape
        assert_allclose(gradient, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("value", [0.1, 0.9863144159317017, -123.4])
@pytest.mark.parametrize(("shape", "kept"), [((3,), (0,)), ((1, 3), (0,)), ((), (0, 1)), ((1, 1), (0, 1))])
def test_the_gradient_of_a_bias_over_a_million_rows(value, shape, kept):
    """Added row after row it would be off by 1 % in float32."""
    dZ = np.full((1_000_000, 3), value, np.float32)
    count = 1e6 if kept == (0,) else 3e6
    for gate, sign in (nn.Add(), 1), (nn.Subtract(), -1):
        _, (_, db) = run(gate, np.zeros_like(dZ), np.zeros(shape, np.float32), dY=dZ)
        assert db.dtype == np.float32
        assert db.shape == shape
        assert_allclose(db, sign * count * float(np.float32(value)), rtol=1e-5)


# --------------------------------------------------------------------------------------------- poles and edges


def test_division_by_0():
    Z, (dX, dY) = run(nn.Divide(), [1.0, -1.0, 0.0], [0.0, 0.0, 0.0])
    assert_array_equal(Z, [inf, -inf, nan])
    assert_array_equal(dX, [inf, inf, inf])
    assert_array_equal(dY, [-inf, inf, nan])


def test_division_by_infinity():
    Z, (dX, dY) = run(nn.Divide(), [1.0, -2.0], [inf, -inf])
    assert_array_equal(Z, [0, 0])
    assert_array_equal(dX, [0, 0])
    assert_array_equal(dY, [0, 0])


@pytest.mark.parametrize(
    ("x", "p", "z", "dx", "dp"),
    [
        (0.0, 2.0, 0, 0, 0),
        (0.0, 1.0, 0, 1, 0),
        (0.0, 0.5, 0, inf, 0),
        (0.0, 0.0, 1, 0, 0),
        (0.0, -1.0, inf, -inf, -inf),
        (5.0, 0.0, 1, 0, np.log(5)),
        (-2.0, 3.0, -8, 12, nan),
        (-2.0, 2.0, 4, -4, nan),
        (-2.0, 0.0, 1, 0, nan),
        (-2.0, -1.0, -0.5, -0.25, nan),
        (-2.0, 0.5, nan, nan, nan),
        (inf, 2.0, inf, inf, inf),
        (inf, -1.0, 0, 0, 0),
        (nan, 2.0, nan, nan, nan),
        (2.0, nan, nan, nan, nan),
    ],
)
def test_powers_at_the_edge(x, p, z, dx, dp):
    for shape in (), (3,):
        Z, (dX, dP) = run(nn.Power(), np.full(shape, x), np.full(shape, p))
        assert_allclose(Z, np.full(shape, z), rtol=1e-15)
        assert_allclose(dX, np.full(shape, dx), rtol=1e-15)
        assert_allclose(dP, np.full(shape, dp), rtol=1e-15)


def test_nan_in_maximum_and_minimum_gives_nan_and_no_gradient():
    for gate in nn.Maximum, nn.Minimum:
        Z, (dX, dY) = run(gate(), [nan, 1.0, nan], [1.0, nan, nan])
        assert_array_equal(Z, [nan, nan, nan])
        assert_array_equal(dX, 0)
        assert_array_equal(dY, 0)


@pytest.mark.parametrize(
    ("gate", "X", "Y", "dX"),
    [
        (nn.Exp, [-inf, inf, nan, 1e4, -1e4], [0, inf, nan, inf, 0], [0, inf, nan, inf, 0]),
        (nn.Log, [0.0, -1.0, inf, nan], [-inf, nan, inf, nan], [inf, -1, 0, nan]),
        (nn.Square, [inf, -inf, nan], [inf, inf, nan], [inf, -inf, nan]),
        (nn.Sqrt, [0.0, -1.0, inf, nan], [0, nan, inf, nan], [inf, nan, 0, nan]),
        (nn.Reciprocal, [0.0, -0.0, inf, nan], [inf, -inf, 0, nan], [-inf, -inf, 0, nan]),
        (nn.Abs, [0.0, -0.0, inf, -inf, nan], [0, 0, inf, inf, nan], [0, 0, 1, -1, nan]),
        (nn.Sign, [0.0, -0.0, inf, -inf, nan], [0, 0, 1, -1, nan], [0, 0, 0, 0, 0]),
        (nn.Negative, [0.0, inf, nan], [-0.0, -inf, nan], [-1, -1, -1]),
    ],
)
def test_gates_of_one_input_at_the_edge(gate, X, Y, dX):
    got, gradient = run(gate(), X)
    assert_array_equal(got, Y)
    known = ~np.isnan(Y)
    assert_array_equal(np.signbit(got[known]), np.signbit(np.array(Y, float)[known]))
    assert_array_equal(gradient, dX)


def test_what_overflowed_in_exp_meets_a_zero_gradient_in_silence():
    assert_array_equal(run(nn.Exp(), [1e4, 0.0], dY=[0.0, 0.0])[1], [nan, 0])


EXTREMES = [1e4, 1.0, 1e-4, 1e-30, 0.0]


@both_precisions
@pytest.mark.parametrize("kind", ONE)
def test_gates_of_one_input_are_silent_on_finite_numbers(kind, dtype):
    tiny = np.finfo(dtype).smallest_subnormal
    X = np.array([sign * x for x in [*EXTREMES, tiny] for sign in (1, -1)], dtype)
    with np.errstate(all="raise", under="ignore"):
        for dY in (1.0, -1e4, 0.0):
            gate = kind()
            gate.forward(X)
            assert gate.backward(np.full_like(X, dY)).dtype == dtype


@both_precisions
@pytest.mark.parametrize("kind", TWO)
def test_gates_of_two_inputs_are_silent_on_finite_numbers(kind, dtype):
    tiny = np.finfo(dtype).smallest_subnormal
    x = np.array([sign * x for x in [*EXTREMES, tiny] for sign in (1, -1)], dtype)
    X, Y = np.repeat(x, x.size), np.tile(x, x.size)  # each with each; not stretched, since then inf - inf is summed
    with np.errstate(all="raise", under="ignore"):
        for dZ in (1.0, 0.0):
            gate = kind()
            gate.forward(X, Y)
            assert all(each.dtype == dtype for each in gate.backward(np.full_like(X, dZ)))


@pytest.mark.parametrize("kind", [*ONE, *TWO])
def test_poles_give_no_warning_by_default_either(kind):
    X = np.array([0.0, 1e4, -1e4, 1e-310])
    Xs = (X,) if kind in ONE else (X, X[::-1].copy())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(kind(), *Xs)


# --------------------------------------------------------------------------------------------- dtypes


@pytest.mark.parametrize(
    ("one", "other", "result"),
    [
        ("f4", "f4", "f4"),
        ("f8", "f8", "f8"),
        ("f4", "f8", "f8"),
        ("f8", "f4", "f8"),
        ("g", "f4", "g"),
        ("i8", "f4", "f4"),
        ("f8", "u1", "f8"),
        ("i8", "i2", "f4"),
        ("?", "?", "f4"),
        ("f2", "f2", "f4"),
        ("f2", "f8", "f8"),
        (">f8", ">f8", "f8"),
        (">f4", "f4", "f4"),
        (">f4", ">i4", "f4"),
    ],
)
def test_the_widest_floating_dtype_decides(one, other, result):
    for kind in TWO:
        with case(kind.__name__):
            gate, X, Y = kind(), np.array([[1, 1], [0, 1]]).astype(one), np.array([1, 1]).astype(other)
            Z = gate.forward(X, Y)
            assert Z.dtype == np.dtype(result)
            assert Z.dtype.isnative
            assert all(
                each.dtype == np.dtype(result) and each.dtype.isnative for each in gate.backward(np.ones_like(Z))
            )
            assert_array_equal(Z, kind().forward(X.astype("f8"), Y.astype("f8")))


@pytest.mark.parametrize(
    ("given", "result"),
    [("f4", "f4"), ("f8", "f8"), ("g", "g"), ("i8", "f4"), ("?", "f4"), ("f2", "f4"), (">f8", "f8")],
)
def test_floats_keep_their_dtype_and_the_rest_become_float32(given, result):
    for kind in ONE:
        with case(kind.__name__):
            gate, X = kind(), np.array([1, 1, 1]).astype(given)
            Y = gate.forward(X)
            dX = gate.backward(np.ones_like(Y))
            assert Y.dtype == dX.dtype == np.dtype(result)
            assert Y.dtype.isnative
            assert_allclose(Y, kind().forward(np.ones(3)), rtol=1e-6)


def test_float16_is_worked_on_in_float32():
    assert nn.Square().forward(np.float16([300.0])) == 90_000  # float16 ends at 65,504
    assert nn.Multiply().forward(np.float16([300.0]), np.float16([300.0])) == 90_000


def test_python_numbers_and_lists_are_taken():
    assert_array_equal(nn.Add().forward(1, [2, 3]), np.array([3, 4], np.float32), strict=True)
    assert nn.Multiply().forward(2.0, 3.0) == 6


@pytest.mark.parametrize("kind", TWO)
def test_one_array_may_be_both_inputs(kind):
    X = shares(4, 3)
    Z, (dX, dY) = run(kind(), X, X)
    apart = run(kind(), X, X.copy())
    assert_array_equal(Z, apart[0])
    assert_array_equal(dX, apart[1][0])
    assert_array_equal(dY, apart[1][1])
    assert not np.shares_memory(dX, dY)


# --------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize("kind", TWO)
@pytest.mark.parametrize(("X", "Y"), [((4, 3), (2,)), ((4, 3), (3, 3)), ((2, 1), (3, 3))])
def test_shapes_that_do_not_fit_are_named(kind, X, Y):
    message = rf"^{kind.__name__}\(\): inputs of shapes \({X[0]}, {X[1]}\) and .* do not match$"
    gate = kind()
    with pytest.raises(nn.ShapeError, match=message) as caught:
        gate.forward(np.ones(X), np.ones(Y))
    assert str(Y) in str(caught.value)
    with pytest.raises(nn.ShapeError, match=message):
        gate.output_shape(X, Y)


def test_the_third_input_of_a_sum_is_checked_too():
    message = r"^Add\(\): inputs of shapes \(3,\) and \(3,\) and \(2,\) do not match$"
    with pytest.raises(nn.ShapeError, match=message):
        nn.Add().forward(np.ones(3), np.ones(3), np.ones(2))
    with pytest.raises(nn.ShapeError, match=message):
        nn.Add().output_shape((3,), (3,), (2,))


@pytest.mark.parametrize("kind", TWO)
def test_the_input_that_is_no_array_is_named(kind):
    with pytest.raises(TypeError, match=rf"^{kind.__name__}\(\): X2: expected real numbers, got str"):
        kind().forward(np.ones(3), "three")
    with pytest.raises(TypeError, match=rf"^{kind.__name__}\(\): X1: expected real numbers, got NoneType"):
        kind().forward(None, np.ones(3))


@pytest.mark.parametrize("kind", TWO)
def test_one_input_is_too_few(kind):
    with pytest.raises(TypeError, match=r"missing 1 required positional argument"):
        kind().forward(np.ones(3))


# --------------------------------------------------------------------------------------------- shapes


@pytest.mark.parametrize(
    ("X", "Y", "Z"),
    [
        ((4, 3), (4, 3), (4, 3)),
        ((4, 3), (3,), (4, 3)),
        ((4, 1), (3,), (4, 3)),
        ((), (), ()),
        ((None, 3), (1, 3), (None, 3)),
        ((None, 3), (5, 1), (5, 3)),
        ((..., 3), (3,), (..., 3)),
        ((..., 3), (), (..., 3)),
        ((..., 3), (4, 1), (..., 4, 3)),
        ((1,), (..., 1), (..., 1)),
        (UNKNOWN, (..., 3), (..., 3)),
        (UNKNOWN, UNKNOWN, UNKNOWN),
    ],
)
def test_what_is_known_of_a_stretched_shape(X, Y, Z):
    for kind in TWO:
        with case(kind.__name__):
            assert kind().output_shape(X, Y) == Z
            assert kind().output_shape(Y, X) == Z


@pytest.mark.parametrize("kind", ONE)
def test_elementwise_layers_keep_the_shape(kind):
    for shape in (4, 3), (None, 3), (..., 3), (), UNKNOWN:
        assert kind().output_shape(shape) == shape


# ------------------------------------------------------------------------------------------ larger than a block


@pytest.mark.parametrize("kind", ONE)
def test_large_arrays_are_worked_on_block_by_block_to_the_same_end(kind):
    X = np.resize(shares(7, 11), (3, 2**16 + 5))
    dY = np.resize(numbers(5, 13), X.shape)
    Y, dX = run(kind(), X, dY=dY)
    for rows in range(3):  # in Fortran's order there are no blocks
        one, gradient = run(kind(), np.asfortranarray(X[rows, :999, None]), dY=dY[rows, :999, None])
        assert_allclose(Y[rows, :999], one[:, 0], rtol=1e-14)
        assert_allclose(dX[rows, :999], gradient[:, 0], rtol=1e-14)
    assert_allclose(Y[:, -7 * 11 :], run(kind(), X[:, -7 * 11 :].copy())[0], rtol=1e-14)


@given(arrays(np.float64, (3,), elements=st.floats(0.1, 10)), arrays(np.float64, (3,), elements=st.floats(0.1, 10)))
def test_gates_undo_one_another(X, Y):
    assert_allclose(nn.Divide().forward(nn.Multiply().forward(X, Y), Y), X, rtol=1e-14)
    assert_allclose(nn.Subtract().forward(nn.Add().forward(X, Y), Y), X, rtol=1e-12, atol=1e-14)
    assert_allclose(nn.Log().forward(nn.Exp().forward(X)), X, rtol=1e-13)
    assert_allclose(nn.Sqrt().forward(nn.Square().forward(X)), X, rtol=1e-14)
    assert_allclose(nn.Power().forward(X, np.full(3, -1.0)), nn.Reciprocal().forward(X), rtol=1e-14)
    assert_allclose(nn.Abs().forward(nn.Negative().forward(X)), X, rtol=0)
    larger, smaller = nn.Maximum().forward(X, Y), nn.Minimum().forward(X, Y)
    assert_allclose(larger + smaller, X + Y, rtol=1e-15)
