"""Pooling: its formulas, window by window, beside PyTorch with any mix of options, and what it refuses."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.contract_row import numbers

import nnlite as nn

MAX = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
AVERAGE = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
CONVOLUTION = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
ADAPTIVE_AVERAGE = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}
ADAPTIVE_MAX = {1: nn.AdaptiveMaxPool1d, 2: nn.AdaptiveMaxPool2d, 3: nn.AdaptiveMaxPool3d}


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_the_maximum_of_each_window_entry_by_entry(axes):
    kernel, stride, padding, dilation = (3, 2, 2)[:axes], (2, 1, 3)[:axes], (1, 0, 1)[:axes], (1, 2, 1)[:axes]
    X = numbers(2, 3, *(6, 5, 4)[:axes])
    Y, indices = MAX[axes](kernel, stride, padding, dilation, return_indices=True).forward(X)
    for place in np.ndindex(Y.shape):
        entries = {}
        for entry in np.ndindex(*kernel):
            at = tuple(
                i * s + u * d - p for i, s, u, d, p in zip(place[2:], stride, entry, dilation, padding, strict=True)
            )
            if all(0 <= i < n for i, n in zip(at, X.shape[2:], strict=True)):
                entries[at] = X[(*place[:2], *at)]
        largest = max(entries, key=entries.get)
        assert Y[place] == entries[largest]
        assert indices[place] == np.ravel_multi_index(largest, X.shape[2:])


def test_of_equal_entries_the_first_in_the_order_of_rows_gets_the_gradient():
    X = np.array([[[[0.0, 1.0], [1.0, 1.0]]]])
    for layer in nn.MaxPool2d(2), nn.MaxPool2d(2).eval(), nn.AdaptiveMaxPool2d(1):
        layer.forward(X)
        np.testing.assert_array_equal(layer.backward(np.array([[[[5.0]]]])), [[[[0.0, 5.0], [0.0, 0.0]]]])


def test_a_padding_does_not_win_over_minus_infinity():
    layer = nn.MaxPool1d(3, 2, 1, return_indices=True)
    Y, indices = layer.forward(np.full((1, 1, 4), -np.inf))
    np.testing.assert_array_equal(Y, [[[-np.inf, -np.inf]]])
    np.testing.assert_array_equal(indices, [[[0, 1]]])
    np.testing.assert_array_equal(layer.backward(np.array([[[1.0, 2.0]]])), [[[1.0, 2.0, 0.0, 0.0]]])


def test_nan_is_the_maximum_and_its_last_place_gets_the_gradient():
    X = np.array([[[1.0, np.nan, np.nan, 5.0, 2.0, 3.0]]])
    for layer in nn.MaxPool1d(3, return_indices=True), nn.AdaptiveMaxPool1d(2, return_indices=True):
        Y, indices = layer.forward(X)
        np.testing.assert_array_equal(Y, [[[np.nan, 5.0]]])
        np.testing.assert_array_equal(indices, [[[2, 3]]])
    np.testing.assert_array_equal(nn.MaxPool1d(3).eval().forward(X), [[[np.nan, 5.0]]])


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_evaluation_mode_gives_the_same(axes):
    X = numbers(2, 2, *(7, 6, 5)[:axes])
    for options in ({}, {"padding": 1, "dilation": 2, "stride": 1}, {"ceil_mode": True, "stride": 2}):
        layer, evaluated = MAX[axes](3, **options), MAX[axes](3, **options).eval()
        Y = layer.forward(X)
        np.testing.assert_array_equal(evaluated.forward(X), Y)
        np.testing.assert_array_equal(evaluated.backward(Y), layer.backward(Y))


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_the_mean_is_a_convolution_with_equal_weights(axes):
    kernel, stride, padding = (3, 2, 2)[:axes], (2, 1, 3)[:axes], (1, 1, 0)[:axes]
    layer = AVERAGE[axes](kernel, stride, padding)
    W = np.full((2, 1, *kernel), 1 / np.prod(kernel))
    convolution = CONVOLUTION[axes](2, 2, kernel, stride, padding, groups=2, bias=False, dtype=np.float64)
    convolution.W = W
    X = numbers(3, 2, *(7, 6, 5)[:axes])
    Y = layer.forward(X)
    np.testing.assert_allclose(Y, convolution.forward(X), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(layer.backward(Y), convolution.backward(Y), rtol=1e-12, atol=1e-14)


def test_what_the_sum_is_divided_by():
    X = np.ones((1, 1, 4))
    assert nn.AvgPool1d(3, 2, 1, ceil_mode=True).forward(X)[0, 0].tolist() == [2 / 3, 1, 1 / 2]  # 1 of 1 + 1
    assert nn.AvgPool1d(3, 2, 1, True, False).forward(X)[0, 0].tolist() == [1, 1, 1]
    assert nn.AvgPool2d((1, 3), divisor_override=2).forward(X[None])[0, 0, 0].tolist() == [1.5]
    assert nn.AvgPool3d((1, 1, 3), divisor_override=-2).forward(X[None, None])[0, 0, 0, 0].tolist() == [-1.5]


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("outputs", [(1, 1, 1), (3, 2, 4), (7, 6, 5), (9, 1, 8)])
def test_adaptive_windows_are_those_of_the_formula(axes, outputs):
    X, outputs = numbers(2, 2, *(7, 6, 5)[:axes]), outputs[:axes]
    mean, largest = ADAPTIVE_AVERAGE[axes](outputs).forward(X), ADAPTIVE_MAX[axes](outputs).forward(X)
    assert mean.shape == largest.shape == (2, 2, *outputs)
    covered = np.zeros(X.shape[2:], int)
    for place in np.ndindex(*outputs):
        bounds = [(i * n / m, (i + 1) * n / m) for i, n, m in zip(place, X.shape[2:], outputs, strict=True)]
        window = tuple(slice(int(np.floor(low)), int(np.ceil(high))) for low, high in bounds)
        covered[window] += 1
        entries = X[:, :, *window].reshape(2, 2, -1)
        np.testing.assert_allclose(mean[:, :, *place], entries.mean(axis=2), rtol=1e-12)
        np.testing.assert_array_equal(largest[:, :, *place], entries.max(axis=2))
    assert covered.min() >= 1


def test_none_keeps_a_size():
    assert nn.AdaptiveAvgPool2d((None, 2)).forward(np.ones((3, 5, 4))).shape == (3, 5, 2)
    np.testing.assert_array_equal(nn.AdaptiveMaxPool1d(None).forward(numbers(2, 3)), numbers(2, 3))


def test_indices_have_no_gradient_in_a_graph():
    x = nn.Input("x")
    Y, indices = nn.MaxPool1d(2, return_indices=True)(x)
    model = nn.Graph(x, (Y, indices))
    Y, indices = model.forward(np.array([[[1.0, 2.0, 4.0, 3.0]]]))
    assert indices.dtype == np.intp
    np.testing.assert_array_equal(model.backward(Y, np.ones(Y.shape)), [[[0.0, 2.0, 4.0, 0.0]]])


@pytest.mark.parametrize("make", [lambda: nn.MaxPool2d(2), lambda: nn.AvgPool2d(2), lambda: nn.AdaptiveAvgPool2d(2)])
def test_channels_last_memory_and_no_samples(make):
    layer = make()
    X = np.random.default_rng(0).normal(size=(2, 4, 6, 3)).astype(np.float32).transpose(0, 3, 1, 2)
    Y = layer.forward(X)
    dX = layer.backward(np.asfortranarray(Y))
    np.testing.assert_array_equal(layer.forward(np.ascontiguousarray(X)), Y)
    np.testing.assert_array_equal(layer.backward(Y), dX)
    assert layer.forward(X[:0]).shape == (0, *Y.shape[1:])
    assert layer.backward(Y[:0]).shape == (0, *X.shape[1:])


def test_shapes_that_are_known_in_part():
    assert nn.MaxPool2d(2).output_shape((None, 3, None, 9)) == (None, 3, None, 4)
    assert nn.AvgPool1d(3, 2, 1, ceil_mode=True).output_shape((..., 8)) == (..., None, 5)
    assert nn.AdaptiveMaxPool1d(2, return_indices=True).output_shape((None, 3, None)) == ((None, 3, 2), (None, 3, 2))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.MaxPool2d(0), ValueError, "MaxPool2d: kernel_size: expected at least 1, got 0"),
        (lambda: nn.MaxPool2d((2, 2, 2)), ValueError, "kernel_size: expected a whole number, or 2 of them"),
        (lambda: nn.MaxPool2d(2, 0), ValueError, "MaxPool2d: stride: expected at least 1"),
        (lambda: nn.MaxPool2d(2.0), TypeError, "MaxPool2d: kernel_size: expected a whole number, got 2.0"),
        (lambda: nn.MaxPool2d(3, padding=2), ValueError, "padding: expected at most half of kernel_size, 1 for 3, got"),
        (lambda: nn.AvgPool1d(2, padding=(2,)), ValueError, "AvgPool1d: padding: expected at most half"),
        (lambda: nn.AvgPool2d(2, divisor_override=0), ValueError, "AvgPool2d: divisor_override: expected another"),
        (lambda: nn.AvgPool3d(2, divisor_override=1.5), TypeError, "AvgPool3d: divisor_override: expected a whole"),
        (lambda: nn.AdaptiveAvgPool2d(0), ValueError, "AdaptiveAvgPool2d: output_size: expected at least 1"),
        (lambda: nn.AdaptiveMaxPool3d((2, 2)), ValueError, "output_size: expected a number, or 3 of them"),
    ],
)
def test_arguments_that_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (nn.MaxPool2d(3), (1, 1, 3, 2), r"MaxPool2d\(kernel_size=3\): expected W of at least 3, since the kernel"),
        (
            nn.MaxPool1d(3, dilation=3, padding=1),
            (1, 1, 4),
            "expected L of at least 5, since the kernel extends over 7",
        ),
        (nn.MaxPool1d(2, 1, 1, 3, ceil_mode=True), (1, 1, 2), "expected L of at least 3, the dilation"),
        (nn.AvgPool3d(2), (2, 2), r"expected X of shape \(N, C, D, H, W\) or \(C, D, H, W\), got \(2, 2\)"),
        (nn.AvgPool1d(1), (1, 1, 0), "expected L of at least 1"),
        (nn.AdaptiveAvgPool2d(1), (1, 1, 0, 2), "expected H of at least 1, got 0"),
        (nn.AdaptiveMaxPool1d(1), (3,), r"expected X of shape \(N, C, L\) or \(C, L\), got \(3,\)"),
    ],
)
def test_inputs_that_are_refused(layer, shape, message):
    for model in layer, nn.Sequential(layer):
        with pytest.raises(nn.ShapeError, match=message):
            model.forward(np.ones(shape))


# ---------------------------------------------------------------------------------------------- beside PyTorch


@st.composite
def poolings(draw):
    """A pooling with any mix of options, and the sizes of its input."""
    axes = draw(st.integers(1, 3))
    each = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(axes))  # noqa: E731
    kernel, sizes = each(1, 4), each(1, (40, 9, 5)[axes - 1])
    options = {
        "stride": each(1, 3),
        "padding": tuple(draw(st.integers(0, k // 2)) for k in kernel),
        "ceil_mode": draw(st.booleans()),
    }
    kind = draw(st.sampled_from(["MaxPool", "AvgPool"]))
    if kind == "MaxPool":
        options |= {"dilation": each(1, 3), "return_indices": draw(st.booleans())}
    else:
        options["count_include_pad"] = draw(st.booleans())
        if axes > 1 and draw(st.booleans()):
            options["divisor_override"] = draw(st.sampled_from([1, 5, -2]))
    return f"{kind}{axes}d", (kernel,), options, sizes


@st.composite
def adaptive_poolings(draw):
    axes = draw(st.integers(1, 3))
    sizes = tuple(draw(st.integers(1, 8)) for _ in range(axes))
    outputs = tuple(draw(st.integers(1, 9)) for _ in range(axes))
    kind = draw(st.sampled_from(["AdaptiveAvgPool", "AdaptiveMaxPool"]))
    options = {"return_indices": draw(st.booleans())} if kind == "AdaptiveMaxPool" else {}
    return f"{kind}{axes}d", (outputs,), options, sizes


@given(st.one_of(poolings(), adaptive_poolings()), st.integers(0, 2**32 - 1), st.booleans())
def test_any_mix_of_options_is_that_of_torch(case, seed, ties):
    torch = pytest.importorskip("torch")
    kind, args, options, sizes = case
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(2, 3, *sizes))
    if ties:
        X = rng.choice([-np.inf, -1.0, 0.0, 1.0] if "Max" in kind else [-1.0, 2.0], X.shape)
    layer, module = getattr(nn, kind)(*args, **options), getattr(torch.nn, kind)(*args, **options)
    X_torch = torch.tensor(X, requires_grad=True)
    try:
        Y = layer.forward(X)
    except nn.ShapeError:
        assert any(n < span for n, span in zip(sizes, spans(args[0], options), strict=True))
        return
    expected = module(X_torch)
    if options.get("return_indices"):
        (Y, indices), (expected, expected_indices) = Y, expected
        np.testing.assert_array_equal(indices, expected_indices)
    dY = rng.normal(size=Y.shape)
    expected.backward(torch.tensor(dY))
    np.testing.assert_allclose(Y, expected.detach(), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(layer.backward(dY), X_torch.grad, rtol=1e-12, atol=1e-14)


def spans(kernel, options):
    """From the first to the last entry of a window, and 1."""
    dilation = options.get("dilation", itertools.repeat(1))
    return [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=False)]


# ------------------------------------------------------------------------------------- MaxUnpool and LPPool


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("options", [{}, {"stride": 2, "padding": 1}, {"kernel_size": 3}])
def test_unpooling_puts_the_maxima_back(axes, options):
    options = {"kernel_size": 2} | options
    X = numbers(2, 3, *(7, 6, 5)[:axes])
    Y, indices = MAX[axes](**options, return_indices=True).forward(X)
    unpool = {1: nn.MaxUnpool1d, 2: nn.MaxUnpool2d, 3: nn.MaxUnpool3d}[axes](**options)
    Z = unpool.forward(Y, indices, output_size=X.shape)
    assert Z.shape == X.shape
    found = Z != 0
    np.testing.assert_array_equal(Z[found], X[found])
    np.testing.assert_array_equal(MAX[axes](**options).forward(np.where(found, Z, -9)), Y)
    np.testing.assert_array_equal(unpool.backward(Z), Y)
    np.testing.assert_array_equal(unpool.forward(Y[0], indices[0], X.shape[2:]), Z[0])


def test_pooling_and_unpooling_in_a_graph():
    x = nn.Input("x")
    Y, indices = nn.MaxPool2d(2, return_indices=True)(x)
    model = nn.Graph(x, nn.MaxUnpool2d(2)(Y, indices))
    X = numbers(2, 3, 4, 6)
    Y = model.forward(X)
    np.testing.assert_array_equal(Y[Y != 0], X[Y != 0])
    assert (Y != 0).sum() == X.size / 4
    np.testing.assert_array_equal(model.backward(np.ones(X.shape)), Y != 0)


def test_the_norm_of_each_window():
    X = np.array([[[3.0, 4.0, -5.0, 12.0, -2.0]]])
    assert nn.LPPool1d(2, 2).forward(X)[0, 0].tolist() == [5, 13]
    np.testing.assert_allclose(nn.LPPool1d(2, 2, ceil_mode=True).forward(X)[0, 0], [5, 13, np.sqrt(2 * 4)])
    assert nn.LPPool1d(1, 2).forward(X)[0, 0].tolist() == [7, 7]
    assert np.isnan(nn.LPPool1d(3, 2, 1).forward(-X)[0, 0, 0])
    np.testing.assert_allclose(nn.LPPool1d(60, 4).forward(np.abs(X))[0, 0], [12], rtol=1e-12)


@pytest.mark.parametrize(("p", "X"), [(2, [0.0, 0.0]), (1, [0.0, 0.0]), (1, [1.0, -1.0])])
def test_the_gradient_of_a_norm_is_0_where_it_is_0(p, X):
    layer = nn.LPPool1d(p, 2)
    layer.forward([[X]])
    np.testing.assert_array_equal(layer.backward(np.ones((1, 1, 1))), np.zeros((1, 1, 2)))


def test_with_ceil_mode_no_window_begins_behind_X():
    layer = nn.MaxPool1d(2, 3, 1, ceil_mode=True)  # windows begin at -1 and 2; the next would at 5, behind X
    np.testing.assert_array_equal(layer.forward([[[1.0, 2.0, 3.0, 4.0]]]), [[[1.0, 4.0]]])
    np.testing.assert_array_equal(layer.forward([[[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]]]), [[[1.0, 4.0, 6.0]]])


@pytest.mark.parametrize(
    ("indices", "error", "message"),
    [
        (
            [[[0, 4]]],
            ValueError,
            r"MaxUnpool1d.*: indices: expected 0 to 3, .* got 0 to 4; pass the shape",
        ),
        ([[[-1, 0]]], ValueError, "indices: expected 0 to 3"),
        ([[[0.0, 1.0]]], TypeError, "indices: expected whole numbers, got dtype float64"),
        ([[[0, 1, 2]]], nn.ShapeError, r"expected indices of shape \(1, 1, 2\), that of X, got \(1, 1, 3\)"),
    ],
)
def test_indices_that_are_refused(indices, error, message):
    with pytest.raises(error, match=message):
        nn.MaxUnpool1d(2).forward(np.ones((1, 1, 2)), indices)


def test_sizes_that_pooling_does_not_have_are_refused():
    layer, X, indices = nn.MaxUnpool2d(2), np.ones((1, 1, 2, 2)), np.zeros((1, 1, 2, 2), int)
    for output_size in (6, 4), (4, 2), (4,), (1, 1, 1, 4, 4):
        with pytest.raises(nn.ShapeError, match=r"expected output_size of less than stride from \(4, 4\)"):
            layer.forward(X, indices, output_size)
    with pytest.raises(ValueError, match="norm_type"):
        nn.LPPool3d(0, 2)
    assert [nn.LPPool1d, nn.LPPool2d, nn.LPPool3d][2](2, 2).output_shape((None, 3, 4, 5, 7)) == (None, 3, 2, 2, 3)
