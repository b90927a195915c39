"""The full dynamic Bayesian network by EM: α and σ by pair, and one persistence γ.

Chapelle and Zhang (WWW 2009); the E-step in closed form, since all above the last click is certain and
nothing below it is clicked (`chain.backward`). One pass over the log a round; sums between its parts.
"""

from dataclasses import dataclass

import numpy as np

from features.columns import Doubles, Rows
from training.clicks.chain import Expected, FittedChain, backward, last_clicks
from training.clicks.em import FEW, Patience, climb
from training.clicks.impressions import Flags, Impressions, Source, clicks_by_rank, condensed
from training.clicks.model import HALF, MEAN, Prior, with_mean
from training.clicks.pairs import Pairs
from training.clicks.sums import summed


@dataclass(frozen=True, slots=True)
class DynamicBayesian:
    """Settings of the fit; `persistence` to begin with."""

    prior: Prior = MEAN
    satisfied: Prior = HALF
    patience: Patience = FEW
    persistence: float = 0.8
    name: str = "dynamic_bayesian"

    def fit(self, source: Source, pairs: Pairs) -> FittedChain:
        """α, σ and γ."""
        source = condensed(source)
        by_rank = clicks_by_rank(source)
        (mean, strength), (ends, weight) = self.prior.settled(*by_rank), self.satisfied.settled(*by_rank)
        size = len(pairs)
        means = np.repeat([mean, ends], size)
        strengths = np.repeat([strength, weight], size)
        last = Sums.over(source, pairs, np.append(self.persistence, means))

        def step(values: Doubles) -> tuple[Doubles, float]:
            nonlocal last
            last = Sums.over(source, pairs, values)
            shares = (last.marked + strengths * means) / (last.counted + strengths)
            on = last.went_on / max(last.could, 1.0)
            sure = np.clip(values[1:], 1e-12, 1 - 1e-12)
            believed = strengths * (means * np.log(sure) + (1 - means) * np.log1p(-sure))
            return np.append(on, shares), last.log_likelihood + float(believed.sum())

        found = climb(step, np.append(self.persistence, means), self.patience, 1)
        alpha, sigma = found.values[1 : size + 1], found.values[size + 1 :]
        known = (
            with_mean(alpha, last.counted[:size] + strength),
            with_mean(sigma, last.counted[size:] + weight),
        )
        return FittedChain(self.name, pairs, *known, float(found.values[0]), 0.0, found.objectives)


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """What a round of EM sums over a log.

    Attributes:
        counted: float64[2 · pairs]: examinations, then clicks.
        marked: float64[2 · pairs]: clicks, then satisfied ones.
        could, went_on: unsatisfied examinations with something below, and those that read on.
        log_likelihood: of the whole log.
    """

    counted: Doubles
    marked: Doubles
    could: float
    went_on: float
    log_likelihood: float

    @classmethod
    def over(cls, source: Source, pairs: Pairs, values: Doubles) -> "Sums":
        """The sums under γ, α and σ, in this order in `values`."""
        size = len(pairs)
        alpha, sigma = values[1 : size + 1], values[size + 1 :]
        total = cls(np.zeros(2 * size), np.zeros(2 * size), 0.0, 0.0, 0.0)
        for pages in source():
            at = pairs.at(pages)
            total = total + cls.of(pages, at, backward(pages, alpha[at], sigma[at], float(values[0])), size)
        return total

    @classmethod
    def of(cls, pages: Impressions, at: Rows, expected: Expected, size: int) -> "Sums":
        """The sums of one part."""
        weight, last = pages.weight[:, None], np.arange(pages.positions) == last_clicks(pages)[:, None]
        seen, clicks = expected.examined * weight, pages.clicked * weight
        ended = np.where(last, expected.satisfied[:, None], 0.0)
        there = at >= 0

        def by_pair(values: Doubles) -> Doubles:
            return summed(at[there], values[there], size)

        above, below = first_and_last(pages)
        return cls(
            np.concatenate([by_pair(seen), by_pair(clicks)]),
            np.concatenate([by_pair(clicks), by_pair(ended * weight)]),
            float((seen * (1 - ended))[pages.shown & ~below].sum()),
            float(seen[pages.shown & ~above].sum()),
            float(pages.weight @ expected.log_likelihood),
        )

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(
            self.counted + other.counted,
            self.marked + other.marked,
            self.could + other.could,
            self.went_on + other.went_on,
            self.log_likelihood + other.log_likelihood,
        )


def first_and_last(pages: Impressions) -> tuple[Flags, Flags]:
    """bool[p, K] twice: the uppermost and the lowest document of every page."""
    ranks, shown = np.arange(pages.positions), pages.shown
    lowest = np.where(shown, ranks, -1).max(axis=1, initial=-1)[:, None]
    return ranks == shown.argmax(axis=1)[:, None], ranks == lowest
