"""write_archive and read_archive: nothing lost, and no damage that is not found."""

import math
import os
import re
import stat
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal, assert_equal
from support import archives
from support.archives import reason
from support.sweeps import every

import nnlite as nn
from nnlite.saving.archive import read_archive, write_archive

ARRAYS = {"a": np.arange(6.0).reshape(2, 3), "b": np.array([True, False])}


# -------------------------------------------------------------------------------- what is written


def test_what_is_written_is_read(path):
    content = {"text": "é", "numbers": [1, 0.1, None, True]}
    write_archive(path, content, ARRAYS)
    found, arrays = read_archive(path)
    assert found == content
    assert list(arrays) == list(ARRAYS)
    assert_equal(arrays, ARRAYS)


def test_the_same_content_gives_the_same_bytes(path):
    padded = np.full(3, 1 / np.longdouble(3))
    padded.view(np.uint8).reshape(3, -1)[:, 10:] = 7
    contents = []
    for array in padded, np.full(3, 1 / np.longdouble(3))[::-1].copy()[::-1]:
        write_archive(path, {}, {"a": array})
        contents.append(path.read_bytes())
    assert contents[0] == contents[1]
    with zipfile.ZipFile(path) as file:
        data = np.frombuffer(file.read("a.npy")[-padded.nbytes :], np.uint8).reshape(3, -1)
    assert np.finfo(np.longdouble).nmant != 63 or not data[:, 10:].any()  # on x86, six bytes of 16 mean nothing


def test_other_programs_open_the_file(path):
    write_archive(path, {}, {**ARRAYS, "é/x": np.zeros(0), "n": np.float16(2)})
    with zipfile.ZipFile(path) as file:
        assert file.testzip() is None
        assert file.namelist() == ["manifest.npy", "a.npy", "b.npy", "é/x.npy", "n.npy"]
        assert {info.compress_type for info in file.infolist()} == {zipfile.ZIP_STORED}
        assert {info.date_time for info in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {stat.filemode(info.external_attr >> 16) for info in file.infolist()} == {"?rw-r--r--"}
        assert re.fullmatch(rb"sha256:[0-9a-f]{64}", file.comment)
        for info in file.infolist():
            (crc,) = struct.unpack_from("<I", path.read_bytes(), info.header_offset + 14)
            assert crc == info.CRC
    with np.load(path, allow_pickle=False) as file:
        assert str(file["manifest"]).startswith('{"format":"nnlite","version":2,"arrays":[["a","<f8",[2,3]],["b","|b1"')
        assert_array_equal(file["a"], ARRAYS["a"])
        assert file["n"] == 2


@pytest.mark.parametrize(
    "name", ["", "manifest", "a.npy", "../a", "/a", "a/", "a//b", "./a", "a\\b", "C:a", "a\n", "\ud800", "x" * 1001, 3]
)
def test_names_that_no_file_in_a_zip_can_have(name, path):
    with pytest.raises(ValueError, match="the name cannot be that of a file in a zip"):
        write_archive(path, {}, {name: np.zeros(1)})
    assert os.listdir(path.parent) == []


def test_what_cannot_be_written_leaves_the_old_file(path):
    write_archive(path, {}, ARRAYS)
    before = path.read_bytes()
    for content, arrays in ((object(), {}), ({}, {"a": [1j]}), (math.nan, {})):
        with pytest.raises((TypeError, ValueError)):
            write_archive(path, content, arrays)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_paths_of_every_kind(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    for given_path in "some.npz", b"some.npz", path, Path("some.npz"), "no suffix":
        write_archive(given_path, {}, {})
        assert read_archive(given_path) == ({}, {})
    for wrong in None, 3:
        with pytest.raises(TypeError):
            write_archive(wrong, {}, {})
        with pytest.raises(TypeError):
            read_archive(wrong)


def test_paths_where_nothing_can_be(path):
    with pytest.raises(FileNotFoundError, match=f"the folder does not exist; create it first: '{path.parent}/no'"):
        nn.save({}, path.parent / "no" / "some.npz")
    with pytest.raises(IsADirectoryError):
        nn.save({}, path.parent)
    with pytest.raises(IsADirectoryError):
        nn.save({}, f"{path.parent}/")
    with pytest.raises(FileNotFoundError, match=r"some\.npz"):
        nn.load(path)
    with pytest.raises(IsADirectoryError):
        nn.load(path.parent)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes that have a name")
def test_a_path_that_is_a_device(path):
    os.mkfifo(path)
    with pytest.raises(nn.CheckpointError, match="expected a regular file, got a device, pipe or socket"):
        nn.load(path)
    with pytest.raises(ValueError, match="expected the path of a regular file, got a device, pipe or socket"):
        nn.save({}, path)


# -------------------------------------------------------------------------------- what is damaged


def test_a_flip_of_any_bit_is_found(small, path):
    for place in every(5, range(len(small))):
        data = bytearray(small)
        data[place] ^= 1 << place % 8
        assert "damaged" in (text := reason(path, data)) or "not written by nnlite" in text


def test_a_cut_at_any_length_is_found(small, path):
    for length in every(5, range(len(small))):
        assert re.match("it was not written by nnlite, or its beginning|it is truncated", reason(path, small[:length]))
    assert reason(path, small + b"\0").startswith("it is truncated")


def test_a_newer_format_is_an_error_that_says_so(small, folder, path):
    manifest, arrays = archives.manifest_and_arrays(folder / "small.npz")
    manifest |= {"version": 3, "what nobody knows yet": True}
    text = reason(path, archives.with_manifest(manifest, arrays))
    assert text == ("a newer nnlite wrote it, in format 3; this one reads formats up to 2: install a newer one")
