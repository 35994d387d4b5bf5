"""Safetensors files: what goes in comes out, other programs' files are read, bad ones are refused with one error."""

import contextlib
import json
import os
import sys
import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from support.case import case

import nnlite as nn

safetensors = pytest.importorskip("safetensors.numpy")

KINDS = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "some.safetensors"


def file_of(header, data=b""):
    """A file with this header, an object or a text, and these bytes after it."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(dtype, shape, start, stop):
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


def loaded(path, data):
    path.write_bytes(data)
    return nn.load(path)


def reason(path, data):
    path.write_bytes(data)
    with pytest.raises(nn.CheckpointError) as info:
        nn.load(path)
    assert str(info.value).startswith(f"{path}: ")
    return str(info.value).removeprefix(f"{path}: ")


# ------------------------------------------------------------------------------------------------- there and back


def test_every_dtype_and_shape_comes_back(path):
    state = {kind: np.arange(6).reshape(2, 3).astype(kind) for kind in KINDS}
    state |= {"scalar": np.array(3.5), "empty": np.zeros((0, 2)), "a name. with / signs": np.ones(1)}
    nn.save(state, path)
    back = nn.load(str(path))
    assert back.keys() == state.keys()
    for name, array in state.items():
        with case(name):
            assert (back[name].dtype, back[name].shape) == (array.dtype, array.shape)
            assert_array_equal(back[name], array)
            assert back[name].flags.writeable


def test_the_package_reads_what_is_written_and_the_other_way_round(path):
    state = nn.Sequential(nn.Linear(2, 3, rng=0), nn.BatchNorm1d(3)).state_dict()
    nn.save(state, path)
    theirs = safetensors.load_file(path)
    assert theirs.keys() == state.keys()
    assert all(np.array_equal(theirs[name], state[name]) for name in state)
    safetensors.save_file(state, path)
    ours = nn.load(path)
    assert all(np.array_equal(ours[name], state[name]) for name in state)


def test_views_and_other_byte_orders_are_written_as_their_numbers(path):
    A = np.arange(12.0).reshape(3, 4)
    state = {
        "T": A.T,
        "every other": A[:, ::2],
        "backwards": A[::-1],
        "big-endian": A.astype(">f4"),
        "Fortran": A.copy("F"),
    }
    nn.save(state, path)
    back = nn.load(path)
    assert all(np.array_equal(back[name], state[name]) for name in state)


def test_a_model_is_loaded_from_its_own_state_dict(path):
    model = nn.Sequential(nn.Linear(2, 3, rng=0), nn.BatchNorm1d(3))
    nn.save(model.state_dict(), path)
    other = nn.Sequential(nn.Linear(2, 3, rng=1), nn.BatchNorm1d(3))
    other.load_state_dict(nn.load(path))
    assert_array_equal(other.Phi, model.Phi)


def test_texts_in_the_file_are_kept(path):
    safetensors.save_file({"W": np.ones(2)}, path, {"format": "pt", "épochs": "3"})
    state = nn.load(path)
    assert state.metadata == {"format": "pt", "épochs": "3"}
    nn.save(state, path)
    assert nn.load(path).metadata == {"format": "pt", "épochs": "3"}
    nn.save(dict(state), path)
    assert nn.load(path).metadata == {}


def test_equal_arrays_give_equal_files_in_the_order_of_the_format(path):
    state = {name: np.zeros(3, dtype) for name, dtype in [("b", "f4"), ("c", "f8"), ("a", "f4")]}
    nn.save(state, path)
    first = path.read_bytes()
    nn.save(dict(reversed(state.items())), path)
    assert path.read_bytes() == first
    assert list(nn.load(path)) == ["c", "a", "b"]  # by the size of the numbers, then by name


# ------------------------------------------------------------------------------------------------- dtypes


def test_bfloat16_becomes_float32_exactly(path):
    """Its numbers are the upper halves of those of float32: sign, 8 bits of exponent, 7 of the fraction."""
    codes = np.array([0x3F80, 0xBF80, 0x4049, 0x7F80, 0x0001, 0x0000], "<u2")
    state = loaded(path, file_of({"W": entry("BF16", [2, 3], 0, 12)}, codes.tobytes()))
    assert state["W"].dtype == np.float32
    assert state["W"].tolist() == [[1.0, -1.0, 3.140625], [np.inf, 2.0**-133, 0.0]]


def test_floating_arrays_are_converted_on_request(path, tmp_path):
    state = {"half": np.array([1.5, 65504.0], np.float16), "n": np.array(3), "double": np.array([0.1])}
    for file in path, tmp_path / "some.npz":
        nn.save(state, file)
        with case(file):
            assert {name: array.dtype for name, array in nn.load(file).items()} == {
                k: v.dtype for k, v in state.items()
            }
            back = nn.load(file, dtype=np.float32)
            assert [back[name].dtype for name in state] == [np.float32, state["n"].dtype, np.float32]
            assert back["half"].tolist() == [1.5, 65504.0]
            assert back["double"] == np.float32(0.1)


def test_numbers_that_do_not_fit_the_dtype_are_an_error(path, tmp_path):
    nn.save({"W": np.array([1e300])}, path)
    with pytest.raises(nn.CheckpointError, match=r"some\.safetensors: it has numbers that are too large for float32"):
        nn.load(path, dtype=np.float32)
    with pytest.raises(TypeError, match="expected a floating type"):
        nn.load(path, dtype=np.int64)


def test_a_model_is_converted_on_request(tmp_path):
    nn.save(nn.Sequential(nn.Linear(2, 3)), tmp_path / "model.npz")
    assert nn.load(tmp_path / "model.npz", dtype=np.float64)[0].W.dtype == np.float64


@pytest.mark.parametrize("dtype", ["F8_E4M3", "F8_E5M2", "C64"])
def test_dtypes_that_numpy_or_nnlite_lacks_are_named(dtype, path):
    size = 8 if dtype == "C64" else 1
    assert reason(path, file_of({"W": entry(dtype, [1], 0, size)}, bytes(size))).startswith(
        f"W: NumPy has no dtype for {dtype}"
    )


# ------------------------------------------------------------------------------------------------- what is not written


def test_what_the_format_cannot_hold_is_refused_and_the_old_file_stays(path):
    nn.save({"W": np.ones(2)}, path)
    before = path.read_bytes()
    for state, kind, message in [
        (nn.Linear(2, 3), ValueError, r"holds arrays only, and no architecture; pass model\.state_dict\(\)"),
        (
            {"W": np.ones(2, np.longdouble)},
            TypeError,
            r"'W': safetensors has no (float|longdouble|complex)\w*; convert it",
        ),
        ({"W": np.ones(2, complex)}, TypeError, "expected real numbers"),
        ({"__metadata__": np.ones(2)}, ValueError, "expected a name"),
        ({3: np.ones(2)}, ValueError, "expected a name"),
        ({"\ud800": np.ones(2)}, ValueError, "expected a name"),
    ]:
        with case(message), pytest.raises(kind, match=message):
            nn.save(state, path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_a_missing_package_is_an_error_that_names_the_line(path, monkeypatch):
    path.write_bytes(file_of({}))
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    for call in lambda: nn.save({"W": np.ones(2)}, path), lambda: nn.load(path):
        with pytest.raises(ImportError, match=r'pip install "safetensors>=0\.4\.5"'):
            call()


def test_paths_that_are_no_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        nn.load(tmp_path / "none.safetensors")
    (tmp_path / "folder.safetensors").mkdir()
    with pytest.raises(IsADirectoryError):
        nn.load(tmp_path / "folder.safetensors")
    os.mkfifo(tmp_path / "pipe.safetensors")
    with pytest.raises(nn.CheckpointError, match="expected a regular file"):
        nn.load(tmp_path / "pipe.safetensors")


# ------------------------------------------------------------------------------------------------- bad files


def small(path):
    nn.save(nn.to_torch(nn.Sequential(nn.Linear(1, 2, rng=0), nn.BatchNorm1d(2))), path)
    return path.read_bytes()


def test_a_file_that_is_cut_anywhere_or_continued_is_refused(path):
    data = small(path)
    for size in reversed(range(len(data))):
        os.truncate(path, size)
        with case(size), pytest.raises(nn.CheckpointError):
            nn.load(path)
    assert "truncated" in reason(path, b"")
    for more in b"\0", data:
        reason(path, data + more)


def test_a_file_with_another_byte_anywhere_is_refused_or_has_all_of_its_arrays(path):
    """There is no digest: another number is a number, another name a name. But nothing is read from elsewhere."""
    data = small(path)
    count, length = len(nn.load(path)), 8 + int.from_bytes(data[:8], "little")
    with open(path, "r+b", buffering=0) as file:
        for place in range(len(data)):
            for flip in (0x01, 0x02, 0x10, 0x80, 0xFF) if place < length else (0xFF,):
                os.pwrite(file.fileno(), bytes([data[place] ^ flip]), place)
                with case((place, flip)):
                    try:
                        state = nn.load(path)
                    except nn.CheckpointError:
                        assert place < length
                    else:
                        assert sum(array.nbytes for array in state.values()) <= 2 * (len(data) - length)
                        assert len(state) == count
            os.pwrite(file.fileno(), data[place : place + 1], place)
    assert path.read_bytes() == data


W = entry("F32", [2], 0, 8)

BAD = {
    "a header longer than the file": ((2**63 - 1).to_bytes(8, "little") + b"{}", "truncated, or no safetensors file"),
    "a header of no length": (file_of(b""), "no table"),
    "no JSON": (file_of(b"{"), "no table"),
    "no UTF-8": (file_of(b'{"\xff": 1}'), "no table"),
    "a list": (file_of([]), "no table"),
    "a number": (file_of(b"3"), "no table"),
    "deep lists": (file_of(b"[" * 100_000), "no table"),
    "a number of many digits": (file_of(b'{"W": ' + b"9" * 5000 + b"}"), "no table"),
    "an array without a place": (file_of({"W": {"dtype": "F32", "shape": [2]}}, bytes(8)), "no table"),
    "a shape that does not fit": (file_of({"W": entry("F32", [3], 0, 8)}, bytes(8)), "damaged"),
    "a negative size": (file_of({"W": entry("F32", [-2], 0, 8)}, bytes(8)), "damaged"),
    "a size that overflows": (file_of({"W": entry("F32", [2**62, 2**62], 0, 8)}, bytes(8)), "damaged"),
    "a place outside the file": (file_of({"W": entry("F32", [4], 0, 16)}, bytes(8)), "damaged"),
    "a negative place": (file_of({"W": entry("F32", [2], -8, 0)}, bytes(8)), "damaged"),
    "an end before its start": (file_of({"W": entry("F32", [2], 8, 0)}, bytes(8)), "damaged"),
    "places that overlap": (file_of({"W": W, "b": entry("F32", [2], 4, 12)}, bytes(12)), "damaged"),
    "a place twice": (file_of({"W": W, "b": W}, bytes(8)), "damaged"),
    "a gap": (file_of({"W": W, "b": entry("F32", [2], 12, 20)}, bytes(20)), "damaged"),
    "bytes that are no array's": (file_of({"W": W}, bytes(9)), "damaged"),
    "a name twice": (file_of(f'{{"W": {json.dumps(W)}, "W": {json.dumps(W)}}}'.encode(), bytes(8)), "'W' twice"),
    "a key of an array twice": (
        file_of(b'{"W": {"dtype": "F32", "dtype": "I32", "shape": [2], "data_offsets": [0, 8]}}', bytes(8)),
        "'dtype' twice",
    ),
    "an unknown dtype": (file_of({"W": entry("<f4", [2], 0, 8)}, bytes(8)), "damaged"),
    "True as 2": (file_of({"W": entry("BOOL", [2], 0, 2)}, b"\1\2"), "not all of its bytes are True or False"),
    "texts that are none": (file_of({"__metadata__": {"epoch": 3}, "W": W}, bytes(8)), "damaged"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_with_its_reason(name, path):
    data, expected = BAD[name]
    assert expected in reason(path, data)


def test_a_file_of_another_format_is_refused(path, tmp_path):
    nn.save({"W": np.ones(2)}, tmp_path / "some.npz")
    data = (tmp_path / "some.npz").read_bytes()
    assert reason(path, data).startswith("it is a zip, such as nnlite's and NumPy's .npz, and no safetensors file")
    nn.save({"W": np.ones(2)}, path)
    (tmp_path / "other.npz").write_bytes(path.read_bytes())
    with pytest.raises(nn.CheckpointError, match="was not written by nnlite"):
        nn.load(tmp_path / "other.npz")


def test_lies_about_sizes_allocate_nothing(path):
    for data in (
        file_of({"W": entry("F32", [2**40], 0, 2**42)}, bytes(8)),
        (2**40).to_bytes(8, "little") + b"{}",
        file_of({f"W{n}": entry("F32", [2**30, 0], 0, 0) for n in range(50)}),
    ):
        path.write_bytes(data)
        tracemalloc.start()
        with contextlib.suppress(nn.CheckpointError):
            nn.load(path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 500_000
