"""What is sent again, and what is not: every attempt, wait and deadline without a sleep."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import grpc
import pytest

from sluice import AsyncClient, Busy, Client, RankError, Retry, TimedOut, Unreachable
from sluice.errors import CLASSES, from_status
from sluice.v1 import ranking_pb2 as pb

Code = grpc.StatusCode
RETRIED = {Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED}


class Failed(grpc.RpcError):
    """A call that ended with a status."""

    def __init__(self, code: grpc.StatusCode, **trailers: str) -> None:
        super().__init__()
        self._code, self._trailers = code, trailers

    def code(self) -> grpc.StatusCode:
        """The status."""
        return self._code

    def details(self) -> str:
        """Its message."""
        return "because"

    def trailing_metadata(self) -> tuple[tuple[str, str], ...]:
        """What came with it."""
        return tuple((name.replace("_", "-"), value) for name, value in self._trailers.items())


class World:
    """A clock that only waiting moves, and a server that fails as it is told before it answers."""

    def __init__(self, *failures: Failed, took_s: float = 0.0) -> None:
        self.now, self.took_s = 0.0, took_s
        self.failures, self.timeouts, self.waits = list(failures), [], []

    def sleep(self, seconds: float) -> None:
        """Move the clock."""
        self.waits.append(seconds)
        self.now += seconds

    async def asleep(self, seconds: float) -> None:
        """The same for asyncio."""
        self.sleep(seconds)

    def answer(self, request: pb.RankRequest, timeout: float, metadata: object = ()) -> pb.RankResponse:
        """One attempt."""
        self.timeouts.append(timeout)
        self.now += self.took_s
        if self.failures:
            raise self.failures.pop(0)
        return pb.RankResponse(request_id="r", final=True)

    async def async_answer(
        self, request: pb.RankRequest, timeout: float, metadata: object = ()
    ) -> pb.RankResponse:
        """The same for asyncio."""
        return self.answer(request, timeout)

    def stream(
        self, request: pb.RankRequest, timeout: float, metadata: object = ()
    ) -> Iterator[pb.RankResponse]:
        """One attempt that streams."""
        yield self.answer(request, timeout)
        yield self.answer(request, timeout)


class Channel:
    """A channel that leads to a `World`."""

    def __init__(self, unary: Any, stream: Any = None) -> None:
        self._unary, self._stream = unary, stream

    def unary_unary(self, *_: Any, **__: Any) -> Any:
        """Rank."""
        return self._unary

    def unary_stream(self, *_: Any, **__: Any) -> Any:
        """RankStream."""
        return self._stream

    stream_stream = unary_stream


def sync_rank(world: World, **options: Any) -> Any:
    """A call of the client for threads."""
    channel: Any = Channel(world.answer, world.stream)
    client = Client(
        "", "demo", channel=channel, clock=lambda: world.now, sleep=world.sleep, jitter=lambda: 0.5, **options
    )
    return client.rank("q", [])


def async_rank(world: World, **options: Any) -> Any:
    """A call of the client for asyncio."""
    channel: Any = Channel(world.async_answer)
    client = AsyncClient(
        "",
        "demo",
        channel=channel,
        clock=lambda: world.now,
        sleep=world.asleep,
        jitter=lambda: 0.5,
        **options,
    )
    call: Awaitable[Any] = client.rank("q", [])
    return asyncio.run(call)  # type: ignore[arg-type]


both = pytest.mark.parametrize("rank", [sync_rank, async_rank])
Rank = Callable[..., Any]


@both
def test_an_unreachable_server_is_asked_again(rank: Rank) -> None:
    """UNAVAILABLE twice, then an answer: jittered waits that double, and timeouts of what is left."""
    world = World(Failed(Code.UNAVAILABLE), Failed(Code.UNAVAILABLE))
    assert rank(world).final
    assert world.waits == pytest.approx([0.0375, 0.075])
    assert world.timeouts == pytest.approx([1.0, 0.9625, 0.8875])


@both
def test_attempts_are_bounded(rank: Rank) -> None:
    """After the last attempt the last error is raised."""
    world = World(*(Failed(Code.UNAVAILABLE) for _ in range(9)))
    with pytest.raises(Unreachable):
        rank(world, retry=Retry(attempts=4), timeout_s=100.0)
    assert len(world.timeouts) == 4


@both
def test_a_busy_server_is_given_its_time(rank: Rank) -> None:
    """RESOURCE_EXHAUSTED is sent again after no less than the server asked for."""
    world = World(Failed(Code.RESOURCE_EXHAUSTED, retry_after_ms="300"))
    assert rank(world).final
    assert len(world.waits) == 1
    assert 0.3 <= world.waits[0] < 0.4


@both
def test_a_busy_server_that_names_no_time(rank: Rank) -> None:
    """RESOURCE_EXHAUSTED without `retry-after-ms` (a message too large) would fail again."""
    world = World(Failed(Code.RESOURCE_EXHAUSTED))
    with pytest.raises(Busy):
        rank(world)
    assert world.waits == []


@both
@pytest.mark.parametrize("code", sorted(set(Code) - RETRIED - {Code.OK}, key=lambda code: code.name))
def test_everything_else_is_sent_once(rank: Rank, code: grpc.StatusCode) -> None:
    """No other status is sent again, and each is its exception."""
    world = World(Failed(code, error_id="e1"))
    with pytest.raises(CLASSES.get(code, RankError)) as caught:
        rank(world)
    assert (len(world.timeouts), world.waits) == (1, [])
    assert (caught.value.code, caught.value.message, caught.value.error_id) == (code, "because", "e1")


@both
def test_no_wait_beyond_the_deadline(rank: Rank) -> None:
    """A wait that the timeout leaves no room for is not begun: the error comes at once."""
    world = World(Failed(Code.RESOURCE_EXHAUSTED, retry_after_ms="5000"))
    with pytest.raises(Busy) as caught:
        rank(world, timeout_s=1.0)
    assert caught.value.retry_after_s == 5.0
    assert world.waits == []


@both
def test_attempts_share_one_timeout(rank: Rank) -> None:
    """Slow failures use the time up; no attempt begins with none left."""
    world = World(*(Failed(Code.UNAVAILABLE) for _ in range(9)), took_s=0.45)
    with pytest.raises(Unreachable):
        rank(world, retry=Retry(attempts=9), timeout_s=1.0)
    assert len(world.timeouts) == 2  # a third could begin only at 1.01 s
    assert all(timeout > 0 for timeout in world.timeouts)


def test_a_stream_is_begun_again_only_before_its_first_answer() -> None:
    """Once a ranking was shown, an error ends the stream."""
    world = World(Failed(Code.UNAVAILABLE))
    channel: Any = Channel(None, world.stream)
    client = Client("", "demo", channel=channel, clock=lambda: world.now, sleep=world.sleep)
    answers = client.rank_stream("q", [])
    assert next(answers).final
    world.failures.append(Failed(Code.UNAVAILABLE))
    with pytest.raises(Unreachable):
        next(answers)
    assert len(world.timeouts) == 3  # one failed, one answered, one failed within the stream


def test_jitter_spreads_the_waits() -> None:
    """Waits lie between half and all of the backoff, which ends at the cap."""
    retry, error = Retry(attempts=20, base_s=0.1, cap_s=1.0), from_status(Code.UNAVAILABLE, "")
    assert retry.wait_s(error, 1, 0.0) == pytest.approx(0.05)
    assert retry.wait_s(error, 1, 0.999) == pytest.approx(0.1, rel=0.01)
    assert retry.wait_s(error, 10, 0.999) == pytest.approx(1.0, rel=0.01)
    assert retry.wait_s(from_status(Code.DEADLINE_EXCEEDED, ""), 1, 0.5) is None
    assert isinstance(from_status(Code.DEADLINE_EXCEEDED, ""), TimedOut)
