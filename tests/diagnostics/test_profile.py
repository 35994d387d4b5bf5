"""profile: operations and bytes exact, times by a clock that the tests turn, and nothing written on the model."""

import json
from itertools import cycle
from types import SimpleNamespace

import numpy as np
import pytest

import nnlite as nn
from nnlite.compute import blas
from nnlite.diagnostics import time_and_memory
from nnlite.diagnostics.profile_report import Cost, LayerProfile, Profile
from nnlite.layer.flops import Flops


def ones(*shape, dtype=np.float32):
    return np.ones(shape, dtype)


def halves(*shape):
    return np.full(shape, 0.5, np.float32)


def measured(*args, **kwargs):
    return nn.profile(*args, repeats=1, **kwargs)


def only_row(*args):
    """The one row of a model that is a single layer."""
    (row,) = measured(*args).rows
    return row


def counts(row, name):
    return getattr(row.forward, name), getattr(row.backward, name)


class Cube(nn.Layer):
    """A layer that profile knows nothing of."""

    def forward(self, X):
        self.X = X
        return self.record_Y(X * X * X)

    def backward(self, dY):
        return 3 * self.X * self.X * dY


class Residual(nn.Layer):
    """A layer with one in it, and work beside."""

    def __init__(self):
        self.inner = nn.Tanh()

    def forward(self, X):
        return X + self.inner(X)

    def backward(self, dY):
        return dY + self.inner.backward(dY)


# ---------------------------------------------------------------------------------------------------- rows


def test_a_row_for_each_layer_without_parts_in_the_order_in_which_they_run():
    class Backwards(nn.Sequential):  # runs its last layer first
        def forward(self, X):
            for layer in reversed(self.layers):
                X = layer.forward(X)
            return X

        def backward(self, dY):
            for layer in self.layers:
                dY = layer.backward(dY)
            return dY

    model = nn.Sequential(nn.Linear(3, 2), nn.Sequential(nn.Tanh(), Residual()), Backwards(nn.Sigmoid(), nn.ReLU()))
    result = measured(model, ones(4, 3), halves(4, 2), nn.MSELoss())
    assert [(row.path, row.layer) for row in result.rows] == [
        ("0", "Linear(3 -> 2)"),
        ("1.0", "Tanh()"),
        ("1.1.inner", "Tanh()"),
        ("2.1", "ReLU()"),
        ("2.0", "Sigmoid()"),
        ("loss", "MSELoss()"),
    ]
    assert (result.total.path, result.total.layer) == ("", "total")


def test_a_single_layer_has_the_empty_path():
    assert [row.path for row in measured(nn.Tanh(), ones(2)).rows] == [""]


def test_a_part_without_an_input_and_one_called_by_name():
    class Source(nn.Layer):
        def forward(self):
            return ones(2)

        def backward(self, dY): ...

    class Own(nn.Layer):
        def __init__(self):
            self.source, self.tanh = Source(), nn.Tanh()

        def forward(self, X):
            return self.tanh(X=X + self.source())

        def backward(self, dY):
            self.source.backward(dY)
            return self.tanh.backward(dY=dY)

    source, tanh = measured(Own(), ones(2)).rows
    assert counts(source, "bytes") == (8, 8)
    assert counts(tanh, "bytes") == (16, 24)
    assert counts(tanh, "operations") == (2, 6)


def test_an_empty_model_is_a_layer_too():
    assert [row.layer for row in measured(nn.Sequential(), ones(2)).rows] == ["Sequential()"]


def test_a_target_without_a_loss_makes_the_model_the_loss():
    row = only_row(nn.MSELoss(), ones(2, 3), halves(2, 3))
    assert counts(row, "operations") == (18, 6)


def test_the_layers_that_backward_leaves_out_have_no_backward():
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 2), nn.Tanh())
    assert None not in [row.backward for row in measured(model, ones(4, 2, 3)).rows]
    model.needs_dX = False
    result = measured(model, ones(4, 2, 3))
    assert [row.backward is None for row in result.rows] == [True, False, False]
    assert result.total.backward.bytes == sum(row.backward.bytes for row in result.rows[1:])


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_is_kept(training):
    seen = set()

    class Mode(nn.Identity):
        def forward(self, X):
            seen.add(self.training)
            return super().forward(X)

    measured(nn.Sequential(Mode()).train(training), ones(2))
    assert seen == {training}


def test_without_a_loss_dY_is_all_ones_and_with_one_that_of_the_loss():
    seen = set()

    class Spy(nn.Identity):
        def backward(self, dY):
            seen.add((str(dY.dtype), *dY))
            return super().backward(dY)

    measured(Spy(), ones(2) * 7)
    assert seen == {("float32", 1, 1)}
    seen.clear()
    measured(Spy(), ones(2) * 7, ones(2) * 3, nn.MSELoss())  # 2 (7 - 3) / 2
    assert seen == {("float32", 4, 4)}


# ---------------------------------------------------------------------------------------------- operations


@pytest.mark.parametrize("shape", [(5, 3), (5, 1, 3)])
def test_operations_of_a_linear(shape):
    layer = nn.Linear(3, 2)
    # forward 2 N D M and N M for the bias; backward as much for dW and db, and 2 N D M for dX
    assert counts(only_row(layer, ones(*shape)), "operations") == (60 + 10, 60 + 10 + 60)
    layer.needs_dX = False
    assert counts(only_row(layer, ones(*shape)), "operations") == (60 + 10, 60 + 10)
    assert counts(only_row(nn.Linear(3, 2, bias=False), ones(*shape)), "operations") == (60, 60 + 60)
    assert counts(only_row(nn.Linear(3, 2), ones(3)), "operations") == (12 + 2, 12 + 2 + 12)


@pytest.mark.parametrize(
    ("layer", "forward", "backward"),
    [
        (nn.Identity(), 0, 0),
        (nn.Flatten(), 0, 0),
        (nn.ReLU(), 12, 12),
        (nn.Tanh(), 12, 36),  # 1 - Y^2 and times dY
        (nn.Sigmoid(), 48, 36),  # 1 / (1 + exp(-X)); dY Y (1 - Y)
        (nn.Softmax(), 60, 48),
        (nn.LogSoftmax(), 60 + 3, 48),  # the logarithm of each of 3 sums
        (nn.LogSoftmax(dim=0), 60 + 4, 48),
    ],
    ids=str,
)
def test_operations_of_an_activation(layer, forward, backward):
    assert counts(only_row(layer, ones(3, 4)), "operations") == (forward, backward)


@pytest.mark.parametrize(
    ("loss", "forward", "backward"),
    [
        (nn.MSELoss(), 36, 12),
        (nn.MSELoss(reduction="sum"), 36, 12),
        (nn.MSELoss(reduction="none"), 24, 12),
        (nn.BCELoss(), 120, 72),
        (nn.BCELoss(reduction="none"), 108, 72),
        (nn.BCELoss(weight=[2.0] * 4), 132, 84),
        (nn.BCEWithLogitsLoss(), 108, 72),
        (nn.BCEWithLogitsLoss(reduction="none"), 96, 72),
        (nn.BCEWithLogitsLoss(weight=[2.0] * 4), 120, 84),
        (nn.BCEWithLogitsLoss(pos_weight=[2.0] * 4), 180, 96),
        (nn.CrossEntropyLoss(), 84 + 6, 60),
        (nn.CrossEntropyLoss(reduction="none"), 84 + 3, 60),
        (nn.L1Loss(), 36, 36),
        (nn.SmoothL1Loss(), 96, 60),
        (nn.HuberLoss(reduction="none"), 72, 48),
        (nn.KLDivLoss(), 60, 12),
        (nn.KLDivLoss(log_target=False, reduction="none"), 48, 12),
        (nn.PoissonNLLLoss(), 48, 36),
        (nn.PoissonNLLLoss(full=True), 168, 36),
        (nn.PoissonNLLLoss(log_input=False), 60, 60),
        (nn.MultiLabelSoftMarginLoss(), 108 + 6, 72),
        (nn.MultiLabelSoftMarginLoss(weight=[2.0] * 4, reduction="none"), 120 + 3, 84),
    ],
    ids=str,
)
def test_operations_of_a_loss(loss, forward, backward):
    assert counts(only_row(loss, halves(3, 4), halves(3, 4)), "operations") == (forward, backward)


@pytest.mark.parametrize(
    ("loss", "target", "forward", "backward"),
    [
        (nn.SoftMarginLoss(), ones(3, 4), 96, 60),
        (nn.HingeEmbeddingLoss(), ones(3, 4), 48, 36),
        (nn.NLLLoss(), np.array([0, 1, 2]), 9, 6),
        (nn.NLLLoss(reduction="none"), np.array([0, 1, 2]), 6, 6),
        (nn.MultiMarginLoss(), np.array([0, 1, 2]), 48 + 6, 36 + 3),
        (nn.MultiMarginLoss(p=2, reduction="none"), np.array([0, 1, 2]), 60 + 3, 36 + 3),
        (nn.MultiLabelMarginLoss(), np.array([[0, 1, -1, -1], [2, -1, -1, -1], [-1] * 4]), 15 * 12 + 6, 12),
    ],
    ids=str,
)
def test_operations_of_a_loss_of_classes(loss, target, forward, backward):
    assert counts(only_row(loss, halves(3, 4), target), "operations") == (forward, backward)


def test_the_total_is_the_sum_of_the_layers_and_the_loss():
    model = nn.Sequential(nn.Linear(3, 2), nn.Sequential(nn.Tanh()))
    result = measured(model, ones(5, 3), halves(5, 2), nn.MSELoss())
    assert counts(result.total, "operations") == (70 + 10 + 30, 130 + 30 + 10)
    for name in "bytes", "roof":
        for cost, costs in (
            (result.total.forward, [row.forward for row in result.rows]),
            (result.total.backward, [row.backward for row in result.rows]),
        ):
            assert getattr(cost, name) == pytest.approx(sum(getattr(part, name) for part in costs), rel=1e-12)


def test_operations_of_a_layer_of_ones_own_are_unknown():
    result = measured(nn.Sequential(nn.Tanh(), Cube()), ones(4))
    assert [counts(row, "operations") for row in result.rows] == [(4, 12), (None, None)]
    assert counts(result.total, "operations") == (None, None)
    assert [line.split().count("?") for line in str(result).splitlines()] == [0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 1, 0]


def test_what_a_container_does_beside_its_parts_is_unknown():
    result = measured(nn.Sequential(Residual()), ones(4))
    assert [counts(row, "operations") for row in result.rows] == [(4, 12)]
    assert counts(result.total, "operations") == (None, None)


def test_a_subclass_is_known_if_forward_and_backward_are():
    class Named(nn.Tanh):
        name = "a name"

    class OtherForward(nn.Tanh):
        def forward(self, X):
            return super().forward(3 * X)

    class OtherBackward(nn.Tanh):
        def backward(self, dY):
            return 3 * super().backward(dY)

    assert counts(only_row(Named(), ones(4)), "operations") == (4, 12)
    for layer in OtherForward(), OtherBackward():
        assert counts(only_row(layer, ones(4)), "operations") == (None, None)


def test_a_layer_of_ones_own_can_be_made_known():
    class Own(Cube):
        def forward(self, X):
            return super().forward(X)

        def flops(self, X, Y):
            return Flops(elementwise=2 * X.size), Flops(elementwise=3 * Y.size, products=((X, Y.T),), reads=(X,))

    row = only_row(Own(), ones(4, 5))
    assert counts(row, "operations") == (40, 60 + 2 * 4 * 5 * 4)
    assert counts(row, "bare") == ("copy", "GEMM")
    assert row.backward.bytes == 4 * 3 * 20  # dY, X, dX


def test_a_layer_can_state_its_operations_for_each_element_and_a_subclass_that_computes_otherwise_has_none():
    class Own(Cube):
        flops_per_element = 2, 0.5

        def forward(self, X):
            return super().forward(X)

        def backward(self, dY):
            return super().backward(dY)

    class Other(Own):
        def backward(self, dY):
            return super().backward(dY)

    assert counts(only_row(Own(), ones(4, 5)), "operations") == (40, 10)
    assert counts(only_row(Other(), ones(4, 5)), "operations") == (None, None)


# --------------------------------------------------------------------------------------------------- bytes


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bytes_of_a_linear(dtype):
    layer = nn.Linear(3, 2, dtype=dtype)
    item = np.dtype(dtype).itemsize
    X, W, b, Y = 15, 6, 2, 10
    row = only_row(layer, ones(5, 3, dtype=dtype))
    assert counts(row, "bytes") == (item * (X + W + b + Y), item * (Y + X + W + (W + b) + X))
    assert row.cache_bytes == item * X
    layer.needs_dX = False
    row = only_row(layer, ones(5, 3, dtype=dtype))
    assert counts(row, "bytes") == (item * (X + W + b + Y), item * (Y + X + (W + b)))


def test_a_converted_input_is_read_in_its_own_dtype_and_kept_in_the_layers():
    row = only_row(nn.Linear(3, 2), ones(5, 3, dtype=np.float64))
    assert row.forward.bytes == 8 * 15 + 4 * 15 + 4 * (8 + 10)
    assert row.cache_bytes == 4 * 15


@pytest.mark.parametrize(
    ("layer", "forward", "backward", "cache"),
    [
        (nn.Identity(), 2, 2, 0),  # X, Y; dY, dX
        (nn.Flatten(), 2, 2, 0),
        (nn.Tanh(), 2, 3, 1),  # X, Y; dY, Y, dX
        (nn.ReLU(), 2, 3, 1),
        (nn.Softmax(), 2, 3, 1),
        (Cube(), 2, 3, 1),
    ],
    ids=str,
)
def test_bytes_of_an_activation(layer, forward, backward, cache):
    row = only_row(layer, ones(6, 5))
    assert counts(row, "bytes") == (120 * forward, 120 * backward)
    assert row.cache_bytes == 120 * cache


def test_bytes_of_a_loss():
    row = only_row(nn.MSELoss(), ones(6, 5), halves(6, 5))
    assert counts(row, "bytes") == (120 * 2, 120 * 3)  # Y, target; Y, target, dY
    assert row.cache_bytes == 120 * 2
    row = only_row(nn.CrossEntropyLoss(), ones(6, 5), np.zeros(6, np.int64))
    assert counts(row, "bytes") == (120 * 2 + 24 + 48 * 2, 120 * 2 + 24 + 48)  # Z, E, s, target, index; E, s, index, dZ
    assert row.cache_bytes == 120 + 24 + 48


def test_an_array_that_two_layers_keep_counts_once_in_the_total():
    model = nn.Sequential(nn.Linear(3, 2), nn.Tanh(), nn.Linear(2, 4))
    result = measured(model, ones(5, 3), halves(5, 4), nn.MSELoss())
    assert [row.cache_bytes for row in result.rows] == [60, 40, 40, 80 * 2]
    assert result.total.cache_bytes == 60 + 40 + 80 * 2  # Tanh's Y is the second Linear's X


def test_the_cache_of_a_container_counts_in_the_total():
    class Keeps(Residual):
        def forward(self, X):
            self.Y = super().forward(X)
            return self.Y

    result = measured(Keeps(), ones(5))
    assert [row.cache_bytes for row in result.rows] == [20]
    assert result.total.cache_bytes == 20 + 20


@pytest.mark.parametrize(
    ("keep", "expected"),
    [
        (lambda X, W: X, 96),
        (lambda X, W: (X, [X.T, {"rows": X[1:]}], X.reshape(-1)), 96),
        (lambda X, W: X[:2], 48),
        (lambda X, W: [X[:2], X[1:3]], 72),
        (lambda X, W: X[:, ::2], 48),
        (lambda X, W: [X[:2], X.copy()], 48 + 96),
        (lambda X, W: [X, X[1:2], X[3:]], 96),
        (lambda X, W: (X[:0], X[:0, ::2]), 0),
        (lambda X, W: np.broadcast_to(X[0, 0], (100, 100)), 4),
        (lambda X, W: (X > 0, np.float64(1), "X", None), 24),
        (lambda X, W: W.T, 0),
    ],
)
def test_what_a_layer_keeps_is_counted_by_its_memory(keep, expected):
    class Keeps(nn.Layer, parameters=("W",)):
        def __init__(self):
            self.W = np.ones((6, 6))

        def forward(self, X):
            self.cache = keep(X, self.W)
            return self.record_Y(X + 1)

        def backward(self, dY):
            self.dY = dY  # not there when forward ends
            return dY + 1

    assert only_row(Keeps(), ones(4, 6)).cache_bytes == expected


def test_an_empty_batch_costs_its_parameters():
    row = only_row(nn.Linear(3, 2), ones(0, 3))
    assert counts(row, "bytes") == (4 * 8, 4 * (6 + 8))
    assert counts(row, "operations") == (0, 0)


# --------------------------------------------------------------------------------------------------- times


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still but for what layers here and bare copies add."""
    clock = SimpleNamespace(now=0.0, copies=cycle([2e-5]))

    def negative(source, target):
        clock.now += next(clock.copies)

    monkeypatch.setattr(time_and_memory, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    monkeypatch.setattr(np, "negative", negative)
    return clock


def slow(clock, *seconds):
    """A layer that takes the times ``seconds`` in turn, and twice as long backward."""

    class Slow(nn.Layer):
        forwards = backwards = 0

        def forward(self, X):
            clock.now += seconds[Slow.forwards % len(seconds)]
            Slow.forwards += 1
            return X + 1

        def backward(self, dY):
            clock.now += 2 * seconds[Slow.backwards % len(seconds)]
            Slow.backwards += 1
            return dY + 1

        def flops(self, X, Y):
            return Flops(elementwise=500), Flops(elementwise=1000)

    return Slow()


def test_median_and_quartiles(clock):
    result = nn.profile(slow(clock, 5.0, 1.0, 4.0, 2.0, 3.0), ones(5), repeats=5)
    for row in (*result.rows, result.total):
        assert (row.forward.q1, row.forward.median, row.forward.q3) == pytest.approx((2, 3, 4))
        assert (row.backward.q1, row.backward.median, row.backward.q3) == pytest.approx((4, 6, 8))


def test_a_sample_is_of_as_many_calls_as_take_long_enough(clock):
    layer = slow(clock, 3e-5)
    result = nn.profile(layer, ones(5), repeats=10)
    assert result.rows[0].forward.median == pytest.approx(3e-5)
    # 1 to see the arrays; then as a layer and as the model: 1, 2 and 4 calls until 0.1 ms are full, and 10 samples of 4
    assert type(layer).forwards == 1 + 2 * (1 + 2 + 4 + 10 * 4)
    assert type(layer).backwards == 1 + 2 * (1 + 2 + 10 * 2)


def test_the_roof_is_the_median_of_its_own_samples(clock):
    clock.copies = cycle([6.0, 1.0, 2.0])
    assert counts(nn.profile(slow(clock, 4.0), ones(5), repeats=3).rows[0], "roof") == pytest.approx((2, 2))


def test_the_share_of_the_roof(clock):
    forward = nn.profile(slow(clock, 4e-5), ones(5)).rows[0].forward
    assert forward.roof == pytest.approx(2e-5)
    assert forward.share == pytest.approx(0.5)


def test_the_roof_is_a_copy_of_as_many_bytes(monkeypatch):
    sizes = set()
    negative = np.negative

    def spy(source, target):
        sizes.add((target.nbytes, source.nbytes))
        negative(source, target)

    monkeypatch.setattr(np, "negative", spy)
    row = only_row(nn.Tanh(), ones(100))
    assert counts(row, "bare") == ("copy", "copy")
    assert sizes == {(400, 400), (600, 600)}  # read and written: 800 of forward, 1200 of backward


def test_the_roof_of_a_linear_is_its_products(monkeypatch):
    seen = set()
    matmul = blas.matmul

    def spy(A, B, out=None):
        if out is not None and B.ndim == A.ndim == 2:
            seen.add((A.shape, B.shape, A.dtype, A.flags.c_contiguous, B.flags.c_contiguous))
        return matmul(A, B, out=out)

    monkeypatch.setattr(blas, "matmul", spy)
    row = only_row(nn.Linear(3, 2, dtype=np.float64), ones(5, 3))
    assert counts(row, "bare") == ("GEMM", "GEMM")
    double = np.dtype(np.float64)
    assert seen == {
        ((5, 3), (3, 2), double, True, True),  # Y = X W
        ((3, 5), (5, 2), double, False, True),  # dW = X^T dY
        ((5, 2), (2, 3), double, True, False),  # dX = dY W^T
    }


def test_real_times_are_in_order():
    result = nn.profile(nn.Sequential(nn.Linear(3, 2), nn.Tanh()), ones(5, 3), halves(5, 2), nn.MSELoss(), repeats=7)
    for row in (*result.rows, result.total):
        for cost in row.forward, row.backward:
            assert 0 < cost.q1 <= cost.median <= cost.q3
            assert cost.roof > 0


# ------------------------------------------------------------------------------------ the model stays as it is


def test_nothing_is_written_on_the_model_the_loss_or_the_arrays():
    model, loss = nn.Sequential(nn.Linear(3, 2, rng=0), nn.Sequential(nn.Tanh())), nn.MSELoss()
    X, target = ones(5, 3), halves(5, 2)
    loss.forward(model.forward(X), target)
    model.backward(loss.backward())
    model.needs_dX = False
    layers = [layer for root in (model, loss) for _, layer in root.named_layers()]
    before = [dict(vars(layer)) for layer in layers]
    Phi, dPhi = model.Phi.copy(), model.dPhi.copy()
    X.setflags(write=False)
    target.setflags(write=False)
    measured(model, X, target, loss)
    for layer, attributes in zip(layers, before, strict=True):
        assert vars(layer).keys() == attributes.keys()
        assert all(vars(layer)[key] is value for key, value in attributes.items())
    assert (model.Phi == Phi).all()
    assert (model.dPhi == dPhi).all()


def test_a_layers_generator_is_not_drawn_from():
    class Noise(nn.Identity):
        def __init__(self):
            self.rng = np.random.default_rng(0)

        def forward(self, X):
            return super().forward(X + self.rng.normal(size=X.shape))

    layer = Noise()
    measured(layer, ones(5))
    assert layer.rng.random() == np.random.default_rng(0).random()


# -------------------------------------------------------------------------------------------------- errors


def test_repeats_below_one():
    with pytest.raises(ValueError, match="repeats: expected at least 1, got 0"):
        nn.profile(nn.Tanh(), ones(2), repeats=0)


def test_a_forward_that_returns_nothing():
    class Forgets(nn.Layer):
        def forward(self, X): ...

    with pytest.raises(TypeError, match=r"Forgets\(\): forward returned None"):
        measured(Forgets(), ones(2))


def test_errors_of_the_model_come_through():
    with pytest.raises(nn.ShapeError, match="expected 3 features, got 2"):
        measured(nn.Sequential(nn.Linear(3, 2)), ones(5, 2))
    with pytest.raises(TypeError, match="X: expected real numbers"):
        measured(nn.Tanh(), ["a"])


# ------------------------------------------------------------------------------------ table and dict -----


def by_hand():
    linear = LayerProfile(
        "0",
        "Linear(784 -> 256)",
        Cost(380e-6, 400e-6, 412.4e-6, 51_412_992, 1_336_320, "GEMM", 360e-6),
        Cost(1e-3, 2e-3, 3e-3, 102_793_216, 2_541_568, "GEMM", 1.9e-3),
        401_408,
    )
    own = LayerProfile("1.own", "Own()", Cost(1e-6, 2e-6, 99.96e-6, None, 4096, "copy", 1e-6), None, 0)
    total = LayerProfile(
        "",
        "total",
        Cost(1e-3, 1e-3, 1e-3, None, 1_340_416, "sum", 361e-6),
        Cost(2e-3, 2e-3, 2e-3, 0, 2_541_568, "sum", 1.9e-3),
        401_408,
    )
    return Profile((linear, own), total, "numba", "mkl")


def test_the_table():
    expected = """\
               us    quartiles    kFLOP     kB  % of roof
---------------------------------------------------------
0 Linear(784 -> 256), cache 401,408 bytes
  forward     400      380-412   51,413  1,336    90 GEMM
  backward  2,000  1,000-3,000  102,793  2,542    95 GEMM
1.own Own(), cache 0 bytes
  forward    2.00     1.00-100        ?   4.10    50 copy
  backward      -            -        -      -          -
---------------------------------------------------------
total, cache 401,408 bytes
  forward   1,000  1,000-1,000        ?  1,340     36 sum
  backward  2,000  2,000-2,000        0  2,542     95 sum
kernels: numba; matrix products: mkl"""
    assert str(by_hand()) == repr(by_hand()) == expected


def test_a_profile_cannot_be_changed():
    result = by_hand()
    for part in (result, result.rows[0], result.rows[0].forward):
        with pytest.raises(AttributeError):
            part.bytes = 0


def test_to_dict_has_every_number():
    whole = by_hand().to_dict()
    assert list(whole) == ["rows", "total", "kernels", "blas"]
    assert (whole["kernels"], whole["blas"]) == ("numba", "mkl")
    linear, own = whole["rows"]
    assert (linear["path"], linear["layer"], linear["cache_bytes"]) == ("0", "Linear(784 -> 256)", 401_408)
    assert linear["forward"] == {
        "q1": 380e-6,
        "median": 400e-6,
        "q3": 412.4e-6,
        "operations": 51_412_992,
        "bytes": 1_336_320,
        "bare": "GEMM",
        "roof": 360e-6,
    }
    assert own["backward"] is None
    assert whole["total"]["backward"]["roof"] == 1.9e-3


def test_it_knows_what_computes(monkeypatch):
    result = measured(nn.Tanh(), ones(4))
    library = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    assert (result.kernels, result.blas) == ("numpy", f"numpy ({library['name']} {library['version']})")
    monkeypatch.setattr(blas, "matmul", lambda A, B, out=None: A.dot(B, out))
    assert measured(nn.Tanh(), ones(4)).blas == "mkl"


def test_it_knows_the_kernels_of_numba():
    pytest.importorskip("numba")
    nn.set_kernels("numba")
    try:
        assert measured(nn.ReLU(), ones(4)).kernels == "numba"
    finally:
        nn.set_kernels("numpy")


def test_the_dict_is_plain_data():
    model = nn.Sequential(nn.Linear(3, 2), Cube())
    model.needs_dX = False
    for result in by_hand(), measured(model, ones(8, 6)[::2, ::2], np.zeros(4, int), nn.CrossEntropyLoss()):
        assert json.loads(json.dumps(result.to_dict())) == result.to_dict()


@pytest.mark.parametrize("tool", [nn.profile, nn.draw])
def test_what_is_no_loss_is_an_error_that_names_one(tool):
    with pytest.raises(TypeError, match=r"loss: expected a Loss, got 'mse'; write loss=nnlite.MSELoss\(\)"):
        tool(nn.Tanh(), np.ones((2, 2)), np.ones((2, 2)), "mse")
