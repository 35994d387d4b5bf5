"""One file that holds arrays and plain data: an ``.npz`` that NumPy can open, safe to read, whoever wrote it.

The file is an uncompressed zip of ``.npy`` members. The first, ``manifest.npy``, is a JSON text that lists the others
by name, dtype and shape; the zip's comment is the SHA-256 of all the bytes before it. So every byte of the file but
those of the arrays follows from the manifest, and reading is: check the digest, read the manifest, work out what the
file must be, and compare. No header is believed, and nothing is allocated that the file does not hold.

This module knows nothing of layers.
"""

import errno
import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO

import numpy as np

from nnlite.basics.arrays import Array, as_array
from nnlite.errors import CheckpointError
from nnlite.saving import layout
from nnlite.saving.layout import Entry

VERSION = 1  # of the format

_BLOCK = 1 << 20  # read and hashed at once


# -------------------------------------------------------------------------------------------------- writing


def write_archive(path: Any, manifest: Any, arrays: Mapping[str, Any]) -> None:
    """Write ``manifest`` and ``arrays`` to ``path``; whatever happens, the old file is there whole, or the new one.

    The same content always gives the same bytes.

    Args:
        path: of the file, which is replaced if it exists. A half-written file is called ``.<name>.tmp``.
        manifest: plain data, as JSON knows it.
        arrays: real numbers or booleans, by name.

    Raises:
        FileNotFoundError, IsADirectoryError: the folder does not exist, or the path is one.
        TypeError: an array that is not one of real numbers, or a manifest that is not plain.
        ValueError: a name that is not fit for a file in a zip.
        OSError: the disk is full, or writing failed in another way.

    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "some.npz")
    ...     write_archive(path, {"answer": 42}, {"a": np.arange(3)})
    ...     with np.load(path) as file:
    ...         file["a"], str(file["manifest"])
    (array([0, 1, 2]), '{"format":"nnlite","version":1,"arrays":[["a","<i8",[3]]],"content":{"answer":42}}')
    """
    from hashlib import sha256

    path = check_path(path)
    pieces = _pieces(manifest, {name: _plain(array, name) for name, array in arrays.items()})
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.tmp")
    with suppress(FileNotFoundError):
        os.unlink(temporary)  # of one that was killed
    digest = sha256()
    try:
        with open(temporary, "xb") as file:
            for piece in pieces:
                digest.update(piece)
                file.write(piece)
            file.write(digest.hexdigest().encode())
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    _sync_folder(folder)


def check_path(path: Any) -> str:
    """``path`` as a string, if a file can be written there.

    Raises:
        FileNotFoundError: its folder does not exist.
        IsADirectoryError: it is a folder.
        ValueError: it is a device or the like.

    >>> check_path("some.npz")
    'some.npz'
    """
    name = os.fsdecode(path)
    folder = os.path.dirname(name)
    if not os.path.isdir(folder or os.curdir):
        raise FileNotFoundError(errno.ENOENT, "the folder does not exist; make it first", folder)
    if os.path.isdir(name) or not os.path.basename(name):
        raise IsADirectoryError(errno.EISDIR, "expected the path of a file, got a folder", name)
    if os.path.exists(name) and not os.path.isfile(name):
        raise ValueError(f"{name}: expected the path of a file, got a device or the like")
    return name


def _sync_folder(folder: str) -> None:
    """Have the file's new name written to the disk, too, where a folder can be opened."""
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(folder or os.curdir, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _plain(array: Any, name: Any) -> Array:
    """``array`` as one that can be written."""
    values = as_array(array, f"array {name!r}")
    reason = "expected a string" if not isinstance(name, str) else layout.unfit(name)
    if reason:
        raise ValueError(f"array {name!r}: its name cannot be that of a file in a zip: {reason}")
    return values


def _pieces(manifest: Any, arrays: dict[str, Array]) -> Iterator[Any]:
    """The bytes of the file, in order, but for the digest."""
    import json

    table = [[name, layout.dtype_name(array.dtype), list(array.shape)] for name, array in arrays.items()]
    whole = {"format": "nnlite", "version": VERSION, "arrays": table, "content": manifest}
    text = json.dumps(whole, separators=(",", ":"), allow_nan=False)
    return _encoded(text, arrays)


def _encoded(text: str, arrays: dict[str, Array]) -> Iterator[Any]:
    from zlib import crc32

    members = layout.members_of(
        text, [(name, array.dtype.newbyteorder("<"), array.shape) for name, array in arrays.items()]
    )
    sums = []
    for member, array in zip(members, [None, *arrays.values()], strict=True):
        data: Any = text.encode("utf-32-le") if array is None else _data(array)
        sums.append(crc32(data, crc32(member[1])))
        yield layout.local_header(member, sums[-1])
        yield member[1]
        yield data
    yield layout.directory(members, sums)


def _data(array: Array) -> Array:
    """A copy of the array's bytes: nobody can change it between the check sum and the disk."""
    dtype = array.dtype.newbyteorder("<")
    data = np.array(array, dtype, order="C").reshape(-1).view(np.uint8)
    if dtype.itemsize == 16 and layout.mantissa() == 63:  # ten bytes, and six that may hold anything
        data.reshape(-1, 16)[:, 10:] = 0
    return data


# -------------------------------------------------------------------------------------------------- reading


def read_archive(path: Any) -> tuple[Any, dict[str, Array]]:
    """The manifest and the arrays of a file that :func:`write_archive` wrote.

    Raises:
        FileNotFoundError, IsADirectoryError: there is no such file, or it is a folder.
        CheckpointError: the file is damaged, not one of ours, or of a newer format; with path and reason.

    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "some.npz")
    ...     write_archive(path, {"answer": 42}, {"a": np.arange(3)})
    ...     read_archive(path)
    ({'answer': 42}, {'a': array([0, 1, 2])})
    """
    path = os.fsdecode(path)
    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, "expected a file, got a folder", path)
    with reading(path):
        if os.path.exists(path) and not os.path.isfile(path):
            raise CheckpointError("it is not a file, but a device or the like")
        with open(path, "rb") as file:
            return _read(file, os.fstat(file.fileno()).st_size)


@contextmanager
def reading(path: Any) -> Iterator[None]:
    """Put the path before the reason in every CheckpointError that is raised in the block.

    >>> with reading("some.npz"):
    ...     raise CheckpointError("it is damaged")
    Traceback (most recent call last):
        ...
    nnlite.errors.CheckpointError: some.npz: it is damaged
    """
    try:
        yield
    except CheckpointError as error:
        raise CheckpointError(f"{os.fsdecode(path)}: {error}") from error.__cause__


def _read(file: BinaryIO, size: int) -> tuple[Any, dict[str, Array]]:
    from zlib import crc32

    _check_digest(file, size)
    text = _read_manifest(file, size)
    table, content = _parsed(text)
    members = layout.members_of(text, table)
    for name, _, length in members:
        if length > size:
            raise CheckpointError(f"array {name!r} would take {length} bytes, but the whole file has {size}")
    expected = (
        sum(layout.size_of(member) for member in members)
        + len(layout.directory(members, [0] * len(members)))
        + layout.DIGEST
    )
    if expected != size:
        raise CheckpointError(f"its manifest describes a file of {expected} bytes, but it has {size}")

    file.seek(0)
    arrays: dict[str, Array] = {}
    sums = []
    for member, entry in zip(members, [None, *table], strict=True):
        name, header, length = member
        found = file.read(layout.size_of(member) - length)
        data: Any = _fill(file, np.empty(length, np.uint8))
        sums.append(crc32(data, crc32(header)))
        if found != layout.local_header(member, sums[-1]) + header:
            raise CheckpointError(f"the header of {name!r} is not what the manifest says")
        if entry is not None:
            arrays[name] = _array(data, *entry)
    if file.read(size - file.tell() - layout.DIGEST) != layout.directory(members, sums):
        raise CheckpointError("its list of members is not what the manifest says")
    return content, arrays


def _check_digest(file: BinaryIO, size: int) -> None:
    from hashlib import sha256

    if file.read(4) != b"PK\3\4" or size < len(layout.MARK) + layout.DIGEST:
        raise CheckpointError("it was not written by nnlite, or its beginning is damaged")
    file.seek(size - layout.DIGEST - len(layout.MARK))
    if file.read(len(layout.MARK)) != layout.MARK:
        raise CheckpointError("it is cut off, or was not written by nnlite: there is no digest at its end")
    digest, rest = sha256(), size - layout.DIGEST
    file.seek(0)
    while rest:
        block = file.read(min(rest, _BLOCK))
        if not block:
            raise CheckpointError("it became shorter while it was read")
        digest.update(block)
        rest -= len(block)
    if file.read(layout.DIGEST) != digest.hexdigest().encode():
        raise CheckpointError("it is damaged: its digest is not that of its bytes")


def _read_manifest(file: BinaryIO, size: int) -> str:
    """The text of the first member, if that is what it should be."""
    before = layout.LOCAL.size + len(layout.MANIFEST) + len(".npy") + layout.LOCAL_EXTRA.size
    file.seek(before - 8)
    (length,) = struct.unpack("<Q", file.read(8).ljust(8, b"\0"))
    text_length = length - layout.MANIFEST_HEADER
    if not 0 < text_length <= size - before - layout.MANIFEST_HEADER or text_length % 4:
        raise CheckpointError("its first member is not a manifest")
    file.seek(before + layout.MANIFEST_HEADER)
    try:
        return file.read(text_length).decode("utf-32-le")
    except UnicodeDecodeError:
        raise CheckpointError("its manifest is not a text") from None


def _parsed(text: str) -> tuple[list[Entry], Any]:
    """(name, dtype, shape) of each array, and the content."""
    import json

    try:
        manifest = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"its manifest is not JSON: {error}") from None
    if not isinstance(manifest, dict) or manifest.get("format") != "nnlite":
        raise CheckpointError("its manifest is not one of nnlite")
    version = manifest.get("version")
    if type(version) is int and version > VERSION:
        raise CheckpointError(
            f"a newer nnlite wrote it, in format {version}; this one reads formats up to {VERSION}: install a newer one"
        )
    if type(version) is not int or version < 1 or set(manifest) != {"format", "version", "arrays", "content"}:
        raise CheckpointError("its manifest is not one of nnlite")
    if not isinstance(manifest["arrays"], list):
        raise CheckpointError("its manifest has no list of arrays")
    table = [_entry(entry) for entry in manifest["arrays"]]
    if len({name for name, *_ in table}) < len(table):
        raise CheckpointError("its manifest lists an array twice")
    return table, manifest["content"]


def _entry(entry: Any) -> Entry:
    match entry:
        case [str(name), str(code), [*shape]] if not layout.unfit(name):
            dtype = layout.dtype_named(code)
            whole = all(type(n) is int and 0 <= n < 1 << 62 for n in shape)
            if dtype is not None and whole and len(shape) <= 32:
                return name, dtype, tuple(shape)
            raise CheckpointError(f"array {name!r}: dtype {code!r} of shape {shape!r} is not possible here")
    raise CheckpointError("its list of arrays holds something that is not an array")


def _array(data: Array, name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    if dtype == np.bool_ and data.max(initial=0) > 1:
        raise CheckpointError(f"array {name!r}: not all of its bytes are True or False")
    try:
        array = data.view(dtype).reshape(shape)
    except ValueError:  # (0, 2^40, 2^40)
        raise CheckpointError(f"array {name!r}: shape {shape} is not possible") from None
    return array.astype(dtype.newbyteorder("="), copy=False)


def _fill(file: BinaryIO, data: Array) -> Array:
    if file.readinto(data) != data.size:  # type: ignore[attr-defined]
        raise CheckpointError("it became shorter while it was read")
    return data
