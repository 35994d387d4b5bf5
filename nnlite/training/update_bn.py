"""update_bn: the running statistics of BatchNorm computed anew, for weights that were not trained as they are."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.checks import whole
from nnlite.basics.trees import spread
from nnlite.diagnostics.places import place
from nnlite.diagnostics.run import restorer
from nnlite.errors import DivergenceError
from nnlite.layer.layer import Layer, check_layer
from nnlite.layer.parts import inside
from nnlite.training.batch import Batch
from nnlite.training.feature_names import check_feature_names
from nnlite.training.rows import Rows
from nnlite.training.shape_advice import noting_shapes
from nnlite.training.sources import is_dataset, is_keras_sequence
from nnlite.training.streams import rows_or_stream


def update_bn(model: Layer, X: Any, *, batch_size: int = 32) -> None:
    """Compute the running statistics of BatchNorm anew: the mean over all batches of X, as PyTorch's ``update_bn``.

    That is for weights that were not trained as they are, such as the mean of several models: their activations have
    another mean and variance. One pass over X in training mode, in the order of the rows. Nothing else in the model
    changes: parameters, other buffers, random generators and mode are as before.

    Args:
        model: any Layer. The statistics are those of its layers with a method ``reset_running_stats`` and an attribute
            ``momentum``, which is None for a mean over all batches: BatchNorm, and layers of your own.
        X: the rows of the training, as for :func:`nnlite.predict`; or a dataset or batches of pairs (X, Y), see
            :func:`nnlite.fit`.
        batch_size: how many rows make a batch; that of the training.

    Raises:
        TypeError, ValueError: an argument is wrong, or a tied layer uses a BatchNorm a second time.
        DivergenceError: a statistic is not finite. Nothing is changed after an error.

    Source: Izmailov, Podoprikhin, Garipov, Vetrov and Wilson, Averaging weights leads to wider optima and better
    generalization, 2018.

    >>> import nnlite as nn
    >>> layer = nn.BatchNorm1d(1)
    >>> update_bn(layer, [[1.0], [3.0], [5.0], [7.0]], batch_size=2)
    >>> layer.running_mean, layer.running_var  # the batches have means 2 and 6, and both the variance 2
    (array([4.], dtype=float32), array([2.], dtype=float32))
    """
    check_layer(model, "model")
    batch_size = whole(batch_size, "batch_size", least=1)
    is_stream = not hasattr(X, "__getitem__") or is_dataset(X) or is_keras_sequence(X)
    rows = rows_or_stream(X, None) if is_stream else Rows(X)
    check_feature_names(model, rows)
    with noting_shapes(rows, model):
        update_statistics(model, rows.batches(batch_size))


def update_statistics(model: Layer, batches: Iterable[Batch]) -> dict[str, Array]:
    """:func:`update_bn` from batches; return copies of the statistics, by the names of the buffers.

    >>> import nnlite as nn
    >>> rows = Rows([[1.0], [3.0]])
    >>> list(update_statistics(nn.Sequential(nn.BatchNorm1d(1), nn.Tanh()), rows.batches(2)))
    ['0.running_mean', '0.running_var', '0.num_batches_tracked']
    """
    paths = with_statistics(model)
    if not paths:
        return {}
    twin = model.evaluation_twin().train()  # with a cache, buffers and settings of its own
    parts: dict[str, Any] = dict(twin.named_layers())
    for path in paths:
        parts[path].reset_running_stats()
        parts[path].momentum = None
    restore = restorer(model)
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            for batch in batches:
                spread(twin.forward, batch.X)
    finally:
        restore()  # the generators, which both draw from
    layers = dict(model.named_layers())
    found = [(path, name, getattr(parts[path], name)) for path in paths for name in layers[path]._buffers]
    for path, name, statistic in found:
        if not np.isfinite(statistic).all():
            raise DivergenceError(
                f"{name} of {place(model, path, layers[path])} is not finite on these rows, and keeps its old value; "
                "remove or fill rows that are not finite"
            )
    for path, name, statistic in found:
        setattr(layers[path], name, statistic)
    return {inside(path, name): statistic for path, name, statistic in found}


def with_statistics(
    model: Layer, caller: str = "update_bn", otherwise: str = "WeightAverage(use_buffers=True)"
) -> list[str]:
    """The paths of the layers whose running statistics can be computed anew.

    Args:
        model: any Layer.
        caller: who computes them, for the error.
        otherwise: what to use for such a model, for the error.

    Raises:
        ValueError: a tied layer uses one of them a second time, so that its statistics are those of two places.

    >>> import nnlite as nn
    >>> with_statistics(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.BatchNorm1d(2, track_running_stats=False)))
    ['1']
    """
    for path, layer in model.named_layers():
        if layer.original is not None and any(map(_has_statistics, dict(layer.original.named_layers()).values())):
            raise ValueError(
                f"{caller}: {place(model, path, layer)} uses running statistics a second time, which cannot be "
                f"computed anew; use a BatchNorm for each place, or {otherwise}"
            )
    return [path for path, layer in model.named_layers() if _has_statistics(layer)]


def _has_statistics(layer: Layer) -> bool:
    return hasattr(layer, "reset_running_stats") and any(getattr(layer, name) is not None for name in layer._buffers)
