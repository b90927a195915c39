"""What a canary and an interleaving answer. Where an arm fails, the control answers."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import structlog

from cascade.experiments.declared import CANARY, INTERLEAVE
from cascade.experiments.draft import Draft, drafted, seeded
from cascade.ranker import Ranker
from cascade.ranking import DEGRADED, Ranking
from cascade.request import RankRequest
from features.errors import NotReady, OutOfTime, SluiceError
from serving.experiments.answer import Answer, Interleaved, owners, places, plain
from serving.experiments.metrics import ExperimentMetrics

log = structlog.get_logger()

DEPTH = 200
"""Places that are drafted where more are asked for: nobody looks so far down."""


def canary(
    ranker: Ranker, control: Ranker, request: RankRequest, arm: str, metrics: ExperimentMetrics
) -> Iterator[Answer]:
    """The arm's rankings after every stage; from where it fails, the control's.

    Raises:
        OutOfTime: if the deadline passed before any stage had finished.
    """
    try:
        yield from plain(ranker, request, arm)
    except OutOfTime:
        raise
    except Exception as error:
        warnings = (fell_back(error, ranker),)
    else:
        metrics.answered(CANARY, fell_back=False)
        return
    metrics.answered(CANARY, fell_back=True)
    yield from (replace(answer, warnings=warnings) for answer in plain(control, request, arm))


def interleaved(
    rankers: Sequence[Ranker], request: RankRequest, arm: str, seed: int, metrics: ExperimentMetrics
) -> Iterator[Answer]:
    """The control's rankings on the way, and in the end a page drafted from those of all.

    The control's alone where another arm fails, or is cut short by what time the control left it: the page
    would be worse for the experiment's sake, and the comparison unfair.
    """
    control = rankers[0]
    for ranking in control.stream(request):
        if ranking.final:
            answer = drafted_from(rankers, ranking, request, arm, seed)
            metrics.answered(INTERLEAVE, fell_back=answer.made_of is None)
            yield answer
        else:
            yield Answer(control, ranking, arm)


def drafted_from(
    rankers: Sequence[Ranker], first: Ranking, request: RankRequest, arm: str, seed: int
) -> Answer:
    """The interleaved page, or the control's with the reason."""
    rankings = [first]
    for ranker in rankers[1:]:
        try:
            rankings.append(whole(ranker.rank(request)))
        except Exception as error:
            return Answer(rankers[0], first, arm, (fell_back(error, ranker),))
    rows = [ranking.rows for ranking in rankings]
    draft = drafted(rows, min(request.top_k or DEPTH, DEPTH), seeded(seed))
    made_of = Interleaved(draft, tuple(rankers), tuple(rankings))
    return Answer(rankers[0], mixed(draft, rankings), arm, made_of=made_of)


def whole(ranking: Ranking) -> Ranking:
    """The ranking itself, if every stage ran in full.

    Raises:
        NotReady: naming the first that did not.
    """
    for report in ranking.reports:
        if report.status in DEGRADED:
            raise NotReady(f"stage {report.name!r} was {report.status.value}: {report.reason}")
    return ranking


def mixed(draft: Draft, rankings: Sequence[Ranking]) -> Ranking:
    """The control's ranking with the draft's order, each item with the score of the arm that it is due to."""
    owner, rows = owners(draft.teams), draft.rows
    scores = np.empty(len(rows), np.float32)
    placed_by = np.empty(len(rows), object)
    outcomes: dict[int, str] = {}
    for team, ranking in enumerate(rankings):
        mine = owner == team
        at = places(ranking.rows)[rows[mine]]
        scores[mine] = ranking.scores[at]
        placed_by[mine] = np.array(ranking.placed_by, object)[at]
        outcomes |= {row: ranking.outcomes[row] for row in rows[mine].tolist() if row in ranking.outcomes}
    warnings = dict.fromkeys(warning for ranking in rankings for warning in ranking.warnings)
    return replace(
        rankings[0],
        rows=rows,
        scores=scores,
        placed_by=tuple(placed_by.tolist()),
        outcomes=outcomes,
        warnings=tuple(warnings),
    )


def fell_back(error: Exception, ranker: Ranker) -> str:
    """What the caller is told of an arm that failed; the log has the rest."""
    log.error("experiment_arm_failed", ranker=ranker.name, version=ranker.version, exc_info=error)
    why = error.message if isinstance(error, SluiceError) else type(error).__name__
    return f"experiment: arm {ranker.version} failed, and the control answered: {why}"
