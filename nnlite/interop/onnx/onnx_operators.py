"""What an operator of ONNX is in nnlite: a method for each that is not the inverse of what a layer declares."""

from nnlite.containers.nodes import Node
from nnlite.interop.onnx.activation_operators import ActivationOperators
from nnlite.interop.onnx.arithmetic_operators import ArithmeticOperators
from nnlite.interop.onnx.conditional_operators import ConditionalOperators
from nnlite.interop.onnx.normalization_operators import NormalizationOperators
from nnlite.interop.onnx.recurrent_operators import RecurrentOperators
from nnlite.interop.onnx.reduction_operators import ReductionOperators
from nnlite.interop.onnx.shape_operators import ShapeOperators
from nnlite.interop.onnx.spatial_operators import SpatialOperators


class Operators(
    ArithmeticOperators,
    ActivationOperators,
    ConditionalOperators,
    NormalizationOperators,
    RecurrentOperators,
    ReductionOperators,
    ShapeOperators,
    SpatialOperators,
):
    """The operators.

    Each has its inputs as operands and its attributes as keywords, as in ONNX's documentation, and returns the node of
    its output, or a tuple of nodes. It raises NotImplementedError for what nnlite does not have.

    Args:
        batch: an input of the model that has the rows of the batch; None if no input is known to have them.
    """

    def __init__(self, batch: Node | None) -> None:
        self.batch = batch
