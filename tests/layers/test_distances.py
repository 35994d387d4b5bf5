"""Bilinear, CosineSimilarity and PairwiseDistance: closed forms, edges and bad arguments."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import nnlite as nn
from nnlite.diagnostics.profile import flops_of


def test_bilinear_is_the_sum_over_both_widths():
    layer = nn.Bilinear(2, 3, 2, rng=0, dtype=np.float64)
    layer.b = [0.5, -0.5]
    x1, x2 = np.array([[1.0, -2.0]]), np.array([[3.0, 0.5, -1.0]])
    expected = [[sum(x1[0, i] * layer.W[k, i, j] * x2[0, j] for i in range(2) for j in range(3)) for k in range(2)]]
    assert_allclose(layer.forward(x1, x2), np.array(expected) + layer.b, rtol=1e-14)


def test_bilinear_starts_with_outputs_of_the_size_of_its_inputs_and_b_of_0():
    layer = nn.Bilinear(40, 40, 40, rng=0)
    rng = np.random.default_rng(0)
    Y = layer.forward(rng.normal(size=(500, 40)), rng.normal(size=(500, 40)))
    assert 0.9 < Y.std() < 1.1
    assert not layer.b.any()
    assert nn.Bilinear(2, 2, 2, bias=False).b is None


def test_bilinear_skips_the_gradients_that_nobody_reads():
    layer = nn.Bilinear(2, 2, 1, rng=0)
    layer.needs_dX = False
    layer.forward([[1, 2]], [[3, 4]])
    assert layer.backward(np.array([[2.0]])) is None
    assert_array_equal(layer.dW, [[[6, 8], [12, 16]]])


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: nn.Bilinear(0, 2, 2), ValueError, "Bilinear: in1_features: expected at least 1"),
        (lambda: nn.Bilinear(2, 2.0, 2), TypeError, "Bilinear: in2_features: expected a whole number"),
        (lambda: nn.Bilinear(2, 2, -1), ValueError, "Bilinear: out_features: expected at least 1"),
        (lambda: nn.Bilinear(2, 2, 2, weight_init="zeros"), TypeError, "Bilinear: weight_init: expected a function"),
        (lambda: nn.Bilinear(2, 2, 2, weight_init=lambda *_, **__: np.ones(2)), nn.ShapeError, r"shape \(2, 2, 2\)"),
        (lambda: nn.Bilinear(2, 2, 2, dtype=int), TypeError, "floating"),
        (lambda: nn.CosineSimilarity(1.0), TypeError, "CosineSimilarity: dim: expected a whole number"),
        (lambda: nn.CosineSimilarity(eps=-1.0), ValueError, "CosineSimilarity: eps: expected a number >= 0"),
        (lambda: nn.PairwiseDistance(-1), ValueError, "PairwiseDistance: p: expected a number >= 0"),
        (lambda: nn.PairwiseDistance(math.nan), ValueError, "PairwiseDistance: p: expected a number >= 0, got nan"),
        (lambda: nn.PairwiseDistance("2"), TypeError, "PairwiseDistance: p: expected a number"),
        (lambda: nn.PairwiseDistance(eps=None), TypeError, "PairwiseDistance: eps: expected a number"),
        (lambda: nn.Unflatten("1", (2, 2)), TypeError, "Unflatten: dim: expected a whole number"),
        (lambda: nn.Unflatten(1, 4), TypeError, "Unflatten: unflattened_size: expected whole numbers"),
        (lambda: nn.Unflatten(1, (2.0, 2)), TypeError, "Unflatten: unflattened_size: expected whole numbers"),
        (lambda: nn.Unflatten(1, ()), ValueError, "Unflatten: unflattened_size: expected whole numbers"),
        (lambda: nn.Unflatten(1, (-1, -1)), ValueError, "at most one may be -1"),
        (lambda: nn.Unflatten(1, (-2, 2)), ValueError, "Unflatten: unflattened_size"),
    ],
)
def test_bad_arguments(make, error, words):
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize(
    ("layer", "shapes", "words"),
    [
        (nn.Bilinear(3, 2, 4), [(5, 2), (5, 2)], "expected 3 features in X1, got 2"),
        (nn.Bilinear(3, 2, 4), [(5, 3), ()], "expected 2 features in X2, got a scalar"),
        (nn.Bilinear(3, 2, 4), [(5, 3), (1, 2)], r"shapes \(5, 3\) and \(1, 2\) do not match"),
        (nn.Bilinear(3, 2, 4), [(5, 3), (2,)], r"shapes \(5, 3\) and \(2,\) do not match"),
        (nn.CosineSimilarity(), [(3,), (3,)], r"expected X with axis 1, got shape \(3,\)"),
        (nn.CosineSimilarity(), [(4, 3), (4, 2)], r"shapes \(4, 3\) and \(4, 2\) do not match"),
        (nn.PairwiseDistance(), [(4, 3), (4, 2)], r"shapes \(4, 3\) and \(4, 2\) do not match"),
        (nn.PairwiseDistance(), [(), ()], r"expected vectors, got inputs of shapes \(\) and \(\)"),
        (nn.Unflatten(1, (2, 2)), [(4, 5)], r"cannot split axis 1 of X of shape \(4, 5\)"),
        (nn.Unflatten(1, (2, -1)), [(4, 5)], r"cannot split axis 1 of X of shape \(4, 5\)"),
        (nn.Unflatten(1, (0, -1)), [(4, 5)], r"cannot split axis 1 of X of shape \(4, 5\)"),
        (nn.Unflatten(2, (2, 2)), [(4, 4)], r"expected X with axis 2, got shape \(4, 4\)"),
    ],
)
def test_inputs_of_wrong_shapes(layer, shapes, words):
    with pytest.raises(nn.ShapeError, match=words):
        layer.forward(*map(np.ones, shapes))
    with pytest.raises(nn.ShapeError, match=words):
        layer.output_shape(*shapes)


def test_cosine_similarity_does_not_depend_on_the_lengths_and_is_at_most_1():
    x, layer = np.array([[3.0, -4.0]]), nn.CosineSimilarity()
    assert_allclose(layer.forward(x, 1e3 * x), [1.0], rtol=1e-15)
    assert_allclose(layer.forward(x, -1e-3 * x), [-1.0], rtol=1e-15)
    assert_array_equal(layer.forward(x, [[4.0, 3.0]]), [0.0])


def test_cosine_similarity_of_a_zero_vector_is_0_with_a_finite_gradient():
    layer = nn.CosineSimilarity(eps=0.5)
    assert_array_equal(layer.forward(np.zeros((1, 2)), np.array([[3.0, 4.0]])), [0.0])
    dX1, dX2 = layer.backward(np.ones(1))
    assert_allclose(dX1, [[1.2, 1.6]], rtol=1e-15)  # x2 / (|x2| eps)
    assert_array_equal(dX2, np.zeros((1, 2)))


@pytest.mark.parametrize(
    ("p", "distance", "gradient"),
    [
        (0, 2, [0, 0, 0]),
        (1, 7, [1, -1, 0]),
        (2, 5, [0.6, -0.8, 0]),
        (math.inf, 4, [0, -1, 0]),
    ],
)
def test_distances_in_closed_form(p, distance, gradient):
    layer = nn.PairwiseDistance(p, eps=0.0)
    assert layer.forward(np.array([3.0, -4.0, 1.0]), np.array([0.0, 0.0, 1.0])) == distance
    dX1, dX2 = layer.backward(np.array(1.0))
    assert_allclose(dX1, gradient, atol=1e-15)
    assert_allclose(dX2, np.negative(gradient), atol=1e-15)


@pytest.mark.parametrize("p", [0, 0.5, 1, 1.5, 2, 3, math.inf])
def test_equal_vectors_have_no_gradient_without_eps(p):
    layer = nn.PairwiseDistance(p, eps=0.0)
    assert layer.forward(np.ones(3), np.ones(3)) == 0
    for dX in layer.backward(np.array(1.0)):
        assert_array_equal(dX, np.zeros(3))


def test_eps_is_added_to_the_difference():
    assert_allclose(nn.PairwiseDistance(1, eps=0.25).forward(np.ones(4), np.ones(4)), 1.0)
    assert_allclose(nn.PairwiseDistance(1).forward(np.zeros(4), np.zeros(4)), 4e-6)


def test_operations_that_profile_counts():
    layer = nn.Bilinear(3, 2, 4)
    X1, X2 = np.ones((5, 3), np.float32), np.ones((5, 2), np.float32)
    Y = layer.forward(X1, X2)
    forward, backward = flops_of(layer, X1, Y)
    assert forward.total == 5 * 3 * 2 + 2 * 5 * 6 * 4 + 5 * 4  # the outer products, their product with W, b
    assert backward.total == 2 * (2 * 5 * 6 * 4) + 4 * 5 * 3 * 2 + 5 * 4  # dW and dP; dx1 and dx2; db
    layer.needs_dX = False
    assert flops_of(layer, X1, Y)[1].total == 2 * 5 * 6 * 4 + 5 * 4
    assert [each.total for each in flops_of(nn.Unflatten(1, (3, 1)), X1, X1[..., None])] == [0, 0]
    loss = nn.MarginRankingLoss()
    J = loss.forward(X1, X1, X1)
    assert [each.total for each in flops_of(loss, X1, J)] == [5 * 15, 8 * 15]
