"""The same weights and data give PyTorch's outputs, gradients and steps, for every option.

The expected values come from PyTorch itself where it is installed, else from what ``oracle/record.py`` recorded of it.
"""

from importlib.util import find_spec

import numpy as np
import pytest
from support.oracle.cases import CASES, FORMULAS, draw, seed
from support.oracle.record import flat, recorded, torch_answers

import nnlite as nn
from nnlite.basics.trees import each_of, listed, spread

HAS_TORCH = find_spec("torch") is not None
RECORDED = recorded()
BARS = {np.float64: {"rtol": 1e-10, "atol": 1e-10}, np.float32: {"rtol": 1.3e-6, "atol": 1e-5}}
SGD_BARS = {np.float64: {"rtol": 1e-10, "atol": 1e-10}, np.float32: {"rtol": 1e-7, "atol": 1e-7}}

NETWORK_CASES = [name for name, case in CASES.items() if case.kind != "SGD"]
SGD_CASES = [name for name, case in CASES.items() if case.kind == "SGD"]
both_precisions = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])


def expected(name, dtype):
    return torch_answers(name, dtype) if HAS_TORCH else RECORDED[name]


def build(kind, *args, **options):
    if kind in {"Sequential", "Residual", "Parallel"}:
        return getattr(nn, kind)(*(build(*spec) for spec in args))
    return getattr(nn, kind)(*args, **options)


def graph(inputs, formula, *shapes):
    Xs = [nn.Input() for _ in range(inputs)]
    return nn.Graph(Xs, FORMULAS[formula](*Xs, *[nn.Parameter(np.zeros(shape)) for shape in shapes]))


def answers(name, dtype):
    """nnlite's answer to a case, in the order of ``torch_answers``."""
    case, rng = CASES[name], seed(name)
    if case.kind == "Graph":
        layer = graph(len(listed(case.X)), *case.args).astype(dtype)
    else:
        layer = build(case.kind, *case.args, **case.options).astype(dtype)
    for _, P in layer.named_parameters():
        P[...] = draw(rng, P.shape)
    X = each_of(lambda X: X.astype(dtype), case.X)
    Y = spread(layer.forward, X) if case.target is None else layer.forward(X, case.target)
    dX = spread(layer.backward, each_of(lambda Y: draw(rng, np.shape(Y)).astype(dtype), Y))
    assert all(each.dtype == dtype for each in listed(dX))
    return flat([*listed(Y), *listed(dX), *(dP for _, dP in layer.named_gradients())])


def sgd_answers(name, dtype):
    case = CASES[name]
    layer = nn.Linear(2, 2, dtype=dtype)
    layer.Phi = case.X[0]
    optimizer = nn.SGD(layer, lr=0.1, **case.options)
    path = []
    for gradient in case.X[1:]:
        layer.dPhi = gradient
        optimizer.step()
        path.append(layer.Phi.copy())
    return flat(path)


@both_precisions
@pytest.mark.parametrize("name", NETWORK_CASES)
def test_layers_and_losses_give_torchs_outputs_and_gradients(name, dtype):
    np.testing.assert_allclose(answers(name, dtype), expected(name, dtype), **BARS[dtype])


@both_precisions
@pytest.mark.parametrize("name", SGD_CASES)
def test_sgd_takes_torchs_steps(name, dtype):
    np.testing.assert_allclose(sgd_answers(name, dtype), expected(name, dtype), **SGD_BARS[dtype])


def test_every_case_is_recorded_and_nothing_else():
    assert list(RECORDED) == list(CASES)


def test_every_layer_loss_and_optimizer_has_cases():
    public = [getattr(nn, name) for name in nn.__all__]
    classes = [c for c in public if isinstance(c, type) and issubclass(c, nn.Layer | nn.Optimizer)]
    names = {c.__name__ for c in classes} - {"Layer", "Optimizer", "Parameter"}  # Parameters are those of the graphs
    assert any(len(case.args) > 1 for case in CASES.values() if case.kind == "Graph")
    assert names == {case.kind for case in CASES.values()}


def test_the_record_is_what_torch_gives_now():
    pytest.importorskip("torch")
    for name in CASES:
        np.testing.assert_allclose(RECORDED[name], torch_answers(name, np.float64), rtol=1e-12, atol=1e-12)
