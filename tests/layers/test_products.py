"""Dot, Outer, MatMul, Sum and Mean: their rules, shapes and sums. Gradients at large are in test_contract.py."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from support.contract import numbers, shares, some_dY

import nnlite as nn
from nnlite.basics.shapes import UNKNOWN

both_precisions = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def run(gate, *Xs, dY=None):
    """Y and what backward gives, for a dY of ones if none is given."""
    Y = gate.forward(*Xs)
    return Y, gate.backward(np.ones_like(Y) if dY is None else np.array(dY))


# --------------------------------------------------------------------------------------------- products


def test_the_inner_product():
    # z = 1*4 + 2*5 + 3*6 = 32; dx = dz y, dy = dz x
    z, (dx, dy) = run(nn.Dot(), np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0]), dY=10.0)
    assert z == 32
    assert z.shape == ()
    assert_array_equal(dx, [40, 50, 60])
    assert_array_equal(dy, [10, 20, 30])


def test_the_inner_product_of_rows():
    X, Y = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[10.0, 20.0], [30.0, 40.0]])
    z, (dX, dY) = run(nn.Dot(), X, Y, dY=[1.0, -1.0])
    assert_array_equal(z, [50, 250])
    assert_array_equal(dX, [[10, 20], [-30, -40]])
    assert_array_equal(dY, [[1, 2], [-3, -4]])


def test_the_outer_product():
    # Z = x y^T; dx = dZ y, dy = dZ^T x
    x, y, dZ = np.array([1.0, 2.0]), np.array([3.0, 4.0, 5.0]), np.array([[1.0, 0.0, 0.0], [0.0, 10.0, 100.0]])
    Z, (dx, dy) = run(nn.Outer(), x, y, dY=dZ)
    assert_array_equal(Z, [[3, 4, 5], [6, 8, 10]])
    assert_array_equal(dx, [3, 540])
    assert_array_equal(dy, [1, 20, 200])


def test_the_product_of_matrices():
    # dX = dZ Y^T, dY = X^T dZ
    X, Y, dZ = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[5.0], [6.0]]), np.array([[1.0], [10.0]])
    Z, (dX, dY) = run(nn.MatMul(), X, Y, dY=dZ)
    assert_array_equal(Z, [[17], [39]])
    assert_array_equal(dX, [[5, 6], [50, 60]])
    assert_array_equal(dY, [[31], [42]])


def test_matrix_times_vector_and_vector_times_matrix():
    # z = X y: dX = dz y^T, dy = X^T dz
    X, v = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([5.0, 6.0])
    z, (dX, dv) = run(nn.MatMul(), X, v, dY=[1.0, 10.0])
    assert_array_equal(z, [17, 39])
    assert_array_equal(dX, [[5, 6], [50, 60]])
    assert_array_equal(dv, [31, 42])
    z, (dv, dX) = run(nn.MatMul(), v, X, dY=[1.0, 10.0])
    assert_array_equal(z, [23, 34])
    assert_array_equal(dv, [21, 43])
    assert_array_equal(dX, [[5, 50], [6, 60]])


FORMS = {
    "matrices": ((4, 3), (3, 2)),
    "matrix-vector": ((4, 3), (3,)),
    "vector-matrix": ((3,), (3, 2)),
    "vector-vector": ((3,), (3,)),
    "stacks": ((5, 4, 3), (5, 3, 2)),
    "stack-matrix": ((5, 4, 3), (3, 2)),
    "matrix-stack": ((4, 3), (5, 3, 2)),
    "stretched-stacks": ((6, 1, 4, 3), (5, 3, 2)),
    "stack-vector": ((5, 4, 3), (3,)),
    "vector-stack": ((3,), (5, 3, 2)),
    "no-rows": ((0, 3), (3, 2)),
    "no-inner-axis": ((4, 0), (0, 2)),
    "no-stack": ((0, 4, 3), (3, 2)),
}


@pytest.mark.parametrize("form", FORMS)
@both_precisions
def test_matmul_is_that_of_numpy(form, dtype):
    X, Y = (shares(*shape) if np.prod(shape) else np.empty(shape) for shape in FORMS[form])
    Z, (dX, dY) = run(nn.MatMul(), X.astype(dtype), Y.astype(dtype))
    assert_allclose(Z, X @ Y, rtol=1.3e-6)
    assert Z.shape == (X @ Y).shape
    assert dX.shape == X.shape
    assert dY.shape == Y.shape
    assert Z.dtype == dX.dtype == dY.dtype == dtype


@pytest.mark.parametrize("form", [form for form in FORMS if not form.startswith("no-")])
def test_the_gradients_of_matmul_are_sums_over_its_indices(form):
    """By z = sum_d x_d y_d, with a loop over every entry of Z in place of products of matrices."""
    X, Y = (shares(*shape) for shape in FORMS[form])
    dZ = some_dY(np.asarray(X @ Y))
    _, (dX, dY) = run(nn.MatMul(), X, Y, dY=dZ)
    rows, columns = np.atleast_2d(X), Y[:, None] if Y.ndim == 1 else Y
    expected_X, expected_Y = np.zeros_like(rows), np.zeros_like(columns)
    stack = np.broadcast_shapes(rows.shape[:-2], columns.shape[:-2])
    whole_X, whole_Y = (np.broadcast_to(A, stack + A.shape[-2:]) for A in (rows, columns))
    places_X, places_Y = (  # where in X or Y each entry of the stretched stack comes from
        np.broadcast_to(np.arange(A.size).reshape(A.shape), stack + A.shape[-2:]) for A in (rows, columns)
    )
    n, m = rows.shape[-2], columns.shape[-1]
    for index, dz in zip(np.ndindex(*stack, n, m), dZ.reshape(-1), strict=True):
        *place, i, j = index
        for d in range(rows.shape[-1]):
            x, y = (*place, i, d), (*place, d, j)
            expected_X.reshape(-1)[places_X[x]] += dz * whole_Y[y]
            expected_Y.reshape(-1)[places_Y[y]] += dz * whole_X[x]
    assert_allclose(dX, expected_X.reshape(X.shape), rtol=1e-12, atol=1e-14)
    assert_allclose(dY, expected_Y.reshape(Y.shape), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kind", [nn.Dot, nn.Outer, nn.MatMul])
@pytest.mark.parametrize(
    ("one", "other", "result"),
    [("f4", "f8", "f8"), ("i8", "f4", "f4"), ("f2", "f2", "f4"), ("?", "u1", "f4"), (">f8", ">f4", "f8")],
)
def test_the_widest_floating_dtype_decides(kind, one, other, result):
    gate = kind()
    Z = gate.forward(np.ones(3, one), np.ones(3, other))
    dX, dY = gate.backward(np.ones_like(Z))
    assert Z.dtype == dX.dtype == dY.dtype == np.dtype(result)
    assert Z.dtype.isnative


def test_products_at_ten_thousand_are_silent():
    X = np.full((3, 3), 1e4, np.float32)
    with np.errstate(all="raise"):
        for gate in nn.Dot(), nn.Outer(), nn.MatMul():
            run(gate, X, -X)


@pytest.mark.parametrize(
    ("gate", "X", "Y"),
    [
        (nn.MatMul(), (4, 3), (4, 3)),
        (nn.MatMul(), (4, 3), (2,)),
        (nn.MatMul(), (3,), (2, 3)),
        (nn.MatMul(), (5, 4, 3), (6, 3, 2)),
        (nn.MatMul(), (), (3,)),
        (nn.MatMul(), (3,), ()),
        (nn.Dot(), (4, 3), (4, 2)),
        (nn.Dot(), (4, 3), (4, 1)),
        (nn.Dot(), (4, 3), (5, 3)),
        (nn.Dot(), (), ()),
        (nn.Outer(), (4, 3), (5, 3)),
    ],
)
def test_shapes_that_do_not_fit_are_named(gate, X, Y):
    with pytest.raises(nn.ShapeError, match=rf"^{type(gate).__name__}\(\): inputs of shapes .* do not match$") as e:
        gate.forward(np.ones(X), np.ones(Y))
    assert f"{X} and {Y}" in str(e.value)


def test_the_outer_product_of_numbers_is_an_error():
    with pytest.raises(nn.ShapeError, match=r"^Outer\(\): expected vectors, got inputs of shapes \(\) and \(3,\)$"):
        nn.Outer().forward(np.array(1.0), np.ones(3))


@pytest.mark.parametrize(
    ("gate", "X", "Y"),
    [
        (nn.MatMul(), (4, 3), (4, 3)),
        (nn.MatMul(), (None, 3), (2,)),
        (nn.MatMul(), (..., 3), (2, 5)),
        (nn.MatMul(), (..., 3), (..., 2, 5)),
        (nn.MatMul(), (), UNKNOWN),
        (nn.Dot(), (..., 3), (2,)),
        (nn.Dot(), (4, 3), (4, 1)),
        (nn.Dot(), (4, 3), (5, 3)),
    ],
)
def test_known_shapes_that_do_not_fit_are_found_before_there_are_arrays(gate, X, Y):
    with pytest.raises(nn.ShapeError, match=rf"^{type(gate).__name__}\(\): "):
        gate.output_shape(X, Y)


@pytest.mark.parametrize(
    ("gate", "X", "Y", "Z"),
    [
        (nn.MatMul(), (4, 3), (3, 2), (4, 2)),
        (nn.MatMul(), (None, 3), (3, 2), (None, 2)),
        (nn.MatMul(), (..., 3), (3, 2), (..., 2)),
        (nn.MatMul(), (4, 3), (3,), (4,)),
        (nn.MatMul(), (..., 3), (3,), UNKNOWN),
        (nn.MatMul(), (3,), (3,), ()),
        (nn.MatMul(), (4, 3), (..., 3), UNKNOWN),  # a vector, or not
        (nn.MatMul(), (4, 3), UNKNOWN, UNKNOWN),
        (nn.Dot(), (4, 3), (4, 3), (4,)),
        (nn.Dot(), (None, 3), (3,), (None,)),
        (nn.Dot(), (3,), (3,), ()),
        (nn.Dot(), UNKNOWN, (3,), UNKNOWN),
    ],
)
def test_what_is_known_of_the_shape_of_a_product(gate, X, Y, Z):
    assert gate.output_shape(X, Y) == Z


# --------------------------------------------------------------------------------------------- sums


AXES = [None, 0, 1, 2, -1, -3, (0,), (0, 1), (0, 2), (2, 1), (-1, 0), (0, 1, 2), ()]


@pytest.mark.parametrize("dim", AXES)
@pytest.mark.parametrize("keepdim", [False, True])
def test_sums_and_means_are_numpys(dim, keepdim):
    X = numbers(4, 3, 2)
    Y = nn.Sum(dim, keepdim=keepdim).forward(X)
    expected = X.sum(dim, keepdims=keepdim)
    assert_allclose(Y, expected, rtol=1e-13)
    assert Y.shape == expected.shape
    mean = nn.Mean(dim, keepdim=keepdim).forward(X)
    assert_allclose(mean, X.mean(dim, keepdims=keepdim), rtol=1e-13)
    assert mean.shape == expected.shape


def test_every_summand_gets_the_gradient():
    X = np.arange(6.0).reshape(2, 3)
    assert_array_equal(run(nn.Sum(), X, dY=5.0)[1], np.full((2, 3), 5))
    assert_array_equal(run(nn.Sum(0), X, dY=[1.0, 2.0, 3.0])[1], [[1, 2, 3], [1, 2, 3]])
    assert_array_equal(run(nn.Sum(1), X, dY=[1.0, 2.0])[1], [[1, 1, 1], [2, 2, 2]])
    assert_array_equal(run(nn.Sum(1, keepdim=True), X, dY=[[1.0], [2.0]])[1], [[1, 1, 1], [2, 2, 2]])


def test_the_mean_divides_its_gradient_by_their_number():
    X = np.arange(6.0).reshape(2, 3)
    assert_array_equal(run(nn.Mean(), X, dY=6.0)[1], np.full((2, 3), 1))
    assert_array_equal(run(nn.Mean(0), X, dY=[2.0, 4.0, 6.0])[1], [[1, 2, 3], [1, 2, 3]])
    assert_array_equal(run(nn.Mean(1), X, dY=[3.0, 6.0])[1], [[1, 1, 1], [2, 2, 2]])


LAYOUTS = {
    "plain": lambda X: X,
    "fortran": np.asfortranarray,
    "every-second-column": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "backwards": lambda X: X[::-1, ::-1],
    "stretched": lambda X: np.broadcast_to(X[0], X.shape),
}


@pytest.mark.parametrize(("layout", "value"), [*dict.fromkeys(LAYOUTS, 0.1).items(), ("plain", 0.9863144159317017)])
@pytest.mark.parametrize(("dim", "n"), [(None, 3_000_000), (0, 1_000_000), ((0, 1), 3_000_000), (-2, 1_000_000)])
def test_sums_over_a_million_rows_in_float32(layout, value, dim, n):
    """Added row after row they would be off by 1 %."""
    X = LAYOUTS[layout](np.full((1_000_000, 3), value, np.float32))
    exact = float(np.float32(value))
    for keepdim in False, True:
        Y = nn.Sum(dim, keepdim=keepdim).forward(X)
        assert Y.dtype == np.float32
        assert_allclose(Y, n * exact, rtol=1e-5)
        assert_allclose(nn.Mean(dim, keepdim=keepdim).forward(X), exact, rtol=1e-5)


def test_sums_along_a_million_columns_in_float32():
    X = np.full((3, 1_000_000), 0.1, np.float32)
    assert_allclose(nn.Sum(1).forward(X), 1e6 * float(np.float32(0.1)), rtol=1e-5)
    assert_allclose(nn.Mean(-1).forward(X), float(np.float32(0.1)), rtol=1e-5)


def test_a_mean_in_float32_does_not_lose_what_lies_beside_a_large_number():
    # 1e4 + {0, 1, 2, 3} has the mean 10001.5 exactly
    X = np.tile(np.float32(1e4) + np.arange(4, dtype=np.float32), 250_000)
    assert_allclose(nn.Mean().forward(X), 10001.5, rtol=1e-7)
    assert_allclose(nn.Mean(0).forward(X[:, None]), [10001.5], rtol=1e-6)


def test_the_sum_of_no_number_is_0_and_its_mean_nan():
    for dim, shape in [(None, ()), (0, (3,)), ((0, 1), ())]:
        Y, dX = run(nn.Sum(dim), np.empty((0, 3)))
        assert_array_equal(Y, np.zeros(shape))
        assert dX.shape == (0, 3)
        Y, dX = run(nn.Mean(dim), np.empty((0, 3)))
        assert_array_equal(Y, np.full(shape, np.nan))
        assert dX.shape == (0, 3)
    assert nn.Sum(1).forward(np.empty((0, 3))).shape == (0,)


def test_sums_pass_nan_and_inf_on():
    X = np.array([[np.nan, np.inf, 1.0], [0.0, 1.0, 2.0]])
    assert_array_equal(nn.Sum(0).forward(X), [np.nan, np.inf, 3])
    assert_array_equal(nn.Mean(0).forward(X), [np.nan, np.inf, 1.5])


@pytest.mark.parametrize("kind", [nn.Sum, nn.Mean])
@pytest.mark.parametrize(("given", "result"), [("i8", "f4"), ("?", "f4"), ("f2", "f4"), (">f8", "f8"), ("g", "g")])
def test_what_is_summed_is_made_floating_first(kind, given, result):
    Y, dX = run(kind(0), np.ones((3, 2), given))
    assert Y.dtype == dX.dtype == np.dtype(result)
    assert Y.dtype.isnative
    assert_array_equal(Y, 3 if kind is nn.Sum else 1)


@pytest.mark.parametrize("kind", [nn.Sum, nn.Mean])
@pytest.mark.parametrize(
    ("dim", "fault"),
    [
        (2, "expected X with axis 2, got shape (2, 3)"),
        (-3, "expected X with axis -3, got shape (2, 3)"),
        ((0, 5), "expected X with axes 0 and 5, got shape (2, 3)"),
        ((0, 0), "the same axis is given twice for X of shape (2, 3)"),
        ((1, -1), "the same axis is given twice for X of shape (2, 3)"),
    ],
)
def test_missing_and_repeated_axes_are_named(kind, dim, fault):
    gate = kind(dim)
    with pytest.raises(nn.ShapeError) as caught:
        gate.forward(np.ones((2, 3)))
    assert str(caught.value) == f"{kind.__name__}(dim={dim}): {fault}"


def test_repr_tells_the_options():
    assert repr(nn.Sum()) == "Sum(dim=None)"
    assert repr(nn.Mean((0, -1), keepdim=True)) == "Mean(dim=(0, -1), keepdim=True)"
