"""What all optimizers have in common: states, files, growth, dtypes, frozen parameters, and what they refuse.

Their steps are compared with PyTorch's in test_as_torch.py and test_oracle.py.
"""

import copy
import pickle

import numpy as np
import pytest
from support.optimizers import OPTIONS, mixes

import nnlite as nn

KINDS = [*OPTIONS, "Lion"]
ALL = {kind: mixes(kind)[-1] for kind in OPTIONS} | {"Lion": {"betas": (0.4, 0.9), "weight_decay": 0.1}}
rng = np.random.default_rng(0)
X = rng.normal(size=(12, 3))
Y = X[:, :2] * 2


def full(kind, layer, lr=0.01, **options):
    """The optimizer with all its options, so with all its arrays."""
    return getattr(nn, kind)(layer, lr=lr, **ALL[kind] | {"maximize": False} | options)


def train(kind, epochs, dtype=np.float32, **options):
    layer = nn.Linear(3, 2, rng=0, dtype=dtype)
    nn.fit(
        layer, X, Y, loss=nn.MSELoss(), optimizer=full(kind, layer), epochs=epochs, batch_size=5, verbose=0, rng=0,
        **options,
    )  # fmt: skip
    return layer.Phi.tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_a_resumed_training_ends_where_one_without_a_break_does(kind, tmp_path):
    train(kind, 2, callbacks=[nn.Checkpoint(tmp_path / "c.npz")])
    assert train(kind, 2, resume=tmp_path / "c.npz") == train(kind, 4) != train(kind, 2)


@pytest.mark.parametrize("again", [copy.deepcopy, lambda optimizer: pickle.loads(pickle.dumps(optimizer))])
@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_goes_on_with_arrays_of_its_own(kind, again):
    layer = nn.Linear(3, 2, rng=0)
    optimizer = full(kind, layer)
    layer.dPhi = np.arange(8) - 3.0
    optimizer.step()
    other = again(optimizer)
    for each in optimizer, other, other, optimizer:
        each.layer.dPhi = np.arange(8) - 4.0
        each.step()
    assert other.layer.Phi.tobytes() == layer.Phi.tobytes()
    for name in optimizer.arrays:
        np.testing.assert_array_equal(getattr(other, name), getattr(optimizer, name))


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_is_in_place_and_leaves_the_gradient(kind):
    layer = nn.Linear(3, 2, rng=0)
    Phi, before, dPhi = layer.Phi, layer.Phi.copy(), np.arange(8, dtype=np.float32) - 3.5
    layer.dPhi = dPhi
    optimizer = full(kind, layer, lr=np.float64(0.1))
    optimizer.step()
    optimizer.step()
    assert layer.Phi is Phi
    assert Phi.dtype == np.float32
    assert np.all(np.sign(before - Phi) == np.sign(dPhi))
    np.testing.assert_array_equal(layer.dPhi, dPhi)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_that_has_grown_is_an_error_and_nothing_has_moved(kind):
    model = nn.Sequential(nn.Linear(2, 2))
    optimizer = full(kind, model)
    optimizer.step()
    model.append(nn.Linear(2, 1))
    before, state = model.Phi.copy(), optimizer.steps
    with pytest.raises(nn.StateError, match=rf"^{kind}: Sequential\(2 layers\) has more parameters than in the first"):
        optimizer.step()
    np.testing.assert_array_equal(model.Phi, before)
    assert optimizer.steps == state


@pytest.mark.parametrize("kind", KINDS)
def test_the_arrays_follow_the_dtype_of_the_model(kind):
    layer = nn.Linear(3, 2, rng=0)
    layer.dPhi = np.arange(8) - 3.0
    optimizer = full(kind, layer)
    optimizer.step()
    arrays = {name: np.array(getattr(optimizer, name)) for name in optimizer.arrays}
    layer.astype(np.float64)
    layer.dPhi = np.zeros(8)
    optimizer.step()
    for name, array in arrays.items():
        if array.ndim:
            assert array.dtype == np.float32
            assert getattr(optimizer, name).dtype == np.float64


@pytest.mark.parametrize("kind", KINDS)
def test_a_frozen_parameter_does_not_move_by_a_bit(kind):
    model = nn.Linear(2, 2, rng=0)
    model.b = [-0.0, 3.0]
    optimizer, before = full(kind, model, lr_factor={"b": 0}), model.b.tobytes()
    for _ in range(3):
        model.dW, model.db = np.ones((2, 2)), np.full(2, np.nan)
        W = model.W.copy()
        optimizer.step()
        assert model.b.tobytes() == before
        assert np.all(model.W < W)


@pytest.mark.parametrize(
    ("cls", "options", "expected"),
    [
        (nn.Adam, {}, 0.5),
        (nn.AdamW, {"weight_decay": 1.0}, 0.0),
        (nn.RMSprop, {"alpha": 0.75}, 0.0),  # v = 16 / 4, and 1 - 0.5 * 4 / 2
        (nn.Adagrad, {"initial_accumulator_value": 48.0}, 0.75),  # v = 64, and 1 - 0.5 * 4 / 8
        (nn.Adadelta, {"rho": 0.75, "eps": 1.0}, 1 - 2 / 5**0.5),  # v = 4, and 1 - 0.5 * sqrt(1 / 5) * 4
        (nn.Adamax, {}, 0.5),
        (nn.NAdam, {"betas": (0.0, 0.0)}, 0.5),
        (nn.RAdam, {}, -1.0),  # 1 - 0.5 * 4: the first steps are not adaptive
        (nn.ASGD, {"lambd": 0.5}, -1.25),  # 1 - 0.5 * 0.5, and - 0.5 * 4
        (nn.Adafactor, {"eps": (0.0, 0.0), "weight_decay": 1.0}, 0.0),  # 1 - 0.5, and - 0.5 * 4 / sqrt(16)
        (nn.Lion, {}, 0.5),
        (nn.Rprop, {}, 0.5),
    ],
)
def test_the_first_step_by_hand(cls, options, expected):
    layer = nn.Linear(1, 1, bias=False, dtype=np.float64)
    layer.W, layer.dW = [[1.0]], [[4.0]]
    options = ({} if cls in (nn.ASGD, nn.Lion, nn.Rprop) else {"eps": 0.0}) | options
    cls(layer, lr=0.5, **options).step()
    assert layer.W.item() == pytest.approx(expected, rel=1e-14, abs=1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_it_descends_to_the_minimum_of_a_square(kind):
    layer = nn.Linear(4, 1, bias=False, dtype=np.float64)
    layer.Phi = np.ones(4)
    optimizer = getattr(nn, kind)(layer, lr={"Adadelta": 1, "Adagrad": 0.5, "RAdam": 0.05}.get(kind, 0.01))
    for _ in range(500):
        layer.dPhi = layer.Phi * [1, 2, 3, 4]
        optimizer.step()
    assert np.all(np.abs(layer.Phi) < 0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_out_of_range_is_refused(kind):
    bad = {
        "betas": [(0.9, 1.0), (-0.1, 0.9), (np.nan, 0.9), 0.9, (0.9,), ("a", 0.9)],
        "eps": [-1e-8, np.nan, None, (-1e-8, 0.0), (None, None), (None, -1.0)],
        "weight_decay": [-1, "x", np.inf, {"nowhere": 1.0}],
        "alpha": [-0.1, np.inf],
        "momentum": [-0.1, None],
        "lr_decay": [-0.1],
        "initial_accumulator_value": [-0.1],
        "rho": [-0.1, 1.1],
        "lambd": [-0.1],
        "t0": [-1, np.inf],
        "beta2_decay": [0.1, -np.inf],
        "d": [0.9, np.inf],
        "momentum_decay": [-0.1],
        "etas": [(0.0, 1.2), (1.0, 1.2), (0.5, 1.0), 0.5, ("a", 2)],
        "step_sizes": [(-1.0, 1.0), (2.0, 1.0), (1.0,)],
    }
    for name, values in bad.items():
        for value in values if name in ALL[kind] else ():
            with pytest.raises((TypeError, ValueError), match=rf"^{kind}: {name}.*: "):
                getattr(nn, kind)(nn.Linear(1, 1), **{name: value})
    with pytest.raises(ValueError, match=rf"^{kind}: ReLU\(\) has no parameters"):
        getattr(nn, kind)(nn.ReLU())


@pytest.mark.parametrize("kind", KINDS)
def test_repr_shows_the_options_that_are_not_the_defaults(kind):
    layer = nn.Linear(2, 1)
    assert repr(getattr(nn, kind)(layer, lr=0.5)) == f"{kind}(Linear(2 -> 1), lr=0.5)"
    assert repr(getattr(nn, kind)(layer, lr=0.5, maximize=True)) == f"{kind}(Linear(2 -> 1), lr=0.5, maximize=True)"


def test_a_state_with_arrays_of_another_variant_does_not_fit():
    optimizer = nn.Adam(nn.Linear(1, 1), amsgrad=True)
    optimizer.step()
    with pytest.raises(ValueError, match="v_max: unknown"):
        nn.Adam(nn.Linear(1, 1)).load_state_dict(optimizer.state_dict())


def test_the_penalty_is_that_whose_gradient_is_added():
    layer = nn.Linear(1, 1, dtype=np.float64)
    layer.Phi = [3.0, 4.0]
    assert nn.Adam(layer, weight_decay=0.5).penalty() == 0.25 * 25
    assert nn.Adam(layer, weight_decay={"W": 0.5}).penalty() == 0.25 * 9
    assert nn.Adam(layer, weight_decay=0.5, decoupled_weight_decay=True).penalty() == nn.AdamW(layer).penalty() == 0


@pytest.mark.parametrize(
    ("options", "path"),
    [
        # m = 0, then 0.25 * 4 = 1, then 0.75 - 0.25 * 8 = -1.25; the update is along 2, 0.5 - 4, -0.625 + 1
        ({}, [0.5, 1.0, 0.5]),
        ({"maximize": True}, [1.5, 1.0, 1.5]),
        # half of Phi, then the sign
        ({"weight_decay": 1.0}, [0.0, 0.5, -0.25]),
    ],
)
def test_three_steps_of_lion_by_hand(options, path):
    layer = nn.Linear(1, 1, bias=False, dtype=np.float64)
    layer.W = [[1.0]]
    optimizer = nn.Lion(layer, lr=0.5, betas=(0.5, 0.75), **options)
    for gradient, expected in zip([4.0, -8.0, 2.0], path, strict=True):
        layer.dPhi = [gradient]
        optimizer.step()
        assert layer.W.item() == expected
    assert abs(optimizer.m.item()) == 0.75 * 1.25 - 0.5  # 0.75 * -1.25 + 0.25 * 2


def test_lion_does_not_move_by_a_gradient_of_0_and_nan_is_seen():
    layer = nn.Linear(1, 1, dtype=np.float64)
    layer.Phi, layer.dPhi = [1.0, 1.0], [0.0, np.nan]
    nn.Lion(layer).step()
    np.testing.assert_array_equal(layer.Phi, [1.0, np.nan])


def test_the_average_of_asgd_is_the_mean_from_step_t0_plus_2_on_and_leaves_out_frozen_parameters():
    layer = nn.Linear(2, 1, dtype=np.float64, rng=0)
    optimizer, path = nn.ASGD(layer, lr=0.5, t0=1, lambd=0.1, lr_factor={"b": 0}), []
    for step in range(6):
        layer.dPhi = [step, -1.0, np.nan]
        optimizer.step()
        path.append(layer.Phi.copy())
        np.testing.assert_allclose(optimizer.average, np.mean(path[min(step, 2) :], axis=0), rtol=1e-14)
    assert optimizer.average[2] == layer.b[0]


def test_a_schedule_of_asgd_counts_in_its_own_step_and_its_penalty_has_both_decays():
    layer = nn.Linear(1, 1, bias=False, dtype=np.float64)
    layer.W, layer.dW = [[8.0]], [[4.0]]
    optimizer = nn.ASGD(layer, lr=lambda step: [1.0, 0.5][step], lambd=0.0)
    optimizer.step()
    optimizer.step()
    assert layer.W.item() == 8 - 4 - 2
    assert nn.ASGD(layer, lambd=0.25, weight_decay=0.5).penalty() == 0.75 / 2 * 4


def test_adafactor_keeps_a_number_for_each_row_and_column_and_a_state_of_other_shapes_does_not_fit():
    optimizer = nn.Adafactor(nn.Linear(6, 4))
    optimizer.step()
    assert [getattr(optimizer, name).shape for name in optimizer.arrays] == [(6,), (4,), (4,)]
    assert optimizer.penalty() == nn.Adafactor(nn.Linear(1, 1), weight_decay=1.0).penalty() == 0
    other = nn.Adafactor(nn.Linear(4, 6, bias=False))
    with pytest.raises(ValueError, match=r"Phi: expected \(24,\) float32, got \(28,\) float32"):
        other.load_state_dict(optimizer.state_dict())
    other.step()
    with pytest.raises(ValueError, match=r"row_var: expected \(4,\) float32, got \(6,\) float32"):
        other.load_state_dict(optimizer.state_dict())


@pytest.mark.parametrize("kind", ["Adam", "AdamW", "Adamax", "NAdam", "RAdam"])
@pytest.mark.parametrize("beta", [0.9, 0.5, 0.4])
def test_the_average_of_gradients_is_rounded_from_the_end_that_is_nearer_as_by_torch_lerp(kind, beta):
    layer = nn.Linear(30, 1, bias=False, dtype=np.float64, rng=0)
    optimizer, m = getattr(nn, kind)(layer, betas=(beta, 0.9)), np.zeros(30)
    for g in np.random.default_rng(0).normal(size=(2, 30)):
        layer.dPhi = g
        optimizer.step()
        m = m + (1 - beta) * (g - m) if beta > 0.5 else g - (g - m) * (1 - (1 - beta))
        np.testing.assert_array_equal(optimizer.m, m)


@pytest.mark.parametrize("eps", [0.0, 3.0])
@pytest.mark.parametrize(("beta2", "steps"), [(0.9, 5), (0.9, 6), (0.9, 20), (0.999, 5), (0.999, 6)])
def test_steps_of_radam_are_adaptive_once_there_are_more_than_five_effective_ones(beta2, steps, eps):
    layer = nn.Linear(1, 1, bias=False, dtype=np.float64)
    optimizer, before = nn.RAdam(layer, lr=0.5, betas=(0.5, beta2), eps=eps), 0.0
    layer.dW = [[-4.0]]  # with equal gradients the averages, without their bias, are 4 and 16
    for _ in range(steps):
        before = layer.W.item()
        optimizer.step()
    most = 2 / (1 - beta2) - 1
    effective = most - 2 * steps * beta2**steps / (1 - beta2**steps)
    variance = (effective - 4) * (effective - 2) / ((most - 4) * (most - 2)) * most / effective
    root = (1 - beta2**steps) ** 0.5
    adaptive = variance**0.5 * 4 * root / (4 * root + eps) if effective > 5 else 4.0
    assert layer.W.item() - before == pytest.approx(0.5 * adaptive, rel=1e-9)


def test_averages_of_adafactor_are_rounded_from_the_nearer_end():
    layer = nn.Linear(30, 1, bias=False, dtype=np.float64, rng=0)
    optimizer, C, R = nn.Adafactor(layer, beta2_decay=-0.8), np.zeros(1), np.zeros(30)
    for t, g in enumerate(np.random.default_rng(0).normal(size=(4, 30)), start=1):
        layer.dPhi, b = g, t**-0.8
        optimizer.step()
        R = R + b * (g * g - R) if b < 0.5 else g * g - (g * g - R) * (1 - b)
        C += b * (np.mean(g * g) - C)
        np.testing.assert_array_equal(optimizer.row_var, R)
        np.testing.assert_allclose(optimizer.col_var, C)


@pytest.mark.parametrize(
    ("kind", "defaults"),
    [
        ("Adam", {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0}),
        ("AdamW", {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 1e-2}),
        ("Adamax", {"lr": 2e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0}),
        ("NAdam", {"lr": 2e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0, "momentum_decay": 4e-3}),
        ("RAdam", {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0}),
        ("RMSprop", {"lr": 1e-2, "alpha": 0.99, "eps": 1e-8, "weight_decay": 0, "momentum": 0}),
        ("Adagrad", {"lr": 1e-2, "lr_decay": 0, "weight_decay": 0, "initial_accumulator_value": 0, "eps": 1e-10}),
        ("Adadelta", {"lr": 1.0, "rho": 0.9, "eps": 1e-6, "weight_decay": 0}),
        ("ASGD", {"lr": 1e-2, "lambd": 1e-4, "alpha": 0.75, "t0": 1e6, "weight_decay": 0}),
        ("Adafactor", {"lr": 1e-2, "beta2_decay": -0.8, "eps": (None, 1e-3), "d": 1.0, "weight_decay": 0}),
        ("Rprop", {"lr": 1e-2, "etas": (0.5, 1.2), "step_sizes": (1e-6, 50)}),
        ("Lion", {"lr": 1e-4, "betas": (0.9, 0.99), "weight_decay": 0}),
        ("SGD", {"momentum": 0, "dampening": 0, "weight_decay": 0, "nesterov": False}),
    ],
)
def test_the_defaults_are_those_of_pytorchs_documentation(kind, defaults):
    optimizer = getattr(nn, kind)(nn.Linear(1, 1), **({"lr": 1} if kind == "SGD" else {}))
    assert {name: getattr(optimizer, name) for name in defaults} == defaults
    switches = ("maximize", "amsgrad", "centered", "decoupled_weight_decay")
    assert not any(getattr(optimizer, name, False) for name in switches if (kind, name) != ("AdamW", switches[3]))
