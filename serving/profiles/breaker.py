"""A circuit breaker: after some failures in a row the store is left alone for a while.

Closed: every call goes through. Open: none does until the rest is over. Then one call tries; if it fails, the
rest is twice as long (Nygard, "Release It!", 2007).
"""

import threading
from collections.abc import Callable
from time import monotonic


class Breaker:
    """Any thread may ask.

    Args:
        most: failures in a row after which it opens.
        rest_s, longest_s: how long it stays open at first, and at most.
    """

    def __init__(
        self,
        most: int = 3,
        rest_s: float = 1.0,
        longest_s: float = 30.0,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._most, self._rest_s, self._longest_s, self._clock = most, rest_s, longest_s, clock
        self._failures, self._until = 0, 0.0
        self._lock = threading.Lock()

    def allows(self) -> bool:
        """Whether to call. While it is open, the first to ask after the rest tries for all."""
        with self._lock:
            if self._failures < self._most:
                return True
            if self._clock() < self._until:
                return False
            self._until = self._clock() + self._rest()
            return True

    def succeeded(self) -> None:
        """A call went well."""
        with self._lock:
            self._failures = 0

    def failed(self) -> None:
        """A call failed."""
        with self._lock:
            self._failures += 1
            self._until = self._clock() + self._rest()

    def _rest(self) -> float:
        doublings = min(max(0, self._failures - self._most), 20)
        return min(self._longest_s, self._rest_s * 2.0**doublings)
