"""load of what a bad program, or a bad man, made by hand: one error, little memory, and no code that runs."""

import re
import subprocess
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import archives
from support.archives import loads, reason
from support.contract import with_ties

import nnlite as nn
from nnlite.saving.archive import write_archive

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
    assert {name.split(".")[0] for name in imported.split()} <= {"hashlib", "json", "zlib", "encodings", "nnlite"}
    harmless = {"open", "os.listdir", "os.remove", "os.rename", "builtins.id"}
    harmless.add("object.__getattr__")  # inspect.signature looks at a function's code
    assert set(events.split()) <= harmless
