"""A layer of somebody's own, written as the README says, goes through everything that there is to look at a model."""

import numpy as np
import pytest

import nnlite as nn


class Scale(nn.Layer, parameters=("gamma",)):
    def __init__(self, features):
        self.gamma = np.linspace(0.5, 2, features)

    def forward(self, X):
        self.X = X
        return X * self.gamma

    def backward(self, dY):
        self.dgamma = np.sum(dY * self.X, axis=0)
        return dY * self.gamma


class Said(Scale):
    formulas = """
        Y = X * gamma
        dgamma = sum(dY * X, axis=0)
        dX = dY * gamma
    """


class Faulty(Scale):
    def backward(self, dY):
        self.dgamma = np.mean(dY * self.X, axis=0)  # it should be the sum
        return dY * self.gamma


rng = np.random.default_rng(0)
X = rng.normal(size=(40, 3))
Y = (X[:, :1] > 0) * 1.0


def model(kind):
    rng = np.random.default_rng(1)
    return nn.Sequential(nn.Linear(3, 4, rng=rng), kind(4), nn.Tanh(), nn.Linear(4, 1, rng=rng), nn.Sigmoid())


def test_steps():
    net = model(Scale)
    forward, backward = list(nn.forward_steps(net, X)), list(nn.backward_steps(net, Y))
    assert [step.path for step in forward] == ["0", "1", "2", "3", "4"]
    assert [step.path for step in backward] == ["4", "3", "2", "1", "0"]
    np.testing.assert_allclose(forward[1].outputs["Y"], forward[1].inputs["X"] * net[1].gamma)
    np.testing.assert_array_equal(backward[3].gradients["dgamma"], net[1].dgamma)
    assert "backward  1  Scale()" in str(backward[3])


def test_explain_says_that_the_layer_says_nothing_and_goes_on():
    text = str(nn.explain(model(Scale), X, Y, nn.BCELoss()))
    assert "Scale has no `formulas`; its forward and backward are shown as calls." in text
    assert "dL/dW1 = X^T" in text


def test_explain_says_what_the_layer_says():
    text = str(nn.explain(model(Said), loss=nn.BCELoss()))
    assert "= u1 * gamma" in text
    assert "* u1)" in text.split("dL/dgamma")[1].splitlines()[0]


def test_draw():
    figure = nn.draw(model(Scale), X, dY=Y)
    assert any(text.get_text() == "Scale()" for axes in figure.axes for text in axes.texts)
    assert "Scale()" in nn.to_mermaid(model(Scale))


def test_the_doctor_finds_it_if_it_is_wrong_and_only_then():
    assert nn.check_gradients(model(Scale), X[:5], Y[:5], nn.BCELoss()).right
    with pytest.raises(nn.GradientError) as caught:
        nn.check_gradients(model(Faulty), X[:5], Y[:5], nn.BCELoss())
    report = caught.value.report
    assert (report.fault.layer, report.fault.array) == ("Sequential[1] Faulty()", "dgamma")
    assert report.fault.kind == "wrong factor"
    assert report.fault.detail == {"factor": pytest.approx(1 / 5), "sizes": {"the batch size": 5}}
    assert report.after == 4  # the loss is one of them


def test_sanity():
    assert nn.sanity(model(Scale), nn.BCELoss(), X, Y).right
    found = nn.sanity(model(Faulty), nn.BCELoss(), X, Y)
    assert "gradients" in found.wrong
    assert "Faulty()" in found.gradients.found


def test_diagnostics_and_per_sample_gradients():
    net, diagnostics = model(Scale), nn.Diagnostics()
    nn.fit(net, X, Y, loss=nn.BCELoss(), optimizer=nn.SGD(net, lr=0.1), epochs=2, callbacks=[diagnostics], verbose=0)
    assert len(diagnostics.gradients["1"]) == 2
    gradients = nn.per_sample_gradients(net, X, Y, nn.BCELoss())
    loss = nn.BCELoss()
    loss.forward(net.forward(X), Y)
    net.backward(loss.backward())
    np.testing.assert_allclose(gradients["1.gamma"].sum(axis=0), net[1].dgamma, rtol=1e-4, atol=1e-6)
