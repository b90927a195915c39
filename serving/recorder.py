"""Impressions that the service logs itself: what it ranked, with the features exactly as it computed them.

Off the request's path: `Rank` hands over references and answers. A thread makes the record and appends it, so
an impression is on the disk within a group commit of its answer, some milliseconds later; what is in between
when the process is killed is lost, and nobody was told otherwise. With `wait` set, `Rank` answers after the
disk, and says so in a warning where the impression could not be kept. It never fails for that.
"""

import threading
from collections.abc import Callable
from concurrent.futures import TimeoutError as Late
from dataclasses import dataclass

import structlog

from cascade.eventlog.writer import LogWriter
from cascade.events import MICROS, Impression
from cascade.experiments.propensities import place_propensities
from cascade.profiles.context import context_of
from cascade.ranker import Ranker
from cascade.ranking import Ranking
from cascade.request import RankRequest
from features.errors import SluiceError
from serving.behind import Behind
from serving.events import values_json
from serving.experiments.answer import Answer, Interleaved
from serving.observe import Metrics
from serving.settings import Feedback

log = structlog.get_logger()

OWN = ("user.id", "user.session_id")
"""Query values that have a field of their own in an impression."""


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """A ranking that was given to a caller, cut to what was returned, and what became of an experiment."""

    tenant: str
    request_id: str
    ranker: Ranker
    request: RankRequest
    ranking: Ranking
    time_us: int
    arm: str = ""
    made_of: Interleaved | None = None


class Recorder:
    """Logs impressions for a server; without a log it only says that there is none."""

    def __init__(
        self, writer: LogWriter | None, settings: Feedback, metrics: Metrics, clock: Callable[[], float]
    ) -> None:
        self._writer, self._settings, self._metrics, self._clock = writer, settings, metrics, clock
        self._behind = Behind("recorder", settings.queue, self._record)

    def answered(
        self,
        tenant: str,
        request_id: str,
        asked: bool | None,
        answer: Answer,
        request: RankRequest,
        top: Ranking,
    ) -> tuple[str, ...]:
        """Log a final ranking where the request, or else the ranker or an experiment, says so.

        Returns:
            What the caller should know.
        """
        ranker = answer.ranker
        if not ((ranker.log or bool(answer.arm)) if asked is None else asked) or not len(top.rows):
            return ()
        if self._writer is None:
            return ("log: this server keeps no event log; the impression was not recorded",)
        time_us = int(self._clock() * MICROS)
        shown = top.top(self._settings.items)
        one = Answered(tenant, request_id, ranker, request, shown, time_us, answer.arm, answer.made_of)
        return self._now(self._writer, one) if self._settings.wait else self._later(one)

    def close(self) -> None:
        """Log what is still waiting, and return."""
        self._behind.close()

    def _now(self, writer: LogWriter, one: Answered) -> tuple[str, ...]:
        try:
            writer.append(one.tenant, [impression(one)]).durable.result(patience(one.request.deadline.left_s))
        except Late:
            return self._lost("late", "the disk took longer than the deadline")
        except SluiceError as error:
            return self._lost("failed", error.message)
        self._metrics.impressions.labels("recorded").inc()
        return ()

    def _later(self, one: Answered) -> tuple[str, ...]:
        if self._behind.offer(one):
            return ()
        return self._lost("dropped", "more impressions wait than this server holds")

    def _lost(self, outcome: str, why: str) -> tuple[str, ...]:
        self._metrics.impressions.labels(outcome).inc()
        return (f"log: the impression was not recorded: {why}",)

    def _record(self, answered: list[Answered]) -> None:
        """Each impression; a failure is counted and logged, and the next one is tried."""
        assert self._writer is not None  # noqa: S101 (`answered` hands nothing over without one)
        for one in answered:
            try:
                receipt = self._writer.append(one.tenant, [impression(one)])
            except Exception as error:
                self._failed(error)
            else:
                receipt.durable.add_done_callback(lambda future: self._settled(future.exception()))

    def _settled(self, error: BaseException | None) -> None:
        if error is not None:
            self._failed(error)
        else:
            self._metrics.impressions.labels("recorded").inc()

    def _failed(self, error: BaseException) -> None:
        self._metrics.impressions.labels("failed").inc()
        log.error("impression_not_recorded", reason=str(error))


def patience(left_s: float | None) -> float | None:
    """Seconds that a thread can wait; None = without end (no deadline means some centuries)."""
    return None if left_s is None or left_s > threading.TIMEOUT_MAX else left_s


def impression(one: Answered) -> Impression:
    """The record of an answer: the shown rows of the features and stage scores that the ranking rests on."""
    query, rows, matrix = one.request.batch.queries[0], one.ranking.rows, one.ranking.matrix
    ids = one.request.batch.ids
    return Impression(
        event_id=one.request_id,
        request_id=one.request_id,
        time_us=one.time_us,
        candidates=tuple(ids[row] for row in rows.tolist()),
        ranker=one.ranker.name,
        version=one.ranker.version,
        query=query.text,
        values=values_json({name: value for name, value in query.values.items() if name not in OWN}),
        user=str(query.values.get("user.id", "")),
        session=str(query.values.get("user.session_id", "")),
        scores=one.ranking.scores.astype("<f4").tobytes(),
        features=matrix.values[rows].astype("<f4").tobytes() if matrix is not None else b"",
        names=matrix.names if matrix is not None else (),
        fingerprint=matrix.fingerprint if matrix is not None else "",
        ranked=len(ids),
        arm=one.arm,
        propensities=propensities(one),
        source="server",
        context=context_of(one.request.batch, rows, one.ranker.inputs),
        teams=one.made_of.teams(len(rows)) if one.made_of else (),
    )


def propensities(one: Answered) -> bytes:
    """How probable the draft of two rankings made each shown item's place; nothing for any other answer."""
    if one.made_of is None or len(one.made_of.rankings) != 2:
        return b""
    first, second = (ranking.rows for ranking in one.made_of.rankings)
    chances = place_propensities(first, second, one.made_of.draft.prefix, one.ranking.rows)
    return chances.astype("<f4").tobytes()
