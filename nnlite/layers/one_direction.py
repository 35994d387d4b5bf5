"""One direction of a recurrent layer: what surrounds the loops over its steps, lengths, and the order of the steps."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array, as_array
from nnlite.compute import blas
from nnlite.errors import ShapeError
from nnlite.layers.kept_arrays import KeptArrays
from nnlite.layers.recurrence import Cell, Recurrence, States


class OneDirection(Recurrence):
    """Forward and backward over the steps of sequences.

    Inside, the samples are the last axis, so that each gate is one contiguous piece, and Z has for each step x_t,
    h_{t-1} and 1 below each other: then one product with the matrix M, of W_x, W_h and b below each other, gives all
    gates. ``forward_in_time`` and ``backward_in_time`` of a subclass are the two loops; the second is called with a
    block of steps after the other, so that what it writes is still in the cache when the gradient of M is added up.
    """

    rows: int  # of each gate's product, in multiples of hidden_size
    recurrence: str  # the formulas
    cell_class: type[Cell]
    cell_options: Mapping[str, Any] = {}
    X_shape: tuple[int, int, int]  # N, T, D of the last forward
    reverse: bool
    last: bool
    return_state: bool

    # --- forward

    def forward_of_one(self, X: Array, states: States, lengths: Array | None) -> tuple[Array, list[Array]]:
        """Y and the final states, given checked inputs."""
        (N, T, D), H = X.shape, self.hidden_size
        self._set_order(N, T, lengths)
        if self.inside is not None:
            X = np.where(self.inside[:, :, None], X, 0)
        self.kept = KeptArrays.of(self)
        self.M = self.matrix()
        self.Z = Z = self.room("Z", T + 1, D + H + 1, N)
        Z[:T, :D] = self._turned(X).transpose(1, 2, 0)
        Z[T, :D] = 0
        Z[0, D:-1] = states[0].T if self.given else 0
        Z[:, -1] = 1
        with np.errstate(over="ignore"):  # 1 / (1 + exp(-x)) is the right 0 where exp(-x) is infinite
            more = self.forward_in_time(Z, [state.T for state in states[1:]] if self.given else [])
        h = Z[1:, D:-1]
        finals = [S[self.ends, :, np.arange(N)] for S in (h, *more)] if self.last or self.return_state else []
        if self.last:
            return finals[0].copy(), finals
        Y = np.ascontiguousarray(self._turned(h.transpose(2, 0, 1)))
        if self.inside is not None:
            Y *= self.inside[:, :, None]
        return Y, finals

    def matrix(self) -> Array:
        """M: a column for each row of the gates, with rows for x, h and the bias."""
        bias = np.zeros(self.W_x.shape[1], self.dtype) if self.b_x is None or self.b_h is None else self.b_x + self.b_h
        return np.concatenate([self.W_x, self.W_h, bias[None]])

    def store(self, dM: Array) -> None:
        """Store the gradients of the parameters, given that of M."""
        D = self.input_size
        self.dW_x, self.dW_h = dM[:D], dM[D:-1]
        if self.b_x is not None:
            self.db_x = self.db_h = dM[-1]

    def forward_in_time(self, Z: Array, more: list[Array]) -> list[Array]:
        """Write h_t into Z[t + 1, D:-1] for each step t; return the other states, each (T, H, N).

        Args:
            Z: (T + 1, D + H + 1, N), with x_t, h_{t-1} and 1.
            more: the other states before the first step, (H, N) each, or empty if they are 0.
        """
        raise NotImplementedError

    # --- backward

    def backward_of_one(self, dY: Array, dfinals: list[Array]) -> tuple[Array | None, list[Array]]:
        """dX, or None if it is not needed, and the gradients of the first states."""
        (_, T, D), M = self.X_shape, self.M
        self.dY, self.dfinals = dY, dfinals
        dM, product = np.zeros_like(M), np.empty_like(M)
        self._start_backward()
        for steps, dA in self._gradients_of_gates(dY, dfinals):
            Z = self.Z[steps.start : steps.stop]
            # The sum over steps and samples, which must be next to each other for it to be one product.
            Z_of_rows = self.rows_of("Z_of_rows", Z)
            blas.matmul(Z_of_rows, self.rows_of("dA_of_rows", dA).T, product)
            dM += product
        self.store(dM)
        dstates = [np.ascontiguousarray(dS.T) for dS in (self.dX_h[0, -self.hidden_size :], *self.dmore)]
        if not self.needs_dX:
            return None, dstates
        return np.ascontiguousarray(self._turned(self.dX_h[:T, :D].transpose(2, 0, 1))), dstates

    def _start_backward(self) -> None:
        """Make the arrays that the blocks of steps write into: nothing comes to the last step from a later one."""
        (N, T, D), H = self.X_shape, self.hidden_size
        # The gradients of x_t, if they are needed, and of h_{t-1}.
        self.dX_h = self.room("dX_h", T + 1, D + H if self.needs_dX else H, N)
        self.dX_h[T] = 0
        self.dmore = [np.zeros((H, N), self.dtype) for _ in self.state_names[1:]]

    def _gradients_of_gates(self, dY: Array, dfinals: list[Array]) -> Iterator[tuple[range, Array]]:
        """Run the steps backward, a block after the other; for each its steps and the gradients (steps, rows H, N)."""
        (N, T, D), H = self.X_shape, self.hidden_size
        W = self.M[:-1] if self.needs_dX else self.M[D:-1]
        if self.last:
            dfinals = self._with_last(dY, dfinals)
        else:
            dY = self._turned(dY)
        # Blocks that stay in the cache, and are not too thin for the product.
        blocks = -(-T // max(2**14 // max(1, H * N), 512 // max(1, N), 1))
        for block in reversed(range(blocks)):
            steps = range(T * block // blocks, T * (block + 1) // blocks)
            from_outside = self._from_outside(dY, dfinals, steps)
            dA = self.backward_in_time(steps, W, from_outside, self.dX_h)
            yield steps, dA.reshape(len(steps), self.M.shape[1], N)

    def _from_outside(self, dY: Array, dfinals: list[Array], steps: range) -> list[Array]:
        """What comes to the states after the steps from outside, (steps, H, N) each, or to h alone."""
        block, N = slice(steps.start, steps.stop), len(dY)
        dH = self.room("dH", len(steps), self.hidden_size, N)
        if self.last:
            dH[...] = 0
        else:
            dH[...] = dY[:, block].transpose(1, 2, 0)
            if self.inside is not None:
                dH *= self.inside.T[block, None]  # the order keeps the steps inside inside
        if not dfinals:
            return [dH]
        states = [dH, *(np.zeros_like(dH) for _ in dfinals[1:])]
        here = np.flatnonzero((self.ends >= steps.start) & (self.ends < steps.stop))
        for dS, dfinal in zip(states, dfinals, strict=False):
            dS[self.ends[here] - steps.start, :, here] += dfinal[here]
        return states

    def backward_in_time(self, steps: range, W: Array, from_outside: list[Array], dX_h: Array) -> Array:
        """Return the gradients of the gates at the steps, (steps, rows, H, N); the next call may overwrite them.

        For each step t, what comes to h_t from the step after it is in the last H rows of dX_h[t + 1]; write the
        product of W and the gradients of the gates, which is the gradient of x_t and h_{t-1}, into dX_h[t]. Those of
        the other states pass through ``dmore``, (H, N) each.

        Args:
            steps: a block of steps; the blocks come from the last to the first.
            W: M without the row of the bias, and without those of x if dX is not needed.
            from_outside: what comes to the states after the steps from outside, (steps, H, N) each; to h alone, if
                the gradients of the final states are not given.
            dX_h: (T + 1, rows of W, N).
        """
        raise NotImplementedError

    def room(self, name: str, *shape: int) -> Array:
        """An array with anything in it, which the next call with this name may return again."""
        return self.kept.room(name, shape, self.dtype)

    def rows_of(self, name: str, A: Array) -> Array:
        """(steps, rows, N) as (rows, steps N)."""
        steps, rows, N = A.shape
        room = self.room(name, rows * steps * N).reshape(rows, steps, N)
        room[...] = A.swapaxes(0, 1)
        return room.reshape(rows, steps * N)

    # --- lengths, and the order of the steps

    def check_lengths(self, lengths: Any, N: int, T: int) -> Array | None:
        """The lengths as an array.

        Raises:
            TypeError, ShapeError, ValueError: they are not.
        """
        if lengths is None:
            return None
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

    # --- what tools and the formulas ask

    def cell(self) -> Cell:
        """One step, with copies of the parameters."""
        options = {"bias": self.b_x is not None, "dtype": self.dtype, **self.cell_options}
        cell = self.cell_class.from_saved(input_size=self.input_size, hidden_size=self.hidden_size, **options)
        cell.Phi = self.Phi
        return cell

    def in_order(self, A: Array) -> Array:
        """(T, ..., N) of the loops as (N, T, ...) in the order of X."""
        return self._turned(np.moveaxis(A, -1, 0))

    def formulas_of_one(self) -> str:
        """Those of this direction: the recurrence, in which h is Y if that has all steps and is alone."""
        if self.reverse and vars(self).get("inside") is not None:
            return ""
        text = self.recurrence
        if not self.last and not self.return_state:
            names = {"h": "Y", "dh_from_outside": "dY * valid", "dc_from_outside": "absent"}
        else:
            names = {f"d{s}_from_outside": f"put_at_end(d{s.upper()}, {s}, lengths)" for s in "hc"}
            if not self.return_state:
                names = {"dh_from_outside": "put_at_end(dY, h, lengths)", "dc_from_outside": "absent"}
            elif self.last:
                names["dh_from_outside"] += " + put_at_end(dY, h, lengths)"
            else:
                names["dh_from_outside"] += " + dY * valid"
            outputs = ["Y = at_end(h, lengths)" if self.last else "Y = h"]
            outputs += [f"{S} = at_end({S.lower()}, lengths)" for S in self.state_names if self.return_state]
            forward, backward = text.split("dh = ", 1)
            text = "".join([forward, *(f"{line}\n        " for line in outputs), "dh = ", backward])
        if self.reverse:
            names |= {"before": "after", "after": "before"}
            text = text.replace("[:, 0]", "[:, -1]")
        text = re.sub(r"\w+", lambda word: names.get(word[0], word[0]), text)
        if self.reverse:
            text = text.replace("at_end(", "at_start(").replace(", lengths)", ")")
        return text

    @property
    def h(self) -> Array:
        """The hidden states after all steps (N, T, H)."""
        states = self.in_order(self.Z[1:, self.input_size : -1])
        return states if self.inside is None else states * self.inside[:, :, None]

    @property
    def Y(self) -> Array:
        """The same, where they are the output."""
        return self.h

    @property
    def dA(self) -> Array:
        """The gradients of the gates at all steps, (N, T, rows H)."""
        self._start_backward()
        blocks = [dA.copy() for _, dA in self._gradients_of_gates(self.dY, self.dfinals)]
        return self.in_order(np.concatenate(blocks[::-1]))

    @property
    def dh(self) -> Array:
        """The gradients of the hidden states after all steps, (N, T, H)."""
        self._start_backward()
        for _ in self._gradients_of_gates(self.dY, self.dfinals):
            pass
        dH = self.all_from_outside()[0]
        return self.in_order(dH + self.dX_h[1:, -self.hidden_size :])

    def all_from_outside(self) -> list[Array]:
        """What comes to the states after all steps from outside, (T, H, N) each."""
        dY, dfinals = self.dY, self.dfinals
        if self.last:
            dfinals = self._with_last(dY, dfinals)
        else:
            dY = self._turned(dY)
        return self._from_outside(dY, dfinals, range(len(self.Z) - 1))

    @staticmethod
    def _with_last(dY: Array, dfinals: list[Array]) -> list[Array]:
        """The gradients of the final states, of which h is Y, too."""
        return [dY + dfinals[0], *dfinals[1:]] if dfinals else [dY]

    @property
    def parts(self) -> tuple[int, ...]:
        """The widths of the gates."""
        return (self.hidden_size,) * self.gates

    @property
    def valid(self) -> Array | None:
        """1 at the steps inside the sequences and 0 elsewhere (N, T, 1); None without lengths."""
        inside: Array | None = vars(self).get("inside")
        return None if inside is None else inside[:, :, None].astype(self.dtype)
