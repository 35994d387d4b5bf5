"""to_numpy: programs in NumPy alone that compute what the layers do, to the last bit, and go on training."""

import runpy
import subprocess
import sys
from copy import deepcopy
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import nnlite as nn
from nnlite.interop.numpy_program.check_same import namespace

ACTIVATIONS = [nn.Tanh, nn.Sigmoid, nn.ReLU, nn.GELU, nn.SiLU, nn.ELU, nn.Softplus, nn.LeakyReLU, nn.PReLU, nn.Softmax]
OTHERS = [
    lambda width: nn.LayerNorm(width),
    lambda width: nn.RMSNorm(width),
    lambda width: nn.BatchNorm1d(width),
    lambda width: nn.Dropout(0.25),
    lambda width: nn.Residual(nn.Linear(width, width), nn.Tanh()),
    lambda width: nn.Sequential(nn.Parallel(nn.Linear(width, 3), nn.Tanh()), nn.Linear(width + 3, width)),
]
LOSSES = [nn.MSELoss, nn.L1Loss, nn.HuberLoss, nn.BCEWithLogitsLoss, nn.CrossEntropyLoss, nn.NLLLoss]
OPTIMIZERS = [
    lambda model: nn.SGD(model, lr=0.05),
    lambda model: nn.SGD(model, lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-3),
    lambda model: nn.SGD(model, lr=0.05, weight_decay={"0.W": 1e-2}, lr_factor={"0": 0.5}),
    lambda model: nn.Adam(model, lr=0.01, amsgrad=True),
    lambda model: nn.AdamW(model, lr=0.01),
    lambda model: nn.NAdam(model, lr=0.01),
    lambda model: nn.RMSprop(model, lr=0.01, momentum=0.5),
]


@st.composite
def networks(draw):
    widths = draw(st.lists(st.integers(2, 7), min_size=2, max_size=4))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    layers = []
    for before, after in pairwise(widths):
        layers.append(nn.Linear(before, after, dtype=dtype, bias=draw(st.booleans())))
        if dtype is np.float32:  # of float64 GELU needs SciPy; other layers have parameters of float32
            layers += [other(after) for other in draw(st.lists(st.sampled_from(OTHERS), max_size=1))]
            layers += [activation() for activation in draw(st.lists(st.sampled_from(ACTIVATIONS), max_size=2))]
        else:
            layers.append(nn.Tanh())
    model = nn.Sequential(*layers)
    return model, draw(st.sampled_from(LOSSES))(), draw(st.sampled_from(OPTIMIZERS))(model)


def batch(model, loss, rows, seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rows, model[0].in_features)).astype(model.dtype)
    shape = model.evaluation_twin().forward(X).shape
    classes = isinstance(loss, nn.CrossEntropyLoss | nn.NLLLoss)
    return X, rng.integers(0, shape[1], rows) if classes else rng.integers(0, 2, shape).astype(model.dtype)


def trained(model, loss, optimizer, X, y):
    J = loss.forward(model.forward(X), y)
    model.backward(loss.backward())
    optimizer.step()
    return J


@settings(max_examples=50, deadline=None, derandomize=True)
@given(networks())
def test_fifty_networks_train_to_the_same_bits(network):
    model, loss, optimizer = network
    before = model.Phi.copy()
    source = nn.to_numpy(model, loss, optimizer)
    assert_array_equal(model.Phi, before)
    program = namespace(source)
    for step, rows in enumerate((32, 300, 7)):
        X, y = batch(model, loss, rows, seed=step)
        assert_array_equal(program["forward"](X), model.evaluation_twin().forward(X))
        assert program["step"](X, y) == trained(model, loss, optimizer, X, y)
        assert_array_equal(program["Phi"], model.Phi)


def test_the_file_goes_on_training_where_nnlite_cannot_be_imported(tmp_path):
    model = nn.Sequential(nn.Linear(4, 6, rng=0), nn.ReLU(), nn.Dropout(0.5, rng=1), nn.Linear(6, 3, rng=2))
    loss, optimizer = nn.CrossEntropyLoss(), nn.Adam(model, lr=0.01)
    trained(model, loss, optimizer, *batch(model, loss, 8, seed=9))
    nn.to_numpy(model, loss, optimizer).save(tmp_path / "program.py")
    batches = [batch(model, loss, rows, seed=rows) for rows in (16, 5)]
    np.savez(tmp_path / "data.npz", X1=batches[0][0], y1=batches[0][1], X2=batches[1][0], y2=batches[1][1])
    code = """if True:
        import sys
        sys.modules["nnlite"] = sys.modules["scipy"] = None
        import numpy as np
        import program
        data = np.load("data.npz")
        print(program.step(data["X1"], data["y1"]), program.step(data["X2"], data["y2"]))
        program.save()
    """
    run = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert run.stderr == ""
    assert run.stdout.split() == [str(trained(model, loss, optimizer, *each)) for each in batches]
    saved = np.load(tmp_path / "program.npz")
    assert_array_equal(saved["Phi"], model.Phi)
    assert_array_equal(saved["m"], optimizer.m)
    assert saved["steps"] == 3


@pytest.mark.parametrize("kind", [np.random.PCG64, np.random.MT19937, np.random.Philox, np.random.SFC64])
def test_the_random_numbers_go_on_where_the_saved_program_stopped(kind, tmp_path):
    rng = np.random.Generator(kind(3))
    model = nn.Sequential(nn.Linear(4, 6, rng=0), nn.Dropout(0.3, rng=rng), nn.Linear(6, 1, rng=2))
    loss, optimizer = nn.MSELoss(), nn.SGD(model, lr=0.01)
    path = tmp_path / "program.py"
    nn.to_numpy(model, loss, optimizer).save(path)
    for seed in range(3):
        program = runpy.run_path(str(path))  # each time from the file
        X, y = batch(model, loss, 8, seed=seed)
        assert program["step"](X, y) == trained(model, loss, optimizer, X, y)
        program["save"]()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["program.npz", "program.py"]


def test_a_save_that_fails_leaves_the_file(tmp_path, monkeypatch):
    model = nn.Sequential(nn.Linear(4, 1, rng=0))
    path = tmp_path / "program.py"
    nn.to_numpy(model, nn.MSELoss(), nn.SGD(model, lr=0.01)).save(path)
    before, program = path.with_suffix(".npz").read_bytes(), runpy.run_path(str(path))

    def fails(file, **arrays):
        file.write(b"half")
        raise OSError("the disk is full")

    monkeypatch.setattr(np, "savez", fails)
    with pytest.raises(OSError, match="full"):
        program["save"]()
    assert path.with_suffix(".npz").read_bytes() == before


def test_an_optimizer_whose_first_step_is_another_one():
    model = nn.Sequential(nn.Linear(4, 1, rng=0))
    optimizer = nn.SGD(model, lr=0.01, momentum=0.9, dampening=0.5)
    with pytest.raises(TypeError, match="make a first step before"):
        nn.to_numpy(model, nn.MSELoss(), optimizer)


def test_what_a_program_has_for_a_chain_with_the_symbols_of_explain():
    model = nn.Sequential(nn.Linear(3, 2), nn.Tanh(), nn.Linear(2, 1), nn.Sigmoid())
    source = nn.to_numpy(model, nn.BCELoss(), nn.SGD(model, lr=0.1))
    for line in ("u1 = X.dot(W1) + b1", "h1 = np.tanh(u1)", "dh1 = du2.dot(W2.T)", "du1 = dh1 * (1 - h1 * h1)"):
        assert f"    {line}" in source
    assert len(source[source.index("def step") : source.index("return L")].splitlines()) < 25


class Scale(nn.Layer, parameters=("gamma",)):
    """A layer of a user's own, without formulas."""

    def __init__(self, features):
        self.gamma = np.ones(features)

    def forward(self, X):
        self.X = self.check_X(X)
        return self.record_Y(self.X * self.gamma)

    def backward(self, dY):
        dY = self.check_dY(dY)
        self.dgamma = np.sum(dY * self.X, axis=0)
        return dY * self.gamma


def test_a_layer_of_ones_own_needs_nothing_beside_forward_and_backward():
    model = nn.Sequential(nn.Linear(3, 2, rng=0), Scale(2))
    loss, optimizer = nn.MSELoss(), nn.SGD(model, lr=0.1)
    source = nn.to_numpy(model, loss, optimizer)
    assert "dgamma2[...] = np.sum(dy_hat * u1, axis=0)" in source
    program, data = namespace(source), batch(model, loss, 6, seed=0)
    assert program["step"](*data) == trained(model, loss, optimizer, *data)
    assert_array_equal(program["gamma2"], model[1].gamma)


def graph():
    a, b = nn.Input("a"), nn.Input("b")
    h = nn.Linear(3, 4, rng=0)(a)
    return nn.Graph([a, b], nn.Tanh()(h) * nn.Linear(2, 4, rng=1)(b) + h + nn.Sigmoid()(h))


def tied():
    layer = nn.Linear(4, 4, rng=0)
    return nn.Sequential(nn.Linear(3, 4, rng=1), layer, nn.Tanh(), nn.tied(layer))


def embedding():
    return nn.Sequential(nn.Embedding(5, 4, rng=0), nn.Flatten(), nn.Linear(12, 2, rng=1))


@pytest.mark.parametrize(
    ("model", "X"),
    [
        (graph(), (np.ones((2, 3)), np.ones((2, 2)))),
        (tied(), np.ones((2, 3))),
        (embedding(), np.zeros((2, 3), int)),
        (nn.Sequential(nn.Linear(3, 4), nn.Reshape(-1, 2, 2), nn.Mean(1), nn.Softmin()), np.ones((2, 3))),
        (nn.Sequential(nn.Linear(3, 4), nn.GroupNorm(2, 4)), np.ones((2, 3))),
        (nn.Linear(3, 4), np.ones((2, 5, 3))),
    ],
    ids=["graph", "tied", "embedding", "reshape", "group norm", "three axes"],
)
def test_every_kind_of_model(model, X):
    """to_numpy itself compares what it returns with the layers, in batches of three sizes and after steps."""
    source = nn.to_numpy(model, nn.MSELoss(), nn.SGD(model, lr=0.1), X=X)
    program = namespace(source)
    Xs = X if isinstance(X, tuple) else (X,)
    expected = model.evaluation_twin().forward(
        *(each.astype(np.float32) if each.dtype == float else each for each in Xs)
    )
    assert_array_equal(program["forward"](*Xs), expected)


ELEMENTWISE = [
    "CELU",
    "ELU",
    "GELU",
    "SELU",
    "Abs",
    "Exp",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "Identity",
    "LeakyReLU",
    "LogSigmoid",
    "Mish",
    "Negative",
    "PReLU",
    "ReLU",
    "ReLU6",
    "RReLU",
    "Reciprocal",
    "SiLU",
    "Sigmoid",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Square",
    "Tanh",
    "Tanhshrink",
    "Softmax",
    "LogSoftmax",
    "Softmin",
    "GLU",
    "AlphaDropout",
    "Dropout1d",
]
OF_PAIRS = [
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "HingeEmbeddingLoss",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "MSELoss",
    "NLLLoss",
    "PoissonNLLLoss",
    "SmoothL1Loss",
    "SoftMarginLoss",
]
BY_STEP = ["SGD", "Adam", "AdamW", "NAdam", "RAdam", "Adamax", "Adagrad", "Adadelta", "RMSprop", "Lion", "Rprop"]


@pytest.mark.parametrize("names", [ELEMENTWISE[:17], ELEMENTWISE[17:], OF_PAIRS, BY_STEP], ids=lambda names: names[0])
def test_every_elementwise_layer_loss_and_optimizer(names):
    """to_numpy compares what it returns with the layers."""
    for name in names:
        model, kind = nn.Sequential(nn.Linear(3, 4, rng=0), nn.Tanh()), getattr(nn, name)
        if issubclass(kind, nn.Loss):
            nn.to_numpy(model, kind(), nn.SGD(model, lr=0.1))
        elif issubclass(kind, nn.Optimizer):
            nn.to_numpy(model, nn.MSELoss(), kind(model, lr=0.01))
        else:
            model = nn.Sequential(nn.Linear(3, 4, rng=0), kind())
            nn.to_numpy(model, nn.MSELoss(), nn.SGD(model, lr=0.1))


@pytest.mark.parametrize("name", BY_STEP[:-1])
def test_many_parameters_are_updated_in_blocks(name):
    """To the bits of the layers, which to_numpy compares."""
    model = nn.Sequential(nn.Linear(300, 250, rng=0), nn.Tanh())
    source = nn.to_numpy(model, nn.MSELoss(), getattr(nn, name)(model, lr=0.01))
    update = source[source.index("db1[...]") : source.index("return L")].splitlines()[1:]
    whole = [line for line in update if "[part]" not in line and ("Phi" in line or "for" in line or "slice" in line)]
    assert [line.split("#")[0].strip() for line in whole] == [
        "for start in range(0, 75250, 32768):",
        "part = slice(start, start + 32768)",
    ]


def test_many_parameters_with_a_norm_over_all_are_updated_at_once():
    model = nn.Sequential(nn.Linear(300, 250, rng=0), nn.Tanh())
    for optimizer in nn.SGD(model, lr=0.1, lr_factor={"0.W": 0.1}), nn.SGD(model, lr=0.1, weight_decay={"W": 0.1}):
        assert "[part]" not in nn.to_numpy(model, nn.MSELoss(), optimizer)


@pytest.mark.parametrize("vectorized", [False, True])
def test_a_logarithm_is_that_of_the_layers_with_and_without_vector_instructions(vectorized, monkeypatch):
    for module in ("log1p", "call_log"):
        monkeypatch.setattr(f"nnlite.compute.{module}.vectorized", lambda function: vectorized)
    model = nn.Sequential(nn.Linear(3, 4, rng=0), nn.Softplus())
    source = nn.to_numpy(model, nn.BCEWithLogitsLoss(), nn.SGD(model, lr=0.1))
    assert ("np.log1p(np.exp" in source) == vectorized


def test_an_optimizer_whose_first_step_is_another_one_is_written_after_it():
    model = nn.Sequential(nn.Linear(3, 2, rng=0), nn.Tanh())
    loss, optimizer = nn.MSELoss(), nn.SGD(model, lr=0.1, momentum=0.9, dampening=0.5)
    with pytest.raises(TypeError, match="make a first step before, if that is another one"):
        nn.to_numpy(model, loss, optimizer)
    data = batch(model, loss, 6, seed=0)
    trained(model, loss, optimizer, *data)
    program = namespace(nn.to_numpy(model, loss, optimizer))
    assert program["step"](*data) == trained(model, loss, optimizer, *data)
    assert_array_equal(program["velocity"], optimizer.velocity)


def test_the_check_of_a_program_finds_a_wrong_line():
    from nnlite.interop.numpy_program.check_same import check_same

    model = nn.Sequential(nn.Linear(3, 2, rng=0), nn.Tanh())
    loss, optimizer = nn.MSELoss(), nn.SGD(model, lr=0.1)
    source = nn.to_numpy(model, loss, optimizer)
    X, y = batch(model, loss, 20, seed=0)
    check_same(source, model, loss, optimizer, X, y)
    for line, wrong in ("1 - y_hat * y_hat", "1 - y_hat"), ("Phi -= lr", "Phi += lr"), ("/ (N * 2)", "/ 40"):
        assert line in source
        broken = type(source)(source.replace(line, wrong))
        broken.arrays = source.arrays
        with pytest.raises(TypeError, match="differs from the layers"):
            check_same(broken, model, loss, optimizer, X, y)


def test_values_for_which_a_layer_computes_otherwise_are_an_error_of_the_program():
    model, loss = nn.Sequential(nn.Linear(3, 2, rng=0)), nn.CrossEntropyLoss()
    program = namespace(nn.to_numpy(model, loss, nn.SGD(model, lr=0.1)))
    X, y = batch(model, loss, 4, seed=0)
    program["step"](X, y)
    with pytest.raises(ValueError, match="for other values the layers compute otherwise"):
        program["step"](X, np.array([0, -100, 1, 1]))  # -100 is ignored


class Loop(nn.Identity):
    def forward(self, X):
        self.rows = [2 * row for row in X]
        return super().forward(X)

    def backward(self, dY):
        return super().backward(dY)


def test_all_layers_that_cannot_be_written_are_in_one_error():
    model = nn.Sequential(nn.Linear(3, 2, dtype=float), Loop(), nn.Tanh(), nn.GELU(), nn.Linear(2, 1, dtype=float))
    with pytest.raises(TypeError, match="not to be written in NumPy alone") as error:
        nn.to_numpy(model)
    message = str(error.value)
    assert "1 Loop(): a loop over the rows" in message
    assert "3 GELU(approximate='none')" in message
    assert "Tanh" not in message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (lambda model: (3,), "model: expected a Layer"),
        (lambda model: (model, nn.MSELoss()), "pass both, or neither"),
        (lambda model: (model, nn.Tanh(), nn.SGD(model, lr=0.1)), "expected a Loss"),
        (lambda model: (model, nn.MSELoss(), nn.SGD(nn.Linear(2, 2), lr=0.1)), "expected one of this model"),
        (lambda model: (nn.Reshape(-1, 7),), "X: the model takes no batch of this shape"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        nn.to_numpy(*arguments(nn.Sequential(nn.Linear(3, 2))))


def test_a_name_that_is_no_program(tmp_path):
    with pytest.raises(ValueError, match=r"ends with \.py"):
        nn.to_numpy(nn.Linear(2, 1)).save(tmp_path / "model")


def test_numpy_is_what_it_was_after_an_error():
    before = np.asarray, np.zeros, np.array
    with pytest.raises(TypeError):
        nn.to_numpy(nn.Sequential(nn.Linear(3, 2), Loop()))
    assert (np.asarray, np.zeros, np.array) == before
    assert deepcopy(nn.Tanh()).forward(np.zeros(2)).tolist() == [0, 0]


def test_an_optimizer_of_a_part_is_an_error_and_a_frozen_part_is_written():
    model = nn.Sequential(nn.Linear(3, 4, rng=0), nn.Tanh(), nn.Linear(4, 2, rng=1))
    with pytest.raises(TypeError, match=r'expected one of all parameters .* lr_factor=\{"0": 0\}'):
        nn.to_numpy(model, nn.MSELoss(), nn.SGD(model[-1], lr=0.1))
    nn.to_numpy(model, nn.MSELoss(), nn.SGD(model, lr=0.1, lr_factor={"0": 0}))  # which compares it with the layers
