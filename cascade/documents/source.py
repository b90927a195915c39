"""Documents on their way in: a Parquet file, read a batch at a time and checked as it is read.

A chunk is a record batch whose first column has the ids and whose others are as a table stores them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.types as is_

from cascade.documents.kinds import is_list, is_string, kind_of, stored, stored_type
from cascade.documents.notes import ColumnNotes
from features.columns import Kind
from features.errors import InvalidInput, NotFound

ID_COLUMNS = ("id", "_id")
"""Where no other one is named."""
BATCH_ROWS = 65_536
MOST_ID_BYTES = 1_024

Columns = Mapping[str, ColumnNotes]


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A Parquet file of documents.

    Attributes:
        id_column: the column of their ids.
        columns: the others, by name, as the table stores them.
        rows: how many.
    """

    path: Path
    id_column: str
    columns: Columns
    rows: int

    def chunks(self) -> Iterator[Any]:
        """The documents.

        Raises:
            InvalidInput: naming the column and the row of the file that cannot be right, or the file where it
                is damaged.
        """
        done = 0
        for batch in self._batches():
            try:
                yield self._chunk(batch)
            except InvalidInput as error:
                raise shifted(error, done) from None
            done += len(batch)

    def _batches(self) -> Iterator[Any]:
        try:
            with pq.ParquetFile(self.path) as file:
                yield from file.iter_batches(BATCH_ROWS, columns=[self.id_column, *self.columns])
        except (pa.ArrowException, OSError) as error:
            raise InvalidInput(f"{self.path} cannot be read as Parquet: {error}") from None

    def _chunk(self, batch: Any) -> Any:
        ids = checked_ids(batch.column(self.id_column), self.id_column)
        values = [
            stored(batch.column(name), notes.kind, notes.width, name) for name, notes in self.columns.items()
        ]
        return chunk_of(ids, values, self.columns)


def open_source(path: Path, id_column: str = "") -> Source:
    """A Parquet file, its schema looked at and its rows not yet.

    Raises:
        NotFound: if there is no such file.
        InvalidInput: if it is no Parquet, has no rows or no ids, or a column of a type that no feature reads.
    """
    try:
        with pq.ParquetFile(path) as file:
            schema, rows = file.schema_arrow, file.metadata.num_rows
            name = named_id(schema.names, id_column)
            columns = {field.name: notes_of(file, field) for field in schema if field.name != name}
    except FileNotFoundError:
        raise NotFound(f"no file {path}") from None
    except (pa.ArrowException, OSError) as error:
        raise InvalidInput(f"{path} cannot be read as Parquet: {error}") from None
    if not rows:
        raise InvalidInput(f"{path} has no rows; `sluice documents remove --all` removes a table")
    return Source(path, name, {column: notes for column, notes in columns.items() if notes}, rows)


def named_id(names: Sequence[str], wanted: str) -> str:
    """The column of the ids.

    Raises:
        InvalidInput: if it is not there, or another one has the name of a column already.
    """
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise InvalidInput("two columns have this name", path=repeated)
    found = [name for name in ((wanted,) if wanted else ID_COLUMNS) if name in names]
    if not found:
        asked = repr(wanted) if wanted else " or ".join(map(repr, ID_COLUMNS))
        raise InvalidInput(f"there is no column {asked} of ids; there are {', '.join(names)}", path="--id")
    return found[0]


def notes_of(file: Any, field: Any) -> ColumnNotes | None:
    """What a column will be; None for one of nothing but nulls."""
    kind = kind_of(field.type, field.name)
    if kind is None:
        return None
    return ColumnNotes(kind, width_of(file, field) if kind is Kind.VECTOR else 0)


def width_of(file: Any, field: Any) -> int:
    """Elements of the vectors: as the type says, or as many as the first one has."""
    if is_.is_fixed_size_list(field.type):
        return int(field.type.list_size)
    for batch in file.iter_batches(BATCH_ROWS, columns=[field.name]):
        lengths = pc.drop_null(pc.list_value_length(batch.column(0)))
        if len(lengths):
            return int(lengths[0].as_py())
    return 0


def checked_ids(column: Any, name: str) -> Any:
    """Ids as large strings; whole numbers become texts.

    Raises:
        InvalidInput: for a missing, an empty or an endless one, or a type that is neither.
    """
    kind = column.type
    if is_list(kind) or not (is_string(kind) or is_.is_integer(kind) or is_.is_dictionary(kind)):
        raise InvalidInput(f"is of type {kind}; ids are texts or whole numbers", path=name)
    ids = column.cast(pa.large_string())
    lengths = np.asarray(pc.fill_null(pc.binary_length(ids), 0))
    wrong = np.flatnonzero((lengths == 0) | (lengths > MOST_ID_BYTES))
    if len(wrong):
        told = f"has {lengths[wrong[0]]} bytes, where an id has 1 to {MOST_ID_BYTES}"
        raise InvalidInput(told, path=f"{name}[{wrong[0]}]")
    return ids


def shifted(error: InvalidInput, rows: int) -> InvalidInput:
    """The same error, the row of a batch told as the row of the file."""
    name, bracket, row = error.path.rpartition("[")
    if not bracket or not row[:-1].isdigit():
        return error
    return type(error)(error.message, path=f"{name}[{rows + int(row[:-1])}]")


def chunk_of(ids: Any, values: Sequence[Any], columns: Columns) -> Any:
    """A chunk."""
    fields = [pa.field("", pa.large_string()), *schema_of(columns)]
    return pa.RecordBatch.from_arrays([ids, *values], schema=pa.schema(fields))


def schema_of(columns: Columns) -> Any:
    """The schema of a table's rows, ids aside."""
    return pa.schema([(name, stored_type(notes.kind, notes.width)) for name, notes in columns.items()])
