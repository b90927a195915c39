"""Interactions to the items they were with, and why some cannot be."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cascade.eventlog.dedupe import firsts
from cascade.eventlog.hashing import Hashes, hash_column, mixed
from cascade.eventlog.layout import INTERACTIONS
from cascade.events import MICROS
from features.columns import Rows
from training.events.pages import Flags, Shown
from training.events.rules import Rules

NONE = -1


@dataclass(frozen=True, slots=True, eq=False)
class Matched:
    """m interactions, each once, ordered by a hash of their identity.

    Attributes:
        table: as the log has them.
        time_us: int64[m].
        page: int64[m], NONE for an orphan. `item`: int64[m], NONE for what the page did not show.
    """

    table: pa.Table
    time_us: Rows
    page: Rows
    item: Rows


def matched(interactions: pa.Table, pages: Shown) -> Matched:
    """Each interaction with its page and its item."""
    table = interactions.take(pa.array(firsts(interactions, INTERACTIONS))).combine_chunks()
    page = located(pages.keys, hash_column(table["request_id"]))
    page = same(page, table["request_id"], pages.table["request_id"])
    return Matched(
        table=table,
        time_us=table["time"].cast(pa.int64()).to_numpy(),
        page=page,
        item=items(table, page, pages),
    )


def items(table: pa.Table, page: Rows, pages: Shown) -> Rows:
    """int64[m]: the row of the item that each interaction was with."""
    there = page != NONE
    touched = np.zeros(len(pages.keys), bool)
    touched[page[there]] = True
    rows = np.flatnonzero(touched[pages.page])
    keys = mixed(pages.keys[pages.page[rows]], hash_column(pages.candidates.take(pa.array(rows))))
    order = np.argsort(keys, kind="stable")
    wanted = np.zeros(len(table), np.uint64)
    ids = hash_column(table["candidate_id"])
    wanted[there] = mixed(pages.keys[page[there]], ids[there])
    at = located(keys[order], wanted)
    found = np.where(there & (at != NONE), rows[order[at]] if len(rows) else at, NONE)
    return same(found, table["candidate_id"], pages.candidates)


def located(keys: Hashes, wanted: Hashes) -> Rows:
    """int64[m]: where each wanted key first stands in the sorted keys; NONE where it does not."""
    at = np.searchsorted(keys, wanted)
    if not len(keys):
        return np.full(len(wanted), NONE)
    near = np.minimum(at, len(keys) - 1)
    return np.where(keys[near] == wanted, near, NONE)


def same(at: Rows, mine: pa.ChunkedArray, theirs: pa.ChunkedArray | pa.Array) -> Rows:
    """The places, but NONE where the strings differ after all (two that share a hash)."""
    there = np.flatnonzero(at != NONE)
    equal = pc.equal(mine.take(pa.array(there)), theirs.take(pa.array(at[there])))
    kept = at.copy()
    kept[there[~equal.to_numpy(zero_copy_only=False).astype(bool)]] = NONE
    return kept


@dataclass(frozen=True, slots=True, eq=False)
class Verdicts:
    """bool[m] each, and no interaction under two: the rules in the order in which they are asked."""

    orphan: Flags
    outside: Flags
    bot: Flags
    not_shown: Flags
    beyond_page: Flags
    skewed: Flags
    late: Flags
    joined: Flags


def judged(found: Matched, pages: Shown, inside: Flags, bot: Flags, rules: Rules) -> Verdicts:
    """What becomes of each interaction. `inside`, along the pages: those of the window."""
    orphan = found.page == NONE
    page = np.where(orphan, 0, found.page)
    if not len(pages.keys):
        nothing = np.zeros(len(page), bool)
        return Verdicts(orphan, *[nothing] * 7)
    after_us = found.time_us - pages.time_us[page]
    last = pages.position[pages.offsets[1:] - 1][page]
    told = pc.fill_null(found.table["position"], 1).to_numpy().astype(np.int64)
    rules_in_order = (
        orphan,
        ~inside[page],
        bot,
        found.item == NONE,
        (told < 1) | (told > last),
        after_us < -rules.skew_s * MICROS,
        after_us > rules.late_s * MICROS,
        np.ones(len(page), bool),
    )
    return Verdicts(*first_that_holds(rules_in_order))


def first_that_holds(rules: tuple[Flags, ...]) -> list[Flags]:
    """Each rule, where none before it holds."""
    settled = np.zeros(len(rules[0]), bool)
    decided = []
    for rule in rules:
        decided.append(rule & ~settled)
        settled |= rule
    return decided
