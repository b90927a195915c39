"""Rank, RankStream and RankMany over a real server."""

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import numpy as np
import pytest

from cascade.pipeline import Step
from cascade.ranker import Ranker
from cascade.stage import StageResult
from features.columns import Floats, Input, Kind
from features.featureset import FeatureSet
from features.kinds.numeric import Numeric
from serving.settings import Settings
from serving.testing import Broken, ByColumn, Declared, Gate, channel, ranker, running
from sluice.v1 import ranking_pb2 as pb
from sluice.v1 import ranking_pb2_grpc as rpc

Ask = Callable[..., pb.RankRequest]


class Sum:
    """Scores by the sum of its columns, and can tell what each brought."""

    reads = ("price", "stock")
    inputs: tuple[Input, ...] = ()

    def score(self, batch: Any, matrix: Any, deadline: Any) -> Any:
        """The sum and one, where every column is there."""
        return StageResult(matrix.select(self.reads).sum(axis=1) + np.float32(1))

    def contributions(self, batch: Any, matrix: Any) -> Floats:
        """The columns themselves, and the one as bias."""
        values = matrix.select(self.reads)
        return np.concatenate([values, np.ones((len(values), 1), np.float32)], axis=1)


def explaining(*after: Step) -> Ranker:
    """Two features, a stage that explains, and stages behind it."""
    features = FeatureSet.declare(
        (Numeric(name="price", field="price"), Numeric(name="stock", field="stock"))
    )
    return Ranker("default", "v1", features, (Step(Declared(name="sum", keep=2), Sum()), *after))


def without_times(message: pb.RankResponse) -> bytes:
    """The bytes of an answer but for what a clock says."""
    copy = pb.RankResponse()
    copy.CopyFrom(message)
    for report in copy.stages:
        report.queue_ms = report.features_ms = report.inference_ms = 0.0
    return copy.SerializeToString(deterministic=True)


def test_the_answer_is_complete(stub: rpc.RankingStub, ask: Ask) -> None:
    """Best first, with index, score, who placed it, the ranker, its version and what each stage did."""
    answer = stub.Rank(ask([1.0, 3.0, 2.0], ["a", "b", "c"], request_id="mine", top_k=2), timeout=20)
    assert [(each.id, each.index, each.score, each.placed_by) for each in answer.results] == [
        ("b", 1, 3.0, "first"),
        ("c", 2, 2.0, "first"),
    ]
    assert (answer.request_id, answer.ranker, answer.version) == ("mine", "default", "v1")
    assert (answer.final, answer.degraded) == (True, False)
    (report,) = answer.stages
    assert (report.name, report.status, report.seen, report.kept) == ("first", pb.STAGE_STATUS_RAN, 3, 3)
    assert (report.entered_top_k, report.left_top_k) == (1, 1)
    assert report.inference_ms > 0


def test_the_server_makes_a_request_id(stub: rpc.RankingStub, ask: Ask) -> None:
    """Two requests without an id get two different ones."""
    first, second = (stub.Rank(ask([1.0]), timeout=20).request_id for _ in range(2))
    assert first
    assert first != second


def test_the_same_request_gives_the_same_bytes(stub: rpc.RankingStub, ask: Ask) -> None:
    """A replayed request is answered by identical bytes, times aside."""
    prices = np.random.default_rng(7).integers(0, 20, 200).astype(float).tolist()
    request = ask(prices, request_id="same", explain=pb.EXPLAIN_FEATURES)
    answers = {without_times(stub.Rank(request, timeout=20)) for _ in range(5)}
    assert len(answers) == 1


def test_ties_keep_the_order_of_the_request(stub: rpc.RankingStub, ask: Ask) -> None:
    """Equal scores leave retrieval's order."""
    answer = stub.Rank(ask([1.0, 2.0, 1.0, 2.0], ["a", "b", "c", "d"]), timeout=20)
    assert [each.id for each in answer.results] == ["b", "d", "a", "c"]


def test_explain_none_leaves_the_reports_out(stub: rpc.RankingStub, ask: Ask) -> None:
    """EXPLAIN_NONE is the results alone; unset means the stages are told."""
    assert not stub.Rank(ask([1.0], explain=pb.EXPLAIN_NONE), timeout=20).stages
    assert stub.Rank(ask([1.0]), timeout=20).stages


def test_explain_features(ask: Ask) -> None:
    """Every returned item has its feature values, and bias and contributions that add up to its raw score."""
    with running(explaining()) as server, channel(server) as opened:
        request = ask([1.0, 3.0, 2.0], explain=pb.EXPLAIN_FEATURES, top_k=2)
        request.candidates.columns.add(name="stock").number.values.extend([5.0, 6.0, 7.0])
        answer = rpc.RankingStub(opened).Rank(request, timeout=20)
    assert [each.id for each in answer.results] == ["1", "2"]
    for result in answer.results:
        told = result.explanation
        assert told.stage == "sum"
        assert [each.name for each in told.features] == ["price", "stock"]
        assert told.bias + sum(each.contribution for each in told.features) == result.score
    assert [each.value for each in answer.results[0].explanation.features] == [3.0, 6.0]


def test_explain_names_the_stage_it_tells_of(ask: Ask) -> None:
    """Where the placing stage cannot tell, the last before it that can does; gaps stay unset."""
    last = Step(Declared(name="last"), ByColumn("stock"))
    with running(explaining(last)) as server, channel(server) as opened:
        request = ask([1.0, 3.0, float("nan")], explain=pb.EXPLAIN_FEATURES)
        request.candidates.columns.add(name="stock").number.values.extend([9.0, 6.0, 7.0])
        answer = rpc.RankingStub(opened).Rank(request, timeout=20)
    told = {each.id: (each.placed_by, each.explanation.stage) for each in answer.results}
    assert told == {"0": ("last", "sum"), "1": ("last", "sum"), "2": ("input", "")}
    price, stock = answer.results[2].explanation.features
    assert not price.HasField("value")
    assert not price.HasField("contribution")
    assert stock.value == 7.0


def test_the_stream_shows_every_stage(ask: Ask) -> None:
    """A ranking after each stage while the next one still runs; only the last is final."""
    gate = Gate(ByColumn("stock"))
    with running(ranker(ByColumn(), gate, ByColumn())) as server, channel(server) as opened:
        request = ask([1.0, 2.0], ["a", "b"], request_id="r")
        request.candidates.columns.add(name="stock").number.values.extend([2.0, 1.0])
        answers = rpc.RankingStub(opened).RankStream(request, timeout=60)
        first = next(answers)  # arrives before the second stage may go on
        gate.opened.release()
        rest = list(answers)
    seen = [
        ([each.id for each in answer.results], len(answer.stages), answer.final) for answer in (first, *rest)
    ]
    assert seen == [(["b", "a"], 1, False), (["a", "b"], 2, False), (["b", "a"], 3, True)]
    assert {answer.request_id for answer in (first, *rest)} == {"r"}


def test_the_streams_last_answer_is_ranks(stub: rpc.RankingStub, ask: Ask) -> None:
    """RankStream ends with what Rank answers."""
    request = ask([1.0, 3.0, 2.0], request_id="same")
    *_, last = stub.RankStream(request, timeout=20)
    assert without_times(last) == without_times(stub.Rank(request, timeout=20))


def test_many_are_answered_as_they_finish(ask: Ask) -> None:
    """A slow request does not hold up those behind it, and a bad one fails alone."""
    gate = Gate()

    class Choose(ByColumn):
        """The gate for requests whose first price is negative."""

        def score(self, batch: Any, matrix: Any, deadline: Any) -> Any:
            slow = batch.column("price", Kind.NUMBER).values[0] < 0
            return (gate if slow else ByColumn()).score(batch, matrix, deadline)

    with running(ranker(Choose()), Settings(port=0, workers=2)) as server, channel(server) as opened:
        requests = [
            ask([-1.0], request_id="slow"),
            ask([1.0], request_id="fast"),
            ask([1.0, 2.0], ["x", "x"], request_id="bad"),
        ]
        answers = rpc.RankingStub(opened).RankMany(iter(requests), timeout=60)
        early = {next(answers).request_id, next(answers).request_id}
        gate.opened.release()
        late = list(answers)
    assert early == {"fast", "bad"}
    assert [answer.request_id for answer in late] == ["slow"]
    assert late[0].results[0].score == -1.0


def test_a_failure_among_many_says_why(stub: rpc.RankingStub, ask: Ask) -> None:
    """What Rank would have ended with stands in `failure`."""
    (answer,) = stub.RankMany(iter([ask([1.0, 2.0], ["x", "x"], request_id="bad")]), timeout=20)
    assert (answer.request_id, answer.final) == ("bad", True)
    assert answer.failure.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert answer.failure.message == "candidates.ids[1]: 'x' is also row 0"


def test_many_more_than_the_window(stub: rpc.RankingStub, ask: Ask) -> None:
    """Any number of requests on one call, each answered once."""

    def requests() -> Iterator[pb.RankRequest]:
        for number in range(200):
            yield ask([1.0, float(number)], request_id=str(number))

    answers = list(stub.RankMany(requests(), timeout=60))
    assert sorted(int(answer.request_id) for answer in answers) == list(range(200))
    assert all(answer.results and not answer.HasField("failure") for answer in answers)


def test_a_failing_stage_degrades(ask: Ask) -> None:
    """A stage that fails is reported, and the ranking of the others is answered."""
    with running(ranker(ByColumn(), Broken())) as server, channel(server) as opened:
        answer = rpc.RankingStub(opened).Rank(ask([1.0, 2.0]), timeout=20)
    assert [each.id for each in answer.results] == ["1", "0"]
    assert answer.degraded
    assert [each.status for each in answer.stages] == [pb.STAGE_STATUS_RAN, pb.STAGE_STATUS_FAILED]


@pytest.mark.parametrize("method", ["Rank", "RankStream"])
def test_an_unforeseen_error_gives_only_an_id(ask: Ask, method: str, logs: list[dict[str, Any]]) -> None:
    """INTERNAL has a fixed text and an error id, which the log has with the cause; the server lives."""
    with running(ranker(Broken(), on_error="fail")) as server, channel(server) as opened:
        call = getattr(rpc.RankingStub(opened), method)
        for _ in range(2):
            with pytest.raises(grpc.RpcError) as caught:
                list(call(ask_nothing(), timeout=20)) if method == "RankStream" else call(
                    ask_nothing(), timeout=20
                )
            assert caught.value.code() is grpc.StatusCode.INTERNAL
            assert caught.value.details() == "internal error; report its error id"
    trailers = dict(caught.value.trailing_metadata())
    logged = [each for each in logs if each.get("error_id") == trailers["error-id"]]
    assert [str(each["exc_info"]) for each in logged][-1] == "secret: /somewhere/private"


def ask_nothing() -> pb.RankRequest:
    """A request for two candidates without columns."""
    return pb.RankRequest(tenant="demo", query=pb.Query(text="q"), candidates=pb.Candidates(ids=["a", "b"]))
