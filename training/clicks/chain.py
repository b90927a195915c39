"""Models in which a person reads down the page: cascade and dynamic Bayesian (DBN), simplified and full.

E_1 = 1; C_k = E_k and A_k; a click satisfies with probability σ; who is satisfied leaves, who is not goes on
with probability γ: P(E_{k+1} | E_k = 1, not clicked) = γ, P(E_{k+1} | C_k = 1) = γ(1 - σ).

Cascade (Craswell et al., WSDM 2008): σ = γ = 1. Simplified DBN: γ = 1. DBN: Chapelle and Zhang, "A Dynamic
Bayesian Network Click Model for Web Search Ranking" (WWW 2009).
"""

from dataclasses import dataclass

import numpy as np

from features.columns import Doubles, Rows
from training.clicks.impressions import Impressions
from training.clicks.model import LEAST, Pages2d
from training.clicks.pairs import Pairs


@dataclass(frozen=True, slots=True, eq=False)
class FittedChain:
    """A chain model with its parameters.

    Attributes:
        alpha, sigma: float64[pairs + 1]: attractiveness and satisfaction, the last one for unknown pairs.
        gamma: persistence.
        after: P(click) where the model thinks that nobody looks: below a satisfying click. The cascade model
            calls such clicks impossible; they get the share that they have in the log.
        objectives: of EM's rounds, never falling; empty where the fit is by counting.
    """

    name: str
    pairs: Pairs
    alpha: Doubles
    sigma: Doubles
    gamma: float
    after: float = 0.0
    objectives: tuple[float, ...] = ()

    @property
    def attractiveness(self) -> Doubles:
        """float64[pairs]."""
        return self.alpha[:-1]

    @property
    def satisfaction(self) -> Doubles:
        """float64[pairs]: P(satisfied | clicked)."""
        return self.sigma[:-1]

    @property
    def relevance(self) -> Doubles:
        """float64[pairs]: α · σ, the share of examinations that end the search (Chapelle and Zhang, 3)."""
        return self.attractiveness * self.satisfaction

    def conditional(self, pages: Impressions) -> Pages2d:
        """P(C_k | clicks above): examination is updated by what was not clicked."""
        seen, attraction = self._given_above(pages), self.alpha[self.pairs.at(pages)]
        return np.where(pages.shown, seen * attraction + (1 - seen) * self.after, 0.0)

    def clicks(self, pages: Impressions) -> Pages2d:
        """P(E_k) · α_k."""
        seen, attraction = self.examination(pages), self.alpha[self.pairs.at(pages)]
        return np.where(pages.shown, seen * attraction + (1 - seen) * self.after, 0.0)

    def examination(self, pages: Impressions) -> Pages2d:
        """P(E_{k+1}) = P(E_k) · γ(1 - α_k σ_k)."""
        at, shown = self.pairs.at(pages), pages.shown
        goes_on = self.gamma * (1 - self.alpha[at] * self.sigma[at])
        return np.where(shown, walked(np.where(shown, goes_on, 1.0)), 0.0)

    def examined(self, pages: Impressions) -> Pages2d:
        """1 down to the last click; below, given that nothing was clicked."""
        at = self.pairs.at(pages)
        return backward(pages, self.alpha[at], self.sigma[at], self.gamma).examined

    def _given_above(self, pages: Impressions) -> Pages2d:
        at, shown = self.pairs.at(pages), pages.shown
        alpha, sigma = self.alpha[at], self.sigma[at]
        seen, here = np.zeros(shown.shape), np.ones(len(pages))
        for rank in range(pages.positions):
            seen[:, rank] = np.where(shown[:, rank], here, 0.0)
            missed = (1 - alpha[:, rank]) * here / np.maximum(1 - here * alpha[:, rank], LEAST)
            left = np.where(pages.clicked[:, rank], 1 - sigma[:, rank], missed)
            here = np.where(shown[:, rank], self.gamma * left, here)
        return seen


def walked(goes_on: Pages2d) -> Pages2d:
    """The product of what stands to the left of each position."""
    before = np.ones_like(goes_on)
    np.cumprod(goes_on[:, :-1], axis=1, out=before[:, 1:])
    return before


def last_clicks(pages: Impressions) -> Rows:
    """int64[p]: the position of the last click, counted from 0; -1 without one."""
    marked = np.where(pages.clicked, np.arange(1, pages.positions + 1), 0)
    last: Rows = marked.max(axis=1, initial=0) - 1
    return last


@dataclass(frozen=True, slots=True, eq=False)
class Expected:
    """What EM expects of pages.

    Attributes:
        examined: float64[p, K]: P(E_k = 1 | clicks).
        satisfied: float64[p]: P(satisfied by the last click | clicks); 0 without one.
        log_likelihood: float64[p].
    """

    examined: Pages2d
    satisfied: Doubles
    log_likelihood: Doubles


def backward(pages: Impressions, alpha: Pages2d, sigma: Pages2d, gamma: float) -> Expected:
    """The E-step of the DBN.

    Down to the last click l everything is examined. Below, with T_k = P(no click from k on | E_k = 1):
    T_k = (1 - α_k)(1 - γ + γ T_{k+1}), and P(no click below l) = σ_l + (1 - σ_l)(1 - γ + γ T_{l+1}).
    """
    last, shown = last_clicks(pages), pages.shown
    quiet = tails(pages, alpha, gamma)
    rows, stays = np.arange(len(pages)), np.maximum(last, 0)
    clicked = last >= 0
    final = sigma[rows, stays]
    unsatisfied = (1 - final) * (1 - gamma + gamma * quiet[rows, stays + 1])
    below = np.where(clicked, final + unsatisfied, quiet[:, 0])
    satisfied = np.where(clicked, final / np.maximum(below, LEAST), 0.0)
    left = np.where(clicked, 1 - satisfied, 1.0)
    examined = np.zeros(shown.shape)
    here = np.ones(len(pages))
    for rank in range(pages.positions):
        there, tail = shown[:, rank], rank > last
        examined[:, rank] = np.where(there, np.where(tail, here, 1.0), 0.0)
        at_last = np.where(rank == last, left, 1.0)
        following = gamma * quiet[:, rank + 1]
        goes = here * at_last * following / np.maximum(1 - gamma + following, LEAST)
        here = np.where(there & (rank >= last), goes, here)
    return Expected(
        examined, satisfied, np.log(np.maximum(below, 1e-300)) + above(pages, alpha, sigma, gamma)
    )


def tails(pages: Impressions, alpha: Pages2d, gamma: float) -> Pages2d:
    """float64[p, K + 1]: T_k, of which only what stands below the last click has a meaning."""
    quiet = np.ones((len(pages), pages.positions + 1))
    shown = pages.shown
    for rank in reversed(range(pages.positions)):
        below = quiet[:, rank + 1]
        missed = (1 - alpha[:, rank]) * (1 - gamma + gamma * below)
        quiet[:, rank] = np.where(shown[:, rank], missed, below)
    return quiet


def above(pages: Impressions, alpha: Pages2d, sigma: Pages2d, gamma: float) -> Doubles:
    """ln P of what happened down to the last click: everything there is examined."""
    ranks, last = np.arange(pages.positions), last_clicks(pages)[:, None]
    upto = pages.shown & (ranks <= last)
    happened = np.where(pages.clicked, alpha, 1 - alpha)
    went_on = np.where(pages.clicked, 1 - sigma, 1.0) * gamma
    nats = np.where(upto, np.log(np.maximum(happened, 1e-300)), 0.0)
    nats += np.where(upto & (ranks < last), np.log(np.maximum(went_on, 1e-300)), 0.0)
    total: Doubles = nats.sum(axis=1)
    return total
