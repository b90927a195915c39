"""Parquet files, and the tables made of them."""

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cascade.documents import Documents
from cascade.documents.source import open_source
from cascade.testing import NOON

Load = Callable[..., Documents]


@pytest.fixture
def parquet(tmp_path: Path) -> Callable[[dict[str, Any]], Path]:
    """Writes columns to a file."""
    numbers = count()

    def write(columns: dict[str, Any]) -> Path:
        path = tmp_path / f"{next(numbers)}.parquet"
        pq.write_table(pa.table(columns), path)
        return path

    return write


@pytest.fixture
def documents(tmp_path: Path) -> Documents:
    """The table of the tenant `shop`, not there yet; ids, seeds and times are given."""
    (tmp_path / "store" / "shop").mkdir(parents=True)
    names = count()
    return Documents(
        tmp_path / "store", "shop", now=lambda: NOON, new_id=lambda: f"part-{next(names)}", new_seed=lambda: 7
    )


@pytest.fixture
def load(documents: Documents, parquet: Callable[[dict[str, Any]], Path]) -> Load:
    """Puts columns into the table: all anew, or beside what is there."""

    def put(columns: dict[str, Any], upsert: bool = False, id_column: str = "") -> Documents:
        source = open_source(parquet(columns), id_column)
        (documents.upsert if upsert else documents.replace)(source)
        return documents

    return put
