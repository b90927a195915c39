"""Who does more in an hour than a person can: counted over all parts of a log in a fixed room.

A table of counters, indexed by a hash of person and hour, is added up over the parts. Nobody in a counter
below the limit can be above it, so only what falls into the counters above it is counted exactly.
"""

from dataclasses import dataclass

import numpy as np

from cascade.eventlog.hashing import Hashes, mixed
from features.columns import Rows
from training.events.match import NONE, Matched
from training.events.pages import Flags, Shown

COUNTERS = 1 << 20
HOUR_US = 3_600_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Spells:
    """uint64 each: person and hour of every page, and of every interaction (that of its page; 0 = orphan)."""

    pages: Hashes
    interactions: Hashes

    @property
    def counters(self) -> Rows:
        """int64[COUNTERS]."""
        keys = np.concatenate([self.pages, self.interactions[self.interactions != 0]])
        return np.bincount((keys % COUNTERS).astype(np.int64), minlength=COUNTERS)


def spells(pages: Shown, found: Matched) -> Spells:
    """Person and hour of everything in a part."""
    there = found.page != NONE
    keys = np.zeros(len(found.page), np.uint64)
    keys[there] = spell(pages.actor[found.page[there]], found.time_us[there])
    return Spells(spell(pages.actor, pages.time_us), keys)


def spell(actor: Hashes, time_us: Rows) -> Hashes:
    """One hash of a person and an hour of the clock; never 0."""
    return mixed(actor, (time_us // HOUR_US).astype(np.uint64)) | np.uint64(1)


def suspects(part: Spells, counters: Rows, limit: int) -> tuple[Hashes, Rows]:
    """(spells in a part whose counter is above the limit, how often each occurs there)."""
    keys = np.concatenate([part.pages, part.interactions])
    hot = keys[(counters > limit)[(keys % COUNTERS).astype(np.int64)] & (keys != 0)]
    found, times = np.unique(hot, return_counts=True)
    return found, times


def guilty(parts: list[tuple[Hashes, Rows]], limit: int) -> Hashes:
    """uint64: the spells that occur more often than the limit, all parts together, sorted."""
    keys = np.concatenate([np.empty(0, np.uint64), *(keys for keys, _ in parts)])
    times = np.concatenate([np.empty(0, np.int64), *(times for _, times in parts)])
    each, where = np.unique(keys, return_inverse=True)
    total = np.bincount(where, weights=times, minlength=len(each))
    bots: Hashes = each[total > limit]
    return bots


def among(keys: Hashes, bots: Hashes) -> Flags:
    """bool[n]: which keys are among the sorted ones."""
    at = np.minimum(np.searchsorted(bots, keys), max(0, len(bots) - 1))
    return bots[at] == keys if len(bots) else np.zeros(len(keys), bool)
