"""Arrays, or tuples or dicts of them: what forward and backward take and return."""

from collections.abc import Callable
from typing import Any


def spread(function: Callable[..., Any], values: Any) -> Any:
    """Call ``function`` with an array, with the arrays of a tuple, or with those of a dict as keyword arguments.

    In this way the output of a layer is passed to the next one.

    >>> spread(max, (1, 2)), spread(abs, -1), spread(dict, {"a": 1})
    (2, 1, {'a': 1})
    """
    if isinstance(values, tuple):
        return function(*values)
    return function(**values) if isinstance(values, dict) else function(values)


def each_of(function: Callable[[Any], Any], values: Any) -> Any:
    """Return ``function`` of an array, or of each array of a tuple or dict, as a tuple or dict; None in one stays None.

    >>> each_of(abs, -1), each_of(abs, (-1, None)), each_of(abs, {"a": -3})
    (1, (1, None), {'a': 3})
    """
    if isinstance(values, tuple):
        return tuple([None if value is None else function(value) for value in values])
    if isinstance(values, dict):
        return {key: None if value is None else function(value) for key, value in values.items()}
    return function(values)


def listed(values: Any) -> list[Any]:
    """Return an array, or the arrays of a tuple or dict, as a list.

    >>> listed(1), listed((1, 2)), listed({"a": 3})
    ([1], [1, 2], [3])
    """
    return list(values.values() if isinstance(values, dict) else values if isinstance(values, tuple) else [values])
