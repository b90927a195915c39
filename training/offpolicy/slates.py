"""Logged pages beside what another policy would have shown: all that off-policy estimators read."""

from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np

from features.columns import Doubles, Flags, Rows
from features.errors import InvalidInput

Meaning = Literal["place", "sequential", "page", "factored"]
"""What a logged propensity is the probability of: this item at this place, whatever else is shown; this item
here given those above it; the whole page (the same number along it); this item at this place, where places
are drawn independently of each other."""

NOWHERE = 1 << 30
"""`rank` of an item that the target does not show."""


@dataclass(frozen=True, slots=True, eq=False)
class Slates:
    """p logged pages of at most K places.

    Attributes:
        reward: float64[p, K]: what the item shown there earned, such as a click.
        shown: bool[p, K]: where a page shows an item.
        propensity: float64[p, K]: how probable the logging policy made it (see `meaning`); NaN = not logged.
        target: float64[p, K]: the same probability under the target policy.
        rank: int64[p, K]: the place, from 0, at which a deterministic target puts the item.
        pair: int64[p, K]: the query and item, as a number from 0; what is not shown has any.
        cluster: int64[p]: pages of one person (or query) hang together, and are resampled together.
        depth: places that count; what is logged below tells of items that the target may bring up.
        meaning: of the propensities, and of `target`.
    """

    reward: Doubles
    shown: Flags
    propensity: Doubles
    target: Doubles
    rank: Rows
    pair: Rows
    cluster: Rows
    depth: int
    meaning: Meaning = "place"

    def __post_init__(self) -> None:
        """Refuse shapes that do not fit, and probabilities that are none.

        Raises:
            InvalidInput: naming the field.
        """
        for each in fields(self)[:6]:
            if getattr(self, each.name).shape != self.reward.shape or self.reward.ndim != 2:
                raise InvalidInput("is not [pages, places] like the others", path=f"slates.{each.name}")
        if len(self.cluster) != len(self.reward):
            raise InvalidInput("is not one a page", path="slates.cluster")
        known = self.propensity[self.shown & ~np.isnan(self.propensity)]
        if ((known <= 0) | (known > 1)).any():
            raise InvalidInput("what was shown has a probability above 0, up to 1", path="slates.propensity")
        if self.depth < 1 or not np.isfinite(self.reward[self.shown]).all():
            raise InvalidInput("needs a depth of at least 1 and finite rewards", path="slates")

    @classmethod
    def of(
        cls, reward: Any, rank: Any, depth: int, *, pair: Any, cluster: Any, propensity: Any = np.nan
    ) -> "Slates":
        """Full pages and a deterministic target that puts each item at its `rank`."""
        earned = np.asarray(reward, np.float64)
        shape, ranks = earned.shape, np.asarray(rank, np.int64)
        return cls(
            reward=earned,
            shown=np.ones(shape, bool),
            propensity=np.broadcast_to(np.asarray(propensity, np.float64), shape),
            target=places_kept(ranks),
            rank=ranks,
            pair=np.asarray(pair, np.int64),
            cluster=np.asarray(cluster, np.int64),
            depth=depth,
        )

    def __len__(self) -> int:
        return len(self.reward)

    @property
    def counts(self) -> Flags:
        """bool[p, K]: shown items at places that count."""
        return self.shown & (np.arange(self.reward.shape[1]) < self.depth)

    @property
    def earned(self) -> Doubles:
        """float64[p]: what each page earned at the places that count."""
        total: Doubles = np.where(self.counts, self.reward, 0.0).sum(axis=1)
        return total

    @property
    def logged(self) -> bool:
        """Whether every item that counts has its propensity."""
        return not bool(np.isnan(self.propensity[self.counts]).any())

    def take(self, pages: Any) -> "Slates":
        """The given pages (int64 or bool)."""
        along = {each.name: getattr(self, each.name)[pages] for each in fields(self)[:7]}
        return replace(self, **along)


def places_kept(rank: Rows) -> Doubles:
    """float64[p, K]: 1 where a deterministic target has the item at the place where it was logged."""
    return np.asarray(rank == np.arange(rank.shape[1]), np.float64)
