"""The lessons: their code prints what the pages show, in both languages, and the checker knows right from wrong."""

import io
import re
import sys
import tokenize
from pathlib import Path

import numpy as np
import pytest

COURSE = Path(__file__).parent.parent / "examples" / "course"
sys.path.insert(0, str(COURSE))

import checker  # noqa: E402
import run  # noqa: E402

PAGES = sorted(COURSE.glob("[0-9]*.md"))
NAMES = [page.stem for page in PAGES]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_a_page_shows_what_its_code_prints(page):
    assert run.run(page) == page.read_text(encoding="utf-8")


def code(page):
    """The code of a page as tokens, without comments and without the name of the checker."""
    blocks = "".join(match["code"] for match in run.PYTHON.finditer(page.read_text(encoding="utf-8")))
    tokens = tokenize.generate_tokens(io.StringIO(blocks.replace("import comprobar as check", "import check")).readline)
    return [token.string for token in tokens if token.type not in (tokenize.COMMENT, tokenize.NL)]


@pytest.mark.parametrize("number", range(5))
def test_both_languages_have_the_same_code(number):
    one, other = [page for page in PAGES if page.name.startswith(str(number))]
    assert code(one) == code(other)
    assert {"## Exercises" in page.read_text(encoding="utf-8") for page in (one, other)} == {True, False}


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_a_page_has_all_its_parts(page):
    text = page.read_text(encoding="utf-8")
    assert len(re.findall(r"^## ", text, re.M)) >= 6
    solved = re.findall(r'^check\("(\d\.\d)", (?!\.\.\.)', text, re.M)
    asked = re.findall(r'^check\("(\d\.\d)", \.\.\.', text, re.M)
    assert solved == asked == [f"{page.name[0]}.{n}" for n in (1, 2, 3)]
    assert "nn.explain(" in text
    assert "```mermaid" in text
    assert "```pdb" in text
    for link in re.findall(r"\]\(([^)]+)\)", text):
        assert (page.parent / link).exists()


@pytest.mark.parametrize("name", checker.EXERCISES)
def test_each_mistake_has_its_hint_in_both_languages(name):
    right, mistakes = checker.EXERCISES[name]
    assert checker.judged(name, ...) is checker.OPEN
    if callable(right):
        return  # the next test
    assert checker.judged(name, right) is checker.RIGHT
    for wrong, hint in mistakes:
        said = checker.judged(name, wrong)
        assert said.en == f"not yet: {hint.en}"
        assert said.es == f"todavía no: {hint.es}"
    shape = checker.judged(name, np.zeros((7, 7)))
    assert "expected" in shape.en
    assert "(7, 7)" in shape.es


def by_hand(X, y, W1, b1, W2, b2, U, c, wrong=""):
    h1 = np.tanh(X @ W1 + b1)
    h2 = 1 / (1 + np.exp(-(h1 @ W2 + b2)))
    du3 = (1 / (1 + np.exp(-(h2 @ U + c))) - y) / (1 if wrong == "N" else len(X))
    du2 = du3 @ U.T * h2 * (1 - h2)
    du1 = du2 @ W2.T * (1 - (h1 if wrong == "tanh" else h1 * h1))
    dW1 = du1.T @ du1 if wrong == "du1^T du1" else X.T @ du1
    return dW1, du1.sum(axis=0), h1.T @ du2, du2.sum(axis=0), h2.T @ du3, du3.sum(axis=0)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("", "right"),
        ("N", "dc is N times too large: the 1/N"),
        ("tanh", "not yet: db1 (dW2, db2, dU, dc: right)"),
        ("du1^T du1", "dW1: not yet: expected (3, 4), got (4, 4)"),
    ],
)
def test_the_checker_names_the_first_gradient_that_is_wrong(wrong, said):
    assert checker.judged("2.3", lambda *arrays: by_hand(*arrays, wrong=wrong)).en == said


def test_the_checker_of_a_layer_names_the_mistake():
    import nnlite as nn

    class Swish(nn.Layer):
        def forward(self, X):
            self.s = 1 / (1 + np.exp(-X))
            return X * self.s

        def backward(self, dY):
            return dY * self.s * (1 - self.s)

    assert checker.judged("4.3", nn.Tanh()).es == "todavía no: forward"
    assert checker.judged("4.3", Swish()).en.startswith("not yet: backward: ")


def test_the_checker_speaks_both_languages(capsys):
    checker.check("1.3", 1)
    checker.comprobar("1.3", 1)
    assert capsys.readouterr().out == "1.3: right\n1.3: correcto\n"
    with pytest.raises(ValueError, match=r"expected one of 0\.1, "):
        checker.check("9.9", 1)
