"""What lies where in an event log, and which of it counts.

    <root>/<tenant>/segments/<when>-<id>.seg                      appended to by one process, see `segment`
    <root>/<tenant>/impressions/day=2026-11-20/<name>.parquet     compacted, day of the event in UTC
    <root>/<tenant>/interactions/day=2026-11-20/<name>.parquet
    <root>/<tenant>/.lock                                         shared by readers, taken by the compactor
    <root>/<tenant>/.rotate                                       touched to ask writers for a new segment

Two rules make a compaction that dies anywhere harmless, with no list of files to keep in step:

- A file `s-<segment>.parquet` counts once its segment is gone. Until then the segment is the truth.
- A file that another one names as replaced (`sluice.replaces` in its metadata) no longer counts.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_SH, flock
from pathlib import Path

from cascade.files import make_directory
from cascade.names import check_name, is_name

IMPRESSIONS, INTERACTIONS = KINDS = ("impressions", "interactions")
SEGMENTS = "segments"
SEGMENT = ".seg"
PARQUET = ".parquet"
BORN = "s-"
MERGED = "m-"
DAY = "day="
REPLACES = b"sluice.replaces"
LOCK = ".lock"
ROTATE = ".rotate"


def home_of(root: Path, tenant: str) -> Path:
    """A tenant's folder.

    Raises:
        InvalidInput: for what cannot be a tenant's name, before any path is made of it.
    """
    return root / check_name(tenant, "tenant")


def tenants(root: Path) -> tuple[str, ...]:
    """Tenants that have events, sorted."""
    if not root.is_dir():
        return ()
    return tuple(sorted(each.name for each in root.iterdir() if is_name(each.name) and each.is_dir()))


def segments(home: Path) -> list[Path]:
    """A tenant's segments, oldest first."""
    return sorted((home / SEGMENTS).glob(f"*{SEGMENT}"))


def first_arrival(segment: Path) -> int | None:
    """The arrival of the first event of a segment (see `tables.ARRIVAL`); None for a segment of another
    name."""
    when, dash, _ = segment.stem.partition("-")
    return int(when) if dash and len(when) == 17 and when.isascii() and when.isdigit() else None


def days(home: Path, kind: str) -> list[Path]:
    """The folders of the days that have compacted events of a kind, earliest first."""
    return sorted(each for each in (home / kind).glob(f"{DAY}*") if each.is_dir())


def counting(folder: Path, living: frozenset[str]) -> list[Path]:
    """The Parquet files of a day that count; `living` are the stems of the segments that are there."""
    files = sorted(folder.glob(f"*{PARQUET}"))
    gone = {name for file in files if file.name.startswith(MERGED) for name in replaced_by(file)}
    return [file for file in files if file.name not in gone and segment_of(file) not in living]


def segment_of(file: Path) -> str:
    """The stem of the segment that a Parquet file was made of; "" for one merged of several."""
    return file.stem.removeprefix(BORN) if file.name.startswith(BORN) else ""


def replaced_by(file: Path) -> list[str]:
    """Names of the files, in the same folder, that a merged file stands for.

    Raises:
        Corrupt: for a file that does not let itself be read.
    """
    import pyarrow.parquet as pq  # servers write and need none of it

    from cascade.eventlog.parquet import legible

    with legible(file):
        found = (pq.read_schema(file).metadata or {}).get(REPLACES, b"[]")
        return [str(name) for name in json.loads(found)]


@contextmanager
def reading(home: Path) -> Iterator[None]:
    """No file disappears meanwhile: compaction waits for readers, and readers for compaction."""
    with _lock(home, LOCK_SH):
        yield


@contextmanager
def changing(home: Path) -> Iterator[None]:
    """Nobody else reads, compacts or removes meanwhile; appending goes on."""
    with _lock(home, LOCK_EX):
        yield


@contextmanager
def _lock(home: Path, how: int) -> Iterator[None]:
    make_directory(home)
    handle = os.open(home / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        flock(handle, how)
        yield
    finally:
        os.close(handle)
