"""Lifts out of events as they come."""

import random
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from cascade.events import Event, Impression
from cascade.lift.facts import Facts, facts_of, stage_scores
from cascade.lift.live import Key, Live
from cascade.lift.testing import LiftWorld
from cascade.testing import write_tiny_bundle
from features.errors import NotFound

WORLD = LiftWorld.drawn(queries=8)
FACTS = Facts(WORLD.stages, WORLD.theta)
KEY = ("demo", "default", "v1")


def live(**how: int) -> Live:
    """Knows the world's stages and curve for whatever it is asked."""
    return Live(lambda _: FACTS, **how)


def told(found: Live) -> list[float]:
    """The lifts of the one version, and its pages."""
    ((key, lifts),) = found.lifts()
    assert key == KEY
    return [*(one.lift.value for one in lifts), lifts[0].pages]


def fed(events: list[Event], batch: int = 7, **how: int) -> Live:
    """Events in batches."""
    found = live(**how)
    for start in range(0, len(events), batch):
        found.add([("demo", events[start : start + batch])])
    return found


def test_events_tell_what_sums_over_pages_tell() -> None:
    """Page by page and click by click: near the truth, with an interval that holds it."""
    ((_, lifts),) = fed([*WORLD.events(3_000, 1)]).lifts()
    for stage, one in enumerate(lifts):
        assert not one.refused
        assert one.lift.low < WORLD.lift(stage) < one.lift.high
        assert one.lift.high - one.lift.low < 0.2


def test_repetitions_and_batches_play_no_part() -> None:
    """Every event twice, in other batches: the same lifts."""
    events = [*WORLD.events(300, 1)]
    twice = [one for event in events for one in (event, event)]
    assert told(fed(twice, batch=50)) == pytest.approx(told(fed(events)))


def test_order_within_a_batch_plays_no_part() -> None:
    """Clicks before their pages, in one batch, count all the same."""
    events = [*WORLD.events(300, 1)]
    mixed = random.Random(1).sample(events, len(events))
    assert told(fed(mixed, batch=len(mixed))) == pytest.approx(told(fed(events)))


def test_other_interactions_and_other_items_count_nothing() -> None:
    """Dwell, and clicks on what the page did not show, change no sum."""
    events = [*WORLD.events(300, 1)]
    clicks = [event for event in events if not isinstance(event, Impression)]
    found = fed(events)
    before = told(found)
    found.add([("demo", [msgspec.structs.replace(one, type="DWELL") for one in clicks])])
    found.add([("demo", [msgspec.structs.replace(one, candidate_id="elsewhere") for one in clicks])])
    assert told(found) == before


def test_memory_is_bounded() -> None:
    """Pages make room, and their clicks are then unmatched; sums are halved."""
    events = [*WORLD.events(300, 1)]
    pages = [event for event in events if isinstance(event, Impression)]
    clicks = [event for event in events if not isinstance(event, Impression)]
    found = fed(pages, pages=10)
    found.add([("demo", clicks)])
    assert found.unmatched > len(clicks) / 2
    assert told(fed(events, memory=100))[-1] <= 110


def test_versions_that_are_shown_stay() -> None:
    """Others have to wait; one that was not shown for as many pages as are held makes room."""
    many = live(versions=2, pages=10)
    for number in (0, 1, 2, 0, 1, 2):
        many.add([("demo", [*WORLD.events(3, number, version=f"v{number}")])])
    assert [key[2] for key, _ in many.lifts()] == ["v0", "v1"]
    for turn in range(6):
        many.add([("demo", [*WORLD.events(3, 10 + turn, version="v1")])])
    many.add([("demo", [*WORLD.events(3, 20, version="v2")])])
    assert [key[2] for key, _ in many.lifts()] == ["v1", "v2"]


def test_tenants_do_not_touch() -> None:
    """The same request id of another tenant is another page, and its clicks are its own."""
    events, found = [*WORLD.events(50, 1)], live()
    found.add([("demo", events), ("other", events)])
    (_, mine), (_, theirs) = found.lifts()
    assert mine == theirs
    alone = live()
    alone.add([("demo", [one for one in events if isinstance(one, Impression)]), ("other", events)])
    assert alone.lifts()[0][1][0].before == 0


def test_pages_that_callers_send_are_not_counted() -> None:
    """Names in them would become labels; nor are pages without features, or with gaps in their places."""
    page = next(one for one in WORLD.events(1, 1) if isinstance(one, Impression))
    wrong: tuple[dict[str, object], ...] = (
        {"source": "client"}, {"features": b"", "names": ()}, {"positions": (1, 2, 3, 4, 9)},
    )  # fmt: skip
    for change in wrong:
        found = live()
        found.add([("demo", [msgspec.structs.replace(page, **change)])])
        assert found.lifts() == []


def test_without_a_curve_nothing_is_told_and_nothing_held() -> None:
    """A version of which nothing is known is asked about once."""
    asked: list[Key] = []
    found = Live(lambda key: asked.append(key))
    found.add([("demo", [*WORLD.events(50, 1)])])
    found.add([("demo", [*WORLD.events(50, 2)])])
    assert found.lifts() == []
    assert asked == [KEY]
    blind = Live(lambda _: replace(FACTS, curve=None))
    blind.add([("demo", [*WORLD.events(50, 1)])])
    assert blind.lifts() == []


def test_long_pages_are_cut_to_the_curve() -> None:
    """Places whose examination is not known are left out, and with them their clicks."""
    found = Live(lambda _: Facts(WORLD.stages, WORLD.theta[:2]))
    found.add([("demo", [*WORLD.events(2_000, 1)])])
    ((_, lifts),) = found.lifts()
    assert 0 < lifts[0].before < WORLD.value(0)


def test_stages_that_did_not_run_have_no_column() -> None:
    """Columns are found by name; one that is not there is missing throughout."""
    values = np.array([[1.0, 2.0]], np.float32)
    found = stage_scores(values, ("bm25", "stage.b"), ("a", "b"))
    assert np.isnan(found[0, 0])
    assert found[0, 1] == 2.0


def test_facts_of_a_bundle(tmp_path: Path) -> None:
    """Stages in order, and no curve where the manifest has none; no bundle is an error."""

    facts = facts_of(write_tiny_bundle(tmp_path / "bundle"))
    assert facts.stages == ("first", "linear")
    assert facts.curve is None
    with pytest.raises(NotFound):
        facts_of(tmp_path / "none")
