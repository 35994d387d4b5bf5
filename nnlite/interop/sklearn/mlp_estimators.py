"""MLPClassifier and MLPRegressor: scikit-learn's estimators of the same names, trained by nnlite."""

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import column_or_1d
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from nnlite.basics.arrays import Array
from nnlite.basics.checks import one_of
from nnlite.interop.sklearn.labels import dense
from nnlite.interop.sklearn.mlp_base import BaseMLP
from nnlite.interop.sklearn.mlp_losses import ClassLoss, HalfPoissonDeviance, HalfSquaredError, LogLoss
from nnlite.losses.loss import Loss


def _by_steps(estimator: Any) -> bool:
    """Whether partial_fit is available: with lbfgs it is not."""
    if estimator.solver == "lbfgs":
        raise AttributeError('partial_fit needs solver="sgd" or "adam": lbfgs trains on all rows at once')
    return True


def _has_columns(y: Any) -> bool:
    """Whether y has several columns; type_of_target also answers this, but takes as long as a step of training."""
    return y.ndim == 2 and y.shape[1] > 1  # type: ignore[no-any-return]


class MLPClassifier(ClassifierMixin, BaseMLP):  # type: ignore[misc]
    """A multi-layer perceptron for classification, in place of ``sklearn.neural_network.MLPClassifier``.

    Constructor, methods, attributes and defaults are scikit-learn's, and so are the results: equal ``random_state``
    gives its weights and loss curve to rounding. It is trained by :func:`nnlite.fit` with :class:`nnlite.SGD` or
    :class:`nnlite.Adam`, or by :func:`nnlite.minimize`; ``model_`` is the network, for everything else that nnlite does
    with one.

    Args:
        hidden_layer_sizes: the width of each hidden layer.
        activation: of the hidden layers: "identity", "logistic", "tanh" or "relu".
        solver: "lbfgs", "sgd" or "adam".
        alpha: the factor of the penalty ``alpha / 2n sum(W^2)``, with the n rows of a batch.
        batch_size: the rows of a batch of "sgd" and "adam"; "auto" is at most 200.
        learning_rate: of "sgd": "constant", "invscaling", ``learning_rate_init / t^power_t`` after t rows, or
            "adaptive", a fifth of it each time the loss has stopped improving.
        learning_rate_init: the first learning rate of "sgd" and "adam".
        power_t: the exponent of "invscaling".
        max_iter: the largest number of epochs, or of iterations of "lbfgs".
        shuffle: put the rows in a new order in each epoch.
        random_state: a seed or ``numpy.random.RandomState`` for weights, validation rows and orders; or None.
        tol: the improvement of the loss, or of the validation score, that counts; of "lbfgs" the largest gradient.
        verbose: print the loss of each epoch.
        warm_start: let fit go on from the parameters of the last call.
        momentum: of "sgd".
        nesterovs_momentum: whether it is Nesterov's.
        early_stopping: watch the score on held-back rows in place of the loss, and restore the best parameters.
        validation_fraction: the share of rows to hold back.
        beta_1, beta_2, epsilon: of "adam".
        n_iter_no_change: training ends after more than so many epochs without an improvement.
        max_fun: the largest number of evaluations of "lbfgs".

    Attributes:
        classes_: the labels.
        coefs_, intercepts_: W and b of each layer, views of the network's parameters; a changed entry counts.
        n_iter_, t_: epochs of the last fit; rows seen in all.
        loss_, best_loss_, loss_curve_: the loss with its penalty: the last one, the best one, that of each epoch.
        validation_scores_, best_validation_score_: with ``early_stopping``, else None.
        n_features_in_, feature_names_in_, n_layers_, n_outputs_, out_activation_: the shape of the network.
        model_, optimizer_, history_: the :class:`nnlite.Sequential`, which ends with logits, its optimizer, and the
            :class:`nnlite.History` of the last fit.

    Raises:
        TypeError, ValueError: in fit: a parameter, X, y or the weights are wrong; or the loss became NaN or infinite.
            After an error in the first fit the estimator is not fitted; in a later one it is as it was before.

    Source: Hinton, Connectionist learning procedures, 1989.

    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> mlp = MLPClassifier((8,), solver="lbfgs", random_state=0, max_iter=1000).fit(X, y)
    >>> mlp.score(X, y) > 0.95, mlp.predict_proba(X).shape, mlp.model_[0]
    (True, (150, 3), Linear(4 -> 8, dtype=float64))
    """

    loss = "log_loss"

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
    ) -> None:
        self._keep(locals())

    @available_if(_by_steps)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Any:
        """Train for one epoch on these rows, from where the last call has ended.

        Args:
            X: the rows.
            y: their labels.
            sample_weight: a weight for each row.
            classes: in the first call all labels that will come.

        Returns:
            The estimator itself.
        """
        known = getattr(self, "classes_", None)
        if classes is None and known is None:
            raise ValueError("classes: expected all labels in the first call of partial_fit, got None")
        if classes is not None and known is not None and not np.array_equal(known, np.unique(classes)):
            raise ValueError(f"classes: expected those of the last call, {known}, got {classes}")
        return self._fit(X, y, sample_weight, incremental=True, classes=classes)

    def predict(self, X: Any) -> Array:
        """The label of each row; where rows have several labels, a matrix of 0 and 1."""
        found = self._decided(self._outputs(X))
        if found.ndim == 2:
            return found.astype(int)
        labels: Array = self.classes_[np.minimum(found, len(self.classes_) - 1)]
        return labels

    def predict_proba(self, X: Any) -> Array:
        """The probability of each class for each row, in the order of ``classes_``."""
        Y = self._outputs(X)
        P: Any = self._make_loss().probabilities(Y)
        return np.hstack([1 - P, P]) if self.n_outputs_ == 1 else P

    def predict_log_proba(self, X: Any) -> Array:
        """The logarithm of :meth:`predict_proba`."""
        P = self.predict_proba(X)
        return np.log(P, out=P)

    def _make_loss(self) -> Loss:
        return ClassLoss() if self.out_activation_ == "softmax" else LogLoss(reduction="batchmean")

    def _coded(self, y: Any, classes: Any) -> Array:
        """Class indices for several classes, a column for two, columns for several labels of a row."""
        check_classification_targets(y)
        if _has_columns(y):
            if not type_of_target(y).startswith("multilabel"):
                raise ValueError("y: expected one column of labels, or columns of 0 and 1; for several columns of "
                                 "classes use NetClassifier")  # fmt: skip
            y = dense(y)
            self.classes_, self.n_outputs_, self.out_activation_ = np.arange(y.shape[1]), y.shape[1], "logistic"
            return y.astype(bool)  # type: ignore[no-any-return]
        y = column_or_1d(y, warn=True)
        self.classes_ = np.unique(y) if classes is None else np.unique(classes)
        self.n_outputs_ = 1 if len(self.classes_) < 3 else len(self.classes_)
        self.out_activation_ = "logistic" if self.n_outputs_ == 1 else "softmax"
        if self.n_outputs_ == 1:
            return ((y == self.classes_[-1]) & (len(self.classes_) == 2))[:, None]  # type: ignore[no-any-return]
        return np.searchsorted(self.classes_, y)  # type: ignore[no-any-return]

    def _known(self, y: Any, classes: Any, incremental: bool) -> Any:
        """The labels of earlier calls, or announced ones, which those of y must be among."""
        known = getattr(self, "classes_", None) if classes is None else np.unique(classes)
        if known is None or _has_columns(y):
            return None
        found = np.unique(y)
        if not incremental and set(found) != set(known):  # in scikit-learn's words, which its tests compare
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous call to fit. "
                f"Previously got {known}, `y` has {found}"
            )
        if unknown := set(found.tolist()) - set(known.tolist()):
            raise ValueError(f"y: expected labels among {known}, got {sorted(unknown)}")
        return known

    def _score_of(self, X: Any, target: Array, sample_weight: Any) -> float:
        return accuracy_score(target, self._decided(self._network_outputs(X)), sample_weight=sample_weight)  # type: ignore[no-any-return]

    def _decided(self, Y: Array) -> Array:
        """The class index of each row of outputs; of several labels whether each is there."""
        if self.out_activation_ == "softmax":
            return Y.argmax(axis=1)  # type: ignore[no-any-return]
        return (Y[:, 0] > 0).astype(int) if self.n_outputs_ == 1 else Y > 0

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class MLPRegressor(RegressorMixin, BaseMLP):  # type: ignore[misc]
    """A multi-layer perceptron for regression, in place of ``sklearn.neural_network.MLPRegressor``.

    What is said of :class:`MLPClassifier` holds for it.

    Args:
        loss: "squared_error", or "poisson" for counts, half the Poisson deviance of their expected values.
        hidden_layer_sizes, activation, solver, alpha, batch_size, learning_rate, learning_rate_init, power_t, max_iter,
            shuffle, random_state, tol, verbose, warm_start, momentum, nesterovs_momentum, early_stopping,
            validation_fraction, beta_1, beta_2, epsilon, n_iter_no_change, max_fun: as of :class:`MLPClassifier`.

    Attributes:
        model_: the network, whose outputs are the values, or for "poisson" the logarithms of the expected counts.

    The others are those of :class:`MLPClassifier`, but for ``classes_``.

    Raises:
        TypeError, ValueError: in fit, as of :class:`MLPClassifier`.

    >>> from sklearn.datasets import make_regression
    >>> X, y = make_regression(n_features=3, random_state=0)
    >>> mlp = MLPRegressor(hidden_layer_sizes=(8,), solver="lbfgs", random_state=0, max_iter=1000).fit(X, y)
    >>> mlp.score(X, y) > 0.99
    True
    """

    def __init__(
        self,
        loss: str = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
    ) -> None:
        self._keep(locals())

    @available_if(_by_steps)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Train for one epoch on these rows, from where the last call has ended.

        Args:
            X: the rows.
            y: their targets.
            sample_weight: a weight for each row.

        Returns:
            The estimator itself.
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Any) -> Array:
        """The value for each row, of shape (n,), or (n, n_outputs) for several outputs."""
        Y = self._values(self._outputs(X))
        return Y[:, 0] if Y.shape[1] == 1 else Y

    def _make_loss(self) -> Loss:
        return (HalfPoissonDeviance if self.loss == "poisson" else HalfSquaredError)(reduction="batchmean")

    def _known(self, y: Any, classes: Any, incremental: bool) -> Any:
        return None

    def _coded(self, y: Any, classes: Any) -> Array:
        y = column_or_1d(y, warn=True)[:, None] if y.ndim == 1 or y.shape[1] == 1 else y
        self.n_outputs_, self.out_activation_ = y.shape[1], "exp" if self.loss == "poisson" else "identity"
        return y  # type: ignore[no-any-return]

    def _values(self, Y: Array) -> Array:
        return np.exp(Y) if self.out_activation_ == "exp" else Y

    def _score_of(self, X: Any, target: Array, sample_weight: Any) -> float:
        return r2_score(target, self._values(self._network_outputs(X)), sample_weight=sample_weight)  # type: ignore[no-any-return]

    def _check_parameters(self) -> None:
        super()._check_parameters()
        one_of(self.loss, "loss", ("squared_error", "poisson"))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
