"""Numbers in eight bits: weights symmetric a column, activations unsigned with a zero point.

Activations stay unsigned because onnxruntime's s8×s8 product is many times slower than u8×s8.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.columns import Floats

LEVELS = 255
"""Steps of an unsigned byte."""
WEIGHT_LEVELS = 63
"""Seven bits a weight: processors without VNNI add two products in 16 bits, and 2 · 255 · 63 still fits, so
that every processor gives the same sums (by arithmetic; not tried on one). The eighth bit brought nothing
measurable on a random head; on one half-trained model a little (16 queries: tau .946, not .940)."""


@dataclass(frozen=True, slots=True, eq=False)
class Activation:
    """How the input of one linear layer becomes unsigned bytes: `u = clip(round(x / smooth / scale) + zero)`.

    Attributes:
        scale: the size of a step.
        zero: the byte that stands for 0.
        smooth: float32[in], by which the input is divided and the weights multiplied (SmoothQuant, Xiao et
            al. 2023), so that outlying channels do not eat the range; None = ones.
        correction: float32[out], added to the bias: the mean error that quantisation leaves.
    """

    scale: float
    zero: int
    smooth: Floats | None
    correction: Floats

    def restored(self, x: Floats) -> Floats:
        """The float32 values that the bytes of `x[rows, in]` stand for, still divided by `smooth`."""
        return stepped(x if self.smooth is None else x / self.smooth, self.scale, self.zero)


def stepped(x: Floats, scale: float, zero: int) -> Floats:
    """The values that the unsigned bytes of `x` stand for."""
    steps = np.clip(np.rint(x / np.float32(scale)) + zero, 0, LEVELS)
    values: Floats = ((steps - zero) * np.float32(scale)).astype(np.float32)
    return values


def span(low: float, high: float) -> tuple[float, int]:
    """Scale and zero point of the range that holds `low`, `high` and 0, with 0 exact; 1 for nothing but 0."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = (high - low) / LEVELS
    if scale < np.finfo(np.float32).tiny:
        return 1.0, 0
    return scale, round(-low / scale)


def quantise_columns(weight: Floats, levels: int = WEIGHT_LEVELS) -> tuple[NDArray[np.int8], Floats]:
    """int8[in, out] within ±`levels` and the scale of every column, float32[out]; 0 is exact."""
    scale = np.abs(weight).max(axis=0) / levels
    scale = np.where(scale > 0, scale, 1).astype(np.float32)
    return np.clip(np.rint(weight / scale), -levels, levels).astype(np.int8), scale


def quantise_rows(table: Floats) -> tuple[NDArray[np.int8], Floats]:
    """int8[rows, width] and the scale of every row, float32[rows]."""
    values, scale = quantise_columns(table.T, 127)
    return np.ascontiguousarray(values.T), scale
