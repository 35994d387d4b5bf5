"""Initializers: the right distribution, by seed, in every dtype.

Statistics are of half a million numbers drawn once from a fixed seed, and judged at five standard errors.
"""

import inspect
import math
import pickle
from functools import partial

import numpy as np
import pytest
from support.case import case

import nnlite as nn
from nnlite import initializers
from nnlite.initializers import (
    constant,
    glorot_normal,
    glorot_uniform,
    he_normal,
    he_uniform,
    lecun_normal,
    lecun_uniform,
    normal,
    orthogonal,
    uniform,
    zeros,
)

ROWS, COLUMNS = 1000, 500  # fan_in and fan_out
NUMBERS = ROWS * COLUMNS

# Each with its mean and its half-width, worked out by hand from its source for 1000 rows and 500 columns.
UNIFORM = [
    (uniform, 0, 1),
    (partial(uniform, low=2, high=5), 3.5, 1.5),
    (glorot_uniform, 0, math.sqrt(6 / 1500)),
    (partial(glorot_uniform, gain=5 / 3), 0, 5 / 3 * math.sqrt(6 / 1500)),
    (he_uniform, 0, math.sqrt(6 / 1000)),
    (lecun_uniform, 0, math.sqrt(3 / 1000)),
]
# Each with its mean and its standard deviation.
NORMAL = [
    (normal, 0, 1),
    (partial(normal, mean=3, std=0.01), 3, 0.01),
    (glorot_normal, 0, math.sqrt(2 / 1500)),
    (partial(glorot_normal, gain=0.5), 0, 0.5 * math.sqrt(2 / 1500)),
    (he_normal, 0, math.sqrt(2 / 1000)),
    (lecun_normal, 0, math.sqrt(1 / 1000)),
]
RANDOM = [
    uniform,
    normal,
    glorot_uniform,
    glorot_normal,
    he_uniform,
    he_normal,
    lecun_uniform,
    lecun_normal,
    orthogonal,
]
BY_FANS = RANDOM[2:]
ALL = [zeros, partial(constant, value=0.25), *RANDOM]


def test_every_initializer_is_tested():
    public = inspect.getmembers(initializers, inspect.isfunction)
    own = {name for name, f in public if f.__module__ == initializers.__name__ and not name.startswith("_")}
    assert own == {"zeros", "constant", *(f.__name__ for f in RANDOM)}


@pytest.mark.parametrize(("initializer", "mean", "half"), UNIFORM)
def test_uniform_ones_have_their_mean_deviation_and_bounds(initializer, mean, half):
    W = initializer((ROWS, COLUMNS), dtype=np.float64, rng=0)
    std = half / math.sqrt(3)
    assert abs(W.mean() - mean) < 5 * std / math.sqrt(NUMBERS)
    # The kurtosis of a uniform distribution is 1.8: a sample's deviation has a standard error of std sqrt(0.8 / 4n).
    assert abs(W.std() - std) < 5 * std * math.sqrt(0.2 / NUMBERS)
    assert mean - half <= W.min() < mean - half * (1 - 20 / NUMBERS)
    assert mean + half * (1 - 20 / NUMBERS) < W.max() <= mean + half


@pytest.mark.parametrize(("initializer", "mean", "std"), NORMAL)
def test_normal_ones_have_their_mean_deviation_and_tails(initializer, mean, std):
    W = initializer((ROWS, COLUMNS), dtype=np.float64, rng=0)
    assert abs(W.mean() - mean) < 5 * std / math.sqrt(NUMBERS)
    assert abs(W.std() - std) < 5 * std / math.sqrt(2 * NUMBERS)
    for sigmas, share in (1, 0.682689492), (2, 0.954499736), (3, 0.997300204):
        inside = np.mean(np.abs(W - mean) < sigmas * std)
        assert abs(inside - share) < 5 * math.sqrt(share * (1 - share) / NUMBERS)


@pytest.mark.parametrize("initializer", RANDOM)
def test_rows_and_columns_are_independent(initializer):
    W = initializer((400, 300), dtype=np.float64, rng=0)
    W = (W - W.mean()) / W.std()
    for a, b in (W[:-1], W[1:]), (W[:, :-1], W[:, 1:]):
        assert abs(np.mean(a * b)) < 5 / math.sqrt(a.size)


@pytest.mark.parametrize("fans", [(100, 400), (400, 100)])
def test_glorot_keeps_the_middle_of_both_variances_and_he_and_lecun_that_of_the_forward_values(fans):
    fan_in, fan_out = fans
    for initializer, variance in [
        (glorot_normal, 2 / (fan_in + fan_out)),
        (glorot_uniform, 2 / (fan_in + fan_out)),
        (he_normal, 2 / fan_in),
        (he_uniform, 2 / fan_in),
        (lecun_normal, 1 / fan_in),
        (lecun_uniform, 1 / fan_in),
    ]:
        assert np.var(initializer(fans, rng=1)) == pytest.approx(variance, rel=5 * math.sqrt(2 / 40_000))


def test_he_keeps_the_size_of_what_passes_twenty_relu_layers():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 256))
    for _ in range(20):
        X = np.maximum(X @ he_normal((256, 256), dtype=np.float64, rng=rng), 0)
    assert 0.3 < np.mean(X**2) < 3  # with half the variance it would be 1e-6


@pytest.mark.parametrize("initializer", RANDOM)
def test_one_seed_gives_one_result_in_every_dtype(initializer):
    W = initializer((5, 4), dtype=np.float64, rng=3)
    np.testing.assert_array_equal(initializer((5, 4), dtype=np.float64, rng=3), W)
    np.testing.assert_array_equal(initializer((5, 4), dtype=np.float32, rng=3), W.astype(np.float32))
    np.testing.assert_array_equal(initializer((5, 4), rng=3), W.astype(np.float32))
    assert np.all(initializer((5, 4), dtype=np.float64, rng=4) != W)
    assert np.all(initializer((5, 4), dtype=np.float64) != W)  # None draws a seed


@pytest.mark.parametrize("initializer", RANDOM)
def test_a_generator_goes_on(initializer):
    rng = np.random.default_rng(3)
    first, second = initializer((5, 4), rng=rng), initializer((5, 4), rng=rng)
    np.testing.assert_array_equal(first, initializer((5, 4), rng=3))
    assert np.all(first != second)


@pytest.mark.parametrize("initializer", RANDOM)
def test_the_global_state_is_neither_read_nor_moved(initializer):
    state = np.random.get_state()  # noqa: NPY002 - it is what must not be used
    initializer((5, 4), rng=0)
    initializer((5, 4))
    np.testing.assert_array_equal(np.random.get_state()[1], state[1])  # noqa: NPY002


@pytest.mark.parametrize("initializer", ALL)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, "float64"])
def test_results_are_new_contiguous_arrays_of_the_dtype(initializer, dtype):
    for shape in (5, 4), (4, 5), (1, 1):
        W = initializer(shape, dtype=dtype, rng=0)
        assert type(W) is np.ndarray
        assert (W.shape, W.dtype) == (shape, np.dtype(dtype))
        assert W.flags.c_contiguous
        assert W.flags.writeable


@pytest.mark.parametrize("initializer", RANDOM)
def test_no_two_weights_are_equal_and_none_is_0(initializer):
    W = initializer((30, 16), dtype=np.float64, rng=0)
    assert np.unique(W).size == W.size
    assert np.all(W != 0)


@pytest.mark.parametrize("initializer", [zeros, partial(constant, value=1), uniform, normal])
@pytest.mark.parametrize("shape", [3, (3,), (2, 3, 4), (), (0, 2)])
def test_those_without_fans_take_any_shape(initializer, shape):
    assert initializer(shape).shape == (shape if isinstance(shape, tuple) else (shape,))


def test_zeros_and_constant():
    np.testing.assert_array_equal(zeros((2, 3)), [[0, 0, 0], [0, 0, 0]])
    np.testing.assert_array_equal(constant((1, 2), -0.5), [[-0.5, -0.5]])


@pytest.mark.parametrize("shape", [(64, 64), (100, 30), (30, 100), (1, 5), (5, 1), (1, 1)])
@pytest.mark.parametrize(("options", "gain"), [({}, 1.0), ({"gain": 2.5}, 2.5)])
def test_orthogonal_has_orthonormal_columns_or_rows_times_the_gain(shape, options, gain):
    Q = orthogonal(shape, **options, dtype=np.float64, rng=0)
    G = Q.T @ Q if shape[0] >= shape[1] else Q @ Q.T
    np.testing.assert_allclose(G, gain**2 * np.eye(min(shape)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", [(4, 2, 3, 3), (18, 2, 3), (30, 2, 3, 2)])
def test_orthogonal_of_more_axes_is_that_of_the_matrix_with_the_rows_of_the_first(shape):
    """As torch.nn.init.orthogonal_, which flattens all axes but the first."""
    W = orthogonal(shape, gain=2.0, dtype=np.float64, rng=0)
    assert W.shape == shape
    np.testing.assert_array_equal(
        W.reshape(shape[0], -1), orthogonal((shape[0], W[0].size), gain=2.0, dtype=float, rng=0)
    )


@pytest.mark.parametrize(
    ("shape", "fan_in", "fan_out"),
    [((400, 300), 400, 300), ((40, 30, 10), 300, 400), ((40, 20, 5, 3), 300, 600), ((16, 8, 3, 5, 2), 240, 480)],
)
def test_fans_of_any_rank(shape, fan_in, fan_out):
    """torch.nn.init._calculate_fan_in_and_fan_out of (out, in, *kernel): in prod(kernel) and out prod(kernel)."""
    for initializer, variance in [
        (glorot_normal, 2 / (fan_in + fan_out)),
        (glorot_uniform, 2 / (fan_in + fan_out)),
        (he_normal, 2 / fan_in),
        (he_uniform, 2 / fan_in),
        (lecun_normal, 1 / fan_in),
        (lecun_uniform, 1 / fan_in),
    ]:
        W = initializer(shape, rng=1)
        assert np.var(W) == pytest.approx(variance, rel=5 * math.sqrt(2 / W.size))


# ------------------------------------------------------------------------------------- options without a shape


@pytest.mark.parametrize(
    ("initializer", "options"),
    [
        (normal, {"std": 0.01, "mean": 2.0}),
        (uniform, {"low": -0.1, "high": 0.1}),
        (constant, {"value": 0.5}),
        (glorot_uniform, {"gain": 2.0}),
        (glorot_normal, {"gain": 2.0}),
        (orthogonal, {"gain": 2.0}),
        *[(initializer, {}) for initializer in (zeros, he_uniform, he_normal, lecun_uniform, lecun_normal)],
    ],
)
def test_without_a_shape_it_returns_an_initializer_with_these_options(initializer, options):
    W = initializer((3, 2), dtype=np.float64, rng=0, **options)
    prepared = initializer(**options)
    for each in prepared, pickle.loads(pickle.dumps(prepared)):
        np.testing.assert_array_equal(each((3, 2), dtype=np.float64, rng=0), W)
        np.testing.assert_array_equal(nn.Linear(3, 2, weight_init=each, dtype=np.float64, rng=0).W, W)
    np.testing.assert_array_equal(initializer(shape=(3, 2), dtype=np.float64, rng=0, **options), W)


@pytest.mark.parametrize("option", [{"rng": 0}, {"dtype": np.float64}])
def test_rng_and_dtype_go_with_the_shape(option):
    name = next(iter(option))
    with pytest.raises(TypeError, match=f"^normal: {name} goes with the shape; pass {name}= to the layer instead$"):
        normal(std=0.1, **option)


def test_orthogonal_is_drawn_evenly():
    """The rotations of the plane: without the signs of R's diagonal one corner would never be positive."""
    rng = np.random.default_rng(0)
    Q = np.array([orthogonal((2, 2), dtype=np.float64, rng=rng) for _ in range(2000)])
    angle = np.arctan2(Q[:, 1, 0], Q[:, 0, 0])
    quarters = np.histogram(angle, bins=4, range=(-math.pi, math.pi))[0]
    assert np.all(np.abs(quarters - 500) < 5 * math.sqrt(2000 * 3 / 16))
    assert abs(np.mean(np.linalg.det(Q) > 0) - 0.5) < 5 * 0.5 / math.sqrt(2000)


# ------------------------------------------------------------------------------------------ what they refuse


@pytest.mark.parametrize("shape", [3, (3,), (), (0, 2), (2, 0), (-1, 2), (2, 3, 0)])
def test_a_shape_without_two_fans_is_an_error(shape):
    shapes = r"\(in_features, out_features\) or \(out_channels, in_channels, \*kernel\)"
    for initializer in BY_FANS:
        with case(initializer), pytest.raises(ValueError, match=rf"^shape: expected {shapes}, all at least 1") as error:
            initializer(shape)
        assert str(error.value).endswith(str(shape))


@pytest.mark.parametrize("dtype", [int, complex, object, bool])
def test_a_dtype_that_is_not_floating_is_an_error(dtype):
    expected = r"^dtype: expected a floating type such as np\.float32 or np\.float64, got"
    for initializer in ALL:
        with case(initializer), pytest.raises(TypeError, match=expected):
            initializer((3, 2), dtype=dtype)


@pytest.mark.parametrize(("low", "high"), [(1, 0), (np.nan, 1), (0, np.nan), (-np.inf, 1), (0, np.inf)])
def test_bounds_that_bound_nothing_are_an_error(low, high):
    with pytest.raises(ValueError, match=f"^uniform: expected finite low <= high, got low={low}, high={high}"):
        uniform((3, 2), low=low, high=high)


@pytest.mark.parametrize(("mean", "std"), [(0, -1), (0, np.nan), (0, np.inf), (np.nan, 1), (np.inf, 1)])
def test_a_mean_or_deviation_that_is_none_is_an_error(mean, std):
    with pytest.raises(
        ValueError, match=f"^normal: expected a finite mean and a finite std >= 0, got mean={mean}, std="
    ):
        normal((3, 2), mean=mean, std=std)


@pytest.mark.parametrize("initializer", [glorot_uniform, glorot_normal, orthogonal])
@pytest.mark.parametrize("gain", [np.nan, np.inf])
def test_a_gain_that_is_not_finite_is_an_error(initializer, gain):
    with pytest.raises(ValueError, match=r"expected .*finite"):
        initializer((3, 2), gain=gain)


def test_equal_bounds_and_no_deviation_are_constants():
    np.testing.assert_array_equal(uniform(3, low=2, high=2), [2, 2, 2])
    np.testing.assert_array_equal(normal(3, mean=2, std=0), [2, 2, 2])
