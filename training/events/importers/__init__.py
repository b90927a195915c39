"""Other programs' logs as our events: one format a file, each a function from a path to events.

Ids that a format lacks are made of the record's content, so that a file that is imported twice counts once.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from cascade.events import Event
from training.events.importers import jsonl, metarank, parquet, ubi
from training.events.importers.shared import Problems

Reader = Callable[[list[Path], Mapping[str, str], Problems], Iterator[Event]]

FORMATS: dict[str, Reader] = {
    "metarank": metarank.read,
    "ubi": ubi.read,
    "jsonl": jsonl.read,
    "parquet": parquet.read,
}
"""Format → its reader: files, their names of our fields (ours → theirs), and where problems are told."""
