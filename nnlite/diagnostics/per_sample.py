"""per_sample_gradients and per_sample_gradient_norms: what each sample contributes to dPhi."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array, as_floating
from nnlite.basics.trees import spread
from nnlite.compute import blas
from nnlite.diagnostics.argument_names import is_plain
from nnlite.diagnostics.samples import alike, check_rows, count_of, first_that_mixes, largest, pick, samples
from nnlite.diagnostics.trace import watching
from nnlite.layer.layer import Layer, check_layer, inside
from nnlite.layers.linear import Linear
from nnlite.losses.per_output import as_one_loss


def per_sample_gradients(model: Layer, X: Any, target: Any, loss: Any) -> dict[str, Array]:
    """What each sample contributes to each parameter's gradient; summed over the samples it is dPhi.

    The loss is a sum over the samples, divided by its ``count`` if it is a mean, and so is its gradient,
    ``dP = sum_i dP_i``. For the W of a Linear ``dP_i = x_i dy_i^T``; any other layer runs on one sample at a time.

    Args:
        model: any Layer whose rows are samples; it runs on a copy, in the mode it is in, and stays as it is.
        X: its input, a row per sample; of several a tuple, or a dict by name.
        target: the targets, as the loss takes them.
        loss: such as ``BCELoss()``; of a model of several outputs a tuple or dict of losses, as ``fit`` takes it.

    Returns:
        For each parameter, by its name in ``named_parameters``, an array of shape (N, *its shape). What is tied stands
        once, with the sum over its uses. All together take N times the memory of dPhi.

    Raises:
        ValueError: what the model does with a sample depends on the others, or is random.
        ShapeError: an array, or an output, has not a row per sample.

    >>> import nnlite as nn
    >>> model = nn.Sequential(nn.Linear(3, 2, rng=0), nn.Tanh())
    >>> gradients = per_sample_gradients(model, np.ones((5, 3)), np.zeros((5, 2)), nn.MSELoss())
    >>> {name: dP.shape for name, dP in gradients.items()}
    {'0.W': (5, 3, 2), '0.b': (5, 2)}
    """
    run = _run(model, X, target, loss)
    gradients = {
        name: np.empty((run.count, *P.shape), P.dtype)
        for name, P in run.model.named_parameters()
        if name not in run.products
    }
    for number, alone in _one_at_a_time(run):
        for name, dP in gradients.items():
            dP[number] = alone[name]
    gradients |= {name: _outer(factors) for name, factors in run.products.items()}
    return {name: gradients[name] for name, _ in run.model.named_parameters()}


def per_sample_gradient_norms(model: Layer, X: Any, target: Any, loss: Any) -> dict[str, Array]:
    """The length of each of the gradients of :func:`per_sample_gradients`, which are not kept.

    For a Linear of 2-D input they are not even formed: ``|dW_i| = |x_i| |dy_i|`` and ``|db_i| = |dy_i|``. Where a
    parameter is used twice, as those of tied layers are, this does not hold, and any other layer knows nothing of it:
    the model then runs on one sample at a time.

    Args:
        model: as for :func:`per_sample_gradients`, and so are the others.
        X: its input.
        target: the targets.
        loss: behind the model.

    Returns:
        For each parameter, by its name, an array of N norms. ``np.sqrt(sum(n**2 for n in norms.values()))`` has those
        of the whole dPhi.

    Raises:
        ValueError, ShapeError: as :func:`per_sample_gradients`.

    Source: Goodfellow, Efficient per-example gradient computations, 2015.

    >>> import nnlite as nn
    >>> layer = nn.Linear(2, 1)
    >>> layer.W = [[0], [0]]
    >>> norms = per_sample_gradient_norms(layer, [[3, 4], [0, 1]], [[1], [1]], nn.MSELoss())
    >>> norms["W"], norms["b"]
    (array([5., 1.], dtype=float32), array([1., 1.], dtype=float32))
    """
    run = _run(model, X, target, loss)
    norms = {name: np.empty(run.count, P.dtype) for name, P in run.model.named_parameters() if name not in run.products}
    for number, alone in _one_at_a_time(run):
        for name, norm in norms.items():
            norm[number] = np.linalg.norm(alone[name])
    for name, factors in run.products.items():
        norms[name] = np.prod([np.linalg.norm(factor, axis=1) for factor in factors], axis=0)
    return {name: norms[name] for name, _ in run.model.named_parameters()}


@dataclass
class _Run:
    """A model after its forward and backward on all samples.

    Attributes:
        model: a copy.
        X: its input.
        dY: what the loss gave its backward.
        count: how many samples there are.
        gradients: of all samples together.
        products: for some parameters the factors whose outer product, row by row, is their gradient: (X, dY), or (dY,).
    """

    model: Layer
    X: Any
    dY: Any
    count: int
    gradients: dict[str, Array]
    products: dict[str, tuple[Array, ...]]


def _run(model: Layer, X: Any, target: Any, loss: Any) -> _Run:
    check_layer(model, "model")
    model, loss = copy.deepcopy((model, as_one_loss(loss)))
    X, target = samples(X, "X"), samples(target, "target")
    count = count_of(X)
    calls: list[tuple[str, str, Any]] = []
    with watching(model, lambda path, name, call, result: calls.append((path, name, call))):
        Y = spread(model.forward, X)
        check_rows(model, Y, count)
        loss.forward(Y, target)
        dY = loss.backward()
        spread(model.backward, dY)
    gradients = {name: dP.copy() for name, dP in model.named_gradients()}
    products = dict(_products(model, calls, count))
    if mixing := first_that_mixes(model, X, sorted({0, count - 1})):
        raise ValueError(
            f"the output of {mixing} for one sample depends on the others, or is random, so the samples have no "
            "gradients of their own; in evaluation mode, model.eval(), it may be otherwise"
        )
    run = _Run(model, X, dY, count, gradients, products)
    for number in sorted({0, count - 1}):
        _keep_those_of_samples(run, number)
    return run


def _products(model: Layer, calls: list[tuple[str, str, Any]], count: int) -> Iterator[tuple[str, tuple[Array, ...]]]:
    """The factors of each Linear whose gradient is one product, of as many rows as there are samples."""
    tied = {
        id(part)
        for _, layer in model.named_layers()
        if layer.original is not None
        for _, part in layer.original.named_layers()
    }
    for path, layer in model.named_layers():
        own = [(name, call) for where, name, call in calls if where == path]
        if not is_plain(layer, Linear) or id(layer) in tied or [name for name, _ in own] != ["forward", "backward"]:
            continue
        dY = as_floating(own[1][1].args[0], "dY", layer.dtype)
        if len(layer.X_shape) != 2 or len(dY) != count:
            continue
        if alike(blas.matmul(layer.X.T, dY), layer.dW, largest(layer.X) * largest(dY)):
            yield inside(path, "W"), (layer.X, dY)
            if layer.b is not None:
                yield inside(path, "b"), (dY,)


def _keep_those_of_samples(run: _Run, number: int) -> None:
    """Of the products keep those whose row ``number`` belongs to that sample: a layer before may change the order."""
    alone = _alone(run, number)
    for name, factors in list(run.products.items()):
        dP = _outer(tuple([factor[number : number + 1] for factor in factors]))[0]
        if not alike(dP, alone[name]):
            del run.products[name]


def _alone(run: _Run, number: int) -> dict[str, Array]:
    """The gradients of one sample, until the next run."""
    row = slice(number, number + 1)
    Y = spread(run.model.forward, pick(run.X, row))
    check_rows(run.model, Y, 1)
    spread(run.model.backward, pick(run.dY, row))
    return dict(run.model.named_gradients())


def _one_at_a_time(run: _Run) -> Iterator[tuple[int, dict[str, Array]]]:
    """The number and the gradients of each sample, if there are parameters that need it.

    Raises:
        ValueError: in the end, the gradients do not add up to those of all samples together.
    """
    names = [name for name in run.gradients if name not in run.products]
    if not names:
        return
    total = {name: np.zeros_like(run.gradients[name]) for name in names}
    size = {name: largest(run.gradients[name]) for name in names}  # of the terms, which may cancel
    for number in range(run.count):
        alone = _alone(run, number)
        yield number, alone
        for name in names:
            total[name] += alone[name]
            size[name] = max(size[name], largest(alone[name]))
    for name in names:
        if not alike(run.gradients[name], total[name], size[name]):
            raise ValueError(
                f"{name}: the gradients of single samples do not add up to that of all together: its layer mixes "
                "samples, or is random, or its backward is wrong (check_gradients tells)"
            )


def _outer(factors: tuple[Array, ...]) -> Array:
    """The outer product of the factors, row by row."""
    if len(factors) == 1:
        return factors[0].copy()
    x, dy = factors
    return np.asarray(x[:, :, None] * dy[:, None, :])
