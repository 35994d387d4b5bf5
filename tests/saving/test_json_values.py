"""pack and unpack: what goes in comes out, to the bit."""

import json
import math
import struct
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal, assert_equal
from support import archives
from support.sweeps import examples

import nnlite as nn
from nnlite.saving.archive import read_archive, write_archive
from nnlite.saving.json_values import generator_from, pack, unpack


@pytest.fixture
def path(tmp_path):
    return tmp_path / "some.npz"


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


@examples(60)
@given(plain_values)
def test_what_is_packed_is_unpacked(value):
    arrays = {}
    packed = pack(value, arrays, "x")
    assert the_same(unpack(json.loads(json.dumps(packed, allow_nan=False)), arrays), value)
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


def test_lists_nest_100_deep_at_most():
    value = []
    for _ in range(100):
        value = [value]
    packed = pack(value, {}, "x")
    assert unpack(packed, {}) == value
    with pytest.raises(ValueError, match="nest more than 100 deep"):
        pack([value], {}, "x")
    with pytest.raises(nn.CheckpointError, match="nests too deeply"):
        unpack([packed], {})


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


def test_numpy_scalars_come_back_as_numpy_scalars(path):
    values = [np.float64(0.1), np.float32(0.1), np.int8(-3), np.bool_(True), np.uint64(2**64 - 1), np.longdouble(1) / 3]
    values += [np.float64(np.nan), np.float32(-0.0)]
    assert unpack(pack(np.str_("é"), {}, "x"), {}) == "é"
    arrays = {}
    write_archive(path, pack(values, arrays, "x"), arrays)
    found = unpack(*read_archive(path))
    assert [type(value) for value in found] == [type(value) for value in values]
    assert [value.tobytes()[:10] for value in found] == [value.tobytes()[:10] for value in values]


@pytest.mark.parametrize("name", ["MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"])
def test_a_generator_goes_on_where_it_was(name, path):
    rng = np.random.Generator(getattr(np.random, name)(5))
    rng.random(7)
    rng.integers(3, size=3, dtype=np.int32)  # keeps half a number back
    arrays = {}
    write_archive(path, pack({"rng": rng}, arrays, "x"), arrays)
    found = unpack(*read_archive(path))["rng"]
    assert_array_equal(found.integers(2**32, size=9, dtype=np.uint32), rng.integers(2**32, size=9, dtype=np.uint32))
    assert_array_equal(found.random(700), rng.random(700))


class Mine(np.random.PCG64):
    """A bit generator whose class no file can name."""


def test_a_generator_of_another_kind_is_an_error_when_it_is_saved():
    with pytest.raises(TypeError, match=r"x\.rng: expected a generator with one of NumPy's .*got Mine, whose state"):
        pack({"rng": np.random.Generator(Mine(0))}, {}, "x")


@pytest.mark.parametrize("name", ["MT19937", "PCG64", "Philox", "SFC64"])
def test_states_that_no_generator_has(name):
    state = dict(getattr(np.random, name)(0).state)
    inner = state["state"]
    wrong = [
        {},
        {"bit_generator": name},
        state | {"bit_generator": "Mine"},
        state | {"bit_generator": ["PCG64"]},
        state | {"bit_generator": "Generator"},
        state | {"state": None},
        state | {"state": {}},
        *[state | {"buffer_pos": 0, "state": inner | {"pos": pos}} for pos in (-1, 625, 2**40, None, np.zeros(2))],
        *[state | {"buffer_pos": position} for position in (-1, 5, 2**40, None) if name == "Philox"],
    ]
    for each in wrong:
        with pytest.raises(nn.CheckpointError, match="the state of a random generator is damaged"):
            generator_from(each)
        arrays = {}
        plain = {"generator": pack(each, arrays, "x")}
        with pytest.raises(nn.CheckpointError):
            unpack(plain, arrays)
    for value in None, "x", 1.5, -1, 2**200, [], np.zeros(3), np.zeros((9, 9)):
        for key in inner:
            with suppress(nn.CheckpointError):
                generator_from(state | {"state": inner | {key: value}}).random(2000)
        for key in state:
            with suppress(nn.CheckpointError):
                generator_from(state | {key: value}).random(2000)


def test_what_cannot_be_packed():
    for value in 1j, object(), {1, 2}, b"x", np.array(["a"]), type("Sub", (list,), {})():
        with pytest.raises(TypeError, match=r"x\.a\.0: expected None, numbers, .*, got \w+, which cannot be saved"):
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
        with pytest.raises(nn.CheckpointError, match=r"its manifest holds an unknown value: |state of a random"):
            unpack(plain, {})
