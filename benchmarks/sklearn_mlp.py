"""Time a fit of nnlite.interop.sklearn.MLPClassifier against scikit-learn's MLPClassifier.

    python benchmarks/sklearn_mlp.py --against sklearn --threads 1 2
    OPENBLAS_NUM_THREADS=1 python benchmarks/sklearn_mlp.py --cpu   # where other programs run as well

Both get the same arguments, so that they make the same steps from the same weights: their losses and their accuracies
after the last epoch must agree. There is a hidden layer of 100 units; everything else is the default, except that
training does not end before the last epoch. The data are scikit-learn's breast cancer (569 x 30) and digits (1,797 x
64), and 10,000 x 100 synthetic ones; standardized, in float64 unless ``--dtype float32``.
"""

import time
import warnings
from typing import Any

import numpy as np
from contenders import Run, repeated
from harness import Field, arguments, difference
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


def cpu_times(dtype: str, tiny: bool) -> str:
    """A table in Markdown of the CPU time of fits in this process, nnlite's and scikit-learn's in turn."""
    lines = ["| fit | nnlite, ms | scikit-learn / nnlite |", "|---|---|---|"]
    for solver in SOLVERS[: 1 if tiny else None]:
        for data in list(EPOCHS)[: 1 if tiny else None]:
            runs, taken = [make(data, solver, dtype) for make in (nnlite, sklearn)], []
            own, theirs = (run(1) for run in runs)
            if difference(own, theirs) > AGREE[dtype]:
                raise SystemExit(f"{data}, {solver}: not comparable, the losses or the accuracies differ")
            for _ in range(5):
                starts = []
                for run in runs:
                    starts.append(time.process_time())
                    run(1)
                taken.append(np.diff([*starts, time.process_time()]))
            ratio = np.median([theirs / own for own, theirs in taken])
            milliseconds = 1000 * np.median([own for own, _ in taken])
            lines.append(f"| {data}, {solver}, {EPOCHS[data]} epochs | {milliseconds:.0f} | {ratio:.2f} |")
    return "\n".join(lines)


def main() -> None:
    parser = arguments(__doc__, ("sklearn",), default=["sklearn"])
    parser.add_argument("--dtype", default="float64", choices=["float32", "float64"])
    parser.add_argument("--cpu", action="store_true", help="CPU times in one process, for a machine that is busy")
    options = parser.parse_args()
    if options.cpu:
        print(cpu_times(options.dtype, options.tiny))
        return
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
