"""Intervals that hold at every look, against simulated truth."""

import numpy as np
import pytest

from features.columns import Doubles, Rows
from training.experiments.always import EVENTS, PEOPLE, TIGHTEST, Sample, difference, interval, mean

ALPHA = 0.05
RUNS = 60
LOOKS = 16


def visits(random: np.random.Generator, people: int, pages: int) -> Rows:
    """The person of each page: few who come often, many who come once, in any order."""
    sizes = np.minimum(random.zipf(1.8, people), 200)
    return random.permutation(np.repeat(np.arange(people), sizes))[:pages]


def looks(pages: int) -> list[int]:
    """When somebody looks: often in the beginning, up to the end."""
    return np.unique(np.geomspace(100, pages, LOOKS).astype(int)).tolist()


def ever_excludes(
    seed: int, rates: tuple[float, float], share: float, spread: float, truth: float
) -> tuple[bool, int]:
    """(whether any look's interval misses a difference, pages until then) of one canary."""
    random = np.random.default_rng(seed)
    person = visits(random, 2_500, 5_000)
    arm = random.random(2_500) < share
    own = np.exp(spread * random.standard_normal(2_500) - spread**2 / 2)
    chance = np.clip(np.where(arm, rates[1], rates[0]) * own, 0, 1)
    clicked = (random.random(len(person)) < chance[person]).astype(float)
    mine = arm[person]
    for pages in looks(len(person)):
        now, who, y = mine[:pages], person[:pages], clicked[:pages]
        found = difference(Sample.of(y[now], who[now]), Sample.of(y[~now], who[~now]), ALPHA)
        if found and not found.low <= truth <= found.high:
            return True, pages
    return False, len(person)


def allowed(rate: float) -> float:
    """Above the rate by three standard errors of as many runs."""
    return rate + 3 * float(np.sqrt(rate * (1 - rate) / RUNS))


@pytest.mark.parametrize(("rate", "share", "spread"), [(0.3, 0.5, 0.0), (0.3, 0.5, 0.8), (0.03, 0.1, 0.5)])
def test_looking_again_and_again_makes_no_false_alarm(rate: float, share: float, spread: float) -> None:
    """Without a difference, all looks together alarm in no more than 5 % of experiments."""
    alarms = [ever_excludes(seed, (rate, rate), share, spread, 0.0)[0] for seed in range(RUNS)]
    assert np.mean(alarms) <= allowed(ALPHA)


def test_an_interval_of_fixed_size_would() -> None:
    """The same looks at plain 95 % intervals alarm far more often: the simulation can tell."""
    alarms = 0
    for seed in range(RUNS):
        random = np.random.default_rng(seed)
        y, arm = random.random(5_000) < 0.3, random.random(5_000) < 0.5
        for pages in looks(5_000):
            both = [
                Sample.of(y[:pages][side].astype(float), np.flatnonzero(side))
                for side in (arm[:pages], ~arm[:pages])
            ]
            gap, error = both[0].mean - both[1].mean, np.hypot(both[0].error, both[1].error)
            if abs(gap) > 1.96 * error:
                alarms += 1
                break
    assert alarms / RUNS > 2 * allowed(ALPHA)


def test_a_difference_is_covered_and_found() -> None:
    """A true difference stays inside the interval at all looks, and 0 does not: the power is there."""
    rates = 0.3, 0.4
    missed = [ever_excludes(seed, rates, 0.5, 0.0, 0.1)[0] for seed in range(RUNS)]
    found = [ever_excludes(seed, rates, 0.5, 0.0, 0.0) for seed in range(RUNS)]
    assert np.mean(missed) <= allowed(ALPHA)
    assert np.mean([stopped for stopped, _ in found]) > 0.9
    assert np.median([pages for _, pages in found]) < 4_000


def test_an_arm_that_earns_nothing_is_found() -> None:
    """A broken arm, in which nobody clicks, has no spread of its own, and is found all the same."""
    found = [ever_excludes(seed, (0.1, 0.0), 0.2, 0.0, 0.0)[0] for seed in range(30)]
    assert np.mean(found) > 0.9


def test_the_bound_is_that_of_the_mixture() -> None:
    """Half the width is √((V + λ) log((V + λ) / (λ α²))) / n; walks leave it as rarely as it says."""
    lengths = np.arange(200, 20_001, 50)
    strict = -2 * np.log(ALPHA)
    scale = TIGHTEST / (strict + np.log(1 + strict))
    bound = np.sqrt((lengths + scale) * np.log((lengths + scale) / (scale * ALPHA**2)))
    for n, edge in zip(lengths.tolist(), bound.tolist(), strict=True):
        found = interval(0.0, n**-0.5, 1 / n, n, ALPHA)
        assert found is not None
        assert found.high * n == pytest.approx(edge)
    random, left = np.random.default_rng(4), 0
    for _ in range(500):
        walk = np.cumsum(random.standard_normal(lengths[-1]))[lengths - 1]
        left += bool((np.abs(walk) > bound).any())
    assert 0.005 < left / 500 <= ALPHA + 3 * np.sqrt(ALPHA * (1 - ALPHA) / 500)


def test_preferences_of_pages() -> None:
    """The mean of +1, 0 and -1 alarms in no more than 5 % where nothing is preferred, and finds what is."""

    def excludes(seed: int, wins: float) -> bool:
        random = np.random.default_rng(seed)
        person = visits(random, 1_500, 2_500)
        leaning = np.clip(wins + 0.2 * random.standard_normal(1_500), 0, 1)
        value = np.where(random.random(len(person)) < leaning[person], 1.0, -1.0)
        value[random.random(len(person)) < 0.3] = 0.0
        for pages in looks(len(person)):
            found = mean(Sample.of(value[:pages], person[:pages]), ALPHA)
            if found and not found.low <= 0 <= found.high:
                return True
        return False

    assert np.mean([excludes(seed, 0.5) for seed in range(RUNS)]) <= allowed(ALPHA)
    assert np.mean([excludes(seed, 0.62) for seed in range(30)]) > 0.8


def sample(values: Doubles, people: int) -> Sample:
    """Of pages by as many people in turn."""
    return Sample.of(values, np.arange(len(values)) % people)


def test_nothing_is_said_of_too_few() -> None:
    """Too few people, or too few who did anything, have no interval; nor have pages that are all alike."""
    clicks = (np.arange(400) % 4 == 0).astype(float)
    assert difference(sample(clicks, PEOPLE), sample(clicks, PEOPLE), ALPHA)
    assert difference(sample(clicks, PEOPLE - 1), sample(clicks, 100), ALPHA) is None
    rare = np.zeros(400)
    rare[: EVENTS // 2 - 1] = 1
    assert difference(sample(rare, 400), sample(rare, 400), ALPHA) is None
    assert mean(sample(np.zeros(400), 400), ALPHA) is None
    assert interval(0.0, 0.0, 0.0, 100, ALPHA) is None
    assert Sample.of(np.empty(0), np.empty(0, np.int64)).pages == 0


def test_the_error_is_that_of_people() -> None:
    """Pages of one person are no more evidence than the person: ten alike each leave the error as it was."""
    random = np.random.default_rng(5)
    values = (random.random(300) < 0.4).astype(float)
    alone, tenfold = (
        Sample.of(values, np.arange(300)),
        Sample.of(np.repeat(values, 10), np.arange(3_000) // 10),
    )
    assert tenfold.error == pytest.approx(alone.error)
    assert alone.error == pytest.approx(values.std(ddof=1) / np.sqrt(300))
