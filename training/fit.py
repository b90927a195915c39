"""Fits a cascade stage by stage, so that no stage ever learns from a score that saw the label.

A stage's scores for the queries of a fold come from a model fitted on the other folds. By these out-of-fold
scores candidates are cut, and the next stage learns from what was let through, with the scores as columns
(stacked generalisation: Wolpert, 1992). The model that is kept is fitted on all queries.
"""

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from cascade.config import CascadeConfig
from cascade.deadline import NEVER
from cascade.stage import SCORE, StageSpec
from features.batch import CandidateBatch
from features.columns import Floats, Rows
from training.dataset import StageData
from training.metrics import Conventions, Judge
from training.runs import Lists
from training.split import folds_of
from training.standing import Standing
from training.trainers import Context, Trainer, folds_wanted, trainer_of

SCORING_STEPS = 50
"""Parts in which a stage that does not learn scores its queries: a transformer takes a while."""


@dataclass(frozen=True, slots=True, eq=False)
class FittedStage:
    """What became of one stage.

    Attributes:
        name: the stage's.
        fit: what its trainer told.
        standing: the order after it, by out-of-fold scores.
        seconds: of all its fits and scoring.
        scored: bool[q]: the queries whose scores were made without their labels; none where nobody asked.
    """

    name: str
    fit: Mapping[str, Any]
    standing: Standing
    seconds: float
    scored: Any


def fit_cascade(
    config: CascadeConfig, data: StageData, directory: Path, context: Context
) -> tuple[FittedStage, ...]:
    """Every stage fitted, its files written to the folder of its name under `directory`."""
    for spec in config.stages:
        trainer_of(spec).ready(spec)
    standing = Standing.as_sent(data.batch.offsets)
    scored = np.ones(len(data.groups), bool)
    fitted: list[FittedStage] = []
    for position, spec in enumerate(config.stages):
        start = perf_counter()
        given = data.rows(standing.alive)
        metrics = fit_one(spec, given, directory / spec.name, context)
        wanted = wanted_of(config.stages[position + 1 :], scored, context)
        scores, known = out_of_fold(spec, given, context, wanted)
        scored = scored & known
        column = np.full(len(data.labels), np.nan, np.float32)
        column[standing.alive] = scores
        data = data.with_score(SCORE + spec.name, column)
        standing = standing.scored(scores, spec.keep)
        fitted.append(FittedStage(spec.name, metrics, standing, perf_counter() - start, known))
    return tuple(fitted)


def wanted_of(later: tuple[StageSpec, ...], scored: Any, context: Context) -> Any:
    """bool[q]: the queries whose scores somebody reads; None = all, by every fold.

    A later stage that learns reads all of them. Figures alone need no more than one fold, and of a stage that
    does not learn no more than the queries that have scores so far.
    """
    if any(trainer_of(each).learns(each) for each in later):
        return None
    return scored if context.figures else np.zeros_like(scored)


def fit_one(spec: StageSpec, data: StageData, folder: Path, context: Context) -> Mapping[str, Any]:
    """The stage fitted on all its data."""
    folder.mkdir(parents=True)
    return trainer_of(spec).fit(spec, data, folder, context.of(f"{spec.name}/whole"))


def out_of_fold(spec: StageSpec, data: StageData, context: Context, wanted: Any = None) -> tuple[Floats, Any]:
    """float32[n] scores that never saw their row's labels, and bool[q]: which queries have them.

    With `wanted` (bool[q]), where no later stage learns from the scores, a stage that learns is scored for
    the first fold alone, and one that does not for the wanted queries; the rest stays NaN.
    """
    trainer = trainer_of(spec)
    scores = np.full(len(data.labels), np.nan, np.float32)
    if wanted is not None and not wanted.any():
        return scores, wanted
    if not trainer.learns(spec):
        chosen = np.arange(len(data.groups)) if wanted is None else np.flatnonzero(wanted)
        few = np.array_split(chosen, min(len(chosen), SCORING_STEPS) or 1)
        parts = context.track(map(data.queries, few), f"{spec.name}: scores", len(few))
        scores[rows_at(data.batch, chosen)] = fold_scores(trainer, spec, data, parts, context)
        return scores, np.isin(np.arange(len(data.groups)), chosen)
    folds = folds_of(data.groups, folds_wanted(spec), context.seed)
    numbers = np.unique(folds).tolist() if wanted is None else [0]
    for fold in context.track(numbers, f"{spec.name}: out-of-fold scores"):
        held = np.flatnonzero(folds == fold)
        learn = data.queries(np.flatnonzero(folds != fold))
        own = context.of(f"{spec.name}/fold-{fold}")
        scores[rows_at(data.batch, held)] = fold_scores(trainer, spec, learn, [data.queries(held)], own)
    return scores, np.isin(folds, numbers)


def rows_at(batch: CandidateBatch, queries: Rows) -> Rows:
    """The rows of the given queries, which rise."""
    return np.flatnonzero(np.isin(batch.query_of_row, queries))


def fold_scores(
    trainer: Trainer, spec: StageSpec, learn: StageData, held: Iterable[StageData], context: Context
) -> Floats:
    """Scores of the held-out rows, part after part, by a model of the others."""
    with tempfile.TemporaryDirectory() as folder:
        trainer.fit(spec, learn, Path(folder), replace(context, draft=True))
        stage = spec.load(Path(folder), learn.matrix.names)
        return np.concatenate([stage.score(part.batch, part.matrix, NEVER).scores for part in held])


def held_out(
    batch: CandidateBatch, fitted: tuple[FittedStage, ...], grades: Mapping[str, Mapping[str, float]]
) -> dict[str, dict[str, float]]:
    """Stage → its metrics over the queries that every stage scored without their labels.

    `input` is the order as sent. Stages that scored nothing, because no figures were asked for, are left out.
    """
    fitted = tuple(stage for stage in fitted if stage.scored.any())
    counted = np.logical_and.reduce([np.ones(len(batch.queries), bool), *(stage.scored for stage in fitted)])
    chosen = {batch.queries[query].id for query in np.flatnonzero(counted).tolist()}
    judge = Judge.of({query: grades[query] for query in grades if query in chosen}, (10,), Conventions())
    standings = {"input": Standing.as_sent(batch.offsets)}
    standings |= {stage.name: stage.standing for stage in fitted}
    return {name: judge.measure(lists_of(batch, order)).means() for name, order in standings.items()}


def lists_of(batch: CandidateBatch, standing: Standing) -> Lists:
    """Query id → document ids, best first."""
    ids = [batch.ids[row] for row in standing.order.tolist()]
    spans = zip(batch.queries, batch.offsets[:-1].tolist(), batch.offsets[1:].tolist(), strict=True)
    return {query.id: ids[start:end] for query, start, end in spans}
