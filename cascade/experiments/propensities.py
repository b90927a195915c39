"""How probable a draft of two rankings made each item's place, exactly.

What is on the page after t picks is the union of the first i items of the one ranking and the first j of the
other, with i and j as large as can be. So no more than t + 1 pages have to be told apart, each in three
phases (a round begins, the one team is still to pick, the other is); their probabilities pass from place to
place.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from features.columns import Doubles, Rows

PLACES = 20
"""Places whose probabilities are computed; the work grows with their square."""

State = tuple[int, int, int]
"""(i, j, phase): leading items of both rankings that are on the page; 0 or 1 = that team is still to pick in
this round, 2 = a round begins."""

BEGINS = 2


@dataclass(frozen=True, slots=True)
class Pair:
    """Two rankings, and the place (from 0) of each one's items in the other."""

    lists: tuple[Sequence[int], Sequence[int]]
    places: tuple[dict[int, int], dict[int, int]]

    @classmethod
    def of(cls, first: Rows, second: Rows) -> "Pair":
        """Two rankings of the same rows, as far as the first `PLACES` places can reach into them."""
        lists = first[: PLACES + 1].tolist(), second[: PLACES + 1].tolist()
        places = [{row: place for place, row in enumerate(rows)} for rows in lists]
        return cls((lists[0], lists[1]), (places[0], places[1]))

    def pick(self, state: State, team: int) -> tuple[int, int, int]:
        """(the item that a team picks, and i and j behind it)."""
        ends = [state[0], state[1]]
        row = self.lists[team][ends[team]]
        ends[team] += 1
        for mine, rows in enumerate(self.lists):
            there = self.places[1 - mine]
            while ends[mine] < len(rows) and (
                rows[ends[mine]] == row or there.get(rows[ends[mine]], PLACES + 1) < ends[1 - mine]
            ):
                ends[mine] += 1
        return row, ends[0], ends[1]


def place_propensities(first: Rows, second: Rows, prefix: int, page: Rows) -> Doubles:
    """float64[len(page)]: how probable the draft made each item of a page at the place where it is.

    1 at the agreed `prefix`, NaN beyond the first `PLACES` places.
    """
    chances = np.full(len(page), np.nan)
    chances[:prefix] = 1.0
    pair = Pair.of(first, second)
    states: dict[State, float] = {(prefix, prefix, BEGINS): 1.0}
    for place in range(prefix, min(len(page), PLACES)):
        found, states = stepped(pair, states)
        chances[place] = found[int(page[place])]
    return chances


def stepped(pair: Pair, states: dict[State, float]) -> tuple[dict[int, float], dict[State, float]]:
    """(item → probability to be picked next, the states after that)."""
    items: dict[int, float] = defaultdict(float)
    after: dict[State, float] = defaultdict(float)
    for state, chance in states.items():
        phase = state[2]
        picks = ((0, chance / 2), (1, chance / 2)) if phase == BEGINS else ((phase, chance),)
        for team, probability in picks:
            row, i, j = pair.pick(state, team)
            items[row] += probability
            after[i, j, 1 - team if phase == BEGINS else BEGINS] += probability
    return items, after
