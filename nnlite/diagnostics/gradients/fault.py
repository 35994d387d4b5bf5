"""Fault: what is wrong with a backward, as a value with fields, and the one place that makes sentences of it."""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

# What a fault of each kind is, with the keys of its detail, and its cure.
KINDS: dict[str, tuple[str, str]] = {
    # seen without central differences
    "wrong number of gradients": (
        "backward returned the wrong number of gradients: expected {expected}, got {got}",
        "return {inputs}, or name the arguments of forward that have no gradient in without_gradient",
    ),
    "missing gradient": (
        "backward returned None for it",
        "if it has no gradient, name its argument of forward in without_gradient",
    ),
    "wrong shape": ("expected shape {expected}, got {got}", ""),
    "sum over the batch missing": (
        "expected shape {expected}, got {got}",
        "sum it over the axes along which forward broadcasts",
    ),
    "modified in place": ("backward modifies {modified} in place", "compute a new array instead"),
    "updated parameter": ("backward modifies {modified}", "leave the update to the optimizer"),
    "modified cache": (
        "backward modifies an array that forward cached: a second backward returns other gradients than the first",
        "compute a new array instead",
    ),
    "random backward": ("backward draws random numbers", "use those that forward drew"),
    "layer run twice": (
        "{part} is run {times} times in one forward, and a layer caches its last run only",
        "use nnlite.tied(layer) for each further one",
    ),
    "float32": ("rounding error, not a wrong formula: {method} computes in float32", "keep the dtype of {of}"),
    # stored
    "not stored": ("backward does not store it in {entries} of {size} entries", "assign it in backward"),
    "accumulated": ("backward adds to the stored gradient; what it adds is {added}", "overwrite it"),
    "not finite": ("not finite in {entries} of {size} entries", ""),
    "zero": ("zero everywhere", ""),
    # a multiple of the true gradient
    "wrong sign": ("wrong sign", ""),
    "wrong factor": ("{multiple} the true gradient{sizes}", ""),
    # the right numbers in wrong places
    "order of gradients": ("it is the gradient of {other}", ""),
    "transposed": ("transposed", ""),
    "order of entries": ("the right numbers in another order: {order}", ""),
    # the derivative
    "missing derivative": ("it is {term}, the derivative of forward is missing", ""),
    "missing dY": ("it is the gradient for {dY} = 1, the factor {dY} is missing", ""),
    "derivative applied twice": ("the derivative of Y with respect to X is applied twice", ""),
    "divided by the derivative": ("dY is divided by the derivative of Y with respect to X", "multiply by it"),
    "wrong point": ("the derivative is evaluated at {used} instead of {right}", ""),
    "another derivative": ("it is {term}{derivative}", ""),
    "only the diagonal": (
        "it uses only the diagonal of the Jacobian",
        "each entry of X affects other entries of Y as well",
    ),
    "another matrix": ("it is {term}", "multiply by the matrix of forward"),
    "missing transpose": ("it is {used} instead of {right}", ""),
    # terms of sums
    "missing term": ("the term {term} is missing", ""),
    "extra term": ("the term {term} is added in error", ""),
    "part of dY": ("{part} of dY is {use}", ""),
    "wrong axis": ("dY is {how} over {axis} instead of the axes along which forward broadcasts", ""),
    "another dY": ("it is the gradient for another dY: {change}", ""),
    # what no simple mistake explains
    "not linear in dY": ("not linear in dY: for 2 dY it is not twice as large", ""),
    "wrong entries": ("differs in {entries} of {size} entries: {where}", ""),
}


@dataclass(frozen=True)
class Fault:
    """A mistake in the backward of a layer.

    Attributes:
        layer: the place of the layer in the model: ``Sequential[2] Linear(16 -> 8)``.
        array: the gradient that is wrong, such as "dW"; "" where it is none.
        kind: one of the kinds that :func:`nnlite.check_gradients` lists.
        detail: what belongs to the kind, by name, such as the "factor".

    >>> fault = Fault("Own()", "dW", "wrong factor", {"factor": 0.2, "sizes": {"the batch size": 5}})
    >>> print(fault)
    dW: 1/5 of the true gradient (5 is the batch size)
    """

    layer: str
    array: str
    kind: str
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def what(self) -> str:
        """What is wrong, without the array and the cure."""
        known = {"multiple": "", "sizes": "", "derivative": ""} | self.detail
        if self.detail.get("function"):
            known["derivative"] = f", the derivative of {self.detail['function']}"
        if "factor" in self.detail:
            known |= {"multiple": multiple(self.detail["factor"]), "sizes": _reasons(self.detail["sizes"])}
        text = KINDS[self.kind][0].format(**known)
        if "got" in self.detail and self.kind == "transposed":
            text = f"expected shape {self.detail['expected']}, got {self.detail['got']}; it looks transposed"
        if "factor" not in self.detail or self.kind == "wrong factor":
            return text
        sign = abs(self.detail["factor"] + 1) < 1e-6
        return f"{text}, and {'wrong sign' if sign else known['multiple'] + ' that' + known['sizes']}"

    @property
    def cure(self) -> str:
        """What to do about it; "" where that is what is wrong, the other way round."""
        return KINDS[self.kind][1].format(**self.detail)

    def __str__(self) -> str:
        return (f"{self.array}: " if self.array else "") + "; ".join(filter(None, (self.what, self.cure)))


def multiple(factor: float) -> str:
    """Return ``4 times`` or ``1/4 of``, or a decimal if the factor is not a simple fraction.

    >>> multiple(4.0), multiple(0.25), multiple(-1.5), multiple(0.1234567)
    ('4 times', '1/4 of', '-3/2 times', '0.1234567 times')
    """
    for simple in Fraction(round(factor)), Fraction(1, round(1 / factor) or 1), Fraction(factor).limit_denominator(20):
        if close(factor, float(simple)):
            return f"{simple} of" if abs(simple) < 1 else f"{simple} times"
    return f"{factor:.7g} times"


def close(one: float, other: float) -> bool:
    """Return whether two factors are equal up to rounding.

    >>> close(1.0, 1.0000001), close(1.0, 1.00001)
    (True, False)
    """
    return abs(one - other) <= 1e-6 * abs(other)


def _reasons(sizes: dict[str, int]) -> str:
    return f" ({', and '.join(f'{size} is {what}' for what, size in sizes.items())})" if sizes else ""
