"""What each stage of a version earns, from the pages that it ranked: the lifts of `cascade.lift` over a log.

Examination comes from swaps in the log where there are enough, and else from what training found. A log in
which nothing was ever moved, ranked by a version whose training knew no log, tells nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow.compute as pc

from cascade.lift.curve import DEEPEST
from cascade.lift.facts import Facts, stage_scores
from cascade.lift.tally import BAGS, Tally
from cascade.lift.verdict import Lift, lifts
from cascade.lift.worth import worth
from features.columns import Doubles, Flags, Floats, Rows
from features.errors import InvalidInput
from training.clicks.impressions import Impressions
from training.clicks.readers import JoinedReader
from training.events.schema import Pages
from training.offpolicy.compare import swaps
from training.offpolicy.replay import first, who, whole

MOST_PAGES = 1_000_000
"""Of a version. Pages come in random order, so that these are a sample."""
LEAST_CLICKS = 100.0
"""At a place, of documents seen at others too, weighed by precision: for fewer its θ is not told."""

SWAPS, TRAINING, NOTHING = "swaps in the log", "the version's training", ""


@dataclass(frozen=True, slots=True, eq=False)
class StageLifts:
    """What a log says of a version's stages.

    Attributes:
        examination: θ by place; empty = not known. `source`: what told it; `why`: why swaps did not.
        lifts: one a stage; none where examination is not known.
        pages: that were used; `left_out`: why others of the version were not → pages.
    """

    examination: tuple[float, ...]
    source: str
    why: str
    lifts: tuple[Lift, ...]
    pages: int
    left_out: Mapping[str, int]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Pages as their items: float32[n, s] scores, int64[q] sizes, bool[n] clicks, int64[q] bags."""

    scores: Floats
    sizes: Rows
    clicked: Flags
    bag: Rows


@dataclass(slots=True)
class LiftReader:
    """Reads the joined table, with features, of a tenant.

    Attributes:
        ranker, version: whose stages; swaps are those of all the ranker's versions.
        facts: of the version.
        complete: pages that every stage scored.
        unscored, gaps, surplus: pages of the version without stages' scores, with gaps in their places, and
            beyond the most that are read.
    """

    ranker: str
    version: str
    facts: Facts
    reader: JoinedReader = field(default_factory=lambda: JoinedReader(deepest=DEEPEST))
    seen: list[Impressions] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    pages: int = 0
    complete: int = 0
    unscored: int = 0
    gaps: int = 0
    surplus: int = 0

    def add(self, pages: Pages) -> None:
        """A part of the log."""
        ours = is_called(pages, "ranker", self.ranker)
        if ours.any():
            self.seen.append(self.reader.read(pages).take(ours).compressed())
        mine = ours & is_called(pages, "version", self.version)
        scores, scored = self._scores(pages)
        regular = whole(pages)
        self.unscored += int((mine & ~scored).sum())
        self.gaps += int((mine & scored & ~regular).sum())
        usable = np.flatnonzero(mine & scored & regular)
        room = max(0, MOST_PAGES - self.pages)
        self.surplus += max(0, len(usable) - room)
        if len(usable[:room]):
            self._keep(pages, usable[:room], scores)

    def found(self) -> StageLifts:
        """What it all comes to."""
        curve, why = measured(self.seen)
        source = SWAPS if curve is not None else TRAINING if self.facts.curve is not None else NOTHING
        curve = self.facts.curve if curve is None else curve
        left_out = {
            "without stages' scores": self.unscored,
            "with gaps in their places": self.gaps,
            "beyond a sample": self.surplus,
        }
        told = () if curve is None else lifts(self._tallied(curve))
        theta = () if curve is None else tuple(curve.tolist())
        return StageLifts(theta, source, why, told, self.pages, left_out)

    def _scores(self, pages: Pages) -> tuple[Floats, Flags]:
        """(float32[n, s], bool[q]: pages with features, among which every stage that ran has its score)."""
        scores = np.full((pages.table.num_rows, len(self.facts.stages)), np.nan, np.float32)
        known = np.zeros(pages.table.num_rows, bool)
        for logged in pages.features:
            scores[logged.rows] = stage_scores(logged.values, logged.names, self.facts.stages)
            known[logged.rows] = True
        return scores, known[pages.offsets[:-1]]

    def _keep(self, pages: Pages, chosen: Rows, scores: Floats) -> None:
        self.pages += len(chosen)
        owner = pages.page_of_row
        place = np.arange(len(owner)) - pages.offsets[owner]
        ran = np.zeros((len(pages), scores.shape[1]), bool)
        np.logical_or.at(ran, owner, ~np.isnan(scores))
        self.complete += int(ran[chosen].all(axis=1).sum())
        rows = np.flatnonzero(np.isin(owner, chosen) & (place < DEEPEST))
        clicked = pages.table["clicked"].to_numpy(zero_copy_only=False).astype(bool)
        sizes = np.minimum(np.diff(pages.offsets)[chosen], DEEPEST)
        bag = (who(pages)[chosen] % np.uint64(BAGS)).astype(np.int64)
        self.parts.append(Part(scores[rows], sizes, clicked[rows], bag))

    def _tallied(self, curve: Doubles) -> Tally:
        tally = Tally(self.facts.stages)
        for part in self.parts:
            page = np.repeat(np.arange(len(part.sizes)), part.sizes)
            kept = np.arange(len(page)) - np.searchsorted(page, page) < len(curve)
            made = worth(part.scores[kept], page[kept], curve)
            tally.show(made, part.bag)
            tally.clicks(made, part.bag, np.flatnonzero(part.clicked[kept]))
        return tally


def measured(seen: list[Impressions]) -> tuple[Doubles | None, str]:
    """(θ as far down as swaps tell it, "") or (None, why they do not)."""
    if not seen:
        return None, "there are no pages"
    try:
        harvest = swaps(seen)
        curve = harvest.propensity()
    except InvalidInput as error:
        return None, error.message
    firm = (curve > 0) & (harvest.clicks.sum(axis=1) >= LEAST_CLICKS)
    known = int(np.logical_and.accumulate(firm).sum())
    if known < 2:
        return None, (
            f"fewer than {LEAST_CLICKS:.0f} clicks on documents that were seen at place 1 and at place 2;"
            " explore, swap places, or interleave (`sluice experiment`)"
        )
    return curve[:known], ""


def is_called(pages: Pages, column: str, name: str) -> Flags:
    """bool[q]: pages whose column says so."""
    there: Flags = pc.equal(first(pages, column), name).to_numpy(zero_copy_only=False).astype(bool)
    return there
