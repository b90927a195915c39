"""Ranking metrics by ir_measures, query by query, under stated conventions."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import ir_measures
import numpy as np
from ir_measures import RR, R, nDCG

from features.columns import Doubles
from features.errors import InvalidInput
from training.judgments import Grades
from training.runs import Lists

NDCG, MRR = "nDCG@10", "MRR@10"

Gain = Literal["linear", "exponential"]
NoRelevant = Literal["skip", "zero", "one"]


@dataclass(frozen=True, slots=True)
class Conventions:
    """What the metrics mean.

    Attributes:
        gain: a grade's gain in nDCG: the grade itself ("linear", trec_eval's), or 2^grade - 1.
        no_relevant: a query without a relevant document is left out, or counts 0 or 1 in every metric.

    A document is relevant from grade 1 on. nDCG's ideal and recall's whole are all judged documents of the
    query, whether or not they are among the candidates; a query without candidates counts 0.
    """

    gain: Gain = "linear"
    no_relevant: NoRelevant = "skip"

    def gains(self, grades: Grades) -> dict[str, dict[str, int]]:
        """Judgments with gains for grades, as ir_measures reads them.

        Raises:
            InvalidInput: for a grade that is not whole.
        """
        return {
            query: {document: self._gain(grade) for document, grade in judged.items()}
            for query, judged in grades.items()
        }

    def _gain(self, grade: float) -> int:
        if grade != int(grade):
            raise InvalidInput(f"nDCG needs whole grades; there is a grade {grade:g}")
        return int(grade) if self.gain == "linear" else 2 ** int(grade) - 1

    def describe(self) -> str:
        """The conventions in a sentence."""
        gain = "the grade" if self.gain == "linear" else "2^grade - 1"
        lone = {"skip": "left out", "zero": "counted as 0", "one": "counted as 1"}[self.no_relevant]
        return f"gain: {gain}; relevant: grade >= 1; queries without relevant documents: {lone}"


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Metrics query by query: name → float64[queries]."""

    values: Mapping[str, Doubles]

    def means(self) -> dict[str, float]:
        """Name → mean over the queries, 0 where there is none."""
        return {name: float(values.mean()) if len(values) else 0.0 for name, values in self.values.items()}

    def __getitem__(self, name: str) -> Doubles:
        return self.values[name]


@dataclass(frozen=True, eq=False)
class Judge:
    """Measures orders of candidates against judgments.

    Attributes:
        grades: query → document → grade.
        queries: the queries that count, in order.
        alone: how many judged queries have no relevant document.
        depths: the k of recall@k.
        conventions: what the metrics mean.
    """

    grades: Grades
    queries: tuple[str, ...]
    alone: int
    depths: tuple[int, ...]
    conventions: Conventions

    @classmethod
    def of(cls, grades: Grades, depths: Iterable[int], conventions: Conventions) -> "Judge":
        """A judge of all judged queries that count under the conventions."""
        lone = {query for query, judged in grades.items() if max(judged.values(), default=0) < 1}
        skip = lone if conventions.no_relevant == "skip" else set()
        queries = tuple(query for query in grades if query not in skip)
        if not queries:
            raise InvalidInput("no query has a relevant document (a grade of 1 or more)")
        return cls(grades, queries, len(lone), tuple(sorted(set(depths))), conventions)

    def measure(self, lists: Lists) -> Scores:
        """The metrics of the given orders (best first); a query that is not among them counts 0."""
        names: dict[Any, str] = {nDCG @ 10: NDCG, RR @ 10: MRR}
        names |= {R @ depth: f"recall@{depth}" for depth in self.depths}
        place = {query: position for position, query in enumerate(self.queries)}
        values = {name: np.zeros(len(self.queries)) for name in names.values()}
        gains = self.conventions.gains({query: self.grades[query] for query in self.queries})
        run = {query: falling(lists.get(query, ())) for query in self.queries}
        for metric in ir_measures.iter_calc(list(names), gains, run):
            values[names[metric.measure]][place[metric.query_id]] = metric.value
        return Scores(self._with_lone(values))

    def _with_lone(self, values: dict[str, Doubles]) -> dict[str, Doubles]:
        given = 1.0 if self.conventions.no_relevant == "one" else 0.0
        lone = [max(self.grades[query].values()) < 1 for query in self.queries]
        return {name: np.where(lone, given, found) for name, found in values.items()}


def falling(documents: Collection[str]) -> dict[str, float]:
    """Scores that fall by one a place, so that the measured order is this one and has no ties."""
    return {document: float(len(documents) - place) for place, document in enumerate(documents)}
