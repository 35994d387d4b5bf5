"""Kernels: elementwise formulas, written once as ordinary NumPy, and computed in the fastest way there is.

A kernel is a function of ufuncs. It is called once with symbols, which record its operations (tracing.py). From these
comes the source of a function that calls the same ufuncs without a new array for each result (numpy_source.py), on
large arrays block by block in several threads (blocks.py); or, after ``nn.set_kernels("numba")``, of one loop that
Numba compiles (numba_source.py). Both do the same operations in the same order.
"""

import functools
import inspect
import linecache
import os
import threading
import weakref
import zlib
from collections.abc import Callable
from contextvars import Context, copy_context
from types import CodeType, FunctionType
from typing import Any, ClassVar, overload

import numpy as np

from nnlite.basics.arrays import Array, StandIn
from nnlite.compute.arguments import apart, calls_first, conform, entry_statement, names_of_arguments, shapes_of
from nnlite.compute.blocks import BLOCK, in_blocks
from nnlite.compute.log1p import fast_log1p
from nnlite.compute.numpy_source import constants, numpy_source
from nnlite.compute.row_reductions import REDUCTIONS
from nnlite.compute.sums import column_sum, total
from nnlite.compute.tracing import Symbol, Trace, trace
from nnlite.compute.unbuffered import unbuffered

_ROW = 512  # elements that are added in float32; then their sums are added in float64
SUMMED_WHOLE = 128 * _ROW  # fewer elements than this are added as an array


@overload
def kernel(formula: Callable[..., Any]) -> "Kernel": ...
@overload
def kernel(*, into: tuple[str, ...] = (), **errstate: Any) -> "Callable[[Callable[..., Any]], Kernel]": ...
def kernel(formula: Callable[..., Any] | None = None, *, into: tuple[str, ...] = (), **errstate: Any) -> Any:
    """Make an elementwise formula fast: decorator of a function of ufuncs.

    Args:
        formula: a function of arrays of one shape and floating dtype that calls ufuncs and operators, and
            ``np.where(comparison, value, value)``, ``np.clip(value, low, high)``, and for matrices ``np.max``,
            ``np.sum`` and ``np.mean`` of each row, with ``axis=-1, keepdims=True``; what it returns last may be sums of
            columns, ``np.sum`` with ``axis=0``. Arguments annotated with ``float`` are numbers, in place of which an
            array of that shape may hold one for each element. Float32 and float64 are fast; of float16 and longdouble
            the results have that dtype too. Arrays of whole numbers and bools may stand beside a floating first one.
        into: names of arguments, one for each result, that the results are written into. Other arguments that share
            memory with them are copied first.
        errstate: how floating-point errors in it are treated, as in ``np.errstate``.

    Returns:
        The :class:`Kernel`, which is called as the function is. It returns new arrays, or None if it writes ``into``
        its arguments. In the formula of another kernel it is part of that.

    Raises:
        TypeError: in the first call, the formula does something else; in any, the first argument is no array of
            floating numbers, or another one is neither an array nor a number, or of another floating dtype. There is no
            such option of ``np.errstate``.
        ValueError: an array to write into is read-only, or an option of ``np.errstate`` has another value.
        ShapeError: arrays have different shapes. Only numbers are broadcast.

    >>> @kernel
    ... def tanh_backward(dY, Y):
    ...     return dY * (1 - Y * Y)
    >>> tanh_backward(np.array([1.0, 2.0]), np.array([0.0, 0.5]))
    array([1. , 1.5])

    >>> @kernel(into=("Phi",))
    ... def descend(Phi, dPhi, lr: float = 0.01):
    ...     return Phi - lr * dPhi
    >>> Phi = np.array([1.0, 2.0])
    >>> descend(Phi, np.array([10.0, 20.0]), lr=0.1)
    >>> Phi
    array([0., 0.])
    """
    if formula is None:
        return lambda formula: Kernel(formula, into, errstate)
    return Kernel(formula, into, errstate)


class Kernel:
    """An elementwise formula, see :func:`kernel`; ``print`` shows the source of its NumPy function.

    >>> print(kernel(lambda X: X * X + 1))
    def kernel(X, *, out=None):
        if out is None and (X.size > BLOCK or not X.ndim):
            return in_blocks(X)
        out = np.multiply(X, X, out)
        np.add(out, ONE, out)
        return out
    <BLANKLINE>
    """

    everyone: "ClassVar[weakref.WeakSet[Kernel]]" = weakref.WeakSet()  # noqa: RUF012
    making = threading.RLock()  # so that of several threads one makes a function, which may take Numba a while
    make: "ClassVar[Callable[[Kernel, np.dtype[Any]], Callable[..., Any]]]"  # the function that computes a kernel

    def __init__(self, formula: Callable[..., Any], into: tuple[str, ...], errstate: dict[str, Any]) -> None:
        if not (inspect.isfunction(formula) or inspect.ismethod(formula)):
            raise TypeError(f"kernel: expected a function of ufuncs, such as lambda X: X * X, got {formula!r}")
        try:
            with np.errstate(**errstate):
                pass
        except (TypeError, ValueError) as error:
            given = ", ".join(f"{option}={value!r}" for option, value in errstate.items())
            raise type(error)(
                f"kernel {formula.__name__}: expected options of np.errstate, such as over='ignore', got {given}: "
                f"{error}"
            ) from None
        functools.update_wrapper(self, formula)
        self.formula = formula
        self.name = formula.__name__ if formula.__name__.isidentifier() else "kernel"
        self.into = into
        self.errstate = errstate
        self._functions = _Functions(self)
        self._place = inspect.unwrap(formula).__code__
        names, others = names_of_arguments(self._place, inspect.ismethod(formula))
        code = calls_first(0 if others else len(names))  # a formula with others is refused in the first call
        self._enter_by(code if others else code.replace(co_varnames=names), {"__first__": self._first})
        Kernel.everyone.add(self)

    def __reduce__(self) -> str:
        """A copy is the kernel itself; a pickle holds its name."""
        return self.__qualname__  # type: ignore[no-any-return, attr-defined] # the formula's

    __call__: Callable[..., Array]  # or a tuple of them, or None; of each kernel its own: see _enter_by

    def _first(self, *arguments: Any, **named: Any) -> Any:
        """Make the function that looks at the arguments, and call it."""
        given = ", ".join(self.trace.arguments)
        scope = {"ndarray": np.ndarray, "functions": self._functions, "apart": apart, "unusual": self._unusual}
        exec(f"def entry({given}): {entry_statement(self.trace, self.into)}", scope)
        entry: Any = scope["entry"]
        self._enter_by(entry.__code__, scope)
        return self(*arguments, **named)

    def _enter_by(self, code: CodeType, scope: dict[str, Any]) -> None:
        """Make the code of a function with the formula's arguments what a call of the kernel runs.

        The function is of a class of this kernel alone: a call through a method of Kernel would take a fifth of the
        time of a kernel for few numbers. It has the file and line of the formula: a debugger that steps into a kernel
        shows the formula with its arguments, not the code that checks them.
        """
        file, first = self._place.co_filename, self._place.co_firstlineno
        line = next((line for *_, line in self._place.co_lines() if line and line > first), first)
        code = code.replace(co_filename=file, co_firstlineno=line, co_name=self.name, co_qualname=self.name)
        entry = FunctionType(code, scope, self.name, self.formula.__defaults__)
        self.__class__ = type("Kernel", (Kernel,), {"__call__": staticmethod(entry)})

    def _unusual(self, *arguments: Any) -> Any:
        for each in arguments:
            if isinstance(each, StandIn):
                return each.apply(self, *arguments)
        if not any(isinstance(each, Symbol) for each in arguments):
            own = conform(self.name, self.trace, self.into, arguments)
            dtype = own[0].dtype
            function = self._functions[dtype]
            kinds = [self.trace.kinds[each] for each in self.trace.arguments]
            if any(value.dtype != dtype for value, kind in zip(own, kinds, strict=True) if kind != "scalar"):
                function = _treated(self, functools.partial(_as_written, self, dtype))
            return function(*own)
        if self.into or self.errstate:
            raise TypeError(f"kernel {self.name}: expected no into and no errstate where it is part of another kernel")
        return self.formula(*arguments)

    def sum(self, *arguments: Any) -> float:
        """The sum of the elements of the result; no array of the result is made if it would be large."""
        size = np.size(arguments[0])
        if size < SUMMED_WHOLE or self.trace.by_rows:
            return np.add.reduce(self(*arguments), axis=None).item()  # type: ignore[no-any-return]
        whole = size - size % _ROW
        flat = divisible(self, conform(self.name, self.trace, (), arguments))
        sums = self._row_sums(*[each[:whole].reshape(-1, _ROW) if np.ndim(each) else each for each in flat])
        rest = self(*[each[whole:] if np.ndim(each) else each for each in flat])
        return float(np.add.reduce(sums, axis=None, dtype=np.float64) + np.add.reduce(rest))

    @functools.cached_property
    def _row_sums(self) -> "Kernel":
        """The sums of the rows of the result."""

        @functools.wraps(self.formula)
        def sums(*arguments: Any) -> Any:
            return np.sum(self.formula(*arguments), axis=-1, keepdims=True)

        return Kernel(sums, (), self.errstate)

    @functools.cached_property
    def trace(self) -> Trace:
        """The operations of the formula.

        Raises:
            TypeError: it cannot be a kernel.
        """
        traced = trace(self.formula)
        if self.into:
            place, arrays = f"kernel {self.formula.__name__}: into", traced.of_kind("full")
            if len({*self.into} & {*arrays}) != len(self.into) or len(self.into) != len(traced.results):
                raise TypeError(f"{place}: expected an array for each result, of {arrays}, got {self.into!r}")
            if {traced.kinds[each] for each in traced.results} != {"full"}:
                raise TypeError(f"{place}: expected results that are whole arrays, got a number for each row")
            if traced.by_rows and any({*self.into} & {*each.operands} for each in traced.operations):
                raise TypeError(f"{place}: a formula by rows cannot read the arrays that it writes into")
        return traced

    def __str__(self) -> str:
        return numpy_source(self.name, self.trace, self.into)

    def forget(self) -> None:
        """Make the functions anew when they are next needed."""
        with Kernel.making:
            self._functions.clear()


class _Functions(dict["np.dtype[Any]", Callable[..., Any]]):
    """The functions that compute a kernel, by dtype, made when they are first needed."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel

    def __missing__(self, dtype: "np.dtype[Any]") -> Callable[..., Any]:
        if dtype.kind != "f":
            name, first = self.kernel.name, self.kernel.trace.arguments[0]
            raise TypeError(
                f"{name}: expected {first} of a floating dtype, got {dtype}; pass {first}.astype(np.float32)"
            )
        with Kernel.making:
            if dtype not in self:
                self[dtype] = Kernel.make(self.kernel, dtype)
            return self[dtype]


try:
    from numpy._core.umath import clip  # type: ignore[attr-defined] # np.clip, which calls it, takes 1 us more
except ImportError:  # this ufunc is not public
    clip = np.clip


def numpy_function(kernel: Kernel, dtype: "np.dtype[Any]") -> Callable[..., Any]:
    """The function that computes a kernel with ufuncs."""
    return _treated(kernel, _with_ufuncs(kernel, dtype))


def _treated(kernel: Kernel, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with the kernel's treatment of floating-point errors."""
    if kernel.errstate == {"all": "ignore"}:
        return silent(function)
    return np.errstate(**kernel.errstate)(function) if kernel.errstate else function


def silent(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, without warnings and errors of floating-point numbers."""
    return lambda *arguments: _SILENT.copy().run(function, *arguments)


def _with_ufuncs(kernel: Kernel, dtype: "np.dtype[Any]") -> Callable[..., Any]:
    if dtype.itemsize > 8 or not dtype.isnative:  # selecting by bits needs integers of the same size and order
        return functools.partial(_as_written, kernel, dtype)
    trace, into = kernel.trace, kernel.into
    source = numpy_source(kernel.name, trace, into)
    scope: dict[str, Any] = {name: np.array(value, dtype) for name, value in constants(trace).items()}
    scope |= {f"row_{name}": reduction for name, reduction in REDUCTIONS.items()}
    scope |= {
        "np": np, "BLOCK": BLOCK, "dtype": dtype, "bits": np.dtype(f"i{dtype.itemsize}"),
        "log1p": fast_log1p, "clip": clip, "in_blocks": lambda *arguments: large(arguments), "column_sum": column_sum,
    }  # fmt: skip
    # Equal names of different kernels must not share a file: debuggers would show the source of the other.
    file = f"<nnlite kernel {kernel.name} {dtype} {zlib.crc32(source.encode()):08x}>"
    linecache.cache[file] = len(source), None, source.splitlines(keepends=True), file
    made: dict[str, Callable[..., Any]] = {}
    exec(compile(source, file, "exec"), scope, made)
    function = made[kernel.name]
    keywords, given = [*(function.__kwdefaults__ or ())], len(trace.arguments)
    cost = trace.cost
    # Masks become integers in NumPy's buffers: without these it takes ten times as long.
    broadcasts = trace.by_rows and not any(each.function == "where" for each in trace.operations)

    def large(arguments: Any) -> Any:
        def on_block(*arrays: Any) -> Any:
            return function(*arrays[:given], **dict(zip(keywords, arrays[given:], strict=True)))

        scratch = len(keywords) - (0 if into else len(trace.outs))
        with unbuffered(np.shape(arguments[0])[-1] if broadcasts else 0):
            return blockwise(kernel, on_block, arguments, scratch, operations=cost)

    return function


def blockwise(
    kernel: Kernel,
    function: Callable[..., Any],
    arguments: Any,
    scratch: int = 0,
    *,
    operations: float,
    fused: bool = False,
) -> Any:
    """What the function computes with one block of the arrays after another; it returns the sums of columns last.

    For ``operations`` and ``fused`` see :func:`in_blocks`.
    """
    trace, first = kernel.trace, arguments[0]
    shapes = shapes_of(kernel.name, trace, first.shape)
    outs = [] if kernel.into else [np.empty(shapes[trace.kinds[each]], first.dtype) for each in trace.outs]
    inputs = divisible(kernel, arguments)
    returned = in_blocks(function, [*inputs, *divisible(kernel, outs)], scratch, operations=operations, fused=fused)
    if trace.totals:
        parts = [each if isinstance(each, tuple) else (each,) for each in returned]
        outs += [total(of_blocks) for of_blocks in list(zip(*parts, strict=True))[-len(trace.totals) :]]
    for name, given, own in zip(trace.arguments, arguments, inputs, strict=True):
        if name in kernel.into and not given.flags.c_contiguous:
            given[...] = own.reshape(given.shape)
    return (outs[0] if len(outs) == 1 else tuple(outs)) if outs else None


def divisible(kernel: Kernel, arguments: Any) -> list[Any]:
    """The arrays in a form that can be divided: contiguous, and with one axis unless the formula has rows."""
    if kernel.trace.by_rows:
        return [np.ascontiguousarray(each) if getattr(each, "ndim", 0) else each for each in arguments]
    return [each.reshape(-1) if getattr(each, "ndim", 0) else each for each in arguments]


def _as_written(kernel: Kernel, dtype: "np.dtype[Any]", *arguments: Any) -> Any:
    """Call the formula itself; results have the dtype, in the order of bytes of this machine."""
    returned = kernel.formula(*arguments)
    results = [
        np.asarray(each, dtype.newbyteorder("=")) for each in (returned if isinstance(returned, tuple) else (returned,))
    ]
    if not kernel.into:
        return tuple(results) if len(results) > 1 else results[0]
    for name, result in zip(kernel.into, results, strict=True):
        arguments[kernel.trace.arguments.index(name)][...] = result
    return None


def _silent_context() -> Context:
    with np.errstate(all="ignore"):
        return copy_context()


# To call a function in a copy of this context takes 0.1 us, with np.errstate(all="ignore") 0.5 us.
_SILENT = Context().run(_silent_context)


def _after_fork() -> None:
    Kernel.making = threading.RLock()  # another thread of the parent may have held it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

Kernel.make = numpy_function  # set_kernels changes it
