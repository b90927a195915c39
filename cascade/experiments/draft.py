"""Team-draft interleaving: one page out of several rankings, and whose every item is.

Radlinski, Kurup and Joachims, "How Does Clickthrough Data Reflect Retrieval Quality?" (CIKM 2008); for more
than two rankings Schuth et al., "Multileaved Comparisons for Fast Online Evaluation" (CIKM 2014). In every
round each team picks, in an order that is drawn anew, its best item that is not on the page yet. One thing is
done otherwise: what all rankings begin with alike is shown as it is, and is nobody's. Such items cannot tell
the teams apart; drafted, they would add as much to one as to the other, and noise to both.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random

import numpy as np

from features.columns import Rows

NOBODY = -1
"""The team of an item that no team drafted."""

Shuffle = Callable[[int], Sequence[int]]
"""0 … n-1 in an order that is drawn anew at each call."""


@dataclass(frozen=True, slots=True, eq=False)
class Draft:
    """A drafted page.

    Attributes:
        rows: int64[n], all rows, best first. `teams`: int64[n], along it: who drafted each, or NOBODY.
        prefix: places at the top on which all rankings agree.
    """

    rows: Rows
    teams: Rows
    prefix: int


def drafted(rankings: Sequence[Rows], depth: int, shuffle: Shuffle) -> Draft:
    """A page of rankings of the same n rows.

    The first `depth` places are drafted; the rest follows in the order of the first ranking, and is nobody's.
    """
    agreed = common(rankings, depth)
    lists = [ranking.tolist() for ranking in rankings]
    depth = min(depth, len(lists[0]))
    page, teams = lists[0][:agreed], [NOBODY] * agreed
    seen, at = set(page), [agreed] * len(lists)
    while len(page) < depth:
        for team in shuffle(len(lists))[: depth - len(page)]:
            ranking = lists[team]
            while ranking[at[team]] in seen:
                at[team] += 1
            page.append(ranking[at[team]])
            seen.add(page[-1])
            teams.append(team)
    page += [row for row in lists[0] if row not in seen]
    teams += [NOBODY] * (len(page) - len(teams))
    return Draft(np.array(page, np.int64), np.array(teams, np.int64), agreed)


def common(rankings: Sequence[Rows], depth: int) -> int:
    """Places, up to `depth`, on which all rankings agree from the top."""
    same = np.ones(min(depth, len(rankings[0])), bool)
    for one, other in pairwise(rankings):
        same &= one[: len(same)] == other[: len(same)]
    return len(same) if same.all() else int(same.argmin())


def seeded(seed: int) -> Shuffle:
    """Orders that a seed determines, the same with every version of Python and numpy."""
    random = Random(seed)  # noqa: S311 (a coin, not a secret)
    return lambda count: sorted(range(count), key=lambda _: random.random())
