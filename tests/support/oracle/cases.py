"""The cases: a layer, loss or optimizer with its options, under the names that nnlite and PyTorch share, and its data.

All data are float64 arrays of numbers that float32 has as well, so one float64 answer serves for both precisions.
A family of many cases has a file of its own, which this one imports.
"""

import itertools

import numpy as np
from support.oracle import (  # noqa: F401 - they add cases
    cases_activations,
    cases_attention,
    cases_convolution,
    cases_dropout,
    cases_embedding,
    cases_losses,
    cases_normalization,
    cases_optimizers,
    cases_pooling,
    cases_recurrent,
    cases_resampling,
    cases_several,
    cases_transformer,
)
from support.oracle.table import CASES, Case, add_gate, add_layer, add_loss, draw, name_of, seed

# Functions of nnlite's nodes and of tensors alike: the inputs first, then the parameters.
FORMULAS = {
    "fork": lambda a, b: (a + b) * (b + 1),
    "squared error": lambda X, y, phi: (X @ phi - y) ** 2,
    "sigmoid": lambda x, theta: 1 / (1 + 2.75 ** -(theta * x)),
    "two layers": lambda X, W, b, V: X - ((X @ W + b) ** 2 @ V) / 3,
    "attention": lambda Q, K, s: ((Q @ K) * s) @ (2 - Q),
}


def add_gates():
    rng = seed("gates")

    def positive(shape):
        return np.abs(draw(rng, shape)) + 0.5

    pairs = [
        ((4, 3), (4, 3)),
        ((), ()),
        ((4, 3), (3,)),
        ((), (4, 3)),
        ((4, 1), (1, 3)),
        ((2, 1, 3), (4, 1)),
        ((1,), (2, 3)),
    ]
    for one, other in pairs:
        for kind in "Add", "Subtract", "Multiply", "Maximum", "Minimum":
            add_gate(kind, draw(rng, one), draw(rng, other))
        add_gate("Divide", draw(rng, one), positive(other))
        add_gate("Power", positive(one), draw(rng, other))
    add_gate("Add", draw(rng, (4, 3)), draw(rng, (3,)), draw(rng, (4, 1)), draw(rng, ()))
    some = np.array([0.0, 0.0, 0.0, 0.0, 1.0, -2.0, -2.0, -2.0, 3.0, np.inf, np.nan])
    whole = np.array([0.0, 1.0, 2.0, 0.5, 0.0, 3.0, -1.0, 0.0, 0.0, 2.0, 1.0])
    add_gate("Power", some, whole, label="edges")
    add_gate("Divide", np.array([1.0, -1.0, 0.0, 2.0]), np.array([0.0, 0.0, 0.0, np.inf]), label="edges")
    ties = np.array([1.0, 0.0, np.inf, -np.inf, 2.0]), np.array([1.0, -0.0, np.inf, -np.inf, 3.0])
    add_gate("Maximum", *ties, label="ties")
    add_gate("Minimum", *ties, label="ties")
    own = seed("where")
    for shapes in ((4, 3), (4, 3), (4, 3)), ((4, 1), (3,), (4, 3)), ((3,), (2, 1, 3), (4, 1)):
        condition, *Xs = [draw(own, shape) for shape in shapes]
        add_gate("Where", condition > 0, *Xs)

    for shape in (), (4, 3), (2, 3, 4):
        for kind in "Negative", "Exp", "Square", "Abs":
            add_gate(kind, draw(rng, shape))
        for kind in "Log", "Sqrt", "Reciprocal":
            add_gate(kind, positive(shape))
    edges = np.array([0.0, -0.0, -1.0, 1e4, np.inf, -np.inf, np.nan])
    for kind in "Log", "Sqrt", "Reciprocal", "Exp", "Square":
        add_gate(kind, edges, label="edges")
    add_gate("Abs", edges[:-1], label="edges")  # at NaN PyTorch's gradient is 0, ours is NaN

    for one, other in [((3,), (3,)), ((4, 3), (4, 3)), ((4, 3), (3,)), ((2, 1, 3), (4, 3))]:
        add_gate("Dot", draw(rng, one), draw(rng, other))
    for one, other in [((3,), (2,)), ((4, 3), (4, 2)), ((4, 3), (2,)), ((2, 1, 3), (4, 2))]:
        add_gate("Outer", draw(rng, one), draw(rng, other))
    for one, other in [
        ((4, 3), (3, 2)),
        ((4, 3), (3,)),
        ((3,), (3, 2)),
        ((3,), (3,)),
        ((5, 4, 3), (5, 3, 2)),
        ((5, 4, 3), (3, 2)),
        ((4, 3), (5, 3, 2)),
        ((6, 1, 4, 3), (5, 3, 2)),
        ((5, 4, 3), (3,)),
        ((3,), (5, 3, 2)),
    ]:
        add_gate("MatMul", draw(rng, one), draw(rng, other))

    for kind in "Sum", "Mean":
        add_gate(kind, draw(rng, (4, 3)))
        for dim, keepdim in itertools.product([0, -1, (0, 2), (2, 1)], [False, True]):
            add_gate(kind, draw(rng, (4, 3, 2)), dim=dim, keepdim=keepdim)
    add_gate("Concat", draw(rng, (4, 3)), draw(rng, (4, 1)), draw(rng, (4, 2)))
    add_gate("Concat", draw(rng, (2, 1, 3)), draw(rng, (2, 4, 3)), dim=1)
    for dim in -1, 0, 1:
        add_gate("Stack", draw(rng, (4, 3)), draw(rng, (4, 3)), dim=dim)
    add_gate("Split", draw(rng, (4, 6)), args=((1, 3, 2),))
    add_gate("Split", draw(rng, (4, 3, 2)), args=((3, 1),), dim=0)
    add_gate("Split", draw(rng, (4, 3)), args=((3,),))
    for dims in (-2, -1), (0, 2), (1, 1):
        add_gate("Transpose", draw(rng, (4, 3, 2)), args=dims)
    for shape in (-1, 2, 3), (6, 4), (24,):
        add_gate("Reshape", draw(rng, (4, 6)), args=shape)
    add_gate("Select", draw(rng, (4, 3, 2)), args=(1, -1))
    add_gate("Slice", draw(rng, (4, 5, 2)), args=(1, 1, -1))
    add_gate("Slice", draw(rng, (4, 6)), args=(-1, None, None, 2))
    add_gate("Sign", draw(rng, (4, 3)))
    add_gate("Sign", edges[:-1], label="edges")
    for kind in "Max", "Min":
        add_gate(kind, draw(rng, (4, 3)))
        add_gate(kind, np.array([[1.0, 2.0, 2.0], [3.0, 0.0, 3.0]]), dim=1, label="ties")
        add_gate(kind, draw(rng, (4, 3, 2)), dim=(0, 2), keepdim=True)


def add_graphs():
    rng = seed("graphs")
    for formula, shapes, parameters in [
        ("fork", [(4, 3), (4, 3)], []),
        ("fork", [(3,), (4, 1)], []),
        ("squared error", [(4, 3), (4,)], [(3,)]),
        ("sigmoid", [(4, 3)], [()]),
        ("two layers", [(4, 3)], [(3, 5), (5,), (5, 3)]),
        ("attention", [(2, 4, 3), (2, 3, 4)], [(4, 4)]),
    ]:
        add_gate("Graph", *[draw(rng, shape) for shape in shapes], args=(formula, *parameters))
    block = (("Linear", 3, 5), ("Tanh",), ("Linear", 5, 3))
    for kind in "Residual", "Parallel":
        add_gate(kind, draw(rng, (4, 3)), args=block[:1] + block[:1] if kind == "Parallel" else block)
    add_gate(
        "Residual", draw(rng, (2, 4, 3)), args=(("Residual", *block), ("Parallel", ("Linear", 3, 1), ("Linear", 3, 2)))
    )


def add_layers():
    for shape, bias in itertools.product([(3,), (4, 3), (2, 4, 3), (2, 1, 4, 3), (1, 3)], [True, False]):
        add_layer("Linear", (3, 2), shape, bias=bias)
    for kind in "Tanh", "Sigmoid", "ReLU", "Identity":
        for shape in (), (4, 3), (2, 3, 4):
            add_layer(kind, (), shape, scale=3.0)
    for kind in "Softmax", "LogSoftmax":
        for shape, dim in [((3,), 0), ((4, 3), 0), ((4, 3), 1), ((4, 3), -1), ((2, 3, 4), 1), ((2, 3, 4), -1)]:
            add_layer(kind, (), shape, scale=3.0, dim=dim)
    for args, shape in [
        ((), (4, 3)),
        ((), (2, 3, 4)),
        ((0,), (2, 3, 4)),
        ((0, 1), (2, 3, 4)),
        ((1, 2), (2, 3, 2, 2)),
        ((-2, -1), (2, 3, 2, 2)),
        ((1, 1), (2, 3, 4)),
    ]:
        add_layer("Flatten", args, shape)
    chain = (("Linear", 6, 5), ("Tanh",), ("Linear", 5, 4), ("ReLU",), ("Linear", 4, 3), ("Sigmoid",), ("Softmax", 1))
    add_layer("Sequential", (("Flatten",), *chain), (4, 2, 3))
    add_layer("Sequential", (("Linear", 3, 4), ("Identity",), ("Linear", 4, 3), ("LogSoftmax", -1)), (2, 4, 3))


def add_losses():
    rng = seed("losses")
    probability = np.float64(np.float32(rng.uniform(0.02, 0.98, (4, 3))))
    soft = np.float64(np.float32(rng.uniform(0, 1, (4, 3))))
    hard = np.float64(rng.integers(0, 2, (4, 3)))
    scores = draw(rng, (4, 3), 3.0)
    weights = [np.abs(draw(rng, shape), out=np.empty(shape)) for shape in [(), (3,), (4, 1), (1, 3), (4, 3)]]

    for weight in [None, *weights]:
        add_loss("BCELoss", probability, soft, "soft", weight=weight)
    add_loss("BCELoss", probability, hard, "hard")
    # Predictions of exactly 0 and 1 are in test_losses.py: PyTorch's 1e-12 there is that of float32, off by 4e-9.

    for weight, pos_weight in itertools.product([None, weights[1], weights[2]], [None, *weights]):
        add_loss("BCEWithLogitsLoss", scores, soft, weight=weight, pos_weight=pos_weight)
    far = np.array([-1000.0, -100.0, 0.0, 100.0, 1000.0])
    add_loss("BCEWithLogitsLoss", far, np.array([0.0, 1.0, 1.0, 0.0, 1.0]), "far")

    for shape in (), (5,), (4, 3), (2, 3, 2):
        add_loss("MSELoss", draw(rng, shape), draw(rng, shape))

    for shape in (3,), (4, 3), (2, 3, 4), (2, 3, 2, 2):
        axis = 0 if shape == (3,) else 1
        Z = draw(rng, shape, 2.0)
        P = np.float64(np.float32(rng.dirichlet([1, 1, 1], shape[:axis] + shape[axis + 1 :])))
        P = np.moveaxis(P, -1, axis)
        indices = np.array(rng.permutation(np.arange(Z.size // 3) % 3).reshape(P.max(axis).shape))
        if shape == (3,):
            indices = np.array(2)
        for weight, smoothing in itertools.product([None, weights[1]], [None, 0.1]):
            options = {"weight": weight, "label_smoothing": smoothing}
            add_loss("CrossEntropyLoss", Z, P, "probabilities", **options)
            for ignored in None, 1:
                add_loss("CrossEntropyLoss", Z, indices, "indices", **options, ignore_index=ignored)
    add_loss("CrossEntropyLoss", scores, np.array([2, -100, 0, -100]), "default ignore_index", weight=weights[1])
    add_loss("CrossEntropyLoss", scores, np.array([2, -1, 0, 1]), "negative", ignore_index=-1, label_smoothing=1.0)


def add_sgd():
    for momentum, dampening, weight_decay, nesterov, maximize in itertools.product(
        [0.0, 0.9], [0.0, 0.5], [0.0, 0.1], [False, True], [False, True]
    ):
        if nesterov and (momentum == 0 or dampening > 0):
            continue  # both refuse it: see test_sgd.py
        options = {
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        name = name_of("SGD", **options)
        CASES[name] = Case("SGD", (), options, draw(seed(name), (6, 6), 0.1))  # Phi_0, and five gradients


add_layers()
add_gates()
add_graphs()
add_losses()
add_sgd()
