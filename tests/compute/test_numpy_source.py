"""The functions that are made of formulas compute what the formulas compute, whatever array each value is in."""

import bdb
import itertools
import linecache
import traceback
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from support.random_formulas import LAYOUTS, arrays, formulas, plainly

import nnlite as nn
from nnlite.compute import blocks, kernels, softmax
from nnlite.compute import kernel as kernel_module
from nnlite.compute.tracing import Columns, Rows
from nnlite.errors import ShapeError

BLOCK = 2**15  # in these tests, to keep them quick
SIZES = [(), (0,), (1,), (7,), (3, 4), (2, 0, 3), (BLOCK - 1,), (BLOCK,), (BLOCK + 1,), (2, BLOCK + 3)]
SILENT = {"all": "ignore"}
floating = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@pytest.fixture(autouse=True, scope="module")
def small_blocks():
    with pytest.MonkeyPatch.context() as patch:
        for module in blocks, kernel_module:
            patch.setattr(module, "BLOCK", BLOCK)
        forget()
        yield
    forget()


def forget():
    """Make the functions of all kernels anew: BLOCK is a constant in them."""
    nn.set_kernels("numpy")


def called(kernel, arguments):
    results = kernel(*arguments)
    return results if isinstance(results, tuple) else (results,)


@given(formulas(), st.sampled_from(SIZES), st.sampled_from(["f2", "f4", "f8", ">f4", "longdouble"]), st.integers(0, 99))
def test_a_kernel_gives_what_its_formula_gives(of, shape, dtype, seed):
    formula, _ = of
    given_arrays = arrays(shape, dtype, 3, seed)
    before = [each.copy() for each in given_arrays]
    got = called(nn.kernel(**SILENT)(formula), [*given_arrays, 0.5])
    for own, wanted in zip(got, plainly(formula, [*before, np.asarray(0.5, dtype)]), strict=True):
        assert type(own) is np.ndarray
        assert own.shape == shape
        assert own.dtype == np.dtype(dtype).newbyteorder("=")
        assert_array_equal(own, wanted)
    assert_array_equal(given_arrays, before)  # arguments are not written into


@given(formulas(), st.sampled_from(SIZES), st.permutations("ABC"), st.integers(0, 99), st.sampled_from(sorted(LAYOUTS)))
def test_in_place_nothing_is_overwritten_that_is_still_read(of, shape, order, seed, layout):
    formula, count = of
    layout = layout if shape and layout != "read-only" else "contiguous"
    into = tuple(order[:count])
    own = [LAYOUTS[layout](each) for each in arrays(shape, np.float64, 3, seed)]
    wanted = plainly(formula, [*(each.copy() for each in own), 0.5])
    before = [each.copy() for each in own]
    assert nn.kernel(into=into, **SILENT)(formula)(*own, 0.5) is None
    for name, array, old in zip("ABC", own, before, strict=True):
        assert_array_equal(array, wanted[into.index(name)] if name in into else old)


@pytest.mark.parametrize(
    "formula",
    [
        lambda A, B: (A * 2, A + 1),
        lambda A, B: (B * 2, A * 3),
        lambda A, B: (B * 2, B + 1),
        lambda A, B: (A + B, A - B),
        lambda A, B: (np.where(B > A, A, B), np.where(A > 2, B, A)),
    ],
)
def test_results_that_each_other_is_computed_of(formula):
    for into in ("A", "B"), ("B", "A"):
        own = {"A": np.array([1.0, 2.0, 3.0]), "B": np.array([10.0, 2.0, 0.5])}
        wanted = formula(*own.values())
        nn.kernel(into=into)(formula)(*own.values())
        assert_array_equal([own[name] for name in into], wanted)


@given(
    formulas(),
    st.sampled_from([(5, 6), (300, 200)]),
    st.lists(st.sampled_from(sorted(LAYOUTS)), min_size=3, max_size=3),
)
def test_arrays_of_any_layout(of, shape, layouts):
    formula, _ = of
    given_arrays = [LAYOUTS[layout](each) for layout, each in zip(layouts, arrays(shape, np.float32, 3), strict=True)]
    got = called(nn.kernel(**SILENT)(formula), [*given_arrays, 2])
    for own, wanted in zip(got, plainly(formula, [*given_arrays, np.float32(2)]), strict=True):
        assert_array_equal(own, wanted)


@given(formulas(by_rows=True), st.sampled_from([(0, 3), (1, 1), (5, 7), (1, BLOCK + 1), (3, BLOCK + 1), (BLOCK, 2)]))
def test_formulas_by_rows(of, shape):
    formula, _ = of
    wide = np.random.default_rng(0).normal(size=(3, *shape))
    arguments = [*wide, 0.5, np.ones((shape[0], 1)) + 2, np.arange(shape[1]) % 5.0]
    for own, wanted in zip(called(nn.kernel(**SILENT)(formula), arguments), plainly(formula, arguments), strict=True):
        np.testing.assert_allclose(own, wanted, rtol=1e-9, atol=1e-9)  # sums are added in another order


@given(formulas(), st.sampled_from([5, BLOCK + 5]), st.sampled_from(["f4", "f8", "longdouble"]))
def test_a_number_for_each_element(of, size, dtype):
    formula, _ = of
    A, B, C, k = arrays((size,), dtype, 4)
    for own, wanted in zip(
        called(nn.kernel(**SILENT)(formula), [A, B, C, k]), plainly(formula, [A, B, C, k]), strict=True
    ):
        assert_array_equal(own, wanted)


# --- selection by bits


@floating
@pytest.mark.parametrize("size", [8, BLOCK + 8])
def test_selection_keeps_every_bit(size, dtype):
    special = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.5, np.finfo(dtype).smallest_subnormal, -1.0], dtype)
    mask, A = np.resize(np.array([1.0, 0.0, np.nan], dtype), size), np.resize(special, size)
    B = A[::-1].copy()
    got = nn.kernel(lambda mask, A, B: (np.where(mask > 0, A, B), np.where(mask > 0, A, 0.0)))(mask, A, B)
    got += (nn.kernel(lambda mask, A: np.where(mask > 0, A, -0.0))(mask, A),)
    for own, other in zip(got, (B, np.zeros(size, dtype), np.full(size, -0.0, dtype)), strict=True):
        assert own.tobytes() == np.where(mask > 0, A, other).tobytes()
    assert (
        nn.kernel(lambda mask, A: np.where(mask > 0, 0.0, A))(mask, A).tobytes() == np.where(mask > 0, 0, A).tobytes()
    )


@floating
@pytest.mark.parametrize("numbers", [*itertools.permutations([np.nan, np.inf, 0.0, -0.0, 1.5], 2)])
def test_selection_of_numbers(numbers, dtype):
    def choose(mask, A: float, B: float):
        return np.where(mask > 0, A, B)

    mask = np.array([1.0, 0.0, np.nan, -1.0, 2.0], dtype)
    A, B = (np.full(5, each, dtype) for each in numbers)
    for kernel in nn.kernel(choose), nn.kernel(lambda mask, A, B: choose(mask, *numbers)):
        for other in (A, B), numbers:
            assert kernel(mask, *other).tobytes() == np.where(mask > 0, A, B).tobytes()


@floating
@pytest.mark.parametrize("size", [1, 2, 7, 100, 5000])
def test_clip_keeps_the_sign_of_a_zero_that_equals_a_bound(size, dtype):
    """As PyTorch does; np.maximum(-0.0, 0.0) may be either."""

    @nn.kernel
    def clip(X, low: float, high: float):
        return np.clip(X, low, high)

    for X in np.full(size, -0.0, dtype), np.full(size, 0.0, dtype):
        for low, high in (0.0, 1.0), (-1.0, -0.0), (-0.0, 0.0), (0.0, -0.0):
            assert clip(X, low, high).tobytes() == X.tobytes()


@floating
def test_zeros_of_both_signs_are_different_constants(dtype):
    X = np.full(5000, -0.0, dtype)  # enough for the array of zeros that maximum is computed with
    assert not np.signbit(nn.kernel(lambda X: np.maximum(X, 0.0))(X)).any()
    assert np.signbit(nn.kernel(lambda X: np.maximum(X, -0.0))(X)).all()
    with np.errstate(divide="ignore"):
        up, down = nn.kernel(lambda X: (X / 0.0, X / -0.0))(np.ones(2, dtype))
    assert (up == np.inf).all()
    assert (down == -np.inf).all()


def test_infinite_and_nan_constants():
    X = np.array([1.0, np.inf])
    got = nn.kernel(lambda X: (np.minimum(X, np.inf), np.where(X > 2, np.nan, X), np.maximum(X, -np.inf)))(X)
    assert_array_equal(got, [X, [1.0, np.nan], X])


# --- arguments that are unlike the first


@pytest.mark.parametrize("size", [2, 8, BLOCK + 2])
@pytest.mark.parametrize(("first", "other"), [("f4", "i4"), ("f8", "i4"), ("f4", ">f4"), ("f8", ">f8")])
def test_other_dtypes_give_the_same_numbers_in_the_dtype_of_the_first(first, other, size):
    A, B = np.linspace(-1, 1, size).astype(first), np.linspace(-5, 7, size).astype(other)

    def formula(A, B):
        return np.where(A > 0, B, 0.0), np.where(A > 0, A, B), A * B

    for own, wanted in zip(nn.kernel(formula)(A, B), formula(A, B), strict=True):
        assert own.dtype == first
        np.testing.assert_allclose(own, wanted, rtol=1e-6)

    def computed_first(A, B):
        return np.where(A > 0, B * B, A)

    assert_array_equal(nn.kernel(computed_first)(A, B), computed_first(A, B).astype(first))


def test_values_computed_of_rows_of_another_dtype_are_not_taken_by_their_bits():
    def formula(X, s: Rows):
        return np.where(X > 0, 2 * s, 0.0)

    X, s = np.ones((3, 2), np.float32), np.array([[1], [2], [3]])
    assert_array_equal(nn.kernel(formula)(X, s), formula(X, s))


def test_into_an_array_of_another_dtype():
    X, Y = np.array([1.0, -1.0]), np.array([5.0, 6.0], ">f8")
    nn.kernel(into=("Y",))(lambda X, Y: np.where(X > 0, Y, -Y))(X, Y)
    assert_array_equal(Y, [5, -6])


@pytest.mark.parametrize("array", [np.arange(3), np.array([True]), np.array([1j]), np.array(["a"]), np.array([None])])
def test_a_kernel_of_no_floating_numbers_is_an_error(array):
    with pytest.raises(TypeError, match=r"tanh: .*expected .*, got "):
        kernels.tanh(array)


LARGE = np.ones((300, 200))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: kernels.tanh_backward(LARGE, LARGE[:1]), r"Y of shape \(300, 200\), got \(1, 200\)"),
        (lambda: kernels.tanh_backward(LARGE, LARGE.T), r"Y of shape \(300, 200\), got \(200, 300\)"),
        (lambda: kernels.squared_error.sum(LARGE, np.ones((600, 200))), r"t of shape \(300, 200\), got \(600, 200\)"),
        (
            lambda: kernels.squared_error_backward(LARGE, LARGE, LARGE[0]),
            r"dJ as a number, or an array of Y's shape \(300, 200\), got one of shape \(200,\)",
        ),
        (lambda: softmax.times_row(LARGE, LARGE[:1, :1]), r"factor of shape \(300, 1\), got \(1, 1\)"),
        (lambda: softmax.times_row(LARGE, LARGE[:, 0]), r"factor of shape \(300, 1\), got \(300,\)"),
        (lambda: scaled(LARGE, LARGE[0, 1:]), r"c of shape \(200,\), got \(199,\)"),
        (lambda: softmax.softmax(LARGE[0]), r"softmax: expected a matrix X, got an array of shape \(200,\)"),
        (lambda: softmax.softmax(LARGE[None]), r"softmax: expected a matrix X, got an array of shape \(1, 300, 200\)"),
    ],
)
def test_arrays_of_other_shapes_are_errors_where_they_are_not_broadcast(call, message):
    with pytest.raises(ShapeError, match=message):
        call()


@nn.kernel
def scaled(X, c: Columns):
    return X * c


def test_a_wrong_number_of_arguments_is_an_error_and_nothing_is_written_into():
    A = np.ones(3)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'Y'"):
        kernels.tanh_backward(A)
    with pytest.raises(TypeError, match="takes 2 positional arguments but 3 were given"):
        kernels.tanh_backward(A, A, A)
    assert (A == 1).all()


def test_numbers_of_any_type():
    A = np.arange(3, dtype=np.float32)
    for number in 2, 2.0, np.float64(2), np.array(2.0), np.float32(2), True + True:
        Y = kernels.squared_error_backward(A, np.zeros_like(A), number)
        assert Y.dtype == np.float32
        assert_array_equal(Y, 4 * A)


# --- np.errstate


def test_a_kernel_without_warnings_is_called_by_several_threads_at_once():
    kernel = nn.kernel(all="ignore")(lambda X: np.exp(X) / np.sqrt(np.log(X - 1)))
    arrays = [np.full(100_000, 1e3, np.float32)] * 20
    with ThreadPoolExecutor(4) as pool:
        for Y in pool.map(kernel, arrays):
            assert np.isinf(Y).all()
    with np.errstate(over="raise"):
        kernel(arrays[0])
        with pytest.raises(FloatingPointError):
            np.exp(arrays[0])


# --- the source


def test_intermediate_results_are_in_as_few_arrays_as_possible():
    def statements(formula, **options):
        return str(nn.kernel(**options)(formula))

    assert "scratch" not in statements(lambda A, B: np.sqrt(A * B) * A + B)
    assert "scratch1" in (source := statements(lambda A, B: (A * B) / (A + B)))
    assert "scratch2" not in source
    assert "scratch" not in statements(lambda Phi, g: Phi - 2 * (g * g), into=("g",))


def test_slow_ufuncs_are_avoided():
    for formula in lambda X: np.maximum(X, 0.0), lambda X: np.minimum(1.0, X):
        assert "np.m" not in str(nn.kernel(formula))
    assert "np.maximum(X, Y, out=out)" in str(nn.kernel(lambda X, Y: np.maximum(X, Y)))
    for formula in lambda X, Y: np.where(X > Y, X, 0.0), lambda X, Y: np.where(X > Y, X, Y):
        assert "np.where" not in str(nn.kernel(formula))
    assert "np.sign(out, scratch1)" in str(nn.kernel(lambda X: np.sign(2 * X)))  # into the same array it is slow


def test_bounds_that_are_arguments_may_be_arrays():
    @nn.kernel
    def at_least(X, low: float):
        return np.maximum(X, low)

    X = np.linspace(-1, 1, 5000)
    assert_array_equal(at_least(X, 0.25), np.maximum(X, 0.25))
    assert_array_equal(at_least(X, -X), np.abs(X))


class Stepper(bdb.Bdb):
    """A debugger that steps into everything, and notes the lines of generated functions."""

    def __init__(self):
        super().__init__()
        self.lines = []

    def user_line(self, frame):
        name = frame.f_code.co_filename
        if name.startswith("<nnlite kernel"):
            self.lines.append(linecache.getline(name, frame.f_lineno))


def test_a_debugger_steps_through_what_print_shows():
    kernel = nn.kernel(lambda X, Y: np.where(X > 0, X * Y, 1 - X))
    kernel(np.ones(2), np.ones(2))
    stepper = Stepper()
    stepper.runcall(kernel, np.ones(2), np.ones(2))
    source = str(kernel).splitlines(keepends=True)
    assert stepper.lines == [line for line in source[1:] if "return in_blocks" not in line]


def test_a_traceback_shows_the_line_of_the_operation_also_of_kernels_with_the_same_name():
    def scale(X, Y):
        return X * Y

    first = nn.kernel(scale)

    def scale(X, Y):
        return X / Y

    second = nn.kernel(scale)
    for each in first, second:
        each(np.ones(2), np.ones(2))
    for each, line in (first, "np.multiply(X, Y, out)"), (second, "np.divide(X, Y, out)"):
        with np.errstate(all="raise"), pytest.raises(FloatingPointError) as error:
            each(np.full(2, 1e-300), np.zeros(2) if each is second else np.full(2, 1e-300))
        assert line in "".join(traceback.format_exception(error.value))


@pytest.mark.parametrize("name", ["np", "bits", "dtype", "in_blocks", "BLOCK", "ZERO", "loop", "general"])
def test_a_formula_may_be_called_like_a_function_that_its_source_calls(name):
    def formula(X):
        return np.maximum(X, 0.0) * 2

    formula.__name__ = name
    for size in 5, 5000, BLOCK + 1:
        assert (nn.kernel(formula)(np.ones(size)) == 2).all()
