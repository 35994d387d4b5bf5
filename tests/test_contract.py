"""The contract of a layer: every check on every row of the contract table, or on a few where one function decides."""

import copy
import inspect
import itertools
import pickle
from contextlib import suppress

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from support.case import case
from support.contract import (
    OWN,
    ROWS,
    WITHOUT_FORMULAS,
    Row,
    backward,
    differentiable,
    forward,
    gradients,
    run,
    some_dY,
)
from support.contract_row import one_of_each

import nnlite as nn
from nnlite.basics.shapes import UNKNOWN, is_open, sizes
from nnlite.basics.trees import each_of, listed, spread
from nnlite.containers.tied import Tied, TiedTranspose
from nnlite.diagnostics.named_inputs import inputs_by_name

ROWS = ROWS + WITHOUT_FORMULAS + OWN
LOSSES = [row for row in ROWS if row.target is not None]
LAYERS = [row for row in ROWS if row.target is None]
FEW = [  # of each kind one: for what a function decides that all of them call
    *("Linear", "Tanh", "Multiply", "Split", "Sequential", "Graph-of-several", "Residual", "tied-transpose"),
    *("MSELoss", "CrossEntropyLoss"),
]


def over(rows):
    """A decorator that makes a check of one row a test of all rows of a class of layers."""
    kinds = {}
    for row in rows:
        kinds.setdefault(row.kind.__name__, []).append(row)

    def decorate(check):
        def test(kind):
            for row in kinds[kind]:
                with case(row.id):
                    check(row)

        test.__name__, test.__doc__ = check.__name__, check.__doc__
        return pytest.mark.parametrize("kind", kinds)(test)

    return decorate


over_few = over([row for row in ROWS if row.id in FEW])


# ------------------------------------------------------------------------------------------------ helpers


def everything_in(layer, path=""):
    """(path, layer) of the layer, of all its parts, and of the twins inside tied layers."""
    for place, part in layer.named_layers(path):
        yield place, part
        if isinstance(part, Tied):
            yield from everything_in(part._twin.layer, f"{place}.twin")


def arrays_in(layer):
    """Every array that is an attribute of the layer or of a part, or in a list or tuple that is one."""

    def among(values):
        for value in values:
            if isinstance(value, np.ndarray):
                yield value
            elif isinstance(value, list | tuple):
                yield from among(value)

    return [array for _, part in everything_in(layer) for array in among(vars(part).values())]


def snapshot(layer):
    """The parts of the layer with their attributes, arrays copied."""
    return [
        (path, {key: value.copy() if isinstance(value, np.ndarray) else value for key, value in vars(part).items()})
        for path, part in everything_in(layer)
    ]


def assert_same(a, b):
    """Two snapshots have equal arrays and otherwise the same objects."""
    assert [path for path, _ in a] == [path for path, _ in b]
    for (_, before), (_, after) in zip(a, b, strict=True):
        assert before.keys() == after.keys()
        for key, value in before.items():
            if isinstance(value, np.ndarray):
                assert_array_equal(value, after[key])
            else:
                assert value is after[key] or value == after[key], key


def pairs(a, b):
    """The arrays of two values of the same form, one beside the other."""
    assert isinstance(a, tuple) == isinstance(b, tuple)
    assert isinstance(a, dict) == isinstance(b, dict)
    assert not isinstance(a, dict) or a.keys() == b.keys()
    return zip(gradients(a), gradients(b), strict=True)


def assert_equal(a, b):
    for one, other in pairs(a, b):
        assert_array_equal(one, other)


def assert_close(a, b, **tolerances):
    for one, other in pairs(a, b):
        assert_allclose(one, other, **tolerances)


def floats(function, values):
    """``values`` with ``function`` of each array of floats in it; the others are unchanged."""
    return each_of(lambda X: function(X) if np.asarray(X).dtype.kind == "f" else X, values)


def each_with_another(values, new, only=lambda value: True):
    """``values`` once for each array in it, with that one replaced by ``new`` of it."""
    for index, replaced in enumerate(listed(values)):
        places = itertools.count()
        if only(replaced):
            yield each_of(lambda value: new(value) if next(places) == index else value, values)  # noqa: B023 - used up at once


def text_of(error):
    return "\n".join([str(error), *getattr(error, "__notes__", [])])


# ------------------------------------------------------------------------------------------------ the table


def test_every_public_layer_has_a_row():
    public = {getattr(nn, name) for name in nn.__all__ if inspect.isclass(getattr(nn, name))}
    layers = {value for value in public if issubclass(value, nn.Layer)} - {nn.Layer, nn.Loss, nn.Parameter}
    rows = {row.kind for row in ROWS}
    inside = {type(part) for row in ROWS for _, part in row.layer.named_layers()}
    assert layers <= rows
    assert {nn.Parameter, Tied, TiedTranspose} <= inside  # these do nothing outside a container


def test_row_ids_differ():
    assert len({row.id for row in ROWS}) == len(ROWS)
    assert set(FEW) <= {row.id for row in ROWS}


# ------------------------------------------------------------------------------------------------ gradients


@over(one_of_each(ROWS))
def test_check_gradients_finds_them_right(row: Row):
    layer = row.make()
    report = nn.check_gradients(layer, row.X, row.target)
    assert report.right
    inputs = list(inputs_by_name(layer, row.X))
    assert len(inputs) == len(listed(row.X))
    names = [inputs[position] for position in layer.differentiable_inputs(len(inputs))]
    assert [line.name for line in report.comparisons] == [*names, *dict(layer.named_parameters())]


@over(ROWS)
def test_gradients_are_those_of_fourth_order_differences(row: Row):
    """A second judge, which shares no code with check_gradients."""
    layer, X = row.make(), each_of(np.copy, row.X)
    dY = some_dY(forward(layer, X, row.target))
    dX = backward(layer, dY)
    dPhi = layer.dPhi.copy()
    h = 1e-3

    def J(P, value):
        before, P[...] = P.copy(), value
        result = sum(np.sum(y * dy) for y, dy in pairs(forward(layer, X, row.target), dY))
        P[...] = before
        return result

    def assert_slopes(P, dP, free=True):
        """A wrong entry shows in directions at random, too, and those see every entry of a large array."""
        directions = np.linalg.qr(np.random.default_rng(P.size).normal(size=(P.size, min(P.size, 5)))).Q.T
        for direction in directions:
            D = direction.reshape(P.shape) * free
            slope = (8 * (J(P, P + h * D) - J(P, P - h * D)) - (J(P, P + 2 * h * D) - J(P, P - 2 * h * D))) / (12 * h)
            assert_allclose(np.sum(dP * D), slope, rtol=1e-8, atol=1e-9)

    for each, dEach in zip(differentiable(layer, X), gradients(dX), strict=True):
        assert_slopes(each, dEach)
    layer.dPhi = np.ones(layer.Phi.size)
    for _, part in layer.named_layers():
        for name, index in part.untrained_entries().items():
            getattr(part, "d" + name)[index] = 0  # dPhi is now 1 where there is a gradient
    trained = layer.dPhi == 1
    assert not np.any(dPhi[~trained])
    assert_slopes(layer.Phi, dPhi, trained)


@over(ROWS)
def test_backward_overwrites_gradients_and_is_linear_in_dY(row: Row):
    layer = row.make()
    layer.dPhi = np.full(layer.dPhi.shape, 99.0)
    Y, dX, dPhi = run(layer, row.X, row.target)
    assert not np.any(dPhi == 99)
    assert_equal(backward(layer, some_dY(Y)), dX)
    assert_array_equal(layer.dPhi, dPhi)
    twice = backward(layer, each_of(lambda dY: -2.0 * dY, some_dY(Y)))
    if dX is not None:
        assert_close(twice, each_of(lambda dX: -2 * dX, dX), rtol=1e-12, atol=1e-15)
    assert_allclose(layer.dPhi, -2 * dPhi, rtol=1e-12, atol=1e-15)


# --------------------------------------------------------------------------------- dtypes, memory, layouts


@over(ROWS)
def test_dtype_is_kept_and_float32_gives_the_same_numbers(row: Row):
    exact = run(row.make(), row.X, row.target)
    for dtype in (np.float64, np.float32):
        layer, X = row.make().astype(dtype), floats(lambda X, dtype=dtype: X.astype(dtype), row.X)
        results = Y, dX, dPhi = run(layer, X, row.target)
        with case(dtype.__name__):
            assert isinstance(Y, float) or all(type(each) is np.ndarray and each.dtype == dtype for each in listed(Y))
            assert all(type(each) is np.ndarray and each.dtype == dtype for each in gradients(dX))
            assert dPhi.dtype == layer.Phi.dtype == dtype
            assert all(P.dtype == dtype for _, P in [*layer.named_parameters(), *layer.named_gradients()])
            for (_, buffer), (_, before) in zip(layer.named_buffers(), row.make().named_buffers(), strict=True):
                assert buffer.dtype == (dtype if before.dtype.kind == "f" else before.dtype)
    for a, b in zip(results, exact, strict=True):
        assert_close(a, b, rtol=1e-4 if row.id == "Linear-of-1100-rows" else 1.3e-6, atol=1e-5)
    if layer.Phi.size:
        nn.SGD(layer, lr=0.1, momentum=0.9, weight_decay=0.1).step()
        Y, dX, dPhi = run(layer, X, row.target)
        arrays = [*([] if isinstance(Y, float) else listed(Y)), *gradients(dX), dPhi, layer.Phi]
        assert all(each.dtype == np.float32 for each in arrays)


@over([row for row in LAYERS if not issubclass(row.kind, nn.Sequential) and row.layer.Phi.size])
def test_a_layer_with_parameters_converts_its_input_to_their_dtype(row: Row):
    Y, dX, _ = run(row.make().astype(np.float32), row.X)
    assert all(each.dtype == np.float32 for each in [*listed(Y), *gradients(dX)])


@over(one_of_each(ROWS))
def test_inputs_are_not_written_and_results_are_not_shared(row: Row):
    layer, X = row.make(), each_of(np.copy, row.X)
    target = each_of(np.copy, row.target) if row.target is not None else None
    Y = forward(layer, X, target)
    dY = some_dY(Y)
    dX = backward(layer, dY)
    assert_equal(X, row.X)
    assert_equal(dY, some_dY(Y))
    if target is not None:
        assert_equal(target, row.target)
    given, results = [*listed(X), *listed(dY), layer.Phi, layer.dPhi], [*listed(Y), *gradients(dX)]
    assert not any(np.shares_memory(result, array) for result in results for array in given)
    assert not any(np.shares_memory(*two) for two in itertools.combinations(results, 2))
    # What shares memory with the cache is read-only.
    open_to_writing = [each for each in listed(Y) if not isinstance(each, float) and each.flags.writeable]
    cached = arrays_in(layer)
    assert not any(np.shares_memory(each, array) for each in [*open_to_writing, *gradients(dX)] for array in cached)


def test_writing_to_a_cached_output_is_an_error():
    for row in LAYERS:
        if row.id in {"Tanh", "Sigmoid", "ReLU", "Softmax"}:
            Y = row.make().forward(row.X)
            with case(row.id), pytest.raises(ValueError, match="read-only"):
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


@over(one_of_each(ROWS))
def test_layout_in_memory_makes_no_difference(row: Row):
    Y, dX, dPhi = run(row.make(), row.X, row.target)
    for layout, laid_out in LAYOUTS.items():
        layer = row.make()
        target = each_of(laid_out, row.target) if row.target is not None else None
        with case(layout):
            Y_other = forward(layer, each_of(laid_out, row.X), target)
            dY = each_of(lambda dY, laid_out=laid_out: dY if isinstance(dY, float) else laid_out(dY), some_dY(Y))
            dX_other = backward(layer, dY)
            assert_close(Y_other, Y, rtol=1e-13, atol=1e-15)
            assert_close(dX_other, dX, rtol=1e-13, atol=1e-15)
            assert_allclose(layer.dPhi, dPhi, rtol=1e-12, atol=1e-14)
            of_whole_numbers = row.kind is nn.Equal  # and has no parameters that would be in float64
            for each in map(np.asarray, [*listed(Y_other), *gradients(dX_other)]):
                assert each.dtype == (np.float32 if of_whole_numbers else np.float64)
                assert each.dtype.isnative


# --------------------------------------------------------------------------------------------------- batches


@over([row for row in ROWS if row.rows_apart])
def test_a_batch_is_its_rows(row: Row):
    layer, each = row.make(), row.make()
    Y, dX, dPhi = run(layer, row.X, row.target)
    n = len(listed(row.X)[0])
    parts = range(0, n, max(1, n // 4))
    mean = row in LOSSES and layer.reduction in ("mean", "batchmean")
    total_J, total_dPhi = 0.0, np.zeros_like(dPhi)
    for i in parts:

        def one(values, i=i):
            return each_of(lambda array: array[i : i + 1], values)

        Y_i = forward(each, one(row.X), None if row.target is None else one(row.target))
        dX_i = backward(each, some_dY(Y) if isinstance(Y, float) else one(some_dY(Y)))
        if dX is not None:
            assert_close(each_of(lambda dX: dX / (n if mean else 1), dX_i), one(dX), rtol=1e-12, atol=1e-15)
        if isinstance(Y, float):
            total_J += Y_i / (n if mean else 1)
        else:
            assert_close(Y_i, one(Y), rtol=1e-12, atol=1e-15)
        total_dPhi += each.dPhi / (n if mean else 1)
    if len(parts) == n:
        assert not isinstance(Y, float) or total_J == pytest.approx(Y, rel=1e-12)
        assert_allclose(total_dPhi, dPhi, rtol=1e-12, atol=1e-14)


@over([row for row in ROWS if row.takes_no_rows and all(X.ndim > 1 for X in listed(row.X))])
def test_a_batch_of_no_rows(row: Row):
    layer = row.make()
    empty, no_target = (
        each_of(lambda X: X[:0], row.X),
        None if row.target is None else each_of(lambda target: target[:0], row.target),
    )
    if getattr(layer, "reduction", None) in ("mean", "batchmean"):
        with pytest.raises(ValueError, match="empty batch"):
            forward(layer, empty, no_target)
        with pytest.raises(nn.StateError):  # a loss that raised has no gradient
            layer.backward()
        return
    layer.dPhi = np.full(layer.dPhi.shape, 99.0)
    Y, dX, dPhi = run(layer, empty, no_target)
    for each, dEach in zip(differentiable(layer, empty), gradients(dX), strict=True):
        assert dEach.shape == each.shape
    assert not np.any(dPhi)
    assert Y == 0 if isinstance(Y, float) else not any(each.size for each in listed(Y))


# --------------------------------------------------------------------------------------------------- bad input


CHOOSING = (
    nn.Where,
    nn.Greater,
    nn.GreaterEqual,
    nn.Equal,
)  # what is not chosen has no influence; NaN is greater than nothing


@over(LAYERS)
def test_values_that_are_not_finite_pass_through_layers(row: Row):
    Y_before = forward(row.make(), row.X)
    for value in (np.nan, np.inf, -np.inf):

        def spoiled(X, value=value):
            X = X.copy()
            X.reshape(-1)[0] = value
            return X

        for X in each_with_another(row.X, spoiled, only=lambda X: X.dtype.kind == "f"):
            layer = row.make()
            with case(value), np.errstate(invalid="ignore"):  # inf * 0 and inf - inf
                Y, dX, _ = run(layer, X)
                assert all(each.shape == before.shape for each, before in pairs(Y, Y_before))
                for each, dEach in zip(differentiable(layer, X), gradients(dX), strict=True):
                    assert dEach.shape == each.shape
                if np.isnan(value) and not isinstance(layer, CHOOSING):
                    assert any(np.isnan(each).any() for each in listed(Y))


@over([row for row in ROWS if not row.id.startswith("BCELoss")])
def test_numbers_up_to_ten_thousand_give_no_warning(row: Row):
    for dtype in (np.float32, np.float64):
        layer, X = row.make().astype(dtype), floats(lambda X, dtype=dtype: (X * 5e3).astype(dtype), row.X)
        with case(dtype.__name__), np.errstate(all="raise", under="ignore"):
            Y, dX, dPhi = run(layer, X, row.target)
            if not row.id.startswith(("Exp", "Power", "Graph-five-nodes-with-Exp", "PoissonNLLLoss-log")):  # exp(1e4)
                assert all(np.isfinite(result).all() for result in [*listed(Y), *gradients(dX), dPhi])


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


def refuses(layer, row, bad):
    """Whether forward of the layer raises a TypeError that names it, for each input and the target in turn."""
    for X in each_with_another(row.X, lambda _: BAD_INPUTS[bad]):
        with case(bad), pytest.raises(TypeError) as caught:
            forward(layer, X, row.target)
        assert type(layer).__name__ in text_of(caught.value)
    if row.target is not None:
        for target in each_with_another(row.target, lambda _: BAD_INPUTS[bad] if bad != "None" else [None]):
            with case(bad), pytest.raises(TypeError, match=f"{type(layer).__name__}.*(target|length)"):
                forward(layer, row.X, target)


@over_few
def test_an_input_that_is_no_array_of_real_numbers_is_a_type_error(row: Row):
    for bad in BAD_INPUTS:
        refuses(row.make(), row, bad)


@over(one_of_each(ROWS))
def test_errors_name_the_layer_and_leave_it_usable(row: Row):
    layer = row.make()
    expected = run(row.make(), row.X, row.target)
    dY = some_dY(expected[0])
    with pytest.raises(nn.StateError, match=f"{type(layer).__name__}.*call forward.* first"):
        backward(layer, dY)
    refuses(layer, row, "complex")
    Y = forward(layer, row.X, row.target)
    for index, shape in enumerate(map(np.shape, listed(Y))):
        for wrong in [(*shape, 1), (*shape, 2), (7,), (7, 7, 7)]:
            dYs = list(each_with_another(dY, lambda _, wrong=wrong: np.ones(wrong)))
            with case(f"dY of shape {wrong}"), pytest.raises(nn.ShapeError) as caught:
                backward(layer, dYs[index])
            assert type(layer).__name__ in text_of(caught.value)
            assert f"{shape}" in text_of(caught.value)
            assert f"{wrong}" in text_of(caught.value)
    if row in LAYERS:
        for dtype in (int, np.uint8, bool):
            for whole in each_with_another(dY, lambda dY, dtype=dtype: np.ones(dY.shape, dtype)):
                with case(f"dY of {dtype}"), pytest.raises(TypeError, match=f"{type(layer).__name__}.*floating"):
                    backward(layer, whole)
        for none in each_with_another(dY, lambda _: None):
            with case("dY is None"), pytest.raises(TypeError, match=f"{type(layer).__name__}.*dY"):
                backward(layer, none)
    assert_equal(Y, expected[0])
    assert_equal(backward(layer, dY), expected[1])
    assert_array_equal(layer.dPhi, expected[2])


@over([row for row in LOSSES if row.id.startswith(("BCE", "CrossEntropy"))])
def test_a_loss_that_refused_its_values_does_not_mix_two_calls(row: Row):
    loss = row.make()
    Y, dX, _ = run(loss, row.X, row.target)
    with pytest.raises(ValueError, match="expected"):
        loss.forward(row.X / 2, np.asarray(row.target) + 7)
    with suppress(nn.StateError):  # or else the gradient is still that of the first call
        assert_array_equal(loss.backward(some_dY(Y)), dX)


# ------------------------------------------------------------------------------------ modes, copies, files, text


@over([row for row in ROWS if row.id in FEW or list(row.layer.named_children())])
def test_train_and_eval_return_the_layer_and_set_the_mode_everywhere(row: Row):
    layer = row.make().train()
    assert layer.eval() is layer
    assert [part.training for _, part in layer.named_layers()] == [False] * len(list(layer.named_layers()))
    assert layer.train() is layer
    assert all(part.training is True for _, part in layer.named_layers())


def assert_views(layer):
    """Phi has every parameter, one after another and nothing else; dPhi likewise."""
    for flat, named in (layer.Phi, layer.named_parameters), (layer.dPhi, layer.named_gradients):
        before, flat[...] = flat.copy(), np.arange(flat.size)
        stored = [P.ravel() for _, P in named()]
        assert_array_equal(np.concatenate([np.empty(0), *stored]), np.arange(flat.size))
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


@over(one_of_each(ROWS))
def test_copies_are_equal_share_nothing_and_have_no_cache_and_clear_cache_drops_it(row: Row):
    used = row.make()
    Y, dX, dPhi = run(used, row.X, row.target)
    assert_views(used)
    for name, layer in itertools.product(COPIES, [row.make(), used]):
        with case(f"{name} of a {'used' if layer is used else 'new'} layer"):
            state = layer.state_dict()
            other = COPIES[name](layer)
            assert not any(np.shares_memory(a, b) for a in arrays_in(layer) for b in arrays_in(other))
            with pytest.raises(nn.StateError):
                backward(other, some_dY(Y))
            assert repr(other) == repr(layer)
            assert_equal(other.state_dict(), state)
            for a, b in zip(run(other, row.X, row.target), (Y, dX, dPhi), strict=True):  # before anybody asks for Phi
                assert_equal(a, b)
            assert_views(other)
            other.Phi += 1
            assert_equal(layer.state_dict(), state)
            assert not any(part.training for _, part in COPIES[name](row.make().eval()).named_layers())
            if layer is used:
                assert_equal(backward(layer, some_dY(Y)), dX)
                assert_views(layer)
    new = row.make()
    new.own_parts()
    used.clear_cache()
    assert sum(array.nbytes for array in arrays_in(used)) == sum(array.nbytes for array in arrays_in(new))
    with pytest.raises(nn.StateError):
        backward(used, some_dY(Y))
    for a, b in zip(run(used, row.X, row.target), (Y, dX, dPhi), strict=True):
        assert_equal(a, b)


@over([row for row in ROWS if list(row.layer.named_generators())])
def test_a_copy_draws_the_same_numbers_from_a_generator_of_its_own(row: Row):
    layer = row.make()
    for name, copied in COPIES.items():
        with case(name):
            other = copied(layer)
            drawn = [spread(other.forward, row.X) for _ in range(2)]
            assert not np.array_equal(*drawn) or not layer.training
            for Y in drawn:
                assert_equal(spread(layer.forward, row.X), Y)


@over(one_of_each(ROWS))
def test_state_dict_can_be_loaded(row: Row):
    layer, other = row.make(), row.make()
    run(layer, row.X, row.target)
    other.Phi = np.arange(other.Phi.size)
    state = layer.state_dict()
    arrays = [
        array
        for path, part in other.named_layers()
        for names, kind in ((part._parameters, other.named_parameters), (part._buffers, other.named_buffers))
        for name, array in kind()
        if name.rpartition(".")[0] == path and name.rpartition(".")[2] in names
    ]
    assert len(state) == len(arrays)
    assert not any(np.shares_memory(a, b) for a in state.values() for b in arrays_in(layer))
    other.load_state_dict(state)
    assert_equal(other.state_dict(), state)
    for stored, value in zip(arrays, state.values(), strict=True):  # in place; parameters first, layer by layer
        assert_array_equal(stored, value)
        assert stored.dtype == value.dtype
    assert_views(other)


@over([row for row in ROWS if row.id in FEW or row in OWN])
def test_state_changes_in_training_mode_and_in_forward_only(row: Row):
    layer = row.make()
    Y = spread(layer.forward, row.X) if row.target is None else layer.forward(row.X, row.target)
    before = state_of(layer)
    backward(layer, some_dY(Y))
    assert state_of(layer) == before
    layer.eval()
    Y = spread(layer.forward, row.X) if row.target is None else layer.forward(row.X, row.target)
    backward(layer, some_dY(Y))
    assert state_of(layer) == before


def state_of(layer):
    """The bytes of the parameters and buffers, and the states of the generators."""
    arrays = {name: array.tobytes() for name, array in layer.state_dict().items()}
    return arrays, {name: str(each.bit_generator.state) for name, each in layer.named_generators()}


@over(one_of_each(ROWS))
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
        rebuilt = eval(text, {**vars(nn), type(layer).__name__: type(layer)}).train(layer.training)
        assert repr(rebuilt) == text
        if row not in OWN:  # the repr has every option
            assert_equal(forward(rebuilt, row.X, row.target), forward(layer, row.X, row.target))


@over(one_of_each(ROWS))
def test_a_twin_writes_nothing_on_the_layer(row: Row):
    layer = row.make()
    run(layer, row.X, row.target)
    before = snapshot(layer)
    twin = layer.evaluation_twin()
    X = floats(lambda X: X / 2, row.X)
    Y, dX, _ = run(copy.deepcopy(layer).eval(), X, row.target)
    assert type(twin) is type(layer)
    assert not any(part.training for _, part in twin.named_layers())
    assert_equal(forward(twin, X, row.target), Y)
    assert_same(before, snapshot(layer))
    assert_equal(backward(twin, some_dY(Y)), dX)
    assert [P.ctypes.data for _, P in twin.named_parameters()] == [P.ctypes.data for _, P in layer.named_parameters()]
    buffers = itertools.product(dict(twin.named_buffers()).values(), dict(layer.named_buffers()).values())
    assert not any(np.shares_memory(*two) for two in buffers)


@over([row for row in ROWS if row.id in FEW or isinstance(row.layer, nn.Graph)])
def test_calling_the_layer_is_forward(row: Row):
    layer = row.make()
    Y = spread(layer, row.X) if row.target is None else layer(row.X, row.target)
    assert_equal(Y, forward(layer, row.X, row.target))


def agree(known, shape):
    """Whether what is known of a shape is true of it."""
    ends = zip(reversed(sizes(known)), reversed(shape), strict=False)
    rest = len(shape) - len(sizes(known))
    return all(size in (None, n) for size, n in ends) and (rest >= 0 if is_open(known) else rest == 0)


VAGUE = {
    "exactly": lambda shape: shape,
    "but-for-the-batch": lambda shape: (None, *shape[1:]) if shape else (),
    "axes": lambda shape: (None,) * len(shape),
    "two-axes-and-more": lambda shape: (..., *shape[-2:]) if len(shape) > 1 else shape,
    "width": lambda shape: (..., shape[-1]) if shape else (),
    "nothing": lambda shape: UNKNOWN,
}


@over(LAYERS)
def test_output_shape_is_true(row: Row):
    layer = row.make()
    Ys = listed(forward(layer, row.X))
    for known, known_of in VAGUE.items():
        with case(known):
            promised = layer.output_shape(*[known_of(X.shape) for X in listed(row.X)])
            if layer.num_outputs == 1:
                promised = (promised,)
            elif promised == UNKNOWN:
                promised = (UNKNOWN,) * layer.num_outputs
            assert all(agree(shape, Y.shape) for shape, Y in zip(promised, Ys, strict=True)), promised
