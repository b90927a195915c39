"""Every query of a batch through the real ranker, with the order that each stage left behind."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cascade.ranker import Ranker
from cascade.ranking import StageReport
from cascade.request import RankRequest
from features.batch import CandidateBatch
from training.judgments import Grades
from training.progress import Track, quiet
from training.runs import Lists

TOP = 10


@dataclass(frozen=True, slots=True, eq=False)
class StageReplay:
    """What one stage did to all queries.

    Attributes:
        name: the stage's.
        lists: query id → document ids, best first, after the stage.
        reports: query id → the stage's own report.
        open_before, open_after: query id → how many candidates were in the race before and after it.
    """

    name: str
    lists: Lists
    reports: Mapping[str, StageReport]
    open_before: Mapping[str, int]
    open_after: Mapping[str, int]

    def mean_ms(self) -> float:
        """Mean milliseconds a query: waiting, features (the first stage's) and inference."""
        return float(np.mean(self._ms())) if self.reports else 0.0

    def median_ms(self) -> float:
        """Median milliseconds a query."""
        return float(np.median(self._ms())) if self.reports else 0.0

    def _ms(self) -> list[float]:
        return [1e3 * (each.queue_s + each.features_s + each.inference_s) for each in self.reports.values()]

    def tokens(self) -> list[int]:
        """Tokens that a model read, query by query."""
        return [each.tokens for each in self.reports.values()]

    def changed_top(self) -> float:
        """How many of the top 10 the stage brought in, on average over the queries."""
        return float(np.mean([each.entered_top_k for each in self.reports.values()] or [0]))

    def statuses(self) -> dict[str, int]:
        """Status → queries."""
        return dict(Counter(each.status.value for each in self.reports.values()))

    def reasons(self) -> dict[str, int]:
        """Why it did not run in full → queries."""
        return dict(Counter(each.reason for each in self.reports.values() if each.reason))

    def lost_relevant(self, grades: Grades) -> float:
        """The share of all relevant candidates that this stage's cut took out of the race."""
        relevant = lost = 0
        for query, documents in self.lists.items():
            good = [grades.get(query, {}).get(document, 0) >= 1 for document in documents]
            relevant += sum(good)
            lost += sum(good[self.open_after[query] : self.open_before[query]])
        return lost / relevant if relevant else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """One query: the ids after each stage, the stages' reports, and what the ranker warned of."""

    orders: tuple[list[str], ...]
    reports: tuple[StageReport, ...]
    warnings: tuple[str, ...]

    def open_before(self, place: int) -> int:
        """How many candidates a stage found in the race."""
        return self.reports[place - 1].kept if place else len(self.orders[0])

    def open_after(self, place: int) -> int:
        """How many it left in the race; a last stage's cut spares no stage and so cuts nothing."""
        last = place == len(self.reports) - 1
        return self.open_before(place) if last else self.reports[place].kept


def replay(ranker: Ranker, batch: CandidateBatch, track: Track = quiet) -> dict[str, Trace]:
    """Query id → its trace, for every query that has candidates: one request a query, as a server would."""
    return {
        query.id: trace(ranker, batch.only(position))
        for position, query in track(list(enumerate(batch.queries)), "ranking")
        if batch.offsets[position + 1] > batch.offsets[position]
    }


def trace(ranker: Ranker, batch: CandidateBatch) -> Trace:
    """One query through the ranker."""
    rankings = list(ranker.stream(RankRequest(batch, top_k=TOP)))
    orders = tuple([batch.ids[row] for row in ranking.rows.tolist()] for ranking in rankings)
    return Trace(orders, rankings[-1].reports, rankings[-1].warnings)


def by_stage(ranker: Ranker, traces: Mapping[str, Trace]) -> tuple[StageReplay, ...]:
    """The same, stage by stage."""
    return tuple(
        StageReplay(
            name=step.spec.name,
            lists={query: each.orders[place] for query, each in traces.items()},
            reports={query: each.reports[place] for query, each in traces.items()},
            open_before={query: each.open_before(place) for query, each in traces.items()},
            open_after={query: each.open_after(place) for query, each in traces.items()},
        )
        for place, step in enumerate(ranker.steps)
    )
