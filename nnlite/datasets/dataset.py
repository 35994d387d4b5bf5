"""Dataset: inputs, targets, their names and what they are."""

from collections.abc import Iterator
from dataclasses import dataclass

from nnlite.basics.arrays import Array


@dataclass(frozen=True, eq=False)
class Dataset:
    """Inputs and targets of samples, one in each row, with names; ``X, Y = dataset``.

    Attributes:
        X: the inputs.
        Y: the targets.
        feature_names: the names of the columns of X.
        target_names: the names of the classes, in order; of a regression that of the number.
        description: what it is, with source and licence where it is not made.

    >>> import nnlite as nn
    >>> dataset = nn.datasets.xor()
    >>> dataset
    Dataset(X (4, 2), Y (4, 1): 0, 1; the exclusive or of two bits)
    >>> X, Y = dataset
    >>> Y.T
    array([[0., 1., 1., 0.]])
    """

    X: Array
    Y: Array
    feature_names: tuple[str, ...]
    target_names: tuple[str, ...]
    description: str

    def __iter__(self) -> Iterator[Array]:
        yield self.X
        yield self.Y

    def __repr__(self) -> str:
        shown = [name if name.strip() else repr(name) for name in self.target_names[:3]]  # a line break, a space
        names = ", ".join(shown) + (", ..." if len(self.target_names) > 3 else "")
        what = self.description.split(".")[0]
        return f"Dataset(X {self.X.shape}, Y {self.Y.shape}: {names}; {what[:1].lower()}{what[1:]})"
