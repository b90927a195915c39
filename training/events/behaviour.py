"""What became of each item: interactions added up along the items, with no loop over them."""

from collections.abc import Mapping

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cascade.events import CLICK, MICROS, TYPES
from features.columns import Doubles, Rows
from training.events.pages import Flags, Shown

FAR = np.int64(1 << 62)


def behaviour(
    item: Rows, time_us: Rows, table: pa.Table, dwell: Doubles, pages: Shown
) -> Mapping[str, pa.Array]:
    """The columns `schema.BEHAVIOUR` along the items of some pages.

    Args:
        item: int64[m], the item of each interaction; `time_us`, `table` and `dwell` (seconds) along it.
    """
    n = len(pages.page)
    types = pc.dictionary_encode(table["type"].combine_chunks())
    clicks = is_type(types, CLICK)
    first, last = extremes(item[clicks], time_us[clicks], n)
    clicked = first < FAR
    known = [is_type(types, name) for name in TYPES]
    other = ~np.logical_or.reduce(known)
    by_server = pc.equal(table["dwell_by"], "server").fill_null(False).to_numpy()
    value = table["value"].to_numpy()
    seconds = np.where(clicked, (first - pages.time_us[pages.page]) / MICROS, np.nan)
    return {
        "clicked": pa.array(clicked),
        "first_click_order": pa.array(order_of(first, clicked, pages)),
        "last_click_order": pa.array(order_of(last, clicked, pages)),
        "first_click_s": pa.array(seconds.astype(np.float32), from_pandas=False),
        **{
            f"n_{name.lower()}": pa.array(np.bincount(item[mask], minlength=n).astype(np.int32))
            for name, mask in zip(TYPES, known, strict=True)
        },
        "n_other": pa.array(np.bincount(item[other], minlength=n).astype(np.int32)),
        "others": others(item[other], types.filter(pa.array(other)), n),
        "dwell_client": pa.array(largest(item, dwell, ~by_server, n).astype(np.float32), from_pandas=False),
        "dwell_server": pa.array(largest(item, dwell, by_server, n).astype(np.float32), from_pandas=False),
        "value": pa.array(largest(item, value, np.ones(len(item), bool), n), from_pandas=False),
    }


def is_type(types: pa.DictionaryArray, name: str) -> Flags:
    """bool[m]: the interactions of one type."""
    at = types.dictionary.index(name).as_py()
    flags: Flags = types.indices.to_numpy() == at if at >= 0 else np.zeros(len(types), bool)
    return flags


def extremes(item: Rows, time_us: Rows, n: int) -> tuple[Rows, Rows]:
    """int64[n] each: the first and the last time along the items; FAR where there is none."""
    first, last = np.full(n, FAR), np.full(n, -FAR)
    np.minimum.at(first, item, time_us)
    np.maximum.at(last, item, time_us)
    return first, np.where(first < FAR, last, FAR)


def order_of(time_us: Rows, clicked: Flags, pages: Shown) -> NDArray[np.int32]:
    """int32[n]: 1, 2, 3 … by time among the clicked items of a page; of equal times, the higher first."""
    rows = np.flatnonzero(clicked)
    order = rows[np.lexsort((rows, time_us[rows], pages.page[rows]))]
    owner = pages.page[order]
    starts = np.searchsorted(owner, owner)
    ranks = np.zeros(len(clicked), np.int32)
    ranks[order] = np.arange(len(order)) - starts + 1
    return ranks


def largest(item: Rows, values: Doubles, mask: Flags, n: int) -> Doubles:
    """float64[n]: the largest of the values along the items; NaN where there is none."""
    mask = mask & ~np.isnan(values)
    found = np.full(n, -np.inf)
    np.maximum.at(found, item[mask], values[mask])
    return np.where(np.isneginf(found), np.nan, found)


def others(item: Rows, types: pa.DictionaryArray, n: int) -> pa.Array:
    """n texts: named types and their counts as JSON. Few items have any: only those are looked at singly."""
    texts = [""] * n
    names = types.dictionary.to_pylist()
    found, counts = np.unique(np.stack([item, types.indices.to_numpy()]), axis=1, return_counts=True)
    by_item: dict[int, dict[str, int]] = {}
    for row, name, count in zip(*found.tolist(), counts.tolist(), strict=True):
        by_item.setdefault(row, {})[names[name]] = count
    for row, counted in by_item.items():
        texts[row] = msgspec.json.encode(dict(sorted(counted.items()))).decode()
    return pa.array(texts, pa.string())
