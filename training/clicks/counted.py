"""Cascade and simplified DBN, whose parameters are shares of counts: one pass over the log.

Chuklin et al. (2015), 4.2: the cascade's documents are examined down to the first click, the simplified DBN's
down to the last one; where nothing is clicked, all are.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from features.columns import Doubles
from training.clicks.chain import FittedChain, last_clicks
from training.clicks.impressions import Flags, Impressions, Source, clicks_by_rank
from training.clicks.model import HALF, MEAN, Prior, with_mean
from training.clicks.pairs import Pairs
from training.clicks.sums import summed


@dataclass(frozen=True, slots=True)
class Cascade:
    """Settings of the fit."""

    prior: Prior = MEAN
    name: str = "cascade"

    def fit(self, source: Source, pairs: Pairs) -> FittedChain:
        """α by pair; and what is clicked below the first click, which the model does not know."""
        mean, strength = self.prior.settled(*clicks_by_rank(source))
        seen, drawn = counts(source, pairs, down_to_first, lambda pages: pages.clicked)
        below, late = after_first(source)
        alpha = with_mean((drawn + strength * mean) / (seen + strength), seen)
        return FittedChain(self.name, pairs, alpha, np.ones_like(alpha), 1.0, late / max(below, 1.0))


@dataclass(frozen=True, slots=True)
class SimplifiedDbn:
    """Settings of the fit."""

    prior: Prior = MEAN
    satisfied: Prior = HALF
    name: str = "simplified_dbn"

    def fit(self, source: Source, pairs: Pairs) -> FittedChain:
        """α and σ by pair."""
        by_rank = clicks_by_rank(source)
        (mean, strength), (ends, weight) = self.prior.settled(*by_rank), self.satisfied.settled(*by_rank)
        seen, drawn = counts(source, pairs, down_to_last, lambda pages: pages.clicked)
        _, ended = counts(source, pairs, down_to_last, lambda pages: at_last(pages) & pages.clicked)
        alpha = with_mean((drawn + strength * mean) / (seen + strength), seen)
        sigma = with_mean((ended + weight * ends) / (drawn + weight), drawn + weight)
        return FittedChain(self.name, pairs, alpha, sigma, 1.0)


def counts(
    source: Source,
    pairs: Pairs,
    examined: Callable[[Impressions], Flags],
    marked: Callable[[Impressions], Flags],
) -> tuple[Doubles, Doubles]:
    """float64[pairs]: examinations, and those of them that are marked."""
    seen, found = np.zeros(len(pairs)), np.zeros(len(pairs))
    for pages in source():
        at = pairs.at(pages)
        there = examined(pages) & (at >= 0)
        weight = np.broadcast_to(pages.weight[:, None], there.shape)[there]
        seen += summed(at[there], weight, len(pairs))
        found += summed(at[there], weight * marked(pages)[there], len(pairs))
    return seen, found


def down_to_first(pages: Impressions) -> Flags:
    """Positions down to the first click, it included."""
    clicked_above = np.zeros(pages.clicked.shape, bool)
    clicked_above[:, 1:] = np.logical_or.accumulate(pages.clicked, axis=1)[:, :-1]
    return pages.shown & ~clicked_above


def down_to_last(pages: Impressions) -> Flags:
    """Positions down to the last click, it included; all of them without one."""
    last = last_clicks(pages)[:, None]
    return pages.shown & ((np.arange(pages.positions) <= last) | (last < 0))


def at_last(pages: Impressions) -> Flags:
    """The position of the last click."""
    flags: Flags = np.arange(pages.positions) == last_clicks(pages)[:, None]
    return flags


def after_first(source: Source) -> tuple[float, float]:
    """Impressions and clicks below first clicks."""
    below = late = 0.0
    for pages in source():
        under = pages.shown & ~down_to_first(pages)
        below += float((pages.weight @ under).sum())
        late += float((pages.weight @ (under & pages.clicked)).sum())
    return below, late
