"""Attention: masks mean what they say, the roles of one input are summed, and the future does not reach the past."""

import copy
import math

import numpy as np
import pytest

import nnlite as nn
from nnlite.basics.trees import listed


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def layer_of(*sizes, **options):
    layer = nn.MultiheadAttention(*sizes or (6, 2), dtype=np.float64, rng=0, **options)
    layer.Phi = 0.5 * numbers(layer.Phi.size)
    return layer


def test_forward_is_the_formula():
    layer, Q, K, V = layer_of(), numbers(2, 3, 6), numbers(2, 4, 6, seed=1), numbers(2, 4, 6, seed=2)
    q, k, v = Q @ layer.W_q + layer.b_q, K @ layer.W_k + layer.b_k, V @ layer.W_v + layer.b_v
    heads = []
    for i in range(2):
        part = slice(3 * i, 3 * i + 3)
        E = np.exp(q[..., part] @ k[..., part].swapaxes(1, 2) / np.sqrt(3))
        heads.append(E / E.sum(axis=-1, keepdims=True) @ v[..., part])
    close(layer.forward(Q, K, V), np.concatenate(heads, axis=-1) @ layer.W_o + layer.b_o)


def test_self_attention_is_attention_of_one_input_in_three_roles():
    layer, X, dY = layer_of(need_weights=True), numbers(2, 3, 6), (numbers(2, 3, 6, seed=1), numbers(2, 3, 3, seed=2))
    Ys, dXs = layer.forward(X, X, X), layer.backward(*dY)
    dPhi = layer.dPhi.copy()
    for given, sums in ((X,), [sum(dXs)]), ((X, X), [dXs[0], dXs[1] + dXs[2]]):
        for own, expected in zip(layer.forward(*given), Ys, strict=True):
            close(own, expected)
        dX = layer.backward(*dY)
        for own, expected in zip(dX if len(given) > 1 else (dX,), sums, strict=True):
            close(own, expected)
        close(layer.dPhi, dPhi)


def test_causal_outputs_do_not_depend_on_the_future():
    layer, X = layer_of(causal=True), numbers(2, 5, 6)
    Y = layer.forward(X)
    for t in range(1, 5):
        changed = X.copy()
        changed[:, t:] += 1
        close(layer.forward(changed)[:, :t], Y[:, :t])
        close(layer.forward(X[:, :t]), Y[:, :t])


def test_padding_does_not_matter_and_an_empty_sequence_gives_b():
    layer, X, lengths = layer_of(), numbers(4, 5, 6), [5, 2, 1, 0]
    mask = nn.padding_mask(lengths, 5)
    Y = layer.forward(X, key_padding_mask=mask)
    dX = layer.backward(np.where(mask[:, :, None], 0, numbers(4, 5, 6, seed=1)))
    for n, length in enumerate(lengths[:3]):
        close(Y[n, :length], layer.forward(X[n : n + 1, :length])[0])
        assert not dX[n, length:].any()
    close(Y[3], np.broadcast_to(layer.b_o, (5, 6)))
    assert not dX[3].any()


@pytest.mark.parametrize("as_numbers", [False, True], ids=["booleans", "numbers"])
def test_what_is_not_finite_at_padding_stays_there(as_numbers):
    rng = np.random.default_rng(0)
    layer = nn.MultiheadAttention(8, 2, dtype=np.float64, rng=0)
    mask = nn.padding_mask([5, 2, 1])
    X, memory = rng.normal(size=(2, 3, 5, 8))
    bad = np.where(mask[..., None], rng.choice([np.nan, np.inf], size=(3, 5, 1)), X)
    bad_memory = np.where(mask[..., None], np.nan, memory)
    padding = np.where(mask, -np.inf, 0.0) if as_numbers else mask
    dY = rng.normal(size=X.shape) * ~mask[..., None]
    results = []
    for inputs in (X,), (bad,), (X, memory), (X, bad_memory), (X, bad_memory, bad_memory + 0), (X, memory, memory + 0):
        kept = [each.copy() for each in inputs]
        Y = layer.forward(*inputs, key_padding_mask=padding)
        dXs = listed(layer.backward(dY))
        results.append([Y[~mask], dXs[0][~mask], layer.dPhi.copy(), *dXs[1:]])
        for each, before in zip(inputs, kept, strict=True):
            np.testing.assert_array_equal(each, before)
    for one, other in (0, 1), (2, 3), (5, 4):
        for expected, got in zip(results[one], results[other], strict=True):
            np.testing.assert_allclose(got, expected, atol=1e-12)


def test_gradients_are_the_differences():
    mask = numbers(4, 5) > 1
    layer = layer_of(6, 2, kdim=3, vdim=2, need_weights=True)
    nn.check_gradients(layer, (numbers(2, 4, 6), numbers(2, 5, 3), numbers(2, 5, 2), nn.padding_mask([5, 3]), mask))
    nn.check_gradients(layer_of(causal=True), numbers(2, 4, 6))


def test_errors_say_what_was_expected():
    layer, X = layer_of(), numbers(2, 4, 6)
    for arguments, error, words in [
        ((X[0],), nn.ShapeError, r"expected Q of shape \(N, T, 6\), got \(4, 6\)"),
        ((X, X[..., :2]), nn.ShapeError, r"expected K of shape \(N, S, 6\)"),
        ((X, X, X[:, :2]), nn.ShapeError, r"V \(N, S, vdim\)"),
        ((X, None, X), TypeError, "V was given without K"),
        ((X, None, None, np.zeros((2, 4), int)), TypeError, "key_padding_mask: expected booleans"),
        (
            (X, None, None, np.zeros((2, 3), bool)),
            nn.ShapeError,
            r"key_padding_mask of shape \(2, 4\), or \(2,\) of lengths, got \(2, 3\)",
        ),
        ((X, None, None, None, np.zeros((4, 3), bool)), nn.ShapeError, r"attn_mask of shape \(4, 4\), \(2, 4, 4\)"),
    ]:
        with pytest.raises(error, match=words):
            layer.forward(*arguments)
    with pytest.raises(ValueError, match="expected a divisor of embed_dim=6, got 4"):
        layer_of(6, 4)
    with pytest.raises(ValueError, match="expected from 0 to 2, got 3 at 1"):
        nn.padding_mask([1, 3], 2)


def test_explain_shows_weights_of_0_where_a_query_sees_no_key():
    X, ignored = numbers(2, 3, 6), np.array([[False, False, True], [True, True, True]])
    text = str(nn.explain(layer_of(), {"Q": X, "key_padding_mask": ignored}, values=True))
    assert "max(sum_4(E1)," in text
    assert "nan" not in text
    assert "max(" not in str(nn.explain(layer_of(), {"Q": X[:1], "key_padding_mask": ignored[:1]}))
    shown = np.zeros((3, 3), bool)
    assert "nan" not in str(nn.explain(nn.ScaledDotProductAttention(), (X, X, X, shown), values=True))


def test_the_gate_is_the_formula_and_its_mask_is_the_other_way_round():
    Q, K, V, unseen = numbers(2, 3, 4), numbers(2, 5, 4, seed=1), numbers(2, 5, 2, seed=2), numbers(3, 5, seed=3) > 0.5
    unseen[0] = True
    E = np.exp(Q @ K.swapaxes(1, 2) / 2) * ~unseen
    sums = E.sum(axis=-1, keepdims=True)
    A = np.divide(E, sums, out=np.zeros_like(E), where=sums > 0)
    layer = nn.ScaledDotProductAttention(need_weights=True)
    Y, weights = layer.forward(Q, K, V, ~unseen)
    close(weights, A)
    close(Y, A @ V)
    assert not Y[:, 0].any()  # nothing is seen
    assert not layer.backward(Y + 1, weights + 1)[0][:, 0].any()
    by_numbers, _ = layer.forward(Q, K, V, np.where(unseen, -np.inf, 0))
    close(by_numbers, Y)
    identity = nn.MultiheadAttention(4, 1, kdim=4, vdim=2, bias=False, dtype=np.float64, need_weights=True, rng=0)
    identity.W_q, identity.W_k, identity.W_v, identity.W_o = np.eye(4), np.eye(4), np.eye(2, 4), np.eye(4)
    Y_of_heads, weights = identity.forward(Q, K, V, attn_mask=unseen)
    close(weights, A)
    close(Y_of_heads[..., :2], Y)


@pytest.mark.parametrize("lowest", [np.finfo(np.float32).min, np.finfo(np.float64).min], ids=["float32", "float64"])
def test_the_lowest_number_hides_a_key_as_a_boolean_does(lowest):
    layer, X = nn.MultiheadAttention(8, 2, rng=0), numbers(3, 5, 8)
    padding, future = nn.padding_mask([5, 2, 3]), np.triu(np.ones((5, 5), bool), 1)
    expected = layer.forward(X, key_padding_mask=padding, attn_mask=future)
    added = [np.where(mask, lowest, 0.0) for mask in (padding, future)]
    found = layer.forward(X, key_padding_mask=added[0], attn_mask=added[1])
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_scores_far_from_0_give_no_overflow():
    for dtype in np.float32, np.float64:
        Q, K, V = np.array([[1e3]], dtype), np.array([[1e3], [-1e3], [999.0]], dtype), np.eye(3, dtype=dtype)
        close(nn.ScaledDotProductAttention().forward(Q, K, V), [[1, 0, 0]])
        close(nn.ScaledDotProductAttention().forward(-Q, K, V), [[0, 1, 0]])
        close(nn.ScaledDotProductAttention().forward(-Q, K[[0, 2, 0]], V), [[0, 1, 0]])


@pytest.mark.parametrize("dropout", [0.25, 1.0])
def test_dropout_is_of_the_weights_and_in_training_mode_only(dropout):
    layer, X = layer_of(6, 2, dropout, need_weights=True, average_attn_weights=False), numbers(2, 3, 6)
    plain = layer_of(need_weights=True, average_attn_weights=False)
    plain.Phi = layer.Phi
    Y, weights = layer.forward(X)
    _, A = plain.forward(X)
    kept = weights != 0
    close(weights, np.where(kept, A / (1 - dropout) if dropout < 1 else 0, 0))
    assert kept.any() == (dropout < 1)
    v = (X @ layer.W_v + layer.b_v).reshape(2, 3, 2, 3).swapaxes(1, 2)
    close(Y, (weights @ v).swapaxes(1, 2).reshape(2, 3, 6) @ layer.W_o + layer.b_o)
    assert not np.array_equal(layer.forward(X)[1] != 0, kept) or dropout == 1
    close(layer.A, A)
    close(layer.eval().forward(X)[1], A)


def test_positional_encoding_is_that_of_the_article():
    X = numbers(2, 4, 6)
    P = nn.PositionalEncoding().forward(X) - X
    for t in range(4):
        for i in range(3):
            angle = t / 10_000 ** (2 * i / 6)
            close(P[:, t, 2 * i : 2 * i + 2], [[math.sin(angle), math.cos(angle)]] * 2)


@pytest.mark.parametrize("interleaved", [True, False])
def test_inner_products_of_rotated_vectors_depend_on_their_distance_alone(interleaved):
    q, k = numbers(6), numbers(6, seed=1)
    layer = nn.RotaryEmbedding(interleaved=interleaved)
    Q, K = layer.forward(np.tile(q, (5, 1))), layer.forward(np.tile(k, (5, 1)))
    products = Q @ K.T
    for distance in range(-4, 5):
        diagonal = np.diagonal(products, distance)
        close(diagonal, diagonal[:1].repeat(len(diagonal)))
    assert len(np.unique(products.round(6))) == 9
    close(np.linalg.norm(Q, axis=1), np.linalg.norm(q).repeat(5))


@pytest.mark.parametrize("make", [nn.PositionalEncoding, nn.RotaryEmbedding])
def test_one_step_at_a_time_is_the_whole_sequence(make):
    layer, X = make(50.0), numbers(2, 5, 4)
    Y = layer.forward(X)
    for t in range(5):
        layer.offset = t
        close(layer.forward(X[:, t : t + 1]), Y[:, t : t + 1])
    for wrong in numbers(2, 5, 3), numbers(4):
        with pytest.raises(nn.ShapeError, match="with an even D"):
            layer.forward(wrong)
    with pytest.raises(ValueError, match="offset: expected at least 0"):
        make(offset=-1)
    with pytest.raises(ValueError, match="base: expected a number above 0"):
        make(0)


def test_a_learned_encoding_is_an_embedding_of_positions():
    indices, positions = nn.Input("indices"), nn.Input("positions")
    X = nn.Embedding(7, 4, rng=0)(indices) + nn.Embedding(5, 4, rng=1)(positions)
    model = nn.Graph([indices, positions], nn.MultiheadAttention(4, 2, causal=True, rng=2)(X))
    given = np.array([[1, 2, 3], [4, 5, 6]]), np.tile(np.arange(3), (2, 1))
    assert model.forward(*given).shape == (2, 3, 4)
    nn.check_gradients(model, given)


def test_attention_of_rotated_queries_and_keys_as_a_graph():
    """The weights depend on distances alone: the same steps at later positions have the same outputs."""
    X = nn.Input("X")
    q, k, v = (nn.Transpose(1, 2)(nn.Unflatten(-1, (2, 4))(nn.Linear(8, 8, rng=n)(X))) for n in range(3))
    rotary = nn.RotaryEmbedding(), nn.RotaryEmbedding()
    Y = nn.ScaledDotProductAttention(causal=True)(rotary[0](q), rotary[1](k), v)
    graph = nn.Graph(X, nn.Linear(8, 8, rng=3)(nn.Flatten(-2)(nn.Transpose(1, 2)(Y)))).astype(np.float64)
    given = numbers(2, 5, 8)
    before = graph.forward(given)
    for layer in rotary:
        layer.offset = 7
    np.testing.assert_allclose(graph.forward(given), before, rtol=1e-9, atol=1e-12)
    nn.check_gradients(graph, given)


def test_the_operations_are_counted():
    """Of 2 samples with 3 queries and 5 keys in 2 heads of width 3."""
    layer, Q, K = layer_of(6, 2, bias=False), numbers(2, 3, 6), numbers(2, 5, 6)
    forward, backward = layer.flops(Q, layer.forward(Q, K))
    maps, heads = 2 * 2 * 6 * 6 * (3 + 5 + 5 + 3), 2 * 2 * 2 * 3 * 5 * (3 + 3)
    assert sum(2 * A.size * B.shape[1] for A, B in forward.products) == maps + heads
    again = heads // 2  # the scores, which backward computes anew
    assert sum(2 * A.size * B.shape[1] for A, B in backward.products) == 2 * (maps + heads) + again
    layer.needs_dX = False
    _, without = layer.flops(Q, layer.forward(Q, K))
    products = sum(2 * A.size * B.shape[1] for A, B in without.products)
    assert products == maps + 2 * 2 * 36 * 3 + 2 * heads + again
    assert "MultiheadAttention" in str(nn.profile(layer, (Q, K)))


def test_masks_go_through_the_tools(tmp_path):
    """As booleans: summary, a file, training, and per-sample gradients."""
    X, mask = nn.Input("X"), nn.Input("mask")
    Y = nn.Flatten()(nn.MultiheadAttention(4, 2, rng=0)(X, key_padding_mask=mask))
    model = nn.Graph([X, mask], nn.Linear(12, 1, rng=1)(Y))
    assert "(N, 3, 4)" in str(nn.summary(model, ((3, 4), (3,))))
    inputs, target = (numbers(8, 3, 4), nn.padding_mask([3, 1, 2, 3, 3, 2, 1, 1])), numbers(8, 1)
    nn.save(model, tmp_path / "model.npz")
    before = nn.predict(model, inputs)
    np.testing.assert_array_equal(nn.predict(nn.load(tmp_path / "model.npz"), inputs), before)
    optimizer = nn.Adam(model, lr=0.01)
    history = nn.fit(model, inputs, target, loss=nn.MSELoss(), optimizer=optimizer, epochs=20, verbose=0, rng=0)
    assert history["loss"][-1] < history["loss"][0]
    gradients = nn.per_sample_gradients(model, inputs, target, loss=nn.MSELoss())
    assert gradients["0.W_q"].shape == (8, 4, 4)


def test_in_a_graph_arguments_before_a_mask_can_be_left_out():
    X, mask = nn.Input("X"), nn.Input("mask")
    graph = nn.Graph([X, mask], nn.Tanh()(X + layer_of()(X, key_padding_mask=mask)))
    inputs = numbers(2, 3, 6), nn.padding_mask([3, 2])
    layer = layer_of()
    Y = graph.forward(*inputs)
    close(Y, np.tanh(inputs[0] + layer.forward(inputs[0], key_padding_mask=inputs[1])))
    dU = (1 - Y**2) * Y
    close(graph.backward(Y)[0], dU + layer.backward(dU))
    steps = list(nn.backward_steps(graph, Y))
    assert [step.path for step in steps] == ["2", "1", "0", "X"]
    nn.check_gradients(graph, inputs)
    restored = copy.deepcopy(graph)
    close(restored.forward(*inputs), Y)


def test_lengths_stand_for_the_mask_of_the_padding():
    layer, X = nn.MultiheadAttention(8, 2, dtype=np.float64, rng=0), np.random.default_rng(0).normal(size=(3, 5, 8))
    by_mask = layer.forward(X, None, None, nn.padding_mask([5, 2, 3]))
    assert (layer.forward(X, None, None, [5, 2, 3]) == by_mask).all()
    np.testing.assert_allclose(layer.forward(X[1:2, :2]), by_mask[1:2, :2])
    with pytest.raises(ValueError, match="lengths: expected from 0 to 5, got 6 at 1"):
        layer.forward(X, None, None, [5, 6, 3])
    with pytest.raises(nn.ShapeError, match=r"of shape \(3, 5\), or \(3,\) of lengths, got \(2, 5\)"):
        layer.forward(X, None, None, [5, 2])


def test_a_model_with_lengths_goes_through_the_tools(tmp_path):
    """A shape of () says that the input of a mask is a length for each sample."""
    X, lengths = nn.Input("X"), nn.Input("lengths")
    block = nn.TransformerEncoderLayer(4, 2, 8, rng=0)
    model = nn.Graph([X, lengths], nn.Select(1, 0)(block(X, src_key_padding_mask=lengths))).eval()
    assert "(N, 4)" in str(nn.summary(model, ((3, 4), ())))
    assert "(N, 4)" in str(nn.summary(model, {"X": (3, 4), "lengths": ()}))
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    given, counts = numbers(4, 3, 4).astype(np.float32), np.array([3, 1, 2, 0])
    nn.to_onnx(model, tmp_path / "model.onnx", ((3, 4), ()))
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    (Y,) = session.run(None, {"X": given, "lengths": counts})
    np.testing.assert_allclose(Y, model.forward(given, counts), atol=1e-6)


def test_a_transformer_trains_on_sequences_of_different_lengths():
    words, rng = [[3, 1, 2], [4], [1, 2], [2, 2, 2, 1]], np.random.default_rng(0)
    x, lengths = nn.Input("x"), nn.Input("lengths")
    encoder = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, rng=rng)
    h = encoder(nn.Embedding(5, 8, rng=rng)(x), src_key_padding_mask=lengths)
    model = nn.Graph([x, lengths], nn.Linear(8, 2, rng=rng)(h))
    targets = [[int(letter == max(word)) for letter in word] for word in words]
    options = {"loss": nn.CrossEntropyLoss(dim=-1), "optimizer": nn.Adam(model, lr=0.02), "verbose": 0, "rng": 0}
    history = nn.fit(model, nn.Sequences(words, targets), epochs=60, batch_size=2, metrics=[nn.accuracy], **options)
    assert history["accuracy"][-1] == 1.0
    together = nn.predict(model, nn.Sequences(words))
    for word, Y in zip(words, together, strict=True):
        np.testing.assert_allclose(nn.predict(model, nn.Sequences([word]))[0], Y[: len(word)], rtol=1e-4, atol=1e-5)
