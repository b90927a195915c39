"""The scheduler on a fake model: who gets what, and what becomes of those who wait."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from math import inf
from threading import Semaphore
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import NotReady
from features.fairness import ALONE, Share
from features.transformer import scheduler as module
from features.transformer.packed import Pair, width
from features.transformer.planning import PATIENCE
from features.transformer.queue import AHEAD, Batch, Queue
from features.transformer.scheduler import Scheduler, Schedulers
from features.transformer.session import Pause
from features.transformer.ticket import GIVE_UP, Done

WAIT_S = 60.0


@dataclass
class Until:
    """A limit that a test ends by hand."""

    at: float = 1e9
    expired: bool = False
    left_s: float = WAIT_S
    aside: Callable[[], AbstractContextManager[object]] = nullcontext
    share: Share = ALONE


FOREVER = Until(inf, left_s=inf)


def pair(number: int, length: int = 5) -> Pair:
    """A pair that a fake model knows by its first id."""
    return Pair(np.full(length, number, np.int32), 2)


def value(pairs: Sequence[Pair], pause: Pause | None = None) -> Any:
    """float32[n]: the first id of each pair."""
    return np.array([one.ids[0] for one in pairs], np.float32)


@dataclass
class Model:
    """Runs a batch once a test lets it, and remembers what it ran."""

    entered: Semaphore = field(default_factory=lambda: Semaphore(0))
    opened: Semaphore = field(default_factory=lambda: Semaphore(0))
    ran: list[list[int]] = field(default_factory=list)

    def __call__(self, pairs: Sequence[Pair], pause: Pause | None = None) -> Any:
        self.ran.append([int(one.ids[0]) for one in pairs])
        self.entered.release()
        assert self.opened.acquire(timeout=WAIT_S)
        return value(pairs)

    def let(self, batches: int) -> None:
        """Wait until a batch is being run and let it end, so many times."""
        for _ in range(batches):
            assert self.entered.acquire(timeout=WAIT_S)
            self.opened.release()


@dataclass
class InParts(Model):
    """A model of two parts: a test lets each of them end."""

    ended: list[list[int]] = field(default_factory=list)

    def __call__(self, pairs: Sequence[Pair], pause: Pause | None = None) -> Any:
        super().__call__(pairs)
        assert pause
        pause()
        found = super().__call__(pairs)
        self.ended.append(self.ran[-1])
        return found


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Threads of clients."""
    with ThreadPoolExecutor(8) as made:
        yield made


def test_every_pair_gets_its_own_value() -> None:
    """Over windows and widths, in the order that the pairs came in; a value may be a vector."""
    pairs = [pair(number, 3 + number % 90) for number in range(300)]
    windows = [pairs[:7], [], pairs[7:200], pairs[200:]]
    done = Scheduler(value, 2).run(windows, FOREVER, 128)
    np.testing.assert_array_equal(done.positions, np.arange(300))
    np.testing.assert_array_equal(done.values, np.arange(300))
    assert (done.late, done.failed) == (False, {})
    assert done.tokens == sum(map(len, pairs))
    vectors = Scheduler(lambda some, _: np.stack([value(some)] * 4, axis=1), 2).run(windows, FOREVER)
    np.testing.assert_array_equal(vectors.values, np.arange(300)[:, None].repeat(4, axis=1))


def test_a_request_that_waits_is_aside(pool: ThreadPoolExecutor) -> None:
    """Its pairs are made while it holds whatever it holds, and run while it has stepped aside."""
    told: list[str] = []

    @contextmanager
    def aside() -> Iterator[None]:
        told.append("aside")
        yield
        told.append("back")

    def windows() -> Iterator[list[Pair]]:
        told.append("made")
        yield [pair(1)]

    model = Model()
    asked = pool.submit(Scheduler(model, 1).run, windows(), Until(aside=aside))
    model.let(1)
    np.testing.assert_array_equal(asked.result(WAIT_S).values, [1])
    assert told == ["made", "aside", "back", "aside", "back"]


def test_nothing_to_run() -> None:
    """A request without pairs is done at once and starts no thread."""
    scheduler = Scheduler(value, 2)
    done = scheduler.run([[], []], FOREVER)
    assert (len(done.positions), done.late, scheduler.queue.threads) == (0, False, [])


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.lists(st.integers(3, 70), max_size=40), min_size=1, max_size=6),
    st.integers(1, 3),
    st.integers(16, 300),
)
def test_requests_at_once_get_their_own(lists: list[list[int]], workers: int, budget: int) -> None:
    """However requests share micro-batches, each one gets the values of its pairs."""
    scheduler = Scheduler(value, workers)

    def ask(at: int) -> Done:
        pairs = [pair(1000 * at + row, length) for row, length in enumerate(lists[at])]
        return scheduler.run([pairs[:10], pairs[10:]], Until(), budget)

    with ThreadPoolExecutor(len(lists)) as clients:
        for at, done in enumerate(clients.map(ask, range(len(lists)))):
            np.testing.assert_array_equal(done.values, 1000 * at + np.arange(len(lists[at])))


def test_windows_are_made_only_as_fast_as_they_are_run() -> None:
    """What waits is bounded: a long request does not tokenise all its candidates at once."""
    most, ran, made = 0, 0, 0

    def infer(pairs: Sequence[Pair], pause: Pause) -> Any:
        nonlocal ran, most
        most = max(most, made - ran)
        ran += len(pairs)
        return value(pairs)

    def windows() -> Iterator[list[Pair]]:
        nonlocal made
        for start in range(0, 2000, 32):
            made += 32
            yield [pair(start + row) for row in range(32)]

    done = Scheduler(infer, 1).run(windows(), Until())
    assert len(done.positions) == 2000 // 32 * 32 + 32
    assert most <= AHEAD + 2 * 32 + 32


def test_the_pair_at_fault_fails_alone() -> None:
    """A batch that fails is run pair by pair: its other pairs, of whatever request, get their values."""

    def infer(pairs: Sequence[Pair], pause: Pause) -> Any:
        if any(one.ids[0] == 3 for one in pairs):
            raise RuntimeError("token 3")
        return value(pairs)

    done = Scheduler(infer, 1).run([[pair(number) for number in range(6)]], Until())
    assert done.positions.tolist() == done.values.tolist() == [0, 1, 2, 4, 5]
    assert [str(error) for error in done.failed.values()] == ["token 3"]
    assert list(done.failed) == [3]
    assert not done.late


def test_a_failing_model_fails_requests_and_not_the_workers() -> None:
    """A request gets the model's error after a few pairs, and the next request is served."""
    calls, broken = 0, True

    def infer(pairs: Sequence[Pair], pause: Pause) -> Any:
        nonlocal calls
        calls += 1
        if broken:
            raise RuntimeError("no memory")
        return value(pairs)

    scheduler = Scheduler(infer, 1)
    with pytest.raises(RuntimeError, match="no memory"):
        scheduler.run([[pair(number) for number in range(500)]], Until(), 64)
    assert calls < 4 * GIVE_UP
    broken = False
    assert scheduler.run([[pair(7)]], Until()).values.tolist() == [7]


def test_rows_that_do_not_fit_are_an_error() -> None:
    """A model that gives another number of rows than pairs is found out."""
    with pytest.raises(NotReady, match="3 rows for 1 pairs"):
        Scheduler(lambda pairs, _: np.zeros(3, np.float32), 1).run([[pair(1)]], Until())


def test_time_runs_out_best_first() -> None:
    """What was done is the best part, and what waited is not run any more."""
    limit, calls = Until(), 0

    def infer(pairs: Sequence[Pair], pause: Pause) -> Any:
        nonlocal calls
        calls += 1
        limit.expired = calls == 5
        return value(pairs)

    pairs = [pair(number, 3 + 40 * (number % 3)) for number in range(400)]
    done = Scheduler(infer, 1).run([pairs], limit, 128)
    assert done.late
    assert calls == 5
    left_out = min(set(range(400)) - set(done.positions.tolist()))
    assert left_out > 0
    assert done.positions.max() < left_out + AHEAD
    np.testing.assert_array_equal(done.values, done.positions)


def test_no_time_at_all() -> None:
    """An expired request makes no pair and runs none."""
    calls: list[object] = []
    done = Scheduler(lambda pairs, _: calls.append(pairs), 1).run(iter([[pair(1)]]), Until(expired=True))
    assert done.late
    assert not calls


def test_one_who_leaves_the_queue_is_not_run(pool: ThreadPoolExecutor) -> None:
    """A request that is cancelled while it waits ends with the batch before it, and costs nothing."""
    model = Model()
    scheduler, limit = Scheduler(model, 1), Until()
    first = pool.submit(scheduler.run, [[pair(1), pair(1, 40)]], Until(), 16)
    assert model.entered.acquire(timeout=WAIT_S)
    second = pool.submit(scheduler.run, [[pair(2)] * 9], limit)
    until(lambda: len(scheduler.queue.tickets) == 2)
    limit.expired = True
    model.opened.release()
    assert second.result(WAIT_S).late
    model.let(1)
    assert not first.result(WAIT_S).late
    assert model.ran == [[1], [1]]


def come(scheduler: Scheduler, count: int) -> None:
    """Wait until pairs of so many requests are in the queue or being run."""
    until(lambda: sum(bool(one.seen) for one in list(scheduler.queue.tickets.values())) == count)


def newcomer(
    model: InParts, scheduler: Scheduler, pool: ThreadPoolExecutor, pairs: int
) -> tuple[Future[Done], Future[Done]]:
    """A long request whose third batch is being run, and a short one that came meanwhile."""
    long = pool.submit(scheduler.run, [[pair(number, 512) for number in range(pairs)]], Until())
    model.let(4)
    assert model.entered.acquire(timeout=WAIT_S)
    short = pool.submit(scheduler.run, [[pair(7)]], Until())
    come(scheduler, 2)
    return long, short


def until(state: Any) -> None:
    """Wait for another thread without looking at a clock."""
    for _ in range(100_000_000):
        if state():
            return
        os.sched_yield()
    raise AssertionError("it never came to that")


def test_one_who_was_served_less_overtakes_between_parts(pool: ThreadPoolExecutor) -> None:
    """A newcomer goes before the rest of a long request's batch, which then goes on where it was."""
    model = InParts()
    scheduler = Scheduler(model, 1)
    long, short = newcomer(model, scheduler, pool, 4)
    model.opened.release()
    model.let(2)
    assert short.result(WAIT_S).values.tolist() == [7]
    model.let(3)
    assert long.result(WAIT_S).values.tolist() == [0, 1, 2, 3]
    assert model.ended == [[0], [1], [7], [2], [3]]


def test_nobody_overtakes_his_like(pool: ThreadPoolExecutor) -> None:
    """A newcomer waits for the batch of a request that was hardly served itself."""
    model = InParts()
    scheduler = Scheduler(model, 1)
    first = pool.submit(scheduler.run, [[pair(1), pair(2, 40)]], Until(), 16)
    assert model.entered.acquire(timeout=WAIT_S)
    second = pool.submit(scheduler.run, [[pair(7)]], Until())
    come(scheduler, 2)
    model.opened.release()
    model.let(5)
    assert first.result(WAIT_S).values.tolist() == [1, 2]
    assert second.result(WAIT_S).values.tolist() == [7]
    assert model.ended[0] == [1]


@dataclass
class Crowd:
    """Runs batches of two parts once all its callers have come; knows who was run within whom."""

    gate: Semaphore = field(default_factory=lambda: Semaphore(0))
    within: list[int] = field(default_factory=list)
    deepest: int = 0
    nested: dict[int, int] = field(default_factory=dict)
    ended: list[int] = field(default_factory=list)

    def __call__(self, pairs: Sequence[Pair], pause: Pause) -> Any:
        assert self.gate.acquire(timeout=WAIT_S)
        self.gate.release()
        number = int(pairs[0].ids[0])
        for outer in self.within:
            self.nested[outer] = self.nested.get(outer, 0) + sum(width(len(one)) for one in pairs)
        self.within.append(number)
        self.deepest = max(self.deepest, len(self.within))
        pause()
        self.within.pop()
        self.ended.append(number)
        return value(pairs)


def crowded(lists: list[list[Pair]]) -> tuple[Crowd, list[Done]]:
    """What becomes of requests that come at once to one worker."""
    model = Crowd()
    scheduler = Scheduler(model, 1)
    with ThreadPoolExecutor(len(lists)) as clients:
        asked = []
        for pairs in lists:
            asked.append(clients.submit(scheduler.run, [pairs], Until()))
            come(scheduler, len(asked))
        model.gate.release()
        return model, [one.result(WAIT_S) for one in asked]


def test_those_who_overtake_are_not_overtaken() -> None:
    """Many long requests at once end about in the order in which they came, and none within many others."""
    model, done = crowded([[pair(number, 512), pair(number, 512)] for number in range(20)])
    assert all(one.values.tolist() == [number, number] for number, one in enumerate(done))
    assert model.deepest <= 2
    last = {number: at for at, number in enumerate(model.ended)}
    order = sorted(last, key=last.__getitem__)
    assert max(abs(place - number) for place, number in enumerate(order)) <= 2


def test_nobody_is_put_off_for_ever() -> None:
    """However many short requests come, a batch goes on after as much work as a request would wait for.

    Several go before it, and not all.
    """
    short = [[pair(100 + number, 32)] * 16 for number in range(40)]
    model, done = crowded([[pair(1, 512)] * 3, *short])
    assert done[0].values.tolist() == [1, 1, 1]
    assert PATIENCE <= model.nested[1] <= PATIENCE + 512
    assert model.ended.index(1) < len(model.ended) // 2


def test_a_fault_of_the_queue_is_not_the_models(
    monkeypatch: pytest.MonkeyPatch, pool: ThreadPoolExecutor
) -> None:
    """Whoever waits gets the error of what goes wrong while one overtakes, and the worker goes on."""
    model, learn = InParts(), Queue.learn
    scheduler = Scheduler(model, 1)

    def faulty(queue: Queue, batch: Batch, now: float) -> None:
        assert batch.cells == 512, "too small"
        learn(queue, batch, now)

    with monkeypatch.context() as patch:
        patch.setattr(Queue, "learn", faulty)
        long, short = newcomer(model, scheduler, pool, 4)
        model.opened.release()
        model.let(3)
        for one in (long, short):
            with pytest.raises(AssertionError, match="too small"):
                one.result(WAIT_S)
    other = pool.submit(scheduler.run, [[pair(4)]], Until())
    model.let(2)
    assert other.result(WAIT_S).values.tolist() == [4]


def test_time_put_off_is_time_in_the_queue(pool: ThreadPoolExecutor) -> None:
    """It is neither the request's running time nor part of the pace that is learned."""
    model, time = InParts(), [0.0]
    scheduler = Scheduler(model, 1, lambda: time[0])
    long, short = newcomer(model, scheduler, pool, 3)
    time[0] = 1.0
    model.opened.release()
    model.let(1)
    assert model.entered.acquire(timeout=WAIT_S)
    time[0] = 4.0
    model.opened.release()
    assert short.result(WAIT_S).queue_s == 1.0
    assert model.entered.acquire(timeout=WAIT_S)
    time[0] = 6.0
    model.opened.release()
    assert long.result(WAIT_S).queue_s == 3.0
    assert scheduler.queue.pace == pytest.approx(3.0 / 512)


def test_a_batch_that_nobody_waits_for_ends_between_its_parts(pool: ThreadPoolExecutor) -> None:
    """Its rest is not run, and the worker goes on with others."""
    model, limit = InParts(), Until()
    scheduler = Scheduler(model, 1)
    asked = pool.submit(scheduler.run, [[pair(1)]], limit)
    assert model.entered.acquire(timeout=WAIT_S)
    limit.expired = True
    model.opened.release()
    assert asked.result(WAIT_S).late
    other = pool.submit(scheduler.run, [[pair(2)]], Until())
    model.let(2)
    assert other.result(WAIT_S).values.tolist() == [2]
    assert model.ended == [[2]]


def test_the_deadline_does_not_wait_for_a_running_batch(pool: ThreadPoolExecutor) -> None:
    """A request whose time is up gets what is done, and the batch that is being run is nobody's."""
    model = Model()
    limit = Until(left_s=0.0)
    scheduler = Scheduler(model, 1)
    asked = pool.submit(scheduler.run, [[pair(1), pair(2, 40)]], limit, 16)
    model.let(1)
    assert model.entered.acquire(timeout=WAIT_S)
    limit.expired = True
    done = asked.result(WAIT_S)
    assert (done.late, done.values.tolist()) == (True, [1])
    model.opened.release()
    model.opened.release()
    assert scheduler.run([[pair(5)]], Until()).values.tolist() == [5]


def test_waiting_is_told_apart_from_running(pool: ThreadPoolExecutor) -> None:
    """Only the time in which pairs wait and none of the request is run counts as queueing."""
    model, time = Model(), [0.0]
    scheduler = Scheduler(model, 1, lambda: time[0])
    first = pool.submit(scheduler.run, [[pair(1)]], Until())
    assert model.entered.acquire(timeout=WAIT_S)
    second = pool.submit(scheduler.run, [[pair(2), pair(2, 40)]], Until(), 16)
    come(scheduler, 2)
    time[0] = 3.0
    model.opened.release()
    assert first.result(WAIT_S).queue_s == 0.0
    assert model.entered.acquire(timeout=WAIT_S)
    time[0] = 10.0
    model.opened.release()
    model.let(1)
    assert second.result(WAIT_S).queue_s == 3.0


def test_closing_ends_those_who_wait_and_the_workers(pool: ThreadPoolExecutor) -> None:
    """They get an error that says so, and nobody can ask any more."""
    model = Model()
    scheduler = Scheduler(model, 1)
    asked = pool.submit(scheduler.run, [[pair(1), pair(2, 40)]], Until(), 16)
    assert model.entered.acquire(timeout=WAIT_S)
    threads = list(scheduler.queue.threads)
    scheduler.close()
    with pytest.raises(NotReady, match="unloaded"):
        asked.result(WAIT_S)
    model.opened.release()
    for thread in threads:
        thread.join(WAIT_S)
        assert not thread.is_alive()
    with pytest.raises(NotReady, match="unloaded"):
        scheduler.run([[pair(1)]], Until())


def test_workers_go_with_the_last_holder() -> None:
    """A model that nobody holds keeps no thread and no session."""
    scheduler = Scheduler(value, 2)
    scheduler.run([[pair(1)]], Until())
    threads = list(scheduler.queue.threads)
    assert len(threads) == 2
    del scheduler
    for thread in threads:
        thread.join(WAIT_S)
        assert not thread.is_alive()


def test_a_broken_queue_is_an_error_and_not_a_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong between batches reaches those who wait, and the workers go on."""
    scheduler = Scheduler(value, 1)
    with monkeypatch.context() as patch:
        patch.setattr("features.transformer.queue.next_batch", lambda *_: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            scheduler.run([[pair(1)]], Until())
    assert scheduler.run([[pair(4)]], Until()).values.tolist() == [4]


def test_an_error_while_pairs_are_made_is_the_callers() -> None:
    """It leaves nothing behind in the queue."""

    def windows() -> Iterator[list[Pair]]:
        yield [pair(1)]
        raise ValueError("no such column")

    scheduler = Scheduler(value, 1)
    with pytest.raises(ValueError, match="no such column"):
        scheduler.run(windows(), Until())
    assert not scheduler.queue.tickets


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_starts_its_own_workers() -> None:
    """Threads stay behind in the parent, and a child is served all the same."""
    scheduler = Scheduler(value, 2)
    scheduler.run([[pair(1)]], Until())
    child = os.fork()
    if child == 0:
        try:
            good = scheduler.run([[pair(8)]], Until()).values.tolist() == [8]
            os._exit(0 if good else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


class Session:
    """What a registry asks of a session."""

    intra_op_num_threads = 1

    @property
    def options(self) -> "Session":
        """Its own."""
        return self


def test_one_scheduler_a_session() -> None:
    """Stages on one session share a scheduler, which goes when none of them holds it."""
    schedulers, session = Schedulers(), Session()
    one = schedulers.of(session, value)
    assert schedulers.of(session, value) is one
    assert schedulers.of(Session(), value) is not one
    del one
    assert not schedulers.open


def test_as_many_workers_as_the_sessions_threads_leave_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers and their sessions' threads together are as many as cores; a setting goes before that."""
    monkeypatch.setattr(module, "cores", lambda: 4)
    session = Session()
    for threads, workers in ((1, 4), (2, 2), (4, 1), (8, 1)):
        session.intra_op_num_threads = threads
        assert Schedulers().of(session, value).queue.workers == workers
    monkeypatch.setattr(module, "cores", lambda: 1)
    assert Schedulers().of(session, value).queue.workers == 1
    assert Schedulers(3).of(session, value).queue.workers == 3
