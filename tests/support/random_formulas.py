"""Random formulas of ufuncs for hypothesis, and arrays for them with NaN, infinities and zeros."""

import numpy as np
from hypothesis import strategies as st

from nnlite.compute.tracing import Columns, Rows

# Functions of whole arrays; the last operand of BROADCAST may be a number or one for each row or column. The sign of
# zero changes no other value: that of maximum(0.0, -0.0) differs between NumPy's own loops.
BROADCAST = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "subtracted": lambda a, b: b - a,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / (np.abs(b) + 1),
    "maximum": lambda a, b: np.maximum(a, b),
    "minimum": lambda a, b: np.minimum(b, a),
    "choose by": lambda a, b: np.where(a >= b, a, b * 2),
    "clip by": lambda a, b: np.clip(a, -0.5, b),
}
WHOLE = {
    "negative": lambda a: -a,
    "square": lambda a: a**2,
    "sqrt": lambda a: np.sqrt(np.abs(a)),
    "sign": lambda a: np.sign(a),
    "with numbers": lambda a: 0.5 - 3 * a,
    "clip": lambda a: np.clip(a, 0.0, 2.0),
    "keep": lambda a, b: np.where(a > 0, b, 0.0),
    "drop": lambda a, b: np.where(a > 0, 0.0, b),
    "choose": lambda a, b, c: np.where((a > -1) & (b <= c), b, a),
    "choose number": lambda a: np.where((a > 1) | (a != a), -0.5, a),
}
REDUCING = {
    "max": lambda a: a - np.max(a, axis=-1, keepdims=True),
    "sum": lambda a: a / (1 + np.abs(np.sum(a, axis=-1, keepdims=True))),
    "mean": lambda a: a - 2 * np.mean(a, axis=-1, keepdims=True),
    "dot": lambda a, b: b * np.sum(a * b, axis=-1, keepdims=True),
}


@st.composite
def formulas(draw, by_rows=False):
    """A formula of arrays A, B and C, a number k, and if by rows s and c; and how many arrays it returns."""
    functions = BROADCAST | WHOLE | (REDUCING if by_rows else {})
    whole, others = [0, 1, 2], [3, 4, 5] if by_rows else [3]
    count = draw(st.integers(1, 3))
    steps = []
    for _ in range(draw(st.integers(count, 8))):
        name = draw(st.sampled_from(sorted(functions)))
        operands = [draw(st.sampled_from(whole)) for _ in range(functions[name].__code__.co_argcount)]
        if name in BROADCAST:
            operands[-1] = draw(st.sampled_from(whole + others))
        steps.append((name, operands))
        whole = [*whole, 2 + len(others) + len(steps)]
    summed = draw(st.lists(st.sampled_from(whole), max_size=2, unique=True)) if by_rows else []

    def compute(*given):
        known = list(given)
        for name, operands in steps:
            known.append(functions[name](*[known[each] for each in operands]))
        results = tuple(each + (3 + number) for number, each in enumerate(known[-count:]))  # all different
        results += tuple(np.sum(known[each], axis=0) for each in summed)
        return results if len(results) > 1 else results[0]

    def flat(A, B, C, k: float):
        return compute(A, B, C, k)

    def rows(A, B, C, k: float, s: Rows, c: Columns):
        return compute(A, B, C, k, s, c)

    return (rows if by_rows else flat), count


def plainly(formula, arguments):
    """What the formula gives with NumPy, as a tuple."""
    with np.errstate(all="ignore"):
        results = formula(*arguments)
    return results if isinstance(results, tuple) else (results,)


def arrays(shape, dtype, count, seed=0):
    """Random arrays of a shape, with special numbers among the others."""
    rng = np.random.default_rng(seed)
    special = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 1e-30]
    made = rng.normal(scale=2.0, size=(count, *shape))
    made = np.where(rng.random(made.shape) < 0.2, rng.choice(special, made.shape), made)
    return [np.array(each, dtype) for each in made]


LAYOUTS = {
    "contiguous": lambda A: A,
    "Fortran": np.asfortranarray,
    "strided": lambda A: np.repeat(A, 2, axis=-1)[..., ::2],
    "backwards": lambda A: A[..., ::-1].copy()[..., ::-1],
    "read-only": lambda A: np.lib.stride_tricks.as_strided(A, writeable=False),
}
