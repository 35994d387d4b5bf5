"""What RNN, LSTM and GRU share: options, and stacks of layers and directions."""

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike

from nnlite.basics.arrays import Array
from nnlite.basics.checks import share, whole
from nnlite.basics.generators import Rng, generator
from nnlite.basics.shapes import Shape, is_open, text, width
from nnlite.errors import ShapeError
from nnlite.initializers import glorot_uniform, orthogonal, zeros
from nnlite.layer.flops import Flops
from nnlite.layers.dropout import Dropout
from nnlite.layers.one_direction import OneDirection
from nnlite.layers.recurrence import States


class Recurrent(OneDirection):
    """Base class of recurrent layers: a recurrence over the steps of sequences, or a stack of several.

    A layer of one direction has the parameters itself; a stack, or one in both directions, has parts of one direction,
    ``sweeps``, in the order of PyTorch's arrays.
    """

    without_gradient = ("lengths",)
    least_integer = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        bias: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
        reverse: bool = False,
        last: bool = False,
        return_state: bool = False,
        weight_init: Callable[..., Array] = glorot_uniform,
        recurrent_init: Callable[..., Array] = orthogonal,
        dtype: DTypeLike = np.float32,
        rng: Rng = None,
        **options: Any,
    ) -> None:
        name = type(self).__name__
        self.set_sizes(input_size, hidden_size, dtype)
        self.num_layers = whole(num_layers, f"{name}: num_layers", least=1)
        self.dropout = share(dropout, f"{name}: dropout")
        flags = {"bias": bias, "bidirectional": bidirectional, "reverse": reverse}
        for flag, value in (flags | {"last": last, "return_state": return_state}).items():
            if not isinstance(value, bool | np.bool_):
                raise TypeError(f"{name}: {flag}: expected True or False, got {value!r}")
        self.bias, self.bidirectional, self.reverse = bool(bias), bool(bidirectional), bool(reverse)
        self.last, self.return_state = bool(last), bool(return_state)
        if reverse and bidirectional:
            raise ValueError(f"{name}: reverse: expected False with bidirectional=True, which runs both ways")
        if dropout and num_layers == 1:
            raise ValueError(f"{name}: dropout is between layers: expected num_layers of at least 2, got 1")
        if return_state:
            self.num_outputs = 1 + len(self.state_names)
        rng = generator(rng, f"{name}: rng")
        self.sweeps: list[Any] = []  # of this class
        self.dropouts: list[Dropout] = []
        self.W_x = self.W_h = self.b_x = self.b_h = None  # type: ignore[assignment] # of a stack: its parts have them
        directions = (False, True) if bidirectional else (self.reverse,)
        if num_layers == len(directions) == 1:
            self.draw(self.bias, weight_init, recurrent_init, rng)
            return
        for number in range(num_layers):
            features = hidden_size * len(directions) if number else input_size
            for backwards in directions:
                part = type(self)(
                    features, hidden_size, bias=bias, reverse=backwards, return_state=True, weight_init=weight_init,
                    recurrent_init=recurrent_init, dtype=dtype, rng=rng, **options,
                )  # fmt: skip
                self.sweeps.append(part)
            if number and dropout:
                self.dropouts.append(Dropout(dropout, rng=rng))

    @property
    def torch_names(self) -> dict[str, str]:  # type: ignore[override]
        """The names of PyTorch's arrays: of this layer, or of its parts."""
        names = {"W_x": "weight_ih_l{}.T", "W_h": "weight_hh_l{}.T", "b_x": "bias_ih_l{}", "b_h": "bias_hh_l{}"}
        if not self.sweeps:
            return {name: torch.format(0) for name, torch in names.items()}
        directions = 1 + self.bidirectional
        ends = [f"{n // directions}{'_reverse' * (n % directions)}" for n in range(len(self.sweeps))]
        return {f"sweeps.{n}.{name}": names[name].format(end) for n, end in enumerate(ends) for name in names}

    # --- forward

    def _forward(self, X: Any, lengths: Any, states: States) -> Any:
        X = self.check_X(X).astype(self.dtype, copy=False)
        if X.ndim != 3 or X.shape[1] == 0 or X.shape[2] != self.input_size:
            expected = f"(N, T, {self.input_size}) with T of at least 1"
            raise ShapeError(f"{self.one_line()}: expected X of shape {expected}, got {X.shape}")
        self.X_shape = X.shape
        lengths = self.check_lengths(lengths, *X.shape[:2])
        names = tuple(f"{name}0" for name in self.state_names)
        self.check_all_or_none(states, names)
        self.given = states[0] is not None
        shape = (len(X), self.hidden_size) if not self.sweeps else (len(X), len(self.sweeps), self.hidden_size)
        if self.given:
            states = tuple(self.check_state(*each, shape) for each in zip(states, names, strict=True))
        Y, finals = (self._forward_of_parts if self.sweeps else self.forward_of_one)(X, states, lengths)
        return self.record_Ys((Y, *finals)) if self.return_state else self.record_Y(Y)

    def _forward_of_parts(self, X: Array, states: States, lengths: Array | None) -> tuple[Array, list[Array]]:
        directions, finals = 1 + self.bidirectional, []
        for number in range(self.num_layers):
            if number and self.dropouts:
                X = self.dropouts[number - 1].forward(X)
            Ys = []
            for n in range(number * directions, (number + 1) * directions):
                own = tuple(state[:, n] for state in states) if self.given else states
                Y, *final = self.sweeps[n].forward(X, lengths, *own)
                Ys.append(Y)
                finals.append(final)
            X = Ys[0] if directions == 1 else np.concatenate(Ys, axis=-1)
        if self.last:
            X = np.concatenate([H for H, *_ in finals[-directions:]], axis=-1)
        return X, [np.stack(each, axis=1) for each in zip(*finals, strict=True)]

    # --- backward

    def _backward(self, dYs: tuple[Any, ...]) -> Any:
        dY, *dfinals = self.check_dYs(dYs) if self.return_state else (self.check_dY(dYs[0]),)
        dX, dstates = (self._backward_of_parts if self.sweeps else self.backward_of_one)(dY, dfinals)
        if not self.needs_dX:
            return None
        return (dX, *dstates) if self.given else dX

    def _backward_of_parts(self, dY: Array, dfinals: list[Array]) -> tuple[Array, list[Array]]:
        directions, H = 1 + self.bidirectional, self.hidden_size
        dstates: list[Any] = [None] * len(self.sweeps)
        finals = [[dfinal[:, n] for dfinal in dfinals] for n in range(len(self.sweeps))]
        dX: Any = dY
        for number in reversed(range(self.num_layers)):
            dXs = []
            for n in range(number * directions, (number + 1) * directions):
                columns = slice(H * (n % directions), H * (n % directions + 1))
                dH, *more = finals[n] or [np.zeros((len(dY), H), self.dtype) for _ in self.state_names]
                if self.last and number == self.num_layers - 1:
                    own, dH = np.zeros((*self.X_shape[:2], H), self.dtype), dH + dY[:, columns]
                else:
                    own = np.ascontiguousarray(dX[:, :, columns])
                result = self.sweeps[n].backward(own, dH, *more)
                dX_n, *dstates[n] = result if self.given else (result,)
                dXs.append(dX_n)
            dX = dXs[0] if directions == 1 else dXs[0] + dXs[1]
            if number and self.dropouts:
                dX = self.dropouts[number - 1].backward(dX)
        return dX, [np.stack(each, axis=1) for each in zip(*dstates, strict=True)] if self.given else []

    # --- what others ask

    @property
    def formulas(self) -> str:  # type: ignore[override]
        """Those of one direction; a stack has none."""
        return "" if self.sweeps else self.formulas_of_one()

    def flops(self, X: Any, Y: Any) -> tuple[Flops, Flops] | None:
        if self.sweeps:
            return Flops(), Flops()
        (N, T, D), M, Z = self.X_shape, self.M, self.Z[:-1].swapaxes(0, 1)
        W, dA = M[:-1] if self.needs_dX else M[D:-1], np.zeros((M.shape[1], T * N), self.dtype)
        back = ((W, dA[:, :N]),) * T + ((Z.reshape(len(Z), T * N), dA.T),)
        return Flops(6 * dA.size, ((M.T, Z[:, 0]),) * T), Flops(12 * dA.size, back)

    def output_shape(self, *shapes: Shape) -> Any:
        X, D = shapes[0], self.input_size
        if width(X) not in (None, D) or (not is_open(X) and (len(X) != 3 or X[1] == 0)):
            raise ShapeError(f"{self.one_line()}: expected X of shape (N, T, {D}), got {text(X)}")
        N, T = (None, None) if is_open(X) else X[:2]
        features = self.hidden_size * (1 + self.bidirectional)
        Y = (N, features) if self.last else (N, T, features)
        if not self.return_state:
            return Y
        state = (N, len(self.sweeps), self.hidden_size) if self.sweeps else (N, self.hidden_size)
        return (Y, *[state] * len(self.state_names))

    @property
    def shown(self) -> dict[str, Any]:
        """The options, of which those that are not the default are shown."""
        return {"num_layers": 1, "bias": True, "dropout": 0.0, "bidirectional": False} | dict.fromkeys(
            ("reverse", "last", "return_state"), False
        )

    def extra_repr(self) -> str:
        text = "".join(
            f", {k}={getattr(self, k)!r}" for k, default in self.shown.items() if getattr(self, k) != default
        )
        dtype = f", dtype={self.dtype}" if self.dtype != np.float32 else ""
        return f"{self.input_size} -> {self.hidden_size}{text}{dtype}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.extra_repr()})"

    def one_line(self) -> str:
        return repr(self)

    def saved_arguments(self) -> dict[str, Any]:
        """For files: the sizes and options."""
        sizes = {"input_size": self.input_size, "hidden_size": self.hidden_size, "dtype": self.dtype}
        return sizes | {name: getattr(self, name) for name in self.shown}

    @classmethod
    def from_saved(cls, **options: Any) -> Self:
        """A layer without drawing weights."""
        return cls(**options, weight_init=zeros, recurrent_init=zeros, rng=0)
