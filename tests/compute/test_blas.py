"""set_blas: products through MKL are those of NumPy, and what MKL does not get is too small to wake NumPy's threads."""

import ctypes
import itertools
import subprocess
import sys
from importlib import metadata

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from support.case import case

import nnlite as nn
from nnlite.compute import blas


class StandIn:
    """What libmkl_rt has of CBLAS, on NumPy: it reads its operands from the addresses, as the real one does."""

    def __init__(self):
        self.calls = []
        self.cblas_sgemm = self.routine(np.float32)
        self.cblas_dgemm = self.routine(np.float64)

    def routine(self, dtype):
        def matrix(address, rows, columns):
            buffer = (ctypes.c_char * (rows * columns * np.dtype(dtype).itemsize)).from_address(address)
            return np.frombuffer(buffer, dtype).reshape(rows, columns)

        def gemm(order, A_layout, B_layout, m, n, k, alpha, A, A_step, B, B_step, beta, C, C_step):
            assert (order, alpha, beta, C_step) == (101, 1, 0, n)
            assert (A_step, B_step) == (k if A_layout == 111 else m, n if B_layout == 111 else k)
            left = matrix(A, m, k) if A_layout == 111 else matrix(A, k, m).T
            right = matrix(B, k, n) if B_layout == 111 else matrix(B, n, k).T
            matrix(C, m, n)[...] = left @ right
            self.calls.append((m, n, k))

        return gemm


def installed(name):
    try:
        return bool(metadata.version(name))
    except metadata.PackageNotFoundError:
        return False


@pytest.fixture(params=["stand-in", "mkl"] if installed("mkl") else ["stand-in"])
def mkl(request, monkeypatch):
    library = StandIn()
    if request.param == "stand-in":
        monkeypatch.setattr(blas, "_load", lambda: library)
    nn.set_blas("mkl")
    yield library if request.param == "stand-in" else None
    nn.set_blas("numpy")


def numbers(shape, dtype=np.float64, seed=0):
    return np.random.default_rng(seed).integers(-8, 9, shape).astype(dtype)  # products are exact in both


LAYOUTS = {
    "as it is": lambda A: A,
    "Fortran": np.asfortranarray,
    "every second column": lambda A: np.repeat(A, 2, axis=-1)[..., ::2],
    "backwards": lambda A: A[::-1].copy()[::-1],
    "read-only": lambda A: np.frombuffer(A.tobytes(), A.dtype).reshape(A.shape),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sizes", [(70, 80, 90), (1, 200, 300), (300, 200, 1), (2, 3, 4)])
def test_a_product_is_that_of_numpy(mkl, dtype, sizes):
    m, k, n = sizes
    A, B = numbers((m, k), dtype), numbers((k, n), dtype, seed=1)
    expected = A @ B
    for A_layout, B_layout in itertools.product(LAYOUTS, LAYOUTS):
        out = np.empty((m, n), dtype)
        with case(f"A: {A_layout}, B: {B_layout}"):
            Y = blas.matmul(LAYOUTS[A_layout](A), LAYOUTS[B_layout](B))
            assert_array_equal(Y, expected)
            assert Y.dtype == dtype
            assert blas.matmul(LAYOUTS[A_layout](A), LAYOUTS[B_layout](B), out) is out
            assert_array_equal(out, expected)


@pytest.mark.parametrize("sizes", [(100, 200), (3, 4)])
def test_a_vector_times_a_matrix_is_a_vector(mkl, sizes):
    a, B = numbers(sizes[0]), numbers(sizes, seed=1)
    assert_array_equal(blas.matmul(a, B), a @ B)
    out = np.empty(sizes[1])
    blas.matmul(a, B, out)
    assert_array_equal(out, a @ B)


@pytest.mark.parametrize("dtype", [np.float16, np.longdouble])
def test_other_dtypes_go_numpys_way(mkl, dtype):
    A = numbers((70, 70), dtype) / 8
    assert_array_equal(blas.matmul(A, A), A @ A)


@pytest.mark.parametrize(
    ("B", "out"),
    [
        (np.zeros((99, 80)), None),
        (np.zeros((80, 90)), np.zeros((70, 91))),
        (np.zeros((80, 90)), np.zeros((70, 90), np.float32)),
        (np.zeros((80, 90)), np.zeros((90, 70)).T),
    ],
    ids=["inner sizes", "shape of out", "dtype of out", "layout of out"],
)
def test_what_numpy_refuses_is_refused(mkl, B, out):
    with pytest.raises(ValueError, match=r"aligned|output array"):
        blas.matmul(np.zeros((70, 80)), B, out)


def test_products_of_two_dtypes_go_numpys_way(mkl):
    A, B = numbers((70, 80), np.float32), numbers((80, 90))
    assert_array_equal(blas.matmul(A, B), A @ B)


def test_only_products_too_small_for_threads_stay_with_numpy(mkl):
    if mkl is None:
        return
    nn.set_blas("mkl")
    for (m, k, n), goes in [((64, 64, 64), False), ((64, 65, 64), True), ((1, 96, 96), False), ((97, 96, 1), True)]:
        mkl.calls.clear()
        blas.matmul(np.zeros((m, k)), np.zeros((k, n)))
        assert bool(mkl.calls) == goes


def test_a_model_trains_the_same(mkl):
    def train():
        rng = np.random.default_rng(0)
        model = nn.Sequential(nn.Linear(60, 80, rng=rng), nn.Tanh(), nn.Linear(80, 1, rng=rng)).astype(np.float64)
        X, Y = rng.normal(size=(256, 60)), rng.normal(size=(256, 1))
        nn.fit(
            model, X, Y, loss=nn.MSELoss(), optimizer=nn.SGD(model, 0.01), epochs=3, batch_size=128, verbose=0, rng=0
        )
        return model.Phi

    with_mkl = train()
    nn.set_blas("numpy")
    np.testing.assert_allclose(with_mkl, train(), rtol=1e-9, atol=1e-12)


def test_every_large_product_of_a_model_goes_there(mkl):
    if mkl is None:
        return
    model = nn.Linear(100, 100)
    model.forward(np.zeros((128, 100), np.float32))
    model.backward(np.zeros((128, 100), np.float32))
    assert sorted(mkl.calls) == [(1, 100, 128), (100, 100, 128), (128, 100, 100), (128, 100, 100)]


def test_numpy_is_the_default_and_comes_back():
    assert blas.matmul is np.ndarray.dot
    nn.set_blas("numpy")
    assert blas.matmul is np.ndarray.dot


@pytest.mark.parametrize("name", ["openblas", "", "MKL", None])
def test_another_blas_is_an_error(name):
    with pytest.raises(ValueError, match=f"set_blas: expected 'numpy' or 'mkl', got {name!r}"):
        nn.set_blas(name)


def test_a_missing_wheel_is_an_error_with_the_cure(monkeypatch):
    def files(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "files", files)
    with pytest.raises(ImportError, match="the BLAS 'mkl' is not installed; install nnlite's extra 'mkl'"):
        nn.set_blas("mkl")
    assert blas.matmul is np.ndarray.dot


@pytest.mark.parametrize("names", [[], ["libmkl_rt.so.2"]], ids=["no library", "not a library"])
def test_a_wheel_that_does_not_load_is_an_error_with_the_cure(monkeypatch, names, tmp_path):
    class File:
        def __init__(self, name):
            self.name = name

        def locate(self):
            (tmp_path / self.name).write_text("nothing")
            return tmp_path / self.name

    monkeypatch.setattr(metadata, "files", lambda name: [File(name) for name in names])
    with pytest.raises(ImportError, match=r"the BLAS 'mkl' cannot be loaded: .*install nnlite's extra 'mkl'"):
        nn.set_blas("mkl")


@pytest.mark.parametrize(("value", "code"), [("", 0), ("numpy", 0), ("cblas", 1)])
def test_the_environment_chooses(value, code):
    program = [sys.executable, "-c", "import nnlite, numpy; assert nnlite.compute.blas.matmul is numpy.ndarray.dot"]
    run = subprocess.run(program, env={"NNLITE_BLAS": value}, capture_output=True, text=True, check=False)
    assert run.returncode == code
    assert ("set_blas: expected 'numpy' or 'mkl', got 'cblas'" in run.stderr) == bool(code)


def test_a_transpose_is_passed_on_and_not_copied(monkeypatch):
    A = numbers((70, 80))
    assert blas._layout(A)[0] is A
    assert blas._layout(A)[1:] == (blas._NOT_TRANSPOSED, 80)
    assert np.shares_memory(blas._layout(A.T)[0], A)
    assert blas._layout(A.T)[1:] == (blas._TRANSPOSED, 80)


@pytest.mark.parametrize("name", ["libmkl_rt.so.3", "libmkl_rt.3.dylib", "mkl_rt.3.dll"])
def test_the_library_is_found_among_the_wheels_files(monkeypatch, name):
    class File:
        def __init__(self, name):
            self.name = name

        def locate(self):
            return f"there/{self.name}"

    wheels = {"mkl": [File("METADATA"), File("libmkl_core.so.3"), File(name)]}
    monkeypatch.setattr(metadata, "files", wheels.__getitem__)
    monkeypatch.setattr(ctypes, "CDLL", lambda path: f"loaded {path}")
    assert blas._load() == f"loaded there/{name}"


@pytest.mark.parametrize(
    "shapes", [((2, 3), (3, 4)), ((5, 2, 3), (3, 4)), ((5, 1, 2, 3), (6, 3, 4)), ((0, 2, 3), (3, 4))]
)
def test_stacks_are_multiplied_one_matrix_after_the_other_where_numpy_does_not(shapes, monkeypatch):
    A, B = (np.random.default_rng(0).normal(size=shape) for shape in shapes)
    seen = []

    def matmul(A, B, out=None):
        seen.append(A.ndim)
        return A.dot(B, out)

    monkeypatch.setattr(blas, "matmul", matmul)
    assert_array_equal(blas.stacked_matmul(A, B), np.matmul(A, B))
    assert set(seen) <= {2}
    assert len(seen) == np.prod(np.matmul(A, B).shape[:-2], dtype=int)
    if len(shapes[0]) > 2:  # a stack may be written into an array that is not contiguous
        out = np.empty((*np.matmul(A, B).shape[:-1], 8))[..., ::2]
        blas.stacked_matmul(A, B, out)
        assert_array_equal(out, np.matmul(A, B))
