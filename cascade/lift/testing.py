"""A small simulated world of pages, stages and people whose true lifts are known. Simulated."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from cascade.eventlog.testing import START_S
from cascade.events import MICROS, Event, Impression, Interaction
from cascade.stage import SCORE
from features.columns import Doubles, Flags, Floats, Rows

STAGES = ("first", "second", "third")


@dataclass(frozen=True, eq=False)
class LiftWorld:
    """Queries with items, what people like, and stages that know it more or less.

    Attributes:
        alpha: float64[queries, items]: attractiveness.
        scores: float32[queries, items, s]: by stage; the last one's order is shown, but for `swaps`.
        theta: float64[items]: how probably each place is seen.
        moods: how far persons differ in how much they click (0 to 1); pages of one hang together.
        swaps: share of pages on which two places are exchanged.
    """

    alpha: Doubles
    scores: Floats
    theta: Doubles
    moods: float = 0.0
    swaps: float = 0.0

    @classmethod
    def drawn(
        cls, seed: int = 1, queries: int = 20, items: int = 5, *, noise: tuple[float, ...] = (1.0, 0.05, 0.1),
        moods: float = 0.0, swaps: float = 0.0,
    ) -> "LiftWorld":  # fmt: skip
        """Stages whose scores are attractiveness up to so much noise."""
        random = np.random.default_rng(seed)
        alpha = random.beta(1, 2, (queries, items)) / 2
        scores = np.stack([alpha + random.normal(0, each, alpha.shape) for each in noise], axis=2)
        theta = 1 / np.arange(1, items + 1)
        return cls(alpha, scores.astype(np.float32), theta, moods, swaps)

    @property
    def stages(self) -> tuple[str, ...]:
        """Their names."""
        return STAGES[: self.scores.shape[2]]

    def value(self, stage: int) -> float:
        """The truth: clicks a page in the order of a stage; of any order for -1."""
        if stage < 0:
            return float(self.alpha.mean() * self.theta.sum())
        order = np.argsort(-self.scores[:, :, stage], axis=1)
        return float((np.take_along_axis(self.alpha, order, axis=1) * self.theta).sum(axis=1).mean())

    def lift(self, stage: int) -> float:
        """The truth of a stage's lift."""
        return self.value(stage) - self.value(stage - 1)

    def pages(self, count: int, seed: int, people: int = 0) -> tuple[Rows, Rows, Rows, Flags]:
        """(query[p], person[p], shown item[p, K], clicked[p, K]) of some pages."""
        random = np.random.default_rng(seed)
        query = random.integers(0, len(self.alpha), count)
        person = random.integers(0, people or count, count)
        shown: Rows = np.argsort(-self.scores[query, :, -1], axis=1).astype(np.int64)
        for page in np.flatnonzero(random.random(count) < self.swaps).tolist():
            one, other = random.choice(shown.shape[1], 2, replace=False)
            shown[page, [one, other]] = shown[page, [other, one]]
        mood = 1 + self.moods * random.choice([-1, 1], people or count)[person]
        chance = self.theta * np.take_along_axis(self.alpha[query], shown, axis=1) * mood[:, None]
        return query, person, shown, random.random(shown.shape) < chance

    def events(self, count: int, seed: int, people: int = 0, **fields: str) -> Iterator[Event]:
        """The same as the service logs it: an impression a page, and its clicks."""
        names = tuple(SCORE + stage for stage in self.stages)
        known: dict[str, Any] = {
            "ranker": "default",
            "version": "v1",
            "source": "server",
            "fingerprint": "f",
            **fields,
        }
        for number, (query, person, shown, clicked) in enumerate(
            zip(*self.pages(count, seed, people), strict=True)
        ):
            request_id, time_us = f"{seed}-{number}", int((START_S + number) * MICROS)
            yield Impression(
                event_id=request_id, request_id=request_id, time_us=time_us, query=f"q{query}",
                candidates=tuple(f"{query}-{item}" for item in shown.tolist()), user=f"u{person}",
                names=names,
                features=self.scores[query, shown].astype("<f4").tobytes(), **known,
            )  # fmt: skip
            for item in shown[clicked].tolist():
                yield Interaction(
                    event_id=f"c{item}", request_id=request_id, candidate_id=f"{query}-{item}", type="CLICK",
                    time_us=time_us + 10 * MICROS,
                )  # fmt: skip
