"""A training of an estimator succeeds, or leaves no trace."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

WRITTEN = ("model_", "loss_", "optimizer_", "coefs_", "intercepts_")  # a training writes into these


def fitted(estimator: Any) -> dict[str, Any]:
    """The attributes that fit sets: by scikit-learn's rule those whose names end in an underscore.

    >>> from types import SimpleNamespace
    >>> fitted(SimpleNamespace(alpha=1.0, coefs_=[2.0]))
    {'coefs_': [2.0]}
    """
    return {name: value for name, value in vars(estimator).items() if name.endswith("_") and not name.startswith("_")}


@contextmanager
def all_or_nothing(estimator: Any, *, begins: bool) -> Iterator[None]:
    """A context in which the estimator is trained, after which it is not half trained if there was an error.

    Args:
        estimator: the estimator.
        begins: whether the training begins afresh. The estimator is then unfitted after an error; else it is as it was
            before, when it has been trained already. After Ctrl-C, which leaves the network whole, it has what was
            trained until then.
    """
    before: dict[str, Any] = {}
    if not begins:
        before = {name: [*value] if isinstance(value, list) else value for name, value in fitted(estimator).items()}
        before |= deepcopy({name: before[name] for name in WRITTEN if name in before})
    try:
        if begins:
            _replace(estimator, before)
        yield
    except BaseException as error:
        if not (isinstance(error, KeyboardInterrupt) and hasattr(error, "history")):
            _replace(estimator, before)
        raise


def _replace(estimator: Any, attributes: dict[str, Any]) -> None:
    for name in fitted(estimator):
        delattr(estimator, name)
    vars(estimator).update(attributes)
