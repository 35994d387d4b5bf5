"""Tables fit a terminal of 80 columns: long texts are cut, numbers never."""

import numpy as np

import nnlite as nn
from nnlite.diagnostics.text_table import text_table


class LongName(nn.Tanh):
    def extra_repr(self):
        return "an_option_with_a_long_name=12345, another_option_with_a_long_name=67890, and_more=True"


def test_the_widest_column_of_text_is_cut_and_no_number():
    row = "0.encoder", "L" * 100, f"{123_456_789_012:,}"
    lines = text_table([("path", "layer", "bytes"), row], left=2).splitlines()
    assert max(map(len, lines)) == 80
    assert lines[2] == f"0.encoder  {'L' * 51}…  123,456,789,012"


def test_a_table_that_fits_is_not_cut():
    cell = "L" * 74
    assert text_table([("a", "b"), (cell, "1234")], left=1).splitlines()[2] == f"{cell}  1234"


def test_the_tables_of_a_model_with_long_names_have_80_columns():
    model = nn.Sequential(nn.Linear(1000, 1000), LongName(), nn.Sequential(nn.Sequential(nn.Linear(1000, 1))))
    for table in nn.summary(model, 1000), nn.profile(model, np.zeros((100, 1000)), repeats=1):
        assert max(map(len, str(table).splitlines())) <= 80
        assert "1 LongName(" in " ".join(str(table).split())
