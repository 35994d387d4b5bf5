"""clip_grad_norm and clip_grad_value: by hand, as PyTorch, at the ends of the range, and what they refuse."""

import math

import numpy as np
import pytest
from support.case import case

import nnlite as nn
from nnlite.compute.blocks import BLOCK

both_precisions = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
RTOL = {np.float32: 1e-6, np.float64: 1e-12}


def layer_of(gradient, dtype=np.float64):
    """A layer with this dPhi."""
    gradient = np.asarray(gradient, dtype)
    layer = nn.Linear(1, gradient.size, bias=False, dtype=dtype)
    layer.dPhi = gradient
    return layer


# --------------------------------------------------------------------------------------------- by hand


@pytest.mark.parametrize(
    ("norm_type", "norm"),
    [(2, 5), (2.0, 5), (1, 7), (math.inf, 4), (3, 91 ** (1 / 3)), (0.5, (3**0.5 + 2) ** 2)],
)
@both_precisions
def test_the_norm_and_the_gradient_by_hand(norm_type, norm, dtype):
    layer = layer_of([3, -4], dtype)
    assert nn.clip_grad_norm(layer, 1.0, norm_type) == pytest.approx(norm, rel=1e-15)
    np.testing.assert_allclose(layer.dPhi, np.array([3, -4]) / (norm + 1e-6), rtol=RTOL[dtype])
    assert layer.dPhi.dtype == dtype


def test_the_norm_is_a_float_and_of_order_2_by_default():
    norm = nn.clip_grad_norm(layer_of([3, -4], np.float32), np.float32(10))
    assert norm == 5
    assert type(norm) is float


@pytest.mark.parametrize("max_norm", [5.001, 100, math.inf])
def test_a_gradient_within_the_bound_keeps_every_bit(max_norm):
    layer = layer_of([3.0, -4.0])
    assert nn.clip_grad_norm(layer, max_norm) == 5
    np.testing.assert_array_equal(layer.dPhi, [3, -4])


def test_the_bound_0_leaves_nothing():
    layer = layer_of([3.0, -4.0])
    assert nn.clip_grad_norm(layer, 0) == 5
    np.testing.assert_array_equal(layer.dPhi, [0, 0])


@pytest.mark.parametrize("norm_type", [1, 2, 3.5, math.inf])
def test_a_gradient_of_zeros_stays(norm_type):
    layer = layer_of([0.0, -0.0])
    assert nn.clip_grad_norm(layer, 1, norm_type) == 0
    np.testing.assert_array_equal(layer.dPhi, [0, 0])


def test_it_is_one_norm_for_the_whole_model_in_place():
    model = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 1))
    dPhi, dW = model.dPhi, model[0].dW
    model.dPhi[...] = 2  # nine of them: the norm is 6
    assert nn.clip_grad_norm(model, 3) == 6
    assert model.dPhi is dPhi
    assert model[0].dW is dW
    np.testing.assert_allclose(dPhi, 1, rtol=1e-6)
    np.testing.assert_array_equal(dW, dPhi[0])


def test_a_part_can_be_clipped_alone():
    model = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    model.dPhi[...] = [3, 4, 5, 6]
    assert nn.clip_grad_norm(model[0], 2.5) == 5
    np.testing.assert_allclose(model.dPhi, [1.5, 2, 5, 6], rtol=1e-6)
    nn.clip_grad_value(model[1], 5.5)
    np.testing.assert_allclose(model.dPhi, [1.5, 2, 5, 5.5], rtol=1e-6)


def test_a_layer_without_parameters_has_norm_0():
    for norm_type in 1, 2, math.inf:
        assert nn.clip_grad_norm(nn.Tanh(), 1.0, norm_type) == 0
    nn.clip_grad_value(nn.Tanh(), 1.0)


@both_precisions
def test_by_value_by_hand(dtype):
    layer = layer_of([3, -4, 0.5, -0.25, 0], dtype)
    dPhi = layer.dPhi
    assert nn.clip_grad_value(layer, 0.5) is None
    assert layer.dPhi is dPhi
    assert dPhi.dtype == dtype
    np.testing.assert_array_equal(dPhi, [0.5, -0.5, 0.5, -0.25, 0])


def test_by_value_at_the_ends():
    given = [math.inf, -math.inf, math.nan, 1e30]
    for bound, expected in [(2, [2, -2, math.nan, 2]), (0, [0, 0, math.nan, 0]), (math.inf, given), (1e300, given)]:
        layer = layer_of(given, np.float32)
        with np.errstate(all="raise"):
            nn.clip_grad_value(layer, bound)
        np.testing.assert_array_equal(layer.dPhi, np.array(expected, np.float32))


# ------------------------------------------------------------------------------------------- as PyTorch


@both_precisions
@pytest.mark.parametrize("norm_type", [0.5, 1, 2, 3, 7.5, math.inf])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])  # beyond, PyTorch's float32 powers leave the range
def test_torch_gives_the_same_norm_and_gradient(norm_type, scale, dtype):
    for max_norm in (0.0, 1e-3, 1.0, 1e6):
        with case(f"max_norm={max_norm}"):
            torch = pytest.importorskip("torch")
            rng = np.random.default_rng(0)
            model = nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 1)).astype(dtype)
            model.dPhi = scale * rng.normal(size=model.dPhi.size)
            parameters = [torch.nn.Parameter(torch.zeros(P.shape)) for _, P in model.named_parameters()]
            for P, (_, dP) in zip(parameters, model.named_gradients(), strict=True):
                P.data = P.data.to(torch.from_numpy(dP).dtype)
                P.grad = torch.tensor(dP)
            expected = torch.nn.utils.clip_grad_norm_(parameters, max_norm, norm_type)
            assert nn.clip_grad_norm(model, max_norm, norm_type) == pytest.approx(
                expected.item(), rel=2 * RTOL[dtype], abs=0
            )
            for P, (_, dP) in zip(parameters, model.named_gradients(), strict=True):
                np.testing.assert_allclose(dP, P.grad.numpy(), rtol=2 * RTOL[dtype])


@both_precisions
@pytest.mark.parametrize("given", [[1, math.inf, -2], [math.nan, 1, 2], [math.nan, math.inf, 1]])
@pytest.mark.parametrize("max_norm", [1.0, math.inf])
def test_torch_makes_the_same_of_what_is_not_finite(given, max_norm, dtype):
    for norm_type in (1, 2, 3, math.inf):
        with case(f"norm_type={norm_type}"):
            torch = pytest.importorskip("torch")
            P = torch.nn.Parameter(torch.tensor(np.zeros(3, dtype)))
            P.grad = torch.tensor(np.array(given, dtype))
            expected = torch.nn.utils.clip_grad_norm_([P], max_norm, norm_type).item()
            layer = layer_of(given, dtype)
            with np.errstate(all="raise"):
                norm = nn.clip_grad_norm(layer, max_norm, norm_type)
            np.testing.assert_array_equal(norm, expected)
            np.testing.assert_array_equal(layer.dPhi, P.grad.numpy())


@both_precisions
@pytest.mark.parametrize("bound", [0.0, 0.1, 1.0, 10.0])
def test_torch_clips_to_the_same_values(bound, dtype):
    torch = pytest.importorskip("torch")
    given = np.append(np.random.default_rng(0).normal(size=50), [math.nan, math.inf, -math.inf]).astype(dtype)
    P = torch.nn.Parameter(torch.tensor(np.zeros(53, dtype)))
    P.grad = torch.tensor(given)
    torch.nn.utils.clip_grad_value_([P], bound)
    layer = layer_of(given, dtype)
    nn.clip_grad_value(layer, bound)
    np.testing.assert_array_equal(layer.dPhi, P.grad.numpy())


# --------------------------------------------------------------------------------- at the ends of the range

# The norm of n equal elements is n^(1/p) times one of them.
RANGE = [
    (np.float32, 1e30),  # squares beyond float32
    (np.float32, 3e38),  # so is the norm
    (np.float32, 1e-30),  # squares below it
    (np.float32, 1e-22),  # squares that have lost digits
    (np.float32, 1e-43),  # subnormal
    (np.float64, 1e300),
    (np.float64, 1e-161),
    (np.float64, 1e-300),
    (np.float64, 5e-324),
]


@pytest.mark.parametrize(("dtype", "size"), RANGE)
def test_the_norm_neither_overflows_nor_vanishes(dtype, size):
    for norm_type in (1, 2, 3, 40, math.inf):
        with case(f"norm_type={norm_type}"):
            layer = layer_of(np.full(10_000, size), dtype)
            one = float(layer.dPhi[0])
            with np.errstate(all="raise"):
                norm = nn.clip_grad_norm(layer, math.inf, norm_type)
            assert norm == pytest.approx(one * 10_000 ** (1 / norm_type), rel=1e-12, abs=0)
            np.testing.assert_array_equal(layer.dPhi, layer.dPhi.dtype.type(size))


@pytest.mark.parametrize(("dtype", "size"), [(np.float32, 1e30), (np.float32, 3e38), (np.float64, 1e300)])
@pytest.mark.parametrize("max_norm", [1e-3, 1, 100])
def test_a_huge_gradient_is_clipped_to_the_last_digit(dtype, size, max_norm):
    layer = layer_of(np.full(10_000, size), dtype)
    nn.clip_grad_norm(layer, max_norm)
    np.testing.assert_allclose(layer.dPhi, max_norm / 100, rtol=3 * np.finfo(dtype).eps)


def test_the_norm_is_not_scaled_by_its_smallest_elements():
    layer = layer_of([1e300, 1e-300, -1e300])
    assert nn.clip_grad_norm(layer, 1) == pytest.approx(math.sqrt(2) * 1e300, rel=1e-15)


def test_a_norm_beyond_the_range_of_a_float_is_inf():
    layer = layer_of(np.full(10_000, 1e308))
    with np.errstate(all="raise"):
        assert nn.clip_grad_norm(layer, 1) == math.inf


@both_precisions
@pytest.mark.parametrize("norm_type", [1, 2, 3, math.inf])
def test_a_gradient_of_several_blocks(norm_type, dtype):
    """The exact norm of 1, 2, 3, 1, 2, 3 ...: a third of the n elements each."""
    n = 3 * BLOCK + 9
    layer = layer_of(1 + np.arange(n) % 3, dtype)
    layer.dPhi[-1] = -3
    exact = 3.0 if norm_type == math.inf else ((1 + 2**norm_type + 3**norm_type) * (n // 3)) ** (1 / norm_type)
    assert n % 3 == 0
    assert nn.clip_grad_norm(layer, exact / 2, norm_type) == pytest.approx(exact, rel=1e-13)
    np.testing.assert_allclose(layer.dPhi[[0, BLOCK, -1]], [0.5, (1 + BLOCK % 3) / 2, -1.5], rtol=1e-6)


@both_precisions
@pytest.mark.parametrize("norm_type", [1, 2, 3, math.inf])
@pytest.mark.parametrize("place", [0, BLOCK, -1])
def test_a_nan_in_any_block_is_the_norm(place, norm_type, dtype):
    given = np.ones(2 * BLOCK + 9)
    given[place] = math.nan
    layer = layer_of(given, dtype)
    with np.errstate(all="raise"):
        assert math.isnan(nn.clip_grad_norm(layer, 1.0, norm_type))
    assert np.isnan(layer.dPhi).all()


@pytest.mark.parametrize("size", [1023, 1024, 1025, 2**22])
def test_many_float32_elements_lose_no_digits(size):
    """One float32 sum of 2^22 squares would be wrong by 5e-4."""
    layer = layer_of(np.full(size, 0.1), np.float32)
    assert nn.clip_grad_norm(layer, math.inf) == pytest.approx(float(np.float32(0.1)) * size**0.5, rel=2e-7)


# ------------------------------------------------------------------------------------------ what they refuse


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"max_norm": -1}, ValueError, "max_norm: expected a number >= 0, got -1"),
        ({"max_norm": math.nan}, ValueError, "max_norm: expected a number >= 0, got nan"),
        ({"max_norm": "1"}, TypeError, "max_norm: expected a number, got '1'"),
        ({"max_norm": None}, TypeError, "max_norm: expected a number, got None"),
        ({"max_norm": 1, "norm_type": 0}, ValueError, "norm_type: expected a number above 0, or inf, got 0"),
        ({"max_norm": 1, "norm_type": -math.inf}, ValueError, "norm_type: expected a number above 0, or inf, got -inf"),
        ({"max_norm": 1, "norm_type": math.nan}, ValueError, "norm_type: expected a number above 0, or inf, got nan"),
        ({"max_norm": 1, "norm_type": "inf"}, TypeError, "norm_type: expected a number, got 'inf'"),
    ],
)
def test_a_wrong_argument_is_an_error_and_clips_nothing(options, error, message):
    layer = layer_of([3.0, -4.0])
    with pytest.raises(error, match=f"^clip_grad_norm: {message}"):
        nn.clip_grad_norm(layer, **options)
    np.testing.assert_array_equal(layer.dPhi, [3, -4])


@pytest.mark.parametrize(
    ("bound", "error", "message"),
    [
        (-1, ValueError, "expected a number >= 0, got -1"),
        (math.nan, ValueError, "expected a number >= 0, got nan"),
        ([1], TypeError, r"expected a number, got \[1\]"),
    ],
)
def test_a_wrong_bound_is_an_error_and_clips_nothing(bound, error, message):
    layer = layer_of([3.0, -4.0])
    with pytest.raises(error, match=f"^clip_grad_value: clip_value: {message}"):
        nn.clip_grad_value(layer, bound)
    np.testing.assert_array_equal(layer.dPhi, [3, -4])


@pytest.mark.parametrize("clip", [nn.clip_grad_norm, nn.clip_grad_value])
def test_what_is_no_layer_is_an_error(clip):
    for wrong in np.zeros(3), None, nn.SGD(nn.Linear(1, 1), 0.1), nn.Linear:
        with pytest.raises(TypeError, match=rf"^{clip.__name__}: layer: expected a Layer, got"):
            clip(wrong, 1.0)
