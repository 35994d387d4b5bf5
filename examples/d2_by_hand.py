"""D2: every gradient of a network by hand in plain NumPy, compared with the gradients of the layers.

Run it with:  python examples/d2_by_hand.py
"""

import numpy as np

import nnlite as nn

rng = np.random.default_rng(0)
N, d0, d1, d2 = 50, 30, 16, 8
X, y = rng.normal(size=(N, d0)), rng.integers(0, 2, size=(N, 1))

# The network as layers, and below as formulas on the same weights; y_hat is the prediction.
linear1, linear2, linear3 = (nn.Linear(D, M, dtype=np.float64, rng=rng) for D, M in [(d0, d1), (d1, d2), (d2, 1)])
model = nn.Sequential(linear1, nn.Tanh(), linear2, nn.Sigmoid(), linear3, nn.Sigmoid())
model.Phi += 0.1 * rng.normal(size=model.Phi.size)  # so that no bias is 0
W1, b1, W2, b2, U, c = (P for name, P in model.named_parameters())

u1 = X @ W1 + b1
h1 = np.tanh(u1)
u2 = h1 @ W2 + b2
h2 = 1 / (1 + np.exp(-u2))
u3 = h2 @ U + c
y_hat = 1 / (1 + np.exp(-u3))
L = -np.mean(y * np.log(y_hat) + (1 - y) * np.log(1 - y_hat))

# Each layer stores dW and db and returns dX, which is the dY of the previous layer.
loss = nn.BCELoss()
J, gradients = loss.forward(model.forward(X), y), [loss.backward()]
for layer in reversed(model):
    gradients.append(layer.backward(gradients[-1]))


def compare(formula, by_hand, by_layer):
    print(f"{formula:<45}  {np.max(np.abs(by_hand - by_layer)):.1e}")
    return by_hand


print(nn.explain(model, loss=loss, names={"4.W": "U", "4.b": "c"}))  # from the `formulas` of the layers

print("\nThe same by hand, and the largest difference from the layers:\n")
compare("L = -1/N sum(y log y^ + (1-y) log(1-y^))", L, J)
compare("dL/dy^ = 1/N ((1-y)/(1-y^) - y/y^)", ((1 - y) / (1 - y_hat) - y / y_hat) / N, gradients[0])
du3 = compare("dL/du3 = 1/N (y^ - y)", (y_hat - y) / N, gradients[1])
compare("dL/dU = h2^T dL/du3", h2.T @ du3, linear3.dW)
compare("dL/dc = sum(dL/du3)", du3.sum(axis=0), linear3.db)
dh2 = compare("dL/dh2 = dL/du3 U^T", du3 @ U.T, gradients[2])
du2 = compare("dL/du2 = dL/dh2 * h2 * (1 - h2)", dh2 * h2 * (1 - h2), gradients[3])
compare("dL/dW2 = h1^T dL/du2", h1.T @ du2, linear2.dW)
compare("dL/db2 = sum(dL/du2)", du2.sum(axis=0), linear2.db)
dh1 = compare("dL/dh1 = dL/du2 W2^T", du2 @ W2.T, gradients[4])
du1 = compare("dL/du1 = dL/dh1 * (1 - h1 * h1)", dh1 * (1 - h1 * h1), gradients[5])
compare("dL/dW1 = X^T dL/du1", X.T @ du1, linear1.dW)
compare("dL/db1 = sum(dL/du1)", du1.sum(axis=0), linear1.db)

print("\nThe cross-entropy of one prediction:")
for target, prediction in [(1, 0.89), (1, 0.32), (0, 0.89), (0, 0.32)]:
    print(f"target {target}, prediction {prediction}:  {loss.forward([[prediction]], [[target]]):.3f}")
