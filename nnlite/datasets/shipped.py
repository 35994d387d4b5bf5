"""Data sets that come with the package: two of measurements, and a poem."""

import gzip
from importlib.resources import files

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.checks import whole
from nnlite.datasets.dataset import Dataset

CC_BY = "under the Creative Commons Attribution 4.0 International licence, https://creativecommons.org/licenses/by/4.0/"


def breast_cancer() -> Dataset:
    """Breast Cancer Wisconsin (Diagnostic): 569 tumours, malignant or benign.

    The numbers are those of scikit-learn's ``load_breast_cancer``, in the same order. They are of very different sizes:
    standardize each column with mean and standard deviation of the training rows.

    Returns:
        X (569, 30), Y (569, 1): 0 malignant (212), 1 benign (357).

    Source: W. H. Wolberg, W. N. Street and O. L. Mangasarian, 1995, UCI Machine Learning Repository.

    >>> X, Y = breast_cancer()
    >>> X.shape, int(Y.sum())
    ((569, 30), 357)
    """
    names, table = _table("breast_cancer.csv.gz")
    description = (
        "Tumours of the breast, malignant or benign. Ten properties of the cell nuclei in an image of a fine needle "
        "aspirate, each as its mean, its standard error and the mean of its three largest values. Breast Cancer "
        "Wisconsin (Diagnostic), William H. Wolberg, W. Nick Street and Olvi L. Mangasarian, 1995, UCI Machine "
        f"Learning Repository, https://doi.org/10.24432/C5DW2B, {CC_BY}. Changed here: the format; without identity "
        "numbers; M and B are 0 and 1."
    )
    return Dataset(table[:, :-1], table[:, -1:], names[:-1], ("malignant", "benign"), description)


def digits() -> Dataset:
    """Optical Recognition of Handwritten Digits: 1,797 images of 8 x 8 pixels.

    The numbers are those of scikit-learn's ``load_digits``, in the same order. Divide them by 16.

    Returns:
        X (1797, 64), pixels from 0 to 16, row by row, Y (1797,), the digits.

    Source: E. Alpaydin and C. Kaynak, 1998, UCI Machine Learning Repository.

    >>> X, Y = digits()
    >>> X.shape, int(X.max()), Y[:3]
    ((1797, 64), 16, array([0, 1, 2]))
    """
    names, table = _table("digits.csv.gz")
    description = (
        "Images of handwritten digits. 8 x 8 pixels, each the number of dark points in a block of 4 x 4 of a bitmap. "
        "Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak, 1998, UCI Machine Learning Repository, "
        f"https://doi.org/10.24432/C50P49, {CC_BY}. This is the test part, of 13 writers. Changed here: the format."
    )
    return Dataset(table[:, :-1], table[:, -1].astype(int), names[:-1], tuple("0123456789"), description)


def text(length: int = 16, step: int = 1) -> Dataset:
    """The Raven, letter by letter: windows of the text, and the letters that come next.

    ``"".join(dataset.target_names[code] for code in dataset.X[0])`` is a window as text. For a model that sees a window
    and says the letter after it, the target is ``Y[:, -1]``.

    Args:
        length: how many letters a window has.
        step: how many letters each window begins after the one before.

    Returns:
        X (n, length), the codes of letters, Y (n, length), the codes of the letters one further on. ``target_names``
        are the letters in the order of their codes.

    Raises:
        TypeError, ValueError: an argument is no whole number, or too small or large.

    Source: E. A. Poe, The Raven, 1845.

    >>> dataset = text(length=12)
    >>> ["".join(dataset.target_names[code] for code in row) for row in (dataset.X[0], dataset.Y[0])]
    ['Once upon a ', 'nce upon a m']
    """
    letters = np.array([*(files(__package__) / "the_raven.txt").read_text(encoding="utf-8")])
    length, step = whole(length, "text: length", least=1), whole(step, "text: step", least=1)
    if length >= len(letters):
        raise ValueError(f"text: length: expected less than the {len(letters)} letters of the text, got {length}")
    alphabet, codes = np.unique(letters, return_inverse=True)
    windows = np.lib.stride_tricks.sliding_window_view(codes, length + 1)[::step]
    description = "A poem, letter by letter. The Raven, Edgar Allan Poe, 1845, in the public domain."
    names = tuple(f"letter {number}" for number in range(length))
    return Dataset(windows[:, :-1].copy(), windows[:, 1:].copy(), names, tuple(alphabet.tolist()), description)


def _table(name: str) -> tuple[tuple[str, ...], Array]:
    """The names of the columns and the numbers of a file."""
    with (files(__package__) / name).open("rb") as packed, gzip.open(packed, "rt", encoding="utf-8") as file:
        names = file.readline().removeprefix("# ").strip().split(",")
        return tuple(names), np.loadtxt(file, delimiter=",")
