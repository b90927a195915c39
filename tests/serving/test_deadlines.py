"""Time, and callers that leave: the clock stands still or gates decide, and no test sleeps."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

import grpc
import pytest

from cascade.deadline import NEVER, Deadline
from features.columns import Kind
from features.errors import Exhausted, OutOfTime
from serving.admission import Admission
from serving.server import Server
from serving.settings import Settings
from serving.testing import ByColumn, Gate, channel, ranker, running, target
from sluice.v1 import ranking_pb2 as pb
from sluice.v1 import ranking_pb2_grpc as rpc

Ask = Callable[..., pb.RankRequest]
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED


@dataclass(frozen=True)
class UntilLate(ByColumn):
    """Returns once the request's deadline has passed, however long that takes."""

    def score(self, batch: Any, matrix: Any, deadline: Deadline) -> Any:
        """As `ByColumn`, late."""
        while not deadline.expired:
            threading.Event().wait(deadline.left_s)
        return super().score(batch, matrix, deadline)


@dataclass(frozen=True)
class InAModel(Gate):
    """Waits at its gate as a stage waits for a model: in good company."""

    def score(self, batch: Any, matrix: Any, deadline: Deadline) -> Any:
        """As `Gate`, for a price above 9; else at once."""
        if max(batch.column("price", Kind.NUMBER).values) <= 9:
            return self.stage.score(batch, matrix, deadline)
        with deadline.aside():
            return super().score(batch, matrix, deadline)


def settled(server: Server) -> None:
    """Wait until every permit is free again, by holding them all."""
    admission = server.service.admission
    with ExitStack() as stack:
        for _ in range(admission.workers):
            stack.enter_context(admission.computing(Deadline.after(30.0)))


def test_a_budget_that_is_over_before_the_start(stub: rpc.RankingStub, ask: Ask) -> None:
    """A request whose time is up is refused before any work."""
    request = ask([1.0])
    request.time_budget.SetInParent()
    with pytest.raises(grpc.RpcError) as caught:
        stub.Rank(request, timeout=20)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert "deadline" in caught.value.details()


def test_the_reserve_counts_as_used(ask: Ask) -> None:
    """Time kept for the answer's way home is no time for ranking."""
    settings = Settings(port=0, reserve_ms=60_000.0)
    with running(ranker(), settings) as server, channel(server) as opened:
        with pytest.raises(grpc.RpcError) as caught:
            rpc.RankingStub(opened).Rank(ask([1.0]), timeout=30)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert rpc.RankingStub(opened).Rank(ask([1.0])).final  # no deadline, nothing to keep back from


def test_a_stage_that_no_time_is_left_for(ask: Ask) -> None:
    """When the budget ends in the first stage, the second is skipped, and the answer is OK and degraded."""
    with running(ranker(UntilLate(), ByColumn())) as server, channel(server) as opened:
        request = ask([1.0, 2.0])
        request.time_budget.FromMilliseconds(60)
        answer = rpc.RankingStub(opened).Rank(request, timeout=30)
    assert [each.id for each in answer.results] == ["1", "0"]
    assert [each.status for each in answer.stages] == [pb.STAGE_STATUS_RAN, pb.STAGE_STATUS_SKIPPED_BUDGET]
    assert answer.degraded


def test_the_earlier_deadline_holds(ask: Ask) -> None:
    """The gRPC deadline and the time budget: whichever is earlier."""
    with running(ranker()) as server:
        service = server.service
        request = ask([1.0])
        request.time_budget.FromMilliseconds(50_000)
        assert service._deadline(request, Remaining(20.0)).left_s <= 20.0
        assert 20.0 < service._deadline(request, Remaining(80.0)).left_s <= 50.0
        assert service._deadline(ask([1.0]), Remaining(None)).left_s == float("inf")


@dataclass(frozen=True)
class Remaining:
    """A context of which only the time is asked."""

    seconds: float | None

    def time_remaining(self) -> float | None:
        """Seconds left."""
        return self.seconds


@pytest.mark.parametrize("method", ["Rank", "RankStream"])
def test_a_caller_that_leaves_stops_the_work(ask: Ask, method: str) -> None:
    """After a cancellation the next stage does not begin, and the permit is free again."""
    first, second = Gate(), Gate()
    with running(ranker(first, second), Settings(port=0, workers=1)) as server, channel(server) as opened:
        contexts = seen_contexts(server)
        stub = rpc.RankingStub(opened)
        call = stub.Rank.future(ask([1.0])) if method == "Rank" else stub.RankStream(ask([1.0]))
        assert first.entered.acquire(timeout=30)
        gone = threading.Event()
        contexts[0].add_callback(gone.set)
        call.cancel()
        assert gone.wait(30)
        first.opened.release()
        settled(server)
        assert not second.entered.acquire(blocking=False)


def seen_contexts(server: Server) -> list[grpc.ServicerContext]:
    """The contexts of the calls that the server begins from now on."""
    service, seen = server.service, []
    begin = service._begin

    def begin_seen(message: pb.RankRequest, context: grpc.ServicerContext) -> Any:
        seen.append(context)
        return begin(message, context)

    service._begin = begin_seen  # type: ignore[method-assign]
    return seen


def test_a_full_server_says_when_to_come_back(ask: Ask) -> None:
    """With every worker busy and the queue full, the next is refused with `retry-after-ms`."""
    gate = Gate()
    settings = Settings(port=0, workers=1, queue=1)
    with running(ranker(gate), settings) as server, channel(server) as opened, ThreadPoolExecutor(2) as pool:
        stub = rpc.RankingStub(opened)
        working = pool.submit(stub.Rank, ask([1.0]), timeout=60)
        assert gate.entered.acquire(timeout=30)
        waiting = pool.submit(stub.Rank, ask([2.0]))  # without any deadline
        refused = until_refused(stub, ask)
        assert int(dict(refused.trailing_metadata())["retry-after-ms"]) >= 1
        gate.opened.release(2)
        assert {working.result().results[0].score, waiting.result().results[0].score} == {1.0, 2.0}
        gate.opened.release()
        assert stub.Rank(ask([3.0]), timeout=30).final


def until_refused(stub: rpc.RankingStub, ask: Ask) -> Any:
    """Requests that expire at once until one is refused, which happens as soon as the queue has filled."""
    while True:
        request = ask([1.0])
        request.time_budget.SetInParent()
        with pytest.raises(grpc.RpcError) as caught:
            stub.Rank(request, timeout=30)
        if caught.value.code() is EXHAUSTED:
            return caught.value


def test_waiting_ends_with_the_deadline() -> None:
    """A request that gets no worker in time ends, and gives its place back."""
    admission = Admission(workers=1, queue=1)
    refused = pytest.raises(OutOfTime, match="waited for a worker")
    with admission.computing(NEVER), admission.admitted(), refused, admission.computing(Deadline.after(0.0)):
        raise AssertionError
    assert admission.in_flight == 0


def test_places_are_given_back_after_errors() -> None:
    """A request that fails leaves its permit and its place."""
    admission = Admission(workers=1, queue=0)
    for _ in range(3):
        with pytest.raises(KeyError), admission.admitted(), admission.computing(NEVER):
            raise KeyError
    with admission.admitted(), pytest.raises(Exhausted) as caught, admission.admitted():
        raise AssertionError
    assert 0.001 <= caught.value.retry_after_s <= 5.0


def test_whoever_waits_for_a_model_holds_no_permit() -> None:
    """Another request computes meanwhile; the permit is back after it, taken without waiting."""
    admission = Admission(workers=1, queue=2)
    refused = pytest.raises(OutOfTime, match="waited for a worker")
    with admission.computing(NEVER):
        with admission.aside(), admission.computing(Deadline.after(0.0)):
            assert admission.busy == 1
        with refused, admission.computing(Deadline.after(0.0)):
            raise AssertionError
    assert admission.busy == 0
    with admission.computing(Deadline.after(0.0)):
        pass


def test_requests_that_wait_for_a_model_leave_the_workers_to_others(ask: Ask) -> None:
    """With as many long requests inside a model as there are workers, a short one is answered."""
    gate = InAModel()
    settings = Settings(port=0, workers=2, queue=4)
    with running(ranker(gate), settings) as server, channel(server) as opened, ThreadPoolExecutor(2) as pool:
        stub = rpc.RankingStub(opened)
        long = [pool.submit(stub.Rank, ask([10.0]), timeout=60) for _ in range(2)]
        assert all(gate.entered.acquire(timeout=30) for _ in long)
        assert stub.Rank(ask([1.0]), timeout=30).results[0].score == 1.0
        gate.opened.release(2)
        assert [one.result().results[0].score for one in long] == [10.0, 10.0]


def test_a_connection_leaves_streams_to_others(ask: Ask) -> None:
    """Idle RankMany calls of one connection take three quarters of the places; another's is answered."""
    options = [("grpc.use_local_subchannel_pool", 1)]  # or both channels would share a connection
    with running(ranker(), Settings(port=0, streams=4)) as server, channel(server) as opened:
        idle = [rpc.RankingStub(opened).RankMany(iter(SimpleQueue().get, None), timeout=60) for _ in range(3)]
        while sum(list(server.service._streams._held.values())) < 3:
            pass
        with pytest.raises(grpc.RpcError, match="3 of your RankMany calls are open") as caught:
            list(rpc.RankingStub(opened).RankMany(iter([ask([1.0])]), timeout=60))
        assert caught.value.code() is EXHAUSTED
        with grpc.insecure_channel(target(server), options) as other:
            assert len(list(rpc.RankingStub(other).RankMany(iter([ask([1.0])]), timeout=60))) == 1
        for each in idle:
            each.cancel()


def test_too_many_streams(ask: Ask) -> None:
    """RankMany calls beyond the limit are told to come back."""
    gate = Gate()
    with running(ranker(gate), Settings(port=0, workers=1, streams=1)) as server, channel(server) as opened:
        stub = rpc.RankingStub(opened)
        first = stub.RankMany(iter([ask([1.0])]), timeout=60)
        assert gate.entered.acquire(timeout=30)
        with pytest.raises(grpc.RpcError) as caught:
            list(stub.RankMany(iter([ask([1.0])]), timeout=60))
        assert caught.value.code() is EXHAUSTED
        gate.opened.release()
        assert len(list(first)) == 1
