"""The Feedback service over real gRPC: what is accepted, what is rejected, and what a server logs itself."""

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from cascade.eventlog.layout import IMPRESSIONS, INTERACTIONS, segments
from cascade.eventlog.read import scan
from cascade.eventlog.testing import FaultyDisk, matrix
from cascade.events import MICROS
from features.columns import number
from features.errors import InvalidConfig
from serving.events import AHEAD_S
from serving.server import Server
from serving.settings import Feedback, Limits, Settings
from serving.testing import ByColumn, channel, ranker, running
from sluice.v1 import feedback_pb2 as pb
from sluice.v1 import feedback_pb2_grpc as rpc
from sluice.v1 import ranking_pb2, ranking_pb2_grpc

NOW = 1_790_000_000.0
LIMITS = Limits(events=50, event_bytes=2_000, candidates=20, columns=4, name_bytes=64, query_bytes=100)


def settings(log: Path, **feedback: Any) -> Settings:
    made = Feedback(**{"segment_s": 3_600.0, **feedback})
    return Settings(
        port=0, grace_s=5.0, poll_s=60.0, reserve_ms=0.0, log=str(log), limits=LIMITS, feedback=made
    )


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("log")


@pytest.fixture(scope="module")
def server(log: Path) -> Iterator[Server]:
    """A server with a log, whose clock stands still."""
    with running(ranker(ByColumn()), settings(log), clock=lambda: NOW) as started:
        yield started


@pytest.fixture(scope="module")
def stub(server: Server) -> Iterator[Any]:
    with channel(server) as opened:
        yield rpc.FeedbackStub(opened)


def click(event_id: str = "1", **fields: Any) -> pb.Interaction:
    made = {"request_id": "r", "candidate_id": "a", "type": "CLICK", **fields}
    return pb.Interaction(event_id=event_id, **made)


def page(request_id: str = "r", **fields: Any) -> pb.Impression:
    return pb.Impression(request_id=request_id, **{"candidates": ["a", "b"], **fields})


def request(*events: Any, tenant: str = "demo") -> pb.RecordRequest:
    pages = [event for event in events if isinstance(event, pb.Impression)]
    return pb.RecordRequest(
        tenant=tenant, impressions=pages, interactions=[event for event in events if event not in pages]
    )


def stored(root: Path, kind: str, tenant: str = "demo") -> list[dict[str, Any]]:
    return list(chain.from_iterable(table.to_pylist() for table in scan(root / tenant, kind)))


def of_request(root: Path, kind: str, request_id: str) -> list[dict[str, Any]]:
    return [row for row in stored(root, kind) if row["request_id"] == request_id]


def test_events_are_stored_as_sent(stub: Any, log: Path) -> None:
    """Every field of both kinds comes out of the log as it went in."""
    sent = page(
        "full",
        ranker="default",
        version="v1",
        query=ranking_pb2.Query(text="shoes", values={"device": ranking_pb2.Value(text="phone")}),
        user=ranking_pb2.User(id="u", session_id="s", values={"age": ranking_pb2.Value(number=30)}),
        positions=[1, 4],
        scores=[2.0, float("nan")],
        features=ranking_pb2.NumberMatrix(names=["f"], data=matrix([1.5, np.nan])),
        fingerprint="abc",
        arm="x",
        propensities=[0.5, 1.0],
        ranked=40,
    )
    done = click("full-1", request_id="full", dwell_s=3.5, dwell_by=pb.DWELL_BY_SERVER, value=2.5, position=4)
    done.time.FromMicroseconds(1_789_999_999_000_001)
    answer = stub.Record(request(sent, done))
    assert (answer.accepted, answer.duplicate, len(answer.rejected)) == (2, 0, 0)
    (shown,) = of_request(log, IMPRESSIONS, "full")
    assert (shown["ranker"], shown["version"], shown["arm"], shown["ranked"]) == ("default", "v1", "x", 40)
    assert (shown["query"], shown["values"]) == ("shoes", '{"device":"phone","user.age":30.0}')
    assert (shown["user"], shown["session"], shown["positions"]) == ("u", "s", [1, 4])
    assert matrix(shown["scores"]) == matrix([2.0, np.nan])
    assert (matrix(shown["features"]), shown["names"]) == (matrix([1.5, np.nan]), '["f"]')
    assert (shown["propensities"], shown["time"].timestamp()) == ([0.5, 1.0], NOW)
    (what,) = of_request(log, INTERACTIONS, "full")
    assert (what["dwell_s"], what["dwell_by"], what["value"], what["position"]) == (3.5, "server", 2.5, 4)
    assert what["time"].microsecond == 1


def test_a_tenant_leaves_record_calls_to_others(server: Server, stub: Any) -> None:
    """While 48 of one tenant wait for the disk, its next is told so; another's is looked at."""
    with ExitStack() as held:
        for _ in range(48):
            held.enter_context(server.feedback._calls.place("demo"))
        with pytest.raises(grpc.RpcError, match="48 of your Record calls wait for the disk") as caught:
            stub.Record(request(click("late")))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        with pytest.raises(grpc.RpcError) as caught:
            stub.Record(request(click("late"), tenant="other"))
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert stub.Record(request(click("late"))).accepted == 1


WRONG: dict[str, tuple[pb.Interaction | pb.Impression, str]] = {
    "no event id": (click(""), "interactions[0].event_id"),
    "no request id": (click(request_id=""), "interactions[0].request_id"),
    "no item": (click(candidate_id=""), "interactions[0].candidate_id"),
    "a long item": (click(candidate_id="x" * 10_000_000), "interactions[0].candidate_id"),
    "no type": (click(type=""), "interactions[0].type"),
    "a type in capitals": (click(type="LIKE"), "interactions[0].type"),
    "a negative dwell": (click(dwell_s=-1), "interactions[0].dwell_s"),
    "an endless dwell": (click(dwell_s=float("inf")), "interactions[0].dwell_s"),
    "no number": (click(value=float("nan")), "interactions[0].value"),
    "place 0": (click(position=0), "interactions[0].position"),
    "unknown measurer": (click(dwell_s=1, dwell_by=9), "interactions[0].dwell_by"),
    "nothing shown": (page(candidates=[]), "impressions[0].candidates"),
    "too much shown": (page(candidates=map(str, range(21))), "impressions[0].candidates"),
    "an item twice": (page(candidates=["a", "b", "a"]), "impressions[0].candidates[2]"),
    "an empty item": (page(candidates=["a", ""]), "impressions[0].candidates[1]"),
    "a page without a request": (page(""), "impressions[0].request_id"),
    "falling places": (page(positions=[2, 1]), "impressions[0].positions"),
    "places from 0": (page(positions=[0, 1]), "impressions[0].positions"),
    "too few places": (page(positions=[1]), "impressions[0].positions"),
    "too few scores": (page(scores=[1]), "impressions[0].scores"),
    "an endless score": (page(scores=[1, float("inf")]), "impressions[0].scores"),
    "chance 0": (page(propensities=[0.5, 0]), "impressions[0].propensities"),
    "a long query": (page(query=ranking_pb2.Query(text="x" * 200)), "impressions[0].query.text"),
    "features of nothing": (
        page(features=ranking_pb2.NumberMatrix(names=["f"], data=bytes(8))),
        "impressions[0].fingerprint",
    ),
    "features too large": (
        page(features=ranking_pb2.NumberMatrix(names=["f"], data=bytes(10_000_000)), fingerprint="x"),
        "impressions[0].features.data",
    ),
    "features of another size": (
        page(features=ranking_pb2.NumberMatrix(names=["f"], data=bytes(12)), fingerprint="x"),
        "impressions[0].features.data",
    ),
    "too many features": (
        page(features=ranking_pb2.NumberMatrix(names=list("vwxyz"), data=bytes(40)), fingerprint="x"),
        "impressions[0].features.names",
    ),
    "an endless feature": (
        page(features=ranking_pb2.NumberMatrix(names=["f"], data=matrix([1, np.inf])), fingerprint="x"),
        "impressions[0].features.data",
    ),
    "a query vector": (
        page(query=ranking_pb2.Query(text="x", vectors={"v": ranking_pb2.Vector(data=bytes(4))})),
        "impressions[0].query.vectors",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_event_is_rejected_alone(stub: Any, wrong: str) -> None:
    """The answer names the event and the field; the good event beside it is accepted."""
    event, path = WRONG[wrong]
    good: Any = page(f"good {wrong}") if isinstance(event, pb.Interaction) else click(f"good {wrong}")
    answer = stub.Record(request(event, good))
    assert [rejection.path for rejection in answer.rejected] == [path]
    assert answer.rejected[0].reason
    assert answer.accepted == 1


@pytest.mark.parametrize("ahead_s", [AHEAD_S + 1, -NOW - 1])
def test_times_that_cannot_be_are_rejected(stub: Any, ahead_s: float) -> None:
    """More than an hour ahead of the server, or before 1970: no skew explains that."""
    event = click(f"at {ahead_s}")
    event.time.FromMicroseconds(int((NOW + ahead_s) * MICROS))
    assert [each.path for each in stub.Record(request(event)).rejected] == ["interactions[0].time"]


def test_a_year_late_is_no_reason_to_reject(stub: Any) -> None:
    """Late events are accepted; what they are worth is the join's business."""
    event = click("year")
    event.time.FromMicroseconds(int((NOW - 365 * 86_400) * MICROS))
    assert stub.Record(request(event)).accepted == 1


@pytest.mark.parametrize(
    ("tenant", "code"),
    [("nobody", "NOT_FOUND"), ("../demo", "INVALID_ARGUMENT"), ("", "INVALID_ARGUMENT")],
)
def test_a_tenant_that_does_not_exist(stub: Any, log: Path, tenant: str, code: str) -> None:
    """It is refused before a folder is made for it."""
    with pytest.raises(grpc.RpcError) as caught:
        stub.Record(request(click(), tenant=tenant))
    assert caught.value.code().name == code
    assert [each.name for each in log.iterdir()] in ([], ["demo"])


def test_too_many_events_for_one_call(stub: Any) -> None:
    """Beyond the limit nothing is accepted, and the message says what the limit is."""
    with pytest.raises(grpc.RpcError, match="51 events, more than the 50 allowed") as caught:
        stub.Record(request(*(click(str(n)) for n in range(51))))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_repetitions_are_told(stub: Any) -> None:
    """The same event again is a duplicate, in one call and in the next."""
    event = click("again")
    event.time.FromMicroseconds(int(NOW * MICROS))
    first, second = stub.Record(request(event, event)), stub.Record(request(event))
    assert (first.accepted, first.duplicate, second.accepted, second.duplicate) == (1, 1, 0, 1)


def test_a_stream_answers_in_order(stub: Any, log: Path) -> None:
    """Many batches on one call: an answer each, in order, and every event in the log."""
    sizes = [(number * 7) % 11 for number in range(100)]
    batches = (
        request(*(click(f"{number}-{row}", request_id="stream") for row in range(size)))
        for number, size in enumerate(sizes)
    )
    assert [answer.accepted for answer in stub.RecordStream(batches)] == sizes
    assert len(of_request(log, INTERACTIONS, "stream")) == sum(sizes)


def test_a_stream_ends_at_a_batch_that_is_refused(stub: Any) -> None:
    """The batches before it are answered, then comes the error."""
    answers = stub.RecordStream(iter([request(click("before")), request(click(), tenant="nobody")]))
    assert next(answers).accepted == 1
    with pytest.raises(grpc.RpcError) as caught:
        next(answers)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_a_server_restarted_goes_on(tmp_path: Path) -> None:
    """Events of two lives of a server are in one log; a drained server leaves nothing half written."""
    for life in range(2):
        with running(ranker(), settings(tmp_path)) as started, channel(started) as opened:
            assert rpc.FeedbackStub(opened).Record(request(click(f"{life}"))).accepted == 1
    assert sorted(row["event_id"] for row in stored(tmp_path, INTERACTIONS)) == ["0", "1"]
    assert len(segments(tmp_path / "demo")) == 2


def test_a_full_disk_pushes_back_and_recovers(tmp_path: Path) -> None:
    """RESOURCE_EXHAUSTED with the time to wait; later the same call succeeds, and nothing is there twice."""
    faulty = FaultyDisk()
    with running(ranker(), settings(tmp_path), disk=faulty.disk) as started, channel(started) as opened:
        stub = rpc.FeedbackStub(opened)
        assert stub.Record(request(click("before"))).accepted == 1
        faulty.room = 10
        with pytest.raises(grpc.RpcError, match="disk is full") as caught:
            stub.Record(request(click("later")))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert int(dict(caught.value.trailing_metadata())["retry-after-ms"]) > 0
        faulty.room = 1 << 30
        assert stub.Record(request(click("later"))).accepted == 1
    assert sorted(row["event_id"] for row in stored(tmp_path, INTERACTIONS)) == ["before", "later"]


def test_a_server_without_a_log_says_so() -> None:
    """Neither a log nor a store is named: FAILED_PRECONDITION, with the way out."""
    with running(ranker()) as started, channel(started) as opened:
        with pytest.raises(grpc.RpcError, match="--log DIR") as caught:
            rpc.FeedbackStub(opened).Record(request(click()))
        assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION


def test_the_log_lies_beside_the_store() -> None:
    """By default; what is named wins."""
    assert Settings(store="/x/store").log_root == Path("/x/store-log")
    assert Settings(store="/x/store", log="/y").log_root == Path("/y")
    assert Settings().log_root is None


def rank(started: Server, prices: list[float], **fields: Any) -> ranking_pb2.RankResponse:
    message = ranking_pb2.RankRequest(**{"tenant": "demo", "query": ranking_pb2.Query(text="q"), **fields})
    message.candidates.ids.extend(f"d{row}" for row in range(len(prices)))
    message.candidates.columns.add(name="price").number.values.extend(prices)
    with channel(started) as opened:
        return ranking_pb2_grpc.RankingStub(opened).Rank(message)


@pytest.mark.parametrize("wait", [True, False])
def test_the_service_logs_what_it_ranked(tmp_path: Path, wait: bool) -> None:
    """With `log` set, the shown items in order, scores and stage scores to the bit, query and user."""
    user = ranking_pb2.User(id="u", session_id="s", values={"age": ranking_pb2.Value(number=7)})
    with running(ranker(), settings(tmp_path, wait=wait), clock=lambda: NOW) as started:
        answer = rank(started, [0.1, 3.0, 2.0], log=True, request_id="r", top_k=2, user=user)
    (shown,) = stored(tmp_path, IMPRESSIONS)
    assert [result.id for result in answer.results] == shown["candidates"] == ["d1", "d2"]
    assert matrix(shown["scores"]) == matrix([result.score for result in answer.results])
    assert (shown["names"], matrix(shown["features"])) == ('["stage.first"]', matrix([3.0, 2.0]))
    assert (shown["request_id"], shown["ranker"], shown["version"]) == ("r", "default", "v1")
    assert (shown["query"], shown["user"], shown["session"], shown["ranked"]) == ("q", "u", "s", 3)
    assert (shown["values"], shown["source"]) == ('{"now":1790000000.0,"user.age":7.0}', "server")


@pytest.mark.parametrize(("declared", "asked", "kept"), [(True, None, 1), (True, False, 0), (False, None, 0)])
def test_the_ranker_decides_where_the_request_leaves_it_open(
    tmp_path: Path, declared: bool, asked: bool | None, kept: int
) -> None:
    """`log = true` in cascade.toml is the default of its requests, and no more than that."""
    from dataclasses import replace

    with running(replace(ranker(), log=declared), settings(tmp_path)) as started:
        rank(started, [1.0], log=asked)
    assert len(stored(tmp_path, IMPRESSIONS)) == kept


def test_the_page_is_logged_as_far_as_the_setting_says(tmp_path: Path) -> None:
    """The best `items` of a long page, and how many were ranked."""
    with running(ranker(), settings(tmp_path, items=3)) as started:
        rank(started, [float(n) for n in range(10)], log=True)
    (shown,) = stored(tmp_path, IMPRESSIONS)
    assert (shown["candidates"], shown["ranked"]) == (["d9", "d8", "d7"], 10)


@pytest.mark.parametrize("wait", [True, False])
def test_a_log_that_fails_never_fails_a_ranking(tmp_path: Path, wait: bool) -> None:
    """The answer is the same; who waits for the disk is told, and the metric counts the loss."""
    faulty = FaultyDisk(room=0)
    with running(ranker(), settings(tmp_path, wait=wait), disk=faulty.disk) as started:
        answer = rank(started, [1.0, 2.0], log=True)
        assert [result.id for result in answer.results] == ["d1", "d0"]
        assert any("disk is full" in warning for warning in answer.warnings) == wait
    lost = started.metrics.registry.get_sample_value("sluice_impressions_total", {"outcome": "failed"})
    assert lost == 1


def test_a_server_without_a_log_ranks_and_warns() -> None:
    """A request that asks for the log is answered, with a warning."""
    with running(ranker()) as started:
        answer = rank(started, [1.0], log=True)
    assert [warning for warning in answer.warnings if "keeps no event log" in warning]


def test_logged_features_are_those_that_a_replay_computes(tmp_path: Path) -> None:
    """Skew test: a feature set over the logged columns gives the logged bytes."""
    from cascade.pipeline import Step
    from cascade.ranker import Ranker
    from features.batch import Query, single
    from features.featureset import FeatureSet
    from features.kinds.numeric import Numeric
    from serving.testing import Declared

    features = FeatureSet.declare([Numeric(name="cost", field="price", transform="log1p")])
    served = Ranker("default", "v1", features, (Step(Declared(name="first"), ByColumn()),))
    prices = [0.3, float("nan"), 1e-7, 123_456.78]
    with running(served, settings(tmp_path)) as started:
        rank(started, prices, log=True)
    (shown,) = stored(tmp_path, IMPRESSIONS)
    batch = single(Query("q"), [f"d{row}" for row in range(4)], {"price": number(prices)})
    again = features.compute(batch)
    rows = [int(name[1:]) for name in shown["candidates"]]
    wide = np.array(shown["features"], np.float32).reshape(4, -1)
    assert wide[:, 0].tobytes() == again.values[rows, 0].tobytes()
    assert shown["fingerprint"] == features.fingerprint


@pytest.mark.parametrize("value", ["1", '"yes"', "[]"])
def test_log_in_a_cascade_is_true_or_false(value: str) -> None:
    """Anything else is refused by its path."""
    from cascade.config import parse_config

    stages = '[[stages]]\nkind = "fixed"\ntable = { a = 1.0 }\n'
    assert parse_config(f"log = true\n{stages}").log
    with pytest.raises(InvalidConfig, match=r"\$\.log"):
        parse_config(f"log = {value}\n{stages}")


def test_health_and_reflection_know_the_service(server: Server) -> None:
    """grpcurl finds it, and its health is that of the server."""
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    with channel(server) as opened:
        asked = health_pb2.HealthCheckRequest(service="sluice.v1.Feedback")
        assert (
            health_pb2_grpc.HealthStub(opened).Check(asked).status == health_pb2.HealthCheckResponse.SERVING
        )
