"""Computational graphs: values used twice, gates, and the gradient of every node.

Run it with:  python examples/graphs.py
"""

import numpy as np

import nnlite as nn


def show(name, graph, *inputs):
    """Print what the graph computes, and its gradients by each input and each parameter."""
    J = graph.forward(*inputs)
    print(f"{name} = {J:g}")
    gradients = dict(zip(graph.input_names, graph.backward(), strict=True)) | dict(graph.named_gradients())
    for path, gradient in gradients.items():
        print(f"    by {path}: {gradient}")


print("A product swaps its inputs, a sum hands the gradient on:")
a, b, c = nn.Input("a"), nn.Input("b"), nn.Input("c")
show("J = (a + 2 b) c", nn.Graph([a, b, c], (a + 2 * b) * c), 3.0, 1.0, -2.0)

print("\nb is used twice, and gradients add at a fork:")
a, b = nn.Input("a"), nn.Input("b")
show("J = (a + b) (b + 1)", nn.Graph([a, b], (a + b) * (b + 1)), 2.0, 1.0)

print("\nA parameter is a leaf of the graph, and can learn:")
x, y = nn.Input("x"), nn.Input("y")
phi = nn.Parameter([1.0, 2.0], name="phi", dtype=np.float64)
loss = nn.Graph([x, y], nn.Square()(nn.Dot()(phi, x) - y))
show("L = (phi^T x - y)^2", loss, [3.0, 4.0], 1.0)
nn.SGD(loss, lr=0.01).step()
print(f"    phi <- phi - 0.01 dL/dphi = {phi.value}, and L = {loss.forward([3.0, 4.0], 1.0):g}")

print("\nThe logistic function 1 / (1 + e^(-theta x)) as five nodes:")
x, theta = nn.Input("x"), nn.Parameter(2.0, name="theta", dtype=np.float64)
f1 = theta * x
f2 = -f1
f3 = nn.Exp()(f2)
f4 = 1 + f3
y = nn.Reciprocal()(f4)
nodes = {"f1 = theta x": f1, "f2 = -f1": f2, "f3 = e^f2": f3, "f4 = 1 + f3": f4, "y = 1 / f4": y}
values = nn.Graph(x, list(nodes.values())).forward(0.5)
for name, value in zip(nodes, values, strict=True):
    print(f"    {name:<14} {value:9.6f}")

# Each layer keeps what its backward needs, so the walk back can also be done by hand, node by node.
gradients = [np.array(1.0)]
for name, node in reversed(nodes.items()):
    gradients = np.atleast_1d(node.call.layer.backward(gradients[-1]))  # of 1 + f3 and of theta x there are two
    print(f"    {name:<14} hands back {', '.join(f'{gradient:.6f}' for gradient in gradients)}")
