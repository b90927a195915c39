"""Keeps what serves in line with what the store has promoted, without asking it more than it must."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future

import structlog

from cascade.changes import Changes, Key, Stamp
from features.errors import NotFound, SluiceError, Unavailable
from serving.rankers.bring import Bring
from serving.rankers.loader import Urgency
from serving.rankers.lookup import Lookup
from serving.rankers.served import Served, shown
from serving.rankers.standing import Standing
from serving.settings import Rankers

log = structlog.get_logger()


class Follow:
    """Looks at a store; one thread calls `notice` now and then."""

    def __init__(
        self,
        changes: Changes,
        lookup: Lookup,
        standing: Standing,
        bring: Bring,
        options: Rankers,
        clock: Callable[[], float],
    ) -> None:
        self.reachable = True
        self._changes, self._lookup, self._standing, self._bring = changes, lookup, standing, bring
        self._options, self._clock = options, clock
        self._sweep_at = clock()
        self._stamps: dict[Key, Stamp | None] = {}

    def notice(self) -> list[Future[Served]]:
        """Begin to load what the store says has changed; every now and then look at all that serves."""
        told = self._told()
        if told is not None and self._clock() < self._sweep_at:
            ahead = self._options.preload in ("all", "promoted-recent")
            futures = [self.look(key, Urgency.AHEAD) for key in told if ahead or self._standing.wanted(key)]
            return [future for future in futures if future]
        self._sweep_at = self._clock() + self._options.sweep_s
        self._lookup.forget()
        futures = [self.look(key) for key in dict.fromkeys((*self._standing.followed(), *(told or ())))]
        self._tell(self._changes.reachable())
        return [future for future in futures if future]

    def look(self, key: Key, urgency: Urgency = Urgency.CHANGE) -> Future[Served] | None:
        """Compare what serves with what is promoted, and begin to load what differs.

        A change of what serves is always urgent; the store's silence changes nothing.
        """
        stamp = self._changes.stamp(key)
        if self._settled(key, stamp):
            return None
        try:
            version = self._lookup.promoted(key)
        except NotFound:
            version = ""
        except SluiceError as error:
            if not isinstance(error, Unavailable):  # a store out of reach is told of once, by `_tell`
                log.error("promotion_unreadable", ranker=shown(key), exc_info=error)
            return None
        self._stamps[key] = stamp
        return self._turn_to(key, version, urgency)

    def failing(self) -> Mapping[Key, str]:
        """Ranker → its promoted version, where that failed to load and does not serve."""
        wanted = {key: self._standing.wanted(key) for key in self._standing.followed()}
        failures = self._bring.failures
        return {key: version for key, version in wanted.items() if (*key, version) in failures}

    def _told(self) -> tuple[Key, ...] | None:
        try:
            return self._changes.read()
        except OSError:
            return None

    def _settled(self, key: Key, stamp: Stamp | None) -> bool:
        """Whether what should serve does, and nothing has been promoted since."""
        wanted = self._standing.wanted(key)
        same = stamp is not None and stamp == self._stamps.get(key)
        return same and bool(wanted) and self._standing.version(key) == wanted

    def _turn_to(self, key: Key, version: str, urgency: Urgency) -> Future[Served] | None:
        before, serving = self._standing.wanted(key), self._standing.version(key)
        if before != version:
            self._bring.failures.clear((*key, before))
        if not version:
            self._standing.drop(key)
            self._stamps.pop(key, None)
            return None
        self._standing.want(key, version)
        handle = (*key, version)
        if serving == version or self._bring.failures.recent(handle):
            return None
        return self._bring.begin(handle, Urgency.CHANGE if serving else urgency)

    def _tell(self, reachable: bool) -> None:
        if reachable != self.reachable:
            self.reachable = reachable
            (log.info if reachable else log.error)("store_is_back" if reachable else "store_out_of_reach")
