"""Logged pages through a candidate ranker: the features as they were computed, its stages, its order."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cascade.deadline import NEVER
from cascade.eventlog.hashing import Hashes, hash_column, mixed
from cascade.ranker import Ranker
from cascade.stage import SCORE
from features.batch import CandidateBatch, Query
from features.columns import Doubles, Flags, Rows
from features.errors import InvalidInput, NotReady
from features.matrix import FeatureMatrix
from training.clicks.impressions import NOTHING
from training.events.pages import actors
from training.events.schema import Logged, Pages
from training.offpolicy.slates import NOWHERE, Meaning, Slates, places_kept
from training.standing import Standing

WIDEST = 100
"""Places of a page that are read; the candidate reorders these."""

Number = TypeVar("Number", bound=np.generic)

REWARDS = ("click", "save", "cart", "purchase")


@dataclass(frozen=True, slots=True, eq=False)
class Replayed:
    """Some logged pages with the candidate's order, a row a page, a column a place.

    Attributes:
        reward, propensity: float64[p, K]. `rank`: int64[p, K], NOTHING where the page shows nothing.
        pair: uint64[p, K], hash of query and item. `cluster`: uint64[p].
    """

    reward: Doubles
    propensity: Doubles
    rank: Rows
    pair: Hashes
    cluster: Hashes


def check_replayable(ranker: Ranker) -> None:
    """Refuse a ranker whose stages read what a log does not hold.

    Raises:
        NotReady: naming the stage.
    """
    for step in ranker.steps:
        if step.stage.inputs:
            wanted = ", ".join(read.name for read in step.stage.inputs)
            raise NotReady(
                f"stage {step.spec.name!r} reads {wanted} of the candidates, and a log holds features alone;"
                " judge this ranker on labels (sluice evaluate --collection), or in an experiment"
            )


def order_of(ranker: Ranker, batch: CandidateBatch, matrix: FeatureMatrix) -> Rows:
    """int64[n]: the place, from 0, that the ranker gives each row within its page.

    Ties keep the order in which the page was shown: the request's own is not logged.
    """
    standing = Standing.as_sent(batch.offsets)
    wide = matrix
    for step in ranker.steps:
        rows = standing.alive
        part = batch.take(rows)
        scores = step.stage.score(part, wide.take(rows, part.offsets), NEVER).scores
        column = np.full(len(batch), np.nan, np.float32)
        column[rows] = scores
        wide = wide.with_column(SCORE + step.spec.name, column)
        standing = standing.scored(scores, step.spec.keep)
    rank = np.empty(len(batch), np.int64)
    rank[standing.order] = np.arange(len(batch)) - batch.offsets[standing.owner]
    return rank


@dataclass(slots=True)
class Replay:
    """A candidate over the parts of a log; what it cannot use, it counts.

    Attributes:
        ranker: the candidate. `reward`: which interaction counts, one of `REWARDS`.
        by_query: resample by query rather than by person.
        used, other_features, gaps: pages.
    """

    ranker: Ranker
    reward: str = "click"
    by_query: bool = False
    parts: list[Replayed] = field(default_factory=list)
    used: int = 0
    other_features: int = 0
    gaps: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be replayed, before the log is read."""
        check_replayable(self.ranker)
        if self.reward not in REWARDS:
            raise InvalidInput(f"there are {', '.join(REWARDS)}", path="--reward")

    def usable(self, pages: Pages, kept: Flags) -> tuple[Pages, Logged] | None:
        """Of the kept pages those with the candidate's own features, and these; None where there are none."""
        fingerprint = self.ranker.features.fingerprint
        found = [each for each in pages.features if each.fingerprint == fingerprint]
        known = np.zeros(pages.table.num_rows, bool)
        for each in found:
            known[each.rows] = True
        has = known[pages.offsets[:-1]] & kept
        self.other_features += int((kept & ~has).sum())
        regular = has & whole(pages)
        self.gaps += int((has & ~regular).sum())
        if not regular.any():
            return None
        return chosen(pages, found, regular, self.ranker.features.names)

    def add(self, pages: Pages, logged: Logged) -> None:
        """Replay pages with their features."""
        self.used += len(pages)
        texts = ["" if text is None else text for text in first(pages, "query").to_pylist()]
        ids = pages.table["candidate_id"].to_pylist()
        batch = CandidateBatch(tuple(map(Query, texts)), ids, pages.offsets)
        matrix = FeatureMatrix(logged.values, logged.names, pages.offsets, logged.fingerprint)
        self.parts.append(self._laid_out(pages, order_of(self.ranker, batch, matrix)))

    def _laid_out(self, pages: Pages, rank: Rows) -> Replayed:
        owner = pages.page_of_row
        place = np.arange(len(owner)) - pages.offsets[owner]
        width = int(np.diff(pages.offsets).max())
        spot = owner, place
        done = pages.table[f"n_{self.reward}"].to_numpy() > 0
        query = hash_column(pages.table["query"].cast(pa.string()))
        pair = mixed(query, hash_column(pages.table["candidate_id"]))
        cluster = query[pages.offsets[:-1]] if self.by_query else who(pages)
        return Replayed(
            reward=spread(done.astype(np.float64), spot, (len(pages), width), 0.0),
            propensity=spread(pages.table["propensity"].to_numpy(), spot, (len(pages), width), np.nan),
            rank=spread(rank, spot, (len(pages), width), NOTHING),
            pair=spread(pair, spot, (len(pages), width), 0),
            cluster=cluster,
        )

    def slates(self, depth: int, meaning: Meaning) -> Slates:
        """All pages that were replayed.

        Raises:
            NotReady: if there are none, saying why.
        """
        if not self.parts:
            raise NotReady(
                f"no page can be replayed: {self.other_features} have no features, or those of another set"
                f" than {self.ranker.features.fingerprint[:16]} (fingerprint), and {self.gaps} have gaps in"
                " their places; log pages with features (`log = true`), of a ranker with the same features"
            )
        width = max(each.rank.shape[1] for each in self.parts)
        rank = together([each.rank for each in self.parts], width, NOTHING)
        shown = rank != NOTHING
        target = np.where(shown, rank, NOWHERE)
        _, pair = np.unique(together([each.pair for each in self.parts], width, 0), return_inverse=True)
        _, cluster = np.unique(np.concatenate([each.cluster for each in self.parts]), return_inverse=True)
        return Slates(
            reward=together([each.reward for each in self.parts], width, 0.0),
            shown=shown,
            propensity=together([each.propensity for each in self.parts], width, np.nan),
            target=places_kept(target),
            rank=target,
            pair=pair.reshape(rank.shape),
            cluster=cluster,
            depth=min(depth, width),
            meaning=meaning,
        )


def whole(pages: Pages) -> Flags:
    """bool[q]: pages whose items stand at 1, 2, 3 …"""
    place = pages.table["position"].to_numpy() - 1
    owner = pages.page_of_row
    wrong = place != np.arange(len(place)) - pages.offsets[owner]
    good = np.ones(len(pages), bool)
    good[owner[wrong]] = False
    return good


def chosen(pages: Pages, found: list[Logged], kept: Flags, names: tuple[str, ...]) -> tuple[Pages, Logged]:
    """The kept pages, cut to the widest, with their features in the candidate's order."""
    owner = pages.page_of_row
    place = np.arange(len(owner)) - pages.offsets[owner]
    rows = np.flatnonzero(kept[owner] & (place < WIDEST))
    values = np.full((pages.table.num_rows, len(names)), np.nan, np.float32)
    for each in found:
        values[each.rows] = each.values[:, [each.names.index(name) for name in names]]
    sizes = np.minimum(np.diff(pages.offsets)[np.flatnonzero(kept)], WIDEST)
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    part = Pages(pages.table.take(pa.array(rows)), offsets)
    fingerprint = found[0].fingerprint
    return part, Logged(fingerprint, names, np.arange(len(rows)), values[rows])


def first(pages: Pages, name: str) -> pa.Array:
    """What a column says of each page."""
    return pages.table[name].take(pa.array(pages.offsets[:-1])).cast(pa.string())


def who(pages: Pages) -> Hashes:
    """uint64[q]: the person of each page: its user, or its session, or else the page."""
    names = ("request_id", "session", "user")
    return actors(pa.table({name: first(pages, name) for name in names}))


def spread(
    values: NDArray[Number], spot: tuple[Rows, Rows], shape: tuple[int, int], empty: float
) -> NDArray[Number]:
    """Values of rows as [page, place]."""
    made = np.full(shape, empty, values.dtype)
    made[spot] = values
    return made


def together(parts: Sequence[NDArray[Number]], width: int, empty: float) -> NDArray[Number]:
    """Parts of pages as one, as wide as the widest."""
    room = [((0, 0), (0, width - part.shape[1])) for part in parts]
    wide = [np.pad(part, pad, constant_values=empty) for part, pad in zip(parts, room, strict=True)]
    return np.concatenate(wide)
