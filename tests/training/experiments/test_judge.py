"""What is made of a log: exposure, sample ratios, credit, verdicts."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from cascade.eventlog.testing import TENANT, done, shown, write_segment
from cascade.events import Event
from cascade.experiments.assignment import group_of
from cascade.experiments.declared import Experiment
from cascade.experiments.draft import drafted, seeded
from cascade.experiments.shadows import Shadowed, ShadowLog, read_shadows
from training.events.join import Join
from training.experiments.exposure import ALARM, ratio_p
from training.experiments.gather import Seen, gather
from training.experiments.judge import BETTER, CONTROL_BETTER, MISMATCH, RUNNING, THIN, Judged, judge
from training.experiments.shadows import shadow_arms

ITEMS = 6
THETA = 1 / np.arange(1, ITEMS + 1)


def experiment(kind: str, **fields: Any) -> Experiment:
    """Of two arms."""
    made: dict[str, Any] = {"arms": ("old", "new"), "shares": (0.5, 0.5), "seed": 3, "started": "2026-09-01"}
    return Experiment(name="test", kind=kind, **{**made, **fields})  # type: ignore[arg-type]


def canary_events(declared: Experiment, rates: Iterable[float], pages: int, seed: int = 1) -> list[Event]:
    """Pages of people who click the first item at their arm's rate, and what is none of the experiment's."""
    random, chance, made = np.random.default_rng(seed), list(rates), []
    for page in range(pages):
        user = f"u{random.integers(pages // 3)}"
        group = group_of(declared, user, "", "")
        fields = {"arm": declared.groups[group], "version": declared.arms[group], "ranker": "main"}
        made.append(shown(f"r{page}", "a", "b", at_s=float(page), user=user, **fields))
        if random.random() < chance[group]:
            made.append(done(f"c{page}", f"r{page}", "a", page + 5.0))
    made += [shown("other", "a", user="u", ranker="main", arm="another/old")]
    made += [shown("elsewhere", "a", user="u", ranker="second", arm=declared.groups[0])]
    return made


def interleaved_events(declared: Experiment, likes: np.ndarray, pages: int, seed: int = 1) -> list[Event]:
    """Pages drafted from each arm's order of the items, clicked by people who like items so much."""
    random, made = np.random.default_rng(seed), []
    orders = [np.arange(ITEMS), np.arange(ITEMS)[::-1], np.roll(np.arange(ITEMS), 3)][: len(declared.arms)]
    for page in range(pages):
        draft = drafted(orders, ITEMS, seeded(int(random.integers(1 << 60))))
        ids, user = [str(row) for row in draft.rows], f"u{random.integers(pages // 3)}"
        made.append(
            shown(
                f"r{page}", *ids, at_s=float(page), user=user, ranker="main", version="old",
                arm=declared.groups[1], teams=tuple(draft.teams.tolist()),
            )
        )  # fmt: skip
        clicked = np.flatnonzero(random.random(ITEMS) < THETA * likes[draft.rows])
        made += [done(f"r{page}c{place}", f"r{page}", ids[place], page + 5.0) for place in clicked]
    return made


def seen_in(folder: Path, declared: Experiment, events: list[Event], parts: int = 500) -> Seen:
    """What the log says of the experiment, joined in several parts."""
    write_segment(folder, events)
    return gather(Join(root=folder, tenant=TENANT, part_events=parts), "main", declared)


def judged(folder: Path, declared: Experiment, events: list[Event]) -> Judged:
    """The whole way."""
    return judge("main", declared, seen_in(folder, declared, events))


def test_a_better_canary_is_told(tmp_path: Path) -> None:
    """Pages, people, rewards and the difference are those of the log, other pages are left out."""
    declared = experiment("canary")
    events = canary_events(declared, (0.2, 0.4), 2_400)
    found = judged(tmp_path, declared, events)
    assert (found.pages, found.verdict) == (2_400, BETTER)
    control, arm = found.arms
    assert control.pages + arm.pages == 2_400
    assert sum(found.groups.values()) == found.people
    assert control.reward == pytest.approx(0.2, abs=0.03)
    assert control.clicked == pytest.approx((control.reward or 0) * control.pages)
    assert arm.difference is not None
    assert arm.difference.low < 0.2 < arm.difference.high
    assert arm.difference.value == pytest.approx((arm.reward or 0) - (control.reward or 0))
    assert (control.verdict, arm.verdict, arm.exposed) == ("", BETTER, True)
    assert found.ratio_p is not None
    assert found.ratio_p > ALARM


@pytest.mark.parametrize(("rates", "verdict"), [((0.4, 0.2), CONTROL_BETTER), ((0.3, 0.3), RUNNING)])
def test_a_canary_that_is_not_better(tmp_path: Path, rates: tuple[float, float], verdict: str) -> None:
    """A worse one is told, and one that is no other goes on."""
    declared = experiment("canary")
    assert judged(tmp_path, declared, canary_events(declared, rates, 2_400)).verdict == verdict


def test_several_arms_share_the_error(tmp_path: Path) -> None:
    """With two challengers each interval is wider; one surely better arm is enough for the whole."""
    two = experiment("canary")
    three = experiment("canary", arms=("old", "new", "newer"), shares=(0.4, 0.3, 0.3))
    narrow = judged(tmp_path / "2", two, canary_events(two, (0.3, 0.3), 1_500)).arms[1].difference
    found = judged(tmp_path / "3", three, canary_events(three, (0.2, 0.2, 0.5), 3_000))
    assert [arm.verdict for arm in found.arms] == ["", RUNNING, BETTER]
    assert found.verdict == BETTER
    assert narrow is not None
    assert found.arms[1].difference is not None
    assert found.arms[1].difference.level == pytest.approx(0.975)
    assert narrow.level == pytest.approx(0.95)


def test_lost_pages_stop_it(tmp_path: Path) -> None:
    """An arm that loses a quarter of its people's pages is a mismatch, whatever it seems to earn."""
    declared = experiment("canary")
    events = canary_events(declared, (0.2, 0.6), 2_400)
    lost = {f"u{number}" for number in range(0, 800, 4)}
    kept = [event for event in events if not (getattr(event, "arm", "") == "test/new" and event.user in lost)]
    found = judged(tmp_path, declared, kept)
    assert found.ratio_p is not None
    assert found.ratio_p < ALARM
    assert found.verdict == MISMATCH
    assert {arm.verdict for arm in found.arms[1:]} == {MISMATCH}


def test_exposure_comes_first(tmp_path: Path) -> None:
    """Fewer pages than were asked for, and nothing is said, whatever the difference."""
    declared = experiment("canary", min_pages=2_000)
    found = judged(tmp_path, declared, canary_events(declared, (0.1, 0.9), 2_400))
    assert [arm.exposed for arm in found.arms] == [False, False]
    assert found.verdict == THIN


def test_who_fell_back_counts_for_the_arm(tmp_path: Path) -> None:
    """Pages that the control answered for an arm are the arm's, are counted, and told where they are many."""
    declared = experiment("canary")
    events = [
        msgspec.structs.replace(event, version="old")
        if getattr(event, "arm", "") == "test/new" and n % 10 == 0
        else event
        for n, event in enumerate(canary_events(declared, (0.3, 0.3), 1_200))
    ]  # fmt: skip
    found = judged(tmp_path, declared, events)
    assert 30 < found.arms[1].fell_back < 90
    assert any("new failed on" in note for note in found.notes)


def test_people_in_two_groups_are_told(tmp_path: Path) -> None:
    """A person whose pages are in both groups was named on some requests only."""
    declared = experiment("canary")
    events: list[Event] = [
        shown(f"r{n}", "a", at_s=float(n), user="same" if n < 2 else f"u{n}", ranker="main",
              version=declared.arms[n % 2], arm=declared.groups[n % 2])
        for n in range(40)
    ]  # fmt: skip
    found = judged(tmp_path, declared, events)
    assert found.crossed == 1
    assert any("1 people have pages in more than one group" in note for note in found.notes)


@pytest.mark.parametrize(("best", "verdict"), [(5, BETTER), (0, CONTROL_BETTER)])
def test_interleaving_finds_who_ranks_better(tmp_path: Path, best: int, verdict: str) -> None:
    """People like one end of the items best; the arm that puts it first wins."""
    declared = experiment("interleave", shares=(0.0, 1.0))
    likes = np.full(ITEMS, 0.2)
    likes[best] = 0.8
    found = judged(tmp_path, declared, interleaved_events(declared, likes, 700))
    assert found.verdict == verdict
    control, arm = found.arms
    assert control.slots == arm.slots == 3 * 700
    assert arm.reward is not None
    assert arm.difference is not None
    assert arm.difference.value == pytest.approx(2 * arm.reward - 1)
    assert found.ratio_p is None
    assert found.draft_p is not None
    assert found.draft_p > ALARM


def test_credit_is_fair_where_nothing_is_better(tmp_path: Path) -> None:
    """All items liked alike, though high places are clicked more: three arms earn alike, and it goes on."""
    declared = experiment("interleave", arms=("old", "new", "newer"), shares=(0.0, 1.0))
    found = judged(tmp_path, declared, interleaved_events(declared, np.full(ITEMS, 0.3), 900))
    assert [arm.verdict for arm in found.arms] == ["", RUNNING, RUNNING]
    assert all(arm.reward == pytest.approx(0.5, abs=0.06) for arm in found.arms[1:])
    assert len({arm.slots for arm in found.arms}) == 1


def test_unfair_coins_stop_it(tmp_path: Path) -> None:
    """Where one arm drafts first far too often, the draft is not what it should be."""
    declared = experiment("interleave", shares=(0.0, 1.0))
    pages = interleaved_events(declared, np.full(ITEMS, 0.3), 600)
    kept = [event for number, event in enumerate(pages) if getattr(event, "teams", (1,))[0] or number % 3]
    found = judged(tmp_path, declared, kept)
    assert found.draft_p is not None
    assert found.draft_p < ALARM
    assert found.verdict == MISMATCH


def test_pages_without_a_draft_fell_back(tmp_path: Path) -> None:
    """An interleaved page without teams was the control's alone: nobody's credit, and counted."""
    declared = experiment("interleave", shares=(0.0, 1.0))
    pages = interleaved_events(declared, np.full(ITEMS, 0.3), 300)
    half = [
        msgspec.structs.replace(event, teams=()) if getattr(event, "teams", ()) and n % 2 else event
        for n, event in enumerate(pages)
    ]
    found = judged(tmp_path, declared, half)
    lost = sum(1 for event in half if getattr(event, "teams", None) == ())
    assert (found.arms[1].fell_back, found.arms[1].pages) == (lost, 300 - lost)
    assert found.arms[1].slots == 3 * (300 - lost)


def test_metrics_count_what_they_name(tmp_path: Path) -> None:
    """Clicks are no purchases; dwell counts by the logarithm of its seconds, up to half an hour."""
    events: list[Event] = []
    for number, how in enumerate(
        ({}, {"type": "PURCHASE"}, {"dwell_s": 60.0, "type": "DWELL"}, {"dwell_s": 1e9})
    ):
        events.append(shown(f"r{number}", "a", "b", user=f"u{number}", ranker="main", arm="test/old"))
        events.append(done(f"e{number}", f"r{number}", "a", **how))
    wanted = {
        "click": {"r0": 1.0, "r1": 0.0, "r2": 0.0, "r3": 1.0},
        "purchase": {"r0": 0.0, "r1": 1.0, "r2": 0.0, "r3": 0.0},
        "dwell": {"r0": 0.0, "r1": 0.0, "r2": np.log1p(60) / np.log1p(1_800), "r3": 1.0},
    }
    for metric, values in wanted.items():
        seen = seen_in(tmp_path / metric, experiment("canary", metric=metric), events)
        assert sorted(seen.reward.tolist()) == pytest.approx(sorted(values.values()))
        assert seen.clicked.sum() == 2


def test_ratio_of_groups() -> None:
    """χ² of sizes: fair ones pass, unfair ones alarm, too few or a single group say nothing."""
    assert ratio_p([500, 500], [0.5, 0.5]) == pytest.approx(1.0)
    assert ratio_p([900, 100], [0.9, 0.1]) == pytest.approx(1.0)
    found = ratio_p([400, 600], [0.5, 0.5])
    assert found is not None
    assert found < ALARM
    assert ratio_p([4, 4], [0.5, 0.5]) is None
    assert ratio_p([0, 500], [0.0, 1.0]) is None


def test_ratio_alarms_as_rarely_as_it_says() -> None:
    """Over 100,000 fair assignments, no more alarms than chance has at one in a thousand."""
    random = np.random.default_rng(2)
    sizes, times = np.unique(random.binomial(1_000, 0.1, 100_000), return_counts=True)
    found = [ratio_p([1_000 - size, size], [0.9, 0.1]) for size in sizes.tolist()]
    alarms = sum(count for p, count in zip(found, times.tolist(), strict=True) if p is not None and p < ALARM)
    assert 0 < alarms <= 130


def test_no_page_is_no_judgment(tmp_path: Path) -> None:
    """A log without the experiment has nothing of it."""
    assert len(seen_in(tmp_path, experiment("canary"), [shown("r", "a", ranker="main")])) == 0


def test_shadows_are_summed_by_version(tmp_path: Path) -> None:
    """Lines of several processes, one torn: medians, means and failures by version."""
    logs = [ShadowLog(tmp_path, lambda name=name: name) for name in ("p1", "p2")]  # type: ignore[misc]
    for number, ms in enumerate((1.0, 2.0, 9.0)):
        logs[number % 2].append(
            TENANT, "test", Shadowed("new", 1.0, ms=ms, control_ms=1.0, overlap=0.5, tau=0.2)
        )
    logs[0].append(TENANT, "test", Shadowed("new", 1.0, failed="RuntimeError"))
    logs[0].append(TENANT, "test", Shadowed("unheard", 1.0))
    with (tmp_path / TENANT / "shadows/test/p1.jsonl").open("ab") as file:
        file.write(b'{"version": "ne')
    (arm,) = shadow_arms(read_shadows(tmp_path, TENANT, "test"), ("new",))
    assert (arm.rankings, arm.failed, arm.ms, arm.control_ms) == (3, 1, 2.0, 1.0)
    assert (arm.overlap, arm.tau) == pytest.approx((0.5, 0.2))
    (none,) = shadow_arms([], ("new",))
    assert (none.rankings, none.ms) == (0, None)


def test_a_full_file_takes_no_more(tmp_path: Path) -> None:
    """Lines beyond the limit are left out, and what is there stays whole."""
    log = ShadowLog(tmp_path, lambda: "p", most_bytes=100)
    for _ in range(10):
        log.append(TENANT, "test", Shadowed("new", 1.0))
    assert 1 <= len(list(read_shadows(tmp_path, TENANT, "test"))) <= 3
