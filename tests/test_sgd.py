"""SGD: each option by hand, and what it refuses. The comparison with PyTorch is in test_oracle.py."""

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
    with pytest.raises(ValueError, match=r"^SGD: Tanh\(\) has no parameters to move"):
        nn.SGD(nn.Tanh(), lr=0.1)
    with pytest.raises(ValueError, match=r"^SGD: Sequential\(2 layers\) has no parameters to move"):
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
    with pytest.raises(nn.StateError, match=r"^SGD: Sequential\(2 layers\) has grown since the first step; make a new"):
        optimizer.step()


def test_an_optimizer_without_step_says_so():
    class Lazy(nn.Optimizer):
        pass

    with pytest.raises(NotImplementedError, match=r"^Lazy has no step"):
        Lazy(nn.Linear(1, 1)).step()


def test_repr_shows_what_is_set():
    layer = nn.Linear(2, 1)
    assert repr(nn.SGD(layer, lr=0.1)) == "SGD(Linear(2 -> 1), lr=0.1)"
    shown = repr(nn.SGD(layer, lr=1, momentum=0.9, nesterov=True, weight_decay=0.1, maximize=True))
    assert shown == "SGD(Linear(2 -> 1), lr=1.0, momentum=0.9, weight_decay=0.1, nesterov=True, maximize=True)"
    assert repr(nn.SGD(layer, lr=1, momentum=0.5, dampening=0.5)).endswith("momentum=0.5, dampening=0.5)")
