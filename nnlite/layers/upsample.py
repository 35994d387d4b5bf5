"""Upsample: spatial axes of another size, by interpolation."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.checks import one_of, positive, whole
from nnlite.basics.shapes import UNKNOWN, Shape, is_open, sizes, text
from nnlite.compute.resampling import CUBIC, interpolation, resample, resample_backward
from nnlite.errors import ShapeError
from nnlite.layer.flops import Flops
from nnlite.layer.layer import Layer
from nnlite.layers.spatial import LETTERS

AXES = {  # the numbers of spatial axes that a mode is for
    "nearest": (1, 2, 3),
    "nearest-exact": (1, 2, 3),
    "linear": (1,),
    "bilinear": (2,),
    "bicubic": (2,),
    "trilinear": (3,),
}
ALONG_ONE_AXIS = {"bilinear": "linear", "trilinear": "linear", "bicubic": "cubic"}


class Upsample(Layer):
    """Resample the spatial axes of X to other sizes: ``Y[n,c,i,j] = sum_{h,w} A[i,h] B[j,w] X[n,c,h,w]``.

    A and B are the weights of an interpolation along one axis, sparse matrices. Backward multiplies by their
    transposes: ``dX[n,c,h,w] = sum_{i,j} A[i,h] B[j,w] dY[n,c,i,j]``.

    Args:
        size: of the spatial axes of Y: one number for all of them, or one for each. Either ``size`` or
            ``scale_factor``.
        scale_factor: the spatial sizes of Y are those of X times this number, or these numbers, rounded down.
        mode: "nearest", "nearest-exact" (the nearest one as other libraries of images have it; "nearest" is at the
            corner of a pixel instead of its centre), "linear" for one spatial axis, "bilinear" and "bicubic" for two,
            "trilinear" for three.
        align_corners: whether the first and the last entries of X and Y are at the same places; otherwise the edges of
            the pixels are. For the linear and cubic modes; the default is False.
        recompute_scale_factor: whether positions are computed from the sizes of X and Y, instead of from
            ``scale_factor``; the two differ where a size was rounded down.

    Shapes:
        X (N, C, L), (N, C, H, W) or (N, C, D, H, W), Y likewise with other spatial sizes.

    Raises:
        TypeError: an argument is no number, or X does not hold real numbers.
        ValueError: not one of ``size`` and ``scale_factor`` is given, a number is not above 0, or the options do not go
            together.
        ShapeError: X has other axes than the mode or the numbers are for, or one of X's or Y's spatial axes is empty.

    Source of the cubic weights: Keys, Cubic convolution interpolation for digital image processing, 1981, with
    a = -0.75.

    >>> Upsample(scale_factor=2).forward([[[1.0, 2.0]]])
    array([[[1., 1., 2., 2.]]])
    >>> layer = Upsample(size=5, mode="linear", align_corners=True)
    >>> layer.forward([[[0.0, 2.0, 6.0]]])
    array([[[0., 1., 2., 4., 6.]]])
    >>> layer.backward([[[1.0, 1.0, 1.0, 1.0, 1.0]]])
    array([[[1.5, 2. , 1.5]]])
    """

    has_units = False
    formulas = """
        Y = resample(X, matrices=matrices)
        dX = resample_backward(dY, matrices=matrices)
    """

    def __init__(
        self,
        size: int | Iterable[int] | None = None,
        scale_factor: float | Iterable[float] | None = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        self.mode = one_of(mode, "Upsample: mode", tuple(AXES))
        if (size is None) == (scale_factor is None):
            raise ValueError("Upsample: expected either size= or scale_factor=")
        if align_corners is not None and mode.startswith("nearest"):
            raise ValueError(f"Upsample: align_corners is for the linear and cubic modes, not for {mode!r}")
        if size is not None and recompute_scale_factor:
            raise ValueError("Upsample: recompute_scale_factor is for scale_factor=, not for size=")
        self.size = one_or_each(size, lambda each: whole(each, "Upsample: size", least=1))
        self.scale_factor = one_or_each(scale_factor, lambda each: positive(each, "Upsample: scale_factor"))
        self.align_corners, self.recompute_scale_factor = align_corners, recompute_scale_factor
        axes = AXES[mode]
        if isinstance(numbers := self.size or self.scale_factor, tuple) and len(numbers) not in axes:
            counts = " or ".join(map(str, axes))
            raise ValueError(f"Upsample: expected one number, or {counts} for mode={mode!r}, got {numbers}")

    def forward(self, X: Any) -> Array:
        X = self.check_X(X)
        outputs: Any = self.output_shape(X.shape)[2:]
        mode = ALONG_ONE_AXIS.get(self.mode, self.mode)
        self.matrices = tuple(
            interpolation(size, count, self.step(size, count, axis), mode, bool(self.align_corners), X.dtype)
            for axis, (size, count) in enumerate(zip(X.shape[2:], outputs, strict=True))
        )
        return self.record_Y(resample(X, self.matrices))

    def backward(self, dY: Any) -> Array:
        return resample_backward(self.check_dY(dY), self.matrices)

    def step(self, size: int, count: int, axis: int) -> float:
        """How far the entries of Y are from each other along an axis, in entries of X."""
        if self.scale_factor is None or self.recompute_scale_factor:
            return size / count
        factor: float = of_axis(self.scale_factor, axis)
        return 1 / factor

    def output_shape(self, *shapes: Shape) -> Shape:
        (X,) = shapes
        axes, numbers = AXES[self.mode], self.size or self.scale_factor
        if isinstance(numbers, tuple):
            axes = (len(numbers),)
        if is_open(X):
            return UNKNOWN
        if len(X) - 2 not in axes:
            expected = " or ".join(f"(N, C, {LETTERS[count]})" for count in axes)
            raise ShapeError(f"{self}: expected X of shape {expected}, got {text(X)}")
        known = sizes(X)[2:]
        if self.size is not None:
            outputs: tuple[int | None, ...] = tuple(of_axis(self.size, axis) for axis in range(len(known)))
        else:
            scales = [of_axis(self.scale_factor, axis) for axis in range(len(known))]
            outputs = tuple(None if n is None else int(n * scale) for n, scale in zip(known, scales, strict=True))
        if 0 in known or 0 in outputs:
            raise ShapeError(f"{self}: expected spatial axes that are not empty, got {text(known)} -> {text(outputs)}")
        return *X[:2], *outputs

    def flops(self, X: Any, Y: Any) -> tuple[Flops, Flops]:
        count, size = 0, X.size
        for matrix in self.matrices:  # one after another along the axes
            size = size // matrix.shape[1]
            count += 2 * matrix.nnz * size
            size *= matrix.shape[0]
        return Flops(count), Flops(count)

    def onnx(self, graph: Any, X: Any) -> Any:
        outputs, nearest = self.output_shape(X.shape)[2:], self.mode.startswith("nearest")
        if None in outputs:
            raise NotImplementedError("the spatial sizes of X are not known")
        given: dict[str, Any]
        if self.scale_factor is None or self.recompute_scale_factor:
            rows_and_channels = graph.Slice(graph.Shape(X), (0,), (2,), (0,))
            given = {"sizes": graph.Concat(rows_and_channels, outputs, axis=0)}
        else:
            scales = [1, 1, *(of_axis(self.scale_factor, axis) for axis in range(X.ndim - 2))]
            given = {"scales": np.asarray(scales, np.float32)}
        places = "asymmetric" if self.mode == "nearest" else "align_corners" if self.align_corners else "half_pixel"
        return graph.Resize(
            X, None, mode="nearest" if nearest else {"bicubic": "cubic"}.get(self.mode, "linear"),
            coordinate_transformation_mode=places, cubic_coeff_a=CUBIC,
            nearest_mode="floor" if self.mode == "nearest" else "round_prefer_ceil", **given,
        )  # fmt: skip

    def extra_repr(self) -> str:
        names = "size", "scale_factor", "mode", "align_corners", "recompute_scale_factor"
        shown = {name: value for name in names if (value := getattr(self, name)) is not None}
        return ", ".join(f"{name}={value!r}" for name, value in shown.items())


def one_or_each(value: Any, check: Callable[[Any], Any]) -> Any:
    """Return a number, or a tuple of numbers, checked; None for None."""
    if isinstance(value, Iterable) and not isinstance(value, str):
        return tuple(map(check, value))
    return None if value is None else check(value)


def of_axis(numbers: Any, axis: int) -> Any:
    """Return the number of an axis, of one for all axes or of one for each."""
    return numbers[axis] if isinstance(numbers, tuple) else numbers
