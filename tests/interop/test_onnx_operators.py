"""Operators that to_onnx does not write, as other programs use them, beside onnxruntime."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from support.case import case
from support.onnx_runs import outputs

import nnlite as nn

rng = np.random.default_rng(0)


def floats(*shape):
    return rng.normal(size=shape).astype(np.float32)


def constant(name, *numbers):
    """A Constant node of whole numbers."""
    return f"{name} = Constant<value = int64[{len(numbers)}] {{{', '.join(map(str, numbers))}}}>() "


def file(text, opset=18, **arrays):
    """A ModelProto with these operators of x, which give y."""
    head = f'<ir_version: 8, opset_import: ["" : {opset}]> g (float[batch, 2, 6] x) => (float y)'
    written = onnx.parser.parse_model(f"{head} {{ {text} }}")
    for name, array in arrays.items():
        written.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
    return written


def assert_same(text, opset=18, **arrays):
    """Raise unless the model of such a file gives what onnxruntime does; return it."""
    written, X = file(text, opset, **arrays), floats(4, 2, 6)
    model = nn.from_onnx(written).eval()
    for rows in (4, 1):
        (expected,) = outputs(written.SerializeToString(), X[:rows])
        Y = model.forward(X[:rows])
        assert Y.shape == expected.shape
        np.testing.assert_allclose(Y, expected, rtol=1e-5, atol=1e-5)
    assert nn.check_gradients(model.astype(np.float64), X.astype(np.float64))
    return model


@pytest.mark.parametrize("opset", [13, 18])
def test_reductions(opset):
    for operator in "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSumExp", "ReduceMean", "ReduceSum":
        as_input = opset >= 18 or operator == "ReduceSum"
        for axes, keepdims in ((1,), 1), ((-1, 1), 0):
            with case(f"{operator} {axes}"):
                text = constant("axes", *axes) if as_input else ""
                given = "(x, axes)" if as_input else "(x)"
                attributes = f"keepdims = {keepdims}" + ("" if as_input else f", axes = [{', '.join(map(str, axes))}]")
                assert_same(f"{text} y = {operator}<{attributes}>{given}", opset=opset)


@pytest.mark.parametrize("indices", [[0, 2, 4], [2, 1, 0], [5, 5, 0, 0, 3], [-1, 0, 1, -6, -5], [3]])
def test_entries_of_an_axis(indices):
    assert_same(constant("i", *indices) + "y = Gather<axis = 2>(x, i)")
    assert_same(constant("i", *indices) + "y = Gather<axis = -1>(x, i)")


def test_entries_in_another_shape():
    assert_same("y = Gather<axis = 2>(x, i)", i=np.array([[0, 1, 2], [1, 2, 3]]))
    assert_same("t = Transpose<perm = [2, 1, 0]>(x) y = GatherND(t, i)", i=rng.integers(-2, 2, size=(3, 4, 2)))


def test_repetitions():
    assert_same(constant("n", 1, 3, 2) + "y = Tile(x, n)")
    with pytest.raises(nn.CheckpointError, match="expected 1 to 1024 repetitions"):
        nn.from_onnx(file(constant("n", 1, 1 << 40, 2) + "y = Tile(x, n)"))


def test_padding_of_named_axes():
    assert_same(constant("pads", 1, 2) + constant("axes", -1) + "y = Pad(x, pads, , axes)")
    with pytest.raises(nn.CheckpointError, match="of the batch or the channels"):
        nn.from_onnx(file(constant("pads", 1, 2) + constant("axes", 1) + "y = Pad(x, pads, , axes)"))
    with pytest.raises(nn.CheckpointError):
        nn.from_onnx(file(constant("pads", 1, 2) + constant("axes", 3) + "y = Pad(x, pads, , axes)"))


def test_not_a_number():
    X = floats(4, 2, 6)
    X[1, 1, 2:4] = np.nan
    text = "zero = Constant<value = float {0.5}>() n = IsNaN(x) y = Where(n, zero, x)"
    np.testing.assert_array_equal(nn.from_onnx(file(text)).forward(X), np.where(np.isnan(X), np.float32(0.5), X))


def test_numbers_for_each_row_of_the_batch():
    """A token in front of each sequence, of which the file knows the number of rows when it runs."""
    sizes = constant("zero", 0) + constant("one", 1) + "s = Shape(x) n = Slice(s, zero, one) "
    model = assert_same(
        f"{sizes} {constant('rest', 3, 6)} sizes = Concat<axis = 0>(n, rest) e = Expand(w, sizes) "
        "y = Concat<axis = 1>(e, x)",
        w=floats(1, 3, 6),
    )
    assert model.Phi.size == 18
    assert_same(
        f"{sizes} {constant('rest', 1, 6)} sizes = Concat<axis = 0>(n, rest) "
        "e = ConstantOfShape<value = float[1] {2.5}>(sizes) y = Concat<axis = 1>(e, x)"
    )


def test_positions_for_each_row_of_the_batch():
    text = constant("zero", 0) + constant("one", 1) + "s = Shape(x) n = Slice(s, zero, one) "
    text += constant("positions", 0, 1) + constant("two", 2)
    text += "sizes = Concat<axis = 0>(n, two) p = Expand(positions, sizes) e = Gather(table, p) y = Add(x, e)"
    model = assert_same(text, table=floats(3, 6))
    assert model.Phi.size == 18


def test_a_view_whose_other_sizes_follow_from_the_batch():
    """Heads as samples, with one size that is left to Reshape: (N, 2, 6) -> (2 N, 6) -> (N, 2, 2, 3) -> (N, 2, 6)."""
    text = constant("zero", 0) + constant("one", 1) + constant("two", 2) + "s = Shape(x) n = Slice(s, zero, one) "
    text += "m = Mul(n, two) " + constant("six", 6) + constant("rest", 2, -1, 3) + constant("back", 2, 6)
    text += "heads = Concat<axis = 0>(m, six) a = Reshape(x, heads) b = Softmax(a) "
    text += "parts = Concat<axis = 0>(n, rest) c = Reshape(b, parts) d = Tanh(c) "
    assert_same(f"{text} whole = Concat<axis = 0>(n, back) y = Reshape(d, whole)")


@pytest.mark.parametrize(
    "text",
    [
        constant("sizes", 1 << 30, 1, 2, 6) + "e = Expand(x, sizes)",
        constant("sizes", 1 << 40, 1, 1 << 20, 6) + "e = ConstantOfShape(sizes)",
        "s = Shape(x) " + constant("many", 1, 1 << 30, 1) + "sizes = Mul(s, many) e = ConstantOfShape(sizes)",
    ],
)
def test_what_would_take_much_memory_is_refused(text):
    with pytest.raises(nn.CheckpointError, match="expanded to too many numbers"):
        nn.from_onnx(file(f"{text} y = Tanh(e)"))


def test_integers_and_numbers_as_conditions():
    """As files have masks of tokens: integers that become numbers, or booleans."""
    head = '<ir_version: 8, opset_import: ["" : 18]> g (float[batch, 3] x, int64[batch, 3] mask) => (float y)'
    X, mask = floats(4, 3), rng.integers(-1, 2, size=(4, 3))
    for text in (
        "m = Cast<to = 1>(mask) y = Mul(x, m)",
        "m = Cast<to = 9>(mask) t = Tanh(x) y = Where(m, x, t)",
        "c = Cast<to = 9>(x) m = Cast<to = 1>(c) y = Add(x, m)",
    ):
        with case(text):
            written = onnx.parser.parse_model(f"{head} {{ {text} }}")
            if "mask" not in text:
                del written.graph.input[1]
            X[0] = 0, np.inf, 1
            given = (X, mask)[: len(written.graph.input)]
            np.testing.assert_allclose(
                nn.from_onnx(written).forward(*given), outputs(written.SerializeToString(), *given)[0], rtol=1e-6
            )
