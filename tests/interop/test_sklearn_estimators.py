"""All checks of scikit-learn for estimators, on the four of nnlite; none is expected to fail."""

from unittest import SkipTest

import pytest

pytest.importorskip("sklearn")

from sklearn.utils.estimator_checks import estimator_checks_generator
from support.case import case
from support.sweeps import SWEEP

from nnlite.interop.sklearn import MLPClassifier, MLPRegressor, NetClassifier, NetRegressor

SMALL = {} if SWEEP > 1 else {"max_iter": 15, "hidden_layer_sizes": (12,), "learning_rate_init": 0.1}
FEW = {} if SWEEP > 1 else {"epochs": 8, "hidden": (12,), "lr": 0.1}
ESTIMATORS = [MLPClassifier(**SMALL), MLPRegressor(**SMALL), NetClassifier(**FEW), NetRegressor(**FEW)]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: type(estimator).__name__)
def test_every_check_of_scikit_learn(estimator):
    names, skipped = [], []
    for each, check in estimator_checks_generator(estimator, mark="skip"):
        names.append(getattr(check, "func", check).__name__)
        with case(names[-1]):
            try:
                check(each)
            except SkipTest as reason:
                skipped.append(str(reason))
    assert len(names) > 50
    assert "check_sample_weight_equivalence_on_dense_data" in names
    assert all("SCIPY_ARRAY_API" in reason or "decision_function" in reason for reason in skipped)
