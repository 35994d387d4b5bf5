"""Unscaled inputs and targets: the one definition that sanity and DivergenceError go by."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array

LARGE, SMALL = 10.0, 0.01  # a column with an RMS outside these bounds is unscaled
FAR = 100.0  # so is a column whose mean is this many standard deviations from 0
MUCH = 100.0  # targets are unscaled if their RMS is this many times that of the outputs, or 1 if that is less


@dataclass(frozen=True)
class Scales:
    """The scale of each column of an array of finite numbers, or of each channel of images and volumes.

    Attributes:
        feature: what is measured: "column" or "channel".
        mean: of each column.
        deviation: the standard deviation of each column.
        rms: ``sqrt(mean(x^2))`` of each column.
        varying: whether the numbers of a column differ.
        unscaled: the columns with an RMS above 10 or a mean far from 0, the worst first.

    >>> Scales.of(np.array([[1.0, 500.0, 5.0], [-1.0, 700.0, 5.001]])).unscaled
    [2, 1]
    """

    feature: str
    mean: Array
    deviation: Array
    rms: Array
    varying: Array
    unscaled: list[int]

    @classmethod
    def of(cls, array: Array) -> "Scales":
        """The scales of the columns, which are along the last axis, or of the channels."""
        feature, flat = features(array)
        flat = flat.astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            mean, deviation, rms = flat.mean(axis=0), flat.std(axis=0), np.sqrt(np.mean(flat**2, axis=0))
            varying = flat.min(axis=0) != flat.max(axis=0)
            off = (rms > LARGE) | (varying & (np.abs(mean) > FAR * deviation))
            how_far = np.maximum(rms / LARGE, np.abs(mean) / (deviation + 1e-300) / FAR)
        worst = np.argsort(np.where(off, -how_far, np.inf), kind="stable")[: int(off.sum())]
        return cls(feature, mean, deviation, rms, varying, worst.tolist())

    def describe(self, column: int) -> str:
        """Why the column is unscaled: its RMS, or its mean and standard deviation."""
        if self.rms[column] > LARGE:
            return f"{self.feature} {column} has RMS {self.rms[column]:.3g}"
        return (
            f"{self.feature} {column} has mean {self.mean[column]:.3g}, standard deviation {self.deviation[column]:.3g}"
        )


def unscaled_target(loss: Any, target: Array, output_rms: float = 0.0) -> float | None:
    """The RMS of the targets if they are unscaled, else None.

    Args:
        loss: the loss of the output; whole numbers are classes unless its ``same_scale`` is True, as for MSELoss.
        target: the targets.
        output_rms: the RMS of the outputs of the untrained model; 0 if it is not known.

    >>> import nnlite as nn
    >>> unscaled_target(nn.MSELoss(), np.array([[150_000], [210_000]])) > 1e5
    True
    >>> unscaled_target(nn.CrossEntropyLoss(), np.array([150, 210]))
    """
    same_scale = getattr(loss, "same_scale", None)
    if same_scale is False or not target.size or (target.dtype.kind != "f" and not same_scale):
        return None
    with np.errstate(over="ignore"):
        rms = float(np.sqrt(np.mean(np.square(target, dtype=np.float64))))
    return rms if rms > MUCH * max(output_rms, 1.0) else None


def columns(array: Array) -> Array:
    """The array as rows of features: its last axis stays.

    >>> columns(np.zeros((5, 2, 3))).shape, columns(np.zeros(5)).shape
    ((10, 3), (5, 1))
    """
    return array.reshape(-1, array.shape[-1] if array.ndim > 1 else 1)


def features(array: Array) -> tuple[str, Array]:
    """What of an array has a scale of its own, "column" or "channel", and the array with one in each column.

    The channels of images and volumes (N, C, H, W) are on axis 1, and the same wherever they are in the image.

    >>> features(np.zeros((5, 2, 3)))[1].shape, features(np.zeros((5, 3, 8, 8)))[0]
    ((10, 3), 'channel')
    """
    return ("column", columns(array)) if array.ndim < 4 else ("channel", columns(np.moveaxis(array, 1, -1)))
