"""BM25F: BM25 over several weighted text fields as one document."""

from typing import Annotated, ClassVar

import numpy as np
from msgspec import Meta

from features.batch import CandidateBatch
from features.columns import Floats
from features.feature import State
from features.text.feature import WeightedFeature
from features.text.scoring import score

Weight = Annotated[float, Meta(gt=0)]
Share = Annotated[float, Meta(ge=0, le=1)]


class Bm25f(WeightedFeature, frozen=True, kw_only=True):
    """Simple BM25F: repetitions of a term saturate over all fields together.

    score(q, d) = Σ_t n(t, q) · idf(t) · tf~ / (k1 + tf~)
    tf~(t, d) = Σ_f w_f · tf(t, d, f) / (1 - b_f + b_f · |d_f| / avgdl_f)

    idf is Lucene's (see `bm25`) with df = documents that hold t in any of the fields. With one field of
    weight 1 it equals `bm25`. A missing field adds nothing; NaN where all of them are missing.

    Sources: Robertson, Zaragoza and Taylor, "Simple BM25 extension to multiple weighted fields" (CIKM 2004);
    Zaragoza et al., "Microsoft Cambridge at TREC-13" (2004) for b by field.

    Attributes:
        fields: text column → weight, > 0.
        k1: how slowly repetitions saturate, > 0.
        b: how much long texts are held back, 0 to 1: one number, or one by field (0.75 where not named).
    """

    kind: ClassVar[str] = "bm25f"

    fields: Annotated[dict[str, Weight], Meta(min_length=1)]
    k1: Annotated[float, Meta(gt=0)] = 1.2
    b: Share | dict[str, Share] = 0.75

    def __post_init__(self) -> None:
        super().__post_init__()
        unknown = set(self.b) - set(self.fields) if isinstance(self.b, dict) else set()
        if unknown:
            raise ValueError(f"b names {', '.join(sorted(unknown))}, which is no field")

    @property
    def text_fields(self) -> tuple[str, ...]:
        """The fields in the order of their declaration."""
        return tuple(self.fields)

    def compute(self, batch: CandidateBatch, state: State) -> Floats:
        """float32[n, 1], at least 0."""
        found = self.matches(batch)
        known = self.known(batch, found, state)
        b = [self.b.get(field, 0.75) if isinstance(self.b, dict) else self.b for field in self.fields]
        boosts = np.array(list(self.fields.values()), np.float64)
        return score(found, batch.offsets, known, boosts, np.array(b, np.float64), self.k1)[:, None]
