"""Parts into fewer: what newer ones say stands, what they replace goes."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from cascade.documents.kinds import missing
from cascade.documents.part import Part
from cascade.documents.source import BATCH_ROWS, Columns, chunk_of
from features.columns import Flags

MOST_PARTS = 8
WHOLE_FROM = 0.5
"""Parts over the first one are merged with it once they have this share of its rows."""


def due(parts: Sequence[Part]) -> int | None:
    """The first of the parts to merge: 0 for all, 1 for those over the first; None while there are few."""
    if len(parts) < 2:
        return None
    over = sum(map(len, parts[1:]))
    if over >= WHOLE_FROM * len(parts[0]):
        return 0 if len(parts) > 2 or over >= BATCH_ROWS else None
    return 1 if len(parts) > MOST_PARTS else None


def live(parts: Sequence[Part], seed: int) -> list[Flags]:
    """bool[rows] a part: whether no newer part has the document."""
    masks = [np.ones(len(part), bool) for part in parts]
    for newer in range(1, len(parts)):
        hashes = parts[newer].ids.hashes(seed)
        for older in range(newer):
            at = parts[older].find(parts[newer].ids, hashes)
            masks[older][at[at >= 0]] = False
    return masks


def merged_rows(parts: Sequence[Part], masks: Sequence[Flags], columns: Columns) -> Iterator[Any]:
    """Chunks of the documents that are there."""
    for part, mask in zip(parts, masks, strict=True):
        ids = part.ids.arrow()
        for start, batch in zip(part.starts, part.batches, strict=True):
            kept = mask[start : start + len(batch)]
            yield conformed(ids.slice(start, len(batch)), batch, columns).filter(pa.array(kept))


def merged_removals(parts: Sequence[Part], masks: Sequence[Flags]) -> Any:
    """Ids of the documents that are no longer there."""
    pieces = [
        part.ids.arrow().filter(pa.array(mask))
        for part, mask in zip(parts, masks, strict=True)
        if part.removed
    ]
    return pa.concat_arrays([pa.array([], pa.large_string()), *pieces])


def conformed(ids: Any, batch: Any, columns: Columns) -> Any:
    """A chunk of all of a table's columns, of which a part may have fewer."""
    there = set(batch.schema.names)
    values = [
        batch.column(name) if name in there else missing(notes.kind, notes.width, len(batch))
        for name, notes in columns.items()
    ]
    return chunk_of(ids, values, columns)
