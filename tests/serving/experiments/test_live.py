"""Experiments on a real server: who is answered by whom, what is logged, and what never fails."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from scipy import stats

from cascade.eventlog.layout import IMPRESSIONS
from cascade.eventlog.read import scan
from cascade.experiments.assignment import group_of
from cascade.experiments.declared import Experiment
from cascade.pipeline import Step
from cascade.ranker import Ranker
from cascade.stage import StageResult
from cascade.store import DirectoryStore
from cascade.testing import write_tiny_bundle
from features.columns import Floats, Input
from features.featureset import FeatureSet
from features.kinds.numeric import Numeric
from serving.server import Server
from serving.settings import Settings, Shadows
from serving.testing import Broken, ByColumn, Declared, Gate, Shelf, channel, ranker, running
from sluice.v1 import ranking_pb2 as pb
from sluice.v1 import ranking_pb2_grpc as rpc

Ask = Callable[..., pb.RankRequest]

OLD = ranker(ByColumn("price"), version="old")
NEW = ranker(ByColumn("stock"), version="new")


def experiment(kind: str, **fields: Any) -> Experiment:
    """Half of the traffic, against `old`."""
    made: dict[str, Any] = {"arms": ("old", "new"), "shares": (0.5, 0.5), "seed": 7, "started": "2026-11-20"}
    return Experiment(name="test", kind=kind, **{**made, **fields})  # type: ignore[arg-type]


@contextmanager
def serving(
    declared: Experiment | None, log: Path | None = None, *rankers: Ranker, **how: Any
) -> Iterator[tuple[Server, Any]]:
    """A server whose experiment has begun, and a stub."""
    shelf = Shelf({"default": rankers or (OLD, NEW)})
    if declared:
        shelf.running["default"] = declared
    made = Settings(port=0, grace_s=5.0, poll_s=60.0, reserve_ms=0.0, log=str(log or ""), **how)
    with running(shelf, made, background=lambda work: work()) as server, channel(server) as opened:
        yield server, rpc.RankingStub(opened)


def page(ask: Ask, number: int = 0, **fields: Any) -> pb.RankRequest:
    """A request whose two columns order its six items against each other."""
    request = ask([6.0, 5.0, 4.0, 3.0, 2.0, 1.0], request_id=f"r{number}", **fields)
    request.candidates.columns.add(name="stock").number.values.extend([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    return request


def by(user: str) -> pb.User:
    """A user."""
    return pb.User(id=user)


def ids(answer: pb.RankResponse) -> str:
    """The order, as digits."""
    return "".join(result.id for result in answer.results)


def counted(server: Server, name: str, **labels: str) -> float:
    """What a counter stands at."""
    return server.metrics.registry.get_sample_value(name, labels) or 0.0


def stored(log: Path) -> dict[str, dict[str, Any]]:
    """Request id → the logged impression."""
    rows = chain.from_iterable(table.to_pylist() for table in scan(log / "demo", IMPRESSIONS))
    return {row["request_id"]: row for row in rows}


def test_a_canary_answers_its_share_of_users(ask: Ask) -> None:
    """A user's answers all come from the arm that the hash says; the arm gets its share of users."""
    declared = experiment("canary", shares=(0.7, 0.3))
    with serving(declared) as (server, stub):
        seen: dict[str, set[tuple[str, str, str]]] = {}
        for number in range(400):
            user = f"u{number % 200}"
            answer = stub.Rank(page(ask, number, user=by(user)), timeout=20)
            seen.setdefault(user, set()).add((answer.version, answer.arm, ids(answer)))
        counts = counted(server, "sluice_experiment_answers_total", kind="canary", outcome="as_assigned")
    wanted = {0: ("old", "test/old", "012345"), 1: ("new", "test/new", "543210")}
    assert seen == {user: {wanted[group_of(declared, user, "", "")]} for user in seen}
    taken = sum(answers == {wanted[1]} for answers in seen.values())
    low, high = stats.binom.ppf([1e-4, 1 - 1e-4], 200, 0.3)
    assert low <= taken <= high
    assert counts == 2 * taken


def test_interleaved_pages_are_drafted_and_logged(ask: Ask, tmp_path: Path) -> None:
    """Pages have items of both arms, the log who drafted which and how probable it was; a replay is equal."""
    with serving(experiment("interleave", shares=(0.0, 1.0)), tmp_path) as (_, stub):
        answers = [stub.Rank(page(ask, number, top_k=4), timeout=20) for number in range(100)]
        again = stub.Rank(page(ask, 3, top_k=4), timeout=20)
    assert {(answer.version, answer.arm) for answer in answers} == {("old", "test/interleaved")}
    for answer in answers:
        assert sorted(answer.teams) == [0, 0, 1, 1]
        assert {result.id for result, team in zip(answer.results, answer.teams, strict=True) if team} == {
            "5",
            "4",
        }
        assert [result.score for result in answer.results if result.id in "05"] == [6.0, 6.0]
    assert (ids(again), list(again.teams)) == (ids(answers[3]), list(answers[3].teams))
    first = Counter(ids(answer)[0] for answer in answers)
    assert 30 <= first["0"] <= 70
    logged = stored(tmp_path)
    for number, answer in enumerate(answers):
        row = logged[f"r{number}"]
        assert (row["arm"], "".join(row["candidates"])) == ("test/interleaved", ids(answer))
        assert row["teams"] == list(answer.teams)
        assert row["propensities"] == [0.5] * 4
        assert row["scores"] == [result.score for result in answer.results]


def test_the_stream_ends_with_the_interleaved_page(ask: Ask) -> None:
    """Until the last stage the control's rankings are shown, and in the end what Rank answers."""
    control = ranker(ByColumn("price"), ByColumn("price"), version="old")
    with serving(experiment("interleave"), None, control, NEW) as (_, stub):
        request = next(
            page(ask, number, user=by(f"u{number}"))
            for number in range(100)
            if group_of(experiment("interleave"), f"u{number}", "", "") == 1
        )
        first, last = stub.RankStream(request, timeout=20)
        answer = stub.Rank(request, timeout=20)
    assert (ids(first), first.final, list(first.teams)) == ("012345", False, [])
    assert (ids(last), last.final, list(last.teams)) == (ids(answer), True, list(answer.teams))
    assert last.teams
    assert len(last.stages) == 2


@dataclass(frozen=True)
class Weighed:
    """Scores by the price times a weight, and can tell so."""

    weight: float
    reads: tuple[str, ...] = ("price",)
    inputs: tuple[Input, ...] = ()

    def score(self, batch: Any, matrix: Any, deadline: Any) -> StageResult:
        """The product."""
        return StageResult(matrix.column("price") * np.float32(self.weight))

    def contributions(self, batch: Any, matrix: Any) -> Floats:
        """The product, and no bias."""
        product = matrix.column("price") * np.float32(self.weight)
        return np.stack([product, np.zeros_like(product)], axis=1)


def weighed(version: str, weight: float) -> Ranker:
    """A ranker by the price times a weight."""
    features = FeatureSet.declare((Numeric(name="price", field="price"),))
    return Ranker("default", version, features, (Step(Declared(name="only"), Weighed(weight)),))


def test_each_item_is_explained_by_the_arm_that_drafted_it(ask: Ask) -> None:
    """Bias and contributions add up to each item's score, which is that of the arm that drafted it."""
    arms = weighed("old", 1.0), weighed("new", -2.0)
    with serving(experiment("interleave", shares=(0.0, 1.0)), None, *arms) as (_, stub):
        answer = stub.Rank(ask([6.0, 5.0, 4.0, 3.0], explain=pb.EXPLAIN_FEATURES), timeout=20)
    for result, team in zip(answer.results, answer.teams, strict=True):
        price = 6.0 - int(result.id)
        told = result.explanation
        assert result.score == pytest.approx(price * (1.0, -2.0)[team])
        assert told.bias + sum(each.contribution for each in told.features) == pytest.approx(result.score)
    assert set(answer.teams) == {0, 1}


@pytest.mark.parametrize("kind", ["canary", "interleave"])
def test_an_arm_that_fails_costs_nobody_an_answer(ask: Ask, kind: str, tmp_path: Path) -> None:
    """The control answers in its place, with a warning and a count; the log keeps arm and version apart."""
    broken = ranker(Broken(), version="new", on_error="fail")
    declared = experiment(kind)
    with serving(declared, tmp_path, OLD, broken) as (server, stub):
        request = page(ask, user=by("u1"), ignore_unknown_columns=True)
        assert group_of(declared, "u1", "", "") == 1
        answer = stub.Rank(request, timeout=20)
        (*_, last) = stub.RankStream(request, timeout=20)
        fell_back = counted(server, "sluice_experiment_answers_total", kind=kind, outcome="fell_back")
    assert (answer.version, ids(answer), list(answer.teams)) == ("old", "012345", [])
    assert answer.arm == declared.groups[1]
    assert answer.warnings[-1] == "experiment: arm new failed, and the control answered: RuntimeError"
    assert ids(last) == "012345"
    assert fell_back == 2
    assert (stored(tmp_path)["r0"]["arm"], stored(tmp_path)["r0"]["version"]) == (declared.groups[1], "old")


def test_a_degraded_arm_is_not_interleaved(ask: Ask) -> None:
    """Where a stage of the other arm fails, that is not what it would show, and the control answers alone."""
    half = ranker(ByColumn("stock"), Broken(), version="new")
    with serving(experiment("interleave", shares=(0.0, 1.0)), None, OLD, half) as (_, stub):
        answer = stub.Rank(page(ask), timeout=20)
    assert (ids(answer), answer.degraded, list(answer.teams)) == ("012345", False, [])
    assert any("stage 'second' was FAILED" in warning for warning in answer.warnings)


def test_a_pinned_version_takes_no_part(ask: Ask) -> None:
    """Who names a version gets it."""
    with serving(experiment("canary", shares=(0.001, 0.999))) as (_, stub):
        pinned = stub.Rank(page(ask, ranker="default@old", ignore_unknown_columns=True), timeout=20)
        other = stub.Rank(page(ask, user=by("u")), timeout=20)
    assert (pinned.version, pinned.arm) == ("old", "")
    assert (other.version, other.arm) == ("new", "test/new")


def test_an_arm_that_cannot_be_loaded_lets_the_control_serve(ask: Ask, logs: list[dict[str, Any]]) -> None:
    """The experiment does not begin, the log and a counter say so, and every request is answered."""
    shelf = Shelf({"default": [OLD, NEW]})
    shelf.running["default"] = experiment("canary")
    shelf.corrupt.add("new")
    with running(shelf, background=lambda work: work()) as server, channel(server) as opened:
        answers = [
            rpc.RankingStub(opened).Rank(
                page(ask, number, user=by(f"u{number}"), ignore_unknown_columns=True), timeout=20
            )
            for number in range(20)
        ]
        failed = counted(server, "sluice_experiment_loads_total", outcome="failed")
    assert {(answer.version, answer.arm) for answer in answers} == {("old", "")}
    assert failed == 1
    assert [each["experiment"] for each in logs if each["event"] == "experiment_not_begun"] == ["test"]


def test_columns_of_any_arm_are_known(ask: Ask) -> None:
    """What only one arm reads is no unknown column to the others."""
    with serving(experiment("canary")) as (_, stub):
        answers = {stub.Rank(page(ask, n, user=by(f"u{n}")), timeout=20).version for n in range(20)}
    assert answers == {"old", "new"}
    with serving(None) as (_, stub), pytest.raises(grpc.RpcError, match="reads no column 'stock'"):
        stub.Rank(page(ask), timeout=20)


def test_a_shadow_changes_and_delays_nothing(ask: Ask, tmp_path: Path) -> None:
    """While a shadow hangs, answers are the control's byte for byte; what finds its queue full is dropped."""
    gate = Gate(ByColumn("stock"))
    shadow = ranker(gate, version="new")
    declared = experiment("shadow", shares=(0.0, 1.0))
    requests = [ask([1.0, 3.0, 2.0], request_id=f"r{number}", explain=pb.EXPLAIN_NONE) for number in range(6)]
    with serving(declared, tmp_path / "a", OLD, shadow, shadows=Shadows(queue=1)) as (server, stub):
        answers = [stub.Rank(request, timeout=20) for request in requests]
        dropped = counted(server, "sluice_shadows_total", outcome="dropped")
        gate.opened.release(2)
        assert all(gate.entered.acquire(timeout=20) for _ in range(2))
    ran = counted(server, "sluice_shadows_total", outcome="ran")
    with serving(None, tmp_path / "b", OLD) as (_, stub):
        alone = [stub.Rank(request, timeout=20) for request in requests]
    assert [each.SerializeToString() for each in answers] == [each.SerializeToString() for each in alone]
    assert (dropped, ran) == (4, 2)
    lines = [
        json.loads(line)
        for file in (tmp_path / "a/demo/shadows/test").glob("*.jsonl")
        for line in file.read_text().splitlines()
    ]
    assert [(line["version"], line["overlap"], line["tau"]) for line in lines] == [
        ("new", 1.0, pytest.approx(-1 / 3))
    ] * 2
    assert all(line["ms"] > 0 for line in lines)


def test_the_same_request_gives_the_same_bytes_under_an_experiment(ask: Ask) -> None:
    """Assignment and draft hang on ids and seed alone: another server answers the same."""
    found = []
    for _ in range(2):
        with serving(experiment("interleave", shares=(0.3, 0.7))) as (_, stub):
            asked = [page(ask, n, user=by(f"u{n}"), explain=pb.EXPLAIN_NONE) for n in range(20)]
            found.append([stub.Rank(request, timeout=20).SerializeToString() for request in asked])
    assert found[0] == found[1]


def test_scores_are_finite_in_long_pages(ask: Ask) -> None:
    """More candidates than are drafted: all of them are answered once, drafted ones first."""
    prices = np.random.default_rng(3).permutation(500).astype(float)
    request = ask(prices.tolist())
    request.candidates.columns.add(name="stock").number.values.extend(prices[::-1].tolist())
    with serving(experiment("interleave", shares=(0.0, 1.0))) as (_, stub):
        answer = stub.Rank(request, timeout=20)
    assert sorted(int(result.id) for result in answer.results) == list(range(500))
    assert Counter(answer.teams[:200]) == {0: 100, 1: 100}
    assert set(answer.teams[200:]) == {-1}


def test_it_begins_and_ends_while_the_server_runs(tmp_path: Path) -> None:
    """Started and stopped on the disk, it is noticed without a restart, its arm loaded and then let go."""
    store = DirectoryStore(tmp_path / "store")
    bundles = [write_tiny_bundle(tmp_path / f"b{number}", 3.0 + number) for number in range(2)]
    old, new = (store.publish("demo", "default", bundle) for bundle in bundles)
    store.promote("demo", "default", old)
    declared = experiment("canary", arms=(old, new), shares=(0.01, 0.99))
    request = pb.RankRequest(tenant="demo", query=pb.Query(text="q"), user=by("u"))
    request.candidates.ids.extend(["a", "b", "c"])
    made = Settings(port=0, poll_s=0.01, log=str(tmp_path / "log"))
    with running(store, made) as server, channel(server) as opened:
        stub = rpc.RankingStub(opened)

        def answered(version: str) -> bool:
            return any(stub.Rank(request, timeout=20).version == version for _ in range(5_000))

        assert stub.Rank(request, timeout=20).version == old
        store.start_experiment("demo", "default", declared)
        assert answered(new)
        store.stop_experiment("demo", "default", "2026-11-21")
        assert answered(old)
