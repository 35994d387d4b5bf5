"""A sample of the attacks of tests/support/attacked.py, which makes all of them."""

import pytest
from support.attacked import Attacked


@pytest.mark.parametrize("streamed", [False, True])
def test_a_training_that_fails_anywhere_loses_nothing_and_says_what_is_true(tmp_path, streamed):
    attacked = Attacked(tmp_path, streamed)
    attacks = attacked.attacks()[3 * streamed :: 113]
    assert len(attacks) > 5
    assert {str(attack): wrong for attack in attacks if (wrong := attacked.run(attack))} == {}
