"""Arrays in safetensors files, the format of Hugging Face, through the package ``safetensors``.

A file is a length of eight bytes, a JSON text with the dtype, shape and place of each array, and the arrays. The
package checks that these fill the rest of the file without a gap or an overlap; what it lets pass is checked here.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.errors import CheckpointError
from nnlite.saving.archive import opened, reading, saved_array
from nnlite.saving.atomic_write import atomic_write

SUFFIX = ".safetensors"

_DTYPES = {
    "BOOL": "|b1",
    "I8": "|i1",
    "U8": "|u1",
    "I16": "<i2",
    "U16": "<u2",
    "I32": "<i4",
    "U32": "<u4",
    "I64": "<i8",
}
_DTYPES |= {"U64": "<u8", "F16": "<f2", "F32": "<f4", "F64": "<f8"}
_METADATA = "__metadata__"  # the key of the texts in the JSON


class StateDict(dict[str, Array]):
    """Arrays by name, and the texts by name that a safetensors file has beside them.

    Args:
        arrays: by name.
        metadata: such as ``{"format": "pt"}``, for names and layouts of PyTorch.

    >>> state = StateDict({"b": np.zeros(2)}, {"format": "pt"})
    >>> state, state.metadata
    ({'b': array([0., 0.])}, {'format': 'pt'})
    """

    def __init__(self, arrays: Mapping[str, Array], metadata: Mapping[str, str] | None = None) -> None:
        super().__init__(arrays)
        self.metadata = dict(metadata or {})


def write_safetensors(path: Any, arrays: Mapping[str, Any]) -> None:
    """Write arrays, and their ``metadata`` if they have it, to ``path``; the file is replaced as a whole.

    Args:
        path: of the file.
        arrays: real numbers or booleans, by name.

    Raises:
        TypeError: an array does not hold real numbers, or long doubles, which the format does not have.
        ValueError: a name is no text, or reserved.
        ImportError: the package safetensors is not installed.
        FileNotFoundError, IsADirectoryError, OSError: as :func:`nnlite.saving.atomic_write.atomic_write`.

    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "some.safetensors")
    >>> write_safetensors(path, {"a": np.arange(3)})
    >>> read_safetensors(path)
    {'a': array([0, 1, 2])}
    """
    package = _package()
    plain = {name: _plain(array, name) for name, array in arrays.items()}
    metadata = getattr(arrays, "metadata", None)
    data = package.numpy.save(plain, dict(metadata) if metadata else None)
    with atomic_write(path) as file:
        file.write(data)


def _plain(array: Any, name: Any) -> Array:
    values = saved_array(array, name)
    if not isinstance(name, str) or name == _METADATA or not name.isprintable():
        raise ValueError(f"array {name!r}: expected a name of printable characters that is not {_METADATA!r}")
    if values.dtype.newbyteorder("<").str not in _DTYPES.values():
        raise TypeError(
            f"array {name!r}: safetensors has no {values.dtype}; convert it, {name!r}: array.astype(np.float64), or "
            "save a .npz file"
        )
    return np.asarray(values, values.dtype.newbyteorder("="), order="C")


def read_safetensors(path: Any) -> StateDict:
    """The arrays of a safetensors file, in the order of the file; bfloat16 as float32, exactly.

    Such a file has no digest: a changed byte of an array is not detected.

    Raises:
        FileNotFoundError, IsADirectoryError: there is no such file, or it is a folder.
        CheckpointError: the file is damaged, is in another format, or has arrays that NumPy cannot represent.
        ImportError: the package safetensors is not installed.

    >>> read_safetensors("no.safetensors")
    Traceback (most recent call last):
        ...
    FileNotFoundError: [Errno 2] No such file or directory: 'no.safetensors'
    """
    with reading(path), opened(path) as (file, size):
        package = _package()
        start = file.read(8)
        length = int.from_bytes(start, "little")
        if start.startswith(b"PK\3\4"):
            raise CheckpointError("it is a zip, such as nnlite's and NumPy's .npz, and no safetensors file; rename it")
        if length > size - 8:
            raise CheckpointError(
                f"it is truncated, or no safetensors file: its header would have {length} bytes, the file has {size}"
            )
        header = file.read(length)
        names, metadata = _parsed(header)
        try:
            found = dict(package.deserialize(start + header + file.read()))
        except package.SafetensorError as error:
            raise CheckpointError(f"it is damaged, or no safetensors file: {error}") from error
    with reading(path):
        return StateDict({name: _array(name, **found.pop(name)) for name in names}, metadata)


def _parsed(header: bytes) -> tuple[list[str], dict[str, str]]:
    """The names of the arrays in the order of their data, and the texts."""
    try:
        table = json.loads(header, object_pairs_hook=_without_duplicates)
        metadata = table.pop(_METADATA, {})
        return sorted(table, key=lambda name: table[name]["data_offsets"]), dict(metadata)
    except CheckpointError:
        raise
    except Exception as error:  # whatever a header that was made by hand leads to
        raise CheckpointError(f"it is damaged, or no safetensors file: its header is no table: {error}") from error


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise CheckpointError(f"it is damaged: its header has {twice!r} twice")
    return table


def _array(name: str, dtype: str, shape: list[int], data: bytearray) -> Array:
    """The array with these bytes, which the package has compared with dtype and shape."""
    if dtype == "BF16":  # the upper half of a float32
        return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32).reshape(shape)
    if dtype not in _DTYPES:
        raise CheckpointError(f"{name}: NumPy has no dtype for {dtype}; convert it where the file was written")
    array = np.frombuffer(data, _DTYPES[dtype]).reshape(shape)
    if dtype == "BOOL" and array.view(np.uint8).max(initial=0) > 1:
        raise CheckpointError(f"{name}: not all of its bytes are True or False")
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _package() -> Any:
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(
            f'files that end in {SUFFIX} need the package safetensors: {error}; pip install "safetensors>=0.4.5"'
        ) from None
    return safetensors
