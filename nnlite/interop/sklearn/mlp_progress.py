"""MLPProgress: what scikit-learn's MLPs do in a training beside forward, backward and the steps of the optimizer."""

import math
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.training.callbacks import Callback
from nnlite.training.training_state import Training

SMALLEST_LR = 1e-6  # at which the adaptive learning rate ends the training


class MLPProgress(Callback):
    """A callback for :class:`MLPClassifier` and :class:`MLPRegressor`: penalty, order of the rows, learning rate, stop.

    The results are those of scikit-learn to rounding: equal seeds give equal weights and loss curves.

    Args:
        mlp: the estimator, whose fitted attributes it keeps.
        rows: the number of rows to train on.
        decays: 1 for each entry of Phi that is penalized, those of W, and else 0.
        score: returns the score of the validation rows, for early stopping; or None.
        rng: the random state that shuffles the rows; None to keep their order.
        outputs: what to divide the loss by where it is noted: scikit-learn's squared error is a mean over the outputs,
            but its gradient that of their sum.

    Attributes:
        best_Phi: the parameters with the best score; those at the beginning if there is none.
        converged: whether the loss or the score has stopped improving.
    """

    def __init__(self, mlp: Any, rows: int, decays: Array, score: Any, rng: Any, outputs: int) -> None:
        self.mlp, self.rows, self.score, self.rng, self.outputs = mlp, rows, score, rng, outputs
        self.pull = decays * decays.dtype.type(mlp.alpha)
        self.step = np.empty_like(decays)  # of the penalty, made once
        self.order = np.arange(rows)
        self.best_Phi: Array | None = None
        self.converged = False

    def on_train_begin(self, state: Training) -> None:
        self.best_Phi = state.model.Phi.copy() if self.score else None

    def on_epoch_begin(self, state: Training) -> None:
        self.total = 0.0
        if self.rng is not None:
            moves = np.arange(self.rows)
            self.rng.shuffle(moves)
            state.order = self.order = self.order[moves]  # as sklearn.utils.shuffle(self.order) does

    def on_backward_end(self, state: Training) -> None:
        """Add the penalty ``alpha / 2n sum(W^2)`` to the loss, its gradient to dPhi; n is the sum of the weights."""
        mlp, model, step, penalty = self.mlp, state.model, state.step, 0.0
        n: Any = step.loss.count  # type: ignore[attr-defined]
        if mlp.alpha and n:
            np.multiply(model.Phi, self.pull, out=self.step)
            penalty = float(self.step.dot(model.Phi)) / (2 * n)
            self.step /= n
            model.dPhi += self.step
        self.total += (step.J / self.outputs + penalty) * step.batch.count  # type: ignore[union-attr]
        if mlp.solver == "adam":  # PyTorch adds eps after the correction of the bias, scikit-learn before it
            mlp.optimizer_.eps = mlp.epsilon / math.sqrt(1 - mlp.beta_2 ** (mlp.optimizer_.steps + 1))

    def on_epoch_end(self, state: Training) -> bool:
        mlp = self.mlp
        mlp.n_iter_ += 1
        mlp.t_ += self.rows
        self.note(self.total / self.rows, self.score() if self.score else None, state.model.Phi)
        if mlp.solver == "sgd" and mlp.learning_rate == "invscaling":
            self._set_lr(mlp.learning_rate_init / (mlp.t_ + 1) ** mlp.power_t)
        if mlp._no_improvement_count <= mlp.n_iter_no_change:
            return False
        if mlp.solver == "sgd" and mlp.learning_rate == "adaptive" and mlp.optimizer_.lr > SMALLEST_LR:
            self._set_lr(mlp.optimizer_.lr / 5)
            mlp._no_improvement_count = 0
            return False
        self.converged = True
        return True

    def note(self, loss: float, score: float | None, Phi: Array) -> None:
        """Note the loss, and the score if there is one, of an epoch; count the epochs without an improvement."""
        mlp = self.mlp
        mlp.loss_ = loss
        mlp.loss_curve_.append(loss)
        if mlp.verbose:
            print(f"Iteration {mlp.n_iter_}, loss = {loss:.8f}" + f", validation score = {score}" * (score is not None))
        if score is None:
            worse = loss > mlp.best_loss_ - mlp.tol
            mlp.best_loss_ = min(mlp.best_loss_, loss)
        else:
            worse = score < mlp.best_validation_score_ + mlp.tol
            mlp.validation_scores_.append(score)
            if score > mlp.best_validation_score_:
                mlp.best_validation_score_, self.best_Phi = score, Phi.copy()
        mlp._no_improvement_count = mlp._no_improvement_count + 1 if worse else 0

    def _set_lr(self, lr: float) -> None:
        """Set the learning rate; scikit-learn's velocity, that of the parameters, goes on as it was."""
        optimizer = self.mlp.optimizer_
        if optimizer.velocity is not None:  # the sum of gradients, which the learning rate multiplies
            optimizer.velocity *= optimizer.lr / lr
        optimizer.lr = lr
