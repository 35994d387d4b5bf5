"""Attention: masks mean what they say, the roles of one input are summed, and the future does not reach the past."""

import copy

import numpy as np
import pytest

import nnlite as nn


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
        ((X, None, None, np.zeros((2, 3), bool)), nn.ShapeError, r"key_padding_mask of shape \(2, 4\), got \(2, 3\)"),
        ((X, None, None, None, np.zeros((4, 3), bool)), nn.ShapeError, r"attn_mask of shape \(4, 4\), \(2, 4, 4\)"),
    ]:
        with pytest.raises(error, match=words):
            layer.forward(*arguments)
    with pytest.raises(ValueError, match="expected a divisor of embed_dim=6, got 4"):
        layer_of(6, 4)
    with pytest.raises(ValueError, match="expected from 0 to 2, got 3 at 1"):
        nn.padding_mask([1, 3], 2)


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
