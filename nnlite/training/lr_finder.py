"""lr_finder: the loss while the learning rate rises, and the rate to train with."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nnlite.basics.checks import positive, share, whole
from nnlite.basics.generators import Rng
from nnlite.errors import DivergenceError
from nnlite.layer.layer import Layer
from nnlite.optim.optimizer import Optimizer
from nnlite.training.callbacks import Callback
from nnlite.training.fit import fit
from nnlite.training.resume import snapshot
from nnlite.training.training_state import Training

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def lr_finder(
    model: Layer,
    X: Any,
    Y: Any = None,
    *,
    loss: Any,
    optimizer: Optimizer | Sequence[Optimizer],
    min_lr: float = 1e-6,
    max_lr: float = 10.0,
    steps: int = 100,
    smoothing: float = 0.9,
    batch_size: int = 32,
    callbacks: Sequence[Any] = (),
    sample_weight: Any = None,
    class_weight: Any = None,
    clip_norm: float | Mapping[str, float] | None = None,
    clip_value: float | None = None,
    rng: Rng = None,
) -> "RangeTest":
    """Learning-rate range test: train for some steps with a rising learning rate, and put everything back.

    Step t has the learning rate ``min_lr (max_lr / min_lr)^(t / (steps - 1))``, and its loss J is that of the next
    batch, which the step has changed. Before, the same steps are made with the learning rate 0, whose losses J0 show
    which batches are difficult. So what is measured is the effect of the training alone, which at low rates is much
    smaller than the differences of batches:

        L = mean(J0) + J - J0
        m <- smoothing m + (1 - smoothing) L,    smoothed = m / (1 - smoothing^(t + 1))

    The test ends where the smoothed loss is above its lowest value by 3 times the magnitude of that, which is 4 times a
    positive loss; or where a loss, gradient or parameter is not finite.

    The suggestion is a tenth of the learning rate at which the smoothed loss is lowest: there it is about to diverge,
    and a tenth is fast and safe. It is None where the loss is lowest after the first step: ``min_lr`` is too large,
    or there are too few steps. Look at the plot as well: where the loss falls over a wide range, somewhat larger rates
    are fine too.

    Afterwards the model with its buffers, the loss, the optimizers, all random generators and the callbacks are as they
    were, also after Ctrl-C and after an error.

    Args:
        model: any Layer.
        X: the rows, or batches; see :func:`nnlite.fit`. A generator is an error, as it can be read only once.
        Y: the targets.
        loss: as for :func:`nnlite.fit`.
        optimizer: one, or a list of several, which all get the same rates; ``lr_factor`` makes them differ.
        min_lr: the first learning rate, above 0.
        max_lr: the last one, above ``min_lr``.
        steps: how many learning rates there are at most, at least 2. One batch more is read for the loss of the last
            one, and as many without learning. They may take several epochs.
        smoothing: share of the losses before in the smoothed loss, from 0 to below 1.
        batch_size: as for the training: larger batches allow larger rates.
        callbacks: what the training does to gradients, such as a penalty.
        sample_weight: as for :func:`nnlite.fit`.
        class_weight: likewise.
        clip_norm: likewise.
        clip_value: likewise.
        rng: for the order of the rows; see :func:`nnlite.fit`.

    Raises:
        TypeError, ValueError: an argument is wrong.
        DivergenceError: the loss after the first step is not finite, or that of a batch with the learning rate 0.

    Sources: Smith, Cyclical learning rates for training neural networks, 2017; smoothing, end and suggestion are the
    practice of the fastai library, described in Gugger, How do you find a good learning rate, 2018. The comparison with
    steps of the learning rate 0 is nnlite's own.

    >>> import numpy as np, nnlite as nn
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 4))
    >>> model = nn.Sequential(nn.Linear(4, 16, rng=rng), nn.Tanh(), nn.Linear(16, 1, rng=rng))
    >>> optimizer = nn.SGD(model, lr=0.01, momentum=0.9)
    >>> test = lr_finder(model, X, X[:, :1] * X[:, 1:2], loss=nn.MSELoss(), optimizer=optimizer, rng=rng)
    >>> 1e-3 < test.suggestion < 1 and optimizer.lr == 0.01
    True
    >>> figure = test.plot()
    >>> optimizer.lr = test.suggestion
    """
    low, high = positive(min_lr, "lr_finder: min_lr"), positive(max_lr, "lr_finder: max_lr")
    if high <= low:
        raise ValueError(f"lr_finder: max_lr: expected a number above min_lr={min_lr}, got {max_lr}")
    if share(smoothing, "lr_finder: smoothing") == 1:
        raise ValueError(f"lr_finder: smoothing: expected a number below 1, got {smoothing}")
    steps = whole(steps, "lr_finder: steps", least=2)
    optimizers = optimizer if isinstance(optimizer, list | tuple) else [optimizer]
    before = [(each, each.lr, each.epochs_done) for each in optimizers if isinstance(each, Optimizer)]
    names = getattr(model, "feature_names", None)

    def train(rates: _Rates) -> None:
        fit(
            model,
            X,
            Y,
            loss=loss,
            optimizer=optimizer,
            epochs=10**9,  # enough, also for a callback that starts late: it ends after the last step
            batch_size=batch_size,
            callbacks=[rates, *callbacks],
            sample_weight=sample_weight,
            class_weight=class_weight,
            clip_norm=clip_norm,
            clip_value=clip_value,
            verbose=0,
            rng=rng,
        )
        if len(rates.of_batches) < 2:
            raise ValueError("lr_finder: callbacks: one of them ended the training before its second step")

    control = _Rates([0.0] * (steps + 1), smoothing)
    rates = [low * (high / low) ** (step / (steps - 1)) for step in range(steps)]
    try:
        for each, *_ in before:
            each.lr = low  # a schedule might have an end
        train(control)
        rising = _Rates([*rates, 0.0][: len(control.of_batches)], smoothing, control.of_batches)
        try:
            train(rising)
        except DivergenceError:
            if not rising.losses:
                raise
    finally:
        for each, lr, epochs_done in before:
            each.lr, each.epochs_done = lr, epochs_done
        if isinstance(model, Layer):
            model.feature_names = names
    return RangeTest(rates[: len(rising.losses)], rising.losses, rising.smoothed)


class _Rates(Callback):
    """Gives each step its learning rate, and records the losses; at the end everything is put back.

    Args:
        rates: the learning rate of each batch; that of the last one, of which only the loss is wanted, is not measured.
        smoothing: share of the losses before in a smoothed one.
        control: the losses of the same batches without learning, to compare with; None in the control itself.
    """

    def __init__(self, rates: list[float], smoothing: float, control: list[float] | None = None) -> None:
        self.rates, self.smoothing, self.control = rates, smoothing, control
        self.of_batches: list[float] = []
        self.losses: list[float] = []  # after each step: from the second batch on
        self.smoothed: list[float] = []
        self.mean, self.lowest = 0.0, math.inf
        self.usual = 0.0 if control is None else sum(control) / len(control)

    def on_train_begin(self, state: Training) -> None:
        self.put_back = snapshot(state)

    def on_backward_end(self, state: Training) -> None:
        for optimizer in state.optimizers:
            optimizer.lr = self.rates[len(self.of_batches)]

    def on_batch_end(self, state: Training) -> bool:
        """Record the loss, which is due to the step before; end where it diverges."""
        self.of_batches.append(state.step.J)
        done = len(self.of_batches) == len(self.rates)
        if self.control is None or len(self.of_batches) == 1:
            return done
        t, loss = len(self.losses), state.step.J + self.usual - self.control[len(self.losses) + 1]
        self.losses.append(loss)
        self.mean = self.smoothing * self.mean + (1 - self.smoothing) * loss
        self.smoothed.append(self.mean / (1 - self.smoothing ** (t + 1)))
        self.lowest = min(self.lowest, self.smoothed[t])
        return done or self.smoothed[t] > self.lowest + 3 * abs(self.lowest)

    def on_train_end(self, state: Training) -> None:
        self.put_back()


@dataclass(frozen=True, repr=False)
class RangeTest:
    """The result of :func:`nnlite.lr_finder`.

    Attributes:
        lr: the learning rate of each step.
        losses: the loss after each step, that of the next batch, without what this differs by from others.
        smoothed: the smoothed losses.

    >>> test = RangeTest([0.001, 0.01, 0.1, 1.0], [2.0, 1.0, 0.5, 9.0], [2.0, 1.5, 1.0, 5.0])
    >>> test, test.suggestion
    (RangeTest(4 steps, lr 0.001 to 1, suggestion 0.01), 0.01)
    """

    lr: list[float]
    losses: list[float]
    smoothed: list[float]

    @property
    def suggestion(self) -> float | None:
        """A tenth of the learning rate with the lowest smoothed loss; None if that is the first one."""
        lowest = min(range(len(self.smoothed)), key=self.smoothed.__getitem__)
        return self.lr[lowest] / 10 if lowest else None

    def plot(self, *, ax: Any = None) -> "Figure":
        """Draw the losses over the learning rate, and a mark at the suggestion; return the matplotlib figure.

        Args:
            ax: axes of matplotlib to draw on; by default those of a new figure.

        Raises:
            ImportError: matplotlib is not installed; it is the extra ``plot``.

        >>> test = RangeTest([0.001, 0.01, 0.1, 1.0], [2.0, 1.0, 0.5, 9.0], [2.0, 1.5, 1.0, 5.0])
        >>> [text.get_text() for text in test.plot().axes[0].get_legend().get_texts()]
        ['loss', 'smoothed', 'suggestion 0.01']
        """
        try:
            from nnlite.basics.figures import new_figure
        except ImportError as error:
            error.add_note("RangeTest.plot draws with matplotlib: install nnlite's extra 'plot'")
            raise
        ax = new_figure(layout="constrained").add_subplot() if ax is None else ax
        ax.plot(self.lr, self.losses, color="C0", alpha=0.3, label="loss")
        ax.plot(self.lr, self.smoothed, color="C0", label="smoothed")
        if self.suggestion is not None:
            ax.axvline(self.suggestion, color="0.5", linestyle=":", label=f"suggestion {self.suggestion:.2g}")
        low, high = min(self.smoothed), max(self.smoothed[0], min(self.smoothed))
        margin = 0.5 * (high - low) or 1.0
        ax.set(xscale="log", xlabel="learning rate", ylabel="loss", ylim=(low - margin, high + 2 * margin))
        ax.grid(visible=True, alpha=0.3)
        ax.legend()
        return ax.figure  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        suggestion = "none" if self.suggestion is None else f"{self.suggestion:.2g}"
        return f"RangeTest({len(self.lr)} steps, lr {self.lr[0]:.2g} to {self.lr[-1]:.2g}, suggestion {suggestion})"
