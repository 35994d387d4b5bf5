"""Damaged and hostile files of ONNX: one CheckpointError, and nothing beside the file is read."""

import builtins
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from support.case import case
from support.sweeps import SWEEP

import nnlite as nn
from nnlite.interop.onnx.writing_onnx import content_of

STEP = 2 if SWEEP <= 1 else 1


def made(text="y = Gemm(x, w, b)", **arrays):
    """A ModelProto of x (N, 2), with a w (2, 2) and a b (2,)."""
    head = '<ir_version: 8, opset_import: ["" : 18]> g (float[N, 2] x) => (float[?, ?] y)'
    model = onnx.parser.parse_model(f"{head} {{ {text} }}")
    for name, array in ({"w": np.eye(2, dtype=np.float32), "b": np.ones(2, np.float32)} | arrays).items():
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    return model


@pytest.fixture(scope="module")
def content():
    model = nn.Sequential(
        nn.Linear(2, 2, rng=0), nn.LeakyReLU(0.2), nn.Unflatten(1, (1, 2)), nn.Flatten(), nn.Softmax(1)
    )

    return content_of(model, 2, 18)


def is_read(content):
    """Whether it is a model; any other error than a CheckpointError goes up."""
    try:
        nn.from_onnx(content)
    except nn.CheckpointError:
        return False
    return True


def test_a_cut_at_any_length(content):
    read = [length for length in range(0, len(content), STEP) if is_read(content[:length])]
    assert read == []


def test_a_flip_of_any_byte(content):
    changed = bytearray(content)
    for place in range(0, len(content), STEP):
        for mask in (1, 0x80) if SWEEP <= 1 else range(1, 256):
            changed[place] ^= mask
            with case(f"byte {place} ^ {mask}"):
                is_read(bytes(changed))
            changed[place] ^= mask


def test_what_is_no_onnx_file(tmp_path):
    path = tmp_path / "model.onnx"
    for wrong in b"", b"not a model\n", b"\x00" * 100, b"\xff" * 100, b"PK\x03\x04" + bytes(60):
        path.write_bytes(wrong)
        with case(wrong), pytest.raises(nn.CheckpointError, match=r"model\.onnx: it is not an ONNX file"):
            nn.from_onnx(path)
    with pytest.raises(FileNotFoundError):
        nn.from_onnx(tmp_path / "none.onnx")
    with pytest.raises(IsADirectoryError):
        nn.from_onnx(tmp_path)
    with pytest.raises(TypeError):
        nn.from_onnx(nn.Tanh())


def test_numbers_in_other_files_are_refused_and_not_read(tmp_path, monkeypatch):
    (tmp_path / "secret").write_bytes(np.eye(2, dtype=np.float32).tobytes())
    (tmp_path / "inside").mkdir()
    path = tmp_path / "inside" / "model.onnx"
    opened = []
    monkeypatch.setattr(builtins, "open", lambda name, *options, real=open: opened.append(name) or real(name, *options))
    for place in "../secret", str(tmp_path / "secret"), "beside":
        for tensor in "initializer", "Constant":
            model = (
                made()
                if tensor == "initializer"
                else made("c = Constant<value = float[2,2] {1,2,3,4}>() y = Gemm(x, c)")
            )
            numbers = model.graph.initializer[0] if tensor == "initializer" else model.graph.node[0].attribute[0].t
            numbers.ClearField("raw_data")
            numbers.ClearField("float_data")
            numbers.data_location = TensorProto.EXTERNAL
            numbers.external_data.add(key="location", value=place)
            numbers.external_data.add(key="length", value="16")
            path.write_bytes(model.SerializeToString())
            with (
                case(f"{place} {tensor}"),
                pytest.raises(nn.CheckpointError, match="other files are not read; write one file"),
            ):
                nn.from_onnx(path)
    assert set(opened) == {path}


def convolved(text):
    head = "sizes = Constant<value = int64[4] {-1, 1, 1, 2}>() c = Reshape(x, sizes)"
    return made(f"{head} y = {text}", k=np.ones((1, 1, 1, 1), np.float32), s=np.array([1, 1, 2, 2], np.float32))


def sized(*sizes):
    model = made()
    model.graph.initializer[0].dims[:] = sizes
    return model


def twice(model, what):
    things = getattr(model.graph, what)
    things.append(things[0])
    return model


def in_another_domain():
    model = made()
    model.graph.node[0].domain = "com.example"
    model.opset_import.append(helper.make_opsetid("com.example", 1))
    return model


def of_opset(version):
    model = made()
    model.opset_import[0].version = version
    return model


def of_sizes(*sizes):
    model = made()
    for axis, size in enumerate(sizes):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = size
    return model


def cut_from(text):
    """A Slice of what the text computes as p (1, N, ...), which ends the process in onnx if a size is negative."""
    names = {"zero": 0, "end": -9, "two": 2, "one": 1}
    numbers = " ".join(f"{name} = Constant<value = int64[1] {{{n}}}>()" for name, n in names.items())
    return made(f"{numbers} {text} s = Slice(p, zero, end, two, one) y = Tanh(s)")


EXPANDED = "n = Shape<end = 1>(x) sizes = Concat<axis = 0>(one, n, end) f = Cast<to = 1>(one) p = Expand(f, sizes)"


def of_integers():
    model = made()
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    return model


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (made("a = Tanh(c) c = Tanh(a) y = Add(a, c)"), "sorted"),
        (made("y = Tanh(nothing)"), "nothing"),
        (made("a = Tanh(x)"), "invalid"),
        (made("y = Gemm(x, w, b) y = Tanh(x)"), "names that are used twice: 'y'"),
        (made("w = Tanh(x) y = Tanh(w)"), "names that are used twice: 'w'"),
        (twice(made(), "initializer"), "names that are used twice: 'w'"),
        (twice(made(), "input"), "names that are used twice: 'x'"),
        (sized(3, 2), r"w: shape \(3, 2\) and 4 numbers do not match"),
        (sized(1 << 40, 1 << 20), "and 4 numbers do not match"),
        (sized(1 << 62, 4, 0, 1), "and 4 numbers do not match"),
        (sized(-2, -2), "and 4 numbers do not match"),
        (sized(4, 1), "invalid"),
        (made(w=np.ones((3, 2), np.float32)), "invalid"),
        (made(w=np.ones((2, 2), np.complex64)), "w: expected real numbers"),
        (of_integers(), "invalid"),
        (of_sizes(2, -2), "negative sizes:\n  input 'x'"),
        (cut_from("u = Unsqueeze(x, zero) p = AveragePool<kernel_shape = [9]>(u)"), "negative sizes:\n  AveragePool "),
        (
            cut_from("n = Shape<end = 1>(x) c = Concat<axis = 0>(one, n, end) f = Cast<to = 1>(one) p = Expand(f, c)"),
            ".",
        ),
        (of_opset(11), "expected an opset from 13 to .*; convert it"),
        (of_opset(1 << 40), "expected an opset from 13 to"),
        (in_another_domain(), "not supported:\n  com.example.Gemm 0"),
        (made("a = Sin(x) c = Cos(a) y = Tanh(c)"), "not supported:\n  Sin 0\n  Cos 1"),
        (made("a = If<then_branch = t () => (float[N, 2] u) { u = Identity(x) }>(x) y = Tanh(a)"), "If 0"),
        (made("c = Constant<value = int64[2] {-1, -1}>() y = Reshape(x, c)"), "."),
        (made("c = Constant<value = int64[1] {9}>() y = Squeeze(x, c)"), "."),
        (made("r = Constant<value = float {2.0}>() y = Dropout(x, r)"), "Dropout '0': Dropout: p: expected"),
        (made("y = Dropout(x, w) "), "."),
        (made("y = Gather(x, w)"), "."),
        (made("y = Transpose<perm = [0, 5]>(x)"), "."),
        (convolved("Conv<group = 0>(c, k)"), "Conv .*expected a group of at least 1"),
        (convolved("MaxPool<kernel_shape = [2, 2], pads = [9, 9, 9, 9]>(c)"), "padding"),
        (convolved('Resize<mode = "other">(c, , s)'), "Resize .*in this mode"),
    ],
)
def test_what_contradicts_itself_or_is_not_supported(model, message):
    with pytest.raises(nn.CheckpointError, match=message):
        nn.from_onnx(model.SerializeToString())
    with pytest.raises(nn.CheckpointError, match=message):
        nn.from_onnx(model)


def test_all_operators_that_are_used_in_an_unsupported_way_are_listed():
    text = """
        a = Gather<axis = 1>(w, i)
        c = HardSigmoid(a)
        d, m = Dropout(c)
        s = Shrink<bias = 0.3, lambd = 0.5>(d)
        n = Cast<to = 1>(m)
        y = Mul(s, n)
    """
    model = made(text, i=np.array([0]))
    with pytest.raises(nn.CheckpointError) as error:
        nn.from_onnx(model)
    assert [line.split(":")[0].strip() for line in str(error.value).splitlines()[1:]] == [
        "Gather '0'",
        "Dropout '2'",
        "Shrink '3'",
    ]


def test_a_missing_package_is_an_error_that_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match="install nnlite's extra 'onnx'"):
        nn.from_onnx(b"")
