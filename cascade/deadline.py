"""What is left of the caller's time. The clock is an argument, so that no test sleeps."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from time import monotonic


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on a monotonic clock, in seconds."""

    at: float = inf
    now: Callable[[], float] = monotonic

    @classmethod
    def after(cls, seconds: float, now: Callable[[], float] = monotonic) -> "Deadline":
        """The deadline that many seconds from now."""
        return cls(now() + seconds, now)

    @property
    def left_s(self) -> float:
        """Seconds left, negative once expired, infinite without a deadline."""
        return self.at - self.now()

    @property
    def expired(self) -> bool:
        """Whether the time is up."""
        return self.left_s <= 0.0


NEVER = Deadline()
