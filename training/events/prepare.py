"""Parts of a log with their pages made and their interactions matched, kept until all parts are ready."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from training.events.match import Matched, matched
from training.events.pages import Shown, each_once, fits, laid_out
from training.events.rules import Counts
from training.events.shuffle import Part, read_ipc

Prepared = tuple[Shown, Matched]

PAGE, ITEM = "page", "item"


def prepared(part: Part) -> tuple[Prepared, Counts]:
    """Pages and interactions of a part, and what fell out on the way."""
    whole = part.impressions.filter(fits(part.impressions))
    pages = laid_out(each_once(whole))
    found = matched(part.interactions, pages)
    counts = Counts(
        impressions=len(part.impressions),
        interactions=len(part.interactions),
        broken_pages=len(part.impressions) - len(whole),
        duplicate_impressions=len(whole) - len(pages.table),
        duplicate_interactions=len(part.interactions) - len(found.table),
    )
    return (pages, found), counts


@dataclass(slots=True)
class Shelf:
    """Prepared parts, in memory where there is one, and else in a folder."""

    parts: int
    scratch: Path
    only: Prepared | None = None

    def put(self, number: int, part: Prepared) -> None:
        """Keep a part."""
        if self.parts == 1:
            self.only = part
            return
        pages, found = part
        matches = {PAGE: pa.array(found.page), ITEM: pa.array(found.item)}
        table = found.table
        for name, column in matches.items():
            table = table.append_column(name, column)
        for name, kept in (("pages", pages.table), ("interactions", table)):
            with pa.ipc.new_file(self.scratch / f"ready-{name}-{number}", kept.schema) as writer:
                writer.write_table(kept)

    def __iter__(self) -> Iterator[Prepared]:
        if self.only is not None:
            yield self.only
            return
        for number in range(self.parts):
            table = read_ipc(self.scratch / f"ready-interactions-{number}")
            page, item = (np.asarray(table[name]) for name in (PAGE, ITEM))
            time_us = table["time"].cast(pa.int64()).to_numpy()
            found = Matched(table.drop_columns([PAGE, ITEM]), time_us, page, item)
            yield laid_out(read_ipc(self.scratch / f"ready-pages-{number}").combine_chunks()), found
