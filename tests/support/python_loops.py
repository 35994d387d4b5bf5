"""The loops that are made for Numba, run by Python, which compiles nothing; a wrong index is an error."""

import threading
from contextlib import contextmanager

import numpy as np

import nnlite as nn
from nnlite.compute import blocks


class Loop:
    """A loop of Python that is called only with what the compiled one can be called with, as Numba's is."""

    threads: set = set()  # noqa: RUF012
    calls = 0

    def __init__(self, name, source, signature):
        scope: dict = {}
        exec(source, scope)
        scope |= {each: getattr(value, "py_func", value) for each, value in scope.items()}
        self.name, self.loop, self.types = name, scope["loop"], signature.args

    def __call__(self, *arguments):
        for each, kind in zip(arguments, self.types, strict=True):
            dtype = np.dtype(getattr(kind, "dtype", kind).name)
            fits = np.shape(each) is not None and each.dtype == dtype and each.ndim == getattr(kind, "ndim", 0)
            if not fits or (each.ndim and not (each.flags.c_contiguous and (each.flags.writeable or not kind.mutable))):
                raise TypeError("no matching definition")
        Loop.threads.add(threading.get_ident())
        Loop.calls += 1
        try:
            with np.errstate(all="ignore"):  # machine code gives no warnings
                self.loop(*arguments)
        except TypeError as error:  # which would be no reason for computing it with NumPy
            raise AssertionError(f"the loop of {self.name} is wrong") from error


@contextmanager
def loops_of_python(monkeypatch, large):
    """Kernels are computed by such loops, in two threads if they have so many elements."""
    from nnlite.compute import numba_function

    monkeypatch.setattr(numba_function, "compiled", Loop)
    for module in blocks, numba_function:
        monkeypatch.setattr(module, "LARGE", large)
    monkeypatch.setattr(blocks, "BLOCK", large)
    monkeypatch.setattr(blocks, "_threads", lambda: 2)
    blocks._pool.cache_clear()
    nn.set_kernels("numba")
    Loop.threads, Loop.calls = set(), 0
    try:
        yield
    finally:
        nn.set_kernels("numpy")
        blocks._pool.cache_clear()
