"""compile, and fit(compiled=True): the same bits as the layers, in straight lines; what the layers check they check."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import nnlite as nn

MODELS = {
    "chain": lambda: [nn.Linear(5, 8, rng=0), nn.Tanh(), nn.Linear(8, 3, rng=1)],
    "dropout": lambda: [
        nn.Linear(5, 8, rng=0),
        nn.LayerNorm(8),
        nn.GELU(),
        nn.Dropout(0.3, rng=0),
        nn.Linear(8, 3, rng=1),
    ],
    "batch norm": lambda: [nn.Linear(5, 8, rng=0), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3, rng=1)],
    "residual": lambda: [
        nn.Linear(5, 8, rng=0),
        nn.Residual(nn.Linear(8, 8, rng=2), nn.SiLU()),
        nn.Linear(8, 3, rng=1),
    ],
    "softmax": lambda: [nn.Linear(5, 8, rng=0), nn.PReLU(), nn.RMSNorm(8), nn.Softmax(), nn.Linear(8, 3, rng=1)],
}
LOSSES = [nn.MSELoss, nn.HuberLoss, nn.BCEWithLogitsLoss, nn.CrossEntropyLoss, nn.NLLLoss]


def data(loss, rows=70):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((rows, 5)).astype(np.float32)
    classes = isinstance(loss, nn.CrossEntropyLoss | nn.NLLLoss)
    return X, rng.integers(0, 3, rows) if classes else rng.integers(0, 2, (rows, 3)).astype(np.float32)


def chain():
    return nn.Sequential(*MODELS["chain"]())


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("loss", LOSSES)
def test_fit_compiled_trains_to_the_same_bits(name, loss):
    results = []
    for compiled in (False, True):
        model, criterion = nn.Sequential(*MODELS[name]()), loss()
        X, y = data(criterion)  # the last batch of an epoch has 6 rows
        history = nn.fit(
            model, X, y, loss=criterion, optimizer=nn.Adam(model, lr=0.01), epochs=2, batch_size=16, verbose=0, rng=1,
            metrics=[nn.accuracy] if y.ndim == 1 else [], compiled=compiled,
        )  # fmt: skip
        buffers = np.concatenate([buffer.reshape(-1) for _, buffer in model.named_buffers()] or [np.zeros(0)])
        results.append((model.Phi, buffers, {name: history[name] for name in history if name != "seconds"}))
    assert_array_equal(results[0][0], results[1][0])
    assert_array_equal(results[0][1], results[1][1])
    assert results[0][2] == results[1][2]


def test_a_compiled_step_is_that_of_the_layers_for_batches_of_any_size():
    model = nn.Sequential(*MODELS["dropout"]())
    other = copy.deepcopy(model)
    loss, optimizer = nn.MSELoss(), nn.SGD(model, lr=nn.StepLR(0.1, step_size=2, gamma=0.5), momentum=0.9)
    step, theirs = nn.compile(model, nn.MSELoss(), optimizer), nn.SGD(other, lr=optimizer.lr, momentum=0.9)
    for rows in (32, 5, 32, 200, 5):
        X, y = data(loss, rows)
        J = loss.forward(other.forward(X), y)
        other.backward(loss.backward())
        theirs.step()
        assert step(X, y) == J
        assert_array_equal(model.dPhi, other.dPhi)
        assert_array_equal(model.Phi, other.Phi)
    assert optimizer.steps == theirs.steps == 5
    assert_array_equal(optimizer.velocity, theirs.velocity)


def test_it_runs_no_layer_after_the_first_batch(monkeypatch):
    model = chain()
    step, (X, y) = nn.compile(model, nn.MSELoss(), nn.SGD(model, lr=0.1)), data(nn.MSELoss())
    step(X, y)
    monkeypatch.setattr(nn.Linear, "forward", None)
    before = model.Phi.copy()
    step(X, y)
    assert (model.Phi != before).any()


def test_batches_of_other_dtypes_and_lists_are_converted_as_the_layers_do():
    model = chain()
    other = copy.deepcopy(model)
    X, y = data(nn.MSELoss(), 4)
    step, same = (nn.compile(each, nn.MSELoss(), nn.SGD(each, lr=0.1)) for each in (model, other))
    assert step(X.tolist(), y.astype(int)) == same(X, y)
    assert_array_equal(model.Phi, other.Phi)


def test_a_model_that_changes_its_dtype_or_its_mode_is_made_again():
    model = nn.Sequential(nn.Linear(5, 3, rng=0), nn.Dropout(0.5, rng=0))
    step, (X, y) = nn.compile(model, nn.MSELoss(), nn.SGD(model, lr=0.0)), data(nn.MSELoss(), 8)
    dropped = step(X, y)
    model.eval()
    assert step(X, y) == nn.MSELoss().forward(model.forward(X), y) != dropped
    model.astype(np.float64)
    X, y = X.astype(float), y.astype(float)
    assert step(X, y) == nn.MSELoss().forward(model.forward(X), y)


OPTIONS = {
    "slope": lambda model, loss: setattr(model[1], "negative_slope", 0.9),
    "reduction": lambda model, loss: setattr(loss, "reduction", "sum"),
    "delta": lambda model, loss: setattr(loss, "delta", 0.1),
    "mode of a layer": lambda model, loss: model[2].eval(),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_that_is_changed_in_between_counts_from_the_next_step(name):
    results = []
    for compiled in (False, True):
        model = nn.Sequential(nn.Linear(5, 8, rng=0), nn.LeakyReLU(0.1), nn.BatchNorm1d(8), nn.Linear(8, 3, rng=1))
        loss = nn.HuberLoss()
        optimizer, (X, y) = nn.SGD(model, lr=0.01), data(loss, 8)

        def by_layers(X, y, model=model, loss=loss, optimizer=optimizer):
            J = loss.forward(model.forward(X), y)
            model.backward(loss.backward())
            optimizer.step()
            return J

        step = nn.compile(model, loss, optimizer) if compiled else by_layers
        losses = [step(X, y)]
        OPTIONS[name](model, loss)
        results.append(([*losses, step(X, y), step(X, y)], model.Phi))
    assert results[0][0] == results[1][0]
    assert_array_equal(results[0][1], results[1][1])


def test_options_of_every_step_are_kept_for_a_few_only():
    model = nn.Sequential(nn.Linear(5, 3, rng=0), nn.LeakyReLU())
    (X, y), loss = data(nn.MSELoss(), 8), nn.MSELoss()
    step = nn.compile(model, loss, nn.SGD(model, lr=0.0))
    for number in range(70):
        model[1].negative_slope = number / 70
        assert step(X, y) == loss.forward(model.forward(X), y)
    assert len(step.passes.lines) <= 64


def test_a_layer_that_stays_in_evaluation_mode_is_trained_so():
    results = []
    for compiled in (False, True):
        model = nn.Sequential(*MODELS["batch norm"]())
        model[1].eval()
        X, y = data(nn.MSELoss(), 8)
        if compiled:
            nn.compile(model, nn.MSELoss(), nn.SGD(model, lr=0.1))(X, y)
        else:
            loss = nn.MSELoss()
            loss.forward(model.forward(X), y)
            model.backward(loss.backward())
            nn.SGD(model, lr=0.1).step()
        results.append((model.Phi, model[1].running_mean))
    for one, other in zip(*results, strict=True):
        assert_array_equal(one, other)


def test_large_batches_are_those_of_the_layers():
    model = nn.Sequential(nn.Linear(2, 1, rng=0))
    loss, X = nn.MSELoss(), np.ones((2**18, 2), np.float32)
    expected = loss.forward(model.forward(X), X[:, :1])
    assert nn.compile(model, loss, nn.SGD(model, lr=0.1))(X, X[:, :1]) == expected


def test_a_copy_works_on_its_own_parameters():
    model = chain()
    step, (X, y) = nn.compile(model, nn.MSELoss(), nn.SGD(model, lr=0.1)), data(nn.MSELoss(), 8)
    step(X, y)
    other, before = copy.deepcopy(step), model.Phi.copy()
    J = other(X, y)
    assert_array_equal(model.Phi, before)
    assert step(X, y) == J


def test_what_the_layers_compute_otherwise_they_compute():
    model = chain()
    other = copy.deepcopy(model)
    loss = nn.CrossEntropyLoss()
    X, y = data(loss, 8)
    step = nn.compile(model, loss, nn.SGD(model, lr=0.1))
    optimizer = nn.SGD(other, lr=0.1)
    for index in (1, -100, 2):  # -100 is ignored
        y[3] = index
        J = loss.forward(other.forward(X), y)
        other.backward(loss.backward())
        optimizer.step()
        assert step(X, y) == J
        assert_array_equal(model.Phi, other.Phi)


def test_the_checks_of_a_target_are_made_in_each_batch():
    model = nn.Sequential(nn.Linear(5, 3, rng=0), nn.Sigmoid())
    step, (X, y) = nn.compile(model, nn.BCELoss(), nn.SGD(model, lr=0.1)), data(nn.MSELoss(), 8)
    step(X, y)
    before, wrong = model.Phi.copy(), y.copy()
    wrong[2, 1] = 1.5
    with pytest.raises(ValueError, match=r"from 0 to 1, got 1\.5 at index \(2, 1\)"):
        step(X, wrong)
    assert_array_equal(model.Phi, before)
    with pytest.raises(nn.ShapeError, match="expected a target of Y's shape"):
        step(X, y[:, :1])


def test_a_loss_that_is_not_finite_is_an_error_and_no_step():
    model = chain()
    step, (X, y) = nn.compile(model, nn.MSELoss(), nn.SGD(model, lr=0.1)), data(nn.MSELoss(), 8)
    step(X, y)
    before = model.Phi.copy()
    with pytest.raises(nn.DivergenceError, match="the loss is nan"):
        step(np.full_like(X, np.nan), y)
    assert_array_equal(model.Phi, before)
    X[3, 2] = np.nan
    with pytest.raises(nn.DivergenceError, match="loss is nan in epoch 1"):
        nn.fit(model, X, y, loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1), batch_size=2, verbose=0, compiled=True)


def test_callbacks_change_gradients_and_clipping_and_accumulation_work():
    results = []
    for compiled in (False, True):
        model = chain()

        class Penalty(nn.Callback):
            def on_backward_end(self, state):
                state.model.dPhi += 0.1 * np.sign(state.model.Phi)

        X, y = data(nn.MSELoss())
        nn.fit(
            model, X, y, loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1), epochs=3, batch_size=10, verbose=0, rng=0,
            callbacks=[Penalty()], accumulate_steps=2, clip_norm=0.5, compiled=compiled,
        )  # fmt: skip
        results.append(model.Phi)
    assert_array_equal(*results)


class OfValues(nn.Identity):
    """A layer that computes with a number of Python, which is not logged."""

    def forward(self, X):
        self.shift = float(np.sum(X))
        return super().forward(X) + self.shift

    def backward(self, dY):
        return super().backward(dY)


class Counting(nn.Identity):
    """A layer whose number of calls is part of what it computes."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, X):
        self.calls += 1
        return super().forward(X) / self.calls


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda model: nn.compile(model, nn.MSELoss(), nn.SGD(chain(), lr=0.1)), "of this model or of parts of it"),
        (lambda model: nn.compile(3, nn.MSELoss(), nn.SGD(model, lr=0.1)), "model: expected a Layer"),
        (lambda model: nn.compile(model, nn.Tanh(), nn.SGD(model, lr=0.1)), "expected a Loss"),
        (lambda model: nn.compile(model, nn.MSELoss(), 0.1), "optimizer: expected one such as"),
        (lambda _: nn.compile(nn.Add(), nn.MSELoss(), nn.SGD(chain(), lr=0.1)), "of one input and one output, got Add"),
    ],
)
def test_errors(call, message):
    with pytest.raises(TypeError, match=message):
        call(chain())


def test_the_first_batch_is_checked_by_the_layers():
    model, (X, y) = chain(), data(nn.CrossEntropyLoss(), 8)
    y[2] = 3
    with pytest.raises(ValueError, match="expected class indices from 0 to 2, got 3"):
        nn.compile(model, nn.CrossEntropyLoss(), nn.SGD(model, lr=0.1))(X, y)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (Counting, r'1 Counting\(\): forward updates calls, a number; make it an array, buffers=\("calls",\)'),
        (
            lambda: nn.Sequential(nn.Unflatten(1, (1, 3)), nn.Conv1d(1, 1, 3)),
            r"1\.1 Conv1d.*cannot be written",
        ),
    ],
)
def test_the_layer_that_cannot_be_compiled_is_named(layer, message):
    model = nn.Sequential(nn.Linear(5, 3, rng=0), layer())
    X = np.ones((8, 5), np.float32)
    with pytest.raises(TypeError, match=message):
        nn.compile(model, nn.MSELoss(), nn.SGD(model, lr=0.1))(X, model.forward(X))


def test_a_loss_that_is_no_number_is_an_error():
    model = chain()
    with pytest.raises(ValueError, match="expected a loss with reduction mean or sum"):
        nn.compile(model, nn.MSELoss(reduction="none"), nn.SGD(model, lr=0.1))


def test_what_cannot_be_compiled_is_an_error():
    model = nn.Sequential(nn.Linear(5, 3, rng=0), OfValues())
    X, y = data(nn.MSELoss(), 8)
    with pytest.raises(TypeError, match=r"compiled: .*a value of an array as a number of Python"):
        nn.compile(model, nn.MSELoss(), nn.SGD(model, lr=0.1))(X, y)
    images = nn.Sequential(nn.Conv2d(1, 2, 3, rng=0), nn.Flatten())
    with pytest.raises(TypeError, match=r"compiled: 0 Conv2d\(1 -> 2, kernel_size=3\): what .*; train the layers"):
        nn.compile(images, nn.MSELoss(), nn.SGD(images, lr=0.1))(np.ones((8, 1, 4, 4)), np.ones((8, 8)))
    model = chain()
    with pytest.raises(TypeError, match="without sample_weight and class_weight"):
        nn.fit(
            model, X, y, loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1), sample_weight=np.ones(8),
            verbose=0, compiled=True,
        )  # fmt: skip
