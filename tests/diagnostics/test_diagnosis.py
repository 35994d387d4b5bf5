"""The diagnosis of wrong gradients: it names the layer and the mistake, and raises no false alarm."""

import pickle
from pathlib import Path

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
from nnlite.diagnostics.gradients.fault import KINDS, Fault


def report_on(model, X, *args, **options):
    with pytest.raises(nn.GradientError) as caught:
        nn.check_gradients(model, X, *args, **options)
    report = caught.value.report
    assert str(caught.value) == str(report)
    assert " ".join(str(report).split()).startswith(report.verdict)
    assert not report.right
    assert report.fault is report.faults[0]
    return report


def fault_of(model, X, *args, **options):
    return report_on(model, X, *args, **options).fault


def kinds_of(model, X, *args, **options):
    """The kind of the fault of each array that is wrong."""
    return {fault.array: fault.kind for fault in report_on(model, X, *args, **options).faults}


def assert_found(report, seeded, place, inside=None):
    """The faults of the report are the seeded ones, in the layer at ``place``."""
    assert [(fault.layer, fault.array, fault.kind) for fault in report.faults] == [
        (place, array, kind) for array, kind, _ in seeded.found
    ]
    for fault, (_, _, detail) in zip(report.faults, seeded.found, strict=True):
        for name, value in detail.items():
            if name == "term":
                value = value.format(place=inside or place.partition("(")[0])
            assert fault.detail[name] == (pytest.approx(value) if name == "factor" else value)


# ------------------------------------------------------------------------------------ the seeded faults


def test_the_faults_have_different_names():
    assert len({fault.id for fault in FAULTS}) == len(FAULTS) >= 70


@pytest.mark.parametrize("seeded", FAULTS, ids=[fault.id for fault in FAULTS])
def test_a_fault_is_found(seeded):
    layer = seeded.make()
    report = report_on(layer, X if seeded.X is None else seeded.X, seeded.target)
    assert_found(report, seeded, layer.one_line())
    assert (report.after, report.before) == (0, 0)


ALONE = [fault for fault in FAULTS if not isinstance(fault.X, tuple) and fault.target is None]


@pytest.mark.parametrize("seeded", ALONE[::2], ids=[fault.id for fault in ALONE[::2]])
def test_a_fault_is_found_inside_a_model(seeded):
    """The layers around it are right and give it another X and another dY."""
    layer = seeded.make()
    model = nn.Sequential(nn.Identity(), nn.Sequential(layer, nn.Tanh()), nn.Softmax())
    report = report_on(model, X if seeded.X is None else seeded.X)
    assert_found(report, seeded, f"Sequential[1][0] {layer.one_line()}", "Sequential[1][0]")
    assert (report.after, report.before) == (2, 1) or seeded.id == "float32-forward"


@pytest.mark.parametrize("seeded", ALONE[1::4], ids=[fault.id for fault in ALONE[1::4]])
def test_a_fault_is_found_in_front_of_a_loss(seeded):
    layer = seeded.make()
    model = nn.Sequential(layer, nn.Sigmoid())
    given = X if seeded.X is None else seeded.X
    target = np.random.default_rng(3).random(model.forward(given).shape)
    report = report_on(model, given, target, nn.MSELoss(reduction="sum"))
    assert_found(report, seeded, f"Sequential[0] {layer.one_line()}", "Sequential[0]")


def test_each_kind_is_documented_with_its_sentence_and_sought_by_a_test():
    told = " ".join(nn.check_gradients.__doc__.split())
    sought = {kind for fault in FAULTS for _, kind, _ in fault.found}
    here = Path(__file__).read_text()
    for kind in KINDS:
        assert f'"{kind}"' in told
        assert kind in sought or f'"{kind}"' in here


# ------------------------------------------------------------------------------------ silent on what is right


@pytest.mark.parametrize("seed", seeds(12))
def test_no_false_alarm_over_random_networks(seed):
    """For a longer sweep run python tests/support/random_networks.py 1000."""
    assert random_networks.checked(seed, random_networks.Every) in ("right", "no gradient")


STEEP = [19, 151, 371, 860, 1285, 1305, 2040, 2074, 3139, 3650, 3687, 3875, 6492, 6909, 7307, 9216, 12911, 13036, 14182]


@pytest.mark.parametrize("seed", STEEP if SWEEP > 1 else STEEP[::3])
def test_no_false_alarm_where_rounding_and_curves_are_at_their_worst(seed):
    """Inputs of 1e5, gradients of 1e-10, kinks of 0.1 % of the slope: a fixed step and tolerance fail on these."""
    assert random_networks.checked(seed) in ("right", "no gradient")


@pytest.mark.parametrize("seed", [19, 646])
def test_rounding_between_layers_is_no_mistake_of_the_whole(seed):
    """Each layer is right by itself; in the whole, gradients of 1e-8 beside others of 1e-1, or of 1e-2 beside 1e9."""
    assert random_networks.checked(seed, random_networks.Every) in ("right", "no gradient")


def test_a_jump_within_the_step_is_refused():
    """The derivative at 0 is 1e9, and tanh(1e9 h) = 1 at every step that can be taken."""
    steep = Function(lambda X: np.tanh(1e9 * X), lambda dY, X, Y: 1e9 * dY * (1 - Y * Y))
    with pytest.raises(ValueError, match=r"X\[0\] = 0 is at a kink"):
        nn.check_gradients(steep, np.array([0.0, 1.0]))


def test_a_wrong_sign_is_named_in_random_networks():
    said = [random_networks.spoiled(seed, random_networks.Every) for seed in range(8)]
    assert set(said) <= {"named", "nothing to see"}  # that is at a kink, or where dW is 0
    assert said.count("named") >= 6


def test_the_report_of_a_right_layer_says_so():
    report = nn.check_gradients(nn.Linear(D, M, rng=0), X)
    assert report.verdict == "every gradient is right"
    assert report.fault is None
    assert report.right


# ------------------------------------------------------------------------------------ where


def test_the_first_wrong_layer_on_the_way_back_is_named():
    def model(*wrong):
        layers = [linear(times("W", 3)) if place in wrong else nn.Linear(D, M, rng=1) for place in range(1)]
        layers += [linear(times("b", -1), M, M) if place in wrong else nn.Linear(M, M, rng=2) for place in (1, 2)]
        return nn.Sequential(*layers, nn.Tanh())

    report = report_on(model(0), X)
    assert (report.fault.layer, report.fault.kind) == ("Sequential[0] Own(3 -> 4)", "wrong factor")
    assert report.verdict == (
        "Sequential[0] Own(3 -> 4): dW: 3 times the true gradient (3 is the number of features); "
        "the 3 layers after it are right"
    )
    for places, layer, after, before in ((0, 1), "[1]", 2, 1), ((1, 2), "[2]", 1, 2):
        report = report_on(model(*places), X)
        assert report.fault == Fault(f"Sequential{layer} Own(4 -> 4)", "db", "wrong sign")
        assert (report.after, report.before) == (after, before)
    assert report.verdict == (
        "Sequential[2] Own(4 -> 4): db: wrong sign; "
        "the layer after it is right; the 2 layers before it were not checked"
    )


def test_in_a_graph_the_way_back_is_its_own():
    x = nn.Input("x")
    h = nn.Tanh()(linear(times("b", 7))(x))
    graph = nn.Graph(x, h * nn.Sigmoid()(h) + nn.Linear(D, M, rng=3)(x))
    report = report_on(graph, X)
    assert (report.fault.layer, report.fault.array, report.fault.kind) == (
        "Graph[0] Own(3 -> 4)",
        "db",
        "wrong factor",
    )
    assert report.after in (4, 5)


def test_a_wrong_loss_is_named_and_the_model_is_not():
    class Wrong(nn.MSELoss):
        def backward(self, dJ=1.0):
            return -super().backward(dJ)

    report = report_on(nn.Sequential(nn.Linear(D, M, rng=0), nn.Tanh()), X, np.zeros((N, M)), Wrong())
    assert report.faults == (Fault("Wrong()", "dX", "wrong sign"),)
    assert report.before == 2


def test_a_container_is_named_only_if_its_layers_are_right():
    fine = Fork(nn.Sequential(nn.Linear(D, D, rng=0), nn.Tanh()), lambda dY, back: back)
    report = report_on(nn.Sequential(fine), X)
    assert report.fault == Fault("Sequential[0] Fork(1 layers)", "dX", "missing term", {"term": "dY"})
    assert report.parts_right
    assert report.verdict.startswith("Sequential[0] Fork(1 layers), although each layer in it is right: dX: ")
    wrong = Fork(nn.Sequential(linear(times("W", 2), D, D), nn.Tanh()), lambda dY, back: back)
    report = report_on(nn.Sequential(wrong), X)
    assert (report.fault.layer, report.fault.array) == ("Sequential[0].inner[0] Own(3 -> 3)", "dW")
    assert not report.parts_right


def test_a_tied_layer_whose_gradients_nobody_adds_is_found_in_the_container():
    first = nn.Linear(D, D, rng=0)

    class Chain(nn.Sequential):
        sums_tied = False

    report = report_on(Chain(first, nn.Tanh(), nn.tied(first)), X)
    assert (report.fault.layer, report.fault.array) == ("Chain(3 layers)", "d0.W")
    assert report.parts_right


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
    fault = fault_of(Twice(), (first, second))
    assert (fault.layer, fault.kind) == ("Twice(1 layers)", "layer run twice")
    assert fault.detail == {"part": "Twice.A Linear(3 -> 2)", "times": 2}
    assert "use nnlite.tied(layer)" in fault.cure
    layer = nn.Linear(3, 2, rng=0)
    a, b = nn.Input("a"), nn.Input("b")
    graph = nn.Graph([a, b], nn.Subtract()(layer(a), nn.tied(layer)(b)))
    assert nn.check_gradients(graph, (first, second)).right


def test_entries_that_are_drawn_find_the_layer_as_well():
    model = nn.Sequential(linear(put(W=lambda L, dY, dW: dW.T), D, D), nn.Tanh(), nn.Linear(D, 2, rng=0))
    for seed in range(10):
        report = report_on(model, SQUARE, max_entries=4, rng=seed)
        assert report.faults == (Fault("Sequential[0] Own(3 -> 3)", "dW", "transposed"),)
        assert report.after == 2


# ------------------------------------------------------------------------------------ shapes


def test_a_gradient_of_another_shape_is_named_where_it_is_made():
    class Wrong(nn.Tanh):
        def backward(self, dY):
            return super().backward(dY).T

    report = report_on(Wrong(), X)
    detail = {"expected": (5, 3), "got": (3, 5)}
    assert report.faults == (Fault("Wrong()", "dX", "transposed", detail),)
    assert str(report) == "Wrong(): dX: expected shape (5, 3), got (3, 5); it looks transposed"
    model = nn.Sequential(nn.Linear(D, D, rng=0), Wrong(), nn.Tanh())
    with pytest.raises(nn.GradientError) as caught:
        nn.check_gradients(model, X)
    assert caught.value.report.fault == Fault("Sequential[1] Wrong()", "dX", "transposed", detail)
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
    "alone": (lambda dA, dB: dA, "", "wrong number of gradients", {"expected": 2, "got": 1}),
    "tuple of one": (lambda dA, dB: (dA,), "", "wrong number of gradients", {"expected": 2, "got": 1}),
    "None": (lambda dA, dB: (dA, None), "dX2", "missing gradient", {}),
    "too many": (lambda dA, dB: (dA, dB, dB), "", "wrong number of gradients", {"expected": 2, "got": 3}),
}


@pytest.mark.parametrize("case", NOT_ONE_FOR_EACH)
def test_a_gradient_that_is_not_returned_at_all_is_an_error(case):
    returned, array, kind, detail = NOT_ONE_FOR_EACH[case]
    x = nn.Input("x")
    graph = nn.Graph(x, nn.Tanh()(Multiply(returned)(x, nn.Sigmoid()(x))))
    for model, given, place in (
        (Multiply(returned), (X, X + 1), "Multiply()"),
        (nn.Sequential(Multiply(returned), nn.Tanh()), (X, X + 1), "Sequential[0] Multiply()"),
        (graph, X, "Graph[1] Multiply()"),
    ):
        fault = fault_of(model, given)
        assert (fault.layer, fault.array, fault.kind) == (place, array, kind)
        assert detail.items() <= fault.detail.items()
        assert "without_gradient" in fault.cure


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
    assert kinds_of(wrong, (X, B)) == {"dX1": "wrong sign"}


def test_a_gradient_of_an_input_without_one_is_an_error():
    B = np.arange(X.size).reshape(X.shape)
    for returned in (lambda dA, dB: (dA, dB)), (lambda dA, dB: (dA, None)):
        fault = fault_of(Picked(returned), (X, B))
        detail = {"expected": 1, "got": 2, "inputs": "that of X1"}
        assert fault == Fault("Picked()", "", "wrong number of gradients", detail)


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
    for place, *given in (
        ("Wrong()", Wrong(), X, X[::-1]),
        ("Wrong()", nn.Tanh(), X, X[::-1], Wrong()),
        ("Graph[1] Wrong()", nn.Graph([x, t], Wrong()(nn.Tanh()(x), t)), (X, X[::-1])),
    ):
        fault = fault_of(*given)
        assert (fault.layer, fault.array, fault.kind) == (place, "dX", "wrong factor")
        assert fault.detail["factor"] == pytest.approx(1 / 2)


def test_a_gradient_of_any_other_shape_is_named():
    class Wrong(nn.Tanh):
        def backward(self, dY):
            return super().backward(dY)[0]

    detail = {"expected": (5, 3), "got": (3,)}
    assert fault_of(Wrong(), X) == Fault("Wrong()", "dX", "wrong shape", detail)


def test_a_backward_that_draws_random_numbers_is_named():
    class Noisy(nn.Identity):
        def __init__(self):
            self.rng = np.random.default_rng(0)

        def backward(self, dY):
            return super().backward(dY) + self.rng.normal(size=dY.shape)

    assert fault_of(nn.Sequential(nn.Tanh(), Noisy()), X) == Fault("Sequential[1] Noisy()", "", "random backward")


def test_a_target_needs_a_loss():
    with pytest.raises(TypeError, match=r"got a target, but Tanh\(\) is not a nnlite.Loss; pass loss="):
        nn.check_gradients(nn.Tanh(), X, X)


def test_a_gradient_that_is_not_summed_is_named():
    class Wrong(nn.Add):
        def backward(self, dZ):
            return dZ.copy(), dZ.copy()

    detail = {"expected": (3,), "got": (5, 3)}
    assert fault_of(Wrong(), (X, X[0])) == Fault("Wrong()", "dX2", "sum over the batch missing", detail)


def test_an_error_in_backward_that_has_another_reason_is_left_alone():
    class Fails(nn.Tanh):
        def backward(self, dY):
            raise KeyError("own")

    with pytest.raises(KeyError, match="own"):
        nn.check_gradients(nn.Sequential(nn.Tanh(), Fails(), nn.Tanh()), X)


# ------------------------------------------------------------------------------------ arrays that are written into


def test_a_backward_that_modifies_its_dY_is_named():
    # as of pytorch#81417, where it makes gradients wrong that were right
    x = nn.Input("x")
    for model, place in (
        (WritesdY(), "WritesdY()"),
        (nn.Sequential(nn.Linear(D, D, rng=0), WritesdY(), nn.Tanh()), "Sequential[1] WritesdY()"),
        (nn.Graph(x, WritesdY()(x) + x), "Graph[0] WritesdY()"),  # as it happens, all gradients are right
    ):
        report = report_on(model, X)
        assert report.faults == (Fault(place, "", "modified in place", {"modified": "dY"}),)
    assert report.verdict == "Graph[0] WritesdY(): backward modifies dY in place; compute a new array instead"


def test_a_report_of_right_gradients_is_not_right_if_an_array_is_modified():
    assert all(comparison.right for comparison in report_on(WritesdY(), X).comparisons)


def test_a_backward_that_modifies_its_X_is_named():
    for model, place in (WritesX(), "WritesX()"), (nn.Sequential(nn.Identity(), WritesX()), "Sequential[1] WritesX()"):
        assert fault_of(model, X) == Fault(place, "", "modified in place", {"modified": "X"})


def test_a_backward_that_updates_its_parameters_is_named():
    class Learning(nn.Linear):
        def backward(self, dY):
            dX = super().backward(dY)
            self.W -= 0.1 * self.dW
            return dX

    model = nn.Sequential(nn.Linear(D, D, rng=1), Learning(D, M, rng=0), nn.Tanh())
    for given, place in (Learning(D, M, rng=0), "Learning(3 -> 4)"), (model, "Sequential[1] Learning(3 -> 4)"):
        assert fault_of(given, X) == Fault(place, "", "updated parameter", {"modified": "W"})


def test_a_backward_that_modifies_its_cache_is_named():
    class Kept(nn.Layer):
        def forward(self, X):
            self.Y = np.exp(X)
            return self.Y.copy()

        def backward(self, dY):
            self.Y *= dY
            return self.Y

    model = nn.Sequential(nn.Linear(D, D, rng=0), Kept(), nn.Tanh())
    for given, place in (Kept(), "Kept()"), (model, "Sequential[1] Kept()"):
        assert fault_of(given, X) == Fault(place, "", "modified cache")


def test_what_is_wrong_beside_that_is_told_too():
    class Both(WritesdY):
        def backward(self, dY):
            dX = super().backward(dY)
            return -dX

    assert kinds_of(nn.Sequential(Both()), X) == {"": "modified in place", "dX": "wrong sign"}
    other = nn.Sequential(linear(times("W", 2)), WritesdY())
    assert kinds_of(other, X) == {"": "modified in place"}  # what another layer has to do with it is not known


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
    detail = {"method": "forward", "of": "X"}
    assert fault_of(nn.Sequential(Single(), nn.Tanh()), X) == Fault("Sequential[0] Single()", "", "float32", detail)

    class Mistaken(Single):
        def backward(self, dY):
            return 2 * super().backward(dY)

    fault = fault_of(nn.Sequential(Mistaken(), nn.Tanh()), X)
    assert (fault.layer, fault.array) == ("Sequential[0] Mistaken()", "dX")
    assert fault.kind != "float32"


@pytest.mark.parametrize("size", [1e5, 1e9])
def test_large_inputs_do_not_drown_in_the_rounding_of_their_sum(size):
    rng = np.random.default_rng(0)
    large = size * rng.normal(size=(8, 5))
    for layer in (nn.Identity(), nn.Square(), nn.Linear(5, 3, rng=0), nn.Sequential(nn.Linear(5, 3, rng=0), nn.Tanh())):
        assert nn.check_gradients(layer, large).right
    assert nn.check_gradients(nn.Linear(5, 3, rng=0), large, np.ones((8, 3)), nn.MSELoss()).right


@pytest.mark.parametrize("size", [1e3, 1e7])
def test_with_large_inputs_a_small_mistake_is_still_found(size):
    rng = np.random.default_rng(0)
    layer = linear(times("b", 1 + 1e-4))
    fault = fault_of(layer, size * rng.normal(size=(20, D)))
    assert (fault.array, fault.kind) == ("db", "wrong factor")
    assert fault.detail["factor"] == pytest.approx(1 + 1e-4)


def test_a_gradient_of_1e_6_is_compared_to_1_percent():
    wrong = Function(lambda X: 1e-6 * np.tanh(X), lambda dY, X, Y: 1.05e-6 * dY * (1 - np.tanh(X) ** 2))
    assert fault_of(wrong, X).detail["factor"] == pytest.approx(1.05)


def squares(backward):
    return Function(lambda X: X**2, lambda dY, X, Y: backward(2 * dY * X))


def test_a_factor_is_recognized_in_a_gradient_rounded_to_float32():
    fault = fault_of(squares(lambda dX: 3 * dX.astype(np.float32)), X)
    assert fault.kind == "wrong factor"
    assert fault.detail["factor"] == pytest.approx(3)


def test_a_gradient_in_float32_that_is_off_by_a_thousandth_is_not_only_rounded():
    off = 1 + 1e-3 * np.random.default_rng(0).normal(size=X.shape)
    assert fault_of(squares(lambda dX: (off * dX).astype(np.float32)), X).kind == "wrong entries"


def test_entries_that_are_off_by_2e_6_in_both_directions_are_no_factor():
    off = 1 + 3e-6 * np.random.default_rng(0).choice([-1, 1], size=X.shape)
    assert fault_of(squares(lambda dX: off * dX), X).kind == "wrong entries"


def test_a_running_mean_of_gradients_is_not_taken_for_a_sum():
    class Averaged(nn.Linear):
        def backward(self, dY):
            before = self.dW.copy()
            dX = super().backward(dY)
            self.dW += 0.995 * before
            return dX

    assert fault_of(Averaged(D, M, rng=0), X).kind == "not finite"


@pytest.mark.parametrize("size", [1e-3, 1e-6, 1e-8, 1e-12])
def test_small_gradients_are_not_hidden_by_the_tolerance(size):
    """J and its gradients are all of this size, below 1e-7."""
    right = Function(lambda X: size * np.tanh(X), lambda dY, X, Y: dY * size * (1 - np.tanh(X) ** 2))
    assert nn.check_gradients(right, X).right
    wrong = Function(lambda X: size * np.tanh(X), lambda dY, X, Y: -dY * size * (1 - np.tanh(X) ** 2))
    assert kinds_of(wrong, X) == {"dX": "wrong sign"}
    assert nn.check_gradients(wrong, X, atol=10 * size).right  # an atol that is given is taken as it is


def test_small_gradients_in_front_of_large_values_are_not_hidden():
    """The gradients are 1e-8, and J is 1."""
    wrong = Function(lambda X: 1 + 1e-8 * np.tanh(X), lambda dY, X, Y: 0.5e-8 * dY * (1 - np.tanh(X) ** 2))
    assert fault_of(wrong, X).array == "dX"
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
    assert fault_of(wrong, X).detail["factor"] == pytest.approx(1.001)


def test_wider_steps_may_leave_the_domain_of_forward():
    """Where BCELoss is given 1 + 1e-4 it raises, and a logarithm of less than 0 is NaN."""
    near = np.array([[1 - 1e-4], [1e-4]])
    assert nn.check_gradients(nn.BCELoss(), near, np.array([[1.0], [0.0]])).right
    assert nn.check_gradients(nn.Log(), near).right


# ------------------------------------------------------------------------------------ saturated points


def saturated():
    model = nn.Sequential(nn.Linear(1, 1, rng=0), nn.Sigmoid())
    model[0].W = [[1.0]]
    return model


@pytest.mark.parametrize(
    ("x", "target"), [(28.0, 0), (30.0, 0), (34.0, 0), (35.0, 0), (36.0, 0), (-28.0, 0), (-28.0, 1), (-35.0, 1)]
)
def test_a_saturated_point_is_refused_as_a_kink_is(x, target):
    """Behind the sigmoid 1 - Y or Y is below 1e-12: the loss bounds its derivative, or rounding hides it."""
    with pytest.raises(
        ValueError, match=r"^BCELoss\(\): X\[0, 0\] = .* at the edge.*BCEWithLogitsLoss.*scale its input$"
    ):
        nn.check_gradients(saturated(), [[x]], [[target]], nn.BCELoss())


@pytest.mark.parametrize(("x", "target"), [(20.0, 0), (30.0, 1), (40.0, 0), (40.0, 1), (-240.0, 0), (-240.0, 1)])
def test_a_saturated_point_with_a_derivative_is_right(x, target):
    assert nn.check_gradients(saturated(), [[x]], [[target]], nn.BCELoss()).right


@pytest.mark.parametrize("seed", seeds(6))
def test_inputs_that_are_not_scaled_are_no_mistake(seed):
    rng = np.random.default_rng(seed)
    large = rng.normal(size=(8, 2)) * [1, 500]
    model = nn.Sequential(nn.Linear(2, 16, rng=seed), nn.ReLU(), nn.Linear(16, 1, rng=seed + 1), nn.Sigmoid())
    target = large.prod(axis=1, keepdims=True) > 0
    try:
        assert nn.check_gradients(model, large, target, nn.BCELoss(), max_entries=10, rng=seed).right
    except ValueError as error:
        assert "at the edge" in str(error) or "at a kink" in str(error)  # noqa: PT017


def test_a_mistake_beside_a_saturated_sigmoid_is_still_named():
    model = nn.Sequential(linear(times("W", -1), D, 1), nn.Sigmoid())
    model[0].b = [34.0]
    report = report_on(model, X, np.zeros((N, 1)), nn.BCELoss())
    assert report.faults == (Fault("Sequential[0] Own(3 -> 1)", "dW", "wrong sign"),)


def test_a_mistake_beside_a_kink_is_still_named():
    model = nn.Sequential(linear(times("W", -1)), nn.ReLU())
    model[0].b = -X[0] @ model[0].W  # the first row is at the kink
    assert kinds_of(model, X) == {"dW": "wrong sign"}


def test_a_kink_that_is_small_beside_the_slope_is_refused_where_it_shows():
    layer = Function(lambda X: X + 1e-3 * np.abs(X), lambda dY, X, Y: dY * np.where(X >= 0, 1.001, 0.999))
    with pytest.raises(ValueError, match=r"X\[1\] = 0 is at a kink"):
        nn.check_gradients(layer, np.array([1.0, 0.0]), np.array([0.5, 0.5]), nn.MSELoss(), rtol=1e-12, atol=1e-12)


def pooled_image(kind, seed):
    image = np.zeros((1, 1, 6, 6))
    image[..., 5, 5] = 1  # elsewhere all numbers of a window are equal
    return kind(nn.Conv2d(1, 4, 3, padding=1, rng=seed), nn.MaxPool2d(2), nn.Conv2d(4, 1, 2, rng=seed + 1)), image


@pytest.mark.parametrize("seed", range(4))
def test_kinks_whose_slopes_cancel_in_the_loss_are_refused_and_no_fault(seed):
    model, image = pooled_image(nn.Sequential, seed)
    with pytest.raises(ValueError, match="is at a kink"):
        nn.check_gradients(model, image, np.zeros((1, 1, 2, 2)), nn.MSELoss())


def test_a_mistake_of_a_container_beside_such_kinks_is_still_named():
    class Tripled(nn.Sequential):
        def backward(self, dY):
            return 3 * super().backward(dY)

    assert list(kinds_of(*pooled_image(Tripled, 0))) == ["dX"]


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


def test_a_gradient_that_is_not_linear_in_dY_is_named():
    clipped = Function(np.square, lambda dY, X, Y: np.clip(2 * dY * X, -1, 1))
    assert kinds_of(clipped, X) == {"dX": "not linear in dY"}


def test_the_layer_itself_stays_as_it_is():
    model = nn.Sequential(linear(times("W", 2)), nn.Tanh())
    Phi, dPhi, before = model.Phi.copy(), model.dPhi.copy(), [dict(vars(layer)) for _, layer in model.named_layers()]
    given = X.copy()
    report_on(model, given)
    for (_, layer), attributes in zip(model.named_layers(), before, strict=True):
        assert vars(layer).keys() == attributes.keys()
        assert all(vars(layer)[key] is value for key, value in attributes.items())
    np.testing.assert_array_equal(model.Phi, Phi)
    np.testing.assert_array_equal(model.dPhi, dPhi)
    np.testing.assert_array_equal(given, X)


def test_what_explains_only_a_part_is_not_named():
    """All but one entry are of the wrong sign; all but one are transposed."""
    almost = linear(put(W=lambda L, dY, dW: np.where(np.arange(M) + 10 * np.arange(D)[:, None] == 11, dW, -dW)))
    fault = fault_of(almost, X)
    assert (fault.array, fault.kind) == ("dW", "wrong entries")
    assert (fault.detail["entries"], fault.detail["size"]) == (D * M - 1, D * M)
    turned = linear(put(W=lambda L, dY, dW: np.where(np.eye(D)[::-1] * [1, 0, 0], 9.0, dW.T)), D, D)
    assert kinds_of(turned, SQUARE) == {"dW": "not linear in dY"}  # because of the 9


def test_a_matrix_that_is_not_transposed_is_named():
    class Plain(nn.Linear):
        def backward(self, dY):
            super().backward(dY)
            return dY @ self.W

    class Turned(nn.Linear):
        def forward(self, X):
            return super().forward(X) - X @ self.W + X @ self.W.T

    fault = fault_of(Plain(D, D, rng=0), X)
    assert fault == Fault("Plain(3 -> 3)", "dX", "missing transpose", {"used": "dY W", "right": "dY W^T"})
    faults = report_on(Turned(D, D, rng=0), X).faults
    assert faults[0] == Fault("Turned(3 -> 3)", "dX", "missing transpose", {"used": "dY W^T", "right": "dY W"})
    assert [fault.array for fault in faults] == ["dX", "dW"]


def test_a_missing_derivative_before_a_square_matrix_is_no_missing_transpose():
    assert set(kinds_of(Dense(lambda U, Y: 1, M=D), X).values()) == {"missing derivative"}


def test_several_wrong_arrays_are_told_apart():
    layer = linear(put(W=lambda L, dY, dW: -dW, b=lambda L, dY, db: -db, X=lambda L, dY, dX: dX[::-1]))
    report = report_on(layer, X)
    assert [fault.kind for fault in report.faults] == ["order of entries", "wrong sign", "wrong sign"]
    assert report.verdict.endswith("rows reversed; dW, db: wrong sign")


def test_layers_of_several_inputs_and_outputs_are_examined():
    class Wrong(nn.Layer):
        num_outputs = 2

        def forward(self, A, B):
            return A + B, A - B

        def backward(self, dU, dV):
            return dU + dV, dU + dV

    x = nn.Input("x")
    model = nn.Graph(x, nn.Multiply()(*Wrong()(nn.Tanh()(x), x)))
    fault = fault_of(model, X)
    assert (fault.layer, fault.array) == ("Graph[1] Wrong()", "dX2")


def test_positive_inputs_and_composites_are_no_special_case():
    assert nn.check_gradients(Dense(lambda U, Y: 1 - Y * Y), POSITIVE).right
    right = Two(nn.Tanh(), nn.Sigmoid())
    right.backward = lambda dY: right.f.backward(dY) + right.g.backward(dY)
    assert T.shape == X.shape
