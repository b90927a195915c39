"""Profiles in an LMDB file beside the event log: the embedded store.

Readers see one moment without a lock, and never wait for the writer; several processes of one machine may
share the folder. Chosen over SQLite by measurement (docs/personalization.md). A change is on the disk,
whole or not at all, once a later one is: what a power cut takes back is read from the event log again,
since the reader's position is part of the same change.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cascade.files import make_directory
from cascade.profiles.keys import prefix_of
from cascade.profiles.store import Change, Entry, Key, Values
from features.errors import Exhausted, Unavailable

EXPIRY_BYTES = 8
CHUNK = 10_000
"""Keys that a sweep looks at, or a removal removes, in one transaction."""

_opened: dict[Path, tuple[Any, int]] = {}
_opening = threading.Lock()


class LmdbProfiles:
    """Keeps the contract of `ProfileStore`.

    Args:
        folder: made if it is not there.
        max_bytes: the file may grow to; address space, not memory.
    """

    def __init__(self, folder: Path, max_bytes: int = 64 << 30) -> None:
        self._folder = folder.absolute()
        self._env: Any = opened(self._folder, max_bytes)
        self._closed = False

    def read(self, tenant: str, keys: Sequence[Key]) -> Values:
        """The values of some keys."""
        prefix = prefix_of(tenant)
        with failures(), self._env.begin() as txn:
            found = map(txn.get, [prefix + key for key in keys])
            return [None if value is None else value[EXPIRY_BYTES:] for value in found]

    def update(self, tenant: str, keys: Sequence[Key], change: Change) -> bool:
        """Change some keys."""
        prefix = prefix_of(tenant)
        with failures(), self._env.begin(write=True) as txn:
            found = (txn.get(prefix + key) for key in keys)
            changes = change([None if value is None else value[EXPIRY_BYTES:] for value in found])
            for key, entry in (changes or {}).items():
                if entry is None:
                    txn.delete(prefix + key)
                else:
                    txn.put(prefix + key, packed(entry))
        return changes is not None

    def clear(self, tenant: str) -> None:
        """Remove all of a tenant."""
        prefix = prefix_of(tenant)
        following = prefix
        while following.startswith(prefix):
            _, following = self._drop(prefix, lambda key, _: key.startswith(prefix))

    def sweep(self, now_us: int) -> int:
        """Remove what has expired, some thousand keys at a time, so that nobody waits long to write."""
        total, start = 0, b"\x00"
        while start:
            dropped, start = self._drop(start, lambda _, value: 0 < expiry(value) <= now_us)
            total += dropped
        return total

    def close(self) -> None:
        """Let go of the file."""
        if not self._closed:
            self._closed = True
            closed(self._folder)

    def _drop(self, start: bytes, over: Any) -> tuple[int, bytes]:
        """Remove those of the next keys that are over; how many, and where to go on (b"" = at the end)."""
        with failures(), self._env.begin(write=True) as txn, txn.cursor() as cursor:
            there = cursor.set_range(start)
            dropped = seen = 0
            while there and seen < CHUNK:
                seen += 1
                if over(cursor.key(), cursor.value()):
                    there = cursor.delete() and bool(cursor.key())
                    dropped += 1
                else:
                    there = cursor.next()
            following: bytes = bytes(cursor.key()) if there else b""
        return dropped, following


def packed(entry: Entry) -> bytes:
    """An entry as it is stored."""
    return entry.expires_us.to_bytes(EXPIRY_BYTES, "big") + entry.value


def expiry(stored: bytes) -> int:
    """When a stored entry may be dropped."""
    return int.from_bytes(stored[:EXPIRY_BYTES], "big")


def opened(folder: Path, max_bytes: int) -> Any:
    """The environment of a folder, which a process may open only once.

    Raises:
        Unavailable: if it cannot be opened.
    """
    import lmdb

    with _opening:
        env, users = _opened.get(folder, (None, 0))
        if env is None:
            make_directory(folder)
            try:
                env = lmdb.open(
                    str(folder), map_size=max_bytes, metasync=False, max_readers=1_024, readahead=False
                )
            except lmdb.Error as error:
                raise Unavailable(f"the profile store cannot be opened: {error}", path=str(folder)) from None
        _opened[folder] = env, users + 1
        return env


def closed(folder: Path) -> None:
    """Close the environment of a folder once nobody uses it."""
    with _opening:
        env, users = _opened.pop(folder)
        if users > 1:
            _opened[folder] = env, users - 1
        else:
            env.close()


@contextmanager
def failures() -> Iterator[None]:
    """What LMDB raises as what the contract says."""
    import lmdb

    try:
        yield
    except lmdb.MapFullError:
        raise Exhausted("the profile store is full; raise profiles.max_gb") from None
    except lmdb.Error as error:
        raise Unavailable(f"the profile store fails: {error}") from None
