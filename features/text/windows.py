"""Compiled coverage and proximity of query terms, one pass over a row's hits each."""

import numpy as np

from features.columns import Doubles, Floats, Rows
from features.text.compiled import compiled, inlined
from features.text.kernels import Offsets
from features.text.matches import Slots

MISSING = -1


@inlined
def phrase(sequence: Rows, failure: Rows, slots: Slots, positions: Slots) -> bool:
    """Whether the sequence stands in the text without a gap (Knuth, Morris and Pratt over the hits)."""
    state, previous = 0, -2
    for hit in range(len(slots)):
        if positions[hit] != previous + 1:
            state = 0
        previous = positions[hit]
        while state > 0 and sequence[state] != slots[hit]:
            state = failure[state - 1]
        if sequence[state] == slots[hit]:
            state += 1
        if state == len(sequence):
            return True
    return False


@compiled
def failures(sequence: Rows, offsets: Offsets) -> Rows:
    """Knuth-Morris-Pratt's failure function of every query's sequence."""
    failure = np.zeros(len(sequence), np.int64)
    for query in range(len(offsets) - 1):
        one = sequence[offsets[query] : offsets[query + 1]]
        mine = failure[offsets[query] : offsets[query + 1]]
        state = 0
        for i in range(1, len(one)):
            while state > 0 and one[state] != one[i]:
                state = mine[state - 1]
            state += one[state] == one[i]
            mine[i] = state
    return failure


@inlined
def smallest_window(slots: Slots, positions: Slots, present: int, counts: Rows) -> np.int64:
    """Words in the smallest window that holds all `present` terms; `counts` is all zero before and after."""
    best = np.int64(positions[-1] - positions[0] + 1)
    left, held = 0, 0
    for hit in range(len(slots)):
        counts[slots[hit]] += 1
        held += counts[slots[hit]] == 1
        while held == present:
            best = min(best, np.int64(positions[hit] - positions[left] + 1))
            counts[slots[left]] -= 1
            held -= counts[slots[left]] == 0
            left += 1
    for hit in range(left, len(slots)):
        counts[slots[hit]] = 0
    return best


@inlined
def smallest_ordered_window(slots: Slots, positions: Slots, rank: Rows, begin: Rows) -> int:
    """Words in the smallest window where ranks 0, 1, … `len(begin)` - 1 follow one another; 0 for none.

    `begin[r]` is the latest start of ranks 0 to r in order so far.
    """
    begin[:] = MISSING
    last = len(begin) - 1
    best = 0
    for hit in range(len(slots)):
        own = rank[slots[hit]]
        begin[own] = positions[hit] if own == 0 else begin[own - 1]
        if own == last and begin[own] != MISSING:
            words = positions[hit] - begin[own] + 1
            best = words if best == 0 else min(best, words)
    return best


@compiled
def coverage(
    row_offsets: Offsets,
    term_offsets: Offsets,
    weights: Doubles,
    sequence: Rows,
    sequence_offsets: Offsets,
    failure: Rows,
    lengths: Rows,
    starts: Rows,
    stops: Rows,
    slots: Slots,
    positions: Slots,
    values: Floats,
) -> None:
    """Fill float32[n, 5]: share, weighted share, phrase, ordered and unordered proximity (see `overlap`)."""
    counts = np.zeros(len(weights), np.int64)
    rank = np.zeros(len(weights), np.int64)
    begin = np.zeros(len(weights), np.int64)
    for query in range(len(row_offsets) - 1):
        terms = term_offsets[query + 1] - term_offsets[query]
        weight = weights[term_offsets[query] : term_offsets[query + 1]]
        words = slice(sequence_offsets[query], sequence_offsets[query + 1])
        whole = weight.sum()
        for row in range(row_offsets[query], row_offsets[query + 1]):
            values[row] = 0.0
            if lengths[row] < 0:
                values[row] = np.nan
            if starts[row] == stops[row]:
                continue
            mine = slots[starts[row] : stops[row]]
            where = positions[starts[row] : stops[row]]
            present, held = _present(mine, terms, weight, rank)
            values[row, 0] = present / terms
            values[row, 1] = held / whole
            values[row, 2] = phrase(sequence[words], failure[words], mine, where)
            if present > 1:
                ordered = smallest_ordered_window(mine, where, rank, begin[:present])
                values[row, 3] = present / ordered if ordered else 0.0
                values[row, 4] = present / smallest_window(mine, where, present, counts)


@inlined
def _present(slots: Slots, terms: int, weight: Doubles, rank: Rows) -> tuple[int, float]:
    """How many of the terms the hits hold and their weight; ranks them by their order in the query."""
    rank[:terms] = MISSING
    for hit in range(len(slots)):
        rank[slots[hit]] = 0
    present, held = 0, 0.0
    for slot in range(terms):
        if rank[slot] != MISSING:
            rank[slot] = present
            present += 1
            held += weight[slot]
    return present, held
