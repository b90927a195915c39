"""Parquet files of the log, opened with care: what is damaged or foreign is named, and is no traceback.

Apart from `layout`, so that servers, which write segments alone, need no pyarrow.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cascade.eventlog.tables import SCHEMAS
from features.errors import Corrupt


@contextmanager
def legible(file: Path) -> Iterator[None]:
    """Reading a file within.

    Raises:
        Corrupt: naming the file, for whatever Arrow cannot make sense of.
        OSError: as it is, where the system cannot read the file.
    """
    try:
        yield
    except (pa.ArrowException, ValueError, OverflowError) as error:
        raise unreadable(file, error) from None
    except OSError as error:
        if error.errno is not None:
            raise
        raise unreadable(file, error) from None  # Arrow's own, for pages that do not unpack


def unreadable(file: Path, error: Exception) -> Corrupt:
    """The error that names a file, in one line."""
    return Corrupt(f"is no file of this log, or damaged: {' '.join(str(error).split())}", path=str(file))


@contextmanager
def opened(file: Path, kind: str) -> Iterator[pq.ParquetFile]:
    """A file of one kind, with all columns that it may not lack.

    Raises:
        Corrupt: for one without them, or that cannot be read.
    """
    with legible(file), pq.ParquetFile(file) as made:
        there = set(made.schema_arrow.names)
        absent = [one.name for one in SCHEMAS[kind] if not one.nullable and one.name not in there]
        if absent:
            raise Corrupt(f"is no file of this log: it has no column {absent[0]!r}", path=str(file))
        yield made
