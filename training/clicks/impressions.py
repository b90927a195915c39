"""Result pages as arrays: the one form in which click models read a log, a row a page, a column a position.

A log larger than memory is a `Source`: a function that yields its parts anew each time it is called. Models
keep sums between parts and never a page.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.columns import Doubles, Rows
from features.errors import InvalidInput

Flags = NDArray[np.bool_]
NOTHING = -1
"""Where a page shows no document at a position."""

PART_PAGES = 100_000
LARGEST_ID = 2**31 - 1


@dataclass(frozen=True, slots=True, eq=False)
class Impressions:
    """p pages of at most K positions.

    Attributes:
        query: int64[p], below 2^31.
        documents: int64[p, K], below 2^31; -1 where the page shows nothing at that position.
        clicked: bool[p, K].
        weight: float64[p]: how many pages of the log this row stands for.
        group: int64[p]: device, surface or tenant, as a number.
        arm: int64[p]: the ranker that made the page, as a number.
    """

    query: Rows
    documents: Rows
    clicked: Flags
    weight: Doubles
    group: Rows
    arm: Rows

    @classmethod
    def of(
        cls, query: Any, documents: Any, clicked: Any, weight: Any = 1.0, group: Any = 0, arm: Any = 0
    ) -> "Impressions":
        """Checked pages; weight, group and arm may be one value for all.

        Raises:
            InvalidInput: for shapes that do not fit, ids out of range, or a click on an empty position.
        """
        shown = np.asarray(documents, np.int64)
        asked, clicks = np.asarray(query, np.int64), np.asarray(clicked, bool)
        if shown.ndim != 2 or clicks.shape != shown.shape or asked.shape != shown.shape[:1]:
            raise InvalidInput("pages need query[p], documents[p, K] and clicked[p, K]", path="impressions")
        if shown.size and (shown.max() > LARGEST_ID or shown.min() < NOTHING):
            raise InvalidInput("a document's number is not between -1 and 2^31", path="impressions.documents")
        if asked.size and (asked.max() > LARGEST_ID or asked.min() < 0):
            raise InvalidInput("a query's number is not between 0 and 2^31", path="impressions.query")
        if (clicks & (shown == NOTHING)).any():
            raise InvalidInput("a click where the page shows nothing", path="impressions.clicked")
        pages = len(asked)
        weights = np.broadcast_to(np.asarray(weight, np.float64), pages)
        groups, arms = (np.broadcast_to(np.asarray(each, np.int64), pages) for each in (group, arm))
        return cls(asked, shown, clicks, weights, groups, arms)

    def __len__(self) -> int:
        return len(self.query)

    @property
    def positions(self) -> int:
        """K."""
        return int(self.documents.shape[1])

    @property
    def shown(self) -> Flags:
        """bool[p, K]: where there is a document."""
        there: Flags = self.documents != NOTHING
        return there

    def take(self, pages: Any) -> "Impressions":
        """The given pages (int64 or bool), in the given order."""
        return Impressions(*(getattr(self, each.name)[pages] for each in fields(self)))

    def weighted(self, weight: Doubles) -> "Impressions":
        """The same pages with other weights."""
        return replace(self, weight=weight)

    def widened(self, positions: int) -> "Impressions":
        """The same pages with empty positions at the end."""
        room = ((0, 0), (0, positions - self.positions))
        documents = np.pad(self.documents, room, constant_values=NOTHING)
        return replace(self, documents=documents, clicked=np.pad(self.clicked, room))

    def compressed(self) -> "Impressions":
        """Pages that are equal in everything, clicks included, as one row with their summed weight."""
        columns = [self.query, self.group, self.arm, *self.documents.T, *_packed(self.clicked)]
        order, starts = _runs(columns)
        merged = self.take(order[starts])
        return merged.weighted(np.add.reduceat(self.weight[order], starts) if len(order) else merged.weight)


def _packed(clicked: Flags) -> list[Rows]:
    """The clicks of a page as few whole numbers."""
    packed: Rows = np.packbits(clicked, axis=1).astype(np.int64)
    return list(packed.T)


def _runs(columns: list[Rows]) -> tuple[Rows, Rows]:
    """An order in which equal rows stand together, and where each run of them starts."""
    mixed = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        mixed = (mixed ^ column.astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    order = np.argsort(mixed, kind="stable")
    fresh = np.ones(len(order), bool)
    fresh[1:] = np.logical_or.reduce([column[order][1:] != column[order][:-1] for column in columns])
    return order, np.flatnonzero(fresh)


Source = Callable[[], Iterable[Impressions]]
"""Yields the parts of a log, the same each time it is called."""


def parts(pages: Impressions, size: int = PART_PAGES) -> Source:
    """Pages in memory as a source of parts."""

    def source() -> Iterator[Impressions]:
        for start in range(0, len(pages), size):
            yield pages.take(slice(start, start + size))

    return source


def joined(many: Iterable[Impressions]) -> Impressions:
    """Parts as one, as wide as the widest."""
    every = list(many)
    if not every:
        raise InvalidInput("there is no page", path="impressions")
    width = max(each.positions for each in every)
    wide = [each.widened(width) for each in every]
    return Impressions(
        *(np.concatenate([getattr(each, one.name) for each in wide]) for one in fields(Impressions))
    )


def clicks_by_rank(source: Source) -> tuple[Doubles, Doubles]:
    """float64[K] impressions and clicks at each position."""
    shown, clicks = np.zeros(0), np.zeros(0)
    for pages in source():
        shown, clicks = (np.pad(each, (0, max(0, pages.positions - len(each)))) for each in (shown, clicks))
        shown[: pages.positions] += pages.weight @ pages.shown
        clicks[: pages.positions] += pages.weight @ pages.clicked
    return shown, clicks


def condensed(source: Source, most: int = 5_000_000) -> Source:
    """The same log, equal pages merged and held in memory, unless more than `most` distinct ones are left."""
    held: list[Impressions] = []
    for pages in source():
        held.append(pages.compressed())
        if sum(map(len, held)) > most:
            return source
    return parts(joined(held).compressed()) if held else source
