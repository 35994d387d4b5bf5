"""Metrics: shares, counts, areas and variances worked by hand, and compared with scikit-learn's."""

import functools
import re
from functools import partial

import numpy as np
import pandas as pd
import pytest

import nnlite as nn
from nnlite.training.metrics.mean_over_batches import is_mean_over_batches

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
    with pytest.raises(nn.ShapeError, match="for one output use binary_accuracy"):
        nn.accuracy([[0.1], [0.9]], [[1], [0]])


def test_nan_is_never_right():
    assert nn.accuracy([[np.nan, 0.0], [1.0, 0.0]], [0, 0]) == 0.5
    assert nn.binary_accuracy([[np.nan], [0.2]], [[0], [0]]) == 0.5


# ------------------------------------------------------------------------------ confusion matrix, precision, recall, F1

#   sample       0  1  2  3  4  5  6  7
#   class        0  1  1  0  2  2  2  2
#   predicted    0  1  1  2  2  0  1  2
#
#   class        0    1    2
#   right        1    2    2
#   predicted    2    3    3     precision  1/2  2/3  2/3
#   true         2    2    4     recall     1/2  1    1/2     F1  2/4  4/5  4/7
CLASSES = np.array([0, 1, 1, 0, 2, 2, 2, 2])
PREDICTED = np.eye(3)[[0, 1, 1, 2, 2, 0, 1, 2]] * 0.7 + 0.1

# Above a half are 1, 2, 3 and 5, of which 1 and 3 are of class 1; so are 0, 4 and 6.
P = np.array([[0.1], [0.9], [0.6], [0.7], [0.5], [0.8], [0.2]])
T = np.array([[1], [1], [0], [1], [1], [0], [1]])

BY_CLASS = [nn.precision, nn.recall, nn.f1]
NEW = [nn.confusion_matrix, *BY_CLASS, nn.roc_auc, nn.r2]


def test_the_confusion_matrix_has_the_true_classes_in_rows_and_the_predicted_ones_in_columns():
    counts = nn.confusion_matrix(PREDICTED, CLASSES)
    np.testing.assert_array_equal(counts, [[1, 0, 1], [0, 2, 0], [1, 1, 2]])
    assert counts.dtype.kind == "i"


def test_the_confusion_matrix_of_one_column_is_of_two_classes():
    np.testing.assert_array_equal(nn.confusion_matrix(P, T), [[0, 2], [3, 2]])
    np.testing.assert_array_equal(nn.confusion_matrix(P[:, 0], T[:, 0], threshold=0.15), [[0, 2], [1, 4]])


def test_the_confusion_matrix_has_a_place_for_classes_that_do_not_occur():
    np.testing.assert_array_equal(nn.confusion_matrix([[0.1, 0.9, 0.0]], [1]), np.diag([0, 1, 0]))
    np.testing.assert_array_equal(nn.confusion_matrix([0.1], [0]), np.diag([1, 0]))


def test_the_confusion_matrix_refuses_nan_which_is_no_class():
    for Y_pred, Y in (([[np.nan, 0.0], [1.0, 0.0]], [0, 0]), ([np.nan], [0])):
        with pytest.raises(ValueError, match="confusion_matrix: Y_pred holds NaN"):
            nn.confusion_matrix(Y_pred, Y)


@pytest.mark.parametrize(
    ("metric", "average", "value"),
    [
        (nn.precision, "macro", (1 / 2 + 2 / 3 + 2 / 3) / 3),
        (nn.recall, "macro", (1 / 2 + 1 + 1 / 2) / 3),
        (nn.f1, "macro", (2 / 4 + 4 / 5 + 4 / 7) / 3),
        (nn.precision, "weighted", (2 * 1 / 2 + 2 * 2 / 3 + 4 * 2 / 3) / 8),
        (nn.recall, "weighted", (2 * 1 / 2 + 2 * 1 + 4 * 1 / 2) / 8),
        (nn.f1, "weighted", (2 * 2 / 4 + 2 * 4 / 5 + 4 * 4 / 7) / 8),
        (nn.precision, "micro", 5 / 8),
        (nn.recall, "micro", 5 / 8),
        (nn.f1, "micro", 5 / 8),
    ],
)
def test_precision_recall_and_f1_of_three_classes_counted_by_hand(metric, average, value):
    result = metric(PREDICTED, CLASSES, average=average)
    assert result == pytest.approx(value, rel=1e-15)
    assert type(result) is float
    assert metric(PREDICTED, np.eye(3)[CLASSES], average=average) == result
    assert metric(PREDICTED.tolist(), CLASSES.astype(float).tolist(), average=average) == result
    pixels = PREDICTED.reshape(2, 4, 3).transpose(0, 2, 1)  # (N, C, d1)
    assert metric(pixels, CLASSES.reshape(2, 4), average=average) == result


@pytest.mark.parametrize(("metric", "value"), [(nn.precision, 2 / 4), (nn.recall, 2 / 5), (nn.f1, 4 / 9)])
def test_binary_is_of_class_1(metric, value):
    assert metric(P, T) == pytest.approx(value, rel=1e-15)
    assert metric(P[:, 0], T[:, 0].astype(bool)) == metric(P, T)
    assert metric(0.9, 1) == 1.0
    assert metric(np.hstack([1 - P, P]), T[:, 0]) == metric(P, T)  # 0.5 and 0.5 is class 0, the first of the largest


@pytest.mark.parametrize(
    ("metric", "average", "value"),
    [
        (nn.precision, "macro", (0 / 3 + 2 / 4) / 2),
        (nn.recall, "macro", (0 / 2 + 2 / 5) / 2),
        (nn.f1, "macro", (0 / 5 + 4 / 9) / 2),
        (nn.precision, "weighted", (2 * 0 + 5 * 2 / 4) / 7),
        (nn.f1, "weighted", (2 * 0 + 5 * 4 / 9) / 7),
        (nn.precision, "micro", 2 / 7),
        (nn.f1, "micro", 2 / 7),
    ],
)
def test_other_averages_of_one_column_are_over_both_classes(metric, average, value):
    assert metric(P, T, average=average) == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize(("metric", "value"), [(nn.precision, 4 / 6), (nn.recall, 4 / 5), (nn.f1, 8 / 11)])
def test_the_threshold_decides_what_is_class_1(metric, value):
    assert partial(metric, threshold=0.1)(P, T) == pytest.approx(value, rel=1e-15)  # 0.1 itself is not above it


@pytest.mark.parametrize("metric", BY_CLASS)
@pytest.mark.parametrize("average", ["binary", "macro", "micro", "weighted"])
def test_a_share_of_nothing_is_0(metric, average):
    # Never predicted, never there: for class 1 each is 0 / 0; class 0 is all right.
    expected = 0.0 if average == "binary" else 1.0
    assert metric([[0.1], [0.2]], [[0], [0]], average=average) == expected


def test_a_class_that_is_there_but_not_predicted_counts_and_one_that_is_neither_does_not():
    # Of four classes 0 is right, 1 is taken for 0, 2 and 3 are nowhere.
    scores = np.eye(4)[[0, 0]]
    assert nn.precision(scores, [0, 1], average="macro") == (1 / 2 + 0) / 2
    assert nn.recall(scores, [0, 1], average="macro") == (1 + 0) / 2
    assert nn.f1(scores, [0, 1], average="macro") == pytest.approx((2 / 3 + 0) / 2)


def test_a_prediction_that_is_nan_is_of_no_class():
    # Right: one of class 1. Predicted as 1: one. Of class 1: two.
    for Y_pred in (np.array([0.9, np.nan, np.nan]), np.array([[0.1, 0.9], [0.0, np.nan], [np.nan, 0.0]])):
        assert nn.precision(Y_pred, [1, 1, 0]) == 1.0
        assert nn.recall(Y_pred, [1, 1, 0]) == 0.5
        assert nn.f1(Y_pred, [1, 1, 0]) == 2 / 3
        assert nn.recall(Y_pred, [1, 1, 0], average="micro") == 1 / 3
    assert [metric([np.nan, np.nan], [0, 1]) for metric in BY_CLASS] == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("metric", BY_CLASS)
def test_an_average_that_does_not_fit_is_an_error(metric):
    with pytest.raises(ValueError, match=f"{metric.__name__}: average: expected one of 'binary', 'macro', .*'makro'"):
        metric(P, T, average="makro")
    with pytest.raises(ValueError, match=f"{metric.__name__}: average='binary' is for two classes, got 3; choose"):
        metric(PREDICTED, CLASSES)


# ---------------------------------------------------------------------------------------------------- roc_auc

# Of class 1: 0.35, 0.8, 0.8; of class 0: 0.1, 0.35, 0.8. Pairs won: 1 + 2 + 2; tied: 1 + 1 + 1; lost: one.
TIED = np.array([0.35, 0.1, 0.8, 0.35, 0.8, 0.8])
TIED_CLASSES = np.array([1, 0, 1, 0, 0, 1])


def test_roc_auc_counts_the_pairs_in_their_order_and_half_of_the_ties():
    result = nn.roc_auc(TIED, TIED_CLASSES)
    assert result == (5 + 3 / 2) / 9
    assert type(result) is float
    assert nn.roc_auc(TIED[:, None], TIED_CLASSES[:, None].astype(bool)) == result
    assert nn.roc_auc(-TIED, TIED_CLASSES) == (1 + 3 / 2) / 9


@pytest.mark.parametrize(
    ("scores", "area"),
    [([0.1, 0.2, 0.3], 1.0), ([0.3, 0.2, 0.1], 0.0), ([0.5, 0.5, 0.5], 0.5), ([-np.inf, 7, np.inf], 1.0)],
)
def test_roc_auc_looks_only_at_the_order(scores, area):
    assert nn.roc_auc(scores, [0, 1, 1]) == area


def test_roc_auc_of_zeros_of_both_signs_is_a_tie():
    assert nn.roc_auc([-0.0, 0.0], [0, 1]) == 0.5


# Class 0 is at 1 and 2: it beats 0.2 and 0.5 with 0.5 (one tie) and with 0.1 neither: 1.5 of 4.
# Class 1 is at 0: 0.4 beats 0.1, 0.2 and loses to 0.6: 2 of 3. Class 2 is at 3: 0.4 ties one, beats 0.3, 0.3: 2.5 of 3.
SHARES = np.array([[0.2, 0.4, 0.4], [0.5, 0.2, 0.3], [0.1, 0.6, 0.3], [0.5, 0.1, 0.4]])
SHARES_CLASSES = np.array([1, 0, 0, 2])


def test_roc_auc_of_several_classes_is_the_mean_of_each_against_the_rest():
    area = (1.5 / 4 + 2 / 3 + 2.5 / 3) / 3
    assert nn.roc_auc(SHARES, SHARES_CLASSES) == pytest.approx(area, rel=1e-15)
    assert nn.roc_auc(SHARES, np.eye(3)[SHARES_CLASSES]) == pytest.approx(area, rel=1e-15)
    pixels = SHARES.reshape(2, 2, 3).transpose(0, 2, 1)
    assert nn.roc_auc(pixels, SHARES_CLASSES.reshape(2, 2)) == pytest.approx(area, rel=1e-15)


def test_roc_auc_of_two_columns_is_that_of_one():
    assert nn.roc_auc(np.stack([1 - TIED, TIED], axis=1), TIED_CLASSES) == nn.roc_auc(TIED, TIED_CLASSES)


def test_roc_auc_takes_the_softmax_of_scores():
    # What is added to a row does not change its softmax. Class 0 wins both of its pairs, class 1 none, class 2 both.
    scores = np.log([[0.25, 0.35, 0.4], [0.3, 0.6, 0.1], [0.1, 0.4, 0.5]]) + np.array([[0.0], [500.0], [-3.0]])
    classes = np.array([1, 0, 2])
    with pytest.raises(ValueError, match="sum to 1 over the classes; for logits pass logits=True"):
        nn.roc_auc(scores, classes)
    assert nn.roc_auc(scores, classes, logits=True) == (2 / 2 + 0 / 2 + 2 / 2) / 3


def test_roc_auc_of_infinities_that_are_no_probabilities_is_an_error():
    with pytest.raises(ValueError, match="sum to 1 over the classes; for logits pass logits=True"):
        nn.roc_auc([[np.inf, -np.inf], [0.5, 0.5]], [0, 1])


def test_roc_auc_of_scores_far_apart_is_not_blurred_by_the_softmax():
    scores = np.array([[0.0, 20.0], [0.0, 25.0], [0.0, 30.0]], np.float32)  # the softmax is 1 in float32
    assert nn.roc_auc(scores, [0, 1, 1], logits=True) == 1.0


def test_roc_auc_of_one_column_is_the_same_for_logits():
    assert nn.roc_auc(TIED, TIED_CLASSES, logits=True) == nn.roc_auc(TIED, TIED_CLASSES)


def test_roc_auc_of_nan_is_nan():
    assert np.isnan(nn.roc_auc([0.1, np.nan, 0.3], [0, 1, 1]))
    for logits in (False, True):
        assert np.isnan(nn.roc_auc([[0.1, 0.9], [0.2, np.nan], [0.5, 0.5]], [0, 1, 1], logits=logits))


@pytest.mark.parametrize(
    ("Y_pred", "Y", "which"),
    [
        ([0.1, 0.2], [0, 0], "none of the 2 samples are of class 1"),
        ([0.1, 0.2], [1, 1], "all of the 2 samples are of class 1"),
        ([0.1, np.nan], [1, 1], "all of the 2 samples are of class 1"),
        (SHARES, [0, 1, 0, 1], "none of the 4 samples are of class 2"),
    ],
)
def test_roc_auc_of_a_class_that_nobody_or_everybody_is_of_is_an_error(Y_pred, Y, which):
    with pytest.raises(ValueError, match=f"roc_auc: {which}; expected at least one that is and one that is not"):
        nn.roc_auc(Y_pred, Y)


# ---------------------------------------------------------------------------------------------------- r2


def test_r2_of_one_output_worked_by_hand():
    # Errors 1, 0, -2, 1: 6. The mean is 3; from it -2, -1, 0, 3: 14.
    result = nn.r2([2.0, 2.0, 1.0, 7.0], [1.0, 2.0, 3.0, 6.0])
    assert result == pytest.approx(1 - 6 / 14, rel=1e-15)
    assert type(result) is float


def test_r2_of_several_outputs_is_the_mean_of_theirs():
    Y = np.array([[1.0, 1.0], [2.0, 3.0], [3.0, 5.0], [6.0, 7.0]])
    Y_pred = np.array([[2.0, 7.0], [2.0, 5.0], [1.0, 3.0], [7.0, 1.0]])  # the second: errors 6, 2, -2, -6: 80 of 20
    assert nn.r2(Y_pred, Y) == pytest.approx((1 - 6 / 14 + 1 - 80 / 20) / 2, rel=1e-15)
    assert nn.r2(Y_pred.reshape(4, 1, 2), Y.reshape(4, 1, 2)) == nn.r2(Y_pred, Y)


def test_r2_of_the_mean_is_0_and_of_the_targets_1():
    Y = np.array([[1.0], [2.0], [6.0]])
    assert nn.r2(np.full((3, 1), 3.0), Y) == 0.0
    assert nn.r2(Y, Y) == 1.0


def test_r2_of_equal_targets_is_1_or_0():
    tenths = np.full(3, 0.1)  # whose mean is not 0.1 to the last bit
    assert nn.r2(tenths, tenths) == 1.0
    assert nn.r2(tenths + 1e-9, tenths) == 0.0


def test_r2_keeps_the_digits_of_targets_far_from_0_and_of_whole_numbers():
    Y = np.array([0.0, 1.0, 2.0, 3.0])
    assert nn.r2(Y + 1e8 + [1, 0, 0, 0], Y + 1e8) == pytest.approx(1 - 1 / 5, rel=1e-14)
    assert nn.r2(np.array([20, 100, 200], np.uint8), np.array([0, 100, 200], np.uint8)) == pytest.approx(
        1 - 400 / 20000, rel=1e-14
    )
    assert nn.r2((Y + 4096).astype(np.float32) + np.float32([1, 0, 0, 0]), Y + 4096) == pytest.approx(
        1 - 1 / 5, rel=1e-14
    )


@pytest.mark.parametrize(
    ("Y_pred", "Y"),
    [([np.nan, 1.0], [0.0, 1.0]), ([0.0, 1.0], [np.nan, 1.0]), ([np.nan, 1.0], [1.0, 1.0]), ([0, 1], [0, np.inf])],
)
def test_r2_of_nan_is_nan(Y_pred, Y):
    assert np.isnan(nn.r2(Y_pred, Y))


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_r2_does_not_depend_on_the_size_of_the_targets(size):
    Y, Y_pred = np.array([1.0, 2.0, 3.0, 6.0]) * size, np.array([2.0, 2.0, 1.0, 7.0]) * size
    assert nn.r2(Y_pred, Y) == pytest.approx(1 - 6 / 14, rel=1e-14)
    assert nn.r2(Y_pred, Y * 0) == 0.0


def test_r2_of_an_infinite_prediction_is_minus_infinity():
    assert nn.r2([np.inf, 1.0], [0.0, 1.0]) == -np.inf


def test_r2_refuses_to_broadcast():
    with pytest.raises(nn.ShapeError, match=r"r2: expected targets of the shape .*\(4, 1\), got \(4,\)"):
        nn.r2(np.zeros((4, 1)), np.zeros(4))
    with pytest.raises(nn.ShapeError, match="r2: expected targets of the shape"):
        nn.r2(1.0, 1.0)


@pytest.mark.parametrize("shape", [(0,), (0, 2), (1, 2), (3, 0)])
def test_r2_needs_two_samples_and_an_output(shape):
    with pytest.raises(ValueError, match="r2: expected two or more samples with one or more outputs"):
        nn.r2(np.zeros(shape), np.zeros(shape))


# ---------------------------------------------------------------------------------------------------- what all refuse


def test_targets_without_the_last_axis_or_with_one_too_many_have_their_line():
    """The line is evaluated, of an array and of a Series, and gives a number."""
    numbers, classes = np.arange(4.0)[:, None], np.eye(2)[[0, 1, 1, 0]]
    for metric, Y_pred, target in [
        (nn.r2, numbers, numbers[:, 0]),
        (nn.binary_accuracy, classes[:, :1], classes[:, 0]),
        (nn.f1, classes[:, :1], classes[:, 0]),
        (nn.f1, classes[:, 0], classes[:, :1]),
        (nn.accuracy, classes, classes[:, :1]),
        (nn.f1, classes, classes[:, :1]),
        (nn.confusion_matrix, classes, classes[:, :1]),
    ]:
        for Y in target, pd.Series(target) if target.ndim == 1 else pd.DataFrame(target):
            with pytest.raises(nn.ShapeError, match=r"; pass np\.asarray\(Y\)\[\.\.\., (None|0)\]$") as caught:
                metric(Y_pred, Y)
            line = str(caught.value).split("; pass ")[1]
            assert np.isfinite(metric(Y_pred, eval(line, {"np": np, "Y": Y}))).all()


def test_a_binary_metric_of_more_classes_has_the_line_for_fit():
    model, data = nn.Linear(3, 3, rng=0), (np.eye(3), np.arange(3))
    for metric in nn.f1, nn.precision, nn.recall:
        with pytest.raises(ValueError, match="average='binary' is for two classes, got 3") as caught:
            nn.evaluate(model, *data, loss=nn.CrossEntropyLoss(), metrics=[metric])
        line = re.search(r"functools\.partial\(.*?\)", str(caught.value))[0]
        macro = eval(line, {"functools": functools, "nn": nn})
        assert 0 <= nn.evaluate(model, *data, loss=nn.CrossEntropyLoss(), metrics=[macro])[metric.__name__] <= 1


OF_CLASSES = [
    nn.confusion_matrix,
    nn.roc_auc,
    *(pytest.param(partial(metric, average="macro"), id=metric.__name__) for metric in BY_CLASS),
]


def name_of(metric):
    return getattr(metric, "func", metric).__name__


@pytest.mark.parametrize("metric", OF_CLASSES)
@pytest.mark.parametrize("Y", [np.zeros((8, 1), int), np.zeros(7, int), np.zeros((8, 2))])
def test_targets_of_another_shape_are_an_error(metric, Y):
    with pytest.raises(nn.ShapeError, match=rf"{name_of(metric)}: expected class indices of shape \(8,\), got"):
        metric(PREDICTED, Y)


@pytest.mark.parametrize("metric", OF_CLASSES)
def test_one_column_refuses_to_broadcast(metric):
    with pytest.raises(nn.ShapeError, match=rf"{name_of(metric)}: expected targets of shape \(7, 1\), got \(7,\)"):
        metric(P, T[:, 0])


@pytest.mark.parametrize("metric", OF_CLASSES)
@pytest.mark.parametrize("wrong", [3, -1, 0.5, np.nan, np.inf])
def test_a_target_that_is_no_class_index_is_an_error(metric, wrong):
    with pytest.raises(ValueError, match=f"{name_of(metric)}: expected class indices from 0 to 2, got other values"):
        metric(PREDICTED, [*CLASSES[:7], wrong])


@pytest.mark.parametrize("metric", OF_CLASSES)
@pytest.mark.parametrize("wrong", [2, -1, np.nan])
def test_a_target_of_one_column_that_is_neither_0_nor_1_is_an_error(metric, wrong):
    with pytest.raises(ValueError, match=f"{name_of(metric)}: expected targets 0 or 1 .*pass predictions of shape"):
        metric(P[:, 0], [*T[:6, 0], wrong])


@pytest.mark.parametrize("metric", OF_CLASSES)
@pytest.mark.parametrize("row", [[1, 1, 0], [0, 0, 0], [np.inf, -np.inf, 1], [np.nan, 0, 1]])
def test_several_labels_a_sample_are_an_error(metric, row):
    Y = np.eye(3)[CLASSES]
    Y[7] = row
    with pytest.raises(ValueError, match=f"{name_of(metric)}: expected targets that sum to 1 over the classes"):
        metric(PREDICTED, Y)


@pytest.mark.parametrize("metric", OF_CLASSES)
@pytest.mark.parametrize(("shape", "targets"), [((0, 3), (0,)), ((0, 1), (0, 1)), ((0,), (0,)), ((4, 3, 0), (4, 0))])
def test_nothing_to_count_is_an_error(metric, shape, targets):
    with pytest.raises(ValueError, match=f"{name_of(metric)}: empty batch"):
        metric(np.zeros(shape), np.zeros(targets, int))


@pytest.mark.parametrize("metric", NEW)
def test_what_a_metric_is_given_stays_as_it_was(metric):
    Y_pred, Y = TIED.copy(), TIED_CLASSES.astype(float)
    metric(Y_pred, Y)
    np.testing.assert_array_equal(Y_pred, TIED)
    np.testing.assert_array_equal(Y, TIED_CLASSES)


# ---------------------------------------------------------------------------------------------- mean_over_batches


def test_mean_over_batches_marks_the_function_itself():
    def share(Y_pred, Y):
        return float(np.mean(Y_pred > Y))

    assert not is_mean_over_batches(share)
    assert nn.mean_over_batches(share) is share
    assert is_mean_over_batches(share)
    assert is_mean_over_batches(partial(share, Y=None))


@pytest.mark.parametrize("metric", [*BY_CLASS, nn.roc_auc, nn.r2, partial(nn.f1, average="macro")])
def test_what_is_not_a_mean_of_batches_is_not_marked(metric):
    assert not is_mean_over_batches(metric)


@pytest.mark.parametrize("metric", [nn.accuracy, nn.binary_accuracy, partial(nn.binary_accuracy, threshold=0.0)])
def test_shares_of_samples_are_marked(metric):
    assert is_mean_over_batches(metric)


def test_only_a_function_that_can_have_attributes_can_be_marked():
    with pytest.raises(TypeError, match=r"mean_over_batches: expected a function \(Y_pred, Y\) -> float, got 3"):
        nn.mean_over_batches(3)
    with pytest.raises(TypeError, match="mean_over_batches: <built-in function max> cannot be marked; write a"):
        nn.mean_over_batches(max)


@pytest.mark.parametrize("batch_size", [16, 32, 1003])
def test_a_metric_of_ones_own_is_over_all_rows(batch_size):
    """keras issue 11705: a root of a mean square is not the mean of those of the batches."""
    rng = np.random.default_rng(0)
    P, Y = rng.normal(size=(1003, 1)), rng.standard_cauchy(size=(1003, 1))

    def rmse(Y_pred, Y):
        return float(np.sqrt(np.mean((Y_pred - Y) ** 2)))

    exact = np.sqrt(np.mean((P - Y) ** 2))
    found = nn.evaluate(nn.Identity(), P, Y, loss=nn.MSELoss(), metrics=[rmse], batch_size=batch_size)
    assert found["rmse"] == pytest.approx(exact, rel=1e-12)
    model = nn.Sequential(nn.Linear(1, 1, dtype=np.float64), nn.Identity())
    model.Phi = [1.0, 0.0]
    history = nn.fit(model, P, Y, loss=nn.MSELoss(), optimizer=nn.SGD(model, 0.0), metrics=[rmse], verbose=0,
                     batch_size=batch_size, validation_data=(P, Y))  # fmt: skip
    assert history["rmse"] == pytest.approx([exact], rel=1e-12)
    assert history["val_rmse"] == pytest.approx([exact], rel=1e-12)


def test_a_metric_over_all_rows_needs_no_class_in_each_batch():
    """pytorch-lightning#2210: the area under the ROC curve has no value for a batch of one class, but one for all rows.

    The right value is the share of pairs in their order, counted one by one.
    """
    scores = np.arange(16.0)
    scores[[3, 12]] = 12.0, 3.0
    Y = (np.arange(16) >= 12).astype(int)[:, None]
    pairs = [(one > zero) + 0.5 * (one == zero) for one in scores[12:] for zero in scores[:12]]
    model = nn.Linear(1, 1, dtype=np.float64)
    model.Phi = [1.0, 0.0]
    history = nn.fit(model, scores[:, None], Y, loss=nn.BCEWithLogitsLoss(), optimizer=nn.SGD(model, 0.0), verbose=0,
                     metrics=[nn.roc_auc], batch_size=4, shuffle=False)  # fmt: skip
    assert history["roc_auc"] == [pytest.approx(np.mean(pairs), rel=1e-12)]


# ---------------------------------------------------------------------------------------------------- logits

LOGITS, TRUE = np.array([[0.3], [0.4], [-0.3], [-2.0]]), np.array([[1], [1], [0], [0]])


def by_logits():
    """The model 0.1 X on rows whose logits are LOGITS (keras issue 13006)."""
    model = nn.Linear(1, 1, dtype=np.float64)
    model.Phi = [0.1, 0.0]
    return model, 10 * LOGITS


@pytest.mark.parametrize("metric", [nn.binary_accuracy, nn.precision, nn.recall, nn.f1])
def test_fit_and_evaluate_know_from_the_loss_that_predictions_are_logits(metric):
    """keras#13006, tensorflow#41413: sigmoid(z) > 1/2 where z > 0, so that all rows are right: 1, 1, 1."""
    model, X = by_logits()
    loss = nn.BCEWithLogitsLoss()
    assert nn.evaluate(model, X, TRUE, loss=loss, metrics=[metric])[metric.__name__] == 1.0
    history = nn.fit(model, X, TRUE, loss=loss, optimizer=nn.SGD(model, 0.0), metrics=[metric], verbose=0,
                     validation_data=(X, TRUE), class_weight={1: 2.0})  # fmt: skip
    assert history[metric.__name__] == history[f"val_{metric.__name__}"] == [1.0]
    sigmoid = nn.Sequential(model, nn.Sigmoid())
    assert nn.evaluate(sigmoid, X, TRUE, loss=nn.BCELoss(), metrics=[metric])[metric.__name__] == 1.0


def test_a_threshold_or_logits_that_are_set_stay():
    """torchmetrics#391: a threshold of one's own for logits, 0 or any other; 3 of 4 rows are right, counted by hand."""
    model, X = by_logits()
    for metric, value in (partial(nn.binary_accuracy, threshold=0.35), 0.75), (
        partial(nn.binary_accuracy, threshold=-1.0, logits=True), 0.75
    ):  # fmt: skip
        found = nn.evaluate(model, X, TRUE, loss=nn.BCEWithLogitsLoss(), metrics=[metric])
        assert found["binary_accuracy"] == value


def test_a_regression_on_0_and_1_is_compared_with_a_half():
    model, X = by_logits()
    found = nn.evaluate(model, 4 * X, TRUE, loss=nn.MSELoss(), metrics=[nn.binary_accuracy])  # 1.2, 1.6, -1.2, -8
    assert found["binary_accuracy"] == 1.0


def test_roc_auc_of_logits_in_evaluate():
    scores = np.array([[3.0, 0.0, 1.0], [0.0, 2.0, 5.0], [1.0, 1.0, 1.5], [4.0, 1.0, 0.0]])
    found = nn.evaluate(nn.Identity(), scores, np.array([0, 1, 2, 0]), loss=nn.CrossEntropyLoss(), metrics=[nn.roc_auc])
    assert found["roc_auc"] == nn.roc_auc(scores, [0, 1, 2, 0], logits=True)


@pytest.mark.parametrize("metric", [nn.binary_accuracy, nn.confusion_matrix, *BY_CLASS])
def test_by_hand_logits_are_an_error_that_says_what_to_write(metric):
    """tensorflow#41413: by hand nothing tells that they are logits."""
    with pytest.raises(ValueError, match=rf"{metric.__name__}: expected probabilities .* got -0\.3 at index \(2, 0\); "
                       "for logits pass logits=True"):  # fmt: skip
        metric(LOGITS, TRUE)
    for options in {"logits": True}, {"threshold": 0.0}:
        value = metric(LOGITS, TRUE, **options)
        assert np.array_equal(value, np.diag([2, 2])) if metric is nn.confusion_matrix else value == 1.0


def test_a_loss_of_ones_own_may_say_that_it_takes_logits():
    class Hinge(nn.Loss):
        def forward(self, Y, target):
            Y, target = self.check_pair(Y, target)
            return self.reduce(np.maximum(0, 1 - (2 * target - 1) * Y))

    model, X = by_logits()
    with pytest.raises(ValueError, match="for logits pass logits=True"):
        nn.evaluate(model, X, TRUE, loss=Hinge(), metrics=[nn.f1])
    Hinge.logits = True
    assert nn.evaluate(model, X, TRUE, loss=Hinge(), metrics=[nn.f1])["f1"] == 1.0


# ---------------------------------------------------------------------------------------------------- scikit-learn's


@pytest.mark.parametrize("seed", range(20))
def test_the_values_are_those_of_scikit_learn(seed):
    sk = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    N, C = int(rng.integers(8, 60)), int(rng.integers(3, 6))
    scores = rng.integers(1, 6, (N, C)).astype(float)  # with ties
    P, classes = scores / scores.sum(axis=1, keepdims=True), rng.permutation(np.arange(N) % C)
    p, binary = rng.integers(0, 8, N) / 8, rng.permutation(np.arange(N) % 2)
    predicted, above = P.argmax(axis=1), p > 0.5
    some = rng.integers(0, C - 1, N)  # the last class is not among them

    np.testing.assert_array_equal(nn.confusion_matrix(P, classes), sk.confusion_matrix(classes, predicted))
    np.testing.assert_array_equal(nn.confusion_matrix(p, binary), sk.confusion_matrix(binary, above))
    for ours, theirs in zip(BY_CLASS, (sk.precision_score, sk.recall_score, sk.f1_score), strict=True):
        assert ours(p, binary) == pytest.approx(theirs(binary, above, zero_division=0), rel=1e-14)
        for average in ("macro", "micro", "weighted"):
            options = {"average": average, "zero_division": 0}
            assert ours(P, classes, average=average) == pytest.approx(theirs(classes, predicted, **options), rel=1e-14)
            assert ours(P, some, average=average) == pytest.approx(theirs(some, predicted, **options), rel=1e-14)
            assert ours(p, binary, average=average) == pytest.approx(theirs(binary, above, **options), rel=1e-14)
            few = np.eye(C)[np.minimum(predicted, C - 2)]
            expected = theirs(some, few.argmax(axis=1), **options)
            assert ours(few, some, average=average) == pytest.approx(expected, rel=1e-14)
    assert nn.roc_auc(p, binary) == pytest.approx(sk.roc_auc_score(binary, p), rel=1e-14)
    area = sk.roc_auc_score(classes, P, multi_class="ovr")
    assert nn.roc_auc(P, classes) == pytest.approx(area, rel=1e-14)
    Z = rng.normal(size=(N, C))
    area = sk.roc_auc_score(classes, np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True), multi_class="ovr")
    assert nn.roc_auc(Z, classes, logits=True) == pytest.approx(area, rel=1e-14)
    Y, Y_pred = rng.normal(size=(2, N, 3)) + 5
    Y[:, 2] = 0.5
    assert nn.r2(Y_pred, Y) == pytest.approx(sk.r2_score(Y, Y_pred), rel=1e-12)
    assert nn.r2(Y_pred[:, 0], Y[:, 0]) == pytest.approx(sk.r2_score(Y[:, 0], Y_pred[:, 0]), rel=1e-12)
