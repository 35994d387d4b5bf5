"""The file format: an uncompressed zip of ``.npy`` members, readable by ``numpy.load``, with a SHA-256 digest.

The first member, ``manifest.npy``, is a JSON text: the format's version, a list of the arrays with dtype and shape, and
the content. The others are the arrays. The zip's comment, which ends the file, is the digest of all bytes before it.
NumPy's reader and ``zipfile`` see a file only if the digest is right, and NumPy allocates an array only if the file
holds as many bytes.
"""

import errno
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np

from nnlite.basics.arrays import Array, as_array
from nnlite.errors import CheckpointError
from nnlite.saving.atomic_write import atomic_write

VERSION = 2  # 1: without buffers and generators

_MARK = b"sha256:"
_DIGEST = 64  # hexadecimal digits at the end of the file
_BLOCK = 1 << 20  # bytes hashed at once
_FIRST_NAME = 300  # bytes in which a zip has the name of its first member, if that is not very long
_CODES = frozenset(["|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8"])
_LONG_DOUBLE = np.dtype(np.longdouble).newbyteorder("<").str


# -------------------------------------------------------------------------------------------------- writing


def write_archive(path: Any, content: Any, arrays: Mapping[str, Any]) -> None:
    """Write ``content`` and ``arrays`` to ``path``; the same content always gives the same bytes.

    Args:
        path: of the file, which is replaced as a whole; see :func:`nnlite.saving.atomic_write.atomic_write`.
        content: what JSON can hold.
        arrays: real numbers or booleans, by name.

    Raises:
        FileNotFoundError, IsADirectoryError: the folder does not exist, or the path is a folder.
        TypeError: an array does not hold real numbers, or JSON cannot hold the content.
        ValueError: a name cannot be that of a file in a zip.
        OSError: the disk is full, the folder is read-only, or the like.

    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "some.npz")
    >>> write_archive(path, {"answer": 42}, {"a": np.arange(3)})
    >>> with np.load(path) as file:
    ...     file["a"], str(file["manifest"])
    (array([0, 1, 2]), '{"format":"nnlite","version":2,"arrays":[["a","<i8",[3]]],"content":{"answer":42}}')
    """
    import json
    import zipfile

    plain = {name: _plain(array, name) for name, array in arrays.items()}
    manifest = {"format": "nnlite", "version": VERSION, "arrays": _table(plain), "content": content}
    text = np.array(json.dumps(manifest, separators=(",", ":"), allow_nan=False))
    with atomic_write(path) as file:
        with zipfile.ZipFile(file, "w") as archive:
            for name, array in {"manifest": text, **plain}.items():
                member = zipfile.ZipInfo(f"{name}.npy")  # without a date
                member.create_system, member.external_attr = 3, 0o644 << 16  # on Unix, whatever this is
                with archive.open(member, "w", force_zip64=True) as stream:
                    np.lib.format.write_array(stream, _little_endian(array), (1, 0), allow_pickle=False)
            archive.comment = _MARK + bytes(_DIGEST)
        size = file.seek(-_DIGEST, os.SEEK_END)
        digest = _digest(file, size)
        file.seek(size)
        file.write(digest)


def saved_array(array: Any, name: Any) -> Array:
    """An array of a dict that is saved.

    Raises:
        TypeError: it does not hold real numbers or booleans.
    """
    if isinstance(array, str | bytes) or getattr(getattr(array, "dtype", None), "kind", "") in tuple("UST"):
        raise TypeError(
            f"array {name!r}: expected real numbers, got text; leave it out. Only a .safetensors file holds texts, as "
            "its metadata: see help(nnlite.save)"
        )
    return as_array(array, f"array {name!r}")


def _plain(array: Any, name: Any) -> Array:
    values = saved_array(array, name)
    if problem := "expected a string" if not isinstance(name, str) else _problem(name):
        raise ValueError(f"array {name!r}: the name cannot be that of a file in a zip: {problem}")
    return values


def _problem(name: str) -> str | None:
    """Why ``name`` cannot be that of an array in a file; None if it can."""
    if name == "manifest" or name.endswith(".npy"):
        return "it is reserved"
    if not name or not name.isprintable() or "\\" in name or name[1:2] == ":":
        return "it is empty, or has a character that is not allowed there"
    if {"", ".", ".."} & set(name.split("/")):
        return "it leads out of the folder"
    return "it is too long" if len(name.encode()) > 1000 else None


def dtype_code(dtype: np.dtype[Any]) -> str:
    """NumPy's code of a dtype; that of a long double says which of its kinds it is, ``"<f16:63"`` on x86."""
    code = dtype.newbyteorder("<").str
    return code if code in _CODES else f"{code}:{np.finfo(np.longdouble).nmant}"


def _table(arrays: Mapping[str, Array]) -> list[list[Any]]:
    """[name, dtype, shape] of each array, for the manifest."""
    return [[name, dtype_code(array.dtype), list(array.shape)] for name, array in arrays.items()]


def _little_endian(array: Array) -> Array:
    """The array as it is written: in C order; the six padding bytes of an x86 long double are zeros."""
    data = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
    if data.dtype.str == _LONG_DOUBLE == "<f16" and np.finfo(data.dtype).nmant == 63:
        data = data.copy()
        data.reshape(-1).view(np.uint8).reshape(-1, 16)[:, 10:] = 0
    return data


def _digest(file: BinaryIO, size: int) -> bytes:
    """The SHA-256 digest of the first ``size`` bytes."""
    from hashlib import sha256

    digest = sha256()
    file.seek(0)
    while size and (block := file.read(min(size, _BLOCK))):
        digest.update(block)
        size -= len(block)
    return digest.hexdigest().encode()


# -------------------------------------------------------------------------------------------------- reading


def read_archive(path: Any) -> tuple[Any, dict[str, Array]]:
    """The content and the arrays of a file that :func:`write_archive` wrote.

    Raises:
        FileNotFoundError, IsADirectoryError: there is no such file, or it is a folder.
        CheckpointError: the file is damaged, not one of nnlite, or of a newer format; with path and reason.

    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "some.npz")
    >>> write_archive(path, {"answer": 42}, {"a": np.arange(3)})
    >>> read_archive(path)
    ({'answer': 42}, {'a': array([0, 1, 2])})
    """
    with reading(path), opened(path) as (file, size):
        _check_digest(file, size)
        try:
            return _read(file, size)
        except (CheckpointError, MemoryError):
            raise
        except Exception as error:  # whatever zipfile, NumPy and JSON raise on a file that was made by hand
            raise CheckpointError(f"the zip is damaged: {error}") from error


@contextmanager
def opened(path: Any) -> Iterator[tuple[BinaryIO, int]]:
    """Yield a file and its size.

    Raises:
        FileNotFoundError, IsADirectoryError: there is no such file, or it is a folder.
        CheckpointError: it is a device, a pipe or a socket.
    """
    path = os.fsdecode(path)
    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, "expected a file, got a folder", path)
    if os.path.exists(path) and not os.path.isfile(path):
        raise CheckpointError("expected a regular file, got a device, pipe or socket")
    with open(path, "rb") as file:
        yield file, os.fstat(file.fileno()).st_size


@contextmanager
def reading(path: Any) -> Iterator[None]:
    """Put the path before the message of every CheckpointError that the block raises."""
    try:
        yield
    except CheckpointError as error:
        raise CheckpointError(f"{os.fsdecode(path)}: {error}") from error.__cause__


def _check_digest(file: BinaryIO, size: int) -> None:
    if file.read(4) != b"PK\3\4" or size < len(_MARK) + _DIGEST:
        raise CheckpointError("it was not written by nnlite, or its beginning is damaged")
    file.seek(size - _DIGEST - len(_MARK))
    if file.read(len(_MARK)) != _MARK:
        file.seek(0)
        if b"/data.pkl" in file.read(_FIRST_NAME):
            raise CheckpointError(
                "torch.save wrote it; nnlite.from_torch takes what torch.load(path, weights_only=True) returns"
            )
        raise CheckpointError("it is truncated, or was not written by nnlite: there is no digest at its end")
    expected = file.read(_DIGEST)
    if _digest(file, size - _DIGEST) != expected:
        raise CheckpointError("it is damaged: its SHA-256 digest is not that of its content")


def _read(file: BinaryIO, size: int) -> tuple[Any, dict[str, Array]]:
    import zipfile

    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise CheckpointError("a member of its zip is compressed")
        if sum(member.file_size for member in members) > size:
            raise CheckpointError(f"the members of its zip are larger than its {size} bytes")
        if [member.filename for member in members[:1]] != ["manifest.npy"]:
            raise CheckpointError("its first member is not a manifest")
        content, table = _parsed(_read_array(archive, members[0], manifest=True).item())
        arrays = {member.filename.removesuffix(".npy"): _read_array(archive, member) for member in members[1:]}
    if len(arrays) != len(members) - 1 or any(map(_problem, arrays)):
        raise CheckpointError("the name of an array is used twice, or not allowed")
    if table != _table(arrays):
        raise CheckpointError("its arrays are not those that its manifest lists, or long doubles of another machine")
    return content, {name: array.astype(array.dtype.newbyteorder("="), copy=False) for name, array in arrays.items()}


def _read_array(archive: Any, member: Any, *, manifest: bool = False) -> Array:
    """The array of a member, allocated once it is known that the file holds it."""
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(stream, max_header_size=1000)
        possible = dtype.kind == "U" if manifest else dtype.str in {*_CODES, _LONG_DOUBLE}
        if version != (1, 0) or fortran_order or not possible:
            raise CheckpointError(f"{member.filename}: a {dtype} array is not possible here")
        if stream.tell() + math.prod(shape) * dtype.itemsize != member.file_size:
            raise CheckpointError(f"{member.filename}: its size is not that of a {dtype} array of shape {shape}")
        stream.seek(0)
        array: Array = np.lib.format.read_array(stream, allow_pickle=False)
    if dtype == np.bool_ and array.view(np.uint8).max(initial=0) > 1:
        raise CheckpointError(f"{member.filename}: not all of its bytes are True or False")
    return array


def _parsed(text: str) -> tuple[Any, Any]:
    """The content and the table of arrays."""
    import json

    manifest = json.loads(text)
    if not isinstance(manifest, dict) or manifest.get("format") != "nnlite":
        raise CheckpointError("its manifest is not one of nnlite")
    version = manifest.get("version")
    if type(version) is int and version > VERSION:
        raise CheckpointError(
            f"a newer nnlite wrote it, in format {version}; this one reads formats up to {VERSION}: install a newer one"
        )
    if type(version) is not int or version < 1 or set(manifest) != {"format", "version", "arrays", "content"}:
        raise CheckpointError("its manifest is not one of nnlite")
    return manifest["content"], manifest["arrays"]
