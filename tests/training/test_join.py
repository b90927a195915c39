"""The join: what becomes of every event, and that nothing but the events themselves decides it."""

import itertools
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.eventlog.compact import compact
from cascade.eventlog.testing import START_S, TENANT, done, matrix, shown, write_segment
from cascade.events import MICROS, Event
from features.errors import NotFound
from training.events.join import Join
from training.events.rules import Counts, Rules, Window
from training.events.schema import JOINED

HOUR = 3_600.0


def table_of(root: Path, **how: Any) -> tuple[pa.Table, Counts]:
    """The whole joined table, and the counts."""
    join = Join(root=root, tenant=TENANT, **how)
    parts = [pages.table for pages in join]
    return pa.concat_tables([JOINED.empty_table(), *parts]).unify_dictionaries(), join.counts


def written(table: pa.Table) -> list[str]:
    """The rows as text, in which NaN equals NaN."""
    return [str(row) for row in table.to_pylist()]


def rows_of(root: Path, **how: Any) -> dict[tuple[str, str], dict[str, Any]]:
    """(request, candidate) → the row."""
    table, _ = table_of(root, **how)
    return {(row["request_id"], row["candidate_id"]): row for row in table.to_pylist()}


def counts_of(root: Path, **how: Any) -> dict[str, int]:
    """The counts that are not 0."""
    _, counts = table_of(root, **how)
    return {name: value for name in counts.__struct_fields__ if (value := getattr(counts, name))}


def test_every_shown_item_is_a_row_with_what_became_of_it(tmp_path: Path) -> None:
    """Clicks in their order, dwell by who measured it, counts by type, named types, and the largest value."""
    write_segment(
        tmp_path,
        [
            shown("r", "a", "b", "c", query="shoes", user="u", scores=matrix([3, np.nan, 1]), arm="x"),
            done("1", "r", "c", 10),
            done("2", "r", "a", 20),
            done("3", "r", "c", 30),
            done("4", "r", "c", 40, type="DWELL", dwell_s=12.5, dwell_by="server"),
            done("5", "r", "c", 40, type="DWELL", dwell_s=7.0),
            done("6", "r", "a", 50, type="PURCHASE", value=19.9),
            done("7", "r", "a", 50, type="share"),
            done("8", "r", "a", 51, type="share"),
        ],
    )
    rows = rows_of(tmp_path)
    a, b, c = (rows["r", name] for name in "abc")
    assert [row["position"] for row in (a, b, c)] == [1, 2, 3]
    assert [row["clicked"] for row in (a, b, c)] == [True, False, True]
    assert [row["first_click_order"] for row in (a, b, c)] == [2, 0, 1]
    assert [row["last_click_order"] for row in (a, b, c)] == [1, 0, 2]
    assert (c["n_click"], c["n_dwell"], c["first_click_s"]) == (2, 2, 10.0)
    assert (c["dwell_client"], c["dwell_server"]) == (7.0, 12.5)
    assert (a["n_purchase"], a["value"], a["n_other"], a["others"]) == (1, 19.9, 2, '{"share":2}')
    assert np.isnan([b["score"], b["dwell_client"], b["value"], b["propensity"]]).all()
    assert (a["query"], a["user"], a["arm"], a["tenant"], a["score"]) == ("shoes", "u", "x", TENANT, 3.0)


def test_each_thing_that_can_be_wrong_is_counted_once(tmp_path: Path) -> None:
    """Orphans, items never shown, places beyond the page, skewed clocks, late events, impossible dwells."""
    write_segment(
        tmp_path,
        [
            shown("r", "a", "b", "c"),
            shown("idle", "a"),
            done("orphan", "nowhere", "a"),
            done("stranger", "r", "z"),
            done("beyond", "r", "a", position=4),
            done("moved", "r", "a", position=2),
            done("early", "r", "a", at_s=-400),
            done("bit early", "r", "b", at_s=-200),
            done("year late", "r", "a", at_s=365 * 24 * HOUR),
            done("long", "r", "c", type="DWELL", dwell_s=1e12),
            done("negative", "r", "c", type="DWELL", dwell_s=-5.0),
        ],
    )
    assert counts_of(tmp_path) == {
        "pages": 2,
        "items": 4,
        "pages_clicked": 1,
        "impressions": 2,
        "interactions": 9,
        "joined": 4,
        "orphan": 1,
        "not_shown": 1,
        "beyond_page": 1,
        "moved": 1,
        "skewed": 1,
        "late": 1,
        "bad_dwell": 1,
        "capped_dwell": 1,
    }
    rows = rows_of(tmp_path)
    assert (rows["r", "c"]["n_dwell"], rows["r", "c"]["dwell_client"]) == (2, 1_800.0)
    assert rows["r", "b"]["first_click_s"] == -200.0


def test_repetitions_fall_out(tmp_path: Path) -> None:
    """An event twice counts once, and of a page that was logged twice the earliest counts."""
    page, click = shown("r", "a", "b"), done("1", "r", "a")
    write_segment(tmp_path, [page, click])
    write_segment(tmp_path, [page, click, shown("r", "b", "a", at_s=5)])
    table, counts = table_of(tmp_path)
    assert table["candidate_id"].to_pylist() == ["a", "b"]
    assert table["n_click"].to_pylist() == [1, 0]
    assert (counts.duplicate_impressions, counts.duplicate_interactions) == (2, 1)


def test_a_bot_is_left_out_for_the_hour_in_which_it_was_one(tmp_path: Path) -> None:
    """Pages and clicks of a user who does more than a person can go; the next hour, and others, stay."""
    events: list[Event] = [shown(f"b{n}", user="bot", at_s=n) for n in range(6)]
    events += [done(f"c{n}", f"b{n}", "a", at_s=n) for n in range(6)]
    events += [shown("next", user="bot", at_s=HOUR), shown("other", user="someone")]
    write_segment(tmp_path, [*events, done("ok", "next", "a", at_s=HOUR)])
    counts = counts_of(tmp_path, rules=Rules(bot_events=10))
    assert (counts["pages"], counts["bot_pages"], counts["bot"], counts["joined"]) == (2, 6, 6, 1)
    assert counts_of(tmp_path, rules=Rules(bot_events=12))["pages"] == 8


def test_a_page_that_nobody_is_known_for_has_a_limit_too(tmp_path: Path) -> None:
    """Thousands of clicks on one page of an unknown person are a bot's; a session is a person as well."""
    write_segment(
        tmp_path, [shown("r"), *(done(f"{n}", "r", "a") for n in range(50)), shown("s", session="x")]
    )
    counts = counts_of(tmp_path, rules=Rules(bot_events=50))
    assert (counts["pages"], counts["bot_pages"], counts["bot"]) == (1, 1, 50)


def test_the_window_cuts_pages_and_knows_the_neighbours(tmp_path: Path) -> None:
    """Pages before it, after it, or not yet settled are left out, and clicks on them are no orphans."""
    write_segment(
        tmp_path,
        [
            shown("before", at_s=-50),
            done("on before", "before", "a", at_s=5),
            shown("in", at_s=10),
            done("on in", "in", "a", at_s=20),
            shown("young", at_s=80),
            done("on young", "young", "a", at_s=85),
            shown("after", at_s=150),
            done("not yet", "in", "b", at_s=150),
        ],
    )
    window = Window(since_us=START_S * MICROS, watermark_us=(START_S + 100) * MICROS, settle_s=30.0)
    counts = counts_of(tmp_path, window=window)
    assert (counts["pages"], counts["joined"], counts["outside"]) == (1, 1, 2)
    assert "orphan" not in counts


def test_pages_whose_lists_do_not_fit_are_left_out(tmp_path: Path) -> None:
    """An import may hold anything: such a page is counted, and does not shift its neighbours' items."""
    broken = shown("broken", "a", "b", positions=(1, 2, 3))
    write_segment(tmp_path, [shown("x"), broken, shown("y"), shown("empty", candidates=())])
    table, counts = table_of(tmp_path)
    assert counts.broken_pages == 2
    assert set(table["request_id"].to_pylist()) == {"x", "y"}


def test_features_come_back_to_the_bit(tmp_path: Path) -> None:
    """What was logged with two feature sets comes back by set, along the rows, NaN and -0 included."""
    one, two = matrix([[1.5, np.nan], [-0.0, 3.0]]), matrix([[7.0], [8.0], [9.0]])
    write_segment(
        tmp_path,
        [
            shown("p", "a", "b", features=one, names=("f", "g"), fingerprint="1"),
            shown("q", "a", "b", "c", features=two, names=("f",), fingerprint="2"),
            shown("none", "a"),
        ],
    )
    (pages,) = Join(root=tmp_path, tenant=TENANT, features=True)
    found = {logged_.fingerprint: logged_ for logged_ in pages.features}
    assert {key: (each.names, matrix(each.values)) for key, each in found.items()} == {
        "1": (("f", "g"), one),
        "2": (("f",), two),
    }
    requests = pages.table["request_id"].to_pylist()
    assert {requests[row] for row in found["2"].rows} == {"q"}


def test_parts_make_no_difference(tmp_path: Path) -> None:
    """In one part or in dozens, before a compaction or after it: the same table, row for row."""
    events: list[Event] = [shown(f"r{n}", user=f"u{n % 7}", at_s=n) for n in range(200)]
    events += [done(f"e{n}", f"r{n % 200}", "abc"[n % 3], at_s=n) for n in range(400)]
    write_segment(tmp_path, events)
    rules = Rules(bot_events=85)
    whole, counts = table_of(tmp_path, rules=rules)
    assert counts.bot_pages > 0
    parted, parted_counts = table_of(tmp_path, rules=rules, part_events=8, scratch=tmp_path)
    assert written(parted) == written(whole)
    assert parted_counts == counts
    compact(tmp_path / TENANT)
    assert written(table_of(tmp_path, rules=rules, part_events=8)[0]) == written(whole)


def test_of_records_that_contradict_each_other_the_same_one_stays(tmp_path: Path) -> None:
    """Of two records of one event at one moment, a compaction keeps the one that the join would take.

    Whether the join reads features or not.
    """
    kinds = (("CLICK", 9.0), ("CLICK", None), ("DWELL", 3.0), ("DWELL", None), ("save", None))
    events: list[Event] = []
    for number, pair in enumerate(itertools.combinations(kinds, 2)):
        page = f"r{number}"
        events += [done("e", page, "a", type=kind, dwell_s=dwell) for kind, dwell in pair]
        events += [shown(page, context=text, ranked=number % 2 * 3) for text in (b"one", b"other")]
        events += [
            shown(page, user=user, features=matrix([[1], [2], [at]]), names=("x",))
            for user in ("u", "v")
            for at in (3, 4)
        ]
    plain, merged = (write_segment(tmp_path / name, events) for name in ("plain", "merged"))
    compact(merged / TENANT)
    for features in (False, True):
        joined, wanted = (table_of(root, features=features)[0] for root in (merged, plain))
        assert written(joined) == written(wanted)


ITEMS = st.sampled_from(["a", "b", "c", "z"])
PAGES = st.sampled_from(["r1", "r2", "r3", "gone"])
TIMES = st.integers(-4, 20).map(lambda step: step * 100.0)
CLICKS = st.builds(
    lambda event, page, item, at, kind, dwell: done(event, page, item, at, type=kind, dwell_s=dwell),
    st.sampled_from([f"e{n}" for n in range(8)]),
    PAGES,
    ITEMS,
    TIMES,
    st.sampled_from(["CLICK", "DWELL", "save"]),
    st.sampled_from([None, 3.0, 9.0]),
)
IMPRESSIONS = st.builds(
    lambda page, at, user: shown(page, at_s=at, user=user),
    PAGES.filter(lambda page: page != "gone"),
    TIMES,
    ITEMS,
)
EVENTS = st.lists(st.one_of(CLICKS, IMPRESSIONS), min_size=1, max_size=25)


@settings(max_examples=20, deadline=None)
@given(EVENTS, st.randoms(use_true_random=False), st.integers(1, 9), st.booleans())
def test_order_repetition_and_batches_make_no_difference(
    events: list[Event], random: Any, batch: int, compacted: bool
) -> None:
    """Any permutation, duplication and batching of the same events, conflicting ones too, joins alike."""
    again = [*events, *random.choices(events, k=5)]
    random.shuffle(again)
    with TemporaryDirectory() as one, TemporaryDirectory() as other:
        first, counts = table_of(write_segment(Path(one), events))
        write_segment(Path(other), again[: len(again) // 2], batch)
        if compacted:
            compact(Path(other) / TENANT)
        second, _ = table_of(write_segment(Path(other), again[len(again) // 2 :], batch), part_events=10)
    assert written(second) == written(first)
    fates = ("joined", "duplicate_interactions", "orphan", "outside", "bot", "not_shown", "beyond_page")
    assert sum(getattr(counts, fate) for fate in (*fates, "skewed", "late")) == counts.interactions


def test_a_tenant_without_events_is_an_error(tmp_path: Path) -> None:
    """A misspelt tenant is no empty table."""
    with pytest.raises(NotFound, match="no events of tenant 'absent'"):
        list(Join(root=tmp_path, tenant="absent"))


def test_a_log_of_clicks_alone_joins_to_nothing(tmp_path: Path) -> None:
    """No impression, no page: every click is an orphan, and nothing fails."""
    write_segment(tmp_path, [done("1", "r", "a")])
    assert counts_of(tmp_path) == {"interactions": 1, "orphan": 1}
