"""Every stage of a cascade, learned from logged numbers, kept as it was, or taken as declared."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np

from cascade.config import CascadeConfig
from cascade.deadline import NEVER
from cascade.stage import SCORE, StageSpec
from cascade.stages.fixed import Fixed
from cascade.stages.lambdamart import LambdaMart
from cascade.stages.linear import Linear
from features.columns import Flags, Floats, Rows
from features.errors import NotReady
from training import linear
from training.clicks.sums import summed
from training.dataset import StageData
from training.from_log.base import Base, no_stage
from training.from_log.boost import Judge
from training.from_log.examination import Examination
from training.from_log.held import Yardstick
from training.from_log.pages import LogPages
from training.from_log.sample import Sample, sample_of
from training.from_log.settings import Learning
from training.from_log.trees import Fold, Ground, learn_trees
from training.split import folds_of
from training.trainers import Context, folds_wanted


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """What all stages learn from.

    Attributes:
        config, base: the cascade, and the promoted bundle (None = there is none).
        learning, seen: how, and how often places are looked at.
        held: bool[q] of the pages. `yardstick`: these pages, to judge by.
        go_on: start from the promoted boosters where that is better.
    """

    config: CascadeConfig
    base: Base | None
    learning: Learning
    seen: Examination
    held: Flags
    yardstick: Yardstick
    go_on: bool
    context: Context


@dataclass(frozen=True, slots=True, eq=False)
class LearnedStage:
    """What became of a stage.

    Attributes:
        name: the stage's. `how`: learned, continued, carried or declared.
        fit: what was fitted.
        measured: the held-out metric after it; None = it was not learned.
        notes: what a person should know.
    """

    name: str
    how: str
    fit: Mapping[str, Any]
    measured: float | None
    seconds: float
    notes: tuple[str, ...] = ()


@dataclass(slots=True, eq=False)
class Course:
    """Stage after stage over the same pages; scores of learned stages take the place of logged ones."""

    lesson: Lesson
    pages: LogPages
    directory: Path
    reached: Flags = field(init=False)

    def __post_init__(self) -> None:
        self.reached = np.ones(len(self.pages.place), bool)

    def take(self, position: int) -> LearnedStage:
        """One stage, its files written to the folder of its name."""
        start = perf_counter()
        spec = self.lesson.config.stages[position]
        folder = self.directory / spec.name
        self.reached &= scored_by_itself(self.pages, spec)
        if isinstance(spec, LambdaMart):
            how, fit, measured, notes = self._boost(spec, position, folder)
        elif isinstance(spec, Linear) and spec.weights is None:
            how, fit, measured, notes = self._weigh(spec, position, folder)
        elif isinstance(spec, Linear | Fixed):
            how, fit, measured, notes = "declared", {}, None, ()
            self._replace(spec, self._scores_of(spec, folder, self.pages))
        else:
            how, fit, measured, notes = self._carry(spec, position, folder)
        return LearnedStage(spec.name, how, fit, measured, perf_counter() - start, notes)

    def _columns(self, position: int) -> tuple[str, ...]:
        """What the stage finds: features, then the scores of the stages before it."""
        before = tuple(SCORE + spec.name for spec in self.lesson.config.stages[:position])
        return (*(name for name in self.pages.names if not name.startswith(SCORE)), *before)

    def _read_later(self, position: int) -> bool:
        """Whether a later stage learns from this one's scores."""
        mine, later = (
            SCORE + self.lesson.config.stages[position].name,
            self.lesson.config.stages[position + 1 :],
        )
        return any(
            mine in spec.columns(self._columns(position + 1 + at)) and learns(spec)
            for at, spec in enumerate(later)
        )

    def _boost(self, spec: LambdaMart, position: int, folder: Path) -> tuple[str, dict[str, Any], float, Any]:
        reads = spec.columns(self._columns(position))
        start, why = self._start(spec, reads)
        ground = Ground(
            learn=self._sample(~self.lesson.held, reads, spec),
            whole=self._sample(None, reads, spec),
            judge=self._judge(reads),
            start=start,
            why=why,
        )
        folds = self._folds(spec) if self._read_later(position) else np.zeros(0, np.int64)
        found = learn_trees(spec, ground, folder, lambda: self._fold_samples(spec, reads, folds))
        if len(folds):
            self._replace(spec, self._out_of_fold(folds, found.scores))
        return "continued" if found.best.start else "learned", found.fit, found.best.best, found.notes

    def _start(self, spec: LambdaMart, reads: tuple[str, ...]) -> tuple[Path | None, str]:
        """(the promoted booster, ""), or (None, why there is none)."""
        if not self.lesson.go_on:
            return None, ""
        return self.lesson.base.booster(spec, reads) if self.lesson.base else (None, "nothing is promoted")

    def _folds(self, spec: LambdaMart) -> Rows:
        """int64[q]: pages of one query are in one fold."""
        return folds_of(self.pages.groups(), folds_wanted(spec), self.lesson.context.seed)

    def _fold_samples(self, spec: LambdaMart, reads: tuple[str, ...], folds: Rows) -> Iterator[Fold]:
        numbers, values = np.unique(folds).tolist(), self.pages.matrix(reads).values
        for fold in self.lesson.context.track(numbers, f"{spec.name}: out-of-fold scores"):
            yield self._sample(folds != fold, reads, spec), values[folds[self.pages.page_of_row] == fold]

    def _out_of_fold(self, folds: Rows, parts: Sequence[Floats]) -> Floats:
        """float32[n]: scores by models that did not see the clicks of the row's query."""
        scores = np.empty(len(self.pages.place), np.float32)
        for fold, part in zip(np.unique(folds).tolist(), parts, strict=True):
            scores[folds[self.pages.page_of_row] == fold] = part
        return scores

    def _weigh(self, spec: Linear, position: int, folder: Path) -> tuple[str, dict[str, Any], float, Any]:
        """Weights by the softmax cross-entropy with gains v / θ: its mean is that of relevance, too."""
        reads, part = self._columns(position), self._given(~self.lesson.held)
        with TemporaryDirectory() as scratch:
            linear.fit(spec, self._weighted(part, reads), Path(scratch), self.lesson.context)
            scores = self._scores_of(spec, Path(scratch), self.pages)
        measured = self._judge(reads).measure(scores[self._held_rows()].astype(np.float64))
        self._replace(spec, scores)
        folder.mkdir(parents=True, exist_ok=True)
        fit = linear.fit(spec, self._weighted(self._given(None), reads), folder, self.lesson.context)
        return "learned", {**fit, "rows": len(part.place)}, measured, ()

    def _carry(self, spec: StageSpec, position: int, folder: Path) -> tuple[str, dict[str, Any], None, Any]:
        """As the promoted bundle has it; its logged scores are what later stages learn from."""
        if self.lesson.base is None:
            raise no_stage(spec)
        self.lesson.base.copy(spec, folder)
        if self._read_later(position):
            self.reached &= np.isfinite(self.pages.column(SCORE + spec.name))
            if not self.reached.any():
                message = f"the log holds no score of stage {spec.name!r}, which a later stage learns from"
                raise NotReady(f"{message}; log pages of a version that has it", path="--log")
        return "carried", {"version": self.lesson.base.bundle.version}, None, ()

    def _given(self, chosen: Flags | None) -> LogPages:
        """The rows that the stage is given, of the chosen pages."""
        kept = self.reached if chosen is None else self.reached & chosen[self.pages.page_of_row]
        return self.pages.rows(kept)

    def _held_rows(self) -> Rows:
        """The rows of the yardstick's pages that the stage is given."""
        judged = self.lesson.held & self.pages.tells
        return np.flatnonzero(self.reached & judged[self.pages.page_of_row])

    def _judge(self, reads: tuple[str, ...]) -> Judge:
        judged = (self.lesson.held & self.pages.tells)[self.pages.page_of_row]
        rows = self._held_rows()
        if not len(rows):
            raise NotReady("no held-out page was scored by the stages before", path="--log")
        return Judge(self.lesson.yardstick, self.pages.matrix(reads).values[rows], self.reached[judged])

    def _sample(self, chosen: Flags | None, reads: tuple[str, ...], spec: LambdaMart) -> Sample:
        given = self._given(chosen)
        return sample_of(given, reads, self.lesson.learning, self.lesson.seen, spec.train)

    def _weighted(self, pages: LogPages, reads: tuple[str, ...]) -> StageData:
        theta = self.lesson.seen.at(pages, self.lesson.learning.clip)
        fair = np.ones(len(theta)) if self.lesson.learning.unbiased == "none" else 1 / theta
        gains = np.log2(1 + pages.worth).astype(np.float32), fair.astype(np.float32)
        return StageData(pages.batch(), pages.matrix(reads), gains[0], pages.groups(), gains[1])

    def _scores_of(self, spec: StageSpec, folder: Path, pages: LogPages) -> Floats:
        position = self.lesson.config.stages.index(spec)
        columns = self._columns(position)
        stage = spec.load(folder, columns)
        return stage.score(pages.batch(), pages.matrix(columns), NEVER).scores

    def _replace(self, spec: StageSpec, scores: Floats) -> None:
        self.pages = self.pages.with_columns({SCORE + spec.name: scores})


def learns(spec: StageSpec) -> bool:
    """Whether a stage is learned from a log of numbers."""
    return isinstance(spec, LambdaMart) or (isinstance(spec, Linear) and spec.weights is None)


def scored_by_itself(pages: LogPages, spec: StageSpec) -> Flags:
    """bool[n]: rows that the stage was given when they were logged; all of them where it was not there."""
    own = np.isfinite(pages.column(SCORE + spec.name))
    ran = summed(pages.page_of_row, own.astype(np.float64), len(pages)) > 0
    given: Flags = own | ~ran[pages.page_of_row]
    return given
