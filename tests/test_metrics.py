"""Metrics: shares of right answers, counted by hand."""

from functools import partial

import numpy as np
import pytest

import nnlite as nn

# The largest scores stand at 1, 0, 2, 0.
SCORES = np.array([[0.1, 0.7, 0.2], [5.0, 1.0, 2.0], [-3.0, -2.0, -1.0], [0.4, 0.3, 0.3]])


@pytest.mark.parametrize(
    ("classes", "share"), [([1, 0, 2, 0], 1.0), ([1, 0, 2, 1], 0.75), ([1, 1, 1, 1], 0.25), ([0, 1, 0, 1], 0.0)]
)
def test_accuracy_is_the_share_of_rows_whose_largest_score_is_right(classes, share):
    result = nn.accuracy(SCORES, np.array(classes))
    assert result == share
    assert type(result) is float


def test_accuracy_takes_one_hot_targets():
    assert nn.accuracy(SCORES, np.eye(3)[[1, 0, 2, 1]]) == 0.75


def test_accuracy_takes_lists():
    assert nn.accuracy(SCORES.tolist(), [1, 0, 2, 1]) == 0.75


def test_accuracy_with_more_axes_has_the_classes_on_axis_1():
    pixels = SCORES.reshape(2, 2, 3).transpose(0, 2, 1)  # (N, C, d1)
    assert nn.accuracy(pixels, np.array([[1, 0], [2, 1]])) == 0.75


@pytest.mark.parametrize("Y", [np.zeros((4, 1), int), np.zeros(3, int), np.zeros((4, 2))])
def test_accuracy_refuses_targets_of_another_shape(Y):
    with pytest.raises(nn.ShapeError, match=r"accuracy: expected class indices of shape \(4,\), got"):
        nn.accuracy(SCORES, Y)


def test_accuracy_of_one_column_of_probabilities_points_to_binary_accuracy():
    with pytest.raises(nn.ShapeError, match="binary_accuracy"):
        nn.accuracy(np.array([0.2, 0.9]), np.array([0, 1]))


def test_binary_accuracy_is_the_share_on_the_right_side_of_the_threshold():
    # 0.5 itself is not above the threshold, so it is class 0.
    assert nn.binary_accuracy(np.array([[0.2], [0.5], [0.51], [0.9]]), np.array([[0], [0], [1], [0]])) == 0.75


def test_binary_accuracy_counts_elements():
    assert nn.binary_accuracy(np.array([[0.9, 0.1], [0.9, 0.9]]), np.array([[1, 0], [1, 0]])) == 0.75


def test_binary_accuracy_takes_half_a_target_for_class_0():
    assert nn.binary_accuracy(np.array([0.1, 0.2, 0.9]), np.array([0.5, 0.5, 0.5])) == 2 / 3


def test_binary_accuracy_of_scores_with_the_threshold_0():
    scores = partial(nn.binary_accuracy, threshold=0.0)
    assert scores(np.array([-0.1, 0.1, 0.0, 3.0]), np.array([0, 1, 0, 0])) == 0.75


def test_binary_accuracy_refuses_to_broadcast():
    with pytest.raises(nn.ShapeError, match=r"binary_accuracy: expected targets of shape \(4, 1\), got \(4,\)"):
        nn.binary_accuracy(np.zeros((4, 1)), np.zeros(4))


@pytest.mark.parametrize(
    ("metric", "Y_pred", "Y"),
    [(nn.accuracy, np.zeros((0, 3)), np.zeros(0, int)), (nn.binary_accuracy, np.zeros((0, 1)), np.zeros((0, 1)))],
)
def test_the_share_of_nothing_is_an_error(metric, Y_pred, Y):
    with pytest.raises(ValueError, match=f"{metric.__name__}: empty batch"):
        metric(Y_pred, Y)


def test_one_output_has_no_classes():
    with pytest.raises(nn.ShapeError, match="for one output take binary_accuracy"):
        nn.accuracy([[0.1], [0.9]], [[1], [0]])


def test_nan_is_never_right():
    assert nn.accuracy([[np.nan, 0.0], [1.0, 0.0]], [0, 0]) == 0.5
    assert nn.binary_accuracy([[np.nan], [0.2]], [[0], [0]]) == 0.5
