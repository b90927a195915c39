"""A candidate ranker against the one that logged, over an event log: the whole of `sluice evaluate --log`."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from cascade.eventlog.windows import written
from cascade.ranker import Ranker
from features.columns import Doubles, Flags
from features.errors import InvalidInput, NotReady
from training.clicks.cells import gather
from training.clicks.impressions import Impressions, condensed
from training.clicks.interventions import Harvest
from training.clicks.pairs import Pairs
from training.clicks.position_based import ranks
from training.clicks.readers import JoinedReader
from training.drift import Drift, Profile
from training.events.join import Join
from training.events.schema import Pages
from training.offpolicy.estimate import DEFAULT_DEPTH, Estimate, Settings, estimates, mean_reward, moved
from training.offpolicy.intervals import Interval
from training.offpolicy.replay import Replay, first
from training.offpolicy.slates import Meaning, Slates

KIND = "off-policy"


@dataclass(frozen=True, slots=True)
class Asked:
    """What to compare, and how.

    Attributes:
        name: the ranker's within its tenant: pages of others are left out.
        against: only pages that this version ranked; "" = all.
        depth: places that count. `reward`: which interaction counts.
        meaning: of logged propensities.
        by_query: resample by query rather than by person.
    """

    name: str
    against: str = ""
    depth: int = DEFAULT_DEPTH
    reward: str = "click"
    meaning: Meaning = "place"
    by_query: bool = False
    settings: Settings = field(default_factory=Settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class OffPolicy:
    """What came of it.

    Attributes:
        ranker, version: the candidate. `asked`: what was compared.
        since: where the pages begin, ISO 8601; None = where the log does.
        pages: that could be replayed; `left_out`: why others could not → pages.
        versions, arms: what ranked them → pages.
        moved: share of pages that the candidate would show otherwise.
        logged: reward a page, as logged.
        estimates: of the candidate, the deciding one first.
        examination: by place, where swaps in the log tell it.
        drift: feature → PSI against the candidate's training; empty where its bundle keeps no profile.
        notes: what a person should know.
        refused: why nothing can be said; empty where something can.
    """

    kind: str = KIND
    ranker: str
    version: str
    asked: Asked
    since: str | None
    pages: int
    left_out: Mapping[str, int]
    versions: Mapping[str, int]
    arms: Mapping[str, int]
    moved: float
    logged: Interval
    estimates: tuple[Estimate, ...]
    examination: tuple[float, ...]
    drift: Mapping[str, float]
    notes: tuple[str, ...]
    refused: tuple[str, ...]


@dataclass(slots=True)
class Gathered:
    """What one pass over a log brings together."""

    replay: Replay
    drift: Drift
    reader: JoinedReader = field(default_factory=JoinedReader)
    seen: list[Impressions] = field(default_factory=list)
    versions: Counter[str] = field(default_factory=Counter)
    arms: Counter[str] = field(default_factory=Counter)
    others: int = 0
    used: int = 0

    def add(self, pages: Pages, asked: Asked) -> None:
        """A part of the log."""
        kept = ours(pages, asked)
        self.others += int((~kept).sum())
        self.used += int(kept.sum())
        usable = self.replay.usable(pages, kept)
        if usable is None:
            return
        part, logged = usable
        self.drift.add(logged.names, logged.values)
        self.replay.add(part, logged)
        self.versions.update(first(part, "version").to_pylist())
        self.arms.update(first(part, "arm").to_pylist())
        self.seen.append(self.reader.read(part).compressed())


def ours(pages: Pages, asked: Asked) -> Flags:
    """bool[q]: pages of the ranker, and of the version if one was named."""
    kept = np.array([name == asked.name for name in first(pages, "ranker").to_pylist()], bool)
    if asked.against:
        kept &= np.array([one == asked.against for one in first(pages, "version").to_pylist()], bool)
    return kept


def compare(ranker: Ranker, log: Join, asked: Asked, profiles: Mapping[str, Profile]) -> OffPolicy:
    """Replay a log, whose parts hold features, through a candidate.

    Args:
        log: from where the candidate's training ended (`cascade.eventlog.windows.learned_until`). On the
            pages that it learned from it looks better than it is.

    Raises:
        NotReady: if the candidate cannot be replayed, no page is left, or none has its features.
        InvalidInput: for a reward that there is not.
    """
    found = Gathered(Replay(ranker, asked.reward, asked.by_query), Drift(profiles))
    for pages in log:
        found.add(pages, asked)
    since = written(log.window.since_us) if log.window.since_us else None
    if since and not found.others + found.used:
        raise NotReady(
            f"every page is from before this version finished learning ({since}); wait for new pages, or"
            " train it on older ones than those to compare on (`--until 1d`)"
        )
    if found.others and not found.used:
        wanted = f"{asked.name}@{asked.against}" if asked.against else asked.name
        raise NotReady(f"none of {found.others} pages was ranked by {wanted}")
    slates = found.replay.slates(asked.depth, asked.meaning)
    curve, why = harvested(found.seen, slates)
    made = estimates(slates, curve, asked.settings)
    return OffPolicy(
        ranker=ranker.name,
        version=ranker.version,
        asked=asked,
        since=since,
        pages=len(slates),
        left_out={
            "of other rankers or versions": found.others,
            "without the candidate's features": found.replay.other_features,
            "with gaps in their places": found.replay.gaps,
        },
        versions=dict(found.versions.most_common()),
        arms=dict(found.arms.most_common()),
        moved=float(moved(slates).mean()),
        logged=mean_reward(slates, asked.settings),
        estimates=made,
        examination=() if curve is None else tuple(curve.tolist()),
        drift=found.drift.index(),
        notes=(*left(since), *notes(slates, made)),
        refused=refused(made, why),
    )


def harvested(seen: list[Impressions], slates: Slates) -> tuple[Doubles | None, str]:
    """(examination of the places that count, "") or (None, why the log does not tell it).

    By swaps alone (`interventions.Harvest`), which suppose nothing of relevance.
    """
    try:
        curve = swaps(seen).propensity()
    except InvalidInput as error:
        return None, error.message
    known = int(np.logical_and.accumulate(curve > 0).sum())
    if known < slates.depth:
        return None, f"nothing links place {known + 1} to the first: no document was seen at both"
    return curve[:known], ""


def swaps(seen: list[Impressions]) -> Harvest:
    """What documents did that were seen at several places."""
    source = condensed(lambda: iter(seen))
    return Harvest.of(gather(source, Pairs.of(source), max(each.positions for each in seen), ranks))


def left(since: str | None) -> tuple[str, ...]:
    """What was not looked at."""
    return (f"pages from before {since}, when this version finished learning, are left out",) if since else ()


def notes(slates: Slates, made: tuple[Estimate, ...]) -> tuple[str, ...]:
    """What estimates suppose, and what they leave out."""
    told = ["about the order of what pages showed; what was not shown has no features in the log"]
    if any(each.family == "position-based" for each in made):
        told.append(
            "position-based estimates suppose that clicks follow the position-based model; their intervals"
            " take its propensities as known"
        )
    if not slates.logged:
        told.append("pages were logged without propensities, so nothing but a click model can be used")
    if any(each.clipped > 0 for each in made):
        told.append("weights were clipped, which makes estimates too low where the candidate differs")
    return tuple(told)


def refused(made: tuple[Estimate, ...], why: str) -> tuple[str, ...]:
    """Why the log cannot answer; the deciding estimator speaks for all."""
    if made:
        return made[0].refused
    return (
        "pages were logged without propensities, so that only the position-based model could answer, and"
        f" {why or 'it was not fitted'}",
    )
