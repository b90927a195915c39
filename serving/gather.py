"""Answers in the order in which they are ready: the engine of RankMany."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from queue import SimpleQueue
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


class _Call:
    """Where one call stands: how many answers are still to come, and whether anybody waits for them."""

    def __init__(self, window: int) -> None:
        self.answers: SimpleQueue[object] = SimpleQueue()
        self.room = threading.Semaphore(window)
        self.over = threading.Event()


_END = object()


def as_finished(
    requests: Iterator[A],
    work: Callable[[A], B],
    pool: Executor,
    window: int,
    on_end: Callable[[Callable[[], None]], object] = lambda _: None,
) -> Iterator[B]:
    """`work` of every request, first come first; at most `window` are read ahead of their answers.

    `work` may not raise. `on_end` is told what to call when the caller leaves, which ends the iteration.

    Raises:
        What `requests` raises, once the requests before it are answered.
    """
    call = _Call(window)
    on_end(lambda: leave(call))
    threading.Thread(target=read, args=(requests, work, pool, window, call), daemon=True).start()
    try:
        while (answer := call.answers.get()) is not _END:
            if isinstance(answer, _Broken):
                raise answer.error
            yield answer  # type: ignore[misc]
    finally:
        leave(call)


class _Broken:
    """The stream of requests has failed."""

    def __init__(self, error: Exception) -> None:
        self.error = error


def leave(call: _Call) -> None:
    """Wake everybody: no further request is begun, no further answer awaited."""
    call.over.set()
    call.room.release()
    call.answers.put(_END)


def read(requests: Iterator[A], work: Callable[[A], B], pool: Executor, window: int, call: _Call) -> None:
    """Hand every request to the pool while there is room, then wait for the last answers."""
    last: object = _END
    try:
        for request in requests:
            call.room.acquire()
            if call.over.is_set():
                return
            pool.submit(one, request, work, call)
    except Exception as error:
        last = _Broken(error)
    for _ in range(window):
        call.room.acquire()
        if call.over.is_set():
            return
    call.answers.put(last)


def one(request: A, work: Callable[[A], B], call: _Call) -> None:
    """One request, unless nobody waits for it any more."""
    if not call.over.is_set():
        call.answers.put(work(request))
    call.room.release()
