"""The compiled sum behind BM25 and BM25F."""

import numpy as np

from features.columns import Doubles, Floats, Rows
from features.text.compiled import compiled
from features.text.kernels import Offsets
from features.text.matches import Matches, Slots
from features.text.statistics import Statistics


def score(
    found: Matches, row_offsets: Offsets, known: Statistics, boosts: Doubles, b: Doubles, k1: float
) -> Floats:
    """float32[n]: BM25F of every row (the formula stands in `kinds/bm25f.py`); NaN without any field."""
    asked = found.queries
    scores = np.empty(found.lengths.shape[1], np.float32)
    _score(
        row_offsets,
        asked.offsets,
        known.idf,
        asked.counts,
        known.average_length,
        found.lengths,
        found.starts,
        found.stops,
        found.slots,
        boosts,
        b,
        k1,
        scores,
    )
    return scores


@compiled
def _score(
    row_offsets: Offsets,
    term_offsets: Offsets,
    weights: Doubles,
    counts: Rows,
    average: Doubles,
    lengths: Rows,
    starts: Rows,
    stops: Rows,
    slots: Slots,
    boosts: Doubles,
    b: Doubles,
    k1: float,
    scores: Floats,
) -> None:
    frequency = np.zeros(len(weights), np.float64)
    touched = np.empty(len(weights), np.int64)
    for query in range(len(row_offsets) - 1):
        first = term_offsets[query]
        means = average[min(query, len(average) - 1)]
        for row in range(row_offsets[query], row_offsets[query + 1]):
            present, count = False, 0
            for field in range(len(boosts)):
                present |= lengths[field, row] >= 0
                if starts[field, row] == stops[field, row]:
                    continue
                relative = lengths[field, row] / means[field] if means[field] > 0 else 1.0
                gain = boosts[field] / (1.0 - b[field] + b[field] * relative)
                for hit in range(starts[field, row], stops[field, row]):
                    slot = slots[hit]
                    if frequency[slot] == 0.0:
                        touched[count] = slot
                        count += 1
                    frequency[slot] += gain
            total = 0.0
            for i in range(count):
                slot = touched[i]
                weight = weights[first + slot] * counts[first + slot]
                total += weight * frequency[slot] / (frequency[slot] + k1)
                frequency[slot] = 0.0
            scores[row] = total if present else np.nan
