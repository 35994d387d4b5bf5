"""hunt: each bug is found by the doctor, answers are judged, and the network does not give it away."""

import numpy as np
import pytest

import nnlite as nn
from nnlite.exercises.hunt import BUGS, KINDS, _network

NAMES = [f"{level}-{place}-{cls.__name__}-{number}" for number, (level, place, cls, _) in enumerate(BUGS)]


@pytest.mark.parametrize("bug", BUGS, ids=NAMES)
def test_one_gradient_is_wrong_in_the_layer_with_the_bug(bug):
    model, loss, X, Y = _network(bug)
    with pytest.raises(nn.GradientError) as error:
        nn.check_gradients(model, X, Y, loss)
    assert error.value.report.fault.layer.startswith(f"Sequential[{bug[1]}] ")
    assert error.value.report.fault.kind in KINDS
    assert "bug" not in repr(model).lower()
    assert type(model[bug[1]]).__name__ == bug[2].__name__
    loss.forward(model.forward(X), Y)
    model.backward(loss.backward())
    assert np.isfinite(model.dPhi).all()


@pytest.mark.parametrize("level", [1, 2, 3])
def test_each_level_has_several_bugs_and_the_seed_chooses(level):
    found = {nn.exercises.hunt(level, rng=seed).solution() for seed in range(6)}
    assert len(found) > 2
    assert nn.exercises.hunt(level, rng=5).solution() == nn.exercises.hunt(level, rng=5).solution()


def test_answers_are_judged_with_a_second_chance(capsys):
    hunt = nn.exercises.Hunt(1, *_network(BUGS[0]))
    assert not hunt.answer(2, "transposed")
    assert not hunt.answer(1)
    assert not hunt.answer("1", "transposed")
    assert not hunt.answer(2, "wrong sign")
    assert hunt.answer(1, "wrong sign")
    assert capsys.readouterr().out.splitlines() == [
        "no; compare with numerical differences, from the last layer to the first",
        "the layer is right; and what is wrong in it?",
        "the layer is right; it is another kind of mistake",
        "the kind is right; it is another layer",
        "found after 5 guesses:",
        "  Sequential[1] Tanh(): dX: wrong sign",
    ]
    assert hunt.solution() == "Sequential[1] Tanh(): dX: wrong sign"


def test_the_task_is_told_in_80_columns():
    text = str(nn.exercises.hunt(2, rng=0))
    assert max(map(len, text.splitlines())) <= 80
    assert "(0): Linear(4 -> 5" in text
    assert '"wrong sign"' in text


def test_the_network_trains_in_spite_of_its_bug():
    hunt = nn.exercises.hunt(1, rng=0)
    optimizer = nn.SGD(hunt.model, lr=0.1)
    history = nn.fit(hunt.model, hunt.X, hunt.Y, loss=hunt.loss, optimizer=optimizer, epochs=3, rng=0, verbose=0)
    assert np.isfinite(history["loss"]).all()


def test_bad_answers_and_levels():
    hunt = nn.exercises.hunt(1, rng=0)
    with pytest.raises(ValueError, match="layer: expected one of 0, 1, 2, 3, got 7"):
        hunt.answer(7)
    with pytest.raises(ValueError, match="kind: expected one of 'zero', 'wrong sign'"):
        hunt.answer(1, "sign")
    for level in 0, 4:
        with pytest.raises(ValueError, match="level"):
            nn.exercises.hunt(level)
