"""Cases of recurrent layers and their cells: several layers, both directions, lengths, first states."""

import numpy as np
from support.oracle.table import CASES, Case, draw, name_of, seed

LENGTHS = np.array([5, 2, 1, 4])


def add(kind, *shapes, lengths=None, **options):
    name = name_of(kind, *shapes, *([] if lengths is None else ["lengths"]), **options)
    X, *states = [draw(seed(f"{name} {n}"), shape, scale=0.5) for n, shape in enumerate(shapes)]
    if not kind.endswith("Cell") and (states or lengths is not None):
        states = [lengths, *states]
    sizes = (3, 2, *([options.pop("num_layers")] if "num_layers" in options else []))
    CASES[name] = Case(kind, sizes, options, (X, *states) if states else X)


for kind in "RNN", "LSTM", "GRU":
    states = 2 if kind == "LSTM" else 1
    for options in {}, {"bias": False}, *([{"nonlinearity": "relu"}] if kind == "RNN" else []):
        add(f"{kind}Cell", (4, 3), **options)
        add(f"{kind}Cell", (4, 3), *[(4, 2)] * states, **options)
        for lengths in None, LENGTHS:
            add(kind, (4, 5, 3), lengths=lengths, return_state=True, **options)
            add(kind, (4, 5, 3), *[(4, 2)] * states, lengths=lengths, return_state=True, **options)
    for lengths in None, LENGTHS:
        add(kind, (4, 5, 3), *[(4, 2, 2)] * states, lengths=lengths, num_layers=2, return_state=True)
        add(
            kind, (4, 5, 3), *[(4, 4, 2)] * states, lengths=lengths, num_layers=2, bidirectional=True, return_state=True
        )
        add(kind, (4, 5, 3), lengths=lengths, bidirectional=True, return_state=True)
    add(kind, (4, 1, 3), return_state=True)
