"""A user's BatchNorm, Dropout, Embedding and loss, and layers that write into their input, in every tool."""

import copy
import pickle

import numpy as np
import pytest
from support.own_layers import OwnBatchNorm, OwnDropout, OwnEmbedding, OwnLoss, data, network

import nnlite as nn
from nnlite.diagnostics.run import Run
from nnlite.diagnostics.unit_activity import activities

X, Y = data()
numbers = np.random.default_rng(0).normal(size=(24, 2))


def weights_of_numbers(model):
    """dY/dnumbers, the same for all rows."""
    P = dict(model.named_parameters())
    return P["1.W"] @ P["3.W"][4:]


def words_and_numbers():
    """Two inputs, of which only the second has a gradient: Y = Linear([W[words], Linear(numbers)])."""
    words, numbers = nn.Input("words"), nn.Input("numbers")
    h = nn.Concat()(OwnEmbedding(7, 4, rng=0)(words), nn.Linear(2, 4, rng=0)(numbers))
    return nn.Graph([words, numbers], nn.Linear(8, 1, rng=1)(h))


# -------------------------------------------------------------------------------------------- inputs and gradients


def test_the_jacobian_by_the_one_input_with_a_gradient():
    model = words_and_numbers()
    J = nn.jacobian(model, (X[:, 0], numbers), "numbers")
    # the model is linear in the numbers, and rows do not mix
    expected = np.einsum("np,fo->nopf", np.eye(24), weights_of_numbers(model))
    assert J.shape == (24, 1, 24, 2)
    assert pytest.approx(expected, abs=1e-6) == J


@pytest.mark.parametrize(("model", "inputs", "wrt"), [
    (network(), X, "X"),
    (words_and_numbers(), (X[:, 0], numbers), "words"),
    (OwnLoss(), (numbers, numbers), "X2"),
])  # fmt: skip
def test_there_is_no_jacobian_by_an_input_without_a_gradient(model, inputs, wrt):
    with pytest.raises(TypeError, match=rf"jacobian: .* has no gradient with respect to {wrt}"):
        nn.jacobian(model, inputs, wrt)


def test_the_jacobian_by_the_weights_of_an_embedding():
    layer = OwnEmbedding(3, 2, rng=0)
    J = nn.jacobian(layer, np.array([2, 0]), "W")
    assert J.shape == (2, 2, 3, 2)
    assert J[0, 1].tolist() == [[0, 0], [0, 0], [0, 1]]  # Y[0, 1] = W[2, 1]
    assert J[1, 0].tolist() == [[1, 0], [0, 0], [0, 0]]  # Y[1, 0] = W[0, 0]


def test_the_input_gradient_has_the_form_of_the_input_and_none_where_there_is_no_gradient():
    model = words_and_numbers()
    expected = np.tile(weights_of_numbers(model).T, (24, 1))
    words_gradient, gradient = nn.input_gradient(model, (X[:, 0], numbers))
    assert words_gradient is None
    assert gradient == pytest.approx(expected, abs=1e-6)
    by_name = nn.input_gradient(model, {"words": X[:, 0], "numbers": numbers})
    assert list(by_name) == ["words", "numbers"]
    assert by_name["words"] is None
    assert by_name["numbers"] == pytest.approx(expected, abs=1e-6)
    with pytest.raises(TypeError, match=r"input_gradient: Sequential\(7 layers\) has no gradient with respect to its"):
        nn.input_gradient(network(), X)


def test_a_loss_in_a_graph():
    y, target = nn.Input("y"), nn.Input("target")
    model = nn.Graph([y, target], OwnLoss()(nn.Linear(2, 1, rng=0)(y), target))
    W = dict(model.named_parameters())["0.W"]
    expected = np.tanh(numbers @ W - Y) / 24 @ W.T  # d/dx of the mean of log cosh
    gradient, of_target = nn.input_gradient(model, (numbers, Y))
    assert gradient == pytest.approx(expected, abs=1e-6)
    assert of_target is None
    assert nn.jacobian(model, (numbers, Y), "y") == pytest.approx(expected, abs=1e-6)


# ------------------------------------------------------------------------------------------------ per-sample gradients


def test_the_gradients_of_the_samples_add_up():
    model, loss = network().eval(), OwnLoss()
    gradients = nn.per_sample_gradients(model, X, Y, loss)
    norms = nn.per_sample_gradient_norms(model, X, Y, loss)
    loss.forward(model.forward(X), Y)
    model.backward(loss.backward())
    for name, dP in model.named_gradients():
        assert gradients[name].sum(axis=0) == pytest.approx(dP, abs=1e-5)
        assert norms[name] == pytest.approx(np.sqrt((gradients[name].reshape(24, -1) ** 2).sum(axis=1)), abs=1e-5)


@pytest.mark.parametrize("layer", [OwnBatchNorm(4), OwnDropout(rng=0)])
def test_in_training_mode_samples_have_no_gradients_of_their_own(layer):
    model = nn.Sequential(nn.Linear(2, 4, rng=0), layer, nn.Linear(4, 1, rng=1))
    with pytest.raises((ValueError, ZeroDivisionError)) as caught:
        nn.per_sample_gradients(model, numbers, Y, OwnLoss())
    assert "try evaluation mode, model.eval()" in "".join([str(caught.value), *getattr(caught.value, "__notes__", [])])
    nn.per_sample_gradients(model.eval(), numbers, Y, OwnLoss())


class WeightNoise(nn.Layer):
    """Multiplies by random numbers, one for each feature and the same for all rows."""

    def __init__(self, features, rng):
        self.features, self.rng = features, np.random.default_rng(rng)

    def forward(self, X):
        self.scale = self.rng.normal(size=self.features).astype(np.float32)
        return X * self.scale

    def backward(self, dY):
        return dY * self.scale


def test_noise_that_all_samples_share_is_the_same_in_each_run():
    model = nn.Sequential(WeightNoise(2, rng=0), nn.Linear(2, 1, rng=0))
    gradients = nn.per_sample_gradients(model, numbers, Y, nn.MSELoss())
    assert not np.array_equal(gradients["1.W"][0], gradients["1.W"][1])
    assert nn.sanity(model, nn.MSELoss(), numbers, Y).rows.right


# ---------------------------------------------------------------------------------------------------- tables


def test_the_summary_of_indices_and_buffers():
    table = nn.summary(network(), 3)
    assert [row.output_shape for row in table.rows] == [(None, 3, 4), (None, 12), *[(None, 6)] * 4, (None, 1)]
    # the embedding has 7 * 4 parameters; the buffers are the running mean and variance of 6, and a count
    assert [row.parameters for row in table.rows] == [28, 0, 78, 12, 0, 0, 7]
    assert [row.buffers for row in table.rows] == [0, 0, 0, 13, 0, 0, 0]
    assert (table.parameters, table.buffers) == (125, 13)
    head, *_, total = str(table).splitlines()
    assert head.split()[-1] == "buffers"
    assert total.split() == ["total", "125", "500", "13"]
    assert max(map(len, str(table).splitlines())) <= 80


@pytest.mark.parametrize("shape", [((), 2), [(), (2,)], {"words": (), "numbers": 2}])
def test_the_summary_of_several_inputs(shape):
    table = nn.summary(words_and_numbers(), shape)
    assert [row.output_shape for row in table.rows] == [(None, 4), (None, 4), (None, 8), (None, 1)]
    assert "buffers" not in str(table)


@pytest.mark.parametrize("loss", [None, OwnLoss()])
def test_the_profile(loss):
    result = nn.profile(network(), X, None if loss is None else Y, loss, repeats=1)
    norm = next(row for row in result.rows if row.path == "3")
    # cached are the scale, 6 numbers, and the normalised values, 24 x 6; the buffers are no cache
    assert norm.cache_bytes == 4 * (6 + 24 * 6)
    assert norm.backward is not None
    assert all(row.backward for row in result.rows)


# ------------------------------------------------------------------------------------------------------ sanity


@pytest.mark.parametrize("loss", [OwnLoss(), nn.MSELoss()])
@pytest.mark.parametrize("seed", range(3))
def test_sanity_has_no_false_alarm(loss, seed):
    model = network(seed)
    report = nn.sanity(model, loss, X, Y, optimizer=nn.SGD(model, lr=0.01))
    assert report.right, report
    assert report.gradients.found == "match finite differences for 7 parameters"
    assert report.scale.found == "skipped: no input has a gradient"
    assert report.overfitting.right
    assert report.rows.right


def test_sanity_of_a_graph_with_indices_and_numbers():
    report = nn.sanity(words_and_numbers(), nn.MSELoss(), (X[:, 0], numbers), Y)
    assert report.right, report
    assert report.gradients.found == "match finite differences for numbers and 5 parameters"
    report = nn.sanity(words_and_numbers(), nn.MSELoss(), (X[:, 0], 1000 * numbers), Y)
    assert report.scale.found.startswith("column 0 of numbers (and 1 other column) has RMS")


class AlwaysNoisy(nn.Layer):
    """Noise also in evaluation mode."""

    def __init__(self, rng):
        self.rng = np.random.default_rng(rng)

    def forward(self, X):
        return X + 3 * self.rng.normal(size=X.shape[-1]).astype(X.dtype)

    def backward(self, dY):
        return dY.copy()


def test_noise_does_not_keep_sanity_from_overfitting_a_batch():
    model = nn.Sequential(nn.Linear(2, 8, rng=0), nn.Tanh(), AlwaysNoisy(0), nn.Linear(8, 1, rng=1))
    report = nn.sanity(model, nn.MSELoss(), numbers, Y)
    assert report.overfitting.right, report
    assert report.rows.right, report


class Double(nn.Layer):
    """float64 in the middle of a float32 model."""

    def forward(self, X):
        return X.astype(np.float64)

    def backward(self, dY):
        return dY.astype(np.float32)


def test_sanity_compares_rows_with_the_precision_of_the_coarsest_dtype():
    # chainer#139: the rows of a float32 product differ by 8e-7 of 3.5 between a batch and a single row
    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Linear(64, 64, rng=rng), nn.Tanh(), nn.Linear(64, 64, rng=rng), Double())
    X = rng.normal(size=(100, 64))
    for scale in 1.0, 3.0, 10.0:
        assert nn.sanity(model, nn.MSELoss(), X * scale, X).rows.right


# ------------------------------------------------------------------------------------------------------- pictures


def test_the_drawing_has_each_gradient_at_its_own_input():
    text = nn.to_mermaid(words_and_numbers(), (X[:1, 0], numbers[:1]), dY=np.ones((1, 1)))
    (words,) = (line for line in text.splitlines() if "n0 -->" in line)
    (of_numbers,) = (line for line in text.splitlines() if "n1 -->" in line)
    assert "∇" not in words
    assert f"[{X[0, 0]}]" in words  # an integer, and not 3.0
    assert "∇" in of_numbers


class Masked(nn.Layer):
    """The first of two inputs has no gradient."""

    without_gradient = ("mask",)

    def forward(self, mask, X):
        self.mask = mask
        return mask * X

    def backward(self, dY):
        return dY * self.mask


def test_the_drawing_where_the_first_input_of_a_layer_has_no_gradient():
    mask, x = nn.Input("mask"), nn.Input("x")
    text = nn.to_mermaid(nn.Graph([mask, x], Masked()(mask, nn.Square()(x))), (2, 3.0))
    # d(mask x^2)/dx^2 = mask = 2, and d/dx = 2 * 2 x = 12
    assert [line.split("|")[1] for line in text.splitlines() if "-->" in line] == [
        '"3<br/>∇ 12"', '"mask = 2"', '"X = 9<br/>∇ 2"', '"18<br/>∇ 1"'
    ]  # fmt: skip
    text = nn.to_mermaid(nn.Graph([mask, x], Masked()(mask, x) + x), (2, 3.0))
    nodes = [line.strip() for line in text.splitlines()[2:4]]
    assert nodes == ['n0(["mask"]):::input', 'n1(["x<br/>∇ sum 3"]):::input']  # 2 by Masked, and 1 by the sum


def test_a_model_of_indices_is_drawn():
    text = nn.to_mermaid(network(), X[:2], dY=np.ones((2, 1)))
    assert text.count("∇") == 7  # behind each layer, and none before the first
    assert nn.to_mermaid(network()).count("-->") == 8


def test_large_indices_are_drawn_in_all_their_digits():
    assert '"123456"' in nn.to_mermaid(OwnEmbedding(200_000, 1, rng=0), np.array(123456))


# -------------------------------------------------------------------------------------------- nothing is changed


class InPlace(nn.Layer):
    """Writes into its input, as numpy-saliency#2 did, and into dY."""

    def forward(self, X):
        X *= 2
        return X.copy()

    def backward(self, dY):
        dY *= 2
        return dY.copy()


class Twice(nn.Layer):
    def forward(self, X):
        return 2 * X

    def backward(self, dY):
        return 2 * dY


TOOLS = {
    "sanity": lambda model, X, Y: nn.sanity(model, nn.MSELoss(), X, Y),
    "jacobian": lambda model, X, Y: nn.jacobian(model, X),
    "input_gradient": lambda model, X, Y: nn.input_gradient(model, X),
    "profile": lambda model, X, Y: nn.profile(model, X, Y, nn.MSELoss(), repeats=1),
    "per_sample_gradients": lambda model, X, Y: nn.per_sample_gradients(model, X, Y, nn.MSELoss()),
    "per_sample_gradient_norms": lambda model, X, Y: nn.per_sample_gradient_norms(model, X, Y, nn.MSELoss()),
    "to_mermaid": lambda model, X, Y: nn.to_mermaid(model, X, dY=Y),
    "activities": lambda model, X, Y: activities(model, X),
    "run": lambda model, X, Y: Run(model).forward(X),
}


@pytest.mark.parametrize("tool", TOOLS)
def test_a_layer_that_writes_into_its_input_does_not_change_the_arrays_of_the_caller(tool):
    x, y = np.ones((4, 2), np.float32), np.ones((4, 2), np.float32)
    TOOLS[tool](nn.Sequential(InPlace()), x, y)
    assert np.array_equal(x, np.ones((4, 2)))
    assert np.array_equal(y, np.ones((4, 2)))


def test_the_results_are_those_of_a_layer_that_does_not():
    x = np.array([1.0, 3.0], np.float32)
    assert nn.jacobian(InPlace(), x).tolist() == [[2, 0], [0, 2]]
    assert nn.input_gradient(InPlace(), x).tolist() == [2, 2]
    assert Run(InPlace()).forward(x).tolist() == [2, 6]
    of_right, of_in_place = (
        nn.per_sample_gradients(nn.Sequential(nn.Linear(2, 1, rng=0), layer), numbers, Y, nn.MSELoss())
        for layer in (Twice(), InPlace())
    )
    assert np.array_equal(of_right["0.W"], of_in_place["0.W"])


def test_sanity_names_the_layer_that_writes_into_its_input():
    model = nn.Sequential(nn.Linear(2, 2, rng=0), InPlace(), nn.Linear(2, 1, rng=1))
    check = nn.sanity(model, nn.MSELoss(), numbers, Y).gradients
    assert check.right is False
    assert check.found == "Sequential[1] InPlace(): forward modifies X in place"
    assert check.cure == "compute a new array instead"
    of_right, of_in_place = (
        nn.sanity(
            nn.Sequential(layer, nn.Linear(2, 8, rng=0), nn.Tanh(), nn.Linear(8, 1, rng=1)), nn.MSELoss(), numbers, Y
        )
        for layer in (Twice(), InPlace())
    )
    for name in "scale", "rows", "units", "updates", "overfitting":
        one, other = of_right.checks[name], of_in_place.checks[name]
        assert other.found.replace("InPlace", "Twice") == one.found


@pytest.mark.parametrize("tool", TOOLS)
def test_buffers_and_generators_stay_as_they_are(tool):
    model = nn.Sequential(nn.Linear(2, 4, rng=0), OwnBatchNorm(4), OwnDropout(rng=0), nn.Linear(4, 2, rng=1))
    model.forward(numbers.astype(np.float32))
    model.train(tool not in ("per_sample_gradients", "per_sample_gradient_norms"))
    before = pickle.dumps(copy.deepcopy(model))
    TOOLS[tool](model, numbers, numbers)
    assert pickle.dumps(copy.deepcopy(model)) == before
