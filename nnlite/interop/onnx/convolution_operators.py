"""What Conv and ConvTranspose are in nnlite: layers, or for kernels that are constants Unfold and Fold."""

from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.containers.nodes import Constant
from nnlite.interop.onnx.axes import flattened
from nnlite.interop.onnx.onnx_windows import dilations, ends, enlarged, strides
from nnlite.interop.onnx.operands import Operand, at, known, parameter, raise_unless
from nnlite.layers.convolution import Conv1d, Conv2d, Conv3d
from nnlite.layers.folding import Fold, Unfold
from nnlite.layers.reshaping import Unflatten
from nnlite.layers.transposed_convolution import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d

Given = Operand | None
Options = dict[str, Any]


def convolution(X: Operand, W: Operand, B: Given, options: Options) -> Any:
    """A convolution; unequal padding is a layer of its own in front of it, unless it is that of ``padding="same"``."""
    kernel, windows = windows_of(W, options)
    before, after = ends(options, X, kernel)
    same = all(
        step == 1 and (first, last) == (each // 2, each - each // 2)
        for step, d, k, first, last in zip(*windows.values(), kernel, before, after, strict=True)
        for each in [(k - 1) * d]
    )
    node, padding = (X.node, before) if before == after else (enlarged(X.node, before, after, 0.0), (0,) * len(kernel))
    if W.trained:
        if same and before != after:
            node, padding = X.node, "same"  # type: ignore[assignment]
        layer = with_parameters((Conv1d, Conv2d, Conv3d), W, B, options, padding=padding, **windows)
        return layer(node)
    columns = Unfold(kernel, padding=padding, **windows)
    sizes = [at(X.shape, axis) + sum(more) for axis, *more in zip(range(2, X.ndim), before, after, strict=True)]
    sizes = [size - 2 * p for size, p in zip(sizes, padding, strict=True)]
    Y = product(block_diagonal(known(W), options["group"]), columns(node))
    return with_bias(Unflatten(2, columns.windows_on(tuple(sizes)).outputs)(Y), B, len(kernel))


def transposed_convolution(X: Operand, W: Operand, B: Given, options: Options) -> Any:
    """The transpose of a convolution; where its padding is unequal, the rest is left out behind it."""
    raise_unless("output_shape" not in options, "with output_shape")
    raise_unless(options["auto_pad"] in ("NOTSET", "VALID"), f"with auto_pad={options['auto_pad']}")
    kernel, windows = windows_of(W, options)
    before, after = ends(options, X, kernel)
    padding = tuple(map(min, before, after))
    more = tuple(options.get("output_padding", [0] * len(kernel)))
    if W.trained:
        classes = ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
        Y = with_parameters(classes, W, B, options, padding=padding, output_padding=more, **windows)(X.node)
    else:
        sizes = [
            (at(X.shape, axis) - 1) * step - 2 * p + d * (k - 1) + 1 + extra
            for axis, step, d, p, k, extra in zip(
                range(2, X.ndim), *windows.values(), padding, kernel, more, strict=True
            )
        ]
        columns = product(block_diagonal(known(W), options["group"]).T.copy(), flattened(X.node, 2, X.ndim))
        Y = with_bias(Fold(sizes, kernel, padding=padding, **windows)(columns), B, len(kernel))
    if before == after:
        return Y
    front, behind = ([p - each for p, each in zip(padding, side, strict=True)] for side in (before, after))
    return enlarged(Y, tuple(front), tuple(behind), 0.0)


def windows_of(W: Operand, options: Options) -> tuple[tuple[int, ...], dict[str, tuple[int, ...]]]:
    """The sizes of the kernel, and stride and dilation."""
    kernel = known(W).shape[2:]
    axes = len(kernel)
    raise_unless(1 <= axes <= 3, "expected an initializer with 1 to 3 spatial axes")
    raise_unless(options["group"] > 0, "expected a group of at least 1")
    return kernel, {"stride": strides(options, axes), "dilation": dilations(options, axes)}


def with_parameters(classes: Any, W: Operand, B: Given, options: Options, **more: Any) -> Any:
    """A layer of one of the classes, which have one, two and three spatial axes."""
    kernels = parameter(W)
    layer = classes[kernels.ndim - 3].from_saved(W=kernels, groups=options["group"], bias=B is not None, **more)
    if B is not None:
        layer.b = parameter(B)
    return layer


def with_bias(Y: Any, B: Given, axes: int) -> Any:
    """Y (N, C, ...) with so many spatial axes, and a number for each channel added."""
    return Y if B is None else Y + Unflatten(0, (-1, *[1] * axes))(B.node)


def product(M: Array, columns: Any) -> Any:
    """The product of a constant matrix with columns, which is left out for the identity."""
    return columns if M.shape[0] == M.shape[1] and np.array_equal(M, np.eye(len(M))) else Constant(M) @ columns


def block_diagonal(kernels: Array, group: int) -> Array:
    """The matrix of kernels (O, C / group, ...): one block for each group."""
    blocks = np.split(kernels.reshape(len(kernels), -1), group)
    M = np.zeros((len(kernels), blocks[0].shape[1] * group), kernels.dtype)
    for n, block in enumerate(blocks):
        rows, columns = block.shape
        M[n * rows : (n + 1) * rows, n * columns : (n + 1) * columns] = block
    return M
