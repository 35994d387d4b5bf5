"""rng= and manual_seed: where random numbers come from."""

import re
import threading

import numpy as np
import pytest

import nnlite as nn
from nnlite.basics.generators import default_generator, generator


def drawn_in_a_thread(name, draws=3):
    result = []
    thread = threading.Thread(target=lambda: result.append(default_generator().random(draws)), name=name)
    thread.start()
    thread.join()
    return result[0]


def test_one_seed_gives_the_same_numbers_and_layers_made_after_one_another_differ():
    nn.manual_seed(7)
    first = [nn.Linear(3, 2).W.tobytes() for _ in range(3)]
    nn.manual_seed(7)
    assert [nn.Linear(3, 2).W.tobytes() for _ in range(3)] == first
    assert len(set(first)) == 3
    nn.manual_seed(8)
    assert nn.Linear(3, 2).W.tobytes() != first[0]


def test_the_stream_is_that_of_numpys_seed_sequence():
    nn.manual_seed(7)
    assert default_generator().random() == np.random.default_rng(7).random()


def test_seeding_is_in_place_so_that_who_holds_the_generator_follows():
    nn.manual_seed(1)
    held = nn.generator()
    held.random(5)
    nn.manual_seed(2)
    assert held is default_generator()
    assert held.random() == np.random.default_rng(2).random()


def test_a_seed_or_a_generator_leaves_the_default_alone():
    nn.manual_seed(3)
    nn.Linear(3, 2, rng=0)
    nn.Linear(3, 2, rng=np.random.default_rng(1))
    assert default_generator().random() == np.random.default_rng(3).random()


def test_a_thread_draws_the_same_whatever_others_draw():
    nn.manual_seed(4)
    alone = drawn_in_a_thread("worker")
    nn.manual_seed(4)
    default_generator().random(100)
    drawn_in_a_thread("another")
    assert np.array_equal(drawn_in_a_thread("worker"), alone)
    assert not np.array_equal(drawn_in_a_thread("another"), alone)
    nn.manual_seed(5)
    assert not np.array_equal(drawn_in_a_thread("worker"), alone)


def test_without_a_seed_two_threads_draw_different_numbers():
    assert not np.array_equal(drawn_in_a_thread("x"), drawn_in_a_thread("y"))


@pytest.mark.parametrize(
    ("rng", "message"),
    [
        (np.random, "Linear: rng: expected a seed or a numpy.random.Generator, got the module numpy.random; pass"),
        (
            np.random.RandomState(0),
            "Linear: rng: expected a seed or a numpy.random.Generator, got RandomState(MT19937)",
        ),
        (True, "Linear: rng: expected a seed or a numpy.random.Generator, got True"),
        (
            "a",
            "Linear: rng: expected a seed >= 0 or a numpy.random.Generator, got 'a'; pass rng=np.random.default_rng(0)",
        ),
    ],
)
def test_what_is_no_generator_is_refused_with_the_line_to_write(rng, message):
    with pytest.raises(TypeError, match=re.escape(message)):
        generator(rng, "Linear: rng")


def test_bad_seeds_are_refused():
    with pytest.raises(ValueError, match=r"Linear: rng: expected a seed >= 0 .*got -1"):
        generator(-1, "Linear: rng")
    with pytest.raises(ValueError, match="manual_seed: seed: expected at least 0"):
        nn.manual_seed(-1)
    with pytest.raises(TypeError, match="manual_seed: seed: expected a whole number"):
        nn.manual_seed(1.5)
    state = default_generator().bit_generator.state
    with pytest.raises(TypeError):
        nn.manual_seed("0")
    assert default_generator().bit_generator.state == state
