"""What there is to draw of a model."""

import numpy as np
import pytest
from support.contract import ROWS, inputs_of, linear, numbers
from support.contract_row import one_of_each

import nnlite as nn
from nnlite.basics.trees import listed
from nnlite.diagnostics.picture import DrawnEdge, DrawnNode, picture, short


def names(shown):
    return [" ".join(line for line, kind in node.lines if kind == "name") for node in shown.nodes]


def written(shown):
    """(from, to, value, gradient) of each arc, by the names of its nodes."""
    of = names(shown)
    return [(of[edge.start], of[edge.end], edge.value, edge.gradient) for edge in shown.edges]


def test_a_product_of_a_sum():
    """J = (a + 2b) c at 3, 1, -2: J = -10 and the gradients -2, -4, 5."""
    a, b, c = nn.Input("a"), nn.Input("b"), nn.Input("c")
    shown = picture(nn.Graph([a, b, c], (a + 2 * b) * c), (3.0, 1.0, -2.0))
    times = "\N{MULTIPLICATION SIGN}"
    assert names(shown) == ["a", "b", "c", "2", times, "+", times, "Y"]
    assert written(shown) == [
        ("2", times, "", ""),
        ("b", times, "1", "-4"),
        ("a", "+", "3", "-2"),
        (times, "+", "2", "-2"),
        ("+", times, "5", "-2"),
        ("c", times, "-2", "5"),
        (times, "Y", "-10", "1"),
    ]


def test_a_fork_shows_the_sum_below_its_node():
    """J = (a + b)(b + 1) at 2, 1: dJ/db = 2 + 3."""
    a, b = nn.Input("a"), nn.Input("b")
    shown = picture(nn.Graph([a, b], (a + b) * (b + 1)), (2.0, 1.0))
    assert [(name, node.below) for name, node in zip(names(shown), shown.nodes, strict=True) if node.below] == [
        ("b", "sum 5")
    ]
    assert sorted(gradient for start, _, _, gradient in written(shown) if start == "b") == ["2", "3"]


def test_a_parameter_and_the_names_of_what_a_difference_takes():
    """L = (phi^T x - y)^2 at phi = (1, 2), x = (3, 4), y = 1: g = 10, dL/dphi = 2 g x."""
    x, y = nn.Input("x"), nn.Input("y")
    phi = nn.Parameter([1.0, 2.0], name="phi", dtype=np.float64)
    shown = picture(nn.Graph([x, y], nn.Square()(nn.Dot()(phi, x) - y)), ([3.0, 4.0], 1.0))
    assert [node.kind for node in shown.nodes] == ["input", "input", "parameter", "gate", "gate", "gate", "output"]
    minus = "\N{MINUS SIGN}"
    assert ("phi", "xᵀy", "[1, 2]", "[60, 80]") in written(shown)
    assert ("x", "xᵀy", "[3, 4]", "[20, 40]") in written(shown)
    assert ("xᵀy", minus, "X = 11", "20") in written(shown)
    assert ("y", minus, "Y = 1", "-20") in written(shown)


def test_five_nodes():
    """The backward of 1 / (1 + exp(-theta x)) at theta = 2, x = 0.5, digit by digit."""
    x, theta = nn.Input("x"), nn.Parameter(2.0, name="theta", dtype=np.float64)
    shown = picture(nn.Graph(x, nn.Reciprocal()(1 + nn.Exp()(-(theta * x)))), 0.5)
    assert [(value, gradient) for _, _, value, gradient in written(shown)] == [
        ("2", "0.09831"), ("0.5", "0.3932"), ("1", "0.1966"), ("-1", "-0.1966"), ("", ""), ("0.3679", "-0.5344"),
        ("1.368", "-0.5344"), ("0.7311", "1"),
    ]  # fmt: skip


def test_layers_show_their_path_and_their_parameters_with_the_gradients():
    model = nn.Sequential(linear(3, 2), nn.Sequential(nn.Tanh()))
    shown = picture(model, numbers(4, 3), dY=np.ones((4, 2)))
    node = shown.nodes[1]
    assert node.kind == "layer"
    assert node.lines[:3] == (("0", "detail"), ("Linear(3 -> 2)", "name"), ("W (3, 2)", "value"))
    assert node.lines[3] == ("b [-0.3, 0.4]", "value")
    assert [kind for _, kind in node.lines[4:]] == ["gradient", "gradient"]
    assert node.lines[4][0].startswith("dW norm ")
    assert shown.nodes[2].lines == (("1.0", "detail"), ("Tanh()", "name"))
    assert list(model[0].dPhi) == [0.0] * 8  # nothing was written on the model


def test_large_arrays_are_shown_by_shape_and_norm():
    shown = picture(nn.Tanh(), np.zeros((8, 3)), dY=2 * np.ones((8, 3)))
    assert written(shown)[0] == ("X", "Tanh()", "(8, 3)", f"norm {np.sqrt(24 * 4):.3g}")


def test_a_residual_is_a_sum_at_the_end_of_a_way_around():
    shown = picture(nn.Residual(nn.Tanh()), np.array([0.0]), dY=np.array([1.0]))
    assert written(shown) == [("X", "Tanh()", "[0]", "[1]"), ("X", "+", "[0]", "[1]"), ("Tanh()", "+", "[0]", "[1]"),
                              ("+", "Y", "[0]", "[1]")]  # fmt: skip
    assert shown.nodes[0].below == "sum [2]"


def test_the_parts_of_a_layer_of_several_outputs_have_names():
    x = nn.Input("x")
    left, right = nn.Split([1, 1])(x)
    shown = picture(nn.Graph(x, left - right), np.array([3.0, 1.0]))
    assert [value for start, _, value, _ in written(shown) if start.startswith("Split")] == [
        "X = Y1: [3]", "Y = Y2: [1]"
    ]  # fmt: skip


def test_tied_layers_show_what_they_add_and_the_original_the_sum():
    layer = linear(1, 1)
    layer.W, layer.b = [[3.0]], [0.0]
    shown = picture(nn.Sequential(layer, nn.tied(layer)), np.array([[2.0]]))
    # Y = W (W x): dY/dW = W x + W x, the first term from the second use
    assert ("dW total [12]", "gradient") in shown.nodes[1].lines
    assert ("dW [6]", "gradient") in shown.nodes[2].lines


def test_a_transposed_tie_says_of_what_it_is():
    layer = linear(3, 4)
    shown = picture(nn.Sequential(layer, nn.tied(layer, transpose=True)), np.ones((2, 3)), dY=np.ones((2, 3)))
    assert shown.nodes[2].lines[1:3] == (("TiedTranspose(4 -> 3)", "name"), ("of Linear(3 -> 4)", "detail"))
    assert any(line.startswith("dW total norm") for line, _ in shown.nodes[1].lines)
    assert any(line.startswith("dW norm") for line, _ in shown.nodes[2].lines)


def test_a_parameter_without_a_name_is_no_number():
    x = nn.Input("x")
    shown = picture(nn.Graph(x, x * nn.Parameter([2.0, 1.0])), np.ones(2))
    assert names(shown)[1] == "parameter 0"


def test_without_X_the_structure_with_the_known_shapes():
    x = nn.Input("x", shape=(None, 3))
    shown = picture(nn.Graph(x, nn.Tanh()(nn.Linear(3, 2)(x))))
    assert [value for _, _, value, _ in written(shown)] == ["(..., 3)", "(..., 2)", "(..., 2)"]
    assert [gradient for _, _, _, gradient in written(shown)] == [""] * 3
    assert picture(nn.Tanh()).edges == (DrawnEdge(0, 1), DrawnEdge(1, 2))


def test_values_and_gradients_can_be_left_out():
    X, dY = np.array([1.0]), np.array([1.0])
    model = nn.Square()
    assert written(picture(model, X, dY=dY, values=False)) == [("X", "x²", "", "[2]"), ("x²", "Y", "", "[1]")]
    assert written(picture(model, X, dY=dY, gradients=False)) == [("X", "x²", "[1]", ""), ("x²", "Y", "[1]", "")]
    plain = picture(nn.Linear(1, 1), np.ones((1, 1)), values=False).nodes[1]
    assert ("W (1, 1)", "value") in plain.lines


def test_without_dY_there_are_gradients_of_a_single_number_only():
    assert written(picture(nn.Tanh(), np.array([[0.0]])))[0][3] == "[1]"
    assert written(picture(nn.Tanh(), np.zeros(2)))[0][3] == ""
    several = picture(nn.Split([1, 1]), np.zeros(2))
    assert {gradient for _, _, _, gradient in written(several)} == {""}


def test_a_loss_has_no_gradient_for_its_target():
    shown = picture(nn.MSELoss(), (np.array([3.0]), np.array([1.0])))
    assert written(shown) == [
        ("Y", "MSELoss()", "Y = [3]", "[4]"), ("target", "MSELoss()", "target = [1]", ""), ("MSELoss()", "J", "4", "1")
    ]  # fmt: skip


class Scale(nn.Layer, parameters=("gamma",)):
    def __init__(self):
        self.gamma = np.array([2.0])

    def forward(self, x):
        self.x = x
        return x * self.gamma

    def backward(self, dy):
        self.dgamma = np.sum(dy * self.x, axis=0)
        return dy * self.gamma


def test_a_users_own_layer():
    shown = picture(nn.Sequential(Scale(), nn.Tanh()), np.array([[0.0]], np.float32))
    assert shown.nodes[1].lines == (
        ("0", "detail"), ("Scale()", "name"), ("gamma [2]", "value"), ("dgamma [0]", "gradient")
    )  # fmt: skip


def test_a_layer_of_the_users_own_that_is_called_like_a_gate_is_no_gate():
    class Add(nn.Tanh):
        pass

    assert picture(Add()).nodes[1] == DrawnNode("layer", (("Add()", "name"),))


def test_a_model_in_its_own_mode_stays_as_it_is():
    model = nn.Sequential(linear(2, 1), nn.Tanh())
    model.needs_dX = False
    shown = picture(model, np.ones((1, 2)))
    assert written(shown)[0][3] != ""
    assert model.needs_dX is False
    assert not hasattr(model[1], "Y")


@pytest.mark.parametrize("row", one_of_each(ROWS), ids=lambda row: row.id)
def test_every_layer_in_the_contract_table_can_be_drawn(row):
    model = row.make()
    X = inputs_of(row)
    Y = model.forward(*X) if isinstance(X, tuple) else model.forward(**X) if isinstance(X, dict) else model.forward(X)
    dY = tuple(np.ones_like(each) for each in listed(Y)) if isinstance(Y, tuple) else None
    shown = picture(row.make(), X, dY=dY)
    assert all(edge.start < edge.end for edge in shown.edges)
    assert sum(node.kind == "output" for node in shown.nodes) == len(listed(Y))
    assert sum(node.kind == "input" for node in shown.nodes) == len(listed(X))
    picture(row.make())


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (1 / 3, "0.3333"),
        (np.array(-2.0), "-2"),
        (np.array([1.0, 2.5]), "[1, 2.5]"),
        (np.array([[1.0, 2.0], [3.0, 4.0]]), "[1, 2]\n[3, 4]"),
        (np.zeros((4, 1)), "(4, 1)"),
        (np.zeros(5), "(5,)"),
        (np.zeros((1, 1, 1)), "(1, 1, 1)"),
        (np.zeros(0), "(0,)"),
        (np.array([np.nan]), "[nan]"),
        (np.array([True, False]), "[1, 0]"),
    ],
)
def test_short(values, expected):
    assert short(values) == expected


def test_short_with_norm():
    assert short(3 * np.ones((2, 8)), norm=True) == "norm 12"


def test_it_takes_a_layer():
    with pytest.raises(TypeError, match="model: expected a Layer"):
        picture(3)


@pytest.mark.parametrize(("given", "error"), [
    (np.ones(2), "expected 2 inputs, got 1"),
    ((np.ones(2),) * 3, "expected 2 inputs, got 3"),
    ({"a": np.ones(2), "c": np.ones(2)}, "expected the inputs a, b, each once, got a, c"),
])  # fmt: skip
def test_wrong_inputs_are_told_as_forward_tells_them(given, error):
    a, b = nn.Input("a"), nn.Input("b")
    with pytest.raises(TypeError, match=error):
        picture(nn.Graph([a, b], a * b), given)


def test_whole_numbers_are_taken_for_dY_as_for_X():
    model = nn.Linear(3, 2, rng=0)
    assert picture(model, [[1, 2, 3]], dY=[[1, 1]]) == picture(model, [[1.0, 2.0, 3.0]], dY=[[1.0, 1.0]])
    with pytest.raises(TypeError, match="dY: expected real numbers, got str"):
        picture(model, [[1, 2, 3]], dY="x")


def test_a_loss_behind_the_model():
    """(2 x - 1)^2 at x = 2: J = 9, dJ/dy = 2 (4 - 1) = 6, dJ/dx = 12."""
    model = nn.Sequential(linear(1, 1))
    model[0].W, model[0].b = [[2.0]], [0.0]
    shown = picture(model, [[2.0]], [[1.0]], nn.MSELoss())
    assert written(shown) == [
        ("X", "Linear(1 -> 1)", "[2]", "[12]"),
        ("Linear(1 -> 1)", "MSELoss()", "Y = [4]", "[6]"),
        ("target", "MSELoss()", "target = [1]", ""),
        ("MSELoss()", "J", "9", "1"),
    ]
    with pytest.raises(TypeError, match="both dY and loss"):
        picture(model, [[2.0]], [[1.0]], nn.MSELoss(), dY=1.0)
    assert names(picture(model, loss=nn.MSELoss())) == ["X", "target", "Linear(1 -> 1)", "MSELoss()", "J"]


def test_names_of_ones_own():
    model = nn.Sequential(linear(1, 1), nn.Tanh())
    shown = picture(model, [[2.0]], names={"X": "dose", "0": "response", "0.W": "slope"})
    assert names(shown) == ["dose", "response", "Tanh()", "Y"]
    assert any(line.startswith("slope [") for line, _ in shown.nodes[1].lines)
    with pytest.raises(ValueError, match=r"draw: names: unknown '2.W'; known are X, 0, 0.W, 0.b, 1"):
        picture(model, names={"2.W": "U"})


def test_how_many_numbers_are_written_out_can_be_chosen():
    X = np.arange(6.0).reshape(2, 3)
    assert picture(nn.Tanh(), X).edges[0].value == "(2, 3)"
    assert picture(nn.Tanh(), X, most=6).edges[0].value == "[0, 1, 2]\n[3, 4, 5]"
    assert picture(nn.Tanh(), np.ones(2), most=1).edges[0].value == "(2,)"
    with pytest.raises(ValueError, match="most"):
        picture(nn.Tanh(), X, most=0)


def test_a_subclass_without_code_of_its_own_has_the_sign_and_a_users_layer_may_have_one():
    class Total(nn.Add):
        pass

    class Doubled(nn.Layer):
        sign = "2x"

        def forward(self, X):
            return self.record_Y(2 * X)

        def backward(self, dY):
            return 2 * dY

    x = nn.Input("x")
    assert names(picture(nn.Graph(x, Total()(x, Doubled()(x))))) == ["x", "2x", "+", "Y"]
