"""A small simulated world whose truth is known: queries with items, a policy that explores, people."""

from dataclasses import dataclass, replace
from itertools import permutations
from math import factorial

import numpy as np

from features.columns import Doubles, Rows
from training.offpolicy.slates import Meaning, Slates
from training.simulate.constants import ATTRACTION, POSITION_BIAS
from training.simulate.log import between
from training.simulate.users import PositionBasedUsers, ReadingUsers, Users

SATISFACTION = 0.5


@dataclass(frozen=True, eq=False)
class World:
    """What people like, and how a page is made for them. Simulated.

    Attributes:
        attraction: float64[queries, items].
        logging: float64[queries, items]: scores of the ranker that logs.
        explore: share of pages in random order.
        users: who click; `moods`: how far persons differ in how much they click, 0 to 0.5 (pages of one
            person hang together). Reading people have no moods, as the truth would not be a product.
    """

    attraction: Doubles
    logging: Doubles
    explore: float
    users: Users
    moods: float = 0.3

    @classmethod
    def drawn(
        cls, seed: int, *, queries: int = 30, items: int = 8, explore: float = 0.4, reading: bool = False
    ) -> "World":
        """Items of random grades, and a ranker that knows something of them."""
        random = np.random.default_rng(seed)
        grade = random.beta(0.6, 1.2, (queries, items))
        users: Users = ReadingUsers(0.9) if reading else PositionBasedUsers(POSITION_BIAS)
        scores = grade + random.normal(0, 0.35, grade.shape)
        return cls(between(grade, ATTRACTION), scores, explore, users, 0.0 if reading else 0.3)

    def ranker(self, seed: int, noise: float) -> Doubles:
        """float64[queries, items]: scores of a ranker that knows attraction up to some noise."""
        deviates = np.random.default_rng(seed).normal(0, noise, self.attraction.shape)
        scores: Doubles = self.attraction + deviates
        return scores

    def value(self, scores: Doubles) -> float:
        """The truth: expected clicks on a page that shows all items by falling score."""
        order = np.argsort(-scores, axis=1, kind="stable")
        return float(self._expected(np.take_along_axis(self.attraction, order, axis=1)).mean())

    def logged_value(self) -> float:
        """The truth of the policy that logs."""
        return (1 - self.explore) * self.value(self.logging) + self.explore * self._in_random_order()

    def _in_random_order(self) -> float:
        """Over all orders; where clicks are a product, by the mean item."""
        if isinstance(self.users, PositionBasedUsers):
            items = self.attraction.shape[1]
            return float(self.attraction.mean() * self.users.theta[:items].sum())
        orders = permutations(range(self.attraction.shape[1]))
        return float(np.mean([self._expected(self.attraction[:, order]).mean() for order in orders]))

    def _expected(self, shown: Doubles) -> Doubles:
        """float64[q]: clicks on pages with these attractions from the top."""
        if isinstance(self.users, PositionBasedUsers):
            seen = self.users.theta[: shown.shape[1]]
            return np.asarray((seen * shown).sum(axis=1))
        stays = 0.9 * (1 - shown * SATISFACTION)
        reached = np.cumprod(np.concatenate([np.ones((len(shown), 1)), stays[:, :-1]], axis=1), axis=1)
        return np.asarray((reached * shown).sum(axis=1))

    def log(self, pages: int, seed: int, target: Doubles, meaning: Meaning = "place") -> Slates:
        """Pages of some people, a few each, beside what a target's scores would show."""
        random = np.random.default_rng(seed)
        person = np.sort(random.integers(0, max(pages // 4, 1), pages))
        query = random.integers(0, len(self.attraction), pages)
        order = self._shown(query, random)
        shown = np.take_along_axis(self.attraction[query], order, axis=1)
        mood = 1 + self.moods * random.uniform(-1, 1, pages)[person]
        clicked = self.users.draw(
            shown * mood[:, None], np.full(shown.shape, SATISFACTION), shown > 0, random
        )
        rank = np.take_along_axis(places(target)[query], order, axis=1)
        base = np.take_along_axis(places(self.logging)[query], order, axis=1)
        items = shown.shape[1]
        made = Slates.of(
            clicked, rank, items, pair=query[:, None] * items + order, cluster=person,
            propensity=self._propensity(base, meaning),
        )  # fmt: skip
        return replace(made, meaning=meaning)

    def _shown(self, query: Rows, random: np.random.Generator) -> Rows:
        """int64[p, K]: the item at each place."""
        explored = random.random(len(query)) < self.explore
        scores = np.where(explored[:, None], random.random(self.logging[query].shape), self.logging[query])
        order: Rows = np.argsort(-scores, axis=1, kind="stable")
        return order

    def _propensity(self, base: Rows, meaning: Meaning) -> Doubles:
        """float64[p, K] of pages whose items the logging ranker puts at `base`."""
        items, kept = base.shape[1], base == np.arange(base.shape[1])
        chance = np.full(base.shape, self.explore / items) + (1 - self.explore) * kept
        if meaning == "place":
            return np.asarray(chance)
        as_ranked = np.logical_and.accumulate(kept, axis=1)
        drawn = np.cumprod(1.0 / np.arange(items, 0, -1))  # of the first places, in random order
        upto = self.explore * drawn + (1 - self.explore) * as_ranked
        if meaning == "page":
            whole = self.explore / factorial(items) + (1 - self.explore) * as_ranked[:, -1:]
            return np.asarray(np.broadcast_to(whole, base.shape))
        before = np.concatenate([np.ones((len(base), 1)), upto[:, :-1]], axis=1)
        return np.asarray(upto / before)


def places(scores: Doubles) -> Rows:
    """int64[q, K]: the place of each item by falling score."""
    order = np.argsort(-scores, axis=1, kind="stable")
    rank: Rows = np.argsort(order, axis=1, kind="stable")
    return rank
