"""Estimators as page values: float64[p] whose mean is the estimate, so that one interval serves them all."""

from dataclasses import dataclass

import numpy as np

from features.columns import Doubles
from training.offpolicy.slates import Slates


@dataclass(frozen=True, slots=True, eq=False)
class Predicted:
    """What a reward model expects.

    Attributes:
        direct: float64[p]: of the target's page.
        logged: float64[p, K]: of each item where it was shown.
    """

    direct: Doubles
    logged: Doubles


def ips(slates: Slates, weights: Doubles) -> Doubles:
    """Σ_k w_k r_k: inverse propensity scoring. Unbiased with the full support of the logging policy."""
    values: Doubles = (weights * np.where(slates.shown, slates.reward, 0.0)).sum(axis=1)
    return values


def self_normalised(slates: Slates, weights: Doubles) -> Doubles:
    """Σ_k m_k · (Σ_p w_pk r_pk / Σ_p w_pk), m_k the share of pages that have place k, linearised by page.

    Swaminathan and Joachims, "The Self-Normalized Estimator for Counterfactual Learning" (NIPS 2015); place
    by place as McInerney et al. (KDD 2020). Consistent, bounded by what was earned, slightly biased. A page's
    value is that of the ratio's influence function: v_k·shown_k + m_k·w_pk (r_pk - v_k) / mean(w_k).
    """
    counts = slates.counts
    reward = np.where(counts, slates.reward, 0.0)
    share, mean = counts.mean(axis=0), weights.mean(axis=0)
    safe = np.where(mean > 0, mean, 1.0)
    value = np.where(mean > 0, (weights * reward).mean(axis=0) / safe, 0.0)
    influence = value * counts + share * weights * (reward - value) / safe
    values: Doubles = influence.sum(axis=1)
    return values


def doubly_robust(slates: Slates, weights: Doubles, predicted: Predicted) -> Doubles:
    """r̂(target) + Σ_k w_k (r_k - r̂_k): unbiased if the propensities or the reward model are right.

    Dudík, Langford and Li, "Doubly Robust Policy Evaluation and Learning" (ICML 2011); by place and down the
    page: Kiyohara et al. (WSDM 2022); for position bias: Oosterhuis (TOIS 2023).
    """
    return predicted.direct + ips(slates, weights) - ips_of(predicted.logged, slates, weights)


def ips_of(expected: Doubles, slates: Slates, weights: Doubles) -> Doubles:
    """float64[p]: the weighted sum of what was expected where the page was logged."""
    values: Doubles = (weights * np.where(slates.shown, expected, 0.0)).sum(axis=1)
    return values


def effective_size(slates: Slates, weights: Doubles) -> float:
    """(Σw)² / Σw² in pages: how many unweighted pages would be as good (Kish, "Survey Sampling", 1965).

    Over items, divided by the items a page that could have had a weight: those at places that count, and
    those below that the target brings up.
    """
    squares = float((weights**2).sum())
    items = int((slates.counts | (weights > 0)).sum()) / len(slates)
    return float(weights.sum()) ** 2 / squares / items if squares and items else 0.0
