"""to_mermaid and to_dot: the computational graph of a model as text, for Markdown and for Graphviz."""

from typing import Any, Unpack

from nnlite.diagnostics.picture import FILLS, DrawnEdge, DrawnNode, Options, picture
from nnlite.layer.layer import Layer

BRACKETS = {"input": "([{}])", "target": "([{}])", "gate": "(({}))", "parameter": "({})"}  # all others are boxes
MARKUP = '"#&<>|`*_+@\\'


def to_mermaid(
    model: Layer, X: Any = None, target: Any = None, loss: Layer | None = None, **options: Unpack[Options]
) -> str:
    """The drawing of :func:`nnlite.draw` as a Mermaid flowchart in a Markdown code block.

    The edges are labelled with the values, and below them the gradients after a nabla.

    Args:
        model: as in :func:`nnlite.draw`, and so are the others.
        X: the input.
        target: the target of the loss.
        loss: a loss behind the model.
        options: ``dY``, ``values``, ``gradients``, ``names`` and ``most``.

    Raises:
        TypeError, ValueError: as :func:`nnlite.draw`.

    >>> import nnlite as nn
    >>> print(to_mermaid(nn.Tanh(), 0.0))
    ```mermaid
    flowchart LR
        n0(["X"]):::input
        n1["Tanh()"]:::layer
        n2["Y"]:::output
        n0 -->|"0<br/>∇ 1"| n1
        n1 -->|"0<br/>∇ 1"| n2
        classDef input fill:#ddf4ff,stroke:#57606a,color:#000
        classDef layer fill:#f6f8fa,stroke:#57606a,color:#000
        classDef output fill:none,stroke:none
    ```
    """
    shown = picture(model, X, target, loss, **options)
    lines = []
    for number, node in enumerate(shown.nodes):
        lines.append(f"n{number}{BRACKETS.get(node.kind, '[{}]').format(_for_mermaid(_of_node(node)))}:::{node.kind}")
    for edge in shown.edges:
        label = _of_edge(edge)
        lines.append(f"n{edge.start} -->{f'|{_for_mermaid(label)}|' if label else ''} n{edge.end}")
    kinds = {node.kind for node in shown.nodes}
    for kind, fill in FILLS.items():
        if kind in kinds:
            stroke = "none" if fill == "none" else "#57606a,color:#000"
            lines.append(f"classDef {kind} fill:{fill},stroke:{stroke}")
    return "\n".join(["```mermaid", "flowchart LR", *(f"    {line}" for line in lines), "```"])


def to_dot(
    model: Layer, X: Any = None, target: Any = None, loss: Layer | None = None, **options: Unpack[Options]
) -> str:
    r"""The drawing of :func:`nnlite.draw` in the language of Graphviz: ``dot -Tsvg`` makes a figure of it.

    Args:
        model: as in :func:`nnlite.draw`, and so are the others.
        X: the input.
        target: the target of the loss.
        loss: a loss behind the model.
        options: ``dY``, ``values``, ``gradients``, ``names`` and ``most``.

    Raises:
        TypeError, ValueError: as :func:`nnlite.draw`.

    >>> import nnlite as nn
    >>> print(to_dot(nn.Tanh(), 0.0))
    digraph {
        rankdir=LR
        node [shape=box, style="rounded,filled"]
        n0 [label="X", fillcolor="#ddf4ff"]
        n1 [label="Tanh()", fillcolor="#f6f8fa"]
        n2 [label="Y", shape=none, fillcolor="none"]
        n0 -> n1 [label="0\n∇ 1"]
        n1 -> n2 [label="0\n∇ 1"]
    }
    """
    shown = picture(model, X, target, loss, **options)
    lines = ["rankdir=LR", 'node [shape=box, style="rounded,filled"]']
    for number, node in enumerate(shown.nodes):
        shape = "shape=circle, " if node.kind == "gate" else "shape=none, " if FILLS[node.kind] == "none" else ""
        lines.append(f'n{number} [label={_for_dot(_of_node(node))}, {shape}fillcolor="{FILLS[node.kind]}"]')
    lines += [f"n{edge.start} -> n{edge.end} [label={_for_dot(_of_edge(edge))}]" for edge in shown.edges]
    return "\n".join(["digraph {", *(f"    {line}" for line in lines), "}"])


def _of_node(node: DrawnNode) -> str:
    return "\n".join([line for line, _ in node.lines] + [f"∇ {node.below}"] * bool(node.below))


def _of_edge(edge: DrawnEdge) -> str:
    return "\n".join([edge.value] * bool(edge.value) + [f"∇ {edge.gradient}"] * bool(edge.gradient))


def _for_mermaid(text: str) -> str:
    """The text in quotes, with the characters of Mermaid's and Markdown's markup as numeric entities."""
    plain = "".join(f"#{ord(sign)};" if sign in MARKUP else sign for sign in text)
    return '"' + plain.replace("\n", "<br/>") + '"'


def _for_dot(text: str) -> str:
    escaped = text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return f'"{escaped}"'
