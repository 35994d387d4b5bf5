"""Layer: the one concept that everything else here is made of."""

from typing import Any

import numpy as np
from numpy import ndarray  # by this name it is found sooner, and it is looked for in every layer

from nnlite.arrays import FLOATING, Array, as_array, as_floating
from nnlite.errors import ShapeError, StateError
from nnlite.parameterized import Parameterized
from nnlite.shapes import UNKNOWN, Shape, width


class Symbol:
    """What stands for an array while a graph is put together: calling a layer on one gives another."""

    @classmethod
    def applied(cls, layer: "Layer", inputs: tuple[Any, ...], named: dict[str, Any] | None = None) -> Any:
        """What stands for the layer's output."""
        raise NotImplementedError


class Layer(Parameterized):
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

    needs_dX: bool = True
    num_outputs: int = 1
    formulas: str = ""

    _Y_shape: tuple[int, ...] | None = None  # of the last output; None before forward
    _Y_dtype: np.dtype[Any] | None = None
    _Ys: list[tuple[tuple[int, ...], np.dtype[Any]]] | None = None  # shape and dtype of each, where there are several

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
        return None

    def output_shape(self, *shapes: Shape) -> Any:
        """What is known of Y's shape when ``shapes`` is what is known of the inputs'; see :mod:`nnlite.shapes`.

        Graphs ask for it when they are put together. By default only widths are known. A layer of several outputs
        returns a tuple of shapes, or ``UNKNOWN``.

        Raises:
            ShapeError: the layer cannot take those shapes.

        >>> import nnlite as nn
        >>> nn.Linear(3, 2).output_shape((None, 3))
        (Ellipsis, 2)
        """
        if len(shapes) != 1 or self.num_outputs != 1:
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
