"""Intervals by resampling whole pages or queries of a log, and propensities by group, shrunk to the whole.

Poisson bootstrap: Efron (1979); Chamandy et al., "Estimating Uncertainty for Massive Data Streams" (2012).

Clicks of one page hang together, and so do pages of one query. Resample by query where there are many; the
few heads of a short list of queries say little of other queries.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import norm

from features.columns import Doubles, Rows
from training.clicks.cells import fit_products, gather
from training.clicks.em import ROUGH, Patience
from training.clicks.impressions import Flags, Impressions, clicks_by_rank, parts
from training.clicks.model import MEAN, Prior
from training.clicks.pairs import Pairs
from training.clicks.sums import summed
from training.progress import Track, quiet

Unit = Literal["page", "query"]
FEWEST = 20
"""Clicks of a group at a place, below which its own figure there is not looked at: of none, all resampled
pages agree, and would seem sure."""
Estimate = Callable[[Impressions], Doubles]
"""Some figures of a log, always as many."""


@dataclass(frozen=True, slots=True, eq=False)
class Interval:
    """An estimate with its bias-corrected percentile interval, of as many figures as the estimate has."""

    value: Doubles
    low: Doubles
    high: Doubles
    deviation: Doubles


def bootstrap(
    estimate: Estimate,
    pages: Impressions,
    *,
    unit: Unit = "query",
    resamples: int = 200,
    level: float = 0.95,
    seed: int = 7,
    track: Track = quiet,
) -> Interval:
    """The estimate of a log and of `resamples` drawn from it, page by page or query by query."""
    held = pages.compressed()
    drawn = [
        estimate(resampled(held, unit, np.random.default_rng([seed, number])))
        for number in track(range(resamples), f"resampling by {unit}")
    ]
    value = estimate(held)
    low, high = (bias_corrected(np.array(drawn), value, end) for end in ((1 - level) / 2, (1 + level) / 2))
    return Interval(value, low, high, np.std(drawn, axis=0, ddof=1))


def bias_corrected(drawn: Doubles, value: Doubles, end: float) -> Doubles:
    """The quantile of resampled figures whose median is not the estimate (Efron, 1987): Φ(2·z_0 + z_end).

    Priors and limits draw figures of a smaller log to one side.
    """
    count = len(drawn)
    share = ((drawn < value).sum(axis=0) + (drawn == value).sum(axis=0) / 2) / count
    shift = norm.ppf(np.clip(share, 0.5 / count, 1 - 0.5 / count))
    at = norm.cdf(2 * shift + norm.ppf(end))
    return np.array([np.quantile(drawn[:, k], at[k]) for k in range(drawn.shape[1])])


def resampled(pages: Impressions, unit: Unit, random: np.random.Generator) -> Impressions:
    """The same pages with Poisson weights; pages that were not drawn are left out."""
    if unit == "page":
        weight = random.poisson(pages.weight).astype(np.float64)
    else:
        _, owner = np.unique(pages.query, return_inverse=True)
        weight = pages.weight * random.poisson(1.0, owner.max(initial=0) + 1)[owner]
    if not weight.any():
        weight = pages.weight
    return pages.weighted(weight).take(weight > 0)


@dataclass(frozen=True, slots=True)
class ByGroup:
    """Propensities of devices, surfaces or tenants: θ by group and rank, α shared by all of them."""

    groups: int
    positions: int
    prior: Prior = MEAN
    patience: Patience = ROUGH

    def __call__(self, pages: Impressions) -> Doubles:
        """float64[groups · K]: ln(θ_k / θ_1) of each group, NaN where it has no page."""
        source = parts(pages)
        cells = gather(source, Pairs.of(source), self.groups * self.positions, self._contexts)
        theta, _, _ = fit_products(cells, self.prior.settled(*clicks_by_rank(source)), self.patience)
        logs = np.log(np.maximum(theta, 1e-6)).reshape(self.groups, self.positions)
        seen = cells.by_context(cells.shown).reshape(logs.shape) > 0
        relative = np.where(seen, logs - logs[:, :1], np.nan)
        return relative.ravel()

    def _contexts(self, pages: Impressions) -> Rows:
        ranks = np.minimum(np.arange(pages.positions), self.positions - 1)
        contexts: Rows = pages.group[:, None] * self.positions + ranks
        return contexts

    def told(self, pages: Impressions) -> Flags:
        """bool[groups, K]: places that have `FEWEST` clicks of a group, as its first one has."""
        clicks = summed(
            self._contexts(pages)[pages.clicked],
            np.broadcast_to(pages.weight[:, None], pages.clicked.shape)[pages.clicked],
            self.groups * self.positions,
        )
        enough: Flags = clicks.reshape(self.groups, self.positions) >= FEWEST
        return enough & enough[:, :1]

    def shrunk(self, pages: Impressions, *, resamples: int = 50, seed: int = 7) -> Doubles:
        """float64[groups, K]: θ_k / θ_1 of each group, over that of the whole: drawn to 1 as far as its own
        figures are unsure.

        Empirical Bayes on the logarithm: w = τ²/(τ² + s²), s from resampled pages, τ² the variance between
        groups beyond s (DerSimonian and Laird, 1986, with the whole's figure as the mean: τ² = (Q - n)/Σ
        s⁻²). A place with too few clicks to tell stands to the whole's as the one above it does.
        """
        shape = self.groups, self.positions
        own = bootstrap(self, pages, unit="page", resamples=resamples, seed=seed)
        whole = ByGroup(1, self.positions, self.prior, self.patience)(ungrouped(pages))
        told = self.told(pages)
        value = np.where(told, own.value.reshape(shape), np.nan)
        deviation = own.deviation.reshape(shape)
        drawn = np.array([toward(value[:, k], deviation[:, k], whole[k]) for k in range(self.positions)]).T
        last = np.maximum.accumulate(np.where(told, np.arange(self.positions), 0), axis=1)
        ratios: Doubles = np.exp(np.take_along_axis(drawn - whole, last, axis=1))
        return ratios


def toward(values: Doubles, deviations: Doubles, whole: float) -> Doubles:
    """Values drawn to the whole's."""
    known = np.isfinite(values) & np.isfinite(deviations)
    spread = np.maximum(np.where(known, deviations, 1.0), 1e-6) ** 2
    weight = np.where(known, 1 / spread, 0.0)
    apart = float((weight * np.where(known, values - whole, 0.0) ** 2).sum()) - known.sum()
    between = max(apart / weight.sum(), 0.0) if known.any() else 0.0
    trust = between / (between + spread)
    return np.where(known, whole + trust * (np.where(known, values, 0.0) - whole), whole)


def ungrouped(pages: Impressions) -> Impressions:
    """The same pages as one group."""
    return Impressions.of(pages.query, pages.documents, pages.clicked, pages.weight, 0, pages.arm)
