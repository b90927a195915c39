"""A log in as many parts as memory wants, by the high bits of a hash of the request id.

All that concerns a page is in one part, whatever day it happened on, and the parts one after the other are in
the order of the hash: how many there are does not show in what is made of them.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from cascade.eventlog.dedupe import OPTIONAL, UNREAD
from cascade.eventlog.hashing import Hashes, hash_column
from cascade.eventlog.layout import IMPRESSIONS, INTERACTIONS, KINDS
from cascade.eventlog.read import scan, sizes
from cascade.eventlog.tables import SCHEMAS
from cascade.events import MICROS
from training.events.rules import Rules, Window

EVENT_BYTES = 100
"""What an event takes in a segment, roughly."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The events of some pages, as they were read: repetitions included, in no order."""

    impressions: pa.Table
    interactions: pa.Table


def bits_for(home: Path, part_events: int) -> int:
    """log2 of how many parts keep each at about so many events."""
    there = sizes(home)
    events = there.impressions + there.interactions + there.segment_bytes // EVENT_BYTES
    return max(0, int(np.ceil(np.log2(max(1.0, events / part_events)))))


def columns_of(kind: str, with_features: bool) -> tuple[str, ...]:
    """The columns that a join reads."""
    dropped = (*UNREAD[kind], *(() if with_features else OPTIONAL))
    return tuple(name for name in SCHEMAS[kind].names if name not in dropped)


def spans_of(window: Window, rules: Rules) -> Mapping[str, tuple[int, int]]:
    """What to read of each kind: pages before the window too, so that clicks on them are no orphans."""
    before = int(window.since_us - (rules.late_s + rules.skew_s) * MICROS)
    early = int(window.since_us - rules.skew_s * MICROS)
    return {
        IMPRESSIONS: (max(0, before), window.watermark_us),
        INTERACTIONS: (max(0, early), window.watermark_us),
    }


def shuffle(
    home: Path, window: Window, rules: Rules, bits: int, scratch: Path, with_features: bool
) -> Iterator[Part]:
    """The parts of a log, one at a time; where there are several, `scratch` holds them meanwhile."""
    spans = spans_of(window, rules)
    names = {kind: columns_of(kind, with_features) for kind in KINDS}
    if bits == 0:
        yield Part(
            *(gathered(scan(home, kind, spans[kind], names[kind]), kind, names[kind]) for kind in KINDS)
        )
        return
    for kind in KINDS:
        spill(scan(home, kind, spans[kind], names[kind]), kind, names[kind], bits, scratch)
    for part in range(1 << bits):
        files = {kind: scratch / f"{kind}-{part}" for kind in KINDS}
        yield Part(*(taken(files[kind], kind, names[kind]) for kind in KINDS))
        for file in files.values():
            file.unlink(missing_ok=True)


def schema_of(kind: str, columns: tuple[str, ...]) -> pa.Schema:
    """Of the named columns."""
    return pa.schema([SCHEMAS[kind].field(name) for name in columns])


def gathered(events: Iterator[pa.Table], kind: str, columns: tuple[str, ...]) -> pa.Table:
    """All of them in memory."""
    return pa.concat_tables([schema_of(kind, columns).empty_table(), *events])


def spill(events: Iterator[pa.Table], kind: str, columns: tuple[str, ...], bits: int, scratch: Path) -> None:
    """Write each event to the file of its part."""
    writers: dict[int, pa.ipc.RecordBatchFileWriter] = {}
    with ExitStack() as stack:
        for table in events:
            for part, some in split(table, bits):
                if part not in writers:
                    made = pa.ipc.new_file(scratch / f"{kind}-{part}", schema_of(kind, columns))
                    writers[part] = stack.enter_context(made)
                writers[part].write_table(some)


def split(table: pa.Table, bits: int) -> Iterator[tuple[int, pa.Table]]:
    """(part, its events), for the parts that have any."""
    parts = part_of(hash_column(table["request_id"]), bits)
    order = np.argsort(parts, kind="stable")
    ordered = table.take(pa.array(order))
    found, starts = np.unique(parts[order], return_index=True)
    for part, start, end in zip(found.tolist(), starts, [*starts[1:], len(order)], strict=True):
        yield part, ordered.slice(start, end - start)


def part_of(keys: Hashes, bits: int) -> Hashes:
    """uint64[n]: the high bits."""
    shifted: Hashes = keys >> np.uint64(64 - bits)
    return shifted


def taken(file: Path, kind: str, columns: tuple[str, ...]) -> pa.Table:
    """The events of a part; none where there is no file."""
    if not file.exists():
        return schema_of(kind, columns).empty_table()
    return read_ipc(file)


def read_ipc(file: Path) -> pa.Table:
    """A table from a scratch file."""
    with pa.OSFile(str(file)) as source:
        return pa.ipc.open_file(source).read_all()
