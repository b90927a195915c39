"""The lift monitor: what each stage earns, from the feedback that passes through this process.

Events that are on the disk are handed to a thread of its own, which holds the last pages and sums of constant
size (`cascade.lift.live`). After a restart it begins from nothing: `sluice status` reads the whole log. Where
several processes share the feedback, each counts the clicks on its own pages that come to itself; lifts in
clicks a page are then too low by that share, and relative ones are not.
"""

import threading
from collections.abc import Callable, Sequence
from functools import partial

import structlog

from cascade.eventlog.writer import LogWriter, Receipt
from cascade.events import Event
from cascade.lift.curve import checked
from cascade.lift.facts import Facts, facts_of
from cascade.lift.live import Key, Known, Live
from cascade.lift.verdict import Lift
from features.columns import Doubles
from features.errors import SluiceError
from serving.behind import Behind
from serving.rankers import Source
from serving.settings import Feedback

log = structlog.get_logger()

Batch = tuple[str, Sequence[Event]]
WAITING = 1_000
"""Batches of events that may wait for the thread; one more is not counted."""
TOGETHER = 256
"""Batches that are worked off at a time."""


class Monitor:
    """Hands events to the sums in a thread of its own, so that neither answers nor the log wait for them.

    `known` = None: nothing is monitored.
    """

    def __init__(self, known: Known | None, pages: int) -> None:
        self._live = Live(known, pages) if known else None
        self._behind = Behind("lift", WAITING, self._work, TOGETHER)
        self._working = threading.Lock()
        self.dropped = 0

    def take(self, tenant: str, events: Sequence[Event]) -> None:
        """Events that are on the disk. Any thread may call; none waits."""
        if self._live is not None and not self._behind.offer((tenant, events)):
            self.dropped += 1

    def lifts(self) -> list[tuple[Key, tuple[Lift, ...]]]:
        """Of every version that has pages so far."""
        if self._live is None:
            return []
        with self._working:
            return self._live.lifts()

    @property
    def unmatched(self) -> int:
        """Clicks on pages that are not held (any more, or by this process)."""
        return self._live.unmatched if self._live else 0

    def close(self) -> None:
        """Count what waits, and stop."""
        self._behind.close()

    def _work(self, batches: list[Batch]) -> None:
        """What goes wrong here concerns the monitor alone."""
        assert self._live is not None  # noqa: S101 (`take` hands nothing over without it)
        try:
            with self._working:
                self._live.add(batches)
        except Exception as error:
            log.error("lift_not_counted", exc_info=error)


def monitor_of(store: Source, settings: Feedback) -> Monitor:
    """The monitor of a server.

    Raises:
        InvalidConfig: for declared examination that cannot be right.
    """
    declared = checked(settings.examination, "$.feedback.examination") if settings.examination else None
    curves = partial(known, store, declared)
    return Monitor(curves if settings.lift_pages else None, settings.lift_pages)


def known(store: Source, declared: Doubles | None, key: Key) -> Facts | None:
    """The stages of a version with the declared curve, or else that of its manifest."""
    tenant, ranker, version = key
    try:
        facts = facts_of(store.path(tenant, ranker, version))
    except (OSError, SluiceError) as error:
        log.warning("lift_not_measured", ranker=f"{tenant}/{ranker}", version=version, reason=str(error))
        return None
    if declared is None and facts.curve is None:
        reason = "examination is not known; see `sluice status`, and feedback.examination"
        log.info("lift_not_measured", ranker=f"{tenant}/{ranker}", version=version, reason=reason)
    return Facts(facts.stages, declared if declared is not None else facts.curve)


class WatchedLog(LogWriter):
    """A log writer that tells of what it has brought to the disk."""

    watcher: Callable[[str, Sequence[Event]], None] | None = None

    def append(self, tenant: str, events: Sequence[Event]) -> Receipt:
        """As the log writer does; the watcher is told once the events are durable."""
        receipt, watcher = super().append(tenant, events), self.watcher
        if watcher is not None and events:
            receipt.durable.add_done_callback(
                lambda done: None if done.exception() else watcher(tenant, events)
            )
        return receipt
