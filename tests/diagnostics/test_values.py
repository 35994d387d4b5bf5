"""Arrays as text."""

import numpy as np
import pytest

from nnlite.diagnostics.values import in_numbers, in_words


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (0.5, "0.5"),
        (np.float32(1 / 3), "0.3333"),
        (np.array(3), "3"),
        (np.array([]), "[]"),
        (np.array([1.0, -2.0]), "[ 1. -2.]"),
        (np.array([1e-9, 1.0]), "[0. 1.]"),
        (np.array([1e-9, 2e-9]), "[1.e-09 2.e-09]"),
        (np.array([np.nan, 1.0]), "[nan  1.]"),
        (np.zeros(2), "[0. 0.]"),
        (np.array([True, False]), "[ True False]"),
    ],
)
def test_small_arrays_in_numbers(values, text):
    assert in_numbers(values) == text


def test_how_many_numbers_are_few():
    assert in_numbers(np.zeros((3, 4))).count("0.") == 12
    assert in_numbers(np.zeros(13)) is None
    assert in_numbers(np.zeros(13), most=13).count("0.") == 13


def test_large_arrays_in_words():
    assert in_words(np.array([-1.0, 3.0, 2.0])) == "from -1 to 3"
    assert in_words(np.array([-1.0, np.inf, np.nan, 2.0])) == "from -1 to 2, 2 not finite"
    assert in_words(np.array([np.nan])) == "1 not finite"
    assert in_words(np.zeros((0, 3))) == "empty"
