"""Point in time: what profiles say of an impression is what a replay of the log says of it, to the bit."""

from collections.abc import Callable
from itertools import pairwise
from random import Random
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.eventlog.testing import done, shown
from cascade.events import MICROS, Event, Impression
from cascade.profiles.join import NOW, look_up
from cascade.profiles.learn import learn_all
from cascade.profiles.memory import MemoryProfiles
from cascade.profiles.replay import replay, shown_batch
from cascade.profiles.rules import Rules
from cascade.profiles.testing import EVERY, START_US, WANTED, arrived, behaviour
from features.batch import CandidateBatch
from features.behaviour import AS_OF

RULES = Rules(entries_bytes=1_024)
TENANT = "shop"


def served(
    events: list[Event], cuts: list[int], lags: Callable[[], int]
) -> list[tuple[Impression, CandidateBatch]]:
    """What a server would log: each page computed from a store that lags behind by so many batches."""
    store, made = MemoryProfiles(), []
    groups = [list(arrived(events))[start:end] for start, end in pairwise([0, *cuts, len(events)])]
    waiting: list[Any] = []
    for group in groups:
        for one in group:
            if isinstance(one.event, Impression):
                batch = look_up(store, TENANT, shown_batch(one.event), WANTED, RULES)
                values = {NOW: one.event.time_us / MICROS, AS_OF: batch.queries[0].values[AS_OF]}
                logged = msgspec.structs.replace(one.event, values=msgspec.json.encode(values).decode())
                made.append((logged, batch))
        waiting.append(group)
        while len(waiting) > lags():
            learn_all(store, TENANT, waiting.pop(0), RULES)
    return made


def same_bits(left: CandidateBatch, right: CandidateBatch) -> None:
    """Equal columns of behaviour."""
    for one in EVERY:
        assert (one.column in left.columns) == (one.column in right.columns)
        if one.column in left.columns:
            assert left.columns[one.column].values.tobytes() == right.columns[one.column].values.tobytes(), (
                one
            )


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.data())
def test_a_replay_gives_what_was_served(seed: int, data: st.DataObject) -> None:
    """Whatever the batches, the lag of the profiles, and the disorder of events."""
    events = behaviour(12, seed)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(events) - 1), max_size=8)))
    random = Random(seed)
    logged = served(events, cuts, lambda: random.randint(0, 3))
    by_id = {impression.request_id: (impression, batch) for impression, batch in logged}
    log = [by_id[one.request_id][0] if isinstance(one, Impression) else one for one in events]
    moments = list(replay(lambda: arrived(log), WANTED, RULES))
    assert len(moments) == len(by_id)
    for moment in moments:
        impression, batch = by_id[moment.impression.request_id]
        assert moment.impression == impression
        same_bits(moment.batch, batch)


def test_the_columns_are_not_all_alike() -> None:
    """The comparison above compares something: every statistic is above 0, or a cosine, somewhere."""
    events = [
        event for seed in range(4) for event in behaviour(40, seed) if not isinstance(event, Impression)
    ]
    pages = [event for event in behaviour(40, 1) if isinstance(event, Impression)]
    moments = list(replay(lambda: arrived(behaviour(60, 3)), WANTED, RULES))
    assert events
    assert pages
    for one in EVERY:
        found = [
            moment.batch.columns[one.column].values
            for moment in moments
            if one.column in moment.batch.columns
        ]
        assert np.nanmax(np.abs(np.concatenate(found))) > 0, one


def test_events_after_the_moment_do_not_count() -> None:
    """A click that arrives after a page is not in that page's columns, and is in the next one's."""
    log: list[Event] = [
        shown("r1", "a", "b", at_s=0, user="ann"),
        shown("r2", "a", "b", at_s=10, user="ann"),
        done("e", "r1", "a", at_s=5),
        shown("r3", "a", "b", at_s=20, user="ann"),
    ]
    clicks = [
        moment.batch.columns["behaviour.item.click.long"].values.tolist()
        for moment in replay(lambda: arrived(log), WANTED, Rules())
    ]
    assert clicks[0] == clicks[1] == [0.0, 0.0]
    assert clicks[2] == [pytest.approx(1.0, abs=1e-4), 0.0]


def test_an_impression_that_says_nothing_is_of_all_before_it() -> None:
    """Without a logged position, what arrived before counts and the page itself does not."""
    log: list[Event] = [shown("r1", "a", at_s=0), shown("r2", "a", at_s=0)]
    found = [
        moment.batch.columns["behaviour.tenant.impression.recent"].values.tolist()
        for moment in replay(lambda: arrived(log, START_US), WANTED, Rules())
    ]
    assert found == [[0.0], [1.0]]
