"""A search on a local Dask cluster, through joblib; where Dask is installed, which is no extra of nnlite."""

import pytest

pytest.importorskip("sklearn")
pytest.importorskip("distributed")

import distributed
import joblib
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV

from nnlite.interop.sklearn import NetClassifier, mlp


def on_a_worker(in_features, out_features, hidden=(8,), rng=None):
    distributed.get_worker()  # an error anywhere else
    return mlp(in_features, out_features, hidden=hidden, rng=rng)


@pytest.mark.filterwarnings("default")
def test_a_search_on_a_local_cluster():
    X, y = load_iris(return_X_y=True)
    nets = [NetClassifier(network, lr=0.02, epochs=5, random_state=0) for network in (mlp, on_a_worker)]
    own, on_dask = (GridSearchCV(net, {"hidden": [(1,), (16,)]}, cv=2, refit=False) for net in nets)
    own.fit(X, y)
    client = distributed.Client(processes=False, n_workers=1, threads_per_worker=2, dashboard_address=None)
    with client, joblib.parallel_backend("dask"):
        on_dask.fit(X, y)
    scores = [search.cv_results_["mean_test_score"].tolist() for search in (own, on_dask)]
    assert scores[0] == scores[1]
