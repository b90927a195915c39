"""LambdaMART from clicks, pair by pair: the gradients that LightGBM boosts along, with a weight a pair.

A pair is an item i of a page that something was done with, and another item j of the page:

    λ_ij = w_ij · |1/D(i) - 1/D(j)| · σ(s_j - s_i),    D(i) = log2(1 + rank of i by the scores so far)

Inverse propensities: w_ij = v_i / θ_i · min(θ_i, θ_j) over all j. As the mean of v_i is θ_i α_i, that of w_ij
is α_i, but for a factor that is the same for w_ji; so i is put before j where α_i > α_j, wherever they were
shown (Joachims, Swaminathan and Schnabel, "Unbiased Learning-to-Rank with Biased Feedback", WSDM 2017, whose
weight 1 / θ_i is the first part). The factor keeps every weight at v_i or below, and lets pairs count by how
often both items are seen (overlap weights: Li, Morgan and Zaslavsky, JASA 2018). LightGBM's weights of rows
cannot say that: they would scale the two ends of a pair apart.

Estimated jointly: w_ij = v_i / (t⁺_i t⁻_j) over the j that nothing was done with, with t⁺ and t⁻ of each
place brought up to date in every round (Hu et al., "Unbiased LambdaMART", WWW 2019):

    t⁺_k = (Σ_{i at k} L_ij / t⁻_j, over that of the first place)^(1 / (1 + p)), and t⁻ likewise.

The gain is DCG's, not divided by the best DCG of the page: that hangs on the clicks, and would bias again.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from scipy.special import expit

from features.columns import Doubles, Rows
from training.clicks.sums import summed
from training.events.compose import spread
from training.from_log.pages import LogPages

POWER = 0.5
"""p, by which ratios are drawn to 1."""
LEAST = 0.05
"""No ratio is below this: a weight is at most 1 / LEAST²."""

Kind = Literal["ips", "joint"]


@dataclass(frozen=True, slots=True, eq=False)
class PagePairs:
    """m pairs of rows of the same page.

    Attributes:
        better, worse: int64[m], rows. `weight`: float64[m], with a mean of 1 (self-normalised).
    """

    better: Rows
    worse: Rows
    weight: Doubles


def weighted_pairs(pages: LogPages, theta: Doubles) -> PagePairs:
    """Inverse propensities, `theta` along the rows: every item with worth against all others of its page."""
    better, worse = all_pairs(pages.worth, pages.offsets)
    overlap = np.minimum(1.0, theta[worse] / theta[better])
    return PagePairs(better, worse, normalised(pages.worth[better] * overlap))


def unweighted_pairs(worth: Doubles, offsets: Rows) -> PagePairs:
    """Worth alone, against items that nothing was done with."""
    better, worse = all_pairs(worth, offsets)
    kept = worth[worse] == 0
    better, worse = better[kept], worse[kept]
    return PagePairs(better, worse, normalised(worth[better]))


def all_pairs(worth: Doubles, offsets: Rows) -> tuple[Rows, Rows]:
    """Every row with worth, and every other row of its page."""
    rows, every = np.flatnonzero(worth > 0), np.diff(offsets)
    page = np.repeat(np.arange(len(every)), every)[rows]
    better, worse = np.repeat(rows, every[page]), spread(offsets, page, every[page])
    other = better != worse
    return better[other], worse[other]


def normalised(weight: Doubles) -> Doubles:
    """The weights over their mean."""
    share: Doubles = weight / max(float(weight.mean()), 1e-12) if len(weight) else weight
    return share


Gradients = Callable[[Doubles, Any], tuple[Doubles, Doubles]]
"""Gradient and hessian, float64[n] each, at the given scores."""


@dataclass(slots=True, eq=False)
class PairObjective:
    """LightGBM's objective: gradient and hessian of every row.

    Attributes:
        pairs: with their weights. `offsets`: of the pages. `place`: int64[n].
        truncation: pairs of which neither stands above this rank do not count.
        joint: estimate t⁺ and t⁻ along the way, here as float64[K].
    """

    pairs: PagePairs
    offsets: Rows
    place: Rows
    truncation: int
    joint: bool = False
    plus: Doubles = field(init=False)
    minus: Doubles = field(init=False)

    def __post_init__(self) -> None:
        width = int(self.place.max(initial=0)) + 1
        self.plus, self.minus = np.ones(width), np.ones(width)

    def gradients(self) -> Gradients:
        """For one fit, which begins with ratios of 1. A plain function: LightGBM would copy an object."""
        own = replace(self)
        return lambda scores, data: own.at(scores)  # noqa: ARG005

    def at(self, scores: Doubles) -> tuple[Doubles, Doubles]:
        """float64[n] twice."""
        better, worse, size = self.pairs.better, self.pairs.worse, len(self.place)
        margin = scores[better] - scores[worse]
        weight = self.pairs.weight * self._swaps(scores)
        if self.joint:
            weight = self._corrected(weight, margin)
        wrong = expit(-margin)
        slope, bend = weight * wrong, weight * wrong * (1 - wrong)
        gradient = summed(worse, slope, size) - summed(better, slope, size)
        return gradient, summed(worse, bend, size) + summed(better, bend, size)

    def _swaps(self, scores: Doubles) -> Doubles:
        """float64[m]: |1/D(i) - 1/D(j)|, 0 where neither stands high enough to count."""
        rank = ranks_of(scores, self.offsets)
        high = np.minimum(rank[self.pairs.better], rank[self.pairs.worse]) < self.truncation
        discount = 1 / np.log2(2 + rank)
        change: Doubles = np.abs(discount[self.pairs.better] - discount[self.pairs.worse]) * high
        return change

    def _corrected(self, weight: Doubles, margin: Doubles) -> Doubles:
        """The weights over t⁺ and t⁻ so far, which are then brought up to date."""
        up, down = self.place[self.pairs.better], self.place[self.pairs.worse]
        loss = weight * np.logaddexp(0, -margin)
        corrected: Doubles = weight / (self.plus[up] * self.minus[down])
        plus = ratios(up, loss / self.minus[down], len(self.plus))
        self.minus = ratios(down, loss / self.plus[up], len(self.minus))
        self.plus = plus
        return corrected


def ratios(place: Rows, loss: Doubles, width: int) -> Doubles:
    """float64[width]: each place's loss over the first's, drawn to 1, and not below `LEAST`."""
    total = summed(place, loss, width)
    relative: Doubles = np.clip(total / max(float(total[0]), 1e-12), LEAST, 1 / LEAST) ** (1 / (1 + POWER))
    return relative


def ranks_of(scores: Doubles, offsets: Rows) -> Rows:
    """int64[n]: the rank of each row in its page, from 0; of equal scores the one shown higher first."""
    page = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    order = np.lexsort((-scores, page))
    rank = np.empty(len(scores), np.int64)
    rank[order] = np.arange(len(scores)) - offsets[page]
    return rank
