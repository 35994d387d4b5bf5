"""save and load: a model, or a state dict, in one file."""

import os
from collections.abc import Mapping
from typing import Any

from nnlite.errors import CheckpointError
from nnlite.layer.layer import Layer
from nnlite.saving.archive import read_archive, reading, write_archive
from nnlite.saving.describe import describe
from nnlite.saving.rebuild import rebuild


def save(model: Layer | Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write a model, architecture and weights, or what ``state_dict`` gave, into one ``.npz`` that NumPy can open.

    Whatever happens meanwhile, a crash or a full disk, the file that was there before is there whole, or the new one.
    Gradients and what the last forward kept are not saved; a slice of a model is saved as a Sequential.

    Args:
        model: any layer whose classes are nnlite's own or registered; or a dict of arrays.
        path: of the file, taken as it is.

    Raises:
        TypeError: a class that is not registered, or an argument of a layer that cannot be saved; see
            :func:`nnlite.register`. Or something that is no model.
        ValueError: layers are tied to one outside of the model, or a name is not fit for a file.
        FileNotFoundError, IsADirectoryError: the folder is missing, or the path is one.
        OSError: the disk is full, or the like.

    >>> import os, tempfile, nnlite as nn
    >>> model = nn.Sequential(nn.Linear(2, 3, rng=0), nn.Tanh())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     nn.save(model, os.path.join(folder, "model.npz"))
    ...     nn.load(os.path.join(folder, "model.npz"))
    Sequential(
      (0): Linear(2 -> 3)
      (1): Tanh()
    )
    """
    if isinstance(model, Layer):
        arrays: dict[str, Any] = {}
        write_archive(path, {"kind": "model", "model": describe(model, arrays)}, arrays)
    elif isinstance(model, Mapping):
        write_archive(path, {"kind": "state_dict"}, model)
    else:
        raise TypeError(f"save: expected a Layer or a dict of arrays, got {model!r}")


def load(path: str | os.PathLike[str]) -> Any:
    """What :func:`nnlite.save` wrote: a model, or a dict of arrays. Of a checkpoint of training, its model.

    No code comes from the file: it names classes, and only those of nnlite and those that are registered are found. It
    is read whole and checked before anything is made of it.

    Args:
        path: of the file.

    Raises:
        FileNotFoundError, IsADirectoryError: there is no such file, or it is a folder.
        CheckpointError: the file is damaged in whatever way, is not one of nnlite's, or names a class that is not
            registered.

    >>> import os, tempfile, nnlite as nn
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "weights.npz")
    ...     nn.save(nn.Linear(2, 3).state_dict(), path)
    ...     sorted(nn.load(path))
    ['W', 'b']
    """
    content, arrays = read_archive(path)
    with reading(path):
        match content:
            case {"kind": "state_dict"} if len(content) == 1:
                return arrays
            case {"kind": "checkpoint", "model": None}:
                raise CheckpointError("its model has layers that are not registered; take nnlite.fit(..., resume=path)")
            case {"kind": "model" | "checkpoint" as kind, "model": description}:
                model = rebuild(description, arrays)
                if kind == "model" and (arrays or len(content) > 2):
                    more = [*arrays, *(content.keys() - {"kind", "model"})]
                    raise CheckpointError(f"beside its model it holds {', '.join(more[:9])}")
                return model
        raise CheckpointError("it holds neither a model nor a state dict")
