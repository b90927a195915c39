"""What stages earn, out of an event log."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest

from cascade.eventlog.testing import TENANT, write_segment
from cascade.events import Event, Impression
from cascade.lift.facts import Facts
from cascade.lift.testing import LiftWorld
from training.events.join import Join
from training.lift import SWAPS, TRAINING, LiftReader, StageLifts

WORLD = LiftWorld.drawn(queries=10, swaps=1.0)
PAGES = 5_000


def read(
    root: Path, events: Sequence[Event], curve: np.ndarray | None = None, parts: int = 250_000
) -> StageLifts:
    """The lifts of version v1 of `default` out of a log with these events."""
    write_segment(root, events)
    reader = LiftReader("default", "v1", Facts(WORLD.stages, curve))
    for pages in Join(root=root, tenant=TENANT, features=True, part_events=parts):
        reader.add(pages)
    return reader.found()


@pytest.fixture(scope="module")
def swapped(tmp_path_factory: pytest.TempPathFactory) -> StageLifts:
    """A log in which every page has two places exchanged."""
    return read(tmp_path_factory.mktemp("log"), [*WORLD.events(PAGES, 1)])


def test_swaps_tell_examination_and_lifts(swapped: StageLifts) -> None:
    """θ near the truth as far as it goes, and a stage that earns is found."""
    assert swapped.source == SWAPS
    assert swapped.pages == PAGES
    depth = len(swapped.examination)
    assert depth >= 3
    assert swapped.examination == pytest.approx(WORLD.theta[:depth], rel=0.25)
    assert [one.stage for one in swapped.lifts] == [*WORLD.stages]
    second = swapped.lifts[1]
    assert second.verdict == "earns"
    assert second.pages == PAGES


def test_parts_play_no_part(tmp_path: Path, swapped: StageLifts) -> None:
    """The log in many parts gives the same lifts."""
    again = read(tmp_path, [*WORLD.events(PAGES, 1)], parts=1_000)
    for mine, theirs in zip(again.lifts, swapped.lifts, strict=True):
        assert mine.lift.value == pytest.approx(theirs.lift.value, rel=1e-6)


def test_training_tells_examination_where_nothing_moved(tmp_path: Path) -> None:
    """Pages in one fixed order: θ of the manifest, and lifts whose intervals hold the truth."""
    fixed = LiftWorld.drawn(queries=10)
    found = read(tmp_path, [*fixed.events(PAGES, 1)], curve=fixed.theta)
    assert found.source == TRAINING
    assert "two positions" in found.why
    for stage, one in enumerate(found.lifts):
        assert one.lift.low < fixed.lift(stage) < one.lift.high


def test_a_log_that_cannot_tell_says_so(tmp_path: Path) -> None:
    """Nothing moved, and training knew no log: no lifts, and the reason."""
    found = read(tmp_path, [*LiftWorld.drawn().events(50, 1)])
    assert found.lifts == ()
    assert found.examination == ()
    assert "two positions" in found.why


def test_few_swaps_do_not_count(tmp_path: Path) -> None:
    """A handful of exchanged places says too little of examination."""
    found = read(tmp_path, [*LiftWorld.drawn(swaps=0.1).events(200, 1)], curve=WORLD.theta)
    assert found.source == TRAINING
    assert "fewer than 100 clicks" in found.why


def test_pages_of_others_are_left_out(tmp_path: Path) -> None:
    """Other rankers and versions, pages without features, and pages with gaps in their places."""
    events = [*WORLD.events(40, 1)]
    events += WORLD.events(40, 2, version="v2")
    events += WORLD.events(40, 3, ranker="other")
    pages = [one for one in WORLD.events(40, 4) if isinstance(one, Impression)]
    events += [msgspec.structs.replace(one, features=b"", names=()) for one in pages[:20]]
    events += [msgspec.structs.replace(one, positions=(1, 2, 3, 4, 9)) for one in pages[20:]]
    found = read(tmp_path, events, curve=WORLD.theta)
    assert found.pages == 40
    assert found.left_out == {
        "without stages' scores": 20, "with gaps in their places": 20, "beyond a sample": 0,
    }  # fmt: skip


def test_a_sample_of_very_many_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the most pages that are read, the rest is counted."""
    monkeypatch.setattr("training.lift.MOST_PAGES", 30)
    found = read(tmp_path, [*WORLD.events(50, 1)], curve=WORLD.theta)
    assert (found.pages, found.left_out["beyond a sample"]) == (30, 20)
