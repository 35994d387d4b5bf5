"""The outputs, gradients and steps are those of PyTorch for the same weights and data, with every option.

The expected values come from PyTorch where it is installed, else from the record that support/oracle/record.py made.
"""

from importlib.util import find_spec

import numpy as np
import pytest
from support.case import case
from support.optimizers import OPTIONS
from support.oracle import cases_transformer
from support.oracle.cases import CASES, FORMULAS
from support.oracle.record import flat, recorded, torch_answers
from support.oracle.table import draw, seed

import nnlite as nn
from nnlite.basics.trees import each_of, listed, spread
from nnlite.losses.loss_arguments import arguments_of

HAS_TORCH = find_spec("torch") is not None
RECORDED = recorded()
BARS = {np.float64: {"rtol": 1e-10, "atol": 1e-10}, np.float32: {"rtol": 1.3e-6, "atol": 1e-5}}
TORCHS_SIXTH = {np.float64: {"rtol": 1e-7, "atol": 1e-7}, np.float32: BARS[np.float32]}  # it is that of float32
SGD_BARS = {np.float64: {"rtol": 1e-10, "atol": 1e-10}, np.float32: {"rtol": 1e-7, "atol": 1e-7}}

KINDS = list(dict.fromkeys(each.kind for each in CASES.values()))


def expected(name, dtype):
    return torch_answers(name, dtype) if HAS_TORCH else RECORDED[name]


def build(kind, *args, **options):
    if kind in {"Sequential", "Residual", "Parallel"}:
        return getattr(nn, kind)(*(build(*spec) for spec in args))
    if kind in cases_transformer.KINDS:
        return cases_transformer.transformer(nn, nn.LayerNorm, kind, *args, **options)
    return getattr(nn, kind)(*args, **options)


def graph(inputs, formula, *shapes):
    Xs = [nn.Input() for _ in range(inputs)]
    return nn.Graph(Xs, FORMULAS[formula](*Xs, *[nn.Parameter(np.zeros(shape)) for shape in shapes]))


def answers(name, dtype):
    """nnlite's answer to a case, in the order of ``torch_answers``."""
    given, rng = CASES[name], seed(name)
    if given.kind == "Graph":
        layer = graph(len(listed(given.X)), *given.args).astype(dtype)
    else:
        layer = build(given.kind, *given.args, **given.options).astype(dtype)
    if given.kind in cases_transformer.KINDS:
        arrays = nn.to_torch(layer).items()
        nn.from_torch(layer, {key: cases_transformer.values_of(name, key, array.shape) for key, array in arrays})
    else:
        for _, P in layer.named_parameters():
            P[...] = draw(rng, P.shape)
    X = each_of(lambda X: X.astype(dtype) if np.asarray(X).dtype.kind == "f" else X, given.X)
    if given.evaluation:
        spread(layer.forward, X)
        layer.eval()
    before = nn.LogSoftmax() if given.kind == "CTCLoss" else nn.Identity()
    if given.target is None:
        Y = spread(layer.forward, X)
    else:
        Y = layer.forward(*arguments_of(layer, each_of(before.forward, X), given.target))
    dX = spread(layer.backward, each_of(lambda Y: draw(rng, np.shape(Y)).astype(dtype), Y))
    dXs = [] if dX is None else [before.backward(dX)] if given.kind == "CTCLoss" else listed(dX)
    assert all(each.dtype == dtype for each in dXs)
    state = [array for _, array in (*layer.named_gradients(), *layer.named_buffers())]
    if given.kind in cases_transformer.KINDS:
        layer.Phi = layer.dPhi
        state = [array for _, array in sorted(nn.to_torch(layer).items())]
    return flat([*listed(Y), *dXs, *state])


def optimizer_answers(name, dtype):
    """nnlite's parameters after each step."""
    given = CASES[name]
    layer = nn.Linear(2, 2, dtype=dtype)
    layer.Phi = given.X[0]
    optimizer = getattr(nn, given.kind)(layer, lr=0.1, **given.options)
    path = []
    for gradient in given.X[1:]:
        layer.dPhi = gradient
        optimizer.step()
        path.append(layer.Phi.copy())
    return flat(path)


def average_answers(name, dtype):
    """nnlite's averaged parameters and floating buffers after each update."""
    given = CASES[name]
    layer, average, path = nn.BatchNorm1d(2, dtype=dtype), nn.WeightAverage(**given.options), []
    for numbers in given.X:
        layer.Phi, layer.running_mean, layer.running_var = numbers[:4], numbers[4:6], numbers[6:]
        average.update(layer)
        average.apply(layer)
        path += [layer.Phi.copy(), layer.running_mean.copy(), layer.running_var.copy()]
    return flat(path)


@pytest.mark.parametrize("kind", KINDS)
def test_outputs_gradients_and_steps_are_those_of_torch(kind):
    of_kind = optimizer_answers if kind in {"SGD", *OPTIONS} else answers
    of_kind = average_answers if kind == "WeightAverage" else of_kind
    bars = {"SGD": SGD_BARS, "Hardsigmoid": TORCHS_SIXTH}.get(kind, BARS)
    for name in [name for name, given in CASES.items() if given.kind == kind]:
        for dtype in np.float64, np.float32:
            with case(f"{name}, {dtype.__name__}"):
                np.testing.assert_allclose(of_kind(name, dtype), expected(name, dtype), **bars[dtype])


def test_every_case_is_recorded_and_nothing_else():
    assert RECORDED.keys() == CASES.keys()


def test_every_layer_loss_and_optimizer_has_cases():
    public = [getattr(nn, name) for name in nn.__all__]
    classes = [c for c in public if isinstance(c, type) and issubclass(c, nn.Layer | nn.Optimizer)]
    without = {"Layer", "Loss", "Optimizer", "Parameter", "Lion", "Stateful"}  # Parameters: of graphs
    without |= {"Greater", "GreaterEqual", "Equal"}  # which give numbers, PyTorch's booleans: see test_conditions.py
    names = {c.__name__ for c in classes} - without
    assert any(len(given.args) > 1 for given in CASES.values() if given.kind == "Graph")
    assert names | {"WeightAverage"} == set(KINDS)


def test_the_record_is_what_torch_gives_now():
    pytest.importorskip("torch")
    for name in CASES:
        np.testing.assert_allclose(RECORDED[name], torch_answers(name, np.float64), rtol=1e-12, atol=1e-12)
