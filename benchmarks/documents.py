"""The document table: loading it, finding rows by id beside a Python dictionary, and gathering columns.

Processor time of the calling thread, in turns; every input is another random set of ids.

    python -m benchmarks documents [--rows 1000000]
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.harness import Row, interleaved
from cascade.documents import Documents, Table
from cascade.documents.source import open_source

SHORT = False
ASKED = (10, 100, 1_000, 10_000)
ROUNDS = 16


def run(options: Sequence[str] = ()) -> Iterator[Row]:
    """One table, requests of several sizes."""
    parser = argparse.ArgumentParser("python -m benchmarks documents")
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args(options).rows
    case = f"{rows:,} documents"
    with TemporaryDirectory() as folder:
        table, seconds = loaded(Path(folder), rows)
        size = sum(sum(part.sizes.values()) for part in table.notes.parts)
        yield Row(case, "load", seconds, "s of processor time")
        yield Row(case, "files", size / 1e6, "MB")
        held = {f"doc-{row}": row for row in range(rows)}
        for asked in ASKED:
            yield from requests(f"{case}, {asked:,} ids", table, held, asked)


def loaded(root: Path, rows: int) -> tuple[Table, float]:
    """A table of a title, a body of 200 characters and a price; and what loading it took."""
    bodies = [f"w{number} " * 50 for number in range(1_000)]
    columns = {
        "id": [f"doc-{row}" for row in range(rows)],
        "title": [f"Title number {row}" for row in range(rows)],
        "body": [bodies[row % 1_000] for row in range(rows)],
        "price": np.random.default_rng(1).random(rows),
    }
    pq.write_table(pa.table(columns), root / "documents.parquet")
    (root / "shop").mkdir()
    documents, start = Documents(root, "shop"), time.process_time()
    documents.replace(open_source(root / "documents.parquet"))
    return documents.table(), time.process_time() - start


def requests(case: str, table: Table, held: dict[str, int], asked: int) -> Iterator[Row]:
    """Finding rows, and reading columns of them."""
    rng = np.random.default_rng(asked)
    inputs = [[f"doc-{row}" for row in rng.integers(0, len(held), asked)] for _ in range(ROUNDS)]
    found = interleaved(
        {"table": table.find, "dict": lambda ids: [held.get(name, -1) for name in ids]},
        inputs,
        time.thread_time,
    )
    yield Row(case, "find rows in a dictionary", found["dict"] * 1e3, "ms")
    yield Row(case, "find rows", found["table"] * 1e3, "ms", "a dictionary", found["dict"] / found["table"])
    places = [table.find(ids) for ids in inputs]
    for name in ("title", "body", "price"):
        taken = interleaved({name: partial(table.column, name)}, places, time.thread_time)
        yield Row(case, f"gather {name}", taken[name] * 1e3, "ms")
