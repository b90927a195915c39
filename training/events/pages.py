"""Impressions as pages: each once, in the order of a hash of its request id, its lists laid flat."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cascade.eventlog.dedupe import firsts
from cascade.eventlog.hashing import Hashes, hash_column, mixed
from cascade.eventlog.layout import IMPRESSIONS
from features.columns import Floats, Rows

Flags = NDArray[np.bool_]

LISTS = ("positions", "scores", "propensities", "teams")


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """q pages with n items.

    Attributes:
        table: a row a page, as the log has it.
        keys: uint64[q], rising: hash of the request id.
        time_us: int64[q]. `actor`: uint64[q], hash of who saw it.
        offsets: int64[q + 1] of the pages' items; `page`: int64[n], the page of each item.
        candidates: n ids. `position`: int64[n].
    """

    table: pa.Table
    keys: Hashes
    time_us: Rows
    actor: Hashes
    offsets: Rows
    page: Rows
    candidates: pa.Array
    position: Rows


def each_once(impressions: pa.Table) -> pa.Table:
    """The impressions in the order of a hash of their page, of several of one page the earliest."""
    return impressions.take(pa.array(firsts(impressions, IMPRESSIONS))).combine_chunks()


def laid_out(table: pa.Table) -> Shown:
    """Impressions, each once, as pages."""
    sizes = lengths(table, "candidates")
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    return Shown(
        table=table,
        keys=hash_column(table["request_id"]),
        time_us=table["time"].cast(pa.int64()).to_numpy(),
        actor=actors(table),
        offsets=offsets,
        page=np.repeat(np.arange(len(table)), sizes),
        candidates=flatten(table["candidates"]),
        position=flatten(table["positions"]).to_numpy().astype(np.int64),
    )


def fits(table: pa.Table) -> pa.ChunkedArray:
    """bool[n]: impressions that show something, and whose lists are as long as their candidates or absent."""
    rows = pc.fill_null(pc.list_value_length(table["candidates"]), 0)
    good = pc.greater(rows, 0)
    for name in LISTS:
        found = pc.list_value_length(table[name])
        same = pc.equal(found, rows) if name == "positions" else pc.fill_null(pc.equal(found, rows), True)
        good = pc.and_(good, pc.fill_null(same, False))
    return good


def lengths(table: pa.Table, name: str) -> Rows:
    """int64[q]: elements of each list; 0 for an absent one."""
    found: Rows = pc.fill_null(pc.list_value_length(table[name]), 0).to_numpy().astype(np.int64)
    return found


def flatten(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """All elements of lists, one list after the other."""
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    parts = [chunk.flatten() for chunk in chunks]
    return pa.concat_arrays(parts) if parts else pa.array([], column.type.value_type)


def along_items(table: pa.Table, name: str, page: Rows) -> Floats:
    """float32[n] of a list column; NaN for the items of pages that have none."""
    known = table[name].is_valid().to_numpy()
    values = np.full(len(page), np.nan, np.float32)
    values[known[page]] = flatten(table[name]).to_numpy(zero_copy_only=False)
    return values


def actors(table: pa.Table) -> Hashes:
    """uint64[q]: who saw a page: its user, or its session, or else the page itself."""
    who = hash_column(table["request_id"])
    for level, name in enumerate(("session", "user")):
        known = named(table, name)
        salt = np.full(len(table), level, np.uint64)
        who = np.where(known, mixed(hash_column(table[name]), salt), who)
    return who


def named(table: pa.Table, name: str) -> Flags:
    """bool[n]: where a string is neither missing nor empty."""
    found: Any = pc.fill_null(pc.not_equal(table[name], ""), False)
    flags: Flags = found.to_numpy()
    return flags
