"""What is left of the caller's time. The clock is an argument, so that no test sleeps."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from math import inf
from time import monotonic

from features.fairness import ALONE, Share


def waited_for() -> bool:
    """No caller has gone."""
    return False


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on a monotonic clock, in seconds; and whether the caller has gone before.

    `aside()` is what a request enters while it waits for a model that others use too, so that whoever hands
    out the machine can let another one compute meanwhile. `share` says whose request it is, where tenants
    wait for the same model.
    """

    at: float = inf
    now: Callable[[], float] = monotonic
    cancelled: Callable[[], bool] = waited_for
    aside: Callable[[], AbstractContextManager[object]] = nullcontext
    share: Share = ALONE

    @classmethod
    def after(
        cls, seconds: float, now: Callable[[], float] = monotonic, cancelled: Callable[[], bool] = waited_for
    ) -> "Deadline":
        """The deadline that many seconds from now."""
        return cls(now() + seconds, now, cancelled)

    @property
    def left_s(self) -> float:
        """Seconds left, negative once expired, infinite without a deadline."""
        return self.at - self.now()

    @property
    def expired(self) -> bool:
        """Whether nobody waits any more: the time is up, or the caller has gone."""
        return self.left_s <= 0.0 or self.cancelled()


NEVER = Deadline()
