"""Symbols as text and LaTeX: u1, W1, y^, and gradients such as dL/du1."""

import re
from dataclasses import dataclass

GREEK = frozenset(
    [
        *("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "kappa", "lambda", "mu", "nu", "xi"),
        *("pi", "rho", "sigma", "tau", "phi", "chi", "psi", "omega"),
        *("Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Phi", "Psi", "Omega"),
    ]
)


@dataclass(frozen=True)
class Symbol:
    """A name as text and as LaTeX.

    Attributes:
        scalar: whether it is a number, so that a product with it needs no sign.

    >>> Symbol("W1", "W_1").plain
    'W1'
    """

    plain: str
    latex: str
    scalar: bool = False


def symbol(name: str, *, scalar: bool = False) -> Symbol:
    r"""Return the symbol of a name: final digits are an index, ``^`` is a hat, names of Greek letters are letters.

    >>> symbol("W1").latex, symbol("y^").latex, symbol("theta").latex, symbol("left").latex
    ('W_1', '\\hat{y}', '\\theta', '\\mathrm{left}')
    """
    if re.fullmatch(r"[-+.\de]*\d[-+.\de]*", name):
        return Symbol(name, name, scalar=True)
    stem, index, hat = re.fullmatch(r"(.*?)(\d*)(\^?)", name, re.DOTALL).groups()  # type: ignore[union-attr]
    if stem in GREEK:
        latex = "\\" + stem
    elif len(stem) == 1:
        latex = stem
    else:
        latex = rf"\mathrm{{{stem.replace('_', chr(92) + '_')}}}"
    if hat:
        latex = rf"\hat{{{latex}}}"
    if index:
        latex += f"_{index}" if len(index) == 1 else f"_{{{index}}}"
    return Symbol(name, latex, scalar)


def gradient_of(loss: Symbol, value: Symbol) -> Symbol:
    r"""Return the symbol of the gradient of the loss with respect to a value.

    >>> gradient_of(symbol("L"), symbol("u1"))
    Symbol(plain='dL/du1', latex='\\frac{\\partial L}{\\partial u_1}', scalar=False)
    """
    return Symbol(f"d{loss.plain}/d{value.plain}", rf"\frac{{\partial {loss.latex}}}{{\partial {value.latex}}}")
