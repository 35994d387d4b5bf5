"""The columns of a frame: a model trained on one is not used on another without a word.

scikit-learn reports the same cases, scikit-learn#7242; the right values are those of the columns in their order.
"""

import copy
import pickle
import re

import numpy as np
import pandas as pd
import pytest

import nnlite as nn

NAMES = ("height", "width", "red")
frame = pd.DataFrame({"height": [1.0, 2.0, 3.0, 4.0], "width": [1, 0, 1, 0], "red": [True, False, True, True]})
array = frame.to_numpy(dtype=float)
Y = np.ones((4, 1))
LOSS = nn.MSELoss()


def untrained():
    return nn.Sequential(nn.Linear(3, 2, rng=0), nn.Tanh(), nn.Linear(2, 1, rng=1))


def fit(model, X, **options):
    return nn.fit(model, X, Y, loss=LOSS, optimizer=nn.SGD(model, lr=0.1), verbose=0, rng=0, **options)


@pytest.fixture
def model():
    model = untrained()
    fit(model, frame)
    return model


OTHERS = {
    "order": frame[["width", "height", "red"]],
    "unknown": frame.assign(blue=0.0),
    "missing": frame[["height", "width"]],
    "renamed": frame.rename(columns={"red": "blue"}),
}
USES = {
    "predict": lambda model, X: nn.predict(model, X),
    "evaluate": lambda model, X: nn.evaluate(model, X, Y, loss=LOSS),
    "fit": fit,
    "validation": lambda model, X: fit(model, frame, validation_data=(X, Y)),
    "validation beside an array": lambda model, X: fit(model, array, validation_data=(X, Y)),
}


def message_of(use, model, X):
    before = model.Phi.copy()
    with pytest.raises(ValueError, match="expected the columns of the training") as caught:
        use(model, X)
    np.testing.assert_array_equal(model.Phi, before)
    return str(caught.value)


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_frame_with_other_columns_is_refused_and_the_line_gives_the_right_ones(model, use):
    for kind, X in OTHERS.items():
        message = message_of(use, model, X)
        assert "'height', 'width', 'red', got " in message
        assert ("in another order, 'width', 'height', 'red'" in message) == (kind == "order")
        assert ("the unknown 'blue'" in message) == (kind in ("unknown", "renamed"))
        assert ("none called 'red'" in message) == (kind in ("missing", "renamed"))
        name, line = re.search(r"\b(X|X_val) = (.*?); or, to read", message).groups()
        right = eval(line, {name: X, "model": model})
        expected = frame if kind in ("order", "unknown") else frame.assign(red=0)  # as pandas fills a dummy variable
        np.testing.assert_array_equal(nn.predict(model, right), nn.predict(model, expected))


def test_the_line_for_validation_data_of_an_untrained_model_is_right():
    model = untrained()
    message = message_of(USES["validation"], model, OTHERS["order"])
    assert message.startswith("validation X: ")
    line = re.search("; X_val = (.*?);", message)[1]
    pd.testing.assert_frame_equal(eval(line, {"X": frame, "X_val": OTHERS["order"]}), frame)
    assert model.feature_names is None  # a fit that has not begun leaves nothing behind


def test_columns_without_names_are_read_by_position(model):
    np.testing.assert_array_equal(nn.predict(model, array), nn.predict(model, frame))
    np.testing.assert_array_equal(nn.predict(model, pd.DataFrame(array)), nn.predict(model, frame))
    line = re.search(r"X\.to_numpy\(.*\)$", message_of(USES["predict"], model, OTHERS["renamed"]))[0]
    np.testing.assert_array_equal(nn.predict(model, eval(line, {"X": OTHERS["renamed"]})), nn.predict(model, frame))
    fit(model, array, validation_data=(array, Y))
    assert model.feature_names == NAMES
    for X in array, pd.DataFrame(array):
        other = untrained()
        fit(other, X)
        assert other.feature_names is None
        nn.predict(other, frame)


def test_without_its_names_a_model_is_trained_on_other_columns(model):
    model.feature_names = None
    fit(model, OTHERS["renamed"])
    assert model.feature_names == ("height", "width", "blue")


def test_copies_and_files_remember_the_columns(tmp_path):
    model, checkpoint = untrained(), nn.Checkpoint(tmp_path / "training.npz")
    fit(model, frame, callbacks=[checkpoint])
    nn.save(model, tmp_path / "model.npz")
    saved = nn.load(tmp_path / "model.npz"), nn.load(checkpoint.path)
    for other in copy.deepcopy(model), pickle.loads(pickle.dumps(model)), *saved, model.astype(np.float64):
        assert other.feature_names == NAMES
        message_of(USES["predict"], other, OTHERS["order"])


def test_a_training_is_resumed_with_the_same_columns_only(tmp_path):
    model, checkpoint = untrained(), nn.Checkpoint(tmp_path / "training.npz")
    fit(model, frame, callbacks=[checkpoint])
    other = untrained()
    with pytest.raises(
        TypeError, match=r"resume: expected the path of a checkpoint, such as checkpoint\.path, got Che"
    ):
        fit(other, frame, resume=checkpoint)
    with pytest.raises(nn.CheckpointError, match=r"values of X: .* in the file, .* here"):
        fit(other, OTHERS["order"], resume=checkpoint.path)
    assert other.feature_names is None
    fit(other, frame, resume=checkpoint.path)
    fit(model, frame)
    assert other.feature_names == NAMES


def test_names_in_a_file_that_are_no_strings_are_refused():
    arrays = {}
    description = nn.saving.describe.describe(untrained(), arrays) | {"feature_names": [1, 2, 3]}
    with pytest.raises(nn.CheckpointError, match=r"feature_names: expected strings, got \[1, 2, 3\]"):
        nn.saving.rebuild.rebuild(description, arrays)
