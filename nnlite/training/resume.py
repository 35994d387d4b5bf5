"""The state of a training as plain values: collected for a checkpoint, and restored from one."""

import copy
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from nnlite.basics.generators import default_generator
from nnlite.errors import CheckpointError
from nnlite.saving.archive import read_archive, reading
from nnlite.saving.json_values import generator_from, generator_state, unpack
from nnlite.training.history import History
from nnlite.training.rows import Rows
from nnlite.training.settings import (
    callbacks_with_state,
    differences,
    generators,
    is_checkpoint,
    names_of_callbacks,
    text_of_rows,
)
from nnlite.training.training_state import Training


def collect(state: Training) -> dict[str, Any]:
    """Everything that changes in a training, without the model's arrays and the callbacks; and the settings."""
    inside = state.batch > 0  # an epoch
    return {
        "settings": state.settings,
        "epoch": state.epoch - inside,
        "batch": state.batch,
        "loss": state.loss.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in state.optimizers],
        "generators": {place: generator_state(each, f"the generator {place}") for place, each in _generators(state)},
        "rows": {name: rows.numbers if isinstance(rows, Rows) else None for name, rows in _rows(state)},
        "order": state.order if inside else None,
        "means": state.means.state_dict() if inside else None,
        "update": state.step.state_dict(),
        "extra": dict(state.extra),
        "history": state.history.to_dict(),
    }


def restore(state: Training, content: dict[str, Any]) -> None:
    """Put a training into the state that :func:`collect` returned, with the model's arrays added as "model"."""
    state.model.load_state_dict(content["model"])
    state.loss.load_state_dict(content["loss"])
    for optimizer, saved in zip(state.optimizers, content["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    if content["means"] is not None:
        state.means.load_state_dict(content["means"])
        _floats(state.means.values())  # an error if some cannot be computed
    state.step.load_state_dict(content["update"])
    for place, generator in _generators(state):
        if place in content["generators"] or place != "default":  # which is not in files of version 1
            generator.bit_generator.state = generator_from(content["generators"][place]).bit_generator.state
    for name, rows in _rows(state):
        if isinstance(rows, Rows):
            rows.numbers = _checked(content["rows"][name], rows, all_rows=rows.numbers is None)
    if isinstance(state.rows, Rows):
        state.order = _checked(content["order"], state.rows, all_rows=content["order"] is None)
    state.history = History({str(name): [*map(float, values)] for name, values in content["history"].items()})
    state.extra = _floats(content["extra"])
    state.epoch, state.batch = content["epoch"], content["batch"]


def resume_from(path: Any, state: Training) -> None:
    """Restore a training from a checkpoint, its rows in their old split: everything, or nothing at all.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: it is damaged, is no checkpoint, or is that of another training; the message lists all
            settings that differ. Nothing was changed.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"resume: expected the path of a checkpoint, such as checkpoint.path, got {path!r}")
    content = read(path)
    with reading(path):
        saved = content["settings"]
        own = state.settings if content["version"] > 1 else {name: state.settings.get(name, "") for name in saved}
        saved, own = (
            {name: text for name, text in each.items() if name not in content["kept"]} for each in (saved, own)
        )
        if wrong := differences(saved, own):
            raise CheckpointError(
                "the settings of this training differ from those in the file, nothing was changed:\n  "
                + "\n  ".join(wrong)
                + "\nuse the same ones; or to train on with others, begin a new training of nnlite.load(path)"
            )
        undo = snapshot(state)
        try:
            restore(state, content)
            for name, callback in callbacks_with_state(state).items():
                saved = content["callbacks"]
                callback.load_state_dict(saved.get(name, {}) if is_checkpoint(name) else saved[name])
        except Exception as error:
            undo()
            raise CheckpointError(f"its state does not fit this training, nothing was changed: {error}") from error


def snapshot(state: Training) -> Callable[[], None]:
    """A function that puts everything back as it is now."""
    content = collect(state) | {"model": state.model.state_dict()}
    attributes = [
        (vars(callback), {name: _copied(value) for name, value in vars(callback).items()})
        for callback in callbacks_with_state(state).values()
        if hasattr(callback, "__dict__")
    ]

    def undo() -> None:
        restore(state, content)
        for own, before in attributes:
            own.clear()
            own.update(before)

    return undo


def _copied(value: Any) -> Any:
    return copy.copy(value) if isinstance(value, list | dict | set | np.ndarray) else value


def read(path: Any) -> dict[str, Any]:
    """The content of a checkpoint, as :func:`collect` returned it, with the model's arrays and the format's version.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: it is damaged, or is no checkpoint.
    """
    manifest, arrays = read_archive(path)
    with reading(path):
        if not isinstance(manifest, dict) or manifest.get("kind") != "checkpoint":
            raise CheckpointError("expected the checkpoint of a training; nnlite.load reads a model")
        try:
            content: dict[str, Any] = unpack(manifest["training"], arrays)
            if manifest["model"] is not None:
                names = [*manifest["model"]["parameters"], *manifest["model"].get("buffers", ())]
                content["model"] = {name: arrays[name] for name in names}
            content["version"] = 2 if "settings" in content else 1
            saved = content["settings"] if content["version"] > 1 else _settings_of_version_1(content)
            content["settings"] = {str(name): str(value) for name, value in saved.items()}
            # An attribute of a callback that is state is no option, whatever the constructor's arguments are called.
            content["kept"] = {f"{name}: {key}" for name, state in content["callbacks"].items() for key in state}
            for name in "epoch", "batch":
                if type(content[name]) is not int or content[name] < 0:
                    raise ValueError(f"{name}: expected a number >= 0, got {content[name]!r}")
        except CheckpointError:
            raise
        except Exception as error:  # the digest is right, so somebody made it by hand
            raise CheckpointError(f"it does not hold the state of a training: {error!r}") from error
    return content


def _settings_of_version_1(content: dict[str, Any]) -> dict[str, str]:
    """What a file of version 1 holds of the settings."""
    lengths, rows = content["lengths"], content["rows"]
    return {
        "callbacks": names_of_callbacks(content["callbacks"]),
        "random generators": ", ".join(sorted(content["generators"])),
        "training rows": text_of_rows(lengths[0], rows["training"]),
        "validation rows": text_of_rows(lengths[1], rows["validation"]),
        "batches in an epoch": repr(content["batches"]),
    }


def _generators(state: Training) -> list[tuple[str, "np.random.Generator"]]:
    """Those of the training, and the default generator."""
    return [*generators(state), ("default", default_generator())]


def _rows(state: Training) -> list[tuple[str, Any]]:
    return [("training", state.rows), ("validation", state.validation)]


def _floats(values: dict[str, Any]) -> dict[str, float]:
    return {str(name): float(value) for name, value in values.items()}


def _checked(indices: Any, rows: Rows, *, all_rows: bool) -> Any:
    """``indices``, if they are those of as many rows; or None, for all rows in their order."""
    count, length = len(rows), len(Rows(rows.X))
    right = isinstance(indices, np.ndarray) and indices.dtype.kind in "iu" and indices.shape == (count,)
    if all_rows and indices is None:
        return None
    if all_rows or not right or not 0 <= indices.min() <= indices.max() < length:
        raise ValueError(f"expected indices of {count} of {length} rows")
    return indices
