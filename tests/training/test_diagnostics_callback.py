"""Diagnostics: numbers of each layer and epoch, against those of a loop by hand; and that nothing else changes."""

import math
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

import nnlite as nn
from nnlite.training.diagnostics_callback import ROWS
from nnlite.training.diagnostics_plot import NAMES

X = np.random.default_rng(0).normal(size=(10, 3))
Y = X @ [[1.0], [-2.0], [0.5]]


def network(dtype=np.float64):
    rng = np.random.default_rng(0)
    layers = nn.Linear(3, 4, rng=rng), nn.ReLU(), nn.Linear(4, 4, rng=rng), nn.Tanh(), nn.Linear(4, 1, rng=rng)
    return nn.Sequential(*layers).astype(dtype)


def train(callbacks, epochs=3, model=None, X=X, Y=Y, **options):
    model = model or network()
    options = {"batch_size": 4, "rng": 0, "verbose": 0, "loss": nn.MSELoss(), "shuffle": False} | options
    optimizer = nn.SGD(model, lr=0.05, momentum=0.9)
    history = nn.fit(model, X, Y, optimizer=optimizer, epochs=epochs, callbacks=callbacks, **options)
    return model, history


def test_gradients_and_updates_are_the_means_of_a_loop_by_hand():
    diagnostics = nn.Diagnostics()
    train([diagnostics], epochs=2)
    model, loss = network(), nn.MSELoss()
    optimizer = nn.SGD(model, lr=0.05, momentum=0.9)
    for epoch in range(2):
        gradients, updates = [], []
        for rows in slice(0, 4), slice(4, 8), slice(8, 10):
            loss.forward(model.forward(X[rows]), Y[rows])
            model.backward(loss.backward())
            before = model.Phi.copy()
            optimizer.step()
            first = slice(0, 3 * 4 + 4)  # the first layer's part
            gradients.append(np.linalg.norm(model.dPhi[first]))
            updates.append(np.linalg.norm((model.Phi - before)[first]) / np.linalg.norm(before[first]))
        assert_allclose(diagnostics.gradients["0"][epoch], np.mean(gradients), rtol=1e-12)
        assert_allclose(diagnostics.updates["0"][epoch], np.mean(updates), rtol=1e-12)
    assert list(diagnostics.gradients) == list(diagnostics.updates) == ["0", "2", "4"]


def test_numbers_of_the_table_are_aligned_on_the_right():
    diagnostics = nn.Diagnostics()
    diagnostics.layers = {"0": "Linear(2 -> 1)"}
    diagnostics.gradients, diagnostics.updates = {"0": [0.5]}, {"0": [0.002]}
    header, _, row = str(diagnostics).splitlines()
    for title, number in ("|gradient|", "0.5"), ("|step| / |weights|", "0.002"):
        assert header.index(title) + len(title) == row.index(number) + len(number)


def test_the_update_of_weights_that_are_0_is_not_relative():
    model, diagnostics = nn.Sequential(nn.Linear(3, 1, dtype=np.float64)), nn.Diagnostics()
    model.Phi[...] = 0
    model, _ = train([diagnostics], epochs=1, model=model, batch_size=10)
    assert diagnostics.updates["0"] == [pytest.approx(np.linalg.norm(model.Phi))]


def test_dead_and_saturated_are_those_at_the_epochs_end():
    diagnostics, seen = nn.Diagnostics(), []

    def look(state):
        U = state.model[:1].forward(X)
        H = state.model[2:3].forward(np.maximum(U, 0))
        seen.append((np.mean((U <= 0).all(axis=0)), np.mean(U <= 0), np.mean(1 - np.tanh(H) ** 2 < 0.01)))

    train([look, diagnostics], epochs=4)
    assert list(diagnostics.dead) == list(diagnostics.saturated) == ["1", "3"]
    assert_allclose(diagnostics.dead["1"], [dead for dead, _, _ in seen])
    assert_allclose(diagnostics.saturated["1"], [share for _, share, _ in seen])
    assert_allclose(diagnostics.saturated["3"], [share for _, _, share in seen])


def test_units_that_die():
    model = network()
    model[0].b = [-100.0] * 4
    diagnostics = nn.Diagnostics()
    train([diagnostics], model=model)
    assert diagnostics.dead["1"] == diagnostics.saturated["1"] == [1.0] * 3
    assert diagnostics.gradients["0"] == diagnostics.updates["0"] == [0.0] * 3


def test_it_changes_nothing_in_training():
    plain, plain_history = train([])
    watched, history = train([nn.Diagnostics()])
    assert watched.Phi.tobytes() == plain.Phi.tobytes()
    assert history.to_dict() == plain_history.to_dict()
    assert watched.training


def test_it_looks_at_the_first_rows_only_or_at_those_that_it_is_given(monkeypatch):
    seen = []
    forward = nn.Tanh.forward
    monkeypatch.setattr(nn.Tanh, "forward", lambda self, X: seen.append((self.training, len(X))) or forward(self, X))
    many = np.zeros((ROWS + 10, 3))
    train([nn.Diagnostics()], epochs=1, X=many, Y=np.zeros((ROWS + 10, 1)))
    assert {count for training, count in seen if not training} == {ROWS}
    seen.clear()
    train([nn.Diagnostics(X[:7])], epochs=1)
    assert {count for training, count in seen if not training} == {7}


def test_batches_that_come_ready_made_need_rows():
    batches = [(X[:5], Y[:5]), (X[5:], Y[5:])]
    with pytest.raises(
        ValueError, match=r"fit gets batches, and not rows to measure activations on; pass Diagnostics\(X\)"
    ):
        train([nn.Diagnostics()], X=batches, Y=None)
    diagnostics = nn.Diagnostics(X)
    train([diagnostics], X=batches, Y=None)
    assert diagnostics.epochs == 3


def test_a_step_of_several_batches_counts_once():
    diagnostics, other = nn.Diagnostics(), nn.Diagnostics()
    train([diagnostics], epochs=1, X=X[:8], Y=Y[:8], batch_size=2, accumulate_steps=2)
    train([other], epochs=1, X=X[:8], Y=Y[:8], batch_size=4)
    assert_allclose(diagnostics.updates["0"], other.updates["0"], rtol=1e-9)


def test_graphs_ties_and_layers_of_ones_own():
    class Leaky(nn.Layer, parameters=("slope",)):
        def __init__(self):
            self.slope = np.full(4, 0.001)

        def forward(self, X):
            self.X = X
            return np.where(X > 0, X, self.slope * X)

        def backward(self, dY):
            self.dslope = np.sum(dY * np.minimum(self.X, 0), axis=0)
            return np.where(self.X > 0, dY, self.slope * dY)

    a, b = nn.Input("a"), nn.Input("b")
    layer = nn.Linear(3, 4, rng=0)
    h = Leaky()(layer(a) + nn.tied(layer)(b))
    model = nn.Graph([a, b], nn.Linear(4, 1, rng=1)(h))
    diagnostics = nn.Diagnostics()
    train([diagnostics], model=model, X=(X, X[::-1]))
    leaky = next(path for path, name in diagnostics.layers.items() if name == "Leaky()")
    assert list(diagnostics.dead) == [leaky]
    assert leaky in diagnostics.gradients
    assert len(diagnostics.gradients) == 3
    assert 0 < diagnostics.saturated[leaky][0] < 1


def test_a_layer_that_is_its_own_model():
    diagnostics = nn.Diagnostics()
    train([diagnostics], model=nn.Linear(3, 1, rng=0))
    assert list(diagnostics.gradients) == [""]
    assert "Linear(3 -> 1)" in str(diagnostics)


def test_it_prints_the_last_epoch_as_a_table():
    diagnostics = nn.Diagnostics()
    assert str(diagnostics) == repr(diagnostics) == "Diagnostics(0 epochs)"
    train([diagnostics])
    lines = str(diagnostics).splitlines()
    assert lines[0].split() == ["epoch", "3", "layer", "|gradient|", "|step|", "/", "|weights|", "dead", "saturated"]
    assert [line.split()[0] for line in lines[2:]] == ["0", "1", "2", "3", "4"]
    assert lines[2].endswith(f"{diagnostics.updates['0'][-1]:.2g}")
    assert lines[3].split()[1:] == ["ReLU()", f"{diagnostics.dead['1'][-1]:.0%}"[:-1], "%",
                                    f"{diagnostics.saturated['1'][-1]:.0%}"[:-1], "%"]  # fmt: skip
    assert repr(diagnostics) == "Diagnostics(3 epochs)"


def test_a_second_training_starts_anew():
    diagnostics = nn.Diagnostics()
    train([diagnostics])
    train([diagnostics], epochs=2)
    assert diagnostics.epochs == len(diagnostics.dead["1"]) == 2


@pytest.mark.parametrize("stop", [(1, 3), (2, 1), (2, 3)])
def test_a_resumed_training_ends_with_the_same_numbers(tmp_path: Path, stop):
    whole = nn.Diagnostics()
    train([whole], epochs=4, shuffle=True)

    class Stop(nn.Callback):
        def on_batch_end(self, state):
            return (state.epoch, state.batch) == stop

    path = tmp_path / "training.npz"
    train([nn.Diagnostics(), nn.Checkpoint(path, unit="batch"), Stop()], epochs=4, shuffle=True)
    resumed = nn.Diagnostics()
    checkpoint = nn.Checkpoint(path)
    train([resumed, checkpoint], epochs=4 - checkpoint.epochs_done, resume=path, shuffle=True)
    for name in "gradients", "updates", "dead", "saturated", "layers":
        assert getattr(resumed, name) == getattr(whole, name), name


def test_the_picture_has_a_panel_for_each_kind_with_a_line_for_each_layer():
    import matplotlib.pyplot as plt

    diagnostics = nn.Diagnostics()
    with pytest.raises(ValueError, match="no epoch has been recorded"):
        diagnostics.plot()
    train([diagnostics])
    figure = diagnostics.plot()
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["norm of the gradient", "relative update", "dead units", "saturated entries"]
    assert [axes.get_yscale() for axes in figure.axes] == ["log", "log", "linear", "linear"]
    for axes, series in zip(figure.axes, (diagnostics.gradients, diagnostics.updates, diagnostics.dead,
                                          diagnostics.saturated), strict=True):  # fmt: skip
        lines = {line.get_label(): line for line in axes.get_lines() if line.get_label() != "about right"}
        assert [name.split()[0] for name in lines] == list(series)
        for name, line in lines.items():
            assert line.get_ydata().tolist() == series[name.split()[0]]
            assert line.get_xdata().tolist() == [1, 2, 3]
    legend = [text.get_text() for text in figure.axes[1].get_legend().get_texts()]
    assert legend == ["0 Linear(3 -> 4, dtype=float64)", "2 Linear(4 -> 4, dtype=float64)",
                      "4 Linear(4 -> 1, dtype=float64)", "about right"]  # fmt: skip
    figure.canvas.draw()
    plt.close(figure)


@pytest.mark.parametrize("values", [[0.5], [0.0, 0.0], [math.nan, 0.1]])
def test_pictures_of_one_epoch_of_zeros_and_of_nan(values):
    import matplotlib.pyplot as plt

    diagnostics = nn.Diagnostics()
    diagnostics.gradients = diagnostics.updates = {"0": values}
    figure = diagnostics.plot()
    figure.canvas.draw()
    plt.close(figure)


def test_of_many_layers_some_have_a_name_in_the_legend():
    import matplotlib.pyplot as plt

    diagnostics = nn.Diagnostics()
    diagnostics.dead = diagnostics.saturated = {str(number): [0.1, 0.2] for number in range(50)}
    figure = diagnostics.plot()
    names = [text.get_text() for text in figure.axes[1].get_legend().get_texts()]
    assert len(names) <= NAMES + 1
    assert (names[0], names[-1]) == ("0", "49")
    plt.close(figure)
