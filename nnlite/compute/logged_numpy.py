"""The few functions of NumPy that take logged arrays only while they are replaced: see :func:`running`."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any

import numpy as np

from nnlite.compute import blas
from nnlite.compute.call_log import CallLog, LoggedArray, found
from nnlite.compute.logged_size import Size


@contextmanager
def running(log: CallLog) -> Iterator[None]:
    """Let layers run on logged arrays: for that long, a few functions of NumPy log what is done with these.

    No protocol lets an object that stands for an array answer ``np.asarray`` or the size of a new array; for all
    other arguments, so also in other threads, the functions are what they always are.
    """

    def passing(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(value: Any, *arguments: Any, **options: Any) -> Any:
            if not isinstance(value, LoggedArray):
                return function(value, *arguments, **options)
            dtype = arguments[0] if arguments else options.get("dtype")
            if not isinstance(value.node.value, np.ndarray):
                return log.call(function, value, *arguments, **options)
            if function is np_array:
                value = value.copy()
            return value if dtype is None else value.astype(dtype, copy=False)

        return call

    def making(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*arguments: Any, **options: Any) -> Any:
            ours = any(True for _ in found((LoggedArray, Size), [*arguments, *options.values()]))
            new = log.whole_kernels and not log.calling and get_ident() == thread
            return log.call(function, *arguments, **options) if ours or new else function(*arguments, **options)

        return call

    np_array, thread = np.array, get_ident()
    product = blas.matmul

    def matmul(A: Any, B: Any, out: Any = None) -> Any:
        logged = next((each for each in (A, B, out) if isinstance(each, LoggedArray)), None)
        if logged is None:
            return product(A, B, out)
        result = logged.log.call(np.dot, A, B)
        return result if out is None else out.assign(result)

    replaced = {each: passing(getattr(np, each)) for each in ("asarray", "ascontiguousarray", "array")}
    replaced |= {each: making(getattr(np, each)) for each in ("zeros", "empty", "full")}
    with np.errstate(all="ignore"), _replaced(np, replaced), _replaced(blas, {"matmul": matmul}):
        yield


@contextmanager
def _replaced(owner: Any, attributes: dict[str, Any]) -> Iterator[None]:
    """Other attributes of a module, for a while."""
    before = {name: getattr(owner, name) for name in attributes}
    vars(owner).update(attributes)
    try:
        yield
    finally:
        vars(owner).update(before)
