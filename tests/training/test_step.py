"""Step: gradients of several batches, on_backward_end, clipping and what is done about numbers that are not finite."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from support.own_layers import ScaledMSELoss
from support.small_classifier import LOSSES, X, Y, trained

import nnlite as nn


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(("batch_size", "steps"), [(6, 2), (4, 3), (5, 3), (1, 12), (12, 1), (5, 100)])
def test_accumulated_steps_equal_one_large_batch(name, batch_size, steps):
    if name == "ignored":
        batch_size = max(batch_size, 4)  # a batch of ignored rows alone is an error
    small = trained(loss=LOSSES[name](), batch_size=batch_size, accumulate_steps=steps)
    large = trained(loss=LOSSES[name](), batch_size=12)
    assert_allclose(small, large, rtol=1e-12, atol=1e-14)


def test_what_is_left_at_the_end_of_an_epoch_makes_a_step_of_its_own():
    small = trained(batch_size=4, accumulate_steps=2, epochs=1)  # 8 rows, then 4
    model = nn.Sequential(nn.Linear(3, 2, dtype=np.float64, rng=np.random.default_rng(0)))
    optimizer, loss = nn.SGD(model, lr=0.3, momentum=0.9), nn.CrossEntropyLoss()
    for rows in slice(0, 8), slice(8, 12):
        loss.forward(model.forward(X[rows]), Y[rows])
        model.backward(loss.backward())
        optimizer.step()
    assert_allclose(small, model.Phi, rtol=1e-12)


@pytest.mark.parametrize("wrong", [0, -1, 1.5])
def test_bad_accumulate_steps(wrong):
    with pytest.raises((TypeError, ValueError), match="accumulate_steps"):
        trained(accumulate_steps=wrong)


def test_clipping_happens_before_each_step():
    norms = []

    class Look(nn.Callback):
        def on_batch_end(self, state):
            norms.append((np.linalg.norm(state.model.dPhi), np.abs(state.model.dPhi).max()))

    trained(batch_size=4, clip_norm=0.01, callbacks=[Look()])
    assert len(norms) == 6
    assert_allclose([norm for norm, _ in norms], 0.01, rtol=1e-3)
    norms.clear()
    trained(batch_size=4, clip_value=0.02, callbacks=[Look()])
    assert max(largest for _, largest in norms) == 0.02


def test_clipping_is_of_the_whole_step_and_not_of_its_parts():
    assert_allclose(
        trained(batch_size=4, accumulate_steps=3, clip_norm=0.05), trained(batch_size=12, clip_norm=0.05), rtol=1e-12
    )


def test_losses_that_are_sums_accumulate_to_their_sum_also_with_several_outputs():
    def run(batch_size, steps):
        model = nn.Sequential(nn.Linear(3, 2, dtype=np.float64, rng=0), nn.Split([1, 1]))
        losses = (nn.MSELoss(reduction="sum"), nn.MSELoss(reduction="sum"))
        nn.fit(model, X, (X[:, :1], X[:, 1:2]), loss=losses, optimizer=nn.SGD(model, lr=0.01), batch_size=batch_size,
               accumulate_steps=steps, shuffle=False, verbose=0)  # fmt: skip
        return model.Phi

    assert_allclose(run(4, 3), run(12, 1), rtol=1e-12)


def test_the_gradients_of_a_losss_own_parameters_are_accumulated_as_well():
    def run(batch_size, steps):
        model, loss = nn.Linear(3, 1, dtype=np.float64, rng=0), ScaledMSELoss()
        optimizers = [nn.SGD(model, lr=0.1), nn.SGD(loss, lr=0.1)]
        nn.fit(model, X, X[:, :1], loss=loss, optimizer=optimizers, batch_size=batch_size, accumulate_steps=steps,
               shuffle=False, verbose=0)  # fmt: skip
        return loss.a

    assert_allclose(run(3, 4), run(12, 1), rtol=1e-6)


# ------------------------------------------------------------------------------------------- on_backward_end


class WeightDecay(nn.Callback):
    def __init__(self, weight_decay):
        self.weight_decay = weight_decay

    def on_backward_end(self, state):
        state.model.dPhi += self.weight_decay * state.model.Phi


def test_a_penalty_is_a_callback_of_five_lines():
    """``dPhi += weight_decay * Phi`` is what SGD's own weight_decay adds."""
    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Linear(3, 2, dtype=np.float64, rng=rng))
    optimizer = nn.SGD(model, lr=0.3, momentum=0.9, weight_decay=0.1)
    nn.fit(
        model, X, Y, loss=nn.CrossEntropyLoss(), optimizer=optimizer, shuffle=False, verbose=0, epochs=2, batch_size=5
    )
    assert_allclose(trained(callbacks=[WeightDecay(0.1)], batch_size=5), model.Phi, rtol=1e-12)


def test_gradient_noise_is_a_callback_of_five_lines():
    class GradientNoise(nn.Callback):
        def __init__(self, std, rng):
            self.std, self.rng = std, np.random.default_rng(rng)

        def on_backward_end(self, state):
            state.model.dPhi += self.rng.normal(scale=self.std, size=state.model.dPhi.shape)

    # With the learning rate 1 and without momentum, what differs after the only step is the noise itself.
    model = nn.Linear(3, 1, dtype=np.float64, rng=0)
    plain = nn.Linear(3, 1, dtype=np.float64, rng=0)
    for each, callbacks in (model, [GradientNoise(0.5, 7)]), (plain, []):
        nn.fit(each, X, X[:, :1], loss=nn.MSELoss(), optimizer=nn.SGD(each, lr=1.0), shuffle=False, verbose=0,
               callbacks=callbacks)  # fmt: skip
    assert_allclose(plain.Phi - model.Phi, np.random.default_rng(7).normal(scale=0.5, size=4), rtol=1e-12)


@pytest.mark.parametrize(("steps", "calls"), [(1, [1, 2, 3, 4]), (2, [2, 4]), (3, [3, 4])])
def test_on_backward_end_comes_once_a_step_with_the_whole_gradient_before_it_is_clipped(steps, calls):
    seen = []

    class Look(nn.Callback):
        def on_backward_end(self, state):
            seen.append((state.batch + 1 if state.batch < 4 else 4, state.model.dPhi.copy(), state.model.Phi.copy()))

    model = nn.Sequential(nn.Linear(3, 2, dtype=np.float64, rng=np.random.default_rng(0)))
    trained(batch_size=3, accumulate_steps=steps, clip_norm=1e-6, epochs=1, callbacks=[Look()])
    assert [batch for batch, _, _ in seen] == calls
    loss, rows = nn.CrossEntropyLoss(), slice(0, 3 * steps)
    loss.forward(model.forward(X[rows]), Y[rows])
    model.backward(loss.backward())
    assert_allclose(seen[0][1], model.dPhi, rtol=1e-12)
    assert_allclose(seen[0][2], model.Phi, rtol=0)


def test_what_a_callback_adds_is_clipped_as_well():
    class Large(nn.Callback):
        def on_backward_end(self, state):
            state.model.dPhi += 1e6

    first = trained(clip_value=0.01, callbacks=[Large()], epochs=1, batch_size=12)
    model = nn.Sequential(nn.Linear(3, 2, dtype=np.float64, rng=np.random.default_rng(0)))
    assert_allclose(first, model.Phi - 0.3 * 0.01, rtol=1e-12)


def test_a_schedule_counts_the_steps_and_not_the_batches_that_are_accumulated():
    """pytorch-lightning#831, #1476, #2817: 3 steps an epoch of 5 batches, two by two; the rate is halved at each."""
    model, rates = nn.Sequential(nn.Linear(3, 2, rng=0)), []
    optimizer = nn.SGD(model, lr=nn.StepLR(0.8, step_size=1, gamma=0.5))
    look = type("Look", (nn.Callback,), {"on_backward_end": lambda self, state: rates.append(optimizer.current_lr)})
    nn.fit(model, X[:10], Y[:10], loss=nn.CrossEntropyLoss(), optimizer=optimizer, batch_size=2, accumulate_steps=2,
           epochs=2, callbacks=[look()], verbose=0)  # fmt: skip
    assert rates == [0.8, 0.4, 0.2, 0.1, 0.05, 0.025]
    for total, fits in (5, True), (4, False):  # the last step is number 5, counted from 0
        model = nn.Sequential(nn.Linear(3, 2, rng=0))
        optimizer = nn.SGD(model, lr=nn.OneCycleLR(0.1, total_steps=total))
        run = lambda model=model, optimizer=optimizer: nn.fit(  # noqa: E731
            model, X[:10], Y[:10], loss=nn.CrossEntropyLoss(), optimizer=optimizer, batch_size=2, accumulate_steps=2,
            epochs=2, verbose=0)  # fmt: skip
        if fits:
            run()
        else:
            with pytest.raises(ValueError, match="ends after 4 steps, but training takes 6"):
                run()


# ------------------------------------------------------------------------------------------- clipping of what moves


def two_parts():
    rng = np.random.default_rng(0)
    return nn.Sequential(nn.Linear(3, 4, dtype=np.float64, rng=rng), nn.Tanh(), nn.Linear(4, 4, dtype=np.float64,
                         rng=rng), nn.Tanh(), nn.Linear(4, 1, dtype=np.float64, rng=rng))  # fmt: skip


def moved(clip_norm, parts):
    """How far each of the three linear layers moves in one step of length 1, with optimizers for some of them."""
    model = two_parts()
    before = [model[i].Phi.copy() for i in (0, 2, 4)]
    optimizers = [nn.SGD(model[i], lr=1.0) for i in parts]
    nn.fit(model, X, 10 + X[:, :1], loss=nn.MSELoss(), optimizer=optimizers, shuffle=False, verbose=0,
           clip_norm=clip_norm)  # fmt: skip
    return [model[i].Phi - start for i, start in zip((0, 2, 4), before, strict=True)]


@pytest.mark.parametrize("parts", [(0, 4), (2,), (0, 2, 4)])
def test_the_norm_is_of_the_gradients_that_the_optimizers_apply_and_of_no_frozen_one(parts):
    """The norm is numpy.linalg.norm of what moves; frozen parts would make each step shorter than asked for."""
    free = moved(None, parts)
    norm = np.linalg.norm(np.concatenate(free))  # a part without an optimizer has moved by 0
    clipped = moved(norm / 4, parts)
    for each, all_of_it in zip(clipped, free, strict=True):
        assert_allclose(each, all_of_it / 4, rtol=1e-5)  # PyTorch's 1e-6 beside the norm
    kept = moved(norm * 1.01, parts)
    for each, all_of_it in zip(kept, free, strict=True):
        assert_allclose(each, all_of_it, rtol=0)


@pytest.mark.parametrize("options", [{"clip_norm": -1.0}, {"clip_value": -1.0}, {"clip_norm": float("nan")}])
def test_a_limit_below_0_is_an_error_before_training(options):
    with pytest.raises(ValueError, match=rf"{next(iter(options))}: expected a number >= 0"):
        trained(**options)


# ------------------------------------------------------------------------------------ numbers that are not finite


def root(dtype=np.float32):
    """|w x|^(1/2), whose derivative at 0 is infinite."""
    return nn.Sequential(nn.Linear(1, 1, bias=False, dtype=dtype, rng=0), nn.Abs(), nn.Sqrt())


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_a_gradient_that_is_not_finite_is_not_applied(steps, tmp_path):
    # rows 1, 2, 0, 3 in batches of 1: the third has a finite loss and an infinite gradient
    rows, ones = np.array([[1.0], [2.0], [0.0], [3.0]]), np.ones((4, 1))
    options = {"batch_size": 1, "accumulate_steps": steps, "shuffle": False, "verbose": 0}
    model, until_then = root(), root()
    optimizer = nn.SGD(model, lr=0.1, momentum=0.9)
    checkpoint = nn.Checkpoint(tmp_path / "c.npz", unit="batch")
    with pytest.raises(
        nn.DivergenceError, match=r"gradient is not finite in epoch 1, batch 3: .* dX of Sequential\[2\] "
    ):
        nn.fit(model, rows, ones, loss=nn.MSELoss(), optimizer=optimizer, callbacks=[checkpoint], **options)
    made = {1: 2, 2: 1, 4: 0}[steps]
    expected = nn.SGD(until_then, lr=0.1, momentum=0.9)
    if made:
        nn.fit(until_then, rows[:2], ones[:2], loss=nn.MSELoss(), optimizer=expected, **options)
    assert model.Phi.tobytes() == until_then.Phi.tobytes()
    assert optimizer.steps == made
    assert str(optimizer.state_dict()) == str(expected.state_dict())
    assert np.isfinite(nn.load(tmp_path / "c.npz").Phi).all()


def test_gradients_of_parts_that_do_not_move_may_be_anything():
    class Spoil(nn.Callback):
        def on_backward_end(self, state):
            state.model[0].dW = [[np.nan] * 4] * 3

    model = two_parts()
    nn.fit(model, X, X[:, :1], loss=nn.MSELoss(), optimizer=nn.SGD(model[4], lr=0.1), callbacks=[Spoil()], verbose=0)
    assert np.isfinite(model.Phi).all()


def test_a_callback_that_spoils_the_gradient_is_named_as_the_cause():
    class Spoil(nn.Callback):
        def on_backward_end(self, state):
            state.model.dPhi[0] = np.inf

    model = two_parts()
    before = model.Phi.copy()
    with pytest.raises(nn.DivergenceError, match="on_backward_end of a callback has changed it"):
        nn.fit(model, X, X[:, :1], loss=nn.MSELoss(), optimizer=nn.SGD(model, 0.1), callbacks=[Spoil()], verbose=0)
    assert_allclose(model.Phi, before, rtol=0)


def test_a_finite_gradient_whose_square_overflows_is_applied():
    model = nn.Linear(1, 1, bias=False)
    model.W = [[0.0]]
    loss = nn.MSELoss(reduction="sum")
    nn.fit(model, [[1e15]], [[-1e10]], loss=loss, optimizer=nn.SGD(model, lr=1e-20), verbose=0)
    assert_allclose(model.W, [[-2e5]], rtol=1e-6)  # dW = 2 * 1e10 * 1e15 = 2e25, whose square is beyond float32


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("rate", [1e39, 1e300])
def test_a_schedule_whose_step_overflows_leaves_model_and_optimizer_as_they_were(rate, momentum):
    model, until_then = nn.Linear(3, 1, rng=0), nn.Linear(3, 1, rng=0)
    optimizer = nn.SGD(model, lr=lambda step: 0.1 if step < 2 else rate, momentum=momentum)
    options = {"loss": nn.MSELoss(), "batch_size": 4, "shuffle": False, "verbose": 0}
    with pytest.raises(nn.DivergenceError, match=r"overflows in epoch 1, batch 3, with the learning rate 1e\+3"):
        nn.fit(model, X, X[:, :1], optimizer=optimizer, **options)
    expected = nn.SGD(until_then, lr=0.1, momentum=momentum)
    nn.fit(until_then, X[:8], X[:8, :1], optimizer=expected, **options)
    assert model.Phi.tobytes() == until_then.Phi.tobytes()
    assert str(optimizer.state_dict()["velocity"]) == str(expected.state_dict()["velocity"])
    assert optimizer.steps == 2


def test_a_schedule_that_fails_moves_no_part():
    model = two_parts()
    before = model.Phi.copy()
    optimizers = [nn.SGD(model[0], lr=0.1), nn.SGD(model[4], lr=lambda step: float("nan"))]
    with pytest.raises(ValueError, match="lr: expected a finite number >= 0 from the schedule"):
        nn.fit(model, X, X[:, :1], loss=nn.MSELoss(), optimizer=optimizers, verbose=0)
    assert_allclose(model.Phi, before, rtol=0)


def test_on_nan_stop_also_for_a_gradient():
    model = root()
    before = model.Phi.copy()
    with pytest.warns(RuntimeWarning, match="the gradient is not finite"):
        history = nn.fit(model, [[0.0]], [[1.0]], loss=nn.MSELoss(), optimizer=nn.SGD(model, 0.1), verbose=0,
                         on_nan="stop")  # fmt: skip
    assert history.epochs == 0
    assert model.Phi.tobytes() == before.tobytes()


def test_a_gradient_that_backward_never_stores_is_a_warning_at_the_first_step():
    class Misspelt(nn.Layer, parameters=("W",)):
        def __init__(self):
            self.W = np.ones((2, 1))

        def forward(self, X):
            self.X = X
            return X @ self.W

        def backward(self, dY):
            self.dw = self.X.T @ dY  # dW is meant
            return dY @ self.W.T

    model = nn.Sequential(nn.Linear(2, 2, rng=0), Misspelt())
    X, Y = np.ones((4, 2), np.float32), np.zeros((4, 1))
    with pytest.warns(
        UserWarning, match=r"Sequential\(2 layers\): backward stores no gradient for 1\.W, so it"
    ) as told:
        nn.fit(model, X, Y, loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1), epochs=3, verbose=0)
    assert len(told) == 1
    assert told[0].filename == __file__
    np.testing.assert_array_equal(model[1].W, np.ones((2, 1)))


def test_a_gradient_of_zeros_is_no_gradient_that_is_missing():
    model = nn.Sequential(nn.Linear(2, 2, rng=0), nn.ReLU(), nn.Linear(2, 1, rng=0))
    model[0].b = [-100.0, -100.0]  # dead units
    X, Y = np.ones((4, 2), np.float32), np.zeros((4, 1))
    nn.fit(model, X, Y, loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1), verbose=0)
    assert not model[0].dW.any()
