"""How much of the query a text holds, and how close together."""

from typing import ClassVar

import numpy as np

from features.batch import CandidateBatch
from features.columns import Floats
from features.feature import State
from features.text.feature import WeightedFeature
from features.text.windows import coverage, failures

PARTS = ("share", "idf_share", "phrase", "ordered", "unordered")


class Overlap(WeightedFeature, frozen=True, kw_only=True):
    """Coverage and proximity of the query's terms in one text field.

    Let P be the distinct query terms that the text holds, p their number, and m the query's distinct terms.

    - `share`: p / m
    - `idf_share`: Σ_P idf / Σ idf over the query's terms (Lucene's idf, see `bm25`)
    - `phrase`: 1 where the whole query, repetitions included, stands in the text without a gap, else 0
    - `ordered`: p / w, w the words of the smallest window where the terms of P stand in the query's order
      (that of their first occurrence), other words between them allowed; 0 where they never do
    - `unordered`: p / w, w the words of the smallest window that holds all of P in any order

    Both proximities are 1 for terms side by side and 0 where p < 2. All five are 0 for an empty query and for
    an empty text, and NaN where the text is missing. Time is linear in the length of the text.

    Source: Tao and Zhai, "An Exploration of Proximity Measures in Information Retrieval" (SIGIR 2007), the
    cover of minimal span (MinCover), here relative to p; Metzler and Croft, "A Markov Random Field Model for
    Term Dependencies" (SIGIR 2005), for ordered beside unordered windows.

    Attributes:
        field: the text column.
    """

    kind: ClassVar[str] = "overlap"

    field: str

    @property
    def text_fields(self) -> tuple[str, ...]:
        """The one field."""
        return (self.field,)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The five parts."""
        return tuple(f"{self.name}.{part}" for part in PARTS)

    def compute(self, batch: CandidateBatch, state: State) -> Floats:
        """float32[n, 5], each from 0 to 1."""
        found = self.matches(batch)
        known = self.known(batch, found, state)
        asked = found.queries
        values = np.empty((len(batch), len(PARTS)), np.float32)
        coverage(
            batch.offsets,
            asked.offsets,
            known.idf,
            asked.sequence,
            asked.sequence_offsets,
            failures(asked.sequence, asked.sequence_offsets),
            found.lengths[0],
            found.starts[0],
            found.stops[0],
            found.slots,
            found.positions,
            values,
        )
        return values
