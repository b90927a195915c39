"""The catalogue: what serves, and how a promotion takes its place."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from cascade.store import DirectoryStore
from cascade.testing import write_tiny_bundle
from features.errors import Corrupt, NotFound, NotReady
from serving.rankers import RETRY_S, Catalogue
from serving.settings import Settings
from serving.testing import Shelf, channel, ranker, running
from sluice.v1 import ranking_pb2 as pb
from sluice.v1 import ranking_pb2_grpc as rpc

Ask = Callable[..., pb.RankRequest]


def two_versions() -> Shelf:
    """`v1`, which serves, and `v2`."""
    return Shelf({"default": [ranker(version="v1"), ranker(version="v2")]})


def loaded(shelf: Shelf, **how: Any) -> Catalogue:
    """A catalogue that has loaded what is promoted."""
    catalogue = Catalogue(shelf, shelf.load, **how)
    catalogue.refresh()
    return catalogue


def version(catalogue: Catalogue, name: str = "", tenant: str = "demo") -> str:
    """The version that answers."""
    return catalogue.get(tenant, name).ranker.version


def test_a_promotion_takes_over() -> None:
    """After a refresh the promoted version serves; loading happened once a version."""
    shelf = two_versions()
    catalogue = loaded(shelf)
    assert version(catalogue) == version(catalogue, "default") == "v1"
    shelf.promoted["default"] = "v2"
    assert version(catalogue) == "v1"
    catalogue.refresh()
    catalogue.refresh()
    assert version(catalogue) == "v2"
    assert shelf.loads == ["v1", "v2"]


def test_a_bad_bundle_leaves_the_old_one_serving(logs: list[dict[str, Any]]) -> None:
    """A promoted version that fails its checks is an error in the log, and is looked at again later."""
    shelf, now, outcomes = two_versions(), [0.0], []
    catalogue = loaded(shelf, clock=lambda: now[0], loaded=outcomes.append)
    shelf.corrupt, shelf.promoted["default"] = {"v2"}, "v2"
    catalogue.refresh()
    catalogue.refresh()
    assert version(catalogue) == "v1"
    assert outcomes == ["ok", "failed"]
    failed = [each for each in logs if each["event"] == "load_failed"][-1]
    assert (failed["version"], failed["still_serving"]) == ("v2", "v1")
    shelf.corrupt, now[0] = set(), RETRY_S
    catalogue.refresh()
    assert version(catalogue) == "v2"


def test_a_bad_bundle_with_nothing_before_it() -> None:
    """Where no version passed its checks, the caller is told that and no more: no path of the server."""
    shelf = two_versions()
    shelf.corrupt = {"v1"}
    with pytest.raises(NotReady) as caught:
        version(loaded(shelf))
    assert str(caught.value) == "ranker: version v1 failed its checks; the server's log says why"


def test_a_store_that_cannot_say_what_is_promoted() -> None:
    """One ranker whose promotion cannot be read keeps serving, and the others are not held up."""
    shelf = Shelf(
        {"a": [ranker(name="a")], "b": [ranker(version="v1", name="b"), ranker(version="v2", name="b")]}
    )
    catalogue, told = loaded(shelf), shelf.promotion

    def promotion(tenant: str, name: str) -> Any:
        if name == "a":
            raise Corrupt("no JSON", path="/private/promoted.json")
        return told(tenant, name)

    shelf.promotion, shelf.promoted["b"] = promotion, "v2"  # type: ignore[method-assign]
    catalogue.refresh()
    assert (version(catalogue, "a"), version(catalogue, "b")) == ("v1", "v2")


def test_pinned_versions_load_on_first_use() -> None:
    """`name@version` answers with that version; the least recently used one makes room."""
    versions = [ranker(version=f"v{number}") for number in range(1, 5)]
    shelf = Shelf({"default": versions})
    catalogue = loaded(shelf, pinned=2)
    pins = ["v2", "v3", "v2", "v4", "v2", "v3"]
    assert [version(catalogue, f"default@{pin}") for pin in pins] == pins
    assert shelf.loads == ["v1", "v2", "v3", "v4", "v3"]
    assert version(catalogue, "default@v1") == "v1"
    assert len(shelf.loads) == 5  # it serves, so it is loaded already


def test_a_ranker_that_was_promoted_a_moment_ago() -> None:
    """A first request need not wait for the next look at the store."""
    shelf = two_versions()
    del shelf.promoted["default"]
    catalogue = loaded(shelf)
    with pytest.raises(NotReady, match="sluice promote"):
        version(catalogue)
    shelf.promoted["default"] = "v2"
    assert version(catalogue) == "v2"


def test_what_is_no_longer_promoted_stops() -> None:
    """A ranker that was taken out of the store stops answering."""
    shelf = two_versions()
    catalogue = loaded(shelf)
    del shelf.promoted["default"], shelf.rankers_["default"]
    catalogue.refresh()
    with pytest.raises(NotFound, match="no ranker 'default'; there are none"):
        version(catalogue)


def test_before_anything_is_loaded() -> None:
    """A request that comes before anything was loaded ahead waits for its own ranker alone."""
    shelf = two_versions()
    assert version(Catalogue(shelf, shelf.load)) == "v1"


def test_hot_swap_under_traffic(ask: Ask, tmp_path: Path) -> None:
    """A real store: every call during a promotion is answered, by the old version and then by the new."""
    store = DirectoryStore(tmp_path / "store")
    old, new = (
        store.publish("demo", "default", write_tiny_bundle(tmp_path / name, score))
        for name, score in (("one", 3.0), ("two", 0.5))
    )
    store.promote("demo", "default", old)
    request = pb.RankRequest(
        tenant="demo", query=pb.Query(text="q"), candidates=pb.Candidates(ids=["a", "b", "c"])
    )
    with running(store, Settings(port=0, poll_s=0.01)) as server, channel(server) as opened:
        stub = rpc.RankingStub(opened)
        seen = [stub.Rank(request, timeout=20)]
        store.promote("demo", "default", new)
        while seen[-1].version == old:
            seen.append(stub.Rank(request, timeout=20))
        pinned = stub.Rank(pb.RankRequest(**fields(request), ranker=f"default@{old}"), timeout=20)
    assert {answer.version for answer in seen} == {old, new}
    orders = {answer.version: [each.id for each in answer.results] for answer in seen}
    assert orders == {old: ["b", "c", "a"], new: ["a", "b", "c"]}
    assert pinned.version == old


def fields(request: pb.RankRequest) -> dict[str, Any]:
    """The parts of a request that its copy needs."""
    return {"tenant": request.tenant, "query": request.query, "candidates": request.candidates}


def test_nothing_promoted_over_the_wire(ask: Ask) -> None:
    """A ranker that exists and serves nothing is FAILED_PRECONDITION."""
    shelf = two_versions()
    del shelf.promoted["default"]
    with running(shelf) as server, channel(server) as opened:
        refused = rpc.RankingStub(opened).Rank.future(ask([1.0]), timeout=20)
        assert refused.exception().code() is grpc.StatusCode.FAILED_PRECONDITION
