"""The catalogue: which loaded ranker answers for a tenant and a name.

What a caller sends is compared with the names that the store lists, and never becomes a path. A newly
promoted version is loaded beside the one that serves and then takes its place in one assignment; one that
fails its checks leaves the old one serving.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import NoReturn, Protocol

import structlog

from cascade.names import check_name, parse_ranker
from cascade.promotion import Promotion
from cascade.ranker import Ranker
from features.errors import NotFound, NotReady, SluiceError, Unavailable
from serving.convert import Reads, reads_of

log = structlog.get_logger()

Key = tuple[str, str]
Load = Callable[[Path, str], Ranker]

RETRY_S = 30.0
"""A bundle that failed its checks is looked at again after this long: someone may have mended it."""


class Source(Protocol):
    """What of `cascade.store.Store` serving reads."""

    def tenants(self) -> tuple[str, ...]: ...

    def rankers(self, tenant: str) -> tuple[str, ...]: ...

    def versions(self, tenant: str, ranker: str) -> tuple[str, ...]: ...

    def promotion(self, tenant: str, ranker: str) -> Promotion: ...

    def path(self, tenant: str, ranker: str, version: str | None = None) -> Path: ...


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """A loaded ranker with the columns that it reads, by name."""

    ranker: Ranker
    reads: Reads


class Catalogue:
    """The rankers of a store that are loaded. Any thread may ask; loads happen one at a time."""

    def __init__(
        self,
        store: Source,
        load: Load,
        *,
        pinned: int = 4,
        loaded: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.ready = threading.Event()
        self._store, self._load, self._loaded, self._clock = store, load, loaded, clock
        self._most_pinned = pinned
        self._serving: dict[Key, Served] = {}
        self._failed: dict[Key, tuple[str, float]] = {}
        self._pinned: OrderedDict[tuple[str, str, str], Served] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, tenant: str, name: str) -> Served:
        """The promoted version of a ranker (`name`, empty = default), or the pinned one (`name@version`).

        Raises:
            InvalidInput: for what cannot be a name.
            NotFound: for an unknown tenant, ranker or version.
            NotReady: if nothing is promoted, or what is failed its checks.
            Unavailable: while rankers still load.
        """
        ranker, version = parse_ranker(name)
        served = self._serving.get((tenant, ranker))
        if served is not None and version in (None, served.ranker.version):
            return served
        self._check_known(tenant, ranker)
        return self._pin(tenant, ranker, version) if version else self._first_use(tenant, ranker)

    def refresh(self) -> None:
        """Bring what serves in line with what the store says is promoted."""
        wanted = [
            (tenant, ranker) for tenant in self._store.tenants() for ranker in self._store.rankers(tenant)
        ]
        with self._lock:
            promoted = {key: self._promoted(key) for key in wanted}
            self._serving = {key: served for key, served in self._serving.items() if promoted.get(key)}
            for key, version in promoted.items():
                if version:
                    self._swap(key, version)
        self.ready.set()

    def _promoted(self, key: Key) -> str:
        """The promoted version ("" = none); the one that serves where the store cannot tell."""
        try:
            return self._store.promotion(*key).version
        except (OSError, SluiceError) as error:
            log.error("promotion_unreadable", ranker="/".join(key), exc_info=error)
            served = self._serving.get(key)
            return served.ranker.version if served else ""

    def _swap(self, key: Key, version: str) -> None:
        served = self._serving.get(key)
        failed, again_at = self._failed.get(key, ("", 0.0))
        if (served and served.ranker.version == version) or (failed == version and self._clock() < again_at):
            return
        try:
            made = self._make(*key, version)
        except Exception as error:
            self._failed[key] = (version, self._clock() + RETRY_S)
            self._loaded("failed")
            kept = served.ranker.version if served else None
            log.error(
                "load_failed", ranker="/".join(key), version=version, still_serving=kept, exc_info=error
            )
            return
        self._failed.pop(key, None)
        self._serving = {**self._serving, key: made}
        self._loaded("ok")
        log.info("serving", ranker="/".join(key), version=version)

    def _make(self, tenant: str, ranker: str, version: str) -> Served:
        made = self._load(self._store.path(tenant, ranker, version), ranker)
        return Served(made, reads_of(made.inputs))

    def check_tenant(self, tenant: str) -> None:
        """Refuse what is no tenant of the store; one that serves is known without asking.

        Raises:
            InvalidInput: for what cannot be a name.
            NotFound: for an unknown tenant.
            Unavailable: while rankers still load.
        """
        if any(tenant == served for served, _ in self._serving):
            return
        check_name(tenant, "tenant")
        if not self.ready.is_set():
            raise Unavailable("rankers are still loading; try again shortly")
        if tenant not in self._store.tenants():
            raise NotFound(f"no tenant {tenant!r}", path="tenant")

    def _check_known(self, tenant: str, ranker: str) -> None:
        self.check_tenant(tenant)
        there = self._store.rankers(tenant)
        if ranker not in there:
            raise NotFound(f"no ranker {ranker!r}; there are {', '.join(there) or 'none'}", path="ranker")

    def _first_use(self, tenant: str, ranker: str) -> Served:
        """The ranker of a version promoted since the last refresh."""
        version = self._promoted((tenant, ranker))
        if not version:
            raise NotReady(f"no version of {ranker!r} is promoted; run `sluice promote`", path="ranker")
        with self._lock:
            self._swap((tenant, ranker), version)
        return self._serving.get((tenant, ranker)) or failed_checks(version)

    def _pin(self, tenant: str, ranker: str, version: str) -> Served:
        """A pinned version, loaded on first use; the least recently used one makes room."""
        key = (tenant, ranker, version)
        with self._lock:
            if key not in self._pinned:
                if version not in self._store.versions(tenant, ranker):
                    raise NotFound(f"no version {version!r} of {ranker!r}", path="ranker")
                self._pinned[key] = self._try(tenant, ranker, version)
            self._pinned.move_to_end(key)
            while len(self._pinned) > self._most_pinned:
                self._pinned.popitem(last=False)
            return self._pinned[key]

    def _try(self, tenant: str, ranker: str, version: str) -> Served:
        try:
            return self._make(tenant, ranker, version)
        except Exception as error:
            log.error("load_failed", ranker=f"{tenant}/{ranker}", version=version, exc_info=error)
            failed_checks(version)


def failed_checks(version: str) -> NoReturn:
    """Tell a caller no more than that: the reason may name files of this machine."""
    raise NotReady(f"version {version} failed its checks; the server's log says why", path="ranker")


class Watch:
    """A thread that refreshes a catalogue now and then, so that a promotion serves within seconds."""

    def __init__(self, catalogue: Catalogue, every_s: float, on_ready: Callable[[], None]) -> None:
        self._catalogue, self._every_s, self._on_ready = catalogue, every_s, on_ready
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rankers", daemon=True)

    def start(self) -> None:
        """Load what is promoted, then keep watching."""
        self._thread.start()

    def stop(self) -> None:
        """Watch no longer. A load under way is left to the end of the process."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._turn()
            self._stop.wait(self._every_s)

    def _turn(self) -> None:
        was_ready = self._catalogue.ready.is_set()
        try:
            self._catalogue.refresh()
        except (OSError, SluiceError) as error:
            log.error("store_out_of_reach", exc_info=error)
        if self._catalogue.ready.is_set() and not was_ready:
            self._on_ready()
