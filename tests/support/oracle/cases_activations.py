"""The cases of the activations beside tanh, sigmoid, ReLU and softmax, with each of their options."""

import itertools

import numpy as np
from support.oracle.table import add_gate, add_layer

# Numbers between the kinks, on them, and far out, where formulas overflow, underflow or cancel.
EDGES = np.array(
    [-1e4, -100.0, -40.0, -20.0, -8.0, -3.0, -1.0, -0.5, -1e-5, 0.0, 1e-5, 0.5, 1.0, 3.0, 6.0, 20.5, 100.0, 1e4]
)

OPTIONS = {
    "LeakyReLU": [{}, {"negative_slope": 0.25}, {"negative_slope": 2.0}],
    "PReLU": [{}, {"init": 0.5}],
    "ELU": [{}, {"alpha": 0.5}],
    "CELU": [{}, {"alpha": 2.0}],
    "SELU": [{}],
    "GELU": [{}, {"approximate": "tanh"}],
    "SiLU": [{}],
    "Mish": [{}],
    "Softplus": [{}, {"beta": 2.0}, {"beta": 0.5, "threshold": 1.0}],
    "LogSigmoid": [{}],
    "Softsign": [{}],
    "Tanhshrink": [{}],
    "Softshrink": [{}, {"lambd": 0.0}, {"lambd": 2.0}],
    "Hardshrink": [{}, {"lambd": 0.0}, {"lambd": 2.0}],
    "Hardtanh": [{}, {"min_val": -2.0, "max_val": 0.5}],
    "ReLU6": [{}],
    "Hardsigmoid": [{}],
    "Hardswish": [{}],
    "Threshold": [{"threshold": 0.1, "value": 20.0}, {"threshold": -1.0, "value": -2.0}],
}
for kind, options in OPTIONS.items():
    for each, shape in itertools.product(options, [(), (4, 3), (2, 3, 4)]):
        add_layer(kind, (), shape, scale=3.0, **each)
    for each in options:
        add_gate(kind, EDGES, label="edges", **each)
for shape in (4, 3), (2, 3, 4), (2, 3, 4, 2):
    add_layer("PReLU", (3,), shape, scale=3.0)
for lower in 0.125, 0.25:  # no slope is drawn where the two are equal
    add_layer("RReLU", (lower, lower), (4, 3), scale=3.0)
for shape, dim in [((4,), 0), ((4, 6), -1), ((4, 3), 0), ((2, 4, 3), 1)]:
    add_layer("GLU", (), shape, scale=3.0, dim=dim)
for shape, dim in [((), 0), ((3,), 0), ((4, 3), 0), ((4, 3), -1), ((2, 3, 4), 1)]:
    for kind in "Softmin", "Softmax", "LogSoftmax":
        add_layer(kind, (), shape, scale=3.0, dim=dim)
for shape in (3, 2, 4), (2, 3, 4, 2):
    add_layer("Softmax2d", (), shape, scale=3.0)
