"""Sequences of different lengths, padded a batch at a time; and long sequences, cut into pieces."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from inspect import signature
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array, as_array
from nnlite.basics.checks import whole
from nnlite.containers.sequential import Sequential
from nnlite.errors import ShapeError
from nnlite.layer.layer import Layer
from nnlite.training.batch import Batch
from nnlite.training.rows import Rows, Share
from nnlite.training.sources import SourceRows

NOISE = 0.1  # of the lengths by which sequences are sorted


def pad_sequence(sequences: Sequence[Any], padding_value: float = 0) -> tuple[Array, Array]:
    """Sequences of different lengths in one array, padded at their ends, and their lengths: ``X, lengths``.

    Args:
        sequences: N arrays or lists of T_i steps, each (T_i,) or (T_i, D), or with more axes, which agree but for the
            first.
        padding_value: what follows the last step of each; -100 for targets of losses whose ``ignore_index`` that is.

    Returns:
        X (N, T) or (N, T, D), T being the largest T_i, of a dtype that holds all values; and lengths (N,), integers.

    Raises:
        TypeError: a sequence does not hold real numbers, or is a number.
        ShapeError: the shapes of the steps differ.
        ValueError: there is no sequence, or one without steps.

    PyTorch's function of this name returns X alone, with the steps as first axis unless ``batch_first=True``.

    >>> X, lengths = pad_sequence([[1, 2, 3], [4]])
    >>> X
    array([[1, 2, 3],
           [4, 0, 0]])
    >>> lengths
    array([3, 1])
    """
    return _padded(_arrays(sequences, "sequences"), padding_value)


class Sequences(Rows):
    """Sequences of different lengths for :func:`nnlite.fit`, :func:`nnlite.evaluate` and :func:`nnlite.predict`.

    Each is a row. A batch is padded to the longest of its sequences, and its X is a pair: the array, and the lengths,
    which recurrent layers take as their second input. Where the rows are shuffled, batches are of sequences of like
    lengths, so that there is little padding: all are sorted by length with some noise, cut into batches, and these are
    put in a random order, anew in each epoch. ``fit(resume=)`` goes on with the same batches.

    With a target for each step, padded steps count neither in the loss, whichever it is, nor in metrics, which get the
    predictions and the targets of the steps inside, (steps, C) and (steps,).

    Args:
        sequences: N arrays or lists of T_i steps, each (T_i,) or (T_i, D); none is changed.
        targets: an array with a target for each sequence, (N,) or (N, ...); or a list or tuple with N arrays or lists
            that have a target for each step, (T_i,) or (T_i, ...); None for :func:`nnlite.predict`.
        padding_value: what follows the last step of X; 0 follows that of the targets.

    Raises:
        TypeError: a sequence or target does not hold real numbers.
        ShapeError: the shapes of the steps differ.
        ValueError: there are no sequences, there is one without steps, or there is another number of targets than of
            sequences, or of their steps.

    :func:`nnlite.predict` pads all to the longest, as :func:`nnlite.pad_sequence` does. A sample weight is one for
    each sequence.

    Source: Khomenko, Shyshkov, Radyvonenko and Bokhan, Accelerating recurrent neural network training using sequence
    bucketing and multi-GPU data parallelization, 2016.

    >>> import nnlite as nn
    >>> words = [[3, 1, 2], [4], [1, 2]]
    >>> tags = [[1, 0, 0], [1], [0, 0]]
    >>> x, lengths = nn.Input("x"), nn.Input("lengths")
    >>> h = nn.LSTM(4, 8, rng=0)(nn.Embedding(5, 4, rng=0)(x), lengths)
    >>> model = nn.Graph([x, lengths], nn.Linear(8, 2, rng=0)(h))
    >>> history = nn.fit(model, nn.Sequences(words, tags), loss=nn.CrossEntropyLoss(dim=-1),
    ...                  optimizer=nn.Adam(model, lr=0.1), epochs=20, metrics=[nn.accuracy], verbose=0, rng=0)
    >>> history["accuracy"][-1]
    1.0
    >>> nn.predict(model, nn.Sequences(words)).shape
    (3, 3, 2)
    """

    def __init__(self, sequences: Sequence[Any], targets: Any = None, *, padding_value: float = 0) -> None:
        arrays = _arrays(sequences, "Sequences: sequences")
        self.lengths = np.array(list(map(len, arrays)))
        source = _PaddedRows(arrays, padding_value, with_lengths=True)
        self.by_step = isinstance(targets, list | tuple) and np.ndim(targets[0] if targets else 0) > 0
        Y = targets
        if self.by_step:
            steps = _arrays(targets, "Sequences: targets")
            _check_lengths(list(map(len, steps)), self.lengths)
            Y = SourceRows(_PaddedRows(steps, 0, with_lengths=False), "targets", by_sample=False)
        super().__init__(SourceRows(source, "sequences", by_sample=False), Y, names=("sequences", "targets"))

    def order(self, rng: "np.random.Generator | None", batch_size: int = 1) -> Array | None:
        """The rows' indices, cut into batches of like lengths in a random order; without ``rng`` those in ``numbers``.

        >>> Sequences([[0], [0] * 9, [0], [0] * 9]).order(np.random.default_rng(0), batch_size=2).tolist()
        [2, 0, 3, 1]
        """
        if rng is None:
            return self.numbers
        numbers = np.arange(len(self)) if self.numbers is None else self.numbers
        keys = self.lengths[numbers] * rng.uniform(1 - NOISE, 1 + NOISE, len(numbers))
        numbers = numbers[np.lexsort((rng.random(len(numbers)), keys))]
        whole_batches, rest = divmod(len(numbers), batch_size)
        start = batch_size * int(rng.integers(whole_batches + 1))
        shorter = numbers[start : start + rest]  # a batch of fewer rows comes last
        others = np.delete(numbers, np.s_[start : start + rest]).reshape(whole_batches, batch_size)
        return np.concatenate([rng.permutation(others).reshape(-1), shorter])

    def batches(
        self, batch_size: int, order: Array | None = None, first: int = 0, step: int = 1, share: Share = None
    ) -> Iterator[Batch]:
        """The batches, as of all rows; each is padded to its longest sequence."""
        for batch in super().batches(batch_size, order, first, step, share):
            if self.by_step and batch.Y is not None:
                padded, lengths = batch.X
                batch.inside = np.arange(padded.shape[1]) < lengths[:, None]
                weight = np.ones(len(lengths)) if batch.weight is None else batch.weight
                batch.weight = batch.inside * weight[:, None]
            yield batch

    def check_model(self, model: Layer) -> None:
        """Raise a TypeError unless the first layer of the model takes lengths as its second input."""
        first = model
        while isinstance(first, Sequential):
            first = first[0]
        try:
            signature(first.forward).bind(None, None)
        except TypeError:
            raise TypeError(
                f"{first.one_line()}: expected a first layer that takes lengths beside X, such as LSTM(...), since "
                "Sequences gives both; for one that takes X alone write X, lengths = nnlite.pad_sequence(sequences), "
                "pad the targets likewise, and pass sample_weight=np.arange(X.shape[1]) < lengths[:, None]"
            ) from None

    def padded(self) -> tuple[Array, Array]:
        """All sequences in one array, and their lengths."""
        return self.X[slice(None)] if self.numbers is None else self.X[self.numbers]  # type: ignore[no-any-return]

    def set_weight(self, weight: Any) -> None:
        """Give each sequence a weight in the loss.

        Raises:
            ValueError: there is not one finite number >= 0 for each sequence, or all are 0.
        """
        super().set_weight(weight)
        if self.weight is not None and self.weight.ndim > 1:
            self.weight = None
            raise ValueError("sample_weight: expected a weight for each of the sequences, got one for each step")


class Pieces(Rows):
    """Long sequences in pieces of some steps, one after the other, for truncated backpropagation through time.

    A batch has a piece of each of ``batch_size`` sequences; the next batch has the pieces that follow these. A layer
    :class:`nnlite.Stateful` in the model goes on from the state after the piece before, and starts anew where sequences
    start. Gradients go back to the start of the piece: memory and time of a step depend on its length alone.
    In :func:`nnlite.evaluate` the result is that of the whole sequences.

    Args:
        X: N sequences of T steps, an array (N, T) or (N, T, D). Cut one long sequence into N:
            ``text[: N * T].reshape(N, T)``.
        Y: a target for each step, (N, T) or (N, T, ...).
        steps: the number of steps of a piece; the last one of a sequence may be shorter.

    Raises:
        TypeError: X or Y does not hold real numbers.
        ShapeError: Y does not have a target for each step.
        ValueError: ``steps`` is below 1, or there are no sequences.

    Source: Williams and Peng, An efficient gradient-based algorithm for on-line training of recurrent network
    trajectories, 1990.

    >>> import nnlite as nn
    >>> text = np.arange(1001) % 7
    >>> X, Y = text[:-1].reshape(10, 100), text[1:].reshape(10, 100)  # the next letter
    >>> reader = nn.Stateful(nn.GRU(4, 8, return_state=True, rng=0))
    >>> model = nn.Sequential(nn.Embedding(7, 4, rng=0), reader, nn.Linear(8, 7, rng=0))
    >>> history = nn.fit(model, nn.Pieces(X, Y, steps=20), loss=nn.CrossEntropyLoss(dim=-1),
    ...                  optimizer=nn.Adam(model, lr=0.05), epochs=20, metrics=[nn.perplexity], verbose=0, rng=0)
    >>> history["perplexity"][-1] < 1.2
    True
    """

    def __init__(self, X: Any, Y: Any, steps: int) -> None:
        super().__init__(X, Y, names=("X", "Y"))
        self.steps = whole(steps, "Pieces: steps", least=1)
        shapes = [tuple(values.shape) for values in (self.X, self.Y)]  # type: ignore[union-attr]
        if any(len(shape) < 2 for shape in shapes) or shapes[0][1] != shapes[1][1]:
            raise ShapeError(
                f"Pieces: expected X and Y with N sequences of T steps, (N, T) or (N, T, ...), got {shapes[0]} and "
                f"{shapes[1]}; one sequence is X[None]"
            )
        if 0 in shapes[0][:2]:
            raise ValueError(f"Pieces: expected at least one sequence of one step, got X of shape {shapes[0]}")

    @property
    def pieces(self) -> int:
        """The number of pieces of each sequence."""
        steps: int = self.X.shape[1]
        return math.ceil(steps / self.steps)

    def batches(
        self, batch_size: int, order: Array | None = None, first: int = 0, step: int = 1, share: Share = None
    ) -> Iterator[Batch]:
        """The batches, from number ``first`` on: all pieces of some sequences, then those of others.

        With ``step``, which is for several processes, ``first`` and it count what is read of some sequences as one.
        """
        done, piece = divmod(first, self.pieces) if step == 1 else (first, 0)
        for batch in super().batches(batch_size, order, done, step, share):
            for number in range(piece, self.pieces):
                part = np.s_[:, number * self.steps : (number + 1) * self.steps]
                weight = batch.weight
                weight = weight if weight is None or weight.ndim == 1 else weight[part]
                yield replace(batch, X=batch.X[part], Y=batch.Y[part], weight=weight, starts=number == 0)
            piece = 0

    def count(self, batch_size: int) -> int:
        """The number of batches.

        >>> Pieces(np.zeros((5, 10)), np.zeros((5, 10)), steps=4).count(batch_size=2)
        9
        """
        return self.pieces * math.ceil(len(self) / batch_size)


class _PaddedRows:
    """Sequences that are padded when they are read; indexed by a slice or by row numbers."""

    def __init__(self, arrays: list[Array], padding_value: float, *, with_lengths: bool) -> None:
        self.arrays, self.padding_value, self.with_lengths = arrays, padding_value, with_lengths

    def __len__(self) -> int:
        return len(self.arrays)

    def __getitem__(self, rows: Any) -> Any:
        chosen = self.arrays[rows] if isinstance(rows, slice) else [self.arrays[int(row)] for row in rows]
        X, lengths = _padded(chosen, self.padding_value)
        return (X, lengths) if self.with_lengths else X


def _arrays(sequences: Any, name: str) -> list[Array]:
    """The sequences as arrays of one dtype."""
    arrays = [as_array(each, f"{name}[{number}]") for number, each in enumerate(sequences)]
    if not arrays:
        raise ValueError(f"{name}: expected at least one sequence, got none")
    for number, each in enumerate(arrays):
        if not each.ndim:
            raise TypeError(f"{name}[{number}]: expected a sequence, got a number")
        if not len(each):
            raise ValueError(f"{name}[{number}]: expected at least one step, got none; leave the sequence out")
        if each.shape[1:] != arrays[0].shape[1:]:
            raise ShapeError(
                f"{name}[{number}]: expected steps of the shape of those of the first sequence, "
                f"{arrays[0].shape[1:]}, got {each.shape[1:]}"
            )
    dtype = np.result_type(*{each.dtype for each in arrays})
    return [each.astype(dtype, copy=False) for each in arrays]


def _padded(arrays: list[Array], padding_value: float) -> tuple[Array, Array]:
    lengths, dtype = np.array(list(map(len, arrays))), arrays[0].dtype
    value = np.asarray(padding_value)
    if dtype.kind != "f" and not (value.dtype.kind in "iub" and _holds(dtype, int(value))):
        dtype = np.result_type(dtype, value.dtype)
    X = np.full((len(arrays), lengths.max(), *arrays[0].shape[1:]), value, dtype)
    for row, each in zip(X, arrays, strict=True):
        row[: len(each)] = each
    return X, lengths


def _holds(dtype: "np.dtype[Any]", value: int) -> bool:
    if dtype.kind == "b":
        return value in (0, 1)
    return bool(np.iinfo(dtype).min <= value <= np.iinfo(dtype).max)


def _check_lengths(steps: list[int], lengths: Array) -> None:
    if len(steps) != len(lengths):
        raise ValueError(f"Sequences: expected targets of {len(lengths)} sequences, got those of {len(steps)}")
    for number, (own, length) in enumerate(zip(steps, lengths, strict=True)):
        if own != length:
            raise ValueError(
                f"Sequences: targets[{number}]: expected one for each of the {length} steps of its sequence, got "
                f"{own}; pass targets of sequences as an array"
            )
