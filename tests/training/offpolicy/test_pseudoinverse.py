"""The pseudoinverse estimator on pages whose places are drawn independently of each other."""

from dataclasses import replace

import numpy as np
import pytest

from training.offpolicy.estimate import Settings, estimates
from training.offpolicy.estimators import effective_size, ips, self_normalised
from training.offpolicy.slates import Slates
from training.offpolicy.testing_factored import FactoredWorld
from training.offpolicy.weights import FAMILIES, independent, pseudoinverse, whole_page

WORLD = FactoredWorld.drawn(1)
TARGET = WORLD.attraction + np.random.default_rng(2).normal(0, 0.1, WORLD.attraction.shape)
FAMILY = [weigh for _, weigh in FAMILIES["factored"]]


def logs(world: FactoredWorld = WORLD, count: int = 150) -> list[Slates]:
    """Logs of 400 pages each."""
    return [world.log(400, seed, TARGET) for seed in range(count)]


def off(found: list[float], truth: float) -> float:
    """How many standard errors the mean of some estimates lies from the truth."""
    return abs(np.mean(found) - truth) / (np.std(found) / np.sqrt(len(found)))


@pytest.mark.parametrize("estimate", [ips, self_normalised])
def test_unbiased_where_credit_goes_astray(estimate: object) -> None:
    """Half of what items earn is counted as the next item's: pages' sums still tell the truth."""
    found = [estimate(slates, pseudoinverse(slates)).mean() for slates in logs()]  # type: ignore[operator]
    assert off(found, WORLD.value(TARGET)) < 4


def test_independent_items_are_not() -> None:
    """Giving every item its own clicks is far off in the same logs, and right without spill."""
    found = [ips(slates, independent(slates)).mean() for slates in logs()]
    assert off(found, WORLD.value(TARGET)) > 8
    tidy = replace(WORLD, spill=0.0)
    found = [ips(slates, independent(slates)).mean() for slates in logs(tidy)]
    assert off(found, tidy.value(TARGET)) < 4


def test_less_noise_than_whole_pages() -> None:
    """What it supposes of sums pays: the spread of its estimates is below that of whole-page weights."""
    spread = {
        weigh: np.std([ips(slates, weigh(slates)).mean() for slates in logs(count=60)])
        for weigh in (pseudoinverse, whole_page)
    }
    assert spread[pseudoinverse] < 0.8 * spread[whole_page]


@pytest.mark.parametrize("weigh", FAMILY)
def test_the_logging_policy_earns_what_it_earned(weigh: object) -> None:
    """With the logging policy's own probabilities all weights are 1."""
    slates = WORLD.log(400, 3, TARGET)
    own = replace(slates, target=slates.propensity)
    weights = weigh(own)  # type: ignore[operator]
    assert np.allclose(weights, own.counts)
    assert effective_size(own, weights) == pytest.approx(len(own))
    assert ips(own, weights).mean() == pytest.approx(own.earned.mean())


def test_weights_by_hand() -> None:
    """1 + Σ (ratio - 1): both of two places as the target would have them, one of them, and neither."""
    slates = Slates.of(
        [[1.0, 0.0]] * 3, [[0, 1], [0, 9], [9, 9]], 2,
        pair=[[0, 1]] * 3, cluster=[0, 1, 2], propensity=[[0.5, 0.25]] * 3,
    )  # fmt: skip
    weights = pseudoinverse(replace(slates, meaning="factored"))
    assert weights.tolist() == [[5.0, 5.0], [1.0, 1.0], [-1.0, -1.0]]


def test_the_factored_log_is_answered_by_it() -> None:
    """It decides, its interval holds the truth, and nothing doubly robust is offered."""
    found = estimates(WORLD.log(4_000, 1, TARGET), None, Settings(resamples=300))
    assert found[0].name == "pseudoinverse, ips"
    assert not found[0].refused
    assert found[0].value.low < WORLD.value(TARGET) < found[0].value.high
    assert not [each for each in found if each.method == "doubly robust"]
    assert {each.family for each in found} == {"pseudoinverse", "independent", "whole page"}


def test_wrong_propensities_are_refused() -> None:
    """Twice too small propensities: the mean weight gives them away."""
    slates = WORLD.log(4_000, 1, TARGET)
    wrong = replace(slates, propensity=slates.propensity / 2)
    assert "instead of 1" in "; ".join(estimates(wrong, None, Settings(resamples=300))[0].refused)
