"""How a graph is saved: its layers, and what is connected with what, as plain values; and its nodes, made of these."""

from collections.abc import Sequence
from typing import Any

from nnlite.basics.shapes import UNKNOWN
from nnlite.basics.trees import listed
from nnlite.containers.nodes import Constant, Input, Node, Omitted, Parameter
from nnlite.containers.wiring import Wiring, in_form
from nnlite.layer.layer import Layer


def saved_wiring(layers: Sequence[Layer], wiring: Wiring) -> dict[str, Any]:
    """The layers, and what is connected with what, by the numbers of the slots; see :class:`Wiring`."""
    shapes = [None if shape == UNKNOWN else shape for shape in wiring.input_shapes]
    names = [None if isinstance(layer, Parameter) else name for layer, name in zip(layers, wiring.names, strict=True)]
    optional = {} if wiring.needed == len(shapes) else {"needed": wiring.needed}
    return {
        "inputs": list(zip(wiring.input_names, shapes, strict=True)),
        "constants": [value for _, value in wiring.constants],
        "layers": layers,
        "takes": [list(takes) for takes, _, _ in wiring.wires],
        "outputs": list(wiring.outputs),
        "forms": (wiring.input_keys, wiring.output_keys),
        **optional,
        **({"names": names} if any(names) else {}),
    }


def nodes_of_saved(
    inputs: Any,
    constants: Any,
    layers: Any,
    takes: Any,
    outputs: Any,
    forms: Any,
    needed: int | None = None,
    names: Any = (),
) -> tuple[Any, Any, dict[str, Layer]]:
    """The inputs, the outputs and the names of a graph, from what :func:`saved_wiring` returned.

    Each layer is called on a node for every slot that it takes. ``needed`` is the number of inputs that are not
    optional, by default all.

    Raises:
        ValueError: a layer takes the output of a later one.
    """
    input_keys, output_keys = forms
    input_nodes: list[Node] = [
        Input(None if input_keys else name, shape=shape, optional=needed is not None and slot >= needed)
        for slot, (name, shape) in enumerate(inputs)
    ]
    fixed = [Omitted() if value is None else Constant(value) for value in constants]
    slots = [*input_nodes, *fixed, *(layer for layer in layers if isinstance(layer, Parameter))]

    def nodes(numbers: Any) -> list[Node]:
        if not all(type(number) is int and 0 <= number < len(slots) for number in numbers):
            raise ValueError("a layer of a graph takes the output of a later one")
        return [slots[number] for number in numbers]

    for layer, taken in zip(layers, takes, strict=True):
        if not isinstance(layer, Parameter):
            slots += listed(Node.applied(layer, tuple(nodes(taken))))
    found = {name: layer for name, layer in zip(names, layers, strict=False) if name is not None}
    return in_form(input_nodes, input_keys), in_form(nodes(outputs), output_keys), found
