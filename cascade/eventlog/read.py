"""A tenant's events as Arrow tables, from Parquet and from the segments that are not compacted yet."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cascade.eventlog.codec import read_segment
from cascade.eventlog.frames import Passed
from cascade.eventlog.layout import DAY, KINDS, counting, days, first_arrival, reading, segments
from cascade.eventlog.parquet import legible, opened
from cascade.eventlog.tables import SCHEMAS, TIME, tables
from features.errors import Corrupt

BATCH_ROWS = 1 << 17
DAY_US = 86_400_000_000
ENDLESS = (0, 1 << 62)

Between = tuple[int, int]
"""Microseconds since 1970: from the first, and before the second."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """What lies in a tenant's log."""

    segments: int
    segment_bytes: int
    files: int
    file_bytes: int
    impressions: int
    interactions: int
    first_day: str
    last_day: str


def scan(
    home: Path, kind: str, between: Between = ENDLESS, columns: Sequence[str] | None = None
) -> Iterator[pa.Table]:
    """Tables of some 100,000 records of one kind, in no order; a record may come twice (`dedupe`).

    No more than a file's row group, or a segment, is in memory at a time.

    Raises:
        Corrupt: for a Parquet file that is damaged, or without the columns of the log.
    """
    names = list(columns or SCHEMAS[kind].names)
    with reading(home):
        there = segments(home)
        for path in there:
            yield from (within(table.select(names), between) for table in of_segment(path, kind))
        living = frozenset(path.stem for path in there)
        for folder in days(home, kind):
            if touches(folder.name.removeprefix(DAY), between):
                for file in counting(folder, living):
                    yield from (within(table, between) for table in of_file(file, kind, names))


def of_segment(path: Path, kind: str) -> Iterator[pa.Table]:
    """The records of one kind in a segment, as far as they are whole.

    Raises:
        Corrupt: naming the segment, for records that do not fit the log's schema.
    """
    with legible(path):
        for found, table in tables(read_segment(path, Passed()), first_arrival(path)):
            if found == kind:
                yield table


def of_file(file: Path, kind: str, names: list[str]) -> Iterator[pa.Table]:
    """The records of a Parquet file in the log's own types; columns that it lacks and may lack are null."""
    with opened(file, kind) as there:
        wanted = [name for name in names if name in there.schema_arrow.names]
        for batch in there.iter_batches(BATCH_ROWS, columns=wanted):
            yield typed(pa.Table.from_batches([batch]), kind, names, file)


def whole_file(file: Path, kind: str) -> pa.Table:
    """All of a Parquet file, in the log's own types; columns that the log does not know stay as they are."""
    names = SCHEMAS[kind].names
    with opened(file, kind) as there:
        found = there.read()
        table = typed(found, kind, names, file)
    for name in found.column_names:
        if name not in names:
            table = table.append_column(name, found[name])
    return table


def typed(table: pa.Table, kind: str, names: list[str], file: Path) -> pa.Table:
    """The named columns in the log's types."""
    schema = pa.schema([SCHEMAS[kind].field(name) for name in names])
    held = set(table.column_names)
    try:
        made = [
            table[one.name].cast(one.type) if one.name in held else pa.nulls(len(table), one.type)
            for one in schema
        ]
        table = pa.table(made, schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        raise Corrupt(f"is no file of this log: {error}", path=str(file)) from None
    for one in schema:
        if not one.nullable and table[one.name].null_count:
            raise Corrupt(
                f"is no file of this log: column {one.name!r} has no value in places", path=str(file)
            )
    return table


def within(table: pa.Table, between: Between) -> pa.Table:
    """The records of a span of time."""
    if between == ENDLESS or "time" not in table.column_names:
        return table
    since, until = (pa.scalar(min(edge, 1 << 61), pa.int64()).cast(TIME) for edge in between)
    time = table["time"]
    return table.filter(pc.and_(pc.greater_equal(time, since), pc.less(time, until)))


def touches(day: str, between: Between) -> bool:
    """Whether a day has anything to do with a span of time."""
    start = int(np.datetime64(day, "us").astype(np.int64))
    return start < between[1] and start + DAY_US > between[0]


def rows_of(file: Path, kind: str) -> int:
    """Records in a Parquet file, as its own footer tells."""
    with opened(file, kind) as there:
        rows: int = there.metadata.num_rows
    return rows


def sizes(home: Path) -> Sizes:
    """What lies there; events in segments are not counted, as that would mean to read them.

    Raises:
        Corrupt: for a Parquet file that is damaged, or without the columns of the log.
    """
    there = segments(home)
    living = frozenset(path.stem for path in there)
    files = {
        kind: [file for folder in days(home, kind) for file in counting(folder, living)] for kind in KINDS
    }
    found = sorted(folder.name.removeprefix(DAY) for kind in KINDS for folder in days(home, kind))
    rows = {kind: sum(rows_of(file, kind) for file in files[kind]) for kind in KINDS}
    every = [file for kind in KINDS for file in files[kind]]
    return Sizes(
        segments=len(there),
        segment_bytes=sum(path.stat().st_size for path in there),
        files=len(every),
        file_bytes=sum(file.stat().st_size for file in every),
        first_day=found[0] if found else "",
        last_day=found[-1] if found else "",
        **rows,
    )
