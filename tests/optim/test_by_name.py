"""Options by names of parameters: weight decay without biases, learning rates by layer, frozen parameters."""

import copy
import pickle
import re

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import nnlite as nn
from nnlite.compute.blocks import BLOCK
from nnlite.diagnostics.own_parameters import own_slices
from nnlite.optim.by_name import ByName


def network(dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    head = nn.Sequential(nn.Linear(4, 3, dtype=dtype, rng=rng), nn.Tanh(), nn.Linear(3, 2, dtype=dtype, rng=rng))
    return nn.Sequential(nn.Linear(2, 4, dtype=dtype, rng=rng), nn.Tanh(), head)


def values_of(layer, values, default=-1.0):
    """The value of each parameter by its name."""
    array = np.full(layer.Phi.size, np.nan)
    for part, value in ByName(layer, values, default, "option").runs:
        assert np.isnan(array[part]).all()
        array[part] = value
    found, start = {}, 0
    for name, P in layer.named_parameters():
        (found[name],) = set(array[start : start + P.size].tolist())
        start += P.size
    return found


# ------------------------------------------------------------------------------------------------ what a key names


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, [-1, -1, -1, -1, -1, -1]),
        ({"W": 1}, [1, -1, 1, -1, 1, -1]),
        ({"2": 1}, [-1, -1, 1, 1, 1, 1]),
        ({"2.2": 1}, [-1, -1, -1, -1, 1, 1]),
        ({"0.b": 1}, [-1, 1, -1, -1, -1, -1]),
        ({"2.W": 1}, [-1, -1, 1, -1, 1, -1]),  # each W in part 2
        ({"2": 1, "2.0": 2}, [-1, -1, 2, 2, 1, 1]),
        ({"2.0": 2, "2": 1}, [-1, -1, 2, 2, 1, 1]),  # in any order
        ({"W": 1, "0.W": 2}, [2, -1, 1, -1, 1, -1]),
        ({"W": 1, "2.W": 2, "2.2.W": 3}, [1, -1, 2, -1, 3, -1]),
        ({"2": 1, "2.b": 2}, [-1, -1, 1, 2, 1, 2]),
        ({"2": 1, "2.b": 2, "b": 3}, [-1, 3, 1, 2, 1, 2]),
        ({"2": 1, "W": 1}, [1, -1, 1, 1, 1, 1]),  # both name 2.0.W, and agree
    ],
)
def test_the_most_specific_key_counts(values, expected):
    names = ["0.W", "0.b", "2.0.W", "2.0.b", "2.2.W", "2.2.b"]
    assert values_of(network(), values) == dict(zip(names, expected, strict=True))


def test_keys_are_whole_names():
    model = nn.Sequential(*[nn.Linear(1, 1) for _ in range(12)])
    assert [name for name, value in values_of(model, {"1": 1}).items() if value == 1] == ["1.W", "1.b"]


def test_names_of_a_part_of_a_graph_and_of_a_layer_of_ones_own():
    x = nn.Input("x")
    graph = nn.Graph([x], nn.Parameter(2.0, name="w") * x + nn.Parameter([1.0, 3.0], name="b"))
    (w, b) = [name for name, _ in graph.named_parameters()]
    assert values_of(graph, {w: 1, b.split(".")[0]: 2}) == {w: 1, b: 2}

    class Model(nn.Layer, parameters=("gamma",)):
        def __init__(self):
            self.gamma = np.ones(2)
            self.encoder = [nn.Linear(2, 2), nn.Linear(2, 2)]

    model = Model()
    assert values_of(model, {"gamma": 1, "encoder": 2, "encoder.1.b": 3}) == {
        "gamma": 1,
        "encoder.0.W": 2,
        "encoder.0.b": 2,
        "encoder.1.W": 2,
        "encoder.1.b": 3,
    }
    assert values_of(model.encoder[1], {"W": 1}) == {"W": 1, "b": -1}  # an optimizer of a part has the part's names


def test_tied_parameters_have_the_name_of_the_layer_that_has_them():
    layer = nn.Linear(2, 2)
    model = nn.Sequential(layer, nn.Tanh(), nn.tied(layer), nn.tied(layer, transpose=True))
    assert values_of(model, {"W": 1, "3": 2}) == {"0.W": 1, "0.b": -1, "3.b": 2}
    with pytest.raises(ValueError, match=r"'2' names no parameter of Sequential\(4 layers\); the parameters are 0\.W"):
        nn.SGD(model, 0.1, lr_factor={"2": 0.5})


@pytest.mark.parametrize("option", ["weight_decay", "lr_factor"])
@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"Wx": 1}, ValueError, r"'Wx' names no parameter of .*; the parameters are 0\.W, 0\.b, 2\.0\.W, 2\.0\.b, 2\."),
        ({"": 1}, ValueError, "'' names no parameter"),
        ({"1": 1}, ValueError, "'1' names no parameter"),
        ({"0.": 1}, ValueError, "'0.' names no parameter"),
        ({0: 1}, TypeError, "expected names of parameters or parts as keys, got 0; write '0'"),
        ({"W": -1}, ValueError, ""),
        ({"W": np.nan}, ValueError, ""),
        ({"W": "1"}, TypeError, ""),
        ({"W": [1]}, TypeError, ""),
        (
            {"2": 0.5, "b": 0},
            ValueError,
            r"'2' and 'b' both name 2\.0\.b, with different values; add '2\.b', which is more specific",
        ),
        ([0.5], TypeError, "expected a"),
        ("W", TypeError, "expected a"),
    ],
)
def test_a_wrong_name_or_number_is_an_error(option, values, error, message):
    optimizer = nn.SGD(network(), 0.1)
    message = rf"^SGD: {option}(: |\['W'\]: expected a ){message}"
    with pytest.raises(error, match=message):
        nn.SGD(network(), 0.1, **{option: values})
    if option == "lr_factor":
        with pytest.raises(error, match=message):
            optimizer.lr_factor = values
        assert optimizer.lr_factor is None
    else:
        optimizer.weight_decay = {"W": 1.0}
        optimizer.weight_decay = values if isinstance(values, dict) else {"W": values}  # found in the step
        before = optimizer.layer.Phi.copy()
        with pytest.raises(error, match=f"^SGD: {option}"):
            optimizer.step()
        assert_array_equal(optimizer.layer.Phi, before)


def test_the_line_to_add_is_the_cure():
    values = {"2": 0.5, "b": 0, "2.b": 0}
    assert values_of(network(), values)["2.0.b"] == 0


def test_a_number_is_no_lr_factor():
    with pytest.raises(TypeError, match=r"^SGD: lr_factor: expected a dict from names of parameters to num"):
        nn.SGD(network(), 0.1, lr_factor=0.5)


def test_an_error_lists_at_most_twelve_parameters():
    model = nn.Sequential(*[nn.Linear(1, 1) for _ in range(7)])
    with pytest.raises(ValueError, match=r"the parameters are 0\.W, .*, 5\.b, \.\.\.$"):
        nn.SGD(model, 0.1, weight_decay={"gamma": 1})


# ------------------------------------------------------------------------------------------------ the steps

OPTIONS = [
    {},
    {"momentum": 0.9},
    {"momentum": 0.9, "nesterov": True},
    {"momentum": 0.9, "dampening": 0.5, "maximize": True},
]
DECAY = {"W": 0.1, "2.2.W": 0.3}
FACTOR = {"0": 0.1, "2.b": 2.0, "2.2.W": 0}
GROUPS = {  # weight decay and factor of each parameter
    "0.W": (0.1, 0.1),
    "0.b": (0, 0.1),
    "2.0.W": (0.1, 1),
    "2.0.b": (0, 2),
    "2.2.W": (0.3, 0),
    "2.2.b": (0, 2),
}


def group_steps(P, gradients, lr, decay, momentum=0.0, dampening=0.0, nesterov=False, maximize=False):
    """The steps of torch.optim.SGD on one parameter group, as its documentation has them, in NumPy."""
    v = None
    for g in gradients:
        g = -g if maximize else g
        g = g + decay * P
        if momentum:
            v = g if v is None else momentum * v + (1 - dampening) * g
            g = g + momentum * v if nesterov else v
        P = P - lr * g
    return P


def parts(vector, model):
    """The part of a vector like Phi that belongs to each parameter."""
    sizes = [P.size for _, P in model.named_parameters()]
    return dict(
        zip([name for name, _ in model.named_parameters()], np.split(vector, np.cumsum(sizes)[:-1]), strict=True)
    )


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize(("dtype", "bar"), [(np.float64, 1e-13), (np.float32, 2e-6)])
def test_steps_are_those_of_parameter_groups(options, dtype, bar):
    model = network(dtype)
    before = parts(model.Phi.copy(), model)
    optimizer = nn.SGD(model, lr=0.05, weight_decay=DECAY, lr_factor=FACTOR, **options)
    gradients = np.random.default_rng(1).normal(size=(50, model.Phi.size)).astype(dtype)
    for gradient in gradients:
        model.dPhi = gradient
        optimizer.step()
    assert model.Phi.dtype == dtype
    split = [parts(gradient, model) for gradient in gradients.astype(np.float64)]
    for name, P in parts(model.Phi, model).items():
        decay, factor = GROUPS[name]
        expected = group_steps(
            before[name].astype(np.float64), [each[name] for each in split], 0.05 * factor, decay, **options
        )
        np.testing.assert_allclose(P, expected, rtol=bar, atol=bar, err_msg=name)


@pytest.mark.parametrize("options", OPTIONS)
def test_torch_with_parameter_groups_takes_the_same_steps(options):
    torch = pytest.importorskip("torch")
    model = network()
    tensors = {name: torch.nn.Parameter(torch.tensor(P.copy())) for name, P in parts(model.Phi, model).items()}
    groups = [
        {"params": [tensors[name]], "lr": 0.05 * factor, "weight_decay": decay}
        for name, (decay, factor) in GROUPS.items()
    ]
    theirs = torch.optim.SGD(groups, lr=0.05, **options)
    ours = nn.SGD(model, lr=0.05, weight_decay=DECAY, lr_factor=FACTOR, **options)
    for gradient in np.random.default_rng(1).normal(size=(50, model.Phi.size)):
        model.dPhi = gradient
        for name, part in parts(gradient, model).items():
            tensors[name].grad = torch.tensor(part.copy())
        ours.step()
        theirs.step()
        for name, P in parts(model.Phi, model).items():
            np.testing.assert_allclose(P, tensors[name].detach().numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_optimizer_equals_one_for_each_part_to_the_bit(options, dtype):
    one, each = network(dtype), network(dtype)
    optimizers = [nn.SGD(one, 0.1, weight_decay={"0": 0.1, "2": 0.3}, lr_factor={"0": 0.3}, **options)]
    separate = [
        nn.SGD(each[0], 0.1 * 0.3, weight_decay=0.1, **options),
        nn.SGD(each[2], 0.1, weight_decay=0.3, **options),
    ]
    for gradient in np.random.default_rng(1).normal(size=(20, one.Phi.size)).astype(dtype):
        one.dPhi = each.dPhi = gradient
        for optimizer in optimizers + separate:
            optimizer.step()
    assert one.Phi.tobytes() == each.Phi.tobytes()


def test_a_model_of_several_blocks():
    model = nn.Sequential(nn.Linear(512, 512, rng=0), nn.Linear(512, 512, rng=1))
    assert model.Phi.size > 2 * BLOCK
    before, gradient = model.Phi.copy(), np.random.default_rng(0).normal(size=model.Phi.size).astype(np.float32)
    model.dPhi = gradient
    nn.SGD(model, 0.5, momentum=0.5, weight_decay={"0.W": 0.25}, lr_factor={"1.W": 0.5, "1.b": 0}).step()
    after, moved = parts(model.Phi, model), parts(before, model)
    g = parts(gradient, model)
    assert_array_equal(after["0.W"], moved["0.W"] - np.float32(0.5) * (g["0.W"] + np.float32(0.25) * moved["0.W"]))
    assert_array_equal(after["0.b"], moved["0.b"] - np.float32(0.5) * g["0.b"])
    assert_array_equal(after["1.W"], moved["1.W"] - np.float32(0.25) * g["1.W"])
    assert_array_equal(after["1.b"], moved["1.b"])


def test_a_schedule_gives_each_parameter_its_share():
    model = nn.Linear(1, 1, dtype=np.float64)
    model.Phi, model.dPhi = [0.0, 0.0], [1.0, 1.0]
    optimizer = nn.SGD(model, lr=nn.ExponentialLR(1.0, 0.5), lr_factor={"b": 4})
    for _ in range(3):
        optimizer.step()
    assert model.Phi.tolist() == [-1.75, -7.0]


class RMSprop(nn.Optimizer):
    arrays, square = ("square",), None

    def move(self, lr):
        dPhi = self.layer.dPhi
        self.square = 0.01 * dPhi**2 + (0 if self.square is None else 0.99 * self.square)
        self.layer.Phi -= lr * dPhi / (np.sqrt(self.square) + 1e-8)


def test_an_optimizer_of_ones_own_has_lr_factor_without_a_line_for_it():
    one, each = network(), network()
    optimizers = [RMSprop(one, 0.1, lr_factor={"0": 0.5, "2.0": 0}), RMSprop(each[0], 0.05), RMSprop(each[2][2], 0.1)]
    for gradient in np.random.default_rng(1).normal(size=(5, one.Phi.size)):
        one.dPhi = each.dPhi = gradient
        for optimizer in optimizers:
            optimizer.step()
    assert one.Phi.tobytes() == each.Phi.tobytes()


def test_an_optimizer_with_a_constructor_of_its_own_is_unchanged():
    class Own(nn.Optimizer):
        def __init__(self, layer, lr):
            super().__init__(layer, lr)

        def move(self, lr):
            assert type(lr) is float
            self.layer.Phi -= lr * self.layer.dPhi

    model = nn.Linear(1, 1, bias=False)
    model.W, model.dW = [[1.0]], [[1.0]]
    optimizer = Own(model, 0.5)
    optimizer.step()
    assert (model.W.item(), optimizer.lr_factor, optimizer.penalty()) == (0.5, None, 0)


# ------------------------------------------------------------------------------------------------ frozen parameters


class Ignoring(nn.Optimizer):
    """Ignores the learning rate."""

    def move(self, lr):
        self.layer.Phi -= self.layer.dPhi


@pytest.mark.parametrize("gradient", [1.0, np.nan, np.inf, -0.0])
@pytest.mark.parametrize(
    "make",
    [
        lambda model, **options: nn.SGD(model, 0.1, **options),
        lambda model, **options: nn.SGD(model, 0.1, momentum=0.9, weight_decay=0.5, nesterov=True, **options),
        lambda model, **options: RMSprop(model, 0.1, **options),
        lambda model, **options: Ignoring(model, 0.1, **options),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_frozen_parameter_does_not_move_by_a_bit(make, gradient):
    model = nn.Linear(2, 2, rng=0)
    model.b = [-0.0, 3.0]
    optimizer, before = make(model, lr_factor={"b": 0}), model.b.tobytes()
    for _ in range(3):
        model.dW, model.db = np.ones((2, 2)), np.full(2, gradient)
        W = model.W.copy()
        optimizer.step()
        assert model.b.tobytes() == before
        assert np.all(model.W < W)


def frozen_body(**options):
    model = network()
    return model, nn.SGD(model, 0.1, lr_factor={"0": 0, "2.0.b": 0}, **options)


X = np.random.default_rng(0).normal(size=(12, 2))
Y = np.random.default_rng(1).normal(size=(12, 2))
SETTINGS = {"loss": nn.MSELoss(), "batch_size": 4, "verbose": 0, "rng": 0}


@pytest.mark.parametrize("clip", [{"clip_norm": 0.5}, {"clip_value": 0.05}])
def test_clipping_does_not_count_what_is_frozen(clip):
    """Equal to a training in which an optimizer of each moving parameter's layer sees that alone."""
    model, optimizer = frozen_body(momentum=0.9)
    frozen = {name: P.copy() for name, P in model.named_parameters() if name in ("0.W", "0.b", "2.0.b")}

    class Huge(nn.Callback):
        def on_backward_end(self, state):
            state.model[0].dPhi[...] = 1e30
            state.model[2][0].db[...] = 1e30

    nn.fit(model, X, Y, optimizer=optimizer, epochs=3, callbacks=[Huge()], **clip, **SETTINGS)
    for name, P in model.named_parameters():
        if name in frozen:
            assert_array_equal(P, frozen[name])

    other, optimizer = frozen_body(momentum=0.9)

    class Zero(nn.Callback):
        def on_backward_end(self, state):
            state.model[0].dPhi[...] = 0
            state.model[2][0].db[...] = 0

    nn.fit(other, X, Y, optimizer=nn.SGD(other, 0.1, momentum=0.9), epochs=3, callbacks=[Zero()], **clip, **SETTINGS)
    np.testing.assert_allclose(model.Phi, other.Phi, rtol=1e-12)


def test_a_gradient_of_a_frozen_parameter_that_is_nan_stops_nothing():
    class Nan(nn.Callback):
        def on_backward_end(self, state):
            state.model[0].dPhi[...] = np.nan

    model, optimizer = frozen_body(momentum=0.9)
    before = model[0].Phi.copy()
    history = nn.fit(model, X, Y, optimizer=optimizer, epochs=2, callbacks=[Nan()], **SETTINGS)
    assert history.epochs == 2
    assert_array_equal(model[0].Phi, before)
    optimizer.lr_factor = {"0": 1e-3}
    with pytest.raises(nn.DivergenceError, match="the gradient is not finite"):
        nn.fit(model, X, Y, optimizer=optimizer, callbacks=[Nan()], **SETTINGS)


def test_a_step_that_overflows_by_its_factor_is_taken_back():
    model = network(np.float32)
    before = model.Phi.copy()
    with pytest.raises(nn.DivergenceError, match="the step overflows"):
        nn.fit(model, X, Y, optimizer=nn.SGD(model, 0.1, lr_factor={"2": 1e42}), epochs=1, **SETTINGS)
    assert_array_equal(model.Phi, before)


def test_gradual_unfreezing():
    model, optimizer = network(), None
    optimizer = nn.SGD(model, 0.1, lr_factor={"0": 0, "2.0": 0})
    moved = []

    class Unfreeze(nn.Callback):
        def on_epoch_begin(self, state):
            if state.epoch == 2:
                optimizer.lr_factor["2.0"] = 1.0  # in place
            if state.epoch == 3:
                optimizer.lr_factor = None
            self.before = state.model.Phi.copy()

        def on_epoch_end(self, state):
            change = state.model.Phi - self.before
            moved.append([path for path, part in own_slices(state.model).items() if change[part].any()])

    nn.fit(model, X, Y, optimizer=optimizer, epochs=3, callbacks=[Unfreeze()], **SETTINGS)
    assert moved == [["2.2"], ["2.0", "2.2"], ["0", "2.0", "2.2"]]


# --------------------------------------------------------------------------------------- when the model changes


def stepped(model, optimizer):
    model.dPhi[...] = 1
    before = model.state_dict()
    optimizer.step()
    return {name: round(float(np.max(before[name] - P)), 5) for name, P in model.named_parameters()}


def test_the_values_are_spread_anew_when_the_model_changes():
    model = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    for _, P in model.named_parameters():
        P[...] = 1
    optimizer = nn.SGD(model, 0.5, weight_decay={"W": 1.0}, lr_factor={"0": 0.5})
    assert stepped(model, optimizer) == {"0.W": 0.5, "0.b": 0.25, "1.W": 1, "1.b": 0.5}
    model.append(nn.Linear(1, 1, weight_init=nn.initializers.constant(value=3.0)))
    model[0].W, model[1].W = [[1.0]], [[1.0]]
    assert stepped(model, optimizer) == {"0.W": 0.5, "0.b": 0.25, "1.W": 1, "1.b": 0.5, "2.W": 2, "2.b": 0.5}
    model.astype(np.float64)
    model[0].W, model[1].W, model[2].W = [[1.0]], [[1.0]], [[3.0]]
    assert stepped(model, optimizer) == {"0.W": 0.5, "0.b": 0.25, "1.W": 1, "1.b": 0.5, "2.W": 2, "2.b": 0.5}
    assert model.Phi.dtype == np.float64
    model[0] = nn.Linear(2, 1, bias=False, dtype=np.float64, weight_init=nn.initializers.constant(value=1.0))
    model[1].W, model[2].W = [[1.0]], [[3.0]]
    assert stepped(model, optimizer) == {"0.W": 0.5, "1.W": 1, "1.b": 0.5, "2.W": 2, "2.b": 0.5}


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_a_copy_has_arrays_of_its_own(copied):
    optimizer = nn.SGD(network(), 0.1, momentum=0.9, weight_decay=DECAY, lr_factor=FACTOR)
    optimizer.layer.dPhi[...] = 1
    optimizer.step()
    other = copied(optimizer)
    other.layer.dPhi[...] = 1
    for each in optimizer, other:
        each.step()
    assert other.layer.Phi.tobytes() == optimizer.layer.Phi.tobytes()
    assert len(pickle.dumps(optimizer)) < len(pickle.dumps(nn.SGD(network(), 0.1, momentum=0.9))) + 1000


def test_the_array_of_learning_rates_is_read_only():
    class Careless(nn.Optimizer):
        def move(self, lr):
            lr *= 2

    with pytest.raises(ValueError, match="read-only"):
        Careless(network(), 0.1, lr_factor={"0": 0.5}).step()


def test_repr_shows_the_names():
    optimizer = nn.SGD(nn.Linear(1, 1), 0.1, weight_decay={"W": 1e-4}, lr_factor={"b": 2})
    assert repr(optimizer) == "SGD(Linear(1 -> 1), lr=0.1, weight_decay={'W': 0.0001}, lr_factor={'b': 2.0})"


def test_a_resumed_training_has_the_same_options_and_bytes(tmp_path):
    def run(epochs, decay, factor, **options):
        model = network()
        optimizer = nn.SGD(model, 0.1, momentum=0.9, weight_decay=decay, lr_factor=factor)
        history = nn.fit(model, X, Y, optimizer=optimizer, epochs=epochs, **options, **SETTINGS)
        return model.Phi.tobytes(), history.to_dict()

    class Stop(nn.Callback):
        def on_batch_end(self, state):
            return (state.epoch, state.batch) == (2, 2)

    path = tmp_path / "c.npz"
    run(3, DECAY, FACTOR, callbacks=[nn.Checkpoint(path), Stop()])
    other_order = dict(reversed(DECAY.items())), dict(reversed(FACTOR.items()))
    assert run(2, *other_order, resume=path) == run(3, DECAY, FACTOR)
    with pytest.raises(nn.CheckpointError) as error:
        run(2, {"W": 0.1}, None, resume=path)
    lines = str(error.value).split("\n  ")[1:]
    assert lines[0] == "optimizer: weight_decay: {'2.2.W': 0.3, 'W': 0.1} in the file, {'W': 0.1} here"
    assert lines[1].startswith("optimizer: lr_factor: {'0': 0.1, '2.2.W': 0.0, '2.b': 2.0} in the file, None here")


def test_sanity_steps_with_names():
    model = network(np.float32)
    optimizer = nn.SGD(model, 0.01, weight_decay={"2.0.W": 0.1}, lr_factor={"0": 0})
    before = model.Phi.copy()
    found = nn.sanity(model, nn.MSELoss(), X, Y, optimizer=optimizer).updates.found
    assert "in layer 2.0" in found
    assert "in layer 0" not in found
    assert_array_equal(model.Phi, before)


# ------------------------------------------------------------------------------------------------ the penalty


def test_weight_decay_without_the_bias():
    """Ridge regression with and without a penalty on the intercept (pytorch#2639): .4588, and not .4352.

    y = x + 0.444 in nine rows with x = 1 and five with x = -1. With q = mean(x^2) = 1, m = mean(x) = 2/7 and the
    weight decay d = 0.1, the minimum of mean((w x + b - y)^2) + d/2 w^2 has (2 q + d) w + 2 m b = 2 mean(x y) and
    2 m w + 2 b = 2 mean(y); with d/2 b^2 as well it has (2 + d) b there.
    """
    x = np.array([[1.0]] * 9 + [[-1.0]] * 5)
    y = x + 0.444
    m, d = 2 / 7, 0.1
    for weight_decay, diagonal, expected in ({"W": d}, 2.0, 0.4588), (d, 2 + d, 0.4352):
        w, b = np.linalg.solve([[2 + d, 2 * m], [2 * m, diagonal]], [2 * np.mean(x * y), 2 * np.mean(y)])
        assert round(b, 4) == expected
        model = nn.Linear(1, 1, dtype=np.float64, rng=0)
        optimizer = nn.SGD(model, lr=0.3, weight_decay=weight_decay)
        history = nn.fit(model, x, y, loss=nn.MSELoss(), optimizer=optimizer, epochs=300, batch_size=14, verbose=0)
        np.testing.assert_allclose(model.Phi, [w, b], rtol=1e-12)
        penalty = d / 2 * (w**2 + (b**2 if diagonal > 2 else 0))
        assert optimizer.penalty() == pytest.approx(penalty, rel=1e-12)
        assert history["penalty"][-1] == optimizer.penalty()
        assert history["loss"][-1] == pytest.approx(np.mean((w * x + b - y) ** 2), rel=1e-10)  # without it


def test_the_penalty_is_what_a_step_descends():
    """Its derivative, by central differences, is what SGD adds to dPhi; frozen parameters have none."""
    model = network()
    optimizer = nn.SGD(model, lr=1.0, weight_decay=DECAY, lr_factor={"0": 0})
    before, numeric = model.Phi.copy(), np.zeros(model.Phi.size)
    for index in range(model.Phi.size):
        values = []
        for change in 1e-5, -1e-5:
            model.Phi = before
            model.Phi[index] += change
            values.append(optimizer.penalty())
        numeric[index] = (values[0] - values[1]) / 2e-5
    model.Phi, model.dPhi = before, np.zeros(before.size)
    optimizer.step()
    assert numeric.any()
    np.testing.assert_allclose(before - model.Phi, numeric, atol=1e-9)


@pytest.mark.parametrize("size", [10, 10_000, 1_000_000])
def test_the_penalty_of_many_float32_parameters_loses_no_digits(size):
    model = nn.Linear(size, 1, bias=False, weight_init=nn.initializers.constant(value=0.1))
    exact = 0.5 / 2 * size * float(np.float32(0.1)) ** 2
    for decay in 0.5, {"W": 0.5}:
        assert nn.SGD(model, 0.1, weight_decay=decay).penalty() == pytest.approx(exact, rel=1e-6)


def test_the_history_has_the_penalty_of_all_optimizers_where_there_is_one():
    model = network()
    optimizers = [nn.SGD(model[0], 0.1, weight_decay=0.5), nn.SGD(model[2], 0.1, weight_decay={"2.W": 0.25})]
    history = nn.fit(model, X, Y, optimizer=optimizers, epochs=2, **SETTINGS)
    expected = 0.25 * np.sum(model[0].Phi ** 2) + 0.125 * np.sum(model[2][2].W ** 2)
    assert list(history) == ["loss", "penalty"]
    assert history["penalty"][-1] == pytest.approx(expected, rel=1e-12)
    assert history["penalty"][0] != history["penalty"][1]
    for optimizer in nn.SGD(model, 0.1), nn.SGD(model, 0.1, weight_decay={"W": 0.0}), RMSprop(model, 0.01):
        assert list(nn.fit(model, X, Y, optimizer=optimizer, **SETTINGS)) == ["loss"]


def test_a_metric_or_a_callback_may_be_called_penalty():
    def penalty(Y_pred, Y):
        return 7.0

    model = network()
    history = nn.fit(model, X, Y, optimizer=nn.SGD(model, 0.1, weight_decay=0.5), metrics=[penalty], **SETTINGS)
    assert history["penalty"] == [7.0]


def test_a_training_from_before_there_was_a_penalty_is_resumed(tmp_path):
    class Forget(nn.Callback):  # as if the file were older
        def on_epoch_end(self, state):
            if state.epoch == 2:
                state.history = nn.History({"loss": state.history["loss"]})

    def run(*callbacks, **options):
        model = network()
        optimizer = nn.SGD(model, 0.1, weight_decay=0.5)
        return model, nn.fit(model, X, Y, optimizer=optimizer, epochs=2, callbacks=callbacks, **options, **SETTINGS)

    path = tmp_path / "c.npz"
    run(Forget(), nn.Checkpoint(path))
    model, history = run(resume=path)
    assert np.isnan(history["penalty"]).tolist() == [True, True, False, False]
    assert history["penalty"][-1] == pytest.approx(0.25 * np.sum(model.Phi**2), rel=1e-12)


def test_a_learning_rate_of_0_moves_nothing():
    for lr in 0.0, lambda step: 0.0:
        model = nn.Linear(2, 1, rng=0)
        model.dPhi, before = np.ones(3), model.Phi.copy()
        nn.SGD(model, lr=lr, lr_factor={"W": 0.5}).step()
        np.testing.assert_array_equal(model.Phi, before)


def test_groups_need_one_key_for_each_parameter():
    model = nn.Sequential(nn.Linear(2, 1), nn.Tanh(), nn.Linear(1, 1))
    found = ByName(model, {"b": 1.0, "0": 1.0, "0.b": 2.0}, 0.0, "clip_norm").groups()
    assert found == [(1.0, [slice(4, 5)]), (1.0, [slice(0, 2)]), (2.0, [slice(2, 3)])]
    agreeing = ByName(model, {"b": 1.0, "0": 1.0}, 0.0, "clip_norm")  # as values, but which norm is limited?
    with pytest.raises(ValueError, match=r"^clip_norm: 'b' and '0' both name 0\.b; add '0\.b', which is more specific"):
        agreeing.groups()


@pytest.mark.parametrize(("layers", "listed"), [(6, "5.b"), (7, "5.b, ...")])
def test_an_unknown_name_lists_at_most_twelve_parameters(layers, listed):
    model = nn.Sequential(*(nn.Linear(1, 1) for _ in range(layers)))
    with pytest.raises(ValueError, match=rf"the parameters are 0\.W, 0\.b, .*, {re.escape(listed)}$"):
        nn.SGD(model, lr=0.1, weight_decay={"nowhere": 1.0})
