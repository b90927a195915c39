"""Health, reflection, and going down without losing anything."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from cascade.ranker import Ranker
from serving.server import RANKING, Server
from serving.settings import Settings
from serving.testing import Gate, Shelf, channel, ranker, running, target
from sluice.v1 import ranking_pb2 as pb
from sluice.v1 import ranking_pb2_grpc as rpc

Ask = Callable[..., pb.RankRequest]
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def check(opened: grpc.Channel, service: str) -> int:
    """A service's health."""
    request = health_pb2.HealthCheckRequest(service=service)
    return int(health_pb2_grpc.HealthStub(opened).Check(request, timeout=20).status)


def test_health_follows_the_loading_of_models(ask: Ask) -> None:
    """While a model loads: NOT_SERVING, and a call that cannot wait for it is UNAVAILABLE. Then SERVING."""
    gate = threading.Event()
    shelf = Shelf({"default": [ranker()]})

    def load(path: Path, name: str) -> Ranker:
        assert gate.wait(30)
        return shelf.load(path, name)

    server = Server(Settings(port=0), shelf, load=load)
    server.start()
    with channel(server) as opened:
        assert {check(opened, service) for service in ("", RANKING)} == {NOT_SERVING}
        watched = health_pb2_grpc.HealthStub(opened).Watch(health_pb2.HealthCheckRequest(service=RANKING))
        assert next(watched).status == NOT_SERVING
        hasty = ask([1.0])
        hasty.time_budget.FromMilliseconds(50)
        refused = rpc.RankingStub(opened).Rank.future(hasty, timeout=20)
        assert refused.exception().code() is grpc.StatusCode.UNAVAILABLE
        gate.set()
        assert next(watched).status == SERVING
        assert {check(opened, service) for service in ("", RANKING)} == {SERVING}
        assert server.ready.wait(30)
        assert rpc.RankingStub(opened).Rank(ask([1.0]), timeout=20).final
        server.drain()
        assert [each.status for each in watched] == [NOT_SERVING]


def test_a_drain_loses_no_request(ask: Ask) -> None:
    """A server told to end answers what is in flight, says NOT_SERVING, and takes nothing new."""
    gate = Gate()
    with (
        running(ranker(gate), Settings(port=0, workers=1, grace_s=60.0)) as server,
        ThreadPoolExecutor(4) as pool,
    ):
        with channel(server) as opened:
            stub = rpc.RankingStub(opened)
            unary = pool.submit(stub.Rank, ask([1.0]), timeout=60)
            assert gate.entered.acquire(timeout=30)
            many = stub.RankMany(iter([ask([2.0]), ask([3.0])]), timeout=60)
            watch = health_pb2_grpc.HealthStub(opened).Watch(health_pb2.HealthCheckRequest(service=RANKING))
            assert next(watch).status == SERVING
            draining = pool.submit(server.drain)
            assert next(watch).status == NOT_SERVING
            gate.opened.release(3)
            assert unary.result().results[0].score == 1.0
            assert sorted(answer.results[0].score for answer in many) == [2.0, 3.0]
            draining.result(60)
        with grpc.insecure_channel(target(server)) as late:
            refused = rpc.RankingStub(late).Rank.future(ask([1.0]), timeout=20)
            assert refused.exception().code() is grpc.StatusCode.UNAVAILABLE


def test_reflection_lists_and_calls(opened: grpc.Channel) -> None:
    """Without our code, a client finds the service, its methods and messages, and calls it."""
    database = ProtoReflectionDescriptorDatabase(opened)
    assert {RANKING, "grpc.health.v1.Health"} <= set(database.get_services())
    pool = DescriptorPool(database)
    service = pool.FindServiceByName(RANKING)
    assert [method.name for method in service.methods] == ["Rank", "RankStream", "RankMany"]
    method = service.methods_by_name["Rank"]
    asked, answered = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
    request = asked(tenant="demo", query={"text": "q"}, candidates={"ids": ["a", "b"]})
    request.candidates.columns.add(name="price").number.values.extend([1.0, 2.0])
    call = opened.unary_unary(
        f"/{RANKING}/Rank",
        request_serializer=asked.SerializeToString,
        response_deserializer=answered.FromString,
    )
    assert [each.id for each in call(request, timeout=20).results] == ["b", "a"]


def test_a_second_server_does_not_share_the_port(server: Server) -> None:
    """A port that is taken is an error that says so."""
    import pytest

    from features.errors import InvalidConfig

    second = Server(Settings(port=server.port), Shelf({}))
    with pytest.raises(InvalidConfig, match="is it taken"):
        second.start()
