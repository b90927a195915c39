"""Relevance of each query's documents out of counted clicks: what is left when the position is taken away.

A pair's clicks are pooled over all pages before they are weighed, so that its estimate has the variance of
its whole exposure: Σ clicks / Σ propensity is the maximum-likelihood estimate of an attractiveness under
Poisson clicks, where the mean of single weighted clicks (Joachims, Swaminathan and Schnabel, "Unbiased
Learning-to-Rank with Biased Feedback", WSDM 2017) is unbiased and much noisier. Few impressions are drawn
to the mean.
"""

from dataclasses import dataclass

import numpy as np

from features.columns import Doubles
from training.clicks.cells import Cells
from training.clicks.latent import LatentRelevance

LEAST = 1e-12
CLIP = 0.05
"""No impression counts for less than this share of one at the top: a rank of which nearly nothing is seen
must not rule the estimate."""


@dataclass(frozen=True, slots=True, eq=False)
class Relevance:
    """What clicks say of pairs.

    Attributes:
        value: float64[pairs], 0 to 1: the estimate.
        exposure: float64[pairs]: impressions at the first rank that would have told as much.
    """

    value: Doubles
    exposure: Doubles

    @property
    def effective(self) -> float:
        """Kish's effective number of pairs by exposure: (Σ w)² / Σ w²."""
        return float(self.exposure.sum() ** 2 / max(float((self.exposure**2).sum()), LEAST))


def raw(cells: Cells) -> Relevance:
    """Click rates: what is learnt where nobody thinks of positions."""
    shown = cells.by_pair(cells.shown)
    return Relevance(cells.by_pair(cells.clicks) / np.maximum(shown, LEAST), shown)


def inverse_propensity(
    cells: Cells, propensity: Doubles, *, clip: float = CLIP, strength: float = 1.0
) -> Relevance:
    """(Σ c + s·m) / (Σ n·θ_k + s), at most 1: m the mean over all pairs, θ clipped from below.

    `propensity`: float64[K], relative to the first rank.
    """
    theta = np.maximum(propensity, clip)[cells.context]
    exposure = cells.by_pair(cells.shown * theta)
    return pooled(cells.by_pair(cells.clicks), exposure, strength)


def affine(cells: Cells, rates: Doubles, *, clip: float = CLIP, strength: float = 1.0) -> Relevance:
    """(Σ (c - n·ρ_k0) + s·m) / (Σ n·(ρ_k1 - ρ_k0) + s), in [0, 1] (Vardasbi, Oosterhuis and de Rijke, CIKM
    2020).

    `rates`: float64[K, 2] clicks of what is not relevant, and of what is, at each rank (`latent`): what trust
    in the rank adds is taken off before the rest is weighed.
    """
    other, difference = rates[:, 0], rates[:, 1] - rates[:, 0]
    gap = np.maximum(difference, clip * difference[0])[cells.context]
    net = cells.by_pair(cells.clicks - cells.shown * other[cells.context])
    return pooled(net, cells.by_pair(cells.shown * gap), strength)


def latent(cells: Cells, model: LatentRelevance, prior: Doubles | None = None) -> Relevance:
    """P(relevant | clicks): float64[pairs]."""
    return Relevance(
        model.posterior(cells, prior), cells.by_pair(cells.shown * model.propensity[cells.context])
    )


def pooled(gained: Doubles, exposure: Doubles, strength: float) -> Relevance:
    """A ratio of sums with `strength` first-rank impressions of the mean added."""
    mean = float(gained.sum() / max(float(exposure.sum()), LEAST))
    value = np.clip((gained + strength * mean) / np.maximum(exposure + strength, LEAST), 0.0, 1.0)
    return Relevance(value, exposure)
