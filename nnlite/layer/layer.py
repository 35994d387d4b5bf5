"""Layer: the one concept that everything else here is made of."""

from collections.abc import Iterator, Mapping
from typing import Any, NoReturn, Self

import numpy as np
from numpy import ndarray  # by this name it is found sooner, and it is looked for in every layer
from numpy.typing import DTypeLike

from nnlite.basics.arrays import FLOATING, Array, as_array, as_floating, floating_dtype
from nnlite.basics.shapes import UNKNOWN, Shape, width
from nnlite.errors import ShapeError, StateError
from nnlite.layer.flat import Reference, adopt, flatten
from nnlite.layer.state import declare, misfits, write


class Symbol:
    """What stands for an array while a graph is put together: calling a layer on one gives another."""

    @classmethod
    def applied(cls, layer: "Layer", inputs: tuple[Any, ...], named: dict[str, Any] | None = None) -> Any:
        """What stands for the layer's output."""
        raise NotImplementedError


class Layer:
    """A forward and its backward, side by side.

    ``forward(X)`` returns Y and keeps what backward needs as plain attributes; ``backward(dY)`` stores the
    gradients of the parameters and returns dX. A subclass names its parameters in the class line, and each
    parameter ``P`` gets a gradient ``dP`` of the same shape and dtype. Both are views into the flat vectors
    ``Phi`` and ``dPhi``, so that assigning to them (``self.W = ...``, ``self.dW = ...``) writes *into* the stored
    arrays. ``backward`` overwrites gradients; it never adds to them, and nobody zeroes them.

    An attribute that is itself a Layer is a part of this one: its parameters, named ``attribute.W``, count too. So is a
    Layer in a list, tuple or dict that is an attribute; deeper down, or in other objects, it is not found.

    Attributes:
        training: True in training mode, False in evaluation mode; see :meth:`train` and :meth:`eval`.
        needs_dX: False says that nobody will read dX: ``backward`` may leave it out and return None.
        num_outputs: how many arrays forward returns; several come as a tuple, and backward takes as many.
        dtype: of the parameters; what integer input is converted to.
        formulas: what forward and backward compute, for :func:`nnlite.explain`: assignments in plain Python and NumPy,
            one a line, in their own names, such as ``Y = X * gamma`` and ``dX = dY * gamma``. It may be left out.

    >>> class Scale(Layer, parameters=("gamma",)):
    ...     def __init__(self, features):
    ...         self.gamma = np.ones(features)
    ...     def forward(self, X):
    ...         self.X = X
    ...         return X * self.gamma
    ...     def backward(self, dY):
    ...         self.dgamma = np.sum(dY * self.X, axis=0)
    ...         return dY * self.gamma
    >>> layer = Scale(2)
    >>> layer.forward(np.array([[1.0, 2.0]], np.float32))
    array([[1., 2.]], dtype=float32)
    >>> layer.backward(np.array([[3.0, 4.0]], np.float32))
    array([[3., 4.]], dtype=float32)
    >>> layer.Phi -= 0.5 * layer.dPhi
    >>> layer.gamma
    array([-0.5, -3. ], dtype=float32)
    """

    training: bool = True
    dtype: np.dtype[Any] = np.dtype(np.float32)

    original: "Layer | None" = None  # the layer whose parameters this one uses; see nnlite.tied
    sums_tied: bool = False  # backward ends with add_tied

    _parameters: tuple[str, ...] = ()  # their names, in the order in which Phi holds them
    _Phi: Array | None = None  # made when first asked for, or by the container that the layer is put into
    _dPhi: Array | None = None
    _adopted: bool = False  # it is part of a container
    _tied: tuple[Reference, ...] = ()  # the layers in it whose gradients it adds to those of what they are tied to

    needs_dX: bool = True
    num_outputs: int = 1
    formulas: str = ""

    _Y_shape: tuple[int, ...] | None = None  # of the last output; None before forward
    _Y_dtype: np.dtype[Any] | None = None
    _Ys: list[tuple[tuple[int, ...], np.dtype[Any]]] | None = None  # shape and dtype of each, where there are several

    def __init_subclass__(cls, parameters: tuple[str, ...] = (), **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if isinstance(parameters, str):
            raise TypeError(f"parameters: expected a tuple of names, got the string {parameters!r}; add a comma")
        for name in parameters:
            if not isinstance(name, str) or not name.isidentifier():
                raise TypeError(f"{cls.__name__}: parameters: expected names such as 'W', got {name!r}")
            for attribute in name, "d" + name, "_" + name, "_d" + name:
                if hasattr(cls, attribute):
                    raise ValueError(
                        f"{cls.__name__}: parameters: {name!r} cannot be one, since {attribute!r} is there already"
                    )
            declare(cls, name)
        cls._parameters = cls._parameters + tuple(parameters)

    # ------------------------------------------------------------------------------------- the contract

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return Y and keep what backward needs."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def backward(self, *args: Any, **kwargs: Any) -> Any:
        """Store the gradients of the parameters and return dX."""
        raise NotImplementedError(f"{type(self).__name__} has no backward")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Of arrays the same as :meth:`forward`; of the nodes of a graph that is put together, a new node.

        >>> import nnlite as nn
        >>> x = nn.Input("x")
        >>> nn.Graph(x, nn.Tanh()(x)).forward([0.0])
        array([0.])
        """
        for arg in (*args, *kwargs.values()):
            if isinstance(arg, Symbol):
                return arg.applied(self, args, kwargs)
        return self.forward(*args, **kwargs)

    def output_features(self, in_features: int | None) -> int | None:
        """The width of Y's last axis when that of X is ``in_features``; None where it is not known.

        Containers ask for it when they are built.

        Raises:
            ShapeError: the layer cannot take that width.
        """
        if type(self).output_shape is Layer.output_shape or self.num_outputs != 1:
            return None
        try:
            return width(self.output_shape(UNKNOWN if in_features is None else (..., in_features)))
        except ShapeError:
            raise
        except Exception:  # a layer of several inputs
            return None

    def output_shape(self, *shapes: Shape) -> Any:
        """What is known of Y's shape when ``shapes`` is what is known of the inputs'; see :mod:`nnlite.basics.shapes`.

        Graphs ask for it when they are put together. By default only widths are known. A layer of several outputs
        returns a tuple of shapes, or ``UNKNOWN``.

        Raises:
            ShapeError: the layer cannot take those shapes.

        >>> import nnlite as nn
        >>> nn.Linear(3, 2).output_shape((None, 3))
        (None, 2)
        """
        if len(shapes) != 1 or self.num_outputs != 1:
            return UNKNOWN
        if type(self).output_features is Layer.output_features:
            return UNKNOWN
        features = self.output_features(width(shapes[0]))
        return UNKNOWN if features is None else (..., features)

    # ------------------------------------------------------------- what forward and backward begin and end with

    def check_X(self, X: Any, name: str = "X") -> Array:
        """``X`` as a floating array: in the parameters' dtype, or in its own where there are no parameters.

        ``name`` is what the argument is called in an error.

        Raises:
            TypeError: X does not hold real numbers.
        """
        if type(X) is ndarray and X.dtype == self.dtype:
            return X
        dtype = self.dtype if self._parameters else None
        if type(X) is ndarray and X.dtype in FLOATING:
            return X if dtype is None else X.astype(dtype)
        array = as_array(X, f"{self.one_line()}: {name}")
        if array.dtype.kind != "f":
            dtype = self.dtype
        return as_floating(array, name, dtype)

    def record_Y(self, Y: Array) -> Array:
        """``Y`` itself; its shape and dtype are what :meth:`check_dY` will expect."""
        self._Y_shape = Y.shape
        self._Y_dtype = Y.dtype
        return Y

    def keep_Y(self, Y: Any) -> Array:
        """As :meth:`record_Y`, for a Y that backward needs: read-only, so that nobody changes it in between."""
        kept: Array = Y if type(Y) is ndarray else np.asarray(Y)  # a ufunc gives a scalar for a 0-d array
        kept.setflags(write=False)
        self._Y_shape = kept.shape
        self._Y_dtype = kept.dtype
        return kept

    def record_Ys(self, Ys: tuple[Any, ...]) -> tuple[Any, ...]:
        """As :meth:`record_Y`, for several outputs, which :meth:`check_dYs` will go by."""
        self._Ys = [(np.shape(Y), np.result_type(Y)) for Y in Ys]
        return Ys

    def check_dYs(self, dYs: tuple[Any, ...]) -> tuple[Array, ...]:
        """As :meth:`check_dY`, for several outputs.

        Raises:
            TypeError: there are not as many as outputs.
        """
        if self._Ys is None:
            raise StateError(f"{self.one_line()}: backward was called before forward; call forward first")
        if len(dYs) != len(self._Ys):
            raise TypeError(f"{self.one_line()}: expected {len(self._Ys)} gradients, one for each Y, got {len(dYs)}")
        checked = []
        for dY, (shape, dtype) in zip(dYs, self._Ys, strict=True):
            self._Y_shape, self._Y_dtype = shape, dtype
            checked.append(self.check_dY(dY))
        return tuple(checked)

    def check_dY(self, dY: Any) -> Array:
        """``dY`` as an array of the last Y's dtype.

        Raises:
            StateError: forward has not been called.
            ShapeError: dY has not the shape of the last Y.
            TypeError: dY is not floating.
        """
        if type(dY) is ndarray and dY.shape == self._Y_shape and dY.dtype == self._Y_dtype:
            return dY
        if self._Y_shape is None:
            raise StateError(f"{self.one_line()}: backward was called before forward; call forward(X) first")
        if dY is None:
            raise TypeError(f"{self.one_line()}: dY is None; did the backward of the layer after it return its dX?")
        array = as_array(dY, f"{self.one_line()}: dY")
        if array.dtype.kind != "f":
            raise TypeError(f"{self.one_line()}: dY: expected floating numbers, got dtype {array.dtype}")
        array = as_floating(array, "dY", self._Y_dtype if self._Y_dtype in FLOATING else None)
        if array.shape != self._Y_shape:
            raise ShapeError(
                f"{self.one_line()}: expected dY of shape {self._Y_shape}, that of the last Y, got {array.shape}"
            )
        return array

    # --- the tree of parts

    def named_children(self) -> Iterator[tuple[str, "Layer"]]:
        """(name, layer) of each direct part, in order.

        >>> import nnlite as nn
        >>> [name for name, part in nn.Sequential(nn.Linear(2, 1), nn.Tanh()).named_children()]
        ['0', '1']
        """
        for name, value in vars(self).items():
            if isinstance(value, Layer):
                yield name, value
            elif isinstance(value, list | tuple | dict):
                parts = value.items() if isinstance(value, dict) else enumerate(value)
                yield from ((f"{name}.{key}", part) for key, part in parts if isinstance(part, Layer))

    def named_layers(self, path: str = "") -> Iterator[tuple[str, "Layer"]]:
        """(path, layer) of this layer, whose path is "", and of everything in it, depth first.

        >>> import nnlite as nn
        >>> [path for path, layer in nn.Sequential(nn.Sequential(nn.Tanh())).named_layers()]
        ['', '0', '0.0']
        """
        yield path, self
        for name, child in self.named_children():
            yield from child.named_layers(inside(path, name))

    def train(self, mode: bool = True) -> Self:
        """Set training mode for this layer and all in it; returns the layer.

        >>> import nnlite as nn
        >>> nn.Tanh().train().training
        True
        """
        for _, layer in self.named_layers():
            layer.training = mode
        return self

    def eval(self) -> Self:
        """Set evaluation mode for this layer and all in it; returns the layer.

        >>> import nnlite as nn
        >>> nn.Tanh().eval().training
        False
        """
        return self.train(False)

    def __repr__(self) -> str:
        children = [f"({name}): {child!r}" for name, child in self.named_children()]
        if not children:
            return f"{type(self).__name__}({self.extra_repr()})"
        lines = "\n".join(children).replace("\n", "\n  ")
        return f"{type(self).__name__}(\n  {lines}\n)"

    def one_line(self) -> str:
        """The repr on one line, for messages: ``Sequential(3 layers)``.

        >>> import nnlite as nn
        >>> nn.Sequential(nn.Linear(2, 1), nn.Tanh()).one_line()
        'Sequential(2 layers)'
        """
        parts = len(list(self.named_children()))
        return f"{type(self).__name__}({parts} layers)" if parts else repr(self)

    def extra_repr(self) -> str:
        """What stands between the brackets of the layer's repr."""
        return ""

    def evaluation_twin(self) -> Self:
        """A layer on the same parameters, in evaluation mode, with a cache of its own.

        What predicts writes on the twin and never on the model, so that many threads can predict at once.

        >>> import numpy as np, nnlite as nn
        >>> layer = nn.Tanh()
        >>> Y = layer.evaluation_twin().forward(np.zeros(2))
        >>> hasattr(layer, "Y")
        False
        """
        twin = object.__new__(type(self))
        attributes = twin.__dict__ = self.__dict__ | {"training": False}
        for name, value in self.__dict__.items():
            if type(value) not in _PLAIN:  # a glance that spares most of them the questions that follow
                attributes[name] = _twin(value)
        return twin

    def named_parameters(self) -> Iterator[tuple[str, Array]]:
        """(name, array) of each parameter of this layer and of all in it: the arrays themselves, in Phi's order.

        >>> import nnlite as nn
        >>> [(name, P.shape) for name, P in nn.Sequential(nn.Linear(2, 3)).named_parameters()]
        [('0.W', (2, 3)), ('0.b', (3,))]
        """
        return ((path, getattr(layer, name)) for path, layer, name in self._slots())

    def named_gradients(self) -> Iterator[tuple[str, Array]]:
        """(name, array) of each parameter's gradient, under the name of its parameter.

        >>> import nnlite as nn
        >>> [(name, dP.shape) for name, dP in nn.Sequential(nn.Linear(2, 3)).named_gradients()]
        [('0.W', (2, 3)), ('0.b', (3,))]
        """
        return ((path, getattr(layer, "d" + name)) for path, layer, name in self._slots())

    def state_dict(self) -> dict[str, Array]:
        """A copy of every parameter under its name.

        >>> import nnlite as nn
        >>> sorted(nn.Linear(2, 3).state_dict())
        ['W', 'b']
        """
        return {name: P.copy() for name, P in self.named_parameters()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Copy ``state``, as :meth:`state_dict` gives it, into the parameters: all of it, or nothing.

        Raises:
            ValueError: a name is missing or unknown, or a shape or dtype differs; the message lists every one.

        >>> import nnlite as nn
        >>> a, b = nn.Linear(2, 3, rng=0), nn.Linear(2, 3, rng=1)
        >>> b.load_state_dict(a.state_dict())
        >>> np.array_equal(a.W, b.W)
        True
        """
        own = dict(self.named_parameters())
        new = {name: np.array(value) for name, value in state.items()}  # copies: it may hold our own arrays, swapped
        wrong = misfits(own, new)
        if wrong:
            raise ValueError(f"{self.one_line()}: the state does not fit, nothing was loaded:\n  " + "\n  ".join(wrong))
        for name, P in own.items():
            P[...] = new[name]

    def astype(self, dtype: DTypeLike) -> Self:
        """Convert every parameter and gradient, in place; returns the layer. A new forward must come next.

        Raises:
            TypeError: ``dtype`` is not floating.
            ValueError: the layer is part of a larger model, which must have one dtype.

        >>> import nnlite as nn
        >>> nn.Linear(2, 3).astype(np.float64).W.dtype
        dtype('float64')
        """
        dtype = floating_dtype(dtype)
        if self._adopted:
            raise ValueError(
                f"{self.one_line()} is part of a model, which has one dtype; call astype on the whole model"
            )
        self.Phi  # noqa: B018 - from now on the parts are this layer's own
        for _, layer in self.named_layers():
            layer.dtype = dtype
            layer._Y_shape = layer._Ys = None
        for _, layer, name in self._slots():
            vars(layer)["_" + name] = getattr(layer, name).astype(dtype)
        flatten(self)
        return self

    # ------------------------------------------------------------------------- parameters, as one flat vector

    @property
    def Phi(self) -> Array:
        """Every parameter in one contiguous 1-D array, of which each is a view; assigning writes into it.

        A part's Phi is a slice of the whole's.

        Raises:
            ValueError: the parts differ in dtype, or one of them belongs to another model.

        >>> import nnlite as nn
        >>> nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)).Phi.shape
        (13,)
        """
        if self._Phi is None:
            adopt(self, [layer for _, layer in self.named_children()])
        return self._Phi  # type: ignore[return-value]

    @Phi.setter
    def Phi(self, value: Any) -> None:
        write(self, "Phi", self.Phi, value)

    @property
    def dPhi(self) -> Array:
        """The gradient of every parameter, in the order of Phi.

        >>> import nnlite as nn
        >>> nn.Linear(2, 1).dPhi
        array([0., 0., 0.], dtype=float32)
        """
        if self._dPhi is None:
            self.Phi  # noqa: B018 - makes both
        return self._dPhi  # type: ignore[return-value]

    @dPhi.setter
    def dPhi(self, value: Any) -> None:
        write(self, "dPhi", self.dPhi, value)

    def _slots(self) -> Iterator[tuple[str, "Layer", str]]:
        """(dotted name, layer, parameter) of each parameter that has a value."""
        for path, layer in self.named_layers():
            for name in layer._parameters:
                if getattr(layer, name) is not None:
                    yield inside(path, name), layer, name

    def __getstate__(self) -> dict[str, Any]:
        """All but what ties the layer to its model: a copy of views would not be views of the copy's Phi."""
        ties = ("_Phi", "_dPhi", "_adopted", "_tied")
        return {key: value for key, value in vars(self).items() if key not in ties}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take the state, and tie the parts to this layer again."""
        vars(self).update(state)
        if any(self.named_children()):
            self.Phi  # noqa: B018

    def __copy__(self) -> NoReturn:
        raise TypeError(f"{self.one_line()}: a shallow copy would share its parameters; use copy.deepcopy")

    # ----------------------------------------------------------------------------------------- ties

    def add_tied(self) -> None:
        """Add the gradients of the tied layers in this one to those of the layers that they are tied to.

        Containers end their backward with it.
        """
        self.Phi  # noqa: B018 - a layer made of layers finds its ties when Phi is made
        for tied in self._tied:
            tied.layer.add_gradients()

    def add_gradients(self) -> None:
        """Add this layer's own gradients to those of the layer it is tied to; see :func:`nnlite.tied`."""
        for dP, own in self.own_gradients():
            dP += own

    def own_gradients(self) -> Iterator[tuple[Array, Array]]:
        """(gradient of the layer that this one is tied to, what this one adds to it) of each parameter."""
        return iter(())


def check_layer(value: Any, name: str) -> None:
    """Raise unless ``value`` is a Layer; ``name`` is what the argument is called.

    >>> check_layer(Layer, "model")
    Traceback (most recent call last):
        ...
    TypeError: model: expected a Layer, got the class itself; write Layer(...)
    """
    if isinstance(value, type) and issubclass(value, Layer):
        raise TypeError(f"{name}: expected a Layer, got the class itself; write {value.__name__}(...)")
    if not isinstance(value, Layer):
        raise TypeError(f"{name}: expected a Layer, got {value!r}")


def may_leave_out_dX(layer: Layer) -> bool:
    """Whether ``needs_dX`` may be set to False: not if a subclass's backward builds on another one's dX.

    >>> import nnlite as nn
    >>> class Residual(nn.Sequential):
    ...     def backward(self, dY):
    ...         return dY + super().backward(dY)
    >>> may_leave_out_dX(nn.Sequential()), may_leave_out_dX(Residual())
    (True, False)
    """
    return sum("backward" in vars(cls) for cls in type(layer).__mro__) <= 2  # the layer's own, and Layer's


def learns(layer: Layer) -> bool:
    """Whether backward of the layer, or of one in it, stores gradients of parameters.

    >>> import nnlite as nn
    >>> learns(nn.Sequential(nn.Linear(2, 1))), learns(nn.Tanh())
    (True, False)
    """
    return any(
        part.original is not None or any(getattr(part, name) is not None for name in part._parameters)
        for _, part in layer.named_layers()
    )


_PLAIN = frozenset({ndarray, int, bool, str, type(None), *map(type, FLOATING)})  # of these a twin takes the original


def inside(path: str, name: str) -> str:
    """The path of what is called ``name`` in the layer at ``path``.

    >>> inside("", "0"), inside("0", "W")
    ('0', '0.W')
    """
    return f"{path}.{name}" if path else name


def _twin(value: Any) -> Any:
    if isinstance(value, Layer):
        return value.evaluation_twin()
    if type(value) in (list, tuple):
        if _PLAIN.issuperset(map(type, value)) or not any(isinstance(part, Layer) for part in value):
            return value
        return type(value)(map(_twin, value))
    if type(value) is dict and any(isinstance(part, Layer) for part in value.values()):
        return {key: _twin(part) for key, part in value.items()}
    return value
