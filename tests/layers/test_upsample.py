"""Upsample and the shuffles: PyTorch's numbers for all options, closed forms, and what they refuse."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from support.case import case

import nnlite as nn

MODES = {"nearest": 2, "nearest-exact": 2, "linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}


def test_bilinear_is_exact_for_planes():
    i, j = np.meshgrid(np.arange(4.0), np.arange(3.0), indexing="ij")
    Y = nn.Upsample((7, 9), mode="bilinear", align_corners=True).forward((2 * i + 3 * j)[None, None])
    rows, columns = np.meshgrid(np.linspace(0, 3, 7), np.linspace(0, 2, 9), indexing="ij")
    assert_allclose(Y[0, 0], 2 * rows + 3 * columns, atol=1e-12)


def test_bicubic_weights_are_those_of_the_cubic_convolution():
    X = np.zeros((1, 1, 1, 8))
    X[..., 3] = 1
    Y = nn.Upsample(scale_factor=(1, 2), mode="bicubic").forward(X)
    # 1.25 t^3 - 2.25 t^2 + 1 at 0.25 and 0.75, and -0.75 t^3 + 3.75 t^2 - 6 t + 3 at 1.25 and 1.75
    weights = [-0.03515625, -0.10546875, 0.26171875, 0.87890625]
    assert_allclose(Y[0, 0, 0], [0] * 3 + weights + weights[::-1] + [0] * 5, atol=1e-15)


def test_nearest_takes_the_corner_and_nearest_exact_the_centre():
    X = np.arange(5.0)[None, None]
    assert_array_equal(nn.Upsample(3).forward(X), [[[0, 1, 3]]])
    assert_array_equal(nn.Upsample(3, mode="nearest-exact").forward(X), [[[0, 2, 4]]])


def test_an_infinite_number_is_in_the_entries_made_of_it_alone():
    X = np.array([[[1.0, 2.0, np.inf, 4.0, 5.0]]])
    Y = nn.Upsample(9, mode="linear", align_corners=True).forward(X)
    assert_array_equal(np.isfinite(Y[0, 0]), [1, 1, 1, 0, 0, 0, 1, 1, 1])
    Y = nn.Upsample(scale_factor=2).forward(X)
    assert_array_equal(Y, X.repeat(2, axis=2))


@given(data=st.data())
def test_equal_to_pytorch(data):
    torch = pytest.importorskip("torch")
    mode = data.draw(st.sampled_from(sorted(MODES)))
    axes = MODES[mode] if not mode.startswith("nearest") else data.draw(st.integers(1, 3))
    sizes = data.draw(st.tuples(*[st.integers(1, 6)] * axes))
    options = {"mode": mode}
    if data.draw(st.booleans()):
        options["size"] = data.draw(st.tuples(*[st.integers(1, 13)] * axes))
    else:
        options["scale_factor"] = data.draw(st.tuples(*[st.sampled_from([1.0, 0.6, 1.3, 2.0, 2.7, 3.0])] * axes))
        options["recompute_scale_factor"] = data.draw(st.sampled_from([None, True, False]))
        if any(int(size * scale) == 0 for size, scale in zip(sizes, options["scale_factor"], strict=True)):
            return
    if not mode.startswith("nearest"):
        options["align_corners"] = data.draw(st.sampled_from([None, True, False]))
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2, 3, *sizes))
    layer = nn.Upsample(**options)
    Y = layer.forward(X)
    dY = rng.normal(size=Y.shape)
    tensor = torch.tensor(X, requires_grad=True)
    expected = torch.nn.Upsample(**options)(tensor)
    expected.backward(torch.tensor(dY))
    with case(f"{layer} {sizes}"):
        assert_allclose(Y, expected.detach(), rtol=1e-7, atol=1e-7)
        assert_allclose(layer.backward(dY), tensor.grad, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (nn.Upsample, ValueError, "expected either size= or scale_factor="),
        (lambda: nn.Upsample(2, 2), ValueError, "expected either size= or scale_factor="),
        (lambda: nn.Upsample(0), ValueError, "Upsample: size"),
        (lambda: nn.Upsample(2.5), TypeError, "Upsample: size: expected a whole number"),
        (lambda: nn.Upsample(scale_factor=(1, -1)), ValueError, "Upsample: scale_factor"),
        (lambda: nn.Upsample(2, mode="cubic"), ValueError, "Upsample: mode"),
        (lambda: nn.Upsample(2, align_corners=True), ValueError, "align_corners is for the linear and cubic modes"),
        (lambda: nn.Upsample(2, recompute_scale_factor=True), ValueError, "is for scale_factor="),
        (lambda: nn.Upsample((2, 2), mode="linear"), ValueError, "expected one number, or 1 for mode='linear'"),
        (lambda: nn.PixelShuffle(0), ValueError, "PixelShuffle: upscale_factor"),
        (lambda: nn.PixelUnshuffle(1.5), TypeError, "PixelUnshuffle: downscale_factor"),
        (lambda: nn.ChannelShuffle(0), ValueError, "ChannelShuffle: groups"),
    ],
)
def test_bad_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (
            nn.Upsample(2),
            (3, 4),
            r"expected X of shape \(N, C, L\) or \(N, C, H, W\) or \(N, C, D, H, W\), got \(3, 4\)",
        ),
        (nn.Upsample(2, mode="bilinear"), (1, 3, 4), r"expected X of shape \(N, C, H, W\), got \(1, 3, 4\)"),
        (nn.Upsample((2, 2)), (1, 3, 4), r"expected X of shape \(N, C, H, W\)"),
        (nn.Upsample(scale_factor=0.4), (1, 1, 2), r"expected spatial axes that are not empty, got \(2,\) -> \(0,\)"),
        (nn.PixelShuffle(2), (6, 1, 1), r"expected channels that are a multiple of 4, got X of shape \(6, 1, 1\)"),
        (nn.PixelShuffle(2), (4, 1), r"expected X of shape \(..., C, H, W\), got \(4, 1\)"),
        (nn.PixelUnshuffle(2), (1, 3, 4), "expected height and width that are multiples of 2"),
        (nn.ChannelShuffle(2), (1, 3, 4), "with C a multiple of 2"),
    ],
)
def test_wrong_shapes(layer, shape, message):
    with pytest.raises(nn.ShapeError, match=message):
        layer.forward(np.ones(shape))
    with pytest.raises(nn.ShapeError, match=message):
        layer.output_shape(shape)


def test_shuffles_undo_each_other():
    X = np.random.default_rng(0).normal(size=(2, 12, 4, 6))
    assert_array_equal(nn.PixelUnshuffle(2).forward(nn.PixelShuffle(2).forward(X)), X)
    assert_array_equal(nn.ChannelShuffle(4).forward(nn.ChannelShuffle(3).forward(X)), X)
    n, c, h, w, i, j = 1, 2, 3, 4, 1, 0
    assert nn.PixelShuffle(2).forward(X)[n, c, 2 * h + i, 2 * w + j] == X[n, 4 * c + 2 * i + j, h, w]


def test_unknown_sizes_stay_unknown():
    assert nn.Upsample(scale_factor=2).output_shape((None, 3, None, 4)) == (None, 3, None, 8)
    assert nn.PixelShuffle(2).output_shape((None, 8, None, 4)) == (None, 2, None, 8)
    assert nn.PixelUnshuffle(2).output_shape((..., 3, 4, None)) == (..., 12, 2, None)


def test_operations_are_two_for_each_weight():
    layer = nn.Upsample((3, 4), mode="bilinear", align_corners=True)
    X = np.ones((5, 2, 2, 2))
    forward, backward = layer.flops(X, layer.forward(X))
    rows, columns = 4, 6  # weights that are not 0: 1, 1/2 and 1/2, 1; and 1, 2/3 and 1/3, 1/3 and 2/3, 1
    assert forward.total == backward.total == 2 * 10 * (rows * 2 + columns * 3)
