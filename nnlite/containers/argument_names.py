"""The names of a layer's inputs and outputs: its own, or read from the arguments of its forward and backward."""

import inspect
import re
from collections.abc import Sequence
from typing import Any, TypeGuard, TypeVar

from nnlite.layer.described import with_gradient
from nnlite.layer.layer import Layer

Known = TypeVar("Known", bound=Layer)


def expands(layer: Layer) -> bool:
    """Whether a layer is a container whose parts are operations: it says how they are connected.

    It has a method ``forward_through`` of the class that has its forward and its backward.

    >>> import nnlite as nn
    >>> class Loud(nn.Sequential):
    ...     def forward(self, X):
    ...         return 2 * super().forward(X)
    >>> expands(nn.Sequential()), expands(Loud()), expands(nn.Tanh())
    (True, False, False)
    """
    owner: Any = next((base for base in type(layer).__mro__ if "forward_through" in vars(base)), None)
    return owner is not None and is_plain(layer, owner)


def is_plain(layer: Layer, known: type[Known]) -> TypeGuard[Known]:
    """Whether a layer uses the forward and backward of the class ``known``, not overridden ones.

    >>> import nnlite as nn
    >>> class Loud(nn.Sequential):
    ...     def forward(self, X):
    ...         return 2 * super().forward(X)
    >>> is_plain(nn.Sequential(), nn.Sequential), is_plain(Loud(), nn.Sequential)
    (True, False)
    """
    methods = getattr(layer.forward, "__func__", None), getattr(layer.backward, "__func__", None)
    return methods == (known.forward, known.backward)


def bound(layer: Layer, Xs: tuple[Any, ...], named: dict[str, Any]) -> dict[str, Any]:
    """Each argument by its name in the layer's forward; those of ``*more`` are numbered, one left out before is None.

    Raises:
        TypeError: forward does not accept these arguments.

    >>> import nnlite as nn
    >>> bound(nn.Multiply(), (1, 2), {}), bound(nn.Concat(), (1, 2), {})
    ({'X': 1, 'Y': 2}, {'X': 1, 'X2': 2})
    >>> bound(nn.LSTM(2, 3), ("X",), {"H0": "H0"})
    {'X': 'X', 'lengths': None, 'H0': 'H0'}
    """
    try:
        arguments = inspect.signature((layer.original or layer).forward).bind(*Xs, **named)
    except TypeError as error:
        raise TypeError(f"{layer.one_line()}: {error}") from None
    fill(arguments)
    return dict(zip(input_names_of(layer, len(arguments.args)), arguments.args, strict=True)) | arguments.kwargs


def by_position(layer: Layer, Xs: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
    """The inputs in the order of the layer's forward, those passed by name included; None for one left out before.

    Raises:
        TypeError: there is no input of that name, or it was passed twice.

    >>> import nnlite as nn
    >>> by_position(nn.Sequential(nn.LSTM(2, 3)), ("X",), {"H0": "H0"})
    ('X', None, 'H0')
    """
    given = len(Xs) + len(named)
    for count in range(given, given + 20):  # a layer of any number of inputs has names without an end
        names = input_names_of(layer, count)
        if named.keys() <= set(names) or len(names) < count:
            break
    if unknown := [name for name in named if name not in names[len(Xs) :]]:
        raise TypeError(f"{layer.one_line()}: expected the inputs {', '.join(names)}, each once, got {unknown[0]}")
    last = max([names.index(name) + 1 for name in named], default=0)
    return (*Xs, *[named.get(name) for name in names[len(Xs) : last]])


def fill(arguments: inspect.BoundArguments) -> None:
    """Put in the default of each argument that was left out before one that was passed by name."""
    if arguments.kwargs:
        given = list(arguments.arguments)
        arguments.apply_defaults()
        names = list(arguments.arguments)
        last = max(map(names.index, given))
        arguments.arguments = {name: arguments.arguments[name] for name in names[: last + 1]}


def input_names_of(model: Layer, count: int | None = None) -> list[str]:
    """The names of the model's inputs: those of a graph, or the arguments of its first layer's forward.

    Args:
        model: any Layer.
        count: the number of inputs, if that forward accepts any number; by default its required arguments.

    >>> import nnlite as nn
    >>> input_names_of(nn.Sequential(nn.Tanh())), input_names_of(nn.MSELoss()), input_names_of(nn.Concat(), 2)
    (['X'], ['Y', 'target'], ['X', 'X2'])
    """
    if expands(container := model.original or model):
        names: list[str | None] = container.names_of_inputs(count)  # type: ignore[attr-defined]
        return [name or _numbered("X", number, len(names)) for number, name in enumerate(names, start=1)]
    forward = (model.original or model).forward
    return argument_names(forward, "X", _count_needed(forward) if count is None else count)[0]


def gradient_names_of(layer: Layer, inputs: Sequence[Any] | None = None, *, gradients: int = 0) -> list[str]:
    """The names of the gradients that backward returns, in order: dX for X, none for an input without a gradient.

    Args:
        layer: any Layer.
        inputs: the inputs, None for one that is left out; by default as many as have this number of gradients.
        gradients: see ``inputs``.

    >>> import nnlite as nn
    >>> gradient_names_of(nn.Add(), "XYZ"), gradient_names_of(nn.MSELoss(), gradients=1)
    (['dX', 'dY', 'dX3'], ['dY'])
    """
    if inputs is None:
        inputs = range(gradients + len((layer.original or layer).without_gradient))
    names = input_names_of(layer, len(inputs))
    return ["d" + names[place] for place in with_gradient(layer, inputs) if place < len(names)]


def output_names_of(model: Layer) -> list[str]:
    """The names of the model's outputs: the keys of a graph, or the arguments of backward without their d.

    An argument that is not called like dY, dy or dout, such as "delta", gives Y.

    >>> import nnlite as nn
    >>> output_names_of(nn.Tanh()), output_names_of(nn.Multiply()), output_names_of(nn.MSELoss())
    (['Y'], ['Z'], ['J'])
    """
    if expands(model) and (keys := model.names_of_outputs()):  # type: ignore[attr-defined]
        return list(keys)
    names, _ = argument_names((model.original or model).backward, "dY", model.num_outputs)
    found = [re.fullmatch(r"d([A-Z]\w*|[a-z]\d*|out)", name) for name in names]
    taken = input_names_of(model)
    return [
        match[1] if match and match[1] not in taken else _numbered("Z" if "Y" in taken else "Y", number, len(names))
        for number, match in enumerate(found, start=1)
    ]


def argument_names(method: Any, stem: str, count: int | None) -> tuple[list[str], dict[str, list[str]]]:
    """The names of a method's first ``count`` arguments; those of ``*more`` are numbered, and also listed under "more".

    Without a count, of all its named arguments.

    >>> import nnlite as nn
    >>> argument_names(nn.Concat().forward, "X", 3)
    (['X', 'X2', 'X3'], {'more': ['X2', 'X3']})
    """
    parameters = list(inspect.signature(method).parameters.values())
    names = [p.name for p in _positional(parameters)[:count]]
    count = len(names) if count is None else count
    numbered = [_numbered(stem, n, count) for n in range(len(names) + 1, count + 1)]
    return names + numbered, {p.name: numbered for p in parameters if p.kind is p.VAR_POSITIONAL}


def _count_needed(method: Any) -> int:
    """The number of required arguments, at least one if there are any."""
    parameters = list(inspect.signature(method).parameters.values())
    return max(sum(p.default is p.empty for p in _positional(parameters)), min(len(parameters), 1))


def _positional(parameters: list[inspect.Parameter]) -> list[inspect.Parameter]:
    return [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


def _numbered(stem: str, number: int, count: int) -> str:
    """X2 for the second of several, X for the only one."""
    return stem if count == 1 else f"{stem}{number}"
