"""D1: the chain rule, computational graphs and gradient descent.

Run it with:  python examples/d1_graphs.py
"""

import numpy as np

import nnlite as nn


def show(name, graph, *inputs):
    """Print the value of the graph and its gradient with respect to each input and parameter."""
    J = graph.forward(*inputs)
    print(f"{name} = {J:g}")
    gradients = dict(zip(graph.input_names, graph.backward(), strict=True)) | dict(graph.named_gradients())
    for path, gradient in gradients.items():
        print(f"    d/d{path}: {gradient}")


print("The chain rule: g(x) = 1 + 4 x, f(y) = y^2, so d f(g(x)) / dx = 2 (1 + 4 x) * 4 = 8 + 32 x:")
x = nn.Input("x")
f = nn.Graph(x, nn.Square()(1 + 4 * x))
for point in 0.0, 1.0, 2.0:
    print(f"    x = {point:g}: f(g(x)) = {f.forward(point):g}, derivative {f.backward():g}, by hand {8 + 32 * point:g}")

print("\nThe same with vectors: g(x) = W x, f(y) = [4 3] y, with the gradient W^T [4 3]^T:")
W, x = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), nn.Input("x")
f = nn.Graph(x, nn.Dot()(np.array([4.0, 3.0]), nn.MatMul()(W, x)))
f.forward(np.ones(3))
print(f"    {f.backward()}, by hand {4 * W[0] + 3 * W[1]}")

print("\nThe gradient of a product is the other factor; a sum passes the gradient on unchanged:")
a, b, c = nn.Input("a"), nn.Input("b"), nn.Input("c")
show("J = (a + 2 b) c", nn.Graph([a, b, c], (a + 2 * b) * c), 3.0, 1.0, -2.0)

print("\nb is used twice, so its gradient is the sum of two gradients:")
a, b = nn.Input("a"), nn.Input("b")
graph = nn.Graph([a, b], (a + b) * (b + 1))
show("J = (a + b) (b + 1)", graph, 2.0, 1.0)
print("\nThe backward pass, one operation at a time; each multiplies the incoming gradient by its own derivatives:\n")
for step in nn.backward_steps(graph, 1.0):
    print(step)

print("\nA parameter is a leaf of the graph; a step of gradient descent is phi <- phi - 0.01 dL/dphi:")
x, y = nn.Input("x"), nn.Input("y")
phi = nn.Parameter([1.0, 2.0], name="phi", dtype=np.float64)
loss = nn.Graph([x, y], nn.Square()(nn.Dot()(phi, x) - y))
show("L = (phi^T x - y)^2", loss, [3.0, 4.0], 1.0)
nn.SGD(loss, lr=0.01).step()
print(f"    after one step phi = {phi.value}, and L = {loss.forward([3.0, 4.0], 1.0):g}")
