"""A model of plain data and arrays, such as describe.py makes."""

from typing import Any

import numpy as np

from nnlite.basics.arrays import FLOATING, Array
from nnlite.containers.tied import Tied
from nnlite.errors import CheckpointError
from nnlite.layer.flat import flatten
from nnlite.layer.layer import Layer
from nnlite.layer.state import misfits
from nnlite.saving.archive import dtype_code
from nnlite.saving.describe import check_size
from nnlite.saving.json_values import unpack
from nnlite.saving.registry import kind_named


def rebuild(description: Any, arrays: dict[str, Array]) -> Layer:
    """The model that :func:`describe` described.

    Args:
        description: from a file.
        arrays: from the same file; those of the model are taken out of it.

    Raises:
        CheckpointError: the description is damaged, names a class that is not registered, or the arrays do not fit,
            with every one that does not.

    >>> import nnlite as nn
    >>> from nnlite.saving.describe import describe
    >>> arrays = {}
    >>> plain = describe(nn.Linear(2, 1), arrays)
    >>> rebuild(plain, arrays), arrays
    (Linear(2 -> 1), {})
    """
    try:
        return _rebuilt(arrays, **description)
    except (CheckpointError, MemoryError):
        raise
    except Exception as error:  # whatever a damaged description leads to
        raise CheckpointError(f"its description of the model is damaged: {error}") from error


def _rebuilt(arrays: dict[str, Array], layers: Any, parameters: Any, dtype: Any, training: Any) -> Layer:
    check_size(layers)
    built: list[Layer] = []
    once = _Once(arrays)
    for entry in layers:
        built.append(_made(built, once, name=entry["class"], arguments=entry["arguments"]))
        _let_go(built[-1])
    model = built[-1]
    parts = [part for _, part in model.named_layers()]
    if not set(map(id, built)) <= set(map(id, parts)):
        raise CheckpointError("it has layers that are not in the model")

    own = dict(model.named_parameters())
    wrong = misfits(own, {name: arrays[name] for name in parameters if name in arrays})
    wrong += [
        f"{name}: unknown, and there is no array" for name in parameters if name not in own.keys() | arrays.keys()
    ]
    if wrong:
        raise CheckpointError(f"its parameters do not fit {model.one_line()}:\n  " + "\n  ".join(wrong))
    model.dtype = wanted = _floating(dtype)  # of a model without parameters it is the one that all layers get
    flatten(model)
    if model.dtype != wanted:
        raise CheckpointError(f"the model is said to be {wanted}, but its parameters are {model.dtype}")
    for name, P in model.named_parameters():
        P[...] = arrays[name]
    for name in [*parameters, *(arrays.keys() - once.keys())]:
        arrays.pop(name, None)

    modes = [training] * len(parts) if isinstance(training, bool) else training
    for part, mode in zip(parts, modes, strict=True):
        if not isinstance(mode, bool):
            raise CheckpointError(f"the mode of {part.one_line()} is {mode!r}, and not training or not")
        part.training = mode
    for part in parts:
        if isinstance(part, Tied):
            needs_dX = part.needs_dX
            Tied.__init__(part, part.original)  # what it shares has moved
            part.needs_dX = needs_dX
            _share(part)
    return model


class _Once(dict[str, Array]):
    """Arrays of which each can be taken once, so that a small file cannot ask for many copies of one."""

    def __getitem__(self, name: str) -> Array:
        return self.pop(name)


def _made(built: list[Layer], arrays: _Once, name: str, arguments: dict[str, Any]) -> Layer:
    """A layer of a class that is registered as ``name``."""
    kind = kind_named(name)
    if kind is None:
        raise CheckpointError(
            f"no class is registered as {name!r}; if it is one of yours, import the module in which it is defined "
            f"and nnlite.register({name}) is called"
        )

    def other(tag: str, content: Any) -> Any:
        match tag, content:
            case "layer", int(number):
                return built[number]
            case "part", [int(number), str(path)]:
                return dict(built[number].named_layers())[path]
            case "dtype", str(code):
                return _floating(code)
        raise CheckpointError(f"it has an argument of kind {tag!r}, which means nothing")

    return kind.make(**{key: unpack(value, arrays, other) for key, value in arguments.items()})


def _floating(code: Any) -> np.dtype[Any]:
    for dtype in FLOATING:
        if dtype_code(dtype) == code:
            return dtype
    raise CheckpointError(f"expected the code of a floating dtype such as '<f4', got {code!r}")


def _let_go(layer: Layer) -> None:
    """Free the parameters and gradients: until the whole model stands, only their shapes and dtypes are needed.

    Otherwise each container would hold, while it is built, a second copy of all that is in it.
    """
    for _ in range(2):  # again when the layer has become the owner of its parts, which makes its Phi
        for _, part in layer.named_layers():
            own = vars(part)
            for name in part._parameters:
                if (P := getattr(part, name)) is not None:
                    own["_" + name] = own["_d" + name] = _stand_in(P)
            if part._Phi is not None:
                part._Phi = part._dPhi = _stand_in(part._Phi)
            if isinstance(part, Tied):
                _share(part)
        layer.Phi  # noqa: B018


def _stand_in(array: Array) -> Array:
    return np.broadcast_to(np.zeros((), array.dtype), array.shape)


def _share(tied: Tied) -> None:
    """Let it use the gradients of what it is tied to; it makes its own in its first forward."""
    for (_, own), (_, theirs) in zip(tied._twin.layer.named_layers(), tied.original.named_layers(), strict=True):
        for name in theirs._parameters:
            vars(own)["_" + name] = getattr(theirs, name)
            vars(own)["_d" + name] = getattr(theirs, "d" + name)
