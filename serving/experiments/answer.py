"""What the service answers with: a ranking, and whose it is."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from cascade.experiments.draft import Draft
from cascade.explain import Explanation
from cascade.ranker import Ranker
from cascade.ranking import Ranking
from cascade.request import RankRequest
from features.columns import Rows


@dataclass(frozen=True, slots=True, eq=False)
class Interleaved:
    """Of what an interleaved ranking was made.

    Attributes:
        draft: the page, and whose every item is.
        rankers, rankings: the arms and what each made of the request, the control's first.
    """

    draft: Draft
    rankers: tuple[Ranker, ...]
    rankings: tuple[Ranking, ...]

    def teams(self, shown: int) -> tuple[int, ...]:
        """Who drafted each of the first items."""
        return tuple(self.draft.teams[:shown].tolist())


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """A ranking of all candidates.

    Attributes:
        ranker: whose version the answer names; of an interleaved one the control.
        arm: the group of an experiment that the request fell into; "" = none.
        warnings: what became of an arm that could not answer.
        made_of: where rankings were interleaved.
    """

    ranker: Ranker
    ranking: Ranking
    arm: str = ""
    warnings: tuple[str, ...] = ()
    made_of: Interleaved | None = None

    def explain(self, request: RankRequest, top: Ranking) -> tuple[Explanation, ...]:
        """Along the rows of the ranking's first items, each told by the arm whose score it bears."""
        if self.made_of is None:
            return self.ranker.explain(request, top)
        owner = owners(self.made_of.draft.teams[: len(top.rows)])
        told: dict[int, Explanation] = {}
        for team, (ranker, ranking) in enumerate(
            zip(self.made_of.rankers, self.made_of.rankings, strict=True)
        ):
            rows = top.rows[owner == team]
            one = some_rows(ranking, rows)
            told |= dict(zip(rows.tolist(), ranker.explain(request, one), strict=False))
        return tuple(told[row] for row in top.rows.tolist() if row in told)


def owners(teams: Rows) -> Rows:
    """int64[n]: the arm whose score each item bears: who drafted it, or the control for what nobody did."""
    found: Rows = teams.clip(min=0)
    return found


def some_rows(ranking: Ranking, rows: Rows) -> Ranking:
    """The ranking of some of its rows, in the order given."""
    at = places(ranking.rows)[rows]
    placed_by = tuple(ranking.placed_by[i] for i in at.tolist())
    return replace(ranking, rows=rows, scores=ranking.scores[at], placed_by=placed_by)


def places(rows: Rows) -> Rows:
    """int64[n]: the place, from 0, that rows (all of a request, best first) give each row of the request."""
    place = np.empty(len(rows), np.int64)
    place[rows] = np.arange(len(rows))
    return place


def plain(ranker: Ranker, request: RankRequest, arm: str = "") -> Iterator[Answer]:
    """One ranker's rankings, after every stage."""
    return (Answer(ranker, ranking, arm) for ranking in ranker.stream(request))
