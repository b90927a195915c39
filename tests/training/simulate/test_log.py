"""Simulated logs: deterministic, as their parameters say, and marked as simulated."""

import numpy as np
import pytest

from training.clicks.impressions import joined
from training.simulate.constants import BROWSING, POSITION_BIAS, TRUST
from training.simulate.log import Behaviour, Ranked, SimulatedLog, dwell_s, shuffled, slotted
from training.simulate.users import BrowsingUsers, PositionBasedUsers, ReadingUsers, TrustingUsers, Users

OFFSETS = np.array([0, 3, 7])
GRADE = np.array([0, 1, 0, 1, 0, 0, 1.0])
SCORES = np.array([0.1, 0.9, 0.5, 0.2, 0.8, 0.4, 0.3])


def top(depth: int = 3) -> Ranked:
    """The best three of two queries with three and four candidates."""
    return Ranked.top(np.array([5, 6]), OFFSETS, np.arange(7), GRADE, SCORES, depth)


def test_a_ranker_shows_its_best_in_falling_order() -> None:
    """Documents, grades and empty positions stand where they belong."""
    assert top().documents.tolist() == [[1, 2, 0], [4, 5, 6]]
    assert top().grade.tolist() == [[1, 0, 0], [0, 0, 1]]
    assert top(4).documents.tolist() == [[1, 2, 0, -1], [4, 5, 6, 3]]


def test_exploration_takes_its_share_and_has_its_own_arm() -> None:
    """A quarter of the pages are shuffled, every candidate gets its turn."""
    random = shuffled(np.array([5, 6]), OFFSETS, np.arange(7), GRADE, 3, copies=20, seed=1)
    log = SimulatedLog(top().explored(random, 0.25), Behaviour(PositionBasedUsers(POSITION_BIAS)), 20_000, 3)
    pages = joined(log())
    assert pages.arm.mean() == pytest.approx(0.25, abs=0.01)
    assert set(pages.documents[pages.arm == 1].ravel().tolist()) == set(range(7))
    assert set(pages.documents[pages.arm == 0].ravel().tolist()) == {0, 1, 2, 4, 5, 6}


def test_one_place_of_a_page_goes_to_a_candidate_from_below() -> None:
    """The rest of the page stays; a query with nothing below keeps its page; every candidate gets a turn."""
    given = np.array([5, 6]), OFFSETS, np.arange(7), GRADE, SCORES, 3
    ranked = slotted(*given, copies=60, seed=1)
    fixed = Ranked.top(*given)
    kept, moved = (ranked.documents[ranked.query == query] for query in (5, 6))
    assert (kept == fixed.documents[0]).all()
    assert ((moved != fixed.documents[1]).sum(axis=1) == 1).all()
    assert set(moved.ravel().tolist()) == {3, 4, 5, 6}
    np.testing.assert_array_equal(ranked.grade, GRADE[ranked.documents])
    assert ranked.share.sum() == pytest.approx(1.0)


@pytest.mark.parametrize(
    "users",
    [
        PositionBasedUsers(POSITION_BIAS),
        TrustingUsers(POSITION_BIAS, TRUST),
        ReadingUsers(0.8),
        BrowsingUsers(BROWSING),
    ],
    ids=lambda users: type(users).__name__,
)
def test_the_same_seed_gives_the_same_log_and_no_click_on_nothing(users: Users) -> None:
    """Twice the same, another with another seed; empty positions are never clicked."""
    first, again, other = (
        joined(SimulatedLog(top(4), Behaviour(users), 2_000, seed)()) for seed in (1, 1, 2)
    )
    assert (first.clicked == again.clicked).all()
    assert (first.query == again.query).all()
    assert not (first.clicked == other.clicked).all()
    assert first.clicked.any()
    assert not (first.clicked & ~first.shown).any()


def test_click_rates_are_the_models() -> None:
    """θ·α for position-based users, θ(t + (1 - t)α) for trusting ones, at every rank."""
    plain = SimulatedLog(top(), Behaviour(PositionBasedUsers(POSITION_BIAS), (0.2, 0.6)), 100_000, 3)
    pages = joined(plain())
    rates = pages.clicked[pages.query == 5].mean(axis=0)
    np.testing.assert_allclose(rates, POSITION_BIAS[:3] * [0.6, 0.2, 0.2], atol=0.01)
    trusting = SimulatedLog(top(), Behaviour(TrustingUsers(POSITION_BIAS, TRUST), (0.2, 0.6)), 100_000, 3)
    pages = joined(trusting())
    expected = POSITION_BIAS[:3] * (TRUST[:3] + (1 - TRUST[:3]) * [0.6, 0.2, 0.2])
    np.testing.assert_allclose(pages.clicked[pages.query == 5].mean(axis=0), expected, atol=0.01)


def test_readers_stop_when_satisfied_and_cascade_users_click_once() -> None:
    """σ = 1 leaves one click a page."""
    log = SimulatedLog(top(), Behaviour(ReadingUsers(1.0), (0.5, 0.9), (1.0, 1.0)), 5_000, 3)
    assert joined(log()).clicked.sum(axis=1).max() == 1


def test_noise_belongs_to_the_pair_and_not_to_the_page() -> None:
    """The same document of the same query attracts alike on every page; others differ."""
    both = top().explored(top(), 0.5)
    alpha, _ = SimulatedLog(both, Behaviour(PositionBasedUsers(POSITION_BIAS), noise=0.5), 10, 3).truth
    np.testing.assert_allclose(alpha[:2], alpha[2:])
    assert len(np.unique(alpha[:2].round(9))) == 6


def test_logs_say_that_they_are_simulated() -> None:
    """The mark is on every log."""
    assert SimulatedLog(top(), Behaviour(ReadingUsers()), 1, 1).simulated


def test_dwell_is_log_normal_by_grade() -> None:
    """The medians are those of the fitted constants."""
    random = np.random.default_rng(0)
    assert np.median(np.log(dwell_s(np.zeros(20_000), random))) == pytest.approx(2.91, abs=0.03)
    assert np.median(np.log(dwell_s(np.ones(20_000), random))) == pytest.approx(2.97, abs=0.03)
