"""Layer: the base class of layers, losses, containers and models."""

import weakref
from collections.abc import Iterator, Mapping
from copy import copy
from inspect import Parameter, signature
from typing import Any, ClassVar, NoReturn, Self

import numpy as np
from numpy import ndarray  # a global name is found sooner than an attribute of np, and every layer needs it
from numpy.typing import DTypeLike

from nnlite.basics.arrays import FLOATING, Array, as_array, as_floating, floating_dtype
from nnlite.basics.shapes import UNKNOWN, Shape
from nnlite.errors import ShapeError, StateError
from nnlite.layer.cache import cached_names, refuse_undeclared
from nnlite.layer.flat import adopt, check_depth, flatten
from nnlite.layer.flops import Flops
from nnlite.layer.hidden import Reference, check_hidden
from nnlite.layer.parts import PLAIN, held, inside, twins_in
from nnlite.layer.state import declare, misfits, own_arrays, write


class Placeholder:
    """A placeholder for an array while a graph is built: calling a layer on one returns another."""

    @classmethod
    def applied(cls, layer: "Layer", inputs: tuple[Any, ...], named: dict[str, Any] | None = None) -> Any:
        """The placeholder for the layer's output."""
        raise NotImplementedError


class Layer:
    """A forward and its backward, side by side.

    ``forward(X)`` returns Y and caches what backward needs as plain attributes; ``backward(dY)`` stores the gradients
    of the parameters and returns dX. ``backward`` overwrites gradients; it never adds to them, and nobody zeroes them.

    A subclass declares its state in the class line::

        class BatchNorm(Layer, parameters=("gamma", "beta"), buffers=("running_mean", "running_var")): ...

    Each parameter ``P`` has a gradient ``dP`` of the same shape and dtype. Both are views into the flat vectors ``Phi``
    and ``dPhi``, so assigning to them (``self.W = ...``, ``self.dW = ...``) writes *into* the stored arrays. A buffer
    is an array that is not trained; assigning writes into it as well. The first assignment, in ``__init__``, makes the
    array: floating numbers get the layer's dtype, a buffer of integers or booleans keeps its own. Random generators
    held as attributes are state, too. State is copied, pickled, saved and restored with the layer.

    What ``forward`` and ``backward`` assign and ``__init__`` does not is the cache. It is not part of copies and files;
    see :meth:`clear_cache`.

    An attribute that is itself a Layer is a part of this one: its parameters, named ``attribute.W``, count too. So are
    layers in attributes that are lists, tuples and dicts, at any depth.

    Attributes:
        training: True in training mode, False in evaluation mode; see :meth:`train` and :meth:`eval`.
        without_gradient: names of the arguments of forward that have no gradient, such as ``("target",)``: targets,
            indices, masks. They keep their dtype, and backward returns the gradients of the others only, in order, or
            None if there are no others.
        masks: names of those that are booleans, such as ``("attn_mask",)``.
        least_integer: the least number that inputs without a gradient may have: 1 of lengths.
        needs_dX: False if nobody will read dX: ``backward`` may skip that work and return None.
        num_outputs: the number of arrays that forward returns; several are a tuple, and backward takes as many.
        dtype: of the parameters and floating buffers; integer input is converted to it.
        feature_names: names of the columns of the frame that :func:`nnlite.fit` trained it on, which others must have;
            None without a frame, or to train it on other columns.
        formulas: what forward and backward compute, for :func:`nnlite.explain`: assignments in plain Python and NumPy,
            one a line, such as ``Y = X * gamma`` and ``dX = dY * gamma``. Optional.
        output_range: the smallest and the largest value that Y can have, for :func:`nnlite.sanity`. Optional.
        has_units: whether Y's entries are units that can be dead or saturated, for :func:`nnlite.sanity`; False for a
            layer such as Reshape or Softmax. An elementwise layer has units.
        sign: the sign of the operation in a circle that :func:`nnlite.draw` draws, such as ``+``. Optional.
        any_order: whether the inputs can be exchanged, as those of a sum: drawings then leave out their names.
        flops_per_element: the floating-point operations of forward and of backward for each element of Y, for
            :func:`nnlite.profile`; see :meth:`flops`. Optional.
        torch_names: what PyTorch calls the parameters and buffers, for :func:`nnlite.from_torch`; ``.T`` says that it
            has the transpose, as in ``{"W": "weight.T", "b": "bias"}``, and ``[0 of 3]`` that it is the first of three
            equal parts below each other: ``"in_proj_weight[0 of 3].T"``. One that is not listed has the same name
            there; "" is the path of the layer itself, without a name below it.
        torch_optional: names of those that a state dict of PyTorch may lack, and that then stay as they are.
        onnx: Y in ONNX's operators, for :func:`nnlite.to_onnx`, such as ``LeakyRelu(X, alpha=slope)``: an expression in
            the names of forward's arguments and of attributes, or a method; see :mod:`nnlite.interop.onnx`. Optional.

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
    without_gradient: tuple[str, ...] = ()
    masks: tuple[str, ...] = ()
    least_integer: int = 0
    needs_dX: bool = True
    num_outputs: int = 1
    dtype: np.dtype[Any] = np.dtype(np.float32)
    feature_names: tuple[str, ...] | None = None
    formulas: str = ""
    output_range: tuple[float, float] | None = None
    has_units: bool = True
    sign: str = ""
    any_order: bool = False
    flops_per_element: tuple[float, float] | None = None
    torch_names: ClassVar[Mapping[str, str]] = {}
    torch_optional: ClassVar[tuple[str, ...]] = ()
    onnx: Any = ""

    original: "Layer | None" = None  # the layer whose parameters this one uses; see nnlite.tied
    sums_tied: bool = False  # backward ends with add_tied

    _parameters: tuple[str, ...] = ()  # their names, in the order of Phi
    _buffers: tuple[str, ...] = ()
    _suspects: tuple[str, ...] = ()  # names that may be parameters that are not declared; see cache.py
    _Phi: Array | None = None  # made when first read, or by the container that the layer is put into
    _dPhi: Array | None = None
    _owner: "weakref.ref[Layer] | None" = None  # the layer that has adopted it
    _room: tuple[Array, Array] | None = None  # the arrays that Phi and dPhi are the beginning of; see flat.extend
    _tied: tuple[Reference, ...] = ()  # the layers in it whose gradients it adds to those of what they are tied to

    _Y_shape: tuple[int, ...] | None = None  # of the last output; None before forward
    _Y_dtype: np.dtype[Any] | None = None
    _Ys: list[tuple[tuple[int, ...], np.dtype[Any]]] | None = None  # shape and dtype of each of several outputs

    def __init_subclass__(cls, parameters: tuple[str, ...] = (), buffers: tuple[str, ...] = (), **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        declare(cls, parameters, buffers)
        cls._parameters += tuple(parameters)
        cls._buffers += tuple(buffers)
        if isinstance(cls.without_gradient, str):
            raise TypeError(f"{cls.__name__}: without_gradient: expected a tuple of names, got a string; add a comma")
        refuse_undeclared(cls)

    # ------------------------------------------------------------------------------------- the contract

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return Y and cache what backward needs."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def backward(self, *args: Any, **kwargs: Any) -> Any:
        """Store the gradients of the parameters and return dX."""
        raise NotImplementedError(f"{type(self).__name__} has no backward")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """:meth:`forward` of arrays; of the nodes of a graph that is being built, a new node."""
        for arg in (*args, *kwargs.values()):
            if isinstance(arg, Placeholder):
                return arg.applied(self, args, kwargs)
        return self.forward(*args, **kwargs)

    def output_shape(self, *shapes: Shape) -> Any:
        """What is known of Y's shape, given what is known of the shapes of the inputs.

        Containers ask for it when they are built. A shape is a tuple of sizes, None for an unknown one; ``...`` in
        front stands for any number of axes; see :mod:`nnlite.basics.shapes`. By default nothing is known. A layer of
        several outputs returns a tuple of shapes, or ``UNKNOWN``.

        Raises:
            ShapeError: the layer cannot take inputs of those shapes.
        """
        return UNKNOWN

    def differentiable_inputs(self, count: int) -> tuple[int, ...]:
        """The positions, of ``count`` inputs, of those whose gradients backward returns, in order.

        Raises:
            TypeError: ``without_gradient`` names no argument of forward.
        """
        if not self.without_gradient:
            return tuple(range(count))
        names = [
            name
            for name, parameter in signature(type(self).forward).parameters.items()
            if parameter.kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
        ][1:]  # without self
        for name in self.without_gradient:
            if name not in names:
                raise TypeError(
                    f"{self.one_line()}: without_gradient: forward has no argument {name!r}, only {', '.join(names)}; "
                    "rename the argument, or set without_gradient in the class"
                )
        return tuple(n for n in range(count) if n >= len(names) or names[n] not in self.without_gradient)

    def flops(self, X: Any, Y: Any) -> tuple[Flops, Flops] | None:
        """The operations of forward and of backward, after forward(X, ...) returned Y; None if they are unknown.

        For a count that is not proportional to the size of Y; see :attr:`flops_per_element`. Of a container only what
        it computes itself, without its layers. A subclass with a forward or backward of its own needs its own.
        """
        return None

    def gradient_factors(self, dY: Array) -> dict[str, tuple[Array, ...]]:
        """After forward, for parameters whose gradient is a sum over the samples: its factors, with a row for each.

        Of ``dW = X^T dY`` they are (X, dY), of ``db``, the sum of dY over its rows, (dY,). By the names of parameters;
        empty where there is none. For :func:`nnlite.per_sample_gradient_norms`, which then runs no sample alone.
        """
        return {}

    def constant_output(self, Y: Array) -> float | None:
        """The number that every entry of Y is, whatever X: 1 for the softmax of a single class; None if there is none.

        Training such a layer is an error of :func:`nnlite.fit`.
        """
        return None

    def untrained_entries(self) -> dict[str, Any]:
        """The index, for each parameter that has some, of entries that are not trained: backward stores 0 there.

        Tools that compare gradients leave them out; see ``padding_idx`` of :class:`nnlite.Embedding`.
        """
        return {}

    # ------------------------------------------------------------- what forward and backward begin and end with

    def check_X(self, X: Any, name: str = "X") -> Array:
        """``X`` as a floating array: in the parameters' dtype, or in its own where there are no parameters.

        Args:
            X: an array of real numbers, or a nested list.
            name: what the argument is called in an error.

        Raises:
            TypeError: X does not hold real numbers.
        """
        if type(X) is ndarray and (X.dtype == self.dtype or (not self._parameters and X.dtype in FLOATING)):
            return X
        dtype = self.dtype if self._has_parameters else None
        if type(X) is ndarray and X.dtype in FLOATING:
            return X if dtype is None else X.astype(dtype)
        array = as_array(X, lambda: f"{self.one_line()}: {name}")
        if array.dtype.kind != "f":
            dtype = self.dtype
        return as_floating(array, name, dtype)

    @property
    def _has_parameters(self) -> bool:
        """Whether it has parameters of its own: not one that is declared and None."""
        return any(getattr(self, name) is not None for name in self._parameters)

    def record_Y(self, Y: Array) -> Array:
        """Return ``Y`` itself; :meth:`check_dY` will compare with its shape and dtype."""
        self._Y_shape = Y.shape
        self._Y_dtype = Y.dtype
        return Y

    def keep_Y(self, Y: Any) -> Array:
        """:meth:`record_Y` for a Y that the cache shares: read-only, so that no caller changes it before backward."""
        kept: Array = Y if type(Y) is ndarray else np.asarray(Y)  # a ufunc returns a scalar for a 0-d array
        kept.setflags(write=False)
        self._Y_shape = kept.shape
        self._Y_dtype = kept.dtype
        return kept

    def record_Ys(self, Ys: tuple[Any, ...]) -> tuple[Any, ...]:
        """:meth:`record_Y` for several outputs."""
        self._Ys = [(np.shape(Y), np.result_type(Y)) for Y in Ys]
        return Ys

    def check_dYs(self, dYs: tuple[Any, ...]) -> tuple[Array, ...]:
        """:meth:`check_dY` for several outputs.

        Raises:
            TypeError: there are not as many gradients as outputs.
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
            ShapeError: dY does not have the shape of the last Y.
            TypeError: dY is not floating.
        """
        if type(dY) is ndarray and dY.shape == self._Y_shape and dY.dtype == self._Y_dtype:
            return dY
        if self._Y_shape is None:
            raise StateError(f"{self.one_line()}: backward was called before forward; call forward(X) first")
        if dY is None:
            raise TypeError(f"{self.one_line()}: dY is None; does the backward of the next layer return its dX?")
        array = as_array(dY, lambda: f"{self.one_line()}: dY")
        if array.dtype.kind != "f":
            raise TypeError(f"{self.one_line()}: dY: expected floating numbers, got dtype {array.dtype}")
        array = as_floating(array, "dY", self._Y_dtype if self._Y_dtype in FLOATING else None)
        if array.shape != self._Y_shape:
            raise ShapeError(
                f"{self.one_line()}: expected dY of shape {self._Y_shape}, that of the last Y, got {array.shape}"
            )
        return array

    def clear_cache(self) -> None:
        """Drop what the last forward and backward cached, in this layer and its parts; a new forward must come next."""
        for name in cached_names(type(self)):
            vars(self).pop(name, None)
        for _, child in self.named_children():
            child.clear_cache()

    # ------------------------------------------------------------------------------------- the tree of parts

    def named_children(self) -> Iterator[tuple[str, "Layer"]]:
        """(name, layer) of each direct part, in order."""
        for name, value in vars(self).items():
            if type(value) not in PLAIN:
                yield from held(name, value, Layer)

    def named_layers(self, path: str = "") -> Iterator[tuple[str, "Layer"]]:
        """(path, layer) of this layer, whose path is "", and of everything in it, depth first.

        >>> import nnlite as nn
        >>> [path for path, layer in nn.Sequential(nn.Sequential(nn.Tanh())).named_layers()]
        ['', '0', '0.0']
        """
        if not path:
            self._check_depth()
        yield path, self
        for name, child in self.named_children():
            yield from child.named_layers(inside(path, name))

    def _check_depth(self) -> None:
        """Raise if layers nest too deeply, unless that was checked when Phi was made."""
        if vars(self).get("_Phi") is None:
            check_depth(self)

    def train(self, mode: bool = True) -> Self:
        """Set training mode for this layer and everything in it; return the layer."""
        for _, layer in self.named_layers():
            layer.training = mode
        return self

    def eval(self) -> Self:
        """Set evaluation mode for this layer and everything in it; return the layer."""
        return self.train(False)

    def evaluation_twin(self) -> Self:
        """A layer in evaluation mode on the same parameters, with a cache and copies of the buffers.

        ``predict`` runs the twin and writes nothing on the model, so it is safe from several threads at once. A layer
        that draws random numbers in evaluation mode draws from its own generator, as always.
        """
        self._check_depth()
        twin = object.__new__(type(self))
        attributes = twin.__dict__ = self.__dict__ | {"training": False}  # at once: another thread may add attributes
        for name, value in attributes.items():
            if type(value) not in PLAIN:  # a quick test first: most attributes are plain
                attributes[name] = twins_in(value, Layer)
        for name in self._buffers:  # copies: a layer may write into them, also in evaluation mode
            attributes["_" + name] = copy(getattr(self, name))
        return twin

    def __repr__(self) -> str:
        self._check_depth()
        children = [f"({name}): {child!r}" for name, child in self.named_children()]
        if not children:
            return f"{type(self).__name__}({self.extra_repr()})"
        lines = "\n".join(children).replace("\n", "\n  ")
        return f"{type(self).__name__}(\n  {lines}\n)"

    def one_line(self) -> str:
        """The repr on one line, for messages: ``Sequential(3 layers)``."""
        parts = len(list(self.named_children()))
        return f"{type(self).__name__}({parts} layers)" if parts else repr(self)

    def extra_repr(self) -> str:
        """The text between the brackets of the layer's repr."""
        return ""

    # ------------------------------------------------------------------------------------- state, by name

    def named_parameters(self) -> Iterator[tuple[str, Array]]:
        """(name, array) of each parameter of this layer and its parts: the arrays themselves, in Phi's order."""
        return ((path, getattr(layer, name)) for path, layer, name in self._slots("_parameters"))

    def named_gradients(self) -> Iterator[tuple[str, Array]]:
        """(name, array) of each parameter's gradient, under the name of its parameter."""
        return ((path, getattr(layer, "d" + name)) for path, layer, name in self._slots("_parameters"))

    def named_buffers(self) -> Iterator[tuple[str, Array]]:
        """(name, array) of each buffer of this layer and its parts: the arrays themselves."""
        return ((path, getattr(layer, name)) for path, layer, name in self._slots("_buffers"))

    def named_generators(self) -> Iterator[tuple[str, "np.random.Generator"]]:
        """(name, generator) of each random generator that this layer and its parts hold, in attributes or lists."""
        for path, layer in self.named_layers():
            for name, value in vars(layer).items():
                if type(value) not in PLAIN:
                    yield from ((inside(path, key), found) for key, found in held(name, value, np.random.Generator))

    def state_dict(self) -> dict[str, Array]:
        """A copy of every parameter and buffer under its name."""
        return {path: getattr(layer, name).copy() for path, layer, name in self._slots("_parameters", "_buffers")}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Copy ``state``, as :meth:`state_dict` returns it, into the parameters and buffers: all of it, or nothing.

        Raises:
            ValueError: a name is missing or unknown, or a shape or dtype differs; the message lists every one.
        """
        own = {path: getattr(layer, name) for path, layer, name in self._slots("_parameters", "_buffers")}
        new = {name: np.array(value) for name, value in state.items()}  # copies: it may hold our own arrays, swapped
        wrong = misfits(own, new)
        if wrong:
            raise ValueError(f"{self.one_line()}: the state does not fit, nothing was loaded:\n  " + "\n  ".join(wrong))
        for name, array in own.items():
            array[...] = new[name]

    def astype(self, dtype: DTypeLike) -> Self:
        """Convert every parameter, gradient and floating buffer, in place; return the layer. A new forward must follow.

        Raises:
            TypeError: ``dtype`` is not floating.
            ValueError: the layer is part of a larger model, which must have one dtype.
        """
        dtype = floating_dtype(dtype)
        if self._adopted:
            raise ValueError(
                f"{self.one_line()} is part of a model, which has one dtype; call astype on the whole model"
            )
        self.own_parts()
        for _, layer in self.named_layers():
            layer.dtype = dtype
            layer._Y_shape = layer._Ys = None
        for _, layer, name in self._slots("_parameters", "_buffers"):
            if (array := getattr(layer, name)).dtype.kind == "f":
                vars(layer)["_" + name] = array.astype(dtype)
        flatten(self)
        return self

    def _slots(self, *kinds: str) -> Iterator[tuple[str, "Layer", str]]:
        """(dotted name, layer, name) of each parameter or buffer that has a value."""
        for path, layer in self.named_layers():
            for kind in kinds:
                for name in getattr(layer, kind):
                    if getattr(layer, name) is not None:
                        yield inside(path, name), layer, name

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the cache, and what ties the layer to its model: copies of views are no views of a copy."""
        self._check_depth()
        left_out = cached_names(type(self)) | {"_Phi", "_dPhi", "_owner", "_room", "_tied"}
        return {key: value for key, value in vars(self).items() if key not in left_out}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        own_arrays(self)
        if parts := [layer for _, layer in self.named_children()]:
            adopt(self, parts)

    def __copy__(self) -> NoReturn:
        raise TypeError(f"{self.one_line()}: a shallow copy would share its parameters; use copy.deepcopy")

    # ------------------------------------------------------------------------- parameters, as one flat vector

    @property
    def Phi(self) -> Array:
        """Every parameter in one contiguous 1-D array, of which each is a view; assigning writes into it.

        The Phi of a part is a slice of the whole's. It is the same array each time: copy it, ``model.Phi.copy()``, to
        keep its values, as for the path of a descent or for an optimizer of SciPy.

        Raises:
            ValueError: the parts differ in dtype, or one of them belongs to another model.
        """
        if self._Phi is None:
            self.own_parts()
        return self._Phi  # type: ignore[return-value]

    @Phi.setter
    def Phi(self, value: Any) -> None:
        write(self, "Phi", self.Phi, value)

    @property
    def dPhi(self) -> Array:
        """The gradient of every parameter, in the order of Phi; the same array each time, so copy it to keep it."""
        if self._dPhi is None:
            self.own_parts()
        return self._dPhi  # type: ignore[return-value]

    @dPhi.setter
    def dPhi(self, value: Any) -> None:
        write(self, "dPhi", self.dPhi, value)

    @property
    def _adopted(self) -> bool:
        """Whether it is part of another layer, which still exists."""
        return self._owner is not None and self._owner() is not None

    def own_parts(self) -> None:
        """Adopt the parts and make Phi and dPhi, unless that has been done.

        A container does it when it is built; a layer that holds others when Phi is first read.

        Raises:
            ValueError: as :attr:`Phi`.
            TypeError: backward goes through layers that are held by an object which is no layer.
        """
        if self._Phi is None:
            check_hidden(self)
            adopt(self, [layer for _, layer in self.named_children()])

    # ----------------------------------------------------------------------------------------- ties

    def add_tied(self) -> None:
        """Add the gradients of the tied layers in this one to those of the layers that they are tied to.

        The backward of a container ends with it.
        """
        self.own_parts()  # a layer made of layers finds its ties when it adopts them
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
    """Raise unless ``value`` is a Layer; ``name`` is what the argument is called."""
    if isinstance(value, type) and issubclass(value, Layer):
        raise TypeError(f"{name}: expected a Layer, got the class itself; write {value.__name__}(...)")
    if not isinstance(value, Layer):
        raise TypeError(f"{name}: expected a Layer, got {value!r}")
