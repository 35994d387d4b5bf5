"""Numba's loops compute what NumPy's ufuncs compute.

Compiling a kernel takes up to half a second, so every run compares a few of each file; for all of them:

    NNLITE_SWEEP=2 python -m pytest tests/compute/test_set_kernels.py
"""

import itertools
import re
import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from support.sweeps import SWEEP

import nnlite as nn
from nnlite.compute import (
    activation_kernels,
    dropout_kernels,
    kernels,
    loss_kernels,
    normalization_kernels,
    norms,
    softmax,
)
from nnlite.compute.kernel import Kernel
from nnlite.optim import adadelta, adafactor, adagrad, adam, adamax, asgd, lion, nadam, radam, rmsprop, rprop, sgd

pytest.importorskip("numba")

UPDATES = [sgd._descent(True, False), sgd._momentum(True, True, True, True), sgd._momentum(False, False, False, False)]
UPDATES += [adam._adam(False, "none", False, True), adam._adam(True, "L2", True, False)]
UPDATES += [adam._adam(True, "decoupled", False, True)]
UPDATES += [rmsprop._rmsprop(*each, "L2", True, True) for each in itertools.product([False, True], repeat=2)]
UPDATES += [adagrad._adagrad("L2", True), adadelta._adadelta("L2", True), adamax._adamax("L2", True, True)]
UPDATES += [nadam._nadam("decoupled", True, True), radam._radam(False, "none", True, False), lion._lion("L2", True)]
UPDATES += [radam._radam(True, "L2", False, True), rprop._rprop(True), asgd._asgd("L2", True), asgd._averaged]
UPDATES += [each for each in vars(adafactor).values() if isinstance(each, Kernel)]
MODULES = activation_kernels, dropout_kernels, kernels, loss_kernels, softmax, normalization_kernels, norms
KERNELS = [each for module in MODULES for each in vars(module).values() if isinstance(each, Kernel)] + UPDATES
if SWEEP == 1:
    KERNELS = [*KERNELS[::9], normalization_kernels.layer_norm_backward]


@pytest.fixture(autouse=True)
def numpy_afterwards():
    yield
    nn.set_kernels("numpy")


def results(way, kernel, arguments):
    nn.set_kernels(way)
    own = [np.copy(each) if np.ndim(each) else each for each in arguments]
    returned = kernel(*own)
    if kernel.into:
        return [own[kernel.trace.arguments.index(name)] for name in kernel.into]
    return returned if isinstance(returned, tuple) else (returned,)


def arguments_of(kernel, rows, dtype, special):
    """Random arguments of the right shapes; the first of them with NaN, infinities and zeros."""
    rng = np.random.default_rng(0)
    kinds = [kernel.trace.kinds[name] for name in kernel.trace.arguments]
    shapes = {"full": (rows, 19), "row": (rows, 1), "column": (19,)}
    arrays = [rng.uniform(0.01, 0.99, shapes[kind]).astype(dtype) if kind in shapes else 0.3 for kind in kinds]
    if special:
        arrays[0][0, :5] = np.nan, np.inf, -np.inf, 0.0, -0.0
    return arrays


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
def test_numba_and_numpy_agree(kernel, dtype):
    for rows, special in itertools.product((1, 3, 20_000), (False, True)):
        arguments = arguments_of(kernel, rows, dtype, special)
        with np.errstate(all="ignore"):
            expected, got = results("numpy", kernel, arguments), results("numba", kernel, arguments)
        inexact = {"exp", "log", "log1p", "tanh", "sum", "dot", "mean", "column_sum"} & {
            each.function for each in kernel.trace.operations
        }
        in_columns = [kernel.trace.kinds[each] == "total" for each in kernel.trace.results]
        for wanted, own, in_column in zip(expected, got, in_columns, strict=True):
            assert own.dtype == wanted.dtype == dtype
            if inexact:  # the functions are others, and sums are added in another order
                bar = 1e-12 if dtype == np.float64 else 1e-5 if in_column else 1.3e-6
                assert_allclose(own, wanted, rtol=bar, atol=bar)
            else:
                assert_array_equal(own, wanted)
                zeros = wanted == 0
                assert_array_equal(np.signbit(own[zeros]), np.signbit(wanted[zeros]))


def test_a_user_who_asks_for_something_else_is_told_the_choices():
    with pytest.raises(ValueError, match="expected 'numpy' or 'numba', got 'cython'"):
        nn.set_kernels("cython")


def test_the_environment_variable_chooses_and_numba_is_not_imported_without():
    program = "import sys, nnlite; print(nnlite.compute.kernel.Kernel.make.__name__, 'numba' in sys.modules)"
    for value, printed in ("", "numpy_function False"), ("numba", "numba_function True"):
        done = subprocess.run(
            [sys.executable, "-c", program], env={"NNLITE_KERNELS": value}, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == printed


def test_without_numba_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "nnlite.compute.numba_function", raising=False)
    with pytest.raises(ImportError, match="extra 'fast'"):
        nn.set_kernels("numba")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            "numba",
            "ImportError: nnlite: the package numba cannot be imported: .*; install nnlite's extra 'fast', or do",
        ),
        ("cython", "ValueError: set_kernels: expected 'numpy' or 'numba', got 'cython'"),
    ],
)
def test_an_environment_variable_that_cannot_be_followed_is_an_error_of_the_import(value, message):
    program = "import sys; sys.modules['numba'] = None; import nnlite"
    done = subprocess.run(
        [sys.executable, "-c", program], env={"NNLITE_KERNELS": value}, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert re.search(message, done.stderr)
