"""play: the steps of a model's forward and backward, and of its training, as a page of HTML."""

import copy
import html
import json
import os
import tempfile
import webbrowser
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from nnlite.basics.checks import whole
from nnlite.diagnostics.array_text import array_range, array_text, scalar_text
from nnlite.diagnostics.picture import Picture, picture
from nnlite.diagnostics.play.scene import scenes
from nnlite.diagnostics.steps import Step, backward_steps, forward_steps
from nnlite.diagnostics.text_table import shortened
from nnlite.layer.layer import Layer, check_layer
from nnlite.losses.per_output import check_loss
from nnlite.optim.optimizer import Optimizer
from nnlite.saving.atomic_write import atomic_write

HEIGHT = 760  # of the frame in a notebook, in pixels


@dataclass(frozen=True)
class Player:
    """A page of HTML on which a model runs, one operation at a time; a notebook shows it.

    Attributes:
        html: the page; it needs no network and no other file.

    >>> import nnlite as nn
    >>> page = nn.play(nn.Tanh(), 0.5)
    >>> page.html[:15], len(page.html) < 50_000
    ('<!DOCTYPE html>', True)
    """

    html: str

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page into a file, which replaces one that is there when it is complete."""
        with atomic_write(path) as file:
            file.write(self.html.encode("utf-8"))

    def open(self) -> None:
        """Show the page in the browser, from a temporary file."""
        path = Path(tempfile.mkdtemp(prefix="nnlite-")) / "play.html"
        self.save(path)
        webbrowser.open(path.as_uri())

    def _repr_html_(self) -> str:
        page = html.escape(self.html, quote=True)
        return f'<iframe srcdoc="{page}" style="width:100%;height:{HEIGHT}px;border:1px solid #8884"></iframe>'

    def __repr__(self) -> str:
        return f'Player({len(self.html):,} characters of HTML; .save("play.html") or .open() shows it)'


def play(
    model: Layer,
    X: Any,
    target: Any = None,
    loss: Layer | None = None,
    *,
    dY: Any = None,
    optimizer: Optimizer | None = None,
    steps: int = 1,
    names: dict[str, str] | None = None,
) -> Player:
    """A page on which a model runs forward and backward, one operation at a time, with buttons, keys and a slider.

    The graph is that of :func:`nnlite.draw`; beside it stand the formula of the operation at hand, one entry of it in
    numbers, and its arrays. With an optimizer the page shows the first steps of a training on these rows. Everything
    runs on copies; the model stays unchanged.

    Keys: the arrows for a step, Home and End for the first and the last, Space to play and to pause.

    Args:
        model: any Layer; :func:`nnlite.forward_steps` says which layers are split into several operations.
        X: its input; a tuple or a dict by name if there are several.
        target: the target of the loss.
        loss: a loss behind the model.
        dY: the gradient of the output, in place of a loss; 1 by default if the output is a single number. Without
            either the page shows forward alone.
        optimizer: one of this model, such as ``SGD(model, lr=0.1)``, for a training.
        steps: how many steps of the training.
        names: names of your own, as in :func:`nnlite.draw`.

    Returns:
        The page: a notebook shows it, ``.open()`` a browser, ``.save("play.html")`` writes it.

    Raises:
        TypeError, ValueError: as :func:`nnlite.draw`; or an optimizer of another model or without a loss; ``steps``
            below 1, or above 1 without an optimizer.

    >>> import nnlite as nn
    >>> a, b = nn.Input("a"), nn.Input("b")
    >>> nn.play(nn.Graph([a, b], (a + b) * (b + 1)), (2.0, 1.0))
    Player(... characters of HTML; .save("play.html") or .open() shows it)
    """
    check_layer(model, "model")
    steps = whole(steps, "play: steps", least=1)
    if loss is not None:
        check_loss(loss)
    if optimizer is None and steps > 1:
        raise ValueError("play: steps: expected 1 without an optimizer; pass optimizer=nn.SGD(model, lr=0.1)")
    if optimizer is not None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"play: optimizer: expected one such as nn.SGD(model, lr=0.1), got {optimizer!r}")
        if not np.may_share_memory(optimizer.layer.Phi, model.Phi):
            raise ValueError(f"play: optimizer: {optimizer!r} is not of this model; make it from {model.one_line()}")
    model, loss, optimizer = copy.deepcopy((model, loss, optimizer))
    pictures: list[Picture] = []
    frames: list[dict[str, Any]] = []
    losses: list[float] = []
    for number in range(steps):
        shown = picture(model, X, target, loss, dY=dY, names=names)
        pictures.append(shown)
        frames += _frames(model, X, target, loss, dY, shown, number, losses)
        if optimizer is not None:
            if all(frame["phase"] in ("given", "forward") for frame in frames):
                raise ValueError("play: optimizer: expected a loss, which the training reduces; pass target= and loss=")
            frames.append(_update(model, optimizer, number))
    return Player(_page(model, scenes(pictures), frames, losses))


def _frames(
    model: Layer, X: Any, target: Any, loss: Layer | None, dY: Any, shown: Picture, number: int, losses: list[float]
) -> Iterator[dict[str, Any]]:
    """What the page shows at each step of one forward and backward, the training's ``number``-th."""
    place = {node.path: n for n, node in enumerate(shown.nodes)}
    place |= {node.path: n for n, node in enumerate(shown.nodes) if node.computed}
    forward: list[int] = []
    backward: list[int] = []
    sums: list[int] = []
    last: Step | None = None

    def frame(phase: str, panel: str, node: int | None = None, title: str = "") -> dict[str, Any]:
        values, gradients = shown.values_after(forward), shown.gradients_after(backward)
        visible = [f"v{n}" for n in values] + [f"g{n}" for n in gradients] + [f"s{n}" for n in sums]
        visible += [f"p{n}_{k}" for n in backward for k in range(len(shown.nodes[n].lines))]
        edges = [n for n, edge in enumerate(shown.edges) if node is not None and node in (edge.start, edge.end)]
        if phase != "forward":
            edges = [n for n in edges if shown.edges[n].gradient]  # a target gets none
        what = {"scene": number, "phase": phase, "title": title, "panel": panel}
        return what | {"node": node, "edges": edges, "visible": visible}

    yield frame("given", "<p>The input is given; nothing has been computed yet.</p>", title="start")
    steps = forward_steps(model, X, target, loss)
    for last in steps:
        node = place.get(last.path)
        forward += [] if node is None else [node]
        yield frame("forward", last._repr_html_(), node, _title(last))
    outputs = [] if last is None else [*last.outputs.values()]
    if len(outputs) == 1 and np.size(outputs[0]) == 1:
        losses.append(float(np.sum(outputs[0])))
        if dY is None and loss is None and isinstance(outputs[0], np.ndarray):  # a model that is a loss needs none
            dY = np.ones_like(outputs[0])
    elif loss is None and dY is None:
        return
    for step in backward_steps(model, dY, loss):
        node = place.get(step.path, place.get(step.path.rpartition(".")[0]))
        if node is not None:
            (sums if step.name == "sum" else backward).append(node)
        yield frame(step.name, step._repr_html_(), node, _title(step))


def _title(step: Step) -> str:
    layer = "gradients add up" if step.name == "sum" else step.layer.one_line()
    return f"{step.path} {layer}".strip()


def _update(model: Layer, optimizer: Optimizer, number: int) -> dict[str, Any]:
    """The optimizer's step: each parameter before and after."""
    before = {path: P.copy() for path, P in model.named_parameters()}
    formulas = _descent(optimizer)
    optimizer.step()
    gradients = dict(model.named_gradients())
    rows = []
    for path, P in model.named_parameters():
        name = html.escape(path)
        for label, A, kind in (
            ("before", before[path], "value"),
            ("gradient", gradients[path], "gradient"),
            ("after", P, "value"),
        ):
            values = html.escape(array_text(A) or array_range(A))
            rows.append(f'<tr><td>{name}</td><th>{label}</th><td><pre class="{kind}">{values}</pre></td></tr>')
            name = ""
    lines = [repr(optimizer), *formulas]
    panel = "".join(f"<p><code>{html.escape(line)}</code></p>" for line in lines) + f"<table>{''.join(rows)}</table>"
    title = f"step {number + 1} of the training"
    return {
        "scene": number,
        "phase": "update",
        "title": title,
        "panel": panel,
        "node": None,
        "edges": [],
        "visible": None,
    }


def _descent(optimizer: Optimizer) -> list[str]:
    """The update of SGD without momentum and the like, and one entry of it in numbers; of other optimizers nothing."""
    trial = copy.deepcopy(optimizer)
    before, gradient, lr = trial.layer.Phi.copy(), trial.layer.dPhi, trial.current_lr
    trial.step()
    if not np.array_equal(trial.layer.Phi, before - before.dtype.type(lr) * gradient):
        return []
    n = int(np.argmax(np.abs(gradient)))  # an entry that moves
    old, slope, new = (scalar_text(A[n].item()) for A in (before, gradient, trial.layer.Phi))
    shown = f"({slope})" if slope.startswith("-") else slope
    return ["Phi <- Phi - lr dPhi", f"Phi[{n}] = {old} - {lr:g} * {shown} = {new}"]


def _page(model: Layer, drawn: list[str], frames: list[dict[str, Any]], losses: list[float]) -> str:
    here = files(__package__)
    data = {"frames": frames, "losses": [each if np.isfinite(each) else None for each in losses]}
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    parts = {
        "title": html.escape(shortened(model.one_line(), 80)),
        "style": (here / "play.css").read_text(encoding="utf-8"),
        "script": (here / "play.js").read_text(encoding="utf-8"),
        "scenes": "\n".join(f'<div class="scene" hidden>{each}</div>' for each in drawn),
        "data": text.replace("</", "<\\/").replace("<!--", "<\\!--"),  # it ends where the element ends, not before
    }
    return Template((here / "page.html").read_text(encoding="utf-8")).substitute(parts)
