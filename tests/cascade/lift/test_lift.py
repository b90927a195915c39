"""Lifts of simulated stages against the truth, and when nothing is told."""

import numpy as np
import pytest

from cascade.lift.curve import KEY, checked, curve_of
from cascade.lift.tally import BAGS, Tally
from cascade.lift.testing import LiftWorld
from cascade.lift.verdict import ANY_ORDER, Limits, counted, lifts, ratio
from cascade.lift.worth import worth
from features.errors import InvalidConfig


def tallied(world: LiftWorld, pages: int, seed: int, people: int = 0) -> Tally:
    """Sums over simulated pages."""
    query, person, shown, clicked = world.pages(pages, seed, people)
    items = shown.shape[1]
    scores = np.take_along_axis(world.scores[query], shown[:, :, None], axis=1).reshape(pages * items, -1)
    made = worth(scores, np.repeat(np.arange(pages), items), world.theta)
    tally = Tally(world.stages)
    tally.show(made, person % BAGS)
    tally.clicks(made, person % BAGS, np.flatnonzero(clicked))
    return tally


def test_lifts_are_unbiased_and_intervals_hold_them() -> None:
    """Over 120 logs of stages of known worth: the mean is right, 95 % intervals hold in 92 to 99 %."""
    world = LiftWorld.drawn(moods=0.8)
    found = [lifts(tallied(world, 1_500, seed, people=300)) for seed in range(120)]
    for stage in range(3):
        truth, each = world.lift(stage), [log[stage] for log in found]
        values = np.array([one.lift.value for one in each])
        assert abs(values.mean() - truth) < 4 * values.std() / np.sqrt(len(values))
        held = np.mean([one.lift.low <= truth <= one.lift.high for one in each])
        assert 0.9 <= held <= 0.995


def test_a_stage_that_earns_and_one_that_costs() -> None:
    """Verdicts by the interval: noise that became knowledge, and knowledge that became noise."""
    first, second, third = lifts(tallied(LiftWorld.drawn(noise=(2.0, 0.05, 2.0)), 4_000, 1))
    assert (second.verdict, third.verdict) == ("earns", "costs")
    assert (first.against, second.against, third.against) == (ANY_ORDER, "first", "second")
    assert second.relative.value == pytest.approx(second.lift.value / second.before)
    assert second.relative.low > 0


def test_a_stage_that_changes_nothing() -> None:
    """The same order: a lift of exactly 0, and no verdict in its favour."""
    world = LiftWorld.drawn(noise=(0.3, 0.3))
    same = LiftWorld(world.alpha, np.repeat(world.scores[:, :, :1], 2, axis=2), world.theta)
    again = lifts(tallied(same, 2_000, 1))[1]
    assert again.lift.value == pytest.approx(0, abs=1e-12)
    assert again.verdict == "not surely other"


def test_pages_of_one_person_hang_together() -> None:
    """Few persons with moods and many pages each: wider than if every page were another person's."""
    world = LiftWorld.drawn(moods=0.9)
    few, many = (lifts(tallied(world, 6_000, 1, people))[1].lift for people in (120, 0))
    assert few.high - few.low > many.high - many.low


def test_lost_clicks_leave_the_relative_lift() -> None:
    """Where half of all clicks reach another process, lifts halve and relative ones stay."""
    world = LiftWorld.drawn()
    whole, half = tallied(world, 10_000, 1), tallied(world, 10_000, 1)
    half.before, half.after = half.before / 2, half.after / 2
    mine, theirs = lifts(whole)[1], lifts(half)[1]
    assert theirs.lift.value == pytest.approx(mine.lift.value / 2)
    assert theirs.relative.value == pytest.approx(mine.relative.value)


def test_what_cannot_be_told_says_why() -> None:
    """Few pages, few people, weights that rest on few pages, no click: each reason with its number."""
    small = lifts(tallied(LiftWorld.drawn(), 60, 1, people=10))[1]
    assert small.verdict == "cannot tell"
    assert "60 pages; at least 500" in small.refused[0]
    assert "people; at least 100" in small.refused[1]
    assert "effective sample size" in small.refused[2]
    silent = Tally(("first",))
    person = LiftWorld.drawn().pages(1_000, 1)[1]
    silent.show(
        worth(np.ones((5_000, 1), np.float32), np.repeat(np.arange(1_000), 5), np.ones(5)), person % BAGS
    )
    assert lifts(silent)[0].refused == ("nothing was clicked",)


def test_a_steep_curve_costs_effective_pages() -> None:
    """Turning pages upside down rests on clicks at the bottom: worth fewer pages than there are."""
    world = LiftWorld.drawn(noise=(0.3, 0.3))
    upside = LiftWorld(
        world.alpha, np.stack([-world.scores[:, :, 0], world.scores[:, :, 0]], axis=2), world.theta
    )
    found = lifts(tallied(upside, 2_000, 1))[0]
    assert found.effective < 1_500


def test_stages_that_ran_on_some_pages() -> None:
    """A stage's lift is over pages that it scored, and `ran` says what share that is."""
    tally = Tally(("first", "second"))
    scores = np.array([[1, 1], [2, 3], [1, np.nan], [2, np.nan]], np.float32)
    tally.show(worth(scores, np.array([0, 0, 1, 1]), np.array([1.0, 0.5])), np.array([3, 4]))
    first, second = lifts(tally, Limits(0, 0, 0))
    assert (first.ran, second.ran, second.pages) == (1.0, 0.5, 1.0)


def test_halving_keeps_values() -> None:
    """Old pages count half as much as new ones; what the sums say stays as long as nothing new comes."""
    tally = tallied(LiftWorld.drawn(), 5_000, 1)
    before = lifts(tally)
    tally.halve()
    after = lifts(tally)
    assert after[1].lift.value == pytest.approx(before[1].lift.value)
    assert after[1].pages == before[1].pages / 2


def test_ratio_of_nothing_and_of_one_bag() -> None:
    """Without pages, or with one bag, there is no end to the interval."""
    for sizes in (np.zeros(4), np.array([5.0, 0, 0, 0])):
        found = ratio(sizes / 2, sizes, 0.95)
        assert (found.low, found.high) == (-np.inf, np.inf)


def test_the_interval_of_a_ratio_by_hand() -> None:
    """Bags that all earn the same a page leave no doubt; others as the linearised ratio says."""
    sizes = np.array([1.0, 4.0, 10.0, 0.0])
    sure = ratio(2 * sizes, sizes, 0.95)
    assert (sure.value, sure.low, sure.high) == (2.0, 2.0, 2.0)
    found = ratio(np.array([1.0, 3.0]), np.array([1.0, 1.0]), 0.95)
    error = np.sqrt(2 / 1 * (1 + 1)) / 2
    assert found.value == 2.0
    assert found.high - found.value == pytest.approx(12.7062 * error, rel=1e-4)


def test_people_are_counted_by_bags() -> None:
    """Linear counting is right within a tenth or so up to some hundred persons."""
    for people in (50, 150, 400):
        bags = np.bincount(np.random.default_rng(1).integers(0, BAGS, people), minlength=BAGS)
        assert counted(bags.astype(float)) == pytest.approx(people, rel=0.15)
    assert f"{counted(np.zeros(BAGS)):.0f}" == "0"
    assert counted(np.ones(BAGS)) == pytest.approx(BAGS * np.log(BAGS))


@pytest.mark.parametrize("bad", [[1.0], [1.0, 0.0], [1.0, -1.0], [1.0, float("nan")], []])
def test_curves_that_are_none(bad: list[float]) -> None:
    """Examination is above 0, at two places or more; a manifest with less tells nothing."""
    with pytest.raises(InvalidConfig, match="above 0"):
        checked(bad, "$.examination")
    assert curve_of({KEY: bad}) is None


def test_a_curve_is_over_its_first_place() -> None:
    """Scale plays no part; what is below place ten is left out; a foreign entry tells nothing."""
    assert checked([2.0, 1.0], "x").tolist() == [1.0, 0.5]
    assert len(checked([1.0] * 30, "x")) == 10
    assert curve_of({KEY: "often"}) is None
    assert curve_of({KEY: {}}) is None
    assert curve_of({}) is None
