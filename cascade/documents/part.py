"""One part of a table: rows that never change once they are there."""

from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from cascade.documents.index import Hashes, Ids, Index
from cascade.documents.kinds import gathered
from cascade.documents.notes import PartNotes
from features.columns import Rows
from features.errors import Corrupt

ROWS = "rows.arrow"
ARRAYS = {"ids.bin": "u1", "starts.bin": "<i8", "keys.bin": "<u8", "slots.bin": "<i4"}
"""File → its elements, one behind the other. No header: numpy parses those with `ast`, which fails now and
then where several threads do it at once (CPython 3.11)."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A part whose files are mapped into memory.

    Attributes:
        ids, index: which documents, and where each stands.
        batches: record batches of the columns, none where documents are removed.
        starts: the first row of each batch.
        removed: its documents are no longer there.
    """

    ids: Ids
    index: Index
    batches: tuple[Any, ...]
    starts: tuple[int, ...]
    removed: bool

    def __len__(self) -> int:
        return len(self.ids)

    def find(self, ids: Ids, hashes: Hashes) -> Rows:
        """int64[n]: the row of each id, -1 for one that is not here."""
        return self.index.find(ids, hashes, self.ids)

    def has(self, name: str) -> bool:
        """Whether the column is in this part."""
        return bool(self.batches) and name in self.batches[0].schema.names

    def gather(self, name: str, rows: Rows, put: Any) -> None:
        """Call `put(places, values)` with the column's values at rows, batch by batch.

        `places` are positions in `rows`.
        """
        if len(self.batches) == 1:
            put(np.arange(len(rows)), gathered(self.batches[0].column(name), rows))
            return
        of_batch = np.searchsorted(self.starts, rows, side="right") - 1
        for number in np.unique(of_batch).tolist():
            places = np.flatnonzero(of_batch == number)
            local = rows[places] - self.starts[number]
            put(places, gathered(self.batches[number].column(name), local))

    def row(self, row: int) -> dict[str, Any]:
        """One document's columns, as Python values."""
        number = bisect_right(self.starts, row) - 1
        local = row - self.starts[number]
        found: dict[str, Any] = self.batches[number].slice(local, 1).to_pylist()[0]
        return found


def open_part(home: Path, notes: PartNotes) -> Part:
    """A part, mapped into memory.

    Raises:
        FileNotFoundError: if it is gone, because another table took this one's place.
        Corrupt: if a file is not the one that was written.
    """
    folder = home / notes.name
    for name, size in notes.sizes.items():
        found = (folder / name).stat().st_size
        if found != size:
            raise Corrupt(
                f"has {found} bytes instead of {size}; load the documents again", path=str(folder / name)
            )
    ids, starts, keys, slots = (mapped(folder / name, dtype) for name, dtype in ARRAYS.items())
    batches = () if notes.removed else read_batches(folder / ROWS)
    edges = np.cumsum([0, *(len(batch) for batch in batches)]).tolist()
    if not notes.removed and edges[-1] != notes.rows:
        raise Corrupt(f"has {edges[-1]} rows instead of {notes.rows}", path=str(folder / ROWS))
    return Part(
        Ids(ids, starts),
        Index(keys, slots),
        batches,
        tuple(edges[:-1]),
        notes.removed,
    )


def mapped(path: Path, dtype: str) -> Any:
    """A file as an array, read when it is looked at; no `memmap`, which kernels take for another type."""
    return np.asarray(np.memmap(path, dtype, "r"))


def read_batches(path: Path) -> tuple[Any, ...]:
    """The record batches of a file, mapped rather than read."""
    try:
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
        return tuple(reader.get_batch(number) for number in range(reader.num_record_batches))
    except pa.ArrowInvalid as error:
        raise Corrupt(f"{error}; load the documents again", path=str(path)) from None
