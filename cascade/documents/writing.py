"""Chunks into a part on the disk."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from cascade.documents.index import MOST_ROWS, Hashes, Ids, Index
from cascade.documents.notes import PartNotes
from cascade.documents.part import ARRAYS, ROWS
from cascade.documents.source import Columns, schema_of
from cascade.files import sync_tree
from features.errors import InvalidInput

BATCH_BYTES = 128 << 20
"""Of a record batch."""


def write_part(home: Path, name: str, columns: Columns, chunks: Iterable[Any], seed: int) -> PartNotes:
    """A part of documents, on the disk on return; nothing names it yet.

    Raises:
        InvalidInput: for an id that comes twice, or more rows than a part has room for.
    """
    folder = home / name
    folder.mkdir()
    schema = schema_of(columns)
    ids: list[Any] = []
    with pa.OSFile(str(folder / ROWS), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        for chunk in coalesced(chunks):
            ids.append(chunk.column(0))
            writer.write_batch(pa.RecordBatch.from_arrays(chunk.columns[1:], schema=schema))
    return finished(folder, ids, seed, removed=False)


def write_removed(home: Path, name: str, ids: Any, seed: int) -> PartNotes:
    """A part that says of documents that they are no longer there."""
    folder = home / name
    folder.mkdir()
    return finished(folder, [ids], seed, removed=True)


def finished(folder: Path, ids: list[Any], seed: int, removed: bool) -> PartNotes:
    """The index of a part, and its notes."""
    whole = packed(ids)
    if len(whole) > MOST_ROWS:
        raise InvalidInput(f"{len(whole)} documents are more than the {MOST_ROWS} of a part")
    hashes = whole.hashes(seed)
    refuse_twins(whole, hashes)
    index = Index.build(hashes)
    arrays: tuple[Any, ...] = (whole.data, whole.starts, index.keys, index.slots)
    for (name, dtype), array in zip(ARRAYS.items(), arrays, strict=True):
        array.astype(dtype, copy=False).tofile(folder / name)
    sync_tree(folder)
    sizes = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
    return PartNotes(folder.name, len(whole), sizes, removed)


def packed(pieces: list[Any]) -> Ids:
    """Arrow arrays of ids as one, without what they are slices of."""
    parts = [Ids.of(piece) for piece in pieces]
    data = [part.data[part.starts[0] : part.starts[-1]] for part in parts]
    lengths = [np.diff(part.starts) for part in parts]
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.concatenate(lengths))])
    return Ids(frozen(np.concatenate(data)), frozen(starts))


def frozen(array: Any) -> Any:
    """Read-only, as arrays over Arrow's and mapped memory are: kernels are compiled for these alone."""
    array.flags.writeable = False
    return array


def refuse_twins(ids: Ids, hashes: Hashes) -> None:
    """Refuse an id that comes twice."""
    order = np.argsort(hashes, kind="stable")
    sorted_hashes = hashes[order]
    for at in np.flatnonzero(sorted_hashes[1:] == sorted_hashes[:-1]).tolist():
        first, second = int(order[at]), int(order[at + 1])
        if ids[first] == ids[second]:
            raise InvalidInput(f"{ids[second]!r} is also the id of row {first}", path=f"[{second}]")


def coalesced(chunks: Iterable[Any]) -> Iterator[Any]:
    """The same rows in as few chunks as memory allows: every one of them costs a request some
    microseconds."""
    held: list[Any] = []
    for chunk in chunks:
        held += [chunk] if len(chunk) else []
        if sum(piece.nbytes for piece in held) >= BATCH_BYTES:
            yield as_one(held)
            held = []
    if held:
        yield as_one(held)


def as_one(chunks: list[Any]) -> Any:
    """Chunks as one."""
    if len(chunks) == 1:
        return chunks[0]
    return pa.Table.from_batches(chunks).combine_chunks().to_batches()[0]
