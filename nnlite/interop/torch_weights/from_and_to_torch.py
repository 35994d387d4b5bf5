"""from_torch and to_torch: weights from PyTorch and for PyTorch, by NumPy arrays; torch itself is not imported."""

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.interop.torch_weights.torch_arrays import Entry, array_of, entries
from nnlite.interop.torch_weights.torch_keys import Keys, in_order, renamed, suggestion
from nnlite.layer.layer import Layer, check_layer
from nnlite.saving.safetensors_file import StateDict

L = TypeVar("L", bound=Layer)


def from_torch(
    layer: L,
    state_dict: Mapping[str, Any],
    *,
    names: Mapping[str, str] | None = None,
    by_order: bool = False,
) -> L:
    """Load a state dict of PyTorch into a layer or model of the same structure, and return it; all of it, or nothing.

    Names and layouts are translated: the ``weight`` of a ``torch.nn.Linear`` is W transposed, the ``weight`` and
    ``bias`` of a normalization are gamma and beta, and so on; each layer says in ``torch_names`` how. As layouts are
    known, a square matrix is right, too. The keys are ``path.name``, with the paths of :meth:`Layer.named_layers`:

    - ``Sequential``, ``Residual`` and ``Parallel``: the number of the layer, ``"0.weight"``, as in PyTorch;
    - ``Graph``: the layer's name, ``"encoder.weight"``, else its number in the order in which they run; a ``Parameter``
      has its own name, ``"theta"``; the parts of transformers have those of PyTorch;
    - a layer with layers in its attributes: the attribute, ``"encoder.weight"``, as ``torch.nn.Module``;
    - tied layers: PyTorch lists shared arrays under both names, safetensors under one of them. Either will do; where
      both are there, they must be equal;
    - ``num_batches_tracked``, which old files of PyTorch lack, may be missing: that of the layer stays.

    Args:
        layer: a layer or model.
        state_dict: what ``module.state_dict()`` returns, or NumPy arrays in PyTorch's names and layouts, as
            :func:`nnlite.load` reads them from a safetensors file. Floating arrays are rounded to the dtype of the
            layer; half precision is read as well.
        names: where modules have other paths than the layers, the module's for the layer's:
            ``{"0": "model.layers.0.mlp.fc1", "2": "model.layers.0.mlp.fc2"}``. A path includes what is below it, and
            "" is that of the whole model: ``{"": "module"}``.
        by_order: ignore the paths of modules; the first module with arrays is the first layer with arrays, and so on. A
            state dict of PyTorch is in the order of definition. A safetensors file is sorted: use ``names`` there.

    Raises:
        ValueError: arrays are missing, unexpected, of another shape, or not the numbers that they should be; the
            message lists every one, and the layer is as it was. Or ``names`` has a path that the model has not.
        TypeError: not a Layer; or not a dict of arrays.

    A state dict of a larger model is unexpected: select a part of it, ``{key: state[key] for key in state if
    key.startswith("encoder.")}``.

    >>> import nnlite as nn
    >>> model = nn.Sequential(nn.Linear(2, 3), nn.Tanh())
    >>> state = {"0.weight": np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), "0.bias": np.zeros(3)}
    >>> from_torch(model, state)[0].W
    array([[1., 3., 5.],
           [2., 4., 6.]], dtype=float32)
    >>> from_torch(model, {"0.weight": np.zeros((2, 3)), "fc.bias": np.zeros(3)})
    Traceback (most recent call last):
        ...
    ValueError: Sequential(2 layers): the state dict of PyTorch does not fit, nothing was loaded:
      0.weight: expected (3, 2), which is W (2, 3) transposed, got (2, 3)
      0.bias: missing, expected (3,)
      fc.bias: unexpected, got (3,)
    """
    check_layer(layer, "from_torch: layer")
    given = _checked(state_dict)
    if names and by_order:
        raise ValueError("from_torch: expected names or by_order=True, not both")
    own = list(entries(layer))
    keys = in_order(own, given) if by_order else renamed(own, names)
    new, wrong = _fitted(own, keys, given)
    if wrong:
        head = f"{layer.one_line()}: the state dict of PyTorch does not fit, nothing was loaded:"
        cure = "" if names or by_order else suggestion(own, given, lambda keys: not _fitted(own, keys, given)[1])
        raise ValueError("\n  ".join([head, *wrong]) + cure)
    for entry, array in new:
        entry.array[...] = array
    return layer


def to_torch(layer: Layer, *, names: Mapping[str, str] | None = None) -> dict[str, Array]:
    """The parameters and buffers of a layer or model, in PyTorch's names and layouts; copies, as NumPy arrays.

    The torch module of the same structure takes them by::

        module.load_state_dict({name: torch.from_numpy(array) for name, array in nn.to_torch(model).items()})

    and ``nn.save(nn.to_torch(model), "model.safetensors")`` writes them for other programs. The names are explained at
    :func:`from_torch`, which reads what this returns. The dtype is that of the layer.

    Args:
        layer: a layer or model.
        names: as for :func:`from_torch`.

    Raises:
        TypeError: not a Layer, or one in long doubles, which PyTorch does not have.
        ValueError: ``names`` has a path that the model has not, or leads to one key twice.

    >>> import nnlite as nn
    >>> state = to_torch(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)), names={"0": "fc"})
    >>> {name: array.shape for name, array in state.items()}  # doctest: +NORMALIZE_WHITESPACE
    {'fc.weight': (3, 2), 'fc.bias': (3,), '1.weight': (3,), '1.bias': (3,), '1.running_mean': (3,),
     '1.running_var': (3,), '1.num_batches_tracked': ()}
    """
    check_layer(layer, "to_torch: layer")
    own = list(entries(layer))
    keys = renamed(own, names)
    by_key: dict[str, list[Entry]] = {}
    for key, entry in zip(keys, own, strict=True):
        by_key.setdefault(key, []).append(entry)
    for key, entries_of_key in by_key.items():
        if [entry.part for entry in entries_of_key] != [*range(entries_of_key[0].parts)]:
            raise ValueError(
                f"to_torch: names: {key!r} would be the name of two arrays; give each part a path of its own"
            )
        dtype = entries_of_key[0].array.dtype
        if dtype.kind == "f" and dtype.itemsize > 8:
            raise TypeError(f"to_torch: PyTorch has no {dtype}; use a copy, model.astype(np.float64)")
    arrays = {key: _whole([entry.turned(entry.array) for entry in parts]) for key, parts in by_key.items()}
    return StateDict(arrays, {"format": "pt"})


def _whole(parts: list[Array]) -> Array:
    """A new array of the parts below each other."""
    return np.array(parts[0] if len(parts) == 1 else np.concatenate(parts), order="C")


def _checked(state_dict: Any) -> dict[str, Any]:
    """The state dict, if it is one of arrays."""
    if not isinstance(state_dict, Mapping):
        cure = "; pass module.state_dict()" if hasattr(state_dict, "state_dict") else ""
        raise TypeError(f"from_torch: state_dict: expected a dict of arrays, got {type(state_dict).__name__}{cure}")
    for key, value in state_dict.items():
        if isinstance(value, Mapping):
            raise TypeError(f"from_torch: state_dict: expected arrays, got a dict called {key!r}; pass state[{key!r}]")
    return {str(key): value for key, value in state_dict.items()}


def _fitted(own: list[Entry], keys: Keys, given: dict[str, Any]) -> tuple[list[tuple[Entry, Array]], list[str]]:
    """(entry, array to be written into it) of each, and a line for each array that does not fit."""
    new: list[tuple[Entry, Array]] = []
    wrong = []
    owned = {id(entry.array) for entry in own if not entry.shared}
    found = {id(entry.array) for entry, key in zip(own, keys, strict=True) if key in given}
    values: dict[int, tuple[str, Array]] = {}  # what each parameter and buffer will be, and under which key it was
    for entry, key in sorted(zip(own, keys, strict=True), key=lambda pair: pair[0].shared):  # shared ones at last
        here = id(entry.array)
        if key not in given:
            if not (entry.shared or entry.optional or here in found):
                wrong.append(f"{key or entry.key}: missing, expected {entry.expected()}")
            continue
        try:
            array = _fitting(entry, given[key])
        except (TypeError, ValueError) as error:
            wrong.append(f"{key}: {error}")
            continue
        if here not in owned:  # it is that of a layer outside of the model, which stays as it is
            values[here] = "the other layer's", entry.array
        if here not in values:
            values[here] = key, array
            new.append((entry, array))
        elif not np.array_equal(array, values[here][1], equal_nan=True):
            wrong.append(f"{key}: the layers are tied, expected the numbers of {values[here][0]}, got others")
    known, wrong = set(keys), list(dict.fromkeys(wrong))  # parts of one array give the same line
    wrong += [f"{key}: unexpected, got {_shape(value)}" for key, value in given.items() if key not in known]
    return new, wrong


def _fitting(entry: Entry, value: Any) -> Array:
    """An array of a state dict as the entry's own: its layout, shape and dtype.

    Raises:
        TypeError, ValueError: it does not fit.
    """
    array = entry.from_whole(array_of(value))
    shape, dtype = entry.array.shape, entry.array.dtype
    if array.shape != shape:
        raise ValueError(f"expected {entry.expected()}, got {_shape(value)}")
    if array.dtype.kind != dtype.kind and {array.dtype.kind, dtype.kind} != {"i", "u"}:
        raise TypeError(f"expected {'floating numbers' if dtype.kind == 'f' else dtype}, got {array.dtype}")
    with np.errstate(over="ignore", under="ignore"):
        converted = array.astype(dtype)
    lost = np.isinf(converted) & np.isfinite(array) if dtype.kind == "f" else converted != array
    if lost.any():
        raise ValueError(f"has numbers that are too large for {dtype}")
    return converted


def _shape(value: Any) -> Any:
    return tuple(value.shape) if hasattr(value, "shape") else np.shape(value)
