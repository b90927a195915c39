"""The same client for asyncio."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import uuid4

import grpc
import grpc.aio

from sluice.client import TIMEOUT_S
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


class AsyncClient:
    """As `Client`, one for an event loop; open it inside the loop that uses it."""

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
        channel: Any = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.tenant, self.ranker, self.timeout_s = tenant, ranker, timeout_s
        self._retry, self._clock, self._sleep, self._jitter = retry or Retry(), clock, sleep, jitter
        self._now = now
        self._metadata = bearer(token)
        self._channel = channel or open_channel(grpc.aio, target, tls)
        self._stub: Any = rpc.RankingStub(self._channel)  # type: ignore[no-untyped-call]
        self._feedback: Any = FeedbackStub(self._channel)  # type: ignore[no-untyped-call]

    async def rank(
        self, query: str, candidates: Candidates, *, timeout_s: float | None = None, **options: Any
    ) -> Ranking:
        """As `Client.rank`."""
        message = self._message(Request(query=query, candidates=candidates, **options))

        async def call(left: float) -> Ranking:
            return to_ranking(await self._stub.Rank(message, timeout=left, metadata=self._metadata))

        return await self._attempt(call, timeout_s)

    async def rank_stream(
        self, query: str, candidates: Candidates, *, timeout_s: float | None = None, **options: Any
    ) -> AsyncIterator[Ranking]:
        """As `Client.rank_stream`."""
        message = self._message(Request(query=query, candidates=candidates, **options))

        async def begin(left: float) -> tuple[Ranking, Any]:
            answers = aiter(self._stub.RankStream(message, timeout=left, metadata=self._metadata))
            return to_ranking(await anext(answers)), answers

        first, rest = await self._attempt(begin, timeout_s)
        yield first
        async for answer in translated(rest):
            yield to_ranking(answer)

    async def rank_many(
        self, requests: Iterable[Request], *, timeout_s: float | None = None
    ) -> AsyncIterator[Ranking | Failure]:
        """As `Client.rank_many`."""
        messages = (self._message(request, uuid4().hex) for request in requests)
        left = self.timeout_s if timeout_s is None else timeout_s
        answers = self._stub.RankMany(messages, timeout=left, metadata=self._metadata)
        async for answer in translated(aiter(answers)):
            yield to_either(answer)

    async def record(self, events: Iterable[Event], *, timeout_s: float | None = None) -> Recorded:
        """As `Client.record`."""
        message = to_record(events, self.tenant, self._now())

        async def call(left: float) -> Recorded:
            return to_recorded(await self._feedback.Record(message, timeout=left, metadata=self._metadata))

        return await self._attempt(call, timeout_s)

    async def record_stream(
        self, batches: Iterable[Iterable[Event]], *, timeout_s: float | None = None
    ) -> AsyncIterator[Recorded]:
        """As `Client.record_stream`."""
        messages = (to_record(batch, self.tenant, self._now()) for batch in batches)
        left = self.timeout_s if timeout_s is None else timeout_s
        answers = self._feedback.RecordStream(messages, timeout=left, metadata=self._metadata)
        async for answer in translated(aiter(answers)):
            yield to_recorded(answer)

    def _message(self, request: Request, request_id: str = "") -> Any:
        return to_message(request, self.tenant, self.ranker, request_id)

    async def _attempt(self, call: Callable[[float], Awaitable[T]], timeout_s: float | None) -> T:
        until = self._clock() + (self.timeout_s if timeout_s is None else timeout_s)
        attempt = 1
        while True:
            try:
                return await call(until - self._clock())
            except grpc.RpcError as failed:
                error = from_rpc(failed)
            wait = self._retry.wait_s(error, attempt, self._jitter())
            if wait is None or self._clock() + wait >= until:
                raise error
            await self._sleep(wait)
            attempt += 1

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close(None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


async def translated(answers: AsyncIterator[T]) -> AsyncIterator[T]:
    """The answers, with errors of ours in place of gRPC's."""
    try:
        async for answer in answers:
            yield answer
    except grpc.RpcError as error:
        raise from_rpc(error) from None
