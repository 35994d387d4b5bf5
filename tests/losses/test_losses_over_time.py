"""Losses of sequences: the classes are the last axis, and padded steps count nowhere."""

import numpy as np
import pytest

import nnlite as nn

rng = np.random.default_rng(0)
Z, TARGET = rng.normal(size=(3, 5, 4)), rng.integers(0, 4, (3, 5))
INSIDE = np.arange(5) < np.array([[5], [2], [3]])  # lengths 5, 2 and 3
PADDED = np.where(INSIDE, TARGET, -100)
OPTIONS = [
    {},
    {"weight": [0.5, 1.0, 2.0, 3.0]},
    {"ignore_index": 1},
    {"reduction": "sum"},
    {"reduction": "none"},
]


def value_and_gradient(loss, Y, target):
    J = loss.forward(Y, target)
    return J, loss.backward(np.arange(np.size(J)).reshape(np.shape(J)) + 1.0)


@pytest.mark.parametrize("kind", [nn.CrossEntropyLoss, nn.NLLLoss, nn.MultiMarginLoss])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_classes_on_the_last_axis_are_those_of_axis_1_of_the_transposed_array(kind, options):
    if kind is nn.MultiMarginLoss and "ignore_index" in options:
        options = {"p": 2}
    J, dZ = value_and_gradient(kind(dim=-1, **options), Z, TARGET)
    J_1, dZ_1 = value_and_gradient(kind(**options), np.moveaxis(Z, -1, 1), TARGET)
    np.testing.assert_array_equal(J, J_1)
    np.testing.assert_array_equal(dZ, np.moveaxis(dZ_1, 1, -1))
    two = value_and_gradient(kind(dim=2, **options), Z, TARGET)
    np.testing.assert_array_equal(two[1], dZ)


@pytest.mark.parametrize("kind", [nn.CrossEntropyLoss, nn.NLLLoss])
@pytest.mark.parametrize("options", [{}, {"weight": [0.5, 1.0, 2.0, 3.0]}, {"reduction": "sum"}], ids=str)
def test_padded_steps_are_left_out_of_the_mean_and_have_no_gradient(kind, options):
    J, dZ = value_and_gradient(kind(dim=-1, **options), Z, PADDED)
    J_alone, dZ_alone = value_and_gradient(kind(**options), Z[INSIDE], TARGET[INSIDE])
    assert pytest.approx(J_alone, rel=1e-13) == J
    np.testing.assert_allclose(dZ[INSIDE], dZ_alone, rtol=1e-13)
    assert not dZ[~INSIDE].any()


def test_smoothed_padded_steps_count_nowhere():
    loss, plain = nn.CrossEntropyLoss(dim=-1, label_smoothing=0.1), nn.CrossEntropyLoss(label_smoothing=0.1)
    J, dZ = value_and_gradient(loss, Z, PADDED)
    J_alone, dZ_alone = value_and_gradient(plain, Z[INSIDE], TARGET[INSIDE])
    assert pytest.approx(J_alone, rel=1e-13) == J
    np.testing.assert_allclose(dZ[INSIDE], dZ_alone, rtol=1e-13)
    assert not dZ[~INSIDE].any()


def test_distributions_over_time():
    Q = rng.dirichlet(np.ones(4), (3, 5))
    J, dZ = value_and_gradient(nn.CrossEntropyLoss(dim=-1), Z, Q)
    J_rows, dZ_rows = value_and_gradient(nn.CrossEntropyLoss(), Z.reshape(15, 4), Q.reshape(15, 4))
    assert pytest.approx(J_rows, rel=1e-13) == J
    np.testing.assert_allclose(dZ, dZ_rows.reshape(Z.shape), rtol=1e-13)


@pytest.mark.parametrize("options", [{}, {"weight": [0.5, 1.0, 2.0, 3.0]}, {"label_smoothing": 0.2}], ids=str)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_it_is_pytorchs_loss_of_the_transposed_array(options, reduction):
    torch = pytest.importorskip("torch")
    J, dZ = value_and_gradient(nn.CrossEntropyLoss(dim=-1, reduction=reduction, **options), Z, PADDED)
    given = {name: torch.tensor(value) if name == "weight" else value for name, value in options.items()}
    if "weight" in given:
        given["weight"] = given["weight"].double()
    leaf = torch.tensor(Z, requires_grad=True)
    other = torch.nn.CrossEntropyLoss(reduction=reduction, **given)(leaf.transpose(1, 2), torch.tensor(PADDED))
    other.backward(torch.arange(1.0, other.numel() + 1).double().reshape(other.shape))
    np.testing.assert_allclose(J, other.detach().numpy(), rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(dZ, leaf.grad.numpy(), rtol=1e-7, atol=1e-12)


def test_single_samples_and_rows_need_no_other_dim():
    for Y, target in (Z[0, 0], TARGET[0, 0]), (Z[0], TARGET[0]):
        assert nn.CrossEntropyLoss(dim=-1).forward(Y, target) == nn.CrossEntropyLoss().forward(Y, target)


def test_what_dim_refuses_and_the_cures():
    with pytest.raises(ValueError, match=r"^CrossEntropyLoss: dim: expected the axis of the classes, .* got 0$"):
        nn.CrossEntropyLoss(dim=0)
    with pytest.raises(TypeError, match=r"^NLLLoss: dim: expected a whole number, got 'last'$"):
        nn.NLLLoss(dim="last")
    with pytest.raises(nn.ShapeError, match=r"expected logits with the classes along axis 2, got shape \(3, 4\)$"):
        nn.CrossEntropyLoss(dim=2).forward(np.zeros((3, 4)), np.zeros(3, int))
    with pytest.raises(nn.ShapeError, match=r"with the classes along axis -2, got shape \(3, 4\)$"):
        nn.CrossEntropyLoss(dim=-2).forward(np.zeros((3, 4)), np.zeros(3, int))
    with pytest.raises(nn.ShapeError, match=r"if the classes are axis 1 of Y, write NLLLoss\(dim=1\)$"):
        nn.NLLLoss(dim=-1).forward(np.zeros((3, 4, 5)), np.zeros((3, 5), int))
    with pytest.raises(nn.ShapeError, match=r"if the classes are the last axis of Y, write NLLLoss\(dim=-1\)$"):
        nn.NLLLoss().forward(Z, TARGET)


def test_dim_is_shown_and_saved(tmp_path):
    assert repr(nn.CrossEntropyLoss(dim=-1)) == "CrossEntropyLoss(dim=-1)"
    nn.save(nn.Sequential(nn.NLLLoss(dim=-1)), tmp_path / "loss.npz")
    assert nn.load(tmp_path / "loss.npz")[0].dim == -1
