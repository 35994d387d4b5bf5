"""What must be the same on all ranks: compared before training, and copied from rank 0."""

import platform
import zlib
from contextlib import suppress
from importlib import metadata
from typing import Any

import numpy as np

from nnlite.parallel.ranks import Ranks
from nnlite.saving.json_values import pack
from nnlite.training.settings import generators
from nnlite.training.training_state import Training

LINES = 10  # at most so many differences are in the error


def compare(state: Training, ranks: Ranks) -> None:
    """Raise a ValueError on all ranks if the training of one differs from that of rank 0."""
    if lines := _differences(ranks.of_each(_description(state))) or _differences(ranks.of_each(_states(state))):
        more = [f"and {len(lines) - LINES} more"] if len(lines) > LINES else []
        raise ValueError(
            "DataParallel: the trainings of the ranks differ, nothing was trained:\n  "
            + "\n  ".join(lines[:LINES] + more)
            + "\nrun the same script, on the same data, with the same versions, on all ranks"
        )


def _differences(of_each: list[dict[str, str]]) -> list[str]:
    """A line for each value that is not that of rank 0."""
    first, *others = of_each
    return [
        f"{name}: {first.get(name, 'nothing')} on rank 0, {other.get(name, 'nothing')} on rank {rank}"
        for rank, other in enumerate(others, start=1)
        for name in first | other
        if first.get(name) != other.get(name)
    ]


def _description(state: Training) -> dict[str, str]:
    model = state.model
    found = dict(state.settings)
    for name, P in (*model.named_parameters(), *model.named_buffers()):
        found[f"array {name}"] = f"{P.dtype} of shape {P.shape}"
    found |= {
        "epochs": f"{state.epoch} + {state.batch} batches of {state.epochs}",
        "callbacks in order": ", ".join(type(each).__name__ for each in state.callbacks),
        "version of Python": platform.python_version(),
        "version of NumPy": np.__version__,
    }
    with suppress(metadata.PackageNotFoundError):  # it may not be installed, but on the path
        found["version of nnlite"] = metadata.version("nnlite")
    return found


def _states(state: Training) -> dict[str, str]:
    """Of the optimizers, which may have made steps before this training."""
    found = {}
    for number, each in enumerate(state.optimizers, start=1):
        arrays: dict[str, Any] = {}
        text = repr(pack(each.state_dict(), arrays, "optimizer"))
        for name in sorted(arrays):
            text += f"{name} {zlib.crc32(np.ascontiguousarray(arrays[name]).data)}"
        found[f"state of optimizer {number}"] = f"CRC {zlib.crc32(text.encode()):08x}"
    return found


def copy_from_first(state: Training, ranks: Ranks) -> None:
    """Parameters, buffers and random generators become those of rank 0."""
    for layer in state.step.trained:
        ranks.copy_from_first(layer.Phi)
    for layer in state.model, state.loss:
        for _, buffer in layer.named_buffers():
            ranks.copy_from_first(buffer)
    own = _generators(state)
    states = ranks.from_first([generator.bit_generator.state for generator in own])
    for generator, of_first in zip(own, states, strict=True):
        generator.bit_generator.state = of_first


def _generators(state: Training) -> list[Any]:
    from nnlite.basics.generators import default_generator

    found = [generator for _, generator in generators(state)] + [default_generator()]
    return list({id(generator): generator for generator in found}.values())


def check_replicas(state: Training, ranks: Ranks) -> None:
    """Raise a ValueError on all ranks if parameters or random generators are no longer the same."""
    own = {"parameters": str(zlib.crc32(state.model.Phi.data))}
    own |= {f"random generator {place}": repr(each.bit_generator.state) for place, each in generators(state)}
    first, *others = ranks.of_each(own)
    for rank, other in enumerate(others, start=1):
        for name in first:
            if first[name] != other[name]:
                raise ValueError(
                    f"DataParallel: after epoch {state.epoch} the {name} of rank {rank} and of rank 0 differ; what a "
                    "callback or a layer changes must be the same on all ranks, and their machines of one kind"
                )
