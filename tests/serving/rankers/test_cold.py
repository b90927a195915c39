"""Rankers that are not in memory: who waits, for how long, and what answers meanwhile."""

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cascade.deadline import Deadline
from features.errors import Exhausted, NotFound, NotReady, Unavailable
from features.fairness import HIGH, NORMAL
from serving.rankers import RETRY_S, Catalogue
from serving.rankers.loader import Urgency
from serving.settings import Rankers


def version(catalogue: Catalogue, tenant: str, name: str = "", **how: Any) -> str:
    return catalogue.get(tenant, name, **how).ranker.version


def passed() -> Deadline:
    """A deadline that has run out."""
    return Deadline(at=0.0, now=lambda: 1.0)


def test_loaded_on_first_use_and_once(mall: Any) -> None:
    """Nothing is loaded at first; many requests for one ranker load it once."""
    catalogue = mall.catalogue()
    catalogue.refresh()
    assert mall.loads == []
    gate = mall.shut("a")
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(version, catalogue, "a") for _ in range(8)]
        mall.begun.acquire(timeout=30)
        gate.set()
        assert {each.result(30) for each in asked} == {"v1"}
    assert mall.loads == ["a@v1"]


def test_a_load_blocks_nobody_else(mall: Any) -> None:
    """While one tenant's ranker loads, those that are loaded answer, and another is loaded by a free
    thread, of which there is one by default."""
    catalogue = mall.catalogue(options={"load_threads": Rankers().load_threads})
    assert version(catalogue, "b") == "v1"
    gate = mall.shut("a")
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(version, catalogue, "a")
        mall.begun.acquire(timeout=30)
        assert version(catalogue, "b") == version(catalogue, "c") == "v1"
        assert not slow.done()
        gate.set()
        assert slow.result(30) == "v1"


def test_a_wait_ends_with_the_deadline(mall: Any) -> None:
    """A request whose time is up is told to come back; loading goes on, and the next request finds it."""
    catalogue, gate = mall.catalogue(), mall.shut("a")
    with pytest.raises(Unavailable, match="'default' is still loading"):
        version(catalogue, "a", deadline=passed())
    gate.set()
    assert version(catalogue, "a") == "v1"
    assert mall.loads == ["a@v1"]


def test_so_many_may_wait(mall: Any) -> None:
    """Beyond the places for waiting requests, one is told when to come back; those in memory are not
    affected."""
    catalogue = mall.catalogue(options={"waiting": 1, "load_threads": 2})
    assert version(catalogue, "b") == "v1"
    gate = mall.shut("a")
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(version, catalogue, "a")
        for _ in range(2):
            mall.begun.acquire(timeout=30)
        with pytest.raises(Exhausted, match="wait for rankers to load") as caught:
            version(catalogue, "c")
        assert caught.value.retry_after_s > 0
        assert version(catalogue, "b") == "v1"
        gate.set()
        assert waits.result(30) == "v1"


def test_one_tenant_leaves_places_to_wait(mall: Any) -> None:
    """However many requests of one tenant wait for its ranker, another's may wait for its own."""
    catalogue = mall.catalogue(options={"waiting": 4, "load_threads": 2})
    gate = mall.shut("a")
    with ThreadPoolExecutor(3) as pool:
        waits = [pool.submit(version, catalogue, "a") for _ in range(3)]
        while catalogue._patience._held["a"] < 3:
            pass
        with pytest.raises(Exhausted, match="3 of your requests wait for rankers to load"):
            version(catalogue, "a")
        assert version(catalogue, "b") == "v1"
        gate.set()
        assert {each.result(30) for each in waits} == {"v1"}


def test_the_base_answers_meanwhile(mall: Any) -> None:
    """By policy a cold tenant's request is answered by its base, which the answer says; then by its own."""
    options = {"on_cold": "base", "base": "b"}
    catalogue, gate = mall.catalogue(options={**options, "load_threads": 2}), mall.shut("a")
    mall.promoted["b"] = "v2"
    served = catalogue.get("a", "")
    assert served.ranker.version == "v2"
    assert served.warnings == ("ranker: 'default' is still loading; its base answered, version v2",)
    gate.set()
    while version(catalogue, "a") == "v2":
        pass
    assert catalogue.get("a", "").warnings == ()


def test_a_tenants_own_base_comes_before_the_servers(mall: Any) -> None:
    """What a tenant declares holds."""
    mall.promoted |= {"b": "v1", "c": "v2"}
    catalogue = mall.catalogue(
        options={"on_cold": "base", "base": "b", "load_threads": 2},
        base_of=lambda tenant: "c" if tenant == "a" else "",
    )
    mall.shut("a")
    assert version(catalogue, "a") == "v2"


@pytest.mark.parametrize("how", ["nothing promoted", "fails its checks"])
def test_the_base_stands_in_for_what_cannot_serve(mall: Any, how: str) -> None:
    """A default ranker of which nothing serves is answered by the base, whatever the policy; others are
    not."""
    mall.promoted["b"] = "v2"
    catalogue = mall.catalogue(options={"base": "b"})
    if how == "nothing promoted":
        mall.promoted["a"] = ""
    else:
        mall.corrupt.add("a")
        with pytest.raises(NotReady, match="failed its checks"):
            version(catalogue, "a")
    served = catalogue.get("a", "")
    assert served.ranker.version == "v2"
    assert "cannot serve; its base answered" in served.warnings[0]
    with pytest.raises(NotFound, match="no ranker 'other'"):
        version(catalogue, "a", "other")
    with pytest.raises(NotFound, match=r"no tenant 'z'$"):
        version(catalogue, "z")


def test_a_base_that_cannot_serve_helps_nobody(mall: Any) -> None:
    """Then the request waits for its own, or is told what is wrong with its own."""
    catalogue = mall.catalogue(options={"on_cold": "base", "base": "nobody"})
    assert version(catalogue, "a") == "v1"
    mall.promoted["b"] = ""
    with pytest.raises(NotReady, match=r"'default' is promoted.*; its base did not load either$"):
        version(catalogue, "b")


def test_a_new_tenant_is_told_of_its_base(mall: Any) -> None:
    """Who has no ranker of its own yet learns that the base is what is missing; one without a base does not,
    and a ranker that never had a stand-in neither."""
    mall.corrupt.add("b")
    catalogue = mall.catalogue(base_of=lambda tenant: "b" if tenant == "a" else "")
    mall.rankers = lambda tenant: ("default",) if tenant == "b" else ()
    with pytest.raises(NotFound, match=r"no ranker 'default'.*; its base did not load either$"):
        version(catalogue, "a")
    for tenant, name in (("c", ""), ("a", "other")):
        with pytest.raises(NotFound, match="no ranker") as told:
            version(catalogue, tenant, name)
        assert "base" not in str(told.value)


def test_asked_for_just_as_its_load_ends(mall: Any) -> None:
    """Nothing stays behind of it: neither then, nor where the version was loaded already."""
    over = threading.Event()

    def loaded(_: str) -> None:
        again = catalogue._bring.begin(("a", "default", "v1"), Urgency.REQUEST)
        again.add_done_callback(lambda _: over.set())  # after all that stand there already

    catalogue = mall.catalogue(loaded=loaded)
    assert version(catalogue, "a") == "v1"
    assert over.wait(30)
    assert catalogue._bring._asked == set()
    over.clear()
    loaded("")
    assert over.wait(30)
    assert catalogue._bring._asked == set()


def test_memory_is_bounded_and_given_back(mall: Any) -> None:
    """Over the budget the least valuable ranker goes, and nothing holds it; it is loaded again when asked
    for."""
    outcomes: list[str] = []
    mall.weights = {tenant: {tenant: 600_000} for tenant in "abc"}
    catalogue = mall.catalogue(options={"memory_mb": 1}, loaded=outcomes.append)
    in_flight = catalogue.get("a", "")
    gone = weakref.ref(in_flight)
    assert version(catalogue, "b") == "v1"
    assert gone() is not None, "a request in flight keeps its ranker"
    del in_flight
    gc.collect()
    assert gone() is None
    assert (len(catalogue.held), catalogue.held.used) == (1, 600_000)
    assert version(catalogue, "a") == "v1"
    assert mall.loads == ["a@v1", "b@v1", "a@v1"]
    assert outcomes == ["ok", "ok", "evicted", "ok", "evicted"]


def test_what_is_replaced_is_given_back(mall: Any) -> None:
    """After a promotion nothing holds the old version."""
    catalogue = mall.catalogue()
    gone = weakref.ref(catalogue.get("a", ""))
    mall.promoted["a"] = "v2"
    catalogue.refresh()
    gc.collect()
    assert gone() is None
    assert version(catalogue, "a") == "v2"
    assert len(catalogue.held) == 1


@pytest.mark.parametrize(
    ("preload", "loads"),
    [
        ("none", []),
        ("all", ["a@v1", "b@v1", "c@v1"]),
        ("promoted-recent", ["a@v1", "b@v1"]),
        (("c", "a/default"), ["c@v1", "a@v1"]),
    ],
)
def test_what_is_loaded_ahead(mall: Any, preload: Any, loads: list[str]) -> None:
    """As the settings say, in order, before the catalogue is ready."""
    catalogue = mall.catalogue(options={"preload": preload, "recent": 2})
    catalogue.refresh()
    assert catalogue.ready.is_set()
    assert mall.loads == loads


def test_higher_classes_are_loaded_ahead_first(mall: Any) -> None:
    """Among those that are taken; of tenants beyond them the class is not asked for."""
    asked: list[str] = []

    def class_of(tenant: str) -> int:
        asked.append(tenant)
        return NORMAL if tenant == "a" else HIGH

    mall.catalogue(options={"preload": "promoted-recent", "recent": 2}, class_of=class_of).refresh()
    assert mall.loads == ["b@v1", "a@v1"]
    assert asked == ["a", "b"]
    mall.loads.clear()
    mall.catalogue(options={"preload": "all", "recent": 2}, class_of=class_of).refresh()
    assert mall.loads == ["b@v1", "a@v1", "c@v1"]
    assert asked == ["a", "b"] * 2


def test_nobody_makes_room_for_what_nobody_asked_for(mall: Any) -> None:
    """Rankers are loaded ahead as far as they fit; a request still gets the one that did not."""
    mall.weights = {tenant: {tenant: 400_000} for tenant in "abc"}
    catalogue = mall.catalogue(options={"preload": "all", "memory_mb": 1})
    catalogue.refresh()
    assert mall.loads == ["a@v1", "b@v1"]
    catalogue.refresh()
    assert mall.loads == ["a@v1", "b@v1"]
    assert version(catalogue, "c") == "v1"
    assert len(catalogue.held) == 2


def test_one_that_fails_disturbs_no_other(mall: Any) -> None:
    """A broken bundle among those loaded ahead: the others serve; it is told of, and tried again after a
    while."""
    now = [0.0]
    mall.corrupt.add("b")
    catalogue = mall.catalogue(options={"preload": "all"}, clock=lambda: now[0])
    catalogue.refresh()
    assert catalogue.ready.is_set()
    assert version(catalogue, "a") == version(catalogue, "c") == "v1"
    assert dict(catalogue.failing()) == {("b", "default"): "v1"}
    for _ in range(3):
        with pytest.raises(NotReady, match="failed its checks"):
            version(catalogue, "b")
    assert mall.loads.count("b@v1") == 1
    mall.corrupt.clear()
    now[0] = RETRY_S
    assert version(catalogue, "b") == "v1"
    assert dict(catalogue.failing()) == {}


def test_a_pinned_one_that_fails_is_not_tried_every_time(mall: Any) -> None:
    """Requests for a broken version by name are told so without a load each; after a while it is tried."""
    now = [0.0]
    mall.corrupt.add("b")
    catalogue = mall.catalogue(clock=lambda: now[0])
    for _ in range(3):
        with pytest.raises(NotReady, match="version v2 failed its checks"):
            version(catalogue, "b", "default@v2")
    assert mall.loads == ["b@v2"]
    mall.corrupt.clear()
    now[0] = RETRY_S
    assert version(catalogue, "b", "default@v2") == "v2"


def test_a_store_that_goes_away_and_comes_back(mall: Any) -> None:
    """What is loaded serves on; what is not is UNAVAILABLE, and is found again afterwards without a wait."""
    catalogue = mall.catalogue()
    assert version(catalogue, "a") == "v1"
    mall.away = True
    catalogue.refresh()
    assert version(catalogue, "a") == "v1"
    with pytest.raises(Unavailable, match="out of reach"):
        version(catalogue, "b")
    mall.away = False
    mall.promoted["a"] = "v2"
    assert version(catalogue, "b") == "v1"
    catalogue.refresh()
    assert version(catalogue, "a") == "v2"


def test_a_load_that_is_overtaken_does_not_serve(mall: Any) -> None:
    """A version that was rolled back while it loaded never takes the place of the one before."""
    catalogue = mall.catalogue(options={"load_threads": 2})
    assert version(catalogue, "a") == "v1"
    gate = mall.shut("a")
    mall.promoted["a"] = "v2"
    (future,) = catalogue.notice()
    mall.promoted["a"] = "v1"
    assert catalogue.notice() == []
    gate.set()
    future.result(30)
    assert version(catalogue, "a") == "v1"
    assert len(catalogue.held) == 1


def test_tenants_are_known_without_a_ranker(mall: Any) -> None:
    """Feedback asks for the tenant alone; one that was removed is unknown after the next look."""
    catalogue = mall.catalogue()
    catalogue.check_tenant("a")
    del mall.promoted["a"]
    catalogue.check_tenant("a")
    catalogue.refresh()
    with pytest.raises(NotFound, match=r"no tenant 'a'$"):
        catalogue.check_tenant("a")


def test_many_threads_and_a_small_budget(mall: Any) -> None:
    """Whatever is evicted and loaded meanwhile, every request gets its own tenant's ranker."""
    mall.promoted = {f"t{number}": f"v{number}" for number in range(12)}
    mall.weights = {tenant: {tenant: 200_000} for tenant in mall.promoted}
    catalogue = mall.catalogue(options={"memory_mb": 1, "load_threads": 3, "waiting": 64})
    wrong: list[tuple[str, str]] = []

    def ask(seed: int) -> None:
        for step in range(60):
            number = (seed * 7 + step * step) % 12
            found = version(catalogue, f"t{number}")
            if found != f"v{number}":
                wrong.append((f"t{number}", found))

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert catalogue.held.used <= 1_000_000
