"""check: filled skeletons are right, each mistake is named, and hints become clearer."""

import pydoc

import numpy as np
import pytest

import nnlite as nn

FILLED = {
    "Linear": ["X @ self.W + self.b", "self.X.T @ dY", "dY.sum(axis=0)", "dY @ self.W.T"],
    "Tanh": ["self.Y", "dY * (1 - self.Y**2)"],
    "Softmax": ["E / E.sum(axis=1, keepdims=True)", "self.Y * (dY - (dY * self.Y).sum(axis=1, keepdims=True))"],
    "BCELoss": [
        "-np.mean(self.target * np.log(self.Y) + (1 - self.target) * np.log(1 - self.Y))",
        "dJ * ((1 - self.target) / (1 - self.Y) - self.target / self.Y) / self.Y.size",
    ],
    "MLP": [
        *(
            "np.tanh(X @ self.W1 + self.b1)",
            "self.H @ self.W2 + self.b2",
            "self.H.T @ dY",
            "dY.sum(axis=0)",
            "dY @ self.W2.T",
        ),
        *("dH * (1 - self.H**2)", "self.X.T @ dU", "dU.sum(axis=0)", "dU @ self.W1.T"),
    ],
}


def result(name, lines, capsys):
    """What the program prints with these lines in the holes."""
    head, *parts = nn.exercises.skeleton(name).split('"""', 2)
    program = head + '"""' + parts[0] + '"""' + parts[1]
    docstring, code = program[: program.index("import numpy")], program[program.index("import numpy") :]
    for line in lines:
        code = code.replace("...", f"({line})", 1)
    exec(docstring + code, {"__name__": "own"})
    return capsys.readouterr().out


@pytest.mark.parametrize("name", FILLED)
def test_a_filled_skeleton_is_right(name, capsys):
    out = result(name, FILLED[name], capsys)
    assert out.endswith("all is right\n")
    assert "right    forward computes the right values" in out
    assert "not yet" not in out


@pytest.mark.parametrize("name", FILLED)
def test_an_empty_skeleton_runs_and_says_that_forward_returns_nothing(name, capsys):
    assert "not yet  forward returns nothing yet" in result(name, [], capsys)


@pytest.mark.parametrize(
    ("name", "hole", "line", "said"),
    [
        ("Linear", 0, "X @ self.W", "forward computes other values"),
        ("Linear", 0, "(X @ self.W).T", "forward returns another shape"),
        ("Linear", 1, "dY.T @ self.X", "backward raises"),
        ("Linear", 1, "self.X.T @ dY / len(dY)", "dW"),
        ("Linear", 2, "dY.mean(axis=0)", "db"),
        ("Linear", 3, "-dY @ self.W.T", "dX"),
        ("Linear", 3, "dY @ self.W", "backward raises ValueError"),
        ("Tanh", 1, "dY", "dX"),
        ("Softmax", 1, "dY * self.Y * (1 - self.Y)", "dX"),
        (
            "BCELoss",
            0,
            "-np.sum(self.target * np.log(self.Y) + (1 - self.target) * np.log(1 - self.Y))",
            "forward computes",
        ),
        ("BCELoss", 1, "dJ * ((1 - self.target) / (1 - self.Y) - self.target / self.Y)", "dY"),
        ("MLP", 6, "self.H.T @ dU", "backward raises"),
        ("MLP", 5, "dH", "dX"),
    ],
)
def test_a_mistake_is_named_by_its_place(name, hole, line, said, capsys):
    lines = list(FILLED[name])
    lines[hole] = line
    out = result(name, lines, capsys)
    assert f"not yet  {said}" in out
    assert "for a hint: check(layer, hint=1)" in out


class Tanh(nn.Layer):
    """A Tanh to be made wrong."""

    def __init__(self, forward=np.tanh, slope=lambda Y: 1 - Y * Y):
        self.f, self.slope = forward, slope

    def forward(self, X):
        self.Y = self.f(X)
        return self.Y

    def backward(self, dY):
        return dY * self.slope(self.Y)


def test_hints_become_clearer_from_the_fault():
    layer = Tanh(slope=lambda Y: 1 - Y)
    assert [line for line in str(nn.exercises.check(layer)).splitlines() if line.startswith("hint")] == []
    printed = [line[9:] for line in str(nn.exercises.check(layer, hint=9)).splitlines() if line.startswith("hint")]
    assert len(printed) == 3
    hints = nn.exercises.check(layer).hints
    assert hints[:2] == ("look at backward, at dX", "missing term")
    assert hints[2].endswith("the formula is dX = dY * (1 - Y * Y)")
    checked = nn.exercises.check(layer, hint=2)
    assert (checked.wrong, len(checked.hints), checked.shown) == ("dX", 3, 2)


def test_values_are_compared_in_numbers_and_a_factor_is_seen():
    checked = nn.exercises.check(Tanh(lambda X: 2 * np.tanh(X)), hint=3)
    assert "it is 2 times the right one" in checked.hints
    assert "the formula is Y = tanh(X)" in checked.hints


class Own(nn.Layer, parameters=("W", "b")):
    """A Linear whose backward is a function that returns dW, db and dX."""

    def __init__(self, gradients):
        self.W, self.b, self.gradients = np.arange(6.0).reshape(3, 2), np.ones(2), gradients

    def forward(self, X):
        self.X = X
        return X @ self.W + self.b

    def backward(self, dY):
        self.dW, self.db, dX = self.gradients(self.X, dY, self.W)
        return dX


def checked(gradients, **options):
    return nn.exercises.check(Own(gradients), nn.Linear(3, 2), **options)


def test_holes_are_named_in_the_order_of_backward():
    def all_of_them(X, dY, W):
        return ..., ..., ...

    def one(X, dY, W):
        return X.T @ dY, ..., dY @ W.T

    assert checked(all_of_them).wrong == "dW, db, dX: nothing yet"
    assert checked(all_of_them).hints[0] == "fill in dW in backward"
    assert checked(one).wrong == "db: nothing yet"
    assert checked(one).hints[1] == "the formula is db = sum(rows(dY), axis=0)"


def test_all_wrong_gradients_are_named_and_the_right_ones_too():
    found = checked(lambda X, dY, W: (X.T @ dY / len(dY), -dY.sum(axis=0), dY @ W.T))
    assert found.wrong == "dW, db"
    assert found.done[3:] == ("dX",)
    assert found.hints[:2] == ("look at backward, at dW", "wrong factor")
    assert found.hints[2].endswith("the formula is dW = rows(X).T @ rows(dY)")


def test_what_backward_does_beside_its_gradients_is_seen():
    class Adds(Own):
        def backward(self, dY):
            self.dW, self.db = self.dW + self.X.T @ dY, dY.sum(axis=0)
            return dY @ self.W.T

    class Writes(Own):
        def backward(self, dY):
            dX = dY @ self.W.T
            self.dW, self.db = self.X.T @ dY, dY.sum(axis=0)
            dY *= 0
            return dX

    adds, writes = (nn.exercises.check(cls(None), nn.Linear(3, 2)) for cls in (Adds, Writes))
    assert (adds.wrong, adds.hints[1], adds.done[3:]) == ("dW", "accumulated", ("dX", "db"))
    assert (writes.wrong, writes.hints[1]) == ("backward", "modified in place")


def test_a_backward_without_a_result_and_one_that_raises():
    assert checked(lambda X, dY, W: (X.T @ dY, dY.sum(axis=0), None)).hints[0] == "backward ends with return dX"
    transposed = checked(lambda X, dY, W: (dY.T @ X, dY.sum(axis=0), dY @ W.T))
    assert transposed.wrong == "backward raises ShapeError"
    assert "expected dW of shape (3, 2), got (2, 3)" in transposed.hints[0]


@pytest.mark.parametrize("method", ["forward", "backward"])
def test_float32_that_becomes_float64_is_seen(method):
    one = {method: np.float64(1.0)}  # a scalar that promotes
    layer = Tanh(lambda X: np.tanh(X) * one.get("forward", 1), lambda Y: (1 - Y * Y) * one.get("backward", 1))
    assert nn.exercises.check(layer).wrong == f"{method} returns float64 where X is float32"


def test_what_is_printed_has_80_columns():
    found = nn.exercises.Checked(("forward",), "a word " * 20, ("a hint " * 20 + "\nthe formula",), 1)
    lines = str(found).splitlines()
    assert 70 < max(map(len, lines)) <= 80
    assert lines[-1] == "         the formula"


def test_a_forward_that_changes_X_and_one_that_raises():
    def in_place(X):
        np.tanh(X, X)
        return X

    def fails(X):
        raise ZeroDivisionError("by zero")

    assert nn.exercises.check(Tanh(in_place)).wrong == "forward changes X"
    assert nn.exercises.check(Tanh(fails)).wrong == "forward raises ZeroDivisionError: by zero"


def test_the_layer_itself_stays_as_it_is():
    layer = nn.Linear(3, 2, rng=0)
    before = layer.W.copy()
    assert nn.exercises.check(layer).right
    assert layer.dtype == np.float32
    assert (before == layer.W).all()


def test_what_it_should_be_can_be_given():
    class Relu(nn.Layer):
        def forward(self, X):
            self.X = X
            return np.maximum(X, 0)

        def backward(self, dY):
            return dY * (self.X > 0)

    with pytest.raises(ValueError, match=r"Relu is none of Linear, .*check\(layer, like=nn.ReLU\(\)\)"):
        nn.exercises.check(Relu())
    assert nn.exercises.check(Relu(), nn.ReLU()).right
    assert nn.exercises.check(Relu(), nn.ReLU(), X=[[1.0, -2.0]]).right
    assert not nn.exercises.check(Relu(), nn.Tanh()).right


def test_parameters_go_by_name_whatever_their_order():
    class Other(nn.Layer, parameters=("b", "W")):
        __init__, forward, backward = Own.__init__, Own.forward, Own.backward

    right = Other(lambda X, dY, W: (X.T @ dY, dY.sum(axis=0), dY @ W.T))
    assert [path for path, _ in right.named_parameters()] == ["b", "W"]
    assert nn.exercises.check(right, nn.Linear(3, 2)).right


def test_parameters_that_are_not_declared_are_an_error_with_the_line_to_write():
    class Linear(nn.Layer):
        def __init__(self):
            self.W, self.b = np.ones((3, 2)), np.ones(2)

    with pytest.raises(
        ValueError, match=r'got none; declare them, as in class Linear\(nn.Layer, parameters=\("W", "b"'
    ):
        nn.exercises.check(Linear())


def test_bad_arguments():
    with pytest.raises(TypeError, match=r"got the class itself; write Tanh\(\.\.\.\)"):
        nn.exercises.check(Tanh)
    with pytest.raises(ValueError, match=r"expected parameters W \(2, 2\), b \(2,\), got W \(3, 2\), b \(2,\)$"):
        nn.exercises.check(nn.Linear(3, 2, rng=0), nn.Linear(2, 2, rng=0))
    with pytest.raises(ValueError, match="hint"):
        nn.exercises.check(Tanh(), hint=-1)
    with pytest.raises(ValueError, match="expected one of BCELoss, Linear, MLP, Softmax, Tanh, got 'ReLU'"):
        nn.exercises.skeleton("ReLU")


def test_a_skeleton_is_written_but_replaces_no_file(tmp_path):
    text = nn.exercises.skeleton("Tanh", tmp_path / "tanh.py")
    assert (tmp_path / "tanh.py").read_text(encoding="utf-8") == text
    with pytest.raises(FileExistsError):
        nn.exercises.skeleton("Tanh", tmp_path / "tanh.py")


def test_what_is_checked_prints_as_a_list():
    checked = nn.exercises.Checked(("forward",), "dX", ("one", "two"), 1)
    assert not checked.right
    assert str(checked).splitlines()[-1].strip() == "for a hint: check(layer, hint=2)"


@pytest.mark.parametrize("room", ["datasets", "exercises", "plot"])
def test_the_help_of_what_a_student_calls_is_short(room):
    values = {name: getattr(getattr(nn, room), name) for name in getattr(nn, room).__all__}
    for name, value in values.items():
        if not isinstance(value, type):  # to the page of a class each Python adds lines of its own
            assert len(pydoc.render_doc(value, renderer=pydoc.plaintext).splitlines()) < 60, name


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"X": "abc"}, TypeError, r"exercises\.check: X: expected real numbers"),
        ({"X": [[np.nan]]}, ValueError, r"exercises\.check: X: expected finite numbers, got NaN or infinity"),
        ({"like": "Tanh"}, TypeError, r"exercises\.check: like: expected a Layer, got 'Tanh'"),
        ({"like": nn.Tanh}, TypeError, r"exercises\.check: like: expected a Layer, got the class itself"),
    ],
)
def test_arguments_that_cannot_be_checked(arguments, error, message):
    with pytest.raises(error, match=message):
        nn.exercises.check(nn.Tanh(), **arguments)


def test_values_that_should_be_zero_have_no_ratio():
    found = nn.exercises.check(nn.Square(), like=nn.ReLU(), X=[[-2.0, 3.0]], hint=3)
    assert found.hints[0] == "expected 3, got 9 at [0, 1]"
    assert not any("times" in hint for hint in found.hints)
