"""Graph: layers connected in any way that has no circle."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from nnlite.arrays import Array, as_array, as_floating, listed
from nnlite.containers.node import Constant, Node, Parameter
from nnlite.containers.order import in_order
from nnlite.errors import ShapeError
from nnlite.layer import Layer, learns, may_leave_out_dX
from nnlite.losses.loss import Loss
from nnlite.parameters import adopt
from nnlite.shapes import UNKNOWN, Shape, text, width

Slots = int | tuple[int, ...]  # where an array, or each of several, stands among those of the graph


class Graph(Layer):
    """Layers connected in any way that has no circle: forward walks them in order, backward in the opposite one.

    A value that is used several times collects its gradients: backward sums them. Where the graph was given one node
    for its inputs or outputs, forward and backward take and return an array; for a list or tuple of nodes a tuple of
    arrays in that order, and for a dict a dict with its keys::

        Y = graph.forward(X);              dX = graph.backward(dY)
        Y1, Y2 = graph.forward(A, B);      dA, dB = graph.backward(dY1, dY2)
        Ys = graph.forward(a=A, b=B);      dXs = graph.backward(y=dY1, z=dY2)

    Inputs that have a name may always be given by it. Where the output is a single number, ``backward()`` starts from
    1. The graph is checked and put in order once, when it is built; nothing is recorded while it runs.

    Args:
        inputs: a node made by ``Input``, or several in a list, tuple or dict.
        outputs: the node to compute, or several.

    Shapes:
        any. Floating inputs are converted to the dtype of the parameters, if there are any. An input that only a loss
        takes, for its target, has the gradient None.

    Raises:
        TypeError: something that is not a node.
        ValueError: an input leads to no output, an output needs an input that is not listed, a layer is used twice, an
            output is left unused, two things have one name, or there is a circle. The message names the line of the
            program that made the node.
        ShapeError: shapes that are known do not meet; raised where the node is made.

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
    _zeros: Sequence[tuple[int, Array]] = ()  # the gradients of what leads only to the target of a loss

    def __init__(self, inputs: Any, outputs: Any) -> None:
        self._input_keys, input_nodes = _nodes(inputs, "inputs")
        self._output_keys, output_nodes = _nodes(outputs, "outputs")
        leaves, calls = in_order(input_nodes, output_nodes)
        constants = [leaf for leaf in leaves if isinstance(leaf, Constant)]
        parameters = [leaf for leaf in leaves if isinstance(leaf, Parameter)]

        slots: dict[Any, int] = {}
        for leaf in (*input_nodes, *constants, *parameters):
            slots[id(leaf)] = len(slots)
        for call in calls:
            for number in range(call.layer.num_outputs):
                slots[id(call), number] = len(slots)

        def slot(node: Node) -> int:
            return slots[id(node) if node.call is None else (id(node.call), node.output)]

        self._size = len(slots)
        self.input_names = list(self._input_keys or [node.name for node in input_nodes])
        self._input_shapes = [node.shape for node in input_nodes]
        self._constants = [(slot(constant), constant.value) for constant in constants]
        self._targets = {slot(call.inputs[1]) for call in calls if _is_loss(call.layer)}
        self._outputs = [slot(node) for node in output_nodes]
        self.num_outputs = len(output_nodes)
        self.layers: list[Layer] = [*parameters, *(call.layer for call in calls)]
        self._names = [parameter.name for parameter in parameters] + [None] * len(calls)
        self._lines = [parameter.line for parameter in parameters] + [call.line for call in calls]
        self._takes: list[Slots] = [()] * len(parameters)
        self._takes += [_one_or_all([slot(node) for node in call.inputs]) for call in calls]
        self._gives: list[Slots] = [slot(parameter) for parameter in parameters]
        self._gives += [_one_or_all([slots[id(call), n] for n in range(call.layer.num_outputs)]) for call in calls]
        self._wiring: list[tuple[Any, Any, bool]] = [  # and whether it takes one array and gives one
            (takes, gives, type(takes) is type(gives) is int)
            for takes, gives in zip(self._takes, self._gives, strict=True)
        ]
        self._taken = {slot for takes in self._takes for slot in _all(takes)}
        self._first_result = len(input_nodes) + len(constants) + len(parameters)
        only = self._outputs[0] if self._output_keys is None else None
        self._plain_output = None if only is None or only in self._taken or only < self._first_result else only
        self._reached = self._find_reached()
        self._plan_backward()
        adopt(self, self.layers)

    # ------------------------------------------------------------------------------------ forward

    def forward(self, *Xs: Any, **named: Any) -> Any:
        """Run each layer on what it takes, in order."""
        values: list[Any] = [None] * self._size
        values[: len(self.input_names)] = Xs = self._converted(self._by_position(Xs, named))
        if self._constants:
            dtype = self._dtype_of(Xs)
            for slot, constant in self._constants:
                values[slot] = constant if slot in self._targets else constant.astype(dtype, copy=False)
        layer: Layer = self
        try:
            for layer, (takes, gives, single) in zip(self.layers, self._wiring, strict=True):
                Y = layer.forward(values[takes]) if single else layer.forward(*[values[slot] for slot in _all(takes)])
                if single and type(Y) is ndarray:
                    values[gives] = Y
                else:
                    _put(values, gives, Y)
        except Exception as error:
            self._Y_shape = self._Ys = None  # some layers hold this X and some the one before
            self._note_place(error, layer)
            raise
        if self._unreached:
            self._zeros = [(slot, np.zeros_like(values[slot])) for slot in self._unreached]
        return self._handed_out(values)

    def _by_position(self, Xs: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
        """The inputs in their order, also those that were given by name."""
        if named:
            by_name: dict[Any, Any] = dict(zip(self.input_names, Xs, strict=False))
            if by_name.keys() & named.keys() or by_name.keys() | named.keys() != set(self.input_names):
                names = ", ".join(str(name) for name in self.input_names)
                raise TypeError(f"{self.one_line()}: expected the inputs {names}, each once, got {', '.join(named)}")
            by_name |= named
            Xs = tuple([by_name[name] for name in self.input_names])
        if len(Xs) != len(self.input_names):
            raise TypeError(f"{self.one_line()}: expected {len(self.input_names)} inputs, got {len(Xs)}")
        return Xs

    def _converted(self, Xs: tuple[Any, ...]) -> tuple[Array, ...]:
        """The inputs as arrays; whole numbers may be classes, so they stay what they are."""
        for X in Xs:
            if type(X) is not ndarray or X.dtype != self.dtype:
                break
        else:
            return Xs
        dtype = self.dtype if self.Phi.size else None
        arrays = [as_array(X, f"{self.one_line()}: X") for X in Xs]
        return tuple([as_floating(A, "X", dtype) if A.dtype.kind == "f" else A for A in arrays])

    def _dtype_of(self, Xs: tuple[Array, ...]) -> np.dtype[Any]:
        """What the constants become: the parameters' dtype, or where there are none, that of the inputs."""
        floating = [X.dtype for X in Xs if X.dtype.kind == "f"]
        return self.dtype if self.Phi.size or not floating else np.result_type(*floating)

    def _handed_out(self, values: list[Any]) -> Any:
        """The outputs, recorded, such that the caller cannot spoil what the layers keep."""
        if self._plain_output is not None and type(values[self._plain_output]) is ndarray:
            return self.record_Y(values[self._plain_output])
        Ys = []
        for slot in self._outputs:
            Y = np.array(values[slot]) if slot < self._first_result else values[slot]
            if slot in self._taken and type(Y) is ndarray:
                Y.setflags(write=False)
            Ys.append(Y)
        if self.num_outputs > 1:
            self.record_Ys(tuple(Ys))
        elif type(Ys[0]) is ndarray:
            self.record_Y(Ys[0])
        else:
            self._Y_shape, self._Y_dtype = np.shape(Ys[0]), np.result_type(Ys[0])  # a loss's number
        return _in_form(Ys, self._output_keys)

    # ------------------------------------------------------------------------------------ backward

    def backward(self, *dYs: Any, **named: Any) -> Any:
        """Run each layer's backward, in the opposite order, and sum the gradients of what is used several times."""
        gradients: list[Any] = [None] * self._size
        for slot, zeros in self._zeros:
            gradients[slot] = zeros
        for slot, dY in zip(self._outputs, self._checked(dYs, named), strict=True):
            gradients[slot] = dY.copy() if slot < self._first_result else dY
        layer: Layer = self
        try:
            for index, (takes, gives, single) in self._backward_walk:
                layer = self.layers[index]
                if single:
                    dX = layer.backward(gradients[gives])
                else:
                    dX = layer.backward(*[gradients[slot] for slot in _all(gives)])
                if single and type(dX) is ndarray and gradients[takes] is None:
                    gradients[takes] = dX
                else:
                    _add(gradients, layer, takes, dX)
        except Exception as error:
            self._note_place(error, layer)
            raise
        if self._tied:
            self.add_tied()
        return _in_form(gradients[: len(self.input_names)], self._input_keys) if self._needs_dX else None

    def _checked(self, dYs: tuple[Any, ...], named: dict[str, Any]) -> Sequence[Array]:
        """The outputs' gradients, by position or by key."""
        if self.num_outputs == len(dYs) == 1:
            return [self.check_dY(dYs[0])]
        if named:
            if dYs or set(named) != set(self._output_keys or ()):
                keys = ", ".join(self._output_keys or ()) or "no names"
                raise TypeError(f"{self.one_line()}: expected the gradients of {keys}, got {', '.join(named)}")
            dYs = tuple([named[key] for key in self._output_keys or ()])
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
        """False when nobody will read the inputs' gradients; then only what leads to parameters is walked.

        >>> import nnlite as nn
        >>> x = nn.Input()
        >>> graph = Graph(x, nn.Linear(3, 2)(nn.Tanh()(x)))
        >>> graph.needs_dX = False
        >>> Y = graph.forward(np.ones((1, 3)))
        >>> graph.backward(np.ones((1, 2))) is None
        True
        """
        return self._needs_dX

    @needs_dX.setter
    def needs_dX(self, value: bool) -> None:
        self._needs_dX = value or not may_leave_out_dX(self)
        self._plan_backward()

    def _plan_backward(self) -> None:
        """Decide which layers backward walks, and which of them may leave dX out."""
        needed = set(range(len(self.input_names))) if self._needs_dX else set()
        order = []
        for index, (layer, takes, gives) in enumerate(zip(self.layers, self._takes, self._gives, strict=True)):
            needs_dX = not needed.isdisjoint(_all(takes))
            layer.needs_dX = needs_dX or not may_leave_out_dX(layer)
            if not self._reached.isdisjoint(_all(gives)) and (needs_dX or learns(layer)):
                needed.update(_all(gives))
                order.append(index)
        self._backward_walk = [(index, self._wiring[index]) for index in reversed(order)]
        given = {slot for index in order for slot in _all(self._gives[index])}
        self._unreached = sorted(given - self._reached)

    def _find_reached(self) -> set[int]:
        """Where gradients arrive: nowhere on the way to a loss's target.

        Raises:
            ValueError: parameters that would never get one.
        """
        reached = set(self._outputs)
        for index in reversed(range(len(self.layers))):
            layer, takes, gives = self.layers[index], _all(self._takes[index]), _all(self._gives[index])
            if not reached.isdisjoint(gives):
                reached.update(takes[:1] if _is_loss(layer) else takes)
            elif learns(layer):
                raise ValueError(
                    f"Graph: {layer.one_line()} ({self._lines[index]}) leads only to the target of a loss, which has "
                    "no gradient, so it would never learn; make the target an input"
                )
        return reached

    # ------------------------------------------------------------------------------------ for the base class

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Of arrays the same as :meth:`forward`; of the nodes of a larger graph, one of its nodes, or several."""
        Y = super().__call__(*self._by_position(args, kwargs))
        return _in_form(Y, self._output_keys) if type(Y) is tuple and isinstance(Y[0], Node) else Y

    def named_children(self) -> Iterator[tuple[str, Layer]]:
        """(number, layer) of each in the order in which they run; a parameter that has a name has that."""
        return (
            (name or str(index), layer)
            for index, (name, layer) in enumerate(zip(self._names, self.layers, strict=True))
        )

    def output_features(self, in_features: int | None) -> int | None:
        """What follows from the width of the one input."""
        if len(self.input_names) != 1 or self.num_outputs != 1:
            return None
        return width(self.output_shape(UNKNOWN if in_features is None else (..., in_features)))

    def output_shape(self, *shapes: Shape) -> Any:
        """What follows from the shapes of the inputs, layer by layer."""
        known: dict[int, Any] = {slot: value.shape for slot, value in self._constants}
        for slot, (declared, given) in enumerate(zip(self._input_shapes, shapes, strict=True)):
            if None not in (width(declared), width(given)) and width(declared) != width(given):
                raise ShapeError(f"{self.one_line()}: expected an input of shape {text(declared)}, got {text(given)}")
            known[slot] = declared if given == UNKNOWN else given
        for layer, (takes, gives, _) in zip(self.layers, self._wiring, strict=True):
            Y = layer.output_shape(*[known[slot] for slot in _all(takes)])
            several = type(gives) is not int
            known |= zip(gives, Y, strict=True) if several and Y != UNKNOWN else dict.fromkeys(_all(gives), Y)
        return known[self._outputs[0]] if self.num_outputs == 1 else tuple([known[slot] for slot in self._outputs])

    def __repr__(self) -> str:
        labels = {slot: name or f"input {slot}" for slot, name in enumerate(self.input_names)}
        labels |= {slot: str(value) if value.size < 4 else f"array{value.shape}" for slot, value in self._constants}
        lines = []
        for (name, layer), takes, gives in zip(self.named_children(), self._takes, self._gives, strict=True):
            for number, slot in enumerate(_all(gives)):
                labels[slot] = name if type(gives) is int else f"{name}[{number}]"
            of = f" of {', '.join(labels[slot] for slot in _all(takes))}" if takes != () else ""
            lines.append(f"({name}): {layer!r}{of}".replace("\n", "\n  "))
        lines.append(f"-> {', '.join(labels[slot] for slot in self._outputs)}")
        return f"{type(self).__name__}(\n  " + "\n  ".join(lines) + "\n)"

    def _note_place(self, error: Exception, layer: Layer) -> None:
        if layer is not self:
            index = next(index for index, each in enumerate(self.layers) if each is layer)
            error.add_note(
                f"in {type(self).__name__}[{self._names[index] or index}] {layer.one_line()} ({self._lines[index]})"
            )


def _nodes(given: Any, name: str) -> tuple[tuple[str, ...] | None, list[Node]]:
    """The keys, None for a single node and none for a list; and the nodes."""
    keys = tuple(given) if isinstance(given, dict) else () if isinstance(given, list | tuple) else None
    nodes = [given] if keys is None else list(given.values() if keys else given)
    if not nodes:
        raise ValueError(f"Graph: {name}: expected at least one node")
    for node in nodes:
        if not isinstance(node, Node):
            raise TypeError(f"Graph: {name}: expected a node, such as nnlite.Input() makes, got {node!r}")
    return keys, nodes


def _in_form(arrays: Sequence[Any], keys: tuple[str, ...] | None) -> Any:
    """One array, a tuple of them, or a dict."""
    if keys is None:
        return arrays[0]
    return dict(zip(keys, arrays, strict=True)) if keys else tuple(arrays)


def _one_or_all(slots: list[int]) -> Slots:
    return slots[0] if len(slots) == 1 else tuple(slots)


def _all(slots: Slots) -> tuple[int, ...]:
    return (slots,) if isinstance(slots, int) else slots


def _is_loss(layer: Layer) -> bool:
    """Whether the second input is a target, which gets no gradient."""
    return isinstance(layer.original or layer, Loss)


def _put(values: list[Any], gives: Slots, Y: Any) -> None:
    """Put what a layer gave where it belongs."""
    Ys, slots = listed(Y), _all(gives)
    if Y is None:
        raise TypeError("forward returned None; did it forget to return Y?")
    if len(Ys) != len(slots):
        raise TypeError(f"expected forward to return {len(slots)} arrays (num_outputs), got {len(Ys)}")
    for slot, part in zip(slots, Ys, strict=True):
        values[slot] = part


def _add(gradients: list[Any], layer: Layer, takes: Slots, dX: Any) -> None:
    """Add what a layer's backward gave to the gradients that its inputs have already."""
    dXs, slots = listed(dX), _all(takes)
    if _is_loss(layer):
        slots = slots[:1]  # it gives none for its target
    if dX is None and not layer.needs_dX:
        return
    if len(dXs) != len(slots) or any(part is None for part in dXs):
        raise TypeError(
            f"expected backward to return the gradients of {len(slots)} inputs; did it forget to return dX?"
        )
    for slot, part in zip(slots, dXs, strict=True):
        before = gradients[slot]
        if before is not None and np.shape(before) != np.shape(part):
            raise ShapeError(f"one value has gradients of two shapes, {np.shape(before)} and {np.shape(part)}")
        gradients[slot] = part if before is None else np.asarray(before + part)
