"""D0: the gradients of a linear layer, entry by entry, and why its Jacobian is never formed.

Run it with:  python examples/d0_linear.py
"""

import numpy as np

import nnlite as nn

N, D, M = 1, 2, 3
layer = nn.Linear(D, M, dtype=np.float64)
layer.W = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
X, dY = np.array([[0.5, -1.0]]), np.array([[10.0, 20.0, 30.0]])

print(f"Y = X W + b, with N = {N} sample of D = {D} features and M = {M} outputs, and dY = dL/dY = {dY[0]}:\n")
Y = layer.forward(X)
dX = layer.backward(dY)
for i in range(D):
    terms = " + ".join(f"{dY[0, j]:g} * {layer.W[i, j]:g}" for j in range(M))
    print(f"  dx_1{i + 1} = dy_11 w_{i + 1}1 + dy_12 w_{i + 1}2 + dy_13 w_{i + 1}3 = {terms} = {dX[0, i]:g}")
print("\n  dw_ij = x_i dy_j, so dW is the outer product of x and dy:")
for i in range(D):
    print("   ", *(f"{X[0, i]:g} * {dY[0, j]:g} = {layer.dW[i, j]:<6g}" for j in range(M)))
print(f"\n  db_j = dy_j: {layer.db}")

print("\nThe same from the `formulas` of the layer, and one entry of dW in numbers:\n")
print(nn.explain(layer, X, dY=dY, parameter="W", index=(1, 2)))

# The generalized Jacobian has an entry for each pair of an entry of Y and an entry of X. Contracted with dY it is dX.
layer, X, dY = nn.Linear(3, 2, rng=0), np.ones((4, 3)), np.ones((4, 2))
J = nn.jacobian(layer, X)
layer.forward(X)
print(f"\nFor N, D, M = 4, 3, 2 the Jacobian has the shape {J.shape}, and {np.mean(J == 0):.0%} of its entries are 0.")
print("Contracted with dY it is dX:", np.allclose(np.tensordot(dY, J, axes=2), layer.backward(dY)))

N, D, M = 64, 4096, 4096
entries = (N * M) * (N * D)
print(
    f"\nFor N, D, M = {N}, {D:,}, {M:,} it would have {entries:,} entries: {entries * 4 / 2**30:,.0f} GiB in float32."
)
print(f"backward computes dY W^T instead, without the Jacobian: dX takes {N * D * 4 / 2**20:,.0f} MiB.")
