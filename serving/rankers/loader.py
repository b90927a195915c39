"""Loads in the background: each thing once, the urgent ones first, and every tenant in its turn.

Threads come with the work and go when there is none. Whoever waits for a load waits for that one alone: one
that fails, or takes long, holds up no other as long as a thread is free.
"""

import heapq
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from enum import IntEnum
from itertools import count
from threading import Condition, Thread
from typing import Generic, TypeVar

from serving.rankers.served import Handle

T = TypeVar("T")


class Urgency(IntEnum):
    """Why something is loaded, the most urgent first."""

    REQUEST = 0
    """Somebody waits for it."""
    CHANGE = 1
    """It takes the place of what serves."""
    AHEAD = 2
    """Somebody may ask for it."""


class Job(Generic[T]):
    """One load."""

    def __init__(self, handle: Handle, work: Callable[[], T]) -> None:
        self.handle, self.work = handle, work
        self.future: Future[T] = Future()
        self.begun = False


class Loader(Generic[T]):
    """A queue of loads and the threads that empty it."""

    def __init__(self, threads: int) -> None:
        self._most, self._running = threads, 0
        self._jobs: dict[Handle, Job[T]] = {}
        self._queue: list[tuple[int, int, int, Job[T]]] = []
        self._waiting: Counter[str] = Counter()
        self._order = count()
        self._lock = Condition()

    def want(self, handle: Handle, work: Callable[[], T], urgency: Urgency) -> Future[T]:
        """What loading gives, now or later; a load that is under way already is not begun again.

        Among equally urgent loads, a tenant's second one comes after everybody's first.
        """
        with self._lock:
            job = self._jobs.get(handle)
            if job is None:
                job = self._jobs[handle] = Job(handle, work)
            if not job.begun:
                turn = self._waiting[handle[0]]
                self._waiting[handle[0]] += 1
                heapq.heappush(self._queue, (urgency, turn, next(self._order), job))
                self._staff()
            return job.future

    def _staff(self) -> None:
        if self._running < self._most:
            self._running += 1
            Thread(target=self._work, name="loader", daemon=True).start()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            self._run(job)
            del job  # or the next load would keep what this one made

    def _run(self, job: Job[T]) -> None:
        try:
            made = job.work()
        except BaseException as error:
            self._forget(job)
            job.future.set_exception(error)
        else:
            self._forget(job)
            job.future.set_result(made)

    def _next(self) -> Job[T] | None:
        with self._lock:
            while self._queue:
                *_, job = heapq.heappop(self._queue)
                self._waiting[job.handle[0]] -= 1
                if not self._waiting[job.handle[0]]:
                    del self._waiting[job.handle[0]]
                if not job.begun:  # a load that became urgent stands in the queue twice
                    job.begun = True
                    return job
            self._running -= 1
            return None

    def _forget(self, job: Job[T]) -> None:
        with self._lock:
            del self._jobs[job.handle]
