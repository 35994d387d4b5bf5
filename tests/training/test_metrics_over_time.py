"""Metrics of sequences: the classes are the last axis, and padded steps count nowhere."""

import functools

import numpy as np
import pytest

import nnlite as nn

rng = np.random.default_rng(0)
Z, TARGET = rng.normal(size=(6, 5, 2)), rng.integers(0, 2, (6, 5))
INSIDE = np.arange(5) < np.array([5, 2, 3, 1, 4, 2])[:, None]
PADDED = np.where(INSIDE, TARGET, -100)
CLASSES = [nn.accuracy, nn.precision, nn.recall, nn.f1, nn.roc_auc, nn.confusion_matrix, nn.perplexity]


def of(metric, **options):
    """The metric, of logits if it asks."""
    return functools.partial(metric, **options, **({"logits": True} if metric is nn.roc_auc else {}))


@pytest.mark.parametrize("metric", CLASSES, ids=lambda metric: metric.__name__)
def test_they_are_those_of_the_steps_inside(metric):
    alone = of(metric)(Z[INSIDE], TARGET[INSIDE])
    np.testing.assert_allclose(of(metric, dim=-1, ignore_index=-100)(Z, PADDED), alone, rtol=1e-14)
    np.testing.assert_allclose(of(metric, ignore_index=-100)(np.moveaxis(Z, 2, 1), PADDED), alone, rtol=1e-14)
    everywhere = of(metric)(Z.reshape(30, 2), TARGET.reshape(30))
    np.testing.assert_allclose(of(metric, dim=-1)(Z, TARGET), everywhere, rtol=1e-14)


@pytest.mark.parametrize("metric", [nn.precision, nn.recall, nn.f1, nn.roc_auc], ids=lambda metric: metric.__name__)
def test_one_column_of_probabilities(metric):
    P = rng.random((6, 5, 1))
    options = {"dim": -1, "ignore_index": -100}
    assert metric(P, PADDED[..., None], **options) == metric(P[INSIDE], TARGET[INSIDE][:, None])
    assert metric(P[:, 0, 0], PADDED[:, 1], **options) == metric(P[INSIDE[:, 1], 0, 0], TARGET[INSIDE[:, 1], 1])


def test_binary_accuracy_leaves_out_elements():
    P = rng.random((6, 5))
    assert nn.binary_accuracy(P, PADDED, ignore_index=-100) == nn.binary_accuracy(P[INSIDE], TARGET[INSIDE])


def test_distributions_over_time_are_never_ignored():
    Q = np.eye(2)[TARGET]
    assert nn.accuracy(Z, Q, dim=-1, ignore_index=0) == nn.accuracy(Z, TARGET, dim=-1)
    assert nn.f1(Z, Q, dim=-1) == nn.f1(Z, TARGET, dim=-1)


@pytest.mark.parametrize("metric", [nn.accuracy, nn.perplexity, nn.f1, nn.roc_auc], ids=lambda metric: metric.__name__)
@pytest.mark.parametrize("batch_size", [1, 4, 6])
def test_evaluate_knows_from_the_loss_what_counts_whatever_the_batches(metric, batch_size):
    got = nn.evaluate(
        nn.Identity(), Z, PADDED, loss=nn.CrossEntropyLoss(dim=-1), metrics=[metric], batch_size=batch_size
    )
    assert got[metric.__name__] == pytest.approx(of(metric)(Z[INSIDE], TARGET[INSIDE]), rel=1e-13)
    assert got["loss"] == pytest.approx(nn.CrossEntropyLoss().forward(Z[INSIDE], TARGET[INSIDE]), rel=1e-13)


def test_of_one_output_of_several():
    losses = {"a": nn.CrossEntropyLoss(dim=-1), "b": nn.MSELoss()}
    x, y = nn.Input("x"), nn.Input("y")
    model = nn.Graph([x, y], {"a": nn.Identity()(x), "b": nn.Identity()(y)})
    metrics = {"a": [nn.accuracy, nn.perplexity]}
    got = nn.evaluate(model, {"x": Z, "y": Z}, {"a": PADDED, "b": Z}, loss=losses, metrics=metrics, batch_size=4)
    assert got["accuracy_a"] == pytest.approx(nn.accuracy(Z[INSIDE], TARGET[INSIDE]), rel=1e-14)
    assert got["perplexity_a"] == pytest.approx(nn.perplexity(Z[INSIDE], TARGET[INSIDE]), rel=1e-13)


def test_options_that_are_set_win():
    metric = functools.partial(nn.accuracy, ignore_index=1)
    got = nn.evaluate(nn.Identity(), Z, TARGET, loss=nn.CrossEntropyLoss(dim=-1), metrics=[metric])
    assert got["accuracy"] == nn.accuracy(Z[TARGET == 0], TARGET[TARGET == 0])


def test_weighted_losses_pass_it_on():
    model = nn.Sequential(nn.Linear(2, 2, dtype=np.float64, rng=0))
    history = nn.fit(model, Z, PADDED, loss=nn.CrossEntropyLoss(dim=-1), optimizer=nn.SGD(model, lr=0.0),
                     sample_weight=np.ones(6), metrics=[nn.accuracy], verbose=0)  # fmt: skip
    assert history["accuracy"] == [pytest.approx(nn.accuracy(model.forward(Z)[INSIDE], TARGET[INSIDE]), rel=1e-14)]


# ------------------------------------------------------------------------------------------------ perplexity


def test_perplexity_by_hand():
    """Probabilities 1/2, 1/4 and 1/8 of the right classes: their geometric mean is 1/4."""
    P = np.array([[0.5, 0.25, 0.25], [0.5, 0.25, 0.25], [0.125, 0.375, 0.5]])
    assert nn.perplexity(np.log(P), np.array([0, 1, 0])) == pytest.approx(4, rel=1e-14)
    assert nn.perplexity(np.log(P) + 7.0, np.array([0, 1, 0])) == pytest.approx(4, rel=1e-14)
    assert nn.perplexity(np.zeros((1, 50)), np.array([17])) == pytest.approx(50, rel=1e-14)


def test_perplexity_of_impossible_and_of_undefined_predictions():
    assert nn.perplexity(np.array([[0.0, -np.inf]]), np.array([1])) == np.inf
    assert np.isnan(nn.perplexity(np.array([[0.0, np.nan]]), np.array([1])))
    assert nn.perplexity(np.array([[0.0, -1e4]]), np.array([1])) == np.inf


def test_perplexity_is_the_exponential_of_the_loss_in_fit(tmp_path):
    model = nn.Sequential(nn.Linear(2, 2, dtype=np.float64, rng=0))
    history = nn.fit(model, Z, PADDED, loss=nn.CrossEntropyLoss(dim=-1), optimizer=nn.SGD(model, lr=0.1), epochs=2,
                     batch_size=4, metrics=[nn.perplexity], verbose=0, rng=0)  # fmt: skip
    np.testing.assert_allclose(history["perplexity"], np.exp(history["loss"]), rtol=1e-12)


def test_what_metrics_over_time_refuse():
    with pytest.raises(
        nn.ShapeError, match=r"^accuracy: expected predictions with the classes along axis 2, got shape"
    ):
        nn.accuracy(np.zeros((3, 4)), np.zeros(3, int), dim=2)
    with pytest.raises(nn.ShapeError, match=r"^perplexity: expected class indices of shape \(3,\), got \(4,\)"):
        nn.perplexity(np.zeros((3, 4)), np.zeros(4, int))
    with pytest.raises(nn.ShapeError, match=r"^perplexity: expected logits of two or more classes, of shape \(N, C\)"):
        nn.perplexity(np.zeros((3, 1)), np.zeros(3, int))
    with pytest.raises(ValueError, match=r"^perplexity: expected class indices from 0 to 3, got other values"):
        nn.perplexity(np.zeros((3, 4)), np.full(3, 4))
    for metric in nn.accuracy, nn.f1, nn.perplexity:
        with pytest.raises((ValueError, nn.ShapeError), match="empty batch"):
            metric(Z, np.full((6, 5), -100), dim=-1, ignore_index=-100)


# ------------------------------------------------------------------------------------------------ weights of steps


@pytest.mark.parametrize(
    "loss", [nn.MSELoss, nn.BCEWithLogitsLoss, nn.CrossEntropyLoss], ids=lambda loss: loss.__name__
)
def test_a_weight_of_each_step_masks_those_of_weight_0(loss):
    classes = loss is nn.CrossEntropyLoss
    target = TARGET if classes else rng.random((6, 5, 2))
    own = loss(dim=-1) if classes else loss()
    X, wide = rng.normal(size=(6, 5, 3)), nn.Sequential(nn.Linear(3, 2, dtype=np.float64, rng=0))
    alone = nn.Sequential(nn.Linear(3, 2, dtype=np.float64, rng=0))
    options = {"batch_size": 100, "epochs": 2, "verbose": 0}
    nn.fit(wide, X, target, loss=own, optimizer=nn.SGD(wide, lr=0.3), sample_weight=INSIDE, **options)
    nn.fit(alone, X[INSIDE], target[INSIDE], loss=loss(), optimizer=nn.SGD(alone, lr=0.3), **options)
    np.testing.assert_allclose(wide.Phi, alone.Phi, rtol=1e-12)


def test_a_weight_of_each_row_and_of_each_class_of_sequences():
    X = rng.normal(size=(6, 5, 3))

    def trained(**options):
        model = nn.Sequential(nn.Linear(3, 2, dtype=np.float64, rng=0))
        nn.fit(model, X, PADDED, loss=nn.CrossEntropyLoss(dim=-1), optimizer=nn.SGD(model, lr=0.3), batch_size=4,
               verbose=0, rng=0, **options)  # fmt: skip
        return model.Phi

    rows = np.array([1.0, 2.0, 0.5, 3.0, 1.0, 1.0])
    by_step = trained(sample_weight=np.broadcast_to(rows[:, None], (6, 5)))
    np.testing.assert_allclose(trained(sample_weight=rows), by_step, rtol=1e-12)
    by_class = trained(sample_weight=np.where(TARGET == 1, 3.0, 1.0))
    np.testing.assert_allclose(trained(class_weight={1: 3.0}), by_class, rtol=1e-12)
    assert not np.allclose(by_class, trained())


def test_weights_of_steps_that_do_not_fit():
    model = nn.Sequential(nn.Linear(2, 2, dtype=np.float64, rng=0))
    options = {"loss": nn.CrossEntropyLoss(dim=-1), "optimizer": nn.SGD(model, lr=0.1), "verbose": 0}
    with pytest.raises(ValueError, match=r"sample_weight: expected 6 finite numbers >= 0, .* got shape \(4, 5\)"):
        nn.fit(model, Z, TARGET, sample_weight=np.ones((4, 5)), **options)
    with pytest.raises(ValueError, match=r"got -1\.0 for row 2, step 3$"):
        nn.fit(model, Z, TARGET, sample_weight=np.where(np.arange(30).reshape(6, 5) == 13, -1.0, 1), **options)
    with pytest.raises(
        nn.ShapeError, match=r"to return the loss of each entry of \(6, 4\) with reduction=\"none\", got"
    ):
        nn.fit(model, Z, TARGET, sample_weight=np.ones((6, 4)), **options)


def test_the_split_of_sequences_does_not_take_steps_for_one_hot_rows():
    model = nn.Sequential(nn.Linear(2, 2, dtype=np.float64, rng=0))
    history = nn.fit(model, Z, np.abs(PADDED) % 2, loss=nn.CrossEntropyLoss(dim=-1), optimizer=nn.SGD(model, lr=0.1),
                     validation_split=0.5, verbose=0)  # fmt: skip
    other = nn.fit(model, Z, TARGET, loss=nn.CrossEntropyLoss(dim=-1), optimizer=nn.SGD(model, lr=0.1),
                   validation_split=0.5, verbose=0)  # fmt: skip
    np.testing.assert_array_equal(history.validation_rows, other.validation_rows)
    with pytest.raises(
        ValueError, match=r"class_weight=\"balanced\": expected a loss of classes, .* one class for each row"
    ):
        nn.fit(model, Z, TARGET, loss=nn.CrossEntropyLoss(dim=-1), optimizer=nn.SGD(model, lr=0.1), verbose=0,
               class_weight="balanced")  # fmt: skip


@pytest.mark.parametrize(
    "metric", [nn.accuracy, nn.perplexity, nn.confusion_matrix], ids=lambda metric: metric.__name__
)
def test_classes_as_the_last_axis_name_the_cure(metric):
    with pytest.raises(nn.ShapeError, match=rf"{metric.__name__}: expected .*\(4, 3\), got \(4, 5\); .* pass dim=-1"):
        metric(np.zeros((4, 5, 3)), np.zeros((4, 5), int))
