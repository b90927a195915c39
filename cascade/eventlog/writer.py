"""Appends events for any number of tenants, with one flush to the disk for all that wait (group commit).

Callers hand in events and hold a receipt; one thread writes what has gathered, flushes, and tells them. While
it flushes, the next group gathers: the slower the disk, the larger the groups, and no timer is needed.
"""

import errno
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import structlog

from cascade.eventlog.codec import encode, fingerprint, framed
from cascade.eventlog.layout import ROTATE, home_of
from cascade.eventlog.recent import Recent
from cascade.eventlog.segment import Disk, Segment, open_segment
from cascade.events import MICROS, UNTIMED, Event
from features.errors import Exhausted, SluiceError, Unavailable

log = structlog.get_logger()

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
RETRY_S = 1.0
"""When to send again after the disk was full."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a process writes.

    Attributes:
        segment_bytes, segment_s: a segment is sealed, and can be compacted, beyond this size or age.
        pending_bytes: events that may wait for the disk; more are refused until it has caught up.
        remembered: events whose repetition is noticed at once; older repetitions fall out at the join.
        tenants: segments open at a time.
        tick_s: how often an idle writer looks whether it is time for another segment.
    """

    segment_bytes: int = 32 << 20
    segment_s: float = 60.0
    pending_bytes: int = 64 << 20
    remembered: int = 200_000
    tenants: int = 256
    tick_s: float = 0.5


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of events that were handed in.

    Attributes:
        accepted, duplicate: how many were new, and how many were here before with the same content.
        durable: done once the new ones are on the disk; raises what kept them from it.
    """

    accepted: int
    duplicate: int
    durable: "Future[None]"


@dataclass(slots=True)
class Pending:
    """Events on their way to the disk."""

    tenant: str
    data: bytes
    marks: list[bytes]
    durable: "Future[None]" = field(default_factory=Future)


class LogWriter:
    """One process's way into an event log. Any thread may append."""

    def __init__(
        self,
        root: Path,
        *,
        clock: Callable[[], float],
        new_id: Callable[[], str],
        options: Options | None = None,
        disk: Disk | None = None,
        committed: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.root, self.options = root, options or Options()
        self._clock, self._new_id, self._disk, self._committed = clock, new_id, disk or Disk(), committed
        self._recent = Recent(self.options.remembered)
        self._open: OrderedDict[str, Segment] = OrderedDict()
        self._waiting: list[Pending] = []
        self._bytes, self._closed = 0, False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def append(self, tenant: str, events: Sequence[Event]) -> Receipt:
        """Hand in events of a tenant; those that are `UNTIMED` get the writer's clock.

        Raises:
            InvalidInput: for what cannot be a tenant's name, or an event of more than 64 MiB.
            Exhausted: if too much waits for the disk already.
            Unavailable: once the log is closed.
        """
        home = home_of(self.root, tenant)
        now_us = int(self._clock() * MICROS)
        sent = [marked(event, now_us) for event in events]
        fresh = self._recent.fresh(tenant, sent)
        if len(fresh) < len(events) and not home.is_dir():
            self._recent.forget(tenant)  # the tenant was removed with all that this would be a repetition of
            fresh = self._recent.fresh(tenant, sent)
        pending = Pending(tenant, framed(list(fresh.values())), list(fresh))
        if fresh:
            self._hand_over(pending)
        else:
            pending.durable.set_result(None)
        return Receipt(len(fresh), len(events) - len(fresh), pending.durable)

    def close(self) -> None:
        """Write what waits, seal every segment, and return. A second call does nothing."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _hand_over(self, pending: Pending) -> None:
        with self._changed:
            if self._closed:
                raise Unavailable("the event log is closed; the server ends")
            if self._bytes and self._bytes + len(pending.data) > self.options.pending_bytes:
                raise slow_down("more events wait for the disk than this server holds", 0.1)
            self._bytes += len(pending.data)
            self._waiting.append(pending)
            self._changed.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="event-log", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed, self.options.tick_s)
                group, self._waiting = self._waiting, []
                ending = self._closed and not group
            for tenant in dict.fromkeys(pending.tenant for pending in group):
                self._commit(tenant, [pending for pending in group if pending.tenant == tenant])
            with self._changed:
                self._bytes -= sum(len(pending.data) for pending in group)
            self._turn_over(ending)
            if ending:
                return

    def _commit(self, tenant: str, group: list[Pending]) -> None:
        """One write and one flush for a tenant's events."""
        try:
            self._segment(tenant).append(b"".join(pending.data for pending in group))
        except Exception as error:
            for pending in group:
                pending.durable.set_exception(refusal(error))
            return
        self._committed(len(group))
        for pending in group:
            self._recent.add(tenant, pending.marks)
            pending.durable.set_result(None)

    def _segment(self, tenant: str) -> Segment:
        segment = self._open.get(tenant)
        if segment is None or segment.broken or self._was_removed(tenant):
            self._seal(tenant)
            now_us = int(self._clock() * MICROS)
            segment = open_segment(home_of(self.root, tenant), now_us, self._new_id(), self._disk)
            self._open[tenant] = segment
        self._open.move_to_end(tenant)
        return segment

    def _turn_over(self, every: bool) -> None:
        """Seal the segments that are large, old, asked for, or too many."""
        now_us = int(self._clock() * MICROS)
        spare = len(self._open) - self.options.tenants
        for position, tenant in enumerate([*self._open]):
            if every or position < spare or self._is_due(tenant, now_us):
                self._seal(tenant)

    def _is_due(self, tenant: str, now_us: int) -> bool:
        segment, options = self._open[tenant], self.options
        if self._was_removed(tenant):
            return True
        if segment.size >= options.segment_bytes or now_us - segment.created_us >= options.segment_s * MICROS:
            return True
        return asked_at(home_of(self.root, tenant)) >= segment.made_at

    def _was_removed(self, tenant: str) -> bool:
        """Whether a tenant's events were removed with the segment that is open; then none is remembered."""
        gone = self._open[tenant].is_gone
        if gone:
            self._recent.forget(tenant)
        return gone

    def _seal(self, tenant: str) -> None:
        segment = self._open.pop(tenant, None)
        if segment is None:
            return
        try:
            segment.seal()
        except OSError as error:  # an empty file stays behind, or one more descriptor: no reason to stop
            log.error("segment_not_sealed", tenant=tenant, exc_info=error)


def marked(event: Event, now_us: int) -> tuple[bytes, bytes]:
    """An encoded event with its time, and what tells whether it was seen before: a fingerprint of what was
    sent, so that one sent again without a time is the same."""
    encoded = encode(event)
    mark = fingerprint(encoded)
    if event.time_us == UNTIMED:
        encoded = encode(msgspec.structs.replace(event, time_us=now_us))
    return encoded, mark


def asked_at(home: Path) -> int:
    """When writers were last asked for a new segment, in the file system's nanoseconds; 0 = never."""
    try:
        return (home / ROTATE).stat().st_mtime_ns
    except OSError:
        return 0


def ask(home: Path) -> None:
    """Ask every process that writes for this tenant to go on in a new segment; they do within a tick."""
    (home / ROTATE).touch()


def refusal(error: Exception) -> SluiceError:
    """What a caller is told: nothing it sent with this group has been accepted."""
    if isinstance(error, OSError) and error.errno in FULL:
        return slow_down("the event log's disk is full; nothing of this call was accepted", RETRY_S)
    reason = error.strerror if isinstance(error, OSError) else type(error).__name__
    return Unavailable(f"the event log cannot be written ({reason}); nothing of this call was accepted")


def slow_down(message: str, retry_after_s: float) -> Exhausted:
    """An error that says when to come back."""
    error = Exhausted(message)
    error.retry_after_s = retry_after_s
    return error
