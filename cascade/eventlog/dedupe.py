"""Each event once. Of several records of one event the earliest stays, whatever the order they came in.

The same event is: an impression with the same request id; an interaction with the same event id and request
id. Records of one event that differ (a retry with another clock) are put in order by time, then by a hash of
their content, so that the choice is the same for any permutation of the same records; and of columns that all
readers have first, so that it is the same for one who reads fewer columns.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cascade.eventlog.hashing import Hashes, hash_rows
from cascade.eventlog.layout import IMPRESSIONS, INTERACTIONS
from cascade.eventlog.tables import ARRIVAL, SCHEMAS
from features.columns import Rows

UNKNOWN = (1 << 63) - 1
OPTIONAL = ("features", "names", "fingerprint")
"""Columns that a reader may leave out."""
UNREAD = {IMPRESSIONS: ("event_id", "ranked", "context", ARRIVAL), INTERACTIONS: ("source", ARRIVAL)}
"""Columns that only some read, and none of them without `OPTIONAL`."""
IDENTITY = {IMPRESSIONS: ("request_id",), INTERACTIONS: ("request_id", "event_id")}


def firsts(table: pa.Table, kind: str) -> Rows:
    """int64[m]: the rows that stay, one an event, in the order of a hash of their identity."""
    keys = hash_rows(table, IDENTITY[kind])
    order = np.argsort(keys)
    ordered = keys[order]
    repeats = np.zeros(len(order), bool)
    repeats[1:] = ordered[1:] == ordered[:-1]
    if not repeats.any():
        return order
    repeats[:-1] |= repeats[1:]
    order[repeats] = canonical(table, kind, order[repeats], ordered[repeats])
    return order[~repeated(table, kind, order, ordered)]


def canonical(table: pa.Table, kind: str, rows: Rows, keys: Hashes) -> Rows:
    """The rows by key, and within it by identity, time and content, so that their order is beyond doubt."""
    taken = table.select([name for name in SCHEMAS[kind].names if name in table.column_names]).take(
        pa.array(rows)
    )
    time = taken["time"].cast(pa.int64()).to_numpy()
    identity = hash_rows(taken, (*IDENTITY[kind][::-1], IDENTITY[kind][0]))
    found: Rows = rows[np.lexsort((arrivals(taken), *contents(taken, kind), time, identity, keys))]
    return found


def contents(table: pa.Table, kind: str) -> list[Hashes]:
    """Hashes of a record's content, the least first: of what only some read, of what may be left out, of the
    rest."""
    rest = set(SCHEMAS[kind].names).difference(OPTIONAL, UNREAD[kind])
    groups = (set(UNREAD[kind]) - {ARRIVAL}, set(OPTIONAL), rest)
    held = [tuple(name for name in table.column_names if name in group) for group in groups]
    return [hash_rows(table, names) for names in held if names]


def arrivals(table: pa.Table) -> Rows:
    """int64[n]: of equal records the one that arrived first stays; one of which that is not known comes
    last."""
    if ARRIVAL not in table.column_names:
        return np.zeros(len(table), np.int64)
    known: Rows = table[ARRIVAL].fill_null(UNKNOWN).to_numpy()
    return known


def repeated(
    table: pa.Table, kind: str, order: Rows, keys: Hashes
) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """bool[n], along `order`: rows that are the same event as the one before them, their strings compared."""
    same = np.zeros(len(order), bool)
    same[1:] = keys[1:] == keys[:-1]
    at = np.flatnonzero(same)
    for name in IDENTITY[kind]:
        mine = table[name].take(pa.array(order[at]))
        before = table[name].take(pa.array(order[at - 1]))
        same[at] &= pc.equal(mine, before).to_numpy(zero_copy_only=False)
    return same
