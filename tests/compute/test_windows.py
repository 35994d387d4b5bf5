"""Windows, entry by entry: where they are, their parts, and their columns."""

import itertools

import numpy as np
import pytest
from support.contract_row import numbers

from nnlite.compute.windows import Intervals, Windows, fold, unfold

CASES = [
    Windows((7,), (3,), (1,), (1,), ((0, 0),)),
    Windows((7,), (3,), (2,), (2,), ((2, 1),)),
    Windows((5, 6), (3, 2), (1, 1), (1, 1), ((1, 1), (0, 1))),
    Windows((8, 5), (2, 3), (3, 2), (2, 1), ((1, 0), (2, 2))),
    Windows((4, 3, 5), (2, 1, 3), (2, 1, 1), (1, 1, 2), ((0, 1), (0, 0), (2, 2))),
    Windows((2,), (2,), (1,), (1,), ((4, 4),)),  # windows in the padding alone
    Windows((6, 4), (2, 2), (1, 1), (1, 1), ((-1, -2), (0, -1))),  # entries at the edges that no window has
]


def entry(at, window, k):
    """Where an entry of a window is in the array: the sum of the docstring; None in the padding."""
    triples = zip(window, at.stride, k, at.dilation, at.padding, strict=True)
    place = tuple(i * s + q * d - before for i, s, q, d, (before, _) in triples)
    return place if all(0 <= p < n for p, n in zip(place, at.sizes, strict=True)) else None


def column_by_column(X, at):
    """The windows of X (C, *sizes), (C, *outputs, *kernel)."""
    expected = np.zeros((len(X), *at.outputs, *at.kernel))
    for window, k in itertools.product(np.ndindex(*at.outputs), np.ndindex(*at.kernel)):
        if (place := entry(at, window, k)) is not None:
            expected[:, *window, *k] = X[:, *place]
    return expected


def padded(X, at):
    """X with zeros around it, and without what negative padding takes off."""
    larger = np.pad(X, [(0, 0), *[(max(0, a), max(0, b)) for a, b in at.padding]])
    cut = [slice(max(0, -a), size - max(0, -b)) for size, (a, b) in zip(larger.shape[1:], at.padding, strict=True)]
    return larger[:, *cut]


@pytest.mark.parametrize("at", CASES)
def test_windows_entry_by_entry(at):
    X = numbers(2, *at.sizes)
    P = padded(X, at)
    expected = column_by_column(X, at)
    assert P.shape[1:] == at.padded
    np.testing.assert_array_equal(at.of(P), expected)
    assert not at.of(P).flags.writeable
    for k, place in zip(np.ndindex(*at.kernel), at.slices(), strict=True):
        np.testing.assert_array_equal(P[:, *place], expected[(..., *k)])
    beyond = tuple(n + 1 for n in at.outputs)  # one window more along an axis would not fit
    assert all(
        (n - 1) * s + span > size for n, s, span, size in zip(beyond, at.stride, at.spans, at.padded, strict=True)
    )


@pytest.mark.parametrize("at", CASES)
def test_the_entries_of_a_window_without_its_padding(at):
    indices = np.arange(np.prod(at.sizes)).reshape(at.sizes)
    for window in np.ndindex(*at.outputs):
        places = [entry(at, window, k) for k in np.ndindex(*at.kernel)]
        expected = [indices[place] for place in places if place is not None]
        np.testing.assert_array_equal(indices[at.window(window)].ravel(), expected)


@pytest.mark.parametrize("most", [1, 3, 10, 1000])
@pytest.mark.parametrize("at", CASES)
def test_parts_are_all_windows_once_and_have_the_same_entries(at, most):
    X = numbers(2, *at.sizes)
    expected = column_by_column(X, at)
    counts = np.zeros(at.outputs, int)
    for places in at.split(most):
        counts[places] += 1
        entries, own = at.part(places)
        piece = X[:, *entries]
        assert (piece.shape[1:], min(min(own.padding))) >= (own.sizes, 0)
        np.testing.assert_array_equal(own.of(padded(piece, own)), expected[:, *places])
    assert (counts == 1).all()
    if most == 1:
        assert all(counts[places].size == 1 for places in at.split(most))


@pytest.mark.parametrize("at", CASES[:6])
def test_columns_and_their_transpose(at):
    X = numbers(2, *at.sizes)
    expected = column_by_column(X, at)
    entries_first = np.moveaxis(expected, range(-at.axes, 0), range(1, at.axes + 1))
    columns = unfold(X, at)
    np.testing.assert_array_equal(columns, entries_first.reshape(columns.shape))
    others = numbers(*columns.shape)[::-1]
    assert np.vdot(columns, others) == pytest.approx(np.vdot(X, fold(others, at)), rel=1e-12)


@pytest.mark.parametrize(("sizes", "outputs"), [((5,), (2,)), ((3,), (7,)), ((6, 4), (3, 4)), ((7, 5), (4, 3))])
def test_intervals_cover_each_axis_and_are_as_equal_as_they_can_be(sizes, outputs):
    at = Intervals.of(sizes, outputs)
    assert at.outputs == outputs
    for axis, (size, count) in enumerate(zip(sizes, outputs, strict=True)):
        covered = np.zeros(size, int)
        for i, each in enumerate(at.along[axis]):
            assert (each.start, each.stop) == (int(np.floor(i * size / count)), int(np.ceil((i + 1) * size / count)))
            covered[each] += 1
        assert covered.min() >= 1
        A = numbers(size)
        expected = [A[each].mean() for each in at.along[axis]]
        np.testing.assert_allclose(at.means(axis) @ A, expected, rtol=1e-12)
    assert at.entries == sum(np.zeros(sizes)[at.window(place)].size for place in np.ndindex(*outputs))
