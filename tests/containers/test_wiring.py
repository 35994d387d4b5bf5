"""What is known of a graph before it runs."""

import pytest

import nnlite as nn


def with_everything():
    """An input, constants, a parameter, a layer of two outputs, a fork, and a loss whose target is computed."""
    x, theta = nn.Input("x"), nn.Parameter([1.0, 2.0], name="theta")
    left, right = nn.Split([1, 1])(x * theta)
    return nn.Graph({"given": x}, [left + 3, nn.MSELoss()(left, nn.Tanh()(right))])


def test_slots_are_numbered_inputs_constants_parameters_results():
    wiring = with_everything().wiring
    # 0 x, 1 the constant 3, 2 theta, 3 x * theta, 4 left, 5 right, 6 left + 3, 7 tanh(right), 8 the loss
    assert wiring.size == 9
    assert wiring.first_result == 3
    assert [(slot, value.tolist()) for slot, value in wiring.constants] == [(1, 3)]
    assert wiring.wires == [
        ((), (2,), False),
        ((0, 2), (3,), False),
        ((3,), (4, 5), False),
        ((4, 1), (6,), False),
        ((5,), (7,), True),
        ((4, 7), (8,), False),
    ]
    assert wiring.taken == {0, 1, 2, 3, 4, 5, 7}
    assert (wiring.outputs, wiring.output_keys) == ((6, 8), ())
    assert (wiring.input_names, wiring.input_keys) == (["given"], ("given",))


def test_gradients_reach_all_but_what_leads_to_a_target():
    wiring = with_everything().wiring
    assert wiring.reached == {0, 1, 2, 3, 4, 6, 8}


def test_labels():
    assert with_everything().wiring.labels() == {
        0: "given", 1: "3", 2: "theta", 3: "1", 4: "2[0]", 5: "2[1]", 6: "3", 7: "4", 8: "5"
    }  # fmt: skip


def test_lines_are_those_of_the_program():
    wiring = with_everything().wiring
    assert all(__file__ in line for line in wiring.lines)
    assert wiring.names == ["theta", None, None, None, None, None]


@pytest.mark.parametrize(("keys", "given"), [(None, lambda x: x), ((), lambda x: [x]), (("a",), lambda x: {"a": x})])
def test_the_form_of_inputs_and_outputs_is_kept(keys, given):
    x = nn.Input()
    wiring = nn.Graph(given(x), given(nn.Tanh()(x))).wiring
    assert wiring.input_keys == wiring.output_keys == keys
