"""PerEpoch: schedules that count epochs."""

import copy
import pickle

import numpy as np
import pytest

import nnlite as nn

X = np.random.default_rng(0).normal(size=(100, 2))
Y = X[:, :1]
STEPS = nn.StepLR(0.1, step_size=10)


class Rates(nn.Callback):
    """The learning rate of each batch of each epoch."""

    def __init__(self):
        self.rates = {}

    def on_backward_end(self, state):
        self.rates.setdefault(state.epoch, []).append(state.optimizers[0].current_lr)


def train(lr, epochs, *callbacks, X=X, Y=Y, optimizer=None, **options):
    rates = Rates()
    options = {"batch_size": 2, "verbose": 0, "rng": 0, "loss": nn.MSELoss()} | options
    optimizer = optimizer or nn.SGD(nn.Sequential(nn.Linear(2, 1, rng=0)), lr)
    history = nn.fit(
        optimizer.layer, X, Y, optimizer=optimizer, epochs=epochs, callbacks=[rates, *callbacks], **options
    )
    return rates.rates, optimizer, history


def test_schedules_count_steps_and_per_epoch_epochs():
    """pytorch#65417: 50 batches an epoch, ten epochs at each rate; as torch with one scheduler.step() an epoch."""
    rates, optimizer, _ = train(nn.PerEpoch(STEPS), 21)
    assert rates == {epoch: [pytest.approx(0.1 * 0.1 ** ((epoch - 1) // 10), rel=1e-15)] * 50 for epoch in range(1, 22)}
    assert (optimizer.steps, optimizer.epochs_done) == (21 * 50, 21)
    rates, _, _ = train(STEPS, 2)
    assert [rates[1][0], rates[1][-1], rates[2][0]] == pytest.approx([0.1, 1e-5, 1e-6], rel=1e-12)


def test_torch_with_a_scheduler_that_steps_once_an_epoch():
    torch = pytest.importorskip("torch")
    for name, options in {"StepLR": {"step_size": 3}, "CosineAnnealingLR": {"T_max": 5}}.items():
        rates, _, _ = train(nn.PerEpoch(getattr(nn, name)(0.1, **options)), 8, batch_size=50)
        theirs = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
        scheduler = getattr(torch.optim.lr_scheduler, name)(theirs, **options)
        for epoch in range(1, 9):
            assert rates[epoch] == pytest.approx(scheduler.get_last_lr() * 2, rel=1e-12, abs=1e-15)
            theirs.step()
            scheduler.step()


HALVES = nn.PerEpoch(lambda epoch: 0.5**epoch)


@pytest.mark.parametrize("kind", ["list", "function", "accumulated", "short last batch"])
def test_all_steps_of_an_epoch_have_one_rate(kind):
    batches = [(X[start : start + 30], Y[start : start + 30]) for start in range(0, 100, 30)]
    steps, options = 4, {"X": batches, "Y": None}
    if kind == "function":
        options["X"] = lambda: iter(batches)
    elif kind == "accumulated":
        steps, options = 3, {"batch_size": 20, "accumulate_steps": 2}
    elif kind == "short last batch":
        options = {"batch_size": 30}
    rates, optimizer, _ = train(HALVES, 3, **options)
    assert rates == {1: [1.0] * steps, 2: [0.5] * steps, 3: [0.25] * steps}
    assert optimizer.steps == 3 * steps


def test_a_stream_whose_epochs_differ_in_length():
    lengths = iter([3, 1, 4])

    def source():
        for start in range(next(lengths)):
            yield X[start : start + 2], Y[start : start + 2]

    rates, _, _ = train(HALVES, 3, X=source, Y=None)
    assert rates == {1: [1.0] * 3, 2: [0.5], 3: [0.25] * 4}


def test_a_warm_up_in_steps_and_then_epochs():
    """The epochs are those of the whole training: the decay after epoch 2 is not put off by the warm-up."""
    warm_up = nn.LinearLR(1.0, start_factor=0.25, total_iters=3)
    schedule = nn.SequentialLR([warm_up, nn.PerEpoch(nn.MultiStepLR(1.0, [2], 0.5))], milestones=[3])
    rates, _, _ = train(schedule, 3, batch_size=50)
    assert rates == {1: [0.25, 0.5], 2: [0.75, 1.0], 3: [0.5, 0.5]}
    schedule = nn.SequentialLR([nn.PerEpoch(lambda epoch: 0.5**epoch), nn.ConstantLR(3, 0.5, 1)], milestones=[4])
    assert train(schedule, 3, batch_size=50)[0] == {1: [1, 1], 2: [0.5, 0.5], 3: [1.5, 3]}


def test_a_sequence_of_schedules_that_all_count_epochs():
    schedule = nn.SequentialLR([nn.LinearLR(1.0, 0.5, total_iters=2), nn.ExponentialLR(1.0, 0.5)], milestones=[2])
    rates, _, _ = train(nn.PerEpoch(schedule), 4, batch_size=50)
    assert rates == {1: [0.5] * 2, 2: [0.75] * 2, 3: [1.0] * 2, 4: [0.5] * 2}
    nested = nn.SequentialLR([nn.ConstantLR(9, 1, 1), nn.SequentialLR([nn.PerEpoch(schedule)], [])], milestones=[1])
    assert train(nested, 3, batch_size=50)[0] == {1: [9, 0.5], 2: [0.75] * 2, 3: [1.0] * 2}


def test_a_warm_up_in_steps_of_a_schedule_of_epochs_and_in_epochs():
    rates, optimizer, _ = train(nn.Warmup(HALVES, 4), 3, batch_size=50)
    assert rates == {1: [0.25, 0.5], 2: [0.375, 0.5], 3: [0.25, 0.25]}
    assert (optimizer.lr.counts_epochs, optimizer.lr.last_epoch) == (True, None)
    rates, _, _ = train(nn.PerEpoch(nn.Warmup(0.5, 2)), 3, batch_size=50)
    assert rates == {1: [0.25] * 2, 2: [0.5] * 2, 3: [0.5] * 2}
    ends = nn.Warmup(nn.PerEpoch(nn.OneCycleLR(0.1, total_steps=3)), 2)
    assert (ends.last_step, ends.last_epoch) == (None, 3)
    with pytest.raises(ValueError, match="the schedule Warmup ends after 3 epochs, but training takes 5"):
        train(ends, 5)
    assert nn.Warmup(nn.StepLR(4.0, 1, 0.5), 4).at(1, None) == 1.0  # the epoch is not asked for


# ------------------------------------------------------------------------------------------- several trainings


@pytest.mark.parametrize(
    "schedule", [HALVES, nn.SequentialLR([nn.LinearLR(1.0, 0.25, 1.0, 3), HALVES], [3]), nn.Warmup(HALVES, 5)]
)
@pytest.mark.parametrize("stop", [(1, 1), (1, 2), (2, 1), (2, 3), (3, 2)])
@pytest.mark.parametrize("stream", [False, True])
def test_a_resumed_training_has_the_same_rates_and_bytes(schedule, stop, stream, tmp_path):
    class Stop(nn.Callback):
        def on_batch_end(self, state):
            return (state.epoch, state.batch) == stop

    batches = [(X[start : start + 40], Y[start : start + 40]) for start in range(0, 100, 40)]
    options = {"X": lambda: iter(batches), "Y": None} if stream else {"batch_size": 40}
    whole_rates, whole, _ = train(schedule, 4, **options)
    path = tmp_path / "c.npz"
    train(schedule, 4, nn.Checkpoint(path), Stop(), **options)
    done = nn.Checkpoint(path).epochs_done
    rates, optimizer, _ = train(schedule, 4 - done, resume=path, **options)
    assert optimizer.layer.Phi.tobytes() == whole.layer.Phi.tobytes()
    assert (optimizer.steps, optimizer.epochs_done) == (12, 4)
    for epoch, there in rates.items():
        assert there == whole_rates[epoch][-len(there) :]


def test_resuming_compares_the_schedule(tmp_path):
    path = tmp_path / "c.npz"
    train(nn.PerEpoch(STEPS), 1, nn.Checkpoint(path))
    with pytest.raises(nn.CheckpointError, match=r"optimizer: lr: PerEpoch\(schedule=StepLR\(lr=0.1, .* in the file, "):
        train(STEPS, 1, resume=path)
    optimizer = nn.SGD(nn.Sequential(nn.Linear(2, 1)), nn.PerEpoch(nn.StepLR(0.1, step_size=9)))
    with pytest.raises(nn.CheckpointError, match=r"step_size=10.* in the file, PerEpoch\(.*step_size=9"):
        train(None, 1, optimizer=optimizer, resume=path)
    assert optimizer.epochs_done is None


def test_a_second_training_goes_on_counting():
    _, optimizer, _ = train(HALVES, 2, batch_size=50)
    rates, _, _ = train(None, 2, optimizer=optimizer, batch_size=50)
    assert rates == {1: [0.25] * 2, 2: [0.125] * 2}


def test_an_epoch_that_was_not_finished_is_not_counted():
    def fail(state):
        if state.epoch == 2:
            raise RuntimeError

    callback = nn.Callback()
    callback.on_batch_end = fail
    optimizer = nn.SGD(nn.Sequential(nn.Linear(2, 1, rng=0)), HALVES)
    with pytest.raises(RuntimeError):
        train(None, 3, callback, optimizer=optimizer)
    assert optimizer.epochs_done == 1


def test_the_rate_at_the_end_of_an_epoch_is_that_of_the_next_step():
    seen = []

    def look(state):
        seen.append((state.optimizers[0].epochs_done, state.optimizers[0].current_lr))

    begin, end = nn.Callback(), nn.Callback()
    begin.on_epoch_begin = look
    end.on_epoch_end = look
    _, _, history = train(HALVES, 2, begin, end, nn.LearningRateLogger(), batch_size=50)
    assert seen == [(0, 1.0), (1, 0.5), (1, 0.5), (2, 0.25)]
    assert history["lr"] == [1.0, 0.5]


def test_two_optimizers_count_for_themselves():
    model = nn.Sequential(nn.Linear(2, 2, rng=0), nn.Linear(2, 1, rng=1))
    schedule = nn.PerEpoch(nn.ExponentialLR(0.125, 0.5))
    one, other = nn.SGD(model[0], schedule), nn.SGD(model[1], schedule)
    options = {"loss": nn.MSELoss(), "verbose": 0, "batch_size": 100}
    nn.fit(model, X, Y, optimizer=one, epochs=2, **options)
    nn.fit(model, X, Y, optimizer=[one, other], epochs=1, **options)
    assert (one.epochs_done, other.epochs_done) == (3, 1)
    assert (one.current_lr, other.current_lr) == (2**-6, 2**-4)


# ------------------------------------------------------------------------------------------- the end of a schedule


@pytest.mark.parametrize("stream", [False, True])
def test_a_schedule_that_ends_too_early_is_an_error_before_the_first_step(stream):
    schedule = nn.PerEpoch(nn.OneCycleLR(0.1, total_steps=3))
    options = {"X": lambda: iter([(X, Y)] * 5), "Y": None} if stream else {}
    assert len(train(schedule, 3, **options)[0]) == 3
    optimizer = nn.SGD(nn.Sequential(nn.Linear(2, 1, rng=0)), schedule)
    message = r"^SGD: lr: the schedule PerEpoch ends after 3 epochs, but training takes 5; make it 5 epochs long$"
    with pytest.raises(ValueError, match=message):
        train(None, 5, optimizer=optimizer, **options)
    assert (optimizer.steps, optimizer.epochs_done) == (0, None)
    train(None, 3, optimizer=optimizer, **options)
    with pytest.raises(ValueError, match="ends after 3 epochs, but training takes 5"):
        train(None, 2, optimizer=optimizer, **options)


def test_a_sequence_ends_where_its_last_schedule_does():
    warm_up = nn.LinearLR(0.1, total_iters=3)
    schedule = nn.SequentialLR([warm_up, nn.PerEpoch(nn.OneCycleLR(0.1, total_steps=3))], milestones=[3])
    assert (schedule.last_step, schedule.last_epoch) == (None, 3)
    train(schedule, 3)
    with pytest.raises(ValueError, match="the schedule SequentialLR ends after 3 epochs, but training takes 5; make"):
        train(schedule, 5)
    schedule = nn.SequentialLR([nn.PerEpoch(STEPS), nn.OneCycleLR(0.1, total_steps=3)], milestones=[3])
    assert (schedule.last_step, schedule.last_epoch) == (6, None)


def test_a_schedule_in_steps_that_ends_in_the_middle():
    """A7: OneCycleLR(0.1, total_steps=20) for 25 steps."""
    optimizer = nn.SGD(nn.Sequential(nn.Linear(2, 1, rng=0)), nn.OneCycleLR(0.1, total_steps=20))
    with pytest.raises(ValueError, match="ends after 20 steps, but training takes 25; make it 25 steps long"):
        train(None, 5, optimizer=optimizer, batch_size=20)
    assert optimizer.steps == 0


# ------------------------------------------------------------------------------------------- by hand


def test_a_loop_by_hand_counts_epochs_or_is_told_how_to():
    layer = nn.Linear(1, 1, bias=False)
    optimizer = nn.SGD(layer, lr=HALVES)
    message = r"^PerEpoch: fit counts the epochs; in a loop by hand, write optimizer\.epochs_done = 0 before"
    for use in optimizer.step, lambda: optimizer.current_lr:
        with pytest.raises(nn.StateError, match=message):
            use()
    optimizer.epochs_done = 0
    rates = []
    for _ in range(3):
        for _ in range(2):
            rates.append(optimizer.current_lr)
            optimizer.step()
        optimizer.epochs_done += 1
    assert rates == [1, 1, 0.5, 0.5, 0.25, 0.25]


def test_sanity_looks_at_the_first_step():
    optimizer = nn.SGD(nn.Sequential(nn.Linear(2, 1, rng=0)), nn.PerEpoch(nn.ConstantLR(1e-3)))
    assert nn.sanity(optimizer.layer, nn.MSELoss(), X, Y, optimizer=optimizer).updates.right
    assert optimizer.epochs_done is None
    optimizer.lr = nn.PerEpoch(lambda epoch: float(epoch))
    found = nn.sanity(optimizer.layer, nn.MSELoss(), X, Y, optimizer=optimizer).updates.found
    assert found == "skipped: the learning rate is 0 at the first step"


def test_in_a_schedule_of_ones_own_it_is_an_error_that_says_what_to_write():
    with pytest.raises(nn.StateError, match=r"pass lr=PerEpoch\(\.\.\.\) itself; .* write schedule\(step // steps_per"):
        train(lambda step: 2 * nn.PerEpoch(STEPS)(step), 1)


@pytest.mark.parametrize(
    ("schedule", "error", "message"),
    [
        (0.1, TypeError, "PerEpoch: schedule: expected a function of the epoch, got 0.1"),
        (nn.StepLR, TypeError, "PerEpoch: schedule: expected a function of the epoch, got <class"),
        (HALVES, ValueError, "PerEpoch: schedule: it counts epochs already: PerEpoch"),
        (nn.SequentialLR([HALVES], []), ValueError, "PerEpoch: schedule: it counts epochs already: SequentialLR"),
    ],
)
def test_what_is_no_schedule_of_epochs(schedule, error, message):
    with pytest.raises(error, match=f"^{message}"):
        nn.PerEpoch(schedule)


def test_its_rate_is_checked_and_its_state_is_plain():
    optimizer = nn.SGD(nn.Linear(1, 1), lr=nn.PerEpoch(lambda epoch: -1.0))
    optimizer.epochs_done = 0
    with pytest.raises(ValueError, match="expected a finite number >= 0 from the schedule PerEpoch"):
        optimizer.step()
    optimizer = nn.SGD(nn.Linear(1, 1), lr=nn.PerEpoch(STEPS))
    assert optimizer.state_dict() == {"steps": 0, "epochs_done": None, "velocity": None}
    optimizer.load_state_dict({"steps": 7, "epochs_done": 3, "velocity": None})
    assert (optimizer.steps, optimizer.epochs_done) == (7, 3)
    optimizer.load_state_dict({"steps": 7, "epochs_done": None, "velocity": None})
    assert optimizer.epochs_done is None
    for wrong, message in (-1, "epochs_done: expected at least 0"), (1.5, "epochs_done: expected a whole number"):
        with pytest.raises(ValueError, match=message):
            optimizer.load_state_dict({"steps": 7, "epochs_done": wrong, "velocity": None})
    with pytest.raises(ValueError, match="epochs_done: missing"):
        optimizer.load_state_dict({"steps": 7, "velocity": None})


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_a_copy_goes_on_counting(copied):
    _, optimizer, _ = train(nn.PerEpoch(STEPS), 12)
    other = copied(optimizer)
    assert (other.epochs_done, other.current_lr) == (12, optimizer.current_lr)
    assert repr(other.lr) == "PerEpoch(schedule=StepLR(lr=0.1, step_size=10, gamma=0.1))"
