"""The formulas of every layer say what the layer does: they are evaluated beside it."""

import numpy as np
import pytest

import nnlite as nn
from nnlite.arrays import listed
from nnlite.containers.graph import Graph
from nnlite.containers.sequential import Sequential
from nnlite.diagnostics.formulas.functions import values_of
from nnlite.diagnostics.formulas.of_layer import formulas_of
from nnlite.diagnostics.trace import watching
from tests.contract import ROWS, Row, run

over_rows = pytest.mark.parametrize("row", ROWS, ids=[row.id for row in ROWS])


def leaves(layer):
    return {path: part for path, part in layer.named_layers() if not isinstance(part, Sequential | Graph)}


@over_rows
def test_formulas_give_what_the_layer_gives(row: Row):
    """Every layer in the model, forward and backward, each of its parameters' gradients included."""
    layer = row.make()
    parts = leaves(layer)
    Xs, seen = {}, set()

    def compare(path, name, call, result):
        if path not in parts or isinstance(parts[path], nn.Parameter):
            return
        part = parts[path]
        if name == "forward":
            Xs[path] = (*call.args, *call.keywords.values()), listed(result)
            return
        seen.add(path)
        inputs, Ys = Xs[path]
        dYs = (*call.args, *call.keywords.values())
        values = values_of(part, inputs, dYs)
        formulas = formulas_of(part, len(inputs))
        if not formulas.forward:
            assert isinstance(part.original, Sequential | Graph)
            return
        gives = dict(zip(formulas.outputs, Ys, strict=True))
        gives |= zip(["d" + name for name in formulas.inputs], listed(result), strict=False)  # none for a target
        holder = part._twin.layer if isinstance(part, nn.containers.tied.Tied) else part
        gives |= {"d" + name: getattr(holder, "d" + name) for name in formulas.parameters}
        for name, expected in gives.items():
            np.testing.assert_allclose(values[name], expected, rtol=1e-9, atol=1e-12, err_msg=f"{part}: {name}")
            assert np.shape(values[name]) == np.shape(expected), f"{part}: {name}"

    with watching(layer, compare):
        run(layer, row.X, row.target)
    assert seen == {path for path, part in parts.items() if not isinstance(part, nn.Parameter)}
