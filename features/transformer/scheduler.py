"""Runs the pairs of all requests through one model session: a queue of pairs, not of requests.

A few worker threads take micro-batches out of the queue (`planning.py` says which) and run them on the
shared session. A request's own thread makes its pairs, a window at a time, while workers run those before,
and waits. Between two batches, which is every few milliseconds, requests that are expired or cancelled leave
the queue.

It serves any graph that gives a row a pair: `score` is `[B]`, `vector` is `[B, d]`.
"""

import atexit
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import inf
from threading import TIMEOUT_MAX, Condition, RLock, Thread
from time import perf_counter
from typing import Any
from weakref import WeakSet, WeakValueDictionary, finalize

from features.errors import NotReady
from features.transformer.packed import Pair, width
from features.transformer.planning import WORTH_A_RUN, Circumstances, Waiting, next_batch
from features.transformer.session import cores
from features.transformer.ticket import Done, Infer, Limit, Outcome, Ticket, attempt

AHEAD = 64
"""Pairs regrouped by width at a time where there is a deadline, `UNHURRIED` where there is none."""
UNHURRIED = 2048
BATCH_TOKENS = 512
SMOOTHING = 0.1
"""Weight of the newest batch in the measured pace."""
JOIN_S = 2.0
"""How long the end of the process waits for a batch that is being run."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """A micro-batch on its way: for every request that has a part, its ticket, positions and pairs."""

    parts: list[tuple[Ticket, list[int], list[Pair]]]
    begun: float

    @property
    def pairs(self) -> list[Pair]:
        """All of them, in the order of the parts."""
        return [pair for _, _, pairs in self.parts for pair in pairs]

    @property
    def cells(self) -> int:
        """Its size: pairs × padded width."""
        return sum(width(len(pair)) for _, _, pairs in self.parts for pair in pairs)


class Queue:
    """What requests and workers share. It outlives the `Scheduler` until its threads have gone."""

    def __init__(self, infer: Infer, workers: int, clock: Callable[[], float]) -> None:
        self.infer, self.workers, self.clock = infer, workers, clock
        self.closed = False
        self.pace = 0.0
        self.reset()

    def reset(self) -> None:
        """Nothing waits and nobody works; in a forked child, whatever its parent was about."""
        self.lock = RLock()
        self.work = Condition(self.lock)
        self.tickets: dict[int, Ticket] = {}
        self.threads: list[Thread] = []
        self.arrivals = self.spent = 0

    def enter(self, limit: Limit, budget: int) -> Ticket:
        """A ticket for a new request."""
        with self.lock:
            self.arrivals += 1
            ahead = AHEAD if limit.at < inf else UNHURRIED
            waiting = Waiting(self.arrivals, limit.at, budget, ahead, since=self.spent)
            ticket = self.tickets[self.arrivals] = Ticket(waiting, limit, Condition(self.lock))
        return ticket

    def offer(self, ticket: Ticket, pairs: Sequence[Pair]) -> None:
        """Pairs of a request, for whoever is free.

        Raises:
            NotReady: if the scheduler has been closed.
        """
        with self.lock:
            if self.closed:
                raise NotReady("the model is being unloaded")
            if pairs and not ticket.over:
                ticket.add(pairs)
                ticket.note(self.clock())
                self.start()
                self.work.notify(self.workers)

    def wait(self, ticket: Ticket, ready: Callable[[], bool]) -> bool:
        """Wait until `ready`; False if the request is over before."""
        with self.lock:
            while not ready():
                if ticket.over or ticket.limit.expired:
                    return False
                left = ticket.limit.left_s
                ticket.changed.wait(None if left > TIMEOUT_MAX else max(left, 0.0))
        return True

    def leave(self, ticket: Ticket) -> None:
        """The request waits for nothing more."""
        with self.lock:
            ticket.stop()
            ticket.note(self.clock())
            self.tickets.pop(ticket.waiting.arrival, None)

    def start(self) -> None:
        """Start the workers that are not there yet."""
        while len(self.threads) < self.workers:
            name = f"inference-{len(self.threads)}"
            self.threads.append(Thread(target=work, args=(self,), name=name, daemon=True))
            self.threads[-1].start()

    def take(self) -> Batch | None:
        """The next micro-batch, once there is one; None when the queue is closed."""
        with self.lock:
            while not self.closed:
                self.drop_expired()
                waiting = [one.waiting for one in self.tickets.values() if one.waiting.count]
                if waiting:
                    return self.form(waiting)
                self.work.wait()
        return None

    def drop_expired(self) -> None:
        """Take requests out for which nobody waits any more."""
        for ticket in self.tickets.values():
            if not ticket.over and ticket.limit.expired:
                ticket.stop()

    def form(self, waiting: list[Waiting]) -> Batch:
        """A micro-batch of what waits."""
        shares = next_batch(waiting, Circumstances(self.workers, self.spent, self.pace))
        now = self.clock()
        chosen = [(self.tickets[share.arrival], positions) for share, positions in shares]
        batch = Batch([(ticket, some, ticket.begin(some, now)) for ticket, some in chosen], now)
        self.spent += batch.cells
        return batch

    def deliver(self, batch: Batch, outcome: Outcome) -> None:
        """Give every request its rows."""
        with self.lock:
            now, start = self.clock(), 0
            self.learn(batch, now)
            for ticket, positions, pairs in batch.parts:
                end = start + len(pairs)
                failed = {row - start: why for row, why in outcome.failed.items() if start <= row < end}
                ticket.deliver(positions, pairs, Outcome(outcome.values[start:end], failed), now)
                start = end

    def learn(self, batch: Batch, now: float) -> None:
        """Seconds a cell, from batches that are large enough to tell."""
        if batch.cells >= WORTH_A_RUN:
            pace = (now - batch.begun) / batch.cells
            self.pace += (SMOOTHING if self.pace else 1.0) * (pace - self.pace)

    def fail(self, error: Exception) -> None:
        """Let nobody wait for what a broken queue will not do."""
        with self.lock:
            for ticket in self.tickets.values():
                ticket.stop(error)

    def close(self) -> None:
        """End the workers after the batches that they run; requests that wait get an error."""
        with self.lock:
            self.closed = True
            self.fail(NotReady("the model is being unloaded"))
            self.work.notify_all()


def work(queue: Queue) -> None:
    """What a worker thread does."""
    while not queue.closed:
        try:
            while batch := queue.take():
                queue.deliver(batch, attempt(queue.infer, batch.pairs))
        except Exception as error:  # a fault of ours: requests get it, and the worker goes on
            queue.fail(error)


class Scheduler:
    """One a session, shared by every stage that runs it; safe among threads.

    Args:
        infer: runs a micro-batch. It is called on several threads at once.
        workers: how many threads call it; 0 = one a core.
        clock: seconds, for what is told of waiting.
    """

    def __init__(self, infer: Infer, workers: int = 0, clock: Callable[[], float] = perf_counter) -> None:
        self.queue = Queue(infer, workers or cores(), clock)
        QUEUES.add(self.queue)
        self.close = finalize(self, self.queue.close)

    def run(self, windows: Iterable[Sequence[Pair]], limit: Limit, batch_tokens: int = BATCH_TOKENS) -> Done:
        """Run a request's pairs; returns when all are done or the request is over.

        Args:
            windows: the pairs in the order of their importance, some at a time. They are asked for in the
                calling thread, only as fast as they are run.
            limit: until when; what waits then is dropped, what is being run is not waited for.
            batch_tokens: cells (pairs × padded width) of a micro-batch.

        Raises:
            NotReady: if the scheduler was closed.
            Exception: the model's, where nothing but errors came of the pairs.
        """
        queue = self.queue
        ticket = queue.enter(limit, batch_tokens)
        try:
            whole = self._fed(ticket, windows) and queue.wait(ticket, lambda: ticket.finished)
        finally:
            queue.leave(ticket)
        with queue.lock:  # a batch that is still being run may be delivered at any time
            return ticket.done(late=not whole)

    def _fed(self, ticket: Ticket, windows: Iterable[Sequence[Pair]]) -> bool:
        """Offer every window once there is room for it; False if the request is over before."""
        waiting = ticket.waiting
        if ticket.limit.expired:
            return False
        for pairs in windows:
            self.queue.offer(ticket, pairs)
            if not self.queue.wait(ticket, lambda: waiting.count <= waiting.ahead):
                return False
        return True


QUEUES: WeakSet[Queue] = WeakSet()


def _after_fork() -> None:
    """Threads do not survive a fork: a child starts its own."""
    for queue in list(QUEUES):
        queue.reset()


def _at_exit() -> None:
    """Let no worker run native code while the interpreter goes down."""
    for queue in list(QUEUES):
        queue.close()
        for thread in queue.threads:
            thread.join(JOIN_S)


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Schedulers:
    """Schedulers by session, alive as long as a stage holds them."""

    def __init__(self, workers: int = 0) -> None:
        self.workers = workers
        self.lock = RLock()
        self.open: WeakValueDictionary[int, Scheduler] = WeakValueDictionary()

    def of(self, session: Any, infer: Infer) -> Scheduler:
        """The scheduler of an onnxruntime session; `infer` runs it, and must hold it."""
        with self.lock:
            found = self.open.get(id(session))
            if found is None:
                found = self.open[id(session)] = Scheduler(infer, self.workers or workers_for(session))
        return found


def workers_for(session: Any) -> int:
    """One a core for a session without threads of its own; one for every two cores where micro-batches share
    the session's threads. On two cores that is a single worker with both: as many pairs a second as two
    workers of one thread (`features/transformer/session.py`), and a newcomer waits half as long for the
    micro-batch before it."""
    alone = session.get_session_options().intra_op_num_threads == 1
    return cores() if alone else max(1, cores() // 2)


SCHEDULERS = Schedulers()
"""The process's schedulers. Whoever starts the process may set their `workers` before anything is loaded."""
