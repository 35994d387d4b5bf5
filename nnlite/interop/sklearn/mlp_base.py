"""What MLPClassifier and MLPRegressor share: their network, and how it is trained."""

import math
import warnings
from itertools import pairwise
from numbers import Integral
from operator import is_
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from nnlite.basics.arrays import Array
from nnlite.basics.checks import boolean, non_negative, number, one_of, positive, share, whole
from nnlite.containers.sequential import Sequential
from nnlite.errors import DivergenceError
from nnlite.interop.sklearn.all_or_nothing import all_or_nothing
from nnlite.interop.sklearn.mlp_progress import MLPProgress
from nnlite.layer.layer import Layer
from nnlite.layers.activations import ReLU, Sigmoid, Tanh
from nnlite.layers.linear import Linear
from nnlite.losses.loss import Loss
from nnlite.optim.adam import Adam
from nnlite.optim.sgd import SGD
from nnlite.training.fit import fit
from nnlite.training.minimize import minimize
from nnlite.training.predict import predict

ACTIVATIONS: dict[str, type[Layer] | None] = {"identity": None, "logistic": Sigmoid, "tanh": Tanh, "relu": ReLU}
NOT_FINITE = (  # in scikit-learn's words, which its tests compare
    "Solver produced non-finite parameter weights. The input data may contain large values and need to be preprocessed."
)


class BaseMLP(BaseEstimator):  # type: ignore[misc]
    """The base class of :class:`MLPClassifier` and :class:`MLPRegressor`."""

    hidden_layer_sizes: Any
    activation: str
    solver: str
    alpha: float
    batch_size: Any
    learning_rate: str
    learning_rate_init: float
    power_t: float
    max_iter: int
    loss: str
    shuffle: bool
    random_state: Any
    tol: float
    verbose: Any
    model_: Any
    best_loss_: Any
    warm_start: bool
    momentum: float
    nesterovs_momentum: bool
    early_stopping: bool
    validation_fraction: float
    beta_1: float
    beta_2: float
    epsilon: float
    n_iter_no_change: float
    max_fun: int

    def _keep(self, parameters: dict[str, Any]) -> None:
        """Keep the arguments of the constructor as attributes; they are checked in fit."""
        self.__dict__.update({name: value for name, value in parameters.items() if name not in ("self", "__class__")})

    # ------------------------------------------------------------------- what classification and regression define

    def _make_loss(self) -> Loss:
        """The loss of the outputs."""
        raise NotImplementedError

    def _known(self, y: Any, classes: Any, incremental: bool) -> Any:
        """The classes that the targets are of; None if they are to be found in them, or there are none."""
        raise NotImplementedError

    def _coded(self, y: Any, classes: Any) -> Array:
        """The targets as the loss expects them; sets ``n_outputs_`` and ``out_activation_``."""
        raise NotImplementedError

    def _score_of(self, X: Any, y: Any, sample_weight: Any) -> float:
        """The score of coded targets, for early stopping."""
        raise NotImplementedError

    # ------------------------------------------------------------------------------------------------------ training

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Train on the rows X and their targets y; with ``warm_start`` go on from the parameters of the last call.

        Args:
            X: an array or a sparse matrix of shape (n, n_features), or a frame.
            y: the targets, of shape (n,) or (n, n_outputs).
            sample_weight: a weight for each row.

        Returns:
            The estimator itself.
        """
        return self._fit(X, y, sample_weight, incremental=False)

    def _fit(self, X: Any, y: Any, sample_weight: Any, incremental: bool, classes: Any = None) -> Any:
        self._check_parameters()
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        first = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        with all_or_nothing(self, begins=first):
            X, y = validate_data(
                self, X, y, accept_sparse="csr", multi_output=True, dtype=(np.float64, np.float32), reset=first,
                y_numeric=not is_classifier(self),
            )  # fmt: skip
            target = self._coded(y, self._known(y, classes, incremental))
            rng = check_random_state(self.random_state)
            if first:
                self._begin(X, rng)
            self._link()
            try:
                if self.solver == "lbfgs":
                    self._minimize(X, target, sample_weight)
                else:
                    self._descend(X, target, sample_weight, incremental, rng)
            except DivergenceError as error:
                raise ValueError(NOT_FINITE) from error
            except KeyboardInterrupt as error:
                if not hasattr(error, "history"):  # it came before the training
                    raise
                self.history_ = error.history
                if self.solver == "lbfgs":
                    self.n_iter_ = error.history.epochs
                warnings.warn("training was interrupted; the network is as it was then", stacklevel=3)
        return self

    def _begin(self, X: Any, rng: Any) -> None:
        """Draw the parameters, and set what counts the progress to its start."""
        widths = [X.shape[1], *self._hidden(), self.n_outputs_]
        self.n_layers_ = len(widths)
        self.coefs_, self.intercepts_ = [], []
        for fan_in, fan_out in pairwise(widths):
            bound = math.sqrt((2 if self.activation == "logistic" else 6) / (fan_in + fan_out))
            self.coefs_.append(rng.uniform(-bound, bound, (fan_in, fan_out)).astype(X.dtype))
            self.intercepts_.append(rng.uniform(-bound, bound, fan_out).astype(X.dtype))
        self.n_iter_ = self.t_ = self._no_improvement_count = 0

    def _begin_curves(self) -> None:
        """Make what "sgd" and "adam" record losses and scores in, unless a warm start goes on with it."""
        if hasattr(self, "loss_curve_") and self.early_stopping == (self.best_loss_ is None):
            return
        self.loss_curve_: list[float] = []
        self.best_loss_ = None if self.early_stopping else math.inf
        self.validation_scores_: list[float] | None = [] if self.early_stopping else None
        self.best_validation_score_ = -math.inf if self.early_stopping else None

    def _link(self) -> Sequential:
        """The network that computes with ``coefs_`` and ``intercepts_``, made anew where there are others than its own.

        Their arrays are views of the network's Phi, so that training writes through.
        """
        activation = ACTIVATIONS[self.activation]
        if hasattr(self, "model_"):
            Ws, bs = _parameters(self.model_)
            kinds = {type(layer) for layer in self.model_} - {Linear}
            same = len(Ws) == len(self.coefs_) and kinds == ({activation} if activation and len(Ws) > 1 else set())
            if same and all(map(is_, [*Ws, *bs], [*self.coefs_, *self.intercepts_])):
                return self.model_  # type: ignore[no-any-return]
        layers: list[Layer] = []
        for W, b in zip(self.coefs_, self.intercepts_, strict=True):
            if layers and activation:
                layers.append(activation())
            linear = Linear.from_saved(np.array(W), bias=True)
            linear.b = b
            layers.append(linear)
        self.model_ = Sequential(*layers)
        self.coefs_, self.intercepts_ = _parameters(self.model_)
        optimizer = getattr(self, "optimizer_", None)
        if optimizer is not None and optimizer.layer.Phi.size == self.model_.Phi.size:
            self.optimizer_ = self._make_optimizer()
            self.optimizer_.load_state_dict(optimizer.state_dict())
        return self.model_  # type: ignore[no-any-return]

    def _make_optimizer(self) -> Any:
        if self.solver == "adam":
            return Adam(self.model_, self.learning_rate_init, betas=(self.beta_1, self.beta_2), eps=self.epsilon)
        nesterov = self.nesterovs_momentum and self.momentum > 0
        return SGD(self.model_, self.learning_rate_init, momentum=self.momentum, nesterov=nesterov)

    def _descend(self, X: Any, target: Array, weight: Any, incremental: bool, rng: Any) -> None:
        """Train by SGD or Adam."""
        self._begin_curves()
        if not incremental or not hasattr(self, "optimizer_"):
            self.optimizer_ = self._make_optimizer()
        score = None
        if self.early_stopping:
            X, target, weight, score = self._split(X, target, weight, rng)
        rows, batch_size = X.shape[0], self.batch_size
        if batch_size == "auto":
            batch_size = min(200, rows)
        elif batch_size > rows:
            warnings.warn(f"batch_size: {batch_size} is more than there are rows; {rows} are used", stacklevel=4)
            batch_size = rows
        loss = self._make_loss()
        divisor = self.n_outputs_ if self.loss == "squared_error" else 1
        shuffled = rng if self.shuffle else None
        progress = MLPProgress(self, rows, self._decays(), score, shuffled, divisor)
        self.n_iter_ = 0
        epochs = 1 if incremental else self.max_iter
        try:
            self.history_ = fit(
                self.model_, X, target, loss=loss, optimizer=self.optimizer_, epochs=epochs, batch_size=batch_size,
                shuffle=False, callbacks=[progress], sample_weight=weight, verbose=0,
            )  # fmt: skip
        except DivergenceError as error:
            if not self.early_stopping:
                raise
            self.n_iter_ += 1
            progress.note(math.nan, math.nan, self.model_.Phi)
            warnings.warn(f"training ended at the loss nan: {error}", RuntimeWarning, stacklevel=4)
        finally:
            if progress.best_Phi is not None:
                self.model_.Phi = progress.best_Phi
        if not incremental and not progress.converged and self.n_iter_ == self.max_iter:
            text = f"{self.solver} has not converged after max_iter={self.max_iter} epochs"
            warnings.warn(text, ConvergenceWarning, stacklevel=4)

    def _split(self, X: Any, target: Array, weight: Any, rng: Any) -> tuple[Any, Array, Any, Any]:
        """The rows to train on with their targets and weights, and the function that gives the score of the others."""
        stratify = target if is_classifier(self) and self.n_outputs_ == 1 else None
        arrays = (X, target) if weight is None else (X, target, np.asarray(weight))
        parts = train_test_split(*arrays, random_state=rng, test_size=self.validation_fraction, stratify=stratify)
        (X, held_X), (target, held_target), *weights = zip(parts[::2], parts[1::2], strict=True)
        if held_X.shape[0] < 2:
            raise ValueError("The validation set is too small. Use more rows, or a larger validation_fraction")
        weight, held_weight = weights[0] if weights else (None, None)
        return X, target, weight, lambda: self._finite_score(held_X, held_target, held_weight)

    def _finite_score(self, X: Any, target: Array, weight: Any) -> float:
        with np.errstate(over="ignore", invalid="ignore"):
            finite = np.isfinite(self._network_outputs(X)).all()
            return float(self._score_of(X, target, weight)) if finite else math.nan

    def _minimize(self, X: Any, target: Array, weight: Any) -> None:
        """Train by L-BFGS on all rows at once."""

        def show(state: Any) -> None:
            print(f"Iteration {state.epoch}, loss = {state.values['loss'] + state.values.get('penalty', 0.0):.8f}")

        n = X.shape[0] if weight is None else float(np.sum(weight))
        history = self.history_ = minimize(
            self.model_, X, target, loss=self._make_loss(), epochs=self.max_iter, weight_decay={"W": self.alpha / n},
            options={"gtol": self.tol, "maxfun": self.max_fun}, sample_weight=weight, verbose=0,
            callbacks=[show] if self.verbose else [],
        )  # fmt: skip
        self.n_iter_ = history.epochs
        if history.epochs:
            self.loss_ = history["loss"][-1] + (history["penalty"][-1] if "penalty" in history else 0.0)
        if not history.converged:
            text = f"lbfgs has not converged after {history.epochs} iterations; {history.remark}".rstrip("; ")
            warnings.warn(text, ConvergenceWarning, stacklevel=4)

    def _decays(self) -> Array:
        """An array over Phi, 1 for the entries of W and 0 for those of b."""
        marks = [np.full(P.size, name.endswith("W"), P.dtype) for name, P in self.model_.named_parameters()]
        return np.concatenate(marks)

    # ---------------------------------------------------------------------------------------------------- prediction

    def _outputs(self, X: Any) -> Array:
        """What the network gives for rows X: logits, values, or logarithms of counts."""
        check_is_fitted(self)
        return self._network_outputs(validate_data(self, X, accept_sparse="csr", reset=False))

    def _network_outputs(self, X: Any) -> Array:
        return predict(self._link(), X)  # type: ignore[no-any-return]

    # -------------------------------------------------------------------------------------------- checks and pickles

    def _hidden(self) -> list[int]:
        sizes = self.hidden_layer_sizes
        sizes = list(sizes) if hasattr(sizes, "__iter__") else [sizes]
        if any(not isinstance(size, Integral) or size < 1 for size in sizes):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}")
        return sizes

    def _check_parameters(self) -> None:
        """Raise a TypeError or ValueError that names the parameter and its values."""
        self._hidden()
        one_of(self.activation, "activation", tuple(ACTIVATIONS))
        one_of(self.solver, "solver", ("lbfgs", "sgd", "adam"))
        one_of(self.learning_rate, "learning_rate", ("constant", "invscaling", "adaptive"))
        if self.batch_size != "auto":
            whole(self.batch_size, "batch_size", least=1)
        for name in "max_iter", "max_fun":
            whole(getattr(self, name), name, least=1)
        for name in "shuffle", "warm_start", "nesterovs_momentum", "early_stopping":
            boolean(getattr(self, name), name)
        if self.n_iter_no_change != math.inf:
            whole(self.n_iter_no_change, "n_iter_no_change", least=1)  # type: ignore[arg-type]
        for name in "learning_rate_init", "epsilon":
            positive(getattr(self, name), name)
        for name in "alpha", "power_t":
            non_negative(getattr(self, name), name)
        if not number(self.tol, "tol") >= 0:
            raise ValueError(f"tol: expected a number >= 0, got {self.tol}")
        for name in "momentum", "validation_fraction", "beta_1", "beta_2":
            share(getattr(self, name), name)
            if name != "momentum" and getattr(self, name) == 1:
                raise ValueError(f"{name}: expected a number from 0 to below 1, got {getattr(self, name)}")

    def __getstate__(self) -> dict[str, Any]:
        """The attributes, in which the parameters are once: in the network."""
        if hasattr(self, "coefs_"):
            self._link()
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name not in ("coefs_", "intercepts_")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if hasattr(self, "model_"):
            self.coefs_, self.intercepts_ = _parameters(self.model_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _parameters(model: Sequential) -> tuple[list[Any], list[Any]]:
    """Every W and every b of the network, views of its Phi."""
    _ = model.Phi  # from here on they are
    linears = [layer for layer in model if isinstance(layer, Linear)]
    return [layer.W for layer in linears], [layer.b for layer in linears]
