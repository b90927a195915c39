"""Pages that are not learned from, and how well an order does on them as far as clicks can tell."""

from dataclasses import dataclass

import numpy as np

from cascade.eventlog.hashing import Hashes, mixed
from features.columns import Doubles, Flags
from features.errors import InvalidInput
from training.clicks.sums import summed
from training.from_log.examination import Examination
from training.from_log.pages import LogPages
from training.from_log.pairs import ranks_of
from training.from_log.settings import Learning

METRIC = "nDCG@{} by clicks (IPS)"
"""An estimate, and not what judged relevance would give."""


def held_out(pages: LogPages, learning: Learning, seed: int) -> Flags:
    """bool[q]: the latest pages, or those of users drawn by the seed.

    Raises:
        InvalidInput: if either side has no page to learn from, or to judge by.
    """
    held = of_users(pages.actor, learning.held_out, seed)
    if learning.split == "time":
        held = latest(pages, learning.held_out)
    for side, name in ((held, "held out"), (~held, "learned from")):
        if not (pages.tells & side).any():
            message = f"of {len(pages)} pages none that is {name} has a click and something beside it"
            raise InvalidInput(f"{message}; widen --since, or change held_out in --behaviour", path="--log")
    return held


def latest(pages: LogPages, share: float) -> Flags:
    """The last pages by time, a share of those that tell something."""
    first = np.quantile(pages.time_us[pages.tells], 1 - share, method="higher")
    held: Flags = pages.time_us >= first
    return held


def of_users(actor: Hashes, share: float, seed: int) -> Flags:
    """All pages of a share of the users."""
    drawn = mixed(actor, np.full(len(actor), seed, np.uint64))
    held: Flags = drawn < np.uint64(int(share * 2**64))
    return held


@dataclass(frozen=True, slots=True, eq=False)
class Yardstick:
    """Held-out pages with their items' gains, worth over propensity.

    DCG of a page under another order, Σ v_i / θ_i / log2(1 + rank), has the mean of what that order would
    earn if every place were seen (Joachims et al., WSDM 2017). It is summed over all pages and divided by
    the sum of the best there could be: a ratio of sums, as single pages' ratios would be biased.

    Attributes:
        pages: that tell something. `gain`: float64[n].
        depth: places that count.
    """

    pages: LogPages
    gain: Doubles
    depth: int

    @classmethod
    def of(cls, pages: LogPages, held: Flags, seen: Examination, clip: float, depth: int) -> "Yardstick":
        """Of the held-out pages."""
        part = pages.pages(np.flatnonzero(held & pages.tells))
        return cls(part, part.worth / seen.at(part, clip), depth)

    @property
    def name(self) -> str:
        """Of the metric."""
        return METRIC.format(self.depth)

    def measure(self, scores: Doubles) -> float:
        """Between 0 and 1, of float64[n] scores along the rows, NaN last; ties as shown."""
        return float(self._by_page(scores).sum() / max(self._best(), 1e-12))

    def difference(self, scores: Doubles, others: Doubles) -> tuple[float, float]:
        """The metric of the ones less that of the others, and its standard error over pages."""
        gained = self._by_page(scores) - self._by_page(others)
        best = max(self._best(), 1e-12)
        return float(gained.sum() / best), float(gained.std() * np.sqrt(len(gained)) / best)

    def as_shown(self) -> float:
        """Of the order that people saw."""
        return self.measure(-self.pages.place.astype(np.float64))

    def _best(self) -> float:
        """What the best order would earn."""
        return float(self._by_page(self.gain).sum())

    def _by_page(self, scores: Doubles) -> Doubles:
        """float64[q]: the DCG of every page."""
        rank = ranks_of(np.where(np.isnan(scores), -np.inf, scores), self.pages.offsets)
        earned = np.where(rank < self.depth, self.gain / np.log2(2 + rank), 0.0)
        return summed(self.pages.page_of_row, earned, len(self.pages))


def rows_with(pages: LogPages, kept: Flags) -> tuple[LogPages, Flags]:
    """The marked rows of pages that then still tell something, and bool[n] which they are."""
    clicked = summed(pages.page_of_row, (kept & pages.clicked).astype(np.float64), len(pages)) > 0
    several = summed(pages.page_of_row, kept.astype(np.float64), len(pages)) > 1
    used = kept & (clicked & several)[pages.page_of_row]
    part = pages.rows(used)
    return part.pages(np.flatnonzero(part.sizes > 0)), used
