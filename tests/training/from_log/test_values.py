"""What items are worth by what was done with them, and which of them are learned from."""

from typing import Any

import numpy as np

from cascade.config import parse_config
from cascade.eventlog.testing import TENANT, done, shown, write_segment
from training.clicks.behaviour import Rules
from training.events.join import Join
from training.from_log.examination import Examination
from training.from_log.pages import LogPages
from training.from_log.sample import sample_of
from training.from_log.settings import Learning
from training.from_log.testing import TREES
from training.from_log.values import done_with, values_of


def test_the_strongest_of_all_interactions_counts_named_ones_too(tmp_path: Any) -> None:
    """A share outweighs the click before it; what has no weight counts nothing; the order plays no part."""
    events = [
        shown("r1", "a", "b", "c", "d"),
        done("e1", "r1", "a"),
        done("e2", "r1", "a", 20.0, type="share"),
        done("e3", "r1", "b"),
        done("e4", "r1", "c", type="stare"),
    ]
    (pages,) = Join(root=write_segment(tmp_path, events), tenant=TENANT)
    rules = Rules(weights={"click": 1.0, "share": 4.0})
    worth = values_of(
        rules, done_with(pages.table, rules), *[np.full(4, np.nan)] * 2, *[np.zeros(4, int)] * 2
    )
    assert dict(zip(pages.table["candidate_id"].to_pylist(), worth.tolist(), strict=True)) == {
        "a": 1.0, "b": 0.25, "c": 0.0, "d": 0.0,
    }  # fmt: skip


def test_dwell_moves_a_lone_click_where_it_is_switched_on() -> None:
    """A long look is worth more than a glance, by either side's clock; without the switch all are alike."""
    clicked = {"click": np.ones(40, np.int64)}
    seconds = np.concatenate([np.full(20, 2.0), np.full(20, 200.0)])
    numbers, none = np.arange(40) % 4, np.full(40, np.nan)
    off = values_of(Rules(), clicked, seconds, none, numbers, numbers)
    assert len(set(off.tolist())) == 1
    for sides in ((seconds, none), (none, seconds)):
        on = values_of(Rules(dwell=0.3), clicked, *sides, numbers, numbers)
        assert on[20:].min() > on[:20].max()


def test_items_below_the_last_click_can_be_left_out() -> None:
    """By the rule, no more than what stands down to the last click of a page is learned from."""
    spec, seen = parse_config(TREES).stages[0], flat(3)
    learned = {
        rule: sample_of(logged(), ("x",), Learning(unseen=rule, unbiased="none"), seen, spec.train)
        for rule in ("examination", "below_last_click")
    }
    assert learned["examination"].sizes.tolist() == [3, 3]
    assert learned["below_last_click"].sizes.tolist() == [2]
    assert learned["below_last_click"].labels.tolist() == [0.0, 31.0]


def flat(places: int) -> Examination:
    """Every place is looked at alike."""
    return Examination("declared", np.ones(places), np.empty(0), np.empty(0), 0.0, 1.0)


def logged() -> LogPages:
    """Two pages of three: the second item clicked, and the first, which nothing stands above."""
    return LogPages(
        offsets=np.array([0, 3, 6]),
        values=np.arange(6, dtype=np.float32)[:, None],
        names=("x",),
        fingerprint="",
        worth=np.array([0, 1.0, 0, 1.0, 0, 0]),
        place=np.array([0, 1, 2, 0, 1, 2]),
        document=np.arange(6),
        query=np.array([0, 1]),
        time_us=np.array([1, 2]),
        actor=np.array([1, 2], np.uint64),
        texts=("q", "p"),
        ids=tuple("abcdef"),
    )
