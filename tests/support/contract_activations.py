"""Rows of the contract table: activations beside tanh, sigmoid, ReLU and softmax."""

import numpy as np
from support.contract_row import Row, numbers

import nnlite as nn


def prelu(num_parameters=1):
    """A PReLU in float64 with different slopes."""
    layer = nn.PReLU(num_parameters, dtype=np.float64)
    layer.W = np.linspace(0.1, 0.6, num_parameters)
    return layer


ROWS = [
    Row("LeakyReLU", nn.LeakyReLU, numbers(4, 3)),
    Row("LeakyReLU-of-a-number", lambda: nn.LeakyReLU(0.2), numbers(), rows_apart=False),
    Row("PReLU", prelu, numbers(4, 3)),
    Row("PReLU-of-a-vector", prelu, numbers(4), rows_apart=False),
    Row("PReLU-of-channels", lambda: prelu(3), numbers(4, 3)),
    Row("PReLU-of-three-axes", lambda: prelu(3), numbers(4, 3, 2)),
    Row("RReLU", lambda: nn.RReLU(rng=0), numbers(4, 3), rows_apart=False),
    Row("RReLU-evaluation", lambda: nn.RReLU(0.1, 0.4, rng=0).eval(), numbers(4, 3)),
    Row("ELU", nn.ELU, numbers(4, 3)),
    Row("ELU-alpha", lambda: nn.ELU(0.5), numbers(4, 3)),
    Row("CELU", lambda: nn.CELU(2.0), numbers(4, 3)),
    Row("SELU", nn.SELU, numbers(4, 3)),
    Row("GELU", nn.GELU, numbers(4, 3)),
    Row("GELU-tanh", lambda: nn.GELU(approximate="tanh"), numbers(4, 3)),
    Row("SiLU", nn.SiLU, numbers(4, 3)),
    Row("Mish", nn.Mish, numbers(4, 3)),
    Row("Softplus", nn.Softplus, numbers(4, 3)),
    Row("Softplus-beta", lambda: nn.Softplus(beta=2.0), numbers(4, 3)),
    Row("LogSigmoid", nn.LogSigmoid, numbers(4, 3)),
    Row("Softsign", nn.Softsign, numbers(4, 3)),
    Row("Hardtanh", nn.Hardtanh, 1.1 * numbers(4, 3)),
    Row("Hardtanh-limits", lambda: nn.Hardtanh(-0.5, 1.5), numbers(4, 3)),
    Row("ReLU6", nn.ReLU6, 5 * numbers(4, 3)),
    Row("Hardsigmoid", nn.Hardsigmoid, 2.5 * numbers(4, 3)),
    Row("Hardswish", nn.Hardswish, 2.5 * numbers(4, 3)),
    Row("Threshold", lambda: nn.Threshold(0.5, 20.0), numbers(4, 3)),
    Row("Tanhshrink", nn.Tanhshrink, numbers(4, 3)),
    Row("Softshrink", nn.Softshrink, numbers(4, 3)),
    Row("Hardshrink", nn.Hardshrink, numbers(4, 3)),
    Row("GLU", nn.GLU, numbers(4, 6)),
    Row("GLU-of-rows", lambda: nn.GLU(dim=0), numbers(4, 3), None, False, False),
    Row("GLU-of-three-axes", lambda: nn.GLU(dim=-2), numbers(4, 2, 3)),
    Row("Softmin", nn.Softmin, numbers(4, 3)),
    Row("Softmin-of-columns", lambda: nn.Softmin(dim=0), numbers(4, 3), None, False, False),
    Row("Softmax-of-a-number", nn.Softmax, numbers(), rows_apart=False),
    Row("LogSoftmax-of-a-number", lambda: nn.LogSoftmax(dim=0), numbers(), rows_apart=False),
    Row("Softmax2d", nn.Softmax2d, numbers(4, 3, 2, 2)),
    Row("Softmax2d-of-one-image", nn.Softmax2d, numbers(3, 2, 2), None, False, False),
]
