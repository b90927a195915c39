"""Open addressing over term hashes: kernels that look up, insert, count document frequencies.

A table is two arrays of one size, a power of two: keys (0 = free; no term hashes to 0 but by a chance of one
in 2^64) and values. It must stay at most half full.
"""

import numpy as np
from numpy.typing import NDArray

from features.text.compiled import compiled, inlined
from features.text.kernels import Hashes, Offsets

FREE = np.uint64(0)
ONE = np.uint64(1)


@inlined
def find(keys: Hashes, key: np.uint64) -> np.int64:
    """Where the key stands, or the free place where it belongs."""
    last = np.uint64(len(keys) - 1)
    at = key & last
    while keys[at] != FREE and keys[at] != key:
        at = (at + ONE) & last
    return np.int64(at)


@compiled
def insert(keys: Hashes, values: Hashes, new_keys: Hashes, new_values: Hashes) -> int:
    """Insert or overwrite; the number of keys that were not there before."""
    added = 0
    for i in range(len(new_keys)):
        at = find(keys, new_keys[i])
        added += keys[at] == FREE
        keys[at] = new_keys[i]
        values[at] = new_values[i]
    return added


@compiled
def translate(keys: Hashes, values: Hashes, hashes: Hashes, missing: NDArray[np.int64]) -> int:
    """Replace hashes by their values; lists the positions of those without one and returns their number."""
    unknown = 0
    for i in range(len(hashes)):
        at = find(keys, hashes[i])
        if keys[at] == FREE:
            missing[unknown] = i
            unknown += 1
        else:
            hashes[i] = values[at]
    return unknown


@compiled
def drop_zeros(hashes: Hashes, offsets: Offsets) -> int:
    """Close the gaps that zeros leave, in place; the number of hashes left."""
    kept = 0
    start = 0
    for document in range(len(offsets) - 1):
        stop = offsets[document + 1]
        for i in range(start, stop):
            if hashes[i] != FREE:
                hashes[kept] = hashes[i]
                kept += 1
        start = stop
        offsets[document + 1] = kept
    return kept


@compiled
def document_frequencies(
    hashes: Hashes, starts: NDArray[np.int64], stops: NDArray[np.int64]
) -> tuple[Hashes, NDArray[np.int64]]:
    """Distinct terms (unsorted) and in how many rows each stands.

    `starts[f, r]:stops[f, r]` are row r's terms in field f; a term counts once a row.
    """
    size, used = 1 << 10, 0
    keys = np.zeros(size, np.uint64)
    counts = np.zeros(size, np.int64)
    seen = np.full(size, -1, np.int64)
    for row in range(starts.shape[1]):
        for field in range(starts.shape[0]):
            for i in range(starts[field, row], stops[field, row]):
                at = find(keys, hashes[i])
                if keys[at] == FREE:
                    keys[at] = hashes[i]
                    used += 1
                if seen[at] != row:
                    seen[at] = row
                    counts[at] += 1
                if 2 * used > size:
                    size *= 2
                    keys, counts, seen = _grown(keys, counts, seen, size)
    kept = np.flatnonzero(keys)
    return keys[kept], counts[kept]


@inlined
def _grown(
    keys: Hashes, counts: NDArray[np.int64], seen: NDArray[np.int64], size: int
) -> tuple[Hashes, NDArray[np.int64], NDArray[np.int64]]:
    new_keys = np.zeros(size, np.uint64)
    new_counts = np.zeros(size, np.int64)
    new_seen = np.full(size, -1, np.int64)
    for i in range(len(keys)):
        if keys[i] != FREE:
            at = find(new_keys, keys[i])
            new_keys[at] = keys[i]
            new_counts[at] = counts[i]
            new_seen[at] = seen[i]
    return new_keys, new_counts, new_seen
