"""Linear: Y = X W + b, its gradients, and what it refuses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import nnlite as nn
from nnlite import initializers

numbers = st.integers(-100, 100).map(float)  # sums and products of whole numbers are exact in float64


def linear(W, b=None):
    layer = nn.Linear(*np.shape(W), bias=b is not None, dtype=np.float64)
    layer.W = W
    if b is not None:
        layer.b = b
    return layer


def test_a_worked_example():
    layer = linear([[1, 2, 3], [4, 5, 6]], [10, 20, 30])
    np.testing.assert_array_equal(layer.forward(np.array([[1.0, -1.0], [0.0, 2.0]])), [[7, 17, 27], [18, 30, 42]])
    dX = layer.backward(np.array([[1.0, 0.0, 2.0], [0.0, -1.0, 1.0]]))
    np.testing.assert_array_equal(dX, [[7, 16], [1, 1]])  # [1+6, 4+12], [-2+3, -5+6]
    np.testing.assert_array_equal(layer.dW, [[1, 0, 2], [-1, -2, 0]])  # X^T dY: row 2 is -dY_1 + 2 dY_2
    np.testing.assert_array_equal(layer.db, [1, -1, 3])


@given(
    arrays(float, (5, 3), elements=numbers), arrays(float, (3, 2), elements=numbers), arrays(float, 2, elements=numbers)
)
def test_each_row_is_a_sample_of_its_own(X, W, b):
    layer = linear(W, b)
    rows = [layer.forward(x) for x in X]
    np.testing.assert_allclose(layer.forward(X), rows, rtol=1e-12)


@given(arrays(float, (5, 3), elements=numbers), arrays(float, (5, 2), elements=numbers))
def test_gradients_are_the_sums_of_those_of_the_rows(X, dY):
    layer = linear(np.arange(6.0).reshape(3, 2), np.ones(2))
    dW, db = np.zeros((3, 2)), np.zeros(2)
    for x, dy in zip(X, dY, strict=True):
        layer.forward(x)
        layer.backward(dy)
        dW += layer.dW
        db += layer.db
    layer.forward(X)
    layer.backward(dY)
    np.testing.assert_array_equal(layer.dW, dW)
    np.testing.assert_array_equal(layer.db, db)


@pytest.mark.parametrize("shape", [(3,), (1, 3), (2, 4, 3), (2, 1, 4, 3), (0, 3), (2, 0, 3)])
@pytest.mark.parametrize("bias", [True, False])
def test_leading_axes_are_free(shape, bias):
    layer = nn.Linear(3, 2, bias=bias, dtype=np.float64, rng=0)
    X, dY = np.random.default_rng(0).normal(size=shape), np.random.default_rng(1).normal(size=(*shape[:-1], 2))
    Y = layer.forward(X)
    dX = layer.backward(dY)
    np.testing.assert_allclose(Y, np.einsum("...d,dm->...m", X, layer.W), rtol=1e-12, atol=1e-15)  # b is 0
    np.testing.assert_allclose(dX, np.einsum("...m,dm->...d", dY, layer.W), rtol=1e-12)
    np.testing.assert_allclose(layer.dW, np.einsum("nd,nm->dm", X.reshape(-1, 3), dY.reshape(-1, 2)), rtol=1e-12)
    assert (Y.shape, dX.shape) == (dY.shape, X.shape)


def test_bias_of_a_million_rows_gets_the_right_gradient_in_float32():
    layer = nn.Linear(1, 7)
    layer.forward(np.zeros((1_000_000, 1), np.float32))
    layer.backward(np.full((1_000_000, 7), 0.1, np.float32))
    np.testing.assert_allclose(layer.db, 100_000, rtol=1e-5)


def test_without_bias_there_is_none():
    layer = nn.Linear(3, 2, bias=False)
    assert layer.b is None
    assert layer.db is None
    assert layer.Phi.shape == (6,)
    np.testing.assert_array_equal(layer.forward(np.zeros((1, 3))), [[0, 0]])


def test_dX_is_left_out_when_nobody_needs_it_and_the_rest_stays():
    layer, X, dY = nn.Linear(3, 2, rng=0), np.ones((4, 3), np.float32), np.ones((4, 2), np.float32)
    layer.forward(X)
    layer.backward(dY)
    dPhi = layer.dPhi.copy()
    layer.dPhi[...] = 0
    layer.needs_dX = False
    assert layer.backward(dY) is None
    np.testing.assert_array_equal(layer.dPhi, dPhi)


def test_the_default_weights_are_glorot_uniform_and_the_bias_is_0():
    layer = nn.Linear(30, 16, rng=5)
    np.testing.assert_array_equal(layer.W, initializers.glorot_uniform((30, 16), rng=5))
    np.testing.assert_array_equal(layer.b, np.zeros(16))
    assert layer.W.dtype == layer.b.dtype == np.float32
    assert np.count_nonzero(layer.W) == 480


def test_weight_init_is_called_with_shape_dtype_and_a_generator():
    calls = []

    def ones(shape, *, dtype, rng):
        calls.append((shape, dtype, rng.random()))
        return np.ones(shape, dtype)

    layer = nn.Linear(3, 2, weight_init=ones, dtype=np.float64, rng=7)
    assert calls == [((3, 2), np.float64, np.random.default_rng(7).random())]
    np.testing.assert_array_equal(layer.W, np.ones((3, 2)))


def test_integers_are_converted_to_the_parameters_dtype():
    assert nn.Linear(3, 2).forward([[1, 2, 3]]).dtype == np.float32
    assert nn.Linear(3, 2, dtype=np.float64).forward(np.array([[True, False, True]])).dtype == np.float64


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_silent_and_finite_up_to_1e4(dtype):
    layer = nn.Linear(2, 3, dtype=dtype, rng=0)
    with np.errstate(all="raise", under="ignore"):
        Y = layer.forward(np.array([[1e4, -1e4], [0, 1e4]], dtype))
        dX = layer.backward(Y)
    assert np.isfinite(Y).all()
    assert np.isfinite(dX).all()
    assert Y.dtype == dX.dtype == layer.dW.dtype == layer.db.dtype == dtype


def test_nan_and_inf_pass():
    Y = linear([[1.0], [1.0]], [0.0]).forward(np.array([[np.nan, 0], [np.inf, 0], [1, 1]]))
    np.testing.assert_array_equal(Y, [[np.nan], [np.inf], [2]])


# ------------------------------------------------------------------------------------------ what it refuses


@pytest.mark.parametrize("widths", [(-1, 2), (0, 2), (2, -1), (2, 0)])
def test_a_width_below_1_is_an_error(widths):
    name, width = ("in_features", widths[0]) if widths[0] < 1 else ("out_features", widths[1])
    with pytest.raises(ValueError, match=f"^Linear: {name}: expected at least 1, got {width}"):
        nn.Linear(*widths)


@pytest.mark.parametrize("width", [3.0, "3", None, [3]])
def test_a_width_that_is_no_whole_number_is_an_error(width):
    with pytest.raises(TypeError, match=r"^Linear: in_features: expected a whole number, got"):
        nn.Linear(width, 2)
    with pytest.raises(TypeError, match=r"^Linear: out_features: expected a whole number, got"):
        nn.Linear(2, width)


def test_numpy_whole_numbers_are_widths():
    assert nn.Linear(np.int64(3), np.uint8(2)).W.shape == (3, 2)


@pytest.mark.parametrize("dtype", [int, complex, object])
def test_a_dtype_that_is_not_floating_is_an_error(dtype):
    with pytest.raises(TypeError, match=r"^dtype: expected a floating type such as np\.float32 or np\.float64, got"):
        nn.Linear(3, 2, dtype=dtype)


def test_weights_of_another_shape_are_an_error():
    with pytest.raises(nn.ShapeError, match=r"^Linear: expected weight_init to return shape \(3, 2\), got \(2, 3\)"):
        nn.Linear(3, 2, weight_init=lambda shape, dtype, rng: np.zeros((2, 3), dtype))


@pytest.mark.parametrize("shape", [(4, 2), (2,), (3, 2, 4), (3, 1, 2)])
def test_the_wrong_number_of_features_is_an_error(shape):
    with pytest.raises(nn.ShapeError, match=r"^Linear\(3 -> 2\): expected 3 features, got \d \(X has shape") as error:
        nn.Linear(3, 2).forward(np.zeros(shape))
    assert f"got {shape[-1]} (X has shape {shape})" in str(error.value)
    assert "transposed" not in str(error.value)


def test_a_transposed_matrix_gets_a_hint():
    with pytest.raises(nn.ShapeError, match=r"\(3, 4\); rows are samples, so X looks transposed: pass X\.T"):
        nn.Linear(3, 2).forward(np.zeros((3, 4)))


def test_a_scalar_is_an_error():
    with pytest.raises(nn.ShapeError, match=r"^Linear\(3 -> 2\): expected X of shape \(\.\.\., 3\), got a scalar"):
        nn.Linear(3, 2).forward(np.array(1.0))


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.array([[1, 2, None]], object), "expected real numbers, got ndarray of dtype object"),
        ("abc", "expected real numbers, got str"),
        ([["1", "2", "3"]], "expected real numbers, got list of dtype <U1"),
        (np.ones((1, 3), complex), "expected real numbers, got ndarray of dtype complex128"),
        (None, "expected real numbers, got NoneType"),
        (np.zeros((1, 3), "M8[s]"), "expected real numbers, got ndarray of dtype datetime64"),
        (np.ma.masked_array(np.ones((1, 3))), r"got a masked array; fill it first"),
        (np.ones((1, 3)).view(np.matrix), r"got np\.matrix; pass np\.asarray"),
    ],
    ids=["object", "str", "strings", "complex", "None", "dates", "masked", "matrix"],
)
def test_what_holds_no_real_numbers_is_an_error(X, message):
    with pytest.raises(TypeError, match=rf"^Linear\(3 -> 2\): X: .*{message}"):
        nn.Linear(3, 2).forward(X)


def test_a_ragged_list_is_an_error():
    with pytest.raises(ValueError, match=r"^Linear\(3 -> 2\): X: cannot be converted to an array"):
        nn.Linear(3, 2).forward([[1, 2, 3], [1, 2]])


def test_backward_before_forward_is_an_error():
    with pytest.raises(nn.StateError, match=r"^Linear\(3 -> 2\): backward was called before forward; call forward"):
        nn.Linear(3, 2).backward(np.zeros((4, 2)))


@pytest.mark.parametrize("shape", [(4, 3), (2,), (1, 2), (4, 1), (4, 2, 1), ()])
def test_dY_of_another_shape_is_an_error(shape):
    layer = nn.Linear(3, 2)
    layer.forward(np.zeros((4, 3)))
    with pytest.raises(nn.ShapeError, match=r"^Linear\(3 -> 2\): expected dY of shape \(4, 2\).*, got \(") as error:
        layer.backward(np.zeros(shape))
    assert str(error.value).endswith(f"got {shape}")


@pytest.mark.parametrize("dtype", [int, np.uint8, bool])
def test_whole_number_dY_is_an_error(dtype):
    layer = nn.Linear(3, 2)
    layer.forward(np.zeros((4, 3)))
    with pytest.raises(TypeError, match=r"^Linear\(3 -> 2\): dY: expected floating numbers, got dtype"):
        layer.backward(np.zeros((4, 2), dtype))


def test_dY_that_is_none_is_an_error():
    layer = nn.Linear(3, 2)
    layer.forward(np.zeros((4, 3)))
    with pytest.raises(TypeError, match=r"dY is None; does the backward of the next layer return its dX\?"):
        layer.backward(None)


def test_widths_that_do_not_meet_are_an_error_naming_both_layers():
    message = r"Sequential\[0\] Linear\(3 -> 4\) outputs \(\.\.\., 4\), but Sequential\[2\] Linear\(5 -> 2\) "
    message += r"does not accept it: Linear\(5 -> 2\): expected 5 features, got 4$"
    with pytest.raises(nn.ShapeError, match=message):
        nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(5, 2))


def test_an_error_inside_a_model_names_the_place():
    model = nn.Sequential(nn.Tanh(), nn.Linear(3, 2))
    with pytest.raises(nn.ShapeError, match="expected 3 features, got 4") as error:
        model.forward(np.zeros((5, 4)))
    assert error.value.__notes__ == ["in Sequential[1] Linear(3 -> 2)"]


def test_repr_shows_what_differs_from_the_defaults():
    assert repr(nn.Linear(3, 2)) == "Linear(3 -> 2)"
    assert repr(nn.Linear(3, 2, bias=False, dtype=np.float64)) == "Linear(3 -> 2, bias=False, dtype=float64)"


def test_weights_that_lie_the_other_way_round_in_memory_make_no_difference():
    def turned(shape, *, dtype, rng):
        return np.asfortranarray(np.arange(6.0).reshape(shape), dtype)

    layer = nn.Linear(3, 2, weight_init=turned, dtype=np.float64)
    np.testing.assert_array_equal(layer.forward([[1.0, 10.0, 100.0]]), [[420, 531]])
    np.testing.assert_array_equal(layer.backward([[1.0, -1.0]]), [[-1, -1, -1]])
    np.testing.assert_array_equal(layer.dW, [[1, -1], [10, -10], [100, -100]])


def test_a_weight_init_that_is_no_function_is_an_error():
    with pytest.raises(TypeError, match="Linear: weight_init: expected a function such as he_normal, got 'he_normal'"):
        nn.Linear(3, 2, weight_init="he_normal")


def test_images_without_flatten_are_told_of_it():
    with pytest.raises(nn.ShapeError, match=r"expected 12 features, got 2 .*put nn\.Flatten\(\) before it"):
        nn.Linear(12, 1).forward(np.zeros((4, 3, 2, 2)))
    with pytest.raises(nn.ShapeError, match=r"\(X has shape \(4, 3, 2, 3\)\)"):
        nn.Linear(12, 1).forward(np.zeros((4, 3, 2, 3)))
