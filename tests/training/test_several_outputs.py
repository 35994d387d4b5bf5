"""Several inputs and outputs, in tuples and dicts: fit, evaluate, predict and the diagnostics."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from support.own_layers import ScaledMSELoss

import nnlite as nn

RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(10, 3)), RNG.normal(size=(10, 2))
CLASSES = np.array([0, 1, 2, 0, 1, 2, 0, 0, 1, 2])
SIZES = RNG.normal(size=(10, 1))
WEIGHTS = [1.0, 5.0, 20.0]


def graph(form="tuple", seed=0):
    """Two inputs, a and b; two outputs, scores of three classes and a size."""
    rng = np.random.default_rng(seed)
    a, b = nn.Input("a"), nn.Input("b")
    h = nn.Tanh()(nn.Linear(5, 4, rng=rng, dtype=np.float64)(nn.Concat()(a, b)))
    scores = nn.Linear(4, 3, rng=rng, dtype=np.float64)(h)
    size = nn.Linear(4, 1, rng=rng, dtype=np.float64)(h)
    if form == "tuple":
        return nn.Graph([a, b], [scores, size])
    return nn.Graph({"a": a, "b": b}, {"scores": scores, "size": size})


def inputs(form):
    return (A, B) if form == "tuple" else {"b": B, "a": A}


def targets(form):
    return (CLASSES, SIZES) if form == "tuple" else {"size": SIZES, "scores": CLASSES}


def losses(form, **options):
    scores, size = nn.CrossEntropyLoss(**options), nn.MSELoss()
    return (scores, size) if form == "tuple" else {"scores": scores, "size": size}


def train(model, X, Y, loss, lr=0.1, **options):
    return nn.fit(model, X, Y, loss=loss, optimizer=nn.SGD(model, lr), **{"verbose": 0, "rng": 0, **options})


def keys(form):
    return ("0", "1") if form == "tuple" else ("scores", "size")


both = pytest.mark.parametrize("form", ["tuple", "dict"])


# ------------------------------------------------------------------------------------ fit


@both
def test_fit_is_the_loop_by_hand(form):
    model, by_hand = graph(form), graph()
    history = train(model, inputs(form), targets(form), losses(form), epochs=3, batch_size=4, rng=7)
    rng, optimizer = np.random.default_rng(7), nn.SGD(by_hand, lr=0.1)
    first, second, epochs = nn.CrossEntropyLoss(), nn.MSELoss(), []
    for _ in range(3):
        order, totals = rng.permutation(10), [0.0, 0.0]
        for rows in order[:4], order[4:8], order[8:]:
            scores, size = by_hand.forward(A[rows], B[rows])
            totals[0] += first.forward(scores, CLASSES[rows]) * len(rows)
            totals[1] += second.forward(size, SIZES[rows]) * len(rows)
            by_hand.backward(first.backward(), second.backward())
            optimizer.step()
        epochs.append(totals)
    assert_array_equal(model.Phi, by_hand.Phi)
    one, two = keys(form)
    assert list(history) == ["loss", f"loss_{one}", f"loss_{two}"]
    assert_allclose(history[f"loss_{one}"], [totals[0] / 10 for totals in epochs], rtol=1e-14)
    assert_allclose(history[f"loss_{two}"], [totals[1] / 10 for totals in epochs], rtol=1e-14)
    assert_allclose(history["loss"], [sum(totals) / 10 for totals in epochs], rtol=1e-14)


@both
def test_it_learns(form):
    model = graph(form)
    history = train(model, inputs(form), targets(form), losses(form), epochs=200, lr=0.3)
    assert history["loss"][-1] < 0.3 * history["loss"][0]


@both
@pytest.mark.parametrize("options", [{}, {"weight": WEIGHTS}, {"ignore_index": 0}, {"reduction": "sum"}])
def test_the_losses_of_an_epoch_with_a_short_last_batch_are_those_of_all_rows(form, options):
    model = graph(form)
    scores, size = graph().forward(A, B)
    exact = [nn.CrossEntropyLoss(**options).forward(scores, CLASSES), nn.MSELoss().forward(size, SIZES)]
    X, Y, loss = inputs(form), targets(form), losses(form, **options)
    history = train(model, X, Y, loss, lr=0.0, batch_size=4, validation_data=(X, Y))
    for prefix in "", "val_":
        assert_allclose(history[prefix + "loss"], [sum(exact)], rtol=1e-12)
        for key, J in zip(keys(form), exact, strict=True):
            assert_allclose(history[f"{prefix}loss_{key}"], [J], rtol=1e-12)
    found = nn.evaluate(model, X, Y, loss=loss, batch_size=3)
    assert found == {name: pytest.approx(history[name][0], rel=1e-12) for name in found}
    assert list(found) == ["loss", *(f"loss_{key}" for key in keys(form))]


@both
def test_metrics_get_the_outputs_and_targets_in_their_form(form):
    seen = []

    def both_right(Y_pred, Y):
        seen.append((type(Y_pred), type(Y)))
        scores, size = Y_pred if form == "tuple" else (Y_pred["scores"], Y_pred["size"])
        classes, sizes = Y if form == "tuple" else (Y["scores"], Y["size"])
        assert len(scores) == len(size) == len(classes) == len(sizes)
        return nn.accuracy(scores, classes)

    history = train(graph(form), inputs(form), targets(form), losses(form), metrics=[both_right], lr=0.0, batch_size=4)
    expected = nn.accuracy(graph().forward(A, B)[0], CLASSES)
    assert history["both_right"] == [pytest.approx(expected)]
    kind = tuple if form == "tuple" else dict
    assert set(seen) == {(kind, kind)}


@both
def test_validation_split_takes_the_same_rows_of_all(form):
    class Rows(nn.Layer):
        """Passes two inputs on, and notes which rows came."""

        num_outputs = 2

        def __init__(self):
            self.seen = {True: [], False: []}

        def forward(self, X, Y):
            assert_array_equal(X[:, 0], 10 * Y[:, 0])
            self.seen[self.training] += X[:, 0].tolist()
            return X, Y

        def backward(self, dX, dY):
            return dX, dY

    rows = np.arange(10.0)[:, None]
    a, b = nn.Input("a"), nn.Input("b")
    watched = Rows()
    model = nn.Graph([a, b], [nn.Linear(1, 1, dtype=np.float64)(node) for node in watched(a, b)])
    X = (10 * rows, rows) if form == "tuple" else {"a": 10 * rows, "b": rows}
    history = train(
        model, X, (rows, 10 * rows), (nn.MSELoss(), nn.MSELoss()), validation_split=0.3, lr=0.0, batch_size=4
    )
    assert len(watched.seen[True]) == 7
    assert set(watched.seen[False]).isdisjoint(watched.seen[True])
    assert set(watched.seen[False]) | set(watched.seen[True]) == set((10 * rows).ravel())
    assert list(history) == ["loss", "loss_0", "loss_1", "val_loss", "val_loss_0", "val_loss_1"]


def test_several_inputs_and_one_output():
    a, b = nn.Input("a"), nn.Input("b")
    make = lambda: nn.Graph([a, b], nn.Linear(3, 1, rng=0)(a) + nn.Linear(2, 1, rng=1)(b))  # noqa: E731
    model, named = make(), make()
    history = train(model, (A, B), SIZES, nn.MSELoss(), epochs=20)
    assert list(history) == ["loss"]
    assert history["loss"][-1] < history["loss"][0]
    train(named, {"a": A, "b": B}, SIZES, nn.MSELoss(), epochs=20)
    assert_array_equal(model.Phi, named.Phi)


def test_one_input_and_several_outputs():
    x = nn.Input("x")
    model = nn.Graph(x, {"mean": nn.Linear(3, 1, rng=0)(x)})
    history = train(model, A, {"mean": SIZES}, {"mean": nn.MSELoss()}, epochs=2)
    assert list(history) == ["loss"]  # of one loss there is no need to tell which
    chained = nn.Sequential(nn.Linear(3, 4, rng=0), nn.Split([1, 3]))
    history = train(chained, A, (SIZES, CLASSES), (nn.MSELoss(), nn.CrossEntropyLoss()), epochs=20)
    assert history["loss"][-1] < history["loss"][0]


def test_an_optimizer_may_move_the_parameters_of_one_of_the_losses():
    model, scaled = graph(), ScaledMSELoss()
    nn.fit(
        model,
        (A, B),
        (CLASSES, SIZES),
        loss=(nn.CrossEntropyLoss(), scaled),
        optimizer=[nn.SGD(model, 0.0), nn.SGD(scaled, 0.5)],
        batch_size=10,
        verbose=0,
    )
    J = nn.MSELoss().forward(graph().forward(A, B)[1], SIZES)
    assert_allclose(scaled.a, 1 - 0.5 * J, rtol=1e-6)


@both
def test_nothing_that_is_given_is_written(form):
    X, Y = inputs(form), targets(form)
    for array in (A, B, CLASSES, SIZES):
        array.setflags(write=False)
    try:
        train(graph(form), X, Y, losses(form), shuffle=False)
        nn.predict(graph(form), X)
    finally:
        for array in (A, B, CLASSES, SIZES):
            array.setflags(write=True)


@both
def test_memmaps_are_read_a_batch_at_a_time(form, tmp_path):
    maps = {}
    for name, values in {"a": A, "b": B, "size": SIZES, "scores": CLASSES}.items():
        maps[name] = np.memmap(tmp_path / name, values.dtype, "w+", shape=values.shape)
        maps[name][:] = values
    most = 0

    class Rows:
        def __init__(self, values):
            self.values = values

        def __len__(self):
            return len(self.values)

        def __getitem__(self, rows):
            nonlocal most
            most = max(most, len(self.values[rows]))
            return self.values[rows]

    X = (maps["a"], Rows(maps["b"])) if form == "tuple" else {"a": maps["a"], "b": Rows(maps["b"])}
    Y = (maps["scores"], Rows(maps["size"])) if form == "tuple" else {k: maps[k] for k in ("scores", "size")}
    model, same = graph(form), graph(form)
    train(model, X, Y, losses(form), batch_size=4, epochs=2)
    train(same, inputs(form), targets(form), losses(form), batch_size=4, epochs=2)
    assert_array_equal(model.Phi, same.Phi)
    assert most == 4
    for Y_map, Y_array in zip(*[_listed(nn.predict(model, rows)) for rows in (X, inputs(form))], strict=True):
        assert_array_equal(Y_map, Y_array)
    assert nn.evaluate(model, X, Y, loss=losses(form)) == nn.evaluate(
        model, inputs(form), targets(form), loss=losses(form)
    )


def _listed(values):
    return list(values.values() if isinstance(values, dict) else values)


# ------------------------------------------------------------------------------------ predict


@both
@pytest.mark.parametrize("batch_size", [3, 10, 1024])
def test_predict_keeps_the_form(form, batch_size):
    model = graph(form)
    Ys = nn.predict(model, inputs(form), batch_size=batch_size)
    assert type(Ys) is (tuple if form == "tuple" else dict)
    if form == "dict":
        assert list(Ys) == ["scores", "size"]
    for Y, exact in zip(_listed(Ys), graph().forward(A, B), strict=True):
        assert_allclose(Y, exact, rtol=1e-12)
        Y[:] = 0  # they are the caller's own
    with pytest.raises(nn.StateError, match="backward was called before forward"):
        model.backward(np.ones((10, 3)), np.ones((10, 1)))


def test_predict_of_an_output_that_has_not_a_row_for_each_row():
    x = nn.Input("x")
    model = nn.Graph(x, [nn.Tanh()(x), nn.Sum()(x)])
    with pytest.raises(nn.ShapeError, match=r"expected an output row for each of the 10 rows of X, got shape \(\)"):
        nn.predict(model, A)


# ------------------------------------------------------------------------------------ what does not match


@pytest.mark.parametrize(
    ("form", "Y", "loss", "message"),
    [
        ("tuple", CLASSES, "tuple", "got a tuple of 2; the targets Y are one array"),
        ("tuple", (CLASSES,), "tuple", "got a tuple of 2; the targets Y are a tuple of 1"),
        ("tuple", {"scores": CLASSES, "size": SIZES}, "tuple", "the targets Y are a dict of scores, size"),
        (
            "tuple",
            {"scores": CLASSES, "size": SIZES},
            "dict",
            "a dict of scores, size; the model's outputs are a tuple",
        ),
        ("dict", (CLASSES, SIZES), "tuple", "got a tuple of 2; the model's outputs are a dict of scores, size"),
        ("dict", {"scores": CLASSES, "sizes": SIZES}, "dict", "the targets Y are a dict of scores, sizes"),
    ],
)
def test_losses_targets_and_outputs_of_different_forms(form, Y, loss, message):
    model = graph(form)
    before = model.Phi.copy()
    for call in train, lambda model, X, Y, loss: nn.evaluate(model, X, Y, loss=loss):
        with pytest.raises(TypeError, match="loss: expected a loss for each output.*" + message):
            call(model, inputs(form), Y, losses(loss))
    assert_array_equal(model.Phi, before)


@both
def test_one_loss_for_several_outputs(form):
    model = graph(form)
    before = model.Phi.copy()
    with pytest.raises((TypeError, ValueError)) as caught:
        train(model, inputs(form), SIZES, nn.MSELoss())
    assert "the model has several outputs: pass a tuple or dict of losses" in "".join(caught.value.__notes__)
    assert_array_equal(model.Phi, before)


def test_several_losses_for_one_output():
    with pytest.raises(TypeError, match="got a tuple of 2; the model's outputs are one array"):
        train(nn.Linear(3, 1), A, (SIZES, SIZES), (nn.MSELoss(), nn.MSELoss()))


@both
def test_a_metric_with_the_name_of_a_loss(form):
    name = f"loss_{keys(form)[1]}"
    metric = lambda Y_pred, Y: 0.0  # noqa: E731
    metric.__name__ = name
    with pytest.raises(ValueError, match=f"metrics: there are two series called '{name}'"):
        train(graph(form), inputs(form), targets(form), losses(form), metrics=[metric])


def test_one_loss_twice():
    loss = nn.MSELoss()
    with pytest.raises(ValueError, match=r"the same loss object is used twice, MSELoss\(\); write a second one"):
        train(graph(), (A, B), (SIZES, SIZES), (loss, loss))


def test_something_that_is_no_loss():
    with pytest.raises(TypeError, match=r"loss: expected a Loss such as .*, got 3"):
        train(graph(), (A, B), (CLASSES, SIZES), (nn.CrossEntropyLoss(), 3))
    with pytest.raises(ValueError, match=r'loss: expected one number per batch.*got "none"'):
        train(graph(), (A, B), (CLASSES, SIZES), (nn.CrossEntropyLoss(), nn.MSELoss(reduction="none")))


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ((A,), "expected 2 inputs, got 1"),
        ((A, B, B), "expected 2 inputs, got 3"),
        (A, "expected 2 inputs, got 1"),
        ({"a": A}, "expected the inputs a, b, each once, got a"),
        ({"a": A, "c": B}, "expected the inputs a, b, each once, got a, c"),
    ],
)
def test_inputs_that_do_not_match_the_model(X, message):
    for call in (
        lambda model: train(model, X, (CLASSES, SIZES), losses("tuple")),
        lambda model: nn.evaluate(model, X, (CLASSES, SIZES), loss=losses("tuple")),
        lambda model: nn.predict(model, X),
        lambda model: nn.input_gradient(model, X),
        lambda model: nn.profile(model, X, repeats=1),
    ):
        with pytest.raises(TypeError, match=message):
            call(graph())


def test_wrong_numbers_of_rows_are_named():
    with pytest.raises(ValueError, match="X and Y: expected the same number of rows, got 10 and 9 rows in X"):
        train(graph(), (A, B[:9]), (CLASSES, SIZES), losses("tuple"))
    with pytest.raises(ValueError, match="10 and 10 rows in X and 10 and 9 in Y"):
        train(graph(), (A, B), (CLASSES, SIZES[:9]), losses("tuple"))
    data = ((A, B[:9]), (CLASSES, SIZES))
    with pytest.raises(
        ValueError, match=r"validation X and validation Y: expected the same number of rows.*10 and 9 rows in"
    ):
        train(graph(), (A, B), (CLASSES, SIZES), losses("tuple"), validation_data=data)
    with pytest.raises(TypeError, match=r"X\['b'\]: expected one row per sample, got a single number"):
        nn.predict(graph("dict"), {"a": A, "b": 3.0})
    with pytest.raises(TypeError, match=r"X\[1\]: expected real numbers"):
        nn.predict(graph(), (A, np.array(["x"] * 10)))


def test_no_rows():
    with pytest.raises(ValueError, match="X: expected at least one row, got none"):
        train(graph(), (A[:0], B[:0]), (CLASSES[:0], SIZES[:0]), losses("tuple"))
    with pytest.raises((TypeError, ValueError), match="X"):
        train(graph(), (), (CLASSES, SIZES), losses("tuple"))


def test_mistakes_in_the_validation_data_come_up_before_training():
    model = graph()
    before = model.Phi.copy()
    with pytest.raises(TypeError, match="expected a loss for each output") as caught:
        train(model, (A, B), (CLASSES, SIZES), losses("tuple"), validation_data=((A, B), CLASSES))
    assert caught.value.__notes__[-1] == "on the validation data, tried before training"
    assert_array_equal(model.Phi, before)


@both
def test_divergence_is_placed(form):
    model = graph(form)
    model.layers[-1].b = [np.nan]
    with pytest.raises(nn.DivergenceError, match=r"epoch 1, batch 1: b of Graph\[4\] Linear\(4 -> 1"):
        train(model, inputs(form), targets(form), losses(form))
    bad = {name: X.copy() for name, X in {"a": A, "b": B}.items()}
    bad["b"][3, 1] = np.inf
    with pytest.raises(nn.DivergenceError, match=r"X\[(1|'b')\]\[3, 1\] is inf"):
        train(graph(form), tuple(bad.values()) if form == "tuple" else bad, targets(form), losses(form))
    Y = targets(form)
    sizes = np.full_like(SIZES, np.nan)
    Y = (CLASSES, sizes) if form == "tuple" else {**Y, "size": sizes}
    with pytest.raises(nn.DivergenceError, match=r"Y\[(1|'size')\]\[\d, 0\] is nan"):
        train(graph(form), inputs(form), Y, losses(form))


def test_divergence_of_one_loss_of_two():
    model = graph()
    with pytest.warns(RuntimeWarning, match="the loss is "):
        history = train(model, (A, B), (CLASSES, SIZES), losses("tuple"), lr=1e200, epochs=5, on_nan="stop")
    assert history.epochs <= 2
    assert all(map(math.isfinite, history.get("loss", [])))


# ------------------------------------------------------------------------------------ diagnostics


@both
def test_check_gradients(form):
    report = nn.check_gradients(graph(form), inputs(form))
    assert report.right
    names = [line.name for line in report.comparisons]
    assert names == ["a", "b", *(name for name, _ in graph().named_parameters())]


@both
def test_check_gradients_finds_the_input_that_is_wrong(form):
    class Wrong(nn.Subtract):
        def backward(self, dZ):
            dX, dY = super().backward(dZ)
            return dX, -dY

    a, b = nn.Input("a"), nn.Input("b")
    model = nn.Graph([a, b] if form == "tuple" else {"a": a, "b": b}, Wrong()(a, b))
    X = (A, 2 * A) if form == "tuple" else {"b": 2 * A, "a": A}
    with pytest.raises(nn.GradientError) as caught:
        nn.check_gradients(model, X)
    assert [line.right for line in caught.value.report.comparisons] == [True, False]
    assert "WRONG  db" in str(caught.value)


def test_check_gradients_leaves_whole_numbers_alone():
    report = nn.check_gradients(nn.Add(), (A, np.arange(3)))
    assert [line.name for line in report.comparisons] == ["X1"]


def test_check_gradients_with_a_loss_behind_and_whole_numbers():
    a, c = nn.Input("a"), nn.Input("c")
    model = nn.Graph([a, c], nn.CrossEntropyLoss()(nn.Linear(3, 3, rng=0)(a), c))
    assert [line.name for line in nn.check_gradients(model, (A, CLASSES)).comparisons] == ["a", "0.W", "0.b"]
    behind = nn.Graph([a, b := nn.Input("b")], nn.Linear(3, 2, rng=0)(a) * b)
    report = nn.check_gradients(behind, (A, B), B - 1, nn.MSELoss())
    assert [line.name for line in report.comparisons] == ["a", "b", "0.W", "0.b"]


def test_check_gradients_with_a_loss_for_each_output():
    report = nn.check_gradients(graph(), (A, B), (CLASSES, SIZES), losses("tuple"))
    names = [name for name, _ in graph().named_parameters()]
    assert report.right
    assert [line.name for line in report.comparisons] == ["a", "b", *names]


@both
def test_summary(form):
    shapes = ((3,), (2,)) if form == "tuple" else {"b": 2, "a": (3,)}
    table = nn.summary(graph(form), shapes)
    assert [(row.path, row.output_shape, row.parameters) for row in table.rows] == [
        ("0", (None, 5), 0),
        ("1", (None, 4), 24),
        ("2", (None, 4), 0),
        ("3", (None, 3), 15),
        ("4", (None, 1), 5),
    ]
    assert table.parameters == 44
    assert "(N, 5)" in str(table)


def test_summary_of_several_outputs_parameters_and_numbers():
    x, theta = nn.Input("x"), nn.Parameter([1.0, 2.0], name="theta")
    left, right = nn.Split([2, 1])(x)
    rows = nn.summary(nn.Graph(x, [theta * left, nn.Sum()(right), nn.Square()(theta)]), 3).rows
    shapes = {row.layer.split("(")[0]: row.output_shape for row in rows}
    assert shapes == {
        "Parameter": (2,),
        "Split": ((None, 2), (None, 1)),
        "Multiply": (None, 2),
        "Sum": (),
        "Square": (2,),
    }
    assert "(N, 2), (N, 1)" in str(nn.summary(nn.Split([2, 1]), 3))


@both
def test_profile(form):
    model = graph(form)
    result = nn.profile(model, inputs(form), repeats=1)
    assert [row.path for row in result.rows] == ["0", "1", "2", "3", "4"]
    assert all(row.backward for row in result.rows)
    assert [row.forward.operations for row in result.rows][1] == 10 * 4 * 5 * 2 + 10 * 4
    assert "total" in str(result)
    model.needs_dX = False
    assert nn.profile(model, inputs(form), repeats=1).rows[0].backward is None
    with pytest.raises(nn.StateError, match="backward was called before forward"):
        model.backward(np.ones((10, 3)), np.ones((10, 1)))


def test_profile_of_parameters_and_losses_in_a_graph():
    x, t, theta = nn.Input("x"), nn.Input("t"), nn.Parameter([1.0, 2.0, 3.0], name="theta")
    model = nn.Graph([x, t], nn.MSELoss()(theta * x, t))
    result = nn.profile(model, (A.astype(np.float32), A.astype(np.float32)), repeats=1)
    assert [row.path for row in result.rows] == ["theta", "1", "2"]
    behind = nn.Graph([x, b := nn.Input("b")], nn.Linear(3, 2, rng=0)(x) * b)
    result = nn.profile(behind, (A, B), B, nn.MSELoss(), repeats=1)
    assert [row.path for row in result.rows] == ["0", "1", "loss"]


# ------------------------------------------------------------------------------------ each output for itself


def formed(form, scores, size):
    return (scores, size) if form == "tuple" else {"scores": scores, "size": size}


def by_output(form, values):
    return values if form == "tuple" else (values["scores"], values["size"])


@both
@pytest.mark.parametrize("accumulate_steps", [1, 2])
def test_losses_have_weights(form, accumulate_steps):
    # keras#3212, keras#12404. J = 3 J1 + 0.5 J2, so dJ/dPhi = 3 dJ1/dPhi + 0.5 dJ2/dPhi, one loss after the other
    by_hand, gradients, Js = graph(), [], []
    for pick in range(2):
        Ys, loss = by_hand.forward(A, B), losses("tuple")[pick]
        Js.append(loss.forward(Ys[pick], targets("tuple")[pick]))
        dYs = [np.zeros_like(Y) for Y in Ys]
        dYs[pick] = loss.backward()
        by_hand.backward(*dYs)
        gradients.append(by_hand.dPhi.copy())
    model, J = graph(form), 3 * Js[0] + 0.5 * Js[1]
    loss = formed(form, (3, nn.CrossEntropyLoss()), (0.5, nn.MSELoss()))
    options = {"batch_size": 10 // accumulate_steps, "accumulate_steps": accumulate_steps, "shuffle": False}
    history = train(model, inputs(form), targets(form), loss, validation_data=(inputs(form), targets(form)), **options)
    assert_allclose(model.Phi, by_hand.Phi - 0.1 * (3 * gradients[0] + 0.5 * gradients[1]), rtol=1e-10, atol=1e-12)
    first, second = keys(form)
    assert_allclose([history[name][0] for name in ("loss", f"loss_{first}", f"loss_{second}")], [J, *Js], rtol=1e-10)
    weighted = 3 * history[f"val_loss_{first}"][0] + 0.5 * history[f"val_loss_{second}"][0]
    assert history["val_loss"] == [pytest.approx(weighted, rel=1e-12)]
    nn.check_gradients(graph(form), inputs(form), targets(form), loss)  # raises if one differs


@both
def test_weights_of_losses_beside_sample_and_class_weights(form):
    rng = np.random.default_rng(3)
    weight, model = rng.random(10), graph(form)
    P = by_output(form, nn.predict(model, inputs(form)))
    by_class = weight * np.where(CLASSES == 2, 4.0, 1.0)
    scores = np.average(nn.CrossEntropyLoss(reduction="none").forward(P[0], CLASSES), weights=by_class)
    size = np.average((P[1] - SIZES)[:, 0] ** 2, weights=weight)
    loss = formed(form, (3, nn.CrossEntropyLoss()), (0.5, nn.MSELoss()))
    options = {"sample_weight": weight, "class_weight": formed(form, {2: 4.0}, None), "lr": 0.0, "batch_size": 10}
    history = train(model, inputs(form), targets(form), loss, **options)
    assert history["loss"] == [pytest.approx(3 * scores + 0.5 * size, rel=1e-12)]


@both
@pytest.mark.parametrize("target", [None, SIZES])
def test_an_output_without_a_loss(form, target):
    # tensorflow#36827: the second output is trained on nothing, but may have a target for a metric
    model, other = graph(form), graph("tuple", seed=0)
    loss, Y = formed(form, nn.CrossEntropyLoss(), None), formed(form, CLASSES, target)
    metrics = formed(form, [], [nn.r2] if target is not None else [])
    before = by_output(form, nn.predict(model, inputs(form)))[1]
    history = train(model, inputs(form), Y, loss, metrics=metrics, batch_size=10, shuffle=False, validation_split=0)
    scores = nn.CrossEntropyLoss()
    scores.forward(other.forward(A, B)[0], CLASSES)
    other.backward(scores.backward(), np.zeros((10, 1)))
    assert_allclose(model.Phi, other.Phi - 0.1 * other.dPhi, rtol=1e-12)
    if target is not None:
        unexplained = np.sum((before - SIZES) ** 2) / np.sum((SIZES - SIZES.mean()) ** 2)
        assert history[f"r2_{keys(form)[1]}"] == [pytest.approx(1 - unexplained)]
    if form == "dict" and target is None:
        del Y["size"]  # it may also be left out
        assert nn.evaluate(model, inputs(form), Y, loss=loss, batch_size=3).keys() == {"loss"}


@both
def test_metrics_of_each_output_know_its_loss(form):
    # keras#11740: own metrics for each output. Logits of one output are known from its loss (keras#13006).
    rng = np.random.default_rng(5)
    flags, model = (rng.random((10, 1)) > 0.5) * 1.0, graph(form)
    loss, Y = formed(form, nn.CrossEntropyLoss(), nn.BCEWithLogitsLoss()), formed(form, CLASSES, flags)
    metrics = formed(form, [nn.accuracy], [nn.binary_accuracy, nn.f1])
    P = by_output(form, nn.predict(model, inputs(form)))
    positive = P[1] > 0
    both_positive = np.sum(positive & (flags == 1))
    expected = [
        np.mean(P[0].argmax(axis=1) == CLASSES),
        np.mean(positive == (flags == 1)),
        2 * both_positive / (positive.sum() + flags.sum()),
    ]
    first, second = keys(form)
    names = [f"accuracy_{first}", f"binary_accuracy_{second}", f"f1_{second}"]
    found = nn.evaluate(model, inputs(form), Y, loss=loss, metrics=metrics, batch_size=3)
    assert_allclose([found[name] for name in names], expected, rtol=1e-12)
    history = train(model, inputs(form), Y, loss, metrics=metrics, lr=0.0, batch_size=3, validation_split=0.3)
    assert {*names, *(f"val_{name}" for name in names)} <= set(history)
    nn.EarlyStopping(f"val_accuracy_{first}")  # the name still tells that higher is better


@both
@pytest.mark.parametrize("metric", [nn.binary_accuracy, nn.f1, nn.recall, nn.roc_auc, nn.r2])
def test_a_metric_of_one_output_for_several_is_an_error_with_the_line(form, metric):
    # keras#12404: outputs of one shape would be stacked, and the metric be that of no output at all
    a = nn.Input("a")
    parts = nn.Linear(3, 1, rng=0)(a), nn.Linear(3, 1, rng=1)(a)
    model = nn.Graph(a, formed(form, *parts))
    Y, loss = formed(form, (SIZES > 0) * 1.0, (SIZES > 0) * 1.0), formed(form, nn.MSELoss(), nn.MSELoss())
    with pytest.raises(TypeError, match="expected the predictions of one output, got those of 2") as caught:
        train(model, A, Y, loss, metrics=[metric])
    line = str(caught.value).split("metrics=")[1]
    train(model, A, Y, loss, lr=0.0, metrics=eval(line, {"nnlite": nn}))


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ({"score": [nn.accuracy]}, "got 'score'; the losses are of scores, size"),
        (([nn.accuracy], []), "got 0; the losses are of scores, size"),
    ],
)
def test_metrics_of_an_output_that_is_not_there(metrics, message):
    with pytest.raises(TypeError, match=message):
        train(graph("dict"), inputs("dict"), targets("dict"), losses("dict"), metrics=metrics)


def test_metrics_of_outputs_where_there_is_one():
    with pytest.raises(TypeError, match="got 'size'; there is one loss, so pass a list"):
        train(nn.Linear(3, 1), A, SIZES, nn.MSELoss(), metrics={"size": [nn.r2]})


def test_a_metric_of_an_output_without_a_target():
    with pytest.raises(TypeError, match="the targets Y have no entry 1, which a metric of that output needs"):
        train(graph(), (A, B), (CLASSES, None), (nn.CrossEntropyLoss(), None), metrics=([], [nn.r2]))


@pytest.mark.parametrize(
    ("loss", "kind", "message"),
    [
        ([nn.CrossEntropyLoss(), nn.MSELoss()], TypeError, r"got a list; pass \(CrossEntropyLoss\(\), MSELoss\(\)\)"),
        ((None, None), ValueError, "expected a loss for at least one output"),
        ((nn.CrossEntropyLoss(), (-1.0, nn.MSELoss())), ValueError, "loss: weight of output 1"),
        ((nn.CrossEntropyLoss(), (math.nan, nn.MSELoss())), ValueError, "loss: weight of output 1"),
    ],
)
def test_losses_that_cannot_be_added(loss, kind, message):
    with pytest.raises(kind, match=message):
        train(graph(), (A, B), (CLASSES, SIZES), loss)


@both
def test_an_error_of_a_metric_names_the_output(form):
    with pytest.raises(nn.ShapeError, match="expected predictions for two or more classes") as caught:
        train(graph(form), inputs(form), targets(form), losses(form), metrics=formed(form, [], [nn.accuracy]))
    name = 1 if form == "tuple" else "size"
    assert f"in a metric of output {name!r}" in caught.value.__notes__


@both
def test_an_error_of_a_loss_names_the_output(form):
    with pytest.raises(nn.ShapeError) as caught:
        train(graph(form), inputs(form), formed(form, CLASSES, SIZES[:, 0]), losses(form))
    name = 1 if form == "tuple" else "size"
    assert f"in the loss of output {name!r}" in caught.value.__notes__


@both
def test_sanity_of_weighted_losses_and_an_output_without_one(form):
    model = graph(form)
    loss = formed(form, (3.0, nn.CrossEntropyLoss()), None)
    found = nn.sanity(model, loss, inputs(form), targets(form))
    assert found.gradients.right
    assert found.initial_loss.right
    assert "expected 3.3" in found.initial_loss.found  # 3 ln 3
