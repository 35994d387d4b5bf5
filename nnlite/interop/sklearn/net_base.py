"""What NetClassifier and NetRegressor share: the parameters of the network, and its training by fit."""

from collections.abc import Callable
from copy import deepcopy
from inspect import Parameter
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, is_classifier
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from nnlite.basics.arrays import Array
from nnlite.basics.checks import boolean
from nnlite.basics.generators import generator
from nnlite.interop.sklearn.all_or_nothing import all_or_nothing
from nnlite.interop.sklearn.network import made, name_of, parameters_of
from nnlite.layer.layer import Layer
from nnlite.losses.loss import Loss
from nnlite.optim.optimizer import Optimizer
from nnlite.training.fit import fit
from nnlite.training.predict import predict


class BaseNet(BaseEstimator):  # type: ignore[misc]
    """The base class of :class:`NetClassifier` and :class:`NetRegressor`."""

    network: Any
    loss: Any
    optimizer: Callable[..., Any]
    lr: Any
    epochs: int
    batch_size: int
    shuffle: bool
    validation_split: float
    metrics: Any
    callbacks: Any
    accumulate_steps: int
    clip_norm: Any
    clip_value: float | None
    on_nan: str
    warm_start: bool
    random_state: Any
    verbose: int

    # ------------------------------------------------------------------------------------- parameters of the network

    def _keep(self, arguments: dict[str, Any]) -> None:
        """Keep the arguments of the constructor, those of the function that makes the network in a dict.

        Raises:
            TypeError: one is a parameter of neither.
        """
        self._of_network: dict[str, Any] = arguments.pop("parameters")
        self.__dict__.update({name: value for name, value in arguments.items() if name not in ("self", "__class__")})
        if unknown := self._unknown(self._of_network):
            raise TypeError(unknown)

    def _unknown(self, names: Any) -> str:
        """The error message for the first name that is not a parameter; "" if all are, or if ``network`` is invalid."""
        known = [*self._get_param_names(), *self._network_parameters()]
        unknown = [] if self._defaults() is None else [name for name in names if name not in known]
        return (
            f"{type(self).__name__}: unknown parameter {unknown[0]!r}; there are {', '.join(known)}" if unknown else ""
        )

    def _defaults(self) -> dict[str, Any] | None:
        """The parameters of the function that makes the network; None if it is neither a function nor a model."""
        try:
            return parameters_of(self.network)
        except TypeError:
            return None

    def _network_parameters(self) -> dict[str, Any]:
        """The parameters of the function that makes the network, as they were set or with their defaults.

        Those without a value are ``inspect.Parameter.empty``.
        """
        defaults = self._defaults()
        if defaults is None:
            return dict(self._of_network)
        return {name: self._of_network.get(name, default) for name, default in defaults.items()}

    def __getattr__(self, name: str) -> Any:  # called only for an attribute that is not there
        if not name.startswith("_") and "_of_network" in self.__dict__:
            value = self._network_parameters().get(name, Parameter.empty)
            if value is not Parameter.empty:
                return value
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        own = name.startswith("_") or name.endswith("_") or name in self.__dict__
        if not own and "_of_network" in self.__dict__ and name in self._network_parameters():
            self._of_network[name] = value
        else:
            super().__setattr__(name, value)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters of the estimator, and those of the function that makes the network.

        Args:
            deep: as scikit-learn has it; there are no estimators inside this one.
        """
        own = {name: value for name, value in self._network_parameters().items() if value is not Parameter.empty}
        return own | super().get_params(deep)  # type: ignore[no-any-return]

    def set_params(self, **parameters: Any) -> Any:
        """Set parameters of the estimator, or of the function that makes the network.

        Args:
            **parameters: the new values by name. With a new ``network`` the parameters of the old one are forgotten.

        Raises:
            ValueError: there is no such parameter; nothing is set then.
        """
        before = self.network, self._of_network
        if "network" in parameters:
            self.network, self._of_network = parameters["network"], {}
        if unknown := self._unknown(parameters):
            self.network, self._of_network = before
            raise ValueError(unknown)
        own = self._get_param_names()
        self.__dict__.update({name: value for name, value in parameters.items() if name in own})
        self._of_network |= {name: value for name, value in parameters.items() if name not in own}
        return self

    # ------------------------------------------------------------------- what classification and regression define

    def _coded(self, y: Any) -> Any:
        """The targets as the loss expects them."""
        raise NotImplementedError

    def _prepare(self, y: Any, classes: Any) -> int:
        """Set ``loss_`` and what it is that the targets are coded by; return the number of outputs."""
        raise NotImplementedError

    def _joined(self, network: Layer) -> Layer:
        """The model: the network, with what the loss needs behind it."""
        return network

    def _weights(self, y: Any, sample_weight: Any, whole: bool) -> Any:
        """The weight of each row, or None."""
        return sample_weight

    # ------------------------------------------------------------------------------------------------------ training

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, validation_data: Any = None, resume: Any = None) -> Any:
        """Train a new network; with ``warm_start`` go on with that of the last call.

        Args:
            X: an array or a sparse matrix of shape (n, n_features), or a frame; or an array with more axes, such as
                images (n, channels, height, width), where the network takes it.
            y: the targets of the rows, of shape (n,) or (n, n_outputs).
            sample_weight: a weight for each row.
            validation_data: a pair (X, y) to measure after each epoch.
            resume: a file that :class:`nnlite.Checkpoint` wrote: its training goes on.

        Returns:
            The estimator itself.
        """
        begins = not (self.warm_start and hasattr(self, "model_"))
        return self._train(X, y, sample_weight, begins=begins, validation_data=validation_data, resume=resume)

    def _train(
        self, X: Any, y: Any, sample_weight: Any, *, begins: bool, classes: Any = None, epochs: int | None = None,
        validation_data: Any = None, resume: Any = None,
    ) -> Any:  # fmt: skip
        boolean(self.warm_start, "warm_start")
        with all_or_nothing(self, begins=begins):
            X, y = self._checked(X, y, multi_output=True, reset=begins, y_numeric=not is_classifier(self))
            rng = _generator(self.random_state)
            if begins:
                self._check_network()
                self._begin(X, self._prepare(y, classes), rng)
                self.made_from_ = self._makers()
            else:
                self._check_makers()
            target = self._coded(y)
            if validation_data is not None:
                validation_data = self._validation(*validation_data)
            self.callbacks_ = self._made_callbacks()
            try:
                self.history_ = fit(
                    self.model_, X, target, loss=self.loss_, optimizer=self.optimizer_,
                    epochs=self.epochs if epochs is None else epochs, batch_size=self.batch_size, shuffle=self.shuffle,
                    validation_data=validation_data, validation_split=self.validation_split, metrics=self.metrics,
                    callbacks=self.callbacks_, sample_weight=self._weights(y, sample_weight, whole=epochs is None),
                    accumulate_steps=self.accumulate_steps, clip_norm=self.clip_norm, clip_value=self.clip_value,
                    resume=resume, verbose=self.verbose, on_nan=self.on_nan, rng=rng,
                )  # fmt: skip
            except KeyboardInterrupt as error:
                if hasattr(error, "history"):  # otherwise it came before the training
                    self.history_ = error.history
                raise
        return self

    def _check_network(self) -> None:
        """Raise a TypeError if the network cannot be made, or has a parameter with the name of one of the estimator."""
        if both := sorted(parameters_of(self.network).keys() & self._get_param_names()):
            raise TypeError(
                f"network: {both[0]} is a parameter of {name_of(self.network)} and of {type(self).__name__}; rename it"
            )

    def _makers(self) -> dict[str, Any]:
        """The parameters of which network, loss and optimizer are made."""
        own = {"network": self.network, "loss": self.loss, "optimizer": self.optimizer, "lr": self.lr}
        return own | self._network_parameters()

    def _check_makers(self) -> None:
        """Raise a ValueError if one has changed, which would have no effect on a training that goes on."""
        for name, value in self._makers().items():
            before: Any = self.made_from_.get(name)
            if not (value is before or np.array_equal(value, before)):
                cure = ", or set optimizer_.lr" if name == "lr" else ""
                raise ValueError(
                    f"{name}: expected {before!r} as in the last call, whose network, loss and optimizer are trained "
                    f"further, got {value!r}; call fit with warm_start=False to train new ones{cure}"
                )

    def _begin(self, X: Any, outputs: int, rng: Any) -> None:
        """Make the network, and check that its output fits the targets; make the optimizer.

        Raises:
                TypeError, ValueError: it does not fit; or the function of the network or of the optimizer is wrong.
        """
        network = made(self.network, self.n_features_in_, outputs, self._network_parameters(), rng)
        shape = np.shape(predict(network, X[:1]))
        if shape != (1, outputs):
            raise ValueError(
                f"network: expected an output of shape (rows, {outputs}) for these targets with {self.loss_!r}, got "
                f"{('rows', *shape[1:]) if shape else shape} from {network.one_line()}".replace("'rows'", "rows")
            )
        self.model_ = self._joined(network)
        itself = isinstance(self.optimizer, Optimizer)
        if itself or not callable(self.optimizer):
            raise TypeError(
                f"optimizer: expected what makes one of a model, such as nnlite."
                f"{type(self.optimizer).__name__ if itself else 'Adam'} or a function of the model, got "
                f"{'the optimizer itself: ' if itself else ''}{self.optimizer!r}"
            )
        try:
            self.optimizer_ = self.optimizer(self.model_, **({} if self.lr is None else {"lr": self.lr}))
        except TypeError as error:
            called = f"{name_of(self.optimizer)}(model{f', lr={self.lr}' * (self.lr is not None)})"
            error.add_note(f"optimizer: called as {called}; {type(self).__name__}(lr=0.1) sets its learning rate")
            raise

    def _made_callbacks(self) -> Any:
        """New callbacks for a training, so that the parameter stays as it is."""
        if callable(self.callbacks):
            return self.callbacks(self.optimizer_)
        return deepcopy(self.callbacks)

    def _validation(self, X: Any, y: Any) -> tuple[Any, Any]:
        X, y = self._checked(X, y, multi_output=True, reset=False)
        return X, self._coded(y)

    # ---------------------------------------------------------------------------------------------------- prediction

    def _outputs(self, X: Any) -> Any:
        """What the model gives for rows X."""
        check_is_fitted(self, "model_")
        return predict(self.model_, self._checked(X, reset=False))

    def _checked(self, *data: Any, reset: bool, **options: Any) -> Any:
        """X, or X and y, as scikit-learn converts them; rows may have several axes, such as those of images."""
        checked = validate_data(self, *data, accept_sparse="csr", allow_nd=True, reset=reset, **options)
        shape = (checked[0] if len(data) > 1 else checked).shape[1:]
        if reset:
            self.row_shape_ = shape
        elif shape != self.row_shape_:
            raise ValueError(f"X: expected rows of shape {self.row_shape_}, as in fit, got {shape}")
        return checked

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.target_tags.multi_output = True
        return tags


def checked_loss(loss: Any, default: Callable[[], Loss]) -> Loss:
    """A loss of the estimator's own: a copy of the given one, or the default.

    Raises:
        TypeError: something else than a Loss is given.
    """
    if loss is None:
        return default()
    if not isinstance(loss, Loss):
        raise TypeError(f"loss: expected a loss such as nnlite.{default.__name__}(), or None for it, got {loss!r}")
    return deepcopy(loss)


def _generator(random_state: Any) -> Any:
    """A generator for scikit-learn's ``random_state``; None is the default one of ``nnlite.manual_seed``."""
    if random_state is None or isinstance(random_state, np.random.Generator):
        return generator(random_state)
    return np.random.default_rng(check_random_state(random_state).randint(2**31, size=4))


def column(y: Array) -> Array:
    """Targets with an axis for the outputs."""
    return y[:, None] if y.ndim == 1 else y
