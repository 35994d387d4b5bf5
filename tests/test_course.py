"""The lessons: their code prints what the pages show, in both languages, and the checker knows right from wrong."""

import io
import re
import sys
import tokenize
from pathlib import Path

import numpy as np
import pytest

import nnlite as nn

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
        assert (page.parent / link.partition("#")[0]).exists()


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
    shape = checker.judged(name, np.zeros((7, 8)))
    assert "got " in shape.en
    assert shape.es.startswith("todavía no: se esperaba ")
    assert not {"expected", "array", "number", "got"} & set(re.findall(r"\w+", shape.es))


@pytest.mark.parametrize("name", checker.EXERCISES)
def test_an_answer_without_numbers_is_not_yet_right(name):
    for answer in (
        None,
        "140 320",
        [["a", "b"]],
        [[1], [2, 3]],
        (),
        [],
        {},
        {1, 2},
        (None, "9"),
        np.zeros((0, 3)),
        np.nan,
    ):
        assert checker.judged(name, answer).es.startswith("todavía no: " if answer is not np.nan else "todavía no")


@pytest.mark.parametrize("pair", [(3, 9), [3, 9], np.array([3, 9])])
def test_a_pair_may_be_a_tuple_a_list_or_an_array(pair):
    assert checker.judged("1.1", pair) is checker.RIGHT


def test_a_tuple_may_stand_for_an_array():
    assert checker.judged("1.2", (0.4, 1.2)) is checker.RIGHT


def test_a_count_is_exact_and_other_numbers_have_three_digits():
    assert checker.judged("3.3", 4355) is checker.WRONG
    assert checker.judged("2.1", 0.3857) is checker.RIGHT
    assert checker.judged("2.1", 0.39).en == "not yet: nearly; answer with three digits"
    assert checker.judged("2.2", [[-0.033], [0.067], [0.2]]).es == "todavía no: casi; responde con tres cifras"


def by_hand(X, y, W1, b1, W2, b2, U, c, wrong=""):
    h1 = np.tanh(X @ W1 + b1)
    h2 = 1 / (1 + np.exp(-(h1 @ W2 + b2)))
    du3 = (1 / (1 + np.exp(-(h2 @ U + c))) - y) / {"N": 1, "1/N": len(X) ** 2, "sign": -len(X)}.get(wrong, len(X))
    du2 = du3 @ U.T * h2 * (1 - h2)
    du1 = du2 @ W2.T * (1 - (h1 if wrong == "tanh" else h1 * h1))
    dW1 = du1.T @ du1 if wrong == "du1^T du1" else X.T @ du1
    return dW1, du1.sum(axis=0), h1.T @ du2, du2.sum(axis=0), h2.T @ du3, du3.sum(axis=0)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("", "right"),
        ("N", "not yet: dc is N times too large: the 1/N"),
        ("1/N", "not yet: dc is N times too small: 1/N once only"),
        ("sign", "not yet: dc has the wrong sign"),
        ("tanh", "not yet: db1 (dW2, db2, dU, dc: right)"),
        ("du1^T du1", "not yet: dW1: expected an array (3, 4), got an array (4, 4)"),
    ],
)
def test_the_checker_names_the_first_gradient_that_is_wrong(wrong, said):
    assert checker.judged("2.3", lambda *arrays: by_hand(*arrays, wrong=wrong)).en == said


def test_the_checker_of_gradients_reads_lists_and_wants_a_function():
    assert checker.judged("2.3", lambda *arrays: [*by_hand(*arrays)]) is checker.RIGHT
    assert checker.judged("2.3", (1, 2, 3, 4, 5, 6)).en == "not yet: write the name of the function, without calling it"
    assert checker.judged("2.3", lambda *arrays: None).en == "not yet: return the six gradients"
    assert checker.judged("2.3", lambda *arrays: [None] * 6).en == "not yet: dc: expected an array (1,), got None"


def test_the_checker_of_a_layer_names_the_mistake():
    class Swish(nn.Layer):
        def forward(self, X):
            self.s = 1 / (1 + np.exp(-X))
            return X * self.s

        def backward(self, dY):
            return dY * self.s * (1 - self.s)

    assert checker.judged("4.3", nn.Tanh()).es == "todavía no: forward"
    assert checker.judged("4.3", Swish()).en.startswith("not yet: backward: ")
    assert checker.judged("4.3", Swish).en.startswith("not yet: expected a layer, such as Swish(), got <class ")
    Swish.backward = lambda self, dY: None
    assert checker.judged("4.3", Swish()).en == "not yet: backward returns nothing"
    Swish.forward = lambda self, X: None
    assert checker.judged("4.3", Swish()).en == "not yet: forward returns nothing"


def test_the_checker_speaks_both_languages(capsys):
    checker.check("1.3", 1)
    checker.comprobar("1.3", 1)
    assert capsys.readouterr().out == "1.3: right\n1.3: correcto\n"
    with pytest.raises(ValueError, match=r"expected one of 0\.1, "):
        checker.check("9.9", 1)
