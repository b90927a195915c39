"""One file that one process appends to. Any number of processes write beside each other without a lock.

A segment is created under another name, locked, and only then given its own, so that one whose lock is free
is one that nobody will append to again: its writer has sealed it, or has died.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

from cascade.eventlog.layout import SEGMENT, SEGMENTS
from cascade.files import make_directory, sync_directory

NEW = ".new-"
TRIES = 3
"""Of making a segment: a sweep that comes between its creation and its lock takes it for a dead writer's."""


@dataclass(frozen=True, slots=True)
class Disk:
    """What a segment asks of the system; tests put a disk in its place that is full, or that fails."""

    write: Callable[[int, bytes], int] = os.write
    sync: Callable[[int], None] = os.fdatasync
    truncate: Callable[[int, int], None] = os.ftruncate


class Segment:
    """An open segment. Not for several threads.

    Attributes:
        created_us: when, by the writer's clock; `made_at`: by the file system's, in nanoseconds.
        size: bytes that are known to be on the disk.
        broken: a failure left it in an unknown state; seal it and open another.
    """

    def __init__(self, path: Path, created_us: int, handle: int, disk: Disk) -> None:
        self.path, self.created_us = path, created_us
        self.made_at, self.size, self.broken = os.fstat(handle).st_mtime_ns, 0, False
        self._handle, self._disk = handle, disk

    @property
    def is_gone(self) -> bool:
        """Whether its file was removed from under it: what is appended is read by nobody."""
        return os.fstat(self._handle).st_nlink == 0

    def append(self, data: bytes) -> None:
        """Put frames at the end; they are on the disk on return.

        Raises:
            OSError: if they are not. What was written of them is taken back, or the segment is `broken`.
        """
        try:
            self._write(data)
        except OSError:
            self._take_back()
            raise
        try:
            self._disk.sync(self._handle)
        except OSError:
            self.broken = True  # the system may have dropped the pages: what lies there is anyone's guess
            raise
        self.size += len(data)

    def seal(self) -> None:
        """Append no more. One that holds nothing is removed."""
        if not self.size and not self.broken:
            self.path.unlink(missing_ok=True)
        os.close(self._handle)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._disk.write(self._handle, view) :]  # type: ignore[arg-type]  # any buffer will do

    def _take_back(self) -> None:
        try:
            self._disk.truncate(self._handle, self.size)
        except OSError:
            self.broken = True


def open_segment(home: Path, now_us: int, new_id: str, disk: Disk) -> Segment:
    """A new segment of a tenant, locked by this process, its name on the disk.

    Raises:
        OSError: if it cannot be made.
    """
    folder = home / SEGMENTS
    make_directory(folder)
    path = folder / f"{now_us:017d}-{new_id}{SEGMENT}"
    for _ in range(TRIES - 1):
        with suppress(BlockingIOError, FileNotFoundError):
            return Segment(path, now_us, made(path), disk)
    return Segment(path, now_us, made(path), disk)


def made(path: Path) -> int:
    """The handle of a new file, locked before it had its name."""
    new = path.with_name(f"{NEW}{path.name}")
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
    try:
        flock(handle, LOCK_EX | LOCK_NB)
        new.rename(path)
        sync_directory(path.parent)
    except OSError:
        os.close(handle)
        new.unlink(missing_ok=True)
        raise
    return handle


def is_sealed(path: Path) -> bool:
    """Whether nobody will append to a segment again."""
    handle = os.open(path, os.O_RDONLY)
    try:
        flock(handle, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True


def sweep_unnamed(folder: Path) -> None:
    """Remove segments whose writers died before they had a name; they hold nothing."""
    for path in folder.glob(f"{NEW}*"):
        with suppress(FileNotFoundError):
            if is_sealed(path):
                path.unlink()
