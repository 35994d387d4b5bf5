"""A layer that nobody has seen before shows what it says of itself in every tool: none of them had to be changed."""

import ast
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

import nnlite as nn
from nnlite.layer.flops import Flops


class Gain(nn.Layer, parameters=("gain",), buffers=("uses",)):
    """``Y = tanh(gain[group] * X)``: the samples of each group have gains of their own."""

    without_gradient = ("group",)
    output_range = (-1.0, 1.0)
    formulas = """
        A = take(gain, group, axis=0)
        Y = tanh(A * X)
        dgain = add_at((1 - Y**2) * X * dY, group, like=gain)
        dX = (1 - Y**2) * A * dY
    """

    def __init__(self, groups, features, rng=None):
        self.gain = np.random.default_rng(rng).uniform(0.5, 1.5, (groups, features))
        self.uses = np.zeros(groups, np.int64)

    def forward(self, X, group):
        self.X, self.group = self.check_X(X), group
        if self.training:
            np.add.at(self.uses, group, 1)
        self.A = self.gain[group]
        self.Y = np.tanh(self.A * self.X)
        return self.record_Y(self.Y)

    def backward(self, dY):
        dZ = (1 - self.Y**2) * self.check_dY(dY)
        self.dgain = np.zeros_like(self.gain)
        np.add.at(self.dgain, self.group, dZ * self.X)
        return dZ * self.A

    def flops(self, X, Y):
        return Flops(elementwise=2 * Y.size), Flops(elementwise=6 * Y.size)


rng = np.random.default_rng(0)
given = rng.normal(size=(20, 4)), rng.integers(0, 2, 20)
target = np.tanh(given[0][:, :3])
one = given[0][:1], given[1][:1]


def network(layer=Gain):
    X, group = nn.Input("X"), nn.Input("group")
    return nn.Graph([X, group], layer(2, 3, rng=0)(nn.Linear(4, 3, rng=1)(X), group))


def test_check_gradients_differentiates_it_and_finds_its_mistakes():
    report = nn.check_gradients(network(), given, target, nn.MSELoss())
    assert [comparison.name for comparison in report.comparisons] == ["X", "0.W", "0.b", "1.gain"]  # and no group

    class Forgets(Gain):
        def backward(self, dY):
            dX = super().backward(dY)
            self.dgain *= -1
            return dX

    with pytest.raises(nn.GradientError) as caught:
        nn.check_gradients(network(Forgets), given, target, nn.MSELoss())
    fault = caught.value.report.fault
    assert fault.layer.endswith("Forgets()")
    assert (fault.array, fault.kind) == ("dgain", "wrong sign")


def test_explain_derives_the_network_with_its_formulas():
    text = " ".join(str(nn.explain(network(), given, target, nn.MSELoss())).split())
    assert "A2 = take(gain2, group)" in text
    assert "y^ = tanh(A2 * u1)" in text
    assert "dL/dgain2 = add_at((1 - (y^)^2) * u1 * dL/dy^, group)" in text
    assert "dL/du1 = (1 - (y^)^2) * A2 * dL/dy^" in text
    assert "gain2 in Phi[15:21]" in text


def test_the_steps_show_its_formulas_with_the_numbers():
    model = network()
    forward = " ".join(str(list(nn.forward_steps(model, one))[-1]).split())
    a, x = model.layers[1].gain[one[1][0], 1], model.layers[0].forward(one[0])[0, 1]
    assert f"Y = tanh(A * X) Y[0,1] = tanh({a:.4g} * {x:.4g}) = {np.tanh(a * x):.4g}" in forward
    model.forward(*one)
    backward = " ".join(str(next(iter(nn.backward_steps(model, np.ones((1, 3)))))).split())
    assert f"dX = (1 - Y ** 2) * A * dY dX[0,1] = (1 - {np.tanh(a * x):.4g}**2) * {a:.4g} * 1 = " in backward


def test_sanity_knows_the_range_of_its_outputs():
    report = nn.sanity(network(), nn.MSELoss(), given, target)
    assert report.right, report
    check = nn.sanity(network(), nn.MSELoss(), given, 3 * target).targets
    assert check.right is False
    assert "the last layer Gain() from -1 to 1" in check.found


def test_pictures_show_its_inputs_its_parameter_and_both_gradients():
    figure = nn.draw(network(), one, np.zeros((1, 3)), nn.MSELoss())
    assert {"Gain()", "group", "gain (2, 3)"} <= {text.get_text() for text in figure.axes[0].texts}
    text = nn.to_mermaid(network(), one, np.zeros((1, 3)), nn.MSELoss())
    assert "Gain()<br/>gain (2, 3)<br/>dgain norm" in text
    assert f'|"group = [{one[1][0]}]"|' in text  # a value, and no gradient


def test_summary_counts_its_parameters_and_its_buffer():
    row = nn.summary(network(), ((4,), ())).rows[1]
    assert (row.layer, row.output_shape, row.parameters, row.buffers) == ("Gain()", (None, 3), 6, 2)


def test_profile_counts_its_operations():
    row = nn.profile(network(), given, target, nn.MSELoss(), repeats=1).rows[1]
    assert (row.layer, row.forward.operations, row.backward.operations) == ("Gain()", 2 * 60, 6 * 60)


def test_per_sample_gradients_are_those_of_its_samples():
    model, loss = network(), nn.MSELoss()
    each = nn.per_sample_gradients(model, given, target, loss)["1.gain"]
    loss.forward(model.forward(*given), target)
    model.backward(loss.backward())
    assert_allclose(each.sum(axis=0), model.layers[1].dgain, rtol=1e-4, atol=1e-7)
    for sample, group in zip(each, given[1], strict=True):
        assert sample[group].all()
        assert not sample[1 - group].any()


def test_no_tool_names_a_class_of_layer_that_computes():
    """The tools import from the rooms of layers and losses no class, but those with which they compute themselves."""
    allowed = {"Identity", "LogSoftmax", "Square", "Loss", "Losses"}
    allowed |= {"Activation"}  # whose result explain calls h instead of u
    for file in Path(nn.__file__).parent.joinpath("diagnostics").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("nnlite.layers", "nnlite.losses")):
                classes = {alias.name for alias in node.names if alias.name[0].isupper()}
                assert classes <= allowed, (file.name, classes - allowed)
