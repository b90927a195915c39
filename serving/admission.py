"""Who may compute: a bounded number of requests in flight, of which as many compute as there are workers.

A request that waits holds a thread and nothing else; one that finds the queue full is told at once when to
come back, because an answer after its deadline helps nobody. Whoever waits for a model that all requests
share computes nothing, so that his permit goes to the next one: what the model runs first, its own scheduler
decides (`features/transformer/scheduler.py`), and it can favour only requests that it knows of.

Among tenants, permits go by weighted fair queueing (`features/fairness.py`), and a full queue makes room for
a tenant that holds less than its part by sending the last request home of the one that holds most ("longest
queue drop": Suter, Lakshman, Stiliadis and Choudhury 1998). Only what waits for a permit can go home, not
what waits for a model or a ranker's load: for tenants that hold little beside another, a reserve of places is
kept behind the queue. One tenant alone finds a plain queue.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter

from cascade.deadline import Deadline
from features.errors import Exhausted, OutOfTime
from features.fairness import ALONE, Share, Turns

SMOOTHING = 0.05
"""Weight of the newest request in the mean service time."""
LONGEST_WAIT_S = 5.0
RESERVE = 16
"""Places of a server behind its queue, for tenants that are modest."""
MODEST = 4
"""Whoever holds less than another by more than this factor is modest."""
PATIENCE = 50_000.0
"""Candidates that may be ranked for tenants of higher classes before one that waits is served."""


@dataclass(slots=True, eq=False)
class Waiter:
    """A request that waits for a permit; `changed` is told when it has one, or is sent home."""

    share: Share
    cost: float
    since: float
    changed: threading.Condition
    granted: bool = False
    dropped: bool = False

    @property
    def settled(self) -> bool:
        """Whether there is nothing more to wait for."""
        return self.granted or self.dropped


class Admission:
    """Permits of a server."""

    def __init__(
        self,
        workers: int,
        queue: int,
        mean_s: float = 0.01,
        clock: Callable[[], float] = perf_counter,
        reserve: int = 0,
    ) -> None:
        self.workers, self.reserve = workers, reserve
        self.most = workers + queue
        self.in_flight = 0
        self.busy = self._begun = 0
        self._mean_s, self._clock = mean_s, clock
        self._lock = threading.Lock()
        self._turns = Turns(PATIENCE)
        self._waiting: list[Waiter] = []
        self._held: Counter[str] = Counter()

    @contextmanager
    def admitted(self, share: Share = ALONE) -> Iterator[None]:
        """Count a request as in flight while it is.

        Raises:
            Exhausted: if too many are, with the time in which about half of them will be done.
        """
        with self._lock:
            if self.in_flight >= self.most and not self._reserved(share):
                self._make_room(share)
            self.in_flight += 1
            self._held[share.tenant] += 1
        try:
            yield
        finally:
            with self._lock:
                self.in_flight -= 1
                self._held[share.tenant] -= 1
                if not self._held[share.tenant]:
                    del self._held[share.tenant]

    @contextmanager
    def computing(self, deadline: Deadline, cost: float = 1.0) -> Iterator[None]:
        """Hold one of the workers' permits; `cost` is what the tenant's turn is charged, in candidates.

        Raises:
            OutOfTime: if none came free before the deadline.
            Exhausted: if the request had to make room for another tenant's.
        """
        with self._lock:
            self._wait(deadline, cost)
            self._begun += 1
        start = self._clock()
        try:
            yield
        finally:
            with self._lock:
                self._begun -= 1
                self._mean_s += SMOOTHING * (self._clock() - start - self._mean_s)
                self._release()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Give the permit that `computing` holds to another request for as long as this one waits.

        It is taken back without waiting, over the number if need be: what a model has made must not be lost
        to the deadline at the very end.
        """
        with self._lock:
            self._release()
        try:
            yield
        finally:
            with self._lock:
                self.busy += 1

    def _wait(self, deadline: Deadline, cost: float) -> None:
        """Return with a permit."""
        if self.busy < self.workers:  # then nobody waits
            self._take(deadline.share, cost)
            return
        one = Waiter(deadline.share, cost, self._turns.done, threading.Condition(self._lock))
        self._waiting.append(one)
        left = deadline.left_s
        endless = left > threading.TIMEOUT_MAX  # a call without a deadline has some centuries left
        one.changed.wait_for(lambda: one.settled, None if endless else max(left, 0.0))
        if one.dropped:
            raise self._exhausted()
        if not one.granted:
            self._waiting.remove(one)
            raise OutOfTime("the deadline passed while the request waited for a worker")

    def _take(self, share: Share, cost: float) -> None:
        """One permit for a tenant."""
        self._turns.begin(share)
        self._turns.charge(share, cost)
        self.busy += 1

    def _grant(self) -> None:
        """Give the permits that are free to those who are next."""
        while self._waiting and self.busy < self.workers:
            one = min(self._waiting, key=lambda each: self._turns.rank(each.share, each.since))
            self._waiting.remove(one)
            self._take(one.share, one.cost)
            one.granted = True
            one.changed.notify()

    def _release(self) -> None:
        self.busy -= 1
        self._grant()

    def _make_room(self, share: Share) -> None:
        """Send a waiting request home whose tenant holds more than the newcomer's will, or the newcomer."""
        latest_first = reversed(self._waiting)
        last = max(latest_first, key=lambda one: self._burden(one.share, 0), default=None)
        if last is None or self._burden(last.share, 0) <= self._burden(share, 1):
            raise self._exhausted()
        self._waiting.remove(last)
        last.dropped = True
        last.changed.notify()

    def _reserved(self, share: Share) -> bool:
        """Whether a place of the reserve is free for a tenant: it has to hold little beside another."""
        modest = MODEST * self._held[share.tenant] < max(self._held.values(), default=0)
        return modest and self.in_flight < self.most + self.reserve

    def _burden(self, share: Share, more: int) -> tuple[int, float]:
        """How much of the queue a tenant holds by its weight; lower classes count as more."""
        return share.priority, (self._held[share.tenant] + more) / share.weight

    def _exhausted(self) -> Exhausted:
        at_once = max(self.workers, self._begun)
        error = Exhausted("too many requests are in flight; wait and send again")
        error.retry_after_s = min(LONGEST_WAIT_S, max(0.001, self._mean_s * self.most / at_once / 2))
        return error
