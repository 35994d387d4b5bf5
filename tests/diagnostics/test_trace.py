"""trace, watching, place and output_not_finite: what every layer of a model gives."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import nnlite as nn
from nnlite.diagnostics.trace import output_not_finite, parameter_not_finite, place, trace, watching


def model():
    return nn.Sequential(nn.Linear(2, 3, rng=0), nn.Sequential(nn.Tanh(), nn.Linear(3, 1, rng=1)))


class Own(nn.Layer, parameters=("w",)):
    def __init__(self):
        self.w = [2.0]
        self.tanh = nn.Tanh()

    def forward(self, X):
        return self.tanh(X) * self.w


def test_trace_gives_every_output_in_the_order_in_which_it_is_ready():
    whole, X = model(), np.ones((4, 2), np.float32)
    records = trace(whole, X)
    assert [path for path, _, _ in records] == ["0", "1.0", "1.1", "1", ""]
    assert [layer for _, layer, _ in records] == [whole[0], whole[1][0], whole[1][1], whole[1], whole]
    for path, layer, Y in records:
        begin = X if path in ("0", "") else whole[0].forward(X)
        assert_array_equal(Y, whole[1].forward(begin) if path == "1.1" else layer.forward(begin))


def test_trace_runs_in_evaluation_mode_and_writes_nothing():
    class Modes(nn.Identity):
        def forward(self, X):
            return super().forward(X * 0 if self.training else X)

    whole = nn.Sequential(Modes(), nn.Linear(1, 1))
    before = [dict(vars(layer)) for _, layer in whole.named_layers()]
    records = trace(whole, np.ones((1, 1)))
    assert records[0][2] == 1
    assert [dict(vars(layer)) for _, layer in whole.named_layers()] == before
    assert whole.training


def test_trace_takes_composites_and_losses():
    records = trace(Own(), np.ones((1, 1)))
    assert [path for path, _, _ in records] == ["tanh", ""]
    ((path, _, J),) = trace(nn.MSELoss(), np.array([3.0]), np.array([1.0]))
    assert (path, J) == ("", 4)


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


def test_watching_sees_every_call_with_its_layers_path_arguments_and_result():
    whole, X, seen = model(), np.ones((4, 2), np.float32), []
    with watching(whole, lambda *call: seen.append(call), "model"):
        Y = whole(X)
        dX = whole.backward(np.ones_like(Y))
    inner = ["model.0", "model.1.0", "model.1.1", "model.1", "model"]
    outer = ["model.1.1", "model.1.0", "model.1", "model.0", "model"]
    assert [(path, name) for path, name, *_ in seen] == [(p, "forward") for p in inner] + [
        (p, "backward") for p in outer
    ]
    assert seen[0][2].args == (X,)
    assert seen[4][3] is Y
    assert seen[-1][3] is dX
    assert_array_equal(seen[4][2](), Y)
    assert len(seen) == 10  # the call again goes unseen


def test_watching_ends_with_its_block_also_after_an_error():
    whole, seen = model(), []
    whole[0].forward = forward = lambda X: nn.Linear.forward(whole[0], X)
    with pytest.raises(nn.ShapeError), watching(whole, lambda *call: seen.append(call)):
        whole(np.ones((4, 3)))
    assert seen == []
    whole(np.ones((4, 2)))
    assert seen == []
    assert whole[0].forward is forward
    assert not any(
        {"forward", "backward"} & vars(layer).keys() for _, layer in whole.named_layers() if layer is not whole[0]
    )
