"""Which of the three a tenant gets: by held-out queries, and the base where they cannot tell.

1. The queries are parted into folds by groups; everything below is of queries that the model had not seen.
2. Residual trees: as many as held-out queries like best. Their weight is the share of their gain over the
   base that evidence allows to believe (`Mean.shrinkage`): 0, the base alone, without a gain; a half of it
   or less at one standard error; all of it in the end. So the tenant's part fades in as evidence grows.
3. The tenant's own ranker takes the place of that only if it is better by more than one standard error of the
   difference (the one-standard-error rule: Breiman et al., "Classification and Regression Trees", 1984,
   3.4.3).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from cascade.stages.lambdamart import LambdaMartTraining
from features.columns import Doubles, Rows
from features.errors import InvalidInput, NotReady
from training.borrowing import own as own_ranker
from training.borrowing import residual
from training.borrowing.evidence import Figure, Mean
from training.borrowing.jury import Jury
from training.borrowing.orders import Scored
from training.borrowing.own import Own
from training.borrowing.residual import Boosting
from training.judgments import Grades
from training.lambdamart import learnable
from training.split import folds_of
from training.trainers import Context

Kind = Literal["base", "residual", "own"]
NOTHING_JUDGED = "no judged query has a relevant document, so there is nothing to go by: the base as it is"
ONE_GROUP = "all judged queries hang together, so that none can be held out: the base as it is"


@dataclass(frozen=True, slots=True)
class Settings:
    """How to compare: into how many folds queries are parted, and how residual trees grow."""

    folds: int = 5
    boosting: Boosting = field(default_factory=Boosting)


@dataclass(frozen=True, slots=True, eq=False)
class Contest:
    """What is compared for one tenant.

    Attributes:
        base: the tenant's candidates as the base scores them without having seen their labels.
        reads: the columns of the base's last stage; None = no residual can be added to it.
        training: how that stage was trained.
        own: the tenant's own cascade; None = leave it out.
        grades: query → document → grade.
    """

    base: Scored
    reads: tuple[str, ...] | None
    training: LambdaMartTraining
    own: Own | None
    grades: Grades


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """What a tenant gets, and why.

    Attributes:
        kind: of the three.
        weight, trees: of the residual; 0 unless it is chosen.
        figures: nDCG@10 on held-out queries of each that could be judged, the residual with its weight.
        gains: over the base, likewise.
        queries, groups: how much evidence there was.
        reasons: in words, one a decision.
    """

    kind: Kind
    weight: float = 0.0
    trees: int = 0
    figures: Mapping[Kind, Figure] = field(default_factory=dict)
    gains: Mapping[Kind, Figure] = field(default_factory=dict)
    queries: int = 0
    groups: int = 0
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Grown:
    """Residual trees on trial: how many, their weight (0 = leave them), their nDCG@10 query by query."""

    trees: int
    weight: float
    values: Doubles
    reason: str


def choose(contest: Contest, settings: Settings, context: Context) -> Choice:
    """The choice for one tenant; the same data and seed give the same."""
    jury = Jury.of(contest.grades, contest.base.all)
    if jury is None:
        return Choice("base", reasons=(NOTHING_JUDGED,))
    base = jury.measure(contest.base, contest.base.scores)
    found: dict[Kind, Doubles] = {"base": base}
    if len(np.unique(jury.groups)) < 2:
        return judged(Choice("base", reasons=(ONE_GROUP,)), jury, found)
    folds = folds_of(contest.base.all.groups, settings.folds, context.seed)
    grown = on_trial(contest, jury, base, (settings.boosting, folds), context)
    choice = Choice("residual", grown.weight, grown.trees) if grown.weight else Choice("base")
    if grown.trees:
        found["residual"] = grown.values
    values, reason = own_values(contest, jury, folds, context)
    if values is not None:
        found["own"] = values
        better = jury.mean(values - found[choice.kind])
        choice = Choice("own") if better.value > better.error else choice
        reason = f"own ranker: {signed(better)} over {'base + residual' if grown.weight else 'the base'}"
    return judged(replace(choice, reasons=(grown.reason, reason)), jury, found)


def judged(choice: Choice, jury: Jury, found: Mapping[Kind, Doubles]) -> Choice:
    """The choice with its figures."""
    return replace(
        choice,
        figures={kind: jury.mean(values).figure for kind, values in found.items()},
        gains={
            kind: jury.mean(values - found["base"]).figure for kind, values in found.items() if kind != "base"
        },
        queries=len(jury.groups),
        groups=len(np.unique(jury.groups)),
    )


def on_trial(
    contest: Contest, jury: Jury, base: Doubles, how: tuple[Boosting, Rows], context: Context
) -> Grown:
    """Residual trees on held-out queries, with the weight that their gain deserves."""
    (boosting, folds), given = how, contest.base.given
    if contest.reads is None:
        return Grown(0, 0.0, base, "base + residual: the base's last stage is no lambdamart to add trees to")
    if not learnable(given, np.ones(len(given.groups), bool)):
        return Grown(0, 0.0, base, "base + residual: no candidate of the last stage is relevant")
    trees = residual.out_of_fold(
        given, contest.base.scores, contest.reads, (boosting, contest.training), folds, context
    )
    if not trees.trees:
        return Grown(0, 0.0, base, "base + residual: no tree helps held-out queries")
    gain = jury.mean(jury.measure(contest.base, contest.base.scores + trees.values) - base)
    weight = gain.shrinkage()
    values = jury.measure(contest.base, contest.base.scores + (weight or 1.0) * trees.values)
    reason = (
        f"base + residual: {signed(gain)} over the base by {trees.trees} trees, so a weight of {weight:.2f}"
    )
    return Grown(trees.trees, weight, values, reason)


def own_values(contest: Contest, jury: Jury, folds: Rows, context: Context) -> tuple[Doubles | None, str]:
    """nDCG@10 of the own ranker query by query; None with the reason where it cannot be fitted."""
    if contest.own is None:
        return None, "own ranker: not asked for"
    try:
        return jury.of_lists(own_ranker.out_of_fold(contest.own, folds, context)), ""
    except (InvalidInput, NotReady) as error:
        return None, f"own ranker: {error.message}"


def signed(mean: Mean) -> str:
    """A difference and its standard error in words."""
    return f"{mean.value:+.4f} ± {mean.error:.4f} nDCG@10"
