"""BM25 of the query in one text field."""

from typing import Annotated, ClassVar

import numpy as np
from msgspec import Meta

from features.batch import CandidateBatch
from features.columns import Floats
from features.feature import State
from features.text.feature import WeightedFeature
from features.text.scoring import score


class Bm25(WeightedFeature, frozen=True, kw_only=True):
    """Okapi BM25 with Lucene's idf and exact lengths.

    score(q, d) = Σ_t n(t, q) · idf(t) · tf / (tf + k1 · (1 - b + b · |d| / avgdl))
    idf(t) = ln(1 + (N - df + 0.5) / (df + 0.5))

    n(t, q) is how often the query says t (a word said twice counts twice), N the corpus's documents with the
    field, avgdl their mean number of terms (|d| / avgdl counts as 1 where avgdl is 0). Missing text gives
    NaN; text without a query term, an empty text and an empty query give 0.

    Sources: Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009);
    Kamphuis et al., "Which BM25 Do You Mean?" (ECIR 2020), the variant "Lucene (accurate)"; defaults as in
    Lucene.

    Attributes:
        field: the text column.
        k1: how slowly repetitions saturate, > 0.
        b: how much long texts are held back, 0 to 1.
    """

    kind: ClassVar[str] = "bm25"

    field: str
    k1: Annotated[float, Meta(gt=0)] = 1.2
    b: Annotated[float, Meta(ge=0, le=1)] = 0.75

    @property
    def text_fields(self) -> tuple[str, ...]:
        """The one field."""
        return (self.field,)

    def compute(self, batch: CandidateBatch, state: State) -> Floats:
        """float32[n, 1], at least 0."""
        found = self.matches(batch)
        known = self.known(batch, found, state)
        return score(found, batch.offsets, known, np.ones(1), np.array([self.b]), self.k1)[:, None]
