"""Kernels compiled by Numba (extra ``fast``).

The source of a loop is a file in the user's cache folder, beside which Numba keeps the compiled code for later
processes.
"""

import functools
import hashlib
import os
import sys
import threading
from collections.abc import Callable
from contextvars import copy_context
from pathlib import Path
from types import ModuleType
from typing import Any

import numba
import numpy as np

from nnlite.compute import numba_math
from nnlite.compute.blocks import LARGE
from nnlite.compute.kernel import Kernel, blockwise, numpy_function
from nnlite.compute.numba_source import can_compile, numba_source, wrapper_source
from nnlite.compute.tracing import trace

numba.njit("void()")(lambda: None)  # so that Numba's start, 0.4 s, is a part of set_kernels and not of the first kernel


def numba_function(kernel: Kernel, dtype: "np.dtype[Any]") -> Callable[..., Any]:
    """The function that computes a kernel in one loop; that of NumPy, if the loop would not be faster."""
    with_ufuncs = numpy_function(kernel, dtype)
    own, into = kernel.trace, kernel.into
    if not can_compile(own, dtype) or {*kernel.errstate.values()} - {"ignore"}:
        return with_ufuncs
    loops = Loops(kernel, dtype)
    # In additions of NumPy, see in_blocks: a loop takes the time of one for memory, and little for each operation.
    scalars = own.of_kind("scalar")
    cost = 1 + len(own.operations) / 4 + 1.5 * own.functions

    def general(*arguments: Any) -> Any:
        given = dict(zip(own.arguments, arguments, strict=True))
        arrays = {name for name, each in given.items() if getattr(each, "ndim", 0)}  # np.ndim is slow for numbers
        if own.arguments[0] not in arrays or not all(given[name].flags.c_contiguous for name in into):
            return with_ufuncs(*arguments)
        elements = tuple(name for name in scalars if name in arrays)
        numbers = {name: dtype.type(given[name]) for name in scalars if name not in arrays}
        contiguous = {name: np.ascontiguousarray(each, dtype) for name, each in given.items() if name not in numbers}
        loop = loops[elements]

        def on_block(*arrays: Any) -> tuple[Any, ...]:
            sums = [np.empty(arrays[0].shape[1:], dtype) for _ in own.totals]
            loop(*arrays, *sums)
            return tuple(sums)

        return blockwise(kernel, on_block, [*(given | contiguous | numbers).values()], operations=cost, fused=True)

    watched = frozenset() if "all" in kernel.errstate else _ERRORS - kernel.errstate.keys()
    scope: dict[str, Any] = {
        "np": np, "dtype": dtype, "real": dtype.type, "LARGE": int(LARGE / cost), "general": general, "loop": loops[()],
        "with_ufuncs": with_ufuncs, "errors_are_raised": lambda: not watched.isdisjoint(_raised(_errstate())),
    }  # fmt: skip
    made: dict[str, Callable[..., Any]] = {}
    exec(wrapper_source(kernel.name, own, into, bool(watched)), scope, made)
    return made[kernel.name]


_ERRORS = frozenset({"divide", "over", "under", "invalid"})


def _errstate_variable() -> Callable[[], Any]:
    """What returns an object that is another one in each ``np.errstate``: np.geterr takes ten times as long."""
    with np.errstate():
        return next((each.get for each in copy_context() if each.name == "numpy.ufunc.extobj"), object)


_errstate = _errstate_variable()


def errors_are_raised() -> bool:
    """Whether ``np.errstate`` asks for an error at any floating-point error."""
    return bool(_raised(_errstate()))


@functools.lru_cache(maxsize=8)
def _raised(errstate: Any) -> frozenset[str]:
    """The floating-point errors that ``np.errstate``, of which that is the object, neither ignores nor warns of."""
    return frozenset(error for error, treated in np.geterr().items() if treated not in ("ignore", "warn"))


class Loops(dict[tuple[str, ...], Callable[..., None]]):
    """The compiled loops of a kernel for a dtype, by the numbers for which there are arrays; made when first needed."""

    def __init__(self, kernel: Kernel, dtype: "np.dtype[Any]") -> None:
        self.kernel, self.dtype = kernel, dtype

    def __missing__(self, elements: tuple[str, ...]) -> Callable[..., None]:
        into = self.kernel.into
        own = trace(self.kernel.formula, elements)
        real = numba.from_dtype(self.dtype)

        def typed(value: str, readonly: bool) -> Any:
            dimensions = {"full": 1 + own.by_rows, "row": 2, "column": 1, "total": 1, "scalar": 0}[own.kinds[value]]
            return numba.types.Array(real, dimensions, "C", readonly) if dimensions else real

        # Read-only arrays, such as a Y that a layer has cached, are no arguments of a function that may write them.
        types = [typed(each, readonly=each not in into) for each in own.arguments]
        types += [] if into else [typed(each, readonly=False) for each in own.results]
        self[elements] = compiled(self.kernel.name, numba_source(own, into, self.dtype), numba.void(*types))
        return self[elements]


def compiled(name: str, source: str, signature: Any) -> Callable[..., None]:
    """The function ``loop`` of a source, compiled, or read from Numba's cache, where the folder can be written."""
    # A change of the functions that a loop calls must change its file, since Numba compares that alone.
    digest = hashlib.sha256((source + Path(numba_math.__file__).read_text(encoding="utf-8")).encode()).hexdigest()
    stem = f"{name}_{digest[:16]}"
    module = sys.modules[f"nnlite_kernel_{stem}"] = ModuleType(f"nnlite_kernel_{stem}")  # Numba asks for it
    compile_ = functools.partial(numba.njit, signature, nogil=True, error_model="numpy")
    try:
        file = _folder() / f"{stem}.py"
        if not file.exists():
            _write(file, source)
        exec(compile(source, str(file), "exec"), vars(module))
        return compile_(cache=True)(vars(module)["loop"])
    except (OSError, RuntimeError):  # there is no folder that can be written, or no home
        exec(compile(source, f"<nnlite kernel {stem}>", "exec"), vars(module))
        return compile_()(vars(module)["loop"])


def _write(file: Path, source: str) -> None:
    """Write a file that other threads and processes may be writing, too."""
    file.parent.mkdir(parents=True, exist_ok=True)
    own = file.with_suffix(f".{os.getpid()}.{threading.get_ident()}")
    own.write_text(source, encoding="utf-8")
    own.replace(file)


def _folder() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "nnlite" / "kernels"
