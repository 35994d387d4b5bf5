import itertools
import re
from functools import cache
from xml.etree import ElementTree

import numpy as np
import pytest
from support.contract import ROWS, Row, inputs_of, linear, numbers, shares
from support.contract_row import one_of_each
from support.formula_values import CannotBeComputedError, computed

import nnlite as nn
from nnlite.basics.shapes import UNKNOWN
from nnlite.basics.trees import listed, spread
from nnlite.diagnostics.formulas.printing import Text
from nnlite.diagnostics.formulas.typeset import LaTeX
from nnlite.diagnostics.named_inputs import gradients_by_name, inputs_by_name

plain, latex = Text(), LaTeX()
over_rows = pytest.mark.parametrize("row", one_of_each(ROWS), ids=lambda row: row.id)


@cache
def explained(row_id):
    """The explanation of a row of the contract table, with the values."""
    (row,) = (row for row in ROWS if row.id == row_id)
    return nn.explain(row.make(), row.X, row.target, values=True)


def text_of(lines):
    return [f"{plain(line.left)} = {plain(line.expression)}" for line in lines]  # without what that is equal to in turn


def of_three_layers():
    """The network of ``support.formulas.three_layers``."""
    return nn.Sequential(linear(4, 3), nn.Tanh(), linear(3, 2), nn.Sigmoid(), linear(2, 1), nn.Sigmoid())


LETTERS = {"4.W": "U", "4.b": "c"}
TARGET = np.array([[1.0], [0], [1], [0], [1]])


# ------------------------------------------------------------------------------------------ a network of three layers


def test_the_formulas_of_a_network_of_three_layers_line_by_line():
    """Derived by hand, as in ``support.formulas.three_layers``, whose docstring has the reasons."""
    explanation = nn.explain(of_three_layers(), loss=nn.BCELoss(), names=LETTERS)
    assert text_of(explanation.forward) == [
        "u1 = X W1 + b1",
        "h1 = tanh(u1)",
        "u2 = h1 W2 + b2",
        "h2 = sigmoid(u2)",
        "u3 = h2 U + c",
        "y^ = sigmoid(u3)",
        "L = -1/N sum(y * log(y^) + (1 - y) * log(1 - y^))",
    ]
    by_hand = [
        "dL/dy^ = 1/N ((1 - y) / (1 - y^) - y / y^)",
        "dL/du3 = 1/N (y^ - y)",
        "dL/dU = h2^T dL/du3",
        "dL/dc = sum(dL/du3)",
        "dL/dh2 = dL/du3 U^T",
        "dL/du2 = dL/dh2 * h2 * (1 - h2)",
        "dL/dW2 = h1^T dL/du2",
        "dL/db2 = sum_1(dL/du2)",
        "dL/dh1 = dL/du2 W2^T",
        "dL/du1 = dL/dh1 * (1 - h1 * h1)",
        "dL/dW1 = X^T dL/du1",
        "dL/db1 = sum_1(dL/du1)",
    ]
    one_by_one = "dL/du3 = dL/dy^ * y^ * (1 - y^)"  # by the sigmoid alone, a line of explain only
    assert text_of(explanation.backward) == [by_hand[0], one_by_one, *by_hand[1:]]
    assert explanation.backward[2].note == "Sigmoid with BCELoss"


def test_the_boxed_formulas_in_latex():
    explanation = nn.explain(of_three_layers(), loss=nn.BCELoss(), names=LETTERS)
    found = {latex(line.left): latex(line.expression) for line in explanation.backward}
    assert found[r"\frac{\partial L}{\partial W_1}"] == r"X^\top \frac{\partial L}{\partial u_1}"
    assert found[r"\frac{\partial L}{\partial u_3}"] == r"\frac{1}{N} \left(\hat{y} - y\right)"
    assert found[r"\frac{\partial L}{\partial u_1}"] == (
        r"\frac{\partial L}{\partial h_1} \odot \left(1 - h_1 \odot h_1\right)"
    )
    rows = explanation.markdown.split("\n")
    assert r"\frac{\partial L}{\partial U} &= h_2^\top \frac{\partial L}{\partial u_3} && \text{4.W} \\" in rows
    assert rows.count("$$") == 4


def test_shapes_stand_under_every_factor():
    explanation = nn.explain(of_three_layers(), numbers(5, 4), TARGET, nn.BCELoss(), names=LETTERS)
    lines = str(explanation).split("\n")
    at = lines.index(next(line for line in lines if "dL/dU = " in line))
    assert [line[:26].rstrip() for line in lines[at : at + 2]] == [
        "  dL/dU = h2^T  dL/du3",
        "  (2,1)   (2,5) (5,1)",
    ]
    for first, second in itertools.pairwise(lines):
        for shape in re.finditer(r"\([\d,]+\)", second if re.fullmatch(r"[ \d,()]+", second) else ""):
            assert re.match(r"[A-Za-z(]", first[shape.start()]), f"nothing stands over {shape[0]}:\n{first}\n{second}"
    assert r"\underset{2 \times 5}{h_2^\top} \underset{5 \times 1}{\frac{\partial L}{\partial u_3}}" in (
        explanation.markdown
    )


# ------------------------------------------------------------------------------------------ its numbers


def run_with(row: Row, dY):
    """The gradients of the inputs and the parameters by path, from the layer itself."""
    layer = row.make()
    if isinstance(row.X, dict):
        layer.forward(**row.X)
        dX = layer.backward(**dY)
    else:
        spread(layer.forward, inputs_of(row))
        dX = layer.backward(*listed(dY))
    inputs = {} if dX is None else gradients_by_name(layer, inputs_by_name(layer, row.X), dX)
    return inputs, {name: dP.copy() for name, dP in layer.named_gradients()}


def ones_like_Y(row: Row):
    Y = spread(row.make().forward, inputs_of(row))
    if isinstance(Y, dict):
        return {name: np.ones_like(each) for name, each in Y.items()}
    return tuple(np.ones_like(each) for each in listed(Y)) if isinstance(Y, tuple) else np.ones_like(Y)


@over_rows
def test_gradients_are_those_of_the_layers_and_formulas_come_to_the_numbers_beside_them(row: Row):
    """Without a loss L is the sum of the outputs, so dY is 1."""
    _, expected = run_with(row, ones_like_Y(row))
    explanation = explained(row.id)
    assert not [remark for remark in explanation.remarks if "but the layer computes" in remark]
    found = {line.note: line.value for line in explanation.backward if line.note in expected}
    assert found.keys() == expected.keys()
    for name, dP in expected.items():
        np.testing.assert_allclose(found[name], dP, rtol=1e-12, atol=1e-14, err_msg=name)
    for line in (*explanation.forward, *explanation.backward):
        try:
            value = computed(line.expression)
        except CannotBeComputedError:
            continue
        value = np.asarray(value)
        shape = np.shape(line.value)
        value = value.reshape(shape) if value.size == np.size(line.value) else np.broadcast_to(value, shape)
        np.testing.assert_allclose(value, line.value, rtol=1e-9, atol=1e-12, err_msg=line.symbol)


@over_rows
def test_an_entry_that_is_written_out_is_that_of_the_gradient(row: Row):
    inputs, gradients = run_with(row, ones_like_Y(row))
    for name, gradient in list((inputs | gradients).items())[:4]:
        gradient = np.asarray(gradient)
        if name == "target" or not gradient.size:
            continue
        index = tuple(size // 2 for size in gradient.shape)
        line = nn.explain(row.make(), row.X, row.target, parameter=_path(row, name), index=index).entry[-1]
        np.testing.assert_allclose(line.value, gradient[index], rtol=1e-9, atol=1e-12, err_msg=name)


def _path(row, name):
    """The name of an input, which for a single layer is that of forward's argument."""
    names = list(inputs_by_name(row.make(), row.X))
    if name not in names or isinstance(row.X, dict):
        return name
    from nnlite.containers.argument_names import input_names_of

    arguments = input_names_of(row.make(), len(listed(inputs_of(row))))
    if row.target is not None:
        arguments = [each for each in arguments if each not in row.make().without_gradient]
    return arguments[names.index(name)]


def test_the_model_is_left_as_it_is():
    model, X = of_three_layers(), numbers(5, 4)
    nn.explain(model, X, TARGET, nn.BCELoss(), values=True)
    assert not hasattr(model[0], "X")
    assert not model.dPhi.any()


def test_arrays_of_the_caller_are_left_as_they_are():
    class InPlace(nn.Identity):
        def forward(self, X):
            X *= 2
            return super().forward(X)

    class Careless(nn.MSELoss):
        def forward(self, Y, target):
            target += 1
            return super().forward(Y, target)

    X, target = numbers(5, 4), numbers(5, 4)
    nn.explain(InPlace(), X, target, Careless())
    np.testing.assert_array_equal(X, numbers(5, 4))
    np.testing.assert_array_equal(target, numbers(5, 4))


def test_one_entry_of_a_weight_is_a_sum_of_products():
    """dW_ij = x_i dy_j for one row; for several rows their sum."""
    model, X, dY = linear(2, 3), np.array([[3.0, -2.0]]), np.ones((1, 3))
    model.forward(X)
    model.backward(dY)
    general, here = nn.explain(model, X, parameter="W", index=(1, 2)).entry
    assert text_of([general]) == ["dL/dW1[i,j] = sum_n X[n,i] dL/dy^[n,j]"]
    assert text_of([here]) == ["dL/dW1[1,2] = X[0,1] dL/dy^[0,2]"]
    assert [plain(reading) for reading in here.then] == ["(-2) * 1", "-2"]
    assert here.value == model.dW[1, 2] == -2


def test_the_gradient_of_one_sample_by_hand():
    """dx_11 = dy_11 w_11 + dy_12 w_12 + dy_13 w_13."""
    (_, here) = nn.explain(linear(2, 3), np.array([[3.0, -2.0]]), parameter="X", index=(0, 0)).entry
    assert text_of([here]) == ["dL/dX[0,0] = dL/dy^[0,0] W1[0,0] + dL/dy^[0,1] W1[0,1] + dL/dy^[0,2] W1[0,2]"]


def test_an_entry_of_a_tied_weight_has_the_terms_of_every_use():
    encoder = linear(3, 2)
    model = nn.Sequential(encoder, nn.Tanh(), nn.tied(encoder, transpose=True))
    X = numbers(1, 3)
    model.forward(X)
    model.backward(np.ones((1, 3)))
    general, here = nn.explain(model, X, parameter="0.W", index=(2, 1)).entry
    assert text_of([general]) == ["dL/dW1[i,j] = sum_n X[n,i] dL/du1[n,j] + sum_k dL/dy^[k,i] h1[k,j]"]
    assert text_of([here]) == ["dL/dW1[2,1] = X[0,2] dL/du1[0,1] + dL/dy^[0,2] h1[0,1]"]
    assert here.value == pytest.approx(encoder.dW[2, 1])


def test_without_X_an_entry_is_a_sum_over_the_rows():
    entry = nn.explain(of_three_layers(), loss=nn.BCELoss(), parameter="0.W", index=(2, 1)).entry
    assert text_of(entry) == [
        "dL/dW1[i,j] = sum_n X[n,i] dL/du1[n,j]",
        "dL/dW1[2,1] = sum_n X[n,2] dL/du1[n,1]",
    ]
    (general, here) = nn.explain(of_three_layers(), loss=nn.BCELoss(), parameter="0.b", index=1).entry
    assert text_of([general, here]) == ["dL/db1[i] = sum_n dL/du1[n,i]", "dL/db1[1] = sum_n dL/du1[n,1]"]


def test_a_long_sum_shows_its_first_terms_and_its_last():
    line = nn.explain(linear(2, 1), numbers(50, 2), parameter="W", index=(0, 0)).entry[-1]
    assert plain(line.expression) == (
        "X[0,0] dL/dy^[0,0] + X[1,0] dL/dy^[1,0] + X[2,0] dL/dy^[2,0] + ... + X[49,0] dL/dy^[49,0]"
    )
    assert line.value == pytest.approx(numbers(50, 2)[:, 0].sum())


# ------------------------------------------------------------------------------------------ graphs, ties


def test_gradients_add_at_a_fork():
    a, b = nn.Input("a"), nn.Input("b")
    explanation = nn.explain(nn.Graph([a, b], (a + b) * (b + 1)), (2.0, 1.0))
    assert text_of(explanation.forward) == ["u1 = a + b", "u2 = b + 1", "L = u1 * u2"]
    assert text_of(explanation.backward) == [
        "dL/du1 = u2",
        "dL/du2 = u1",
        "dL/da = dL/du1",
        "dL/db = dL/du1 + dL/du2",
    ]
    assert [float(line.value) for line in explanation.backward] == [2, 3, 2, 5]


def test_a_value_taken_twice_by_one_layer():
    x = nn.Input("x")
    explanation = nn.explain(nn.Graph(x, nn.Multiply()(x, x)), 3.0)
    assert text_of(explanation.backward) == ["dL/dx = x + x"]
    assert explanation.backward[0].value == 6


def test_three_inputs_and_a_number():
    """J = (a + 2b) c at 3, 1, -2: J = -10, gradients -2, -4, 5."""
    a, b, c = nn.Input("a"), nn.Input("b"), nn.Input("c")
    explanation = nn.explain(nn.Graph([a, b, c], (a + 2 * b) * c), (3.0, 1.0, -2.0), names={"loss": "J"})
    assert text_of(explanation.forward) == ["u1 = 2 b", "u2 = a + u1", "J = u2 * c"]
    assert text_of(explanation.backward)[-1] == "dJ/db = 2 dJ/du1"
    found = {line.symbol: float(line.value) for line in explanation.backward}
    assert (found["dJ/da"], found["dJ/db"], found["dJ/dc"]) == (-2, -4, 5)


def test_an_array_that_is_broadcast_has_a_sum_for_its_gradient():
    X = nn.Input("X", shape=(None, 3))
    W, b = nn.Parameter(numbers(3, 2), name="W"), nn.Parameter(numbers(2), name="b")
    graph = nn.Graph(X, nn.Tanh()(X @ W + b))
    assert "dL/db = sum_1(dL/du2)" in text_of(nn.explain(graph, numbers(4, 3)).backward)
    explanation = nn.explain(graph)
    assert "dL/db = sum(dL/du2)" in text_of(explanation.backward)
    assert "an array that is broadcast is summed" in str(explanation)


def test_a_residual_is_taken_apart():
    explanation = nn.explain(nn.Sequential(linear(3, 3), nn.Residual(linear(3, 3), nn.Tanh())), loss=nn.MSELoss())
    assert "y^ = u1 + h2" in text_of(explanation.forward)
    assert "dL/du1 = dL/du2 W2^T + dL/dy^" in text_of(explanation.backward)


def test_tied_parameters_have_one_symbol_and_a_sum():
    encoder = linear(3, 2)
    explanation = nn.explain(nn.Sequential(encoder, nn.Tanh(), nn.tied(encoder, transpose=True)), loss=nn.MSELoss())
    assert "y^ = h1 W1^T + b2" in text_of(explanation.forward)
    assert "dL/dW1 = X^T dL/du1 + (dL/dy^)^T h1" in text_of(explanation.backward)


@pytest.mark.parametrize("chain", [nn.Sequential, nn.Residual])
def test_a_tied_chain_is_taken_apart(chain):
    encoder = chain(linear(3, 3), nn.Tanh())
    model, X = nn.Sequential(encoder, nn.Sequential(linear(3, 3), nn.tied(encoder))), numbers(4, 3)
    model.backward(np.ones_like(model.forward(X)))
    explanation = nn.explain(model, X, parameter="0.0.W", index=(1, 2))
    forward, backward = text_of(explanation.forward), text_of(explanation.backward)
    number = next(line for line in forward if " W1 + b1" in line and "X" not in line)[1]
    assert backward[-1].startswith("dL/dW1 = X^T dL/du1 + u")
    assert backward[-1].endswith(f"dL/du{number}")
    assert not any("Sequential" in line for line in (*forward, *backward))
    assert explanation.entry[-1].value == pytest.approx(encoder[0].dW[1, 2])
    alone = nn.explain(model[1][1], X)
    assert text_of(alone.forward)[:2] == [
        "u1 = X W1 + b1",
        "h1 = tanh(u1)" if chain is nn.Residual else "y^ = tanh(u1)",
    ]


def test_a_loss_inside_a_graph_is_L():
    x, t = nn.Input("x"), nn.Input("t")
    graph = nn.Graph([x, t], nn.MSELoss()(linear(3, 2)(x), t))
    explanation = nn.explain(graph)
    assert text_of(explanation.forward)[-1] == "L = 1/n sum((y^ - t)^2)"
    assert text_of(explanation.backward)[0] == "dL/dy^ = 2/n (y^ - t)"


def test_several_outputs_that_are_used_inside_as_well():
    a, b = nn.Input("a"), nn.Input("b")
    h = nn.Tanh()(a + b)
    explanation = nn.explain(nn.Graph([a, b], [h, nn.Square()(h)]))
    assert "L = sum(y1^) + sum(y2^)" in text_of(explanation.forward)
    assert "dL/dy1^ = 2 dL/dy2^ * y1^ + 1" in text_of(explanation.backward)


def test_a_gradient_of_the_output_in_place_of_a_loss():
    """By hand, with x = (3, -2) and dy = (10, 20, 30): dW_12 = x_1 dy_2 = -60."""
    X, dY = np.array([[3.0, -2.0]]), np.array([[10.0, 20, 30]])
    explanation = nn.explain(linear(2, 3), X, dY=dY, parameter="W", index=(1, 2))
    assert text_of(explanation.forward)[-1] == "L = sum(dY * y^)"
    assert explanation.forward[-1].value == pytest.approx(np.sum(dY * linear(2, 3).forward(X)))
    assert text_of(explanation.backward) == ["dL/dy^ = dY", "dL/dW1 = X^T dL/dy^"]
    assert explanation.entry[-1].value == -60
    a, b = nn.Input("a"), nn.Input("b")
    several = nn.explain(nn.Graph([a, b], [a * b, a + b]), (2.0, 3.0), dY=(10.0, 100.0))
    assert text_of(several.forward)[-1] == "L = sum(dY1 * y1^) + sum(dY2 * y2^)"
    assert [line.value for line in several.backward[-2:]] == [130, 120]
    of_a_number = nn.explain(nn.Square(), np.array(3.0), dY=np.array(5.0))
    assert [line.value for line in of_a_number.backward] == [5, 30]


@pytest.mark.parametrize(("shape", "term"), [((1, 3), "dL/dy^[i,n]"), ((4, 3), "dL/dy^[i,n]")])
def test_an_index_of_one_row_or_column_is_a_letter_too(shape, term):
    (line, _) = nn.explain(linear(3, 2), numbers(*shape), parameter="X", index=(0, 1)).entry
    assert text_of([line]) == [f"dL/dX[i,j] = sum_n {term} W1[j,n]"]
    (line, _) = nn.explain(linear(3, 1), numbers(*shape), parameter="W", index=(2, 0)).entry
    assert text_of([line]) == ["dL/dW1[i,j] = sum_n X[n,i] dL/dy^[n,j]"]
    a, b = nn.Input("a"), nn.Input("b")  # here it is 0, in an array that is broadcast
    (line, *_) = nn.explain(nn.Graph([a, b], a * b), (numbers(4, 3), numbers(1, 3)), parameter="a", index=(2, 1)).entry
    assert text_of([line]) == ["dL/da[i,j] = dL/dy^[i,j] b[0,j]"]


def test_arrays_that_are_constants_of_a_graph_are_given():
    x = nn.Input("x")
    explanation = nn.explain(nn.Graph(x, x * np.array([1.0, 2.0])), numbers(3, 2), values=True)
    assert [(line.symbol, list(np.ravel(line.value))) for line in explanation.given[1:]] == [("C1", [1, 2])]


def test_inputs_with_the_names_of_the_slots_of_a_gate():
    left, right = nn.Input("Y"), nn.Input("X")
    explanation = nn.explain(nn.Graph([left, right], nn.Subtract()(left, nn.Square()(right))))
    assert text_of(explanation.forward)[:2] == ["h1 = X^2", "y^ = Y - h1"]
    assert text_of(explanation.backward)[1:] == ["dL/dY = dL/dy^", "dL/dh1 = -dL/dy^", "dL/dX = 2 dL/dh1 * X"]


def test_an_option_that_the_layer_chooses_itself():
    """RMSNorm(eps=None) adds the epsilon of the input's dtype."""
    assert text_of(nn.explain(nn.RMSNorm(3)).forward)[0] == "H1 = X / sqrt(mean_last(X^2) + epsilon1)"
    explanation = nn.explain(nn.RMSNorm(3), np.full((2, 3), 1e-3, np.float32))
    assert text_of(explanation.forward)[0] == "H1 = X / sqrt(mean_2(X^2) + 1.19209e-07)"
    assert not [remark for remark in explanation.remarks if "but the layer computes" in remark]


def test_pi_is_a_number_with_no_number_of_a_layer():
    explanation = nn.explain(nn.Sequential(linear(3, 2), nn.GELU()), numbers(4, 3))
    assert "dP1 = exp(-u1^2 / 2) / sqrt(2 pi)" in text_of(explanation.forward)
    assert r"\sqrt{2 \pi}" in explanation.markdown


# ------------------------------------------------------------------------------------------ losses


def test_cross_entropy_with_one_class_a_sample():
    explanation = nn.explain(linear(3, 4), numbers(5, 3), np.array([0, 1, 2, 3, 0]), nn.CrossEntropyLoss())
    assert text_of(explanation.backward)[:2] == ["dL/dy^ = 1/N (P * sum_2(Q) - Q)", "dL/dy^ = 1/N (P - Q)"]


def test_no_simplification_where_it_would_be_wrong():
    loss = nn.CrossEntropyLoss(weight=[1.0, 2, 3, 4])
    explanation = nn.explain(linear(3, 4), numbers(5, 3), np.array([0, 1, 2, 3, 0]), loss)
    assert "dL/dy^ = 1/N (P - Q)" not in text_of(explanation.backward)
    ignored = nn.explain(linear(3, 4), numbers(2, 3), np.array([0, -100]), nn.CrossEntropyLoss())
    assert "dL/dy^ = 1/N (P - Q)" not in text_of(ignored.backward)
    x, t = nn.Input("x"), nn.Input("t")
    y = nn.Sigmoid()(x)
    graph = nn.Graph([x, t], nn.BCELoss()(y * y, t))  # the sigmoid is not what the loss takes
    assert not any("Sigmoid with" in line.note for line in nn.explain(graph).backward)


def test_the_simplification_holds_with_weights_and_reductions():
    for loss in (nn.BCELoss(reduction="sum"), nn.BCELoss(weight=[2.0]), nn.BCELoss(weight=[[2.0]], reduction="sum")):
        explanation = nn.explain(nn.Sequential(linear(2, 1), nn.Sigmoid()), numbers(5, 2), TARGET, loss)
        (line,) = [line for line in explanation.backward if "Sigmoid with" in line.note]
        np.testing.assert_allclose(computed(line.expression), line.value, rtol=1e-12)


@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss, nn.MSELoss, nn.BCEWithLogitsLoss])
def test_a_loss_that_is_not_reduced(loss):
    """Its gradient is that of the sum."""
    target = np.array([0, 1, 2, 0]) if loss is nn.CrossEntropyLoss else shares(4, 3)
    one, other = (
        nn.explain(linear(3, 3), numbers(4, 3), target, loss(reduction=reduction)) for reduction in ("none", "sum")
    )
    assert text_of(one.backward) == text_of(other.backward)
    for a, b in zip(one.backward, other.backward, strict=True):
        np.testing.assert_allclose(a.value, b.value, rtol=1e-12)


@pytest.mark.parametrize("swap", [False, True])
def test_a_loss_with_a_layer_of_any_kind_for_its_distance(swap):
    anchor, positive, negative = numbers(4, 3), shares(4, 3), numbers(4, 3)[::-1]
    loss = nn.TripletMarginWithDistanceLoss(nn.CosineSimilarity(), swap=swap)
    explanation = nn.explain(loss, (anchor, positive, negative))
    assert not [remark for remark in explanation.remarks if "but the layer computes" in remark]
    second = (
        "v = min(distance(anchor, negative), distance(positive, negative))"
        if swap
        else ("v = distance(anchor, negative)")
    )
    assert text_of(explanation.forward) == [
        "u = distance(anchor, positive)",
        second,
        "H = 1 + u - v",
        "L = 1/N sum(max(H, 0))",
    ]
    loss.forward(anchor, positive, negative)
    for line, expected in zip(explanation.backward, loss.backward(), strict=True):
        np.testing.assert_array_equal(line.value, expected)


def test_the_mean_and_the_sum():
    assert text_of(nn.explain(linear(2, 1), loss=nn.MSELoss(reduction="sum")).backward)[0] == "dL/dy^ = 2 (y^ - y)"
    explanation = nn.explain(linear(2, 3), numbers(4, 2), numbers(4, 3), nn.MSELoss())
    assert text_of(explanation.backward)[0] == "dL/dy^ = 2/n (y^ - y)"
    assert explanation.remarks[0] == "n is what the mean of the loss divides by, here 12."
    explanation = nn.explain(linear(2, 1), numbers(4, 2), numbers(4, 1), nn.MSELoss())
    assert text_of(explanation.backward)[0] == "dL/dy^ = 2/N (y^ - y)"
    assert explanation.remarks[0] == "N is the number of samples, here 4."
    assert nn.explain(nn.Tanh(), loss=nn.MSELoss()).remarks[0] == "n is what the mean of the loss divides by."
    assert nn.explain(linear(3, 1), loss=nn.MSELoss()).remarks[0] == "N is the number of samples."
    assert nn.explain(nn.MSELoss(), numbers(4), shares(4)).remarks[0] == "N is the number of samples, here 4."


def test_two_losses_share_no_symbol_but_the_number_of_samples():
    x, t, v, labels = nn.Input("x"), nn.Input("t"), nn.Input("v"), nn.Input("labels")
    losses = [nn.MSELoss()(linear(3, 2)(x), t), nn.MSELoss()(linear(3, 4)(x), v)]
    losses += [nn.CrossEntropyLoss()(linear(3, 4)(x), labels), nn.CrossEntropyLoss()(linear(3, 5)(x), labels)]
    graph = nn.Graph([x, t, v, labels], nn.Add()(*losses))
    explanation = nn.explain(graph, (numbers(4, 3), numbers(4, 2), numbers(4, 4), np.array([0, 1, 2, 3])))
    defined = [line.symbol for line in explanation.forward]
    assert len(set(defined)) == len(defined)
    assert explanation.remarks[:3] == (
        "n is what the mean of the loss divides by, here 8.",
        "n1 is what the mean of the loss divides by, here 16.",
        "N is the number of samples, here 4.",
    )


def test_the_legend_of_Phi_tells_where_each_parameter_is():
    model = of_three_layers()
    (legend,) = [remark for remark in nn.explain(model, names=LETTERS).remarks if "Phi" in remark]
    assert legend == (
        "Phi holds W1 in Phi[0:12], b1 in Phi[12:15], W2 in Phi[15:21], b2 in Phi[21:23], U in Phi[23:25], "
        "c in Phi[25:26], row by row."
    )
    for path, (first, last) in {"0.W": (0, 12), "2.b": (21, 23), "4.W": (23, 25)}.items():
        np.testing.assert_array_equal(model.Phi[first:last], np.ravel(dict(model.named_parameters())[path]))
    long = nn.Sequential(*(linear(2, 2) for _ in range(5)))
    assert "b2 in" not in nn.explain(long).remarks[-1]
    assert nn.explain(long).remarks[-1].endswith("..., b5 in Phi[28:30], row by row.")


# ------------------------------------------------------------------------------------------ a user's own layer


class Scale(nn.Layer, parameters=("gamma",)):
    def __init__(self, features):
        self.dtype = np.dtype(np.float64)
        self.gamma = np.linspace(1, 2, features)

    def forward(self, X):
        self.X = X
        return X * self.gamma

    def backward(self, dY):
        self.dgamma = np.sum(dY * self.X, axis=0)
        return dY * self.gamma


class SaidScale(Scale):
    formulas = """
        Y = X * gamma
        dgamma = np.sum(dY * X, axis=0)
        dX = dY * gamma
    """


def test_a_layer_without_formulas_is_named_and_the_derivation_goes_on():
    explanation = nn.explain(nn.Sequential(linear(3, 2), Scale(2), nn.Tanh()), loss=nn.MSELoss())
    assert "u2 = Scale(u1)" in text_of(explanation.forward)
    assert text_of(explanation.backward)[2:5] == [
        "dL/dgamma2 = Scale.backward(dL/du2)",
        "dL/du1 = Scale.backward(dL/du2)",
        "dL/dW1 = X^T dL/du1",
    ]
    assert explanation.remarks[-1] == "Scale has no `formulas`; its forward and backward are shown as calls."


def test_a_layer_without_formulas_has_its_values_all_the_same():
    model, X = nn.Sequential(linear(3, 2), Scale(2)), numbers(4, 3)
    Y = model.forward(X)
    model.backward(np.ones_like(Y))
    explanation = nn.explain(model, X, parameter="1.gamma", index=1)
    np.testing.assert_allclose(explanation.backward[-1].value, model[1].dgamma)
    assert explanation.entry[0].value == pytest.approx(model[1].dgamma[1])
    assert explanation.entry[0].note == "no sum of products"


def test_a_layer_of_ones_own_with_formulas():
    explanation = nn.explain(nn.Sequential(linear(3, 2), SaidScale(2)), loss=nn.MSELoss(), parameter="1.gamma", index=1)
    assert "y^ = u1 * gamma2" in text_of(explanation.forward)
    assert text_of(explanation.backward)[-1] == "dL/dgamma2 = sum_1(dL/dy^ * u1)"
    assert text_of(explanation.entry)[0] == "dL/dgamma2[i] = sum_n dL/dy^[n,i] u1[n,i]"
    assert r"\gamma_2" in explanation.markdown


def test_a_formula_that_cannot_be_understood_names_the_class_and_the_line():
    class Wrong(SaidScale):
        formulas = """
            Y = X * gamma
            dX = dY *
        """

    with pytest.raises(ValueError, match=r"Wrong: formulas, line 3: 'dX = dY \*': invalid syntax; expected"):
        nn.explain(nn.Sequential(Wrong(2)))


class FixedBack(nn.Linear):
    """A Linear whose backward uses a matrix B of its own, as in feedback alignment."""

    formulas = """
        Y = X @ W + b
        dW = X.T @ dY
        db = sum(dY, axis=0)
        dX = dY @ B.T
    """

    def __init__(self, *widths):
        super().__init__(*widths, dtype=np.float64)
        self.B = numbers(*widths)

    def backward(self, dY):
        super().backward(dY)
        return dY @ self.B.T


class Dense(nn.Linear):
    """A Linear with tanh, with an intermediate value in backward."""

    formulas = """
        Y = tanh(X @ W + b)
        D = dY * (1 - Y * Y)
        dW = X.T @ D
        db = sum(D, axis=0)
        dX = D @ W.T
    """

    def forward(self, X):
        self.Y = np.tanh(super().forward(X))
        return self.Y

    def backward(self, dY):
        return super().backward(dY * (1 - self.Y * self.Y))

    def output_shape(self, *shapes):
        return UNKNOWN


def test_a_value_on_the_way_back_has_a_line_of_its_own():
    model, X = nn.Sequential(linear(3, 2), Dense(2, 1, dtype=np.float64, rng=0)), numbers(4, 3)
    Y = model.forward(X)
    model.backward(np.ones_like(Y))
    lines = text_of(nn.explain(model).backward)
    assert lines[1:3] == ["D2 = dL/dy^ * (1 - y^ * y^)", "dL/dW2 = u1^T D2"]
    assert lines[4] == "dL/du1 = D2 W2^T"
    explanation = nn.explain(model, X, parameter="1.W", index=(1, 0))
    np.testing.assert_allclose(explanation.backward[1].value, 1 - Y * Y)
    assert explanation.entry[-1].value == pytest.approx(model[1].dW[1, 0])


def test_an_array_that_is_no_parameter_has_the_number_of_its_layer():
    explanation = nn.explain(nn.Sequential(linear(3, 2), FixedBack(2, 1)), numbers(4, 3))
    (line,) = [line for line in explanation.backward if line.symbol == "dL/du1"]
    assert str(line) == "dL/du1 = dL/dy^ B2^T"
    np.testing.assert_allclose(line.value, numbers(2, 1).T.repeat(4, axis=0))
    assert "(1,2)" in str(explanation)


def test_a_saturated_sigmoid_gives_no_warning():
    model = nn.Sequential(nn.Linear(1, 1, weight_init=lambda shape, **_: np.full(shape, 100.0)), nn.Sigmoid())
    explanation = nn.explain(model, np.ones((1, 1)), np.zeros((1, 1)), nn.BCELoss(), values=True)
    assert explanation.forward[-1].value == 100  # the layer's own number, which it keeps finite
    one_by_one, together = [line.value for line in explanation.backward if line.symbol == "dL/du1"]
    assert (one_by_one, together) == (0, 1)  # what is lost, and BCEWithLogitsLoss keeps


class Block(nn.Layer):
    """A layer that runs its parts itself."""

    def __init__(self):
        self.first, self.second = linear(3, 2), linear(2, 3)

    def forward(self, X):
        return self.second.forward(self.first.forward(X))

    def backward(self, dY):
        return self.first.backward(self.second.backward(dY))


def test_a_layer_of_layers_is_one_step():
    model, X = nn.Sequential(Block(), nn.Tanh()), numbers(4, 3)
    Y = model.forward(X)
    model.backward(np.ones_like(Y))
    explanation = nn.explain(model, X)
    assert "u1 = Block(X)" in text_of(explanation.forward)
    found = {line.note: line.value for line in explanation.backward}
    np.testing.assert_allclose(found["0.first.W"], model[0].first.dW)
    np.testing.assert_allclose(found["0.second.b"], model[0].second.db)


# ------------------------------------------------------------------------------------------ sums over letters, einsum


class SumOverTime(nn.Layer, parameters=("W",)):
    """``Y = sum_t X_t W``, with one W for all time steps."""

    formulas = """
        Y = sum(X[:, t] @ W for t in range(T))
        dW = sum(X[:, t].T @ dY for t in range(T))
        dX = einsum("nm,dm,t->ntd", dY, W, ones(T))
    """

    def __init__(self):
        self.dtype = np.dtype(np.float64)
        self.W = numbers(3, 2)

    def forward(self, X):
        self.X, self.T = X, X.shape[1]
        return X.sum(axis=1) @ self.W

    def backward(self, dY):
        self.dW = self.X.sum(axis=1).T @ dY
        return np.repeat((dY @ self.W.T)[:, None], self.T, axis=1)


def test_sums_over_time_steps_and_einsum():
    layer, X = SumOverTime(), numbers(4, 5, 3)
    dY = np.ones_like(layer.forward(X))
    layer.backward(dY)
    assert text_of(nn.explain(layer).backward)[1:] == ["dL/dW1 = sum_t X[:,t]^T dL/dy^"]
    explanation = nn.explain(layer, X, parameter="W", index=(2, 1))
    assert not [remark for remark in explanation.remarks if "but the layer computes" in remark]
    assert text_of(explanation.forward)[0] == "y^ = sum_t X[:,t] W1"
    assert text_of(explanation.entry)[0] == "dL/dW1[i,j] = sum_t (sum_n X[n,t,i] dL/dy^[n,j])"
    assert explanation.entry[-1].value == pytest.approx(layer.dW[2, 1])
    by_X = nn.explain(layer, X, parameter="X", index=(3, 4, 1))
    assert text_of(by_X.backward)[1] == "dL/dX = einsum('nm,dm,t->ntd', dL/dy^, W1, ones(5))"


class Recurrent(nn.Layer, parameters=("W", "U")):
    """``Y_t = tanh(X_t W + Y_{t-1} U)``."""

    formulas = """
        Y = tanh(X @ W + before(Y) @ U)
        dA = (dY + after(dA) @ U.T) * (1 - Y * Y)
        dW = rows(X).T @ rows(dA)
        dU = rows(before(Y)).T @ rows(dA)
        dX = dA @ W.T
    """

    def __init__(self):
        self.dtype = np.dtype(np.float64)
        self.W, self.U = numbers(3, 2), numbers(2, 2) / 4

    def forward(self, X):
        self.X, self.Y = X, np.zeros((*X.shape[:2], 2))
        for t in range(X.shape[1]):
            self.Y[:, t] = np.tanh(X[:, t] @ self.W + (self.Y[:, t - 1] @ self.U if t else 0))
        return self.Y

    def backward(self, dY):
        self.dA, dH = np.zeros_like(self.Y), 0.0
        self.dW, self.dU = np.zeros_like(self.W), np.zeros_like(self.U)
        for t in reversed(range(self.Y.shape[1])):
            self.dA[:, t] = (dY[:, t] + dH) * (1 - self.Y[:, t] ** 2)
            dH = self.dA[:, t] @ self.U.T
            self.dW += self.X[:, t].T @ self.dA[:, t]
            self.dU += self.Y[:, t - 1].T @ self.dA[:, t] if t else 0
        return self.dA @ self.W.T


def test_a_recurrence_is_an_equation_of_all_its_steps():
    assert nn.check_gradients(Recurrent(), numbers(2, 4, 3)).right
    explanation = nn.explain(Recurrent(), numbers(2, 4, 3), dY=numbers(2, 4, 2))
    assert not [remark for remark in explanation.remarks if "but the layer computes" in remark]
    assert text_of(explanation.forward)[0] == "y^ = tanh(X W1 + before(y^) U1)"
    assert text_of(explanation.backward)[1:4] == [
        "dA1 = (dL/dy^ + after(dA1) U1^T) * (1 - y^ * y^)",
        "dL/dW1 = rows(X)^T rows(dA1)",
        "dL/dU1 = rows(before(y^))^T rows(dA1)",
    ]
    assert "before(A) is A one step earlier, and 0 at the first" in " ".join(str(explanation).split())

    class Wrong(Recurrent):
        formulas = Recurrent.formulas.replace("before(Y) @ U)", "after(Y) @ U)")

    assert any("but the layer computes" in remark for remark in nn.explain(Wrong(), numbers(2, 4, 3)).remarks)


def test_the_letter_of_a_sum_is_no_attribute_of_the_layer():
    class WithT(SumOverTime):
        t = 3

    explanation = nn.explain(WithT(), numbers(4, 5, 3))
    assert text_of(explanation.forward)[0] == "y^ = sum_t X[:,t] W1"
    assert not [remark for remark in explanation.remarks if "but the layer computes" in remark]


def test_an_index_that_is_a_number():
    class First(nn.Identity):
        formulas = "Y = X[:, 0, place]; dX = dY"
        place = 1

    assert text_of(nn.explain(First()).forward)[0] == "y^ = X[:,0,1]"


class WithEinsum(nn.Linear):
    formulas = """
        Y = einsum("nd,dm->nm", X, W) + b
        dW = einsum("nd,nm->dm", X, dY)
        db = sum(dY, axis=0)
        dX = einsum("nm,dm->nd", dY, W)
    """


def test_an_entry_of_einsum_is_its_sum_of_products():
    layer, X = WithEinsum(3, 2, dtype=np.float64, rng=0), numbers(4, 3)
    layer.backward(np.ones_like(layer.forward(X)))
    explanation = nn.explain(layer, X, parameter="W", index=(2, 1))
    assert not [remark for remark in explanation.remarks if "but the layer computes" in remark]
    assert text_of(explanation.entry)[0] == "dL/dW1[i,j] = sum_n X[n,i] dL/dy^[n,j]"
    assert explanation.entry[-1].value == pytest.approx(layer.dW[2, 1])


def test_rows_is_written_and_explained_where_it_merges_axes():
    text = str(nn.explain(linear(3, 2), numbers(2, 4, 3)))
    assert "dL/dW1 = rows(X)^T rows(dL/dy^)" in text
    assert "rows(A) is A as a matrix" in " ".join(text.split())
    assert "rows(" not in str(nn.explain(linear(3, 2), numbers(4, 3)))


# ------------------------------------------------------------------------------------------ HTML


@over_rows
def test_html_is_well_formed_and_has_every_line(row: Row):
    explanation = explained(row.id)
    page = ElementTree.fromstring(f"<div>{explanation._repr_html_()}</div>")
    lines = [line for found in explanation.sections.values() for line in found]
    assert len(page.findall(".//tr")) >= len(lines)
    texts = {"".join(cell.itertext()) for cell in page.findall(".//td")}
    assert {line.note for line in lines} <= texts


def test_html_of_a_network():
    html = nn.explain(of_three_layers(), loss=nn.BCELoss(), names=LETTERS)._repr_html_()
    gradient = "<mfrac><mrow><mo>∂</mo><mi>L</mi></mrow><mrow><mo>∂</mo>{}</mrow></mfrac>"
    W1, u1 = (gradient.format(f"<msub><mi>{name}</mi><mn>1</mn></msub>") for name in "Wu")
    X_T = "<msup><mrow><mi>X</mi></mrow><mrow><mo>\N{DOWN TACK}</mo></mrow></msup>"
    assert f"<math displaystyle='true'>{W1}</math>" in html
    assert f"<mo>=</mo>{X_T}<mspace width='0.25em'></mspace>{u1}</math>" in html


def test_a_matrix_in_html_has_brackets_that_need_no_font():
    """Signs stretch only in fonts made for mathematics, which a browser may not have."""
    html = nn.explain(linear(2, 1), numbers(3, 2), values=True)._repr_html_()
    tables = [each for each in re.findall(r"<math.*?</math>", html) if "<mtable" in each]
    assert len(tables) > 3
    for each in tables:
        (table,) = ElementTree.fromstring(each).iter("mtable")
        assert "border-width:0 1px" in table.attrib["style"]
    assert "<mo>(</mo><mtable" not in html


def test_the_names_of_the_code_are_said_where_those_of_the_derivation_differ():
    said = nn.explain(of_three_layers(), loss=nn.BCELoss(), names={"loss": "E", "target": "t"}).remarks
    assert "y^ is the output Y, t the target and E the loss J of the code, where dE/dW is called dW." in said
    alone = nn.explain(nn.MSELoss(), (numbers(2), numbers(2))).remarks
    assert "y^ is the output Y, y the target and L the loss J of the code, where dL/dW is called dW." in alone
    assert "the code" not in str(nn.explain(of_three_layers()))


# ------------------------------------------------------------------------------------------ options and errors


def test_one_parameter_alone():
    explanation = nn.explain(of_three_layers(), loss=nn.BCELoss(), parameter="4.W")
    assert text_of(explanation.backward)[-1] == "dL/dW3 = h2^T dL/du3"
    assert not any("db" in line or "W2" in line for line in text_of(explanation.backward))


def test_the_gradient_of_an_input_that_nobody_else_needs():
    model, X = linear(3, 2), numbers(4, 3)
    model.needs_dX = False
    explanation = nn.explain(model, X, parameter="X")
    np.testing.assert_allclose(explanation.backward[-1].value, np.ones((4, 2)) @ model.W.T)
    assert not model.needs_dX


def test_an_input_alone():
    explanation = nn.explain(of_three_layers(), loss=nn.BCELoss(), parameter="X")
    assert text_of(explanation.backward)[-1] == "dL/dX = dL/du1 W1^T"
    assert not any("dL/dW" in line for line in text_of(explanation.backward))


def test_names():
    names = {"0.W": "V", "0": "a", "X": "x", "target": "t", "loss": "J", "1": "p"}
    explanation = nn.explain(nn.Sequential(linear(3, 1), nn.Sigmoid()), loss=nn.BCELoss(), names=names)
    assert text_of(explanation.forward)[:2] == ["a = x V + b1", "p = sigmoid(a)"]
    assert "dJ/dV = x^T dJ/da" in text_of(explanation.backward)


def test_a_name_of_the_users_is_not_given_twice():
    explanation = nn.explain(nn.Sequential(linear(3, 2), linear(2, 1)), names={"1.W": "W1"})
    assert text_of(explanation.forward)[:2] == ["u1 = X W1_1 + b1", "y^ = u1 W1 + b2"]


def test_a_part_of_a_model_can_be_explained_by_itself():
    encoder = linear(3, 2)
    model = nn.Sequential(encoder, nn.Tanh(), nn.tied(encoder, transpose=True))
    assert text_of(nn.explain(model[0], numbers(2, 3)).forward)[0] == "y^ = X W1 + b1"
    explanation = nn.explain(model[1:], numbers(2, 2))  # without the layer that the last one is tied to
    assert text_of(explanation.forward)[:2] == ["h1 = tanh(X)", "y^ = h1 W2^T + b2"]
    assert "dL/dW2 = (dL/dy^)^T h1" in text_of(explanation.backward)


def test_values_are_shown_where_they_are_not_long():
    X = numbers(2, 3)
    text = str(nn.explain(nn.Sequential(linear(3, 1), nn.Tanh()), X, values=True))
    y = np.tanh(X @ linear(3, 1).W + linear(3, 1).b)
    assert f"= [[{y[0, 0]:.4f}]" in text.replace("[[ ", "[[")
    assert "Given" in text
    assert r"\begin{pmatrix}" in nn.explain(linear(3, 1), X, values=True).markdown
    long = str(nn.explain(linear(3, 1), numbers(50, 3), values=True))
    assert "X  (50, 3)" in long
    assert long.count("[[") == 2  # of W and its gradient


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"values": True}, ValueError, "values: values=True needs X"),
        ({"X": np.ones((2, 3)), "loss": nn.MSELoss()}, ValueError, r"target: MSELoss\(\) needs a target as well as X"),
        ({"index": (0, 0)}, ValueError, "index: pass parameter= too"),
        ({"dY": np.ones((2, 2))}, ValueError, "dY: expected X and no loss"),
        ({"X": np.ones((2, 3)), "dY": 1.0, "target": 1.0, "loss": nn.MSELoss()}, ValueError, "dY: expected X and no"),
        ({"parameter": "1.W"}, ValueError, "parameter: expected one of .*0.W, 0.b.*, got '1.W'"),
        ({"names": {"7.W": "U"}}, ValueError, "explain: names: unknown '7.W'; known are .*0.W"),
        ({"names": {"0.W": "U", "0.b": "U"}}, ValueError, "explain: names: a symbol is used twice: U, U"),
        ({"parameter": "0.W", "index": (3, 0)}, IndexError, r"dL/dW1 has shape \(3, 2\), got the index \(3, 0\)"),
        ({"parameter": "0.W", "index": 0}, IndexError, r"has shape \(3, 2\), got the index \(0,\)"),
        ({"loss": nn.BCELoss}, TypeError, "loss: expected a Loss, got the class itself"),
    ],
)
def test_what_cannot_be_explained(options, error, message):
    with pytest.raises(error, match=message):
        nn.explain(nn.Sequential(linear(3, 2), nn.Tanh()), **options)


def test_a_model_is_a_layer():
    with pytest.raises(TypeError, match="model: expected a Layer"):
        nn.explain(np.tanh)


def test_dicts_and_a_target_of_a_bare_loss():
    explanation = nn.explain(nn.MSELoss(), shares(4), numbers(4))
    assert text_of(explanation.forward) == ["L = 1/N sum((y^ - y)^2)"]
    assert text_of(nn.explain(nn.Add(), (1.0, 2.0)).forward) == ["L = X + Y"]


def test_lists_are_taken_as_arrays_are():
    model, loss = nn.Sequential(nn.Linear(2, 1, rng=0), nn.Sigmoid()), nn.BCELoss()
    X, Y = [[1.0, 2.0], [3.0, 4.0]], [[0], [1]]
    listed = nn.explain(model, X, Y, loss, values=True, parameter="0.W", index=(1, 0))
    assert str(listed) == str(
        nn.explain(model, np.array(X), np.array(Y), loss, values=True, parameter="0.W", index=(1, 0))
    )


# ------------------------------------------------------------------------------------------ a loss of one's own


class OwnLoss(nn.Loss):
    def forward(self, Y, target):
        self.D = Y - target
        return np.mean(self.D**2)

    def backward(self, dJ=1.0):
        return 2 * self.D / self.D.size * dJ


class WithoutdJ(OwnLoss):
    def backward(self):
        return super().backward()


class SaidLoss(OwnLoss):
    formulas = "J = mean((Y - target) ** 2)\ndY = 2 * (Y - target) / N * dJ"


class SaidWithoutdJ(WithoutdJ):
    formulas = "J = mean((Y - target) ** 2)\ndY = 2 * (Y - target) / N * dJ"


class OtherNames(WithoutdJ):
    formulas = "E = mean((Y - target) ** 2)\ndY = 2 * (Y - target) / N"


@pytest.mark.parametrize("cls", [OwnLoss, WithoutdJ, SaidLoss, SaidWithoutdJ, OtherNames])
@pytest.mark.parametrize("Xs", [(), (numbers(6, 3), np.ones((6, 1)))], ids=["alone", "with X"])
def test_a_loss_of_ones_own(cls, Xs):
    model = linear(3, 1)
    explanation = nn.explain(model, *Xs, loss=cls(), parameter="W", index=(2, 0), values=bool(Xs))
    says = bool(cls.formulas)
    assert text_of(explanation.forward) == [
        "y^ = X W1 + b1",
        "L = mean((y^ - y)^2)" if says else f"L = {cls.__name__}(y^, y)",
    ]
    assert text_of(explanation.backward)[0] == (
        "dL/dy^ = 2 (y^ - y) / N" if says else f"dL/dy^ = {cls.__name__}.backward(1)"
    )
    assert (explanation.remarks[0][:26] == "N is the number of samples") == says
    if Xs:
        loss = cls()
        loss.forward(model.forward(Xs[0]), Xs[1])
        model.backward(loss.backward())
        assert explanation.entry[-1].value == pytest.approx(model.dW[2, 0])


# ------------------------------------------------------------------------------------------ formulas that are wrong


def test_formulas_that_contradict_the_layer():
    class Lie(nn.Tanh):
        formulas = "Y = sin(X)\ndX = dY * cos(X)"

    remarks = nn.explain(Lie(), np.full((1, 2), 0.5)).remarks
    assert "Lie(): y^ = sin(X) is 0.4794, but the layer computes 0.4621." in remarks
    assert "Lie(): dL/dX = dL/dy^ * cos(X) is 0.8776, but the layer computes 0.7864." in remarks
    assert not [remark for remark in nn.explain(Lie()).remarks if "but the layer computes" in remark]


def test_saturation_is_named():
    model = nn.Sequential(nn.Linear(1, 1, weight_init=lambda shape, **_: np.full(shape, 40.0)), nn.Sigmoid())
    remarks = "\n".join(nn.explain(model, np.ones((1, 1)), np.zeros((1, 1)), nn.BCELoss()).remarks)
    assert "is inf, but the layer computes 100: the layer is saturated and bounds its result" in remarks
    assert "(BCELoss clips logarithms at -100)." in remarks
    assert "Sigmoid with BCELoss: dL/du1 differs from that of the two layers one after the other" in remarks
    assert "saturated" not in str(nn.explain(model, np.ones((1, 1)) / 40, np.zeros((1, 1)), nn.BCELoss()))


def test_formulas_of_another_shape_than_the_gradient():
    class Wrong(SaidScale):
        formulas = "Y = X * gamma\ndgamma = sum(dY)"

    message = r"Wrong: formulas, line 2: 'dgamma = sum\(dY\)': expected an array of shape \(3,\), that of .*, got \(\)"
    with pytest.raises(ValueError, match=message):
        nn.explain(nn.Sequential(Wrong(3)), numbers(4, 3))


def test_formulas_that_cannot_be_computed():
    class Wrong(SaidScale):
        formulas = "Y = X * gamma\nQ = X @ X"

    with pytest.raises(ValueError, match="Wrong: formulas, line 2: 'Q = X @ X': ValueError: matmul"):
        nn.explain(Wrong(3), numbers(4, 3))


# ------------------------------------------------------------------------------------------ the legend


def test_the_legend_names_what_occurs():
    explanation = nn.explain(nn.Sequential(linear(3, 2), nn.Softmax()), numbers(4, 3), names={"0": "a"})
    assert "sum_2(" in str(explanation)
    assert " ".join(str(explanation).split("\n\n")[-1].split()) == (
        "* is elementwise, a matrix product has no sign, sum_2 is the sum over the second axis, "
        "sum_1 is the sum over the first axis. Phi holds W1 in Phi[0:6], b1 in Phi[6:8], row by row."
    )
    last = explanation.markdown.split("\n")[-3]
    assert last == (
        r"$\odot$ is elementwise, a matrix product has no sign, $\sum_{2}$ is the sum over the second axis, "
        r"$\sum_{1}$ is the sum over the first axis."
    )


def test_a_product_with_a_number_is_not_called_elementwise():
    markdown = nn.explain(linear(3, 2), loss=nn.MSELoss(reduction="sum")).markdown
    assert r"A matrix product has no sign, $\sum_{1}$ is the sum over the first axis." in markdown.split("\n")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"X": np.ones((2, 3)), "target": np.ones((2, 2))},
            ValueError,
            "loss: got a target, but .* takes none; pass loss=",
        ),
        ({"names": {"0.W": 3}}, TypeError, "names: expected a dict of symbols by path, .*got {'0.W': 3}"),
        ({"names": ["U"]}, TypeError, r"names: expected a dict of symbols by path, .*got \['U'\]"),
        ({"parameter": "0.W", "index": (0.5, 0)}, TypeError, r"index: expected whole numbers, .*got \(0.5, 0\)"),
        ({"loss": (nn.MSELoss(), nn.MSELoss())}, TypeError, "loss: expected one loss, got several; build a graph"),
    ],
)
def test_wrong_arguments(options, error, message):
    with pytest.raises(error, match=message):
        nn.explain(nn.Sequential(linear(3, 2), nn.Tanh()), **options)


@pytest.mark.parametrize(
    ("layer", "X"),
    [(nn.Tanh(), numbers(2, 3)), (nn.Log(), shares(2, 3)), (nn.Sigmoid(), numbers(2, 3)), (nn.Abs(), numbers(2, 3))],
)
def test_the_numbers_of_an_entry_can_be_pasted_into_python(layer, X):
    explanation = nn.explain(nn.Sequential(layer, linear(3, 2), nn.Tanh()), X, parameter="X", index=(1, 0))
    line = explanation.entry[-1]
    shown = plain(line.then[0])
    names = {"abs": abs, "sign": np.sign, "log": np.log}
    assert eval(shown, names) == pytest.approx(line.value, rel=1e-4)


def test_negative_terms_are_bracketed():
    explanation = nn.explain(linear(1, 1), np.array([[2.0], [-3.0]]), parameter="W", index=(0, 0))
    assert plain(explanation.entry[-1].then[0]) == "2 * 1 + (-3) * 1"


# ------------------------------------------------------------------------------------------ on a terminal


def sum_of_many():
    inputs = [nn.Input(f"input{n}") for n in range(12)]
    return nn.Graph(inputs, nn.Add()(*inputs)), tuple(numbers(10, 20) for _ in inputs)


def test_long_formulas_are_broken_before_an_operator_and_keep_their_shapes():
    graph, Xs = sum_of_many()
    text = str(nn.explain(graph, Xs)).split("\n")
    assert max(map(len, text)) <= 80
    start = next(n for n, line in enumerate(text) if line.startswith("  y^ = "))
    end = next(n for n, line in enumerate(text) if line.startswith("  L = "))
    *rows, note = text[start:end]
    assert note == "      0 Add()"
    formulas, shapes = rows[::2], rows[1::2]
    assert len(formulas) == 2
    assert formulas[1].lstrip().startswith("+ ")
    written = " ".join(" ".join(formulas).split())
    assert written == "y^ = " + " + ".join(f"input{n}" for n in range(12))
    for line, under in zip(formulas, shapes, strict=True):
        names = [match.start() for match in re.finditer(r"input|y\^", line)]
        assert names == [match.start() for match in re.finditer(r"\(", under)]


def test_a_note_that_does_not_fit_beside_its_formula_stands_below_it():
    class Wordy(nn.Tanh):
        def extra_repr(self):
            return "option=" + "x" * 65

    text = str(nn.explain(nn.Sequential(Wordy()))).split("\n")
    at = text.index("  y^ = tanh(X)")
    assert text[at + 1] == "      0 Wordy(option=" + "x" * 65 + ")"


def test_remarks_are_broken_between_words():
    model = nn.Sequential(nn.Linear(1, 1, weight_init=lambda shape, **_: np.full(shape, 40.0)), nn.Sigmoid())
    explanation = nn.explain(model, np.ones((1, 1)), np.zeros((1, 1)), nn.BCELoss())
    text = str(explanation)
    assert max(map(len, text.split("\n"))) <= 80
    for remark in explanation.remarks:
        assert remark in " ".join(text.split())
    assert any(len(remark) > 80 for remark in explanation.remarks)


def test_a_line_of_backward_that_no_gradient_depends_on_is_left_out():
    model = nn.Sequential(nn.Linear(3, 2, rng=0), nn.BatchNorm1d(2), nn.Linear(2, 1, rng=1))

    def own_lines():
        return {line.symbol for line in nn.explain(model, loss=nn.MSELoss()).backward if "dL" not in line.symbol}

    assert own_lines() == {"dH2", "mean_dHH2"}
    model.eval()  # forward does not use the mean of the batch
    assert own_lines() == {"dH2"}


@pytest.mark.parametrize(
    ("options", "index", "expected"),
    [
        ({}, (1, 0), "dL/du1[0,0,0] + dL/du1[1,0,0]"),
        ({}, (3, 0), "0"),
        ({"padding_idx": 1}, (1, 0), "0"),
        ({"scale_grad_by_freq": True}, (1, 0), "1/2 (dL/du1[0,0,0] + dL/du1[1,0,0])"),
    ],
)
def test_an_entry_of_an_embedding_is_the_sum_over_the_places_of_its_row(options, index, expected):
    model = nn.Sequential(nn.Embedding(5, 2, rng=0, **options), nn.Flatten(), nn.Linear(4, 1, rng=1))
    indices, target, loss = np.array([[1, 2], [1, 4]]), np.ones((2, 1)), nn.MSELoss()
    entry = nn.explain(model, indices, target, loss, parameter="0.W", index=index).entry
    assert str(entry[0]) == "dL/dW1[i,j] = add_at(dL/du1, indices)[i,j]"
    assert str(entry[1]).startswith(f"dL/dW1[1,0] = {expected} = ".replace("[1,0]", "[{},{}]".format(*index), 1))
    loss.forward(model.forward(indices), target)
    model.backward(loss.backward())
    assert entry[1].value == pytest.approx(model[0].dW[index])


def test_an_entry_of_an_embedding_with_thousands_of_places():
    entry = nn.explain(nn.Embedding(2, 2), np.zeros(5000, int), parameter="W", index=(0, 1)).entry
    assert entry[1].value == 5000


def test_an_entry_that_is_no_sum_of_products():
    model, X = nn.Sequential(linear(3, 2), Scale(2)), numbers(4, 3)
    (line,) = nn.explain(model, X, parameter="1.gamma", index=1).entry
    assert str(line) == f"{line.symbol}[1] = {line.value:.6g}"
    with pytest.raises(ValueError, match="explain: index: dL/dgamma2 is no sum of products; pass X for its values"):
        nn.explain(model, parameter="1.gamma", index=1)
