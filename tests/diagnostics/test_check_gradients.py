"""check_gradients finds every mistake and raises no false alarm."""

import re

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import nnlite as nn

X = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]])


class Affine(nn.Linear):
    """A Linear; ``spoil`` changes its gradients before backward returns them."""

    def __init__(self, spoil=None, square=False):
        super().__init__(3, 3 if square else 2, dtype=np.float64, rng=0)
        self.spoil = spoil

    def backward(self, dY):
        gradients = {"X": super().backward(dY), "W": self.dW.copy(), "b": self.db.copy()}
        self.spoil(gradients)
        self.dW, self.db = gradients["W"], gradients["b"]
        return gradients["X"]


class Elementwise(nn.Layer):
    """Y = f(X), with the derivative given."""

    def __init__(self, f, derivative):
        self.f, self.derivative = f, derivative

    def forward(self, X):
        self.X = X
        return self.f(X)

    def backward(self, dY):
        return dY * self.derivative(self.X)


def scaled(name, factor):
    def spoil(gradients):
        gradients[name] *= factor

    return spoil


def transposed(gradients):
    gradients["W"] = gradients["W"].T


def without_sum(gradients):
    gradients["b"] = gradients["b"] / 2  # a mean over the two rows


def one_entry(name, index, by=1e-4):
    def spoil(gradients):
        gradients[name][index] += by

    return spoil


def swapped_rows(gradients):
    gradients["X"] = gradients["X"][::-1]


MISTAKES = {
    "factor-of-dX": (scaled("X", 2), "X"),
    "factor-of-dW": (scaled("W", 1 / 2), "W"),
    "small-factor-of-dW": (scaled("W", 1 + 1e-5), "W"),
    "sign-of-dX": (scaled("X", -1), "X"),
    "sign-of-dW": (scaled("W", -1), "W"),
    "sign-of-db": (scaled("b", -1), "b"),
    "no-dX": (scaled("X", 0), "X"),
    "no-dW": (scaled("W", 0), "W"),
    "no-db": (scaled("b", 0), "b"),
    "transposed-dW": (transposed, "W"),
    "mean-for-sum-in-db": (without_sum, "b"),
    "one-entry-of-dX": (one_entry("X", (1, 2)), "X"),
    "one-entry-of-dW": (one_entry("W", (2, 1)), "W"),
    "one-entry-of-db": (one_entry("b", 1), "b"),
    "first-entry-of-dX": (one_entry("X", (0, 0)), "X"),
    "rows-of-dX": (swapped_rows, "X"),
    "nan-first-in-dX": (one_entry("X", (0, 0), np.nan), "X"),
    "nan-last-in-dW": (one_entry("W", (2, 1), np.nan), "W"),
    "inf-in-db": (one_entry("b", 0, np.inf), "b"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_found_where_it_is_and_only_there(mistake):
    spoil, name = MISTAKES[mistake]
    layer = Affine(spoil, square=mistake == "transposed-dW")
    for model in (layer, nn.Sequential(nn.Identity(), layer)):
        with pytest.raises(nn.GradientError) as caught:
            nn.check_gradients(model, X)
        found = re.findall(r"^(right|WRONG)  d([\w.]+) ", str(caught.value), flags=re.M)
        assert [place.removeprefix("1.") for verdict, place in found if verdict == "WRONG"] == [name]
        assert len(found) == 3


def test_right_is_found_right():
    report = nn.check_gradients(Affine(lambda gradients: None), X)
    assert report.right
    assert [line.right for line in report.comparisons] == [True] * 3
    assert [line.checked for line in report.comparisons] == [6, 6, 2]


def test_a_right_layer_behind_a_wrong_one_keeps_its_right_lines():
    model = nn.Sequential(Affine(scaled("X", 3)), nn.Tanh(), nn.Linear(2, 2, rng=1, dtype=np.float64))
    with pytest.raises(nn.GradientError) as caught:
        nn.check_gradients(model, X)
    assert re.findall(r"^WRONG  d([\w.]+) ", str(caught.value), flags=re.M) == ["X"]


@pytest.mark.parametrize("factor", [0.5, 2, -1])
def test_a_wrong_loss_is_found(factor):
    class Wrong(nn.MSELoss):
        def backward(self, dJ=1.0):
            return factor * super().backward(dJ)

    with pytest.raises(nn.GradientError, match="WRONG  dX"):
        nn.check_gradients(Wrong(), X, X[::-1])
    with pytest.raises(nn.GradientError, match="WRONG  dX"):
        nn.check_gradients(nn.Tanh(), X, X[::-1], loss=Wrong())


def test_a_loss_that_ignores_dJ_is_found():
    class Wrong(nn.MSELoss):
        def backward(self, dJ=1.0):
            return super().backward()

    with pytest.raises(nn.GradientError, match="WRONG  dX"):
        nn.check_gradients(Wrong(), X, X[::-1])


def test_a_gradient_that_is_right_only_for_a_constant_dY_is_found():
    """A softmax's dX is 0 where dY is 1 everywhere."""

    class Wrong(nn.Softmax):
        def backward(self, dY):
            return np.zeros_like(dY)

    with pytest.raises(nn.GradientError, match="WRONG  dX"):
        nn.check_gradients(Wrong(), X)


@pytest.mark.parametrize("loss", [nn.MSELoss(), nn.MSELoss(reduction="sum"), nn.MSELoss(reduction="none")], ids=repr)
def test_a_loss_may_be_put_behind(loss):
    layer = Affine(lambda gradients: None)
    report = nn.check_gradients(layer, X, np.ones((2, 2)), loss=loss)
    assert [line.name for line in report.comparisons] == ["X", "W", "b"]
    assert not hasattr(loss, "error")


def two_outputs(hidden):
    x = nn.Input("x")
    h = hidden()(nn.Linear(3, 4, rng=0)(x))
    return nn.Graph(x, (nn.Linear(4, 3, rng=1)(h), nn.Linear(4, 3, rng=2)(h)))


def test_several_losses_for_several_outputs():
    losses = nn.MSELoss(), nn.MSELoss(reduction="sum")
    assert nn.check_gradients(two_outputs(nn.Tanh), X, (X[::-1], X), losses).right

    class Wrong(nn.Tanh):
        def backward(self, dY):
            return dY

    with pytest.raises(nn.GradientError) as caught:
        nn.check_gradients(two_outputs(Wrong), X, (X[::-1], X), losses)
    fault = caught.value.report.fault
    assert (fault.layer, fault.array, fault.kind) == ("Graph[1] Wrong()", "dX", "missing derivative")
    with pytest.raises(TypeError, match="loss: expected a Loss, got 'mse'"):
        nn.check_gradients(two_outputs(nn.Tanh), X, (X[::-1], X), (nn.MSELoss(), "mse"))


def test_the_gradient_through_a_loss_is_that_of_the_loss():
    """J = mean((3 x - t)^2) at x = 1, t = 1: dJ/dx = 2 (3 - 1) 3 = 12."""
    report = nn.check_gradients(Elementwise(lambda x: 3 * x, lambda x: 3.0), [1.0], [1.0], loss=nn.MSELoss())
    assert report.comparisons[0].analytic == pytest.approx(12)
    assert report.comparisons[0].numeric == pytest.approx(12)


def test_a_gradient_that_drops_the_sign_of_dY_is_found():
    class Wrong(nn.Identity):
        def backward(self, dY):
            return abs(super().backward(dY))

    with pytest.raises(nn.GradientError, match="WRONG  dX"):
        nn.check_gradients(Wrong(), X)


@pytest.mark.parametrize("shape", [(2, 1), (3, 2), (6,), ()])
def test_dX_of_a_wrong_shape_is_found(shape):
    class Wrong(nn.Tanh):
        def backward(self, dY):
            return np.resize(super().backward(dY), shape)

    with pytest.raises(nn.GradientError, match=re.escape(f"dX: expected shape (2, 3), got {shape}")) as caught:
        nn.check_gradients(Wrong(), X)
    kind = "transposed" if shape == (3, 2) else "wrong shape"
    assert (caught.value.report.fault.array, caught.value.report.fault.kind) == ("dX", kind)


def test_a_layer_that_forgets_to_return_dX_is_named():
    class Forgets(nn.Tanh):
        def backward(self, dY):
            super().backward(dY)

    with pytest.raises((nn.GradientError, TypeError), match=r"Forgets\(\).*None"):
        nn.check_gradients(Forgets(), X)


def test_a_layer_that_forgets_to_return_Y_is_named():
    class Forgets(nn.Layer):
        def forward(self, X):
            self.X = X

    with pytest.raises((ValueError, TypeError), match=r"Forgets\(\).*None"):
        nn.check_gradients(Forgets(), X)


# ------------------------------------------------------------------------------------------ where it refuses


def absolute():
    return Elementwise(np.abs, np.sign)


def leaky():
    return Elementwise(lambda x: np.maximum(x, 0.5 * x), lambda x: np.where(x > 0, 1.0, 0.5))


@pytest.mark.parametrize(
    "distance", [0, 0.1, 0.2, 0.25, 0.3, 1 / 3, 0.36, 0.4, 0.5, 0.6, 0.75, 0.9, -0.3, -1 / 3, -0.5]
)
@pytest.mark.parametrize("make", [nn.ReLU, absolute, leaky], ids=["relu", "abs", "leaky"])
def test_a_kink_within_the_step_is_refused(make, distance):
    with pytest.raises(ValueError, match=r"X\[1, 0\] = .* is at a kink.*move it away"):
        nn.check_gradients(make(), np.array([[1.0, 2.0], [distance * 1e-5, -1.0]]))


@pytest.mark.parametrize("distance", [1.01, 2, -1.01])
@pytest.mark.parametrize("make", [nn.ReLU, absolute, leaky], ids=["relu", "abs", "leaky"])
def test_a_kink_beyond_the_step_is_not_refused(make, distance):
    assert nn.check_gradients(make(), np.array([1.0, distance * 1e-5])).right


@pytest.mark.parametrize("slope", [0.3, 3])
def test_a_kink_of_one_and_a_half_percent_is_still_refused(slope):
    change = 0.015 * max(1, slope)
    layer = Elementwise(lambda x: slope * x + change * np.maximum(x, 0) + 0.5, lambda x: slope)
    with pytest.raises(ValueError, match="kink"):
        nn.check_gradients(layer, [0.0], [0.0], nn.MSELoss())  # J = Y^2 at Y = 1/2, so dJ/dY = 1


def test_a_kink_at_a_parameter_is_refused_by_name():
    model = nn.Sequential(nn.Linear(2, 1, rng=0), nn.ReLU())
    model[0].W = np.zeros((2, 1))
    with pytest.raises(ValueError, match=r"0\.W\[0, 0\] = 0 is at a kink"):
        nn.check_gradients(model, np.array([[1.0, 2.0]]))


SMOOTH = {
    "parabola": Elementwise(lambda x: 1e4 * x**2, lambda x: 2e4 * x),
    "cosh": Elementwise(lambda x: np.cosh(50 * x), lambda x: 50 * np.sinh(50 * x)),
    "tilted-parabola": Elementwise(lambda x: 2e3 * x**2 + x, lambda x: 4e3 * x + 1),
    "cube": Elementwise(lambda x: x**3, lambda x: 3 * x**2),
    "steep-line": Elementwise(lambda x: 1e7 * x, lambda x: 1e7),
    "line": Elementwise(lambda x: 5 * x, lambda x: 5.0),
    "constant": Elementwise(lambda x: 0 * x + 3, lambda x: 0.0),
}


@pytest.mark.parametrize("curve", SMOOTH)
def test_what_is_smooth_is_not_refused_however_curved(curve):
    assert nn.check_gradients(SMOOTH[curve], np.array([0.0, 1e-6, -1e-3, 0.01])).right


def test_a_larger_step_sees_a_kink_farther_away():
    X = np.array([5e-4])
    assert nn.check_gradients(nn.ReLU(), X).right
    with pytest.raises(ValueError, match="kink"):
        nn.check_gradients(nn.ReLU(), X, step=1e-3)


def test_a_random_forward_is_refused():
    class Random(nn.Identity):
        def forward(self, X):
            return self.record_Y(X * np.random.default_rng().uniform(size=X.shape))

    with pytest.raises(ValueError, match=r"Random\(\): forward is random"):
        nn.check_gradients(Random(), X)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_output_that_is_not_finite_is_refused(value):
    with pytest.raises(
        ValueError, match=r"^Identity\(\): there is no gradient to check where the output is -?(nan|inf)"
    ):
        nn.check_gradients(nn.Identity(), np.array([1.0, value]))


@pytest.mark.parametrize("bad", ["a", [1j], None], ids=str)
def test_X_that_is_no_array_of_real_numbers_is_a_type_error(bad):
    with pytest.raises(TypeError, match=r"^X: expected real numbers"):
        nn.check_gradients(nn.Tanh(), bad)


@pytest.mark.parametrize("most", [0, -1])
def test_max_entries_below_1_is_an_error(most):
    with pytest.raises(ValueError, match="max_entries"):
        nn.check_gradients(nn.Tanh(), X, max_entries=most)


# ------------------------------------------------------------------------------------------ its options


def test_max_entries_bounds_the_work():
    class Counting(nn.Tanh):
        count = 0

        def forward(self, X):
            Counting.count += 1
            return super().forward(X)

    report = nn.check_gradients(Counting(), np.linspace(-1, 1, 100), max_entries=7)
    assert report.comparisons[0].checked == 7
    assert 14 <= Counting.count <= 18
    assert nn.check_gradients(nn.Tanh(), X, max_entries=6).comparisons[0].checked == 6
    assert nn.check_gradients(nn.Tanh(), X, max_entries=100).comparisons[0].checked == 6


def test_max_entries_are_drawn_by_rng():
    X = np.linspace(-1, 1, 1000)
    drawn = [nn.check_gradients(nn.Tanh(), X, max_entries=1, rng=seed).comparisons[0].index for seed in range(8)]
    assert len(set(drawn)) > 4
    assert nn.check_gradients(nn.Tanh(), X, max_entries=1, rng=3).comparisons[0].index == drawn[3]
    assert nn.check_gradients(nn.Tanh(), X, max_entries=1).comparisons[0].index == drawn[0]


@pytest.mark.parametrize("seed", range(10))
def test_max_entries_are_not_drawn_twice(seed):
    class Wrong(nn.Identity):
        def backward(self, dY):
            return super().backward(dY) + np.array([0, 1, 0, 1])

    with pytest.raises(nn.GradientError):  # of three different entries out of four, one at least is wrong
        nn.check_gradients(Wrong(), np.ones(4), max_entries=3, rng=seed)


def test_the_tolerances_are_absolute_plus_relative():
    """Backward is off by 1e-3 of a slope of about 1; by 1e-3 of 1e-4."""
    for size in (1.0, 1e-4):
        off = Elementwise(lambda x, size=size: size * x, lambda x, size=size: size * 1.001)
        with pytest.raises(nn.GradientError):
            nn.check_gradients(off, [1.0], rtol=1e-4, atol=0)
        with pytest.raises(nn.GradientError):
            nn.check_gradients(off, [1.0], rtol=0, atol=1e-4 * size)
        assert nn.check_gradients(off, [1.0], rtol=2e-3, atol=0).right
        assert nn.check_gradients(off, [1.0], rtol=0, atol=2e-3 * size).right
    assert nn.check_gradients(off, [1.0], rtol=0, atol=1e-5).right


@pytest.mark.parametrize("slope", [0, 1, -100])
def test_the_default_tolerance_is_1e_7_plus_1e_6_of_the_slope(slope):
    bar = 1e-7 + 1e-6 * abs(slope)
    loss = nn.MSELoss()  # J = (slope x + 0.5)^2 at x = 0: dJ/dY = 1
    for share, right in ((0.98, True), (1.02, False)):
        layer = Elementwise(lambda x: slope * x + 0.5, lambda x, share=share: slope + share * bar)
        if right:
            assert nn.check_gradients(layer, [0.0], [0.0], loss).right
        else:
            with pytest.raises(nn.GradientError):
                nn.check_gradients(layer, [0.0], [0.0], loss)


def test_whole_numbers_for_X_are_taken_as_floats():
    for whole in (np.array([[1, 2, 3]]), [[1, 2, 3]], np.array([[True, False, True]])):
        report = nn.check_gradients(nn.Linear(3, 2, rng=0), whole)
        assert [line.shape for line in report.comparisons] == [(1, 3), (3, 2), (2,)]


@pytest.mark.parametrize("kind", ["broadcast", "windows"])
def test_entries_of_X_that_share_memory_are_moved_one_by_one(kind):
    """As of pytorch#38586, where moving one entry moves all of the same memory: right gradients were found wrong."""
    values = np.random.default_rng(0).normal(size=6)
    X = (
        np.broadcast_to(values[:3], (4, 3))
        if kind == "broadcast"
        else np.lib.stride_tricks.sliding_window_view(values, 3)
    )
    report = nn.check_gradients(nn.Sequential(nn.Linear(3, 2, rng=0), nn.Tanh()), X)
    assert [line.checked for line in report.comparisons] == [12, 6, 2]
    assert report.right


def test_empty_arrays_are_left_out():
    report = nn.check_gradients(nn.Concat(), (np.zeros((2, 0)), np.ones((2, 3))))
    assert [line.name for line in report.comparisons] == ["X2"]


@pytest.mark.parametrize(
    ("layer", "X", "shapes"),
    [
        (nn.Tanh(), np.zeros((0, 2)), r"X has shape \(0, 2\), Y \(0, 2\)"),
        (nn.Linear(2, 1), np.zeros((0, 2)), r"X has shape \(0, 2\), Y \(0, 1\)"),  # all its gradients are 0
        (nn.MSELoss(reduction="sum"), (np.zeros((0, 2)),) * 2, r"X has shape \(0, 2\) and \(0, 2\), Y \(\)"),
    ],
)
def test_an_empty_batch_is_an_error(layer, X, shapes):
    with pytest.raises(ValueError, match=f"check_gradients: nothing to compare: {shapes}; pass at least one sample"):
        nn.check_gradients(layer, X)


def test_an_empty_batch_before_a_loss_is_an_error():
    with pytest.raises(ValueError, match=r"X has shape \(0, 2\), Y \(0, 1\)"):
        nn.check_gradients(nn.Linear(2, 1), np.zeros((0, 2)), np.zeros((0, 1)), nn.MSELoss(reduction="sum"))


@pytest.mark.parametrize("name", ["step", "rtol", "atol"])
@pytest.mark.parametrize(("value", "error"), [(-1, ValueError), (np.nan, ValueError), ("a", TypeError)])
def test_a_step_or_tolerance_that_decides_nothing_is_an_error(name, value, error):
    with pytest.raises(error, match=f"check_gradients: {name}: expected a "):
        nn.check_gradients(nn.Tanh(), X, **{name: value})


def test_a_step_of_0_is_an_error():
    with pytest.raises(ValueError, match="check_gradients: step: expected a number above 0, got 0"):
        nn.check_gradients(nn.Tanh(), X, step=0)


@pytest.mark.parametrize("tool", [nn.draw, nn.explain, nn.profile, nn.check_gradients, nn.forward_steps])
def test_a_loss_without_a_target_is_the_same_error_in_every_tool(tool):
    with pytest.raises(ValueError, match=r"^target: MSELoss\(\) needs a target as well as X; pass target=$"):
        tool(nn.Tanh(), X, loss=nn.MSELoss())


def test_it_works_on_a_copy():
    model = nn.Sequential(nn.Linear(3, 2, rng=0), nn.Sequential(nn.Tanh())).eval()
    model.needs_dX = False
    given, loss = X.copy(), nn.MSELoss()
    model.dPhi = np.arange(8)
    before = [dict(vars(layer)) for _, layer in model.named_layers()]
    Phi, dPhi = model.Phi.copy(), model.dPhi.copy()
    nn.check_gradients(model, given, np.ones((2, 2)), loss=loss)
    nn.check_gradients(model, given)
    for (_, layer), attributes in zip(model.named_layers(), before, strict=True):
        assert vars(layer).keys() == attributes.keys()
        assert all(vars(layer)[key] is value for key, value in attributes.items())
    assert_array_equal(model.Phi, Phi)
    assert_array_equal(model.dPhi, dPhi)
    assert_array_equal(given, X)
    assert not vars(loss).keys() - vars(nn.MSELoss()).keys()
    assert model.Phi.dtype == np.float32
    assert not model.training


def test_the_first_dX_is_checked_even_where_the_model_does_not_need_it():
    model = nn.Sequential(nn.Linear(3, 2, rng=0))
    model.needs_dX = False
    assert nn.check_gradients(model, X).comparisons[0].name == "X"


# ------------------------------------------------------------------------------------------ the report


def test_the_report_is_a_table_with_a_row_for_each_array():
    """Y = 2 x^2 with backward x in place of 4 x; at x = 3 the worst entry is 3 dY against 12 dY."""
    layer = Elementwise(lambda x: 2 * x**2, lambda x: np.where(x == 3, 1, 4) * x)
    with pytest.raises(nn.GradientError) as caught:
        nn.check_gradients(layer, np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), np.zeros((2, 3)), nn.MSELoss())
    *title, head, rule, row = str(caught.value).splitlines()
    # Behind a loss it is the layer, and not the loss, that is wrong.
    assert " ".join(title) == "Elementwise(): dX: differs in 1 of 6 entries: X[0, 2]; the layer after it is right"
    assert head.split() == ["gradient", "shape", "wrong", "worst", "at", "backward", "numerical", "angle"]
    assert set(rule) == {"-"}
    # J = mean((2 x^2)^2) over 6 entries: dJ/dY = 2 * 18 / 6 = 6 at x = 3, so dJ/dx is 6 * 12 = 72, and 6 * 3 = 18.
    shown = re.fullmatch(r"WRONG  dX +\(2, 3\)  1 of 6 +\[0, 2\] +18 +([\d.]+) +([\d.]+)", row)
    assert float(shown[1]) == pytest.approx(72, rel=1e-7)
    # dJ/dx = (8/3) x^3 elsewhere: the two vectors are those of x^3, of which backward has a quarter at x = 3.
    x3 = np.array([1.0, 8.0, 27.0, 64.0, 125.0, 216.0])
    backward = x3 * [1, 1, 1 / 4, 1, 1, 1]
    angle = np.degrees(np.arccos(x3 @ backward / np.linalg.norm(x3) / np.linalg.norm(backward)))
    assert float(shown[2]) == pytest.approx(angle, rel=5e-3)


def test_the_report_of_right_gradients_has_no_angle_and_its_columns_are_aligned():
    head, rule, *rows = str(nn.check_gradients(nn.Linear(3, 2, rng=0), X)).splitlines()
    assert len(rule) <= 80
    assert "angle" not in head
    number = r"-?[\d.]+"
    for row, name, shape, count in zip(rows, "XWb", ["(2, 3)", "(3, 2)", "(2,)"], [6, 6, 2], strict=True):
        start = rf"right  d{name} +{re.escape(shape)} +0 of {count} +\[\d(, \d)?\] +"
        assert re.fullmatch(rf"{start}{number} +{number}", row), row
        assert len(row) == len(head) == len(rule)


def test_the_report_fits_a_terminal_and_breaks_between_words():
    wrong = Affine(scaled("W", 2))
    model = nn.Sequential(nn.Sequential(wrong), nn.Tanh(), nn.Linear(2, 2, dtype=np.float64, rng=0), nn.Sigmoid())
    with pytest.raises(nn.GradientError) as caught:
        nn.check_gradients(model, X, np.zeros((2, 2)), nn.MSELoss())
    lines = str(caught.value).splitlines()
    assert max(map(len, lines)) <= 80
    verdict = caught.value.report.verdict
    assert len(verdict) > 80
    assert " ".join(" ".join(lines).split()).startswith(verdict)


def test_the_report_prints_and_compares():
    report = nn.check_gradients(Elementwise(lambda x: 5 * x, lambda x: 5.0), np.array(2.0), np.array(3.0), nn.MSELoss())
    # J = (5 x - 3)^2 at x = 2: 2 * 7 * 5 = 70.
    assert str(report).splitlines()[-1].split() == ["right", "dX", "()", "0", "of", "1", "70", "70"]
    assert repr(report) == str(report)
    (line,) = report.comparisons
    assert (line.name, line.shape, line.checked, line.index, line.analytic) == ("X", (), 1, (), 70)
    assert line.numeric == pytest.approx(70, rel=1e-8)
    assert report == type(report)((line,))
    with pytest.raises(AttributeError):
        line.right = False
    with pytest.raises(AttributeError):
        report.comparisons = ()
    assert not type(report)((line, type(line)("W", (), 1, (), 1.0, 2.0, right=False))).right


def test_a_backward_that_adds_to_its_gradients_is_found():
    class Adds(nn.Linear):
        def backward(self, dY):
            before = self.dW.copy()
            dX = super().backward(dY)
            self.dW += before
            return dX

    with pytest.raises(nn.GradientError, match="WRONG  dW"):
        nn.check_gradients(Adds(3, 2, rng=0), X)


def test_a_forward_that_writes_into_its_input_is_an_error_that_says_so():
    class InPlace(nn.Layer):
        def forward(self, X):
            X *= 2
            return X

    with pytest.raises(ValueError, match=r"InPlace\(\): forward modifies X in place; compute a new array"):
        nn.check_gradients(InPlace(), X)


def test_a_loss_whose_backward_takes_no_dJ_is_told_so():
    class Own(nn.Loss):
        def forward(self, Y, target):
            self.E = Y - target
            return float(np.sum(self.E**2))

        def backward(self):
            return 2 * self.E

    with pytest.raises(TypeError, match="positional argument") as caught:
        nn.check_gradients(Own(), X, X[::-1])
    assert caught.value.__notes__[-1] == "Own(): the backward of a loss takes dJ: def backward(self, dJ=1.0)"
    assert nn.check_gradients(nn.Tanh(), X, X[::-1], Own()).right


def test_beside_a_pole_there_is_no_kink():
    near = 1e-4 * np.random.default_rng(0).normal(size=(6, 3))
    assert nn.check_gradients(nn.Reciprocal(), near).right
    wrong = Elementwise(lambda x: 1 / x, lambda x: 1 / x**2)
    with pytest.raises(nn.GradientError, match="wrong sign"):
        nn.check_gradients(wrong, near)


def test_an_input_at_the_edge_of_the_domain_is_told_from_one_beyond_it():
    edge = [[0.0], [1.0], [0.5]]
    with pytest.raises(ValueError, match=r"^X\[0, 0\] = 0 is at the edge of forward's domain.*; move it inside$"):
        nn.check_gradients(nn.BCELoss(), edge, [[1.0], [1.0], [0.0]])
