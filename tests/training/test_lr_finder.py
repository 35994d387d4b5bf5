"""lr_finder: the rates, the smoothed losses, where the test ends, what it suggests, and that everything is put back."""

import copy
import os
import signal

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import nnlite as nn
from nnlite.training.lr_finder import RangeTest

X = np.random.default_rng(0).normal(size=(60, 3))
Y = X @ [[1.0], [-2.0], [0.5]] + 0.1 * np.random.default_rng(1).normal(size=(60, 1))


def network():
    """A model with everything that changes in a training: buffers, a generator."""
    rng = np.random.default_rng(3)
    layers = nn.Linear(3, 8, rng=rng), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.2, rng=rng), nn.Linear(8, 1, rng=rng)
    return nn.Sequential(*layers)


def everything(model, optimizers, *generators):
    """All that lr_finder must put back, as text."""
    state = {name: array.tobytes() for name, array in model.state_dict().items()}
    state |= {f"mode {path}": (layer.training, layer.needs_dX) for path, layer in model.named_layers()}
    state |= {f"generator {name}": str(each.bit_generator.state) for name, each in model.named_generators()}
    state |= {f"given {i}": str(each.bit_generator.state) for i, each in enumerate(generators)}
    for i, each in enumerate(optimizers):
        state[f"optimizer {i}"] = (each.lr, each.steps, each.epochs_done, str(each.state_dict()))
    return state | {"default": str(nn.generator().bit_generator.state), "names": getattr(model, "feature_names", None)}


def line(w=0.0, size=4):
    """A line through the origin and rows for which each batch is the same: y = 3 x, w starts at ``w``."""
    model = nn.Linear(1, 1, bias=False, dtype=np.float64)
    model.W = [[w]]
    return model, np.ones((size, 1)), np.full((size, 1), 3.0)


def test_rates_and_losses_are_those_of_a_training_by_hand(capsys):
    """w <- w - lr 2 (w - 3), J = (w - 3)^2, with the rates 0.001, 0.01, 0.1, 1: the error times 1 - 2 lr each step."""
    model, ones, threes = line()
    test = nn.lr_finder(model, ones, threes, loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=9.0), min_lr=1e-3, max_lr=1,
                        steps=4, smoothing=0.5, batch_size=2)  # fmt: skip
    assert_allclose(test.lr, [1e-3, 1e-2, 1e-1, 1.0], rtol=1e-12)
    errors = 3 * np.cumprod([1 - 2e-3, 1 - 2e-2, 1 - 2e-1, 1 - 2])  # each after the step
    assert_allclose(test.losses, errors**2, rtol=1e-12)
    J = errors**2
    expected = [J[0], (J[0] + 2 * J[1]) / 3, (J[0] + 2 * J[1] + 4 * J[2]) / 7]
    assert_allclose(test.smoothed, [*expected, (J[0] + 2 * J[1] + 4 * J[2] + 8 * J[3]) / 15], rtol=1e-12)
    assert test.suggestion == pytest.approx(0.1)  # a tenth of the last rate, which has the lowest smoothed loss
    assert capsys.readouterr() == ("", "")


def test_a_rate_that_diverges_is_not_suggested():
    """The step with 100 multiplies the error by -199: its loss is the one after it."""
    model, ones, threes = line()
    test = nn.lr_finder(model, ones, threes, loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=1.0), steps=2, max_lr=100.0)
    assert_allclose(test.losses, [9 * (1 - 2e-6) ** 2, 9 * (1 - 2e-6) ** 2 * 199**2])
    assert test.suggestion is None


def test_it_ends_where_the_smoothed_loss_is_above_four_times_the_lowest():
    """Without smoothing: the error grows above rates of 1, so the test is that of the losses themselves."""
    model, ones, threes = line()
    test = nn.lr_finder(model, ones, threes, loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=1.0), min_lr=1e-2,
                        max_lr=100, steps=60, smoothing=0.0, batch_size=2)  # fmt: skip
    assert len(test.lr) < 60
    assert test.losses[-1] > 4 * min(test.losses)
    assert all(loss <= 4 * min(test.losses[: t + 1]) for t, loss in enumerate(test.losses[:-1]))
    assert_array_equal(test.smoothed, test.losses)
    assert test.suggestion == test.lr[int(np.argmin(test.losses))] / 10


def test_what_batches_differ_by_does_not_count():
    """Rows of very different losses: with the learning rate 0 the loss of each step is the mean of all batches."""
    model = network()
    rows = X * np.linspace(0.1, 10, 60)[:, None]
    options = {"loss": nn.MSELoss(), "optimizer": nn.SGD(model, lr=1.0), "rng": 5, "batch_size": 7, "steps": 30}
    test = nn.lr_finder(model, rows, rows[:, :1], min_lr=1e-12, max_lr=1e-11, **options)
    assert_allclose(test.losses, test.losses[0], rtol=1e-4)
    test = nn.lr_finder(model, rows, rows[:, :1], min_lr=1e-4, max_lr=1e-1, **options)
    assert min(test.losses) < 0.9 * test.losses[0]


def test_a_negative_loss_ends_the_test_only_if_it_rises():
    class Shifted(nn.MSELoss):
        def forward(self, Y, target):
            return super().forward(Y, target) - 10.0

    model, ones, threes = line()
    options = {"min_lr": 1e-2, "max_lr": 100, "steps": 60, "smoothing": 0.0, "batch_size": 2}
    test = nn.lr_finder(model, ones, threes, loss=Shifted(), optimizer=nn.SGD(model, lr=1.0), **options)
    assert 20 < len(test.lr) < 60
    assert test.losses[-1] > min(test.losses) + 3 * abs(min(test.losses))
    assert all(loss <= -2 * min(test.losses[: t + 1]) for t, loss in enumerate(test.losses[:-1]))


class Fail(nn.Callback):
    """Raises in a step, or interrupts the program."""

    def __init__(self, step, interrupts=False):
        self.step, self.interrupts, self.count = step, interrupts, 0

    def on_backward_end(self, state):
        self.count += 1
        if self.count == self.step and self.interrupts:
            os.kill(os.getpid(), signal.SIGINT)
        elif self.count == self.step:
            raise RuntimeError("out of luck")


ENDINGS = {
    "the last step": ({"max_lr": 1e-3}, None),
    "divergence": ({"max_lr": 1e3}, None),
    "a loss that is not finite": ({"max_lr": 1e38}, None),
    "an error in the control": ({"callbacks": [Fail(5)]}, RuntimeError),
    "an error": ({"callbacks": [Fail(25)]}, RuntimeError),
    "Ctrl-C": ({"callbacks": [Fail(25, interrupts=True)]}, KeyboardInterrupt),
    "a wrong argument": ({"class_weight": "balanced"}, (TypeError, ValueError)),
}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("trained", [False, True])
def test_everything_is_put_back(ending, trained):
    options, error = ENDINGS[ending]
    options, model, rng = copy.deepcopy(options), network().eval(), np.random.default_rng(9)
    first, second = nn.PerEpoch(nn.ExponentialLR(0.05, 0.9)), nn.OneCycleLR(0.1, total_steps=7)
    optimizers = [nn.SGD(model[0], first, momentum=0.9), nn.Adam(model[4], second if not trained else 0.01)]
    if trained:
        nn.fit(model, X, Y, loss=nn.MSELoss(), optimizer=optimizers, verbose=0)
    nn.manual_seed(4)
    before = everything(model, optimizers, rng)
    run = lambda **more: nn.lr_finder(  # noqa: E731
        model, X, Y, loss=nn.MSELoss(), optimizer=optimizers, steps=20, min_lr=1e-4, batch_size=9, **options | more
    )
    for given in {"rng": rng}, {}:  # a generator, and the default one
        if error is None:
            assert isinstance(run(**given), RangeTest)
        else:
            with pytest.raises(error):
                run(**given)
            options = copy.deepcopy(ENDINGS[ending][0])
        assert everything(model, optimizers, rng) == before


def test_the_names_of_a_frames_columns_are_put_back():
    pd = pytest.importorskip("pandas")
    model = network()
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    nn.lr_finder(model, frame, Y, loss=nn.MSELoss(), optimizer=nn.SGD(model, 0.1), steps=3)
    assert model.feature_names is None
    nn.fit(model, frame, Y, loss=nn.MSELoss(), optimizer=nn.SGD(model, 0.1), verbose=0)
    nn.lr_finder(model, X, Y, loss=nn.MSELoss(), optimizer=nn.SGD(model, 0.1), steps=3)
    assert model.feature_names == ("a", "b", "c")


def test_what_callbacks_and_clipping_do_to_gradients_counts():
    model, ones, threes = line()
    options = {"loss": nn.MSELoss(), "optimizer": nn.SGD(model, 1.0), "min_lr": 0.1, "max_lr": 1.0, "steps": 4}
    options |= {"batch_size": 2}
    clipped = nn.lr_finder(model, ones, threes, clip_value=1e-9, **options)
    assert_allclose(clipped.losses, 9.0, rtol=1e-8)
    clipped = nn.lr_finder(model, ones, threes, clip_norm={"W": 1e-9}, **options)
    assert_allclose(clipped.losses, 9.0, rtol=1e-8)

    class Nothing(nn.Callback):
        def on_backward_end(self, state):
            state.model.dPhi[...] = 0

    assert_allclose(nn.lr_finder(model, ones, threes, callbacks=[Nothing()], **options).losses, 9.0)
    weighted = nn.lr_finder(model, ones, np.array([[3.0], [5.0]] * 2), sample_weight=[1, 0] * 2,
                            **options | {"batch_size": 4})  # fmt: skip
    assert weighted.losses[0] == pytest.approx((3 * (1 - 2 * 0.1)) ** 2)  # after the step with the rate 0.1


def test_a_callback_may_end_the_test():
    class Stop(nn.Callback):
        def __init__(self, steps):
            self.steps, self.count = steps, 0

        def on_batch_end(self, state):
            self.count += 1
            return self.count in (self.steps, self.steps + 20)

        def on_train_begin(self, state):
            return self.steps == 0

    model, ones, threes = line()
    options = {"loss": nn.MSELoss(), "optimizer": nn.SGD(model, 1.0), "max_lr": 1e-3, "batch_size": 4}
    test = nn.lr_finder(model, ones, threes, callbacks=[Stop(3)], **options)
    assert len(test.lr) == len(test.losses) == len(test.smoothed) == 2
    early = "^lr_finder: callbacks: one of them ended the training before its second step"
    for stop in Stop(0), Stop(1), Stop(-15):  # the last one at the first batch after the control
        with pytest.raises(ValueError, match=early):
            nn.lr_finder(model, ones, threes, callbacks=[stop], **options | {"steps": 3})
    average = nn.WeightAverage(0.5)  # gives the model the average, and is put back with it
    nn.lr_finder(model, ones, threes, callbacks=[average], **options)
    assert (average.updates, float(model.W[0, 0])) == (0, 0.0)


def test_a_stream_of_batches_and_several_optimizers():
    model = network()
    optimizers = [nn.SGD(model[0], 1.0), nn.SGD(model[4], 1.0)]
    batches = [(X[start : start + 20], Y[start : start + 20]) for start in (0, 20, 40)]
    test = nn.lr_finder(model, lambda: iter(batches), loss=nn.MSELoss(), optimizer=optimizers, steps=25)
    assert len(test.lr) <= 25
    assert test.losses[2] == pytest.approx(test.losses[0], rel=1e-3)
    with pytest.raises(ValueError, match="a generator can be read only once"):
        nn.lr_finder(model, iter(batches), loss=nn.MSELoss(), optimizer=optimizers)


def test_the_suggestion_trains():
    model = nn.Sequential(nn.Linear(3, 16, rng=0), nn.Tanh(), nn.Linear(16, 1, rng=1))
    optimizer = nn.SGD(model, lr=1e-9, momentum=0.9)
    optimizer.lr = nn.lr_finder(model, X, Y, loss=nn.MSELoss(), optimizer=optimizer, rng=0).suggestion
    history = nn.fit(model, X, Y, loss=nn.MSELoss(), optimizer=optimizer, epochs=30, rng=0, verbose=0)
    assert history["loss"][-1] < 0.1 * np.var(Y)


def test_without_a_lower_loss_there_is_no_suggestion():
    test = RangeTest([0.1, 1.0], [1.0, 2.0], [1.0, 2.0])
    assert test.suggestion is None
    assert repr(test) == "RangeTest(2 steps, lr 0.1 to 1, suggestion none)"
    assert [text.get_text() for text in test.plot().axes[0].get_legend().get_texts()] == ["loss", "smoothed"]


def test_a_loss_that_is_not_finite_at_once_is_an_error_and_later_an_end():
    model, ones, threes = line()
    ones[1] = np.nan
    with pytest.raises(nn.DivergenceError, match=r"X\[1, 0\] is nan"):
        nn.lr_finder(model, ones, threes, loss=nn.MSELoss(), optimizer=nn.SGD(model, 1.0))
    model, ones, threes = line()
    with pytest.raises(nn.DivergenceError):  # the second loss
        nn.lr_finder(model, ones, threes, loss=nn.MSELoss(), optimizer=nn.SGD(model, 1.0), min_lr=1e200, max_lr=1e201)


@pytest.mark.parametrize(("step", "recorded"), [(1, None), (2, None), (3, 1), (4, 2)])
def test_a_gradient_that_is_not_finite_ends_the_test_after_the_first_loss(step, recorded):
    class Spoil(nn.Callback):
        count = 0

        def on_backward_end(self, state):
            self.count += 1
            if self.count == 6 + step:  # after the control
                state.model.dPhi[...] = np.nan

    model, ones, threes = line()
    options = {"loss": nn.MSELoss(), "optimizer": nn.SGD(model, 1.0), "max_lr": 1e-3, "steps": 5, "batch_size": 4}
    if recorded is None:
        with pytest.raises(nn.DivergenceError, match="the gradient is not finite"):
            nn.lr_finder(model, ones, threes, callbacks=[Spoil()], **options)
    else:
        test = nn.lr_finder(model, ones, threes, callbacks=[Spoil()], **options)
        assert len(test.lr) == len(test.losses) == recorded


def test_the_plot_is_drawn_on_axes_that_are_given():
    import matplotlib.pyplot as plt

    test = RangeTest([0.001, 0.01, 0.1, 1.0], [2.0, 1.0, 0.5, 9.0], [2.0, 1.5, 1.0, 5.0])
    figure, axes = plt.subplots()
    assert test.plot(ax=axes) is figure
    assert (axes.get_xscale(), axes.get_xlabel(), axes.get_ylabel()) == ("log", "learning rate", "loss")
    raw, smoothed, mark = axes.get_lines()
    assert_array_equal(raw.get_ydata(), test.losses)
    assert_array_equal(smoothed.get_xdata(), test.lr)
    assert_array_equal(mark.get_xdata(), test.suggestion)
    low, high = axes.get_ylim()
    assert low < 1.0 < 2.0 < high < 5.0  # not up to what diverges
    plt.close(figure)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"min_lr": 0.0}, ValueError, "min_lr: expected a number above 0, got 0.0"),
        ({"max_lr": 1e-6}, ValueError, "max_lr: expected a number above min_lr=1e-06, got 1e-06"),
        ({"max_lr": "1"}, TypeError, "max_lr: expected a number, got '1'"),
        ({"steps": 1}, ValueError, "steps: expected at least 2, got 1"),
        ({"steps": 2.5}, TypeError, "steps: expected a whole number, got 2.5"),
        ({"smoothing": 1.0}, ValueError, "smoothing: expected a number below 1, got 1.0"),
        ({"smoothing": -0.1}, ValueError, "smoothing: expected a number from 0 to 1, got -0.1"),
    ],
)
def test_a_wrong_argument_is_an_error(wrong, error, message):
    model, ones, threes = line()
    with pytest.raises(error, match=f"^lr_finder: {message}"):
        nn.lr_finder(model, ones, threes, loss=nn.MSELoss(), optimizer=nn.SGD(model, 1.0), **wrong)
