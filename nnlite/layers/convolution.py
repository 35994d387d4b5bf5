"""Convolution: Conv1d, Conv2d and Conv3d, of which each output is a weighted sum of the inputs in a window."""

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike

from nnlite.basics.arrays import Array
from nnlite.basics.checks import one_of
from nnlite.basics.generators import Rng
from nnlite.basics.shapes import Shape
from nnlite.compute.columns import convolve, convolve_transposed, convolve_weights
from nnlite.compute.pad import MODES, pad, pad_backward
from nnlite.compute.windows import Pairs, Sizes, Windows
from nnlite.errors import ShapeError
from nnlite.initializers import glorot_uniform, zeros
from nnlite.layer.flops import Flops
from nnlite.layers.convolution_base import Convolution, Numbers, letters
from nnlite.layers.spatial import LARGE, LETTERS, channels_and_sizes, for_each_axis, one_if_equal


class ConvNd(Convolution):
    """What Conv1d, Conv2d and Conv3d share: everything but the number of axes."""

    padding: str | tuple[int, ...]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Numbers,
        stride: Numbers = 1,
        padding: Numbers | str = 0,
        dilation: Numbers = 1,
        groups: int = 1,
        *,
        bias: bool = True,
        padding_mode: str = "zeros",
        weight_init: Callable[..., Array] = glorot_uniform,
        dtype: DTypeLike = np.float32,
        rng: Rng = None,
    ) -> None:
        name = type(self).__name__
        self.set_sizes(in_channels, out_channels, kernel_size, stride, dilation, groups)
        self.padding_mode = one_of(padding_mode, f"{name}: padding_mode", tuple(MODES))
        if isinstance(padding, str):
            self.padding = one_of(padding, f"{name}: padding", ("valid", "same"))
        else:
            self.padding = for_each_axis(padding, self.axes, f"{name}: padding", least=0)
        if self.padding == "same" and max(self.stride) > 1:
            raise ValueError(f"{name}: padding: 'same' needs stride 1, got stride {one_if_equal(self.stride)}")
        W = self.draw(weight_init, dtype, rng)
        self.W = W.reshape(self.out_channels, *W.shape[2:])
        self.b = zeros(self.out_channels, dtype=self.dtype) if bias else None

    @property
    def pairs(self) -> Pairs:
        """How many entries the padding adds before and after each axis; of an odd number more are after it."""
        if isinstance(self.padding, tuple):
            return tuple((each, each) for each in self.padding)
        if self.padding == "valid":
            return ((0, 0),) * self.axes
        added = [(k - 1) * d for k, d in zip(self.kernel_size, self.dilation, strict=True)]
        return tuple((each // 2, each - each // 2) for each in added)

    def windows_on(self, sizes: Sizes) -> Windows:
        """The windows on an X of these sizes.

        Raises:
            ShapeError: one of the sizes is too small for the kernel or the padding.
        """
        windows = Windows(sizes, self.kernel_size, self.stride, self.dilation, self.pairs)
        for axis, letter in enumerate(LETTERS[self.axes].split(", ")):
            before, after = windows.padding[axis]
            if windows.outputs[axis] < 1 or sizes[axis] < 1:
                raise ShapeError(
                    f"{self}: expected {letter} of at least {max(1, windows.spans[axis] - before - after)}, since the "
                    f"kernel extends over {windows.spans[axis]} with dilation {self.dilation[axis]} and the padding "
                    f"adds {before + after}; got {sizes[axis]}"
                )
            least = max(before, after) + (self.padding_mode == "reflect")
            if self.padding_mode in ("reflect", "circular") and before + after and sizes[axis] < least:
                raise ShapeError(
                    f"{self}: expected {letter} of at least {least}, for padding of {max(before, after)} by "
                    f"{self.padding_mode!r}; got {sizes[axis]}"
                )
        return windows

    def forward(self, X: Any) -> Array:
        X = self.check_X(X)
        self.batched = X.ndim == self.axes + 2
        channels_and_sizes(self, X.shape, self.axes, self.in_channels)
        windows = self.windows_on(X.shape[-self.axes :])
        X = self.with_samples(X)
        if self.padding_mode != "zeros":
            X = pad(X, windows.padding, self.padding_mode)
            windows = windows.without_padding()
        self.X, self.windows = X, windows
        Y = convolve(X, self.W, windows, self.groups, self.b)
        return self.record_Y(self.as_given(Y))

    def backward(self, dY: Any) -> Array | None:
        dY = self.with_samples(self.check_dY(dY))
        self.dW = convolve_weights(self.X, dY, self.windows, self.groups)
        self.store_db(dY)
        if not self.needs_dX:
            return None
        dX = convolve_transposed(dY, self.W, self.windows, self.groups)
        if self.padding_mode != "zeros":
            dX = pad_backward(dX, self.pairs, self.padding_mode)
        return self.as_given(dX)

    def onnx(self, graph: Any, X: Any) -> Any:
        if X.ndim == self.axes + 1:
            raise NotImplementedError("X has no axis for samples")
        before, after = zip(*self.pairs, strict=True)
        if self.padding_mode != "zeros":
            if self.padding_mode == "circular" and graph.opset < 19:
                raise NotImplementedError("padding_mode='circular' is in opsets from 19 on; pass opset=19")
            mode = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}[self.padding_mode]
            X = graph.Pad(X, pads=(0, 0, *before, 0, 0, *after), mode=mode)
            before = after = (0,) * self.axes
        options = {"strides": self.stride, "dilations": self.dilation, "group": self.groups}
        return graph.Conv(X, self.W, self.b, pads=(*before, *after), **options)

    @property
    def formulas(self) -> str:  # type: ignore[override]
        """With a letter for each axis: n samples, c and o channels, i, j, h outputs, u, v, w entries of the kernel."""
        x, w, y = letters(self)
        W = "W" if self.groups == 1 else "view(W, shape=W_of_groups)"
        Y, dY = ("{}", "dY") if self.groups == 1 else ("view({}, shape=Y_shape)", "view(dY, shape=shape_of_groups)")
        dW = "{}" if self.groups == 1 else "view({}, shape=W.shape)"
        return f"""
            P = windows(X, at=windows, pairs=pairs, mode=padding_mode, groups=groups)
            Y = {Y.format(f"einsum('{x},{w}->{y}', P, {W})")} + along(b, axis=channel, like=X)
            dW = {dW.format(f"einsum('{x},{y}->{w}', P, {dY})")}
            db = sum(dY, axis=others)
            dP = einsum('{y},{w}->{x}', {dY}, {W})
            dX = add_windows(dP, at=windows, pairs=pairs, mode=padding_mode, groups=groups)
        """

    def flops(self, X: Any, Y: Any) -> tuple[Flops, Flops]:
        to_Y, to_X, to_W = self.products(Y.size // self.out_channels)
        bias = 0 if self.b is None else Y.size
        backward = (to_W, to_X) if self.needs_dX else (to_W,)
        return Flops(bias, (to_Y,) * self.groups), Flops(bias, backward * self.groups)

    def output_shape(self, *shapes: Shape) -> Shape:
        front, _, sizes = channels_and_sizes(self, shapes[0], self.axes, self.in_channels)
        outputs = self.windows_on(tuple(LARGE if size is None else size for size in sizes)).outputs
        known = (None if size is None else count for size, count in zip(sizes, outputs, strict=True))
        return *front, self.out_channels, *known

    def saved_arguments(self) -> dict[str, Any]:
        """For files: W, whether there is a b, and the options."""
        names = "stride", "padding", "dilation", "groups", "padding_mode"
        return {"W": self.W, "bias": self.b is not None} | {name: getattr(self, name) for name in names}

    @classmethod
    def from_saved(cls, W: Array, groups: int, **options: Any) -> Self:
        """A layer with this W, without drawing one."""
        out_channels, in_channels, *kernel = W.shape
        parts = iter(np.split(W, groups))
        return cls(
            in_channels * groups, out_channels, kernel, groups=groups, dtype=W.dtype,
            weight_init=lambda *_, **__: next(parts), **options,
        )  # fmt: skip


class Conv1d(ConvNd):
    """Convolution of signals: ``Y[n,o,i] = sum_{c,u} X[n, c, i stride + u dilation - padding] W[o,c,u] + b[o]``.

    The sum is over the channels c of X and the entries u of the kernel. Arguments, backward and errors are those of
    :class:`Conv2d`, with one spatial axis.

    Shapes:
        X (N, C, L) or (C, L), Y (N, M, L') or (M, L'), W (M, C / groups, kernel_size), b (M,), with
        ``L' = (L + 2 padding - dilation (kernel_size - 1) - 1) // stride + 1``.

    >>> layer = Conv1d(1, 1, 2)
    >>> layer.W = [[[-1, 1]]]
    >>> layer.forward([[[1, 2, 4, 7]]])
    array([[[1., 2., 3.]]], dtype=float32)
    >>> layer.backward(np.array([[[1.0, 0.0, 2.0]]]))
    array([[[-1.,  1., -2.,  2.]]], dtype=float32)
    >>> layer.dW
    array([[[ 9., 16.]]], dtype=float32)
    """

    axes = 1


class Conv2d(ConvNd):
    """Convolution of images: ``Y[n,o,i,j] = sum_{c,u,v} X[n, c, i + u, j + v] W[o,c,u,v] + b[o]``.

    That is for stride 1, no padding and no dilation; in general the indices of X are ``i stride + u dilation -
    padding`` and so on. What is called a convolution here is a cross-correlation: the kernel is not flipped.

    Backward: ``dW[o,c,u,v] = sum_{n,i,j} X[n, c, i + u, j + v] dY[n,o,i,j]``, db is the sum of dY over all axes but
    that of the channels, and ``sum_o dY[n,o,i,j] W[o,c,u,v]`` is added to ``dX[n, c, i + u, j + v]``.

    Args:
        in_channels: the number C of channels of X.
        out_channels: the number M of channels of Y.
        kernel_size: of a window: one number, or one for each spatial axis, as for stride, padding and dilation.
        stride: the distance from one window to the next.
        padding: how many entries are added at both ends of each axis; or "same", as many as give Y the sizes of X, with
            the odd one at the end, or "valid", none.
        dilation: the distance from one entry of a window to the next.
        groups: the channels are divided into so many groups, and an output depends on the inputs of its group alone.
        bias: whether to add b, which starts at 0.
        padding_mode: what is added: "zeros", or entries of X: "reflect" (X mirrored, without the edge itself),
            "replicate" (the edge) or "circular" (from the other end).
        weight_init: returns W, called for each group as ``weight_init((M / groups, C / groups, *kernel_size),
            dtype=..., rng=...)``: one of :mod:`nnlite.initializers`, such as ``he_uniform`` before ReLU.
        dtype: dtype of W and b; X is converted to it.
        rng: seed or generator for ``weight_init``; by default the one that :func:`nnlite.manual_seed` seeds. Layers
            with the same seed have the same weights, so pass one generator to all layers of a model.

    Shapes:
        X (N, C, H, W) or (C, H, W), Y (N, M, H', W') or (M, H', W'), W (M, C / groups, *kernel_size), b (M,), with
        ``H' = (H + 2 padding - dilation (kernel_size - 1) - 1) // stride + 1``, and likewise W'.

    Raises:
        TypeError: a number is not whole, or X does not hold real numbers.
        ValueError: a number is too small, the channels are no multiples of groups, padding is "same" and a stride is
            not 1, or ``weight_init`` returned another shape.
        ShapeError: X has other axes or channels, or is too small for the kernel or for the padding of its mode.

    Sources: LeCun et al., Backpropagation applied to handwritten zip code recognition, 1989; Dumoulin and Visin, A
    guide to convolution arithmetic for deep learning, 2016.

    >>> layer = Conv2d(1, 1, 2)
    >>> layer.W = [[[[1, 0], [0, -1]]]]
    >>> layer.forward([[[[1, 2, 3], [4, 5, 6], [7, 8, 10]]]])
    array([[[[-4., -4.],
             [-4., -5.]]]], dtype=float32)
    >>> Conv2d(3, 8, 5, padding="same", rng=0).forward(np.zeros((4, 3, 28, 28))).shape
    (4, 8, 28, 28)
    """

    axes = 2


class Conv3d(ConvNd):
    """Convolution of volumes: ``Y[n,o,i,j,h] = sum_{c,u,v,w} X[n, c, i + u, j + v, h + w] W[o,c,u,v,w] + b[o]``.

    That is for stride 1, no padding and no dilation. Arguments, backward and errors are those of :class:`Conv2d`, with
    three spatial axes.

    Shapes:
        X (N, C, D, H, W) or (C, D, H, W), Y (N, M, D', H', W') or (M, D', H', W'), W (M, C / groups, *kernel_size),
        b (M,).

    >>> Conv3d(2, 4, (3, 1, 1), padding=(1, 0, 0), rng=0).forward(np.zeros((5, 2, 6, 7, 8))).shape
    (5, 4, 6, 7, 8)
    """

    axes = 3
