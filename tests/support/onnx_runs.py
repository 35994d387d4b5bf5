"""Running a file of ONNX under onnxruntime, and what a layer gives for the same inputs."""

from functools import cache
from typing import Any

import numpy as np
import onnxruntime
from support.contract import OWN, ROWS, WITHOUT_FORMULAS, Row, forward

import nnlite as nn
from nnlite.basics.trees import listed
from nnlite.containers.argument_names import expands

onnxruntime.set_default_logger_severity(4)  # its warnings are about files, not about us

WITHOUT_ONNX = {  # and why
    "Conv2d-circular": "padding_mode='circular' is in opsets from 19 on",
    "LocalResponseNorm-even": "in ONNX the size is odd",
    "PositionalEncoding-of-a-sequence": "the number of steps must be known",
    **{row.id: "the class has no `onnx`" for row in OWN},
}


def of_form(row: Row, values: list[Any]) -> Any:
    """``values`` as the inputs of the row: one, a tuple or a dict."""
    if isinstance(row.X, dict):
        return dict(zip(row.X, values, strict=True))
    return tuple(values) if isinstance(row.X, tuple) else values[0]


def takes_any_rows(row: Row) -> bool:
    """Whether the first axis of the inputs of the row is a batch, so that the layer takes two rows and three."""
    Xs = listed(row.X)
    if "-of-one-" in row.id or any(np.ndim(X) == 0 for X in Xs) or len({len(X) for X in Xs}) > 1:
        return False
    try:
        for rows in 2, 3:
            forward(row.make(), of_form(row, [X[np.arange(rows) % len(X)] for X in Xs]))
    except nn.ShapeError:
        return False
    return True


def says_what_it_is(row: Row) -> list[bool]:
    """Of each layer of the row that no container is, whether it has an ``onnx``."""
    return [bool(layer.onnx) for _, layer in row.make().named_layers() if not expands(layer)]


@cache
def of_batches() -> list[Row]:
    """The rows of the contract table that are no losses and take any number of rows; found when a test asks."""
    return [row for row in ROWS + WITHOUT_FORMULAS + OWN if row.target is None and takes_any_rows(row)]


@cache
def exported() -> list[Row]:
    """Those of which each layer has operators of ONNX."""
    return [row for row in of_batches() if row.id not in WITHOUT_ONNX and all(says_what_it_is(row))]


def one_of_each_layer(rows: list[Row]) -> list[Row]:
    """The first row of each layer that is no container."""
    return list({type(layer): row for row in reversed(rows) if not expands(layer := row.make())}.values())


def input_shape(row: Row) -> Any:
    """The ``input_shape`` of the row."""
    shapes = of_form(row, [X.shape[1:] for X in listed(row.X)])
    return list(shapes) if isinstance(row.X, np.ndarray) else shapes


def outputs(content: Any, *Xs: np.ndarray) -> list[np.ndarray]:
    """What a file, or its content, gives under onnxruntime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return session.run(None, dict(zip([each.name for each in session.get_inputs()], Xs, strict=True)))


def batch(X: Any, rows: int, dtype: Any = np.float32) -> np.ndarray:
    """So many rows, which repeat those of X; indices as int64, masks as they are."""
    X = np.asarray(X)
    return X[np.arange(rows) % len(X)].astype({"i": np.int64, "u": np.int64, "b": bool}.get(X.dtype.kind, dtype))


def assert_equal_outputs(content: Any, model: nn.Layer, row: Row, rows: int, relative: float = 1e-5) -> None:
    """Raise unless onnxruntime gives what the model does, up to a share of the largest number."""
    Xs = [batch(X, rows, model.dtype) for X in listed(row.X)]
    for got, expected in zip(outputs(content, *Xs), listed(forward(model, of_form(row, Xs))), strict=True):
        assert got.shape == np.shape(expected)
        assert got.dtype == expected.dtype
        largest = np.max(np.abs(expected), initial=0)
        np.testing.assert_allclose(got, expected, rtol=0, atol=relative * max(largest, 1e-30))
