"""Intervals that hold at every look, so that whoever watches an experiment may stop it when he likes.

An interval of fixed size fails whoever looks again and again: at 95 % and with a look after every page it
excludes the truth sooner or later. A confidence sequence is wider, and holds at all looks together.

The mean of pages in clusters is in large samples a Gaussian process in the information that was gathered. The
normal mixture (Robbins, "Statistical Methods Related to the Law of the Iterated Logarithm", 1970) bounds
Brownian motion for all times at once:

    P(∃ v: |M(v)| ≥ √((v + λ) log((v + λ) / (λ α²)))) ≤ α

which with estimated variances is the asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy
and Ramdas, "Time-uniform central limit theory and asymptotic confidence sequences" (2021), here in the clock
of the variance that is robust to clusters. People come back: their pages are correlated, and M has no
independent increments. Positive correlation makes looks more alike, which crosses such a boundary more rarely
(Slepian, 1962), so that the bound still holds. Tests simulate it with many looks and people of all sizes.
"""

from dataclasses import dataclass

import numpy as np

from cascade.eventlog.hashing import Hashes
from features.columns import Doubles, Rows
from training.clicks.sums import summed
from training.offpolicy.intervals import Interval, moments, ratio

TIGHTEST = 5_000
"""Pages at which bounds are tightest, by their errors; 27 % wider at a tenth of them, 7 % at ten times."""
PEOPLE = 50
"""Clusters that each side has to have before anything is said: the bound is one of large samples."""
EVENTS = 20
"""Clusters that did something, likewise, and as many that did not do all they could."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The mean of some pages' values.

    Attributes:
        mean: 0 without pages. `error`: its standard error, robust to clusters.
        variance: of a page's value. `pages`; `people`: clusters.
        some, less: clusters whose values are not all 0; not all 1.
    """

    mean: float
    error: float
    variance: float
    pages: int
    people: int
    some: int
    less: int

    @classmethod
    def of(cls, values: Doubles, cluster: Hashes | Rows) -> "Sample":
        """Of values along pages, each with its cluster (any numbers)."""
        if not len(values):
            return cls(0.0, 0.0, 0.0, 0, 0, 0, 0)
        known, owner = np.unique(cluster, return_inverse=True)
        people = len(known)
        sums, sizes = (summed(owner, each, people) for each in (values, np.ones(len(values))))
        mean, error = (float(each[0]) for each in ratio(moments(sums, sizes).sum(axis=0)[None], people))
        moved = summed(owner, np.abs(values), people) > 0
        short = summed(owner, 1 - np.abs(values), people) > 0
        return cls(mean, error, float(values.var()), len(values), people, int(moved.sum()), int(short.sum()))


def difference(sample: Sample, control: Sample, alpha: float) -> Interval | None:
    """The sample's mean less the control's, between bounds that hold at every look with 1 - `alpha`.

    The larger variance of the two counts for both: a small arm in which by chance hardly anybody did anything
    would pass for sure of its mean. None where there are too few people, or too few who did anything.
    """
    both = sample, control
    if min(one.people for one in both) < PEOPLE:
        return None
    if min(sum(one.some for one in both), sum(one.less for one in both)) < EVENTS:
        return None
    each = 1 / sample.pages + 1 / control.pages
    spread = max(one.error**2 * one.pages for one in both)
    plain = max(one.variance for one in both) * each
    error = float(np.sqrt(spread * each))
    return interval(sample.mean - control.mean, error, plain, sample.pages + control.pages, alpha)


def mean(sample: Sample, alpha: float) -> Interval | None:
    """The mean, likewise: for pages that hold their own comparison."""
    if sample.people < PEOPLE or min(sample.some, sample.less) < EVENTS // 2:
        return None
    return interval(sample.mean, sample.error, sample.variance / sample.pages, sample.pages, alpha)


def interval(value: float, error: float, plain: float, pages: int, alpha: float) -> Interval | None:
    """value ± se √((1 + 1/r) log((1 + r) / α²)), r = v / λ.

    λ is such that bounds are tightest at the information of `TIGHTEST` independent pages, where r is about
    -2 log α + log(1 - 2 log α). `plain`: the squared error that independent pages would have. None where
    nothing varies.
    """
    if error <= 0 or plain <= 0:
        return None
    strict = -2 * np.log(alpha)
    gathered = (strict + np.log1p(strict)) * pages / TIGHTEST * error**2 / plain
    half = error * float(np.sqrt((1 + 1 / gathered) * (np.log1p(gathered) + strict)))
    return Interval(value, value - half, value + half, 1 - alpha)
