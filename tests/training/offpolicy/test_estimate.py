"""Estimates with intervals, and when a log is refused."""

from dataclasses import replace

import numpy as np
import pytest

from features.errors import InvalidConfig, InvalidInput
from training.offpolicy.estimate import POSITION, Settings, estimates
from training.offpolicy.intervals import Resamples, bernstein
from training.offpolicy.slates import Slates
from training.offpolicy.testing import World
from training.simulate.constants import POSITION_BIAS

WORLD = World.drawn(1, items=6)
BETTER = WORLD.ranker(2, 0.1)
CURVE = POSITION_BIAS[:6]
QUICK = Settings(resamples=300)


def why(slates: Slates, settings: Settings = QUICK, curve: np.ndarray | None = None) -> str:
    """The deciding estimator's refusal."""
    return "; ".join(estimates(slates, curve, settings)[0].refused)


def test_intervals_hold_the_truth() -> None:
    """Over 60 logs of as many worlds, each estimator's interval holds it 52 times or more (expected: 57)."""
    held: dict[str, int] = {}
    for seed in range(60):
        world = World.drawn(seed, items=6)
        target = world.ranker(seed + 100, 0.2)
        for each in estimates(world.log(1_500, seed, target), CURVE, QUICK):
            assert each.value.low < each.value.value < each.value.high
            held[each.name] = held.get(each.name, 0) + (
                each.value.low <= world.value(target) <= each.value.high
            )
    assert set(held) == {
        "independent, doubly robust",
        "independent, ips",
        "independent, self-normalised",
        "position-based, doubly robust",
        "position-based, ips",
    }
    assert min(held.values()) >= 52


def test_differences_are_paired() -> None:
    """The difference from what was logged is known better than either, for a ranker that moves little."""
    close = WORLD.logging + np.random.default_rng(1).normal(0, 0.02, WORLD.logging.shape)
    slates = WORLD.log(4_000, 1, close)
    found = estimates(slates, CURVE, QUICK)[-1]
    assert found.family == POSITION
    assert found.difference.value == pytest.approx(found.value.value - slates.earned.mean())
    pages = Resamples.of(slates.cluster).interval(slates.earned)
    assert found.difference.high - found.difference.low < pages.high - pages.low


def test_people_are_resampled_whole() -> None:
    """Where a person's pages say the same, more pages of one person make no narrower interval."""
    person = np.repeat(np.arange(200), 10)
    values = np.random.default_rng(1).normal(0, 1, 200)[person]
    together = Resamples.of(person).interval(values)
    apart = Resamples.of(np.arange(2_000)).interval(values)
    assert together.high - together.low > 2.5 * (apart.high - apart.low)


def test_a_log_that_answers_is_not_refused() -> None:
    """Enough pages, people and overlap."""
    assert why(WORLD.log(3_000, 1, BETTER)) == ""


def test_a_small_log_is_refused_with_its_numbers() -> None:
    """Pages, people and effective sample size are told with what is needed."""
    told = why(WORLD.log(60, 1, BETTER))
    assert "60 pages; at least 500" in told
    assert "clusters" in told
    assert "effective sample size" in told


def test_a_log_without_exploration_is_refused() -> None:
    """Logged propensities of 1 reach nothing that a different ranker shows: the mean weight says so."""
    fixed = replace(WORLD, explore=0.0)
    slates = fixed.log(3_000, 1, -WORLD.logging)
    slates = replace(slates, propensity=np.ones_like(slates.propensity))
    assert "instead of 1: the log hardly ever shows" in why(slates)


def test_wrong_propensities_are_refused() -> None:
    """Propensities that are half of what they were make weights that do not add up."""
    slates = WORLD.log(3_000, 1, BETTER)
    told = why(replace(slates, propensity=slates.propensity / 2))
    assert "the logged propensities are too small" in told


def test_without_propensities_only_the_click_model_answers() -> None:
    """NaN propensities leave the position-based family; without examination nothing is left."""
    slates = WORLD.log(3_000, 1, BETTER)
    blind = replace(slates, propensity=np.full_like(slates.propensity, np.nan))
    assert {each.family for each in estimates(blind, CURVE, QUICK)} == {POSITION}
    assert estimates(blind, None, QUICK) == ()
    assert "stood below place 2" in why(blind, curve=CURVE[:2])


def test_a_clip_cuts_and_tells() -> None:
    """Clipped weights are told by their share, lower the estimate, and raise the effective size."""
    slates = WORLD.log(3_000, 1, BETTER)
    plain, clipped = (estimates(slates, None, Settings(clip=clip))[1] for clip in (np.inf, 2.0))
    assert plain.clipped == 0
    assert 0.1 < clipped.clipped < 1
    assert clipped.value.value < plain.value.value
    assert clipped.effective > plain.effective


def test_empirical_bernstein_is_wider_and_needs_a_clip() -> None:
    """It holds without asymptotics, at a price; without a bound there is none."""
    slates = WORLD.log(3_000, 1, BETTER)
    wide = estimates(slates, None, Settings(clip=15, interval="bernstein"))[1].value
    narrow = estimates(slates, None, Settings(clip=15))[1].value
    assert wide.low < narrow.low < narrow.high < wide.high
    with pytest.raises(InvalidInput, match="clip the weights"):
        bernstein(np.ones(4), np.arange(4), np.inf)


def test_settings_that_are_none() -> None:
    """A clip of 0 and a level of 1 are named."""
    for wrong in ({"clip": 0.0}, {"level": 1.0}):
        with pytest.raises(InvalidConfig, match=next(iter(wrong))):
            Settings(**wrong)
