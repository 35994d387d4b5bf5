"""checkpointed: the bits of the layer itself, with the memory of its inputs alone."""

import copy

import numpy as np
import pytest

import nnlite as nn

rng = np.random.default_rng(0)
X, dY = rng.normal(size=(6, 3)).astype(np.float32), rng.normal(size=(6, 3)).astype(np.float32)


def block():
    """Random numbers, running statistics, and a tie."""
    first = nn.Linear(3, 3, rng=0)
    return nn.Sequential(first, nn.BatchNorm1d(3), nn.Dropout(0.5, rng=1), nn.Tanh(), nn.tied(first), nn.RReLU(rng=2))


def run(model, steps=3):
    """Everything that some steps of training leave."""
    found = []
    for _ in range(steps):
        Y = model.forward(X)
        dX = model.backward(dY)
        found += [Y, dX, model.dPhi.copy(), *model.state_dict().values()]
        model.Phi -= 0.1 * model.dPhi
    return [*found, *[generator.random() for _, generator in model.named_generators()]]


@pytest.mark.parametrize("training", [True, False])
def test_it_is_the_layer_itself_to_the_last_bit(training):
    plain, checked = block().train(training), nn.checkpointed(block()).train(training)
    for one, other in zip(run(plain), run(checked), strict=True):
        np.testing.assert_array_equal(one, other)


def test_running_statistics_are_updated_once():
    plain, checked = nn.BatchNorm1d(3), nn.checkpointed(nn.BatchNorm1d(3))
    for model in plain, checked:
        model.forward(X)
        model.backward(dY)
        model.backward(dY)
    np.testing.assert_array_equal(plain.running_mean, checked.layer.running_mean)
    assert checked.layer.num_batches_tracked == 1


def test_a_generator_that_others_use_in_between_goes_on_from_there():
    def model(wrap):
        shared = np.random.default_rng(5)
        return nn.Sequential(wrap(nn.Dropout(0.5, rng=shared)), nn.Dropout(0.5, rng=shared))

    for one, other in zip(run(model(lambda layer: layer)), run(model(nn.checkpointed)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_lengths_states_and_several_outputs():
    def lstm(wrap):
        return wrap(nn.LSTM(3, 4, 2, dropout=0.5, bidirectional=True, return_state=True, rng=0))

    Z = rng.normal(size=(2, 5, 3)).astype(np.float32)
    states = rng.normal(size=(2, 2, 4, 4)).astype(np.float32)
    plain, checked = lstm(lambda layer: layer), lstm(nn.checkpointed)
    for one, other in zip(plain.forward(Z, [5, 2], *states), checked.forward(Z, [5, 2], *states), strict=True):
        np.testing.assert_array_equal(one, other)
    dYs = [rng.normal(size=np.shape(Y)).astype(np.float32) for Y in plain.forward(Z, [5, 2], *states)]
    checked.forward(Z, [5, 2], *states)
    for one, other in zip(plain.backward(*dYs), checked.backward(*dYs), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(plain.dPhi, checked.dPhi)


@pytest.mark.parametrize("epochs", [3])
def test_fit_gives_the_same_bits(epochs):
    def trained(wrap):
        model = nn.Sequential(wrap(nn.Sequential(nn.Linear(3, 8, rng=0), nn.Tanh(), nn.Dropout(0.2, rng=1))),
                              wrap(nn.Sequential(nn.BatchNorm1d(8), nn.Linear(8, 3, rng=2))))  # fmt: skip
        history = nn.fit(model, X, dY, loss=nn.MSELoss(), optimizer=nn.Adam(model), epochs=epochs, batch_size=4,
                         validation_split=0.3, verbose=0, rng=0)  # fmt: skip
        return [*model.state_dict().values(), history["loss"], history["val_loss"], nn.predict(model, X)]

    for one, other in zip(trained(lambda layer: layer), trained(nn.checkpointed), strict=True):
        np.testing.assert_array_equal(one, other)


def test_gradients_are_right():
    model = nn.checkpointed(nn.Sequential(nn.Linear(3, 3, rng=0), nn.Tanh(), nn.Linear(3, 2, rng=1)).astype(np.float64))
    assert nn.check_gradients(model, X.astype(np.float64)).fault is None


def test_profile_shows_the_memory_that_is_saved():
    """Between forward and backward: X of each part, and not what the layers in it cache."""

    def chain(wrap):
        parts = [nn.Sequential(nn.Linear(3, 50, rng=0), nn.Tanh(), nn.Linear(50, 3, rng=0)) for _ in range(4)]
        return nn.Sequential(*map(wrap, parts))

    plain = nn.profile(chain(lambda layer: layer), X, repeats=1)
    checked = nn.profile(chain(nn.checkpointed), X, repeats=1)
    assert checked.total.cache_bytes == 4 * X.nbytes
    assert plain.total.cache_bytes == 4 * (X.nbytes + 6 * 50 * 4)
    assert [row.forward.operations for row in checked.rows] == [row.forward.operations for row in plain.rows]
    assert [row.backward.operations for row in checked.rows] == [row.backward.operations for row in plain.rows]


def test_after_forward_and_after_backward_nothing_in_it_is_cached():
    model = nn.checkpointed(nn.Sequential(nn.Linear(3, 50, rng=0), nn.Tanh()))
    for use in lambda: model.forward(X), lambda: model.backward(np.ones((6, 50), np.float32)):
        use()
        assert not {"X", "Y"} & (vars(model.layer[0]).keys() | vars(model.layer[1]).keys())


def test_a_file_and_copies_keep_it(tmp_path):
    model = nn.Sequential(nn.checkpointed(block()), nn.Linear(3, 1, rng=3)).eval()
    nn.save(model, tmp_path / "model.npz")
    for other in nn.load(tmp_path / "model.npz").eval(), copy.deepcopy(model):
        assert repr(other) == repr(model)
        np.testing.assert_array_equal(other.forward(X), model.forward(X))


def test_freezing_and_first_layers_skip_dX():
    model = nn.Sequential(nn.checkpointed(nn.Linear(3, 3, rng=0)), nn.Tanh())
    model.needs_dX = False
    model.forward(X)
    assert model.backward(dY) is None
    assert model[0].layer.dW.any()


def test_what_it_refuses():
    with pytest.raises(TypeError, match=r"^checkpointed: expected a Layer, got 3"):
        nn.checkpointed(3)
    stateful = nn.Stateful(nn.GRU(2, 3, return_state=True, rng=0))
    with pytest.raises(ValueError, match=r"^checkpointed: .* carries its state; checkpoint the recurrent layer inside"):
        nn.checkpointed(nn.Sequential(stateful))
    with pytest.raises(nn.StateError, match=r"^Checkpointed\(Tanh\(\)\): backward was called before forward"):
        nn.checkpointed(nn.Tanh()).backward(dY)
    model = nn.checkpointed(nn.Linear(3, 3, rng=0))
    with pytest.raises(nn.ShapeError, match=r"expected 3 features") as caught:
        model.forward(np.ones((2, 4)))
    assert caught.value.__notes__ == ["in Checkpointed(Linear(3 -> 3))"]
    with pytest.raises(nn.StateError):
        model.backward(dY)
