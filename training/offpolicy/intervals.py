"""Intervals of means over pages that hang together in clusters."""

from dataclasses import dataclass

import numpy as np

from features.columns import Doubles, Rows
from features.errors import InvalidInput
from training.clicks.sums import summed

LEVEL = 0.95
RESAMPLES = 1_000
BAGS = 1_000
"""More clusters than these are put together at random: sums of independent clusters are independent."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean between its bounds."""

    value: float
    low: float
    high: float
    level: float = LEVEL


@dataclass(frozen=True, slots=True, eq=False)
class Resamples:
    """Clusters drawn again and again, for the intervals of any number of means over the same pages.

    Attributes:
        owner: int64[p]: the cluster, or the bag of clusters, of each page.
        drawn: float64[r, c]: how often each resample has each of them (Poisson).
    """

    owner: Rows
    drawn: Doubles

    @classmethod
    def of(cls, cluster: Rows, *, seed: int = 7, resamples: int = RESAMPLES) -> "Resamples":
        """Resamples of the clusters of some pages."""
        random = np.random.default_rng(seed)
        known, owner = np.unique(cluster, return_inverse=True)
        if len(known) > BAGS:
            owner = (random.permutation(len(known)) % BAGS)[owner]
        drawn = random.poisson(1.0, (resamples, min(len(known), BAGS)))
        return cls(owner, drawn.astype(np.float64))

    def interval(self, values: Doubles, level: float = LEVEL) -> Interval:
        """The mean of page values by the studentised bootstrap over clusters.

        V = Σ s_c / Σ n_c with s_c the sum and n_c the pages of cluster c; bounds V - t*·se with t* the
        quantiles of (V* - V) / se* over resamples (Hall, "The Bootstrap and Edgeworth Expansion", 1992;
        Chamandy et al., 2012). It follows the skew that importance weights give a mean, where percentiles do
        not.
        """
        count = self.drawn.shape[1]
        parts = moments(summed(self.owner, values, count), summed(self.owner, np.ones(len(values)), count))
        value, error = (float(each[0]) for each in ratio(parts.sum(axis=0)[None], count))
        if error == 0:
            return Interval(value, value, value, level)
        again, spread = ratio(self.drawn @ parts, count)
        good = spread > 0
        ends = np.quantile((again[good] - value) / spread[good], [(1 + level) / 2, (1 - level) / 2])
        low, high = value - ends * error
        return Interval(value, float(low), float(high), level)


def moments(sums: Doubles, sizes: Doubles) -> Doubles:
    """float64[c, 5]: s, n, s², s·n, n²."""
    return np.stack([sums, sizes, sums**2, sums * sizes, sizes**2], axis=1)


def ratio(totals: Doubles, clusters: int) -> tuple[Doubles, Doubles]:
    """Σs/Σn and its standard error, √(c/(c - 1) Σ (s - V·n)²) / Σn, of each row of summed moments."""
    s, n, ss, sn, nn = totals.T
    pages = np.maximum(n, 1.0)
    value = s / pages
    squares = np.maximum(ss - 2 * value * sn + value**2 * nn, 0.0)
    squares = np.where(squares < 1e-12 * np.maximum(ss, 1e-300), 0.0, squares)
    return value, np.sqrt(squares * clusters / max(clusters - 1, 1)) / pages


def bernstein(values: Doubles, cluster: Rows, bound: float, *, level: float = LEVEL) -> Interval:
    """The mean of page values that lie within a span of `bound`, by the empirical Bernstein inequality.

    |mean - E| ≤ √(2 s² ln(4/δ) / c) + 7 B ln(4/δ) / (3 (c - 1)): Maurer and Pontil, "Empirical Bernstein
    Bounds and Sample Variance Penalization" (COLT 2009), both sides, over c clusters whose shares span at
    most B. Holds at any size of log, and is wide.

    Raises:
        InvalidInput: for a bound that is not finite (clip the weights first), or a single cluster.
    """
    _, owner = np.unique(cluster, return_inverse=True)
    count = int(owner.max(initial=-1)) + 1
    if not np.isfinite(bound) or count < 2:
        raise InvalidInput("needs a finite bound, and two clusters; clip the weights", path="interval")
    sizes = summed(owner, np.ones(len(values)), count)
    shares = summed(owner, values, count) / sizes.mean()
    value, largest = float(shares.mean()), bound * float(sizes.max() / sizes.mean())
    chance = np.log(4 / (1 - level))
    spread = np.sqrt(2 * shares.var(ddof=1) * chance / count) + 7 * largest * chance / (3 * (count - 1))
    return Interval(value, value - float(spread), value + float(spread), level)
