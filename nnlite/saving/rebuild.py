"""Rebuilding a model from its description."""

from typing import Any

import numpy as np

from nnlite.basics.arrays import FLOATING, Array
from nnlite.basics.generators import default_generator
from nnlite.containers.tied import Tied, placeholder
from nnlite.errors import CheckpointError
from nnlite.layer.flat import flatten
from nnlite.layer.layer import Layer
from nnlite.layer.parts import inside
from nnlite.layer.state import misfits
from nnlite.saving.archive import dtype_code
from nnlite.saving.describe import check_size
from nnlite.saving.json_values import generator_from, unpack
from nnlite.saving.registry import kind_named


def rebuild(description: Any, arrays: dict[str, Array]) -> Layer:
    """Return the model that :func:`describe` described.

    Args:
        description: from a file.
        arrays: from the same file; those of the model are taken out of it.

    Raises:
        CheckpointError: the description is damaged, or names an unregistered class, or arrays do not fit; the message
            lists every one.

    >>> import nnlite as nn
    >>> from nnlite.saving.describe import describe
    >>> arrays = {}
    >>> plain = describe(nn.Linear(2, 1), arrays)
    >>> rebuild(plain, arrays), arrays
    (Linear(2 -> 1), {})
    """
    default = default_generator().bit_generator
    state = default.state
    try:
        return _rebuilt(arrays, **description)
    except (CheckpointError, MemoryError):
        raise
    except Exception as error:  # whatever a damaged description leads to
        raise CheckpointError(f"its description of the model is damaged: {error}") from error
    finally:
        default.state = state  # constructors may have drawn from it


def _rebuilt(
    arrays: dict[str, Array],
    layers: Any,
    parameters: Any,
    dtype: Any,
    training: Any,
    buffers: Any = (),  # version 1 had neither these
    generators: Any = (),  # nor these
    feature_names: Any = None,  # of the columns of a frame, where it was trained on one
) -> Layer:
    check_size(layers)
    dtype, once = _floating(dtype), _Once(arrays)
    states = [unpack(entry["state"], once) for entry in generators]
    made = [generator_from(state) for state in states]
    built: list[Layer] = []
    known: set[int] = set()
    for entry in layers:
        layer = _made(built, made, once, name=entry["class"], arguments=entry["arguments"])
        built.append(layer)
        new = [part for _, part in layer.named_layers() if id(part) not in known]
        known.update(map(id, new))
        _convert(layer, new, dtype)
        _release(layer, new)
    model = built[-1]
    if feature_names is not None:
        if not all(isinstance(name, str) for name in feature_names):
            raise CheckpointError(f"feature_names: expected strings, got {feature_names!r}")
        model.feature_names = tuple(feature_names)
    parts = [part for _, part in model.named_layers()]
    if not set(map(id, built)) <= set(map(id, parts)):
        raise CheckpointError("it has layers that are not in the model")

    _fill(model, arrays, [*parameters, *buffers])
    for generator, state, entry in zip(made, states, generators, strict=True):
        generator.bit_generator.state = state  # again, since constructors may have drawn from it
        _hold(model, generator, entry["names"])
    for name in [*parameters, *buffers, *(arrays.keys() - once.keys())]:
        arrays.pop(name, None)

    modes = [training] * len(parts) if isinstance(training, bool) else training
    for part, mode in zip(parts, modes, strict=True):
        if not isinstance(mode, bool):
            raise CheckpointError(f"{part.one_line()}: expected training mode True or False, got {mode!r}")
        part.training = mode
    for part in parts:
        if isinstance(part, Tied):
            needs_dX = part.needs_dX
            Tied.__init__(part, part.original)  # whose parameters, buffers and generators are others now
            part.needs_dX = needs_dX
            _share(part)
    return model


class _Once(dict[str, Array]):
    """Arrays of which each can be read once, so that a small file cannot ask for many copies of one."""

    def __getitem__(self, name: str) -> Array:
        return self.pop(name)


def _made(built: list[Layer], generators: list[Any], arrays: _Once, name: str, arguments: dict[str, Any]) -> Layer:
    """A layer of the class registered as ``name``."""
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
            case "generator", int(number):
                return generators[number]
        raise CheckpointError(f"it has an argument of unknown kind {tag!r}")

    return kind.make(**{key: unpack(value, arrays, other) for key, value in arguments.items()})


def _floating(code: Any) -> np.dtype[Any]:
    for dtype in FLOATING:
        if dtype_code(dtype) == code:
            return dtype
    raise CheckpointError(f"expected the code of a floating dtype such as '<f4', got {code!r}")


def _convert(layer: Layer, new: list[Layer], dtype: np.dtype[Any]) -> None:
    """Convert a layer with newly built parts to the dtype of the saved model; constructors may use another one."""
    own = [getattr(part, name) for part in new for name in (*part._parameters, *part._buffers)]
    if any(array is not None and array.dtype.kind == "f" and array.dtype != dtype for array in own):
        layer.astype(dtype)
    for part in new:
        part.dtype = dtype


def _fill(model: Layer, arrays: dict[str, Array], names: list[str]) -> None:
    """Write the arrays of these names into the parameters and buffers."""
    own = dict(model.named_parameters()) | dict(model.named_buffers())
    wrong = misfits(own, {name: arrays[name] for name in names if name in arrays})
    wrong += [f"{name}: unknown, and there is no array" for name in names if name not in own.keys() | arrays.keys()]
    if wrong:
        raise CheckpointError(f"its arrays do not fit {model.one_line()}:\n  " + "\n  ".join(wrong))
    flatten(model)
    for name, array in [*model.named_parameters(), *model.named_buffers()]:
        array[...] = arrays[name]


def _hold(model: Layer, generator: Any, names: list[str]) -> None:
    """Have each of these attributes hold the generator; one in a list or dict is set to its state."""
    places = {inside(path, name): (layer, name) for path, layer in model.named_layers() for name in vars(layer)}
    own = dict(model.named_generators())
    for name in names:
        if name not in own:
            raise CheckpointError(f"{name}: {model.one_line()} has no random generator there")
        if name in places:
            layer, attribute = places[name]
            vars(layer)[attribute] = generator
        elif type(own[name].bit_generator) is type(generator.bit_generator):
            own[name].bit_generator.state = generator.bit_generator.state
        else:
            raise CheckpointError(f"{name}: {model.one_line()} has a generator of another kind there")


def _release(layer: Layer, new: list[Layer]) -> None:
    """Free the parameters and gradients: until the whole model is built, only their shapes and dtypes are needed.

    Otherwise each container would hold, while it is built, a second copy of everything in it.
    """
    for _ in range(2):  # again when the layer has become the owner of its parts, which makes its Phi
        for _, part in layer.named_layers():
            own = vars(part)
            for name in part._parameters:
                if (P := getattr(part, name)) is not None:
                    own["_" + name] = own["_d" + name] = placeholder(P)
            if part._Phi is not None:
                part._Phi = part._dPhi = placeholder(part._Phi)
                part._room = None
        layer.own_parts()
    for part in new:
        if isinstance(part, Tied):
            _share(part)


def _share(tied: Tied) -> None:
    """Let it use the parameters of what it is tied to; it makes its own gradients in its first forward."""
    for (_, own), (_, theirs) in zip(tied.twin.named_layers(), tied.original.named_layers(), strict=True):
        for name in theirs._parameters:
            if (P := getattr(theirs, name)) is not None:
                vars(own)["_" + name], vars(own)["_d" + name] = P, placeholder(P)
