"""State, random numbers, integer inputs and a loss of a user's own, in check_gradients, explain and the steps."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from support.contract import linear, numbers
from support.own_layers import OwnBatchNorm, OwnDropout, OwnEmbedding, OwnLoss, data, network

import nnlite as nn
from nnlite.containers.program import Program
from nnlite.diagnostics.recording import Recording

X = numbers(6, 3)


def everything_of(model):
    """All that the model holds, as bytes: parameters, gradients, buffers, generators and modes."""
    generators = [generator.bit_generator.state for _, generator in model.named_generators()]
    modes = [layer.training for _, layer in model.named_layers()]
    return pickle.dumps((model.state_dict(), model.Phi, model.dPhi, generators, modes))


# ------------------------------------------------------------------------------------------ check_gradients


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("make", [lambda: OwnBatchNorm(3), lambda: OwnDropout(0.4, rng=0)], ids=["norm", "dropout"])
def test_layers_with_a_mode_are_checked_in_both(make, training):
    layer = make().train(training)
    names = [name for name, _ in layer.named_parameters()]
    for model, prefix in (layer, ""), (nn.Sequential(nn.Tanh(), copy.deepcopy(layer), nn.Square()), "1."):
        report = nn.check_gradients(model.train(training), X)
        assert report.right
        assert [line.name for line in report.comparisons] == ["X", *(prefix + name for name in names)]


def test_a_network_of_ones_own_layers_is_checked_in_training_mode():
    model, (indices, target) = network(), data(5)
    report = nn.check_gradients(model, indices, target, OwnLoss())
    assert report.right
    assert [line.name for line in report.comparisons] == [name for name, _ in model.named_parameters()]  # and no X
    assert nn.check_gradients(model, indices).right
    assert nn.check_gradients(model.eval(), indices, target, OwnLoss()).right


def test_check_gradients_leaves_model_loss_and_data_as_they_are():
    model, loss, (indices, target) = network(), OwnLoss(), data(5)
    before, given = everything_of(model), (indices.copy(), target.copy())
    default = nn.initializers.normal  # whatever has no rng= draws from the default generator
    nn.manual_seed(3)
    expected = default(4)
    nn.manual_seed(3)
    nn.check_gradients(model, indices, target, loss)
    assert everything_of(model) == before
    assert_array_equal(indices, given[0])
    assert_array_equal(target, given[1])
    assert vars(loss).keys() == vars(OwnLoss()).keys()
    assert_array_equal(default(4), expected)


class Centred(nn.Layer, buffers=("mean",)):
    """X less a running mean that each forward updates before it is used: ``mean <- 0.9 mean + 0.1 mean of X``."""

    def __init__(self):
        self.mean = np.ones(3)

    def forward(self, X):
        self.mean = 0.9 * self.mean + 0.1 * X.mean(axis=0)
        return X - self.mean

    def backward(self, dY):
        return dY - 0.1 * dY.mean(axis=0)


def test_a_forward_that_depends_on_the_buffers_that_it_updates_is_checked():
    """The derivative of the mean by an entry of X is 0.1 / N."""
    layer = Centred()
    assert nn.check_gradients(layer, X).right
    assert_array_equal(layer.mean, np.ones(3))
    assert nn.check_gradients(nn.Sequential(nn.Tanh(), layer), X).right
    assert_array_equal(layer.mean, np.ones(3))


class NoMask(OwnDropout):
    def backward(self, dY):
        return self.check_dY(dY) / (1 - self.p)


class AnotherMask(OwnDropout):
    def backward(self, dY):
        return dY * (self.rng.random(dY.shape) >= self.p) / (1 - self.p)


class NotScaled(OwnDropout):
    def backward(self, dY):
        return dY * (self.mask > 0)


@pytest.mark.parametrize(
    ("wrong", "array", "kind", "detail"),
    [
        (NoMask, "dX", "wrong entries", {"where": "where Y = 0"}),
        (AnotherMask, "", "random backward", {}),
        (NotScaled, "dX", "wrong factor", {"factor": pytest.approx(3 / 5)}),
    ],
)
def test_a_wrong_dropout_is_found_in_training_mode(wrong, array, kind, detail):
    """As of torch/tutorials#25: dX = dY * mask / (1 - p), with the mask of the forward."""
    with pytest.raises(nn.GradientError) as caught:
        nn.check_gradients(nn.Sequential(nn.Tanh(), wrong(0.4, rng=0), linear(3, 2)), X)
    fault = caught.value.report.fault
    assert (fault.layer, fault.array, fault.kind) == (f"Sequential[1] {wrong.__name__}()", array, kind)
    assert all(fault.detail[name] == value for name, value in detail.items())
    with pytest.raises(nn.GradientError):
        nn.check_gradients(wrong(0.4, rng=0), X)


def test_a_wrong_batch_norm_is_found_in_training_mode():
    class AsInEvaluation(OwnBatchNorm):
        def backward(self, dY):
            self.by_batch = False  # mean and variance are taken for constants
            return super().backward(dY)

    with pytest.raises(nn.GradientError) as caught:
        nn.check_gradients(nn.Sequential(nn.Tanh(), AsInEvaluation(3)), X)
    fault = caught.value.report.fault
    assert (fault.layer, fault.array) == ("Sequential[1] AsInEvaluation()", "dX")
    assert nn.check_gradients(nn.Sequential(nn.Tanh(), AsInEvaluation(3)).eval(), X).right


def test_a_wrong_embedding_is_found():
    """As in makemore: dW of a row is the sum of the dY at which its index occurs."""

    class Overwrites(OwnEmbedding):
        def backward(self, dY):
            self.dW = np.zeros_like(self.W)
            self.dW[self.indices] += dY  # of an index that occurs twice only one counts

    with pytest.raises(nn.GradientError) as caught:
        nn.check_gradients(nn.Sequential(Overwrites(4, 2, rng=0), nn.Tanh()), np.array([1, 3, 1]))
    fault = caught.value.report.fault
    assert (fault.layer, fault.array) == ("Sequential[0] Overwrites()", "dW")
    assert [line.name for line in caught.value.report.comparisons] == ["0.W"]


def test_an_embedding_whose_indices_are_not_declared_is_told_so():
    class Undeclared(OwnEmbedding):
        without_gradient = ()

    with pytest.raises(TypeError, match="indices: expected integers") as caught:
        nn.check_gradients(Undeclared(4, 2), np.array([1, 3, 1]))
    assert any("without_gradient" in note for note in caught.value.__notes__)


def test_undeclared_parameters_are_an_error():
    """As of lightning#2282, where such a layer is not trained, without a word."""

    class Undeclared(nn.Layer):
        def __init__(self):
            self.W = np.ones((3, 2))

        def forward(self, X):
            self.X = X
            return X @ self.W

        def backward(self, dY):
            self.dW = self.X.T @ dY
            return dY @ self.W.T

    for model in Undeclared(), nn.Sequential(nn.Tanh(), Undeclared()):
        with pytest.raises(TypeError, match=r'W is not declared.*parameters=\("W",\)'):
            nn.check_gradients(model, X)


@pytest.mark.parametrize("keys", [["q", "k"], [0, 1]], ids=["dict", "list"])
def test_undeclared_parameters_in_a_dict_or_list_are_an_error(keys):
    """As of pytorch#10817 and #4631, where such parameters are not trained, without a word."""

    class Heads(nn.Layer):
        def __init__(self):
            self.W = {key: np.ones((3, 2)) for key in keys} if keys[0] else [np.ones((3, 2)) for _ in keys]

        def forward(self, X):
            self.X = X
            return X @ self.W[keys[0]] + X @ self.W[keys[1]]

        def backward(self, dY):
            dW = self.X.T @ dY
            self.dW = dict.fromkeys(keys, dW) if keys[0] else [dW, dW]
            return dY @ (self.W[keys[0]] + self.W[keys[1]]).T

    says = rf'W is not declared.*parameters=\("W_{keys[0]}", "W_{keys[1]}",\)\), with an attribute for each array'
    with pytest.raises(TypeError, match=says):
        nn.check_gradients(Heads(), X)
    model = nn.Sequential(linear(3, 3), Heads())
    with pytest.raises(TypeError, match=says):
        nn.fit(model, X, X[:, :2], loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1), verbose=0)


class Bundle:
    def __init__(self, layer):
        self.layer = layer


class Through(nn.Layer):
    """It keeps its layer in an object of the user's own."""

    def __init__(self):
        self.bundle = Bundle(linear(3, 2))

    def forward(self, X):
        return self.bundle.layer.forward(X)

    def backward(self, dY):
        return self.bundle.layer.backward(dY)


def test_layers_in_an_object_that_is_no_layer_are_an_error():
    """As of pytorch#59925, where layers that are not found are not trained, without a word."""
    says = r"Through\(\): bundle holds Linear\(3 -> 2, .*\) in a Bundle, which is no Layer, so it would not be trained"
    with pytest.raises(TypeError, match=says):
        nn.check_gradients(Through(), X)
    with pytest.raises(TypeError, match=says):
        nn.Sequential(linear(3, 3), Through())


def test_an_object_may_hold_layers_through_which_no_gradient_goes_and_layers_of_the_model():
    class Distilled(nn.Linear):
        def __init__(self):
            super().__init__(3, 2, rng=0)
            self.teacher, self.own = Bundle(linear(3, 2)), Bundle(self)

        def forward(self, X):
            self.aim = self.teacher.layer.forward(X)
            return super().forward(X)

        def backward(self, dY):
            assert self.own.layer is self
            return super().backward(dY)

    assert nn.check_gradients(Distilled(), X).right


def test_layers_in_lists_of_lists_are_checked():
    """As of pytorch#715: all 24 parameters are checked, beside the entries of X."""

    class Grid(nn.Layer):
        def __init__(self):
            self.rows = [[linear(3, 3), nn.Tanh()], [linear(3, 3), nn.Tanh()]]

        def forward(self, X):
            for row in self.rows:
                for layer in row:
                    X = layer.forward(X)
            return X

        def backward(self, dY):
            for row in reversed(self.rows):
                for layer in reversed(row):
                    dY = layer.backward(dY)
            return dY

    report = nn.check_gradients(Grid(), X)
    assert report.right
    assert sum(np.prod(line.shape) for line in report.comparisons) == X.size + 2 * 12


class Penalized(nn.Loss):
    """MSE, and half the sum of the squares of a model's weights."""

    def __init__(self, model):
        super().__init__()
        self.model, self.error = model, nn.MSELoss()

    def forward(self, Y, target):
        return self.error.forward(Y, target) + float(np.sum(self.model.W**2)) / 2

    def backward(self, dJ=1.0):
        return self.error.backward(dJ)


class Decayed(nn.Linear):
    """Its backward adds the gradient of the penalty."""

    def backward(self, dY):
        dX = super().backward(dY)
        self.dW += self.W
        return dX


def test_a_loss_that_holds_the_model_differentiates_its_weights():
    """J = mean((X W + b - t)^2) + sum(W^2) / 2: the gradient of the penalty is W."""
    target = numbers(6, 2)
    right, wrong = Decayed(3, 2, rng=0), nn.Linear(3, 2, rng=0)
    assert nn.check_gradients(right, X, target, Penalized(right)).right
    with pytest.raises(nn.GradientError) as caught:
        nn.check_gradients(wrong, X, target, Penalized(wrong))
    found = {line.name: line.right for line in caught.value.report.comparisons}
    assert found == {"X": True, "W": False, "b": True}
    assert not wrong._adopted


def test_a_model_that_its_loss_holds_is_recorded_once():
    model = nn.Sequential(nn.Linear(3, 2, rng=0), nn.Tanh())
    loss = Penalized(model[0])
    with Recording().of(model, loss) as recording:
        loss.forward(model.forward(X), numbers(6, 2))
        model.backward(loss.backward())
    places = [call.place for call in recording.backwards]
    assert places == ["Penalized.error MSELoss()", loss.one_line(), "Sequential[1] Tanh()",
                      "Sequential[0] Linear(3 -> 2)", "Sequential(2 layers)"]  # fmt: skip


def test_a_tied_layer_of_ones_own_is_checked():
    embedding = OwnEmbedding(4, 3, rng=0)
    a, b = nn.Input("a"), nn.Input("b")
    model = nn.Graph([a, b], nn.Multiply()(embedding(a), nn.tied(embedding)(b)))
    report = nn.check_gradients(model, (np.array([0, 3, 1]), np.array([2, 3, 3])))
    assert [(line.name, line.right) for line in report.comparisons] == [("0.W", True)]
    dropout = OwnDropout(0.5, rng=0)
    assert nn.check_gradients(nn.tied(dropout), X).right
    assert nn.check_gradients(nn.Sequential(dropout, nn.tied(dropout)), X).right


# ------------------------------------------------------------------------------------------ errors of a layer


class Own(nn.Layer, parameters=("W",)):
    def __init__(self, shape):
        self.W = np.ones(shape)

    def forward(self, X):
        self.X = X
        return X @ self.W

    def backward(self, dY):
        self.dW = self.X.T @ dY
        return dY @ self.W.T


class NoTransposeOfW(Own):
    def backward(self, dY):
        self.dW = self.X.T @ dY
        return dY @ self.W


class NoTransposeOfX(Own):
    def backward(self, dY):
        self.dW = self.X @ dY
        return dY @ self.W.T


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: NoTransposeOfW((3, 2)), "dY (6, 2) @ W.T (2, 3), X.T (3, 6) @ dY (6, 2)"),
        (lambda: NoTransposeOfX((3, 2)), "dY (6, 2) @ W.T (2, 3), X.T (3, 6) @ dY (6, 2)"),
        (lambda: Own((2, 3)), "X (6, 3) @ W.T (3, 2)"),
    ],
    ids=["W", "X", "forward"],
)
def test_a_missing_transpose_that_changes_shapes_is_named(make, says):
    name = make().one_line()
    for model, place in (make(), name), (nn.Sequential(nn.Tanh(), make()), f"Sequential[1] {name}"):
        with pytest.raises(ValueError, match="matmul") as caught:
            nn.check_gradients(model, X)
        assert f"{place}: is a transpose missing? These products fit: {says}" in caught.value.__notes__


def test_a_parameter_without_a_value_is_named():
    class Forgot(Own):
        def __init__(self):
            pass

    with pytest.raises(ValueError, match="matmul") as caught:
        nn.check_gradients(nn.Sequential(Forgot()), X)
    assert "Sequential[0] Forgot(): W: no value; assign it in __init__" in caught.value.__notes__


# ------------------------------------------------------------------------------------------ steps, program and explain


def test_the_steps_are_bit_identical_to_forward_and_backward():
    model, stepped, (indices, target) = network(), network(), data(5)
    loss, other = OwnLoss(), OwnLoss()
    J = loss.forward(model.forward(indices), target)
    dX = model.backward(loss.backward())
    steps = list(nn.forward_steps(stepped, indices, target, other))
    assert steps[-1].outputs["J"] == J
    assert steps[0].inputs["indices"].dtype.kind == "i"
    walk = list(nn.backward_steps(stepped, loss=other))
    assert dX is None
    assert [step.path for step in walk] == ["loss", *map(str, reversed(range(7)))]
    assert walk[-1].outputs == {}
    assert list(walk[-1].gradients) == ["dW"]
    assert everything_of(stepped) == everything_of(model)
    for step in (*steps, *walk):
        assert str(step)


def test_the_steps_of_a_graph_name_the_gradient_that_there_is():
    class Masked(nn.Layer):
        without_gradient = ("mask",)

        def forward(self, mask, X):
            self.mask = mask
            return X * mask

        def backward(self, dY):
            return dY * self.mask

    m, x = nn.Input("m"), nn.Input("x")
    graph = nn.Graph([m, x], Masked()(m, nn.Tanh()(x) + x))
    graph.forward(np.array([1, 0, 1]), X[0])
    steps = list(nn.backward_steps(graph, np.ones(3)))
    assert [(step.name, step.path, list(step.outputs)) for step in steps] == [
        ("backward", "2", ["dX"]),
        ("backward", "1", ["dX", "dY"]),
        ("backward", "0", ["dX"]),
        ("sum", "x", ["dx"]),
    ]
    assert_array_equal(steps[0].outputs["dX"], [1, 0, 1])


def test_the_flow_of_a_network_of_ones_own_layers():
    found = Program.of(network(), OwnLoss())
    assert [operation.path for operation in found.operations] == [*map(str, range(7)), "loss"]
    assert found.names[found.inputs[0]] == "indices"


def test_explain_derives_no_gradient_of_indices_and_targets():
    model, (indices, target) = network(), data(4)
    before = everything_of(model)
    explanation = nn.explain(model, indices, target, OwnLoss(), values=True)
    assert everything_of(model) == before
    assert "dL/dindices" not in str(explanation)
    assert [remark for remark in explanation.remarks if "has no `formulas`" in remark] == [
        f"{name} has no `formulas`; its forward and backward are shown as calls."
        for name in ("OwnEmbedding", "OwnBatchNorm", "OwnDropout", "OwnLoss")
    ]
    loss = OwnLoss()
    twin = copy.deepcopy(model)
    loss.forward(twin.forward(indices), target)
    twin.backward(loss.backward())
    found = {line.note: line.value for line in explanation.backward}
    for name, dP in twin.named_gradients():
        assert_array_equal(found[name], dP)
    (given,) = [line for line in explanation.given if line.symbol == "indices"]
    assert given.value.dtype.kind == "i"
    with pytest.raises(ValueError, match="no gradient with respect to 'indices'"):
        nn.explain(model, indices, target, OwnLoss(), parameter="indices")


class SaidEmbedding(OwnEmbedding):
    formulas = "Y = take(W, indices, axis=0)"


def test_formulas_of_an_embedding_and_of_a_loss_of_ones_own():
    class SaidLoss(OwnLoss):
        formulas = """
            J = 1 / N * sum(log(cosh(Y - target)))
            dY = dJ / N * tanh(Y - target)
        """

    model = SaidEmbedding(7, 2, rng=0)
    indices = np.array([1, 4, 1])
    explanation = nn.explain(model, indices, np.ones((3, 2)), SaidLoss())
    lines = [str(line) for line in (*explanation.forward, *explanation.backward)]
    assert lines == [
        "y^ = take(W1, indices)",
        "L = 1/n sum(log(cosh(y^ - y)))",
        "dL/dy^ = 1/n tanh(y^ - y)",
        "dL/dW1 = SaidEmbedding.backward(dL/dy^)",
    ]
    assert not [remark for remark in explanation.remarks if "but the layer computes" in remark]
