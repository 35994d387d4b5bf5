"""The exceptions that callers may want to catch; every other error is a TypeError or a ValueError."""

from typing import Any


class ShapeError(ValueError):
    """An array has the wrong shape.

    >>> import numpy as np, nnlite as nn
    >>> nn.Linear(3, 2).forward(np.zeros((4, 2)))
    Traceback (most recent call last):
        ...
    nnlite.errors.ShapeError: Linear(3 -> 2): expected 3 features, got 2 (X has shape (4, 2))
    """


class StateError(RuntimeError):
    """Methods were called in the wrong order, such as ``backward`` before ``forward``.

    >>> import numpy as np, nnlite as nn
    >>> nn.Tanh().backward(np.zeros(3))
    Traceback (most recent call last):
        ...
    nnlite.errors.StateError: Tanh(): backward was called before forward; call forward(X) first
    """


class DivergenceError(FloatingPointError):
    """The training loss became NaN or infinite; the parameters are those from before that step.

    >>> import numpy as np, nnlite as nn
    >>> model = nn.Sequential(nn.Linear(1, 1))
    >>> nn.fit(model, np.array([[np.nan]]), np.ones((1, 1)), loss=nn.MSELoss(),
    ...        optimizer=nn.SGD(model, lr=0.1), verbose=0)
    Traceback (most recent call last):
        ...
    nnlite.errors.DivergenceError: the loss is nan in epoch 1, batch 1: ...
    """


class CheckpointError(ValueError):
    """A file cannot be loaded: it is damaged, was not written by nnlite, or has layers that are not registered.

    >>> import os, tempfile, nnlite as nn
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.npz")
    ...     with open(path, "w") as file:
    ...         print("not a model", file=file)
    ...     nn.load(path)
    Traceback (most recent call last):
        ...
    nnlite.errors.CheckpointError: ...model.npz: it was not written by nnlite, or its beginning is damaged
    """


class GradientError(AssertionError):
    """A backward is not the derivative of its forward; the message is the report of ``check_gradients``.

    Attributes:
        report: the report, with its ``verdict``, its ``fault`` as a value with fields, and a comparison for each array;
            it has no comparisons where a gradient is missing or has the wrong shape.

    >>> import numpy as np, nnlite as nn
    >>> class Wrong(nn.Layer):
    ...     def forward(self, X):
    ...         self.X = X
    ...         return X * X
    ...     def backward(self, dY):
    ...         return dY * self.X  # a factor of 2 is missing
    >>> try:
    ...     nn.check_gradients(Wrong(), np.array([1.0, 2.0, 3.0]))
    ... except nn.GradientError as error:
    ...     print(error.report.verdict, error.report.fault.kind, sep="; ")
    Wrong(): dX: 1/2 of the true gradient; wrong factor
    """

    def __init__(self, message: str = "", report: Any = None) -> None:
        super().__init__(message)
        self.report = report
