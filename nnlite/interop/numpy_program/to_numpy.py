"""to_numpy: a network, and its training, as a program in NumPy alone."""

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.trees import listed
from nnlite.compute.call_log import Node, UnwritableError
from nnlite.containers.logged_run import LoggedRun
from nnlite.interop.numpy_program.check_same import check_same
from nnlite.interop.numpy_program.examples import example_of
from nnlite.interop.numpy_program.helpers import Helpers
from nnlite.interop.numpy_program.lines import Lines
from nnlite.interop.numpy_program.logged_update import Update
from nnlite.interop.numpy_program.unwritable import unwritable
from nnlite.interop.numpy_program.update_in_blocks import in_blocks
from nnlite.layer.layer import Layer, check_layer
from nnlite.losses.per_output import check_loss
from nnlite.optim.optimizer import Optimizer
from nnlite.saving.atomic_write import atomic_write

Guards = dict[Node, bool]


class NumpySource(str):
    """A program in NumPy alone, as text, with the arrays that it reads.

    Attributes:
        arrays: the weights, and the state of the optimizer and of random generators, as in the file beside the program.
    """

    arrays: dict[str, Array]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the program, and its arrays in a file of the same name with the suffix ``.npz``.

        Raises:
            ValueError: the path does not end with ``.py``.

        >>> import nnlite as nn, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     nn.to_numpy(nn.Linear(2, 3)).save(f"{folder}/model.py")
        ...     sorted(path.name for path in Path(folder).iterdir())
        ['model.npz', 'model.py']
        """
        path = Path(path)
        if path.suffix != ".py":
            raise ValueError(f"save: path: expected a name that ends with .py, got {str(path)!r}")
        with atomic_write(path.with_suffix(".npz")) as file:
            np.savez(file, **self.arrays)  # type: ignore[arg-type] # not a keyword of savez
        with atomic_write(path) as file:
            file.write(self.encode())


def to_numpy(
    model: Layer, loss: Layer | None = None, optimizer: Optimizer | None = None, *, X: Any = None, target: Any = None
) -> NumpySource:
    """Write a network out as a program that needs NumPy alone, in the symbols of :func:`nnlite.explain`.

    It has a function ``forward(X)``, in evaluation mode, and with a loss and an optimizer ``step(X, y)``: forward,
    loss, backward and update of a training step, which returns the loss. The lines are the NumPy calls that the layers
    make: they are run once on arrays that log them, so that a layer of a user's own, too, is written from its forward
    and backward. The program's results are those of the layers to the last bit, which is checked, for batches of any
    size whose arrays have up to 65,536 elements; sums of larger ones may be rounded in another way. What the layers
    check of their inputs is left out, but for values for which they would compute something else.

    Args:
        model: any Layer. It is copied, and does not change.
        loss: the loss of a step, of the model's only output.
        optimizer: moves the parameters in a step. A learning rate that is a schedule becomes an argument,
            ``step(X, y, lr)``, whose default is the current one.
        X: an example of a batch, several inputs as a tuple, where the model's layers do not tell the shape.
        target: an example of the targets, likewise.

    Returns:
        The program, a string, whose method ``save("model.py")`` writes it with ``model.npz``, its arrays, beside it.

    Raises:
        TypeError: ``model`` is not a Layer, ``loss`` not a Loss or ``optimizer`` not an optimizer of this model; or
            layers cannot be written in NumPy alone, of which the message has a line for each.
        ValueError: there is a loss without an optimizer, or an optimizer without a loss; or the example does not fit.

    >>> import nnlite as nn
    >>> model = nn.Sequential(nn.Linear(3, 2), nn.Tanh(), nn.Linear(2, 1))
    >>> source = nn.to_numpy(model, nn.MSELoss(), nn.SGD(model, lr=0.1))
    >>> print(source[source.index("def step") : source.index("def save")].rstrip())
    def step(X, y, lr=0.1):
        global Phi
        X = np.asarray(X, np.float32)
        y = np.asarray(y, np.float32)
        N = len(X)
        u1 = X.dot(W1) + b1                               # 0 Linear(3 -> 2)
        h1 = np.tanh(u1)                                  # 1 Tanh()
        y_hat = h1.dot(W2) + b2                           # 2 Linear(2 -> 1)
        t1 = y_hat - y
        L = np.add.reduce(t1 * t1, axis=None).item() / N  # loss MSELoss()
        dy_hat = 2 * np.float32(1 / N) * (y_hat - y)      # loss MSELoss()
        dW2[...] = h1.T.dot(dy_hat)
        db2[...] = column_sum(dy_hat)
        dh1 = dy_hat.dot(W2.T)                            # 2 Linear(2 -> 1)
        du1 = dh1 * (1 - h1 * h1)                         # 1 Tanh()
        dW1[...] = X.T.dot(du1)
        db1[...] = column_sum(du1)
        Phi -= lr * dPhi                                  # SGD
        return L
    """
    check_layer(model, "model")
    model.own_parts()  # makes Phi, of which the parameters are views from then on
    if (loss is None) != (optimizer is None):
        raise ValueError("to_numpy: a step needs a loss and an optimizer; pass both, or neither for forward alone")
    if loss is not None:
        check_loss(loss)
        if loss.Phi.size or list(loss.named_buffers()):
            raise TypeError(f"to_numpy: {loss.one_line()} has parameters; make it a layer of a nn.Graph")
    if optimizer is not None and not (
        isinstance(optimizer, Optimizer) and np.may_share_memory(optimizer.layer.Phi, model.Phi)
    ):
        raise TypeError(
            f"to_numpy: optimizer: expected one of this model, such as SGD(model, lr=0.1), got {optimizer!r}"
        )
    if optimizer is not None and optimizer.layer.Phi.size != model.Phi.size:
        raise TypeError(
            f"to_numpy: optimizer: expected one of all parameters of the model, got {optimizer!r}; to freeze a part, "
            'write SGD(model, lr=0.1, lr_factor={"0": 0})'
        )
    X, target = example_of(model, loss, X, target)
    try:
        source = _Program(model, loss, optimizer).source(X, target)
    except Exception as error:
        layers = unwritable(model, X, len(listed(X)[0])) or [f"{loss} or {optimizer}: {error}"]
        raise UnwritableError("to_numpy: not to be written in NumPy alone:\n  " + "\n  ".join(layers)) from error
    check_same(source, model, loss, optimizer, X, target)
    return source


class _Program:
    """The parts of a program."""

    def __init__(self, model: Layer, loss: Layer | None, optimizer: Optimizer | None) -> None:
        self.model, self.loss, self.optimizer = model, loss, optimizer
        self.helpers = Helpers()
        self.constants: dict[str, Array] = {}

    def source(self, X: Any, target: Any) -> NumpySource:
        forward = LoggedRun(self.model, None, X)
        functions = [self._guarded(self._forward, forward, self.model, None, X)]
        arrays: dict[str, Array] = {}
        update = None
        if self.loss is not None and self.optimizer is not None:
            run = LoggedRun(self.model, self.loss, X, target, training=True)
            update = Update(self.optimizer)

            def step(run: LoggedRun, guards: Guards) -> list[str]:
                return self._step(run, guards, update)

            functions.append(self._guarded(step, run, self.model, self.loss, X, target))
            arrays |= update.arrays
            if run.generators:
                self.helpers.modules.add("json")
            arrays |= {_state_of(name): np.array(_as_json(each)) for name, each in run.generators.items()}
            forward = run
        if self.model.Phi.size:
            arrays["Phi"] = self.model.Phi.copy()
        buffers = {name: array.copy() for name, array in forward.buffers.items()}
        text = "\n".join(line for function in functions for line in function)
        constants = {name: array for name, array in self.constants.items() if re.search(rf"\b{name}\b", text)}
        arrays |= buffers | constants
        lines = [*self._head(arrays), *self._state(forward, update, [*buffers, *constants])]
        if str(self.helpers):
            lines += ["", "", str(self.helpers).rstrip()]
        for function in functions:
            lines += ["", "", *function]
        if update is not None:
            lines += ["", "", *_saving([*update.arrays, "Phi", *buffers, *constants], [*forward.generators])]
        program = NumpySource("\n".join(lines) + "\n")
        program.arrays = arrays
        return program

    def _guarded(self, write: Callable[[LoggedRun, Guards], list[str]], run: LoggedRun, *given: Any) -> list[str]:
        """The lines of a function, with a check for each value on which layers decide what to compute.

        Where the other decision is an error, it is one of the layers' own checks, which are left out.
        """
        plain, guards = write(run, {}), {}
        for number, (node, outcome) in enumerate(run.log.decisions):
            try:
                other = write(LoggedRun(*given, training=self.model_trains(run), flipped=number), {})
            except Exception:
                continue
            if other != plain:
                guards[node] = outcome
        return write(run, guards) if guards else plain

    @staticmethod
    def model_trains(run: LoggedRun) -> bool:
        return run.model.training

    def _lines(self, log: Any, results: Any, stored: Any, guards: Guards | None = None) -> Lines:
        return Lines(log, results, stored, self.helpers.add, self._constant, guards or {})

    def _constant(self, array: Array) -> str:
        for name, known in self.constants.items():
            if known is array or (known.dtype == array.dtype and np.array_equal(known, array)):
                return name
        name = f"C{len(self.constants) + 1}"
        self.constants[name] = np.array(array)
        return name

    def _forward(self, run: LoggedRun, guards: Guards) -> list[str]:
        lines = self._lines(run.log, [each.node for each in listed(run.Y)], [], guards)
        written = lines.written()
        returned = ", ".join(lines.text(each.node) for each in listed(run.Y))
        body = [*self._converted(run, lines), *written, (f"return {returned}", "")]
        return [*_decorated(run), f"def forward({', '.join(run.inputs)}):", *_aligned(body)]

    def _step(self, run: LoggedRun, guards: Guards, update: Update) -> list[str]:
        lines = self._lines(run.log, [run.L.node], run.log.stored, guards)
        written = lines.written()
        update_lines = self._lines(update.log, [], update.log.stored)
        moved = [line for line, _ in update_lines.written()]
        moved = in_blocks(update_lines, moved, self.constants, self.model.Phi.size)
        numbers = [name for name, array in update.arrays.items() if not array.ndim]
        texts = [*(line for line, _ in written), *moved]
        changed = [found[1] for line in texts if (found := re.match(r"(\w+) [^\s=]+= ", line))]
        changed = list(dict.fromkeys([*changed, *numbers]))
        body = [(f"global {', '.join(changed)}", "")] * bool(changed)
        body += [*self._converted(run, lines), *written]
        body += [(line, "" if n else self.optimizer_text) for n, line in enumerate(moved)]
        body.append((f"return {lines.text(run.L.node)}", ""))
        arguments = ", ".join([*run.inputs, f"lr={update.lr!r}"])
        return [*_decorated(run), f"def step({arguments}):", *_aligned(body)]

    @property
    def optimizer_text(self) -> str:
        return type(self.optimizer).__name__

    def _converted(self, run: LoggedRun, lines: Lines) -> Iterator[tuple[str, str]]:
        """Inputs as arrays of the dtype that the layers convert them to, and N."""
        for name in run.inputs:
            value = run.log.given[name].value
            yield f"{name} = np.asarray({name}, np.{value.dtype.name})", ""
        if lines.uses_rows:
            yield f"N = len({run.inputs[0]})", ""

    def _head(self, arrays: dict[str, Array]) -> list[str]:
        what = f"{self.model.one_line()}"
        training = f", trained with {self.loss.one_line()} and {self.optimizer!r}" if self.loss is not None else ""
        imports = [f"import {name}" for name in sorted(self.helpers.modules)]
        reading = ["from pathlib import Path"] * bool(arrays)
        head = [
            f'"""{what}{training}, written out by nnlite."""',
            "",
            *imports,
            *reading,
            "" if imports or reading else None,
        ]
        head += ["import numpy as np", ""]
        if arrays:
            head += ['file = Path(__file__).with_suffix(".npz")', "with np.load(file) as arrays:"]
            head.append("    globals().update({name: arrays[name] for name in arrays})")
        return [each for each in head if each is not None]

    def _state(self, run: LoggedRun, update: Update | None, others: list[str]) -> Iterator[str]:
        """The lines that make parameters and gradients views of Phi and dPhi."""
        Phi = self.model.Phi
        if update is not None:
            yield "dPhi = np.zeros_like(Phi)"
            yield from update.state_lines(Phi)
            for name, generator in run.generators.items():
                kind = type(generator.bit_generator).__name__
                yield f"{name} = np.random.Generator(np.random.{kind}())"
                yield f"{name}.bit_generator.state = json.loads({_state_of(name)}.item())"
        for symbol, array in run.parameters.items():
            start = (array.__array_interface__["data"][0] - Phi.__array_interface__["data"][0]) // Phi.itemsize
            place = f"[{start}:{start + array.size}]"
            shape = f".reshape({', '.join(map(str, array.shape))})" if array.ndim != 1 else ""
            line = f"{symbol} = Phi{place}{shape}"
            yield line if update is None else f"{line}; d{symbol} = dPhi{place}{shape}"


def _decorated(run: LoggedRun) -> list[str]:
    return ['@np.errstate(all="ignore")'] * run.log.silent


def _aligned(body: list[tuple[str, str]]) -> list[str]:
    """The lines with their remarks in one column."""
    width = min(max((len(line) for line, note in body if note), default=0), 72)
    return [f"    {line.ljust(width)}  # {note}" if note else f"    {line}" for line, note in body]


def _saving(names: list[str], generators: list[str]) -> list[str]:
    """A function that replaces the file as a whole."""
    stored = [f"{each}={each}" for each in names]
    states = [
        f"{_state_of(each)} = json.dumps({each}.bit_generator.state, default=np.ndarray.tolist)" for each in generators
    ]
    stored += [f"{_state_of(each)}={_state_of(each)}" for each in generators]
    return [
        "def save():",
        *[f"    {each}" for each in states],
        '    with open(file.with_suffix(".tmp"), "wb") as new:',
        f"        np.savez(new, {', '.join(stored)})",
        "    Path(new.name).replace(file)",
    ]


def _state_of(generator: str) -> str:
    """The name of a generator's state in the file."""
    return f"{generator}_state"


def _as_json(generator: np.random.Generator) -> str:
    """The state of a generator."""
    return json.dumps(generator.bit_generator.state, default=np.ndarray.tolist)


__all__ = ["NumpySource", "UnwritableError", "to_numpy"]
