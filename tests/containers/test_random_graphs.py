"""Random graphs of layers: their gradients are those of divided differences, and of PyTorch.

A program is a list of instructions, each of which makes new arrays of shape (2, 3) from two earlier ones. Every
instruction is written once, for nodes and for tensors, and stays away from kinks and poles.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.sweeps import examples

import nnlite as nn

SIGNS = np.array([[1.0, -1.0, 1.0], [-1.0, -1.0, 1.0]])
VALUES = np.random.default_rng(0).uniform(-1, 1, (3, 2, 3))


class Twist(nn.Layer):
    """A user's own layer of two inputs and two outputs: ``U = X + tanh(Y)``, ``V = X - Y``."""

    num_outputs = 2

    def forward(self, X, Y):
        self.T = np.tanh(Y)
        return X + self.T, X - Y

    def backward(self, dU, dV):
        return dU + dV, dU * (1 - self.T * self.T) - dV


class Nodes:
    """The functions of the instructions, for nodes."""

    def __init__(self):
        self.layers = {}
        self.used = set()

    def linear(self, X, key):
        layer = self.layers.setdefault(("linear", key), nn.Linear(3, 3, rng=key, dtype=np.float64))
        return self.again(layer)(X)

    def transposed(self, X, key):
        return nn.tied(self.layers["linear", key], transpose=True)(X)

    def parameter(self, key):
        values = 0.3 + np.arange(3.0) * (key + 1) / 4
        return self.layers.setdefault(("parameter", key), nn.Parameter(values, dtype=np.float64))

    def again(self, layer):
        """The layer itself for its first use, and a layer tied to it for each further one."""
        tied = id(layer) in self.used
        self.used.add(id(layer))
        return nn.tied(layer) if tied else layer

    def nested(self, X, Y):
        a, b = nn.Input("a"), nn.Input("b")
        h = nn.Tanh()(a)
        return nn.Graph([a, b], [h * b, h + nn.Sigmoid()(b)])(X, Y)

    def residual(self, X):
        return nn.Residual(nn.Tanh(), nn.Sigmoid())(X)

    def parallel(self, X):
        return nn.Parallel(nn.Tanh(), nn.Sigmoid(), nn.Identity(), merge=nn.Add())(X)

    def chain(self, X):
        return nn.Sequential(nn.Split([1, 2]), nn.Concat(), nn.Tanh())(X)

    def twist(self, X, Y):
        return Twist()(X, Y)

    def parts(self, X, Y):
        left, right = nn.Split([2, 4])(nn.Concat()(X, Y))
        return nn.Concat()(-left, nn.Sum(dim=-1, keepdim=True)(right))

    tanh = staticmethod(lambda X: nn.Tanh()(X))
    sigmoid = staticmethod(lambda X: nn.Sigmoid()(X))
    relu = staticmethod(lambda X: nn.ReLU()(X))
    softmax = staticmethod(lambda X: nn.Softmax()(X))
    exp = staticmethod(lambda X: nn.Exp()(X))
    log = staticmethod(lambda X: nn.Log()(X))
    sqrt = staticmethod(lambda X: nn.Sqrt()(X))
    square = staticmethod(lambda X: nn.Square()(X))
    reciprocal = staticmethod(lambda X: nn.Reciprocal()(X))
    absolute = staticmethod(lambda X: nn.Abs()(X))
    maximum = staticmethod(lambda X, Y: nn.Maximum()(X, Y))
    minimum = staticmethod(lambda X, Y: nn.Minimum()(X, Y))
    dot = staticmethod(lambda X, Y: nn.Reshape(2, 1)(nn.Dot()(X, Y)))
    outer = staticmethod(lambda X, Y: nn.Outer()(X, Y))
    total = staticmethod(lambda X, dim: nn.Sum(dim=dim)(X))
    mean = staticmethod(lambda X, dim: nn.Mean(dim=dim, keepdim=True)(X))
    stack = staticmethod(lambda X, Y: nn.Stack()(X, Y))
    transpose = staticmethod(lambda X: nn.Transpose()(X))
    constant = staticmethod(lambda values: values)


INSTRUCTIONS = [
    lambda F, X, Y, k: X + Y,
    lambda F, X, Y, k: X - Y * 0.5,
    lambda F, X, Y, k: F.tanh(X) * Y,
    lambda F, X, Y, k: X / (1.5 + F.sigmoid(Y)),
    lambda F, X, Y, k: (1.5 + F.sigmoid(X)) ** F.tanh(Y),
    lambda F, X, Y, k: 2 ** F.tanh(X) - F.exp(F.tanh(Y)),
    lambda F, X, Y, k: F.log(1 + F.square(X)) + F.sqrt(1 + F.square(Y)),
    lambda F, X, Y, k: F.reciprocal(2 + F.tanh(X)) - (-Y),
    lambda F, X, Y, k: F.absolute(F.tanh(X) + F.constant(1.5 * SIGNS)),
    lambda F, X, Y, k: F.relu(F.tanh(X) - F.constant(1.5 * SIGNS)),
    lambda F, X, Y, k: F.maximum(F.tanh(X), F.tanh(Y) + F.constant(2.5 * SIGNS)),
    lambda F, X, Y, k: F.minimum(F.tanh(X), F.tanh(Y) + F.constant(2.5 * SIGNS)),
    lambda F, X, Y, k: F.softmax(X),
    lambda F, X, Y, k: F.dot(F.tanh(X), Y) * X * 0.1,
    lambda F, X, Y, k: F.total(F.outer(X, F.tanh(Y)), -1),
    lambda F, X, Y, k: X + F.mean(Y, 0),
    lambda F, X, Y, k: X - F.mean(Y, -1),
    lambda F, X, Y, k: F.total(F.stack(F.tanh(X), Y), -1),
    lambda F, X, Y, k: F.constant(SIGNS) @ F.transpose(F.tanh(X)) @ Y * 0.5,
    lambda F, X, Y, k: F.linear(X, k),
    lambda F, X, Y, k: F.linear(F.tanh(F.linear(Y, k)), k),
    lambda F, X, Y, k: F.transposed(F.tanh(F.linear(X, k)), k),
    lambda F, X, Y, k: X * F.parameter(k) + Y,
    lambda F, X, Y, k: F.parameter(k) * F.tanh(F.parameter(k) - X),
    lambda F, X, Y, k: F.nested(X, Y),
    lambda F, X, Y, k: F.residual(X),
    lambda F, X, Y, k: F.parallel(Y),
    lambda F, X, Y, k: F.chain(X),
    lambda F, X, Y, k: F.twist(X, Y),
    lambda F, X, Y, k: F.parts(X, Y),
    lambda F, X, Y, k: X * X - X,
]

numbers = st.integers(0, 100)
instructions = st.tuples(st.integers(0, len(INSTRUCTIONS) - 1), numbers, numbers, st.integers(0, 2), st.booleans())
programs = st.lists(instructions, min_size=1, max_size=9)


def run(F, program, inputs):
    """All arrays that the program makes, the inputs first, and the numbers of those that it marks as outputs."""
    made, marked = list(inputs), set()
    for instruction, one, other, key, mark in program:
        if mark:
            marked.add(len(made))
        results = INSTRUCTIONS[instruction](F, made[one % len(made)], made[other % len(made)], key)
        made += results if isinstance(results, tuple) else [results]
    return made, marked


def build(program, number_of_inputs):
    """The graph, whose outputs are the unused and the marked arrays; their numbers; and the functions."""
    F, inputs = Nodes(), [nn.Input() for _ in range(number_of_inputs)]
    made, marked = run(F, program, inputs)
    outputs = [number for number, node in enumerate(made) if not node.users or number in marked]
    return nn.Graph(inputs, [made[number] for number in outputs]), outputs, F


random_graphs = given(program=programs, number_of_inputs=st.integers(1, 3))


@random_graphs
@examples(40)
def test_gradients_are_the_differences(program, number_of_inputs):
    graph, _, _ = build(program, number_of_inputs)
    report = nn.check_gradients(graph, tuple(VALUES[:number_of_inputs]), max_entries=4)
    assert len(report.comparisons) == number_of_inputs + len(list(graph.named_parameters()))


@random_graphs
@examples(40)
def test_a_walk_by_steps_is_forward_and_backward_in_every_byte(program, number_of_inputs):
    graph, outputs, _ = build(program, number_of_inputs)
    stepped, _, _ = build(program, number_of_inputs)
    Xs, dYs = tuple(VALUES[:number_of_inputs]), tuple([np.cos(np.arange(6.0) + n).reshape(2, 3) for n in outputs])
    expected = [*graph.forward(*Xs), *graph.backward(*dYs), graph.dPhi]
    found = [*returned(nn.forward_steps(stepped, Xs)), *returned(nn.backward_steps(stepped, dYs)), stepped.dPhi]
    for one, other in zip(found, expected, strict=True):
        assert one.tobytes() == other.tobytes()


def returned(steps):
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def test_every_instruction_runs_alone():
    for number in range(len(INSTRUCTIONS)):
        graph, _, _ = build([(number, 0, 1, 1, False)], 2)
        assert nn.check_gradients(graph, tuple(VALUES[:2])).right
        assert all(Y.shape == (2, 3) for Y in graph.forward(*VALUES[:2]))


def test_values_gradients_and_parameters_are_those_of_torch():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)

    class Tensors:
        """The functions of the instructions, for tensors."""

        def __init__(self):
            self.parameters = {}

        def kept(self, key, *arrays):
            if key not in self.parameters:
                self.parameters[key] = [torch.tensor(array, requires_grad=True) for array in arrays]
            return self.parameters[key]

        def linear(self, X, key):
            layer = nn.Linear(3, 3, rng=key, dtype=np.float64)
            W, b = self.kept(("linear", key), layer.W, layer.b)
            return X @ W + b

        def transposed(self, X, key):
            return X @ self.parameters["linear", key][0].T

        def parameter(self, key):
            return self.kept(("parameter", key), 0.3 + np.arange(3.0) * (key + 1) / 4)[0]

        def nested(self, X, Y):
            h = torch.tanh(X)
            return h * Y, h + torch.sigmoid(Y)

        def parts(self, X, Y):
            both = torch.cat([X, Y], -1)
            return torch.cat([-both[:, :2], both[:, 2:].sum(-1, keepdim=True)], -1)

        tanh, sigmoid, relu, exp, log = torch.tanh, torch.sigmoid, torch.relu, torch.exp, torch.log
        sqrt, square, reciprocal, absolute = torch.sqrt, torch.square, torch.reciprocal, torch.abs
        maximum, minimum, constant = torch.maximum, torch.minimum, torch.tensor
        softmax = staticmethod(lambda X: torch.softmax(X, -1))
        dot = staticmethod(lambda X, Y: (X * Y).sum(-1, keepdim=True))
        outer = staticmethod(lambda X, Y: X[:, :, None] * Y[:, None, :])
        total = staticmethod(lambda X, dim: X.sum(dim))
        mean = staticmethod(lambda X, dim: X.mean(dim, keepdim=True))
        stack = staticmethod(lambda X, Y: torch.stack([X, Y], -1))
        transpose = staticmethod(lambda X: X.T)
        residual = staticmethod(lambda X: X + torch.sigmoid(torch.tanh(X)))
        parallel = staticmethod(lambda X: torch.tanh(X) + torch.sigmoid(X) + X)
        chain = staticmethod(torch.tanh)
        twist = staticmethod(lambda X, Y: (X + torch.tanh(Y), X - Y))

    @random_graphs
    @examples(40)
    def compare(program, number_of_inputs):
        graph, outputs, F = build(program, number_of_inputs)
        Xs = VALUES[:number_of_inputs]
        T, tensors = Tensors(), [torch.tensor(X, requires_grad=True) for X in Xs]
        made, _ = run(T, program, tensors)
        Ys = graph.forward(*Xs)
        dYs = [np.cos(np.arange(6.0) + number).reshape(2, 3) for number in outputs]
        dXs = graph.backward(*dYs)
        torch.autograd.backward([made[number] for number in outputs], [torch.tensor(dY) for dY in dYs])
        found = [*Ys, *dXs]
        expected = [made[number].detach() for number in outputs] + [X.grad for X in tensors]
        for key, values in T.parameters.items():
            found += [dP for _, dP in F.layers[key].named_gradients()]
            expected += [P.grad for P in values]
        assert T.parameters.keys() == F.layers.keys()
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other.numpy(), rtol=1e-10, atol=1e-10)

    compare()
