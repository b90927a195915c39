"""Events as Arrow tables, which is how they lie in Parquet: the schema that `docs/feedback.md` documents."""

import json
from collections.abc import Iterator, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any

import numpy as np
import pyarrow as pa

from cascade.eventlog.layout import IMPRESSIONS, INTERACTIONS
from cascade.events import Event, Impression, Interaction

TIME = pa.timestamp("us", tz="UTC")
FLOATS = pa.list_(pa.float32())

SCHEMAS = {
    IMPRESSIONS: pa.schema(
        [
            pa.field("event_id", pa.string(), nullable=False),
            pa.field("request_id", pa.string(), nullable=False),
            pa.field("time", TIME, nullable=False),
            ("ranker", pa.string()),
            ("version", pa.string()),
            ("query", pa.string()),
            ("values", pa.string()),
            ("user", pa.string()),
            ("session", pa.string()),
            ("arm", pa.string()),
            ("source", pa.string()),
            ("ranked", pa.int32()),
            ("candidates", pa.list_(pa.string())),
            ("positions", pa.list_(pa.int32())),
            ("scores", FLOATS),
            ("propensities", FLOATS),
            ("features", FLOATS),
            ("names", pa.string()),
            ("fingerprint", pa.string()),
            ("teams", pa.list_(pa.int32())),
            ("context", pa.binary()),
            ("arrival", pa.int64()),
        ]
    ),
    INTERACTIONS: pa.schema(
        [
            pa.field("event_id", pa.string(), nullable=False),
            pa.field("request_id", pa.string(), nullable=False),
            pa.field("candidate_id", pa.string(), nullable=False),
            pa.field("type", pa.string(), nullable=False),
            pa.field("time", TIME, nullable=False),
            ("dwell_s", pa.float64()),
            ("dwell_by", pa.string()),
            ("value", pa.float64()),
            ("position", pa.int32()),
            ("user", pa.string()),
            ("session", pa.string()),
            ("source", pa.string()),
            ("arrival", pa.int64()),
        ]
    ),
}
"""Kind of event → its columns. `names` is a JSON array; list columns are null where nothing is known."""

ARRIVAL = "arrival"
"""The one column that is no event's own: its place in the order of arrival, null where that is not known.
Events of one writer are numbered from the microsecond in which their segment began, a number each."""

REPEATING = ("ranker", "version", "arm", "source", "names", "fingerprint", "type", "dwell_by")
"""Columns of few different values, which are stored as dictionaries."""

AT_A_TIME = 1 << 16
"""Events that are objects at the same time; more only cost memory."""


def tables(groups: Iterator[list[Event]], first: int | None = None) -> Iterator[tuple[str, pa.Table]]:
    """(kind, table) of events, some ten thousand at a time; `first`: the arrival of the first of them."""
    gathered: list[Event] = []
    for group in groups:
        gathered += group
        if len(gathered) >= AT_A_TIME:
            yield from both(gathered, first)
            first = None if first is None else first + len(gathered)
            gathered = []
    yield from both(gathered, first)


def both(events: Sequence[Event], first: int | None) -> Iterator[tuple[str, pa.Table]]:
    """A table a kind, none for a kind that did not happen."""
    shown = [at for at, event in enumerate(events) if isinstance(event, Impression)]
    done = [at for at, event in enumerate(events) if isinstance(event, Interaction)]
    for kind, rows, make in (
        (IMPRESSIONS, shown, impressions_table),
        (INTERACTIONS, done, interactions_table),
    ):
        if rows:
            arrivals = [None if first is None else first + at for at in rows]
            yield kind, make([events[at] for at in rows], arrivals)


def interactions_table(events: Sequence[Any], arrivals: Sequence[int | None]) -> pa.Table:
    """A row an interaction."""
    schema = SCHEMAS[INTERACTIONS]
    made = {ARRIVAL: pa.array(arrivals, pa.int64())}
    return pa.table([made[one.name] if one.name in made else plain(events, one) for one in schema], schema)


def impressions_table(events: Sequence[Any], arrivals: Sequence[int | None]) -> pa.Table:
    """A row an impression."""
    lists = {
        ARRIVAL: pa.array(arrivals, pa.int64()),
        "candidates": strings([event.candidates for event in events]),
        "positions": positions(events),
        "scores": floats([event.scores for event in events]),
        "propensities": floats([event.propensities for event in events]),
        "features": floats([event.features for event in events]),
        "teams": pa.array([event.teams or None for event in events], pa.list_(pa.int32())),
        "names": pa.array([json.dumps(event.names) if event.names else "" for event in events], pa.string()),
    }
    schema = SCHEMAS[IMPRESSIONS]
    return pa.table([lists[one.name] if one.name in lists else plain(events, one) for one in schema], schema)


def plain(events: Sequence[Any], field: pa.Field) -> pa.Array:
    """A column of one value an event."""
    if field.name == "time":
        return pa.array([event.time_us for event in events], pa.int64()).cast(TIME)
    return pa.array(list(map(attrgetter(field.name), events)), field.type)


def strings(rows: Sequence[Sequence[str]]) -> pa.Array:
    """A list of strings a row."""
    values = pa.array(list(chain.from_iterable(rows)), pa.string())
    return pa.ListArray.from_arrays(ends(list(map(len, rows))), values)


def positions(events: Sequence[Impression]) -> pa.Array:
    """The positions that were told, or 1, 2, 3 … where none were."""
    rows = [event.positions or range(1, len(event.candidates) + 1) for event in events]
    sizes = list(map(len, rows))
    values = np.fromiter(chain.from_iterable(rows), np.int32, sum(sizes))
    return pa.ListArray.from_arrays(ends(sizes), pa.array(values))


def floats(rows: Sequence[bytes]) -> pa.Array:
    """A list of float32 a row, bit for bit; null for no bytes."""
    values = pa.array(np.frombuffer(b"".join(rows), "<f4"), pa.float32(), from_pandas=False)
    sizes = [len(row) // 4 for row in rows]
    absent = pa.array([not row for row in rows], pa.bool_())
    return pa.ListArray.from_arrays(ends(sizes), values, type=FLOATS, mask=absent)


def ends(sizes: Sequence[int]) -> pa.Array:
    """int32[n + 1]: offsets of lists of the given sizes."""
    return pa.array(np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]), pa.int32())
