"""from_torch and to_torch: PyTorch's names and layouts, there and back, all of it or nothing.

Names, shapes and formulas are those of PyTorch's documentation; where it is installed, its modules are asked as well.
"""

import copy
from functools import partial
from typing import ClassVar

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal, assert_equal
from support.case import case
from support.contract import ROWS, numbers
from support.contract_row import one_of_each
from support.oracle.cases import CASES
from support.oracle.record import RECURRENT, torch_attention, torch_module, torch_recurrent
from support.oracle.table import Case

import nnlite as nn
from nnlite.basics.trees import listed, spread

# What the documentation of torch.nn says of each module; no two sizes of an array are alike.
DOCUMENTED = [
    (lambda: nn.Linear(2, 3), {"weight": (3, 2), "bias": (3,)}),
    (lambda: nn.Linear(2, 3, bias=False), {"weight": (3, 2)}),
    (lambda: nn.Bilinear(2, 3, 4), {"weight": (4, 2, 3), "bias": (4,)}),
    (lambda: nn.Conv1d(4, 6, 3, groups=2), {"weight": (6, 2, 3), "bias": (6,)}),
    (lambda: nn.Conv2d(2, 3, (4, 5), bias=False), {"weight": (3, 2, 4, 5)}),
    (lambda: nn.Conv3d(2, 3, (4, 5, 6)), {"weight": (3, 2, 4, 5, 6), "bias": (3,)}),
    (lambda: nn.PReLU(3), {"weight": (3,)}),
    (lambda: nn.Embedding(4, 3), {"weight": (4, 3)}),
    (lambda: nn.EmbeddingBag(4, 3, padding_idx=1), {"weight": (4, 3)}),
    (lambda: nn.LSTMCell(2, 3), {"weight_ih": (12, 2), "weight_hh": (12, 3), "bias_ih": (12,), "bias_hh": (12,)}),
    (lambda: nn.RNN(2, 3, bias=False), {"weight_ih_l0": (3, 2), "weight_hh_l0": (3, 3)}),
    (
        lambda: nn.GRU(2, 3, 2, bidirectional=True),
        {
            f"{array}_l{number}{end}": shape
            for number in (0, 1)
            for end in ("", "_reverse")
            for array, shape in [
                ("weight_ih", (9, 6 if number else 2)),
                ("weight_hh", (9, 3)),
                ("bias_ih", (9,)),
                ("bias_hh", (9,)),
            ]
        },
    ),
    (
        lambda: nn.MultiheadAttention(4, 2),
        {"in_proj_weight": (12, 4), "in_proj_bias": (12,), "out_proj.weight": (4, 4), "out_proj.bias": (4,)},
    ),
    (
        lambda: nn.MultiheadAttention(4, 2, kdim=3, vdim=5, bias=False),
        {"q_proj_weight": (4, 4), "k_proj_weight": (4, 3), "v_proj_weight": (4, 5), "out_proj.weight": (4, 4)},
    ),
    (lambda: nn.LayerNorm((2, 3)), {"weight": (2, 3), "bias": (2, 3)}),
    (lambda: nn.LayerNorm(3, bias=False), {"weight": (3,)}),
    (lambda: nn.LayerNorm(3, elementwise_affine=False), {}),
    (lambda: nn.RMSNorm(3), {"weight": (3,)}),
    (lambda: nn.GroupNorm(2, 4), {"weight": (4,), "bias": (4,)}),
    (lambda: nn.InstanceNorm2d(3, affine=True), {"weight": (3,), "bias": (3,)}),
    *(
        (
            lambda kind=kind, options=options: kind(3, **options),
            {"weight": (3,), "bias": (3,), "running_mean": (3,), "running_var": (3,), "num_batches_tracked": ()},
        )
        for kind, options in [
            (nn.BatchNorm1d, {}),
            (nn.BatchNorm2d, {}),
            (nn.BatchNorm3d, {}),
            (nn.InstanceNorm1d, {"affine": True, "track_running_stats": True}),
        ]
    ),
    (
        lambda: nn.BatchNorm1d(3, affine=False),
        {"running_mean": (3,), "running_var": (3,), "num_batches_tracked": ()},
    ),
]


def changed(layer):
    """The layer with other parameters and buffers, which no constructor gives."""
    for n, (_, P) in enumerate([*layer.named_parameters(), *layer.named_buffers()]):
        P[...] = np.round(3 * np.abs(np.cos(n + np.arange(P.size))), 3).reshape(P.shape) + (P.dtype.kind == "i")
    return layer


def network():
    return nn.Sequential(nn.Linear(4, 4, rng=0), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2, rng=1))


def arrays():
    """A state dict of :func:`network` as PyTorch has it."""
    state = {"0.weight": numbers(4, 4), "0.bias": numbers(4)}
    state |= {"1.weight": numbers(4), "1.bias": -numbers(4), "1.running_mean": numbers(4) + 1}
    state |= {"1.running_var": np.array([1.0, 2.0, 3.0, 4.0]), "1.num_batches_tracked": np.array(7)}
    return state | {"3.weight": numbers(2, 4), "3.bias": numbers(2)}


def of_modules(paths, state=None):
    """The state dict with other paths of modules."""
    return {f"{paths[key.split('.')[0]]}.{key.split('.')[1]}": value for key, value in (state or arrays()).items()}


OTHER = {"0": "fc1", "1": "norm", "3": "fc2"}


def message(layer, state, **options):
    """The error of from_torch, which has loaded nothing."""
    before = layer.state_dict()
    with pytest.raises((ValueError, TypeError)) as info:
        nn.from_torch(layer, state, **options)
    assert_equal(layer.state_dict(), before)
    return str(info.value)


# ------------------------------------------------------------------------------------------- names and layouts


@pytest.mark.parametrize(("make", "documented"), DOCUMENTED)
def test_names_and_shapes_are_those_that_pytorch_documents(make, documented):
    layer = changed(make())
    state = nn.to_torch(layer)
    assert {name: array.shape for name, array in state.items()} == documented
    assert all(array.flags.c_contiguous and array.dtype in (np.float32, np.int64) for array in state.values())
    other = make()
    assert nn.from_torch(other, state) is other
    assert_equal(other.state_dict(), layer.state_dict())


def test_a_square_linear_computes_x_w_transposed_plus_b():
    weight, bias, X = numbers(3, 3), numbers(3), numbers(5, 3)
    layer = nn.from_torch(nn.Linear(3, 3, dtype=np.float64), {"weight": weight, "bias": bias})
    assert_allclose(layer.forward(X), X @ weight.T + bias, rtol=1e-14)
    assert_array_equal(nn.to_torch(layer)["weight"], weight)


def test_a_whole_network_computes_what_its_arrays_say():
    state, X = arrays(), numbers(5, 4)
    model = nn.from_torch(network().astype(np.float64), state).eval()
    H = X @ state["0.weight"].T + state["0.bias"]
    H = (H - state["1.running_mean"]) / np.sqrt(state["1.running_var"] + 1e-5) * state["1.weight"] + state["1.bias"]
    assert_allclose(model.forward(X), np.tanh(H) @ state["3.weight"].T + state["3.bias"], rtol=1e-13)
    assert model[1].num_batches_tracked == 7


@pytest.mark.parametrize("row", one_of_each([row for row in ROWS if row.layer.state_dict()]), ids=lambda row: row.id)
def test_every_layer_comes_back_as_it_was(row):
    layer, other = changed(row.make()), row.make()
    nn.from_torch(other, nn.to_torch(layer))
    assert_equal(other.state_dict(), layer.state_dict())
    by_order = row.make()
    nn.from_torch(by_order, {f"net.{name}": array for name, array in nn.to_torch(layer).items()}, by_order=True)
    assert_equal(by_order.state_dict(), layer.state_dict())


def test_what_to_torch_returns_is_a_copy():
    model = network()
    before = model.state_dict()
    for array in nn.to_torch(model).values():
        array[...] = 3
    assert_equal(model.state_dict(), before)


# ------------------------------------------------------------------------------------------- containers


def test_the_paths_in_containers():
    theta, X = nn.Parameter(np.ones(3), name="theta"), nn.Input()
    graph = nn.Graph(X, nn.Linear(2, 3)(X) * theta)
    assert list(nn.to_torch(graph)) == ["theta", "1.weight", "1.bias"]
    assert list(nn.to_torch(nn.Parameter(1.0))) == ["value"]
    parts = nn.Sequential(nn.Residual(nn.Linear(3, 3)), nn.Parallel(nn.Linear(3, 1), nn.PReLU()))
    assert list(nn.to_torch(parts)) == ["0.0.weight", "0.0.bias", "1.0.weight", "1.0.bias", "1.1.weight"]


def test_attributes_are_named_as_in_a_module_of_pytorch():
    class Net(nn.Layer):
        def __init__(self):
            self.encoder = nn.Sequential(nn.Linear(2, 3))
            self.heads = [nn.Linear(3, 1), nn.Linear(3, 2)]

    names = ["encoder.0.weight", "encoder.0.bias", "heads.0.weight", "heads.0.bias", "heads.1.weight", "heads.1.bias"]
    assert list(nn.to_torch(Net())) == names


def test_a_layer_of_ones_own_says_its_names_and_a_subclass_inherits_them():
    class Skewed(nn.Linear, parameters=("slope",), buffers=("seen",)):
        def __init__(self):
            super().__init__(2, 3)
            self.slope, self.seen = np.ones(3), 0

    class Turned(nn.Layer, parameters=("A", "alpha")):
        torch_names: ClassVar = {"A": "matrix.T"}

        def __init__(self):
            self.A, self.alpha = np.ones((2, 3)), 1.0

    shapes = {name: array.shape for name, array in nn.to_torch(nn.Sequential(Skewed(), Turned())).items()}
    skewed = {"0.weight": (3, 2), "0.bias": (3,), "0.slope": (3,), "0.seen": ()}
    assert shapes == skewed | {"1.matrix": (3, 2), "1.alpha": ()}


def tied_network():
    first = nn.Linear(4, 3, rng=0)
    return nn.Sequential(first, nn.Tanh(), nn.tied(first, transpose=True), nn.tied(first), nn.PReLU())


def test_tied_layers_are_listed_twice_and_read_once_or_twice():
    model = changed(tied_network())
    state = nn.to_torch(model)
    assert list(state) == [
        *("0.weight", "0.bias", "2.bias", "2.weight", "3.weight", "3.bias", "4.weight"),
    ]
    assert_array_equal(state["2.weight"], state["0.weight"].T)
    assert_array_equal(state["3.weight"], state["0.weight"])
    once = {name: array for name, array in state.items() if name not in ("2.weight", "3.weight", "3.bias")}
    for given in state, once:
        for options in {}, {"by_order": True}:
            assert_equal(nn.from_torch(tied_network(), given, **options).state_dict(), model.state_dict())
    assert message(tied_network(), state | {"3.bias": np.zeros(3)}) == (
        "Sequential(5 layers): the state dict of PyTorch does not fit, nothing was loaded:\n"
        "  3.bias: the layers are tied, expected the numbers of 0.bias, got others"
    )


def test_of_tied_layers_either_name_will_do():
    """safetensors keeps the name that is the first in the alphabet, whichever of the layers that is."""
    model = changed(tied_network())
    state = nn.to_torch(model)
    for left_out in ("0.weight", "3.weight"), ("0.weight", "2.weight"), ("0.weight", "2.weight", "0.bias"):
        with case(left_out):
            given = {name: array for name, array in state.items() if name not in left_out}
            assert_equal(nn.from_torch(tied_network(), given).state_dict(), model.state_dict())
    neither = {name: array for name, array in state.items() if name not in ("0.bias", "3.bias")}
    assert message(tied_network(), neither) == (
        "Sequential(5 layers): the state dict of PyTorch does not fit, nothing was loaded:\n"
        "  0.bias: missing, expected (3,)"
    )
    two = {name: array for name, array in state.items() if name != "0.weight"} | {"3.weight": np.zeros((3, 4))}
    assert "3.weight: the layers are tied, expected the numbers of 2.weight, got others" in message(tied_network(), two)


def test_the_count_of_batches_may_be_missing():
    """PyTorch 0.4.0 and before had none, and files of that time are still in use."""
    for make in partial(nn.BatchNorm2d, 3), partial(nn.InstanceNorm1d, 3, affine=True, track_running_stats=True):
        layer, other = changed(make()), make()
        state = nn.to_torch(layer)
        del state["num_batches_tracked"]
        other.num_batches_tracked = np.array(7)
        nn.from_torch(other, state)
        assert_array_equal(other.running_var, layer.running_var)
        assert other.num_batches_tracked == 7
        del state["running_var"]
        assert message(make(), state).endswith("  running_var: missing, expected (3,)")


def test_tied_layers_in_order():
    """A module that follows is that of the tied layer only if it has its numbers."""
    for tied_first in False, True:
        layer, last = nn.Linear(3, 3, rng=0), nn.Linear(3, 3, rng=1)
        model = nn.Sequential(*[layer, nn.tied(layer)][:: -1 if tied_first else 1], last)
        a, b = ({"weight": numbers(3, 3) + n, "bias": np.array([n, np.nan, 1])} for n in (1, 2))
        for modules in ({"x": a, "z": b}, {"x": a, "y": a, "z": b}):
            state = {f"{path}.{name}": array for path, module in modules.items() for name, array in module.items()}
            with case((tied_first, list(state))):
                nn.from_torch(model, state, by_order=True)
                assert_array_equal(layer.W, np.float32(a["weight"]).T)
                assert_array_equal(last.W, np.float32(b["weight"]).T)
        state = {f"{n}.{name}": array for n, module in enumerate([a, a, b]) for name, array in module.items()}
        assert_array_equal(nn.from_torch(model, state)[2].b, b["bias"])
        text = message(model, {f"net{n}.{name}": "a" for n in range(3) for name in a})
        assert "net0.weight: unexpected" in text


def test_a_part_of_a_model_is_loaded_in_place():
    model = network()
    Phi = model.Phi
    nn.from_torch(model[0], {"weight": np.zeros((4, 4)), "bias": np.ones(4)})
    assert model.Phi is Phi
    assert_array_equal(Phi[:20], [0] * 16 + [1] * 4)


def test_layers_without_arrays_take_and_give_none():
    assert nn.to_torch(nn.Sequential(nn.Tanh())) == {}
    nn.from_torch(nn.Sequential(nn.Tanh()), {})


# ------------------------------------------------------------------------------------------- other names


@pytest.mark.parametrize("options", [{"names": OTHER}, {"by_order": True}], ids=["names", "order"])
def test_modules_with_other_paths(options):
    model = nn.from_torch(network(), of_modules(OTHER), **options)
    assert_equal(model.state_dict(), nn.from_torch(network(), arrays()).state_dict())


def test_names_replace_the_longest_path_also_on_the_way_back():
    model = nn.Parallel(network(), network())
    names = {"": "model", "0": "a", "0.3": "head", "1.1": "model.norm"}
    paths = {"0": "a.0", "1": "a.1", "3": "head"}, {"0": "model.1.0", "1": "model.norm", "3": "model.1.3"}
    state = of_modules(paths[0]) | of_modules(paths[1])
    nn.from_torch(model, state, names=names)
    assert nn.to_torch(model, names=names).keys() == state.keys()
    many = nn.to_torch(nn.Sequential(*(nn.PReLU() for _ in range(11))), names={"1": "a"})
    assert list(many)[1] == "a.weight"
    assert list(many)[10] == "10.weight"
    nn.from_torch(nn.Sequential(nn.Linear(4, 4)), {"weight": numbers(4, 4), "bias": numbers(4)}, names={"0": ""})


def test_what_may_be_meant_is_said():
    assert message(network(), of_modules(OTHER)).endswith(
        "\n  fc2.bias: unexpected, got (2,)\nIn this order everything fits: "
        "pass names={'0': 'fc1', '1': 'norm', '3': 'fc2'} if that is meant, or by_order=True"
    )
    prefixed = {f"module.net.{key}": value for key, value in arrays().items()}
    assert message(network(), prefixed).endswith("Everything fits in one module: pass names={'': 'module.net'}")
    nn.from_torch(network(), prefixed, names={"": "module.net"})


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"names": {"2": "fc1"}}, r"names: the model has no layer with arrays at '2', only at '0', '1', '3'"),
        ({"names": {"0": 1}}, "names: expected the paths of layers and modules"),
        ({"names": ["fc1"]}, "names: expected the paths of layers and modules"),
        ({"names": OTHER, "by_order": True}, "expected names or by_order=True, not both"),
    ],
)
def test_names_that_do_not_fit_the_model(options, error):
    assert error.replace("\\", "") in message(network(), arrays(), **options)


def test_two_arrays_under_one_name_are_an_error():
    with pytest.raises(ValueError, match=r"'fc\.weight' would be the name of two arrays"):
        nn.to_torch(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), names={"0": "fc", "1": "fc"})


# ------------------------------------------------------------------------------------------- misfits


def test_one_message_lists_every_misfit():
    state = arrays() | {"0.weight": numbers(3, 4), "3.weight": numbers(4, 2), "2.weight": numbers(1)}
    state |= {"1.bias": np.ones(4, int), "1.num_batches_tracked": np.array(1.0), "0.bias": np.array(["a"] * 4)}
    state |= {"1.running_mean": np.full(4, 1e300)}
    del state["1.weight"]
    assert message(network(), state).splitlines() == [
        "Sequential(4 layers): the state dict of PyTorch does not fit, nothing was loaded:",
        "  0.weight: expected (4, 4), which is W (4, 4) transposed, got (3, 4)",
        "  0.bias: expected real numbers, got <U1",
        "  1.weight: missing, expected (4,)",
        "  1.bias: expected floating numbers, got int64",
        "  1.running_mean: has numbers that are too large for float32",
        "  1.num_batches_tracked: expected int64, got float64",
        "  3.weight: expected (2, 4), which is W (4, 2) transposed, got (4, 2)",
        "  2.weight: unexpected, got (1,)",
    ]


def test_parts_of_one_array_are_below_each_other():
    layer = changed(nn.MultiheadAttention(4, 2, dtype=np.float64))
    state = nn.to_torch(layer)
    assert_array_equal(state["in_proj_weight"], np.concatenate([layer.W_q.T, layer.W_k.T, layer.W_v.T]))
    assert_array_equal(state["in_proj_bias"], np.concatenate([layer.b_q, layer.b_k, layer.b_v]))
    other = nn.Sequential(nn.Linear(3, 4), nn.MultiheadAttention(4, 2)).astype(np.float64)
    whole = nn.to_torch(other) | {f"1.{name}": array for name, array in state.items()}
    assert_equal(nn.from_torch(other, whole, by_order=True)[1].state_dict(), layer.state_dict())
    whole["1.in_proj_weight"] = np.ones((11, 4))
    del whole["1.in_proj_bias"]
    assert message(other, whole).splitlines()[1:] == [
        "  1.in_proj_weight: expected (12, 4), 3 parts below each other, got (11, 4)",
        "  1.in_proj_bias: missing, expected (12,), 3 parts below each other",
    ]


def test_modules_in_another_order_are_not_loaded():
    paths = {"1": "norm", "0": "fc1", "3": "fc2"}
    state = of_modules(OTHER)
    state = {key: state[key] for path in paths.values() for key in state if key.startswith(path)}
    text = message(network(), state, by_order=True)
    assert "0.weight: missing, expected (4, 4), which is W (4, 4) transposed" in text or "norm.weight: expected" in text
    assert "fc1.weight: unexpected, got (4, 4)" in text or "fc1.weight" in text


@pytest.mark.parametrize(
    ("state", "error"),
    [
        ([1], "expected a dict of arrays, got list"),
        (network(), r"expected a dict of arrays, got Sequential; pass module.state_dict()"),
        ({"model": {"0.weight": 1}}, "expected arrays, got a dict called 'model'; pass state['model']"),
    ],
)
def test_what_is_no_state_dict(state, error):
    assert error in message(network(), state)


def test_what_is_no_layer():
    for call in lambda: nn.from_torch(nn.Linear, {}), lambda: nn.to_torch({}):
        with pytest.raises(TypeError, match="expected a Layer"):
            call()


def test_long_doubles_are_refused():
    with pytest.raises(TypeError, match=r"PyTorch has no .*; use a copy, model.astype\(np.float64\)"):
        nn.to_torch(network().astype(np.longdouble))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_floating_arrays_are_rounded_to_the_dtype_of_the_layer(dtype):
    given = np.array([1 / 3, 1e-30, 1.0]).astype(dtype)
    layer = nn.from_torch(nn.PReLU(3), {"weight": given})
    assert layer.W.dtype == np.float32
    assert_array_equal(layer.W, given.astype(np.float32))


def test_infinite_and_missing_numbers_are_loaded_as_they_are():
    given = np.array([np.inf, -np.inf, np.nan])
    assert_array_equal(nn.from_torch(nn.PReLU(3), {"weight": given}).W, given)


def test_files_for_other_programs_say_that_they_have_pytorchs_layout(tmp_path):
    pytest.importorskip("safetensors")
    model, path = changed(network()), tmp_path / "model.safetensors"
    nn.save(nn.to_torch(model), path)
    state = nn.load(path)
    assert state.metadata == {"format": "pt"}
    assert_equal(nn.from_torch(network(), state).state_dict(), model.state_dict())


# ------------------------------------------------------------------------------------------- PyTorch itself

CONTAINERS = {"Sequential", "Residual", "Parallel"}


def build(kind, *args, **options):
    parts = (build(*spec) for spec in args) if kind in CONTAINERS else args
    return getattr(nn, kind)(*parts, **options)


CONVOLUTIONS = {
    kind: Case(kind, (4, 6, 3), {"groups": 2, "padding": 1}, numbers(2, 4, *sizes))
    for kind, sizes in {"Conv1d": (7,), "Conv2d": (5, 6), "Conv3d": (3, 4, 5)}.items()
}

WITH_ARRAYS = {
    name: each
    for name, each in (CONVOLUTIONS | CASES).items()
    if each.kind in CONTAINERS
    or (isinstance(make := getattr(nn, each.kind, None), type) and issubclass(make, nn.Layer) and make._parameters)
}


@pytest.mark.parametrize("kind", dict.fromkeys(each.kind for each in WITH_ARRAYS.values()))
def test_modules_of_pytorch_take_the_arrays_and_give_them_back(kind):
    """What PyTorch gives back is exactly what it got, and the output in evaluation mode is the same."""
    torch = pytest.importorskip("torch")
    for name, given in WITH_ARRAYS.items():
        if given.kind != kind:
            continue
        with case(name):
            layer = changed(build(kind, *given.args, **given.options).astype(np.float64)).eval()
            module = torch_module(np.float64, kind, *given.args, **given.options).eval()
            module.load_state_dict({name: torch.from_numpy(array) for name, array in nn.to_torch(layer).items()})
            other = build(kind, *given.args, **given.options).astype(np.float64)
            assert_equal(nn.from_torch(other, module.state_dict()).state_dict(), layer.state_dict())
            run = torch_recurrent(module) if kind in RECURRENT else module
            run = torch_attention(module, **given.options) if kind == "MultiheadAttention" else run
            Ys = run(*[None if X is None else torch.tensor(X) for X in listed(given.X)])
            for got, expected in zip(listed(spread(layer.forward, given.X)), listed(Ys), strict=True):
                assert_allclose(got, expected.detach().numpy(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "float8_e4m3fn"])
def test_tensors_of_every_precision(dtype):
    torch = pytest.importorskip("torch")
    tensor = torch.nn.Parameter(torch.tensor([0.125, -1.5, 2.0]).to(getattr(torch, dtype)))
    assert nn.from_torch(nn.PReLU(3), {"weight": tensor}).W.tolist() == [0.125, -1.5, 2.0]


def test_tensors_without_numbers_are_listed():
    torch = pytest.importorskip("torch")
    for tensor in torch.zeros(3).to_sparse(), torch.zeros(3, device="meta"), torch.zeros(3, dtype=torch.complex64):
        assert "weight: " in message(nn.PReLU(3), {"weight": tensor})


def test_a_tied_module_of_pytorch():
    torch = pytest.importorskip("torch")
    first = torch.nn.Linear(3, 3)
    module = torch.nn.Sequential(first, torch.nn.Tanh(), first)
    layer = nn.Linear(3, 3)
    model = nn.from_torch(nn.Sequential(layer, nn.Tanh(), nn.tied(layer)), module.state_dict())
    X = numbers(5, 3).astype(np.float32)
    assert_allclose(model.forward(X), module(torch.tensor(X)).detach().numpy(), rtol=1e-5, atol=1e-6)
    state = {name: torch.from_numpy(array) for name, array in nn.to_torch(model).items()}
    copy.deepcopy(module).load_state_dict(state)
