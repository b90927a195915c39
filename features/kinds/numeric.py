"""A number as sent: clipped, then brought to scale."""

from typing import ClassVar, Literal

import numpy as np

from features.batch import CandidateBatch
from features.columns import Floats, Input, Kind
from features.feature import Feature, State


class Numeric(Feature, frozen=True):
    """`transform(clip(x))` of a number column.

    `log1p` is sign(x)·log(1 + |x|) and `sqrt` is sign(x)·√|x|: what they are where x ≥ 0, and monotone and
    finite below. A missing number stays NaN (trees learn which way it goes), or becomes a declared constant,
    which stands for the feature and is neither clipped nor transformed.

    Attributes:
        field: a number column.
        transform: `identity`, `log1p` or `sqrt`.
        clip: [lowest, highest] before the transform, in the field's own unit.
        missing: `nan`, or a finite number.
    """

    field: str
    transform: Literal["identity", "log1p", "sqrt"] = "identity"
    clip: tuple[float, float] | None = None
    missing: float | Literal["nan"] = "nan"

    kind: ClassVar[str] = "numeric"

    def __post_init__(self) -> None:
        if self.clip is not None and not (np.isfinite(self.clip).all() and self.clip[0] <= self.clip[1]):
            raise ValueError("clip must be [lowest, highest], both finite")
        if self.missing != "nan" and not abs(self.missing) <= np.finfo(np.float32).max:
            raise ValueError("missing must be 'nan' or a finite number")

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The number column."""
        return (Input(self.field, Kind.NUMBER),)

    def compute(self, batch: CandidateBatch, state: State) -> Floats:  # noqa: ARG002 (it learns nothing)
        """float32[n, 1]."""
        raw: Floats = batch.column(self.field, Kind.NUMBER).values
        made = self._scaled(raw if self.clip is None else np.clip(raw, self.clip[0], self.clip[1]))
        if self.missing != "nan":
            made = np.where(np.isnan(raw), np.float32(self.missing), made)
        return made.astype(np.float32)[:, None]

    def _scaled(self, values: Floats) -> Floats:
        if self.transform == "log1p":
            return np.asarray(np.copysign(np.log1p(np.abs(values)), values))
        if self.transform == "sqrt":
            return np.asarray(np.copysign(np.sqrt(np.abs(values)), values))
        return values
