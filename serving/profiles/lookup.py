"""What a request comes to know of behaviour. A ranking never fails for want of it: it goes on without, and
says so."""

import threading
from collections.abc import Callable
from dataclasses import replace
from time import perf_counter

import msgspec
import structlog

from cascade.profiles.follow import agree
from cascade.profiles.join import Wanted, look_up
from cascade.profiles.rules import Rules
from cascade.profiles.store import ProfileStore
from features.errors import Exhausted, InvalidInput, SluiceError, Unavailable
from serving.convert import Reads, Work
from serving.profiles.breaker import Breaker
from serving.profiles.metrics import ProfileMetrics
from serving.profiles.updater import Updater

log = structlog.get_logger()

NONE = "profiles: this server keeps none; behaviour features are missing"
LEFT_ALONE = "profiles: they cannot be read; behaviour features are missing"
OF_THE_STORE = (Unavailable, Exhausted, OSError)
"""Failures for which the store is left alone for a while."""


class Personal:
    """The profiles of a server, opened when the first request wants some.

    Args:
        open_store: opens the store; None = this server keeps none.
        follow: makes the updater of an opened store; None = no event log to learn from.
        breaker: makes a tenant's circuit breaker: one whose requests are too large for the store's timeout
            turns off nobody else's profiles.
    """

    def __init__(
        self,
        open_store: Callable[[], ProfileStore] | None,
        follow: Callable[[ProfileStore], Updater] | None,
        rules: Rules,
        metrics: ProfileMetrics,
        breaker: Callable[[], Breaker] = Breaker,
    ) -> None:
        self._open, self._make_updater, self._rules, self._metrics = open_store, follow, rules, metrics
        self._make_breaker = breaker
        self._breakers: dict[str, Breaker] = {}
        self._lock = threading.Lock()
        self._agreed: set[str] = set()
        self._store: ProfileStore | None = None
        self.updater: Updater | None = None

    def joined(self, tenant: str, reads: Reads, work: Work) -> Work:
        """The work with the behaviour columns that its ranker reads and the request has not sent."""
        batch = work.request.batch
        wanted = Wanted.of(name for name in reads if name not in batch.columns)
        if not wanted or not len(batch):
            return work
        if self._open is None:
            return without(work, NONE)
        breaker = self._breaker(tenant)
        if not breaker.allows():
            self._metrics.reads.labels("skipped").inc()
            return without(work, LEFT_ALONE)
        start = perf_counter()
        try:
            made = look_up(self._opened(tenant), tenant, batch, wanted, self._rules)
        except InvalidInput:
            raise
        except (SluiceError, msgspec.MsgspecError, OSError) as error:
            return without(work, self._failed(error, breaker))
        breaker.succeeded()
        self._metrics.reads.labels("ok").inc()
        self._metrics.read_time.observe(perf_counter() - start)
        return replace(work, request=replace(work.request, batch=made))

    def close(self) -> None:
        """Stop learning, and let go of the store."""
        with self._lock:
            store, self._open = self._store, None
        if self.updater is not None:
            self.updater.close()
        if store is not None:
            store.close()

    def _opened(self, tenant: str) -> ProfileStore:
        with self._lock:
            if self._store is None:
                if self._open is None:
                    raise SluiceError("the server ends")
                self._store = self._open()
                self.updater = self._make_updater(self._store) if self._make_updater else None
        if tenant not in self._agreed:
            agree(self._store, tenant, self._rules)
            self._agreed.add(tenant)
        if self.updater is not None:
            self.updater.watch(tenant)
        return self._store

    def _breaker(self, tenant: str) -> Breaker:
        return self._breakers.get(tenant) or self._breakers.setdefault(tenant, self._make_breaker())

    def _failed(self, error: Exception, breaker: Breaker) -> str:
        """What to tell; a store that answers, but with what nobody can use, is not left alone."""
        if isinstance(error, OF_THE_STORE):
            breaker.failed()
        else:
            breaker.succeeded()
        self._metrics.reads.labels("failed").inc()
        log.error("profiles_not_read", reason=str(error))
        return LEFT_ALONE


def without(work: Work, why: str) -> Work:
    """The work as it is, with a warning."""
    return replace(work, warnings=(*work.warnings, why), degraded=True)
