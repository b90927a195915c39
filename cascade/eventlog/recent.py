"""The events that a process has lately accepted, so that a repetition is told apart at once."""

import threading
from collections import OrderedDict
from collections.abc import Iterable

Mark = bytes


class Recent:
    """A bounded set of (tenant, fingerprint); the oldest make room. Any thread may use it.

    Only what is on the disk is in here. A repetition of something still on its way is written twice and falls
    out later, so that nobody is told "duplicate" of an event that then fails to be written.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._marks: OrderedDict[tuple[str, Mark], None] = OrderedDict()
        self._lock = threading.Lock()

    def fresh(self, tenant: str, events: Iterable[tuple[bytes, Mark]]) -> dict[Mark, bytes]:
        """Mark → encoded event, for the events that are not in here, each once."""
        found = {mark: encoded for encoded, mark in events}
        with self._lock:
            return {mark: encoded for mark, encoded in found.items() if (tenant, mark) not in self._marks}

    def forget(self, tenant: str) -> None:
        """Remember nothing of a tenant."""
        with self._lock:
            for key in [key for key in self._marks if key[0] == tenant]:
                del self._marks[key]

    def add(self, tenant: str, marks: Iterable[Mark]) -> None:
        """Remember."""
        with self._lock:
            for mark in marks:
                self._marks[(tenant, mark)] = None
            while len(self._marks) > self._most:
                self._marks.popitem(last=False)
