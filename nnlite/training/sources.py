"""Sources: what is read a batch at a time because it is not an array: sparse matrices, files, datasets of samples."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array, as_array
from nnlite.basics.trees import each_of
from nnlite.errors import ShapeError


class SparseRows:
    """The rows of a sparse matrix of SciPy, made dense a batch at a time.

    Args:
        matrix: a sparse matrix or array of any format.
        name: what to call it in an error.
    """

    def __init__(self, matrix: Any, name: str) -> None:
        if len(matrix.shape) != 2:
            cure = f"; pass {name}.toarray()" * name.isidentifier()
            raise ShapeError(f"{name}: expected a sparse matrix of two axes, got shape {matrix.shape}{cure}")
        if matrix.dtype.kind not in "fiub":
            raise TypeError(f"{name}: expected real numbers, got a sparse matrix of dtype {matrix.dtype}")
        self.matrix = matrix.tocsr()  # the format whose rows can be read; no copy if it has it already
        self.shape = self.matrix.shape

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, rows: Any) -> Array:
        dense: Array = self.matrix[rows].toarray()
        return dense


class SourceRows:
    """The rows of an object with ``len`` and indexing, by row numbers or else one sample at a time.

    Row numbers are asked for in ascending order, as h5py demands, and the rows put back in the order wanted. An object
    that cannot be indexed by several row numbers at once is asked for one sample after the other.

    Args:
        source: the object.
        name: what to call it in an error.
        by_sample: whether ``source[i]`` is one sample; None to find it out at the first batch.
    """

    def __init__(self, source: Any, name: str, by_sample: bool | None = None) -> None:
        self.source = source
        self.name = name
        self.by_sample = by_sample

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, rows: Any) -> Any:
        numbers = np.arange(len(self))[rows] if isinstance(rows, slice) else rows
        if self.by_sample:
            return self._samples(numbers)
        back = None
        try:
            if isinstance(rows, slice):
                batch = self.source[rows]
            else:
                order = np.argsort(numbers)
                back = np.argsort(order)
                batch = self.source[numbers[order]]
        except Exception as error:
            if self.by_sample is None and (samples := self._samples_or_none(numbers)) is not None:
                self.by_sample = True
                return samples
            if self.by_sample is None:
                pandas = f", such as {self.name}.to_pandas()" * hasattr(self.source, "to_pandas")
                error.add_note(
                    f"{self.name}: neither an array of row numbers nor the number of one sample can index "
                    f"{type(self.source).__name__}; pass an array or a frame{pandas}"
                )
            raise
        self.by_sample = False
        batch = each_of(lambda values: self._checked(as_array(values, self.name), len(numbers)), batch)
        return batch if back is None else each_of(lambda array: array[back], batch)

    def _samples(self, numbers: Any) -> Any:
        return stacked([self._sample(int(number)) for number in numbers], self.name)

    def _sample(self, number: int) -> Any:
        return self.source[number]

    def _samples_or_none(self, numbers: Any) -> Any:
        try:
            return self._samples(numbers)
        except Exception:  # then what indexing by several row numbers raised is the error to show
            return None

    def _checked(self, rows: Array, count: int) -> Array:
        if rows.ndim == 0 or len(rows) != count:
            raise ShapeError(
                f"{self.name}: expected {count} rows for {count} row numbers, got shape {rows.shape} from "
                f"{type(self.source).__name__}.__getitem__; return one row for each row number"
            )
        return rows


class SamplePairs(SourceRows):
    """The rows of a dataset whose item i is the pair (x, y) of one sample, as of PyTorch's Dataset; a batch is (X, Y).

    Args:
        source: the dataset.
        name: what to call it in an error.
    """

    def __init__(self, source: Any, name: str) -> None:
        super().__init__(source, name, by_sample=True)

    def _sample(self, number: int) -> tuple[Any, Any]:
        pair = self.source[number]
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise TypeError(
                f"{self.name}: expected samples that are pairs (x, y), got as sample {number} {not_a_pair(pair)}"
            )
        x, y = pair
        return x, y


def not_a_pair(item: Any) -> str:
    """What came instead of a pair, and the cure for what users of Keras and Hugging Face pass.

    >>> not_a_pair({"image": 0, "label": 1})
    "a dict of 'image', 'label'; make a pair of two of its entries"
    >>> not_a_pair((0, 1, 2))
    'a tuple of 3; weights come beside arrays X and Y, as sample_weight'
    """
    if isinstance(item, dict):
        return f"a dict of {', '.join(map(repr, item))}; make a pair of two of its entries"
    if isinstance(item, tuple | list):
        weights = "; weights come beside arrays X and Y, as sample_weight"
        return f"a {type(item).__name__} of {len(item)}{weights * (len(item) == 3)}"
    return type(item).__name__


class KerasBatches:
    """The batches of a Keras Sequence, whose ``on_epoch_end`` is called after the last one.

    Args:
        sequence: the Sequence or PyDataset.
    """

    def __init__(self, sequence: Any) -> None:
        self.sequence = sequence

    def __len__(self) -> int:
        return len(self.sequence)

    def __iter__(self) -> Iterator[Any]:
        for number in range(len(self)):
            yield self.sequence[number]
        self.sequence.on_epoch_end()


def stacked(samples: list[Any], name: str) -> Any:
    """The samples as one array with a row for each; for tuples, lists and dicts of arrays each of them.

    Raises:
        ShapeError: the samples differ in shape.

    >>> stacked([(np.zeros(2), 1), (np.ones(2), 0)], "X")
    (array([[0., 0.],
           [1., 1.]]), array([1, 0]))
    """
    first = samples[0]
    if isinstance(first, dict):
        return {key: stacked([sample[key] for sample in samples], f"{name}[{key!r}]") for key in first}
    if isinstance(first, tuple):
        parts = zip(*samples, strict=True)
        return tuple([stacked(list(part), f"{name}[{index}]") for index, part in enumerate(parts)])
    arrays = [as_array(sample, name) for sample in samples]
    shapes = list(dict.fromkeys(array.shape for array in arrays))
    if len(shapes) > 1:
        raise ShapeError(
            f"{name}: expected samples of one shape, got {' and '.join(map(str, shapes[:2]))}; pad them, or pass "
            "batches of samples of one shape"
        )
    return np.stack(arrays)


def is_sparse(values: Any) -> bool:
    """Whether the values are a sparse matrix or array of SciPy."""
    return hasattr(values, "tocsr") and hasattr(values, "toarray")


def is_dataset(source: Any) -> bool:
    """Whether the source has ``len`` and indexing but is no iterable, as PyTorch's Dataset."""
    return hasattr(source, "__getitem__") and hasattr(source, "__len__") and not hasattr(source, "__iter__")


def is_keras_sequence(source: Any) -> bool:
    """Whether the source is a Sequence or PyDataset of Keras, whose items are batches."""
    return all(hasattr(source, name) for name in ("__getitem__", "__len__", "on_epoch_end"))
