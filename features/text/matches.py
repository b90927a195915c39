"""Where the terms of a query stand in the texts of its candidates: what all term features read."""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from features.batch import CandidateBatch
from features.columns import Rows
from features.text.analyzer import Analyzer
from features.text.compiled import compiled, inlined
from features.text.documents import documents
from features.text.kernels import Hashes, Offsets
from features.text.queries import Queries, queries

Slots = NDArray[np.int32]

SPARSE = 32
"""Places in the table for a query term: so many that most other words meet a free one at once."""


class Matches(msgspec.Struct, frozen=True, eq=False):
    """Occurrences ("hits") of query terms in F fields of n rows, in the order of the text.

    Row r's hits in field f are `starts[f, r]:stops[f, r]`; their number with a slot is the term frequency.

    Attributes:
        queries: whose terms the slots number.
        lengths: int64[F, n], terms of the text; -1 where it is missing.
        starts, stops: int64[F, n].
        slots: int32[h], which term of the row's query it is.
        positions: int32[h], which word of the text it is, from 0.
    """

    queries: Queries
    lengths: Rows
    starts: Rows
    stops: Rows
    slots: Slots
    positions: Slots


def matches(batch: CandidateBatch, field: str, analyzer: Analyzer) -> Matches:
    """The hits in one field (F = 1), found once a batch."""
    key = ("text.matches", field, analyzer)
    found: Matches | None = batch.memo.get(key)
    if found is None:
        asked, texts = queries(batch, analyzer), documents(batch, field, analyzer)
        lengths, offsets, slots, positions = locate(
            asked.terms,
            asked.offsets,
            batch.offsets,
            texts.terms.hashes,
            texts.terms.offsets,
            texts.of_row,
        )
        found = Matches(asked, lengths[None], offsets[None, :-1], offsets[None, 1:], slots, positions)
        batch.memo[key] = found
    return found


def stacked(several: Sequence[Matches]) -> Matches:
    """The hits of several fields as one value; the queries must be the same."""
    if len(several) == 1:
        return several[0]
    before = np.cumsum([0] + [len(one.slots) for one in several[:-1]])
    return Matches(
        several[0].queries,
        np.concatenate([one.lengths for one in several]),
        np.concatenate([one.starts + base for one, base in zip(several, before, strict=True)]),
        np.concatenate([one.stops + base for one, base in zip(several, before, strict=True)]),
        np.concatenate([one.slots for one in several]),
        np.concatenate([one.positions for one in several]),
    )


@inlined
def place(keys: Hashes, slot_at: Slots, key: np.uint64) -> np.uint64:
    """Where the key stands in an open table, or the free place (slot -1) where it belongs."""
    last = np.uint64(len(keys) - 1)
    at = key & last
    while slot_at[at] >= 0 and keys[at] != key:
        at = (at + np.uint64(1)) & last
    return at


@inlined
def widest(offsets: Offsets) -> np.int64:
    """The most entries between two offsets."""
    most = np.int64(0)
    for i in range(len(offsets) - 1):
        most = max(most, offsets[i + 1] - offsets[i])
    return most


@compiled
def locate(
    terms: Hashes,
    term_offsets: Offsets,
    row_offsets: Offsets,
    hashes: Hashes,
    text_offsets: Offsets,
    of_row: Rows,
) -> tuple[Rows, Offsets, Slots, Slots]:
    """Lengths int64[n], hit offsets int64[n + 1], slots and positions of every query's terms in its rows."""
    size = SPARSE
    while size < SPARSE * widest(term_offsets):
        size *= 2
    keys, slot_at = np.empty(size, np.uint64), np.empty(size, np.int32)
    lengths, offsets = np.full(len(of_row), -1, np.int64), np.zeros(len(of_row) + 1, np.int64)
    room = 256 + len(of_row) * 4
    slots, positions = np.empty(room, np.int32), np.empty(room, np.int32)
    count = 0
    for query in range(len(term_offsets) - 1):
        slot_at[:] = -1
        for term in range(term_offsets[query], term_offsets[query + 1]):
            at = place(keys, slot_at, terms[term])
            keys[at], slot_at[at] = terms[term], term - term_offsets[query]
        for row in range(row_offsets[query], row_offsets[query + 1]):
            offsets[row + 1] = count
            if of_row[row] < 0:
                continue
            start, stop = text_offsets[of_row[row]], text_offsets[of_row[row] + 1]
            lengths[row] = stop - start
            if count + lengths[row] > room:
                room = 2 * room + lengths[row]
                slots = np.append(slots[:count], np.empty(room - count, np.int32))
                positions = np.append(positions[:count], np.empty(room - count, np.int32))
            for word in range(start, stop):
                at = place(keys, slot_at, hashes[word])
                if slot_at[at] >= 0:
                    slots[count], positions[count] = slot_at[at], word - start
                    count += 1
            offsets[row + 1] = count
    return lengths, offsets, slots[:count].copy(), positions[:count].copy()
