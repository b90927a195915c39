"""Whoever changes a document table: one writer at a time, in any process."""

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa

from cascade.audit import AUDIT, Entry, append, local_actor
from cascade.documents.merging import due, live, merged_removals, merged_rows
from cascade.documents.notes import CURRENT, ColumnNotes, PartNotes, TableNotes, read_notes, write_notes
from cascade.documents.part import open_part
from cascade.documents.source import Columns, Source
from cascade.documents.table import Table, open_table
from cascade.documents.writing import write_part, write_removed
from cascade.files import locked, make_directory, remove_tree, sync_directory
from cascade.names import check_name
from features.errors import Corrupt, InvalidInput, NotFound

FOLDER = ".documents"
LOCK = ".lock"

Watch = Callable[[Iterator[Any]], Iterator[Any]]
"""Looks on while chunks pass, to show how far they are."""


def unwatched(chunks: Iterator[Any]) -> Iterator[Any]:
    """Nobody looks on."""
    return chunks


class Documents:
    """The document table of a tenant in a store directory."""

    def __init__(
        self,
        store: Path,
        tenant: str,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        new_id: Callable[[], str] = lambda: uuid4().hex,
        new_seed: Callable[[], int] = lambda: secrets.randbits(63),
    ) -> None:
        """Raises NotFound for a tenant that the store does not have."""
        if not (store / check_name(tenant, "tenant")).is_dir():
            raise NotFound(
                f"no tenant {tenant!r} under {store}; `sluice tenants add` makes one", path="tenant"
            )
        self.home = home_of(store, tenant)
        self._now, self._new_id, self._new_seed = now, new_id, new_seed

    def table(self) -> Table:
        """The table as it is now.

        Raises:
            NotFound: if there is none.
        """
        found = open_table(self.home)
        if found is None:
            raise NotFound("the tenant has no document table; `sluice documents load` makes one")
        return found

    def replace(self, source: Source, watch: Watch = unwatched) -> TableNotes:
        """A file's documents in the place of whatever was there.

        Raises:
            InvalidInput: naming the column and the row that cannot be right; the table stays as it was.
        """
        with self._alone():
            return self._anew(source, watch)

    def upsert(self, source: Source, watch: Watch = unwatched) -> TableNotes:
        """A file's documents beside those there are; one that was there is replaced as a whole.

        Raises:
            InvalidInput: as `replace`, and for a column that is of another kind in the table.
        """
        with self._alone():
            table = open_table(self.home)
            if table is None:
                return self._anew(source, watch)
            columns = united(table.columns, source.columns)
            part = self._part(source, source.columns, table.notes.seed, watch)
            fresh = self._unknown(table, part)
            parts = (*table.notes.parts, part)
            self._note("documents-upsert", table.notes.rows, table.notes.rows + fresh)
            return self._tidied(self._put(table.notes.seed, table.notes.rows + fresh, columns, parts))

    def remove(self, ids: Sequence[str]) -> int:
        """Documents taken out. Returns how many were there."""
        with self._alone():
            table = self.table()
            asked = pa.array(dict.fromkeys(ids), pa.large_string())
            there = asked.filter(pa.array(table.find(asked).part >= 0))
            if len(there):
                part = write_removed(self.home, self._new_id(), there, table.notes.seed)
                rows, parts = table.notes.rows - len(there), (*table.notes.parts, part)
                self._note("documents-remove", table.notes.rows, rows)
                self._tidied(self._put(table.notes.seed, rows, table.columns, parts))
            return len(there)

    def drop(self) -> None:
        """The table removed; requests have to send all columns again."""
        with self._alone():
            self._note("documents-drop", self._rows(), 0)
            (self.home / CURRENT).unlink(missing_ok=True)
            sync_directory(self.home)
            self._sweep()

    def compact(self) -> TableNotes:
        """All parts as one."""
        with self._alone():
            return self._merged(self.table(), 0)

    def _anew(self, source: Source, watch: Watch) -> TableNotes:
        seed = self._new_seed()
        part = self._part(source, source.columns, seed, watch)
        self._note("documents-load", self._rows(), part.rows)
        return self._put(seed, part.rows, source.columns, (part,))

    def _rows(self) -> int:
        """Documents there are, as far as that can be told."""
        try:
            notes = read_notes(self.home)
        except Corrupt:
            return 0
        return notes.rows if notes else 0

    def _note(self, action: str, before: int, after: int) -> None:
        """A line of the tenant's audit log."""
        tenant = self.home.parent
        entry = Entry(
            time=self._now(),
            actor=local_actor(),
            action=action,
            tenant=tenant.name,
            before=f"{before} documents",
            after=f"{after} documents",
        )
        append(tenant / AUDIT, entry)

    def _part(self, source: Source, columns: Columns, seed: int, watch: Watch) -> PartNotes:
        try:
            return write_part(self.home, self._new_id(), columns, watch(source.chunks()), seed)
        except InvalidInput as error:
            self._sweep()
            twin = error.path.startswith("[")
            path = source.id_column + error.path if twin else error.path
            raise type(error)(error.message, path=path) from None

    def _unknown(self, table: Table, part: PartNotes) -> int:
        return table.find(open_part(self.home, part).ids.arrow()).unknown

    def _tidied(self, notes: TableNotes) -> TableNotes:
        table = self.table()
        first = due(table.parts)
        return notes if first is None else self._merged(table, first)

    def _merged(self, table: Table, first: int) -> TableNotes:
        """The parts from the first one on as one part of documents, and one of removals if older parts need
        it."""
        notes, parts = table.notes, table.parts[first:]
        masks = live(parts, notes.seed)
        rows = write_part(
            self.home, self._new_id(), notes.columns, merged_rows(parts, masks, notes.columns), notes.seed
        )
        gone = merged_removals(parts, masks) if first else []
        removed = (write_removed(self.home, self._new_id(), gone, notes.seed),) if len(gone) else ()
        return self._put(notes.seed, notes.rows, notes.columns, (*notes.parts[:first], *removed, rows))

    def _put(self, seed: int, rows: int, columns: Columns, parts: Sequence[PartNotes]) -> TableNotes:
        written = self._now().isoformat(timespec="seconds")
        notes = TableNotes(written=written, seed=seed, rows=rows, columns=dict(columns), parts=tuple(parts))
        sync_directory(self.home)
        write_notes(self.home, notes)
        self._sweep()
        return notes

    @contextmanager
    def _alone(self) -> Iterator[None]:
        make_directory(self.home)
        with locked(self.home / LOCK):
            self._sweep()
            yield

    def _sweep(self) -> None:
        """Remove what nothing names: what was replaced, and what a killed writer left.

        Where the notes cannot be read, nothing is removed before they are replaced.
        """
        try:
            notes = read_notes(self.home)
        except Corrupt:
            return
        named = {part.name for part in notes.parts} if notes else set()
        for folder in self.home.iterdir():
            if folder.is_dir() and folder.name not in named:
                remove_tree(folder)


def home_of(store: Path, tenant: str) -> Path:
    """Where a tenant's table lies. No ranker can be called that."""
    return store / tenant / FOLDER


def united(there: Columns, new: Columns) -> dict[str, ColumnNotes]:
    """The columns of a table and of what is put into it.

    Raises:
        InvalidInput: for a column that is of another kind, or a vector of another width, in the table.
    """
    for name, notes in new.items():
        known = there.get(name, notes)
        if known != notes:
            told = f"is {described(notes)} here and {described(known)} in the table; load all documents anew"
            raise InvalidInput(told, path=name)
    return {**there, **new}


def described(notes: ColumnNotes) -> str:
    """A column in words."""
    return f"a {notes.kind} of {notes.width}" if notes.width else f"a {notes.kind}"
