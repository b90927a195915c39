"""What a log holds of an experiment: a few numbers a page, whatever the page was."""

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np

from cascade.eventlog.hashing import Hashes
from cascade.experiments.declared import INTERLEAVE, Experiment, Metric
from features.columns import Doubles, Flags, Rows
from training.clicks.sums import summed
from training.events.rules import Rules
from training.events.schema import Pages
from training.offpolicy.replay import first, who

OUTSIDE = -1


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """p pages of an experiment.

    Attributes:
        group: int64[p]. `person`: uint64[p]: user, or session, or else the page.
        fell_back: bool[p]: the control answered in the place of an arm that failed.
        clicked: bool[p]: anything was clicked.
        reward: float64[p]: of the best item by the metric, 0 to 1.
        credit, slots: float64[p, arms]: rewards of, and items drafted by, each arm on interleaved pages.
        begins: int64[p]: the arm that drafted the first item, OUTSIDE where none did.
    """

    group: Rows
    person: Hashes
    fell_back: Flags
    clicked: Flags
    reward: Doubles
    credit: Doubles
    slots: Doubles
    begins: Rows

    def __len__(self) -> int:
        return len(self.group)

    def take(self, pages: Flags | Rows) -> "Seen":
        """Some of the pages."""
        return Seen(*(getattr(self, each.name)[pages] for each in fields(self)))


def gather(log: Iterable[Pages], ranker: str, experiment: Experiment) -> Seen:
    """All pages of the experiment in a log."""
    parts = [one for pages in log if (one := of_part(pages, ranker, experiment)) is not None]
    if not parts:
        return nothing(len(experiment.arms))
    return Seen(*(np.concatenate([getattr(one, each.name) for one in parts]) for each in fields(Seen)))


def nothing(arms: int) -> Seen:
    """No page."""
    none, flags = np.empty(0, np.int64), np.empty(0, bool)
    wide = np.empty((0, arms))
    return Seen(none, none.astype(np.uint64), flags, flags, np.empty(0), wide, wide, none)


def of_part(pages: Pages, ranker: str, experiment: Experiment) -> Seen | None:
    """The pages of a part; None where it has none."""
    names = {name: group for group, name in enumerate(experiment.groups)}
    arms, rankers = (first(pages, name).to_pylist() for name in ("arm", "ranker"))
    found = (
        names.get(arm, OUTSIDE) if by == ranker else OUTSIDE for arm, by in zip(arms, rankers, strict=True)
    )
    group = np.fromiter(found, np.int64, len(pages))
    mine = np.flatnonzero(group != OUTSIDE)
    if not len(mine):
        return None
    reward = rewards(pages, experiment.metric)
    credit, slots, begins = drafts(pages, reward, len(experiment.arms))
    every = Seen(
        group=group,
        person=who(pages),
        fell_back=fell_back(pages, experiment, group),
        clicked=best(pages, pages.table["clicked"].to_numpy().astype(np.float64)) > 0,
        reward=best(pages, reward),
        credit=credit,
        slots=slots,
        begins=begins,
    )
    return every.take(mine)


def rewards(pages: Pages, metric: Metric) -> Doubles:
    """float64[n]: what each item earned, 0 to 1.

    `click`, `purchase`: whether there was one. `dwell`: log(1 + s) / log(1 + cap) of the longest, so that the
    second minute counts less than the first; 0 where none was measured.
    """
    table = pages.table
    if metric != "dwell":
        return np.asarray(table[f"n_{metric}"].to_numpy() > 0, np.float64)
    seconds = np.fmax(table["dwell_client"].to_numpy(), table["dwell_server"].to_numpy())
    cap = Rules().dwell_cap_s
    earned: Doubles = np.log1p(np.clip(np.nan_to_num(seconds, nan=0.0), 0.0, cap)) / np.log1p(cap)
    return earned


def best(pages: Pages, values: Doubles) -> Doubles:
    """float64[p]: the largest value of each page's items."""
    most: Doubles = np.maximum.reduceat(values, pages.offsets[:-1])
    return most


def drafts(pages: Pages, reward: Doubles, arms: int) -> tuple[Doubles, Doubles, Rows]:
    """(credit, slots, the arm that drafted first) of each page."""
    team = pages.table["team"].to_numpy()
    rows = np.flatnonzero(team >= 0)
    rows = rows[team[rows] < arms]
    page, drafted = pages.page_of_row[rows], team[rows].astype(np.int64)
    shape = len(pages), arms
    cell, size = page * arms + drafted, len(pages) * arms
    begins = np.full(len(pages), OUTSIDE)
    begins[page[::-1]] = drafted[::-1]
    credit = summed(cell, reward[rows], size).reshape(shape)
    return credit, summed(cell, np.ones(len(rows)), size).reshape(shape), begins


def fell_back(pages: Pages, experiment: Experiment, group: Rows) -> Flags:
    """bool[p]: pages that another one answered than was to."""
    if experiment.kind == INTERLEAVE:
        drafted = ~np.isnan(pages.table["team"].to_numpy())[pages.offsets[:-1]]
        return np.asarray((group == 1) & ~drafted)
    version = np.array(first(pages, "version").to_pylist())
    return np.asarray(version != np.array([*experiment.arms, ""])[group])
