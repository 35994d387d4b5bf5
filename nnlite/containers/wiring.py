"""Wiring: which layer of a graph takes which arrays; made once, when the graph is built."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnlite.basics.shapes import UNKNOWN, Shape, text, width
from nnlite.containers.nodes import Constant, Node, Omitted, Parameter
from nnlite.containers.topological_sort import in_order
from nnlite.errors import ShapeError
from nnlite.layer.described import learns
from nnlite.layer.layer import Layer

Slots = tuple[int, ...]
Keys = tuple[str, ...] | None  # of what was given as a dict; none for a list, None for a single node
Wire = tuple[Slots, Slots, bool]


@dataclass(frozen=True, eq=False)
class Wiring:
    """Which layer takes which arrays.

    Each array has a slot, a number, while the graph runs: first the inputs, then the constants, the parameters, and the
    outputs of the layers in the order in which they run.

    Attributes:
        size: the number of slots.
        first_result: the first slot that is the output of a layer with inputs.
        input_keys: the form of the inputs: keys of a dict, ``()`` for a list, None for a single node.
        input_names: the name of each input; None for one without a name.
        input_shapes: what is known of each input's shape.
        needed: the number of inputs that are not optional; they come first.
        constants: (slot, value) of each; the value is None for an argument that was left out.
        wires: for each layer the slots of its inputs, those of its outputs, and whether it has one of each.
        names: of each layer; None for one that has none.
        lines: ``file:line`` of the program that called each layer.
        taken: the slots that are the input of some layer.
        outputs: the slots of the graph's outputs.
        output_keys: the form of the outputs.
        omitted: the slots of arguments that were left out.
        reached: the slots with a gradient: not those that lead only to inputs without one, such as targets.

    >>> import nnlite as nn
    >>> x = nn.Input("x")
    >>> nn.Graph(x, nn.Tanh()(x) * x).wiring.wires
    [((0,), (1,), True), ((1, 0), (2,), False)]
    """

    size: int
    first_result: int
    input_keys: Keys
    input_names: list[str | None]
    input_shapes: list[Shape]
    needed: int
    constants: list[tuple[int, Any]]
    wires: list[Wire]
    names: list[str | None]
    lines: list[str]
    taken: frozenset[int]
    outputs: Slots
    output_keys: Keys
    omitted: frozenset[int]
    reached: frozenset[int]

    def given(self, takes: Slots) -> tuple[int | None, ...]:
        """The slots that a layer takes, with None for each of an argument that was left out."""
        return tuple([None if slot in self.omitted else slot for slot in takes]) if self.omitted else takes

    def places(self) -> Iterator[str]:
        """The name of each layer in its graph, or its number."""
        return (name or str(index) for index, name in enumerate(self.names))

    def labels(self) -> dict[int, str]:
        """The label of each slot: the name of an input, the value of a constant, the place of a layer."""
        labels = {slot: name or f"input {slot}" for slot, name in enumerate(self.input_names)}
        labels |= {
            slot: str(value) if np.size(value) < 4 else f"array{np.shape(value)}" for slot, value in self.constants
        }
        for place, (_, gives, _) in zip(self.places(), self.wires, strict=True):
            labels |= {slot: place if len(gives) == 1 else f"{place}[{n}]" for n, slot in enumerate(gives)}
        return labels

    def shown(self, layers: Iterable[Layer]) -> str:
        """A line for each layer with its inputs, and one for the outputs."""
        labels, lines = self.labels(), []
        for place, layer, (takes, _, _) in zip(self.places(), layers, self.wires, strict=True):
            of = f" of {', '.join(labels[slot] for slot in takes)}" if takes else ""
            lines.append(f"({place}): {layer!r}{of}")
        return "\n".join([*lines, f"-> {', '.join(labels[slot] for slot in self.outputs)}"])

    def output_shape(self, graph: str, layers: Iterable[Layer], shapes: Sequence[Shape]) -> Any:
        """What is known of the shapes of the outputs, layer by layer.

        Raises:
            ShapeError: a shape contradicts that of the ``Input``; ``graph`` is named.
        """
        known: dict[int, Any] = {slot: np.shape(value) for slot, value in self.constants}
        for slot, (declared, given) in enumerate(zip(self.input_shapes, shapes, strict=True)):
            if None not in (width(declared), width(given)) and width(declared) != width(given):
                raise ShapeError(f"{graph}: expected an input of shape {text(declared)}, got {text(given)}")
            known[slot] = declared if given == UNKNOWN else given
        for layer, (takes, gives, _) in zip(layers, self.wires, strict=True):
            Y = layer.output_shape(*[known[slot] for slot in takes])
            several = layer.num_outputs > 1 and Y != UNKNOWN
            known |= zip(gives, Y, strict=True) if several else dict.fromkeys(gives, Y)
        found = tuple([known[slot] for slot in self.outputs])
        return found[0] if len(found) == 1 else found


def wired(inputs: Any, outputs: Any, names: Any = None) -> tuple[list[Layer], Wiring]:
    """The layers between ``inputs`` and ``outputs``, in the order in which they run, and their wiring.

    Args:
        inputs: as given to :class:`nnlite.Graph`.
        outputs: likewise.
        names: likewise.

    Raises:
        TypeError, ValueError: as :class:`nnlite.Graph`.
    """
    input_keys, input_nodes = _nodes(inputs, "inputs")
    output_keys, output_nodes = _nodes(outputs, "outputs")
    leaves, calls = in_order(input_nodes, output_nodes)
    constants = [leaf for leaf in leaves if isinstance(leaf, Constant)]
    parameters = [leaf for leaf in leaves if isinstance(leaf, Parameter)]

    slots: dict[Any, int] = {}
    for leaf in (*input_nodes, *constants, *parameters):
        slots[id(leaf)] = len(slots)
    for call in calls:
        for number in range(call.layer.num_outputs):
            slots[id(call), number] = len(slots)

    def slot(node: Node) -> int:
        return slots[id(node) if node.call is None else (id(node.call), node.output)]

    wires: list[Wire] = [((), (slot(parameter),), False) for parameter in parameters]
    for call in calls:
        takes = tuple([slot(node) for node in call.inputs])
        gives = tuple([slots[id(call), number] for number in range(call.layer.num_outputs)])
        wires.append((takes, gives, len(takes) == len(gives) == 1))
    layers: list[Layer] = [*parameters, *(call.layer for call in calls)]
    lines = [parameter.line for parameter in parameters] + [call.line for call in calls]
    given_out = tuple([slot(node) for node in output_nodes])
    omitted = frozenset(slot(constant) for constant in constants if isinstance(constant, Omitted))
    reached = _find_reached(layers, wires, lines, given_out) - omitted
    return layers, Wiring(
        size=len(slots),
        first_result=len(input_nodes) + len(constants) + len(parameters),
        input_keys=input_keys,
        input_names=list(input_keys or [node.name for node in input_nodes]),
        input_shapes=[node.shape for node in input_nodes],
        needed=_find_needed(input_nodes, reached),
        constants=[(slot(constant), constant.value) for constant in constants],
        wires=wires,
        names=_found_names(layers, parameters, names or {}),
        lines=lines,
        taken=frozenset(slot for takes, _, _ in wires for slot in takes),
        outputs=given_out,
        output_keys=output_keys,
        omitted=omitted,
        reached=reached,
    )


def in_form(values: Sequence[Any], keys: Keys) -> Any:
    """The values in the form of a graph's inputs or outputs: one, a tuple, or a dict."""
    if keys is None:
        return values[0]
    return dict(zip(keys, values, strict=True)) if keys else tuple(values)


def _nodes(given: Any, name: str) -> tuple[Keys, list[Node]]:
    """The keys and the nodes of an argument of Graph."""
    keys = tuple(given) if isinstance(given, dict) else () if isinstance(given, list | tuple) else None
    nodes = [given] if keys is None else list(given.values() if keys else given)
    if not nodes:
        raise ValueError(f"Graph: {name}: expected at least one node")
    for key in keys or ():
        if not isinstance(key, str):
            raise TypeError(f"Graph: {name}: expected a dict whose keys are names, got the key {key!r}")
    for node in nodes:
        if not isinstance(node, Node):
            raise TypeError(f"Graph: {name}: expected a node, such as nnlite.Input() returns, got {node!r}")
    return keys, nodes


def _find_reached(layers: list[Layer], wires: list[Wire], lines: list[str], outputs: Slots) -> frozenset[int]:
    """The slots with a gradient: outputs, and the differentiable inputs of layers whose outputs have one.

    Raises:
        ValueError: parameters that would never get a gradient.
    """
    reached = set(outputs)
    for layer, (takes, gives, _), line in zip(reversed(layers), reversed(wires), reversed(lines), strict=True):
        if not reached.isdisjoint(gives):
            reached.update(takes[position] for position in layer.differentiable_inputs(len(takes)))
        elif learns(layer):
            raise ValueError(
                f"Graph: {layer.one_line()} ({line}) would never be trained: its output is used only where there is no "
                "gradient, such as the target of a loss; make that an input of the graph"
            )
    return frozenset(reached)


def _find_needed(inputs: list[Node], reached: frozenset[int]) -> int:
    """The number of inputs that are not optional.

    Raises:
        ValueError: one comes after an optional one, or an optional one has a gradient.
    """
    needed = next((n for n, node in enumerate(inputs) if node.optional), len(inputs))
    for slot, node in enumerate(inputs[needed:], start=needed):
        if not node.optional:
            raise ValueError(f"Graph: inputs: {node!r} is not optional; list it before those that are")
        if slot in reached:
            raise ValueError(
                f"Graph: inputs: {node!r} is optional, but has a gradient; only arguments without one can be left out, "
                "such as masks and lengths"
            )
    return needed


def _found_names(layers: list[Layer], parameters: list[Parameter], names: Any) -> list[str | None]:
    """The name of each layer that has one.

    Raises:
        TypeError, ValueError: as :class:`nnlite.Graph`.
    """
    if not isinstance(names, Mapping):
        raise TypeError(f'Graph: names: expected a dict such as {{"encoder": layer}}, got {names!r}')
    found: dict[int, str] = {id(parameter): parameter.name for parameter in parameters if parameter.name}
    known = set(map(id, layers))
    for name, layer in names.items():
        if not (isinstance(name, str) and re.fullmatch(r"[A-Za-z_]\w*(\.\w+)*", name)):
            raise TypeError(f'Graph: names: expected a name such as "encoder" or "layers.0", got {name!r}')
        if id(layer) not in known:
            raise ValueError(f"Graph: names: {name!r} is no layer of this graph: {layer!r}")
        if found.setdefault(id(layer), name) != name:
            raise ValueError(f"Graph: names: one layer has the names {found[id(layer)]!r} and {name!r}")
    given = list(found.values())
    for name in given:
        if given.count(name) > 1 or any(other.startswith(f"{name}.") for other in given):
            raise ValueError(f"Graph: names: {name!r} is the name, or the beginning of the name, of two layers")
    return [found.get(id(layer)) for layer in layers]
