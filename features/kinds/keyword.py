"""Keywords of a candidate (genre, brand, language) beside the query, or as common as they are."""

import re
from collections.abc import Sequence
from hashlib import blake2b
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from features.batch import CandidateBatch, Query, Value
from features.columns import Doubles, Floats, Input, Kind
from features.errors import NotReady
from features.feature import Feature, State
from features.keywords import Coded, coded, fold

WORDS = re.compile(r"\w+")


class Keyword(Feature, frozen=True):
    """One of three readings of a keyword column; case does not matter, and no keyword at all is NaN.

    - `match`: the share of the values of a named query value (a locale, a device, wanted genres) that the
      candidate has: 0 or 1 for a single value, NaN for a query without any.
    - `encode = "frequency"`: df(keyword) / N over the corpus, 0 for one never seen there (frequency encoding
      of categories).
    - `in_query`: the share of a keyword's words that the query's text has, the best of the candidate's
      keywords: 1 where the query names a director or a genre in full.

    Attributes:
        field: a keyword column.
        combine: how the frequencies of several keywords become one: `mean` or `max`.
    """

    field: str
    match: str | None = None
    encode: Literal["frequency"] | None = None
    in_query: bool = False
    combine: Literal["mean", "max"] = "mean"

    kind: ClassVar[str] = "keyword"

    def __post_init__(self) -> None:
        if [self.match is not None, self.encode is not None, self.in_query].count(True) != 1:
            raise ValueError("needs exactly one of match, encode and in_query")

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The keyword column."""
        return (Input(self.field, Kind.KEYWORD),)

    def prepare(self, documents: CandidateBatch) -> State:
        """For frequencies: sorted `hashes` uint64[v], document `counts` int64[v] and `documents` int64[1]."""
        if self.encode is None:
            return {}
        keywords = coded(documents, self.field)
        hashes, where = np.unique(hashed(keywords.distinct), return_inverse=True)
        counts = np.bincount(where[keywords.codes], minlength=len(hashes))
        return {
            "hashes": hashes,
            "counts": counts.astype(np.int64),
            "documents": np.array([len(documents)], np.int64),
        }

    def compute(self, batch: CandidateBatch, state: State) -> Floats:
        """float32[n, 1] within [0, 1].

        Raises:
            NotReady: for frequencies, if no corpus was prepared.
        """
        keywords = coded(batch, self.field)
        if self.encode is not None:
            made = keywords.pooled(self._frequencies(keywords, state)[keywords.codes], self.combine)
        else:
            made = self._beside_queries(batch, keywords)
        return made.astype(np.float32)[:, None]

    def _frequencies(self, keywords: Coded, state: State) -> Doubles:
        if "hashes" not in state:
            raise NotReady("has learned no corpus; prepare the feature set", path=f"features.{self.name}")
        return frequencies(keywords, state)

    def _beside_queries(self, batch: CandidateBatch, keywords: Coded) -> Doubles:
        made = np.empty(len(batch))
        words = [] if self.match is not None else [frozenset(WORDS.findall(one)) for one in keywords.distinct]
        for query, start, end in zip(batch.queries, batch.offsets, batch.offsets[1:], strict=False):
            first, last = keywords.offsets[start], keywords.offsets[end]
            part = Coded(
                keywords.distinct, keywords.codes[first:last], keywords.offsets[start : end + 1] - first
            )
            made[start:end] = (
                self._match(query, part) if self.match is not None else mentioned(query, part, words)
            )
        return made

    def _match(self, query: Query, keywords: Coded) -> Doubles:
        wanted = wanted_values(query.values.get(self.match or ""))
        if not wanted:
            return np.full(len(keywords.offsets) - 1, np.nan)
        hits = np.array([keywords.distinct[code] in wanted for code in keywords.codes.tolist()], np.float64)
        sizes = np.diff(keywords.offsets)
        return keywords.pooled(hits, "mean") * sizes / len(wanted)


def frequencies(keywords: Coded, state: State) -> Doubles:
    """float64: the share of the corpus's documents that have each distinct keyword."""
    known, counts = state["hashes"], state["counts"]
    made = np.zeros(len(keywords.distinct))
    if len(known):
        wanted = hashed(keywords.distinct)
        at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
        made = np.where(known[at] == wanted, counts[at] / max(int(state["documents"][0]), 1), 0.0)
    return made


def hashed(keywords: Sequence[str]) -> NDArray[np.uint64]:
    """uint64: 64 bits of BLAKE2b of each keyword, the same in every process."""
    digests = b"".join(
        blake2b(one.encode("utf-8", "surrogatepass"), digest_size=8).digest() for one in keywords
    )
    return np.frombuffer(digests, "<u8").astype(np.uint64)


def wanted_values(value: Value | None) -> frozenset[str]:
    """The case-folded texts of a query value; 3.0 reads as `3`."""
    several = value if isinstance(value, tuple) else () if value is None else (value,)
    texts = (one if isinstance(one, str) else f"{one:g}" for one in several)
    return frozenset(filter(None, map(fold, texts)))


def mentioned(query: Query, keywords: Coded, words: Sequence[frozenset[str]]) -> Doubles:
    """float64[n]: of each row's keywords, the largest share of words that the query's text has."""
    asked = frozenset(WORDS.findall(query.text.casefold()))
    present = np.unique(keywords.codes)
    shares = np.zeros(len(words))
    shares[present] = [len(words[one] & asked) / max(len(words[one]), 1) for one in present.tolist()]
    return keywords.pooled(shares[keywords.codes], "max")
