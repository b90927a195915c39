"""What requests and workers of one model share: tickets of requests, and the threads that run micro-batches.

Which pairs go into the next micro-batch is decided in `planning.py`, and what comes of them is kept in
`ticket.py`; here is what has to happen under one lock.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import inf
from threading import TIMEOUT_MAX, Condition, RLock, Thread

from features.errors import NotReady
from features.transformer.packed import Pair, width
from features.transformer.planning import (
    PATIENCE,
    WORTH_A_RUN,
    Circumstances,
    Waiting,
    next_batch,
    overtakes,
    turns,
)
from features.transformer.ticket import Abandoned, Infer, Limit, Outcome, Ticket, attempt

AHEAD = 64
"""Pairs regrouped by width at a time where there is a deadline, `UNHURRIED` where there is none."""
UNHURRIED = 2048
SMOOTHING = 0.1
"""Weight of the newest batch in the measured pace."""


@dataclass(slots=True, eq=False)
class Batch:
    """A micro-batch on its way.

    Attributes:
        parts: for every request that has one, its ticket, positions and pairs.
        begun: when; moved on by the time in which it was put off.
        level: the least that one of the requests had before it.
        patient: cells that the queue may have run until which it can be put off.
    """

    parts: list[tuple[Ticket, list[int], list[Pair]]]
    begun: float
    level: int
    patient: int = 0

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
        self.turns = turns()

    def enter(self, limit: Limit, budget: int) -> Ticket:
        """A ticket for a new request."""
        with self.lock:
            self.arrivals += 1
            ahead = AHEAD if limit.at < inf else UNHURRIED
            waiting = Waiting(self.arrivals, limit.at, budget, ahead, since=self.spent, share=limit.share)
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
        with ticket.limit.aside(), self.lock:
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
                if waiting := self.waiting():
                    batch = self.form(waiting)
                    batch.patient = self.spent + PATIENCE
                    return batch
                self.work.wait()
        return None

    def waiting(self) -> list[Waiting]:
        """The requests that have pairs to run, without those for which nobody waits any more."""
        self.drop_expired()
        return [one.waiting for one in self.tickets.values() if one.waiting.count]

    def drop_expired(self) -> None:
        """Take requests out for which nobody waits any more."""
        for ticket in self.tickets.values():
            if not ticket.over and ticket.limit.expired:
                ticket.stop()

    def form(self, waiting: list[Waiting]) -> Batch:
        """A micro-batch of what waits."""
        levels = {one.arrival: one.level for one in waiting}
        parts = next_batch(waiting, self.circumstances)
        now, level = self.clock(), min(levels[one.arrival] for one, _ in parts)
        chosen = [(self.tickets[one.arrival], positions) for one, positions in parts]
        batch = Batch([(ticket, some, ticket.begin(some, now)) for ticket, some in chosen], now, level)
        self.spent += batch.cells
        return batch

    @property
    def circumstances(self) -> Circumstances:
        """What planning has to know."""
        return Circumstances(self.workers, self.spent, self.pace, self.turns)

    def run(self, batch: Batch) -> None:
        """Run a micro-batch, and whatever overtakes it, and give every request its rows."""
        with suppress(Abandoned):
            self.deliver(batch, attempt(self.infer, batch.pairs, lambda: self.pause(batch)))

    def pause(self, batch: Batch) -> None:
        """Look up between two parts of a batch, and run what overtakes it.

        Raises:
            Abandoned: if nobody waits for the rest.
        """
        try:
            while first := self.overtaking(batch):
                with self.put_off(batch):
                    self.run(first)
        except Abandoned:
            raise
        except Exception as error:  # a fault of ours, and not the model's that is being run
            self.fail(error)

    @contextmanager
    def put_off(self, batch: Batch) -> Iterator[None]:
        """Its requests wait meanwhile, and the time is no part of how long it takes."""
        start = self.clock()
        with self.lock:
            for ticket, _, _ in batch.parts:
                ticket.put_off(start)
        yield
        now = self.clock()
        with self.lock:
            batch.begun += now - start
            for ticket, _, _ in batch.parts:
                ticket.go_on(now)

    def overtaking(self, batch: Batch) -> Batch | None:
        """The micro-batch that goes before the rest of this one, if any does.

        One that overtakes is not put off itself, and nobody is put off for longer than a request would wait.

        Raises:
            Abandoned: if nobody waits for the rest.
        """
        with self.lock:
            waiting = self.waiting()
            if self.closed or all(ticket.over for ticket, _, _ in batch.parts):
                raise Abandoned
            if self.spent >= batch.patient:
                return None
            shares = {ticket.waiting.share for ticket, _, _ in batch.parts}
            first = overtakes(waiting, batch.level, shares, self.circumstances)
            return self.form(waiting) if first else None

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
        """End the workers with the parts that they run; requests that wait get an error."""
        with self.lock:
            self.closed = True
            self.fail(NotReady("the model is being unloaded"))
            self.work.notify_all()


def work(queue: Queue) -> None:
    """What a worker thread does."""
    while not queue.closed:
        try:
            while batch := queue.take():
                queue.run(batch)
        except Exception as error:  # a fault of ours: requests get it, and the worker goes on
            queue.fail(error)
