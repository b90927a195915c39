"""The position-based model: P(C_k = 1) = θ_k · α_pair.

Richardson, Dominowska and Ragno (2007); Craswell et al., "An Experimental Comparison of Click Position-Bias
Models" (WSDM 2008); fitted by EM as in Chuklin et al. (2015), 4.1.1.

θ and α can only be told apart where documents are seen at several ranks. Where a page never changes, fit with
features (`regression`) or with repeated clicks (`latent`).
"""

from dataclasses import dataclass, field

import numpy as np

from features.columns import Doubles, Rows
from training.clicks.cells import fit_products, gather
from training.clicks.em import LONG, Climb, Patience
from training.clicks.impressions import Impressions, Source, clicks_by_rank
from training.clicks.model import LEAST, MEAN, Pages2d, Prior, with_mean
from training.clicks.pairs import Pairs


@dataclass(frozen=True, slots=True)
class PositionBased:
    """Settings of the fit."""

    prior: Prior = MEAN
    patience: Patience = LONG
    name: str = "position_based"

    def fit(self, source: Source, pairs: Pairs) -> "FittedPositionBased":
        """θ by position and α by pair."""
        shown, clicks = clicks_by_rank(source)
        cells = gather(source, pairs, len(shown), ranks)
        theta, alpha, climbed = fit_products(cells, self.prior.settled(shown, clicks), self.patience)
        known = with_mean(alpha, cells.by_pair(cells.shown))
        return FittedPositionBased(pairs, theta, known, climbed, self.name)


def ranks(pages: Impressions) -> Rows:
    """The context of a position is the position itself, counted from 0."""
    return np.broadcast_to(np.arange(pages.positions), pages.documents.shape)


@dataclass(frozen=True, slots=True, eq=False)
class FittedPositionBased:
    """The model with its parameters.

    Attributes:
        theta: float64[K]: P(E_k = 1).
        alpha: float64[pairs + 1], the last one for unknown pairs.
        climbed: how EM went.
    """

    pairs: Pairs
    theta: Doubles
    alpha: Doubles
    climbed: Climb = field(repr=False)
    name: str = "position_based"

    @property
    def attractiveness(self) -> Doubles:
        """float64[pairs]."""
        return self.alpha[:-1]

    @property
    def propensity(self) -> Doubles:
        """float64[K]: θ_k / θ_1."""
        relative: Doubles = self.theta / self.theta[0]
        return relative

    def clicks(self, pages: Impressions) -> Pages2d:
        """θ_k · α."""
        return self.examination(pages) * self.alpha[self.pairs.at(pages)]

    def conditional(self, pages: Impressions) -> Pages2d:
        """The same: clicks do not depend on each other."""
        return self.clicks(pages)

    def examination(self, pages: Impressions) -> Pages2d:
        """θ_k; positions beyond the longest page of the fit have the last one's."""
        beyond = np.minimum(np.arange(pages.positions), len(self.theta) - 1)
        return np.where(pages.shown, self.theta[beyond], 0.0)

    def examined(self, pages: Impressions) -> Pages2d:
        """1 where clicked, else θ(1 - α)/(1 - θα)."""
        return posterior(pages, self.examination(pages), self.alpha[self.pairs.at(pages)])


def posterior(pages: Impressions, examination: Pages2d, attraction: Pages2d) -> Pages2d:
    """P(E = 1 | C) of positions that are examined independently of what is below."""
    unclicked = examination * (1 - attraction) / np.maximum(1 - examination * attraction, LEAST)
    return np.where(pages.clicked, 1.0, unclicked)
