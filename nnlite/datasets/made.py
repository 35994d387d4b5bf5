"""Data sets that are made: small problems in the plane, and a curve."""

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.checks import non_negative, whole
from nnlite.basics.generators import Rng, generator
from nnlite.datasets.dataset import Dataset

PLANE = "x", "y"
CORNERS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])


def xor(n: int = 4, noise: float = 0.0, rng: Rng = None) -> Dataset:
    """The exclusive or of two bits: no line divides its classes.

    Args:
        n: how many points; the four corners of a square in turn.
        noise: standard deviation of what is added to each coordinate.
        rng: seed or generator; None for the default generator of ``nnlite.manual_seed``.

    Returns:
        X (n, 2), Y (n, 1) of 0 and 1.

    Raises:
        TypeError, ValueError: an argument is no number or too small.

    Source: Minsky and Papert, Perceptrons, 1969.

    >>> xor().X
    array([[0., 0.],
           [0., 1.],
           [1., 0.],
           [1., 1.]])
    """
    n, noise, rng = _checked("xor", n, noise, rng)
    X = np.resize(CORNERS, (n, 2))
    Y = (X[:, :1] != X[:, 1:]).astype(float)
    return Dataset(X + noise * rng.standard_normal(X.shape), Y, PLANE, ("0", "1"), "The exclusive or of two bits.")


def circles(n: int = 200, noise: float = 0.05, rng: Rng = None) -> Dataset:
    """Two circles, one in the other.

    Args:
        n: how many points, half of them on each circle.
        noise: standard deviation of what is added to each coordinate; the radii are 1 and 0.5.
        rng: seed or generator; None for the default generator of ``nnlite.manual_seed``.

    Returns:
        X (n, 2), Y (n, 1): 0 outside, 1 inside.

    Raises:
        TypeError, ValueError: an argument is no number or too small.

    >>> circles(noise=0.0, rng=0)
    Dataset(X (200, 2), Y (200, 1): outside, inside; two circles, one in the other)
    """
    n, noise, rng = _checked("circles", n, noise, rng)
    inside = np.arange(n) % 2
    X = _on_circle(rng.uniform(0, 2 * np.pi, n)) * np.where(inside, 0.5, 1.0)[:, None]
    return _in_the_plane(X, inside, noise, rng, ("outside", "inside"), "Two circles, one in the other.")


def moons(n: int = 200, noise: float = 0.1, rng: Rng = None) -> Dataset:
    """Two half circles that reach into each other.

    Args:
        n: how many points, half of them on each.
        noise: standard deviation of what is added to each coordinate; the radii are 1.
        rng: seed or generator; None for the default generator of ``nnlite.manual_seed``.

    Returns:
        X (n, 2), Y (n, 1): 0 for the upper one, 1 for the lower one.

    Raises:
        TypeError, ValueError: an argument is no number or too small.

    >>> X, Y = moons(4, noise=0.0, rng=0)
    >>> X.shape, Y.T
    ((4, 2), array([[0., 1., 0., 1.]]))
    """
    n, noise, rng = _checked("moons", n, noise, rng)
    lower = np.arange(n) % 2
    X = _on_circle(rng.uniform(0, np.pi, n))
    X = np.where(lower[:, None], [1.0, 0.5] - X, X)
    what = "Two half circles that reach into each other."
    return _in_the_plane(X, lower, noise, rng, ("upper", "lower"), what)


def spirals(n: int = 300, classes: int = 3, noise: float = 0.03, turns: float = 0.75, rng: Rng = None) -> Dataset:
    """Arms of a spiral, one for each class.

    Args:
        n: how many points, about as many on each arm.
        classes: how many arms.
        noise: standard deviation of what is added to each coordinate; the arms are 1 long.
        turns: how often an arm goes around the centre.
        rng: seed or generator; None for the default generator of ``nnlite.manual_seed``.

    Returns:
        X (n, 2), Y (n,), the classes from 0.

    Raises:
        TypeError, ValueError: an argument is no number or too small.

    >>> spirals(6, classes=3, rng=0).Y
    array([0, 1, 2, 0, 1, 2])
    """
    n, noise, rng = _checked("spirals", n, noise, rng)
    classes, turns = whole(classes, "spirals: classes", least=1), non_negative(turns, "spirals: turns")
    arm, radius = np.arange(n) % classes, np.sqrt(rng.uniform(0.0, 1.0, n))
    X = radius[:, None] * _on_circle(2 * np.pi * (arm / classes + turns * radius))
    X = X + noise * rng.standard_normal(X.shape)
    return Dataset(X, arm, PLANE, tuple(map(str, range(classes))), "Arms of a spiral, one for each class.")


def blobs(n: int = 300, classes: int = 3, noise: float = 0.3, features: int = 2, rng: Rng = None) -> Dataset:
    """Clouds of points around centres drawn at random, one for each class.

    Args:
        n: how many points, about as many in each cloud.
        classes: how many clouds.
        noise: standard deviation of each cloud; the centres are uniform between -2 and 2.
        features: the number of coordinates.
        rng: seed or generator; None for the default generator of ``nnlite.manual_seed``.

    Returns:
        X (n, features), Y (n,), the classes from 0.

    Raises:
        TypeError, ValueError: an argument is no number or too small.

    >>> blobs(6, classes=2, features=5, rng=0)
    Dataset(X (6, 5), Y (6,): 0, 1; clouds of points, one for each class)
    """
    n, noise, rng = _checked("blobs", n, noise, rng)
    classes, features = whole(classes, "blobs: classes", least=1), whole(features, "blobs: features", least=1)
    cloud, centres = np.arange(n) % classes, rng.uniform(-2.0, 2.0, (classes, features))
    X = centres[cloud] + noise * rng.standard_normal((n, features))
    names = PLANE if features == 2 else tuple(f"x{number}" for number in range(features))
    return Dataset(X, cloud, names, tuple(map(str, range(classes))), "Clouds of points, one for each class.")


def sine(n: int = 200, noise: float = 0.1, rng: Rng = None) -> Dataset:
    """Points on a sine curve, for a regression.

    Args:
        n: how many points.
        noise: standard deviation of what is added to Y.
        rng: seed or generator; None for the default generator of ``nnlite.manual_seed``.

    Returns:
        X (n, 1), uniform between -pi and pi, Y (n, 1), sin(X) with noise.

    Raises:
        TypeError, ValueError: an argument is no number or too small.

    >>> X, Y = sine(5, noise=0.0, rng=0)
    >>> bool((Y == np.sin(X)).all())
    True
    """
    n, noise, rng = _checked("sine", n, noise, rng)
    X = rng.uniform(-np.pi, np.pi, (n, 1))
    return Dataset(X, np.sin(X) + noise * rng.standard_normal(X.shape), ("x",), ("y",), "Points on a sine curve.")


def _checked(name: str, n: int, noise: float, rng: Rng) -> tuple[int, float, np.random.Generator]:
    return whole(n, f"{name}: n", least=1), non_negative(noise, f"{name}: noise"), generator(rng, f"{name}: rng")


def _on_circle(angle: Array) -> Array:
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _in_the_plane(
    X: Array, classes: Array, noise: float, rng: np.random.Generator, names: tuple[str, str], what: str
) -> Dataset:
    """A data set of two classes, with noise."""
    return Dataset(X + noise * rng.standard_normal(X.shape), classes[:, None].astype(float), PLANE, names, what)
