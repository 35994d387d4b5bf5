"""One forward or one backward of a layer, on the same arrays: nnlite's, straight-line NumPy's, PyTorch's; and floors.

In PyTorch forward records the graph, as in training; backward is ``torch.autograd.grad`` for the inputs and the
parameters, through a graph that is recorded once and retained, so building and freeing it is not part of backward.
The value of a loss is converted to a Python float by all.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import by_hand
import numpy as np
from cases import Case, case_of
from contenders import Run, repeated

BLOCK, LARGE = 2**18, 2**20  # elements that stay in the cache, and from which on two threads are faster than one


def inputs(case: Case, shape: Sequence[int], dtype: str) -> list[np.ndarray]:
    """The inputs; indices remain integers."""
    arrays = case.inputs(np.random.default_rng(0), *shape[:2])
    return [each.astype(dtype) if each.dtype.kind == "f" else each for each in arrays]


def gradient(shape: Sequence[int], dtype: str) -> np.ndarray:
    """dY for a Y of that shape."""
    return np.random.default_rng(1).standard_normal(tuple(shape)).astype(dtype)


def fill(parameters: Iterable[np.ndarray]) -> None:
    """Set the parameters to numbers that are the same in every process."""
    rng = np.random.default_rng(2)
    for each in parameters:
        each[...] = rng.uniform(0.5, 1.5, each.shape) / np.sqrt(len(each) if each.ndim == 2 else 1)


def nnlite(layer: str, shape: tuple[int, ...], dtype: str, way: str) -> Run:
    """``way`` is "forward" or "backward"; ``layer`` may be somebody's own."""
    case, module = case_of(layer)
    made = case.made(module, shape).astype(dtype)
    fill(P for _, P in made.named_parameters())
    forward = partial(made.forward, *inputs(case, shape, dtype))
    Y = forward()
    backward = partial(made.backward, *([] if isinstance(Y, float) else [gradient(np.shape(Y), dtype)]))
    if way == "forward":
        return repeated(forward)
    backward()
    return repeated(backward, lambda dX: _tuple(dX, *(dP for _, dP in made.named_gradients())))


def numpy(layer: str, shape: tuple[int, ...], dtype: str, way: str) -> Run:
    """The shortest chain of NumPy calls that we know, into arrays made beforehand, without checks."""
    case, _ = case_of(layer)
    arrays = inputs(case, shape, dtype)
    if layer == "Linear":
        N, D, M = shape
        W, b = np.empty((D, M), dtype), np.empty(M, dtype)
        fill([W, b])
        arrays += [gradient((N, M), dtype), W, b]
    elif not layer.endswith("Loss"):
        arrays.append(gradient(shape, dtype))
    forward, backward = by_hand.LAYERS[layer](*arrays)
    forward()
    return repeated(forward if way == "forward" else backward)


def torch(layer: str, shape: tuple[int, ...], dtype: str, way: str) -> Run:
    """The module of torch.nn; its Linear stores the transpose of W."""
    import torch

    case, _ = case_of(layer)
    arrays = list(map(torch.from_numpy, inputs(case, shape, dtype)))
    sources = [arrays[position].requires_grad_() for position in case.gradients]
    module = case.made(torch.nn, shape).to(getattr(torch, dtype))
    transposed = isinstance(module, torch.nn.Linear)
    with torch.no_grad():
        fill(P.numpy().T if transposed else P.numpy() for P in module.parameters())
    sources += module.parameters()
    Y = module(*arrays)
    if way == "forward":
        return repeated((lambda: module(*arrays).item()) if Y.ndim == 0 else lambda: module(*arrays), _plain)
    dY = None if Y.ndim == 0 else torch.from_numpy(gradient(Y.shape, dtype))
    backward = partial(torch.autograd.grad, Y, sources, dY, retain_graph=True)
    return repeated(backward, lambda found: (found[0], *(each.T for each in found[1:])) if transposed else found)


def floor(layer: str, shape: tuple[int, ...], dtype: str, way: str) -> Run:
    """The least that the pass must do: its products, or one ufunc that reads and writes as many bytes as it must."""
    case, _ = case_of(layer)
    if layer == "Linear":
        X, dY = inputs(case, shape, dtype)[0], gradient((shape[0], shape[2]), dtype)
        W = np.ones(shape[1:], dtype)
        products = [(X, W)] if way == "forward" else [(X.T, dY), (dY, W.T)]
        calls = [partial(np.dot, A, B, np.dot(A, B)) for A, B in products]
        return repeated(lambda: [call() for call in calls], lambda _: ())
    run = moved(int(case.arrays[way == "backward"] * shape[0] * shape[1]), dtype)
    return repeated(run, lambda _: ())


def functions(layer: str, shape: tuple[int, ...], dtype: str, way: str) -> Run:
    """The exponentials, logarithms and tanh of forward alone, by NumPy."""
    case, _ = case_of(layer)
    X = np.random.default_rng(0).uniform(0.01, 0.99, shape[0] * shape[1]).astype(dtype)
    ufuncs = [getattr(np, name) for name in case.functions]
    run = divided(lambda X, Y: [ufunc(X, Y) for ufunc in ufuncs], X, np.empty_like(X))
    return repeated(run, lambda _: ())


def moved(count: int, dtype: str) -> Callable[[], None]:
    """The fastest way to read and write ``count`` numbers in all: on some machines copyto takes 40 times as long."""
    source = np.ones(count // 2, dtype)
    return divided(np.negative, source, np.empty_like(source))


def divided(function: Callable[..., Any], *arrays: np.ndarray) -> Callable[[], None]:
    """The function of one block of the arrays after another; of large ones in threads, each with a contiguous share."""
    size, threads = len(arrays[0]), int(os.environ.get("OMP_NUM_THREADS", "1"))
    share = -(-size // (threads if size >= LARGE else 1)) or 1

    def compute(start: int) -> None:
        for low in range(start, min(start + share, size), BLOCK):
            function(*(each[low : min(low + BLOCK, start + share)] for each in arrays))

    if share == size <= BLOCK:
        return lambda: function(*arrays)
    pool, starts = ThreadPoolExecutor(threads), range(share, size, share)

    def run() -> None:
        others = [pool.submit(compute, start) for start in starts]
        compute(0)
        for other in others:
            other.result()

    return run


def _tuple(*values: Any) -> Any:
    """The gradients of all inputs and parameters that have one."""
    flat = [each for value in values for each in (value if isinstance(value, tuple) else (value,)) if each is not None]
    return tuple(flat)


def _plain(value: Any) -> Any:
    return value if isinstance(value, float) else value.detach()
