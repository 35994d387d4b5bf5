"""Whether a program computes what the layers do: the check behind every program that is written."""

from copy import deepcopy
from typing import Any

import numpy as np

from nnlite.basics.trees import listed, spread
from nnlite.compute.call_log import UnwritableError
from nnlite.layer.layer import Layer
from nnlite.optim.optimizer import Optimizer


def check_same(source: Any, model: Layer, loss: Layer | None, optimizer: Optimizer | None, X: Any, target: Any) -> None:
    """Run the program and the layers on batches of several sizes.

    Raises:
        UnwritableError: they differ; the program would not hold for other values or other numbers of rows.
    """
    program = namespace(source)
    own_model, own_loss, own_optimizer = deepcopy((model, loss, optimizer))
    rows = len(listed(X)[0])
    for count in (rows, rows - 4, 1):
        Xs, y = _first(X, count), target[:count] if np.ndim(target) else target
        found, expected = program["forward"](*listed(Xs)), spread(own_model.evaluation_twin().forward, Xs)
        _compare(found, expected, f"forward of {count} rows")
        if own_loss is None or own_optimizer is None:
            continue
        try:
            J = own_loss.forward(spread(own_model.forward, Xs), y)
        except ValueError as error:
            if count > 1:
                raise UnwritableError(f"to_numpy: the layers take no batch of {count} rows: {error}") from error
            continue  # one row is not enough for BatchNorm
        own_model.backward(own_loss.backward())
        L = program["step"](*listed(Xs), y, lr=own_optimizer.current_lr)
        _compare(program["dPhi"], own_model.dPhi, f"dPhi of {count} rows")
        _compare(L, J, f"loss of {count} rows")
        own_optimizer.step()
        hint = "make a first step before, if that is another one than those that follow"
        _compare(program["Phi"], own_model.Phi, f"Phi after a step on {count} rows; {hint}")


def namespace(source: Any) -> dict[str, Any]:
    """What the program defines, run with its arrays, without files."""
    names: dict[str, Any] = {"__name__": "written_by_nnlite", "__file__": "model.py"}
    code = str(source)
    start, end = code.find("with np.load(file)"), code.find("\n", code.find("globals().update("))
    if start >= 0:
        code = code[:start] + code[end + 1 :]
        names |= {name: array.copy() for name, array in source.arrays.items()}
    exec(compile(code, "<to_numpy>", "exec"), names)
    return names


def _first(X: Any, count: int) -> Any:
    return tuple(each[:count] for each in X) if isinstance(X, tuple) else X[:count]


def _compare(found: Any, expected: Any, what: str) -> None:
    for one, other in zip(listed(found), listed(expected), strict=True):
        if np.shape(one) != np.shape(other) or not np.array_equal(one, other, equal_nan=True):
            distance = np.max(np.abs(np.subtract(one, other))) if np.shape(one) == np.shape(other) else "another shape"
            raise UnwritableError(f"to_numpy: the program differs from the layers in {what}: {distance}")
