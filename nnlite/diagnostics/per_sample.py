"""per_sample_gradients and per_sample_gradient_norms: the contribution of each sample to dPhi."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array, as_floating
from nnlite.basics.trees import listed, spread
from nnlite.compute import blas
from nnlite.diagnostics.recording import LayerCall
from nnlite.diagnostics.run import Run, restorer
from nnlite.diagnostics.samples import (
    alike,
    check_rows,
    coarsest,
    count_of,
    first_that_mixes,
    largest,
    pick,
    samples,
)
from nnlite.layer.described import described
from nnlite.layer.layer import Layer, check_layer
from nnlite.layer.parts import inside
from nnlite.losses.loss_arguments import arguments_of
from nnlite.losses.per_output import as_one_loss

TRY_EVAL = "; try evaluation mode, model.eval()"


def per_sample_gradients(model: Layer, X: Any, target: Any, loss: Any) -> dict[str, Array]:
    """The contribution of each sample to the gradient of each parameter; their sum over the samples is dPhi.

    The loss is a sum over the samples, divided by its ``count`` if it is a mean, and so is its gradient,
    ``dP = sum_i dP_i``. For the W of a Linear, ``dP_i = x_i dy_i^T``; other layers run on one sample at a time.

    Args:
        model: any Layer whose rows are samples; runs on a copy, in its current mode, and stays unchanged.
        X: its input, one row per sample; a tuple or a dict by name if there are several.
        target: the targets of the loss.
        loss: such as ``BCELoss()``; for a model with several outputs a tuple or dict of losses, as in ``fit``.

    Returns:
        An array of shape (N, *shape of the parameter) for each parameter, by its name in ``named_parameters``. Tied
        parameters appear once, with the sum over their uses. Together they need N times the memory of dPhi.

    Raises:
        ValueError: the output for a sample depends on the other samples, or on random numbers drawn for each, as in
            dropout.
        ShapeError: an array or an output does not have one row per sample.

    >>> import nnlite as nn
    >>> model = nn.Sequential(nn.Linear(3, 2, rng=0), nn.Tanh())
    >>> gradients = per_sample_gradients(model, np.ones((5, 3)), np.zeros((5, 2)), nn.MSELoss())
    >>> {name: dP.shape for name, dP in gradients.items()}
    {'0.W': (5, 3, 2), '0.b': (5, 2)}
    """
    given = _Samples(model, X, target, loss)
    gradients = {name: np.empty((given.count, *P.shape), P.dtype) for name, P in given.others.items()}
    for number, alone in given.one_at_a_time():
        for name, dP in gradients.items():
            dP[number] = alone[name]
    return given.in_order(gradients | {name: outer(factors) for name, factors in given.products.items()})


def per_sample_gradient_norms(model: Layer, X: Any, target: Any, loss: Any) -> dict[str, Array]:
    """The Euclidean norm of each gradient of :func:`per_sample_gradients`, without storing these.

    For a Linear with 2-D input they are not even computed: ``|dW_i| = |x_i| |dy_i|`` and ``|db_i| = |dy_i|``, and so
    for a layer of your own that has ``gradient_factors``. Other layers, and parameters that are used twice, such as
    tied ones, run on one sample at a time.

    Args:
        model: as in :func:`per_sample_gradients`.
        X: its input.
        target: the targets.
        loss: as in :func:`per_sample_gradients`.

    Returns:
        An array of N norms for each parameter, by its name. The norms of the whole dPhi are
        ``np.sqrt(sum(n**2 for n in norms.values()))``.

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
    given = _Samples(model, X, target, loss)
    norms = {name: np.empty(given.count, P.dtype) for name, P in given.others.items()}
    for number, alone in given.one_at_a_time():
        for name, norm in norms.items():
            norm[number] = np.linalg.norm(alone[name])
    for name, factors in given.products.items():
        norms[name] = np.prod([np.linalg.norm(factor, axis=1) for factor in factors], axis=0)
    return given.in_order(norms)


class _Samples:
    """A model after its forward and backward on all samples.

    Attributes:
        model: a copy.
        dY: the gradient of the loss with respect to the output.
        gradients: of all samples together.
        products: for some parameters the factors whose outer product, row by row, is the gradient: (X, dY) or (dY,).
        eps: machine epsilon of the coarsest dtype in the model.
    """

    def __init__(self, model: Layer, X: Any, target: Any, loss: Any) -> None:
        check_layer(model, "model")
        self.X, target = samples(X, "X"), samples(target, "target")
        self.count = count_of(self.X)
        run = Run(model, as_one_loss(loss))
        self.model, loss, run.loss = run.model, run.loss, None  # the loss runs after a look at the rows of the output
        self.restore = restorer(self.model)
        Y = run.forward(self.X)
        check_rows(self.model, Y, self.count)
        loss.forward(*arguments_of(loss, Y, target))
        self.dY = loss.backward()
        run.backward(self.dY)
        calls = run.recording.forwards
        self.eps = coarsest(A for call in calls for A in (*listed(call.Y), *listed(call.dX)) if A is not None)
        self.gradients = {name: dP.copy() for name, dP in self.model.named_gradients()}
        self.products = dict(self._products(calls))
        self._refuse_mixing()
        for number in {0, self.count - 1}:  # a layer before may reorder the rows: keep products whose rows are samples
            alone = self.one(number)
            for name, factors in list(self.products.items()):
                dP = outer(tuple([factor[number : number + 1] for factor in factors]))[0]
                if not alike(dP, alone[name], eps=self.eps):
                    del self.products[name]

    def _products(self, calls: list[LayerCall]) -> Iterator[tuple[str, tuple[Array, ...]]]:
        """The factors of each gradient of which the layer says that it is a sum of products with a row per sample."""
        originals = [layer.original for _, layer in self.model.named_layers() if layer.original is not None]
        tied = {id(part) for original in originals for _, part in original.named_layers()}
        for path, layer in self.model.named_layers():
            own = [call for call in calls if call.path == path]
            factors_of = described(layer, "gradient_factors", "forward", "backward")
            if factors_of is None or id(layer) in tied or len(own) != 1 or own[0].dYs is None:
                continue
            for name, factors in factors_of(as_floating(own[0].dY, "dY", layer.dtype)).items():
                if all(A.ndim == 2 and len(A) == self.count for A in factors):
                    total = blas.matmul(factors[0].T, factors[1]) if len(factors) == 2 else factors[0].sum(axis=0)
                    dP = getattr(layer, "d" + name)
                    if alike(total, dP, math.prod(map(largest, factors)), coarsest([dP])):
                        yield inside(path, name), factors

    def _refuse_mixing(self) -> None:
        hint = TRY_EVAL * self.model.training
        self.restore()
        try:
            mixing = first_that_mixes(self.model, self.X, sorted({0, self.count - 1}))
        except Exception as error:
            error.add_note(f"per-sample gradients run the model on one sample at a time{hint}")
            raise
        if mixing:
            raise ValueError(
                f"{mixing}: the output for a sample depends on the other samples, or is random, so the samples have no "
                f"gradients of their own{hint}"
            )

    @property
    def others(self) -> dict[str, Array]:
        """The parameters whose gradients are no known products."""
        return {name: P for name, P in self.model.named_parameters() if name not in self.products}

    def in_order(self, values: dict[str, Array]) -> dict[str, Array]:
        """Those of all parameters, in the order of the model."""
        return {name: values[name] for name, _ in self.model.named_parameters()}

    def one(self, number: int) -> dict[str, Array]:
        """The gradients of one sample, valid until the next run."""
        self.restore()
        row = slice(number, number + 1)
        Y = spread(self.model.forward, pick(self.X, row))
        check_rows(self.model, Y, 1)
        spread(self.model.backward, pick(self.dY, row))
        return dict(self.model.named_gradients())

    def one_at_a_time(self) -> Iterator[tuple[int, dict[str, Array]]]:
        """The number and the gradients of each sample, if some parameters are not in ``products``.

        Raises:
            ValueError: at the end, if the gradients do not add up to those of the whole batch.
        """
        if not (names := list(self.others)):
            return
        total = {name: np.zeros_like(self.gradients[name]) for name in names}
        size = {name: largest(self.gradients[name]) for name in names}  # of the terms, which may cancel
        for number in range(self.count):
            alone = self.one(number)
            yield number, alone
            for name in names:
                total[name] += alone[name]
                size[name] = max(size[name], largest(alone[name]))
        for name in names:
            if not alike(self.gradients[name], total[name], size[name], self.eps):
                raise ValueError(
                    f"{name}: the gradients of the samples do not add up to that of the batch: its layer mixes "
                    "samples, is random, or has a wrong backward; see check_gradients"
                )


def outer(factors: tuple[Array, ...]) -> Array:
    """The outer product of the factors, row by row.

    >>> outer((np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]))).tolist()
    [[[3.0, 4.0], [6.0, 8.0]]]
    """
    if len(factors) == 1:
        return factors[0].copy()
    x, dy = factors
    return np.asarray(x[:, :, None] * dy[:, None, :])
