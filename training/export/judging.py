"""nDCG@10 of a variant on judged pairs, beside that of the reference."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from features.columns import Doubles, Floats
from features.errors import InvalidInput
from training.export.parity import Parity
from training.export.reading import Texts
from training.metrics import NDCG, Conventions, Judge

QUERIES = 200
DEPTH = 50
"""Judged queries and their documents that are looked at; of more, the first."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Pairs with grades; `pairs[i]` has `grades[i]`."""

    pairs: tuple[Texts, ...]
    grades: tuple[float, ...]

    @classmethod
    def of(cls, rows: Iterable[tuple[str, str, float]]) -> "Judged":
        """(query, document, grade) rows, of queries that have a relevant document and another one."""
        lists: dict[str, dict[str, float]] = {}
        for query, document, grade in rows:
            lists.setdefault(query, {})[document] = grade
        told = [query for query, grades in lists.items() if max(grades.values()) >= 1 > min(grades.values())]
        chosen = [(q, d, g) for q in told[:QUERIES] for d, g in list(lists[q].items())[:DEPTH]]
        if not chosen:
            raise InvalidInput("no query has both a relevant document and another one", path="judged")
        return cls(tuple((q, d) for q, d, _ in chosen), tuple(g for _, _, g in chosen))

    def measured(self, parity: Parity, reference: Floats, found: Floats) -> Parity:
        """The parity with what the variant's scores bring and lose."""
        before, after = self.ndcg(reference), self.ndcg(found)
        lost = before - after
        return msgspec.structs.replace(
            parity,
            ndcg_10=float(after.mean()),
            ndcg_10_lost=float(lost.mean()),
            ndcg_10_error=float(lost.std(ddof=1) / np.sqrt(len(lost))) if len(lost) > 1 else 0.0,
        )

    def ndcg(self, scores: Floats) -> Doubles:
        """float64[queries]: nDCG@10 of the order that scores give; NaN goes last."""
        order = np.argsort(-np.nan_to_num(scores, nan=-np.inf), kind="stable").tolist()
        lists: dict[str, list[str]] = {}
        for row in order:
            query, document = self.pairs[row]
            lists.setdefault(query, []).append(document)
        return self.judge().measure(lists)[NDCG]

    def judge(self) -> Judge:
        """What measures the orders."""
        grades: dict[str, dict[str, float]] = {}
        for (query, document), grade in zip(self.pairs, self.grades, strict=True):
            grades.setdefault(query, {})[document] = grade
        return Judge.of(grades, (), Conventions())


def scored_rows(pairs: Sequence[Texts], judged: "Judged | None") -> list[Texts]:
    """Pairs of a trial, then those that are judged: scored in one go and parted again."""
    return [*pairs, *(judged.pairs if judged else ())]
