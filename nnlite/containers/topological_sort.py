"""Sorting the layers of a graph topologically, and the errors of a graph that are found on the way."""

from collections import Counter
from collections.abc import Iterable, Sequence

from nnlite.containers.nodes import Call, Input, Node, Parameter


def in_order(inputs: Sequence[Node], outputs: Sequence[Node]) -> tuple[list[Node], list[Call]]:
    """(leaves, calls) that the outputs need, each call after those of its inputs.

    Raises:
        ValueError: as :class:`nnlite.Graph`.
    """
    leaves, calls = _walk(outputs)
    _check_inputs(inputs, leaves)
    _check_layers(calls)
    _check_outputs(outputs, leaves, calls)
    return leaves, calls


def _walk(outputs: Sequence[Node]) -> tuple[list[Node], list[Call]]:
    """The leaves and the calls, depth first from the outputs; without recursion, since a graph may be deep."""
    leaves: dict[int, Node] = {}
    calls: dict[int, Call] = {}
    open_calls: set[int] = set()
    for output in outputs:
        path = [iter([output])]  # the inputs still to be visited, of each open call
        way: list[Call] = []
        while path:
            node = next(path[-1], None)
            if node is None:
                path.pop()
                if way:
                    call = way.pop()
                    open_calls.discard(id(call))
                    calls[id(call)] = call
            elif node.call is None:
                leaves.setdefault(id(node), node)
            elif id(node.call) in open_calls:
                raise ValueError(f"Graph: there is a cycle: {node!r} needs its own output")
            elif id(node.call) not in calls:
                way.append(node.call)
                open_calls.add(id(node.call))
                path.append(iter(node.call.inputs))
    return list(leaves.values()), list(calls.values())


def _check_inputs(inputs: Sequence[Node], leaves: Sequence[Node]) -> None:
    for node in inputs:
        if not isinstance(node, Input):
            raise TypeError(f"Graph: inputs: expected nodes made by nnlite.Input, got {Node.__repr__(node)}")
    for node, times in Counter(inputs).items():
        if times > 1:
            raise ValueError(f"Graph: inputs: {node!r} is listed {times} times")
    used, listed = set(leaves), set(inputs)
    for node in inputs:
        if node not in used:
            raise ValueError(f"Graph: inputs: {node!r} is used by none of the outputs; use it, or remove it")
    for node in leaves:
        if isinstance(node, Input) and node not in listed:
            raise ValueError(f"Graph: the outputs need {node!r}, which is not among the inputs; list it there")
    check_names([*inputs, *(node for node in leaves if isinstance(node, Parameter))])


def check_names(nodes: Iterable[Node]) -> None:
    """Raise if two nodes have the same name."""
    named: dict[str, Node] = {}
    for node in nodes:
        if node.name is not None and named.setdefault(node.name, node) is not node:
            raise ValueError(
                f"Graph: the name {node.name!r} is used twice, by {Node.__repr__(named[node.name])} and "
                f"{Node.__repr__(node)}; rename one of them"
            )


def _check_layers(calls: Sequence[Call]) -> None:
    """A layer has one cache, so it can be called once only."""
    seen: dict[int, Call] = {}
    for call in calls:
        first = seen.setdefault(id(call.layer), call)
        if first is not call:
            raise ValueError(
                f"Graph: the same layer object is used twice, as {first!r} and as {call!r}, but it has one cache; "
                "for a second use of the same parameters use nnlite.tied(layer)"
            )


def _check_outputs(outputs: Sequence[Node], leaves: Sequence[Node], calls: Sequence[Call]) -> None:
    """Every node made from the graph's nodes must be used."""
    for node, times in Counter(outputs).items():
        if times > 1:
            raise ValueError(f"Graph: outputs: {node!r} is listed {times} times")
    used = {(id(node.call), node.output) for node in outputs}
    used |= {(id(node.call), node.output) for call in calls for node in call.inputs}
    inside = {id(call) for call in calls}
    for call in calls:
        for output in range(call.layer.num_outputs):
            if (id(call), output) not in used:
                raise ValueError(f"Graph: output {output} of {call!r} is not used; use it, or add it to the outputs")
    for node in dict.fromkeys([*leaves, *(node for call in calls for node in call.inputs)]):
        for user in filter(None, (reference() for reference in node.users)):
            if id(user) not in inside and not user.layer._adopted:
                raise ValueError(f"Graph: {user!r} is used by none of the outputs; use it, or remove it")
