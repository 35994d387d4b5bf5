"""The update of an optimizer, logged as the layers are."""

from copy import deepcopy
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.compute.call_log import CallLog, LoggedArray, Node
from nnlite.compute.logged_numpy import running
from nnlite.optim.optimizer import Optimizer


class Update:
    """What a step of an optimizer computes.

    Attributes:
        log: its calls.
        lr: the learning rate of the next step.
        arrays: the optimizer's state by its names, with the number of steps.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.lr: float = optimizer.current_lr
        self.log = CallLog(rows=2**61 - 1)
        self.arrays: dict[str, Array] = {}
        own: Any = deepcopy(optimizer)
        Phi, layer = optimizer.layer.Phi, own.layer
        rng = np.random.default_rng(0)
        vars(layer)["_Phi"] = self.log.give("Phi", Phi.copy())
        vars(layer)["_dPhi"] = self.log.give("dPhi", rng.standard_normal(Phi.shape).astype(Phi.dtype))
        own.array = self._array
        rate = self.log.give("lr", float(self.lr))
        own._lr, own._scheduled = None, lambda: rate
        numbers = ["steps", *(name for name in own.arrays if isinstance(getattr(own, name), int | float))]
        for name in numbers:
            self.arrays[name] = np.asarray(getattr(own, name))
            setattr(own, name, self.log.give(name, getattr(own, name)))
        for name in own.arrays:
            if isinstance(value := getattr(own, name), np.ndarray):
                self.arrays[name] = value.copy()
                setattr(own, name, self.log.give(name, value))
        with running(self.log):
            own.step()
        for name in numbers:  # those that are assigned anew
            value = getattr(own, name)
            if isinstance(value, LoggedArray) and value.node not in [
                self.log.given[name],
                *(node for _, node in self.log.stored),
            ]:
                self.log.stored.append((name, value.node))
        if not self._reads_steps():
            self.log.stored = [pair for pair in self.log.stored if pair[0] != "steps"]
            del self.arrays["steps"]

    def _array(self, name: str, start: Any = 0.0, size: int | None = None) -> LoggedArray:
        """In place of :meth:`nnlite.Optimizer.array`: the state as it is, or as the first step makes it."""
        if name not in self.log.given:
            Phi = self.optimizer.layer.Phi
            start = start.node.value if isinstance(start, LoggedArray) else start
            value = np.full(Phi.size if size is None else size, start, Phi.dtype)
            self.arrays[name] = value.copy()
            return self.log.give(name, value)
        return LoggedArray(self.log, self.log.given[name], state=name)

    def _reads_steps(self) -> bool:
        """Whether the update depends on the number of steps."""
        steps, waiting = self.log.given["steps"], [node for name, node in self.log.stored if name != "steps"]
        seen: set[Node] = set()
        while waiting:
            node = waiting.pop()
            if node not in seen:
                seen.add(node)
                waiting += node.nodes()
        return steps in seen

    def state_lines(self, Phi: Array) -> list[str]:
        """Lines that make what is a number one of Python."""
        return [f"{name} = {name}.item()" for name, array in self.arrays.items() if not array.ndim]
