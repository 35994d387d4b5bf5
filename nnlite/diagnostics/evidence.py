"""Evidence: what is known of a layer whose gradient is wrong, and experiments that tell more."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.trees import listed
from nnlite.diagnostics.comparison import Finding
from nnlite.diagnostics.differences import Differences, Index
from nnlite.diagnostics.trial import Trial
from nnlite.diagnostics.witness import Visit, Witness

ROWS = 2**22  # numbers in the rows of a Jacobian that are looked at, 32 MB
RTOL = 1e-5  # how well an explanation has to fit


class Evidence:
    """A layer that is wrong by itself, its trial, and what was compared.

    Args:
        trial: of the layer, on the X and dY that it received.
        differences: of the trial.
        findings: what was compared, by the name of the array.
        witness: what the layers of the whole model received.

    >>> import nnlite as nn
    >>> X = np.ones((4, 2))
    >>> trial = Trial(nn.Tanh(), X, dY=X)
    >>> evidence = Evidence(trial, Differences(trial), {}, Witness())
    >>> sorted(evidence.sizes)
    ['the batch size', 'the number of elements', 'the number of outputs']
    """

    def __init__(self, trial: Trial, differences: Differences, findings: dict[str, Finding], witness: Witness) -> None:
        self.trial, self.differences, self.findings, self.witness = trial, differences, findings, witness
        self.layer = trial.layer
        self.dY = np.asarray(trial.dY, np.float64) if len(listed(trial.dY)) == 1 else None
        Y = trial.forward()
        self.Y = np.asarray(Y, np.float64) if len(listed(Y)) == 1 else None
        self.X = next((np.array(A, np.float64) for A in trial.inputs().values() if np.ndim(A)), None)
        self._rows: dict[str, tuple[list[Index], Array]] = {}

    # ------------------------------------------------------------------------------------ what fits

    def scale(self, name: str) -> float:
        """How large the gradients are, the true one and that of backward."""
        finding = self.findings[name]
        both = np.abs([*finding.numeric.ravel(), *finding.analytic.ravel()])
        return float(np.max(both, initial=0.0, where=np.isfinite(both)))

    def fits(self, name: str, candidate: Any, rtol: float = RTOL) -> bool:
        """Whether ``candidate`` is what backward says at every entry that was compared."""
        finding = self.findings[name]
        compared = np.isfinite(finding.numeric)
        if np.shape(candidate) != finding.analytic.shape:
            return False
        return self.equal(name, finding.analytic[compared], np.asarray(candidate)[compared], rtol)

    def equal(self, name: str, one: Array, other: Array, rtol: float = RTOL) -> bool:
        """Whether two lists of numbers agree, as far as the differences of the array can tell."""
        error = 2 * float(np.max(self.findings[name].error, initial=0.0))
        size = float(np.max(np.abs(other), initial=0.0))
        with np.errstate(invalid="ignore"):
            return bool(np.all(np.abs(one - other) <= rtol * np.abs(other) + 0.1 * rtol * size + error))

    # ------------------------------------------------------------------------------------ what is there

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Numbers that a gradient is multiplied or divided by in error; of a loss, whose Y is a number, those of X."""
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
        """The arrays that the layer keeps as attributes, by name, but for its parameters."""
        self.trial.forward()
        own = {name: value for name, value in vars(self.layer).items() if not name.startswith("_")}
        return {name: np.array(A, np.float64) for name, A in own.items() if isinstance(A, np.ndarray)}

    @cached_property
    def kept(self) -> dict[str, Array]:
        """Y, X and what else the layer keeps, where it has the shape of Y; none twice."""
        if self.Y is None:
            return {}
        named = {"Y": self.Y} | ({} if self.X is None else {"X": self.X})
        unlike: dict[str, Array] = {}
        for name, value in (named | self.arrays | named).items():
            if value.shape == self.Y.shape and not any(np.array_equal(value, other) for other in unlike.values()):
                unlike[name] = value
        return unlike

    def parts(self) -> Iterator[tuple[str, Array]]:
        """Of a composite layer each part, and what it gives back for X."""
        inside = {id(layer) for _, layer in self.layer.named_layers()} - {id(self.layer)}
        for visit in self.witness.forwards:
            if id(visit.layer) in inside:
                dX = visit.dX if visit.dX is not None else self._given_back(visit)
                for each in listed(dX):
                    if each is not None:
                        yield f"that {visit.place} gives back", np.asarray(each, np.float64)

    def _given_back(self, visit: Visit) -> Any:
        """What a part that backward forgot would have given back, were dY handed to it."""
        if self.dY is None or np.shape(visit.Y) != self.dY.shape:
            return None
        try:
            self.trial.forward()
            return visit.layer.backward(self.dY.copy())
        except Exception:  # a user's layer may raise anything
            return None

    # ------------------------------------------------------------------------------------ experiments

    def rows(self, name: str) -> tuple[list[Index], Array]:
        """Entries that were compared, the wrong ones first, and the derivative of each value by them."""
        if name not in self._rows:
            finding = self.findings[name]
            wrong = np.argwhere(finding.wrong)
            others = np.argwhere(np.isfinite(finding.numeric) & ~finding.wrong)
            most = max(16, ROWS // max(1, self.differences.start.size))
            indices = [tuple(map(int, index)) for index in [*wrong, *others][:most]]
            self._rows[name] = indices, np.array([self.differences.row(name, index) for index in indices])
        return self._rows[name]

    def other_X(self, X: Array) -> Trial:
        """The same layer and dY on another X."""
        return Trial(self.layer, X.copy(), self.trial.target, dY=self.trial.dY)

    def again(self, stored: float = 0.0, dY: Any = None) -> dict[str, Array]:
        """The gradients once more, with other numbers stored before, or of another dY."""
        trial = self.trial if dY is None else Trial(self.layer, self.trial.X, self.trial.target, dY=dY)
        trial.forward()
        return trial.backward(stored)
