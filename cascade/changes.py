"""What changed in a store, told without walking it: a line for every promotion, in one file at its root.

    <root>/.changes      tenant/ranker, the latest last; the older half goes where it grows beyond a mebibyte

Whoever promotes appends; whoever serves reads what came since it last looked. The file is a hint and never
the truth, which stands in each ranker's `promoted.json`: a line that was lost (a writer killed between the
two) is found by the stamps of those files, a few microseconds each.
"""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from cascade.files import locked, replace_durably

Key = tuple[str, str]
"""Tenant and ranker."""
Stamp = tuple[int, int, int]
"""Inode, size and time of change (ns) of a file: another one after every replacement."""

FILE = ".changes"
LOCK = ".changes.lock"
MOST_BYTES = 1 << 20
HEAD = 40
"""Bytes at the beginning by which a file is known again: those of the line that `shorten` puts there."""


class Changes(Protocol):
    """What a server asks a store that it watches."""

    def read(self) -> tuple[Key, ...] | None:
        """Rankers whose promotion changed since the last call; None where that cannot be told."""
        ...

    def latest(self) -> Iterator[Key]:
        """Rankers by the time of their last known change, the newest first."""
        ...

    def stamp(self, key: Key) -> Stamp | None:
        """Another value whenever the ranker's promotion is another; None where only reading it tells."""
        ...

    def reachable(self) -> bool:
        """Whether the store is there at all: an unmounted disk looks like a store without tenants."""
        ...


class Untold:
    """Of a store that tells nothing: everything has to be looked at."""

    def read(self) -> tuple[Key, ...] | None:
        """Cannot be told."""
        return None

    def latest(self) -> Iterator[Key]:
        """None known."""
        return iter(())

    def stamp(self, key: Key) -> Stamp | None:  # noqa: ARG002
        """Only reading it tells."""
        return None

    def reachable(self) -> bool:
        """Always."""
        return True


class DirectoryChanges:
    """The changes of a store in a directory; one reader, which remembers how far it has read."""

    def __init__(self, root: Path, promoted: str) -> None:
        self._root, self._promoted = root, promoted
        self._inode = self._offset = 0
        self._head = b""

    def read(self) -> tuple[Key, ...] | None:
        """What was appended; None at first, and after the file was shortened or replaced."""
        try:
            with (self._root / FILE).open("rb") as file:
                return self._since(file.fileno())
        except FileNotFoundError:
            self._inode = self._offset = 0
            return None

    def _since(self, handle: int) -> tuple[Key, ...] | None:
        now = os.fstat(handle)
        head = os.pread(handle, HEAD, 0)
        same = now.st_ino == self._inode and head.startswith(self._head)  # numbers of inodes are used again
        known = same and now.st_size >= self._offset
        data = os.pread(handle, now.st_size - self._offset, self._offset) if known else b""
        whole = data.rfind(b"\n") + 1  # a line that is being written is read next time
        self._inode, self._head, self._offset = (
            now.st_ino,
            head,
            self._offset + whole if known else now.st_size,
        )
        return tuple(dict.fromkeys(parsed(data[:whole]))) if known else None

    def latest(self) -> Iterator[Key]:
        """From the end of the file, each ranker once."""
        try:
            lines = (self._root / FILE).read_bytes()
        except FileNotFoundError:
            return iter(())
        return iter(dict.fromkeys(reversed(list(parsed(lines)))))

    def stamp(self, key: Key) -> Stamp | None:
        """Of the ranker's `promoted.json`; zeros where there is none."""
        try:
            found = self._root.joinpath(*key, self._promoted).stat()
        except OSError:
            return (0, 0, 0)
        return (found.st_ino, found.st_size, found.st_mtime_ns)

    def reachable(self) -> bool:
        """Whether the file is there, or any folder."""
        if (self._root / FILE).exists():
            return True
        try:
            with os.scandir(self._root) as entries:
                return any(entry.is_dir() for entry in entries)
        except OSError:
            return False


def parsed(data: bytes) -> Iterator[Key]:
    """The rankers of whole lines; what is no line of ours is passed over."""
    for line in data.decode("utf-8", "replace").splitlines():
        tenant, slash, ranker = line.partition("/")
        if slash:
            yield tenant, ranker


def announce(root: Path, tenant: str, ranker: str) -> None:
    """Tell servers of a changed promotion, once it can be read."""
    path = root / FILE
    with locked(root / LOCK):
        if path.exists() and path.stat().st_size > MOST_BYTES:
            shorten(path)
        with path.open("ab") as file:
            file.write(f"{tenant}/{ranker}\n".encode())


def shorten(path: Path) -> None:
    """Keep the newer half behind a line that no file had before: readers look at everything once."""
    data = path.read_bytes()
    newer = data[data.find(b"\n", len(data) // 2) + 1 :]
    replace_durably(path, f"# {uuid.uuid4().hex}\n".encode() + newer)
