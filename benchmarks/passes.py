"""One forward or one backward of a layer: nnlite's, its lower bound in bare NumPy, and PyTorch's, on the same arrays.

In PyTorch forward records the graph, as in training; backward is ``torch.autograd.grad`` for the input and the
parameters, through a graph that is recorded once and retained, so building and freeing it is not part of backward.
The value of a loss is converted to a Python float by all.
"""

from functools import partial
from typing import Any

import floors
import numpy as np
from contenders import Run, repeated


def inputs(layer: str, shape: tuple[int, ...], dtype: str) -> list[np.ndarray]:
    """X, dY, W and b of a Linear of shape (N, D, M); X and dY of shape (N, D); Y and target of a loss."""
    rng = np.random.default_rng(0)
    N, D = shape[:2]
    X = rng.standard_normal((N, D))
    if layer == "Linear":
        M = shape[2]
        arrays = [X, rng.standard_normal((N, M)), rng.standard_normal((D, M)) / np.sqrt(D), rng.standard_normal(M)]
    elif layer == "CrossEntropyLoss":
        return [X.astype(dtype), rng.integers(0, D, N)]
    elif layer == "BCELoss":
        arrays = [rng.uniform(0.01, 0.99, (N, D)), rng.random((N, D)) < 0.5]
    elif layer == "BCEWithLogitsLoss":
        arrays = [X, rng.random((N, D)) < 0.5]
    else:
        arrays = [X, rng.standard_normal((N, D))]
    return [array.astype(dtype) for array in arrays]


def nnlite(layer: str, shape: tuple[int, ...], dtype: str, way: str) -> Run:
    """``way`` is "forward" or "backward"."""
    import nnlite as nn

    X, other, *parameters = inputs(layer, shape, dtype)
    if layer == "Linear":
        module = nn.Linear(*parameters[0].shape, dtype=dtype)
        module.W, module.b = parameters
    else:
        module = getattr(nn, layer)()
    loss = layer.endswith("Loss")
    forward = partial(module.forward, X, other) if loss else partial(module.forward, X)
    backward = module.backward if loss else partial(module.backward, other)
    forward()
    if way == "forward":
        return repeated(forward)
    return repeated(backward, lambda dX: (dX, module.dW, module.db) if parameters else dX)


def numpy(layer: str, shape: tuple[int, ...], dtype: str, way: str) -> Run:
    """The lower bound."""
    forward, backward = floors.LAYERS[layer](*inputs(layer, shape, dtype))
    forward()
    return repeated(forward if way == "forward" else backward)


def torch(layer: str, shape: tuple[int, ...], dtype: str, way: str) -> Run:
    """The module of torch.nn; its Linear stores the transpose of W."""
    import torch

    X, other, *parameters = map(torch.from_numpy, inputs(layer, shape, dtype))
    sources = [X.requires_grad_()]
    if layer == "Linear":
        W, b = parameters
        module = torch.nn.Linear(*W.shape, dtype=X.dtype)
        with torch.no_grad():
            module.weight.copy_(W.T)
            module.bias.copy_(b)
        sources += [module.weight, module.bias]
    else:
        module = getattr(torch.nn, layer)(**({"dim": -1} if "Softmax" in layer else {}))
    loss = layer.endswith("Loss")
    if way == "forward":
        return repeated((lambda: module(X, other).item()) if loss else lambda: module(X), _plain)
    Y = module(X, other) if loss else module(X)
    dY = None if loss else other
    return repeated(lambda: torch.autograd.grad(Y, sources, dY, retain_graph=True), _plain)


def _plain(value: Any) -> Any:
    """The results in the form of the other contenders."""
    if isinstance(value, tuple):
        dX, *gradients = value
        return (dX, gradients[0].T, gradients[1]) if gradients else dX
    return value if isinstance(value, float) else value.detach()
