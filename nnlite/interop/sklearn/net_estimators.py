"""NetClassifier and NetRegressor: scikit-learn's estimators of any network of nnlite."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import column_or_1d
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if

from nnlite.basics.arrays import Array
from nnlite.containers.sequential import Sequential
from nnlite.interop.sklearn.labels import Labels, dense
from nnlite.interop.sklearn.net_base import BaseNet, checked_loss, column
from nnlite.interop.sklearn.network import mlp
from nnlite.layer.layer import Layer
from nnlite.layers.arrangement import Split
from nnlite.losses.binary_cross_entropy import BCEWithLogitsLoss
from nnlite.losses.class_loss import ClassLoss
from nnlite.losses.cross_entropy import CrossEntropyLoss
from nnlite.losses.loss import Loss
from nnlite.losses.regression_losses import MSELoss
from nnlite.optim.adam import Adam


def _has_probabilities(estimator: Any) -> bool:
    """Whether the outputs stand for probabilities; the loss knows it."""
    loss = estimator.loss
    if isinstance(loss, Loss) and type(loss).probabilities is Loss.probabilities:
        raise AttributeError(f"the outputs of a network trained with {loss!r} stand for no probabilities")
    return True


class NetClassifier(ClassifierMixin, BaseNet):  # type: ignore[misc]
    """A classifier of scikit-learn that is a network of nnlite, trained by :func:`nnlite.fit`.

    The function that makes the network gets the number of features, which of images is that of channels, and of
    outputs, and a generator if it has a parameter ``rng``. Its other parameters are parameters of the estimator, as
    ``hidden`` of :func:`mlp` is, so that a grid search finds them. There is an output for each class, and for each
    label where rows have several; with several columns of classes one for each class of each column, which
    :class:`nnlite.Split` then divides. Targets of any kind are coded for the loss: class indices for
    :class:`nnlite.CrossEntropyLoss` and the like, and else 0 and 1 for each output, of which two classes then have one.

    Args:
        network: a function ``network(in_features, out_features, ...)`` that returns a new model, a class such as
            ``nnlite.Linear``, or a model, of which each training takes a copy.
        loss: a :class:`nnlite.Loss`; by default ``CrossEntropyLoss()``, and ``BCEWithLogitsLoss()`` where rows have
            several labels.
        optimizer: what makes an optimizer of the model: a class such as ``nnlite.SGD``, or a function
            ``optimizer(model)`` that returns one or several.
        lr: the learning rate, a number or a schedule, for ``optimizer(model, lr=lr)``; None for that of the optimizer.
        epochs, batch_size, shuffle, validation_split, metrics, accumulate_steps, clip_norm, clip_value, on_nan,
            verbose: as of :func:`nnlite.fit`. Metrics get outputs and coded targets.
        callbacks: a list, of which each training takes copies, so that the parameter stays as it is; or a function
            ``callbacks(optimizer)`` that returns one, for :class:`nnlite.ReduceLROnPlateau`.
        class_weight: a weight for each label, or "balanced"; for several columns a list of them. They multiply
            ``sample_weight``.
        warm_start: let fit go on with network, loss and optimizer of the last call. The parameters that they are made
            from must be the same then.
        random_state: a seed, ``numpy.random.RandomState`` or ``numpy.random.Generator`` for the order of the rows and
            for ``rng`` of the network; None for the generator of :func:`nnlite.manual_seed`, which a network that does
            not use ``rng`` draws from in any case.
        **parameters: those of the function that makes the network.

    Attributes:
        classes_: the labels; of several columns a list of those of each.
        n_features_in_, feature_names_in_: the columns of X.
        row_shape_: the shape of a row of X.
        model_, loss_, optimizer_, callbacks_: what was trained, and with what.
        history_: the :class:`nnlite.History` of the last call.

    Raises:
        TypeError: a parameter is unknown, or is of a wrong kind; the function returns no Layer.
        ValueError: in fit: the output of the network does not fit the targets; or what :func:`nnlite.fit` raises. After
            an error in the first fit the estimator is not fitted; in a later one it is as it was before. Ctrl-C leaves
            what was trained until then.

    >>> from sklearn.datasets import make_moons
    >>> from sklearn.model_selection import GridSearchCV
    >>> X, y = make_moons(noise=0.1, random_state=0)
    >>> search = GridSearchCV(NetClassifier(random_state=0, lr=0.03), {"hidden": [(1,), (16, 8)]})
    >>> search.fit(X, y).best_params_
    {'hidden': (16, 8)}
    >>> search.predict_proba(X[:2]).shape, search.score(X, y) > 0.95
    ((2, 2), True)
    """

    class_weight: Any
    loss_: Any

    def __init__(
        self,
        network: Any = mlp,
        *,
        loss: Any = None,
        optimizer: Any = Adam,
        lr: Any = None,
        epochs: int = 50,
        batch_size: int = 32,
        shuffle: bool = True,
        validation_split: float = 0.0,
        metrics: Any = (),
        callbacks: Any = (),
        accumulate_steps: int = 1,
        clip_norm: Any = None,
        clip_value: float | None = None,
        on_nan: str = "raise",
        class_weight: Any = None,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: int = 0,
        **parameters: Any,
    ) -> None:
        self._keep(locals())

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Any:
        """Train for one epoch on these rows, with network and optimizer as the last call left them.

        Args:
            X: the rows.
            y: their labels.
            classes: in the first call all labels that will come; of several columns a list of those of each.
            sample_weight: a weight for each row.

        Returns:
            The estimator itself.
        """
        begins = not hasattr(self, "model_")
        if not begins and classes is not None and not self.labels_.same(classes):
            raise ValueError(f"classes: expected those of the last call, {self.classes_}, got {classes}")
        if begins and classes is None:
            raise ValueError("classes: expected all labels in the first call of partial_fit, got None")
        return self._train(X, y, sample_weight, begins=begins, classes=classes, epochs=1)

    def predict(self, X: Any) -> Array:
        """The label of each row, of shape (n,); of several columns or labels of shape (n, columns)."""
        Y = self._outputs(X)
        if isinstance(Y, tuple):
            return self.labels_.of(np.stack([each.argmax(axis=1) for each in Y], axis=1))
        if self.labels_.kind == "classes" and Y.shape[1] > 1:
            return self.labels_.of(np.minimum(Y.argmax(axis=1), len(self.classes_) - 1))
        threshold = 0.5 if self.loss_.uniform_value is None else self.loss_.uniform_value
        found = (threshold < Y).astype(int)
        if self.labels_.kind == "indicator":
            return found  # type: ignore[no-any-return]
        return self.labels_.of(np.minimum(found[:, 0], len(self.classes_) - 1))

    @available_if(_has_probabilities)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> Any:
        """The probability of each class, or each label, for each row; of several columns a list of those of each."""
        Y = self._outputs(X)
        if isinstance(Y, tuple):
            pairs = zip(self.loss_, Y, self.classes_, strict=True)
            return [loss.probabilities(each)[:, : len(own)] for loss, each, own in pairs]
        P: Array = self.loss_.probabilities(Y)
        if self.labels_.kind == "indicator":
            return P
        if P.shape[1] == 1:
            P = np.hstack([1 - P, P])
        P = P[:, : len(self.classes_)]
        return P if isinstance(self.loss_, ClassLoss) and len(self.classes_) > 1 else P / P.sum(axis=1, keepdims=True)

    @available_if(_has_probabilities)  # type: ignore[untyped-decorator]
    def predict_log_proba(self, X: Any) -> Any:
        """The logarithm of :meth:`predict_proba`."""
        P = self.predict_proba(X)
        with np.errstate(divide="ignore"):
            return [np.log(each) for each in P] if isinstance(P, list) else np.log(P)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The share of rows with the right label; of several columns or labels with all of them right.

        Args:
            X: the rows.
            y: their labels.
            sample_weight: a weight for each row.
        """
        found = self.predict(X)
        if found.ndim == 2:
            found, y = np.all(found == dense(y), axis=1), np.ones(len(found), bool)
        return accuracy_score(y, found, sample_weight=sample_weight)  # type: ignore[no-any-return]

    def _prepare(self, y: Any, classes: Any) -> int:
        self.labels_ = Labels(y, classes)
        self.classes_ = self.labels_.classes
        kind = self.labels_.kind
        loss = checked_loss(self.loss, BCEWithLogitsLoss if kind == "indicator" else CrossEntropyLoss)
        by_index = isinstance(loss, ClassLoss)
        if kind == "columns" and not by_index:
            raise ValueError(
                "loss: for several columns of classes expected a loss of class indices, such as CrossEntropyLoss, got "
                f"{loss!r}"
            )
        if kind == "indicator" and by_index:
            raise ValueError(
                f"loss: for several labels of a row expected a loss of 0 and 1, such as BCEWithLogitsLoss, got {loss!r}"
            )
        if kind == "columns":
            self.loss_ = tuple([checked_loss(loss, CrossEntropyLoss) for _ in self.classes_])
            return sum(self._widths())
        self.loss_ = loss
        if kind == "indicator":
            return len(self.classes_)
        return max(len(self.classes_), 2) if by_index or len(self.classes_) > 2 else 1

    def _widths(self) -> list[int]:
        return [max(len(own), 2) for own in self.classes_]

    def _joined(self, network: Layer) -> Layer:
        return Sequential(network, Split(self._widths(), dim=1)) if self.labels_.kind == "columns" else network

    def _coded(self, y: Any) -> Any:
        indices = self.labels_.indices(y)
        if self.labels_.kind == "columns":
            return tuple(np.ascontiguousarray(indices.T))
        if self.labels_.kind == "indicator":
            return indices.astype(np.float32)
        if isinstance(self.loss_, ClassLoss):
            return indices
        one_hot = np.eye(len(self.classes_), dtype=np.float32)[indices]
        return one_hot if len(self.classes_) > 2 else (indices[:, None] == 1).astype(np.float32)

    def _weights(self, y: Any, sample_weight: Any, whole: bool) -> Any:
        if self.class_weight is None:
            return sample_weight
        expected: Any = Mapping if self.labels_.kind == "classes" else Mapping | list
        if self.class_weight != "balanced" and not isinstance(self.class_weight, expected):
            raise ValueError(
                f'class_weight: expected a dict from labels to weights, or "balanced", got {self.class_weight!r}'
            )
        if not whole and isinstance(self.class_weight, str):
            raise ValueError(
                f'class_weight: "{self.class_weight}" needs all rows, which partial_fit does not have; compute it from '
                'them: sklearn.utils.class_weight.compute_class_weight("balanced", classes=..., y=...)'
            )
        by_class: Array = compute_sample_weight(self.class_weight, dense(y))
        return by_class if sample_weight is None else by_class * np.asarray(sample_weight)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class NetRegressor(RegressorMixin, BaseNet):  # type: ignore[misc]
    """A regressor of scikit-learn that is a network of nnlite, trained by :func:`nnlite.fit`.

    There is an output for each column of y, and its values are the predictions. Targets are not scaled: standardize
    those that are far from 1 in size, as ``sklearn.compose.TransformedTargetRegressor`` does.

    Args:
        loss: a :class:`nnlite.Loss` of outputs and targets of one shape; by default ``MSELoss()``.
        network, optimizer, lr, epochs, batch_size, shuffle, validation_split, metrics, callbacks, accumulate_steps,
            clip_norm, clip_value, on_nan, warm_start, random_state, verbose, **parameters: as of
            :class:`NetClassifier`.

    Attributes:
        n_features_in_, feature_names_in_, model_, loss_, optimizer_, callbacks_, history_: as of
            :class:`NetClassifier`.

    Raises:
        TypeError, ValueError: as of :class:`NetClassifier`.

    >>> import nnlite as nn
    >>> from sklearn.datasets import make_regression
    >>> X, y = make_regression(n_features=3, random_state=0)
    >>> net = NetRegressor(nn.Linear, loss=nn.HuberLoss(), optimizer=nn.SGD, lr=0.5, random_state=0).fit(X, y / 100)
    >>> net.score(X, y / 100) > 0.99
    True
    """

    def __init__(
        self,
        network: Any = mlp,
        *,
        loss: Any = None,
        optimizer: Any = Adam,
        lr: Any = None,
        epochs: int = 50,
        batch_size: int = 32,
        shuffle: bool = True,
        validation_split: float = 0.0,
        metrics: Any = (),
        callbacks: Any = (),
        accumulate_steps: int = 1,
        clip_norm: Any = None,
        clip_value: float | None = None,
        on_nan: str = "raise",
        warm_start: bool = False,
        random_state: Any = None,
        verbose: int = 0,
        **parameters: Any,
    ) -> None:
        self._keep(locals())

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Train for one epoch on these rows, with network and optimizer as the last call left them.

        Args:
            X: the rows.
            y: their targets.
            sample_weight: a weight for each row.

        Returns:
            The estimator itself.
        """
        return self._train(X, y, sample_weight, begins=not hasattr(self, "model_"), epochs=1)

    def predict(self, X: Any) -> Array:
        """The outputs for each row, of shape (n,), or (n, outputs) of several columns of y."""
        Y: Array = self._outputs(X)
        return Y[:, 0] if self.one_column_ else Y

    def _prepare(self, y: Any, classes: Any) -> int:
        self.loss_ = checked_loss(self.loss, MSELoss)
        self.one_column_ = y.ndim == 1 or y.shape[1] == 1
        return 1 if self.one_column_ else y.shape[1]

    def _coded(self, y: Any) -> Any:
        return column(column_or_1d(y, warn=True) if self.one_column_ else y)
