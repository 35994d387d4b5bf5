"""Initial states of zeros, which PyTorch computes in the size of the batch: recurrent operators get none instead."""

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

STATES_FROM = 5  # the place of the first state among the inputs


def without_zero_states(model: Any, *, initializers: bool) -> Any:
    """A copy of the model in which recurrent operators have no initial states where these are zeros.

    Args:
        model: a ModelProto.
        initializers: whether zeros among the initializers are such states, too, and not parameters.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    makers = {name: node for node in copy.graph.node for name in node.output}
    if initializers:
        for each in copy.graph.initializer:
            makers[each.name] = helper.make_node("Constant", [], [each.name], value=each)
    for node in copy.graph.node:
        states = list(node.input)[STATES_FROM : STATES_FROM + 2]
        if node.op_type in ("RNN", "LSTM", "GRU") and all(_is_zeros(name, makers) for name in states if name):
            for place in range(STATES_FROM, STATES_FROM + len(states)):
                node.input[place] = ""
    return copy


def _is_zeros(name: str, makers: dict[str, Any]) -> bool:
    """Whether a value is zeros of a size that is computed, or of a Constant."""
    while (node := makers.get(name)) is not None and node.op_type in ("Expand", "Slice", "Identity"):
        name = node.input[0]
    if node is None or node.op_type not in ("ConstantOfShape", "Constant"):
        return False
    values = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    if "value" not in values:
        return bool(node.op_type == "ConstantOfShape")
    return not np.any(numpy_helper.to_array(values["value"]))
