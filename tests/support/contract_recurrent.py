"""Rows of the contract table: recurrent layers and their cells."""

import numpy as np
from support.contract_row import Row, numbers

import nnlite as nn

LENGTHS = np.array([3, 1, 4, 2])


def filled(make, *sizes, **options):
    """A layer in float64 whose parameters are small numbers of both signs, no two alike."""

    def new():
        layer = make(*sizes, dtype=np.float64, rng=0, **options)
        layer.Phi = 0.4 * numbers(layer.Phi.size)
        return layer

    return new


def in_a_graph(make, **options):
    """A layer whose lengths are left out, and whose states are given."""
    X, *states = [nn.Input() for _ in range(3 if make is nn.LSTM else 2)]
    given = dict(zip(["H0", "C0"], states, strict=False))
    return nn.Graph([X, *states], nn.Tanh()(filled(make, 2, 2, **options)()(X, **given)))


def stateful(make, **options):
    """A layer that starts from zeros."""
    return lambda: nn.Stateful(filled(make, 2, 2, return_state=True, **options)())


STATES = [(nn.RNN, 1), (nn.LSTM, 2), (nn.GRU, 1)]
X, H, C = numbers(4, 4, 2), numbers(4, 2), -numbers(4, 2)[::-1]
ROWS = [
    *(
        Row(f"{make.__name__}Cell", filled(cell, 3, 2), numbers(4, 3))
        for make, cell in [(nn.RNN, nn.RNNCell), (nn.LSTM, nn.LSTMCell), (nn.GRU, nn.GRUCell)]
    ),
    Row("RNNCell-relu", filled(nn.RNNCell, 2, 2, nonlinearity="relu", bias=False), (numbers(4, 2), H)),
    Row("LSTMCell-of-states", filled(nn.LSTMCell, 2, 2), (numbers(4, 2), H, C)),
    Row("GRUCell-of-a-state", filled(nn.GRUCell, 2, 2), (numbers(4, 2), H)),
    *(Row(make.__name__, filled(make, 2, 3), numbers(4, 3, 2)) for make in (nn.RNN, nn.LSTM, nn.GRU)),
    *(
        Row(f"{make.__name__}-lengths-{label}", filled(make, 2, 2, **options), (X, LENGTHS))
        for make in (nn.RNN, nn.LSTM, nn.GRU)
        for label, options in [("bias=False", {"bias": False}), ("reverse-last", {"reverse": True, "last": True})]
    ),
    *(
        Row(f"Graph-{make.__name__}-reverse", lambda make=make: in_a_graph(make, reverse=True), (X, H, C)[: 1 + states])
        for make, states in STATES
    ),
    Row("RNN-relu", filled(nn.RNN, 2, 2, nonlinearity="relu"), numbers(4, 3, 2)),
    Row("RNN-of-one-step", filled(nn.RNN, 2, 2, last=True), numbers(4, 1, 2)),
    *(
        Row(f"{make.__name__}-of-states-{label}", filled(make, 2, 2, **options), (X, LENGTHS, H, C)[: 2 + states])
        for make, states in STATES
        for label, options in [("all", {}), ("return_state", {"return_state": True, "reverse": True})]
    ),
    *(
        Row(
            f"{make.__name__}-deep-in-both-directions",
            filled(make, 2, 2, 2, bidirectional=True, dropout=0.5, return_state=True),
            (X, LENGTHS, *[numbers(4, 4, 2) / (1 + n) for n in range(states)]),
            rows_apart=False,
        )
        for make, states in STATES
    ),
    Row("LSTM-last-of-both-directions", filled(nn.LSTM, 2, 2, bidirectional=True, last=True), numbers(4, 3, 2)),
    *(Row(f"Stateful-{make.__name__}", stateful(make), X) for make, _ in STATES),
    Row("Stateful-lengths", stateful(nn.LSTM, num_layers=2), (X, LENGTHS)),
    Row("Stateful-checkpointed", lambda: nn.Stateful(nn.checkpointed(filled(nn.GRU, 2, 2, return_state=True)())), X),
    Row("checkpointed-LSTM", lambda: nn.checkpointed(filled(nn.LSTM, 2, 2)()), (X, LENGTHS)),
    Row("GRU-deep", filled(nn.GRU, 2, 2, 2), numbers(4, 3, 2)),
]
