"""Logged pages in memory as the learner reads them: features as logged, what was done, when and by whom."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from cascade.eventlog.hashing import Hashes
from features.batch import CandidateBatch, Query
from features.columns import Doubles, Flags, Floats, Rows
from features.matrix import FeatureMatrix
from training.clicks.impressions import NOTHING, Impressions
from training.events.compose import spread
from training.split import normal


@dataclass(frozen=True, slots=True, eq=False)
class LogPages:
    """q pages with n shown items, page by page from the top.

    Attributes:
        offsets: int64[q + 1].
        values: float32[n, k], the columns `names`; NaN = missing. `fingerprint`: of the feature set.
        worth: float64[n], 0 to 1, of what was done with the item; 0 = nothing that counts.
        place: int64[n], from 0. `document`: int64[n], a number an id.
        query, time_us: int64[q]. `actor`: uint64[q], hash of who saw the page.
        texts, ids: the queries' texts and the documents' ids by their numbers.
        segment: int64[q] into `segments`, such as devices; None = pages are not told apart.
    """

    offsets: Rows
    values: Floats
    names: tuple[str, ...]
    fingerprint: str
    worth: Doubles
    place: Rows
    document: Rows
    query: Rows
    time_us: Rows
    actor: Hashes
    texts: tuple[str, ...]
    ids: tuple[str, ...]
    segment: Rows | None = None
    segments: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def sizes(self) -> Rows:
        """int64[q]."""
        sizes: Rows = np.diff(self.offsets)
        return sizes

    @property
    def page_of_row(self) -> Rows:
        """int64[n]."""
        return np.repeat(np.arange(len(self)), self.sizes)

    @property
    def clicked(self) -> Flags:
        """bool[n]: something that counts was done."""
        flags: Flags = self.worth > 0
        return flags

    @property
    def tells(self) -> Flags:
        """bool[q]: pages with something done, and something else to compare it with."""
        found: Flags = (np.bincount(self.page_of_row, self.clicked, len(self)) > 0) & (self.sizes > 1)
        return found

    def column(self, name: str) -> Floats:
        """float32[n]."""
        found: Floats = self.values[:, self.names.index(name)]
        return found

    def pages(self, chosen: Rows) -> "LogPages":
        """The given pages, in the given order."""
        sizes = self.sizes[chosen]
        part = self._rows(spread(self.offsets, chosen, sizes), sizes)
        segment = None if self.segment is None else self.segment[chosen]
        return replace(
            part,
            query=self.query[chosen],
            time_us=self.time_us[chosen],
            actor=self.actor[chosen],
            segment=segment,
        )

    def rows(self, kept: Flags) -> "LogPages":
        """The rows that are marked; all pages are kept, some perhaps empty."""
        sizes = np.bincount(self.page_of_row[kept], minlength=len(self))
        return self._rows(np.flatnonzero(kept), sizes)

    def with_columns(self, columns: Mapping[str, Floats]) -> "LogPages":
        """The same rows with further columns, or others in place of those of the same name."""
        kept = [at for at, name in enumerate(self.names) if name not in columns]
        values = np.concatenate([self.values[:, kept], *(one[:, None] for one in columns.values())], axis=1)
        names = (*(self.names[at] for at in kept), *columns)
        return replace(self, values=values.astype(np.float32, copy=False), names=names)

    def _rows(self, rows: Rows, sizes: Rows) -> "LogPages":
        return replace(
            self,
            offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            values=self.values[rows],
            worth=self.worth[rows],
            place=self.place[rows],
            document=self.document[rows],
        )

    def matrix(self, names: Iterable[str]) -> FeatureMatrix:
        """The named columns."""
        wanted = tuple(names)
        whole = FeatureMatrix(self.values, self.names, self.offsets, self.fingerprint)
        return FeatureMatrix(whole.select(wanted), wanted, self.offsets, self.fingerprint)

    def batch(self) -> CandidateBatch:
        """The pages as queries with candidates, of which nothing but the ids is known."""
        asked = tuple(Query(self.texts[number]) for number in self.query.tolist())
        return CandidateBatch(asked, [self.ids[number] for number in self.document.tolist()], self.offsets)

    def impressions(self) -> Impressions:
        """The pages as click models read them."""
        shape = len(self), int(self.place.max(initial=0)) + 1
        documents, clicked = np.full(shape, NOTHING, np.int64), np.zeros(shape, bool)
        spot = self.page_of_row, self.place
        documents[spot], clicked[spot] = self.document, self.clicked
        return Impressions.of(
            self.query, documents, clicked, group=0 if self.segment is None else self.segment
        )

    def groups(self) -> Rows:
        """int64[q]: pages of queries that say the same hang together."""
        known: dict[str, int] = {}
        numbers = np.array([known.setdefault(normal(text), len(known)) for text in self.texts], np.int64)
        found: Rows = numbers[self.query]
        return found
