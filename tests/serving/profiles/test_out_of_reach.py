"""A store that is down, slow or full: rankings go on without profiles, and come back to them."""

import shutil
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from prometheus_client import CollectorRegistry

from cascade.deadline import NEVER
from cascade.eventlog.compact import compact
from cascade.eventlog.layout import home_of
from cascade.eventlog.testing import TENANT, done, shown, writing
from cascade.profiles.follow import advance, agree
from cascade.profiles.join import look_up
from cascade.profiles.keys import TOTALS
from cascade.profiles.learn import learn_all
from cascade.profiles.memory import MemoryProfiles
from cascade.profiles.redis_store import RedisProfiles
from cascade.profiles.rules import Rules
from cascade.profiles.store import Change, Entry, Key, Values
from cascade.profiles.testing import INPUTS, WANTED, arrived, candidates, redis_server
from cascade.request import RankRequest
from features.batch import Query
from features.errors import Exhausted, Unavailable
from serving.convert import Work, reads_of
from serving.profiles.breaker import Breaker
from serving.profiles.lookup import LEFT_ALONE, Personal
from serving.profiles.metrics import ProfileMetrics
from serving.profiles.updater import Updater
from tests.support import absent, require

READS = reads_of(INPUTS)


class Clock:
    """A clock that a test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Failing:
    """A store that is out of reach while a test says so."""

    def __init__(self, error: Exception | None = None) -> None:
        self.store, self.error, self.asked = MemoryProfiles(), error, 0

    def read(self, tenant: str, keys: Sequence[Key]) -> Values:
        self.asked += 1
        if self.error:
            raise self.error
        return self.store.read(tenant, keys)

    def update(self, tenant: str, keys: Sequence[Key], change: Change) -> bool:
        if self.error:
            raise self.error
        return self.store.update(tenant, keys, change)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[Any]]:
    """What is logged does not reach the terminal."""
    with structlog.testing.capture_logs() as captured:
        yield captured


def work() -> Work:
    """A request for two items."""
    batch = candidates(("a", "b"), Query("a film", {"now": 1.79e9, "user.id": "ann"}))
    return Work(RankRequest(batch, 0, NEVER), ("another warning",))


def personal(store: Any, clock: Clock) -> tuple[Personal, ProfileMetrics]:
    """What a server has of a store."""
    metrics = ProfileMetrics(CollectorRegistry())
    return Personal(lambda: store, None, Rules(), metrics, lambda: Breaker(3, 1.0, 30.0, clock)), metrics


def missing(made: Work) -> bool:
    """Whether nothing of behaviour was joined, and the answer will say so."""
    joined = [name for name in made.request.batch.columns if name.startswith("behaviour.")]
    return not joined and made.degraded and made.warnings == ("another warning", LEFT_ALONE)


def reads(metrics: ProfileMetrics, outcome: str) -> float:
    return float(metrics.reads.labels(outcome)._value.get())


@pytest.mark.parametrize("error", [Unavailable("gone"), Exhausted("full"), OSError("broken")])
def test_a_store_that_fails_is_left_alone_and_tried_again(error: Exception) -> None:
    """Three failures, then no call until the rest is over; another failure doubles it, a success ends it."""
    store, clock = Failing(error), Clock()
    mine, metrics = personal(store, clock)
    for _ in range(5):
        assert missing(mine.joined(TENANT, READS, work()))
    assert (store.asked, reads(metrics, "failed"), reads(metrics, "skipped")) == (3, 3, 2)
    clock.now += 1.1
    assert missing(mine.joined(TENANT, READS, work()))
    assert store.asked == 4
    clock.now += 1.1
    assert missing(mine.joined(TENANT, READS, work()))
    assert store.asked == 4
    store.error, clock.now = None, clock.now + 1.0
    for _ in range(3):
        made = mine.joined(TENANT, READS, work())
        assert not made.degraded
        assert "behaviour.item.click.long" in made.request.batch.columns
    assert store.asked == 9  # twice more to agree on the rules


def test_one_tenants_failures_turn_off_nobody_elses_profiles() -> None:
    """A tenant whose reads take too long is left without; the others' are still asked for."""

    class TooLarge(Failing):
        """Times out for one tenant alone."""

        def read(self, tenant: str, keys: Sequence[Key]) -> Values:
            if tenant == TENANT:
                raise Unavailable("too slow")
            return super().read(tenant, keys)

    mine, metrics = personal(TooLarge(), Clock())
    for _ in range(4):
        assert missing(mine.joined(TENANT, READS, work()))
    assert (reads(metrics, "failed"), reads(metrics, "skipped")) == (3, 1)
    assert not mine.joined("other", READS, work()).degraded
    assert missing(mine.joined(TENANT, READS, work()))
    assert (reads(metrics, "failed"), reads(metrics, "skipped")) == (3, 2)


def test_one_call_tries_for_all() -> None:
    """While a trial is under way after the rest, others are still sent on."""
    clock = Clock()
    breaker = Breaker(1, 1.0, 30.0, clock)
    breaker.failed()
    assert not breaker.allows()
    clock.now += 1.0
    assert breaker.allows()
    assert not breaker.allows()
    breaker.succeeded()
    assert breaker.allows()


def test_a_rest_has_an_end() -> None:
    """However often it failed, it is tried again within the longest rest."""
    clock = Clock()
    breaker = Breaker(1, 1.0, 8.0, clock)
    for _ in range(100):
        breaker.failed()
    clock.now += 8.0
    assert breaker.allows()


def test_values_that_are_none_of_ours_are_not_believed() -> None:
    """Garbage under a user's key is a failure of the store, not of the request."""
    store = Failing()
    store.store.update(TENANT, [], lambda _: {b"user:ann": Entry(b"\xff\xfe")})
    mine, _ = personal(store, Clock())
    for _ in range(5):
        assert missing(mine.joined(TENANT, READS, work()))
    assert not mine.joined("other", READS, work()).degraded


def test_profiles_of_other_rules_are_not_read() -> None:
    """Half-lives that differ from those the counts were made with would give wrong numbers: rather none."""
    store = Failing()
    agree(store, TENANT, Rules(long_days=2.0))
    mine, _ = personal(store, Clock())
    for _ in range(5):
        assert missing(mine.joined(TENANT, READS, work()))
    assert not mine.joined("other", READS, work()).degraded


def test_an_update_that_fails_is_tried_again(tmp_path: Path) -> None:
    """The updater counts the failure, and the next turn learns what the last one could not."""
    store, metrics = Failing(Unavailable("gone")), ProfileMetrics(CollectorRegistry())
    with writing(tmp_path) as writer:
        writer.append(TENANT, [shown("r", "a"), done("e", "r", "a")]).durable.result(10)
    updater = Updater(tmp_path, store, Rules(), 3_600.0, metrics)
    updater._tenants[TENANT] = False  # followed, but by no thread
    with structlog.testing.capture_logs() as told:
        assert (updater.turn(), updater.turn()) == (0, 0)
    assert metrics.failures._value.get() == 2
    assert len(told) == 1
    store.error = None
    assert updater.turn() == 3  # the look into Parquet is one
    assert updater.turn() == 0
    updater.close()


@pytest.mark.parametrize("in_parquet", [False, True])
def test_a_backlog_holds_up_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_parquet: bool) -> None:
    """A turn learns a part of one tenant's history and all that is new of another; the rest comes later."""
    monkeypatch.setattr("serving.profiles.updater.TURN", 40)
    monkeypatch.setattr("cascade.profiles.follow.BATCH", 20)
    with writing(tmp_path) as writer:
        for number in range(0, 150, 10):
            pages = [shown(f"r{number + row}", "a") for row in range(10)]
            writer.append("noisy", pages).durable.result(10)
        writer.append(TENANT, [shown("r", "a")]).durable.result(10)
    if in_parquet:
        compact(home_of(tmp_path, "noisy"))
    store, metrics = MemoryProfiles(), ProfileMetrics(CollectorRegistry())
    updater = Updater(tmp_path, store, Rules(), 3_600.0, metrics)
    updater._tenants |= {"noisy": False, TENANT: False}  # followed, but by no thread
    assert 40 <= updater.turn() - 2 < 80  # of the quiet one, an event and the look into Parquet
    assert store.read(TENANT, [b"item:a"]) != [None]
    assert updater._behind
    turns = 1
    while updater._behind:
        updater.turn()
        turns += 1
    assert turns == 4
    whole = MemoryProfiles()
    while advance(home_of(tmp_path, "noisy"), whole, "noisy", Rules()):
        pass
    assert store.read("noisy", [b"item:a", TOTALS]) == whole.read("noisy", [b"item:a", TOTALS])
    updater.close()


def test_a_thread_that_is_behind_does_not_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than a turn's events are learned though the next look at the log is an hour away."""
    monkeypatch.setattr("serving.profiles.updater.TURN", 40)
    monkeypatch.setattr("cascade.profiles.follow.BATCH", 20)
    over = threading.Event()

    class Counting(MemoryProfiles):
        """Says when the last page was learned."""

        def update(self, tenant: str, keys: Sequence[Key], change: Change) -> bool:
            made = super().update(tenant, keys, change)
            if b"item:last" in keys:
                over.set()
            return made

    with writing(tmp_path) as writer:
        for number in range(0, 150, 10):
            pages = [shown(f"r{number + row}", "a") for row in range(10)]
            writer.append(TENANT, pages).durable.result(10)
        writer.append(TENANT, [shown("r", "last")]).durable.result(10)
    updater = Updater(tmp_path, Counting(), Rules(), 3_600.0, ProfileMetrics(CollectorRegistry()))
    updater.watch(TENANT)
    assert over.wait(30)
    updater.close()


def test_the_thread_learns_by_itself(tmp_path: Path) -> None:
    """A tenant that is watched is learned at once, and once more when there is more."""
    store, metrics = MemoryProfiles(), ProfileMetrics(CollectorRegistry())
    learned = threading.Semaphore(0)

    class Telling:
        """Says when something was learned."""

        def update(self, tenant: str, keys: Sequence[Key], change: Change) -> bool:
            made = store.update(tenant, keys, change)
            if b"item:a" in keys:
                learned.release()
            return made

        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

    updater = Updater(tmp_path, Telling(), Rules(), 0.01, metrics)  # type: ignore[arg-type]
    with writing(tmp_path) as writer:
        for number in range(2):
            writer.append(TENANT, [shown(f"r{number}", "a")]).durable.result(10)
            updater.watch(TENANT)
            assert learned.acquire(timeout=30)
    updater.close()
    updater.close()


@contextmanager
def our_redis(folder: Path) -> Iterator[Any]:
    """A Redis of our own, or a skipped test."""
    require("redis")
    if shutil.which("redis-server") is None:
        absent("needs redis-server on the PATH (apt-get install redis-server)")
    with redis_server(folder) as server:
        yield server


def test_a_redis_that_is_killed(tmp_path: Path) -> None:
    """Requests go on, and it is found again when it is back."""
    with our_redis(tmp_path) as server:
        store = RedisProfiles(server.url, 0.5)
        learn_all(store, TENANT, list(arrived([shown("r", "a")])), Rules())
        mine, _ = personal(store, clock := Clock())
        assert not mine.joined(TENANT, READS, work()).degraded
        server.child.kill()
        server.child.wait()
        for _ in range(4):
            assert missing(mine.joined(TENANT, READS, work()))
    with our_redis(tmp_path):
        clock.now += 60.0
        assert not mine.joined(TENANT, READS, work()).degraded
    mine.close()


def test_a_redis_that_hangs_costs_its_timeout_three_times(tmp_path: Path) -> None:
    """A stopped process answers nobody: the socket's timeout ends the wait, and then it is left alone."""
    with our_redis(tmp_path) as server:
        store = RedisProfiles(server.url, 0.05)
        mine, metrics = personal(store, Clock())
        assert not mine.joined(TENANT, READS, work()).degraded
        server.child.send_signal(signal.SIGSTOP)
        try:
            for _ in range(10):
                assert missing(mine.joined(TENANT, READS, work()))
        finally:
            server.child.send_signal(signal.SIGCONT)
        assert (reads(metrics, "failed"), reads(metrics, "skipped")) == (3, 7)
        mine.close()


def test_nobody_listens() -> None:
    """A port without a Redis is out of reach, in reading and in changing."""
    require("redis")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        store = RedisProfiles(f"redis://127.0.0.1:{free.getsockname()[1]}/0", 0.2)
        batch = candidates(("a",), Query("x"))
        with pytest.raises(Unavailable):
            look_up(store, TENANT, batch, WANTED, Rules())
        with pytest.raises(Unavailable):
            store.update(TENANT, [b"a"], lambda _: {})
        store.close()
