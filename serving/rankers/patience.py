"""Requests that wait for a load: so many at a time, each until its deadline."""

from collections.abc import Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from threading import Semaphore
from typing import TypeVar

from cascade.deadline import Deadline
from features.errors import Exhausted, Unavailable

LOOK_S = 0.5
"""A caller that has gone is noticed after this long."""
RETRY_AFTER_S = 0.5

T = TypeVar("T")


class Patience:
    """Places for those who wait, so that cold rankers cannot hold all of a server's threads."""

    def __init__(self, places: int) -> None:
        self._places, self._free = places, Semaphore(places)

    @contextmanager
    def place(self) -> Iterator[None]:
        """One of the places.

        Raises:
            Exhausted: if all are taken.
        """
        if not self._free.acquire(blocking=False):
            error = Exhausted(f"{self._places} requests wait for rankers to load; come back shortly")
            error.retry_after_s = RETRY_AFTER_S
            raise error
        try:
            yield
        finally:
            self._free.release()


def awaited(future: Future[T], deadline: Deadline, what: str) -> T:
    """What a load gives, or raises.

    Raises:
        Unavailable: if it is not there by the deadline; loading goes on.
    """
    while not future.done():
        if deadline.expired:
            raise Unavailable(f"{what} is still loading; try again shortly")
        wait([future], min(LOOK_S, max(deadline.left_s, 0.0)))
    return future.result()
