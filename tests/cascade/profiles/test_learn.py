"""What events do to profiles: counts that fade, bounds that hold, and events that cannot be right."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.eventlog.testing import START_S, done, shown
from cascade.events import MICROS, Event
from cascade.profiles.context import Context, context_of, read_context
from cascade.profiles.join import NOW, Wanted, look_up
from cascade.profiles.keys import DONE, EARLY, LONGEST, PAGE, USER, key_of
from cascade.profiles.learn import amounts_of, learn_all
from cascade.profiles.memory import MemoryProfiles
from cascade.profiles.owner import Profile, cost, decode, encode
from cascade.profiles.rules import Rules
from cascade.profiles.tally import EMPTY, added, faded, time_of
from cascade.profiles.testing import EVERY, INPUTS, WANTED, arrived, behaviour, candidates
from features.batch import CandidateBatch, Query, single
from features.behaviour import statistic_of

RULES = Rules()
DAY_US = 86_400 * MICROS
START_US = START_S * MICROS
TENANT = "shop"


def learned(events: list[Event], rules: Rules = RULES) -> MemoryProfiles:
    """A store that has learned some events."""
    store = MemoryProfiles()
    learn_all(store, TENANT, list(arrived(events)), rules)
    return store


def asked(
    store: MemoryProfiles, *ids: str, at_s: float = 60.0, rules: Rules = RULES, **values: Any
) -> CandidateBatch:
    """The columns of every statistic for some items."""
    query = Query("a film", {NOW: START_S + at_s, **values})
    return look_up(store, TENANT, candidates(ids, query), WANTED, rules)


def count(batch: CandidateBatch, name: str) -> list[float]:
    """One column."""
    found: list[float] = batch.columns[f"behaviour.{name}"].values.tolist()
    return found


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 400), st.floats(0.1, 9)), min_size=1, max_size=8), st.integers(0, 500)
)
def test_a_tally_is_the_sum_of_what_is_left_of_each(happened: list[tuple[int, float]], later: int) -> None:
    """Whatever the order: Σ amount · 2^(−age / half-life), as Σ is written on paper."""
    tally = EMPTY
    for hours, amount in happened:
        tally = added(tally, START_US + hours * DAY_US // 24, {"click": amount}, RULES, RULES.ttl_us)
    now = START_US + (400 + later) * DAY_US // 24
    for window, days in (("recent", RULES.recent_days), ("long", RULES.long_days)):
        ages = [(400 + later - hours) / 24 for hours, _ in happened]
        wanted = sum(amount * 2.0 ** (-age / days) for age, (_, amount) in zip(ages, happened, strict=True))
        assert faded([tally], now, RULES, RULES.ttl_us).of("click", window)[0] == pytest.approx(
            wanted, rel=1e-9
        )


def test_what_is_long_ago_is_forgotten() -> None:
    """Beyond its time to live a tally reads as nothing, and starts anew."""
    tally = added(EMPTY, START_US, {"click": 1.0}, RULES, RULES.ttl_us)
    late = START_US + RULES.ttl_us + 1
    assert faded([tally], late, RULES, RULES.ttl_us).of("click", "long").tolist() == [0.0]
    assert added(tally, late, {"click": 1.0}, RULES, RULES.ttl_us) == added(
        EMPTY, late, {"click": 1.0}, RULES, RULES.ttl_us
    )


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1_000), st.sets(st.integers(1, 30), max_size=6))
def test_where_batches_are_cut_does_not_matter(seed: int, cuts: set[int]) -> None:
    """One event at a time, all at once, or anything between: the same bytes."""
    events = list(arrived(behaviour(15, seed)))
    rules = Rules(entries_bytes=1_024)
    whole, parts = MemoryProfiles(), MemoryProfiles()
    learn_all(whole, TENANT, events, rules)
    edges = [0, *sorted(cuts), len(events)]
    for start, end in pairwise(edges):
        learn_all(parts, TENANT, events[start:end], rules)
    assert whole._tenants == parts._tenants


def test_the_same_event_counts_once() -> None:
    """An interaction with the same id, and an impression with the same request, are repetitions."""
    click = done("e", "r", "a")
    once = learned([shown("r", "a", "b"), click])
    again = learned([shown("r", "a", "b"), click, click, shown("r", "a", "b"), done("e", "r", "b")])
    names = ("item.click.long", "tenant.click.long", "tenant.impression.recent")
    for name in names:
        assert count(asked(again, "a", "b"), name) == count(asked(once, "a", "b"), name)


def test_an_interaction_may_come_before_its_page() -> None:
    """It waits, and counts once the page is there."""
    page, click = shown("r", "a", "b", user="ann"), done("e", "r", "a")
    assert count(asked(learned([click]), "a"), "item.click.long") == [0.0]
    early = asked(learned([click, click, page]), "a", **{"user.id": "ann"})
    assert count(early, "item.click.long") == [pytest.approx(1.0, abs=1e-4)]


@pytest.mark.parametrize("early", [False, True])
def test_more_than_a_person_can_do_on_a_page_is_bounded(monkeypatch: pytest.MonkeyPatch, early: bool) -> None:
    """However many interactions a page gets, so many count and no more are kept, early ones too."""
    monkeypatch.setattr("cascade.profiles.book.MOST_DONE", 20)
    page, clicks = shown("r", "a", user="ann"), [done(f"e{n}", "r", "a") for n in range(500)]
    store = learned([*clicks, page] if early else [page, *clicks])
    batch = asked(store, "a", **{"user.id": "ann"})
    for name in ("item.click.long", "tenant.click.long"):
        assert count(batch, name) == [pytest.approx(20.0, rel=1e-3)]
    kept = store.read(TENANT, [key_of(DONE, "r"), key_of(EARLY, "r"), key_of(PAGE, "r")])
    assert sum(map(len, filter(None, kept))) < 1_000


WRONG: dict[str, dict[str, Any]] = {
    "an item that was not shown": {"candidate_id": "z"},
    "long before its page": {"at_s": -RULES.skew_s - 1},
    "long after its page": {"at_s": RULES.late_s + 1},
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_of_the_page_does_not_count(name: str) -> None:
    """Neither for the item nor for anybody else."""
    fields = {"candidate_id": "a", "at_s": 5.0, **WRONG[name]}
    store = learned([shown("r", "a", "b"), done("e", "r", **fields)])
    batch = asked(store, "a", "b", "z", at_s=0.0)
    assert count(batch, "tenant.click.long") == [0.0] * 3
    assert count(batch, "item.click.long") == [0.0] * 3


def test_a_clock_a_little_behind_counts_as_the_pages() -> None:
    """Skew within the rules moves the interaction to its page's moment, and no profile's clock backwards."""
    store = learned([shown("r", "a"), done("e", "r", "a", at_s=-200)])
    assert count(asked(store, "a", at_s=0), "item.click.long") == [1.0]


def test_a_clock_ahead_counts_in_full_and_no_more() -> None:
    """What claims to happen after the request's moment has not begun to fade, and never counts for more."""
    store = learned([shown("r", "a", at_s=3_000), done("e", "r", "a", at_s=3_500)])
    assert count(asked(store, "a", at_s=0), "item.click.long") == [1.0]


@pytest.mark.parametrize(
    ("dwell_s", "minutes"),
    [(None, 0.0), (-5.0, 0.0), (math.nan, 0.0), (0.0, 0.0), (90.0, 1.5), (1e300, 30.0), (math.inf, 30.0)],
)
def test_a_dwell_is_capped_and_nonsense_is_not_measured(dwell_s: float | None, minutes: float) -> None:
    """Minutes, half an hour at most."""
    amounts = amounts_of(done("e", "r", "a", type="DWELL", dwell_s=dwell_s), RULES)
    assert amounts["dwell"] == minutes
    assert amounts["engagement"] == pytest.approx(math.log2(1 + minutes))


def test_what_people_do_weighs_as_declared() -> None:
    """A purchase more than a click, a named type as `other`, and a click's dwell on top of the click."""
    kinds = ("CLICK", "SAVE", "CART", "PURCHASE", "share")
    weights = [amounts_of(done("e", "r", "a", type=kind), RULES)["engagement"] for kind in kinds]
    assert weights == [1.0, 3.0, 4.0, 6.0, 1.0]
    stayed = amounts_of(done("e", "r", "a", dwell_s=60.0), RULES)
    assert (stayed["click"], stayed["dwell"], stayed["engagement"]) == (1.0, 1.0, 2.0)


def test_a_profile_of_a_million_items_is_bounded() -> None:
    """Bytes stay below the budget however much is counted, the heaviest stay, and the sum is kept right."""
    rules, profile = Rules(entries_bytes=4_096), Profile()
    for number in range(20_000):
        profile.count(f"item-{number}", {}, START_US + number, {"impression": 1.0}, rules, rules.ttl_us)
        if number % 500 == 0:
            loved = {"click": 1.0, "engagement": 6.0}
            profile.count("loved", {}, START_US + number, loved, rules, rules.ttl_us)
    assert len(encode(profile)) < 8_192
    assert "loved" in profile.items.entries
    assert len(profile.items.entries) > 10
    assert profile.items.size == sum(map(cost, profile.items.entries)) <= rules.entries_bytes


def test_one_giant_name_does_not_break_the_bound() -> None:
    """An entry larger than the budget makes way at once."""
    rules, profile = Rules(entries_bytes=1_024), Profile()
    profile.count("x" * 5_000, {}, START_US, {"click": 1.0}, rules, rules.ttl_us)
    assert profile.items.size <= 1_024


def test_profiles_survive_storing() -> None:
    """Encoding loses nothing; what is too old reads as new."""
    profile = Profile()
    profile.count("a", {"genres": ("crime",)}, START_US, {"click": 1.0}, RULES, RULES.ttl_us)
    assert decode(encode(profile), START_US, RULES.ttl_us) == profile
    assert decode(encode(profile), START_US + RULES.ttl_us + 1, RULES.ttl_us) == Profile()
    assert decode(None, START_US, 1) == Profile()


def test_taste_and_affinity_follow_what_a_person_did() -> None:
    """The clicked item's genres and vector, for this person and no other."""
    batch = candidates(("i1", "i2", "i3", "i4"), Query(""))
    clicked = next(
        row
        for row, item in enumerate(batch.ids)
        if not np.isnan(batch.columns["embedding"].values[row]).any() and batch.columns["genres"].values[row]
    )
    page = shown("r", *batch.ids, user="ann", context=context_of(batch, np.arange(4), INPUTS))
    store = learned([page, done("e", "r", batch.ids[clicked])])
    ann = asked(store, *batch.ids, **{"user.id": "ann"})
    assert count(ann, "user_vector.cosine.long.embedding")[clicked] == pytest.approx(1.0, abs=1e-6)
    assert count(ann, "user_field.click.long.genres")[clicked] > 0.9
    eve = asked(store, *batch.ids, **{"user.id": "eve"})
    assert np.isnan(count(eve, "user_vector.cosine.long.embedding")).all()
    assert np.nanmax(count(eve, "user_field.click.long.genres")) == 0.0


def test_nobody_is_missing_and_a_stranger_is_known_to_be_new() -> None:
    """Without a user the user's columns are absent; with an unknown one they are 0."""
    store = learned([shown("r", "a")])
    assert "behaviour.user.dwell.long" not in asked(store, "a").columns
    assert count(asked(store, "a", **{"user.id": "eve"}), "user.dwell.long") == [0.0]


def test_long_and_odd_names_are_kept_apart() -> None:
    """Ids of any length and content get keys of their own, none too long for a store."""
    names = ["x" * LONGEST, "x" * (LONGEST + 1), "x" * 5_000, "y" * 5_000, "ü" * 150, "a:b", "a", "\x00"]
    keys = {key_of(USER, name) for name in names}
    assert len(keys) == len(names)
    assert max(map(len, keys)) < 300


def test_a_context_that_is_none_is_nothing() -> None:
    """Bytes that no Sluice wrote, and vectors that fit no matrix, count for nothing."""
    assert read_context(b"\xff\x00junk") == Context()
    odd = Context({"genres": (("crime",),)}, {"v": b"\x00" * 7})
    assert odd.vector("v", 0, 2) is None
    assert odd.values(5) == {}
    assert list(odd.columns(2)) == ["genres"]


def test_columns_are_named_by_what_they_hold() -> None:
    """A name reads back as its statistic, and nothing else reads as one."""
    for one in EVERY:
        assert statistic_of(one.column) == one
    for name in (
        "price",
        "behaviour.item",
        "behaviour.item.click",
        "behaviour.item.likes.long",
        "behaviour.as_of",
    ):
        assert statistic_of(name) is None
    assert statistic_of("behaviour.user_field.click.long") is None
    assert statistic_of("behaviour.item.click.long.genres") is None
    assert statistic_of("behaviour.user_field.click.long.a.b") is not None


def test_ten_thousand_candidates_are_joined_at_once() -> None:
    """Rows are along the ids, known and unknown."""
    store = learned([shown("r", "a7", "a9999")])
    ids = [f"a{number}" for number in range(10_000)]
    batch = single(Query("x", {NOW: float(START_S)}), ids, {})
    made = look_up(store, TENANT, batch, Wanted.of(["behaviour.item.impression.long"]), RULES)
    values = made.columns["behaviour.item.impression.long"].values
    assert np.flatnonzero(values).tolist() == [7, 9_999]


def test_times_are_whole_microseconds() -> None:
    """The last event's moment, and never a later clock's earlier one."""
    tally = added(EMPTY, START_US + 5, {"click": 1.0}, RULES, RULES.ttl_us)
    assert time_of(added(tally, START_US, {"click": 1.0}, RULES, RULES.ttl_us)) == START_US + 5
