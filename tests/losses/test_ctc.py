"""CTCLoss: closed forms, all alignments of short sequences, long ones, edges, bad arguments and training."""

import itertools
import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import nnlite as nn


def log_probs(*shape, seed=0):
    return nn.LogSoftmax().forward(np.random.default_rng(seed).normal(size=shape))


def merged(path, blank):
    return tuple(c for c, _ in itertools.groupby(path) if c != blank)


@pytest.mark.parametrize("target", [(), (1,), (2, 1), (1, 1), (1, 2, 1), (2, 2, 2)])
@pytest.mark.parametrize("blank", [0, 3])
def test_it_is_the_sum_over_all_alignments_and_the_gradient_is_their_share(target, blank):
    X = log_probs(5, 4)
    given = tuple(c if blank == 0 else c - 1 for c in target)
    total, share = 0.0, np.zeros((5, 4))
    for path in itertools.product(range(4), repeat=5):
        if merged(path, blank) == given:
            p = math.exp(sum(X[t, c] for t, c in enumerate(path)))
            total += p
            share[range(5), path] += p
    loss = nn.CTCLoss(blank, reduction="sum")
    assert loss.forward(X, np.array(given, int), 5, len(given)) == pytest.approx(-math.log(total), rel=1e-12)
    assert_allclose(loss.backward(2.0), -2 * share / total, rtol=1e-11, atol=1e-15)


def test_the_mean_is_over_samples_of_the_loss_divided_by_the_length_of_the_target():
    X, targets, sizes = log_probs(6, 3, 4), np.array([[1, 2], [3, 0], [0, 0]]), np.array([2, 1, 0])
    each = nn.CTCLoss(reduction="none").forward(X, targets, [6, 6, 6], sizes)
    assert nn.CTCLoss(reduction="sum").forward(X, targets, [6, 6, 6], sizes) == pytest.approx(each.sum())
    assert nn.CTCLoss().forward(X, targets, [6, 6, 6], sizes) == pytest.approx((each / [2, 1, 1]).mean())


def test_frames_after_the_length_of_the_input_and_padding_do_not_matter():
    X, loss = log_probs(7, 2, 4), nn.CTCLoss(reduction="none")
    J = loss.forward(X, [[1, 2], [3, 99]], [4, 7], [2, 1])
    dX = loss.backward(np.ones(2))
    assert_array_equal(dX[4:, 0], 0)
    assert J[0] == pytest.approx(float(loss.forward(X[:4, 0], [1, 2], 4, 2)))
    assert J[1] == pytest.approx(float(loss.forward(X[:, 1], [3], 7, 1)))
    assert_array_equal(loss.forward(X, [1, 2, 3], [4, 7], [2, 1]), J)


def test_a_target_without_an_alignment_costs_infinity_or_0_and_has_no_gradient():
    X = log_probs(3, 2, 4)
    for zero, expected in (False, math.inf), (True, 0.0):
        loss = nn.CTCLoss(reduction="none", zero_infinity=zero)
        J = loss.forward(X, [[1, 1, 1], [1, 2, 3]], [3, 3], [3, 3])  # 1 1 1 needs five frames
        assert J[0] == expected
        assert np.isfinite(J[1])
        dX = loss.backward(np.ones(2))
        assert_array_equal(dX[:, 0], 0)
        assert_allclose(dX[:, 1].sum(axis=-1), -1, rtol=1e-12)


def test_no_frames():
    loss = nn.CTCLoss(reduction="none")
    assert_array_equal(loss.forward(log_probs(2, 2, 3), [[1], [1]], [0, 0], [0, 1]), [0, math.inf])
    assert_array_equal(loss.forward(np.zeros((0, 1, 3)), np.zeros((1, 0), int), [0], [0]), [0])
    assert loss.backward(np.ones(1)).shape == (0, 1, 3)


def test_a_thousand_frames_of_a_hundred_classes_in_float32():
    X = log_probs(1000, 2, 100).astype(np.float32)
    targets = np.random.default_rng(0).integers(1, 100, (2, 200))
    given = targets, [1000, 900], [200, 150]
    loss = nn.CTCLoss(reduction="none")
    with np.errstate(all="raise"):
        J = loss.forward(X, *given)
        dX = loss.backward(np.ones(2, np.float32))
    assert J.dtype == dX.dtype == np.float32
    exact = nn.CTCLoss(reduction="none")
    assert_allclose(J, exact.forward(X.astype(np.float64), *given), rtol=1.3e-6)
    assert (J > 1000).all()
    assert_allclose(dX.sum(axis=-1)[:900], -1, rtol=1e-5)  # in each frame the probabilities of the classes sum to 1


def test_equal_probabilities_in_closed_form():
    X = np.full((4, 3), -math.log(3))
    assert nn.CTCLoss().forward(X, [1], 4, 1) == pytest.approx(4 * math.log(3) - math.log(10))  # 10 runs of ones


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: nn.CTCLoss(-1), ValueError, "CTCLoss: blank: expected at least 0"),
        (lambda: nn.CTCLoss(0.5), TypeError, "CTCLoss: blank: expected a whole number"),
        (lambda: nn.CTCLoss(reduction="avg"), ValueError, "'mean', 'sum' or 'none'"),
    ],
)
def test_bad_arguments(make, error, words):
    with pytest.raises(error, match=words):
        make()


X = np.log(np.full((5, 2, 3), 1 / 3))


@pytest.mark.parametrize(
    ("inputs", "error", "words"),
    [
        ((X[0, 0], [1], 5, 1), nn.ShapeError, r"log_probs of shape \(T, N, C\) or \(T, C\)"),
        ((X[..., :0], [[1], [1]], [5, 5], [1, 1]), nn.ShapeError, r"above the blank 0, got \(5, 2, 0\)"),
        (
            (X, [[1], [1]], [5], [1, 1]),
            nn.ShapeError,
            r"input_lengths of shape \(2,\), one for each sample, got \(1,\)",
        ),
        ((X, [[1], [1]], 5, [1, 1]), nn.ShapeError, r"input_lengths of shape \(2,\).* got \(\)"),
        (
            (X, [[1], [1]], [5, 6], [1, 1]),
            ValueError,
            "input_lengths from 0 to 5, the number of frames, got 6 at index 1",
        ),
        ((X, [[1], [1]], [-1, 5], [1, 1]), ValueError, "input_lengths from 0 to 5, the number of frames, got -1"),
        ((X, [[1], [1]], [5, 5], [1, -1]), ValueError, "target_lengths at least 0, got -1 at index 1"),
        ((X, [[1], [1]], [5, 5], [1, 2]), nn.ShapeError, r"targets of shape \(2, 2\) or wider.* got \(2, 1\)"),
        ((X, [[1]], [5, 5], [1, 1]), nn.ShapeError, r"targets of shape \(2, 1\) or wider.* got \(1, 1\)"),
        ((X, [1, 2, 1], [5, 5], [1, 1]), nn.ShapeError, r"or 2 of them one after another.* got shape \(3,\)"),
        ((X[:, 0], [[1]], 5, 1), nn.ShapeError, r"got shape \(1, 1\)"),
        (
            (X, [[1], [3]], [5, 5], [1, 1]),
            ValueError,
            "from 0 to 2 other than the blank 0, got 3 as number 0 of sample 1",
        ),
        ((X, [[1, 2], [1, 0]], [5, 5], [2, 2]), ValueError, "got 0 as number 1 of sample 1"),
        ((X, [1, -1], [5, 5], [1, 1]), ValueError, "got -1 as number 0 of sample 1"),
        ((X, [[1.0], [1.0]], [5, 5], [1, 1]), TypeError, "targets: expected whole numbers, got dtype float64"),
        ((X, [[1], [1]], [5.0, 5.0], [1, 1]), TypeError, "input_lengths: expected whole numbers"),
        ((X, [[1], [1]], [5, 5], [True, True]), TypeError, "target_lengths: expected whole numbers, got dtype bool"),
        ((X[:, :0], np.zeros((0, 1), int), [], []), ValueError, "empty batch"),
    ],
)
def test_bad_inputs(inputs, error, words):
    loss = nn.CTCLoss()
    loss.forward(X, [[1], [1]], [5, 5], [1, 1])
    with pytest.raises(error, match=words):
        loss.forward(*inputs)
    with pytest.raises(nn.StateError):
        loss.backward()


def test_a_network_learns_to_read_sequences():
    rng = np.random.default_rng(0)
    targets = rng.integers(1, 4, (48, 2))
    X = np.zeros((48, 8, 4))
    for row, (first, second) in enumerate(targets):  # each class for some frames, with zeros between them
        start = rng.integers(0, 2)
        X[row, start : start + 2, first] = 1
        X[row, start + 4 : start + 6, second] = 1
    Y = targets, np.full(48, 8), np.full(48, 2)
    model = nn.Sequential(nn.Linear(4, 4, rng=0), nn.LogSoftmax(), nn.Transpose(0, 1))
    assert nn.check_gradients(model, X[:3], tuple(each[:3] for each in Y), nn.CTCLoss()).right
    options = {"loss": nn.CTCLoss(), "optimizer": nn.SGD(model, lr=1.0, momentum=0.9), "verbose": 0, "rng": 0}
    history = nn.fit(model, X, Y, epochs=40, batch_size=16, validation_split=0.25, **options)
    assert history["loss"][-1] < 0.1
    best = model.forward(X).argmax(axis=-1).T
    assert [merged(path, 0) for path in best.tolist()] == [tuple(row) for row in targets.tolist()]
    assert nn.evaluate(model, X, Y, loss=nn.CTCLoss(), batch_size=7)["loss"] == pytest.approx(
        nn.evaluate(model, X, Y, loss=nn.CTCLoss())["loss"], rel=1e-5
    )


def test_profile_counts_its_operations_by_states_and_frames():
    loss = nn.CTCLoss()
    X = nn.LogSoftmax(dim=2).forward(np.zeros((3, 2, 4)))
    loss.forward(X, np.array([[1, 2], [3, 1]]), np.array([3, 3]), np.array([2, 2]))
    forward, backward = loss.flops(X, 0.0)
    states = 3 * 2 * (2 * 2 + 1)  # frames, samples, two labels with the blanks around them
    assert (forward.elementwise, backward.elementwise) == (13 * states, 18 * states)
