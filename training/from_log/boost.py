"""Boosters of a sample: stopped early by held-out clicks, from scratch or on from another one."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cascade.stages.lambdamart import LambdaMartTraining
from features.columns import Doubles, Flags, Floats
from training.from_log.held import Yardstick
from training.from_log.sample import Sample


@dataclass(frozen=True, slots=True, eq=False)
class Judge:
    """What early stopping looks at.

    Attributes:
        values: float32[m, k]: rows of the yardstick's pages, those that the stage is given.
        rows: bool[n] among the yardstick's: which rows these are; the others come last, as they were.
    """

    yardstick: Yardstick
    values: Floats
    rows: Flags

    def measure(self, scores: Doubles) -> float:
        """The held-out metric of float64[m] scores."""
        return self.yardstick.measure(self._every(scores))

    def difference(self, scores: Doubles, others: Doubles) -> tuple[float, float]:
        """The metric of the ones less that of the others, and its standard error."""
        return self.yardstick.difference(self._every(scores), self._every(others))

    def _every(self, scores: Doubles) -> Doubles:
        every = np.full(len(self.rows), np.nan)
        every[self.rows] = scores
        return every


@dataclass(frozen=True, slots=True, eq=False)
class Boosted:
    """A booster of the pages that are not held out.

    Attributes:
        booster: with all of its trees. `trees`: of those that were added, how many are best.
        best: the metric with them. `start`: where it went on from; None = from scratch.
    """

    booster: Any
    trees: int
    best: float
    start: Path | None

    def held(self, judge: Judge) -> Doubles:
        """float64[m]: scores of the held-out rows by its best trees."""
        count = begun_with(self.start) + self.trees
        found: Doubles = self.booster.predict(
            judge.values, raw_score=True, num_threads=1, num_iteration=count
        )
        return found


def boosted(sample: Sample, judge: Judge, training: LambdaMartTraining, start: Path | None) -> Boosted:
    """A booster, with as many trees as do best on the held-out pages.

    With `early_stopping = 0` in the stage's table it has all the declared trees.
    """
    import lightgbm

    params, learn = sample.parameters(training), sample.dataset()
    curve: list[float] = []

    def score(predictions: Doubles, data: Any) -> tuple[str, float, bool]:  # noqa: ARG001
        curve.append(judge.measure(predictions))
        return "held", curve[-1], True

    stop: list[Any] = []
    if training.early_stopping:
        stop = [lightgbm.early_stopping(training.early_stopping, verbose=False)]
    booster = lightgbm.train(
        params,
        learn,
        num_boost_round=training.trees,
        valid_sets=[lightgbm.Dataset(judge.values, np.zeros(len(judge.values)), reference=learn)],
        feval=score,
        init_model=start,
        callbacks=stop,
        keep_training_booster=True,
    )
    trees = int(np.argmax(curve)) + 1 if training.early_stopping else len(curve)
    return Boosted(booster, trees, curve[trees - 1], start)


def grown(sample: Sample, training: LambdaMartTraining, trees: int, start: Path | None) -> Any:
    """A booster of that many trees more."""
    import lightgbm

    params = sample.parameters(training)
    return lightgbm.train(params, sample.dataset(), num_boost_round=trees, init_model=start)


def begun_with(start: Path | None) -> int:
    """Trees of the model that was gone on from."""
    import lightgbm

    return int(lightgbm.Booster(model_file=start).current_iteration()) if start else 0
