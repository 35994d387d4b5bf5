"""Diagnostics: gradients, updates and activations of each layer while a model trains."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from nnlite.diagnostics.own_parameters import own_slices
from nnlite.diagnostics.text_table import text_table
from nnlite.diagnostics.unit_activity import activities
from nnlite.training.callbacks import Callback
from nnlite.training.diagnostics_plot import plot_diagnostics
from nnlite.training.rows import Rows
from nnlite.training.training_state import Training

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROWS = 256  # training rows on which the activations are measured

Series = dict[str, list[float]]


class Diagnostics(Callback):
    """Record for each layer and epoch the norms of gradient and update, and the share of dead and saturated units.

    Each attribute is a dict from the path of a layer, as in ``named_layers``, to a list with a number for each epoch.

    ``print`` shows the last epoch as a table, and :meth:`plot` draws all of them. It costs a few passes over the
    parameters for each batch, and changes nothing in the model. Checkpoints hold all of it.

    Args:
        X: rows on which to measure the activations; by default 256 of the training rows. Required if ``fit`` gets
            batches.

    Attributes:
        gradients: the norm of the gradient of a layer with parameters, after clipping; the mean over the batches.
        updates: the relative update ``|step| / |weights|`` of a layer with parameters, likewise; about 1e-3 is right.
        dead: the share of units of an activation whose slope is 0 for all of the rows, at the end of the epoch in
            evaluation mode. Activations are the layers with one input that are elementwise.
        saturated: the share of entries of an activation whose slope is below 1e-2, likewise.

    >>> import nnlite as nn
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(100, 2))
    >>> model = nn.Sequential(nn.Linear(2, 8, rng=rng), nn.Tanh(), nn.Linear(8, 1, rng=rng))
    >>> diagnostics = Diagnostics()
    >>> history = nn.fit(model, X, X[:, :1], loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.01), epochs=3, rng=rng,
    ...                  callbacks=[diagnostics], verbose=0)
    >>> print(diagnostics)
    epoch 3  layer          |gradient|  |step| / |weights|   dead  saturated
    ------------------------------------------------------------------------
    0        Linear(2 -> 8)     ...
    1        Tanh()                                           0 %        0 %
    2        Linear(8 -> 1)     ...
    >>> len(diagnostics.updates["0"])
    3
    """

    may_differ = ("X",)  # it may be large, and training does not depend on it

    def __init__(self, X: Any = None) -> None:
        self.X = X
        self._forget()

    def _forget(self) -> None:
        self.layers: dict[str, str] = {}  # the repr of each by its path, in the order of the model
        self.gradients: Series = {}
        self.updates: Series = {}
        self.dead: Series = {}
        self.saturated: Series = {}
        self._gradients: dict[str, float] = {}  # the sums over the epoch so far
        self._updates: dict[str, float] = {}
        self._batches = self._steps = 0

    @property
    def epochs(self) -> int:
        """The number of epochs that have been recorded."""
        return max(map(len, [*self.gradients.values(), *self.dead.values()]), default=0)

    def on_train_begin(self, state: Training) -> None:
        """Find the layers, and start again unless a training is resumed."""
        if state.epoch == state.batch == 0:
            self._forget()
        self.layers = {path: layer.one_line() for path, layer in state.model.named_layers()}
        self._places = own_slices(state.model)
        self._before = state.model.Phi.copy()
        if self.X is None and not isinstance(state.rows, Rows):
            raise ValueError(
                "Diagnostics: fit gets batches, and not rows to measure activations on; pass Diagnostics(X)"
            )

    def on_epoch_begin(self, state: Training) -> None:
        """Start from the present weights; the batches that were left at the end of an epoch may have made a step."""
        self._before = state.model.Phi.copy()

    def on_batch_end(self, state: Training) -> None:
        """Add the norms of this batch."""
        Phi, dPhi = state.model.Phi, state.model.dPhi
        step = Phi - self._before
        stepped = bool(step.any())  # where gradients are accumulated, not every batch has a step
        for path, place in self._places.items():
            gradient = float(np.linalg.norm(dPhi[place]))
            self._gradients[path] = self._gradients.get(path, 0.0) + gradient
            if stepped:
                weights = float(np.linalg.norm(self._before[place])) or 1.0
                share = float(np.linalg.norm(step[place])) / weights
                self._updates[path] = self._updates.get(path, 0.0) + share
        self._batches += 1
        self._steps += stepped
        if stepped:
            self._before[...] = Phi

    def on_epoch_end(self, state: Training) -> None:
        """Record the means of the epoch, and measure the activations."""
        for path in self._places:
            _put(self.gradients, path, state.epoch, self._gradients.get(path, 0.0) / max(self._batches, 1))
            _put(self.updates, path, state.epoch, self._updates.get(path, 0.0) / max(self._steps, 1))
        self._gradients, self._updates, self._batches, self._steps = {}, {}, 0, 0
        for each in activities(state.model, self._rows(state)):
            _put(self.dead, each.path, state.epoch, each.dead / max(each.units, 1))
            _put(self.saturated, each.path, state.epoch, each.saturated)

    def _rows(self, state: Training) -> Any:
        """The rows on which the activations are measured, the same in every epoch."""
        if self.X is not None:
            return self.X
        return next(state.rows.batches(ROWS)).X

    def plot(self) -> "Figure":
        """Draw gradients, updates, dead and saturated units, with a line for each layer; return the matplotlib figure.

        Raises:
            ValueError: no epoch has been recorded.
            ImportError: matplotlib is not installed; it is the extra ``plot``.

        >>> diagnostics = Diagnostics()
        >>> diagnostics.layers = {"0": "Linear(2 -> 1)"}
        >>> diagnostics.gradients, diagnostics.updates = {"0": [0.5, 0.2]}, {"0": [0.002, 0.001]}
        >>> [axes.get_title() for axes in diagnostics.plot().axes]
        ['norm of the gradient', 'relative update']
        """
        if not self.epochs:
            raise ValueError("Diagnostics.plot: no epoch has been recorded")
        try:
            return plot_diagnostics(self.layers, self.gradients, self.updates, self.dead, self.saturated)
        except ImportError as error:
            error.add_note("Diagnostics.plot draws with matplotlib: install nnlite's extra 'plot'")
            raise

    def state_dict(self) -> dict[str, Any]:
        """All that has been recorded, also of an unfinished epoch."""
        return {name: vars(self)[name] for name in _KEPT}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        vars(self).update({name: state[name] for name in _KEPT})

    def __str__(self) -> str:
        if not self.epochs:
            return repr(self)
        rows = [(f"epoch {self.epochs}", "layer", "|gradient|", "|step| / |weights|", "dead", "saturated")]
        for path, layer in self.layers.items():
            cells = (
                _last(self.gradients, path, "{:.2g}"),
                _last(self.updates, path, "{:.2g}"),
                _last(self.dead, path, "{:.0%}"),
                _last(self.saturated, path, "{:.0%}"),
            )
            if any(cells):
                rows.append((path, layer, *cells))
        return text_table(rows, left=2)

    def __repr__(self) -> str:
        return f"Diagnostics({self.epochs} epochs)"


_KEPT = ("gradients", "updates", "dead", "saturated", "_gradients", "_updates", "_batches", "_steps")


def _put(series: Series, path: str, epoch: int, value: float) -> None:
    """Append the value, after NaN for epochs in which the layer was not run."""
    values = series.setdefault(path, [])
    values += [math.nan] * (epoch - 1 - len(values))
    values.append(value)


def _last(series: Mapping[str, list[float]], path: str, form: str) -> str:
    return form.format(series[path][-1]).replace("%", " %") if series.get(path) else ""
