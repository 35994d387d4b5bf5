"""describe, rebuild and register: models as plain data."""

import copy
import json
import sys
from contextlib import nullcontext

import numpy as np
import pytest
from numpy.testing import assert_array_equal, assert_equal
from support.contract import fork, linear, numbers, run, tied_blocks, two_by_two, used_three_times, with_ties
from support.own_layers import OwnDropout

import nnlite as nn
from nnlite.containers.nodes import Constant
from nnlite.saving import registry
from nnlite.saving.describe import check_size, describe
from nnlite.saving.rebuild import rebuild


@pytest.fixture
def own_classes(monkeypatch):
    """What is registered here is forgotten after the test."""
    monkeypatch.setattr(registry, "_KINDS", dict(registry._KINDS))


def described(model):
    arrays = {}
    return json.loads(json.dumps(describe(model, arrays), allow_nan=False)), arrays


def there_and_back(model):
    description, arrays = described(model)
    return rebuild(description, {name: array.copy() for name, array in arrays.items()})


class Blank(nn.Layer):
    def forward(self, X):
        return X


def is_nnlites(cls):
    """Whether a module of nnlite holds the class: docstrings register classes, too."""
    return cls.__module__.startswith("nnlite.") and getattr(sys.modules[cls.__module__], cls.__name__, None) is cls


def test_every_public_layer_is_registered():
    layers = {name for name in nn.__all__ if isinstance(cls := getattr(nn, name), type) and issubclass(cls, nn.Layer)}
    assert layers - {"Layer"} <= set(registry._KINDS)
    assert all(kind.cls.__name__ == name for name, kind in registry._KINDS.items())
    assert {name for name, kind in registry._KINDS.items() if is_nnlites(kind.cls)} - layers == {
        "Checkpointed",
        "Tied",
        "TiedTranspose",
    }


def test_the_description_of_a_model_is_short_and_plain():
    description, arrays = described(nn.Sequential(nn.Linear(2, 1, bias=False), nn.Softmax(dim=0)).eval())
    assert description == {
        "layers": [
            {"class": "Linear", "arguments": {"W": {"array": "0.W"}, "bias": False}},
            {"class": "Softmax", "arguments": {"dim": 0}},
            {"class": "Sequential", "arguments": {"layers": [{"layer": 0}, {"layer": 1}]}},
        ],
        "parameters": ["0.W"],
        "buffers": [],
        "generators": [],
        "dtype": "<f4",
        "training": False,
    }
    assert list(arrays) == ["0.W"]


def test_describing_changes_nothing():
    model = used_three_times()
    before = model.state_dict()
    Phi = model.Phi
    describe(model, {})
    assert model.Phi is Phi
    assert_equal(model.state_dict(), before)


def test_rebuilding_takes_its_arrays_and_leaves_the_others():
    x, target = nn.Input("x"), np.ones(2)
    model = nn.Graph(x, nn.BCEWithLogitsLoss(weight=[1.0, 2.0])(nn.Linear(3, 2, rng=0)(x), target))
    description, arrays = described(model)
    assert set(arrays) == {"0.W", "0.b", "1.weight", "constants.0"}
    arrays["velocity"] = velocity = np.ones(3)
    loaded = rebuild(description, arrays)
    assert arrays == {"velocity": velocity}
    assert_array_equal(loaded.forward(np.ones(3)), model.forward(np.ones(3)))


def test_two_models_in_one_file_need_names_of_their_own():
    arrays = {}
    describe(nn.Linear(2, 1), arrays)
    with pytest.raises(ValueError, match=r"Linear\(2 -> 1\): there are arrays called W, b already"):
        describe(nn.Linear(2, 1), arrays)


def test_a_part_of_a_model_is_saved_for_itself():
    model = nn.Sequential(nn.Sequential(linear(3, 2), nn.Tanh()), linear(2, 1))
    loaded = there_and_back(model[0])
    assert repr(loaded) == repr(model[0])
    assert_array_equal(loaded.Phi, model[0].Phi)
    nn.Sequential(loaded)  # it belongs to nobody


# -------------------------------------------------------------------------------- ties and graphs


@pytest.mark.parametrize(
    "make",
    [
        with_ties,
        used_three_times,
        tied_blocks,
        lambda: nn.Sequential(nn.tied(first := linear(3, 3)), nn.Tanh(), first),
        lambda: nn.Sequential(block := nn.Sequential(a := linear(3, 3), nn.tied(a)), nn.tied(block)),
        lambda: nn.Sequential(block := nn.Residual(linear(3, 2), nn.Tanh(), linear(2, 3)), nn.tied(block[0])),
    ],
)
def test_ties_are_tied_again(make):
    model, X = make(), numbers(4, 3)
    loaded = there_and_back(model)
    assert_equal(run(loaded, X), run(model, X))
    assert loaded.Phi.size == model.Phi.size
    loaded.Phi *= 0.5
    model.Phi *= 0.5
    assert_equal(run(loaded, X), run(model, X))
    assert_equal(run(copy.deepcopy(loaded), X), run(model, X))


def test_a_tie_out_of_the_model_is_an_error():
    layer = nn.Linear(3, 3)
    with pytest.raises(
        ValueError, match=r"Linear\(3 -> 3\) is not in Sequential\(1 layers\), but a layer there is tied"
    ):
        describe(nn.Sequential(nn.tied(layer)), {})


def test_a_graph_keeps_what_it_knows_of_shapes():
    x = nn.Input("x", shape=(None, 2))
    loaded = there_and_back(nn.Graph(x, nn.Concat()(x, nn.Square()(x))))
    assert loaded.output_shape((None, 2)) == (None, 4)
    with pytest.raises(nn.ShapeError):
        nn.Linear(3, 1)(loaded(nn.Input()))


def test_a_graph_is_called_by_the_same_names():
    loaded = there_and_back(two_by_two())
    assert loaded.input_names == ["a", "b"]
    assert_equal(loaded.forward(b=numbers(4, 2), a=numbers(4, 3)), two_by_two().forward(numbers(4, 3), numbers(4, 2)))
    assert there_and_back(fork()).forward(b=1.0, a=2.0) == 6.0


def test_what_needs_no_gradient_still_needs_none():
    x = nn.Input("x")
    first = linear(2, 2)
    graph = nn.Graph(x, first(Constant(np.ones((1, 2)))) + nn.tied(first)(x))
    loaded = there_and_back(graph)
    assert [layer.needs_dX for layer in loaded.layers] == [layer.needs_dX for layer in graph.layers]
    assert not all(layer.needs_dX for layer in loaded.layers)
    assert_equal(run(loaded, numbers(3, 2)), run(graph, numbers(3, 2)))


# -------------------------------------------------------------------------------- layers of one's own


def test_a_registered_layer_comes_back_with_its_arguments(own_classes):
    @nn.register
    class Own(nn.Layer, parameters=("gamma",)):
        def __init__(self, gamma, part, /, table, *rest, dtype, options=None, rng=None):
            self.dtype = np.dtype(dtype)
            self.gamma = gamma
            self.part, self.table, self.rest, self.options = part, np.asarray(table), rest, options

        def forward(self, X):
            return self.part.forward(X) * self.gamma

    options = {"a": (1, 2.5), 3: [None, float("-inf"), 2**70]}
    first = nn.Linear(2, 3, rng=0, dtype=np.float64)
    model = Own([1.0, 2.0, 3.0], first, np.arange(4), "x", (True,), dtype=float, options=options)
    loaded = there_and_back(nn.Sequential(model, nn.Tanh()))[0]
    assert loaded.options == options
    assert loaded.rest == ("x", (True,))
    assert_array_equal(loaded.table, np.arange(4))
    assert loaded.table.dtype == np.arange(4).dtype
    assert_equal(loaded.state_dict(), model.state_dict())
    assert loaded.gamma.dtype == np.float64
    assert_array_equal(loaded.forward(np.ones(2)), model.forward(np.ones(2)))


def test_what_a_layer_makes_itself_is_made_again(own_classes):
    @nn.register
    class Net(nn.Layer):
        sums_tied = True

        def __init__(self, width):
            self.width = width
            self.first = nn.Linear(width, width, rng=0)
            self.second = nn.tied(self.first)

        def forward(self, X):
            return self.second.forward(self.first.forward(X))

        def backward(self, dY):
            dX = self.first.backward(self.second.backward(dY))
            self.add_tied()
            return dX

    net = Net(2)
    net.Phi *= 2
    model = nn.Sequential(net, nn.Tanh(), nn.tied(net.first))
    net.first.eval()
    description, _ = described(model)
    assert [entry["class"] for entry in description["layers"]] == ["Net", "Tanh", "Tied", "Sequential"]
    loaded = there_and_back(model)
    assert_equal(run(loaded, numbers(4, 2)), run(model, numbers(4, 2)))
    assert loaded[2].original is loaded[0].first
    assert not loaded[0].first.training
    assert loaded[0].second.training


def test_a_layer_of_layers_that_has_no_phi_yet(own_classes):
    @nn.register
    class Twice(nn.Layer):
        def __init__(self, part, **more):
            self.part, self.more = part, more

    loaded = there_and_back(Twice(linear(2, 2), a=1))
    assert loaded.dtype == loaded.part.W.dtype == np.float64
    assert loaded.more == {"a": 1}
    assert np.shares_memory(loaded.Phi, loaded.part.W)


def test_a_layer_that_is_given_what_is_tied_to_its_own_part(own_classes):
    @nn.register
    class Auto(nn.Layer):
        def __init__(self, decoder=None):
            self.encoder = nn.Linear(2, 2)
            self.decoder = nn.tied(self.encoder) if decoder is None else decoder

    with pytest.raises(ValueError, match=r"Auto\(2 layers\): a layer in it is tied to what it makes itself"):
        describe(Auto(), {})
    nn.register(Auto, arguments=lambda layer: {})
    loaded = there_and_back(Auto())
    assert loaded.decoder.original is loaded.encoder


def test_arguments_that_are_told(own_classes):
    class Power(nn.Layer):
        def __init__(self, exponent, **more):
            self.function = lambda X: X**exponent
            self.secret = exponent
            self.more = more

        def forward(self, X):
            return self.function(X)

    Power.__name__ = "PowerOfMine"
    assert nn.register(arguments=lambda layer: {"exponent": layer.secret, "more": layer.more})(Power) is Power
    loaded = there_and_back(Power(3, a=1))
    assert loaded.forward(2.0) == 8.0
    assert loaded.more == {"a": 1}


def test_an_unregistered_class_is_an_error_that_says_so():
    with pytest.raises(
        TypeError,
        match=r"Blank\(\): the class Blank is unregistered, so it cannot be saved; call nnlite.register\(Blank\)",
    ):
        describe(nn.Sequential(nn.Tanh(), Blank()), {})


def test_a_subclass_is_not_registered_by_its_base():
    class Mine(nn.Linear):
        pass

    Same = type("Linear", (nn.Linear,), {})
    for cls in Mine, Same:
        with pytest.raises(TypeError, match="is unregistered"):
            describe(cls(1, 1), {})


@pytest.mark.parametrize(
    ("init", "message"),
    [
        (
            lambda self, n: None,
            r"Own\(\): it has no attribute 'n', so the argument 'n' cannot be saved; return it from",
        ),
        (lambda self, rng: None, "it has no attribute 'rng'"),
        (
            lambda self, n=abs: setattr(self, "n", n),
            "its n is or contains a builtin_function_or_method, so .*register",
        ),
        (lambda self, n=1j: setattr(self, "n", [n]), "its n is or contains a complex"),
        (lambda self, n=int: setattr(self, "n", np.dtype(n)), "its n is or contains a Int"),
        (lambda self, n=0: setattr(self, "n", np.array(["a"])), "its n is or contains a ndarray"),
        (lambda self, **options: None, "it has no attribute 'options'"),
        (lambda self, *rest: None, "it has no attribute 'rest'"),
    ],
)
def test_arguments_that_cannot_be_saved(own_classes, init, message):
    Own = nn.register(type("Own", (Blank,), {"__init__": init}))
    layer = Own(3) if "'n'" in message or "rng" in message else Own()
    with pytest.raises(TypeError, match=message):
        describe(layer, {})


def test_arguments_that_make_no_sense(own_classes):
    nn.register(Blank, arguments=lambda layer: [1])
    with pytest.raises(TypeError, match=r"Blank\(\): expected its arguments by name in a dict, got \[1\]"):
        describe(Blank(), {})
    nn.register(Blank, arguments=lambda layer: {"n": 1})
    with pytest.raises(nn.CheckpointError, match="Blank: the constructor has no argument n"):
        there_and_back(Blank())
    nn.register(Blank, arguments=lambda layer: {"part": nn.Tanh()})
    with pytest.raises(ValueError, match=r"Tanh\(\) is an argument of a layer, but not a part of it"):
        describe(Blank(), {})


def test_what_can_be_registered(own_classes):
    for wrong in 3, int, nn.Tanh():
        with pytest.raises(TypeError, match="register: expected a class of layers"):
            nn.register(wrong)
    with pytest.raises(TypeError, match="arguments: expected a function of a layer, got 3"):
        nn.register(Blank, arguments=3)
    with pytest.raises(ValueError, match="there is another class called Tanh"):
        nn.register(type("Tanh", (nn.Layer,), {}))
    assert nn.register(Blank) is Blank
    assert nn.register(Blank) is Blank  # a cell that is run again


def test_a_file_of_a_class_that_is_not_registered():
    description = {"layers": [{"class": "Own", "arguments": {}}], "parameters": [], "dtype": "<f4", "training": True}
    with pytest.raises(nn.CheckpointError, match="no class is registered as 'Own'; if it is one of yours, import"):
        rebuild(description, {})


# -------------------------------------------------------------------------------- what does not fit


def test_every_mismatch_is_listed():
    description, arrays = described(nn.Sequential(nn.Linear(3, 2), nn.Tanh(), nn.tied(nn.Linear(2, 2)).original))
    description["parameters"] = ["0.W", "0.b", "2.W", "x", "y"]
    arrays["0.b"] = np.zeros(3, np.float64)
    arrays["x"] = np.zeros(2)
    with pytest.raises(nn.CheckpointError) as info:
        rebuild(description, arrays)
    assert str(info.value) == (
        "its arrays do not fit Sequential(3 layers):\n"
        "  2.b: missing, expected (2,) float32\n"
        "  x: unknown, got (2,) float64\n"
        "  0.b: expected (2,) float32, got (3,) float64\n"
        "  y: unknown, and there is no array"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dtype": "<f8"}, r"0\.W: expected \(2, 1\) float64, got \(2, 1\) float32"),
        ({"dtype": "<i4"}, "expected the code of a floating dtype such as '<f4', got '<i4'"),
        ({"dtype": "|O"}, r"expected the code of a floating dtype .*, got '\|O'"),
        ({"training": [True, 1, False]}, r"Linear\(2 -> 1\): expected training mode True or False, got 1"),
        ({"training": [True]}, "damaged"),
        ({"training": None}, "damaged"),
        ({"layers": []}, "damaged"),
        ({"more": 1}, "damaged"),
    ],
)
def test_what_does_not_fit_the_model(change, message):
    description, arrays = described(nn.Sequential(nn.Linear(2, 1), nn.Tanh()))
    with pytest.raises(nn.CheckpointError, match=message):
        rebuild(description | change, arrays)


def test_a_dtype_that_no_layer_can_have():
    for dtype in "<i4", "<f2", "|b1":
        description, arrays = described(nn.Tanh())
        with pytest.raises(nn.CheckpointError, match="expected the code of a floating dtype"):
            rebuild(description | {"dtype": dtype}, arrays)


def test_layers_that_are_not_in_the_model():
    description, arrays = described(nn.Sequential(nn.Tanh()))
    description["layers"].insert(0, {"class": "ReLU", "arguments": {}})
    description["layers"][2]["arguments"]["layers"] = [{"layer": 1}]
    with pytest.raises(nn.CheckpointError, match="it has layers that are not in the model"):
        rebuild(description, arrays)


def test_a_parameter_of_a_graph_keeps_a_value_beyond_float32():
    x = nn.Input("x")
    model = nn.Graph(x, x * nn.Parameter(1e300, dtype=np.float64))
    assert there_and_back(model).Phi.tolist() == [1e300]


def test_layers_that_nest_too_deeply():
    model = nn.Tanh()
    for _ in range(99):
        model = nn.Sequential(model)
    assert repr(there_and_back(model)) == repr(model)
    with pytest.raises(ValueError, match="nest more than 100 deep"):
        nn.Sequential(model)


def test_ties_that_multiply():
    entries = [{"class": "Tanh", "arguments": {}}]
    for number in range(30):
        entries += [
            {"class": "Tied", "arguments": {"original": {"layer": 2 * number}}},
            {"class": "Sequential", "arguments": {"layers": [{"layer": 2 * number}, {"layer": 2 * number + 1}]}},
        ]
    with pytest.raises(ValueError, match="tied to one another too often, for so many"):
        check_size(entries)
    check_size(entries[:11])


# -------------------------------------------------------------------------------- what is saved, told beside the layer


def test_a_class_may_say_itself_what_is_saved_and_how_it_is_made_again(own_classes):
    @nn.register
    class Table(nn.Layer, parameters=("W",)):
        def __init__(self, size):
            self.W = np.zeros(size)

        def saved_arguments(self):
            return {"W": self.W}

        @classmethod
        def from_saved(cls, W):
            return cls(W.shape)

    model = Table(5)
    model.W = np.arange(5)
    description, arrays = described(model)
    assert description["layers"] == [{"class": "Table", "arguments": {"W": {"array": "W"}}}]
    assert_array_equal(rebuild(description, arrays).W, model.W)


def test_a_subclass_with_a_constructor_of_its_own_is_saved_by_that(own_classes):
    @nn.register
    class SquareLinear(nn.Linear):
        def __init__(self, width):
            super().__init__(width, width)
            self.width = width

    model = SquareLinear(3)
    description, arrays = described(model)
    assert description["layers"] == [{"class": "SquareLinear", "arguments": {"width": 3}}]
    assert_array_equal(rebuild(description, arrays).W, model.W)


def test_a_subclass_without_a_constructor_is_saved_as_its_base(own_classes):
    Same = nn.register(type("Same", (nn.Linear,), {}))
    loaded = there_and_back(Same(3, 2))
    assert type(loaded) is Same
    assert loaded.in_features == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ([{"names": ["0.mask"]}], r"0\.mask: Sequential\(2 layers\) has no random generator there"),
        ([{"names": ["0.forward"]}], r"0\.forward: Sequential\(2 layers\) has no random generator there"),
        ([{"names": ["1.rng"]}], r"1\.rng: Sequential\(2 layers\) has no random generator there"),
        ([{"names": "0.rng"}], "has no random generator there"),
        ([{"state": {"dict": []}}], "the state of a random generator is damaged"),
        ([{"state": None}], "the state of a random generator is damaged"),
        ([{"state": 3}], "the state of a random generator is damaged"),
        ([3], "damaged"),
        ({"a": 1}, "damaged"),
    ],
)
def test_generators_that_do_not_fit(change, message):
    description, arrays = described(nn.Sequential(OwnDropout(rng=0), nn.Tanh()))
    (entry,) = description["generators"]
    if isinstance(change, list) and isinstance(change[0], dict):
        change = [entry | change[0]]
    with pytest.raises(nn.CheckpointError, match=message):
        rebuild(description | {"generators": change}, arrays)


def test_a_generator_that_the_description_forgets_is_a_new_one():
    """As in files of version 1."""
    model = nn.Sequential(OwnDropout(), nn.Tanh())
    description, arrays = described(model)
    description["layers"][0]["arguments"] = {"p": 0.5}
    del description["generators"]
    assert rebuild(description, arrays)[0].p == 0.5


def test_names_of_a_graph_are_strings(own_classes):
    x = nn.Input()
    for given in {1: x}, {None: x}:
        with pytest.raises(TypeError, match="expected a dict whose keys are names, got the key"):
            nn.Graph(given, nn.Tanh()(x))
    description, arrays = described(nn.Graph({"x": x}, {"y": nn.Tanh()(x)}))
    description["layers"][-1]["arguments"]["forms"] = {"tuple": [{"tuple": ["x"]}, {"tuple": [1]}]}
    with pytest.raises(nn.CheckpointError, match="expected a dict whose keys are names, got the key 1"):
        rebuild(description, arrays)


def test_layers_that_nest_deeply_and_are_many():
    """A file of 1.4 MB that would have taken minutes."""
    entries = [{"class": "Tanh", "arguments": {}} for _ in range(20_000)]
    entries.append({"class": "Sequential", "arguments": {"layers": [{"layer": n} for n in range(20_000)]}})
    check_size(entries)
    for _ in range(90):
        entries.append({"class": "Sequential", "arguments": {"layers": [{"layer": len(entries) - 1}]}})
    with pytest.raises(ValueError, match="its layers nest too deeply, or are tied"):
        check_size(entries)


@pytest.mark.parametrize(("layers", "parts", "fits"), [(2, 200_028, True), (3, 200_038, False)])
def test_a_model_may_be_so_large_and_no_larger(layers, parts, fits):
    """Each of the layers counts 1, the chain of so many parts 2 (1 + parts): 400,000 + 20 for each, or 1 more."""
    entries = [{"arguments": {}}] * layers + [{"arguments": {"layers": [{"layer": 0}] * parts}}]
    assert layers + 2 * (1 + parts) == 400_000 + 20 * len(entries) + (not fits)
    with nullcontext() if fits else pytest.raises(ValueError, match="its layers nest too deeply, or are tied"):
        check_size(entries)


def test_generators_in_a_list_come_back_with_their_states(path):
    @nn.register
    class Several(nn.Layer):
        def __init__(self):
            self.rngs = [np.random.default_rng(0), {"b": np.random.Generator(np.random.Philox(1))}]

    layer = Several()
    expected = [layer.rngs[0].random(3), layer.rngs[1]["b"].random(3)]
    other = Several()
    other.rngs[0].random(1)  # so that its state is not that of a new one
    other.rngs[1]["b"].random(2)
    nn.save(other, path)
    loaded = nn.load(path)
    assert loaded.rngs[0].random() == expected[0][1]
    assert loaded.rngs[1]["b"].random() == expected[1][2]
