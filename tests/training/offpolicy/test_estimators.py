"""Laws that every off-policy estimator keeps, over random logs."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import InvalidInput
from training.offpolicy.estimators import doubly_robust, effective_size, ips, self_normalised
from training.offpolicy.rates import predicted
from training.offpolicy.slates import Meaning, Slates
from training.offpolicy.testing import World
from training.offpolicy.weights import FAMILIES, Weigh, examined
from training.simulate.constants import POSITION_BIAS

Estimate = Callable[[Slates, np.ndarray], np.ndarray]
ESTIMATORS: dict[str, Estimate] = {
    "ips": ips,
    "self_normalised": self_normalised,
    "doubly_robust": lambda slates, weights: doubly_robust(slates, weights, predicted(slates)),
}
WEIGHS: list[tuple[Meaning, str, Weigh]] = [
    (meaning, name, weigh)
    for meaning, found in FAMILIES.items()
    for name, weigh in found
    if meaning != "factored"  # pages of another world: test_pseudoinverse
]
IDS = [f"{meaning}-{name}" for meaning, name, _ in WEIGHS]


def log(meaning: Meaning, pages: int = 400, seed: int = 3, items: int = 3) -> Slates:
    """A log of a small world, beside what a better ranker would show."""
    world = World.drawn(1, queries=6, items=items, explore=0.6, reading=meaning != "place")
    return world.log(pages, seed, world.ranker(2, 0.1), meaning)


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize(("meaning", "family", "weigh"), WEIGHS, ids=IDS)
def test_the_logging_policy_earns_what_it_earned(
    name: str, meaning: Meaning, family: str, weigh: Weigh
) -> None:
    """With the logging policy's own probabilities all weights are 1, and estimates the logged mean.

    The reward model is left out: what it expects of a policy that draws pages is no page's sum.
    """
    slates = log(meaning)
    own = replace(slates, target=slates.propensity)
    weights = weigh(own)
    assert np.allclose(weights, own.counts)
    assert effective_size(own, weights) == pytest.approx(len(own))
    if name != "doubly_robust":
        assert ESTIMATORS[name](own, weights).mean() == pytest.approx(own.earned.mean())


def test_a_ranker_that_changes_nothing_earns_what_was_earned_by_position() -> None:
    """Position-based weights are 1 where every item stays, doubly robust or not."""
    slates = log("place")
    stays = np.broadcast_to(np.arange(3), slates.rank.shape)
    same = replace(slates, rank=stays)
    weights = examined(POSITION_BIAS)(same)
    assert np.allclose(weights, 1)
    assert doubly_robust(same, weights, predicted(same, POSITION_BIAS)) == pytest.approx(same.earned)


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize(("meaning", "family", "weigh"), WEIGHS, ids=IDS)
def test_unbiased_with_full_support(name: str, meaning: Meaning, family: str, weigh: Weigh) -> None:
    """Over 150 logs the mean estimate lies within four standard errors of the truth."""
    world = World.drawn(1, queries=6, items=3, explore=0.6, reading=meaning != "place")
    target = world.ranker(2, 0.1)
    found = []
    for seed in range(150):
        slates = world.log(400, seed, target, meaning)
        found.append(ESTIMATORS[name](slates, weigh(slates)).mean())
    error = np.std(found) / np.sqrt(len(found))
    bias = 0.01 if name == "self_normalised" else 0.0  # of the order 1/n, by its nature
    assert abs(np.mean(found) - world.value(target)) < 4 * error + bias


def test_position_based_is_unbiased_without_exploration() -> None:
    """A log of one fixed order tells the value of another one, given examination propensities."""
    world = World.drawn(1, queries=6, items=6, explore=0.0)
    target = -world.attraction
    weigh = examined(POSITION_BIAS[:6])
    found = [ips(slates, weigh(slates)).mean() for slates in (world.log(400, s, target) for s in range(150))]
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found) - world.value(target)) < 4 * error
    assert abs(world.logged_value() - world.value(target)) > 8 * error, "the two rankers must differ"


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 1_000), meaning=st.sampled_from(["place", "sequential", "page"]))
def test_the_order_of_pages_plays_no_part(seed: int, meaning: Meaning) -> None:
    """Pages in another order give the same values in that order."""
    slates = log(meaning, pages=120, seed=seed)
    order = np.random.default_rng(seed).permutation(len(slates))
    for _, weigh in FAMILIES[meaning]:
        for estimate in ESTIMATORS.values():
            there = estimate(slates, weigh(slates))[order]
            again = slates.take(order)
            assert np.allclose(estimate(again, weigh(again)), there)


def test_a_reward_model_takes_noise_away_and_no_page_predicts_itself() -> None:
    """Doubly robust page values vary less than plain ones; another click leaves a page's own r̂ alone."""
    slates = log("place", pages=4_000, items=6)
    weights = FAMILIES["place"][0][1](slates)
    assert doubly_robust(slates, weights, predicted(slates)).std() < 0.9 * ips(slates, weights).std()
    curve = POSITION_BIAS[:6]
    clicked = slates.reward.copy()
    clicked[0] = 1 - clicked[0]
    before, after = predicted(slates, curve), predicted(replace(slates, reward=clicked), curve)
    assert (before.logged[0] == after.logged[0]).all()
    assert (before.logged != after.logged).any()


def test_effective_size_of_equal_and_of_lonely_weights() -> None:
    """Kish: n for equal weights, one page's worth for a single page that counts, 0 for none."""
    slates = log("place", pages=50)
    ones = slates.counts.astype(float)
    assert effective_size(slates, 7 * ones) == pytest.approx(50)
    lonely = np.zeros_like(ones)
    lonely[4] = 3.0
    assert effective_size(slates, lonely) == pytest.approx(1)
    assert effective_size(slates, 0 * ones) == 0


@pytest.mark.parametrize("bad", [0.0, -0.1, 1.2])
def test_propensities_are_probabilities(bad: float) -> None:
    """What was shown was not impossible, nor more than certain."""
    with pytest.raises(InvalidInput, match=r"slates\.propensity"):
        Slates.of([[1.0]], [[0]], 1, pair=[[0]], cluster=[0], propensity=bad)


def test_examination_is_above_zero() -> None:
    """A place that nobody looks at gives no weight, but an error."""
    with pytest.raises(InvalidInput, match="above 0"):
        examined(np.array([1.0, 0.0]))
