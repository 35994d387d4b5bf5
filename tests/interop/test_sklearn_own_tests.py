"""scikit-learn's own tests of its MLPs, test_mlp.py in its package, on nnlite's estimators.

Of the 59 tests of scikit-learn 1.9.1 all apply, and pass. They are read from the installed package. Three read private
attributes of scikit-learn's classes; the subclasses here give them what they read. Warnings are no errors here, as they
are none in scikit-learn's own runs.
"""

import importlib.util
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest

sklearn = pytest.importorskip("sklearn")

import nnlite as nn  # noqa: E402
from nnlite.interop import sklearn as ours  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("default"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

NOT_APPLICABLE: dict[str, str] = {}  # the name of a test, and why it does not apply


class Private:
    """What three of the tests read beside the public attributes."""

    @property
    def _optimizer(self):  # test_learning_rate_warmstart, test_adaptive_learning_rate
        return SimpleNamespace(learning_rate=self.optimizer_.lr)

    def _loss_grad_lbfgs(self, Phi, X, Y, *_):  # test_gradient
        """The penalized loss and its gradient, for all W and then all b in one vector."""
        arrays, start = [*self.coefs_, *self.intercepts_], 0
        for array in arrays:
            array[...] = Phi[start : start + array.size].reshape(array.shape)
            start += array.size
        model, loss, n = self._link(), self._make_loss(), len(X)
        J = loss.forward(model.forward(X), Y)
        model.backward(loss.backward())
        linears = [layer for layer in model if isinstance(layer, nn.Linear)]
        gradients = [layer.dW + self.alpha / n * layer.W for layer in linears] + [layer.db for layer in linears]
        J += self.alpha / (2 * n) * sum(np.sum(W**2) for W in self.coefs_)
        return J, np.concatenate([gradient.ravel() for gradient in gradients])


class MLPClassifier(Private, ours.MLPClassifier):
    pass


class MLPRegressor(Private, ours.MLPRegressor):
    pass


@pytest.fixture
def global_random_seed():
    return 42


def read_tests():
    spec = importlib.util.find_spec("sklearn.neural_network.tests.test_mlp")
    if spec is None:
        pytest.skip("this scikit-learn comes without its tests", allow_module_level=True)
    module = importlib.util.module_from_spec(spec)
    with mock.patch.multiple("sklearn.neural_network", MLPClassifier=MLPClassifier, MLPRegressor=MLPRegressor):
        spec.loader.exec_module(module)
    tests = {name: value for name, value in vars(module).items() if name.startswith("test_")}
    for name, reason in NOT_APPLICABLE.items():
        tests[name] = pytest.mark.skip(reason=reason)(tests[name])
    return tests


globals().update(read_tests())
