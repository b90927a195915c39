"""Versions that could not be loaded: tried again after a while, and shown to operators."""

from collections.abc import Callable
from threading import Lock

from serving.rankers.served import Handle

RETRY_S = 30.0
"""A bundle that failed its checks is looked at again after this long: someone may have mended it."""


class Failures:
    """When each version that failed may be tried again. Safe among threads."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._again_at: dict[Handle, float] = {}
        self._lock = Lock()

    def note(self, handle: Handle) -> None:
        """A version failed just now."""
        with self._lock:
            self._again_at[handle] = self._clock() + RETRY_S

    def clear(self, handle: Handle) -> None:
        """It has been loaded, or nobody wants it any more."""
        with self._lock:
            self._again_at.pop(handle, None)

    def recent(self, handle: Handle) -> bool:
        """Whether a version failed so recently that it is not tried again yet."""
        return self._clock() < self._again_at.get(handle, -1.0)

    def __contains__(self, handle: Handle) -> bool:
        return handle in self._again_at
