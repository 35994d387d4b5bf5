"""checkpointed: less memory for more time: a layer that runs forward again in backward."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.shapes import Shape
from nnlite.containers.argument_names import input_names_of, output_names_of
from nnlite.containers.stateful import stateful_layers
from nnlite.containers.wrapper import Wrapper
from nnlite.errors import StateError
from nnlite.layer.layer import Layer, check_layer


def checkpointed(layer: Layer) -> Layer:
    """The same layer with less memory: between forward and backward it keeps its inputs alone.

    Backward runs forward again, which makes the cache, and then backward of the layer, after which the cache is
    dropped. So of a chain of k checkpointed parts one cache is in memory at a time, at the cost of one more forward.
    Y, the gradients, the buffers and the random numbers are those of the layer itself to the last bit.

    Args:
        layer: the layer, a Sequential for example, with all that is in it. It becomes a part of the result.

    Raises:
        TypeError: not a Layer.
        ValueError: a layer in it is :class:`nnlite.Stateful`, which must keep its state.

    Source: Chen, Xu, Zhang and Guestrin, Training deep nets with sublinear memory cost, 2016.

    >>> import numpy as np, nnlite as nn
    >>> def block():
    ...     return nn.Sequential(nn.Linear(8, 64), nn.Tanh(), nn.Dropout(0.5), nn.Linear(64, 8))
    >>> X = np.ones((100, 8), np.float32)
    >>> nn.profile(nn.Sequential(block(), block()), X, repeats=1).total.cache_bytes
    160000
    >>> nn.profile(nn.Sequential(checkpointed(block()), checkpointed(block())), X, repeats=1).total.cache_bytes
    6400
    """
    check_layer(layer, "checkpointed")
    if stateful_layers(layer):
        raise ValueError(
            f"checkpointed: {layer.one_line()} carries its state; checkpoint the recurrent layer inside, "
            "nnlite.Stateful(nnlite.checkpointed(layer))"
        )
    return Checkpointed(layer)


class Checkpointed(Wrapper):
    """A layer that keeps its inputs alone, as :func:`checkpointed` returns it.

    Attributes:
        layer: the layer.
        keeps_cache: True for tools that read the cache of the layer, on a copy: nothing is dropped, nor runs again.

    >>> import numpy as np, nnlite as nn
    >>> layer = Checkpointed(nn.Tanh())
    >>> Y = layer.forward(np.ones(3))
    >>> hasattr(layer.layer, "Y"), layer.backward(np.ones(3))
    (False, array([0.41997434, 0.41997434, 0.41997434]))
    """

    flops_per_element = (0, 0)
    keeps_cache = False
    kept: tuple[Any, ...] | None = None

    def forward(self, *Xs: Any, **named: Any) -> Any:
        before = self.begin()
        try:
            Y = self.layer.forward(*Xs, **named)
        except Exception as error:
            error.add_note(f"in {self.one_line()}")
            raise
        return self.keep(Y, Xs, named, before)

    def begin(self) -> "State":
        """What forward begins with: the state before it."""
        self.kept = self._Y_shape = self._Ys = None  # no backward until this forward has ended well
        return _state(self.layer)

    def keep(self, Y: Any, Xs: tuple[Any, ...], named: dict[str, Any], before: "State") -> Any:
        """What forward ends with: the inputs take the place of the cache."""
        if not self.keeps_cache:
            self.layer.clear_cache()
        self.kept = Xs, named, before
        if isinstance(Y, tuple):
            self.record_Ys(Y)
        return self.record_Y(Y) if isinstance(Y, np.ndarray) else Y

    def backward(self, *dYs: Any, **named: Any) -> Any:
        dX = self.layer.backward(*self.run_again(dYs), **named)
        return self.drop(dX)

    def run_again(self, dYs: tuple[Any, ...]) -> tuple[Any, ...]:
        """What backward begins with: a check of dY, and forward from the state before the last one."""
        if self.kept is None:
            raise StateError(f"{self.one_line()}: backward was called before forward; call forward(X) first")
        if self._Ys is not None:
            dYs = self.check_dYs(dYs)
        elif self._Y_shape is not None:
            dYs = tuple(map(self.check_dY, dYs))
        if not self.keeps_cache:
            Xs, named, before = self.kept
            with _as_it_was(self.layer, before):
                self.layer.forward(*Xs, **named)
        return dYs

    def drop(self, dX: Any) -> Any:
        """What backward ends with."""
        if not self.keeps_cache:
            self.layer.clear_cache()
        return dX if self.needs_dX else None

    def forward_through(self, to: Any, *Xs: Any, **named: Any) -> Any:
        """For :class:`nnlite.containers.program.Program`: forward, with edges in place of arrays."""
        return to.part("layer", self.layer, *Xs, **named)

    def names_of_inputs(self, count: int | None = None) -> list[str | None]:
        """Those of the layer."""
        return list(input_names_of(self.layer, count))

    def names_of_outputs(self) -> tuple[str, ...]:
        """Those of the layer."""
        return tuple(output_names_of(self.layer))

    def onnx(self, graph: Any, *Xs: Any) -> Any:
        return graph.layer(self.layer, *Xs)

    @property
    def without_gradient(self) -> tuple[str, ...]:  # type: ignore[override]
        """That of the layer."""
        return self.layer.without_gradient

    @property
    def num_outputs(self) -> int:  # type: ignore[override]
        """That of the layer."""
        return self.layer.num_outputs

    def output_shape(self, *shapes: Shape) -> Any:
        return self.layer.output_shape(*shapes)

    def differentiable_inputs(self, count: int) -> tuple[int, ...]:
        return self.layer.differentiable_inputs(count)


State = tuple[list[Array], list[Any]]  # of buffers and of generators


def _state(layer: Layer) -> State:
    """What a forward may change."""
    generators = [generator.bit_generator.state for _, generator in layer.named_generators()]
    return [buffer.copy() for _, buffer in layer.named_buffers()], generators


@contextmanager
def _as_it_was(layer: Layer, before: State) -> Iterator[None]:
    """Put buffers and generators back to a state from before, and then to what they are now."""
    now = _state(layer)
    _put(layer, before)
    try:
        yield
    finally:
        _put(layer, now)


def _put(layer: Layer, state: State) -> None:
    buffers, generators = state
    for (_, buffer), value in zip(layer.named_buffers(), buffers, strict=True):
        buffer[...] = value
    for (_, generator), value in zip(layer.named_generators(), generators, strict=True):
        generator.bit_generator.state = value
