"""The exact GELU, which older opsets have only as x (1 + erf(x / sqrt(2))) / 2, as one operator."""

import math
from dataclasses import replace

from nnlite.interop.onnx.checked_onnx import OnnxFile, OnnxNode


def with_gelu(file: OnnxFile) -> OnnxFile:
    """The file with the operator Gelu in place of each such formula."""
    nodes = list(file.nodes)
    for erf in [node for node in nodes if node.operator == "Erf"]:
        if found := _Formula(file, nodes).of(erf):
            x, chain = found
            last = nodes.index(chain[-1])
            nodes[last] = OnnxNode("Gelu", chain[-1].name, (x,), chain[-1].outputs, {"approximate": "none"})
            nodes = [node for node in nodes if node not in chain]
    return replace(file, nodes=nodes)


class _Formula:
    """Finds the formula around an Erf."""

    def __init__(self, file: OnnxFile, nodes: list[OnnxNode]) -> None:
        self.file, self.nodes = file, nodes

    def of(self, erf: OnnxNode) -> tuple[str, list[OnnxNode]] | None:
        """The name of x, and the operators from Erf to the product, each of which nothing else uses."""
        inner = next((node for node in self.nodes if erf.inputs[0] in node.outputs), None)
        scale = {"Div": math.sqrt(2), "Mul": math.sqrt(0.5)}.get(inner.operator) if inner else None
        x = self.beside(inner, scale) if inner and scale else None
        chain = [erf]
        plus = self.user(erf)
        if x is None or plus is None or plus.operator != "Add" or self.beside(plus, 1) != erf.outputs[0]:
            return None
        chain.append(plus)
        factors = {x, 0.5}
        while factors:
            product = self.user(chain[-1])
            if product is None or product.operator != "Mul":
                return None
            other = next((name for name in product.inputs if name != chain[-1].outputs[0]), "")
            halved = next((node for node in self.nodes if other in node.outputs and node.operator == "Mul"), None)
            if other in factors:
                factors -= {other}
            elif self.is_number(other, 0.5):
                factors -= {0.5}
            elif halved and self.beside(halved, 0.5) == x:
                factors.clear()
            else:
                return None
            chain.append(product)
        return x, chain

    def beside(self, node: OnnxNode, number: float) -> str | None:
        """The input of an operator beside that number; a Div has it second."""
        first, second = node.inputs
        if self.is_number(second, number):
            return first
        return second if node.operator != "Div" and self.is_number(first, number) else None

    def is_number(self, name: str, number: float) -> bool:
        """Whether the name is that of a constant or an initializer of this value."""
        array = self.file.constants.get(name, self.file.initializers.get(name))
        return array is not None and array.size == 1 and math.isclose(array.item(), number, rel_tol=1e-6)

    def user(self, node: OnnxNode) -> OnnxNode | None:
        """The only operator that uses the output of a node."""
        users = [other for other in self.nodes if node.outputs[0] in other.inputs]
        return users[0] if len(users) == 1 and node.outputs[0] not in self.file.outputs else None
