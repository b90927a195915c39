"""Runs a cascade: the one place where order, cut, ties, deadline, fallback and trace are written.

The rules (ARCHITECTURE.md, "Rules that hold everywhere"): a later stage's verdict stands before an earlier
one's; ties and unscored items keep the previous order; every stage that did not run in full says so.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TypeVar

import numpy as np
import structlog
from numpy.typing import NDArray

from cascade.ranking import INPUT, Ranking, StageReport, Status
from cascade.request import RankRequest
from cascade.stage import SCORE, Stage, StageResult, StageSpec
from features.batch import CandidateBatch
from features.columns import Flags, Rows
from features.errors import NotReady, OutOfTime, SluiceError
from features.matrix import FeatureMatrix

log = structlog.get_logger()

T = TypeVar("T", bound=np.generic)

DEFAULT_TOP_K = 10
FINISHED = frozenset({Status.RAN, Status.SHRUNK, Status.CACHED})

Compute = Callable[[CandidateBatch], FeatureMatrix]


@dataclass(frozen=True, slots=True)
class Step:
    """A declared stage with the loaded one."""

    spec: StageSpec
    stage: Stage


@dataclass(frozen=True, slots=True, eq=False)
class Progress:
    """Where a request stands between two stages: the ranking so far, and the columns stages read.

    `in_order`: all candidates are left, as the request sent them.
    """

    ranking: Ranking
    matrix: FeatureMatrix
    survivors: int
    in_order: bool = False


def run(steps: Sequence[Step], compute: Compute, request: RankRequest) -> Ranking:
    """The final ranking of a request.

    Raises:
        OutOfTime: if the deadline passed before any stage had finished.
    """
    *_, last = stream(steps, compute, request)
    return last


def stream(steps: Sequence[Step], compute: Compute, request: RankRequest) -> Iterator[Ranking]:
    """The ranking after every stage; the last one has `final` set.

    Raises:
        OutOfTime: if the deadline passed before any stage had finished.
    """
    if request.deadline.expired:
        raise OutOfTime("the deadline had passed before ranking began")
    start = perf_counter()
    matrix = compute(request.batch)
    features_s = perf_counter() - start
    progress = Progress(as_sent(len(request.batch)), matrix, len(request.batch), in_order=True)
    for position, step in enumerate(steps):
        progress = advance(progress, step, request, features_s if position == 0 else 0.0)
        final = position == len(steps) - 1
        if final:
            check_finished(progress.ranking)
        yield replace(progress.ranking, final=final, matrix=progress.matrix)
    if not steps:
        yield replace(progress.ranking, final=True, matrix=progress.matrix)


def as_sent(n: int) -> Ranking:
    """The order that the request gave, which no stage has touched."""
    return Ranking(np.arange(n), np.full(n, np.nan, np.float32), (INPUT,) * n, final=False)


def check_finished(ranking: Ranking) -> None:
    """Refuse an answer that no stage had a part in for want of time."""
    statuses = [report.status for report in ranking.reports]
    if Status.SKIPPED_BUDGET in statuses and not FINISHED & set(statuses):
        raise OutOfTime("the deadline passed before any stage had finished")


def advance(progress: Progress, step: Step, request: RankRequest, features_s: float) -> Progress:
    """One stage further."""
    kept = min(step.spec.keep or progress.survivors, progress.survivors)
    blank = StageReport(step.spec.name, Status.RAN, seen=progress.survivors, kept=kept, features_s=features_s)
    reason = missing_score(step, progress.ranking)
    if request.deadline.expired:
        report = replace(blank, status=Status.SKIPPED_BUDGET, reason="the deadline had passed", seen=0)
        return unplaced(progress, report)
    if reason:
        if step.spec.on_error == "fail":
            raise NotReady(f"stage {step.spec.name!r} {reason}")
        return unplaced(progress, replace(blank, status=Status.FAILED, reason=reason, seen=0))
    start = perf_counter()
    try:
        result = score(step, progress, request)
    except Exception as error:
        if step.spec.on_error == "fail":
            raise
        return unplaced(progress, replace(blank, status=Status.FAILED, reason=describe(error, step)))
    elapsed = perf_counter() - start - result.queue_s
    report = replace(blank, inference_s=elapsed, queue_s=result.queue_s, tokens=result.tokens)
    return placed(progress, step, report, result, request.top_k or DEFAULT_TOP_K)


def missing_score(step: Step, ranking: Ranking) -> str:
    """Why a stage cannot run: it reads the score of one that did not."""
    ran = {report.name for report in ranking.reports if report.status in FINISHED}
    absent = [name for name in step.stage.reads if name.startswith(SCORE) and name[len(SCORE) :] not in ran]
    return f"reads {', '.join(absent)}, which did not run" if absent else ""


def describe(error: Exception, step: Step) -> str:
    """What the caller may know of a failure; the traceback goes to the log."""
    log.exception("stage_failed", stage=step.spec.name, kind=step.spec.kind)
    return error.message if isinstance(error, SluiceError) else type(error).__name__


def score(step: Step, progress: Progress, request: RankRequest) -> StageResult:
    """The stage's scores for the survivors, handed over best of the previous order first."""
    batch, matrix = chosen(request.batch, progress)
    result = step.stage.score(batch, matrix, request.deadline)
    if len(result.scores) != progress.survivors or np.isinf(result.scores).any():
        raise SluiceError(f"a {step.spec.kind} stage gave scores that are not one finite number a row")
    return result


def chosen(batch: CandidateBatch, progress: Progress) -> tuple[CandidateBatch, FeatureMatrix]:
    """The rows that a stage sees. The first one sees all of them as they were sent: nothing to copy."""
    if progress.in_order:
        return batch, progress.matrix
    rows = progress.ranking.rows[: progress.survivors]
    taken = batch.take(rows)
    return taken, progress.matrix.take(rows, taken.offsets)


def unplaced(progress: Progress, report: StageReport) -> Progress:
    """A stage that scored nothing: the order stands, and its cut still spares the stages behind it."""
    ranking = replace(progress.ranking, reports=(*progress.ranking.reports, report))
    in_order = progress.in_order and report.kept == progress.survivors
    return Progress(ranking, progress.matrix, report.kept, in_order)


def placed(progress: Progress, step: Step, report: StageReport, result: StageResult, top_k: int) -> Progress:
    """The ranking after a stage: its verdict first, what it could not score behind, all else as it was."""
    before, seen = progress.ranking, progress.survivors
    scores = result.scores
    if result.late:
        if step.spec.on_late == "skip" or np.isnan(scores).all():
            reason = "the deadline passed inside the stage"
            return unplaced(progress, replace(report, status=Status.SKIPPED_BUDGET, reason=reason))
        reason = f"the deadline passed after {np.isfinite(scores).sum()} of {seen} candidates"
        report = replace(report, status=Status.SHRUNK, reason=reason)
    order = np.argsort(-scores, kind="stable")  # NaN sorts last, in the previous order
    head = before.rows[:seen][order]
    ordered = scores[order]
    judged = np.isfinite(ordered)
    if not judged.all():
        ordered = np.where(judged, ordered, before.scores[:seen][order])
    name = step.spec.name
    after = Ranking(
        rows=followed(head, before.rows),
        scores=followed(ordered, before.scores),
        placed_by=placers(name, judged, order, before.placed_by) + before.placed_by[seen:],
        reports=(*before.reports, moved(report, before, head, top_k)),
        outcomes={**before.outcomes, **named(before.rows, result)},
        warnings=before.warnings + tuple(f"{name}: {warning}" for warning in result.warnings),
        passages={
            **before.passages,
            **{int(before.rows[row]): (name, span) for row, span in result.passages.items()},
        },
        final=False,
    )
    column = np.full(len(before.rows), np.nan, np.float32)
    column[before.rows[:seen]] = scores
    return Progress(after, progress.matrix.with_column(SCORE + name, column), report.kept)


def followed(head: NDArray[T], before: NDArray[T]) -> NDArray[T]:
    """What a stage put in order, and behind it what it did not see."""
    return np.concatenate([head, before[len(head) :]]) if len(head) < len(before) else head


def placers(name: str, judged: Flags, order: Rows, before: tuple[str, ...]) -> tuple[str, ...]:
    """Who placed each item, along `order`: this stage where it judged, else whoever did before."""
    if judged.all():
        return (name,) * len(order)
    return tuple(name if mine else before[i] for mine, i in zip(judged.tolist(), order.tolist(), strict=True))


def moved(report: StageReport, before: Ranking, head: Rows, top_k: int) -> StageReport:
    """The report with how many items the stage brought into the top k, and how many it put out of it."""
    old, new = set(before.rows[:top_k].tolist()), set(head[:top_k].tolist())
    if len(head) < top_k:
        new |= set(before.rows[len(head) : top_k].tolist())
    return replace(report, entered_top_k=len(new - old), left_top_k=len(old - new))


def named(rows: Rows, result: StageResult) -> dict[int, str]:
    """Outcomes by the request's row."""
    return {int(rows[row]): why for row, why in result.outcomes.items()}
