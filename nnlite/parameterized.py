"""Parameterized: a layer as the holder of parameters, each under its name and all of them in Phi."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, Self

import numpy as np
from numpy.typing import DTypeLike

from nnlite.arrays import Array, floating_dtype
from nnlite.parameters import Reference, adopt, declare, flatten, misfits, write
from nnlite.parts import Parts, inside

if TYPE_CHECKING:
    from nnlite.layer import Layer


class Parameterized(Parts):
    """What has parameters, its own and those of its parts.

    A subclass names its own in the class line; what that means is said in :class:`nnlite.Layer`.

    >>> import nnlite as nn
    >>> isinstance(nn.Linear(2, 1), Parameterized)
    True
    """

    dtype: np.dtype[Any] = np.dtype(np.float32)

    original: "Layer | None" = None  # the layer whose parameters this one uses; see nnlite.tied
    sums_tied: bool = False  # backward ends with add_tied

    _parameters: tuple[str, ...] = ()  # their names, in the order in which Phi holds them
    _Phi: Array | None = None  # made when first asked for, or by the container that the layer is put into
    _dPhi: Array | None = None
    _adopted: bool = False  # it is part of a container
    _tied: tuple[Reference, ...] = ()  # the layers in it whose gradients it adds to those of what they are tied to

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
