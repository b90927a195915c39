"""A small simulated world of pages with places of their own: a banner, a list's head, a sidebar. Simulated.

Every place is filled from its own candidates, drawn independently of the other places, and credit for what
one item earns may go to the next one: what the pseudoinverse estimator is made for, and that of independent
items is not.
"""

from dataclasses import dataclass, replace

import numpy as np

from features.columns import Doubles, Flags, Rows
from training.offpolicy.slates import NOWHERE, Slates


@dataclass(frozen=True, eq=False)
class FactoredWorld:
    """What people like at each place, and how a page is made for them.

    Attributes:
        attraction: float64[queries, places, choices]. `chance`: the same, how probably the logging policy
            makes each choice; a place's sum to 1.
        spill: share of what an item earns that is counted as the next one's.
    """

    attraction: Doubles
    chance: Doubles
    spill: float

    @classmethod
    def drawn(
        cls, seed: int, *, queries: int = 6, places: int = 3, choices: int = 3, spill: float = 0.5
    ) -> "FactoredWorld":
        """Random attractions, and a policy that knows something of them and explores."""
        random = np.random.default_rng(seed)
        attraction = random.beta(1, 2, (queries, places, choices))
        liked = np.exp(2 * attraction + random.normal(0, 0.3, attraction.shape))
        return cls(attraction, liked / liked.sum(axis=2, keepdims=True), spill)

    def value(self, target: Doubles) -> float:
        """The truth: what a page earns that shows the best choice of every place by `target` scores."""
        best = np.take_along_axis(self.attraction, target.argmax(axis=2)[:, :, None], axis=2)
        return float(best.sum(axis=(1, 2)).mean())

    def log(self, pages: int, seed: int, target: Doubles) -> Slates:
        """Pages of some people, a few each, beside what a target's scores would show."""
        random = np.random.default_rng(seed)
        queries, places, choices = self.attraction.shape
        query = random.integers(0, queries, pages)
        ends = np.cumsum(self.chance[query], axis=2)
        choice: Rows = np.minimum((random.random((pages, places, 1)) > ends).sum(axis=2), choices - 1)
        at = np.arange(places)
        earned = random.random((pages, places)) < self.attraction[query[:, None], at, choice]
        wanted = target[query].argmax(axis=2)
        rank = np.where(choice == wanted, at, NOWHERE)
        made = Slates.of(
            self._credited(earned, random), rank, places,
            pair=(query[:, None] * places + at) * choices + choice,
            cluster=np.sort(random.integers(0, max(pages // 4, 1), pages)),
            propensity=self.chance[query[:, None], at, choice],
        )  # fmt: skip
        return replace(made, meaning="factored")

    def _credited(self, earned: Flags, random: np.random.Generator) -> Doubles:
        """float64[p, K]: what is counted at each place; the last place keeps its own."""
        moves = earned & (random.random(earned.shape) < self.spill)
        moves[:, -1] = False
        counted: Doubles = earned.astype(np.float64) - moves
        counted[:, 1:] += moves[:, :-1]
        return counted
