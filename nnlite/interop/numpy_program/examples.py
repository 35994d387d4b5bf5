"""Examples of a batch for a model and its loss, where the user gives none."""

from typing import Any

import numpy as np

from nnlite.basics.arrays import as_array
from nnlite.basics.shapes import sizes
from nnlite.basics.trees import spread
from nnlite.containers.logged_run import example_rows
from nnlite.containers.program import Program
from nnlite.layer.layer import Layer


def example_of(model: Layer, loss: Layer | None, X: Any, target: Any) -> tuple[Any, Any]:
    """A batch of random numbers, or of the given example's rows, whose number divides no size of the model's arrays.

    Raises:
        ValueError: the model takes none, and an example must be passed.
    """
    rows, rng = example_rows(model), np.random.default_rng(0)
    twin = model.evaluation_twin()
    if X is None:
        program = Program.of(model)
        shapes = program.shapes()
        inputs = []
        for edge in program.inputs:
            known = [each for each in sizes(shapes[edge]) if each is not None]
            inputs.append(rng.standard_normal((rows, *(known[-1:] or [4]))).astype(model.dtype))
        X = tuple(inputs) if len(inputs) > 1 else inputs[0]
    else:
        X = tuple(_repeated(each, rows, model) for each in X) if isinstance(X, tuple) else _repeated(X, rows, model)
    try:
        Y = spread(twin.forward, X)
    except Exception as error:
        raise ValueError(
            f"to_numpy: X: the model takes no batch of this shape; pass an example, X=...: {error}"
        ) from None
    if loss is None:
        return X, None
    if target is not None:
        return X, _repeated(target, rows, model)
    if isinstance(Y, tuple):
        raise ValueError("to_numpy: target: pass an example, target=..., for a model of several outputs")
    classes = Y.shape[1] if Y.ndim > 1 else 2
    for guess in (
        rng.integers(0, classes, Y.shape[:1] + Y.shape[2:]),
        rng.integers(0, 2, Y.shape).astype(Y.dtype),
        rng.choice([-1.0, 1.0], Y.shape).astype(Y.dtype),
    ):
        try:
            loss.forward(Y, guess)
        except (TypeError, ValueError):
            continue
        return X, guess
    raise ValueError(f"to_numpy: target: pass an example for {loss.one_line()}, target=...")


def _repeated(array: Any, rows: int, model: Layer) -> Any:
    array = as_array(array, "to_numpy: X")
    repeated = np.resize(array, (rows, *array.shape[1:]))
    return repeated.astype(model.dtype) if array.dtype.kind == "f" and model.Phi.size else repeated
