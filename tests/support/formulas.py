"""The mathematics that tests cite, with worked numbers.

Notation: X has N rows, a sample in each; `*` is elementwise, juxtaposition the matrix product, ^T the transpose; L or J
is the scalar cost. dY is short for dL/dY, which backward of a layer is given, dX for dL/dX, which it returns.
"""

import math
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

# ------------------------------------------------------------------------------------------ the linear layer
#
# Y = X W + b with X (N, D), W (D, M), b (M,), that is y_nm = sum_d x_nd w_dm + b_m. By the chain rule
#
#     dx_nd = sum_m dy_nm w_dm       dX = dY W^T
#     dw_dm = sum_n x_nd dy_nm       dW = X^T dY
#     db_m  = sum_n dy_nm            db = the sum over the rows of dY
#
# For N = 1, D = 2, M = 3: dx_11 = dy_11 w_11 + dy_12 w_12 + dy_13 w_13, and dw_ij = x_i dy_j.


def linear_jacobian(W: Array, N: int) -> Array:
    """dY/dX of shape (N, M, N, D): dy_nm/dx_kd is w_dm where n = k, and 0 elsewhere.

    Contracted with dY over (n, m) it is dX. It is never formed: for N = 64 and D = M = 4096 it has
    (64 * 4096)^2 = 68,719,476,736 entries, 256 GiB in float32, all but one in 64 of them 0.
    """
    D, M = W.shape
    J = np.zeros((N, M, N, D))
    for n in range(N):
        J[n, :, n, :] = W.T
    return J


# ------------------------------------------------------------------------------------------ computational graphs
#
# A value that is used twice adds the gradients of both uses. J = (a + b)(b + 1): dJ/da = b + 1 and
# dJ/db = (b + 1) + (a + b); at a = 2, b = 1 that is J = 6, 2 and 5.
#
# J = (a + 2 b) c: dJ/da = c, dJ/db = 2 c, dJ/dc = a + 2 b; at a = 3, b = 1, c = -2 that is J = -10, -2, -4 and 5.
#
# L = g^2 with g = phi^T x - y: dL/dphi = 2 g x, dL/dx = 2 g phi, dL/dy = -2 g; at phi = (1, 2), x = (3, 4), y = 1 that
# is g = 10, L = 100, (60, 80), (20, 40) and -20.


def logistic_nodes(theta: float, x: float) -> dict[str, float]:
    """y = 1 / (1 + exp(-theta x)) in five operations, and the gradient of y for each value on the way back.

    The derivative of 1 / f4 is -1 / f4^2, of exp(f2) it is f3, of -f1 it is -1, and a product swaps its inputs. At
    theta = 2, x = 0.5: f1 = 1, f2 = -1, f3 = 0.367879, f4 = 1.367879, y = 0.731059; dy/df4 = dy/df3 = -0.534447,
    dy/df2 = -0.196612, dy/df1 = 0.196612, dy/dtheta = 0.098306, dy/dx = 0.393224.
    """
    f1 = theta * x
    f2 = -f1
    f3 = math.exp(f2)
    f4 = 1 + f3
    y = 1 / f4
    df4 = -1 / f4**2
    df3 = df4
    df2 = df3 * f3
    df1 = -df2
    return {
        "f1": f1, "f2": f2, "f3": f3, "f4": f4, "y": y,
        "df4": df4, "df3": df3, "df2": df2, "df1": df1, "dtheta": df1 * x, "dx": df1 * theta,
    }  # fmt: skip


# ------------------------------------------------------------------------------------------ a network by hand


def three_layers(
    X: Array, y: Array, W1: Array, b1: Array, W2: Array, b2: Array, U: Array, c: Array
) -> dict[str, Array]:
    """The loss L of a network with tanh, sigmoid and sigmoid output y^, under binary cross-entropy, and all gradients.

    The derivative of -1/N sum_i (y_i log y^_i + (1 - y_i) log(1 - y^_i)) by y^_i is
    1/N ((1 - y_i)/(1 - y^_i) - y_i/y^_i). Times the derivative of the sigmoid, y^ (1 - y^), that is 1/N (y^ - y). The
    other lines are those of the linear layer above and the derivatives of sigmoid, h (1 - h), and tanh, 1 - h^2.
    """
    N = len(X)
    u1 = X @ W1 + b1
    h1 = np.tanh(u1)
    u2 = h1 @ W2 + b2
    h2 = 1 / (1 + np.exp(-u2))
    u3 = h2 @ U + c
    y_hat = 1 / (1 + np.exp(-u3))
    L = -1 / N * np.sum(y * np.log(y_hat) + (1 - y) * np.log(1 - y_hat))

    dy_hat = 1 / N * ((1 - y) / (1 - y_hat) - y / y_hat)
    du3 = 1 / N * (y_hat - y)
    dU, dc, dh2 = h2.T @ du3, du3.sum(axis=0), du3 @ U.T
    du2 = dh2 * h2 * (1 - h2)
    dW2, db2, dh1 = h1.T @ du2, du2.sum(axis=0), du2 @ W2.T
    du1 = dh1 * (1 - h1 * h1)
    dW1, db1, dX = X.T @ du1, du1.sum(axis=0), du1 @ W1.T
    return {
        "L": L, "dy^": dy_hat, "du3": du3, "dU": dU, "dc": dc, "dh2": dh2, "du2": du2, "dW2": dW2, "db2": db2,
        "dh1": dh1, "du1": du1, "dW1": dW1, "db1": db1, "dX": dX,
    }  # fmt: skip


# (target, prediction, cross-entropy): -log of the probability that was given to the class that came:
# -log 0.89, -log 0.32, -log 0.11 and -log 0.68.
CROSS_ENTROPIES = [(1, 0.89, 0.117), (1, 0.32, 1.139), (0, 0.89, 2.207), (0, 0.32, 0.386)]
