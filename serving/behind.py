"""Work that follows an answer, done by a thread of its own so that no request waits for it."""

import threading
from collections.abc import Callable
from queue import Empty, Full, Queue
from typing import Generic, TypeVar

T = TypeVar("T")


class Behind(Generic[T]):
    """Hands things to `work`, in order, up to `together` of them at a time.

    The thread begins with the first thing and lasts until `close`.

    Args:
        waiting: things that may wait; `offer` refuses one more.
    """

    def __init__(self, name: str, waiting: int, work: Callable[[list[T]], None], together: int = 1) -> None:
        self._name, self._work, self._together = name, work, together
        self._queue: Queue[T | None] = Queue(waiting)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def offer(self, one: T) -> bool:
        """Whether there was room. Any thread may call; none waits."""
        try:
            self._queue.put_nowait(one)
        except Full:
            return False
        if self._thread is None:
            self._start()
        return True

    def close(self) -> None:
        """Work off what waits, and return."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            thread.join()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            found, ended = self._gathered(first)
            self._work(found)
            if ended:
                return

    def _gathered(self, first: T) -> tuple[list[T], bool]:
        """What waits, up to the limit, and whether the end was among it."""
        found = [first]
        while len(found) < self._together:
            try:
                one = self._queue.get_nowait()
            except Empty:
                return found, False
            if one is None:
                return found, True
            found.append(one)
        return found, False
