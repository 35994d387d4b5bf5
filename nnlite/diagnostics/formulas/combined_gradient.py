"""The gradient through a loss and the layer before it, where the two together have a simpler formula."""

import ast
from dataclasses import dataclass

import numpy as np

from nnlite.diagnostics.formulas.layer_formulas import formulas_of
from nnlite.diagnostics.formulas.options import Options
from nnlite.diagnostics.formulas.parse import parse
from nnlite.layer.layer import Layer
from nnlite.layers.activations import Sigmoid
from nnlite.losses.binary_cross_entropy import BCELoss
from nnlite.losses.cross_entropy import CrossEntropyLoss

SIGMOID_AND_BCE = "dX = dJ / N * weight * (Y - target)"
ONE_CLASS_A_SAMPLE = 'dY = (expand_dims(dJ, axis=axis) if reduction == "none" else dJ) / N * (P - Q)'


@dataclass(frozen=True)
class CombinedGradient:
    """A formula and a note.

    Attributes:
        expression: in the loss's own names, and X for the input of the layer before it.
        note: which layers it combines, or why it holds.

    >>> CombinedGradient(ast.Name("X"), "").note
    ''
    """

    expression: ast.expr
    note: str


def combined_gradient(layer: Layer | None, loss: Layer) -> CombinedGradient | None:
    """Return the gradient of the layer's input through the layer and the loss; without a layer, that of the loss's Y.

    >>> import nnlite as nn
    >>> ast.unparse(combined_gradient(nn.Sigmoid(), nn.BCELoss()).expression)
    'dJ / N * (Y - target)'
    """
    if type(layer) is Sigmoid and type(loss) is BCELoss:
        return CombinedGradient(_with_options(SIGMOID_AND_BCE, loss), "Sigmoid with BCELoss")
    if layer is None and type(loss) is CrossEntropyLoss and _one_class_a_sample(loss):
        return CombinedGradient(_with_options(ONE_CLASS_A_SAMPLE, loss), "because each row of Q sums to 1")
    return None


def _with_options(text: str, loss: Layer) -> ast.expr:
    (line,) = parse(text, type(loss).__name__)
    formulas = formulas_of(loss)
    variables = {*formulas.inputs, *formulas.outputs, *(each.name for each in formulas.forward)}
    (line,) = Options(loss, variables, {}).put_into(line)
    return line.expression


def _one_class_a_sample(loss: CrossEntropyLoss) -> bool:
    if loss.count is None:
        return loss.weight is None
    if loss.Q is not None:
        return bool(np.allclose(loss.Q.sum(axis=1), 1))
    return loss.weights is None or bool(np.allclose(loss.weights, 1))
