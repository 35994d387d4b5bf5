"""The settings of a training: what must be the same when it is resumed, as text to compare and to show."""

import inspect
import zlib
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np

from nnlite.layer.layer import Layer
from nnlite.layer.parts import held
from nnlite.optim.optimizer import Optimizer
from nnlite.training.fingerprint import fingerprint
from nnlite.training.rows import Rows
from nnlite.training.streams import Stream
from nnlite.training.training_state import Training


def settings(state: Training, loss: Layer, **arguments: Any) -> dict[str, str]:
    """The settings by name: the class of each layer, loss and optimizer, the arguments of its constructor, and so on.

    Args:
        state: of a training that has not begun.
        loss: the loss with the weights of samples and classes, if there are any.
        arguments: those of ``fit`` that are not in the state.

    >>> import nnlite as nn
    >>> class Look(nn.Callback):
    ...     def on_train_begin(self, state):
    ...         print(*[state.settings[name] for name in ("layer 0", "layer 0: in_features", "optimizer: lr")])
    >>> model = nn.Sequential(nn.Linear(2, 1), nn.Tanh())
    >>> history = nn.fit(model, [[1, 2]], [[1]], loss=nn.MSELoss(), optimizer=nn.SGD(model[0], lr=0.5), epochs=0,
    ...                  callbacks=[Look()], verbose=0)
    Linear 2 0.5
    """
    layers = {_place("layer", path): layer for path, layer in state.model.named_layers()}
    layers |= {_place("loss", path): layer for path, layer in loss.named_layers()}
    places = {id(layer): place for place, layer in layers.items()}
    found: dict[str, str] = {}
    for place, layer in layers.items():
        found |= _described(place, layer)
    for number, each in enumerate(state.optimizers, start=1):
        of = places.get(id(each.layer), each.layer.one_line())
        found |= _described(_optimizer_place(number), each, of=f" of {of}")
    callbacks = callbacks_with_state(state)
    found |= {
        "metrics": ", ".join(state.means.metrics),
        "callbacks": names_of_callbacks(callbacks),
        "random generators": ", ".join(sorted(place for place, _ in generators(state))),
        "training rows": text_of_rows(_length(state.rows), _numbers(state.rows)),
        "validation rows": text_of_rows(_length(state.validation), _numbers(state.validation)),
        "row weights": repr(isinstance(state.rows, Rows) and state.rows.weight is not None),
        "batches in an epoch": repr(state.batches),
    }
    values = fingerprint(state.rows) | fingerprint(state.validation)
    found |= {f"values of {name}": text for name, text in values.items()}
    for name, callback in callbacks.items():
        if not is_checkpoint(name):
            options, free = _arguments(callback), getattr(callback, "may_differ", ())
            found |= {f"{name}: {key}": text for key, text in options.items() if key not in free}
    step = {name: getattr(state.step, name) for name in ("accumulate_steps", "clip_norm", "clip_value")}
    return found | {name: repr(value) for name, value in (step | arguments).items()}


def differences(saved: dict[str, str], own: dict[str, str]) -> list[str]:
    """A line for each setting that is not the same.

    Settings that only one of two versions of nnlite saves are not compared, and neither are the values of rows where
    one side has samples of them, or a stream.

    >>> differences({"layer 1": "Tanh", "metrics": ""}, {"layer 1": "ReLU", "metrics": "", "layer 1: new": "0"})
    ['layer 1: Tanh in the file, ReLU here']
    """
    lines = []
    places_there, places_here = ({name.split(": ")[0] for name in settings} for settings in (saved, own))
    for name in saved | own:
        there, here = saved.get(name) or "nothing", own.get(name) or "nothing"
        place = name.split(": ")[0]
        another_class = name != place and (
            saved.get(place) != own.get(place) or place not in places_there & places_here  # as of a callback
        )
        of_object = place.split()[0] in ("model", "layer", "loss", "optimizer")
        newer = name not in saved and (name != place or not of_object)
        older = name not in own and name != place and of_object
        one_sided = place.startswith("values of") and not (name in saved and name in own)
        if there != here and not another_class and not newer and not older and not one_sided:
            lines.append(f"{name}: {there} in the file, {here} here")
    return lines


# ------------------------------------------------------------------------------------------------ parts of a training


def callbacks_with_state(state: Training) -> dict[str, Any]:
    """The callbacks that have a state: the first of a class by its name, further ones with a number."""
    found: dict[str, Any] = {}
    for callback in state.callbacks:
        if hasattr(callback, "state_dict"):
            name = type(callback).__name__
            number = sum(key.split()[0] == name for key in found)
            found[f"{name} {number + 1}" if number else name] = callback
    return found


def names_of_callbacks(found: dict[str, Any]) -> str:
    """The names without those of checkpoints, which may be others.

    >>> names_of_callbacks({"EarlyStopping": None, "Checkpoint 2": None})
    'EarlyStopping'
    """
    return ", ".join(sorted(name for name in found if not is_checkpoint(name)))


def is_checkpoint(name: str) -> bool:
    """Whether it is the name of a checkpoint in :func:`callbacks_with_state`.

    >>> is_checkpoint("Checkpoint 2"), is_checkpoint("CheckpointCounter")
    (True, False)
    """
    return name.split()[0] == "Checkpoint"


def generators(state: Training) -> Iterator[tuple[str, "np.random.Generator"]]:
    """(place, generator) of ``fit`` and of those that layers, losses and optimizers hold as attributes."""
    if state.rng is not None:
        yield "rng", state.rng
    for name, generator in state.model.named_generators():
        yield name if "." in name else f".{name}", generator
    for name, generator in state.loss.named_generators():
        yield f"loss: {name}", generator
    for number, optimizer in enumerate(state.optimizers, start=1):
        for attribute, value in vars(optimizer).items():
            for name, generator in held(attribute, value, np.random.Generator):
                yield f"{_optimizer_place(number)}: {name}", generator


def text_of_rows(count: int | None, numbers: Any) -> str:
    """What is known of rows: how many, and whether they are a part of those that were given.

    >>> text_of_rows(10, None), text_of_rows(8, np.arange(8)), text_of_rows(None, None)
    ('10', '8 of a split', '')
    """
    return "" if count is None else f"{count}{' of a split' * (numbers is not None)}"


def _length(rows: Rows | Stream | None) -> int | None:
    return len(rows) if isinstance(rows, Rows) else None


def _numbers(rows: Rows | Stream | None) -> Any:
    return rows.numbers if isinstance(rows, Rows) else None


# ------------------------------------------------------------------------------------------------ objects as text


def _optimizer_place(number: int) -> str:
    return f"optimizer {number}" if number > 1 else "optimizer"


def _place(what: str, path: str) -> str:
    return f"{what} {path}" if path else "model" if what == "layer" else what


@cache
def _argument_names(cls: Any) -> tuple[str, ...]:
    try:
        return tuple(inspect.signature(cls).parameters)
    except (TypeError, ValueError):  # a class written in C
        return ()


def _described(place: str, value: Any, of: str = "") -> dict[str, str]:
    return {place: type(value).__name__ + of} | {f"{place}: {name}": text for name, text in _arguments(value).items()}


def _arguments(value: Any, depth: int = 0) -> dict[str, str]:
    """The arguments of an object's constructor that it holds in attributes of the same names.

    Without the state that the file holds: parameters, buffers, layers and random generators; also where an array of
    them stands for its sizes, as in ``saved_arguments`` of LayerNorm.
    """
    state = (*value._parameters, *value._buffers, "rng") if isinstance(value, Layer) else ("rng",)
    arrays = {id(getattr(value, name)) for name in state if isinstance(getattr(value, name, None), np.ndarray)}
    names = _argument_names(type(value)) if depth < 3 else ()  # type: ignore[arg-type]  # a class is hashable
    arguments = {name: getattr(value, name) for name in names if hasattr(value, name)}
    if hasattr(value, "saved_arguments"):  # as of a graph, what is connected with what
        arguments |= value.saved_arguments()
    return {
        name: _text(each, depth + 1)
        for name, each in arguments.items()
        if name not in state and id(each) not in arrays and not _is_state(each)
    }


def _is_state(value: Any) -> bool:
    if isinstance(value, list | tuple | dict):
        return any(map(_is_state, value.values() if isinstance(value, dict) else value))
    return isinstance(value, Layer | Optimizer | np.random.Generator)


def _text(value: Any, depth: int) -> str:
    if value is None or isinstance(value, bool | int | float | str | np.dtype):
        return str(value) if isinstance(value, np.dtype) else repr(value)
    if isinstance(value, np.ndarray | np.generic):
        if value.size <= 8:
            return repr(value.tolist())
        return f"array of shape {value.shape}, CRC {zlib.crc32(np.ascontiguousarray(value).tobytes()):08x}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_text(each, depth) for each in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key!r}: {_text(each, depth)}' for key, each in value.items())}}}"
    if hasattr(value, "__qualname__"):
        return str(value.__qualname__)
    arguments = ", ".join(f"{name}={text}" for name, text in _arguments(value, depth).items())
    return f"{type(value).__name__}({arguments})"
