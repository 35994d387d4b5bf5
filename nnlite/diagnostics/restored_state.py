"""The state of a model that a forward changes: put it back, so that two runs compute the same numbers."""

from collections.abc import Callable

from nnlite.layer.layer import Layer


def restorer(*layers: Layer) -> Callable[[], None]:
    """A function that puts every generator and buffer in the layers back to its present state.

    >>> import numpy as np
    >>> class Noise(Layer, buffers=("forwards",)):
    ...     def __init__(self, rng):
    ...         self.rng, self.forwards = np.random.default_rng(rng), 0
    ...     def forward(self, X):
    ...         self.forwards += 1
    ...         return X + self.rng.normal(size=X.shape)
    >>> layer = Noise(0)
    >>> restore = restorer(layer)
    >>> Y = layer.forward(np.zeros(2))
    >>> restore()
    >>> np.array_equal(layer.forward(np.zeros(2)), Y), int(layer.forwards)
    (True, 1)
    """
    originals = [part.original for layer in layers for _, part in layer.named_layers() if part.original is not None]
    used = [*layers, *originals]  # a tied layer uses the state of another one, which may be outside
    generators = [generator for layer in used for _, generator in layer.named_generators()]
    states = [(generator.bit_generator, generator.bit_generator.state) for generator in generators]
    buffers = [(buffer, buffer.copy()) for layer in used for _, buffer in layer.named_buffers()]

    def restore() -> None:
        for bit_generator, state in states:
            bit_generator.state = state
        for buffer, before in buffers:
            buffer[...] = before

    return restore
