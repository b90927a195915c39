"""The user browsing model: examination depends on the rank and on the last click above.

P(E_k = 1 | last click at j) = γ_kj, j = 0 where there is none. Dupret and Piwowarski, "A User Browsing Model
to Predict Search Engine Click Data from Past Observations" (SIGIR 2008).
"""

from dataclasses import dataclass, field

import numpy as np

from features.columns import Doubles, Rows
from training.clicks.cells import fit_products, gather
from training.clicks.em import USUAL, Climb, Patience
from training.clicks.impressions import Impressions, Source, clicks_by_rank
from training.clicks.model import MEAN, Pages2d, Prior, with_mean
from training.clicks.pairs import Pairs
from training.clicks.position_based import posterior


@dataclass(frozen=True, slots=True)
class UserBrowsing:
    """Settings of the fit."""

    prior: Prior = MEAN
    patience: Patience = USUAL
    name: str = "user_browsing"

    def fit(self, source: Source, pairs: Pairs) -> "FittedUserBrowsing":
        """γ by rank and last click, α by pair."""
        shown, clicks = clicks_by_rank(source)
        size = len(shown)
        cells = gather(source, pairs, size * size, lambda pages: contexts(pages, size))
        gamma, alpha, climbed = fit_products(cells, self.prior.settled(shown, clicks), self.patience)
        known = with_mean(alpha, cells.by_pair(cells.shown))
        return FittedUserBrowsing(pairs, gamma.reshape(size, size), known, climbed, self.name)


def contexts(pages: Impressions, size: int) -> Rows:
    """int64[p, K]: rank · size + last click above it (0 = none, else its rank from 1)."""
    width = pages.positions
    marked = np.where(pages.clicked, np.arange(1, width + 1), 0)
    last = np.zeros_like(marked)
    last[:, 1:] = np.maximum.accumulate(marked, axis=1)[:, :-1]
    return np.minimum(np.arange(width), size - 1) * size + np.minimum(last, size - 1)


@dataclass(frozen=True, slots=True, eq=False)
class FittedUserBrowsing:
    """The model with its parameters.

    Attributes:
        gamma: float64[K, K]: examination by rank and last click (0 = none).
        alpha: float64[pairs + 1], the last one for unknown pairs.
        climbed: how EM went.
    """

    pairs: Pairs
    gamma: Doubles
    alpha: Doubles
    climbed: Climb = field(repr=False)
    name: str = "user_browsing"

    @property
    def attractiveness(self) -> Doubles:
        """float64[pairs]."""
        return self.alpha[:-1]

    def conditional(self, pages: Impressions) -> Pages2d:
        """γ_kj · α with the last click j of the page."""
        return self._given_above(pages) * self.alpha[self.pairs.at(pages)]

    def clicks(self, pages: Impressions) -> Pages2d:
        """Σ_j P(last click above k is j) · γ_kj · α."""
        return self.examination(pages) * self.alpha[self.pairs.at(pages)]

    def examination(self, pages: Impressions) -> Pages2d:
        """Σ_j P(last click above k is j) · γ_kj: a walk down the page over the last click's distribution."""
        size, attraction = len(self.gamma), self.alpha[self.pairs.at(pages)]
        last = np.zeros((len(pages), pages.positions + 1))
        last[:, 0] = 1.0
        seen = np.zeros(pages.documents.shape)
        shown = pages.shown
        for rank in range(pages.positions):
            below = np.minimum(np.arange(rank + 1), size - 1)
            examined = last[:, : rank + 1] * self.gamma[min(rank, size - 1), below] * shown[:, rank, None]
            seen[:, rank] = examined.sum(axis=1)
            clicked = examined * attraction[:, rank, None]
            last[:, : rank + 1] -= clicked
            last[:, rank + 1] = clicked.sum(axis=1)
        return seen

    def examined(self, pages: Impressions) -> Pages2d:
        """1 where clicked, else γ(1 - α)/(1 - γα)."""
        return posterior(pages, self._given_above(pages), self.alpha[self.pairs.at(pages)])

    def _given_above(self, pages: Impressions) -> Pages2d:
        size = len(self.gamma)
        return np.where(pages.shown, self.gamma.ravel()[contexts(pages, size)], 0.0)
