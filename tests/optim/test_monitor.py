"""Which of two values is better, by their name; one rule for everything that watches one."""

from types import SimpleNamespace

import pytest

import nnlite as nn
from nnlite.optim.monitor import Monitor, direction

KNOWN = {
    "min": "loss val_loss loss_0 loss_accuracy val_loss_f1 mean_error rmse val_mae brier_score hinge_loss f1_loss MSE",
    "max": "accuracy val_accuracy binary_accuracy acc val_acc precision recall f1 val_f1_score roc_auc AUC r2 val_r2 "
    "val_auc_score accuracy_score balanced_accuracy mean_iou",
}
# pck: pytorch-lightning#4668; ndcg: tf-keras#253
UNKNOWN = [
    "val_pck_0.15",
    "val_ndcg",
    "kappa",
    "val_kappa",
    "score",
    "fake",
    "norm",
    "accident_rate",
    "sauce",
    "error_recall",
    "distance",
    "lr",
]


@pytest.mark.parametrize("mode", KNOWN)
def test_the_words_of_the_name_tell(mode):
    """keras#18798, keras#21118: one rule for EarlyStopping, Checkpoint, ReduceLROnPlateau and History.best."""
    for name in KNOWN[mode].split():
        assert direction(name, "auto", "") == mode, name


# scikit-learn's names of negated errors: higher is better, other than the words say (as in skorch#765)
@pytest.mark.parametrize("name", ["val_neg_log_loss", "neg_mean_squared_error", "val_negative_loss"])
def test_a_negated_error_does_not_tell(name):
    with pytest.raises(ValueError, match=f"the name '{name}' does not tell"):
        nn.EarlyStopping(name)
    assert nn.EarlyStopping(name, mode="max").watched.mode == "max"


@pytest.mark.parametrize("name", UNKNOWN)
def test_where_the_name_does_not_tell_it_is_an_error_everywhere(name):
    """keras issue 18798: kappa taken for a loss ends a training at once."""
    history = nn.History({name: [0.5, 0.9, 0.8]})
    for watch in (
        lambda **mode: nn.EarlyStopping(name, **mode),
        lambda **mode: nn.Checkpoint("c.npz", best_only=True, monitor=name, **mode),
        lambda **mode: nn.ReduceLROnPlateau(nn.SGD(nn.Linear(1, 1), lr=0.1), monitor=name, **mode),
        lambda **mode: history.best(name, **mode),
    ):
        with pytest.raises(ValueError, match=rf"the name '{name}' does not tell .* pass mode=\"min\" or mode=\"max\""):
            watch()
        watch(mode="min")
        watch(mode="max")
    assert history.best(name, mode="max") == (2, 0.9)


def test_a_known_name_is_the_same_for_all():
    assert nn.EarlyStopping("accuracy").watched.is_better(2, 1)
    assert nn.Checkpoint("c.npz", best_only=True, monitor="accuracy").watched.is_better(2, 1)
    assert nn.History({"val_accuracy": [0.5, 0.9, 0.8]}).best("val_accuracy") == (2, 0.9)
    optimizer = nn.SGD(nn.Linear(1, 1), lr=0.1)
    plateau = nn.ReduceLROnPlateau(optimizer, monitor="accuracy", patience=0)
    for accuracy in 0.5, 0.6, 0.7:
        plateau.step(accuracy)
    assert optimizer.lr == 0.1


@pytest.mark.parametrize(("mode", "new", "better"), [("min", 0.75, True), ("min", 0.85, False), ("max", 1.25, True)])
def test_an_improvement_is_by_more_than_min_delta(mode, new, better):
    assert Monitor("", "x", mode, min_delta=0.2).is_better(new, 1.0) is better


def test_what_is_exactly_as_good_or_better_by_min_delta_alone_is_no_improvement():
    for mode, limit in ("min", 0.75), ("max", 1.25):
        assert not Monitor("", "x", mode, min_delta=0.25).is_better(limit, 1.0)
        assert not Monitor("", "x", mode).is_better(1.0, 1.0)


@pytest.mark.parametrize(
    ("name", "validation", "extra", "known"),
    [
        ("val_loss", None, {}, False),
        ("val_loss", "rows", {}, True),
        ("val_loss", None, {"val_loss": 0.0}, True),  # a value of a callback
        ("loss", None, {}, True),
        ("val_own", None, {}, True),  # it may come yet
    ],
)
def test_a_value_of_the_validation_without_validation_is_an_error(name, validation, extra, known):
    state = SimpleNamespace(means=SimpleNamespace(names=["loss"]), validation=validation, extra=extra)
    monitor = Monitor("Plateau", name, "min")
    if known:
        assert monitor.check(state) is None
    else:
        with pytest.raises(ValueError, match=r"^Plateau: monitor: there is no 'val_loss' without .*monitor='loss'$"):
            monitor.check(state)


def test_the_value_is_that_of_the_epoch():
    state = SimpleNamespace(values={"loss": 0.5})
    assert Monitor("Plateau", "loss", "min").value(state) == 0.5
    with pytest.raises(KeyError, match=r"Plateau: monitor: there is no 'val_loss' among \['loss'\]"):
        Monitor("Plateau", "val_loss", "min").value(state)


def test_another_mode_is_an_error():
    with pytest.raises(ValueError, match="EarlyStopping: mode: expected 'min' or 'max' or 'auto', got 'best'"):
        nn.EarlyStopping(mode="best")
    with pytest.raises(TypeError, match="EarlyStopping: monitor: expected a name such as 'val_loss', got 3"):
        nn.EarlyStopping(3)
