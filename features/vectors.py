"""Arithmetic on rows of vectors whose result for a row never depends on the other rows, to the bit.

A BLAS product may add up a row in another order when there are more rows; these loops do not, and need no
copy of the query's vector for each of its candidates.
"""

import numpy as np
from numpy.typing import NDArray

from features.columns import Floats, Rows
from features.text.compiled import compiled

LANES = 8
"""Partial sums that a dot product is kept in: fixed, so that the order of additions is too."""


@compiled
def add_up(
    ids: NDArray[np.int32], offsets: Rows, pieces: NDArray[np.int8], scale: Floats, out: Floats
) -> None:
    """Fill `out[i]` (float32[n, d]) with the unit vector of text i's summed pieces, or NaN without any."""
    for row in range(len(out)):
        total = out[row]
        total[:] = np.float32(0.0)
        for at in range(offsets[row], offsets[row + 1]):
            weight = scale[ids[at]]
            if weight != np.float32(0.0):
                piece = pieces[ids[at]]
                for j in range(len(total)):
                    total[j] += weight * np.float32(piece[j])
        squares = 0.0
        for j in range(len(total)):
            squares += np.float64(total[j]) * np.float64(total[j])
        norm = np.float32(np.sqrt(squares)) if squares > 0.0 else np.float32(np.nan)
        for j in range(len(total)):
            total[j] /= norm


@compiled
def cosines(rows: Floats, queries: Floats, owner: Rows, out: Floats) -> None:
    """Fill `out[i]` with the cosine of `rows[i]` and `queries[owner[i]]`, NaN where a norm is 0 or NaN.

    Sums are in float64, so that no finite float32 vector overflows. The result lies within [-1, 1].
    """
    sums = np.empty((3, LANES), np.float64)
    for i in range(len(rows)):
        sums[:] = 0.0
        for j in range(rows.shape[1]):
            a, b, lane = np.float64(rows[i, j]), np.float64(queries[owner[i], j]), j % LANES
            sums[0, lane] += a * b
            sums[1, lane] += a * a
            sums[2, lane] += b * b
        dot, left, right = sums[0].sum(), sums[1].sum(), sums[2].sum()
        norms = np.sqrt(left) * np.sqrt(right)
        out[i] = min(1.0, max(-1.0, dot / norms)) if norms > 0.0 else np.nan


@compiled
def dots(rows: Floats, queries: Floats, owner: Rows, out: Floats) -> None:
    """Fill `out[i]` with `rows[i] · queries[owner[i]]`, summed in float64; NaN where a number is missing."""
    sums = np.empty(LANES, np.float64)
    for i in range(len(rows)):
        sums[:] = 0.0
        for j in range(rows.shape[1]):
            sums[j % LANES] += np.float64(rows[i, j]) * np.float64(queries[owner[i], j])
        out[i] = sums.sum()


@compiled
def to_unit_length(rows: Floats) -> None:
    """Divide every row by its length, in place; NaN where that is 0 or not finite."""
    for i in range(len(rows)):
        squares = 0.0
        for j in range(rows.shape[1]):
            squares += np.float64(rows[i, j]) * np.float64(rows[i, j])
        norm = np.float32(np.sqrt(squares)) if 0.0 < squares < np.inf else np.float32(np.nan)
        for j in range(rows.shape[1]):
            rows[i, j] /= norm
