"""Layers and a loss as a user writes them: state that is no parameter, random numbers, integer inputs, a loss."""

import numpy as np

import nnlite as nn


@nn.register
class OwnBatchNorm(nn.Layer, parameters=("gamma", "beta"), buffers=("running_mean", "running_var", "batches")):
    """Batch normalisation of (N, D) with momentum 0.1 (Ioffe and Szegedy, 2015), in 25 lines."""

    def __init__(self, features, eps=1e-5):
        self.features, self.eps = features, eps
        self.gamma, self.beta = np.ones(features), np.zeros(features)
        self.running_mean, self.running_var, self.batches = np.zeros(features), np.ones(features), 0

    def forward(self, X):
        X = self.check_X(X)
        mean, var = self.running_mean, self.running_var
        if self.training:
            mean, var = X.mean(axis=0), X.var(axis=0)
            self.running_mean += 0.1 * (mean - self.running_mean)
            self.running_var += 0.1 * (var * (len(X) / (len(X) - 1)) - self.running_var)
            self.batches += 1
        self.by_batch = self.training
        self.scale = 1 / np.sqrt(var + self.eps)
        self.normal = (X - mean) * self.scale
        return self.record_Y(self.normal * self.gamma + self.beta)

    def backward(self, dY):
        dY = self.check_dY(dY)
        self.dgamma, self.dbeta = (dY * self.normal).sum(axis=0), dY.sum(axis=0)
        dN = dY * self.gamma
        if self.by_batch:
            dN = dN - dN.mean(axis=0) - self.normal * (dN * self.normal).mean(axis=0)
        return dN * self.scale


@nn.register
class OwnDropout(nn.Layer):
    """Dropout (Srivastava et al., 2014) with a generator of its own."""

    def __init__(self, p=0.5, rng=None):
        self.p, self.rng = p, nn.generator(rng)

    def forward(self, X):
        X = self.check_X(X)
        self.mask = None
        if self.training:
            self.mask = ((self.rng.random(X.shape) >= self.p) / (1 - self.p)).astype(X.dtype)
        return self.record_Y(X.copy() if self.mask is None else X * self.mask)

    def backward(self, dY):
        dY = self.check_dY(dY)
        return dY.copy() if self.mask is None else dY * self.mask


@nn.register
class OwnEmbedding(nn.Layer, parameters=("W",)):
    """A row of W for each index: indices (...), Y (..., features)."""

    without_gradient = ("indices",)

    def __init__(self, size, features, rng=None):
        self.size, self.features = size, features
        self.W = nn.initializers.normal((size, features), rng=rng)

    def forward(self, indices):
        self.indices = np.asarray(indices)
        if self.indices.dtype.kind not in "iu":
            raise TypeError(f"{self.one_line()}: indices: expected integers, got {self.indices.dtype}")
        return self.record_Y(self.W[self.indices])

    def backward(self, dY):
        dY = self.check_dY(dY)
        self.dW = np.zeros_like(self.W)
        np.add.at(self.dW, self.indices, dY)


@nn.register
class OwnLoss(nn.Loss):
    """The mean of log cosh(Y - target)."""

    def forward(self, Y, target):
        Y, target = self.check_pair(Y, target)
        self.error = Y - target
        return self.reduce(np.logaddexp(self.error, -self.error) - np.log(2).astype(Y.dtype))

    def backward(self, dJ=1.0):
        return self.scale(dJ) * np.tanh(self.error)


def network(rng=0):
    """Indices (N, 3) -> (N, 1): all of them with nnlite's own layers around."""
    rng = np.random.default_rng(rng)
    return nn.Sequential(
        OwnEmbedding(7, 4, rng=rng),
        nn.Flatten(),
        nn.Linear(12, 6, rng=rng),
        OwnBatchNorm(6),
        nn.Tanh(),
        OwnDropout(0.25, rng=rng.integers(100)),
        nn.Linear(6, 1, rng=rng),
    )


def data(rows=24, rng=1):
    """Indices and targets for ``network``."""
    rng = np.random.default_rng(rng)
    X = rng.integers(0, 7, (rows, 3))
    return X, np.sin(X.sum(axis=1, keepdims=True))


class ScaledMSELoss(nn.MSELoss, parameters=("a",)):
    """a times the mean squared error, for dJ/da = MSE."""

    def __init__(self):
        super().__init__()
        self.a = np.ones(1)

    def forward(self, Y, target):
        self.J = super().forward(Y, target)
        return float(self.a[0]) * self.J

    def backward(self, dJ=1.0):
        self.da = [dJ * self.J]
        return super().backward(float(self.a[0]) * dJ)
