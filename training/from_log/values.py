"""What each shown item earned: the strongest of what was done with it, as declared."""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cascade.events import TYPES
from features.columns import Doubles, Rows
from training.clicks.behaviour import Rules, strongest
from training.clicks.dwell import Visits, either_side

KNOWN = tuple(name.lower() for name in TYPES)


def done_with(table: pa.Table, rules: Rules) -> Mapping[str, Rows]:
    """Type → int64[n]: how often, for every type that has a weight."""
    named = [name for name in rules.weights if name not in KNOWN]
    counts = {name: counted(table[f"n_{name}"]) for name in rules.weights if name in KNOWN}
    return {**counts, **(named_counts(table["others"], named) if named else {})}


def counted(column: pa.ChunkedArray) -> Rows:
    """int64[n]."""
    found: Rows = column.to_numpy().astype(np.int64)
    return found


def named_counts(column: pa.ChunkedArray, names: Sequence[str]) -> Mapping[str, Rows]:
    """The same for types that callers named, out of their JSON; few items have any."""
    found = {name: np.zeros(len(column), np.int64) for name in names}
    rows = np.flatnonzero(pc.not_equal(column, "").to_numpy(zero_copy_only=False))
    for row, text in zip(rows.tolist(), column.take(pa.array(rows)).to_pylist(), strict=True):
        for name, count in msgspec.json.decode(text, type=dict[str, int]).items():
            if name in found:
                found[name][row] = count
    return found


def values_of(
    rules: Rules, done: Mapping[str, Rows], client_s: Doubles, server_s: Doubles, query: Rows, user: Rows
) -> Doubles:
    """float64[n], 0 to 1: `behaviour.strongest`, with dwell by its fitted models where that is switched on.

    Args:
        client_s, server_s: seconds by who measured them, NaN = not measured.
        query, user: numbers, along the items.
    """
    if not rules.dwell:
        return strongest(rules, done)
    length = np.full(len(query), np.nan)
    sides = [Visits(seconds, length, query, user) for seconds in (client_s, server_s)]
    return strongest(rules, done, either_side(*sides))
