"""Runs a cascade: the one place where order, cut, ties, deadline, fallback and trace are written.

The rules (ARCHITECTURE.md, "Rules that hold everywhere"): a later stage's verdict stands before an earlier
one's; ties and unscored items keep the previous order; every stage that did not run in full says so.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import NamedTuple, TypeVar

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
    """A declared stage with the loaded one.

    `needs`: stages whose scores it reads.
    """

    spec: StageSpec
    stage: Stage
    needs: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        needs = (name.removeprefix(SCORE) for name in self.stage.reads if name.startswith(SCORE))
        object.__setattr__(self, "needs", tuple(needs))


class Took(NamedTuple):
    """What a stage cost."""

    queue_s: float
    features_s: float
    inference_s: float
    tokens: int


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
    seen, spec = progress.survivors, step.spec
    kept = min(spec.keep or seen, seen)

    def left_out(status: Status, reason: str, seen: int = 0) -> Progress:
        return unplaced(progress, StageReport(spec.name, status, reason, seen, kept, features_s=features_s))

    reason = missing_score(step, progress.ranking)
    if request.deadline.expired:
        return left_out(Status.SKIPPED_BUDGET, "the deadline had passed")
    if reason:
        if spec.on_error == "fail":
            raise NotReady(f"stage {spec.name!r} {reason}")
        return left_out(Status.FAILED, reason)
    start = perf_counter()
    try:
        result = score(step, progress, request)
    except Exception as error:
        if spec.on_error == "fail":
            raise
        return left_out(Status.FAILED, describe(error, step), seen)
    took = Took(result.queue_s, features_s, perf_counter() - start - result.queue_s, result.tokens)
    return placed(progress, step, kept, result, took, request.top_k or DEFAULT_TOP_K)


def missing_score(step: Step, ranking: Ranking) -> str:
    """Why a stage cannot run: it reads the score of one that did not."""
    if not step.needs:
        return ""
    ran = {report.name for report in ranking.reports if report.status in FINISHED}
    absent = [SCORE + name for name in step.needs if name not in ran]
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


def outcome(step: Step, result: StageResult) -> tuple[Status, str]:
    """What became of a stage that gave scores, and why not more."""
    if not result.late:
        return Status.RAN, ""
    if step.spec.on_late == "skip" or np.isnan(result.scores).all():
        return Status.SKIPPED_BUDGET, "the deadline passed inside the stage"
    done = np.isfinite(result.scores).sum()
    return Status.SHRUNK, f"the deadline passed after {done} of {len(result.scores)} candidates"


def placed(
    progress: Progress, step: Step, kept: int, result: StageResult, took: Took, top_k: int
) -> Progress:
    """The ranking after a stage: its verdict first, what it could not score behind, all else as it was."""
    before, seen, name = progress.ranking, progress.survivors, step.spec.name
    status, reason = outcome(step, result)
    told = (name, status, reason, seen, kept)
    if status is Status.SKIPPED_BUDGET:
        return unplaced(progress, reported(told, (0, 0), took))
    scores = result.scores
    order = np.argsort(-scores, kind="stable")  # NaN sorts last, in the previous order
    head = before.rows[:seen][order]
    ordered = scores[order]
    judged = np.isfinite(ordered)
    if not judged.all():
        ordered = np.where(judged, ordered, before.scores[:seen][order])
    after = Ranking(
        rows=followed(head, before.rows),
        scores=followed(ordered, before.scores),
        placed_by=placers(name, judged, order, before.placed_by) + before.placed_by[seen:],
        reports=(*before.reports, reported(told, moved(before, head, top_k), took)),
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
    return Progress(after, progress.matrix.with_column(SCORE + name, column), kept)


def reported(told: tuple[str, Status, str, int, int], moves: tuple[int, int], took: Took) -> StageReport:
    """What a stage did; `told`: name, status, reason, seen and kept."""
    entered, left = moves
    return StageReport(*told, entered, left, took.queue_s, took.features_s, took.inference_s, took.tokens)


def followed(head: NDArray[T], before: NDArray[T]) -> NDArray[T]:
    """What a stage put in order, and behind it what it did not see."""
    return np.concatenate([head, before[len(head) :]]) if len(head) < len(before) else head


def placers(name: str, judged: Flags, order: Rows, before: tuple[str, ...]) -> tuple[str, ...]:
    """Who placed each item, along `order`: this stage where it judged, else whoever did before."""
    if judged.all():
        return (name,) * len(order)
    return tuple(name if mine else before[i] for mine, i in zip(judged.tolist(), order.tolist(), strict=True))


def moved(before: Ranking, head: Rows, top_k: int) -> tuple[int, int]:
    """How many items a stage brought into the top k, and how many it put out of it."""
    old, new = set(before.rows[:top_k].tolist()), set(head[:top_k].tolist())
    if len(head) < top_k:
        new |= set(before.rows[len(head) : top_k].tolist())
    return len(new - old), len(old - new)


def named(rows: Rows, result: StageResult) -> dict[int, str]:
    """Outcomes by the request's row."""
    return {int(rows[row]): why for row, why in result.outcomes.items()}
