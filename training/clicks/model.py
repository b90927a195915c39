"""The contract of a click model, and what all of them are judged by.

Sources: Chuklin, Markov and de Rijke, "Click Models for Web Search" (2015), whose names are used here:
E_k the document at rank k is examined, A it attracts, C_k it is clicked; C_k = E_k and A.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from features.columns import Doubles
from training.clicks.impressions import Impressions, Source
from training.clicks.pairs import Pairs

LEAST = 1e-6
"""No probability is nearer to 0 or 1: one surprise must not make a log impossible."""

Pages2d = NDArray[np.float64]
"""float64[p, K], 0 where a page shows nothing."""


class FittedClickModel(Protocol):
    """A click model with its parameters. Unknown pairs have the mean attractiveness."""

    @property
    def name(self) -> str:
        """The model's name."""
        ...

    @property
    def pairs(self) -> Pairs:
        """The pairs whose attractiveness is known."""
        ...

    @property
    def attractiveness(self) -> Doubles:
        """float64[pairs]: P(A = 1): a click, given that the document is examined."""
        ...

    def conditional(self, pages: Impressions) -> Pages2d:
        """P(C_k = 1 | clicks above k)."""
        ...

    def clicks(self, pages: Impressions) -> Pages2d:
        """P(C_k = 1), whatever is clicked above."""
        ...

    def examination(self, pages: Impressions) -> Pages2d:
        """P(E_k = 1), whatever is clicked."""
        ...

    def examined(self, pages: Impressions) -> Pages2d:
        """P(E_k = 1 | all clicks of the page): 1 where it is clicked."""
        ...


class ClickModel(Protocol):
    """A click model's settings."""

    @property
    def name(self) -> str:
        """The model's name."""
        ...

    def fit(self, source: Source, pairs: Pairs) -> Any:
        """The model with parameters that fit the log: a `FittedClickModel`."""
        ...


@dataclass(frozen=True, slots=True)
class Prior:
    """Beta prior of attractiveness: that many examined impressions of the mean document are added to each.

    The mean is the click rate at the first position unless given: what is examined nearly always.
    """

    strength: float = 1.0
    mean: float | None = None

    def settled(self, shown: Doubles, clicks: Doubles) -> tuple[float, float]:
        """(mean, strength), by the impressions and clicks at each rank."""
        first = clicks[0] / shown[0] if self.mean is None else self.mean
        return float(np.clip(first, 1e-3, 1 - 1e-3)), self.strength


MEAN = Prior()
HALF = Prior(mean=0.5)


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """How well a model foretells clicks.

    Attributes:
        log_likelihood: mean over pages of ln P(the page's clicks).
        perplexity: 2 to the cross-entropy of P(C_k) in bits, over all impressions; 1 is perfect, 2 a coin.
        by_rank: float64[K]: the same at each position.
        given_above: of P(C_k | clicks above) instead.
    """

    log_likelihood: float
    perplexity: float
    by_rank: Doubles
    given_above: float


def judge(model: FittedClickModel, source: Source) -> Verdict:
    """Log-likelihood and perplexity over a log, best one that the model was not fitted on."""
    pages, shown, marginal, chained = 0.0, np.zeros(0), np.zeros(0), np.zeros(0)
    for part in source():
        sums = (
            part.weight @ part.shown,
            loss(part, model.clicks(part)),
            loss(part, model.conditional(part)),
        )
        shown, marginal, chained = (
            added(*each) for each in zip((shown, marginal, chained), sums, strict=True)
        )
        pages += float(part.weight.sum())
    there = np.maximum(shown, LEAST)
    nats, total = float(chained.sum()), max(float(shown.sum()), LEAST)
    return Verdict(
        -nats / max(pages, LEAST),
        float(np.exp(marginal.sum() / total)),
        np.exp(marginal / there),
        float(np.exp(nats / total)),
    )


def added(left: Doubles, right: Doubles) -> Doubles:
    """The sum of two vectors, the shorter one continued by zeros."""
    width = max(len(left), len(right))
    total: Doubles = np.pad(left, (0, width - len(left))) + np.pad(right, (0, width - len(right)))
    return total


def loss(pages: Impressions, probability: Pages2d) -> Doubles:
    """float64[K]: -Σ ln P(what happened) at each position."""
    sure = np.clip(probability, LEAST, 1 - LEAST)
    nats = -np.where(pages.clicked, np.log(sure), np.log1p(-sure))
    total: Doubles = pages.weight @ np.where(pages.shown, nats, 0.0)
    return total


def with_mean(values: Doubles, weights: Doubles) -> Doubles:
    """The values, and their weighted mean behind them, where index -1 finds it for unknown pairs."""
    return np.append(values, np.average(values, weights=weights))


def every(models: Iterable[FittedClickModel], source: Source) -> dict[str, Verdict]:
    """The verdict on each model, by name."""
    return {model.name: judge(model, source) for model in models}
