"""The catalogue: which loaded ranker answers for a tenant and a name.

What a caller sends is compared with the names that the store lists, and never becomes a path. Rankers are
loaded on first use or ahead of it, in the background, and kept within a budget of bytes. A newly promoted
version is loaded beside the one that serves and then takes its place in one assignment; one that fails its
checks leaves the old one serving.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from dataclasses import replace
from threading import Event
from time import monotonic

import structlog

from cascade.changes import Key
from cascade.deadline import NEVER, Deadline
from cascade.names import DEFAULT, parse_ranker
from features.errors import NotFound, NotReady, SluiceError
from features.fairness import NORMAL
from serving.places import Places
from serving.rankers.ahead import ahead, parse_key
from serving.rankers.bring import Bring, NoRoom, failed_checks
from serving.rankers.follow import Follow
from serving.rankers.held import Held
from serving.rankers.loader import Urgency
from serving.rankers.lookup import Lookup
from serving.rankers.patience import RETRY_AFTER_S, awaited
from serving.rankers.served import Handle, Load, Served, Source, shown
from serving.rankers.standing import Standing
from serving.rankers.weigh import Parts, budget_bytes, by_manifest
from serving.settings import Rankers

log = structlog.get_logger()


class Catalogue:
    """The rankers of a store, as far as they are loaded. Any thread may ask.

    `loaded` is told the outcome of every load (ok, failed, evicted); `base_of` says which ranker stands in
    for a tenant's, "" for the one of the options; `class_of` tells a tenant's priority class; `weigh` says
    what a bundle will hold in memory.
    """

    def __init__(
        self,
        store: Source,
        load: Load,
        *,
        options: Rankers | None = None,
        pinned: int = 4,
        loaded: Callable[[str], None] = lambda _: None,
        base_of: Callable[[str], str] = lambda _: "",
        class_of: Callable[[str], int] = lambda _: NORMAL,
        weigh: Callable[[Source, Handle], Parts] = by_manifest,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.ready = Event()
        self.options = options or Rankers()
        self.held = Held(budget_bytes(self.options.memory_mb))
        self._store, self._base_of, self._class_of = store, base_of, class_of
        self._changes = store.changes()
        self._lookup = Lookup(store, self._changes)
        self._standing = Standing(self.held, pinned)
        self._bring = Bring(store, load, self._standing, self.options.load_threads, loaded, weigh, clock)
        self._follow = Follow(self._changes, self._lookup, self._standing, self._bring, self.options, clock)
        self._patience = Places(
            self.options.waiting, "requests wait for rankers to load; come back shortly", RETRY_AFTER_S
        )

    def get(self, tenant: str, name: str, deadline: Deadline = NEVER) -> Served:
        """The promoted version of a ranker (`name`, empty = default), or the pinned one (`name@version`).

        One that is not loaded yet is waited for until the deadline, or its base answers, as the options say;
        the base answers as well for a default ranker of which nothing is promoted.

        Raises:
            InvalidInput: for what cannot be a name.
            NotFound: for an unknown tenant, ranker or version.
            NotReady: if nothing is promoted, or what is failed its checks, and there is no base.
            Unavailable: if it was not loaded by the deadline, or the store is out of reach.
            Exhausted: if too many requests wait for rankers to load.
        """
        ranker, version = parse_ranker(name)
        key = (tenant, ranker)
        served = self._standing.serving(key)
        if served is not None and version in (None, served.ranker.version):
            return served
        return self._pinned((*key, version), deadline) if version else self._cold(key, deadline)

    def check_tenant(self, tenant: str) -> None:
        """Refuse what is no tenant of the store (see `Lookup.check_tenant` for what it raises)."""
        self._lookup.check_tenant(tenant)

    def failing(self) -> Mapping[Key, str]:
        """Ranker → its promoted version, where that could not be loaded."""
        return self._follow.failing()

    @property
    def reachable(self) -> bool:
        """Whether the store answered when it was last looked at."""
        return self._follow.reachable

    def refresh(self) -> None:
        """Bring what serves in line with what the store says is promoted, and wait until it is."""
        wait(self.notice())
        if not self.ready.is_set():
            self.preload(lambda: False)

    def notice(self) -> list[Future[Served]]:
        """Look at what changed in the store, and begin to load it. Returns the loads."""
        return self._follow.notice()

    def preload(self, stopped: Callable[[], bool]) -> None:
        """Load what the options say should be loaded ahead, as far as it fits, and be ready."""
        window: list[Future[Served]] = []
        for key in ahead(self._store, self._changes, self.options, self._class_of):
            if stopped() or not self.held.has_room:
                break
            future = self._follow.look(key, Urgency.AHEAD)
            window += [future] if future else []
            if len(window) >= 2 * self.options.load_threads:
                wait([window.pop(0)])
        wait(window)
        self.ready.set()

    def _pinned(self, handle: Handle, deadline: Deadline) -> Served:
        """A pinned version, loaded on first use; the least recently used one makes room."""
        if handle not in self.held:
            self._lookup.check_version(handle)
            if self._bring.failures.recent(handle):
                raise failed_checks(handle[2])
        found = self._standing.pinned(handle)
        return found or self._awaited(handle, self._bring.begin(handle, Urgency.REQUEST), deadline)

    def _cold(self, key: Key, deadline: Deadline) -> Served:
        try:
            handle = self._promoted(key)
        except (NotFound, NotReady) as error:
            unknown = isinstance(error, NotFound) and (error.path != "ranker" or key[1] != DEFAULT)
            stand_in = None if unknown else self._stand_in(key, deadline, "cannot serve")
            if stand_in is not None:
                return stand_in
            if unknown or self._base(key) is None:
                raise
            raise type(error)(f"{error.message}; its base did not load either", path=error.path) from None
        begun = self._bring.begin(handle, Urgency.REQUEST)
        waits = begun.done() or self.options.on_cold == "wait"
        stand_in = None if waits else self._stand_in(key, deadline, "is still loading")
        return stand_in or self._awaited(handle, begun, deadline)

    def _promoted(self, key: Key) -> Handle:
        """The version that should serve.

        Raises:
            NotReady: if there is none, or it failed its checks a moment ago.
        """
        self._lookup.check_ranker(key)
        version = self._lookup.promoted(key)
        if not version:
            raise NotReady(f"no version of {key[1]!r} is promoted; run `sluice promote`", path="ranker")
        handle = (*key, version)
        if self._bring.failures.recent(handle):
            raise failed_checks(version)
        self._standing.want(key, version)
        return handle

    def _stand_in(self, key: Key, deadline: Deadline, why: str) -> Served | None:
        """The base's ranker, with a warning that says so; None where there is none that can."""
        base = self._base(key)
        if base is None:
            return None
        try:
            served = self._standing.serving(base) or self._own(base, deadline)
        except SluiceError as error:
            log.error("base_cannot_serve", ranker=shown(key), base=shown(base), exc_info=error)
            return None
        told = f"ranker: {key[1]!r} {why}; its base answered, version {served.ranker.version}"
        return replace(served, warnings=(*served.warnings, told))

    def _base(self, key: Key) -> Key | None:
        """The ranker that stands in for another; None for none, or itself."""
        name = self._base_of(key[0]) or self.options.base
        base = parse_key(name, "$.rankers.base") if name else key
        return None if base == key else base

    def _own(self, key: Key, deadline: Deadline) -> Served:
        """A ranker itself, whatever stands in for it."""
        handle = self._promoted(key)
        return self._awaited(handle, self._bring.begin(handle, Urgency.REQUEST), deadline)

    def _awaited(self, handle: Handle, begun: Future[Served], deadline: Deadline) -> Served:
        """A version once it is loaded."""
        with self._patience.place(handle[0]):
            while True:
                try:
                    return awaited(begun, deadline, f"ranker {handle[1]!r}")
                except NoRoom:  # begun before anybody asked, and given up
                    begun = self._bring.begin(handle, Urgency.REQUEST)
                except SluiceError as error:  # which several requests may be told at once
                    raise type(error)(error.message, path=error.path) from None
