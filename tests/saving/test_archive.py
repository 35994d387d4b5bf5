"""write_archive and read_archive: nothing lost, and no damage that is not found."""

import math
import os
import re
import stat
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal, assert_equal
from support import archives
from support.archives import reason

import nnlite as nn
from nnlite.saving import layout
from nnlite.saving.archive import check_path, read_archive, write_archive

TESTS = Path(__file__).parents[1]
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
        assert str(file["manifest"]).startswith('{"format":"nnlite","version":1,"arrays":[["a","<f8",[2,3]],["b","|b1"')
        assert_array_equal(file["a"], ARRAYS["a"])
        assert file["n"] == 2


def test_a_file_of_more_than_4_gib_would_be_a_right_zip():
    member = ("a", b"header", 5 << 30)
    header = layout.local_header(member, 0)
    assert struct.unpack("<2Q", header[-16:]) == (len(b"header") + (5 << 30),) * 2
    directory = layout.directory([member, member], [1, 2])
    assert struct.pack("<Q", layout.size_of(member)) in directory  # where the second one begins


@pytest.mark.parametrize(
    "name", ["", "manifest", "a.npy", "../a", "/a", "a/", "a//b", "./a", "a\\b", "C:a", "a\n", "\ud800", "x" * 1001, 3]
)
def test_names_that_no_file_in_a_zip_can_have(name, path):
    with pytest.raises(ValueError, match="its name cannot be that of a file in a zip"):
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


def test_the_data_is_on_the_disk_before_the_name_and_the_name_before_the_return(path, monkeypatch):
    done = []
    fsync, replace = os.fsync, os.replace

    def recorded_fsync(descriptor):
        done.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else os.fstat(descriptor).st_size)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(os, "replace", lambda *names: (done.append(names), replace(*names)))
    write_archive(path, {}, ARRAYS)
    assert done == [path.stat().st_size, (str(path.with_name(".some.npz.tmp")), str(path)), "folder"]


def test_an_interrupt_leaves_the_old_file_and_no_other(path, monkeypatch):
    write_archive(path, {}, ARRAYS)
    before = path.read_bytes()

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_archive(path, {"new": 1}, ARRAYS)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_a_link_that_stands_where_the_temporary_goes_is_not_followed(path):
    other = path.with_name("other")
    other.write_text("mine")
    path.with_name(".some.npz.tmp").symlink_to(other)
    write_archive(path, {}, ARRAYS)
    assert other.read_text() == "mine"
    assert sorted(os.listdir(path.parent)) == ["other", "some.npz"]


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
    with pytest.raises(FileNotFoundError, match=f"the folder does not exist; make it first: '{path.parent}/no'"):
        nn.save({}, path.parent / "no" / "some.npz")
    with pytest.raises(IsADirectoryError):
        nn.save({}, path.parent)
    with pytest.raises(IsADirectoryError):
        check_path(f"{path.parent}/")
    with pytest.raises(FileNotFoundError, match=r"some\.npz"):
        nn.load(path)
    with pytest.raises(IsADirectoryError):
        nn.load(path.parent)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes that have a name")
def test_a_path_that_is_a_device(path):
    os.mkfifo(path)
    with pytest.raises(nn.CheckpointError, match="it is not a file, but a device or the like"):
        nn.load(path)
    with pytest.raises(ValueError, match="expected the path of a file, got a device or the like"):
        nn.save({}, path)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_killed_or_out_of_space_at_any_byte_the_old_file_is_whole():
    script = [sys.executable, "-W", "error", str(TESTS / "support" / "killed.py"), "--step", "211"]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.match(r"small: \d\d sizes; of several writes: \d\d\d sizes", done.stdout)


# -------------------------------------------------------------------------------- what is damaged


def test_a_flip_of_any_bit_is_found(small, path):
    for place in range(len(small)):
        for bit in {place % 8, 7 * place % 8}:
            data = bytearray(small)
            data[place] ^= 1 << bit
            assert "damaged" in (text := reason(path, data)) or "not written by nnlite" in text


def test_a_cut_at_any_length_is_found(small, path):
    for length in range(len(small)):
        assert re.match("it was not written by nnlite, or its beginning|it is cut off", reason(path, small[:length]))
    assert reason(path, small + b"\0").startswith("it is cut off")


def test_a_newer_format_is_an_error_that_says_so(small, folder, path):
    manifest, arrays = archives.manifest_and_arrays(folder / "small.npz")
    manifest |= {"version": 2, "what nobody knows yet": True}
    text = reason(path, archives.with_manifest(manifest, arrays))
    assert text == ("a newer nnlite wrote it, in format 2; this one reads formats up to 1: install a newer one")
