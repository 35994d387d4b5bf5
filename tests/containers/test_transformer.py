"""Transformers: PyTorch, formulas, what causal and padded steps see, stacks, files, errors, the tools."""

import copy
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from support.oracle.cases_transformer import KINDS, transformer

import nnlite as nn

PADDING = np.arange(5) >= np.array([[5], [3], [1]])
MEMORY_PADDING = np.arange(4) >= np.array([[2], [4], [3]])
FUTURE = np.triu(np.ones((5, 5), bool), 1)


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


X, MEMORY = numbers(3, 5, 8), numbers(3, 4, 8, seed=1)


def layer_of(kind, **options):
    """A layer in float64 with 8 features, 2 heads and 12 hidden units; a stack has two of them."""
    sizes = {"Transformer": (8, 2, 2, 1, 12)}.get(kind, (8, 2, 12, 2) if kind.endswith("coder") else (8, 2, 12))
    options |= {"rng": np.random.default_rng(0)}
    layer = transformer(
        nn, lambda size: nn.LayerNorm(size, dtype=np.float64), kind, *sizes, dtype=np.float64, **options
    )
    layer.Phi = 0.4 * numbers(layer.Phi.size)
    return layer


def inputs_of(kind):
    return {"Transformer": (MEMORY, X)}.get(kind, (X, MEMORY) if "Decoder" in kind else (X,))


def listed(dX):
    return list(dX) if isinstance(dX, tuple) else [dX]


def close(one, other):
    assert_allclose(one, other, rtol=1e-10, atol=1e-12)


over_kinds = pytest.mark.parametrize("kind", KINDS)

# ---------------------------------------------------------------------------------------- against other computations


@over_kinds
@settings(max_examples=12, deadline=None)
@given(
    activation=st.sampled_from(["relu", "gelu"]), norm_first=st.booleans(), bias=st.booleans(),
    eps=st.sampled_from([1e-5, 0.1]), heads=st.sampled_from([1, 2, 4]),
    masks=st.lists(st.booleans(), min_size=6, max_size=6),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_outputs_and_gradients_are_those_of_torch(kind, activation, norm_first, bias, eps, heads, masks, seed):
    torch = pytest.importorskip("torch")

    from support.oracle.record import torch_module

    sizes = {"Transformer": (8, heads, 2, 1, 12)}.get(
        kind, (8, heads, 12, 2) if kind.endswith("coder") else (8, heads, 12)
    )
    options = {"activation": activation, "norm_first": norm_first, "bias": bias, "layer_norm_eps": eps}
    with warnings.catch_warnings():  # PyTorch's fast path is not used
        warnings.filterwarnings("ignore", "enable_nested_tensor", UserWarning)
        module = torch_module(np.float64, kind, *sizes, **options)
    layer = transformer(nn, nn.LayerNorm, kind, *sizes, **options).astype(np.float64)
    nn.from_torch(layer, module.state_dict())
    for name, array in nn.to_torch(layer).items():
        assert_array_equal(array, module.state_dict()[name].numpy())

    Xs, more = inputs_of(kind), masks_of(kind, seed)
    more = [mask if wanted else None for mask, wanted in zip(more, masks, strict=False)]
    tensors = [torch.tensor(each, requires_grad=True) for each in Xs]
    with warnings.catch_warnings():  # masks of both kinds
        warnings.filterwarnings("ignore", "Support for mismatched", UserWarning)
        Y = module(*tensors, *[None if mask is None else torch.tensor(mask) for mask in more])
    dY = numbers(*Y.shape, seed=seed)
    Y.backward(torch.tensor(dY))
    assert_allclose(layer.forward(*Xs, *more), Y.detach().numpy(), rtol=1e-7, atol=1e-10)
    for dX, tensor in zip(listed(layer.backward(dY)), tensors, strict=True):
        assert_allclose(dX, tensor.grad.numpy(), rtol=1e-7, atol=1e-10)
    gradients = {name: P.grad.numpy() for name, P in module.named_parameters()}
    layer.Phi = layer.dPhi
    for name, array in nn.to_torch(layer).items():
        assert_allclose(array, gradients[name], rtol=1e-7, atol=1e-10, err_msg=name)


def masks_of(kind, seed):
    """A mask of each kind, in the order of forward; no step sees nothing."""

    def unseen(T, S):
        mask = np.random.default_rng(seed).random((T, S)) < 0.3
        mask[:, 0] = False
        return mask

    if "Encoder" in kind:
        return [FUTURE, PADDING]
    if "Decoder" in kind:
        return [FUTURE, unseen(5, 4), PADDING, np.where(MEMORY_PADDING, -np.inf, 0.5)]
    return [unseen(4, 4), FUTURE, numbers(5, 4, seed=seed), MEMORY_PADDING, PADDING, MEMORY_PADDING]


def apart(layer):
    """The parts of a layer, by name: copies that are models of their own."""
    return {name: copy.deepcopy(part) for name, part in layer.named_children()}


@pytest.mark.parametrize("norm_first", [False, True])
def test_the_layers_are_what_their_formulas_say(norm_first):
    layer = layer_of("TransformerEncoderLayer", norm_first=norm_first)
    part = apart(layer)
    A, N1, N2 = (part[name].forward for name in ("self_attn", "norm1", "norm2"))

    def F(U):
        return np.maximum(U @ part["linear1"].W + part["linear1"].b, 0) @ part["linear2"].W + part["linear2"].b

    U = X + A(N1(X)) if norm_first else N1(X + A(X))
    close(layer.forward(X), U + F(N2(U)) if norm_first else N2(U + F(U)))

    layer = layer_of("TransformerDecoderLayer", norm_first=norm_first)
    part = apart(layer)
    A, B = part["self_attn"].forward, part["multihead_attn"].forward
    N1, N2, N3 = (part[f"norm{n}"].forward for n in (1, 2, 3))
    if norm_first:
        U = X + A(N1(X))
        V = U + B(N2(U), MEMORY)
        close(layer.forward(X, MEMORY), V + F(N3(V)))
    else:
        U = N1(X + A(X))
        V = N2(U + B(U, MEMORY))
        close(layer.forward(X, MEMORY), N3(V + F(V)))


def test_stacks_are_their_layers_one_after_another():
    encoder = layer_of("TransformerEncoder")
    first, second, last = (copy.deepcopy(layer) for layer in encoder.layers)
    close(encoder.forward(X), last.forward(second.forward(first.forward(X))))
    decoder = layer_of("TransformerDecoder")
    first, second, last = (copy.deepcopy(layer) for layer in decoder.layers)
    close(decoder.forward(X, MEMORY), last.forward(second.forward(first.forward(X, MEMORY), MEMORY)))
    dX, dmemory = decoder.backward(dY := numbers(3, 5, 8, seed=7))
    dV, dmemory2 = second.backward(last.backward(dY))
    dX1, dmemory1 = first.backward(dV)
    close(dX, dX1)
    close(dmemory, dmemory1 + dmemory2)
    model = layer_of("Transformer")
    encoder, decoder = copy.deepcopy(model.encoder), copy.deepcopy(model.decoder)
    close(model.forward(MEMORY, X), decoder.forward(X, encoder.forward(MEMORY)))


# ------------------------------------------------------------------------------------- what steps see


@over_kinds
def test_causal_outputs_do_not_depend_on_the_future(kind):
    layer = layer_of(kind, causal=True)
    Xs = list(inputs_of(kind))
    place = 1 if kind == "Transformer" else 0
    Y = layer.forward(*Xs)
    for t in range(4):
        changed = [*Xs]
        changed[place] = Xs[place].copy()
        changed[place][:, t + 1 :] = numbers(3, 4 - t, 8, seed=9)
        close(layer.forward(*changed)[:, : t + 1], Y[:, : t + 1])
        assert not np.allclose(layer.forward(*changed)[:, t + 1 :], Y[:, t + 1 :])
    dY = numbers(*Y.shape, seed=3)
    dY[:, 2:] = 0
    layer.forward(*Xs)
    assert not listed(layer.backward(dY))[place][:, 2:].any()

    masked = layer_of(kind)
    name = {"TransformerEncoder": "mask", "TransformerEncoderLayer": "src_mask"}.get(kind, "tgt_mask")
    names = [name for name, _ in zip(masked.input_names, Xs, strict=False)]
    close(masked.forward(**dict(zip(names, Xs, strict=True)), **{name: FUTURE}), Y)


@over_kinds
def test_padded_sequences_are_those_of_each_alone(kind):
    layer, alone = layer_of(kind), layer_of(kind)
    Xs, lengths, memory_lengths = [each.copy() for each in inputs_of(kind)], [5, 3, 1], [2, 4, 3]
    of_src = {"memory_key_padding_mask": MEMORY_PADDING} if len(Xs) > 1 else {}
    if kind == "Transformer":
        of_src["src_key_padding_mask"] = MEMORY_PADDING
    of_X = f"{'src' if 'Encoder' in kind else 'tgt'}_key_padding_mask"
    names = layer.input_names[: len(Xs)]
    place = int(kind == "Transformer")
    Y = layer.forward(**dict(zip(names, Xs, strict=True)), **of_src, **{of_X: PADDING})
    dY = numbers(*Y.shape, seed=2) * ~PADDING[:, :, None]
    dXs, total = listed(layer.backward(dY)), 0
    for n, (length, memory_length) in enumerate(zip(lengths, memory_lengths, strict=True)):
        sizes = [length if m == place else memory_length for m in range(len(Xs))]
        own = [each[n : n + 1, :size] for each, size in zip(Xs, sizes, strict=True)]
        close(Y[n : n + 1, :length], alone.forward(*own))
        for dX, dX_alone, size in zip(dXs, listed(alone.backward(dY[n : n + 1, :length])), sizes, strict=True):
            close(dX[n : n + 1, :size], dX_alone)
            assert not dX[n, size:].any()
        total += alone.dPhi
    close(layer.dPhi, total)


# ------------------------------------------------------------------------------------- stacks, dropout, files


def test_copies_in_a_stack_begin_alike_and_draw_different_numbers():
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 12, 0.5, rng=0), 3)
    first, second, _ = encoder.layers
    assert_array_equal(first.Phi, second.Phi)
    assert not np.shares_memory(first.Phi, second.Phi)
    assert len({id(found) for _, found in encoder.named_generators()}) == 1
    encoder.forward(X)
    masks = [dict(layer.named_children())["dropout1"].M for layer in encoder.layers]
    assert not any(np.array_equal(masks[0], mask) for mask in masks[1:])
    rng = np.random.default_rng(0)
    apart = nn.TransformerEncoder([nn.TransformerEncoderLayer(8, 2, 12, rng=rng) for _ in range(2)])
    assert not np.array_equal(apart.layers[0].self_attn.W_q, apart.layers[1].self_attn.W_q)
    model = nn.Transformer(8, 2, 2, 2, 12, rng=0)
    drawn = [layer.self_attn.W_q.tobytes() for stack in (model.encoder, model.decoder) for layer in stack.layers[:2]]
    assert len(set(drawn)) == 4


@over_kinds
def test_a_saved_or_copied_layer_goes_on_as_the_first_one(kind, tmp_path):
    layer = layer_of(kind, dropout=0.3, activation=nn.LeakyReLU(0.3), norm_first=True, bias=False, causal=True)
    Xs = inputs_of(kind)
    layer.forward(*Xs)
    nn.save(layer, tmp_path / "layer.npz")
    others = [nn.load(tmp_path / "layer.npz"), copy.deepcopy(layer)]
    Ys = [layer.forward(*Xs) for _ in range(2)]
    assert not np.array_equal(*Ys)
    for other in others:
        for Y in Ys:
            assert_array_equal(other.forward(*Xs), Y)
        assert list(other.state_dict()) == list(layer.state_dict())
    assert_array_equal(layer.eval().forward(*Xs), layer.forward(*Xs))


@over_kinds
def test_the_parts_have_the_names_of_torch(kind):
    layer = layer_of(kind)
    names = [path for path, _ in layer.named_layers() if path.endswith("attn")]
    assert names == {
        "TransformerEncoderLayer": ["self_attn"],
        "TransformerDecoderLayer": ["self_attn", "multihead_attn"],
        "TransformerEncoder": ["layers.0.self_attn", "layers.1.self_attn"],
        "TransformerDecoder": [f"layers.{n}.{name}" for n in (0, 1) for name in ("self_attn", "multihead_attn")],
        "Transformer": [
            *("encoder.layers.0.self_attn", "encoder.layers.1.self_attn"),
            *("decoder.layers.0.self_attn", "decoder.layers.0.multihead_attn"),
        ],
    }[kind]  # fmt: skip


def test_an_activation_with_parameters_is_trained():
    layer = nn.TransformerEncoderLayer(8, 2, 12, activation=nn.PReLU(), rng=0)
    assert "activation.weight" in nn.to_torch(layer)
    encoder = nn.TransformerEncoder(layer, 2)
    encoder.forward(X)
    encoder.backward(np.ones_like(X))
    assert dict(encoder.named_gradients())["layers.1.activation.W"].any()


# ------------------------------------------------------------------------------------------------ errors


def test_errors_say_what_was_expected():
    make = nn.TransformerEncoderLayer
    for sizes, options, error, words in [
        ((8, 3), {}, ValueError, r"TransformerEncoderLayer: nhead: expected a divisor of d_model=8, got 3"),
        ((8, 0), {}, ValueError, "TransformerEncoderLayer: nhead"),
        ((8.0, 2), {}, TypeError, "TransformerEncoderLayer: d_model"),
        ((8, 2, 0), {}, ValueError, "dim_feedforward"),
        ((8, 2, 4, 1.5), {}, ValueError, "TransformerEncoderLayer: dropout"),
        (
            (8, 2),
            {"activation": "tanh"},
            ValueError,
            r"activation: expected 'relu' or 'gelu', or a layer .* got 'tanh'",
        ),
        ((8, 2), {"activation": nn.ReLU}, ValueError, "activation: expected"),
        ((8, 2), {"norm_first": 1}, TypeError, "norm_first: expected True or False, got 1"),
        ((8, 2), {"layer_norm_eps": 0}, ValueError, "layer_norm_eps"),
    ]:
        with pytest.raises(error, match=words):
            make(*sizes, **options)
    for stack, words in [
        (lambda: nn.TransformerEncoder(nn.Tanh(), 2), "encoder_layer: expected a TransformerEncoderLayer"),
        (lambda: nn.TransformerDecoder([layer_of("TransformerEncoderLayer")]), "decoder_layer: expected"),
        (lambda: nn.TransformerEncoder(make(8, 2, 4)), "num_layers"),
        (lambda: nn.TransformerEncoder(make(8, 2, 4), 2, norm=1), "TransformerEncoder: norm: expected a Layer"),
        (lambda: nn.Transformer(8, 2, 1, 1, 4, custom_encoder=1), "Transformer: custom_encoder: expected a Layer"),
    ]:
        with pytest.raises(TypeError, match=words):
            stack()
    for stack in [
        lambda: nn.TransformerEncoder([]),
        lambda: nn.TransformerEncoder([make(8, 2, 4)], 2),
        lambda: nn.TransformerEncoder(make(8, 2, 4), 0),
        lambda: nn.Transformer(8, 2, 0, 1, 4),
    ]:
        with pytest.raises(ValueError, match=r"encoder_layer|num_layers|num_encoder_layers"):
            stack()


def test_errors_of_inputs_name_the_place():
    model = layer_of("Transformer")
    with pytest.raises(nn.ShapeError) as error:
        model.forward(MEMORY, X, tgt_mask=FUTURE[:3])
    assert "attn_mask" in str(error.value)
    assert [note.split(" (")[0] for note in error.value.__notes__] == [
        "in TransformerDecoderLayer[self_attn] MultiheadAttention",
        "in TransformerDecoder[layers.0] TransformerDecoderLayer",
        "in Transformer[decoder] TransformerDecoder",
    ] or len(error.value.__notes__) == 3
    with pytest.raises(nn.ShapeError):
        model.forward(MEMORY[..., :4], X)
    with pytest.raises(nn.ShapeError):
        nn.Sequential(nn.Linear(3, 4, rng=0), nn.TransformerEncoderLayer(8, 2, 12, rng=0))
    with pytest.raises(TypeError, match="expected 2 to 8 inputs, got 1"):
        model.forward(MEMORY)
    with pytest.raises(nn.StateError):
        layer_of("TransformerEncoder").backward(X)


# ------------------------------------------------------------------------------------------------ the tools


@over_kinds
def test_tools_go_into_them(kind):
    layer, Xs = layer_of(kind), inputs_of(kind)
    X = Xs if len(Xs) > 1 else Xs[0]
    Y = layer.forward(*Xs)
    dXs = layer.backward(np.ones_like(Y))
    paths = [path for path, part in layer.named_layers() if not isinstance(part, nn.Graph)]
    steps = list(nn.forward_steps(layer, X))
    assert [step.path for step in steps] == paths
    assert_array_equal(next(iter(steps[-1].outputs.values())), Y)
    back = list(nn.backward_steps(layer, np.ones_like(Y)))
    assert [step.path for step in back if step.name == "backward"] == paths[::-1] or "sum" in {s.name for s in back}
    for one, other in zip(listed(layer.backward(np.ones_like(Y))), listed(dXs), strict=True):
        assert_array_equal(one, other)
    explanation = nn.explain(layer, X, dY=np.ones_like(Y))
    assert not [remark for remark in explanation.remarks if "but the layer computes" in remark]
    assert len(nn.profile(layer, X, repeats=1).rows) == len(paths)
    shapes = tuple(each.shape[1:] for each in Xs)
    assert "self_attn" in str(nn.summary(layer, shapes if len(shapes) > 1 else shapes[0]))


def test_masks_are_seen_by_the_tools():
    layer = layer_of("TransformerEncoderLayer")
    Y = layer.forward(X, None, PADDING)
    for inputs in (X, None, PADDING), {"X": X, "src_key_padding_mask": PADDING}:
        assert nn.check_gradients(layer, inputs).right
        explanation = nn.explain(layer, inputs, dY=np.ones_like(Y))
        assert not [remark for remark in explanation.remarks if "but the layer computes" in remark]
        drawing = nn.to_dot(layer, inputs, dY=np.ones_like(Y))
        assert "src_key_padding_mask" in drawing
        assert "None" not in drawing
        assert nn.profile(layer, inputs, repeats=1)
    steps = list(nn.forward_steps(layer, (X, None, PADDING)))
    assert_array_equal(next(iter(steps[-1].outputs.values())), Y)
    assert_array_equal(nn.predict(layer.eval(), {"X": X, "src_key_padding_mask": PADDING}), Y)


def test_a_model_with_padding_is_trained():
    """Which of the first two letters is larger, in sequences of different lengths."""
    rng = np.random.default_rng(0)
    letters, lengths = rng.integers(0, 4, (64, 5)), rng.integers(2, 6, 64)
    target = (letters[:, 0] > letters[:, 1]).astype(int)
    x, padding = nn.Input("letters"), nn.Input("padding", optional=True)
    encoder = nn.TransformerEncoder([nn.TransformerEncoderLayer(8, 2, 16, 0.0, rng=rng) for _ in range(2)])
    positions = nn.Parameter(rng.normal(size=(5, 8)))
    H = encoder(nn.Embedding(4, 8, rng=rng)(x) + positions, src_key_padding_mask=padding)
    model = nn.Graph([x, padding], nn.Linear(40, 2, rng=rng)(nn.Flatten()(H)))
    data = letters, np.arange(5) >= lengths[:, None]
    nn.fit(
        model, data, target, loss=nn.CrossEntropyLoss(), optimizer=nn.Adam(model, lr=0.01), epochs=20, verbose=0, rng=0
    )
    assert np.mean(nn.predict(model, data).argmax(axis=1) == target) > 0.95
