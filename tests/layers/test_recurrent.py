"""Recurrent layers and their cells: PyTorch, lengths, directions, states that are carried, errors, the tools."""

import re
from copy import deepcopy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import nnlite as nn

KINDS = [nn.RNN, nn.LSTM, nn.GRU]
CELLS = {nn.RNN: nn.RNNCell, nn.LSTM: nn.LSTMCell, nn.GRU: nn.GRUCell}
over_kinds = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def layer_of(kind, *sizes, **options):
    """A layer in float64, with parameters that are not those of a new one."""
    layer = kind(*(sizes or (3, 2)), dtype=np.float64, rng=0, **options)
    layer.Phi = 0.6 * numbers(layer.Phi.size, seed=1)
    return layer


def listed(dX):
    return list(dX) if isinstance(dX, tuple) else [dX]


def close(one, other):
    assert_allclose(one, other, rtol=1e-11, atol=1e-13)


# ---------------------------------------------------------------------------------------- against other computations


@over_kinds
@settings(max_examples=25, deadline=None)
@given(
    N=st.integers(1, 4), T=st.integers(1, 5), D=st.integers(1, 4), H=st.integers(1, 3), layers=st.integers(1, 3),
    bidirectional=st.booleans(), bias=st.booleans(), states=st.booleans(), lengths=st.booleans(),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_outputs_states_and_gradients_are_those_of_torch(
    kind, N, T, D, H, layers, bidirectional, bias, states, lengths, seed
):
    torch = pytest.importorskip("torch")
    from support.oracle.record import torch_recurrent

    options = {"bias": bias, "bidirectional": bidirectional}
    module = getattr(torch.nn, kind.__name__)(D, H, layers, batch_first=True, **options).double()
    layer = kind(D, H, layers, **options, return_state=True, dtype=np.float64, rng=0)
    nn.from_torch(layer, module.state_dict())
    S = layers * (1 + bidirectional)
    X, *first = [
        numbers(*shape, seed=seed + n)
        for n, shape in enumerate([(N, T, D), *[(N, H) if S == 1 else (N, S, H)] * (layer.num_outputs - 1) * states])
    ]
    steps = np.random.default_rng(seed).integers(1, T + 1, N) if lengths else None
    tensors = [torch.tensor(each, requires_grad=True) for each in (X, *first)]
    Ys = torch_recurrent(module)(tensors[0], None if steps is None else torch.tensor(steps), *tensors[1:])
    dYs = [numbers(*Y.shape, seed=seed + 50 + n) for n, Y in enumerate(Ys)]
    torch.autograd.backward(Ys, [torch.tensor(dY) for dY in dYs])
    ours = layer.forward(X, steps, *first)
    for own, theirs in zip(ours, Ys, strict=True):
        assert_allclose(own, theirs.detach().numpy(), rtol=1e-7, atol=1e-10)
    for dX, tensor in zip(listed(layer.backward(*dYs)), tensors, strict=True):
        assert_allclose(dX, tensor.grad.numpy(), rtol=1e-7, atol=1e-10)
    gradients = {name: P.grad.numpy() for name, P in module.named_parameters()}
    layer.Phi = layer.dPhi
    for name, array in nn.to_torch(layer).items():
        assert_allclose(array, gradients[name], rtol=1e-7, atol=1e-10, err_msg=name)


@over_kinds
def test_cells_unrolled_in_a_graph_are_the_layer(kind):
    layer, cell = layer_of(kind), layer_of(CELLS[kind])
    assert_array_equal(cell.Phi, layer.Phi)
    X = numbers(4, 3, 3)
    steps = [nn.Input(f"x{t}") for t in range(3)]
    state = cell(steps[0])
    hidden = []
    for t in range(3):
        if t:
            state = nn.tied(cell)(steps[t], *(state if kind is nn.LSTM else (state,)))
        hidden.append(state[0] if kind is nn.LSTM else state)
    final = [state[1]] if kind is nn.LSTM else []
    graph = nn.Graph(steps, (nn.Stack(dim=1)(*hidden), *final) if final else nn.Stack(dim=1)(*hidden))
    dY = numbers(4, 3, 2, seed=5)
    close(listed(graph.forward(*X.swapaxes(0, 1)))[0], layer.forward(X))
    close(np.stack(graph.backward(dY, *[np.zeros((4, 2))] * len(final)), axis=1), layer.backward(dY))
    close(graph.dPhi, layer.dPhi)


@over_kinds
@pytest.mark.parametrize("steps", [3, None], ids=["cells", "layers"])
@pytest.mark.parametrize("states", [False, True], ids=["", "states"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"last": True, "reverse": True, "bias": False},
        {"num_layers": 2, "dropout": 0.5, "return_state": True},
        {"num_layers": 2, "bidirectional": True},
        {"last": True, "return_state": True},
        {"bidirectional": True, "last": True, "return_state": True},
    ],
    ids=" ".join,
)
def test_the_unrolled_graph_is_the_layer(kind, options, states, steps):
    layer, T = layer_of(kind, **options), 3
    shape = (4, len(layer.sweeps), 2) if layer.sweeps else (4, 2)
    first = [numbers(*shape, seed=n) for n in range(len(layer.state_names) * states)]
    X, Phi = numbers(4, T, 3), layer.Phi.copy()
    graph = nn.unrolled(layer, steps, states=states)
    Ys = listed(graph.forward(X, *first))
    for own, other in zip(Ys, listed(layer.forward(X, None, *first)), strict=True):
        close(own, other)
    dYs = [numbers(*Y.shape, seed=n) for n, Y in enumerate(Ys)]
    for own, other in zip(listed(graph.backward(*dYs)), listed(layer.backward(*dYs)), strict=True):
        close(own, other)
    assert_array_equal(graph.Phi, layer.Phi)
    close(graph.dPhi, layer.dPhi)
    graph.Phi = 2 * graph.Phi  # copies
    assert_array_equal(layer.Phi, Phi)


def test_the_unrolled_relu_is_one_too():
    layer, X = layer_of(nn.RNN, nonlinearity="relu"), numbers(4, 3, 3)
    close(nn.unrolled(layer, 3).forward(X), layer.forward(X))


def test_only_recurrent_layers_are_unrolled():
    with pytest.raises(TypeError, match="expected an RNN, LSTM or GRU, got Tanh"):
        nn.unrolled(nn.Tanh(), 3)
    with pytest.raises(ValueError, match="steps"):
        nn.unrolled(nn.RNN(2, 2), 0)


def test_steps_go_into_the_time_steps_of_an_unrolled_layer():
    layer, X = layer_of(nn.LSTM), numbers(2, 3, 3)
    graph, Y = nn.unrolled(layer, 3), layer.forward(X)
    cells = [step for step in nn.forward_steps(graph, X) if "LSTMCell" in step.layer.one_line()]
    for t, step in enumerate(cells):
        close(step.outputs["H_new"], Y[:, t])
    assert "C_new = F * C + I * G" in cells[2].formulas
    layer.backward(np.ones(Y.shape))
    back = {  # copies, since the sum of all is written into the array of the first cell
        step.path: (step.gradients["dW_h"].copy(), step.inputs["dH_new"])
        for step in nn.backward_steps(graph, np.ones(Y.shape))
        if "LSTMCell" in step.layer.one_line()
    }
    assert [*back] == [step.path for step in reversed(cells)]
    close(sum(dW_h for dW_h, _ in back.values()), layer.dW_h)
    close(np.stack([dH for _, dH in reversed(back.values())], axis=1), layer.dh)
    explanation = nn.explain(nn.unrolled(layer_of(nn.LSTM, num_layers=2, bidirectional=True, last=True), 2), X[:, :2])
    assert not explanation.remarks or "but the layer computes" not in " ".join(explanation.remarks)
    assert "no `formulas`" not in str(explanation)


def test_explain_shows_the_recurrence_of_each_part_of_a_stack():
    stack, X = layer_of(nn.LSTM, num_layers=2, bidirectional=True, last=True), numbers(2, 4, 3)
    explanation = nn.explain(nn.unrolled(stack), X, dY=numbers(2, 4), values=True)
    assert not [remark for remark in explanation.remarks if "but the layer computes" in remark or "has no" in remark]
    recurrences = [
        line for line in map(str, explanation.forward) if re.fullmatch(r"(c\d) = F. \* (before|after)\(\1\).*", line)
    ]
    assert len(recurrences) == 4
    stack.forward(X)
    stack.backward(numbers(2, 4))
    gradients = {line.note: line.value for line in explanation.backward}
    close(gradients["0.W_h"], stack.sweeps[0].dW_h)


@over_kinds
@pytest.mark.parametrize("options", [{}, {"reverse": True}, {"num_layers": 2, "bidirectional": True}, {"last": True}])
def test_sequences_of_different_lengths_are_those_of_each_alone(kind, options):
    layer, alone = (layer_of(kind, return_state=True, **options) for _ in range(2))
    X, lengths = numbers(4, 5, 3), np.array([5, 1, 3, 2])
    X[~(np.arange(5) < lengths[:, None])] = np.nan  # what is after the end does not matter
    Ys = layer.forward(X, lengths)
    dYs = [numbers(*Y.shape, seed=n) for n, Y in enumerate(Ys)]
    dX, total = layer.backward(*dYs), 0
    for n, length in enumerate(lengths):
        one = alone.forward(X[n : n + 1, :length])
        dYs_of_one = [dY[n : n + 1] for dY in dYs]
        if not options.get("last"):
            dYs_of_one[0] = dYs_of_one[0][:, :length]
            assert not Ys[0][n, length:].any()
            close(Ys[0][n : n + 1, :length], one[0])
        for own, other in zip(Ys[not options.get("last") :], one[not options.get("last") :], strict=True):
            close(own[n : n + 1], other)
        close(dX[n : n + 1, :length], alone.backward(*dYs_of_one))
        assert not dX[n, length:].any()
        total += alone.dPhi
    close(layer.dPhi, total)


@over_kinds
def test_both_directions_are_two_runs_and_several_layers_are_one_after_another(kind):
    X, lengths = numbers(4, 5, 3), np.array([5, 1, 3, 2])
    both = layer_of(kind, bidirectional=True)
    runs = [layer_of(kind, reverse=reverse) for reverse in (False, True)]
    for run, part in zip(runs, both.sweeps, strict=True):
        run.Phi = part.Phi
    close(both.forward(X, lengths), np.concatenate([run.forward(X, lengths) for run in runs], axis=-1))
    close(runs[1].forward(X), layer_with(kind, runs[1].Phi).forward(X[:, ::-1])[:, ::-1])
    dY = numbers(4, 5, 4, seed=3)
    runs[1].forward(X, lengths)
    close(both.backward(dY), runs[0].backward(dY[..., :2]) + runs[1].backward(dY[..., 2:]))

    deep = layer_of(kind, 3, 2, 2, dropout=0.5)
    first, second = layer_of(kind), layer_of(kind, 2, 2)
    first.Phi, second.Phi = deep.sweeps[0].Phi, deep.sweeps[1].Phi
    chain = nn.Sequential(first, nn.Dropout(0.5, rng=7), second)
    deep.dropouts[0].rng.bit_generator.state = chain[1].rng.bit_generator.state
    close(deep.forward(X), chain.forward(X))
    close(deep.backward(dY[..., :2]), chain.backward(dY[..., :2]))
    close(deep.dPhi, chain.dPhi)
    close(deep.eval().forward(X), chain.eval().forward(X))


def layer_with(kind, Phi, **options):
    layer = layer_of(kind, **options)
    layer.Phi = Phi
    return layer


@over_kinds
@pytest.mark.parametrize("sizes", [(3, 2), (3, 2, 2)])
def test_states_carried_from_piece_to_piece_are_one_long_run(kind, sizes):
    layer = layer_of(kind, *sizes, return_state=True)
    X = numbers(4, 6, 3)
    Y, *final = layer.forward(X)
    for pieces in ([X[:, :4], X[:, 4:]], np.split(X, 6, axis=1)):
        states, Ys = [], []
        for piece in pieces:
            Y_piece, *states = layer.forward(piece, None, *states)
            Ys.append(Y_piece)
        close(np.concatenate(Ys, axis=1), Y)
        for own, whole in zip(states, final, strict=True):
            close(own, whole)


@over_kinds
def test_the_last_output_is_the_final_state(kind):
    X, lengths = numbers(4, 5, 3), np.array([5, 1, 3, 2])
    both = {"bidirectional": True}
    Y, H, *_ = layer_of(kind, return_state=True, **both).forward(X, lengths)
    last = layer_of(kind, last=True, **both).forward(X, lengths)
    close(last, H.reshape(4, 4))
    close(last[:, :2], Y[np.arange(4), lengths - 1, :2])
    close(last[:, 2:], Y[:, 0, 2:])


def test_an_lstm_by_hand():
    """One step with numbers for which all gates are known: sigmoid(0) = 1/2 and tanh(0) = 0."""
    layer = nn.LSTM(1, 1, dtype=np.float64, rng=0)
    layer.Phi = np.zeros(layer.Phi.size)
    layer.b_x = [0, 0, np.arctanh(0.5), 0]
    c1 = 0.25
    c2 = 0.5 * c1 + 0.25
    close(layer.forward(np.zeros((1, 2, 1))).ravel(), [0.5 * np.tanh(c1), 0.5 * np.tanh(c2)])
    assert nn.LSTM(2, 3).b_x.tolist() == [0] * 3 + [1] * 3 + [0] * 6


# ------------------------------------------------------------------------------------------------ speed


@pytest.fixture
def numba_kernels():
    pytest.importorskip("numba")
    nn.set_kernels("numba")
    yield
    nn.set_kernels("numpy")


@pytest.mark.parametrize("options", [{}, {"return_state": True, "reverse": True}])
def test_an_lstm_with_numba_has_the_same_numbers(options, numba_kernels):
    """Of more steps than a block has, with an x that is too large for exp."""
    T, N, D, H = 70, 16, 3, 32
    X, lengths = numbers(N, T, D).astype(np.float32), np.random.default_rng(0).integers(1, T + 1, N)
    X[0, 0] = 1e4
    layer = nn.LSTM(D, H, rng=0, **options)
    ways = []
    for name in ("numba", "numpy"):
        nn.set_kernels(name)
        Ys = listed(layer.forward(X, lengths))
        dYs = [numbers(*Y.shape, seed=n).astype(np.float32) for n, Y in enumerate(Ys)]
        ways.append([*Ys, layer.backward(*dYs), layer.dPhi.copy()])
    for own, other in zip(*ways, strict=True):
        assert own.dtype == np.float32
        assert_allclose(own, other, rtol=2e-5, atol=2e-6 * np.abs(other).max())


def test_an_lstm_with_numba_leaves_errors_to_numpy(numba_kernels):
    layer, X = nn.LSTM(1, 1, rng=0), np.full((1, 2, 1), 1e3)
    layer.W_x = np.ones((1, 4))
    assert_array_equal(np.isfinite(layer.forward(X)), True)
    with np.errstate(under="raise"), pytest.raises(FloatingPointError, match="underflow"):
        layer.forward(X)


@over_kinds
def test_arrays_that_are_kept_are_those_of_the_layer_alone(kind):
    """Shorter and longer sequences use them again; what predict and copies compute is no part of them."""
    layer, X, dY = layer_of(kind), numbers(4, 6, 3), numbers(4, 6, 2)
    Y, dX, dPhi = layer.forward(X), layer.backward(dY), layer.dPhi.copy()
    for T in (3, 6, 8):
        longer = layer.forward(numbers(4, T, 3, seed=T))
        layer.backward(numbers(*longer.shape))
    again = layer.forward(X)
    assert not np.may_share_memory(again, Y)
    nn.predict(layer, 2 * X)
    copied = deepcopy(layer)
    copied.forward(3 * X)
    layer.evaluation_twin().train().forward(4 * X)
    for _ in range(2):
        assert_array_equal(layer.backward(dY), dX)
        assert_array_equal(layer.dPhi, dPhi)
    assert_array_equal(again, Y)
    assert "kept" not in vars(deepcopy(layer))


# ------------------------------------------------------------------------------------------------ errors


@over_kinds
def test_errors_say_what_was_expected(kind):
    layer, X = layer_of(kind), numbers(4, 5, 3)
    for wrong in (X[0], X[..., :2], X[:, :0], X[None]):
        with pytest.raises(nn.ShapeError, match=rf"{kind.__name__}\(3 -> 2.*expected X of shape \(N, T, 3\)"):
            layer.forward(wrong)
    for lengths, error, words in [
        ([5, 0, 1, 1], ValueError, "from 1 to 5, got 0 at 1"),
        ([5, 5, 5, 6], ValueError, "from 1 to 5, got 6 at 3"),
        ([5, 5], nn.ShapeError, r"lengths of shape \(4,\), got \(2,\)"),
        ([1.0, 1.0, 1.0, 1.0], TypeError, "lengths: expected integers"),
    ]:
        with pytest.raises(error, match=words):
            layer.forward(X, lengths)
    with pytest.raises(nn.ShapeError, match=r"expected H0 of shape \(4, 2\), got \(4, 3\)"):
        layer.forward(X, None, *[numbers(4, 3)] * (2 if kind is nn.LSTM else 1))
    with pytest.raises(nn.ShapeError, match=r"expected H0 of shape \(4, 4, 2\)"):
        layer_of(kind, 3, 2, 2, bidirectional=True).forward(X, None, *[numbers(4, 2)] * (2 if kind is nn.LSTM else 1))
    with pytest.raises(ValueError, match="dropout is between layers"):
        kind(3, 2, dropout=0.5)
    with pytest.raises(ValueError, match="bidirectional=True"):
        kind(3, 2, reverse=True, bidirectional=True)
    with pytest.raises(TypeError, match="last: expected True or False"):
        kind(3, 2, last=1)
    with pytest.raises(TypeError, match="weight_init: expected a function"):
        kind(3, 2, weight_init=0)
    with pytest.raises(nn.ShapeError, match=r"recurrent_init to return shape \(2, 2\)"):
        kind(3, 2, recurrent_init=lambda shape, **_: np.zeros(3))
    with pytest.raises(nn.ShapeError, match=r"\(N, T, 3\)"):
        nn.Sequential(nn.Linear(3, 2, dtype=np.float64), layer_of(kind))


def test_errors_of_one_kind():
    with pytest.raises(TypeError, match="expected H0 and C0, or neither; C0 is missing"):
        layer_of(nn.LSTM).forward(numbers(4, 5, 3), H0=numbers(4, 2))
    with pytest.raises(TypeError, match="expected H and C, or neither; H is missing"):
        layer_of(nn.LSTMCell).forward(numbers(4, 3), C=numbers(4, 2))
    with pytest.raises(ValueError, match="nonlinearity"):
        nn.RNN(3, 2, nonlinearity="sigmoid")
    with pytest.raises(nn.ShapeError, match=r"X of shape \(N, 3\)"):
        layer_of(nn.GRUCell).forward(numbers(4, 2))


# ------------------------------------------------------------------------------------------------ the tools


def classifier(kind, **options):
    """Of sequences of letters."""
    recurrent = kind(4, 8, last=True, rng=1, **options)
    width = 16 if options.get("bidirectional") else 8
    return nn.Sequential(nn.Embedding(5, 4, rng=0), recurrent, nn.Linear(width, 2, rng=2))


@over_kinds
def test_a_model_of_sequences_learns_is_saved_and_goes_to_torch_and_back(kind, tmp_path):
    """Whether the first letter is below 2 decides, eight steps before the end."""
    X = np.random.default_rng(0).integers(0, 5, (128, 8))
    target = (X[:, 0] < 2).astype(int)
    model = classifier(kind, bidirectional=True)
    nn.fit(model, X, target, loss=nn.CrossEntropyLoss(), optimizer=nn.Adam(model, lr=0.05), epochs=15, rng=0, verbose=0)
    Y = nn.predict(model, X)
    assert np.mean(Y.argmax(axis=1) == target) > 0.97
    nn.save(model, tmp_path / "model.npz")
    assert_array_equal(nn.predict(nn.load(tmp_path / "model.npz"), X), Y)
    other = classifier(kind, bidirectional=True)
    other.Phi *= 0
    nn.from_torch(other, nn.to_torch(model))
    assert_array_equal(other.Phi, model.Phi)


def test_explain_shows_the_recurrence_of_an_lstm():
    explanation = nn.explain(layer_of(nn.LSTM), numbers(2, 4, 3), dY=numbers(2, 4, 2))
    assert not [remark for remark in explanation.remarks if "but the layer computes" in remark]
    text = " ".join(str(explanation).split())
    assert "before(y^)" in text
    assert "c1 = F1 * before(c1) + I1 * G1" in re.sub(r"\(2,4,\d\) ?", "", text)
    assert "rows(before(y^))" in text


@over_kinds
@pytest.mark.parametrize("lengths", [None, np.array([4, 1, 3])], ids=["whole", "lengths"])
@pytest.mark.parametrize("options", [{}, {"last": True}, {"return_state": True}, {"last": True, "return_state": True}])
@pytest.mark.parametrize("reverse", [False, True])
def test_the_formulas_of_all_outputs_are_what_the_layer_computes(kind, options, reverse, lengths):
    layer, X = layer_of(kind, reverse=reverse, **options), numbers(3, 4, 3)
    given = X if lengths is None else (X, lengths)
    dYs = tuple(numbers(*Y.shape, seed=n) for n, Y in enumerate(listed(layer.forward(X, lengths))))
    explanation = nn.explain(layer, given, dY=dYs if len(dYs) > 1 else dYs[0], values=True)
    layer.backward(*dYs)
    if reverse and lengths is not None:
        assert "has no `formulas`" in str(explanation)
        return
    assert not [remark for remark in explanation.remarks if "but the layer computes" in remark]
    gradients = {line.note: line.value for line in explanation.backward}
    for name in ("W_x", "W_h", "b_x", "b_h"):
        close(gradients[name], getattr(layer, "d" + name))


def test_the_range_of_an_rnn_is_that_of_its_function():
    assert nn.RNN(3, 2).output_range == (-1, 1)
    assert nn.RNN(3, 2, nonlinearity="relu").output_range == (0, np.inf)


def test_steps_and_profile_and_sanity_know_them():
    X, target = np.random.default_rng(0).integers(0, 5, (20, 6)), np.arange(20) % 2
    model = classifier(nn.GRU)
    assert [step.path for step in nn.forward_steps(model, X)] == ["0", "1", "2"]
    report = nn.profile(model, X)
    assert "GRU" in str(report)
    assert nn.sanity(model, nn.CrossEntropyLoss(), X, target) is not None


@over_kinds
def test_the_operations_are_counted(kind):
    layer, X = layer_of(kind), numbers(4, 5, 3)
    forward, backward = layer.flops(X, layer.forward(X))
    rows = {nn.RNN: 1, nn.LSTM: 4, nn.GRU: 4}[kind] * 2
    assert sum(2 * A.size * B.shape[1] for A, B in forward.products) == 5 * 2 * rows * (3 + 2 + 1) * 4
    assert sum(2 * A.size * B.shape[1] for A, B in backward.products) == 5 * 2 * rows * (2 + 6 + 3) * 4
