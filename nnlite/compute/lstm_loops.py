"""The loops of an LSTM over its steps, forward and backward: as few calls of ufuncs, and passes over memory, as can be.

At few units and samples a call of a ufunc takes as long as its work, so what is alike is one call; at many, the passes
over memory count. For each step S has below each other, (H, N) each, o, i, f, g, c_{t-1}, i g and f c_{t-1}:

- A product writes a_o, a_i, a_f, a_g into an array that stays in the cache. The columns of M for o, i and f have the
  other sign, since a sigmoid is ``1 / (1 + exp(-a))``; one call each of exp, add and divide makes the three sigmoids.
- i and f lie beside each other, and so do g and c_{t-1}: ``i g`` and ``f c_{t-1}`` are one product.
- Backward, ``(o - 1) h`` is ``-o (1 - o) tanh(c)``, and so on: each derivative is two passes over what forward has
  stored. The layer turns the sign of those of -o, -i and -f back in the gradients of the parameters.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import DTypeLike

from nnlite.basics.arrays import Array
from nnlite.compute import blas
from nnlite.compute.kernel import Kernel, numpy_function

PLANES = 7  # of S


def loops(dtype: DTypeLike) -> tuple[Callable[..., None], Callable[..., Array]]:
    """``forward`` and ``backward``, after ``nn.set_kernels("numba")`` with steps that Numba compiles.

    Those raise no floating-point errors: NumPy computes where ``np.errstate`` asks for errors.
    """
    if Kernel.make is numpy_function or dtype != np.float32:
        return forward, backward
    from nnlite.compute import numba_function, numba_lstm

    if numba_function.errors_are_raised():
        return forward, backward
    return numba_lstm.forward, numba_lstm.backward


def forward(M: Array, Z: Array, S: Array, tanh_c: Array) -> None:
    """Run all steps: ``c_t = f c_{t-1} + i g`` and ``h_t = o tanh(c_t)``.

    Args:
        M: (4 H, K), with the rows of -o, -i, -f and g.
        Z: (T + 1, K, N), with x_t, h_{t-1} and 1; h_t is written into the next step's.
        S: (T + 1, 7, H, N), with c_0 in the first step; the others are written, and c_t into the next step's.
        tanh_c: (T, H, N), written.
    """
    _, H, N = tanh_c.shape
    one, A = np.ones((), S.dtype), np.empty((4 * H, N), S.dtype)
    a, a_g = A[: 3 * H].reshape(3, H, N), A[3 * H :]
    o_g_new_kept = S[:, 0], S[:, 3], S[:, 5], S[:, 6]
    several = S[:, :3], S[:, 1:3], S[:, 3:5], S[:, 5:]
    for x_h_t, o, g, new, kept, sigmas, i_f, g_c, products, c_t, tanh_c_t, h_t in zip(
        Z, *o_g_new_kept, *several, S[1:, 4], tanh_c, Z[1:, -H - 1 : -1], strict=False
    ):
        blas.matmul(M, x_h_t, A)
        np.exp(a, a)
        np.add(a, one, a)
        np.divide(one, a, sigmas)
        np.tanh(a_g, g)
        np.multiply(i_f, g_c, products)
        np.add(new, kept, c_t)
        np.tanh(c_t, tanh_c_t)
        np.multiply(o, tanh_c_t, h_t)


def backward(
    steps: range,
    W: Array,
    Z: Array,
    S: Array,
    tanh_c: Array,
    dH: Array,
    dC: list[Array],
    dX_h: Array,
    f_dc: Array,
    q: Array,
) -> Array:
    """Run a block of steps backward; return the gradients of -a_o, -a_i, -a_f and a_g, (steps, 4, H, N), parts of q.

    Args:
        steps: the numbers of the steps.
        W: (rows, 4 H), with the columns of -o, -i, -f and g; the last H rows are those of h.
        Z: (T + 1, K, N), of forward.
        S: (T + 1, 7, H, N), of forward.
        tanh_c: (T, H, N), of forward.
        dH: (steps, H, N): what comes to h_t from outside.
        dC: likewise to c_t, or empty.
        dX_h: (T + 1, rows, N): the gradients of x_t and h_{t-1} are written.
        f_dc: (H, N): what comes to c_t of the last step from the one after it; that of c_{t-1} of the first is written.
        q: (steps, 5, H, N), room for what is computed.
    """
    block, (H, N) = slice(steps.start, steps.stop), f_dc.shape
    S, one, h = S[block], np.ones((), S.dtype), Z[steps.start + 1 : steps.stop + 1, -H - 1 : -1]
    o, i, f, g, new = S[:, 0], S[:, 1], S[:, 2], S[:, 3], S[:, 5]
    # What dh (of c and o) and dc (of i, f and g) are multiplied by, for all steps of the block.
    np.subtract(S[:, :3], one, q[:, 1:4])
    q[:, 1] *= h
    q[:, 2:4] *= S[:, 5:]
    np.multiply(h, tanh_c[block], q[:, 0])
    np.subtract(o, q[:, 0], q[:, 0])
    np.multiply(new, g, q[:, 4])
    np.subtract(i, q[:, 4], q[:, 4])
    each = (dH, dX_h[steps.start + 1 : steps.stop + 1, -H:], q[:, :2], q[:, 0], q[:, 2:], f, q[:, 1:], dX_h[block], *dC)
    for dh, from_later, of_h, dc, of_c, f_t, dA, dx_h, *dc_from_outside in zip(*(A[::-1] for A in each), strict=True):
        np.add(dh, from_later, dh)
        np.multiply(of_h, dh, of_h)
        np.add(dc, f_dc, dc)
        if dC:
            np.add(dc, dc_from_outside[0], dc)
        np.multiply(of_c, dc, of_c)
        np.multiply(f_t, dc, f_dc)
        blas.matmul(W, dA.reshape(4 * H, N), dx_h)
    return q[:, 1:]
