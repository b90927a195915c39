"""A document table that is open: ids to rows, rows to columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cascade.documents.index import EMPTY, Ids
from cascade.documents.kinds import EMPTY_VALUES, put
from cascade.documents.notes import ColumnNotes, TableNotes, read_notes
from cascade.documents.part import Part, open_part
from features.columns import Column, Rows
from features.errors import Unavailable

TRIES = 5


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Where documents stand: int64[n] each, the part (-1 = not in the table) and the row in it."""

    part: Rows
    row: Rows

    @property
    def unknown(self) -> int:
        """How many are not in the table."""
        return int((self.part == EMPTY).sum())


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A table as it was when it was opened; a replacement does not disturb it. Safe among threads."""

    notes: TableNotes
    parts: tuple[Part, ...]

    def __len__(self) -> int:
        return self.notes.rows

    @property
    def columns(self) -> Mapping[str, ColumnNotes]:
        """The columns by name."""
        return self.notes.columns

    def find(self, ids: Sequence[str] | Any) -> Found:
        """Where documents stand, the newest part's word first."""
        asked = Ids.of(ids)
        hashes = asked.hashes(self.notes.seed)
        part, row = np.full(len(asked), EMPTY, np.int64), np.full(len(asked), EMPTY, np.int64)
        left = np.ones(len(asked), bool)
        for number in reversed(range(len(self.parts))):
            at = self.parts[number].find(asked, hashes)
            here = left & (at != EMPTY)
            if not self.parts[number].removed:
                part[here], row[here] = number, at[here]
            left &= ~here
        return Found(part, row)

    def column(self, name: str, found: Found) -> Column:
        """A column of the table, a row for each document that was looked up; missing for the unknown."""
        known = self.columns[name]
        made = EMPTY_VALUES[known.kind](len(found.part), known.width)
        for number in np.unique(found.part[found.part != EMPTY]).tolist():
            if self.parts[number].has(name):
                places = np.flatnonzero(found.part == number)
                self.parts[number].gather(
                    name,
                    found.row[places],
                    lambda local, values, places=places: put(made, places[local], values),
                )
        return Column(known.kind, made)

    def document(self, name: str) -> dict[str, Any] | None:
        """One document's columns; None for one that is not there."""
        found = self.find([name])
        if found.unknown:
            return None
        return self.parts[int(found.part[0])].row(int(found.row[0]))


def open_table(home: Path) -> Table | None:
    """The table of a tenant's `.documents`; None where there is none.

    Raises:
        NotReady: if a newer Sluice wrote it.
        Corrupt: if a file is not the one that was written.
        Unavailable: if it was replaced again and again meanwhile.
    """
    for _ in range(TRIES):
        notes = read_notes(home)
        if notes is None:
            return None
        try:
            return Table(notes, tuple(open_part(home, part) for part in notes.parts))
        except FileNotFoundError:  # replaced since its notes were read
            continue
    raise Unavailable(f"the table {home} lacks a part, or changes too often; load the documents again")
