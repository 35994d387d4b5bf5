"""to_mermaid: the computational graph of a model as a Mermaid diagram for Markdown."""

from typing import Any

from nnlite.diagnostics.picture import DrawnEdge, DrawnNode, picture
from nnlite.layer.layer import Layer

SHAPES = {"input": "([{}])", "target": "([{}])", "gate": "(({}))", "parameter": "({})"}  # all others are boxes
MARKUP = '"#&<>|`*_+@\\'
STYLES = {
    "input": "fill:#ddf4ff,stroke:#57606a,color:#000",
    "target": "fill:#ddf4ff,stroke:#57606a,color:#000",
    "parameter": "fill:#fff8c5,stroke:#57606a,color:#000",
    "gate": "fill:#fff,stroke:#57606a,color:#000",
    "layer": "fill:#f6f8fa,stroke:#57606a,color:#000",
    "constant": "fill:none,stroke:none",
    "output": "fill:none,stroke:none",
}


def to_mermaid(model: Layer, X: Any = None, target: Any = None, loss: Layer | None = None, **options: Any) -> str:
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
    lines = [f"n{number}{_node(node)}:::{node.kind}" for number, node in enumerate(shown.nodes)]
    lines += map(_edge, shown.edges)
    kinds = {node.kind for node in shown.nodes}
    lines += [f"classDef {kind} {style}" for kind, style in STYLES.items() if kind in kinds]
    return "\n".join(["```mermaid", "flowchart LR", *(f"    {line}" for line in lines), "```"])


def _node(node: DrawnNode) -> str:
    lines = [line for line, _ in node.lines] + [f"∇ {node.below}"] * bool(node.below)
    return SHAPES.get(node.kind, "[{}]").format(_quoted(lines))


def _edge(edge: DrawnEdge) -> str:
    lines = [edge.value] * bool(edge.value) + [f"∇ {edge.gradient}"] * bool(edge.gradient)
    return f"n{edge.start} -->{f'|{_quoted(lines)}|' if lines else ''} n{edge.end}"


def _quoted(lines: list[str]) -> str:
    """The lines as one quoted text, with the characters of Mermaid's and Markdown's markup as numeric entities."""
    text = "<br/>".join("".join(f"#{ord(sign)};" if sign in MARKUP else sign for sign in line) for line in lines)
    return '"' + text.replace("\n", "<br/>") + '"'
