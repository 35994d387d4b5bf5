"""Files that are not what they should be, but have the right digest: what a bad program, or a bad man, would write."""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import nnlite as nn


def sealed(data: bytes) -> bytes:
    """The same bytes with the digest that they should have at the end."""
    return data[:-64] + hashlib.sha256(data[:-64]).hexdigest().encode()


def npy(array: Any, shape: Any = None) -> bytes:
    """The array as a ``.npy`` file, whose header may claim another shape."""
    array, file = np.asarray(array), io.BytesIO()
    header = np.lib.format.header_data_from_array_1_0(array) | ({} if shape is None else {"shape": shape})
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + array.tobytes()


def with_manifest(manifest: Any, arrays: dict[str, np.ndarray], shapes: dict[str, Any] | None = None) -> bytes:
    """A file of these arrays, or arrays that claim these shapes, whatever the manifest, an object or a text, says."""
    text = manifest if isinstance(manifest, str) else json.dumps(manifest)
    members = {"manifest": npy(text)} | {name: npy(array, (shapes or {}).get(name)) for name, array in arrays.items()}
    return zipped([(f"{name}.npy", data) for name, data in members.items()])


def manifest_and_arrays(path: Any) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What stands in a file, read by NumPy."""
    with np.load(path) as file:
        arrays = dict(file)
    return json.loads(str(arrays.pop("manifest"))), arrays


def zipped(
    members: list[tuple[str, bytes]],
    compression: int = zipfile.ZIP_STORED,
    change: Callable[[zipfile.ZipFile], Any] = lambda whole: None,
) -> bytes:
    """A zip as Python writes it, with the right digest as its comment."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as whole:
        for name, data in members:
            whole.writestr(name, data)
        change(whole)
        whole.comment = b"sha256:" + bytes(64)
    return sealed(file.getvalue())


def members(data: bytes) -> list[tuple[str, bytes]]:
    """(name, content) of each member of a zip."""
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        return [(name, file.read(name)) for name in file.namelist()]


def places(plain: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each value in plain data."""
    yield place
    if isinstance(plain, dict | list):
        for key in plain if isinstance(plain, dict) else range(len(plain)):
            yield from places(plain[key], (*place, key))


def changed(plain: Any, place: tuple[Any, ...], value: Any, *, remove: bool = False) -> Any:
    """A copy with another value in one place, or with nothing there."""
    if not place:
        return value
    copy = json.loads(json.dumps(plain))
    holder = copy
    for key in place[:-1]:
        holder = holder[key]
    if remove:
        del holder[place[-1]]
    else:
        holder[place[-1]] = value
    return copy


WRONG: list[Any] = [
    *(None, True, False, 0, -1, 1, 2, 10**6, 10**12, 2**63, 10**30, 0.5, -1e308, float("nan"), float("inf")),
    *("", "W", "0.W", "Linear", "Sequential", "Tied", "os.system", "__import__", "../../etc/passwd", "/etc/passwd"),
    *("<f8", "|O", "<U4", "<M8[s]", "<f4,<f4", "sum", "none", "\ud800", "\0", "x" * 5000),
    *([], {}, [[]], [0], [10**9], [2**40, 2**40], ["<f8"], [[["a"]]], [0] * 3000),
    *({"layer": 0}, {"layer": 1}, {"layer": -1}, {"layer": 10**9}, {"layer": True}, {"part": [0, ""]}, {"part": 0}),
    *({"array": "0.W"}, {"array": "x"}, {"array": 0}, {"dtype": "<f8"}, {"dtype": "|O"}, {"dtype": None}),
    *({"tuple": [1]}, {"tuple": 1}, {"dict": [[[], 1]]}, {"dict": [1]}, {"dict": {}}, {"int": "0xfz"}, {"int": 1}),
    *({"generator": 0}, {"generator": 7}, {"generator": {}}, {"generator": {"dict": []}}, {"scalar": "0.W"}),
    *({"int": "0x" + "f" * 5000}, {"float": "00"}, {"float": "7ff0000000000000"}, {"exec": "1"}, {"a": 1, "b": 2}),
]


def of_every_wrong_value(manifest: Any) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """The manifest with each wrong value in each place, and without what stands there; with the place."""
    for place in places(manifest):
        for value in WRONG:
            yield place, changed(manifest, place, value)
        if place:
            yield place, changed(manifest, place, None, remove=True)


def written(path: Any, data: bytes) -> None:
    """A new file in place of the old one: where one is written over, ext4 waits for the disk."""
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def reason(path: Any, data: bytes) -> str:
    """Why the file with these bytes cannot be loaded."""
    written(path, data)
    with pytest.raises(nn.CheckpointError) as info:
        nn.load(path)
    message = str(info.value)
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


def loads(path: Any, data: bytes) -> bool:
    """Whether the file with these bytes can be loaded and shown; if it cannot be loaded, the error is the right one."""
    written(path, data)
    try:
        repr(nn.load(path))
    except nn.CheckpointError:
        return False
    return True
