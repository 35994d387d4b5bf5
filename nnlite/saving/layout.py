"""The bytes of an archive, as they follow from its manifest: a zip whose members are stored, one after another."""

import math
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

Entry = tuple[str, np.dtype[Any], tuple[int, ...]]  # name, dtype and shape of an array
Member = tuple[str, bytes, int]  # name, .npy header, bytes of data

_FIXED = "<f2", "<f4", "<f8", "|i1", "<i2", "<i4", "<i8", "|u1", "<u2", "<u4", "<u8", "|b1"
_DTYPES = {name: np.dtype(name) for name in _FIXED}
MARK = b"sha256:"
DIGEST = 64  # hexadecimal digits at the very end

# The records of a zip, with the sizes in their 64-bit form at all times.
LOCAL, LOCAL_EXTRA = struct.Struct("<4s5H3I2H"), struct.Struct("<2H2Q")
_CENTRAL, _CENTRAL_EXTRA = struct.Struct("<4s6H3I5H2I"), struct.Struct("<2H3Q")
_END_64, _LOCATOR, _END = struct.Struct("<4sQ2H2I4Q"), struct.Struct("<4sIQI"), struct.Struct("<4s4H2IH")
_NEEDS, _MADE_BY = 45, 3 << 8 | 45  # zip 4.5, on Unix
_UTF8 = 0x800
_DAY = 1 << 5 | 1  # the first that a zip knows, 1 January 1980
_MODE = 0o644 << 16
_LARGE, _MANY = 0xFFFFFFFF, 0xFFFF  # "see the 64-bit form"

MANIFEST = "manifest"
MANIFEST_HEADER = 128  # bytes before its text, however long that is


def members_of(text: str, table: Sequence[Entry]) -> list[Member]:
    """The manifest's member, and those of the arrays.

    >>> [(name, size) for name, header, size in members_of("{}", [("a", np.dtype("<f8"), (2, 3))])]
    [('manifest', 8), ('a', 48)]
    """
    header = _npy_header(f"<U{len(text)}", ())
    return [
        (MANIFEST, header, 4 * len(text)),
        *((name, _npy_header(dtype.str, shape), math.prod(shape) * dtype.itemsize) for name, dtype, shape in table),
    ]


def _npy_header(descr: str, shape: tuple[int, ...]) -> bytes:
    """What stands before the data in a ``.npy`` file."""
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape!r}, }}"
    length = -(-(len(text) + 11) // 64) * 64 - 10
    return b"\x93NUMPY\1\0" + struct.pack("<H", length) + text.ljust(length - 1).encode() + b"\n"


def size_of(member: Member) -> int:
    """Bytes that it takes in the file.

    >>> size_of(("a", b"header", 48))
    109
    """
    return len(local_header(member, 0)) + len(member[1]) + member[2]


def local_header(member: Member, crc: int) -> bytes:
    """What stands before a member.

    >>> local_header(("a", b"header", 48), crc=0)[30:35]
    b'a.npy'
    """
    name, size = f"{member[0]}.npy".encode(), len(member[1]) + member[2]
    fields = (_NEEDS, _UTF8, 0, 0, _DAY, crc, _LARGE, _LARGE, len(name), LOCAL_EXTRA.size)
    return LOCAL.pack(b"PK\3\4", *fields) + name + LOCAL_EXTRA.pack(1, 16, size, size)


def directory(members: Sequence[Member], sums: Sequence[int]) -> bytes:
    """What stands after the members, but for the digest.

    >>> directory([("a", b"header", 48)], [0])[-7:]
    b'sha256:'
    """
    offset, parts = 0, []
    for member, crc in zip(members, sums, strict=True):
        name, size = f"{member[0]}.npy".encode(), len(member[1]) + member[2]
        fields = (_MADE_BY, _NEEDS, _UTF8, 0, 0, _DAY, crc, _LARGE, _LARGE, len(name), _CENTRAL_EXTRA.size)
        parts += [_CENTRAL.pack(b"PK\1\2", *fields, 0, 0, 0, _MODE, _LARGE), name]
        parts += [_CENTRAL_EXTRA.pack(1, 24, size, size, offset)]
        offset += size_of(member)
    central, count = b"".join(parts), len(members)
    end_64 = _END_64.pack(b"PK\6\6", 44, _MADE_BY, _NEEDS, 0, 0, count, count, len(central), offset)
    locator = _LOCATOR.pack(b"PK\6\7", 0, offset + len(central), 1)
    end = _END.pack(b"PK\5\6", 0, 0, _MANY, _MANY, _LARGE, _LARGE, len(MARK) + DIGEST)
    return central + end_64 + locator + end + MARK


def dtype_name(dtype: np.dtype[Any]) -> str:
    """What the manifest calls a dtype: NumPy's name; of a long double also which of its kinds it is.

    >>> dtype_name(np.dtype(np.float32))
    '<f4'
    """
    name = dtype.newbyteorder("<").str
    return name if name in _DTYPES else f"{name}:{mantissa()}"


def dtype_named(name: str) -> np.dtype[Any] | None:
    """The dtype that :func:`dtype_name` calls ``name``; None if there is no such one here.

    >>> dtype_named("<f4"), dtype_named("|O")
    (dtype('float32'), None)
    """
    extended = np.dtype(np.longdouble).newbyteorder("<")
    return extended if name == dtype_name(extended) else _DTYPES.get(name)


def mantissa() -> int:
    """Bits of a long double's mantissa: 63 on x86, 112 on ARM, though both take 16 bytes.

    >>> mantissa() >= 52
    True
    """
    return int(np.finfo(np.longdouble).nmant)


def unfit(name: str) -> str | None:
    """Why ``name`` cannot be that of an array in a file.

    >>> unfit("../a")
    'it leads out of the folder'
    """
    if name == MANIFEST or name.endswith(".npy"):
        return "the name is taken"
    if not name or not name.isprintable() or "\\" in name or name[1:2] == ":":
        return "it is empty, or has a character that is not allowed there"
    if {"", ".", ".."} & set(name.split("/")):
        return "it leads out of the folder"
    return "it is too long" if len(name.encode()) > 1000 else None
