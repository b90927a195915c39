"""A client for threads."""

import random
import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import uuid4

import grpc

from sluice.columns import Candidates
from sluice.errors import from_rpc
from sluice.feedback import Event, Recorded, to_record, to_recorded
from sluice.request import Request, to_message
from sluice.results import Failure, Ranking, to_either, to_ranking
from sluice.retry import Retry
from sluice.security import Tls, bearer, open_channel
from sluice.v1 import ranking_pb2_grpc as rpc
from sluice.v1.feedback_pb2_grpc import FeedbackStub

T = TypeVar("T")

TIMEOUT_S = 1.0


class Client:
    """Asks one server for rankings; any number of threads may share it.

    `token` is sent with every call; `tls` says whom to trust. A `channel` of your own brings its security.

    Attributes:
        timeout_s: of a whole call with all its attempts, unless the call names one; a call never goes
            without, because work that nobody waits for is the dearest of all.
    """

    def __init__(
        self,
        target: str,
        tenant: str,
        *,
        ranker: str = "",
        token: str = "",
        tls: Tls | None = None,
        timeout_s: float = TIMEOUT_S,
        retry: Retry | None = None,
        channel: grpc.Channel | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.tenant, self.ranker, self.timeout_s = tenant, ranker, timeout_s
        self._retry, self._clock, self._sleep, self._jitter = retry or Retry(), clock, sleep, jitter
        self._now = now
        self._metadata = bearer(token)
        self._channel = channel or open_channel(grpc, target, tls)
        self._stub: Any = rpc.RankingStub(self._channel)  # type: ignore[no-untyped-call]
        self._feedback: Any = FeedbackStub(self._channel)  # type: ignore[no-untyped-call]

    def rank(
        self, query: str, candidates: Candidates, *, timeout_s: float | None = None, **options: Any
    ) -> Ranking:
        """The ranking of candidates; `options` are the other fields of `Request`.

        Raises:
            InvalidCandidates: if they cannot become columns; nothing was sent.
            RankError: its subclass says what to do next.
        """
        message = self._message(Request(query=query, candidates=candidates, **options))
        return self._attempt(
            lambda left: to_ranking(self._stub.Rank(message, timeout=left, metadata=self._metadata)),
            timeout_s,
        )

    def rank_stream(
        self, query: str, candidates: Candidates, *, timeout_s: float | None = None, **options: Any
    ) -> Iterator[Ranking]:
        """The ranking after every stage; the last one is `final`. Sent again only before the first came."""
        message = self._message(Request(query=query, candidates=candidates, **options))

        def begin(left: float) -> tuple[Ranking, Any]:
            answers = self._stub.RankStream(message, timeout=left, metadata=self._metadata)
            return to_ranking(next(answers)), answers

        first, rest = self._attempt(begin, timeout_s)
        yield first
        yield from translated(map(to_ranking, rest))

    def rank_many(
        self, requests: Iterable[Request], *, timeout_s: float | None = None
    ) -> Iterator[Ranking | Failure]:
        """Many requests on one call, each answered once it is done; `request_id` joins them.

        A request without an id gets one. `timeout_s` is that of the whole call. Never sent again.
        """
        messages = (self._message(request, uuid4().hex) for request in requests)
        left = self.timeout_s if timeout_s is None else timeout_s
        answers = self._stub.RankMany(messages, timeout=left, metadata=self._metadata)
        yield from translated(map(to_either, answers))

    def record(self, events: Iterable[Event], *, timeout_s: float | None = None) -> Recorded:
        """Record what was shown and done: `Interaction`, `Impression`, or dicts with their fields.

        What is `accepted` is on the server's disk. Every event has its id before the first attempt, so a call
        that is sent again, here or by you, counts nothing twice.

        Raises:
            InvalidEvent: if an event cannot become a message; nothing was sent.
            RankError: nothing is known to be accepted; send the same events again.
        """
        message = to_record(events, self.tenant, self._now())

        def call(left: float) -> Recorded:
            return to_recorded(self._feedback.Record(message, timeout=left, metadata=self._metadata))

        return self._attempt(call, timeout_s)

    def record_stream(
        self, batches: Iterable[Iterable[Event]], *, timeout_s: float | None = None
    ) -> Iterator[Recorded]:
        """Many batches on one call, answered in order; `timeout_s` is of the whole call. Never sent again."""
        messages = (to_record(batch, self.tenant, self._now()) for batch in batches)
        left = self.timeout_s if timeout_s is None else timeout_s
        answers = self._feedback.RecordStream(messages, timeout=left, metadata=self._metadata)
        yield from translated(map(to_recorded, answers))

    def _message(self, request: Request, request_id: str = "") -> Any:
        return to_message(request, self.tenant, self.ranker, request_id)

    def _attempt(self, call: Callable[[float], T], timeout_s: float | None) -> T:
        """`call` with what is left of the time, again where that may help and fits in."""
        until = self._clock() + (self.timeout_s if timeout_s is None else timeout_s)
        attempt = 1
        while True:
            try:
                return call(until - self._clock())
            except grpc.RpcError as failed:
                error = from_rpc(failed)
            wait = self._retry.wait_s(error, attempt, self._jitter())
            if wait is None or self._clock() + wait >= until:
                raise error
            self._sleep(wait)
            attempt += 1

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def translated(answers: Iterator[T]) -> Iterator[T]:
    """The answers, with errors of ours in place of gRPC's."""
    try:
        yield from answers
    except grpc.RpcError as error:
        raise from_rpc(error) from None
