"""The formulas of every layer evaluate to what the layer computes."""

from collections import ChainMap

import numpy as np
import pytest
from support.contract import ROWS, Row, gradients, run
from support.contract_row import one_of_each

import nnlite as nn
from nnlite.basics.trees import listed
from nnlite.containers.checkpointed import Checkpointed
from nnlite.containers.graph import Graph
from nnlite.containers.sequential import Sequential
from nnlite.diagnostics.formulas.functions import bags
from nnlite.diagnostics.formulas.layer_formulas import formulas_of
from nnlite.diagnostics.formulas.substitution import Attributes
from nnlite.diagnostics.formulas.tree import evaluated
from nnlite.diagnostics.recording import Recording
from nnlite.layer.described import with_gradient
from nnlite.layers.recurrent import Recurrent

over_rows = pytest.mark.parametrize("row", one_of_each(ROWS), ids=lambda row: row.id)


def values_of(layer, Xs, dYs=()):
    """The values of the layer's formulas; its forward has run, since they may use its cache."""
    omitted = [place for place, X in enumerate(Xs) if X is None]
    formulas = formulas_of(layer, len(Xs), omitted)
    names = ChainMap(dict(zip(formulas.inputs, Xs, strict=True)), Attributes(layer), {"pi": np.pi})
    lines = list(formulas.forward)
    if dYs:
        names.update(zip(("d" + name for name in formulas.outputs), dYs, strict=True))
        lines += formulas.backward
    for line in lines:
        names[line.name] = evaluated(line.expression, names)
    return {line.name: names[line.name] for line in lines}


def leaves(layer):
    containers = Sequential | Graph | Checkpointed | nn.Stateful
    return {path: part for path, part in layer.named_layers() if not isinstance(part, containers)}


@over_rows
def test_formulas_give_what_the_layer_gives(row: Row):
    """Every layer in the model, forward and backward, each of its parameters' gradients included."""
    layer = row.make()
    parts = leaves(layer)
    for _, part in layer.named_layers():
        part.keeps_cache = True  # of checkpointed
    with Recording().of(layer) as recording:
        run(layer, row.X, row.target)
    calls = {call.path: call for call in recording.backwards if call.path in parts}
    for path, call in calls.items():
        part, inputs = parts[path], (*call.args, *call.named.values())
        if isinstance(part, nn.Parameter):
            continue
        values = values_of(part, inputs, (*call.dYs, *call.named_dYs.values()))
        formulas = formulas_of(part, len(inputs))
        if not formulas.forward:
            assert isinstance(part.original or part, Sequential | Graph | nn.EmbeddingBag | nn.CTCLoss | Recurrent)
            continue
        gives = dict(zip(formulas.outputs, listed(call.Y), strict=True))
        differentiable = [formulas.inputs[place] for place in with_gradient(part, inputs)]
        gives |= zip(["d" + name for name in differentiable], gradients(call.dX), strict=True)
        gives |= {"d" + name: call.gradients[name] for name in formulas.parameters}
        if isinstance(part, nn.TripletMarginWithDistanceLoss):  # its gradients are those of any layer
            gives = {name: gives[name] for name in formulas.outputs}
        for name, expected in gives.items():
            np.testing.assert_allclose(values[name], expected, rtol=1e-9, atol=1e-12, err_msg=f"{part}: {name}")
            assert np.shape(values[name]) == np.shape(expected), f"{part}: {name}"
    assert calls.keys() == parts.keys()


def test_every_public_layer_has_formulas_but_containers_and_what_their_language_cannot_say():
    """explain expands containers into their parts."""
    public = {value for value in vars(nn).values() if isinstance(value, type) and issubclass(value, nn.Layer)}
    assert {cls for cls in public if not cls.formulas} == {
        *(nn.Layer, nn.Loss, nn.Parameter, nn.Sequential, nn.Graph, nn.Residual, nn.Parallel),
        *(nn.TransformerEncoderLayer, nn.TransformerDecoderLayer, nn.TransformerEncoder, nn.TransformerDecoder),
        *(nn.Transformer, nn.Stateful, nn.CTCLoss),
    }


def test_bags_of_indices():
    indices = np.array([[3, 0, 1], [0, 0, 2]])
    np.testing.assert_array_equal(bags(indices), [[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]])
    np.testing.assert_array_equal(bags(indices, ignored=0), [[1, 0, 1, 0, 0, 0], [0, 0, 0, 0, 0, 1]])
    flat, expected = np.array([3, 0, 1, 2]), [[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 1]]
    np.testing.assert_array_equal(bags(flat, np.array([0, 2, 2])), expected)
    np.testing.assert_array_equal(bags(flat, np.array([0, 2, 2, 4]), last=True), expected)


def names(formulas):
    return [line.name for line in formulas.backward]


def test_lines_stand_in_the_order_of_backward():
    assert names(formulas_of(nn.Linear(3, 2))) == ["dW", "db", "dX"]
    encoder = nn.Linear(3, 2)
    assert names(formulas_of(nn.tied(encoder))) == ["dW", "db", "dX"]
    assert names(formulas_of(nn.tied(encoder, transpose=True))) == ["dW", "db", "dX"]
    for row in ROWS:
        layer = row.make()
        if layer.formulas:
            count = len(row.X) if isinstance(row.X, tuple) else None
            formulas = formulas_of(layer, count)
            inputs = [name for name in names(formulas) if name[1:] in formulas.inputs]
            assert inputs == ["d" + name for name in formulas.inputs if name not in layer.without_gradient]


# ------------------------------------------------------------------------------------------------ options


def as_text(layer, inputs=None):
    return str(formulas_of(layer, inputs)).split("\n")


def test_what_is_None_drops_out():
    assert as_text(nn.Linear(3, 2, bias=False)) == ["Y = X @ W", "dW = rows(X).T @ rows(dY)", "dX = dY @ W.T"]
    assert "weight" not in str(formulas_of(nn.BCELoss()))
    assert as_text(nn.BCELoss(weight=[2.0]))[-1].startswith("dY = dJ / N * weight *")


def test_options_are_put_in():
    assert as_text(nn.Softmax(dim=1))[0] == "Y = exp(X) / sum(exp(X), axis=1, keepdims=True)"
    assert as_text(nn.MSELoss(reduction="none"))[0] == "J = 1 / N * sum((Y - target) ** 2, axis=())"
    assert as_text(nn.MSELoss())[0] == "J = 1 / N * sum((Y - target) ** 2, axis=None)"
    assert "Q = (1 - 0.1) * Q + 0.1 * mean(Q, axis=axis, keepdims=True)" in as_text(
        nn.CrossEntropyLoss(label_smoothing=0.1)
    )


def test_any_number_of_inputs_and_outputs():
    assert as_text(nn.Add()) == ["Z = X + Y", "dX = sum_to(dZ, X)", "dY = sum_to(dZ, Y)"]
    assert as_text(nn.Stack(dim=0), 3) == [
        "Y = stack([X, X2, X3], axis=0)",
        "dX = unstack(dY, axis=0)[0]",
        "dX2 = unstack(dY, axis=0)[1]",
        "dX3 = unstack(dY, axis=0)[2]",
    ]
    assert as_text(nn.Split([1, 2]))[1:] == [
        "Y2 = split(X, sizes=(1, 2), axis=-1)[1]",
        "dX = concatenate([dY1, dY2], axis=-1)",
    ]


class Said(nn.Tanh):
    scale = np.float32(0.5)
    flags = (1, 2)
    nothing = None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Y = scale * X", "Y = 0.5 * X"),
        ("Y = nothing - X", "Y = -X"),
        ("Y = nothing / X", "Y = 1 / X"),
        ("Y = X * (nothing + nothing)", "Y = X"),
        ("Y = f(nothing) + X", "Y = X"),
        ("Y = X if nothing is None else -X", "Y = X"),
        ("Y = np.tanh(numpy.exp(X))", "Y = tanh(exp(X))"),
        ("Y = roll(X, axes=flags, at=flags[0], shape=X.shape)", "Y = roll(X, axes=(1, 2), at=1, shape=X.shape)"),
        ("Y = X; Y = Y", "Y = X"),
        ("Y = (X > nothing) + X", "Y = X"),
    ],
)
def test_what_is_put_in(text, expected):
    layer = Said()
    layer.formulas = text
    assert as_text(layer) == [expected]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Y = X\ndX = dY +", r"line 2: 'dX = dY \+': invalid syntax"),
        ("Y = X\n\nY", "line 3: 'Y': it is not a single assignment"),
        ("Y = Z = X", "line 1: 'Y = Z = X': it is not a single assignment"),
        ("Y += X", "not a single assignment"),
        ("self.Y = X", "'self.Y' is not a name"),
        ("Y = lambda X: X", "Lambda is not supported"),
        ("Y = [x for x in X]", "ListComp is not supported"),
        ("Y = X % 2", "Mod is not supported"),
        ("Y = X if X.ndim == 1 else -X", "'X.ndim == 1': name 'X' is not defined; a condition may use only what"),
        ("Y = X\n  dX = dY", "line 2: 'dX = dY': unexpected indent"),
    ],
)
def test_what_is_no_formula(text, message):
    layer = Said()
    layer.formulas = text
    with pytest.raises(ValueError, match=rf"Said: formulas.*{message}"):
        formulas_of(layer)


class Delta(nn.Tanh):
    def backward(self, delta):
        return super().backward(delta)


def test_what_backward_takes_may_have_any_name():
    layer = Delta()
    layer.formulas = "H = X * 2; Y = tanh(H); dX = delta * (1 - Y * Y)"
    formulas = formulas_of(layer)
    assert formulas.outputs == ("Y",)
    assert str(formulas).split("\n")[-1] == "dX = dY * (1 - Y * Y)"


def test_formulas_that_do_not_say_what_forward_gives():
    layer = Said()
    layer.formulas = "Z = tanh(X); dX = dY * (1 - Y * Y)"
    with pytest.raises(ValueError, match="Said: formulas: no line defines Y, whose gradient backward takes"):
        formulas_of(layer)


def test_formulas_of_backward_alone():
    layer = Said()
    layer.formulas = "dX = dY * (1 - Y * Y)"
    assert formulas_of(layer).forward == ()
    assert str(nn.explain(layer).forward[0]) == "y^ = Said(X)"
    assert str(nn.explain(layer).backward[-1]) == "dL/dX = dL/dy^ * (1 - y^ * y^)"


def test_a_matrix_times_a_vector_needs_no_new_numpy(monkeypatch):
    """np.matvec came with NumPy 2.2."""
    monkeypatch.delattr(np, "matvec", raising=False)
    layer, X, y = nn.Outer(), np.ones((4, 2)), np.ones((4, 3))
    dZ = np.ones_like(layer.forward(X, y))
    np.testing.assert_array_equal(values_of(layer, (X, y), (dZ,))["dX"], layer.backward(dZ)[0])


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (
            "Y = X\ndX = dY * scalle",
            ValueError,
            r"line 2: 'dX = dY \* scalle': 'scalle' is not an argument, .* known names are",
        ),
        ("Y = X * Xx", ValueError, "line 1: 'Y = X [*] Xx': 'Xx' is not an argument, .*; did you mean 'X'"),
        ("Y = X * self.scale", ValueError, "line 1: .*: write attributes in a formula without self"),
        ("Y = 'abc'", ValueError, """line 1: "Y = 'abc'": expected a formula"""),
        ("Y = open(X)", ValueError, r"line 1: 'Y = open\(X\)': 'open' is not an argument"),
        ("Y = X if X else 2", ValueError, "line 1: 'Y = X if X else 2': 'X': .*a condition may use only"),
        (["Y = X"], TypeError, r"expected a string of lines such as .*, got \['Y = X'\]"),
        (5, TypeError, "expected a string of lines such as .*, got 5"),
    ],
)
def test_formulas_that_mean_nothing(text, error, message):
    layer = Said()
    layer.formulas = text
    with pytest.raises(error, match=rf"Said: formulas.*{message}"):
        formulas_of(layer)


def test_names_of_what_forward_keeps_are_known_before_it_runs():
    class Keeps(nn.Tanh):
        formulas = "Y = X * np.pi; dX = dY * mask"

        def forward(self, X):
            self.mask = X > 0
            return super().forward(X)

    assert str(formulas_of(Keeps())) == "Y = X * pi\ndX = dY * mask"


def test_formulas_of_backward_alone_are_named():
    layer = Said()
    layer.formulas = "dX = dY * (1 - Y * Y)"
    assert (
        nn.explain(layer).remarks[-1]
        == "The `formulas` of Said do not define its output; its forward is shown as a call."
    )
