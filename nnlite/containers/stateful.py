"""Stateful: a recurrent layer that goes on from the state after the piece before."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from nnlite.basics.arrays import Array, as_floating
from nnlite.basics.shapes import Shape
from nnlite.basics.trees import listed
from nnlite.containers.wrapper import Wrapper
from nnlite.errors import ShapeError, StateError
from nnlite.layer.layer import Layer, check_layer
from nnlite.layers.recurrent import Recurrent


class Stateful(Wrapper):
    """A recurrent layer that carries its state from one piece of long sequences to the next.

    ``forward`` starts from :attr:`state`; after it :func:`nnlite.carry_state` makes its final state the one that the
    next forward starts from, and :func:`nnlite.reset_state` lets that start anew, from zeros. So a sequence in pieces
    gives what it gives as a whole; backward ends at the start of the piece, which is truncated backpropagation through
    time. :func:`nnlite.fit` and :func:`nnlite.evaluate` do this by themselves for :class:`nnlite.Pieces`; rows of any
    other kind are sequences of their own, and start anew.

    Args:
        layer: an RNN, LSTM or GRU with ``return_state=True``, from the first step to the last.

    Attributes:
        state: the states that the next forward starts from, a tuple of those of the layer; None for zeros. It is
            copied with the layer and in checkpoints of a training, but not saved in files of models.

    Shapes:
        X (N, T, D), lengths (N,) if sequences end within the piece; Y as that of the layer. backward returns dX.

    Raises:
        TypeError: another layer, or one without ``return_state=True``.
        ValueError: the layer runs from the last step to the first, in one direction or both.
        ShapeError: in forward, another number of sequences than the piece before had.

    Source: Williams and Peng, An efficient gradient-based algorithm for on-line training of recurrent network
    trajectories, 1990.

    >>> import nnlite as nn
    >>> lstm = nn.LSTM(3, 4, return_state=True, rng=0)
    >>> X = np.ones((2, 10, 3))
    >>> whole, H, C = lstm.forward(X)
    >>> layer = Stateful(lstm)
    >>> pieces = []
    >>> for start in 0, 4, 8:
    ...     pieces.append(layer.forward(X[:, start : start + 4]))
    ...     nn.carry_state(layer)
    >>> np.allclose(np.concatenate(pieces, axis=1), whole)
    True
    """

    without_gradient = ("lengths",)
    least_integer = 1
    final: tuple[Array, ...] | None = None  # the states after the last forward
    final_shapes: Sequence[tuple[tuple[int, ...], Any]] = ()

    def __init__(self, layer: Layer) -> None:
        check_layer(layer, "Stateful")
        recurrent: Any = getattr(layer, "layer", layer)  # that of checkpointed
        if not isinstance(recurrent, Recurrent):
            raise TypeError(f"Stateful: expected an RNN, LSTM or GRU, got {layer.one_line()}")
        if not recurrent.return_state:
            raise TypeError(
                f"Stateful: expected a layer that returns its state, got {layer.one_line()}; write "
                f"{type(recurrent).__name__}(..., return_state=True)"
            )
        if recurrent.bidirectional or recurrent.reverse:
            raise ValueError(f"Stateful: expected a layer from the first step to the last, got {layer.one_line()}")
        super().__init__(layer)
        self.state: tuple[Array, ...] | None = None

    def forward(self, X: Any, lengths: Any = None) -> Array:
        states = self.first_states(X)
        try:
            Y, *final = self.layer.forward(X, lengths, *states)
        except Exception as error:
            error.add_note(f"in {self.one_line()}")
            raise
        return self.note_final(Y, *final)

    def first_states(self, X: Any) -> tuple[Any, ...]:
        """What forward begins with: the states to start from.

        Raises:
            ShapeError: X has another number of sequences than they are of.
        """
        self._Y_shape = None  # no backward until this forward has ended well
        if self.state is None:
            return (None,) * (self.layer.num_outputs - 1)
        if len(self.state[0]) != len(X):
            raise ShapeError(
                f"{self.one_line()}: expected {len(self.state[0])} sequences, as in the piece before, got {len(X)}; "
                "for others call nnlite.reset_state(model)"
            )
        return self.state

    def note_final(self, Y: Array, *final: Array) -> Array:
        """What forward ends with: the final states are kept, and Y alone is returned."""
        self.final = final
        self.final_shapes = [(S.shape, S.dtype) for S in final]
        return self.record_Y(Y)

    def backward(self, dY: Any) -> Array | None:
        dX = self.layer.backward(*self.each_dY(dY))
        return self.dX_alone(dX)

    def each_dY(self, dY: Any) -> tuple[Array, ...]:
        """What backward begins with: dY, and zeros for the final states, from which no gradient comes."""
        return self.check_dY(dY), *[np.zeros(shape, dtype) for shape, dtype in self.final_shapes]

    def dX_alone(self, dX: Any) -> Array | None:
        """What backward ends with: the gradients of the first states go no further."""
        return listed(dX)[0] if self.needs_dX else None

    def carry_state(self) -> None:
        """Let the next forward start from the final state of the last one.

        Raises:
            StateError: there was none.
        """
        if self.final is None:
            raise StateError(f"{self.one_line()}: carry_state was called before forward; call forward(X) first")
        self.state = self.final

    def reset_state(self) -> None:
        """Let the next forward start from zeros."""
        self.state = None
        self.clear_cache()

    def checked_state(self, state: Any) -> tuple[Array, ...] | None:
        """A state from a file.

        Raises:
            TypeError, ValueError: it is none of this layer.
        """
        if state is None:
            return None
        states = tuple(as_floating(S, f"{self.one_line()}: state", self.layer.dtype) for S in state)
        if len(states) != self.layer.num_outputs - 1 or len({S.shape for S in states}) != 1 or states[0].ndim < 2:
            shapes = [S.shape for S in states]
            raise ValueError(f"{self.one_line()}: expected {self.layer.num_outputs - 1} states, got shapes {shapes}")
        return states

    def forward_through(self, to: Any, X: Any, lengths: Any = None) -> Any:
        """For :class:`nnlite.containers.program.Program`: forward, with edges in place of arrays."""
        return to.part("layer", self.layer, X, lengths, *[None] * (self.layer.num_outputs - 1))[0]

    def names_of_inputs(self, count: int | None = None) -> list[str | None]:
        """The names of its ``count`` inputs."""
        names: list[str | None] = ["X", "lengths"]
        return names[: count or 1]

    def names_of_outputs(self) -> tuple[str, ...]:
        """No names: its output is one array."""
        return ()

    def onnx(self, graph: Any, X: Any, lengths: Any = None) -> Any:
        """From zeros."""
        return listed(graph.layer(self.layer, X, lengths))[0]

    def output_shape(self, *shapes: Shape) -> Any:
        Y = self.layer.output_shape(*shapes)
        return Y[0] if isinstance(Y, tuple) and Y and isinstance(Y[0], tuple) else Y

    def evaluation_twin(self) -> Self:
        twin = super().evaluation_twin()
        twin.reset_state()
        return twin

    def astype(self, dtype: Any) -> Self:
        self.reset_state()
        return super().astype(dtype)


def stateful_layers(model: Layer) -> list[tuple[str, Stateful]]:
    """(path, layer) of each Stateful in the model."""
    return [(path, layer) for path, layer in model.named_layers() if isinstance(layer, Stateful)]


def carry_state(model: Layer) -> None:
    """Let the next forward of a model go on from the states after the last one.

    Args:
        model: a model with layers :class:`nnlite.Stateful`.

    Raises:
        TypeError: there are none in it.
        StateError: there was no forward.

    >>> import nnlite as nn
    >>> model = nn.Sequential(nn.Stateful(nn.GRU(1, 2, return_state=True, rng=0)), nn.Linear(2, 1, rng=0)).eval()
    >>> X = np.random.default_rng(0).normal(size=(1, 5, 1))
    >>> one_by_one = []
    >>> for step in range(5):
    ...     one_by_one.append(model.forward(X[:, [step]])[:, 0])
    ...     nn.carry_state(model)
    >>> nn.reset_state(model)
    >>> np.allclose(np.stack(one_by_one, axis=1), model.forward(X))
    True
    """
    for layer in _stateful(model, "carry_state"):
        layer.carry_state()


def reset_state(model: Layer) -> None:
    """Let the next forward of a model start anew, its states zeros.

    Args:
        model: a model with layers :class:`nnlite.Stateful`.

    Raises:
        TypeError: there are none in it.

    >>> import nnlite as nn
    >>> model = nn.Stateful(nn.RNN(1, 2, return_state=True, rng=0))
    >>> first = model.forward(np.ones((1, 3, 1)))
    >>> nn.carry_state(model)
    >>> nn.reset_state(model)
    >>> np.array_equal(model.forward(np.ones((1, 3, 1))), first)
    True
    """
    for layer in _stateful(model, "reset_state"):
        layer.reset_state()


def _stateful(model: Layer, name: str) -> list[Stateful]:
    check_layer(model, name)
    found = [layer for _, layer in stateful_layers(model)]
    if not found:
        raise TypeError(f"{name}: expected a model with layers nnlite.Stateful, got {model.one_line()}")
    return found
