"""Update: gradients of several batches make one step, clipped."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import nnlite as nn
from nnlite.training.sample_weights import SampleWeighted

X = np.random.default_rng(0).normal(size=(12, 3))
Y = np.random.default_rng(1).integers(0, 2, 12)


def trained(*, loss=None, sizes=(3, 2), **options):
    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Linear(*sizes, dtype=np.float64, rng=rng))
    options = {"shuffle": False, "verbose": 0, "epochs": 2} | options
    optimizer = nn.SGD(model, lr=0.3, momentum=0.9)
    nn.fit(model, X, Y, loss=loss or nn.CrossEntropyLoss(), optimizer=optimizer, **options)
    return model.Phi


LOSSES = {
    "mean": nn.CrossEntropyLoss,
    "sum": lambda: nn.CrossEntropyLoss(reduction="sum"),
    "weighted": lambda: nn.CrossEntropyLoss(weight=[1.0, 5.0]),
    "ignored": lambda: nn.CrossEntropyLoss(ignore_index=1, label_smoothing=0.1),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(("batch_size", "steps"), [(6, 2), (4, 3), (5, 3), (1, 12), (12, 1), (5, 100)])
def test_accumulated_steps_equal_one_large_batch(name, batch_size, steps):
    if name == "ignored":
        batch_size = max(batch_size, 4)  # a batch of ignored rows alone is an error
    small = trained(loss=LOSSES[name](), batch_size=batch_size, accumulate_steps=steps)
    large = trained(loss=LOSSES[name](), batch_size=12)
    assert_allclose(small, large, rtol=1e-12, atol=1e-14)


def test_what_is_left_at_the_end_of_an_epoch_makes_a_step_of_its_own():
    small = trained(batch_size=4, accumulate_steps=2, epochs=1)  # 8 rows, then 4
    model = nn.Sequential(nn.Linear(3, 2, dtype=np.float64, rng=np.random.default_rng(0)))
    optimizer, loss = nn.SGD(model, lr=0.3, momentum=0.9), nn.CrossEntropyLoss()
    for rows in slice(0, 8), slice(8, 12):
        loss.forward(model.forward(X[rows]), Y[rows])
        model.backward(loss.backward())
        optimizer.step()
    assert_allclose(small, model.Phi, rtol=1e-12)


@pytest.mark.parametrize("wrong", [0, -1, 1.5])
def test_bad_accumulate_steps(wrong):
    with pytest.raises((TypeError, ValueError), match="accumulate_steps"):
        trained(accumulate_steps=wrong)


def test_clipping_happens_before_each_step():
    norms = []

    class Look(nn.Callback):
        def on_batch_end(self, state):
            norms.append((np.linalg.norm(state.model.dPhi), np.abs(state.model.dPhi).max()))

    trained(batch_size=4, clip_norm=0.01, callbacks=[Look()])
    assert len(norms) == 6
    assert_allclose([norm for norm, _ in norms], 0.01, rtol=1e-3)
    norms.clear()
    trained(batch_size=4, clip_value=0.02, callbacks=[Look()])
    assert max(largest for _, largest in norms) == 0.02


def test_clipping_is_of_the_whole_step_and_not_of_its_parts():
    assert_allclose(
        trained(batch_size=4, accumulate_steps=3, clip_norm=0.05), trained(batch_size=12, clip_norm=0.05), rtol=1e-12
    )


# ------------------------------------------------------------------------------- weights of samples and classes


@pytest.mark.parametrize("name", LOSSES)
def test_weights_of_one_change_nothing(name):
    plain = trained(loss=LOSSES[name](), batch_size=5)
    assert_allclose(trained(loss=LOSSES[name](), batch_size=5, sample_weight=np.ones(12)), plain, rtol=1e-12)
    assert_allclose(trained(loss=LOSSES[name](), batch_size=5, class_weight={0: 1.0}), plain, rtol=1e-12)


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
    assert history["loss"] == pytest.approx([np.mean(weight * error)], rel=1e-12)
    assert history["val_loss"] == pytest.approx([np.mean(error)], rel=1e-12)


def test_sample_weights_follow_their_rows_through_the_split():
    weight = np.arange(12.0)
    model = nn.Sequential(nn.Linear(3, 1, dtype=np.float64, rng=0))
    T = weight[:, None].copy()  # so that a target says which weight belongs to it
    loss, trained_on = nn.MSELoss(reduction="sum"), set()

    class Look(nn.Callback):
        def on_batch_end(self, state):
            trained_on.update(state.loss.error[:, 0] * -1)

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
        ({"sample_weight": np.ones(11)}, "sample_weight: expected 12 finite numbers"),
        ({"sample_weight": np.ones((12, 1))}, "sample_weight"),
        ({"sample_weight": np.full(12, np.nan)}, "sample_weight"),
        ({"sample_weight": np.ones(12), "loss": nn.Tanh()}, "sample_weight, class_weight: expected one of nnlite's"),
    ],
)
def test_bad_weights(options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        trained(**options)


def test_class_weights_of_targets_with_more_axes_go_by_the_element():
    S, T = np.random.default_rng(4).normal(size=(4, 3, 6)), np.random.default_rng(5).integers(0, 3, (4, 6))
    J = SampleWeighted(nn.CrossEntropyLoss(), {1: 5.0}).forward(S, T)
    each = nn.CrossEntropyLoss(reduction="none").forward(S, T)
    assert pytest.approx(np.mean(np.where(T == 1, 5.0, 1.0) * each), rel=1e-12) == J
    P, labels = np.random.default_rng(6).random((5, 4)), np.random.default_rng(7).integers(0, 2, (5, 4)) * 1.0
    J = SampleWeighted(nn.BCELoss(), {1: 5.0}).forward(P, labels)
    assert (
        pytest.approx(np.mean(np.where(labels == 1, 5.0, 1.0) * nn.BCELoss(reduction="none").forward(P, labels))) == J
    )


@pytest.mark.parametrize(
    ("loss", "class_weight", "message"),
    [
        (nn.MSELoss(), {1: 2.0}, "class_weight: expected a loss of classes"),
        (nn.CrossEntropyLoss(), "balanced", "class_weight: expected a dict"),
        (nn.CrossEntropyLoss(), {"0": 2.0}, "class_weight: expected a dict"),
        (nn.CrossEntropyLoss(), {0: float("nan")}, "class_weight: expected finite numbers"),
        (nn.BCELoss(), {2: 3.0}, "class_weight: .* has the classes 0 and 1"),
        (nn.CrossEntropyLoss(), {1: 2.0, 2: 3.0}, "class_weight: the model has the classes 0 to 1, got a weight for 2"),
        (nn.CrossEntropyLoss(), {-1: 3.0}, "class_weight: the model has the classes 0 to 1, got a weight for -1"),
        ((nn.MSELoss(), nn.MSELoss()), {0: 1.0}, "not for a model of several outputs"),
    ],
)
def test_bad_class_weights(loss, class_weight, message):
    with pytest.raises((TypeError, ValueError), match=message):
        trained(loss=loss, class_weight=class_weight)
