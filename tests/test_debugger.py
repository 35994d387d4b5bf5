"""What somebody sees who steps through a layer in a debugger: its own lines, one check, and the formula."""

import bdb
import gc
import inspect
import io
import pdb
import re
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
from support.contract import ROWS, Row, inputs_of, some_dY
from support.contract_row import one_of_each

import nnlite as nn
from nnlite.basics.trees import listed
from nnlite.compute import kernels
from nnlite.compute.kernel import Kernel

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
COMPUTED_FIRST = {  # layers whose formula needs what other formulas compute: statistics, a mask, distances
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d),
    *(nn.GroupNorm, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout),
    *(nn.TripletMarginLoss, nn.TripletMarginWithDistanceLoss, nn.Softmax2d),
}


CHECKS = {"check_X", "check_Xs", "check_dY", "check_pair"}


@pytest.fixture(autouse=True)
def without_garbage_collection():
    """It may call functions of others, such as hypothesis, in the middle of a step."""
    gc.disable()
    yield
    gc.enable()


class Stepper(bdb.Bdb):
    """A debugger that steps into every frame, and notes the stack above the method that it is started with."""

    def __init__(self) -> None:
        super().__init__()
        self.stacks: list[list[FrameType]] = []

    def user_call(self, frame: FrameType, argument_list: Any) -> None:
        stack, outer = [frame], frame.f_back
        while outer is not None and outer.f_code is not Stepper.through.__code__:
            stack.append(outer)
            outer = outer.f_back
        if outer is not None:
            self.stacks.append(stack[::-1])
        self.set_step()

    def through(self, method: Callable[..., Any], *args: Any) -> Any:
        return method(*args)

    def stacks_of(self, method: Callable[..., Any], *args: Any) -> list[list[FrameType]]:
        self.runcall(self.through, method, *args)
        return self.stacks


def places() -> set[tuple[str, str]]:
    """The file and the name of each formula."""
    return {(inspect.unwrap(each.formula).__code__.co_filename, each.name) for each in Kernel.everyone}


def names(stack: list[FrameType]) -> list[str]:
    return [frame.f_code.co_name for frame in stack]


def runs(row: Row) -> dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]:
    """The layer's forward and backward with their arguments, after both ran: the first call of a kernel makes it."""
    layer = row.make().astype(np.float64)
    Xs = tuple(listed(inputs_of(row)))
    dY = some_dY(layer.forward(*Xs))
    dYs = () if isinstance(dY, float) else tuple(listed(dY))
    layer.backward(*dYs)
    return {"forward": (layer.forward, Xs), "backward": (layer.backward, dYs)}


LEAVES = [
    row
    for row in one_of_each(ROWS)
    if not isinstance(row.X, dict) and not issubclass(row.kind, nn.Sequential | nn.Graph | nn.Parallel)
]


@pytest.mark.parametrize("row", LEAVES, ids=lambda row: row.id)
def test_at_most_one_frame_is_between_a_layer_and_its_formula(row: Row):
    for method, args in runs(row).values():
        stacks = Stepper().stacks_of(method, *args)
        assert names(stacks[0])[-1] in ("forward", "backward")
        formulas = [stack for stack in stacks if (stack[-1].f_code.co_filename, names(stack)[-1]) in places()]
        if row.kind not in COMPUTED_FIRST:
            assert [names(stack) for stack in formulas if len(stack) > 3] == []
        below = [names(stack) for stack in stacks if {*names(stack)[:-1]} & CHECKS]
        assert below == [], "a check calls nothing where there is nothing to convert"


ELEMENTWISE = [nn.Tanh, nn.Sigmoid, nn.ReLU, nn.ELU, nn.SiLU, nn.LeakyReLU, nn.Exp, nn.Square, nn.Abs, nn.Linear]


def in_a_graph(layer: nn.Layer) -> nn.Graph:
    X = nn.Input()
    return nn.Graph(X, layer(X))


@pytest.mark.parametrize("container", [nn.Sequential, in_a_graph])
@pytest.mark.parametrize("cls", ELEMENTWISE)
def test_from_a_model_one_check_stands_before_the_formula(cls: type[nn.Layer], container: Any):
    layer = nn.Linear(3, 3) if cls is nn.Linear else cls()  # type: ignore[call-arg]
    model = container(layer)
    dY = np.ones_like(model.forward(np.ones((2, 3), np.float32)))
    model.backward(dY)
    stacks = [names(stack)[1:] for stack in Stepper().stacks_of(model.backward, dY)]
    layers_own = [stack for stack in stacks if stack[:1] == ["backward"]]
    assert stacks.index(["backward"]) == (1 if container is nn.Sequential else 2)  # a graph's _start_backward
    formula = "column_sum" if cls is nn.Linear else layers_own[2][-1]
    assert formula in inspect.getsource(cls.backward)
    assert layers_own[:3] == [["backward"], ["backward", "check_dY"], ["backward", formula]]


def test_a_debugger_shows_the_formula_and_its_arguments():
    dY, Y = np.array([2.0]), np.array([0.5])
    formula = Kernel(kernels.tanh_backward.formula, (), {})
    for _ in "first", "second":  # the first call makes the function
        frame = Stepper().stacks_of(formula, dY, Y)[0][-1]
        lines, first = inspect.getsourcelines(formula.formula)
        assert frame.f_code.co_filename == inspect.getsourcefile(formula.formula)
        assert lines[frame.f_code.co_firstlineno - first].strip() == "return dY * (1 - Y * Y)"
        assert frame.f_locals["Y"] is Y


@pytest.mark.parametrize("loss", [nn.MSELoss(), nn.BCELoss(), nn.CrossEntropyLoss(), nn.CosineEmbeddingLoss()])
def test_the_text_of_a_layer_is_not_made_before_there_is_an_error(loss):
    args: Any = np.full((2, 1), 0.5), np.array([[0], [1]])
    if isinstance(loss, nn.CrossEntropyLoss):
        args = np.ones((2, 3)), np.array([0, 1])
    elif isinstance(loss, nn.CosineEmbeddingLoss):
        args = np.ones((2, 3)), np.ones((2, 3)), np.array([1, -1])
    stacks = Stepper().stacks_of(loss.forward, *args)
    assert not {"__repr__", "one_line", "extra_repr"} & {name for stack in stacks for name in names(stack)}


class Session(pdb.Pdb):
    """pdb with a list of commands, which it prints as a terminal does."""

    def __init__(self, commands: list[str]) -> None:
        self.out = io.StringIO()
        super().__init__(stdin=io.StringIO("\n".join(commands)), stdout=self.out, readrc=False, nosigint=True)
        self.use_rawinput = False

    def precmd(self, line: str) -> str:
        self.out.write(f"{line.strip()}\n")
        return line


def test_the_session_of_the_readme():
    """But for the numbers of lines, which move."""

    def without_numbers(text: str) -> list[str]:
        return re.sub(r"\(\d+\)", "()", re.sub(r"> \S*(nnlite/\S+\.py)", r"> \1", text)).splitlines()

    (shown,) = re.findall(r"^```pdb\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    commands = re.findall(r"^\(Pdb\) (.*)", shown, re.MULTILINE)
    X, Y = np.array([[0.5, -1.0], [2.0, 0.0]], np.float32), np.array([[1.0], [0.0]], np.float32)
    model = nn.Sequential(nn.Linear(2, 16, rng=0), nn.Tanh(), nn.Linear(16, 1, rng=1), nn.Sigmoid())
    loss = nn.BCELoss()
    loss.forward(model.forward(X), Y)
    session = Session(commands)
    session.run("model.backward(loss.backward())", {"nn": nn, "model": model, "loss": loss})
    lines = iter(without_numbers(session.out.getvalue()))
    assert [line for line in without_numbers(shown) if line not in lines] == []  # in this order
