"""An LSTM forecasts a noisy wave: it is trained on pieces of long waves, and then feeds on its own predictions.

Run it with:  python examples/sine.py [--seed N] [--epochs N] [--plot FILE]
"""

import argparse

import numpy as np

import nnlite as nn

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seed", type=int, default=0, help="of the waves and the initial weights")
parser.add_argument("--epochs", type=int, default=40)
parser.add_argument("--plot", metavar="FILE", help="draw the forecast into this file; needs matplotlib")
arguments = parser.parse_args()
rng = np.random.default_rng(arguments.seed)

# 64 waves of 401 steps, each with a period and a phase of its own; X has the values, Y those one step later.
periods, phases, steps = rng.uniform(20, 40, (64, 1)), rng.uniform(0, 2 * np.pi, (64, 1)), np.arange(401)
clean = np.sin(2 * np.pi * steps / periods + phases)
noisy = clean + rng.normal(0, 0.1, clean.shape)
X, Y = noisy[:, :-1, None], noisy[:, 1:, None]
train, test = slice(0, 48), slice(48, 64)

# Truncated backpropagation through time: a step is on 50 time steps, and the state goes on to the next 50.
model = nn.Sequential(nn.Stateful(nn.LSTM(1, 32, return_state=True, rng=rng)), nn.Linear(32, 1, rng=rng))
history = nn.fit(
    model, nn.Pieces(X[train], Y[train], steps=50), loss=nn.MSELoss(), optimizer=nn.Adam(model, lr=0.005),
    epochs=arguments.epochs, batch_size=16, clip_norm=1.0, rng=rng,
    validation_data=nn.Pieces(X[test], Y[test], steps=50),
)  # fmt: skip
print(history)
error = nn.evaluate(model, X[test], Y[test], loss=nn.MSELoss())["loss"]
print(f"one step ahead: RMS error {error**0.5:.3f}; the last value as prediction: {np.std(Y[test] - X[test]):.3f}")

# Forecast: read 300 steps, then 60 more one at a time, each prediction being the next input.
model.eval()
predicted = [model.forward(X[test, :300])[:, -1:]]
for _ in range(60):
    nn.carry_state(model)
    predicted.append(model.forward(predicted[-1]))
forecast, truth = np.concatenate(predicted, axis=1)[:, :60, 0], clean[test, 300:360]
for ahead in 10, 30, 60:
    own, zero = (np.sqrt(np.mean(error[:, :ahead] ** 2)) for error in (forecast - truth, truth))
    print(f"forecast of {ahead} steps: RMS error {own:.3f}; zero as forecast: {zero:.3f}")

if arguments.plot:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5), layout="constrained")
    for axes, wave in zip(figure.subplots(2, 1, sharex=True), (0, 1), strict=True):
        axes.plot(np.arange(220, 300), noisy[test][wave, 220:300], ".", color="0.6", label="values that it has read")
        axes.plot(np.arange(300, 360), truth[wave], color="0.3", linewidth=1, label="wave without noise")
        axes.plot(np.arange(300, 360), forecast[wave], color="tab:red", label="forecast")
        axes.set_ylabel(f"period {periods[test][wave, 0]:.1f}")
    axes.set_xlabel("step")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    figure.savefig(arguments.plot)
