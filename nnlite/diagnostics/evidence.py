"""Evidence: what is known of a layer whose gradient is wrong, and experiments with it."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.trees import listed
from nnlite.diagnostics.central_differences import Differences, Index
from nnlite.diagnostics.comparison import Finding
from nnlite.diagnostics.recording import LayerCall, Recording
from nnlite.diagnostics.trial import Trial

ROWS = 2**22  # numbers of a Jacobian that are computed at most, 32 MB
RTOL = 1e-5  # relative tolerance of an explanation


class Evidence:
    """A layer that is wrong by itself, its trial, and the comparisons of its gradients.

    Args:
        trial: the layer on the X and dY that it received.
        differences: of the trial.
        findings: the comparison of each array, by name.
        recording: what all layers of the model received.

    >>> import nnlite as nn
    >>> X = np.ones((4, 2))
    >>> trial = Trial(nn.Tanh(), X, dY=X)
    >>> evidence = Evidence(trial, Differences(trial), {}, Recording())
    >>> sorted(evidence.sizes)
    ['the batch size', 'the number of elements', 'the number of outputs']
    """

    def __init__(
        self, trial: Trial, differences: Differences, findings: dict[str, Finding], recording: Recording
    ) -> None:
        self.trial, self.differences, self.findings, self.recording = trial, differences, findings, recording
        self.layer = trial.layer
        self.dY = np.asarray(trial.dY, np.float64) if len(listed(trial.dY)) == 1 else None
        Y = trial.forward()
        self.Y = np.asarray(Y, np.float64) if len(listed(Y)) == 1 else None
        self.X = next((np.array(A, np.float64) for A in trial.inputs().values() if np.ndim(A)), None)
        self._rows: dict[str, tuple[list[Index], Array]] = {}

    def fits(self, name: str, candidate: Any, rtol: float = RTOL) -> bool:
        """Return whether ``candidate`` equals the gradient from backward at every entry that was compared."""
        finding = self.findings[name]
        compared = np.isfinite(finding.numeric)
        if np.shape(candidate) != finding.analytic.shape:
            return False
        return self.equal(name, finding.analytic[compared], np.asarray(candidate)[compared], rtol)

    def equal(self, name: str, one: Array, other: Array, rtol: float = RTOL) -> bool:
        """Return whether two lists of numbers agree within the error of the array's central differences."""
        error = 2 * float(np.max(self.findings[name].error, initial=0.0))
        size = float(np.max(np.abs(other), initial=0.0))
        with np.errstate(invalid="ignore"):
            return bool(np.all(np.abs(one - other) <= rtol * np.abs(other) + 0.1 * rtol * size + error))

    @cached_property
    def sizes(self) -> dict[str, int]:
        """The sizes that a gradient may be multiplied or divided by in error; those of X for a loss."""
        X_shape = np.shape(self.X) if self.X is not None else ()
        shape = (() if self.Y is None else self.Y.shape) or X_shape
        sizes = {"the number of elements": int(np.prod(shape))}
        if len(shape) > 1:
            sizes |= {"the batch size": shape[0], "the number of outputs": shape[-1]}
        if X_shape and shape and X_shape[-1] != shape[-1]:
            sizes["the number of features"] = X_shape[-1]
        return sizes

    @cached_property
    def arrays(self) -> dict[str, Array]:
        """The arrays that the layer has as attributes, by name, buffers included, without its parameters."""
        self.trial.forward()
        own = {name: value for name, value in vars(self.layer).items() if not name.startswith("_")}
        own |= {name: value for name, value in self.layer.named_buffers() if "." not in name}  # not those of parts
        return {name: np.array(A, np.float64) for name, A in own.items() if isinstance(A, np.ndarray)}

    @cached_property
    def cached(self) -> dict[str, Array]:
        """Y, X and the layer's other arrays of Y's shape, without duplicates."""
        if self.Y is None:
            return {}
        named = {"Y": self.Y} | ({} if self.X is None else {"X": self.X})
        unlike: dict[str, Array] = {}
        for name, value in (named | self.arrays | named).items():
            if value.shape == self.Y.shape and not any(np.array_equal(value, other) for other in unlike.values()):
                unlike[name] = value
        return unlike

    def parts(self) -> Iterator[tuple[str, Array]]:
        """Yield, for each part of a composite layer, its name and the dX that it returns."""
        inside = {id(layer) for _, layer in self.layer.named_layers()} - {id(self.layer)}
        for call in self.recording.forwards:
            if id(call.layer) in inside:
                dX = call.dX if call.dX is not None else self._missing_dX(call)
                for each in listed(dX):
                    if each is not None:
                        yield f"dX of {call.place}", np.asarray(each, np.float64)

    def _missing_dX(self, call: LayerCall) -> Any:
        """Return the dX that a part would return for dY, where the backward of the whole does not call it."""
        if self.dY is None or np.shape(call.Y) != self.dY.shape:
            return None
        try:
            self.trial.forward()
            return call.layer.backward(self.dY.copy())
        except Exception:  # a user's layer may raise anything
            return None

    def rows(self, name: str) -> tuple[list[Index], Array]:
        """Return compared indices, the wrong ones first, and the derivative of each value by these entries."""
        if name not in self._rows:
            finding = self.findings[name]
            wrong = np.argwhere(finding.wrong)
            others = np.argwhere(np.isfinite(finding.numeric) & ~finding.wrong)
            most = max(16, ROWS // max(1, self.differences.start.size))
            indices = [tuple(map(int, index)) for index in [*wrong, *others][:most]]
            self._rows[name] = indices, np.array([self.differences.row(name, index) for index in indices])
        return self._rows[name]

    def other_X(self, X: Array) -> Trial:
        """Return the same layer and dY on another X."""
        return Trial(self.layer, X.copy(), self.trial.target, dY=self.trial.dY)

    def again(self, stored: float = 0.0, dY: Any = None) -> dict[str, Array]:
        """Return the gradients of another backward, with ``stored`` in them before, or for another dY."""
        trial = self.trial if dY is None else Trial(self.layer, self.trial.X, self.trial.target, dY=dY)
        trial.forward()
        return trial.backward(stored)
