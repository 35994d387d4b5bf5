"""Labels: the classes of a target, of any kind that scikit-learn has, and their indices."""

from typing import Any

import numpy as np
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from nnlite.basics.arrays import Array


class Labels:
    """The classes of a target, and the indices of the classes of its rows.

    Args:
        y: the targets: labels of any type, of shape (n,); a matrix of 0 and 1 for several labels of a row; or a matrix
            with classes of its own in each column.
        classes: all labels that there are, of which y may have some; None if y has all.

    Attributes:
        kind: "classes", "indicator" or "columns", as y is one of these.
        classes: the sorted labels; of several columns a list of those of each.

    Raises:
        ValueError: y holds no classes.

    >>> labels = Labels(np.array(["no", "yes", "no"]))
    >>> labels.classes.tolist(), labels.indices(["yes", "no"]).tolist(), labels.of(np.array([1, 1])).tolist()
    (['no', 'yes'], [1, 0], ['yes', 'yes'])
    """

    def __init__(self, y: Any, classes: Any = None) -> None:
        check_classification_targets(y)
        kind = type_of_target(y)
        self.classes: Any
        if kind.startswith("multilabel"):
            self.kind, self.classes = "indicator", np.arange(y.shape[1])
        elif kind == "multiclass-multioutput":
            columns = np.asarray(y).T if classes is None else classes
            self.kind, self.classes = "columns", [np.unique(column) for column in columns]
        else:
            self.kind = "classes"
            self.classes = np.unique(column_or_1d(y, warn=True) if classes is None else classes)

    def same(self, classes: Any) -> bool:
        """Whether these are the classes."""
        if self.kind == "columns":
            return len(classes) == len(self.classes) and all(map(np.array_equal, map(np.unique, classes), self.classes))
        return np.array_equal(np.unique(classes), self.classes)

    def indices(self, y: Any) -> Array:
        """The index of the class of each row, for each column if there are several; or 0 and 1 for each label.

        Raises:
            ValueError: a label is not among the classes, or y has another form than before.
        """
        if self.kind == "classes":
            return _indices(column_or_1d(y, warn=True), self.classes)
        y = dense(y)
        if y.ndim != 2 or y.shape[1] != len(self.classes):
            raise ValueError(f"y: expected {len(self.classes)} columns, got shape {y.shape}")
        if self.kind == "columns":
            return np.stack([_indices(y[:, column], own) for column, own in enumerate(self.classes)], axis=1)
        if not np.isin(y, (0, 1)).all():
            raise ValueError("y: expected 0 and 1 for each label, as in the last call, got other numbers")
        return y.astype(np.intp)  # type: ignore[no-any-return]

    def of(self, indices: Array) -> Array:
        """The labels of indices that :meth:`indices` returned."""
        if self.kind == "indicator":
            return indices
        if self.kind == "classes":
            return self.classes[indices]  # type: ignore[no-any-return]
        return np.stack([own[indices[:, column]] for column, own in enumerate(self.classes)], axis=1)


def dense(y: Any) -> Array:
    """Targets as an array, also those of a sparse matrix."""
    return y.toarray() if hasattr(y, "toarray") else np.asarray(y)


def _indices(y: Any, classes: Array) -> Array:
    y = np.asarray(y)
    if unknown := set(np.unique(y).tolist()) - set(classes.tolist()):
        raise ValueError(f"y: expected labels among {classes.tolist()}, got {sorted(unknown, key=str)}")
    return np.searchsorted(classes, y)  # type: ignore[no-any-return]
