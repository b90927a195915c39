"""Lists for fine-tuning out of a stage's candidates: drawn anew in every epoch, with a teacher's scores."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from features.columns import Floats, Rows
from training.dataset import StageData
from training.split import folds_of
from training.tuning.batches import List
from training.tuning.curve import Held

HARD = 2.0
"""A candidate at the top of the previous order is drawn this much likelier than one at its end."""
HELD_QUERIES = 128
"""More of them would cost more labels and more time than a finer curve is worth."""
HELD_LEAST = 8
"""Fewer make no curve."""
HELD_DEPTH = 32
"""Candidates of a held-out query, the best of the previous order."""


class Drawing(Protocol):
    """How lists are drawn: the `train` table of a stage, where its fields are described."""

    @property
    def positives(self) -> int: ...

    @property
    def negatives(self) -> int: ...

    @property
    def teacher_weight(self) -> float: ...

    @property
    def redraw(self) -> bool: ...

    @property
    def held_out(self) -> float: ...

    @property
    def seed(self) -> int: ...


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """The lists of every epoch.

    Attributes:
        documents: the text of every row; one without text is never drawn.
        teacher: float32[n], NaN where the teacher has no score.
    """

    data: StageData
    documents: list[str]
    training: Drawing
    teacher: Floats | None = None

    def __call__(self, epoch: int) -> list[List]:
        """One list a query that has something to teach: a relevant candidate beside others, or two that the
        teacher knows.

        Up to `positives` relevant candidates, and `negatives` of the others for each, rather those that the
        previous stage ranked high. Targets are the gains 2^grade - 1.
        """
        rng = np.random.default_rng([self.training.seed, epoch if self.training.redraw else 0])
        found = [self.one(query, rng) for query in range(len(self.data.batch.queries))]
        return [one for one in found if one is not None]

    def one(self, query: int, rng: np.random.Generator) -> List | None:
        """A query's list."""
        rows = self.candidates(query)
        chosen = drawn(self.data.labels[rows], self.training, rng)
        if not len(chosen) and self.teacher is not None:
            rows = rows[np.isfinite(self.teacher[rows])]
            chosen = spread(len(rows), self.training, rng)
        return list_of(self.data, query, rows[chosen], self.documents, self.teacher) if len(chosen) else None

    def candidates(self, query: int) -> Rows:
        """The rows that may be drawn; where only the teacher counts, those that it knows."""
        rows = with_text(self.data, query, self.documents)
        if self.teacher is not None and self.training.teacher_weight == 1:
            return rows[np.isfinite(self.teacher[rows])]
        return rows


def with_text(data: StageData, query: int, documents: list[str]) -> Rows:
    """A query's rows that have a text, best of the previous order first."""
    rows = range(int(data.batch.offsets[query]), int(data.batch.offsets[query + 1]))
    return np.array([row for row in rows if documents[row]], np.int64)


def list_of(data: StageData, query: int, rows: Rows, documents: list[str], teacher: Floats | None) -> List:
    """The list of some rows of a query."""
    texts = tuple(documents[row] for row in rows.tolist())
    known = None if teacher is None else teacher[rows]
    return List(data.batch.queries[query].text, texts, gains(data.labels[rows]), known)


def gains(labels: NDArray[np.float32]) -> NDArray[np.float32]:
    """2^grade - 1."""
    return np.exp2(labels) - 1


def drawn(labels: NDArray[np.float32], training: Drawing, rng: np.random.Generator) -> NDArray[np.int64]:
    """Positions of a list's candidates; none where nothing is relevant, or everything equally so."""
    if not len(labels) or labels.max() <= 0 or labels.min() == labels.max():
        return np.empty(0, np.int64)
    relevant, others = np.flatnonzero(labels > 0), np.flatnonzero(labels <= 0)
    best = rng.permutation(relevant)[: training.positives]
    weights = np.linspace(HARD, 1.0, len(labels))[others]
    wanted = min(len(others), training.negatives * len(best))
    worse = rng.choice(others, wanted, replace=False, p=weights / weights.sum()) if wanted else others[:0]
    return np.concatenate([best, worse])


def spread(count: int, training: Drawing, rng: np.random.Generator) -> NDArray[np.int64]:
    """Positions of candidates without labels, as many as a labelled list has; none where there is but one."""
    if count < 2:
        return np.empty(0, np.int64)
    weights = np.linspace(HARD, 1.0, count)
    wanted = min(count, training.positives * (1 + training.negatives))
    return rng.choice(count, max(wanted, 2), replace=False, p=weights / weights.sum()).astype(np.int64)


def parted(data: StageData, training: Drawing, seed: int) -> tuple[Rows, Rows]:
    """The queries to learn from and those to measure the curve on, which share nothing with the others.

    None are held out where these would be too few for a curve. The fold is taken that is nearest to the size
    asked for: where many queries hang together, the fold that has them is much larger.
    """
    count = len(data.groups)
    share = min(training.held_out, HELD_QUERIES / max(count, 1))
    if share * count < HELD_LEAST or len(np.unique(data.groups)) < 2:
        return np.arange(count), np.empty(0, np.int64)
    fold = folds_of(data.groups, max(2, round(1 / share)), seed + 2)
    held = fold == int(np.abs(np.bincount(fold) - share * count).argmin())
    return np.flatnonzero(~held), np.flatnonzero(held)


def held_of(data: StageData, documents: list[str], teacher: Floats | None) -> Held:
    """The lists of held-out queries, with all candidates."""
    lists, grades = [], []
    for query in range(len(data.batch.queries)):
        rows = with_text(data, query, documents)[:HELD_DEPTH]
        if len(rows) > 1:
            lists.append(list_of(data, query, rows, documents, teacher))
            grades.append(data.labels[rows])
    taught = [at for at, one in enumerate(lists) if one.teaches]
    return Held(tuple(lists[at] for at in taught), tuple(grades[at] for at in taught))
