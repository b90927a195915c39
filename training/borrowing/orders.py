"""What a loaded cascade makes of many queries at once: the columns its last stage reads, and the order."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cascade.deadline import NEVER
from cascade.pipeline import Step
from cascade.stage import SCORE
from features.columns import Floats
from training.dataset import StageData
from training.standing import Standing


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Candidates as the last stage of a cascade is given them.

    Attributes:
        all: every candidate, with the scores of the stages before the last as columns.
        given: those that the last stage is given, grouped by query.
        scores: float32[rows of `given`]: the last stage's.
        before: the order before the last stage.
    """

    all: StageData
    given: StageData
    scores: Floats
    before: Standing

    def standing(self, scores: Floats) -> Standing:
        """The last order, by these scores of the rows of `given`."""
        return self.before.scored(scores, None)


def score_by(steps: Sequence[Step], data: StageData) -> Scored:
    """Every stage over the candidates that the one before let through, as in serving without a deadline."""
    *first, last = steps
    standing = Standing.as_sent(data.batch.offsets)
    for step in first:
        scores = score(step, data.rows(standing.alive))
        column = np.full(len(data.labels), np.nan, np.float32)
        column[standing.alive] = scores
        data = data.with_score(SCORE + step.spec.name, column)
        standing = standing.scored(scores, step.spec.keep)
    given = data.rows(standing.alive)
    return Scored(data, given, score(last, given), standing)


def score(step: Step, data: StageData) -> Floats:
    """float32[n] of one stage."""
    return step.stage.score(data.batch, data.matrix, NEVER).scores
