"""The analysed queries of a batch: their distinct terms, numbered by first occurrence."""

import msgspec
import numpy as np

from features.batch import CandidateBatch
from features.columns import Rows
from features.text.analyzer import Analyzer
from features.text.compiled import compiled
from features.text.documents import analyse
from features.text.kernels import Hashes, Offsets


class Queries(msgspec.Struct, frozen=True, eq=False):
    """Terms of q queries; query i has the slots 0, 1, … for `terms[offsets[i]:offsets[i + 1]]`.

    Attributes:
        terms: uint64[m], distinct within a query, by first occurrence.
        offsets: int64[q + 1].
        counts: int64[m], how often the query says the term.
        sequence: int64[s], the queries' words as slots, repetitions included.
        sequence_offsets: int64[q + 1].
    """

    terms: Hashes
    offsets: Offsets
    counts: Rows
    sequence: Rows
    sequence_offsets: Offsets


def queries(batch: CandidateBatch, analyzer: Analyzer) -> Queries:
    """The analysed queries, made once a batch."""
    key = ("text.queries", analyzer)
    found: Queries | None = batch.memo.get(key)
    if found is None:
        terms = analyse([query.text for query in batch.queries], analyzer)
        distinct, offsets, counts, sequence = number(terms.hashes, terms.offsets)
        found = batch.memo[key] = Queries(distinct, offsets, counts, sequence, terms.offsets)
    return found


@compiled
def number(hashes: Hashes, word_offsets: Offsets) -> tuple[Hashes, Offsets, Rows, Rows]:
    """Distinct terms of each query, their offsets and counts, and every word's slot."""
    offsets = np.zeros(len(word_offsets), np.int64)
    longest = 0
    for query in range(len(offsets) - 1):
        longest = max(longest, word_offsets[query + 1] - word_offsets[query])
    size = 8
    while size < 2 * longest:
        size *= 2
    last = np.uint64(size - 1)
    slot_of = np.full(size, -1, np.int64)
    terms = np.empty(len(hashes), np.uint64)
    counts = np.zeros(len(hashes), np.int64)
    sequence = np.empty(len(hashes), np.int64)
    used = 0
    for query in range(len(offsets) - 1):
        first = used
        slot_of[:] = -1
        for word in range(word_offsets[query], word_offsets[query + 1]):
            at = hashes[word] & last
            while slot_of[at] >= 0 and terms[first + slot_of[at]] != hashes[word]:
                at = (at + np.uint64(1)) & last
            if slot_of[at] < 0:
                slot_of[at] = used - first
                terms[used] = hashes[word]
                used += 1
            sequence[word] = slot_of[at]
            counts[first + slot_of[at]] += 1
        offsets[query + 1] = used
    return terms[:used].copy(), offsets, counts[:used].copy(), sequence
