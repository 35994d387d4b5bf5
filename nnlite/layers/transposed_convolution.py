"""Transposed convolution: ConvTranspose1d, ConvTranspose2d and ConvTranspose3d, whose backward is a convolution."""

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike

from nnlite.basics.arrays import Array
from nnlite.basics.checks import one_of
from nnlite.basics.generators import Rng
from nnlite.basics.shapes import Shape
from nnlite.compute.columns import convolve, convolve_transposed, convolve_weights
from nnlite.compute.windows import Pairs, Sizes, Windows
from nnlite.errors import ShapeError
from nnlite.initializers import glorot_uniform, zeros
from nnlite.layer.flops import Flops
from nnlite.layers.convolution_base import Convolution, Numbers, letters
from nnlite.layers.spatial import LARGE, LETTERS, channels_and_sizes, for_each_axis


class ConvTransposeNd(Convolution):
    """What ConvTranspose1d, ConvTranspose2d and ConvTranspose3d share: everything but the number of axes."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Numbers,
        stride: Numbers = 1,
        padding: Numbers = 0,
        output_padding: Numbers = 0,
        groups: int = 1,
        *,
        bias: bool = True,
        dilation: Numbers = 1,
        padding_mode: str = "zeros",
        weight_init: Callable[..., Array] = glorot_uniform,
        dtype: DTypeLike = np.float32,
        rng: Rng = None,
    ) -> None:
        name = type(self).__name__
        self.set_sizes(in_channels, out_channels, kernel_size, stride, dilation, groups)
        self.padding = for_each_axis(padding, self.axes, f"{name}: padding", least=0)
        self.output_padding = for_each_axis(output_padding, self.axes, f"{name}: output_padding", least=0)
        for more, stride_, dilation_ in zip(self.output_padding, self.stride, self.dilation, strict=True):
            if more >= max(stride_, dilation_):
                raise ValueError(
                    f"{name}: output_padding: expected less than stride {stride_} or dilation {dilation_}, got {more}"
                )
        self.padding_mode = one_of(padding_mode, f"{name}: padding_mode", ("zeros",))
        W = self.draw(weight_init, dtype, rng).swapaxes(1, 2)
        self.W = W.reshape(self.in_channels, *W.shape[2:])
        self.b = zeros(self.out_channels, dtype=self.dtype) if bias else None

    def windows_on(self, counts: Sizes) -> Windows:
        """The windows on Y, for so many of them along each axis: the sizes of X.

        Raises:
            ShapeError: there would be nothing left of Y without the padding, or X has no entries along an axis.
        """
        sizes = tuple(
            (count - 1) * s - 2 * p + d * (k - 1) + more + 1
            for count, k, s, p, d, more in zip(
                counts, self.kernel_size, self.stride, self.padding, self.dilation, self.output_padding, strict=True
            )
        )
        for size, count, letter in zip(sizes, counts, LETTERS[self.axes].split(", "), strict=True):
            if count < 1 or size < 1:
                raise ShapeError(
                    f"{self}: expected a larger {letter}, so that there is something left of Y without the padding; "
                    f"got {count}, which gives {size}"
                )
        # Without the output padding the windows reach to the end, so there are no more than X has entries.
        padding = tuple((p, p - more) for p, more in zip(self.padding, self.output_padding, strict=True))
        return Windows(sizes, self.kernel_size, self.stride, self.dilation, padding)

    def forward(self, X: Any) -> Array:
        X = self.check_X(X)
        channels_and_sizes(self, X.shape, self.axes, self.in_channels)
        self.batched = X.ndim == self.axes + 2
        self.X, self.windows = self.with_samples(X), self.windows_on(X.shape[-self.axes :])
        Y = convolve_transposed(self.X, self.W, self.windows, self.groups)
        if (b := self.b) is not None:
            Y += b.reshape(-1, *[1] * self.axes)
        return self.record_Y(self.as_given(Y))

    def backward(self, dY: Any) -> Array | None:
        dY = self.with_samples(self.check_dY(dY))
        self.dW = convolve_weights(dY, self.X, self.windows, self.groups)
        self.store_db(dY)
        return self.as_given(convolve(dY, self.W, self.windows, self.groups)) if self.needs_dX else None

    def onnx(self, graph: Any, X: Any) -> Any:
        if X.ndim == self.axes + 1:
            raise NotImplementedError("X has no axis for samples")
        if any(more >= step for more, step in zip(self.output_padding, self.stride, strict=True)):
            raise NotImplementedError("with output_padding of at least the stride, which onnxruntime refuses")
        options = {"strides": self.stride, "dilations": self.dilation, "group": self.groups}
        pads = (*self.padding, *self.padding)
        return graph.ConvTranspose(X, self.W, self.b, pads=pads, output_padding=self.output_padding, **options)

    @property
    def pairs(self) -> Pairs:
        """How many entries are taken off before and after each axis of Y, for the formulas."""
        return tuple((p, p) for p in self.padding)

    @property
    def formulas(self) -> str:  # type: ignore[override]
        """With a letter for each axis: n samples, c and o channels, i, j, h inputs, u, v, w entries of the kernel."""
        y, w, x = (spec.translate(str.maketrans("co", "oc")) for spec in letters(self))
        W, X, dW, dX = "W", "X", "{}", "{}"
        if self.groups > 1:
            W, X = "view(W, shape=W_of_groups)", "view(X, shape=shape_of_groups)"
            dW, dX = "view({}, shape=W.shape)", "view({}, shape=X.shape)"
        to_windows = "at=windows, pairs=pairs, groups=groups"
        return f"""
            P = einsum('{x},{w}->{y}', {X}, {W})
            Y = add_windows(P, {to_windows}) + along(b, axis=channel, like=X)
            dP = windows(dY, {to_windows})
            dW = {dW.format(f"einsum('{y},{x}->{w}', dP, {X})")}
            db = sum(dY, axis=others)
            dX = {dX.format(f"einsum('{y},{w}->{x}', dP, {W})")}
        """

    def flops(self, X: Any, Y: Any) -> tuple[Flops, Flops]:
        to_X, to_Y, to_W = self.products(self.X.size // self.in_channels)
        bias = 0 if self.b is None else Y.size
        backward = (to_W, to_X) if self.needs_dX else (to_W,)
        return Flops(bias, (to_Y,) * self.groups), Flops(bias, backward * self.groups)

    def output_shape(self, *shapes: Shape) -> Shape:
        front, _, sizes = channels_and_sizes(self, shapes[0], self.axes, self.in_channels)
        outputs = self.windows_on(tuple(LARGE if size is None else size for size in sizes)).sizes
        known = (None if size is None else count for size, count in zip(sizes, outputs, strict=True))
        return *front, self.out_channels, *known

    def saved_arguments(self) -> dict[str, Any]:
        """For files: W, whether there is a b, and the options."""
        names = "stride", "padding", "output_padding", "dilation", "groups", "padding_mode"
        return {"W": self.W, "bias": self.b is not None} | {name: getattr(self, name) for name in names}

    @classmethod
    def from_saved(cls, W: Array, groups: int, **options: Any) -> Self:
        """A layer with this W, without drawing one."""
        in_channels, out_channels, *kernel = W.shape
        parts = iter(np.split(W, groups))
        return cls(
            in_channels, out_channels * groups, kernel, groups=groups, dtype=W.dtype,
            weight_init=lambda *_, **__: next(parts).swapaxes(0, 1), **options,
        )  # fmt: skip


class ConvTranspose1d(ConvTransposeNd):
    """Transposed convolution of signals: ``Y[n, o, i stride + u dilation - padding] += X[n,c,i] W[c,o,u]``, plus b[o].

    Arguments, backward and errors are those of :class:`ConvTranspose2d`, with one spatial axis.

    Shapes:
        X (N, C, L) or (C, L), Y (N, M, L') or (M, L'), W (C, M / groups, kernel_size), b (M,).

    >>> layer = ConvTranspose1d(1, 1, 2)
    >>> layer.W = [[[-1, 1]]]
    >>> layer.forward([[[1, 2, 3]]])
    array([[[-1., -1., -1.,  3.]]], dtype=float32)
    >>> layer.backward(np.array([[[1.0, 2.0, 4.0, 7.0]]]))
    array([[[1., 2., 3.]]], dtype=float32)
    """

    axes = 1


class ConvTranspose2d(ConvTransposeNd):
    """Transposed convolution of images: ``X[n,c,i,j] W[c,o,u,v]`` is added to ``Y[n, o, i + u, j + v]``, and b[o].

    That is for stride 1, no padding and no dilation; in general the indices of Y are ``i stride + u dilation -
    padding`` and so on. As a linear map it is the transpose of :class:`Conv2d` with the same W: forward is the backward
    of that one, and backward its forward. With a stride it makes images larger.

    Backward: ``dX[n,c,i,j] = sum_{o,u,v} dY[n, o, i + u, j + v] W[c,o,u,v]``, ``dW[c,o,u,v] = sum_{n,i,j} X[n,c,i,j]
    dY[n, o, i + u, j + v]``, and db is the sum of dY over all axes but that of the channels.

    Args:
        in_channels: the number C of channels of X.
        out_channels: the number M of channels of Y.
        kernel_size: of a window on Y: one number, or one for each spatial axis, as for the other sizes.
        stride: the distance from one window to the next.
        padding: how many entries are taken off at both ends of each axis of Y.
        output_padding: how many entries more there are at the end of each axis of Y: less than the stride or the
            dilation. With a stride, convolutions of images of several sizes give the same size; it is which one of them
            Y has.
        groups: the channels are divided into so many groups, and an output depends on the inputs of its group alone.
        bias: whether to add b, which starts at 0.
        dilation: the distance from one entry of a window to the next.
        padding_mode: "zeros"; there is no other one.
        weight_init: returns W, called for each group as ``weight_init((M / groups, C / groups, *kernel_size),
            dtype=..., rng=...)``, whose first two axes are then swapped; see :class:`Conv2d`.
        dtype: dtype of W and b; X is converted to it.
        rng: seed or generator for ``weight_init``; see :class:`Conv2d`.

    Shapes:
        X (N, C, H, W) or (C, H, W), Y (N, M, H', W') or (M, H', W'), W (C, M / groups, *kernel_size), b (M,), with
        ``H' = (H - 1) stride - 2 padding + dilation (kernel_size - 1) + output_padding + 1``, and likewise W'.

    Raises:
        TypeError: a number is not whole, or X does not hold real numbers.
        ValueError: a number is too small, output_padding is too large, the channels are no multiples of groups, there
            is another padding_mode, or ``weight_init`` returned another shape.
        ShapeError: X has other axes or channels, or nothing would be left of Y.

    Source: Dumoulin and Visin, A guide to convolution arithmetic for deep learning, 2016.

    >>> layer = ConvTranspose2d(1, 1, 2, stride=2)
    >>> layer.W = [[[[1, 2], [3, 4]]]]
    >>> layer.forward([[[[1, 10]]]])
    array([[[[ 1.,  2., 10., 20.],
             [ 3.,  4., 30., 40.]]]], dtype=float32)
    >>> layer.backward(np.array([[[[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]]]))
    array([[[[3., 4.]]]], dtype=float32)
    """

    axes = 2


class ConvTranspose3d(ConvTransposeNd):
    """Transposed convolution of volumes: ``X[n,c,i,j,h] W[c,o,u,v,w]`` is added to ``Y[n, o, i + u, j + v, h + w]``.

    Arguments, backward and errors are those of :class:`ConvTranspose2d`, with three spatial axes.

    Shapes:
        X (N, C, D, H, W) or (C, D, H, W), Y (N, M, D', H', W') or (M, D', H', W'), W (C, M / groups, *kernel_size),
        b (M,).

    >>> ConvTranspose3d(4, 2, 2, stride=(1, 2, 2), rng=0).forward(np.zeros((5, 4, 6, 7, 8))).shape
    (5, 2, 7, 14, 16)
    """

    axes = 3
