"""Keeps a tenant's profiles up with its event log, from wherever the last one who did it stopped.

Where a reader stands is a key of the store that changes together with the profiles, so that a kill at any
point neither loses an event nor counts one twice. Several processes may follow one log: who comes second
finds the position moved, and does nothing.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from cascade.eventlog.arrivals import Position, tail
from cascade.profiles.book import read_totals
from cascade.profiles.keys import POSITION, RULES, TOTALS
from cascade.profiles.learn import learn_all
from cascade.profiles.rules import Rules
from cascade.profiles.store import Changes, Entry, ProfileStore, Values
from features.errors import NotReady

T = TypeVar("T")

BATCH = 256
"""Events in one change of the store."""


class Standing(msgspec.Struct, frozen=True, array_like=True):
    """How much of a log has been learned.

    Attributes:
        history: Parquet has been read up to this arrival; None = to its end.
        segments: how far each segment has been read.
    """

    history: int | None = 0
    segments: Position = {}


_decoder = msgspec.msgpack.Decoder(Standing)


def stored(standing: Standing) -> Entry:
    """As it is kept."""
    return Entry(msgspec.msgpack.encode(standing))


def where(store: ProfileStore, tenant: str) -> tuple[Standing, Changes]:
    """Where a tenant's reader stands, and what its key has to hold still when it moves on."""
    (value,) = store.read(tenant, [POSITION])
    return (_decoder.decode(value) if value else Standing()), {POSITION: Entry(value) if value else None}


def agree(store: ProfileStore, tenant: str, rules: Rules) -> None:
    """See to it that a tenant's profiles are made by these rules.

    Raises:
        NotReady: if they were made by others.
    """
    wanted = rules.encoded

    def change(values: Values) -> Changes | None:
        return {RULES: Entry(wanted)} if values[0] is None else None

    if store.read(tenant, [RULES]) == [wanted]:
        return
    store.update(tenant, [RULES], change)
    if store.read(tenant, [RULES]) != [wanted]:
        raise NotReady(
            f"the profiles of tenant {tenant!r} were made by other rules; set [profiles.rules] back, or run"
            " `sluice profiles rebuild`",
            path="$.profiles.rules",
        )


def rules_in(store: ProfileStore, tenant: str) -> Rules:
    """The rules that a tenant's profiles are made by; the default ones where nothing is there."""
    (value,) = store.read(tenant, [RULES])
    return msgspec.json.decode(value, type=Rules) if value else Rules()


def resume(store: ProfileStore, tenant: str) -> None:
    """Look through Parquet once more for what arrived since: segments may have come and gone meanwhile."""
    standing, expected = where(store, tenant)
    if standing.history is not None:
        return
    (totals,) = store.read(tenant, [TOTALS])
    again = msgspec.structs.replace(standing, history=read_totals(totals).arrival + 1)
    store.update(tenant, [POSITION], lambda values: moved(values, expected, again))


def moved(values: Values, expected: Changes, standing: Standing) -> Changes | None:
    """The new standing, unless another process moved first."""
    before = expected[POSITION]
    return {POSITION: stored(standing)} if values[0] == (before.value if before else None) else None


def advance(home: Path, store: ProfileStore, tenant: str, rules: Rules, most: int = 0) -> int:
    """Learn the next events of a tenant; how many they were, 0 once there are none or another was faster.

    `most` bounds those that come out of Parquet in one call; 0 = as many as are read at a time.

    Raises:
        Unavailable: if the store is out of reach; nothing has changed.
        Corrupt: for a log that holds what this Sluice cannot read.
    """
    standing, expected = where(store, tenant)
    if standing.history is not None:
        return catch_up(home, store, tenant, rules, most)
    found = tail(home, standing.segments, BATCH)
    now = Standing(found.missed, found.position)
    if not found.events and now == standing:
        return 0
    also = {POSITION: stored(now)}
    if not learn_all(store, tenant, found.events, rules, expected=expected, also=also):
        return 0
    return len(found.events) or int(found.missed is not None)


def catch_up(home: Path, store: ProfileStore, tenant: str, rules: Rules, most: int = 0) -> int:
    """Learn the next events that lie in Parquet; at least 1, as there is more to do behind them.

    `most`: see `advance`.

    Returns:
        0 if another process was faster.
    """
    from cascade.eventlog.history import AT_A_TIME, compacted  # servers that are up to date need no Parquet

    standing, expected = where(store, tenant)
    events = compacted(home, standing.history or 0, most or AT_A_TIME)
    for some in chunks(events, BATCH):
        standing = msgspec.structs.replace(standing, history=some[-1].arrival + 1)
        also = {POSITION: stored(standing)}
        if not learn_all(store, tenant, some, rules, expected=expected, also=also):
            return 0
        expected = also
    if not events:
        over = msgspec.structs.replace(standing, history=None)
        store.update(tenant, [POSITION], lambda values: moved(values, expected, over))
    return len(events) or 1


def chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """So many at a time."""
    return (items[start : start + size] for start in range(0, len(items), size))
