"""Kernels compiled by Numba (extra ``fast``).

The source of a loop is a file in the user's cache folder, beside which Numba keeps the compiled code for later
processes.
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
from nnlite.compute.blocks import LARGE
from nnlite.compute.kernel import Kernel, blockwise, numpy_function
from nnlite.compute.numba_source import can_compile, numba_source, wrapper_source


def numba_function(kernel: Kernel, dtype: "np.dtype[Any]") -> Callable[..., Any]:
    """The function that computes a kernel in one loop; that of NumPy, if the loop would not be faster."""
    with_ufuncs = numpy_function(kernel, dtype)
    trace, into = kernel.trace, kernel.into
    if not can_compile(trace, dtype):
        return with_ufuncs
    loops = Loops(kernel, dtype)

    def general(*arguments: Any) -> Any:
        given = dict(zip(trace.arguments, arguments, strict=True))
        for name, each in given.items():
            unlike = (np.ndim(each) and each.dtype != dtype) or (name in into and not each.flags.c_contiguous)
            if unlike or not np.ndim(arguments[0]):
                return with_ufuncs(*arguments)
        elements = frozenset(name for name in trace.of_kind("scalar") if np.ndim(given[name]))
        numbers = {name: dtype.type(given[name]) for name in trace.of_kind("scalar") if name not in elements}
        return blockwise(kernel, loops[elements], tuple((given | numbers).values()), block=LARGE)

    scope: dict[str, Any] = {
        "np": np, "dtype": dtype, "real": dtype.type, "LARGE": LARGE, "general": general, "loop": loops[frozenset()],
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
    """The compiled loops of a kernel for a dtype, by the scalars for which there are arrays; made when first needed."""

    def __init__(self, kernel: Kernel, dtype: "np.dtype[Any]") -> None:
        self.kernel, self.dtype = kernel, dtype

    def __missing__(self, elements: frozenset[str]) -> Callable[..., None]:
        trace, into = self.kernel.trace, self.kernel.into
        source = numba_source(trace, into, self.dtype, elements)
        real = numba.from_dtype(self.dtype)
        axes = {"full": 2 if trace.by_rows else 1, "row": 2, "column": 1}

        def kind(name: str, readonly: bool) -> Any:
            of = "full" if name in elements else trace.kinds[name]
            return real if of == "scalar" else numba.types.Array(real, axes[of], "C", readonly=readonly)

        of = [kind(each, readonly=each not in into) for each in trace.arguments]  # a cached Y is read-only
        of += [] if into else [kind(each, readonly=False) for each in trace.results]
        self[elements] = compiled(self.kernel.name, source, numba.void(*of))
        return self[elements]


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
