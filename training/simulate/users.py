"""Users who click by a known model; the draws of a million pages take seconds.

The models and their symbols are those of `training/clicks` (Chuklin, Markov and de Rijke, 2015). Draws
depend on nothing but the generator.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from features.columns import Doubles, Rows
from training.clicks.impressions import Flags
from training.clicks.model import Pages2d


class Users(Protocol):
    """Who clicks how."""

    def draw(self, alpha: Pages2d, sigma: Pages2d, shown: Flags, random: np.random.Generator) -> Flags:
        """bool[p, K] clicks on pages whose documents attract with `alpha` and satisfy with `sigma`."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class PositionBasedUsers:
    """P(C_k) = θ_k · α. `theta`: float64[K]."""

    theta: Doubles

    def draw(self, alpha: Pages2d, sigma: Pages2d, shown: Flags, random: np.random.Generator) -> Flags:  # noqa: ARG002
        """Every position on its own."""
        chance = self.theta[: alpha.shape[1]] * alpha
        return shown & (random.random(alpha.shape) < chance)


@dataclass(frozen=True, slots=True, eq=False)
class TrustingUsers:
    """Who takes an item for better because it stands high: P(C_k) = θ_k (trust_k + (1 - trust_k) α).

    With trust_k falling in k. An affine function of attractiveness at every rank (Agarwal et al., "Addressing
    Trust Bias for Unbiased Learning-to-Rank", WWW 2019; Vardasbi et al., CIKM 2020).
    """

    theta: Doubles
    trust: Doubles

    def draw(self, alpha: Pages2d, sigma: Pages2d, shown: Flags, random: np.random.Generator) -> Flags:  # noqa: ARG002
        """Every position on its own."""
        width = alpha.shape[1]
        taken = self.trust[:width] + (1 - self.trust[:width]) * alpha
        return shown & (random.random(alpha.shape) < self.theta[:width] * taken)


@dataclass(frozen=True, slots=True)
class ReadingUsers:
    """Who reads down the page: DBN with persistence γ; σ = γ = 1 is the cascade model."""

    gamma: float = 1.0

    def draw(self, alpha: Pages2d, sigma: Pages2d, shown: Flags, random: np.random.Generator) -> Flags:
        """Down the page, all pages at once."""
        clicked = np.zeros(shown.shape, bool)
        reads = np.ones(len(shown), bool)
        for rank in range(shown.shape[1]):
            there = shown[:, rank]
            clicked[:, rank] = reads & there & (random.random(len(shown)) < alpha[:, rank])
            satisfied = clicked[:, rank] & (random.random(len(shown)) < sigma[:, rank])
            stays = ~satisfied & (random.random(len(shown)) < self.gamma)
            reads = np.where(there, reads & stays, reads)
        return clicked


@dataclass(frozen=True, slots=True, eq=False)
class BrowsingUsers:
    """UBM: P(E_k | last click at j) = gamma[k, j], j = 0 for none. `gamma`: float64[K, K]."""

    gamma: Doubles

    def draw(self, alpha: Pages2d, sigma: Pages2d, shown: Flags, random: np.random.Generator) -> Flags:  # noqa: ARG002
        """Down the page, all pages at once."""
        clicked = np.zeros(shown.shape, bool)
        last: Rows = np.zeros(len(shown), np.int64)
        for rank in range(shown.shape[1]):
            chance = self.gamma[rank, last] * alpha[:, rank]
            clicked[:, rank] = shown[:, rank] & (random.random(len(shown)) < chance)
            last = np.where(clicked[:, rank], rank + 1, last)
        return clicked
