"""The events that lie in Parquet, as events again and in the order in which they arrived."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from cascade.eventlog.arrivals import Arrived, Position, tail
from cascade.eventlog.layout import IMPRESSIONS, KINDS, counting, days, reading, segments
from cascade.eventlog.read import of_file
from cascade.eventlog.tables import ARRIVAL, SCHEMAS
from cascade.events import Impression, Interaction
from features.columns import Rows

AT_A_TIME = 20_000
"""Events that are objects at the same time."""


def compacted(home: Path, since: int, most: int = AT_A_TIME) -> list[Arrived]:
    """The next events in Parquet that arrived from a number on, in order; none once there are no more.

    They may have happened at any time: an import brings what is years old.
    """
    with reading(home):
        files = [(kind, file) for kind in KINDS for file in files_of(home, kind)]
        numbers = [arrivals_of(file, kind) for kind, file in files]
        known = np.concatenate([*numbers, np.empty(0, np.int64)])
        known = known[known >= since]
        if not len(known):
            return []
        last = int(np.partition(known, most - 1)[most - 1] if len(known) > most else known.max())
        found: list[Arrived] = []
        for (kind, file), mine in zip(files, numbers, strict=True):
            rows = np.flatnonzero((mine >= since) & (mine <= last))
            if len(rows):
                found += events_of(file, kind, rows)
    return sorted(found, key=lambda one: one.arrival)


def files_of(home: Path, kind: str) -> list[Path]:
    """The Parquet files of a kind that count."""
    living = frozenset(path.stem for path in segments(home))
    return [file for folder in days(home, kind) for file in counting(folder, living)]


def arrivals_of(file: Path, kind: str) -> Rows:
    """int64[n]: the arrival of each record, -1 where it is not known."""
    parts = [table[ARRIVAL].fill_null(-1).to_numpy() for table in of_file(file, kind, [ARRIVAL])]
    return np.concatenate([*parts, np.empty(0, np.int64)])


def events_of(file: Path, kind: str, rows: Rows) -> list[Arrived]:
    """Some records of a file, `rows` rising, as events."""
    make = impression_of if kind == IMPRESSIONS else interaction_of
    found: list[Arrived] = []
    start = 0
    for table in of_file(file, kind, SCHEMAS[kind].names):
        mine = rows[(rows >= start) & (rows < start + len(table))] - start
        start += len(table)
        some = table.take(pa.array(mine))
        times = some["time"].cast(pa.int64()).to_pylist()
        records = some.drop_columns(["time"]).to_pylist()
        found += [
            Arrived(record[ARRIVAL], make(record, time_us))
            for record, time_us in zip(records, times, strict=True)
        ]
    return found


def impression_of(row: dict[str, Any], time_us: int) -> Impression:
    """A row of Parquet as it was logged, but positions 1, 2, 3 … where none were told."""
    texts = ("event_id", "request_id", "ranker", "version", "query", "values", "user", "session", "arm")
    made: dict[str, Any] = {name: row[name] or "" for name in (*texts, "fingerprint", "source")}
    made |= {name: as_bytes(row[name]) for name in ("scores", "propensities", "features")}
    made |= {name: tuple(row[name] or ()) for name in ("candidates", "positions", "teams")}
    return Impression(
        time_us=time_us,
        names=tuple(json.loads(row["names"] or "[]")),
        ranked=row["ranked"] or 0,
        context=row["context"] or b"",
        **made,
    )


def as_bytes(values: list[float] | None) -> bytes:
    """A list of floats as the log's segments hold it."""
    return b"" if values is None else np.array(values, "<f4").tobytes()


def interaction_of(row: dict[str, Any], time_us: int) -> Interaction:
    """A row of Parquet as it was logged."""
    texts = ("event_id", "request_id", "candidate_id", "type", "dwell_by", "user", "session", "source")
    return Interaction(
        time_us=time_us,
        dwell_s=row["dwell_s"],
        value=row["value"],
        position=row["position"],
        **{name: row[name] or "" for name in texts},
    )


def whole_log(home: Path) -> Iterator[Arrived]:
    """Every event of a tenant whose arrival is known, in order: Parquet, then the segments."""
    since = 0
    while events := compacted(home, since):
        yield from events
        since = events[-1].arrival + 1
    position: Position = {}
    while (found := tail(home, position, AT_A_TIME)).events:
        position = found.position
        yield from found.events
