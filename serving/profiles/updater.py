"""The thread that keeps profiles up with the event log: an interaction counts within a second of its
answer."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from cascade.eventlog.layout import home_of
from cascade.events import MICROS
from cascade.profiles.follow import BATCH, advance, agree, resume
from cascade.profiles.rules import Rules
from cascade.profiles.store import ProfileStore
from features.errors import SluiceError
from serving.profiles.metrics import ProfileMetrics

log = structlog.get_logger()

TURN = 8 * BATCH
"""Events of a tenant in one turn: who has more waits until the others had theirs."""

SWEEP_TURNS = 3_600
"""Turns between two sweeps of what has expired."""


class Updater:
    """Follows the logs of the tenants whose rankers read profiles. `turn` may also be called by hand."""

    def __init__(
        self,
        root: Path,
        store: ProfileStore,
        rules: Rules,
        every_s: float,
        metrics: ProfileMetrics,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._root, self._store, self._rules, self._every_s = root, store, rules, every_s
        self._metrics, self._clock = metrics, clock
        self._tenants: dict[str, bool] = {}
        self._told: dict[str, str] = {}
        self._behind = False
        self._lock, self._turning = threading.Lock(), threading.Lock()
        self._stop, self._wake = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, tenant: str) -> None:
        """Follow a tenant's log from now on."""
        if tenant in self._tenants:
            return
        with self._lock:
            self._tenants.setdefault(tenant, False)
            if self._thread is None and not self._stop.is_set():
                self._thread = threading.Thread(target=self._run, name="profiles", daemon=True)
                self._thread.start()
        self._wake.set()

    def turn(self) -> int:
        """Learn the next events of every tenant, `TURN` of each or a few more; how many were learned."""
        with self._turning:
            learned = [self._follow(tenant) for tenant in list(self._tenants)]
            self._behind = max(learned, default=0) >= TURN
            return sum(learned)

    def close(self) -> None:
        """Stop after what is under way."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        turns = 0
        while not self._stop.is_set():
            self._wake.clear()
            self.turn()
            turns += 1
            if turns % SWEEP_TURNS == 0:
                self._sweep()
            if not self._behind:
                self._wake.wait(self._every_s)

    def _follow(self, tenant: str) -> int:
        """One tenant; a failure is counted, logged once, and tried again in the next turn."""
        try:
            learned = self._learn(tenant)
        except Exception as error:
            self._metrics.failures.inc()
            self._tell(tenant, error)
            return 0
        self._told.pop(tenant, None)
        return learned

    def _tell(self, tenant: str, error: Exception) -> None:
        """Log a failure, but not turn after turn."""
        reason = str(error)
        if self._told.get(tenant) != reason:
            self._told[tenant] = reason
            unforeseen = None if isinstance(error, SluiceError | OSError) else error
            log.error("profiles_not_updated", tenant=tenant, reason=reason, exc_info=unforeseen)

    def _learn(self, tenant: str) -> int:
        if not self._tenants[tenant]:
            agree(self._store, tenant, self._rules)
            resume(self._store, tenant)
            self._tenants[tenant] = True
        total = 0
        while total < TURN and not self._stop.is_set():
            learned = advance(home_of(self._root, tenant), self._store, tenant, self._rules, TURN)
            if not learned:
                break
            total += learned
            self._metrics.events.inc(learned)
        return total

    def _sweep(self) -> None:
        try:
            self._store.sweep(int(self._clock() * MICROS))
        except SluiceError as error:
            log.error("profiles_not_swept", reason=str(error))
