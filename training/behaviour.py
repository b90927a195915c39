"""A collection's queries with what an event log tells of behaviour: the columns that serving would join.

Labels come from the collection, behaviour from the log. A query that says when it was asked (`now`, seconds
since 1970) sees what had arrived by then, by the functions that serve; any other sees the whole log, as it
stands at its end. A query that names a `user.id` or a `user.session_id` sees theirs.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cascade.eventlog.arrivals import Arrived
from cascade.eventlog.history import whole_log
from cascade.eventlog.layout import home_of
from cascade.events import MICROS
from cascade.profiles.context import wanted_context
from cascade.profiles.follow import rules_in
from cascade.profiles.join import NOW, Wanted, look_up, moment_us
from cascade.profiles.learn import learn_all
from cascade.profiles.memory import MemoryProfiles
from cascade.profiles.opening import beside, open_profiles
from cascade.profiles.rules import Rules
from features.batch import CandidateBatch
from features.columns import Column, Floats, Input, Kind
from features.errors import NotFound
from training.progress import Track, quiet

BATCH = 1_000


@dataclass(frozen=True, slots=True)
class LoggedBehaviour:
    """A tenant's part of an event log, and how behaviour becomes numbers."""

    root: Path
    tenant: str
    rules: Rules

    @classmethod
    def of(cls, root: Path, tenant: str) -> "LoggedBehaviour":
        """By the rules of the profiles that stand beside the log, or the default ones.

        Raises:
            NotFound: if the tenant has no log.
        """
        if not home_of(root, tenant).is_dir():
            raise NotFound(f"no events of tenant {tenant!r} under {root}", path="--log")
        if not beside(root).is_dir():
            return cls(root, tenant, Rules())
        store = open_profiles(str(beside(root)))
        try:
            return cls(root, tenant, rules_in(store, tenant))
        finally:
            store.close()

    def joined(
        self, batch: CandidateBatch, inputs: tuple[Input, ...], track: Track = quiet
    ) -> CandidateBatch:
        """The batch with the behaviour columns among the inputs; the others stay as they are."""
        wanted = Wanted.of(read.name for read in inputs)
        if not wanted:
            return batch
        narrow = replace(
            batch,
            columns={
                name: batch.columns[name]
                for one in wanted_context(inputs)
                for name in one
                if name in batch.columns
            },
            memo={},
        )
        made = {one.column: np.full(len(batch), np.nan, np.float32) for one in wanted.statistics}
        for query, columns in track(self._known(narrow, wanted), "behaviour", len(batch.queries)):
            rows = slice(batch.offsets[query], batch.offsets[query + 1])
            for name, values in columns.items():
                made[name][rows] = values
        return batch.with_columns({name: Column(Kind.NUMBER, values) for name, values in made.items()})

    def _known(self, batch: CandidateBatch, wanted: Wanted) -> Iterator[tuple[int, dict[str, Floats]]]:
        """(query, its columns), in the order of when they were asked."""
        store, waiting = MemoryProfiles(), Waiting(whole_log(home_of(self.root, self.tenant)))
        moments = [moment_us(query) if NOW in query.values else waiting.endless for query in batch.queries]
        for query in np.argsort(moments, kind="stable").tolist():
            for some in waiting.until(moments[query]):
                learn_all(store, self.tenant, some, self.rules)
            now_s = min(moments[query], waiting.last) / MICROS
            found = look_up(store, self.tenant, at(batch.only(query), now_s), wanted, self.rules)
            yield (
                query,
                {
                    name: found.columns[name].values
                    for name in (one.column for one in wanted.statistics)
                    if name in found.columns
                },
            )


def at(batch: CandidateBatch, now_s: float) -> CandidateBatch:
    """The batch of one query, asked at a moment unless it says another."""
    (query,) = batch.queries
    return replace(batch, queries=(replace(query, values={NOW: now_s, **query.values}),))


class Waiting:
    """Events that are still to be learned. `last`: the arrival of the last one that was handed out."""

    endless = 1 << 62

    def __init__(self, events: Iterator[Arrived]) -> None:
        self._events, self._next = events, next(events, None)
        self.last = 0

    def until(self, moment: int) -> Iterator[list[Arrived]]:
        """Those that arrived before a moment, some at a time."""
        some: list[Arrived] = []
        while self._next is not None and self._next.arrival < moment:
            self.last = self._next.arrival
            some.append(self._next)
            self._next = next(self._events, None)
            if len(some) >= BATCH:
                yield some
                some = []
        if some:
            yield some
