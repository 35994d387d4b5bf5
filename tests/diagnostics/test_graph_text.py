"""The computational graph as a Mermaid flowchart."""

import re

import numpy as np
import pytest
from support.case import case
from support.contract import ROWS, inputs_of

import nnlite as nn


def test_a_fork():
    a, b = nn.Input("a"), nn.Input("b")
    text = nn.to_mermaid(nn.Graph([a, b], (a + b) * (b + 1)), (2.0, 1.0)).split("\n")
    assert text[:2] == ["```mermaid", "flowchart LR"]
    assert text[-1] == "```"
    lines = [line.strip() for line in text]
    assert 'n1(["b<br/>∇ sum 5"]):::input' in lines
    assert 'n3(("#43;")):::gate' in lines
    assert 'n1 -->|"1<br/>∇ 2"| n3' in lines
    assert "n2 --> n4" in lines  # the constant says its value itself


def test_structure_alone():
    text = nn.to_mermaid(nn.Sequential(nn.Linear(3, 2), nn.Tanh()))
    assert 'n1["0<br/>Linear(3 -#62; 2)<br/>W (3, 2)<br/>b (2,)"]:::layer' in text
    assert 'n1 -->|"(..., 2)"| n2' in text
    assert "∇" not in text


def test_values_and_gradients_can_be_left_out():
    assert "∇" not in nn.to_mermaid(nn.Square(), 3.0, gradients=False)
    assert '|"∇ 6"|' in nn.to_mermaid(nn.Square(), 3.0, values=False)


def test_what_would_be_markup_is_written_by_its_number():
    class Odd(nn.Tanh):
        def extra_repr(self):
            return '"a|b" #_*<i>'

    line = next(line for line in nn.to_mermaid(Odd()).split("\n") if ":::layer" in line)
    assert line.strip() == 'n1["Odd(#34;a#124;b#34; #35;#95;#42;#60;i#62;)"]:::layer'


def test_every_line_is_a_node_an_arc_or_a_style():
    for row in ROWS:
        with case(row.id):
            X = inputs_of(row)
            first, kind, *lines, last = nn.to_mermaid(row.make(), X).split("\n")
            assert (first, kind, last) == ("```mermaid", "flowchart LR", "```")
            quoted = r'"[^"|<>]*(<br/>[^"|<>]*)*"'
            node, arc = rf"n\d+[(\[]+{quoted}[)\]]+:::\w+", rf"n\d+ -->(\|{quoted}\|)? n\d+"
            for line in lines:
                assert re.fullmatch(rf"    ({node}|{arc}|classDef \w+ [\w:#,]+)", line), line


def test_it_takes_a_layer():
    with pytest.raises(TypeError, match="model: expected a Layer"):
        nn.to_mermaid(np.zeros(3))


def test_dot_has_the_nodes_and_edges_of_the_picture():
    a, b = nn.Input("a"), nn.Input("b")
    text = nn.to_dot(nn.Graph([a, b], (a + b) * (b + 1)), (2.0, 1.0)).split("\n")
    lines = [line.strip() for line in text]
    assert (lines[0], lines[-1]) == ("digraph {", "}")
    assert r'n1 [label="b\n∇ sum 5", fillcolor="#ddf4ff"]' in lines
    assert 'n3 [label="+", shape=circle, fillcolor="#ffffff"]' in lines
    assert r'n1 -> n3 [label="1\n∇ 2"]' in lines
    assert sum("->" in line for line in lines) == 7


def test_quotes_and_backslashes_are_escaped_in_dot():
    class Odd(nn.Tanh):
        def extra_repr(self):
            return r'"a" \n'

    assert r'[label="Odd(\"a\" \\n)",' in nn.to_dot(Odd())
