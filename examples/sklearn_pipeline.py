"""Search the widths of a network with scikit-learn: a pipeline, text columns, text labels, a grid. It needs pandas.

Run it with:  python examples/sklearn_pipeline.py [--seed N] [--dask]
With --dask the trainings run on a local Dask cluster; it needs distributed, and starting it takes some seconds.
"""

import argparse
import contextlib
from pathlib import Path

import joblib
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import nnlite as nn
from nnlite.interop.sklearn import NetClassifier


def network(in_features, out_features, hidden=(8,), rate=0.0, rng=None):
    """The parameters after the two sizes are parameters of the estimator; its random_state makes rng."""
    layers = []
    for width in hidden:
        layers += [nn.Linear(in_features, width, rng=rng), nn.Tanh(), nn.Dropout(rate, rng=rng)]
        in_features = width
    return nn.Sequential(*layers, nn.Linear(in_features, out_features, rng=rng))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="of the split, the weights and the order of the rows")
    parser.add_argument("--dask", action="store_true", help="train on a local Dask cluster")
    options = parser.parse_args()

    penguins = pd.read_csv(Path(__file__).parent / "data" / "penguins.csv.gz")  # numbers, bool and text; some missing
    X, X_test, y, y_test = train_test_split(penguins, penguins.pop("species"), random_state=options.seed)
    numbers = make_pipeline(SimpleImputer(), StandardScaler()), make_column_selector(dtype_include="number")
    others = OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_exclude="number")
    net = NetClassifier(network, lr=0.01, epochs=15, class_weight="balanced", random_state=options.seed)
    grid = {"netclassifier__hidden": [(1,), (8,), (16, 8)], "netclassifier__rate": [0.0, 0.2]}
    search = GridSearchCV(make_pipeline(make_column_transformer(numbers, others), net), grid, cv=3)
    with contextlib.ExitStack() as stack:
        if options.dask:
            from dask.distributed import Client

            stack.enter_context(Client(n_workers=2, threads_per_worker=1, dashboard_address=None))
            stack.enter_context(joblib.parallel_backend("dask"))
        search.fit(X, y)

    print(pd.DataFrame(search.cv_results_).filter(regex="param_|mean_test"))
    print(f"best: {search.best_params_}, accuracy on {len(X_test)} other penguins {search.score(X_test, y_test):.3f}")
    print(pd.DataFrame(search.predict_proba(X_test[:3]), columns=search.classes_).round(3))


if __name__ == "__main__":
    main()
