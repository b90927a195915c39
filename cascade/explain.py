"""Why an item stands where it does: feature values, and what each brought to a stage's score."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cascade.pipeline import Step
from cascade.ranking import Ranking
from cascade.request import RankRequest
from cascade.stage import SCORE, Explains, Passage, Quotes
from features.columns import Rows
from features.matrix import FeatureMatrix


@dataclass(frozen=True, slots=True)
class Explanation:
    """One item's.

    Attributes:
        stage: whose score the contributions add up to; "" = no stage that scored the item can tell.
        names: the columns that this stage reads; every feature where no stage tells.
        values: along `names`, NaN = missing.
        contributions: along `names`; empty where no stage tells.
        bias: bias + contributions = the stage's raw score.
        reader: the last stage that read the item's text in passages; "" = none did.
        passage: the one that the reader's score is due to.
    """

    stage: str
    names: tuple[str, ...]
    values: tuple[float, ...]
    contributions: tuple[float, ...] = ()
    bias: float = 0.0
    reader: str = ""
    passage: Passage | None = None


def explain(steps: Sequence[Step], request: RankRequest, ranking: Ranking) -> tuple[Explanation, ...]:
    """One explanation an item of the ranking, by the last stage that scored the item and can tell."""
    if ranking.matrix is None:
        return ()
    made: dict[int, Explanation] = {}
    left = ranking.rows
    for step in reversed(steps):
        if isinstance(step.stage, Explains) and SCORE + step.spec.name in ranking.matrix.names:
            scored = ~np.isnan(ranking.matrix.column(SCORE + step.spec.name))
            mine = left[scored[left]]
            # What a listwise stage makes of an item depends on all that it saw.
            rows = np.flatnonzero(scored) if step.spec.listwise else mine
            all_told = told(step, request, ranking.matrix, rows)
            made |= {row: all_told[row] for row in mine.tolist()}
            left = np.array([row for row in left.tolist() if row not in made], np.int64)
    made |= values_alone(ranking.matrix, left)
    for step in steps:
        for row, passage in quoted(step, request, ranking).items():
            made[row] = replace(made[row], reader=step.spec.name, passage=passage)
    return tuple(made[row] for row in ranking.rows.tolist())


def quoted(step: Step, request: RankRequest, ranking: Ranking) -> dict[int, Passage]:
    """Request row → the passage that a stage's score is due to, where it was the last to read the row."""
    read = {row: span for row, (name, span) in ranking.passages.items() if name == step.spec.name}
    rows = [row for row in ranking.rows.tolist() if row in read]
    if not rows or not isinstance(step.stage, Quotes):
        return {}
    batch = request.batch.take(np.array(rows, np.int64))
    found = step.stage.quote(batch, {at: read[row] for at, row in enumerate(rows)})
    return {rows[at]: passage for at, passage in found.items()}


def told(step: Step, request: RankRequest, matrix: FeatureMatrix, rows: Rows) -> dict[int, Explanation]:
    """Request row → what its stage tells of it."""
    batch, reads = request.batch.take(rows), step.stage.reads
    taken = matrix.take(rows, batch.offsets)
    values = taken.select(reads).tolist()
    shares = step.stage.contributions(batch, taken).tolist() if isinstance(step.stage, Explains) else []
    return {
        row: Explanation(step.spec.name, reads, tuple(value), tuple(share[:-1]), share[-1])
        for row, value, share in zip(rows.tolist(), values, shares, strict=True)
    }


def values_alone(matrix: FeatureMatrix, rows: Rows) -> dict[int, Explanation]:
    """Request row → its features, where no stage tells more."""
    names = tuple(name for name in matrix.names if not name.startswith(SCORE))
    values = matrix.select(names)[rows].tolist()
    pairs = zip(rows.tolist(), values, strict=True)
    return {row: Explanation("", names, tuple(value)) for row, value in pairs}
