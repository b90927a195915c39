"""Segments into Parquet by day. Killed anywhere, nothing is lost or doubled.

Each step is committed by one operation on one file (see `layout`): a segment's Parquet files count from the
moment the segment is removed, and a merged file replaces others from the moment it has its name. What a dead
compactor left behind does not count, and the next one sweeps it away.
"""

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cascade.eventlog.codec import read_segment
from cascade.eventlog.dedupe import firsts
from cascade.eventlog.frames import Passed
from cascade.eventlog.layout import (
    BORN,
    DAY,
    KINDS,
    MERGED,
    PARQUET,
    REPLACES,
    SEGMENTS,
    changing,
    counting,
    days,
    first_arrival,
    segments,
)
from cascade.eventlog.parquet import legible
from cascade.eventlog.read import whole_file
from cascade.eventlog.segment import is_sealed, sweep_unnamed
from cascade.eventlog.tables import REPEATING, tables
from cascade.files import make_directory, sync_directory, sync_file

MERGE_BYTES = 64 << 20
"""Files of a day below this size are merged."""
MERGED_AT_ONCE = 4
"""A merge is of files of so many times `MERGE_BYTES` at most (and the file that goes beyond), as it holds
them in memory; the next compaction takes more."""
GROUP_BYTES = 32 << 20
"""Bytes of a row group, uncompressed: what a reader holds at a time."""

Mark = Callable[[str], None]


class Compacted(msgspec.Struct, frozen=True, kw_only=True):
    """What a compaction did.

    Attributes:
        segments: that became Parquet; `open_segments` are still written to, and wait for the next time.
        impressions, interactions: records that were in them.
        duplicates: records that were another one's repetition within a segment, or a day that was merged.
        merged: files that were merged into one of their day.
        torn_bytes: at the end of segments whose writer died while it wrote; nobody was told they are safe.
        damaged_bytes: between whole records; a disk or a person has spoilt them.
    """

    segments: int = 0
    open_segments: int = 0
    impressions: int = 0
    interactions: int = 0
    duplicates: int = 0
    merged: int = 0
    torn_bytes: int = 0
    damaged_bytes: int = 0


def nothing(_: str) -> None:
    """Called between any two steps; tests die there."""


def compact(home: Path, mark: Mark = nothing) -> Compacted:
    """Bring a tenant's sealed segments into Parquet. One process at a time; the others wait.

    Raises:
        Corrupt: for a segment that holds records of something else, or a Parquet file that is damaged or
            not of the log; it stays as it is, and nothing is lost.
    """
    with changing(home):
        sweep(home)
        done = born(home, mark)
        merges = [merge(folder, small(folder), mark) for kind in KINDS for folder in days(home, kind)]
    return msgspec.structs.replace(
        done,
        merged=sum(files for files, _ in merges),
        duplicates=done.duplicates + sum(dropped for _, dropped in merges),
    )


def sweep(home: Path) -> None:
    """Remove what does not count: files half-written, of segments still there, or replaced by others."""
    if (home / SEGMENTS).is_dir():
        sweep_unnamed(home / SEGMENTS)
    living = frozenset(path.stem for path in segments(home))
    for kind in KINDS:
        for folder in days(home, kind):
            keep = set(counting(folder, living))
            for file in [*folder.glob(f"*{PARQUET}"), *folder.glob(".*.new")]:
                if file not in keep:
                    file.unlink()
            sync_directory(folder)


def born(home: Path, mark: Mark) -> Compacted:
    """Parquet of every sealed segment."""
    rows, passed, open_, dropped, done = dict.fromkeys(KINDS, 0), Passed(), 0, 0, 0
    for segment in segments(home):
        if not is_sealed(segment):
            open_ += 1
            continue
        for kind, table in whole_tables(segment, passed).items():
            rows[kind] += len(table)
            once = table.take(pa.array(firsts(table, kind)))
            dropped += len(table) - len(once)
            for day, part in by_day(once):
                write(home / kind / f"{DAY}{day}" / f"{BORN}{segment.stem}{PARQUET}", part, mark)
        mark("born")
        segment.unlink()
        sync_directory(segment.parent)
        mark("segment removed")
        done += 1
    return Compacted(
        segments=done,
        open_segments=open_,
        duplicates=dropped,
        torn_bytes=passed.torn,
        damaged_bytes=passed.damaged,
        **rows,
    )


def whole_tables(segment: Path, passed: Passed) -> dict[str, pa.Table]:
    """Kind → all records of a segment."""
    parts: dict[str, list[pa.Table]] = {kind: [] for kind in KINDS}
    with legible(segment):
        for kind, table in tables(read_segment(segment, passed), first_arrival(segment)):
            parts[kind].append(table)
    return {kind: pa.concat_tables(found) for kind, found in parts.items() if found}


def by_day(table: pa.Table) -> Iterable[tuple[str, pa.Table]]:
    """(day in UTC, its records by time)."""
    ordered = table.sort_by([("time", "ascending"), ("event_id", "ascending")])
    stamps = ordered["time"].cast(pa.int64()).to_numpy()
    whole = stamps // 86_400_000_000
    starts = np.flatnonzero(np.concatenate([[True], whole[1:] != whole[:-1]]))
    for start, end in zip(starts, [*starts[1:], len(whole)], strict=True):
        yield str(np.datetime64(int(whole[start]), "D")), ordered.slice(int(start), int(end - start))


def small(folder: Path) -> list[Path]:
    """Files of a day that are worth a merge, as many as fit into memory together.

    A record may be repeated in what is left for the next time, as in files too large to merge: readers take
    each event once over the whole log (`dedupe`).
    """
    found: list[Path] = []
    total = 0
    for file in sorted(folder.glob(f"*{PARQUET}")):
        size = file.stat().st_size
        if size < MERGE_BYTES and total < MERGED_AT_ONCE * MERGE_BYTES:
            found.append(file)
            total += size
    return found if len(found) > 1 else []


def merge(
    folder: Path, files: list[Path], mark: Mark, keep: Callable[[pa.Table], pa.Table] = lambda table: table
) -> tuple[int, int]:
    """(files, records dropped) that one file now stands for; `keep` may drop records of its own.

    Raises:
        Corrupt: for a file that is damaged or not of the log; all stay as they are.
    """
    if not files:
        return 0, 0
    kind = folder.parent.name
    parts = [whole_file(file, kind) for file in files]
    with legible(folder):
        table = pa.concat_tables(parts, promote_options="default")
    kept = keep(table.take(pa.array(np.sort(firsts(table, kind)))))
    kept = kept.sort_by([("time", "ascending"), ("event_id", "ascending")])
    names = [file.name for file in files]
    target = folder / f"{MERGED}{hashlib.sha256(json.dumps(names).encode()).hexdigest()[:16]}{PARQUET}"
    metadata = {**(kept.schema.metadata or {}), REPLACES: json.dumps(names).encode()}
    write(target, kept.replace_schema_metadata(metadata), mark)
    mark("merged")
    for file in files:
        file.unlink()
        mark("replaced removed")
    if not len(kept):
        target.unlink()
    sync_directory(folder)
    return len(files), len(table) - len(kept)


def write(path: Path, table: pa.Table, mark: Mark = nothing) -> None:
    """A Parquet file that is complete and on the disk from the moment it has its name."""
    make_directory(path.parent)
    staged = path.with_name(f".{path.name}.new")
    rows = max(1, int(GROUP_BYTES / max(1.0, table.nbytes / max(1, len(table)))))
    repeating = [name for name in REPEATING if name in table.column_names]
    pq.write_table(table, staged, compression="zstd", row_group_size=rows, use_dictionary=repeating)
    sync_file(staged)
    mark("written")
    staged.replace(path)
    sync_directory(path.parent)
    mark("named")


def is_before(folder: Path, day: str) -> bool:
    """Whether a day's folder is of an earlier day (ISO dates sort as they run)."""
    return folder.name.removeprefix(DAY) < day


def expire(home: Path, day: str) -> int:
    """Remove the events of all days before one (`2026-11-20`), and say how many files that were.

    Compact first: what lies in segments is of no day yet.
    """
    removed = 0
    with changing(home):
        for folder in [each for kind in KINDS for each in days(home, kind) if is_before(each, day)]:
            for file in folder.glob("*"):
                file.unlink()
                removed += 1
            folder.rmdir()
            sync_directory(folder.parent)
    return removed


def span(table: pa.Table) -> tuple[int, int]:
    """Microseconds of the first and the last record."""
    times = pc.min_max(table["time"].cast(pa.int64())).as_py()
    return times["min"], times["max"]
