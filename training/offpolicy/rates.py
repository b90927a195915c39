"""A reward model out of the log itself: how attractive each item is to its query, place corrected for."""

import numpy as np

from features.columns import Doubles, Flags, Rows
from training.clicks.sums import summed
from training.offpolicy.estimators import Predicted
from training.offpolicy.slates import Slates

FOLDS = 2
STRENGTH = 5.0
"""Impressions at the first place that the mean of all items counts as."""


def predicted(slates: Slates, curve: Doubles | None = None) -> Predicted:
    """r̂ = φ_place · α̂_pair, α̂ from the pages of other clusters, so that no page predicts itself.

    α̂ = (Σ r + s·m) / (Σ φ + s) over the pair's impressions, m the mean of all. Cross-fitting keeps doubly
    robust estimates unbiased: Chernozhukov et al., "Double/debiased machine learning" (2018).

    Args:
        curve: float64[places]: φ; without it the reward by place, over the first place's.
    """
    phi = by_place(slates) if curve is None else curve
    width = slates.reward.shape[1]
    wide = np.where(np.arange(width) < len(phi), phi[np.minimum(np.arange(width), len(phi) - 1)], 0.0)
    fold = folds(slates.cluster)
    alpha = np.zeros(slates.reward.shape)
    for held in range(FOLDS):
        mine = fold == held
        alpha[mine] = rates(slates, wide, ~mine)[slates.pair[mine]]
    deepest = min(slates.depth, len(phi))
    moved = np.where(slates.rank < deepest, phi[np.clip(slates.rank, 0, deepest - 1)], 0.0)
    direct = np.where(slates.shown, moved * alpha, 0.0).sum(axis=1)
    return Predicted(direct, wide * alpha)


def by_place(slates: Slates) -> Doubles:
    """float64[K]: mean reward of each place over the first one's."""
    seen = slates.shown.sum(axis=0)
    mean = np.where(slates.shown, slates.reward, 0.0).sum(axis=0) / np.maximum(seen, 1)
    return mean / mean[0] if mean[0] > 0 else np.ones_like(mean)


def folds(cluster: Rows) -> Rows:
    """int64[p]: which fold each page is of, whole clusters together."""
    _, owner = np.unique(cluster, return_inverse=True)
    number: Rows = owner % FOLDS
    return number


def rates(slates: Slates, phi: Doubles, pages: Flags) -> Doubles:
    """float64[pairs]: α̂ from some of the pages; the mean where they do not show the pair."""
    there = slates.shown & pages[:, None] & (phi > 0)
    pair, size = slates.pair[there], int(slates.pair.max(initial=0)) + 1
    gained = summed(pair, slates.reward[there], size)
    exposure = summed(pair, np.broadcast_to(phi, there.shape)[there], size)
    mean = float(gained.sum()) / max(float(exposure.sum()), 1e-9)
    return (gained + STRENGTH * mean) / (exposure + STRENGTH)
