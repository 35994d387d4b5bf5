"""Predict a chaotic time series five steps ahead from a window of its last values.

Run it with:  python examples/time_series.py [--seed N]
"""

import argparse

import numpy as np

import nnlite as nn

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seed", type=int, default=0, help="of the noise and the initial weights")
rng = np.random.default_rng(parser.parse_args().seed)

# The equation of Mackey and Glass, dx/dt = 0.2 x(t-17) / (1 + x(t-17)^10) - 0.1 x(t), in steps of 1; noise is added.
x = [1.2] * 18
for _ in range(1500):
    x.append(x[-1] + 0.2 * x[-18] / (1 + x[-18] ** 10) - 0.1 * x[-1])
series = np.array(x) + rng.normal(0, 0.01, len(x))

# Row i holds the values i ... i+19; its target is the value 5 steps after the last of them.
X = np.lib.stride_tricks.sliding_window_view(series, 20)[:-5]
Y = series[24:, None]
test = slice(1200, None)  # the end of the series; mean and standard deviation are those of the values before it
mean, std = series[:1200].mean(), series[:1200].std()
X, Y = (X - mean) / std, (Y - mean) / std

# shuffle=False: the rows stay in their order, and those that are held back for validation are the last ones.
model = nn.Sequential(nn.Linear(20, 32, rng=rng), nn.Tanh(), nn.Linear(32, 1, rng=rng))
options = {"shuffle": False, "validation_split": 0.2, "callbacks": [nn.EarlyStopping(patience=10, min_delta=1e-4)]}
optimizer = nn.SGD(model, lr=0.01, momentum=0.9)
history = nn.fit(model, X[:1200], Y[:1200], loss=nn.MSELoss(), optimizer=optimizer, epochs=300, **options)
print(f"{history}\nheld back: rows {history.validation_rows[0]} to {history.validation_rows[-1]}")
print(f"R^2 on the end of the series: {nn.r2(nn.predict(model, X[test]), Y[test]):.3f}")
print(f"R^2 if the last value of each window is the prediction: {nn.r2(X[test][:, -1:], Y[test]):.3f}")
