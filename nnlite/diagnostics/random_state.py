"""The random state of a model: put its generators back, so that two runs draw the same numbers."""

from collections.abc import Callable

from nnlite.layer.layer import Layer


def restorer(*layers: Layer) -> Callable[[], None]:
    """A function that puts every generator in the layers back to its present state.

    >>> import numpy as np
    >>> class Noise(Layer):
    ...     def __init__(self, rng):
    ...         self.rng = np.random.default_rng(rng)
    ...     def forward(self, X):
    ...         return X + self.rng.normal(size=X.shape)
    >>> layer = Noise(0)
    >>> restore = restorer(layer)
    >>> Y = layer.forward(np.zeros(2))
    >>> restore()
    >>> np.array_equal(layer.forward(np.zeros(2)), Y)
    True
    """
    generators = [generator for layer in layers for _, generator in layer.named_generators()]
    states = [(generator.bit_generator, generator.bit_generator.state) for generator in generators]

    def restore() -> None:
        for bit_generator, state in states:
            bit_generator.state = state

    return restore
