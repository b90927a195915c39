"""Character trigrams of words, padded as in PostgreSQL's pg_trgm: two blanks before a word and one behind."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.batch import CandidateBatch
from features.columns import Floats, Kind, Rows
from features.text.compiled import compiled, inlined
from features.text.documents import distinct
from features.text.kernels import Hashes, Offsets
from features.text.scan import fold

CodePoints = NDArray[Any]
"""uint8 where all are ASCII, else uint32."""

ASCII_END = 0x80
NONE = np.int64(0)
LARGEST_AT_FIRST = 1 << 12
FREE = np.uint64(0)


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Folded code points of texts: lower case, 0 between words.

    Attributes:
        values: uint8 or uint32.
        ends: int64[n]; a text ends where the next value is 0, and the next text starts behind that.
        of_row: int64[r], the row's text; -1 where it is missing.
    """

    values: CodePoints
    ends: Offsets
    of_row: Rows


def points(batch: CandidateBatch, field: str) -> Points:
    """The folded code points of a field, made once a batch."""
    key = ("text.points", field)
    found: Points | None = batch.memo.get(key)
    if found is None:
        texts, of_row = distinct(batch.column(field, Kind.TEXT).values, len(batch.queries) > 1)
        found = batch.memo[key] = Points(*folded_points(texts), of_row)
    return found


def folded_points(texts: Sequence[str]) -> tuple[CodePoints, Offsets]:
    """Values and ends of texts."""
    folded = fold(texts)
    if folded.data.max() < ASCII_END:
        return folded.data, folded.ends
    begins = (folded.data & 0xC0) != 0x80
    values = np.frombuffer(folded.data.tobytes().decode().encode("utf-32-le"), "<u4")
    return values, np.cumsum(begins)[folded.ends] - 1


def shared(batch: CandidateBatch, found: Points) -> tuple[Rows, Rows]:
    """Distinct trigrams: int64[n] of row and query in common (-1: text missing), int64[q] of the query."""
    values, ends = folded_points([query.text for query in batch.queries])
    return _shared(batch.offsets, values, ends, found.values, found.ends, found.of_row)


def set_sizes(found: Points) -> Rows:
    """int64[n]: distinct trigrams of each row's text; 0 where it is missing."""
    sizes = np.append(_set_sizes(found.values, found.ends), 0)
    return sizes[found.of_row]


def similarity(batch: CandidateBatch, field: str, dice: bool) -> Floats:
    """float32[n]: Dice's coefficient, or the share of the query's trigrams (see the `ngram` kind)."""
    found = points(batch, field)
    both, own = shared(batch, found)
    asked = own[batch.query_of_row]
    whole = asked + set_sizes(found) if dice else asked
    value = (2 if dice else 1) * both / np.maximum(whole, 1)
    return np.where(both < 0, np.nan, value).astype(np.float32)


@inlined
def place(keys: Hashes, key: np.uint64) -> np.int64:
    """Where the key stands in an open table, or the free place where it belongs."""
    last = np.uint64(len(keys) - 1)
    spread = key * np.uint64(0x9E3779B97F4A7C15)
    at = (spread ^ (spread >> np.uint64(32))) & last
    while keys[at] != FREE and keys[at] != key:
        at = (at + np.uint64(1)) & last
    return np.int64(at)


@inlined
def packed(first: np.int64, second: np.int64, third: np.int64) -> np.uint64:
    """Three code points of 21 bits as one key."""
    return np.uint64(first) << np.uint64(42) | np.uint64(second) << np.uint64(21) | np.uint64(third)


@compiled
def trigrams(values: CodePoints, start: int, end: int, keys: Hashes) -> int:
    """Write the trigrams of one text, repetitions included; their number."""
    count, first, second = 0, NONE, NONE
    for i in range(start, end + 1):
        third = np.int64(values[i])
        if third or second:
            keys[count] = packed(first, second, third)
            count += 1
        first, second = (second, third) if third else (NONE, NONE)
    return count


@compiled
def _set_sizes(values: CodePoints, ends: Offsets) -> Rows:
    sizes = np.zeros(len(ends), np.int64)
    start = 0
    for text in range(len(ends)):
        keys = np.empty(2 * (ends[text] - start) + 2, np.uint64)
        count = trigrams(values, start, ends[text], keys)
        sizes[text] = _distinct(keys[:count])
        start = ends[text] + 1
    return sizes


@inlined
def _distinct(keys: Hashes) -> int:
    size = 64
    while size < 4 * len(keys) and size < LARGEST_AT_FIRST:
        size *= 2
    used = _fill(np.zeros(size, np.uint64), keys)
    while used < 0:
        size *= 4
        used = _fill(np.zeros(size, np.uint64), keys)
    return used


@inlined
def _fill(table: Hashes, keys: Hashes) -> int:
    """Put keys into an empty table: how many are distinct, or -1 where they fill more than half of it."""
    used, most = 0, len(table) // 2
    for i in range(len(keys)):
        at = place(table, keys[i])
        used += table[at] == FREE
        table[at] = keys[i]
        if used > most:
            return -1
    return used


@compiled
def _shared(
    row_offsets: Offsets,
    query_values: CodePoints,
    query_ends: Offsets,
    values: CodePoints,
    ends: Offsets,
    of_row: Rows,
) -> tuple[Rows, Rows]:
    both = np.full(len(of_row), -1, np.int64)
    own = np.zeros(len(query_ends), np.int64)
    begin = 0
    for query in range(len(query_ends)):
        asked = np.empty(2 * (query_ends[query] - begin) + 2, np.uint64)
        count = trigrams(query_values, begin, query_ends[query], asked)
        begin = query_ends[query] + 1
        size = 16
        while size < 16 * count:
            size *= 2
        table = np.zeros(size, np.uint64)
        seen = np.full(size, -1, np.int64)
        for i in range(count):
            at = place(table, asked[i])
            own[query] += table[at] == FREE
            table[at] = asked[i]
        for row in range(row_offsets[query], row_offsets[query + 1]):
            text = of_row[row]
            if text >= 0:
                start = ends[text - 1] + 1 if text else 0
                both[row] = _held(values, start, ends[text], table, seen, row)
    return both, own


@inlined
def _held(values: CodePoints, start: int, end: int, table: Hashes, seen: Rows, row: int) -> int:
    held, first, second = 0, NONE, NONE
    for i in range(start, end + 1):
        third = np.int64(values[i])
        if third or second:
            at = place(table, packed(first, second, third))
            if table[at] != FREE and seen[at] != row:
                seen[at] = row
                held += 1
        first, second = (second, third) if third else (NONE, NONE)
    return held
