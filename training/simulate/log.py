"""Simulated logs: pages of a ranker, users who click, dwell; deterministic by seed, marked as simulated."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from features.columns import Doubles, Rows
from training.clicks.impressions import NOTHING, Impressions
from training.clicks.model import Pages2d
from training.simulate.constants import ATTRACTION, DWELL
from training.simulate.users import Users

PART_PAGES = 100_000


@dataclass(frozen=True, slots=True, eq=False)
class Ranked:
    """What may be shown: a page a query (or several a query, by different rankers).

    Attributes:
        query: int64[r].
        documents: int64[r, K]; -1 = nothing.
        grade: float64[r, K]: 0 = not relevant … 1 = as relevant as can be.
        share: float64[r]: how often each page is asked for, summing to 1.
        arm: int64[r]: whose page it is.
    """

    query: Rows
    documents: Rows
    grade: Doubles
    share: Doubles
    arm: Rows

    @classmethod
    def top(
        cls,
        query: Rows,
        offsets: Rows,
        documents: Rows,
        grade: Doubles,
        scores: Doubles,
        depth: int,
        arm: int = 0,
    ) -> "Ranked":
        """The best `depth` of every query's rows by falling score; all queries alike often."""
        owner = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        order = np.lexsort((-scores, owner))
        place = np.arange(len(order)) - offsets[owner]
        kept = place < depth
        shown = np.full((len(offsets) - 1, depth), NOTHING, np.int64)
        grades = np.zeros(shown.shape)
        shown[owner[kept], place[kept]] = documents[order][kept]
        grades[owner[kept], place[kept]] = grade[order][kept]
        count = len(query)
        return cls(query, shown, grades, np.full(count, 1 / count), np.full(count, arm, np.int64))

    def explored(self, other: "Ranked", share: float) -> "Ranked":
        """The same pages, and `other` ones on a share of all requests."""
        both = ((getattr(self, name), getattr(other, name)) for name in ("query", "documents", "grade"))
        query, documents, grade = (np.concatenate(each) for each in both)
        asked = np.concatenate([self.share * (1 - share), other.share * share])
        return Ranked(query, documents, grade, asked, np.concatenate([self.arm, other.arm]))


def shuffled(
    query: Rows, offsets: Rows, documents: Rows, grade: Doubles, depth: int, copies: int, seed: int
) -> Ranked:
    """Arm 1: `depth` of every query's rows in random order, `copies` such pages of every query."""
    random = np.random.default_rng(seed)
    pages = [
        Ranked.top(query, offsets, documents, grade, random.random(len(documents)), depth, arm=1)
        for _ in range(copies)
    ]
    asked, shown, grades = (
        np.concatenate([getattr(one, name) for one in pages]) for name in ("query", "documents", "grade")
    )
    count = copies * len(query)
    return Ranked(asked, shown, grades, np.full(count, 1 / count), np.ones(count, np.int64))


def slotted(
    query: Rows,
    offsets: Rows,
    documents: Rows,
    grade: Doubles,
    scores: Doubles,
    depth: int,
    copies: int,
    seed: int,
) -> Ranked:
    """Arm 1: the best `depth`, one place of which goes to a candidate from below, both drawn at random.

    `copies` such pages of every query; a query without candidates below keeps its page.
    """
    random = np.random.default_rng(seed)
    owner = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    order = np.lexsort((-scores, owner))
    sizes = np.diff(offsets)
    page = Ranked.top(query, offsets, documents, grade, scores, depth)
    pages = []
    for _ in range(copies):
        below = depth + (random.random(len(sizes)) * (sizes - depth)).astype(np.int64)
        place = random.integers(0, depth, len(sizes))
        there = np.flatnonzero(sizes > depth)
        taken = order[offsets[:-1][there] + below[there]]
        shown, grades = page.documents.copy(), page.grade.copy()
        shown[there, place[there]], grades[there, place[there]] = documents[taken], grade[taken]
        pages.append((shown, grades))
    count = copies * len(query)
    asked = np.tile(query, copies)
    shown, grades = (np.concatenate(each) for each in zip(*pages, strict=True))
    return Ranked(asked, shown, grades, np.full(count, 1 / count), np.ones(count, np.int64))


@dataclass(frozen=True, slots=True, eq=False)
class Behaviour:
    """What documents do to users.

    Attributes:
        users: who click.
        attraction: P(A) of grade 0 and of grade 1; grades between lie between.
        satisfaction: P(satisfied | clicked), the same.
        noise: deviation of each pair's attractiveness around its grade's, on the logit scale; a pair keeps
            its own in all pages.
    """

    users: Users
    attraction: tuple[float, float] = ATTRACTION
    satisfaction: tuple[float, float] = (0.3, 0.7)
    noise: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedLog:
    """Pages with clicks that nobody made.

    Attributes:
        ranked: what is shown; behaviour: how users act on it.
        pages: how many pages there are.
        seed: the same seed gives the same log, part by part.
        simulated: always True; whoever writes the log down writes this down too.
    """

    ranked: Ranked
    behaviour: Behaviour
    pages: int
    seed: int
    simulated: bool = True

    def __call__(self) -> Iterator[Impressions]:
        """The log as a `Source`: some hundred thousand pages at a time."""
        truth = self.truth
        for part, start in enumerate(range(0, self.pages, PART_PAGES)):
            random = np.random.default_rng([self.seed, part])
            yield self._draw(min(PART_PAGES, self.pages - start), truth, random)

    def _draw(self, pages: int, truth: tuple[Pages2d, Pages2d], random: np.random.Generator) -> Impressions:
        """Pages drawn by their shares, and clicks on them."""
        ranked = self.ranked
        ends = np.cumsum(ranked.share)
        chosen = np.minimum(np.searchsorted(ends, random.random(pages) * ends[-1]), len(ends) - 1)
        alpha, sigma = (each[chosen] for each in truth)
        documents = ranked.documents[chosen]
        clicked = self.behaviour.users.draw(alpha, sigma, documents != NOTHING, random)
        return Impressions.of(ranked.query[chosen], documents, clicked, arm=ranked.arm[chosen])

    @property
    def truth(self) -> tuple[Pages2d, Pages2d]:
        """float64[r, K] twice: the attractiveness and satisfaction of what `ranked` shows."""
        alpha = between(self.ranked.grade, self.behaviour.attraction)
        if self.behaviour.noise:
            alpha = jittered(alpha, self.ranked, self.behaviour.noise, self.seed)
        return alpha, between(self.ranked.grade, self.behaviour.satisfaction)


def between(grade: Doubles, ends: tuple[float, float]) -> Doubles:
    """Linear in the grade, from the first to the second."""
    return ends[0] + (ends[1] - ends[0]) * grade


def jittered(alpha: Doubles, ranked: Ranked, noise: float, seed: int) -> Doubles:
    """Attractiveness with a pair's own normal deviate on the logit scale, the same wherever it is shown."""
    keys = ranked.query[:, None].astype(np.uint64) << np.uint64(32) | np.maximum(ranked.documents, 0).astype(
        np.uint64
    )
    known, at = np.unique(keys, return_inverse=True)
    deviates = np.random.default_rng([seed, 1 << 20]).normal(0.0, noise, len(known))[at.reshape(keys.shape)]
    odds = alpha / (1 - alpha) * np.exp(deviates)
    moved: Doubles = odds / (1 + odds)
    return moved


def dwell_s(relevant: Doubles, random: np.random.Generator) -> Doubles:
    """Seconds on clicked documents: log-normal, by grade between 0 and 1 (`constants.DWELL`)."""
    (low, low_spread), (high, high_spread) = DWELL
    middle, spread = between(relevant, (low, high)), between(relevant, (low_spread, high_spread))
    seconds: Doubles = np.exp(middle + spread * random.standard_normal(relevant.shape))
    return seconds
