"""The contract table: a row for each layer, loss and container, and for each of their options.

test_contract.py runs every check on every row, the tests of the diagnostics and of saving run theirs. A new layer needs
one row for each thing that it does differently: an option, a number of axes, a way in which its inputs broadcast. The
rows of a family can have a file of their own, contract_<family>.py, which this one imports.
"""

from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np
from support import (
    contract_activations,
    contract_attention,
    contract_convolution,
    contract_dropout,
    contract_embedding,
    contract_losses,
    contract_normalization,
    contract_pooling,
    contract_recurrent,
    contract_resampling,
    contract_several,
    contract_transformer,
    own_layers,
)
from support.contract_row import Row, numbers, shares

import nnlite as nn
from nnlite.basics.trees import each_of, listed, spread
from nnlite.losses.loss_arguments import arguments_of


def forward(layer: nn.Layer, X: Any, target: Any = None) -> Any:
    """Y, with every random generator of the layer started anew, so that equal inputs give equal outputs."""
    for _, generator in layer.named_generators():
        generator.bit_generator.state = type(generator.bit_generator)(0).state
    return spread(layer.forward, X) if target is None else layer.forward(*arguments_of(layer, X, target))


def inputs_of(row: Row) -> Any:
    """All inputs of the row's layer: X, or X and the target of a loss, in the order of forward."""
    return row.X if row.target is None else tuple(arguments_of(row.make(), row.X, row.target))


def backward(layer: nn.Layer, dY: Any) -> Any:
    """The gradients of the inputs."""
    return spread(layer.backward, dY)


def some_dY(Y: Any) -> Any:
    """Numbers of the form of Y, no two of them equal; for the number of a loss 0.7."""
    angles = count(1)

    def like(Y: Any) -> Any:
        if isinstance(Y, float):
            return 0.7
        return np.cos([next(angles) for _ in range(Y.size)]).reshape(Y.shape).astype(Y.dtype)

    return each_of(like, Y)


def run(layer: nn.Layer, X: Any, target: Any = None) -> tuple[Any, Any, np.ndarray]:
    """Y, dX and a copy of dPhi after one forward and backward."""
    Y = forward(layer, X, target)
    dX = backward(layer, some_dY(Y))
    return Y, dX, layer.dPhi.copy()


def differentiable(layer: nn.Layer, X: Any) -> list[Any]:
    """The arrays in X whose gradients backward returns, in order."""
    arrays = listed(X)
    return [arrays[position] for position in layer.differentiable_inputs(len(arrays))]


def gradients(dX: Any) -> list[Any]:
    """What backward returned as a list: one array, several, or none."""
    return [] if dX is None else listed(dX)


def linear(in_features: int, out_features: int, **options: Any) -> nn.Linear:
    """A Linear in float64 whose b is not 0."""
    layer = nn.Linear(in_features, out_features, dtype=np.float64, rng=in_features, **options)
    if layer.b is not None:
        layer.b = np.linspace(-0.3, 0.4, out_features)
    return layer


def away_from_0() -> nn.Sequential:
    """A ReLU between two Linear; for numbers(4, 3) its inputs are at least 0.05 away from 0."""
    first = linear(3, 2)
    first.W, first.b = [[1, 0], [0, 1], [0, 0]], [0, 0]
    return nn.Sequential(first, nn.ReLU(), linear(2, 2))


def value(*shape: int, name: str | None = None) -> nn.Parameter:
    """A Parameter in float64."""
    return nn.Parameter(numbers(*shape), name=name, dtype=np.float64)


def in_a_graph(*layers: nn.Layer) -> nn.Graph:
    """A chain, as a graph."""
    X = Y = nn.Input()
    for layer in layers:
        Y = layer(Y)
    return nn.Graph(X, Y)


def fork() -> nn.Graph:
    """J = (a + b)(b + 1): b is used twice."""
    a, b = nn.Input("a"), nn.Input("b")
    return nn.Graph([a, b], (a + b) * (b + 1))


def squared_error() -> nn.Graph:
    """L = (phi^T x - y)^2 with phi a parameter."""
    x, y = nn.Input("x"), nn.Input("y")
    return nn.Graph([x, y], nn.Square()(nn.Dot()(value(3, name="phi"), x) - y))


def five_nodes() -> nn.Graph:
    """1 / (1 + exp(-theta x)), whose values and gradients formulas.py works out node by node."""
    x = nn.Input("x")
    return nn.Graph(x, 1 / (1 + nn.Exp()(-(value(name="theta") * x))))


def constants() -> nn.Graph:
    """Numbers and an array as constants, on both sides of an operator."""
    x = nn.Input("x")
    return nn.Graph(x, (2 - x) * np.array([1.0, -2.0, 3.0]) / 4 + x**2 - x @ np.eye(3)[::-1])


def neuron() -> nn.Graph:
    """tanh(X W + b); b broadcasts over the rows."""
    X = nn.Input("X", shape=(None, 3))
    return nn.Graph(X, nn.Tanh()(X @ value(3, 2, name="W") + value(2)))


def two_by_two() -> nn.Graph:
    """Two inputs and two outputs; the first output is also an input of the second."""
    a, b = nn.Input("a"), nn.Input("b")
    h = nn.Tanh()(linear(3, 2)(a) + b)
    return nn.Graph((a, b), (h, nn.Sigmoid()(linear(2, 4)(h)) * nn.Sum(dim=-1, keepdim=True)(b)))


def by_name() -> nn.Graph:
    """Inputs and outputs in dicts."""
    a, b = nn.Input(), nn.Input()
    total = a + linear(2, 3)(b)
    return nn.Graph({"left": a, "right": b}, {"total": total, "largest": nn.Maximum()(a, total)})


def handed_on() -> nn.Graph:
    """Two inputs and a parameter are outputs; one of the inputs is used nowhere else."""
    x, y, p = nn.Input("x"), nn.Input("y"), value(4, 3)
    return nn.Graph([x, y], [x, p, nn.Tanh()(x * p), y])


def of_one() -> nn.Graph:
    """One input and one output, each in a list."""
    x = nn.Input("x")
    return nn.Graph([x], [nn.Tanh()(x)])


def parts_crossed() -> nn.Graph:
    """The outputs of Split in another order, one of them twice."""
    x = nn.Input("x")
    left, right, last = nn.Split([2, 2, 1])(x)
    return nn.Graph(x, nn.Concat()(right, left * last, right))


def nested() -> nn.Graph:
    """A Sequential and graphs in a graph; one of them has several inputs and outputs."""
    a, b = nn.Input("a"), nn.Input("b")
    first, second = two_by_two()(a, nn.Sequential(linear(3, 2), nn.Tanh())(b))
    return nn.Graph([a, b], nn.Concat()(second, fork()(first, first)))


def with_ties(**options: Any) -> nn.Sequential:
    """An autoencoder whose decoder uses the transposed weights of its encoder."""
    encoder = linear(3, 2, **options)
    model = nn.Sequential(encoder, nn.Tanh(), nn.tied(encoder, transpose=True))
    if encoder.b is not None:
        model[2].b = [-0.5, 0.25, 0.75]
    return model


def used_three_times() -> nn.Sequential:
    layer = linear(3, 3)
    return nn.Sequential(nn.Sequential(layer, nn.Tanh()), nn.tied(layer), nn.Tanh(), nn.tied(layer))


def tied_blocks() -> nn.Sequential:
    block = nn.Sequential(linear(3, 2), nn.Tanh(), linear(2, 3))
    return nn.Sequential(block, nn.tied(block))


def twins() -> nn.Graph:
    """The squared difference of what one layer returns for two inputs."""
    a, b = nn.Input("a"), nn.Input("b")
    layer = linear(3, 2)
    return nn.Graph([a, b], nn.Square()(layer(a) - nn.tied(layer)(b)))


def own_batch_norm() -> nn.Layer:
    """A user's BatchNorm in float64, with parameters and running statistics other than the first ones."""
    layer = own_layers.OwnBatchNorm(3).astype(np.float64)
    layer.gamma, layer.beta = [0.5, 1.5, -1.0], [0.1, 0.2, -0.3]
    layer.running_mean, layer.running_var, layer.batches = [0.3, -0.1, 0.2], [0.5, 2.0, 1.5], 7
    return layer


def with_indices() -> nn.Graph:
    """tanh(X) + the embedding of indices, which have no gradient."""
    indices, X = nn.Input("indices"), nn.Input("X")
    embedding = own_layers.OwnEmbedding(7, 3, rng=0).astype(np.float64)
    return nn.Graph([indices, X], nn.Tanh()(X) + embedding(indices))


def pair(make: Callable[..., np.ndarray]) -> Callable[..., tuple[np.ndarray, ...]]:
    """A function that makes two different arrays of the given shapes with ``make``."""
    return lambda one, other: (make(*one), np.asarray(0.9 * np.flip(make(*other))))


def lower_and_higher(*shapes: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    """Two arrays for Maximum and Minimum: no two entries of them are closer than 0.05."""
    sizes = [int(np.prod(shape)) for shape in shapes]
    values = np.random.default_rng(0).permutation(np.linspace(-1, 1, sum(sizes)))
    return tuple(part.reshape(shape) for part, shape in zip(np.split(values, sizes[:1]), shapes, strict=True))


indices = np.array([2, 0, 1, 2])
whole_numbers = np.array([[3, 0, 6], [1, 1, 5], [4, 3, 3], [0, 2, 6]])
ignored = np.array([2, -100, 1, 2])
distributions = np.array([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0], [0.0, 0.5, 0.5], [0.1, 0.1, 0.8]])
classes = np.array([0.5, 2.0, 1.5])  # weights of three classes
BCE, Logits, Cross = nn.BCELoss, nn.BCEWithLogitsLoss, nn.CrossEntropyLoss

ROWS = [
    Row("Linear", lambda: linear(3, 2), numbers(4, 3)),
    Row("Linear-without-b", lambda: linear(3, 2, bias=False), numbers(4, 3)),
    Row("Linear-1-1", lambda: linear(1, 1), numbers(4, 1)),
    Row("Linear-of-a-vector", lambda: linear(3, 2), numbers(3), rows_apart=False),
    Row("Linear-of-three-axes", lambda: linear(3, 2), numbers(4, 5, 3)),
    Row("Linear-of-1100-rows", lambda: linear(1, 2), numbers(1100, 1)),
    Row("Tanh", nn.Tanh, numbers(4, 3)),
    Row("Tanh-of-three-axes", nn.Tanh, numbers(4, 2, 3)),
    Row("Sigmoid", nn.Sigmoid, numbers(4, 3)),
    Row("ReLU", nn.ReLU, numbers(4, 3)),
    Row("Identity", nn.Identity, numbers(4, 3)),
    Row("Softmax", nn.Softmax, numbers(4, 3)),
    Row("Softmax-of-columns", lambda: nn.Softmax(dim=0), numbers(4, 3), None, False, False),
    Row("Softmax-of-three-axes", lambda: nn.Softmax(dim=1), numbers(4, 3, 2)),
    Row("LogSoftmax", nn.LogSoftmax, numbers(4, 3)),
    Row("LogSoftmax-of-columns", lambda: nn.LogSoftmax(dim=0), numbers(4, 3), None, False, False),
    Row("LogSoftmax-of-three-axes", lambda: nn.LogSoftmax(dim=1), numbers(4, 3, 2)),
    Row("Flatten", nn.Flatten, numbers(4, 3, 2)),
    Row("Flatten-all", lambda: nn.Flatten(start_dim=0), numbers(4, 3), rows_apart=False),
    Row("Flatten-middle", lambda: nn.Flatten(start_dim=-3, end_dim=2), numbers(4, 3, 2, 2)),
    Row("Flatten-nothing", lambda: nn.Flatten(start_dim=1, end_dim=1), numbers(4, 3)),
    *(
        Row(f"{gate.__name__}{label}", gate, make(*shapes), rows_apart=apart)
        for gate, make in [
            (nn.Add, pair(numbers)),
            (nn.Subtract, pair(numbers)),
            (nn.Multiply, pair(numbers)),
            (nn.Divide, pair(shares)),
            (nn.Power, pair(shares)),
            (nn.Maximum, lower_and_higher),
            (nn.Minimum, lower_and_higher),
            (nn.Greater, lower_and_higher),
            (nn.GreaterEqual, lower_and_higher),
        ]
        for label, apart, shapes in [
            ("", True, [(4, 3), (4, 3)]),
            ("-of-numbers", False, [(), ()]),
            ("-of-both-broadcast", False, [(2, 1, 3), (4, 1)]),
        ]
    ),
    Row("Equal", nn.Equal, (whole_numbers, whole_numbers[::-1])),
    *(  # all ways to broadcast, for one gate: the others call the same function
        Row(f"Multiply-{label}", nn.Multiply, pair(numbers)(*shapes), rows_apart=apart)
        for label, apart, shapes in [
            ("with-a-number", False, [(4, 3), ()]),
            ("with-a-vector", False, [(3,), (4, 3)]),
            ("with-a-row", False, [(4, 3), (1, 3)]),
            ("with-a-column", True, [(4, 1), (4, 3)]),
        ]
    ),
    Row("Add-of-four", nn.Add, (numbers(4, 3), numbers(3), numbers(4, 1), numbers()), rows_apart=False),
    Row("Add-of-three", nn.Add, (numbers(4, 3), shares(4, 3), numbers(4, 1))),
    Row("Where", nn.Where, (numbers(4, 3) > 0, numbers(4, 3), shares(4, 3))),
    Row("Where-of-all-broadcast", nn.Where, (numbers(3) > 0, numbers(4, 1, 3), shares(4, 1)), rows_apart=False),
    Row("Divide-negative", nn.Divide, (numbers(4, 3), -shares(4, 3))),
    Row("Power-whole", nn.Power, (shares(4, 3) * 2, np.array([[-1.0], [2.0], [0.0], [1.0]]))),
    *(
        Row(f"{gate.__name__}{label}", gate, make(*shape), rows_apart=label != "-of-a-number")
        for gate, make in [
            (nn.Negative, numbers),
            (nn.Exp, numbers),
            (nn.Log, shares),
            (nn.Square, numbers),
            (nn.Sqrt, shares),
            (nn.Reciprocal, shares),
            (nn.Abs, numbers),
            (nn.Sign, numbers),
        ]
        for label, shape in [("", (4, 3)), ("-of-a-number", ())]
    ),
    Row("Square-of-three-axes", nn.Square, numbers(4, 2, 3)),
    Row("Reciprocal-negative", nn.Reciprocal, -shares(4, 3)),
    Row("Dot", nn.Dot, (numbers(4, 3), -numbers(4, 3))),
    Row("Dot-of-vectors", nn.Dot, (numbers(3), -numbers(3)), rows_apart=False),
    Row("Dot-with-a-vector", nn.Dot, (numbers(4, 2, 3), -numbers(3)), rows_apart=False),
    Row("Dot-of-both-broadcast", nn.Dot, (numbers(4, 1, 3), -numbers(2, 3)), rows_apart=False),
    Row("Outer", nn.Outer, (numbers(4, 3), -numbers(4, 2))),
    Row("Outer-of-vectors", nn.Outer, (numbers(3), -numbers(2)), rows_apart=False),
    Row("Outer-with-a-vector", nn.Outer, (numbers(3), -numbers(4, 2)), rows_apart=False),
    Row("Outer-of-both-broadcast", nn.Outer, (numbers(4, 1, 3), -numbers(2, 2)), rows_apart=False),
    *(
        Row(f"MatMul-{label}", nn.MatMul, (numbers(*X), -numbers(*Y)), rows_apart=apart, takes_no_rows=apart)
        for label, X, Y, apart in [
            ("of-matrices", (4, 3), (3, 2), False),
            ("of-stacks", (4, 2, 3), (4, 3, 2), True),
            ("of-a-stack-and-a-matrix", (4, 2, 3), (3, 2), False),
            ("of-a-matrix-and-a-stack", (2, 3), (4, 3, 2), False),
            ("of-broadcast-stacks", (4, 1, 2, 3), (5, 3, 2), False),
            ("matrix-vector", (4, 3), (3,), False),
            ("vector-matrix", (3,), (3, 2), False),
            ("vector-vector", (3,), (3,), False),
            ("stack-vector", (4, 2, 3), (3,), False),
            ("vector-stack", (3,), (4, 3, 2), False),
        ]
    ),
    *(
        Row(f"Sum-{label}", lambda options=options: nn.Sum(**options), numbers(*shape), None, *apart)
        for label, shape, options, apart in [
            ("of-all", (4, 3), {}, (False, False)),
            ("of-all-kept", (4, 3), {"keepdim": True}, (False, False)),
            ("of-a-number", (), {}, (False,)),
            ("of-columns", (4, 3), {"dim": 0}, (False, False)),
            ("of-rows", (4, 3), {"dim": -1}, ()),
            ("of-rows-kept", (4, 3), {"dim": 1, "keepdim": True}, ()),
            ("of-two-axes", (4, 3, 2), {"dim": (-1, 1)}, ()),
            ("of-the-outer-axes", (4, 3, 2), {"dim": (2, 0), "keepdim": True}, (False, False)),
            ("of-no-axis", (4, 3), {"dim": ()}, ()),
            ("of-1100-columns", (1100, 2), {"dim": 0}, (False, False)),
        ]
    ),
    Row("Mean-of-all", nn.Mean, numbers(4, 3), None, False, False),
    Row("Mean-of-a-number", nn.Mean, numbers(), rows_apart=False),
    Row("Mean-of-columns", lambda: nn.Mean(dim=0), numbers(4, 3), None, False, False),
    Row("Mean-of-rows-kept", lambda: nn.Mean(dim=1, keepdim=True), numbers(4, 3)),
    Row("Mean-of-two-axes", lambda: nn.Mean(dim=(-1, 1)), numbers(4, 3, 2)),
    Row("Max-of-rows", lambda: nn.Max(dim=1), numbers(4, 3)),
    Row("Max-of-all", nn.Max, numbers(4, 3), None, False, False),
    Row("Min-of-rows-kept", lambda: nn.Min(dim=-1, keepdim=True), numbers(4, 3)),
    Row("Min-of-two-axes", lambda: nn.Min(dim=(-1, 1)), numbers(4, 3, 2)),
    Row("Concat", nn.Concat, (numbers(4, 3), numbers(4, 1), shares(4, 2))),
    Row("Concat-of-one", nn.Concat, (numbers(4, 3),)),
    Row("Concat-of-rows", lambda: nn.Concat(dim=0), (numbers(4, 3), numbers(2, 3)), rows_apart=False),
    Row("Concat-of-three-axes", lambda: nn.Concat(dim=-2), (numbers(4, 2, 3), numbers(4, 1, 3))),
    Row("Stack", nn.Stack, (numbers(4, 3), shares(4, 3), -shares(4, 3))),
    Row("Stack-of-one", nn.Stack, (numbers(4, 3),)),
    Row("Stack-of-numbers", nn.Stack, (numbers(), shares()), rows_apart=False),
    Row("Stack-in-the-middle", lambda: nn.Stack(dim=1), (numbers(4, 3), shares(4, 3))),
    Row("Stack-in-front", lambda: nn.Stack(dim=0), (numbers(4, 3), shares(4, 3)), rows_apart=False),
    Row("Split", lambda: nn.Split([3, 1, 2]), numbers(4, 6)),
    Row("Split-into-equal-parts", lambda: nn.Split([2, 2]), numbers(4, 4)),
    Row("Split-into-one", lambda: nn.Split([3]), numbers(4, 3)),
    Row("Split-with-an-empty-part", lambda: nn.Split([0, 3]), numbers(4, 3)),
    Row("Split-of-rows", lambda: nn.Split([1, 3], dim=0), numbers(4, 3), None, False, False),
    Row("Split-of-three-axes", lambda: nn.Split([1, 2], dim=-2), numbers(4, 3, 2)),
    Row("Select", lambda: nn.Select(1, -3), numbers(4, 3, 2)),
    Row("Select-of-numbers", lambda: nn.Select(-1, 0), numbers(4, 3)),
    Row("Select-of-rows", lambda: nn.Select(0, 0), numbers(4, 3), None, False, False),
    Row("Slice", lambda: nn.Slice(1, None, -1), numbers(4, 5, 2)),
    Row("Slice-with-steps", lambda: nn.Slice(-1, None, 5, 2), numbers(4, 6)),
    Row("Slice-in-reversed-order", lambda: nn.Slice(1, step=-1), numbers(4, 3)),
    Row("Slice-of-rows", lambda: nn.Slice(0, None, 3), numbers(4, 3), None, False, False),
    Row("Transpose", nn.Transpose, numbers(4, 3), rows_apart=False),
    Row("Transpose-of-three-axes", nn.Transpose, numbers(4, 3, 2)),
    Row("Transpose-of-the-outer-axes", lambda: nn.Transpose(0, -1), numbers(4, 3, 2), rows_apart=False),
    Row("Transpose-nothing", lambda: nn.Transpose(1, 1), numbers(4, 3)),
    Row("Reshape", lambda: nn.Reshape(-1, 2, 3), numbers(4, 6)),
    Row("Reshape-all", lambda: nn.Reshape(6, 4), numbers(4, 6), None, False, False),
    Row("Reshape-to-a-number", nn.Reshape, numbers(1, 1), None, False, False),
    Row("Sequential", lambda: nn.Sequential(linear(3, 4), nn.Tanh(), linear(4, 1), nn.Sigmoid()), numbers(4, 3)),
    Row("Sequential-of-nothing", nn.Sequential, numbers(4, 3)),
    Row("Sequential-of-one", lambda: nn.Sequential(linear(3, 2)), numbers(4, 3)),
    Row("Sequential-without-parameters", lambda: nn.Sequential(nn.Tanh(), nn.Softmax()), numbers(4, 3)),
    Row("Sequential-with-ReLU", away_from_0, numbers(4, 3)),
    Row("Sequential-with-Flatten", lambda: nn.Sequential(nn.Flatten(), linear(6, 2), nn.Tanh()), numbers(4, 3, 2)),
    Row(
        "Sequential-nested",
        lambda: nn.Sequential(
            nn.Sequential(linear(3, 2), nn.Sequential(nn.Tanh())), nn.Sequential(), nn.Sequential(linear(2, 2))
        ),
        numbers(4, 3),
    ),
    Row("Sequential-of-several-inputs", lambda: nn.Sequential(nn.Add(), linear(3, 2)), (numbers(4, 3), shares(4, 1))),
    Row("Sequential-of-several-outputs", lambda: nn.Sequential(linear(3, 4), nn.Split([1, 3])), numbers(4, 3)),
    Row(
        "Sequential-side-by-side",
        lambda: nn.Sequential(linear(3, 4), nn.Split([2, 2]), nn.Multiply(), linear(2, 2)),
        numbers(4, 3),
    ),
    Row("Sequential-with-a-graph", lambda: nn.Sequential(linear(2, 3), neuron(), nn.Tanh()), numbers(4, 2)),
    Row(
        "Sequential-with-graphs-of-several",
        lambda: nn.Sequential(nn.Split([3, 2]), two_by_two(), nn.Concat(), linear(6, 2)),
        numbers(4, 5),
    ),
    Row("Sequential-with-a-graph-of-one", lambda: nn.Sequential(of_one(), linear(3, 2), of_one()), (numbers(4, 3),)),
    Row("Graph-fork", fork, (numbers(4, 3), shares(4, 3))),
    Row("Graph-fork-of-numbers", fork, (np.array(2.0), np.array(1.0)), rows_apart=False),
    Row("Graph-squared-error", squared_error, (numbers(4, 3), shares(4))),
    Row("Graph-five-nodes-with-Exp", five_nodes, numbers(4, 3)),
    Row("Graph-of-a-chain", lambda: in_a_graph(linear(3, 4), nn.Tanh(), linear(4, 2)), numbers(4, 3)),
    Row("Graph-without-parameters", lambda: in_a_graph(nn.Tanh(), nn.Square()), numbers(4, 3)),
    Row("Graph-with-constants", constants, numbers(4, 3)),
    Row("Graph-neuron", neuron, numbers(4, 3)),
    Row("Graph-of-several", two_by_two, (numbers(4, 3), numbers(4, 2))),
    Row("Graph-by-name", by_name, {"left": numbers(4, 3), "right": numbers(4, 2)}),
    Row("Graph-handed-on", handed_on, (numbers(4, 3), shares(4, 2)), None, False, False),
    Row("Graph-of-one", of_one, (numbers(4, 3),)),
    Row("Graph-parts-crossed", parts_crossed, numbers(4, 5)),
    Row("Graph-nested", nested, (numbers(4, 3), shares(4, 3))),
    Row("Residual", lambda: nn.Residual(linear(3, 2), nn.Tanh(), linear(2, 3)), numbers(4, 3)),
    Row("Residual-of-nothing", nn.Residual, numbers(4, 3)),
    Row(
        "Residual-nested",
        lambda: nn.Sequential(nn.Residual(nn.Residual(linear(3, 3)), nn.Tanh()), nn.Residual(linear(3, 3))),
        numbers(4, 3),
    ),
    Row("Parallel", lambda: nn.Parallel(linear(3, 2), nn.Identity(), nn.Tanh()), numbers(4, 3)),
    Row("Parallel-of-one", lambda: nn.Parallel(linear(3, 2)), numbers(4, 3)),
    Row("Parallel-Add", lambda: nn.Parallel(linear(3, 2), linear(3, 2), merge=nn.Add()), numbers(4, 3)),
    Row(
        "Parallel-Multiply",
        lambda: nn.Parallel(nn.Sequential(linear(3, 2), nn.Sigmoid()), linear(3, 2), merge=nn.Multiply()),
        numbers(4, 3),
    ),
    Row("tied-transpose", with_ties, numbers(4, 3)),
    Row("tied-transpose-without-b", lambda: with_ties(bias=False), numbers(4, 3)),
    Row("tied-transpose-of-three-axes", with_ties, numbers(4, 2, 3)),
    Row("tied-three-uses", used_three_times, numbers(4, 3)),
    Row("tied-blocks", tied_blocks, numbers(4, 3)),
    Row("checkpointed", lambda: nn.checkpointed(linear(3, 2)), numbers(4, 3)),
    Row(
        "checkpointed-chain",
        lambda: nn.Sequential(nn.checkpointed(nn.Sequential(linear(3, 2), nn.Tanh(), linear(2, 3))), nn.Tanh()),
        numbers(4, 3),
    ),
    Row(
        "checkpointed-batch-normalization",
        lambda: nn.checkpointed(nn.Sequential(linear(3, 3), nn.BatchNorm1d(3, dtype=np.float64))),
        numbers(4, 3),
        rows_apart=False,
    ),
    Row("checkpointed-two-inputs", lambda: nn.checkpointed(nn.Multiply()), (numbers(4, 3), shares(4, 3))),
    Row("checkpointed-tied", lambda: nn.checkpointed(tied_blocks()), numbers(4, 3)),
    Row("tied-in-a-graph", twins, (numbers(4, 3), shares(4, 3))),
    Row("tied-in-a-nested-graph", lambda: nn.Sequential(nn.Split([3, 3]), twins(), linear(2, 1)), numbers(4, 6)),
    Row("MSELoss", nn.MSELoss, numbers(4, 3), numbers(4, 3)[::-1]),
    Row("MSELoss-sum", lambda: nn.MSELoss(reduction="sum"), numbers(4), shares(4)),
    Row("MSELoss-none", lambda: nn.MSELoss(reduction="none"), numbers(4, 3), shares(4, 3)),
    Row("BCELoss", BCE, shares(4, 3), shares(4, 3)[::-1]),
    Row("BCELoss-sum", lambda: BCE(reduction="sum"), shares(4, 1), np.array([[0], [1], [1], [0]])),
    Row("BCELoss-none", lambda: BCE(reduction="none"), shares(4, 3), shares(4, 3)[::-1]),
    Row("BCELoss-weight", lambda: BCE(weight=classes), shares(4, 3), shares(4, 3)[::-1]),
    Row("BCEWithLogitsLoss", Logits, numbers(4, 3), shares(4, 3)),
    Row("BCEWithLogitsLoss-sum", lambda: Logits(reduction="sum"), numbers(4, 1), np.array([[0], [1], [1], [0]])),
    Row("BCEWithLogitsLoss-none", lambda: Logits(reduction="none"), numbers(4, 3), shares(4, 3)),
    Row("BCEWithLogitsLoss-weights", lambda: Logits(weight=classes, pos_weight=3), numbers(4, 3), shares(4, 3)),
    Row("BCEWithLogitsLoss-pos_weight", lambda: Logits(pos_weight=classes), numbers(4, 3), shares(4, 3)),
    Row("CrossEntropyLoss", Cross, numbers(4, 3), indices),
    Row("CrossEntropyLoss-sum", lambda: Cross(reduction="sum"), numbers(4, 3), indices),
    Row("CrossEntropyLoss-none", lambda: Cross(reduction="none"), numbers(4, 3), indices),
    Row("CrossEntropyLoss-weight", lambda: Cross(weight=classes), numbers(4, 3), indices, rows_apart=False),
    Row("CrossEntropyLoss-ignored", Cross, numbers(4, 3), ignored, rows_apart=False),
    Row("CrossEntropyLoss-ignored-class", lambda: Cross(ignore_index=1), numbers(4, 3), indices, rows_apart=False),
    Row("CrossEntropyLoss-smoothed", lambda: Cross(label_smoothing=0.2), numbers(4, 3), indices),
    Row(
        "CrossEntropyLoss-all-options",
        lambda: Cross(weight=classes, ignore_index=0, label_smoothing=0.1, reduction="none"),
        numbers(4, 3),
        indices,
    ),
    Row("CrossEntropyLoss-distributions", Cross, numbers(4, 3), distributions),
    Row("CrossEntropyLoss-weighted-distributions", lambda: Cross(weight=classes), numbers(4, 3), distributions),
    Row("CrossEntropyLoss-of-three-axes", Cross, numbers(4, 3, 2), np.stack([indices, indices[::-1]], axis=1)),
    Row(
        "CrossEntropyLoss-over-time",
        lambda: Cross(dim=-1),
        numbers(4, 2, 3),
        np.stack([indices, indices[::-1]], axis=1),
    ),
    Row(
        "CrossEntropyLoss-over-time-all-options",
        lambda: Cross(dim=-1, weight=classes, label_smoothing=0.1, ignore_index=1),
        numbers(4, 2, 3),
        np.stack([indices, indices[::-1]], axis=1),
        rows_apart=False,
    ),
    Row("CrossEntropyLoss-of-one-sample", Cross, numbers(3), np.array(1), rows_apart=False),
    *contract_embedding.ROWS,
    *contract_losses.ROWS,
    *contract_several.ROWS,
    *contract_activations.ROWS,
    *contract_normalization.ROWS,
    *contract_dropout.ROWS,
    *contract_convolution.ROWS,
    *contract_resampling.ROWS,
    *contract_pooling.ROWS,
    *contract_recurrent.ROWS,
    *contract_attention.ROWS,
    *contract_transformer.ROWS,
]
WITHOUT_FORMULAS = contract_several.WITHOUT_FORMULAS  # the language of formulas has no words for what they compute
# Layers and a loss as users write them: with buffers, with random numbers, with integers for an input.
OWN = [
    Row("own-BatchNorm", own_batch_norm, numbers(4, 3), None, False, False),
    Row("own-BatchNorm-evaluation", lambda: own_batch_norm().eval(), numbers(4, 3)),
    Row("own-Dropout", lambda: own_layers.OwnDropout(0.5, rng=0), numbers(4, 3), rows_apart=False),
    Row("own-Dropout-evaluation", lambda: own_layers.OwnDropout(0.5, rng=0).eval(), numbers(4, 3)),
    Row("own-Embedding", lambda: own_layers.OwnEmbedding(7, 2, rng=0).astype(np.float64), whole_numbers),
    Row(
        "own-Embedding-of-a-vector",
        lambda: own_layers.OwnEmbedding(7, 2, rng=0).astype(np.float64),
        whole_numbers[:, 0],
    ),
    Row("own-Sequential", lambda: own_layers.network().astype(np.float64), whole_numbers, None, False, False),
    Row("own-Graph-with-indices", with_indices, (whole_numbers[:, 0], numbers(4, 3))),
    Row("own-Loss", own_layers.OwnLoss, numbers(4, 3), shares(4, 3)),
    Row("own-Loss-none", lambda: own_layers.OwnLoss(reduction="none"), numbers(4, 3), shares(4, 3)),
]
LOSSES = [row for row in ROWS if row.target is not None]
LAYERS = [row for row in ROWS if row.target is None]
