"""Parquet files whose columns are those of the log's schema, or are said to be by `--column OURS=THEIRS`.

A file with `candidates` holds impressions, any other interactions; columns that are absent are unknown.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cascade.eventlog.layout import IMPRESSIONS, INTERACTIONS
from cascade.eventlog.tables import SCHEMAS
from cascade.events import Event
from features.errors import InvalidInput, NotFound
from training.events.importers.shared import Problems, impression, interaction

SOURCE = "parquet"
NEEDED = {
    IMPRESSIONS: ("request_id", "time", "candidates"),
    INTERACTIONS: ("request_id", "candidate_id", "type", "time"),
}
BATCH_ROWS = 1 << 14


def read(files: list[Path], renamed: Mapping[str, str], problems: Problems) -> Iterator[Event]:
    """The events of some files.

    Raises:
        InvalidInput: naming the column that a file lacks, or the row that cannot be right.
    """
    for file in files:
        with opened(file) as parquet:
            kind, theirs = columns_of(file, parquet.schema_arrow.names, renamed)
            make = impression if kind == IMPRESSIONS else interaction
            for number, row in enumerate(rows_of(parquet, file, theirs), start=1):
                with problems.at(f"{file}:{number}"):
                    yield make(row, SOURCE)


def rows_of(parquet: pq.ParquetFile, file: Path, theirs: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Rows under our names; times in microseconds, as Python knows no finer ones.

    Raises:
        InvalidInput: for a file that is damaged behind its footer, or holds what cannot be read.
    """
    try:
        for batch in parquet.iter_batches(BATCH_ROWS, columns=sorted({*theirs.values()})):
            columns = [in_micros(batch.column(name)) for name in theirs.values()]
            yield from pa.RecordBatch.from_arrays(columns, list(theirs)).to_pylist()
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise InvalidInput(f"cannot be read: {str(error).splitlines()[0]}", path=str(file)) from None


def in_micros(column: pa.Array) -> pa.Array:
    """The column; timestamps of nanoseconds cut to microseconds."""
    if not pa.types.is_timestamp(column.type) or column.type.unit != "ns":
        return column
    return column.cast(pa.timestamp("us", column.type.tz), safe=False)


def opened(file: Path) -> pq.ParquetFile:
    """The file, if it is one."""
    if not file.is_file():
        raise NotFound("no such file", path=str(file))
    try:
        return pq.ParquetFile(file)
    except pa.ArrowInvalid as error:
        raise InvalidInput(f"is no Parquet file: {error}", path=str(file)) from None


def columns_of(file: Path, there: list[str], renamed: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """(kind, our names → those of the file) of the columns that it has."""
    every = {*SCHEMAS[IMPRESSIONS].names, *SCHEMAS[INTERACTIONS].names}
    for ours, name in renamed.items():
        if ours not in every or name not in there:
            raise InvalidInput(f"no column {ours!r} here, or none {name!r} in {file}", path="--column")
    named = {ours: renamed.get(ours, ours) for ours in sorted(every)}
    found = {ours: name for ours, name in named.items() if name in there}
    kind = IMPRESSIONS if "candidates" in found else INTERACTIONS
    absent = [name for name in NEEDED[kind] if name not in found]
    if absent:
        raise InvalidInput(
            f"has no column {absent[0]!r} (it has {', '.join(there)}); say which one it is with"
            f" --column {absent[0]}=THEIRS",
            path=str(file),
        )
    return kind, found
