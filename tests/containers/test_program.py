"""A model as a flat list of operations."""

import numpy as np
import pytest
from support.case import case
from support.contract import ROWS, inputs_of

import nnlite as nn
from nnlite.basics.shapes import UNKNOWN
from nnlite.basics.trees import listed
from nnlite.containers.argument_names import bound, input_names_of
from nnlite.containers.program import Program
from nnlite.diagnostics.picture import picture
from nnlite.layer.parts import inside
from nnlite.layers.recurrent import Recurrent


def wires(model, **options):
    """(path, takes, gives) of each operation."""
    return [(o.path, o.takes, o.gives) for o in Program.of(model, **options).operations]


def test_a_chain():
    model = nn.Sequential(nn.Linear(3, 2), nn.Tanh(), nn.Linear(2, 1))
    found = Program.of(model)
    assert wires(model) == [("0", (0,), (1,)), ("1", (1,), (2,)), ("2", (2,), (3,))]
    assert [operation.layer for operation in found.operations] == list(model)
    assert (found.inputs, found.outputs, found.names) == ((0,), (3,), ("X", "0", "1", "2"))
    assert found.constants == {}


def test_a_layer_alone():
    found = Program.of(nn.Tanh())
    assert wires(nn.Tanh()) == [("", (0,), (1,))]
    assert (found.inputs, found.outputs, found.names) == ((0,), (1,), ("X", "Y"))


def test_nested_chains_are_one_chain():
    model = nn.Sequential(nn.Sequential(nn.Tanh(), nn.Sequential(nn.ReLU())), nn.Sequential(), nn.Sigmoid())
    assert wires(model) == [("0.0", (0,), (1,)), ("0.1.0", (1,), (2,)), ("2", (2,), (3,))]


def test_a_chain_of_nothing_gives_its_input():
    found = Program.of(nn.Sequential())
    assert (found.operations, found.inputs, found.outputs) == ((), (0,), (0,))


def test_a_slice_keeps_the_numbers_of_its_own():
    assert wires(nn.Sequential(nn.Tanh(), nn.ReLU(), nn.Sigmoid())[1:]) == [("0", (0,), (1,)), ("1", (1,), (2,))]


def test_a_graph_with_a_fork_a_constant_and_a_parameter():
    a, b = nn.Input("a"), nn.Input("b")
    found = Program.of(nn.Graph([a, b], (a + nn.Parameter(1.0, name="theta") * b) * (b + 7)))
    assert found.names == ("a", "b", "7", "theta", "1", "2", "3", "4")
    assert [(o.path, o.takes, o.gives) for o in found.operations] == [
        ("theta", (), (3,)),
        ("1", (3, 1), (4,)),
        ("2", (0, 4), (5,)),
        ("3", (1, 2), (6,)),
        ("4", (5, 6), (7,)),
    ]
    assert {edge: value.tolist() for edge, value in found.constants.items()} == {2: 7}
    assert found.giver(5).path == "2"
    assert found.giver(0) is found.giver(2) is None


def test_an_output_that_is_used_inside_has_one_edge():
    x = nn.Input("x")
    h = nn.Tanh()(x) * 2
    two = nn.Graph(x, [h, nn.Square()(h)])
    assert Program.of(two).names == ("x", "2", "0", "1", "2")
    assert Program.of(two).outputs == (3, 4)


def test_several_outputs_in_another_order():
    x = nn.Input("x")
    left, right = nn.Split([1, 2])(x)
    graph = nn.Graph(x, nn.Concat()(right, left))
    assert wires(graph) == [("0", (0,), (1, 2)), ("1", (2, 1), (3,))]
    assert Program.of(graph).names == ("x", "0[0]", "0[1]", "1")


def test_what_runs_side_by_side_in_a_chain():
    model = nn.Sequential(nn.Split([2, 2]), nn.Multiply(), nn.Tanh())
    assert wires(model) == [("0", (0,), (1, 2)), ("1", (1, 2), (3,)), ("2", (3,), (4,))]


def test_a_residual_ends_with_a_sum_of_its_own():
    model = nn.Sequential(nn.Residual(nn.Linear(2, 2), nn.Tanh()), nn.Residual())
    assert wires(model) == [("0.0", (0,), (1,)), ("0.1", (1,), (2,)), ("0", (0, 2), (3,)), ("1", (3, 3), (4,))]
    assert Program.of(model).operations[2].layer is model[0]


def test_parallel_branches():
    model = nn.Parallel(nn.Tanh(), nn.Sequential(nn.ReLU(), nn.Tanh()))
    assert wires(model) == [("0", (0,), (1,)), ("1.0", (0,), (2,)), ("1.1", (2,), (3,)), ("2", (1, 3), (4,))]


def test_graphs_in_graphs_and_dicts_are_wired_by_name():
    a, b = nn.Input("a"), nn.Input("b")
    minus = nn.Graph([a, b], nn.Subtract()(a, b))
    x = nn.Input("x")
    swapped = nn.Graph(x, {"b": nn.Tanh()(x), "a": nn.ReLU()(x)})
    tanh, relu, subtract = Program.of(nn.Sequential(swapped, minus)).operations
    assert (tanh.path, relu.path, subtract.path) == ("0.0", "0.1", "1.0")
    assert subtract.takes == (*relu.gives, *tanh.gives)


def test_a_dict_goes_to_a_layer_by_the_names_of_its_forward():
    x = nn.Input("x")
    swapped = nn.Graph(x, {"Y": nn.Tanh()(x), "X": nn.ReLU()(x)})
    tanh, relu, subtract = Program.of(nn.Sequential(swapped, nn.Subtract())).operations
    assert subtract.takes == (*relu.gives, *tanh.gives)


def test_tied_layers_are_operations_that_know_their_original():
    layer = nn.Linear(2, 2)
    model = nn.Sequential(layer, nn.tied(layer), nn.tied(layer, transpose=True))
    operations = Program.of(model).operations
    assert [operation.path for operation in operations] == ["0", "1", "2"]
    assert [operation.layer.original for operation in operations] == [None, layer, layer]


def test_a_loss_takes_the_output_and_a_target():
    found = Program.of(nn.Sequential(nn.Tanh()), nn.MSELoss())
    assert found.names == ("X", "0", "target", "loss")
    assert [(o.path, o.takes, o.gives) for o in found.operations] == [("0", (0,), (1,)), ("loss", (1, 2), (3,))]
    assert (found.inputs, found.outputs) == ((0, 2), (3,))


def test_a_loss_for_several_outputs_is_refused():
    with pytest.raises(TypeError, match="has 2 outputs; build a graph"):
        Program.of(nn.Split([1, 1]), nn.MSELoss())


class Doubled(nn.Sequential):
    def forward(self, X):
        return 2 * super().forward(X)

    def backward(self, dY):
        return super().backward(2 * dY)


class Composite(nn.Layer):
    def __init__(self):
        self.first, self.second = nn.Linear(2, 2), nn.Tanh()

    def forward(self, x):
        return self.second.forward(self.first.forward(x))

    def backward(self, dy):
        return self.first.backward(self.second.backward(dy))


class Any(nn.Layer):
    def forward(self, *Xs):
        return sum(Xs)


@pytest.mark.parametrize("make", [lambda: Doubled(nn.Tanh()), Composite], ids=["subclass", "composite"])
def test_what_has_code_of_its_own_is_one_operation(make):
    assert wires(nn.Sequential(make(), nn.ReLU())) == [("0", (0,), (1,)), ("1", (1,), (2,))]


def test_a_method_put_on_one_object_is_code_of_its_own():
    model = nn.Sequential(nn.Tanh())
    model.backward = lambda dY: dY
    assert wires(nn.Sequential(model)) == [("0", (0,), (1,))]


def test_a_subclass_without_code_of_its_own_is_taken_apart():
    class Encoder(nn.Sequential):
        def __init__(self):
            super().__init__(nn.Linear(3, 2), nn.Tanh())

    assert wires(nn.Sequential(Encoder())) == [("0.0", (0,), (1,)), ("0.1", (1,), (2,))]


def test_names_of_inputs():
    assert input_names_of(nn.Sequential(Composite())) == ["x"]
    one, other, alone = nn.Input(), nn.Input("b"), nn.Input()
    assert input_names_of(nn.Graph([one, other], one + other)) == ["X1", "b"]
    assert input_names_of(nn.Graph(alone, nn.Tanh()(alone))) == ["X"]
    assert input_names_of(nn.Residual(nn.Tanh())) == ["X"]
    assert input_names_of(nn.Add()) == ["X", "Y"]
    assert input_names_of(nn.Add(), 3) == ["X", "Y", "X3"]
    assert input_names_of(nn.Concat()) == ["X"]
    assert input_names_of(nn.Parameter(1.0)) == []
    assert input_names_of(Doubled(nn.Tanh())) == ["X"]
    assert input_names_of(Any()) == ["X"]
    assert input_names_of(nn.tied(nn.MSELoss())) == ["Y", "target"]


def test_names_of_arguments():
    assert bound(nn.Add(), (1, 2), {}) == {"X": 1, "Y": 2}
    assert bound(nn.Add(), (1, 2, 3), {}) == {"X": 1, "Y": 2, "X3": 3}
    assert bound(nn.Subtract(), (), {"Y": 1, "X": 2}) == {"X": 2, "Y": 1}
    assert list(bound(nn.Subtract(), (), {"Y": 1, "X": 2})) == ["X", "Y"]
    with pytest.raises(TypeError, match=r"Tanh\(\): too many positional arguments"):
        bound(nn.Tanh(), (1, 2), {})


def test_it_takes_a_layer():
    with pytest.raises(TypeError, match="model: expected a Layer"):
        Program.of(3)
    with pytest.raises(TypeError, match="loss: expected a Loss, got the class itself"):
        Program.of(nn.Tanh(), nn.MSELoss)


def test_every_layer_in_the_contract_table():
    """Every edge has one source, which comes before its uses."""
    for row in ROWS:
        with case(row.id):
            model = row.make()
            count = len(listed(inputs_of(row)))
            found = Program.of(model, inputs=count)
            assert isinstance(found, Program)
            assert len(found.inputs) == count
            assert len(found.outputs) == model.num_outputs
            known = {*found.inputs, *found.constants}
            assert len(known) == len(found.inputs) + len(found.constants)
            for operation in found.operations:
                assert known.issuperset(operation.takes)
                assert known.isdisjoint(operation.gives)
                known.update(operation.gives)
                assert len(operation.gives) == operation.layer.num_outputs
                assert dict(model.named_layers())[operation.path] is operation.layer
            assert known == set(range(len(found.names)))
            parts = {operation.path for operation in found.operations}
            whole = {path for path, layer in model.named_layers() if not any(layer.named_children())}
            stacks = [o.path for o in found.operations if isinstance(o.layer, Recurrent)]  # one operation each
            whole -= {path for path in whole if path.startswith(tuple(inside(stack, "sweeps.") for stack in stacks))}
            whole -= {path for path in whole if path.startswith(tuple(inside(stack, "dropouts.") for stack in stacks))}
            assert whole - parts <= {path for path in whole if type(dict(model.named_layers())[path]) is nn.Sequential}
            assert np.unique([o.path for o in found.operations]).size == len(found.operations)


def test_shapes_are_known_through_a_residual_and_a_layer_that_cannot_tell_its_own_is_no_obstacle():
    class Mute(nn.Tanh):
        def output_shape(self, *shapes):
            return UNKNOWN

    model = nn.Sequential(nn.Residual(nn.Linear(3, 3)), Mute(), nn.Linear(3, 2))
    assert Program.of(model).shapes() == {0: (..., 3), 1: (..., 3), 2: (..., 3), 3: (..., 3), 4: (..., 2)}
    assert {edge.value for edge in picture(model).edges} == {"(..., 3)", "(..., 2)"}


def test_a_users_container_may_say_how_its_parts_are_connected():
    class Scaled(nn.Layer):
        def __init__(self):
            self.inner = nn.Linear(2, 2)

        def forward(self, X):
            return 3 * self.inner.forward(X)

        def backward(self, dY):
            return self.inner.backward(3 * dY)

        def forward_through(self, to, X):
            return to.own(nn.Multiply(), to.part("inner", self.inner, X), to.constant(np.array(3.0), "3"))

        def names_of_inputs(self, count=None):
            return ["X"]

        def names_of_outputs(self):
            return ()

    program = Program.of(nn.Sequential(Scaled(), nn.Tanh()))
    assert [(o.path, o.takes, o.gives) for o in program.operations] == [
        ("0.inner", (0,), (1,)),
        ("0", (1, 2), (3,)),
        ("1", (3,), (4,)),
    ]
    assert program.names == ("X", "0.inner", "3", "0", "1")
    assert repr(program.operations[1].computes) == "Multiply()"


def test_containers_are_listed_with_the_edges_that_enter_and_leave_them():
    x = nn.Input("x")
    graph = nn.Graph(x, nn.Sequential(nn.Tanh(), nn.ReLU())(x) * x)
    program = Program.of(nn.Sequential(graph, nn.Residual(nn.Tanh())))
    found = {each.path: (each.takes, each.gives) for each in program.containers}
    assert found == {"0.0": ((0,), (2,)), "0": ((0,), (3,)), "1": ((3,), (5,)), "": ((0,), (5,))}


def test_names_and_parameters_for_exporters():
    layer = nn.Linear(2, 2)
    x = nn.Input("x")
    model = nn.Graph(x, {"code": layer(x), "back": nn.tied(layer, transpose=True)(x), "again": nn.tied(layer)(x)})
    program = Program.of(model)
    assert [program.names[edge] for edge in program.inputs] == ["x"]
    assert program.output_names == ("code", "back", "again")
    assert [list(operation.parameters) for operation in program.operations] == [["W", "b"], ["W", "b"], ["W", "b"]]
    first, transposed, again = (operation.parameters for operation in program.operations)
    assert first["W"] is transposed["W"] is again["W"] is layer.W
    assert transposed["b"] is not layer.b
    assert again["b"] is layer.b
    assert Program.of(nn.Residual(nn.Tanh())).operations[-1].parameters == {}
    assert Program.of(nn.Sequential(nn.Tanh()), nn.MSELoss()).output_names == ("J",)
