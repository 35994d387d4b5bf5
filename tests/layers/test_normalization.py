"""Normalization: closed forms, running statistics, and what is refused."""

import re
import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from support.case import case

import nnlite as nn
from nnlite.diagnostics.profile import flops_of

RAMP = np.arange(4.0)  # mean 1.5, variance 1.25, and 5/3 with n - 1
STANDARD = (RAMP - 1.5) / np.sqrt(1.25)
OF_RAMP = [  # layers of which each normalizes the four numbers together, and the shape that X has
    (nn.BatchNorm1d, (1,), (4, 1)),
    (nn.BatchNorm1d, (1,), (2, 1, 2)),
    (nn.BatchNorm2d, (1,), (2, 1, 2, 1)),
    (nn.BatchNorm3d, (1,), (1, 1, 2, 1, 2)),
    (nn.InstanceNorm1d, (1,), (1, 1, 4)),
    (nn.InstanceNorm1d, (1,), (1, 4)),
    (nn.InstanceNorm2d, (1,), (1, 1, 2, 2)),
    (nn.InstanceNorm3d, (1,), (1, 2, 1, 2)),
    (nn.GroupNorm, (1, 4), (1, 4)),
    (nn.GroupNorm, (1, 2), (1, 2, 2)),
    (nn.LayerNorm, (4,), (4,)),
    (nn.LayerNorm, ((2, 2),), (1, 2, 2)),
]
rng = np.random.default_rng(0)


def each(cases):
    return pytest.mark.parametrize(("make", "args", "shape"), cases, ids=[f"{m.__name__}-{s}" for m, _, s in cases])


# --------------------------------------------------------------------------------------------- closed forms


@each(OF_RAMP)
def test_four_numbers_in_float32_far_from_0(make, args, shape):
    """The variance of 1e4 + {0, 1, 2, 3} is 1.25: mean(X^2) - mean(X)^2 would be 0 or 8 in float32."""
    layer = make(*args, eps=1e-12)
    X = (1e4 + RAMP).astype(np.float32).reshape(shape)
    assert_allclose(layer.forward(X).ravel(), STANDARD, rtol=1e-6)


@each(OF_RAMP)
def test_the_gradient_of_the_first_of_four_numbers(make, args, shape):
    """dX_j = (delta_1j - 1/4 - h_1 h_j / 4) / sqrt(1.25), in training mode and where nothing is tracked."""
    layer = make(*args, eps=1e-14).astype(np.float64)
    layer.forward(RAMP.reshape(shape))
    dY = np.zeros(4)
    dY[0] = 1
    expected = (dY - 1 / 4 - STANDARD[0] * STANDARD / 4) / np.sqrt(1.25)
    assert_allclose(layer.backward(dY.reshape(shape)).ravel(), expected, atol=1e-12)


@each(
    [
        *((nn.BatchNorm1d, (3,), shape) for shape in ((7, 3), (1000, 3), (20_001, 3), (37, 3, 11))),
        (nn.BatchNorm3d, (3,), (7, 3, 5, 3, 11)),
        (nn.InstanceNorm2d, (3,), (5, 3, 7, 11)),
        (nn.GroupNorm, (3, 21), (5, 21)),
        (nn.GroupNorm, (3, 21), (5, 21, 13)),
        (nn.LayerNorm, (1001,), (70, 1001)),
    ]
)
def test_equal_numbers_give_exactly_beta(make, args, shape):
    """A plain mean of equal numbers differs from them by rounding, which 1 / sqrt(eps) multiplies."""
    for value in 0.1, 1e6, -7.3:
        layer = make(*args)
        if layer.beta is not None:
            layer.beta = np.full(layer.beta.shape, 0.3)
        Y = layer.forward(np.full(shape, value, np.float32))
        assert_array_equal(Y, np.full(shape, 0 if layer.beta is None else np.float32(0.3)))


FAR_FROM_0 = [
    (nn.BatchNorm1d, (6,), (50, 6)),
    (nn.BatchNorm1d, (6,), (50, 6, 7)),
    (nn.BatchNorm2d, (6,), (1, 6, 5, 7)),
    (nn.BatchNorm1d, (40,), (3001, 40)),
    (nn.InstanceNorm1d, (6,), (8, 6, 50)),
    (nn.GroupNorm, (2, 6), (8, 6, 50)),
    (nn.GroupNorm, (2, 40), (8, 40)),
    (nn.LayerNorm, (50,), (8, 50)),
]


@pytest.mark.parametrize("way", ["numpy", "numba"])
@each(FAR_FROM_0)
def test_float32_far_from_0_is_as_exact_as_float64_of_the_same_numbers(make, args, shape, way):
    """A mean of 10,000 that is rounded to float32 is wrong by up to 5e-4, and Y by a third of it."""
    rng = np.random.default_rng(0)
    X, dY = (rng.normal(size=shape) * 3 + 1e4).astype(np.float32), rng.normal(size=shape).astype(np.float32)
    layer, exact = make(*args), make(*args).astype(np.float64)
    for each_layer in layer, exact:
        if each_layer.gamma is not None:
            each_layer.gamma = np.linspace(0.5, 2, each_layer.gamma.size)
            each_layer.beta = np.linspace(-1, 1, each_layer.gamma.size)
    nn.set_kernels(way)
    try:
        Y, dX = layer.forward(X), layer.backward(dY)
    finally:
        nn.set_kernels("numpy")
    assert_allclose(Y, exact.forward(X.astype(np.float64)), rtol=1.3e-6, atol=2e-6)
    assert_allclose(dX, exact.backward(dY.astype(np.float64)), rtol=1.3e-6, atol=1e-6)
    for (name, got), (_, expected) in zip(layer.named_buffers(), exact.named_buffers(), strict=True):
        assert_allclose(got, expected, rtol=1.3e-6, err_msg=name)
    for name in ("dgamma", "dbeta") if layer.gamma is not None else ():
        got, expected = getattr(layer, name), getattr(exact, name)
        assert_allclose(got, expected, rtol=1.3e-6, atol=1e-6 * np.abs(dY).sum() / expected.size, err_msg=name)


def test_RMSNorm_by_hand():
    layer = nn.RMSNorm(2, eps=1e-15).astype(np.float64)
    layer.gamma = [2.0, -1.0]
    assert_allclose(layer.forward([[1.0, 7.0]]), [[0.4, -1.4]])  # the mean of the squares is 25
    dX = layer.backward(np.array([[1.0, 0.0]]))  # dH = (2, 0), H = (0.2, 1.4), mean(dH H) = 0.2
    assert_allclose(dX, [[(2 - 0.2 * 0.2) / 5, -0.2 * 1.4 / 5]])
    assert_allclose(layer.dgamma, [0.2, 0])


def test_the_default_eps_of_RMSNorm_is_that_of_the_dtype():
    for dtype in np.float32, np.float64:
        tiny = np.sqrt(np.finfo(dtype).eps)
        layer = nn.RMSNorm(2).astype(dtype)
        assert_allclose(layer.forward(np.full((1, 2), tiny, dtype)), np.sqrt([[0.5, 0.5]]), rtol=1e-6)


def test_LocalResponseNorm_by_hand():
    layer = nn.LocalResponseNorm(2, alpha=2.0, beta=1.0)
    X = np.array([[[1.0], [2.0], [3.0]]])
    assert_allclose(layer.forward(X), np.array([[[1 / 2], [2 / 6], [3 / 14]]]))  # 1+1, 1+1+4, 1+4+9
    dX = layer.backward(np.array([[[0.0], [0.0], [1.0]]]))  # d(x3 / (1 + x2^2 + x3^2))
    assert_allclose(dX.ravel(), [0, -3 * 4 / 14**2, 1 / 14 - 3 * 6 / 14**2])


def test_GroupNorm_of_one_group_is_LayerNorm_and_of_single_channels_InstanceNorm():
    X, dY = rng.normal(size=(2, 3, 4, 5))
    for one, other in (nn.GroupNorm(1, 4), nn.LayerNorm((4, 5))), (nn.GroupNorm(4, 4), nn.InstanceNorm1d(4)):
        assert_allclose(one.astype(float).forward(X), other.astype(float).forward(X), rtol=1e-12)
        assert_allclose(one.backward(dY), other.backward(dY), rtol=1e-12)


# --------------------------------------------------------------------------------------- running statistics


def test_running_statistics_of_four_numbers():
    layer = nn.BatchNorm1d(1, dtype=np.float64)
    layer.forward(RAMP[:, None])
    assert_allclose([layer.running_mean[0], layer.running_var[0]], [0.15, 0.9 + 0.1 * 5 / 3])
    assert layer.num_batches_tracked == 1
    assert layer.num_batches_tracked.dtype == np.int64


def test_without_momentum_they_are_means_over_the_batches():
    layer = nn.BatchNorm1d(3, momentum=None, dtype=np.float64)
    batches = rng.normal(5, 3, size=(4, 10, 3))
    for X in batches:
        layer.forward(X)
    assert_allclose(layer.running_mean, batches.mean(axis=(0, 1)))
    assert_allclose(layer.running_var, batches.var(axis=1, ddof=1).mean(axis=0))


def test_evaluation_mode_uses_them_and_changes_nothing():
    layer = nn.BatchNorm1d(2, eps=1e-12, dtype=np.float64).eval()
    layer.running_mean, layer.running_var, layer.gamma, layer.beta = [1, 2], [4, 9], [3, 5], [7, 11]
    before = layer.state_dict()
    assert_allclose(layer.forward([[5.0, 2.0]]), [[7 + 3 * 4 / 2, 11]])  # one sample
    assert_allclose(layer.backward(np.array([[1.0, 1.0]])), [[3 / 2, 5 / 3]])
    assert_allclose([*layer.dgamma, *layer.dbeta], [2, 0, 1, 1])
    assert all(np.array_equal(before[name], array) for name, array in layer.state_dict().items())


def test_backward_goes_by_the_mode_of_its_forward():
    layer, X, dY = nn.BatchNorm1d(2, dtype=np.float64), *rng.normal(size=(2, 5, 2))
    layer.forward(X)
    of_batch = layer.backward(dY)
    layer.eval()
    assert_array_equal(layer.backward(dY), of_batch)
    layer.forward(X)
    given = layer.train().backward(dY)
    assert not np.allclose(given, of_batch)
    assert_allclose(given, dY / np.sqrt(layer.running_var + 1e-5))


def test_InstanceNorm_tracks_means_over_the_samples_and_counts_no_batches():
    X = rng.normal(5, 3, size=(4, 2, 10))
    layer = nn.InstanceNorm1d(2, track_running_stats=True, dtype=np.float64)
    layer.forward(X)
    assert_allclose(layer.running_mean, 0.1 * X.mean(axis=(0, 2)))
    assert_allclose(layer.running_var, 0.9 + 0.1 * X.var(axis=2, ddof=1).mean(axis=0))
    assert layer.num_batches_tracked == 0
    still = nn.InstanceNorm1d(2, momentum=None, track_running_stats=True, dtype=np.float64)
    still.forward(X)
    assert_array_equal(still.running_mean, [0, 0])


def test_a_batch_without_samples_changes_no_statistics():
    for make, shape in (nn.BatchNorm1d, (0, 2)), (nn.BatchNorm2d, (3, 2, 0, 4)):
        layer = make(2, momentum=None)
        assert layer.forward(np.empty(shape)).shape == shape
        assert layer.backward(np.empty(shape)).shape == shape
        assert_array_equal(layer.dPhi, 0)
        assert [*layer.running_mean, *layer.running_var, layer.num_batches_tracked] == [0, 0, 1, 1, 0]


# --------------------------------------------------------------------------------------- large arrays, dtypes


@each(
    [
        *((nn.BatchNorm1d, (40,), shape) for shape in ((3000, 40), (3001, 40), (100, 40, 30))),
        (nn.LayerNorm, (40,), (3000, 40)),
        (nn.RMSNorm, (40,), (3000, 40)),
        (nn.GroupNorm, (4, 40), (100, 40, 30)),
    ]
)
def test_arrays_of_several_blocks_of_rows(make, args, shape):
    """A block has 2^15 elements; the last one has fewer rows."""
    layer = make(*args, eps=1e-5).astype(np.float64)
    layer.gamma = rng.normal(size=40)
    X, dY = rng.normal(2, 3, size=(2, *shape))
    grouped = X.reshape(100, 4, 300) if make is nn.GroupNorm else X
    axes = {nn.BatchNorm1d: (0, 2)[: len(shape) - 1], nn.GroupNorm: 2}.get(make, 1)
    mean = 0 if make is nn.RMSNorm else grouped.mean(axis=axes, keepdims=True)
    scale = 1 / np.sqrt(((grouped - mean) ** 2).mean(axis=axes, keepdims=True) + 1e-5)
    H = ((grouped - mean) * scale).reshape(shape)
    gamma, over = (layer.gamma[:, None], (0, 2)) if len(shape) == 3 else (layer.gamma, 0)
    assert_allclose(layer.forward(X), H * gamma, rtol=1e-9, atol=1e-12)
    dX = layer.backward(dY)
    dH, H = (dY * gamma).reshape(grouped.shape), H.reshape(grouped.shape)
    mean_dH = 0 if make is nn.RMSNorm else dH.mean(axis=axes, keepdims=True)
    expected = scale * (dH - mean_dH - H * (dH * H).mean(axis=axes, keepdims=True))
    assert_allclose(dX, expected.reshape(shape), rtol=1e-8, atol=1e-10)
    assert_allclose(layer.dgamma, (dY * H.reshape(shape)).sum(axis=over), rtol=1e-9)
    if make is not nn.RMSNorm:
        assert_allclose(layer.dbeta, dY.sum(axis=over), rtol=1e-9)


def test_statistics_of_a_million_samples_in_float32():
    X = np.tile(np.float32([[0.1, 1000.0], [0.3, 1002.0]]), (500_000, 1))
    layer = nn.BatchNorm1d(2, momentum=1.0)
    layer.forward(X)
    assert_allclose(layer.running_mean, [0.2, 1001], rtol=1e-5)
    assert_allclose(layer.running_var, [0.01, 1], rtol=1e-5)
    layer.backward(np.full(X.shape, 0.1, np.float32))
    assert_allclose(layer.dbeta, 1e5, rtol=1e-5)


def test_the_sums_of_columns_of_a_formula_need_no_array_of_its_size():
    column_sums = nn.kernel(lambda X, Y: np.sum(X * Y, axis=0))
    X = np.ones((30_000, 40))
    tracemalloc.start()
    sums = column_sums(X, X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert_array_equal(sums, np.full(40, 30_000))
    assert peak < X.nbytes / 4


def test_a_layer_without_parameters_keeps_the_dtype_of_X():
    for layer, shape in [
        (nn.BatchNorm1d(3, affine=False), (4, 3)),
        (nn.InstanceNorm1d(3, track_running_stats=True), (4, 3, 2)),
        (nn.GroupNorm(1, 3, affine=False), (4, 3)),
        (nn.LayerNorm(3, elementwise_affine=False), (4, 3)),
        (nn.RMSNorm(3, elementwise_affine=False), (4, 3)),
    ]:
        with case(layer):
            Y = layer.forward(rng.normal(size=shape))
            assert Y.dtype == layer.backward(Y).dtype == np.float64
            assert layer.eval().forward(rng.normal(size=shape)).dtype == np.float64
            assert all(buffer.dtype in (np.float32, np.int64) for _, buffer in layer.named_buffers())


# --------------------------------------------------------------------------------------------------- refused


def test_one_value_has_no_variance():
    for layer, shape in [
        (nn.BatchNorm1d(3), (1, 3)),
        (nn.BatchNorm1d(3), (1, 3, 1)),
        (nn.BatchNorm2d(3), (1, 3, 1, 1)),
        (nn.BatchNorm3d(3, track_running_stats=False).eval(), (1, 3, 1, 1, 1)),
        (nn.InstanceNorm1d(3), (4, 3, 1)),
        (nn.InstanceNorm2d(3).eval(), (3, 1, 1)),
    ]:
        before = layer.state_dict()
        cure = "leaves no batch of one sample" if type(layer).__name__.startswith("Batch") else ""
        with case(layer), pytest.raises(ValueError, match=rf"more than one value for each mean.*{cure}"):
            layer.forward(np.ones(shape))
        assert all(np.array_equal(before[name], array) for name, array in layer.state_dict().items())
    assert_array_equal(nn.BatchNorm1d(3).eval().forward(np.zeros((1, 3))), np.zeros((1, 3)))
    assert_array_equal(nn.InstanceNorm1d(3, track_running_stats=True).eval().forward(np.zeros((4, 3, 1))), 0)


def test_shapes_that_are_refused():
    for layer, shapes, expected in [
        (nn.BatchNorm1d(3), [(3,), (4, 2), (4, 2, 3), (4, 3, 1, 1), ()], r"\(N, C\) or \(N, C, L\) with C = 3"),
        (nn.BatchNorm2d(3), [(4, 3), (4, 3, 2), (4, 2, 3, 3)], r"\(N, C, H, W\) with C = 3"),
        (nn.BatchNorm3d(3), [(4, 3, 2, 2), (4, 2, 3, 3, 3)], r"\(N, C, D, H, W\)"),
        (nn.InstanceNorm1d(3), [(), (3,), (4, 3), (4, 2, 3), (4, 3, 2, 2)], r"\(N, C, L\) or \(C, L\)"),
        (nn.InstanceNorm2d(3), [(4, 3), (4, 3, 2), (4, 2, 3, 3)], r"\(N, C, H, W\) or \(C, H, W\)"),
        (nn.InstanceNorm3d(3), [(4, 3, 2), (4, 3, 2, 2), (4, 2, 3, 3, 3)], r"\(N, C, D, H, W\) or"),
        (nn.GroupNorm(1, 3), [(), (3,), (4, 2), (3, 4, 3)], r"\(N, C, ...\) with C = 3"),
        (nn.LayerNorm(3), [(), (4, 2), (3, 1)], r"\(..., 3\)"),
        (nn.RMSNorm((2, 3)), [(3,), (4, 3, 2), (2, 1)], r"\(..., 2, 3\)"),
        (nn.LocalResponseNorm(2), [(3,), (4, 3)], r"at least three axes"),
    ]:
        for shape in shapes:
            with case(f"{layer} {shape}"):
                message = rf"{type(layer).__name__}.*{expected}.*got {re.escape(str(shape))}"
                for refuses in (lambda: layer.forward(np.ones(shape))), (lambda: layer.output_shape(shape)):  # noqa: B023
                    with pytest.raises(nn.ShapeError, match=message):
                        refuses()


def test_arguments_that_are_refused():
    for make, error, name in [
        (lambda: nn.BatchNorm1d(0), ValueError, "BatchNorm1d: num_features"),
        (lambda: nn.BatchNorm2d(3.0), TypeError, "BatchNorm2d: num_features"),
        (lambda: nn.BatchNorm3d("3"), TypeError, "BatchNorm3d: num_features"),
        (lambda: nn.BatchNorm1d(3, eps=0.0), ValueError, "BatchNorm1d: eps"),
        (lambda: nn.BatchNorm1d(3, momentum=1.1), ValueError, "BatchNorm1d: momentum"),
        (lambda: nn.BatchNorm1d(3, momentum="0.1"), TypeError, "BatchNorm1d: momentum"),
        (lambda: nn.InstanceNorm1d(-1), ValueError, "InstanceNorm1d: num_features"),
        (lambda: nn.InstanceNorm2d(3, eps=float("nan")), ValueError, "InstanceNorm2d: eps"),
        (lambda: nn.InstanceNorm3d(3, momentum=-0.1), ValueError, "InstanceNorm3d: momentum"),
        (lambda: nn.GroupNorm(2, 3), ValueError, "GroupNorm: num_channels: expected a multiple of 2"),
        (lambda: nn.GroupNorm(0, 3), ValueError, "GroupNorm: num_groups"),
        (lambda: nn.GroupNorm(1, 3.0), TypeError, "GroupNorm: num_channels"),
        (lambda: nn.GroupNorm(1, 3, eps=-1.0), ValueError, "GroupNorm: eps"),
        (lambda: nn.LayerNorm(0), ValueError, "LayerNorm: normalized_shape"),
        (lambda: nn.LayerNorm(()), ValueError, "LayerNorm: normalized_shape: expected at least one size"),
        (lambda: nn.LayerNorm((3, 2.0)), TypeError, "LayerNorm: normalized_shape"),
        (lambda: nn.LayerNorm("3"), TypeError, "LayerNorm: normalized_shape"),
        (lambda: nn.LayerNorm(3, eps=0), ValueError, "LayerNorm: eps"),
        (lambda: nn.RMSNorm(3, eps=0), ValueError, "RMSNorm: eps"),
        (lambda: nn.RMSNorm([]), ValueError, "RMSNorm: normalized_shape"),
        (lambda: nn.LocalResponseNorm(0), ValueError, "LocalResponseNorm: size"),
        (lambda: nn.LocalResponseNorm(2.0), TypeError, "LocalResponseNorm: size"),
        (lambda: nn.LocalResponseNorm(2, alpha="1"), TypeError, "LocalResponseNorm: alpha"),
        (lambda: nn.LocalResponseNorm(2, beta=float("inf")), ValueError, "LocalResponseNorm: beta"),
        (lambda: nn.LocalResponseNorm(2, k=float("nan")), ValueError, "LocalResponseNorm: k"),
    ]:
        with case(name), pytest.raises(error, match=name):
            make()


def test_repr_has_the_options_that_are_not_the_default():
    assert [repr(layer) for layer in (
        nn.BatchNorm1d(3),
        nn.BatchNorm1d(3, momentum=None, bias=False),
        nn.InstanceNorm1d(3, affine=True, dtype=np.float64),
        nn.GroupNorm(1, 3, eps=0.5),
        nn.LayerNorm([3]),
        nn.LayerNorm((2, 3), elementwise_affine=False),
        nn.RMSNorm(3, eps=0.5),
    )] == [
        "BatchNorm1d(3)",
        "BatchNorm1d(3, momentum=None, bias=False)",
        "InstanceNorm1d(3, affine=True, dtype=float64)",
        "GroupNorm(1, 3, eps=0.5)",
        "LayerNorm(3)",
        "LayerNorm((2, 3), elementwise_affine=False)",
        "RMSNorm(3, eps=0.5)",
    ]  # fmt: skip


def test_loading_allocates_no_more_than_the_file_holds(path):
    """A size in a file is that of an array in it, where there is one."""
    for layer in nn.BatchNorm1d(3, affine=False), nn.GroupNorm(1, 3), nn.LayerNorm((2, 3)), nn.RMSNorm(3):
        for layer_saved in layer, nn.LayerNorm(10**12, elementwise_affine=False):
            nn.save(layer_saved, path)
            assert repr(nn.load(path)) == repr(layer_saved)
        assert not any(isinstance(value, int | tuple) for value in [next(iter(layer.saved_arguments().values()))])


def test_the_operations_that_profile_counts():
    X = np.ones((4, 6, 2))
    for layer, operations in [
        (nn.BatchNorm1d(6), (6, 8)),
        (nn.GroupNorm(2, 6), (6, 8)),
        (nn.LayerNorm(2), (7, 13)),
        (nn.RMSNorm(2), (4, 9)),
        (nn.LocalResponseNorm(3), (7, 8)),
    ]:
        forward, backward = flops_of(layer, X, layer.forward(X))
        assert (forward.total, backward.total) == (48 * operations[0], 48 * operations[1])


def test_the_doctor_and_sanity_are_silent():
    for mode in True, False:
        model = nn.Sequential(
            nn.Linear(3, 4, rng=0), nn.BatchNorm1d(4), nn.ReLU(), nn.LayerNorm(4), nn.Linear(4, 1, rng=1)
        )
        X, Y = rng.normal(size=(32, 3)), rng.normal(size=(32, 1))
        model.forward(X)
        assert nn.check_gradients(model.train(mode), X[:8], Y[:8], nn.MSELoss()).right
        report = str(nn.sanity(model, nn.MSELoss(), X, Y))
        assert "WRONG" not in report, report
