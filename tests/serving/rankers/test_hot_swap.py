"""Promotions and rollbacks under traffic: no request fails, and every answer names a version that was
live."""

import threading
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

from cascade.store import DirectoryStore
from cascade.testing import write_tiny_bundle
from serving.settings import Rankers, Settings
from serving.testing import Gate, Shelf, channel, ranker, running
from sluice.v1 import ranking_pb2 as pb
from sluice.v1 import ranking_pb2_grpc as rpc

SWAPS = 12
REQUEST = pb.RankRequest(
    tenant="shop", query=pb.Query(text="q"), candidates=pb.Candidates(ids=["a", "b", "c"])
)


def test_every_answer_names_a_version_that_was_live(tmp_path: Path) -> None:
    """Between its promotion and the moment that the next one was first seen; after that nobody gets it
    again."""
    store = DirectoryStore(tmp_path / "store")
    versions = [
        store.publish("shop", "default", write_tiny_bundle(tmp_path / str(number), 0.5 + number))
        for number in range(3)
    ]
    store.promote("shop", "default", versions[0])
    answers: list[tuple[float, float, str]] = []
    failures: list[Exception] = []
    lives: list[tuple[str, float, float]] = []  # version, promoted at, seen to be replaced at
    ended = threading.Event()
    settings = Settings(port=0, poll_s=0.02, grace_s=5.0, rankers=Rankers(sweep_s=60.0))
    with running(store, settings) as server, channel(server) as opened:
        stub = rpc.RankingStub(opened)

        def ask() -> str:
            begun = perf_counter()
            version: str = stub.Rank(REQUEST, timeout=20).version
            answers.append((begun, perf_counter(), version))
            return version

        def traffic() -> None:
            while not ended.is_set():
                try:
                    ask()
                except Exception as error:
                    failures.append(error)

        threads = [threading.Thread(target=traffic) for _ in range(2)]
        for thread in threads:
            thread.start()
        live, since = ask(), 0.0
        for number in range(SWAPS):
            at = perf_counter()
            promoted = swap(store, versions, number)
            while ask() != promoted:
                pass
            lives.append((live, since, perf_counter()))
            live, since = promoted, at
        ended.set()
        for thread in threads:
            thread.join()
    lives.append((live, since, perf_counter()))
    assert failures == []
    assert len(answers) > SWAPS
    assert [answer for answer in answers if not was_live(answer, lives)] == []


def test_a_request_in_flight_ends_on_the_version_that_it_began_with() -> None:
    """Both of its stages are the old version's, though another one serves before the second has run."""
    first, second = Gate(), Gate()
    shelf = Shelf({"default": [ranker(first, second, version="v1"), ranker(version="v2")]})
    request = pb.RankRequest(tenant="demo", query=pb.Query(text="q"), candidates=pb.Candidates(ids=["a"]))
    with running(shelf, Settings(port=0, poll_s=0.01)) as server, channel(server) as opened:
        stub = rpc.RankingStub(opened)
        answers = stub.RankStream(request, timeout=60)
        first.opened.release()
        assert second.entered.acquire(timeout=60)
        shelf.promoted["default"] = "v2"
        while server.catalogue.get("demo", "").ranker.version != "v2":
            pass
        assert stub.Rank(request, timeout=60).version == "v2"
        second.opened.release()
        told = list(answers)
    assert {answer.version for answer in told} == {"v1"}
    assert [stage.status for stage in told[-1].stages] == [pb.STAGE_STATUS_RAN] * 2


def test_every_server_of_a_store_notices(tmp_path: Path) -> None:
    """Two servers on one store: a promotion, and a rollback, is soon what both of them answer by."""
    store = DirectoryStore(tmp_path / "store")
    old, new = (
        store.publish("shop", "default", write_tiny_bundle(tmp_path / str(number), 0.5 + number))
        for number in range(2)
    )
    store.promote("shop", "default", old)
    settings = Settings(port=0, poll_s=0.02, grace_s=5.0)
    with (
        running(store, settings) as one,
        running(store, settings) as other,
        channel(one) as here,
        channel(other) as there,
    ):
        stubs = [rpc.RankingStub(opened) for opened in (here, there)]
        for wanted, change in ((new, lambda: store.promote("shop", "default", new)), (old, rolled(store))):
            change()
            for stub in stubs:
                answers = (stub.Rank(REQUEST, timeout=20).version for _ in range(10_000))
                assert wanted in answers


def rolled(store: DirectoryStore) -> Callable[[], str]:
    """A rollback, for later."""
    return lambda: store.rollback("shop", "default")


def swap(store: DirectoryStore, versions: list[str], number: int) -> str:
    """Every third time back to the version before, else on to the next one."""
    if number % 3 == 2:
        return store.rollback("shop", "default")
    promoted = versions[(versions.index(store.promotion("shop", "default").version) + 1) % len(versions)]
    store.promote("shop", "default", promoted)
    return promoted


def was_live(answer: tuple[float, float, str], lives: list[Any]) -> bool:
    """Whether a version was promoted before its answer ended, and not yet seen to be replaced when it
    began."""
    begun, ended, version = answer
    return any(version == live and since <= ended and begun <= until for live, since, until in lives)
