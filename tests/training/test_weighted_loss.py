"""WeightedLoss: weights of samples and classes."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from support.contract import ROWS, Row, forward
from support.small_classifier import LOSSES, X, Y, trained

import nnlite as nn
from nnlite.basics.trees import listed
from nnlite.training.weighted_loss import WeightedLoss


@pytest.mark.parametrize("name", LOSSES)
def test_weights_of_one_change_nothing(name):
    plain = trained(loss=LOSSES[name](), batch_size=5)
    assert_allclose(trained(loss=LOSSES[name](), batch_size=5, sample_weight=np.ones(12)), plain, rtol=1e-12)
    assert_allclose(trained(loss=LOSSES[name](), batch_size=5, class_weight={0: 1.0}), plain, rtol=1e-12)


def test_without_weights_it_is_the_loss_itself_for_every_loss():
    """So several processes, which go by its denominators, minimize what one does."""
    log_probs = np.log(np.random.default_rng(0).dirichlet(np.ones(4), size=(5, 2)))
    of_lengths = Row("CTC", nn.CTCLoss, log_probs, (np.array([[1, 2], [3, 1]]), np.array([5, 5]), np.array([2, 1])))
    seen = 0
    for row in [*ROWS, of_lengths]:
        loss = row.make()
        if not isinstance(loss, nn.Loss) or loss.reduction == "none":
            continue
        weighted = WeightedLoss(row.make())
        assert weighted.forward(row.X, row.target) == pytest.approx(forward(loss, row.X, row.target), rel=1e-6), row.id
        for dY, expected in zip(listed(weighted.backward()), listed(loss.backward()), strict=True):
            assert_allclose(dY, expected, rtol=1e-5, atol=1e-8, err_msg=row.id)
        seen += 1
    assert seen > 60


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_whole_number_for_a_weight_is_as_many_copies(shuffle):
    weight = np.random.default_rng(2).integers(0, 4, 12)
    sum_loss = {"loss": nn.CrossEntropyLoss(reduction="sum"), "batch_size": 100}
    model = nn.Sequential(nn.Linear(3, 2, dtype=np.float64, rng=np.random.default_rng(0)))
    nn.fit(model, X.repeat(weight, axis=0), Y.repeat(weight), optimizer=nn.SGD(model, lr=0.3, momentum=0.9), epochs=2,
           verbose=0, shuffle=shuffle, **sum_loss)  # fmt: skip
    assert_allclose(trained(sample_weight=weight, shuffle=shuffle, **sum_loss), model.Phi, rtol=1e-10)


def test_class_weight_is_the_sample_weight_of_the_class():
    by_class = trained(class_weight={1: 3.0}, batch_size=5)
    assert_allclose(by_class, trained(sample_weight=np.where(Y == 1, 3.0, 1.0), batch_size=5), rtol=1e-12)
    assert not np.allclose(by_class, trained(batch_size=5))


@pytest.mark.parametrize("form", ["column", "one-hot"])
def test_class_weight_of_other_forms_of_targets(form):
    targets = Y[:, None].astype(float) if form == "column" else np.eye(2)[Y]
    loss, width = (nn.BCEWithLogitsLoss, 1) if form == "column" else (nn.CrossEntropyLoss, 2)

    def run(**options):
        model = nn.Sequential(nn.Linear(3, width, dtype=np.float64, rng=0))
        nn.fit(model, X, targets, loss=loss(), optimizer=nn.SGD(model, lr=0.3), verbose=0, rng=0, **options)
        return model.Phi

    assert_allclose(run(class_weight={0: 2.0}), run(sample_weight=np.where(Y == 0, 2.0, 1.0)), rtol=1e-12)


def test_the_weighted_epoch_loss_is_exact_with_a_short_last_batch_and_validation_stays_plain():
    weight = np.random.default_rng(3).random(12)
    model = nn.Sequential(nn.Linear(3, 1, dtype=np.float64, rng=0))
    T = X[:, :1]
    history = nn.fit(model, X, T, loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.0), batch_size=5, verbose=0,
                     sample_weight=weight, validation_data=(X, T))  # fmt: skip
    error = (model.forward(X) - T)[:, 0] ** 2
    assert history["loss"] == pytest.approx([np.average(error, weights=weight)], rel=1e-12)
    assert history["val_loss"] == pytest.approx([np.mean(error)], rel=1e-12)


def test_sample_weights_follow_their_rows_through_the_split():
    weight = np.arange(12.0)
    model = nn.Sequential(nn.Linear(3, 1, dtype=np.float64, rng=0))
    T = weight[:, None].copy()  # so that a target says which weight belongs to it
    loss, trained_on = nn.MSELoss(reduction="sum"), set()

    class Look(nn.Callback):
        def on_batch_end(self, state):
            trained_on.update(state.loss.target[:, 0])

    history = nn.fit(model, 0 * X, T, loss=loss, optimizer=nn.SGD(model, lr=0.0), batch_size=4, verbose=0,
                     sample_weight=weight, validation_split=0.25, rng=0, callbacks=[Look()])  # fmt: skip
    # Y is 0 and the target t, so a row adds its weight t times t^2; all of them add up to the two parts.
    held_back = [t for t in weight if t not in trained_on]
    assert len(held_back) == 3
    assert history["loss"] == pytest.approx([sum(t**3 for t in trained_on)])
    assert history["val_loss"] == pytest.approx([sum(t**2 for t in held_back)])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sample_weight": np.ones(11)}, "sample_weight: expected 12 finite numbers >= 0, one for each row"),
        ({"sample_weight": np.ones((12, 1))}, "sample_weight"),
        ({"sample_weight": np.zeros(12)}, "got zero for every row, so nothing would be learnt"),
        ({"sample_weight": np.full(12, np.nan)}, "sample_weight"),
        ({"sample_weight": -np.ones(12)}, "sample_weight: expected 12 finite numbers >= 0"),
    ],
)
def test_bad_weights(options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        trained(**options)


def test_class_weights_of_targets_with_more_axes_go_by_the_element():
    S, T = np.random.default_rng(4).normal(size=(4, 3, 6)), np.random.default_rng(5).integers(0, 3, (4, 6))
    J = WeightedLoss(nn.CrossEntropyLoss(), {1: 5.0}).forward(S, T)
    each = nn.CrossEntropyLoss(reduction="none").forward(S, T)
    assert pytest.approx(np.average(each, weights=np.where(T == 1, 5.0, 1.0)), rel=1e-12) == J
    P, labels = np.random.default_rng(6).random((5, 4)), np.random.default_rng(7).integers(0, 2, (5, 4)) * 1.0
    J = WeightedLoss(nn.BCELoss(), {1: 5.0}).forward(P, labels)
    each = nn.BCELoss(reduction="none").forward(P, labels)
    assert pytest.approx(np.average(each, weights=np.where(labels == 1, 5.0, 1.0)), rel=1e-12) == J


@pytest.mark.parametrize(
    ("loss", "class_weight", "message"),
    [
        (nn.MSELoss(), {1: 2.0}, "class_weight: expected a loss of classes"),
        (nn.CrossEntropyLoss(), "balance", 'class_weight: expected "balanced" or a dict'),
        (nn.CrossEntropyLoss(), {"0": 2.0}, 'class_weight: expected "balanced" or a dict'),
        (nn.MSELoss(), "balanced", 'class_weight="balanced": expected a loss of classes'),
        (nn.CrossEntropyLoss(), {0: float("nan")}, "class_weight: expected finite numbers"),
        (nn.BCELoss(), {2: 3.0}, "class_weight: .* has the classes 0 and 1"),
        (nn.CrossEntropyLoss(), {1: 2.0, 2: 3.0}, "class_weight: the model has the classes 0 to 1, got a weight for 2"),
        (nn.CrossEntropyLoss(), {-1: 3.0}, "class_weight: the model has the classes 0 to 1, got a weight for -1"),
        (nn.CrossEntropyLoss(), {0: -1.0}, "class_weight: expected finite numbers >= 0"),
        (
            (nn.BCELoss(), nn.BCELoss()),
            {0: 1.0},
            "class_weight: expected a tuple of the class weights of each output 0, 1",
        ),
    ],
)
def test_bad_class_weights(loss, class_weight, message):
    with pytest.raises((TypeError, ValueError), match=message):
        trained(loss=loss, class_weight=class_weight)


# --------------------------------------------------- a weight is a number of copies, as in scikit-learn


@pytest.mark.parametrize("make_loss", [nn.CrossEntropyLoss, lambda: nn.CrossEntropyLoss(weight=[1.0, 5.0])])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_weight_0_is_a_row_left_out_and_weight_2_a_row_twice(make_loss, reduction):
    """xgboost#3787; as scikit-learn's check_sample_weight_equivalence: the right values are those of the copies."""
    weight = np.random.default_rng(2).integers(0, 4, 12)

    def run(X, Y, **options):
        loss = make_loss()
        loss.reduction = reduction
        model = nn.Sequential(nn.Linear(3, 2, dtype=np.float64, rng=0))
        history = nn.fit(model, X, Y, loss=loss, optimizer=nn.SGD(model, lr=0.03, momentum=0.9), epochs=3, verbose=0,
                         batch_size=100, rng=0, **options)  # fmt: skip
        return [*model.Phi, *history["loss"]]

    copies = run(X.repeat(weight, axis=0), Y.repeat(weight))
    assert_allclose(run(X, Y, sample_weight=weight), copies, rtol=1e-10)
    assert_allclose(run(X, Y, sample_weight=7 * weight) if reduction == "mean" else copies, copies, rtol=1e-10)


def test_class_weight_is_the_weight_of_cross_entropy_loss():
    """sum(w l) / sum(w), as PyTorch's CrossEntropyLoss(weight=...) (keras issue 19740)."""
    rng = np.random.default_rng(0)
    S, labels, weight = rng.normal(size=(9, 3)), rng.integers(0, 3, 9), [1.0, 2.0, 5.0]
    loss, own = WeightedLoss(nn.CrossEntropyLoss(), dict(enumerate(weight))), nn.CrossEntropyLoss(weight=weight)
    assert loss.forward(S, labels) == pytest.approx(own.forward(S, labels), rel=1e-12)
    assert_allclose(loss.backward(), own.backward(), rtol=1e-12)
    assert_allclose(loss.count, own.count, rtol=1e-12)


def test_a_batch_whose_weights_are_all_0_has_no_gradient():
    model = nn.Linear(3, 1, dtype=np.float64, rng=0)
    before = model.Phi.copy()
    options = {"loss": nn.MSELoss(), "optimizer": nn.SGD(model, 0.1), "shuffle": False, "verbose": 0}
    weight = np.array([0.0] * 4 + [1.0] * 4)
    history = nn.fit(model, X[:8], X[:8, :1], sample_weight=weight, batch_size=4, **options)
    alone = nn.Linear(3, 1, dtype=np.float64, rng=0)
    expected = nn.fit(alone, X[4:8], X[4:8, :1], **options | {"optimizer": nn.SGD(alone, 0.1)})
    assert history == expected
    assert_allclose(model.Phi, alone.Phi, rtol=1e-15)
    assert not np.array_equal(model.Phi, before)


class Huber(nn.Loss):
    """A loss as a user writes it: check_pair, reduce and scale, and nothing else."""

    def forward(self, Y, target):
        Y, target = self.check_pair(Y, target)
        self.error = Y - target
        small = np.abs(self.error) < 1
        return self.reduce(np.where(small, self.error**2 / 2, np.abs(self.error) - 0.5))

    def backward(self, dJ=1.0):
        return np.clip(self.error, -1, 1) * self.scale(dJ)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_loss_of_ones_own_is_weighted(reduction):
    rng = np.random.default_rng(0)
    P, T, weight = rng.normal(size=(5, 2)) * 2, rng.normal(size=(5, 2)), rng.random(5)
    loss = WeightedLoss(Huber(reduction=reduction))
    total = weight.sum() * 2 if reduction == "mean" else 1.0
    each = Huber(reduction="none").forward(P, T)
    assert loss.forward(P, T, weight) == pytest.approx(np.sum(weight[:, None] * each) / total, rel=1e-12)
    assert_allclose(loss.backward(), np.clip(P - T, -1, 1) * weight[:, None] / total, rtol=1e-12)
    assert loss.loss.reduction == reduction
    model = nn.Linear(3, 1, rng=0)
    options = {"loss": Huber(), "optimizer": nn.SGD(model, 0.1), "sample_weight": np.arange(12.0), "verbose": 0}
    assert nn.fit(model, X, X[:, :1], epochs=30, **options)["loss"][-1] < 0.1


@pytest.mark.parametrize("form", ["tuple", "dict"])
def test_weights_with_several_outputs(form):
    """The losses are weighted one by one; class weights come in the form of the losses."""
    rng = np.random.default_rng(0)
    T, weight = rng.normal(size=(12, 1)), rng.random(12)
    by_class = np.where(Y == 1, 3.0, 1.0)
    x = nn.Input("x")
    outputs = {
        "scores": nn.Linear(3, 2, dtype=np.float64, rng=0)(x),
        "size": nn.Linear(3, 1, dtype=np.float64, rng=1)(x),
    }
    model = nn.Graph(x, outputs if form == "dict" else tuple(outputs.values()))

    def formed(scores, size):
        return {"scores": scores, "size": size} if form == "dict" else (scores, size)

    P = [nn.Linear(3, width, dtype=np.float64, rng=seed).forward(X) for seed, width in enumerate((2, 1))]
    history = nn.fit(model, X, formed(Y, T), loss=formed(nn.CrossEntropyLoss(), nn.MSELoss()),
                     optimizer=nn.SGD(model, 0.0), sample_weight=weight, class_weight=formed({1: 3.0}, None),
                     batch_size=5, verbose=0)  # fmt: skip
    names = ("loss_scores", "loss_size") if form == "dict" else ("loss_0", "loss_1")
    scores = np.average(nn.CrossEntropyLoss(reduction="none").forward(P[0], Y), weights=weight * by_class)
    size = np.average((P[1] - T)[:, 0] ** 2, weights=weight)
    assert_allclose([history[name][0] for name in names], [scores, size], rtol=1e-12)


def test_a_loss_without_one_number_for_each_row_is_named():
    class Total(nn.Loss):
        def forward(self, Y, target):
            Y, target = self.check_pair(Y, target)
            self.error = Y - target
            return float(np.sum(self.error**2))

        def backward(self, dJ=1.0):
            return 2 * self.error * dJ

    model = nn.Linear(3, 1, rng=0)
    with pytest.raises(
        nn.ShapeError, match=r"sample_weight: expected Total\(\) to return the loss of each of the 12 rows"
    ):
        nn.fit(model, X, X[:, :1], loss=Total(), optimizer=nn.SGD(model, 0.1), sample_weight=np.ones(12), verbose=0)


def test_balanced_class_weights_are_those_of_scikit_learn():
    """rows / (classes * rows of the class), as sklearn.utils.class_weight.compute_class_weight("balanced")."""
    rng = np.random.default_rng(0)
    labels = rng.choice(3, 40, p=[0.7, 0.2, 0.1])
    weight = dict(enumerate(40 / (3 * np.bincount(labels))))
    rows = rng.normal(size=(40, 3))

    def run(Y, **options):
        model = nn.Linear(3, 3, dtype=np.float64, rng=0)
        nn.fit(model, rows, Y, loss=nn.CrossEntropyLoss(), optimizer=nn.SGD(model, 0.1), verbose=0, rng=0, **options)
        return model.Phi

    assert_allclose(run(labels, class_weight="balanced"), run(labels, class_weight=weight), rtol=1e-12)
    assert_allclose(run(np.eye(3)[labels], class_weight="balanced"), run(labels, class_weight=weight), rtol=1e-12)

    def both(class_weight):
        model = nn.Sequential(nn.Linear(3, 4, dtype=np.float64, rng=0), nn.Split([3, 1]))
        losses = nn.CrossEntropyLoss(), nn.MSELoss()
        nn.fit(model, rows, (labels, rows[:, :1]), loss=losses, optimizer=nn.SGD(model, 0.1), verbose=0, rng=0,
               class_weight=(class_weight, None))  # fmt: skip
        return model.Phi

    assert_allclose(both("balanced"), both(weight), rtol=1e-12)


def test_balanced_weights_are_from_the_rows_that_are_trained_on():
    labels = np.array([0] * 6 + [1] * 2 + [1] * 4)  # the last four are held back

    def run(**options):
        model = nn.Linear(3, 2, dtype=np.float64, rng=0)
        nn.fit(model, X, labels, loss=nn.CrossEntropyLoss(), optimizer=nn.SGD(model, 0.1), verbose=0, shuffle=False,
               validation_split=1 / 3, **options)  # fmt: skip
        return model.Phi

    assert_allclose(run(class_weight="balanced"), run(class_weight={0: 8 / 12, 1: 8 / 4}), rtol=1e-12)


# ------------------------------------------------------------ weights that would do nothing, and weights of other forms


@pytest.mark.parametrize(
    ("loss", "options", "name"),
    [
        (nn.CrossEntropyLoss(), {"sample_weight": np.arange(12.0)}, "sample_weight"),
        (nn.CrossEntropyLoss(), {"class_weight": {1: 5.0}}, "class_weight"),
        (nn.CrossEntropyLoss(weight=[1.0, 5.0]), {}, r"CrossEntropyLoss\(weight=\[1.0, 5.0\]\): weight"),
    ],
)
def test_weights_that_cancel_in_a_step_on_one_row_are_an_error(loss, options, name):
    """torch/nn#702, torch/nn#985, pytorch#61309: w J / w = J, so that training is that without weights."""
    with pytest.raises(ValueError, match=rf"^{name}: with one row in a step .* or CrossEntropyLoss\(reduction="):
        trained(loss=loss, batch_size=1, **options)
    plain = trained(loss=nn.CrossEntropyLoss(), batch_size=4)
    for cure in {"batch_size": 4}, {"batch_size": 1, "accumulate_steps": 4}:
        assert not np.allclose(trained(loss=loss, **cure, **options), plain, rtol=1e-6)
    total = nn.CrossEntropyLoss(reduction="sum", weight=loss.weight)
    unweighted = trained(loss=nn.CrossEntropyLoss(reduction="sum"), batch_size=1)
    assert not np.allclose(trained(loss=total, batch_size=1, **options), unweighted, rtol=1e-6)


def test_weights_of_0_and_of_one_other_value_are_right_in_a_step_on_one_row():
    """With them w J / w is nothing or J, as it should be: a training on the rows whose weight is not 0."""
    Phis = []
    for rows, weight in (slice(None), np.array([0.0, 2.0] * 6)), (slice(1, None, 2), None):
        model = nn.Linear(3, 2, dtype=np.float64, rng=0)
        nn.fit(model, X[rows], Y[rows], loss=nn.CrossEntropyLoss(), optimizer=nn.SGD(model, lr=0.3), epochs=2,
               batch_size=1, sample_weight=weight, verbose=0, shuffle=False)  # fmt: skip
        Phis.append(model.Phi)
    assert_allclose(*Phis, rtol=1e-12)


def test_a_weight_that_is_no_number_is_named_by_its_row():
    weight = np.ones(12)
    weight[7] = np.nan
    with pytest.raises(ValueError, match=r"got nan for row 7$"):
        trained(sample_weight=weight)


def test_a_column_of_weights_has_its_line():
    with pytest.raises(ValueError, match=r"got shape \(12, 1\); pass sample_weight\[:, 0\]$"):
        trained(sample_weight=np.ones((12, 1)))


@pytest.mark.parametrize("kind", [np.array, list, tuple])
def test_class_weights_as_scikit_learn_computes_them_have_their_line(kind):
    """python_for_microscopists#14: compute_class_weight returns an array, fit wants a dict."""
    class_weight = kind([0.5, 3.0])
    with pytest.raises(TypeError, match=r"; pass dict\(enumerate\(class_weight\)\)$"):
        trained(class_weight=class_weight)
    line = dict(enumerate(class_weight))
    assert_allclose(trained(class_weight=line), trained(loss=nn.CrossEntropyLoss(weight=[0.5, 3.0])), rtol=1e-12)


def test_class_weights_by_text_have_their_cure():
    """scikit-learn#22413: a key that is no class of Y must not be left out without a word."""
    with pytest.raises(TypeError, match=r"its keys are the class indices in Y, those of np\.unique"):
        trained(class_weight={"cat": 1.0, "dog": 2.0})


def test_class_weights_of_a_stream_are_those_of_its_rows():
    """keras#17136: class_weight was ignored, or an error, where the batches come from a generator."""
    weight = {0: 2.0, 1: 0.5}
    model = nn.Sequential(nn.Linear(3, 2, dtype=np.float64, rng=0))
    other = nn.Sequential(nn.Linear(3, 2, dtype=np.float64, rng=0))
    nn.fit(model, lambda: iter([(X, Y)]), loss=nn.CrossEntropyLoss(), optimizer=nn.SGD(model, 0.1),
           class_weight=weight, verbose=0)  # fmt: skip
    nn.fit(other, X, Y, loss=nn.CrossEntropyLoss(weight=[2.0, 0.5]), optimizer=nn.SGD(other, 0.1), batch_size=12,
           shuffle=False, verbose=0)  # fmt: skip
    assert_allclose(model.Phi, other.Phi, rtol=1e-12)


def test_a_sample_weight_counts_for_each_of_several_labels():
    """muffnn#75: weights (N,) and elementwise losses (N, C) must not broadcast along the classes."""
    rng = np.random.default_rng(0)
    T, weight = (rng.random((12, 3)) > 0.5) * 1.0, rng.random(12)
    model = nn.Linear(3, 3, dtype=np.float64, rng=0)
    Z = X @ model.W + model.b
    J = np.logaddexp(0, Z) - T * Z
    history = nn.fit(model, X, T, loss=nn.BCEWithLogitsLoss(), optimizer=nn.SGD(model, 0.1), sample_weight=weight,
                     batch_size=12, verbose=0)  # fmt: skip
    assert history["loss"] == [pytest.approx(np.sum(weight[:, None] * J) / (3 * weight.sum()), rel=1e-12)]


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda: trained_on([(X, Y, np.ones(12))]), "got as batch 0 a tuple of 3; weights come beside arrays X and Y"),
        (
            lambda: trained_on(X, Y, validation_data=(X, Y, np.ones(12))),
            r"expected a pair \(X, Y\), got 3 entries; in validation each row counts once, so pass no weights",
        ),
    ],
)
def test_weights_beside_batches_or_validation_rows_are_an_error_that_says_so(use, message):
    """keras#11805, keras#3013: a third entry of weights."""
    with pytest.raises(TypeError, match=message):
        use()


def trained_on(X, Y=None, **options):
    model = nn.Linear(3, 2, rng=0)
    return nn.fit(model, X, Y, loss=nn.CrossEntropyLoss(), optimizer=nn.SGD(model, 0.1), verbose=0, **options)
