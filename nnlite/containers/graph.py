"""Graph: layers connected in any way that has no cycle."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from nnlite.basics.arrays import Array, as_array, as_floating
from nnlite.basics.shapes import UNKNOWN, Shape
from nnlite.basics.trees import listed
from nnlite.containers.nodes import Node, Omitted
from nnlite.containers.saved_wiring import nodes_of_saved, saved_wiring
from nnlite.containers.slots import added, each_dX, put
from nnlite.containers.wiring import in_form, wired
from nnlite.layer.described import can_skip_dX, learns
from nnlite.layer.flat import adopt
from nnlite.layer.layer import Layer


class Graph(Layer):
    """Layers connected in any way that has no cycle: forward runs them in order, backward in reverse order.

    backward sums the gradients of a value that is used several times. For one input or output node, forward and
    backward take and return an array; for a list or tuple of nodes a tuple of arrays in that order, and for a dict a
    dict with its keys. Inputs that are optional do not count: beside one other, backward returns an array::

        Y = graph.forward(X);              dX = graph.backward(dY)
        Y1, Y2 = graph.forward(A, B);      dA, dB = graph.backward(dY1, dY2)
        Ys = graph.forward(a=A, b=B);      dXs = graph.backward(y=dY1, z=dY2)

    Named inputs can be passed by name. If the output is a single number, ``backward()`` starts from 1. Inputs without a
    gradient, which lead only to targets, indices and the like, keep their dtype and are left out of what backward
    returns. The graph is checked and sorted once, when it is built; nothing is recorded while it runs.

    Args:
        inputs: a node made by ``Input``, or several in a list, tuple or dict.
        outputs: the node to compute, or several.
        names: the names of layers, such as ``{"encoder": layer, "heads.0": other}``: their paths in ``state_dict`` and
            in reports, instead of their numbers.

    Shapes:
        any. Floating inputs are converted to the dtype of the parameters, if there are any.

    Raises:
        TypeError: an argument is not a node.
        ValueError: an input leads to no output, an output needs an input that is not listed, a layer is used twice, an
            output is unused, a name is used twice, there is a cycle, an optional input has a gradient, or parameters
            would never get a gradient. The message names the line of the program that made the node.
        ShapeError: known shapes do not fit; raised where the node is made.

    >>> import nnlite as nn
    >>> a, b = nn.Input("a"), nn.Input("b")
    >>> graph = Graph([a, b], (a + b) * (b + 1))
    >>> float(graph.forward(2.0, 1.0))
    6.0
    >>> da, db = graph.backward()
    >>> float(da), float(db)
    (2.0, 5.0)
    """

    sums_tied = True
    _zeros: Sequence[tuple[int, Array]] = ()  # the gradients of outputs that lead only where there is no gradient

    def __init__(self, inputs: Any, outputs: Any, *, names: Mapping[str, Layer] | None = None) -> None:
        self.layers, self.wiring = wired(inputs, outputs, names)
        self.input_names, self.num_outputs = self.wiring.input_names, len(self.wiring.outputs)
        self._plain_output = self._find_plain_output()
        self._plan_backward()
        adopt(self, self.layers)

    # ------------------------------------------------------------------------------------ forward

    def forward(self, *Xs: Any, **named: Any) -> Any:
        values = self._start(Xs, named)
        layer: Layer = self
        try:
            for layer, (takes, gives, single) in zip(self.layers, self.wiring.wires, strict=True):
                Y = layer.forward(values[takes[0]]) if single else layer.forward(*[values[slot] for slot in takes])
                if single and type(Y) is ndarray:
                    values[gives[0]] = Y
                else:
                    put(values, gives, Y)
        except Exception as error:
            self._Y_shape = self._Ys = None  # some layers cached this X and some the one before
            self._note_place(error, layer)
            raise
        return self._hand_out(values)

    def _start(self, Xs: tuple[Any, ...], named: dict[str, Any]) -> list[Any]:
        """The slots before the first layer runs: filled with the inputs and the constants."""
        wiring = self.wiring
        if named or len(Xs) != len(wiring.input_names):
            Xs = self._by_position(Xs, named)
        Xs = self._converted(Xs)
        values: list[Any] = [None] * wiring.size
        values[: len(Xs)] = Xs
        if wiring.constants:
            dtype = self._dtype_of(Xs)
            for slot, constant in wiring.constants:
                values[slot] = constant.astype(dtype, copy=False) if slot in wiring.reached else constant
        return values

    def _by_position(self, Xs: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
        """The inputs in their order, those passed by name included; None for one that is left out."""
        needed, most = self.wiring.needed, len(self.input_names)
        if named:
            by_name: dict[Any, Any] = dict(zip(self.input_names, Xs, strict=False))
            given = by_name.keys() | named.keys()
            missing = set(self.input_names[:needed]) - given
            if by_name.keys() & named.keys() or missing or not given <= set(self.input_names):
                names = ", ".join(str(name) for name in self.input_names)
                raise TypeError(f"{self.one_line()}: expected the inputs {names}, each once, got {', '.join(named)}")
            by_name |= named
            return tuple([by_name.get(name) for name in self.input_names])
        if not needed <= len(Xs) <= most:
            expected = f"{most}" if needed == most else f"{needed} to {most}"
            raise TypeError(f"{self.one_line()}: expected {expected} inputs, got {len(Xs)}")
        return (*Xs, *[None] * (most - len(Xs)))

    def _converted(self, Xs: tuple[Any, ...]) -> tuple[Array, ...]:
        """The inputs as arrays; floating ones that have a gradient in the dtype of the parameters."""
        for X in Xs:
            if X is not None and (type(X) is not ndarray or X.dtype != self.dtype):
                break
        else:
            return Xs
        dtype = self.dtype if self.Phi.size else None
        arrays = [
            None if X is None and slot >= self.wiring.needed else as_array(X, f"{self.one_line()}: X")
            for slot, X in enumerate(Xs)
        ]
        return tuple(
            [
                as_floating(A, "X", dtype) if slot in self.wiring.reached and A.dtype.kind == "f" else A  # type: ignore
                for slot, A in enumerate(arrays)
            ]
        )

    def _dtype_of(self, Xs: tuple[Array, ...]) -> np.dtype[Any]:
        """The dtype of the constants: that of the parameters, or without any, that of the inputs."""
        floating = [X.dtype for X in Xs if X is not None and X.dtype.kind == "f"]
        return self.dtype if self.Phi.size or not floating else np.result_type(*floating)

    def _find_plain_output(self) -> int | None:
        """The slot of the one output, if it can be returned as it is."""
        slot = self.wiring.outputs[0]
        used = slot in self.wiring.taken or slot < self.wiring.first_result
        return None if used or self.wiring.output_keys is not None else slot

    def _hand_out(self, values: list[Any]) -> Any:
        """The outputs, recorded, and read-only where a layer has cached them."""
        if self._unreached:
            self._zeros = [(slot, np.zeros_like(values[slot])) for slot in self._unreached]
        if self._plain_output is not None and type(values[self._plain_output]) is ndarray:
            return self.record_Y(values[self._plain_output])
        Ys = []
        for slot in self.wiring.outputs:
            Y = np.array(values[slot]) if slot < self.wiring.first_result else values[slot]
            if slot in self.wiring.taken and type(Y) is ndarray:
                Y.setflags(write=False)
            Ys.append(Y)
        if self.num_outputs > 1:
            self.record_Ys(tuple(Ys))
        elif type(Ys[0]) is ndarray:
            self.record_Y(Ys[0])
        else:
            self._Y_shape, self._Y_dtype = np.shape(Ys[0]), np.result_type(Ys[0])  # a loss's number
        return in_form(Ys, self.wiring.output_keys)

    # ------------------------------------------------------------------------------------ backward

    def backward(self, *dYs: Any, **named: Any) -> Any:
        gradients = self._start_backward(dYs, named)
        layer: Layer = self
        try:
            for index, (takes, gives, single) in self._backward_walk:
                layer = self.layers[index]
                if single:
                    dX = layer.backward(gradients[gives[0]])
                else:
                    dX = layer.backward(*[gradients[slot] for slot in gives])
                if single and type(dX) is ndarray and gradients[takes[0]] is None:
                    gradients[takes[0]] = dX
                else:
                    for slot, part in each_dX(layer, self.wiring.given(takes), dX):
                        before = gradients[slot]
                        gradients[slot] = part if before is None else added(before, part)
        except Exception as error:
            self._note_place(error, layer)
            raise
        if self._tied:
            self.add_tied()
        return self._hand_back(gradients) if self.needs_dX else None

    def _start_backward(self, dYs: tuple[Any, ...], named: dict[str, Any]) -> list[Any]:
        """The slots before the last layer's backward runs: filled with the gradients of the outputs."""
        wiring = self.wiring
        gradients: list[Any] = [None] * wiring.size
        for slot, zeros in self._zeros:
            gradients[slot] = zeros
        usual = len(dYs) == 1 == self.num_outputs and type(dY := dYs[0]) is ndarray
        if not usual or dY.shape != self._Y_shape or dY.dtype != self._Y_dtype:
            dYs = tuple(self._checked(dYs, named))
        for slot, dY in zip(wiring.outputs, dYs, strict=True):
            gradients[slot] = dY.copy() if slot < wiring.first_result else dY
        return gradients

    def _hand_back(self, gradients: list[Any]) -> Any:
        """The gradients of the inputs that have one, in the form of the inputs; None if there are none."""
        wiring = self.wiring
        with_gradient = self.differentiable_inputs(len(wiring.input_names))
        if not with_gradient:
            return None
        keys = wiring.input_keys and tuple([wiring.input_keys[slot] for slot in with_gradient])
        if keys == () and wiring.needed == 1 < len(wiring.input_names):
            keys = None
        return in_form([gradients[slot] for slot in with_gradient], keys)

    def _checked(self, dYs: tuple[Any, ...], named: dict[str, Any]) -> Sequence[Array]:
        """The gradients of the outputs, by position or by key, checked."""
        if self.num_outputs == len(dYs) == 1:
            return [self.check_dY(dYs[0])]
        if named:
            if dYs or set(named) != set(self.wiring.output_keys or ()):
                keys = ", ".join(self.wiring.output_keys or ()) or "no names"
                raise TypeError(f"{self.one_line()}: expected the gradients of {keys}, got {', '.join(named)}")
            dYs = tuple([named[key] for key in self.wiring.output_keys or ()])
        if self.num_outputs > 1:
            return self.check_dYs(dYs)
        if not dYs and self._Y_shape == ():
            dYs = (np.ones((), self._Y_dtype),)
        if len(dYs) > 1:
            raise TypeError(f"{self.one_line()}: expected one gradient, for the one output, got {len(dYs)}")
        if not dYs and self._Y_shape is not None:
            raise TypeError(f"{self.one_line()}: expected dY, since Y is not one number; it has shape {self._Y_shape}")
        return [self.check_dY(*dYs or (None,))]

    _needs_dX = True

    @property
    def needs_dX(self) -> bool:
        """False if nobody will read the gradients of the inputs: backward then runs only what leads to parameters."""
        return self._needs_dX

    @needs_dX.setter
    def needs_dX(self, value: bool) -> None:
        self._needs_dX = value or not can_skip_dX(self)
        self._plan_backward()

    def _plan_backward(self) -> None:
        """Decide which layers backward runs, and which of them may skip dX."""
        wires, reached = self.wiring.wires, self.wiring.reached
        needed = set(range(len(self.input_names))) if self._needs_dX else set()
        walk = []
        for index, (layer, (takes, gives, _)) in enumerate(zip(self.layers, wires, strict=True)):
            needs_dX = not needed.isdisjoint(takes)
            layer.needs_dX = needs_dX or not can_skip_dX(layer)
            if not reached.isdisjoint(gives) and (needs_dX or learns(layer)):
                needed.update(gives)
                walk.append(index)
        self._backward_walk = [(index, wires[index]) for index in reversed(walk)]
        self._unreached = sorted({slot for index in walk for slot in wires[index][1]} - reached)

    # ------------------------------------------------------------------------------------ for the base class

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """:meth:`forward` of arrays; of the nodes of a larger graph, one of its nodes, or several."""
        Xs = self._by_position(args, kwargs)
        if any(isinstance(X, Node) for X in Xs):
            Xs = self._as_nodes(Xs)
        Y = super().__call__(*Xs)
        return in_form(Y, self.wiring.output_keys) if type(Y) is tuple and isinstance(Y[0], Node) else Y

    def _as_nodes(self, Xs: tuple[Any, ...]) -> tuple[Any, ...]:
        """The inputs for a larger graph, without those at the end that are left out.

        Raises:
            TypeError: an optional input of the larger graph is needed here.
        """
        needed = self.wiring.needed
        for name, X in zip(self.input_names, Xs[:needed], strict=False):
            if X is None:
                raise TypeError(f"{self.one_line()}: {name} is needed, got None")
            if isinstance(X, Node) and X.optional:
                raise TypeError(f"{self.one_line()}: {name} is needed, but {X!r} is optional")
        given = max((slot for slot, X in enumerate(Xs) if X is not None), default=0) + 1
        return tuple([Omitted() if X is None and slot >= needed else X for slot, X in enumerate(Xs[:given])])

    def forward_through(self, to: Any, *Xs: Any, **named: Any) -> Any:
        """For :class:`nnlite.containers.program.Program`: forward, with edges in place of arrays."""
        wiring, labels = self.wiring, self.wiring.labels()
        given = enumerate(self._by_position(Xs, named))
        edges = {slot: to.constant(None, "None") if edge is None else edge for slot, edge in given}
        edges |= {slot: to.constant(value, labels[slot]) for slot, value in wiring.constants}
        for (name, layer), (takes, gives, _) in zip(self.named_children(), wiring.wires, strict=True):
            edges |= zip(gives, listed(to.part(name, layer, *[edges[slot] for slot in takes])), strict=True)
        return in_form([edges[slot] for slot in wiring.outputs], wiring.output_keys)

    def names_of_inputs(self, count: int | None = None) -> list[str | None]:
        """The names of its first ``count`` inputs, at least of those that are needed; None for one without a name."""
        return list(self.input_names[: max(count or 0, self.wiring.needed)])

    def names_of_outputs(self) -> tuple[str, ...]:
        """The keys of its outputs, if they are a dict."""
        return self.wiring.output_keys or ()

    def named_children(self) -> Iterator[tuple[str, Layer]]:
        """(name or number, layer) of each in the order in which they run."""
        return zip(self.wiring.places(), self.layers, strict=True)

    def differentiable_inputs(self, count: int) -> tuple[int, ...]:
        return tuple(slot for slot in range(len(self.input_names)) if slot in self.wiring.reached)

    def output_shape(self, *shapes: Shape) -> Any:
        left_out = len(self.input_names) - len(shapes)
        if not 0 <= left_out <= len(self.input_names) - self.wiring.needed:
            return UNKNOWN
        return self.wiring.output_shape(self.one_line(), self.layers, (*shapes, *[()] * left_out))

    def __repr__(self) -> str:
        lines = self.wiring.shown(self.layers).replace("\n", "\n  ")
        return f"{type(self).__name__}(\n  {lines}\n)"

    def _note_place(self, error: Exception, layer: Layer) -> None:
        if layer is not self:
            wiring, index = self.wiring, next(index for index, each in enumerate(self.layers) if each is layer)
            place = wiring.names[index] or index
            error.add_note(f"in {type(self).__name__}[{place}] {layer.one_line()} ({wiring.lines[index]})")

    # ------------------------------------------------------------------------------------ for files

    def saved_arguments(self) -> dict[str, Any]:
        """For files: what is connected with what, by the numbers of the slots."""
        return saved_wiring(self.layers, self.wiring)

    @classmethod
    def from_saved(cls, **saved: Any) -> "Graph":
        """A graph that is connected as :meth:`saved_arguments` says."""
        inputs, outputs, names = nodes_of_saved(**saved)
        return cls(inputs, outputs, names=names)
