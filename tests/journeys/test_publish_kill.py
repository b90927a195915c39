"""Kill -9 in the middle of a publish or a promotion, a hundred times: the store always opens."""

import os
import random
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from shutil import rmtree
from typing import Literal

import pytest

from cascade.bundle import open_bundle
from cascade.store import DirectoryStore
from cascade.testing import write_tiny_bundle

KILLS = 100
CHANGES = frozenset(
    [
        "open",
        "write",
        "flush",
        "close",
        "fsync",
        "flock",
        "mkdir",
        "rename",
        "replace",
        "rmdir",
        "sendfile",
        "unlink",
        "utime",
        "chmod",
    ]
)
TENANT, RANKER = "shop", "main"


@dataclass(frozen=True)
class Point:
    """Where a process dies: so many moments after the start of its first publish or promotion."""

    within: Literal["publish", "promote"]
    events: int


def publish_and_promote(root: Path, bundles: list[Path], tell: int, point: Point) -> None:
    """Publish and promote one bundle after the other until killed, telling what it intends and did."""
    store = DirectoryStore(root)
    for cycles, bundle in enumerate(cycle(bundles)):
        if cycles == 0 and point.within == "publish":
            die_after(point.events)
        version = store.publish(TENANT, RANKER, bundle)
        os.write(tell, f"intends {version}\n".encode())
        if cycles == 0 and point.within == "promote":
            die_after(point.events)
        store.promote(TENANT, RANKER, version)
        os.write(tell, f"did {version}\n".encode())


def on_disk_calls(act: Callable[[], None]) -> None:
    """Act before and after every call of a C function that may change something on the disk."""

    def profile(_: object, event: str, called: object) -> None:
        if event in ("c_call", "c_return") and getattr(called, "__name__", "") in CHANGES:
            act()

    sys.setprofile(profile)


def die_after(events: int) -> None:
    """SIGKILL for this very process before or after a call that works on files, the n-th such moment."""
    passed: list[None] = []

    def act() -> None:
        passed.append(None)
        if len(passed) == events:
            os.kill(os.getpid(), signal.SIGKILL)

    on_disk_calls(act)


def killed(root: Path, bundles: list[Path], point: Point) -> list[str]:
    """What a child process had told when it was killed; it is forked, as a fresh one would take a second."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            publish_and_promote(root, bundles, writing, point)
        finally:
            os._exit(1)  # an error must not unwind into the parent's test
    os.close(writing)
    with os.fdopen(reading) as lines:
        told = lines.read().splitlines()
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGKILL
    return told


def events_of(work: Callable[[], object]) -> int:
    """How many moments to die at a piece of work has."""
    seen: list[None] = []
    on_disk_calls(lambda: seen.append(None))
    work()
    sys.setprofile(None)
    return len(seen)


def allowed(before: str, told: list[str]) -> set[str]:
    """The versions that may serve now: the one last promoted, and the one being promoted, if any."""
    done = [line.removeprefix("did ") for line in told if line.startswith("did ")]
    last = done[-1] if done else before
    return {last, told[-1].split()[1]} if told else {last}


def forget_all_but(store: DirectoryStore, version: str) -> None:
    """Remove what does not serve, so that the next round has to publish again."""
    for other in store.versions(TENANT, RANKER):
        if other != version:
            rmtree(store.path(TENANT, RANKER, other))


def kill_points(store: DirectoryStore, bundle: Path) -> list[Point]:
    """A hundred, half at random in two cycles from a publish on, half one by one through a promotion."""
    publish = events_of(lambda: store.publish(TENANT, RANKER, bundle))
    promote = events_of(lambda: store.promote(TENANT, RANKER, store.versions(TENANT, RANKER)[0]))
    seeded = random.Random(7)
    in_publish = [Point("publish", seeded.randrange(1, 2 * (publish + promote))) for _ in range(KILLS // 2)]
    in_promote = [Point("promote", 1 + kill % promote) for kill in range(KILLS // 2)]
    return [point for pair in zip(in_publish, in_promote, strict=True) for point in pair]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_store_survives_a_hundred_kills(tmp_path: Path) -> None:
    """Every version there is has all digests right, and the one that serves is the old one or the new one."""
    bundles = [write_tiny_bundle(tmp_path / str(i), 3.0 + i) for i in range(3)]
    root = tmp_path / "store"
    points = kill_points(DirectoryStore(root), bundles[0])
    for point in points:
        before = DirectoryStore(root).promotion(TENANT, RANKER).version
        bundles = bundles[1:] + bundles[:1]
        told = killed(root, bundles, point)
        store = DirectoryStore(root)
        serving = store.promotion(TENANT, RANKER).version
        assert serving in allowed(before, told)
        assert open_bundle(store.path(TENANT, RANKER)).version == serving
        for version in store.versions(TENANT, RANKER):
            assert open_bundle(store.path(TENANT, RANKER, version)).version == version
        forget_all_but(store, serving)
    store.publish(TENANT, RANKER, bundles[0])
    assert list((root / TENANT / RANKER / ".staging").iterdir()) == []
