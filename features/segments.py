"""Sums, extremes and ranks within segments `offsets[i]:offsets[i + 1]`, without a loop over them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.columns import Doubles, Rows


def reduce(ufunc: np.ufunc, values: NDArray[Any], offsets: Rows, empty: float) -> NDArray[Any]:
    """`ufunc` over each segment's values; `empty` for a segment that has none.

    `np.ufunc.reduceat` alone gives an empty segment the first value of the next one.
    """
    sizes = np.diff(offsets)
    out = np.full(len(sizes), empty, values.dtype if values.dtype != bool else np.float64)
    filled = sizes > 0
    if filled.any():
        out[filled] = ufunc.reduceat(values, offsets[:-1][filled])
    return out


def sorted_within(values: Doubles, owner: Rows) -> Rows:
    """int64[n]: positions that sort by segment and, in it, by value; NaN last."""
    order: Rows = np.lexsort((values, owner))
    return order


def best_ranks(values: Doubles, offsets: Rows, owner: Rows) -> Doubles:
    """Ranks in each segment, 1 for the highest value; equal values share the best rank ("1224"); NaN is NaN.

    rank(i) = 1 + |{j in i's segment : value(j) > value(i)}|
    """
    order = sorted_within(-values, owner)
    ordered, belongs = values[order], owner[order]
    fresh = np.ones(len(values), bool)
    fresh[1:] = (belongs[1:] != belongs[:-1]) | (ordered[1:] != ordered[:-1])
    position = np.arange(len(values))
    first = np.maximum.accumulate(np.where(fresh, position, 0))
    ranks = np.empty(len(values))
    ranks[order] = first - offsets[belongs] + 1.0
    return np.where(np.isnan(values), np.nan, ranks)
