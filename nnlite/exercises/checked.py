"""check: what of a layer is right, what not yet, and hints of rising clarity."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.checks import whole
from nnlite.diagnostics.array_text import scalar_text
from nnlite.diagnostics.check_gradients import check_gradients
from nnlite.diagnostics.formulas.layer_formulas import formulas_of
from nnlite.diagnostics.gradients.fault import Fault
from nnlite.errors import GradientError
from nnlite.layer.layer import Layer, check_layer
from nnlite.layers.activations import Softmax, Tanh
from nnlite.layers.linear import Linear
from nnlite.losses.binary_cross_entropy import BCELoss
from nnlite.losses.loss import is_loss

ROWS, COLUMNS = 5, 3


@dataclass(frozen=True)
class Checked:
    """What :func:`nnlite.exercises.check` found; prints as a list.

    Attributes:
        right: whether all is.
        done: what is right, in words.
        wrong: what is not yet right; "" if all is.
        hints: what to think of, each clearer than the one before.
        shown: how many hints are printed.

    >>> print(Checked(("forward", "dX"), "dW: not yet", ("Look at the shape of dW.",), 1))
    right    forward
    right    dX
    not yet  dW: not yet
    hint     Look at the shape of dW.
    """

    done: tuple[str, ...]
    wrong: str
    hints: tuple[str, ...]
    shown: int = 0

    @property
    def right(self) -> bool:
        """Whether all is right."""
        return not self.wrong

    def __str__(self) -> str:
        lines = [f"right    {each}" for each in self.done]
        if self.wrong:
            lines.append(f"not yet  {self.wrong}")
            lines += [f"hint     {hint}" for hint in self.hints[: self.shown]]
            if self.shown < len(self.hints):
                lines.append(f"         for a hint: check(layer, hint={self.shown + 1})")
        else:
            lines.append("all is right")
        return "\n".join(lines)

    __repr__ = __str__


def check(layer: Layer, like: Layer | None = None, *, X: Any = None, hint: int = 0) -> Checked:
    """Compare a layer with the one that it should be: its values, what it leaves alone, and each of its gradients.

    The first thing that is not right is named; then the layer is right, one step after the other. Of gradients it says
    what :func:`nnlite.check_gradients` finds.

    Args:
        layer: a layer, a loss or a network of your own, with parameters set.
        like: the layer that it should be; a copy of it gets the parameters of ``layer``. By default the name of the
            class says it: Linear, Tanh, Softmax, BCELoss or MLP, with or without a "My" before it.
        X: an input to try; by default one that fits these.
        hint: how many hints to print, from 0 to 3: the place, the kind of mistake, the formula.

    Returns:
        What is right, and what is not.

    Raises:
        TypeError: ``layer`` is not a Layer, such as its class.
        ValueError: it is not known what it should be.

    >>> import nnlite as nn
    >>> class Tanh(nn.Layer):
    ...     def forward(self, X):
    ...         self.Y = np.tanh(X)
    ...         return self.Y
    ...     def backward(self, dY):
    ...         return dY * (1 - self.Y)
    >>> print(nn.exercises.check(Tanh(), hint=2))
    right    forward returns an array of the right shape
    right    forward computes the right values
    right    forward leaves X as it is
    not yet  dX
    hint     look at backward, at dX
    hint     missing term
             for a hint: check(layer, hint=3)
    """
    if isinstance(layer, type):
        raise TypeError(f"exercises.check: expected a layer, got the class itself; write {layer.__name__}(...)")
    check_layer(layer, "exercises.check: layer")
    hint = whole(hint, "exercises.check: hint", least=0)
    like = _reference(layer) if like is None else copy.deepcopy(like)
    like.astype(np.float64)
    layer = copy.deepcopy(layer)
    layer.astype(np.float64)
    if like.Phi.size != layer.Phi.size:
        sizes = f"{layer.one_line()} has {layer.Phi.size} parameters, {like.one_line()} has {like.Phi.size}"
        raise ValueError(f"exercises.check: {sizes}")
    like.Phi = layer.Phi
    inputs = _inputs(like, X)
    done: list[str] = []
    for step in _steps(layer, like, inputs):
        if isinstance(step, str):
            done.append(step)
        else:
            return Checked(tuple(done), step[0], step[1], min(hint, len(step[1])))
    return Checked(tuple(done), "", ())


Wrong = tuple[str, tuple[str, ...]]


def _reference(layer: Layer) -> Layer:
    """The layer that this one should be, known from its name."""
    names = [cls.__name__.removeprefix("My") for cls in type(layer).__mro__]
    if "Linear" in names and hasattr(layer, "W"):
        return Linear(*np.shape(layer.W))
    if "MLP" in names and hasattr(layer, "W1") and hasattr(layer, "W2"):
        from nnlite.containers.sequential import Sequential

        return Sequential(Linear(*np.shape(layer.W1)), Tanh(), Linear(*np.shape(layer.W2)))
    for known in (Tanh, Softmax, BCELoss):
        if known.__name__ in names:
            return known()
    raise ValueError(
        f"exercises.check: {type(layer).__name__} is none of Linear, Tanh, Softmax, BCELoss and MLP; pass what it "
        "should be, check(layer, like=nn.ReLU())"
    )


def _inputs(like: Layer, X: Any) -> tuple[Array, ...]:
    """Inputs that fit the layer: X, and of a loss the target."""
    rng = np.random.default_rng(0)
    if is_loss(like):
        Y = rng.uniform(0.1, 0.9, (ROWS, 1)) if X is None else np.asarray(X, float)
        return Y, (rng.uniform(size=Y.shape) < 0.5).astype(float)
    if X is not None:
        return (np.asarray(X, float),)
    first = next((part for _, part in like.named_layers() if isinstance(part, Linear)), None)
    return (rng.normal(size=(ROWS, COLUMNS if first is None else first.in_features)),)


def _steps(layer: Layer, like: Layer, inputs: tuple[Array, ...]) -> Iterator[str | Wrong]:
    """What is right, in turn, up to the first thing that is not: then what, and hints."""
    given = tuple(A.copy() for A in inputs)
    try:
        Y = layer.forward(*given)
    except Exception as error:
        yield f"forward raises {type(error).__name__}: {error}", ("look at the last lines of its traceback",)
        return
    right = like.forward(*inputs)
    what = "a number" if is_loss(like) else "an array of the right shape"
    if Y is ... or Y is None:
        yield "forward returns nothing yet", ("fill in what forward returns", _formula(like, forward=True))
        return
    if np.shape(Y) != np.shape(right):
        shapes = f"expected shape {np.shape(right)}, got {np.shape(Y)}"
        yield "forward returns another shape", (shapes, _formula(like, forward=True))
        return
    yield f"forward returns {what}"
    if not np.allclose(Y, right, rtol=1e-6, atol=1e-9):
        place = np.unravel_index(np.abs(np.asarray(Y) - right).argmax(), np.shape(right))
        index = f" at {[*map(int, place)]}" if place else ""
        got, expected = (scalar_text(float(np.asarray(A)[place])) for A in (Y, right))
        ratio = np.asarray(Y, float).reshape(-1) / np.asarray(right).reshape(-1)
        times = f"it is {scalar_text(float(ratio[0]))} times the right one" if np.allclose(ratio, ratio[0]) else ""
        hints = [f"expected {expected}, got {got}{index}", times, _formula(like, forward=True)]
        yield "forward computes other values", tuple(filter(None, hints))
        return
    yield "forward computes the right values"
    if not all(np.array_equal(one, other) for one, other in zip(given, inputs, strict=True)):
        yield "forward changes X", ("compute a new array in place of X += ...",)
        return
    yield "forward leaves X as it is"
    yield from _gradients(layer, like, inputs)


def _gradients(layer: Layer, like: Layer, inputs: tuple[Array, ...]) -> Iterator[str | Wrong]:
    first = "dY" if is_loss(like) else "dX"
    names = [first, *(f"d{name}" for name, _ in layer.named_parameters())]
    try:
        check_gradients(layer, inputs if len(inputs) > 1 else inputs[0])
    except GradientError as error:
        fault: Fault = error.report.fault
        wrong = {comparison.name for comparison in error.report.comparisons if not comparison.right}
        for comparison in error.report.comparisons:
            if comparison.name not in wrong:
                yield f"d{comparison.name}"
        array = {"": "backward", "dX": first}.get(fault.array, fault.array)
        yield array, (f"look at backward, at {array}", fault.kind, f"{fault}; {_formula(like, forward=False)}")
        return
    except Exception as error:  # such as of a product of shapes that do not fit, or of ... in it
        said = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        yield "backward raises an error, or has a hole", (said, _formula(like, forward=False))
        return
    yield from names


def _formula(like: Layer, *, forward: bool) -> str:
    """The formulas of the layer that it should be, in one line."""
    if not like.formulas:
        return "write the formulas of each of its layers below each other, as nnlite.explain prints them"
    formulas = formulas_of(like, 2 if is_loss(like) else 1)
    return "the formulas are " + ", ".join(str(line) for line in (formulas.forward if forward else formulas.backward))
