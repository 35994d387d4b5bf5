"""write_archive and read_archive, pack and unpack: nothing lost, and nothing done that a bad file asks for."""

import math
import os
import re
import stat
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import archives
import numpy as np
import pytest
from contract import with_ties
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal, assert_equal

import nnlite as nn
from nnlite.saving import layout
from nnlite.saving.archive import check_path, read_archive, write_archive
from nnlite.saving.plain import pack, unpack

TESTS = Path(__file__).parent
ARRAYS = {"a": np.arange(6.0).reshape(2, 3), "b": np.array([True, False])}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "some.npz"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("archives")


@pytest.fixture(scope="module")
def small(folder):
    """The bytes of a small model."""
    path = folder / "small.npz"
    nn.save(nn.Sequential(nn.Linear(2, 1, rng=0), nn.Tanh()), path)
    return path.read_bytes()


def reason(path, data):
    """Why the file with these bytes cannot be loaded."""
    path.write_bytes(data)
    with pytest.raises(nn.CheckpointError) as info:
        nn.load(path)
    message = str(info.value)
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


def loads(path, data):
    """Whether the file with these bytes can be loaded; if not, the error is the right one."""
    path.write_bytes(data)
    try:
        nn.load(path)
    except nn.CheckpointError:
        return False
    return True


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
    script = [sys.executable, "-W", "error", str(TESTS / "killed.py"), "--step", "211"]
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


# -------------------------------------------------------------------------------- what is made by hand, digest and all


def test_a_file_made_by_hand_can_be_right(small, folder, path):
    manifest, arrays = archives.manifest_and_arrays(folder / "small.npz")
    assert archives.sealed(small) == small
    path.write_bytes(archives.with_manifest(manifest, arrays))
    assert repr(nn.load(path)) == repr(nn.load(folder / "small.npz"))


def test_other_zips_with_the_right_digest(small, path):
    members = archives.members(small)
    assert "not a manifest" in reason(path, archives.zipped(members))
    assert "not a manifest" in reason(path, archives.zipped(members, zipfile.ZIP_DEFLATED))
    for list_of_members in ([], members[1:], members[::-1], [*members, ("../evil.npy", b"x")]):
        reason(path, archives.zipped(list_of_members))


def test_flags_and_methods_and_names_in_the_zip(small, path):
    local, central = b"PK\3\4", b"PK\1\2"
    for signature, flags in (local, 6), (central, 8):
        start = small.index(signature)
        while start >= 0:
            for offset in range(flags, flags + 20):  # flags, method, date, sum, sizes
                data = bytearray(small)
                data[start + offset] ^= 1
                reason(path, archives.sealed(data))
            start = small.find(signature, start + 1)
    for old, new in (b"0.W.npy", b"../.npy"), (b"0.W.npy", b"0.b.npy"), (b"\x93NUMPY\1", b"\x93NUMPY\2"):
        assert old in small
        reason(path, archives.sealed(small.replace(old, new)))
        reason(path, archives.sealed(small.replace(old, new, 1)))


def test_any_byte_but_those_of_arrays_can_be_one_thing_only(small, path):
    for place in range(0, len(small) - 64, 3):
        data = bytearray(small)
        data[place] ^= 1 << place % 8
        reason(path, archives.sealed(data))


@pytest.mark.parametrize(
    "entry",
    [
        ["0.W", "<f4", [2**40]],
        ["0.W", "<f8", [2**20, 2**20]],
        ["0.W", "<f4", [2**61, 2**61, 2**61, 0]],
        ["0.W", "<f4", "21"],
        ["0.W", "|O", [2]],
        ["0.W", "O", [1]],
        ["0.W", "<U2", [1]],
        ["0.W", "<c8", [1]],
        ["0.W", "<f4,<f4", [1]],
        ["0.W", ">f4", [2, 1]],
        ["0.W", "float32", [2, 1]],
        ["0.W", ["<f4"], [2, 1]],
        ["0.W", "<f4", [1, 2]],
        ["0.W", "<i4", [2, 1]],
        ["0.b", "<f4", [2, 1]],
        ["../W", "<f4", [2, 1]],
        ["manifest", "<f4", [2, 1]],
        ["0.W", "<f4"],
        ["0.W", "<f4", [2, 1], 0],
        [["0.W"], "<f4", [2, 1]],
        {"0.W": 1},
        "0.W",
    ],
)
def test_lies_about_an_array(entry, small, folder, path):
    manifest, arrays = archives.manifest_and_arrays(folder / "small.npz")
    path.write_bytes(archives.with_manifest(archives.changed(manifest, ("arrays", 0), entry), arrays))
    tracemalloc.start()
    with pytest.raises(nn.CheckpointError):
        nn.load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200_000


@pytest.mark.parametrize("shape", [[2**62], [10**400], [-1], [2.0, 1], [True, 2], [1] * 33, [[2], 1], [None]])
def test_shapes_that_no_array_has(shape, small, folder, path):
    manifest, arrays = archives.manifest_and_arrays(folder / "small.npz")
    data = archives.with_manifest(archives.changed(manifest, ("arrays", 0, 2), shape), arrays)
    assert reason(path, data).endswith("is not possible here")


def test_long_doubles_of_another_machine(path):
    here = np.finfo(np.longdouble).nmant
    write_archive(path, {}, {"a": np.zeros(1, np.longdouble)})
    manifest, arrays = archives.manifest_and_arrays(path)
    assert manifest["arrays"] == [["a", f"{np.zeros(1, np.longdouble).dtype.str}:{here}", [1]]]
    manifest["arrays"][0][1] = "<f16:1000"
    assert reason(path, archives.with_manifest(manifest, arrays)).endswith("is not possible here")


def state_dict_of(table):
    return {"format": "nnlite", "version": 1, "arrays": table, "content": {"kind": "state_dict"}}


def test_arrays_that_are_right_in_the_zip_but_cannot_be(path):
    for shape in (0, 2**40, 2**40), (0, 2**62 - 1), (2**62 - 1, 2**62 - 1, 0):
        data = archives.with_manifest(state_dict_of([["a", "<f8", shape]]), {"a": np.zeros(0)}, {"a": shape})
        assert re.fullmatch(r"array 'a': shape .* is not possible", reason(path, data))
    neither = np.array([0, 1, 2], np.uint8).view(bool)
    data = archives.with_manifest(state_dict_of([["a", "|b1", [3]]]), {"a": neither})
    assert reason(path, data) == "array 'a': not all of its bytes are True or False"
    many = {f"a{number}": np.zeros(0) for number in range(3)}
    table = [[name, "<f8", [0]] for name in many]
    assert reason(path, archives.with_manifest(state_dict_of(table[:2]), many)).startswith(
        "its manifest describes a file"
    )
    assert "lists an array twice" in reason(path, archives.with_manifest(state_dict_of([table[0]] * 3), many))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        '"nnlite"',
        "{",
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"format": "nnlite", "version": 1, "arrays": [], "content": ' + "[" * 900 + "]" * 900 + "}",
        '{"format": "nnlite", "version": ' + "9" * 5000 + ', "arrays": [], "content": {}}',
        '{"format": "nnlite", "version": 1e400, "arrays": [], "content": {}}',
        '{"format": "nnlite", "version": 1, "arrays": [], "content": {}, "more": 1}',
        '{"format": "nnlite", "version": 1, "arrays": [], "content": {"kind": "state_dict", "more": 1}}',
        '{"format": "nnlite", "version": 1, "arrays": [], "content": {"kind": "no"}}',
        '{"format": "torch", "version": 1, "arrays": [], "content": {}}',
        '{"version": 1, "arrays": [], "content": {}}',
        "\ud800",
        "\0",
    ],
)
def test_manifests_that_are_none(text, path):
    reason(path, archives.with_manifest(text, {}))


def test_a_manifest_that_is_no_text(small, path):
    start = small.index("{".encode("utf-32-le"))
    assert (
        reason(path, archives.sealed(small[:start] + b"\xff" * 4 + small[start + 4 :])) == "its manifest is not a text"
    )


# -------------------------------------------------------------------------------- models made by hand


def test_wrong_values_everywhere_in_a_manifest(small, folder, path):
    manifest, arrays = archives.manifest_and_arrays(folder / "small.npz")
    loaded = 0
    for wrong in archives.of_every_wrong_value(manifest):
        loaded += loads(path, archives.with_manifest(wrong, arrays))
    assert loaded < 25  # where it was the right value after all


@st.composite
def broken(draw, manifest):
    """The manifest with a few values changed, moved or removed."""
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from(list(archives.places(manifest))))
        other = draw(st.sampled_from(list(archives.places(manifest))))
        value = manifest
        for key in other:
            value = value[key]
        value = draw(st.one_of(st.just(value), st.sampled_from(archives.WRONG)))
        manifest = archives.changed(manifest, place, value, remove=bool(place) and draw(st.booleans()))
    return manifest


def everything():
    """A model with something of each kind."""
    x, phi = nn.Input("x", shape=(None, 3)), nn.Parameter(np.ones(3), name="phi")
    first = nn.Linear(3, 3, rng=0)
    h = nn.Tanh()(first(x * phi) + nn.tied(first)(x))
    branches = nn.Parallel(with_ties().astype(np.float32), nn.Identity(), merge=nn.Add())
    loss = nn.BCEWithLogitsLoss(weight=[1.0, 2.0, 3.0])
    return nn.Graph({"x": x}, {"loss": loss(branches(h), [[0, 1, 1]])})


@pytest.fixture(scope="module")
def whole(folder):
    nn.save(everything(), folder / "everything.npz")
    return archives.manifest_and_arrays(folder / "everything.npz")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_manifests_changed_at_random_give_no_other_error(data, whole, folder):
    manifest, arrays = whole
    path = folder / "changed.npz"
    changed = archives.with_manifest(data.draw(broken(manifest)), arrays)
    tracemalloc.start()
    loads(path, changed)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= 4 * path.stat().st_size + 500_000


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_bytes_changed_at_random_give_no_other_error(data, small, folder):
    path = folder / "bytes.npz"
    place = st.integers(0, len(small) - 65)
    start, stop, goal = *sorted((data.draw(place), data.draw(place))), data.draw(place)
    new = data.draw(st.one_of(st.binary(max_size=20), st.just(small[start:stop])))
    changed = archives.sealed(small[:goal] + new + small[goal + data.draw(st.sampled_from([0, len(new), stop])) :])
    assert loads(path, changed) == (changed == small)


def test_a_lie_about_a_width_allocates_nothing(folder, path):
    """A file of a large array, in which each small thing claims to be large as well."""
    W = np.zeros((1, 100_000), np.float32)
    state = {"0.W": W}
    table = [["0.W", "<f4", [1, 100_000]]]
    linear = {"class": "Linear", "arguments": {"W": {"array": "0.W"}, "bias": False}}

    def file_of(layers, parameters):
        model = {"layers": layers, "parameters": parameters, "dtype": "<f4", "training": True}
        manifest = {"format": "nnlite", "version": 1, "arrays": table, "content": {"kind": "model", "model": model}}
        path.write_bytes(archives.with_manifest(manifest, state))
        return path.stat().st_size

    loss = {"class": "BCELoss", "arguments": {"weight": {"array": "0.W"}}}
    ties = [{"class": "Tied", "arguments": {"original": {"layer": 0}}}] * 20
    turned = [{"class": "TiedTranspose", "arguments": {"original": {"layer": 0}}}] * 20
    chain = {"class": "Sequential", "arguments": {"layers": [{"layer": number} for number in range(21)]}}
    for layers, parameters in [
        ([linear] * 20, ["0.W"]),
        ([linear, *[loss] * 20], ["0.W"]),
        ([linear, *ties, chain], ["0.W"]),
        ([linear, *turned, chain], ["0.W"]),
        ([linear] * 3 + [chain], ["0.W"] * 3),
    ]:
        size = file_of(layers, parameters)
        tracemalloc.start()
        with pytest.raises(nn.CheckpointError):
            nn.load(path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak <= 4 * size + 100_000, (layers[-1], peak / size)


# -------------------------------------------------------------------------------- no code runs

WATCHED = """
import sys
import nnlite as nn

class Own(nn.Layer):
    def __init__(self, n):
        self.n = n

nn.register(Own)
path = sys.argv[1]
events = []
model = nn.Sequential(nn.Linear(2, 1), nn.Tanh(), Own(3))
seen = set(sys.modules)
nn.save(model, path)
nn.load(path)
print(*sorted(name for name in set(sys.modules) - seen if not name.startswith("_")))
sys.addaudithook(lambda event, arguments: events.append(event))
exec("watched = True")
assert "exec" in events and "compile" in events
events.clear()
for made in range(2):
    nn.save(nn.load(path), path)
for bad in sys.argv[2:]:
    try:
        nn.load(bad)
    except nn.CheckpointError:
        pass
print(*sorted(set(events)))
"""


def test_nothing_is_unpickled_compiled_or_run(small, folder, tmp_path):
    manifest, arrays = archives.manifest_and_arrays(folder / "small.npz")
    bad = [
        archives.with_manifest(archives.changed(manifest, ("content", "model", "layers", 0, "class"), name), arrays)
        for name in ("os.system", "eval", "nnlite.layers.linear.Linear", "__import__('os')", "Layer")
    ]
    bad.append(archives.zipped([("manifest.npy", np.array(object()).dumps())]))
    for number, data in enumerate(bad):
        (tmp_path / f"bad{number}").write_bytes(data)
    paths = [str(tmp_path / "own.npz"), *(str(tmp_path / f"bad{number}") for number in range(len(bad)))]
    command = [sys.executable, "-W", "error", "-c", WATCHED, *paths]
    imported, events = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert {name.split(".")[0] for name in imported.split()} <= {"hashlib", "json", "zlib", "encodings"}
    harmless = {"open", "os.listdir", "os.remove", "os.rename", "builtins.id"}
    harmless.add("object.__getattr__")  # inspect.signature looks at a function's code
    assert set(events.split()) <= harmless


# -------------------------------------------------------------------------------- plain data

plain_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(),
        st.sampled_from([2**53, -(2**53), 2**200, -(10**4000), -0.0, 5e-324, math.nan]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.one_of(st.text(), st.integers(), st.tuples(st.integers())), inner, max_size=4),
    ),
    max_leaves=10,
)


def the_same(a, b):
    """Equal in value and type, and floats in every bit."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return struct.pack("d", a) == struct.pack("d", b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(the_same(x, y) for x, y in zip(a.values(), b.values(), strict=True))
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(the_same, a, b))
    return a == b


@settings(max_examples=200, deadline=None)
@given(plain_values)
def test_what_is_packed_is_unpacked(value):
    arrays = {}
    packed = pack(value, arrays, "x")
    assert the_same(unpack(archives.json.loads(archives.json.dumps(packed, allow_nan=False)), arrays), value)
    assert arrays == {}


def test_a_number_of_more_digits_than_python_reads():
    assert unpack(pack(-(10**5000), {}, "x"), {}) == -(10**5000)


def test_numbers_that_not_every_reader_of_json_tells_apart():
    assert pack([2**53 - 1, -(2**53)], {}, "x") == [2**53 - 1, {"int": "-0x20000000000000"}]


def test_plain_data_that_nests_too_deeply():
    plain = 1
    for _ in range(300):
        plain = [plain]
    with pytest.raises(nn.CheckpointError, match="nests too deeply"):
        unpack(plain, {})


def test_a_nan_keeps_its_bits():
    odd = struct.unpack("<d", b"\1\2\3\4\5\6\xf8\xff")[0]
    assert struct.pack("<d", unpack(pack(odd, {}, "x"), {})) == b"\1\2\3\4\5\6\xf8\xff"


def test_arrays_are_put_aside_under_names_that_a_file_can_have(path):
    value = {"a/../b": np.arange(3), "a_.._b": (np.ones(2), [np.longdouble(1) / 3]), 1: np.zeros(())}
    arrays = {"x.1": np.ones(1)}
    packed = pack(value, arrays, "x")
    assert list(arrays) == ["x.1", "x.a_.._b", "x.a_.._b.0", "x.a_.._b.1.0", "x.1_"]
    write_archive(path, packed, arrays)
    found = unpack(*read_archive(path))
    assert_equal(found, value)
    assert found["a_.._b"][1][0].dtype == np.longdouble


def test_numpy_scalars_become_python_s():
    values = unpack(pack([np.float64(0.1), np.float32(0.1), np.int8(-3), np.bool_(True), np.str_("é")], {}, "x"), {})
    assert values == [0.1, float(np.float32(0.1)), -3, True, "é"]
    assert [type(value) for value in values] == [float, float, int, bool, str]


def test_what_cannot_be_packed():
    for value in 1j, object(), {1, 2}, b"x", np.array(["a"]), type("Sub", (list,), {})():
        with pytest.raises(TypeError, match=r"x\.a\.0: expected None, numbers, strings, arrays and lists of such, got"):
            pack({"a": [value]}, {}, "x")
    circle = []
    circle.append(circle)
    with pytest.raises(ValueError, match="nest more than 100 deep"):
        pack(circle, {}, "x")


@pytest.mark.parametrize("plain", [wrong for wrong in archives.WRONG if isinstance(wrong, dict)] + [object(), b"", 1j])
def test_what_cannot_be_unpacked(plain):
    if plain in ({"tuple": [1]}, {"int": "0x" + "f" * 5000}, {"float": "7ff0000000000000"}):
        unpack(plain, {})
    else:
        with pytest.raises(nn.CheckpointError, match=r"its manifest holds .*, which means nothing"):
            unpack(plain, {})
