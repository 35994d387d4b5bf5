"""Convolutions: their formula, as loops over every index, their arguments, and what they refuse."""

import itertools
import tracemalloc
from contextlib import contextmanager

import numpy as np
import pytest
from support.contract_row import numbers
from support.sweeps import examples

import nnlite as nn
from nnlite.compute import columns as columns_of
from nnlite.compute.pad import MODES

LAYERS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


def by_hand(X, W, b, stride, padding, dilation):
    """The sum of the docstring, entry by entry, of one group."""
    axes = X.ndim - 2
    padded = np.pad(X, [(0, 0), (0, 0), *padding])
    spans = [(k - 1) * d + 1 for k, d in zip(W.shape[2:], dilation, strict=True)]
    outputs = [(n - span) // s + 1 for n, span, s in zip(padded.shape[2:], spans, stride, strict=True)]
    Y = np.zeros((len(X), len(W), *outputs)) + b.reshape(-1, *[1] * axes)
    for i, k in itertools.product(np.ndindex(*outputs), np.ndindex(*W.shape[2:])):
        place = tuple(p * s + q * d for p, s, q, d in zip(i, stride, k, dilation, strict=True))
        Y[:, :, *i] += padded[:, :, *place] @ W[:, :, *k].T
    return Y


@pytest.mark.parametrize("columns", [1, 60, 2**18])  # several parts of an image, of the batch, and one part
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_the_formula_entry_by_entry(axes, columns, monkeypatch):
    monkeypatch.setattr(columns_of, "COLUMNS", columns)
    kernel, stride, dilation, padding = (3, 2, 1)[:axes], (1, 1, 2)[:axes], (2, 1, 1)[:axes], (1, 0, 2)[:axes]
    for sizes, step in ((5, 4, 2)[:axes], stride), ((7, 3, 3)[:axes], (2, 3, 1)[:axes]):
        layer = LAYERS[axes](2, 3, kernel, step, padding, dilation, dtype=np.float64, rng=0)
        layer.b = [0.1, 0.2, -0.3]
        X = numbers(3, 2, *sizes)
        expected = by_hand(X, layer.W, layer.b, step, [(p, p) for p in padding], dilation)
        np.testing.assert_allclose(layer.forward(X), expected, rtol=1e-12, atol=1e-12)


def test_same_padding_has_the_odd_entry_at_the_end():
    layer = nn.Conv2d(1, 1, (4, 3), padding="same", dtype=np.float64, rng=0)
    X = numbers(2, 1, 6, 5)
    expected = by_hand(X, layer.W, layer.b, (1, 1), [(1, 2), (1, 1)], (1, 1))
    np.testing.assert_allclose(layer.forward(X), expected, rtol=1e-12)


@pytest.mark.parametrize("columns", [1, 500, 2**18])
def test_backward_is_the_transpose_of_forward(columns, monkeypatch):
    monkeypatch.setattr(columns_of, "COLUMNS", columns)
    for axes, (stride, dilation, mode) in itertools.product(
        (1, 2, 3), [(1, 1, "zeros"), (2, 1, "reflect"), (3, 2, "circular"), (1, 2, "replicate")]
    ):
        layer = LAYERS[axes](2, 4, 2, stride, 1, dilation, 2, bias=False, padding_mode=mode, dtype=np.float64, rng=0)
        X = numbers(3, 2, *(5, 4, 3)[:axes])
        Y = layer.forward(X)
        dY = numbers(*Y.shape)[::-1]
        dX = layer.backward(dY)
        assert np.vdot(Y, dY) == pytest.approx(np.vdot(X, dX), rel=1e-12)
        assert np.vdot(Y, dY) == pytest.approx(np.vdot(layer.W, layer.dW), rel=1e-12)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_one_sample_is_a_batch_of_one(axes):
    layer = LAYERS[axes](2, 3, 2, padding=1, rng=0)
    X = numbers(1, 2, *(4, 3, 2)[:axes]).astype(np.float32)
    Y = layer.forward(X)
    dX, dPhi = layer.backward(Y), layer.dPhi.copy()
    np.testing.assert_array_equal(layer.forward(X[0]), Y[0])
    np.testing.assert_array_equal(layer.backward(Y[0]), dX[0])
    np.testing.assert_array_equal(layer.dPhi, dPhi)


def test_channels_last_memory_gives_the_same():
    layer = nn.Conv2d(3, 4, 3, padding=1, rng=0)
    X = np.random.default_rng(0).normal(size=(2, 5, 6, 3)).astype(np.float32).transpose(0, 3, 1, 2)
    Y = layer.forward(X)
    dX, dPhi = layer.backward(np.asfortranarray(Y)), layer.dPhi.copy()
    np.testing.assert_array_equal(layer.forward(np.ascontiguousarray(X)), Y)
    np.testing.assert_array_equal(layer.backward(Y), dX)
    np.testing.assert_array_equal(layer.dPhi, dPhi)


def test_no_samples():
    layer = nn.Conv2d(2, 3, 2, rng=0)
    assert layer.forward(np.zeros((0, 2, 4, 4))).shape == (0, 3, 3, 3)
    layer.dPhi[...] = 1
    assert layer.backward(np.zeros((0, 3, 3, 3))).shape == (0, 2, 4, 4)
    assert not layer.dPhi.any()


@pytest.mark.parametrize("size", [6, 20])  # of 20, windows across the ends of rows are computed as well
def test_an_infinity_is_in_dW_only_where_a_window_reads_it(size):
    for place in itertools.product((0, size // 2, size - 1), repeat=2):
        layer = nn.Conv2d(1, 1, 3, dtype=np.float64, rng=0)
        X = numbers(3, 1, size, size)
        X[1, 0, *place] = np.inf
        dY = np.abs(numbers(*layer.forward(X).shape)) + 1  # so that no infinities of two signs are added
        layer.backward(dY)
        for k in np.ndindex(3, 3):
            read = X[:, 0, k[0] : k[0] + size - 2, k[1] : k[1] + size - 2]
            np.testing.assert_allclose(layer.dW[0, 0, *k], np.sum(read * dY[:, 0]), rtol=1e-12)
        transposed = nn.ConvTranspose2d(1, 1, 3, dtype=np.float64, rng=0)  # dY is what its windows read
        transposed.forward(dY)
        transposed.backward(X)
        np.testing.assert_array_equal(transposed.dW, layer.dW)


def test_a_floating_point_error_of_an_infinity_is_that_of_the_sum():
    layer = nn.Conv2d(1, 1, 3, rng=0)
    X = np.ones((1, 1, 20, 20), np.float32)
    X[..., 0, 0] = np.inf
    with np.errstate(all="raise"):
        layer.backward(np.ones_like(layer.forward(X)))  # inf + finite numbers: no error
    assert np.isinf(layer.dW).sum() == 1


def test_each_group_is_drawn_with_its_own_fans():
    shapes = []

    def init(shape, *, dtype, rng):
        shapes.append(shape)
        return np.full(shape, len(shapes), dtype)

    layer = nn.Conv2d(6, 4, (3, 2), groups=2, weight_init=init)
    assert shapes == [(2, 3, 3, 2)] * 2
    assert [set(W.ravel()) for W in layer.W] == [{1.0}, {1.0}, {2.0}, {2.0}]


def test_the_sum_of_db_is_accurate_in_float32():
    layer = nn.Conv1d(1, 1, 1)
    X = np.zeros((100, 1, 10_000), np.float32)
    layer.forward(X)
    layer.backward(np.full_like(X, 0.1))
    assert layer.db[0] == pytest.approx(100_000, rel=1e-5)


def test_memory_is_bounded():
    X = np.ones((2, 4, 512, 512), np.float32)
    for layer in nn.Conv2d(4, 4, 9, padding=4, rng=0), nn.ConvTranspose2d(4, 4, 9, padding=4, rng=0):
        layer.forward(X[:, :, :9, :9])  # the flat vectors
        tracemalloc.start()
        layer.backward(layer.forward(X))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2 * (X.nbytes + X.nbytes) + 64 * 2**20  # the columns alone would be 81 times X


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.Conv2d(0, 1, 3), ValueError, "Conv2d: in_channels: expected at least 1, got 0"),
        (lambda: nn.Conv2d(1, 1, 3.0), TypeError, "Conv2d: kernel_size: expected a whole number, got 3.0"),
        (lambda: nn.Conv2d(1, 1, (3, 3, 3)), ValueError, "kernel_size: expected a whole number, or 2 of them"),
        (lambda: nn.Conv2d(1, 1, 3, stride=0), ValueError, "Conv2d: stride: expected at least 1"),
        (lambda: nn.Conv2d(1, 1, 3, padding=-1), ValueError, "Conv2d: padding: expected at least 0"),
        (lambda: nn.Conv2d(1, 1, 3, padding="full"), ValueError, "Conv2d: padding: expected 'valid' or 'same'"),
        (lambda: nn.Conv2d(1, 1, 3, 2, "same"), ValueError, "'same' needs stride 1"),
        (lambda: nn.Conv2d(1, 1, 3, padding_mode="mirror"), ValueError, "Conv2d: padding_mode: expected 'zeros' or"),
        (lambda: nn.Conv1d(4, 6, 3, groups=3), ValueError, "Conv1d: in_channels: expected a multiple of groups = 3"),
        (lambda: nn.Conv1d(6, 4, 3, groups=3), ValueError, "Conv1d: out_channels: expected a multiple of groups = 3"),
        (lambda: nn.Conv1d(1, 1, 3, weight_init=3), TypeError, "Conv1d: weight_init: expected a function"),
        (lambda: nn.Conv1d(1, 1, 3, weight_init=lambda *_, **__: np.ones(2)), nn.ShapeError, "to return shape"),
    ],
)
def test_arguments_that_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (nn.Conv2d(3, 1, 3), (2, 1, 5, 5), r"expected X of shape \(N, 3, H, W\) or \(3, H, W\), got \(2, 1, 5, 5\)"),
        (nn.Conv2d(3, 1, 3), (3, 5), r"expected X of shape \(N, 3, H, W\)"),
        (nn.Conv1d(3, 1, 3), (2, 2, 3, 5), r"expected X of shape \(N, 3, L\)"),
        (
            nn.Conv2d(1, 1, 5, padding=1),
            (1, 1, 5, 2),
            r"expected W of at least 3, .* over 5 .* adds 2; got 2",
        ),
        (nn.Conv3d(1, 1, 2, dilation=3), (1, 1, 5, 3, 5), "expected H of at least 4, .* over 4 with dilation 3"),
        (
            nn.Conv1d(1, 1, 3, padding=2, padding_mode="reflect"),
            (1, 1, 2),
            "expected L of at least 3, .* by .reflect.",
        ),
        (nn.Conv1d(1, 1, 3, padding=2, padding_mode="circular"), (1, 1, 1), "expected L of at least 2"),
        (nn.Conv1d(1, 1, 1, padding=1), (1, 1, 0), "expected L of at least 1"),
    ],
)
def test_shapes_that_are_refused(layer, shape, message):
    with pytest.raises(nn.ShapeError, match=message):
        layer.forward(np.zeros(shape))
    with pytest.raises(nn.ShapeError, match=message):
        layer.output_shape(shape)


def test_the_place_of_an_image_that_is_too_small():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Tanh(), nn.Conv2d(2, 2, 3))
    with pytest.raises(nn.ShapeError, match="kernel extends over 3") as raised:
        model.forward(np.zeros((1, 1, 4, 4)))
    assert any("[2]" in note for note in raised.value.__notes__)


def test_output_shapes_of_what_is_known():
    layer = nn.Conv2d(3, 8, 5, stride=2, padding=2)
    assert layer.output_shape((None, 3, 28, None)) == (None, 8, 14, None)
    assert layer.output_shape((..., 28)) == (..., 8, None, 14)
    assert layer.output_shape((...,)) == (..., 8, None, None)
    assert layer.output_shape((3, 28, 28)) == (8, 14, 14)


def test_repr():
    assert repr(nn.Conv2d(3, 8, 5)) == "Conv2d(3 -> 8, kernel_size=5)"
    assert repr(nn.Conv1d(4, 8, 5, 2, 1, 3, 2, bias=False, padding_mode="reflect", dtype=np.float64)) == (
        "Conv1d(4 -> 8, kernel_size=5, stride=2, padding=1, dilation=3, groups=2, padding_mode='reflect', bias=False, "
        "dtype=float64)"
    )
    assert repr(nn.Conv2d(3, 8, (5, 1), padding="same")) == "Conv2d(3 -> 8, kernel_size=(5, 1), padding='same')"


def transposed_by_hand(X, W, b, stride, padding, dilation, sizes):
    """Every product added where it belongs, of one group."""
    padded = np.zeros((len(X), W.shape[1], *(n + 2 * p for n, p in zip(sizes, padding, strict=True))))
    for i, k in itertools.product(np.ndindex(*X.shape[2:]), np.ndindex(*W.shape[2:])):
        place = tuple(p * s + q * d for p, s, q, d in zip(i, stride, k, dilation, strict=True))
        padded[:, :, *place] += X[:, :, *i] @ W[:, :, *k]
    inside = tuple(slice(p, p + n) for n, p in zip(sizes, padding, strict=True))
    return padded[:, :, *inside] + b.reshape(-1, *[1] * (X.ndim - 2))


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_transposed_convolution_product_by_product(axes):
    kernel, stride, dilation, padding, more = (3, 2, 1), (1, 3, 2), (2, 1, 1), (1, 0, 0), (1, 2, 1)
    kernel, stride, dilation, padding, more = (each[:axes] for each in (kernel, stride, dilation, padding, more))
    sizes = (4, 3, 2)[:axes]
    layer = TRANSPOSED[axes](2, 3, kernel, stride, padding, more, dilation=dilation, dtype=np.float64, rng=0)
    layer.b = [0.1, 0.2, -0.3]
    X = numbers(3, 2, *sizes)
    full = [
        (n - 1) * s + d * (k - 1) + 1 - 2 * p + m
        for n, s, d, k, p, m in zip(sizes, stride, dilation, kernel, padding, more, strict=True)
    ]
    np.testing.assert_allclose(
        layer.forward(X), transposed_by_hand(X, layer.W, layer.b, stride, padding, dilation, full), rtol=1e-12
    )


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_transposed_convolution_is_the_transpose_of_convolution(axes):
    for stride, padding, dilation, groups in itertools.product((1, 2, 3), (0, 1), (1, 2), (1, 2)):
        there = LAYERS[axes](2, 4, 3, stride, padding, dilation, groups, bias=False, dtype=np.float64, rng=0)
        X = numbers(2, 2, *(7, 6, 5)[:axes])
        Y = there.forward(X)
        more = [
            n - ((m - 1) * stride + dilation * 2 + 1 - 2 * padding)
            for n, m in zip(X.shape[2:], Y.shape[2:], strict=True)
        ]
        back = TRANSPOSED[axes](4, 2, 3, stride, padding, more, groups, dilation=dilation, bias=False, dtype=np.float64)
        back.W = there.W
        dY = numbers(*Y.shape)[::-1]
        assert np.vdot(Y, dY) == pytest.approx(np.vdot(X, back.forward(dY)), rel=1e-12)
        np.testing.assert_array_equal(back.forward(dY), there.backward(dY))
        np.testing.assert_array_equal(back.backward(X), Y)
        np.testing.assert_array_equal(back.dW, there.dW)


def test_a_transposed_group_is_drawn_as_the_map_that_it_is():
    shapes = []

    def init(shape, *, dtype, rng):
        shapes.append(shape)
        return np.arange(np.prod(shape), dtype=dtype).reshape(shape)

    layer = nn.ConvTranspose1d(6, 4, 5, groups=2, weight_init=init)
    assert shapes == [(2, 3, 5)] * 2
    np.testing.assert_array_equal(layer.W[3:], np.arange(30).reshape(2, 3, 5).swapaxes(0, 1))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.ConvTranspose2d(1, 1, 3, 2, output_padding=2), ValueError, "output_padding: expected less than"),
        (lambda: nn.ConvTranspose2d(1, 1, 3, padding_mode="reflect"), ValueError, "padding_mode: expected 'zeros'"),
        (lambda: nn.ConvTranspose2d(1, 1, 3, padding="same"), TypeError, "padding: expected a whole number"),
        (lambda: nn.Unfold((1, 2, 3, 4)), ValueError, "Unfold: kernel_size: expected one to three numbers"),
        (lambda: nn.Fold((4, 4), (2, 2, 2)), ValueError, "Fold: kernel_size: expected a whole number, or 2 of them"),
        (lambda: nn.Fold((4, 4), 5), nn.ShapeError, r"sizes with padding of at least \(5, 5\).* got \(4, 4\)"),
    ],
)
def test_arguments_that_the_others_refuse(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (nn.ConvTranspose1d(1, 1, 2, padding=2), (1, 1, 3), "expected a larger L"),
        (nn.ConvTranspose1d(1, 1, 2), (1, 1, 0), "expected a larger L"),
        (nn.ConvTranspose2d(2, 1, 2), (1, 1, 3, 3), r"expected X of shape \(N, 2, H, W\)"),
        (nn.Unfold(3), (1, 2, 2, 3), r"of at least \(3, 3\).* got \(2, 3\)"),
        (nn.Unfold(3), (3, 3), r"expected X of shape \(N, C, H, W\)"),
        (nn.Fold(4, 2), (2, 8, 8), r"expected X of shape \(N, C \* 4, 9\) or \(C \* 4, 9\), got \(2, 8, 8\)"),
        (nn.Fold(4, 2), (2, 6, 9), r"expected X of shape"),
        (nn.Fold(4, 2), (9,), r"expected X of shape"),
    ],
)
def test_shapes_that_the_others_refuse(layer, shape, message):
    with pytest.raises(nn.ShapeError, match=message):
        layer.forward(np.zeros(shape))
    with pytest.raises(nn.ShapeError, match=message):
        layer.output_shape(shape)


def test_fold_is_the_transpose_of_unfold():
    for axes, stride, padding, dilation in itertools.product((1, 2, 3), (1, 2), (0, 1), (1, 2)):
        sizes, kernel = (6, 5, 7)[:axes], (2, 3, 1)[:axes]
        unfold = nn.Unfold(kernel, dilation, padding, stride)
        X = numbers(2, 3, *sizes)
        Y = unfold.forward(X)
        dY = numbers(*Y.shape)[::-1]
        fold = nn.Fold(sizes, kernel, dilation, padding, stride)
        assert np.vdot(Y, dY) == pytest.approx(np.vdot(X, fold.forward(dY)), rel=1e-12)
        np.testing.assert_array_equal(unfold.backward(dY), fold.forward(dY))
        np.testing.assert_array_equal(fold.backward(X), Y)


def test_a_convolution_is_a_product_with_unfolded_windows():
    layer = nn.Conv2d(3, 4, (3, 2), (2, 1), (1, 0), dtype=np.float64, rng=0)
    X = numbers(2, 3, 5, 6)
    columns = nn.Unfold((3, 2), padding=(1, 0), stride=(2, 1)).forward(X)
    expected = layer.W.reshape(4, -1) @ columns
    np.testing.assert_allclose(layer.forward(X).reshape(expected.shape), expected, rtol=1e-12)


def test_output_shapes_of_the_others():
    assert nn.ConvTranspose2d(3, 8, 4, 2, 1).output_shape((None, 3, None, 5)) == (None, 8, None, 10)
    assert nn.ConvTranspose2d(3, 8, 4, 2, 1).output_shape((...,)) == (..., 8, None, None)
    assert nn.Unfold(2).output_shape((None, 3, 4, 5)) == (None, 12, 12)
    assert nn.Unfold(2).output_shape((..., 5)) == (..., None, None)
    assert nn.Fold(4, 2).output_shape((None, 12, 9)) == (None, 3, 4, 4)
    assert nn.Fold(4, 2).output_shape((...,)) == (..., None, 4, 4)
    assert repr(nn.Unfold((2, 2), stride=2)) == "Unfold(kernel_size=2, stride=2)"
    assert repr(nn.Fold((4,), (2,), padding=1)) == "Fold((4,), kernel_size=(2,), padding=1)"
    assert repr(nn.ConvTranspose2d(3, 8, 4, 2, output_padding=1)) == (
        "ConvTranspose2d(3 -> 8, kernel_size=4, stride=2, output_padding=1)"
    )


def test_any_mix_of_options_is_as_in_torch():
    torch = pytest.importorskip("torch")
    hypothesis = pytest.importorskip("hypothesis")
    st = hypothesis.strategies

    @examples(60)
    @hypothesis.given(st.data())
    def check(data):
        def each(low, high):
            return tuple(data.draw(st.integers(low, high)) for _ in range(axes))

        axes, transposed = data.draw(st.integers(1, 3)), data.draw(st.booleans())
        groups, N = data.draw(st.sampled_from([1, 1, 2, 3])), data.draw(st.integers(1, 3))
        C, M = groups * data.draw(st.integers(1, 3)), groups * data.draw(st.integers(1, 3))
        kernel, stride, dilation, padding = each(1, 4), each(1, 3), each(1, 3), each(0, 4)
        mode = "zeros" if transposed else data.draw(st.sampled_from(list(MODES)))
        options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        options |= {"bias": data.draw(st.booleans())}
        least = [
            max(1, (k - 1) * d + 1 - 2 * p, p + 1 if mode != "zeros" else 1)
            for k, d, p in zip(kernel, dilation, padding, strict=True)
        ]
        if transposed:
            more = tuple(data.draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True))
            options["output_padding"] = more
            least = [
                1 + max(0, -((d * (k - 1) + m - 2 * p) // s))
                for k, s, d, p, m in zip(kernel, stride, dilation, padding, more, strict=True)
            ]
        else:
            options["padding_mode"] = mode
        sizes = [n + more for n, more in zip(least, each(0, 5), strict=True)]
        name = f"Conv{'Transpose' * transposed}{axes}d"
        theirs = getattr(torch.nn, name)(C, M, kernel, dtype=torch.float64, **options)
        ours = getattr(nn, name)(C, M, kernel, dtype=np.float64, **options)
        for P, (_, own) in zip(theirs.parameters(), ours.named_parameters(), strict=True):
            own[...] = P.detach().numpy()
        X = torch.randn(N, C, *sizes, dtype=torch.float64, requires_grad=True)
        Y = theirs(X)
        dY = torch.randn_like(Y)
        Y.backward(dY)
        with hypothesis_columns(data.draw(st.sampled_from([1, 100, 2**19]))):
            np.testing.assert_allclose(ours.forward(X.detach().numpy()), Y.detach(), rtol=1e-7, atol=1e-7)
            np.testing.assert_allclose(ours.backward(dY.numpy()), X.grad, rtol=1e-7, atol=1e-7)
        for P, (_, dP) in zip(theirs.parameters(), ours.named_gradients(), strict=True):
            np.testing.assert_allclose(dP, P.grad, rtol=1e-7, atol=1e-7)

    check()


@contextmanager
def hypothesis_columns(size):
    """Within it, the columns are made in parts of this size."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns_of, "COLUMNS", size)
        yield


@pytest.mark.parametrize(
    ("layer", "shape", "cure"),
    [
        (nn.Conv2d(3, 8, 3), (4, 16, 16, 3), "np.moveaxis(X, -1, -3)"),
        (nn.Conv1d(3, 8, 3), (4, 16, 3), "np.moveaxis(X, -1, -2)"),
        (nn.ConvTranspose2d(3, 8, 3), (16, 16, 3), "np.moveaxis(X, -1, -3)"),
        (nn.Conv2d(1, 8, 3), (4, 16, 16), "X[:, np.newaxis]"),
        (nn.Conv1d(1, 8, 3), (4, 16), "X[:, np.newaxis]"),
        (nn.Conv2d(1, 8, 3), (16, 16), "X[np.newaxis]"),
        (nn.MaxPool2d(2), (16, 16), "X[np.newaxis]"),
    ],
)
def test_an_error_says_how_to_add_or_to_move_the_axis_of_channels(layer, shape, cure):
    X = np.zeros(shape)
    with pytest.raises(nn.ShapeError) as caught:
        layer.forward(X)
    assert str(caught.value).endswith(f"pass {cure}")
    layer.forward(eval(cure, {"np": np, "X": X}))


def test_an_error_without_a_cure_says_only_what_was_expected():
    with pytest.raises(nn.ShapeError, match=r"got \(4, 5, 16, 16\)$"):
        nn.Conv2d(3, 8, 3).forward(np.zeros((4, 5, 16, 16)))
