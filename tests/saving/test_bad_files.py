"""load of what a bad program, or a bad man, made by hand: one error, little memory, and no code that runs."""

import json
import struct
import subprocess
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from support import archives, own_layers
from support.archives import loads, reason
from support.contract import with_ties
from support.sweeps import every, examples

import nnlite as nn
from nnlite.saving.archive import write_archive
from nnlite.saving.files import from_content

# -------------------------------------------------------------------------------- what is made by hand, digest and all


def test_a_file_made_by_hand_can_be_right(small, folder, path):
    manifest, arrays = archives.manifest_and_arrays(folder / "small.npz")
    assert archives.sealed(small) == small
    path.write_bytes(archives.with_manifest(manifest, arrays))
    assert repr(nn.load(path)) == repr(nn.load(folder / "small.npz"))


def test_other_zips_with_the_right_digest(small, path):
    members = archives.members(small)
    assert loads(path, archives.zipped(members))
    assert reason(path, archives.zipped(members, zipfile.ZIP_DEFLATED)) == "a member of its zip is compressed"
    reason(path, archives.zipped([]))
    for others in (members[1:], members[::-1]):
        assert reason(path, archives.zipped(others)) == "its first member is not a manifest"
    for more in ("../evil.npy", b"x"), ("../evil.npy", archives.npy(1.0)), ("a.txt", b"text"):
        reason(path, archives.zipped([*members, more]))


def test_a_zip_that_names_one_member_many_times(small, path):
    def repeated(whole):
        whole.filelist += whole.filelist[-1:] * 1000

    data = archives.zipped([*archives.members(small), ("a.npy", archives.npy(np.zeros(10_000)))], change=repeated)
    tracemalloc.start()
    assert reason(path, data) == f"the members of its zip are larger than its {len(data)} bytes"
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * len(data)


def refused_or_the_same(path, data, model):
    if loads(path, data):
        found = nn.load(path)
        assert repr(found) == repr(model)
        assert_array_equal(found.Phi, model.Phi)


def test_any_byte_changed_and_the_digest_put_right(small, folder, path):
    model = nn.load(folder / "small.npz")
    for place in every(5, range(len(small) - 64)):
        data = bytearray(small)
        data[place] ^= 1 << place % 8
        refused_or_the_same(path, archives.sealed(data), model)
    for old, new in (b"0.W.npy", b"../.npy"), (b"0.W.npy", b"0.b.npy"), (b"\x93NUMPY\1", b"\x93NUMPY\2"):
        assert old in small
        reason(path, archives.sealed(small.replace(old, new)))
        reason(path, archives.sealed(small.replace(old, new, 1)))


HEADERS = [
    ("<f4", False, (2**40,)),
    ("<f8", False, (2**20, 2**20)),
    ("<f4", False, (2**61, 2**61, 2**61, 0)),
    ("<f4", False, (-2, -1)),
    ("<f4", False, (1, 2, -1)),
    ("<f4", False, [2, 1]),
    ("<f4", False, 2),
    ("<f4", True, (2, 1)),
    ("<f4", 0, (2, 1)),
    (">f4", False, (2, 1)),
    ("<i4", False, (2, 1)),
    ("<f8", False, (1,)),
    ("<U2", False, (1,)),
    ("<U0", False, (2**40,)),
    ("|V0", False, (2**40,)),
    ("|V8", False, (1,)),
    ("<c8", False, (1,)),
    ("<M8[s]", False, (1,)),
    ("|O", False, (1,)),
    ("<f4,<f4", False, (1,)),
    ([("a", "<f4"), ("b", "<f4")], False, (1,)),
    ("(2,1)<f4", False, ()),
    ("nonsense", False, (2, 1)),
    (["<f4"] * 500, False, (2, 1)),
    (None, False, (2, 1)),
]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of dtypes that NumPy knew once
@pytest.mark.parametrize(("descr", "fortran_order", "shape"), HEADERS, ids=lambda value: repr(value)[:20])
def test_lies_in_the_header_of_an_array(descr, fortran_order, shape, small, path):
    header = f"{{'descr': {descr!r}, 'fortran_order': {fortran_order!r}, 'shape': {shape!r}, }}\n".encode()
    lie = b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + bytes(8)
    members = [(name, lie if name == "0.W.npy" else data) for name, data in archives.members(small)]
    data = archives.zipped(members)
    tracemalloc.start()
    reason(path, data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200_000


@pytest.mark.parametrize(
    "header", [b"", b"{", b"[" * 9000, b"(" * 60_000, b"__import__('os').system('true')", b"{'descr': '<f4'}", b"\xff"]
)
def test_headers_that_are_none(header, small, path):
    lie = b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + bytes(8)
    reason(path, archives.zipped([*archives.members(small), ("a.npy", lie)]))


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


def state_dict_of(table):
    return {"format": "nnlite", "version": 1, "arrays": table, "content": {"kind": "state_dict"}}


def test_long_doubles_of_another_machine(path):
    here = np.finfo(np.longdouble).nmant
    write_archive(path, {}, {"a": np.zeros(1, np.longdouble)})
    manifest, arrays = archives.manifest_and_arrays(path)
    assert manifest["arrays"] == [["a", f"{np.zeros(1, np.longdouble).dtype.str}:{here}", [1]]]
    manifest["arrays"][0][1] = "<f16:1000"
    assert reason(path, archives.with_manifest(manifest, arrays)).endswith("or long doubles of another machine")


def test_arrays_that_are_right_in_the_zip_but_cannot_be(path):
    for shape in (0, 2**40, 2**40), (0, 2**62 - 1), (2**62 - 1, 2**62 - 1, 0):
        reason(path, archives.with_manifest(state_dict_of([["a", "<f8", shape]]), {"a": np.zeros(0)}, {"a": shape}))
    neither = np.array([0, 1, 2], np.uint8).view(bool)
    data = archives.with_manifest(state_dict_of([["a", "|b1", [3]]]), {"a": neither})
    assert reason(path, data) == "a.npy: not all of its bytes are True or False"
    many = {f"a{number}": np.zeros(0) for number in range(3)}
    table = [[name, "<f8", [0]] for name in many]
    for wrong in table[:2], [table[0]] * 3, table[::-1], [*table, table[0]], None, {}:
        assert reason(path, archives.with_manifest(state_dict_of(wrong), many)).startswith("its arrays are not those")


def test_two_arrays_of_one_name(path):
    members = [(f"{name}.npy", archives.npy(value)) for name, value in (("manifest", "{}"), ("a", 1.0), ("b", 2.0))]
    text = json.dumps(state_dict_of([["a", "<f8", []]]))
    data = archives.zipped([("manifest.npy", archives.npy(text)), *members[1:]]).replace(b"b.npy", b"a.npy")
    assert reason(path, archives.sealed(data)) == "the name of an array is used twice, or not allowed"


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
        '{"format": "nnlite", "version": true, "arrays": [], "content": {"kind": "state_dict"}}',
        '{"format": "nnlite", "version": 0, "arrays": [], "content": {"kind": "state_dict"}}',
        '{"format": "torch", "version": 1, "arrays": [], "content": {}}',
        '{"version": 1, "arrays": [], "content": {}}',
        "\ud800",
        "\0",
    ],
)
def test_manifests_that_are_none(text, path):
    reason(path, archives.with_manifest(text, {}))


def test_manifests_that_are_no_text(path):
    for manifest in (
        np.array(1.0),
        np.array(["{}"]),
        np.array(b"{}"),
        np.array([0x110000], "<u4").view("<U1").reshape(()),
    ):
        reason(path, archives.zipped([("manifest.npy", archives.npy(manifest))]))


# -------------------------------------------------------------------------------- models made by hand


def test_wrong_values_everywhere_in_a_manifest(small, folder, path):
    manifest, arrays = archives.manifest_and_arrays(folder / "small.npz")
    loaded = []
    for place, wrong in archives.of_every_wrong_value(manifest):
        if place[:1] != ("content",) or len(place) < 2:
            loaded += [place] * loads(path, archives.with_manifest(wrong, arrays))
            continue
        try:
            repr(from_content(wrong["content"], dict(arrays)))
            loaded.append(place)
        except nn.CheckpointError:
            pass
    assert len(loaded) == 32, loaded  # where it was right after all: version 1, an empty list of another type


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
    own = nn.Sequential(own_layers.OwnBatchNorm(3), own_layers.OwnDropout(rng=np.random.Generator(np.random.Philox(0))))
    h = own(h)
    branches = nn.Parallel(with_ties().astype(np.float32), nn.Identity(), merge=nn.Add())
    loss = nn.BCEWithLogitsLoss(weight=[1.0, 2.0, 3.0])
    return nn.Graph({"x": x}, {"loss": loss(branches(h), [[0, 1, 1]])})


@pytest.fixture(scope="module")
def whole(folder):
    nn.save(everything(), folder / "everything.npz")
    return archives.manifest_and_arrays(folder / "everything.npz")


@examples(40)
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


@examples(60)
@given(data=st.data())
def test_bytes_changed_at_random_give_no_other_error(data, small, folder):
    path = folder / "bytes.npz"
    place = st.integers(0, len(small) - 65)
    start, stop, goal = *sorted((data.draw(place), data.draw(place))), data.draw(place)
    new = data.draw(st.one_of(st.binary(max_size=20), st.just(small[start:stop])))
    changed = archives.sealed(small[:goal] + new + small[goal + data.draw(st.sampled_from([0, len(new), stop])) :])
    refused_or_the_same(path, changed, nn.load(folder / "small.npz"))


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

def watch(event, arguments):
    source = arguments[0] if event == "compile" else None
    source = source.decode() if isinstance(source, bytes) else source
    # ast.literal_eval, with which NumPy reads the header of an array, makes a tree and runs nothing
    events.append("literal" if source and source.startswith("{'descr': ") and arguments[1] == "<unknown>" else event)

sys.addaudithook(watch)
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
    assert not {"pickle", "marshal", "shelve", "runpy", "code"} & set(imported.split())
    harmless = {"open", "os.listdir", "os.remove", "os.rename", "fcntl.flock", "builtins.id", "literal"}
    harmless.add("object.__getattr__")  # inspect.signature looks at a function's code
    assert set(events.split()) <= harmless
