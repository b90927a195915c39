"""How near a candidate is to what a person has liked: the cosine of its vector with theirs."""

from typing import ClassVar, Literal

import numpy as np

from features.batch import CandidateBatch
from features.behaviour import COSINE, Statistic, Window
from features.columns import Floats, Input, Kind
from features.feature import Feature, State


class Taste(Feature, frozen=True):
    """cos(v, u) of a candidate's vector v with the person's u, a decayed sum of unit vectors:

        u = Σ engagement(e) · 2^(−age(e) / half-life) · v(e) / |v(e)|

    over what the person did, each interaction weighted by its dwell and type (docs/personalization.md). The
    `recent` vector follows what they are after now, the `long` one their standing taste. NaN where the
    candidate has no vector, the person none yet, or the profiles were out of reach.

    Attributes:
        field: a vector column of the candidates.
        of: whose: `user` or `session`.
        window: `recent` or `long`.
    """

    field: str
    of: Literal["user", "session"] = "user"
    window: Window = "long"

    kind: ClassVar[str] = "taste"

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The vector, and its cosine as joined."""
        return (Input(self.field, Kind.VECTOR), Input(self._cosine, Kind.NUMBER))

    @property
    def _cosine(self) -> str:
        return Statistic(f"{self.of}_vector", COSINE, self.window, self.field).column

    def compute(self, batch: CandidateBatch, state: State) -> Floats:  # noqa: ARG002 (it learns nothing)
        """float32[n, 1] within [-1, 1]."""
        cosine: Floats = batch.column(self._cosine, Kind.NUMBER).values
        return np.clip(cosine, -1.0, 1.0).astype(np.float32)[:, None]
