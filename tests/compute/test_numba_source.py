"""The loops that are made for Numba compute what the formulas compute; here Python runs them, which compiles nothing.

An index beyond the end of an array is then an error.
"""

import gc
import importlib
import pkgutil
import re
import threading
import weakref

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from support.python_loops import Loop, loops_of_python
from support.random_formulas import LAYOUTS, arrays, formulas, plainly

import nnlite as nn
from nnlite.compute import blocks
from nnlite.compute.kernel import Kernel
from nnlite.compute.numba_source import numba_source
from nnlite.compute.tracing import Columns, Rows, trace
from nnlite.errors import ShapeError

numba_function = pytest.importorskip("nnlite.compute.numba_function")

SILENT = {"all": "ignore"}
LARGE = 40  # elements that are large in these tests, for each row a thread and for each block a few rows
same_fixture = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(autouse=True)
def python_loops(monkeypatch):
    with loops_of_python(monkeypatch, large=LARGE):
        yield


def check(formula, arguments, rtol=0.0, **options):
    results = nn.kernel(**SILENT, **options)(formula)(*arguments)
    for own, wanted in zip(
        results if isinstance(results, tuple) else (results,), plainly(formula, arguments), strict=True
    ):
        assert type(own) is np.ndarray
        assert own.dtype == arguments[0].dtype.newbyteorder("=")
        assert_allclose(own, wanted, rtol=rtol, atol=rtol) if rtol else assert_array_equal(own, wanted)


@given(
    formulas(),
    st.sampled_from([(), (0,), (1,), (5,), (3, 4), (LARGE - 1,), (LARGE,), (200,)]),
    st.sampled_from([np.float32, np.float64]),
    st.lists(st.sampled_from(sorted(LAYOUTS)), min_size=3, max_size=3),
)
@same_fixture
def test_a_loop_gives_what_its_formula_gives(of, shape, dtype, layouts):
    layouts = layouts if shape else ["contiguous"] * 3
    own = [LAYOUTS[layout](each) for layout, each in zip(layouts, arrays(shape, dtype, 3), strict=True)]
    calls = Loop.calls
    check(of[0], [*own, dtype(0.5)])
    assert Loop.calls > calls or not all(each.flags.c_contiguous for each in own)


@given(formulas(), st.sampled_from([(3, 4), (200,)]), st.permutations("ABC"), st.sampled_from(sorted(LAYOUTS)))
@same_fixture
def test_in_place_nothing_is_overwritten_that_is_still_read(of, shape, order, layout):
    formula, count = of
    into = tuple(order[:count])
    own = [LAYOUTS["contiguous" if layout == "read-only" else layout](each) for each in arrays(shape, np.float64, 3)]
    before = [each.copy() for each in own]
    wanted = plainly(formula, [*before, 0.5])
    assert nn.kernel(into=into, **SILENT)(formula)(*own, 0.5) is None
    for name, array, old in zip("ABC", own, before, strict=True):
        assert_array_equal(array, wanted[into.index(name)] if name in into else old)


@given(formulas(by_rows=True), st.sampled_from([(0, 3), (1, 1), (2, 3), (3, LARGE + 2), (150, 2)]))
@same_fixture
def test_loops_over_rows(of, shape):
    own = list(np.random.default_rng(0).normal(size=(3, *shape)))
    calls = Loop.calls
    check(of[0], [*own, 0.5, np.ones((shape[0], 1)) + 2, np.arange(shape[1]) % 5.0], rtol=1e-9)
    assert Loop.calls > calls or not own[0].size


def test_rows_with_nan_and_infinities():
    def formula(X):
        m = np.max(X, axis=-1, keepdims=True)
        return X - m, m, np.sum(X * X, axis=-1, keepdims=True)

    inf, nan = np.inf, np.nan
    rows = [
        [1, 2],
        [-1, -2],
        [-0.0, -1],
        [-inf, 0],
        [-inf, -inf],
        [inf, 0],
        [nan, 0],
        [0, -nan],
        [nan, inf],
        [-inf, nan],
    ]
    for dtype in np.float32, np.float64:
        check(formula, [np.array(rows, dtype)])
        of_none = nn.kernel(formula)(np.empty((2, 0), dtype))
        assert [each.tolist() for each in of_none] == [[[], []], [[-inf], [-inf]], [[0], [0]]]


def test_a_number_for_each_element_also_where_numbers_are_computed_first():
    def formula(X, k: float, w: float):
        return X * (2 * k - w), X + w

    X, k, w = np.random.default_rng(0).normal(size=(3, 300))
    for arguments in [X, k, w], [X, k, 0.5], [X, 0.5, w], [X, 0.5, 0.25], [X[:5], k[:5], np.array(2.0)], [X[:5], 1, 2]:
        check(formula, arguments)
    check(lambda X, k: X - np.mean(X * k, axis=-1, keepdims=True), [X.reshape(60, 5), k.reshape(60, 5)], rtol=1e-12)

    def by_rows(X, k: float):
        return X - np.mean(X * (k + 1), axis=-1, keepdims=True)

    check(by_rows, [X.reshape(60, 5), k.reshape(60, 5)], rtol=1e-12)
    assert Loop.calls


@pytest.mark.parametrize("threads", [1, 2])
def test_large_arrays_are_divided_among_the_threads(threads, monkeypatch):
    monkeypatch.setattr(blocks, "_threads", lambda: threads)
    together, call = threading.Barrier(threads, timeout=10), Loop.__call__

    def first_calls_together(self, *arguments):
        if threading.get_ident() not in Loop.threads:
            together.wait()
        call(self, *arguments)

    monkeypatch.setattr(Loop, "__call__", first_calls_together)
    nn.kernel(lambda X: X * X)(np.ones(10_000))
    assert len(Loop.threads) == threads
    assert Loop.calls == (1 if threads == 1 else 10_000 // LARGE)


@pytest.mark.parametrize("size", [2, 100])
@pytest.mark.parametrize(
    ("first", "other"),
    [("f2", "i8"), ("f4", "i8"), ("f8", "i8"), (">f4", "i8"), ("f8", ">f8"), (">f4", "f4"), (">f4", ">f4")],
)
def test_other_dtypes_give_the_same_numbers_in_the_dtype_of_the_first(first, other, size):
    A, B = np.linspace(-1, 1, size).astype(first), np.linspace(-5, 7, size).astype(other)
    check(
        lambda A, B: (np.where(A > 0, B, 0.0), np.where(A > 0, A, B), A * B),
        [A, B],
        rtol=1e-3 if "f2" in (first, other) else 1e-6,
    )


def rows_and_columns(X, s: Rows, c: Columns):
    return X * s + c


X = np.ones((4, 6))
UNLIKE = [
    (X, np.ones((3, 1)), np.ones(6)),
    (X, np.ones((5, 1)), np.ones(6)),
    (X, np.ones(4), np.ones(6)),
    (X, X[:, :1], np.ones(5)),
    (X, X[:, :1], np.ones((6, 1))),
    (X[0], X[:, :1], np.ones(6)),
    (X[None], X[:, :1], np.ones(6)),
    (np.array(1.0), np.ones((1, 1)), np.ones(1)),
]


@pytest.mark.parametrize("times", [1, 20], ids=["small", "large"])
@pytest.mark.parametrize("given_arrays", UNLIKE)
def test_arrays_of_other_shapes_are_errors(given_arrays, times):
    first, *others = given_arrays
    first = np.concatenate([first] * times) if first.ndim else first
    with pytest.raises((ShapeError, ValueError), match=r"shape|matrix"):
        nn.kernel(rows_and_columns)(first, *others)


@pytest.mark.parametrize("size", [5, 100])
def test_numbers_and_arrays_without_axes_are_broadcast_and_others_are_errors(size):
    A = np.arange(float(size))
    multiply = nn.kernel(lambda A, B: A * B)
    for B in 2.0, np.float64(2), np.array(2.0):
        assert_array_equal(multiply(A, B), A * 2)
    assert_array_equal(multiply(np.array(3.0), 2.0), 6)
    for B in A[:1], A[1:], np.ones(size + 1), np.ones((size, 1)), np.ones((1, size)):
        with pytest.raises(ShapeError, match="expected B of shape"):
            multiply(A, B)


def test_a_wrong_number_of_arguments_and_arrays_that_cannot_be_written_into_are_errors():
    A = np.ones(3)
    multiply = nn.kernel(into=("A",))(lambda A, B: A * B)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'B'"):
        multiply(A)
    with pytest.raises(TypeError, match="takes 2 positional arguments but 3"):
        multiply(A, A, A)
    A.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        multiply(A, A + 1)


@pytest.mark.parametrize("name", ["loop", "general", "real", "np", "dtype", "LARGE"])
def test_a_formula_may_be_called_like_a_function_that_its_source_calls(name):
    def formula(X):
        return np.maximum(X, 0.0) * 2

    formula.__name__ = name
    for size in 5, 100:
        assert (nn.kernel(formula)(np.ones(size)) == 2).all()


def test_each_value_is_computed_once_in_the_first_pass_over_a_row_that_can():
    def formula(X):
        E = np.exp(X - np.max(X, axis=-1, keepdims=True))
        return E / np.sum(E, axis=-1, keepdims=True)

    source = numba_source(trace(formula), (), np.dtype(np.float32))
    lines = [line.strip() for line in source[source.index("def loop") :].splitlines()]
    assert [line.split(" in ")[0] for line in lines if re.match(r"for|t\d+ =", line)] == [
        "for row",
        "for column",
        "t0 = number(t0_key)",
        "for column",
        "t1 = X[row, column] - t0",
        "t2 = exp(t1)",
        "t3 = t3_sum",
        "for column",
        "t4 = t2_row[column] / t3",
    ]


def test_only_what_a_later_pass_over_a_row_reads_is_stored():
    def formula(X):
        return X * 2 - np.sum(X * 3, axis=-1, keepdims=True)

    def shifted(X):
        E = np.exp(X)
        return E - np.sum(E, axis=-1, keepdims=True)

    stored = [
        re.findall(r"(t\d+)_row = np.empty", numba_source(trace(each), (), np.dtype(np.float32)))
        for each in (formula, shifted)
    ]
    assert stored == [["t0"], ["t0"]]


def test_the_choice_holds_for_kernels_that_have_been_used_before():
    nn.set_kernels("numpy")
    double = nn.kernel(lambda X: X + X)
    for way, calls in ("numpy", 0), ("numba", 1), ("numpy", 1):
        nn.set_kernels(way)
        double(np.ones(3))
        assert Loop.calls == calls


def test_a_kernel_that_nobody_holds_is_garbage():
    own = nn.kernel(lambda X, k: X * k)
    own(np.ones(100), np.ones(100))
    held = weakref.ref(own)
    del own
    gc.collect()
    assert held() is None


def test_formulas_that_llvm_cannot_vectorize_are_computed_by_numpy():
    X = np.full(3, 0.5)
    for formula in lambda X: np.tanh(X), lambda X: np.exp(X), lambda X: np.log(X), lambda X: X**3:
        check(formula, [X])
        check(formula, [np.float16(X)])
    assert Loop.calls == 0


@pytest.mark.parametrize("function", [np.exp, np.log, np.log1p, np.tanh])
def test_functions_of_float32_that_llvm_vectorizes_are_computed_in_the_loop(function):
    X = np.linspace(0.1, 0.9, 7, dtype=np.float32)
    check(lambda X: function(X), [X], rtol=1e-6)
    assert Loop.calls == 1


def kernels_of_the_package():
    names = [each.name for each in pkgutil.iter_modules(nn.compute.__path__) if "numba" not in each.name]
    values = [each for name in names for each in vars(importlib.import_module(f"nnlite.compute.{name}")).values()]
    return list({id(each): each for each in values if isinstance(each, Kernel)}.values())


@pytest.mark.parametrize("kernel", kernels_of_the_package(), ids=lambda kernel: kernel.name)
def test_kernels_of_the_package_agree_with_numpy(kernel):
    rng = np.random.default_rng(0)
    shapes = {"full": (3, 7), "row": (3, 1), "column": (7,), "scalar": ()}
    values = [rng.uniform(0.01, 0.99, shapes[kernel.trace.kinds[each]]) for each in kernel.trace.arguments]
    values[0][0, :5] = np.nan, np.inf, -np.inf, 0.0, -0.0
    for dtype, bar in (np.float32, 1.3e-6), (np.float64, 1e-12):
        results = []
        for way in "numpy", "numba":
            nn.set_kernels(way)
            own = [each.astype(dtype) if np.ndim(each) else float(each) for each in values]
            with np.errstate(all="ignore"):
                returned = kernel(*own)
            into = [own[kernel.trace.arguments.index(name)] for name in kernel.into]
            results.append(into or (returned if isinstance(returned, tuple) else (returned,)))
        for expected, got in zip(*results, strict=True):
            assert got.dtype == expected.dtype == dtype
            assert_allclose(got, expected, rtol=bar, atol=bar)
