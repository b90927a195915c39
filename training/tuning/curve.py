"""The held-out curve of a fine-tuning, and when it says to stop."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from features.columns import Floats
from training.metrics import NDCG, Conventions, Judge
from training.tuning.batches import List


class Point(msgspec.Struct, frozen=True):
    """How the model was after a step.

    Attributes:
        step: steps taken.
        loss: the mean training loss of a list since the point before; None at the start.
        held_out_loss: the mean loss of a held-out list.
        ndcg: the held-out nDCG@10 (linear gain); None where no held-out list has a relevant document.
    """

    step: int
    loss: float | None
    held_out_loss: float
    ndcg: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """Lists that nothing is learned from, with all candidates in the order of the stage before.

    Attributes:
        grades: a list's grades, float32[d].
    """

    lists: tuple[List, ...]
    grades: tuple[Floats, ...]

    def ndcg(self, scores: Sequence[Floats]) -> float | None:
        """The mean nDCG@10 of the orders that the scores make; ties keep their order."""
        asked = {str(at): grades for at, grades in enumerate(self.grades) if grades.max() >= 1}
        whole = all((grades == np.floor(grades)).all() for grades in asked.values())
        if not asked or not whole:
            return None
        table = {name: {str(row): float(g) for row, g in enumerate(grades)} for name, grades in asked.items()}
        orders = {name: np.argsort(-scores[int(name)], kind="stable").tolist() for name in asked}
        lists = {name: [str(row) for row in order] for name, order in orders.items()}
        return Judge.of(table, (10,), Conventions()).measure(lists).means()[NDCG]


def best_of(curve: Sequence[Point], judge: str) -> Point:
    """The best point, the earliest of equals."""
    return max(curve, key=lambda point: worth(point, judge))


def worth(point: Point, judge: str) -> float:
    """Higher is better; by the loss where there is no nDCG."""
    return -point.held_out_loss if judge == "loss" or point.ndcg is None else point.ndcg


def exhausted(curve: Sequence[Point], judge: str, patience: int) -> bool:
    """Whether the last `patience` points brought nothing better than what was before them."""
    if not patience or len(curve) <= patience:
        return False
    at = list(curve).index(best_of(curve, judge))
    return len(curve) - 1 - at >= patience
