"""What a declared tenant means to a real server: its quota, its share of a model, and what is counted."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from msgspec.structs import replace
from prometheus_client import generate_latest

from cascade.load import load_ranker
from cascade.store import DirectoryStore
from cascade.tenants import Quota, Tenant, Tenants
from cascade.testing import write_tiny_bundle
from features.batch import CandidateBatch
from features.fairness import LOW, Share
from features.matrix import FeatureMatrix
from serving.admission import RESERVE
from serving.observe import OTHERS, TENANTS, Metrics
from serving.register import Register
from serving.settings import Rankers, Settings
from serving.testing import ByColumn, Gate, Shelf, channel, ranker, running, target
from sluice import Busy, Client, Failure, Request
from sluice.v1 import ranking_pb2 as pb
from sluice.v1.ranking_pb2_grpc import RankingStub

ROWS = [{"id": name} for name in "abc"]


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    """`shop` and `news` with the same ranker."""
    shelf, bundle = DirectoryStore(tmp_path / "store"), write_tiny_bundle(tmp_path / "bundle")
    for name in ("shop", "news"):
        shelf.promote(name, "default", shelf.publish(name, "default", bundle))
    return shelf


@pytest.fixture
def server(store: DirectoryStore) -> Iterator[Any]:
    """A server that reads declarations every time."""
    with running(store, Settings(port=0, poll_s=1e-9)) as started:
        yield started


def limit(store: DirectoryStore, rate: float, burst: float) -> None:
    """Give `shop` a quota."""
    tenants, quota = Tenants(store.root), Quota(rate=rate, burst=burst)
    tenants.change("shop", "tenant-set", lambda one: replace(one, quota=quota))


def test_over_its_quota_a_tenant_waits_and_another_does_not(store: DirectoryStore, server: Any) -> None:
    """Noticed while serving; the client is told when to come back; the count says who it was."""
    with (
        Client(target(server), "shop", timeout_s=30) as shop,
        Client(target(server), "news", timeout_s=30) as news,
    ):
        shop.rank("q", ROWS)
        limit(store, 0.001, 3.0)
        shop.rank("q", ROWS)
        once = Client(target(server), "shop", timeout_s=2)
        with pytest.raises(Busy, match=r"quota of 0\.001 units") as caught:
            once.rank("q", ROWS)
        assert caught.value.retry_after_s is not None
        assert caught.value.retry_after_s > 2_000
        assert news.rank("q", ROWS).ids == ("b", "c", "a")
        once.close()
    page = generate_latest(server.metrics.registry).decode()
    assert 'sluice_tenant_refusals_total{tenant="shop"} 1.0' in page
    assert 'sluice_tenant_units_total{tenant="shop"} 6.0' in page
    assert 'sluice_tenant_units_total{tenant="news"} 3.0' in page


def test_a_quota_of_zero(store: DirectoryStore, server: Any) -> None:
    """Everything is refused in words that say why, on every method; without it everything is answered."""
    limit(store, 0.0, 0.0)
    with channel(server) as opened, Client(target(server), "shop", timeout_s=5) as client:
        stub, asked = RankingStub(opened), pb.RankRequest(tenant="shop", query=pb.Query(text="q"))
        for call in (lambda: stub.Rank(asked, timeout=30), lambda: list(stub.RankStream(asked, timeout=30))):
            with pytest.raises(grpc.RpcError) as caught:
                call()
            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert "quota is zero" in caught.value.details()
            trailers = {key for key, _ in caught.value.trailing_metadata()}
            assert {"retry-after-ms", "grpc-status-details-bin"} <= trailers
        answers = list(client.rank_many([Request(query="q", candidates=ROWS)] * 2))
        assert [type(each) for each in answers] == [Failure] * 2
        Tenants(store.root).change("shop", "tenant-set", lambda one: replace(one, quota=None))
        assert client.rank("q", ROWS).ids == ("b", "c", "a")


def test_nothing_is_loaded_for_a_quota_of_zero(store: DirectoryStore) -> None:
    """Who may rank nothing is refused before a ranker is brought into memory for it, and is counted."""
    limit(store, 0.0, 0.0)
    settings = Settings(port=0, rankers=Rankers(preload="none"))
    with running(store, settings) as server, channel(server) as opened:
        with pytest.raises(grpc.RpcError, match="quota is zero"):
            RankingStub(opened).Rank(pb.RankRequest(tenant="shop", query=pb.Query(text="q")), timeout=30)
        assert len(server.catalogue.held) == 0
        page = generate_latest(server.metrics.registry).decode()
    assert 'sluice_tenant_refusals_total{tenant="shop"} 1.0' in page


def test_higher_classes_are_loaded_ahead_first(store: DirectoryStore) -> None:
    """A declared priority puts a tenant's ranker before one that was promoted later."""
    loads: list[str] = []

    def load(path: Path, name: str) -> Any:
        loads.append(path.relative_to(store.root).parts[0])
        return load_ranker(path, name)

    settings = Settings(port=0, rankers=Rankers(load_threads=1))
    with running(store, settings, load=load):
        assert loads == ["news", "shop"]
    loads.clear()
    Tenants(store.root).change("shop", "tenant-set", lambda one: replace(one, priority="high"))
    with running(store, settings, load=load):
        assert loads == ["shop", "news"]


def test_a_server_keeps_places_for_who_holds_little(ask: Any) -> None:
    """Where one tenant's requests hold all places, another's first is looked at (here: is NOT_FOUND)."""
    gate, settings = Gate(), Settings(port=0, workers=2, queue=0)
    with running(ranker(gate), settings) as server, channel(server) as opened:
        stub = RankingStub(opened)
        long = [stub.Rank.future(ask([1.0]), timeout=60) for _ in range(2)]
        assert all(gate.entered.acquire(timeout=30) for _ in long)
        found = []
        for tenant in ("demo", "quiet"):
            with pytest.raises(grpc.RpcError) as caught:
                stub.Rank(ask([1.0], tenant=tenant), timeout=30)
            found.append(caught.value.code())
        gate.opened.release(2)
        assert [len(one.result().results) for one in long] == [1, 1]
    assert found == [grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.NOT_FOUND]
    assert server.service.admission.reserve == RESERVE


@dataclass(frozen=True)
class Noted(ByColumn):
    """Scores by a column, and keeps whose request it was."""

    seen: list[Share] = field(default_factory=list)

    def score(self, batch: CandidateBatch, matrix: FeatureMatrix, deadline: Any) -> Any:
        """As `ByColumn`."""
        self.seen.append(deadline.share)
        return super().score(batch, matrix, deadline)


def test_stages_know_whose_request_it_is(ask: Any) -> None:
    """The deadline that a stage hands to a model carries the tenant."""
    stage = Noted()
    with running(ranker(stage)) as server, channel(server) as opened:
        RankingStub(opened).Rank(ask([1.0]), timeout=30)
        list(RankingStub(opened).RankStream(ask([1.0]), timeout=30))
        list(RankingStub(opened).RankMany(iter([ask([1.0])]), timeout=30))
    assert stage.seen == [Share("demo")] * 3


def test_declarations_are_read_now_and_then() -> None:
    """Within the time nothing is read again; what cannot be read then leaves what was known."""
    reads, now, answer = list[str](), [0.0], [Tenant(weight=2.0, priority="low")]

    class Files:
        def get(self, name: str) -> Tenant:
            reads.append(name)
            if isinstance(answer[0], Exception):
                raise answer[0]
            return answer[0]

        def platform(self) -> None:
            return None

    register = Register(Files(), 1.0, lambda: now[0])
    assert register.share("shop") == register.share("shop") == Share("shop", 2.0, LOW)
    assert reads == ["shop"]
    now[0], answer[0] = 1.0, OSError("away")
    assert register.share("shop").weight == 2.0
    now[0], answer[0] = 2.0, Tenant()
    assert register.share("shop") == Share("shop")


def test_labels_of_tenants_are_bounded() -> None:
    """Beyond the first thousand tenants the rest are counted together."""
    metrics = Metrics()
    for number in range(TENANTS + 5):
        metrics.spent(f"t{number}", 1.0)
    metrics.spent("t0", 1.0)
    page = generate_latest(metrics.registry).decode()
    assert page.count("sluice_tenant_units_total{") == TENANTS + 1
    assert f'sluice_tenant_units_total{{tenant="{OTHERS}"}} 5.0' in page
    assert 'sluice_tenant_units_total{tenant="t0"} 2.0' in page


def test_a_shelf_declares_nothing() -> None:
    """A source of rankers in memory serves its tenant without quota or credentials."""
    with running(Shelf({"default": [ranker()]})) as server:
        assert not server.tenancy.access.needed
        assert server.tenancy.register.tenant("demo") == Tenant()
