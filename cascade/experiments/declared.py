"""A declared experiment: versions of one ranker, the first of which serves and is the control."""

from math import isclose
from typing import Annotated, Literal

import msgspec

from cascade.names import check_name
from features.errors import InvalidInput

INTERLEAVE, CANARY, SHADOW = KINDS = ("interleave", "canary", "shadow")
METRICS = ("click", "dwell", "purchase")

Kind = Literal["interleave", "canary", "shadow"]
Metric = Literal["click", "dwell", "purchase"]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Chance = Annotated[float, msgspec.Meta(gt=0, lt=1)]
Count = Annotated[int, msgspec.Meta(ge=1)]


class Experiment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Versions of a ranker under comparison. Never changed once begun, but for its end.

    Attributes:
        name: unlike that of any other experiment of the ranker, since it marks pages in the event log.
        kind: `canary`: each group of users is answered by its arm. `interleave`: pages are drafted from the
            rankings of all arms. `shadow`: the control answers, the others rank the same for nobody.
        arms: versions, each once; the first is the control, which has to be the promoted one.
        shares: of the traffic by group, summing to 1, the control's alone first. Canary: one an arm.
            Otherwise two: whom only the control answers, and who takes part.
        seed: who falls into which group, and who drafts first.
        started, ended: ISO 8601, UTC; ended "" = it runs.
        metric: what counts as good: a click, the longest dwell, a purchase.
        alpha: how probable it may be that an interval ever misses the truth, at any look.
        min_pages: pages that every group must have before anything is said.
    """

    name: str
    kind: Kind
    arms: tuple[str, ...]
    shares: tuple[Share, ...]
    seed: int
    started: str
    ended: str = ""
    metric: Metric = "click"
    alpha: Chance = 0.05
    min_pages: Count = 100

    @property
    def control(self) -> str:
        """The version that the others are compared with."""
        return self.arms[0]

    @property
    def groups(self) -> tuple[str, ...]:
        """Along `shares`: what pages of each group have as their `arm` in the event log."""
        if self.kind == CANARY:
            return tuple(f"{self.name}/{version}" for version in self.arms)
        taking = "interleaved" if self.kind == INTERLEAVE else "shadowed"
        return f"{self.name}/{self.control}", f"{self.name}/{taking}"


def checked(experiment: Experiment) -> Experiment:
    """The experiment itself.

    Raises:
        InvalidInput: for names that are none, arms that repeat or are fewer than two, and shares that are not
            one a group, do not sum to 1, or leave nobody to take part.
    """
    check_name(experiment.name, "name")
    for position, version in enumerate(experiment.arms):
        check_name(version, f"arms[{position}]")
    if len(experiment.arms) < 2 or len(set(experiment.arms)) < len(experiment.arms):
        raise InvalidInput("must be two or more versions, each once, the control first", path="arms")
    shares = experiment.shares
    if len(shares) != len(experiment.groups):
        raise InvalidInput(f"must be {len(experiment.groups)}, one a group", path="shares")
    if not isclose(sum(shares), 1.0, abs_tol=1e-9):
        raise InvalidInput(f"{', '.join(map(str, shares))} do not sum to 1", path="shares")
    idle = [group for group, share in zip(experiment.groups, shares, strict=True) if share <= 0]
    if idle and (experiment.kind == CANARY or idle != [experiment.groups[0]]):
        raise InvalidInput(
            f"leave nothing to {', '.join(idle)}; every group needs more than 0", path="shares"
        )
    return experiment


def divided(kind: Kind, challengers: int, share: tuple[float, ...]) -> tuple[float, ...]:
    """Shares by group, out of what challengers get: one for all of them, or in a canary one each.

    Raises:
        InvalidInput: for as many shares as fit neither, or more than there is to share.
    """
    each = share * challengers if kind == CANARY and len(share) == 1 else share
    wanted = challengers if kind == CANARY else 1
    if len(each) != wanted:
        raise InvalidInput(f"{len(share)} shares for {challengers} challengers of a {kind}", path="shares")
    left = 1.0 - sum(each)
    if left < -1e-9:
        raise InvalidInput(f"{', '.join(map(str, each))} sum to more than 1", path="shares")
    return max(0.0, left), *each
