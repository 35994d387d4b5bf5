"""The computational graph as a picture."""

from itertools import combinations

import matplotlib as mpl

mpl.use("Agg")

import numpy as np
import pytest
from matplotlib.patches import Ellipse, FancyBboxPatch
from support.contract import constants, five_nodes, linear, nested, numbers, parts_crossed, shares, two_by_two
from support.sweeps import every

import nnlite as nn
from nnlite.diagnostics.draw import COLOURS, FONT, arranged, body, text_size
from nnlite.diagnostics.picture import DrawnEdge, DrawnNode, Picture


@pytest.fixture(autouse=True)
def _close_figures():
    import matplotlib.pyplot as plt

    yield
    plt.close("all")


def fork():
    a, b = nn.Input("a"), nn.Input("b")
    return nn.Graph([a, b], (a + b) * (b + 1))


def forks():
    """Every input is used twice, so that a sum of two lines stands below each."""
    inputs = [nn.Input(f"x{number}") for number in range(4)]
    return nn.Graph(inputs, nn.Add()(*[x * x for x in inputs]))


def texts(figure, kind):
    return [text.get_text() for text in figure.axes[0].texts if text.get_color() == COLOURS[kind]]


def test_values_are_green_and_gradients_red_and_above_and_below_each_other():
    figure = nn.draw(fork(), (2.0, 1.0))
    assert texts(figure, "value") == ["2", "1", "1", "3", "2", "6"]
    assert texts(figure, "gradient") == ["2", "2", "3", "2", "3", "1", "sum 5"]
    value, gradient = [text for text in figure.axes[0].texts if text.get_text() in ("6", "1")][-3:-1]
    above, below = (text.get_window_extent() for text in (value, gradient) if text.get_color() != "black")
    assert above.y0 > below.y1


def test_gates_are_circles_and_layers_boxes():
    figure = nn.draw(nn.Sequential(linear(2, 2), nn.Square()))
    kinds = [type(patch) for patch in figure.axes[0].patches]
    assert (kinds.count(Ellipse), kinds.count(FancyBboxPatch)) == (1, 3)  # input, Linear and output


def pictures():
    x, y = nn.Input("x"), nn.Input("y")
    product = nn.Graph([x, y], (x + 2 * y) * nn.Exp()(x))
    phi = nn.Parameter([1.0, 2.0], name="phi", dtype=np.float64)
    x, y = nn.Input("x"), nn.Input("y")
    error = nn.Graph([x, y], nn.Square()(nn.Dot()(phi, x) - y))
    residual = nn.Sequential(linear(3, 4), nn.Residual(linear(4, 4), nn.Tanh()), linear(4, 1))
    wide = nn.Parallel(*[nn.Sequential(linear(3, 2), nn.Tanh()) for _ in range(5)], nn.Identity())
    layer = linear(3, 3)
    return {
        "fork": (fork(), (2.0, 1.0)),
        "forks": (forks(), tuple([np.array([[1.0, 2.0], [3.0, number]]) for number in range(4)])),
        "product": (product, (3.0, 1.0)),
        "error": (error, ([3.0, 4.0], 1.0)),
        "five nodes": (five_nodes(), numbers(4, 3)),
        "chain": (nn.Sequential(linear(3, 2), nn.Tanh(), linear(2, 1), nn.Sigmoid()), numbers(1, 3)),
        "residual": (residual, numbers(4, 3)),
        "residuals": (nn.Residual(nn.Residual(linear(3, 3)), nn.Tanh()), numbers(4, 3)),
        "parallel": (wide, numbers(4, 3)),
        "constants": (constants(), numbers(4, 3)),
        "several": (two_by_two(), (numbers(4, 3), numbers(4, 2))),
        "parts crossed": (parts_crossed(), numbers(4, 5)),
        "nested": (nested(), (numbers(4, 3), shares(4, 3))),
        "tied": (nn.Sequential(layer, nn.Tanh(), nn.tied(layer)), numbers(4, 3)),
    }


@pytest.mark.parametrize("name", every(2, pictures()))
def test_nothing_overlaps_as_it_is_drawn(name):
    model, X = pictures()[name]
    Y = model.forward(*X) if isinstance(X, tuple) else model.forward(X)
    dY = tuple(map(np.ones_like, Y)) if isinstance(Y, tuple) else np.ones_like(Y)
    figure = nn.draw(model, X, dY=dY)
    figure.canvas.draw()
    (axes,) = figure.axes
    written = [(text, text.get_window_extent()) for text in axes.texts]
    nodes = [patch.get_window_extent() for patch in axes.patches if isinstance(patch, Ellipse | FancyBboxPatch)]
    frame = figure.bbox
    for _, box in written:
        assert frame.x0 <= box.x0
        assert frame.y0 <= box.y0
        assert box.x1 <= frame.x1
        assert box.y1 <= frame.y1
    for one, other in combinations(nodes, 2):
        assert not one.overlaps(other)
    for (one, a), (other, b) in combinations(written, 2):
        assert not a.padded(-0.5).overlaps(b.padded(-0.5)), (one, other)
    for text, box in written:
        inside = [node for node in nodes if node.overlaps(box.padded(-0.5))]
        assert len(inside) <= 1, text
        assert all(node.contains(*corner) for node in inside for corner in (box.min, box.max)), text


def test_what_stands_below_a_node_has_its_place():
    name = (("x", "name"),)
    nodes = DrawnNode("input", name, below="sum [1, 2]\n[3, 4]"), DrawnNode("input", name), DrawnNode("output", name)
    placed = arranged(Picture(nodes, (DrawnEdge(0, 2), DrawnEdge(1, 2))))
    below = text_size(nodes[0].below, FONT - 1)[1]
    heights = [body(node)[1] for node in nodes]
    (_, first), (_, second), _ = placed.nodes
    assert abs(first - second) >= (heights[0] + heights[1]) / 2 + below


def test_the_measure_of_a_text_is_that_of_the_text_as_drawn():
    figure = nn.draw(nn.Sequential(linear(3, 2), nn.Tanh()), numbers(1, 3))
    for text in figure.axes[0].texts:
        drawn = text.get_window_extent()
        width, _ = text_size(text.get_text(), text.get_size())
        assert abs(width - drawn.width * 72 / figure.dpi) < 2 + 0.06 * width  # pixels are whole


def test_several_lines_are_as_wide_as_the_widest():
    assert text_size("a\nwide one", FONT) == (text_size("wide one", FONT)[0], 2 * text_size("a", FONT)[1])


def test_a_dollar_is_a_dollar():
    class Rich(nn.Tanh):
        def extra_repr(self):
            return "$x^2$"

    figure = nn.draw(Rich())
    figure.canvas.draw()
    assert "Rich($x^2$)" in texts(figure, "name")
    assert not any(text.get_parse_math() for text in figure.axes[0].texts)


def test_a_users_own_layer_and_a_file(tmp_path):
    class Cube(nn.Layer):
        def forward(self, X):
            self.X = X
            return X**3

        def backward(self, dY):
            return 3 * self.X**2 * dY

    figure = nn.draw(Cube(), np.array([2.0]))
    assert "Cube()" in texts(figure, "name")
    assert texts(figure, "gradient") == ["[12]", "[1]"]
    figure.savefig(tmp_path / "cube.png")
    assert (tmp_path / "cube.png").stat().st_size > 1000


@pytest.mark.usefixtures("without_matplotlib")
def test_without_matplotlib_it_says_what_to_install():
    with pytest.raises(ImportError, match="matplotlib") as caught:
        nn.draw(nn.Tanh())
    assert "extra 'plot'" in caught.value.__notes__[0]


def test_it_takes_a_layer():
    with pytest.raises(TypeError, match="model: expected a Layer"):
        nn.draw(nn.Tanh)


def test_a_chain_with_a_loss_is_folded_too_and_nothing_is_cut_off():
    model = nn.Sequential(nn.Linear(2, 2, rng=0), nn.Tanh(), nn.Linear(2, 1, rng=1), nn.Sigmoid())
    figure = nn.draw(model, [[1.0, 2.0]], [[1.0]], nn.BCELoss())
    assert figure.get_size_inches()[0] < 10.5
    inside = figure.bbox
    for text in figure.axes[0].texts:
        box = text.get_window_extent()
        assert inside.x0 < box.x0 < box.x1 < inside.x1, text.get_text()
        assert inside.y0 < box.y0 < box.y1 < inside.y1, text.get_text()
    places = {text.get_text(): text.get_position() for text in figure.axes[0].texts}
    assert places["target"][1] < places["Tanh()"][1]  # beside the loss, in the last line


def test_upto_shows_what_is_known_and_keeps_the_size():
    a, b = nn.Input("a"), nn.Input("b")
    graph = nn.Graph([a, b], (a + b) * (b + 1))
    whole = nn.draw(graph, (2.0, 1.0))
    sizes, seen = set(), []
    for count in range(8):
        figure = nn.draw(graph, (2.0, 1.0), upto=count)
        sizes.add(tuple(figure.get_size_inches()))
        drawn = {
            kind: [text.get_text() for text in figure.axes[0].texts if text.get_color() == COLOURS[kind]]
            for kind in ("value", "gradient")
        }
        seen.append((len(drawn["value"]), drawn["gradient"]))
    assert sizes == {tuple(whole.get_size_inches())}
    assert [count for count, _ in seen] == [3, 4, 5, 6, 6, 6, 6, 6]
    gradients = [sorted(each) for _, each in seen]
    assert gradients[3] == []
    assert gradients[4] == ["1", "2", "3"]  # of J, and of both factors
    assert gradients[5] == ["1", "2", "3", "3"]
    assert gradients[6] == gradients[7] == ["1", "2", "2", "2", "3", "3", "sum 5"]
    with pytest.raises(ValueError, match="draw: upto"):
        nn.draw(graph, (2.0, 1.0), upto=-1)


def test_upto_keeps_the_place_of_a_layers_gradients():
    model = nn.Linear(1, 1, rng=0)
    before, after = (
        {text.get_text(): text.get_position() for text in nn.draw(model, [[1.0]], upto=count).axes[0].texts}
        for count in (1, 2)
    )
    assert before["Linear(1 -> 1)"] == after["Linear(1 -> 1)"]
    assert "dW [1]" in after
    assert "dW [1]" not in before
