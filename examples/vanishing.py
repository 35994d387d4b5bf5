"""The vanishing gradient over time: how much of dY comes back to the state h_t of an RNN, and of an LSTM.

A network must say at the end of 50 random numbers what the first of them was. At each step back dL/dh_t is multiplied
by W_h and the slope of tanh, and in an RNN the product of so many factors vanishes, or explodes (Hochreiter 1991;
Pascanu, Mikolov and Bengio 2013). The cell state of an LSTM is multiplied by the forget gate alone: where that is open,
as it is here at the start by its bias, the gradient comes back whole, and the first number is found.

Run it with:  python examples/vanishing.py [--seed N] [--plot FILE]
"""

import argparse

import numpy as np

import nnlite as nn

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seed", type=int, default=0, help="of the data, the initial weights and the order of the rows")
parser.add_argument("--plot", metavar="FILE", help="draw the norms of dL/dh_t into this file; needs matplotlib")
options = parser.parse_args()

T = 50
rng = np.random.default_rng(options.seed)
X = np.zeros((1000, T, 2), np.float32)
X[:, :, 0] = rng.uniform(-1, 1, X.shape[:2])
X[:, 0, 1] = 1  # says: this is the one
target = X[:, 0, :1]


def norms(model):
    """The norm of dL/dh_t for each step t, over the samples its root mean square; L is the sum of the outputs."""
    Y = model.forward(X[:250])
    model.backward(np.ones_like(Y))
    return np.sqrt(np.mean(np.sum(model[0].dh ** 2, axis=2), axis=0))


curves = {}
print(f"      |dL/dh_1| / |dL/dh_{T}| at the start, trained   error / variance")
for kind in nn.RNN, nn.LSTM:
    model = nn.Sequential(kind(2, 16, last=True, rng=options.seed), nn.Linear(16, 1, rng=options.seed))
    if kind is nn.LSTM:
        model[0].b_x[16:32] = 3  # of the forget gate
    start = norms(model)
    nn.fit(model, X[250:], target[250:], loss=nn.MSELoss(), optimizer=nn.Adam(model, lr=0.01), epochs=15,
           clip_norm=1.0, rng=options.seed, verbose=0)  # fmt: skip
    end, error = norms(model), np.mean((nn.predict(model, X[:250]) - target[:250]) ** 2) / target.var()
    print(f"{kind.__name__:<4}{start[0] / start[-1]:>37.0e}{end[0] / end[-1]:>9.0e}{error:>19.3f}")
    curves |= {f"{kind.__name__} at the start": start, f"{kind.__name__} trained": end}

if options.plot:
    from matplotlib import pyplot

    for (label, curve), style in zip(curves.items(), ["C0--", "C0", "C1--", "C1"], strict=True):
        pyplot.semilogy(np.arange(1, T + 1), curve / curve[-1], style, label=label)
    pyplot.gca().set(xlabel="step t", ylabel=rf"$|dL/dh_t|\; /\; |dL/dh_{{{T}}}|$")
    pyplot.legend()
    pyplot.savefig(options.plot)
