"""summary: a model as a table."""

import re

import numpy as np
import pytest

import nnlite as nn


def model():
    return nn.Sequential(nn.Sequential(nn.Flatten(2), nn.Linear(64, 1000)), nn.Tanh(), nn.Linear(1000, 2, bias=False))


def test_the_table():
    # 64 * 1000 + 1000 = 65,000 and 1000 * 2 = 2,000 numbers of 4 bytes each.
    expected = """\
path  layer                             output shape  parameters    bytes
-------------------------------------------------------------------------
0.0   Flatten(start_dim=2, end_dim=-1)  (N, 5, 64)             0        0
0.1   Linear(64 -> 1000)                (N, 5, 1000)      65,000  260,000
1     Tanh()                            (N, 5, 1000)           0        0
2     Linear(1000 -> 2, bias=False)     (N, 5, 2)          2,000    8,000
-------------------------------------------------------------------------
      total                                               67,000  268,000"""
    table = nn.summary(model(), (5, 8, 8))
    assert str(table) == repr(table) == expected


def test_the_numbers():
    table = nn.summary(model().astype(np.float64), (5, 8, 8))
    assert (table.parameters, table.bytes) == (67_000, 536_000)
    assert [(row.path, row.parameters, row.bytes) for row in table.rows] == [
        ("0.0", 0, 0),
        ("0.1", 65_000, 520_000),
        ("1", 0, 0),
        ("2", 2_000, 16_000),
    ]
    assert table.rows[3].output_shape == (None, 5, 2)
    assert table.rows[3].layer == "Linear(1000 -> 2, bias=False, dtype=float64)"


@pytest.mark.parametrize("shape", [3, (3,), [3], np.int64(3), np.array([3])], ids=repr)
def test_the_shape_of_a_sample_is_a_number_or_several(shape):
    table = nn.summary(nn.Sequential(nn.Linear(3, 2)), shape)
    assert [row.output_shape for row in table.rows] == [(None, 2)]


def test_a_table_cannot_be_changed():
    table = nn.summary(model(), (5, 8, 8))
    for part in (table, table.rows[0]):
        with pytest.raises(AttributeError):
            part.bytes = 0


def test_a_single_layer_and_an_empty_model():
    assert nn.summary(nn.Linear(3, 2), 3).rows[0].path == ""
    assert nn.summary(nn.Sequential(), 3).rows[0].output_shape == (None, 3)


def test_an_output_of_one_number_a_sample():
    assert "(N,) " in str(nn.summary(nn.Flatten(0), ()))


def test_the_rows_add_up_where_a_layer_has_both_parameters_and_parts():
    class Own(nn.Layer, parameters=("w",)):
        def __init__(self):
            self.w = [1.0, 2.0]
            self.linear = nn.Linear(2, 2)

        def forward(self, X):
            return self.linear(X) * self.w

    table = nn.summary(nn.Sequential(Own(), nn.Linear(2, 1)), 2)
    assert table.parameters == 2 + 6 + 3 == sum(row.parameters for row in table.rows)


def test_a_shape_that_does_not_fit_is_an_error_that_names_the_layer():
    with pytest.raises(nn.ShapeError, match=r"Linear\(64 -> 1000\): expected 64 features, got 9"):
        nn.summary(model(), (5, 3, 3))


def test_nothing_is_written_on_the_model():
    whole = model()
    before = [dict(vars(layer)) for _, layer in whole.named_layers()]
    nn.summary(whole, (5, 8, 8))
    for (_, layer), attributes in zip(whole.named_layers(), before, strict=True):
        assert vars(layer).keys() == attributes.keys()
        assert all(vars(layer)[key] is value for key, value in attributes.items())


@pytest.mark.parametrize(("shape", "message"), [
    ((3, 4), "expected 2 inputs, got 1"),
    (((3,), (4,), (5,)), "expected 2 inputs, got 3"),
    ({"a": 3}, "expected the inputs a, b, each once, got a"),
])  # fmt: skip
def test_shapes_of_other_inputs(shape, message):
    a, b = nn.Input("a"), nn.Input("b")
    with pytest.raises(TypeError, match=message):
        nn.summary(nn.Graph([a, b], a + b), shape)


def test_in_a_notebook_it_is_a_table_of_html():
    html = nn.summary(nn.Sequential(nn.Linear(3, 2)), 3)._repr_html_()
    cells = [re.sub("<[^>]*>", "", cell) for cell in re.findall("<t[hd].*?</t[hd]>", html)]
    assert cells == ["path", "layer", "output shape", "parameters", "bytes", "0", "Linear(3 -&gt; 2)", "(N, 2)", "8",
                     "32", "", "total", "", "8", "32"]  # fmt: skip
    assert html.count("<tr>") == html.count("</tr>") == 3


def test_lengths_are_at_least_one():
    X, lengths = nn.Input(), nn.Input()
    model = nn.Graph([X, lengths], nn.LSTM(2, 3, last=True)(X, lengths))
    assert nn.summary(model, ((4, 2), ())).parameters == model.Phi.size
    assert nn.summary(nn.GRU(2, 3), ((4, 2), ()))
