"""The diagnosis of wrong gradients: it names the layer and the mistake, and raises no false alarm."""

import pickle
import re

import numpy as np
import pytest
from support import random_networks
from support.faulty_layers import (
    POSITIVE,
    D,
    Dense,
    Fork,
    Function,
    M,
    N,
    Single,
    Two,
    WritesdY,
    WritesX,
    X,
    linear,
    put,
    times,
)
from support.gradient_faults import FAULTS, SQUARE, T
from support.sweeps import SWEEP, seeds

import nnlite as nn

WRONG = "backward is not the derivative of forward"


def verdict_on(model, X, *args, **options):
    with pytest.raises(nn.GradientError) as caught:
        nn.check_gradients(model, X, *args, **options)
    report = caught.value.report
    assert str(caught.value) == str(report)
    assert " ".join(str(report).split()).startswith(report.verdict)
    assert not report.right
    return report.verdict


def reason(verdict):
    """The part of the verdict after the place."""
    return verdict.partition(WRONG)[2].partition(": ")[2] or verdict.partition(": ")[2]


# ------------------------------------------------------------------------------------ the seeded faults


def test_the_faults_have_different_names():
    assert len({fault.id for fault in FAULTS}) == len(FAULTS) >= 70


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.id for fault in FAULTS])
def test_a_fault_is_named(fault):
    verdict = verdict_on(fault.make(), X if fault.X is None else fault.X, fault.target)
    assert reason(verdict).startswith(fault.verdict.format(place=type(fault.make()).__name__))
    assert "after it" not in verdict


ALONE = [fault for fault in FAULTS if not isinstance(fault.X, tuple) and fault.target is None]


@pytest.mark.parametrize("fault", ALONE[::2], ids=[fault.id for fault in ALONE[::2]])
def test_a_fault_is_named_inside_a_model(fault):
    """The layers around it are right and give it another X and another dY."""
    model = nn.Sequential(nn.Identity(), nn.Sequential(fault.make(), nn.Tanh()), nn.Softmax())
    verdict = verdict_on(model, X if fault.X is None else fault.X)
    assert "Sequential[1][0] " in verdict
    assert "float64" not in verdict.replace("X is float64", "")
    assert reason(verdict).startswith(fault.verdict.format(place="Sequential[1][0]"))
    others = "; the 2 layers after it are right; the layer before it was not checked"
    assert verdict.endswith(others) or "rounding error" in fault.verdict


@pytest.mark.parametrize("fault", ALONE[1::2], ids=[fault.id for fault in ALONE[1::2]])
def test_a_fault_is_named_in_front_of_a_loss(fault):
    model = nn.Sequential(fault.make(), nn.Sigmoid())
    given = X if fault.X is None else fault.X
    target = np.random.default_rng(3).random(model.forward(given).shape)
    verdict = verdict_on(model, given, target, nn.MSELoss(reduction="sum"))
    assert "Sequential[0] " in verdict
    assert reason(verdict).startswith(fault.verdict.format(place="Sequential[0]"))


# ------------------------------------------------------------------------------------ silent on what is right


@pytest.mark.parametrize("seed", seeds(30))
def test_no_false_alarm_over_random_networks(seed):
    """For a longer sweep run python tests/support/random_networks.py 1000."""
    assert random_networks.checked(seed) in ("right", "no gradient")


STEEP = [19, 151, 371, 860, 1285, 1305, 2040, 2074, 3139, 3650, 3687, 3875, 6492, 6909, 7307, 9216, 12911, 13036, 14182]


@pytest.mark.parametrize("seed", STEEP if SWEEP > 1 else STEEP[::2])
def test_no_false_alarm_where_rounding_and_curves_are_at_their_worst(seed):
    """Inputs of 1e5, gradients of 1e-10, kinks of 0.1 % of the slope: a fixed step and tolerance fail on these."""
    assert random_networks.checked(seed) in ("right", "no gradient")


def test_a_wrong_sign_is_named_in_random_networks():
    said = [random_networks.spoiled(seed) for seed in range(20)]
    assert set(said) <= {"named", "nothing to see"}
    assert said.count("named") >= 12


def test_most_of_the_random_networks_have_a_gradient_to_check():
    assert sum(random_networks.checked(seed) == "right" for seed in range(10)) >= 9


def test_the_report_of_a_right_layer_says_so():
    report = nn.check_gradients(nn.Linear(D, M, rng=0), X)
    assert report.verdict == "every gradient is right"
    assert report.fault == ""
    assert report.right


# ------------------------------------------------------------------------------------ where


def test_the_first_wrong_layer_on_the_way_back_is_named():
    def model(*wrong):
        layers = [linear(times("W", 3)) if place in wrong else nn.Linear(D, M, rng=1) for place in range(1)]
        layers += [linear(times("b", -1), M, M) if place in wrong else nn.Linear(M, M, rng=2) for place in (1, 2)]
        return nn.Sequential(*layers, nn.Tanh())

    place = f"Sequential(4 layers): {WRONG} in Sequential"
    assert verdict_on(model(0), X) == f"{place}[0] Own(3 -> 4): dW: 3 times the true gradient ({D} is {FEATURES})" + (
        "; the 3 layers after it are right"
    )
    assert verdict_on(model(0, 1), X) == (
        f"{place}[1] Own(4 -> 4): db: wrong sign; the 2 layers after it are right; the layer before it was not checked"
    )
    assert verdict_on(model(1, 2), X) == (
        f"{place}[2] Own(4 -> 4): db: wrong sign; the layer after it is right; the 2 layers before it were not checked"
    )


FEATURES = "the number of features"


def test_in_a_graph_the_way_back_is_its_own():
    x = nn.Input("x")
    h = nn.Tanh()(linear(times("b", 7))(x))
    graph = nn.Graph(x, h * nn.Sigmoid()(h) + nn.Linear(D, M, rng=3)(x))
    verdict = verdict_on(graph, X)
    assert "in Graph[0] Own(3 -> 4): db: 7 times the true gradient" in verdict
    assert re.search(r"; the [45] layers after it are right$", verdict)


def test_a_wrong_loss_is_named_and_the_model_is_not():
    class Wrong(nn.MSELoss):
        def backward(self, dJ=1.0):
            return -super().backward(dJ)

    verdict = verdict_on(nn.Sequential(nn.Linear(D, M, rng=0), nn.Tanh()), X, np.zeros((N, M)), Wrong())
    unchecked = "the 2 layers before it were not checked"
    assert verdict == f"Sequential(2 layers): {WRONG} in Wrong(): dX: wrong sign; {unchecked}"


def test_a_container_is_named_only_if_its_layers_are_right():
    fine = Fork(nn.Sequential(nn.Linear(D, D, rng=0), nn.Tanh()), lambda dY, back: back)
    assert "in Sequential[0] Fork(1 layers), although each layer in it is right: " in verdict_on(nn.Sequential(fine), X)
    wrong = Fork(nn.Sequential(linear(times("W", 2), D, D), nn.Tanh()), lambda dY, back: back)
    assert "in Sequential[0].inner[0] Own(3 -> 3): dW: 2 times" in verdict_on(nn.Sequential(wrong), X)


def test_a_tied_layer_whose_gradients_nobody_adds_is_found_in_the_container():
    first = nn.Linear(D, D, rng=0)

    class Chain(nn.Sequential):
        sums_tied = False

    verdict = verdict_on(Chain(first, nn.Tanh(), nn.tied(first)), X)
    assert verdict.startswith(f"Chain(3 layers): {WRONG}, although each layer in it is right: d0.W")


def test_a_layer_that_is_run_twice_in_one_forward_is_named():
    """As of karpathy/char-rnn#159: one layer for two inputs needs a cache for each."""

    class Twice(nn.Layer):
        def __init__(self):
            self.A = nn.Linear(3, 2, rng=0)

        def forward(self, first, second):
            return self.A.forward(first) - self.A.forward(second)

        def backward(self, dY):
            return self.A.backward(dY), self.A.backward(-dY)

    first, second = np.random.default_rng(0).normal(size=(2, 4, 3))
    with pytest.raises(nn.GradientError) as caught:
        nn.check_gradients(Twice(), (first, second))
    assert "Twice.A Linear(3 -> 2) is run 2 times in one forward" in caught.value.report.verdict
    assert "use nnlite.tied(layer)" in caught.value.report.verdict
    layer = nn.Linear(3, 2, rng=0)
    a, b = nn.Input("a"), nn.Input("b")
    graph = nn.Graph([a, b], nn.Subtract()(layer(a), nn.tied(layer)(b)))
    assert nn.check_gradients(graph, (first, second)).right


def test_entries_that_are_drawn_find_the_layer_as_well():
    model = nn.Sequential(linear(put(W=lambda L, dY, dW: dW.T), D, D), nn.Tanh(), nn.Linear(D, 2, rng=0))
    for seed in range(10):
        verdict = verdict_on(model, SQUARE, max_entries=4, rng=seed)
        assert "in Sequential[0] Own(3 -> 3): dW: transposed; the 2 layers after it are right" in verdict


# ------------------------------------------------------------------------------------ shapes


def test_a_gradient_of_another_shape_is_named_where_it_is_made():
    class Wrong(nn.Tanh):
        def backward(self, dY):
            return super().backward(dY).T

    expected = re.escape("Wrong(): dX: expected shape (5, 3), that of X, got (3, 5); it looks transposed")
    with pytest.raises(nn.GradientError, match=f"^{expected}$") as caught:
        nn.check_gradients(Wrong(), X)
    assert caught.value.report.verdict == str(caught.value) == str(caught.value.report)
    assert not caught.value.report.right
    model = nn.Sequential(nn.Linear(D, D, rng=0), Wrong(), nn.Tanh())
    with pytest.raises(nn.GradientError, match=re.escape("Sequential[1] Wrong(): dX: expected shape (5, 3)")) as caught:
        nn.check_gradients(model, X)
    assert isinstance(caught.value.__cause__, nn.ShapeError)


class Multiply(nn.Layer):
    """A user's ``Y = A B``, whose backward returns ``returned(dA, dB)``."""

    def __init__(self, returned):
        self.returned = returned

    def forward(self, A, B):
        self.A, self.B = A, B
        return A * B

    def backward(self, dY):
        return self.returned(dY * self.B, dY * self.A)


NOT_ONE_FOR_EACH = {
    "alone": (lambda dA, dB: dA, "returned 1 gradient, 2 inputs have one; return those of X1, X2"),
    "tuple of one": (lambda dA, dB: (dA,), "returned 1 gradient, 2 inputs have one"),
    "None": (lambda dA, dB: (dA, None), "returned None for the gradient of X2"),
    "too many": (lambda dA, dB: (dA, dB, dB), "returned 3 gradients, 2 inputs have one"),
}


@pytest.mark.parametrize("case", NOT_ONE_FOR_EACH)
def test_a_gradient_that_is_not_returned_at_all_is_an_error(case):
    returned, says = NOT_ONE_FOR_EACH[case]
    x = nn.Input("x")
    graph = nn.Graph(x, nn.Tanh()(Multiply(returned)(x, nn.Sigmoid()(x))))
    for model, given, place in (
        (Multiply(returned), (X, X + 1), "Multiply(): backward "),
        (nn.Sequential(Multiply(returned), nn.Tanh()), (X, X + 1), "Sequential[0] Multiply(): backward "),
        (graph, X, "Graph[1] Multiply(): backward "),
    ):
        assert verdict_on(model, given).startswith(place + says)


class Picked(Multiply):
    """``Y = A B`` with integers for B, which have no gradient."""

    without_gradient = ("B",)

    def forward(self, A, B):
        assert B.dtype.kind == "i"
        return super().forward(A, B.astype(float))


def test_an_input_without_gradient_keeps_its_dtype_and_is_not_compared():
    B = np.arange(X.size).reshape(X.shape)
    x, b = nn.Input("x"), nn.Input("b")
    right, wrong = Picked(lambda dA, dB: dA), Picked(lambda dA, dB: -dA)
    assert [line.name for line in nn.check_gradients(right, (X, B)).comparisons] == ["X1"]
    assert [line.name for line in nn.check_gradients(nn.Graph([x, b], right(x, b)), (X, B)).comparisons] == ["x"]
    assert reason(verdict_on(wrong, (X, B))) == "dX1: wrong sign"


def test_a_gradient_of_an_input_without_one_is_an_error():
    B = np.arange(X.size).reshape(X.shape)
    for returned, says in (
        (lambda dA, dB: (dA, dB), "backward returned 2 gradients, 1 input has one; return that of X1"),
        (lambda dA, dB: (dA, None), "backward returned 2 gradients, 1 input has one; return that of X1"),
    ):
        assert verdict_on(Picked(returned), (X, B)) == f"Picked(): {says}"


class SumOfSquares(nn.Loss):
    """A user's loss."""

    def forward(self, Y, target):
        self.E = Y - target
        return float(np.sum(self.E**2))

    def backward(self, dJ=1.0):
        return 2 * dJ * self.E


def test_a_loss_of_ones_own_is_checked_alone_behind_a_model_and_in_a_graph():
    class Wrong(SumOfSquares):
        def backward(self, dJ=1.0):
            return dJ * self.E

    x, t = nn.Input("x"), nn.Input("t")
    for loss in SumOfSquares(), nn.tied(SumOfSquares()):
        assert [line.name for line in nn.check_gradients(loss, X, X[::-1]).comparisons] == ["X"]
        assert nn.check_gradients(nn.Tanh(), X, X[::-1], loss).right
        report = nn.check_gradients(nn.Graph([x, t], loss(nn.Tanh()(x), t)), (X, X[::-1]))
        assert [line.name for line in report.comparisons] == ["x"]
    half = "dX: 1/2 of the true gradient"
    assert reason(verdict_on(Wrong(), X, X[::-1])) == half
    assert f"in Wrong(): {half}" in verdict_on(nn.Tanh(), X, X[::-1], Wrong())
    assert f"in Graph[1] Wrong(): {half}" in verdict_on(nn.Graph([x, t], Wrong()(nn.Tanh()(x), t)), (X, X[::-1]))


def test_a_target_needs_a_loss():
    with pytest.raises(TypeError, match=r"got a target, but Tanh\(\) is not a nnlite.Loss; pass loss="):
        nn.check_gradients(nn.Tanh(), X, X)


def test_a_gradient_that_is_not_summed_is_named():
    class Wrong(nn.Add):
        def backward(self, dZ):
            return dZ.copy(), dZ.copy()

    with pytest.raises(nn.GradientError, match=r"dX2: expected shape \(3,\).*got \(5, 3\); sum it over"):
        nn.check_gradients(Wrong(), (X, X[0]))


def test_an_error_in_backward_that_has_another_reason_is_left_alone():
    class Fails(nn.Tanh):
        def backward(self, dY):
            raise KeyError("own")

    with pytest.raises(KeyError, match="own"):
        nn.check_gradients(nn.Sequential(nn.Tanh(), Fails(), nn.Tanh()), X)


# ------------------------------------------------------------------------------------ arrays that are written into


def test_a_backward_that_writes_into_its_dY_is_named():
    # as of pytorch#81417, where it makes gradients wrong that were right
    says = "WritesdY(): backward modifies dY in place; compute a new array instead"
    assert verdict_on(WritesdY(), X) == says
    assert verdict_on(nn.Sequential(nn.Linear(D, D, rng=0), WritesdY(), nn.Tanh()), X) == f"Sequential[1] {says}"
    x = nn.Input("x")
    verdict = verdict_on(nn.Graph(x, WritesdY()(x) + x), X)  # as it happens, all gradients are right
    assert verdict == f"Graph[0] {says}"


def test_a_report_of_right_gradients_is_not_right_if_something_is_written_into():
    with pytest.raises(nn.GradientError) as caught:
        nn.check_gradients(WritesdY(), X)
    report = caught.value.report
    assert all(comparison.right for comparison in report.comparisons)
    assert not report.right


def test_a_backward_that_writes_into_its_X_is_named():
    says = "WritesX(): backward modifies X in place; compute a new array instead"
    assert verdict_on(WritesX(), X) == says
    assert verdict_on(nn.Sequential(nn.Identity(), WritesX()), X) == f"Sequential[1] {says}"


def test_a_backward_that_updates_its_parameters_is_named():
    class Learning(nn.Linear):
        def backward(self, dY):
            dX = super().backward(dY)
            self.W -= 0.1 * self.dW
            return dX

    says = "backward modifies W; leave the update to the optimizer"
    assert verdict_on(Learning(D, M, rng=0), X) == f"Learning(3 -> 4): {says}"
    model = nn.Sequential(nn.Linear(D, D, rng=1), Learning(D, M, rng=0), nn.Tanh())
    assert verdict_on(model, X) == f"Sequential[1] Learning(3 -> 4): {says}"


def test_a_backward_that_writes_into_what_it_kept_is_named():
    class Kept(nn.Layer):
        def forward(self, X):
            self.Y = np.exp(X)
            return self.Y.copy()

        def backward(self, dY):
            self.Y *= dY
            return self.Y

    says = "Kept(): backward modifies an array that forward cached: a second backward returns other gradients"
    assert verdict_on(Kept(), X).startswith(says)
    assert verdict_on(nn.Sequential(nn.Linear(D, D, rng=0), Kept(), nn.Tanh()), X).startswith(f"Sequential[1] {says}")


def test_what_is_wrong_beside_that_is_told_too():
    class Both(WritesdY):
        def backward(self, dY):
            dX = super().backward(dY)
            return -dX

    verdict = verdict_on(nn.Sequential(Both()), X)
    assert verdict.startswith("Sequential[0] Both(): backward modifies dY in place; ")
    assert verdict.endswith("in Sequential[0] Both(): dX: wrong sign")


def test_a_forward_that_writes_into_its_input_inside_a_model_is_named():
    class InPlace(nn.Identity):
        def forward(self, X):
            X *= 2
            return super().forward(X)

    model = nn.Sequential(nn.Linear(D, M, rng=0), InPlace())
    with pytest.raises(ValueError, match=r"^Sequential\[1\] InPlace\(\): forward modifies X in place; compute a new"):
        nn.check_gradients(model, X)


def test_a_random_layer_inside_a_model_is_named():
    class Noise(nn.Identity):
        def forward(self, X):
            return super().forward(X + np.random.default_rng().normal(size=X.shape))

    model = nn.Sequential(nn.Linear(D, M, rng=0), nn.Tanh(), Noise(), nn.Tanh())
    with pytest.raises(ValueError, match=r"^Sequential\[2\] Noise\(\): forward is random: .*self.rng = "):
        nn.check_gradients(model, X)


# ------------------------------------------------------------------------------------ what is only noise


def test_noise_of_float32_is_told_from_a_mistake_in_float32():
    verdict = verdict_on(nn.Sequential(Single(), nn.Tanh()), X)
    assert verdict.startswith(
        "Sequential[0] Single(): rounding error, not a wrong backward: forward computes in float32 although X"
    )

    class Mistaken(Single):
        def backward(self, dY):
            return 2 * super().backward(dY)

    verdict = verdict_on(nn.Sequential(Mistaken(), nn.Tanh()), X)
    assert "rounding" not in verdict
    assert f"{WRONG} in Sequential[0] Mistaken()" in verdict


@pytest.mark.parametrize("size", [1e3, 1e5, 1e7, 1e9])
def test_large_inputs_do_not_drown_in_the_rounding_of_their_sum(size):
    rng = np.random.default_rng(0)
    large = size * rng.normal(size=(20, 5))
    for layer in (nn.Identity(), nn.Square(), nn.Linear(5, 3, rng=0), nn.Sequential(nn.Linear(5, 3, rng=0), nn.Tanh())):
        assert nn.check_gradients(layer, large).right
    assert nn.check_gradients(nn.Linear(5, 3, rng=0), large, np.ones((20, 3)), nn.MSELoss()).right


@pytest.mark.parametrize("size", [1e3, 1e5, 1e7])
def test_with_large_inputs_a_small_mistake_is_still_found(size):
    rng = np.random.default_rng(0)
    layer = linear(times("b", 1 + 1e-4))
    assert "db: 1.0001 times" in verdict_on(layer, size * rng.normal(size=(20, D)))


def test_a_gradient_of_1e_6_is_compared_to_1_percent():
    wrong = Function(lambda X: 1e-6 * np.tanh(X), lambda dY, X, Y: 1.05e-6 * dY * (1 - np.tanh(X) ** 2))
    assert "dX: 21/20 times the true gradient" in verdict_on(wrong, X)


def squares(backward):
    return Function(lambda X: X**2, lambda dY, X, Y: backward(2 * dY * X))


def test_a_factor_is_recognized_in_a_gradient_rounded_to_float32():
    assert reason(verdict_on(squares(lambda dX: 3 * dX.astype(np.float32)), X)).startswith("dX: 3 times the true")


def test_a_gradient_in_float32_that_is_off_by_a_thousandth_is_not_only_rounded():
    off = 1 + 1e-3 * np.random.default_rng(0).normal(size=X.shape)
    assert "rounding" not in verdict_on(squares(lambda dX: (off * dX).astype(np.float32)), X)


def test_entries_that_are_off_by_2e_6_in_both_directions_are_no_factor():
    off = 1 + 3e-6 * np.random.default_rng(0).choice([-1, 1], size=X.shape)
    assert "the true gradient" not in verdict_on(squares(lambda dX: off * dX), X)


def test_a_running_mean_of_gradients_is_not_taken_for_a_sum():
    class Averaged(nn.Linear):
        def backward(self, dY):
            before = self.dW.copy()
            dX = super().backward(dY)
            self.dW += 0.995 * before
            return dX

    assert "adds to the stored gradient" not in verdict_on(Averaged(D, M, rng=0), X)


@pytest.mark.parametrize("size", [1e-3, 1e-6, 1e-8, 1e-12])
def test_small_gradients_are_not_hidden_by_the_tolerance(size):
    """J and its gradients are all of this size, below 1e-7."""
    right = Function(lambda X: size * np.tanh(X), lambda dY, X, Y: dY * size * (1 - np.tanh(X) ** 2))
    assert nn.check_gradients(right, X).right
    wrong = Function(lambda X: size * np.tanh(X), lambda dY, X, Y: -dY * size * (1 - np.tanh(X) ** 2))
    assert reason(verdict_on(wrong, X)) == "dX: wrong sign"
    assert nn.check_gradients(wrong, X, atol=10 * size).right  # an atol that is given is taken as it is


def test_small_gradients_in_front_of_large_values_are_not_hidden():
    """The gradients are 1e-8, and J is 1."""
    wrong = Function(lambda X: 1 + 1e-8 * np.tanh(X), lambda dY, X, Y: 0.5e-8 * dY * (1 - np.tanh(X) ** 2))
    assert "dX" in verdict_on(wrong, X)
    right = Function(lambda X: 1 + 1e-8 * np.tanh(X), lambda dY, X, Y: 1e-8 * dY * (1 - np.tanh(X) ** 2))
    assert nn.check_gradients(right, X).right


def test_a_gradient_of_zero_is_right_also_if_backward_rounds():
    layer = Function(lambda X: X - X.mean(axis=0, keepdims=True) * 0 - X, lambda dY, X, Y: 1e-17 * dY)
    assert nn.check_gradients(layer, X).right


def test_strongly_curved_functions_are_right():
    """At the default step the difference of sin(3000 X) is off by 1.5e-4 of the slope."""
    layer = Function(lambda X: np.sin(3e3 * X) / 3e3, lambda dY, X, Y: dY * np.cos(3e3 * X))
    assert nn.check_gradients(layer, X).right
    wrong = Function(lambda X: np.sin(3e3 * X) / 3e3, lambda dY, X, Y: 1.001 * dY * np.cos(3e3 * X))
    assert "dX: 1.001 times the true gradient" in verdict_on(wrong, X)


def test_wider_steps_may_leave_the_domain_of_forward():
    """Where BCELoss is given 1 + 1e-4 it raises, and a logarithm of less than 0 is NaN."""
    near = np.array([[1 - 1e-4], [1e-4]])
    assert nn.check_gradients(nn.BCELoss(), near, np.array([[1.0], [0.0]])).right
    assert nn.check_gradients(nn.Log(), near).right


# ------------------------------------------------------------------------------------ what rounding hides


@pytest.mark.parametrize("target", [0, 1])
@pytest.mark.parametrize("x", [28.0, 30.0, 34.0, 35.0, 36.0, 40.0, -28.0, -35.0, -240.0])
def test_a_saturated_sigmoid_is_no_mistake(x, target):
    model = nn.Sequential(nn.Linear(1, 1, rng=0), nn.Sigmoid())
    model[0].W = [[1.0]]
    report = nn.check_gradients(model, [[x]], [[target]], nn.BCELoss())
    assert report.right
    if x == 35 and target == 0:
        assert str(report).count("none compared") == 3
        assert (
            "not compared: rounding in the output of Sequential[1] Sigmoid(), or a bound of BCELoss, hides"
            in report.note
        )
        assert " ".join(str(report).split()).endswith(report.note)
        assert "scale the inputs, or use BCEWithLogitsLoss" in report.note


@pytest.mark.parametrize("seed", seeds(10))
def test_inputs_that_are_not_scaled_are_no_mistake(seed):
    rng = np.random.default_rng(seed)
    large = rng.normal(size=(8, 2)) * [1, 500]
    model = nn.Sequential(nn.Linear(2, 16, rng=seed), nn.ReLU(), nn.Linear(16, 1, rng=seed + 1), nn.Sigmoid())
    target = large.prod(axis=1, keepdims=True) > 0
    assert nn.check_gradients(model, large, target, nn.BCELoss(), max_entries=10, rng=seed).right


def test_a_mistake_beside_a_saturated_sigmoid_is_still_named():
    model = nn.Sequential(linear(times("W", -1), D, 1), nn.Sigmoid())
    model[0].b = [34.0]
    assert "in Sequential[0] Own(3 -> 1): dW: wrong sign" in verdict_on(model, X, np.zeros((N, 1)), nn.BCELoss())


def test_a_kink_that_is_small_beside_the_slope_is_refused_where_it_shows():
    layer = Function(lambda X: X + 1e-3 * np.abs(X), lambda dY, X, Y: dY * np.where(X >= 0, 1.001, 0.999))
    with pytest.raises(ValueError, match=r"X\[1\] = 0 is at a kink"):
        nn.check_gradients(layer, np.array([1.0, 0.0]), np.array([0.5, 0.5]), nn.MSELoss(), rtol=1e-12, atol=1e-12)


# ------------------------------------------------------------------------------------ what is reported


def test_the_angle_is_that_between_backward_and_the_true_gradient():
    """J = sum of Y times dY: dX = (dY1, dY2) rotated by 30 degrees."""
    c, s = np.cos(np.pi / 6), np.sin(np.pi / 6)
    turned = Function(lambda X: X * 1.0, lambda dY, X, Y: np.array([c * dY[0] - s * dY[1], s * dY[0] + c * dY[1]]))
    with pytest.raises(nn.GradientError) as caught:
        nn.check_gradients(turned, np.array([1.0, 2.0]))
    (line,) = caught.value.report.comparisons
    assert line.angle == pytest.approx(30, abs=1e-6)
    assert line.differing == 2
    assert str(caught.value).splitlines()[-1].endswith("  30")


@pytest.mark.parametrize(("factor", "angle"), [(2, 0), (-1, 180), (0, None), (np.nan, None)])
def test_the_angle_of_a_multiple(factor, angle):
    with pytest.raises(nn.GradientError) as caught:
        nn.check_gradients(linear(times("W", factor)), X)
    line = caught.value.report.comparisons[1]
    assert line.angle == (None if angle is None else pytest.approx(angle, abs=1e-5))
    assert ("angle" in str(caught.value)) == (angle is not None)


def test_the_angle_of_a_right_gradient_is_0_and_not_shown():
    report = nn.check_gradients(nn.Linear(D, M, rng=0), X)
    assert [line.angle for line in report.comparisons] == pytest.approx([0, 0, 0], abs=1e-4)
    assert "angle" not in str(report)
    assert [line.differing for line in report.comparisons] == [0, 0, 0]


def test_the_error_survives_pickle_with_its_report():
    with pytest.raises(nn.GradientError) as caught:
        nn.check_gradients(linear(times("W", 2)), X)
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    assert again.report == caught.value.report


def test_a_gradient_that_is_not_proportional_to_dY_is_told_so():
    clipped = Function(np.square, lambda dY, X, Y: np.clip(2 * dY * X, -1, 1))
    assert re.search(r"differs in \d+ of 15 entries, .*; it is not linear in dY", verdict_on(clipped, X))


def test_the_layer_itself_stays_as_it_is():
    model = nn.Sequential(linear(times("W", 2)), nn.Tanh())
    Phi, dPhi, before = model.Phi.copy(), model.dPhi.copy(), [dict(vars(layer)) for _, layer in model.named_layers()]
    given = X.copy()
    verdict_on(model, given)
    for (_, layer), attributes in zip(model.named_layers(), before, strict=True):
        assert vars(layer).keys() == attributes.keys()
        assert all(vars(layer)[key] is value for key, value in attributes.items())
    np.testing.assert_array_equal(model.Phi, Phi)
    np.testing.assert_array_equal(model.dPhi, dPhi)
    np.testing.assert_array_equal(given, X)


def test_what_explains_only_a_part_is_not_named():
    """All but one entry are of the wrong sign; all but one are transposed."""
    almost = linear(put(W=lambda L, dY, dW: np.where(np.arange(M) + 10 * np.arange(D)[:, None] == 11, dW, -dW)))
    assert (
        reason(verdict_on(almost, X))
        == "dW: differs in 11 of 12 entries, most at W[" + (re.search(r"most at W\[(.*)", verdict_on(almost, X))[1])
    )
    turned = linear(put(W=lambda L, dY, dW: np.where(np.eye(D)[::-1] * [1, 0, 0], 9.0, dW.T)), D, D)
    assert "transposed" not in verdict_on(turned, SQUARE)


def test_a_matrix_that_is_not_transposed_is_named():
    class Plain(nn.Linear):
        def backward(self, dY):
            super().backward(dY)
            return dY @ self.W

    class Turned(nn.Linear):
        def forward(self, X):
            return super().forward(X) - X @ self.W + X @ self.W.T

    assert reason(verdict_on(Plain(D, D, rng=0), X)) == "dX: W is not transposed: it is dY W instead of dY W^T"
    verdict = reason(verdict_on(Turned(D, D, rng=0), X))
    assert verdict.startswith("dX: W is transposed although forward multiplies by W^T: it should be dY W; dW: ")
    assert "missing" not in verdict


def test_several_wrong_arrays_are_told_apart():
    layer = linear(put(W=lambda L, dY, dW: -dW, b=lambda L, dY, db: -db, X=lambda L, dY, dX: dX[::-1]))
    assert reason(verdict_on(layer, X)) == "dX: its rows are in reverse order; dW, db: wrong sign"


def test_layers_of_several_inputs_and_outputs_are_examined():
    class Wrong(nn.Layer):
        num_outputs = 2

        def forward(self, A, B):
            return A + B, A - B

        def backward(self, dU, dV):
            return dU + dV, dU + dV

    x = nn.Input("x")
    model = nn.Graph(x, nn.Multiply()(*Wrong()(nn.Tanh()(x), x)))
    assert "in Graph[1] Wrong(): dX2: " in verdict_on(model, X)


def test_positive_inputs_and_composites_are_no_special_case():
    assert nn.check_gradients(Dense(lambda U, Y: 1 - Y * Y), POSITIVE).right
    right = Two(nn.Tanh(), nn.Sigmoid())
    right.backward = lambda dY: right.f.backward(dY) + right.g.backward(dY)
    assert T.shape == X.shape
