"""Clicks counted by pair and context: all that examination models need of a log, however long it is.

P(C = 1) = γ_context · α_pair. The context is the rank (position-based model) or the rank and the last click
above it (user browsing model).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from features.columns import Doubles, Rows
from training.clicks.em import Climb, Patience, climb
from training.clicks.impressions import Impressions, Source
from training.clicks.model import LEAST
from training.clicks.pairs import WORTH_MERGING, Pairs
from training.clicks.sums import summed

MOST_DENSE = 1 << 25
Sums = tuple[Rows, Doubles, Doubles]
"""Keys, each once and rising, with what was shown and what was clicked."""

ContextOf = Callable[[Impressions], Rows]
"""int64[p, K] of the pages: the context of every position."""


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """m distinct (pair, context), and the size of both sets.

    Attributes:
        pair, context: int64[m].
        shown, clicks: float64[m].
    """

    pair: Rows
    context: Rows
    shown: Doubles
    clicks: Doubles
    pairs: int
    contexts: int

    def by_pair(self, values: Doubles) -> Doubles:
        """float64[pairs]: sums of a value of the cells."""
        return summed(self.pair, values, self.pairs)

    def by_context(self, values: Doubles) -> Doubles:
        """float64[contexts]."""
        return summed(self.context, values, self.contexts)


def gather(source: Source, pairs: Pairs, contexts: int, context_of: ContextOf) -> Cells:
    """The cells of a log: one pass, and sums between its parts."""
    sums = Dense(len(pairs) * contexts) if len(pairs) * contexts <= MOST_DENSE else Sparse()
    for pages in source():
        at = pairs.at(pages)
        there = at >= 0
        keys = (at * contexts + context_of(pages))[there]
        weight = np.broadcast_to(pages.weight[:, None], there.shape)[there]
        sums.add(keys, weight, weight * pages.clicked[there])
    keys, shown, clicks = sums.cells()
    return Cells(keys // contexts, keys % contexts, shown, clicks, len(pairs), contexts)


class Dense:
    """Sums with a place for every possible cell: several times as quick as sorting."""

    def __init__(self, size: int) -> None:
        self.shown, self.clicks = np.zeros(size), np.zeros(size)

    def add(self, keys: Rows, shown: Doubles, clicks: Doubles) -> None:
        """Add to the cells of `keys`."""
        self.shown += summed(keys, shown, len(self.shown))
        self.clicks += summed(keys, clicks, len(self.clicks))

    def cells(self) -> Sums:
        """The cells that occur."""
        keys = np.flatnonzero(self.shown)
        return keys, self.shown[keys], self.clicks[keys]


class Sparse:
    """Sums of the cells that occur alone: those of parts wait until they are worth merging."""

    def __init__(self) -> None:
        self.known: Sums = (np.empty(0, np.int64), np.empty(0), np.empty(0))
        self.waiting: list[Sums] = []

    def add(self, keys: Rows, shown: Doubles, clicks: Doubles) -> None:
        """Add to the cells of `keys`."""
        self.waiting.append(merged([(keys, shown, clicks)]))
        if sum(len(part[0]) for part in self.waiting) > max(len(self.known[0]), WORTH_MERGING):
            self.cells()

    def cells(self) -> Sums:
        """The cells that occur."""
        self.known, self.waiting = merged([self.known, *self.waiting]), []
        return self.known


def merged(parts: list[Sums]) -> Sums:
    """Every key once, with its sums."""
    keys, owner = np.unique(np.concatenate([part[0] for part in parts]), return_inverse=True)
    shown, clicks = (summed(owner, np.concatenate([part[i] for part in parts]), len(keys)) for i in (1, 2))
    return keys, shown, clicks


def fit_products(
    cells: Cells, prior: tuple[float, float], patience: Patience, start: Doubles | None = None
) -> tuple[Doubles, Doubles, Climb]:
    """γ float64[contexts] and α float64[pairs] by EM (MAP: α has a Beta prior of `prior` mean and strength).

    E: an unclicked cell is examined with γ(1 - α)/(1 - γα), and attracts with α(1 - γ)/(1 - γα).
    Contexts that never occur keep the mean γ. `start`: γ to begin with.
    """
    mean, strength = prior
    count = cells.contexts
    seen, owned = cells.by_context(cells.shown), cells.by_pair(cells.shown)

    def step(values: Doubles) -> tuple[Doubles, float]:
        gamma, alpha = values[:count][cells.context], values[count:][cells.pair]
        missed = (cells.shown - cells.clicks) / np.maximum(1 - gamma * alpha, LEAST)
        examined = cells.by_context(cells.clicks + missed * gamma * (1 - alpha))
        attracted = cells.by_pair(cells.clicks + missed * alpha * (1 - gamma))
        better = np.where(seen > 0, examined / np.maximum(seen, LEAST), values[:count])
        drawn = (attracted + strength * mean) / (owned + strength)
        return np.concatenate([better, drawn]), objective(cells, values, prior)

    rates = (cells.by_pair(cells.clicks) + strength * mean) / (owned + strength)
    gammas = np.full(count, 0.5) if start is None else start
    found = climb(step, np.concatenate([gammas, rates]), patience, count)
    gamma = np.where(seen > 0, found.values[:count], np.average(found.values[:count], weights=seen))
    return gamma, found.values[count:], found


def objective(cells: Cells, values: Doubles, prior: tuple[float, float]) -> float:
    """The log-likelihood of the cells and of α under its prior."""
    mean, strength = prior
    gamma, alpha = values[: cells.contexts][cells.context], values[cells.contexts :]
    chance = np.clip(gamma * alpha[cells.pair], 1e-12, 1 - 1e-12)
    said = cells.clicks @ np.log(chance) + (cells.shown - cells.clicks) @ np.log1p(-chance)
    sure = np.clip(alpha, 1e-12, 1 - 1e-12)
    believed = strength * (mean * np.log(sure) + (1 - mean) * np.log1p(-sure))
    return float(said + believed.sum())
