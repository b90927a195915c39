"""Embedded profile stores: LMDB beside SQLite, reading and changing some of 200,000 small values.

SQLite is as good as we could make it: a write-ahead log, a table without row ids, a thousand keys a query,
its pages mapped into memory. Both flush every change to the disk. Contestants take turns on keys drawn anew.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from benchmarks.harness import Row, interleaved
from cascade.profiles.lmdb_store import LmdbProfiles
from cascade.profiles.store import Change, Changes, Entry, Key, Values

SHORT = False
ITEMS, ROUNDS, SEED = 200_000, 11, 3
READ, CHANGED = (100, 1_000, 10_000), (20, 200, 2_000)
TENANT, VALUE = "shop", bytes(range(136))
AT_A_TIME = 1_000


class SqliteProfiles:
    """The contract of a profile store over SQLite, as far as this needs it."""

    def __init__(self, file: Path) -> None:
        self._db = sqlite3.connect(file, isolation_level=None)
        for pragma in (
            "journal_mode = wal",
            "synchronous = full",
            "cache_size = -65536",
            f"mmap_size = {1 << 30}",
        ):
            self._db.execute(f"pragma {pragma}")
        self._db.execute(
            "create table kept (key blob primary key, value blob, expires integer) without rowid"
        )

    def read(self, tenant: str, keys: Sequence[Key]) -> Values:  # noqa: ARG002
        """The values of some keys."""
        found: dict[bytes, bytes] = {}
        for start in range(0, len(keys), AT_A_TIME):
            some = keys[start : start + AT_A_TIME]
            marks = ",".join("?" * len(some))
            found.update(self._db.execute(f"select key, value from kept where key in ({marks})", some))
        return [found.get(key) for key in keys]

    def update(self, tenant: str, keys: Sequence[Key], change: Change) -> bool:
        """Change some keys."""
        self._db.execute("begin immediate")
        changes = change(self.read(tenant, keys)) or {}
        rows = [(key, entry.value, entry.expires_us) for key, entry in changes.items() if entry]
        self._db.executemany("insert or replace into kept values (?, ?, ?)", rows)
        self._db.execute("commit")
        return True


def run() -> Iterator[Row]:
    """Fill both, then read and change."""
    keys = [b"item:%d" % number for number in range(ITEMS)]
    with TemporaryDirectory() as folder:
        lmdb, sqlite = LmdbProfiles(Path(folder) / "lmdb"), SqliteProfiles(Path(folder) / "sqlite.db")
        for start in range(0, ITEMS, 50_000):
            for store in (lmdb, sqlite):
                changer(store)(keys[start : start + 50_000])
        for count in READ:
            contestants = {name: reader(store) for name, store in (("lmdb", lmdb), ("sqlite", sqlite))}
            yield from rows(f"read {count:,}", contestants, keys, count)
        for count in CHANGED:
            changers = {name: changer(store) for name, store in (("lmdb", lmdb), ("sqlite", sqlite))}
            yield from rows(f"change {count:,}", changers, keys, count)
        lmdb.close()


def reader(store: LmdbProfiles | SqliteProfiles) -> Callable[[list[Key]], object]:
    """Reads some keys."""
    return lambda keys: store.read(TENANT, keys)


def changer(store: LmdbProfiles | SqliteProfiles) -> Callable[[list[Key]], object]:
    """Reads some keys and writes them back."""

    def run(keys: list[Key]) -> object:
        def change(values: Values) -> Changes:
            return {key: Entry(value or VALUE) for key, value in zip(keys, values, strict=True)}

        return store.update(TENANT, keys, change)

    return run


def rows(
    case: str, contestants: Mapping[str, Callable[[list[Key]], object]], keys: list[Key], count: int
) -> Iterator[Row]:
    """LMDB beside SQLite."""
    random = Random(SEED)
    seconds = interleaved(contestants, [random.sample(keys, count) for _ in range(ROUNDS)])
    yield Row(case, "sqlite", seconds["sqlite"] * 1e3, "ms")
    yield Row(case, "lmdb", seconds["lmdb"] * 1e3, "ms", "sqlite", seconds["sqlite"] / seconds["lmdb"])
