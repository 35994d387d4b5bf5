"""The layers of a model that cannot be written in NumPy alone, all at once."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from nnlite.basics.trees import listed, spread
from nnlite.compute.call_log import CallLog, LoggedArray, Node
from nnlite.compute.logged_numpy import running
from nnlite.containers.logged_run import LoggedRun
from nnlite.interop.numpy_program.helpers import Helpers
from nnlite.interop.numpy_program.lines import Lines
from nnlite.layer.layer import Layer


def numpy_lines(run: LoggedRun, results: list[Node]) -> object:
    """The lines of a program in NumPy."""
    return Lines(run.log, results, run.log.stored, Helpers().add, lambda array: "C", {}).written()


def unwritable(
    model: Layer,
    X: Any,
    rows: int,
    *,
    backward: bool = True,
    write: Callable[[LoggedRun, list[Node]], object] = numpy_lines,
) -> list[str]:
    """A line for each layer that cannot be logged or written, after a run of the layers on X.

    Args:
        model: the model.
        X: an example.
        rows: see :class:`CallLog`.
        backward: whether backward is written, too.
        write: writes the calls of a layer, for the nodes of results.
    """
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
            log = CallLog(rows)
            run = LoggedRun(layer, None, Xs if len(Xs) > 1 else Xs[0], training=layer.training, log=log)
            results = listed(run.Y)
            if backward:
                with running(log):
                    dX = run.model.backward(*[log.give(f"dY{n}", each) for n, each in enumerate(listed(Y))])
                results = [*results, *listed(dX)]
            write(run, [each.node for each in results if isinstance(each, LoggedArray)])
        except Exception as error:
            lines.append(f"{path or 'model'} {layer.one_line()}: {error}")
    return lines
