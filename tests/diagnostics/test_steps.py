"""Forward and backward, one layer at a time."""

import types
from xml.etree import ElementTree

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from support.contract import ROWS, backward, forward, inputs_of, linear, numbers, some_dY, tied_blocks, used_three_times
from support.contract_row import one_of_each

import nnlite as nn
from nnlite.basics.trees import listed
from nnlite.containers.program import Program
from nnlite.containers.tied import Tied
from nnlite.diagnostics.formulas import one_entry
from nnlite.diagnostics.steps import Step
from nnlite.layer.hidden import Reference

over_all_rows = pytest.mark.parametrize("row", one_of_each(ROWS), ids=lambda row: row.id)


def walked(steps):
    """The steps, and what the generator returns."""
    found = []
    while True:
        try:
            found.append(next(steps))
        except StopIteration as end:
            return found, end.value


def everything_in(layer, path=""):
    """Every array in the layer and its parts, by the path of its attribute."""
    for key, value in vars(layer).items():
        for number, each in enumerate(value if isinstance(value, list | tuple) else [value]):
            if isinstance(each, np.ndarray | np.generic | float):
                yield f"{path}.{key}.{number}", np.asarray(each)
    for name, part in layer.named_children():
        yield from everything_in(part, f"{path}.{name}")
    if isinstance(layer, Tied):
        yield from everything_in(layer._twin.layer, f"{path}.twin")


def assert_same_bytes(one, other):
    assert type(one) is type(other)
    assert not isinstance(one, dict) or one.keys() == other.keys()
    for a, b in zip(listed(one), listed(other), strict=True):
        assert type(a) is type(b)
        assert (np.shape(a), np.result_type(a)) == (np.shape(b), np.result_type(b)) if a is not None else b is None
        assert a is None or np.asarray(a).tobytes() == np.asarray(b).tobytes()


def assert_same_state(one, other):
    kept, expected = dict(everything_in(one)), dict(everything_in(other))
    assert kept.keys() == expected.keys()
    for name, array in expected.items():
        assert kept[name].tobytes() == array.tobytes(), name


@over_all_rows
def test_walks_are_forward_and_backward_in_every_byte(row):
    model, stepped, mixed, other = row.make(), row.make(), row.make(), row.make()
    Y = forward(model, row.X, row.target)
    _, Y_steps = walked(nn.forward_steps(stepped, row.X, row.target))
    assert_same_bytes(Y_steps, Y)
    assert_same_state(stepped, model)
    dX = backward(model, some_dY(Y))
    _, dX_steps = walked(nn.backward_steps(stepped, some_dY(Y)))
    assert_same_bytes(dX_steps, dX)
    assert_same_state(stepped, model)
    # backward after a walk forward, and a walk backward after forward
    walked(nn.forward_steps(mixed, row.X, row.target))
    assert_same_bytes(backward(mixed, some_dY(Y)), dX)
    forward(other, row.X, row.target)
    assert_same_bytes(walked(nn.backward_steps(other, some_dY(Y)))[1], dX)
    assert mixed.dPhi.tobytes() == other.dPhi.tobytes() == model.dPhi.tobytes()
    # and where nobody needs dX
    model.needs_dX = other.needs_dX = False
    forward(model, row.X, row.target)
    forward(other, row.X, row.target)
    assert_same_bytes(walked(nn.backward_steps(other, some_dY(Y)))[1], backward(model, some_dY(Y)))
    assert other.dPhi.tobytes() == model.dPhi.tobytes()


@over_all_rows
def test_the_steps_are_the_operations_of_the_program_and_back_in_the_opposite_order(row):
    model = row.make()
    count = len(listed(inputs_of(row)))
    found = Program.of(model, inputs=count)
    steps, Y = walked(nn.forward_steps(model, row.X, row.target))
    assert [(step.path, step.layer) for step in steps] == [(o.path, o.layer) for o in found.operations]
    given = listed(inputs_of(row))
    names = getattr(model, "input_names", None)
    if isinstance(row.X, dict):
        given = [row.X[name] for name in names]
    values = dict(zip(found.inputs, given, strict=True)) | found.constants
    for operation, step in zip(found.operations, steps, strict=True):
        for edge, X in zip(operation.takes, step.inputs.values(), strict=True):
            assert_array_equal(np.asarray(X), np.asarray(values[edge]))
        values |= zip(operation.gives, step.outputs.values(), strict=True)
    for edge, each in zip(found.outputs, listed(Y), strict=True):
        assert_array_equal(np.asarray(values[edge]), np.asarray(each))

    steps = []
    for step in nn.backward_steps(model, some_dY(Y)):
        steps.append(step)
        if step.name == "sum":
            assert len(step.inputs) > 1
            (total,) = step.outputs.values()
            terms = list(step.inputs.values())
            expected = terms[0]
            for term in terms[1:]:
                expected = expected + term
            assert np.asarray(expected).tobytes() == np.asarray(total).tobytes()
    assert [step.path for step in steps if step.name == "backward"] == [o.path for o in found.operations][::-1]
    for step in steps:
        assert str(step)
        ElementTree.fromstring(f"<div>{step._repr_html_()}</div>")


def chain():
    return nn.Sequential(linear(3, 2), nn.Tanh(), linear(2, 1))


def test_one_layer_runs_for_each_step_that_is_asked_for():
    ran = []

    class Noted(nn.Tanh):
        def __init__(self, name):
            self.name = name

        def forward(self, X):
            ran.append(self.name)
            return super().forward(X)

        def backward(self, dY):
            ran.append("-" + self.name)
            return super().backward(dY)

    x = nn.Input()
    model = nn.Sequential(Noted("a"), nn.Residual(Noted("b")), nn.Graph(x, Noted("c")(x)))
    steps = nn.forward_steps(model, numbers(4, 3))
    assert ran == []
    next(steps)
    assert ran == ["a"]
    next(steps)
    assert ran == ["a", "b"]
    next(steps)
    assert ran == ["a", "b"]  # the sum of the residual
    next(steps)
    assert ran == ["a", "b", "c"]
    walked(steps)
    ran.clear()
    steps = nn.backward_steps(model, numbers(4, 3))
    assert ran == []
    next(steps)
    assert ran == ["-c"]
    next(steps)
    assert ran == ["-c"]
    next(steps)
    assert ran == ["-c", "-b"]


def test_what_a_step_shows():
    model = chain()
    X = numbers(4, 3)
    steps, Y = walked(nn.forward_steps(model, X))
    assert [step.name for step in steps] == ["forward"] * 3
    first = steps[0]
    assert (first.path, first.layer) == ("0", model[0])
    assert list(first.inputs) == ["X"]
    assert list(first.outputs) == ["Y"]
    assert first.inputs["X"] is X
    assert_array_equal(first.outputs["Y"], X @ model[0].W + model[0].b)
    assert first.gradients == {}
    assert steps[2].outputs["Y"] is Y
    dY = numbers(4, 1)
    last, *_ = steps = list(nn.backward_steps(model, dY))
    assert [step.path for step in steps] == ["2", "1", "0"]
    assert list(last.arrays) == ["dY", "dX", "dW", "db"]
    assert last.inputs["dY"] is dY
    assert_array_equal(last.outputs["dX"], dY @ model[2].W.T)
    assert_array_equal(last.gradients["dW"], model[2].X.T @ dY)
    assert last.gradients["db"] is model[2].db


def test_gradients_are_right_when_the_step_is_there_and_the_layers_before_have_none_yet():
    model = chain()
    model.forward(numbers(4, 3))
    steps = nn.backward_steps(model, np.ones((4, 1)))
    step = next(steps)
    assert_array_equal(step.gradients["db"], [4.0])
    assert_array_equal(model[0].dW, np.zeros((3, 2)))


def test_a_fork_is_a_step_of_its_own():
    a, b = nn.Input("a"), nn.Input("b")
    graph = nn.Graph([a, b], (a + b) * (b + 1))
    graph.forward(2.0, 1.0)
    steps, (da, db) = walked(nn.backward_steps(graph))
    assert [(step.name, step.path) for step in steps] == [
        ("backward", "2"), ("backward", "1"), ("backward", "0"), ("sum", "b")
    ]  # fmt: skip
    fork = steps[3]
    assert {name: float(term) for name, term in fork.inputs.items()} == {"1.dX": 3.0, "0.dY": 2.0}
    assert fork.outputs == {"db": db}
    assert fork.layer is graph
    assert fork.formulas == ("db = 1.dX + 0.dY",)
    assert (float(da), float(db)) == (2.0, 5.0)


def test_the_sum_of_a_result_comes_before_the_layer_that_gave_it_and_counts_an_output():
    x = nn.Input("x")
    h = nn.Tanh()(x)
    graph = nn.Graph(x, {"h": h, "y": h * nn.Parameter([1.0, 2.0], name="w")})
    graph.forward(numbers(2))
    steps = list(nn.backward_steps(graph, {"h": np.ones(2), "y": np.ones(2)}))
    assert [(step.name, step.path) for step in steps] == [
        ("backward", "2"), ("sum", "1"), ("backward", "1"), ("backward", "w")
    ]  # fmt: skip
    assert list(steps[1].inputs) == ["dh", "2.dX"]
    assert list(steps[1].outputs) == ["d1"]


def test_one_layer_that_takes_a_value_twice():
    x = nn.Input("x")
    graph = nn.Graph(x, x * x)
    graph.forward(3.0)
    step = list(nn.backward_steps(graph))[-1]
    assert step.formulas == ("dx = 0.dX + 0.dY",)
    assert float(step.outputs["dx"]) == 6.0


def test_a_residual_ends_with_a_sum_and_begins_with_one_on_the_way_back():
    model = nn.Sequential(nn.Tanh(), nn.Residual(nn.Tanh()))
    forwards = list(nn.forward_steps(model, numbers(2)))
    assert [step.path for step in forwards] == ["0", "1.0", "1"]
    assert list(forwards[2].inputs) == ["X", "f"]
    steps = list(nn.backward_steps(model, np.ones(2)))
    assert [(step.name, step.path) for step in steps] == [
        ("backward", "1"), ("backward", "1.0"), ("sum", "1.X"), ("backward", "0")
    ]  # fmt: skip
    assert steps[2].formulas == ("1.dX = 1.dY + 1.dX_f",)


def test_tied_gradients_are_sums_of_their_own_at_the_end():
    model = used_three_times()
    model.forward(numbers(4, 3))
    steps = list(nn.backward_steps(model, numbers(4, 3)))
    sums = [step for step in steps if step.name == "sum"]
    assert steps[-4:] == sums
    assert [step.path for step in sums] == ["0.0.W", "0.0.b", "0.0.W", "0.0.b"]
    assert [list(step.inputs) for step in sums] == [
        ["0.0.dW", "1.dW"], ["0.0.db", "1.db"], ["0.0.dW", "3.dW"], ["0.0.db", "3.db"]
    ]  # fmt: skip
    tied = next(step for step in steps if step.path == "3")
    assert list(tied.gradients) == ["dW", "db"]
    assert sums[2].inputs["3.dW"] is tied.gradients["dW"]
    assert sums[2].outputs["0.0.dW"] is model.layers[0].layers[0].dW


def test_a_tied_block_names_the_parameters_in_it():
    model = tied_blocks()
    model.forward(numbers(4, 3))
    sums = [step for step in nn.backward_steps(model, numbers(4, 3)) if step.name == "sum"]
    assert [list(step.inputs) for step in sums] == [
        ["0.0.dW", "1.0.dW"], ["0.0.db", "1.0.db"], ["0.2.dW", "1.2.dW"], ["0.2.db", "1.2.db"]
    ]  # fmt: skip


def test_a_transposed_tied_layer_shows_the_dW_that_it_will_add():
    layer = linear(3, 2)
    model = nn.Sequential(layer, nn.tied(layer, transpose=True))
    model.forward(numbers(4, 3))
    steps = list(nn.backward_steps(model, numbers(4, 3)))
    assert list(steps[0].gradients) == ["db", "dW"]
    assert steps[-1].formulas == ("0.dW = 0.dW + 1.dW",)
    assert steps[-1].inputs["1.dW"] is steps[0].gradients["dW"]


def test_a_layer_that_adds_its_gradients_in_its_own_way():
    class Twice(nn.Layer):
        """On another layer's parameters; its gradients count twice."""

        def __init__(self, layer):
            self._layer = Reference(layer)

        @property
        def original(self):
            return self._layer.layer

        def forward(self, X):
            self.X = X
            return X @ self.original.W + self.original.b

        def backward(self, dY):
            self.dY = dY
            return dY @ self.original.W.T

        def add_gradients(self):
            self.original.dW += 2 * self.X.T @ self.dY

    def make():
        layer = linear(3, 3)
        return nn.Sequential(layer, Twice(layer))

    model, stepped = make(), make()
    for each in model, stepped:
        each.forward(numbers(4, 3))
    model.backward(numbers(4, 3))
    assert [step.name for step in nn.backward_steps(stepped, numbers(4, 3))] == ["backward", "backward"]
    assert_same_bytes(stepped.dPhi, model.dPhi)


@pytest.mark.parametrize("make", [nn.Sequential, nn.Identity])
def test_the_results_of_a_walk_are_not_the_callers_own_arrays(make):
    model, X, dY = make(), numbers(4, 3), numbers(4, 3)
    assert not np.shares_memory(walked(nn.forward_steps(model, X))[1], X)
    assert not np.shares_memory(walked(nn.backward_steps(model, dY))[1], dY)


def test_the_step_of_a_loss_says_what_explain_calls_its_arrays():
    model, loss = chain(), nn.MSELoss()
    steps = [*nn.forward_steps(model, numbers(4, 3), numbers(4, 1), loss), *nn.backward_steps(model, loss=loss)]
    for step in steps:
        said = "Y is y^, the target y, and the loss J is L in nn.explain."
        assert (said in str(step)) == (said in step._repr_html_()) == (step.path == "loss")


def test_a_loss_behind_the_model():
    model, loss, Y = chain(), nn.MSELoss(), numbers(4, 1)
    other = chain()
    steps, J = walked(nn.forward_steps(model, numbers(4, 3), Y, loss))
    assert [step.path for step in steps] == ["0", "1", "2", "loss"]
    assert (list(steps[3].inputs), list(steps[3].outputs)) == (["Y", "target"], ["J"])
    assert nn.MSELoss().forward(other.forward(numbers(4, 3)), Y) == J
    steps, dX = walked(nn.backward_steps(model, loss=loss))
    assert [step.path for step in steps] == ["loss", "2", "1", "0"]
    assert list(steps[0].outputs) == ["dY"]
    assert_same_bytes(dX, other.backward(loss.backward()))
    with pytest.raises(TypeError, match="dY and loss"):
        nn.backward_steps(model, 1.0, loss)


class Scale(nn.Layer, parameters=("gamma",)):
    """A user's layer."""

    def __init__(self, features):
        self.gamma = np.ones(features)

    def forward(self, x):
        self.x = x
        return x * self.gamma

    def backward(self, dy):
        self.dgamma = np.sum(dy * self.x, axis=0)
        return dy * self.gamma


class Composite(nn.Layer):
    def __init__(self):
        self.first, self.second = Scale(2), nn.Tanh()

    def forward(self, X):
        return self.second.forward(self.first.forward(X))

    def backward(self, dY):
        return self.first.backward(self.second.backward(dY))


def test_a_users_own_layer():
    model = nn.Sequential(Scale(2), Composite())
    forwards = list(nn.forward_steps(model, np.ones((4, 2), np.float32)))
    assert [(step.path, list(step.arrays)) for step in forwards] == [("0", ["x", "y"]), ("1", ["X", "Y"])]
    steps = list(nn.backward_steps(model, np.ones((4, 2), np.float32)))
    assert [list(step.arrays) for step in steps] == [["dY", "dX", "first.dgamma"], ["dy", "dx", "dgamma"]]
    assert "dgamma" in str(steps[1])


def test_a_subclass_with_code_of_its_own_is_one_step():
    class Doubled(nn.Sequential):
        def forward(self, X):
            return 2 * super().forward(X)

        def backward(self, dY):
            return super().backward(2 * dY)

    model = nn.Sequential(Doubled(nn.Tanh()))
    assert [step.path for step in nn.forward_steps(model, numbers(2))] == ["0"]
    assert [step.path for step in nn.backward_steps(model, numbers(2))] == ["0"]


@pytest.mark.parametrize(
    "make",
    [chain, lambda: nn.Residual(linear(3, 3), nn.Tanh()), lambda: nn.Parallel(linear(3, 2), nn.Tanh())],
    ids=["Sequential", "Residual", "Graph"],
)
def test_there_is_no_backward_in_the_middle_of_a_walk(make):
    model = make()
    Y = model.forward(numbers(4, 3))
    next(nn.forward_steps(model, numbers(4, 3)))
    with pytest.raises(nn.StateError, match="before forward"):
        model.backward(Y)


def notes(error):
    return getattr(error.value, "__notes__", [])


def test_errors_name_the_place_as_those_of_the_model_do():
    x = nn.Input("x")
    model = nn.Sequential(nn.Tanh(), nn.Graph(x, nn.Sequential(linear(3, 2))(x)))
    with pytest.raises(nn.ShapeError, match="expected 3 features") as one:
        model.forward(numbers(4, 5))
    with pytest.raises(nn.ShapeError, match="expected 3 features") as other:
        list(nn.forward_steps(model, numbers(4, 5)))
    assert notes(one) == notes(other) != []
    with pytest.raises(nn.StateError):
        model.backward(numbers(4, 2))
    Y = model.forward(numbers(4, 3))
    with pytest.raises(nn.ShapeError):
        list(nn.backward_steps(model, Y[1:]))


def test_a_layer_that_forgets_to_return_is_an_error():
    class Forgetful(nn.Tanh):
        def backward(self, dY):
            super().backward(dY)

    x = nn.Input("x")
    for model in nn.Sequential(Forgetful()), nn.Graph(x, Forgetful()(x)):
        Y = model.forward(numbers(2))
        with pytest.raises(TypeError, match="did it forget") as one:
            model.backward(Y)
        with pytest.raises(TypeError, match="did it forget") as other:
            list(nn.backward_steps(model, Y))
        assert str(one.value) == str(other.value)
        assert notes(one) == notes(other) != []

    class Silent(nn.Tanh):
        def forward(self, X):
            super().forward(X)

    x = nn.Input("x")
    for model in nn.Sequential(Silent()), nn.Graph(x, Silent()(x)):
        with pytest.raises(TypeError, match="did it forget to return Y"):
            list(nn.forward_steps(model, numbers(2)))


def test_they_take_a_layer_and_say_so_at_once():
    for function in nn.forward_steps, nn.backward_steps:
        with pytest.raises(TypeError, match="model: expected a Layer"):
            function(3, numbers(2))
        for loss in 3, nn.Tanh():
            with pytest.raises(TypeError, match=r"loss: expected a Loss such as nnlite\.MSELoss"):
                function(nn.Tanh(), None, loss=loss)


def test_formulas_are_the_layers_own():
    steps = list(nn.forward_steps(chain(), numbers(4, 3), numbers(4, 1), nn.MSELoss()))
    assert steps[0].formulas == ("Y = X @ W + b",)
    assert "Y = X @ W + b" in str(steps[0])
    assert "<mo>=</mo><mi>tanh</mi><mrow><mo>(</mo><munder><mrow><mi>X</mi>" in steps[1]._repr_html_()
    assert Step("forward", "", Scale(2), {}, {}).formulas == ()


def test_formulas_leave_out_what_nobody_needs():
    model = chain()
    model.needs_dX = False
    model.forward(numbers(4, 3))
    *_, last = nn.backward_steps(model, np.ones((4, 1)))
    assert [line.split(" = ")[0] for line in last.formulas] == ["dW", "db"]


def test_a_sum_of_any_number_has_a_formula_for_each():
    gate = nn.Add()
    (step,) = nn.forward_steps(gate, (1.0, 2.0, 3.0))
    assert step.formulas == ("Z = X + Y + X3",)
    (step,) = nn.backward_steps(gate, 1.0)
    assert [line.split(" = ")[0] for line in step.formulas] == ["dX", "dY", "dX3"] == list(step.outputs)


def test_one_of_any_number_is_called_in_the_formula_what_its_array_is_called():
    class First(nn.Layer):
        formulas = "Y = exp(Xs); dXs = dY * exp(Xs)"

        def forward(self, *Xs):
            return np.exp(Xs[0])

        def backward(self, dY):
            return dY * np.e

    layer = First()
    (forward,) = nn.forward_steps(layer, np.ones(2))
    (backward,) = nn.backward_steps(layer, np.ones(2))
    assert (*forward.formulas, *backward.formulas) == ("Y = exp(X)", "dX = dY * exp(X)")
    assert [*forward.inputs, *backward.outputs] == ["X", "dX"]


def test_print_shows_small_arrays_in_numbers_and_large_ones_in_words():
    X = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    (step,) = nn.forward_steps(nn.Square(), X)
    assert str(step) == (
        "forward   Square()\n"
        "  Y = X ** 2\n"
        "      Y[0,1] = 2**2 = 4\n"
        "  X  (2, 3)  [[1. 2. 3.]\n"
        "              [4. 5. 6.]]\n"
        "  Y  (2, 3)  [[ 1.  4.  9.]\n"
        "              [16. 25. 36.]]"
    )
    (step,) = nn.forward_steps(nn.Square(), np.arange(20.0))
    assert str(step).endswith("  X  (20,)  from 0 to 19\n  Y  (20,)  from 0 to 361")
    assert repr(step) == str(step)
    (*_, last) = ElementTree.fromstring(f"<div>{step._repr_html_()}</div>").iter("tr")
    assert ["".join(cell.itertext()) for cell in last] == ["Y", "(20,)", "from 0 to 361"]


def test_a_printed_step_has_what_its_formula_uses_and_one_entry_in_numbers():
    """By hand: 0.25 * 0.72 * (1 - 0.72) = 0.0504."""
    layer = nn.Sigmoid()
    layer.forward(np.log([[0.5 / 0.5, 0.72 / 0.28]]))
    (step,) = nn.backward_steps(layer, np.array([[1.0, 0.25]]))
    assert str(step).split("\n") == [
        "backward  Sigmoid()",
        "  dX = dY * Y * (1 - Y)",
        "      dX[0,1] = 0.25 * 0.72 * (1 - 0.72) = 0.0504",
        "  dY  (1, 2)  [[1.   0.25]]",
        "  Y   (1, 2)  [[0.5  0.72]]",
        "  dX  (1, 2)  [[0.25   0.0504]]",
    ]
    assert "<td>Y</td><td>(1, 2)</td><td><pre>[[0.5  0.72]]</pre></td>" in step._repr_html_()
    assert "<code>dX[0,1] = 0.25 * 0.72 * (1 - 0.72) = 0.0504</code>" in step._repr_html_()


def test_of_a_long_sum_only_the_terms_that_are_shown_are_written_out(monkeypatch):
    made = []
    within = one_entry.Substitution.parts
    monkeypatch.setattr(one_entry.Substitution, "parts", lambda self, node: made.append(node) or within(self, node))
    layer, counts = nn.Linear(1, 1, dtype=np.float64), []
    for rows in 100, 1000:
        made.clear()
        layer.forward(np.arange(1.0, rows + 1)[:, None])
        (step,) = nn.backward_steps(layer, np.ones((rows, 1)))
        text = str(step)
        counts.append(len(made))
    assert "dW[0,0] = 1 * 1 + 2 * 1 + 3 * 1 + ... + 1000 * 1 = 5.005e+05\n" in text  # 1000 * 1001 / 2
    assert "db[0] = 1 + 1 + 1 + ... + 1 = 1000\n" in text
    assert counts[0] == counts[1]


def test_a_step_of_a_linear_layer_by_hand():
    layer = nn.Linear(2, 2, dtype=np.float64)
    layer.W, layer.b = [[1.0, 2.0], [3.0, 4.0]], [10.0, 20.0]
    (forward,) = nn.forward_steps(layer, np.array([[5.0, 6.0], [7.0, 8.0]]))
    assert "  Y = X @ W + b\n      Y[0,1] = 5 * 2 + 6 * 4 + 20 = 54\n  X" in str(forward)
    (step,) = nn.backward_steps(layer, np.array([[1.0, -1.0], [2.0, 0.5]]))
    text = str(step)
    assert "  dW = X.T @ dY\n      dW[0,1] = 5 * (-1) + 7 * 0.5 = -1.5\n" in text  # no rows(X): X is a matrix
    assert "  dX = dY @ W.T\n      dX[0,1] = 1 * 3 + (-1) * 4 = -1\n" in text
    assert "W (2, 2) [[1. 2.] [3. 4.]]" in " ".join(text.split())


def test_a_step_explains_rows_and_sum_to_where_they_matter():
    layer = nn.Linear(2, 1, dtype=np.float64)
    layer.forward(np.ones((3, 2, 2)))
    (step,) = nn.backward_steps(layer, np.ones((3, 2, 1)))
    assert "rows(A) is A as a matrix: all axes but the last are merged into one." in str(step)
    a, b = nn.Input("a"), nn.Input("b")
    graph = nn.Graph([a, b], a * b)
    graph.forward(np.ones((2, 3)), np.ones(3))
    (step,) = nn.backward_steps(graph, np.ones((2, 3)))
    assert "  dX = dZ * Y\n" in str(step)
    assert "  dY = sum_to(dZ * X, Y)\n      dY[1] = 1 * 1 + 1 * 1 = 2\n" in str(step)
    assert "sum_to(A,X) sums A over the axes along which X was broadcast." in str(step)


def test_html_shows_the_sum_and_the_shape_of_an_intermediate_value_as_explain_does():
    layer = nn.PReLU()
    layer.forward(np.array([[-1.0, 2.0, -3.0]]))
    (step,) = nn.backward_steps(layer, np.ones((1, 3)))
    page = ElementTree.fromstring(f"<div>{step._repr_html_()}</div>")
    dS, dW, _ = ["".join(math.itertext()).replace("\N{MULTIPLICATION SIGN}", "x") for math in page.iter("math")]
    assert dS.startswith("dS1x3=dY1x3")
    assert dW == "dW1=∑(dS1x3)"


def test_a_parameter_called_pi_is_not_the_number():
    class Mixture(nn.Layer, parameters=("pi",)):
        formulas = "Y = X * pi; dpi = sum(dY * X, axis=0); dX = dY * pi"

        def __init__(self):
            self.pi = np.array([2.0, 5.0])

        def forward(self, X):
            self.X = X
            return X * self.pi

        def backward(self, dY):
            self.dpi = (dY * self.X).sum(axis=0)
            return dY * self.pi

    (step,) = nn.forward_steps(Mixture(), np.array([[1.0, 3.0]]))
    assert "Y[0,1] = 3 * 5 = 15" in str(step)
    assert str(nn.explain(Mixture()).forward[0]) == "y^ = X * pi1"


def test_an_entry_with_the_number_pi():
    """By hand: exp(-1/2) / sqrt(2 * 3.142) = 0.6065 / 2.507 = 0.242."""

    class Bell(nn.Layer):
        formulas = "Y = exp(-X * X / 2) / sqrt(2 * pi)"

        def forward(self, X):
            return np.exp(-X * X / 2) / np.sqrt(2 * np.pi)

    (step,) = nn.forward_steps(Bell(), np.array([0.0, 1.0]))
    assert str(step).split("\n")[2].startswith("      Y[1] = exp(")
    assert str(step).split("\n")[2].endswith(" / sqrt(2 * 3.142) = 0.242")


def test_a_step_does_not_show_what_a_layer_caches_under_the_name_of_something_else():
    class Halved(nn.Square):
        def forward(self, X):
            Y = super().forward(X)
            self.X = X / 2
            return Y

        def backward(self, dY):
            return 4 * dY * self.X

    layer = Halved()
    layer.forward(np.array([[3.0]]))
    (step,) = nn.backward_steps(layer, np.array([[1.0]]))
    assert str(step).split("\n") == [
        "backward  Halved()",
        "  dX = 2 * dY * X",
        "  dY  (1, 1)  [[1.]]",
        "  dX  (1, 1)  [[6.]]",
    ]


def test_html_escapes_what_a_layer_says():
    class Barred(nn.Tanh):
        def extra_repr(self):
            return "a<b"

    (step,) = nn.forward_steps(Barred(), numbers(2, 3))
    assert "<b>forward   Barred(a&lt;b)</b>" in step._repr_html_()


def test_lines_that_define_a_name_again_are_printed_as_they_are():
    loss = nn.CrossEntropyLoss(label_smoothing=0.1, weight=[1.0, 2, 3])
    (step,) = nn.forward_steps(loss, numbers(4, 3), np.array([0, 1, 2, 0]))
    assert [line for line in str(step).split("\n") if line.startswith("  Q = ")] == [
        "  Q = one_hot(target, like=Y, axis=1, ignored=-100)",
        "  Q = (1 - 0.1) * Q + 0.1 * mean(Q, axis=1, keepdims=True)",
        "  Q = along(weight, axis=1, like=Y) * Q",
    ]


@pytest.mark.parametrize(
    ("argument", "name"),
    [("dY", "Y"), ("dy", "y"), ("dout", "out"), ("dZ2", "Z2"), ("delta", "Y"), ("grad", "Y"), ("dx", "Y")],
)
def test_an_output_is_called_after_the_argument_of_backward(argument, name):
    def backward(self, dY):
        return dY

    code = backward.__code__.replace(co_varnames=("self", argument))
    layer = type("Own", (nn.Layer,), {"forward": lambda self, x: x + 1, "backward": types.FunctionType(code, {})})()
    (step,) = nn.forward_steps(layer, np.ones(2))
    assert list(step.arrays) == ["x", name]
    (step,) = nn.backward_steps(layer, np.ones(2))
    assert list(step.arrays) == ["d" + name, "dx"]


def test_a_formula_that_is_none_is_an_error_of_the_step_and_not_of_the_walk():
    class Own(nn.Tanh):
        formulas = "Y is tanh(X)"

    (step,) = nn.forward_steps(Own(), numbers(2))
    with pytest.raises(ValueError, match="Own: formulas"):
        print(step)


def test_the_sum_in_a_graph_within_says_whose_dY_it_counts():
    x, z = nn.Input("x"), nn.Input("z")
    h = nn.Tanh()(x)
    inner = nn.Graph(x, {"h": h, "y": nn.Square()(h)})
    graph = nn.Graph(z, nn.Add()(*inner(z).values()))
    graph.forward(numbers(2))
    (total,) = [step for step in nn.backward_steps(graph, np.ones(2)) if step.name == "sum"]
    assert total.formulas == ("0.d0 = 0.dh + 0.1.dX",)


def test_a_step_fits_a_terminal():
    class Long(nn.Tanh):
        formulas = "Y = " + " + ".join(["tanh(X)"] + ["0 * X"] * 12) + "; dX = dY * (1 - Y * Y)"

    (step,) = nn.forward_steps(Long(), np.linspace(-1, 1, 12)[None])
    text = str(step)
    assert max(map(len, text.split("\n"))) <= 80
    assert step.formulas[0] in " ".join(text.split())
    assert len(step.formulas[0]) > 80


@pytest.mark.parametrize("layer", [nn.Linear(2, 2, rng=0), nn.Tanh(), nn.ReLU()], ids=str)
def test_a_list_is_shown_as_the_array_of_its_numbers(layer):
    def steps(convert):
        yield from nn.forward_steps(layer, convert([[1.0, 2.0]]))
        yield from nn.backward_steps(layer, convert([[3.0, 4.0]]))

    of_lists, of_arrays = list(map(str, steps(list))), list(map(str, steps(np.array)))
    assert of_lists == of_arrays
    assert "Y[0,1] = " in of_lists[0]
