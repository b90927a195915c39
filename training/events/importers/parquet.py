"""Parquet files whose columns are those of the log's schema, or are said to be by `--column OURS=THEIRS`.

A file with `candidates` holds impressions, any other interactions; columns that are absent are unknown.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

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
            number = 0
            for batch in parquet.iter_batches(BATCH_ROWS, columns=list(theirs.values())):
                for row in batch.rename_columns(list(theirs)).to_pylist():
                    number += 1
                    with problems.at(f"{file}:{number}"):
                        yield make(row, SOURCE)


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
