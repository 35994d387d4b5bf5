"""One array, or several in a tuple or dict: what forward and backward take and return."""

from collections.abc import Callable
from typing import Any


def spread(function: Callable[..., Any], values: Any) -> Any:
    """``function`` of one array, of several in a tuple, or by their names in a dict.

    So it is that what one layer gives is handed to the next one.

    >>> spread(max, (1, 2)), spread(abs, -1), spread(dict, {"a": 1})
    (2, 1, {'a': 1})
    """
    if isinstance(values, tuple):
        return function(*values)
    return function(**values) if isinstance(values, dict) else function(values)


def each_of(function: Callable[[Any], Any], values: Any) -> Any:
    """``function`` of one array, or of each in a tuple or dict, which keeps its form.

    >>> each_of(abs, -1), each_of(abs, (-1, 2)), each_of(abs, {"a": -3})
    (1, (1, 2), {'a': 3})
    """
    if isinstance(values, tuple):
        return tuple(map(function, values))
    return {key: function(value) for key, value in values.items()} if isinstance(values, dict) else function(values)


def listed(values: Any) -> list[Any]:
    """One array, or those in a tuple or dict, as a list.

    >>> listed(1), listed((1, 2)), listed({"a": 3})
    ([1], [1, 2], [3])
    """
    return list(values.values() if isinstance(values, dict) else values if isinstance(values, tuple) else [values])
