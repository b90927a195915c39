"""Runs the pairs of all requests through one model session: a queue of pairs, not of requests.

A few worker threads take micro-batches out of the queue (`queue.py`; `planning.py` says which) and run them
on the shared session. A request's own thread makes its pairs, a window at a time, while workers run those
before, and waits. Between two batches, and between two parts of one with long pairs or a large model,
requests that are expired or cancelled leave the queue, and one that was served less goes first.

It serves any graph that gives a row a pair: `score` is `[B]`, `vector` is `[B, d]`.
"""

import atexit
import os
from collections.abc import Callable, Iterable, Sequence
from threading import RLock
from time import perf_counter
from weakref import WeakSet, WeakValueDictionary, finalize

from features.transformer.packed import Pair
from features.transformer.queue import Queue
from features.transformer.session import Session, cores
from features.transformer.ticket import Done, Infer, Limit, Ticket

BATCH_TOKENS = 512
JOIN_S = 2.0
"""How long the end of the process waits for a batch that is being run."""


class Scheduler:
    """One a session, shared by every stage that runs it; safe among threads.

    Args:
        infer: runs a micro-batch. It is called on several threads at once, and calls its `pause` in between.
        workers: how many threads call it; 0 = one a core.
        clock: seconds, for what is told of waiting.
    """

    def __init__(self, infer: Infer, workers: int = 0, clock: Callable[[], float] = perf_counter) -> None:
        self.queue = Queue(infer, workers or cores(), clock)
        QUEUES.add(self.queue)
        self.close = finalize(self, self.queue.close)

    def run(self, windows: Iterable[Sequence[Pair]], limit: Limit, batch_tokens: int = BATCH_TOKENS) -> Done:
        """Run a request's pairs; returns when all are done or the request is over.

        Args:
            windows: the pairs in the order of their importance, some at a time. They are asked for in the
                calling thread, only as fast as they are run.
            limit: until when; what waits then is dropped, what is being run is not waited for.
            batch_tokens: cells (pairs × padded width) of a micro-batch.

        Raises:
            NotReady: if the scheduler was closed.
            Exception: the model's, where nothing but errors came of the pairs.
        """
        queue = self.queue
        ticket = queue.enter(limit, batch_tokens)
        try:
            whole = self._fed(ticket, windows) and queue.wait(ticket, lambda: ticket.finished)
        finally:
            queue.leave(ticket)
        with queue.lock:  # a batch that is still being run may be delivered at any time
            return ticket.done(late=not whole)

    def _fed(self, ticket: Ticket, windows: Iterable[Sequence[Pair]]) -> bool:
        """Offer every window once there is room for it; False if the request is over before."""
        waiting = ticket.waiting
        if ticket.limit.expired:
            return False
        for pairs in windows:
            self.queue.offer(ticket, pairs)
            if not self.queue.wait(ticket, lambda: waiting.count <= waiting.ahead):
                return False
        return True


QUEUES: WeakSet[Queue] = WeakSet()


def _after_fork() -> None:
    """Threads do not survive a fork: a child starts its own."""
    for queue in list(QUEUES):
        queue.reset()


def _at_exit() -> None:
    """Let no worker run native code while the interpreter goes down."""
    for queue in list(QUEUES):
        queue.close()
        for thread in queue.threads:
            thread.join(JOIN_S)


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Schedulers:
    """Schedulers by session, alive as long as a stage holds them."""

    def __init__(self, workers: int = 0) -> None:
        self.workers = workers
        self.lock = RLock()
        self.open: WeakValueDictionary[int, Scheduler] = WeakValueDictionary()

    def of(self, session: Session, infer: Infer) -> Scheduler:
        """The scheduler of an open model; `infer` runs it, and must hold it."""
        with self.lock:
            found = self.open.get(id(session))
            if found is None:
                found = self.open[id(session)] = Scheduler(infer, self.workers or workers_for(session))
        return found


def workers_for(session: Session) -> int:
    """As many as the session's own threads leave cores for."""
    threads = int(session.options.intra_op_num_threads)
    return max(1, cores() // max(1, threads))


SCHEDULERS = Schedulers()
"""The process's schedulers. Whoever starts the process may set their `workers` before anything is loaded."""
