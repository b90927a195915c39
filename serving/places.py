"""Places for calls that hold something for as long as they last. Nobody alone takes the last quarter, so that
whoever comes next finds one: from four places on; of fewer, one caller may take all."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from features.errors import Exhausted


class Places:
    """So many places, for any thread.

    Args:
        places: how many.
        what: who takes them and what to do when they are full, for the caller: it stands behind a number.
        retry_after_s: when a caller who found none may come back.
    """

    def __init__(self, places: int, what: str, retry_after_s: float = Exhausted.retry_after_s) -> None:
        self._places, self._each = places, places - places // 4
        self._what, self._retry_after_s = what, retry_after_s
        self._held: Counter[str] = Counter()
        self._lock = Lock()

    @contextmanager
    def place(self, holder: str) -> Iterator[None]:
        """One place for a holder: a tenant, or what else is known of a caller.

        Raises:
            Exhausted: if all are taken, or the holder has its part.
        """
        with self._lock:
            self._check(holder)
            self._held[holder] += 1
        try:
            yield
        finally:
            with self._lock:
                self._held[holder] -= 1
                if not self._held[holder]:
                    del self._held[holder]

    def _check(self, holder: str) -> None:
        if self._held.total() >= self._places:
            text = f"{self._places} {self._what}"
        elif self._held[holder] >= self._each:
            text = f"{self._each} of your {self._what}"
        else:
            return
        error = Exhausted(text)
        error.retry_after_s = self._retry_after_s
        raise error
