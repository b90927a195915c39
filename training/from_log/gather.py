"""The pages of a ranker out of the join: those that hold the features that are to be learned from."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from cascade.eventlog.hashing import Hashes
from features.columns import Doubles, Flags, Floats, Rows
from features.errors import NotReady
from training.clicks.readers import Names
from training.events.compose import spread
from training.events.schema import Logged, Pages
from training.from_log.pages import LogPages
from training.from_log.segments import frequent, value_of
from training.from_log.settings import Learning
from training.from_log.values import done_with, values_of
from training.offpolicy.replay import first, who


@dataclass(frozen=True, slots=True)
class Wanted:
    """What pages must have to be learned from.

    Attributes:
        ranker: that ranked them.
        fingerprints: of feature sets that will do; the first one is the ranker's own.
        features: their columns, all of them needed.
        scores: further columns, `stage.<name>`; missing where a page lacks them.
    """

    ranker: str
    fingerprints: tuple[str, ...]
    features: tuple[str, ...]
    scores: tuple[str, ...] = ()

    def takes(self, logged: Logged) -> bool:
        """Whether a feature set of the log will do."""
        return logged.fingerprint in self.fingerprints and set(self.features) <= set(logged.names)


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """The usable pages of a part of the join, as arrays along pages and items."""

    sizes: Rows
    values: Floats
    place: Rows
    document: Rows
    query: Rows
    time_us: Rows
    actor: Hashes
    segment: Rows
    done: Mapping[str, Rows]
    client_s: Doubles
    server_s: Doubles


@dataclass(slots=True)
class Gatherer:
    """Parts of a join, one by one; what cannot be used is counted.

    Attributes:
        others, unlike, surplus: pages of other rankers; without the wanted features; beyond `most_rows`.
        versions: of the ranker → pages that were used.
    """

    wanted: Wanted
    learning: Learning
    queries: Names = field(default_factory=Names)
    documents: Names = field(default_factory=Names)
    segments: Names = field(default_factory=Names)
    pieces: list[Piece] = field(default_factory=list)
    others: int = 0
    unlike: int = 0
    surplus: int = 0
    rows: int = 0
    fingerprints: set[str] = field(default_factory=set)
    versions: dict[str, int] = field(default_factory=dict)

    def add(self, pages: Pages) -> None:
        """A part. Pages come in random order, so that the first ones that fit are a sample of all."""
        ours = np.array([name == self.wanted.ranker for name in first(pages, "ranker").to_pylist()], bool)
        self.others += int((~ours).sum())
        self.fingerprints |= {each.fingerprint for each in pages.features}
        values, has = self._features(pages)
        usable = ours & has[pages.offsets[:-1]]
        self.unlike += int((ours & ~usable).sum())
        chosen = np.flatnonzero(usable)
        room = self.rows + np.cumsum(np.diff(pages.offsets)[chosen]) <= self.learning.most_rows
        self.surplus += int((~room).sum())
        if room.any():
            self._keep(pages, chosen[room], values)

    def _features(self, pages: Pages) -> tuple[Floats, Flags]:
        """(float32[n, k] of the wanted columns, bool[n]: the rows that have them)."""
        names = (*self.wanted.features, *self.wanted.scores)
        values = np.full((pages.table.num_rows, len(names)), np.nan, np.float32)
        has = np.zeros(len(values), bool)
        for each in filter(self.wanted.takes, pages.features):
            there = [name for name in names if name in each.names]
            at, columns = ([where.index(name) for name in there] for where in (names, each.names))
            values[each.rows[:, None], at] = each.values[:, columns]
            has[each.rows] = True
        return values, has

    def _keep(self, pages: Pages, chosen: Rows, values: Floats) -> None:
        sizes = np.diff(pages.offsets)[chosen]
        rows = spread(pages.offsets, chosen, sizes)
        place = pages.table["position"].to_numpy().astype(np.int64)[rows] - 1
        shallow = (place >= 0) & (place < self.learning.deepest)
        owner = np.repeat(np.arange(len(chosen)), sizes)[shallow]
        rows = rows[shallow]
        table = pages.table.take(pa.array(rows))
        times = first_times(pages)
        self.pieces.append(
            Piece(
                sizes=np.bincount(owner, minlength=len(chosen)),
                values=values[rows],
                place=place[shallow],
                document=self.documents.numbered(table["candidate_id"]),
                query=self.queries.numbered(first(pages, "query").take(pa.array(chosen))),
                time_us=times[chosen],
                actor=who(pages)[chosen],
                segment=self._segment(pages, chosen),
                done=done_with(table, self.learning.rules),
                client_s=table["dwell_client"].to_numpy().astype(np.float64),
                server_s=table["dwell_server"].to_numpy().astype(np.float64),
            )
        )
        self.rows += int(sizes.sum())
        for version in first(pages, "version").take(pa.array(chosen)).to_pylist():
            self.versions[version] = self.versions.get(version, 0) + 1

    def _segment(self, pages: Pages, chosen: Rows) -> Rows:
        """The number of the value by which the chosen pages are told apart."""
        told = first(pages, "values").take(pa.array(chosen)).to_pylist()
        return self.segments.numbered(
            pa.array([value_of(one or "", self.learning.by) for one in told], pa.string())
        )

    def whole(self) -> LogPages:
        """All of it.

        Raises:
            NotReady: if no page can be used, saying why.
        """
        if not self.pieces:
            raise NotReady(self._nothing(), path="--log")
        sizes = joined([one.sizes for one in self.pieces])
        page = np.repeat(np.arange(len(sizes)), sizes)
        query = joined([one.query for one in self.pieces])
        actor = joined([one.actor for one in self.pieces])
        _, user = np.unique(actor, return_inverse=True)
        names = tuple(self.segments.numbers)
        segment, segments = frequent(joined([one.segment for one in self.pieces]), names, self.learning.by)
        done = {name: joined([one.done[name] for one in self.pieces]) for name in self.learning.rules.weights}
        client, server = (joined([getattr(one, f"{side}_s") for one in self.pieces]) for side in SIDES)
        return LogPages(
            offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            values=joined([one.values for one in self.pieces]),
            names=(*self.wanted.features, *self.wanted.scores),
            fingerprint=self.wanted.fingerprints[0],
            worth=values_of(self.learning.rules, done, client, server, query[page], user[page]),
            place=joined([one.place for one in self.pieces]),
            document=joined([one.document for one in self.pieces]),
            query=query,
            time_us=joined([one.time_us for one in self.pieces]),
            actor=actor,
            texts=tuple(self.queries.numbers),
            ids=tuple(self.documents.numbers),
            segment=segment if self.learning.by else None,
            segments=segments,
        )

    def _nothing(self) -> str:
        """Why there is nothing, and the way out."""
        mine = self.wanted.fingerprints[0]
        if not self.unlike:
            others = f" ({self.others} pages of other rankers)" if self.others else ""
            return (
                f"the window holds no page that {self.wanted.ranker!r} ranked{others}; widen it (--since,"
                " --until), or wait until there are some"
            )
        there = ", ".join(sorted(one[:16] for one in self.fingerprints)) or "none"
        return (
            f"{self.unlike} pages of {self.wanted.ranker!r} hold no features of the set {mine[:16]}"
            f" (fingerprints in the log: {there}); give the promoted bundle's own cascade.toml as --config,"
            " log features (`log = true`) with the version that serves, or, for an imported log whose columns"
            " are the config's features, name its fingerprint in `accept` of --behaviour FILE"
        )


SIDES = ("client", "server")


def joined(parts: list[Any]) -> Any:
    """One array out of several."""
    return np.concatenate(parts)


def first_times(pages: Pages) -> Rows:
    """int64[q]: microseconds since 1970."""
    times: Rows = pages.table["time"].take(pa.array(pages.offsets[:-1])).cast(pa.int64()).to_numpy()
    return times


def gather(join: Iterable[Pages], wanted: Wanted, learning: Learning) -> tuple[LogPages, Gatherer]:
    """The pages of a join that can be learned from, and what became of the others.

    Raises:
        NotReady: if there is none.
    """
    gatherer = Gatherer(wanted, learning)
    for pages in join:
        gatherer.add(pages)
    return gatherer.whole(), gatherer
