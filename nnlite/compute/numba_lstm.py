"""The loops of an LSTM with each step's gates in a function that Numba compiles: see lstm_loops.py, for float32.

A step is several loops, each over few arrays, which are in the cache by then: LLVM does not vectorize one loop over all
of them, since there would be too many that might overlap. That took 8 times as long.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from nnlite.basics.arrays import Array
from nnlite.compute import blas
from nnlite.compute.numba_function import compiled
from nnlite.compute.numba_math import exp, tanh

ONE = np.float32(1)


def forward(M: Array, Z: Array, S: Array, tanh_c: Array) -> None:
    """See lstm_loops.py."""
    T, H, N = tanh_c.shape
    step = _compiled(forward_step, 3, 4, 3, 3, 0)
    A = np.empty((4, H, N), S.dtype)
    for t, x_h_t in enumerate(Z[:T]):
        blas.matmul(M, x_h_t, A.reshape(4 * H, N))
        step(A, S, tanh_c, Z, t)


def forward_step(A, S, tanh_c, Z, t):  # type: ignore[no-untyped-def] # compiled by Numba
    """The gates and states of a step, given a_o, a_i, a_f and a_g in A."""
    o, i, f, g, c = S[t, 0].ravel(), S[t, 1].ravel(), S[t, 2].ravel(), S[t, 3].ravel(), S[t, 4].ravel()
    new, kept, c_t, tanh_c_t = S[t, 5].ravel(), S[t, 6].ravel(), S[t + 1, 4].ravel(), tanh_c[t].ravel()
    a, a_g, sigmas, H = A[:3].ravel(), A[3].ravel(), S[t, :3].ravel(), tanh_c.shape[1]
    h = Z[t + 1, -H - 1 : -1].ravel()
    for k in range(sigmas.size):
        sigmas[k] = ONE / (ONE + exp(a[k]))
    for k in range(g.size):
        g[k] = tanh(a_g[k])
    for k in range(g.size):
        new[k] = i[k] * g[k]
    for k in range(g.size):
        kept[k] = f[k] * c[k]
    for k in range(g.size):
        c_t[k] = new[k] + kept[k]
    for k in range(g.size):
        tanh_c_t[k] = tanh(c_t[k])
    for k in range(g.size):
        h[k] = o[k] * tanh_c_t[k]


def backward(
    steps: range, W: Array, Z: Array, S: Array, tanh_c: Array, dH: Array, dC: list[Array], dX_h: Array, f_dc: Array,
    q: Array,
) -> Array:  # fmt: skip
    """See lstm_loops.py."""
    H, N = f_dc.shape
    step = _compiled(backward_step, 4, 3, 3, 3, 3, 2, 4, 0, 0)
    for n in reversed(range(len(steps))):
        t = steps[n]
        if dC:
            f_dc += dC[0][n]
        step(S, tanh_c, Z, dH, dX_h, f_dc, q, n, t)
        blas.matmul(W, q[n, 1:].reshape(4 * H, N), dX_h[t])
    return q[:, 1:]


def backward_step(S, tanh_c, Z, dH, dX_h, f_dc, q, n, t):  # type: ignore[no-untyped-def] # compiled by Numba
    """The gradients of a_o, a_i, a_f and a_g of step t, which is the n-th of its block."""
    o, i, f, g, new, kept = (
        S[t, 0].ravel(), S[t, 1].ravel(), S[t, 2].ravel(), S[t, 3].ravel(), S[t, 5].ravel(), S[t, 6].ravel()
    )  # fmt: skip
    dc, do, di, df, dg = q[n, 0].ravel(), q[n, 1].ravel(), q[n, 2].ravel(), q[n, 3].ravel(), q[n, 4].ravel()
    tanh_c_t, dh, of_c, H = tanh_c[t].ravel(), dH[n].ravel(), f_dc.ravel(), tanh_c.shape[1]
    h, from_later = Z[t + 1, -H - 1 : -1].ravel(), dX_h[t + 1, -H:].ravel()
    for k in range(g.size):
        dh[k] = dh[k] + from_later[k]
    for k in range(g.size):
        dc[k] = (o[k] - h[k] * tanh_c_t[k]) * dh[k]
    for k in range(g.size):
        dc[k] = dc[k] + of_c[k]
    for k in range(g.size):
        do[k] = (o[k] - ONE) * h[k] * dh[k]
    for k in range(g.size):
        di[k] = (i[k] - ONE) * new[k] * dc[k]
    for k in range(g.size):
        df[k] = (f[k] - ONE) * kept[k] * dc[k]
    for k in range(g.size):
        dg[k] = (i[k] - new[k] * g[k]) * dc[k]
    for k in range(g.size):
        of_c[k] = f[k] * dc[k]


@functools.cache
def _compiled(step: Callable[..., Any], *dimensions: int) -> Callable[..., Any]:
    """The step compiled for C-contiguous arrays of these numbers of dimensions, 0 for a whole number."""
    types = [numba.types.Array(numba.float32, each, "C") if each else numba.intp for each in dimensions]
    head = "import numpy as np\n\nfrom nnlite.compute.numba_math import exp, tanh\n\nONE = np.float32(1)\n\n\n"
    source = head + inspect.getsource(step).replace(f"def {step.__name__}(", "def loop(", 1)
    return compiled(f"lstm_{step.__name__}", source, numba.void(*types))
