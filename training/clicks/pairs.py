"""Queries with their documents, numbered, so that sums over a log are sums over whole numbers."""

from dataclasses import dataclass

import numpy as np

from features.columns import Rows
from features.errors import InvalidInput
from training.clicks.impressions import NOTHING, Impressions, Source

SHIFT = 32
WORTH_MERGING = 1_000_000
"""Keys that may wait to be merged; more, once more are known, so that each is merged a few times only."""


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Every (query, document) of a log.

    Attributes:
        keys: int64[n], rising: query · 2^32 + document.
    """

    keys: Rows

    @classmethod
    def of(cls, source: Source) -> "Pairs":
        """The pairs that a log shows.

        Raises:
            InvalidInput: if it shows none.
        """
        known, waiting = np.empty(0, np.int64), list[Rows]()
        for pages in source():
            waiting.append(np.unique(keys_of(pages)[pages.shown]))
            if sum(map(len, waiting)) > max(len(known), WORTH_MERGING):
                known, waiting = merged([known, *waiting]), []
        known = merged([known, *waiting])
        if not len(known):
            raise InvalidInput("the log shows no document", path="impressions")
        return cls(known)

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def query(self) -> Rows:
        """int64[n]."""
        queries: Rows = self.keys >> SHIFT
        return queries

    @property
    def document(self) -> Rows:
        """int64[n]."""
        documents: Rows = self.keys & ((1 << SHIFT) - 1)
        return documents

    def at(self, pages: Impressions) -> Rows:
        """int64[p, K]: the number of each pair shown; -1 for what is unknown or not there."""
        return self.find(np.where(pages.shown, keys_of(pages), NOTHING))

    def find(self, keys: Rows) -> Rows:
        """The numbers of the given keys; -1 for unknown ones."""
        near = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[near] == keys, near, NOTHING)


def keys_of(pages: Impressions) -> Rows:
    """int64[p, K]: query · 2^32 + document, of no meaning where nothing is shown."""
    keys: Rows = (pages.query[:, None] << SHIFT) + pages.documents
    return keys


def merged(keys: list[Rows]) -> Rows:
    """int64: all of the keys, each once, rising."""
    every: Rows = np.unique(np.concatenate(keys))
    return every
