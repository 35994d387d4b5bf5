"""Where PyTorch has the arrays of a model: the name and the layout of each, as the layers say in ``torch_names``."""

from collections.abc import Iterator
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np

from nnlite.basics.arrays import Array, as_array
from nnlite.basics.frames import NUMBERS
from nnlite.containers.tied import Tied
from nnlite.layer.layer import Layer
from nnlite.layer.parts import inside


class Entry(NamedTuple):
    """A parameter or buffer of a model, and its place in a state dict of PyTorch.

    Attributes:
        module: path of the layer, which is that of the module.
        torch_name: name in the module, such as "weight".
        name: name in the layer, such as "W".
        array: the parameter or buffer itself.
        transposed: whether PyTorch has the transpose.
        part: PyTorch has several of our arrays below each other in one: the number of this one, from 0.
        parts: and how many there are.
        shared: whether it is that of another layer, to which this one is tied; PyTorch lists it a second time.
        optional: whether it stays as it is where the state dict lacks it.
    """

    module: str
    torch_name: str
    name: str
    array: Array
    transposed: bool
    part: int
    parts: int
    shared: bool
    optional: bool

    @property
    def key(self) -> str:
        """The name in the state dict."""
        return self.key_in(self.module) or self.name

    def key_in(self, module: str) -> str:
        """The name in the state dict, if the module has this path."""
        return inside(module, self.torch_name) if self.torch_name else module

    def turned(self, array: Array) -> Array:
        """A part of PyTorch's array in the layout of the layer, or the other way round: the transpose, or the same."""
        return array.T if self.transposed else array

    def from_whole(self, array: Array) -> Array:
        """An array of PyTorch's in the layout of the layer: the part of it, or the whole if it has no such parts."""
        rows, rest = divmod(len(array), self.parts) if array.ndim else (0, 1)
        if self.parts > 1 and not rest:
            array = array[self.part * rows : (self.part + 1) * rows]
        return self.turned(array)

    def expected(self) -> str:
        """The shape in PyTorch, for messages."""
        shape = self.array.shape
        turned = shape[::-1] if self.transposed else shape
        if self.parts > 1:
            return f"{(self.parts * turned[0], *turned[1:])}, {self.parts} parts below each other"
        return f"{turned}, which is {self.name} {shape} transposed" if self.transposed else f"{shape}"


def entries(model: Layer, path: str = "", shared: bool = False) -> Iterator[Entry]:
    """Each parameter and buffer of the model in the order of its layers, and the shared ones of tied layers.

    >>> import nnlite as nn
    >>> [(entry.key, entry.name) for entry in entries(nn.Sequential(nn.Linear(2, 3), nn.PReLU()))]
    [('0.weight', 'W'), ('0.bias', 'b'), ('1.weight', 'W')]
    """
    of_parts: dict[str, tuple[str, str]] = {}  # the module and the expression, where a layer names arrays of its parts
    for below, layer in model.named_layers():
        place = inside(path, below) if below else path
        own = [name for name in (*layer._parameters, *layer._buffers) if getattr(layer, name) is not None]
        dotted = [name for name in layer.torch_names if "." in name]
        parts = dict(layer.named_layers()) if dotted else {}
        of_parts |= {
            inside(below, name): (place, layer.torch_names[name]) for name in dotted if name.rpartition(".")[0] in parts
        }
        others = [name for name in dotted if inside(below, name) not in of_parts]  # such as "original.W"
        for name in (*own, *others):
            module, expression = of_parts.get(inside(below, name), (place, layer.torch_names.get(name, name)))
            torch_name, part, count, transposed = _read(expression)
            array: Any = attrgetter(name)(layer)
            optional = name in layer.torch_optional
            yield Entry(module, torch_name, name, array, transposed, part, count, shared or name in others, optional)
        if isinstance(layer, Tied):
            yield from entries(layer.original, place, shared=True)


def _read(expression: str) -> tuple[str, int, int, bool]:
    """The name, the number of the part, how many parts there are, and whether it is transposed.

    >>> _read("weight.T"), _read("in_proj_bias[0 of 3]")
    (('weight', 0, 1, True), ('in_proj_bias', 0, 3, False))
    """
    name, _, parts = expression.removesuffix(".T").removesuffix("]").partition("[")
    part, _, count = parts.partition(" of ")
    return name, int(part or 0), int(count or 1), expression.endswith(".T")


def array_of(value: Any) -> Array:
    """A tensor or an array as an array. Tensors of half precision become float32, exactly: NumPy has no bfloat16.

    Raises:
        TypeError: it does not hold real numbers, or is no dense tensor.

    >>> array_of([1.0, 2.0])
    array([1., 2.])
    """
    if hasattr(value, "detach"):
        try:
            tensor = value.detach().cpu()
            small = tensor.is_floating_point() and tensor.element_size() < 4
            value = (tensor.float() if small else tensor).numpy()
        except (TypeError, RuntimeError) as error:  # sparse, quantized, or without numbers
            raise TypeError(f"expected a dense tensor: {error}") from error
    if isinstance(value, np.ndarray) and value.dtype.kind not in NUMBERS:
        raise TypeError(f"expected real numbers, got {value.dtype}")
    return as_array(value, "array")
