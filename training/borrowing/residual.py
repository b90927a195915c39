"""Residual trees: boosted from the base's scores on one tenant's judgments.

LambdaMART whose gradients start at the base's score s(x) instead of 0 (gradient boosting goes on from any
start: Friedman, "Greedy function approximation", 2001; for adapting rankers, Gao et al., "Learning to rank
with model adaptation", 2009, and Wu et al., "Adapting boosting for information retrieval measures", 2010).
The tenant's score is s(x) + w · r(x) with r the sum of the residual trees.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cascade.stages.lambdamart import LambdaMartTraining
from features.columns import Doubles, Floats, Rows
from training.dataset import StageData, rows_of
from training.lambdamart import dataset, label_gains, learnable, parameters
from training.trainers import Context


@dataclass(frozen=True, slots=True)
class Boosting:
    """How residual trees grow: slowly and small, as what the base knows should not be unlearned.

    Attributes:
        trees: at most that many; held-out queries say how many.
        leaves, least_leaves, queries_a_leaf: a tree has a leaf for so many queries, within these bounds.
        learning_rate, min_in_leaf, lambda_l2: as for `lambdamart`.
    """

    trees: int = 60
    leaves: int = 15
    least_leaves: int = 4
    queries_a_leaf: int = 25
    learning_rate: float = 0.1
    min_in_leaf: int = 20
    lambda_l2: float = 5.0

    def parameters(self, training: LambdaMartTraining, data: StageData) -> dict[str, Any]:
        """LightGBM's: those of the base's training, but for what is said here."""
        leaves = len(data.groups) // self.queries_a_leaf
        return parameters(training, label_gains(data, training)) | {
            "num_leaves": min(max(leaves, self.least_leaves), self.leaves),
            "learning_rate": self.learning_rate,
            "min_data_in_leaf": min(self.min_in_leaf, max(1, len(data.labels) // 10)),
            "lambda_l2": self.lambda_l2,
        }


How = tuple[Boosting, LambdaMartTraining]
"""How residual trees grow, and how the base's stage was trained."""


@dataclass(frozen=True, slots=True, eq=False)
class OutOfFold:
    """Residuals of queries that their trees had not seen.

    Attributes:
        trees: how many are best for held-out queries; 0 = none.
        values: float64[n]: r(x) by that many trees.
        curve: mean nDCG on held-out queries after 0, 1, … trees, as LightGBM counts it.
    """

    trees: int
    values: Doubles
    curve: tuple[float, ...]


def out_of_fold(
    data: StageData, start: Floats, reads: Sequence[str], how: How, folds: Rows, context: Context
) -> OutOfFold:
    """Residual trees fitted once a fold on the others, and how many of them held-out queries want.

    Args:
        data: what the base's last stage is given.
        start: float32[n]: the base's scores.
        reads: the columns that trees read.
        how: how they grow, and how the base's stage was trained.
        folds: int64[q].
    """
    boosting, training = how
    params = boosting.parameters(training, data)
    grown = []
    for fold in context.track(np.unique(folds).tolist(), "residual trees, out of fold"):
        held = folds == fold
        if learnable(data, ~held):
            grown.append((held, *grow(data, start, reads, (params, boosting.trees), held)))
    sizes = [held.sum() for held, *_ in grown]
    mean = np.average([curve for *_, curve in grown], axis=0, weights=sizes) if grown else np.zeros(1)
    trees = int(mean.argmax())
    values = np.zeros(len(data.labels))
    for held, booster, _ in grown if trees else ():
        rows = rows_of(data.batch.offsets, np.flatnonzero(held))
        values[rows] = predict(booster, data.matrix.select(reads)[rows], trees)
    return OutOfFold(trees, values, tuple(mean.tolist()))


def grow(
    data: StageData, start: Floats, reads: Sequence[str], how: tuple[dict[str, Any], int], held: Any
) -> tuple[Any, list[float]]:
    """Trees on the queries outside `held` (bool[q]), and nDCG inside after 0, 1, … of them."""
    import lightgbm

    params, trees = how
    learn, judged = np.flatnonzero(~held), np.flatnonzero(held)
    learned, told = (start[rows_of(data.batch.offsets, part)] for part in (learn, judged))
    train_set = dataset(data.queries(learn), reads, params, start=learned)
    held_set = dataset(data.queries(judged), reads, params, train_set, start=told)
    booster = lightgbm.Booster(params, train_set)
    booster.add_valid(held_set, "held")
    curve = [booster.eval_valid()[0][2]]
    while len(curve) <= trees and not booster.update():
        curve.append(booster.eval_valid()[0][2])
    return booster, curve + curve[-1:] * (trees + 1 - len(curve))


def fit(data: StageData, start: Floats, reads: Sequence[str], how: How, trees: int) -> Any:
    """A booster of that many residual trees, fitted on all queries."""
    import lightgbm

    boosting, training = how
    params = boosting.parameters(training, data)
    return lightgbm.train(params, dataset(data, reads, params, start=start), num_boost_round=trees)


def predict(booster: Any, values: Floats, trees: int) -> Doubles:
    """float64[n]: the sum of the first trees."""
    found: Doubles = booster.predict(values, raw_score=True, num_iteration=trees, num_threads=1)
    return found
