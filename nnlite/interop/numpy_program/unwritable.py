"""The layers of a model that cannot be written in NumPy alone, all at once."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from nnlite.basics.trees import listed, spread
from nnlite.compute.call_log import LoggedArray
from nnlite.containers.logged_run import LoggedRun
from nnlite.interop.numpy_program.helpers import Helpers
from nnlite.interop.numpy_program.lines import Lines
from nnlite.layer.layer import Layer


def unwritable(model: Layer, X: Any) -> list[str]:
    """A line for each layer whose forward or backward cannot be logged, after a run of the layers on X."""
    seen: list[tuple[str, Layer, Any, Any]] = []
    copy = deepcopy(model)

    def noting(path: str, layer: Layer) -> Callable[..., Any]:
        forward, alone = layer.forward, deepcopy(layer)

        def noted(*Xs: Any, **named: Any) -> Any:
            Y = forward(*Xs, **named)
            seen.append((path, alone, (*Xs, *named.values()), Y))
            return Y

        return noted

    for path, layer in copy.named_layers():
        if not list(layer.named_children()) and layer.original is None:
            vars(layer)["forward"] = noting(path, layer)
    spread(copy.forward, X)
    lines = []
    for path, layer, Xs, Y in seen:
        try:
            run = LoggedRun(layer, None, Xs if len(Xs) > 1 else Xs[0], training=layer.training)
            with run.log.running():
                dX = run.model.backward(*[run.log.give(f"dY{n}", each) for n, each in enumerate(listed(Y))])
            results = [each.node for each in (*listed(run.Y), *listed(dX)) if isinstance(each, LoggedArray)]
            Lines(run.log, results, run.log.stored, Helpers().add, lambda array: "C", {}).written()
        except Exception as error:
            lines.append(f"{path or 'model'} {layer.one_line()}: {error}")
    return lines
