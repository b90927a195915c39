"""Click rates by rank: what a click model has to beat (Chuklin et al., 2015, 3.2)."""

from dataclasses import dataclass

import numpy as np

from features.columns import Doubles
from training.clicks.impressions import Impressions, Source, clicks_by_rank
from training.clicks.model import Pages2d
from training.clicks.pairs import Pairs


@dataclass(frozen=True, slots=True)
class RankCtr:
    """Settings of the fit: `strength` impressions with the mean click rate are added to every rank."""

    strength: float = 1.0
    name: str = "rank_ctr"

    def fit(self, source: Source, pairs: Pairs) -> "FittedRankCtr":
        """The click rate of every rank."""
        shown, clicks = clicks_by_rank(source)
        mean = clicks.sum() / max(shown.sum(), 1.0)
        rate = (clicks + self.strength * mean) / (shown + self.strength)
        return FittedRankCtr(pairs, rate, self.name)


@dataclass(frozen=True, slots=True, eq=False)
class FittedRankCtr:
    """Every document attracts; P(E_k = 1) is the click rate: float64[K]."""

    pairs: Pairs
    rate: Doubles
    name: str = "rank_ctr"

    @property
    def attractiveness(self) -> Doubles:
        """1 for every pair."""
        return np.ones(len(self.pairs))

    def clicks(self, pages: Impressions) -> Pages2d:
        """The rank's click rate."""
        beyond = np.minimum(np.arange(pages.positions), len(self.rate) - 1)
        return np.where(pages.shown, self.rate[beyond], 0.0)

    def conditional(self, pages: Impressions) -> Pages2d:
        """The same."""
        return self.clicks(pages)

    def examination(self, pages: Impressions) -> Pages2d:
        """The same."""
        return self.clicks(pages)

    def examined(self, pages: Impressions) -> Pages2d:
        """What is clicked, and nothing else."""
        return pages.clicked.astype(np.float64)
