"""Whether groups have the sizes that they should have; if not, nothing else in the log can be believed."""

from collections.abc import Sequence

import numpy as np
from scipy import stats

ALARM = 1e-3
"""A probability below this is a mismatch: looks are many, and a true one soon is far below."""
FEWEST = 5
"""People that every group should have before its size says anything."""


def ratio_p(seen: Sequence[int], shares: Sequence[float]) -> float | None:
    """How probable it is that groups of these shares differ in size as much as this (χ², Pearson, 1900).

    Sample-ratio mismatch: Fabijan et al., "Diagnosing Sample Ratio Mismatch in Online Controlled Experiments"
    (KDD 2019). Its usual causes are pages that one arm loses (a crash, a time-out, a bot filter) and an
    assignment that is not what was declared.

    Returns:
        None for fewer than two groups, or too few people.
    """
    counts = np.array([count for count, share in zip(seen, shares, strict=True) if share > 0], float)
    wanted = np.array([share for share in shares if share > 0], float)
    wanted *= counts.sum() / wanted.sum()
    if len(counts) < 2 or wanted.min() < FEWEST:
        return None
    return float(stats.chisquare(counts, wanted).pvalue)
