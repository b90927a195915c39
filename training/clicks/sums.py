"""Sums of rows by the number of what they belong to."""

import numpy as np

from features.columns import Doubles, Rows


def summed(owner: Rows, values: Doubles, size: int) -> Doubles:
    """float64[size]: Σ of the values of each owner, 0 to `size` - 1."""
    return np.bincount(owner, values, size).astype(np.float64, copy=False)
