"""The generic checks: each is run on every row of the contract table."""

import copy
import inspect
import pickle
from contextlib import suppress

import numpy as np
import pytest
from contract import LAYERS, LOSSES, ROWS, Row, forward, run, some_dY
from numpy.testing import assert_allclose, assert_array_equal

import nnlite as nn


def over(rows):
    return pytest.mark.parametrize("row", rows, ids=[row.id for row in rows])


def arrays_in(layer):
    """Every array that the layer or a part of it keeps as an attribute."""
    return [value for _, part in layer.named_layers() for value in vars(part).values() if isinstance(value, np.ndarray)]


def snapshot(layer):
    """The layer's parts and their attributes, arrays by copy."""
    return [
        (path, {key: value.copy() if isinstance(value, np.ndarray) else value for key, value in vars(part).items()})
        for path, part in layer.named_layers()
    ]


def assert_same(a, b):
    """Two snapshots hold the same, and the same objects but for arrays."""
    assert [path for path, _ in a] == [path for path, _ in b]
    for (_, before), (_, after) in zip(a, b, strict=True):
        assert before.keys() == after.keys()
        for key, value in before.items():
            if isinstance(value, np.ndarray):
                assert_array_equal(value, after[key])
            else:
                assert value is after[key] or value == after[key], key


def text_of(error):
    return "\n".join([str(error), *getattr(error, "__notes__", [])])


def test_every_public_layer_has_a_row():
    public = {value for name, value in vars(nn).items() if inspect.isclass(value) and issubclass(value, nn.Layer)}
    assert public - {nn.Layer} == {type(row.make()) for row in ROWS}


def test_row_ids_differ():
    assert len({row.id for row in ROWS}) == len(ROWS)


# ------------------------------------------------------------------------------------------------ gradients


@over(ROWS)
def test_check_gradients_finds_them_right(row: Row):
    report = nn.check_gradients(row.make(), row.X, row.target)
    assert report.right
    assert [line.name for line in report.comparisons] == ["X", *dict(row.make().named_parameters())]


@over(ROWS)
def test_gradients_are_those_of_fourth_order_differences(row: Row):
    """A second judge, which shares no code with check_gradients."""
    layer, X = row.make(), row.X.copy()
    dY = some_dY(forward(layer, X, row.target))
    dX = layer.backward(dY)
    dPhi = layer.dPhi.copy()
    h = 1e-3

    def J(entry, value):
        before, entry[...] = entry.copy(), value
        result = np.sum(forward(layer, X, row.target) * dY)
        entry[...] = before
        return result

    def differences(P):
        flat = P.reshape(-1)
        entries = [flat[i : i + 1].reshape(()) for i in range(min(flat.size, 40))]
        return [(8 * (J(x, x + h) - J(x, x - h)) - (J(x, x + 2 * h) - J(x, x - 2 * h))) / (12 * h) for x in entries]

    assert_allclose(dX.reshape(-1)[:40], differences(X), rtol=1e-8, atol=1e-9)
    assert_allclose(dPhi, differences(layer.Phi), rtol=1e-8, atol=1e-9)


@over(ROWS)
def test_backward_overwrites_and_may_be_called_again(row: Row):
    layer = row.make()
    layer.dPhi = np.full(layer.dPhi.shape, 99.0)
    Y, dX, dPhi = run(layer, row.X, row.target)
    again = layer.backward(some_dY(Y))
    assert_array_equal(again, dX)
    assert_array_equal(layer.dPhi, dPhi)
    assert not np.any(dPhi == 99)


@over(ROWS)
def test_backward_is_linear_in_dY(row: Row):
    layer = row.make()
    Y, dX, dPhi = run(layer, row.X, row.target)
    assert_allclose(layer.backward(-2.0 * some_dY(Y)), -2 * dX, rtol=1e-12, atol=1e-15)
    assert_allclose(layer.dPhi, -2 * dPhi, rtol=1e-12, atol=1e-15)


# --------------------------------------------------------------------------------- dtypes, memory, layouts


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@over(ROWS)
def test_dtype_is_kept(row: Row, dtype):
    layer = row.make().astype(dtype)
    Y, dX, dPhi = run(layer, row.X.astype(dtype), row.target)
    assert isinstance(Y, float) or Y.dtype == dtype
    assert dX.dtype == dPhi.dtype == layer.Phi.dtype == dtype
    assert all(P.dtype == dtype for _, P in [*layer.named_parameters(), *layer.named_gradients()])


@over([row for row in ROWS if dict(row.make().named_parameters())])
def test_float32_stays_float32_after_a_step(row: Row):
    layer = row.make().astype(np.float32)
    run(layer, row.X.astype(np.float32))
    nn.SGD(layer, lr=0.1, momentum=0.9, weight_decay=0.1).step()
    Y, dX, dPhi = run(layer, row.X.astype(np.float32))
    assert Y.dtype == dX.dtype == dPhi.dtype == layer.Phi.dtype == np.float32


@over([row for row in LAYERS if isinstance(row.make(), nn.Linear)])
def test_a_layer_with_parameters_converts_what_comes_to_their_dtype(row: Row):
    Y, dX, _ = run(row.make().astype(np.float32), row.X)
    assert Y.dtype == dX.dtype == np.float32


@over(ROWS)
def test_results_are_of_the_same_numbers_in_float32(row: Row):
    exact = run(row.make(), row.X, row.target)
    rounded = run(row.make().astype(np.float32), row.X.astype(np.float32), row.target)
    for a, b in zip(rounded, exact, strict=True):
        assert_allclose(a, b, rtol=1e-4 if row.id == "Linear-of-1100-rows" else 1.3e-6, atol=1e-5)


@over(ROWS)
def test_inputs_are_neither_written_nor_shared(row: Row):
    layer, X = row.make(), row.X.copy()
    target = np.copy(row.target) if row.target is not None else None
    Y = forward(layer, X, target)
    dY = some_dY(Y)
    dY_before = np.copy(dY)
    dX = layer.backward(dY)
    assert_array_equal(X, row.X)
    assert_array_equal(dY, dY_before)
    if target is not None:
        assert_array_equal(target, row.target)
    given = [X, dY, layer.Phi, layer.dPhi]
    assert not any(np.shares_memory(result, array) for result in (Y, dX) for array in given)
    assert not np.shares_memory(Y, dX)


@over(ROWS)
def test_what_the_cache_shares_is_read_only(row: Row):
    layer = row.make()
    Y, dX, _ = run(layer, row.X, row.target)
    kept = arrays_in(layer)
    assert isinstance(Y, float) or not Y.flags.writeable or not any(np.shares_memory(Y, array) for array in kept)
    assert not any(np.shares_memory(dX, array) for array in kept)


@over([row for row in LAYERS if row.id in {"Tanh", "Sigmoid", "ReLU", "Softmax", "LogSoftmax"}])
def test_writing_to_a_cached_output_is_an_error(row: Row):
    Y = row.make().forward(row.X)
    with pytest.raises(ValueError, match="read-only"):
        Y[...] = 0


def read_only_copy(array):
    array = array.copy()
    array.setflags(write=False)
    return array


LAYOUTS = {
    "fortran": lambda a: a.copy(order="F"),
    "every-second": lambda a: np.repeat(a, 2, axis=-1)[..., ::2] if a.ndim else a,
    "backwards": lambda a: a[::-1].copy()[::-1] if a.ndim else a,
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "read-only": read_only_copy,
    "nested-list": lambda a: a.tolist(),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@over(ROWS)
def test_layout_in_memory_makes_no_difference(row: Row, layout):
    plain, other = row.make(), row.make()
    Y, dX, dPhi = run(plain, row.X, row.target)
    laid_out = LAYOUTS[layout]
    target = laid_out(row.target) if row.target is not None else None
    Y_other = forward(other, laid_out(row.X), target)
    dY = some_dY(Y)
    dX_other = other.backward(dY if isinstance(dY, float) else laid_out(dY))
    assert_allclose(Y_other, Y, rtol=1e-13, atol=1e-15)
    assert_allclose(dX_other, dX, rtol=1e-13, atol=1e-15)
    assert_allclose(other.dPhi, dPhi, rtol=1e-12, atol=1e-14)
    assert np.asarray(Y_other).dtype == dX_other.dtype == np.float64
    assert np.asarray(Y_other).dtype.isnative
    assert dX_other.dtype.isnative


# --------------------------------------------------------------------------------------------------- batches


@over([row for row in ROWS if row.rows_apart])
def test_a_batch_is_its_rows(row: Row):
    layer, each = row.make(), row.make()
    Y, dX, dPhi = run(layer, row.X, row.target)
    n, parts = len(row.X), range(0, len(row.X), max(1, len(row.X) // 4))
    mean = row in LOSSES and layer.reduction == "mean"
    total_J, total_dPhi = 0.0, np.zeros_like(dPhi)
    for i in parts:
        one = slice(i, i + 1)
        Y_i = forward(each, row.X[one], None if row.target is None else row.target[one])
        dX_i = each.backward(some_dY(Y) if isinstance(Y, float) else some_dY(Y)[one])
        assert_allclose(dX_i / (n if mean else 1), dX[one], rtol=1e-12, atol=1e-15)
        if isinstance(Y, float):
            total_J += Y_i / (n if mean else 1)
        else:
            assert_allclose(Y_i, Y[one], rtol=1e-12, atol=1e-15)
        total_dPhi += each.dPhi
    if len(parts) == n:
        assert isinstance(Y, np.ndarray) or total_J == pytest.approx(Y, rel=1e-12)
        assert_allclose(total_dPhi, dPhi, rtol=1e-12, atol=1e-14)


@over([row for row in ROWS if row.X.ndim > 1 and "columns" not in row.id])
def test_a_batch_of_no_rows(row: Row):
    layer = row.make()
    empty, no_target = row.X[:0], None if row.target is None else row.target[:0]
    if getattr(layer, "reduction", None) == "mean":
        with pytest.raises(ValueError, match="empty batch"):
            layer.forward(empty, no_target)
        return
    layer.dPhi = np.full(layer.dPhi.shape, 99.0)
    Y, dX, dPhi = run(layer, empty, no_target)
    assert dX.shape == empty.shape
    assert not np.any(dPhi)
    assert Y == 0 if isinstance(Y, float) else Y.size == 0


# --------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@over(LAYERS)
def test_layers_pass_on_what_is_not_finite(row: Row, value):
    layer, X = row.make(), row.X.copy()
    X.reshape(-1)[0] = value
    with np.errstate(invalid="ignore"):  # the sign of a product of inf and 0, or of inf - inf
        Y, dX, _ = run(layer, X)
    assert Y.shape == forward(row.make(), row.X).shape
    assert dX.shape == X.shape
    if np.isnan(value):
        assert np.isnan(Y).any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@over([row for row in ROWS if not row.id.startswith("BCELoss")])
def test_numbers_up_to_ten_thousand_give_no_warning(row: Row, dtype):
    layer, X = row.make().astype(dtype), (row.X * 5e3).astype(dtype)
    with np.errstate(all="raise", under="ignore"):
        results = run(layer, X, row.target)
    assert all(np.isfinite(result).all() for result in results)


BAD_INPUTS = {
    "None": None,
    "str": "0.5",
    "strings": np.array([["a", "b", "c"]]),
    "object": np.array([[1.0, 2.0, None]], dtype=object),
    "complex": np.array([[1j, 2, 3]]),
    "date": np.array(["2026-01-01"], dtype="datetime64[D]"),
    "matrix": np.ones((4, 3)).view(np.matrix),
    "masked": np.ma.masked_array(np.ones((4, 3)), mask=np.eye(4, 3)),
}


@pytest.mark.parametrize("bad", BAD_INPUTS)
@over(ROWS)
def test_what_is_no_array_of_real_numbers_is_a_type_error(row: Row, bad):
    layer = row.make()
    with pytest.raises(TypeError) as caught:
        forward(layer, BAD_INPUTS[bad], row.target)
    assert type(layer).__name__ in text_of(caught.value)
    if row.target is not None:
        with pytest.raises(TypeError, match=f"{type(layer).__name__}.*target"):
            layer.forward(row.X, BAD_INPUTS[bad] if bad != "None" else [None])


@over(ROWS)
def test_backward_before_forward_is_an_error(row: Row):
    layer = row.make()
    with pytest.raises(nn.StateError, match=f"{type(layer).__name__}.*call forward.* first"):
        layer.backward(1.0) if row in LOSSES else layer.backward(np.ones_like(row.X))


@over(ROWS)
def test_dY_of_another_shape_is_an_error(row: Row):
    layer = row.make()
    Y = forward(layer, row.X, row.target)
    shape = np.shape(Y)
    for wrong in [(*shape, 1), (*shape, 2), (7,)]:
        with pytest.raises(nn.ShapeError) as caught:
            layer.backward(np.ones(wrong))
        message = text_of(caught.value)
        assert type(layer).__name__ in message
        assert f"{shape}" in message
        assert f"{wrong}" in message


@over(LAYERS)
def test_whole_number_dY_is_an_error(row: Row):
    layer = row.make()
    Y = layer.forward(row.X)
    for dtype in (int, np.uint8, bool):
        with pytest.raises(TypeError, match=f"{type(layer).__name__}.*floating"):
            layer.backward(np.ones(Y.shape, dtype))
    with pytest.raises(TypeError, match=f"{type(layer).__name__}.*dY"):
        layer.backward(None)


@over(ROWS)
def test_an_error_leaves_the_layer_usable(row: Row):
    layer = row.make()
    with pytest.raises(TypeError):
        forward(layer, BAD_INPUTS["complex"], row.target)
    Y, dX, _ = run(layer, row.X, row.target)
    with pytest.raises(nn.ShapeError):
        layer.backward(np.ones((7, 7, 7)))
    assert_array_equal(layer.backward(some_dY(Y)), dX)


@over([row for row in LOSSES if row.make().reduction == "mean" and row.X.ndim > 1])
def test_a_loss_that_raised_has_no_gradient_to_give(row: Row):
    loss = row.make()
    with pytest.raises(ValueError, match="empty batch"):
        loss.forward(row.X[:0], row.target[:0])
    with pytest.raises(nn.StateError):
        loss.backward()


@over([row for row in LOSSES if not row.id.startswith("MSELoss")])
def test_a_loss_that_refused_its_values_mixes_no_two_calls(row: Row):
    loss = row.make()
    Y, dX, _ = run(loss, row.X, row.target)
    with pytest.raises(ValueError, match="expected"):
        loss.forward(row.X / 2, np.asarray(row.target) + 7)
    with suppress(nn.StateError):  # or else the gradient is still that of the first call
        assert_array_equal(loss.backward(some_dY(Y)), dX)


# ------------------------------------------------------------------------------------ modes, copies, files, text


@over(ROWS)
def test_train_and_eval_return_the_layer_and_set_it_everywhere(row: Row):
    layer = row.make()
    assert layer.training is True
    assert layer.eval() is layer
    assert [part.training for _, part in layer.named_layers()] == [False] * len(list(layer.named_layers()))
    assert layer.train() is layer
    assert all(part.training is True for _, part in layer.named_layers())


def assert_views(layer):
    """Phi holds every parameter, one after another and nothing else; dPhi likewise."""
    for flat, named in (layer.Phi, layer.named_parameters), (layer.dPhi, layer.named_gradients):
        before, flat[...] = flat.copy(), np.arange(flat.size)
        held = [P.ravel() for _, P in named()]
        assert_array_equal(np.concatenate([np.empty(0), *held]), np.arange(flat.size))
        flat[...] = before
        assert flat.ndim == 1
        assert flat.flags.c_contiguous
        assert all(P.flags.c_contiguous for _, P in named())


def test_views_are_seen_to_be_lost():
    layer = nn.Linear(2, 2)
    layer.Phi  # noqa: B018
    vars(layer)["_b"] = layer.b.copy()
    with pytest.raises(AssertionError):
        assert_views(layer)


COPIES = {"deepcopy": copy.deepcopy, "pickle": lambda layer: pickle.loads(pickle.dumps(layer))}


@pytest.mark.parametrize("copied", COPIES)
@pytest.mark.parametrize("used", ["new", "used"])
@over(ROWS)
def test_a_copy_is_the_same_and_apart(row: Row, used, copied):
    layer = row.make()
    if used == "used":
        run(layer, row.X, row.target)
        assert_views(layer)
    before = layer.Phi.copy()
    other = COPIES[copied](layer)
    assert_views(layer)
    assert_views(other)
    assert not any(np.shares_memory(a, b) for a in arrays_in(layer) for b in arrays_in(other))
    assert repr(other) == repr(layer)
    for a, b in zip(run(layer, row.X, row.target), run(other, row.X, row.target), strict=True):
        assert_array_equal(a, b)
    other.Phi += 1
    assert_array_equal(layer.Phi, before)
    assert_array_equal(other.Phi, before + 1)


@pytest.mark.parametrize("copied", COPIES)
@over(ROWS)
def test_a_copy_made_after_forward_can_go_backward(row: Row, copied):
    layer = row.make()
    Y, dX, dPhi = run(layer, row.X, row.target)
    other = COPIES[copied](layer)
    assert_array_equal(other.backward(some_dY(Y)), dX)
    assert_array_equal(other.dPhi, dPhi)


@over(ROWS)
def test_state_goes_round(row: Row):
    layer, other = row.make(), row.make()
    other.Phi = np.arange(other.Phi.size)
    state = layer.state_dict()
    assert list(state) == [name for name, _ in layer.named_parameters()]
    assert not any(np.shares_memory(P, layer.Phi) for P in state.values())
    other.load_state_dict(state)
    assert_array_equal(other.Phi, layer.Phi)
    assert_views(other)


@over(ROWS)
def test_repr(row: Row):
    layer = row.make()
    text = repr(layer)
    assert text.startswith(type(layer).__name__ + "(")
    assert text.endswith(")")
    assert "\n" not in layer.one_line()
    if not list(layer.named_children()):
        assert "\n" not in text
        assert layer.one_line() == text
    if not list(layer.named_parameters()) and not list(layer.named_children()):
        assert repr(eval(text, vars(nn).copy())) == text


@over(ROWS)
def test_a_twin_writes_nothing_on_the_layer(row: Row):
    layer = row.make()
    run(layer, row.X, row.target)
    before = snapshot(layer)
    twin = layer.evaluation_twin()
    Y, dX, _ = run(row.make(), row.X / 2, row.target)
    assert type(twin) is type(layer)
    assert [part.training for _, part in twin.named_layers()] == [False] * len(before)
    assert_array_equal(forward(twin, row.X / 2, row.target), Y)
    assert_same(before, snapshot(layer))
    assert_array_equal(twin.backward(some_dY(Y)), dX)
    assert [P.ctypes.data for _, P in twin.named_parameters()] == [P.ctypes.data for _, P in layer.named_parameters()]


@over(ROWS)
def test_calling_the_layer_is_forward(row: Row):
    layer = row.make()
    Y = layer(row.X) if row.target is None else layer(row.X, row.target)
    assert_array_equal(Y, forward(layer, row.X, row.target))


@over(LAYERS)
def test_output_features_tells_the_truth(row: Row):
    layer = row.make()
    known = layer.output_features(row.X.shape[-1])
    assert known is None or known == layer.forward(row.X).shape[-1]
    promised = layer.output_features(None)
    assert promised is None or promised == layer.forward(row.X).shape[-1]
