"""Cold tenants and failed promotions as callers and operators see them."""

import json
import threading
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from cascade.load import load_ranker
from cascade.manifest import GOLDEN, MANIFEST
from cascade.ranker import Ranker
from cascade.store import DirectoryStore
from cascade.testing import write_tiny_bundle
from features.digests import digest
from serving.server import PROMOTIONS
from serving.settings import Rankers, Settings
from serving.testing import channel, running
from sluice.v1 import ranking_pb2 as pb
from sluice.v1 import ranking_pb2_grpc as rpc


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    """Tenants `base` and `shop`, with a version each."""
    made = DirectoryStore(tmp_path / "store")
    for tenant, score in (("base", 3.0), ("shop", 0.5)):
        bundle = write_tiny_bundle(tmp_path / tenant, score)
        made.promote(tenant, "default", made.publish(tenant, "default", bundle))
    return made


def ask(tenant: str, **fields: object) -> pb.RankRequest:
    return pb.RankRequest(
        tenant=tenant, query=pb.Query(text="q"), candidates=pb.Candidates(ids=["a", "b", "c"]), **fields
    )


def test_a_cold_tenant_is_answered_by_its_base(store: DirectoryStore) -> None:
    """The answer names the base's version and says so in a warning, until the tenant's own is there."""
    gate = threading.Event()

    def load(directory: Path, name: str) -> Ranker:
        if "shop" in directory.parts:
            gate.wait(30)
        return load_ranker(directory, name)

    own, base = (store.promotion(tenant, "default").version for tenant in ("shop", "base"))
    rankers = Rankers(preload="none", on_cold="base", base="base", load_threads=2)
    settings = Settings(port=0, grace_s=5.0, rankers=rankers)
    with running(store, settings, load=load) as server, channel(server) as opened:
        stub = rpc.RankingStub(opened)
        first = stub.Rank(ask("shop"), timeout=20)
        assert first.version == base
        assert [each for each in first.warnings if "its base answered" in each]
        gate.set()
        while (answer := stub.Rank(ask("shop"), timeout=20)).version != own:
            pass
        assert not [each for each in answer.warnings if "base" in each]


def test_a_cold_tenants_request_waits_until_its_deadline(store: DirectoryStore) -> None:
    """A time budget that is shorter than loading ends in UNAVAILABLE; the next request finds the ranker."""
    gate = threading.Event()

    def load(directory: Path, name: str) -> Ranker:
        gate.wait(30)
        return load_ranker(directory, name)

    settings = Settings(port=0, grace_s=5.0, rankers=Rankers(preload="none"))
    with running(store, settings, load=load) as server, channel(server) as opened:
        stub = rpc.RankingStub(opened)
        hasty = ask("shop")
        hasty.time_budget.FromMilliseconds(20)
        with pytest.raises(grpc.RpcError) as refused:
            stub.Rank(hasty, timeout=20)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "still loading" in refused.value.details()
        gate.set()
        assert stub.Rank(ask("shop"), timeout=20).version == store.promotion("shop", "default").version


def missing(new: Path, publish: Callable[[Path], Path]) -> None:
    """A file of the published bundle goes."""
    (publish(new) / GOLDEN).unlink()


def truncated(new: Path, publish: Callable[[Path], Path]) -> None:
    """A file of the published bundle ends half-way."""
    file = publish(new) / GOLDEN
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def unlike(new: Path, publish: Callable[[Path], Path]) -> None:
    """Every digest is right, and the golden scores are another machine's."""
    told = json.loads((new / GOLDEN).read_bytes())
    told[0]["scores"]["linear"][0] += 1.0
    (new / GOLDEN).write_text(json.dumps(told))
    manifest = json.loads((new / MANIFEST).read_bytes())
    manifest["files"][GOLDEN] = {"sha256": digest(new / GOLDEN), "size": (new / GOLDEN).stat().st_size}
    (new / MANIFEST).write_text(json.dumps(manifest))
    publish(new)


@pytest.mark.parametrize("harm", [missing, truncated, unlike])
def test_operators_are_told_of_a_promotion_that_does_not_serve(
    store: DirectoryStore, tmp_path: Path, harm: Callable[..., None]
) -> None:
    """Health of the name `rankers` and a gauge; requests are answered all the while, and it is over when
    mended."""
    settings = Settings(port=0, grace_s=5.0, poll_s=0.02)
    old = store.promotion("shop", "default").version
    with running(store, settings) as server, channel(server) as opened:
        stub, health = rpc.RankingStub(opened), health_pb2_grpc.HealthStub(opened)

        def status(name: str) -> int:
            found: int = health.Check(health_pb2.HealthCheckRequest(service=name), timeout=20).status
            return found

        serving = health_pb2.HealthCheckResponse.SERVING
        while status(PROMOTIONS) != serving:
            pass

        def publish(new: Path) -> Path:
            return store.path("shop", "default", store.publish("shop", "default", new))

        harm(write_tiny_bundle(tmp_path / "new", 9.0), publish)
        (new,) = {*store.versions("shop", "default")} - {old}
        store.promote("shop", "default", new)
        while status(PROMOTIONS) == serving:
            pass
        assert status("") == serving
        assert stub.Rank(ask("shop"), timeout=20).version == old
        assert server.metrics.registry.get_sample_value("sluice_rankers_failing") == 1.0
        store.rollback("shop", "default")
        while status(PROMOTIONS) != serving:
            pass
        assert server.metrics.registry.get_sample_value("sluice_rankers_failing") == 0.0
