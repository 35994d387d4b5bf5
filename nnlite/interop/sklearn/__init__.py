"""scikit-learn: estimators on nnlite's networks, for pipelines, searches and all else that takes an estimator.

NetClassifier, NetRegressor   any network, trained by ``nnlite.fit``
MLPClassifier, MLPRegressor   in place of scikit-learn's estimators of these names, with the same results
mlp                           the network that NetClassifier and NetRegressor make where none is given
"""

from nnlite.interop.sklearn.mlp_estimators import MLPClassifier, MLPRegressor
from nnlite.interop.sklearn.net_estimators import NetClassifier, NetRegressor
from nnlite.interop.sklearn.network import mlp

__all__ = ["MLPClassifier", "MLPRegressor", "NetClassifier", "NetRegressor", "mlp"]
