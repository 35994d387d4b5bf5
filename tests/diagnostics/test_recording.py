"""What every layer of a model receives and returns, and the names of places."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import nnlite as nn
from nnlite.diagnostics.places import parameter_not_finite, place
from nnlite.diagnostics.recording import Recording
from nnlite.diagnostics.run import Run, output_not_finite


def model():
    return nn.Sequential(nn.Linear(2, 3, rng=0), nn.Sequential(nn.Tanh(), nn.Linear(3, 1, rng=1)))


class Own(nn.Layer, parameters=("w",)):
    def __init__(self):
        self.w = [2.0]
        self.tanh = nn.Tanh()

    def forward(self, X):
        return self.tanh(X) * self.w


def outputs(model, X):
    run = Run(model, evaluation=True)
    run.forward(X)
    return [(call.path, call.Y) for call in run.recording.forwards]


def test_a_run_gives_every_output_in_the_order_in_which_it_is_ready():
    whole, X = model(), np.ones((4, 2), np.float32)
    found = outputs(whole, X)
    assert [path for path, _ in found] == ["0", "1.0", "1.1", "1", ""]
    hidden = whole[0].forward(X)
    expected = [hidden, whole[1][0].forward(hidden), whole[1].forward(hidden), whole[1].forward(hidden), whole(X)]
    for (_, Y), right in zip(found, expected, strict=True):
        assert_array_equal(Y, right)


def test_a_run_in_evaluation_mode_writes_nothing_on_the_model():
    class Modes(nn.Identity):
        def forward(self, X):
            return super().forward(X * 0 if self.training else X)

    whole = nn.Sequential(Modes(), nn.Linear(1, 1))
    before = [dict(vars(layer)) for _, layer in whole.named_layers()]
    assert outputs(whole, np.ones((1, 1)))[0][1] == 1
    assert [dict(vars(layer)) for _, layer in whole.named_layers()] == before
    assert whole.training


def test_a_run_takes_composites_and_losses():
    assert [path for path, _ in outputs(Own(), np.ones((1, 1)))] == ["tanh", ""]
    ((path, J),) = outputs(nn.MSELoss(), (np.array([3.0]), np.array([1.0])))
    assert (path, J) == ("", 4)
    assert Run(nn.MSELoss()).forward(np.array([3.0]), np.array([1.0])) == 4


def test_a_run_leaves_generators_where_they_are():
    dropout = nn.Dropout(rng=0)
    before = dropout.rng.bit_generator.state
    Run(dropout).forward(np.ones(5))
    assert dropout.rng.bit_generator.state == before


def test_the_arrays_on_the_edges_of_a_program():
    """Y = X + f(X), with its own sum; dY = 1: dX of the sum is (1, 1), that of tanh 1 - tanh(X)^2."""
    run = Run(nn.Residual(nn.Tanh()))
    run.forward(np.array([0.5]))
    run.backward(np.array([1.0]))
    assert {edge: value.item() for edge, value in run.values.items()} == {
        0: 0.5, 1: np.tanh(0.5), 2: 0.5 + np.tanh(0.5)
    }  # fmt: skip
    tanh, add = run.program.operations
    assert run.gradients_of_inputs(add) == {0: 1.0, 1: 1.0}
    assert run.gradients_of_inputs(tanh)[0].item() == pytest.approx(1 - np.tanh(0.5) ** 2)
    assert run.dX.item() == pytest.approx(2 - np.tanh(0.5) ** 2)


def test_a_constant_in_a_graph_is_on_its_edge_in_the_dtype_in_which_it_is_used():
    x = nn.Input("x")
    run = Run(nn.Graph(x, 3 * x))
    run.forward(np.array([2.0], np.float32))
    assert [value.tolist() for value in run.values.values()] == [3.0, [2.0], [6.0]]
    assert run.values[1].dtype == np.float32


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("", "Sequential(2 layers)"),
        ("0", "Sequential[0] Linear(2 -> 3)"),
        ("1", "Sequential[1] Sequential(2 layers)"),
        ("1.0", "Sequential[1][0] Tanh()"),
    ],
)
def test_place(path, text):
    whole = model()
    assert place(whole, path, dict(whole.named_layers())[path]) == text


def test_the_place_of_an_attribute():
    whole = nn.Sequential(Own())
    assert place(whole, "0.tanh", whole[0].tanh) == "Sequential[0].tanh Tanh()"


class Overflow(nn.Identity):
    def forward(self, X):
        return self.record_Y(X / 0)


def test_the_first_that_is_not_finite():
    X = np.ones((1, 2))
    assert output_not_finite(model(), X) is None
    assert parameter_not_finite(model()) is None
    whole = model()
    whole[1][1].b = [np.nan]
    assert parameter_not_finite(whole) == "b of Sequential[1][1] Linear(3 -> 1) is not finite"
    whole[0].W = np.full((2, 3), np.inf)
    assert parameter_not_finite(whole) == "W of Sequential[0] Linear(2 -> 3) is not finite"
    whole = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Sequential(nn.Tanh(), Overflow()), nn.Tanh())
    assert output_not_finite(whole, X) == "Sequential[1][1] Overflow() is the first layer whose output is not finite"


def test_every_call_is_recorded_with_its_arguments_and_result():
    whole, X = model(), np.ones((4, 2), np.float32)
    with Recording().of(whole) as recording:
        Y = whole(X)
        dX = whole.backward(dY := np.ones_like(Y))
    assert [call.path for call in recording.forwards] == ["0", "1.0", "1.1", "1", ""]
    assert [call.path for call in recording.backwards] == ["1.1", "1.0", "1", "0", ""]
    first, last = recording.forwards[0], recording.backwards[-1]
    assert first.args == (X,)
    assert first.inputs == {"X": X}
    assert last.Y is Y
    assert last.dX is dX
    assert last.dYs == (dY,)
    assert_array_equal(first.gradients["W"], whole[0].dW)
    whole(X)
    assert len(recording.forwards) == 5  # later calls are not recorded


def test_a_careful_recording_keeps_copies_and_notes_what_is_modified():
    class Careless(nn.Layer, parameters=("w",)):
        def __init__(self):
            self.w, self.rng = [1.0], np.random.default_rng(0)

        def forward(self, X):
            self.X = X
            X += 1
            return X * self.w

        def backward(self, dY):
            dY *= 2
            self.X += 1
            self.w -= self.rng.random()
            return dY

    layer = Careless()
    with Recording(careful=True).of(layer) as recording:
        layer.forward(np.zeros(2))
        layer.backward(np.ones(2))
    assert {(write.method, write.array) for write in recording.writes} == {
        ("forward", "X"), ("backward", "dY"), ("backward", "X")
    }  # fmt: skip
    assert [write.array for write in recording.updates] == ["w"]
    assert recording.draws == ["Careless()"]
    (call,) = recording.backwards
    assert (call.X.tolist(), call.dY.tolist(), call.Y.tolist()) == ([0, 0], [1, 1], [1, 1])


def test_a_recording_ends_with_its_block_also_after_an_error():
    whole = model()
    whole[0].forward = forward = lambda X: nn.Linear.forward(whole[0], X)
    recording = Recording()
    with pytest.raises(nn.ShapeError), recording.of(whole):
        whole(np.ones((4, 3)))
    assert recording.forwards == []
    assert recording.failed.path == "0"
    whole(np.ones((4, 2)))
    assert recording.forwards == []
    assert whole[0].forward is forward
    assert not any(
        {"forward", "backward"} & vars(layer).keys() for _, layer in whole.named_layers() if layer is not whole[0]
    )
