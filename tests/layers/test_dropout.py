"""Dropout: masks, their expectation, what is drawn when, and bad arguments."""

import copy

import numpy as np
import pytest

import nnlite as nn
from nnlite.compute.random_bits import bernoulli

ALL = [nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout]
SHAPES = {nn.Dropout2d: (2, 3, 4, 5), nn.Dropout3d: (2, 3, 4, 5, 2)}


def ones(kind, dtype=np.float64):
    return np.ones(SHAPES.get(kind, (2, 3, 4)), dtype)


def state(layer):
    return copy.deepcopy(layer.rng.bit_generator.state)


@pytest.mark.parametrize("source", ["PCG64", "PCG64DXSM", "SFC64", "Philox", "MT19937"])
def test_a_mask_has_the_bits_of_random_integers_of_each_generator(source):
    rng, same = (np.random.Generator(getattr(np.random, source)(3)) for _ in range(2))
    for count in 3, 16, 1000:
        drawn = same.integers(0, 2**64, -(-count // 8), np.uint64).view(np.uint8)[:count]
        np.testing.assert_array_equal(bernoulli(rng, 0.25, (count,)), drawn < 64)
    assert rng.random() == same.random()


@pytest.mark.parametrize("p", [0.0, 1e-12, 0.1, 0.3, 0.5, 0.75, 1 - 1e-12])
def test_random_bits_are_true_with_their_probability(p):
    size = 1_000_000
    counted = np.count_nonzero(bernoulli(np.random.default_rng(0), p, (1000, 1000)))
    assert abs(counted - p * size) <= 4 * np.sqrt(p * (1 - p) * size) + 1e-3  # four standard deviations


def test_random_bits_do_not_depend_on_their_neighbours():
    for p in (0.5, 0.3):
        drawn = bernoulli(np.random.default_rng(1), p, (1 << 18,)).astype(float)
        for lag in (1, 2, 4, 8):
            assert abs(np.corrcoef(drawn[:-lag], drawn[lag:])[0, 1]) < 4 / np.sqrt(drawn.size)


@pytest.mark.parametrize("shape", [(), (0,), (1,), (7,), (3, 5)])
def test_random_bits_have_any_shape(shape):
    for p in (0.5, 0.3):
        drawn = bernoulli(np.random.default_rng(0), p, shape)
        assert drawn.shape == shape
        assert drawn.dtype == bool


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_the_expectation_of_Y_is_X(p):
    Y = nn.Dropout(p, rng=0).forward(np.ones(1_000_000))
    np.testing.assert_array_equal(np.unique(Y), [0, 1 / (1 - p)])
    assert Y.mean() == pytest.approx(1, abs=4 * np.sqrt(p / (1 - p)) / 1000)


@pytest.mark.parametrize("kind", ALL)
def test_backward_uses_the_mask_of_the_last_forward(kind):
    layer, X = kind(0.5, rng=3), ones(kind)
    Ys = [layer.forward(X) for _ in range(3)]
    assert not np.array_equal(Ys[1], Ys[2])
    dX = layer.backward(np.full(X.shape, 10.0))
    np.testing.assert_array_equal(dX == 0, Ys[2] == Ys[2].min())
    np.testing.assert_array_equal(layer.backward(np.full(X.shape, 10.0)), dX)


@pytest.mark.parametrize("kind", ALL)
def test_in_evaluation_mode_and_for_p_of_0_y_is_x_and_nothing_is_drawn(kind):
    for layer in (kind(0.5, rng=0).eval(), kind(0.0, rng=0), kind(0.5, rng=0).eval()):
        X, before = 3 * ones(kind), state(layer)
        Y = layer.forward(X)
        dX = layer.backward(2 * X)
        np.testing.assert_array_equal(Y, X)
        np.testing.assert_array_equal(dX, 2 * X)
        assert not np.shares_memory(X, Y)
        assert state(layer) == before
        Y[...] = 0  # nobody caches it


def test_the_mode_of_the_forward_counts_and_not_that_of_the_backward():
    layer = nn.Dropout(0.5, rng=0)
    Y = layer.forward(np.ones(100))
    np.testing.assert_array_equal(layer.eval().backward(np.ones(100)), Y)
    layer.forward(np.ones(100))
    np.testing.assert_array_equal(layer.train().backward(np.ones(100)), np.ones(100))


@pytest.mark.parametrize("kind", ALL)
def test_for_p_of_1_y_and_its_gradient_are_0_and_nothing_is_drawn(kind):
    layer = kind(1.0, rng=0)
    before = state(layer)
    assert not layer.forward(ones(kind)).any()
    assert not layer.backward(ones(kind)).any()
    assert state(layer) == before


@pytest.mark.parametrize("kind", [nn.Dropout, nn.AlphaDropout])
def test_a_number_is_kept_or_dropped(kind):
    layer = kind(0.5, rng=0)
    Ys = {float(layer.forward(np.array(2.0))) for _ in range(50)}
    assert len(Ys) == 2
    assert layer.backward(np.array(1.0)).shape == ()


@pytest.mark.parametrize(
    ("kind", "shape", "channels"),
    [
        (nn.Dropout1d, (40, 30, 5), 2),
        (nn.Dropout1d, (1000, 5), 1),
        (nn.Dropout2d, (40, 30, 2, 3), 2),
        (nn.Dropout2d, (40, 30, 2), 2),
        (nn.Dropout3d, (40, 30, 2, 1, 3), 2),
        (nn.Dropout3d, (1000, 2, 1, 3), 1),
        (nn.FeatureAlphaDropout, (40, 30, 2, 3), 2),
        (nn.FeatureAlphaDropout, (40, 30), 2),
    ],
)
def test_channels_are_dropped_as_a_whole_and_each_by_itself(kind, shape, channels):
    layer = kind(0.25, rng=0)
    Y = layer.forward(np.ones(shape, np.float32))
    dX = layer.backward(np.ones(shape, np.float32))
    for array in Y, dX:
        flat = array.reshape(*shape[:channels], -1)
        np.testing.assert_array_equal(flat, np.broadcast_to(flat[..., :1], flat.shape))
        kept = (flat[..., 0] == flat.max()).mean()
        assert kept == pytest.approx(0.75, abs=0.06)
        assert array.dtype == np.float32
    assert layer.M.shape == (*shape[:channels], *[1] * (len(shape) - channels))
    if channels == 2:
        assert np.ptp(Y, axis=0).any()
        assert np.ptp(Y, axis=1).any()


def test_dropped_channels_of_an_array_in_another_order_of_memory():
    X = np.random.default_rng(0).normal(size=(4, 6, 5, 3))
    of = [nn.Dropout2d(0.5, rng=2).forward(each) for each in (X, np.asfortranarray(X))]
    np.testing.assert_array_equal(*of)
    np.testing.assert_array_equal(of[0], np.where(of[0] != 0, 2 * X, 0))


@pytest.mark.parametrize("kind", [nn.AlphaDropout, nn.FeatureAlphaDropout])
@pytest.mark.parametrize("p", [0.1, 0.5])
def test_alpha_dropout_keeps_mean_0_and_variance_1(kind, p):
    X = np.random.default_rng(0).normal(size=(2_000, 500))
    Y = kind(p, rng=1).forward(X)
    assert Y.mean() == pytest.approx(0, abs=0.01)
    assert Y.var() == pytest.approx(1, abs=0.01)


def test_alpha_dropout_by_hand():
    # for p = 1/2: a = ((1 + alpha^2 / 2) / 2)^(-1/2); kept a x + b, dropped -alpha a + b, with b = alpha a / 2
    alpha = 1.7580993408473766
    a = ((1 + alpha**2 / 2) / 2) ** -0.5
    Y = nn.AlphaDropout(0.5, rng=0).forward(np.full(100, 3.0))
    np.testing.assert_allclose(np.unique(Y), [-alpha * a / 2, 3 * a + alpha * a / 2], rtol=1e-14)


@pytest.mark.parametrize("kind", ALL)
def test_each_dtype_has_the_same_mask_and_keeps_itself(kind):
    of = [kind(0.3, rng=5).forward(ones(kind, dtype)) for dtype in (np.float32, np.float64, np.longdouble)]
    assert [each.dtype for each in of] == [np.float32, np.float64, np.longdouble]
    np.testing.assert_allclose(of[0], of[1], rtol=1e-6)
    np.testing.assert_allclose(of[2], of[1].astype(np.longdouble), rtol=1e-15)


@pytest.mark.parametrize("kind", ALL)
def test_gradients_can_be_checked_in_training_mode(kind):
    report = nn.check_gradients(kind(0.4, rng=0), np.random.default_rng(0).normal(size=ones(kind).shape))
    assert report.right
    assert report.comparisons[0].name == "X"


def test_layers_without_a_generator_draw_from_the_default_one():
    X = np.ones(100)
    nn.manual_seed(7)
    first, second = nn.Dropout(), nn.Dropout()
    drawn = [first.forward(X), second.forward(X)]
    nn.manual_seed(7)
    again = [nn.Dropout().forward(X) for _ in range(2)]
    np.testing.assert_array_equal(drawn, again)
    assert not np.array_equal(*drawn)


def test_a_training_that_is_resumed_draws_the_masks_that_it_would_have_drawn(tmp_path):
    X = np.random.default_rng(0).normal(size=(32, 3))
    path = tmp_path / "training.npz"

    def model():
        rng = np.random.default_rng(1)
        return nn.Sequential(
            nn.Linear(3, 8, rng=rng), nn.SELU(), nn.AlphaDropout(0.1, rng=rng), nn.RReLU(rng=2), nn.Dropout(0.3, rng=3),
            nn.Linear(8, 1, rng=rng),
        )  # fmt: skip

    def train(model, epochs, **options):
        nn.fit(model, X, X[:, :1], loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1), epochs=epochs, batch_size=8,
               verbose=0, rng=0, **options)  # fmt: skip
        return model

    whole = train(model(), 4)
    train(model(), 2, callbacks=[nn.Checkpoint(path)])
    resumed = train(model(), 2, resume=path)
    np.testing.assert_array_equal(resumed.Phi, whole.Phi)
    np.testing.assert_array_equal(resumed.forward(X), whole.forward(X))


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("p", [1.1, -0.1, np.nan])
def test_a_probability_is_from_0_to_1(kind, p):
    with pytest.raises(ValueError, match=rf"^{kind.__name__}: p: expected a number from 0 to 1, got {p}$"):
        kind(p)


def test_bad_arguments_are_named():
    with pytest.raises(TypeError, match=r"^Dropout: p: expected a number, got 'half'$"):
        nn.Dropout("half")
    with pytest.raises(TypeError, match=r"^Dropout2d: rng: expected a seed >= 0 or a numpy.random.Generator"):
        nn.Dropout2d(rng="seed")
    with pytest.raises(TypeError):
        nn.Dropout(0.5, 0)  # rng is a keyword


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (nn.Dropout1d(0.2), (3,), r"Dropout1d\(p=0.2\): expected X of shape \(N, C, L\) or \(C, L\), got \(3,\)"),
        (
            nn.Dropout2d(),
            (3, 2),
            r"Dropout2d\(p=0.5\): expected X of shape \(N, C, H, W\) or \(N, C, L\), got \(3, 2\)",
        ),
        (
            nn.Dropout3d(),
            (3, 2, 1),
            r"Dropout3d\(p=0.5\): expected X of shape \(N, C, D, H, W\) or \(C, D, H, W\), got",
        ),
        (
            nn.FeatureAlphaDropout(),
            (3,),
            r"FeatureAlphaDropout\(p=0.5\): expected X of shape \(N, C, ...\), got \(3,\)",
        ),
    ],
)
def test_channels_need_their_axes(layer, shape, expected):
    for mode in (True, False):
        with pytest.raises(nn.ShapeError, match=f"^{expected}"):
            layer.train(mode).forward(np.zeros(shape))
    with pytest.raises(nn.ShapeError, match="expected X of shape"):
        layer.output_shape((None,) * len(shape))


def test_sanity_does_not_take_dropout_for_an_activation():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(64, 4))
    model = nn.Sequential(nn.Linear(4, 8, rng=rng), nn.SiLU(), nn.Dropout(0.1, rng=rng), nn.Linear(8, 1, rng=rng))
    report = nn.sanity(model, nn.MSELoss(), X, X[:, :1])
    assert "Dropout" not in str(report)
    assert report.right, report


def test_operations_are_counted_when_a_mask_is_drawn():
    X = np.ones((4, 5))
    counted = [
        [(row.forward.operations, row.backward.operations) for row in nn.profile(layer, X, repeats=1).rows]
        for layer in (nn.Dropout(0.5, rng=0), nn.AlphaDropout(0.5, rng=0), nn.Dropout(0.0), nn.Dropout(0.5).eval())
    ]
    assert counted == [[(20, 20)], [(80, 20)], [(0, 0)], [(0, 0)]]
