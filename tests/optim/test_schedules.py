"""Schedules: values by hand, PyTorch's at every step, and what they refuse. Their use is in test_sgd.py."""

import copy
import math
import pickle
import warnings

import numpy as np
import pytest

import nnlite as nn

# (class, arguments after lr); PyTorch's scheduler of the same name takes the same ones after the optimizer.
CASES = [
    ("ConstantLR", {}),
    ("ConstantLR", {"factor": 0.25, "total_iters": 1}),
    ("ConstantLR", {"factor": 1.0, "total_iters": 7}),
    ("LinearLR", {}),
    ("LinearLR", {"start_factor": 0.01, "total_iters": 40}),
    ("LinearLR", {"start_factor": 1.0, "end_factor": 0.0, "total_iters": 30}),
    ("LinearLR", {"start_factor": 0.3, "end_factor": 0.7, "total_iters": 1}),
    ("StepLR", {"step_size": 1}),
    ("StepLR", {"step_size": 7, "gamma": 0.5}),
    ("StepLR", {"step_size": 20, "gamma": 1.5}),
    ("StepLR", {"step_size": 100, "gamma": 0.0}),
    ("MultiStepLR", {"milestones": [10, 30]}),
    ("MultiStepLR", {"milestones": [40, 0, 5, 5], "gamma": 0.7}),
    ("MultiStepLR", {"milestones": []}),
    ("ExponentialLR", {"gamma": 0.9}),
    ("ExponentialLR", {"gamma": 1.02}),
    ("PolynomialLR", {}),
    ("PolynomialLR", {"total_iters": 37, "power": 2.5}),
    ("PolynomialLR", {"total_iters": 70, "power": 0.5}),
    ("PolynomialLR", {"total_iters": 1}),
    ("CosineAnnealingLR", {"T_max": 13}),
    ("CosineAnnealingLR", {"T_max": 1, "eta_min": 0.1}),
    ("CosineAnnealingLR", {"T_max": 60, "eta_min": 0.01}),
    ("CosineAnnealingLR", {"T_max": 9, "eta_min": 1.0}),
    *[
        ("OneCycleLR", {"total_steps": steps, "pct_start": share, "anneal_strategy": strategy, "three_phase": three})
        for steps, share in [(61, 0.3), (64, 0.25), (64, 0.75), (60, 0.5), (75, 0.0), (60, 1.0)]
        for strategy in ["cos", "linear"]
        for three in [False, True]
    ],
    ("OneCycleLR", {"epochs": 6, "steps_per_epoch": 11}),
    ("OneCycleLR", {"total_steps": 70, "div_factor": 4.0, "final_div_factor": 10.0}),
    ("OneCycleLR", {"total_steps": 70, "div_factor": 0.5, "final_div_factor": 0.2, "three_phase": True}),
    ("CosineAnnealingWarmRestarts", {"T_0": 7}),
    ("CosineAnnealingWarmRestarts", {"T_0": 1}),
    ("CosineAnnealingWarmRestarts", {"T_0": 3, "T_mult": 2, "eta_min": 0.01}),
    ("CosineAnnealingWarmRestarts", {"T_0": 1, "T_mult": 3}),
    ("CyclicLR", {"max_lr": 1.5}),
    ("CyclicLR", {"max_lr": 1.5, "step_size_up": 7, "mode": "triangular2"}),
    ("CyclicLR", {"max_lr": 1.5, "step_size_up": 4, "step_size_down": 9}),
    ("CyclicLR", {"max_lr": 1.5, "step_size_up": 1, "step_size_down": 3, "mode": "triangular2"}),
    ("CyclicLR", {"max_lr": 0.1, "step_size_up": 6, "step_size_down": 1, "mode": "exp_range", "gamma": 0.97}),
]
FIRST = {"CyclicLR": "base_lr"}  # what the first argument is called, if not lr


def torch_scheduler(optimizer, name, options):
    torch = pytest.importorskip("torch")
    own = {
        "OneCycleLR": {"max_lr": 0.3, "cycle_momentum": False},
        "CyclicLR": {"base_lr": 0.3, "cycle_momentum": False},
    }
    first = own.get(name, {})
    return getattr(torch.optim.lr_scheduler, name)(optimizer, **first, **options)


def torch_optimizer(lr=0.3):
    torch = pytest.importorskip("torch")
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)


def torch_values(optimizer, scheduler, steps):
    """PyTorch's learning rate of each step."""
    values = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the epoch that SequentialLR hands on
        for step in range(steps):
            values.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            if step < steps - 1:
                scheduler.step()
    return values


@pytest.mark.parametrize(("name", "options"), CASES)
def test_every_step_has_torchs_learning_rate(name, options):
    schedule = getattr(nn, name)(0.3, **options)
    steps = schedule.total_steps if name == "OneCycleLR" else 100
    assert steps >= 50
    optimizer = torch_optimizer()
    expected = torch_values(optimizer, torch_scheduler(optimizer, name, options), steps)
    np.testing.assert_allclose([schedule(step) for step in range(steps)], expected, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize(
    ("parts", "milestones"),
    [
        ([("LinearLR", {"total_iters": 10}), ("CosineAnnealingLR", {"T_max": 50})], [10]),
        ([("LinearLR", {"total_iters": 10}), ("ExponentialLR", {"gamma": 0.9})], [4]),
        ([("ConstantLR", {}), ("StepLR", {"step_size": 5}), ("PolynomialLR", {"total_iters": 20})], [7, 31]),
        ([("ConstantLR", {}), ("MultiStepLR", {"milestones": [0, 3]})], [20]),
        ([("ExponentialLR", {"gamma": 0.9}), ("LinearLR", {}), ("ConstantLR", {})], [5, 5]),
        ([("LinearLR", {}), ("ExponentialLR", {"gamma": 0.9})], [0]),
        ([("StepLR", {"step_size": 3})], []),
    ],
)
def test_one_after_another_as_in_torch(parts, milestones):
    torch = pytest.importorskip("torch")
    optimizer = torch_optimizer()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scheduler = torch.optim.lr_scheduler.SequentialLR(
            optimizer, [torch_scheduler(optimizer, *part) for part in parts], milestones
        )
    expected = torch_values(optimizer, scheduler, 70)
    schedule = nn.SequentialLR([getattr(nn, name)(0.3, **options) for name, options in parts], milestones)
    np.testing.assert_allclose([schedule(step) for step in range(70)], expected, rtol=1e-9, atol=1e-15)


def test_a_warm_up_before_one_cycle():
    cycle = nn.OneCycleLR(1.0, 5)
    schedule = nn.SequentialLR([nn.LinearLR(1.0), cycle], [3])
    assert [schedule(step) for step in range(3, 8)] == [cycle(step) for step in range(5)]


# --------------------------------------------------------------------------------------------- by hand

BY_HAND = [
    (nn.ConstantLR(0.9), [0.3] * 5 + [0.9] * 3),  # a third, for five steps
    (nn.ConstantLR(8, factor=0, total_iters=1), [0, 8, 8]),
    (nn.LinearLR(3.0), [1, 1.4, 1.8, 2.2, 2.6, 3, 3, 3]),  # a third, and 2 / 5 more each step
    (nn.LinearLR(1, 1, 0, 4), [1, 0.75, 0.5, 0.25, 0, 0]),
    (nn.StepLR(1, 2), [1, 1, 0.1, 0.1, 0.01]),
    (nn.MultiStepLR(1, [1, 3]), [1, 0.1, 0.1, 0.01, 0.01]),
    (nn.MultiStepLR(1, (3, 1, 3, 0), 0.5), [0.5, 0.25, 0.25, 0.0625]),  # 0 from the start; 3 counts twice
    (nn.ExponentialLR(2, 0.5), [2, 1, 0.5, 0.25]),
    (nn.ExponentialLR(2, 0), [2, 0, 0]),
    (nn.PolynomialLR(5), [5, 4, 3, 2, 1, 0, 0]),
    (nn.PolynomialLR(16, 4, 2), [16, 9, 4, 1, 0, 0]),
    (nn.PolynomialLR(2, 2, 0), [2, 2, 2, 2]),
    # cos of 0, 60, 120, 180 degrees is 1, 0.5, -0.5, -1; and up again
    (nn.CosineAnnealingLR(4, 3), [4, 3, 1, 0, 1, 3, 4, 3]),
    (nn.CosineAnnealingLR(5, 3, 1), [5, 4, 2, 1, 2, 4, 5]),
    (nn.CosineAnnealingLR(1, 3, 5), [1, 2, 4, 5]),
    # up in steps 0..2 from 4 / 4, down in 2..4 to 4 / 4 / 2
    (nn.OneCycleLR(4, 5, None, None, 0.6, "linear", 4, 2), [1, 2.5, 4, 2.25, 0.5, 0.5]),
    (nn.OneCycleLR(4, 5, None, None, 0.6, "cos", 4, 2), [1, 2.5, 4, 2.25, 0.5, 0.5]),  # halfway is halfway
    # up in 0..2, back at 4 / 4 in step 2 * 0.375 * 8 - 2 = 4, down in 4..7 by a sixth each
    (nn.OneCycleLR(4, 8, None, None, 0.375, "linear", 4, 2, True), [1, 2.5, 4, 2.5, 1, 5 / 6, 4 / 6, 0.5, 0.5]),
    # a third of the way along the cosine, whose value is 0.5 there, a quarter of it is done
    (nn.OneCycleLR(5, 4, pct_start=1, div_factor=5), [1, 2, 4, 5]),
    (nn.OneCycleLR(1, epochs=1, steps_per_epoch=1), [1 / 25e4, 1 / 25e4]),
    # a way up of one step is at the top, where PyTorch divides 0 by 0; then 1/4 and 3/4 of the way to 1 / 2 / 4
    (nn.OneCycleLR(1, 4, pct_start=0.25, div_factor=2, final_div_factor=4), [1, 25 / 32, 11 / 32, 0.125]),
    (nn.SequentialLR([nn.LinearLR(1, 0.5, total_iters=2), nn.StepLR(4, 1)], [2]), [0.5, 0.75, 4, 0.4, 0.04]),
    (nn.StepLR(0, 1), [0, 0]),
    # 3 steps from 5 to 1 by cosines of 0, 60 and 120 degrees, then 6 steps by those of 0, 30, 60 ...
    (nn.CosineAnnealingWarmRestarts(5, 3, 2, 1), [5, 4, 2, 5, 3 + 3**0.5, 4, 3, 2, 3 - 3**0.5, 5]),
    (nn.CosineAnnealingWarmRestarts(4, 3), [4, 3, 1] * 3),
    (nn.CosineAnnealingWarmRestarts(4, 1, 1), [4, 4, 4]),
    (nn.CyclicLR(1, 4, 3), [1, 2, 3, 4, 3, 2, 1, 2, 3, 4]),
    (nn.CyclicLR(1, 3, 1, 2), [1, 3, 2, 1, 3, 2]),
    (nn.CyclicLR(1, 9, 1, 1, "triangular2"), [1, 9, 1, 5, 1, 3, 1, 2, 1]),
    (nn.CyclicLR(1, 9, 1, None, "triangular2"), [1, 9, 1, 5, 1, 3]),
    (nn.CyclicLR(1, 9, 2, None, "exp_range", 0.5), [1, 3, 3, 1.5, 1, 1 + 4 / 32, 1 + 8 / 64]),
    (nn.CyclicLR(1, 9, 2, gamma=0.5), [1, 5, 9, 5, 1]),  # gamma is of exp_range only
    (nn.Warmup(nn.StepLR(8, 3, 0.5), 4), [2, 4, 6, 4, 4, 4, 2]),  # the schedule counts from the first step on
    (nn.Warmup(0.5, 2), [0.25, 0.5, 0.5]),
    (nn.Warmup(nn.ExponentialLR(2, 0.5), 1), [2, 1, 0.5]),
]


@pytest.mark.parametrize(("schedule", "values"), BY_HAND)
def test_values_by_hand(schedule, values):
    got = [schedule(step) for step in range(len(values))]
    np.testing.assert_allclose(got, values, rtol=1e-13, atol=1e-15)
    assert {type(value) for value in got} == {float}


def test_any_function_may_stand_in_a_sequence():
    schedule = nn.SequentialLR([lambda step: step + 10, lambda step: step + 20, lambda step: step + 30], [2, 3])
    assert [schedule(step) for step in range(6)] == [10, 11, 20, 30, 31, 32]


def test_a_sequence_in_a_sequence():
    inner = nn.SequentialLR([nn.ConstantLR(1), nn.ConstantLR(2)], [1])
    schedule = nn.SequentialLR([inner, inner], [4])
    assert [schedule(step) for step in range(7)] == [inner(step) for step in [0, 1, 2, 3, 0, 1, 2]]


def test_one_cycle_has_no_step_beyond_the_one_after_its_last():
    schedule = nn.OneCycleLR(1.0, 10)
    assert schedule(10) == schedule(9)
    with pytest.raises(ValueError, match=r"^OneCycleLR: expected a step from 0 to 10 \(total_steps\), got 11$"):
        schedule(11)


def test_last_step_is_that_of_the_last_schedule():
    constant, cycle = nn.ConstantLR(1), nn.OneCycleLR(1.0, 10)
    assert cycle.last_step == 10
    assert nn.SequentialLR([constant, cycle], [5]).last_step == 15
    assert nn.SequentialLR([cycle], []).last_step == 10
    assert nn.SequentialLR([cycle, constant], [11]).last_step is None
    with pytest.raises(
        ValueError, match=r"^SequentialLR: the schedule OneCycleLR ends after 10 steps, but the next one s"
    ):
        nn.SequentialLR([cycle, constant], [12])
    with pytest.raises(ValueError, match=r"ends after 10 steps, but the next one starts after 12$"):
        nn.SequentialLR([constant, cycle, constant], [3, 15])


def train(lr, epochs, **options):
    model = nn.Linear(1, 1, rng=0)
    before = model.Phi.copy()
    X = np.arange(50.0)[:, None] / 50
    optimizer = nn.SGD(model, lr)
    try:
        nn.fit(model, X, X, loss=nn.MSELoss(), optimizer=optimizer, batch_size=10, epochs=epochs, verbose=0, **options)
    except ValueError:
        assert np.array_equal(model.Phi, before)
        assert optimizer.steps == 0
        raise
    return optimizer.steps


def test_a_schedule_that_ends_in_the_middle_of_training_is_an_error_before_the_first_step():
    """As of pytorch#65417: OneCycleLR(0.1, total_steps=20) for 5 epochs of 5 batches."""
    message = r"^SGD: lr: the schedule OneCycleLR ends after 20 steps, but training takes 25; make it 25 steps long$"
    with pytest.raises(ValueError, match=message):
        train(nn.OneCycleLR(0.1, total_steps=20), epochs=5)
    with pytest.raises(ValueError, match=r"the schedule SequentialLR ends after 23 steps, but training takes 25"):
        train(nn.SequentialLR([nn.ConstantLR(0.1), nn.OneCycleLR(0.1, total_steps=20)], [3]), epochs=5)
    with pytest.raises(ValueError, match=r"ends after 13 steps, but training takes 15; make it 15 steps long$"):
        train(nn.OneCycleLR(0.1, total_steps=13), epochs=5, accumulate_steps=2)
    assert train(nn.OneCycleLR(0.1, total_steps=25), epochs=5) == 25
    assert train(nn.OneCycleLR(0.1, total_steps=15), epochs=5, accumulate_steps=2) == 15


def test_a_second_training_counts_the_steps_of_the_first():
    optimizer = nn.SGD(nn.Linear(1, 1), nn.OneCycleLR(0.1, total_steps=20))
    optimizer.steps = 15
    optimizer.check_steps(6)
    with pytest.raises(ValueError, match=r"ends after 20 steps, but training takes 22"):
        optimizer.check_steps(7)


def test_a_warm_up_times_a_schedule_is_torchs_chain_of_both():
    """Its LinearLR with the factors 1 / n, 2 / n ... multiplies what the other scheduler has made of the rate."""
    torch = pytest.importorskip("torch")
    for steps, name, options in (9, "ExponentialLR", {"gamma": 0.9}), (40, "MultiStepLR", {"milestones": [20, 50]}):
        optimizer = torch_optimizer()
        warm_up = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=1 / steps, total_iters=steps - 1)
        chain = torch.optim.lr_scheduler.ChainedScheduler([warm_up, torch_scheduler(optimizer, name, options)])
        expected = torch_values(optimizer, chain, 70)
        schedule = nn.Warmup(getattr(nn, name)(0.3, **options), steps)
        np.testing.assert_allclose([schedule(step) for step in range(70)], expected, rtol=1e-9)


def test_a_warm_up_ends_where_its_schedule_does():
    assert nn.Warmup(0.1, 5).last_step is None
    schedule = nn.Warmup(nn.OneCycleLR(0.1, total_steps=20), 5)
    assert (schedule.last_step, schedule.last_epoch, schedule.counts_epochs) == (20, None, False)
    with pytest.raises(ValueError, match="the schedule Warmup ends after 20 steps, but training takes 25"):
        train(schedule, epochs=5)
    assert nn.SequentialLR([nn.ConstantLR(1), schedule], [5]).last_step == 25


def test_restarts_far_away_cost_nothing():
    schedule = nn.CosineAnnealingWarmRestarts(1.0, 10)
    assert schedule(10**15) == schedule(0) == 1.0
    assert nn.CyclicLR(1, 2, 5, mode="triangular2")(10 * 5000 + 5) == 1.0  # a factor of 2^-5000
    assert nn.CyclicLR(1, 2, 1, mode="exp_range", gamma=10)(309) == math.inf


def test_zero_times_a_power_that_overflows_is_zero():
    assert nn.CyclicLR(0.5, 1, 1, mode="exp_range", gamma=10)(400) == 0.5  # at the end of a cycle
    assert nn.CyclicLR(0.5, 0.5, 1, mode="exp_range", gamma=10)(401) == 0.5
    assert nn.ExponentialLR(0.0, 10)(400) == nn.StepLR(0.0, 1, 10)(400) == 0.0
    assert nn.ExponentialLR(0.1, 10)(400) == math.inf


def test_steps_come_in_any_order_and_change_nothing():
    for schedule, _ in BY_HAND:
        before = copy.deepcopy(schedule)
        assert [schedule(step) for step in (1, 0, 1)] == [before(1), before(0), before(1)]
        assert schedule == before


def test_no_learning_rate_falls_below_0_by_rounding():
    rng = np.random.default_rng(0)
    for _ in range(500):
        n = int(rng.integers(1, 100))
        lr, s, e = rng.uniform(0.01, 1, 3)
        for schedule in [
            nn.LinearLR(lr, start_factor=s, end_factor=0, total_iters=n),
            nn.PolynomialLR(lr, n, power=e),
            nn.CosineAnnealingLR(lr, n),
            nn.OneCycleLR(lr, n, pct_start=s, final_div_factor=1e300),
            nn.OneCycleLR(lr, n, pct_start=s, anneal_strategy="linear", final_div_factor=1e300, three_phase=True),
        ]:
            assert min(schedule(step) for step in range(n + 1)) >= 0
    assert nn.LinearLR(0.3, 0.3, 0, 7)(7) == 0


def test_a_power_too_large_for_a_float_is_inf():
    assert nn.ExponentialLR(1, 10)(308) == pytest.approx(1e308)
    assert nn.ExponentialLR(1, 10)(309) == math.inf
    assert nn.StepLR(1, 2, 10)(618) == nn.MultiStepLR(1, [1] * 309, 10)(1) == math.inf


# ------------------------------------------------------------------------------------ they are plain values


@pytest.mark.parametrize("schedule", [schedule for schedule, _ in BY_HAND])
def test_a_schedule_survives_pickle_and_its_own_repr(schedule):
    again = pickle.loads(pickle.dumps(schedule))
    assert again == schedule
    assert eval(repr(schedule), vars(nn)) == schedule
    assert hash(again) == hash(schedule)
    assert [again(step) for step in range(2)] == [schedule(step) for step in range(2)]


def test_a_schedule_shows_its_arguments():
    assert repr(nn.StepLR(1, 30)) == "StepLR(lr=1.0, step_size=30, gamma=0.1)"
    assert repr(nn.MultiStepLR(1, [30, 10])) == "MultiStepLR(lr=1.0, milestones=(10, 30), gamma=0.1)"


def test_a_schedule_cannot_be_changed():
    schedule = nn.ExponentialLR(1, 0.5)
    with pytest.raises(AttributeError):
        schedule.lr = 2


def test_numpys_numbers_are_taken_and_give_pythons():
    schedule = nn.StepLR(np.float32(0.5), np.int64(2), np.float64(0.5))
    assert [type(value) for value in vars(schedule).values()] == [float, int, float]
    assert type(schedule(np.int64(3))) is float
    assert nn.MultiStepLR(1, np.array([2, 1])).milestones == (1, 2)


def test_the_list_that_was_given_is_not_held():
    milestones = [1, 3]
    schedule = nn.MultiStepLR(1, milestones)
    milestones.clear()
    assert schedule(1) == 0.1


# ------------------------------------------------------------------------------------------ what they refuse

GOOD = {
    "ConstantLR": {},
    "LinearLR": {},
    "StepLR": {"step_size": 3},
    "MultiStepLR": {"milestones": [3]},
    "ExponentialLR": {"gamma": 0.5},
    "PolynomialLR": {},
    "CosineAnnealingLR": {"T_max": 3},
    "OneCycleLR": {"total_steps": 3},
    "CosineAnnealingWarmRestarts": {"T_0": 3},
    "CyclicLR": {"max_lr": 0.2},
}


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize(
    ("lr", "error", "message"),
    [
        (-0.1, ValueError, "expected a number >= 0, got -0.1"),
        (math.nan, ValueError, "expected a finite number, got nan"),
        (math.inf, ValueError, "expected a finite number, got inf"),
        ("0.1", TypeError, "expected a number, got '0.1'"),
        (None, TypeError, "expected a number, got None"),
    ],
)
def test_a_wrong_lr_is_an_error(name, lr, error, message):
    with pytest.raises(error, match=f"^{name}: {FIRST.get(name, 'lr')}: {message}"):
        getattr(nn, name)(lr, **GOOD[name])


@pytest.mark.parametrize(
    ("name", "option", "bounds"),
    [
        ("ConstantLR", "factor", "0 to 1"),
        ("LinearLR", "start_factor", "0 to 1"),
        ("LinearLR", "end_factor", "0 to 1"),
        ("OneCycleLR", "pct_start", "0 to 1"),
        ("StepLR", "gamma", ">= 0"),
        ("MultiStepLR", "gamma", ">= 0"),
        ("ExponentialLR", "gamma", ">= 0"),
        ("PolynomialLR", "power", ">= 0"),
        ("CosineAnnealingLR", "eta_min", ">= 0"),
        ("OneCycleLR", "div_factor", "above 0"),
        ("OneCycleLR", "final_div_factor", "above 0"),
        ("CosineAnnealingWarmRestarts", "eta_min", ">= 0"),
        ("CyclicLR", "max_lr", ">= 0"),
        ("CyclicLR", "gamma", ">= 0"),
    ],
)
def test_an_option_out_of_its_range_is_an_error(name, option, bounds):
    wrong = [-0.1, math.nan, math.inf]
    wrong += [1.1] if bounds == "0 to 1" else []
    wrong += [0.0] if bounds == "above 0" or option == "start_factor" else []
    for value in wrong:
        with pytest.raises(ValueError, match=rf"^{name}: {option}: expected a .*number.*, got {value}"):
            getattr(nn, name)(0.1, **GOOD[name] | {option: value})
    with pytest.raises(TypeError, match=f"^{name}: {option}: expected a number, got '1'"):
        getattr(nn, name)(0.1, **GOOD[name] | {option: "1"})


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("ConstantLR", "total_iters"),
        ("LinearLR", "total_iters"),
        ("StepLR", "step_size"),
        ("PolynomialLR", "total_iters"),
        ("CosineAnnealingLR", "T_max"),
        ("OneCycleLR", "total_steps"),
        ("CosineAnnealingWarmRestarts", "T_0"),
        ("CosineAnnealingWarmRestarts", "T_mult"),
        ("CyclicLR", "step_size_up"),
        ("CyclicLR", "step_size_down"),
    ],
)
def test_a_number_of_steps_is_whole_and_at_least_1(name, option):
    for value in 0, -1:
        with pytest.raises(ValueError, match=f"^{name}: {option}: expected at least 1, got {value}"):
            getattr(nn, name)(0.1, **GOOD[name] | {option: value})
    for value in 2.0, "2":
        with pytest.raises(TypeError, match=f"^{name}: {option}: expected a whole number, got {value!r}"):
            getattr(nn, name)(0.1, **GOOD[name] | {option: value})


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.MultiStepLR(1, 3), TypeError, "MultiStepLR: milestones: expected a list of whole numbers, got 3"),
        (lambda: nn.MultiStepLR(1, [3, 1.5]), TypeError, r"MultiStepLR: milestones\[1\]: expected a whole number"),
        (lambda: nn.MultiStepLR(1, [-1]), ValueError, r"MultiStepLR: milestones\[0\]: expected at least 0, got -1"),
        (lambda: nn.OneCycleLR(1), ValueError, "OneCycleLR: expected total_steps, or epochs and steps_per_epoch"),
        (lambda: nn.OneCycleLR(1, epochs=3), ValueError, "OneCycleLR: expected total_steps, or epochs and steps"),
        (lambda: nn.OneCycleLR(1, steps_per_epoch=3), ValueError, "OneCycleLR: expected total_steps, or epochs and"),
        (lambda: nn.OneCycleLR(1, epochs=0, steps_per_epoch=3), ValueError, "OneCycleLR: epochs: expected at least 1"),
        (
            lambda: nn.OneCycleLR(1, epochs=3, steps_per_epoch=2.5),
            TypeError,
            "OneCycleLR: steps_per_epoch: expected a whole number, got 2.5",
        ),
        (
            lambda: nn.OneCycleLR(1, 9, anneal_strategy="cosine"),
            ValueError,
            "OneCycleLR: anneal_strategy: expected 'cos' or 'linear', got 'cosine'",
        ),
        (
            lambda: nn.CyclicLR(1, 2, mode="sawtooth"),
            ValueError,
            "CyclicLR: mode: expected 'triangular' or 'triangular2' or 'exp_range', got 'sawtooth'",
        ),
        (lambda: nn.Warmup("0.1", 3), TypeError, "Warmup: schedule: expected a number, got '0.1'"),
        (lambda: nn.Warmup(-0.1, 3), ValueError, "Warmup: schedule: expected a number >= 0, got -0.1"),
        (
            lambda: nn.Warmup(nn.StepLR, 3),
            TypeError,
            r"Warmup: schedule: expected a schedule or a number, got the class itself; write StepLR\(\.\.\.\)",
        ),
        (lambda: nn.Warmup(0.1, 0), ValueError, "Warmup: steps: expected at least 1, got 0"),
        (lambda: nn.Warmup(0.1, 2.5), TypeError, "Warmup: steps: expected a whole number, got 2.5"),
        (lambda: nn.SequentialLR([], []), ValueError, "SequentialLR: schedulers: expected at least one, got none"),
        (
            lambda: nn.SequentialLR(0.1, []),
            TypeError,
            "SequentialLR: schedulers: expected a list of schedules, got 0.1",
        ),
        (
            lambda: nn.SequentialLR([0.1], []),
            TypeError,
            r"SequentialLR: schedulers\[0\]: expected a function of the step, got 0.1",
        ),
        (
            lambda: nn.SequentialLR([nn.ConstantLR(1), nn.StepLR], [1]),
            TypeError,
            r"SequentialLR: schedulers\[1\]: expected a function of the step, got <class",
        ),
        (
            lambda: nn.SequentialLR([nn.ConstantLR(1)], [1]),
            ValueError,
            "SequentialLR: milestones: expected 0, one fewer than schedules, got 1",
        ),
        (
            lambda: nn.SequentialLR([nn.ConstantLR(1)] * 3, [5, 4]),
            ValueError,
            r"SequentialLR: milestones: expected them in ascending order, got \(5, 4\)",
        ),
        (lambda: nn.SequentialLR([nn.ConstantLR(1)] * 2, [-1]), ValueError, r"SequentialLR: milestones\[0\]: expected"),
    ],
)
def test_what_else_is_refused(make, error, message):
    with pytest.raises(error, match=f"^{message}"):
        make()
