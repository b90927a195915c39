"""Requests that wait for a load, each until its deadline."""

from concurrent.futures import Future, wait
from typing import TypeVar

from cascade.deadline import Deadline
from features.errors import Unavailable

LOOK_S = 0.5
"""A caller that has gone is noticed after this long."""
RETRY_AFTER_S = 0.5

T = TypeVar("T")


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
