"""Relevance as what clicks have in common: the rates at each rank of relevant and other documents, by EM.

A pair (query, document) is relevant (z = 1) or not, once and for all pages. Where it stands at rank k, it is
clicked at rate ρ_kz. So its clicks are binomial, those of all pairs a mixture, and EM tells both rates of
every rank, with no need for the same document at several ranks: repeated pages of one ranker are enough.
Both rates are free at each rank, which holds the position bias, trust bias (the affine model of Agarwal et
al., WWW 2019, and Vardasbi et al., CIKM 2020: ρ_kz = θ_k ε_kz) and, in the mean, whatever cascade a person
follows.

P(z = 1) is the share at that rank, or a probability given for each pair (from features).
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from features.columns import Doubles
from training.clicks.cells import Cells

LEAST = 1e-9
SMOOTH = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class LatentRelevance:
    """The fitted mixture.

    Attributes:
        rates: float64[K, 2]: P(click at rank k) of what is not relevant, and of what is.
        share: float64[K]: P(z = 1) at rank k.
        objectives: the log-likelihood of EM's rounds, never falling (but for the smoothing of the rates).
    """

    rates: Doubles
    share: Doubles
    objectives: tuple[float, ...]

    @property
    def propensity(self) -> Doubles:
        """float64[K]: what a rank leaves of the difference between relevant and not, relative to the first.

        Under trust bias this is θ_k(ε⁺ - ε⁻), the factor of relevance in the affine model.
        """
        difference = self.rates[:, 1] - self.rates[:, 0]
        relative: Doubles = difference / max(difference[0], LEAST)
        return relative

    def evidence(self, cells: Cells) -> Doubles:
        """float64[pairs]: ln P(clicks | z = 1) - ln P(clicks | z = 0), over all ranks where a pair stood."""
        return cells.by_pair(evidence(cells, self.rates))

    def posterior(self, cells: Cells, prior: Doubles | None = None) -> Doubles:
        """float64[pairs]: P(z = 1 | clicks); `prior` float64[pairs], else by the ranks a pair stood at."""
        known = None if prior is None else logit(np.clip(prior, LEAST, 1 - LEAST))
        before = prior_logit(cells, self.share) if known is None else known
        probability: Doubles = expit(before + self.evidence(cells))
        return probability


def fit_latent(cells: Cells, rounds: int = 300, tolerance: float = 1e-7) -> LatentRelevance:
    """EM from rates at half and twice the rank's click rate, until the likelihood stands still."""
    total, hits = cells.by_context(cells.shown), cells.by_context(cells.clicks)
    mean = (hits + LEAST) / (total + LEAST)
    model = LatentRelevance(
        np.stack([mean * 0.5, np.minimum(mean * 2, 0.95)], axis=1), np.full(len(mean), 0.3), ()
    )
    trace: list[float] = []
    for _ in range(rounds):
        before, found = prior_logit(cells, model.share), model.evidence(cells)
        relevant = expit(before + found)
        trace.append(log_likelihood(cells, model, before, found))
        model = improved(cells, relevant, mean)
        if len(trace) > 1 and trace[-1] - trace[-2] < tolerance * abs(trace[-1]):
            break
    return LatentRelevance(ordered(model.rates), model.share, tuple(trace))


def improved(cells: Cells, relevant: Doubles, mean: Doubles) -> LatentRelevance:
    """The M-step; a click rate hangs on `SMOOTH` impressions with the rank's mean."""
    belongs = relevant[cells.pair]
    rates = []
    for weight in (1 - belongs, belongs):
        hits, total = cells.by_context(weight * cells.clicks), cells.by_context(weight * cells.shown)
        rates.append((hits + SMOOTH * mean) / (total + SMOOTH))
    places = cells.by_context(np.ones(len(cells.pair)))
    share = (cells.by_context(belongs) + 0.5) / (places + 1)
    return LatentRelevance(np.clip(np.stack(rates, axis=1), LEAST, 1 - LEAST), share, ())


def ordered(rates: Doubles) -> Doubles:
    """Relevant is what is clicked more often over all ranks."""
    return rates if rates[:, 1].sum() >= rates[:, 0].sum() else rates[:, ::-1]


def evidence(cells: Cells, rates: Doubles) -> Doubles:
    """float64[m]: the log-likelihood ratio of each cell."""
    other, relevant = rates[cells.context, 0], rates[cells.context, 1]
    missed = cells.shown - cells.clicks
    ratio: Doubles = cells.clicks * np.log(relevant / other) + missed * (
        np.log1p(-relevant) - np.log1p(-other)
    )
    return ratio


def prior_logit(cells: Cells, share: Doubles) -> Doubles:
    """float64[pairs]: the mean log-odds of the ranks where a pair stood, by its impressions there."""
    odds = logit(np.clip(share, LEAST, 1 - LEAST))[cells.context]
    mean: Doubles = cells.by_pair(cells.shown * odds) / np.maximum(cells.by_pair(cells.shown), LEAST)
    return mean


def log_likelihood(cells: Cells, model: LatentRelevance, before: Doubles, found: Doubles) -> float:
    """Of all clicks, summed over both kinds of pair."""
    other = model.rates[cells.context, 0]
    base = cells.clicks * np.log(other) + (cells.shown - cells.clicks) * np.log1p(-other)
    mixed = np.logaddexp(np.log(expit(-before)), np.log(expit(before)) + found)
    return float(base.sum() + mixed.sum())
