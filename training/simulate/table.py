"""A simulated log as the joined table that the event log's join would have made, marked as simulated."""

from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa

from features.columns import Doubles, Rows
from training.clicks.impressions import Impressions
from training.events.schema import JOINED, Pages
from training.simulate.log import SimulatedLog, dwell_s

SOURCE = "simulated"
"""The `source` of every row, and the key of the mark in the table's metadata."""


def joined_table(
    log: SimulatedLog, start: datetime, tenant: str = SOURCE, *, relevant: Doubles | None = None
) -> Pages:
    """All pages of a log that fits in memory, one a second from `start`.

    `relevant`: float64[documents], grade 0 to 1 of every document number, gives clicks a dwell measured by
    the client; without it nothing has a dwell. Queries and candidates are named by their numbers.
    """
    parts = list(log())
    random = np.random.default_rng([log.seed, 1 << 21])
    tables = []
    first = 0
    for pages in parts:
        tables.append(table_of(pages, first, start, tenant, relevant, random))
        first += len(pages)
    sizes = np.concatenate([pages.shown.sum(axis=1) for pages in parts])
    offsets: Rows = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return Pages(pa.concat_tables(tables).replace_schema_metadata({SOURCE: "true"}), offsets)


def table_of(
    pages: Impressions,
    first: int,
    start: datetime,
    tenant: str,
    relevant: Doubles | None,
    random: np.random.Generator,
) -> pa.Table:
    """The rows of some pages, the first of which is number `first` of the log."""
    page, place = np.nonzero(pages.shown)
    document, clicked = pages.documents[page, place], pages.clicked[page, place]
    order = np.cumsum(pages.clicked, axis=1)[page, place] * clicked
    dwell = np.full(len(page), np.nan)
    if relevant is not None:
        dwell[clicked] = dwell_s(relevant[document[clicked]], random)
    times = np.datetime64(start.replace(tzinfo=None) + timedelta(seconds=first), "us") + page.astype("m8[s]")
    known = {
        "request_id": named("simulated-", page + first),
        "time": pa.array(times).cast(JOINED.field("time").type),
        "query": named("", pages.query[page]),
        "candidate_id": named("", document),
        "arm": named("", pages.arm[page]),
        "position": place + 1,
        "clicked": clicked,
        "first_click_order": order,
        "last_click_order": order,
        "n_click": clicked.astype(np.int32),
        "n_dwell": np.isfinite(dwell).astype(np.int32),
        "dwell_client": dwell,
    }
    same = {"tenant": tenant, "source": SOURCE}
    return pa.table(
        [column(field, known.get(field.name), same.get(field.name, ""), len(page)) for field in JOINED],
        schema=JOINED,
    )


def named(prefix: str, numbers: Rows) -> pa.Array:
    """Strings of numbers; each distinct one is made once."""
    known, at = np.unique(numbers, return_inverse=True)
    names = pa.array([f"{prefix}{number}" for number in known.tolist()], pa.string())
    return names.take(pa.array(at))


def column(field: pa.Field, values: object, text: str, rows: int) -> pa.Array:
    """The values as the field's type: where there are none, the text, 0, or NaN as the schema has it."""
    kind = field.type
    if values is not None:
        return (
            pa.array(values).cast(kind)
            if not pa.types.is_dictionary(kind)
            else encoded(pa.array(values), kind)
        )
    if pa.types.is_dictionary(kind):
        return encoded(pa.array([text]).take(pa.array(np.zeros(rows, np.int64))), kind)
    if pa.types.is_string(kind):
        return pa.array([text]).take(pa.array(np.zeros(rows, np.int64)))
    return pa.array(np.full(rows, np.nan if pa.types.is_floating(kind) else 0)).cast(kind)


def encoded(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """Dictionary-encoded strings with the type's index."""
    return values.dictionary_encode().cast(kind)
