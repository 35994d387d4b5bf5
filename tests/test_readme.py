"""The code of the README runs from top to bottom, and prints what the README says."""

import contextlib
import io
import re
from pathlib import Path

import numpy as np

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def test_the_code_of_the_readme_runs_and_shows_what_it_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    blocks = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 8
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()):
        for block in blocks:
            exec(block, names)
    assert names["history"]["val_binary_accuracy"][-1] > 0.95
    inside, outside = names["nn"].predict(names["model"][:0], np.zeros((2, 2))), out.getvalue()
    assert inside.shape == (2, 2)
    assert re.search(r"^right +dgamma +\(3,\)", outside, re.MULTILINE)
    verdict = re.search(r"The last one says: `(.*?)`\.", README, re.DOTALL)[1].replace("\n", " ")
    assert verdict in " ".join(outside.split())
    said = re.search(r"^```\n(dL/du2 .*?)^```", README, re.MULTILINE | re.DOTALL)[1]
    assert all(f"  {line}\n" in outside for line in said.splitlines())
    assert re.search(r"^WRONG  input scale +column 1 of X", outside, re.MULTILINE)


def test_a_network_takes_15_lines():
    block = re.search(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)[1]
    assert len([line for line in block.splitlines() if line.strip()]) <= 15
