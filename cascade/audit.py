"""Who changed what, and when: JSON lines that are only ever appended to, and flushed before the change.

A line is on the disk before the change that it tells of, so a process that dies between the two leaves a line
about a change that was not made, never a change without a line.
"""

import getpass
import os
from datetime import datetime
from fcntl import LOCK_EX, flock
from pathlib import Path

import msgspec

from cascade.files import sync_directory

AUDIT = "audit.jsonl"


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One change.

    Attributes:
        actor: `token:<id>`, `certificate:<name>`, `local:<user>` for who works on the store's files, or
            `anyone` where a server asks nobody for credentials.
        action: `promote`, `rollback`, `publish`, `tenant-add`, `token-add`, …
        before, after: versions, or settings.
        forced: against the gate, for `reason`.
    """

    time: datetime
    actor: str
    action: str
    tenant: str = ""
    ranker: str = ""
    before: str = ""
    after: str = ""
    forced: bool = False
    reason: str = ""


def local_actor() -> str:
    """Who runs this process."""
    try:
        return f"local:{getpass.getuser()}"
    except (KeyError, OSError):  # a container may run under a number without a name
        return f"local:{os.getuid()}"


def append(path: Path, *entries: Entry) -> None:
    """More lines, on the disk on return. Any number of processes may append."""
    new = not path.exists()
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o640)
    try:
        flock(handle, LOCK_EX)
        whole = ends_well(handle)
        os.write(handle, (b"" if whole else b"\n") + msgspec.json.Encoder().encode_lines(entries))
        os.fsync(handle)
    finally:
        os.close(handle)
    if new:
        sync_directory(path.parent)


def ends_well(handle: int) -> bool:
    """Whether the last line is whole: a process may have died amid one."""
    size = os.fstat(handle).st_size
    return size == 0 or os.pread(handle, 1, size - 1) == b"\n"


def read_audit(path: Path) -> tuple[Entry, ...]:
    """All entries, oldest first; lines that were cut off by a crash are passed over."""
    if not path.exists():
        return ()
    return tuple(entry for line in path.read_bytes().splitlines() if (entry := parse(line)) is not None)


def parse(line: bytes) -> Entry | None:
    """The entry of a line; None where it is not whole."""
    try:
        return msgspec.json.decode(line, type=Entry)
    except msgspec.MsgspecError:
        return None
