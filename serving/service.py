"""The Ranking service. Its methods have no try/except: errors become statuses in `interceptors`."""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from math import inf
from time import monotonic

import grpc
import structlog

from cascade.deadline import Deadline
from serving.admission import RESERVE, Admission
from serving.answer import to_report, to_response
from serving.convert import Work, budget_s, to_work
from serving.credentials.access import Access
from serving.documents import Tables
from serving.experiments.answer import Answer
from serving.experiments.parts import Part
from serving.experiments.taking import Taking
from serving.gather import as_finished
from serving.interceptors import or_failure
from serving.observe import Metrics
from serving.places import Places
from serving.profiles.lookup import Personal
from serving.quotas import Quotas, actual, estimate
from serving.rankers import Catalogue
from serving.recorder import Recorder
from serving.register import Register
from serving.settings import Settings
from serving.status import Gone
from sluice.v1 import ranking_pb2 as pb
from sluice.v1 import ranking_pb2_grpc as rpc

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Job:
    """A request with who answers it and by when. `cost`: what its tenant was charged, in units of quotas."""

    message: pb.RankRequest
    request_id: str
    part: Part
    deadline: Deadline
    context: grpc.ServicerContext
    cost: float
    warnings: tuple[str, ...] = ()

    def check(self) -> None:
        """Stop work that nobody waits for any more; called at stage borders."""
        if not self.context.is_active():
            raise Gone


class RankingService(rpc.RankingServicer):
    """Rank, RankStream and RankMany over one catalogue."""

    def __init__(
        self,
        catalogue: Catalogue,
        settings: Settings,
        metrics: Metrics,
        pool: Executor,
        clock: Callable[[], float],
        new_id: Callable[[], str],
        recorder: Recorder,
        taking: Taking,
        register: Register,
        quotas: Quotas,
        access: Access,
        personal: Personal,
        tables: Tables,
    ) -> None:
        self.admission = Admission(settings.cores, settings.queue, reserve=RESERVE)
        self._catalogue, self._settings, self._metrics = catalogue, settings, metrics
        self._pool, self._clock, self._new_id, self._recorder = pool, clock, new_id, recorder
        self._taking, self._register, self._quotas = taking, register, quotas
        self._access, self._personal, self._tables = access, personal, tables
        self._streams = Places(settings.streams, "RankMany calls are open; close one or come back")
        metrics.in_flight.set_function(lambda: self.admission.in_flight)

    def Rank(self, request: pb.RankRequest, context: grpc.ServicerContext) -> pb.RankResponse:  # noqa: N802
        """The final ranking."""
        with self.admission.admitted(self._register.share(request.tenant)):
            return self._final(self._begin(request, context))

    def RankStream(  # noqa: N802
        self, request: pb.RankRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.RankResponse]:
        """The ranking after every stage; a slow reader holds no worker."""
        with self.admission.admitted(self._register.share(request.tenant)):
            job = self._begin(request, context)
            with self.admission.computing(job.deadline, 1.0 + len(request.candidates.ids)):
                work = self._read(job)
                answers = job.part.answers(work.request)
            while (response := self._next(job, work, answers)) is not None:
                yield response

    def RankMany(  # noqa: N802
        self, request_iterator: Iterator[pb.RankRequest], context: grpc.ServicerContext
    ) -> Iterator[pb.RankResponse]:
        """Every request's final ranking, as they finish."""
        window = 2 * self._settings.cores
        with self._streams.place(self._access.holder(context)):
            yield from as_finished(
                request_iterator, partial(self._one, context), self._pool, window, context.add_callback
            )

    def _one(self, context: grpc.ServicerContext, message: pb.RankRequest) -> pb.RankResponse:
        return or_failure(lambda: self._final(self._begin(message, context)), message, self._new_id)

    def _begin(self, message: pb.RankRequest, context: grpc.ServicerContext) -> Job:
        deadline = self._deadline(message, context)
        limited = self._quotas.limited(message.tenant)
        served = self._catalogue.get(message.tenant, message.ranker, deadline)
        cost = estimate(message, served.ranker.steps) if limited else 0.0
        if limited:
            self._quotas.charge(message.tenant, cost)
        request_id = message.request_id or self._new_id()
        part = self._taking.part(message, request_id, served)
        return Job(message, request_id, part, deadline, context, cost, served.warnings)

    def _deadline(self, message: pb.RankRequest, context: grpc.ServicerContext) -> Deadline:
        """The earlier of the call's deadline and the request's budget, less the answer's way home."""

        def gone() -> bool:
            return not context.is_active()

        left = min(
            (each for each in (context.time_remaining(), budget_s(message)) if each is not None), default=inf
        )
        at = monotonic() + left - self._settings.reserve_ms / 1e3
        share = self._register.share(message.tenant)
        return Deadline(at, cancelled=gone, aside=self.admission.aside, share=share)

    def _read(self, job: Job) -> Work:
        join = partial(self._tables.join, job.message.tenant)
        part, limits, now = job.part, self._settings.limits, self._clock()
        work = to_work(job.message, part.reads, limits, job.deadline, now, join, part.spared)
        return self._personal.joined(job.message.tenant, part.reads, work)

    def _final(self, job: Job) -> pb.RankResponse:
        """All stages under one permit."""
        with self.admission.computing(job.deadline, 1.0 + len(job.message.candidates.ids)):
            job.check()
            work = self._read(job)
            *_, answer = checked(job.part.answers(work.request), job.check)
            return self._respond(job, work, answer)

    def _next(self, job: Job, work: Work, answers: Iterator[Answer]) -> pb.RankResponse | None:
        """One stage further, under a permit for that stage alone."""
        with self.admission.computing(job.deadline):
            job.check()
            answer = next(answers, None)
            return None if answer is None else self._respond(job, work, answer)

    def _respond(self, job: Job, work: Work, answer: Answer) -> pb.RankResponse:
        message, ranker, ranking = job.message, answer.ranker, answer.ranking
        top = ranking.top(message.top_k)
        told = answer.explain(work.request, top) if message.explain == pb.EXPLAIN_FEATURES else ()
        response = to_response(top, work.request, told)
        response.request_id, response.ranker, response.version = job.request_id, ranker.name, ranker.version
        response.degraded |= work.degraded
        response.arm = answer.arm
        response.teams.extend(answer.made_of.teams(len(top.rows)) if answer.made_of else ())
        response.warnings.extend(job.warnings + work.warnings + answer.warnings)
        if message.explain != pb.EXPLAIN_NONE:
            response.stages.extend(map(to_report, ranking.reports))
        if ranking.final:
            self._quotas.settle(message.tenant, job.cost, actual(ranking))
            self._record(job, answer)
            asked = message.log if message.HasField("log") else None
            told_of_log = self._recorder.answered(
                message.tenant, job.request_id, asked, answer, work.request, top
            )
            response.warnings.extend(told_of_log)
        return response

    def _record(self, job: Job, answer: Answer) -> None:
        ranking, ranker = answer.ranking, answer.ranker
        self._metrics.ranked(ranking, len(ranking.rows))
        if ranking.degraded or self._settings.log_requests:
            log.info(
                "degraded" if ranking.degraded else "ranked",
                request_id=job.request_id,
                tenant=job.message.tenant,
                ranker=ranker.name,
                version=ranker.version,
                candidates=len(ranking.rows),
                stages={report.name: report.status.value for report in ranking.reports},
            )


def checked(answers: Iterator[Answer], check: Callable[[], None]) -> Iterator[Answer]:
    """The answers, with a check at every stage border."""
    for answer in answers:
        check()
        yield answer
