"""Kernels compiled by Numba (extra ``fast``).

The source of a loop is a file in the user's cache folder, beside which Numba keeps the compiled code for later processes.
"""

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numba
import numpy as np

from nnlite.compute import numba_math
from nnlite.compute.blocks import LARGE, in_blocks
from nnlite.compute.kernel import Kernel, flat, numpy_function
from nnlite.compute.numba_source import can_compile, numba_source, wrapper_source
from nnlite.compute.trace import Trace


def numba_function(kernel: Kernel, dtype: "np.dtype[Any]") -> Callable[..., Any]:
    """The function that computes a kernel in one loop; that of NumPy, if the loop would not be faster."""
    with_ufuncs = numpy_function(kernel, dtype)
    trace, into = kernel.trace, kernel.into
    if not can_compile(trace, dtype):
        return with_ufuncs
    loops, results = Loops(kernel.name, trace, into, dtype), 0 if into else len(trace.results)

    def general(*arguments: Any) -> Any:
        given = dict(zip(trace.arguments, arguments, strict=True))
        arrays = {name: each for name, each in given.items() if np.ndim(each)}
        shape = arguments[0].shape
        alike = all(each.shape == shape and each.dtype == dtype for each in arrays.values())
        if not shape or not alike or not all(given[name].flags.c_contiguous for name in into):
            return with_ufuncs(*arguments)
        outs = [np.empty(shape, dtype) for _ in range(results)]
        values = [each if name in arrays else dtype.type(each) for name, each in given.items()]
        in_blocks(loops[frozenset(arrays)], flat((*values, *outs)), block=LARGE)
        return (outs[0] if results == 1 else tuple(outs)) if outs else None

    scope = {
        "np": np, "dtype": dtype, "real": dtype.type, "LARGE": LARGE, "general": general,
        "loop": loops[frozenset(trace.arguments) - trace.scalars],
    }  # fmt: skip
    exec(wrapper_source(kernel.name, trace, into), scope)
    fast = scope[kernel.name]

    def run(*arguments: Any) -> Any:
        try:
            return fast(*arguments)
        except TypeError:  # arguments of other dtypes, which the loop is not compiled for
            return with_ufuncs(*arguments)

    return run


class Loops(dict[frozenset[str], Callable[..., None]]):
    """The compiled loops of a kernel for a dtype, by the arguments that are arrays, made when they are first needed."""

    def __init__(self, name: str, trace: Trace, into: tuple[str, ...], dtype: "np.dtype[Any]") -> None:
        self.name, self.trace, self.into, self.dtype = name, trace, into, dtype

    def __missing__(self, arrays: frozenset[str]) -> Callable[..., None]:
        source = numba_source(self.trace, self.into, self.dtype, arrays)
        outs = 0 if self.into else len(self.trace.results)
        real = numba.from_dtype(self.dtype)
        kinds = [real[::1] if each in arrays else real for each in self.trace.arguments] + [real[::1]] * outs
        self[arrays] = compiled(self.name, source, numba.void(*kinds))
        return self[arrays]


def compiled(name: str, source: str, signature: Any) -> Callable[..., None]:
    """The function ``loop`` of a source, compiled, or read from Numba's cache, where the folder can be written."""
    # A change of the functions that a loop calls must change its file, since Numba compares that alone.
    digest = hashlib.sha256((source + Path(numba_math.__file__).read_text(encoding="utf-8")).encode()).hexdigest()
    file = _folder() / f"{name}_{digest[:16]}.py"
    try:
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            own = file.with_suffix(f".{os.getpid()}")
            own.write_text(source, encoding="utf-8")
            own.replace(file)
        cached = os.access(file.parent, os.W_OK)
    except OSError:
        cached = False
    module = sys.modules[f"nnlite_kernel_{file.stem}"] = ModuleType(f"nnlite_kernel_{file.stem}")  # Numba asks for it
    exec(compile(source, str(file), "exec"), vars(module))
    compile_ = numba.njit(signature, nogil=True, error_model="numpy", cache=cached)
    return compile_(vars(module)["loop"])  # type: ignore[no-any-return]


def _folder() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "nnlite" / "kernels"
