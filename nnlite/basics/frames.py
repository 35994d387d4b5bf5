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


def check_same_index(one: Any, other: Any, name: str, other_name: str) -> None:
    """Raise a ValueError if two frames or series have the same index labels in another order.

    Rows are paired by position, so the samples would get the targets of other samples.
    """
    if not (is_frame(one) and is_frame(other)) or len(one) != len(other) or one.index.equals(other.index):
        return
    if one.index.is_unique and other.index.is_unique and other.index.isin(one.index).all():
        first = int(np.flatnonzero(np.asarray(one.index != other.index))[0])
        raise ValueError(
            f"{name} and {other_name}: expected the index labels in the same order, got {one.index[first]} and "
            f"{other.index[first]} in row {first}; pass {other_name}.loc[{name}.index], or if the rows match by "
            f"position {other_name}.to_numpy()"
        )


def numbered(argument: str) -> str:
    """Return what to write where labels are not the numbers 0, 1, ..."""
    line = f"number the classes from 0: classes, {argument} = np.unique({argument}, return_inverse=True)"
    return f"{line}; for other rows {argument} = np.searchsorted(classes, {argument})"


def indexed(name: str, given: Any) -> str:
    """Return how to write the argument where NumPy's indexing follows.

    >>> indexed("Y", np.zeros(3)), indexed("Y", [0, 0, 0])
    ('Y', 'np.asarray(Y)')
    """
    if is_frame(given):
        return f"{name}.to_numpy()"
    return name if isinstance(given, np.ndarray) else f"np.asarray({name})"


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
    missing = series.isna().to_numpy()
    fill = f"; first fill in the missing value in row {int(missing.argmax())}, whose code is -1" * bool(missing.any())
    if hasattr(series, "cat"):
        classes = f"number the classes: classes, {column} = {column}.cat.categories, "
        return f"{encode or classes}{column}.cat.codes{fill}"
    if kind in "mM":
        since = f"({column} - {column}.min())" if kind == "M" else column
        return f"use a number such as {since}.dt.total_seconds()"
    texts = [value for value in series.head(1000) if isinstance(value, str)]
    if texts and encode and (line := _text_as_numbers(texts, column)):
        return f"if it holds numbers, {line}"
    if texts and encode:
        return f'{encode}{column}.astype("category").cat.codes{fill}'
    if texts:
        return f"if they are classes, {numbered(column)}"
    return f"if it holds numbers, {column}.astype(float)" if series.dtype == object else "convert it to numbers"


def _text_as_numbers(texts: list[str], column: str) -> str:
    """Return what to write for a column of text that is numbers, all or most of it; "" for other text."""
    other = [text for text in texts if not _is_number(text)]
    if not other:
        return f"pd.to_numeric({column})"
    if all(_is_number(text.replace(",", ".")) for text in texts):
        return f'{column}.str.replace(",", ".").astype(float)'
    if 2 * len(other) < len(texts):
        return f'pd.to_numeric({column}, errors="coerce"), which makes {other[0]!r} a missing value'
    return ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
