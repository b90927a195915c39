"""Profiles keep up with a log: through kills, compactions, restarts and beside other processes."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.eventlog.arrivals import Position, tail
from cascade.eventlog.compact import compact
from cascade.eventlog.history import whole_log
from cascade.eventlog.testing import START_S, TENANT, done, shown, writing
from cascade.events import Event
from cascade.profiles.follow import Standing, advance, agree, resume, stored, where
from cascade.profiles.keys import POSITION, TOTALS
from cascade.profiles.learn import learn_all
from cascade.profiles.lmdb_store import LmdbProfiles
from cascade.profiles.memory import MemoryProfiles
from cascade.profiles.rules import Rules
from cascade.profiles.store import Change, Key, ProfileStore, Values
from cascade.profiles.testing import arrived, behaviour
from features.errors import NotReady, Unavailable

RULES = Rules()


def write(root: Path, events: Sequence[Event], prefix: str, at_s: float = 0.0) -> Path:
    """One writer's segment with these events, in frames of three."""
    clock = START_S + at_s
    with writing(root, prefix=prefix) as writer:
        writer._clock = lambda: float(clock)
        for start in range(0, len(events), 3):
            writer.append(TENANT, events[start : start + 3]).durable.result(10)
    return root / TENANT


def everything(store: ProfileStore) -> Mapping[Key, bytes]:
    """All that a memory store holds of the tenant, beside where its reader stands."""
    assert isinstance(store, MemoryProfiles)
    there = next(iter(store._tenants.values()), {})
    return {key: entry.value for key, entry in there.items() if key != POSITION}


def learned(events: Sequence[Event]) -> Mapping[Key, bytes]:
    """What the events make of an empty store, without any log."""
    store = MemoryProfiles()
    learn_all(store, TENANT, list(arrived(events)), RULES)
    return {key: value for key, value in everything(store).items() if key != TOTALS}


def without_totals(store: ProfileStore) -> Mapping[Key, bytes]:
    """Everything but the arrival of the last event, which hangs on when segments began."""
    return {key: value for key, value in everything(store).items() if key != TOTALS}


def up_to_date(home: Path, store: ProfileStore) -> int:
    """Learn all there is."""
    total = 0
    while count := advance(home, store, TENANT, RULES):
        total += count
    return total


def test_a_log_is_learned_as_it_grows(tmp_path: Path) -> None:
    """Segment after segment, each event once, and the same as in one go."""
    store, events = MemoryProfiles(), behaviour(30, 1)
    for number, start in enumerate(range(0, len(events), 20)):
        home = write(tmp_path, events[start : start + 20], f"s{number}", at_s=number)
        up_to_date(home, store)
        assert advance(home, store, TENANT, RULES) == 0
    assert without_totals(store) == learned(events)


@pytest.mark.parametrize("seen", [False, True])
def test_what_was_compacted_is_read_from_parquet(tmp_path: Path, seen: bool) -> None:
    """Whether the reader had begun on the segments before they became Parquet or not."""
    store, events = MemoryProfiles(), behaviour(30, 2)
    home = write(tmp_path, events[:40], "a")
    if seen:
        found = tail(home, {}, 5)
        assert 0 < len(found.events) < 40
        _standing, expected = where(store, TENANT)
        learn_all(store, TENANT, found.events, RULES, expected=expected)
        put_position(store, found.position)
    compact(home)
    write(tmp_path, events[40:], "b", at_s=1)
    up_to_date(home, store)
    assert without_totals(store) == learned(events)


def put_position(store: ProfileStore, position: Position) -> None:
    """Let a reader stand in the middle of a segment."""
    store.update(TENANT, [POSITION], lambda _: {POSITION: stored(Standing(None, position))})


def test_what_came_and_went_while_nobody_looked_is_found(tmp_path: Path) -> None:
    """A segment that was written and compacted between two runs of a server is learned at the second one."""
    store, events = MemoryProfiles(), behaviour(30, 3)
    home = write(tmp_path, events[:30], "a")
    up_to_date(home, store)
    write(tmp_path, events[30:], "b", at_s=1)
    compact(home)
    assert up_to_date(home, store) <= 1
    resume(store, TENANT)
    up_to_date(home, store)
    assert without_totals(store) == learned(events)


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


class Dying:
    """A store whose process dies before or after a change."""

    def __init__(self, store: ProfileStore, at: int, after: bool) -> None:
        self.store, self.left, self.after = store, at, after

    def update(self, tenant: str, keys: Sequence[Key], change: Change) -> bool:
        self.left -= 1
        if self.left == 0 and not self.after:
            raise Killed
        made = self.store.update(tenant, keys, change)
        if self.left == 0:
            raise Killed
        return made

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


@settings(max_examples=20, deadline=None)
@given(at=st.integers(1, 6), after=st.booleans())
def test_a_kill_neither_loses_nor_doubles(
    tmp_path_factory: pytest.TempPathFactory, at: int, after: bool
) -> None:
    """Whatever change the process dies before or after, the next one ends where nobody died."""
    events = behaviour(120, 4)
    home = write(tmp_path_factory.mktemp("log"), events, "a")
    store = MemoryProfiles()
    try:
        up_to_date(home, Dying(store, at, after))  # type: ignore[arg-type]
    except Killed:
        resume(store, TENANT)
    up_to_date(home, store)
    assert without_totals(store) == learned(events)


def test_two_processes_count_every_event_once(tmp_path: Path) -> None:
    """Who finds that the other was faster does nothing."""
    store, events = MemoryProfiles(), behaviour(60, 5)
    home = write(tmp_path, events, "a")
    advance(home, store, TENANT, RULES)  # the history, of which there is none

    class Interfering:
        """Another process moves on between this one's look and its change."""

        def read(self, tenant: str, keys: Sequence[Key]) -> Values:
            found = store.read(tenant, keys)
            if list(keys) == [POSITION] and not self.done:
                self.done = True
                assert advance(home, store, TENANT, RULES) > 0
            return found

        done = False

        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

    assert advance(home, Interfering(), TENANT, RULES) == 0  # type: ignore[arg-type]
    up_to_date(home, store)
    assert without_totals(store) == learned(events)


def test_lmdb_ends_where_memory_does(tmp_path: Path) -> None:
    """The store does not matter, nor that it was closed in between."""
    events, memory = behaviour(60, 6), MemoryProfiles()
    home = write(tmp_path, events, "a")
    up_to_date(home, memory)
    for _ in range(3):
        store = LmdbProfiles(tmp_path / "profiles", 1 << 26)
        advance(home, store, TENANT, RULES)
        store.close()
    store = LmdbProfiles(tmp_path / "profiles", 1 << 26)
    up_to_date(home, store)
    wanted = everything(memory)
    assert dict(zip(wanted, store.read(TENANT, list(wanted)), strict=True)) == wanted
    store.close()


LEARNER = """
import sys
from pathlib import Path
from cascade.profiles.follow import advance
from cascade.profiles.lmdb_store import LmdbProfiles
from cascade.profiles.rules import Rules

store = LmdbProfiles(Path(sys.argv[2]), 1 << 26)
while advance(Path(sys.argv[1]), store, sys.argv[3], Rules()):
    print("learned", flush=True)
"""


def test_a_killed_process_leaves_profiles_to_go_on_from(tmp_path: Path) -> None:
    """A real kill in the middle of learning into LMDB: who comes next ends where nobody died."""
    events, memory = behaviour(700, 8), MemoryProfiles()
    home = write(tmp_path, events, "a")
    up_to_date(home, memory)
    command = [sys.executable, "-c", LEARNER, str(home), str(tmp_path / "profiles"), TENANT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        told = [child.stdout.readline() for _ in range(2)]
        child.kill()
    assert told == ["learned\n"] * 2
    store = LmdbProfiles(tmp_path / "profiles", 1 << 26)
    resume(store, TENANT)
    assert up_to_date(home, store) > 0
    wanted = everything(memory)
    assert dict(zip(wanted, store.read(TENANT, list(wanted)), strict=True)) == wanted
    store.close()


def test_other_rules_are_refused(tmp_path: Path) -> None:
    """Profiles made with another half-life are not gone on with."""
    store = MemoryProfiles()
    agree(store, TENANT, RULES)
    agree(store, TENANT, Rules())
    with pytest.raises(NotReady, match="rebuild"):
        agree(store, TENANT, Rules(long_days=3))


def test_a_store_out_of_reach_loses_nothing(tmp_path: Path) -> None:
    """The reader stands where it stood, and goes on when the store is back."""
    store, events = MemoryProfiles(), behaviour(20, 7)
    home = write(tmp_path, events, "a")

    class Away:
        def read(self, tenant: str, keys: Sequence[Key]) -> Values:
            raise Unavailable("gone")

    with pytest.raises(Unavailable):
        advance(home, Away(), TENANT, RULES)  # type: ignore[arg-type]
    up_to_date(home, store)
    assert without_totals(store) == learned(events)


def test_the_log_keeps_its_order_through_parquet(tmp_path: Path) -> None:
    """Arrivals out of segments are those out of Parquet, and events come back as they were."""
    events = [
        shown("r1", "a", "b", user="ann", query="x", values='{"now":1.5}', context=b"\x01"),
        done("e1", "r1", "b", dwell_s=3.0, value=2.0),
        shown("r2", "c", at_s=-50),
    ]
    home = write(tmp_path, events, "a")
    before = list(whole_log(home))
    compact(home)
    after = list(whole_log(home))
    assert [one.arrival for one in before] == [one.arrival for one in after]
    assert [(one.event.request_id, type(one.event)) for one in before] == [
        (one.event.request_id, type(one.event)) for one in after
    ]
    assert after[1].event == before[1].event
    assert after[0].event.context == b"\x01"  # type: ignore[union-attr]
