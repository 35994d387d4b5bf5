"""Graphs whose inputs may be left out, and whose layers have names."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import nnlite as nn
from nnlite.containers.program import Program


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


X, LENGTHS = numbers(4, 5, 3), np.array([5, 1, 3, 2])


def reader(**options):
    """Linear, LSTM, Linear; the lengths of the sequences may be left out."""
    x, lengths = nn.Input("x"), nn.Input("lengths", optional=True)
    first, lstm, last = (
        nn.Linear(3, 3, dtype=np.float64, rng=0),
        nn.LSTM(3, 2, dtype=np.float64, rng=1),
        nn.Linear(2, 2, dtype=np.float64, rng=2),
    )
    return nn.Graph([x, lengths], last(lstm(first(x), lengths)), **options)


def chain():
    return nn.Sequential(*copy.deepcopy(reader().layers))


def test_an_optional_input_may_be_left_out_or_none_or_given_by_name():
    graph, model = reader(), chain()
    for given in [(X,), (X, None)]:
        assert_array_equal(graph.forward(*given), model.forward(X))
    assert_array_equal(graph.forward(x=X), model.forward(X))
    dY = numbers(4, 5, 2)
    assert_array_equal(graph.backward(dY), model.backward(dY))
    assert_array_equal(graph.dPhi, model.dPhi)

    H = model[0].forward(X)
    with_lengths = model[2].forward(model[1].forward(H, LENGTHS))
    assert not np.array_equal(with_lengths, model.forward(X))
    assert_array_equal(graph.forward(X, LENGTHS), with_lengths)
    assert_array_equal(graph.forward(X, lengths=LENGTHS), with_lengths)
    assert_array_equal(nn.predict(graph, (X, LENGTHS)), with_lengths)
    assert nn.check_gradients(graph, (X, LENGTHS)).right
    assert nn.check_gradients(graph, X).right
    assert graph.forward(X.astype(np.float32), LENGTHS).dtype == np.float64


def test_graphs_with_optional_inputs_nest():
    x, lengths = nn.Input("x"), nn.Input("lengths", optional=True)
    for outer in [
        nn.Graph([x, lengths], nn.Tanh()(reader()(x, lengths))),
        nn.Graph(
            [nn_x := nn.Input("x"), more := nn.Input("l", optional=True)], nn.Tanh()(reader()(nn_x, lengths=more))
        ),
    ]:
        assert_array_equal(outer.forward(X), np.tanh(chain().forward(X)))
        assert_array_equal(outer.forward(X, LENGTHS), np.tanh(reader().forward(X, LENGTHS)))
    alone = nn.Input("x")
    without = nn.Graph(alone, nn.Tanh()(reader()(alone)))
    assert_array_equal(without.forward(X), np.tanh(chain().forward(X)))
    model = nn.Sequential(reader(), nn.Tanh())
    assert_array_equal(model.forward(X), without.forward(X))
    assert_array_equal(model.forward(X, LENGTHS), outer.forward(X, LENGTHS))


def test_tools_run_them_with_and_without():
    graph = reader()
    Y = graph.forward(X)
    assert [list(Program.of(graph, inputs=count).inputs) for count in (None, 2)] == [[0], [0, 1]]
    assert len(list(nn.forward_steps(graph, X))) == 3
    assert len(list(nn.backward_steps(graph, np.ones_like(Y)))) == 3
    assert "lengths" in nn.to_mermaid(graph, (X, LENGTHS))
    for given in X, (X, LENGTHS):
        explanation = nn.explain(graph, given, dY=np.ones_like(Y))
        assert not [remark for remark in explanation.remarks if "but the layer computes" in remark]
        assert "LSTM" in str(nn.profile(graph, given))


def test_they_are_saved_and_copied(tmp_path):
    graph = reader(names={})
    nn.save(graph, tmp_path / "graph.npz")
    for other in nn.load(tmp_path / "graph.npz"), copy.deepcopy(graph), pickle.loads(pickle.dumps(graph)):
        for given in [(X,), (X, LENGTHS)]:
            assert_array_equal(other.forward(*given), graph.forward(*given))


def test_they_are_trained():
    x, lengths = nn.Input("x"), nn.Input("lengths", optional=True)
    graph = nn.Graph([x, lengths], nn.Linear(2, 1, rng=1)(nn.LSTM(3, 2, last=True, rng=0)(x, lengths)))
    history = nn.fit(
        graph,
        (X, LENGTHS),
        X[:, 0, :1],
        loss=nn.MSELoss(),
        optimizer=nn.Adam(graph, lr=0.1),
        epochs=30,
        verbose=0,
        rng=0,
    )
    assert history["loss"][-1] < 0.5 * history["loss"][0]


def test_errors_of_optional_inputs():
    graph = reader()
    for given, named in [
        ((), {}),
        ((X, LENGTHS, X), {}),
        ((), {"lengths": LENGTHS}),
        ((X,), {"x": X}),
        ((X,), {"l": X}),
    ]:
        with pytest.raises(TypeError, match=r"expected the inputs x, lengths, each once|expected 1 to 2 inputs"):
            graph.forward(*given, **named)
    x, last = nn.Input("x"), nn.Input("last", optional=True)
    with pytest.raises(ValueError, match=r"Input x .* is not optional; list it before"):
        nn.Graph([last, x], nn.LSTM(3, 2)(x, last))
    state = nn.Input("state", optional=True)
    with pytest.raises(ValueError, match=r"Input state .* is optional, but has a gradient"):
        nn.Graph([x, state], nn.GRU(3, 2)(x, None, state))
    with pytest.raises(TypeError, match=r"Tanh\(\): X is needed, but Input last"):
        nn.Tanh()(last)
    with pytest.raises(TypeError, match="x is needed, but Input last"):
        reader()(last, x)
    with pytest.raises(TypeError, match="optional: expected True or False, got 1"):
        nn.Input("x", optional=1)


# ------------------------------------------------------------------------------------------------ names


def named():
    x = nn.Input("x")
    first, second, scale = nn.Linear(3, 2, rng=0), nn.Linear(2, 1, rng=1), nn.Parameter(2.0, name="scale")
    names = {"encoder.0": first, "head": second}
    return nn.Graph(x, second(nn.Tanh()(first(x))) * scale, names=names)


def test_layers_have_the_names_that_they_are_given(tmp_path):
    graph = named()
    assert list(graph.state_dict()) == ["scale.value", "encoder.0.W", "encoder.0.b", "head.W", "head.b"]
    assert [path for path, _ in graph.named_layers()] == ["", "scale", "encoder.0", "2", "head", "4"]
    assert set(nn.to_torch(graph)) == {"scale", "encoder.0.weight", "encoder.0.bias", "head.weight", "head.bias"}
    assert "(head): Linear(2 -> 1) of 2" in repr(graph)
    assert [step.path for step in nn.forward_steps(graph, X[0])][1] == "encoder.0"
    with pytest.raises(nn.ShapeError) as error:
        graph.forward(X[:, :, :2])
    assert error.value.__notes__[0].startswith("in Graph[encoder.0] Linear")
    nn.save(graph, tmp_path / "graph.npz")
    other = nn.load(tmp_path / "graph.npz")
    assert list(other.state_dict()) == list(graph.state_dict())
    assert_array_equal(other.forward(X[0]), graph.forward(X[0]))


def test_errors_of_names():
    x = nn.Input("x")
    first, second = nn.Tanh(), nn.Exp()
    Y = second(first(x))
    for names, error, words in [
        ({"0": first}, TypeError, "expected a name such as"),
        ({"a b": first}, TypeError, "expected a name such as"),
        ([first], TypeError, "expected a dict"),
        ({"a": nn.Tanh()}, ValueError, "'a' is no layer of this graph"),
        ({"a": first, "b": first}, ValueError, "one layer has the names 'a' and 'b'"),
        ({"a": first, "a.b": second}, ValueError, "'a' is the name, or the beginning"),
    ]:
        with pytest.raises(error, match=words):
            nn.Graph(x, Y, names=names)
    scale = nn.Parameter(2.0, name="a")
    with pytest.raises(ValueError, match="'a' is the name"):
        nn.Graph(x, Y * scale, names={"a": first})


# ------------------------------------------------------------------------------------------------ passed by name


@pytest.mark.parametrize("within", ["tied", "Sequential", "tied Sequential"])
def test_inputs_passed_by_name_reach_layers_inside_of_others(within):
    """Whatever a layer is within, what is passed by name is not lost."""
    x, lengths = nn.Input("x"), nn.Input("lengths", optional=True)
    lstm, like = (nn.LSTM(3, 3, dtype=np.float64, rng=0) for _ in range(2))
    first = lstm if within == "tied" else nn.Sequential(lstm)
    other = nn.tied(first) if "tied" in within else nn.Sequential(nn.LSTM(3, 3, dtype=np.float64, rng=0))
    graph = nn.Graph([x, lengths], other(first(x, lengths=lengths), lengths=lengths))
    assert_array_equal(graph.forward(X, LENGTHS), like.forward(like.forward(X, LENGTHS), LENGTHS))
    assert_array_equal(graph.forward(X), like.forward(like.forward(X)))
    assert nn.check_gradients(graph, (X, LENGTHS)).right
    with pytest.raises(TypeError, match=r"got foo|keyword argument 'foo'"):
        other(x, foo=lengths)


def test_a_tied_graph_takes_its_inputs_by_position_and_by_name():
    for given in [lambda p: ((None, p), {}), lambda p: ((), {"src_key_padding_mask": p})]:
        x, padding = nn.Input("x"), nn.Input("padding", optional=True)
        layer, like = (nn.TransformerEncoderLayer(4, 2, 6, 0.0, dtype=np.float64, rng=0) for _ in range(2))
        more, named = given(padding)
        graph = nn.Graph([x, padding], nn.tied(layer)(layer(x, *more, **named), *more, **named))
        sequences, mask = numbers(3, 5, 4), nn.padding_mask([5, 3, 1])
        once = like.forward(sequences, None, mask)
        assert_array_equal(graph.forward(sequences, mask), like.forward(once, None, mask))
        assert nn.check_gradients(graph, (sequences, mask)).right


def test_inputs_by_name_go_to_onnx():
    runs = pytest.importorskip("support.onnx_runs")
    layer = nn.TransformerEncoderLayer(4, 2, 6, rng=0).eval()
    sequences, mask = numbers(3, 5, 4).astype(np.float32), nn.padding_mask([5, 3, 1])
    shapes = {"src_key_padding_mask": (5,), "X": (5, 4)}
    assert nn.summary(layer, shapes).rows[0].path == "self_attn"
    content = written(layer, shapes)
    (Y,) = runs.outputs(content, sequences, mask)
    np.testing.assert_allclose(Y, layer.forward(sequences, None, mask), rtol=1e-5, atol=1e-5)


def written(model, input_shape):
    """The content of the file of ONNX."""
    from nnlite.interop.onnx.writing_onnx import content_of

    return content_of(model, input_shape, 18)
