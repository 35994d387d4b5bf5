"""The same training step for nnlite, bare NumPy and the peers.

Each function builds a network from the same weights and returns ``run(steps)``, which runs that many steps (forward,
the loss as a Python float, backward, update) and returns the last loss. Imports are inside the functions, so that
peers that are not installed can be left out.
"""

import contextlib
import runpy
from collections.abc import Callable, Sequence
from itertools import pairwise
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

Run = Callable[[int], Any]


def repeated(step: Callable[[], Any], see: Callable[[Any], Any] = lambda value: value) -> Run:
    """``step`` as a contender; its value is ``see`` of the value of the last step."""

    def run(steps: int) -> Any:
        for _ in range(steps - 1):
            step()
        return see(step())

    return run


COPIES = 64  # of the batch, in the rows that ``fit`` trains on


def weights(sizes: Sequence[int], dtype: str) -> list[np.ndarray]:
    """W of each layer, the same in every process; all biases start at 0."""
    rng = np.random.default_rng(0)
    pairs = pairwise(sizes)
    return [(rng.standard_normal((D, M)) / np.sqrt(D)).astype(dtype) for D, M in pairs]


def batch(sizes: Sequence[int], rows: int, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """X and targets: 0 or 1 for a network with one output, class indices for several."""
    rng = np.random.default_rng(1)
    X = rng.standard_normal((rows, sizes[0])).astype(dtype)
    if sizes[-1] == 1:
        return X, (rng.random((rows, 1)) < 0.5).astype(dtype)
    return X, rng.integers(0, sizes[-1], rows)


def network(sizes: Sequence[int], dtype: str) -> Any:
    """A Sequential with Tanh between the layers, a final Sigmoid if there is one output, and its loss."""
    import nnlite as nn

    layers: list[nn.Layer] = []
    for W in weights(sizes, dtype):
        linear = nn.Linear(*W.shape, dtype=dtype)
        linear.W = W
        layers += [linear, nn.Tanh()]
    binary = sizes[-1] == 1
    return nn.Sequential(*layers[:-1], *[nn.Sigmoid()] * binary), nn.BCELoss() if binary else nn.CrossEntropyLoss()


def nnlite(sizes: Sequence[int], rows: int, dtype: str, lr: float) -> Run:
    """The training loop of nnlite's README."""
    import nnlite as nn

    model, loss = network(sizes, dtype)
    model.needs_dX = False  # as in fit
    optimizer = nn.SGD(model, lr)
    X, Y = batch(sizes, rows, dtype)

    def step() -> float:
        J: float = loss.forward(model.forward(X), Y)
        model.backward(loss.backward())
        optimizer.step()
        return J

    return repeated(step)


def compiled(sizes: Sequence[int], rows: int, dtype: str, lr: float) -> Run:
    """The step of :func:`nnlite` by ``nn.compile``."""
    import nnlite as nn

    model, loss = network(sizes, dtype)
    step, (X, Y) = nn.compile(model, loss, nn.SGD(model, lr)), batch(sizes, rows, dtype)
    return repeated(lambda: step(X, Y))


def program(sizes: Sequence[int], rows: int, dtype: str, lr: float) -> Run:
    """The step of :func:`nnlite` in the program that ``nn.to_numpy`` writes."""
    import nnlite as nn

    model, loss = network(sizes, dtype)
    X, Y = batch(sizes, rows, dtype)
    source = nn.to_numpy(model, loss, nn.SGD(model, lr))
    with TemporaryDirectory() as folder:
        source.save(f"{folder}/program.py")
        step = runpy.run_path(f"{folder}/program.py")["step"]
    return repeated(lambda: step(X, Y))


def loop(sizes: Sequence[int], rows: int, dtype: str, lr: float) -> Run:
    """The loop of :func:`nnlite` over the rows of ``fit``: batches taken from memory in a given order."""
    import nnlite as nn

    model, loss = network(sizes, dtype)
    model.needs_dX = False
    optimizer = nn.SGD(model, lr)
    X, Y = batch(sizes, rows, dtype)
    Xs, Ys = np.concatenate([X] * COPIES), np.concatenate([Y] * COPIES)
    batches = np.arange(len(Xs)).reshape(COPIES, rows)

    def run(steps: int) -> float:
        for step in range(steps):
            numbers = batches[step % COPIES]
            J: float = loss.forward(model.forward(Xs.take(numbers, axis=0)), Ys.take(numbers, axis=0))
            model.backward(loss.backward())
            optimizer.step()
        return J

    return run


def fit(sizes: Sequence[int], rows: int, dtype: str, lr: float) -> Run:
    """The network of :func:`nnlite`, trained by ``fit`` with its progress bar on 64 copies of the batch.

    Its generator draws a permutation but returns the rows in order, so that the losses equal those of the others.
    """
    import nnlite as nn

    class Terminal:
        """A terminal that discards what the progress bar draws."""

        def write(self, text: str) -> None: ...
        def flush(self) -> None: ...
        def isatty(self) -> bool:
            return True

    class InOrder(np.random.Generator):
        def permutation(self, x: Any, axis: int = 0) -> Any:
            super().permutation(x, axis)
            return np.arange(x)

    model, loss = network(sizes, dtype)
    optimizer = nn.SGD(model, lr)
    X, Y = batch(sizes, rows, dtype)
    Xs, Ys = np.concatenate([X] * COPIES), np.concatenate([Y] * COPIES)
    rng = InOrder(np.random.PCG64(0))

    def run(steps: int) -> float:
        epochs, rest = divmod(steps - 1, COPIES)
        with contextlib.redirect_stderr(Terminal()):  # type: ignore[type-var]
            for copies, times in (COPIES, epochs), (rest, 1), (1, 1):
                if copies and times:
                    n = copies * rows
                    history = nn.fit(
                        model, Xs[:n], Ys[:n], loss=loss, optimizer=optimizer, epochs=times, batch_size=rows, rng=rng
                    )
        return history["loss"][-1]

    return run


def numpy(sizes: Sequence[int], rows: int, dtype: str, lr: float) -> Run:
    """The same in bare NumPy: arrays are allocated once, ufuncs write with ``out=``, nothing is checked."""
    Ws = weights(sizes, dtype)
    bs = [np.zeros(W.shape[1], dtype) for W in Ws]
    X, Y = batch(sizes, rows, dtype)
    hs = [X] + [np.empty((rows, W.shape[1]), dtype) for W in Ws]
    dhs = [np.empty_like(h) for h in hs]
    dWs, dbs = [np.empty_like(W) for W in Ws], [np.empty_like(b) for b in bs]
    ones, one, rate = np.ones(rows, dtype), np.array(1, dtype), np.array(lr, dtype)
    last, n = len(Ws) - 1, np.array(rows, dtype)
    binary = sizes[-1] == 1
    sample = np.arange(rows)
    a, c = np.empty_like(hs[-1]), np.empty_like(hs[-1])

    def step() -> float:
        for i, (W, b) in enumerate(zip(Ws, bs, strict=True)):
            h = hs[i + 1]
            np.dot(hs[i], W, out=h)
            np.add(h, b, out=h)
            if i < last:
                np.tanh(h, out=h)
        h, d = hs[-1], dhs[-1]
        if binary:
            np.negative(h, out=h)
            np.exp(h, out=h)
            np.add(h, one, out=h)
            np.divide(one, h, out=h)
            np.log(h, out=a)  # -(Y log h + (1 - Y) log(1 - h))
            np.multiply(a, Y, out=a)
            np.subtract(one, h, out=c)
            np.log(c, out=c)
            np.subtract(one, Y, out=d)
            np.multiply(c, d, out=c)
            np.add(a, c, out=a)
            J = -float(np.add.reduce(a, axis=None)) / rows
            np.subtract(h, Y, out=d)
        else:
            np.subtract(h, np.maximum.reduce(h, axis=1, keepdims=True), out=h)
            np.exp(h, out=d)
            total = np.add.reduce(d, axis=1, keepdims=True)
            J = float(np.add.reduce(np.log(total), axis=None) - np.add.reduce(h[sample, Y])) / rows
            np.divide(d, total, out=d)
            d[sample, Y] -= one
        np.divide(d, n, out=d)
        for i in range(last, -1, -1):
            d = dhs[i + 1]
            np.dot(hs[i].T, d, out=dWs[i])
            np.dot(ones, d, out=dbs[i])
            if i:
                np.dot(d, Ws[i].T, out=dhs[i])
                h = hs[i]
                np.multiply(h, h, out=h)
                np.subtract(one, h, out=h)
                np.multiply(dhs[i], h, out=dhs[i])
        for P, dP in zip(Ws + bs, dWs + dbs, strict=True):
            np.multiply(dP, rate, out=dP)
            np.subtract(P, dP, out=P)
        return J

    return repeated(step)


def plain(sizes: Sequence[int], rows: int, dtype: str, lr: float) -> Run:
    """The same in NumPy as one writes it first: each line makes a new array."""
    Ws = weights(sizes, dtype)
    bs = [np.zeros(W.shape[1], dtype) for W in Ws]
    X, Y = batch(sizes, rows, dtype)
    sample = np.arange(rows)

    def step() -> float:
        hs = [X]
        for W, b in zip(Ws[:-1], bs[:-1], strict=True):
            hs.append(np.tanh(hs[-1] @ W + b))
        Z = hs[-1] @ Ws[-1] + bs[-1]
        if sizes[-1] == 1:
            Z = 1 / (1 + np.exp(-Z))
            J = -float((Y * np.log(Z) + (1 - Y) * np.log(1 - Z)).sum()) / rows
            d = (Z - Y) / rows
        else:
            Z -= Z.max(axis=1, keepdims=True)
            P = np.exp(Z)
            total = P.sum(axis=1, keepdims=True)
            J = float(np.log(total).sum() - Z[sample, Y].sum()) / rows
            d = P / total
            d[sample, Y] -= 1
            d /= rows
        for i in range(len(Ws) - 1, -1, -1):
            dW, db = hs[i].T @ d, d.sum(axis=0)
            if i:
                d = d @ Ws[i].T * (1 - hs[i] ** 2)
            Ws[i] -= lr * dW
            bs[i] -= lr * db
        return J

    return repeated(step)


def torch(sizes: Sequence[int], rows: int, dtype: str, lr: float, *, compiled: bool = False) -> Run:
    """torch.nn.Sequential and torch.optim.SGD, eager or through torch.compile."""
    import torch

    model = torch.nn.Sequential()
    Ws = weights(sizes, dtype)
    for i, W in enumerate(Ws):
        linear = torch.nn.Linear(*W.shape, dtype=getattr(torch, dtype))
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(W.T))
            linear.bias.zero_()
        model.append(linear)
        if i < len(Ws) - 1:
            model.append(torch.nn.Tanh())
    if sizes[-1] == 1:
        model.append(torch.nn.Sigmoid())
    loss = torch.nn.BCELoss() if sizes[-1] == 1 else torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr)
    X, Y = map(torch.from_numpy, batch(sizes, rows, dtype))

    def forward(X: Any, Y: Any) -> Any:
        return loss(model(X), Y)

    if compiled:
        torch.compiler.reset()  # the code of the last network, which it would make a general one of
        forward = torch.compile(forward)

    def step() -> float:
        optimizer.zero_grad()
        J = forward(X, Y)
        J.backward()
        optimizer.step()
        return float(J.item())

    return repeated(step)


def torch_compile(sizes: Sequence[int], rows: int, dtype: str, lr: float) -> Run:
    """The forward and backward of :func:`torch` through torch.compile."""
    return torch(sizes, rows, dtype, lr, compiled=True)


def jax(sizes: Sequence[int], rows: int, dtype: str, lr: float) -> Run:
    """One jitted function, to which the parameters are donated."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", dtype == "float64")
    parameters = [(jnp.asarray(W), jnp.zeros(W.shape[1], dtype)) for W in weights(sizes, dtype)]
    X, Y = map(jnp.asarray, batch(sizes, rows, dtype))

    def loss(parameters: Any, X: Any, Y: Any) -> Any:
        h = X
        for W, b in parameters[:-1]:
            h = jnp.tanh(h @ W + b)
        W, b = parameters[-1]
        z = h @ W + b
        if sizes[-1] == 1:
            y = jax.nn.sigmoid(z)
            return -jnp.mean(Y * jnp.log(y) + (1 - Y) * jnp.log1p(-y))
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(z), Y[:, None], axis=1))

    def update(parameters: Any, X: Any, Y: Any) -> Any:
        J, gradients = jax.value_and_grad(loss)(parameters, X, Y)
        return J, jax.tree.map(lambda P, dP: P - lr * dP, parameters, gradients)

    jitted = jax.jit(update, donate_argnums=0)

    def step() -> float:
        nonlocal parameters
        J, parameters = jitted(parameters, X, Y)
        value = float(J)
        jax.block_until_ready(parameters)
        return value

    return repeated(step)


def sklearn(sizes: Sequence[int], rows: int, dtype: str, lr: float) -> Run:
    """MLPClassifier.partial_fit, one step for each call."""
    from sklearn.neural_network import MLPClassifier

    X, Y = batch(sizes, rows, dtype)
    Y = Y.ravel().astype(int)
    classes = np.arange(max(2, sizes[-1]))
    model = MLPClassifier(
        tuple(sizes[1:-1]), activation="tanh", solver="sgd", alpha=0.0, batch_size=rows, learning_rate_init=lr,
        momentum=0.0, nesterovs_momentum=False, shuffle=False,
    )  # fmt: skip
    model.partial_fit(X, Y, classes=classes)
    for own, W in zip(model.coefs_, weights(sizes, dtype), strict=True):
        own[...] = W
    for own in model.intercepts_:
        own[...] = 0

    def step() -> float:
        model.partial_fit(X, Y)
        return float(model.loss_)

    return repeated(step)
