"""Where pages come from: the joined table of the event log, and Yandex's relevance prediction logs."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.columns import Rows
from features.errors import InvalidInput
from training.clicks.impressions import NOTHING, Impressions, Source
from training.events import schema as joined
from training.files import at, lines

Key = Callable[[pa.Table], Any]
"""What a query is to a click model: a string for every row of the joined table."""


@dataclass(slots=True)
class Names:
    """Strings and the numbers that they have in a log, in order of first appearance."""

    numbers: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.numbers)

    def numbered(self, values: Any) -> Rows:
        """int64[n]: the number of each string; only distinct ones are looked at one by one."""
        column = pa.chunked_array([values]) if isinstance(values, pa.Array) else values
        encoded = column.cast(pa.string()).combine_chunks()
        encoded = pc.fill_null(encoded, "").dictionary_encode()
        fresh = [self.numbers.setdefault(name, len(self.numbers)) for name in encoded.dictionary.to_pylist()]
        numbers: Rows = np.array(fresh, np.int64)[encoded.indices.to_numpy(zero_copy_only=False)]
        return numbers

    def find(self, names: Iterable[str]) -> Rows:
        """The numbers of the given strings; -1 for what the log does not have."""
        return np.array([self.numbers.get(name, NOTHING) for name in names], np.int64)


def by_text(table: pa.Table) -> Any:
    """A query is its text, within its tenant."""
    return pc.binary_join_element_wise(*(table[name].cast(pa.string()) for name in ("tenant", "query")), "\0")


def by_ranker(table: pa.Table) -> Any:
    """An arm is a ranker's version within an arm of an experiment."""
    parts = [table[name].cast(pa.string()) for name in ("ranker", "version", "arm")]
    return pc.binary_join_element_wise(*parts, "\0")


@dataclass(slots=True)
class JoinedReader:
    """Reads the joined table (`training/events/schema.py`) as pages, and remembers which string is which
    number.

    Attributes:
        deepest: positions below are left out.
        query_of, arm_of: what tells queries, and rankers, apart.
        group_of: what tells groups apart, such as a tenant; None = all pages are one group.
    """

    deepest: int = 50
    query_of: Key = by_text
    arm_of: Key = by_ranker
    group_of: Key | None = None
    queries: Names = field(default_factory=Names)
    documents: Names = field(default_factory=Names)
    groups: Names = field(default_factory=Names)
    arms: Names = field(default_factory=Names)

    def read(self, pages: joined.Pages) -> Impressions:
        """A part of the table as a part of a source. Items that share a position count once, the first one.

        Raises:
            InvalidInput: for a position below 1.
        """
        table, owner = pages.table, pages.page_of_row
        place = table["position"].to_numpy().astype(np.int64) - 1
        if len(place) and place.min() < 0:
            raise InvalidInput("positions count from 1", path="joined.position")
        kept = np.flatnonzero(place < self.deepest)[
            ::-1
        ]  # backwards, so that the first of equals is written last
        width = int(place[kept].max(initial=0)) + 1
        documents = np.full((len(pages), width), NOTHING, np.int64)
        clicked = np.zeros(documents.shape, bool)
        spot = owner[kept], place[kept]
        documents[spot] = self.documents.numbered(table["candidate_id"])[kept]
        clicked[spot] = table["clicked"].to_numpy(zero_copy_only=False).astype(bool)[kept]
        first = table.take(pages.offsets[:-1])
        query, arm = self.queries.numbered(self.query_of(first)), self.arms.numbered(self.arm_of(first))
        group = self.groups.numbered(self.group_of(first)) if self.group_of else 0
        return Impressions.of(query, documents, clicked, group=group, arm=arm)

    def source(self, many: Callable[[], Iterable[joined.Pages]]) -> Source:
        """The parts of a table as a source."""
        return lambda: (self.read(pages) for pages in many())


def read_yandex(path: Path) -> Impressions:
    """Pages of `serps.train.gz`: `query<TAB>doc1,…,doc10 : clicked , clicked;`, all on few long lines.

    Clicks on documents that the page does not show (some hundreds) are left out; a document that is clicked
    twice is clicked.

    Raises:
        InvalidInput: naming the line for a record in another form.
    """
    queries, documents = Names(), Names()
    asked, shown, clicked = [], [], []
    for query, page, clicks in records(path):
        asked.append(query)
        shown.append(page)
        clicked.append([document in clicks for document in page])
    if len({len(page) for page in shown}) != 1:
        raise InvalidInput("pages are not all of one length", path=str(path))
    flat = pa.array([document for page in shown for document in page])
    numbers = documents.numbered(flat).reshape(len(shown), -1)
    return Impressions.of(queries.numbered(pa.array(asked)), numbers, clicked)


def records(path: Path) -> Iterator[tuple[str, list[str], set[str]]]:
    """(query, documents, clicked documents) of every page."""
    for number, line in lines(path):
        for record in filter(None, map(str.strip, line.split(";"))):
            query, tab, rest = record.partition("\t")
            page, colon, clicks = rest.partition(":")
            if not tab or not colon:
                raise InvalidInput(f"not a page: {record[:60]!r}", path=at(path, number))
            yield query, [one.strip() for one in page.split(",")], set(clicks.replace(",", " ").split())
