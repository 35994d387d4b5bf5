"""What a kernel may be called with, the same whether NumPy computes it or Numba: by position or keyword, and errors."""

import contextlib
import re

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from support.python_loops import loops_of_python

import nnlite as nn
from nnlite.compute import kernels
from nnlite.compute.tracing import Columns, Rows
from nnlite.errors import ShapeError

pytest.importorskip("numba")

LARGE = 40


@pytest.fixture(autouse=True, params=["numpy", "numba"])
def way(request, monkeypatch):
    loops = loops_of_python(monkeypatch, LARGE) if request.param == "numba" else contextlib.nullcontext()
    with loops:
        yield request.param


@nn.kernel
def descended(Phi, dPhi, lr: float = 0.5, decay: float = 0.0):
    return Phi - lr * (dPhi + decay * Phi)


@nn.kernel
def scaled(X, s: Rows, c: Columns):
    return X * s + c


X, Y = np.arange(6.0).reshape(2, 3), np.full((2, 3), 2.0)


# --- how it is called


def test_arguments_by_position_or_keyword_and_defaults():
    for got in descended(X, Y), descended(X, dPhi=Y), descended(dPhi=Y, Phi=X), descended(X, Y, decay=0.0, lr=0.5):
        assert_array_equal(got, X - 1)
    assert_array_equal(descended(X, Y, decay=1.0), X - 0.5 * (2 + X))
    assert_array_equal(descended(X, Y, 0.25), X - 0.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: descended(), r"descended\(\) missing 2 required positional arguments: 'Phi' and 'dPhi'"),
        (lambda: descended(X), r"descended\(\) missing 1 required positional argument: 'dPhi'"),
        (lambda: descended(X, Y, 1.0, 1.0, 1.0), r"descended\(\) takes from 2 to 4 positional arguments but 5"),
        (lambda: descended(X, Y, rate=1.0), r"descended\(\) got an unexpected keyword argument 'rate'"),
        (lambda: descended(X, Y, Phi=X), r"descended\(\) got multiple values for argument 'Phi'"),
    ],
)
def test_a_wrong_call_is_an_error_of_python(call, message):
    with pytest.raises(TypeError, match=message):
        call()


def test_a_kernel_in_the_formula_of_another_is_part_of_it():
    own = nn.kernel(lambda A, B: descended(A, B) * 2)
    assert_array_equal(own(X, Y), (X - 1) * 2)
    assert [each.function for each in own.trace.operations].count("subtract") == 1


@pytest.mark.parametrize("options", [{"into": ("A",)}, {"over": "raise"}])
def test_a_kernel_that_does_more_than_compute_is_no_part_of_another(options):
    inner = nn.kernel(**options)(lambda A: A * 2)
    with pytest.raises(TypeError, match="no into and no errstate where it is part of another kernel"):
        nn.kernel(lambda A: inner(A) + 1)(X)


@pytest.mark.parametrize("given", ["dY * 2", np.tanh, None, 1.0])
def test_what_is_no_function_is_no_kernel(given):
    with pytest.raises(TypeError, match=r"kernel: expected a function of ufuncs, .* got"):
        nn.kernel(into=())(given)


def test_options_of_errstate_are_checked_when_a_kernel_is_made():
    def double(X):
        return X * 2

    expected = "kernel double: expected options of np.errstate, such as over='ignore', got"
    with pytest.raises(TypeError, match=f"{expected} overflow='ignore': .*unexpected keyword argument 'overflow'"):
        nn.kernel(overflow="ignore")(double)
    with pytest.raises(ValueError, match=f"{expected} over='silent': .*silent"):
        nn.kernel(over="silent")(double)


# --- what it is called with


def test_numbers_and_arrays_without_axes_where_arrays_are_expected():
    A = np.arange(3, dtype=np.float32)
    for number in 2, 2.0, np.float64(2), np.array(2.0), np.float32(2), True + True:
        for got in kernels.tanh_backward(A, number), kernels.squared_error_backward(A, A * 0, number):
            assert (type(got), got.dtype, got.shape) == (np.ndarray, np.float32, (3,))
        assert_array_equal(kernels.tanh_backward(A, number), A * -3)
        assert_array_equal(kernels.relu_backward(A, number), A)  # which selects by bits
        assert_array_equal(scaled(np.ones((2, 3)), number, number), np.full((2, 3), 4.0))
    one = kernels.tanh_backward(np.float32(2), 3.0)
    assert (type(one), one.shape, float(one)) == (np.ndarray, (), -16.0)


@pytest.mark.parametrize("size", [3, 2 * LARGE])
@pytest.mark.parametrize("other", [lambda A: A[:1], lambda A: A[:, None], lambda A: A[None], lambda A: A[1:]])
def test_arrays_are_not_broadcast(other, size):
    A = np.arange(float(size))
    wrong = other(A)
    cure = r"; pass np.broadcast_to\(Y, \(\d+,\)\) if that is meant" if wrong.shape == (1,) else ""
    shapes = rf"Y of shape \({size},\), got {re.escape(str(wrong.shape))}"
    with pytest.raises(ShapeError, match=f"tanh_backward: expected {shapes}{cure}$"):
        kernels.tanh_backward(A, wrong)
    expected = (
        rf"lr as a number, or an array of Phi's shape \({size},\), got one of shape {re.escape(str(wrong.shape))}$"
    )
    with pytest.raises(ShapeError, match=f"descended: expected {expected}"):
        descended(A, A, wrong)
    with pytest.raises(ShapeError, match="squared_error: expected t of shape"):
        kernels.squared_error.sum(A, wrong)
    with pytest.raises(ShapeError, match="squared_error: expected t of shape"):
        kernels.squared_error.sum(np.ones(2**15 + 1), wrong)


ROWS, COLUMNS = np.ones((2, 1)), np.ones(3)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((X, ROWS[0], COLUMNS), r"expected s of shape \(2, 1\), got \(1,\)"),
        ((X, np.ones((3, 1)), COLUMNS), r"expected s of shape \(2, 1\), got \(3, 1\)"),
        ((X, np.ones(2), COLUMNS), r"expected s of shape \(2, 1\), got \(2,\)"),
        ((X, X, COLUMNS), r"expected s of shape \(2, 1\), got \(2, 3\)"),
        ((X, ROWS, COLUMNS[:1]), r"expected c of shape \(3,\), got \(1,\); pass np.broadcast_to\(c, \(3,\)\)"),
        ((X, ROWS, COLUMNS[None]), r"expected c of shape \(3,\), got \(1, 3\)"),
        ((X[0], ROWS, COLUMNS), r"expected a matrix X, got an array of shape \(3,\)"),
        ((X[None], ROWS, COLUMNS), r"expected a matrix X, got an array of shape \(1, 2, 3\)"),
        ((np.array(1.0), ROWS, COLUMNS), r"expected a matrix X, got an array of shape \(\)"),
    ],
)
def test_rows_and_columns_of_other_shapes_are_errors(given, message):
    with pytest.raises(ShapeError, match=f"scaled: {message}"):
        scaled(*given)


@pytest.mark.parametrize("size", [3, 2 * LARGE, 2**15 + 5])
@pytest.mark.parametrize(("first", "other"), [("f4", "i8"), ("f8", "i8"), ("f8", ">f8"), ("f4", ">f4"), ("f4", "?")])
def test_arrays_of_other_dtypes_are_computed_as_the_formula_says_and_results_are_of_the_first_ones(first, other, size):
    A, B = np.linspace(-1, 1, size).astype(first), np.linspace(-5, 7, size).astype(other)

    @nn.kernel(divide="ignore")
    def formula(A, B):
        return A * B, np.where(A > 0, B, 0.0), np.where(A > 0, A, B) / 0.0

    with np.errstate(divide="ignore", invalid="ignore"):
        expected = A * B, np.where(A > 0, B, 0.0), np.where(A > 0, A, B) / 0.0
    with np.errstate(invalid="ignore", divide="raise"):
        got = formula(A, B)
    for own, wanted in zip(got, expected, strict=True):
        assert own.dtype == first
        assert_array_equal(own, wanted.astype(first))
    assert_array_equal(descended(A, A, B), (A - np.asarray(B, first) * A))


@pytest.mark.parametrize("size", [3, 2**15 + 5])
@pytest.mark.parametrize(
    ("first", "other"), [("f4", "f8"), ("f8", "f4"), ("f4", ">f8"), ("f4", "f2"), ("f2", "f4"), ("f8", "longdouble")]
)
def test_another_floating_dtype_is_an_error_that_says_how_to_convert(first, other, size):
    A, B = np.ones(size, first), np.ones(size, other)
    for call, name in (lambda: descended(A, B), "dPhi"), (lambda: descended(A, A, B), "lr"):
        with pytest.raises(TypeError) as raised:
            call()
        assert str(raised.value) == (
            f"descended: expected {name} of Phi's dtype {A.dtype}, got {B.dtype}; pass {name}.astype(Phi.dtype)"
        )
    with pytest.raises(TypeError, match="expected s of X's dtype float32, got float64"):
        scaled(np.ones((2, 3), "f4"), np.ones((2, 1)), np.ones(3, "f4"))
    assert_array_equal(descended(A, B.astype(A.dtype)), A - 0.5)


@pytest.mark.parametrize("dtype", ["f2", "longdouble"])
def test_results_of_half_and_long_double_have_their_dtype(dtype):
    A = np.linspace(1, 2, 5).astype(dtype)
    got = descended(A, A, 0.25)
    assert got.dtype == A.dtype
    assert_array_equal(got, A - A.dtype.type(0.25) * A)


class Own(np.ndarray):
    """Somebody's own array."""


MASKED = np.ma.masked_array([1.0, 2.0], [True, False])
ONES = np.ones(2)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((MASKED, ONES), r"Phi: .*masked array; fill it first: Phi.filled\(...\)"),
        ((ONES, MASKED), r"dPhi: .*masked array; fill it first: dPhi.filled\(...\)"),
        ((ONES, ONES, MASKED), r"lr: .*masked array"),
        ((ONES[None].view(np.matrix), ONES[None]), r"Phi: .*np.matrix; pass np.asarray\(Phi\)"),
        ((np.array(["a", "b"]).view(Own), ONES), "Phi: expected real numbers"),
        (([1.0, 2.0], ONES), r"Phi: expected an array or a number, got list; pass np.asarray\(Phi, np.float32\)"),
        ((ONES, [1.0, 2.0]), r"dPhi: .*got list; pass np.asarray\(dPhi, np.float32\)"),
        ((ONES, ONES, None), "lr: expected a number, got NoneType$"),
        ((ONES, ONES, 0.5, "1"), "decay: expected a number, got str$"),
        ((ONES, ONES, [0.5]), "lr: expected a number, got list$"),
        ((ONES, ONES, 1j), "lr: expected a number, got complex$"),
        ((ONES, ONES, np.complex64(1)), "lr: expected a number, got complex64$"),
        ((ONES, "1"), "dPhi: expected an array or a number, got str$"),
        ((ONES, ONES * 1j), "dPhi: expected real numbers, got ndarray of dtype complex128"),
        ((ONES, np.array(["a", "b"])), "dPhi: expected real numbers"),
        ((None, ONES), "Phi: expected an array or a number, got NoneType$"),
        ((2.0, ONES), r"expected Phi as an array, as dPhi is, got 2.0; pass np.full_like\(dPhi, Phi\)"),
        ((2.0, 1.0, ONES), r"expected Phi as an array, as lr is, got 2.0; pass np.full_like\(lr, Phi\)"),
        ((np.arange(2), ONES), r"expected Phi of a floating dtype, got int64; pass Phi.astype\(np.float32\)"),
        ((np.array([True, False]), ONES), "expected Phi of a floating dtype, got bool"),
    ],
)
def test_what_is_no_array_of_floating_numbers_is_an_error_that_names_kernel_and_argument(given, message):
    with pytest.raises((TypeError, ShapeError), match=f"descended: .*({message})"):
        descended(*given)


def test_arrays_of_a_class_of_their_own_are_computed_as_arrays():
    A = np.arange(3.0).view(Own)
    for own in descended(A, np.ones(3)), descended(np.arange(3.0), A * 0 + 1), descended(A, A * 0 + 1):
        assert type(own) is np.ndarray
        assert_array_equal(own, [-0.5, 0.5, 1.5])
    nn.kernel(into=("A",))(lambda A: A * 2)(A)
    assert_array_equal(A, [0, 2, 4])


# --- arrays that are written into


@pytest.mark.parametrize("size", [5, 2 * LARGE, 2**15 + 5])
def test_what_overlaps_with_an_array_that_is_written_into_is_read_before_it_is_written(size):
    update = nn.kernel(into=("A",))(lambda A, B: A - B * A * 2)
    for place in "same", "before", "behind", "view of it", "it of view":
        whole = np.linspace(1, 2, size + 1)
        A, B = {
            "same": (whole, whole),
            "before": (whole[1:], whole[:-1]),
            "behind": (whole[:-1], whole[1:]),
            "view of it": (whole, whole[::-1]),
            "it of view": (whole[::-1], whole),
        }[place]
        expected = A - B * A * 2
        update(A, B)
        assert_array_equal(A, expected)


def test_slices_of_one_array_that_do_not_overlap_are_not_copied(monkeypatch):
    whole = np.arange(8.0)
    update = nn.kernel(into=("A",))(lambda A, B: A + B)
    update(np.ones(3), np.ones(3))
    monkeypatch.setattr(update, "_unusual", None)
    type(update).__call__.__globals__["unusual"] = None
    update(whole[:4], whole[4:])
    assert_array_equal(whole, [4, 6, 8, 10, 4, 5, 6, 7])


def test_a_number_cannot_be_written_into():
    with pytest.raises(TypeError, match=r"expected B as an array of shape \(2,\) to write into, got 2.0"):
        nn.kernel(into=("B",))(lambda A, B: A + B)(np.ones(2), 2.0)


@pytest.mark.parametrize("size", [2, 2 * LARGE])
def test_an_array_that_is_written_into_must_not_be_read_only(size):
    B = np.ones(size)
    B.flags.writeable = False
    with pytest.raises(
        ValueError, match=r"total_into: expected B as an array to write into, .* read-only; pass B.copy\(\)$"
    ):
        total_into(np.ones(size), B)


@nn.kernel(into=("B",))
def total_into(A, B):
    return A + B


# --- errors of floating-point numbers


@pytest.mark.parametrize("size", [3, 2 * LARGE])
def test_errors_that_are_asked_for_are_raised(size):
    huge, divide = np.full(size, 1e308), nn.kernel(lambda X: 1 / X)
    silent, partly = nn.kernel(all="ignore")(lambda X: X * X), nn.kernel(under="ignore")(lambda X: X * X)
    with np.errstate(all="raise"):
        assert np.isinf(silent(huge)).all()
        with pytest.raises(FloatingPointError):
            partly(huge)
        with np.errstate(divide="ignore"):
            assert np.isinf(divide(huge * 0)).all()
            with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
                divide(huge * 0)
        with pytest.raises(FloatingPointError):
            divide(huge * 0)
    with np.errstate(all="ignore"):
        assert np.isinf(partly(huge)).all()
        with pytest.raises(FloatingPointError):
            nn.kernel(over="raise")(lambda X: X * X)(huge)


def test_a_function_that_is_called_for_errors_is_called():
    called = []
    with np.errstate(over="call", call=lambda *error: called.append(error)):
        nn.kernel(lambda X: X * X)(np.full(3, 1e308))
    assert [error for error, _ in called] == ["overflow"]


def test_numbas_loops_give_no_warnings(way):
    divide = nn.kernel(lambda X: 1 / X)
    with pytest.warns(RuntimeWarning) if way == "numpy" else contextlib.nullcontext():
        divide(np.zeros(3))
