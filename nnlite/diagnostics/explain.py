"""explain: the derivation of a network, forward and backward by the chain rule, in its own symbols."""

import ast
import operator
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nnlite.containers.argument_names import input_names_of
from nnlite.diagnostics.formulas.derivation import Derivation
from nnlite.diagnostics.formulas.naming import Naming, Target, named
from nnlite.diagnostics.formulas.one_entry import MOST_TERMS, entry, in_numbers
from nnlite.diagnostics.formulas.page import as_html, as_markdown, as_text
from nnlite.diagnostics.formulas.printing import DOTS, Line
from nnlite.layer.layer import Layer, check_layer
from nnlite.losses.loss import is_loss
from nnlite.losses.per_output import check_loss, check_target


@dataclass(frozen=True, eq=False)
class Explanation:
    """The derivation of a network; ``print`` shows it as text, a notebook as typeset formulas.

    Attributes:
        given: the inputs, constants and parameters with their values; empty without ``values=True``.
        forward: the forward formulas.
        backward: the chain rule, from the loss back.
        entry: one entry of a gradient, written out; empty without ``index=``.
        remarks: notes on the formulas.

    >>> import nnlite as nn
    >>> explain(nn.Exp()).backward[-1]
    dL/dX = dL/dy^ * y^
    """

    given: tuple[Line, ...] = ()
    forward: tuple[Line, ...] = ()
    backward: tuple[Line, ...] = ()
    entry: tuple[Line, ...] = ()
    remarks: tuple[str, ...] = ()
    values: bool = field(default=False, repr=False)

    @property
    def sections(self) -> dict[str, tuple[Line, ...]]:
        """The lines by heading.

        >>> list(Explanation().sections)
        ['Given', 'Forward', 'Backward', 'One entry']
        """
        return {"Given": self.given, "Forward": self.forward, "Backward": self.backward, "One entry": self.entry}

    def __str__(self) -> str:
        return as_text(self.sections, self.remarks, self.values)

    __repr__ = __str__

    @property
    def markdown(self) -> str:
        r"""The derivation as Markdown with LaTeX.

        >>> import nnlite as nn
        >>> explain(nn.Tanh()).markdown.split("\n")[4]
        '\\hat{y} &= \\tanh\\left(X\\right) && \\text{Tanh()} \\\\'
        """
        return as_markdown(self.sections, self.remarks, self.values)

    def _repr_html_(self) -> str:
        """Return the derivation as HTML with MathML, for notebooks."""
        return as_html(self.sections, self.remarks, self.values)


def explain(
    model: Layer,
    X: Any = None,
    target: Any = None,
    loss: Layer | None = None,
    *,
    dY: Any = None,
    values: bool = False,
    parameter: str | None = None,
    index: int | tuple[int, ...] | None = None,
    names: Mapping[str, str] | None = None,
) -> Explanation:
    """Derive the gradients of a network: the forward formulas, then the chain rule from the loss to each parameter.

    The formulas are the layers' own, from their attribute ``formulas``, in symbols that are numbered through the
    network: ``u1 = X W1 + b1``, ``h1 = tanh(u1)`` ... ``y^``. A layer without ``formulas`` is shown as a call. If
    there is an X, a copy of the model runs; the model itself does not change.

    Args:
        model: any Layer.
        X: the input; several as a tuple, or as a dict by name. With it the shapes are shown below the formulas.
        target: the target of the loss.
        loss: a loss behind the model; without it, L is the model's output if that is a loss or a single number, and
            otherwise the sum of the outputs.
        dY: the gradient of the model's output, several as a tuple, in place of a loss: L is then sum(dY * y^).
        values: show also the value of each formula, if it is not long.
        parameter: derive only the gradient of this parameter, by path, such as "0.W", or of this input, by name.
        index: write out this entry of it as a sum of products.
        names: symbols of your own, ``{"4.W": "U"}``: by the path of a parameter, of a layer for its output, by the name
            of an input, or by "target" or "loss".

    Returns:
        The derivation, which prints as text, has an attribute ``markdown``, and is typeset in a notebook.

    Raises:
        TypeError: ``model`` is not a Layer or ``loss`` not a Loss; a layer's ``formulas`` is not a string.
        ValueError: ``values`` or ``dY`` without an X, ``dY`` beside a loss, a target without a loss, or a loss with an
            X but no target; an ``index`` without an X where the entry is no sum of products; an unknown name in
            ``names`` or ``parameter``; a layer's formula is not valid (the message has the class and the line).
        IndexError: there is no such entry.

    Source: Rumelhart, Hinton and Williams, Learning representations by back-propagating errors, 1986.

    >>> import nnlite as nn
    >>> model = nn.Sequential(nn.Linear(3, 2), nn.Tanh(), nn.Linear(2, 1), nn.Sigmoid())
    >>> print(explain(model, loss=nn.BCELoss(), names={"2.W": "U", "2.b": "c"}))
    Forward
      u1 = X W1 + b1                                     0 Linear(3 -> 2)
      h1 = tanh(u1)                                      1 Tanh()
      u2 = h1 U + c                                      2 Linear(2 -> 1)
      y^ = sigmoid(u2)                                   3 Sigmoid()
      L = -1/N sum(y * log(y^) + (1 - y) * log(1 - y^))  loss BCELoss()
    <BLANKLINE>
    Backward
      dL/dy^ = 1/N ((1 - y) / (1 - y^) - y / y^)         loss BCELoss()
      dL/du2 = dL/dy^ * y^ * (1 - y^)                    3 Sigmoid()
      dL/du2 = 1/N (y^ - y)                              Sigmoid with BCELoss
      dL/dU = h1^T dL/du2                                2.W
      dL/dc = sum(dL/du2)                                2.b
      dL/dh1 = dL/du2 U^T                                2 Linear(2 -> 1)
      dL/du1 = dL/dh1 * (1 - h1 * h1)                    1 Tanh()
      dL/dW1 = X^T dL/du1                                0.W
      dL/db1 = sum_1(dL/du1)                             0.b
    <BLANKLINE>
    * is elementwise, a matrix product has no sign, sum_1 is the sum over the first axis.
    N is the number of samples.
    y^ is the output Y, y the target and L the loss J of the code, where dL/dW is called dW.
    Phi holds W1 in Phi[0:6], b1 in Phi[6:8], U in Phi[8:10], c in Phi[10:11], row by row.
    """
    check_layer(model, "model")
    if loss is not None:
        check_loss(loss)
    elif X is not None and target is not None and len(input_names_of(model)) == 1:
        raise ValueError(f"explain: loss: got a target, but {model.one_line()} takes none; pass loss= too")
    if index is not None:
        index = _whole(index)
    if values and X is None:
        raise ValueError("explain: values: values=True needs X; pass X, and target= if there is a loss")
    if X is not None:
        check_target(loss, target)
    if dY is not None and (X is None or loss is not None):
        raise ValueError("explain: dY: expected X and no loss, which gives the gradient of the output itself")
    if index is not None and parameter is None:
        raise ValueError("explain: index: pass parameter= too, such as parameter='0.W'")
    model, naming = named(model, X, target, loss, dY, names)
    wanted = None if parameter is None else _wanted(naming, parameter)
    derivation = Derivation(naming, None if wanted is None else {wanted})
    if wanted is not None and wanted not in derivation.gradients:
        raise ValueError(f"explain: parameter: the network has no gradient with respect to {parameter!r}")
    one = () if index is None or wanted is None else tuple(_entry(derivation, wanted, index))
    given = tuple(_given(naming)) if values else ()
    remarks = tuple(_remarks(model, derivation))
    return Explanation(given, tuple(derivation.forward), tuple(derivation.backward), one, remarks, values)


def _whole(index: Any) -> tuple[int, ...]:
    places = index if isinstance(index, tuple) else (index,)
    try:
        return tuple(map(operator.index, places))
    except TypeError:
        raise TypeError(f"explain: index: expected whole numbers, such as (2, 1), got {index!r}") from None


def _wanted(naming: Naming, parameter: str) -> Target:
    given = {*naming.program.inputs, *naming.leaves}
    can_be = {path: it for path, it in naming.paths.items() if isinstance(it, tuple) or it in given}
    if f"{parameter}.value" in can_be:  # a graph's parameter has one array
        parameter += ".value"
    if parameter not in can_be:
        raise ValueError(f"explain: parameter: expected one of {', '.join(can_be)}, got {parameter!r}")
    return can_be[parameter]


def _given(naming: Naming) -> Iterator[Line]:
    """Yield the inputs, the constants and the parameters, with their values."""
    arrays = [edge for edge in naming.program.constants if naming.symbols.get(edge, "none") != "none"]
    for edge in (*naming.program.inputs, *arrays, *naming.leaves):
        yield Line(naming.symbols[edge], None, "", naming.values.get(edge))
    for key in naming.parameters:
        yield Line(naming.symbols[key], None, naming.path_of(key), getattr(*key))


def _entry(derivation: Derivation, wanted: Target, index: tuple[int, ...]) -> Iterator[Line]:
    """Yield the entry in letters, and at its index: as a sum of products, in numbers, as a number."""
    line = derivation.gradients[wanted]
    assert line.expression is not None
    shape = (
        np.shape(getattr(*wanted)) if isinstance(wanted, tuple) else None if line.value is None else line.value.shape
    )
    place = _place(index, shape, line.symbol)
    letters = tuple("ijabcdefgh"[: len(index)])
    try:
        general, here = (Line(line.symbol, entry(line.expression, at), "", index=at) for at in (letters, place))
    except NotImplementedError:
        if line.value is None:
            raise ValueError(f"explain: index: {line.symbol} is no sum of products; pass X for its values") from None
        value = float(line.value[place])
        yield Line(line.symbol, ast.Constant(value), "no sum of products", value, index=place)
        return
    yield general
    yield here if line.value is None else in_numbers(here)


def _place(index: tuple[int, ...], shape: tuple[int, ...] | None, symbol: str) -> tuple[int, ...]:
    if shape is None:
        return index
    if len(index) != len(shape) or not all(-size <= n < size for n, size in zip(index, shape, strict=True)):
        raise IndexError(f"explain: index: {symbol} has shape {shape}, got the index {index}")
    return tuple(n % size for n, size in zip(index, shape, strict=True))


def _slices_of_Phi(model: Layer, naming: Naming) -> list[str]:
    """Return where each parameter is in the vector of all: ``W1 in Phi[0:6]``; of many only the first and the last."""
    start, found = 0, []
    for path, P in model.named_parameters():
        found.append(f"{naming.symbols.get(naming.paths.get(path, -1), path)} in Phi[{start}:{start + P.size}]")
        start += P.size
    return found if len(found) <= MOST_TERMS else [*found[:3], DOTS, found[-1]]


def _names_in_code(naming: Naming) -> Iterator[str]:
    """Yield what the layers, and the steps of :func:`nnlite.forward_steps`, call what has a symbol of its own here."""
    last = naming.program.operations[-1] if naming.program.operations else None
    if last is None or not is_loss(last.layer) or len(last.takes) != 2 or last.gives != (naming.loss_edge,):
        return
    Y, target = (naming.symbols.get(edge, "a number") for edge in last.takes)
    L = naming.L
    yield f"{Y} is the output Y, {target} the target and {L} the loss J of the code, where d{L}/dW is called dW."


def _remarks(model: Layer, derivation: Derivation) -> Iterator[str]:
    naming = derivation.naming
    for letter, count in naming.divisors.items():
        here = "" if count is None else f", here {count:g}"
        meaning = "the number of samples" if letter.startswith("N") else "what the mean of the loss divides by"
        yield f"{letter} is {meaning}{here}."
    yield from _names_in_code(naming)
    if slices := _slices_of_Phi(model, naming):
        yield f"Phi holds {', '.join(slices)}, row by row."
    if naming.run is None and any("sum_to" in each.layer.formulas for each in naming.program.operations):
        yield "The gradient of an array that is broadcast is summed over the axes of that; pass X to see these."
    yield from derivation.remarks
    for name in derivation.without_formulas:
        yield f"{name} has no `formulas`; its forward and backward are shown as calls."
    for name in derivation.without_forward:
        yield f"The `formulas` of {name} do not define its output; its forward is shown as a call."
