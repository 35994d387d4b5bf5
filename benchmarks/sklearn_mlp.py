"""Time a fit of nnlite.interop.sklearn.MLPClassifier against scikit-learn's MLPClassifier.

    python benchmarks/sklearn_mlp.py --against sklearn --threads 1 2

Both get the same arguments, so that they make the same steps from the same weights: their losses and their accuracies
after the last epoch must agree. There is a hidden layer of 100 units; everything else is the default, except that
training does not end before the last epoch. The data are scikit-learn's breast cancer (569 x 30) and digits (1,797 x
64), and 10,000 x 100 synthetic ones; standardized, in float64 unless ``--dtype float32``.
"""

import warnings
from typing import Any

import numpy as np
from contenders import Run, repeated
from harness import Field, arguments
from results import report

EPOCHS = {"breast cancer": 40, "digits": 20, "10,000 x 100": 5}
SOLVERS = ("adam", "sgd", "lbfgs")
AGREE = {"float64": 1e-6, "float32": 1e-2}  # L-BFGS magnifies what rounding makes different


def rows(data: str, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    from sklearn import datasets

    if data == "breast cancer":
        X, y = datasets.load_breast_cancer(return_X_y=True)
    elif data == "digits":
        X, y = datasets.load_digits(return_X_y=True)
    else:
        X, y = datasets.make_classification(10_000, 100, n_informative=20, n_classes=3, random_state=0)
    return ((X - X.mean(axis=0)) / (X.std(axis=0) + 1e-12)).astype(dtype), y


def fitted(cls: Any, data: str, solver: str, dtype: str) -> Run:
    warnings.simplefilter("ignore")  # that it has not converged
    X, y = rows(data, dtype)
    mlp = cls(solver=solver, max_iter=EPOCHS[data], tol=0.0, n_iter_no_change=np.inf, random_state=0)
    return repeated(lambda: mlp.fit(X, y), lambda _: (np.array(mlp.loss_), np.array(mlp.score(X, y))))


def nnlite(data: str, solver: str, dtype: str) -> Run:
    from nnlite.interop.sklearn import MLPClassifier

    return fitted(MLPClassifier, data, solver, dtype)


def sklearn(data: str, solver: str, dtype: str) -> Run:
    from sklearn.neural_network import MLPClassifier

    return fitted(MLPClassifier, data, solver, dtype)


def main() -> None:
    parser = arguments(__doc__, ("sklearn",), default=["sklearn"])
    parser.add_argument("--dtype", default="float64", choices=["float32", "float64"])
    options = parser.parse_args()
    results = []
    with Field(options) as field:
        for solver in SOLVERS[:1] if options.tiny else SOLVERS:
            for data in list(EPOCHS)[: 1 if options.tiny else None]:
                X, y = rows(data, options.dtype)
                outputs = len(np.unique(y)) if len(np.unique(y)) > 2 else 1
                work = 6 * EPOCHS[data] * X.shape[0] * (X.shape[1] + outputs) * 100
                results += field.compare(
                    f"{data}, {solver}, {EPOCHS[data]} epochs, {options.dtype}",
                    "sklearn_mlp",
                    {"data": data, "solver": solver, "dtype": options.dtype},
                    agree=AGREE[options.dtype],
                    steps=1,
                    work=work,
                    unit="FLOP",
                )
    report(options, results)


if __name__ == "__main__":
    main()
