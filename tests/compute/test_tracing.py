"""Formulas are recorded as the operations that they are, or refused."""

import copy
import gc
import math
import os
import pickle
import subprocess
import sys
import textwrap
import tracemalloc
import weakref

import numpy as np
import pytest
import scipy.special

import nnlite as nn
from nnlite.compute import kernels
from nnlite.compute.tracing import Columns, Rows, trace


def operations(formula):
    return [" ".join(map(str, each)) for each in trace(formula).operations]


def test_operations_are_in_order_and_none_is_there_twice():
    assert operations(lambda X, Y: (X + Y) * np.exp(X + Y) - 2) == [
        "t0 add ('X', 'Y')",
        "t1 exp ('t0',)",
        "t2 multiply ('t0', 't1')",
        "t3 subtract ('t2', 2.0)",
    ]
    assert operations(lambda X: X**2 + X * X) == ["t0 multiply ('X', 'X')", "t1 add ('t0', 't0')"]
    assert operations(lambda X: X**3) == ["t0 power ('X', 3.0)"]
    assert len(operations(lambda X: (X + 0.0) * (X + -0.0))) == 3


def test_operations_whose_results_nothing_uses_are_left_out():
    def formula(X):
        unused = np.exp(X) + 1
        return X * 2 if unused is not None else unused

    assert operations(formula) == ["t2 multiply ('X', 2.0)"]
    assert (nn.kernel(formula)(np.ones(2)) == 2).all()


def total(X):
    return np.sum(X, axis=-1, keepdims=True)


def test_sums_of_products_of_whole_arrays_are_one_operation():
    assert operations(lambda X, Y: X - total(X * Y)) == ["t1 dot ('X', 'Y')", "t2 subtract ('X', 't1')"]
    assert "dot" not in str(operations(lambda X, Y: (X * Y) - total(X * Y)))  # the product is needed too
    assert "dot" not in str(operations(lambda X, Y: (X * Y, total(X * Y))))
    assert "dot" not in str(operations(lambda X: X - total(X * 2)))
    assert "dot" not in str(operations(lambda X, Y: X - total(X + Y)))

    def of_rows(X, s: Rows, c: Columns):
        return X - total(X * s) - total(c * X)

    assert "dot" not in str(operations(of_rows))
    X, s, c = np.arange(6.0).reshape(2, 3), np.array([[2.0], [3.0]]), np.arange(3.0)
    np.testing.assert_allclose(nn.kernel(of_rows)(X, s, c), of_rows(X, s, c))


def test_kinds_of_values():
    def formula(X, s: Rows, c: Columns, k: float):
        return X + s * k, s + c, X + c * 2, np.max(X, axis=-1, keepdims=True) + s

    traced = trace(formula)
    assert [traced.kinds[each] for each in traced.results] == ["full", "full", "full", "row"]
    kinds = {str(each.operands): traced.kinds[each.result] for each in traced.operations}
    assert (kinds["('s', 'k')"], kinds["('c', 2.0)"], kinds["('X',)"]) == ("row", "column", "row")
    assert traced.by_rows
    assert not trace(lambda X: X + 1).by_rows


def test_numbers_may_become_arrays():
    def formula(X, k: float):
        return X * (2 * k)

    assert trace(formula).kinds["t0"] == "scalar"
    assert trace(formula, ["k"]).kinds["t0"] == "full"


def scalar_first(k: float, X):
    return X * k


def column_result(X, c: Columns):
    return c * 2


def number_result(X, k: float):
    return k * 2


def mask_of_rows(X, s: Rows):
    return np.where((s > 0) & (X > 0), X, 0.0)


def where_of_rows(X, s: Rows):
    return np.where(s > 0, X, 0.0)


def set_first(X):
    X[0] = 1
    return X * 2


def sum_of_rows(X, s: Rows):
    return X * total(s)


REFUSED = {
    "branch": (lambda X: X if X > 0 else -X, "cannot branch"),
    "and": (lambda X: np.where(X > 0 and X < 1, X, 0.0), "cannot branch"),
    "chain": (lambda X: np.where(0 < X < 1, X, 0.0), "cannot branch"),
    "max of Python": (lambda X: max(X, 0.0), "cannot branch"),
    "options": (lambda X: np.exp(X, where=True), "without options, got np.exp"),
    "out": (lambda X: np.add(X, 1, out=X), "in place, np.add; write X = X"),
    "out of another": (lambda X, Y: np.add(X, 1, out=Y), "without options, got np.add with out"),
    "in place": (lambda X: X.__iadd__(1), "in place, np.add; write X = X"),
    "method": (lambda X: np.add.reduce(X), r"got np.add.reduce; np.sum\(X, axis=-1"),
    "two results": (lambda X: np.modf(X)[0], "got modf"),
    "another dtype": (lambda X: np.isnan(X), "got isnan"),
    "integers": (lambda X: np.where(np.logical_not(X > 0), X, 0.0), "np.logical_not of a comparison"),
    "matmul": (lambda X: X @ X, "got matmul"),
    "SciPy's": (lambda X: scipy.special.erf(X), "got erf"),
    "mask plus": (lambda X: (X > 0) + 1.0, "np.add of a comparison"),
    "mask times": (lambda X: X * (X > 0), "np.multiply of a comparison"),
    "mask compared": (lambda X: np.where((X > 0) == (X > 1), X, 0.0), "np.equal of a comparison"),
    "mask not": (lambda X: np.where(~(X > 0), X, 0.0), "np.invert of a comparison"),
    "mask returned": (lambda X: X > 0, r"got a comparison; return np.where\(comparison, 1.0, 0.0\)"),
    "mask chosen": (lambda X: np.where(X > 0, X > 1, 0.0), "expected a comparison and two values"),
    "mask summed": (lambda X: X / total(X > 0), "np.sum: expected the values of a whole array"),
    "mask and number": (lambda X: np.where((X > 0) & X, X, 0.0), "np.bitwise_and: expected two comparisons"),
    "mask or True": (lambda X: np.where((X > 0) | True, X, 0.0), "np.bitwise_or: expected two comparisons"),
    "and of numbers": (lambda X, Y: X & Y, "np.bitwise_and: expected two comparisons"),
    "masks of two kinds": (mask_of_rows, "both of whole arrays"),
    "where of rows": (where_of_rows, "compare whole arrays"),
    "where of numbers": (lambda X: np.where(X, X, 0.0), "expected a comparison and two values"),
    "where of one": (lambda X: np.where(X > 0), "expected a comparison and two values"),
    "sum of rows": (sum_of_rows, "np.sum: expected the values of a whole array"),
    "sum of a sum": (lambda X: X * total(total(X)), "np.sum: expected the values of a whole array"),
    "sum over columns": (lambda X: X - np.sum(X, axis=0, keepdims=True), "got axis=0, keepdims=True"),
    "sum over columns that is used": (lambda X: X - np.sum(X, axis=0), "known after the last row; return it"),
    "sum over columns of rows": (lambda X: np.sum(total(X), axis=0), "np.sum: expected the values of a whole array"),
    "sum over columns first": (lambda X: (np.sum(X, axis=0), X + 1), "return the sums of columns last"),
    "sum over all": (
        lambda X: X - np.sum(X),
        r"np.sum\(X, axis=-1, keepdims=True\), of each row, or .* got no options",
    ),
    "max by position": (lambda X: X - np.max(X, -1, keepdims=True), "expected np.max"),
    "options of clip": (lambda X: np.clip(X, min=0, max=6), r"got np.clip; use np.clip\(X, low, high\)"),
    "clip of a comparison": (lambda X: np.clip(X > 1, 0, 6), "np.maximum of a comparison"),
    "dot": (lambda X: np.dot(X, X), "got np.dot; call it outside the kernel"),
    "norm": (lambda X: X / np.linalg.norm(X), "got np.norm; call it outside the kernel"),
    "finite": (lambda X: np.where(np.isfinite(X), X, 0.0), r"got isfinite; compare: np.abs\(X\) < np.inf"),
    "of math": (lambda X: math.exp(X), "use ufuncs, such as np.exp instead of math.exp"),
    "as an index": (lambda X: X * [1.0][X], "no value of an array is a number"),
    "transposed": (lambda X, dY: dY.T * 2, r"dY.T: .*; compute that outside the kernel, and pass it as an argument"),
    "shape": (lambda X: X / X.shape[0], r"X.shape: .*outside the kernel"),
    "method of a result": (lambda X: (X * 2).copy(), r"\(...\).copy: .*outside the kernel"),
    "method sum": (lambda X: X - X.sum(axis=-1), r"X.sum: use np.sum\(X, axis=-1, keepdims=True\)"),
    "index set": (set_first, r"X\[...\] = ...: a formula writes into no array; return np.where"),
    "index": (lambda X: X[0] * 2, r"X\[...\]: .*outside the kernel"),
    "loop": (lambda X: sum(each for each in X), r"a loop over X: .*outside the kernel"),
    "length": (lambda X: X / len(X), r"len\(X\): .*outside the kernel"),
    "array of it": (lambda X: np.asarray(X) * 2, r"np.asarray\(X\): .*outside the kernel"),
    "None": (lambda X: X * None, "np.multiply: expected arguments and numbers, got None"),
    "text": (lambda X: X + "1", "np.add: expected arguments and numbers, got '1'"),
    "complex number": (lambda X: X * 1j, "np.multiply: expected arguments and numbers, got 1j"),
    "constant list": (lambda X: X * [1.0, 2.0], "got one as a constant"),
    "list": (lambda X: [X * 2], "of its arguments, got .*; return a tuple"),
    "argument": (lambda X: X, r"returns what ufuncs computed of its arguments, got its argument X; return X \* 1"),
    "one of two": (lambda X: (X * 2, X), "returns what ufuncs computed"),
    "number": (lambda X: 1.0, "of its arguments, got 1.0$"),
    "nothing": (lambda X: None, "got None; end it with return"),
    "result twice": (lambda X: (X * 2, X * 2), "different results"),
    "column": (column_result, "each a whole array, a number for each row or a sum of columns"),
    "number of a number": (number_result, "each a whole array, a number for each row or a sum of columns"),
    "no argument": (lambda: 1.0, "whose first argument is an array"),
    "number first": (scalar_first, "whose first argument is an array"),
    "any arguments": (lambda *X: X[0] * 2, r"positional arguments, got \*X"),
    "keyword": (lambda X, *, k: X * k, "positional arguments, got k"),
    "name of a result": (lambda X, out: X * out, "rename the argument out"),
    "name of a value": (lambda X, t0: X * t0 + 1, "rename the argument t0"),
    "name of a constant": (lambda X, ONE: X * ONE, "rename the argument ONE"),
    "constant array": (lambda X: X * np.ones(3), "got one as a constant"),
    "constant array of one": (lambda X: X * np.ones(1), "got one as a constant"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_formula_that_is_something_else_is_refused_with_the_reason(name):
    formula, message = REFUSED[name]
    formula.__name__ = "softcap"
    with pytest.raises(TypeError, match=f"kernel softcap: .*{message}"):
        nn.kernel(formula)(np.ones((2, 2)), *[np.ones((2, 2))] * (formula.__code__.co_argcount - 1))


@pytest.mark.parametrize(
    ("formula", "into", "message"),
    [
        (lambda X, Y: X * Y, ("Z",), r"an array for each result, of \['X', 'Y'\], got \('Z',\)"),
        (lambda X, Y: X * Y, ("X", "Y"), "an array for each result"),
        (lambda X, Y: (X * Y, X + Y), ("X",), "an array for each result"),
        (lambda X, Y: (X * Y, X + Y), ("X", "X"), "an array for each result"),
        (number_result, ("k",), "number for each row"),
        (lambda X, Y: total(X), ("Y",), "whole arrays, got a number for each row"),
        (lambda X, Y: X - total(X), ("X",), "cannot read the arrays that it writes into"),
    ],
)
def test_what_cannot_be_written_into_is_refused(formula, into, message):
    with pytest.raises(TypeError, match=message):
        nn.kernel(into=into)(formula)(np.ones((2, 2)), np.ones((2, 2)))


def test_by_rows_into_an_array_that_is_not_read():
    X, Y = np.arange(6.0).reshape(2, 3), np.empty((2, 3))
    nn.kernel(into=("Y",))(lambda X, Y: X - total(X))(X, Y)
    np.testing.assert_array_equal(Y, [[-3, -2, -1], [-9, -8, -7]])


def test_arguments_may_be_called_as_the_gates_of_an_lstm():
    def cell(i, f, g, o, c, t):
        return f * c + i * g, o * (f * c + i * g) * t

    given = np.random.default_rng(0).normal(size=(6, 4))
    np.testing.assert_array_equal(nn.kernel(cell)(*given), cell(*given))


def test_annotations_may_be_strings():
    names: dict = {}
    exec("from __future__ import annotations\ndef formula(X, k: float):\n    return X * (k + 1)", names)
    assert trace(names["formula"]).kinds["k"] == "scalar"


def test_formulas_may_be_defined_anywhere():
    program = """
        import numpy as np, nnlite as nn
        print(nn.kernel(lambda X: X * X)(np.array([3.0])))
        @nn.kernel
        def cube(X):
            return X * X * X
        print(cube(np.array([3.0])), cube)
    """
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("[9.]\n[27.] def cube(X, *, out=None):\n")
    assert done.stderr == ""


def test_a_kernel_looks_like_its_formula():
    @nn.kernel(over="ignore")
    def formula(X, lr: float):
        """What it is."""
        return X * lr

    assert (formula.__name__, formula.__doc__) == ("formula", "What it is.")
    assert str(formula).startswith("def formula(X, lr, ")


# --- kernels as objects


@nn.register
class Doubled(nn.Layer):
    """A layer whose kernel is an attribute."""

    def __init__(self):
        self.formula = double

    def forward(self, X):
        return self.formula(self.check_X(X))

    def backward(self, dY):
        return self.formula(dY)


@nn.kernel
def double(X):
    return X + X


def test_a_layer_with_a_kernel_is_copied_pickled_and_saved(tmp_path):
    layer = Doubled()
    layer.forward(np.ones(3))  # functions have been made
    nn.save(nn.Sequential(layer), tmp_path / "doubled.npz")
    copies = copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), nn.load(tmp_path / "doubled.npz")[0]
    for each in copies:
        assert each.formula is double
        assert (each.forward(np.ones(3)) == 2).all()
    assert pickle.loads(pickle.dumps(kernels.tanh)) is kernels.tanh


def test_a_kernel_that_has_no_name_is_copied_and_its_pickle_is_an_error():
    own = nn.kernel(lambda X: X + 1)
    assert copy.deepcopy([own])[0] is own
    with pytest.raises((pickle.PicklingError, AttributeError), match="local"):
        pickle.dumps(own)


def test_a_kernel_that_nobody_holds_is_garbage():
    own = nn.kernel(lambda X: np.where(X > 0, X, 1 / X))
    own(np.ones(2))
    own(np.ones(2, np.float32))
    function, held = weakref.ref(own._functions[np.dtype(float)]), weakref.ref(own)
    del own
    gc.collect()
    assert held() is None
    assert function() is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_child_that_is_forked_while_a_thread_makes_a_function_makes_its_own():
    program = """
        import os, signal, threading, warnings
        import numpy as np, nnlite as nn
        from nnlite.compute.kernel import Kernel
        held = threading.Event()

        def hold():
            with Kernel.making:
                held.set()
                threading.Event().wait()

        threading.Thread(target=hold, daemon=True).start()
        held.wait()
        warnings.simplefilter("ignore")  # newer Pythons warn of a fork beside threads
        child = os.fork()
        if not child:
            signal.alarm(20)  # ends it, if it waits for a thread that it does not have
            os._exit(0 if nn.kernel(lambda X: X * 2)(np.ones(1)) == 2 else 1)
        os._exit(os.waitpid(child, 0)[1] != 0)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=60)


# --- errors of floating-point numbers, and sums


def test_errstate_holds_in_a_kernel_and_not_after_it():
    X = np.full(3, 1e308)
    with np.errstate(all="raise"):
        assert np.isinf(nn.kernel(over="ignore")(lambda X: X * X)(X)).all()
        with pytest.raises(FloatingPointError):
            nn.kernel(lambda X: X * X)(X)
        with pytest.raises(FloatingPointError):
            X * X
    with np.errstate(all="ignore"), pytest.raises(FloatingPointError):
        nn.kernel(over="raise")(lambda X: X * X)(X)


@pytest.mark.parametrize("shape", [(), (0,), (5,), (2**15,), (2**15 + 1,), (300, 2**10)])
def test_the_sum_of_the_elements(shape):
    Y, t = np.arange(np.prod(shape)).reshape(shape) % 7.0, np.ones(shape)
    for own in Y, np.asfortranarray(Y):
        got = kernels.squared_error.sum(own, t)
        assert type(got) is float
        assert got == np.sum((Y - t) ** 2)  # of whole numbers, exact
    ones = np.ones(2**20, np.float32) / 10
    assert abs(kernels.squared_error.sum(ones, ones * 2) - 2**20 * float(ones[0]) ** 2) < 1e-2


def test_the_sum_of_a_large_result_makes_no_array_of_it():
    Y, t = np.ones((2, 2**20), np.float32)
    kernels.squared_error.sum(Y, t)
    tracemalloc.start()
    kernels.squared_error.sum(Y, t)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < Y.nbytes / 2
