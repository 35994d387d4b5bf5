"""Arrays as text."""

import numpy as np
import pytest

from nnlite.diagnostics.array_text import array_range, array_text


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
    assert array_text(values) == text


def test_how_many_numbers_are_few():
    assert array_text(np.zeros((3, 4))).count("0.") == 12
    assert array_text(np.zeros(13)) is None
    assert array_text(np.zeros(13), most=13).count("0.") == 13


def test_large_arrays_in_words():
    assert array_range(np.array([-1.0, 3.0, 2.0])) == "from -1 to 3"
    assert array_range(np.array([-1.0, np.inf, np.nan, 2.0])) == "from -1 to 2, 2 not finite"
    assert array_range(np.array([np.nan])) == "1 not finite"
    assert array_range(np.zeros((0, 3))) == "empty"
