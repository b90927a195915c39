"""The queue of loads."""

import threading
from collections.abc import Callable
from concurrent.futures import wait

import pytest

from serving.rankers.loader import Loader, Urgency

Want = Callable[..., object]


def handle(name: str) -> tuple[str, str, str]:
    tenant, _, version = name.partition("@")
    return (tenant, "default", version or "v1")


def ordered(names: list[tuple[str, Urgency]]) -> list[str]:
    """The order in which loads run that were asked for while another one ran."""
    loader: Loader[str] = Loader(1)
    done: list[str] = []
    gate, running = threading.Event(), threading.Event()

    def first() -> str:
        running.set()
        gate.wait(30)
        return "first"

    def work(name: str) -> Callable[[], str]:
        return lambda: (done.append(name), name)[1]

    loader.want(handle("first"), first, Urgency.REQUEST)
    running.wait(30)
    futures = [loader.want(handle(name), work(name), urgency) for name, urgency in names]
    gate.set()
    wait(futures, 30)
    return done


def test_urgent_loads_come_first() -> None:
    """Requests before changes, changes before what nobody waits for."""
    asked = [("a", Urgency.AHEAD), ("b", Urgency.CHANGE), ("c", Urgency.REQUEST)]
    assert ordered(asked) == ["c", "b", "a"]


def test_every_tenant_has_its_turn() -> None:
    """A tenant that asks for many versions is overtaken by the others' first ones."""
    asked = [
        ("a@1", Urgency.REQUEST),
        ("a@2", Urgency.REQUEST),
        ("a@3", Urgency.REQUEST),
        ("b", Urgency.REQUEST),
    ]
    assert ordered(asked) == ["a@1", "b", "a@2", "a@3"]


def test_the_same_load_is_done_once_as_soon_as_somebody_waits_for_it() -> None:
    """A load that was wanted ahead of time and then by a request runs once, at the request's place."""
    asked = [("a", Urgency.AHEAD), ("b", Urgency.AHEAD), ("c", Urgency.CHANGE), ("b", Urgency.REQUEST)]
    assert ordered(asked) == ["b", "c", "a"]


def test_a_failure_is_its_own() -> None:
    """It reaches those who wait for that load; the next load runs, and the same one may be tried again."""
    loader: Loader[str] = Loader(2)

    def fail() -> str:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        loader.want(handle("a"), fail, Urgency.REQUEST).result(30)
    assert loader.want(handle("b"), lambda: "b", Urgency.REQUEST).result(30) == "b"
    assert loader.want(handle("a"), lambda: "a", Urgency.REQUEST).result(30) == "a"


def test_threads_load_beside_each_other() -> None:
    """With two threads, a load that takes long holds up no other."""
    loader: Loader[str] = Loader(2)
    gate = threading.Event()
    slow = loader.want(handle("slow"), lambda: str(gate.wait(30)), Urgency.REQUEST)
    assert loader.want(handle("quick"), lambda: "quick", Urgency.REQUEST).result(30) == "quick"
    assert not slow.done()
    gate.set()
    assert slow.result(30) == "True"
