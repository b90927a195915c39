"""Tenants' document tables beside the requests: opened on first use, joined by id, followed as they
change."""

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from threading import Lock
from time import monotonic

import structlog

from cascade.documents import Table, open_table
from cascade.documents.notes import CURRENT
from cascade.documents.writer import home_of
from cascade.store import DirectoryStore
from features.columns import Column
from features.errors import InvalidInput, SluiceError, Unavailable
from serving.convert import Joined, Reads, as_read
from serving.observe import Metrics
from serving.rankers import RETRY_S, Source
from serving.settings import Documents

log = structlog.get_logger()

BROKEN = "documents: the tenant's document table cannot be read; send all columns"


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """What is known of a tenant's table: as of which file, when to look again, and what came of opening
    it; what could not be read is tried again at `again_at`, though the file be the same."""

    stamp: tuple[int, int, int]
    look_at: float
    table: Table | None = None
    broken: bool = False
    again_at: float = inf


class Tables:
    """The open tables of a process. Any thread may ask; a tenant's table is opened by one of them."""

    def __init__(
        self,
        store: Path | None,
        settings: Documents,
        opened: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._store, self._settings, self._opened, self._clock = store, settings, opened, clock
        self._held: OrderedDict[str, Opened] = OrderedDict()
        self._opening: defaultdict[str, Lock] = defaultdict(Lock)
        self._lock = Lock()

    def join(self, tenant: str, ids: Sequence[str], wanted: Reads) -> Joined:
        """Those of the wanted columns that the tenant's table has, a row an id.

        A document that is not in the table is missing in all of them; a warning says how many are.
        """
        if self._store is None or not wanted or not ids:
            return {}, ()
        held = self._of(self._store, tenant)
        told = (BROKEN,) if held.broken else ()
        if held.table is None:
            return {}, told
        columns, warnings = join(held.table, ids, wanted)
        return columns, told + warnings

    def _of(self, store: Path, tenant: str) -> Opened:
        held = self._held.get(tenant)
        if held is None or self._clock() >= held.look_at:
            with self._lock:
                opening = self._opening[tenant]
            with opening:
                held = self._held.get(tenant)
                if held is None or self._clock() >= held.look_at:
                    held = self._looked(home_of(store, tenant), tenant, held)
                    self._hold(tenant, held)
        return held

    def _looked(self, home: Path, tenant: str, before: Opened | None) -> Opened:
        """The table as it is now; one that cannot be read leaves the one before in use."""
        now = self._clock()
        stamp, look_at = stamp_of(home), now + self._settings.check_s
        if before is not None and before.stamp == stamp and now < before.again_at:
            return replace(before, look_at=look_at)
        try:
            table = reached(home)
        except (OSError, SluiceError) as error:
            log.error("documents_unreadable", tenant=tenant, exc_info=error)
            self._opened("failed")
            kept = before.table if before else None
            return Opened(stamp, look_at, kept, broken=True, again_at=now + RETRY_S)
        if table is not None:
            self._opened("ok")
            log.info("documents", tenant=tenant, rows=len(table), written=table.notes.written)
        return Opened(stamp, look_at, table)

    def _hold(self, tenant: str, opened: Opened) -> None:
        """Keep what was found; the tables that were opened longest ago make room."""
        with self._lock:
            self._held[tenant] = opened
            self._held.move_to_end(tenant)
            while len(self._held) > self._settings.open:
                self._held.popitem(last=False)


def tables_of(store: Source, settings: Documents, metrics: Metrics) -> Tables:
    """The tables of a store; only a directory has any."""
    root = store.root if isinstance(store, DirectoryStore) else None
    return Tables(root, settings, lambda outcome: metrics.tables.labels(outcome).inc())


def reached(home: Path) -> Table | None:
    """The table in a folder; None where there is none.

    Raises:
        Unavailable: if not even the tenant's folder is there: an unmounted disk looks like a store that is
            empty.
        And what `open_table` raises.
    """
    if not home.parent.is_dir():
        raise Unavailable(f"the store is out of reach: {home.parent} is not there")
    return open_table(home)


def stamp_of(home: Path) -> tuple[int, int, int]:
    """Another one for every table; zeros where there is none."""
    try:
        found = (home / CURRENT).stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_size, found.st_mtime_ns)


def join(table: Table, ids: Sequence[str], wanted: Reads) -> Joined:
    """See `Tables.join`."""
    there = {name: kinds for name, kinds in wanted.items() if name in table.columns}
    if not there:
        return {}, ()
    found = table.find(ids)
    columns: dict[str, Column] = {}
    told: list[str] = []
    if found.unknown:
        told.append(f"documents: {found.unknown} of {len(ids)} ids are not in the document table")
    for name, kinds in there.items():
        try:
            columns[name] = as_read(table.column(name, found), kinds)
        except InvalidInput as error:
            told.append(f"documents: {name}: {error.message}; missing for every candidate")
    return columns, tuple(told)
