"""Profiles into the columns of a batch: one read of a store, then arithmetic over all candidates at once.

The columns are those of `features/behaviour.py`. A count of something that is not in the store is 0, which is
known; a column is left out, and so missing, where the request names no such user or session.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cascade.events import MICROS
from cascade.profiles.book import read_totals, ttl_of
from cascade.profiles.context import halved
from cascade.profiles.keys import ITEM, OF_OWNER, TOTALS, Key, key_of, query_name
from cascade.profiles.owner import Profile, Shelf, decode
from cascade.profiles.rules import Rules
from cascade.profiles.store import ProfileStore, Values
from cascade.profiles.tally import EMPTY, Faded, Tally, faded
from features.batch import CandidateBatch, Query
from features.behaviour import AS_OF, OWNERS, Statistic, statistic_of
from features.columns import Column, Doubles, Floats, Kind
from features.keywords import coded
from features.kinds.recency import seconds_of
from features.segments import reduce
from features.vectors import cosines

NOW = "now"
"""Query value: the moment of the request, in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a ranker wants to know of behaviour."""

    statistics: tuple[Statistic, ...]

    @classmethod
    def of(cls, columns: Iterable[str]) -> "Wanted":
        """The statistics among column names."""
        found = (statistic_of(name) for name in columns)
        return cls(tuple(dict.fromkeys(one for one in found if one)))

    def __bool__(self) -> bool:
        return bool(self.statistics)

    def owners(self, query: Query) -> dict[str, str]:
        """Kind of owner → name, of those that are wanted and that the query names."""
        named = {
            "user": str(query.values.get("user.id", "")),
            "session": str(query.values.get("user.session_id", "")),
            "query": query_name(query.text),
        }
        wanted = {one.owner for one in self.statistics}
        return {kind: named[kind] for kind in OWNERS if kind in wanted and named[kind]}

    @property
    def items(self) -> bool:
        """Whether the items' own counts are wanted."""
        return any(one.scope == "item" for one in self.statistics)


def keys_for(batch: CandidateBatch, wanted: Wanted) -> list[Key]:
    """What to read for the one query of a batch: totals, owners, items."""
    owners = [key_of(OF_OWNER[kind], name) for kind, name in wanted.owners(batch.queries[0]).items()]
    items = [key_of(ITEM, item) for item in batch.ids] if wanted.items else []
    return [TOTALS, *owners, *items]


def look_up(
    store: ProfileStore, tenant: str, batch: CandidateBatch, wanted: Wanted, rules: Rules
) -> CandidateBatch:
    """A batch of one query with its behaviour columns, and with the moment they are of as a query value.

    Raises:
        Unavailable: if the store is out of reach.
    """
    return joined(batch, wanted, store.read(tenant, keys_for(batch, wanted)), rules)


def joined(batch: CandidateBatch, wanted: Wanted, values: Values, rules: Rules) -> CandidateBatch:
    """The batch with the columns made of the values of `keys_for`; columns that it has already stay."""
    query = batch.queries[0]
    totals = read_totals(values[0])
    columns = Reader(batch, values, totals.tally, wanted.owners(query), rules, moment_us(query)).columns(
        wanted
    )
    known = replace(query, values={**query.values, AS_OF: totals.arrival})
    made = {name: column for name, column in columns.items() if name not in batch.columns}
    return replace(batch.with_columns(made), queries=(known,))


def moment_us(query: Query) -> int:
    """The moment of a request, in microseconds.

    Raises:
        InvalidInput: if the query says it, and it is no time.
    """
    return int(seconds_of(query.values.get(NOW, 0.0), f'query.values["{NOW}"]') * MICROS)


class Reader:
    """The profiles of one request, decoded once."""

    def __init__(
        self,
        batch: CandidateBatch,
        values: Values,
        totals: Tally,
        owners: dict[str, str],
        rules: Rules,
        now_us: int,
    ) -> None:
        self._batch, self._totals, self._rules, self._now = batch, totals, rules, now_us
        self._owners: dict[str, Profile] = {
            kind: decode(value, now_us, ttl_of(kind, rules))
            for kind, value in zip(owners, values[1:], strict=False)
        }
        self._items = [value or EMPTY for value in values[1 + len(owners) :]]
        self._read: dict[tuple[str, str], Faded] = {}

    def columns(self, wanted: Wanted) -> dict[str, Column]:
        """Every column that can be made."""
        made: dict[str, Column] = {}
        for one in wanted.statistics:
            if one.scope in ("tenant", "item") or one.owner in self._owners:
                made[one.column] = Column(Kind.NUMBER, self._values(one))
        return made

    def _values(self, one: Statistic) -> Floats:
        if one.scope.endswith("_vector"):
            return self._cosines(one)
        counts = self._faded(one).of(one.signal, one.window)
        if one.scope.endswith("_field"):
            counts = self._pooled(one, counts)
        elif len(counts) != len(self._batch) or one.scope in ("tenant", *OWNERS):
            counts = np.broadcast_to(counts, (len(self._batch),))
        return np.ascontiguousarray(counts, np.float32)

    def _faded(self, one: Statistic) -> Faded:
        key = (one.scope, one.field)
        if key not in self._read:
            ttl = ttl_of(one.owner, self._rules)
            self._read[key] = faded(self._tallies(one), self._now, self._rules, ttl)
        return self._read[key]

    def _tallies(self, one: Statistic) -> Sequence[Tally]:
        if one.scope == "tenant":
            return [self._totals]
        if one.scope == "item":
            return self._items
        profile = self._owners[one.owner]
        if one.scope.endswith("_item"):
            return named(profile.items, self._batch.ids)
        if one.scope.endswith("_field"):
            return named(profile.fields.get(one.field, Shelf()), coded(self._batch, one.field).distinct)
        return [profile.totals]

    def _pooled(self, one: Statistic, counts: Doubles) -> Doubles:
        """float64[n]: summed over each candidate's values; NaN for none."""
        keywords = coded(self._batch, one.field)
        return reduce(np.add, counts[keywords.codes], keywords.offsets, np.nan)

    def _cosines(self, one: Statistic) -> Floats:
        out = np.full(len(self._batch), np.nan, np.float32)
        own = self._owners[one.owner].vectors.get(one.field)
        rows = halved(self._batch, one.field)
        if own is None or rows.shape[1] != len(own.of(one.window)):
            return out
        owner = np.zeros(len(rows), np.int64)
        cosines(rows, np.array(own.of(one.window), np.float32)[None], owner, out)
        return out


def named(shelf: Shelf, names: Sequence[str]) -> list[Tally]:
    """The tallies of some names."""
    return [shelf.entries.get(name, EMPTY) for name in names]
