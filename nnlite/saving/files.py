"""save and load: a model or a state dict in one file."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from nnlite.basics.arrays import Array, floating_dtype
from nnlite.errors import CheckpointError
from nnlite.layer.layer import Layer
from nnlite.layer.state import misfits
from nnlite.saving.archive import read_archive, reading, write_archive
from nnlite.saving.describe import describe
from nnlite.saving.json_values import unpack
from nnlite.saving.rebuild import rebuild
from nnlite.saving.safetensors_file import SUFFIX, read_safetensors, write_safetensors


def save(model: Layer | Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write a model, or the arrays that ``state_dict`` returns, into one ``.npz`` file that NumPy can read.

    Saved are the architecture, parameters, buffers, states of random generators, dtype, modes and ``feature_names``;
    gradients and caches are not. A slice of a model is saved as a Sequential. The file is replaced as a whole: after a
    crash or on a full disk, the old one is complete.

    A dict of arrays whose path ends in ``.safetensors`` is written in that format, which has no architecture, by the
    package of that name, the extra ``safetensors``; with it the texts in the ``metadata`` of a dict that :func:`load`
    read from such a file, or that :func:`nnlite.to_torch` made.

    Args:
        model: a layer whose classes are nnlite's or registered; or a dict of arrays.
        path: of the file; no suffix is added.

    Raises:
        TypeError: a class is unregistered, or an argument of a layer or the state of a generator cannot be saved; see
            :func:`nnlite.register`. Or it is neither a layer nor a dict of arrays.
        ValueError: layers are tied to one outside of the model, or a name cannot be that of a file in a zip; or a model
            is to be a ``.safetensors`` file.
        ImportError: the package safetensors is needed and not installed.
        FileNotFoundError, IsADirectoryError: the folder does not exist, or the path is a folder.
        OSError: the disk is full, the folder is read-only, or the like.

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
    in_safetensors = os.fsdecode(path).endswith(SUFFIX)
    if isinstance(model, Layer):
        if in_safetensors:
            raise ValueError(
                f"save: a {SUFFIX} file holds arrays only, and no architecture; pass model.state_dict(), or "
                "nnlite.to_torch(model) for PyTorch, or end the path in .npz"
            )
        arrays: dict[str, Any] = {}
        write_archive(path, {"kind": "model", "model": describe(model, arrays)}, arrays)
    elif isinstance(model, Mapping):
        if in_safetensors:
            write_safetensors(path, model)
        else:
            write_archive(path, {"kind": "state_dict"}, model)
    else:
        raise TypeError(f"save: expected a Layer or a dict of arrays, got {model!r}")


def load(path: str | os.PathLike[str], *, dtype: DTypeLike | None = None) -> Any:
    """Read the model or dict of arrays that :func:`nnlite.save` wrote, or the model of a checkpoint.

    The file cannot run code: it names classes, of which only nnlite's and registered ones are found. It is read and
    checked as a whole before anything is built. The model of a checkpoint has the weights that are evaluated at the end
    of each epoch; see :class:`nnlite.Checkpoint`.

    A path that ends in ``.safetensors`` is read in that format, by the package of that name, the extra ``safetensors``,
    whoever wrote it: a dict of arrays in the order of the file, whose ``metadata`` are the file's texts. NumPy has no
    bfloat16, which becomes float32. The format has no digest, so that a change in the numbers is not found. For names
    and layouts of PyTorch see :func:`nnlite.from_torch`.

    Args:
        path: of the file.
        dtype: floating dtype to convert a model, or the floating arrays of a dict, to; by default their own.

    Raises:
        FileNotFoundError, IsADirectoryError: there is no such file, or it is a folder.
        CheckpointError: the file is damaged, was not written by nnlite, or names an unregistered class; or numbers are
            too large for ``dtype``.
        TypeError: ``dtype`` is not floating.
        ImportError: the package safetensors is needed and not installed.

    >>> import os, tempfile, nnlite as nn
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "weights.npz")
    ...     nn.save(nn.Linear(2, 3).state_dict(), path)
    ...     sorted(nn.load(path))
    ['W', 'b']
    """
    wanted = None if dtype is None else floating_dtype(dtype)
    if os.fsdecode(path).endswith(SUFFIX):
        loaded: Any = read_safetensors(path)
    else:
        content, arrays = read_archive(path)
        with reading(path):
            loaded = from_content(content, arrays)
    if wanted is not None:
        with reading(path):
            _convert(loaded, wanted)
    return loaded


def _convert(loaded: Any, dtype: np.dtype[Any]) -> None:
    """Convert a model or a dict of arrays, in place."""
    try:
        with np.errstate(over="raise"):
            if isinstance(loaded, Layer):
                loaded.astype(dtype)
            else:
                floating = [name for name, array in loaded.items() if array.dtype.kind == "f"]
                loaded.update({name: loaded[name].astype(dtype, copy=False) for name in floating})
    except FloatingPointError:
        raise CheckpointError(f"it has numbers that are too large for {dtype}; read it with a larger dtype") from None


def from_content(content: Any, arrays: dict[str, Array]) -> Any:
    """The model or dict of arrays in the content of a file.

    Raises:
        CheckpointError: as :func:`load`.
    """
    match content:
        case {"kind": "state_dict"} if len(content) == 1:
            return arrays
        case {"kind": "checkpoint", "model": None}:
            raise CheckpointError("its model has unregistered layers; use nnlite.fit(..., resume=path)")
        case {"kind": "model" | "checkpoint" as kind, "model": description}:
            model = rebuild(description, arrays)
            if kind == "checkpoint" and "evaluated" in content:
                _write(model, unpack(content["evaluated"], arrays))
            if kind == "model" and (arrays or len(content) > 2):
                more = [*arrays, *(content.keys() - {"kind", "model"})]
                raise CheckpointError(f"beside its model it contains {', '.join(more[:9])}")
            return model
    raise CheckpointError("it contains neither a model nor a state dict")


def _write(model: Layer, given: Any) -> None:
    """Write into the model the parameters and buffers, by name, that a training evaluates instead of its own."""
    own = dict(model.named_parameters()) | dict(model.named_buffers())
    if not isinstance(given, dict) or not all(isinstance(array, np.ndarray) for array in given.values()):
        raise CheckpointError("what it has been evaluated with are no arrays")
    if wrong := misfits({name: own[name] for name in given.keys() & own.keys()}, given):
        raise CheckpointError(f"the averages do not fit {model.one_line()}:\n  " + "\n  ".join(wrong))
    for name, array in given.items():
        own[name][...] = array
