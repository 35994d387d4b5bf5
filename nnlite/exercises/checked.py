"""check: what of a layer is right, what not yet, and hints of rising clarity."""

import copy
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array, as_array
from nnlite.basics.checks import whole
from nnlite.diagnostics.array_text import scalar_text
from nnlite.diagnostics.check_gradients import check_gradients
from nnlite.diagnostics.formulas.layer_formulas import formulas_of
from nnlite.errors import GradientError
from nnlite.layer.layer import Layer, check_layer
from nnlite.layers.activations import Softmax, Tanh
from nnlite.layers.linear import Linear
from nnlite.losses.binary_cross_entropy import BCELoss
from nnlite.losses.loss import is_loss

ROWS, COLUMNS = 5, 3
WIDTH = 80


@dataclass(frozen=True, eq=False, repr=False)
class Checked:
    """What :func:`nnlite.exercises.check` found; prints as a list.

    Attributes:
        done: what is right, in words.
        wrong: what is not yet right; "" if all is.
        hints: what to think of, each clearer than the one before.
        shown: how many hints are printed.

    >>> print(Checked(("dX",), "dW", ("look at backward, at dW",), 1))
    right    dX
    not yet  dW
    hint     look at backward, at dW
    """

    done: tuple[str, ...]
    wrong: str
    hints: tuple[str, ...]
    shown: int = 0

    @property
    def right(self) -> bool:
        """Whether all is right."""
        return not self.wrong

    def __repr__(self) -> str:
        lines = [f"right    {each}" for each in self.done]
        if self.wrong:
            lines.append(_in_columns("not yet  ", self.wrong))
            lines += [_in_columns("hint     ", hint) for hint in self.hints[: self.shown]]
            if self.shown < len(self.hints):
                lines.append(f"         for a hint: check(layer, hint={self.shown + 1})")
        else:
            lines.append("all is right")
        return "\n".join(lines)


def check(layer: Layer, like: Layer | None = None, *, X: Any = None, hint: int = 0) -> Checked:
    """Compare a layer with the one that it should be: its values, what it leaves alone, and each of its gradients.

    It looks at forward first (shape, values, whether X stays as it is), then at every gradient, then at float32, up to
    the first of these that is not right. What is wrong with a gradient is what :func:`nnlite.check_gradients` finds.

    Args:
        layer: a layer, a loss or a network of your own, with parameters set.
        like: the layer that it should be; a copy of it gets the parameters of ``layer``. By default the name of the
            class says it: Linear, Tanh, Softmax, BCELoss or MLP, with or without a "My" before it.
        X: an input to try; by default one that fits these.
        hint: how many hints to print, from 0 to 3: the place, the kind of mistake, the mistake and the formula.

    Returns:
        What is right, and what is not.

    Raises:
        TypeError: ``layer`` or ``like`` is not a Layer, such as its class; or ``X`` does not hold real numbers.
        ValueError: it is not known what it should be, or that has other parameters; or ``X`` is not finite.

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
    if like is not None:
        check_layer(like, "exercises.check: like")
    like = _reference(layer) if like is None else copy.deepcopy(like)
    like.astype(np.float64)
    layer = copy.deepcopy(layer)
    layer.astype(np.float64)
    _copy_parameters(layer, like)
    inputs = _inputs(like, None if X is None else _finite(X))
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
    own: dict[str, Array] = dict(layer.named_parameters()) or vars(layer)  # not declared: _copy_parameters says so
    if "Linear" in names and np.ndim(own.get("W", 0)) == 2:
        return Linear(*own["W"].shape)
    if "MLP" in names and np.ndim(own.get("W1", 0)) == np.ndim(own.get("W2", 0)) == 2:
        from nnlite.containers.sequential import Sequential

        return Sequential(Linear(*own["W1"].shape), Tanh(), Linear(*own["W2"].shape))
    for known in (Tanh, Softmax, BCELoss):
        if known.__name__ in names:
            return known()
    raise ValueError(
        f"exercises.check: {type(layer).__name__} is none of Linear, Tanh, Softmax, BCELoss and MLP; pass what it "
        "should be, check(layer, like=nn.ReLU())"
    )


def _copy_parameters(layer: Layer, like: Layer) -> None:
    """Give the one the parameters of the other: by name, or, where these are others, in order.

    Raises:
        ValueError: they have other shapes.
    """
    own, wanted = dict(layer.named_parameters()), dict(like.named_parameters())
    if own.keys() != wanted.keys() and len(own) == len(wanted):
        own = dict(zip(wanted, own.values(), strict=True))
    if {path: P.shape for path, P in own.items()} != {path: P.shape for path, P in wanted.items()}:
        expected, got = (
            ", ".join(f"{path} {P.shape}" for path, P in each.named_parameters()) or "none" for each in (like, layer)
        )
        declared = f'class {type(layer).__name__}(nn.Layer, parameters=("W", "b"))'
        cure = "" if own else f"; declare them, as in {declared}"
        raise ValueError(f"exercises.check: {layer.one_line()}: expected parameters {expected}, got {got}{cure}")
    for path, P in wanted.items():
        P[...] = own[path]


def _finite(X: Any) -> Array:
    """X in float64.

    Raises:
        TypeError, ValueError: it does not hold real numbers, or one is not finite.
    """
    A = as_array(X, "exercises.check: X").astype(np.float64)
    if not np.isfinite(A).all():
        raise ValueError("exercises.check: X: expected finite numbers, got NaN or infinity")
    return A


def _inputs(like: Layer, X: Array | None) -> tuple[Array, ...]:
    """Inputs that fit the layer: X, and of a loss the target."""
    rng = np.random.default_rng(0)
    if is_loss(like):
        Y = rng.uniform(0.1, 0.9, (ROWS, 1)) if X is None else X
        return Y, (rng.uniform(size=Y.shape) < 0.5).astype(float)
    if X is not None:
        return (X,)
    first = next((part for _, part in like.named_layers() if isinstance(part, Linear)), None)
    return (rng.normal(size=(ROWS, COLUMNS if first is None else first.in_features)),)


def _steps(layer: Layer, like: Layer, inputs: tuple[Array, ...]) -> Iterator[str | Wrong]:
    """What is right, in turn; and the first thing that is not, with hints, at which the caller stops."""
    yield from _forward(layer, like, inputs)
    yield from _gradients(layer, like, inputs)
    yield from _float32(layer, like, inputs)


def _forward(layer: Layer, like: Layer, inputs: tuple[Array, ...]) -> Iterator[str | Wrong]:
    given = tuple(A.copy() for A in inputs)
    formula = _formula(like, "Y")
    Y, holes, error = _run(layer, "forward", *given)
    if holes or Y is ... or (Y is None and not error):
        yield "forward returns nothing yet", ("fill in what forward returns", formula)
    if error:
        text = f"forward raises {type(error).__name__}: {_first_line(error)}"
        yield text, ("look at the last lines of its traceback", formula)
    right = like.forward(*inputs)
    if np.shape(Y) != np.shape(right):
        shapes = f"expected shape {np.shape(right)}, got {np.shape(Y)}"
        yield "forward returns another shape", (shapes, formula)
    yield f"forward returns {'a number' if is_loss(like) else 'an array of the right shape'}"
    if not np.allclose(Y, right, rtol=1e-6, atol=1e-9):
        place = np.unravel_index(np.abs(np.asarray(Y) - right).argmax(), np.shape(right))
        index = f" at {[*map(int, place)]}" if place else ""
        got, expected = (scalar_text(float(np.asarray(A)[place])) for A in (Y, right))
        with np.errstate(divide="ignore", invalid="ignore"):  # of entries that should be 0
            ratio = np.asarray(Y, float).reshape(-1) / np.asarray(right).reshape(-1)
        times = f"it is {scalar_text(float(ratio[0]))} times the right one" if np.allclose(ratio, ratio[0]) else ""
        hints = [f"expected {expected}, got {got}{index}", times, formula]
        yield "forward computes other values", tuple(filter(None, hints))
    yield "forward computes the right values"
    if not all(np.array_equal(one, other) for one, other in zip(given, inputs, strict=True)):
        yield "forward changes X", ("compute a new array in place of X += ...",)
    yield "forward leaves X as it is"


def _gradients(layer: Layer, like: Layer, inputs: tuple[Array, ...]) -> Iterator[str | Wrong]:
    first = "dY" if is_loss(like) else "dX"
    names = [first, *(f"d{name}" for name, _ in layer.named_parameters())]
    Y = like.forward(*inputs)
    dX, holes, error = _run(layer, "backward", np.float64(1.0) if is_loss(like) else np.ones_like(Y))
    if dX is ...:
        holes.append(first)
    empty = [name for name in holes if name in names] or holes
    if empty:
        yield f"{', '.join(empty)}: nothing yet", (f"fill in {empty[0]} in backward", _formula(like, empty[0]))
    if error:
        yield f"backward raises {type(error).__name__}", (_first_line(error), _formula(like, *names))
    if dX is None:
        yield "backward returns nothing", (f"backward ends with return {first}", _formula(like, first))
    try:
        check_gradients(layer, inputs if len(inputs) > 1 else inputs[0])
    except GradientError as wrong:
        faults = {{"dX": first}.get(fault.array, fault.array): fault for fault in wrong.report.faults}
        right = {f"d{comparison.name}" for comparison in wrong.report.comparisons if comparison.right}
        yield from (name for name in names if name in right)
        array, fault = next(iter(faults.items()))
        place = f"look at backward, at {array}" if array else "look at backward"
        yield ", ".join(faults) or "backward", (place, fault.kind, f"{fault}\n{_formula(like, array)}")
    yield from names


def _float32(layer: Layer, like: Layer, inputs: tuple[Array, ...]) -> Iterator[str | Wrong]:
    """Whether arrays stay float32 where the parameters and the inputs are."""
    layer.astype(np.float32)
    Y = layer.forward(*(A.astype(np.float32) for A in inputs))
    returned = {} if is_loss(like) else {"forward": Y}
    returned["backward"] = layer.backward(np.float32(1.0) if is_loss(like) else np.ones(np.shape(Y), np.float32))
    for method, A in returned.items():
        if np.asarray(A).dtype != np.float32:
            hints = (
                f"look at {method}: which array in it is new, such as of np.zeros or of random numbers?",
                "float32 and float64 give float64; pass dtype=X.dtype where an array is made",
            )
            yield f"{method} returns {np.asarray(A).dtype} where X is float32", hints
    yield "float32 stays float32"


def _run(layer: Layer, method: str, *arguments: Any) -> tuple[Any, list[str], Exception | None]:
    """What the method returns, the attributes to which it assigns ``...``, and its error."""
    cls, holes = type(layer), []

    class Noting(cls):  # type: ignore[valid-type, misc]
        def __setattr__(self, name: str, value: Any) -> None:
            if value is ...:
                holes.append(name)
            else:
                super().__setattr__(name, value)

    Noting.__name__ = cls.__name__
    layer.__class__ = Noting
    try:
        return getattr(layer, method)(*arguments), holes, None
    except Exception as error:
        return None, holes, error
    finally:
        layer.__class__ = cls


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _in_columns(word: str, text: str) -> str:
    """The word, and lines of the text beside it."""
    lines = [line for part in text.splitlines() for line in textwrap.wrap(part, WIDTH - len(word))]
    return word + ("\n" + " " * len(word)).join(lines)


def _formula(like: Layer, *names: str) -> str:
    """The formulas of these arrays in the layer that it should be, in one line; all if it has no such."""
    if not like.formulas:
        return "write the formulas of each of its layers below each other, as nnlite.explain prints them"
    formulas = formulas_of(like, 2 if is_loss(like) else 1)
    lines = formulas.forward if names == ("Y",) else formulas.backward
    wanted = [line for line in lines if line.name in names] or lines
    return f"the formula{'s are' if len(wanted) > 1 else ' is'} " + ", ".join(map(str, wanted))
