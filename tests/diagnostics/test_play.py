"""play: what each step of the page shows, without a browser and in one."""

import html
import json
import re
import shutil
import subprocess

import numpy as np
import pytest

import nnlite as nn


def data(page):
    """What the page's script reads."""
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page.html, re.DOTALL)[1])


def scenes(page):
    return re.findall(r'<div class="scene" hidden>(.*?)</div>', page.html, re.DOTALL)


def texts(scene):
    """The texts of a scene by their id."""
    found = re.findall(r'<text data-id="(\w+)"[^>]*>(.*?)</text>', scene)
    return {name: html.unescape(re.sub(r"<[^>]+>", " ", text)).strip() for name, text in found}


def shown(page, step):
    """The texts that are visible at a step."""
    frame = data(page)["frames"][step]
    return {name: text for name, text in texts(scenes(page)[frame["scene"]]).items() if name in frame["visible"]}


def fork():
    a, b = nn.Input("a"), nn.Input("b")
    return nn.Graph([a, b], (a + b) * (b + 1))


def network():
    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Linear(3, 2, rng=rng), nn.Tanh(), nn.Linear(2, 1, rng=rng), nn.Sigmoid())
    return model, rng.normal(size=(4, 3)), rng.integers(0, 2, (4, 1))


def test_a_step_shows_what_is_known_and_a_fork_ends_in_its_sum():
    page = nn.play(fork(), (2.0, 1.0))
    frames = data(page)["frames"]
    assert [frame["phase"] for frame in frames] == ["given", *["forward"] * 3, *["backward"] * 3, "sum"]
    assert sorted(shown(page, 0).values()) == ["1", "1", "2"]  # a, and b on both its ways
    assert sorted(shown(page, 3).values()) == ["1", "1", "2", "2", "3", "6"]
    assert sorted(set(shown(page, 4).values()) - set(shown(page, 3).values())) == ["∇ 1", "∇ 2", "∇ 3"]
    assert "∇ sum 5" not in shown(page, 6).values()
    assert "∇ sum 5" in shown(page, 7).values()
    assert frames[1]["title"] == "0 Add()"
    assert "Z = 2 + 1 = 3" in frames[1]["panel"]


def test_the_operation_at_hand_is_marked_with_its_edges():
    page = nn.play(fork(), (2.0, 1.0))
    frame = data(page)["frames"][3]
    scene = scenes(page)[0]
    assert f'<g data-id="n{frame["node"]}" class="node gate">' in scene
    assert "\N{MULTIPLICATION SIGN}" in scene.split(f'data-id="n{frame["node"]}"')[1].split("</g>")[0]
    assert len(frame["edges"]) == 3


def test_gradients_of_parameters_appear_in_backward():
    model, X, Y = network()
    page = nn.play(model, X, Y, nn.BCELoss())
    phases = [frame["phase"] for frame in data(page)["frames"]]
    assert phases == ["given", *["forward"] * 5, *["backward"] * 5]
    assert not any(text.startswith("dW") for text in shown(page, 5).values())
    assert sum(text.startswith("dW") for text in shown(page, 8).values()) == 1
    assert sum(text.startswith("dW") for text in shown(page, 10).values()) == 2


def test_a_training_shows_its_steps_and_the_losses_that_fall():
    model, X, Y = network()
    before = model.Phi.copy()
    page = nn.play(model, X, Y, nn.BCELoss(), optimizer=nn.SGD(model, lr=0.5), steps=3)
    assert (model.Phi == before).all()
    expected, loss, optimizer = [], nn.BCELoss(), nn.SGD(model, lr=0.5)
    for _ in range(3):
        expected.append(loss.forward(model.forward(X), Y))
        model.backward(loss.backward())
        optimizer.step()
    assert data(page)["losses"] == pytest.approx(expected)
    assert expected[0] > expected[1] > expected[2]
    assert len(scenes(page)) == 3
    updates = [frame for frame in data(page)["frames"] if frame["phase"] == "update"]
    assert [frame["scene"] for frame in updates] == [0, 1, 2]
    assert "<td>2.W</td>" in updates[0]["panel"]
    assert "SGD(" in updates[0]["panel"]


def test_plain_descent_is_shown_as_its_formula_with_an_entry_in_numbers():
    layer = nn.Linear(1, 1, dtype=np.float64)
    layer.Phi = [2.0, 0.0]

    def update(optimizer):  # the error is 2 * 3 - 5 = 1, so dPhi = (2 * 1 * 3, 2 * 1)
        options = {"target": [[5.0]], "loss": nn.MSELoss(), "optimizer": optimizer, "steps": 1}
        return html.unescape(data(nn.play(layer, [[3.0]], **options))["frames"][-1]["panel"])

    assert "<code>Phi[0] = 2 - 0.1 * 6 = 1.4</code>" in update(nn.SGD(layer, lr=0.1))
    assert "<code>Phi <- Phi - lr dPhi</code>" in update(nn.SGD(layer, lr=0.1))
    assert "Phi <-" not in update(nn.Adam(layer, lr=0.1))
    assert "Phi <-" not in update(nn.SGD(layer, lr=0.1, weight_decay=0.1))


def test_backward_marks_no_edge_of_a_target():
    model, X, Y = network()
    page = nn.play(model, X, Y, nn.BCELoss())
    forward, backward = data(page)["frames"][5:7]
    assert forward["title"] == backward["title"] == "loss BCELoss()"
    assert len(forward["edges"]) == 3
    assert len(backward["edges"]) == 2
    assert {f"g{n}" for n in backward["edges"]} <= set(texts(scenes(page)[0]))


@pytest.mark.parametrize(
    ("make", "inputs", "options"),
    [
        (
            lambda: nn.LSTMCell(2, 3, rng=0),
            (np.ones((1, 2)), np.ones((1, 3)), np.ones((1, 3))),
            {"dY": (np.ones((1, 3)),) * 2},
        ),
        (lambda: nn.LSTM(2, 3, rng=0), np.ones((1, 3, 2)), {"dY": np.ones((1, 3, 3))}),
        (lambda: nn.Residual(nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 4, rng=1))), np.eye(4), {"dY": np.eye(4)}),
        (lambda: nn.Linear(2, 3, rng=0), np.ones((2, 2)), {}),
        (lambda: nn.Linear(2, 1, rng=0), [[1.0, 2.0]], {}),
        (lambda: nn.Embedding(5, 2, rng=0), np.array([1, 2]), {"dY": np.ones((2, 2))}),
        (
            lambda: nn.Sequential(nn.Linear(3, 4, rng=0), nn.Dropout(0.5, rng=0)),
            np.ones((2, 3)),
            {"dY": np.ones((2, 4))},
        ),
        (lambda: nn.MSELoss(), np.ones((2, 1)), {"target": np.zeros((2, 1))}),
    ],
    ids=["LSTMCell", "LSTM", "Residual", "forward alone", "one number", "Embedding", "Dropout", "loss"],
)
def test_models_of_all_kinds(make, inputs, options):
    page = nn.play(make(), inputs, **options)
    phases = [frame["phase"] for frame in data(page)["frames"]]
    assert "forward" in phases
    assert ("backward" in phases) != (isinstance(inputs, np.ndarray) and not options)  # no dY, and not a single number
    assert all(frame["node"] is not None for frame in data(page)["frames"][1:])
    assert len(page.html.encode()) < 300_000


def test_names_cannot_break_out_of_the_page():
    evil = "</script><img src=x onerror=alert(1)>"
    x = nn.Input("x")
    page = nn.play(nn.Graph(x, nn.Square()(x)), 2.0, names={"x": evil, "0": "<!--<script>"})
    assert "<img" not in page.html
    assert page.html.count("<script") == 2
    assert data(page)["frames"]

    class Layer(nn.Tanh):
        def extra_repr(self):
            return evil

    page = nn.play(Layer(), 0.5)
    assert "<img src" not in page.html.replace(
        "<\\/script><img src", ""
    )  # but as text in the data, which is escaped there
    assert page.html.count("</script>") == 2


def test_a_page_needs_nothing_else():
    page = nn.play(fork(), (2.0, 1.0))
    assert not re.findall(r"(?:src|href)=|https?://|@import|url\(", page.html)
    assert "$" not in page.html.split("<script>")[0].split('id="data">')[0]


def test_a_notebook_gets_a_frame_and_a_file_is_whole(tmp_path):
    page = nn.play(fork(), (2.0, 1.0))
    frame = page._repr_html_()
    assert html.unescape(re.search(r'srcdoc="(.*?)"', frame, re.DOTALL)[1]) == page.html
    page.save(tmp_path / "play.html")
    assert (tmp_path / "play.html").read_text(encoding="utf-8") == page.html
    assert repr(page).startswith(f"Player({len(page.html):,} characters of HTML")


def test_open_shows_a_file_in_the_browser(monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    nn.play(fork(), (2.0, 1.0)).open()
    assert opened[0].startswith("file://")
    assert opened[0].endswith("play.html")


LAYER = nn.Linear(1, 1, rng=0)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"steps": 2}, ValueError, "steps: expected 1 without an optimizer"),
        ({"steps": 0}, ValueError, "play: steps"),
        ({"optimizer": "sgd"}, TypeError, "play: optimizer: expected one such as"),
        ({"optimizer": nn.SGD(nn.Linear(1, 1), lr=0.1)}, ValueError, "is not of this model"),
        ({"optimizer": nn.SGD(LAYER, lr=0.1)}, ValueError, "optimizer: expected a loss, which the training reduces"),
        ({"loss": 3}, TypeError, "loss"),
        ({"loss": nn.MSELoss()}, ValueError, "target"),
    ],
)
def test_bad_arguments(options, error, message):
    with pytest.raises(error, match=message):
        nn.play(LAYER, [[1.0], [2.0]], **options)


# ------------------------------------------------------------------------------------------------------ in a browser

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

CLICKS = """
<iframe id="page" srcdoc="{page}"></iframe><pre id="seen"></pre>
<script>
document.getElementById("page").onload = () => {{
  const inside = document.getElementById("page").contentDocument, seen = [];
  const note = (what) => {{
    const visible = [...inside.querySelectorAll(".scene:not([hidden]) text[data-id]:not(.unknown)")];
    const count = inside.getElementById("count").textContent;
    const marked = inside.querySelectorAll(".scene:not([hidden]) .node.now");
    const panel = inside.getElementById("panel").innerText;
    seen.push([what, count, inside.body.dataset.phase, visible.length, marked.length, panel.length > 5]);
  }};
  const press = (key) => inside.dispatchEvent(new inside.defaultView.KeyboardEvent("keydown", {{ key }}));
  note("start");
  inside.getElementById("next").click(); note("next");
  inside.getElementById("last").click(); note("last");
  inside.getElementById("back").click(); note("back");
  press("Home"); note("Home");
  press("ArrowRight"); press("ArrowRight"); note("two to the right");
  press("End"); note("End");
  const slider = inside.getElementById("slider");
  slider.value = 4; slider.oninput({{ target: slider }}); note("slider");
  press(" "); seen.push(["play", inside.getElementById("play").textContent]);
  press("ArrowLeft"); seen.push(["pause", inside.getElementById("play").textContent]);
  document.getElementById("seen").textContent = JSON.stringify(seen);
}};
</script>
"""


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_buttons_keys_and_the_slider_walk_through_the_page(tmp_path):
    page = nn.play(fork(), (2.0, 1.0))
    file = tmp_path / "clicks.html"
    file.write_text(CLICKS.format(page=html.escape(page.html, quote=True)), encoding="utf-8")
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command = [CHROMIUM, *options, "--virtual-time-budget=2000", "--dump-dom", file.as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    seen = json.loads(html.unescape(re.search(r'<pre id="seen">(.*?)</pre>', dom)[1]))
    assert seen == [
        ["start", "0 of 7", "given", 3, 0, True],
        ["next", "1 of 7", "forward", 4, 1, True],
        ["last", "7 of 7", "sum", 13, 1, True],
        ["back", "6 of 7", "backward", 12, 1, True],
        ["Home", "0 of 7", "given", 3, 0, True],
        ["two to the right", "2 of 7", "forward", 5, 1, True],
        ["End", "7 of 7", "sum", 13, 1, True],
        ["slider", "4 of 7", "backward", 9, 1, True],
        ["play", "Pause"],
        ["pause", "Play"],
    ]


def test_a_loss_that_is_not_finite_is_none_in_the_data():
    """``NaN`` is no JSON: a browser would show an empty page."""
    model, X, _ = network()
    optimizer = nn.SGD(model, lr=0.1)
    for wrong in np.nan, np.inf:
        with np.errstate(invalid="ignore", over="ignore"):
            page = nn.play(model, X, np.full((4, 1), wrong), nn.MSELoss(), optimizer=optimizer, steps=2)
        text = re.search(r'id="data">(.*?)</script>', page.html, re.DOTALL)[1]
        assert json.loads(text, parse_constant=pytest.fail)["losses"] == [None, None]


def test_arguments_that_are_left_out_are_not_shown():
    layer = nn.TransformerEncoderLayer(4, 2, dim_feedforward=8, rng=0)
    frames = data(nn.play(layer, np.ones((2, 3, 4)), dY=np.ones((2, 3, 4))))["frames"]
    assert "None" not in "".join(frame["panel"] for frame in frames)


@pytest.mark.parametrize("draws", [nn.play, nn.draw, nn.to_mermaid, nn.to_dot])
def test_several_losses_and_a_target_without_a_loss_have_their_cure(draws):
    model, X, Y = network()
    with pytest.raises(TypeError, match=r"^loss: expected one loss, got several; build a graph that has"):
        draws(model, X, (Y, Y), (nn.MSELoss(), nn.MSELoss()))
    with pytest.raises(ValueError, match=r"^loss: got a target, but Sequential\(4 layers\) takes none; pass loss= too"):
        draws(model, X, Y)
