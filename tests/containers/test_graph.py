"""Graph, nodes and parameters: what they compute, what they hand back, and what they refuse."""

import copy
import gc
import inspect
import os
import pickle
import re
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import nnlite as nn
from nnlite.containers.nodes import PACKAGE


def line():
    """The line that this is called from, as nodes note it."""
    frame = inspect.currentframe().f_back
    return f"{__file__}:{frame.f_lineno}"


def theta_parameter(value=2.0):
    return nn.Parameter(value, name="theta", dtype=np.float64)


def two_inputs():
    """``Y = tanh(A W + b) * B``, a graph of two inputs with parameters."""
    A, B = nn.Input("A"), nn.Input("B")
    return nn.Graph([A, B], nn.Tanh()(nn.Linear(3, 2, rng=0)(A)) * B)


def two_outputs(form=tuple):
    x = nn.Input("x")
    nodes = {"code": nn.Linear(3, 2, rng=0)(x), "size": nn.Sum(dim=-1)(x)}
    return nn.Graph(x, nodes if form is dict else form(nodes.values()))


class Watched(nn.Identity):
    """An Identity that counts its backwards."""

    def __init__(self):
        self.backwards = 0

    def backward(self, dY):
        self.backwards += 1
        return super().backward(dY)


# ------------------------------------------------------------------------------------ the numbers of the formulas


def test_a_sum_hands_the_gradient_on_and_a_product_swaps_its_inputs():
    a, b, c = nn.Input("a"), nn.Input("b"), nn.Input("c")
    graph = nn.Graph([a, b, c], (a + 2 * b) * c)
    assert graph.forward(3.0, 1.0, -2.0) == -10
    assert graph.backward() == (-2, -4, 5)


def test_gradients_add_at_a_fork():
    a, b = nn.Input("a"), nn.Input("b")
    graph = nn.Graph([a, b], (a + b) * (b + 1))
    assert graph.forward(2.0, 1.0) == 6
    assert graph.backward() == (2, 5)


def test_the_square_of_an_inner_product():
    # h = phi^T x = 3 + 8 = 11, g = h - 1 = 10, L = 100; dL/dphi = 2 g x, dL/dx = 2 g phi, dL/dy = -2 g
    x, y, phi = nn.Input("x"), nn.Input("y"), nn.Parameter([1.0, 2.0], name="phi", dtype=np.float64)
    graph = nn.Graph([x, y], nn.Square()(nn.Dot()(phi, x) - y))
    assert graph.forward([3.0, 4.0], 1.0) == 100
    dx, dy = graph.backward()
    assert_array_equal(dx, [20, 40])
    assert dy == -20
    assert_array_equal(phi.dvalue, [60, 80])
    nn.SGD(graph, lr=0.01).step()
    assert_allclose(phi.value, [0.4, 1.2], rtol=1e-15)


def test_the_logistic_function_as_five_nodes():
    x, theta = nn.Input("x"), theta_parameter()
    f1 = theta * x
    f2 = -f1
    f3 = nn.Exp()(f2)
    f4 = 1 + f3
    y = nn.Reciprocal()(f4)
    graph = nn.Graph(x, [f1, f2, f3, f4, y])
    assert_allclose(graph.forward(0.5), [1, -1, 0.367879, 1.367879, 0.731059], atol=5e-7)
    zero = np.zeros(())
    dx = graph.backward(zero, zero, zero, zero, np.ones(()))
    assert_allclose([dx, theta.dvalue], [0.393224, 0.098306], atol=5e-7)
    # b1 = dy/df4, b2 = dy/df3, b3 = dy/df2, b4 = dy/df1, each from the backward of one node
    b1 = y.call.layer.backward(np.ones(()))
    _, b2 = f4.call.layer.backward(b1)
    b3 = f3.call.layer.backward(b2)
    b4 = f2.call.layer.backward(b3)
    assert_allclose([b1, b2, b3, b4], [-0.534447, -0.534447, -0.196612, 0.196612], atol=5e-7)
    assert_allclose(f1.call.layer.backward(b4), [b4 * 0.5, b4 * 2])


def test_descent_on_theta_and_on_the_input_both_lower_y():
    x, theta = nn.Input("x"), theta_parameter()
    graph = nn.Graph(x, 1 / (1 + nn.Exp()(-theta * x)))
    optimizer, point, ys = nn.SGD(graph, lr=0.5), 0.5, []
    for step in range(6):
        ys.append(float(graph.forward(point)))
        dx = graph.backward()
        if step % 2:
            optimizer.step()
        else:
            point -= 0.5 * dx
    assert ys == sorted(ys, reverse=True)
    assert len(set(ys)) == 6
    assert theta.value < 2
    assert point < 0.5


def test_the_vector_chain():
    W = np.array([[1.0, 2.0, 3.0], [5.0, 7.0, 11.0]])
    x, w = nn.Input("x"), nn.Parameter(W, name="W", dtype=np.float64)
    graph = nn.Graph(x, nn.Dot()([4.0, 3.0], w @ x))
    X = np.array([1.0, -1.0, 2.0])
    assert graph.forward(X) == 4 * 5 + 3 * 20
    assert_array_equal(graph.backward(), [4 * 1 + 3 * 5, 4 * 2 + 3 * 7, 4 * 3 + 3 * 11])
    assert_array_equal(w.dvalue, np.outer([4, 3], X))


def test_the_scalar_chain():
    x = nn.Input("x")
    graph = nn.Graph(x, (1 + 4 * x) ** 2)
    for point in (-1.0, 0.0, 2.5):
        graph.forward(point)
        assert graph.backward() == 8 + 32 * point


# ------------------------------------------------------------------------------------ forms of inputs and outputs


@pytest.mark.parametrize(
    "call",
    [
        lambda graph, A, B: graph.forward(A, B),
        lambda graph, A, B: graph.forward(A=A, B=B),
        lambda graph, A, B: graph.forward(B=B, A=A),
        lambda graph, A, B: graph.forward(A, B=B),
        lambda graph, A, B: graph(A, B),
        lambda graph, A, B: graph(B=B, A=A),
    ],
)
@pytest.mark.parametrize("form", [list, tuple, dict])
def test_inputs_by_position_and_by_name(call, form):
    A, B = nn.Input("A"), nn.Input("B")
    graph = nn.Graph({"A": A, "B": B} if form is dict else form([A, B]), A - 2 * B)
    assert call(graph, 7.0, 2.0) == 3
    gradients = graph.backward()
    assert gradients == ({"A": 1, "B": -2} if form is dict else (1, -2))


def test_the_keys_of_a_dict_of_inputs_are_their_names():
    a, b = nn.Input("a"), nn.Input()
    graph = nn.Graph({"left": a, "right": b}, a - b)
    assert graph.forward(right=1.0, left=3.0) == 2
    assert graph.forward(3.0, 1.0) == 2
    assert graph.backward(np.array(5.0, np.float32)) == {"left": 5, "right": -5}
    with pytest.raises(TypeError, match="expected the inputs left, right, each once, got a"):
        graph.forward(a=1.0)


@pytest.mark.parametrize(
    ("args", "named", "message"),
    [
        ((1.0,), {}, "expected 2 inputs, got 1"),
        ((1.0, 2.0, 3.0), {}, "expected 2 inputs, got 3"),
        ((), {}, "expected 2 inputs, got 0"),
        ((1.0,), {"a": 2.0}, "expected the inputs a, b, each once, got a"),
        ((1.0,), {"c": 2.0}, "expected the inputs a, b, each once, got c"),
        ((), {"a": 2.0}, "expected the inputs a, b, each once, got a"),
        ((1.0, 2.0), {"b": 2.0}, "expected the inputs a, b, each once, got b"),
    ],
)
def test_inputs_that_do_not_match(args, named, message):
    a, b = nn.Input("a"), nn.Input("b")
    graph = nn.Graph([a, b], a * b)
    with pytest.raises(TypeError, match=re.escape(f"Graph(1 layers): {message}")):
        graph.forward(*args, **named)


def test_outputs_come_in_the_form_in_which_they_were_given():
    X = np.array([[1.0, 2.0, 3.0]], np.float32)
    code, size = two_outputs(tuple).forward(X)
    assert_array_equal(size, [6])
    for form in tuple, list:
        Ys = two_outputs(form).forward(X)
        assert type(Ys) is tuple
        assert_array_equal(Ys[0], code)
    Ys = two_outputs(dict).forward(X)
    assert list(Ys) == ["code", "size"]
    assert_array_equal(Ys["code"], code)
    x = nn.Input()
    graph = nn.Graph([x], [2 * x])
    assert graph.forward(3.0) == (6,)
    assert graph.backward() == (2,)
    assert nn.Graph({"x": x}, {"y": 2 * x}).forward(x=3.0) == {"y": 6}


def test_gradients_by_position_and_by_name():
    X, dcode, dsize = np.ones((1, 3), np.float32), np.ones((1, 2), np.float32), np.full(1, 3, np.float32)
    by_key = two_outputs(dict)
    by_key.forward(X)
    W = by_key.layers[0].W
    expected = dcode @ W.T + 3
    assert_array_equal(by_key.backward(size=dsize, code=dcode), expected)
    assert_array_equal(by_key.backward(dcode, dsize), expected)
    with pytest.raises(TypeError, match="expected the gradients of code, size, got code"):
        by_key.backward(code=dcode)
    with pytest.raises(TypeError, match="expected the gradients of code, size, got size"):
        by_key.backward(dcode, size=dsize)
    by_position = two_outputs(tuple)
    by_position.forward(X)
    assert_array_equal(by_position.backward(dcode, dsize), expected)
    with pytest.raises(TypeError, match="expected the gradients of no names, got code, size"):
        by_position.backward(code=dcode, size=dsize)
    with pytest.raises(TypeError, match="expected 2 gradients, one for each Y, got 1"):
        by_position.backward(dcode)


# ------------------------------------------------------------------------------------ gradients


def test_a_value_used_many_times_collects_its_gradients():
    x = nn.Input("x")
    graph = nn.Graph(x, x * x * x + nn.Square()(x) - x)
    graph.forward(3.0)
    assert graph.backward() == 3 * 9 + 2 * 3 - 1


def test_backward_from_1_is_for_a_single_number():
    x = nn.Input("x")
    graph = nn.Graph(x, nn.Sum()(x * x))
    X = np.array([1.0, 2.0])
    graph.forward(X)
    assert_array_equal(graph.backward(), 2 * X)
    assert_array_equal(graph.backward(np.array(3.0)), 6 * X)
    whole = nn.Graph(y := nn.Input(), y * y)
    whole.forward(X)
    with pytest.raises(TypeError, match=r"expected dY, since Y is not one number; it has shape \(2,\)"):
        whole.backward()


def test_an_output_that_is_used_inside_too():
    x = nn.Input("x")
    h = 3 * x
    graph = nn.Graph(x, [h, h * h])
    X = np.array([1.0, 2.0])
    H, Y = graph.forward(X)
    with pytest.raises(ValueError, match="read-only"):
        H[0] = 100.0
    Y[0] = 100.0  # nobody needs it
    dX = graph.backward(np.array([1.0, 10.0]), np.array([1.0, 1.0]))
    assert_array_equal(dX, 3 * np.array([1.0, 10.0]) + 3 * 2 * H)


def test_an_input_that_is_an_output():
    x = nn.Input("x")
    graph = nn.Graph(x, [x, 2 * x])
    X, dY = np.array([1.0, 2.0]), np.array([10.0, 20.0])
    same, _ = graph.forward(X)
    assert_array_equal(same, X)
    assert not np.shares_memory(same, X)
    dX = graph.backward(dY, np.ones(2))
    assert_array_equal(dX, dY + 2)
    assert_array_equal(dY, [10, 20])
    alone = nn.Graph(y := nn.Input(), y)
    assert_array_equal(alone.forward(X), X)
    dX = alone.backward(dY)
    assert_array_equal(dX, dY)
    assert not np.shares_memory(dX, dY)


def test_a_parameter_that_is_an_output():
    x, theta = nn.Input("x"), theta_parameter([1.0, 2.0])
    graph = nn.Graph(x, [theta, theta * x])
    Y, _ = graph.forward(np.array([5.0, 7.0]))
    assert not np.shares_memory(Y, graph.Phi)
    graph.backward(np.array([1.0, 1.0]), np.array([1.0, 2.0]))
    assert_array_equal(theta.dvalue, [1 + 5, 1 + 14])


def test_inputs_and_gradients_are_neither_written_nor_handed_back():
    graph, A, B, dY = (
        two_inputs(),
        np.ones((4, 3), np.float32),
        np.ones((4, 2), np.float32),
        np.ones((4, 2), np.float32),
    )
    for array in A, B, dY:
        array.setflags(write=False)
    graph.forward(A, B)
    dA, dB = graph.backward(dY)
    assert not np.shares_memory(dA, dY)
    assert not np.shares_memory(dB, dY)


def test_an_own_layer_that_hands_back_the_same_array_twice():
    """dX += ... in place would spoil what the layer before handed on."""

    class Both(nn.Layer):
        def forward(self, X, Y):
            return self.record_Y(X + Y)

        def backward(self, dZ):
            return dZ, dZ

    x = nn.Input("x")
    h = 1 * x
    graph = nn.Graph(x, Both()(h, Both()(h, h)))
    graph.forward(np.ones(2))
    dY = np.array([1.0, 2.0])
    assert_array_equal(graph.backward(dY), 3 * dY)
    assert_array_equal(dY, [1, 2])


def test_a_graph_of_parameters_is_checked_by_differences():
    graph = two_inputs()
    report = nn.check_gradients(graph, (np.linspace(-1, 1, 12).reshape(4, 3), np.linspace(1, 2, 8).reshape(4, 2)))
    assert [line.name for line in report.comparisons] == ["A", "B", "0.W", "0.b"]


# ------------------------------------------------------------------------------------ constants and arithmetic

ARRAY = np.array([1.0, 2.0, 4.0])


@pytest.mark.parametrize(
    "formula",
    [
        lambda x: x + 2,
        lambda x: 2 + x,
        lambda x: x - 2,
        lambda x: 2 - x,
        lambda x: x * 3,
        lambda x: 3 * x,
        lambda x: x / 4,
        lambda x: 4 / x,
        lambda x: x**3,
        lambda x: 2**x,
        lambda x: x**0.5,
        lambda x: -x,
        lambda x: ARRAY * x,
        lambda x: x * ARRAY,
        lambda x: ARRAY + x,
        lambda x: ARRAY - x,
        lambda x: ARRAY / x,
        lambda x: ARRAY**x,
        lambda x: x @ ARRAY,
        lambda x: ARRAY @ x,
        lambda x: x @ np.vander(ARRAY),
        lambda x: np.vander(ARRAY) @ x,
        lambda x: np.float64(3) * x + np.int32(2),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_arithmetic_is_that_of_numpy_in_the_dtype_of_the_input(formula, dtype):
    x, X = nn.Input("x"), np.array([0.5, 1.5, 3.0])
    graph = nn.Graph(x, formula(x))
    Y = graph.forward(X.astype(dtype))
    assert Y.dtype == dtype
    assert_allclose(Y, formula(X), rtol=4 * np.finfo(dtype).eps)
    assert graph.backward(np.ones(Y.shape, dtype)).dtype == dtype
    assert nn.check_gradients(graph, X).right


def test_dtypes_of_constants():
    x = nn.Input("x")
    graph = nn.Graph(x, x * np.array([0.1, 3]) + 0.1)
    assert graph.forward([1, 2]).dtype == np.float32  # whole numbers alone
    assert graph.forward(np.ones(2, np.float16)).dtype == np.float32
    assert graph.forward(np.zeros(2, np.float16))[0] == np.float32(0.1)
    assert graph.forward(np.zeros(2))[0] == 0.1
    assert graph.forward(np.zeros(2, np.dtype(">f8"))).dtype.isnative
    with_parameters = nn.Graph(y := nn.Input("y"), theta_parameter() * y + 0.1)
    assert with_parameters.forward(np.zeros(2, np.float32)).dtype == np.float64
    assert with_parameters.forward(np.zeros(2, np.float32))[0] == 0.1
    assert with_parameters.astype(np.float32).forward(np.zeros(2)).dtype == np.float32


def test_a_constant_is_a_copy():
    x, weights = nn.Input("x"), np.array([1.0, 2.0])
    graph = nn.Graph(x, x * weights)
    weights[:] = 0
    assert_array_equal(graph.forward(np.ones(2)), [1, 2])


@pytest.mark.parametrize("value", ["word", None, [1, "x"], 1j], ids=str)
def test_a_constant_that_is_no_number(value):
    with pytest.raises((TypeError, ValueError)):
        nn.Input("x") + value


def test_numpy_functions_and_truth_are_not_for_nodes():
    x = nn.Input("x")
    with pytest.raises(TypeError):
        np.exp(x)
    with pytest.raises(TypeError, match="is a placeholder: its array is not computed yet, so it has no truth"):
        bool(x)


# ------------------------------------------------------------------------------------ losses


def test_losses_are_nodes():
    x, target = nn.Input("x"), nn.Input("target")
    score = nn.Linear(3, 2, rng=0)(x)
    graph = nn.Graph([x, target], nn.CrossEntropyLoss()(score, target) + 0.5 * nn.Mean()(nn.Square()(score)))
    X, classes = np.linspace(-1, 1, 12).reshape(4, 3), np.array([0, 1, 1, 0])
    report = nn.check_gradients(graph, (X, classes))
    assert [line.name for line in report.comparisons] == ["x", "0.W", "0.b"]
    graph.forward(X, classes)
    (dX,) = graph.backward()
    assert dX.shape == X.shape
    optimizer, Js = nn.SGD(graph, lr=0.5), []
    for _ in range(5):
        Js.append(float(graph.forward(X, classes)))
        graph.backward()
        optimizer.step()
    assert Js == sorted(Js, reverse=True)


def test_a_loss_alone_is_the_output():
    x, target = nn.Input("x"), nn.Input("target")
    graph = nn.Graph([x, target], nn.MSELoss()(2 * x, target))
    assert graph.forward(np.array([1.0, 2.0]), np.array([2.0, 2.0])) == 2
    (dX,) = graph.backward()
    assert_array_equal(dX, [0, 4])  # 2 (2 x - t) / 2, times 2
    (dX,) = graph.backward(np.array(3.0))
    assert_array_equal(dX, [0, 12])


def test_a_tied_loss_gives_no_gradient_for_its_target_either():
    x, target = nn.Input("x"), nn.Input("target")
    loss = nn.MSELoss()
    graph = nn.Graph([x, target], loss(2 * x, target) + nn.tied(loss)(3 * x, [0.0]))
    graph.forward(np.array([1.0]), np.array([5.0]))
    (dX,) = graph.backward()
    assert dX == 2 * 2 * (2 - 5) + 3 * 2 * 3


def test_an_input_that_is_also_the_target():
    x = nn.Input("x")
    graph = nn.Graph(x, nn.MSELoss()(3 * x, x))
    graph.forward(np.array([2.0]))
    assert graph.backward() == 3 * 2 * (6 - 2)  # by the prediction only


@pytest.mark.parametrize("target", [[1, 0], np.array([1, 0])], ids=["list", "array"])
def test_a_constant_target_stays_whole_numbers(target):
    x = nn.Input("x")
    graph = nn.Graph(x, nn.CrossEntropyLoss()(nn.Linear(3, 2, rng=0)(x), target))
    assert nn.check_gradients(graph, np.linspace(-1, 1, 6).reshape(2, 3)).right


def test_what_leads_only_to_a_target_has_no_gradient():
    x, y = nn.Input("x"), nn.Input("y")
    tanh, watched = nn.Tanh(), Watched()
    graph = nn.Graph([x, y], nn.MSELoss()(nn.Linear(3, 2, rng=0)(x), watched(tanh(y))))
    graph.forward(np.ones((4, 3)), np.ones((4, 2)))
    (dX,) = graph.backward()
    assert dX.shape == (4, 3)
    assert graph.differentiable_inputs(2) == (0,)
    assert watched.backwards == 0
    z = nn.Input("z")
    left, right = nn.Split([1, 1])(z)
    half = nn.Graph(z, nn.MSELoss()(3 * left, right))
    half.forward(np.array([[1.0, 5.0]]))
    assert_array_equal(half.backward(), [[3 * 2 * (3 - 5), 0]])


def test_parameters_that_lead_only_to_a_target_are_an_error():
    x = nn.Input("x")
    prediction = nn.Linear(3, 2)(x)
    target, here = nn.Linear(3, 2)(x), line()
    with pytest.raises(ValueError, match=re.escape(f"Linear(3 -> 2) ({here}) would never be trained: its output is")):
        nn.Graph(x, nn.MSELoss()(prediction, target))


# ------------------------------------------------------------------------------------ graphs in models


def nested():
    """A graph of two outputs in a graph, in a Sequential, with a Sequential in it."""
    x = nn.Input("x")
    h = nn.Sequential(nn.Linear(3, 4, rng=0), nn.Tanh())(x)
    inner = nn.Graph(h_in := nn.Input("h"), {"sum": nn.Linear(4, 2, rng=1)(h_in), "rest": nn.Sigmoid()(h_in)})
    Y = inner(h)
    return nn.Sequential(nn.Graph(x, nn.Concat()(Y["sum"], Y["rest"]) * 2), nn.Linear(6, 1, rng=2))


def test_graphs_and_sequentials_nest():
    model, X = nested(), np.linspace(-1, 1, 15).reshape(5, 3)
    assert [name for name, _ in model.named_parameters()] == [
        "0.0.0.W",
        "0.0.0.b",
        "0.1.0.W",
        "0.1.0.b",
        "1.W",
        "1.b",
    ]
    assert nn.check_gradients(model, X).right
    model.astype(np.float64)
    W0, b0, W1, b1, W2, b2 = (P for _, P in model.named_parameters())
    H = np.tanh(X @ W0 + b0)
    expected = 2 * np.concatenate([H @ W1 + b1, 1 / (1 + np.exp(-H))], axis=1) @ W2 + b2
    assert_allclose(model.forward(X), expected, rtol=1e-12)


def test_a_graph_of_several_outputs_called_on_nodes_gives_nodes_in_its_form():
    by_key, by_position = two_outputs(dict), two_outputs(list)
    x = nn.Input("x")
    nodes = by_key(x)
    assert list(nodes) == ["code", "size"]
    code, size = by_position(x=x)
    graph = nn.Graph(x, [nodes["code"] + code, nodes["size"] + size])
    X = np.ones((2, 3), np.float32)
    Y, S = graph.forward(X)
    assert_array_equal(S, [6, 6])
    assert_array_equal(Y, 2 * two_outputs().forward(X)[0])


def test_several_outputs_go_through_a_sequential():
    model = nn.Sequential(two_outputs(dict))
    X = np.ones((2, 3), np.float32)
    Ys = model.forward(X)
    dX = model.backward(size=np.ones(2, np.float32), code=np.ones((2, 2), np.float32))
    assert list(Ys) == ["code", "size"]
    assert_array_equal(dX, np.ones((2, 2), np.float32) @ model[0].layers[0].W.T + 1)
    with pytest.raises(TypeError, match="expected the gradients of code, size, got code"):
        model.backward(code=np.ones((2, 2), np.float32))
    chain = nn.Sequential(nn.Split([2, 1]), nn.Concat())
    assert_array_equal(chain.forward(X), X)
    assert_array_equal(chain.backward(X), X)
    by_name = nn.Sequential(two_inputs())
    A, B = np.ones((2, 3), np.float32), np.ones((2, 2), np.float32)
    assert_array_equal(by_name.forward(B=B, A=A), by_name.forward(A, B))


def test_a_list_of_one_node_goes_through_a_sequential():
    model = nn.Sequential(nn.Graph(x := nn.Input(), [nn.Linear(3, 2, rng=0)(x)]))
    model.forward(np.ones((4, 3)))
    assert model.backward(np.ones((4, 2))).shape == (4, 3)


class Double(nn.Layer):
    def forward(self, X):
        return 2 * X

    def backward(self, dY):
        return 2 * dY


class Blend(nn.Layer, parameters=("share",)):
    """Two inputs: ``Z = s X + (1 - s) Y``."""

    def __init__(self):
        self.share = 0.25

    def forward(self, X, Y):
        self.X, self.Y = X, Y
        return self.share * X + (1 - self.share) * Y

    def backward(self, dZ):
        self.dshare = np.sum(dZ * (self.X - self.Y))
        return self.share * dZ, (1 - self.share) * dZ


class Polar(nn.Layer):
    """Two outputs: the radius, and X itself over it."""

    num_outputs = 2

    def forward(self, X):
        self.r = np.sqrt(np.sum(X * X, axis=-1, keepdims=True))
        self.u = X / self.r
        return self.r, self.u

    def backward(self, dr, du):
        return dr * self.u + (du - self.u * np.sum(du * self.u, axis=-1, keepdims=True)) / self.r


def test_a_users_own_layers():
    x, y = nn.Input("x"), nn.Input("y")
    blend = Blend()
    r, u = Polar()(blend(Double()(x), y))
    graph = nn.Graph([x, y], nn.Concat()(r, nn.Tanh()(u)))
    X, Y = np.array([[1.0, 2.0], [3.0, -1.0]]), np.array([[0.5, 1.0], [2.0, 4.0]])
    report = nn.check_gradients(graph, (X, Y))
    assert [line.name for line in report.comparisons] == ["x", "y", "1.share"]
    assert graph.forward(X.astype(np.float32), Y.astype(np.float32)).dtype == np.float32


def test_own_layers_that_work_with_plain_numbers():
    class Triple(nn.Layer):
        def forward(self, X):
            return 3 * float(X)

        def backward(self, dY):
            return 3 * float(dY)

    x = nn.Input("x")
    graph = nn.Graph(x, Triple()(x) + 2 * Triple()(x))
    assert graph.forward(1.0) == 9
    assert graph.backward() == 9


class Bad(nn.Layer):
    """Forward and backward return what they are told to."""

    def __init__(self, **results):
        self.results = results

    def forward(self, X):
        return self.results.get("Y", X)

    def backward(self, dY):
        return self.results.get("dX", dY)


def test_an_own_layer_that_forgets_to_return():
    x = nn.Input("x")
    graph = nn.Graph(x, Bad(Y=None)(x))
    with pytest.raises(TypeError, match="forward returned None; did it forget to return Y"):
        graph.forward(1.0)
    graph = nn.Graph(y := nn.Input(), Bad(dX=None)(y))
    graph.forward(1.0)
    with pytest.raises(TypeError, match="gradients of 1 inputs, got None; did it forget"):
        graph.backward()
    graph = nn.Graph(z := nn.Input(), Bad(Y=(1.0, 2.0))(z))
    with pytest.raises(TypeError, match=r"expected forward to return 1 arrays \(num_outputs\), got 2"):
        graph.forward(1.0)


def test_gradients_of_two_shapes():
    h = 1 * (x := nn.Input("x"))
    graph = nn.Graph(x, Bad(dX=np.ones(3))(h) + Bad()(h))
    graph.forward(np.ones(2))
    with pytest.raises(nn.ShapeError, match=r"one value has gradients of two shapes, \(.,\) and \(.,\)"):
        graph.backward(np.ones(2))


# ------------------------------------------------------------------------------------ parameters


def test_names_in_the_state():
    x = nn.Input("x")
    theta, unnamed = nn.Parameter([1.0, 2.0], name="theta"), nn.Parameter(3.0)
    graph = nn.Graph(x, nn.Linear(2, 2, rng=0)(theta * x) * unnamed)
    # parameters first, in the order in which they are met, then layers in the order in which they run
    assert list(graph.state_dict()) == ["theta.value", "1.value", "3.W", "3.b"]
    other = nn.Graph(
        y := nn.Input(), nn.Linear(2, 2, rng=1)(nn.Parameter([0.0, 0.0], name="theta") * y) * nn.Parameter(0.0)
    )
    other.load_state_dict(graph.state_dict())
    X = np.ones((3, 2))
    assert_array_equal(other.forward(X), graph.forward(X))
    with pytest.raises(ValueError, match=r"theta\.value: missing"):
        other.load_state_dict({})


def test_Phi_is_made_of_slices():
    model = nested()
    model.Phi = np.arange(model.Phi.size)
    end = 0
    for _, P in model.named_parameters():
        assert np.shares_memory(P, model.Phi)
        assert_array_equal(P.ravel(), np.arange(end, end + P.size))
        end += P.size
    assert end == model.Phi.size
    graph = model[0]
    assert_array_equal(graph.Phi, np.arange(graph.Phi.size))
    assert_array_equal(graph.layers[1].Phi, np.arange(16, 26))


def test_a_parameter_by_itself():
    theta = nn.Parameter([[1, 2]], name="theta")
    assert theta.value.dtype == np.float32
    assert repr(theta) == "Parameter(theta, shape=(1, 2))"
    assert repr(nn.Parameter(1.0, dtype=np.float64)) == "Parameter(shape=(), dtype=float64)"
    theta.value = [[3, 4]]
    assert_array_equal(theta.Phi, [3, 4])
    with pytest.raises(ValueError, match="read-only"):
        theta.forward()[0, 0] = 1
    theta.value -= 1  # the parameter itself is not
    assert_array_equal(theta.forward(), [[2, 3]])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.Parameter("x"), TypeError, "Parameter: value"),
        (lambda: nn.Parameter(1.0, name="a b"), TypeError, "Parameter: name: expected a name such as 'theta'"),
        (lambda: nn.Parameter(1.0, name=3), TypeError, "Parameter: name"),
        (lambda: nn.Parameter(1.0, dtype=int), TypeError, "dtype: expected a floating type"),
        (lambda: nn.Input("a.b"), TypeError, "Input: name: expected a name such as 'x', got 'a.b'"),
        (lambda: nn.Input(3), TypeError, "Input: name"),
        (lambda: nn.Input(shape=3), TypeError, r"Input: shape: expected a tuple such as \(None, 3\), got 3"),
        (lambda: nn.Input(shape=(2.0,)), TypeError, "Input: shape"),
    ],
)
def test_mistakes_in_inputs_and_parameters(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_parameters_of_one_graph_have_one_dtype():
    x = nn.Input("x")
    with pytest.raises(ValueError, match="one model, one dtype"):
        nn.Graph(x, nn.Linear(2, 2)(x) * theta_parameter())


def test_an_optimizer_on_a_part():
    x, theta, phi = nn.Input("x"), theta_parameter(3.0), nn.Parameter(5.0, name="phi", dtype=np.float64)
    graph = nn.Graph(x, theta * x + phi)
    graph.forward(7.0)
    graph.backward()
    nn.SGD(theta, lr=0.5).step()
    assert_array_equal(graph.Phi, [3 - 3.5, 5])
    nn.SGD(graph, lr=1.0).step()
    assert_array_equal(graph.Phi, [3 - 3.5 - 7, 4])


# ------------------------------------------------------------------------------------ copies, modes, repr


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))], ids=["deep", "pickle"]
)
def test_copies(copied):
    model, X = nested(), np.ones((2, 3), np.float32)
    Y = model.forward(X)
    dX = model.backward(np.ones((2, 1), np.float32))
    twin = copied(model)
    assert_array_equal(twin.forward(X), Y)
    assert_array_equal(twin.backward(np.ones((2, 1), np.float32)), dX)
    assert_array_equal(twin.dPhi, model.dPhi)
    assert not np.shares_memory(twin.Phi, model.Phi)
    twin.Phi -= 1
    assert all(np.shares_memory(P, twin.Phi) for _, P in twin.named_parameters())
    assert_array_equal(model.forward(X), Y)
    assert repr(twin) == repr(model)


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))], ids=["deep", "pickle"]
)
def test_copies_of_parameters_in_graphs(copied):
    x, theta = nn.Input("x"), theta_parameter()
    graph = nn.Graph(x, theta * x + theta)
    twin = copied(graph)
    twin.forward(3.0)
    twin.backward()
    nn.SGD(twin, lr=1.0).step()
    assert [P.tolist() for _, P in twin.named_parameters()] == [-2]
    assert theta.value == 2
    again = copied(theta)
    z = nn.Input("z")
    assert nn.Graph(z, again * z).forward(2.0) == 4  # the users of theta are not those of the copy


def test_astype():
    graph = two_inputs()
    A, B = np.ones((4, 3)), np.ones((4, 2))
    assert graph.forward(A, B).dtype == np.float32
    graph.astype(np.float64)
    with pytest.raises(nn.StateError, match="backward was called before forward"):
        graph.backward(np.ones((4, 2)))
    assert graph.forward(A, B).dtype == graph.Phi.dtype == np.float64
    several = two_outputs()
    several.forward(A)
    several.astype(np.float64)
    with pytest.raises(nn.StateError, match=r"Graph\(2 layers\): backward was called before forward"):
        several.backward(np.ones((4, 2)), np.ones(4))


def test_train_and_eval_reach_every_layer():
    model = nested()
    assert model.eval() is model
    assert not any(layer.training for _, layer in model.named_layers())
    model.train()
    assert all(layer.training for _, layer in model.named_layers())


def test_repr():
    x, theta = nn.Input("x"), nn.Parameter(2.0, name="theta")
    h = nn.Linear(3, 2)(theta * x)
    left, right = nn.Split([1, 1])(h)
    graph = nn.Graph([x, y := nn.Input()], [left + 1, right * np.zeros((5, 1)) - y])
    assert repr(graph) == (
        "Graph(\n"
        "  (theta): Parameter(theta, shape=())\n"
        "  (1): Multiply() of theta, x\n"
        "  (2): Linear(3 -> 2) of 1\n"
        "  (3): Split([1, 1], dim=-1) of 2\n"
        "  (4): Add() of 3[0], 1\n"
        "  (5): Multiply() of 3[1], array(5, 1)\n"
        "  (6): Subtract() of 5, input 1\n"
        "  -> 4, 6\n"
        ")"
    ).replace(" 1\n  (5)", f" {np.array(1)}\n  (5)")
    assert graph.one_line() == "Graph(7 layers)"


# ------------------------------------------------------------------------------------ needs_dX


def test_backward_leaves_out_what_leads_to_no_parameter():
    x, y = nn.Input("x"), nn.Input("y")
    before, beside, after = Watched(), Watched(), Watched()
    linear = nn.Linear(2, 2, rng=0)
    graph = nn.Graph([x, y], after(linear(before(x))) * beside(y))
    X, dY = np.ones((3, 2), np.float32), np.ones((3, 2), np.float32)
    graph.forward(X, X)
    graph.backward(dY)
    whole = graph.dPhi.copy()
    assert (before.backwards, beside.backwards, after.backwards) == (1, 1, 1)
    graph.needs_dX = False
    assert not linear.needs_dX
    assert after.needs_dX
    graph.forward(X, X)
    assert graph.backward(dY) is None
    assert (before.backwards, beside.backwards, after.backwards) == (1, 1, 2)
    assert_array_equal(graph.dPhi, whole)
    graph.needs_dX = True
    assert linear.needs_dX
    graph.backward(dY)
    assert (before.backwards, beside.backwards, after.backwards) == (2, 2, 3)


def test_a_graph_without_parameters_whose_dX_nobody_needs_walks_nothing():
    watched = Watched()
    graph = nn.Graph(x := nn.Input(), watched(x))
    graph.needs_dX = False
    graph.forward(np.ones(2))
    assert graph.backward(np.ones(2)) is None
    assert watched.backwards == 0


def test_fit_leaves_needs_dX_as_it_was():
    inner = nn.Graph(h := nn.Input(), nn.Linear(2, 2, rng=0)(nn.Tanh()(h)))
    model = nn.Graph(x := nn.Input(), nn.Linear(2, 1, rng=0)(inner(x)))
    flags = [layer.needs_dX for _, layer in model.named_layers()]
    nn.fit(model, np.ones((4, 2)), np.ones((4, 1)), loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1), verbose=0)
    assert [layer.needs_dX for _, layer in model.named_layers()] == flags
    model.forward(np.ones((4, 2)))
    assert model.backward(np.ones((4, 1))).shape == (4, 2)


def test_many_threads_predict_with_one_graph():
    model = nested()
    inputs = [np.full((50, 3), k / 8) for k in range(8)]
    expected = [model.forward(X) for X in inputs]
    before = {path: dict(vars(layer)) for path, layer in model.named_layers()}
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            results = list(pool.map(lambda X: nn.predict(model, X, batch_size=7), inputs))
            for Y, right in zip(results, expected, strict=True):
                assert_allclose(Y, right, rtol=1e-5)
    after = {path: dict(vars(layer)) for path, layer in model.named_layers()}
    for path, attributes in before.items():
        assert attributes.keys() == after[path].keys()
        assert all(after[path][key] is value for key, value in attributes.items())


# ------------------------------------------------------------------------------------ errors when it is built


def raises(error, *parts):
    """An error whose message has these parts."""
    return pytest.raises(error, match=".*".join(map(re.escape, parts)))


def test_a_circle():
    x = nn.Input("x")
    tanh = nn.Tanh()(x)
    square, there = nn.Square()(tanh), line()
    tanh.call.inputs = (square,)
    with raises(ValueError, f"Graph: there is a cycle: Square() ({there}) needs its own output"):
        nn.Graph(x, square)
    own = nn.Sum()(x)
    own.call.inputs = (own,)
    with raises(ValueError, "there is a cycle: Sum("):
        nn.Graph(x, own)


def test_a_users_folder_may_begin_with_nnlite():
    """Only what lies in the package itself is passed over when the user's line is looked for."""
    file = PACKAGE.rstrip(os.sep) + "_of_mine.py"
    names = {"nn": nn}
    exec(compile("x = nn.Input('x')\ny = 2 * x", file, "exec"), names)
    assert names["x"].line == f"{file}:1"
    assert names["y"].call.line == names["y"].line == f"{file}:2"


def test_an_input_that_is_not_reached():
    x, (z, there) = nn.Input("x"), (nn.Input("z"), line())
    with raises(ValueError, f"Graph: inputs: Input z ({there}) is used by none of the outputs; use it, or remove it"):
        nn.Graph([x, z], 2 * x)


def test_an_input_that_is_needed_and_not_listed():
    x, (z, there) = nn.Input("x"), (nn.Input(), line())
    with raises(ValueError, f"Graph: the outputs need Input ({there}), which is not among the inputs; list it there"):
        nn.Graph(x, x * z)


def test_an_input_that_is_listed_twice():
    x, there = nn.Input("x"), line()
    with raises(ValueError, f"Graph: inputs: Input x ({there}) is listed 2 times"):
        nn.Graph([x, x], 2 * x)


def test_an_output_that_is_listed_twice():
    x = nn.Input("x")
    y, there = nn.Tanh()(x), line()
    with raises(ValueError, f"Graph: outputs: Tanh() ({there}) is listed 2 times"):
        nn.Graph(x, [y, y])


def test_a_layer_that_is_used_twice():
    x, linear = nn.Input("x"), nn.Linear(2, 2)
    first, there = linear(x), line()
    second, here = linear(first), line()
    with raises(
        ValueError, "Graph: the same layer object is used twice", f"({there})", f"({here})", "use nnlite.tied(layer)"
    ):
        nn.Graph(x, second)


def test_an_output_of_a_layer_that_is_not_used():
    x = nn.Input("x")
    (_, right), there = nn.Split([1, 1])(x), line()
    with raises(ValueError, f"Graph: output 0 of Split([1, 1], dim=-1) ({there}) is not used; use it, or add it"):
        nn.Graph(x, right)


def test_a_node_that_leads_nowhere():
    x = nn.Input("x")
    h = nn.Tanh()(x)
    loose, there = nn.Sigmoid()(h), line()
    with raises(ValueError, f"Graph: Sigmoid() ({there}) is used by none of the outputs; use it, or remove it"):
        nn.Graph(x, nn.Square()(h))
    assert nn.Graph(x, [nn.Square()(h), loose]).num_outputs == 2


def test_nodes_that_were_thrown_away_do_not_count():
    x = nn.Input("x")
    nn.Tanh()(x)
    h = nn.Sigmoid()(x)
    h = nn.Square()(x)
    gc.collect()
    assert nn.Graph(x, h).forward(3.0) == 9


def test_what_is_in_another_graph_does_not_count():
    x = nn.Input("x")
    h = nn.Tanh()(x)
    first = nn.Graph(x, h)
    second = nn.Graph(x, nn.Square()(x))
    assert first.forward(0.0) == 0
    assert second.forward(2.0) == 4
    with raises(ValueError, "Tanh() already belongs to another model"):
        nn.Graph(x, nn.Exp()(h))


def test_one_name_for_two_things():
    a, there = nn.Input("a"), line()
    b, here = nn.Input("a"), line()
    with raises(ValueError, f"the name 'a' is used twice, by Input a ({there}) and Input a ({here}); rename"):
        nn.Graph([a, b], a * b)
    c, here = nn.Parameter(1.0, name="a"), line()
    with raises(ValueError, f"the name 'a' is used twice, by Input a ({there}) and Parameter a ({here})"):
        nn.Graph(a, nn.Dot()(a, c))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x: nn.Linear(2, 1)(x), "Linear(2 -> 1): expected 2 features, got 3"),
        (lambda x: x + nn.Linear(3, 4)(x), "Add(): inputs of shapes (?, 3) and (?, 4) do not match"),
        (lambda x: x @ nn.Parameter(np.zeros((2, 5))), "MatMul(): inputs of shapes (?, 3) and (2, 5) do not match"),
        (lambda x: nn.Dot()(x, [1.0, 2.0]), "Dot(): inputs of shapes (?, 3) and (2,) do not match"),
        (lambda x: nn.Split([1, 1])(x), "Split([1, 1], dim=-1): expected 2 along axis -1, got X of shape (?, 3)"),
        (lambda x: nn.Concat(dim=-2)(x, nn.Linear(3, 4)(x)), "Concat(dim=-2): inputs of shapes (?, 3) and (?, 4)"),
        (lambda x: x @ 2.0, "MatMul(): expected vectors or matrices, got (?, 3) and ()"),
        (lambda x: nn.tied(nn.Linear(2, 1))(x), "Linear(2 -> 1): expected 2 features, got 3"),
        (lambda x: nn.Sequential(nn.Tanh(), nn.Linear(2, 1))(x), "Linear(2 -> 1): expected 2 features, got 3"),
    ],
)
def test_shapes_that_do_not_meet(make, message):
    x = nn.Input("x", shape=(None, 3))
    with raises(nn.ShapeError, message, f"({__file__}:{make.__code__.co_firstlineno})"):
        make(x)


def test_shapes_that_may_meet_do():
    """What is claimed of a shape is right: no graph that runs is refused."""
    x = nn.Input("x")
    matrix = nn.Input("M", shape=(5, 3))
    graph = nn.Graph([matrix, x], nn.Linear(5, 1, rng=0)(matrix @ nn.Linear(2, 3, rng=0)(x)))  # of a vector
    assert graph.forward(np.ones((5, 3)), np.ones(2)).shape == (1,)
    assert (nn.Input(shape=(None, 1)) + nn.Input(shape=(4, 3))).shape == (4, 3)
    assert (nn.Input(shape=(None, 3)) + nn.Input(shape=(4, 3))).shape == (4, 3)
    assert (nn.Input() + nn.Input(shape=(3,))).shape == (..., 3)
    assert (nn.Input(shape=(2, 3)) @ nn.Input(shape=(3, 5))).shape == (2, 5)
    assert (nn.Input(shape=(None, 3)) @ nn.Input(shape=(3,))).shape == (None,)
    assert nn.Concat()(nn.Input(shape=(None, 3)), nn.Input(shape=(None, 2))).shape == (None, 5)
    assert nn.Reshape(-1, 8, 8)(nn.Input()).shape == (None, 8, 8)


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        (1.0, None, "Graph: inputs: expected a node"),
        ([np.ones(3)], None, "Graph: inputs: expected a node, such as nnlite.Input() returns, got array"),
        (None, np.ones(3), "Graph: outputs: expected a node"),
        (None, nn.Tanh(), "Graph: outputs: expected a node, such as nnlite.Input() returns, got Tanh()"),
        (None, [nn.Tanh()], "Graph: outputs: expected a node"),
        ({"a": 3}, None, "Graph: inputs: expected a node"),
    ],
)
def test_something_in_place_of_nodes(inputs, outputs, message):
    x = nn.Input("x")
    y = 2 * x
    with raises(TypeError, message):
        nn.Graph(x if inputs is None else inputs, y if outputs is None else outputs)


def test_inputs_are_made_by_Input():
    x, theta = nn.Input("x"), nn.Parameter(1.0)
    h, there = 2 * x, line()
    with raises(TypeError, f"Graph: inputs: expected nodes made by nnlite.Input, got Multiply() ({there})"):
        nn.Graph(h, nn.Tanh()(h))
    with raises(TypeError, "Graph: inputs: expected nodes made by nnlite.Input, got Parameter ("):
        nn.Graph([x, theta], h * theta)


@pytest.mark.parametrize("nothing", [[], (), {}])
def test_no_inputs_or_no_outputs(nothing):
    x = nn.Input("x")
    y = 2 * x
    with raises(ValueError, "Graph: inputs: expected at least one node"):
        nn.Graph(nothing, y)
    with raises(ValueError, "Graph: outputs: expected at least one node"):
        nn.Graph(x, nothing)


def test_an_error_leaves_the_layers_free():
    x, linear = nn.Input("x"), nn.Linear(2, 2)
    y = linear(x)
    with pytest.raises(ValueError, match="not among the inputs"):
        nn.Graph(x, y * nn.Input("w"))
    gc.collect()
    assert nn.Graph(x, y).layers == [linear]


# ------------------------------------------------------------------------------------ errors when it runs


def notes(error):
    return getattr(error, "__notes__", [])


def test_an_error_names_the_layer_and_its_line():
    x, theta = nn.Input("x"), nn.Parameter([1.0, 2.0], name="theta")
    h, there = theta * x, line()
    graph = nn.Graph(x, nn.Linear(2, 1)(h + x))
    with pytest.raises(nn.ShapeError, match="do not match") as caught:
        graph.forward(np.ones((4, 3)))
    assert notes(caught.value) == [f"in Graph[1] Multiply() ({there})"]
    z = nn.Input("z")
    inner, between = graph(z), line()
    outer = nn.Sequential(nn.Identity(), nn.Graph(z, inner))
    with pytest.raises(nn.ShapeError, match="do not match") as caught:
        outer.forward(np.ones((4, 3)))
    assert notes(caught.value) == [
        f"in Graph[1] Multiply() ({there})",
        f"in Graph[0] Graph(4 layers) ({between})",
        "in Sequential[1] Graph(1 layers)",
    ]

    class Faulty(nn.Identity):
        def backward(self, dY):
            raise ArithmeticError("backward failed")

    faulty, here = Faulty()(w := nn.Input()), line()
    graph = nn.Graph(w, nn.Tanh()(faulty))
    graph.forward(np.ones(2))
    with pytest.raises(ArithmeticError) as caught:
        graph.backward(np.ones(2))
    assert notes(caught.value) == [f"in Graph[0] Faulty() ({here})"]


def test_backward_before_forward():
    with raises(nn.StateError, "Graph(3 layers): backward was called before forward"):
        two_inputs().backward(np.ones((4, 2)))
    with raises(nn.StateError, "Graph(3 layers): backward was called before forward"):
        two_inputs().backward()
    with raises(nn.StateError, "Graph(2 layers): backward was called before forward"):
        two_outputs().backward(np.ones((4, 2)), np.ones(4))


def test_a_wrong_dY():
    graph = two_inputs()
    graph.forward(np.ones((4, 3)), np.ones((4, 2)))
    with raises(nn.ShapeError, "Graph(3 layers): expected dY of shape (4, 2), that of the last Y, got (4, 3)"):
        graph.backward(np.ones((4, 3)))
    with raises(TypeError, "dY: expected floating numbers, got dtype int64"):
        graph.backward(np.ones((4, 2), np.int64))
    with raises(TypeError, "expected one gradient, for the one output, got 2"):
        graph.backward(np.ones((4, 2)), np.ones((4, 2)))
    several = two_outputs()
    several.forward(np.ones((4, 3)))
    with raises(nn.ShapeError, "expected dY of shape (4,), that of the last Y, got (4, 2)"):
        several.backward(np.ones((4, 2)), np.ones((4, 2)))


def test_after_a_failed_forward_there_is_no_backward():
    for graph, bad in (two_inputs(), (np.ones((4, 3)), np.ones((4, 5)))), (two_outputs(), (np.ones((4, 2)),)):
        good = (np.ones((4, 3)), np.ones((4, 2)))[: len(bad)]
        graph.forward(*good)
        with pytest.raises(nn.ShapeError):
            graph.forward(*bad)
        with pytest.raises(nn.StateError, match="backward was called before forward"):
            graph.backward(*[np.ones((4, 2)), np.ones(4)][: graph.num_outputs])
        graph.forward(*good)
        graph.backward(*[np.ones((4, 2)), np.ones(4)][: graph.num_outputs])


# ------------------------------------------------------------------------------------ deep graphs


def chain(length):
    x = y = nn.Input("x")
    for _ in range(length):
        y = nn.Negative()(y)
    return nn.Graph(x, y)


def test_a_long_chain_meets_no_recursion_limit():
    length = 3_000
    graph = chain(length)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 150)
    try:
        short = chain(500)
        assert short.forward(1.0) == 1
        for model in graph, copy.deepcopy(graph), pickle.loads(pickle.dumps(graph)):
            assert len(model.layers) == length
            assert_array_equal(model.forward(np.array([3.0])), [3])
            assert_array_equal(model.backward(np.array([1.0])), [1])
        assert repr(graph).count("Negative()") == length
        assert_array_equal(nn.predict(graph, np.ones((2, 1))), np.ones((2, 1)))
    finally:
        sys.setrecursionlimit(limit)


def events(function, *args):
    """How many calls of Python and C functions it takes, and its result."""
    count = 0

    def profiler(frame, event, arg):
        nonlocal count
        count += event in ("call", "c_call")

    gc.disable()  # collections would call back from weak references
    sys.setprofile(profiler)
    try:
        result = function(*args)
    finally:
        sys.setprofile(None)
        gc.enable()
    return count, result


def fan(length):
    """One input, one parameter and one constant a branch, all used many times."""
    x, theta = nn.Input("x"), nn.Parameter(1.0)
    return nn.Graph(x, nn.Add()(*[theta * x * 2.0 for _ in range(length)]))


def recurrence(length):
    layer = nn.Linear(1, 1, rng=0)
    x = nn.Input("x")
    y = layer(x)
    for _ in range(length):
        y = nn.tied(layer)(y)
    return nn.Graph(x, y)


@pytest.mark.parametrize("build", [chain, fan, recurrence])
def test_the_work_grows_linearly_with_the_nodes(build):
    build(3)
    counts = []
    for length in 30, 300:
        built, graph = events(build, length)
        X = np.ones((1, 1), np.float32)
        forward, Y = events(graph.forward, X)
        backward, _ = events(graph.backward, Y)
        planned, _ = events(setattr, graph, "needs_dX", False)
        copied, _ = events(copy.deepcopy, graph)
        counts.append([built, forward, backward, planned, copied])
    for few, many in zip(*counts, strict=True):
        assert many < 10.5 * few


# ------------------------------------------------------------------------------------- inputs and shapes of calls


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: nn.Dot()(x), r"Dot\(\): missing a required argument: 'Y'"),
        (lambda x: nn.MatMul()(x, x, x), r"MatMul\(\): too many positional arguments"),
        (lambda x: nn.Subtract()(x, Z=x), r"Subtract\(\): .*'Y'|Subtract\(\): got an unexpected"),
    ],
)
def test_a_wrong_number_of_inputs_is_an_error_where_the_node_is_made(call, message):
    with pytest.raises(TypeError, match=message) as caught:
        call(nn.Input("x"))
    assert f"{__file__}:{call.__code__.co_firstlineno}" in str(caught.value)


def test_inputs_of_a_layer_may_be_given_by_name():
    x = nn.Input("x")
    graph = nn.Graph(x, nn.Subtract()(Y=nn.Linear(3, 2, rng=0)(X=x), X=1.0))
    X = np.ones((4, 3), np.float32)
    assert_array_equal(graph.forward(X), 1 - nn.Linear(3, 2, rng=0).forward(X))


def test_the_square_of_a_node_takes_no_logarithm():
    x = nn.Input("x")
    for two in 2, 2.0, np.int64(2):
        graph = nn.Graph(x, x**two)
        assert [type(layer) for layer in graph.layers] == [nn.Square]
    assert [type(layer) for layer in nn.Graph(x, x**3).layers] == [nn.Power]


def test_what_does_not_fit_a_graph_is_found_when_the_outer_model_is_built():
    with pytest.raises(nn.ShapeError, match=r"Parallel.* does not accept it: Linear.*expected 5 features, got 4"):
        nn.Sequential(nn.Linear(3, 4), nn.Parallel(nn.Linear(5, 1), nn.Linear(5, 1)))
    x = nn.Input("x", shape=(None, 3))
    inner = nn.Graph(x, 2 * x)
    with pytest.raises(nn.ShapeError, match=r"expected an input of shape \(\?, 3\), got \(..., 5\)"):
        inner(nn.Linear(2, 5)(nn.Input("y")))


def test_shapes_go_through_a_graph_into_the_one_around_it():
    x = nn.Input("x")
    u, v = nn.Split([1, 2])(x)
    inner = nn.Graph(x, [nn.Linear(1, 4, rng=0)(u), v])
    h, rest = inner(nn.Input("y"))
    assert (h.shape, rest.shape) == ((..., 4), (..., 2))
    assert nn.Parallel(nn.Linear(3, 2, rng=0), nn.Linear(3, 5, rng=0)).output_shape((..., 3)) == (..., 7)
    assert nn.Parallel(nn.Tanh(), nn.Tanh(), merge=nn.Add()).output_shape((..., 3)) == (..., 3)
