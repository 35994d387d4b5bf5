"""Feature names: the columns of the frame that a model was trained on, compared with those of another frame."""

from collections.abc import Sequence
from typing import Any

from nnlite.layer.layer import Layer


def check_feature_names(model: Layer, rows: Any, names: tuple[str, ...] | None = None) -> tuple[str, ...] | None:
    """Raise unless the columns of the rows, if they have names, are those of the training, in the same order.

    Args:
        model: whose ``feature_names`` they must be, if it has been trained on a frame.
        rows: the rows, or batches, which have no names.
        names: of the columns of X, for a model that has not been trained.

    Returns:
        The names of the training; where there are none yet, those of the rows.

    Raises:
        ValueError: names are missing or unknown, or in another order; with the line to write.

    >>> import nnlite as nn
    >>> from nnlite.training.rows import Rows
    >>> model = nn.Linear(2, 1)
    >>> model.feature_names = "height", "width"
    >>> check_feature_names(model, Rows([[1.0, 2.0]]))
    ('height', 'width')
    """
    expected, own = model.feature_names or names, getattr(rows, "feature_names", None)
    if expected is None or own is None or own == expected:
        return expected or own
    place, source = rows.names[0], "model.feature_names" if model.feature_names else "X.columns"
    X = "X" if place == "X" else "X_val"
    missing, unknown = [name for name in expected if name not in own], [name for name in own if name not in expected]
    got, cure = [], f"{X} = {X}[list({source})]"
    if missing:
        got.append(f"none called {_listed(missing)}")
        cure = f"add them; if pd.get_dummies made them, {X} = {X}.reindex(columns=list({source}), fill_value=0)"
    if unknown:
        got.append(f"the unknown {_listed(unknown)}")
    if not got:
        got.append(f"them in another order, {_listed(own)}")
    raise ValueError(
        f"{place}: expected the columns of the training, {_listed(expected)}, got {' and '.join(got)}; {cure}; or, to "
        f"read columns by position, {X}.to_numpy(dtype=float)"
    )


def note_feature_names(model: Layer, rows: Any) -> None:
    """Let the model remember the columns of the rows, if they have names.

    >>> import nnlite as nn
    >>> from nnlite.training.rows import Rows
    >>> model = nn.Linear(2, 1)
    >>> note_feature_names(model, Rows([[1.0, 2.0]]))
    >>> model.feature_names is None
    True
    """
    if (names := check_feature_names(model, rows)) is not None:
        model.feature_names = names


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:8])) + f" and {len(names) - 8} more" * (len(names) > 8)
