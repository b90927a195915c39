"""Labels from what people did: declared weights, the maximum, dwell by a model, unseen is not irrelevant."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import InvalidConfig, InvalidInput
from training.clicks.behaviour import Rules, seen, strongest
from training.clicks.dwell import Visits, either_side, fit_dwell, logged
from training.clicks.impressions import Impressions, parts
from training.clicks.pairs import Pairs
from training.clicks.position_based import PositionBased


def test_the_strongest_interaction_counts_whatever_else_was_done() -> None:
    """A click beside a purchase takes nothing away; types without a weight count nothing."""
    done = {"click": [1, 3, 0, 1], "purchase": [1, 0, 0, 0], "share": [0, 0, 9, 0]}
    assert strongest(Rules(), done).tolist() == [1.0, 0.2, 0.0, 0.2]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=8))
def test_one_interaction_more_never_lowers_a_label(counts: list[tuple[int, int]]) -> None:
    """The label is monotone in what was done."""
    clicks, carts = (np.array(each) for each in zip(*counts, strict=True))
    before = strongest(Rules(), {"click": clicks, "cart": carts})
    after = strongest(Rules(), {"click": clicks + 1, "cart": carts})
    assert (after >= before).all()


def test_dwell_is_off_unless_declared_and_then_moves_lone_clicks_alone() -> None:
    """By default dwell changes nothing; declared, long visits count more than short ones, purchases stay."""
    done, dwell = {"click": [1, 1, 1, 1], "purchase": [0, 0, 1, 0]}, np.array([2.0, -2.0, -2.0, np.nan])
    assert strongest(Rules(), done, dwell).tolist() == strongest(Rules(), done).tolist()
    long, short, bought, unknown = strongest(Rules(dwell=0.3), done, dwell).tolist()
    assert short < unknown < long < bought == 1.0


def test_weights_must_be_above_zero() -> None:
    """The error names the weight's path."""
    with pytest.raises(InvalidConfig, match=r"\$\.labels\.weights"):
        Rules(weights={"click": 0.0})


def test_what_was_not_seen_counts_by_policy() -> None:
    """By the last click, by the click model's word, or, if one insists, as irrelevant."""
    pages = Impressions.of([0, 0], [[1, 2, 3], [2, 1, -1]], [[False, True, False], [False, False, False]])
    assert seen(Rules(unseen="below_last_click"), pages).tolist() == [[1, 1, 0], [0, 0, 0]]
    assert seen(Rules(unseen="irrelevant"), pages).tolist() == [[1, 1, 1], [1, 1, 0]]
    model = PositionBased().fit(parts(pages), Pairs.of(parts(pages)))
    weight = seen(Rules(), pages, model)
    assert weight[0, 1] == 1.0
    assert (weight[~pages.clicked & pages.shown] < 1).all()
    assert weight[1, 2] == 0
    with pytest.raises(InvalidConfig, match="needs a click model"):
        seen(Rules(), pages)


def visits(count: int = 4_000) -> tuple[Visits, np.ndarray]:
    """Visits by a known model: ln s = 3 + .5 ln(1 + length) + query + user + interest, and the interest."""
    random = np.random.default_rng(6)
    query, user = random.integers(0, 40, count), random.integers(0, 200, count)
    length = np.exp(random.normal(5, 1, count))
    interest = random.normal(0, 0.5, count)
    usual = 0.5 * np.log1p(length) + random.normal(0, 0.6, 40)[query] + random.normal(0, 0.8, 200)[user]
    return Visits(np.exp(usual + interest), length, query, user), interest


def test_dwell_beyond_the_usual_is_the_evidence() -> None:
    """The residual finds the interest that raw seconds bury under length, query and user."""
    given_visits, interest = visits()
    model = fit_dwell(given_visits, cap_s=1e9)
    assert model.slope == pytest.approx(0.5, abs=0.03)
    assert model.deviation == pytest.approx(0.5, abs=0.05)
    assert np.corrcoef(model.evidence(given_visits), interest)[0, 1] > 0.95
    assert np.corrcoef(np.log(given_visits.seconds), interest)[0, 1] < 0.6


def test_unknown_and_absurd_dwell() -> None:
    """No or negative dwell is no evidence; an open tab counts as the cap; new users are usual ones."""
    given_visits, _ = visits(500)
    model = fit_dwell(given_visits, cap_s=600)
    nan = np.nan
    odd = Visits(
        np.array([nan, -5.0, 1e9, 600.0, 0.0]),
        np.array([nan] * 5),
        np.array([-1, 3, 999, -1, -1]),
        np.array([-1, -1, 999, -1, -1]),
    )
    evidence = model.evidence(odd)
    assert np.isnan(evidence[:2]).all()
    assert evidence[2] == evidence[3]
    assert np.isfinite(evidence[4])
    assert logged(np.array([0.0, 1e9]), 600.0).tolist() == [np.log(0.1), np.log(600.0)]


def test_each_side_is_measured_by_its_own_usual() -> None:
    """Servers see dwell three times as long; their evidence is of one size, the browser's word first."""
    given_visits, interest = visits()
    by_client = np.arange(len(interest)) % 2 == 0
    client = replace(given_visits, seconds=np.where(by_client, given_visits.seconds, np.nan))
    server = replace(given_visits, seconds=3 * given_visits.seconds)
    evidence = either_side(client, server, cap_s=1e9)
    assert abs(evidence[by_client].mean() - evidence[~by_client].mean()) < 0.1
    assert np.corrcoef(evidence, interest)[0, 1] > 0.9
    silent = replace(given_visits, seconds=np.full(len(interest), np.nan))
    alone = fit_dwell(server, cap_s=1e9).evidence(server)
    np.testing.assert_allclose(either_side(silent, server, cap_s=1e9), alone)


def test_too_few_visits_are_refused() -> None:
    """Two visits are no usual dwell."""
    few = Visits(
        np.array([1.0, 2.0, np.nan]), np.full(3, np.nan), np.zeros(3, np.int64), np.zeros(3, np.int64)
    )
    with pytest.raises(InvalidInput, match="at least three"):
        fit_dwell(few)
