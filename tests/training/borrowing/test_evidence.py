"""What held-out queries say, with the error that comes with there being few of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.borrowing.evidence import Mean

values = st.lists(st.floats(-1, 1), min_size=2, max_size=30)


def test_error_of_single_queries_is_the_means_own() -> None:
    """Where every query is a group, the error is the standard error of a mean."""
    given_values = np.random.default_rng(1).normal(size=50)
    found = Mean.of(given_values, np.arange(50))
    assert found.error == pytest.approx(given_values.std(ddof=1) / np.sqrt(50))


def test_near_duplicates_are_one_piece_of_evidence() -> None:
    """Every query four times over is no more evidence than once, if the four are a group."""
    once = np.random.default_rng(2).normal(size=40)
    found = Mean.of(np.repeat(once, 4), np.repeat(np.arange(40), 4))
    assert found.error == pytest.approx(Mean.of(once, np.arange(40)).error)
    assert Mean.of(np.repeat(once, 4), np.arange(160)).error < found.error * 0.6


@settings(deadline=None, max_examples=60)
@given(values)
def test_weight_is_a_share_and_nothing_of_a_loss(given_values: list[float]) -> None:
    """In [0, 1), 0 where there is no gain, and more than 0 where the gain is as large as its error."""
    found = Mean.of(np.array(given_values), np.arange(len(given_values)))
    weight = found.shrinkage()
    assert 0 <= weight < 1
    assert weight == 0 or found.value > 0
    assert weight > 0 or found.value <= 0 or found.value < found.error


def test_weight_at_one_standard_error() -> None:
    """Half of what so many groups are worth: g / (g + 10) / 2."""
    assert Mean(0.01, 0.01, 30, 30).shrinkage() == pytest.approx(0.75 / 2)
    assert Mean(0.03, 0.01, 90, 90).shrinkage() == pytest.approx(0.9 * 0.9)


def test_weight_grows_with_evidence() -> None:
    """The same gain of every query on average is believed more, the more queries say so."""
    pattern = np.array([0.3, -0.1, 0.2, -0.05])
    weights = [Mean.of(np.tile(pattern, n), np.arange(4 * n)).shrinkage() for n in (1, 3, 10, 30, 300)]
    assert weights == sorted(weights)
    assert weights[0] < 0.2
    assert weights[-1] > 0.98


def test_a_lone_group_proves_nothing() -> None:
    """Its error is infinite, its weight 0, and its interval the mean alone."""
    found = Mean.of(np.array([0.5, 0.7]), np.zeros(2, np.int64))
    assert found.shrinkage() == 0
    assert (found.figure.low, found.figure.high) == (found.value, found.value)
    assert Mean.of(np.empty(0), np.empty(0, np.int64)).shrinkage() == 0
