"""Who may compute: a bounded number of requests in flight, of which as many compute as there are workers.

A request that waits holds a thread and nothing else; one that finds the queue full is told at once when to
come back, because an answer after its deadline helps nobody. Whoever waits for a model that all requests
share computes nothing, so that his permit goes to the next one: what the model runs first, its own scheduler
decides (`features/transformer/scheduler.py`), and it can favour only requests that it knows of.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from cascade.deadline import Deadline
from features.errors import Exhausted, OutOfTime

SMOOTHING = 0.05
"""Weight of the newest request in the mean service time."""
LONGEST_WAIT_S = 5.0


class Admission:
    """Permits of a server."""

    def __init__(self, workers: int, queue: int, mean_s: float = 0.01) -> None:
        self.workers = workers
        self.most = workers + queue
        self.in_flight = 0
        self.busy = self._begun = 0
        self._mean_s = mean_s
        self._lock = threading.Lock()
        self.freed = threading.Condition(self._lock)

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Count a request as in flight while it is.

        Raises:
            Exhausted: if too many are, with the time in which about half of them will be done.
        """
        with self._lock:
            if self.in_flight >= self.most:
                raise self._exhausted()
            self.in_flight += 1
        try:
            yield
        finally:
            with self._lock:
                self.in_flight -= 1

    @contextmanager
    def computing(self, deadline: Deadline) -> Iterator[None]:
        """Hold one of the workers' permits.

        Raises:
            OutOfTime: if none came free before the deadline.
        """
        left = deadline.left_s
        endless = left > threading.TIMEOUT_MAX  # a call without a deadline has some centuries left
        with self.freed:
            if not self.freed.wait_for(lambda: self.busy < self.workers, None if endless else max(left, 0.0)):
                raise OutOfTime("the deadline passed while the request waited for a worker")
            self.busy += 1
            self._begun += 1
        start = perf_counter()
        try:
            yield
        finally:
            with self.freed:
                self._begun -= 1
                self._mean_s += SMOOTHING * (perf_counter() - start - self._mean_s)
                self._release()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Give the permit that `computing` holds to another request for as long as this one waits.

        It is taken back without waiting, over the number if need be: what a model has made must not be lost
        to the deadline at the very end.
        """
        with self.freed:
            self._release()
        try:
            yield
        finally:
            with self.freed:
                self.busy += 1

    def _release(self) -> None:
        self.busy -= 1
        self.freed.notify()

    def _exhausted(self) -> Exhausted:
        at_once = max(self.workers, self._begun)
        error = Exhausted(f"{self.in_flight} requests are in flight; wait and send again")
        error.retry_after_s = min(LONGEST_WAIT_S, max(0.001, self._mean_s * self.most / at_once / 2))
        return error
