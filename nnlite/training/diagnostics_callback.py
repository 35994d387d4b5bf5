"""Diagnostics: what goes on in each layer while a model trains."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from nnlite.diagnostics.phi_slices import own_slices
from nnlite.diagnostics.text_table import text_table
from nnlite.diagnostics.unit_activity import activities
from nnlite.training.callbacks import Callback
from nnlite.training.diagnostics_plot import plot_diagnostics
from nnlite.training.rows import Rows
from nnlite.training.training_state import Training

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROWS = 256  # of the training rows, on which the activations are looked at

Series = dict[str, list[float]]


class Diagnostics(Callback):
    """Per layer and epoch: the gradient's and the update's size, and how much of an activation lets no gradient pass.

    Each is a dict from a layer's path, as ``named_layers`` has it, to a list of numbers, one an epoch. For layers with
    parameters:

    - ``gradients``: the norm of their gradient, as it is when the step is done, so after clipping; the mean over the
      epoch's batches;
    - ``updates``: how far a step moves them, ``|step| / |weights|``, likewise; about 1e-3 is right.

    For activations, which are the layers of one input that treat each entry by itself, on 256 of the training rows at
    the epoch's end, in evaluation mode:

    - ``dead``: the share of units that let no gradient pass for any of the rows;
    - ``saturated``: the share of entries at which the slope is below 1e-2.

    ``print`` shows the last epoch as a table, and :meth:`plot` draws all of them. It costs a few passes over the
    parameters per batch, and nothing is written on the model. In a checkpoint all is kept.

    Args:
        X: rows to look at the activations on; needed where ``fit`` gets its batches ready-made.

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

    def __init__(self, X: Any = None) -> None:
        self.X = X
        self._forget()

    def _forget(self) -> None:
        self.layers: dict[str, str] = {}  # the repr of each, by its path, in the order of the model
        self.gradients: Series = {}
        self.updates: Series = {}
        self.dead: Series = {}
        self.saturated: Series = {}
        self._gradients: dict[str, float] = {}  # the sums over the epoch so far
        self._updates: dict[str, float] = {}
        self._batches = self._steps = 0

    @property
    def epochs(self) -> int:
        """How many have been seen."""
        return max(map(len, [*self.gradients.values(), *self.dead.values()]), default=0)

    def on_train_begin(self, state: Training) -> None:
        """Find out which layers there are, and start anew unless a training is resumed."""
        if state.epoch == state.batch == 0:
            self._forget()
        self.layers = {path: layer.one_line() for path, layer in state.model.named_layers()}
        self._places = own_slices(state.model)
        self._before = state.model.Phi.copy()
        if self.X is None and not isinstance(state.rows, Rows):
            raise ValueError("Diagnostics: batches that come ready-made cannot be looked into; pass Diagnostics(X)")

    def on_batch_end(self, state: Training) -> None:
        """Add the norms of this batch."""
        Phi, dPhi = state.model.Phi, state.model.dPhi
        step = Phi - self._before
        stepped = bool(step.any())  # not each batch ends with a step where gradients are accumulated
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
        """Take the means, and look at the activations."""
        for path in self._places:
            _put(self.gradients, path, state.epoch, self._gradients.get(path, 0.0) / max(self._batches, 1))
            _put(self.updates, path, state.epoch, self._updates.get(path, 0.0) / max(self._steps, 1))
        self._gradients, self._updates, self._batches, self._steps = {}, {}, 0, 0
        self._before = state.model.Phi.copy()
        for each in activities(state.model, self._rows(state)):
            _put(self.dead, each.path, state.epoch, each.dead / max(each.units, 1))
            _put(self.saturated, each.path, state.epoch, each.saturated)

    def _rows(self, state: Training) -> Any:
        """Always the same ones."""
        if self.X is not None:
            return self.X
        return next(state.rows.batches(ROWS)).X

    def plot(self) -> "Figure":
        """Draw gradients, updates, dead units and saturation, a line for each layer; returns the matplotlib figure.

        Raises:
            ValueError: there is no epoch to draw.
            ImportError: matplotlib, the extra ``plot``, is not installed.

        >>> diagnostics = Diagnostics()
        >>> diagnostics.layers = {"0": "Linear(2 -> 1)"}
        >>> diagnostics.gradients, diagnostics.updates = {"0": [0.5, 0.2]}, {"0": [0.002, 0.001]}
        >>> [axes.get_title() for axes in diagnostics.plot().axes]
        ['norm of the gradient', 'step, in parts of the weights']
        """
        if not self.epochs:
            raise ValueError("Diagnostics.plot: there is no epoch to draw")
        try:
            return plot_diagnostics(self.layers, self.gradients, self.updates, self.dead, self.saturated)
        except ImportError as error:
            error.add_note("Diagnostics.plot draws with matplotlib: install nnlite's extra 'plot'")
            raise

    def state_dict(self) -> dict[str, Any]:
        """All that has been seen, also of an epoch that is not over."""
        return {name: vars(self)[name] for name in _KEPT}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take what :meth:`state_dict` gave."""
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
    """Add the value; NaN for epochs in which the layer was not run."""
    values = series.setdefault(path, [])
    values += [math.nan] * (epoch - 1 - len(values))
    values.append(value)


def _last(series: Mapping[str, list[float]], path: str, form: str) -> str:
    return form.format(series[path][-1]).replace("%", " %") if series.get(path) else ""
