"""to_onnx: files that onnxruntime runs, with the numbers that forward gives."""

import sys

import numpy as np
import onnx
import pytest
from support.case import case
from support.onnx_runs import (
    WITHOUT_ONNX,
    assert_equal_outputs,
    batch,
    exported,
    input_shape,
    of_batches,
    one_of_each_layer,
    outputs,
)
from support.random_networks import Builder

import nnlite as nn
from nnlite.interop.onnx.writing_onnx import content_of


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.onnx"


@pytest.mark.parametrize("opset", [18, 13, 22])
def test_each_layer_gives_the_same_under_onnxruntime(opset):
    for row in exported() if opset == 18 else one_of_each_layer(exported()):
        model = row.make().astype(np.float32).eval()
        with case(row.id):
            content = content_of(model, input_shape(row), opset)
            for rows in (1, 32) if row.rows_apart and opset == 18 else (4,):
                assert_equal_outputs(content, model, row, rows)


def test_each_public_layer_that_is_no_loss_and_no_container_has_operators_and_is_among_them():
    layers = {cls for name in nn.__all__ if isinstance(cls := getattr(nn, name), type) and issubclass(cls, nn.Layer)}
    layers = {cls for cls in layers if not issubclass(cls, nn.Loss) and not hasattr(cls, "forward_through")}
    assert layers - {nn.Layer, nn.Parameter} - {row.kind for row in exported()} == set()


@pytest.mark.parametrize("make", [nn.RNN, nn.LSTM, nn.GRU])
def test_stacks_in_both_directions_with_embeddings_lengths_and_states(make):
    indices, lengths, *states = [nn.Input() for _ in range(4 if make is nn.LSTM else 3)]
    stack = make(3, 5, 3, bidirectional=True, return_state=True, dropout=0.5, rng=0)
    rng = np.random.default_rng(0)
    stack.Phi = rng.normal(size=stack.Phi.size) / 2  # also the biases
    Y, *finals = stack(nn.Embedding(9, 3, rng=1)(indices), lengths, *states)
    short = make(10, 4, reverse=True, last=True, rng=2)(Y, lengths)
    model = nn.Graph([indices, lengths, *states], [Y, short, *finals]).eval()
    content = content_of(model, ((7,), (), *[(6, 5) for _ in states]), 18)
    for N in 1, 32:
        H = [rng.normal(size=(N, 6, 5)).astype(np.float32) for _ in states]
        inputs = rng.integers(9, size=(N, 7)), rng.integers(1, 8, size=N), *H
        for got, expected in zip(outputs(content, *inputs), model.forward(*inputs), strict=True):
            np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("attention", "shape"),
    [
        (lambda x, mask: nn.MultiheadAttention(8, 2, rng=0)(x, attn_mask=mask), (5, 5)),
        (lambda x, mask: nn.MultiheadAttention(8, 2, rng=0)(x, key_padding_mask=mask), (5,)),
        (lambda x, mask: nn.ScaledDotProductAttention(causal=True)(x, x, x, mask), (5, 5)),
        (lambda x, mask: nn.Where()(mask, nn.Tanh()(x), x), (5, 8)),
    ],
)
def test_masks_of_numbers(attention, shape):
    """They go out and come in, with all keys masked, too; without ``float_masks`` the file wants booleans."""
    x, mask = nn.Input("x"), nn.Input("mask")
    model = nn.Graph([x, mask], attention(x, mask)).eval()
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4, 5, 8)).astype(np.float32)
    numbers = np.where(rng.random((4, *shape)) < 0.4, -np.inf, rng.normal(size=(4, *shape))).astype(np.float32)
    numbers[1] = -np.inf
    content = content_of(model, ((5, 8), shape), 18, float_masks=True)
    expected = model.forward(X, numbers)
    np.testing.assert_allclose(outputs(content, X, numbers)[0], expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(nn.from_onnx(content).eval().forward(X, numbers), expected, rtol=1e-5, atol=1e-6)
    booleans = onnx.load_from_string(content_of(model, ((5, 8), shape), 18)).graph.input[1]
    assert booleans.type.tensor_type.elem_type == onnx.TensorProto.BOOL
    with pytest.raises(TypeError, match="float_masks"):
        content_of(model, ((5, 8), shape), 18, float_masks="yes")


def test_what_onnx_does_not_have_is_an_error_with_the_reason(path):
    for row in of_batches():
        if reason := WITHOUT_ONNX.get(row.id):
            with case(row.id), pytest.raises(ValueError, match=reason):
                nn.to_onnx(row.make(), path, input_shape(row))
    assert not path.exists()


def test_float64():
    for row in exported():
        if row.id in ("Linear", "Softmax", "ELU", "GELU-tanh", "BatchNorm2d", "LayerNorm", "Graph-of-several"):
            with case(row.id):
                model = row.make().eval()
                assert model.dtype == np.float64 or not model.Phi.size
                model.astype(np.float64)
                content = content_of(model, input_shape(row), 18)
                assert_equal_outputs(content, model, row, 32, relative=1e-8)  # eps is float32 in ONNX


@pytest.mark.parametrize("first", range(0, 40, 10))
def test_random_networks_with_layers_of_a_user(first):
    for seed in range(first, first + 10):
        with case(f"seed {seed}"), np.errstate(all="ignore"):
            model, X, _, _ = Builder(np.random.default_rng(seed)).network()
            model.astype(np.float32).eval()
            expected = model.forward(batch(X, 32))
            (got,) = outputs(content_of(model, list(X.shape[1:]), 18), batch(X, 32))
            finite = np.isfinite(expected) & (np.abs(expected) < 1e30)
            np.testing.assert_allclose(
                got[finite], expected[finite], rtol=1e-4, atol=1e-5 * np.abs(expected[finite]).max(initial=1e-30)
            )


# --------------------------------------------------------------------------------------------- what is in a file


def test_names_types_and_dynamic_batch(path):
    embedding = nn.Embedding(7, 3, rng=0)
    indices, X = nn.Input("indices"), nn.Input("X")
    model = nn.Graph({"indices": indices, "X": X}, {"sum": nn.Add()(embedding(indices), X), "same": X})
    nn.to_onnx(model, path, {"indices": (), "X": (3,)})
    file = onnx.load(path)
    assert [(each.domain, each.version) for each in file.opset_import] == [("", 18)]
    assert file.ir_version == 8  # the oldest that has opset 18
    assert [(each.name, list(each.dims)) for each in file.graph.initializer] == [("0.W", [7, 3])]
    shapes = {
        each.name: (
            each.type.tensor_type.elem_type,
            [size.dim_param or size.dim_value for size in each.type.tensor_type.shape.dim],
        )
        for each in (*file.graph.input, *file.graph.output)
    }
    floats, integers = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
    assert shapes == {
        "indices": (integers, ["batch"]),
        "X": (floats, ["batch", 3]),
        "sum": (floats, ["batch", 3]),
        "same": (floats, ["batch", 3]),
    }


def test_tied_layers_share_one_initializer(path):
    first = nn.Linear(3, 3, rng=0)
    block = nn.Sequential(first, nn.Tanh())
    model = nn.Sequential(block, nn.tied(block), nn.tied(first), nn.tied(first, transpose=True))
    nn.to_onnx(model, path, 3)
    file = onnx.load(path)
    assert sorted(each.name for each in file.graph.initializer) == ["0.0.W", "0.0.b", "3.b"]
    X = np.ones((2, 3), np.float32)
    np.testing.assert_allclose(outputs(path, X)[0], model.forward(X), rtol=1e-5)


def test_it_is_the_model_in_evaluation_mode_and_nothing_is_written_on_it(path):
    model = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout(0.9, rng=0), nn.Linear(2, 2, rng=0))
    X = np.array([[1.0, 2.0], [3.0, 5.0]], np.float32)
    model.forward(X)
    state, drawn = model.state_dict(), model[1].rng.bit_generator.state
    nn.to_onnx(model, path, 2)
    assert model.training
    assert model[1].rng.bit_generator.state == drawn
    assert all(np.array_equal(array, state[name]) for name, array in model.state_dict().items())
    np.testing.assert_allclose(outputs(path, X)[0], nn.predict(model, X), rtol=1e-6)


# --------------------------------------------------------------------------------------------------------- errors


class WithoutOnnx(nn.Tanh):
    def forward(self, X):
        return 2 * super().forward(X)


def test_all_layers_without_operators_are_listed_with_their_places_and_the_file_stays(path):
    path.write_bytes(b"before")
    x = nn.Input("x")
    even = nn.LocalResponseNorm(2)(nn.Unflatten(1, (2, 1, 1))(x))
    model = nn.Sequential(nn.Linear(2, 2), WithoutOnnx(), nn.Tanh(), nn.Graph(x, (WithoutOnnx()(x), even)))
    with pytest.raises(ValueError, match="cannot be written as ONNX") as error:
        nn.to_onnx(model, path, 2)
    lines = str(error.value).splitlines()[1:]
    assert [line.split(":")[0].strip() for line in lines] == ["1", "3.0", "3.2"]
    assert "WithoutOnnx.forward is not that of the class that has" in lines[0]
    assert path.read_bytes() == b"before"


@pytest.mark.parametrize(
    ("opset", "error", "message"),
    [
        (12, ValueError, "opset: expected 13 to"),
        (1000, ValueError, "opset: expected 13 to"),
        (18.0, TypeError, "opset"),
    ],
)
def test_an_opset_that_is_none(opset, error, message, path):
    with pytest.raises(error, match=message):
        nn.to_onnx(nn.Tanh(), path, 2, opset=opset)


class Own(nn.Tanh):
    pass


@pytest.mark.parametrize(
    ("expression", "error", "message"),
    [
        ("Mish(X)", ValueError, "its operator Mish is in opsets from 18 on; pass opset=18"),
        ("Tanhh(X)", NameError, "Own: onnx: 'Tanhh' is no argument of forward, no attribute and no operator"),
        ("X if X > 0 else -X", TypeError, "has no truth value"),
        ("Tanh(X, alpha=1)", TypeError, "Tanh of opset 17 has no attribute and no input 'alpha'"),
        ("ReduceSum(X, axes=(1,))", ValueError, r"forward gives shape \(2, 3\), its operators in ONNX \(None, 1\)"),
        ("Split(X, split=(1, 2), axis=1, outputs=2)", TypeError, "expected 1 outputs, got 2"),
    ],
)
def test_a_wrong_declaration_is_named(expression, error, message, path, monkeypatch):
    monkeypatch.setattr(Own, "onnx", expression)
    with pytest.raises(error, match=message):
        nn.to_onnx(Own(), path, 3, opset=17)
    assert not path.exists()


def test_a_shape_a_dtype_and_a_path_that_do_not_do(path):
    with pytest.raises(nn.ShapeError, match="expected 3 features, got 2"):
        nn.to_onnx(nn.Linear(3, 2), path, 2)
    with pytest.raises(
        nn.ShapeError, match=r"of X, without the batch axis.*got \(-1, 3\); the batch axis is left out: \(3,\)"
    ):
        nn.to_onnx(nn.Linear(3, 2), path, (-1, 3))
    for wrong in "3", 2.5, None, [3, "a"]:
        with pytest.raises(
            TypeError, match=r"input_shape: expected the sizes of one sample of X, without the batch axis"
        ):
            nn.to_onnx(nn.Linear(3, 2), path, wrong)
    with pytest.raises(TypeError, match=r"sizes of one sample of X2, .*got '3'"):
        nn.to_onnx(nn.Add(), path, ((3,), "3"))
    with pytest.raises(ValueError, match="expected a model of float32 or float64, got"):
        nn.to_onnx(nn.Linear(3, 2, dtype=np.longdouble), path, 3)
    with pytest.raises(TypeError, match="model: expected a Layer"):
        nn.to_onnx(nn.Linear, path, 2)
    with pytest.raises(FileNotFoundError):
        nn.to_onnx(nn.Linear(3, 2), path / "none" / "model.onnx", 3)


def test_a_missing_package_is_an_error_that_names_the_extra(monkeypatch, path):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match="install nnlite's extra 'onnx'"):
        nn.to_onnx(nn.Tanh(), path, 2)
