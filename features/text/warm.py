"""`python -m features.text.warm`: compile every text kernel into numba's cache, once after installation."""

from features.batch import CandidateBatch, Query, single
from features.columns import text
from features.featureset import FeatureSet
from features.kinds.bm25 import Bm25
from features.kinds.bm25f import Bm25f
from features.kinds.length import Length
from features.kinds.ngram import Ngram
from features.kinds.overlap import Overlap

ASCII = "a plain text"
BEYOND = "ein größerer Text"


def warm() -> None:
    """Run every kind over ASCII and beyond, with and without stems."""
    features = FeatureSet.declare(
        [
            Bm25(name="bm25", field="text"),
            Bm25(name="stemmed", field="text", stem=True, stop_words=True),
            Bm25f(name="bm25f", fields={"text": 1.0, "title": 2.0}, statistics="candidates"),
            Overlap(name="overlap", field="text"),
            Length(name="length", field="text"),
            Ngram(name="dice", field="text"),
        ]
    )
    learned = features.prepare(batch("", ASCII))
    for query in (ASCII, BEYOND):
        for body in (ASCII, BEYOND):
            learned.compute(batch(query, body))


def batch(query: str, body: str) -> CandidateBatch:
    """One query with one candidate, as serving sends it."""
    return single(Query(query), ["1"], {"text": text([body]), "title": text([None])})


if __name__ == "__main__":
    warm()
