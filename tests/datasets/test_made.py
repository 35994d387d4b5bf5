"""The data sets that are made: their geometry, the same for the same seed, and bad arguments."""

import numpy as np
import pytest

import nnlite as nn

MADE = ["blobs", "circles", "moons", "sine", "spirals", "xor"]


@pytest.mark.parametrize("name", MADE)
def test_the_same_seed_gives_the_same_data_and_n_is_the_number_of_rows(name):
    make = getattr(nn.datasets, name)
    one, same, other = make(50, noise=0.2, rng=1), make(50, noise=0.2, rng=1), make(50, noise=0.2, rng=2)
    assert (one.X == same.X).all()
    assert (one.Y == same.Y).all()
    assert not (one.X == other.X).all()
    assert len(one.X) == len(one.Y) == 50
    assert len(one.feature_names) == one.X.shape[1]


@pytest.mark.parametrize("name", MADE)
def test_without_rng_the_default_generator_draws(name):
    nn.manual_seed(3)
    one = getattr(nn.datasets, name)(9, noise=0.1).X
    nn.manual_seed(3)
    assert (one == getattr(nn.datasets, name)(9, noise=0.1).X).all()


def test_xor_has_its_four_corners():
    X, Y = nn.datasets.xor(8)
    assert Y[:, 0].tolist() == [a != b for a, b in X]
    assert (X[:4] == X[4:]).all()


def test_circles_have_their_radii():
    X, Y = nn.datasets.circles(100, noise=0.0, rng=0)
    np.testing.assert_allclose(np.linalg.norm(X, axis=1), np.where(Y[:, 0] == 1, 0.5, 1.0))
    assert Y.sum() == 50


def test_moons_are_halves_of_circles_that_reach_into_each_other():
    X, Y = nn.datasets.moons(400, noise=0.0, rng=0)
    upper, lower = X[Y[:, 0] == 0], X[Y[:, 0] == 1]
    np.testing.assert_allclose(np.linalg.norm(upper, axis=1), 1)
    np.testing.assert_allclose(np.linalg.norm(lower - [1, 0.5], axis=1), 1)
    assert upper[:, 1].min() >= 0
    assert lower[:, 1].max() <= 0.5
    assert lower[:, 1].max() > upper[:, 1].min()


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_an_arm_of_a_spiral_turns_by_its_number_of_turns(classes):
    X, Y = nn.datasets.spirals(60, classes=classes, noise=0.0, turns=0.5, rng=0)
    radius, angle = np.linalg.norm(X, axis=1), np.arctan2(X[:, 1], X[:, 0])
    turned = angle / (2 * np.pi) - Y / classes - 0.5 * radius
    np.testing.assert_allclose(turned, np.round(turned), atol=1e-9)
    assert radius.max() <= 1
    assert sorted(set(Y)) == list(range(classes))


def test_blobs_lie_around_their_centres():
    X, Y = nn.datasets.blobs(3000, classes=3, noise=0.1, features=4, rng=0)
    for number in range(3):
        np.testing.assert_allclose(X[number == Y].std(axis=0), 0.1, rtol=0.1)


def test_a_sine_has_the_noise_asked_for():
    X, Y = nn.datasets.sine(5000, noise=0.2, rng=0)
    assert (Y - np.sin(X)).std() == pytest.approx(0.2, rel=0.05)
    assert -np.pi <= X.min() < -3
    assert 3 < X.max() <= np.pi


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize(
    ("options", "error"), [({"n": 0}, ValueError), ({"noise": -1}, ValueError), ({"n": 2.5}, TypeError)]
)
def test_bad_arguments_name_the_data_set(name, options, error):
    with pytest.raises(error, match=f"{name}: {next(iter(options))}"):
        getattr(nn.datasets, name)(**options)


def test_a_data_set_unpacks_and_says_what_it_is():
    dataset = nn.datasets.Dataset(
        np.ones((2, 1)), np.zeros(2), ("a",), ("no", "yes", "maybe", "never"), "A test. Of mine."
    )
    X, Y = dataset
    assert X is dataset.X
    assert Y is dataset.Y
    assert repr(dataset) == "Dataset(X (2, 1), Y (2,): no, yes, maybe, ...; a test)"
