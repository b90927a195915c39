"""The Rankers service against a real store: what there is, promote and roll back, and who is told of it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from cascade.promotion import Record
from cascade.store import DirectoryStore
from cascade.testing import NOON, write_tiny_bundle
from serving.administration import LONGEST_REASON
from serving.settings import Settings
from serving.testing import channel, running
from sluice.v1 import rankers_pb2 as pb
from sluice.v1.rankers_pb2_grpc import RankersStub

KEY: dict[str, Any] = {"tenant": "shop", "ranker": "main"}
CODE = grpc.StatusCode


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three bundles, an hour apart, the oldest first."""
    folder = tmp_path_factory.mktemp("bundles")
    return [write_tiny_bundle(folder / str(i), 3.0 + i, NOON + timedelta(hours=i)) for i in range(3)]


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    """An empty store."""
    (tmp_path / "store").mkdir()
    return DirectoryStore(tmp_path / "store")


@pytest.fixture
def versions(store: DirectoryStore, bundles: list[Path]) -> list[str]:
    """All three, published; none is promoted."""
    return [store.publish("shop", "main", bundle) for bundle in bundles]


@pytest.fixture
def stub(store: DirectoryStore, versions: list[str]) -> Iterator[RankersStub]:
    """The service over that store, where nobody needs credentials."""
    with (
        running(store, Settings(port=0, poll_s=1e-9), clock=NOON.timestamp) as server,
        channel(server) as opened,
    ):
        yield RankersStub(opened)


def refused(call: Any, request: Any) -> tuple[grpc.StatusCode, str]:
    """How a call fails."""
    with pytest.raises(grpc.RpcError) as caught:
        call(request, timeout=30)
    return caught.value.code(), caught.value.details()


def promote(stub: RankersStub, version: str, expected: str = "", **more: Any) -> pb.RankerInfo:
    """Ask for a promotion."""
    return stub.Promote(asked(version, expected, **more), timeout=30)


def asked(version: str, expected: str = "", **more: Any) -> pb.PromoteRequest:
    """The request for one."""
    return pb.PromoteRequest(**KEY, version=version, expected_version=expected, **more)


def test_what_there_is(stub: RankersStub, versions: list[str]) -> None:
    """Rankers with what serves, versions with what training measured, and the plan of one."""
    promote(stub, versions[0])
    told = stub.ListRankers(pb.ListRankersRequest(tenant="shop"), timeout=30).rankers
    assert [(one.ranker, one.version, one.versions, list(one.history)) for one in told] == [
        ("main", versions[0], 3, [])
    ]
    assert stub.GetRanker(pb.GetRankerRequest(**KEY), timeout=30) == told[0]
    listed = stub.ListVersions(pb.ListVersionsRequest(**KEY), timeout=30).versions
    assert [(one.version, one.promoted) for one in listed] == list(
        zip(versions, (True, False, False), strict=True)
    )
    assert listed[0].created.ToDatetime(UTC) == NOON
    assert dict(listed[0].metrics) == {"nDCG@10": 0.5}
    plan = stub.DescribePlan(pb.DescribePlanRequest(**KEY), timeout=30)
    assert plan.version == versions[0]
    assert [(one.name, one.kind, one.HasField("keep")) for one in plan.stages] == [
        ("first", "fixed", True),
        ("linear", "linear", False),
    ]


def test_the_first_version_may_serve_and_the_next_needs_the_gate(
    stub: RankersStub, store: DirectoryStore, versions: list[str]
) -> None:
    """Nobody can be better than nothing; then the gate's agreement counts, with what it was compared with."""
    old, new, newest = versions
    assert promote(stub, old).version == old
    code, text = refused(stub.Promote, asked(new, old))
    assert code is CODE.FAILED_PRECONDITION
    assert "--approve" in text
    store.approve("shop", "main", Record(version=new, time="now", against=old))
    assert promote(stub, new, old).history == [old]
    assert store.promotion("shop", "main").records[-1].forced is False
    store.approve("shop", "main", Record(version=newest, time="now", against=new))
    stub.Rollback(pb.RollbackRequest(**KEY), timeout=30)
    assert refused(stub.Promote, asked(newest, old))[0] is CODE.FAILED_PRECONDITION


def test_force_needs_a_reason_and_is_recorded(
    stub: RankersStub, store: DirectoryStore, versions: list[str]
) -> None:
    """Without the gate a person answers for it, in the record and in the audit log."""
    promote(stub, versions[0])
    for reason in ("", "  ", "x" * (LONGEST_REASON + 1)):
        request = asked(versions[1], versions[0], force=True, reason=reason)
        assert refused(stub.Promote, request)[0] is CODE.INVALID_ARGUMENT
    promote(stub, versions[1], versions[0], force=True, reason="a sale begins")
    record = store.promotion("shop", "main").records[-1]
    assert (record.forced, record.reason, record.against) == (True, "a sale begins", versions[0])
    assert datetime.fromisoformat(record.time) == NOON
    last = store.audit("shop")[-1]
    assert (last.action, last.actor, last.forced, last.reason) == ("promote", "anyone", True, "a sale begins")


def test_roll_back(stub: RankersStub, versions: list[str]) -> None:
    """The version before serves again, if the one expected serves; where there is none, that is said."""
    old, new, _ = versions
    assert refused(stub.Rollback, pb.RollbackRequest(**KEY))[0] is CODE.FAILED_PRECONDITION
    promote(stub, old)
    promote(stub, new, old, force=True, reason="try")
    late = pb.RollbackRequest(**KEY, expected_version=old)
    assert refused(stub.Rollback, late)[0] is CODE.ABORTED
    assert stub.Rollback(pb.RollbackRequest(**KEY, expected_version=new), timeout=30).version == old


def test_a_lost_race_is_aborted(stub: RankersStub, store: DirectoryStore, versions: list[str]) -> None:
    """Of many promotions that expect the same version to serve, one is made; the others change nothing."""
    promote(stub, versions[0])

    statuses: list[grpc.StatusCode] = []

    def attempt(version: str) -> str | None:
        try:
            return str(promote(stub, version, versions[0], force=True, reason="race").version)
        except grpc.RpcError as error:
            statuses.append(error.code())
            return None

    with ThreadPoolExecutor(8) as pool:
        made = [one for one in pool.map(attempt, versions[1:] * 8) if one]
    assert len(made) == 1
    assert set(statuses) == {CODE.ABORTED}
    assert store.promotion("shop", "main").version == made[0]
    assert store.promotion("shop", "main").history == (versions[0],)
    assert [one.action for one in store.audit("shop")].count("promote") == 2


def test_what_is_not_there(stub: RankersStub, store: DirectoryStore, versions: list[str]) -> None:
    """A version that is gone, unknown names, and names that lead astray."""
    assert refused(stub.Promote, asked("0" * 16))[0] is CODE.NOT_FOUND
    assert refused(stub.Promote, asked("../../x"))[0] is CODE.INVALID_ARGUMENT
    assert refused(stub.GetRanker, pb.GetRankerRequest(tenant="shop"))[0] is CODE.NOT_FOUND
    for name in ("shopp", "../shop", "x" * 10_000, ""):
        code, text = refused(stub.ListRankers, pb.ListRankersRequest(tenant=name))
        assert code in (CODE.NOT_FOUND, CODE.INVALID_ARGUMENT)
        assert str(store.root) not in text
        assert "'shop'" not in text or "shop" in name


def test_a_bundle_that_came_to_harm_is_not_promoted(
    stub: RankersStub, store: DirectoryStore, versions: list[str]
) -> None:
    """DATA_LOSS, what serves stays, and no word on where the store is."""
    promote(stub, versions[0])
    folder = store.path("shop", "main", versions[1])
    (folder / "cascade.toml").write_text("else")
    harmed = asked(versions[1], versions[0], force=True, reason="r")
    code, text = refused(stub.Promote, harmed)
    assert (code, str(store.root) in text) == (CODE.DATA_LOSS, False)
    (folder / "manifest.json").unlink()
    code, text = refused(stub.Promote, harmed)
    assert (code, str(store.root) in text) == (CODE.DATA_LOSS, False)
    listed = stub.ListVersions(pb.ListVersionsRequest(**KEY), timeout=30).versions
    assert len(listed) == 3
    (store.root / "shop/main/promoted.json").write_text("{")
    code, text = refused(stub.GetRanker, pb.GetRankerRequest(**KEY))
    assert (code, str(store.root) in text) == (CODE.DATA_LOSS, False)


def test_a_promotion_over_the_wire_serves(store: DirectoryStore, versions: list[str]) -> None:
    """The server that was asked answers with the version that it was asked for, within a poll."""
    from sluice.v1.ranking_pb2 import Query, RankRequest
    from sluice.v1.ranking_pb2_grpc import RankingStub

    with running(store, Settings(port=0, poll_s=0.01)) as server, channel(server) as opened:
        admin, asking = RankersStub(opened), RankRequest(tenant="shop", ranker="main", query=Query(text="q"))
        asking.candidates.ids.append("a")
        serves = ""
        for version in versions[:2]:
            promote(admin, version, serves, force=bool(serves), reason="test")
            serves = version
            answers = (RankingStub(opened).Rank(asking, timeout=30).version for _ in range(10_000))
            assert version in answers
