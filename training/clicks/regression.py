"""Propensities by regression-EM: attractiveness is a function of features; a pair may stand at one rank.

P(C = 1) = θ_k · σ(f(x)). Wang et al., "Position Bias Estimation for Unbiased Learning to Rank in Personal
Search" (WSDM 2018), who fit a new model in every M-step; here one booster grows along the gradient of the
same likelihood, a tree a round, which EM's expectations give (Fisher's identity): ∂/∂f = Σ E[A | C] - n·α.

Where a ranker's order follows from the same features, position and relevance are told apart only by how f is
smooth; `interventions` and `latent` do without that.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit, logit

from features.columns import Doubles, Floats
from training.clicks.cells import Cells

LEAST = 1e-9


@dataclass(frozen=True, slots=True)
class RegressionEm:
    """Settings of the fit."""

    trees: int = 150
    leaves: int = 15
    learning_rate: float = 0.1
    min_in_leaf: int = 50
    seed: int = 7

    def fit(self, cells: Cells, features: Floats) -> "Regression":
        """θ by rank and relevance by pair; `features`: float32[pairs, k]."""
        import lightgbm

        bias = PositionBias(cells)
        start = logit(bias.first_rate())
        data = lightgbm.Dataset(
            features, np.zeros(len(features)), init_score=np.full(len(features), start), free_raw_data=False
        )
        booster = lightgbm.train(self.parameters(bias), data, num_boost_round=self.trees)
        relevance: Doubles = expit(start + booster.predict(features, raw_score=True))
        return Regression(bias.theta, relevance, booster, start)

    def parameters(self, objective: Any) -> dict[str, Any]:
        """LightGBM's."""
        return {
            "objective": objective,
            "num_leaves": self.leaves,
            "learning_rate": self.learning_rate,
            "min_data_in_leaf": self.min_in_leaf,
            "feature_fraction": 0.8,
            "min_sum_hessian_in_leaf": 1.0,
            "seed": self.seed,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": 1,
            "verbosity": -1,
        }


class PositionBias:
    """LightGBM's objective, which brings θ up to date whenever it is asked for gradients."""

    def __init__(self, cells: Cells) -> None:
        self.cells = cells
        self.seen = np.maximum(cells.by_context(cells.shown), LEAST)
        rates = cells.by_context(cells.clicks) / self.seen
        self.theta = np.clip(rates / max(float(rates[0]), LEAST), LEAST, 1.0)

    def first_rate(self) -> float:
        """The click rate at the first rank: f to begin with."""
        rate = self.cells.by_context(self.cells.clicks)[0] / self.seen[0]
        return float(np.clip(rate, 1e-3, 1 - 1e-3))

    def __call__(self, scores: Doubles, data: Any) -> tuple[Doubles, Doubles]:  # noqa: ARG002
        """Gradient and hessian of the negative log-likelihood by pair."""
        alpha = expit(scores)
        for _ in range(3):
            self.theta = self.improved(alpha[self.cells.pair])
        here, theta = alpha[self.cells.pair], self.theta[self.cells.context]
        missed = self.cells.shown - self.cells.clicks
        attracted = self.cells.clicks + missed * here * (1 - theta) / np.maximum(1 - theta * here, LEAST)
        gradient = alpha * self.cells.by_pair(self.cells.shown) - self.cells.by_pair(attracted)
        known = self.cells.by_pair(self.cells.shown * theta)
        return gradient, np.maximum(known * alpha * (1 - alpha), LEAST)

    def improved(self, alpha: Doubles) -> Doubles:
        """An M-step of θ, whose first is 1: scale cannot be told from attractiveness."""
        theta = self.theta[self.cells.context]
        missed = self.cells.shown - self.cells.clicks
        looked = self.cells.clicks + missed * theta * (1 - alpha) / np.maximum(1 - theta * alpha, LEAST)
        share = self.cells.by_context(looked) / self.seen
        return np.append(1.0, np.clip(share[1:], LEAST, 1.0))


@dataclass(frozen=True, slots=True, eq=False)
class Regression:
    """What regression-EM found.

    Attributes:
        theta: float64[K]: P(E_k = 1), the first one 1.
        relevance: float64[pairs]: σ(f(x)).
    """

    theta: Doubles
    relevance: Doubles
    booster: Any
    start: float

    def predict(self, features: Floats) -> Doubles:
        """σ(f(x)) of other rows: float64[n]."""
        chance: Doubles = expit(self.start + self.booster.predict(features, raw_score=True))
        return chance
