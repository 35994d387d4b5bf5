"""Frames: the conversion of a pandas DataFrame or Series, without importing pandas."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

NUMBERS = frozenset("fiub")  # the kinds of a dtype whose values are real numbers


def is_frame(values: Any) -> bool:
    """Return whether the values are a DataFrame or a Series of pandas."""
    return hasattr(values, "iloc") and hasattr(values, "isna")


def column_names(values: Any) -> tuple[str, ...] | None:
    """Return the names of the columns of a DataFrame; None without one, or if they are not all strings.

    >>> column_names(np.zeros((2, 3))) is None
    True
    """
    if not is_frame(values) or not hasattr(values, "columns"):
        return None
    names = tuple(values.columns)
    return names if all(isinstance(name, str) for name in names) else None


def array_of_frame(frame: Any, name: str, argument: str) -> NDArray[Any]:
    """Convert a frame or series of numeric, bool and nullable columns to an array; rows are read by position.

    Args:
        frame: the DataFrame or Series.
        name: name of the argument in an error.
        argument: the argument in a line to write.

    Raises:
        TypeError: a column holds something else than real numbers; the message has the line to write.
        ValueError: a value is missing.
    """
    is_table = hasattr(frame, "columns")
    dtypes = list(frame.dtypes) if is_table else [frame.dtype]
    missing = frame.isna().to_numpy()
    missing = missing if is_table else missing[:, None]
    wrong = [column for column, dtype in enumerate(dtypes) if getattr(dtype, "kind", "O") not in NUMBERS]
    if wrong and is_table:
        listed = ", ".join(f"{frame.columns[column]!r} of dtype {dtypes[column]}" for column in wrong[:5])
        more = f" and {len(wrong) - 5} more" * (len(wrong) > 5)
        series, label = frame.iloc[:, wrong[0]], frame.columns[wrong[0]]
        cure = _cure(series, f"{argument}[{label!r}]", f"{argument} = pd.get_dummies({argument}), or ")
        raise TypeError(f"{name}: expected columns of real numbers, got column {listed}{more}; {cure}")
    if missing.any():
        raise ValueError(f"{name}: expected a number in each row, got {_missing(frame, missing, argument)}")
    if wrong:
        raise TypeError(f"{name}: expected real numbers, got a Series of dtype {dtypes[0]}; {_cure(frame, argument)}")
    plain = [getattr(dtype, "numpy_dtype", getattr(dtype, "subtype", dtype)) for dtype in dtypes]
    array: NDArray[Any] = frame.to_numpy(dtype=np.result_type(*plain) if plain else np.float64)
    return array


def numbered(argument: str) -> str:
    """Return what to write where labels are not the numbers 0, 1, ..."""
    line = f"number the classes from 0: classes, {argument} = np.unique({argument}, return_inverse=True)"
    return f"{line}; for other rows {argument} = np.searchsorted(classes, {argument})"


def _missing(frame: Any, missing: NDArray[np.bool_], argument: str) -> str:
    """Return where the first missing value is, and what to write."""
    row, column = (int(index) for index in np.argwhere(missing)[0])
    what = "a missing value"
    cure = f"leave out the row: X, Y = X[{argument}.notna()], Y[{argument}.notna()]"
    if hasattr(frame, "columns"):
        label = frame.columns[column]
        what += f" in column {label!r}"
        cure = (
            f"fill it in, such as {argument} = {argument}.astype(float).fillna({argument}.mean()), or leave out the row"
        )
        if missing[:, column].all():
            what += ", as in all of its rows,"
            cure = (
                f"leave out the column: {argument} = {argument}.drop(columns={label!r}) (a constant divided by its "
                "standard deviation, 0, is a missing value, too)"
            )
    return f"{what} in row {row}, {argument}.iloc[{row}]; {cure}"


def _cure(series: Any, column: str, encode: str = "") -> str:
    """Return what to write for a column or series that does not hold numbers."""
    kind = getattr(series.dtype, "kind", "O")
    if hasattr(series, "cat"):
        classes = f"number the classes: classes, {column} = {column}.cat.categories, "
        return f"{encode or classes}{column}.cat.codes"
    if kind in "mM":
        since = f"({column} - {column}.min())" if kind == "M" else column
        return f"use a number such as {since}.dt.total_seconds()"
    if any(isinstance(value, str) for value in series.head(1000)):
        return f'{encode}{column}.astype("category").cat.codes' if encode else numbered(column)
    return f"if it holds numbers, {column}.astype(float)" if series.dtype == object else "convert it to numbers"
