"""A tenant's judged queries, and what orders of their candidates are worth."""

from dataclasses import dataclass

import numpy as np

from features.columns import Doubles, Floats, Rows
from features.errors import InvalidInput
from training.borrowing.evidence import Mean
from training.borrowing.orders import Scored
from training.dataset import StageData
from training.fit import lists_of
from training.judgments import Grades
from training.metrics import NDCG, Conventions, Judge
from training.runs import Lists


@dataclass(frozen=True, slots=True, eq=False)
class Jury:
    """Queries with a relevant document.

    Attributes:
        judge: measures their orders. `groups`: int64[q], along the judge's queries.
    """

    judge: Judge
    groups: Rows

    @classmethod
    def of(cls, grades: Grades, data: StageData) -> "Jury | None":
        """The jury of some candidates' queries; None where no query has a relevant document."""
        known = {query.id: int(group) for query, group in zip(data.batch.queries, data.groups, strict=True)}
        try:
            judge = Judge.of({key: grades[key] for key in known if key in grades}, (10,), Conventions())
        except InvalidInput:
            return None
        return cls(judge, np.array([known[query] for query in judge.queries], np.int64))

    def measure(self, scored: Scored, scores: Floats | Doubles) -> Doubles:
        """float64[q]: nDCG@10 of the order by these scores of the last stage."""
        standing = scored.standing(scores.astype(np.float32))
        return self.of_lists(lists_of(scored.all.batch, standing))

    def of_lists(self, lists: Lists) -> Doubles:
        """float64[q]: nDCG@10 of these orders; a query without one counts 0."""
        return self.judge.measure(lists)[NDCG]

    def mean(self, values: Doubles) -> Mean:
        """The mean of values along the queries."""
        return Mean.of(values, self.groups)
