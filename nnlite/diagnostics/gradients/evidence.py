"""Evidence: what is known of one wrong gradient of a layer, and experiments with the layer."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.trees import listed
from nnlite.diagnostics.gradients.central_differences import Differences, Index
from nnlite.diagnostics.gradients.comparison import Finding
from nnlite.diagnostics.gradients.fault import close
from nnlite.diagnostics.gradients.trial import Trial
from nnlite.diagnostics.recording import LayerCall

MOST_NUMBERS = 2**22  # of a Jacobian: 32 MB
RTOL = 1e-5  # relative tolerance of an explanation


class Evidence:
    """One gradient of a layer that is wrong by itself.

    Args:
        name: the array that it is the gradient of.
        differences: of a trial of the layer on the X and dY that it received.
        findings: the comparison of each array of the layer, by name.
        calls: of the layers of the model.

    Attributes:
        indices: the entries that were compared, the wrong ones first.
        A, N: the gradient from backward, and the central differences, at these.
        X, Y, dY: what the layer received and returned; None where these are several arrays.
        whole, shape: the whole gradient from backward, and its shape.
    """

    def __init__(
        self, name: str, differences: Differences, findings: dict[str, Finding], calls: Sequence[LayerCall] = ()
    ) -> None:
        self.name, self.differences, self.findings, self.calls = name, differences, findings, calls
        self.trial, self.finding = differences.trial, findings[name]
        self.layer = self.trial.layer
        self.whole, self.shape = self.finding.gradient, self.finding.gradient.shape
        most = max(64, MOST_NUMBERS // max(1, differences.start.size))
        compared = self.finding.only(np.argsort(~self.finding.wrong, kind="stable")[:most])
        self.indices, self.A, self.N = compared.indices, compared.analytic, compared.numeric
        self._true = {name: dict(zip(self.indices, self.N.tolist(), strict=True))}
        self.X = next((np.array(A, np.float64) for A in self.trial.inputs().values() if np.ndim(A)), None)
        self.Y, self.dY = (_single(values) for values in (self.trial.forward(), self.trial.dY))

    def at(self, values: Any) -> Array:
        """The entries of an array of the gradient's shape that were compared."""
        return np.array([values[index] for index in self.indices])

    def true(self, name: str, indices: list[Index]) -> Array:
        """The central differences at any entries of an array."""
        known = self._true.setdefault(name, {})
        for index in indices:
            if index not in known:
                known[index] = self.differences.at(name, index)
        return np.array([known[index] for index in indices])

    def may_fit(self, indices: list[Index]) -> bool:
        """Whether the first entries of the gradient are a multiple of the true one at ``indices``."""
        a, c = self.A[: len(indices)], self.true(self.name, indices)
        return bool(np.allclose(a * (c @ c), c * (a @ c), rtol=1e-3, atol=1e-3 * np.max(np.abs(a * c))))

    def equal(self, one: Array, other: Array, rtol: float = RTOL) -> bool:
        """Whether two lists of numbers agree within the error of the central differences."""
        error = 2 * float(np.max(self.finding.error, initial=0.0))
        size = float(np.max(np.abs(other), initial=0.0))
        return bool(np.all(np.abs(one - other) <= rtol * np.abs(other) + 0.1 * rtol * size + error))

    def ratio(self, numbers: Array, candidate: Array) -> float | None:
        """The factor c if the numbers are c times the candidate and neither is zero, else None."""
        square = float(candidate @ candidate)
        if not (np.isfinite(square) and square > 0 and np.isfinite(numbers).all()):
            return None
        found = float(numbers @ candidate) / square
        rtol = min(RTOL, max(0.1 * abs(found - 1), 1e-9))
        return found if found and self.equal(numbers, found * candidate, rtol) else None

    def named(self, factor: float) -> dict[str, int] | None:
        """The sizes that a factor, or its reciprocal, is equal to, half of or twice; None if it is no usual factor."""
        size = max(abs(factor), 1 / abs(factor))
        shape = next((A.shape for A in (self.Y, self.X) if A is not None and A.ndim), ())
        sizes = {"the number of elements": int(np.prod(shape))}
        if len(shape) > 1:
            sizes |= {"the batch size": shape[0], "the number of outputs": shape[-1]}
        if self.X is not None and self.X.ndim and shape and self.X.shape[-1] != shape[-1]:
            sizes["the number of features"] = self.X.shape[-1]
        for least, times in (1, 1), (1, 2), (3, 0.5):
            found = {what: n for what, n in sizes.items() if n > least and close(size, times * n)}
            if found or close(size, 1) or close(size, 2):
                return found
        return None

    # -------------------------------------------------------------------------------------------- its arrays

    @cached_property
    def rows(self) -> Array:
        """The derivative of every number of Y by each entry that was compared, one row an entry."""
        return np.array([self.differences.slope(self.name, index).row for index in self.indices])

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
        found: dict[str, Array] = {}
        for name, A in (named | self.arrays | named).items():
            if A.shape == self.Y.shape and not any(np.array_equal(A, other) for other in found.values()):
                found[name] = A
        return found

    # -------------------------------------------------------------------------------------------- experiments

    def parts(self) -> Iterator[tuple[str, Array]]:
        """Yield, for each part of a composite layer, its name and the dX that it returns."""
        inside = {id(layer) for _, layer in self.layer.named_layers()} - {id(self.layer)}
        for call in self.calls:
            if id(call.layer) in inside:
                dX = call.dX
                if dX is None and self.dY is not None and np.shape(call.Y) == self.dY.shape:
                    self.trial.forward()
                    dX = call.layer.backward(self.dY.copy())  # the backward of the whole does not call it
                yield from ((f"dX of {call.place}", np.asarray(A, np.float64)) for A in listed(dX) if A is not None)

    def on(self, X: Array) -> tuple[Differences, dict[str, Array]]:
        """The same layer and dY on another X: its differences, and its gradients."""
        trial = Trial(self.layer, X.copy(), self.trial.target, dY=self.trial.dY)
        return Differences(trial, self.differences.step, kinks=False), trial.backward()

    def again(self, stored: float, dY: Any = None) -> dict[str, Array]:
        """The gradients of another backward, with ``stored`` in them before, for this dY or another one."""
        trial = self.trial if dY is None else Trial(self.layer, self.trial.X, self.trial.target, dY=dY)
        trial.forward()
        return trial.backward(stored)


def _single(values: Any) -> Array | None:
    return np.asarray(values, np.float64) if len(listed(values)) == 1 else None
