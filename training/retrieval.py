"""BM25 over a whole corpus: the baseline that every cascade is judged against, and its `bm25:100` candidates.

score(q, d) = Σ_t idf(t) · tf / (tf + k1 · (1 - b + b · |d| / avgdl)), idf(t) = ln(1 + (N - n + ½) / (n + ½)),
with k1 = 1.2 and b = .75, over all text fields of a document joined into one (Robertson and Zaragoza, 2009;
the idf of Lucene). Impacts are computed once into a sparse matrix with a column a term.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from features.columns import Floats, Kind, Rows
from features.errors import InvalidInput
from features.text.scan import scan
from training.documents import Documents
from training.progress import Track, quiet

K1, B = 1.2, 0.75
CHUNK = 5_000
"""Documents analysed at a time."""


@dataclass(frozen=True, eq=False)
class Index:
    """An inverted index with BM25 impacts.

    Attributes:
        vocabulary: uint64[terms]: the hash of each column's term, rising.
        impacts: float32[documents, terms], sparse by column: what a term brings to a document's score.
    """

    vocabulary: NDArray[np.uint64]
    impacts: sparse.csc_array

    def scores(self, query: str) -> Floats:
        """float32[documents]: the score of every document; a query's repeated word counts again."""
        total = np.zeros(self.impacts.shape[0], np.float32)
        hashes, times = np.unique(scan([query]).hashes, return_counts=True)
        columns = np.searchsorted(self.vocabulary, hashes)
        for column, hashed, weight in zip(columns.tolist(), hashes, times.tolist(), strict=True):
            if column < len(self.vocabulary) and self.vocabulary[column] == hashed:
                span = slice(self.impacts.indptr[column], self.impacts.indptr[column + 1])
                total[self.impacts.indices[span]] += weight * self.impacts.data[span]
        return total

    def top(self, query: str, k: int) -> tuple[Rows, Floats]:
        """The ≤ k best documents that share a word with the query, and their scores; ties by the corpus."""
        scores = self.scores(query)
        found = np.flatnonzero(scores > 0)
        if len(found) > k:
            floor = np.partition(scores[found], len(found) - k)[len(found) - k]
            found = found[scores[found] >= floor]
        best = found[np.argsort(-scores[found], kind="stable")][:k]
        return best, scores[best]


def index(texts: Sequence[str], track: Track = quiet) -> Index:
    """The index of a corpus, a text a document."""
    chunks = [texts[start : start + CHUNK] for start in range(0, len(texts), CHUNK)]
    counted = [counts(chunk) for chunk in track(chunks, "indexing")]
    hashes = np.concatenate([chunk[0] for chunk in counted])
    tf = np.concatenate([chunk[1] for chunk in counted]).astype(np.float32)
    distinct = np.concatenate([chunk[2] for chunk in counted])
    lengths = np.concatenate([chunk[3] for chunk in counted]).astype(np.float32)
    vocabulary, columns = np.unique(hashes, return_inverse=True)
    ends = np.concatenate([[0], np.cumsum(distinct)])
    shape = (len(texts), len(vocabulary))
    return Index(vocabulary, weigh(sparse.csr_array((tf, columns, ends), shape=shape), lengths))


def counts(texts: Sequence[str]) -> tuple[NDArray[np.uint64], Rows, Rows, Rows]:
    """Distinct terms' hashes text by text, their counts; how many a text has, and its length in words."""
    terms = scan(list(texts))
    parts = [
        np.unique(terms.hashes[start:end], return_counts=True)
        for start, end in zip(terms.offsets[:-1].tolist(), terms.offsets[1:].tolist(), strict=True)
    ]
    hashes = np.concatenate([part[0] for part in parts])
    tf = np.concatenate([part[1] for part in parts])
    return hashes, tf, np.array([len(part[0]) for part in parts]), np.diff(terms.offsets)


def weigh(tf: sparse.csr_array, lengths: Floats) -> sparse.csc_array:
    """Impacts out of term frequencies."""
    documents, terms = tf.shape
    holders = np.bincount(tf.indices, minlength=terms)
    idf = np.log1p((documents - holders + 0.5) / (holders + 0.5)).astype(np.float32)
    norm = K1 * (1 - B + B * lengths / max(float(lengths.mean()), 1e-9))
    per_entry = np.repeat(norm, np.diff(tf.indptr))
    tf.data = idf[tf.indices] * tf.data / (tf.data + per_entry)
    return tf.tocsc()


def corpus_index(documents: Documents, track: Track = quiet) -> Index:
    """The index over all text fields of a corpus.

    Raises:
        InvalidInput: if no field holds text.
    """
    fields = documents.text_fields
    if not fields:
        raise InvalidInput("no field of the documents holds text, so there is nothing for BM25 to read")
    parts = [documents.column(name, Kind.TEXT).values for name in fields]
    return index([joined(row) for row in zip(*parts, strict=True)], track)


def joined(parts: Iterable[str | None]) -> str:
    """The texts that are there, as one."""
    return " ".join(part for part in parts if part)
