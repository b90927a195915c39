"""What a person likes: how much more often than usual they take to a candidate's brand, genre, author."""

from typing import ClassVar

import numpy as np

from features.batch import CandidateBatch
from features.behaviour import Owner, Signal, Statistic, Window
from features.columns import Doubles, Floats, Input, Kind
from features.feature import Feature, State
from features.kinds.behaviour import Strength, counted, overall, smoothed


class Affinity(Feature, frozen=True):
    """The logarithm of how much likelier a person takes to these field values than to anything:

        ln( ((p + prior · r) / (e + prior)) / r )

    p and e are the signal's and the impressions' decayed counts of the person with the candidate's field
    values, summed over its values; r is the person's own rate, smoothed towards the tenant's by the same
    strength (see `behaviour`). 0 = no more and no less than usual, which is also what a person or a value of
    which nothing is known has. NaN where the candidate has no value, the request names no such person, or the
    profiles were out of reach.

    Attributes:
        field: a keyword column of the candidates.
        of: whose taste: `user`, `session`, or `query` (what those who asked it took to).
        signal: what is counted.
        window: `recent` or `long`.
        prior: how many impressions the person's own rate counts for.
    """

    field: str
    of: Owner = "user"
    signal: Signal = "click"
    window: Window = "long"
    prior: Strength = 10.0

    kind: ClassVar[str] = "affinity"

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The field, and the counts of the person with its values, of the person, and of the tenant."""
        scopes = ((f"{self.of}_field", self.field), (self.of, ""), ("tenant", ""))
        wanted = (
            Statistic(scope, signal, self.window, field).column
            for scope, field in scopes
            for signal in (self.signal, "impression")
        )
        counts = dict.fromkeys(Input(name, Kind.NUMBER) for name in wanted)
        return (Input(self.field, Kind.KEYWORD), *counts)

    def compute(self, batch: CandidateBatch, state: State) -> Floats:  # noqa: ARG002 (it learns nothing)
        """float32[n, 1]."""
        usual = overall(batch, self.signal, "impression", self.window)
        own = smoothed(*self._counts(batch, self.of, ""), usual, self.prior)
        there = smoothed(*self._counts(batch, f"{self.of}_field", self.field), own, self.prior)
        made = np.log(there) - np.log(own)
        made[[not row for row in batch.column(self.field, Kind.KEYWORD).values]] = np.nan
        return made.astype(np.float32)[:, None]

    def _counts(self, batch: CandidateBatch, scope: str, field: str) -> tuple[Doubles, Doubles]:
        taken = counted(batch, scope, self.signal, self.window, field)
        return taken, counted(batch, scope, "impression", self.window, field)
