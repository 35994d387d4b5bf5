"""Networks for NetClassifier and NetRegressor: the function or the model that makes one, and the parameters it has."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from inspect import Parameter, signature
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from nnlite.basics.checks import whole
from nnlite.basics.generators import Rng, generator
from nnlite.containers.sequential import Sequential
from nnlite.initializers import glorot_uniform, he_uniform
from nnlite.layer.layer import Layer
from nnlite.layers.activations import ReLU
from nnlite.layers.linear import Linear

SIZES = 2  # the first parameters of the function: in_features and out_features


def mlp(
    in_features: int,
    out_features: int,
    *,
    hidden: int | Sequence[int] = (100,),
    activation: Callable[[], Layer] = ReLU,
    dtype: DTypeLike = np.float64,
    rng: Rng = None,
) -> Sequential:
    """A multi-layer perceptron.

    Args:
        in_features: width of the input.
        out_features: width of the output.
        hidden: the width of each hidden layer.
        activation: what makes an activation, such as ``nnlite.Tanh``.
        dtype: of the parameters; scikit-learn computes in float64, float32 is faster.
        rng: seed or generator of the weights.

    Raises:
        TypeError, ValueError: ``hidden`` is no width and no list of widths, or ``activation`` does not make a layer.

    >>> mlp(4, 3, hidden=(8,), rng=0)
    Sequential(
      (0): Linear(4 -> 8, dtype=float64)
      (1): ReLU()
      (2): Linear(8 -> 3, dtype=float64)
    )
    """
    rng, layers = generator(rng), list[Layer]()
    widths: Any = [hidden] if isinstance(hidden, Integral) else hidden
    if isinstance(widths, str) or not np.iterable(widths):
        raise TypeError(f"mlp: hidden: expected the widths of the hidden layers, such as (16, 8), got {hidden!r}")
    if isinstance(activation, Layer) or not callable(activation):
        raise TypeError(f"mlp: activation: expected what makes one, such as nnlite.ReLU, got {activation!r}")
    for width in [whole(each, "mlp: hidden", least=1) for each in widths]:
        layers += [Linear(in_features, width, weight_init=he_uniform, dtype=dtype, rng=rng), activation()]
        in_features = width
    return Sequential(*layers, Linear(in_features, out_features, weight_init=glorot_uniform, dtype=dtype, rng=rng))


def parameters_of(network: Any) -> dict[str, Any]:
    """The parameters of a function that makes a network, and their defaults, without the two sizes and ``rng``.

    Raises:
        TypeError: it cannot be called with the sizes.

    >>> parameters_of(mlp)["hidden"]
    (100,)
    """
    if isinstance(network, Layer):
        return {}
    name = name_of(network)
    try:
        first, parameters = signature(network), {}
        first.bind_partial(0, 0)
    except (TypeError, ValueError):
        raise TypeError(
            "network: expected a model, or a function such as def network(in_features, out_features, hidden=(64,), "
            f"rng=None) that returns one, got {name}"
        ) from None
    for each in list(first.parameters.values())[SIZES:]:
        if each.kind in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY) and each.name != "rng":
            parameters[each.name] = each.default
    return parameters


def made(network: Any, in_features: int, out_features: int, parameters: dict[str, Any], rng: Any) -> Layer:
    """A network of these sizes: a copy of the model, or what the function returns.

    Raises:
        TypeError: a parameter of the function has no value, or it returns no Layer.
    """
    if isinstance(network, Layer):
        return deepcopy(network)
    name = name_of(network)
    if missing := [key for key, value in parameters.items() if value is Parameter.empty]:
        raise TypeError(f"network: {name} needs {', '.join(missing)}; pass them to the estimator, {missing[0]}=...")
    own = {"rng": rng} if "rng" in signature(network).parameters else {}
    layer = network(in_features, out_features, **parameters, **own)
    if not isinstance(layer, Layer):
        raise TypeError(f"network: expected {name}({in_features}, {out_features}) to return a Layer, got {layer!r}")
    return layer


def name_of(network: Any) -> str:
    """What to call it in an error."""
    return getattr(network, "__name__", None) or repr(network)
