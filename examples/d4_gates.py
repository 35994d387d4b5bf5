"""D4: gates, a logistic function made of five of them, numerical gradients and gradient descent.

Run it with:  python examples/d4_gates.py
"""

import numpy as np

import nnlite as nn

print("The backward of six gates:\n")
x, y, X, Y = np.array([1.0, 2.0]), np.array([3.0, 1.0]), np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]])
for gate, inputs, dZ in [
    (nn.Add(), (x, y), np.array([10.0, 20.0])),
    (nn.Maximum(), (x, y), np.array([10.0, 20.0])),
    (nn.Multiply(), (x, y), np.array([10.0, 20.0])),
    (nn.Dot(), (x, y), np.array(10.0)),
    (nn.Outer(), (x, y), np.ones((2, 2))),
    (nn.MatMul(), (X, Y), np.array([[10.0]])),
]:
    Z = gate.forward(*inputs)
    dX, dY = (str(gradient.tolist()) for gradient in gate.backward(dZ))
    print(f"  {gate!r:<12} Z = {np.asarray(Z).tolist()!s:<26} dX = {dX:<16} dY = {dY}")

print("\ny = 1 / (1 + e^(-theta x)) as a graph of five nodes, forward and backward:\n")
x, theta = nn.Input("x"), nn.Parameter(2.0, name="theta", dtype=np.float64)
graph = nn.Graph(x, nn.Reciprocal()(1 + nn.Exp()(-(theta * x))))
y = graph.forward(0.5)
print(nn.explain(graph, np.array(0.5), values=True))

h = 1e-5
by_x = (graph.forward(0.5 + h) - graph.forward(0.5 - h)) / (2 * h)
print(f"\nThe central difference is dy/dx = {by_x:.6f}; it takes two evaluations for each input and parameter.")

print("\nGradient descent on the parameter and the input; y decreases:\n")
point = 0.5
for _ in range(4):
    y, dx = graph.forward(point), graph.backward()
    print(
        f"  theta = {theta.value:.4f}, x = {point:.4f}: y = {y:.4f}, dy/dtheta = {theta.dvalue:.4f}, dy/dx = {dx:.4f}"
    )
    theta.value -= 0.5 * theta.dvalue
    point -= 0.5 * dx
