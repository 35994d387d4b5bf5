"""What RNN, LSTM and GRU share: options, stacks of layers, lengths, the order of steps, what surrounds the loops."""

import re
from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike

from nnlite.basics.arrays import Array, as_array
from nnlite.basics.checks import share, whole
from nnlite.basics.generators import Rng, generator
from nnlite.basics.shapes import Shape, is_open, text, width
from nnlite.compute import blas
from nnlite.errors import ShapeError
from nnlite.initializers import glorot_uniform, orthogonal, zeros
from nnlite.layer.flops import Flops
from nnlite.layers.dropout import Dropout
from nnlite.layers.recurrence import Recurrence, States


class Recurrent(Recurrence):
    """Base class of recurrent layers: a recurrence over the steps of sequences, or a stack of several.

    A layer of one direction has the parameters itself; a stack, or one in both directions, has parts of one direction,
    ``sweeps``, in the order of PyTorch's arrays.

    Inside a layer of one direction the samples are the last axis, so that each gate is one contiguous piece, and Z has
    for each step x_t, h_{t-1} and 1 below each other: then one product with the matrix M gives all gates, with the
    biases. ``forward_in_time`` and ``backward_in_time`` of a subclass are the two loops. The gradient of M is one
    product at the end.
    """

    without_gradient = ("lengths",)
    least_integer = 1
    rows: int  # of M, in multiples of hidden_size
    recurrence: str  # the formulas of one direction

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
        lengths = self._check_lengths(lengths, X)
        names = tuple(f"{name}0" for name in self.state_names)
        self.check_all_or_none(states, names)
        self.given = states[0] is not None
        shape = (len(X), self.hidden_size) if not self.sweeps else (len(X), len(self.sweeps), self.hidden_size)
        if self.given:
            states = tuple(self.check_state(*each, shape) for each in zip(states, names, strict=True))
        Y, finals = (self._forward_of_parts if self.sweeps else self._forward_of_one)(X, states, lengths)
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

    def _forward_of_one(self, X: Array, states: States, lengths: Array | None) -> tuple[Array, list[Array]]:
        (N, T, D), H = X.shape, self.hidden_size
        self._set_order(N, T, lengths)
        if self.inside is not None:
            X = np.where(self.inside[:, :, None], X, 0)
        self.Z = Z = np.empty((D + H + 1, T + 1, N), self.dtype)
        Z[:D, :T] = self._turned(X).transpose(2, 1, 0)
        Z[:D, T] = 0
        Z[D:-1, 0] = states[0].T if self.given else 0
        Z[-1] = 1
        self.M = self.matrix()
        with np.errstate(over="ignore"):  # 1 / (1 + exp(-x)) is the right 0 where exp(-x) is infinite
            more = self.forward_in_time(Z, [state.T for state in states[1:]] if self.given else [])
        finals = [np.ascontiguousarray(S[:, self.ends, np.arange(N)].T) for S in (Z[D:-1, 1:], *more)]
        if self.last:
            return finals[0].copy(), finals
        Y = np.ascontiguousarray(self._turned(Z[D:-1, 1:].transpose(2, 1, 0)))
        if self.inside is not None:
            Y *= self.inside[:, :, None]
        return Y, finals

    def matrix(self) -> Array:
        """M: the rows of the gates, with columns for x, h and the bias."""
        D = self.input_size
        M = np.empty((len(self.W_x.T), D + self.hidden_size + 1), self.dtype)
        M[:, :D], M[:, D:-1] = self.W_x.T, self.W_h.T
        M[:, -1] = 0 if self.b_x is None else self.b_x + self.b_h
        return M

    def store(self, dM: Array) -> None:
        """Store the gradients of the parameters, given that of M."""
        D = self.input_size
        self.dW_x, self.dW_h = dM[:, :D].T, dM[:, D:-1].T
        if self.b_x is not None:
            self.db_x = self.db_h = dM[:, -1]

    def forward_in_time(self, Z: Array, more: list[Array]) -> list[Array]:
        """Write h_t, of (H, N), into Z[D:-1, t + 1] for each step t; return the other states, each (H, T, N)."""
        raise NotImplementedError

    # --- backward

    def _backward(self, dYs: tuple[Any, ...]) -> Any:
        dY, *dfinals = self.check_dYs(dYs) if self.return_state else (self.check_dY(dYs[0]),)
        dX, dstates = (self._backward_of_parts if self.sweeps else self._backward_of_one)(dY, dfinals)
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

    def _backward_of_one(self, dY: Array, dfinals: list[Array]) -> tuple[Array | None, list[Array]]:
        (N, T, D), M = self.X_shape, self.M
        self.dY = dY
        dA, *dstates = self.backward_in_time(*self.from_outside(dY, dfinals))
        dA = dA.reshape(T, len(M), N).swapaxes(0, 1).reshape(len(M), T * N)
        self.store(blas.matmul(dA, self.Z[:, :T].reshape(len(self.Z), T * N).T))
        if not self.needs_dX:
            return None, []
        dX = blas.matmul(M[:, :D].T, dA).reshape(D, T, N).transpose(2, 1, 0)
        return np.ascontiguousarray(self._turned(dX)), [np.ascontiguousarray(each.T) for each in dstates]

    def from_outside(self, dY: Array, dfinals: list[Array]) -> tuple[Array, list[Array]]:
        """What comes to the states after each step from Y and the final states, each (T, H, N): of h, and of others."""
        N, T, _ = self.X_shape
        dH = np.zeros((T, self.hidden_size, N), self.dtype)
        last = self.ends, slice(None), np.arange(N)
        if self.last:
            dH[last] = dY
        else:
            dH[...] = self._turned(dY).transpose(1, 2, 0)
            if self.inside is not None:
                dH *= self.inside.T[:, None]  # the order keeps the steps inside inside
        states = [dH, *(np.zeros_like(dH) for _ in dfinals[1:])]
        for dS, dfinal in zip(states, dfinals, strict=False):
            dS[last] += dfinal
        return dH, states[1:]

    def backward_in_time(self, dH: Array, more: list[Array]) -> list[Array]:
        """Return the gradients of the gates, (T, rows, H, N), and of the first states, each (H, N).

        Args:
            dH: what comes to each h_t from outside, (T, H, N).
            more: the same for the other states, or empty.
        """
        raise NotImplementedError

    def blocks_of_steps(self) -> list[range]:
        """The steps from the last to the first, in blocks whose arrays stay in the cache."""
        N, T, _ = self.X_shape
        size = max(1, 2**15 // max(1, self.hidden_size * N))
        return [range(max(0, end - size), end) for end in range(T, 0, -size)]

    # --- lengths, and the order of the steps

    def _check_lengths(self, lengths: Any, X: Array) -> Array | None:
        if lengths is None:
            return None
        N, T, _ = X.shape
        lengths = as_array(lengths, lambda: f"{self.one_line()}: lengths")
        if lengths.dtype.kind not in "iu":
            raise TypeError(f"{self.one_line()}: lengths: expected integers, got dtype {lengths.dtype}")
        if lengths.shape != (N,):
            raise ShapeError(f"{self.one_line()}: expected lengths of shape ({N},), got {lengths.shape}")
        if N and not (lengths.min() >= 1 and lengths.max() <= T):
            place = int(np.flatnonzero((lengths < 1) | (lengths > T))[0])
            raise ValueError(
                f"{self.one_line()}: lengths: expected numbers of steps from 1 to {T}, got {lengths[place]} at {place}"
            )
        counts: Array = lengths.astype(np.intp)
        return counts

    def _set_order(self, N: int, T: int, lengths: Array | None) -> None:
        """Note which steps are inside the sequences, in which order they run, and after which the states are final."""
        steps = np.arange(T)
        self.inside = None if lengths is None else steps < lengths[:, None]
        self.ends = np.full(N, T - 1) if lengths is None else lengths - 1
        self.order = None
        if self.reverse and lengths is not None:
            self.order = np.where(steps < lengths[:, None], lengths[:, None] - 1 - steps, steps)

    def _turned(self, A: Array) -> Array:
        """A (N, T, ...) with its steps in the order in which they run, and back again."""
        if not self.reverse:
            return A
        return A[:, ::-1] if self.order is None else np.take_along_axis(A, self.order[:, :, None], axis=1)

    # --- what others ask

    def in_order(self, A: Array) -> Array:
        """(T, ..., N) of the loops as (N, T, ...) in the order of X, for the formulas."""
        return self._turned(np.moveaxis(A, (-1, 0), (0, 1)))

    @property
    def formulas(self) -> str:  # type: ignore[override]
        """Those of one direction whose only output is that of all steps, from the end without lengths; no others."""
        if self.sweeps or self.last or self.return_state or (self.reverse and vars(self).get("inside") is not None):
            return ""
        if not self.reverse:
            return self.recurrence
        swapped = {"before(": "after(", "after(": "before(", "[:, 0]": "[:, -1]"}
        return re.sub("|".join(map(re.escape, swapped)), lambda found: swapped[found[0]], self.recurrence)

    @property
    def Y(self) -> Array:
        """The hidden states after all steps (N, T, H), for the formulas."""
        states = self.in_order(self.Z[self.input_size : -1, 1:].swapaxes(0, 1))
        return states if self.inside is None else states * self.inside[:, :, None]

    @property
    def dA(self) -> Array:
        """The gradients of the gates at all steps, (N, T, rows H), for the formulas."""
        dA = self.backward_in_time(*self.from_outside(self.dY, []))[0]
        return self.in_order(dA.reshape(len(dA), len(self.M), dA.shape[-1]))

    @property
    def parts(self) -> tuple[int, ...]:
        """The widths of the gates, for the formulas."""
        return (self.hidden_size,) * self.gates

    @property
    def valid(self) -> Array | None:
        """1 at the steps inside the sequences and 0 elsewhere (N, T, 1), for the formulas; None without lengths."""
        inside: Array | None = vars(self).get("inside")
        return None if inside is None else inside[:, :, None].astype(self.dtype)

    def flops(self, X: Any, Y: Any) -> tuple[Flops, Flops] | None:
        if self.sweeps:
            return Flops(), Flops()
        (N, T, D), H, M = self.X_shape, self.hidden_size, self.M
        A, dA = np.zeros((len(M), N), self.dtype), np.zeros((len(M), T * N), self.dtype)
        Z = self.Z[:, :T].reshape(len(self.Z), T * N)
        elementwise = 6 * dA.size
        back = ((M[:, D : D + H].T, A),) * T + ((dA, Z.T),)
        back += ((M[:, :D].T, dA),) if self.needs_dX else ()
        return Flops(elementwise, ((M, self.Z[:, 0]),) * T), Flops(2 * elementwise, back)

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
