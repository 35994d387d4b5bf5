"""SGD: each option by hand, and what it refuses. The comparison with PyTorch is in test_oracle.py."""

import copy
import pickle

import numpy as np
import pytest

import nnlite as nn


def walk(gradients, **options):
    """Phi after each step from Phi = 1, along the given gradients."""
    layer = nn.Linear(1, 1, bias=False, dtype=np.float64)
    layer.W = [[1.0]]
    optimizer = nn.SGD(layer, **options)
    path = []
    for g in gradients:
        layer.dPhi = [g]
        optimizer.step()
        path.append(layer.W.item())
    return path


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({}, [-1, 1, 0]),  # 1 - 0.5 * 4, + 0.5 * 4, - 0.5 * 2
        ({"maximize": True}, [3, 1, 2]),
        # v = 4, then 0.5 * 4 - 4 = -2, then 0.5 * -2 + 2 = 1
        ({"momentum": 0.5}, [-1, 0, -0.5]),
        # v = 4 undamped, then 0.5 * 4 - 0.25 * 4 = 1, then 0.5 * 1 + 0.25 * 2 = 1
        ({"momentum": 0.5, "dampening": 0.75}, [-1, -1.5, -2]),
        # the same v as with momentum 0.5; the step is along g + 0.5 v = 6, -5, 2.5
        ({"momentum": 0.5, "nesterov": True}, [-2, 0.5, -0.75]),
        # g + Phi = 5, -4 - 1.5, 2 + 1.25
        ({"weight_decay": 1.0}, [-1.5, 1.25, -0.375]),
        # -g + Phi = -3, 4 + 2.5, -2 - 0.75
        ({"weight_decay": 1.0, "maximize": True}, [2.5, -0.75, 0.625]),
        # dampening alone does nothing
        ({"dampening": 0.5}, [-1, 1, 0]),
    ],
)
def test_three_steps_by_hand(options, path):
    assert walk([4.0, -4.0, 2.0], lr=0.5, **options) == path


def test_lr_may_be_set_anew():
    layer = nn.Linear(1, 1, bias=False)
    layer.W = [[1.0]]
    optimizer = nn.SGD(layer, 1.0)
    layer.dPhi = [1.0]
    optimizer.step()
    optimizer.lr = 0.25
    optimizer.step()
    assert layer.W.item() == -0.25


def test_lr_0_moves_nothing():
    assert walk([4.0, 5.0], lr=0, momentum=0.9) == [1, 1]


@pytest.mark.parametrize("options", [{}, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}, {"maximize": True}])
def test_a_step_is_in_place_and_leaves_the_gradient(options):
    layer = nn.Linear(3, 2, rng=0)
    Phi, W, dPhi = layer.Phi, layer.W, np.arange(8, dtype=np.float32)
    layer.dPhi = dPhi
    optimizer = nn.SGD(layer, lr=np.float64(0.1), **options)
    before = Phi.copy()
    optimizer.step()
    optimizer.step()
    assert layer.Phi is Phi
    assert np.shares_memory(layer.W, Phi)
    assert np.all(Phi[1:] != before[1:])
    assert Phi.dtype == W.dtype == np.float32
    np.testing.assert_array_equal(layer.dPhi, dPhi)


def test_the_velocity_is_its_own_and_not_the_gradients_array():
    layer = nn.Linear(1, 1, bias=False, dtype=np.float64)
    layer.dPhi = [1.0]
    optimizer = nn.SGD(layer, lr=0.1, momentum=0.5)
    optimizer.step()
    layer.dPhi[...] = 100.0  # what the next backward does
    np.testing.assert_array_equal(optimizer.velocity, [1.0])


def test_float32_parameters_keep_a_float32_velocity():
    layer = nn.Linear(2, 2)
    optimizer = nn.SGD(layer, lr=np.float64(0.1), momentum=np.float64(0.9), weight_decay=np.float64(0.1))
    optimizer.step()
    optimizer.step()
    assert optimizer.velocity.dtype == np.float32


def test_two_optimizers_give_two_parts_a_rate_each():
    model = nn.Sequential(nn.Linear(2, 2, rng=0), nn.Linear(2, 1, rng=1), nn.Linear(1, 1, rng=2))
    before = model.state_dict()
    model.dPhi[...] = 1
    nn.SGD(model[0], lr=1).step()
    nn.SGD(model[1], lr=0.5).step()
    moved = {name: before[name] - P for name, P in model.named_parameters()}
    for name, rate in {"0.W": 1, "0.b": 1, "1.W": 0.5, "1.b": 0.5, "2.W": 0, "2.b": 0}.items():
        np.testing.assert_allclose(moved[name], rate, rtol=1e-6, err_msg=name)


def test_it_descends_to_the_minimum_of_a_square():
    """J = (w - 3)^2 / 2 from w = 0: each plain step keeps 1 - lr of the distance."""
    layer, target = nn.Linear(1, 1, bias=False, dtype=np.float64), np.array([[3.0]])
    layer.W = [[0.0]]
    optimizer, loss = nn.SGD(layer, lr=0.25), nn.MSELoss(reduction="sum")
    for _ in range(10):
        loss.forward(layer.forward(np.ones((1, 1))), target)
        layer.backward(loss.backward(0.5))
        optimizer.step()
    assert layer.W.item() == pytest.approx(3 * (1 - 0.75**10), rel=1e-14)


# ------------------------------------------------------------------------------------------- learning rates


def test_a_schedule_gives_each_step_its_rate():
    # the steps have 1, 1/2 and 1/4: 1 - 4, + 4 / 2, - 2 / 4
    assert walk([4.0, -4.0, 2.0], lr=lambda step: 0.5**step) == [-3, -1, -1.5]
    assert walk([4.0, -4.0, 2.0], lr=nn.ExponentialLR(1, 0.5)) == [-3, -1, -1.5]
    # v = 4, then 0.5 * 4 - 4 = -2, then 0.5 * -2 + 2 = 1; v is not scaled by the rate
    assert walk([4.0, -4.0, 2.0], lr=nn.ExponentialLR(1, 0.5), momentum=0.5) == [-3, -2, -2.25]


def test_steps_counts_those_done_and_current_lr_is_that_of_the_next():
    asked = []

    def schedule(step):
        asked.append(step)
        return 0.5**step

    layer = nn.Linear(1, 1)
    optimizer = nn.SGD(layer, lr=schedule)
    assert asked == []
    seen = [(optimizer.steps, optimizer.current_lr)]
    for _ in range(3):
        optimizer.step()
        seen.append((optimizer.steps, optimizer.current_lr))
    assert seen == [(0, 1), (1, 0.5), (2, 0.25), (3, 0.125)]
    assert asked == [0, 1, 2, 3]  # once a step, so that a schedule may be a generator's next
    assert optimizer.lr is schedule


def test_a_step_that_failed_is_not_counted():
    model = nn.Sequential(nn.Linear(2, 2))
    optimizer = nn.SGD(model, lr=0.1, momentum=0.9)
    optimizer.step()
    model.append(nn.Linear(2, 1))
    with pytest.raises(nn.StateError):
        optimizer.step()
    assert optimizer.steps == 1


def test_a_number_and_a_schedule_may_take_each_others_place():
    layer = nn.Linear(1, 1, bias=False, dtype=np.float64)
    layer.W, layer.dPhi = [[0.0]], [1.0]
    optimizer = nn.SGD(layer, lr=np.float32(0.5))
    assert type(optimizer.lr) is type(optimizer.current_lr) is float
    optimizer.step()
    optimizer.lr = nn.MultiStepLR(4, [2], 0.5)  # of the steps of this optimizer: the next is step 1
    optimizer.step()
    optimizer.step()
    optimizer.lr = 16
    optimizer.step()
    assert layer.W.item() == -(0.5 + 4 + 2 + 16)
    assert optimizer.steps == 4


SCHEDULES = {
    "StepLR": {"step_size": 7, "gamma": 0.5},
    "ExponentialLR": {"gamma": 0.95},
    "LinearLR": {"start_factor": 0.1, "total_iters": 30},
    "CosineAnnealingLR": {"T_max": 25, "eta_min": 0.01},
    "PolynomialLR": {"total_iters": 40, "power": 2.0},
}


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("options", [{}, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}])
def test_torch_with_its_scheduler_takes_the_same_steps(name, options):
    torch = pytest.importorskip("torch")
    gradients = np.random.default_rng(0).normal(size=(60, 4))
    layer = nn.Linear(2, 2, bias=False, dtype=np.float64, rng=0)
    Phi = torch.nn.Parameter(torch.tensor(layer.Phi.copy()))
    ours = nn.SGD(layer, lr=getattr(nn, name)(0.3, **SCHEDULES[name]), **options)
    theirs = torch.optim.SGD([Phi], lr=0.3, **options)
    scheduler = getattr(torch.optim.lr_scheduler, name)(theirs, **SCHEDULES[name])
    for gradient in gradients:
        layer.dPhi, Phi.grad = gradient, torch.tensor(gradient)
        ours.step()
        theirs.step()
        scheduler.step()
        np.testing.assert_allclose(layer.Phi, Phi.detach().numpy(), rtol=1e-10, atol=1e-12)


def test_a_schedule_of_numpys_numbers_leaves_float32_parameters_so():
    layer = nn.Linear(2, 2)
    layer.dPhi[...] = 1
    optimizer = nn.SGD(layer, lr=lambda step: np.float64(0.1), weight_decay=0.1)
    optimizer.step()
    assert type(optimizer.current_lr) is float
    assert layer.Phi.dtype == np.float32


@pytest.mark.parametrize("value", [-0.1, np.nan, np.inf, None, "0.1", 1j, [0.1], np.array(0.1)])
@pytest.mark.parametrize("wrap", [lambda schedule: nn.SequentialLR([schedule], []), lambda each: nn.Warmup(each, 2)])
def test_a_schedule_that_gives_no_rate_is_an_error_that_names_it(value, wrap):
    layer = nn.Linear(1, 1)
    layer.dPhi[...] = 1
    optimizer = nn.SGD(layer, lr=wrap(lambda step: 0.5 if step < 2 else value))
    optimizer.step()
    optimizer.step()
    before = layer.Phi.copy()
    message = r"^SGD: lr: expected a finite number >= 0 from the schedule \w+\(.*\), got .* for step 2$"
    with pytest.raises(ValueError, match=message):
        optimizer.step()
    with pytest.raises(ValueError, match=message):
        _ = optimizer.current_lr
    np.testing.assert_array_equal(layer.Phi, before)
    assert optimizer.steps == 2


def test_the_error_names_a_function_too():
    def warm_up(step):
        return -1

    with pytest.raises(ValueError, match=r"from the schedule <function .*warm_up at .*, got -1 for step 0$"):
        nn.SGD(nn.Linear(1, 1), lr=warm_up).step()


@pytest.mark.parametrize("value", [-0.1, np.nan, np.inf, "0.1", None, nn.StepLR])
def test_a_wrong_rate_is_refused_when_it_is_set_and_the_old_one_stays(value):
    optimizer = nn.SGD(nn.Linear(1, 1), lr=0.5)
    with pytest.raises((TypeError, ValueError), match=r"^SGD: lr: expected a .*number.*, got"):
        optimizer.lr = value
    assert optimizer.lr == 0.5


def test_the_class_of_a_schedule_is_none():
    with pytest.raises(TypeError, match=r"^SGD: lr: expected a number, got the class itself; write StepLR\(...\)$"):
        nn.SGD(nn.Linear(1, 1), lr=nn.StepLR)


def test_an_optimizer_of_ones_own_defines_move_and_has_the_rest():
    class SignDescent(nn.Optimizer):
        def move(self, lr):
            self.layer.Phi -= lr * np.sign(self.layer.dPhi)

    layer = nn.Linear(1, 1, dtype=np.float64)
    layer.Phi, layer.dPhi = [0.0, 0.0], [2.0, -3.0]
    optimizer = SignDescent(layer, lr=nn.ExponentialLR(1, 0.5))
    optimizer.step()
    optimizer.step()
    np.testing.assert_array_equal(layer.Phi, [-1.5, 1.5])
    assert optimizer.state_dict() == {"steps": 2}
    assert SignDescent(layer).current_lr == 1
    with pytest.raises(ValueError, match=r"^SignDescent: lr: expected a number >= 0, got -1"):
        SignDescent(layer, lr=-1)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_a_copy_goes_on_by_itself(copied):
    optimizer = nn.SGD(nn.Linear(1, 1), lr=nn.ExponentialLR(1, 0.5), momentum=0.5)
    optimizer.layer.dPhi[...] = 1
    optimizer.step()
    other = copied(optimizer)
    other.layer.dPhi[...] = 1
    other.step()
    assert (optimizer.steps, optimizer.current_lr, other.steps, other.current_lr) == (1, 0.5, 2, 0.25)
    optimizer.step()
    np.testing.assert_array_equal(other.layer.Phi, optimizer.layer.Phi)


# ------------------------------------------------------------------------------------------------ its state


@pytest.mark.parametrize("lr", [0.1, nn.OneCycleLR(0.1, 30)], ids=["number", "schedule"])
@pytest.mark.parametrize(
    "options", [{}, {"momentum": 0.9}, {"momentum": 0.9, "dampening": 0.5, "weight_decay": 0.1}, {"maximize": True}]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_stopping_after_any_step_changes_no_bit(lr, options, dtype):
    gradients = np.random.default_rng(0).normal(size=(12, 6)).astype(dtype)

    def run(model, optimizer, gradients):
        for gradient in gradients:
            model.dPhi = gradient
            optimizer.step()
        return model

    def new():
        model = nn.Linear(2, 2, dtype=dtype, rng=0)
        return model, nn.SGD(model, lr, **options)

    whole = run(*new(), gradients)
    for stop in range(12):
        model, optimizer = new()
        run(model, optimizer, gradients[:stop])
        state, weights = optimizer.state_dict(), model.state_dict()
        run(model, optimizer, gradients[stop:])  # what was saved is a copy
        model, optimizer = new()
        model.load_state_dict(weights)
        optimizer.load_state_dict(state)
        assert run(model, optimizer, gradients[stop:]).Phi.tobytes() == whole.Phi.tobytes()
        assert optimizer.steps == 12


def test_the_state_is_plain_and_all_of_it():
    layer = nn.Linear(1, 1, dtype=np.float64)
    layer.dPhi = [1.0, 2.0]
    optimizer = nn.SGD(layer, lr=np.float32(0.5), momentum=0.9)
    assert optimizer.state_dict() == {"steps": 0, "lr": 0.5, "velocity": None}
    optimizer.step()
    state = optimizer.state_dict()
    assert {name: type(value) for name, value in state.items()} == {"steps": int, "lr": float, "velocity": np.ndarray}
    np.testing.assert_array_equal(state["velocity"], [1, 2])
    assert not np.shares_memory(state["velocity"], optimizer.velocity)
    assert nn.SGD(layer, nn.ConstantLR(1)).state_dict() == {"steps": 0, "velocity": None}


def test_loading_writes_into_the_velocity_that_is_there_and_copies_it_else():
    layer = nn.Linear(1, 1, dtype=np.float64)
    optimizer = nn.SGD(layer, lr=0.1, momentum=0.9)
    state = {"steps": 7, "lr": 0.25, "velocity": np.array([3.0, 4.0])}
    optimizer.load_state_dict(state)
    assert not np.shares_memory(optimizer.velocity, state["velocity"])
    velocity = optimizer.velocity
    optimizer.load_state_dict(state | {"velocity": np.array([5.0, 6.0])})
    assert optimizer.velocity is velocity
    np.testing.assert_array_equal(velocity, [5, 6])
    assert (optimizer.steps, optimizer.lr) == (7, 0.25)
    optimizer.load_state_dict(state | {"velocity": None})
    assert optimizer.velocity is None


def test_its_own_state_always_fits():
    optimizer = nn.SGD(nn.Linear(1, 1), lr=0.1, momentum=0.9)
    optimizer.step()
    optimizer.load_state_dict(optimizer.state_dict())
    optimizer.momentum = 0.0
    optimizer.load_state_dict(optimizer.state_dict())
    optimizer = nn.SGD(nn.Linear(1, 1), lr=0.1)
    optimizer.step()
    optimizer.momentum = 0.9
    optimizer.load_state_dict(optimizer.state_dict())


@pytest.mark.parametrize(
    ("lr", "momentum", "change", "wrong"),
    [
        (0.1, 0.9, {"steps": -1}, ["steps: expected at least 0, got -1"]),
        (0.1, 0.9, {"steps": 1.0}, ["steps: expected a whole number, got 1.0"]),
        (0.1, 0.9, {"lr": -1.0}, ["lr: expected a number >= 0, got -1.0"]),
        (0.1, 0.9, {"lr": nn.ConstantLR(1)}, ["lr: expected a number, got ConstantLR("]),
        (0.1, 0.9, {"velocity": np.zeros(3)}, ["velocity: expected (2,) float64, got (3,) float64"]),
        (0.1, 0.9, {"velocity": np.zeros(2, np.float32)}, ["velocity: expected (2,) float64, got (2,) float32"]),
        (0.1, 0.9, {"velocity": [0.0, 0.0]}, ["velocity: expected (2,) float64, got [0.0, 0.0]"]),
        (0.1, 0.0, {}, ["velocity: expected None, since momentum is 0"]),
        (nn.ConstantLR(1), 0.9, {}, ["lr: unknown, since the learning rate is a schedule"]),
        (0.1, 0.9, {"m": np.zeros(2)}, ["m: unknown"]),
        (0.1, 0.9, {"steps": None, "lr": "x", "v": 1}, ["steps: expected a w", "lr: expected a number", "v: unknown"]),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing_and_lists_what_is_wrong(lr, momentum, change, wrong):
    optimizer = nn.SGD(nn.Linear(1, 1, dtype=np.float64), lr=lr, momentum=momentum)
    state = {"steps": 3, "lr": 0.5, "velocity": np.ones(2)} | change
    with pytest.raises(ValueError, match=r"^SGD: the state does not fit, nothing was loaded:\n") as error:
        optimizer.load_state_dict(state)
    listed = str(error.value).split("\n  ")[1:]
    assert len(listed) == len(wrong)
    assert all(line.startswith(expected) for line, expected in zip(listed, wrong, strict=True)), listed
    assert (optimizer.steps, optimizer.lr, optimizer.velocity) == (0, lr, None)


def test_what_is_missing_from_a_state_is_listed():
    optimizer = nn.SGD(nn.Linear(1, 1), lr=0.1)
    with pytest.raises(ValueError, match=r"loaded:\n  steps: missing\n  lr: missing\n  velocity: missing$"):
        optimizer.load_state_dict({})


# ------------------------------------------------------------------------------------------ what it refuses


@pytest.mark.parametrize("option", ["lr", "momentum", "weight_decay"])
@pytest.mark.parametrize(
    ("value", "expected"),
    [(-0.1, "a number >= 0"), (np.nan, "a finite number"), (np.inf, "a finite number"), (-np.inf, "a finite number")],
)
def test_an_option_that_is_negative_or_not_finite_is_an_error(option, value, expected):
    with pytest.raises(ValueError, match=f"^SGD: {option}: expected {expected}, got {value}"):
        nn.SGD(nn.Linear(1, 1), **{"lr": 0.1, option: value})


def test_dampening_must_be_finite():
    with pytest.raises(ValueError, match=r"^SGD: dampening: expected a finite number, got nan"):
        nn.SGD(nn.Linear(1, 1), lr=0.1, momentum=0.9, dampening=np.nan)


@pytest.mark.parametrize("option", ["lr", "momentum", "dampening", "weight_decay"])
@pytest.mark.parametrize("value", ["0.1", None, [0.1], 1j])
def test_an_option_that_is_no_number_is_an_error(option, value):
    with pytest.raises(TypeError, match=f"^SGD: {option}: expected a number, got"):
        nn.SGD(nn.Linear(1, 1), **{"lr": 0.1, option: value})


@pytest.mark.parametrize(
    "options", [{}, {"momentum": 0.0}, {"momentum": 0.9, "dampening": 0.5}, {"momentum": 0.9, "dampening": -0.5}]
)
def test_nesterov_needs_momentum_and_no_dampening(options):
    with pytest.raises(
        ValueError, match=r"^SGD: nesterov: expected momentum above 0 and no dampening, got momentum=[^,X]+, damp"
    ):
        nn.SGD(nn.Linear(1, 1), lr=0.1, nesterov=True, **options)


def test_a_layer_without_parameters_is_an_error():
    with pytest.raises(ValueError, match=r"^SGD: Tanh\(\) has no parameters"):
        nn.SGD(nn.Tanh(), lr=0.1)
    with pytest.raises(ValueError, match=r"^SGD: Sequential\(2 layers\) has no parameters"):
        nn.SGD(nn.Sequential(nn.Tanh(), nn.Sigmoid()), lr=0.1)


@pytest.mark.parametrize("layer", [None, [nn.Linear(1, 1)], np.zeros(3), nn.Linear])
def test_what_is_no_layer_is_an_error(layer):
    with pytest.raises(TypeError, match=r"^SGD: layer: expected a Layer, the model itself, got"):
        nn.SGD(layer, lr=0.1)


def test_a_model_that_has_grown_is_an_error():
    model = nn.Sequential(nn.Linear(2, 2))
    optimizer = nn.SGD(model, lr=0.1, momentum=0.9)
    optimizer.step()
    model.append(nn.Linear(2, 1))
    with pytest.raises(
        nn.StateError, match=r"^SGD: Sequential\(2 layers\) has more parameters than in the first step; make a new"
    ):
        optimizer.step()


def test_an_optimizer_without_step_says_so():
    class Lazy(nn.Optimizer):
        pass

    with pytest.raises(NotImplementedError, match=r"^Lazy has no method move; define move\(self, lr\)$"):
        Lazy(nn.Linear(1, 1)).step()


@pytest.mark.parametrize("written", ["pass", "self.momentum = 0.5", "self.layer = layer", "self.lr = 0.1"])
def test_an_optimizer_that_does_not_call_the_constructor_of_its_base_says_so(written):
    class Own(nn.Optimizer):
        def __init__(self, layer):
            exec(written)

        def move(self, lr):
            self.layer.Phi -= lr * self.layer.dPhi

    layer = nn.Linear(1, 1)
    message = r"^Own: (layer|lr|steps) is not set; call super\(\).__init__\(layer, lr\) in Own.__init__$"
    with pytest.raises(AttributeError, match=message):
        Own(layer).step()
    with pytest.raises(AttributeError, match=message):
        nn.fit(layer, np.ones((2, 1)), np.ones((2, 1)), loss=nn.MSELoss(), optimizer=Own(layer), verbose=0)
    with pytest.raises(AttributeError, match=r"^'SGD' object has no attribute 'momentun'"):
        nn.SGD(layer, 0.1).momentun  # noqa: B018
    assert not hasattr(nn.SGD(layer, 0.1), "momentun")


def test_repr_shows_what_is_set():
    layer = nn.Linear(2, 1)
    assert repr(nn.SGD(layer, lr=0.1)) == "SGD(Linear(2 -> 1), lr=0.1)"
    assert (
        repr(nn.SGD(layer, lr=nn.ExponentialLR(1, 0.5))) == "SGD(Linear(2 -> 1), lr=ExponentialLR(lr=1.0, gamma=0.5))"
    )
    shown = repr(nn.SGD(layer, lr=1, momentum=0.9, nesterov=True, weight_decay=0.1, maximize=True))
    assert shown == "SGD(Linear(2 -> 1), lr=1.0, momentum=0.9, weight_decay=0.1, nesterov=True, maximize=True)"
    assert repr(nn.SGD(layer, lr=1, momentum=0.5, dampening=0.5)).endswith("momentum=0.5, dampening=0.5)")


def test_the_velocity_changes_its_dtype_with_the_model():
    layer = nn.Linear(1, 1)
    optimizer = nn.SGD(layer, lr=0.5, momentum=0.5)
    layer.Phi, layer.dPhi = [0.0, 0.0], [1.0, 1.0]
    optimizer.step()
    layer.astype(np.float64)
    layer.dPhi = [1 / 3, 0.0]
    optimizer.step()
    assert layer.Phi.tolist() == [-0.5 - 0.5 * (0.5 + 1 / 3), -0.75]  # in float64, of which float32 holds no third


def test_an_optimizer_that_another_process_gets_read_only_goes_on():
    """scikit-learn#5956: joblib hands arrays of a pickle over read-only, as buffers of protocol 5 may be."""
    layer = nn.Linear(3, 2, rng=0)
    optimizer = nn.SGD(layer, lr=0.1, momentum=0.9)
    layer.dPhi = np.ones(8)
    optimizer.step()
    buffers = []
    dumped = pickle.dumps((layer, optimizer), protocol=5, buffer_callback=buffers.append)
    other, twin = pickle.loads(dumped, buffers=[bytes(buffer.raw()) for buffer in buffers])
    other.dPhi = np.ones(8)
    optimizer.step()
    twin.step()
    np.testing.assert_array_equal(other.Phi, layer.Phi)
