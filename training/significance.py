"""Whether one ranking is better than another over the same queries, by chance or not.

The interval is a paired bootstrap's (Efron, 1979; Sakai, 2006), the p-value a paired randomisation test's:
under the null hypothesis the two rankings of a query may be swapped (Smucker, Allan and Carterette, 2007).
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from features.columns import Doubles

RESAMPLES = 10_000
LEVEL = 0.95
BATCH = 200


@dataclass(frozen=True, slots=True)
class Comparison:
    """A ranking against another, by one metric over the same queries.

    Attributes:
        against: the other one's name.
        difference: of the means.
        relative_lift: the difference over the other's mean; None where that is 0.
        low, high: of the difference's interval at `level`.
        p_value: two-sided, of the randomisation test; at least 2 / 10,001 unless all swaps were counted.
    """

    against: str
    difference: float
    relative_lift: float | None
    low: float
    high: float
    p_value: float
    level: float = LEVEL


def compare(after: Doubles, before: Doubles, against: str, seed: int) -> Comparison:
    """A metric's values query by query, after against before."""
    difference, base = float(np.mean(after - before)), float(np.mean(before))
    low, high = interval(after - before, seed)
    lift = difference / base if base > 0 else None
    return Comparison(against, difference, lift, low, high, p_value(after, before, seed))


def interval(values: Doubles, seed: int) -> tuple[float, float]:
    """The bootstrap's percentile interval of the mean; the lone value twice where there is but one."""
    if len(values) < 2 or np.ptp(values) == 0:
        mean = float(np.mean(values))
        return mean, mean
    found = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=RESAMPLES,
        confidence_level=LEVEL,
        method="percentile",
        batch=BATCH,
        rng=np.random.default_rng(seed),
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def p_value(after: Doubles, before: Doubles, seed: int) -> float:
    """How often swapping the two rankings of queries at random gives as large a difference; two-sided."""
    if len(after) < 2 or not (after != before).any():
        return 1.0
    found = stats.permutation_test(
        (after, before),
        mean_difference,
        permutation_type="samples",
        n_resamples=RESAMPLES,
        batch=BATCH,
        vectorized=True,
        rng=np.random.default_rng(seed),
    )
    return float(found.pvalue)


def mean_difference(after: Doubles, before: Doubles, axis: int) -> Doubles:
    """The statistic: the mean of the paired differences."""
    difference: Doubles = np.mean(after - before, axis=axis)
    return difference
