"""Interval and p-value against scipy and against what is known exactly."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from training.significance import compare, interval, p_value


def test_p_value_counts_all_swaps_where_they_are_few() -> None:
    """With six queries the p-value is the share of the 64 swaps with as large a difference."""
    after = np.array([0.9, 0.8, 0.7, 0.9, 0.4, 0.6])
    before = np.array([0.5, 0.6, 0.8, 0.3, 0.1, 0.5])
    difference = after - before
    means = [abs(np.mean(difference * signs)) for signs in product((1, -1), repeat=6)]
    exact = np.mean([mean >= abs(difference.mean()) - 1e-12 for mean in means])
    assert p_value(after, before, 0) == pytest.approx(exact)


def test_p_value_agrees_with_a_t_test() -> None:
    """Over many queries the randomisation test comes near scipy's paired t-test."""
    random = np.random.default_rng(0)
    before = random.normal(0.5, 0.1, 300)
    after = before + random.normal(0.012, 0.1, 300)
    assert p_value(after, before, 0) == pytest.approx(stats.ttest_rel(after, before).pvalue, abs=0.01)


def test_interval_agrees_with_the_normal_one() -> None:
    """Over many queries the bootstrap's interval comes near mean ± 1.96 standard errors."""
    values = np.random.default_rng(0).normal(0.1, 0.3, 500)
    error = 1.96 * values.std() / np.sqrt(500)
    assert interval(values, 0) == pytest.approx((values.mean() - error, values.mean() + error), abs=0.003)


def test_same_seed_same_numbers() -> None:
    """Interval and p-value follow from values and seed alone."""
    random = np.random.default_rng(0)
    after, before = random.random(40), random.random(40)
    assert compare(after, before, "x", 3) == compare(after, before, "x", 3)


def test_no_difference_is_no_evidence() -> None:
    """Equal rankings have p = 1 and an interval of 0; so has a lone query its difference."""
    same = np.full(5, 0.5)
    found = compare(same, same, "x", 0)
    assert (found.p_value, found.low, found.high, found.difference) == (1.0, 0.0, 0.0, 0.0)
    assert compare(np.ones(1), np.zeros(1), "x", 0).p_value == 1.0


def test_lift_is_relative_to_the_one_before() -> None:
    """The lift is the difference over the other's mean, and none where that is 0."""
    assert compare(np.full(4, 0.6), np.full(4, 0.5), "x", 0).relative_lift == pytest.approx(0.2)
    assert compare(np.full(4, 0.6), np.zeros(4), "x", 0).relative_lift is None
